#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# A device asks for its attributes, and hears of those that people change;
# what it may subscribe to.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use CBOR::XS ();
use JSON::XS ();
use Test::More;
use IotTest::Device;
use IotTest::TbMqtt;

my $t = IotTest::Device->new(workers => 2);
my $token = $t->device_token;
my $id = $t->device_id;
my $tenant = $t->tenant;


sub client {
    return IotTest::TbMqtt->connect($t, user => $token, @_);
}


sub save {
    my ($json) = @_;
    my $answer = $t->post("/api/plugins/telemetry/DEVICE/$id/SHARED_SCOPE",
        token => $tenant, body => $json);

    is($answer->status, 200, "shared $json");
}


sub ask {
    my ($c, $topic, $payload, $answer_topic, $expect) = @_;

    $c->publish($topic, $payload, qos => 1);

    my $m = $c->message;

    is($m->{topic}, $answer_topic, "$topic: answer");
    is_deeply(JSON::XS::decode_json($m->{payload} || '{}'), $expect,
        "to $payload");
    is($c->ack->{reason}, 0, 'acknowledged');
}


# --- what may be subscribed to

for my $version (4, 5) {
    my $c = client(version => $version);
    my $no = $version == 5 ? 0x8f : 0x80;

    for my $filter (qw(v1/devices/me/attributes
        v1/devices/me/attributes/response/+ v1/devices/me/rpc/request/+
        v1/devices/me/rpc/response/+ v2/a v2/a/j v2/a/res/+ v2/a/res/j/+
        v2/r/req/+ v2/r/req/j/+ v2/r/res/+ v2/r/res/j/+
        v2/fw/response/+/chunk/+ v2/sw/response/+/chunk/+ v2/fw/error
        v1/gateway/attributes v1/gateway/attributes/response v1/gateway/rpc))
    {
        is_deeply($c->subscribe([$filter, 0], [$filter, 1], [$filter, 2]),
            [0, 1, 1], "$filter in $version");
        my $codes = $c->unsubscribe($filter, $filter);

        is_deeply($codes, [0, 0x11], 'once') if $version == 5;
    }

    for my $filter ('#', qw(+ v1/devices/me/telemetry
        v1/devices/me/attributes/response/1 v1/devices/+/attributes v2/+
        elsewhere +/+/+), 'v1/#', 'v2/a/res/#',
        'devices/' . $t->tenant_id . '/#')
    {
        is_deeply($c->subscribe($filter, 'v2/a'), [$no, 1],
            "not $filter in $version");
    }

    ok($c->alive, 'the connection stays');
    $c->close;
}


# --- requests

my $c = client();

$t->wipe;
$t->attributes('{"fw":"v1","up":17,"a,b":1}');
$t->set_attribute(2, 'target', 'warm');
$t->set_attribute(3, 'secret', 'x');

is_deeply($c->subscribe('v1/devices/me/attributes/response/+'), [1], 'sub');

my @all = ({ client => { fw => 'v1', up => 17, 'a,b' => 1 },
    shared => { target => 'warm' } });

ask($c, 'v1/devices/me/attributes/request/1', '{}',
    'v1/devices/me/attributes/response/1', @all);
ask($c, 'v1/devices/me/attributes/request/2147483647',
    '{"clientKeys":" fw , up,x","sharedKeys":"target,secret"}',
    'v1/devices/me/attributes/response/2147483647',
    { client => { fw => 'v1', up => 17 }, shared => { target => 'warm' } });
ask($c, 'v1/devices/me/attributes/request/-1', '{"sharedKeys":"target"}',
    'v1/devices/me/attributes/response/-1', { shared => { target => 'warm' } });
ask($c, 'v1/devices/me/attributes/request/0', '{"clientKeys":"none"}',
    'v1/devices/me/attributes/response/0', {});
ask($c, 'v1/devices/me/attributes/request/0',
    '{"clientKeys":"\"\\\\,{}\u00e4"}',
    'v1/devices/me/attributes/response/0', {});
ask($c, 'v2/a/req/2', '{}', 'v2/a/res/2', @all);
ask($c, 'v2/a/req/j/3', '{}', 'v2/a/res/j/3', @all);
ask($c, 'v2/a/req/4', CBOR::XS->new->text_keys->text_strings->encode(
    { clientKeys => 'fw' }), 'v2/a/res/4', { client => { fw => 'v1' } });

my $c5 = client(version => 5);

for my $bad ('', '[]', '7', '{"clientKeys":1}', '{"sharedKeys":["a"]}', '{') {
    $c5->publish('v2/a/req/1', $bad, qos => 1);
    is($c5->ack->{reason}, 0x99, "bad request: $bad");
}

$c->publish('v1/devices/me/attributes/request/1', '[]', qos => 1);
is($c->ended, 'closed', '3.1.1 is told by the end');


# --- changes, wherever they are made

$c = client();
is_deeply($c->subscribe('v1/devices/me/attributes'), [1], 'subscribed');
$c5->subscribe(['v2/a', 0]);

for my $round (1 .. 6) {
    save("{\"target\":$round,\"on\":true}");

    my $m = $c->message;

    is($m->{topic}, 'v1/devices/me/attributes', 'told');
    is($m->{qos}, 1, 'with the QoS that was granted');
    is_deeply(JSON::XS::decode_json($m->{payload}),
        { target => $round, on => JSON::XS::true() }, 'what has changed');

    $m = $c5->message;
    is("$m->{topic} $m->{qos}", 'v2/a 0', 'in another spelling');
}

$t->http('DELETE', "/api/plugins/telemetry/DEVICE/$id/SHARED_SCOPE"
    . '?keys=target,mode', token => $tenant);
is_deeply(JSON::XS::decode_json($c->message->{payload}),
    { deleted => ['target'] }, 'and what has gone');

$c->subscribe('v2/a/j');
save('{"last":1}');
is($c->message->{topic}, 'v2/a/j', 'the last spelling counts');
$c->unsubscribe('v2/a/j');
save('{"last":2}');
is($c->message->{topic}, 'v1/devices/me/attributes', 'then the other');
$c->unsubscribe('v1/devices/me/attributes');
save('{"last":3}');
is($c->message(0.5)->{type}, 'NONE', 'nothing without a subscription');

# its own attributes are no news
$c->subscribe('v1/devices/me/attributes');
$c->publish('v1/devices/me/attributes', '{"own":1}', qos => 1);
$c->ack;
is($c->message(0.3)->{type}, 'NONE', 'no echo');


# --- credentials that are changed end the session

my $credentials = $t->get("/api/device/$id/credentials", token => $tenant)
    ->json;

$credentials->{credentialsId} = 'another-token';
$c5 = client(version => 5);
is($t->post('/api/device/credentials', token => $tenant,
    json => $credentials)->status, 200, 'a new token');
is($c5->ended, 'closed 98', 'ends 5.0 with a reason');
is($c->ended, 'closed', 'and 3.1.1');
is(IotTest::TbMqtt->open($t, user => $token)->packet->{reason}, 5,
    'the old token is no good');

$c5 = IotTest::TbMqtt->connect($t, user => 'another-token', version => 5);
is($t->http('DELETE', "/api/device/$id", token => $tenant)->status, 200,
    'the device goes');
is($c5->ended, 'closed 98', 'and its session');

done_testing();
