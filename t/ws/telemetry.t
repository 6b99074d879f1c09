#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# The WebSocket of the ThingsBoard API: who it is, subscriptions, and what
# ends it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use JSON::XS qw(decode_json encode_json);
use Protocol::WebSocket::Frame;
use Test::More;
use Time::HiRes qw(sleep time);
use IotTest::Device;

my $t = IotTest::Device->new(workers => 2);
my $tenant = $t->tenant;
my $id = $t->device_id;
my ($ws, $got);


# a client: {socket, frame, frames}
sub connect_ws {
    my ($path) = @_;
    my $c = $t->client;

    $c->write("GET $path HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
        . "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        . "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");

    my $head = $c->read_until(qr/\r\n\r\n/);

    like($head, qr/^HTTP\/1\.1 101 /, 'upgraded');
    like($head, qr/^Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=\r$/m,
        'RFC 6455 section 1.3');

    return { client => $c, frame => Protocol::WebSocket::Frame->new };
}


sub send_text {
    my ($to, $text, %o) = @_;

    $to->{client}->write(Protocol::WebSocket::Frame->new(
        buffer => ref($text) ? encode_json($text) : $text, masked => 1,
        type => 'text', max_payload_size => 100000, %o)->to_bytes);
}


# the next message as data, or "close CODE"
sub next_message {
    my ($from) = @_;

    for (1 .. 1000) {
        $from->{frame}->append($from->{client}{buffer});
        $from->{client}{buffer} = '';

        if (defined(my $bytes = $from->{frame}->next_bytes)) {
            return 'close ' . unpack('n', $bytes)
                if $from->{frame}->is_close;
            next if !$from->{frame}->is_text;
            return decode_json($bytes);
        }

        my $rc = $from->{client}->fill;

        return 'end' if !$rc;
    }
}


# --- authentication

$ws = connect_ws('/api/ws');
send_text($ws, { authCmd => { cmdId => 0, token => 'x' } });
is(next_message($ws), 'close 1008', 'a wrong token');

$ws = connect_ws('/api/ws?token=x');
is(next_message($ws), 'close 1008', 'a wrong token in the path');

$ws = connect_ws('/api/ws');
send_text($ws, { cmds => [] });
is(next_message($ws), 'close 1008', 'commands without a token');

$ws = connect_ws('/api/ws');
send_text($ws, 'oops');
is(next_message($ws), 'close 1007', 'no JSON');

$got = $t->get('/api/ws');
is($got->status, 400, 'no WebSocket');

# --- telemetry: the state, then the changes, from any worker

my $now = int(time() * 1000);

$t->telemetry("{\"ts\":$now,\"values\":{\"t\":21.5,\"on\":true,\"n\":1}}");

$ws = connect_ws('/api/ws');
send_text($ws, { authCmd => { cmdId => 0, token => $tenant }, cmds => [
    { type => 'TIMESERIES', cmdId => 10, entityType => 'DEVICE',
        entityId => $id, keys => 't,on', scope => 'LATEST_TELEMETRY' }] });

is_deeply(next_message($ws), { subscriptionId => 10, errorCode => 0,
    errorMsg => undef, data => { t => [[$now, '21.5']],
    on => [[$now, 'true']] }, latestValues => { t => $now, on => $now } },
    'the current state');

for my $n (1 .. 6) {
    my $ts = $now + $n;

    $t->telemetry("{\"ts\":$ts,\"values\":{\"t\":$n,\"other\":1}}");
    is_deeply(next_message($ws), { subscriptionId => 10, errorCode => 0,
        errorMsg => undef, data => { t => [[$ts, "$n"]] },
        latestValues => { t => $ts } }, 'what the device sends');
}

is($t->post("/api/plugins/telemetry/DEVICE/$id/timeseries/ANY",
    token => $tenant, body => '{"ts":5,"values":{"t":{"a":"x"}}}')->status,
    200, 'saved over REST');
is_deeply(next_message($ws)->{data}, { t => [[5, '{"a":"x"}']] }, 'too');

# --- attributes, in the older form, over the same connection

send_text($ws, { attrSubCmds => [{ cmdId => '11', entityType => 'DEVICE',
    entityId => $id, keys => '', scope => 'SHARED_SCOPE' }] });
is_deeply(next_message($ws)->{data}, {}, 'no shared attributes');

sub save {
    my ($scope, $body) = @_;

    is($t->post("/api/plugins/telemetry/DEVICE/$id/$scope", token => $tenant,
        body => $body)->status, 200, "$scope $body");
}

save('SERVER_SCOPE', '{"secret":1}');
save('SHARED_SCOPE', '{"target":"hot \"x\""}');
$got = next_message($ws);
is($got->{subscriptionId}, 11, 'another subscription');
is($got->{data}{target}[0][1], 'hot "x"', 'a string');
cmp_ok(abs($got->{latestValues}{target} - time() * 1000), '<', 10000,
    'its time');

$t->http('DELETE', "/api/plugins/telemetry/DEVICE/$id/SHARED_SCOPE"
    . '?keys=target', token => $tenant);
is_deeply(next_message($ws)->{data}, { target => [[0, '']] }, 'deleted');

send_text($ws, { cmds => [{ type => 'ATTRIBUTES', cmdId => 12,
    entityType => 'DEVICE', entityId => $id, keys => 'fw,secret' }] });
is(next_message($ws)->{data}{secret}[0][1], '1', 'of any scope');
$t->attributes('{"fw":"1.2","up":1}');
is_deeply([map { $_->[0][1] } values %{next_message($ws)->{data}}], ['1.2'],
    'of the device');

# --- the same id again, and no more

send_text($ws, { tsSubCmds => [{ cmdId => 10, entityType => 'DEVICE',
    entityId => $id, keys => 'n' }] });
is_deeply(next_message($ws)->{data}, { n => [[$now, '1']] }, 'replaced');
send_text($ws, { cmds => [{ cmdId => $_, type => 'TIMESERIES_UNSUBSCRIBE' }
    ] }) for 10, 11, 12;

# --- history

send_text($ws, { historyCmds => [{ cmdId => 20, entityType => 'DEVICE',
    entityId => $id, keys => 't', startTs => $now, endTs => $now + 4,
    interval => 0, limit => 10, agg => 'NONE' }] });
$got = next_message($ws);
is_deeply([sort map { $_->[0] } @{$got->{data}{t}}],
    [$now .. $now + 3], 'history');

$t->telemetry('{"t":99,"n":99}');
save('SHARED_SCOPE', '{"target":1}');

# --- errors: the connection stays

for my $case (
    [{ cmdId => -1, type => 'ATTRIBUTES' }, -1, 2],
    [{ cmdId => 30, type => 'NONSENSE' }, 30, 2],
    [{ cmdId => 31, type => 'ATTRIBUTES', entityType => 'DEVICE',
        entityId => 'x' }, 31, 2],
    [{ cmdId => 32, type => 'TIMESERIES', entityType => 'DEVICE',
        entityId => $t->tenant_id }, 32, 2])
{
    my ($cmd, $number, $code) = @$case;

    send_text($ws, { cmds => [$cmd] });
    $got = next_message($ws);
    is($got->{subscriptionId}, $number, "error of $number");
    is($got->{errorCode}, $code, 'its code');
    ok($got->{errorMsg}, $got->{errorMsg});
}

send_text($ws, '{oops');
is(next_message($ws)->{errorMsg}, 'Failed to parse the payload', 'no JSON');

# --- somebody else's device

my $other = connect_ws('/api/ws/plugins/telemetry?token=' . $t->sysadmin);

send_text($other, { tsSubCmds => [{ cmdId => 1, entityType => 'DEVICE',
    entityId => $id, keys => 't' }] });
is(next_message($other)->{errorCode}, 3, 'not for the system');
$t->telemetry('{"t":7}');

# --- what ends it

send_text($ws, 'x' x 40000);
is(next_message($ws), 'close 1009', 'too long a message');

$t->reload;
is(next_message($other), 'close 1001', 'the worker leaves');

is($t->get('/healthz')->status, 200, 'alive');

done_testing();
