#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# Who may connect as a device: tokens, client ids with user names and
# passwords; and devices that ask for their own credentials.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use CBOR::XS ();
use JSON::XS ();
use Test::More;
use IotTest::Device;
use IotTest::TbMqtt;

my $t = IotTest::Device->new;
my $id = $t->device_id;
my $tenant = $t->tenant;


sub reason {
    my (%o) = @_;
    my $packet = IotTest::TbMqtt->open($t, %o)->packet;

    return $packet->{type} eq 'CONNACK' ? $packet->{reason} : -1;
}


sub credentials {
    my ($type, $value) = @_;
    my $c = $t->get("/api/device/$id/credentials", token => $tenant)->json;

    $c->{credentialsType} = $type;
    $c->{credentialsValue} = JSON::XS::encode_json($value);
    $c->{credentialsId} = undef;

    my $answer = $t->post('/api/device/credentials', token => $tenant,
        json => $c);

    is($answer->status, 200, "now $type") or diag($answer->body);
}


is(reason(user => $t->device_token), 0, 'a token');
is(reason(user => $t->device_token, password => 'any'), 0,
    'any password with it');
is(reason(user => $t->device_token, will => 'v1/devices/me/telemetry'), 0,
    'a will');
is(reason(user => 'nobody'), 5, 'no token');
is(reason(user => 'nobody', version => 5), 0x86, 'in 5.0');
is(reason(), 2, 'a client id alone that nobody has');
is(reason(version => 5), 0x85, 'in 5.0');
is(reason(id => ''), 5, 'nothing at all');
is(reason(id => '', version => 5), 0x87, 'in 5.0');

credentials('MQTT_BASIC', { clientId => 'sensor-1', userName => 'user1',
    password => 'secret' });

my %all = (id => 'sensor-1', user => 'user1', password => 'secret');

is(reason(%all), 0, 'client id, user name and password');
is(reason(%all), 0, 'from the cache');
is(reason(%all, version => 5), 0, 'in 5.0');
is(reason(%all, password => 'wrong'), 5, 'a wrong password');
is(reason(%all, password => 'wrong', version => 5), 0x86, 'in 5.0');
is(reason(%all, password => undef), 5, 'no password');
is(reason(%all, id => 'sensor-2'), 5, 'another client id');
is(reason(%all, user => 'user2'), 5, 'another user name');
is(reason(user => $t->device_token), 5, 'no token any more');

my $c = IotTest::TbMqtt->connect($t, %all);

$c->publish('v2/t', '{"a":1}', qos => 1);
is($c->ack->{reason}, 0, 'it is the device');

credentials('MQTT_BASIC', { clientId => 'sensor-1' });
is($c->ended, 'closed', 'changed credentials end the session');
is(reason(id => 'sensor-1'), 0, 'a client id alone');
is(reason(id => 'sensor-9'), 2, 'another');

credentials('MQTT_BASIC', { userName => 'name', password => 'p' });
is(reason(user => 'name', password => 'p', id => 'any'), 0,
    'a user name and a password');
is(reason(user => 'name', password => 'q'), 5, 'another password');

credentials('MQTT_BASIC', { userName => 'name' });
is(reason(user => 'name'), 0, 'a user name alone');
is(reason(user => 'name', password => 'any'), 0, 'with any password');


# --- provisioning

$t->sql("UPDATE iot.device_profile SET provision_type ="
    . " 'ALLOW_CREATE_NEW_DEVICES', provision_key = 'key',"
    . " provision_secret = 'secret' WHERE is_default AND tenant_id = ?",
    $t->tenant_id);


sub provision {
    my ($c, %o) = @_;
    my $coder = delete $o{coder} || JSON::XS->new->utf8;

    $c->publish('/provision/request', $coder->encode({
        provisionDeviceKey => 'key', provisionDeviceSecret => 'secret', %o }),
        qos => 1);

    my $m = $c->message;

    is($m->{topic}, '/provision/response', 'an answer');
    is($c->ack->{reason}, 0, 'acknowledged');

    return JSON::XS::decode_json($m->{payload} || '{}');
}


my @c = map { IotTest::TbMqtt->connect($t, user => 'provision',
    id => 'provision') } 1 .. 4;
my $r = provision($c[0], deviceName => 'made');

is($r->{status}, 'SUCCESS', 'a device is made');
is($r->{credentialsType}, 'ACCESS_TOKEN', 'with a token');
is(reason(user => $r->{credentialsValue}), 0, 'that is good');

$r = provision($c[1], deviceName => 'basic', credentialsType => 'MQTT_BASIC',
    clientId => 'cl', username => 'us', password => 'pw');
is($r->{status}, 'SUCCESS', 'with a user name') or diag(explain($r));
is(reason(id => 'cl', user => 'us', password => 'pw'), 0, 'that is good');

is_deeply(provision($c[2], provisionDeviceSecret => 'other'),
    { errorMsg => 'Provision data was not found!', status => 'NOT_FOUND' },
    'another secret');

$r = provision($c[3], deviceName => 'small', credentialsType => 'MQTT_BASIC',
    clientId => 'cborcl', username => 'us', password => 'pw',
    coder => CBOR::XS->new->text_keys->text_strings);
is($r->{status}, 'SUCCESS', 'a request in CBOR') or diag(explain($r));
is(reason(id => 'cborcl', user => 'us', password => 'pw'), 0, 'that is good');

my $p = IotTest::TbMqtt->connect($t, id => 'provision', version => 5);

is_deeply($p->subscribe('/provision/response', '#', 'v2/a', 'devices/x'),
    [1, 0x8f, 0x8f, 0x8f], 'it may hear the answer only');
$p->publish('/provision/request', '{"provisionDeviceKey":"key"}', qos => 1);
is($p->ack->{reason}, 0x99, 'no secret');
$p->publish('/provision/request', '[', qos => 1);
is($p->ack->{reason}, 0x99, 'no JSON');
$p->publish('/provision/request', "\xa1\x61", qos => 1);
is($p->ack->{reason}, 0x99, 'no CBOR');
$p->publish('v1/devices/me/telemetry', '{"a":1}', qos => 1);
is($p->ack->{reason}, 0x90, 'no other topic');
is($p->ended, 'closed 90', 'and that ends it');

done_testing();
