#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# How much the device API takes, to the byte.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Test::More;
use IotTest::Device;

my $t = IotTest::Device->new;
my $a;


sub too_large {
    my ($answer, $name) = @_;

    is($answer->status, 413, "$name: 413");
    is($answer->body, '"Payload size exceeds the limit"', 'in these words');
    is($answer->header('content-type'), 'application/json', 'which are JSON');
}


sub count {
    return $t->value('SELECT count(*) FROM iot.telemetry');
}


# --- keys

my $body = '{' . join(',', map { "\"key$_\":$_" } 1 .. 1000) . '}';

is($t->telemetry($body)->status, 200, 'a thousand keys in one post');
is(count(), 1000, 'all there');
is($t->attributes($body)->status, 200, 'a thousand attributes');
is(scalar(keys %{$t->stored_attributes(1)}), 1000, 'all there');
is($t->telemetry($body)->status, 200, 'and once more, now that all are known');
cmp_ok(count(), '>=', 1000, 'all there');

for my $c ('k', "\xc3\xa4", "\xf0\x9f\x98\x80") {
    is($t->telemetry('{"' . ($c x 255) . '":1}')->status, 200,
        'a key of 255 characters of ' . length($c) . ' bytes');
    is($t->telemetry('{"' . ($c x 256) . '":1}')->status, 400, 'not of 256');
    is($t->attributes('{"' . ($c x 256) . '":1}')->status, 400,
        'attributes neither');
}

# --- depth: 32 containers in a value

for my $pair (['[', ']'], ['{"x":', '}']) {
    my ($open, $close) = @$pair;
    my $deep = sub {
        my ($n) = @_;
        return '{"deep":' . ($open x $n) . '1' . ($close x $n) . '}';
    };
    my ($most) = grep { $t->telemetry($deep->($_))->status != 200 } 1 .. 64;

    cmp_ok($most, '>', 16, 'nesting ends');
    cmp_ok($most, '<=', 33, 'at 32');

    for my $n (100, 10_000, 1_000_000) {
        is($t->telemetry($deep->($n))->status, 400, "$n deep");
    }
}

is($t->telemetry('[' x 5_000_000)->status, 400, 'five million brackets');

# --- numbers and texts

is($t->telemetry('{"n":' . ('9' x 10_000) . '}')->status, 200,
    'a number of ten thousand digits');
is($t->typed->{n}[1], '9' x 10_000, 'is kept as its text');
isnt($t->telemetry('{"n":1e1000000000}')->status, 500,
    'a number that no memory holds');
isnt($t->telemetry('{"n":1e-1000000000}')->status, 500, 'nor its inverse');

my $text = 'x' x 10_000_000;

is($t->telemetry("{\"long\":\"$text\"}")->status, 200,
    'a text of ten million characters');
is($t->value('SELECT length(s) FROM iot.telemetry ORDER BY length(s) DESC'
    . ' NULLS LAST LIMIT 1'), 10_000_000, 'is there');
is($t->telemetry("{\"long\":\"${text}x\"}")->status, 400, 'not one more');
is($t->telemetry("{\"long\":[\"$text\"]}")->status, 400, 'nor as JSON');

# --- points

$t->wipe;
$body = join(',', map { "{\"ts\":$_,\"values\":{\"a\":$_}}" } 1 .. 100_000);
is($t->telemetry("[$body]")->status, 200, 'a hundred thousand points');
is(count(), 100_000, 'are stored, although the queue is smaller');
$t->wipe;
is($t->telemetry("[$body,{\"b\":1}]")->status, 400,
    'more than 100,000 are too many');
is(count(), 0, 'nothing of it is stored');

# --- bytes: 50 MiB

my $c = $t->client;

$c->write('POST ' . $t->url('telemetry') . " HTTP/1.1\r\nHost: x\r\n"
    . "Content-Length: 52428801\r\n\r\n");
too_large($c->answer, 'one byte over the limit');

$a = $t->telemetry('{}' . (' ' x (52428800 - 2)));
is($a->status, 200, 'a body of exactly the limit');

my $chunk = sprintf("%x\r\n%s\r\n", 1 << 20, ' ' x (1 << 20));

$c = $t->client;
$c->write('POST ' . $t->url('telemetry') . " HTTP/1.1\r\nHost: x\r\n"
    . "Transfer-Encoding: chunked\r\n\r\n");
for (1 .. 51) {
    last unless $c->write($chunk);
}
too_large($c->answer, 'chunks over the limit');

$t->snippet('server', "client_max_body_size 1k;\n");
$t->reload(gone => 1);
too_large($t->telemetry('{"a":"' . ('x' x 2000) . '"}'),
    'over the limit of the server');
is($t->telemetry('{"a":"' . ('x' x 500) . '"}')->status, 200, 'below it');
too_large($t->post('/api/v1/provision', body => '{"a":"' . ('x' x 2000)
    . '"}'), 'provisioning');

done_testing();
