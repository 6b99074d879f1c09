#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# At the level "debug" nginx names the connection of every timer, which it
# takes from the data of the event: whatever sets a timer must carry a number
# there that is no rubbish.  The sanitizers see reads beyond an object here.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Test::More;
use IotTest::Device;
use IotTest::TbMqtt;

# nginx's own timers of the access log and of the end of a worker do just that
my $t = IotTest::Device->new(workers => 2, log_level => 'debug',
    server => 'access_log off;');

plan(skip_all => 'this nginx is built without --with-debug')
    if $t->error_log !~ /\[debug\]/;

# everything that waits for something
is($t->telemetry('{"a":1}')->status, 200, 'a point');
is($t->get('/api/tenant/devices?pageSize=10&page=0',
    token => $t->tenant)->status, 200, 'a list, after a login');
is($t->post('/api/auth/login', json => { username => 'nobody@x.co',
    password => 'wrong' })->status, 401, 'a wrong login');
is($t->http('GET', $t->url('rpc') . '?timeout=20')->status, 408,
    'a long poll that ends');
is($t->http('GET', $t->url('attributes/updates') . '?timeout=20')->status,
    408, 'another one');
is($t->post('/api/rpc/oneway/' . $t->device_id, token => $t->tenant,
    json => { method => 'm', params => {}, timeout => 5000,
        persistent => JSON::XS::true() })->status, 200, 'a request waits');

my $c = IotTest::TbMqtt->connect($t, user => $t->device_token,
    keep_alive => 60);

$c->subscribe('v1/devices/me/rpc/request/+', 1);
like($c->message->{topic}, qr{^v1/devices/me/rpc/request/},
    'and reaches the device');
$c->publish('v1/devices/me/telemetry', '{"b":2}', qos => 1);
ok($c->ack, 'a point by MQTT');

my @timers = $t->error_log =~ /event timer(?: add| del)?: (-?\d+)/g;

cmp_ok(scalar(@timers), '>=', 20, 'timers were named');
is_deeply([grep { $_ < -1 || $_ > 65536 } @timers], [],
    'each with a number that a descriptor may have');

done_testing();
