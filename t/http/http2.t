#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# The same calls over HTTP/2, where a request is a stream of a connection.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use File::Temp ();
use JSON::XS qw(decode_json);
use Test::More;
use IotTest::Engine;

plan(skip_all => 'curl without HTTP/2')
    unless `curl --version 2>/dev/null` =~ /HTTP2/;

my $t = IotTest::Engine->new;
my $dir = File::Temp::tempdir(CLEANUP => 1);

$t->replace('server_time', 'json', q{ RETURN (query); });
$t->replace('device_save', 'json', q{ RETURN to_json(length(body::text)); });
$t->replace('timeseries_history', 'SETOF text', q~
    RETURN NEXT '[';
    RETURN QUERY SELECT CASE WHEN i = 1 THEN '' ELSE ',' END || i
        FROM generate_series(1, (query->>'rows')::int) i;
    RETURN NEXT ']';
~);

my $base = 'https://127.0.0.1:' . $t->port('https');
my $token = $t->tenant;

# returns status, version, header text and body
sub curl {
    my ($path, @options) = @_;

    open(my $fh, '-|', 'curl', '-sS', '-k', '--http2', '-D', "$dir/head",
        '-o', "$dir/body", '-w', '%{http_version} %{http_code}',
        '-H', "X-Authorization: Bearer $token", @options, "$base$path")
        or die "curl: $!";
    my ($version, $status) = split(/ /, join('', <$fh>));
    close($fh);

    return ($status, $version, map { slurp("$dir/$_") } qw(head body));
}


sub slurp {
    my ($path) = @_;

    open(my $fh, '<', $path) or return '';
    local $/;
    return <$fh>;
}


sub file {
    my ($size) = @_;

    open(my $fh, '>', "$dir/data") or die;
    print $fh '"' . ('x' x ($size - 2)) . '"';
    close($fh);

    return ('--data-binary', "\@$dir/data",
        '-H', 'Content-Type: application/json');
}


my ($status, $version, $head, $body) = curl('/api/dashboard/serverTime?a=1');
is($version, '2', 'HTTP/2 is spoken');
is($status, 200, 'a call');
is_deeply(decode_json($body), { a => '1' }, 'its answer');

for my $size (100, 70_000, 1_000_000) {
    ($status, undef, $head, $body) = curl('/api/device', file($size));
    is($body, $size, "a body of $size bytes");
}

($status, undef, $head, $body) = curl('/api/device',
    file(17 * 1024 * 1024), '-H', 'Expect:');
is($status, 413, 'a body over the limit');
is($body, '"Payload size exceeds the limit"', 'in words');

# without a length, so that it is known only at the end
($status, undef, $head, $body) = curl('/api/device',
    file(17 * 1024 * 1024), '-H', 'Content-Length:');
is($status, 413, 'a body of unknown length over the limit');

my $stream = '/api/plugins/telemetry/DEVICE/x/values/timeseries/history?rows=';
($status, undef, $head, $body) = curl($stream . 200_000);
is($status, 200, 'a stream');
is(scalar(@{decode_json($body)}), 200_000, 'all of it');

($status, undef, $head, $body) = curl('/api/device');
is($status, 405, 'an error');
like($head, qr/^allow: POST, OPTIONS\r$/m, 'its header');
is(decode_json($body)->{status}, 405, 'its envelope');

($status, undef, $head, $body) = curl('/api/dashboard/serverTime', '-I');
is($status, 200, 'HEAD');
is($body, $head, 'has only a head');

# a client that gives up in the middle of an answer
curl($stream . 2_000_000, '--max-time', '0.2', '--limit-rate', '1k');
($status) = curl('/api/dashboard/serverTime');
is($status, 200, 'a stream that was given up harms nobody');

done_testing();
