#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# Devices that say who may have them, and users of customers who claim them.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use CBOR::XS ();
use Test::More;
use IotTest::Gateway;

my $t = IotTest::Gateway->new(workers => 2);
my ($tenant, $customer) = ($t->tenant, $t->customer);

my $n = 0;


# the name of a new device
sub fresh {
    my $token = 'claim' . ++$n;

    $t->add_devices($token);

    return $token;
}


sub url { return "/api/customer/device/device%20$_[0]/claim" }


# what becomes of it: "200 SUCCESS"
sub claim {
    my ($token, $body, %o) = @_;
    my $answer = $t->post(url($token), token => $customer,
        defined $body ? (json => $body) : (), %o);
    my $json = eval { $answer->json };

    return $answer->status . ' ' . (ref($json) ? $json->{response}
        || $json->{message} : defined $json ? $json : '');
}


# tells the device's own words
sub says {
    my ($token, $body, %o) = @_;

    return $t->post($t->url('claim', $token), body => $body, %o)->status;
}


sub customer_of {
    return $t->value('SELECT customer_id FROM iot.device WHERE name = ?',
        "device $_[0]");
}


# --- over HTTP

my $d = fresh();

is(says($d, '{"secretKey":"abc","durationMs":60000}'), 200, 'a device speaks');
is(claim($d, { secretKey => 'abc' }), '200 SUCCESS', 'is claimed');
is(customer_of($d), $t->customer_id, 'has a customer now');
is(claim($d, { secretKey => 'abc' }), '400 CLAIMED', 'once');
is(says($d, '{"secretKey":"abc"}'), 200, 'it hears nothing of a refusal');
is($t->value('SELECT count(*) FROM iot.device_claim'), 0, 'but it is one');

my $answer = $t->get('/api/customer/' . $t->customer_id
    . '/devices?pageSize=100&page=0', token => $customer);

ok((grep { $_->{name} eq "device $d" } @{$answer->json->{data}}),
    'the customer sees it');
is($t->value("SELECT count(*) FROM iot.audit_log WHERE action ="
    . " 'ASSIGNED_TO_CUSTOMER' AND entity_name = ?", "device $d"), 1,
    'the log has it');

for my $body ('', '{}', '{"secretKey":""}', '{"secretKey":null}') {
    $d = fresh();
    is(says($d, $body), 200, "no secret: $body");
    is(claim($d, undef), '200 SUCCESS', 'is one that all know');
}

$d = fresh();
is(says($d, CBOR::XS->new->text_keys->text_strings->encode({ secretKey =>
    'k' }), type => 'application/cbor'), 200, 'in CBOR');
is(claim($d, { secretKey => 'k' }), '200 SUCCESS', 'too');

is(says(fresh(), $_), 400, "bad: $_")
    for '[]', '{"secretKey":5}', '{"durationMs":-1}', '{"durationMs":"x"}',
        '{', '"abc"', '{"secretKey":"' . ('x' x 256) . '"}';

is(says('stranger', '{}'), 401, 'a stranger');


# --- what fails

$d = fresh();
is(claim($d, { secretKey => 'abc' }), '400 FAILURE', 'it has said nothing');
says($d, '{"secretKey":"abc"}');
is(claim($d, { secretKey => 'xyz' }), '400 FAILURE', 'a wrong secret');
is(claim($d, undef), '400 FAILURE', 'none');
is(claim($d, { secretKey => 'abc' }), '200 SUCCESS',
    'a wrong one does not spoil it');

$d = fresh();
says($d, '{"secretKey":"abc","durationMs":1}');
ok($t->wait_for(5, sub { $t->value('SELECT expires_at < iot.now_ms() FROM'
    . ' iot.device_claim WHERE device_id = (SELECT id FROM iot.device WHERE'
    . ' name = ?)', "device $d") }), 'the time is over');
is(claim($d, { secretKey => 'abc' }), '400 FAILURE', 'too late');

$d = fresh();
says($d, '{"secretKey":"abc"}');
is(claim($d, { secretKey => 'no' }), '400 FAILURE', 'a guess') for 1 .. 5;
like(claim($d, { secretKey => 'abc' }), qr/^429 /, 'who guesses has to wait');
$t->sql('UPDATE iot.device_claim SET failed_at = failed_at - 60001');
is(claim($d, { secretKey => 'abc' }), '200 SUCCESS', 'a minute');

is(claim('none', {}), "404 Requested item wasn't found!", 'no such device');
is($t->post(url($d), token => $tenant, json => {})->status, 403,
    'a tenant does not claim');


# --- by the attribute of the tenant

$d = fresh();

my $id = $t->value('SELECT id FROM iot.device WHERE name = ?', "device $d");
my $attributes = "/api/plugins/telemetry/DEVICE/$id";

is($t->post("$attributes/SERVER_SCOPE", token => $tenant, json => {
    claimingData => { secretKey => 'abc', expirationTime =>
        (time + 60) * 1000 } })->status, 200, 'the tenant says it');
is(claim($d, { secretKey => 'no' }), '400 FAILURE', 'a wrong secret');
is(claim($d, { secretKey => 'abc' }), '200 SUCCESS', 'the right one');
is($t->get("$attributes/values/attributes/SERVER_SCOPE?keys=claimingData",
    token => $tenant)->body, '[]', 'and the attribute is gone');


# --- given back

is($t->del(url($d), token => $customer)->status, 200, 'given back');
is(customer_of($d), undef, 'it has no customer');
is($t->del(url($d), token => $customer)->status, 403,
    'what is not its own the customer cannot give');
is($t->del(url($d), token => $tenant)->status, 200, 'the tenant can');
is($t->del(url('none'), token => $tenant)->status, 404, 'none');

my $sysadmin = $t->sysadmin;


sub allowed {
    my ($value) = @_;

    $t->sql('INSERT INTO iot.setting (tenant_id, name, value) VALUES (NULL,'
        . " 'claim.allowed', ?) ON CONFLICT (tenant_id, name) DO UPDATE"
        . ' SET value = excluded.value', $value);
}


allowed('false');
$d = fresh();
is(says($d, '{}'), 200, 'where it has to be allowed');
is(claim($d, undef), '400 FAILURE', 'it is refused');
$id = $t->value('SELECT id FROM iot.device WHERE name = ?', "device $d");
$attributes = "/api/plugins/telemetry/DEVICE/$id";
$t->post("$attributes/SERVER_SCOPE", token => $tenant,
    json => { claimingAllowed => \1 });
is(says($d, '{}'), 200, 'and with the attribute');
is(claim($d, undef), '200 SUCCESS', 'not');
$t->post("$attributes/SERVER_SCOPE", token => $tenant,
    json => { claimingAllowed => \0 });
is($t->del(url($d), token => $customer)->status, 200, 'given back');
is_deeply($t->stored_attributes(3, $d)->{claimingAllowed},
    ['BOOLEAN', 'true'], 'it may be claimed again');
allowed('true');


# --- over MQTT, and by a gateway

for my $version (4, 5) {
    my $c;

    for my $body ('{"secretKey":"m"}', CBOR::XS->new->text_keys->text_strings
        ->encode({ secretKey => 'm' }))
    {
        $d = fresh();
        $c = IotTest::TbMqtt->connect($t, user => $d, version => $version);
        $c->publish('v1/devices/me/claim', $body, qos => 1);
        is($c->ack->{reason}, 0, 'over MQTT');
        is(claim($d, { secretKey => 'm' }), '200 SUCCESS', 'is claimed');
    }

    $d = fresh();
    $c = IotTest::TbMqtt->connect($t, user => $d, version => $version);
    $c->publish('v1/devices/me/claim', '', qos => 1);
    is($c->ack->{reason}, 0, 'with nothing');
    is(claim($d, undef), '200 SUCCESS', 'too');
    $c = IotTest::TbMqtt->connect($t, user => $d, version => $version);
    $c->publish('v1/devices/me/claim', '[]', qos => 1);

    if ($version == 5) {
        is($c->ack->{reason}, 0x99, 'a bad payload');

    } else {
        is($c->ended, 'closed', 'a bad payload');
    }

    my @d = (fresh(), fresh());

    $c = $t->gateway(version => $version);
    $c->publish('v1/gateway/claim', '{"device ' . $d[0] . '":{"secretKey":"a",'
        . '"durationMs":60000},"device ' . $d[1] . '":{}}', qos => 1);
    is($c->ack->{reason}, 0, 'a gateway');
    is(claim($d[0], { secretKey => 'a' }), '200 SUCCESS', 'for one');
    is(claim($d[1], undef), '200 SUCCESS', 'and another');
}

done_testing();
