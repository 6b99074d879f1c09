#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# More clients than worker_connections: the first ones are served, the rest is
# turned away, and the worker's own connections to the database live through
# it and through a restart of the database.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Test::More;
use IotTest::Device;

# nginx takes half of the files that it may open
if (!$ENV{IOT_TEST_FEW_FILES}) {
    $ENV{IOT_TEST_FEW_FILES} = 1;
    exec('/bin/sh', '-c', 'ulimit -n 400 && exec "$0" "$@"', $^X, $0);
    die "exec: $!";
}

my $t = IotTest::Device->new(cluster => 'own');

$t->allow_alert(qr/200 worker_connections are not enough/);
is($t->telemetry('{"a":1}')->status, 200, 'a point');
delete $t->{client};

my (@good, $served);

# nginx takes idle connections back, so these are busy: half a body each
my $post = $t->request('POST', 'telemetry', '{"a":2}');

for my $i (1 .. 250) {
    my $c = $t->client;

    $c->write(substr($post, 0, -1));
    push @good, $c;
}

ok($t->wait_log(qr/worker_connections are not enough/), 'the log says why');

for my $c (@good) {
    my $answer = eval { $c->write('}'); $c->answer };

    $served++ if $answer && $answer->status == 200;
}

cmp_ok($served, '>=', 100, 'many are served');
cmp_ok($served, '<=', 200, 'the rest is turned away');

my ($c) = grep { eval { $t->http('GET', '/healthz', client => $_)->status
    == 200 } } @good;

ok($c, 'those who were in are served again');

$t->restart_database('immediate');

ok($t->wait_for(20, sub {
    my $a = eval { $t->http('POST', $t->url('telemetry'), body => '{"a":3}',
        client => $c) };
    return $a && $a->status == 200;
}), 'also after a restart of the database');

$_->close for @good;
is($t->wait_for(10, sub {
    my $a = eval { $t->client->request('GET', '/readyz', []) };
    return $a && $a->status == 200;
}), 1, 'when they leave, others may come');

done_testing();
