#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# What SQL raises and what the client sees of it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Test::More;
use Time::HiRes qw(time);
use IotTest::Engine;

my $t = IotTest::Engine->new;

# the path says what to raise
$t->replace('device_get', 'json', q~
    CASE path[1]
    WHEN 'fail' THEN
        RAISE EXCEPTION USING ERRCODE = 'IO404',
            MESSAGE = 'Device with id ["x"] is not found',
            DETAIL = '{"code":"not_found"}';
    WHEN 'limit' THEN
        RAISE EXCEPTION USING ERRCODE = 'IO403',
            MESSAGE = 'Devices limit reached',
            DETAIL = '{"code":"limit_reached","entityType":"DEVICE",'
                '"limit":10,"nested":{"a":["\u00e4",1]},"status":7}';
    WHEN 'version' THEN
        RAISE EXCEPTION USING ERRCODE = 'IO409',
            MESSAGE = 'Device was already changed by someone else',
            DETAIL = '{"code":"version_conflict"}';
    WHEN 'rate' THEN
        RAISE EXCEPTION USING ERRCODE = 'IO429', MESSAGE = 'Too many',
            DETAIL = '{"code":"too_many_requests"}';
    WHEN 'nodetail' THEN
        RAISE EXCEPTION USING ERRCODE = 'IO400', MESSAGE = 'Wrong';
    WHEN 'baddetail' THEN
        RAISE EXCEPTION USING ERRCODE = 'IO400', MESSAGE = 'Wrong',
            DETAIL = '{"code":"validation",';
    WHEN 'uuid' THEN
        RETURN path[1]::uuid;
    WHEN 'zero' THEN
        RETURN to_json(1 / (length(path[1]) - 4));
    WHEN 'secret' THEN
        RETURN (SELECT to_json(x) FROM no_such_table_here x);
    WHEN 'null' THEN
        RETURN NULL;
    ELSE
        RETURN to_json(path[1]);
    END CASE;
~);

$t->replace('attribute_keys', 'json', q{
    RAISE EXCEPTION USING ERRCODE = 'IO404',
        MESSAGE = 'Device with requested id wasn''t found!',
        DETAIL = '{"code":"not_found"}';
});

$t->replace('customer_title', 'iot.answer', q{
    CASE path[1]
    WHEN 'text' THEN
        RETURN ROW(200, '{"Content-Type":"application/text"}',
            'A title')::iot.answer;
    WHEN 'redirect' THEN
        RETURN ROW(303, '{"Location":"/login?a=b","X-One":"1"}',
            NULL)::iot.answer;
    WHEN 'nothing' THEN
        RETURN NULL;
    WHEN 'bare' THEN
        RETURN ROW(NULL, NULL, '{"a":1}')::iot.answer;
    WHEN 'inject' THEN
        RETURN ROW(200, json_build_object('X-One', E'1\r\nX-Two: 2'),
            'x')::iot.answer;
    WHEN 'status' THEN
        RETURN ROW(7, NULL, 'x')::iot.answer;
    WHEN 'nojson' THEN
        RETURN ROW(200, '[1]', 'x')::iot.answer;
    ELSE
        RETURN ROW(201, '{"X-Number":5,"X-Null":null}', '{}')::iot.answer;
    END CASE;
});

my $token = $t->tenant;

sub device {
    return $t->get("/api/device/$_[0]", token => $token);
}

my $now = time() * 1000;
my $a = device('fail');
my $e = $a->json;

is($a->status, 404, 'IO404 is 404');
is($a->header('content-type'), 'application/json', 'as JSON');
is_deeply([sort keys %$e], [qw(errorCode message status timestamp)],
    'the envelope');
is($e->{status}, 404, 'status');
is($e->{errorCode}, 32, 'errorCode');
is($e->{message}, 'Device with id ["x"] is not found', 'message, escaped');
cmp_ok(abs($e->{timestamp} - $now), '<', 10000, 'timestamp in ms');

$a = device('limit');
$e = $a->json;
is($a->status, 403, 'a cap');
is($e->{errorCode}, 41, 'its number');
is($e->{limit}, 10, 'a field of the error');
is($e->{entityType}, 'DEVICE', 'another');
is_deeply($e->{nested}, { a => ["\x{e4}", 1] }, 'a nested one');
is($e->{status}, 403, 'a field does not replace what is ours');
ok(!exists $e->{code}, 'the code of the house stays inside');

$a = device('version');
is($a->status, 409, 'a conflict');
is($a->json->{errorCode}, 35, 'its number');

$a = device('rate');
is($a->status, 429, 'too many');
is($a->json->{errorCode}, 33, 'its number');
like($a->header('retry-after') || '', qr/^[1-9]\d*$/, 'when to come again');

$a = device('nodetail');
is($a->status, 400, 'an error without DETAIL');
is($a->json->{message}, 'Wrong', 'has its text');

$a = device('baddetail');
is($a->status, 400, 'DETAIL that is no JSON');
is($a->json->{message}, 'Wrong', 'adds nothing');

is(device('uuid')->status, 400, 'a value that SQL cannot cast');
is(device('uuid')->json->{errorCode}, 31, 'is a bad request');

$a = device('secret');
is($a->status, 500, 'an error that nobody foresaw');
is($a->json->{errorCode}, 2, 'its number');
unlike($a->body, qr/no_such_table/, 'its text stays inside');
ok($t->wait_log(qr/no_such_table_here/), 'and goes to the log');
unlike($t->error_log, qr/\Q$token\E/, 'without the token');

$a = device('null');
is($a->status, 200, 'NULL');
is($a->body, '', 'is an empty answer');
is($a->header('content-length'), 0, 'of length 0');
is($a->header('content-type'), undef, 'without a type');

is(device('fine')->json, 'fine', 'and the connection to SQL lives on');

# --- plain text

$a = $t->get('/api/plugins/telemetry/DEVICE/x/keys/attributes',
    token => $token);
is($a->status, 404, 'a route with errors in text');
is($a->body, "Device with requested id wasn't found!", 'the bare text');
like($a->header('content-type'), qr{^text/plain}, 'as text');

# --- iot.answer

sub title {
    return $t->get("/api/customer/$_[0]/title", token => $token);
}

$a = title('text');
is($a->body, 'A title', 'a text');
is($a->header('content-type'), 'application/text', 'of its own type');

$a = title('redirect');
is($a->status, 303, 'another status');
like($a->header('location'), qr{/login\?a=b$}, 'a header');
is($a->header('x-one'), '1', 'and one more');
is($a->body, '', 'no body');

is(title('nothing')->status, 200, 'NULL is 200');
is_deeply(title('bare')->json, { a => 1 }, 'only a body');
is(title('other')->status, 201, 'created');
is(title('other')->header('x-number'), '5', 'a number as a header');
is(title('other')->header('x-null'), undef, 'null is none');

for my $what (qw(inject status nojson)) {
    $a = title($what);
    is($a->status, 500, "an impossible answer: $what");
    is($a->json->{errorCode}, 2, 'in the envelope');
    is($a->header('x-two'), undef, 'nothing slips through');
}

# --- pipelining keeps answers apart

my $c = $t->client;
my $auth = ['X-Authorization' => "Bearer $token"];

$c->write(join('', map {
    IotTest::Client::format_request('GET', "/api/device/$_", [$auth])
} qw(one fail two secret three)));

is(join(' ', map { $c->answer->status } 1 .. 5), '200 404 200 500 200',
    'pipelined requests are answered in order');

done_testing();
