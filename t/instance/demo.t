#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# iotctl init --demo: the accounts and devices that clients know, with a
# warning; never without being asked.

use strict;
use warnings;

use File::Basename qw(dirname);
use Test::More;

use lib dirname(__FILE__) . '/../lib';

use IotTest::Iotctl ();

my $i = IotTest::Iotctl->new();
my @known = (['sysadmin', 'sysadmin'], ['tenant', 'tenant'],
    map { [$_, 'customer'] } qw(customer customerA customerB customerC));

$i->exits(2, 'init --dem', 'another option', qr/usage: iotctl init \[--demo\]/);
$i->exits(2, 'stop --demo', 'no option of others', qr/usage: iotctl stop/);
$i->exits(0, 'init', 'a plain init', qr/The instance is made/);
$i->exits(0, 'start', 'start');
isnt(login(@$_), 200, "no $_->[0] in it") for @known;
$i->exits(0, 'init --demo', 'with the demo',
    qr/WARNING.*DEMO accounts.*NOT for\s+production/s);
is(login(@$_), 200, "$_->[0] logs in") for @known;
$i->exits(0, 'init --demo', 'again', qr/WARNING/);

for my $token (qw(A1_TEST_TOKEN A2_TEST_TOKEN A3_TEST_TOKEN B1_TEST_TOKEN
    C1_TEST_TOKEN DHT11_DEMO_TOKEN RASPBERRY_PI_DEMO_TOKEN T1_TEST_TOKEN
    T2_TEST_TOKEN))
{
    is($i->post("/api/v1/$token/telemetry", { t => 1 })->status, 200,
        "device $token");
}

$i->exits(0, 'stop', 'stop');

done_testing();


sub login {
    my ($who, $password) = @_;

    return $i->post('/api/auth/login', {
        username => "$who\@thingsboard.org", password => $password })->status;
}
