#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# How an account gets its first password, and another one when that is
# forgotten: links that are good once, for a time, and in one hand.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Test::More;
use Time::HiRes qw(time);
use IotTest::Auth;

my $t = IotTest::Auth->new(workers => 2);
my ($sys, $tenant, $customer) = ($t->sysadmin, $t->tenant, $t->customer);
my $password = 'a new Passw0rd!';
my $base = 'http://localhost';
my $unknown = '00000000-0000-4000-8000-000000000000';


sub make {
    my ($email, %o) = @_;

    return $t->post('/api/user' . ($o{query} || ''),
        token => $o{token} || $tenant, headers => $o{headers}, json => {
            email => $email, authority => 'CUSTOMER_USER', customerId =>
            { entityType => 'CUSTOMER', id => $t->customer_id },
            firstName => 'A', lastName => 'B', %{$o{more} || {}} });
}


# the payloads of the mails to that address, the oldest first
sub mails {
    my ($email) = @_;

    return map { JSON::XS::decode_json($_->[0]) } @{$t->sql(
        q{SELECT payload FROM iot.job WHERE kind = 'mail'
        AND payload ->> 'recipient' = ? ORDER BY created_time, id}, $email)};
}


sub refused {
    my ($answer, $status, $code, $message, $name) = @_;

    is($answer->status, $status, "$name: status");
    is($answer->json->{errorCode}, $code, "$name: code");
    is($answer->json->{message}, $message, "$name: message") if $message;
}


sub forgotten {
    my ($email, %o) = @_;

    return $t->post('/api/noauth/resetPasswordByEmail',
        json => { email => $email }, %o);
}


# the token of the newest mail for a new password, when there are that many
sub reset_token {
    my ($email, $n) = @_;
    my @mails;

    $t->wait_for(10, sub {
        @mails = grep { $_->{template} eq 'reset-password' } mails($email);
        return @mails >= $n;
    });
    is(scalar(@mails), $n, "$n mails for a new password of $email");

    return ($mails[-1]{vars}{link} =~ /resetToken=(\w+)$/)[0];
}


# the mail of a new user

my $r = make('one@iot.test', query => '?sendActivationMail=true');

is($r->status, 200, 'a user is made');

my $id = $r->json->{id}{id};
my ($mail) = mails('one@iot.test');

is($mail->{template}, 'account-activation', 'a mail is on its way');
like($mail->{vars}{link},
    qr{^\Q$base\E/api/noauth/activate\?activateToken=[A-Za-z0-9]{30}$},
    'with a link');
is($mail->{vars}{hours}, 24, 'and its time');
is($mail->{vars}{email}, 'one@iot.test', 'to whom');

my ($token) = $mail->{vars}{link} =~ /=(\w+)$/;

make('two@iot.test', query => '?sendActivationMail=false');
is(mails('two@iot.test'), 0, 'no mail if none is wanted');
make('three@iot.test');
is(mails('three@iot.test'), 1, 'a mail if nothing is said');
make('one@iot.test');
is(mails('one@iot.test'), 1, 'none for a user that could not be made');

# the link for administrators

$r = $t->get("/api/user/$id/activationLink", token => $tenant);
is($r->status, 200, 'the link');
is($r->header('Content-Type'), 'text/plain;charset=UTF-8', 'as text');
is($r->body, $mail->{vars}{link}, 'is that of the mail');

$r = $t->get("/api/user/$id/activationLinkInfo", token => $tenant)->json;
is($r->{value}, $mail->{vars}{link}, 'the same as JSON');
cmp_ok(abs($r->{ttlMs} - 86400000), '<', 600000, 'good for a day');

refused($t->get("/api/user/$id/activationLink", token => $customer), 403, 20,
    undef, 'not for customers');
refused($t->get("/api/user/$id/activationLink", token => $sys), 403, 20,
    undef, 'nor for the system');
refused($t->get("/api/user/$unknown/activationLink", token => $tenant), 404,
    32, undef, 'of nobody');

is($t->post('/api/user/sendActivationMail?email=ONE@iot.test',
    token => $tenant)->status, 200, 'once more');
is(mails('one@iot.test'), 2, 'a second mail');
refused($t->post('/api/user/sendActivationMail?email=none@iot.test',
    token => $tenant), 404, 32, undef, 'to nobody');
refused($t->post('/api/user/sendActivationMail', token => $tenant), 400, 31,
    q(Parameter 'email' can't be empty!), 'without an address');

# what a link begins with

for my $case (
    [{ Host => 'iot.example.org' }, 'http://iot.example.org'],
    [{ Host => 'iot.example.org:8081' }, 'http://iot.example.org:8081'],
    [{ 'X-Forwarded-Proto' => 'https', 'X-Forwarded-Host' =>
        'a.example.org, b.example.org' }, 'https://a.example.org'],
    [{ 'X-Forwarded-Host' => 'a.example.org', 'X-Forwarded-Port' => '8443' },
        'http://a.example.org:8443'],
    [{ 'X-Forwarded-Proto' => 'https', 'X-Forwarded-Host' => 'a.example.org',
        'X-Forwarded-Port' => '443' }, 'https://a.example.org'],
    [{ 'X-Forwarded-Host' => 'a.example.org"><b>' },
        'http://localhost:8080'],
    [{ 'X-Forwarded-Host' => 'a.example.org/x?' }, 'http://localhost:8080'],
    [{ 'X-Forwarded-Proto' => 'javascript' }, $base])
{
    like($t->get("/api/user/$id/activationLink?\@base=http://evil.test",
        token => $tenant, headers => $case->[0])->body,
        qr{^\Q$case->[1]\E/api/noauth/activate}, "base $case->[1]");
}

$t->setting('general', { baseUrl => 'https://own.example.org/',
    prohibitDifferentUrl => JSON::XS::true });
like($t->get("/api/user/$id/activationLink", token => $tenant)->body,
    qr{^\Qhttps://own.example.org/api/noauth/activate\E}, 'the setting');
$t->setting('general', { baseUrl => 'http://localhost:8080',
    prohibitDifferentUrl => JSON::XS::false });

# following the link

$r = $t->get("/api/noauth/activate?activateToken=$token");
is($r->status, 303, 'a page for the password');
is($r->header('Location'), "/login/createPassword?activateToken=$token",
    'where it is');
is($t->get('/api/noauth/activate?activateToken=' . 'x' x 30)->status, 409,
    'an unknown token');
is($t->get('/api/noauth/activate')->status, 400, 'no token');

my $activate = '/api/noauth/activate';

refused($t->post($activate, json => { activateToken => 'x' x 30,
    password => $password }), 400, 31, 'Unable to find user credentials by '
    . 'activateToken [' . 'x' x 30 . ']', 'an unknown token');
refused($t->post($activate, json => { activateToken => $token,
    password => 'short' }), 400, 31, 'Password must be 6 or more characters '
    . 'in length.', 'a short password');
refused($t->post($activate, json => { activateToken => $token }), 400, 31,
    q(Parameter 'password' can't be empty!), 'no password');
refused($t->post($activate, json => { password => $password }), 400, 31,
    q(Parameter 'activateToken' can't be empty!), 'no token');
refused($t->try_login('one@iot.test', $password), 401, 10,
    'User account is not active', 'before');

# one link in many hands

my @clients = map { $t->client } 1 .. 8;
my $body = JSON::XS::encode_json({ activateToken => $token,
    password => $password, _hash => 'mine', token => 'x' });

$_->write("POST $activate HTTP/1.1\r\nHost: x\r\nContent-Length: "
    . length($body) . "\r\n\r\n$body") for @clients;

my @answers = map { $_->answer } @clients;
my ($pair) = grep { $_->status == 200 } @answers;

is((grep { $_->status == 200 } @answers), 1, 'one of eight activates');
is((grep { $_->status == 400 } @answers), 7, 'the others find no token');
is($t->get('/api/auth/user', token => $pair->json->{token})->json->{email},
    'one@iot.test', 'and is logged in');
is($t->try_login('one@iot.test', $password)->status, 200, 'the password');
is((mails('one@iot.test'))[-1]{template}, 'account-activated',
    'a mail tells it');
is($t->value("SELECT count(*) FROM iot.session AS s JOIN iot.users AS u "
    . "ON u.id = s.user_id WHERE u.email = 'one\@iot.test'"), 2,
    'two sessions');
is($t->get("/api/user/$id", token => $tenant)->json->{additionalInfo}
    {userActivated}, JSON::XS::true, 'shown as active');
refused($t->get("/api/user/$id/activationLink", token => $tenant), 400, 31,
    'User is already activated!', 'a link of an active user');
refused($t->post('/api/user/sendActivationMail?email=one@iot.test',
    token => $tenant), 400, 31, 'User is already activated!', 'a mail');

# its time

my $two = $t->value('SELECT id FROM iot.users WHERE email = ?',
    'two@iot.test');
my ($old) = $t->get("/api/user/$two/activationLink", token => $tenant)->body
    =~ /=(\w+)$/;

$t->sql('UPDATE iot.user_credentials SET activate_expires = iot.now_ms() - 1 '
    . 'WHERE user_id = ?', $two);
$r = $t->get("/api/noauth/activate?activateToken=$old");
is($r->status, 303, 'too late');
is($r->header('Location'), '/activationLinkExpired', 'which is said');
refused($t->post($activate, json => { activateToken => $old,
    password => $password }), 400, 31, 'Activation token expired',
    'a token of yesterday');
isnt(($t->get("/api/user/$two/activationLink", token => $tenant)->body
    =~ /=(\w+)$/)[0], $old, 'the next link is another');
$t->sql('UPDATE iot.user_credentials SET activate_expires = iot.now_ms() '
    . '+ 840000 WHERE user_id = ?', $two);
my ($fresh) = $t->get("/api/user/$two/activationLink", token => $tenant)->body
    =~ /=(\w+)$/;
cmp_ok($t->get("/api/user/$two/activationLinkInfo", token => $tenant)
    ->json->{ttlMs}, '>', 86000000, 'also when less than 15 minutes remain');
is($t->post("$activate?sendActivationMail=false", json => { activateToken =>
    $fresh, password => $password })->status, 200, 'activated without a mail');
is(mails('two@iot.test'), 0, 'there is none');

# forgotten

is(forgotten('nobody@iot.test')->status, 200, 'an unknown account');
is(forgotten('three@iot.test')->status, 200, 'one that is not active');
is($t->post('/api/noauth/resetPasswordByEmail', json => $_)->status, 200,
    'nonsense') for {}, { email => 7 }, { email => 'x' x 2000 };

$r = forgotten(' ONE@iot.test ');
is($r->status, 200, 'an active account');
is($r->body, '', 'the same answer');

my $first = reset_token('one@iot.test', 1);

is(forgotten('one@iot.test')->status, 200, 'again');

my $reset = reset_token('one@iot.test', 2);

is($t->value(q{SELECT count(*) FROM iot.job
    WHERE payload ->> 'recipient' IN ('nobody@iot.test', 'three@iot.test')
          AND payload ->> 'template' = 'reset-password'}), 0,
    'nothing for the others');
is($t->value('SELECT count(*) FROM iot.user_credentials AS c WHERE '
    . 'to_jsonb(c)::text LIKE ?', "%$reset%"), 0, 'the token is not stored');

my $page = '/api/noauth/resetPassword';

$r = $t->get("$page?resetToken=$reset");
is($r->status, 303, 'a page for it');
is($r->header('Location'), "/login/resetPassword?resetToken=$reset", 'where');
is($t->get("$page?resetToken=$first")->status, 409, 'the older link is void');
is($t->get("$page?resetToken=$reset")->status, 303, "look $_") for 2 .. 5;
refused($t->get("$page?resetToken=$reset"), 429, 33, undef, 'too often');

refused($t->post($page, json => { resetToken => $first,
    password => 'other Passw0rd' }), 400, 31, 'Invalid reset token!',
    'the older token');
refused($t->post($page, json => { resetToken => $reset,
    password => $password }), 400, 31,
    'New password should be different from existing!', 'the same password');
refused($t->post($page, json => { resetToken => $reset,
    password => 'x' x 73 }), 400, 31, undef, 'a password of 73');

my $session = $t->login('one@iot.test', $password);

@clients = map { $t->client } 1 .. 6;
$body = JSON::XS::encode_json({ resetToken => $reset,
    password => 'other Passw0rd' });
$_->write("POST $page HTTP/1.1\r\nHost: x\r\nContent-Length: "
    . length($body) . "\r\n\r\n$body") for @clients;
@answers = map { $_->answer } @clients;

is((grep { $_->status == 200 } @answers), 1, 'one of six sets it');
is((grep { $_->status == 200 } @answers)[0]->body, '', 'nothing to say');
is((grep { $_->status == 400 } @answers), 5, 'the token is used up');
is($t->get('/api/auth/user', token => $session)->status, 401,
    'sessions have ended');
is($t->try_login('one@iot.test', $password)->status, 401, 'the old password');
is($t->try_login('one@iot.test', 'other Passw0rd')->status, 200, 'the new');
is((mails('one@iot.test'))[-1]{template}, 'password-was-reset',
    'a mail tells it');

forgotten('one@iot.test');
$reset = reset_token('one@iot.test', 3);
$t->sql('UPDATE iot.user_credentials SET reset_expires = iot.now_ms() - 1, '
    . 'reset_times = ? WHERE user_id = ?', '{}', $id);
is($t->get("$page?resetToken=$reset")->header('Location'),
    '/passwordResetLinkExpired', 'too late for the page');
refused($t->post($page, json => { resetToken => $reset,
    password => 'third Passw0rd' }), 400, 31, 'Password reset token expired',
    'and for the password');

forgotten('one@iot.test') for 1 .. 4;
reset_token('one@iot.test', 5);
is($t->value(q{SELECT count(*) FROM iot.job WHERE payload ->> 'recipient'
    = 'one@iot.test' AND payload ->> 'template' = 'reset-password'}), 5,
    'five mails an hour');

# a disabled account gets none, and what it has is void

forgotten('two@iot.test');
$reset = reset_token('two@iot.test', 1);
$t->post("/api/user/$two/userCredentialsEnabled?userCredentialsEnabled=false",
    token => $tenant);
refused($t->post($page, json => { resetToken => $reset,
    password => 'third Passw0rd' }), 400, 31, 'Invalid reset token!',
    'of a disabled account');

# a forged name of the server does not get into such a mail

$t->setting('general', { baseUrl => 'https://own.example.org',
    prohibitDifferentUrl => JSON::XS::false });
make('four@iot.test', query => '?sendActivationMail=false');
$t->sql(q{UPDATE iot.user_credentials SET password_hash = 'x', enabled = true
    WHERE user_id = (SELECT id FROM iot.users WHERE email = 'four@iot.test')});
forgotten('four@iot.test', headers => { 'X-Forwarded-Host' => 'evil.test' });
reset_token('four@iot.test', 1);
like((mails('four@iot.test'))[-1]{vars}{link},
    qr{^\Qhttps://own.example.org/\E}, 'the setting goes first');

# two take one address

@clients = map { $t->client } 1 .. 8;
$body = JSON::XS::encode_json({ email => 'race@iot.test',
    authority => 'CUSTOMER_USER', customerId => { entityType => 'CUSTOMER',
    id => $t->customer_id } });
$_->write("POST /api/user HTTP/1.1\r\nHost: x\r\nX-Authorization: Bearer "
    . "$tenant\r\nContent-Length: " . length($body) . "\r\n\r\n$body")
    for @clients;
@answers = map { $_->answer } @clients;

is((grep { $_->status == 200 } @answers), 1, 'one of eight gets the address');
is((grep { $_->status == 400 && $_->json->{message} eq
    q(User with email 'race@iot.test' already present in database!) }
    @answers), 7, 'the others are told');
is(mails('race@iot.test'), 1, 'one mail');

# what people write into their names

my $n = 0;

for my $name (q('; DROP TABLE iot.users; --), "a\r\nBcc: x\@evil.test",
    '{{link}} ${x} %s', "\x{1f600} \x{e9}")
{
    $n++;
    is(make("name$n\@iot.test", more => { firstName => $name })
        ->json->{firstName}, $name, "name $n is a name");
}

for my $field (qw(firstName lastName phone)) {
    refused(make('html@iot.test', more => { $field =>
        '<img src=x onerror=alert(1)>' }), 400, 31, "$field is malformed",
        "HTML in $field");
}

for my $email ("a\@iot.test\r\nBcc: b\@iot.test", 'a b@iot.test', 'a@b',
    '<a>@iot.test', "a\@iot.test,b\@iot.test", q("a"@iot.test), 'a@.test')
{
    (my $seen = $email) =~ s/\s/ /g;
    is(make($email)->status, 400, "no address: $seen");
}

is($t->value(q{SELECT count(*) FROM iot.job WHERE payload ->> 'recipient'
    ~ '[[:space:][:cntrl:],<>]'}), 0, 'no mail to a forged address');


$t->finish;
done_testing();
