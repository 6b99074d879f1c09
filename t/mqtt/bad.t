#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# Packets that must end a connection, whole and cut at every byte; the others
# do not notice.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Test::More;
use Time::HiRes qw(sleep);
use IotTest::Mqtt;

my $t = IotTest::Mqtt->start;
my $witness = $t->mqtt(5, 'witness');

# packets of 5.0 and the reasons that may be given
my @bad = (
    ['type 0', packet(0, 0, ''), '81|82'],
    ['CONNACK', packet(2, 0, "\0\0\0"), '82|81'],
    ['SUBACK', packet(9, 0, "\0\1\0\0"), '82|81'],
    ['UNSUBACK', packet(11, 0, "\0\1\0\0"), '82|81'],
    ['PINGRESP', packet(13, 0, ''), '82|81'],
    ['AUTH', packet(15, 0, ''), '82'],
    ['QoS 3', packet(3, 6, str('a') . "\0\1\0x"), '81'],
    ['DUP with QoS 0', packet(3, 8, str('a') . "\0x"), '81'],
    ['identifier 0', packet(3, 2, str('a') . "\0\0\0x"), '82|81'],
    ['wildcard in a name', packet(3, 0, str('a/+') . "\0x"), '81|90|82'],
    ['no topic', packet(3, 0, str('') . "\0x"), '82|81'],
    ['NUL in a name', packet(3, 0, str("a\0b") . "\0x"), '81'],
    ['bad UTF-8', packet(3, 0, str("\xc0\x80") . "\0x"), '81'],
    ['a surrogate', packet(3, 0, str("\xed\xa0\x80") . "\0x"), '81'],
    ['a topic too long for its packet', packet(3, 0, "\0\x09a"), '81'],
    ['properties cut short', packet(3, 0, str('a') . "\x05\x01"), '81'],
    ['an unknown property', packet(3, 0, str('a') . "\x02\x7f\x00"), '81|82'],
    ['a property twice', packet(3, 0, str('a') . "\x04\x01\0\x01\0"), '82|81'],
    ['a subscription identifier', packet(3, 0, str('a') . "\x02\x0b\x01"),
        '82|81'],
    ['201 levels', packet(3, 0, str('/' x 201) . "\0x"), '81|90'],
    ['SUBSCRIBE without a filter', packet(8, 2, "\0\1\0"), '81|82'],
    ['SUBSCRIBE with flags 0', packet(8, 0, "\0\1\0" . str('a') . "\0"), '81'],
    ['QoS 3 in options', packet(8, 2, "\0\1\0" . str('a') . "\3"), '81|82'],
    ['reserved options', packet(8, 2, "\0\1\0" . str('a') . "\x40"), '81|82'],
    ['a misplaced #', packet(8, 2, "\0\1\0" . str('a/#/b') . "\0"), '81|8f'],
    ['a misplaced +', packet(8, 2, "\0\1\0" . str('a+') . "\0"), '81|8f'],
    ['UNSUBSCRIBE without a filter', packet(10, 2, "\0\1\0"), '81|82'],
    ['PUBREL with flags 0', packet(6, 0, "\0\1"), '81'],
    ['PINGREQ with a body', packet(12, 0, 'x'), '81'],
    ['an overlong length', "\x30\x81\x80\x00", '81'],
    ['five bytes of length', "\x30\xff\xff\xff\xff\x01", '81'],
    ['SUBSCRIBE with identifier 0', packet(8, 2, "\0\0\0" . str('a') . "\0"),
        '82|81'],
    ['UNSUBSCRIBE with identifier 0', packet(10, 2, "\0\0\0" . str('a')),
        '82|81'],
    ['PUBACK with identifier 0', packet(4, 0, "\0\0"), '82|81'],
    ['PUBREC with identifier 0', packet(5, 0, "\0\0"), '82|81'],
    ['PUBCOMP with identifier 0', packet(7, 0, "\0\0"), '82|81'],
    ['PUBREL with identifier 0', packet(6, 2, "\0\0"), '82|81'],
    ['a response topic with a wildcard',
        packet(3, 0, str('a') . "\x06\x08\0\3a/+"), '82|81'],
    ['an empty response topic', packet(3, 0, str('a') . "\3\x08\0\0"),
        '82|81'],
    ['a format that is neither 0 nor 1', packet(3, 0, str('a') . "\2\1\2"),
        '82|81'],
    ['alias 0', packet(3, 0, str('a') . "\3\x23\0\0x"), '94|82'],
    ['an alias that is not known', packet(3, 0, "\0\0\3\x23\0\1x"), '82'],
    ['a second CONNECT', packet(1, 0, str('MQTT') . "\5\2\0\0\0\0\1a"),
        '82'],
    ['no local of a share', packet(8, 2, "\0\1\0" . str('$share/g/a') . "\4"),
        '82'],
    ['a share without a name', packet(8, 2, "\0\1\0" . str('$share//a') . "\0"),
        '82|81|8f'],
    ['subscription identifier 0', packet(8, 2, "\0\1\2\x0b\0" . str('a')
        . "\0"), '82|81'],
    ['DISCONNECT with flags', packet(14, 1, ''), '81'],
    ['an expiry for a session without', packet(14, 0, "\0\5\x11\0\0\0\1"),
        '82'],
    ['bytes left over', packet(4, 0, "\0\1\0\0\0"), '81|82'],
);

for my $case (@bad) {
    my ($name, $bytes, $reasons) = @$case;

    for my $at (0 .. (length($bytes) < 40 ? length($bytes) - 1 : 0)) {
        my $c = $t->mqtt(5, "bad$at");

        if ($at) {
            $c->bytes(substr($bytes, 0, $at));
            sleep(0.001);
        }

        $c->bytes(substr($bytes, $at));

        my $answer = $c->packet;

        like($answer, qr/^(?:e0 (?:01|02) (?:$reasons)(?: 00)?|closed)$/,
            "$name, cut at $at");
        is($c->packet, 'closed', '... is the end') if $answer ne 'closed';
        $c->close;
    }
}

# 3.1.1 knows no answer
for my $bytes (packet(3, 6, str('a') . "\0\1x"), packet(8, 2, "\0\1"),
    packet(15, 0, ''), packet(8, 2, "\0\1" . str('a') . "\4"))
{
    my $c = $t->mqtt(4, 'bad4');

    $c->bytes($bytes);
    is($c->packet, 'closed', 'closed in 3.1.1');
}

# promises of length cost nothing
for my $i (1 .. 50) {
    my $c = $t->raw;

    $c->bytes("\x10\xff\xff\xff\x7f\0\4MQTT");
}

# 200 levels are none too many
my $c = $t->mqtt(5, 'deep');
is($c->subscribe('/' x 200, 0), '90 04 00 01 00 00', 'a deep filter');
is($c->subscribe('+/' x 199 . '#', 0), '90 04 00 01 00 00', 'and a wide one');
$c->publish('/' x 199, 'x');
like($c->packet, qr/^30 /, '... match');

# many subscriptions in one packet
$c = $t->mqtt(4, 'many');
$c->send(8, 2, u16(1) . join('', map { str("m/$_") . "\0" } 1 .. 12000));
my $answer = $c->packet(20);
my @granted = split(/ /, $answer);
is(scalar(grep { $_ eq '00' } @granted[-12000 .. -1]), 10000,
    'only as many as a session may have');

$witness->send(12, 0, '');
is($witness->packet, 'd0 00', 'nobody else has noticed');

$t->finish;
done_testing();
