#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# Second factors: what a login without one opens, codes that are good once,
# and how often they may be tried; the key of tokens; tokens of other users.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Digest::SHA qw(hmac_sha1);
use MIME::Base64 qw(encode_base64);
use Test::More;
use IotTest::Auth;

my $t = IotTest::Auth->new(workers => 2);
my $password = $t->account('TENANT_PASSWORD');
my $sys = $t->sysadmin;
my $wrong = 'Verification code is incorrect';
my %id = map { $_ => $t->user("u$_\@iot.test") } 1 .. 4;


sub refused {
    my ($answer, $status, $code, $message, $name) = @_;

    is($answer->status, $status, "$name: status");
    is($answer->json->{errorCode}, $code, "$name: code");
    is($answer->json->{message}, $message, "$name: message") if $message;
}


# RFC 6238
sub totp {
    my ($url, $step) = @_;
    my ($secret) = $url =~ /secret=([A-Z2-7]+)/;
    my $bits = join('', map { sprintf('%05b',
        index('ABCDEFGHIJKLMNOPQRSTUVWXYZ234567', $_)) } split(//, $secret));
    my $mac = hmac_sha1(pack('Q>', int(time() / 30) + ($step || 0)),
        pack('B*', $bits));
    my $n = unpack('N', substr($mac, ord(substr($mac, 19)) & 15, 4));

    return sprintf('%06d', ($n & 0x7fffffff) % 1000000);
}


sub platform {
    my (%o) = @_;

    return $t->post('/api/2fa/settings', token => $sys, json => {
        providers => [{ providerType => 'TOTP', issuerName => 'An Issuer' },
            { providerType => 'EMAIL', verificationCodeLifetime => 60 },
            { providerType => 'BACKUP_CODE', codesQuantity => 3 }],
        minVerificationCodeSendPeriod => 5,
        totalAllowedTimeForVerification => 600, %o });
}


sub check {
    my ($token, $type, $code, %o) = @_;

    return $t->post('/api/auth/2fa/verification/check?providerType='
        . "$type&verificationCode=$code", token => $token, %o);
}


sub code {
    my ($email, $n) = @_;
    my $rows = $t->sql(q{SELECT payload -> 'vars' ->> 'code' FROM iot.job
        WHERE payload ->> 'template' = 'two-fa-code'
        AND payload ->> 'recipient' = ? ORDER BY created_time, id}, $email);

    is(scalar(@$rows), $n, "$n codes mailed to $email");
    return $rows->[-1][0];
}


# settings of the platform

is($t->get('/api/2fa/settings', token => $sys)->body, '', 'none at first');
refused(platform(providers => [{ providerType => 'SMS' }]), 400, 31,
    'SMS is not supported by this server', 'no SMS');
refused(platform(providers => [{ providerType => 'TOTP' }]), 400, 31,
    'issuerName is malformed', 'TOTP without an issuer');
refused(platform(minVerificationCodeSendPeriod => 4), 400, 31, undef,
    'codes too often');
refused(platform(totalAllowedTimeForVerification => 59), 400, 31, undef,
    'too short a time');
refused(platform(verificationCodeCheckRateLimit => 'often'), 400, 31, undef,
    'a malformed rate');
refused(platform(providers => [], enforceTwoFa => JSON::XS::true,
    enforcedUsersFilter => { type => 'ALL_USERS' }), 400, 31, undef,
    'enforced without a provider');
is($t->post('/api/2fa/settings', token => $t->tenant, json => {})->status,
    403, 'not for tenants');

my $r = platform();

is($r->status, 200, 'settings');
is($r->json->{totalAllowedTimeForVerification}, 600, 'as they were sent');
is_deeply($t->get('/api/2fa/providers', token => $t->customer)->json,
    [qw(TOTP EMAIL BACKUP_CODE)], 'what there is');

# TOTP of an account

my $token = $t->login('u1@iot.test', $password);
my $config = '/api/2fa/account/config';

is($t->get('/api/2fa/account/settings', token => $token)->body, '',
    'nothing set up');
refused($t->post($config, token => $token, json => { providerType =>
    'BACKUP_CODE', codes => [] }), 400, 31, undef, 'backup codes alone');

my $made = $t->post("$config/generate?providerType=TOTP", token => $token)
    ->json;

like($made->{authUrl}, qr{^otpauth://totp/An%20Issuer:u1%40iot\.test
    \?issuer=An%20Issuer&secret=[A-Z2-7]{32}$}x, 'what an authenticator reads');
refused($t->post("$config?verificationCode=000000x", token => $token,
    json => $made), 400, 31, $wrong, 'a wrong code');
refused($t->post($config, token => $token, json => { %$made,
    _step => 1, _secret => 'sealed:w:x' }), 400, 31, $wrong, 'no code');

my $first = totp($made->{authUrl});

$r = $t->post("$config?verificationCode=$first", token => $token,
    json => $made);
is($r->status, 200, 'set up');
is_deeply($r->json, { configs => { TOTP => { providerType => 'TOTP',
    useByDefault => JSON::XS::true, authUrl => undef } } },
    'the seed is not shown again');
unlike($t->value('SELECT secret FROM iot.second_factor'),
    qr/@{[$made->{authUrl} =~ m{secret=(\w+)}]}/, 'nor stored as it is');
like($t->value('SELECT secret FROM iot.second_factor'), qr/^sealed:w:/,
    'but sealed');
refused($t->post("$config?verificationCode=" . totp($made->{authUrl}),
    token => $token, json => $made), 400, 31,
    '2FA provider is already configured', 'a second time');

# a login now

$r = $t->try_login('u1@iot.test', $password);
is($r->status, 200, 'the password');
is($r->json->{scope}, 'PRE_VERIFICATION_TOKEN', 'is not enough');
is($r->json->{refreshToken}, undef, 'no refresh token');

my $pre = $r->json->{token};
my (undef, $claims) = $t->decode($pre);

is_deeply($claims->{scopes}, ['PRE_VERIFICATION_TOKEN'], 'claims');
is($claims->{exp} - $claims->{iat}, 600, 'its time');

for my $path ('auth/user', 'user/settings', 'device/' . $t->device_id,
    '2fa/account/settings', 'plugins/telemetry/DEVICE/' . $t->device_id
    . '/values/timeseries')
{
    is($t->get("/api/$path", token => $pre)->status, 403,
        "it does not open $path");
}

is($t->post('/api/auth/token', json => { refreshToken => $pre })->status, 401,
    'nor renews itself');
is_deeply($t->get('/api/auth/2fa/providers', token => $pre)->json,
    [{ type => 'TOTP', default => JSON::XS::true, contact => undef,
    minVerificationCodeSendPeriod => undef }], 'how to go on');
is($t->get('/api/auth/2fa/providers', token => $token)->status, 403,
    'which is not for others');
is($t->post('/api/auth/2fa/verification/send?providerType=TOTP',
    token => $pre)->status, 200, 'nothing to send');
refused(check($pre, 'TOTP', $first), 400, 31, $wrong,
    'the code that set it up is used');
refused(check($pre, 'TOTP', 'x'), 400, 31, $wrong, 'no code');
refused(check($pre, 'EMAIL', '000000'), 400, 31,
    '2FA is not configured for account', 'what is not set up');
refused(check($pre, 'SMS', '1'), 400, 31, undef, 'by SMS');

# the same code in many hands

my $code = totp($made->{authUrl}, 1);
my @tokens = map { $t->try_login('u1@iot.test', $password)->json->{token} }
    1 .. 4;
my @clients = map { $t->client } @tokens;

$clients[$_]->write('POST /api/auth/2fa/verification/check?providerType=TOTP'
    . "&verificationCode=$code HTTP/1.1\r\nHost: x\r\nX-Authorization: Bearer "
    . "$tokens[$_]\r\nContent-Length: 0\r\n\r\n") for 0 .. 3;

my @answers = map { $_->answer } @clients;
my ($won) = grep { $_->status == 200 } @answers;

is((grep { $_->status == 200 } @answers), 1, 'one of four gets in');
is((grep { $_->status == 400 } @answers), 3, 'the code is used up');
is($t->get('/api/auth/user', token => $won->json->{token})->json->{email},
    'u1@iot.test', 'with a full session');
ok($won->json->{refreshToken}, 'and its refresh token');
is($t->value(q{SELECT count(*) FROM iot.audit_log WHERE action = 'LOGIN'
    AND status = 'SUCCESS' AND user_id = ?}, $id{1}), 2, 'two logins told');

# codes by mail

$token = $won->json->{token};
$made = $t->post("$config/generate?providerType=EMAIL", token => $token)->json;
is($made->{email}, 'u1@iot.test', 'the own address is proposed');
is($t->post("$config/submit", token => $token, json => $made)->status, 200,
    'a code is mailed');
$code = code('u1@iot.test', 1);
refused($t->post("$config/submit", token => $token, json => $made), 429, 33,
    'Too many requests', 'another at once');
refused($t->post("$config?verificationCode=$code", token => $token,
    json => { %$made, email => 'other@iot.test' }), 400, 31, $wrong,
    'the code of another address');
$t->sql('DELETE FROM iot.second_factor_code');
$t->post("$config/submit", token => $token, json => $made);
$code = code('u1@iot.test', 2);
is($t->post("$config?verificationCode=$code", token => $token,
    json => $made)->status, 200, 'set up');

# backup codes

$made = $t->post("$config/generate?providerType=BACKUP_CODE",
    token => $token)->json;
is(scalar(@{$made->{codes}}), 3, 'three codes');

$r = $t->post($config, token => $token, json => $made)->json;
is($r->{configs}{BACKUP_CODE}{codesLeft}, 3, 'kept');
is($t->value('SELECT count(*) FROM iot.second_factor AS f WHERE '
    . 'to_jsonb(f)::text LIKE ?', "%$made->{codes}[0]%"), 0, 'as hashes');
is($t->put("$config?providerType=EMAIL", token => $token, json => {
    useByDefault => JSON::XS::true })->json->{configs}{TOTP}{useByDefault},
    JSON::XS::false, 'one is the default');

$pre = $t->try_login('u1@iot.test', $password)->json->{token};
is_deeply([map { $_->{contact} } @{$t->get('/api/auth/2fa/providers',
    token => $pre)->json}], [undef, 'u1***@iot.test', undef],
    'a part of the address is shown');
refused(check($pre, 'BACKUP_CODE', 'aaaaaaaaaa'), 400, 31, $wrong,
    'no backup code');
is(check($pre, 'BACKUP_CODE', $made->{codes}[1])->status, 200,
    'a backup code');
is(check($pre, 'BACKUP_CODE', $made->{codes}[2])->status, 401,
    'that session is over');
$pre = $t->try_login('u1@iot.test', $password)->json->{token};
refused(check($pre, 'BACKUP_CODE', $made->{codes}[1]), 400, 31, $wrong,
    'a used one');
$t->sql('DELETE FROM iot.second_factor_code');
is($t->post('/api/auth/2fa/verification/send?providerType=EMAIL',
    token => $pre)->status, 200, 'a code for the login');
$code = code('u1@iot.test', 3);
$t->sql('UPDATE iot.second_factor_code SET expires_at = 1');
refused(check($pre, 'EMAIL', $code), 400, 31, $wrong, 'too late');
$t->sql('UPDATE iot.second_factor_code SET expires_at = iot.now_ms() + 60000');
is(check($pre, 'EMAIL', $code)->status, 200, 'in time');

# a rate, and an end

platform(verificationCodeCheckRateLimit => '2:3600');
$pre = $t->try_login('u1@iot.test', $password)->json->{token};
check($pre, 'TOTP', '000000') for 1 .. 2;
refused(check($pre, 'TOTP', '000000'), 429, 33, 'Too many requests',
    'the third code in an hour');
platform(maxVerificationFailuresBeforeUserLockout => 2);
$t->sql('UPDATE iot.user_credentials SET second_failures = 0');
check($pre, 'BACKUP_CODE', 'x');
refused(check($pre, 'BACKUP_CODE', 'x'), 401, 10,
    'User account is locked due to security policy', 'too many wrong ones');
refused($t->try_login('u1@iot.test', $password), 401, 10,
    'User account is locked due to security policy', 'the account is locked');
$t->post("/api/user/$id{1}/userCredentialsEnabled?userCredentialsEnabled=true",
    token => $t->tenant);

# taken away

platform();
$pre = $t->try_login('u1@iot.test', $password)->json->{token};
$token = check($pre, 'BACKUP_CODE', $made->{codes}[2])->json->{token};
is($t->del("$config?providerType=TOTP", token => $token)->status, 200,
    'TOTP is removed');
is($t->del("$config?providerType=EMAIL", token => $token)->body, '',
    'with the last one the backup codes go');
is($t->try_login('u1@iot.test', $password)->json->{scope}, undef,
    'the password is enough');

# taken away by an administrator

my $lost = "/api/2fa/user/$id{4}";

refused($t->del($lost, token => $t->tenant), 400, 31,
    '2FA provider is not configured', 'who has none');
$token = $t->login('u4@iot.test', $password);
$made = $t->post("$config/generate?providerType=TOTP", token => $token)->json;
$t->post("$config?verificationCode=" . totp($made->{authUrl}),
    token => $token, json => $made);
$made = $t->post("$config/generate?providerType=BACKUP_CODE",
    token => $token)->json;
$t->post($config, token => $token, json => $made);
is($t->try_login('u4@iot.test', $password)->json->{scope},
    'PRE_VERIFICATION_TOKEN', 'a password is not enough');
is($t->del($lost, token => $_)->status, 403, 'not by others')
    for $sys, $t->customer, $token;
is($t->del("$lost?providerType=PIGEON", token => $t->tenant)->status, 400,
    'no such kind');
is($t->del("$lost?providerType=TOTP", token => $t->tenant)->body, '',
    'by the administrator of the tenant');
is($t->try_login('u4@iot.test', $password)->json->{scope}, undef,
    'the backup codes went too');
is($t->value(q{SELECT data ->> 'secondFactor' FROM iot.audit_log
    WHERE entity_id = ? AND user_name = ? AND action = 'CREDENTIALS_UPDATED'},
    $id{4}, $t->account('TENANT_EMAIL')), 'TOTP', 'in the audit log');

# enforced

platform(enforceTwoFa => JSON::XS::true,
    enforcedUsersFilter => { type => 'ALL_USERS' });
$r = $t->try_login('u2@iot.test', $password)->json;
is($r->{scope}, 'MFA_CONFIGURATION_TOKEN', 'who has none must set one up');
is($t->get('/api/auth/user', token => $r->{token})->status, 403, 'first');
refused($t->post('/api/auth/2fa/login', token => $r->{token}), 400, 31,
    '2FA is not configured for account', 'or is not in');
$made = $t->post("$config/generate?providerType=TOTP", token => $r->{token})
    ->json;
is($t->post("$config?verificationCode=" . totp($made->{authUrl}),
    token => $r->{token}, json => $made)->status, 200, 'set up');
$r = $t->post('/api/auth/2fa/login', token => $r->{token});
is($t->get('/api/auth/user', token => $r->json->{token})->json->{email},
    'u2@iot.test', 'and in');
platform(providers => []);
is($t->try_login('u2@iot.test', $password)->json->{scope}, undef,
    'no providers, no second factor');

# tokens of other users

$r = $t->get("/api/user/$id{3}/token", token => $t->tenant);
is($t->get('/api/auth/user', token => $r->json->{token})->json->{email},
    'u3@iot.test', 'an administrator as a user');
is($t->value(q{SELECT count(*) FROM iot.audit_log WHERE entity_id = ?
    AND action = 'CREDENTIALS_READ' AND user_name = ?}, $id{3},
    $t->account('TENANT_EMAIL')), 1, 'in the audit log');
is($t->get("/api/user/$id{3}/token", token => $_)->status, 403,
    'not for others') for $sys, $t->customer;
$t->put('/api/settings/users.tokenAccess', token => $sys,
    json => { value => JSON::XS::false });
is($t->get("/api/user/$id{3}/token", token => $t->tenant)->status, 403,
    'nor when it is switched off');
is($t->get('/api/user/tokenAccessEnabled', token => $t->tenant)->body,
    'false', 'which is told');

# settings of a user

$token = $t->customer;
is_deeply($t->get('/api/user/settings', token => $token)->json, {}, 'none');
is_deeply($t->post('/api/user/settings', token => $token,
    json => { a => { b => 1 }, c => 2 })->json, { a => { b => 1 }, c => 2 },
    'stored');
is($t->put('/api/user/settings', token => $token, json => { 'a.d' => [3],
    'e.f' => JSON::XS::true })->status, 200, 'merged');
is($t->del('/api/user/settings/c,a.b', token => $token)->status, 200, 'less');
is_deeply($t->get('/api/user/settings/general', token => $token)->json,
    { a => { d => [3] }, e => { f => JSON::XS::true } }, 'as it should be');
is($t->put('/api/user/settings/MOBILE', token => $token, json => { x => 1 })
    ->status, 200, 'another kind');
is($t->get('/api/user/settings/NOTHING', token => $token)->status, 400,
    'an unknown kind');
is_deeply($t->get('/api/user/settings', token => $t->tenant)->json, {},
    "nobody else's");

# the key of tokens

my $jwt = '/api/admin/jwtSettings';
my %now = (tokenExpirationTime => 9000, refreshTokenExpTime => 604800,
    tokenIssuer => 'own.example.org');
my $key = encode_base64('k' x 64, '');

for my $bad ([tokenSigningKey => encode_base64('k' x 63, '')],
    [tokenSigningKey => 'no base64!' x 20], [tokenExpirationTime => 59],
    [refreshTokenExpTime => 899], [tokenExpirationTime => 604800],
    [tokenIssuer => ''])
{
    refused($t->post($jwt, token => $sys, json => { %now, @$bad }), 400, 31,
        undef, "$bad->[0] " . substr($bad->[1], 0, 8));
}

my @workers = $t->each_worker;

is($t->get('/api/auth/user', token => $sys, client => $_)->status, 200,
    'before') for @workers;
$r = $t->post($jwt, token => $sys, json => { %now,
    tokenSigningKey => $key }, client => $workers[0]);
is($r->status, 200, 'a new key');

my $fresh = $r->json->{token};

is(($t->decode($fresh))[1]{iss}, 'own.example.org', 'a token of it');
is(substr($fresh, rindex($fresh, '.') + 1), MIME::Base64::encode_base64url(
    Digest::SHA::hmac_sha512(substr($fresh, 0, rindex($fresh, '.')),
    'k' x 64)), 'signed with the key');
is($t->get('/api/auth/user', token => $sys, client => $workers[0])->status,
    401, 'all others are out');

for my $client (@workers) {
    ok($t->wait_for(5, sub {
        $t->get('/api/auth/user', token => $fresh, client => $client)->status
            == 200
    }), 'the new token in each worker');
    is($t->get('/api/auth/user', token => $sys, client => $client)->status,
        401, 'and the old one in none');
}

is($t->get($jwt, token => $fresh)->json->{tokenSigningKey}, undef,
    'the key is not read back');
is($t->value('SELECT count(*) FROM iot.setting WHERE value::text LIKE ?',
    "%$key%"), 0, 'nor stored as it is');
$r = $t->post($jwt, token => $fresh, json => { %now,
    tokenExpirationTime => 7200 });
($claims) = ($t->decode($r->json->{token}))[1];
is($claims->{exp} - $claims->{iat}, 7200, 'other times');
is($t->get('/api/auth/user', token => $fresh)->status, 200,
    'log nobody out');
$t->reload(gone => 1);
is($t->get('/api/auth/user', token => $fresh)->status, 200,
    'the key survives a reload');


$t->finish;
done_testing();
