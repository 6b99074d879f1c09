#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# Workers die of kill -9 under load: what was promised is there.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Test::More;
use IotTest::Device;
use IotTest::Load;

my $t = IotTest::Device->new(workers => 2);
my @tokens = map { "Load$_" } 1 .. 8;

$t->add_devices(@tokens);

my $load = IotTest::Load->new($t, connections => 16, tokens => \@tokens);

for my $signal ('KILL', 'ABRT', 'KILL', 'KILL') {
    my $good = $load->count(200);

    $load->run(sub { $load->count(200) >= $good + 200 });
    $t->kill_worker(undef, $signal);
    pass("a worker died of SIG$signal, another came");
}

# both at once
my @pids = $t->worker_pids;
my $good = $load->count(200);

$t->allow_alert(qr/worker process $_ exited on signal/) for @pids;
$load->run(sub { $load->count(200) >= $good + 200 });
kill('KILL', @pids);
$load->run(sub { $load->count(200) >= $good + 600 });
pass('both died');
$load->finish;

is($load->others(200, 503), '', 'there were no other answers');
is($load->odd, 0, 'no answer was odd');
cmp_ok($load->acked, '>=', 1000, 'many points were acknowledged');
is(scalar(my @missing = $load->missing), 0, 'each of them is there');

# nothing in the shared zone is locked or lost
is($t->get('/readyz')->status, 200, 'ready');
is($t->get('/metrics')->status, 200, 'counting');
$t->reload(gone => 1);
is($t->telemetry('{"a":1}')->status, 200, 'and well after a reload');

done_testing();
