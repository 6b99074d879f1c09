#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# Along the rows of the ThingsBoard API: telemetry and attributes, queries,
# requests to devices, and what is the same for all calls.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);

use lib dirname(Cwd::abs_path(__FILE__)) . '/../lib';

use IotTest::Walk;
use JSON::XS ();
use Test::More;

my ($true, $false) = (JSON::XS::true, JSON::XS::false);
my ($none, $nobody) = ($IotTest::Walk::none, $IotTest::Walk::nobody);
my $t = IotTest::Walk->new(workers => 2);
my $cid = $t->customer_id;
my $page = 'pageSize=10&page=0';
my $id = $t->row('TEN', 'POST device?accessToken=Walk', { name => 'W' }, 200,
    undef)->{id}{id};
my $aid = $t->row('TEN', 'POST asset', { name => 'A' }, 200, undef)->{id}{id};
my $base = "plugins/telemetry/DEVICE/$id";
my $asset = "plugins/telemetry/ASSET/$aid";

# access errors are texts

$t->row('TEN', "GET plugins/telemetry/DEVICE/$nobody/keys/timeseries", undef,
    404, qr/^Device with requested id wasn't found!$/);
$t->row('TEN', "GET plugins/telemetry/$_->[0]/$nobody/keys/timeseries", undef,
    404, qr/^\Q$_->[1]\E with requested id wasn't found!$/)
    for ['ASSET', 'Asset'], ['ENTITY_VIEW', 'Entity-view'], ['USER', 'User'],
    ['CUSTOMER', 'Customer'];
$t->row('CUS', "GET $base/keys/timeseries", undef, 403,
    qr/^You don't have permission to perform this operation!$/);
$t->row('SYS', "GET $base/keys/timeseries", undef, 403, qr/^System
    \x20administrator\x20is\x20not\x20allowed\x20to\x20perform\x20this
    \x20operation!$/x);
$t->row('TEN', "GET plugins/telemetry/NONSENSE/$id/keys/timeseries", undef,
    400, qr/./);
$t->row('TEN', 'GET plugins/telemetry/DEVICE/x/keys/timeseries', undef, 400,
    qr/./);
$t->row('PUB', "GET $base/keys/timeseries", undef, 401,
    'Authentication failed');

# attributes

$t->row('TEN', "POST $base/$_->[0]", $_->[1], 200, '') for
    ['SERVER_SCOPE', { a => 1, o => { x => [1] } }],
    ['attributes/SHARED_SCOPE', { s => 'text' }];
$t->row('TEN', "POST plugins/telemetry/$id/SERVER_SCOPE", { b => $true }, 200,
    '');
$t->row('TEN', "POST $asset/attributes/SERVER_SCOPE", { b => 2.5 }, 200, '');
$t->row('TEN', "POST $base/CLIENT_SCOPE", { a => 1 }, 400,
    qr/^Invalid scope: CLIENT_SCOPE$/);
$t->row('TEN', "POST $base/SERVER_SCOPE", $_->[0], 400, qr/^\Q$_->[1]\E/)
    for ['{', 'Invalid JSON'], ['[]', 'Request is not a JSON object'],
    ['{}', 'No attributes data found in request body!'],
    ['{" ":1}', 'Key cannot be blank'];
$t->row('TEN', "GET $base/keys/attributes", undef, 200,
    qr/^\[(?=.*"a")(?=.*"b")(?=.*"s")(?=.*"o")/);
$t->row('TEN', "GET $base/keys/attributes/SHARED_SCOPE", undef, 200,
    qr/^\["s"\]$/);
$t->row('TEN', "GET $base/keys/attributes/NO_SCOPE", undef, 400, qr/./);
$t->row('TEN', "GET $base/values/attributes?keys=a,none", undef, 200,
    qr/^\[\{"lastUpdateTs":\d{13},"key":"a","value":1\}\]$/);
$t->row('TEN', "GET $base/values/attributes/SERVER_SCOPE?key=o&key=b", undef,
    200, qr/"key":"b","value":true\}.*"key":"o","value":\{"x":\[1\]\}/s);
$t->row('TEN', "DELETE $base/SERVER_SCOPE", undef, 400, qr/^Empty keys: \[\]/);
$t->row('TEN', "DELETE $base/SERVER_SCOPE?keys=a", undef, 200, '');
$t->row('TEN', "DELETE plugins/telemetry/$id/SERVER_SCOPE?keys=b", undef, 200,
    '');
$t->row('TEN', "GET $base/keys/attributes/SERVER_SCOPE", undef, 200,
    qr/"o"/);

# telemetry

$t->row('TEN', "POST $base/timeseries/ANY?scope=ANY", [map { { ts =>
    1700000000000 + $_ * 1000, values => { n => $_, s => "x$_" } } } 1 .. 9],
    200, '');
$t->row('TEN', "POST $asset/timeseries/ANY/3600", { n => 1 }, 200, '');
$t->row('TEN', "POST $base/timeseries/ANY", $_->[0], 400, qr/^\Q$_->[1]\E/)
    for ['{', 'Unable to parse time'],
    ['{}', 'No time series data found in request body!'];
$t->row('TEN', "GET $base/keys/timeseries", undef, 200, qr/^\["n","s"\]$/);
$t->row('TEN', "GET $base/values/timeseries?keys=n,none", undef, 200,
    qr/^\{"n":\[\{"ts":1700000009000,"value":"9"\}\],"none":\[\{"ts":\d{13},
    "value":null\}\]\}$/x);
$t->row('TEN', "GET $base/values/timeseries?keys=n&useStrictDataTypes=true",
    undef, 200, qr/"value":9\}/);

my $range = 'startTs=1700000001000&endTs=1700000009000';

for my $path ("$base/values/timeseries", "$base/values/timeseries/history") {
    my $all = $t->row('TEN', "GET $path?keys=n&keys=none&$range", undef, 200,
        undef);

    is_deeply([sort keys %$all], ['n'], 'keys without points are absent');
    is(join(',', map { $_->{value} } @{$all->{n}}), '8,7,6,5,4,3,2,1',
        'a half-open range, newest first');
    is(join(',', map { $_->{value} } @{$t->row('TEN', "GET $path?keys=n&$range"
        . '&orderBy=ASC&limit=2', undef, 200, undef)->{n}}), '1,2', 'a limit');
    is(join(',', map { $_->{value} } @{$t->row('TEN', "GET $path?keys=n&$range"
        . '&agg=SUM&interval=4000', undef, 200, undef)->{n}}), '10,26',
        'buckets');
}

$t->row('TEN', "GET $base/values/timeseries?keys=n&$range&$_", undef, 400,
    qr/./) for 'agg=BAD', 'orderBy=BAD', 'intervalType=BAD', 'limit=x',
    'agg=SUM&interval=-1';
$t->row('TEN', "GET $base/values/timeseries?keys=n&startTs=0"
    . '&endTs=1700000000000000&agg=AVG&interval=1000', undef, 400,
    qr/^Incorrect TsKvQuery. Number of intervals is to high - /);
$t->row('TEN', "GET $base/values/timeseries?keys=n&startTs=2&endTs=1", undef,
    200, qr/^\{\}$/);
$t->row('TEN', "DELETE $base/timeseries/delete?keys=n", undef, 400, qr/^When
    \x20deleteAllDataForKeys\x20is\x20false,\x20start\x20and\x20end\x20
    timestamp\x20values\x20shouldn't\x20be\x20empty/x);
$t->row('TEN', "DELETE $base/timeseries/delete", undef, 400, qr/^Empty keys/);
$t->row('TEN', "DELETE $base/timeseries/delete?keys=n&startTs=1700000009000"
    . '&endTs=1700000009001&rewriteLatestIfDeleted=true', undef, 200, '');
$t->row('TEN', "GET $base/values/timeseries?keys=n", undef, 200,
    qr/"ts":1700000008000,"value":"8"/);
$t->row('TEN', "DELETE $base/timeseries/delete?keys=n&"
    . 'deleteAllDataForKeys=true', undef, 200, '');
$t->row('TEN', "GET $base/keys/timeseries", undef, 200, qr/^\["s"\]$/);

# queries

my $query = { entityFilter => { type => 'entityName', entityType => 'DEVICE',
        entityNameFilter => 'W' },
    keyFilters => [{ key => { type => 'SHARED_ATTRIBUTE', key => 's' },
        valueType => 'STRING', predicate => { type => 'STRING',
            operation => 'EQUAL', ignoreCase => $false, value =>
            { defaultValue => 'text', dynamicValue => undef } } }],
    entityFields => [{ type => 'ENTITY_FIELD', key => 'name' }],
    latestValues => [{ type => 'ATTRIBUTE', key => 's' },
        { type => 'TIME_SERIES', key => 'none' }],
    pageLink => { page => 0, pageSize => 10, sortOrder => { direction => 'ASC',
        key => { type => 'ENTITY_FIELD', key => 'name' } } } };
my $found = $t->row('TEN', 'POST entitiesQuery/find', $query, 200,
    'entityId latest timeseries aggLatest');

is($found->{totalElements}, 1, 'found by an attribute');
is_deeply($found->{data}[0]{latest}{TIME_SERIES}{none},
    { ts => 0, value => '' }, 'a value that is not there');
is($found->{data}[0]{latest}{ATTRIBUTE}{s}{value}, 'text', 'one that is');
$t->row('TEN', 'POST entitiesQuery/count', $query, 200, qr/^1$/);
$t->row('CUS', 'POST entitiesQuery/count', $query, 200, qr/^0$/);
$t->row('TEN', 'POST entitiesQuery/find/keys?timeseries=true&attributes=true',
    $query, 200, 'entityTypes timeseries attribute');
$t->row('TEN', 'POST entitiesQuery/find', $_, 400, undef) for {},
    { %$query, entityFilter => { type => 'nonsense' } };
$t->row('TEN', 'POST alarmsQuery/find', { pageLink => { page => 0,
    pageSize => 10 }, entityFilter => $query->{entityFilter} }, 200,
    { totalElements => 0 });
$t->row('TEN', 'POST alarmsQuery/count', { entityFilter =>
    $query->{entityFilter} }, 200, qr/^0$/);

# requests to devices

my $rpc = $t->row('TEN', "POST rpc/twoway/$id", { method => 'm',
    params => { x => 1 }, persistent => $true }, 200, 'rpcId')->{rpcId};
my $shape = 'id createdTime tenantId deviceId expirationTime request response '
    . 'status additionalInfo';

is($t->row('TEN', "GET rpc/persistent/$rpc", undef, 200, $shape)->{status},
    'QUEUED', 'waits for the device');
$t->row('TEN', "GET rpc/persistent/device/$id?$page", undef, 200, $shape);
$t->row('TEN', "GET rpc/persistent/device/$id?$page&rpcStatus=DELETED", undef,
    400, undef);
$t->row('TEN', "GET rpc/persistent/$nobody", undef, 404, undef);
$t->row('TEN', "POST rpc/oneway/$id", $_, 400, qr/Invalid request body/)
    for '{', {}, { method => 5 };
$t->row('TEN', "POST $_/$nobody", { method => 'm' }, 404,
    qr/^Device with requested id wasn't found!$/)
    for 'rpc/oneway', 'plugins/rpc/twoway';
$t->row('CUS', "POST rpc/oneway/$id", { method => 'm' }, 403, qr/^You don't/);
$t->row('SYS', "POST rpc/oneway/$id", { method => 'm' }, 403, qr/^System adm/);
$t->row('TEN', "DELETE rpc/persistent/$rpc", undef, 200, '');

# types that are none

$t->row('TEN', "GET $_", undef, 400, undef) for
    "relations/from/NONSENSE/$id", "alarm/NONSENSE/$id?$page",
    "audit/logs/entity/NONSENSE/$id?$page", "entityGroups/NONSENSE";

# what is the same for all

my $a = $t->http('OPTIONS', '/api/device', headers => {
    Origin => 'https://a.test', 'Access-Control-Request-Method' => 'POST' });

is($a->header('Access-Control-Allow-Origin'), 'https://a.test', 'the origin');
is($a->header('Access-Control-Allow-Credentials'), 'true', 'credentials');
is($a->header('Access-Control-Max-Age'), 1800, 'for half an hour');
$a = $t->post('/api/device', token => $t->tenant,
    headers => { 'Content-Type' => 'application/json; charset=UTF-8' },
    body => '{"name":true}');
is($a->json->{name}, 'true', 'a boolean as a name');
$a = $t->post('/api/device', headers => {
    Authorization => 'bearer ' . $t->tenant }, body => '{"name":1.50}');
is($a->status, 200, 'the other header, and the scheme in any case');
is($t->post("/api/v1/Walk/telemetry/", type => $_, body => '{"t":1}')->status,
    200, "a trailing slash, $_")
    for 'text/plain', 'application/x-www-form-urlencoded';

$a = $t->post('/api/v1/nobody/telemetry', body => '{"t":1}');
is($a->status . $a->body, '401', 'an unknown token, and nothing to say');

done_testing();
