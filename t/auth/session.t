#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# The end of a session is the end of it in every worker, at once.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Test::More;
use IotTest::Auth;

my $t = IotTest::Auth->new(workers => 2);
my ($email, $password) = map { $t->account("TENANT_$_") } qw(EMAIL PASSWORD);
my @worker = $t->each_worker;

is(scalar(@worker), 2, 'a connection to each worker');


# status of the same call at each worker
sub seen {
    my ($token) = @_;

    return join(' ', map { $_->request('GET', '/api/auth/user',
        [['X-Authorization' => "Bearer $token"]])->status } @worker);
}


# logout, in either worker

for my $i (0, 1) {
    my $pair = $t->try_login($email, $password)->json;
    my $other = $t->try_login($email, $password)->json;

    is(seen($pair->{token}), '200 200', 'both know the token');
    is(seen($other->{token}), '200 200', 'and that of another session');

    my $r = $t->post('/api/auth/logout', token => $pair->{token},
        client => $worker[$i]);
    is($r->status, 200, 'logout');
    is($r->body, '', 'without a word');
    is(seen($pair->{token}), '401 401', 'both have forgotten it');
    is(seen($other->{token}), '200 200', 'but not the other one');

    $r = $t->post('/api/auth/token',
        json => { refreshToken => $pair->{refreshToken} });
    is($r->status, 401, 'no refresh');
    is($r->json->{errorCode}, 10, 'code');
    is($r->json->{message}, 'Token is outdated', 'message');

    $r = $t->post('/api/auth/logout', token => $pair->{token});
    is($r->status, 401, 'once is enough');
}

is($t->post('/api/auth/logout')->status, 401, 'logout of nobody');

# an administrator disables a user

my $id = $t->user('gone@iot.test');
my $token = $t->login('gone@iot.test', $password);
my $enable = "/api/user/$id/userCredentialsEnabled?userCredentialsEnabled=";

is(seen($token), '200 200', 'a user');
is($t->post($enable . 'false', token => $t->tenant, client => $worker[1])
    ->status, 200, 'disabled');
is(seen($token), '401 401', 'and out');
is($t->post($enable . 'true', token => $t->tenant)->status, 200, 'enabled');
is(seen($token), '401 401', 'old sessions stay ended');
$token = $t->login('gone@iot.test', $password);
is(seen($token), '200 200', 'new ones begin');
is($t->del("/api/user/$id", token => $t->tenant)->status, 200, 'deleted');
is(seen($token), '401 401', 'and out');

# the own password

$id = $t->user('change@iot.test');
$token = $t->login('change@iot.test', $password);

my $second = $t->login('change@iot.test', $password);

is(seen($second), '200 200', 'two sessions');


sub change {
    my ($current, $new) = @_;

    return $t->post('/api/auth/changePassword', token => $token,
        json => { currentPassword => $current, newPassword => $new });
}


for my $case (
    ['wrong', 'new-password', q(Current password doesn't match!)],
    [$password, $password,
        'New password should be different from existing!'],
    [$password, 'short',
        'Password must be 6 or more characters in length.'],
    [$password, "\x{e9}" x 40,
        'Password must be no more than 72 characters in length.'],
    [$password, 'x' x 73,
        'Password must be no more than 72 characters in length.'],
    ['', 'new-password', q(Parameter 'currentPassword' can't be empty!)],
    [$password, '', q(Parameter 'newPassword' can't be empty!)])
{
    my $r = change($case->[0], $case->[1]);

    is($r->status, 400, "$case->[2]: status");
    is($r->json->{errorCode}, 31, "$case->[2]: code");
    is($r->json->{message}, $case->[2], $case->[2]);
}

is(seen($token), '200 200', 'nothing was changed');

my $r = change($password, "new-p\x{e4}ssword");

is($r->status, 200, 'changed');
is(seen($token), '401 401', 'the session that did it has ended');
is(seen($second), '401 401', 'all others too');
is(seen($r->json->{token}), '200 200', 'the answer begins a new one');
is($t->try_login('change@iot.test', $password)->status, 401, 'the old one');
is($t->try_login('change@iot.test', "new-p\x{e4}ssword")->status, 200,
    'the new one');
is($t->post('/api/auth/changePassword', json => {})->status, 401, 'nobody');

# the policy

$t->setting('security', { passwordPolicy => { minimumLength => 8,
    maximumLength => 12, minimumUppercaseLetters => 1,
    minimumLowercaseLetters => 2, minimumDigits => 1,
    minimumSpecialCharacters => 1, allowWhitespaces => JSON::XS::false } });

$token = $t->login('change@iot.test', "new-p\x{e4}ssword");

ok($t->wait_for(10, sub {
    $r = change("new-p\x{e4}ssword", 'A b');
    return $r->json->{message} =~ /digit/;
}), 'a policy');
is($r->json->{message}, join("\n",
    'Password must be 8 or more characters in length.',
    'Password must contain 2 or more lowercase characters.',
    'Password must contain 1 or more digit characters.',
    'Password must contain 1 or more special characters.',
    'Password contains a whitespace character.'), 'all that is wrong with it');
ok($t->wait_for(10, sub {
    $r = change("new-p\x{e4}ssword", 'Good-word-1');
    return $r->status == 200;
}), 'a good one');

# public sessions

my $customer = $t->post('/api/customer', token => $t->tenant,
    json => { title => 'Open' })->json;

$r = $t->post('/api/auth/login/public',
    json => { publicId => $customer->{id}{id} });
is($r->status, 401, 'not a public customer');
is($r->json->{errorCode}, 10, 'code');

for my $bad ('x', '', $customer->{id}{id} . 'a') {
    is($t->post('/api/auth/login/public', json => { publicId => $bad })
        ->status, 401, "public id \"$bad\"");
}

is($t->post('/api/auth/login/public', json => [])->status, 401, 'an array');

$t->sql('UPDATE iot.customer SET is_public = true WHERE id = ?',
    $customer->{id}{id});

$r = $t->post('/api/auth/login/public',
    json => { publicId => $customer->{id}{id} });
is($r->status, 200, 'a public customer');

my $pair = $r->json;
my (undef, $claims) = $t->decode($pair->{token});

is($claims->{sub}, $customer->{id}{id}, 'sub is the customer');
is($claims->{isPublic}, JSON::XS::true, 'public');
is_deeply($claims->{scopes}, ['CUSTOMER_USER'], 'scopes');
is($t->get("/api/customer/$customer->{id}{id}/shortInfo",
    token => $pair->{token})->status, 200, 'may read');
is($t->post('/api/auth/changePassword', token => $pair->{token},
    json => { currentPassword => 'a', newPassword => 'b' })->status, 403,
    'has no password');
is($t->post('/api/auth/token', json => { refreshToken =>
    $pair->{refreshToken} })->status, 200, 'refreshes');
is($t->post('/api/auth/logout', token => $pair->{token})->status, 200,
    'logout');
is($t->get("/api/customer/$customer->{id}{id}/shortInfo",
    token => $pair->{token})->status, 401, 'ended');

$t->finish;
done_testing();
