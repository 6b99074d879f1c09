#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# SUBSCRIBE, UNSUBSCRIBE, what topics match, retained messages and the options
# of subscriptions as MQTT says.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Test::More;
use IotTest::Mqtt;

my $t = IotTest::Mqtt->start(workers => 2);
my $p = $t->mqtt(5, 'publisher');
my ($c, $d, $packet);


sub publish {
    my ($topic, $payload, %o) = @_;

    $p->publish($topic, $payload, qos => 1, id => 7, %o);
    like($p->packet, qr/^40 0[23] 00 07/, "published $topic");
}


# several filters, each with its options, in one packet
sub subscribe {
    my ($client, @pairs) = @_;
    my $body = u16(5) . ($client->{version} == 5 ? "\0" : '');

    $body .= str(shift(@pairs)) . chr(shift(@pairs)) while @pairs;
    $client->send(8, 2, $body);

    return $client->packet;
}


sub unsubscribe {
    my ($client, @filters) = @_;

    $client->send(10, 2, u16(6) . ($client->{version} == 5 ? "\0" : '')
        . join('', map { str($_) } @filters));

    return $client->packet;
}


# --- what matches

my @match = (
    ['a', 'a', 1], ['a', 'A', 0], ['a', '/a', 0], ['a/', 'a', 0],
    ['a/#', 'a', 1], ['a/#', 'a/', 1], ['a/#', 'a/b/c', 1], ['a/#', 'ab', 0],
    ['#', 'a/b', 1], ['#', '/', 1], ['#', '$a/b', 0], ['+/b', '$a/b', 0],
    ['$a/#', '$a/b', 1], ['$a/+', '$a/b', 1], ['+', 'a', 1], ['+', '/a', 0],
    ['+/+', '/a', 1], ['/+', '/a', 1], ['a/+', 'a/', 1], ['a/+', 'a', 0],
    ['a/+/c', 'a//c', 1], ['a/+/c', 'a/b/d/c', 0], ['+/b/#', 'a/b', 1],
    ['a/ b', 'a/ b', 1], ["caf\xc3\xa9", "cafe\xcc\x81", 0],
);

for my $case (@match) {
    my ($filter, $topic, $matches) = @$case;

    $c = $t->mqtt(5, 'matches');
    is($c->subscribe($filter, 0), '90 04 00 01 00 00', "subscribed $filter");
    $p->publish($topic, '', qos => 1, id => 8);
    is($p->packet, $matches ? '40 02 00 08' : '40 03 00 08 10',
        "$filter and $topic");
    like($c->packet, qr/^30/, '... arrives') if $matches;
    $c->send(14, 0, '');
    is($c->packet, 'closed', 'leaves');
}

# --- filters that are none

for my $filter ('', 'a#', 'a/#/b', '#/a', 'a+', '+a/b', 'a/b+', "a\0", "\xff",
    '$share/', '$share/g', '$share//a', '$share/g+/a', '$share/g#/a',
    '$share/g/', '$share/g/a#')
{
    for my $type (8, 10) {
        for my $version (4, 5) {
            $c = $t->mqtt($version, 'filter');
            $c->send($type, 2, u16(1) . ($version == 5 ? "\0" : '')
                . str($filter) . ($type == 8 ? "\0" : ''));

            my $end = $c->packet;

            like($end, $version == 5
                ? qr/^(?:e0 01 8[12]|(?:9|b)0 04 00 01 00 8f)$/
                : qr/^(?:closed|90 03 00 01 80)$/,
                'no filter: ' . hex_of($filter) . ", $version, packet $type");
        }
    }
}

# --- answers

for my $version (4, 5) {
    my $empty = $version == 5 ? '00 ' : '';

    $c = $t->mqtt($version, 'answers');
    is(subscribe($c, 'a', 0, 'b', 1, 'c', 2, 'a', 1), '90 '
        . ($version == 5 ? '07' : '06') . " 00 05 ${empty}00 01 02 01",
        "a reason for each, in order, version $version");
    publish('a', 'once');
    is($c->message, 'a once', 'the same filter again');
    is($c->{last}{qos}, 1, '... with the later QoS');
    is($c->packet(0.2), '', '... once');
    is(unsubscribe($c, 'a', 'x', 'b', 'a'), $version == 5
        ? 'b0 07 00 06 00 00 11 00 11' : 'b0 02 00 06', 'unsubscribed');
    $p->publish($_, 'no') for 'a', 'b';
    $p->publish('c', 'yes');
    is($c->message, 'c yes', 'what is left');
    is(unsubscribe($c, 'C', 'c/#', '+'), $version == 5
        ? 'b0 06 00 06 00 11 11 11' : 'b0 02 00 06',
        'only the same filter is the same');
    $p->publish('c', 'still');
    is($c->message, 'c still', 'it is there');
}

# shared ones by their whole name
$c = $t->mqtt(5, 'answers');
$c->subscribe('$share/g/s', 1);
is(unsubscribe($c, 's', '$share/h/s', '$share/g/s', '$share/g/s'),
    'b0 07 00 06 00 11 11 00 11', 'a share by its whole name');

# what waits is delivered all the same, and finished
$c = $t->mqtt(5, 'waits', props => "\x21\0\1");
$c->{mute} = 1;
$c->subscribe('waits', 1);
publish('waits', $_) for 'one', 'two';
is($c->message, 'waits one', 'one in flight');
is(unsubscribe($c, 'waits'), 'b0 04 00 06 00 00', 'unsubscribed');
$p->publish('waits', 'three');
$c->send(4, 0, u16(1));
is($c->message, 'waits two', 'what has waited comes');
$c->send(4, 0, u16(2));
is($c->packet(0.2), '', '... and no more');

# --- QoS: the lower one

for my $granted (0 .. 2) {
    for my $qos (0 .. 2) {
        $c = $t->mqtt(4, 'lower');
        $c->subscribe('lower', $granted);
        $p->publish('lower', 'x', qos => $qos, id => 3);

        if ($qos) {
            $p->packet;
            $p->send(6, 2, u16(3)) if $qos == 2;
            $p->packet if $qos == 2;
        }

        $c->message;
        is($c->{last}{qos}, $qos < $granted ? $qos : $granted,
            "QoS $qos to a subscription of $granted");
    }
}

# --- subscription identifiers

$c = $t->mqtt(5, 'ids');
$c->subscribe('id/a', 0, props => "\x0b\x07");
$p->publish('id/a', 'x');
like($c->packet, qr/ 02 0b 07 78$/, 'an identifier');
$c->subscribe('id/a', 0, props => "\x0b\xff\xff\xff\x7f");
$p->publish('id/a', 'x');
like($c->packet, qr/ 05 0b ff ff ff 7f 78$/, 'another one: the largest');
$c->subscribe('id/a', 0);
$p->publish('id/a', 'x');
like($c->packet, qr/ 00 78$/, 'and none again');
publish('id/r', 'x', retain => 1);
$c->subscribe('id/r', 0, props => "\x0b\x09");
like($c->packet, qr/^31 .* 02 0b 09 78$/, 'with a retained message too');
$c->subscribe('id/b', 0, props => "\x0b\x01\x0b\x02");
like($c->packet, qr/^(?:e0 01 8[12]|closed)$/, 'two are an error')
    if $c->{in} eq '' && !$c->{eof};

# stored, with the session
$c = $t->mqtt(5, 'ids', clean => 0, expiry => 60);
$c->subscribe('id/s', 1, props => "\x0b\x2a");
$c->send(14, 0, '');
is($c->packet, 'closed', 'leaves');
publish('id/s', 'x');
$c = $t->mqtt(5, 'ids', clean => 0, expiry => 60);
like($c->packet, qr/^32 .* 02 0b 2a 78$/, 'kept with the session');
$c = $t->mqtt(5, 'ids', clean => 1);

# --- retained messages

publish('ret/a', 'A', retain => 1);
publish('ret/b', 'B', retain => 1, qos => 1);
publish('ret/$c', 'C', retain => 1);
$c = $t->mqtt(5, 'handling');

for (['0: all', 0x00, 1], ['0: each time', 0x00, 1], ['1: not again', 0x10, 0],
     ['2: never', 0x20, 0])
{
    my ($name, $options, $comes) = @$_;

    $c->subscribe('ret/a', $options);
    is($c->packet($comes ? 5 : 0.2), $comes
        ? '31 09 00 05 72 65 74 2f 61 00 41' : '', "retain handling $name");
}

is(unsubscribe($c, 'ret/a'), 'b0 04 00 06 00 00', 'unsubscribed');
$c->subscribe('ret/a', 0x20);
is($c->packet(0.2), '', 'retain handling 2: nor if it is new');
unsubscribe($c, 'ret/a');
$c->subscribe('ret/a', 0x10);
is($c->message, 'ret/a A', 'retain handling 1: if it is new');
unsubscribe($c, 'ret/a');
$c->subscribe('$share/g/ret/a', 0);
is($c->packet(0.2), '', 'none for a shared subscription');

$c = $t->mqtt(5, 'each');
$packet = subscribe($c, 'ret/a', 0, 'ret/#', 0);
is($packet, '90 05 00 05 00 00 00', 'SUBACK first');
is(join(' ', sort map { $c->message } 1 .. 4),
    'ret/$c C ret/a A ret/a A ret/b B', 'each filter has its own');

# flags
$c = $t->mqtt(5, 'flags');
$d = $t->mqtt(5, 'asis');
$c->subscribe('flag', 1);
$d->subscribe('flag', 1 | 8);
publish('flag', 'x', retain => 1);
$_->message for $c, $d;
is($c->{last}{first} & 1, 0, 'RETAIN 0 for a subscription that was there');
is($d->{last}{first} & 1, 1, '... but as it was published if asked for');
publish('flag', 'y');
$_->message for $c, $d;
is($d->{last}{first} & 1, 0, '... which may be 0');
publish('flag', '', retain => 1);
$_->message for $c, $d;
$c = $t->mqtt(5, 'flags');
$c->subscribe('flag', 1);
is($c->packet(0.2), '', 'an empty one removes it');
publish('flag', 'z');
is($c->message, 'flag z', 'RETAIN 0 is delivered');
$d = $t->mqtt(5, 'asis');
$d->subscribe('flag', 1);
is($d->packet(0.2), '', '... and not kept');

# DUP does not reach others
$p->publish('flag', 'dup', qos => 1, id => 9, dup => 1);
is($p->packet, '40 02 00 09', 'a duplicate');
is($c->message, 'flag dup', '... arrives');
is($c->{last}{first} & 8, 0, '... as a message like others');

# --- no local, also of what waits

$c = $t->mqtt(5, 'own', clean => 0, expiry => 60);
$c->subscribe('own', 1 | 4);
$c->publish('own', 'mine', qos => 1, id => 1);
like($c->packet, qr/^40 0[23] 00 01/, 'acknowledged');
is($c->packet(0.2), '', 'not to the one who published');
publish('own', 'other');
is($c->message, 'own other', 'but others');
publish('own', 'kept', retain => 1);
is($c->message, 'own kept', '... theirs');
$c->publish('own', 'mine', qos => 1, id => 1, retain => 1);
like($c->packet, qr/^40 0[23] 00 01/, 'acknowledged');
$c->subscribe('own', 1 | 4);
is($c->message, 'own mine', 'a retained one is not forwarded, but sent');

# --- one error is one connection's

$c = $t->mqtt(5, 'bystander');
$c->subscribe('by', 0);
$d = $t->mqtt(5, 'offender');
$d->send(3, 6, 'x');
is($d->packet, 'e0 01 81', 'an error');
is($d->packet, 'closed', '... ends its connection');
$p->publish('by', 'x');
is($c->message, 'by x', '... and no other');

$t->finish;
done_testing();
