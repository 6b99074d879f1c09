#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# How many sessions a device has at once: one, or as many as the directive
# says; on all workers and listeners.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Test::More;
use IotTest::Device;
use IotTest::Mqtt;

my $t = IotTest::Device->new(workers => 2, device_sessions => 1);
my $user = $t->device_token;


sub client {
    my ($version, $id, %o) = @_;
    my $c = IotTest::Mqtt::Client->new($t->{port}{MQTT});

    $c->{version} = $version;
    $c->connect($id, user => $user, %o);
    $c->{connack} = $c->packet;

    return $c;
}


sub pings {
    my ($c) = @_;

    $c->send(12, 0, '');
    return $c->packet eq 'd0 00';
}


# the workers take turns by chance: both cases come
for my $i (1 .. 8) {
    my $old = client(5, "old$i");
    my $new = client(5, "new$i");

    is($old->packet, 'e0 01 8e', "$i: the older one is told");
    is($old->packet, 'closed', 'and closed');
    ok(pings($new), 'the younger one goes on');
}

my $old = client(4, 'old', will => { topic => 'v2/t',
    payload => '{"away":1}' });
my $new = client(4, 'new');
is($old->packet, 'closed', 'in 3.1.1 the end is all there is');
ok(pings($new), 'the other goes on');
ok($t->wait_for(10, sub { $t->typed->{away} }), 'the will is published');

# the same client id
$old = client(5, 'same');
is($new->packet, 'closed', 'the last one goes');
$new = client(5, 'same');
is($old->packet, 'e0 01 8e', 'a client id that is taken over');
ok(pings($new), 'is one session');

# what is stored stays
my $topic = 'devices/' . $t->device_id . '/x';
my $c = client(5, 'durable', clean => 0, expiry => 100);
$c->subscribe($topic, 1);
$new = client(5, 'other');
is($c->packet, 'e0 01 8e', 'a stored session loses its connection');
$new->publish($topic, 'kept', qos => 1);
like($new->packet, qr/^40 /, 'a message for it is taken');
$c = client(5, 'durable', clean => 0, expiry => 100);
like($c->{connack}, qr/^20 \S+ 01 00/, 'it is still there');
is($c->message, "$topic kept", '... with the message');
is($new->packet, 'e0 01 8e', 'the other has gone');

# another device has seats of its own
my $second = 'tokenofanotherdevice';
is($t->post("/api/device?accessToken=$second", token => $t->tenant,
    json => { name => 'second', type => 'default' })->status, 200,
    'another device');
my $d = IotTest::Mqtt::Client->new($t->{port}{MQTT});
$d->{version} = 5;
$d->connect('second', user => $second);
like($d->packet, qr/^20 \S+ 00 00/, 'and its session');
ok(pings($c) && pings($d), 'takes nothing away');

# over and over
my @all = map { client(5, "many$_") } 1 .. 20;
my $left = pop @all;
is(scalar(grep { $_->packet eq 'e0 01 8e' } @all), 19, 'of 20 all but one go');
ok(pings($left), 'the last is left');
$left->send(14, 0, '');

$t->finish;

# --- more than one

$t = IotTest::Device->new(workers => 2, device_sessions => 2);
$user = $t->device_token;

my @c = map { client(5, "c$_") } 1 .. 3;
is($c[0]->packet, 'e0 01 8e', 'the third pushes out the first');
ok(pings($c[1]) && pings($c[2]), 'two stay');
$c[1]->send(14, 0, '');
is($c[1]->packet, 'closed', 'one leaves');
push @c, client(5, 'c4');
ok(pings($c[2]) && pings($c[3]), 'its seat is taken');
push @c, client(5, 'c5');
is($c[2]->packet, 'e0 01 8e', 'then again the oldest goes');
ok(pings($c[3]) && pings($c[4]), 'two stay');

$t->finish;
done_testing();
