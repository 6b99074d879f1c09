#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# Answers that are made row by row, and never held in memory.

use strict;
use warnings;

use Digest::MD5 qw(md5_hex);
use FindBin;
use lib "$FindBin::Bin/../lib";

use Test::More;
use IotTest::Engine;

# the socket buffer is small so that a client that does not read stops us soon
my $t = IotTest::Engine->new(
    iot => "database_slow_connections 2;\n",
    server => "listen 127.0.0.1:" . (my $port = IotTest::free_port())
        . " sndbuf=64k;\nsend_timeout 3s;\n");

$t->replace('timeseries_history', 'SETOF text', q~
    IF query->>'fail' = 'first' THEN
        RAISE EXCEPTION USING ERRCODE = 'IO404', MESSAGE = 'Gone before',
            DETAIL = '{"code":"not_found"}';
    END IF;
    IF query->>'none' IS NOT NULL THEN
        RETURN;
    END IF;
    RETURN NEXT '[';
    RETURN QUERY SELECT CASE WHEN i = 1 THEN '' ELSE ',' END
        || '"' || repeat(chr(65 + i % 26), (query->>'size')::int) || '"'
        FROM generate_series(1, (query->>'rows')::int) i;
    RETURN NEXT ']';
~);

my $token = $t->tenant;
my $path = '/api/plugins/telemetry/DEVICE/x/values/timeseries/history';
my $auth = ['X-Authorization' => "Bearer $token"];

sub expected {
    my ($rows, $size) = @_;

    return '[' . join(',', map { '"' . chr(65 + $_ % 26) x $size . '"' }
        1 .. $rows) . ']';
}


sub ask {
    return $t->get("$path?$_[0]", token => $token);
}


my $a = ask('rows=3&size=5');
is($a->status, 200, 'a short one');
is($a->body, expected(3, 5), 'all of it');
is($a->header('content-type'), 'application/json', 'is JSON');
is($a->header('transfer-encoding'), 'chunked', 'of a length nobody knows');

for (['1000', '10'], ['10', '100000'], ['3000', '2000'], ['1', '3000000']) {
    my ($rows, $size) = @$_;

    $a = ask("rows=$rows&size=$size");
    is(md5_hex($a->body), md5_hex(expected($rows, $size)),
        "$rows rows of $size bytes");
}

is(ask('rows=0&size=1')->json->[0], undef, 'none between the brackets');

$a = ask('none=1');
is($a->status, 200, 'no row at all');
is($a->body, '', 'is empty');

$a = ask('fail=first');
is($a->status, 404, 'an error before the first row');
is($a->body, 'Gone before', 'is an ordinary one');

$a = $t->http('HEAD', "$path?rows=100&size=1000", token => $token);
is($a->status, 200, 'HEAD');
is(ask('rows=3&size=5')->body, expected(3, 5), 'leaves all in order');

# --- half way

my $c = $t->client(port => $port);
$c->write(IotTest::Client::format_request('GET',
    "$path?rows=100&size=100000", [$auth]));
$c->read_until(qr/\r\n\r\n/);
$t->sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND query LIKE '%timeseries_history%'
    AND pid <> pg_backend_pid()");
my $text = $c->read_all;
cmp_ok(length($text), '<', 10_000_000, 'the database ends half way');
unlike($text, qr/\r\n0\r\n\r\n\z/, 'the answer is cut off visibly');
unlike($text, qr/errorCode/, 'and nothing is added');
ok($t->wait_for(20, sub { ask('rows=3&size=5')->body eq expected(3, 5) }),
    'the lane comes back');

# --- a client that is slow, and one that stops

my $memory = worker_memory();
$c = $t->client(port => $port);
$c->write(IotTest::Client::format_request('GET',
    "$path?rows=400&size=100000", [$auth]));
$c->read_until(qr/\r\n\r\n/);
select(undef, undef, undef, 1);

is(ask('rows=3&size=5')->body, expected(3, 5),
    'others are served while one client rests');

my $growth = worker_memory() - $memory;
cmp_ok($growth, '<', 20_000, "its answer is not kept in memory ($growth kB)");

my ($last, $n) = ('', 0);

while ($last !~ /\r\n0\r\n\r\n\z/) {
    my $piece = eval { $c->read(1) } or last;
    $piece .= substr($c->{buffer}, 0, length($c->{buffer}), '');
    $n += length($piece);
    $last = substr($last . $piece, -16);
}

cmp_ok($n, '>', 40_000_000, 'all of it comes when it goes on');
like($last, qr/\r\n0\r\n\r\n\z/, 'with its end');

$c = $t->client(port => $port);
$c->write(IotTest::Client::format_request('GET',
    "$path?rows=100&size=100000", [$auth]));
$c->read_until(qr/\r\n\r\n/);

ok($t->wait_log(qr/client timed out/, 15), 'one that stops is let go');
is(ask('rows=3&size=5')->body, expected(3, 5), 'and its place is free');

# --- clients that leave

for (1 .. 6) {
    $c = $t->client(port => $port);
    $c->write(IotTest::Client::format_request('GET',
        "$path?rows=100&size=100000", [$auth]));
    $c->read_until(qr/\r\n\r\n/);
    $c->close;
}

is(ask('rows=3&size=5')->body, expected(3, 5), 'clients that leave half way');

done_testing();


sub worker_memory {
    my ($pid) = $t->worker_pids;

    open(my $fh, '<', "/proc/$pid/status") or return 0;
    local $/;
    return <$fh> =~ /^VmRSS:\s+(\d+)/m ? $1 : 0;
}
