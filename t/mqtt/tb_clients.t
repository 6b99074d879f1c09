#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# What the clients that people use do with the topics of devices and gateways:
# paho in 3.1.1 and 5.0 as device SDKs use it, and mosquitto's programs.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use IPC::Open2 ();
use JSON::XS ();
use Test::More;
use IotTest::Gateway;
use IotCtl::Run qw(run_program);

my $t = IotTest::Gateway->new(workers => 2, device_sessions => 1);
my $id = $t->device_id;
my $token = $t->device_token;
my $tenant = $t->tenant;

my $script = <<'END';
import json, sys, time
import paho.mqtt.client as mqtt

port, token, level = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
version = mqtt.MQTTv5 if level == 5 else mqtt.MQTTv311
more = {} if level == 5 else {'clean_session': True}
got, granted = [], []

def say(text):
    print(text, flush=True)

def until(f):
    end = time.time() + 20
    while not f() and time.time() < end:
        time.sleep(0.01)
    return f()

def message(prefix):
    until(lambda: [m for m in got if m[0].startswith(prefix)])
    for m in got:
        if m[0].startswith(prefix):
            got.remove(m)
            return m
    return ('nothing on ' + prefix, 'null')

def answer(c, u, m):
    text = m.payload.decode()
    topic = m.topic
    if topic.startswith('v1/devices/me/rpc/request/'):
        c.publish(topic.replace('request', 'response'),
                  json.dumps({'echo': json.loads(text)['params']}), 1)
    elif topic == 'v1/gateway/rpc':
        r = json.loads(text)
        c.publish(topic, json.dumps({'device': r['device'],
                  'id': r['data']['id'],
                  'data': {'echo': r['data']['params']}}), 1)
    got.append((topic, text))

c = mqtt.Client(client_id='sdk%d' % level, protocol=version, **more)
c.username_pw_set(token)
c.on_message = answer
c.on_subscribe = lambda c, u, mid, codes, *a: granted.extend(codes)
c.connect('127.0.0.1', port, 30)
c.loop_start()
until(c.is_connected)

def publish(topic, data, qos=1):
    info = c.publish(topic, json.dumps(data), qos)
    info.wait_for_publish(20)
    return info.is_published()

for filter in ('v1/devices/me/attributes',
               'v1/devices/me/attributes/response/+',
               'v1/devices/me/rpc/request/+',
               'v1/gateway/attributes', 'v1/gateway/attributes/response',
               'v1/gateway/rpc'):
    c.subscribe(filter, 1)
until(lambda: len(granted) == 6)
say('granted %s' % ' '.join(str(int(getattr(g, 'value', g)))
                            for g in granted))

for qos in (0, 1, 2):
    say('telemetry %d %s' % (qos, publish('v1/devices/me/telemetry',
        {'t%d_%d' % (level, qos): qos}, qos)))

infos = [c.publish('v1/devices/me/telemetry',
         json.dumps({'ts': 1000 + i, 'values': {'many%d' % level: i}}), 1)
         for i in range(300)]
for info in infos:
    info.wait_for_publish(20)
say('many %s' % all(i.is_published() for i in infos))

say('attributes %s' % publish('v1/devices/me/attributes',
    {'fw%d' % level: 'x'}))
publish('v1/devices/me/attributes/request/7',
        {'clientKeys': 'fw%d' % level, 'sharedKeys': 'goal'})
say('response %s %s' % message('v1/devices/me/attributes/response/7'))

name = 'Paho %d' % level
say('connect %s' % publish('v1/gateway/connect', {'device': name}))
say('behind %s' % publish('v1/gateway/telemetry',
    {name: [{'ts': 5000, 'values': {'b': level}}]}))
say('behind attributes %s' % publish('v1/gateway/attributes',
    {name: {'serial': level}}))
publish('v1/gateway/attributes/request',
        {'id': 3, 'device': name, 'client': True, 'key': 'serial'})
say('gateway %s %s' % message('v1/gateway/attributes/response'))

say('ready')
for line in sys.stdin:
    what = line.strip()
    if what == 'end':
        break
    say('heard %s %s' % message(what))

say('disconnect %s' % publish('v1/gateway/disconnect', {'device': name}))
c.disconnect()
c.loop_stop()
say('bye')
END

my $json = JSON::XS->new->canonical;
my $path = $t->dir . '/sdk.py';

open(my $file, '>', $path) or die "$path: $!";
print $file $script;
close($file);


sub shared {
    my ($device, $value) = @_;

    return $t->post("/api/plugins/telemetry/DEVICE/$device/SHARED_SCOPE",
        token => $tenant, json => $value)->status;
}


sub rpc {
    my ($device, $params) = @_;

    return $t->post("/api/rpc/twoway/$device", token => $tenant,
        json => { method => 'set', params => $params, timeout => 10000 })
        ->json;
}


# without blanks, in the order of the names
sub plain {
    return $json->encode(JSON::XS::decode_json($_[0]));
}


is(shared($id, { goal => 20 }), 200, 'a shared attribute');

for my $level (4, 5) {
    my $pid = IPC::Open2::open2(my $out, my $in, 'timeout', 60,
        '/usr/bin/python3', $path, $t->port('mqtt'), $token, $level);
    my $next = sub {
        my $line = <$out>;

        return 'the end' if !defined $line;
        chomp($line);
        return $line =~ s/(\{.*)/plain($1)/er;
    };

    is($next->(), 'granted 1 1 1 1 1 1', "paho, level $level: subscribed");
    is($next->(), "telemetry $_ True", "telemetry, QoS $_") for 0 .. 2;
    is($next->(), 'many True', '300 publishes at once');
    is(scalar(@{$t->points->{"many$level"} || []}), 300, 'all stored');
    ok($t->typed->{"t${level}_$_"}, "and that of QoS $_") for 0 .. 2;
    is($next->(), 'attributes True', 'attributes');
    like($next->(), qr{^response v1/devices/me/attributes/response/7 },
        'are asked for');
    is($next->(), "$_ True", $_)
        for 'connect', 'behind', 'behind attributes';
    is($next->(), 'gateway v1/gateway/attributes/response '
        . "{\"device\":\"Paho $level\",\"id\":3,\"value\":$level}",
        'attributes of a device behind');
    is($next->(), 'ready', 'it waits');

    my $behind = $t->row("Paho $level")->{id};

    is_deeply($t->behind("Paho $level"), { b => ['LONG', $level] },
        'what the gateway said');
    is_deeply(rpc($id, { pin => $level }), { echo => { pin => $level } },
        'it answers a request');
    is_deeply(rpc($behind, [$level]), { echo => [$level] },
        'and one for the device behind it');
    is(shared($id, { goal => 0 + $level }), 200, 'a shared attribute changes');
    print $in "v1/devices/me/attributes\n";
    $in->flush;
    is($next->(), "heard v1/devices/me/attributes {\"goal\":$level}",
        'it hears of it');
    is(shared($behind, { mode => 'x' }), 200, 'and one behind it');
    print $in "v1/gateway/attributes\n";
    $in->flush;
    is($next->(), 'heard v1/gateway/attributes '
        . "{\"data\":{\"mode\":\"x\"},\"device\":\"Paho $level\"}",
        'and of that');
    print $in "end\n";
    close($in);
    is($next->(), 'disconnect True', 'the device behind goes');
    is($next->(), 'bye', 'and it');
    waitpid($pid, 0);
    is($?, 0, 'without a fault');
}


# --- mosquitto's programs

for my $version (qw(mqttv311 mqttv5)) {
    my @common = ('-p', $t->port('mqtt'), '-V', $version, '-u', $token);

    $t->wipe;

    my ($code) = run_program(['mosquitto_pub', @common, '-q', 1, '-t',
        'v1/devices/me/telemetry', '-m', '{"mosquitto":1}']);

    is($code, 0, "mosquitto_pub -V $version");
    is_deeply($t->typed, { mosquitto => ['LONG', 1] }, 'is stored');

    open(my $sub, '-|', 'timeout', 20, 'mosquitto_sub', @common, '-q', 1,
        '-t', 'v1/devices/me/rpc/request/+', '-C', 1)
        or die "mosquitto_sub: $!";
    is($t->post("/api/rpc/oneway/$id", token => $tenant, json => {
        method => 'hello', params => {}, timeout => 15000 })->status, 200,
        'a request');
    is($json->encode(JSON::XS::decode_json(join('', <$sub>))),
        '{"method":"hello","params":{}}', 'comes to mosquitto_sub');
    close($sub);
}

$t->finish;
done_testing();
