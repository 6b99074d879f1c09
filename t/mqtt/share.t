#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# Shared subscriptions, with members that are stored: each message goes to one
# of them, and none is lost when they go, or are killed.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Test::More;
use Time::HiRes qw(time);
use IotTest::Mqtt;

my $t = IotTest::Mqtt->start(workers => 2);
my $pub = $t->mqtt(5, 'pub');
my ($c, %c, @got);

$t->allow_alert(qr/worker process \d+ exited on signal 9/);


# publishes and waits for the acknowledgement; the reason
sub publish {
    my ($topic, $payload, $qos) = @_;

    $pub->publish($topic, $payload, qos => defined $qos ? $qos : 1, id => 1);

    my $answer = $pub->packet;

    if (defined $qos && $qos == 2) {
        return $answer if $answer ne '50 02 00 01';
        $pub->send(6, 2, u16(1));
        $answer = $pub->packet;
    }

    return $answer =~ /^(?:40|70) 02 / ? 0 : hex(substr($answer, -2));
}


# what the clients have got within the time, sorted
sub gather {
    my ($n, @clients) = @_;
    my @all;
    my $end = time() + 5;

    while (@all < $n && time() < $end) {
        for my $client (@clients) {
            while (my $m = $client->message(0.02)) {
                last if $m eq 'closed';
                push @all, $m;
            }
        }
    }

    for my $client (@clients) {
        my $more = $client->packet(0.1);
        push @all, $more if $more ne '' && $more ne 'closed';
    }

    return join(' ', sort map { s/^\S+ //r } @all);
}


# rows of all, or of one
sub queued {
    return $t->value('SELECT count(*) FROM iot.mqtt_queue q'
        . ' JOIN iot.mqtt_session s ON s.nr = q.session'
        . ' WHERE s.client_id LIKE ?', $_[0] || '%');
}


# all offline: stored, in turn
for my $i (1, 2) {
    $c{$i} = $t->mqtt(4, "m$i", clean => 0);
    is($c{$i}->subscribe('$share/g/s/#', 2), '90 03 00 01 02', "member $i");
    $c{$i}->send(14, 0, '');
    is($c{$i}->packet, 'closed', 'leaves');
}

is(publish('s/x', "a$_"), 0, "acknowledged a$_") for 1 .. 6;
is($t->value('SELECT string_agg(n::text, $$ $$) FROM (SELECT count(*) AS n'
    . ' FROM iot.mqtt_queue GROUP BY session) x'), '3 3', 'three for each');
$c{1} = $t->mqtt(4, 'm1', clean => 0);
$c{2} = $t->mqtt(4, 'm2', clean => 0);
is(gather(6, @c{1, 2}), 'a1 a2 a3 a4 a5 a6', 'each came once');

# one is there: it gets all
$c{2}->send(14, 0, '');
is($c{2}->packet(1), 'closed', 'one leaves') while !$c{2}{eof};
is(publish('s/x', "b$_"), 0, "acknowledged b$_") for 1 .. 4;
is(gather(4, $c{1}), 'b1 b2 b3 b4', 'the other gets all');
is($t->value('SELECT count(*) FROM iot.mqtt_queue q JOIN iot.mqtt_session s'
    . " ON s.nr = q.session WHERE s.client_id = 'm2'"), 0, '... and only it');

# both, with one that is not stored
$c{2} = $t->mqtt(4, 'm2', clean => 0);
$c{3} = $t->mqtt(5, 'm3');
$c{3}->subscribe('$share/g/s/#', 1);
is(publish('s/x', "c$_"), 0, "acknowledged c$_") for 1 .. 9;
is(gather(9, @c{1, 2, 3}), 'c1 c2 c3 c4 c5 c6 c7 c8 c9', 'divided, each once');

# a message not acknowledged is in the table: kill -9
$_->{mute} = 1 for @c{1, 2, 3};
is($c{3}->send(14, 0, ''), 2, 'the one that is not stored leaves');
is($c{3}->packet(2), 'closed', '...');
is(publish('s/x', "d$_"), 0, "acknowledged d$_") for 1 .. 6;

my %old = map { $_ => 1 } $t->worker_pids;

kill('KILL', keys %old);
$t->wait_for(15, sub { 2 == grep { !$old{$_} } $t->worker_pids });
$c{1} = $t->mqtt(4, 'm1', clean => 0);
$c{2} = $t->mqtt(4, 'm2', clean => 0);
is(gather(6, @c{1, 2}), 'd1 d2 d3 d4 d5 d6', 'all are there after kill -9');
ok($t->wait_for(5, sub { !queued() }), 'and then acknowledged');

# a session ends: QoS 1 goes to another member
$pub = $t->mqtt(5, 'pub');
$_->{mute} = 1 for @c{1, 2};
is(publish('s/x', "e$_"), 0, "acknowledged e$_") for 1 .. 4;
@got = grep { $_ } map { my $m = $_; map { $m->message(0.5) } 1, 2 } @c{1, 2};
is(scalar(@got), 4, 'two each, not acknowledged');
$c{2}{mute} = 0;
$c{1}->send(14, 0, '');
is($c{1}->packet(2), 'closed', 'one leaves');
$c = $t->mqtt(4, 'm1', clean => 1);
is(gather(2, $c{2}), join(' ', map { s/^\S+ //r } @got[0, 1]),
    '... and ends its session: the other gets what it had');
$c->send(14, 0, '');

# the same of members that are not stored
for my $i (1, 2) {
    $c{$i} = $t->mqtt(5, "n$i");
    $c{$i}->subscribe('$share/h/n/#', 2);
    $c{$i}{mute} = 1;
}

publish('n/x', "f$_") for 1 .. 4;
@got = grep { $_ } map { my $m = $_; map { $m->message(0.5) } 1, 2 } @c{1, 2};
is(scalar(@got), 4, 'four messages');
$c{2}{mute} = 0;
$c{1}->close;
is(gather(2, $c{2}), join(' ', map { s/^\S+ //r } @got[0, 1]),
    'what one did not acknowledge goes to the other');

# QoS 2 that was begun does not
$c{1} = $t->mqtt(5, 'n1');
$c{1}->subscribe('$share/h/n/#', 2);
publish('n/x', "g$_", 2) for 1, 2;
@got = map { $_->message(2) } @c{1, 2};
is(scalar(grep { /^n.x g/ } @got), 2, 'one each');
$c{1}->close;
is($c{2}->packet(0.5), '', 'QoS 2 is not given to another');

# the last one goes: a stored member gets it, although it is not there
$c = $t->mqtt(4, 'stored', clean => 0);
$c->subscribe('$share/k/k', 1);
$c->send(14, 0, '');
$c->packet(2);
$c{1} = $t->mqtt(5, 'k1');
$c{1}->subscribe('$share/k/k', 1);
$c{1}{mute} = 1;
is(publish('k', 'h'), 0, 'to the one that is there');
is($c{1}->message, 'k h', 'which does not acknowledge');
is(queued('stored'), 0, 'nothing is stored');
$c{1}->close;
ok($t->wait_for(5, sub { queued('stored') == 1 }), 'until it goes');
$c = $t->mqtt(4, 'stored', clean => 0);
is($c->message, 'k h', 'the stored one gets it');

# unsubscribed: not a member any more, nor after a restart
$c->send(10, 2, u16(2) . str('$share/k/k'));
is($c->packet, 'b0 02 00 02', 'unsubscribed');
$c->send(14, 0, '');
$c->packet(2);
is(publish('k', 'i'), 0x10, 'nobody is left');

# a member with QoS 0 keeps nothing
$c = $t->mqtt(4, 'zero', clean => 0);
$c->subscribe('$share/z/z', 0);
$c->send(14, 0, '');
$c->packet(2);
is(publish('z', 'j'), 0x10, 'no member that stores');

# the same filter in a group and alone: a copy each
$c = $t->mqtt(4, 'both', clean => 0);
$c->subscribe('$share/b/b', 1);
$c->subscribe('b', 1);
is(publish('b', 'k'), 0, 'acknowledged');
is(gather(2, $c), 'k k', 'two copies');
$c->send(14, 0, '');
$c->packet(2);
is(publish('b', 'l'), 0, 'acknowledged');
$c = $t->mqtt(4, 'both', clean => 0);
is(gather(2, $c), 'l l', 'two copies from the store');

$t->finish;
done_testing();
