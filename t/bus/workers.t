#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# Messages between clients of different workers.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Test::More;
use IotTest::Bus;

use constant { WORKERS => 4, SUBSCRIBERS => 24, PUBLISHERS => 8,
    MESSAGES => 100 };

my $t = IotTest::Bus->new(workers => WORKERS);

# the broker has its own, the same in each worker
$t->wait_for(10, sub {
    $t->metric('iot_workers') == WORKERS
        && $t->metric('iot_bus_subscriptions') % WORKERS == 0
});

my $subscriptions = $t->metric('iot_bus_subscriptions');
my $interests = $t->metric('iot_bus_interests');

# --- everybody gets everything, in the order of each publisher

my @subs = map { $t->bus_client(subscribe => ['fan/+']) } 1 .. SUBSCRIBERS;
my @pubs = map { $t->bus_client } 1 .. PUBLISHERS;

for my $n (1 .. MESSAGES) {
    $pubs[$_]->publish("fan/$_", $n, 1) for 0 .. $#pubs;
}

is(scalar(grep { !$_->acknowledged } @pubs), 0, 'all was acknowledged');
is_deeply([IotTest::Bus::all_until(
    sub { @{$_[0]{got}} >= PUBLISHERS * MESSAGES }, @subs)], [],
    'all subscribers have all messages');

my $wrong = 0;

for my $sub (@subs) {
    my %last;

    for my $message (@{$sub->{got}}) {
        $wrong++ if $message->[1] != ($last{$message->[0]} || 0) + 1;
        $last{$message->[0]} = $message->[1];
    }
}

is($wrong, 0, 'once and in order');
cmp_ok($t->metric('iot_bus_passed_total'), '>', 0, 'workers passed them on');
is($t->metric('iot_bus_dropped_total'), 0, 'none was dropped');
is($t->metric('iot_bus_queue_bytes'), 0, 'none is waiting');

# --- what is published after the SUBACK arrives, whichever worker takes it

my ($lost, $first) = (0, $pubs[0]);

for my $n (1 .. 300) {
    my $sub = $subs[$n % @subs];
    my $pub = $pubs[$n % @pubs];

    $sub->{got} = [];
    $sub->subscribe("new/$n");
    $pub->publish("new/$n", $n, $n % 2);
    $lost++ if !$sub->until(sub { @{$sub->{got}} });
    $sub->unsubscribe("new/$n");
}

is($lost, 0, 'a subscription counts from its SUBACK on');

# --- and nothing arrives after the UNSUBACK

$_->{got} = [] for @subs;
$_->unsubscribe('fan/+') for @subs;
$_->subscribe('end') for @subs;
$_->publish("new/1", 'no', 0) for @pubs;
$_->publish("fan/1", 'no', 0) for @pubs;
$_->publish('end', 'yes', 0) for @pubs;
IotTest::Bus::all_until(sub { @{$_[0]{got}} >= @pubs }, @subs);
is(scalar(grep { $_->[1] ne 'yes' } map { @{$_->{got}} } @subs), 0,
    'what is unsubscribed stays away');

# --- larger than a ring

$_->{got} = [] for @subs;

for my $size (70_000, 300_000, 900_000) {
    my $payload = join('', map { chr(($_ * 7 + $size) & 255) } 1 .. $size);

    $first->publish('end', $payload, 1);
    ok($first->acknowledged, "$size bytes are acknowledged");
    is_deeply([IotTest::Bus::all_until(sub { @{$_[0]{got}} }, @subs)], [],
        "$size bytes arrive");
    is(scalar(grep { $_->{got}[0][1] ne $payload } @subs), 0, 'unharmed');
    $_->{got} = [] for @subs;
}

# --- a group has each message once, wherever its members are

$_->subscribe('$share/group/share/+') for @subs;

for my $n (1 .. MESSAGES) {
    $pubs[$n % @pubs]->publish("share/$n", $n, 1);
}

is(scalar(grep { !$_->acknowledged } @pubs), 0, 'all was acknowledged');

my $count = sub { my $n = 0; $n += @{$_->{got}} for @subs; return $n };

IotTest::Bus::all_until(sub { $count->() >= MESSAGES }, @subs);
$_->publish('end', 'end', 1) for @pubs;
IotTest::Bus::all_until(
    sub { @{[grep { $_->[0] eq 'end' } @{$_[0]{got}}]} >= @pubs }, @subs);

my %seen;

$seen{$_->[1]}++ for grep { $_->[0] ne 'end' } map { @{$_->{got}} } @subs;

is(scalar(keys %seen), MESSAGES, 'the group has all messages');
is(scalar(grep { $_ > 1 } values %seen), 0, 'each of them once');
cmp_ok(scalar(grep { @{$_->{got}} > @pubs } @subs), '>', 12,
    'and many members had their turn');

# --- nobody is left

cmp_ok($t->metric('iot_bus_subscriptions'), '>=', $subscriptions + 2 * @subs,
    'there are subscriptions');
close($_->{socket}) for @subs, @pubs;
ok($t->wait_for(10,
    sub { $t->metric('iot_bus_subscriptions') == $subscriptions }),
    'and none when all have gone');
is($t->metric('iot_bus_interests'), $interests, 'nor an interest');

done_testing();
