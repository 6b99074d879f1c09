#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# Values written over REST: their types, and what is refused in which words.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Test::More;
use IotTest;

my $t = IotTest->new(workers => 2);
my $token = $t->tenant;
my $device = $t->device_id;
my $base = "/api/plugins/telemetry/DEVICE/$device";


sub save {
    my ($path, $body) = @_;

    return $t->post("$base/$path", token => $token, body => $body);
}


# (b, l, d, s) of an attribute
sub stored {
    my ($scope, $key) = @_;

    return $t->sql('SELECT a.b, a.l, a.d, a.s FROM iot.attribute a '
        . 'JOIN iot.key k ON k.id = a.key JOIN iot.device d ON d.nr = a.entity '
        . 'WHERE d.id = ? AND a.scope = ? AND k.name = ?',
        $device, $scope, $key)->[0];
}


# types

my $big = '123456789012345678901234567890';
my $r = save('attributes/SERVER_SCOPE', '{"yes":true,"no":false,"int":42,'
    . '"min":-9223372036854775808,"dbl":42.0,"exp":1e2,"tiny":7e-06,'
    . qq("big":$big,"text":"a\\"b\\\\c\\u00e9\\n","cast":"0123","half":"12.50",)
    . '"empty":"","obj":{ "a" : [1, {"b":"\\u0022"}] },"k\\"ey":1,'
    . '"twice":1,"twice":2}');

is($r->status, 200, 'attributes');
is($r->body, '', 'no body');

my %expect = (yes => [1, undef, undef, undef],
    no => [0, undef, undef, undef], int => [undef, 42, undef, undef],
    min => [undef, '-9223372036854775808', undef, undef],
    dbl => [undef, undef, 42, undef], exp => [undef, 100, undef, undef],
    tiny => [undef, undef, 7e-6, undef], big => [undef, undef, undef, $big],
    text => [undef, undef, undef, "a\"b\\c\x{e9}\n"],
    cast => [undef, 123, undef, undef], half => [undef, undef, 12.5, undef],
    empty => [undef, undef, undef, ''],
    obj => [1, undef, undef, '{"a":[1,{"b":"\\u0022"}]}'],
    'k"ey' => [undef, 1, undef, undef], twice => [undef, 2, undef, undef]);

is_deeply(stored(3, $_), $expect{$_}, "type of $_") for sort keys %expect;

is($t->get("$base/values/attributes/SERVER_SCOPE?keys=dbl,int",
    token => $token)->status, 200, 'read back');

# all paths of attributes

is(save('SERVER_SCOPE', '{"short":1}')->status, 200, 'type and id');
is($t->post("/api/plugins/telemetry/$device/SHARED_SCOPE", token => $token,
    body => '{"shared":"x"}')->status, 200, 'of a device');
is_deeply(stored(2, 'shared'), [undef, undef, undef, 'x'], 'shared');

# time series

my $now = time() * 1000;

is(save('timeseries/ANY', '{"a":1}')->status, 200, 'without a time');
is(save('timeseries/ANY?scope=ANY', '{"ts":1700000000000,"values":{"b":2.5,'
    . '"c":"x"}}')->status, 200, 'with a time');
is(save('timeseries/ANY', '[{"ts":1700000001000,"values":{"b":3}},'
    . '{"ts":"1700000002000","values":{"b":true}},{"d":{"x":1}}]')->status,
    200, 'several');
is(save('timeseries/ANY/60', '{"e":1}')->status, 200, 'with a time to live');

my $answer = $t->get("$base/values/timeseries?keys=b&startTs=1699999999999"
    . '&endTs=1700000003000&useStrictDataTypes=true', token => $token);

is_deeply([map { [$_->{ts}, $_->{value}] }
    sort { $a->{ts} <=> $b->{ts} } @{$answer->json->{b}}],
    [[1700000000000, 2.5], [1700000001000, 3],
        [1700000002000, JSON::XS::true]], 'history');

$answer = $t->get("$base/values/timeseries?keys=a,d", token => $token)->json;
cmp_ok(abs($answer->{a}[0]{ts} - $now), '<', 10_000, 'the time of arrival');
is($answer->{d}[0]{value}, '{"x":1}', 'JSON');
is($t->value('SELECT (t.expires_at - t.ts) / 1000 FROM iot.telemetry t '
    . 'JOIN iot.key k ON k.id = t.key WHERE k.name = ?', 'e'), 60,
    'it expires');

# a body of many

is(save('timeseries/ANY', '[' . join(',', map {
    '{"ts":' . (1600000000000 + $_) . ',"values":{"many":' . $_ . '}}'
    } 1 .. 5000) . ']')->status, 200, 'five thousand points');
is($t->value('SELECT count(*) FROM iot.telemetry t JOIN iot.key k '
    . 'ON k.id = t.key WHERE k.name = ?', 'many'), 5000, 'all of them');

# what is refused

my $series = 'Unable to parse time series payload';

for my $case (
    ['SERVER_SCOPE', '', 'Invalid JSON'],
    ['SERVER_SCOPE', '{"a":', 'Invalid JSON'],
    ['SERVER_SCOPE', '{a:1}', 'Invalid JSON'],
    ['SERVER_SCOPE', "{\"a\":\"\xff\"}", 'Invalid JSON'],
    ['SERVER_SCOPE', '[{"a":1}]', 'Request is not a JSON object'],
    ['SERVER_SCOPE', '"a"', 'Request is not a JSON object'],
    ['SERVER_SCOPE', '{}', 'No attributes data found in request body!'],
    ['SERVER_SCOPE', '{"":1}', 'Key cannot be blank'],
    ['SERVER_SCOPE', '{"  ":1}', 'Key cannot be blank'],
    ['attributes/CLIENT_SCOPE', '{"a":1}', 'Invalid scope: CLIENT_SCOPE'],
    ['SERVER_SCOPE', '{"a":null}', undef],
    ['SERVER_SCOPE', '{"' . 'k' x 256 . '":1}', undef],
    ['timeseries/ANY', '{"a":', "$series: Invalid JSON body!"],
    ['timeseries/ANY', '', "$series: Invalid JSON body!"],
    ['timeseries/ANY', '{}', 'No time series data found in request body!'],
    ['timeseries/ANY', '[]', 'No time series data found in request body!'],
    ['timeseries/ANY', '{"a":null}', qr/^$series\. Invalid JSON body: ./],
    ['timeseries/ANY', '7', qr/^$series\. Invalid JSON body: ./],
    ['timeseries/ANY', '[[1]]', qr/^$series\. Invalid JSON body: ./],
    ['timeseries/ANY', '{"ts":"x","values":{"a":1}}',
        qr/^$series\. Invalid JSON body: ./],
    ['timeseries/ANY/x', '{"a":1}', undef],
    ['timeseries/ANY/-1', '{"a":1}', undef])
{
    my ($path, $body, $message) = @$case;
    my $name = "$path " . substr($body, 0, 30);
    my $answer = save($path, $body);

    is($answer->status, 400, "$name: status");
    like($answer->header('Content-Type'), qr{^text/plain}, "$name: type");

    if (ref($message)) {
        like($answer->body, $message, "$name: text");

    } elsif (defined $message) {
        is($answer->body, $message, "$name: text");

    } else {
        isnt($answer->body, '', "$name: some text");
    }
}

is(save('SERVER_SCOPE', '[' x 100 . ']' x 100)->status, 400, 'deep');

is($t->post("/api/plugins/telemetry/DEVICE/$t->{ids}{TENANT_ID}/SERVER_SCOPE",
    token => $token, body => '{"a":1}')->status, 404, 'no such device');
is($t->post("$base/SERVER_SCOPE", body => '{"a":1}')->status, 401, 'nobody');

$t->finish;
done_testing();
