#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# A query string becomes a JSON object of strings.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Test::More;
use IotTest::Engine;

my $t = IotTest::Engine->new;

$t->replace('server_time', 'json', q{ RETURN (query); });

my $token = $t->tenant;

sub query {
    return $t->get("/api/dashboard/serverTime$_[0]", token => $token);
}

my @good = (
    ['', {}],
    ['?', {}],
    ['?&&', {}],
    ['?a=1', { a => '1' }],
    ['?a=', { a => '' }],
    ['?a', { a => '' }],
    ['?=b', { '' => 'b' }],
    ['?a=1&b=2', { a => '1', b => '2' }],
    ['?a=1&a=2', { a => ['1', '2'] }],
    ['?a=1&b=x&a=2&c=y&a=3', { a => ['1', '2', '3'], b => 'x', c => 'y' }],
    ['?a&a', { a => ['', ''] }],
    ['?keys=x,y&keys=z', { keys => ['x,y', 'z'] }],
    ['?a=b=c', { a => 'b=c' }],
    ['?a=b+c%2Bd', { a => 'b c+d' }],
    ['?a+b=c', { 'a b' => 'c' }],
    ['?%61=1&a=2', { a => ['1', '2'] }],
    ['?a=%22%5C%2F%0A', { a => "\"\\/\n" }],
    ['?a=%C3%A4%F0%9F%98%80', { a => "\x{e4}\x{1f600}" }],
    ["?a=\xc3\xa4", { a => "\x{e4}" }],
    ['?a=%26%3D%25', { a => '&=%' }],
    ['?textSearch=a%27%3B--', { textSearch => "a';--" }],
);

for (@good) {
    my ($text, $object) = @$_;
    my $a = query($text);

    is_deeply($a->json, $object, "query \"$text\"") or diag($a->body);
}

my $long = 'v' x 7000;
is(query("?a=$long")->json->{a}, $long, 'a long value');

my $many = join('&', map { "k$_=$_" } 1 .. 256);
is(scalar(keys %{query("?$many")->json}), 256, 'many parameters');
is(query("?$many&k=1")->status, 400, 'too many');

for my $text (qw(?a=%ff ?a=%zz ?a=% ?a=%4 ?a=%00 ?%ff=a ?a=%c0%80
    ?a=%ed%a0%80 ?a=1&b=%c3))
{
    my $a = query($text);

    is($a->status, 400, "refused: $text");
    is($a->json->{errorCode}, 31, '... as a bad request');
}

done_testing();
