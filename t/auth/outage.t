#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# Without the database nobody is let in, and nobody is sent away for good.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Test::More;
use IotTest::Auth;

my $t = IotTest::Auth->new(workers => 2, cluster => 'own');
my ($email, $password) = map { $t->account("TENANT_$_") } qw(EMAIL PASSWORD);
my $pair = $t->try_login($email, $password)->json;


sub status {
    return $t->get('/api/auth/user', token => $pair->{token})->status;
}


is(status(), 200, 'a session') for 1 .. 4;

# the client gives up while its password is being hashed

for (1 .. 10) {
    my $client = $t->client;
    my $body = JSON::XS::encode_json({ username => $email,
        password => $password });

    $client->write("POST /api/auth/login HTTP/1.1\r\nHost: x\r\n"
        . 'Content-Length: ' . length($body) . "\r\n\r\n$body");
    select(undef, undef, undef, 0.02 * $_);
    $client->close;
}

ok($t->wait_for(10, sub {
    return $t->try_login($email, $password)->status == 200;
}), 'the others are served');

# more logins than there may wait: some are told to come later

$t->setting('limits', { login => '', loginAddress => '',
    loginAccount => '' });

ok($t->wait_for(10, sub {
    my $n = grep { $t->try_login("no$_\@iot.test", 'x')->status == 401 }
        1 .. 3;
    return $n == 3;
}), 'no limits');

my @clients = map { $t->client } 1 .. 150;
my $body = '{"username":"nobody@iot.test","password":"wrong"}';
my %n;

$_->write("POST /api/auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: "
    . length($body) . "\r\n\r\n$body") for @clients;

for my $client (@clients) {
    my $answer = $client->answer;

    $n{$answer->status}++;
    $n{retry}++ if $answer->status == 503 && $answer->header('Retry-After');
}

is(join(' ', sort grep { /\d/ } keys %n), '401 503', 'answered all');
is($n{retry}, $n{503}, 'with Retry-After');
is(status(), 200, 'no harm was done');

# a reload: the new workers know nothing yet

$t->reload;
is(status(), 200, 'after a reload') for 1 .. 8;
is($t->post('/api/auth/token', json => { refreshToken =>
    $pair->{refreshToken} })->status, 200, 'refresh');

# the database leaves

$t->stop_database('immediate');

my $r;

ok($t->wait_for(15, sub {
    $r = $t->get('/api/auth/user', token => $pair->{token});
    return $r->status == 503;
}), 'the session cannot be checked');
ok($r->header('Retry-After'), 'try again');
is($t->try_login($email, $password)->status, 503, 'no login');
is($t->post('/api/auth/token', json => { refreshToken =>
    $pair->{refreshToken} })->status, 503, 'no refresh');
is($t->get('/api/auth/user', token => 'a.b.c')->status, 401,
    'nonsense is nonsense');

$t->start_database;
$t->wait_ready;

ok($t->wait_for(15, sub { return status() == 200 }), 'the session goes on');
is(status(), 200, 'in all workers') for 1 .. 8;
is($t->try_login($email, $password)->status, 200, 'logins too');

# ended while nobody listened

$t->stop_database('fast');
$t->start_database;
$t->sql('DELETE FROM iot.session');
$t->wait_ready;
ok($t->wait_for(15, sub { return status() == 401 }), 'ended behind our back');
is(status(), 401, 'for all workers') for 1 .. 8;

$t->finish;
done_testing();
