#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# The state that the server keeps of each device: active, since when, and
# silent for how long.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Test::More;
use Time::HiRes qw(sleep time);
use IotTest::Device;

my $t = IotTest::Device->new(workers => 2);
my $a;


sub state_of {
    my ($name, $token) = @_;
    my $found = $t->stored_attributes(3, $token)->{$name};

    return $found ? $found->[1] : undef;
}


sub becomes {
    my ($name, $value, $what) = @_;

    $t->wait_for(10, sub { (state_of($name) || '') eq $value });
    is(state_of($name), $value, $what);
}


is(state_of('active'), undef, 'never heard of');

my $start = int(time() * 1000);

is($t->telemetry('{"a":1}')->status, 200, 'a message');
becomes('active', 'true', 'active');

my $last = state_of('lastActivityTime');

cmp_ok($last, '>=', $start - 1000, 'lastActivityTime');
cmp_ok($last, '<=', time() * 1000, 'not in the future');
is(state_of('inactivityAlarmTime'), undef, 'no alarm');

my $info = $t->get('/api/device/info/' . $t->device_id,
    token => $t->tenant)->json;

ok($info->{active}, 'DeviceInfo says so');

# reading is activity too; writes come together, not one for each message
sleep(0.1);
$t->get($t->url('attributes')) for 1 .. 50;
$t->wait_for(10, sub { state_of('lastActivityTime') > $last });
cmp_ok(state_of('lastActivityTime'), '>', $last, 'goes on');

is($t->get('/api/v1/nobody/attributes')->status, 401, 'a stranger');

# --- silent: after its own time, found by the sweep

$t->sql('SELECT iot.maintain_activity()');
is(state_of('active'), 'true', 'ten minutes have not passed');

is($t->post('/api/plugins/telemetry/DEVICE/' . $t->device_id
    . '/SERVER_SCOPE', token => $t->tenant,
    body => '{"inactivityTimeout":500}')->status, 200, 'a time of its own');
$last = state_of('lastActivityTime');
$t->sql('UPDATE iot.device_state SET inactive_at = 0');
$t->telemetry('{"a":2}');
$t->wait_for(10, sub { state_of('lastActivityTime') > $last });
sleep(0.8);

# the workers look too, and may have been first
$t->sql('SELECT iot.maintain_activity()');
is(state_of('active'), 'false', 'inactive');
cmp_ok(state_of('inactivityAlarmTime'), '>=', $last, 'inactivityAlarmTime');
is($t->value('SELECT iot.maintain_activity()'), 0, 'once');

$t->telemetry('{"a":3}');
becomes('active', 'true', 'heard again');

# --- what is not yet written goes out with the worker

$last = state_of('lastActivityTime');
sleep(0.01);
$t->telemetry('{"a":4}');
$t->reload;
$t->wait_for(10, sub { state_of('lastActivityTime') > $last });
cmp_ok(state_of('lastActivityTime'), '>', $last, 'kept through a reload');

done_testing();
