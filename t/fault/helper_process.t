#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# nginx's cache manager and cache loader run the start of the modules too, as
# "worker 0": they take no slot, no database connection and no requests.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Test::More;
use IotTest::Device;

my $t = IotTest::Device->new(workers => 2, start => 0);

$t->snippet('http', 'proxy_cache_path "' . $t->dir
    . '/cache" keys_zone=c:1m loader_sleep=50 manager_sleep=50;');
$t->start;


# processes of this nginx by the name that they give themselves
sub processes {
    my ($name) = @_;
    my $master = $t->master_pid;

    return grep {
        (IotCtl::Run::read_file("/proc/$_/stat") || '') =~ /\) \S $master /
            && (IotCtl::Run::read_file("/proc/$_/cmdline") || '') =~ /$name/
    } map { m{/(\d+)$} } glob('/proc/[0-9]*');
}


# other ends of its stream sockets: who talks with the database
sub sockets {
    my ($pid) = @_;

    return grep { (readlink($_) || '') =~ /^socket:/ } glob("/proc/$pid/fd/*");
}


my ($manager) = processes('cache manager');

ok($manager, 'there is a cache manager');
is($t->telemetry('{"a":1}')->status, 200, 'a point');

# the sockets that all processes inherit are the master's too
my $inherited = () = sockets($t->master_pid);

cmp_ok(scalar(() = sockets($manager)), '<=', $inherited,
    'the cache manager opened none');
cmp_ok(scalar(() = sockets($_)), '>', $inherited, 'a worker did')
    for $t->worker_pids;

# it dies and comes back without harm
$t->allow_alert(qr/cache manager process \d+ exited on signal 9/);
kill('KILL', $manager);
ok($t->wait_for(10, sub {
    my ($now) = processes('cache manager');
    return $now && $now != $manager;
}), 'another one comes when it is killed');
is($t->telemetry('{"a":2}')->status, 200, 'points are taken');
$t->reload(gone => 1);
is($t->telemetry('{"a":3}')->status, 200, 'after a reload too');

done_testing();
