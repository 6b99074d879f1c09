#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# Assets, their profiles, and entity views over REST, with their telemetry.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);

use lib dirname(Cwd::abs_path(__FILE__)) . '/../lib';

use IotTest;
use JSON::XS ();

my $none = '13814000-1dd2-11b2-8080-808080808080';
my $t = IotTest->new(workers => 2);
my ($sys, $tenant, $customer) = ($t->sysadmin, $t->tenant, $t->customer);
my $cid = $t->customer_id;

# profiles

my $default = get('/api/assetProfileInfo/default');
is($default->{name}, 'default', 'a tenant has a default profile');

my $floor = post('/api/assetProfile', { name => 'floor' });
is($floor->{default}, JSON::XS::false, 'another one');
is($floor->{version}, 1, 'in its first version');
refused('POST', '/api/assetProfile', { name => 'floor' }, 400,
    'Asset profile with such name already exists!');
refused('POST', '/api/assetProfile', { name => 'x', default =>
    JSON::XS::true }, 400, 'Another default asset profile is present in scope '
    . 'of current tenant!');
refused('POST', '/api/assetProfile', {}, 400,
    'Asset profile name should be specified!');
refused('DELETE', "/api/assetProfile/$default->{id}{id}", undef, 400,
    'Deletion of Default Asset Profile is prohibited!');
refused('POST', '/api/assetProfile', { %$floor, version => 9 }, 409,
    'Asset profile was already changed by someone else');
is(post("/api/assetProfile/$floor->{id}{id}/default")->{default}, 1,
    'the other becomes the default');
is(get('/api/assetProfileInfo/default')->{name}, 'floor', 'in its place');
is(get('/api/assetProfiles?pageSize=10&page=0')->{totalElements}, 2, 'a list');
is(get('/api/assetProfileInfos?pageSize=1&page=0&sortProperty=name')
    ->{data}[0]{name}, 'default', 'in order');
for my $form ('', '/list') {
    is(scalar @{get("/api/assetProfileInfos$form?assetProfileIds="
        . "$floor->{id}{id},$default->{id}{id}")}, 2, "by ids$form");
}

# assets

my $asset = post('/api/asset', { name => 17, type => 'building',
    label => 'L', customerId => undef });
my $aid = $asset->{id}{id};
is($asset->{name}, '17', 'a numeric name is text');
is($asset->{type}, 'building', 'a type makes its profile');
is($asset->{customerId}{id}, $none, 'it belongs to nobody');

my $other = post('/api/asset', { name => 'other' });
is($other->{type}, 'floor', 'without a type it gets the default profile');
is(get('/api/assetProfile/names?activeOnly=true')->[0]{name}, 'building',
    'names of profiles');
is(scalar @{get('/api/asset/types')}, 2, 'types');

refused('POST', '/api/asset', { name => '17' }, 400,
    'Asset with such name already exists!');
like(post('/api/asset?nameConflictPolicy=UNIQUIFY&uniquifyStrategy=INCREMENTAL',
    { name => '17' })->{name}, qr/^17_1$/, 'made unique if so wished');
refused('POST', '/api/asset', { name => ' ' }, 400,
    'Asset name should be specified!');
refused('POST', '/api/asset', { name => 'x', customerId => { id => $none =~
    s/80$/81/r } }, 400, q{Can't assign asset to non-existent customer!});
refused('POST', '/api/asset', { name => 'x', id => { id => $aid =~
    s/^./f/r } }, 400, q{Can't update non existing asset!});
refused('POST', '/api/asset', { name => 'x', assetProfileId =>
    { id => $t->device_id } }, 400,
    'Asset is referencing to non existing asset profile!');
refused('POST', '/api/asset', { %$asset, version => 5 }, 409,
    'Asset was already changed by someone else');
refused('DELETE', "/api/assetProfile/$asset->{assetProfileId}{id}", undef,
    400, 'The asset profile referenced by the assets cannot be deleted!');
is($t->post('/api/asset', token => $customer, json => { name => 'x' })
    ->status, 403, 'customer users make none');
is($t->get("/api/asset/$aid", token => $customer)->status, 403,
    'nor do they see those of others');
is($t->get("/api/asset/$aid", token => $sys)->status, 403,
    'nor does the system');

is(post("/api/customer/$cid/asset/$aid")->{customerId}{id}, $cid,
    'assigned with an empty body');
is($t->get("/api/asset/info/$aid", token => $customer)->json
    ->{assetProfileName}, 'building', 'the customer sees it');
is($t->get("/api/customer/$cid/assetInfos?pageSize=5&page=0",
    token => $customer)->json->{data}[0]{id}{id}, $aid, 'in a list');
is(get("/api/customer/$cid/assets?pageSize=5&page=0&type=nope")
    ->{totalElements}, 0, 'none of an unknown type');
is($t->post('/api/asset', token => $customer,
    json => { %$asset, version => undef, label => 'M',
        customerId => { id => $cid } })->json->{label}, 'M',
    'its user changes it');
is($t->post('/api/asset', token => $customer,
    json => { %$asset, version => undef })->status, 403,
    'but does not give it away');

is(get('/api/tenant/assets?assetName=17')->{id}{id}, $aid, 'by name');
is(get('/api/tenant/asset?assetName=17')->{id}{id}, $aid, 'by another path');
is($t->get('/api/tenant/asset?assetName=nope', token => $tenant)->status, 404,
    'an unknown one');
is(get('/api/tenant/assets?pageSize=2&page=1&sortProperty=createdTime')
    ->{totalElements}, 3, 'a page');
is(get('/api/tenant/assetInfos?pageSize=9&page=0&textSearch=BUILD')
    ->{totalElements}, 1, 'a search finds the profile');
refused('GET', '/api/tenant/assets?pageSize=9&page=0&sortProperty=nope',
    undef, 400, q{Unsupported sort property 'nope'!});
for my $form ('', '/list') {
    is(scalar @{get("/api/assets$form?assetIds=$aid,$none")}, 1,
        "by ids$form");
}

post('/api/relation', { from => $other->{id}, to => $asset->{id},
    type => 'Contains' });
is(post('/api/assets', { parameters => { rootId => $other->{id}{id},
    rootType => 'ASSET', direction => 'FROM' }, relationType => 'Contains',
    assetTypes => ['building'] })->[0]{id}{id}, $aid, 'by relations');

is($t->del("/api/customer/asset/$aid", token => $tenant)->json
    ->{customerId}{id}, $none, 'taken back');
refused('DELETE', "/api/customer/asset/$aid", undef, 400,
    q{Asset isn't assigned to any customer!});
my $public = post("/api/customer/public/asset/$aid")->{customerId}{id};
is(get("/api/asset/info/$aid")->{customerIsPublic}, 1, 'made public');

# telemetry and attributes of assets

my $base = "/api/plugins/telemetry/ASSET/$aid";

is($t->post("$base/timeseries/ANY", token => $tenant,
    json => [map { { ts => $_ * 1000, values => { a => $_, b => -$_ } } }
        1 .. 9])->status, 200, 'points');
is(get("$base/values/timeseries?keys=a")->{a}[0]{value}, '9', 'the latest');
is($t->post("$base/SERVER_SCOPE", token => $tenant,
    json => { size => 4, secret => 'x' })->status, 200, 'attributes');

# entity views

my %view = (name => 'v', type => 'report', entityId => $asset->{id},
    keys => { timeseries => ['a'], attributes => { ss => ['size'] } },
    startTimeMs => 3000, endTimeMs => 0);
my $view = post('/api/entityView', { %view });
my $vid = $view->{id}{id};

is_deeply($view->{keys}, { timeseries => ['a'], attributes => { cs => [],
    ss => ['size'], sh => [] } }, 'a view, with all its lists');
refused('POST', '/api/entityView', { %view, name => 'w', entityId =>
    { entityType => 'CUSTOMER', id => $cid } }, 400);
refused('POST', '/api/entityView', { %view, name => 'w', type => undef }, 400,
    'Entity view type should be specified!');
refused('POST', '/api/entityView', { %view, name => undef }, 400,
    'Entity view name should be specified!');
refused('POST', '/api/entityView', { %view }, 400,
    'Entity view with such name already exists!');
refused('POST', '/api/entityView', { %view, name => 'w', keys =>
    { timeseries => 'a' } }, 400, 'Keys of the entity view are malformed!');
refused('POST', '/api/entityView', { %view, name => 'w', endTimeMs => 1 },
    400, 'Time range of entity view is malformed!');

my $shown = "/api/plugins/telemetry/ENTITY_VIEW/$vid";

is_deeply(get("$shown/keys/timeseries"), ['a'], 'its keys');
is_deeply(get("$shown/values/timeseries"), { a => [{ ts => 9000,
    value => '9' }] }, 'its latest values');
is(get("$shown/values/timeseries?keys=b")->{b}[0]{value}, undef,
    'another key is not there');
is_deeply([map { $_->{ts} } @{get("$shown/values/timeseries?keys=a,b"
    . '&startTs=0&endTs=99999&orderBy=ASC')->{a}}],
    [map { $_ * 1000 } 3 .. 9], 'history begins with its range');
is(get("$shown/values/timeseries?keys=a&startTs=0&endTs=9001&agg=COUNT"
    . '&interval=100000')->{a}[0]{value}, '7', 'so do sums');
is_deeply(get("$shown/values/timeseries?keys=a&startTs=0&endTs=3000"), {},
    'nothing before');
is_deeply([map { [$_->{key}, $_->{value}] }
    @{get("$shown/values/attributes")}], [['size', 4]], 'copied attributes');

$view = post('/api/entityView', { %$view, endTimeMs => 5000 });
is(get("$shown/values/timeseries")->{a}[0]{ts}, 5000, 'the end is included');
is_deeply(get("$shown/values/attributes"), [],
    'attributes that changed later are not copied');
is($t->post("$shown/timeseries/ANY", token => $tenant, json => { a => 1 })
    ->status, 400, 'points are refused');
is($t->post("$shown/SERVER_SCOPE", token => $tenant, json => { own => 1 })
    ->status, 200, 'attributes are not');
is($t->get("$shown/values/timeseries", token => $customer)->status, 403,
    'not for every customer');

is(post("/api/customer/$cid/entityView/$vid")->{customerId}{id}, $cid,
    'assigned');
is($t->get("$shown/values/timeseries", token => $customer)->status, 200,
    'its customer reads what the view shows');
is($t->get("$base/values/timeseries", token => $customer)->status, 403,
    'and not what is behind it');
is($t->get("/api/entityView/info/$vid", token => $customer)->json
    ->{customerIsPublic}, 0, 'with the title of the customer');
is($t->get("/api/customer/$cid/entityViewInfos?pageSize=5&page=0",
    token => $customer)->json->{data}[0]{name}, 'v', 'in a list');
is(get('/api/tenant/entityViews?pageSize=5&page=0&type=report')
    ->{totalElements}, 1, 'of a type');
is(get('/api/tenant/entityView?entityViewName=v')->{id}{id}, $vid, 'by name');
is(get("/api/entityViews?entityViewIds=$vid")->[0]{name}, 'v', 'by id');
is(get('/api/entityView/types')->[0]{type}, 'report', 'types');
is($t->del("/api/customer/entityView/$vid", token => $tenant)->json
    ->{customerId}{id}, $none, 'taken back');
is(post("/api/customer/public/entityView/$vid")->{customerId}{id}, $public,
    'made public');

refused('DELETE', "/api/asset/$aid", undef, 400,
    q{Can't delete asset that has entity views!});
is($t->del("/api/entityView/$vid", token => $tenant)->body, '', 'deleted');
is($t->del("/api/asset/$aid", token => $tenant)->status, 200,
    'now the asset can go');
is_deeply(get("/api/relations/from/ASSET/$other->{id}{id}"), [],
    'with its relations');
is($t->get("$base/values/timeseries", token => $tenant)->status, 404,
    'and what it knew');

# a cap, and the move to another tenant

my $profile = $t->get('/api/tenantProfiles?pageSize=9&page=0',
    token => $sys)->json->{data}[0];
$profile->{profileData}{configuration}{maxAssets} = 2;
$t->post('/api/tenantProfile', token => $sys, json => $profile);
my $cap = refused('POST', '/api/asset', { name => 'y' }, 403,
    'Assets limit reached');
is($cap->{limit}, 2, 'two of them');

my $there = $t->post('/api/tenant', token => $sys,
    json => { title => 'There' })->json->{id}{id};
is(post("/api/tenant/$there/asset/$other->{id}{id}")->{tenantId}{id}, $there,
    'handed over');
is($t->get("/api/asset/$other->{id}{id}", token => $tenant)->status, 404,
    'it is not here any more');

done_testing();


sub get {
    my ($path) = @_;

    return $t->get($path, token => $tenant)->json;
}


sub post {
    my ($path, $json) = @_;
    my $r = $t->post($path, token => $tenant,
        defined $json ? (json => $json)
            : (body => '', type => 'application/json'));

    is($r->status, 200, "POST $path") or diag($r->body);

    return $r->json;
}


sub refused {
    my ($method, $path, $json, $status, $text) = @_;
    my $r = $t->http($method, $path, token => $tenant,
        defined $json ? (json => $json) : ());

    is($r->status, $status, "$method $path: $status");
    is($r->json->{message}, $text, $text) if defined $text;

    return $r->json;
}
