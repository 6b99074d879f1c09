#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# CONNECT and CONNACK as MQTT says: what a session is to each version, who
# is refused with which words, the keep alive, the end.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Test::More;
use Time::HiRes qw(time);
use IotTest::Mqtt;

my $t = IotTest::Mqtt->start(workers => 2,
    directives => 'iot_mqtt_max_keepalive 60;');
my ($c, $d, $answer);


# sends bytes to a new connection; the first answer, and whether it closes
sub first {
    my ($bytes) = @_;
    my $raw = $t->raw;
    my $got;

    $raw->bytes($bytes);
    $got = $raw->packet;

    return 'closed' if $got eq 'closed';
    return $got . ', ' . ($raw->packet(3) || 'open');
}


# CONNECT with what follows the flags and the keep alive of 60 s
sub connect_packet {
    my ($name, $level, $flags, $rest) = @_;

    return packet(1, 0, str($name) . chr($level) . chr($flags) . u16(60)
        . $rest);
}


# leaves in peace
sub leave {
    my ($client, $body) = @_;

    $client->send(14, 0, defined $body ? $body : '');

    my $end = $client->packet;

    $end = $client->packet while $end =~ /^[34]/;

    return $end;
}


sub present {
    my ($version, $id, %o) = @_;

    $c = $t->mqtt($version, $id, %o);

    return $c->{connack} =~ /^20 \w\w (\w\w) 00/ ? hex($1) : $c->{connack};
}


# --- names, levels and flags

is(first(connect_packet('MQTT', 3, 2, str('a'))), '20 02 00 01, closed',
    'MQTT, level 3');
is(first(connect_packet('MQIsdp', 4, 2, str('a'))), '20 02 00 01, closed',
    'MQIsdp, level 4');
is(first(connect_packet('mqtt', 4, 2, str('a'))), 'closed', 'small letters');
is(first(connect_packet('', 4, 2, str('a'))), 'closed', 'no name');
is(first(connect_packet('MQTT', 6, 2, "\0" . str('a'))),
    '20 03 00 84 00, closed', 'level 6');
is(first(connect_packet('MQTT', 2, 2, str('a'))), '20 03 00 84 00, closed',
    'level 2');

for (['a reserved flag', 0x03, str('a')],
     ['QoS without a will', 0x0a, str('a')],
     ['retain without a will', 0x22, str('a')],
     ['a will of QoS 3', 0x1e, str('a') . str('w') . str('p')],
     ['a password without a user', 0x42, str('a') . str('p')],
     ['a will that is not there', 0x06, str('a')],
     ['a user that is not there', 0x82, str('a')],
     ['a will topic with a wildcard', 0x06, str('a') . str('w/#') . str('')],
     ['an empty will topic', 0x06, str('a') . str('') . str('x')],
     ['bytes left over', 0x02, str('a') . 'x'],
     ['an identifier that is not UTF-8', 0x02, str("a\xff")],
     ['an identifier with U+0000', 0x02, str("a\0b")],
     ['an identifier with a control character', 0x02, str("a\x01")],
     ['an identifier that is a non-character', 0x02, str("\xef\xbf\xbf")],
     ['a user that is not UTF-8', 0x82, str('a') . str("\xc3")])
{
    my ($name, $flags, $rest) = @$_;

    is(first(connect_packet('MQTT', 4, $flags, $rest)), 'closed',
        "3.1.1: $name");

    next if $name eq 'a password without a user';

    # the will has properties in 5.0
    $rest =~ s/^(..a)/$1\0/s if $flags & 4;
    like(first(connect_packet('MQTT', 5, $flags, "\0$rest")),
        qr/^(?:20 03 00 (?:81|82|85|90) 00, )?closed$/, "5.0: $name");
}

# properties that are wrong
for (['the receive maximum is 0', "\x21\0\0"],
     ['the packet size is 0', "\x27\0\0\0\0"],
     ['problem information is 2', "\x17\2"],
     ['response information is 2', "\x19\2"],
     ['a property twice', "\x21\0\1\x21\0\1"],
     ['a property of CONNACK', "\x12\0\1x"],
     ['a property of PUBLISH', "\x01\0"],
     ['an unknown property', "\x50\0"],
     ['data without a method', "\x16\0\1x"],
     ['a property cut short', "\x11\0\0"])
{
    my ($name, $props) = @$_;

    like(first(connect_packet('MQTT', 5, 2, chr(length($props)) . $props
        . str('a'))), qr/^20 03 00 8[12] 00, closed$/, $name);
}

is(first(connect_packet('MQTT', 5, 2, "\x06\x21\0\1" . str('a'))),
    '20 03 00 81 00, closed', 'more properties than bytes');

# --- client identifiers

like(first(connect_packet('MQIsdp', 3, 2, str(''))), qr/^20 02 00 02, closed$/,
    '3.1: an empty identifier');
$c = $t->mqtt(3, 'x' x 40);
is($c->{connack}, '20 02 00 00', '3.1: 40 characters');
$c = $t->mqtt(4, '');
is($c->{connack}, '20 02 00 00', '3.1.1: an empty one, with a clean session');
is($c->subscribe('auto', 0), '90 03 00 01 00', '... which works');
like(first(connect_packet('MQTT', 4, 0, str(''))), qr/^20 02 00 02, closed$/,
    '3.1.1: and without');

my %assigned;

for my $clean (0, 1) {
    $c = $t->mqtt(5, '', clean => $clean, expiry => 60);
    like($c->{connack}, qr/^20 \w\w 00 00 .*12 00 29 (?:\w\w ){41}/,
        "5.0: one is assigned, clean start $clean");
    ($answer) = $c->{connack} =~ /12 00 29 ((?:\w\w ){40}\w\w)/;
    $assigned{pack('H*', join('', split(/ /, $answer)))} = 1;
    leave($c);
}

is(scalar(keys %assigned), 2, '... another each time');
is(present(5, (keys %assigned)[0], clean => 0, expiry => 60), 1,
    '... with which one comes back');
is(present(4, "caf\xc3\xa9/+#\xf0\x9f\x98\x80"), 0,
    'an identifier may be anything in UTF-8');
is(present(4, 'x' x 65535), 0, '... and long');
is(present(5, 'Case', clean => 0, expiry => 60), 0, 'a session');
leave($c);
is(present(5, 'case', clean => 0, expiry => 60), 0, 'small letters differ');
leave($c);

# --- session present

is(present(5, 's', clean => 0, expiry => 100), 0, 'clean 0: no session yet');
is(leave($c), 'closed', '... leaves');
is(present(5, 's', clean => 0, expiry => 100), 1, 'clean 0: it is there');
$c->close;
is(present(5, 's', clean => 0, expiry => 100), 1, '... also after a break');
$d = $c;
is(present(5, 's', clean => 0, expiry => 100), 1, '... and on take-over');
is($d->packet, 'e0 01 8e', 'the old one is told');
is($d->packet, 'closed', '... and closed');
leave($c);
is(present(5, 's', clean => 1, expiry => 100), 0, 'clean 1: anew');
leave($c);
is(present(5, 's', clean => 0, expiry => 0), 1, 'what clean 1 made stays');
leave($c);
is(present(5, 's', clean => 0, expiry => 100), 0,
    'an expiry of 0 has ended it');
leave($c, "\0\5\x11" . u32(0));
is(present(5, 's', clean => 0, expiry => 100), 0,
    'DISCONNECT with an expiry of 0 too');
leave($c, "\0\5\x11" . u32(200));
ok($t->wait_for(10, sub {
    $t->value('SELECT expires_at - iot.now_ms() FROM iot.mqtt_session'
        . " WHERE client_id = 's'") > 150000
}), 'it may be changed');
is(present(5, 's', clean => 0, expiry => 9), 1, 'present');
leave($c, "\0\5\x11" . u32(0xffffffff));
ok($t->wait_for(10, sub {
    $t->value("SELECT expiry FROM iot.mqtt_session WHERE client_id = 's'")
        == 30 * 86400
}), '... within the same limit');
is(present(5, 's', clean => 0), 1, 'one without an expiry finds it');
$c->subscribe('s/#', 1);
$d = $t->mqtt(5, 's', clean => 0);
is($c->packet, 'e0 01 8e', 'taken over');
like($d->{connack}, qr/^20 \w\w 00 00/, '... it has ended with the first');
leave($d);
ok($t->wait_for(10, sub {
    !$t->value("SELECT count(*) FROM iot.mqtt_session WHERE client_id = 's'")
}),
    'and its rows are gone');
is(present(5, 's', clean => 0, expiry => 0xffffffff), 0, 'without: 0');
like($c->{connack}, qr/ 11 00 27 8d 00/, 'for ever is 30 days, and is told');
leave($c);
is(present(5, 's', clean => 0, expiry => 1), 1, 'present');
$c->close;
ok($t->wait_for(15, sub { !$t->value('SELECT count(*) FROM iot.mqtt_session'
    . " WHERE client_id = 's'") }), 'and gone when its second is over');
is(present(5, 's', clean => 0, expiry => 100), 0, '... for the client too');
leave($c);

is(present(4, 'v', clean => 0), 0, '3.1.1: no session yet');
leave($c);
is(present(4, 'v', clean => 0), 1, '... present');
$c->subscribe('v/#', 1);
leave($c);
is(present(5, 'v', clean => 0, expiry => 100), 1, '5.0 resumes it');
$d = $t->mqtt(4, 'pub');
$d->publish('v/1', 'x', qos => 1, id => 1);
is($d->packet, '40 02 00 01', 'acknowledged');
is($c->message, 'v/1 x', '... with its subscriptions');
leave($c);
is(present(4, 'v', clean => 1), 0, '3.1.1: a clean session');
leave($c);
is(present(4, 'v', clean => 0), 0, '... leaves nothing');
$c->subscribe('v/#', 1);
leave($c);
$d->publish('v/2', 'y', qos => 1, id => 2);
is($d->packet, '40 02 00 02', 'acknowledged');
is(present(3, 'v', clean => 0), 0, '3.1 is not told');
is($c->message, 'v/2 y', '... but has it');
is(leave($c), 'closed', 'leaves');
is(present(5, 'v', clean => 0, expiry => 9), 1, 'the session of 3.1 in 5.0');
leave($c);

# a refused one says 0, and does no harm
like(first(connect_packet('MQTT', 5, 0, "\x05\x11" . u32(9) . str('v')
    . 'left over')), qr/^20 03 00 81 00, closed$/, 'refused: not present');
is(present(5, 'v', clean => 0, expiry => 9), 1, '... the session is unharmed');

# --- enhanced authentication is refused

for my $method ('SCRAM-SHA-256', '', 'GS2-KRB5') {
    my $props = "\x15" . str($method) . "\x16" . str("\0data");

    is(first(connect_packet('MQTT', 5, 2, chr(length($props)) . $props
        . str('a')) . packet(15, 0, "\x18\0")), '20 03 00 8c 00, closed',
        "the method \"$method\" is refused");
}

is(first(packet(15, 0, "\x18\0")), 'closed', 'AUTH is no beginning');

for my $body ('', "\x18", "\x19\0", "\x18\x04\x15\0\1x") {
    $c = $t->mqtt(5, 'auth');
    unlike($c->{connack}, qr/ (?:15|16) 00 0d/, 'no method in CONNACK');
    $c->send(15, 0, $body);
    is($c->packet, 'e0 01 82', 'AUTH when none was begun');
    is($c->packet, 'closed', '... ends it');
}

for my $version (3, 4) {
    $c = $t->mqtt($version, 'auth');
    $c->send(15, 0, '');
    is($c->packet, 'closed', "AUTH before 5.0: level $version");
}

# --- the keep alive

for ([0, '13 00 3c'], [120, '13 00 3c'], [60, ''], [10, '']) {
    my ($asked, $told) = @$_;

    $c = $t->mqtt(5, 'keep', keep => $asked);

    if ($told) {
        like($c->{connack}, qr/ $told/, "a keep alive of $asked is changed");

    } else {
        unlike($c->{connack}, qr/ 13 00/, "a keep alive of $asked stays");
    }
}

for my $version (3, 4) {
    $c = $t->mqtt($version, 'keep', keep => 0);
    is($c->{connack}, '20 02 00 00', "level $version cannot be told");
}

for my $version (4, 5) {
    my $watch = $t->mqtt(4, 'watch');

    $watch->subscribe('kept/#', 0);
    $c = $t->mqtt($version, 'quiet', keep => 1, will => {
        topic => 'kept/will', payload => 'quiet' });
    $c->subscribe('noise', 0);

    my $start = time();

    undef $answer;

    # what is sent to it does not count, nor does half a packet
    $c->bytes("\xc0");
    $watch->publish('noise', 'x');

    $answer = $c->packet while !defined $answer || $answer =~ /^30/;
    is($answer, $version == 5 ? 'e0 01 8d' : 'closed', 'too quiet');
    cmp_ok(time() - $start, '>=', 1.3, '... after its time');
    cmp_ok(time() - $start, '<', 3, '... soon');
    is($watch->message, 'kept/will quiet', '... and its will is published');
}

# whole packets of any kind count
$c = $t->mqtt(4, 'alive', keep => 1);

for my $i (1 .. 4) {
    is($c->packet(0.8), '', 'quiet') for 1;
    $c->publish('alive', $i);
}

$c->send(12, 0, '');
is($c->packet, 'd0 00', 'a client that publishes is alive');

# --- the end

for my $reason (0x00, 0x04, 0x80 .. 0x83, 0x90, 0x93 .. 0x99) {
    $c = $t->mqtt(5, 'end');
    is(leave($c, chr($reason)), 'closed',
        sprintf('DISCONNECT 0x%02x is not answered', $reason));
}

$c = $t->mqtt(5, 'end');
is(leave($c, "\0\x0d\x1f" . str('bye') . "\x26" . str('a') . str('b')),
    'closed', 'with a reason in words');
$c = $t->mqtt(5, 'end', expiry => 0);
like(leave($c, "\0\5\x11" . u32(5)), qr/^e0 0[12] 82/,
    'no session cannot become one');
$c = $t->mqtt(4, 'end');
is(leave($c, "\0"), 'closed', 'DISCONNECT with a body in 3.1.1');

# nothing after DISCONNECT counts
$d = $t->mqtt(4, 'watch');
$d->subscribe('after', 0);
$c = $t->mqtt(4, 'end');
$c->bytes(packet(14, 0, '') . packet(3, 0, str('after') . 'x'));
is($c->packet, 'closed', 'closed');
$c = $t->mqtt(4, 'end');
$c->publish('after', 'y');
is($d->message, 'after y', 'what follows a DISCONNECT is not read');

# what a refused client sent is not read either
is(first(connect_packet('MQTT', 5, 2, "\x04\x15" . str('x') . str('a'))
    . packet(3, 0, str('after') . "\0z")), '20 03 00 8c 00, closed',
    'refused');
$c->publish('after', 'last');
is($d->message, 'after last', '... and nothing of it was published');

$t->finish;
done_testing();
