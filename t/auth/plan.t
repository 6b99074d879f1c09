#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# Usage plans of API keys: a rate and a quota, told in headers, counted over
# all workers, changed while they run.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Test::More;
use IotTest;

my $t = IotTest->new(workers => 2,
    server => "location /gate/ { iot_gate key; empty_gif; }\n");
my $tenant = $t->tenant;


sub key {
    my ($token) = @_;

    return $t->post('/api/apiKey', token => $token,
        json => { description => 'plan' })->json;
}


sub call {
    my ($key, $path) = @_;

    return $t->get($path || '/api/auth/user', client => $t->client,
        headers => { 'X-Authorization' => "ApiKey $key->{value}" });
}


sub put {
    my ($token, $name, $value) = @_;

    return $t->put("/api/settings/apiKeys.$name", token => $token,
        json => { value => $value });
}


# all workers know, whatever is used up
sub becomes {
    my ($key, $policy, $name) = @_;

    ok($t->wait_for(5, sub {
        !grep { ($_->header('RateLimit-Policy') || '') ne $policy }
            map { call($key) } 1 .. 6
    }), $name);
}

my ($one, $two) = (key($tenant), key($tenant));
my $r = call($one);

is($r->status, 200, 'a key without a plan');
is($r->header('RateLimit-Policy'), undef, 'has no limit');

is(put($tenant, 'plans', { small => { rate => '4:3600', quota => 100 },
    large => { quota => 1000, period => 'month' } })->status, 200, 'plans');
is(put($tenant, 'plan', 'large')->status, 200, 'one for all keys');
becomes($one, '1000;w=2592000', 'is in force');
is(put($tenant, 'assigned', { $one->{id}{id} => 'small' })->status, 200,
    'one for a key');
becomes($one, '4;w=3600, 100;w=86400', 'is in force');
becomes($two, '1000;w=2592000', 'the other has its own');

$r = call($one);
is($r->status, 429, 'a rate is used up');
is($r->json->{message}, 'Too many requests for this API key!', 'says why');
is($r->header('RateLimit-Limit'), 4, 'by which limit');
is($r->header('RateLimit-Remaining'), 0, 'nothing is left');
cmp_ok($r->header('RateLimit-Reset'), '>', 2000, 'for some time');
cmp_ok($r->header('Retry-After'), '<=', 900, 'until the next may go');
is(call($one, '/gate/')->status, 429, 'nor for the gatekeeper');
is(call($two, '/gate/')->status, 200, 'which lets the other in');

$r = call($two);
is($r->status, 200, 'the other key goes on');
is($r->header('RateLimit-Limit'), 1000, 'within its quota');
is(call($two)->header('RateLimit-Remaining'),
    $r->header('RateLimit-Remaining') - 1, 'of which one less is left');
is($t->get('/api/auth/user', token => $tenant)->header('RateLimit-Limit'),
    undef, 'a login has no plan');

for my $case (['plans', { a => 1 }, q{Plan 'a' is malformed!}],
    ['plans', { a => { rate => 'x' } }, q{Plan 'a' is malformed!}],
    ['plans', { a => { quota => 0 } }, q{Plan 'a' is malformed!}],
    ['plans', { a => { quota => 5, period => 'x' } },
        q{Plan 'a' is malformed!}],
    ['plans', { a => { rate => '1:86400', quota => 5 } },
        q{Plan 'a' is malformed!}],
    ['plans', { large => {} }, q{There is no plan 'small'!}],
    ['plan', 'none', q{There is no plan 'none'!}])
{
    my ($name, $value, $message) = @$case;

    $r = put($tenant, $name, $value);
    is($r->status, 400, $message);
    is($r->json->{message}, $message, 'in these words');
}

# those of the server hold for tenants without any

$t->del("/api/settings/apiKeys.$_", token => $tenant)
    for qw(assigned plan plans);
is(put($t->sysadmin, 'plans', { all => { rate => '500:60' } })->status, 200,
    'of the server');
is(put($t->sysadmin, 'plan', 'all')->status, 200, 'for everybody');
becomes($one, '500;w=60', 'is in force');

done_testing();
