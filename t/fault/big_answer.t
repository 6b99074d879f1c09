#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# Large answers of the database while the worker stands still.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Test::More;
use IotTest::Device;

my $t = IotTest::Device->new(iot => "database_read_connections 1;\n");
my ($worker) = $t->worker_pids;

# libpq reads into a buffer of 16 kB and more; what comes while nobody reads
# fills the socket, and beyond some 200 kB stops the server

for my $size (100, 8_000, 16_384, 28_000, 100_000, 1_000_000, 8_000_000) {
    my $text = substr(join('', map { chr(97 + $_ % 26) } 1 .. 1000)
        x ($size / 1000 + 1), 0, $size);

    $t->set_attribute(2, 'big', $text);

    for my $n (1, 5) {
        $t->hold('iot.attribute');
        my @c = map { $t->begin('GET', 'attributes') } 1 .. $n;
        $t->wait_held or fail('no question waits');
        my ($session) = $t->held;

        $t->freeze($worker);
        $t->let_go('iot.attribute');

        # it has said all, or waits for us to read
        ok($t->wait_for(10, sub {
            my $rows = $t->sql('SELECT state, wait_event FROM'
                . ' pg_stat_activity WHERE pid = ?', $session);
            return $rows->[0][0] eq 'idle'
                || ($rows->[0][1] || '') eq 'ClientWrite';
        }), "$n of $size bytes: the database has answered");

        $t->thaw;
        my @bad = grep { $_->status != 200
            || $_->json->{shared}{big} ne $text } map { $_->answer } @c;
        is(scalar(@bad), 0, 'the answers come whole');
    }
}

# --- the worker stops and goes on at any moment

my $text = 'y' x 300_000;
$t->set_attribute(2, 'big', $text);

my @c = map { $t->client } 1 .. 4;
my $bad = 0;

for my $i (1 .. 40) {
    $_->write($t->request('GET', 'attributes')) for @c;
    $c[0]->fill(0.0005 * ($i % 9)) if $i % 2;
    $t->freeze($worker);
    $c[1]->fill(0.002);
    $t->thaw($worker);
    $bad += grep { $_->answer->json->{shared}{big} ne $text } @c;
}

is($bad, 0, 'a hundred and sixty answers under SIGSTOP and SIGCONT');
is_deeply([$t->worker_pids], [$worker], 'the worker is the same');

done_testing();
