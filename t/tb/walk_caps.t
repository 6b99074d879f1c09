#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# Caps of the tenant profile: what each says when it is reached, also to those
# who come at the same moment, and that it is over when there is room again.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);

use lib dirname(Cwd::abs_path(__FILE__)) . '/../lib';

use IotTest::Walk;
use JSON::XS ();
use Test::More;

my $json = JSON::XS->new->utf8;
my $t = IotTest::Walk->new(workers => 2);
my $id = $t->row('SYS', 'GET tenantProfileInfo/default', undef, 200, undef)
    ->{id}{id};
my %thing = (
    maxDevices => ['DEVICE', 'Devices', 'device', sub { { name => $_[0] } }],
    maxAssets => ['ASSET', 'Assets', 'asset', sub { { name => $_[0] } }],
    maxCustomers => ['CUSTOMER', 'Customers', 'customer',
        sub { { title => $_[0] } }],
    maxDashboards => ['DASHBOARD', 'Dashboards', 'dashboard',
        sub { { title => $_[0] } }],
    maxUsers => ['USER', 'Users', 'user', sub { { email => "$_[0]\@iot.test",
        authority => 'TENANT_ADMIN' } }],
);

for my $cap (sort keys %thing) {
    my ($type, $plural, $path, $body) = @{$thing{$cap}};
    my $call = "POST $path" . ($path eq 'user' ? '?sendActivationMail=false'
        : '');

    # one more than there are

    my $n = $t->row('TEN', 'GET usage', undef, 200, undef)->{"${path}s"};

    limit($cap, $n + 1);
    is($t->row('TEN', 'GET usage', undef, 200, undef)->{$cap}, $n + 1,
        "$cap is told");

    # the last one, wanted by eight

    my @clients = map { $t->client } 1 .. 8;

    for my $i (0 .. $#clients) {
        my $text = $json->encode($body->("Race$i"));

        $clients[$i]->write(IotTest::Client::format_request('POST',
            '/api/' . substr($call, 5), [
                ['X-Authorization' => 'Bearer ' . $t->tenant],
                ['Content-Type' => 'application/json']], $text));
    }

    my @answers = map { $_->answer } @clients;
    my @good = grep { $_->status == 200 } @answers;
    my ($bad) = grep { $_->status != 200 } @answers;

    is(scalar(@good), 1, "$cap: one of eight at once");
    is($bad->status, 403, "$cap: the others are refused");

    my $e = $bad->json;

    is_deeply([@$e{qw(status errorCode message entityType limit)}],
        [403, 41, "$plural limit reached", $type, $n + 1], "$cap: with what");

    # a change is not one more, and a deletion makes room

    my $made = $good[0]->json;

    $t->row('TEN', $call, $made, 200, undef);
    $t->row('TEN', $call, $body->('more'), 403,
        "41 $plural limit reached");
    $t->row('TEN', "DELETE $path/$made->{id}{id}", undef, 200, '');
    $t->row('TEN', $call, $body->('more'), 200, undef);
    limit($cap, 0);
    $t->row('TEN', $call, $body->('unlimited'), 200, undef);
}

done_testing();


sub limit {
    my ($cap, $n) = @_;
    my $profile = $t->row('SYS', "GET tenantProfile/$id", undef, 200, undef);

    $profile->{profileData}{configuration}{$cap} = $n;
    $t->row('SYS', 'POST tenantProfile', $profile, 200, undef);
}
