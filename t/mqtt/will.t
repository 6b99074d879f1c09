#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# Wills that outlive the workers, and what becomes of the sessions of a worker
# that was killed.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Test::More;
use Time::HiRes qw(time);
use IotTest::Mqtt;

my $t = IotTest::Mqtt->start(workers => 2);
my ($c, $w, $start);

$t->allow_alert(qr/worker process \d+ exited on signal 9/);


sub will {
    my ($payload, %o) = @_;

    return { topic => "will/$payload", payload => $payload,
        props => "\x18" . u32($o{delay} || 0), qos => $o{qos} || 0,
        retain => $o{retain} || 0 };
}


sub kill_workers {
    my @old = $t->worker_pids;
    my %old = map { $_ => 1 } @old;

    kill('KILL', @old);
    $t->wait_for(15, sub { 2 == grep { !$old{$_} } $t->worker_pids })
        or die "no new workers\n";
}


sub watch {
    my $watcher = $t->mqtt(5, 'watcher');

    $watcher->subscribe('will/#', 2);
    return $watcher;
}


sub rows {
    return $t->value('SELECT count(*) FROM iot.mqtt_will');
}


sub no_rows {
    return $t->wait_for(10, sub { rows() == 0 });
}


# the row
$w = watch();
$c = $t->mqtt(5, 'a', clean => 0, expiry => 60, will => will('a'));
is(rows(), 1, 'the will of a stored session is in the table before CONNACK');
$c->send(14, 0, '');
ok(no_rows(), '... and leaves it with a DISCONNECT');
is($w->packet(0.3), '', 'which publishes nothing');

$c = $t->mqtt(4, 'b', will => { topic => 'will/b', payload => 'b' });
ok($t->wait_for(5, sub { rows() == 1 }), 'that of another follows soon');
$c->close;
is($w->message, 'will/b b', 'published when the connection breaks');
ok(no_rows(), '... and its row goes');

# a worker that is killed cannot publish
$c = $t->mqtt(4, 'c', will => { topic => 'will/c', payload => 'c' });
my $d = $t->mqtt(5, 'd', clean => 0, expiry => 60, will => will('d'));
my $e = $t->mqtt(5, 'e', clean => 0, expiry => 60,
    will => will('e', delay => 1));
ok($t->wait_for(5, sub { rows() == 3 }), 'three wills');

$t->mqtt(4, 'keeps', clean => 0)->subscribe('will/#', 1);
kill_workers();
ok(no_rows(), 'all are published when their workers were killed');
$w = $t->mqtt(4, 'keeps', clean => 0);
is($w->packet(0.5), '', 'QoS 0 is not kept for a stored session');
$w->send(14, 0, '');

# the same for a durable subscriber
my @lost = map { $t->mqtt(5, "l$_", clean => 0, expiry => 60,
    will => will("l$_", qos => 1, delay => $_ % 2)) } 1 .. 6;
push @lost, $t->mqtt(5, 'l7', will => will('l7', qos => 1));
ok($t->wait_for(5, sub { rows() == 7 }), 'seven wills');
kill_workers();
ok(no_rows(), 'published after the end of their workers');
$w = $t->mqtt(4, 'keeps', clean => 0);
my %seen = map { $w->message => 1 } @lost;
is(join(' ', sort keys %seen),
    join(' ', map { "will/l$_ l$_" } 1 .. 7), 'all have come');
is($w->packet(0.3), '', '... once');
$w->send(14, 0, '');

# delayed: the row waits, and everything may be killed meanwhile
$w = watch();
$c = $t->mqtt(5, 'f', clean => 0, expiry => 60, will => will('f', delay => 2));
$start = time();
$c->close;
ok($t->wait_for(5, sub { $t->value('SELECT count(*) FROM iot.mqtt_will'
    . ' WHERE due_at IS NOT NULL') == 1 }), 'a delayed will waits');
kill_workers();
$w = watch();
is($w->message, 'will/f f', 'published by those who come after');
cmp_ok(time() - $start, '>=', 2, '... not before its time');
ok(no_rows(), '... and gone');

# back in time: another worker takes it back
for my $i (1 .. 6) {
    $c = $t->mqtt(5, 'g', clean => 0, expiry => 60,
        will => will('g', delay => 1));
    $c->close;
}

$c = $t->mqtt(5, 'g', clean => 0, expiry => 60);
like($c->{connack}, qr/^20 [0-9a-f]+ 01 00/, 'the session goes on');
is($w->packet(1.5), '', 'and no will was published');
ok(no_rows(), 'none is left');
$c->send(14, 0, '');

# a clean start ends the session, and the will is due at once
$c = $t->mqtt(5, 'h', clean => 0, expiry => 60,
    will => will('h', delay => 50));
$c->close;
$t->wait_for(5, sub { $t->value('SELECT count(*) FROM iot.mqtt_will'
    . ' WHERE due_at IS NOT NULL') == 1 });
$start = time();
$c = $t->mqtt(5, 'h', clean => 1, expiry => 60);
is($w->message, 'will/h h', 'a clean start publishes the will');
cmp_ok(time() - $start, '<', 3, '... at once');
$c->send(14, 0, '');

# the end of the session is the latest time
$c = $t->mqtt(5, 'i', clean => 0, expiry => 1, will => will('i', delay => 50));
$start = time();
$c->close;
is($w->message, 'will/i i', 'published when the session ends');
cmp_ok(time() - $start, '>=', 1, '... not earlier');
cmp_ok(time() - $start, '<', 3, '... nor later');

# taken over: with a delay the session just goes on
$c = $t->mqtt(5, 'j', clean => 0, expiry => 60, will => will('j', delay => 1));
my $again = $t->mqtt(5, 'j', clean => 0, expiry => 60);
is($w->packet(1.5), '', 'a delayed will is not published on take-over');
$again->send(14, 0, '');
$c = $t->mqtt(5, 'k', clean => 0, expiry => 60, will => will('k'));
$again = $t->mqtt(5, 'k', clean => 0, expiry => 60);
is($w->message, 'will/k k', 'without a delay it is');
is($w->packet(0.3), '', '... once');
$again->send(14, 0, '');
ok(no_rows(), 'nothing is left');

# retained, with its properties
$c = $t->mqtt(5, 'm', clean => 0, expiry => 60, will => { topic => 'will/m',
    payload => 'm', retain => 1, qos => 1,
    props => "\x18" . u32(1) . "\x02" . u32(100) . "\x26" . str('n')
        . str('v') });
$c->close;
like($w->packet(5), qr/02 00 00 00 (?:63|64).*26 00 01 6e 00 01 76 6d$/,
    'properties are kept, and the expiry begins then');
$c = $t->mqtt(4, 'late');
$c->subscribe('will/m', 1);
is($c->message, 'will/m m', 'a retained will is retained');

# an end in peace: clients are told, delayed wills wait for other workers
$c = $t->mqtt(5, 'n', clean => 0, expiry => 60, will => will('n', delay => 2));
$start = time();
$t->reload(gone => 1);
is($c->packet, 'e0 01 8b', 'told to go');
$w = watch();
is($w->message, 'will/m m', 'the retained one');
is($w->message, 'will/n n', 'a delayed will passes to the next generation');
cmp_ok(time() - $start, '>=', 1.9, '... at its time');

# sessions of a worker that was killed expire
$c = $t->mqtt(5, 'o', clean => 0, expiry => 2);
$c->subscribe('o', 1);
$d = $t->mqtt(5, 'p', clean => 0, expiry => 60);
$d->subscribe('p', 1);
kill_workers();
ok($t->wait_for(30, sub { !$t->value('SELECT count(*) FROM iot.mqtt_session'
    . " WHERE client_id = 'o'") }), 'expired');
is($t->value('SELECT count(*) FROM iot.mqtt_session'
    . ' WHERE connected AND worker IS NULL'), 0, 'who is connected has one');
$d = $t->mqtt(5, 'p', clean => 0, expiry => 60);
like($d->{connack}, qr/^20 [0-9a-f]+ 01 00/, 'another one is still there');
$d->send(14, 0, '');

# a worker of a node that is silent: its last word counts
my $silent = $t->value('INSERT INTO iot.mqtt_worker (node, boot, slot,'
    . ' generation, seen_at) VALUES (1, 1, 0, 1, iot.now_ms() - 200000)'
    . ' RETURNING nr');

for my $expiry (100, 1000) {
    $t->sql('INSERT INTO iot.mqtt_session (tenant_id, client_id, identity,'
        . " expiry, worker) VALUES (?, ?, 'anonymous', ?, ?)",
        $t->tenant_id, "q$expiry", $expiry, $silent);
    $t->sql('INSERT INTO iot.mqtt_will (mark, tenant_id, client_id, worker,'
        . ' stored, delay, qos, flags, topic, payload, expiry)'
        . " VALUES (?, ?, ?, ?, true, 60000, 1, 0, ?, 'x', -1)",
        $expiry, $t->tenant_id, "q$expiry", $silent, "will/q$expiry");
}

$w = watch();
is($w->message, 'will/m m', 'the retained one');
$c = $t->mqtt(5, 'q100', clean => 0, expiry => 100);
like($c->{connack}, qr/^20 [0-9a-f]+ 00 00/, 'its session has expired');
is($w->message, 'will/q100 x', '... and its will is published');
$c = $t->mqtt(5, 'q1000', clean => 0, expiry => 100);
like($c->{connack}, qr/^20 [0-9a-f]+ 01 00/, 'another one is still there');
is($w->packet(0.5), '', '... and its will is cancelled');

$t->finish;
done_testing();
