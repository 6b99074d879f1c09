#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# The entities of the ThingsBoard API from end to end: what is decided in SQL
# must arrive in its shape, and every route must lead somewhere.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);

use lib dirname(Cwd::abs_path(__FILE__)) . '/../lib';

use IotTest;
use JSON::XS qw(encode_json);

my $none = '13814000-1dd2-11b2-8080-808080808080';
my $t = IotTest->new(workers => 2);
my ($sys, $tenant, $customer) = ($t->sysadmin, $t->tenant, $t->customer);

# devices

my $r = call('POST', '/api/device?accessToken=AirLinkToken', $tenant,
    '{"name":210800001,"type":"Gateway Phones","label":"\u00e9"}');

is($r->status, 200, 'a device with a numeric name');
like($r->header('Content-Type'), qr{^application/json}, 'JSON');

my $device = $r->json;
my $id = $device->{id}{id};

is($device->{name}, '210800001', 'its name is text');
is($device->{type}, 'Gateway Phones', 'its type');
is($device->{customerId}{id}, $none, 'it belongs to nobody');
is(call('GET', "/api/device/$id", $tenant)->json->{label}, "\x{e9}",
    'text survives');
is($t->post('/api/v1/AirLinkToken/telemetry', body => '{"t":1}')->status, 200,
    'its token is good at once');
is(call('GET', '/api/tenant/devices?deviceName=210800001',
    $tenant)->json->{id}{id}, $id, 'found by its name');

refused('POST', '/api/device', $tenant, '{"name":"210800001"}', 400, 31,
    'Device with such name already exists!');
refused('POST', '/api/device', $customer, '{"name":"x"}', 403, 20,
    q{You don't have permission to perform this operation!});
refused('POST', '/api/device', $tenant, '{"name":', 400, 31);
refused('GET', '/api/device/x', $tenant, undef, 400, 31,
    'Invalid UUID string: x');
refused('GET', "/api/device/$none", $tenant, undef, 404, 32,
    "Device with id [$none] is not found");
refused('GET', "/api/device/$id", $customer, undef, 403, 20);
refused('GET', "/api/device/$id", $sys, undef, 403, 20);
refused('GET', "/api/device/$id", undef, undef, 401, 10,
    'Authentication failed');
refused('GET', '/api/tenant/devices?pageSize=0&page=0', $tenant, undef, 400,
    31, "Incorrect page link page size '0'. Page size must be greater than "
    . 'zero.');
refused('POST', '/api/device', $tenant,
    encode_json({ %$device, version => 7 }), 409, 35,
    'Device was already changed by someone else');

$r = call('POST', '/api/customer/' . $t->customer_id . "/device/$id",
    $tenant, '', 'Content-Type' => 'application/json');
is($r->status, 200, 'assigned with an empty body');
is($r->json->{customerId}{id}, $t->customer_id, 'to that customer');
is(call('GET', "/api/device/info/$id", $customer)->json->{customerIsPublic},
    0, 'the customer sees it');

my $list = call('GET', '/api/customer/' . $t->customer_id
    . '/deviceInfos?pageSize=10&page=0&sortProperty=name&sortOrder=DESC'
    . '&textSearch=2108', $customer)->json;

is($list->{totalElements}, 1, 'in a list of its own');
is($list->{data}[0]{deviceProfileName}, 'Gateway Phones', 'with its profile');

my $both = call('GET', "/api/devices?deviceIds=$id," . $t->device_id,
    $tenant)->json;
is(scalar @$both, 2, 'by ids');

# credentials

my $c = call('GET', "/api/device/$id/credentials", $tenant)->json;

is($c->{credentialsId}, 'AirLinkToken', 'credentials are shown');
$c->{credentialsId} = 'Another';
is(call('POST', '/api/device/credentials', $tenant, encode_json($c))->status,
    200, 'and changed');
is($t->post('/api/v1/AirLinkToken/telemetry', body => '{"t":1}')->status, 401,
    'the old token ends at once');
is($t->post('/api/v1/Another/telemetry', body => '{"t":1}')->status, 200,
    'the new one is good');

$c->{credentialsType} = 'MQTT_BASIC';
$c->{credentialsValue} = '{"clientId":"sensor-1","userName":"user1"}';
$c->{version} = undef;
$r = call('POST', '/api/device/credentials', $tenant, encode_json($c));
is($r->json->{credentialsId}, 'c3fbe9eb3349cc04d4bc2dd21a03006fd7882306273'
    . '4bcebf497e26254a386d1', 'the id of a client is computed');

# customers and users

$r = call('POST', '/api/customer', $tenant,
    '{"title":"new@example.org","name":"ignored","additionalInfo":'
    . '{"homeDashboardHideToolbar":"true"}}');
my $cid = $r->json->{id}{id};
is($r->json->{name}, 'new@example.org', 'a customer');
$r = call('GET', "/api/customer/$cid/title", $tenant);
is($r->body, 'new@example.org', 'its title as text');
like($r->header('Content-Type'), qr{^application/text}, 'which it is');

$r = call('POST', '/api/user?sendActivationMail=false', $tenant, encode_json({
    authority => 'CUSTOMER_USER', email => 'New@Example.org',
    firstName => 'N',
    customerId => { entityType => 'CUSTOMER', id => $cid } }));
is($r->status, 200, 'a user');
my $uid = $r->json->{id}{id};
is(call('GET', "/api/user/$uid", $tenant)->json->{additionalInfo}
    {userActivated}, 0, 'not active yet');
refused('POST', '/api/user', $tenant, '{"authority":"CUSTOMER_USER"}', 400,
    31, 'User email should be specified!');
is(call('GET', '/api/auth/user', $customer)->json->{authority},
    'CUSTOMER_USER', 'the caller');

# a cap, with its fields

my $profile = call('GET', '/api/tenantProfiles?pageSize=9&page=0',
    $sys)->json->{data}[0];
$profile->{profileData}{configuration}{maxDevices} = 1;
is(call('POST', '/api/tenantProfile', $sys, encode_json($profile))->status, 200,
    'a cap of one device');
my $cap = refused('POST', '/api/device', $tenant, '{"name":"x"}', 403, 41,
    'Devices limit reached');
is($cap->{entityType}, 'DEVICE', 'what is limited');
is($cap->{limit}, 1, 'to how many');

# settings and the rest

is(call('GET', '/api/noauth/userPasswordPolicy')->json->{minimumLength}, 6,
    'the policy is for everybody');
refused('POST', '/api/admin/securitySettings', $sys,
    '{"userActivationTokenTtl":0}', 400, 31);
cmp_ok(call('GET', '/api/dashboard/serverTime', $tenant)->body, '>',
    1_700_000_000_000, 'the clock');
is(call('GET', '/api/audit/logs?pageSize=1&page=0', $tenant)->json->{data}[0]
    {actionType}, 'ADDED', 'the last thing that happened');
refused('POST', '/api/ruleChain', $tenant, '{}', 501);

# nothing that is routed ends in an error of the server

my $routes = slurp(dirname(Cwd::abs_path(__FILE__)) . '/../../ngx_iot_module/'
    . 'http/thingsboard/ngx_http_iot_tb_routes.c');
my $tried = 0;

while ($routes =~ /_(?:sql|both)\(\s*(\w+),\s*"([^"]+)",\s*([A-Z|]+),/g) {
    my ($method, $path, $who) = ($1, "/api/$2", $3);
    my $token = $who =~ /PUB/ ? undef : $who =~ /TEN|ANY/ ? $tenant : $sys;

    $path =~ s/\{(\w+)\}/$1 =~ m|[iI]d$| ? $none : 'x'/ge;

    for my $body ('{}', '[]', '{"id":5}') {
        my $status = call($method, $path, $token,
            $method eq 'GET' ? undef : $body)->status;

        ok($status < 500, "$method $path: $status");
        $tried++;
        last if $method eq 'GET';
    }
}

cmp_ok($tried, '>', 100, 'all routes were tried');

is(call('DELETE', "/api/device/$id", $tenant)->body, '', 'deleted, silently');
is($t->post('/api/v1/Another/telemetry', body => '{"t":1}')->status, 401,
    'it is gone');

done_testing();


sub call {
    my ($method, $path, $token, $body, %header) = @_;

    $header{'Content-Type'} ||= 'application/json' if defined $body;
    $header{'X-Authorization'} = "Bearer $token" if defined $token;

    return $t->http($method, $path, body => $body, headers => \%header);
}


sub refused {
    my ($method, $path, $token, $body, $status, $code, $text) = @_;
    my $r = call($method, $path, $token, $body);

    is($r->status, $status, "$method $path: $status");

    my $json = $r->json;

    is($json->{status}, $status, 'the status in the body');
    is($json->{errorCode}, $code, "error code $code") if defined $code;
    is($json->{message}, $text, $text) if defined $text;
    like($json->{timestamp}, qr/^\d{13}$/, 'when');

    return $json;
}


sub slurp {
    my ($name) = @_;

    open(my $file, '<', $name) or die "$name: $!\n";
    local $/;

    return <$file>;
}
