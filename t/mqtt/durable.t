#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# Sessions that outlive their connections: messages wait for them, and what
# was acknowledged is not lost when every worker is killed.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Test::More;
use Time::HiRes qw(sleep time);
use IotTest::Mqtt;

my $t = IotTest::Mqtt->start(workers => 2);
my ($pub, $c);

sub killed {
    my @old = $t->worker_pids;
    my %old = map { $_ => 1 } @old;

    $t->allow_alert(qr/worker process \d+ exited on signal 9/);
    kill('KILL', @old);
    $t->wait_for(15, sub { 2 == grep { !$old{$_} } $t->worker_pids })
        or die "no new workers\n";
}

# messages wait
$c = $t->mqtt(4, 'stays', clean => 0);
is($c->{connack}, '20 02 00 00', 'a new session');
is($c->subscribe('d/#', 2), '90 03 00 01 02', 'with a subscription');
$c->send(14, 0, '');
is($c->packet, 'closed', 'leaves');

$pub = $t->mqtt(5, 'pub');

for my $i (1 .. 250) {
    $pub->publish('d/x', "m$i", qos => 1, id => $i);
}

is($pub->packet, '40 02 ' . hex_of(u16($_)), "acknowledged $_") for 1 .. 250;

$pub->publish('d/x', 'not kept');
$c = $t->mqtt(4, 'stays', clean => 0);
is($c->{connack}, '20 02 01 00', 'the session is present');
is($c->message, "d/x m$_", "message $_") for 1 .. 250;
is($c->packet(0.3), '', '... and no more');
ok($t->wait_for(5, sub {
    !$t->value('SELECT count(*) FROM iot.mqtt_queue') }),
    'acknowledged rows are gone');

# live, and in the table until it is acknowledged
$c->{mute} = 1;
$pub->publish('d/live', 'now', qos => 1, id => 1);
is($pub->packet, '40 02 00 01', 'acknowledged');
is($c->message, 'd/live now', 'delivered');
my $id = $c->{last}{id};
$c->close;
$c = $t->mqtt(4, 'stays', clean => 0);
is($c->message, 'd/live now', 'repeated on the next connection');
is($c->{last}{id}, $id, '... with its identifier');
is($c->{last}{first} & 8, 8, '... and DUP');
$c->send(14, 0, '');

# everybody dies
for my $i (1 .. 20) {
    $pub->publish('d/kill', "k$i", qos => 1, id => $i);
}

is($pub->packet, '40 02 ' . hex_of(u16($_)), "acknowledged $_") for 1 .. 20;
$pub->publish('ret/x', 'kept', qos => 1, id => 21, retain => 1);
is($pub->packet, '40 03 00 15 10', 'a retained one too');
killed();

$c = $t->mqtt(4, 'stays', clean => 0);
is($c->{connack}, '20 02 01 00', 'the session is there after kill -9');
my %seen = map { $c->message => 1 } 1 .. 21;
is(scalar(grep { $seen{"d/kill k$_"} } 1 .. 20), 20, 'with all messages');
is($c->subscribe('ret/#', 1), '90 03 00 01 01', 'subscribe');
is($c->message, 'ret/x kept', 'and the retained one');

# QoS 2 towards the session, cut at each step
$pub = $t->mqtt(5, 'pub');
$pub->publish('d/two', 'once', qos => 2, id => 1);
is($pub->packet, '50 02 00 01', 'PUBREC');
$pub->send(6, 2, u16(1));
is($pub->packet, '70 02 00 01', 'PUBCOMP');
is($c->message, 'd/two once', 'delivered');
$id = $c->{last}{id};
killed();
$c = $t->mqtt(4, 'stays', clean => 0);

my @packets = map { $c->message } 1 .. 2;
my ($two) = grep { $_ eq 'd/two once' } @packets;

ok($two, 'repeated after kill -9');
$c->send(5, 0, u16($id));
is($c->packet, '62 02 ' . hex_of(u16($id)), 'released');
killed();
$c = $t->mqtt(4, 'stays', clean => 0);
is($c->packet, '20 02 01 00', 'connack') if $c->{connack} eq '';
is($c->packet, '62 02 ' . hex_of(u16($id)), 'PUBREL is repeated, no PUBLISH');
$c->send(7, 0, u16($id));
ok($t->wait_for(5, sub { !$t->value('SELECT count(*) FROM iot.mqtt_queue'
    . " WHERE topic = 'd/two'") }), 'done');

# QoS 2 from a stored session
$pub = $t->mqtt(4, 'sender', clean => 0);
$pub->publish('d/from', 'held', qos => 2, id => 77);
is($pub->packet, '50 02 00 4d', 'PUBREC');
killed();
$pub = $t->mqtt(4, 'sender', clean => 0);
is($pub->{connack}, '20 02 01 00', 'the sender is back');
$c = $t->mqtt(4, 'stays', clean => 0);
$pub->send(6, 2, u16(77));
is($pub->packet, '70 02 00 4d', 'PUBCOMP');
my @all = map { $c->message(1) } 1 .. 3;
is(scalar(grep { $_ eq 'd/from held' } @all), 1, 'delivered once');

# the end of a session
$c->send(14, 0, '');
$c = $t->mqtt(4, 'stays', clean => 1);
is($c->{connack}, '20 02 00 00', 'a clean session ends the stored one');
$c->send(14, 0, '');
$c = $t->mqtt(4, 'stays', clean => 0);
is($c->{connack}, '20 02 00 00', '... for good');

$c = $t->mqtt(5, 'short', clean => 0, expiry => 1);
$c->subscribe('s', 1);
$c->close;
ok($t->wait_for(20, sub { !$t->value('SELECT count(*) FROM iot.mqtt_session'
    . " WHERE client_id = 'short'") }), 'a session expires');

# a session moves between workers with all it has
for my $i (1 .. 10) {
    $c = $t->mqtt(4, 'mover', clean => 0);
    $c->subscribe('mv', 1) if $i == 1;
    $pub->publish('mv', "to $i", qos => 1, id => $i);
    is($pub->packet, '40 02 ' . hex_of(u16($i)), 'acknowledged');
    is($c->message, "mv to $i", "mover $i");
    $c->send(12, 0, '');
    is($c->packet, 'd0 00', 'the acknowledgement has been read');
}

$t->finish;
done_testing();
