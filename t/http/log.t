#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# The path of a device holds its token: no line of the error log shows it, nor
# does the access log; tenant and device are named once they are known.

use lib 't/lib';
use IotTest;

my $t = IotTest->new(log_level => 'info',
    server => "client_max_body_size 2k;\n");
my $token = $t->device_token;
my $path = "/api/v1/$token/telemetry";

is($t->post($path, body => '{"a":1}')->status, 200, 'a post');
is($t->post($path, body => '{"a":')->status, 400, 'a bad post');
is($t->post($path, body => 'x' x 5000)->status, 413, 'a large post');
is($t->post('/api/v1/NoSuchToken12345678/telemetry', body => '{}')->status,
    401, 'a wrong token');

# half a body and gone: nginx logs that by itself
my $c = $t->client;
$c->write("POST $path HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{");
undef $c;

ok($t->wait_log(qr/prematurely closed/), 'the client that went is logged');

my $log = $t->error_log;

unlike($log, qr/\Q$token\E|NoSuchToken/, 'no token in the error log');
like($log, qr{request: "POST /api/v1/\*/telemetry"}, 'the path without it');
like($log, qr/payload of device [-0-9a-f]{36} of tenant [-0-9a-f]{36}/,
    'tenant and device of a refused payload');
like($log, qr{too large body.*request: "POST /api/v1/\*/telemetry"},
    'also where nginx refuses by itself');

# which is written when its buffer is
$t->quit;

my $access = IotCtl::Run::read_file($t->dir . '/log/access.log');

ok($access, 'there is an access log');
unlike($access, qr/\Q$token\E|NoSuchToken/, 'no token in the access log');

done_testing();
