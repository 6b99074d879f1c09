#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# Clients that leave, a database that is slow or away, workers that are told
# to go: in the middle of calls.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Test::More;
use Time::HiRes qw(sleep time);
use IotTest::Engine;

my $t = IotTest::Engine->new(cluster => 'own');

$t->psql('CREATE TABLE public.done (what text);'
    . 'GRANT ALL ON public.done TO public;');
$t->replace('server_time', 'json', q{
    PERFORM pg_sleep((query->>'s')::float8);
    RETURN to_json(1);
});
$t->replace('device_save', 'json', q{
    PERFORM pg_sleep((body->>'s')::float8);
    INSERT INTO public.done VALUES (body->>'what');
    RETURN body;
});

my $token = $t->tenant;
my $auth = ['X-Authorization' => "Bearer $token"];
my $a;

sub save {
    my ($seconds, $what) = @_;
    my $c = $t->client;

    $c->write(IotTest::Client::format_request('POST', '/api/device', [$auth],
        "{\"s\":$seconds,\"what\":\"$what\"}"));

    return $c;
}


sub done {
    return $t->value('SELECT count(*) FROM public.done WHERE what = ?', @_);
}


# --- the client leaves; what was begun is done

my $c = save(0.5, 'left');
sleep(0.2);
$c->close;
ok($t->wait_for(10, sub { done('left') == 1 }),
    'a change is completed although its client has left');

for my $i (1 .. 100) {
    my $c = $t->client;

    $c->write(IotTest::Client::format_request('GET',
        '/api/dashboard/serverTime?s=0.002', [$auth]));
    sleep(0.001 * ($i % 7));
    $c->close;
}

is($t->get('/api/dashboard/serverTime?s=0', token => $token)->status, 200,
    'a hundred that leave harm nobody');

# --- a graceful end waits for the calls

$c = save(1, 'stay');
sleep(0.3);
$t->reload;
$a = $c->answer;
is($a->status, 200, 'a call that was on its way is answered after a reload');
is($a->header('connection'), 'close', 'and then the old worker lets go');
is(done('stay'), 1, 'once');

# --- the database goes away

$c = save(5, 'cut');
sleep(0.3);
$t->stop_database('immediate');
$a = $c->answer;
is($a->status, 503, 'the database ends in the middle of a call');
ok($a->header('retry-after'), 'come again later');
is($a->json->{errorCode}, 46, 'storage failure');

my $start = time();
$a = $t->get('/api/dashboard/serverTime?s=0', token => $token);
is($a->status, 503, 'no database');
cmp_ok(time() - $start, '<', 15, 'is said in time');
ok($a->header('retry-after'), 'come again later');
is($t->get('/healthz')->status, 200, 'the worker is well');

$t->start_database;
ok($t->wait_for(30, sub {
    $t->get('/api/dashboard/serverTime?s=0', token => $token)->status == 200
}), 'all is well when it is back');

# --- more than the queue holds

$t->snippet('iot', "database_queue 4;\ndatabase_connections 1;\n");
$t->reload(gone => 1);

my @c = map { save(0.02, 'many') } 1 .. 150;
my %status;

$status{$_->answer->status}++ for @c;
ok($status{200}, 'what fits is served');
ok($status{503}, 'what does not is refused');
is(($status{200} || 0) + ($status{503} || 0), 150, 'nothing else happens');
is(done('many'), $status{200}, 'and only what was answered took place');

done_testing();
