#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# One bad row among good neighbours of a batch.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Test::More;
use IotTest::Device;

my $t = IotTest::Device->new;

$t->psql(<<'EOS');
CREATE FUNCTION public.no_poison() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.s = 'poison' THEN
        RAISE EXCEPTION 'poison' USING ERRCODE = '22023';
    ELSIF NEW.s = 'full' THEN
        RAISE EXCEPTION 'full' USING ERRCODE = '53100';
    ELSIF NEW.s = 'bug' THEN
        RAISE EXCEPTION 'bug' USING ERRCODE = 'XX000';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER no_poison BEFORE INSERT ON iot.telemetry
    FOR EACH ROW EXECUTE FUNCTION public.no_poison();
CREATE TRIGGER no_poison BEFORE INSERT ON iot.attribute
    FOR EACH ROW EXECUTE FUNCTION public.no_poison();
EOS


# posts that are written in one batch: the first of them alone, the others
# behind it; returns their statuses
sub batch {
    my ($what, @bodies) = @_;
    my $table = $what eq 'telemetry' ? 'iot.telemetry' : 'iot.attribute';

    $t->hold($table);
    my @c = $t->begin('POST', $what, shift @bodies);
    $t->wait_held or fail('no batch waits');
    push @c, $t->begin('POST', $what, $_) for @bodies;
    $t->wait_for(10, sub {
        $t->metric('iot_batch_queue_rows') >= @c
    }) or fail('the batch is not full');
    $t->let_go($table);

    return map { $_->answer } @c;
}


sub post {
    my ($ts, $value) = @_;

    $value = "\"$value\"" unless $value =~ /^\d+$/;
    return "{\"ts\":$ts,\"values\":{\"a\":$value}}";
}


is($t->telemetry(post(1, 1))->status, 200, 'the trigger lets pass');
is($t->telemetry(post(1, 'poison'))->status, 400, 'and refuses');
is($t->attributes('{"a":1}')->status, 200, 'the key is known');

for my $bad ([0], [1], [63], [31, 32], [1, 2, 3, 4, 5], [0, 20, 40, 63],
    [1 .. 63], [0 .. 63])
{
    my %bad = map { $_ => 1 } @$bad;
    my $name = @$bad . ' bad of 64';

    $t->wipe;
    my @a = batch('telemetry',
        map { post($_, $bad{$_} ? 'poison' : $_) } 0 .. 63);

    is(join(' ', map { $_->status } @a),
        join(' ', map { $bad{$_} ? 400 : 200 } 0 .. 63),
        "$name: who is refused");
    is_deeply([map { $_->[0] } @{$t->points->{a} || []}],
        [grep { !$bad{$_} } 0 .. 63], 'what is stored');
}

# --- a post is stored whole or not at all

$t->wipe;
my @a = batch('telemetry', post(1, 1),
    '[' . post(2, 1) . ',' . post(3, 'poison') . ',' . post(4, 1) . ']',
    '[' . post(5, 1) . ',' . post(6, 1) . ']');
is(join(' ', map { $_->status } @a), '200 400 200', 'posts of many points');
is_deeply([map { $_->[0] } @{$t->points->{a}}], [1, 5, 6],
    'whole or not at all');

# --- the same row in two posts: the later one wins, also after a split

$t->wipe;
@a = batch('telemetry', post(1, 0), post(7, 1), post(7, 2), post(8, 'poison'),
    post(7, 3));
is(join(' ', map { $_->status } @a), '200 200 200 400 200', 'twice the same');
is_deeply($t->points->{a}[1], [7, 'LONG', 3], 'the last one stays');

# --- attributes

$t->wipe;
@a = batch('attributes', '{"a":1}', '{"b":2}', '{"c":"poison"}', '{"d":4}');
is(join(' ', map { $_->status } @a), '200 200 400 200', 'attributes');
is_deeply([sort keys %{$t->stored_attributes(1)}], [qw(a b d)], 'stored');

# --- what is nobody's fault is not tried in halves

my $before = $t->metric('iot_batches_failed_total');
$t->wipe;
@a = batch('telemetry', post(1, 1), post(2, 2), post(3, 'full'), post(4, 4));
is(join(' ', map { $_->status } @a), '200 503 503 503', 'a full disk: 503');
is($a[1]->header('retry-after'), 5, 'come again in a while');
is($t->metric('iot_batches_failed_total') - $before, 1, 'tried once');
@a = batch('telemetry', post(1, 1), post(2, 2), post(3, 'bug'), post(4, 4));
is(join(' ', map { $_->status } @a), '200 500 500 500',
    'what the database should not say: 500');
unlike($a[2]->body, qr/bug/, 'and the device does not hear it');

is($t->telemetry(post(9, 9))->status, 200, 'all is well');

done_testing();
