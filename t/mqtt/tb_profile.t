#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# What a device profile says of MQTT: topics of its own, how bad payloads are
# answered, Protobuf, and other transports.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Test::More;
use IotTest::Device;
use IotTest::TbMqtt;

my $t = IotTest::Device->new;
my $tenant = $t->tenant;
my $id = $t->device_id;
my $profile = $t->value('SELECT profile_id FROM iot.device WHERE id = ?', $id);


sub client {
    return IotTest::TbMqtt->connect($t, user => $t->device_token, @_);
}


# the transport of the profile from now on
sub transport {
    my ($type, %c) = @_;

    $t->sql("UPDATE iot.device_profile SET transport_type = ?, data ="
        . " jsonb_set(data::jsonb, '{transportConfiguration}', ?::jsonb)"
        . ' WHERE id = ?', $type,
        JSON::XS::encode_json({ type => $type, %c }), $profile);
    $t->sql("SELECT pg_notify('iot', 'profile ' || ?)", $profile);
}


my %own = (deviceTelemetryTopic => 'plant/+/up', deviceAttributesTopic =>
    'plant/attr/#', deviceAttributesSubscribeTopic => 'plant/down');

transport('MQTT', %own);

for my $version (4, 5) {
    my $c = client(version => $version);

    $t->wipe;
    $c->publish('plant/7/up', '{"a":1}', qos => 1);
    is($c->ack->{reason}, 0, 'a topic of its own');
    $c->publish('v1/devices/me/telemetry', '{"b":2}', qos => 1);
    is($c->ack->{reason}, 0, 'and the usual one');
    is_deeply($t->typed, { a => ['LONG', 1], b => ['LONG', 2] }, 'are stored');
    $c->publish('plant/attr/x/y', '{"fw":"v1"}', qos => 1);
    is($c->ack->{reason}, 0, 'attributes');
    is_deeply($t->stored_attributes(1), { fw => ['STRING', 'v1'] }, 'too');
    is_deeply($c->subscribe('plant/down', 'plant/up'),
        [1, $version == 5 ? 0x8f : 0x80], 'one may be subscribed to');
    $t->post("/api/plugins/telemetry/DEVICE/$id/SHARED_SCOPE",
        token => $tenant, body => "{\"v\":$version}");

    my $m = $c->message;

    is($m->{topic}, 'plant/down', 'updates come there');
    is_deeply(JSON::XS::decode_json($m->{payload}), { v => $version },
        'as they are');

    if ($version == 5) {
        is_deeply($c->unsubscribe('plant/down', 'plant/down', 'plant/up',
            'v2/a'), [0, 0x11, 0x8f, 0x11], 'and may be left');
        $c->publish('plant/up', '{}', qos => 1);
        is($c->ack->{reason}, 0x90, 'no other topic');
    }

    $c->close;
}

my $c = client();

$c->publish('v2/t', '{', qos => 1);
is($c->ended, 'closed', 'a bad payload is the end');
transport('MQTT', sendAckOnValidationException => JSON::XS::true());
$c = client();
$c->publish('v2/t', '{', qos => 1);
is($c->ack->{type}, 'PUBACK', 'unless the profile says otherwise');
ok($c->alive, 'the session goes on');
$c->publish('v2/t', '{');
is($c->ended, 'closed', 'but with QoS 0');

transport('MQTT', transportPayloadTypeConfiguration =>
    { transportPayloadType => 'PROTOBUF' });
$c = client(version => 5);

for my $topic ('v1/devices/me/telemetry', 'v2/t', 'v2/a', 'v2/t/p') {
    $c->publish($topic, '{"a":1}', qos => 1);
    is($c->ack->{reason}, 0x99, "$topic is Protobuf, which we do not read");
}

$c->publish('v2/t/j', '{"a":1}', qos => 1);
is($c->ack->{reason}, 0, 'JSON has its own topic');

transport('COAP');
is($c->ended, 'closed 98', 'devices of another transport go');
is(IotTest::TbMqtt->open($t, user => $t->device_token)->packet->{reason}, 3,
    'and do not come');
is(IotTest::TbMqtt->open($t, user => $t->device_token, version => 5)
    ->packet->{reason}, 0x88, 'in no version');
transport('DEFAULT');
ok(client()->alive, 'until they may again');

done_testing();
