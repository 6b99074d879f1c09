#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# The engine among the other parts of nginx: what they refuse, filters, logs.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use IO::Uncompress::Gunzip qw(gunzip);
use Test::More;
use IotTest::Engine;

my $t = IotTest::Engine->new(
    http => "limit_req_zone \$uri zone=one:1m rate=1r/m;\n",
    server => <<'END');
location /denied/ {
    iot_api thingsboard;
    deny all;
}
location /custom/ {
    iot_api thingsboard;
    error_page 403 /custom403;
    deny all;
}
location = /custom403 {
    internal;
    return 403 "custom";
}
location /limited/ {
    iot_api thingsboard;
    limit_req zone=one;
    limit_req_status 429;
}
location /api/plugins/ {
    iot_api thingsboard;
    gzip on;
    gzip_types application/json;
    gzip_min_length 1;
}
location /api/device {
    iot_api thingsboard;
    client_max_body_size 1k;
}
location /api/dashboard/ {
    iot_api thingsboard;

    if ($arg_if) {
        add_header X-If 1;
    }

    limit_except GET {
        deny all;
    }
}
location /api/v1/small/ {
    iot_device_api;
    client_max_body_size 1k;
}
location /api/v1/denied/ {
    iot_device_api;
    deny all;
}
location ~ ^/regex/ {
    iot_api thingsboard;
    deny all;
}
END

$t->replace('server_time', 'json', q{ RETURN to_json(1); });
$t->replace('device_save', 'json', q{ RETURN to_json(1); });
$t->replace('timeseries_history', 'SETOF text', q~
    RETURN NEXT '[';
    RETURN QUERY SELECT CASE WHEN i = 1 THEN '' ELSE ',' END || i
        FROM generate_series(1, (query->>'rows')::int) i;
    RETURN NEXT ']';
~);

my $token = $t->tenant;
my $a;

# --- refused by nginx

$a = $t->get('/denied/x', token => $token);
is($a->status, 403, 'denied by address');
is($a->json->{errorCode}, 20, 'in the envelope');
is($a->header('content-type'), 'application/json', 'as JSON');

$a = $t->post('/denied/x', body => 'x' x 100_000);
is($a->status, 403, 'with a body too');
is($a->json->{status}, 403, 'in the envelope');

$a = $t->get('/denied/x', headers => [[Origin => 'http://a.example']]);
is($a->header('access-control-allow-origin'), 'http://a.example',
    'pages of other origins may read it');

$a = $t->get('/custom/x');
is($a->body, 'custom', 'the error page of the user goes first');

$a = $t->get('/regex/x');
is($a->status, 403, 'in a location by a regular expression');
is($a->json->{errorCode}, 20, 'in the envelope as well');

$t->get('/limited/x', token => $token);
$a = $t->get('/limited/x', token => $token);
is($a->status, 429, 'limit_req');
is($a->json->{errorCode}, 33, 'in the envelope');

$a = $t->post('/api/device', token => $token,
    body => '"' . ('x' x 2000) . '"');
is($a->status, 413, 'client_max_body_size');
is($a->body, '"Payload size exceeds the limit"', 'in the known words');
is($t->post('/api/device', token => $token, body => '"x"')->status, 200,
    'and less is fine');

my $c = $t->client;
$c->write("POST /api/device HTTP/1.1\r\nHost: x\r\n"
    . "X-Authorization: Bearer $token\r\nTransfer-Encoding: chunked\r\n\r\n"
    . "800\r\n" . ('x' x 2048) . "\r\n0\r\n\r\n");
$a = $c->answer;
is($a->status, 413, 'chunked');
is($a->body, '"Payload size exceeds the limit"', 'in the known words');

# --- the device API

$a = $t->post('/api/v1/small/telemetry', body => 'x' x 2000);
is($a->status, 413, 'a device sends too much');
is($a->body, '"Payload size exceeds the limit"', 'in the same words');

$a = $t->post('/api/v1/denied/telemetry', body => '{}');
is($a->status, 403, 'a device is denied');
is($a->body, '', 'the status says it');

# --- inner blocks

my $path = '/api/dashboard/serverTime';

is($t->get($path, token => $token)->status, 200, 'beside "if"');
$a = $t->get("$path?if=1", token => $token);
is($a->status, 200, 'inside "if"');
is($a->header('x-if'), '1', 'where its directives are in force');
is($t->post($path, token => $token)->status, 403, 'limit_except');

# --- filters

my $history = '/api/plugins/telemetry/DEVICE/x/values/timeseries/history';

for my $rows (1, 1000, 300_000) {
    $a = $t->get("$history?rows=$rows", token => $token,
        headers => [['Accept-Encoding' => 'gzip']]);
    is($a->header('content-encoding'), 'gzip', "$rows rows are compressed");

    my ($packed, $plain) = ($a->body);
    gunzip(\$packed, \$plain);
    is($plain, '[' . join(',', 1 .. $rows) . ']', 'without a loss');
}

# --- the log

sub logged {
    my ($pattern) = @_;

    return $t->wait_for(10, sub {
        my $text = IotCtl::Run::read_file($t->dir . '/log/access.log');
        return defined $text && $text =~ $pattern;
    });
}


my $tenant = $t->tenant_id;
my ($user) = map { $_->[0] } @{$t->sql(
    'SELECT id FROM iot.users WHERE email = ?',
    $t->account('TENANT_EMAIL'))};

$t->get('/api/dashboard/serverTime', token => $token);
ok(logged(qr{ \Q$tenant\E \Q$user\E - .*serverTime.* 200 }),
    'tenant and user of a call');

$t->get('/api/admin/jwtSettings', token => $token);
ok(logged(qr{ \Q$tenant\E \Q$user\E - .*jwtSettings.* 403 }),
    'of one that was refused');

$t->get('/api/audit/logs?token=hidden');
ok(logged(qr{ - - - .*"GET /api/audit/logs HTTP/1.1" 401 }),
    'and of one from nobody');

# --- wrong configurations

for (['iot_api nothing;', qr/unknown API "nothing"/],
    ['iot_api thingsboard; iot_api thingsboard;', qr/is duplicate/],
    ['iot_api;', qr/invalid number of arguments/],
    ['iot_health on;', qr/invalid number of arguments/],
    ['iot_cors maybe;', qr/it must be "on" or "off"/])
{
    my ($lines, $pattern) = @$_;

    $t->snippet('server', "location /wrong/ {\n$lines\n}\n");
    eval { $t->reload };
    like($@, $pattern, "refused: $lines");
    $t->allow_alert(qr/\[emerg\].*test\.conf/);
}

done_testing();
