#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# $SYS, shared subscriptions, reload and stop.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Test::More;
use Time::HiRes qw(sleep time);
use IotTest::Mqtt;

my $t = IotTest::Mqtt->start(workers => 2);
my $c = $t->mqtt(4, 'sys');

like($c->subscribe('$SYS/broker/version', 0), qr/ 00$/, 'subscribe');
like($c->message, qr/^\$SYS\/broker\/version ngx_iot [\d.]+$/, 'the version');
$c->subscribe('$SYS/broker/clients/connected', 0);
is($c->message, '$SYS/broker/clients/connected 1', 'one client');
my $other = $t->mqtt(4, 'other');
my ($seen, $end) = ('', time() + 12);

while (time() < $end && $seen !~ /connected 2/) {
    $seen .= $c->message(1);
}

like($seen, qr/connected 2/, 'two are announced within ten seconds');
$other->subscribe('#', 0);
is($other->packet(0.3), '', '# does not match $SYS');

# all of them at once
my $all = $t->mqtt(5, 'all');
$all->subscribe('$SYS/#', 0);
$t->mqtt(4, 'away', clean => 0)->send(14, 0, '');

my (%value, %now);

my $line = qr{^\$SYS/broker/(retained messages/count|\S+) (.*)$};

while ($all->message(0.5) =~ $line) {
    $value{$1} = $2;
}

for my $name ('version', 'clients/total', 'clients/connected',
    'clients/disconnected', 'clients/maximum', 'clients/expired',
    (map { my $m = $_; map { "$m/$_" } 'received', 'sent' } 'messages',
        'bytes', 'publish/messages', 'publish/bytes'), 'messages/stored',
    'publish/messages/dropped', 'subscriptions/count',
    'shared_subscriptions/count', 'retained messages/count',
    'store/messages/count', 'store/messages/bytes',
    map { my $m = $_; map { "load/$m/${_}min" } 1, 5, 15 } 'connections',
        'sockets', 'messages/received', 'messages/sent', 'publish/received',
        'publish/sent', 'publish/dropped', 'bytes/received', 'bytes/sent')
{
    like(exists $value{$name} ? $value{$name} : 'none',
        qr/^(?:ngx_iot )?[\d.]+$/, $name);
}

$end = time() + 25;

while (time() < $end && !($now{'clients/disconnected'}
       && ($now{'load/messages/received/1min'} || 0) > 0))
{
    $now{$1} = $2 if $all->message(1) =~ $line;
}

is($now{'clients/disconnected'}, 1, 'a session waits for its client');
cmp_ok($now{'load/messages/received/1min'}, '>', 0, 'messages in a minute');
cmp_ok($now{'clients/maximum'}, '>=', 3, 'clients at most');
$all->close;

# shared subscriptions, wherever the members are
my @members = map { $t->mqtt(5, "member$_") } 1 .. 4;

$_->subscribe('$share/group/jobs/+', 1) for @members;
$other->publish("jobs/$_", "job $_") for 1 .. 40;

my (@got, %jobs);

for my $member (@members) {
    my $n = 0;

    while ((my $message = $member->message(0.5)) ne '') {
        $jobs{$message}++;
        $n++;
    }

    push @got, $n;
}

is(scalar(keys %jobs), 40, 'each message has been delivered');
is(scalar(grep { $_ != 1 } values %jobs), 0, '... once');
ok(!(grep { $_ < 4 } @got), 'every member had its share')
    or diag("@got");

# reload: everybody is told, comes back, and finds what it had
my $stored = $t->mqtt(5, 'stored', clean => 0, expiry => 300);
$stored->subscribe('r', 1);

my @clients = map { $t->mqtt(5, "many$_") } 1 .. 300;

$t->reload;

like($_->packet(10), qr/^(?:e0 (?:01|02) 8b|30)/, 'told to leave')
    for $clients[0], $clients[150], $clients[299], $stored;

my $pub = $t->mqtt(5, 'pub');
$pub->publish('r', 'meanwhile', qos => 1, id => 1);
is($pub->packet, '40 02 00 01', 'acknowledged');
$stored = $t->mqtt(5, 'stored', clean => 0, expiry => 300);
is($stored->message, 'r meanwhile', 'delivered by the new workers');

$t->finish;
done_testing();
