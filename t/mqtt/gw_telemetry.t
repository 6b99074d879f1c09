#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# Gateways: what they say of the devices behind them, and how these come to
# be.

use strict;
use warnings;
use utf8;

use FindBin;
use lib "$FindBin::Bin/../lib";

use CBOR::XS ();
use Encode qw(encode_utf8);
use JSON::XS ();
use Test::More;
use IotTest::Gateway;

my $t = IotTest::Gateway->new;
my $json = JSON::XS->new->utf8->canonical;
my $gateway = $t->device_id;


# --- devices made on the fly, one acknowledgement for all

for my $version (4, 5) {
    my $c = $t->gateway(version => $version);
    my %names = ("Dev A $version" => 21.5, "Gerät Ü $version" => -3,
        "\"quoted\\ $version" => 7, "{x},y' $version" => 8);
    my $payload = $json->encode({ map {
        $_ => [{ ts => 1000, values => { t => $names{$_} } },
            { mode => 'on', n => 1 }] } keys %names });
    my $id = $c->publish('v1/gateway/telemetry', $payload, qos => 1);
    my $ack = $c->ack;

    is($ack->{id}, $id, "many devices in $version: acknowledged");
    is($ack->{reason}, 0, 'with success');

    for my $name (sort keys %names) {
        my $row = $t->row(encode_utf8($name)) || $t->row($name);
        my $points = $t->points($t->behind_token($name));

        ok($row, encode_utf8("$name was made"));
        is($row->{gateway}, $gateway, 'the gateway is noted');
        is($points->{t}[0][0], 1000, 'a time of its own');
        is_deeply($t->behind($name)->{mode}, ['STRING', 'on'], 'a value');
    }

    ok($c->alive, 'the session goes on');
    is($c->ack(0.2)->{type}, 'NONE', 'there was one acknowledgement');

    $t->wipe;
    $c->publish('v1/gateway/telemetry', '{"Dev A ' . $version
        . '":[{"q":0}]}');
    ok($t->wait_for(10, sub { $t->behind("Dev A $version")->{q} }),
        'QoS 0 is stored');
    is($c->ack(0.2)->{type}, 'NONE', 'and not acknowledged');

    $id = $c->publish('v1/gateway/telemetry',
        '{"Dev A ' . $version . '":[{"q":2}]}', qos => 2);
    is($c->wait('PUBREC')->{id}, $id, 'QoS 2 is received');
    is_deeply($t->behind("Dev A $version"), { q => ['LONG', 2] },
        'when it is stored');
    $c->send(0x62, pack('n', $id));
    is($c->wait('PUBCOMP')->{id}, $id, 'and complete');
    $c->close;
}

is($t->value('SELECT count(*) FROM iot.device_profile'), 1,
    'all have the default profile');

my $c = $t->gateway;
my $c5 = $t->gateway(version => 5);

$t->wipe;
$c->publish('v1/gateway/telemetry', '{"Dev A 4":[{"a":1},"skip",[{"a":5}],'
    . '{"ts":2000,"values":{"b":2},"metadata":{"connector":"x"}},7],'
    . '"Dev A 4":[{"twice":true}],"Dev A 5":[]}', qos => 1);
is($c->ack->{reason}, 0, 'records that are not objects');
is_deeply($t->behind('Dev A 4'), { a => ['LONG', 1], b => ['LONG', 2],
    twice => ['BOOLEAN', 'true'] }, 'are skipped; a name may come twice');

$t->wipe;
$c->publish('v1/gateway/attributes', '{"Dev A 4":{"fw":"1","up":5},'
    . '"New 1":{"fw":"2"}}', qos => 1);
is($c->ack->{reason}, 0, 'attributes');
is_deeply($t->behind_attributes(1, 'Dev A 4'), { fw => ['LONG', 1],
    up => ['LONG', 5] }, 'of a device');
is_deeply($t->behind_attributes(1, 'New 1'), { fw => ['LONG', 2] },
    'and of one that is new');

$t->wipe;
$c->publish('v1/gateway/telemetry', CBOR::XS->new->text_keys->text_strings
    ->encode({ 'Dev A 4' => [{ c => 5 }] }), qos => 1);
is($c->ack->{reason}, 0, 'CBOR');
is_deeply($t->behind('Dev A 4'), { c => ['LONG', 5] }, 'is understood');

# the same names at once, before the first is there
$c->publish('v1/gateway/telemetry', "{\"Rush\":[{\"k$_\":$_}]}", qos => 1)
    for 1 .. 50;
is_deeply([map { $c->ack->{reason} } 1 .. 50], [(0) x 50],
    'fifty at once about a new device');
is(scalar(keys %{$t->behind('Rush')}), 50, 'all are stored');
is($t->value("SELECT count(*) FROM iot.device WHERE name = 'Rush'"), 1,
    'it was made once');


# --- connect and disconnect

my $profile;

$c->publish('v1/gateway/connect', '{"device":"Typed","type":"thermostat"}',
    qos => 1);
is($c->ack->{reason}, 0, 'connect');
$profile = $t->value('SELECT p.name FROM iot.device AS d JOIN'
    . ' iot.device_profile AS p ON p.id = d.profile_id'
    . " WHERE d.name = 'Typed'");
is($profile, 'thermostat', 'makes the profile of the type');
$c->publish('v1/gateway/connect', '{"device":"Typed","type":"other"}',
    qos => 1);
is($c->ack->{reason}, 0, 'again');
is($t->value("SELECT count(*) FROM iot.device_profile WHERE name = 'other'"),
    0, 'is nothing');


sub state_of {
    my ($name, $key) = @_;
    my $value = $t->behind_attributes(3, $name)->{$key};

    return $value ? $value->[1] : '';
}


ok($t->wait_for(15, sub { state_of('Typed', 'lastConnectTime') }),
    'it has a time of connection');
is(state_of('Typed', 'active'), 'true', 'and is active');
is(state_of('Typed', 'lastDisconnectTime'), '', 'it is connected');

$c->publish('v1/gateway/disconnect', '{"device":"Typed"}', qos => 1);
is($c->ack->{reason}, 0, 'disconnect');
ok($t->wait_for(15, sub { state_of('Typed', 'lastDisconnectTime') }),
    'the time is noted');
$c->publish('v1/gateway/disconnect', '{"device":"Never seen"}', qos => 1);
is($c->ack->{reason}, 0, 'of one that was not connected');
is($t->row('Never seen'), undef, 'nothing is made for that');


# --- what is wrong

my @bad = (['telemetry', '[]'], ['telemetry', '{"A":{"a":1}}'],
    ['telemetry', '{"A":5}'], ['telemetry', '{"":[{"a":1}]}'],
    ['telemetry', '{"A":[{"a":1}]'], ['telemetry', '{"A":[{"":1}]}'],
    ['telemetry', '{"' . ('x' x 256) . '":[{"a":1}]}'],
    ['telemetry', "{\"A\":[{\"a\":1}],\"B\":[{\"ts\":\"x\",\"values\":{}}]}"],
    ['attributes', '{"A":[1]}'], ['attributes', '"A"'], ['connect', '{}'],
    ['connect', '{"device":5}'], ['connect', '{"device":"A","type":[]}'],
    ['connect', '{"device":""}'], ['disconnect', '[]'],
    ['attributes/request', '{"id":1,"device":"A"}'],
    ['attributes/request', '{"device":"A","client":true,"key":"a"}'],
    ['attributes/request', '{"id":1,"device":"A","client":true}'],
    ['attributes/request', '{"id":1,"device":"A","client":true,"keys":[1]}'],
    ['attributes/request', '{"id":"1","device":"A","client":1,"key":"a"}'],
    ['rpc', '{"device":"A"}'], ['rpc', '{"device":"A","id":1}'],
    ['rpc', '{"device":"A","id":1.5,"data":{}}'],
    ['claim', '{"A":[]}'], ['claim', '{"A":{"secretKey":5}}'],
    ['claim', '{"A":{"durationMs":"x"}}']);

for my $bad (@bad) {
    my ($topic, $payload) = @$bad;

    $c5->publish("v1/gateway/$topic", $payload, qos => 1);
    is($c5->ack->{reason}, 0x99, "$topic: " . substr($payload, 0, 60));
}

ok($c5->alive, 'the session of 5.0 goes on');
is_deeply($t->behind('A'), {}, 'nothing of the good half was stored')
    if $t->row('A');

$c->publish('v1/gateway/telemetry', '{"A":5}', qos => 1);
is($c->ended, 'closed', '3.1.1 is closed');
$c5->publish('v1/gateway/telemetry', '{"A":5}');
is($c5->ended, 'closed 99', 'as is QoS 0');

$c5 = $t->gateway(version => 5);
$c5->publish('v1/gateway/nothing', '{}', qos => 1);
is($c5->ack->{reason}, 0x90, 'a topic that does not exist');


# --- one that is no gateway

$t->add_devices('plain');

for my $topic (qw(telemetry attributes connect rpc claim)) {
    my $p = IotTest::TbMqtt->connect($t, user => 'plain', version => 5);

    $p->publish("v1/gateway/$topic", '{"Z":[{"a":1}]}', qos => 1);
    is($p->ack->{reason}, 0x87, "no $topic of one that is no gateway");
    ok($p->alive, 'which may go on');
    $p->close;

    $p = IotTest::TbMqtt->connect($t, user => 'plain');
    $p->publish("v1/gateway/$topic", '{"Z":[{"a":1}]}', qos => 1);
    is($p->ack->{type}, 'PUBACK', '3.1.1 cannot be told');
    $p->close;
}

is($t->row('Z'), undef, 'nothing was made');


# --- customers

my $tenant = $t->value('SELECT tenant_id FROM iot.device WHERE id = ?',
    $gateway);
my ($one, $two) = map { $t->value('INSERT INTO iot.customer (tenant_id,'
    . ' title) VALUES (?, ?) RETURNING id', $tenant, $_) } 'one', 'two';

$t->sql('UPDATE iot.device SET customer_id = ? WHERE id = ?', $one, $gateway);
$t->sql("UPDATE iot.device SET customer_id = ? WHERE name = 'device plain'",
    $two);
$t->changed;

$c5 = $t->gateway(version => 5);
$c5->publish('v1/gateway/telemetry', '{"Mine":[{"a":1}]}', qos => 1);
is($c5->ack->{reason}, 0, 'a gateway of a customer');
is($t->row('Mine')->{customer}, $one, 'makes devices of that customer');
$c5->subscribe('v1/gateway/disconnect');

$t->wipe;
$c5->publish('v1/gateway/telemetry', '{"Mine":[{"a":2}],"device plain":'
    . '[{"a":3}]}', qos => 1);
is($c5->ack->{reason}, 0x87, 'one of another customer is refused');
is_deeply($json->decode($c5->message->{payload}),
    { device => 'device plain', reason => 0x87 }, 'which it is');
is_deeply($t->behind('Mine'), { a => ['LONG', 2] }, 'the other is stored');
is_deeply($t->typed('plain'), {}, 'that is not');

$t->add_devices('loose');
$c5->publish('v1/gateway/telemetry', '{"device loose":[{"a":3}]}', qos => 1);
is($c5->ack->{reason}, 0x87, 'nor one that no customer has');
$c5->message;
$c5->publish('v1/gateway/telemetry', '{"Rush":[{"a":4}]}', qos => 1);
is($c5->ack->{reason}, 0, 'unless the gateway had it before');

$c = $t->gateway;
$c->publish('v1/gateway/telemetry', '{"device plain":[{"a":3}]}', qos => 1);
is($c->ended, 'closed', '3.1.1 is closed');

# taken away while it is connected
$t->sql("UPDATE iot.device SET customer_id = ? WHERE name = 'Mine'", $two);
$t->changed($t->row('Mine')->{id});
is_deeply($json->decode($c5->message->{payload}),
    { device => 'Mine', reason => 0x98 }, 'the gateway hears of it');
$c5->publish('v1/gateway/attributes', '{"Mine":{"a":3}}', qos => 1);
is($c5->ack->{reason}, 0x87, 'and may not speak for it any longer');
$c5->message;


# --- as many as the tenant may have

my $profile_id = $t->value('SELECT tenant_profile_id FROM iot.tenant'
    . ' WHERE id = ?', $tenant);
my $n = $t->value('SELECT count(*) FROM iot.device WHERE tenant_id = ?',
    $tenant);

$t->sql('UPDATE iot.tenant_profile SET data = jsonb_set(data::jsonb,'
    . " '{configuration,maxDevices}', to_jsonb(?::int)) WHERE id = ?",
    $n + 2, $profile_id);

$c5->publish('v1/gateway/attributes', '{"L1":{"a":1},"L2":{"a":1},'
    . '"L3":{"a":1},"L4":{"a":1}}', qos => 1);
is($c5->ack->{reason}, 0x97, 'more than the tenant may have');
is_deeply([map { $json->decode($c5->message->{payload}) } 1, 2],
    [map { { device => $_, reason => 0x97 } } 'L3', 'L4'], 'which ones');
is_deeply([map { $_->[0] } @{$t->sql('SELECT name FROM iot.device WHERE'
    . " name LIKE 'L_' ORDER BY name")}], ['L1', 'L2'], 'the others exist');
is_deeply($t->behind_attributes(1, 'L1'), { a => ['LONG', 1] },
    'with what was said of them');

$c = $t->gateway;
$c->publish('v1/gateway/connect', '{"device":"L3"}', qos => 1);
is($c->ended, 'closed', '3.1.1 is closed');
$t->sql('UPDATE iot.tenant_profile SET data = jsonb_set(data::jsonb,'
    . " '{configuration,maxDevices}', '0') WHERE id = ?", $profile_id);


# --- the database is away for a moment; the client does not wait

$c = $t->gateway;
$t->hold('iot.telemetry');
$c->publish('v1/gateway/telemetry', '{"Rush":[{"held":1}],"Late":[{"a":1}]}',
    qos => 1);
is($c->ack(0.5)->{type}, 'NONE', 'nothing is acknowledged before it is kept');
$t->let_go('iot.telemetry');
is($c->ack->{type}, 'PUBACK', 'but then');

$t->hold('iot.device');
$c->publish('v1/gateway/telemetry', '{"Left":[{"a":1}]}', qos => 1);
ok($c->alive, 'the message has arrived');
$c->close;
$t->let_go('iot.device');
ok($t->wait_for(10, sub { $t->row('Left') && $t->behind('Left')->{a} }),
    'what was taken is stored, and the device made');

# a new name in each of many messages is read no faster than it is made
$c = $t->gateway;
$t->hold('iot.device');
$c->publish('v1/gateway/telemetry', "{\"Flood $_\":[{\"a\":1}]}")
    for 1 .. 400;
$t->let_go('iot.device');
$c->send(0xc0, '');
is($c->wait('PINGRESP', 60)->{type}, 'PINGRESP', 'a flood of new names');
ok($t->wait_for(60, sub { $t->value('SELECT count(*) FROM iot.device WHERE'
    . " name LIKE 'Flood %'") == 400 }), 'all are made');

done_testing();
