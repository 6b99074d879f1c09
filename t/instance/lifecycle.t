#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# start, use, reload, clash, crash, stop.

use strict;
use warnings;

use File::Basename qw(dirname);
use Test::More;

use lib dirname(__FILE__) . '/../lib';

use IotTest::Iotctl ();
use IotCtl::Nginx ();
use IotCtl::Run qw(read_file write_file wait_for alive);

# the path of its socket is longer than a socket's may be
my $i = IotTest::Iotctl->new(sub => join('/', ('a-long-directory-name') x 5));

$i->exits(0, 'init', 'init in a long path', qr/Socket: +in .*path .* long/);
$i->exits(3, 'status', 'only the database runs', qr/nginx: +does not run/)
    if !$i->command('stop');
$i->exits(0, 'start', 'start', qr{^HTTP: +http://127\.0\.0\.1:\d+$}m);
$i->exits(0, 'status', 'status', qr/^Ready: +yes$/m);
$i->exits(0, 'start', 'start again', qr/runs already/);
$i->exits(0, 'doctor', 'the doctor', qr{^ok +readiness}m);

is($i->get('/healthz')->status, 200, 'it answers');
$i->exits(0, 'status', 'where MQTT is',
    qr/^MQTT: +ports $i->{env}{IOT_MQTT_PORT} and/m);
ok(IotTest::Client->new(port => $i->{env}{IOT_MQTT_PORT})->socket,
    'and it listens there');
is($i->client(tls => 1)->request('GET', '/healthz', [])->status, 200,
    'over TLS too');
ok(defined $i->login($_), "$_ can log in") for qw(SYSADMIN TENANT CUSTOMER);

my $token = $i->credentials->{DEVICE_TOKEN};
my $path = "/api/v1/$token/telemetry";

is($i->post($path, { temperature => 21.5 })->status, 200, 'a point');
is($i->latest('temperature'), '21.5', 'is read back');

# what is logged
is($i->get("/api/v1/$token/attributes?secret=Zn2")->status, 200, 'attributes');
ok(wait_for(5, sub { read_file($i->dir('log/access.log')) =~ /attributes/ }),
    'requests are logged');
unlike(read_file($i->dir('log/access.log')), qr/\Q$token\E|Zn2/,
    'without tokens and queries');

# reload
my ($master) = $i->pids;
my @old = IotCtl::Nginx::children($master);

write_file($i->dir('server.d/hello.conf'),
    "location = /hello { return 200 hi; }\n");
$i->exits(0, 'reload', 'reload', qr/Reloaded/);
is($i->get('/hello')->body, 'hi', 'lines of one\'s own are in force');
ok(wait_for(20, sub { !grep { alive($_) } @old }), 'the old workers end');

write_file($i->dir('http.d/broken.conf'), "nonsense;\n");
$i->exits(1, 'reload', 'reload of nonsense',
    qr/nothing was changed.*nonsense/s);
is($i->get('/hello')->body, 'hi', 'the old configuration still serves');
$i->exits(1, 'doctor', 'the doctor sees it', qr/FAIL +nginx .*nonsense/);
unlink($i->dir('http.d/broken.conf'));

# another instance on the same port
my $other = IotTest::Iotctl->new();

$other->{env}{IOT_HTTP_PORT} = $i->{env}{IOT_HTTP_PORT};
$other->exits(0, 'init', 'another instance');
$other->exits(1, 'start', 'a port that is taken',
    qr/Port $i->{env}{IOT_HTTP_PORT} .*taken by nginx \(process \d+\)/);
$other->exits(1, 'doctor', 'the doctor sees who has it',
    qr/FAIL +ports .*taken by nginx/);
$other->exits(0, 'stop', 'stop the other');
is($i->get('/healthz')->status, 200, 'the first one was left alone');

# everything dies
is($i->post($path, { temperature => 22.5 })->status, 200, 'one more point');

my @pids = ($i->pids, IotCtl::Nginx::children($master));

kill('KILL', @pids);
ok(wait_for(10, sub { !grep { alive($_) } @pids }), 'all is killed');
$i->exits(3, 'status', 'status sees it', qr/nginx: +does not run/);
$i->exits(0, 'start', 'start after the crash');
is($i->latest('temperature'), '22.5', 'what was acknowledged is there');

# stop
@pids = $i->pids;
$i->exits(0, 'stop', 'stop', qr/Stopped/);
ok(!(grep { alive($_) } @pids), 'all processes are gone');
$i->exits(0, 'stop', 'stop again', qr/did not run/);
$i->exits(3, 'status', 'status when stopped');
$i->exits(3, 'reload', 'reload when stopped', qr/does not run/);

# in the foreground
my $pid = $i->run;

ok(wait_for(30, sub { $i->output =~ /Ctrl-C/ }), 'run says how to end it')
    or diag($i->output);
like($i->output, qr{curl -f -d '\{"temperature":21\.5\}'}, 'and what to try');
unlike($i->output, qr/\Q$token\E/, 'without showing a secret');
is($i->get('/readyz')->status, 200, 'it runs');

# what is printed works when it is pasted
my ($first, $second) = $i->output =~
    /from a device:\n\n(.*?)\n\n.*logs in:\n\n(.*?)\n\n/s;
my (undef, $posted, $words) = IotCtl::Run::run_program(['/bin/sh', '-ec',
    $first]);
is($words =~ /error/ ? $words : '', '', 'the first line works');

my ($code, $read, $error) = IotCtl::Run::run_program(['/bin/sh', '-ec',
    $second]);
like($read, qr/"temperature":\[\{"ts":\d+,"value":"21\.5"\}\]/,
    'the second line reads the point') or diag($error);

@pids = $i->pids;
kill('INT', -$pid);
waitpid($pid, 0);
is($?, 0, 'Ctrl-C ends it well') or diag($i->output);
ok(!(grep { alive($_) } @pids), 'and everything with it');

done_testing();
