#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# Pages of other origins may use the API.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Test::More;
use IotTest::Engine;

my $t = IotTest::Engine->new(
    server => "location /closed/ {\n    iot_cors off;\n"
        . "    iot_api thingsboard;\n}\n");

$t->replace('server_time', 'json', q{ RETURN to_json(1); });

my $token = $t->tenant;
my $origin = 'https://app.example.com:8443';
my $a;

$a = $t->http('OPTIONS', '/api/device', headers => [
    [Origin => $origin],
    ['Access-Control-Request-Method' => 'POST'],
    ['Access-Control-Request-Headers' => 'content-type, x-authorization']]);

is($a->status, 200, 'a preflight needs no token');
is($a->header('access-control-allow-origin'), $origin, 'its origin');
is($a->header('access-control-allow-credentials'), 'true', 'credentials');
like($a->header('access-control-allow-methods'), qr/\bPOST\b/, 'its method');
is($a->header('access-control-allow-headers'),
    'content-type, x-authorization', 'its headers');
is($a->header('access-control-max-age'), '1800', 'for half an hour');
like($a->header('vary'), qr/Origin/, 'a cache must look at the origin');
is($a->body, '', 'nothing else');

$a = $t->http('OPTIONS', '/api/not/even/there', headers => [
    [Origin => $origin], ['Access-Control-Request-Method' => 'PUT']]);
is($a->status, 200, 'a preflight of any path');
like($a->header('access-control-allow-methods'), qr/\bPUT\b/, 'any method');

$a = $t->get('/api/dashboard/serverTime', token => $token,
    headers => [[Origin => $origin]]);
is($a->status, 200, 'an actual request');
is($a->header('access-control-allow-origin'), $origin, 'its origin');
is($a->header('access-control-allow-credentials'), 'true', 'credentials');

for (['/api/dashboard/serverTime', 401], ['/api/device', 405]) {
    my ($path, $status) = @$_;

    $a = $t->get($path, headers => [[Origin => $origin]]);
    is($a->status, $status, "an error: $status");
    is($a->header('access-control-allow-origin'), $origin,
        'may be read by the page too');
}

$a = $t->get('/api/dashboard/serverTime', token => $token);
is($a->header('access-control-allow-origin'), undef, 'no origin, no headers');

# --- off

$a = $t->http('OPTIONS', '/closed/x', headers => [
    [Origin => $origin], ['Access-Control-Request-Method' => 'POST']]);
isnt($a->status, 200, 'no preflight where it is off');
is($a->header('access-control-allow-origin'), undef, 'and no headers');

# only the pages that a setting names

sub allowed {
    my ($from) = @_;
    my $answer = $t->get('/api/dashboard/serverTime', token => $token,
        client => $t->client, headers => [[Origin => $from]]);
    my $preflight = $t->http('OPTIONS', '/api/device', client => $t->client,
        headers => [[Origin => $from],
            ['Access-Control-Request-Method' => 'POST']]);

    return join(' ', $answer->status,
        defined $answer->header('access-control-allow-origin') ? 'yes' : 'no',
        $preflight->status);
}

sub origins {
    my ($value) = @_;

    return $t->put('/api/settings/cors.origins', token => $t->sysadmin,
        json => { value => $value })->status;
}

# the other worker hears of it some milliseconds later
sub settled {
    my ($from, $expected, $name) = @_;

    ok($t->wait_for(5, sub {
        !grep { allowed($from) ne $expected } 1 .. 6
    }), $name);
}

is(origins(['https://app.example.org', 'http://*.example.net:81']), 200,
    'two origins');
settled('null', '200 no 403', 'are known to all workers');
is(allowed($$_[0]), $$_[1], $$_[0]) for
    ['https://app.example.org', '200 yes 200'],
    ['HTTPS://APP.EXAMPLE.ORG', '200 yes 200'],
    ['https://app.example.org.example.com', '200 no 403'],
    ['http://app.example.org', '200 no 403'],
    ['http://a.example.net:81', '200 yes 200'],
    ['http://a.b.example.net:81', '200 yes 200'],
    ['http://example.net:81', '200 no 403'],
    ['http://example.com/.example.net:81', '200 no 403'],
    ['http://a.example.net', '200 no 403'],
    ['null', '200 no 403'];
is(origins([]), 200, 'none');
settled('https://app.example.org', '200 no 403', 'nobody');
is(origins(['*']), 200, 'all');
settled($origin, '200 yes 200', 'everybody');
is(origins([$_]), 400, "not $_") for 'ftp://example.org', 'https://*',
    'https://example.org x', 'https://' . 'x' x 80;

done_testing();
