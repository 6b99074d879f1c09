#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# A session of PostgreSQL is killed in the middle of a pipeline.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Test::More;
use IotTest::Device;

my $t = IotTest::Device->new(
    iot => "database_connections 1;\ndatabase_read_connections 1;\n");

is($t->telemetry('{"a":1}')->status, 200, 'a point');
$t->wipe;


sub terminate {
    $t->sql('SELECT pg_terminate_backend(?)', $_) for @_;
}


# --- the call lane: new keys; nobody knows what took place, so 503

$t->hold('iot.key');
my @c = map { $t->begin('POST', 'telemetry', "{\"k$_\":1}") } 1 .. 20;
ok($t->wait_held, 'twenty calls are in the pipeline');
terminate($t->held);
$t->let_go('iot.key');

my %status;
$status{$_->answer->status}++ for @c;
ok(!grep({ $_ != 200 && $_ != 503 } keys %status), 'each gets 200 or 503')
    or diag(explain(\%status));
cmp_ok($status{503} || 0, '>=', 1, 'the one that was in work gets 503');
is(scalar(keys %{$t->points}), $status{200} || 0,
    'what got 503 is not stored');
ok($t->wait_for(10, sub { $t->telemetry('{"again":1}')->status == 200 }),
    'the lane comes back');

# --- the read lane: asked once more, nobody notices

$t->set_attribute(2, 'x', 'y');
$t->hold('iot.attribute');
@c = map { $t->begin('GET', 'attributes') } 1 .. 20;
ok($t->wait_held, 'twenty questions are in the pipeline');
terminate($t->held);
$t->let_go('iot.attribute');
is(join(' ', map { $_->answer->status } @c), join(' ', (200) x 20),
    'all are answered');

# --- the write lane: written again, once

$t->wipe;
$t->hold('iot.telemetry');
@c = $t->begin('POST', 'telemetry', '{"ts":1,"values":{"a":1}}');
ok($t->wait_held, 'a batch is in flight');
push @c, map {
    $t->begin('POST', 'telemetry', "{\"ts\":$_,\"values\":{\"a\":$_}}")
} 2 .. 30;
ok($t->wait_for(10, sub { $t->metric('iot_batch_queue_rows') >= 30 }),
    'others wait');
terminate($t->held);
$t->let_go('iot.telemetry');
is(join(' ', map { $_->answer->status } @c), join(' ', (200) x 30),
    'all are acknowledged');
is_deeply([map { $_->[2] } @{$t->points->{a}}], [1 .. 30], 'and stored');

# --- all sessions at once, again and again, under way

for my $round (1 .. 5) {
    my @busy = map {
        $t->begin('POST', 'telemetry', "{\"r$round.$_\":$_}")
    } 1 .. 10;

    terminate($t->sessions);

    my @status = map { $_->answer->status } @busy;
    ok(!grep({ $_ != 200 && $_ != 503 } @status), "round $round: 200 or 503")
        or diag("@status");

    my $stored = $t->points;
    ok(!grep({ $status[$_ - 1] == 200 && !$stored->{"r$round.$_"} } 1 .. 10),
        'what got 200 is stored');
}

ok($t->wait_for(15, sub { $t->get('/readyz')->status == 200 }),
    'ready again');

# --- an error in a pipeline is nobody else's

$t->psql(<<'EOS');
CREATE OR REPLACE FUNCTION public.no_evil() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.name LIKE 'evil%' THEN
        RAISE EXCEPTION 'evil' USING ERRCODE = '22023';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER no_evil BEFORE INSERT ON iot.key
    FOR EACH ROW EXECUTE FUNCTION public.no_evil();
EOS

# a connection that has not prepared the statement yet
my @old = $t->sessions;
my %old = map { $_ => 1 } @old;

terminate(@old);
ok($t->wait_for(15, sub {
    my @new = $t->sessions;
    return @new >= @old && !grep({ $old{$_} } @new)
        && $t->get('/readyz')->status == 200;
}), 'all sessions are new');

for my $round (1 .. 3) {
    my @name = map { $_ % 3 ? "good$round.$_" : "evil$round.$_" } 1 .. 12;
    my @busy = map { $t->begin('POST', 'telemetry', "{\"$_\":1}") } @name;

    is(join(' ', map { $_->answer->status } @busy),
        join(' ', map { /evil/ ? 400 : 200 } @name),
        "round $round: only the evil ones are refused");
}

done_testing();
