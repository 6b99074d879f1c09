#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# A database that stands still: queues are bounded, who finds no room is told.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Test::More;
use Time::HiRes qw(time);
use IotTest::Device;

my $t = IotTest::Device->new(iot => "database_queue 8;\nbatch_queue 20;\n"
    . "database_read_connections 1;\ndatabase_connections 1;\n");
my ($start, %status, @c);


# answers, by status; 503 must say when to come again
sub answers {
    %status = ();

    for (@_) {
        my $a = $_->answer;
        $status{$a->status}++;
        fail('503 without Retry-After')
            if $a->status == 503 && !$a->header('retry-after');
    }
}


is($t->telemetry('{"a":1}')->status, 200, 'a point');
$t->wipe;

# --- posts

my @sessions = $t->sessions;
cmp_ok(@sessions, '>=', 4, 'a session for each lane');
$t->freeze(@sessions);

@c = map {
    $t->begin('POST', 'telemetry', "{\"ts\":$_,\"values\":{\"a\":$_}}")
} 1 .. 60;

$start = time();
answers(@c[20 .. 59]);
is_deeply(\%status, { 503 => 40 }, 'what finds no room in the queue: 503');
cmp_ok(time() - $start, '<', 2, 'at once');
$t->thaw;
answers(@c[0 .. 19]);
is_deeply(\%status, { 200 => 20 }, 'what did is served when it goes on');
is_deeply([map { $_->[2] } @{$t->points->{a}}], [1 .. 20],
    'and only that is stored');

# --- questions: 64 in the pipeline and 8 in the queue

$t->freeze(@sessions);
@c = map { $t->begin('GET', 'attributes') } 1 .. 100;
is($c[99]->answer->status, 503, 'the hundredth question: 503');
$t->thaw;
answers(@c[0 .. 98]);
is_deeply(\%status, { 200 => 72, 503 => 27 }, '72 are answered');

# --- strangers: each costs a look-up

$t->freeze(@sessions);
@c = map { $t->begin('POST', 'telemetry', '{"a":1}', token => "No$_") }
    1 .. 100;
is($c[99]->answer->status, 503, 'the hundredth stranger: 503');
is($t->get('/healthz')->status, 200, 'the worker is well');
is($t->telemetry('', token => 'x' x 300)->status, 401,
    'what needs no database is answered');
$t->thaw;
answers(@c[0 .. 98]);
is_deeply(\%status, { 401 => 72, 503 => 27 }, '72 are looked up');

is($t->telemetry('{"a":2}')->status, 200, 'all is well');

# --- a database that never comes back: its connections are given up

$t->snippet('iot', "database_timeout 500ms;\ndatabase_queue_timeout 500ms;\n");
$t->reload(gone => 1);
$t->wait_ready;
is($t->telemetry('{"a":3}')->status, 200, 'with short limits');
$t->freeze($t->sessions);
$start = time();
@c = map { $t->begin('POST', 'telemetry', '{"a":1}', token => "Who$_") }
    1 .. 5;
my @questions = map { $t->begin('GET', 'attributes') } 1 .. 5;
answers(@c);
is_deeply(\%status, { 503 => 5 }, 'no answer in time: 503');
cmp_ok(time() - $start, '<', 12, 'after a while');
answers(@questions);
is_deeply(\%status, { 200 => 5 },
    'questions do no harm and are asked again, over a new connection');
$t->thaw;
is($t->telemetry('{"a":4}')->status, 200, 'all is well');

done_testing();
