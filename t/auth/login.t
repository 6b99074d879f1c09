#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# Logging in, what the tokens say, and what is refused in which words.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Test::More;
use IotTest::Auth;

my $none = '13814000-1dd2-11b2-8080-808080808080';
my $t = IotTest::Auth->new(workers => 2);
my ($email, $password) = map { $t->account("TENANT_$_") } qw(EMAIL PASSWORD);


sub refused {
    my ($answer, $status, $code, $message, $name) = @_;

    is($answer->status, $status, "$name: status");
    is($answer->json->{errorCode}, $code, "$name: code");
    is($answer->json->{message}, $message, "$name: message");
    is($answer->json->{status}, $status, "$name: status in the body");
}


# what a login gives

my $before = time();
my $r = $t->try_login($email, $password);

is($r->status, 200, 'login');
is_deeply([sort keys %{$r->json}], [qw(refreshToken scope token)], 'members');
is($r->json->{scope}, undef, 'no scope');

my ($header, $claims) = $t->decode($r->json->{token});

is($header->{alg}, 'HS512', 'algorithm');
is($claims->{sub}, $email, 'sub');
is_deeply($claims->{scopes}, ['TENANT_ADMIN'], 'scopes');
is($claims->{tenantId}, $t->tenant_id, 'tenantId');
is($claims->{customerId}, $none, 'customerId');
is($claims->{iss}, 'thingsboard.io', 'iss');
is($claims->{exp} - $claims->{iat}, 9000, 'lifetime');
ok($claims->{iat} >= $before - 1 && $claims->{iat} <= time() + 1, 'iat');
ok(!exists $claims->{firstName}, 'no first name, no claim');
is($claims->{isPublic}, JSON::XS::false, 'not public');
is($claims->{enabled}, JSON::XS::true, 'enabled');

my (undef, $refresh) = $t->decode($r->json->{refreshToken});

is_deeply($refresh->{scopes}, ['REFRESH_TOKEN'], 'refresh: scopes');
is($refresh->{exp} - $refresh->{iat}, 604800, 'refresh: lifetime');
is($refresh->{sessionId}, $claims->{sessionId}, 'refresh: same session');
like($refresh->{jti}, qr/^[0-9a-f-]{36}$/, 'refresh: jti');

is($t->get('/api/auth/user', token => $r->json->{token})->json->{email},
    $email, 'the token is good');

(undef, $claims) = $t->decode($t->sysadmin);
is($claims->{tenantId}, $none, 'a system administrator has no tenant');
(undef, $claims) = $t->decode($t->customer);
is($claims->{customerId}, $t->customer_id, 'the customer of its user');

# forms of the same login

is($t->try_login(uc($email), $password)->status, 200, 'case of the address');
is($t->try_login("  $email ", $password)->status, 200, 'blanks around it');
is($t->post('/api/auth/login', body => "\xef\xbb\xbf" . qq({"x":[1,{}],)
    . qq("username":"$email","password":"$password"}))->status, 200,
    'other members, a byte order mark, no Content-Type');

# forms of the header

my $token = $r->json->{token};

for my $value ("Bearer $token", "bearer $token", "BEARER   $token  ") {
    for my $name ('X-Authorization', 'Authorization') {
        is($t->get('/api/auth/user', headers => { $name => $value })->status,
            200, "$name: " . substr($value, 0, 9));
    }
}

is($t->get('/api/auth/user', headers => [['X-Authorization',
    "Bearer $token"], ['Authorization', 'Basic eDp5']])->status, 200,
    'X-Authorization goes first');

for my $value ($token, '', 'Bearer', 'Bearer ', "Basic $token",
    "Bearer$token")
{
    refused($t->get('/api/auth/user',
        headers => { 'X-Authorization' => $value }), 401, 10,
        'Authentication failed', 'header "' . substr($value, 0, 12) . '"');
}

refused($t->get('/api/no/such/path'), 401, 10, 'Authentication failed',
    'unknown path without a token');
refused($t->get('/api/no/such/path', token => $token), 404, 32,
    q(Requested item wasn't found!), 'unknown path with a token');

# logins that fail

refused($t->try_login($email, "$password "), 401, 10,
    'Invalid username or password', 'wrong password');
refused($t->try_login('nobody@iot.test', $password), 401, 10,
    'Invalid username or password', 'unknown user');
refused($t->try_login($email, 'x' x 73), 401, 10,
    'Invalid username or password', '73 bytes of password');
refused($t->try_login('x' x 5000, $password), 401, 10,
    'Invalid username or password', 'a long name');
refused($t->try_login("' OR true --", q(' OR true --)), 401, 10,
    'Invalid username or password', 'SQL');

for my $body ('', '{', '[]', '"x"', 'null', '{}', qq({"username":"$email"}),
    qq({"username":"$email","password":""}), '{"username":7,"password":true}',
    qq({"username":"$email","password":"a\\u0000b"}),
    qq({"username":"$email","password":"\xff"}), '[' x 100_000)
{
    refused($t->post('/api/auth/login', body => $body), 401, 10,
        'Authentication failed', 'body ' . substr($body, 0, 40));
}

is($t->get('/api/auth/login')->status, 401, 'only POST');
is($t->get('/api/auth/login')->json->{message},
    'Authentication method not supported', 'in the words of the API');

# a user agent that is no text must not get into the way

$t->user('agent@iot.test');
is($t->try_login('agent@iot.test', $password,
    headers => { 'User-Agent' => "caf\xe9" })->status, 200, 'user agent');
is($t->try_login('agent@iot.test', $password,
    headers => { 'User-Agent' => 'y' x 3000 })->status, 200,
    'a long user agent');

# not active, disabled

my $id = $t->post('/api/user?sendActivationMail=false', token => $t->tenant,
    json => { email => 'new@iot.test', authority => 'TENANT_ADMIN' })
    ->json->{id}{id};

refused($t->try_login('new@iot.test', $password), 401, 10,
    'User account is not active', 'not activated');

$id = $t->user('off@iot.test');
is($t->try_login('off@iot.test', $password)->status, 200, 'enabled');
is($t->post("/api/user/$id/userCredentialsEnabled"
    . '?userCredentialsEnabled=false', token => $t->tenant)->status, 200,
    'disable');
refused($t->try_login('off@iot.test', $password), 401, 10,
    'User account is not active', 'disabled');
refused($t->try_login('off@iot.test', 'wrong'), 401, 10,
    'Invalid username or password', 'disabled, and a wrong password');

# a hash of lower cost is replaced at the next login

my $cheap = '$argon2id$v=19$m=8192,t=1,p=1$';
my $old = $cheap . '+y1QAkY2ujw7LmGf1+vE3w$'
    . 'nl1UjFaERtKzkXxmjNVzKlxSp41G1R+Nm9xNRbShBaU';


sub hash_of {
    return $t->value('SELECT password_hash FROM iot.user_credentials WHERE '
        . 'user_id = (SELECT id FROM iot.users WHERE email = ?)', $_[0]);
}


$t->sql('UPDATE iot.user_credentials SET password_hash = ? WHERE user_id = '
    . '(SELECT id FROM iot.users WHERE email = ?)', $old, 'agent@iot.test');
is($t->try_login('agent@iot.test', $password)->status, 401, 'another one');
is(hash_of('agent@iot.test'), $old, 'a failure changes nothing');
is($t->try_login('agent@iot.test', 'old-password')->status, 200,
    'a cheap hash');
like(hash_of('agent@iot.test'), qr/^\$argon2id\$v=19\$m=65536,t=2,p=1\$/,
    'is replaced by a dear one');
is($t->try_login('agent@iot.test', 'old-password')->status, 200,
    'of the same password');

$t->sql('UPDATE iot.user_credentials SET password_hash = ? WHERE user_id = '
    . '(SELECT id FROM iot.users WHERE email = ?)', 'old-password',
    'agent@iot.test');
is($t->try_login('agent@iot.test', 'old-password')->status, 401,
    'what is no hash matches nothing');

# what is written down

is($t->value(q{SELECT count(*) FROM iot.audit_log WHERE action = 'LOGIN'
    AND status = 'FAILURE'}) > 0, 1, 'failures are in the audit log');
unlike($t->error_log, qr/\Q$password\E/, 'no password in the error log');

$t->finish;
done_testing();
