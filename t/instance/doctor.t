#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# What iotctl doctor says of a database that is away, of a schema that is
# behind, and of a full disk.

use strict;
use warnings;

use File::Basename qw(dirname);
use File::Temp ();
use Test::More;

use lib dirname(__FILE__) . '/../lib';

use IotTest::Iotctl ();
use IotCtl::Postgres ();

my $i = IotTest::Iotctl->new();

$i->exits(0, 'init', 'init');
$i->exits(0, 'start', 'start');
$i->exits(0, 'doctor', 'all is well', qr/^ok +database/m);

$i->exits(1, 'doctor', 'a database that is not there',
    qr/^FAIL +database +not reachable: .*No such file/m,
    IOT_DATABASE => 'host=/nonexistent dbname=iot user=iot_owner');

IotCtl::Postgres::psql('host=' . $i->dir('run/pg') . ' dbname=iot '
    . 'user=iot_owner', "DELETE FROM iot.migration WHERE version = "
    . "(SELECT max(version) FROM iot.migration);\n", private => 1);

$i->exits(1, 'doctor', 'a schema that is behind',
    qr/^FAIL +schema +behind \(\S+\): "iotctl migrate"/m);

$i->exits(0, 'stop', 'stop');

SKIP: {
    skip('a small file system takes root', 1) if $> != 0;

    my $dir = File::Temp::tempdir('/tmp/iot-disk-XXXXXX', CLEANUP => 1);

    system("mount -t tmpfs -o size=1m tmpfs $dir") == 0
        or skip('no file system can be mounted here', 1);

    mkdir("$dir/var");

    $i->exits(1, 'doctor', 'a full disk', qr/^FAIL +disk .*is full/m,
        IOT_DIR => "$dir/var");

    system("umount $dir");
}

done_testing();
