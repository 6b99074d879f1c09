#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# PostgreSQL crashes and comes back, under load: what was promised is there.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Test::More;
use Time::HiRes qw(time);
use IotTest::Device;
use IotTest::Load;

my $t = IotTest::Device->new(workers => 2, cluster => 'own', fsync => 1,
    iot => "database_queue_timeout 300ms;\n");
my @tokens = map { "Load$_" } 1 .. 8;

$t->add_devices(@tokens);

my $load = IotTest::Load->new($t, connections => 16, tokens => \@tokens);

$load->run(sub { $load->count(200) >= 300 });
pass('posts are taken');

for my $mode ('immediate', 'fast') {
    my $before = $load->count(503);
    my $stopping = fork();

    # the load goes on while the server stops
    if (!defined $stopping) {
        die "fork: $!";
    }

    if ($stopping == 0) {
        $t->{cluster}{postgres}->stop($mode);
        require POSIX;
        POSIX::_exit(0);
    }

    $load->run(sub { $load->count(503) >= $before + 50 }, 60);
    waitpid($stopping, 0);
    is($?, 0, "$mode: the database is stopped");

    $before = $load->count(503);
    $load->run(sub { $load->count(503) >= $before + 20 }, 60);
    pass('posts get 503');

    # a device that is asked about now
    my $start = time();
    my $a = $t->get($t->url('attributes'));
    is($a->status, 503, 'so do questions');
    ok($a->header('retry-after'), 'with the time to come again');
    cmp_ok(time() - $start, '<', 5, 'soon');
    is($t->get('/healthz')->status, 200, 'nginx is well');
    is($t->get('/readyz')->status, 503, 'but not ready');

    $t->start_database;
    my $good = $load->count(200);
    $load->run(sub { $load->count(200) >= $good + 300 }, 60);
    pass('the database is back, posts are taken');
}

$load->finish;

is($load->others(200, 503), '', 'there were no other answers');
is($load->retry_after, $load->count(503), 'each 503 says when to come again');
is($load->lost, 0, 'no request was left without an answer');
is($load->odd, 0, 'no answer was odd');
cmp_ok($load->acked, '>=', 900, 'many points were acknowledged');
is(scalar(my @missing = $load->missing), 0, 'each of them is there');

done_testing();
