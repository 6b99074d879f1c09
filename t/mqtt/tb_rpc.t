#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# Requests to devices over MQTT, and requests of devices.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use CBOR::XS ();
use IO::Select ();
use JSON::XS ();
use Test::More;
use Time::HiRes qw(time);
use IotTest::Device;
use IotTest::TbMqtt;

my $t = IotTest::Device->new(workers => 2);
my $token = $t->device_token;
my $id = $t->device_id;
my $tenant = $t->tenant;


sub client {
    return IotTest::TbMqtt->connect($t, user => $token, @_);
}


# a request of a person, written but not answered
sub ask {
    my ($how, $body) = @_;
    my $caller = $t->client;

    $caller->write(IotTest::Client::format_request('POST', "/api/rpc/$how/$id",
        [['X-Authorization', "Bearer $tenant"]],
        JSON::XS::encode_json($body)));

    return $caller;
}


# --- to the device

for my $form (['v1/devices/me/rpc/request/', 'v1/devices/me/rpc/response/'],
    ['v2/r/req/', 'v2/r/res/'], ['v2/r/req/j/', 'v2/r/res/j/'])
{
    my ($down, $up) = @$form;

    for my $version (4, 5) {
        my $c = client(version => $version);

        is_deeply($c->subscribe("$down+"), [1], "${down}+ in $version");

        for my $reply ('{"ok":true}', '[1]', '"text"', '17') {
            my $caller = ask('twoway', { method => 'setGpio',
                params => { pin => 1 } });
            my $m = $c->message;

            like($m->{topic}, qr/^\Q$down\E\d+$/, 'the request');
            is($m->{qos}, 1, 'with the QoS that was granted');
            is_deeply(JSON::XS::decode_json($m->{payload} || '{}'),
                { method => 'setGpio', params => { pin => 1 } }, 'its body');

            my ($number) = $m->{topic} =~ /(\d+)$/;

            $c->publish("$up$number", $reply, qos => 1);
            is($c->ack->{reason}, 0, 'the answer is taken');

            my $answer = $caller->answer;

            is($answer->status, 200, 'the caller');
            is($answer->body, $reply, "gets $reply");
        }

        $c->close;
    }
}

my $c = client();

$c->subscribe('v1/devices/me/rpc/request/+');

my $caller = ask('oneway', { method => 'reboot' });

is(JSON::XS::decode_json($c->message->{payload})->{method}, 'reboot',
    'one way');
is($caller->answer->status, 200, 'is done when it is acknowledged');

# an answer in CBOR
$caller = ask('twoway', { method => 'x' });
my ($number) = $c->message->{topic} =~ /(\d+)$/;
$c->publish("v1/devices/me/rpc/response/$number",
    CBOR::XS->new->text_keys->text_strings->encode({ a => 1 }));
is($caller->answer->body, '{"a":1}', 'an answer in CBOR');

# what nobody has asked
for my $strange (0, 2147483647, -5) {
    $c->publish("v1/devices/me/rpc/response/$strange", '{}', qos => 1);
    is($c->ack->{type}, 'PUBACK', "an answer to $strange is dropped");
}

# --- while it was away, and not subscribed

$c->unsubscribe('v1/devices/me/rpc/request/+');
$caller = ask('twoway', { method => 'later' });
is($c->message(0.5)->{type}, 'NONE', 'not without a subscription');
$c->subscribe('v1/devices/me/rpc/request/+');
my $m = $c->message;
is(JSON::XS::decode_json($m->{payload})->{method}, 'later',
    'but with the next');
($number) = $m->{topic} =~ /(\d+)$/;
$c->publish("v1/devices/me/rpc/response/$number", '1');
is($caller->answer->body, '1', 'in time');
$c->close;

my @rpc = map { $t->post("/api/rpc/twoway/$id", token => $tenant,
    json => { method => "kept$_", persistent => JSON::XS::true() })
    ->json->{rpcId} } 1 .. 3;

$c = client();
$c->subscribe('v2/r/req/+');

my @got = map { $c->message } 1 .. 3;

is_deeply([map { JSON::XS::decode_json($_->{payload})->{method} } @got],
    [qw(kept1 kept2 kept3)], 'kept requests in their order');
for my $got (@got) {
    my ($n) = $got->{topic} =~ /(\d+)$/;
    $c->publish("v2/r/res/$n", '{"done":1}', qos => 1);
    is($c->ack->{reason}, 0, 'answered');
}

for my $rpc (@rpc) {
    is($t->get("/api/rpc/persistent/$rpc", token => $tenant)->json->{status},
        'SUCCESSFUL', 'and the answer is stored when it is acknowledged');
}

$c->close;


# --- delivered is what was acknowledged

sub keep {
    my ($how) = @_;

    return $t->post("/api/rpc/$how/$id", token => $tenant, json => {
        method => $how, persistent => JSON::XS::true() })->json->{rpcId};
}


sub becomes {
    my ($rpc, $status) = @_;

    return $t->wait_for(10, sub { $t->get("/api/rpc/persistent/$rpc",
        token => $tenant)->json->{status} eq $status });
}


for my $how (['oneway', 'SUCCESSFUL'], ['twoway', 'DELIVERED']) {
    my $rpc = keep($how->[0]);

    $c = client();
    $c->subscribe('v1/devices/me/rpc/request/+');
    ok($c->wait('PUBLISH')->{id}, "$how->[0] with QoS 1");
    ok(becomes($rpc, 'SENT'), 'is sent');
    $c->publish('v2/r/req/1', '{"method":"getCurrentTime"}', qos => 1);
    $c->ack;
    ok(becomes($rpc, 'SENT'), 'and no more than that');
    $c->close;

    $c = client(version => 5);
    $c->subscribe('v1/devices/me/rpc/request/+');
    my $again = $c->wait('PUBLISH');
    $c->send(0x40, pack('nCC', $again->{id}, 0x83, 0));
    $c->publish('v2/r/req/1', '{"method":"getCurrentTime"}', qos => 1);
    $c->ack;
    ok(becomes($rpc, 'SENT'), 'refused by the next session');
    $c->close;

    $c = client();
    $c->subscribe('v1/devices/me/rpc/request/+');
    $c->message;
    ok(becomes($rpc, $how->[1]), "acknowledged it is $how->[1]");
    $c->close;

    $rpc = keep($how->[0]);
    $c = client();
    $c->subscribe(['v1/devices/me/rpc/request/+', 0]);
    ok($c->wait('PUBLISH'), "$how->[0] with QoS 0");
    ok(becomes($rpc, $how->[1]), "is $how->[1] with that");
    $c->close;
}

$c = client();
$c->subscribe('v1/devices/me/rpc/request/+');
$caller = ask('oneway', { method => 'reboot', timeout => 5000 });
$m = $c->wait('PUBLISH');
is($m->{qos}, 1, 'one way');
$c->publish('v2/r/req/1', '{"method":"getCurrentTime"}', qos => 1);
$c->ack;
ok(!IO::Select->new($caller->{socket})->can_read(0.2),
    'its caller waits for the acknowledgement');
$c->send(0x40, pack('n', $m->{id}));
is($caller->answer->status, 200, 'and gets it');
$c->close;
$c = client();


# --- requests of the device

$c->publish('v1/devices/me/rpc/request/7',
    '{"method":"getSessionLimits","params":{}}', qos => 1);
$m = $c->message;
is($m->{topic}, 'v1/devices/me/rpc/response/7', 'the limits');

my $limits = JSON::XS::decode_json($m->{payload});

is($limits->{maxPayloadSize}, 65536, 'payload');
is($limits->{maxInflightMessages}, 100, 'in flight');
is_deeply([sort keys %{$limits->{rateLimits}}],
    [qw(messages telemetryDataPoints telemetryMessages)], 'rates');
is($c->ack->{type}, 'PUBACK', 'acknowledged');

$c->publish('v2/r/req/j/8', '{"method":"getCurrentTime"}', qos => 1);
$m = $c->message;
is($m->{topic}, 'v2/r/res/j/8', 'the time');
cmp_ok(abs($m->{payload} - time() * 1000), '<', 5000, 'is about right');
is($c->ack->{type}, 'PUBACK', 'acknowledged');

my $c5 = client(version => 5);

for my $bad ('', '7', '{}', '{"method":1}', '[{"method":"x"}]') {
    $c5->publish('v2/r/req/1', $bad, qos => 1);
    is($c5->ack->{reason}, 0x99, "no request: $bad");
}

# nobody answers others: they wait, but not for ever
$c5->publish("v2/r/req/$_", '{"method":"mine"}', qos => 1) for 1 .. 100;
is_deeply([map { $c5->ack->{reason} } 1 .. 100], [(0) x 100],
    'requests without an answer are acknowledged');
$c5->publish('v2/r/req/101', '{"method":"mine"}', qos => 1);
is($c5->ack->{reason}, 0x97, 'but only so many');
$c5->publish('v2/r/req/102', '{"method":"getCurrentTime"}');
is($c5->message->{topic}, 'v2/r/res/102', 'others are answered');
$c5->close;

done_testing();
