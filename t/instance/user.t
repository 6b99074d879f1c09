#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# An ordinary user has an instance too, and root has no business in it.

use strict;
use warnings;

use File::Basename qw(dirname);
use Test::More;

use lib dirname(__FILE__) . '/../lib';

use IotTest::Iotctl ();
use IotCtl::Instance ();
use IotCtl::Nginx ();
use IotCtl::Run qw(read_file run_program am_root);

# a user that every Debian has, or whoever we are
my $user = am_root() ? 'nobody' : undef;

# its programs are read from the checkout, which may be closed to others
plan(skip_all => 'the checkout is closed to other users')
    if $user && !IotCtl::Instance::reachable(dirname(__FILE__));

my $i = IotTest::Iotctl->new(user => $user);
my $uid = defined $user ? getpwnam($user) : $>;

$i->exits(0, 'init', 'init');
$i->exits(0, 'start', 'start');
$i->exits(0, 'doctor', 'the doctor is content');
is($i->get('/readyz')->status, 200, 'ready');
ok(defined $i->login('TENANT'), 'a login');

my @pids = $i->pids;

is(scalar(@pids), 3, 'nginx, PostgreSQL and a helper run');
is((stat("/proc/$_"))[4], $uid, "process $_ is the user's")
    for @pids, IotCtl::Nginx::children($pids[0]);

is((stat($i->dir('pg')))[4], $uid, 'the cluster is the user\'s');
unlike(read_file($i->dir('log/error.log')), qr/\[(?:warn|alert|emerg)\]/,
    'nothing to warn about');

if (am_root()) {
    my ($code, $out, $err) = run_program(['psql', '-X', '-h',
        $i->dir('run/pg'), '-U', 'iot_owner', '-d', 'iot', '-c', 'SELECT 1'],
        user => 'www-data');
    isnt($code, 0, 'another user cannot enter its database');
    $i->{user} = undef;
    $i->exits(1, 'doctor', 'root is told to be that user',
        qr/belongs to nobody: run iotctl as nobody/);
    $i->{user} = $user;
}

$i->exits(0, 'stop', 'stop');

done_testing();
