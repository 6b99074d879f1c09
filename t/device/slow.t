#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# Clients that are slow, stop in the middle, or never end.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Test::More;
use Time::HiRes qw(sleep time);
use IotTest::Device;

my $t = IotTest::Device->new(server => "client_header_timeout 1s;\n"
    . "client_body_timeout 1s;\nsend_timeout 1s;\nkeepalive_timeout 1s;\n");

$t->telemetry('{"a":1}');
$t->wipe;

my $body = '{"ts":1,"values":{"a":1}}';
my $head = 'POST ' . $t->url('telemetry') . " HTTP/1.1\r\nHost: x\r\n"
    . 'Content-Length: ' . length($body) . "\r\n\r\n";

# --- all of these at once; each is answered or cut within its second

my @silent = ([$head . substr($body, 0, 10), 'half a body'],
    [$head, 'no body'], [substr($head, 0, 40), 'half a head'],
    ['P', 'one byte'], ['', 'nothing']);
my $start = time();

for my $case (@silent) {
    $case->[2] = $t->client;
    $case->[2]->write($case->[0]) if $case->[0] ne '';
}

for my $case (@silent) {
    my $left = $case->[2]->read_all(10);

    ok($left eq '' || $left =~ m{^HTTP/1\.1 408 }, "$case->[1] and silence")
        or diag($left);
}

cmp_ok(time() - $start, '<', 8, 'are given up in time');
is_deeply($t->points, {}, 'nothing is stored');

# --- slow, but going on

my $c = $t->client;

for my $byte (split(//, $head . $body)) {
    $c->write($byte);
    sleep(0.002);
}

is($c->answer->status, 200, 'a request byte by byte');
is_deeply($t->points, { a => [[1, 'LONG', 1]] }, 'is stored');

# longer in all than the limit of a pause
$t->wipe;
$start = time();
$c = $t->client;
$c->write($head);

for my $byte (split(//, $body)) {
    $c->write($byte);
    sleep(0.06);
}

is($c->answer->status, 200, 'a body that takes its time');
cmp_ok(time() - $start, '>', 1.2, 'more than a second');
is_deeply($t->points, { a => [[1, 'LONG', 1]] }, 'is stored');

# --- gone in the middle

for my $part ($head, $head . substr($body, 0, 12), substr($head, 0, 30)) {
    for (1 .. 10) {
        $c = $t->client;
        $c->write($part);
        $c->close;
    }
}

is($t->telemetry('{"b":1}')->status, 200, 'thirty that left harm nobody');
is_deeply([sort keys %{$t->points}], [qw(a b)], 'and stored nothing');

# --- many slow ones beside a quick one

my @slow = map { $t->client } 1 .. 200;

$_->write($head . substr($body, 0, 5)) for @slow;
$start = time();
is($t->telemetry('{"quick":1}')->status, 200, 'beside 200 slow ones');
cmp_ok(time() - $start, '<', 0.9, 'a quick one is quick');
$_->write(substr($body, 5)) for @slow;
is(scalar(grep { $_->answer->status == 200 } @slow), 200,
    'and all are served');

# --- a reader that does not read

$t->set_attribute(2, "big$_", 'x' x 1_000_000) for 1 .. 20;
my $timeouts = () = $t->error_log =~ /timed out/g;

$c = $t->client;
$c->write($t->request('GET', 'attributes'));
ok($t->wait_for(10, sub {
    my $now = () = $t->error_log =~ /timed out/g;
    return $now > $timeouts;
}), 'who does not read his answer is cut off');
my $got = '';
$got .= $c->read_all(5);
cmp_ok(length($got), '<', 20_000_000, 'before its end');
is($t->telemetry('{"b":2}')->status, 200, 'all is well');

done_testing();
