#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# A graceful end while requests are under way: each is answered.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use IO::Socket::INET ();
use Test::More;
use IotTest::Device;

my $t = IotTest::Device->new(workers => 2);

$t->add_devices('New');
is($t->telemetry('{"a":1}')->status, 200, 'a point');
$t->set_attribute(2, 'x', 'y');
$t->wipe;

# --- a worker that is told to end by a reload

my @old = $t->worker_pids;

$t->hold('iot.telemetry');
my @c = map {
    $t->begin('POST', 'telemetry', "{\"ts\":$_,\"values\":{\"a\":$_}}")
} 1 .. 40;
ok($t->wait_held, 'a batch waits for the database');
$t->reload;
ok($t->wait_for(10, sub {
    my $n = () = $t->error_log =~ /gracefully shutting down/g;
    return $n >= 2;
}), 'the old workers are told to end');
is(scalar(grep { IotCtl::Run::alive($_) } @old), 2,
    'the old workers wait for it');
$t->let_go('iot.telemetry');

my @a = map { $_->answer } @c;
is(join(' ', map { $_->status } @a), join(' ', (200) x 40),
    'all forty are acknowledged');
is(scalar(grep { ($_->header('connection') || '') eq 'close' } @a), 40,
    'and told that the connection ends');
is(scalar(@{$t->points->{a}}), 40, 'all are stored');
ok($t->wait_for(10, sub { !grep { IotCtl::Run::alive($_) } @old }),
    'the old workers have ended');

# --- the whole of nginx: a batch, a new key, a look-up, a question, a body
# that is still coming

$t->wipe;
$t->telemetry('{"a":1}');
my @all = ($t->master_pid, $t->worker_pids);

$t->hold('iot.telemetry');
$t->hold('iot.key');
$t->hold('iot.device');
$t->hold('iot.attribute');

my $slow = $t->client;
my $body = '{"ts":99,"values":{"a":99}}';
my $request = $t->request('POST', 'telemetry', $body);

$slow->write(substr($request, 0, -5));
@c = (
    (map { $t->begin('POST', 'telemetry',
        "{\"ts\":$_,\"values\":{\"a\":$_}}") } 1 .. 10),
    (map { $t->begin('POST', 'telemetry', "{\"new$_\":1}") } 1 .. 10),
    (map { $t->begin('POST', 'telemetry', '{"ts":1,"values":{"a":1}}',
        token => 'New') } 1 .. 10),
    (map { $t->begin('GET', 'attributes') } 1 .. 10),
);
ok($t->wait_held(4), 'everything waits for the database');

kill('QUIT', $t->master_pid);
ok($t->wait_for(10, sub {
    !IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $t->port,
        Timeout => 1);
}), 'no connection is accepted any more');
is(scalar(grep { IotCtl::Run::alive($_) } @all), 3,
    'but the processes are there');

$t->let_go($_)
    for qw(iot.attribute iot.device iot.key iot.telemetry);
is(join(' ', map { $_->answer->status } @c), join(' ', (200) x 40),
    'forty requests are answered');
$slow->write(substr($request, -5));
is($slow->answer->status, 200, 'and the one whose body came late');
ok($t->wait_for(15, sub { !grep { IotCtl::Run::alive($_) } @all }),
    'then nginx ends');

my $points = $t->points;
is(scalar(grep { /^new/ } keys %$points), 10, 'new keys are stored');
is_deeply([map { $_->[2] } grep { $_->[0] < 1000 } @{$points->{a}}],
    [1 .. 10, 99], 'known ones too');
is_deeply($t->points('New'), { a => [[1, 'LONG', 1]] }, 'a new device too');

$t->start;
is($t->telemetry('{"a":1}')->status, 200, 'it starts again');

done_testing();
