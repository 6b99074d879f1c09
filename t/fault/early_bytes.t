#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# Clients that do not wait: what follows the CONNECT or the upgrade in the same
# segment lies in a buffer of nginx or of OpenSSL, and no event tells of it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use IO::Socket::SSL qw(SSL_VERIFY_NONE);
use Protocol::WebSocket::Frame;
use Test::More;
use IotTest::Device;
use IotTest::Mqtt;

my $t = IotTest::Device->new;
my $token = $t->device_token;
my $burst = packet(1, 0, str('MQTT') . "\4\x82" . u16(60) . str('early')
        . str($token))
    . packet(3, 2, str('v1/devices/me/telemetry') . u16(7) . '{"early":1}')
    . packet(12, 0, '');
my $whole = 4 + 4 + 2;


# CONNACK, PUBACK of 7 and PINGRESP, in any order after the first
sub served {
    my ($bytes, $name) = @_;

    is(hex_of(substr($bytes, 0, 4)), '20 02 00 00', "$name: accepted");
    like(hex_of($bytes), qr/40 02 00 07/, 'the point is acknowledged');
    like(hex_of($bytes), qr/d0 00/, 'the ping is answered');
    is(scalar(@{$t->points->{early} || []}), 1, 'the point is stored');
    $t->wipe;
}


sub read_bytes {
    my ($socket) = @_;
    my $bytes = '';

    while (length($bytes) < $whole && $socket->sysread(my $part, 65536)) {
        $bytes .= $part;
    }

    return $bytes;
}


# websocket frames around the bytes
sub frame {
    my ($bytes, $type) = @_;

    return Protocol::WebSocket::Frame->new(buffer => $bytes, masked => 1,
        type => $type)->to_bytes;
}


sub upgrade {
    my ($path, @more) = @_;

    return join("\r\n", "GET $path HTTP/1.1", 'Host: localhost',
        'Upgrade: websocket', 'Connection: Upgrade',
        'Sec-WebSocket-Version: 13',
        'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==', @more, '', '');
}


# what the server's frames carry, without their heads
sub payloads {
    my ($client) = @_;
    my $frame = Protocol::WebSocket::Frame->new;
    my $all = '';

    while (length($all) < $whole) {
        $frame->append($client->{buffer});
        $client->{buffer} = '';

        if (defined(my $part = $frame->next_bytes)) {
            $all .= $part;

        } else {
            last unless $client->fill;
        }
    }

    return $all;
}


my $plain = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
    PeerPort => $t->port('MQTT')) or die "no connection: $!";

$plain->syswrite($burst);
served(read_bytes($plain), 'TCP');

my $tls = IO::Socket::SSL->new(PeerAddr => '127.0.0.1',
    PeerPort => $t->port('MQTTS'), SSL_verify_mode => SSL_VERIFY_NONE)
    or die "no connection: $IO::Socket::SSL::SSL_ERROR";

$tls->syswrite($burst);
served(read_bytes($tls), 'TLS');

my $ws = $t->client;

$ws->write(upgrade('/mqtt', 'Sec-WebSocket-Protocol: mqtt')
    . frame($burst, 'binary'));
like($ws->read_until(qr/\r\n\r\n/), qr{^HTTP/1\.1 101 }, 'upgraded');
served(payloads($ws), 'WebSocket');

my $api = $t->client;

$api->write(upgrade('/api/ws') . frame(JSON::XS::encode_json({
    authCmd => { cmdId => 0, token => $t->tenant }, cmds => [{
        type => 'ATTRIBUTES', cmdId => 5, entityType => 'DEVICE',
        entityId => $t->device_id, keys => '' }] }), 'text')
    . frame(pack('n', 1000), 'close'));
like($api->read_until(qr/\r\n\r\n/), qr{^HTTP/1\.1 101 }, 'upgraded');
like($api->read_all, qr/\x88\x02\x03\xe8/,
    'the close that came along is answered');

# two requests in one segment
my $http = $t->client;
my $post = $t->request('POST', 'telemetry', '{"ts":5,"values":{"a":1}}');

$http->write($post . $post . "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
is(join(' ', map { $http->answer->status } 1 .. 3), '200 200 200',
    'requests in one segment are answered in their order');

$t->finish;
done_testing();
