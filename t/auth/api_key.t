#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# API keys: made, listed, changed and taken away; they act for their user
# wherever a token does, and end at once.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Test::More;
use IotTest::Auth;

my $t = IotTest::Auth->new(workers => 2);
my $path = '/api/auth/user';
my $none = '13814000-1dd2-11b2-8080-808080808080';
my ($sys, $tenant, $customer) = ($t->sysadmin, $t->tenant, $t->customer);
my %id = map { $_ => $t->value('SELECT id FROM iot.users WHERE email = ?',
    $t->account("${_}_EMAIL")) } qw(SYSADMIN TENANT CUSTOMER);


# the status with which a call with that key is answered
sub status {
    my ($key, %o) = @_;

    return $t->get($path, headers => { 'X-Authorization' => "ApiKey $key" },
        %o)->status;
}


sub make {
    my ($token, $user, %more) = @_;

    return $t->post('/api/apiKey', token => $token, json => { userId =>
        { entityType => 'USER', id => $user }, description => 'a script',
        enabled => JSON::XS::true, expirationTime => 0, %more });
}


sub refused {
    my ($answer, $status, $code, $message, $name) = @_;

    is($answer->status, $status, "$name: status");
    is($answer->json->{errorCode}, $code, "$name: code");
    is($answer->json->{message}, $message, "$name: message") if $message;
}


# a key of one's own

my $r = make($customer, $id{CUSTOMER});

is($r->status, 200, 'made');

my $made = $r->json;
my $key = delete $made->{value};

like($key, qr/^tb_[A-Za-z0-9]{40}$/, 'its value');
is_deeply($made, { id => { entityType => 'API_KEY', id => $made->{id}{id} },
    createdTime => $made->{createdTime}, tenantId => { entityType => 'TENANT',
    id => $t->tenant_id }, userId => { entityType => 'USER',
    id => $id{CUSTOMER} }, expirationTime => 0, description => 'a script',
    enabled => JSON::XS::true, expired => JSON::XS::false }, 'the object');
is($t->value("SELECT count(*) FROM iot.api_key WHERE to_jsonb(api_key)::text "
    . 'LIKE ?', "%$key%"), 0, 'the value is not in the database');

is($t->get($path, headers => { 'X-Authorization' => "ApiKey $key" })
    ->json->{id}{id}, $id{CUSTOMER}, 'it acts for its user');
is($t->get($path, headers => { Authorization => "apikey $key" })->status, 200,
    'also in the other header');
is($t->get('/api/device/' . $t->device_id, headers => { 'X-Authorization' =>
    "ApiKey $key" })->status, 200, 'with its rights');
is($t->get('/api/tenant/devices?pageSize=1&page=0', headers => {
    'X-Authorization' => "ApiKey $key" })->status, 403, 'and no more');

for my $value ("Bearer $key", 'ApiKey ' . substr($key, 0, 42), 'ApiKey tb_',
    "ApiKey ${key}x", "ApiKey $customer", 'ApiKey tb_' . '!' x 40,
    'ApiKey tb_' . 'a' x 40)
{
    refused($t->get($path, headers => { 'X-Authorization' => $value }), 401,
        10, 'Authentication failed', substr($value, 0, 16));
}

# the list

$r = $t->get("/api/apiKeys/$id{CUSTOMER}?pageSize=10&page=0",
    token => $customer)->json;
is($r->{totalElements}, 1, 'listed');
is_deeply($r->{data}[0], $made, 'without the value');
is($t->get("/api/apiKeys/$id{CUSTOMER}?pageSize=10&page=0&textSearch=zzz",
    token => $customer)->json->{totalElements}, 0, 'searched');

# who may

refused(make($customer, $id{TENANT}), 403, 20, undef, 'of an administrator');
refused($t->get("/api/apiKeys/$id{TENANT}?pageSize=1&page=0",
    token => $customer), 403, 20, undef, 'their list');
refused(make($sys, $id{CUSTOMER}), 403, 20, undef,
    'of a customer user for the system');
is(make($tenant, $id{CUSTOMER})->status, 200, 'an administrator may');
is(make($sys, $id{TENANT})->status, 200, 'the system for administrators');
is(make($sys, $id{SYSADMIN})->status, 200, 'the system for itself');
is($t->post('/api/apiKey', token => $tenant, json => {
    description => 'no user named' })->json->{userId}{id}, $id{TENANT},
    'without a user: the caller');
refused(make($tenant, '00000000-0000-4000-8000-000000000000'), 404, 32, undef,
    'of nobody');

my $public = $t->post('/api/auth/login/public', json => { publicId =>
    public_customer() })->json->{token};

refused($t->post('/api/apiKey', token => $public,
    json => { description => 'x' }), 403, 20, undef, 'of the public');
refused($t->post('/api/apiKey', json => { description => 'x' }), 401, 10,
    undef, 'without a token');

# bad input

for my $bad (['', 'API key description should be specified!'],
    ['   ', 'API key description should be specified!'],
    ['x' x 256, 'description length must be equal or less than 255'],
    ['<script>alert(1)</script>', 'description is malformed'])
{
    refused(make($customer, $id{CUSTOMER}, description => $bad->[0]), 400, 31,
        $bad->[1], 'description "' . substr($bad->[0], 0, 8) . '"');
}

for my $time (-1, 1, (time() - 5) * 1000) {
    refused(make($customer, $id{CUSTOMER}, expirationTime => $time), 400, 31,
        'API key expiration time should be in the future!', "until $time");
}

refused(make($customer, $id{CUSTOMER}, expirationTime => 'soon'), 400, 31,
    undef, 'no time');
is(make($customer, $id{CUSTOMER},
    description => q('; DROP TABLE iot.api_key; --))->json->{description},
    q('; DROP TABLE iot.api_key; --), 'SQL is a description');

# changes, in all workers at once

my ($one, $two) = $t->each_worker;
my $id = $made->{id}{id};

is(status($key, client => $_), 200, 'known to a worker') for $one, $two;

$r = $t->put("/api/apiKey/$id/description", token => $customer,
    body => 'another name');
is($r->json->{description}, 'another name', 'described anew');
is($t->put("/api/apiKey/$id/description", token => $customer,
    body => '"a \\"quoted\\" name"')->json->{description},
    'a "quoted" name', 'as a JSON string');
refused($t->put("/api/apiKey/$id/description", token => $customer,
    body => ''), 400, 31, 'API key description should be specified!',
    'described as nothing');

is($t->put("/api/apiKey/$id/enabled/false", token => $customer)
    ->json->{enabled}, JSON::XS::false, 'disabled');
is(status($key, client => $_), 401, 'refused by a worker') for $one, $two;
is($t->put("/api/apiKey/$id/enabled/true", token => $customer)
    ->json->{enabled}, JSON::XS::true, 'enabled');
is(status($key, client => $_), 200, 'good again') for $one, $two;
refused($t->put("/api/apiKey/$id/enabled/maybe", token => $customer), 400, 31,
    undef, 'enabled perhaps');
refused($t->put("/api/apiKey/$none/enabled/true", token => $customer), 404,
    32, undef, 'an unknown key');
refused($t->del('/api/apiKey/' . make($tenant, $id{TENANT})->json->{id}{id},
    token => $customer), 403, 20, undef, "somebody else's");

# the user

$t->post("/api/user/$id{CUSTOMER}/userCredentialsEnabled"
    . '?userCredentialsEnabled=false', token => $tenant);
is(status($key, client => $_), 401, 'the user is disabled') for $one, $two;
$t->post("/api/user/$id{CUSTOMER}/userCredentialsEnabled"
    . '?userCredentialsEnabled=true', token => $tenant);
is(status($key, client => $_), 200, 'and enabled') for $one, $two;
$customer = $t->login($t->account('CUSTOMER_EMAIL'),
    $t->account('CUSTOMER_PASSWORD'));

# its end

is($t->del("/api/apiKey/$id", token => $tenant)->status, 200, 'deleted');
is(status($key, client => $_), 401, 'gone') for $one, $two;

my $short = make($customer, $id{CUSTOMER},
    expirationTime => (time() + 3) * 1000)->json;

is(status($short->{value}), 200, 'good for three seconds');
ok($t->wait_for(10, sub { status($short->{value}) == 401 }), 'and no longer');
is((grep { $_->{id}{id} eq $short->{id}{id} } @{$t->get(
    "/api/apiKeys/$id{CUSTOMER}?pageSize=10&page=0", token => $customer)
    ->json->{data}})[0]{expired}, JSON::XS::true, 'shown as expired');

# all that happened is told

is_deeply($t->sql(q{SELECT action, count(*) FROM iot.audit_log
    WHERE entity_type = 'API_KEY' AND entity_id = ? GROUP BY action
    ORDER BY action}, $id), [['ADDED', 1], ['DELETED', 1], ['UPDATED', 4]],
    'in the audit log');

# no more than a hundred

my $n = $t->value('SELECT count(*) FROM iot.api_key WHERE user_id = ?',
    $id{TENANT});

$t->sql(q{INSERT INTO iot.api_key (tenant_id, user_id, description, hash)
    SELECT tenant_id, id, 'x', sha256(n::text::bytea)
    FROM iot.users, generate_series(1, ?) AS n WHERE id = ?}, 100 - $n,
    $id{TENANT});
refused(make($tenant, $id{TENANT}), 400, 31,
    'A user can have at most 100 API keys!', 'one more than a hundred');


# a customer that shares with everybody
sub public_customer {
    $t->post('/api/customer/public/device/' . $t->device_id,
        token => $tenant);

    my $id = $t->value('SELECT id FROM iot.customer WHERE is_public');

    # the seed's customer has its device back
    $t->post('/api/customer/' . $t->customer_id . '/device/' . $t->device_id,
        token => $tenant);

    return $id;
}


$t->finish;
done_testing();
