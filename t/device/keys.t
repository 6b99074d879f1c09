#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# Names of keys: new ones, known ones, and those that were deleted.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Test::More;
use IotTest::Device;

my $t = IotTest::Device->new(workers => 2,
    http => 'add_header X-Worker $pid always;' . "\n");
my %c;

$t->wait_for(20, sub {
    my $c = $t->client;
    my $a = $c->request('GET', '/healthz', []);
    $c{$a->header('x-worker')} ||= $c;
    return keys %c == 2;
});

my @c = map { $c{$_} } sort keys %c;
is(@c, 2, 'two workers are there');


sub post {
    my ($worker, $body, $token) = @_;

    return $c[$worker]->request('POST', $t->url('telemetry', $token), [],
        $body)->status;
}


# { key => ts } of the latest values that an entity shows
sub latest {
    my ($token) = @_;

    return { map { $_->[0] => $_->[1] } @{$t->sql('SELECT k.name, v.ts FROM'
        . ' iot.entity_key AS ek JOIN iot.key AS k ON k.id = ek.key'
        . ' CROSS JOIN LATERAL iot.latest_of(ek) AS v WHERE ek.entity = ?'
        . ' AND v.ts IS NOT NULL', $t->nr($token))} };
}


sub forget {
    my ($name) = @_;

    $t->sql('SELECT iot.telemetry_delete(entity_nr => ?, names =>'
        . ' ARRAY[?::text], from_ts => 0, to_ts => 9223372036854775807,'
        . ' delete_latest => true, rewrite_latest => false)', $t->nr, $name);
}


is(post(0, '{"ts":1000,"values":{"a":1}}'), 200, 'a new key');
is(post(1, '{"ts":2000,"values":{"a":2}}'), 200, 'the same in another worker');
is(post(0, '{"ts":1500,"values":{"a":3}}'), 200, 'an older point');
is_deeply(latest(), { a => 2000 }, 'the latest is the newest');
is($t->value("SELECT count(*) FROM iot.key WHERE name = 'a'"), 1,
    'a key has one number');

# many new ones in many requests at once, in both workers, and other orders

my @busy;

for my $i (1 .. 20) {
    my @names = map { 'new' . ($_ * $i % 31) } 1 .. 30;
    push @busy, $t->begin('POST', 'telemetry', '{"ts":5000,"values":{'
        . join(',', map { "\"$_\":$i" } @names) . '}}');
}

is(join(' ', map { $_->answer->status } @busy), join(' ', (200) x 20),
    'thirty new keys in twenty requests at once');
is(scalar(grep { /^new/ } keys %{latest()}), 30, 'all are there');
is($t->value('SELECT count(*) - count(DISTINCT name) FROM iot.key'), 0,
    'each once');

# a key that another device knows

$t->add_devices('Second');
is(post(0, '{"ts":1,"values":{"a":1}}', 'Second'), 200, 'a known key');
is_deeply(latest('Second'), { a => 1 }, 'of another device');

# --- deleted, and posted again with a time before that of the deleted

is(post($_, '{"ts":3000,"values":{"gone":1}}'), 200, "known to worker $_")
    for 0, 1;

for my $worker (0, 1) {
    forget('gone');
    ok(!exists latest()->{gone}, 'deleted');
    my $ts = 2000 - $worker;

    # the worker hears of it by itself, within a second
    ok($t->wait_for(1, sub {
        post($worker, "{\"ts\":$ts,\"values\":{\"gone\":1}}");
        my $now = latest()->{gone};
        return defined $now && $now == $ts;
    }), "worker $worker registers it again") or diag(explain(latest()));
}

# --- attributes need no registration

is($t->attributes('{"other":1}')->status, 200, 'an attribute');
ok(!exists latest()->{other}, 'is no key of telemetry');
is(post(0, '{"ts":1,"values":{"other":1}}'), 200, 'telemetry of that name');
ok(exists latest()->{other}, 'is one');

# --- the key is new, but the client has left before it had a number

$t->hold('iot.key');
my $c = $t->begin('POST', 'telemetry', '{"left":1}');
ok($t->wait_held, 'a new key waits for the database');
$c->close;
my $d = $t->begin('POST', 'telemetry', '{"ts":1,"values":{"stays":1}}');
$t->let_go('iot.key');
is($d->answer->status, 200, 'who stays is served');
is_deeply($t->points->{stays}, [[1, 'LONG', 1]], 'and stored');
is(post(0, '{"left":2}'), 200, 'and so is the next one');

done_testing();
