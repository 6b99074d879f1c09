#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# A backup of a running instance becomes another instance; what is not a
# backup becomes nothing.

use strict;
use warnings;

use File::Basename qw(dirname);
use Test::More;

use lib dirname(__FILE__) . '/../lib';

use IotTest::Iotctl ();
use IotCtl::Run qw(read_file write_file run_program);

my $from = IotTest::Iotctl->new();
my $file = "$from->{base}/saved.tar";

$from->exits(0, 'init', 'init');
write_file($from->dir('server.d/hello.conf'),
    "location = /hello { return 200 hi; }\n");
$from->exits(0, 'start', 'start');

my $have = $from->credentials;

is($from->post("/api/v1/$have->{DEVICE_TOKEN}/telemetry", { depth => 42 })
    ->status, 200, 'a point');

$from->exits(2, "backup $from->{base}/no/such.tar", 'no such directory',
    qr/no directory/);
$from->exits(0, "backup $file", 'backup', qr/keep it as you keep passwords/);
is((stat($file))[2] & 0777, 0600, 'only for the owner');
is(join(' ', glob($from->dir('tmp/backup*'))), '', 'nothing is left around');
is($from->get('/readyz')->status, 200, 'it still runs');
$from->exits(2, "restore $file", 'not over an instance',
    qr/holds an instance already/);

# another place, other ports, at the same time
my $to = IotTest::Iotctl->new();

$to->exits(0, "restore $file", 'restore', qr/start it by/);
is(read_file($to->dir($_)), read_file($from->dir($_)), "$_ is the same")
    for qw(secret.key credentials tls/server.key server.d/hello.conf);
$to->exits(0, 'start', 'start');
is($to->latest('depth'), '42', 'the point is there');
is($to->get('/hello')->body, 'hi', 'lines of one\'s own are there');
is($to->post("/api/v1/$have->{DEVICE_TOKEN}/telemetry", { depth => 43 })
    ->status, 200, 'it lives on');
is($from->latest('depth'), '42', 'apart from the first');
$to->exits(0, 'doctor', 'the doctor is content');

# not backups
my $empty = IotTest::Iotctl->new();
my $base = $empty->{base};

$empty->exits(2, "restore $base/none.tar", 'no file', qr/cannot read/);

write_file("$base/text.tar", "hello\n" x 1000);
$empty->exits(1, "restore $base/text.tar", 'not an archive');

mkdir("$base/x");
write_file("$base/x/$_", "x\n") for qw(manifest database.dump secret.key more);
symlink('/etc', "$base/x/tls");

for my $case (['more', 'manifest', 'database.dump', 'secret.key', 'more'],
    ['a link', 'manifest', 'database.dump', 'secret.key', 'tls'],
    ['no key', 'manifest', 'database.dump'],
    ['no format', 'manifest', 'database.dump', 'secret.key'],
    ['a path upwards', '-P', 'manifest', 'database.dump', 'secret.key',
        '../x/more'])
{
    my ($name, @files) = @$case;
    my ($code) = run_program(['tar', '-cf', "$base/x.tar", '-C', "$base/x",
        @files]);

    is($code, 0, "an archive with $name");
    $empty->exits(1, "restore $base/x.tar", "$name is refused",
        qr/nothing was restored|is no backup|format is unknown/);
}

ok(!-e $empty->dir('secret.key') && !-e $empty->dir('pg'),
    'nothing was made of them');

done_testing();
