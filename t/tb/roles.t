#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# Groups, roles and owners over REST: a technician who may not delete, a
# customer with customers of its own, a group that everybody may read.  Who may
# do what in detail is tested in SQL.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);

use lib dirname(Cwd::abs_path(__FILE__)) . '/../lib';

use IotTest;
use IotTest::Auth ();
use JSON::XS qw(encode_json);

my $password = 'A-good-pass1';
my $t = IotTest->new(workers => 2);
my ($tenant, $customer) = ($t->tenant, $t->customer);
my $page = 'pageSize=100&page=0';

# a technician

my $users = ok200('POST', '/api/entityGroup', $tenant,
    { type => 'USER', name => 'Technicians' });
my $role = ok200('POST', '/api/role', $tenant, {
    name => 'Technician', type => 'GENERIC', permissions => {
        DEVICE => [qw(CREATE READ WRITE READ_CREDENTIALS READ_ATTRIBUTES
            WRITE_ATTRIBUTES READ_TELEMETRY WRITE_TELEMETRY)],
    },
});

is($role->{ownerId}{entityType}, 'TENANT', 'a role of the tenant');

my $permission = ok200('POST', '/api/groupPermission', $tenant,
    { userGroupId => $users->{id}, roleId => $role->{id} });

is($permission->{entityGroupType}, undef, 'on all entities');
is(ok200('GET', "/api/userGroup/$users->{id}{id}/groupPermissions",
    $tenant)->[0]{id}{id}, $permission->{id}{id}, 'listed with the group');
is(ok200('GET', "/api/roles?$page&textSearch=techn", $tenant)
    ->{data}[0]{name}, 'Technician', 'found');

ok200('POST', "/api/user?entityGroupId=$users->{id}{id}", $tenant,
    { email => 'tech@example.org', authority => 'TENANT_ADMIN' });

my $tech = enabled('tech@example.org');
my $device = ok200('POST', '/api/device?accessToken=MadeByTech', $tech,
    { name => 'made by a technician' });
my $id = $device->{id}{id};

is($device->{ownerId}{entityType}, 'TENANT', 'it has an owner');
is(status('POST', "/api/plugins/telemetry/DEVICE/$id/timeseries/ANY", $tech,
    { t => 1 }), 200, 'writes telemetry');
is(status('POST', "/api/plugins/telemetry/DEVICE/$id/attributes/SERVER_SCOPE",
    $tech, { a => 1 }), 200, 'and attributes');
is(ok200('GET', '/api/tenant/devices?deviceName=made+by+a+technician',
    $tech)->{id}{id}, $id, 'finds it by its name');
is(ok200('GET', "/api/tenant/devices?$page", $tech)->{totalElements}, 2,
    'lists all devices');

for my $case (
    ['DELETE', "/api/device/$id"],
    ['POST', '/api/customer', { title => 'x' }],
    ['GET', '/api/customer/' . $t->customer_id],
    ['POST', "/api/rpc/oneway/$id", { method => 'm' }],
    ['POST', '/api/role', { name => 'x', type => 'GENERIC',
        permissions => { ALL => ['ALL'] } }],
    ['DELETE', "/api/groupPermission/$permission->{id}{id}"],
    ['POST', '/api/customer/' . $t->customer_id . "/device/$id"],
    ['GET', "/api/audit/logs?$page"])
{
    my ($method, $path, $body) = @$case;

    is(status($method, $path, $tech, $body), 403,
        "not for a technician: $method $path");
}

is_deeply(ok200('GET', '/api/permissions/allowedPermissions', $tech)
    ->{userPermissions}{genericPermissions}{DEVICE}[0], 'CREATE',
    'the client is told');

# in force at once, both ways

$role->{permissions}{DEVICE} = ['ALL'];
$role = ok200('POST', '/api/role', $tenant, $role);
is(status('DELETE', "/api/device/$id", $tech), 200, 'a changed role');
is(status('POST', '/api/role', $tenant, { %$role, version => 1 }), 409,
    'an outdated version');
ok200('DELETE', "/api/groupPermission/$permission->{id}{id}", $tenant);
is(status('GET', '/api/customer/' . $t->customer_id, $tech), 200,
    'without a role its authority holds again');

# a customer that has customers and makes devices

my $all = ok200('GET', '/api/entityGroup/CUSTOMER/' . $t->customer_id
    . '/USER/All', $tenant);

is(status('POST', '/api/device', $customer, { name => 'y' }), 403,
    'a customer makes nothing');

my $manager = ok200('POST', '/api/role', $tenant, { name => 'Manager',
    type => 'GENERIC', permissions => { DEVICE => ['ALL'],
        CUSTOMER => ['ALL'], DEVICE_GROUP => ['ALL'] } });

ok200('POST', '/api/groupPermission', $tenant,
    { userGroupId => $all->{id}, roleId => $manager->{id} });

my $made = ok200('POST', '/api/device', $customer, { name => 'y' });

is($made->{customerId}{id}, $t->customer_id, 'now it does, for itself');

my $sub = ok200('POST', '/api/customer', $customer, { title => 'Below' });

is($sub->{parentCustomerId}{id}, $t->customer_id, 'a customer below it');
is(status('POST', "/api/owner/CUSTOMER/$sub->{id}{id}/DEVICE/"
    . $made->{id}{id}, $customer), 200, 'gets a device');
is(ok200('GET', "/api/device/$made->{id}{id}", $customer)->{ownerId}{id},
    $sub->{id}{id}, 'which is still seen');
is(ok200('GET', "/api/deviceInfos/all?$page&includeCustomers=true", $customer)
    ->{totalElements}, ok200('GET', "/api/user/devices?$page", $customer)
    ->{totalElements}, 'all devices, also of those below');
is(ok200('GET', "/api/deviceInfos/all?$page", $customer)->{totalElements}, 1,
    'or its own');

# groups of devices

my $group = ok200('POST', '/api/entityGroup', $customer,
    { type => 'DEVICE', name => q{O'Group"; DROP TABLE iot.device; --} });

is($group->{ownerId}{id}, $t->customer_id, 'a group of the customer');
is(status('POST', "/api/entityGroup/$group->{id}{id}/addEntities", $customer,
    [$made->{id}{id}]), 200, 'takes a device');
is(ok200('GET', "/api/entityGroup/$group->{id}{id}/devices?$page", $customer)
    ->{data}[0]{name}, 'y', 'and has it');

my $inside = ok200('POST', "/api/device?entityGroupId=$group->{id}{id}",
    $tenant, { name => 'inside' });

is($inside->{ownerId}{id}, $t->customer_id, 'made in a group, and its owner');
is(scalar @{ ok200('GET', "/api/entityGroups/DEVICE/$inside->{id}{id}",
    $tenant) }, 2, 'two groups with it');
is(status('POST', "/api/entityGroup/$group->{id}{id}/makePublic", $tenant),
    200, 'open to everybody');

my ($public) = grep { $_->{isPublic} }
    @{ ok200('GET', "/api/customers?$page", $tenant)->{data} };
my $guest = $t->post('/api/auth/login/public',
    json => { publicId => $public->{id}{id} })->json->{token};

is(ok200('GET', "/api/device/$inside->{id}{id}", $guest)->{name}, 'inside',
    'everybody reads it');
is(status('POST', "/api/plugins/telemetry/DEVICE/$inside->{id}{id}"
    . '/attributes/SERVER_SCOPE', $guest, { a => 1 }), 403, 'and no more');
is(status('GET', '/api/device/' . $t->device_id, $guest), 403,
    'not what is outside');
is(status('POST', "/api/entityGroup/$group->{id}{id}/makePrivate", $tenant),
    200, 'closed');
is(status('GET', "/api/device/$inside->{id}{id}", $guest), 403,
    'at once');
is(status('DELETE', "/api/entityGroup/$group->{id}{id}", $customer), 200,
    'a group goes');
is(status('GET', "/api/device/$inside->{id}{id}", $customer), 200,
    'its devices stay');

done_testing();


sub call {
    my ($method, $path, $token, $body) = @_;
    my %header = ('X-Authorization' => "Bearer $token");

    $header{'Content-Type'} = 'application/json' if defined $body;

    return $t->http($method, $path, headers => \%header,
        body => defined $body ? encode_json($body) : undef);
}


sub status { return call(@_)->status }


# the JSON of an answer that must be 200
sub ok200 {
    my $r = call(@_);

    is($r->status, 200, "$_[0] $_[1]") or diag($r->body);

    return $r->status == 200 && $r->body ne '' ? $r->json : {};
}


# a user gets a password as it were by a link; its token
sub enabled {
    my ($email) = @_;

    $t->sql(q{UPDATE iot.user_credentials c SET enabled = true,
        password_hash = (SELECT o.password_hash FROM iot.user_credentials o
            JOIN iot.users x ON x.id = o.user_id
            WHERE x.email = $2), activate_token = NULL
        FROM iot.users u WHERE u.id = c.user_id AND u.email = $1},
        $email, $t->account('TENANT_EMAIL'));

    return $t->login($email, $t->account('TENANT_PASSWORD'));
}
