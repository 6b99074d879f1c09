#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# "nginx -t" runs the start of every module as root, beside an instance that
# works: it may leave no file, no process, no connection, no slot behind.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use File::Find ();
use Test::More;
use IotTest::Device;

my $t = IotTest::Device->new(workers => 2);

is($t->telemetry('{"a":1}')->status, 200, 'a point');


# all there is below the directory of the instance
sub files {
    my @found;

    File::Find::find(sub { push @found, $File::Find::name }, $t->dir);

    return [sort @found];
}


sub connections {
    return $t->value(q{SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = 'ngx_iot'});
}


my $files = files();
my @workers = $t->worker_pids;
my $connections = connections();

cmp_ok($connections, '>', 0, 'the workers are connected');

for my $i (1 .. 5) {
    local %ENV = (%ENV, %{$t->sanitizer_env});
    my ($fine, $words) = IotCtl::Nginx::test($t->{instance});

    ok($fine, "nginx -t, $i") or diag($words);
    unlike($words, qr/\[(?:alert|crit|emerg)\]/, 'nothing is said against it');
}

is_deeply(files(), $files, 'no file came or went');
is_deeply([$t->worker_pids], \@workers, 'the workers are the same');
is(connections(), $connections, 'the connections too');
is($t->telemetry('{"a":2}')->status, 200, 'they go on');

# a slot that it had taken would be missing: there are 64
$t->reload(gone => 1) for 1 .. 3;
is($t->telemetry('{"a":3}')->status, 200, 'also after reloads');

done_testing();
