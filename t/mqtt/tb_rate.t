#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# How much devices may send over MQTT, as the profile of their tenant says,
# and what they are told about it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use JSON::XS ();
use Test::More;
use IotTest::Gateway;

my $t = IotTest::Gateway->new(workers => 2);
my $sysadmin = $t->sysadmin;
my $serial = 0;

$t->add_devices(qw(one two three four five));


# the limits that the profile has from now on, and no others
sub limits {
    my (%limit) = @_;
    my $id = $t->get('/api/tenantProfileInfo/default', token => $sysadmin)
        ->json->{id}{id};
    my $profile = $t->get("/api/tenantProfile/$id", token => $sysadmin)->json;
    my $configuration = $profile->{profileData}{configuration};

    for my $name (grep { /^transport/ } keys %$configuration) {
        $configuration->{$name} = '';
    }

    $configuration->{"transport${_}RateLimit"} = $limit{$_} for keys %limit;

    is($t->post('/api/tenantProfile', token => $sysadmin, json => $profile)
        ->status, 200, 'a profile: ' . join(', ', map { "$_ $limit{$_}" }
        sort keys %limit));
}


# publishes until the end; how many were acknowledged, and the end
sub until_end {
    my ($token, $version, $n, $body) = @_;
    my $c = IotTest::TbMqtt->connect($t, user => $token,
        version => $version);
    my ($acks, $end) = (0, 'open');

    for (1 .. $n) {
        $c->publish('v1/devices/me/telemetry', $body
            || '{"k' . $serial++ . '":1}', qos => 1);

        my $packet = $c->packet;

        if ($packet->{type} eq 'PUBACK') {
            $acks++;
            next;
        }

        $end = $packet->{type} eq 'DISCONNECT'
            ? sprintf('%02x', $packet->{reason}) : $packet->{type};
        last;
    }

    return [$acks, $end];
}


limits('DeviceMsg' => '3:3600');
is_deeply(until_end('one', 5, 10), [3, '96'], '5.0 is told of the rate');
is_deeply(until_end('two', 4, 10), [3, 'CLOSED'], '3.1.1 is closed');
is_deeply(until_end('one', 4, 10), [0, 'CLOSED'],
    'a new connection does not help');

# all at once: what was stored is acknowledged before the end
sub pipelined {
    my ($name, $version, $qos) = @_;
    my $c = IotTest::TbMqtt->connect($t, user => $name, version => $version);
    my @ids = map { $c->publish('v1/devices/me/telemetry',
        "{\"pipe$_\":1}", qos => $_ > 3 ? $qos : 1) } 1 .. 8;
    my @got;

    while (my $packet = $c->packet) {
        push @got, $packet->{type} eq 'PUBACK' ? $packet->{id}
            : $packet->{type} eq 'DISCONNECT' ? sprintf('%02x',
                $packet->{reason}) : $packet->{type};
        last if $packet->{type} eq 'CLOSED';
    }

    is(scalar(grep { /^pipe/ } keys %{$t->typed($name)}), 3,
        "$name: three are stored");

    return \@got;
}


$t->add_devices(map { "pipe$_" } 1 .. 4);
is_deeply(pipelined('pipe1', 5, 1), [1, 2, 3, '96', 'CLOSED'],
    'publishes at once: those before are acknowledged');
is_deeply(pipelined('pipe2', 4, 1), [1, 2, 3, 'CLOSED'], 'in 3.1.1 too');
is_deeply(pipelined('pipe3', 5, 0), [1, 2, 3, '96', 'CLOSED'],
    'before one of QoS 0 that is too many');
is_deeply(pipelined('pipe4', 4, 2), [1, 2, 3, 'CLOSED'], 'or of QoS 2');

limits('DeviceTelemetryMsg' => '2:3600');
is_deeply(until_end('one', 5, 10), [2, '96'], 'messages of telemetry');

my $c = IotTest::TbMqtt->connect($t, user => 'one', version => 5);

$c->publish('v1/devices/me/attributes/request/1', '{}', qos => 1);
is($c->ack->{reason}, 0, 'a question is none');
$c->publish('v1/devices/me/attributes', '{"a":1}', qos => 1);
is($c->ended, 'closed 96', 'attributes are');

limits('DeviceTelemetryDataPoints' => '5:3600');
is_deeply(until_end('three', 5, 10, '{"a":1,"b":2}'), [2, '96'],
    'the values in them');

limits('TenantMsg' => '4:3600');

my $sum = until_end('four', 4, 3)->[0] + until_end('five', 4, 3)->[0];

is($sum, 4, 'devices of a tenant together');

# the session has held its device since before the change
limits();
$c = IotTest::TbMqtt->connect($t, user => 'one', version => 5);
$c->publish('v1/devices/me/telemetry', '{"a":1}', qos => 1);
is($c->ack->{reason}, 0, 'no limit');
limits('DeviceMsg' => '1:3600');
ok($t->wait_for(10, sub {
    $c->publish('v1/devices/me/telemetry', '{"a":1}', qos => 1);

    my $packet = $c->packet;

    return $packet->{type} eq 'DISCONNECT' && $packet->{reason} == 0x96;
}), 'a change counts for sessions that are open');


# --- gateways

limits('GatewayMsg' => '3:3600', 'DeviceMsg' => '1:3600');
$c = $t->gateway(version => 5);
$c->publish('v1/gateway/telemetry', '{"A":[{"a":1}],"B":[{"a":1}]}',
    qos => 1), is($c->ack->{reason}, 0, 'a message is one for its gateway')
    for 1 .. 3;
$c->publish('v1/gateway/telemetry', '{"A":[{"a":1}]}', qos => 1);
is($c->ended, 'closed 96', 'which has a rate of its own');

limits('GatewayDeviceTelemetryMsg' => '2:3600');
$c = $t->gateway(version => 5);
$c->publish('v1/gateway/telemetry', '{"A":[{"a":1}],"C":[{"a":1}]}',
    qos => 1) for 1, 2;
is($c->ack->{reason}, 0, 'devices behind it') for 1, 2;
$t->wipe;
$c->publish('v1/gateway/telemetry', '{"A":[{"a":2}],"D":[{"a":3}]}',
    qos => 1);
is($c->ack->{reason}, 0x97, 'have theirs');
is_deeply(JSON::XS::decode_json($c->message->{payload}),
    { device => 'A', reason => 150 }, 'the gateway hears which it is');
is_deeply($t->behind('A'), {}, 'whose values are dropped');
is_deeply($t->behind('D'), { a => ['LONG', 3] }, 'others are stored');
ok($c->alive, 'the session goes on');

$c = $t->gateway;
$c->publish('v1/gateway/telemetry', '{"A":[{"a":2}]}', qos => 1);
is($c->ended, 'closed', '3.1.1 is closed');

limits('GatewayDeviceTelemetryDataPoints' => '3:3600');
$c = $t->gateway(version => 5);
$c->publish('v1/gateway/telemetry', '{"E":[{"a":1,"b":2},{"a":1,"b":2}],'
    . '"F":[{"a":1}]}', qos => 1);
is($c->ack->{reason}, 0x97, 'too many values of one');
is_deeply($t->behind('F'), { a => ['LONG', 1] }, 'not of the other');


# --- what a session may send

sub asked {
    my ($client, $down, $up) = @_;
    my $then = time;

    $client->publish("${down}7", '{"method":"getSessionLimits","params":{}}',
        qos => 1);

    my $m = $client->message;

    cmp_ok(time - $then, '<=', 1, 'at once');
    is($m->{topic}, "${up}7", 'on the topic of answers');

    return JSON::XS::decode_json($m->{payload});
}


my %same = (maxPayloadSize => 65536, maxInflightMessages => 100);
my %none = map { $_ => undef }
    qw(messages telemetryMessages telemetryDataPoints);
my @topics = (['v1/devices/me/rpc/request/', 'v1/devices/me/rpc/response/'],
    ['v2/r/req/', 'v2/r/res/'], ['v2/r/req/j/', 'v2/r/res/j/']);

limits();

for my $topics (@topics) {
    $c = IotTest::TbMqtt->connect($t, user => 'one');
    is_deeply(asked($c, @$topics), { %same, rateLimits => { %none } },
        'a device without limits');
    $c->close;
}

limits('DeviceMsg' => '200:1,6000:60', 'DeviceTelemetryMsg' => '100:1',
    'DeviceTelemetryDataPoints' => '500:1', 'GatewayMsg' => '300:1',
    'GatewayDeviceTelemetryDataPoints' => '400:1');

for my $version (4, 5) {
    $c = IotTest::TbMqtt->connect($t, user => 'one', version => $version);
    is_deeply(asked($c, @{$topics[0]}), { %same, rateLimits => {
        messages => '200:1,6000:60', telemetryMessages => '100:1',
        telemetryDataPoints => '500:1' } }, 'a device with limits');

    $c = $t->gateway(version => $version);
    is_deeply(asked($c, @{$topics[0]}), { %same,
        gatewayRateLimits => { %none, messages => '300:1' },
        rateLimits => { %none, telemetryDataPoints => '400:1' } },
        'a gateway: its own, and those of each device behind it');
}

done_testing();
