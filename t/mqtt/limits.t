#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# The limits of a listener: what nginx says of wrong ones, what clients are
# told, and what happens to who goes beyond.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Test::More;
use IotTest::Mqtt;

my $t = IotTest::Mqtt->start(workers => 2, directives => <<'END');
    iot_mqtt_max_packet_size 2k;
    iot_mqtt_max_client_id_size 20;
    iot_mqtt_max_topic_size 40;
    iot_mqtt_max_topic_levels 5;
    iot_mqtt_max_qos 1;
    iot_mqtt_max_topic_alias 3;
    iot_mqtt_max_topic_alias_broker 1;
    iot_mqtt_receive_maximum 5;
    iot_mqtt_max_inflight_messages 2;
    iot_mqtt_max_queued_messages 3;
    iot_mqtt_max_queued_bytes 1k;
    iot_mqtt_max_stored_messages 4;
    iot_mqtt_max_stored_bytes 1k;
    iot_mqtt_max_subscriptions 3;
    iot_mqtt_write_buffer 64k;
    iot_mqtt_max_keepalive 30;
    iot_mqtt_persistent_client_expiration 100s;
    iot_mqtt_connect_timeout 1s;
    iot_mqtt_retain_available off;
    iot_mqtt_wildcard_available off;
    iot_mqtt_shared_available off;
    iot_mqtt_subscription_id_available off;
END

my ($c, $s, $text);


# what "nginx -t" says of a directive
sub check {
    my ($line) = @_;
    my $dir = $t->dir;
    my $config = "$dir/conf/check.conf";
    my $module = $t->{t}{instance}->module;

    IotCtl::Run::write_file($config,
        'load_module "' . IotCtl::Nginx::stream_module() . "\";\n"
        . "load_module \"$module\";\n"
        . "pid \"$dir/run/check.pid\";\nevents { }\n"
        . "thread_pool iot threads=1;\n"
        . 'iot { database "host=/nowhere dbname=iot"; zone iot 1m;'
        . " secret_key_file \"$dir/secret.key\"; }\n"
        . "stream { server { listen 127.0.0.1:1; iot_mqtt; $line } }\n",
        0600);

    my ($code, $out, $err) = IotCtl::Run::run_program(
        [IotCtl::Nginx::program(), '-p', "$dir/", '-c', $config,
            '-e', "$dir/log/check.log", '-t', '-q'],
        env => IotTest::sanitizer_env("$dir/san"));

    return "$code $out$err";
}


# messages that were dropped, of all workers
sub dropped {
    return $t->get('/metrics')->body
        =~ /^iot_mqtt_publish_dropped_total(?:\{\})? (\d+)$/m ? $1 : -1;
}


# what is wrong
for (['iot_mqtt_max_qos 3;', 'must be between 0 and 2'],
     ['iot_mqtt_max_qos two;', 'invalid number'],
     ['iot_mqtt_max_qos 1; iot_mqtt_max_qos 1;', 'is duplicate'],
     ['iot_mqtt_max_packet_size 100;', 'must be at least 128'],
     ['iot_mqtt_max_packet_size x;', 'invalid value'],
     ['iot_mqtt_max_client_id_size x;', 'invalid value'],
     ['iot_mqtt_max_topic_size x;', 'invalid value'],
     ['iot_mqtt_max_topic_levels 0;', 'value must be between'],
     ['iot_mqtt_max_topic_alias 65536;', 'value must be between'],
     ['iot_mqtt_max_topic_alias_broker x;', 'invalid number'],
     ['iot_mqtt_receive_maximum 0;', 'value must be between'],
     ['iot_mqtt_max_inflight_messages 0;', 'value must be between'],
     ['iot_mqtt_max_queued_messages x;', 'invalid number'],
     ['iot_mqtt_max_queued_bytes x;', 'invalid value'],
     ['iot_mqtt_max_stored_messages 2147483648;', 'value must be between'],
     ['iot_mqtt_max_stored_bytes x;', 'invalid value'],
     ['iot_mqtt_max_subscriptions x;', 'invalid number'],
     ['iot_mqtt_write_buffer x;', 'invalid value'],
     ['iot_mqtt_max_keepalive 65536;', 'value must be between'],
     ['iot_mqtt_persistent_client_expiration x;', 'invalid value'],
     ['iot_mqtt_connect_timeout x;', 'invalid value'],
     ['iot_mqtt_retain_available 1;', 'invalid value'],
     ['iot_mqtt_wildcard_available 1;', 'invalid value'],
     ['iot_mqtt_shared_available 1;', 'invalid value'],
     ['iot_mqtt_subscription_id_available 1;', 'invalid value'],
     ['iot_mqtt_anonymous me;', 'is not the UUID of a tenant'])
{
    my ($line, $like) = @$_;

    like(check($line), qr/^1 .*\Q$like\E/s, $line);
}

# what clients are told
$c = $t->mqtt(5, '', clean => 0, expiry => 1000, keep => 100);
like($c->{connack}, qr/^20 [0-9a-f]+ 00 00/, 'accepted');

for ('11 00 00 00 64', '21 00 05', '24 01', '25 00', '27 00 00 08 00',
    '22 00 03', '28 00', '29 00', '2a 00', '13 00 1e')
{
    like($c->{connack}, qr/ $_/, "told $_");
}

# who goes beyond
sub answer {
    my ($first, $body, $name, $like) = @_;
    my $d = $t->mqtt(5, 'beyond');

    $d->send($first >> 4, $first & 15, $body);
    like($d->packet, qr/^$like/, $name);
}

answer(0x34, str('a') . "\0\1\0x", 'QoS 2', 'e0 0[12] 9b');
answer(0x31, str('a') . "\0x", 'retain', 'e0 0[12] 9a');
answer(0x30, str('a') . "\0" . 'x' x 2048, 'a large packet', 'e0 0[12] 95');
answer(0x30, str('a') . "\3\x23\0\4x", 'an alias', 'e0 0[12] 94');
answer(0x30, str('x' x 41) . "\0x", 'a long topic', 'e0 0[12] (?:81|90)');
answer(0x30, str('/' x 6) . "\0x", 'a deep topic', 'e0 0[12] (?:81|90)');
answer(0x82, "\0\1\2\x0b\1" . str('a') . "\0", 'an identifier',
    'e0 0[12] a1');
answer(0x82, "\0\1\0" . str('a/+') . "\0", 'a wildcard', '90 04 00 01 00 a2');
answer(0x82, "\0\1\0" . str('$share/g/a') . "\0", 'a share',
    '90 04 00 01 00 9e');
answer(0x82, "\0\1\0" . join('', map { str($_) . "\2" } 'a' .. 'd'),
    'subscriptions, and their QoS', '90 07 00 01 00 01 01 01 97');

$c = $t->mqtt(5, 'x' x 21);
like($c->{connack}, qr/^20 [0-9a-f]+ 00 85/, 'a long client id');
$c = $t->raw;
is($c->packet(5), 'closed', 'no CONNECT in time');

# the window of a client, what waits, and what does not
my $p = $t->mqtt(4, 'p');
$s = $t->mqtt(4, 'slow');
$s->{mute} = 1;
$s->subscribe('w', 1);

for my $i (1 .. 7) {
    $p->publish('w', "w$i", qos => 1, id => $i);
    is($p->packet, '40 02 ' . hex_of(u16($i)), "acknowledged $i");
}

is($s->message, 'w w1', 'one');
is($s->message, 'w w2', 'two in flight');
is($s->packet(0.2), '', 'and no more');
$s->send(4, 0, u16(1));
$s->send(4, 0, u16(2));
is($s->message, "w w$_", "w$_ had waited") for 3, 4;
$s->send(4, 0, u16($_)) for 3, 4;
is($s->message, 'w w5', 'w5 too');
is($s->packet(0.2), '', 'the newest were dropped');
$s->send(14, 0, '');

# in the store
$s = $t->mqtt(4, 'away', clean => 0);
$s->subscribe('st', 1);
$s->send(14, 0, '');
is($s->packet, 'closed', 'leaves');

my $dropped = dropped();


for my $i (1 .. 6) {
    $p->publish('st', "s$i", qos => 1, id => $i);
    is($p->packet, '40 02 ' . hex_of(u16($i)), "acknowledged $i");
}

$s = $t->mqtt(4, 'away', clean => 0);
is($s->message, "st s$_", "s$_ was kept") for 1 .. 4;
is($s->packet(0.3), '', 'the newest were not');
is(dropped() - $dropped, 2, '... and are counted');
$s->send(14, 0, '');
is($s->packet, 'closed', 'leaves');
$p->publish('st', 'y' x 600, qos => 1, id => $_) for 1, 2;
is($p->packet, '40 02 ' . hex_of(u16($_)), "acknowledged $_") for 1, 2;
$s = $t->mqtt(4, 'away', clean => 0);
is($s->message, 'st ' . 'y' x 600, 'so many bytes');
is($s->packet(0.3), '', '... and no more');

# before 5.0 nobody knows the receive maximum: it is slowed down
my $n = 300;

for my $version (3, 4) {
    my $fast = $t->mqtt($version, "fast$version");

    $fast->bytes(join('', map {
        packet(3, 2, str('st') . u16($_) . "f$_")
    } 1 .. $n));

    my $right = grep {
        $fast->packet(20) eq '40 02 ' . hex_of(u16($_))
    } 1 .. $n;

    is($right, $n, "$version: all acknowledged, in order");
    $fast->send(12, 0, '');
    is($fast->packet, 'd0 00', '... and still connected');
}

# a client of 5.0 has been told
$c = $t->mqtt(5, 'told');
$c->bytes(join('', map { packet(3, 2, str('st') . u16($_) . "\0x") } 1 .. 50));

my @got = map { $c->packet(5) } 1 .. 51;

ok((grep { /^e0 0[12] 93/ } @got) == 1, 'reason 0x93 for a client of 5.0');

$t->finish;
done_testing();
