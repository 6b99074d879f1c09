#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# Alarms from end to end: every path, and one active alarm however many ask
# for it at the same time.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);

use lib dirname(Cwd::abs_path(__FILE__)) . '/../lib';

use IotTest;
use JSON::XS qw(encode_json);

my $t = IotTest->new(workers => 2);
my ($tenant, $customer) = ($t->tenant, $t->customer);
my $id = $t->device_id;
my $page = 'pageSize=10&page=0';
my $originator = { entityType => 'DEVICE', id => $id };
my $alarm = { type => 'High <temp>', severity => 'MAJOR',
    originator => $originator };
my $r;

$r = $t->post('/api/alarm', token => $tenant, json => $alarm);
is($r->status, 400, 'no HTML in a type');
is($r->json->{errorCode}, 31, 'its code');

$alarm->{type} = "High temperature \x{2103}";

# --- a race

my @clients = map { $t->client } 1 .. 8;
my $body = encode_json($alarm);

$_->write("POST /api/alarm HTTP/1.1\r\nHost: localhost\r\n"
    . "X-Authorization: Bearer $tenant\r\nContent-Type: application/json\r\n"
    . 'Content-Length: ' . length($body) . "\r\n\r\n$body") for @clients;

my @answers = map { $_->answer('POST') } @clients;
my %ids;

is(join(' ', map { $_->status } @answers), join(' ', (200) x 8),
    'eight raise the same alarm');
$ids{$_->json->{id}{id}}++ for @answers;
is(scalar(keys %ids), 1, 'which is one');

my ($aid) = keys %ids;

is($t->sql('SELECT count(*) FROM iot.alarm')->[0][0], 1, 'in the database');
is($t->sql('SELECT created FROM iot.alarm_usage')->[0][0], 1,
    'and for the cap');

# --- every path

$t->post("/api/customer/" . $t->customer_id . "/device/$id",
    token => $tenant, body => '');

$r = $t->get("/api/alarm/$aid", token => $customer);
is($r->json->{name}, $alarm->{type}, 'read by a customer user');
is($r->json->{status}, 'ACTIVE_UNACK', 'its status');
is($t->get("/api/alarm/info/$aid", token => $tenant)->json
    ->{originatorDisplayName}, 'Demo device',
    'with the name of the originator');

$r = $t->post("/api/alarm/$aid/comment", token => $customer,
    json => { comment => { text => 'on my way' } });
is($r->json->{comment}{text}, 'on my way', 'a comment');

my $cid = $r->json->{id}{id};

is($t->post("/api/alarm/$aid/ack", token => $customer, body => '')->json
    ->{acknowledged}, 1, 'acknowledged');
$r = $t->post("/api/alarm/$aid/ack", token => $customer, body => '');
is($r->status, 400, 'only once');
is($r->json->{message}, 'Alarm was already acknowledged!', 'the text');

my $uid = $t->get('/api/auth/user', token => $customer)->json->{id}{id};

is($t->post("/api/alarm/$aid/assign/$uid", token => $tenant, body => '')->json
    ->{assignee}{id}{id}, $uid, 'assigned');
is($t->get("/api/users/assign/$aid?$page", token => $tenant)->json
    ->{totalElements}, 2, 'to one of those who might be');
is($t->del("/api/alarm/$aid/assign", token => $tenant)->json->{assigneeId},
    undef, 'and unassigned');
is($t->post("/api/alarm/$aid/clear", token => $tenant, body => '')->json
    ->{status}, 'CLEARED_ACK', 'cleared');

$r = $t->get("/api/alarm/$aid/comment?$page", token => $customer);
is(join(' ', map { $_->{type} } @{$r->json->{data}}),
    'OTHER SYSTEM SYSTEM SYSTEM SYSTEM', 'all of it in comments');
is($t->del("/api/alarm/$aid/comment/$cid", token => $customer)->body, '',
    'the own comment deleted');

for my $path ("/api/alarm/DEVICE/$id", '/api/alarms',
    "/api/v2/alarm/DEVICE/$id", '/api/v2/alarms')
{
    is($t->get("$path?$page&searchStatus=CLEARED", token => $customer)->json
        ->{data}[0]{id}{id}, $aid, "$path finds it");
    is($t->get("$path?$page&statusList=ACTIVE", token => $customer)->json
        ->{totalElements}, 0, "$path leaves it out");
}

is($t->get("/api/alarm/highestSeverity/DEVICE/$id", token => $customer)->body,
    '"MAJOR"', 'the highest severity');
$r = $t->get("/api/alarm/highestSeverity/DEVICE/$id?status=ACTIVE_ACK",
    token => $customer);
is($r->status . $r->body, '200', 'none of the active ones');
is($t->get("/api/alarm/types?$page", token => $customer)->json->{data}[0]{type},
    $alarm->{type}, 'types');
is($t->get("/api/alarm/$aid", token => $t->sysadmin)->status, 403,
    'not for the system');
is($t->get('/api/alarm/x', token => $tenant)->json->{message},
    'Invalid UUID string: x', 'no id');
is($t->del("/api/alarm/$aid", token => $tenant)->body, 'true', 'deleted');
is($t->del("/api/alarm/$aid", token => $tenant)->status, 404, 'is gone');

# --- with its originator

$t->post('/api/alarm', token => $tenant, json => $alarm);
is($t->del("/api/device/$id", token => $tenant)->status, 200,
    'the device goes');
is($t->get("/api/alarms?$page", token => $tenant)->json->{totalElements}, 0,
    'with its alarms');

done_testing();
