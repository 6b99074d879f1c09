#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# What the profile of a tenant allows those who watch, over all workers.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Test::More;
use IotTest::Device;
use IotTest::Ws;

my $t = IotTest::Device->new(workers => 2);
my $tenant = $t->tenant;
my $id = $t->device_id;
my ($profile) = @{$t->get('/api/tenantProfiles?pageSize=9&page=0',
    token => $t->sysadmin)->json->{data}};


sub limits {
    my (%limits) = @_;
    my $conf = $profile->{profileData}{configuration};

    $conf->{$_} = $limits{$_} for keys %limits;
    delete $profile->{version};
    is($t->post('/api/tenantProfile', token => $t->sysadmin,
        json => $profile)->status, 200, join(' ', 'limits of', keys %limits));
}


my $number = 0;

# an answer to a command: whoever gets one has been let in
sub alive {
    my ($ws) = @_;
    my $cmd = ++$number;

    $ws->command(cmdId => $cmd, type => 'TIMESERIES_HISTORY',
        entityType => 'DEVICE', entityId => $id, keys => 't', startTs => 1,
        endTs => 2);

    my $got = $ws->next;

    return ref($got) ? $got->{subscriptionId} == $cmd : $got;
}


sub subscribe {
    my ($ws, $cmd) = @_;

    $ws->command(cmdId => $cmd, type => 'TIMESERIES', entityType => 'DEVICE',
        entityId => $id, keys => 't');

    my $got = $ws->next;

    return ref($got) ? $got->{subscriptionId} : $got;
}


# --- connections, wherever they are

limits(maxWsSessionsPerTenant => 4, maxWsSessionsPerRegularUser => 3,
    maxWsSessionsPerCustomer => 1);

my @open = map { IotTest::Ws->login($t, $tenant) } 1 .. 3;

is(alive($_), 1, 'three of one user') for @open;
is(alive(IotTest::Ws->login($t, $tenant)),
    'close 1008 Max regular user sessions limit reached!', 'no fourth');

my $customer = IotTest::Ws->login($t, $t->customer);

is(alive($customer), 1, 'another user');
is(alive(IotTest::Ws->login($t, $t->customer)),
    'close 1008 Max tenant sessions limit reached!', 'the tenant has four');

$open[0]->{client}->close;
shift @open;
is($t->wait_for(10, sub {
    my $ws = IotTest::Ws->login($t, $t->customer);
    my $got = alive($ws);

    return $got eq 'close 1008 Max customer sessions limit reached!';
}), 1, 'then there is room in the tenant, but not in the customer');

my $again;

is($t->wait_for(10, sub {
    $again = IotTest::Ws->login($t, $tenant);
    return alive($again) eq '1';
}), 1, 'what was closed does not count');
push @open, $again;

# --- subscriptions

limits(maxWsSubscriptionsPerRegularUser => 3);
$_->{client}->close for @open;
$customer->{client}->close;

my ($first, $second);

is($t->wait_for(10, sub {
    $first = IotTest::Ws->login($t, $tenant);
    return alive($first) eq '1';
}), 1, 'a connection with the new limits');
$second = IotTest::Ws->login($t, $tenant);
is(subscribe($first, 1), 1, 'one subscription');
is(subscribe($first, 2), 2, 'two');
is(subscribe($second, 1), 1, 'three of the user');
is(subscribe($first, 2), 2, 'a replaced one is not a fourth');
is(subscribe($second, 2),
    'close 1008 Max regular user subscriptions limit reached!', 'a fourth');
is($t->wait_for(10, sub {
    $second = IotTest::Ws->login($t, $tenant);
    return subscribe($second, 1) eq '1';
}), 1, 'the connection took its subscriptions along');

# --- updates

limits(wsUpdatesPerSessionRateLimit => '2:3600',
    maxWsSubscriptionsPerRegularUser => 0);
my $slow = IotTest::Ws->login($t, $t->customer);

is(subscribe($slow, 7), 7, 'the state is no update');
$t->telemetry("{\"ts\":$_,\"values\":{\"t\":$_}}") for 1 .. 5;
is($slow->next->{data}{t}[0][1], $_, "update $_") for 1, 2;
is_deeply($slow->next, { subscriptionId => 7, errorCode => 34,
    errorMsg => 'Too many updates!' }, 'is told once');
is(alive($slow), 1, 'the others are left out');

# --- a worker that was killed does not count for ever

limits(maxWsSessionsPerRegularUser => 1, maxWsSessionsPerTenant => 0,
    maxWsSessionsPerCustomer => 0, wsUpdatesPerSessionRateLimit => undef);
$t->kill_worker($_) for $t->worker_pids;
is($t->wait_for(20, sub {
    my $ws = eval { IotTest::Ws->login($t, $tenant) } or return 0;
    my $got = eval { alive($ws) };

    return defined $got && $got eq '1';
}), 1, 'there is room again');

done_testing();
