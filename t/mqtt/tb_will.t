#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# Wills of devices on the topics whose values are stored: as if published when
# the connection breaks, later with a delay, and after the end of the worker.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use CBOR::XS ();
use Test::More;
use Time::HiRes qw(time);
use IotTest::Gateway;
use IotTest::Mqtt;

my $t = IotTest::Gateway->new(workers => 2);
my $user = $t->device_token;

$t->allow_alert(qr/worker process \d+ exited on signal 9/);


sub client {
    my ($version, $id, $topic, $payload, %o) = @_;
    my $c = IotTest::Mqtt::Client->new($t->{port}{MQTT});
    my $props = defined $o{delay} ? "\x18" . u32($o{delay}) : '';

    $props .= "\x03" . str($o{type}) if defined $o{type};

    $c->{version} = $version;
    $c->connect($id, user => $user, %o, will => { topic => $topic,
        payload => $payload, qos => $o{qos} || 0, props => $props });

    my $connack = $c->packet;
    die "not accepted: $connack\n" if $connack !~ /^20 \S+ 0[01] 00/;

    return $c;
}


sub rows { return $t->value('SELECT count(*) FROM iot.mqtt_will') }
sub no_rows { return $t->wait_for(15, sub { rows() == 0 }) }


sub stored {
    my ($key) = @_;

    return $t->wait_for(15, sub { $t->typed->{$key} });
}


sub kill_workers {
    my @old = $t->worker_pids;
    my %old = map { $_ => 1 } @old;

    kill('KILL', @old);
    $t->wait_for(15, sub { 2 == grep { !$old{$_} } $t->worker_pids })
        or die "no new workers\n";
}


# --- at the end of the connection, in both versions

for my $version (4, 5) {
    my $c = client($version, "t$version", 'v1/devices/me/telemetry',
        "{\"will$version\":$version}", qos => 1);

    ok($t->wait_for(10, sub { rows() == 1 }), "$version: it has a row");
    $c->close;
    ok(stored("will$version"), 'telemetry is stored at a broken end');
    is_deeply($t->typed->{"will$version"}, ['LONG', $version], 'as it is');
    ok(no_rows(), 'and the row goes');

    $c = client($version, "a$version", 'v2/a',
        "{\"state$version\":\"lost\"}");
    $c->close;
    ok($t->wait_for(15, sub {
        $t->stored_attributes(1)->{"state$version"} }), 'attributes too');

    $c = client($version, "d$version", 'v2/t', "{\"not$version\":1}");
    $c->send(14, 0, '');
    is($c->packet, 'closed', 'the end');
    ok(no_rows(), 'a DISCONNECT takes it back');

    $c = client($version, "g$version", 'v1/gateway/telemetry',
        "{\"Behind $version\":[{\"up\":false}]}");
    $c->close;
    ok($t->wait_for(15, sub { $t->row("Behind $version")
        && $t->behind("Behind $version")->{up} }),
        'a gateway speaks for others, and makes them');
}

is_deeply([grep { /^not/ } keys %{$t->typed}], [],
    'what was taken back was not stored');

my $c = client(5, 'cbor', 'v2/t', CBOR::XS->new->text_keys->encode(
    { cbor => 5 }), type => 'application/cbor');
$c->close;
ok(stored('cbor'), 'its content type is kept');


# --- what is bad is dropped

for my $bad (['v2/t', '{"a":'], ['v2/t/p', 'x'],
    ['v1/devices/me/rpc/request/1', '{"method":"getCurrentTime"}'],
    ['v1/gateway/attributes', '[]'])
{
    $c = client(4, 'bad', @$bad);
    $c->close;
    ok(no_rows(), "$bad->[0] $bad->[1]: is not tried for ever");
}


# --- a delay, and the end of the workers

$c = client(5, 'delay', 'v2/t', '{"delayed":1}', delay => 2, clean => 0,
    expiry => 60);
my $start = time();
$c->close;
ok($t->wait_for(10, sub { $t->value('SELECT count(*) FROM iot.mqtt_will'
    . ' WHERE due_at IS NOT NULL') == 1 }), 'a delayed will waits');
kill_workers();
ok(stored('delayed'), 'those who come after store it');
cmp_ok(time() - $start, '>=', 2, '... not before its time');
ok(no_rows(), '... and it is gone');

$c = client(5, 'back', 'v2/t', '{"back":1}', delay => 60, clean => 0,
    expiry => 600);
$c->close;
ok($t->wait_for(10, sub { $t->value('SELECT count(*) FROM iot.mqtt_will'
    . ' WHERE due_at IS NOT NULL') == 1 }), 'another');
$c = client(5, 'back', 'v2/t', '{"back":2}', clean => 0, expiry => 600);
ok($t->wait_for(10, sub { rows() == 1 }), 'is cancelled by who comes back');
$c->send(14, 0, '');
ok(no_rows(), '... who leaves none');
ok(!$t->typed->{back}, 'nothing was stored');

$c = client(5, 'dead', 'v1/gateway/telemetry',
    '{"Behind dead":[{"dead":true}]}', clean => 0, expiry => 60);
is(rows(), 1, 'a stored session has its will written down');
kill_workers();
ok($t->wait_for(20, sub { $t->row('Behind dead')
    && $t->behind('Behind dead')->{dead} }),
    'that of a gateway whose worker was killed');
ok(no_rows(), '... once');

# a device that is gone by then
my $id = $t->device_id;
$c = client(5, 'gone', 'v2/t', '{"gone":1}', delay => 1, clean => 0,
    expiry => 60);
$c->close;
$t->sql('UPDATE iot.device SET enabled = false WHERE id = ?', $id);
$t->changed;
ok(no_rows(), 'nothing is left for a device that is switched off');
ok(!$t->typed->{gone}, '... nor stored');

$t->finish;
done_testing();
