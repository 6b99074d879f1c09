#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# Thinger.io devices: they enter by the native protocol and by IOTMP, and
# their resources are read, written and described over REST.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use JSON::XS qw(decode_json encode_json);
use Test::More;
use IotTest;
use IotTest::Client;
use IotTest::Native;

my $t = IotTest->new(workers => 2);
my $user = $t->account('TENANT_EMAIL');
my $tenant = $t->tenant;
my @auth = (headers => { Authorization => "Bearer $tenant" });
my ($a, $c, $d, $e, $id, $rest);

sub native { return IotTest::Native->new($t->port('native')) }

# a request of a person, written but not answered
sub ask {
    my ($method, $path, $body, $type) = @_;
    my $client = $t->client;
    my @headers = ([Authorization => "Bearer $tenant"]);

    push @headers, ['Content-Type' => $type || 'application/json']
        if defined $body;

    $client->write(IotTest::Client::format_request($method, $path, \@headers,
        $body));

    return $client;
}

# --- the account gets its short name, and a device

is($t->put("/v1/users/$user", @auth, json => { user => 'alice' })->status,
    200, 'the account has a name');
is($t->get('/v1/users/alice', @auth)->json->{email}, $user, 'and keeps it');
is($t->put("/v1/users/$user", @auth, json => { user => 'a b' })->status,
    400, 'which is no text');

$a = $t->post('/v1/users/alice/devices', @auth,
    json => { device => 'dev1', credentials => 's3cret', name => 'One' });
is($a->status, 200, 'a device is made') or diag($a->body);
is($a->json->{device}, 'dev1', 'its id');
is($t->post('/v1/users/alice/devices', @auth,
    json => { device => 'dev1', credentials => 's3cret' })->status, 409,
    'there is only one');
is($t->post('/v1/users/alice/devices', @auth,
    json => { device => 'dev 2', credentials => 's3cret' })->status, 400,
    'an id has no blanks');
is($t->post('/v1/users/alice/devices', @auth,
    json => { device => 'dev2', credentials => 'short' })->status, 400,
    'and its credentials six characters');
is($t->get('/api/tenant/devices?deviceName=dev1', token => $tenant)->json
    ->{name}, 'dev1', 'the other API has the device too');
is($t->get('/v1/users/alice/devices/none', @auth)->status, 404, 'no such');
is($t->get('/v1/users/bob/devices', @auth)->status, 403, 'of somebody else');

$a = $t->get('/v1/users/alice/devices/dev1');
is($a->status, 401, 'who asks must say so');
ok($a->json->{error}{message}, 'and is told');

# --- not connected

is($t->get('/v3/users/alice/devices/dev1/resources/temp', @auth)->status,
    404, 'a device that is not connected has no resources');

# --- entering

$d = native();
is($d->login('alice', 'dev1', 'wrong!'), '01021002', 'a wrong credential');
is($d->frame, '', 'closes');

$d = native();
is($d->login('alice', 'dev9', 's3cret'), '01021002', 'an unknown device');

$d = native();
$d->hex('0105080110012600');
is($d->frame, '', 'who does not enter first is closed');

for my $round (1 .. 4) {
    $d = native();

    # in pieces
    $d->hex($_) for qw(01 1a1005 2672154a05616c696365 4a0464657631
        4a06733363726574);
    is($d->frame, '01021001', 'the device enters');
    $d->hex('0200');
    is($d->frame, '0200', 'keep-alive');

    # --- reading

    $c = ask('GET', '/v3/users/alice/devices/dev1/resources/temp');
    ($id, $rest) = $d->request;
    is($rest, '2672064a0474656d70', 'temp is run');
    $d->answer($id, 1, '1d0000ac41');
    $a = $c->answer;
    is($a->status, 200, 'read');
    is($a->body, '21.5', 'bare in version 3');

    $c = ask('GET', '/v2/users/alice/devices/dev1/temp');
    ($id) = $d->request;
    $d->answer($id, 1, '1d0000ac41');
    is($c->answer->body, '{"out":21.5}', 'wrapped in version 2');
}

# --- taken over: the first is closed, the second answers, wherever it is

for (1 .. 4) {
    my $former = $d;

    $d = native();
    is($d->login('alice', 'dev1', 's3cret'), '01021001', 'a second enters');
    is($former->frame, '', 'the first is closed');
}

# --- writing, describing, nested, bytes, errors

$c = ask('POST', '/v3/users/alice/devices/dev1/resources/led', 'true');
($id, $rest) = $d->request;
is($rest, '2672054a036c65643628', 'a value is written');
$d->answer($id, 1);
$a = $c->answer;
is($a->status, 200, 'done');
is($a->body, '', 'without an answer');

$c = ask('POST', '/v2/users/alice/devices/dev1/led', '{"in":true}');
($id, $rest) = $d->request;
is($rest, '2672054a036c65643628', 'out of its member in version 2');
$d->answer($id, 1);
is($c->answer->status, 200, 'done');

$c = ask('GET', '/v3/users/alice/devices/dev1/resources/api');
($id, $rest) = $d->request;
is($rest, '2672054a03617069', 'the description');
$d->answer($id, 1, '6a0b036c65646a0502666e0802');
is_deeply($c->answer->json, { led => { fn => 2 } }, 'as it is');

$c = ask('GET', '/v3/users/alice/devices/dev1/resources/motor%2Fspeed');
($id, $rest) = $d->request;
is($rest, '26720e4a056d6f746f724a057370656564', 'an escaped slash');
$d->answer($id, 2);
is($c->answer->status, 404, 'an error is a 404');

# an input answers nothing: its state is asked for
$c = ask('GET', '/v3/users/alice/devices/dev1/resources/led');
($id) = $d->request;
$d->answer($id, 1);
($id, $rest) = $d->request;
is($rest, '26720a4a036c65644a03617069', 'the description of an input');
$d->answer($id, 1, '6a0402696e30');
is($c->answer->body, 'false', 'has its state');

$c = ask('POST', '/v3/users/alice/devices/dev1/resources/$ota/write', "\0\1",
    'application/octet-stream');
($id, $rest) = $d->request;
like($rest, qr/365a020001$/, 'bytes');
$d->answer($id, 1, '5a03010203');
$a = $c->answer;
is($a->body, "\1\2\3", 'and back');
is($a->header('content-type'), 'application/octet-stream', 'their type');

is($t->post('/v3/users/alice/devices/dev1/resources/led', @auth,
    body => '{', type => 'application/json')->status, 400, 'no JSON');

# several are open, answered out of order
my @c = map { ask('POST', '/v3/users/alice/devices/dev1/resources/x', $_) }
    2 .. 4;
my %open;

for (@c) {
    ($id, $rest) = $d->request;
    $open{substr($rest, -2)} = $id;
}

$d->answer($open{"0$_"}, 1, "080$_") for 4, 2, 3;
is($c[$_ - 2]->answer->body, $_, 'each its own') for 2 .. 4;

# who has gone answers nothing
$c = ask('GET', '/v3/users/alice/devices/dev1/resources/temp');
$d->request;
$d = undef;
is($c->answer->status, 404, 'the device goes');

# --- what the device asks: properties, another device

$d = native();
$d->login('alice', 'dev1', 's3cret');
$d->hex('0109100b1e4a04636f6e66');
is($d->frame, '01021002', 'no such property');

is($t->post('/v3/users/alice/devices/dev1/properties', @auth,
    json => { property => 'conf', value => { interval => 90 } })->status,
    200, 'a property');
$d->hex('0109100b1e4a04636f6e66');
is($d->frame, '01101001366a0b08696e74657276616c085a', 'is read');

$d->hex('010e0805100c1e4a046c61737436082a');
is($d->frame, '010408051001', 'one is written');
is($t->get('/v3/users/alice/devices/dev1/properties/last', @auth)->json
    ->{value}, 42, 'and is there');
is($t->del('/v3/users/alice/devices/dev1/properties/last', @auth)->status,
    200, 'it is deleted');
is($t->get('/v3/users/alice/devices/dev1/properties/last', @auth)->status,
    404, 'and gone');

# into a bucket: {"t":21.5,"ok":true,"name":"lab"}, then {"t":22}

my $dev1 = $t->get('/api/tenant/devices?deviceName=dev1', token => $tenant)
    ->json->{id}{id};

$d->hex('012308f5bf03100a1e4a026231366a1501741d0000ac41026f6b28046e616d65'
    . '4a036c6162');
is($d->frame, '010608f5bf031001', 'one is stored');
$d->hex('011208f5bf03100a1e4a026231366a0401740816');
is($d->frame, '010608f5bf031001', 'and another');

$a = $t->get("/api/plugins/telemetry/DEVICE/$dev1/values/timeseries?keys="
    . 'b1.t,b1.ok,b1.name', token => $tenant)->json;
is($a->{'b1.t'}[0]{value}, '22', 'it is telemetry of the device');
is($a->{'b1.ok'}[0]{value}, 'true', 'and so is the one before');
is($a->{'b1.name'}[0]{value}, 'lab', 'of any type');

$d->hex('010908f5bf03100a1e4a00');
is($d->frame, '010608f5bf031002', 'a bucket has a name');
$d->hex('010b08f5bf03100a1e4a026231');
is($d->frame, '010608f5bf031002', 'and a point something to store');

$t->post('/v1/users/alice/devices', @auth,
    json => { device => 'dev2', credentials => 's3cret' });

# --- IOTMP, of the current generation

$e = native();
$e->hex('03181ae385616c69636584646576328673336372657408e78a01');
is($e->frame, '010408e78a01', 'a device enters by IOTMP');
$e->hex('0500');
is($e->frame, '0500', 'keep-alive');

$d->hex('0111080510091e4a04646576322672034a0178');
my $run = $e->frame;
like($run, qr/^06/, 'one device calls another');
my ($n) = $run =~ /^06..08((?:[89a-f][0-9a-f])*[0-7][0-9a-f])/;
$e->hex(sprintf('01%02x1a0708%s', 3 + length($n) / 2, $n));
is($d->frame, '01070805100136' . '0807', 'and gets its answer');

# --- bad frames; the worker stays

for my $bad ('03', '0300', '01ffffffff7f', '011a10052672154a05', 'ff',
    '010226ff', '16030100', '0110' . '00' x 16) {
    my $b = native();

    $b->hex($bad);
    $b->{socket}->shutdown(1);
    is($b->frame, '', "closed: $bad");
}

my $frame = '011a10052672154a05616c6963654a04646576314a06733363726574';

for my $cut (1 .. length($frame) / 2 - 1) {
    my $b = native();

    $b->hex(substr($frame, 0, $cut * 2));
    $b->{socket}->shutdown(1);
    is($b->frame, '', "cut at $cut");
}

# --- deleted: the session ends

is($t->del('/v1/users/alice/devices/dev1', @auth)->status, 200, 'deleted');
is($d->frame, '', 'and closed');

$t->finish;
done_testing();
