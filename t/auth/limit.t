#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# Guessing passwords is slow, and may be given up by force.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Test::More;
use Time::HiRes qw(time);
use IotTest::Auth;

my $t = IotTest::Auth->new(workers => 2);
my $password = $t->account('TENANT_PASSWORD');
my $email = $t->account('CUSTOMER_EMAIL');
my $r;

$t->user("u$_\@iot.test") for 1 .. 4;

# ten failures of one account from one address

for my $i (1 .. 10) {
    is($t->try_login('u1@iot.test', "wrong $i")->status, 401, "failure $i");
}

my $start = time();

$r = $t->try_login('u1@iot.test', $password);

is($r->status, 429, 'then also the right one must wait');
is($r->json->{errorCode}, 33, 'code');
like($r->header('Retry-After'), qr/^[1-9]\d*$/, 'how long');
cmp_ok($r->header('Retry-After'), '<=', 7, 'not longer than one takes');
is($t->try_login(' U1@IOT.test', $password)->status, 429,
    'however it is written');
cmp_ok(time() - $start, '<', 2, 'and nothing is hashed');

is($t->try_login('u2@iot.test', $password)->status, 200,
    'others are not affected');
is($t->try_login('u2@iot.test', $password)->status, 200,
    'successes do not count') for 1 .. 12;

# attempts at the same time do not slip through

my @clients = map { $t->client } 1 .. 30;
my $body = JSON::XS::encode_json({ username => 'u3@iot.test',
    password => 'wrong' });

$_->write("POST /api/auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: "
    . length($body) . "\r\n\r\n$body") for @clients;

my %n;

$n{$_->answer->status}++ for @clients;
is($n{401} + $n{429}, 30, 'thirty at once are answered');
cmp_ok($n{401}, '<=', 11, 'ten of them were tried');

# all accounts from one address

$t->setting('limits', { login => '', loginAddress => '5:3600' });
ok($t->wait_for(15, sub {
    return $t->try_login('nobody@iot.test', 'x')->status == 429;
}), 'a limit of the address');
is($t->try_login($email, $t->account('CUSTOMER_PASSWORD'))->status, 429,
    'holds for everybody who comes from there');
cmp_ok($t->try_login($email, 'x')->header('Retry-After'), '>', 60,
    'for long');

$t->setting('limits',
    { login => '', loginAddress => '', loginPublic => '2:9' });
ok($t->wait_for(10, sub {
    return $t->try_login('u3@iot.test', 'wrong')->status == 401
        && $t->try_login('u3@iot.test', 'wrong')->status == 401;
}), 'no limit');

# public logins

my %public;

$public{$t->post('/api/auth/login/public', json => { publicId =>
    $t->customer_id })->status}++ for 1 .. 10;
cmp_ok($public{429} || 0, '>=', 6, 'public logins are limited too');

# the lock

$t->setting('security', { maxFailedLoginAttempts => 2 });

my $token = $t->login('u4@iot.test', $password);

is($t->get('/api/auth/user', token => $token)->status, 200, 'a session');

my @said = map { $t->try_login('u4@iot.test', 'wrong')->json->{message} }
    1 .. 4;

is_deeply(\@said, [('Invalid username or password') x 2,
    'User account is locked due to security policy',
    'Invalid username or password'], 'the third failure locks');

$r = $t->try_login('u4@iot.test', $password);
is($r->status, 401, 'the right password does not help');
is($r->json->{errorCode}, 10, 'code');
is($r->json->{message}, 'User account is locked due to security policy',
    'but is told why');
is($t->get('/api/auth/user', token => $token)->status, 401,
    'sessions have ended');
is($t->value(q{SELECT count(*) FROM iot.audit_log WHERE action = 'LOCKOUT'}),
    1, 'in the audit log');

my $id = $t->value('SELECT id FROM iot.users WHERE email = ?', 'u4@iot.test');

is($t->post("/api/user/$id/userCredentialsEnabled"
    . '?userCredentialsEnabled=true', token => $t->tenant)->status, 200,
    'an administrator unlocks');
is($t->try_login('u4@iot.test', $password)->status, 200, 'and in again');

# nobody can tell by the time whether there is such a user

my (@known, @unknown);

for (1 .. 7) {
    push @known, elapsed('u2@iot.test');
    push @unknown, elapsed('nobody@iot.test');
}

my ($a, $b) = map { (sort { $a <=> $b } @$_)[3] } \@known, \@unknown;

cmp_ok(abs($a - $b), '<', 0.5 * ($a > $b ? $a : $b),
    sprintf('%.0f ms and %.0f ms', $a * 1000, $b * 1000));


# of a login that fails; the lock is not reached by failures of two kinds
sub elapsed {
    my ($email) = @_;

    $t->sql('UPDATE iot.user_credentials SET failed_logins = 0');

    my $start = time();

    $t->try_login($email, 'wrong');

    return time() - $start;
}


$t->finish;
done_testing();
