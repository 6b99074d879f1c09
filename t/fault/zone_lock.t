#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# A worker dies while it holds the lock of the shared zone: the master takes
# the lock back, and the others go on.  The moment is made certain: the number
# of the worker is written into the lock, as the worker itself would do it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Fcntl qw(SEEK_SET O_RDWR);
use Test::More;
use Time::HiRes qw(sleep time);
use IotTest::Device;

my $t = IotTest::Device->new(workers => 2);

is($t->telemetry('{"a":1}')->status, 200, 'a point');
$t->allow_alert(qr/shared memory zone "iot" was locked by \d+/);


# the shared mappings of a process that are as large as the zone
sub zones {
    my ($pid, $size) = @_;

    open(my $maps, '<', "/proc/$pid/maps") or die "no maps: $!";

    no warnings 'portable';

    return map { hex($_->[0]) } grep { hex($_->[1]) - hex($_->[0]) == $size }
        map { /^([0-9a-f]+)-([0-9a-f]+) rw-s .* \/dev\/zero/ ? [$1, $2] : () }
        <$maps>;
}


# Writes the number into the word that starts the zone, if nobody holds it.
sub lock_as {
    my ($pid, $address) = @_;

    sysopen(my $memory, "/proc/$pid/mem", O_RDWR) or return;

    for (1 .. 1000) {
        sysseek($memory, $address, SEEK_SET);
        sysread($memory, my $word, 8) == 8 or return;

        if (unpack('Q<', $word) == 0) {
            sysseek($memory, $address, SEEK_SET);
            return syswrite($memory, pack('Q<', $pid)) == 8;
        }

        sleep(0.001);
    }

    return;
}


my ($amount, $unit) = $t->{instance}->value('IOT_ZONE') =~ /^(\d+)([km]?)$/i;
my $size = $amount * ($unit =~ /m/i ? 1 << 20 : $unit =~ /k/i ? 1 << 10 : 1);

for my $round (1 .. 3) {
    my ($victim, $other) = $t->worker_pids;
    my @zone = zones($victim, $size);

    is(scalar(@zone), 1, "round $round: there is one zone of $size bytes");
    ok(lock_as($victim, $zone[0]), 'a worker holds its lock');

    # a wrong login counts in the zone: whoever serves it must wait now
    my @waiting = map {
        my $c = $t->client;
        $c->write(IotTest::Client::format_request('POST', '/api/auth/login',
            [['Content-Type' => 'application/json']],
            qq({"username":"nobody$round$_\@x.co","password":"wrong"})));
        $c;
    } 1 .. 4;

    $t->kill_worker($victim);
    ok($t->wait_log(qr/zone "iot" was locked by $victim/),
        'the master took it back');

    my @status = map { my $a = eval { $_->answer }; $a ? $a->status : 0 }
        @waiting;

    # those of the killed worker ended with it
    is(scalar(grep { $_ != 401 && $_ != 0 } @status), 0,
        'the others were answered') or diag("@status");
    is($t->get('/readyz')->status, 200, 'ready');
    is($t->post('/api/auth/login', json => { username => "after$round\@x.co",
        password => 'wrong' })->status, 401, 'logins are counted again');
    is($t->telemetry('{"a":1}')->status, 200, 'points are taken');
    ok(IotCtl::Run::alive($other), 'the other worker lives');
}

$t->reload(gone => 1);
is($t->telemetry('{"a":2}')->status, 200, 'and after a reload');

done_testing();
