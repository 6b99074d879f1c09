#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# Thinger.io devices that are slow, silent or too loud, behind TLS, and those
# whose worker dies.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use IO::Socket::SSL;
use Test::More;
use Time::HiRes qw(time);
use IotTest;
use IotTest::Client;
use IotTest::Native;

my $t = IotTest->new(workers => 2, start => 0);
my $user = $t->account('TENANT_EMAIL');
my $strict = IotTest::free_port();
my ($a, $b, $c, $d, $from, $id);

$t->snippet('stream', "server { listen 127.0.0.1:$strict; iot_native;\n"
    . "    iot_native_connect_timeout 300ms;\n"
    . "    iot_native_idle_timeout 600ms;\n"
    . "    iot_native_max_message_size 512; }\n");
$t->start;

my @auth = (headers => { Authorization => 'Bearer ' . $t->tenant });

$a = $t->post("/v1/users/$user/devices", @auth,
    json => { device => 'dev1', credentials => 's3cret' });
is($a->status, 200, 'a device of the account of an e-mail address');

# --- silence

$from = time();
$d = IotTest::Native->new($strict);
is($d->frame, '', 'who says nothing is closed');
cmp_ok(time() - $from, '>', 0.25, 'not at once');

$d = IotTest::Native->new($strict);
is($d->login($user, 'dev1', 's3cret'), '01021001', 'a device enters');
$from = time();
is($d->frame, '', 'and is silent');
cmp_ok(time() - $from, '>', 0.5, 'that long');

# --- a frame that is too large is refused by its header

$d = IotTest::Native->new($strict);
$d->hex('01' . '8104');
is($d->frame, '', 'a frame of 513 bytes');

$d = IotTest::Native->new($strict);
$d->login($user, 'dev1', 's3cret');
$d->hex('01' . '8004' . '00' x 512);
is($d->frame, '', 'one of 512 bytes is read, and wrong');

# --- TLS

my $tls = IO::Socket::SSL->new(PeerAddr => '127.0.0.1',
    PeerPort => $t->port('natives'), SSL_verify_mode => SSL_VERIFY_NONE);
ok($tls, 'TLS') or diag($SSL_ERROR);
$d = IotTest::Native->new(undef, $tls);
is($d->login($user, 'dev1', 's3cret'), '01021001', 'enters by TLS');
$d->hex('0200');
is($d->frame, '0200', 'keep-alive');

# --- the worker dies: the device comes again, and is reached

for my $round (1 .. 2) {
    $t->kill_worker($_) for $t->worker_pids;

    is($d->frame, '', 'the worker dies');
    $t->wait_ready;

    $d = IotTest::Native->new($t->port('iotmp'));
    is($d->login($user, 'dev1', 's3cret'), '01021001', 'it comes again');

    $c = $t->client;
    $c->write(IotTest::Client::format_request('GET',
        "/v3/users/$user/devices/dev1/resources/temp",
        [[Authorization => 'Bearer ' . $t->tenant]]));
    ($id) = $d->request;
    $d->answer($id, 1, '28');
    is($c->answer->body, 'true', 'and is reached');
}

# --- a reload: told to go, it finds the new workers

$t->reload;
is($d->frame, '', 'a reload closes it');
$d = IotTest::Native->new($t->port('native'));
is($d->login($user, 'dev1', 's3cret'), '01021001', 'it comes again');

# --- a device that never answers

$c = $t->client(timeout => 20);
$from = time();
$c->write(IotTest::Client::format_request('GET',
    "/v3/users/$user/devices/dev1/resources/temp",
    [[Authorization => 'Bearer ' . $t->tenant]]));
($id) = $d->request;
is($c->answer->status, 504, 'no answer in time');
cmp_ok(time() - $from, '>', 9, 'ten seconds');
$d->answer($id, 1, '28');
$d->hex('0200');
is($d->frame, '0200', 'a late answer does no harm');

$t->finish;
done_testing();
