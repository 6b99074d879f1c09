#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# The clients that people use: mosquitto and paho, over TCP, TLS and WebSocket.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Test::More;
use IotTest::Mqtt;
use IotCtl::Run qw(run_program);

my $t = IotTest::Mqtt->start(workers => 2);
my $port = $t->anonymous;

for my $version (qw(mqttv31 mqttv311 mqttv5)) {
    for my $qos (0 .. 2) {
        my @common = ('-p', $port, '-V', $version, '-q', $qos);
        my $pid = open(my $sub, '-|', 'timeout', 10, 'mosquitto_sub', @common,
            '-t', "m/$version/#", '-C', 3, '-v') or die "mosquitto_sub: $!";

        $t->wait_for(5, sub { $t->value("SELECT 1") && subscribed() });

        for my $i (1 .. 3) {
            my ($code) = run_program(['mosquitto_pub', @common,
                '-t', "m/$version/$i", '-m', "n$i"]);
            is($code, 0, "mosquitto_pub -V $version -q $qos");
        }

        is(join('', <$sub>), join('', map { "m/$version/$_ n$_\n" } 1 .. 3),
            'mosquitto_sub has them');
        close($sub);
    }
}

# one more subscription than between the rounds
sub subscribed {
    return $t->get('/metrics')->body
        =~ /^iot_mqtt_subscriptions(?:\{\})? ([1-9]\d*)$/m;
}

# TLS, with a device
my ($code, $out) = run_program(['mosquitto_pub', '-p', $t->port('mqtts'),
    '--cafile', $t->dir . '/tls/server.crt', '--insecure', '-u',
    $t->device_token, '-t', 'devices/' . $t->device_id . '/x', '-m', 'tls',
    '-q', 1]);
is($code, 0, 'a device over TLS');

my $script = <<'END';
import sys, time
import paho.mqtt.client as mqtt

tcp, http = int(sys.argv[1]), int(sys.argv[2])

def client(name, version, ws):
    more = {} if version == mqtt.MQTTv5 else {'clean_session': True}
    c = mqtt.Client(client_id=name, protocol=version,
                    transport='websockets' if ws else 'tcp', **more)
    if ws:
        c.ws_set_options(path='/anonymous')
    c.max_inflight_messages_set(50)
    c.connect('127.0.0.1', http if ws else tcp, 30)
    c.loop_start()
    return c

def until(f):
    end = time.time() + 20
    while not f() and time.time() < end:
        time.sleep(0.02)
    return f()

for version in (mqtt.MQTTv31, mqtt.MQTTv311, mqtt.MQTTv5):
    for ws in (0, 1):
        for qos in (0, 1, 2):
            got, ready = [], []
            topic = 'p/%d/%d/%d' % (version, ws, qos)
            s = client('s' + topic, version, ws)
            s.on_message = lambda c, u, m: got.append(m.payload)
            s.on_subscribe = lambda *a: ready.append(1)
            until(s.is_connected)
            s.subscribe(topic, qos)
            until(lambda: ready)
            p = client('p' + topic, version, ws)
            until(p.is_connected)
            want = [b'%d ' % i + b'z' * (i * 20) for i in range(200)]
            for w in want:
                p.publish(topic, w, qos)
            until(lambda: len(got) >= len(want))
            print('%s %s' % (topic, 'ok' if got == want else len(got)))
            for c in (s, p):
                c.loop_stop()
                c.disconnect()
END

($code, $out) = run_program(['/usr/bin/python3', '-c', $script, $port,
    $t->port('http')]);

for my $version (3, 4, 5) {
    for my $ws (0, 1) {
        like($out, qr/^p\/$version\/$ws\/$_ ok$/m, 'paho, level ' . $version
            . ($ws ? ' over WebSocket' : '') . ", QoS $_") for 0 .. 2;
    }
}

# a WebSocket without the subprotocol
my $answer = $t->http('GET', '/anonymous', headers => {
    'Upgrade' => 'websocket', 'Connection' => 'Upgrade',
    'Sec-WebSocket-Version' => 13,
    'Sec-WebSocket-Key' => 'dGhlIHNhbXBsZSBub25jZQ==' });
is($answer->status, 400, 'a WebSocket without its subprotocol is refused');

$t->finish;
done_testing();
