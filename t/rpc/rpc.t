#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# Requests to devices that poll, over both versions of the REST API, and
# requests of devices.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use JSON::XS qw(decode_json encode_json);
use Test::More;
use Time::HiRes qw(sleep time);
use IotTest::Device;

my $t = IotTest::Device->new(workers => 2);
my $tenant = $t->tenant;
my $id = $t->device_id;
my $next = 0;
my ($a, $c, $p);


# a request of a person, written but not answered
sub ask {
    my ($how, $body, %o) = @_;
    my $caller = $t->client;
    my $path = ($o{v1} ? '/api/plugins/rpc/' : '/api/rpc/') . "$how/"
        . ($o{device} || $id);

    $caller->write(IotTest::Client::format_request('POST', $path,
        [['X-Authorization', 'Bearer ' . ($o{token} || $tenant)]],
        ref($body) ? encode_json($body) : $body));

    return $caller;
}


sub poll {
    my ($query) = @_;

    return $t->begin('GET', 'rpc' . ($query || ''));
}


sub answer {
    my ($number, $body) = @_;

    return $t->post($t->url("rpc/$number"), body => $body);
}


# --- one way, then two, from and to any worker

for my $round (1 .. 6) {
    $p = poll();
    sleep(0.2);
    $c = ask('oneway', { method => 'setGpio', params => { pin => 7,
        value => JSON::XS::true } });
    $a = $p->answer;

    is($a->status, 200, 'the device gets it');
    is_deeply($a->json, { id => $next++, method => 'setGpio',
        params => { pin => 7, value => JSON::XS::true } }, 'the request');

    $a = $c->answer;
    is($a->status, 200, 'one way is done when it was delivered');
    is($a->body, '', 'without a word');
}

for my $reply ('{"ok":true}', '[1,2]', '"text"', '17', 'null', 'true') {
    $p = poll();
    sleep(0.2);
    $c = ask('twoway', { method => 'get', params => 'x' });
    $a = $p->answer->json;
    is($a->{params}, 'x', 'params may be a scalar');
    is($a->{id}, $next++, 'ids count up');

    is(answer($a->{id}, $reply)->status, 200, 'the device answers');
    $a = $c->answer;
    is($a->status, 200, 'the caller');
    is($a->body, $reply, 'gets it as it is');
}

# --- the request waits for the device, oldest first, one for a poll

my @callers = map { my $caller = ask('twoway', { method => "m$_" });
    sleep(0.2); $caller } 0 .. 2;

for my $i (0 .. 2) {
    $a = poll()->answer->json;
    is($a->{method}, "m$i", "waiting: m$i");
    ok(exists $a->{params} && !defined $a->{params}, 'no params');
    is($a->{id}, $next++, 'in order');
    answer($a->{id}, "{\"n\":$i}");
    is_deeply($callers[$i]->answer->json, { n => $i }, 'each its own');
}

# --- out of order

@callers = map { ask('twoway', { method => 'o', params => $_ }) } 0 .. 2;

my %id;

for (0 .. 2) {
    $a = poll()->answer->json;
    $id{$a->{params}} = $a->{id};
}

$next += 3;
answer($id{$_}, "\"$_\"") for 2, 0, 1;
is($callers[$_]->answer->json, $_, 'answers out of order') for 0 .. 2;

# --- no JSON, no such request

$p = poll();
sleep(0.2);
$c = ask('twoway', { method => 'bad' });
$a = $p->answer->json;
$next++;
is(answer($a->{id}, 'no json')->status, 200, 'any bytes are taken');
is($c->answer->status, 406, 'but are no answer');

is(answer(4711, '{}')->status, 200, 'an answer nobody waits for');
is(answer($_, '{}')->status, 400, "id $_")
    for ('x', '-1', '1.5', '2147483648', '99999999999999999999');
is(answer(2147483647, '{}')->status, 200, 'the largest id');

# --- bodies

for my $body ('', '{', '[]', '{}', '{"method":1}', '{"params":1}',
    '{"method":"m","timeout":"x"}', '{"method":"m","timeout":{}}',
    '{"method":"m","persistent":"yes"}', '{"method":"m","retries":6}')
{
    $a = ask('twoway', $body)->answer;
    is($a->status, 400, "body $body");
    is_deeply([@{$a->json}{qw(message errorCode status)}],
        ['Invalid request body', 31, 400], 'the envelope says so');
}

# --- who may

$a = ask('twoway', { method => 'm' }, device => $t->tenant_id)->answer;
is($a->status, 404, 'no such device');
is($a->body, q{Device with requested id wasn't found!}, 'as text');
$a = ask('twoway', { method => 'm' }, device => 'x')->answer;
is($a->status, 400, 'no id');
$a = ask('twoway', { method => 'm' }, token => $t->sysadmin)->answer;
is($a->status, 403, 'the system administrator');
is($a->body, 'System administrator is not allowed to perform this operation!',
    'as text');
$t->sql('UPDATE iot.device SET customer_id = NULL');
$a = ask('twoway', { method => 'm' }, token => $t->customer)->answer;
is($a->status, 403, 'a customer whose device it is not');
is(ask('twoway', { method => 'm' }, token => 'x')->answer->status, 401,
    'nobody');

cmp_ok($t->value(q{SELECT count(*) FROM iot.audit_log
    WHERE action = 'RPC_CALL'}), '>=', $next, 'each is in the audit log');

# --- nobody answers: at least five seconds, whatever was asked

my $start = time();
my $delivered = poll();

sleep(0.2);

my $lost = ask('twoway', { method => 'lost', timeout => 1 }, v1 => 1);

$delivered->answer;

my $v1 = ask('twoway', { method => 'v1' , timeout => 5000 }, v1 => 1);
my $v2 = ask('twoway', { method => 'v2' , timeout => 5000 });
my $one = ask('oneway', { method => 'one', timeout => 5000 });
my $soon = ask('twoway', { method => 's', timeout => 60000,
    expirationTime => int(time() * 1000) + 1000 });

is($soon->answer->status, 504, 'expirationTime wins over timeout');
cmp_ok(time() - $start, '<', 4, 'in time');
is($lost->answer->status, 408, 'v1: delivered, no answer');
cmp_ok(time() - $start, '>', 4.5, 'five seconds at least');
is($v1->answer->status, 409, 'v1: nobody was there');
is($v2->answer->status, 504, 'v2: nobody was there');
is($one->answer->status, 504, 'one way, not delivered');

is(poll('?timeout=500')->answer->status, 408, 'nothing is left of them');

# --- the caller leaves: the request goes with it

$c = ask('twoway', { method => 'gone' });
sleep(0.5);
$c->close;
sleep(0.3);
is(poll('?timeout=500')->answer->status, 408, 'as does its request');

# --- requests of the device

$a = $t->post($t->url('rpc'), body => '{"method":"getCurrentTime"}');
is($a->status, 200, 'the time');
cmp_ok(abs($a->body - time() * 1000), '<', 5000, 'in milliseconds');

$a = $t->post($t->url('rpc'), body =>
    '{"method":"getSessionLimits","params":{}}');
is($a->status, 200, 'the limits');
is_deeply([sort keys %{$a->json}],
    [qw(maxInflightMessages maxPayloadSize rateLimits)], 'of a device');
is_deeply([sort keys %{$a->json->{rateLimits}}],
    [qw(messages telemetryDataPoints telemetryMessages)], 'its rates');

is($t->post($t->url('rpc'), body => $_)->status, 400, "bad: $_")
    for ('', '{', '{}', '[]', '{"method":1}');

$c = $t->begin('POST', 'rpc', '{"method":"unknown","params":{}}');
ok($c->silent(1), 'nobody answers an unknown method');
$c->close;

done_testing();
