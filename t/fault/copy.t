#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# Large batches go by COPY; one that meets a duplicate goes as an upsert.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Test::More;
use IotTest::Device;

my $t = IotTest::Device->new(iot => "batch_copy 2;\n");


sub copies {
    return $t->metric('iot_batches_copy_total');
}


sub post {
    my ($from, $to, $value) = @_;

    return '[' . join(',', map {
        "{\"ts\":$_,\"values\":{\"a\":" . (defined $value ? $value : $_) . '}}'
    } $from .. $to) . ']';
}


is($t->telemetry(post(1, 100))->status, 200, 'a hundred rows');
is(copies(), 1, 'go by COPY');
is_deeply([map { "@$_" } @{$t->points->{a}}],
    [map { "$_ LONG $_" } 1 .. 100], 'and are there');

# all types, and all at the border of their cells
is($t->telemetry('{"ts":1,"values":{"b":true,"l":-9223372036854775808,'
    . "\"d\":-0.5,\"s\":\"\xc3\xa4\",\"e\":\"\",\"j\":{\"x\":[1]},"
    . '"n":false}}')
    ->status, 200, 'all types');
is(copies(), 2, 'by COPY');
my $typed = $t->typed;
delete $typed->{a};
is_deeply($typed, { b => ['BOOLEAN', 'true'], n => ['BOOLEAN', 'false'],
    l => ['LONG', '-9223372036854775808'], d => IotTest::Device::double(-0.5),
    s => ['STRING', "\x{e4}"], e => ['STRING', ''],
    j => ['JSON', '{"x":[1]}'] }, 'are there');

# --- duplicates

is($t->telemetry(post(50, 150, 7))->status, 200, 'half of them again');
is(copies(), 2, 'COPY does not do it');
is($t->value('SELECT count(*) FROM iot.telemetry AS t JOIN iot.key AS k'
    . " ON k.id = t.key WHERE k.name = 'a' AND t.l = 7 AND t.ts >= 50"), 101,
    'but the upsert did');
is(scalar(@{$t->points->{a}}), 150, 'each once');

# COPY is left alone for some batches, then tried again
for my $i (1 .. 40) {
    my $from = 1000 * $i;
    last if copies() > 2;
    $t->telemetry(post($from, $from + 9));
}

cmp_ok(copies(), '>', 2, 'COPY is used again after a while');

# --- twice the same in one batch

is($t->telemetry('[' . join(',', map {
    "{\"ts\":90000,\"values\":{\"a\":$_}}" } 1 .. 10) . ']')->status, 200,
    'ten values for one time');
is_deeply($t->points->{a}[-1], [90000, 'LONG', 10], 'the last one stays');

# --- a bad row in a COPY

$t->psql(<<'EOS');
CREATE FUNCTION public.no_poison() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.s = 'poison' THEN
        RAISE EXCEPTION 'poison' USING ERRCODE = '22023';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER no_poison BEFORE INSERT ON iot.telemetry
    FOR EACH ROW EXECUTE FUNCTION public.no_poison();
EOS

$t->wipe;
$t->hold('iot.telemetry');
my @c = $t->begin('POST', 'telemetry', post(1, 3));
$t->wait_held or fail('no batch waits');
push @c, $t->begin('POST', 'telemetry', $_)
    for (post(4, 6), post(7, 9, '"poison"'), post(10, 12));
$t->wait_for(10, sub { $t->metric('iot_batch_queue_rows') >= 12 });
$t->let_go('iot.telemetry');
is(join(' ', map { $_->answer->status } @c), '200 200 400 200',
    'one post is refused');
is_deeply([map { $_->[0] } @{$t->points->{a}}], [1 .. 6, 10 .. 12],
    'its neighbours are stored');

# --- the session is killed in the middle of a COPY

$t->wipe;
$t->hold('iot.telemetry');
@c = $t->begin('POST', 'telemetry', post(1, 50));
ok($t->wait_held, 'a COPY waits');
$t->sql('SELECT pg_terminate_backend(?)', $_) for $t->held;
$t->let_go('iot.telemetry');
is($c[0]->answer->status, 200, 'it is sent again');
is(scalar(@{$t->points->{a}}), 50, 'all is there');

# --- larger than the buffers of the socket

is($t->telemetry('{"ts":5,"values":{"x":"' . ('x' x 3_000_000) . '","y":"'
    . ('y' x 3_000_000) . '"}}')->status, 200, 'six million bytes');
is(length($t->typed->{y}[1]), 3_000_000, 'are there');

# --- attributes never go by COPY

my $copies = copies();
is($t->attributes('{"a":1,"b":2,"c":3}')->status, 200, 'attributes');
is(copies(), $copies, 'go as an upsert');

done_testing();
