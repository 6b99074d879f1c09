#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# Messages of each QoS, between versions and workers, with what MQTT 5.0 adds.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Test::More;
use Time::HiRes qw(sleep time);
use IotTest::Mqtt;

my $t = IotTest::Mqtt->start(workers => 2,
    directives => 'iot_mqtt_receive_maximum 3; iot_mqtt_max_packet_size 64k;');
my ($a, $b, $c);

for my $version (3, 4, 5) {
    $a = $t->mqtt($version, "a$version");

    for my $other (4, 5) {
        $b = $t->mqtt($other, "b$version$other");
        like($b->subscribe("t/$version/+", 2), qr/^90 (?:03|04) .* 02$/,
            'subscribed');

        for my $qos (0 .. 2) {
            $a->publish("t/$version/x", "m$qos", qos => $qos, id => 7);

            if ($qos == 1) {
                is($a->packet, '40 02 00 07', "$version to $other: PUBACK");

            } elsif ($qos == 2) {
                is($a->packet, '50 02 00 07', 'PUBREC');
                $a->send(6, 2, u16(7));
                is($a->packet, '70 02 00 07', 'PUBCOMP');
            }

            is($b->message, "t/$version/x m$qos", "QoS $qos arrives");
            is($b->{last}{qos}, $qos, '... with its QoS');

            if ($qos == 2) {
                $b->send(5, 0, u16($b->{last}{id}));
                is($b->packet, '62 02 ' . IotTest::Mqtt::hex_of(
                    u16($b->{last}{id})), 'PUBREC is answered by PUBREL');
                $b->send(7, 0, u16($b->{last}{id}));
            }
        }

        $b->send(14, 0, '');
    }

    $a->send(14, 0, '');
}

# answers
$a = $t->mqtt(5, 'a');
$a->publish('nobody/listens', 'x', qos => 1, id => 3);
is($a->packet, '40 03 00 03 10', 'nobody listens');
$a->send(6, 2, u16(99));
is($a->packet, '70 03 00 63 92', 'PUBREL of nothing');
$a->publish('$SYS/x', 'x', qos => 1, id => 4);
is($a->packet, '40 03 00 04 87', 'nobody publishes to $SYS');

# a repeated PUBLISH of QoS 2 is one message
$b = $t->mqtt(4, 'b');
$b->subscribe('once/#', 2);
$a->publish('once/x', 'only', qos => 2, id => 5);
is($a->packet, '50 02 00 05', 'PUBREC');
$a->publish('once/x', 'only', qos => 2, id => 5, dup => 1);
is($a->packet, '50 02 00 05', 'PUBREC again');
is($b->packet(0.2), '', 'nothing before PUBREL');
$a->send(6, 2, u16(5));
is($a->packet, '70 02 00 05', 'PUBCOMP');
is($b->message, 'once/x only', 'one message');
is($b->packet(0.2), '', '... and no second one');

# aliases
$a->publish('once/alias', '1', props => "\x23\x00\x01");
$a->publish('', '2', props => "\x23\x00\x01");
is($b->message, 'once/alias 1', 'a topic with an alias');
is($b->message, 'once/alias 2', '... and by the alias alone');
$a->publish('x', '3', props => "\x23\x00\x0b");
like($a->packet, qr/^e0 (?:01|02) 94/, 'an alias over the maximum');

# more than the receive maximum
$a = $t->mqtt(5, 'a');
like($a->{connack}, qr/ 21 00 03/, 'the receive maximum is announced');

for my $id (1 .. 4) {
    $a->publish('q/x', 'x', qos => 2, id => $id);
}

my @got = map { $a->packet } 1 .. 4;
like($got[3], qr/^e0 (?:01|02) 93/, 'too many at once');

# overlapping subscriptions: one copy, with all identifiers
$a = $t->mqtt(5, 'a');
$b = $t->mqtt(5, 'overlap');
$b->subscribe('o/#', 1, props => "\x0b\x05");
$b->subscribe('o/+', 2, props => "\x0b\x06");
$a->publish('o/x', 'y', qos => 2, id => 1);
$a->packet;
$a->send(6, 2, u16(1));
is($a->packet, '70 02 00 01', 'released');
my $packet = $b->packet;
like($packet, qr/^34 /, 'at the highest QoS');
like($packet, qr/0b 05/, 'with one identifier');
like($packet, qr/0b 06/, '... and the other');
is($b->packet(0.2), '', 'once');

# options
$b = $t->mqtt(5, 'local');
$b->subscribe('l', 4);
$b->publish('l', 'mine');
is($b->packet(0.2), '', 'no local');
$a->publish('l', 'yours');
is($b->message, 'l yours', '... concerns only the own messages');
$b->subscribe('$share/g/l', 4);
$a->packet(0);
is($b->packet, 'closed', 'no local of a shared subscription is an error')
    or $b->packet;

# expiry
$b = $t->mqtt(5, 'expiry');
$b->subscribe('e', 1);
$a->publish('e', 'x', props => "\x02\x00\x00\x00\x0a\x26" . str('n')
    . str('v'));
like($b->packet, qr/02 00 00 00 0a 26 00 01 6e 00 01 76/,
    'expiry and user properties are passed on');

# retained
$a->publish('keep/1', 'one', retain => 1);
$a->publish('keep/2', 'two', retain => 1, qos => 1, id => 9);
$a->packet;
$b = $t->mqtt(4, 'keeper');
$b->subscribe('keep/#', 1);
is(join(',', sort($b->message, $b->message)), 'keep/1 one,keep/2 two',
    'retained messages come with the subscription');
is($b->{last}{first} & 1, 1, '... marked');
$a->publish('keep/1', '', retain => 1);
is($b->message, 'keep/1 ', 'the message that deletes is delivered');
is($b->{last}{first} & 1, 0, '... unmarked');
$c = $t->mqtt(5, 'late');
$c->subscribe('keep/#', 0);
is($c->message, 'keep/2 two', 'one is left');
is($c->packet(0.2), '', '... only');
$c->subscribe('keep/#', 0x10);
is($c->packet(0.2), '', 'retain handling 1: not again');

# large
$a->publish('big', 'x' x 65536);
like($a->packet, qr/^e0 (?:01|02) 95/, 'a packet over the limit');
$a = $t->mqtt(4, 'a');
$b = $t->mqtt(4, 'big');
$b->subscribe('big', 1);
$a->publish('big', 'y' x 60000);
is(length($b->message), 60004, 'a large one passes');

# wills
$c = $t->mqtt(4, 'dies', will => { topic => 'will/c', payload => 'gone' });
$b->subscribe('will/#', 1);
$c->close;
is($b->message, 'will/c gone', 'a will when the connection breaks');
$c = $t->mqtt(4, 'leaves', will => { topic => 'will/c', payload => 'no' });
$c->send(14, 0, '');
is($b->packet(0.3), '', 'none after DISCONNECT');
$c = $t->mqtt(5, 'with', will => { topic => 'will/c', payload => 'yes' });
$c->send(14, 0, "\x04");
is($b->message, 'will/c yes', 'DISCONNECT with will');

$c = $t->mqtt(5, 'later', expiry => 60, will => { topic => 'will/d',
    payload => 'late', props => "\x18" . u32(1) });
my $start = time();
$c->close;
is($b->message, 'will/d late', 'a delayed will');
cmp_ok(time() - $start, '>=', 0.95, '... not before its time');
cmp_ok(time() - $start, '<', 2.5, '... nor long after it');

$t->finish;
done_testing();
