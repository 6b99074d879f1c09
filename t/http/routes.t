#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# Which row of the table serves a request, and what its function is told.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Test::More;
use IotTest::Engine;

my $t = IotTest::Engine->new;

$t->replace($_, 'json', $IotTest::Engine::echo)
    for qw(server_time device_get device_info_get device_save device_move
        device_types device_assign attribute_values_scope);

my $token = $t->tenant;
my $a;

# --- what the function gets

$a = $t->get('/api/dashboard/serverTime', token => $token);
is($a->status, 200, 'a route without anything');
is($a->header('content-type'), 'application/json', 'answers JSON');
is_deeply($a->json->{path}, [], 'no path');
is_deeply($a->json->{query}, {}, 'no query');
is($a->json->{body}, undef, 'no body');
is($a->json->{role}, 'TENANT_ADMIN', 'the principal came along');
is($a->json->{address}, '127.0.0.1', 'with its address');

$a = $t->post('/api/tenant/first/device/second', token => $token);
is_deeply($a->json->{path}, ['first', 'second'], 'segments in order');

$a = $t->post('/api/device', token => $token, json => { name => 'x' });
is_deeply($a->json->{body}, { name => 'x' }, 'the body is passed');

# --- literal before parameter, and back again

is_deeply($t->get('/api/device/types', token => $token)->json->{path}, [],
    'the literal segment wins');
is_deeply($t->get('/api/device/type', token => $token)->json->{path},
    ['type'], 'its neighbour is a value');
is_deeply($t->get('/api/device/info', token => $token)->json->{path},
    ['info'], 'a literal that leads nowhere is left again');
is_deeply($t->get('/api/device/info/x', token => $token)->json->{path},
    ['x'], 'and taken when it leads somewhere');
is_deeply($t->get('/api/device/credentials', token => $token)->json->{path},
    ['credentials'], 'a literal of another method does not hide the value');

# --- the path as text

my %path = (
    'a%2Fb'        => 'a/b',
    'a%20b'        => 'a b',
    'a+b'          => 'a+b',
    '%C3%A4'       => "\x{e4}",
    'a%22b%5Cc'    => 'a"b\\c',
    'a,b%7D'       => 'a,b}',
    'NULL'         => 'NULL',
    '%25'          => '%',
    'a%3Fb%23c'    => 'a?b#c',
);

for my $text (sort keys %path) {
    $a = $t->get("/api/device/$text", token => $token);
    is_deeply($a->json->{path}, [$path{$text}], "segment $text");
}

is_deeply($t->get('/api/device/x/', token => $token)->json->{path}, ['x'],
    'a trailing slash means nothing');
is_deeply($t->get('/api//device/x', token => $token)->json->{path}, ['x'],
    'nor does a doubled one');
is_deeply($t->get('/api/device/y/../x', token => $token)->json->{path},
    ['x'], 'dots are resolved');

is($t->get("/api/device/$_", token => $token)->status, 400, "refused: $_")
    for ('%ff', '%C3', 'a%00b', '%c0%80', '%ed%a0%80');

$a = $t->get('/api/device/%ff', token => $token);
is($a->json->{errorCode}, 31, 'in the envelope');

is($t->get('/api/' . 'a/' x 40, token => $token)->status, 400,
    'more segments than any route has');

# --- methods

$a = $t->http('HEAD', '/api/device/x', token => $token);
is($a->status, 200, 'HEAD is served');
is($a->body, '', 'without a body');
is($a->header('content-length'),
    length($t->get('/api/device/x', token => $token)->body),
    'with the length of GET');

$a = $t->put('/api/device/x', token => $token);
is($a->status, 405, 'a method that the path does not know');
is($a->header('allow'), 'GET, HEAD, DELETE, OPTIONS', 'and those it does');
is($a->json->{status}, 405, 'in the envelope');

$a = $t->http('OPTIONS', '/api/device/x');
is($a->status, 200, 'OPTIONS needs no token');
is($a->header('allow'), 'GET, HEAD, DELETE, OPTIONS', 'OPTIONS tells them');
is($a->body, '', 'OPTIONS is empty');

is($t->http('OPTIONS', '/api/nothing/here')->status, 404,
    'OPTIONS of no path');

# --- nothing there

$a = $t->get('/api/nothing/here', token => $token);
is($a->status, 404, 'an unknown path');
is($a->json->{errorCode}, 32, 'is an item not found');
is($t->get('/api/nothing/here')->status, 401,
    'which only who is logged in may know');
is($t->get('/api/', token => $token)->status, 404, 'the root itself');

$a = $t->get('/api/widgetType/784f394c-42b6-435a-983c-b7beff2784f9',
    token => $token);
is($a->status, 501, 'a known path that is not served yet');
is($a->json->{errorCode}, 2, 'in the envelope');

# --- who may

$a = $t->get('/api/admin/jwtSettings', token => $token);
is($a->status, 403, 'a route of somebody else');
is($a->json->{errorCode}, 20, 'permission denied');
is($a->json->{message},
    "You don't have permission to perform this operation!",
    'in the known words');

is($t->get('/api/device/x')->status, 401, 'no token');
is($t->get('/api/device/x')->json->{message}, 'Authentication failed',
    'in the known words');
is($t->get('/api/device/x')->json->{errorCode}, 10, 'with the known number');

for my $pair ([Authorization => "Bearer $token"],
    ['X-Authorization' => "bearer $token"],
    ['X-Authorization' => "BEARER   $token "])
{
    is($t->get('/api/device/x', headers => [$pair])->status, 200,
        "$pair->[0]: " . substr($pair->[1], 0, 8));
}

is($t->get('/api/device/x', headers => [['X-Authorization' => $token]])
    ->status, 401, 'a token without its scheme');
is($t->get('/api/device/x', headers => [[Authorization => 'Basic YTpi']])
    ->status, 401, 'another scheme');
is($t->get('/api/device/x', headers => [
    ['X-Authorization' => "Bearer $token"], [Authorization => 'Basic YTpi']])
    ->status, 200, 'X-Authorization goes first');
is($t->get('/api/device/x', headers => [['X-Authorization' => 'Bearer ']])
    ->status, 401, 'a scheme without a token');

# a connection is kept through all of it
my $c = $t->client;
is($t->get('/api/device/x', client => $c, token => $token)->status, 200,
    'first on a connection');
is($t->get('/api/nothing', client => $c, token => $token)->status, 404,
    'an error after it');
is($t->get('/api/device/x', client => $c, token => $token)->status, 200,
    'and a good one again');

done_testing();
