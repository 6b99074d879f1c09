#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# Persistent requests: kept until the device comes, through restarts, and
# shown with what became of them.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Test::More;
use Time::HiRes qw(sleep time);
use IotTest::Device;

my $t = IotTest::Device->new(workers => 2);
my $tenant = $t->tenant;
my $id = $t->device_id;
my $a;


sub request {
    my ($how, %body) = @_;
    my $answer = $t->post("/api/rpc/$how/$id", token => $tenant,
        json => { method => 'm', persistent => JSON::XS::true(), %body });

    is($answer->status, 200, "$how: at once");
    like($answer->body, qr/^\{"rpcId":"[0-9a-f-]{36}"\}$/, 'with its id');

    return $answer->json->{rpcId};
}


sub state {
    my ($rpc) = @_;

    return $t->get("/api/rpc/persistent/$rpc", token => $tenant)->json;
}


sub becomes {
    my ($rpc, $status) = @_;
    my $now = '';

    for (1 .. 50) {
        $now = state($rpc)->{status};
        last if $now eq $status;
        sleep(0.1);
    }

    is($now, $status, $status);
}


# --- two way: queued, delivered, answered

my $rpc = request('twoway', params => { pin => 1 }, retries => 2,
    additionalInfo => { who => 'test' });
my $state = state($rpc);

is($state->{status}, 'QUEUED', 'waits');
is($state->{response}, undef, 'no answer');
is_deeply($state->{deviceId}, { entityType => 'DEVICE', id => $id }, 'device');
is_deeply($state->{request}{body}, { method => 'm', params => { pin => 1 } },
    'the request');
ok($state->{request}{persisted}, 'persisted');
ok(!$state->{request}{oneway}, 'two way');
is_deeply($state->{additionalInfo}, { who => 'test' }, 'additionalInfo');
cmp_ok(abs($state->{expirationTime} - $state->{createdTime} - 10000), '<', 500,
    'ten seconds by default');

$a = $t->get($t->url('rpc'))->json;
is_deeply($a, { id => 0, method => 'm', params => { pin => 1 } },
    'the device gets it');
becomes($rpc, 'DELIVERED');

is($t->get($t->url('rpc?timeout=300'))->status, 408, 'only once');
is($t->post($t->url('rpc/0'), body => '{"ok":1}')->status, 200, 'answered');
is(state($rpc)->{status}, 'SUCCESSFUL', 'stored before the device hears 200');
is_deeply(state($rpc)->{response}, { ok => 1 }, 'the answer');

is($t->post($t->url('rpc/0'), body => '{"ok":2}')->status, 200, 'once more');
is_deeply(state($rpc)->{response}, { ok => 1 }, 'changes nothing');

# --- one way, to a device that waits already

my $poll = $t->begin('GET', 'rpc');

sleep(0.3);
$rpc = request('oneway', params => 'x');
is_deeply($poll->answer->json, { id => 1, method => 'm', params => 'x' },
    'pushed');
becomes($rpc, 'SUCCESSFUL');

# --- no JSON

$rpc = request('twoway');
$a = $t->get($t->url('rpc'))->json;
is($t->post($t->url("rpc/$a->{id}"), body => 'oops')->status, 200, 'no JSON');
is(state($rpc)->{status}, 'FAILED', 'FAILED');

# --- through a restart, in order

my $end = int(time() * 1000) + 600000;
my @rpc = map { request('twoway', params => $_, expirationTime => $end) }
    1 .. 3;

$t->quit;
$t->start;

is($t->get($t->url('rpc'))->json->{params}, $_, "after a restart: $_")
    for 1 .. 3;
becomes($_, 'DELIVERED') for @rpc;

# --- the end of their time

my $soon = int(time() * 1000) + 1500;
my $never = request('twoway', expirationTime => $soon);
my $silent = request('twoway', expirationTime => $soon);

sleep(0.1);
$t->get($t->url('rpc'));
sleep(1.8);
is(state($never)->{status}, 'TIMEOUT', 'delivered, no answer in time');
is(state($silent)->{status}, 'EXPIRED', 'not even delivered');
$t->sql('SELECT iot.maintain_rpc()');
is($t->value('SELECT status FROM iot.rpc WHERE id = ?', $silent), 'EXPIRED',
    'swept');
is($t->get($t->url('rpc?timeout=300'))->status, 408, 'not sent any more');

# --- lists

my $list = sub {
    return $t->get("/api/rpc/persistent/device/$id?pageSize=100&page=0$_[0]",
        token => $_[1] || $tenant);
};

is($list->('')->json->{totalElements}, 8, 'all of the device');
is($list->('&rpcStatus=DELIVERED')->json->{totalElements}, 3, 'by status');
is($list->('&rpcStatus=EXPIRED')->json->{data}[0]{id}{id}, $silent, 'which');
is($list->("&rpcStatus=$_")->status, 400, "rpcStatus=$_")
    for qw(DELETED nonsense);
is($list->('', $t->sysadmin)->status, 403, 'not for the system');

# --- deleted

is($t->http('DELETE', "/api/rpc/persistent/$rpc[0]",
    token => $t->customer)->status, 403, 'not by customers');
is($t->http('DELETE', "/api/rpc/persistent/$rpc[0]",
    token => $tenant)->status, 200, 'deleted');
is($t->get("/api/rpc/persistent/$rpc[0]", token => $tenant)->status, 404,
    'gone');
is($t->value(q{SELECT user_name FROM iot.audit_log WHERE entity_type = 'RPC'
    AND entity_id = ? AND action = 'DELETED'}, $rpc[0]),
    $t->account('TENANT_EMAIL'), 'in the audit log');
is($t->get('/api/rpc/persistent/x', token => $tenant)->status, 400, 'no id');

done_testing();
