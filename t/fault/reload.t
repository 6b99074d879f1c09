#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# Reloads under load, without one failed request.

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

for my $close (1, 0) {
    my $load = IotTest::Load->new($t, connections => 8, tokens => \@tokens,
        close => $close, key => "load$close");
    my $name = $close ? 'a connection for each request' : 'kept connections';

    for my $i (1 .. 4) {
        my $good = $load->count(200);

        $load->run(sub { $load->count(200) >= $good + 100 });
        my @old = $t->worker_pids;
        kill('HUP', $t->master_pid);
        $load->run(sub {
            my %now = map { $_ => 1 } $t->worker_pids;
            return !grep { $now{$_} } @old;
        });
        pass("$name: reload $i");
    }

    my $good = $load->count(200);
    $load->run(sub { $load->count(200) >= $good + 100 });
    $load->finish;

    is($load->others(200), '', "$name: all answers are 200");
    is($load->lost, 0, 'there is one to each request');
    is($load->refused, 0, 'each connection was accepted');
    is($load->odd, 0, 'no answer was odd');
    cmp_ok($load->acked, '>=', 500, 'many points were acknowledged');
    is(scalar(my @missing = $load->missing), 0, 'each of them is there');
}

# a configuration that is wrong changes nothing
my @pids = $t->worker_pids;

$t->allow_alert(qr/\[emerg\].*value must be between 1 and 100000/);
$t->snippet('iot', "batch_rows 0;\n");
ok(!eval { $t->reload; 1 }, 'a wrong configuration');
kill('HUP', $t->master_pid);
ok($t->wait_log(qr/\[emerg\].*value must be between/), 'is said to be so');
is_deeply([$t->worker_pids], \@pids, 'the workers are the same');
is($t->telemetry('{"a":1}')->status, 200, 'and go on');

done_testing();
