#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# Attributes of devices: saved, asked for, and seen only by their own.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Test::More;
use IotTest::Device;

my $t = IotTest::Device->new;
my $a;


sub query {
    my ($query) = @_;
    my $answer = $t->get($t->url('attributes') . $query);

    is($answer->status, 200, "attributes$query");
    is($answer->header('content-type'), 'application/json', 'is JSON');

    return $answer->json;
}


sub double {
    return IotTest::Device::double(@_);
}


is_deeply(query(''), {}, 'nothing yet');

$a = $t->attributes('{"fw":"1.2.3","up":17,"t":21.5,"on":true,'
    . '"o":{"x":[1, null]},"none":null,"big":9223372036854775807}');
is($a->status, 200, 'saved');
is($a->body, '', 'without a word');

is_deeply($t->stored_attributes(1), { fw => ['STRING', '1.2.3'],
    up => ['LONG', 17], t => double(21.5), on => ['BOOLEAN', 'true'],
    o => ['JSON', '{"x":[1,null]}'], big => ['LONG', '9223372036854775807'] },
    'as client attributes');
is_deeply($t->stored_attributes(2), {}, 'not as shared');
is_deeply($t->stored_attributes(3), {}, 'nor as server');
is_deeply($t->points, {}, 'nor as telemetry');

is($t->attributes('{"ts":5,"values":{"a":1}}')->status, 200, 'ts and values');
is_deeply([@{$t->stored_attributes(1)}{qw(ts values)}],
    [['LONG', 5], ['JSON', '{"a":1}']], 'are names like all');

# an equal value is no change
my $time = sub {
    return $t->value('SELECT updated_at FROM iot.attribute AS a JOIN iot.key'
        . " AS k ON k.id = a.key WHERE k.name = 'up' AND a.scope = 1")
};

$t->sql("UPDATE iot.attribute SET updated_at = 7");
is($t->attributes('{"up":17}')->status, 200, 'the same value');
is($time->(), 7, 'keeps its time');
is($t->attributes('{"up":17.0}')->status, 200, 'another type');
cmp_ok($time->(), '>', 7, 'does not');
is($t->attributes('{"up":null}')->status, 200, 'null');
is_deeply($t->stored_attributes(1)->{up}, double(17), 'changes nothing');

is($t->attributes($_)->status, 200, "$_ is nothing") for ('{}', '{"a":null}');

# --- asked for

$t->set_attribute(2, 'target', '21.5');
$t->set_attribute(2, 'fw', 'shared');
$t->set_attribute(2, 'a b', 'blank');
$t->set_attribute(2, "\x{e4}", 'umlaut');
$t->set_attribute(2, '"\\{}', 'odd');
$t->set_attribute(3, 'secret', 'server');

my $all = query('');

is($all->{client}{fw}, '1.2.3', 'all: client');
is($all->{shared}{target}, '21.5', 'all: shared');
is(ref($all->{client}{o}), 'HASH', 'JSON is JSON');
is_deeply([sort keys %$all], [qw(client shared)], 'no server attributes');
unlike(JSON::XS->new->encode($all), qr/secret/, 'anywhere');

is_deeply(query('?clientKeys=fw,up'), { client => { fw => '1.2.3',
    up => 17.0 } }, 'some of the client');
is_deeply(query('?clientKeys=fw&clientKeys=on'), { client =>
    { fw => '1.2.3', on => JSON::XS::true() } }, 'repeated');
is_deeply(query('?sharedKeys=fw,target,none'), { shared => { fw => 'shared',
    target => '21.5' } }, 'some of the shared');
is_deeply(query('?clientKeys=fw&sharedKeys=fw'), { client => { fw => '1.2.3' },
    shared => { fw => 'shared' } }, 'both');
is_deeply(query('?clientKeys=none&sharedKeys=target'), { shared =>
    { target => '21.5' } }, 'an empty section is left out');
is_deeply(query('?sharedKeys=secret'), {}, 'not even by name');
is_deeply(query("?sharedKeys=$_"), { shared => { 'a b' => 'blank' } }, $_)
    for ('a%20b', 'a+b', '%61%20b', '%20a%20b%20,', ',,a+b,,');
is_deeply(query('?sharedKeys=%C3%A4'), { shared => { "\x{e4}" => 'umlaut' } },
    'UTF-8');
is_deeply(query('?sharedKeys=%22%5C%7B%7D'), { shared =>
    { '"\\{}' => 'odd' } }, 'what an array of PostgreSQL is written with');
is_deeply(query('?sharedKeys=NULL'), {}, 'NULL is a name');
is_deeply(query('?clientKeys='), {}, 'an empty list');
is_deeply([sort keys %{query('?x=1&clientKey=fw')}], [qw(client shared)],
    'other arguments mean nothing');
is_deeply(query('?clientKeys=' . join(',', 1 .. 900, 'fw')), { client =>
    { fw => '1.2.3' } }, 'hundreds of names');
is($t->get($t->url('attributes?clientKeys=%FF%FE'))->status, 400,
    'no UTF-8');
is_deeply(query('?clientKeys=fw%00x'), {}, 'a zero byte is in no name');

$a = $t->http('HEAD', $t->url('attributes'));
is($a->status, 200, 'HEAD');
cmp_ok($a->header('content-length'), '>', 10, 'tells the length');

# --- of others

$t->add_devices('Second');
is_deeply($t->get($t->url('attributes', 'Second'))->json, {},
    'another device has none of them');
is($t->attributes('{"fw":"9"}', token => 'Second')->status, 200, 'its own');
is_deeply(query('?clientKeys=fw'), { client => { fw => '1.2.3' } },
    'changes nothing here');

# --- many at once, over one connection: in order

my $c = $t->client;

$c->write(join('', map { $t->request('POST', 'attributes', "{\"n\":$_}") }
    1 .. 30));
is(join(' ', map { $c->answer->status } 1 .. 30), join(' ', (200) x 30),
    'thirty at once');
is_deeply($t->stored_attributes(1)->{n}, ['LONG', 30], 'the last one stays');

done_testing();
