#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# A tenant with thousands of devices is deleted: the call does not wait for
# all of them, nobody of it is let in any more, and the workers delete the
# rest.  What is let in and what is left is tested in SQL.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Time::HiRes qw(time);
use Test::More;
use IotTest::Auth;

my $t = IotTest::Auth->new(workers => 2);
my $sys = $t->sysadmin;
my $telemetry = '/api/v1/' . $t->device_token . '/telemetry';
my $token = $t->tenant;

$t->sql(q{INSERT INTO iot.device (tenant_id, name, profile_id)
    SELECT d.tenant_id, 'many ' || n, d.profile_id
    FROM generate_series(1, 6000) n, iot.device d WHERE d.id = ?},
    $t->device_id);
$t->sql(q{INSERT INTO iot.device_credentials (tenant_id, device_id, type,
        credentials_id)
    SELECT d.tenant_id, d.id, 'ACCESS_TOKEN', 'token ' || d.name
    FROM iot.device d WHERE d.name LIKE 'many %'});
$t->sql(q{INSERT INTO iot.key (name) VALUES ('a')});
$t->sql(q{INSERT INTO iot.attribute (entity, scope, key, s, updated_at)
    SELECT d.nr, 2, iot.key_id('a'), 'x', 1 FROM iot.device d});

is($t->post($telemetry, json => { a => 1 })->status, 200, 'a device');
is($t->get('/api/auth/user', token => $token)->status, 200, 'a user');

my $start = time();
my $r = $t->del('/api/tenant/' . $t->tenant_id, token => $sys);

is($r->status, 200, 'deleted') or diag($r->body);
cmp_ok(time() - $start, '<', 3, 'without waiting for all of it');
cmp_ok($t->value('SELECT count(*) FROM iot.device'), '>', 0,
    'some of it is still there');

for my $client ($t->each_worker) {
    is($t->post($telemetry, json => { a => 2 }, client => $client)->status,
        401, 'its devices are refused by every worker');
    is($t->get('/api/auth/user', token => $token, client => $client)->status,
        401, 'and its users');
}

is($t->try_login($t->account('TENANT_EMAIL'), $t->account('TENANT_PASSWORD'))
    ->status, 401, 'nobody logs in');
is($t->get('/api/tenant/' . $t->tenant_id, token => $sys)->status, 404,
    'the system does not find it');
is($t->get('/api/tenants?pageSize=10&page=0', token => $sys)
    ->json->{totalElements}, 0, 'nor in the list');
is($t->del('/api/tenant/' . $t->tenant_id, token => $sys)->status, 404,
    'it is deleted once');

# new workers look for work at once, and go on as long as there is some

$t->reload;
ok($t->wait_for(60, sub {
    $t->value('SELECT count(*) FROM iot.tenant') == 0
}), 'the workers delete the rest');
is($t->value('SELECT count(*) FROM iot.device'), 0, 'all devices');
is($t->value('SELECT count(*) FROM iot.attribute'), 0, 'and what was of them');

$t->finish;
done_testing();
