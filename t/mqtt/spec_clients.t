#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# What paho and mosquitto see of MQTT 5.0, over TLS with a name and a password.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Test::More;
use IotTest::Mqtt;
use IotCtl::Run qw(run_program);

my $t = IotTest::Mqtt->start(workers => 2);
my $ca = $t->dir . '/tls/server.crt';
my $own = 'devices/' . $t->device_id;
my ($code, $out, $err);

# mosquitto over TLS, as a device
for my $version (qw(mqttv311 mqttv5)) {
    my @common = ('-p', $t->port('mqtts'), '--cafile', $ca, '--insecure',
        '-V', $version, '-u', $t->device_token, '-q', 1);
    my $pid = open(my $sub, '-|', 'timeout', 20, 'mosquitto_sub', @common,
        '-i', "sub-$version", '-t', "$own/$version", '-C', 1, '-v')
        or die "mosquitto_sub: $!";

    # retained: whichever comes first
    ($code) = run_program(['mosquitto_pub', @common, '-i', "pub-$version",
        '-t', "$own/$version", '-m', "of $version", '-r']);
    is($code, 0, "mosquitto_pub over TLS, $version");
    is(join('', <$sub>), "$own/$version of $version\n",
        'mosquitto_sub has it');
    close($sub);
}

my $script = <<'END_OF_SCRIPT';
import ssl, sys, time
import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

tcp, tls, ca, token, own = sys.argv[1:6]

def until(f):
    end = time.time() + 20
    while not f() and time.time() < end:
        time.sleep(0.02)
    return f()

def say(what, ok):
    print('%s %s' % (what, 'ok' if ok else 'no'), flush=True)

def client(name, version=mqtt.MQTTv5, **more):
    c = mqtt.Client(client_id=name, protocol=version)
    c.got, c.acks, c.flags, c.gone = [], [], None, []
    def on_connect(c, u, flags, rc, props=None):
        c.flags, c.rc, c.props = flags, rc, props
    c.on_connect = on_connect
    c.on_message = lambda c, u, m: c.got.append(m)
    c.on_subscribe = lambda c, u, mid, rc, *a: c.acks.append(rc)
    c.on_disconnect = lambda c, u, rc, *a: c.gone.append(rc)
    return c

def start(c, port, **more):
    c.connect('127.0.0.1', int(port), 30, **more)
    c.loop_start()
    until(lambda: c.flags is not None)
    return c

def connect_props(**kw):
    p = Properties(PacketTypes.CONNECT)
    for k, v in kw.items():
        setattr(p, k, v)
    return p

# over TLS, with a name and a password
for version in (mqtt.MQTTv311, mqtt.MQTTv5):
    c = client('tls%d' % version, version)
    c.username_pw_set(token)
    c.tls_set(ca, cert_reqs=ssl.CERT_NONE)
    c.tls_insecure_set(True)
    start(c, tls)
    c.subscribe(own + '/p', 1)
    until(lambda: c.acks)
    c.publish(own + '/p', b'tls', 1)
    say('tls %d' % version, until(lambda: c.got)
        and c.got[-1].payload == b'tls')
    c.disconnect()
    c.loop_stop()

# a session that waits
c = start(client('stays'), tcp, clean_start=False,
          properties=connect_props(SessionExpiryInterval=60))
say('no session yet', c.flags['session present'] == 0)
c.subscribe('stay/#', options=SubscribeOptions(qos=2))
until(lambda: c.acks)
c.disconnect()
until(lambda: c.gone)
c.loop_stop()
p = start(client('sends'), tcp)
info = p.publish('stay/x', b'kept', 2)
info.wait_for_publish(20)
c = client('stays')
start(c, tcp, clean_start=False,
      properties=connect_props(SessionExpiryInterval=0))
say('session present', c.flags['session present'] == 1)
say('what waited', until(lambda: c.got) and c.got[0].payload == b'kept')

# a request and its answer
def answer(c, u, m):
    q = Properties(PacketTypes.PUBLISH)
    q.CorrelationData = m.properties.CorrelationData
    c.publish(m.properties.ResponseTopic, m.payload.upper(), 1, properties=q)

s = client('serves')
s.on_message = answer
start(s, tcp)
s.subscribe('ask/+', 1)
until(lambda: s.acks)
p.subscribe('told/me', 1)
until(lambda: p.acks)
q = Properties(PacketTypes.PUBLISH)
q.ResponseTopic, q.CorrelationData = 'told/me', b'\x00\x07'
q.UserProperty = [('a', '1'), ('a', '2')]
q.ContentType, q.MessageExpiryInterval = 'text/plain', 60
p.publish('ask/x', b'hello', 1, properties=q)
say('an answer', until(lambda: p.got) and p.got[0].payload == b'HELLO'
    and p.got[0].properties.CorrelationData == b'\x00\x07')

# identifiers, no local and reason codes
o = Properties(PacketTypes.SUBSCRIBE)
o.SubscriptionIdentifier = 268435455
n = start(client('numbered'), tcp)
n.subscribe([('id/#', SubscribeOptions(qos=1, noLocal=True))], properties=o)
until(lambda: n.acks)
n.publish('id/own', b'own', 1).wait_for_publish(20)
p.publish('id/x', b'other', 1, properties=q)
say('an identifier', until(lambda: n.got)
    and n.got[0].properties.SubscriptionIdentifier == [268435455])
say('no local', [m.payload for m in n.got] == [b'other'])
say('properties', n.got[0].properties.UserProperty == [('a', '1'), ('a', '2')]
    and n.got[0].properties.ContentType == 'text/plain'
    and n.got[0].properties.MessageExpiryInterval in (59, 60))

# assigned, taken over, refused
a = start(client(''), tcp)
say('assigned', a.props.AssignedClientIdentifier.startswith('auto-'))
b = client('sends')
b.reconnect_delay_set(30, 30)
p.reconnect_delay_set(30, 30)
start(b, tcp)
until(lambda: p.gone)
say('taken over', len(p.gone) > 0 and b.rc == 0)
x = client('method')
start(x, tcp, properties=connect_props(AuthenticationMethod='none'))
say('no such method', x.rc.value == 0x8c)
x.loop_stop()
END_OF_SCRIPT

($code, $out, $err) = run_program(['/usr/bin/python3', '-c', $script,
    $t->anonymous, $t->port('mqtts'), $ca, $t->device_token, $own]);

for my $what ('tls 4', 'tls 5', 'no session yet', 'session present',
    'what waited', 'an answer', 'an identifier', 'no local', 'properties',
    'assigned', 'taken over', 'no such method')
{
    like($out, qr/^\Q$what\E ok$/m, "paho: $what") or diag($out, $err);
}

$t->finish;
done_testing();
