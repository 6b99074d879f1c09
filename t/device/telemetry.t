#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# Telemetry in JSON: every shape, every type, and what time it gets.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Test::More;
use Time::HiRes qw(time);
use IotTest::Device;

my $t = IotTest::Device->new;


sub double {
    return IotTest::Device::double(@_);
}


sub post {
    my ($body, $name) = @_;

    $t->wipe;
    my $answer = $t->telemetry($body);
    is($answer->status, 200, $name);
    is($answer->body, '', "$name: no body");
}


# { key => [type, value] } under a time of its own
sub stores {
    my ($body, $values, $name) = @_;

    post($body, $name || $body);
    is_deeply($t->typed, $values, 'stored') or diag(explain($t->typed));
}


# --- types

stores('{"a":true,"b":false}', { a => ['BOOLEAN', 'true'],
    b => ['BOOLEAN', 'false'] });
stores('{"a":42,"b":-7,"c":0,"d":1e2,"e":1.0e2,"f":9223372036854775807,'
    . '"g":-9223372036854775808}',
    { a => ['LONG', 42], b => ['LONG', -7], c => ['LONG', 0],
        d => ['LONG', 100], e => ['LONG', 100],
        f => ['LONG', '9223372036854775807'],
        g => ['LONG', '-9223372036854775808'] });
stores('{"a":21.5,"b":42.0,"c":7e-06,"d":-0.1,"e":0.0}',
    { a => double(21.5), b => double(42), c => double(7e-6),
        d => double(-0.1), e => double(0) });
stores('{"a":9223372036854775808,"b":123456789012345678901234567890}',
    { a => ['STRING', '9223372036854775808'],
        b => ['STRING', '123456789012345678901234567890'] },
    'integers beyond 64 bits are texts');
stores('{"a":0.12345678901234567}', { a => ['STRING', '0.12345678901234567'] },
    'so are fractions of more than 16 digits');
stores('{"a":"text","b":"","c":"1e5","d":"+5","e":" 5","f":"5 ","g":"5."}',
    { a => ['STRING', 'text'], b => ['STRING', ''], c => ['STRING', '1e5'],
        d => ['STRING', '+5'], e => ['STRING', ' 5'], f => ['STRING', '5 '],
        g => ['STRING', '5.'] });
stores('{"a":"12","b":"-3","c":"12.50","d":"0123"}',
    { a => ['LONG', 12], b => ['LONG', -3], c => double(12.5),
        d => ['LONG', 123] }, 'texts that are plain numbers are numbers');
stores("{\"a\":\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\",\"b\":\"\\u00e4\","
    . '"c":"\ud83d\ude00","d":"a\"\\\\\/\n"}',
    { a => ['STRING', "\x{e4}\x{20ac}\x{1f600}"], b => ['STRING', "\x{e4}"],
        c => ['STRING', "\x{1f600}"], d => ['STRING', "a\"\\/\n"] },
    'UTF-8 and escapes');
stores('{"a":{"x":[1, 2.5, null, "s"]},"b":[ ],"c":{ }}',
    { a => ['JSON', '{"x":[1,2.5,null,"s"]}'], b => ['JSON', '[]'],
        c => ['JSON', '{}'] });
stores('{"a":1,"b":null,"c":2}', { a => ['LONG', 1], c => ['LONG', 2] },
    'null is nothing');
stores('{"a":1,"a":"x"}', { a => ['STRING', 'x'] }, 'the last of two wins');
stores("{\"Temp\":1,\"temp\":2,\"\xc3\xa4\":3,\"a b\":4,\"a.b\":5,\"'\":6}",
    { Temp => ['LONG', 1], temp => ['LONG', 2], "\x{e4}" => ['LONG', 3],
        'a b' => ['LONG', 4], 'a.b' => ['LONG', 5], "'" => ['LONG', 6] },
    'keys');

# without the cast, by the profile of the device
$t->sql('UPDATE iot.device_profile SET cast_strings = false');
$t->sql("SELECT pg_notify('iot', 'profile ' || id) FROM iot.device_profile");
ok($t->wait_for(5, sub {
    $t->telemetry('{"a":"12"}');
    $t->typed->{a}[0] eq 'STRING';
}), 'a profile may keep texts that look like numbers');
stores('{"a":"12.50","b":7}', { a => ['STRING', '12.50'], b => ['LONG', 7] },
    'as they are');
$t->sql('UPDATE iot.device_profile SET cast_strings = NULL');
$t->sql("SELECT pg_notify('iot', 'profile ' || id) FROM iot.device_profile");

# --- shapes and times

my $before = int(time() * 1000) - 5;
post('{"a":1,"b":2}', 'without a time');
my $after = int(time() * 1000) + 5;
my $points = $t->points;

cmp_ok($points->{a}[0][0], '>=', $before, 'the time is that of the server');
cmp_ok($points->{a}[0][0], '<=', $after, 'now');
is($points->{a}[0][0], $points->{b}[0][0], 'the same for all');

post('[{"a":1},{"b":2}]', 'an array');
$points = $t->points;
is($points->{a}[0][0], $points->{b}[0][0],
    'has the same time for all of them too');

post('{"ts":1792142423000,"values":{"a":21,"b":true}}', 'with a time');
is_deeply($t->points, { a => [[1792142423000, 'LONG', 21]],
    b => [[1792142423000, 'BOOLEAN', 'true']] }, 'stored');

post('{"values":{"a":1},"ts":"1792142423000"}', 'a time in a text');
is($t->points->{a}[0][0], 1792142423000, 'stored');

post('{"ts":1792142423000.9,"values":{"a":1}}', 'a time with a fraction');
is($t->points->{a}[0][0], 1792142423000, 'is cut');

post('{"ts":0,"values":{"a":1}}', 'the first of all times');
is($t->points->{a}[0][0], 0, 'stored');
post('{"ts":9999999999999,"values":{"a":1}}', 'the last of all times');
is($t->points->{a}[0][0], 9999999999999, 'stored');

post('{"ts":5000,"values":{"a":1},"metadata":{"x":1}}', 'with metadata');
is_deeply($t->points, { a => [[5000, 'LONG', 1]] }, 'that nobody wants');

post('[{"ts":1000,"values":{"a":1}},{"ts":2000,"values":{"a":2}},'
    . '{"ts":1000,"values":{"b":3}},{"c":4}]', 'a mixed array');
is_deeply([@{$t->points}{qw(a b)}], [[[1000, 'LONG', 1], [2000, 'LONG', 2]],
    [[1000, 'LONG', 3]]], 'stored');

post('[{"ts":1000,"values":{"a":1}},{"ts":1000,"values":{"a":"x"}}]',
    'the same time twice');
is_deeply($t->points, { a => [[1000, 'STRING', 'x']] }, 'the last one wins');

stores('{"ts":1,"x":2}', { ts => ['LONG', 1], x => ['LONG', 2] },
    'a time without values is a key');
stores('{"values":{"a":1}}', { values => ['JSON', '{"a":1}'] },
    'and values without a time');

for my $body ('{}', '[]', '[{}]', '[{},{}]', '{"ts":1,"values":{}}',
    '{"a":null}')
{
    stores($body, {}, $body);
}

# --- written again

$t->wipe;
is($t->telemetry('{"ts":7,"values":{"a":1}}')->status, 200, 'a point');
is($t->telemetry('{"ts":7,"values":{"a":"x"}}')->status, 200, 'again');
is_deeply($t->points, { a => [[7, 'STRING', 'x']] },
    'value and type are replaced');

# --- the outside of it

for my $type ('application/json', 'application/json; charset=utf-8',
    'text/plain', 'application/x-www-form-urlencoded', 'APPLICATION/JSON')
{
    is($t->telemetry('{"a":1}', type => $type)->status, 200, "as $type");
}

is($t->telemetry("\xef\xbb\xbf{\"a\":1}")->status, 200, 'a byte order mark');
is($t->telemetry(" \r\n\t{\"a\":1}\n ")->status, 200, 'blanks around it');
is($t->post($t->url('telemetry/'), body => '{"a":1}')->status, 200,
    'a slash at the end');

$t->wipe;
my $c = $t->client;

$c->write('POST ' . $t->url('telemetry') . " HTTP/1.1\r\nHost: x\r\n"
    . "Transfer-Encoding: chunked\r\n\r\n");
$c->write(sprintf("1\r\n%s\r\n", $_)) for split(//, '{"ts":1,"values":');
$c->write("7\r\n{\"a\":1}\r\n1\r\n}\r\n0\r\n\r\n");
is($c->answer->status, 200, 'in chunks of a byte');
is_deeply($t->points, { a => [[1, 'LONG', 1]] }, 'stored');

# a pipeline: the answers come in order, the last point wins
$c->write(join('', map {
    $t->request('POST', 'telemetry', "{\"ts\":1,\"values\":{\"p\":$_}}")
} 1 .. 20));
is(join(' ', map { $c->answer->status } 1 .. 20), join(' ', (200) x 20),
    'twenty requests at once');
is_deeply($t->points->{p}, [[1, 'LONG', 20]], 'in their order');

$t->add_devices('Second');
$t->wipe;
$t->telemetry('{"ts":1,"values":{"a":1}}');
$t->telemetry('{"ts":1,"values":{"a":2}}', token => 'Second');
is_deeply([$t->points, $t->points('Second')], [{ a => [[1, 'LONG', 1]] },
    { a => [[1, 'LONG', 2]] }], 'each device has its own');

done_testing();
