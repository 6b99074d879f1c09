#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# Bodies: sizes, encodings, what is JSON and what is not.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use JSON::XS ();
use Test::More;
use IotTest::Engine;

my $t = IotTest::Engine->new;

$t->replace('device_save', 'json', q{
    RETURN json_build_object('length', length(body::text), 'md5',
        md5(body::text), 'name', body->>'name');
});
$t->replace('device_move', 'json', $IotTest::Engine::echo);

my $token = $t->tenant;
my $a;

sub save {
    my ($body, %o) = @_;
    return $t->post('/api/device', token => $token, body => $body, %o);
}

# --- accepted

is(save('{"name":"a"}', type => $_)->json->{name}, 'a', "type $_")
    for ('application/json', 'application/json; charset=utf-8', 'text/plain',
        'application/x-www-form-urlencoded');
is(save('{"name":"a"}')->json->{name}, 'a', 'no type');
is(save("\xef\xbb\xbf{\"name\":\"a\"}")->json->{name}, 'a',
    'a byte order mark');
is(save(" \r\n\t{\"name\":\"a\"} \n")->json->{name}, 'a', 'blanks around');
is(save('{"name":"\u00e4"}')->json->{name}, "\x{e4}", 'an escape');
is(save("{\"name\":\"\xc3\xa4\"}")->json->{name}, "\x{e4}", 'UTF-8');
is(save('{"name":"\ud83d\ude00"}')->json->{name}, "\x{1f600}", 'a pair');

for my $size (100, 5_000, 60_000, 66_000, 300_000, 2_000_000) {
    my $body = '{"name":"' . ('x' x ($size - 11)) . '"}';

    is(save($body)->json->{length}, $size, "$size bytes");
}

# chunked, in pieces that part everything
my $c = $t->client;
my $text = '{"name":"chunked ' . ('y' x 200_000) . '"}';

$c->write("POST /api/device HTTP/1.1\r\nHost: x\r\n"
    . "X-Authorization: Bearer $token\r\n"
    . "Transfer-Encoding: chunked\r\n\r\n");

for (my $i = 0; $i < length($text); $i += 7777) {
    my $piece = substr($text, $i, 7777);
    $c->write(sprintf("%x\r\n%s\r\n", length($piece), $piece));
}

$c->write("0\r\n\r\n");
is($c->answer->json->{length}, length($text), 'a chunked body');

$a = $t->post('/api/tenant/a/device/b', token => $token,
    type => 'application/json');
is($a->status, 200, 'a POST without a body says that it is JSON');
is($t->post('/api/tenant/a/device/b', token => $token, body => 'not JSON')
    ->json->{body}, undef, 'a body that nobody wants is not looked at');

# --- refused

my %bad = (
    'nothing'            => '',
    'blanks'             => " \n ",
    'words'              => 'hello',
    'cut'                => '{"name":"a"',
    'more'               => '{"name":"a"} x',
    'two'                => '{} {}',
    'single quotes'      => "{'name':'a'}",
    'comma'              => '{"name":"a",}',
    'bad UTF-8'          => "{\"name\":\"\xff\"}",
    'overlong UTF-8'     => "{\"name\":\"\xc0\x80\"}",
    'surrogate'          => '{"name":"\ud800"}',
    'zero'               => '{"name":"\u0000"}',
    'control character'  => "{\"name\":\"\x01\"}",
    'NaN'                => '{"name":NaN}',
    'leading zero'       => '{"name":01}',
    'depth'              => '[' x 65 . ']' x 65,
    'much depth'         => '[' x 200_000,
    'a byte order mark'  => "\xef\xbb\xbf",
);

for my $what (sort keys %bad) {
    $a = save($bad{$what});
    is($a->status, 400, "refused: $what");
    is($a->json->{errorCode}, 31, '... as a bad request');
}

isnt(save('[' x 64 . ']' x 64)->status, 400, 'a depth that is allowed')
    or diag($a->body);

# --- too much

my $limit = 16 * 1024 * 1024;

$c = $t->client;
$c->write("POST /api/device HTTP/1.1\r\nHost: x\r\n"
    . "X-Authorization: Bearer $token\r\nContent-Length: " . ($limit + 1)
    . "\r\n\r\n");
$a = $c->answer;
is($a->status, 413, 'one byte over the limit is refused at once');
is($a->body, '"Payload size exceeds the limit"', 'by a JSON string');
is($a->header('connection'), 'close', 'and the connection ends');

$c = $t->client;
$c->write("POST /api/device HTTP/1.1\r\nHost: x\r\n"
    . "X-Authorization: Bearer $token\r\nContent-Length: 99999999999\r\n\r\n");
$a = $c->answer;
is($a->status, 413, 'more than nginx itself takes');
is($a->body, '"Payload size exceeds the limit"', 'the same words');

# chunked: known only when it is there
$c = $t->client;
$c->write("POST /api/device HTTP/1.1\r\nHost: x\r\n"
    . "X-Authorization: Bearer $token\r\n"
    . "Transfer-Encoding: chunked\r\n\r\n");

my $piece = 'z' x 1_048_576;

for (1 .. 17) {
    $c->write(sprintf("%x\r\n%s\r\n", length($piece), $piece));
}

$c->write("0\r\n\r\n");
$a = $c->answer;
is($a->status, 413, 'a chunked body over the limit');
is($a->body, '"Payload size exceeds the limit"', 'the same words');

is(save('{"name":"after"}')->json->{name}, 'after', 'and life goes on');

# a client that leaves in the middle of its body
$c = $t->client;
$c->write("POST /api/device HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n"
    . '{"name":');
$c->close;
is(save('{"name":"after"}')->json->{name}, 'after', 'half a body harms nobody');

done_testing();
