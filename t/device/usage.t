#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# What a tenant may send in a month: counted over all workers, refused when
# it is used up, and not forgotten by a restart.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Test::More;
use IotTest;

my $t = IotTest->new(workers => 2);
my ($sys, $tenant) = ($t->sysadmin, $t->tenant);
my $path = '/api/v1/' . $t->device_token . '/telemetry';


sub cap {
    my ($n) = @_;
    my $id = $t->get('/api/tenantProfileInfo/default', token => $sys)
        ->json->{id}{id};
    my $profile = $t->get("/api/tenantProfile/$id", token => $sys)->json;

    $profile->{profileData}{configuration}{maxTransportMessages} = $n;
    is($t->post('/api/tenantProfile', token => $sys, json => $profile)
        ->status, 200, "a cap of $n");
}


# messages by connections of their own, so that both workers get some
sub send_some {
    my ($n) = @_;
    my %status;

    $status{$t->post($path, client => $t->client, json => { a => 1, b => 2 })
        ->status}++ for 1 .. $n;

    return \%status;
}


sub used {
    return $t->get('/api/usage', token => $tenant)->json->{transportMessages};
}


sub becomes {
    my ($n, $name) = @_;

    ok($t->wait_for(10, sub { used() == $n }), $name)
        or diag(used() . " instead of $n");
}

is_deeply(send_some(20), { 200 => 20 }, 'without a cap');
becomes(20, 'all are counted, of all workers');
is($t->value(q{SELECT value FROM iot.usage
    WHERE name = 'transportDataPoints'}), 40, 'and their points');
is($t->get('/api/usage', token => $tenant)->json->{maxTransportMessages}, 0,
    'and there is no cap');

cap(30);
is_deeply(send_some(5), { 200 => 5 }, 'below the cap');
becomes(25, 'counted on');
is($t->value('SELECT state FROM iot.usage_state'), 'WARNING', 'a warning');
is_deeply(send_some(5), { 200 => 5 }, 'up to the cap');
becomes(30, 'that many');
ok($t->wait_for(10, sub { (send_some(1)->{429} || 0) == 1 }),
    'and then no more');
is_deeply(send_some(8), { 429 => 8 }, 'in no worker');
is($t->value(q{SELECT count(*) FROM iot.job
    WHERE payload ->> 'template' = 'api-usage'}), 2,
    'the administrator gets two mails');

# what was counted last is told before the workers leave

cap(1000);
is_deeply(send_some(7), { 200 => 7 }, 'a larger cap is in force at once');
$t->reload(gone => 1);
is(used(), 37, 'a reload forgets nothing');

cap(10);
is_deeply(send_some(4), { 429 => 4 }, 'a smaller one too');
$t->quit;
$t->start;
is_deeply(send_some(4), { 429 => 4 }, 'nor does a restart');

# another month

$t->sql('UPDATE iot.usage SET month = month - 1');
$t->sql('UPDATE iot.usage_state SET month = month - 1');
$t->sql('SELECT iot.usage_review()');
ok($t->wait_for(10, sub { (send_some(1)->{200} || 0) == 1 }),
    'a new month');

done_testing();
