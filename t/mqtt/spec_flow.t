#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# Messages on their way to clients as MQTT says: windows, identifiers, what is
# repeated, packet sizes, aliases, expiry, requests and their answers.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Test::More;
use IotTest::Mqtt;

my $t = IotTest::Mqtt->start(workers => 2,
    directives => 'iot_mqtt_receive_maximum 4;');
my $p = $t->mqtt(5, 'publisher');
my ($c, $d, @got, %seen);


# publishes with an acknowledgement
sub publish {
    my ($topic, $payload, %o) = @_;
    my $qos = $o{qos};

    $p->publish($topic, $payload, %o, id => 77);
    return if !$qos;

    my $ack = $p->packet;

    if ($qos == 2) {
        $p->send(6, 2, u16(77));
        $ack = $p->packet;
    }

    like($ack, qr/^(?:40|70) 0[23] 00 4d(?: 00| 10)?$/, 'acknowledged');
}


# fields of a PUBLISH in hexadecimal
sub fields {
    my ($hex, $version) = @_;
    my $bytes = pack('H*', $hex =~ s/ //gr);
    my %m = (hex => $hex);

    return \%m if $hex !~ /^3/;

    $m{qos} = ord($bytes) >> 1 & 3;
    $m{dup} = ord($bytes) >> 3 & 1;
    $m{retain} = ord($bytes) & 1;
    $bytes =~ s/^.[\x80-\xff]{0,3}[\x00-\x7f]//s;
    ($m{topic}, $bytes) = unpack('n/a* a*', $bytes);
    $m{id} = unpack('n', substr($bytes, 0, 2, '')) if $m{qos};

    if ($version == 5) {
        my $n = ord(substr($bytes, 0, 1, ''));

        $n = ($n & 127) + 128 * ord(substr($bytes, 0, 1, '')) if $n > 127;
        $m{props} = substr($bytes, 0, $n, '');
    }

    $m{payload} = $bytes;
    return \%m;
}


sub next_of { return fields($_[0]->packet($_[1]), $_[0]{version}) }


# --- the client's receive maximum

$c = $t->mqtt(5, 'window', clean => 0, expiry => 100, props => "\x21\0\2");
$c->subscribe('w/#', 2);
publish('w/1', "m$_", qos => 1) for 1 .. 3;
publish('w/2', "m$_", qos => 2) for 4, 5;
@got = map { next_of($c) } 1, 2;
is_deeply([map { $_->{payload} } @got], ['m1', 'm2'], 'two of QoS 1');
is_deeply([map { $_->{id} } @got], [1, 2], 'identifiers count from 1');
is($c->packet(0.2), '', 'and no more');

# what the window does not hold up
publish('w/0', 'free');
is(next_of($c)->{payload}, 'free', 'QoS 0 passes');
$c->send(12, 0, '');
is($c->packet, 'd0 00', 'a ping is answered');
is($c->subscribe('other', 1), '90 04 00 01 00 01', 'SUBSCRIBE too');
$c->publish('nobody', 'x', qos => 1, id => 1);
is($c->packet, '40 03 00 01 10', 'and PUBLISH, with an identifier in use');

$c->send(4, 0, u16(1));
is(next_of($c)->{payload}, 'm3', 'an acknowledgement lets one pass');
$c->send(4, 0, u16(2) . "\x97");
$got[0] = next_of($c);
is($got[0]{payload}, 'm4', 'so does a refusal');
is($got[0]{qos}, 2, '... with QoS 2');
$c->send(5, 0, u16($got[0]{id}));
is($c->packet, '62 02 ' . hex_of(u16($got[0]{id})), 'PUBREL');
is($c->packet(0.2), '', 'which counts until PUBCOMP');

# an acknowledgement of what is not there is no harm
$c->send(4, 0, u16(999));
$c->send(7, 0, u16(998));
$c->send(5, 0, u16(997));
is($c->packet, '62 03 ' . hex_of(u16(997)) . ' 92',
    'PUBREC of nothing is answered: not found');
is($c->packet(0.2), '', '... and lets nothing pass');

# gone and back: in the old order, with the old identifiers
my ($three, $four) = (3, $got[0]{id});

$c->close;
$c = $t->mqtt(5, 'window', clean => 0, expiry => 100, props => "\x21\0\2");
like($c->{connack}, qr/^20 \w\w 01 00/, 'the session is present');
@got = map { next_of($c) } 1, 2;

my ($again) = grep { ($_->{payload} || '') eq 'm3' } @got;
my ($release) = grep { $_->{hex} =~ /^62/ } @got;

is($again->{id}, $three, 'PUBLISH again, with its identifier');
is($again->{dup}, 1, '... as a duplicate');
is($release->{hex}, '62 02 ' . hex_of(u16($four)), 'PUBREL again');
is($c->packet(0.2), '', 'within the window');
$c->send(4, 0, u16($three));
$c->send(7, 0, u16($four));
$got[0] = next_of($c);
is($got[0]{payload}, 'm5', 'then what is new');
is($got[0]{dup}, 0, '... is no duplicate');
ok(!grep({ $_ eq $got[0]{id} } 0), '... with an identifier');
$c->send(5, 0, u16($got[0]{id}) . "\x80");
is($c->packet(0.3), '', 'PUBREC with a refusal has no PUBREL');
$c->close;
$c = $t->mqtt(5, 'window', clean => 0, expiry => 0);
is($c->packet(0.3), '', '... and ends it');

# wrong answers
for (['PUBACK of QoS 2', 2, 4], ['PUBREC of QoS 1', 1, 5],
     ['PUBCOMP of QoS 1', 1, 7])
{
    my ($name, $qos, $type) = @$_;

    for my $version (4, 5) {
        $c = $t->mqtt($version, 'wrong');
        $c->subscribe('wrong', 2);
        publish('wrong', 'x', qos => $qos);
        $c->send($type, 0, u16(next_of($c)->{id}));
        is($c->packet, $version == 5 ? 'e0 01 82' : 'closed',
            "$name, version $version");
    }
}

$c = $t->mqtt(4, 'wrong');
$c->send(5, 0, u16(9));
is($c->packet, '62 02 00 09', '3.1.1: PUBREC of nothing is released');

# --- the broker's receive maximum

$c = $t->mqtt(5, 'sender');
like($c->{connack}, qr/ 21 00 04/, 'four are announced');
$c->publish('r', "r$_", qos => 2, id => $_) for 1 .. 4;
is($c->packet, '50 02 ' . hex_of(u16($_)), "PUBREC $_") for 1 .. 4;
$c->publish('r', 'r4', qos => 2, id => 4, dup => 1);
is($c->packet, '50 02 00 04', 'a repeated one does not count');
$c->publish('r', 'r0');
$c->send(6, 2, u16(1));
like($c->packet, qr/^70 0[23] 00 01/, 'nor does QoS 0');
$c->publish('r', 'r5', qos => 2, id => 5);
is($c->packet, '50 02 00 05', 'PUBCOMP makes room for another');
$c->publish('r', 'r6', qos => 1, id => 6);
is($c->packet, 'e0 01 93', 'one too many, of QoS 1');
is($c->packet, 'closed', '... is the end');

# a changed mind: the later message counts
$c = $t->mqtt(5, 'sender');
$d = $t->mqtt(5, 'mind');
$d->subscribe('mind/#', 0);

for (['mind/a', 'one'], ['mind/b', 'two'], ['mind/b', 'three']) {
    $c->publish($_->[0], $_->[1], qos => 2, id => 9);
    is($c->packet, '50 02 00 09', 'PUBREC');
}

$c->send(6, 2, u16(9));
like($c->packet, qr/^70 0[23] 00 09/, 'PUBCOMP');
is($d->message, 'mind/b three', 'the last one of an identifier');
is($d->packet(0.2), '', '... only');
$c->publish('mind/c', 'kept', qos => 2, id => 9);
$c->publish('mind/c', 'kept', qos => 2, id => 9, retain => 1);
is($c->packet, '50 02 00 09', 'PUBREC') for 1, 2;
$c->send(6, 2, u16(9));
$c->packet;
is($d->message, 'mind/c kept', 'another flag is another message');
$d->subscribe('mind/c', 0);
is($d->message, 'mind/c kept', '... which is retained');

# the same of a stored session: what PUBREC stands for is what is released
$c = $t->mqtt(4, 'changes', clean => 0);
$d->subscribe('change', 0);

for my $payload ('old', 'new') {
    $c->publish('change', $payload, qos => 2, id => 3);
    is($c->packet, '50 02 00 03', "PUBREC of the $payload one");
}

is($t->value("SELECT convert_from(payload, 'UTF8') FROM iot.mqtt_received"
    . " WHERE topic = 'change'"), 'new', 'the new one is stored');
$c->close;
$c = $t->mqtt(4, 'changes', clean => 0);
is($c->{connack}, '20 02 01 00', 'comes back');
$c->send(6, 2, u16(3));
is($c->packet, '70 02 00 03', 'releases');
is($d->message, 'change new', '... and that is published');
is($d->packet(0.2), '', 'once');

# --- the size of packets

$c = $t->mqtt(5, 'small', props => "\x27" . u32(60));
$c->subscribe('size', 1);
publish('size', 'x' x 60, qos => 1);
publish('size', 'y' x 30, qos => 1, props => "\x26" . str('n')
    . str('v' x 40));
publish('size', 'z' x 30, qos => 1);
is($c->message, 'size ' . 'z' x 30, 'what is too large is left out');
$c->send(12, 0, '');
is($c->packet, 'd0 00', '... and the connection stays');

# to the byte: 2 + 6 topic + 2 identifier + 1 + payload
for my $n (49, 50) {
    publish('size', 'b' x $n, qos => 1);
}

is(length($c->message), 5 + 49, 'sixty bytes are no more than sixty');
is($c->packet(0.3), '', '... and 61 are');

my $raw = $t->raw;

$raw->{version} = 5;
$raw->connect('tiny', props => "\x27" . u32(4));
is($raw->packet, 'closed', 'no room for CONNACK');
$raw = $t->raw;
$raw->{version} = 5;
$raw->connect('tiny', props => "\x27" . u32(8));
is($raw->packet, '20 03 00 95 00', 'room for a refusal');
is($raw->packet, 'closed', '... only');

# --- aliases of the broker

for my $qos (0 .. 2) {
    $c = $t->mqtt(5, 'alias', props => "\x22\0\2");
    $c->subscribe('alias/#', $qos);

    for my $topic (qw(alias/a alias/a alias/b alias/b alias/a)) {
        publish($topic, 'x', qos => $qos);

        my $m = next_of($c);
        my ($alias) = $m->{props} =~ /^\x23(..)/s;

        $alias = unpack('n', $alias || "\0\0");
        cmp_ok($alias, '<=', 2, 'within the maximum');
        $seen{$alias} = $m->{topic} if $m->{topic} ne '' && $alias;
        is($m->{topic} || $seen{$alias}, $topic, "QoS $qos: $topic");
        push @got, $m->{topic} eq '';
        $c->send(4, 0, u16($m->{id})) if $qos == 1;

        if ($qos == 2) {
            $c->send(5, 0, u16($m->{id}));
            $c->packet;
            $c->send(7, 0, u16($m->{id}));
        }
    }

    publish('alias/c', 'x');

    my $m = next_of($c);

    is($m->{topic}, 'alias/c', 'a third topic comes with its name');
    $c->close;
}

cmp_ok(scalar(grep { $_ && !ref($_) } @got), '>=', 6, 'aliases are used');
$c = $t->mqtt(5, 'noalias');
$c->subscribe('alias/#', 0);
publish('alias/a', 'x') for 1, 2;
is(next_of($c)->{props}, '', 'no alias for who allows none') for 1, 2;

# --- aliases of the client

$d = $t->mqtt(5, 'listens');
$d->subscribe('in/#', 0);
$c = $t->mqtt(5, 'aliases');
like($c->{connack}, qr/ 22 00 0a/, 'ten are announced');
$c->publish('in/1', 'a', props => "\x23\0\x0a");
$c->publish('', 'b', props => "\x23\0\x0a");
$c->publish('in/2', 'c', props => "\x23\0\x0a");
$c->publish('', 'd', props => "\x23\0\x0a");
is($d->message, $_, $_) for 'in/1 a', 'in/1 b', 'in/2 c', 'in/2 d';

# what is refused sets it all the same
$c->publish('$SYS/x', 'x', qos => 1, id => 1, props => "\x23\0\1");
is($c->packet, '40 03 00 01 87', 'refused');
$c->publish('', 'x', qos => 1, id => 2, props => "\x23\0\1");
is($c->packet, '40 03 00 02 87', '... and again by its alias');
$c->close;
$c = $t->mqtt(5, 'aliases', clean => 0, expiry => 10);
$c->publish('', 'e', props => "\x23\0\x0a");
is($c->packet, 'e0 01 82', 'an alias ends with its connection');

# --- properties, requests and their answers

my $props = "\x01\1\x03" . str('text/x') . "\x08" . str('answer/7')
    . "\x09" . str("\0\xff\1") . join('', map { "\x26" . str("k$_")
    . str('v') } 2, 1, 1);

$c = $t->mqtt(5, 'asked');
$d = $t->mqtt(4, 'old');
$_->subscribe('ask/#', 1) for $c, $d;
publish('ask/x', 'question', qos => 1, props => $props);

my $m = next_of($c);

is(join('', sort split(//, $m->{props})), join('', sort split(//, $props)),
    'all properties are there');
like($m->{props}, qr/k2.*k1.*k1/s, '... users\' in their order');
is($d->message, 'ask/x question', 'none for a client of 3.1.1');
$p->subscribe('answer/+', 0);
$c->publish('answer/7', 'reply', props => "\x09" . str("\0\xff\1"));
$m = next_of($p);
is($m->{payload}, 'reply', 'the answer arrives');
is($m->{props}, "\x09" . str("\0\xff\1"), '... with what it belongs to');
$c = $t->mqtt(5, 'information', props => "\x19\1");
unlike($c->{connack}, qr/ 1a /, 'no response information is configured');

# reasons in words are only for who wants them
$c = $t->mqtt(5, 'laconic', props => "\x17\0");
$c->publish('$SYS/x', 'x', qos => 1, id => 1);
is($c->packet, '40 03 00 01 87', 'no reason in words');

# --- expiry

$c = $t->mqtt(4, 'expires', clean => 0);
$c->subscribe('exp/#', 1);
$c->send(14, 0, '');
is($c->packet, 'closed', 'leaves');
publish('exp/1', 'short', qos => 1, props => "\x02" . u32(1));
publish('exp/2', 'long', qos => 1, props => "\x02" . u32(1000));
publish('exp/3', 'kept', qos => 1, retain => 1, props => "\x02" . u32(1));
publish('exp/4', 'kept', qos => 1, retain => 1, props => "\x02" . u32(1000));
publish('exp/5', 'end', qos => 1);
ok($t->wait_for(5, sub { $t->value('SELECT iot.now_ms() > max(expires)'
    . " FROM iot.mqtt_queue WHERE topic IN ('exp/1', 'exp/3')") }),
    'their second is over');
$c = $t->mqtt(5, 'expires', clean => 0, expiry => 10);
like($c->{connack}, qr/^20 \w\w 01 00/, 'present');
@got = map { next_of($c) } 1 .. 3;
is(join(' ', map { $_->{payload} } @got), 'long kept end',
    'what has expired is not delivered');

my ($left) = unpack('x N', $got[0]{props});

ok($left > 900 && $left <= 1000, 'the others with what remains') or diag($left);
$d = $t->mqtt(5, 'retained');
$d->subscribe('exp/#', 0);
$m = next_of($d);
is($m->{payload}, 'kept', 'so with retained ones');
is($m->{topic}, 'exp/4', '... that have not expired');
is($d->packet(0.3), '', '... only');

$t->finish;
done_testing();
