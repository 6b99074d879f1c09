#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# iotctl and the helpers: they are started, looked at, replaced and stopped.

use strict;
use warnings;

use File::Basename qw(dirname);
use Test::More;

use lib dirname(__FILE__) . '/../lib';

use IotTest::Iotctl ();
use POSIX ();
use IotCtl::Run qw(read_file wait_for alive);

my $i = IotTest::Iotctl->new;


sub helper_pid {
    my ($n) = @_;
    my ($pid) = (read_file($i->dir("run/helper/$n.pid")) || '') =~ /^(\d+)$/m;

    return $pid && alive($pid) ? $pid : 0;
}


$i->exits(0, 'init', 'init', qr/Helper's key/);

is((stat($i->dir('helper.key')))[2] & 07777, 0600, 'the key is a secret');
is((stat($i->dir('helper.pub')))[2] & 07777, 0644, 'its public half is not');

my $key = read_file($i->dir('helper.key'));

$i->exits(0, 'init', 'init again', qr/complete/);
is(read_file($i->dir('helper.key')), $key, 'the key stays');

$i->exits(2, 'init', 'too many helpers', qr/IOT_HELPERS is "100"/,
    IOT_HELPERS => 100);
$i->exits(0, 'start', 'start', qr/HTTP/);

my $pid = helper_pid(1);

ok($pid, 'a helper runs');
is((stat("/proc/$pid"))[4], scalar(getpwnam('iot-helper')),
    'as a user of its own') if $> == 0;
ok(wait_for(10, sub {
    (eval { $i->get('/metrics/helper/1')->body } || '')
        =~ /^iot_helper_database_up 1$/m
}), 'its metrics, with a database');
like($i->get('/metrics/helper/1')->body, qr/^iot_jobs_queued 0$/m,
    'and the jobs of all');
is($i->get('/metrics/helper/2')->status, 502, 'there is no second one');
$i->exits(0, 'status', 'status', qr/^Helpers: +process $pid$/m);
$i->exits(0, 'doctor', 'the doctor', qr/^ok +helper +process $pid$/m);

# more, and fewer, without a stop
$i->exits(0, 'reload', 'two of them', qr/Reloaded/, IOT_HELPERS => 2);
ok(helper_pid(2), 'the second one runs');
is(helper_pid(1), $pid, 'the first one still');
$i->exits(0, 'reload', 'one of them', qr/Reloaded/, IOT_HELPERS => 1);
ok(wait_for(20, sub { !helper_pid(2) }), 'the second one ends');
ok(!-e $i->dir('run/helper/2.sock'), 'and takes its socket along');

# one that has died
kill('KILL', $pid);
wait_for(10, sub { !alive($pid) });
$i->exits(1, 'doctor', 'the doctor sees it', qr/^FAIL +helper +does not run/m);
$i->exits(0, 'start', 'start again', qr/HTTP/);
ok(helper_pid(1), 'there is another');

chmod(0644, $i->dir('helper.key'));
$i->exits(1, 'doctor', 'a key for everybody',
    qr/^FAIL +helper +.*may be read by others/m);
chmod(0600, $i->dir('helper.key'));

my ($last) = helper_pid(1);

$i->exits(0, 'stop', 'stop', qr/Stopped/);
ok(!alive($last), 'the helper has ended');
like(read_file($i->dir('log/helper.log')), qr/helper helper 1 ends/,
    'by itself');

# in the foreground: one that dies is replaced
my $run = $i->run;
my $first = wait_for(20, sub { helper_pid(1) });
ok($first, 'run starts one');
kill('KILL', $first);
ok(wait_for(20, sub { my $now = helper_pid(1); $now && $now != $first }),
    'and another when it dies');
kill('TERM', $run);
ok(wait_for(40, sub { waitpid($run, POSIX::WNOHANG()) != 0 }), 'it ends');
ok(!helper_pid(1), 'with its helper');

done_testing();
