#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# Changes of a device are in force in every worker within a second.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Test::More;
use Time::HiRes qw(time);
use IotTest::Device;

my $t = IotTest::Device->new(workers => 2,
    http => 'add_header X-Worker $pid always;' . "\n");
my $token = $t->device_token;
my %c;

# a connection to each of the workers

$t->wait_for(20, sub {
    my $c = $t->client;
    my $a = $c->request('GET', '/healthz', []);
    $c{$a->header('x-worker')} ||= $c;
    return keys %c == 2;
});

is(keys %c, 2, 'two workers are there');


# what each of them answers
sub status {
    my ($token) = @_;

    return join(' ', map { $c{$_}->request('POST',
        $t->url('telemetry', $token), [], '{"a":1}')->status } sort keys %c);
}


# within a second
sub becomes {
    my ($token, $status, $name) = @_;
    my $start = time();

    ok($t->wait_for(1, sub { status($token) eq "$status $status" }), $name)
        or diag(status($token));
}


sub replace {
    my ($token, $new) = @_;

    $t->psql(<<"EOS");
DO \$do\$
DECLARE
    c  iot.device_credentials;
BEGIN
    SELECT * INTO c FROM iot.device_credentials
    WHERE credentials_id = '$token';
    c.credentials_id := '$new';
    PERFORM iot.credentials_replace(c);
END
\$do\$;
EOS
}


is(status($token), '200 200', 'both know the device');
is(status('Renewed'), '401 401', 'and not the new token');
replace($token, 'Renewed');
becomes($token, 401, 'an old token is refused');
becomes('Renewed', 200, 'the new one is good');
replace('Renewed', $token);
becomes('Renewed', 401, 'and back');
becomes($token, 200, 'again');

# --- the device

my $device = sub {
    $t->sql('UPDATE iot.device SET enabled = ? WHERE id = ?', $_[0],
        $t->device_id);
    $t->sql("SELECT pg_notify('iot', 'device ' || ?::text)", $t->device_id);
};

$device->('false');
becomes($token, 401, 'a device that was disabled');
$device->('true');
becomes($token, 200, 'and enabled');

$t->add_devices('Doomed');
is(status('Doomed'), '200 200', 'a second device');

my $nr = $t->nr('Doomed');

$t->psql(<<'EOS');
DO $do$
DECLARE
    p  iot.principal;
    d  iot.device;
BEGIN
    SELECT d2.* INTO d FROM iot.device AS d2 WHERE name = 'device Doomed';
    p.role := 'TENANT_ADMIN';
    p.tenant_id := d.tenant_id;
    PERFORM iot.enter(p);
    PERFORM iot.device_delete(p, d.id);
END
$do$;
EOS
becomes('Doomed', 401, 'a device that was deleted');
is(status($token), '200 200', 'the other one is not touched');
is($t->value('SELECT count(*) FROM iot.attribute WHERE entity = ?', $nr), 0,
    'it has no attributes');

# --- made while somebody asks

is(status('Late'), '401 401', 'a device that is not there yet');
$t->add_devices('Late');
is(status('Late'), '200 200', 'is good as soon as it is made');

# --- nobody hears the notification: nothing in the caches may be believed

$t->hold('iot.setting');
$t->sql('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE'
    . " application_name = 'ngx_iot' AND datname = ?", $t->{database});
replace($token, 'Unheard');
$t->let_go('iot.setting');
becomes('Unheard', 200, 'a change while no worker listened');
becomes($token, 401, 'is not missed');

# --- a cache of two, and five devices

$t->add_devices(map { "Many$_" } 1 .. 5);
$t->snippet('iot', "device_cache 2;\n");
$t->reload(gone => 1);
%c = ();
$t->wait_for(20, sub {
    my $c = $t->client;
    my $a = $c->request('GET', '/healthz', []);
    $c{$a->header('x-worker')} ||= $c;
    return keys %c == 2;
});

for (1 .. 3) {
    is(status("Many$_"), '200 200', "device $_ of a cache that is too small")
        for 1 .. 5;
}

is_deeply([map { scalar(keys %{$t->points("Many$_")}) } 1 .. 5],
    [1, 1, 1, 1, 1], 'each has its own points');

# all at once: more are being looked up than the cache holds

my @many = map { $t->begin('POST', 'telemetry', '{"b":1}',
    token => "Many$_") } (1 .. 5) x 4;
my %status;

$status{$_->answer->status}++ for @many;
is($status{200} + ($status{503} || 0), 20, 'are served, or told to come again');
cmp_ok($status{200}, '>', 0, 'and some are served');

done_testing();
