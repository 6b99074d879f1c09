#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# Mistakes in the block "iot": nginx -t names each of them.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Test::More;
use IotTest::Device;

my $t = IotTest::Device->new(start => 0);
my $dir = $t->dir;
my $instance = $t->{instance};
my $database = 'database "host=/nowhere dbname=iot";';
my $zone = 'zone iot 1m;';
my $key = "secret_key_file \"$dir/secret.key\";";
my $good = "$database $zone $key";

$t->allow_alert(qr/\[emerg\]/);


# what "nginx -t" says of a block, or of another top level
sub check {
    my ($block, %o) = @_;
    my $iot = defined $o{main} ? $o{main} : "iot { $block }";

    $t->{config} = "$dir/conf/check.conf";
    IotCtl::Run::write_file($t->{config},
        "load_module \"" . IotCtl::Nginx::stream_module() . "\";\n"
        . 'load_module "' . $instance->module . "\";\n"
        . "pid \"$dir/run/check.pid\";\nevents { }\n"
        . "thread_pool iot threads=1;\n$iot\n"
        . ($o{http} ? "http { access_log off; server { listen 127.0.0.1:"
            . $t->port . "; $o{http} } }\n" : ''), 0600);

    my ($code, $out, $err) = IotCtl::Run::run_program(
        [IotCtl::Nginx::program(), '-p', "$dir/", '-c', $t->{config},
            '-e', "$dir/log/check.log", '-t', '-q'],
        env => $t->sanitizer_env);

    return ($code, $out . $err);
}


sub fine {
    my ($block, $name, %o) = @_;
    my ($code, $text) = check($block, %o);

    is($code, 0, $name) or diag($text);
    unlike($text, qr/\[(emerg|alert|crit)\]/, 'nothing is said against it');
}


sub wrong {
    my ($block, $like, $name, %o) = @_;
    my ($code, $text) = check($block, %o);

    is($code, 1, $name || $block);
    like($text, $like, 'is said to be wrong');
    like($text, qr/check\.conf:\d+/, 'with the line it is in');
}


fine($good, 'what is needed');
fine('', 'no block at all', main => '');

# --- what is missing

wrong("$zone $key", qr/no "database" in "iot"/);
wrong("$database $key", qr/no "zone" in "iot"/);
wrong("$database $zone", qr/no "secret_key_file" in "iot"/);
wrong('', qr/no "database" in "iot"/, 'an empty block');

# --- what is there twice, or in the wrong place

wrong($good, qr/"iot" directive is duplicate/, 'two blocks',
    main => "iot { $good } iot { $good }");

for my $line ($database, $zone, $key, 'database_role x;',
    'database_connections 1;', 'database_read_connections 1;',
    'database_slow_connections 1;', 'database_queue 1;', 'database_timeout 1s;',
    'database_slow_timeout 1s;', 'database_queue_timeout 1s;', 'batch_rows 1;',
    'batch_copy 1;', 'batch_queue 1;', 'device_cache 1;', 'thread_pool iot;',
    'database_read "host=/x";')
{
    my $rest = $good =~ /\Q$line\E/ ? $good : "$good $line";
    my ($name) = $line =~ /^(\w+)/;

    fine($rest, $line) if $rest ne $good;
    wrong("$rest $line", qr/"$name" directive is duplicate/, "two of $name");
    wrong('', qr/unknown directive|not allowed here/, "$name outside",
        main => $line) unless $name eq 'thread_pool';
    wrong("$good $name;", qr/invalid number of arguments in "$name"/,
        "$name of nothing");
}

wrong("$good nonsense 1;", qr/unknown directive "nonsense"/);
wrong("$good worker_connections 5;", qr/"worker_connections" .*not allowed/);
wrong("$good location / { }", qr/"location" directive is not allowed/);
wrong($good, qr/"iot" directive is not allowed here/, 'in http',
    main => "http { iot { $good } }");
wrong($good, qr/invalid number of arguments in "iot"/, 'with a name',
    main => "iot x { $good }");

# --- numbers

for my $name (qw(database_connections database_read_connections
    database_slow_connections database_queue batch_rows batch_copy batch_queue
    device_cache))
{
    wrong("$good $name $_;", qr/invalid number|must be (?:equal to|between)/)
        for ('0', '-1', 'x', '1k', '99999999999', '1.5');
}

wrong("$good $_ never;", qr/invalid value/)
    for qw(database_timeout database_slow_timeout database_queue_timeout);

# --- the connection

wrong("database \"\"; $zone $key", qr/"database" directive must not be empty/);
wrong("database \"host\"; $zone $key",
    qr/invalid connection string in "database": /);
wrong("database \"color=blue\"; $zone $key",
    qr/invalid connection string in "database": .*color/);
wrong("database \"host=no.such.host.invalid\"; $zone $key",
    qr/host "no\.such\.host\.invalid" in "database" cannot be resolved/);
wrong("database \"host=a,b\"; $zone $key",
    qr/several hosts by name in "database"/);
wrong("$good database_read \"host=no.such.host.invalid\";",
    qr/cannot be resolved/);
fine("database \"host=127.0.0.1 port=1\"; $zone $key", 'an address');
fine("database \"postgresql://u:p\@[::1]:5/db?sslmode=disable\"; $zone $key",
    'a URI');
fine("database \"host=localhost\"; $zone $key", 'a name that is known');

# --- the zone

wrong("$database zone iot 1x; $key", qr/invalid size "1x" in "zone"/);
wrong("$database zone iot 100k; $key", qr/zone "iot" is too small/);
wrong("$database zone iot; $key", qr/invalid number of arguments in "zone"/);

# --- the key

wrong("$database $zone secret_key_file $dir/none;",
    qr/cannot open "secret_key_file" ".*none".*No such file/);

my $n = 0;

for (['', 'an empty file'], ["short\n", 'a short key'],
    [("A" x 42) . "==\n", 'a key of 31 bytes'],
    [("A" x 44) . "\n", 'a key of 33 bytes'], ['*' x 44, 'no base64'],
    ["AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\nAA==\n",
        'more than a key'], ['A' x 5000, 'a large file'])
{
    my $path = "$dir/key" . ++$n;

    IotCtl::Run::write_file($path, $_->[0], 0600);
    wrong("$database $zone secret_key_file $path;",
        qr/"secret_key_file" ".*" must hold 32 bytes in base64/, $_->[1]);
}

wrong("$database $zone secret_key_file $dir;", qr/"secret_key_file"/,
    'a directory');

# --- the pool of threads

wrong("$good thread_pool none;", qr/unknown thread pool "none"/);

# --- locations

my @http = (main => "iot { $good }");

fine('', 'the device API', @http, http => 'location /api/v1/ '
    . '{ iot_device_api; }');
wrong('', qr/"iot_device_api" directive is duplicate/, 'twice', @http,
    http => 'location / { iot_device_api; iot_device_api; }');
wrong('', qr/invalid number of arguments in "iot_device_api"/,
    'with an argument', @http, http => 'location / { iot_device_api x; }');
wrong('', qr/"iot_device_api" directive is not allowed here/,
    'outside of a location', @http, http => 'iot_device_api;');

done_testing();
