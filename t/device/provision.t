#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# Devices that register themselves: all strategies, all kinds of credentials.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use JSON::XS ();
use Test::More;
use IotTest::Device;

my $t = IotTest::Device->new(workers => 2);
my ($a, $r);


sub profile {
    my ($name, $strategy, $key, $secret) = @_;

    $t->sql('INSERT INTO iot.device_profile (tenant_id, name, provision_type,'
        . ' provision_key, provision_secret, data) SELECT tenant_id, ?, ?, ?,'
        . ' ?, data FROM iot.device_profile LIMIT 1', $name, $strategy, $key,
        $secret);
}


# the reply, which is always 200
sub provision {
    my (%o) = @_;

    $a = $t->post('/api/v1/provision', json => {
        provisionDeviceKey => 'key', provisionDeviceSecret => 'secret', %o });
    is($a->status, 200, 'answered');
    is($a->header('content-type'), 'application/json', 'in JSON');

    return $a->json;
}


my $failure = { status => 'FAILURE',
    errorMsg => 'Failed to provision device!' };
my $not_found = { status => 'NOT_FOUND',
    errorMsg => 'Provision data was not found!' };


sub is_token {
    my ($reply, $name) = @_;

    is($reply->{status}, 'SUCCESS', $name);
    is($reply->{credentialsType}, 'ACCESS_TOKEN', 'with a token');
    like($reply->{credentialsValue}, qr/^[A-Za-z0-9]{20}$/, 'of 20 letters');
    is($t->telemetry('{"a":1}', token => $reply->{credentialsValue})->status,
        200, 'which is good at once');

    return $reply->{credentialsValue};
}


profile('open', 'ALLOW_CREATE_NEW_DEVICES', 'key', 'secret');
profile('checked', 'CHECK_PRE_PROVISIONED_DEVICES', 'checked', 'secret2');
profile('closed', 'DISABLED', 'closed', 'secret3');

# --- new devices

$r = provision(deviceName => 'first');
my $token = is_token($r, 'a new device');

is_deeply([sort keys %$r], [qw(credentialsType credentialsValue status)],
    'no other members');
is($t->value("SELECT dp.name FROM iot.device AS d JOIN iot.device_profile AS"
    . " dp ON dp.id = d.profile_id WHERE d.name = 'first'"), 'open',
    'it has the profile');
is_deeply($t->stored_attributes(3, $token)->{provisionState},
    ['STRING', 'provisioned'], 'and its state');
is_deeply(provision(deviceName => 'first'), $failure, 'not twice');

my $other = is_token(provision(deviceName => '  padded  '), 'a padded name');
is($t->value('SELECT d.name FROM iot.device AS d WHERE d.nr = ?',
    $t->nr($other)), 'padded', 'is trimmed');

for my $name (undef, '') {
    $token = is_token(provision(deviceName => $name), 'no name');
    like($t->value('SELECT name FROM iot.device WHERE nr = ?',
        $t->nr($token)), qr/^[A-Za-z0-9]{20}$/, 'gets one by chance');
}

is_deeply(provision(deviceName => '   '), $failure, 'a name of blanks');
is_deeply(provision(deviceName => 'x' x 256), $failure, 'a name too long');
is_token(provision(deviceName => "\x{e4}\x{1f600}"), 'a name in Unicode');
is_token(provision(deviceName => 42), 'a number for a name');

$r = provision(deviceName => 'gate', gateway => JSON::XS::true());
is_token($r, 'a gateway');
is($t->value("SELECT is_gateway FROM iot.device WHERE name = 'gate'"), 1,
    'is one');

# --- credentials of its own

is_deeply(provision(deviceName => 'own', token => 'MyOwnToken'),
    { status => 'SUCCESS', credentialsType => 'ACCESS_TOKEN',
        credentialsValue => 'MyOwnToken' }, 'a token of its own');
is($t->telemetry('{"a":1}', token => 'MyOwnToken')->status, 200, 'is good');
is_deeply(provision(deviceName => 'own2', token => 'MyOwnToken'), $failure,
    'a token that is taken');
is($t->value("SELECT count(*) FROM iot.device WHERE name = 'own2'"), 0,
    'leaves no device behind');
is_deeply(provision(deviceName => 'own3', token => 'x' x 256), $failure,
    'a token too long');

is_deeply(provision(deviceName => 'mqtt', credentialsType => 'MQTT_BASIC',
    clientId => 'c1', username => 'u1', password => 'p1'),
    { status => 'SUCCESS', credentialsType => 'MQTT_BASIC',
        credentialsValue => { clientId => 'c1', userName => 'u1',
            password => 'p1' } }, 'MQTT');
is(provision(deviceName => 'mqtt2', credentialsType => 'MQTT_BASIC',
    clientId => 'c2')->{status}, 'SUCCESS', 'only a client id');
is(provision(deviceName => 'mqtt3', credentialsType => 'MQTT_BASIC',
    username => 'u3', password => 'p3')->{status}, 'SUCCESS',
    'only a user name');
is($t->value("SELECT credentials_id FROM iot.device_credentials AS c JOIN"
    . " iot.device AS d ON d.id = c.device_id WHERE d.name = 'mqtt3'"), 'u3',
    'by which it is found');
is_deeply(provision(deviceName => 'mqtt4', credentialsType => 'MQTT_BASIC'),
    $failure, 'nothing');
is_deeply(provision(deviceName => 'mqtt5', credentialsType => 'MQTT_BASIC',
    clientId => 'c1', username => 'u1'), $failure, 'a pair that is taken');
is(provision(deviceName => 'mqtt6', credentialsType => 'MQTT_BASIC',
    clientId => 'c' x 2000, username => 'u')->{status}, 'SUCCESS',
    'a long client id');
is(provision(deviceName => 'mqtt7', credentialsType => 'MQTT_BASIC',
    clientId => ('c' x 2000) . 'd', username => 'u')->{status}, 'SUCCESS',
    'another, different at its end');

my $pem = "-----BEGIN CERTIFICATE-----\nMIIBszCCAVmg\nAwIBAgIUAAAA\n"
    . "-----END CERTIFICATE-----\n";

is_deeply(provision(deviceName => 'x509', hash => $pem,
    credentialsType => 'X509_CERTIFICATE'), { status => 'SUCCESS',
    credentialsType => 'X509_CERTIFICATE', credentialsValue => $pem },
    'a certificate');
(my $crlf = $pem) =~ s/\n/\r\n/g;
is_deeply(provision(deviceName => 'x509b', hash => $crlf,
    credentialsType => 'X509_CERTIFICATE'), $failure,
    'the same one, with other ends of lines');
is_deeply(provision(deviceName => 'x509c',
    credentialsType => 'X509_CERTIFICATE'), $failure, 'none');
is_deeply(provision(deviceName => 'odd', credentialsType => 'SMOKE_SIGNAL'),
    $failure, 'credentials nobody knows');

# --- devices that must be there

my @checked = (provisionDeviceKey => 'checked',
    provisionDeviceSecret => 'secret2');

is_deeply(provision(@checked, deviceName => 'unknown'), $failure,
    'a device that is not there');
is_deeply(provision(@checked, deviceName => 'first'), $failure,
    'or of another profile');

for my $name ('here', 'here2') {
    $t->add_devices("T$name");
    $t->sql('UPDATE iot.device SET name = ?, profile_id = (SELECT id FROM'
        . " iot.device_profile WHERE name = 'checked') WHERE nr = ?", $name,
        $t->nr("T$name"));
}

is_deeply(provision(@checked, deviceName => 'here'), { status => 'SUCCESS',
    credentialsType => 'ACCESS_TOKEN', credentialsValue => 'There' },
    'keeps what it has');
is_deeply(provision(@checked, deviceName => 'here'), $failure, 'once');
is($t->telemetry('{"a":1}', token => 'There2')->status, 200, 'an old token');
is_deeply(provision(@checked, deviceName => 'here2', token => 'Fresh'),
    { status => 'SUCCESS', credentialsType => 'ACCESS_TOKEN',
        credentialsValue => 'Fresh' }, 'or takes what it brings');
is($t->telemetry('{"a":1}', token => 'Fresh')->status, 200, 'which is good');
ok($t->wait_for(1, sub {
    !grep { $t->client->request('POST', $t->url('telemetry', 'There2'), [],
        '{}')->status != 401 } 1 .. 8
}), 'and the old one is not any more');

# --- refused

is_deeply(provision(@$_), $not_found, join(' ', map { $_ // 'null' } @$_))
    for ([provisionDeviceKey => 'nobody'], [provisionDeviceSecret => 'wrong'],
        [provisionDeviceKey => ''], [provisionDeviceSecret => ''],
        [provisionDeviceKey => 'closed', provisionDeviceSecret => 'secret3'],
        [provisionDeviceKey => 'checked'], [provisionDeviceKey => undef]);

my $good = '"provisionDeviceKey":"key","provisionDeviceSecret":"secret"';

for ('', 'x', '{', '[]', '"x"', '1', '{}', '{"provisionDeviceKey":"key"}',
    '{"provisionDeviceSecret":"secret"}', "[{$good}]", "{$good} x",
    "{$good,\"deviceName\":\"\\u0000\"}", "{$good,\"x\":"
    . ('[' x 100) . (']' x 100) . '}')
{
    $a = $t->post('/api/v1/provision', body => $_);
    is($a->status, 400, substr($_, 0, 60) . ': 400');
    like($a->body, qr/^[^<]{5,200}$/, 'with a reason');
}

is($t->post('/api/v1/provision', body => '{"x":"' . ('x' x 70_000) . '"}')
    ->status, 413, 'more than 64 kB');
is($t->post('/api/v1/provision', body => "{$good}", type => 'text/html')
    ->status, 415, 'another type');
is($t->post('/api/v1/provision/', body => "{$good}")->status, 200,
    'a slash at the end');

# --- ten at once ask for the same name

my @c = map { $t->client } 1 .. 10;

$_->write(IotTest::Client::format_request('POST', '/api/v1/provision', [],
    "{$good,\"deviceName\":\"race\"}")) for @c;

my %status;
$status{$_->answer->json->{status}}++ for @c;
is_deeply(\%status, { SUCCESS => 1, FAILURE => 9 }, 'one of ten gets it');

is($t->value("SELECT count(*) FROM iot.audit_log WHERE action ="
    . " 'PROVISION_SUCCESS'") > 10 ? 1 : 0, 1, 'all is in the audit log');
cmp_ok($t->value("SELECT count(*) FROM iot.audit_log WHERE action ="
    . " 'PROVISION_FAILURE'"), '>', 10, 'failures too');

done_testing();
