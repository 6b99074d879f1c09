#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# Clients that leave before the commit: what was begun is done.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Test::More;
use IotTest::Device;

my $t = IotTest::Device->new;

# the keys are known, so that nothing but the batch is waited for
is($t->telemetry('{"ts":1,"values":{"a":1,"b":1}}')->status, 200, 'a point');
is($t->attributes('{"a":1}')->status, 200, 'an attribute');
$t->wipe;

# --- one in flight, others in the batch behind it

$t->hold('iot.telemetry');
my $first = $t->begin('POST', 'telemetry', '{"ts":1,"values":{"a":1}}');
ok($t->wait_held, 'the batch waits for the database');
my @more = map {
    $t->begin('POST', 'telemetry', "{\"ts\":$_,\"values\":{\"a\":$_}}")
} 2 .. 40;
ok($t->wait_for(10, sub { $t->metric('iot_batch_queue_rows') >= 40 }),
    'others wait for the next') or diag($t->get('/metrics')->body);
$first->close;
$more[$_]->close for grep { $_ % 2 } 0 .. $#more;
is($t->get('/healthz')->status, 200, 'half of them leave');
$t->let_go('iot.telemetry');

is(join(' ', map { $more[$_]->answer->status } grep { !($_ % 2) } 0 .. $#more),
    join(' ', (200) x 20), 'those that stay get their answers');
is(scalar(@{$t->points->{a}}), 40, 'the points of all are there');
is($t->metric('iot_batch_queue_rows'), 0, 'nothing is left in the queue');

# --- attributes, and a question

$t->hold('iot.attribute');
my @c = ($t->begin('POST', 'attributes', '{"a":2}'),
    $t->begin('GET', 'attributes'));
ok($t->wait_held(2), 'a change and a question wait');
$_->close for @c;
is($t->get('/healthz')->status, 200, 'both have left');
$t->let_go('iot.attribute');
ok($t->wait_for(10, sub {
    ($t->stored_attributes(1)->{a} || [0, 0])->[1] == 2
}), 'the change is made');
is($t->get($t->url('attributes'))->json->{client}{a}, 2, 'all is well');

# --- while the device is looked up

$t->add_devices('Second');
$t->hold('iot.device');
@c = map { $t->begin('POST', 'telemetry', "{\"ts\":$_,\"values\":{\"a\":1}}",
    token => 'Second') } 1 .. 10;
ok($t->wait_held, 'a device is looked up');
$c[$_]->close for 0 .. 4;
is($t->get('/healthz')->status, 200, 'half of those that ask leave');
$t->let_go('iot.device');
is(join(' ', map { $c[$_]->answer->status } 5 .. 9),
    join(' ', (200) x 5), 'the others are served');

# --- a hundred, at any moment

for my $i (1 .. 100) {
    my $c = $t->client;
    my $bytes = $t->request('POST', 'telemetry', "{\"b\":$i,\"new$i\":1}");

    $c->write(substr($bytes, 0, $i % 3 ? length($bytes) : $i));
    $c->fill(0.0003 * ($i % 7));
    $c->close;
}

is($t->telemetry('{"b":1}')->status, 200, 'a hundred that leave harm nobody');
is($t->get('/readyz')->status, 200, 'ready');

done_testing();
