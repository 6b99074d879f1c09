#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# Queries over entities and alarms, as an app sends them.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);

use lib dirname(Cwd::abs_path(__FILE__)) . '/../lib';

use IotTest::Device;

my $t = IotTest::Device->new;
my $tenant = $t->tenant;
my $id = $t->device_id;
my $r;


sub find {
    my ($path, $body, %o) = @_;

    return $t->post("/api/$path", body => $body, token => $tenant, type =>
        'application/json', %o);
}


is($t->post("/api/plugins/telemetry/DEVICE/$id/SHARED_SCOPE",
    token => $tenant, body => '{"advt_mac":"AA:BB"}')->status, 200,
    'a device has a MAC');
$t->post("/api/plugins/telemetry/DEVICE/$id/SERVER_SCOPE", token => $tenant,
    body => '{"payg_type":"AirLink"}');
$t->telemetry('{"ts":1792142423000,"values":{"temperature":21.5}}');

my $mac = <<'JSON';
{"entityFilter":{"type":"entityType","resolveMultiple":true,
   "entityType":"DEVICE"},
 "keyFilters":[{"key":{"type":"SHARED_ATTRIBUTE","key":"advt_mac"},
   "valueType":"STRING",
   "predicate":{"type":"STRING","operation":"EQUAL","ignoreCase":false,
     "value":{"defaultValue":"AA:BB","dynamicValue":null}}}],
 "keyFiltersOperation":"AND",
 "entityFields":[{"type":"ENTITY_FIELD","key":"name"}],
 "latestValues":[{"type":"ATTRIBUTE","key":"payg_type"},
   {"type":"TIME_SERIES","key":"temperature"}],
 "pageLink":{"page":0,"pageSize":10,"textSearch":null,"dynamic":false,
   "sortOrder":{"key":{"type":"ENTITY_FIELD","key":"name"},
     "direction":"ASC"}}}
JSON

$r = find('entitiesQuery/find', $mac, token => undef,
    headers => { Authorization => "Bearer $tenant" });
is($r->status, 200, 'found by MAC');
is($r->json->{totalElements}, 1, 'one');
is($r->json->{data}[0]{latest}{ENTITY_FIELD}{name}{value}, 'Demo device',
    'its name');
is($r->json->{data}[0]{latest}{ATTRIBUTE}{payg_type}{value}, 'AirLink',
    'an attribute');
is_deeply($r->json->{data}[0]{latest}{TIME_SERIES}, { temperature => {
    ts => 1792142423000, value => '21.5' } }, 'a latest value');

is(find('entitiesQuery/count', $mac)->body, '1', 'counted');

$mac =~ s/AA:BB/CC:DD/;
is(find('entitiesQuery/find', $mac)->json->{totalElements}, 0, 'another MAC');

is_deeply(find('entitiesQuery/find/keys?timeseries=true&attributes=true'
    . '&scope=SHARED_SCOPE', '{"entityFilter":{"type":"entityType",'
    . '"entityType":"DEVICE"},"pageLink":{"page":0,"pageSize":100}}')->json,
    { entityTypes => ['DEVICE'], timeseries => ['temperature'],
        attribute => ['advt_mac'] }, 'keys');

is(find('alarmsQuery/find', '{"pageLink":{"page":0,"pageSize":5}}')->json
    ->{totalElements}, 0, 'no alarms');
is(find('alarmsQuery/count', '{}')->body, '0', 'counted');
is(find('entitiesQuery/find', '{}')->json->{message},
    'Incorrect page link must be specified.', 'no page');
is(find('entitiesQuery/find', '{"pageLink":{"pageSize":1,"page":0},'
    . '"entityFilter":{"type":"deviceType","deviceTypes":["x\'); --"]}}')
    ->json->{totalElements}, 0, 'texts are but texts');
is(find('alarmsQuery/find', '{"pageLink":{"page":0,"pageSize":5}}',
    token => $t->sysadmin)->status, 403, 'not for the system');

done_testing();
