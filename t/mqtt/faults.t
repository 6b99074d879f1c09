#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# Clients that ask for too much, and workers that go while others talk.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Test::More;
use Time::HiRes qw(time);
use IO::Select;
use IotTest::Mqtt;

my $t = IotTest::Mqtt->start(workers => 2,
    directives => 'iot_mqtt_connect_timeout 3s; iot_mqtt_write_buffer 64k;');
my ($c, $d, $start);

$t->allow_alert(qr/worker process \d+ exited on signal 9/);


sub metric {
    my ($name) = @_;

    return $t->get('/metrics')->body =~ /^$name(?:\{\})? (\d+)/m ? $1 : 0;
}


# of all workers, kB
sub memory {
    my $sum = 0;

    for my $pid ($t->worker_pids) {
        open(my $fh, '<', "/proc/$pid/status") or next;
        $sum += $1 while (join('', <$fh>) =~ /^VmRSS:\s+(\d+)/gm);
    }

    return $sum;
}


# a flood of connections that say nothing, or half of something
my @flood = map { $t->raw } 1 .. 1000;

$flood[$_]->bytes("\x10\x20\0\4MQ") for 0 .. 499;
$start = time();
$c = $t->mqtt(5, 'through');
like($c->{connack}, qr/^20 [0-9a-f]+ 00 00/, 'a client gets through a flood');
$c->subscribe('f', 0);
$c->publish('f', 'x');
is($c->message, 'f x', '... and is served');
is($flood[$_]->packet(10), 'closed', "$_ of the flood is closed")
    for 0, 499, 500, 999;
cmp_ok(time() - $start, '>=', 2.5, '... when its time is over');
@flood = ();

# a million subscriptions
my $before = memory();
my ($granted, $refused) = (0, 0);

$c = $t->mqtt(5, 'greedy');

for my $round (1 .. 50) {
    $c->send(8, 2, u16($round) . "\0"
        . join('', map { str("$round/$_") . "\0" } 1 .. 20000));

    my @codes = split(/ /, $c->packet(30));

    $granted += grep { $_ eq '00' } @codes[-20000 .. -1];
    $refused += grep { $_ eq '97' } @codes[-20000 .. -1];
}

is($granted, 10000, 'of a million subscriptions 10000 are granted');
is($refused, 990000, '... and the others refused: quota exceeded');
cmp_ok(memory() - $before, '<', 100_000, '... for little memory');
$c->close;

# deep trees: filters that differ at each of 200 levels
$c = $t->mqtt(5, 'deep');

my @levels = ('l') x 200;
my @filters = map {
    my @f = @levels;
    $f[$_] = '+';
    join('/', @f);
} 0 .. 199;

push @filters, join('/', ('+') x 200), '#', join('/', @levels, '#'),
    map { join('/', @levels[0 .. $_], '#') } 0 .. 198;

$c->send(8, 2, u16(1) . "\0" . join('', map { str($_) . "\0" } @filters));
is(scalar(grep { $_ eq '00' } (split(/ /, $c->packet(10)))[-@filters .. -1]),
    scalar(@filters), scalar(@filters) . ' filters of 200 levels');
$d = $t->mqtt(5, 'digs');
$start = time();

for my $i (1 .. 200) {
    $d->publish(join('/', ('l') x 199, $i), $i);
}

my $n = 0;

$n++ while $n < 200 && $c->message(5) ne '';
is($n, 200, 'each message comes once');
cmp_ok(time() - $start, '<', 20, '... in good time');
$c->close;

# one that does not read: others do not wait for it
my $slow = $t->mqtt(4, 'slow');
my $fast = $t->mqtt(4, 'fast');

$_->subscribe('much', 0) for $slow, $fast;
$before = memory();

my $dropped = metric('iot_mqtt_publish_dropped_total');
my $got = 0;

for my $i (1 .. 300) {
    $d->publish('much', 'x' x 60000);
    $got++ if $fast->message(5) ne '';
}

is($got, 300, 'a fast reader gets all');
cmp_ok(metric('iot_mqtt_publish_dropped_total'), '>', $dropped,
    'what a slow one does not read is dropped, and counted');
cmp_ok(memory() - $before, '<', 20_000, '... not kept');
$slow->close;
$fast->close;

# two clients fight over a client id, on any worker
my @fighters;

for my $i (1 .. 60) {
    my $f = $t->mqtt(5, 'fought', clean => 0, expiry => 60);

    if (!like($f->{connack}, qr/^20 [0-9a-f]+ 0[01] 00/, "round $i")) {
        diag($f->{connack});
    }

    $f->subscribe('fight', 1) if $i == 1;
    push @fighters, $f;

    if (@fighters > 1) {
        is($fighters[-2]->packet, 'e0 01 8e', 'the former is told');
        is($fighters[-2]->packet, 'closed', '... and closed');
    }
}

$d->publish('fight', 'who', qos => 1, id => 1);
is($d->packet, '40 02 00 01', 'acknowledged');
is($fighters[-1]->message, 'fight who', 'the last one has the session');
is($t->value('SELECT count(*) FROM iot.mqtt_session'
    . " WHERE client_id = 'fought' AND connected"), 1, 'there is one session');

# at the same time, without waiting for each other
my @race = map { $t->raw } 1 .. 20;

for my $f (@race) {
    $f->{version} = 5;
    $f->connect('fought', clean => 0, expiry => 60);
}

my $left = $t->wait_for(15, sub {
    my $open = 0;

    for my $f (@race) {
        1 while $f->packet(0.01) =~ /^(?:20|e0)/;
        $open++ unless $f->{eof};
    }

    return $open == 1;
});

ok($left, 'of twenty at once one is left');
$_->close for @race, @fighters;

# kill -9 while messages go to a stored session
$c = $t->mqtt(4, 'durable', clean => 0);
$c->subscribe('run/#', 1);

my (%sent, %acked, %seen);
my $next = 1;

for my $round (1 .. 4) {
    my $p = $t->mqtt(4, "runner$round");

    for (1 .. 100) {
        $p->publish('run/x', $next, qos => 1, id => $next);
        $sent{$next++} = 1;
    }

    my @old = $t->worker_pids;
    my %old = map { $_ => 1 } @old;

    # some have been acknowledged, others are on their way
    my $first = $p->packet(10);

    kill('KILL', @old);

    for (my $a = $first; $a =~ /^40 02 (..) (..)/; $a = $p->packet(2)) {
        $acked{hex("$1$2")} = 1;
    }

    $t->wait_for(15, sub { 2 == grep { !$old{$_} } $t->worker_pids })
        or die "no new workers\n";

    while ((my $m = $c->message(0.1)) =~ /^run/) {
        $seen{$1} = 1 if $m =~ / (\d+)$/;
    }

    $c = $t->mqtt(4, 'durable', clean => 0);
    is($c->{connack}, '20 02 01 00', "round $round: the session is there");
}

while ((my $m = $c->message(1)) ne '') {
    $seen{$1} = 1 if $m =~ / (\d+)$/;
}

cmp_ok(scalar(keys %acked), '>', 0, keys(%acked) . ' were acknowledged');
is_deeply([grep { !$seen{$_} } sort keys %acked], [], 'none of them is lost');
is_deeply([grep { !$sent{$_} } sort keys %seen], [], 'none is made up');
$c->send(14, 0, '');

# a reload with a thousand clients, and messages meanwhile
my @many = map { $t->mqtt(5, "many$_", keep => 0) } 1 .. 1000;
$c = $t->mqtt(5, 'all', clean => 0, expiry => 100);
$c->subscribe('reload', 1);

my $p = $t->mqtt(5, 'busy');

$p->publish('reload', $_, qos => 1, id => $_) for 1 .. 200;
$t->reload;

my %acks;
my ($told, $closed) = (0, 0);

while ((my $a = $p->packet(20)) ne 'closed') {
    last if $a eq '';
    $acks{hex("$1$2")} = 1 if $a =~ /^40 02 (..) (..)/;
}

for my $one (@many) {
    my $a = $one->packet(20);

    $told++ if $a eq 'e0 01 8b';
    $closed++ if $one->packet(20) eq 'closed';
}

is($told, 1000, 'all are told that the server is shutting down');
is($closed, 1000, '... and closed');

%seen = ();

for (1 .. 2) {
    while ((my $m = $c->message(1)) ne '') {
        $seen{$1} = 1 if $m =~ /^reload (\d+)$/;
        last if $c->{eof};
    }

    $c = $t->mqtt(5, 'all', clean => 0, expiry => 100);
    like($c->{connack}, qr/^20 [0-9a-f]+ 01 00/, 'the session goes on');
}

while ((my $m = $c->message(1)) ne '') {
    $seen{$1} = 1 if $m =~ /^reload (\d+)$/;
}

is_deeply([grep { !$seen{$_} } sort keys %acks], [],
    keys(%acks) . ' acknowledged, and none lost');

# a client id whose former owner is in a worker of the generation before
$c = $t->mqtt(5, 'moves', clean => 0, expiry => 100);
$t->reload;
$d = $t->mqtt(5, 'moves', clean => 0, expiry => 100);
like($d->{connack}, qr/^20 [0-9a-f]+ 01 00/, 'taken over across a reload');
like($c->packet(10), qr/^e0 01 8[be]/, '... and the former is told');

$t->finish;
done_testing();
