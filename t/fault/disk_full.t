#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# A full disk: 503, nothing that was promised is lost, and all is well again.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Test::More;
use IotTest::Device;
use IotTest::Load;

plan skip_all => 'only root can mount a small disk' if $> != 0;

my $t = IotTest::Device->new(cluster => 'own', fsync => 1);
my $disk = $t->dir . '/disk';

mkdir($disk);
system('mount', '-t', 'tmpfs', '-o', 'size=16m', 'tmpfs', $disk) == 0
    or plan skip_all => 'no disk can be mounted here';

my $mounted = 1;


sub unmount {
    return unless $mounted;
    $mounted = 0;
    my @wrong = $t->shut_down;
    system('umount', '-l', $disk);

    return @wrong;
}


END { my $code = $?; unmount() if $mounted; $? = $code }

my $data = "$disk/data";

mkdir($data, 0700);
chown((getpwnam('postgres'))[2, 3], $data);
chmod(0755, $disk);
$t->sql("CREATE TABLESPACE small LOCATION '$data'");
$t->sql('GRANT CREATE ON TABLESPACE small TO iot_owner');
$t->sql("ALTER TABLE iot.$_ SET TABLESPACE small")
    for map { $_->[0] } @{$t->sql('SELECT c.relname FROM pg_inherits AS i'
        . ' JOIN pg_class AS c ON c.oid = i.inhrelid'
        . " WHERE i.inhparent = 'iot.telemetry'::regclass")};

# --- texts until nothing fits any more

my ($ts, $full, %acked) = (1_000_000_000_000);


# posts 200 kB that do not compress
sub text {
    my $text = join('', map { chr(97 + int(rand(26))) } 1 .. 200_000);
    my $a = $t->telemetry('{"ts":' . ++$ts . ",\"values\":{\"a\":\"$text\"}}");

    $acked{$ts} = 1 if $a->status == 200;
    return $a;
}


for (1 .. 200) {
    $full = text();
    last if $full->status != 200;
}

is($full->status, 503, 'a full disk: 503');
ok($full->header('retry-after'), 'come again later');
cmp_ok(scalar(keys %acked), '>', 10, 'after some that fitted');
is(text()->status, 503, 'and again') for 1 .. 3;
like($t->error_log, qr/No space left on device/, 'the log says why');

# what needs no room there is served
is($t->get($t->url('attributes'))->status, 200, 'questions are answered');
is($t->attributes('{"a":1}')->status, 200, 'attributes are saved');
is($t->get('/readyz')->status, 200, 'the worker is ready');

# --- under load

my $load = IotTest::Load->new($t, connections => 8, points => 50);

$load->run(sub { $load->count(503) >= 100 }, 60);
pass('posts get 503 under load');

# --- more room

system('mount', '-o', 'remount,size=64m', $disk) == 0
    or die "cannot enlarge the disk\n";

my $good = $load->count(200);
$load->run(sub { $load->count(200) >= $good + 100 }, 60);
$load->finish;
is($load->others(200, 503), '', 'there were no other answers');
is(text()->status, 200, 'there is room: 200');

is_deeply([grep { !$acked{$_} } map { $_->[0] } @{$t->points->{a}}], [],
    'what got 503 is not stored');
is(scalar(@{$t->points->{a}}), scalar(keys %acked), 'what got 200 is');
is(scalar(my @missing = $load->missing), 0, 'also under load');

# --- and through a crash of the database

$t->restart_database('immediate');
$t->wait_ready;
is(scalar(@{$t->points->{a}}), scalar(keys %acked), 'also after a crash');

is_deeply([unmount()], [], 'no alerts, no processes left');
$t->remove(0);

done_testing();
