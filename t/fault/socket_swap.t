#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# While connecting, libpq gives up a refused address and gets the same
# descriptor number for the next one; epoll has forgotten it, and a worker
# that compares numbers would wait for ever.  Also: TCP instead of a socket.

use lib 't/lib';
use IotTest;

my $closed = IotTest::free_port();
my $open = IotTest::free_port();

my $t = IotTest->new(cluster => 'own', start => 0,
    settings => { listen_addresses => "'127.0.0.1'" });

my $postgres = $t->{cluster}{postgres};

# the tests' clusters know peers on a socket only; the library's port is kept
$postgres->stop('fast');
$postgres->{settings}{listen_addresses} = "'127.0.0.1'";
$postgres->{settings}{port} = $open;
$postgres->start;
$postgres->put('pg_hba.conf', "local all all peer map=iot\n"
    . "host all iot_worker 127.0.0.1/32 trust\n");

my $conninfo = 'user=iot_worker dbname=' . $t->{database};

IotCtl::Postgres::psql($postgres->conninfo('postgres', 'postgres')
    . " port=$open", "SELECT pg_reload_conf();\n", private => 1);

$t->{env} = { IOT_WORKER_DATABASE =>
    "hostaddr=127.0.0.1,127.0.0.1 port=$closed,$open $conninfo" };
$t->with_env(sub { $t->{instance} = IotCtl::Instance->new($IotTest::top) });

ok(eval { $t->start; 1 }, 'ready, although the first address refuses')
    or diag($@);

is($t->post('/api/v1/' . $t->device_token . '/telemetry',
    body => '{"a":1}')->status, 200, 'a point is stored over the second');
unlike($t->error_log, qr/database connection \(\w+\) lost/,
    'and nothing was lost on the way');

$t->quit;

done_testing();
