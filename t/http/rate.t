#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# How many calls a tenant and its customers may make.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Test::More;
use IotTest::Engine;

my $t = IotTest::Engine->new(workers => 2);

$t->replace($_, 'json', q{ RETURN to_json(1); })
    for qw(user_current system_info);

my $tenant = $t->tenant;
my $customer = $t->customer;
my $sysadmin = $t->sysadmin;

# the words of a client that stays within the limit, through the API
sub limits {
    my (%limits) = @_;
    my $path = '/api/tenantProfileInfo/default';
    my $id = $t->get($path, token => $sysadmin)->json->{id}{id};
    my $profile = $t->get("/api/tenantProfile/$id", token => $sysadmin)->json;
    my $configuration = $profile->{profileData}{configuration};

    $configuration->{"${_}ServerRestLimitsConfiguration"} = $limits{$_}
        for qw(tenant customer);

    my $a = $t->post('/api/tenantProfile', token => $sysadmin,
        json => $profile);
    is($a->status, 200, 'the profile is changed') or diag($a->body);
}


# a fresh connection each time, so that both workers get some
sub calls {
    my ($token, $n) = @_;
    my %status;

    for (1 .. $n) {
        my $a = $t->get('/api/system/info', token => $token,
            client => $t->client);
        $status{$a->status}++;
        $status{answer} = $a if $a->status == 429;
    }

    return \%status;
}


is(calls($tenant, 20)->{200}, 20, 'no limit at first');

limits(tenant => '10:3600');

my $s = calls($tenant, 25);
is($s->{200}, 10, 'the tenant may do what its profile says');
is($s->{429}, 15, 'and no more, in all workers together');

my $a = $s->{answer};
is($a->json->{errorCode}, 33, 'too many requests');
is($a->json->{message}, 'Too many requests for current tenant!',
    'in the known words');
cmp_ok($a->header('retry-after'), '>=', 1, 'when to come again');
cmp_ok($a->header('retry-after'), '<=', 360, 'which is not for ever');

is(calls($customer, 3)->{429}, 3, 'its customers are part of it');
is(calls($sysadmin, 30)->{200}, 30, 'the system is not');

limits(customer => '5:3600', tenant => '');

$s = calls($customer, 8);
is($s->{200}, 5, 'a customer may do what the profile says');
is($s->{answer}->json->{message}, 'Too many requests for current customer!',
    'in the known words');
is(calls($tenant, 20)->{200}, 20, 'the tenant itself may go on');

limits(customer => '', tenant => '');
is(calls($customer, 20)->{200}, 20, 'a limit that is lifted is gone at once');

limits(tenant => '3:1');
is(calls($tenant, 6)->{429} ? 1 : 0, 1, 'a short window');
ok($t->wait_for(5, sub { calls($tenant, 1)->{200} }), 'fills again');

# a refused call costs nothing else
is($t->get('/api/system/info')->status, 401, 'nobody is not counted');

done_testing();
