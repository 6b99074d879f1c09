#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# Alive, ready, and the numbers.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Test::More;
use IotTest;

my $t = IotTest->new(cluster => 'own');
my $a;

$a = $t->get('/healthz');
is($a->status, 200, 'alive');
is($a->body, "ok\n", 'ok');
like($a->header('content-type'), qr{^text/plain}, 'as text');
is($a->header('cache-control'), 'no-store', 'for now only');

$a = $t->get('/readyz');
is($a->status, 200, 'ready');

is($t->http('HEAD', '/healthz')->status, 200, 'HEAD');
is($t->post('/healthz', body => 'x')->status, 405, 'POST');
is($t->post('/readyz')->header('allow'), 'GET, HEAD', 'says what is allowed');

$a = $t->get('/metrics');
is($a->status, 200, 'metrics');
like($a->header('content-type'), qr{^text/plain; version=0\.0\.4},
    'of the known format');
like($a->body, qr/^# TYPE \w+ (counter|gauge)$/m, 'with types');
is(scalar(grep { !/^(#.*|\w+(\{[^}]*\})? [0-9.e+-]+)$/ }
    split(/\n/, $a->body)), 0, 'every line is one of the format');

$t->stop_database;

ok($t->wait_for(20, sub { $t->get('/readyz')->status == 503 }),
    'not ready without the database');
is($t->get('/healthz')->status, 200, 'but alive');

$t->start_database;

ok($t->wait_for(30, sub { $t->get('/readyz')->status == 200 }),
    'ready again by itself');

done_testing();
