#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# Who may enter as a user, and the rules of a tenant about its topics: they
# are settings, in force in all workers at once.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Test::More;
use Time::HiRes qw(time);
use IotTest::Mqtt;

my $t = IotTest::Mqtt->start(workers => 2);
my $port = $t->port('mqtt');
my $id = $t->device_id;
my %admin = (user => $t->account('TENANT_EMAIL'),
    password => $t->account('TENANT_PASSWORD'));
my %people = (user => $t->account('CUSTOMER_EMAIL'),
    password => $t->account('CUSTOMER_PASSWORD'));
my %device = (user => $t->device_token);
my $names = 0;


sub enter {
    my ($version, %o) = @_;

    return $t->mqtt($version, 'c' . ++$names, port => $port, %o);
}


sub rules {
    my (@lines) = @_;
    my $answer = $t->put('/api/settings/mqtt.topic_rules',
        token => $t->tenant, json => { value => \@lines });

    is($answer->status, 200, scalar(@lines) . ' rules')
        or diag($answer->body);
}


# the code of a SUBACK of 3.1.1
sub granted {
    my ($c, $filter, $qos) = @_;

    return substr($c->subscribe($filter, $qos || 0), -2);
}


# the reason of a PUBACK of 5.0; plain ones have none
sub published {
    my ($c, $topic) = @_;
    my $got;

    $c->publish($topic, 'x', qos => 1, id => 9);
    $got = $c->packet;

    return $got =~ /^40 02 / ? '00' : $got =~ /^40 .. 00 09 (..)/ ? $1 : $got;
}


# asks until the answer is that one: what was announced is there in a moment
sub becomes {
    my ($code, $want, $name) = @_;
    my $start = time();
    my $got;

    $t->wait_for(5, sub { ($got = $code->()) eq $want });
    is($got, $want, $name);
    cmp_ok(time() - $start, '<', 1, '... within a second');
}


# --- users by their passwords

is(enter(4, %admin)->{connack}, '20 02 00 00', 'an administrator');
is(enter(4, %admin)->{connack}, '20 02 00 00', 'once more, from the cache');
is(enter(3, %people)->{connack}, '20 02 00 00', 'a user of a customer in 3.1');
is(enter(4, %admin, password => 'wrong')->{connack}, '20 02 00 05',
    'a wrong password');
like(enter(5, %admin, password => 'wrong')->{connack}, qr/^20 \w+ 00 86/,
    '... in 5.0');
like(enter(5, user => 'nobody@example.com', password => 'x')->{connack},
    qr/^20 \w+ 00 86/, 'nobody');
like(enter(5, user => $admin{user})->{connack}, qr/^20 \w+ 00 86/,
    'no password');

my $boss = enter(4, %admin);
is(granted($boss, '#'), '00', 'the administrator has the whole tree');

my $user = enter(4, %people);
is(granted($user, '#'), '80', 'the user has not');
is(granted($user, 'plant/a'), '80', 'nor a part of it');

# a key of the REST API in place of the password
my $me = $t->get('/api/auth/user', token => $t->tenant)->json;
my $key = $t->post('/api/apiKey', token => $t->tenant, json => {
    userId => $me->{id}, description => 'mqtt', enabled => JSON::XS::true(),
    expirationTime => 0 })->json;

is(enter(4, user => 'any', password => $key->{value})->{connack},
    '20 02 00 00', 'an API key');
$t->del("/api/apiKey/$key->{id}{id}", token => $t->tenant);
becomes(sub { enter(4, user => 'any', password => $key->{value})->{connack} },
    '20 02 00 05', 'not when it is gone');

# --- rules that are none

for my $bad ('allow', 'allow all any', 'allow all any a#', 'may all any #',
    'allow all any #/b', 'allow all any a/+b', "allow all any a\0b", '')
{
    is($t->put('/api/settings/mqtt.topic_rules', token => $t->tenant,
        json => { value => [$bad] })->status, 400, "no rule: \"$bad\"");
}

is($t->put('/api/settings/mqtt.topic_rules', token => $t->customer,
    json => { value => [] })->status, 403, 'customers do not make rules');

# --- more than without rules

my $watch = enter(5, %admin);
$watch->subscribe('plant/#');

my $dev = enter(5, %device);
is(published($dev, 'plant/x'), '90', 'a device has its own corner only');

rules('allow publish device plant/%u/#', 'allow subscribe customer plant/+/t',
    'deny all any plant/secret/#');

becomes(sub { published($dev, "plant/$id/t") }, '00', 'now more is allowed');
is($watch->message, "plant/$id/t x", 'and arrives');
is(published($dev, 'plant/other/t'), '90', 'of other devices it is not');
is(published($dev, 'plant/secret/x'), '87', 'what a rule forbids is told so');
is(published($dev, "devices/$id/t"), '00', 'its own corner is as before');
is(granted($user, 'plant/+/t'), '00', 'the user reads what it may');
is(granted($user, 'plant/+/u'), '80', 'and nothing else');
$user->publish('plant/1/t', 'x', qos => 1);
is($user->packet, '40 02 00 01', '3.1.1 has no word for a refusal');

# the other worker too: connections go to either
for my $i (1 .. 6) {
    is(published(enter(5, %device), "plant/$id/t"), '00', "connection $i");
    is($watch->message, "plant/$id/t x", '... and arrives');
}

# --- less, for those who had it: what is wider than allowed is thinned out

is(published(enter(5, %admin), 'plant/secret/1'), '87', 'but 5.0 does');
is(granted(enter(4, %admin), 'plant/secret/1'), '80', 'nobody subscribes');
is(granted(enter(4, %admin), 'plant/secret/#'), '80', '... to the part');

rules();

my $all = enter(5, %admin);
my $source = $t->mqtt(5, 'source', port => $port, %admin);

becomes(sub { published($source, 'plant/secret/2') }, '00', 'no rules again');
$all->subscribe('#', 1);
$all->message while $all->packet(0.05);
is(published($source, 'plant/secret/3'), '00', 'it is published');
is($all->message, 'plant/secret/3 x', 'and received');

rules('deny subscribe any plant/secret/#');
becomes(sub {
    published($source, 'plant/secret/4');
    published($source, 'plant/open');
    return $all->message;
}, 'plant/open x', 'not any more, by the same subscription');

# retained and stored messages likewise
$source->publish('plant/secret/r', 'r', retain => 1, qos => 1);
$source->packet;
my $late = enter(5, %admin);
$late->subscribe('plant/#');
published($source, 'plant/after');
is($late->message, 'plant/after x', 'a retained message is kept back');

my $store = $t->mqtt(5, 'store', port => $port, %admin, clean => 0,
    expiry => 1000);
$store->subscribe('plant/#', 1);
$store->send(14, 0, '');
$store->packet;
is(published($source, 'plant/secret/5'), '00', 'one for who is away');
is(published($source, 'plant/kept'), '00', 'and another');
$store = $t->mqtt(5, 'store', port => $port, %admin, clean => 0,
    expiry => 1000);
is($store->message, 'plant/kept x', 'it gets what it may have');
ok($t->wait_for(5, sub {
    !$t->value('SELECT count(*) FROM iot.mqtt_queue')
}), 'and nothing stays behind');

# --- wills are publishes

$source = $t->mqtt(5, 'source', port => $port, %admin);
rules('deny publish any plant/will/#');
becomes(sub { published($source, 'plant/will/x') }, '87', 'a rule');
like($t->mqtt(5, 'willing', port => $port, %admin, will => {
    topic => 'plant/will/x', payload => 'x' })->{connack},
    qr/^20 \w+ 00 87/, 'holds for wills');
is($t->mqtt(4, 'willing', port => $port, %admin, will => {
    topic => 'plant/other', payload => 'x' })->{connack},
    '20 02 00 00', 'not for others');

# --- the rules of the server are those of tenants that have none

rules();
is($t->del('/api/settings/mqtt.topic_rules', token => $t->tenant)->status,
    200, 'the tenant has none of its own');
is($t->put('/api/settings/mqtt.topic_rules', token => $t->sysadmin,
    json => { value => ['deny publish device #'] })->status, 200,
    'the server has one');
becomes(sub { published($dev, "devices/$id/t") }, '87', 'it holds');

# the topics of the platform are no part of the tree
my $lines = $t->mqtt(4, 'lines', port => $port, %device);
$lines->publish('v1/devices/me/telemetry', '{"a":1}', qos => 1);
is($lines->packet, '40 02 00 01', 'a device may always report');

$t->finish;
done_testing();
