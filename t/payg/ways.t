#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# What is around codes: a helper that dies, webhooks, external generators,
# calls that are forwarded, roles, what AirLink needs, and the credit view.

use strict;
use warnings;

use File::Basename qw(dirname);

use lib dirname(__FILE__) . '/../lib';

use IotTest;
use IotTest::Helper;
use IotTest::Sink;

my $t = IotTest->new(workers => 2);
my $tenant = $t->tenant;
my $page = 'pageSize=100&page=0';


sub ok200 {
    my ($method, $path, $body, $token) = @_;

    my $r = $t->http($method, $path, token => $token || $tenant,
        defined $body ? (json => $body) : ());

    is($r->status, 200, "$method $path") or diag($r->body);

    return length($r->body) ? $r->json : undef;
}


sub status {
    my ($method, $path, $body, $token) = @_;

    return $t->http($method, $path, token => $token,
        defined $body ? (json => $body) : ())->status;
}


sub set {
    my ($name, $value, $token) = @_;

    is($t->put("/api/settings/$name", token => $token || $tenant,
        json => { value => $value })->status, 200, "setting $name");
}


sub server {
    my ($id, $key) = @_;

    return $t->value('SELECT COALESCE(a.s, a.l::text) FROM iot.attribute a '
        . 'JOIN iot.key k ON k.id = a.key JOIN iot.device d ON d.nr = a.entity '
        . 'WHERE d.id = ? AND a.scope = 3 AND k.name = ?', $id, $key);
}


# what AirLink needs, with one call, twice

my $made = ok200('POST', '/api/payg/airlink');

is_deeply(ok200('POST', '/api/payg/airlink'), $made, 'nothing is made twice');
is($made->{deviceProfile}{name}, 'AirLink Devices', 'a profile of devices');
ok($made->{gatewayProfile}{provisionDeviceKey}, 'a key of gateways');
is_deeply([sort keys %{$made->{roles}}],
    ['Technician', 'Tenant Admin', 'Token Vendor'], 'roles');
is(status('POST', '/api/payg/airlink', undef, $t->customer), 403,
    'not for customers');

# the phone and the device provision themselves

my %token;

for my $case (['phone', 'gatewayProfile'], ['210800001', 'deviceProfile']) {
    my ($name, $which) = @$case;
    my $profile = $made->{$which};
    my $r = $t->post('/api/v1/provision', json => { deviceName => $name,
        provisionDeviceKey => $profile->{provisionDeviceKey},
        provisionDeviceSecret => $profile->{profileData}
            {provisionConfiguration}{provisionDeviceSecret} });

    is($r->json->{status}, 'SUCCESS', "$name is provisioned")
        or diag($r->body);
    $token{$name} = $r->json->{credentialsValue};
    is(length($token{$name}), 20, 'a token');
}

my $id = ok200('GET', '/api/tenant/devices?deviceName=210800001')->{id}{id};
my $base = "/api/plugins/telemetry/DEVICE/$id";

ok200('POST', "$base/attributes/SERVER_SCOPE",
    { pyg_pts => 'ab' x 16, pyg_msg => 15 });


# a helper that takes the job and dies: nothing is used up

{
    my $fake = '00000000-0000-0000-0000-000000000001';
    my $client = $t->client;
    my $body = '{"set_tkn":1}';

    $t->sql('SELECT iot.helper_beat(?, ?, 60000)', $fake, 'fake');

    print { $client->socket } "POST /api/rule-engine/DEVICE/$id/3000 "
        . "HTTP/1.1\r\nHost: x\r\nX-Authorization: Bearer $tenant\r\n"
        . "Content-Type: application/json\r\nContent-Length: "
        . length($body) . "\r\n\r\n$body";
    $client->socket->flush;

    my $job;

    ok($t->wait_for(10, sub {
        $job = $t->value("SELECT id FROM iot.job_claim(?, '{keycode}', 60000, "
            . '1)', $fake);
    }), 'the job is taken');

    my $take = $t->value('SELECT iot.keycode_take(?, ?, 1)', $fake, $job);

    like($take, qr/"msgId": 15/, 'the id that is due');

    my $r = $client->answer;

    is($r->status, 503, 'the time is up');
    is($r->header('retry-after'), 5, 'come again');
    is($t->value('SELECT count(*) FROM iot.job WHERE id = ?', $job), 0,
        'the job is taken back');
    is(server($id, 'pyg_msg'), 15, 'the id has not moved');
    is($t->value('SELECT iot.keycode_put(?, ?, 1, ?)', $fake, $job,
        '{"msgId":15,"next":16,"token":"*1#","type":"set_credit","value":24}'),
        'lost', 'what comes later does not count');
    is($t->value('SELECT count(*) FROM iot.payg_token'), 0, 'no code');
    $t->sql('SELECT iot.helper_gone(?)', $fake);
}

my $helper = IotTest::Helper->new($t);
my $sink = IotTest::Sink->new($t);

set('outbound.allowPrivate', JSON::XS::true, $t->sysadmin);


# a webhook, signed

{
    set('payg.webhookUrl', $sink->url('/hook'));
    set('payg.webhookSecret', 'swordfish');

    is(ok200('POST', "/api/rule-engine/DEVICE/$id", { set_tkn => 1 })->{token},
        '*010 050 135 981 34#', 'a code');

    my ($hook) = $sink->requests(1);
    my $told = JSON::XS->new->decode($hook->{body});

    is($told->{token}, '*010 050 135 981 34#', 'the webhook has it');
    is($told->{deviceName}, '210800001', 'of which device');
    like($hook->{headers}{'x-iot-signature'}, qr/^sha256=[0-9a-f]{64}$/,
        'signed');
    is($t->get("/api/v1/$token{210800001}/attributes")->json->{shared}
        {pyg_tkn}, '*010 050 135 981 34#', 'and the device');
}


# another generator for one profile

{
    set('payg.generators', { 'AirLink Devices' => $sink->url('/code/12345') });

    my %body = (pay_g_tkn => 2, requestId => 'e1');

    is(ok200('POST', "/api/rule-engine/DEVICE/$id", \%body)->{token}, '12345',
        'its code');
    is(ok200('POST', "/api/rule-engine/DEVICE/$id", \%body)->{token}, '12345',
        'repeated');

    my @asked = grep { $_->{path} =~ /code/ } $sink->requests;

    is(@asked, 1, 'asked once');
    is(JSON::XS->new->decode($asked[0]{body})->{hours}, 48, 'for that much');
    is($t->value("SELECT system FROM iot.payg_token WHERE token = '12345'"),
        'external', 'in the journal');
    is(server($id, 'pyg_msg'), 16, 'without an id');

    set('payg.generators', { 'AirLink Devices' => $sink->url('/status/500') });
    is(status('POST', "/api/rule-engine/DEVICE/$id", { set_tkn => 1 },
        $tenant), 502, 'it has none');
    set('payg.generators', {});
}


# other calls are forwarded

{
    set('ruleEngine.forwardUrl', $sink->url('/rule'));
    is_deeply(ok200('POST', "/api/rule-engine/DEVICE/$id", { hello => 1 }),
        { ok => JSON::XS::true }, 'its answer');

    my ($asked) = grep { $_->{path} eq '/rule' } $sink->requests;

    is_deeply(JSON::XS->new->decode($asked->{body})->{body}, { hello => 1 },
        'what was asked');
    set('ruleEngine.forwardUrl', $sink->url('/status/404'));
    is(status('POST', "/api/rule-engine/DEVICE/$id", { hello => 1 }, $tenant),
        408, 'no reply');
}


# a role for codes and no more

{
    ok200('POST', '/api/user?entityGroupId='
        . $made->{roles}{'Token Vendor'}{groupId},
        { email => 'shop@example.org', authority => 'TENANT_ADMIN' });

    $t->sql('UPDATE iot.user_credentials c SET enabled = true, '
        . "password_hash = (SELECT o.password_hash FROM iot.user_credentials o "
        . 'JOIN iot.users v ON v.id = o.user_id WHERE v.email = ?) '
        . "FROM iot.users u WHERE u.id = c.user_id "
        . "AND u.email = 'shop\@example.org'", $t->account('TENANT_EMAIL'));

    my $shop = $t->login('shop@example.org', $t->account('TENANT_PASSWORD'));

    like(ok200('POST', "/api/payg/device/$id/token", { pay_g_tkn => 1 },
        $shop)->{token}, qr/^\*/, 'a code');
    ok200('POST', "/api/rule-engine/DEVICE/$id", { pay_g_tkn => 1 }, $shop);
    ok200('GET', "/api/payg/device/$id/tokens?$page", undef, $shop);
    is(status(@$_, $shop), 403, "not $_->[0] $_->[1]") for (
        ['DELETE', "/api/device/$id", undef],
        ['GET', "/api/device/$id", undef],
        ['GET', "$base/values/attributes", undef],
        ['POST', "$base/attributes/SERVER_SCOPE", { pyg_msg => 0 }],
        ['POST', '/api/device', { name => 'x' }]);
}


# credit, as the device tells it

{
    is($t->post("/api/v1/$token{210800001}/telemetry", json => { pc_re => 120,
        pc_pu => 'm' })->status, 200, 'told');
    ok200('POST', "$base/attributes/SHARED_SCOPE", { prd_pst => 5 });

    my $list = ok200('GET', "/api/payg/devices?$page&textSearch=2108");
    my $row = $list->{data}[0];

    is($list->{totalElements}, 1, 'one device');
    is($row->{remaining}, 120, 'as it was told');
    is($row->{remainingHours}, 2, 'in hours');
    is($row->{status}, 5, 'its status');
    like($row->{lastToken}{token}, qr/^\*/, 'its last code');
    is(ok200('GET', "/api/payg/devices?$page&textSearch=nobody")
        ->{totalElements}, 0, 'searched');
    is(ok200('GET', "/api/payg/devices?$page", undef, $t->customer)
        ->{totalElements}, 0, 'a customer sees its own');
}

done_testing();
