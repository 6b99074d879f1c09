#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# iotctl init: what it makes, that it may be repeated and interrupted, and what
# it refuses.

use strict;
use warnings;

use File::Basename qw(dirname);
use Test::More;

use lib dirname(__FILE__) . '/../lib';

use IotTest::Iotctl ();
use IotCtl::Run qw(read_file write_file);

my $i = IotTest::Iotctl->new();

# wrong use
$i->exits(0, 'help', 'help', qr/usage: iotctl COMMAND.*\n +init /s);
$i->exits(2, 'frobnicate', 'an unknown command', qr/no command "frobnicate"/);
$i->exits(2, 'init now', 'a superfluous argument', qr/usage: iotctl init/);
$i->exits(2, 'backup', 'a missing argument', qr/usage: iotctl backup FILE/);

for my $command (qw(start stop reload status migrate)) {
    $i->exits(4, $command, "$command without an instance", qr/iotctl init/);
}

$i->exits(2, 'init', 'a port of words', qr/IOT_HTTP_PORT is "http"/,
    IOT_HTTP_PORT => 'http');
$i->exits(2, 'init', 'a port too high', qr/IOT_HTTP_PORT is "65536"/,
    IOT_HTTP_PORT => '65536');
$i->exits(2, 'init', 'one port twice', qr/are both 7070/,
    IOT_HTTP_PORT => 7070, IOT_MQTT_PORT => 7070);
$i->exits(2, 'init', 'a directory to be quoted', qr/IOT_DIR is/,
    IOT_DIR => $i->dir . '";');
$i->exits(2, 'init', 'workers of words', qr/IOT_WORKERS is "many"/,
    IOT_WORKERS => 'many');
$i->exits(2, 'init', 'a line in a setting', qr/must be one line/,
    IOT_LOG_LEVEL => "info;\nuser root");
$i->exits(1, 'init', 'a database that is not there', qr/does not answer/,
    IOT_DATABASE => 'host=/nonexistent dbname=x');
ok(!-e $i->dir('state'), 'nothing was made of all that');

# as it should be
$i->exits(0, 'init', 'init', qr/The instance is made/);

my %mode = ('secret.key' => 0600, credentials => 0600, env => 0600,
    'tls' => 0700, 'tls/server.key' => 0600, 'conf/nginx.conf' => 0600,
    'run/pg' => 0751, 'log' => 0711, 'pg' => 0700);

for my $name (sort keys %mode) {
    is((stat($i->dir($name)))[2] & 07777, $mode{$name},
        sprintf('%s has mode %04o', $name, $mode{$name}));
}

my $have = $i->credentials;

for my $name (qw(SYSADMIN_EMAIL SYSADMIN_PASSWORD TENANT_EMAIL TENANT_PASSWORD
    TENANT_ID CUSTOMER_EMAIL CUSTOMER_PASSWORD DEVICE_ID DEVICE_TOKEN))
{
    like($have->{$name}, qr/^[\w.@-]{17,}$/, "credentials have $name");
}

like(read_file($i->dir('secret.key')), qr{^[A-Za-z0-9+/]{43}=\n\z},
    'the key is 32 bytes in base64');

my %before = map { $_ => read_file($i->dir($_)) }
    qw(secret.key credentials tls/server.crt tls/server.key);

# again
$i->exits(0, 'init', 'init again', qr/The instance is complete/);
is(read_file($i->dir($_)), $before{$_}, "$_ is as it was")
    for sort keys %before;

# interrupted after the passwords were written, before the identifiers came
my $text = $before{credentials};
$text =~ s/^\w+_ID=.*\n//mg;
write_file($i->dir('credentials'), $text, 0600);
unlink($i->dir('state'));
$i->exits(4, 'start', 'an incomplete instance does not start');
$i->exits(0, 'init', 'an interrupted init is completed', qr/is made/);
is(read_file($i->dir('credentials')), $before{credentials},
    'with the passwords of the first time and the identifiers');

# settings
like(read_file($i->dir('env')), qr/^IOT_HTTP_PORT=$i->{env}{IOT_HTTP_PORT}$/m,
    'settings are remembered');
delete $i->{env}{IOT_HTTP_PORT};
$i->exits(0, 'init', 'init without the setting');
like(read_file($i->dir('env')), qr/^IOT_HTTP_PORT=(?!8080)\d+$/m,
    'it is not forgotten');

# the doctor on an instance that does not run
$i->exits(0, 'stop', 'stop');
$i->exits(0, 'doctor', 'nothing is wrong',
    qr/^ok +key file.*^warn +database +PostgreSQL does not run/ms);
chmod(0644, $i->dir('secret.key'));
$i->exits(1, 'doctor', 'the doctor sees an open key', qr/FAIL +key file .*600/);
chmod(0600, $i->dir('secret.key'));
rename($i->dir('tls/server.key'), $i->dir('tls/away'));
$i->exits(1, 'doctor', 'the doctor sees a missing key', qr/FAIL +certificate/);
rename($i->dir('tls/away'), $i->dir('tls/server.key'));
$i->exits(1, 'doctor', 'the doctor sees a missing module', qr/FAIL +module/,
    IOT_MODULE => $i->dir('no.so'));
$i->exits(5, 'start', 'start without the module', qr/make build/,
    IOT_MODULE => $i->dir('no.so'));
write_file($i->dir('bad.so'), "not a module\n");
$i->exits(1, 'start', 'start with another module', qr/invalid ELF|too short/,
    IOT_MODULE => $i->dir('bad.so'));

done_testing();
