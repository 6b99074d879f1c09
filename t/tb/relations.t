#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# Relations over REST: both forms of each call, and what they refuse.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);

use lib dirname(Cwd::abs_path(__FILE__)) . '/../lib';

use IotTest;

my $t = IotTest->new(workers => 2);
my ($sys, $tenant, $customer) = ($t->sysadmin, $t->tenant, $t->customer);

my ($gateway, $sensor) = map {
    $t->post('/api/device', token => $tenant, json => { name => $_ })
        ->json->{id};
} qw(gateway sensor);

my $relation = { from => $gateway, to => $sensor, type => 'Created' };
my $ends = "fromId=$gateway->{id}&fromType=DEVICE&relationType=Created"
    . "&toId=$sensor->{id}&toType=DEVICE";

my $r = $t->post('/api/relation', token => $tenant, json => $relation);
is($r->status, 200, 'saved');
is($r->body, '', 'without an answer');

$r = $t->post('/api/v2/relation', token => $tenant,
    json => { %$relation, additionalInfo => { port => 3 } });
is($r->json->{version}, 2, 'saved again, with an answer');
is_deeply($r->json->{additionalInfo}, { port => 3 }, 'as it is now');
is_deeply($r->json->{to}, $sensor, 'and where it leads');

is($t->get("/api/relation?$ends", token => $tenant)->json->{typeGroup},
    'COMMON', 'one relation');

for my $path ("/api/relations?fromId=$gateway->{id}&fromType=DEVICE",
    "/api/relations?toId=$sensor->{id}&toType=DEVICE&relationType=Created",
    "/api/relations/from/DEVICE/$gateway->{id}",
    "/api/relations/to/device/$sensor->{id}/Created",
    "/api/relations/info?fromId=$gateway->{id}&fromType=DEVICE",
    "/api/relations/info/from/DEVICE/$gateway->{id}",
    "/api/relations/info/to/DEVICE/$sensor->{id}")
{
    $r = $t->get($path, token => $tenant)->json;
    is(scalar @$r, 1, $path);
    is($r->[0]{toName}, 'sensor', 'with names') if $path =~ /info/;
}

my %query = (parameters => { rootId => $gateway->{id}, rootType => 'DEVICE',
    direction => 'FROM', maxLevel => 1 });

for my $path (qw(relations relations/info)) {
    is(scalar @{$t->post("/api/$path", token => $tenant, json => { %query,
        filters => [{ relationType => 'Created' }] })->json}, 1,
        "found by $path");
}

is($t->post('/api/devices', token => $tenant, json => { %query,
    relationType => 'Created', deviceTypes => ['default'] })
    ->json->[0]{name}, 'sensor', 'the device behind it');

for (['POST', '/api/relation', $tenant, {}, 400],
    ['POST', '/api/relation', $customer, $relation, 403],
    ['POST', '/api/relation', $sys, $relation, 403],
    ['GET', '/api/relations', $tenant, undef, 400],
    ['GET', '/api/relation?fromId=x', $tenant, undef, 400],
    ['GET', "/api/relations/from/THING/$gateway->{id}", $tenant, undef, 400],
    ['GET', "/api/relations/from/DEVICE/$gateway->{id}", $customer, undef,
        403],
    ['GET', "/api/relations/from/DEVICE/$gateway->{id}?relationTypeGroup=X",
        $tenant, undef, 400],
    ['POST', '/api/relations', $tenant, { parameters => [] }, 400],
    ['POST', '/api/relations', $tenant,
        { parameters => { %{$query{parameters}}, direction => 'UP' } }, 400],
    ['POST', '/api/devices', $tenant, { %query, relationType => 'x' }, 400])
{
    my ($method, $path, $token, $json, $status) = @$_;

    is($t->http($method, $path, token => $token,
        ($json ? (json => $json) : ()))->status, $status,
        "$method $path: $status");
}

is($t->del("/api/relation?$ends", token => $customer)->status, 403,
    'not deleted by others');
is($t->del("/api/v2/relation?$ends", token => $tenant)->json->{version}, 2,
    'deleted');
is($t->del("/api/relation?$ends", token => $tenant)->status, 404, 'once');

$t->post('/api/relation', token => $tenant, json => $relation);
is($t->del("/api/relations?entityId=$sensor->{id}&entityType=DEVICE",
    token => $tenant)->body, '', 'all of an entity');
is($t->get("/api/relation?$ends", token => $tenant)->status, 404, 'gone');

$t->post('/api/relation', token => $tenant, json => $relation);
$t->del("/api/device/$sensor->{id}", token => $tenant);
is_deeply($t->get("/api/relations/from/DEVICE/$gateway->{id}",
    token => $tenant)->json, [], 'a device takes its relations along');

done_testing();
