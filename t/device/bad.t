#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# What the device API refuses, and that nothing of it is stored.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Test::More;
use IotTest::Device;

my $t = IotTest::Device->new;
my $token = $t->device_token;
my $a;


sub refused {
    my ($what, $body, $name) = @_;

    $a = $t->$what($body);
    is($a->status, 400, "$what: $name");
    like($a->body, qr/^[^<>\r\n]{3,300}$/, 'with a reason in one line');
    is($a->header('content-type'), 'text/plain', 'in plain text');
}


# --- who, where, how

for my $path ('nobody/telemetry', 'testdevicetoken00001/telemetry',
    "${token}x/telemetry", substr($token, 1) . '/telemetry',
    "$token%20/telemetry", '%27%20or%201/telemetry',
    '%FF%FE/telemetry', ('x' x 255) . '/telemetry',
    ('x' x 256) . '/telemetry', 'nobody/attributes')
{
    $a = $t->post("/api/v1/$path", body => '{"a":1}');
    is($a->status, 401, substr($path, 0, 40) . ': 401');
    is($a->body, '', 'and not a word');
}

is($t->get('/api/v1/nobody/attributes')->status, 401, 'GET: 401');
is($t->get("/api/v1/$token%00/attributes")->status, 400,
    'a zero byte is no part of a path');

for my $path ('', 'x', "$token", "$token/", "$token/nothing",
    "$token/telemetry/x", "$token/attributes/x", "$token/Telemetry",
    "$token/rpc/1/2")
{
    is($t->post("/api/v1/$path", body => '{"a":1}')->status, 404,
        "/api/v1/$path: 404");
}

for (['GET', 'telemetry', 'POST'], ['PUT', 'telemetry', 'POST'],
    ['DELETE', 'telemetry', 'POST'], ['PATCH', 'telemetry', 'POST'],
    ['BREW', 'telemetry', 'POST'], ['HEAD', 'telemetry', 'POST'],
    ['DELETE', 'attributes', 'GET, HEAD, POST'],
    ['POST', 'firmware', 'GET, HEAD'])
{
    my ($method, $what, $allow) = @$_;

    $a = $t->http($method, $t->url($what));
    is($a->status, 405, "$method $what: 405");
    is($a->header('allow'), $allow, 'with what is allowed');
}

$a = $t->get('/api/v1/provision');
is($a->status, 405, 'GET provision: 405');
is($a->header('allow'), 'POST', 'with what is allowed');

# the body of a request that is answered early is not taken for the next one
my $c = $t->client;

for my $what ('nobody/telemetry', "$token/nothing") {
    my $body = "POST /api/v1/$token/telemetry HTTP/1.1\r\nHost: x\r\n"
        . "Content-Length: 11\r\n\r\n{\"evil\":1} ";

    $c->write(IotTest::Client::format_request('POST', "/api/v1/$what", [],
        $body));
    isnt($c->answer->status, 200, "$what with a body");
    $c->write($t->request('POST', 'telemetry', '{"good":1}'));
    is($c->answer->status, 200, 'and the next request on the connection');
}

is_deeply([sort keys %{$t->points}], ['good'], 'nothing else was believed');
$t->wipe;

is($t->telemetry('{"a":1}', type => 'application/xml')->status, 415, 'XML');
is($t->attributes('{"a":1}', type => 'multipart/form-data; boundary=x')
    ->status, 415, 'multipart');

# --- no JSON

my %syntax = (
    'nothing'              => '',
    'blanks'               => " \r\n ",
    'a word'               => 'hello',
    'a cut object'         => '{"a":1',
    'a cut string'         => '{"a":"x',
    'a cut escape'         => '{"a":"\u12"}',
    'a cut array'          => '{"a":[1,2}',
    'two objects'          => '{"a":1}{"b":2}',
    'rubbish behind'       => '{"a":1} x',
    'a comma behind'       => '{"a":1,}',
    'no comma'             => '{"a":1 "b":2}',
    'no colon'             => '{"a" 1}',
    'no quotes'            => '{a:1}',
    'single quotes'        => "{'a':1}",
    'a comment'            => '{"a":1/* x */}',
    'NaN'                  => '{"a":NaN}',
    'nan'                  => '{"a":nan}',
    'Infinity'             => '{"a":Infinity}',
    'minus infinity'       => '{"a":-Infinity}',
    'a plus sign'          => '{"a":+1}',
    'a leading zero'       => '{"a":01}',
    'a dot behind'         => '{"a":1.}',
    'a dot before'         => '{"a":.5}',
    'a hex number'         => '{"a":0x10}',
    'an empty exponent'    => '{"a":1e}',
    'a lone minus'         => '{"a":-}',
    'True'                 => '{"a":True}',
    'undefined'            => '{"a":undefined}',
    'a raw newline'        => "{\"a\":\"x\ny\"}",
    'a raw zero byte'      => "{\"a\":\"x\0y\"}",
    'a bad escape'         => '{"a":"\x41"}',
    'bad UTF-8'            => "{\"a\":\"\xff\xfe\"}",
    'cut UTF-8'            => "{\"a\":\"\xe2\x82\"}",
    'overlong UTF-8'       => "{\"a\":\"\xc0\xaf\"}",
    'a surrogate in UTF-8' => "{\"a\":\"\xed\xa0\x80\"}",
    'bad UTF-8 in a key'   => "{\"\xff\":1}",
    'UTF-16'               => "\xff\xfe{\0}\0",
    'HTML'                 => '<html></html>',
);

for my $what ('telemetry', 'attributes') {
    refused($what, $syntax{$_}, $_) for sort keys %syntax;
}

# --- JSON of another shape

my %telemetry = (
    'a text'               => '"x"',
    'a number'             => '5',
    'true'                 => 'true',
    'null'                 => 'null',
    'an array of numbers'  => '[1,2]',
    'an array in an array' => '[[{"a":1}]]',
    'a null in the array'  => '[{"a":1},null]',
    'values that is text'  => '{"ts":1,"values":"x"}',
    'values that is array' => '{"ts":1,"values":[1]}',
    'values that is null'  => '{"ts":1,"values":null}',
    'ts that is a word'    => '{"ts":"now","values":{"a":1}}',
    'ts that is true'      => '{"ts":true,"values":{"a":1}}',
    'ts that is null'      => '{"ts":null,"values":{"a":1}}',
    'ts that is an object' => '{"ts":{},"values":{"a":1}}',
    'ts that is empty'     => '{"ts":"","values":{"a":1}}',
    'ts before all times'  => '{"ts":-1,"values":{"a":1}}',
    'ts after all times'   => '{"ts":10000000000000,"values":{"a":1}}',
    'ts far too large'     => '{"ts":9223372036854775807,"values":{"a":1}}',
    'ts beyond 64 bits'    => '{"ts":99999999999999999999,"values":{"a":1}}',
    'an endless ts'        => '{"ts":1e999999999,"values":{"a":1}}',
    'an empty key'         => '{"":1}',
    'a blank key'          => '{"  ":1}',
    'a zero in a key'      => '{"a\u0000b":1}',
    'a zero in a text'     => '{"a":"x\u0000y"}',
    'a zero in an object'  => '{"a":{"x":"\u0000"}}',
    'half a pair'          => '{"a":"\ud83d"}',
    'the other half'       => '{"a":"\ude00x"}',
);

for my $name (sort keys %telemetry) {
    refused('telemetry', $telemetry{$name}, $name);

    # the good ones beside it are refused with it
    refused('telemetry', "[{\"good\":1},$telemetry{$name}]",
        "$name, and a good one") if $telemetry{$name} =~ /^\{/;
}

my %attributes = (
    'an array'         => '[]',
    'an array of some' => '[{"a":1}]',
    'a text'           => '"x"',
    'a number'         => '5',
    'null'             => 'null',
    'an empty key'     => '{"":1}',
    'a zero in a text' => '{"a":"\u0000"}',
);

refused('attributes', $attributes{$_}, $_) for sort keys %attributes;

is_deeply($t->points, {}, 'no telemetry was stored');
is_deeply($t->stored_attributes(1), {}, 'and no attribute');

# --- the bytes below

for (["GARBAGE\r\n\r\n", 'garbage'],
    ["POST $token HTTP/1.1\r\nHost: x\r\n\r\n", 'no path'],
    ["POST /api/v1/$token/telemetry HTTP/1.1\r\n\r\n", 'no host'],
    ["POST /api/v1/$token/telemetry HTTP/1.1\r\nHost: x\r\n"
        . "Content-Length: -5\r\n\r\n", 'a negative length'],
    ["POST /api/v1/$token/telemetry HTTP/1.1\r\nHost: x\r\n"
        . "Content-Length: 99999999999999999999\r\n\r\n", 'a length too large'],
    ["POST /api/v1/$token/telemetry HTTP/1.1\r\nHost: x\r\n"
        . "Transfer-Encoding: chunked\r\n\r\nzz\r\n", 'a bad chunk'],
    ["POST /api/v1/../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n",
        'a path out of the root'])
{
    my $raw = $t->client;

    $raw->write($_->[0]);
    like($raw->read_until(qr/\r\n/), qr{^HTTP/1\.1 40[045] }, $_->[1]);
}

is($t->telemetry('{"a":1}')->status, 200, 'all is well');

done_testing();
