#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# What devices say of themselves over MQTT: telemetry and attributes, in JSON
# and CBOR, and what becomes of what is wrong.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use CBOR::XS ();
use Test::More;
use IotTest::Device;
use IotTest::TbMqtt;

my $t = IotTest::Device->new;
my $token = $t->device_token;


sub client {
    return IotTest::TbMqtt->connect($t, user => $token, @_);
}


# --- all the topics, with every QoS and version

for my $version (4, 5) {
    my $c = client(version => $version);

    for my $topic (qw(v1/devices/me/telemetry v2/t v2/t/j)) {
        $t->wipe;

        my $id = $c->publish($topic, '{"a":21.5,"b":"on"}', qos => 1);
        my $ack = $c->ack;

        is($ack->{id}, $id, "$topic in $version: acknowledged");
        is($ack->{reason}, 0, 'with success');
        is_deeply($t->typed, { a => IotTest::Device::double(21.5),
            b => ['STRING', 'on'] }, 'after it was committed');
    }

    for my $topic (qw(v1/devices/me/attributes v2/a v2/a/j)) {
        $t->wipe;

        $c->publish($topic, '{"fw":"v1.2","up":17}', qos => 1);
        is($c->ack->{reason}, 0, "$topic in $version: acknowledged");
        is_deeply($t->stored_attributes(1), { fw => ['STRING', 'v1.2'],
            up => ['LONG', 17] }, 'client attributes');
    }

    $t->wipe;
    $c->publish('v2/t', '[{"ts":1000,"values":{"a":1}},{"ts":2000,'
        . '"values":{"a":2}}]');
    ok($t->wait_for(10, sub { @{$t->points->{a} || []} == 2 }),
        'QoS 0 is stored too');

    $t->wipe;
    my $id = $c->publish('v2/t', '{"a":1}', qos => 2);

    is($c->wait('PUBREC')->{id}, $id, 'QoS 2: received');
    is_deeply($t->typed, { a => ['LONG', 1] }, 'is committed');
    $c->send(0x62, pack('n', $id));
    is($c->wait('PUBCOMP')->{id}, $id, 'and complete');

    # once more, as after a lost PUBREC
    $t->wipe;
    $id = $c->publish('v2/t', '{"a":1}', qos => 2);
    $c->wait('PUBREC');
    $c->send(0x3c, IotTest::TbMqtt::text('v2/t') . pack('n', $id)
        . ($version == 5 ? "\0" : '') . '{"a":1}');
    is($c->wait('PUBREC')->{id}, $id, 'a duplicate is received again');
    is(scalar(@{$t->points->{a}}), 1, 'but stored once');
    $c->close;
}

my $c = client();

$t->wipe;
$c->publish('v2/t', "{\"k$_\":$_}", qos => 1) for 1 .. 90;
is_deeply([map { $c->ack->{id} } 1 .. 90], [1 .. 90],
    'acknowledgements in the order of the messages');
is(scalar(keys %{$t->typed}), 90, 'all stored');

for my $empty ('{}', '[]') {
    $c->publish('v2/t', $empty, qos => 1);
    is($c->ack->{reason}, 0, "$empty is telemetry");
}


# --- CBOR

my $cbor = CBOR::XS->new->text_keys->text_strings;

$t->wipe;
$c->publish('v1/devices/me/telemetry', $cbor->encode({ a => 5, b => 'x' }),
    qos => 1);
$c->ack;
is_deeply($t->typed, { a => ['LONG', 5], b => ['STRING', 'x'] },
    'CBOR is recognized');

$t->wipe;
$c->publish('v1/devices/me/attributes', "\xd9\xd9\xf7\xa1\x61\x61\xf5",
    qos => 1);
$c->ack;
is_deeply($t->stored_attributes(1), { a => ['BOOLEAN', 'true'] },
    'with its own tag too');

$c->publish('v2/t', "\xa1\x61", qos => 1);
is($c->ack->{type}, 'PUBACK', 'bad CBOR is acknowledged and dropped');
$c->publish('v2/t', "\xa1\x61");
ok($c->alive, 'also without QoS');

my $c5 = client(version => 5);

$t->wipe;
$c5->publish('v2/t', $cbor->encode({ c => -1 }), qos => 1,
    type => 'application/cbor');
is($c5->ack->{reason}, 0, 'a content type');
is_deeply($t->typed, { c => ['LONG', -1] }, 'says what it is');

$c5->publish('v2/t', '{"a":1}', qos => 1, type => 'application/cbor');
is($c5->ack->{reason}, 0x99, 'JSON is no CBOR');
$c5->publish('v2/t', $cbor->encode({ c => -1 }), qos => 1,
    type => 'application/json');
is($c5->ack->{reason}, 0x99, 'CBOR is no JSON');
$c5->publish('v2/t/j', $cbor->encode({ c => -1 }), qos => 1);
is($c5->ack->{reason}, 0x99, 'not on a topic of JSON');


# --- bad payloads

my @bad = ('', '{', '"text"', '7', '{"ts":"x","values":{"a":1}}', '[[]]',
    '{"":1}');

for my $bad (@bad) {
    $c5->publish('v2/t', $bad, qos => 1);
    is($c5->ack->{reason}, 0x99, "5.0 hears of $bad");
}

$c5->publish('v2/a', '[1]', qos => 1);
is($c5->ack->{reason}, 0x99, 'an array of attributes');
$c5->publish('v2/t/p', 'x', qos => 1);
is($c5->ack->{reason}, 0x99, 'there is no schema');
ok($c5->alive, 'the connection stays');

$c5->publish('v2/t', '{');
is($c5->ended, 'closed 99', 'QoS 0 is told by the end');

$c->publish('v2/t', '{', qos => 1);
is($c->ended, 'closed', 'so is 3.1.1');

$c5 = client(version => 5);
$c5->publish('v2/t', '{"a":"' . ('x' x 65528) . '"}', qos => 1);
is($c5->ack->{reason}, 0, '65,536 bytes are taken');
$c5->publish('v2/t', '{"a":"' . ('x' x 65529) . '"}', qos => 1);
is($c5->ended, 'closed 95', 'one more is too large');


# --- topics that do not exist

$c5 = client(version => 5);

for my $topic ('v1/devices/me', 'v1/devices/me/telemetry/x', 'v2/x', 'v2/t/x',
    'v1/devices/me/attributes/request/', 'v2/a/req/1x', 'v2/a/req/4294967296',
    'elsewhere', 'v3/t/j')
{
    $c5->publish($topic, '{"a":1}', qos => 1);
    is($c5->ack->{reason}, 0x90, "no topic $topic");
}

$c = client();
$c->publish('v1/devices/me/nothing', '{}', qos => 1);
is($c->ack->{type}, 'PUBACK', '3.1.1 cannot be told');
ok($c->alive, 'and goes on');

$c5->publish('v1/gateway/telemetry', '{"Dev A":[{"a":1}]}', qos => 1);
is($c5->ack->{reason}, 0x87, 'this is no gateway');


# --- its own corner is the broker's

my $corner = 'devices/' . $t->device_id;

is_deeply($c->subscribe("$corner/#"), [1], 'a device has its own topics');
$c5->publish("$corner/x", 'hello', qos => 1);
is($c->message->{payload}, 'hello', 'and reaches itself there');


# --- the database is away

my $worker = ($t->worker_pids)[0];

$t->hold('iot.telemetry');
$c->publish('v2/t', '{"held":1}', qos => 1);
is($c->ack(0.5)->{type}, 'NONE', 'nothing is acknowledged before it is kept');
$t->let_go('iot.telemetry');
is($c->ack->{type}, 'PUBACK', 'but then');
is(($t->worker_pids)[0], $worker, 'the same worker');

# a client that does not wait does not lose
$t->hold('iot.telemetry');
my $short = client();
$short->publish('v2/t', '{"left":1}', qos => 1);
ok($short->alive, 'the message has arrived');
$short->close;
$t->let_go('iot.telemetry');
ok($t->wait_for(10, sub { $t->typed->{left} }), 'what was taken is stored');

done_testing();
