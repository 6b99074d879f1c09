#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# The bus while workers are killed, stopped and replaced.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use POSIX qw(:sys_wait_h _exit);
use Test::More;
use IotTest::Bus;
use Time::HiRes qw(sleep time);

use constant { WORKERS => 3 };

my $t = IotTest::Bus->new(workers => WORKERS);

# --- killed: the others go on, and the new one is heard and hears

my @subs = map { $t->bus_client(subscribe => ['news/#', 'mine']) } 1 .. 12;

for my $round (1 .. 6) {
    my $pid = $t->kill_worker;

    # who was connected to it comes again
    for my $sub (@subs) {
        $sub->publish('mine', "ping$round", 1);
        $sub = $t->bus_client(subscribe => ['news/#', 'mine'])
            if !$sub->acknowledged;
    }

    $_->{got} = [] for @subs;

    my @pubs = map { $t->bus_client } 1 .. 8;

    for my $pub (@pubs) {
        $pub->publish("news/$round", $pub->{id}, 1);
    }

    is(scalar(grep { !$_->acknowledged } @pubs), 0,
        "$round: all is acknowledged");
    is_deeply([IotTest::Bus::all_until(
        sub { (grep { $_->[0] eq "news/$round" } @{$_[0]{got}}) >= @pubs },
        @subs)], [], 'and arrives');
    is(scalar(grep { (grep { $_->[0] eq "news/$round" } @{$_->{got}}) > @pubs }
        @subs), 0, 'once');

    close($_->{socket}) for @pubs;
}

# --- stopped: who publishes to it waits, nothing is lost, others go on

$_->{got} = [] for @subs;
my @before = $t->worker_pids;
my ($stopped) = @before;

kill('STOP', $stopped);

my @pubs;
my $end = time() + 10;

# a publisher of another worker is one that is answered
while (!@pubs && time() < $end) {
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
        PeerPort => $t->{open_port}) or die;
    my $pub = bless { socket => $socket, in => '', id => "p" . time(),
        packet_id => 0, got => [], acks => {} }, 'IotTest::Bus::Client';

    $pub->write(IotTest::Bus::packet(0x10, IotTest::Bus::text('MQTT')
        . "\x04\x02\0\0" . IotTest::Bus::text($pub->{id})));

    my $select = IO::Select->new($socket);

    if ($select->can_read(0.3)) {
        $pub->read_some;
        push @pubs, $pub if $pub->{connected};
    }
}

my ($pub) = @pubs;

SKIP: {
    skip('no other worker took a connection', 5) if !$pub;

    my $chunk = 'x' x 50_000;
    my $writer = fork();

    if ($writer == 0) {
        # as much as it takes, until the socket is not read any more
        for my $n (1 .. 400) {
            $pub->publish('news/many', "$n:$chunk", 1);
        }

        _exit(0);
    }

    sleep(4);
    is(waitpid($writer, WNOHANG), 0, 'the publisher has to wait');

    kill('CONT', $stopped);

    $pub->{sent} = 400;
    ok($pub->acknowledged, 'until the worker goes on');
    waitpid($writer, 0);

    is_deeply([IotTest::Bus::all_until(
        sub { (grep { $_->[0] eq 'news/many' } @{$_[0]{got}}) >= 400 },
        @subs)], [], 'all has arrived');

    my $wrong = 0;

    for my $sub (@subs) {
        my $n = 0;

        for my $message (grep { $_->[0] eq 'news/many' } @{$sub->{got}}) {
            $wrong++ if $message->[1] ne ++$n . ":$chunk";
        }
    }

    is($wrong, 0, 'once, in order and unharmed');
    ok($t->wait_for(10, sub { $t->metric('iot_bus_queue_bytes') == 0 }),
        'nothing waits');
}

kill('CONT', $stopped);

# --- reloads: old and new workers on one bus, and no old one stays

for my $round (1 .. 3) {
    $t->reload(gone => 1);

    my @new = map { $t->bus_client(subscribe => ['again']) } 1 .. 6;
    my $publisher = $t->bus_client;

    $publisher->publish('again', $round, 1);
    ok($publisher->acknowledged, "reload $round: acknowledged");
    is_deeply([IotTest::Bus::all_until(sub { @{$_[0]{got}} }, @new)], [],
        'and arrived');
    close($_->{socket}) for @new, $publisher;
}

cmp_ok($t->metric('iot_shutdowns_total'), '>=', 3 * WORKERS,
    'the old ones were told');
is($t->metric('iot_workers'), WORKERS, 'and have gone');

# --- all at once

my @pids = $t->worker_pids;

$t->allow_alert(qr/worker process $_ exited on signal/) for @pids;
kill('KILL', @pids);

my @new;

$t->wait_for(10, sub {
    @new = eval { map { $t->bus_client(subscribe => ['all']) } 1 .. 6 };
    return @new == 6;
});

$new[0]->publish('all', 'well', 1);
is_deeply([IotTest::Bus::all_until(sub { @{$_[0]{got}} }, @new)], [],
    'all died, all is well');

done_testing();
