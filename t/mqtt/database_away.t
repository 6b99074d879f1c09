#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# PostgreSQL is away: what needs no store goes on, what does fails in time with
# the right reason, and nothing that was acknowledged is lost.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Test::More;
use Time::HiRes qw(time);
use IotTest::Mqtt;

my $t = IotTest::Mqtt->start(workers => 2, cluster => 'own', fsync => 1,
    iot => "database_queue_timeout 500ms;\n");
my ($c, $start);

my $sub = $t->mqtt(5, 'sub');
$sub->subscribe('plain/#', 1);

my $stored = $t->mqtt(4, 'stored', clean => 0);
$stored->subscribe('kept/#', 1);

my $gone = $t->mqtt(4, 'gone', clean => 0);
$gone->subscribe('kept/#', 1);
$gone->send(14, 0, '');
is($gone->packet, 'closed', 'one is not connected');

my $will = $t->mqtt(5, 'dies', clean => 0, expiry => 100,
    will => { topic => 'kept/will', payload => 'late', qos => 1,
        props => "\x18" . u32(1) });

my $v5 = $t->mqtt(5, 'v5');
my $v4 = $t->mqtt(4, 'v4');

$v5->publish('kept/x', 'before', qos => 1, id => 1);
is($v5->packet, '40 02 00 01', 'acknowledged');
is($stored->message, 'kept/x before', 'and delivered');

$t->stop_database('immediate');

# no store: QoS 0 and 1, old clients and new ones
for my $qos (0, 1) {
    $v5->publish('plain/x', "q$qos", qos => $qos, id => 2);
    is($v5->packet, '40 02 00 02', 'acknowledged') if $qos;
    is($sub->message, "plain/x q$qos", "QoS $qos goes on");
}

$c = $t->mqtt(4, 'new');
is($c->{connack}, '20 02 00 00', 'a clean session can begin');
is($c->subscribe('plain/#', 0), '90 03 00 01 00', '... and subscribe');
$v4->publish('plain/x', 'n');
is($c->message, 'plain/x n', '... and receive');

# the store: in time, with its reason
$start = time();
$v5->publish('kept/x', 'lost', qos => 1, id => 3);
is($v5->packet(20), '40 03 00 03 97', 'a durable publish: quota exceeded');
cmp_ok(time() - $start, '<', 15, '... in time');
$v5->publish('kept/x', 'q0');
is($stored->message, 'kept/x q0', 'QoS 0 to a stored session that is there');
$v4->publish('kept/x', 'again', qos => 1, id => 4);
is($v4->packet(20), 'closed', 'before 5.0 the connection is closed');
$v5->publish('ret', 'r', qos => 1, id => 5, retain => 1);
is($v5->packet(20), '40 03 00 05 97', 'nor can it be retained');

$c = $t->mqtt(5, 'late', clean => 0, expiry => 100);
like($c->{connack}, qr/^20 03 00 88/, 'a stored session cannot begin')
    if ok($c->{connack} ne '', 'an answer');

# a delayed will whose end could not be written
$will->close;

$t->start_database;
$t->wait_ready(60);

# the client repeats what was not acknowledged
$v4 = $t->mqtt(4, 'v4');
ok($t->wait_for(30, sub {
    $v4->publish('kept/x', 'again', qos => 1, id => 4, dup => 1);
    my $answer = $v4->packet(5);
    $v4 = $t->mqtt(4, 'v4') if $answer eq 'closed';
    return $answer eq '40 02 00 04';
}), 'acknowledged when the database is back');
my @got = map { $stored->message(10) } 1, 2;
is(join(', ', sort @got), 'kept/will late, kept/x again',
    'delivered, and the will of who went meanwhile');

$gone = $t->mqtt(4, 'gone', clean => 0);
my %got = map { ($gone->message(15) || '') => 1 } 1 .. 3;
ok($got{'kept/x before'}, 'what was acknowledged before is there');
ok($got{'kept/x again'}, '... and after');
ok($got{'kept/will late'}, 'and the will of who went meanwhile')
    or diag(join(', ', sort keys %got));
ok($t->wait_for(20, sub { !$t->value('SELECT count(*) FROM iot.mqtt_session'
    . " WHERE connected AND client_id = 'dies'") }), 'whose session ends');
ok($t->wait_for(20, sub { $t->value('SELECT count(*) FROM iot.mqtt_session'
    . " WHERE connected AND client_id = 'gone'") }), 'who is there is there');

$t->finish;
done_testing();
