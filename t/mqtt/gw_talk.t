#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# Gateways: what people want of the devices behind them, and what these want
# to know.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use JSON::XS ();
use Test::More;
use IotTest::Gateway;

my $t = IotTest::Gateway->new(workers => 2);
my $json = JSON::XS->new->utf8->canonical->allow_nonref;
my $tenant = $t->tenant;


sub shared {
    my ($name, $values) = @_;
    my $answer = $t->post('/api/plugins/telemetry/DEVICE/'
        . $t->row($name)->{id} . '/SHARED_SCOPE', token => $tenant,
        json => $values);

    is($answer->status, 200, "shared attributes of $name")
        or diag($answer->body);
}


# a request of a person, written but not answered
sub ask {
    my ($how, $name, $body) = @_;
    my $caller = $t->client;

    $caller->write(IotTest::Client::format_request('POST',
        "/api/rpc/$how/" . $t->row($name)->{id},
        [['X-Authorization', "Bearer $tenant"]], $json->encode($body)));

    return $caller;
}


sub told {
    my ($c, $timeout) = @_;
    my $m = $c->message($timeout);

    return [$m->{topic}, $m->{payload} ? $json->decode($m->{payload}) : undef,
        $m->{qos}];
}


my $c = $t->gateway;
my $c5 = $t->gateway(version => 5, id => 'five');

$c->publish('v1/gateway/connect', '{"device":"One"}', qos => 1);
$c->publish('v1/gateway/connect', '{"device":"T\"wo"}', qos => 1);
is($c->ack->{reason}, 0, 'connected') for 1, 2;


# --- shared attributes

is_deeply($c->subscribe('v1/gateway/attributes',
    ['v1/gateway/attributes/response', 0], 'v1/gateway/rpc'), [1, 0, 1],
    'subscriptions');

shared('One', { a => 5, b => 'x' });
is_deeply(told($c), ['v1/gateway/attributes', { device => 'One',
    data => { a => 5, b => 'x' } }, 1], 'an update');
shared('T"wo', { c => { d => [1] } });
is_deeply(told($c), ['v1/gateway/attributes', { device => 'T"wo',
    data => { c => { d => [1] } } }, 1], 'of the other');

is($t->del('/api/plugins/telemetry/DEVICE/' . $t->row('One')->{id}
    . '/SHARED_SCOPE?keys=a,b', token => $tenant)->status, 200, 'deletion');
is_deeply(told($c), ['v1/gateway/attributes', { device => 'One',
    data => { deleted => ['a', 'b'] } }, 1], 'is told');

$c->publish('v1/gateway/disconnect', '{"device":"One"}', qos => 1);
$c->ack;
shared('One', { a => 6 });
shared('T"wo', { c => 7 });
is_deeply(told($c)->[1], { device => 'T"wo', data => { c => 7 } },
    'nothing for one that was disconnected');
$c->publish('v1/gateway/telemetry', '{"One":[{"x":1}]}', qos => 1);
$c->ack;
shared('One', { a => 7 });
is_deeply(told($c)->[1], { device => 'One', data => { a => 7 } },
    'its first message connects it again');

# without a subscription, of another worker or of this one
$c5->publish('v1/gateway/connect', '{"device":"Five"}', qos => 1);
$c5->ack;
shared('Five', { a => 1 });
is_deeply(told($c5), ['v1/gateway/attributes', { device => 'Five',
    data => { a => 1 } }, 1], 'without a subscription, with QoS 1');
is_deeply($c5->subscribe(['v1/gateway/attributes', 0]), [0], 'QoS 0');
shared('Five', { a => 2 });
is(told($c5)->[2], 0, 'is what counts then');


# --- attributes asked for

$c->publish('v1/gateway/attributes', '{"One":{"fw":"v1","up":17,"on":true}}',
    qos => 1);
$c->ack;


sub request {
    my ($body) = @_;

    $c->publish('v1/gateway/attributes/request', $json->encode($body),
        qos => 1);
    is($c->ack->{reason}, 0, 'a request');

    my $m = told($c);

    is($m->[0], 'v1/gateway/attributes/response', 'the topic of the answer');
    is($m->[2], 0, 'with the QoS granted');

    return $m->[1];
}


is_deeply(request({ id => 5, device => 'One', client => JSON::XS::true,
    key => 'fw' }), { id => 5, device => 'One', value => 'v1' }, 'one key');
is_deeply(request({ id => 6, device => 'One', client => JSON::XS::false,
    key => 'a' }), { id => 6, device => 'One', value => 7 }, 'a shared one');
is_deeply(request({ id => -7, device => 'One', client => JSON::XS::true,
    keys => ['fw', 'up', 'none', 'on'] }), { id => -7, device => 'One',
    values => { fw => 'v1', up => 17, on => JSON::XS::true } }, 'several');
is_deeply(request({ id => 8, device => 'One', client => JSON::XS::false,
    key => 'fw' }), { id => 8, device => 'One' }, 'one that is not there');
is_deeply(request({ id => 9, device => 'One', client => JSON::XS::false,
    keys => ['x', 'y'] }), { id => 9, device => 'One', values => {} },
    'several that are not there');
is_deeply(request({ id => 10, device => 'One', client => JSON::XS::true,
    keys => ['up'] }), { id => 10, device => 'One', value => 17 },
    'a list of one');
is_deeply(request({ id => 11, device => 'Asked', client => JSON::XS::true,
    key => 'up' }), { id => 11, device => 'Asked' }, 'a device that is new');
ok($t->row('Asked'), 'was made');


# --- requests to devices

for my $session ([$c, 'One'], [$c, 'T"wo'], [$c5, 'Five']) {
    my ($gw, $name) = @$session;
    my $caller = ask('twoway', $name, { method => 'set',
        params => { pin => 1 } });
    my $m = told($gw);

    is($m->[0], 'v1/gateway/rpc', 'a request');
    is($m->[1]{device}, $name, "for $name");
    like($m->[1]{data}{id}, qr/^\d+$/, 'with an id');
    is($m->[1]{data}{method}, 'set', 'a method');
    is_deeply($m->[1]{data}{params}, { pin => 1 }, 'and parameters');

    $gw->publish('v1/gateway/rpc', $json->encode({ device => $name,
        id => $m->[1]{data}{id}, data => { ok => [1] } }), qos => 1);
    is($gw->ack->{reason}, 0, 'the answer is taken');

    my $answer = $caller->answer;

    is($answer->status, 200, 'the caller');
    is($answer->body, '{"ok":[1]}', 'gets it');
}

my $caller = ask('oneway', 'One', { method => 'go', params => 5 });
is(told($c)->[1]{data}{params}, 5, 'without answer');
is($caller->answer->status, 200, 'is done when it is delivered');

$c->publish('v1/gateway/rpc', '{"device":"One","id":99999,"data":1}',
    qos => 1);
is($c->ack->{reason}, 0, 'an answer that nobody waits for');
$c->publish('v1/gateway/rpc', '{"device":"One","id":-1,"data":1}', qos => 1);
is($c->ack->{reason}, 0, 'a number that is not ours');


# --- what waits for a device is given when it is connected, in order

$c->publish('v1/gateway/telemetry', '{"Late 1":[],"Late 2":[]}', qos => 1);
$c->ack;
$c->publish('v1/gateway/disconnect', "{\"device\":\"Late $_\"}", qos => 1)
    for 1, 2;
$c->ack for 1, 2;

for my $n (1 .. 4) {
    my $answer = $t->post('/api/rpc/oneway/'
        . $t->row('Late ' . ($n % 2 + 1))->{id}, token => $tenant,
        json => { method => "m$n", params => {}, persistent =>
            JSON::XS::true, timeout => 600000 });

    is($answer->status, 200, 'a persistent request');
}

$c->publish('v1/gateway/telemetry', '{"Late 1":[{"a":1}],"Late 2":[{"a":1}]}',
    qos => 1);
is_deeply([map { my $m = told($c); [$m->[1]{device}, $m->[1]{data}{method}] }
    1 .. 4], [['Late 2', 'm1'], ['Late 1', 'm2'], ['Late 2', 'm3'],
    ['Late 1', 'm4']], 'all come when the devices are back');
is($c->ack->{reason}, 0, 'and the telemetry is stored');


# --- a device that is deleted

is($t->del('/api/device/' . $t->row('Five')->{id}, token => $tenant)
    ->status, 200, 'deleted');
is_deeply(told($c5), ['v1/gateway/disconnect', { device => 'Five',
    reason => 0x98 }, 1], 'the gateway hears of it');
is($t->row('Five'), undef, 'it was not made again');

# renamed: the old name is a new device
my $device = $t->get('/api/device/' . $t->row('T"wo')->{id},
    token => $tenant)->json;
my $former = $device->{id}{id};

$device->{name} = 'Renamed';
is($t->post('/api/device', token => $tenant, json => $device)->status, 200,
    'renamed');
$c->publish('v1/gateway/telemetry', '{"T\"wo":[{"a":1}]}', qos => 1);
is($c->ack->{reason}, 0, 'the old name');
isnt($t->row('T"wo')->{id}, $former, 'is another device');
shared('T"wo', { n => 1 });
is_deeply(told($c)->[1], { device => 'T"wo', data => { n => 1 } },
    'whose attributes are told');


# --- the worker that has the session is killed

$c->publish('v1/gateway/connect', '{"device":"Kept"}', qos => 1);
$c->ack;
$t->kill_worker($_) for $t->worker_pids;

$c = $t->gateway;
$c->subscribe('v1/gateway/attributes');
$c->publish('v1/gateway/telemetry', '{"Kept":[{"a":1}]}', qos => 1);
is($c->ack->{reason}, 0, 'it comes again');
shared('Kept', { a => 1 });
is_deeply(told($c)->[1], { device => 'Kept', data => { a => 1 } },
    'and is told, once');
ok($c->alive, 'the session goes on');
is($c->message(0.2)->{type}, 'NONE', 'nothing comes twice');


# --- activity

$t->sql('UPDATE iot.device SET additional_info ='
    . q( '{"gateway":true,"overwriteActivityTime":true}' WHERE id = ?),
    $t->device_id);
$t->changed;
$c->publish('v1/gateway/connect', '{"device":"Quiet"}', qos => 1);
$c->ack;


sub quiet {
    my $value = $t->behind_attributes(3, 'Quiet')->{lastActivityTime};

    return $value ? $value->[1] : 0;
}


ok($t->wait_for(15, sub { quiet() }), 'it was heard of');

my $then = quiet();

ok($t->wait_for(15, sub {
    $c->publish('v1/devices/me/telemetry', '{"own":1}', qos => 1);
    $c->ack;
    quiet() > $then;
}), 'what the gateway says of itself counts for those behind it');

done_testing();
