#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# What a password must be like, how long it lives, and how locks end.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Test::More;
use IotTest::Auth;

my $t = IotTest::Auth->new(workers => 2);
my $first = $t->account('TENANT_PASSWORD');
my $sys = $t->sysadmin;

$t->user("u$_\@iot.test") for 1 .. 4;


sub settings {
    my ($policy, %o) = @_;
    my $r = $t->post('/api/admin/securitySettings', token => $sys,
        json => { passwordPolicy => $policy, %o });

    is($r->status, 200, 'settings') or diag($r->body);
}


sub change {
    my ($token, $old, $new) = @_;

    return $t->post('/api/auth/changePassword', token => $token,
        json => { currentPassword => $old, newPassword => $new });
}


# what is left undone, all at once

settings({ minimumLength => 12, maximumLength => 20,
    minimumUppercaseLetters => 2, minimumLowercaseLetters => 3,
    minimumDigits => 2, minimumSpecialCharacters => 1,
    allowWhitespaces => JSON::XS::false });

my $token = $t->login('u1@iot.test', $first);
my $r = change($token, $first, ' ');

is($r->status, 400, 'a blank');
is($r->json->{message}, join("\n",
    'Password must be 12 or more characters in length.',
    'Password must contain 2 or more uppercase characters.',
    'Password must contain 3 or more lowercase characters.',
    'Password must contain 2 or more digit characters.',
    'Password must contain 1 or more special characters.',
    'Password contains a whitespace character.'), 'breaks six rules');
is(change($token, $first, 'ABcde12!' x 3)->json->{message},
    'Password must be no more than 20 characters in length.', 'too long');
is(change($token, $first, 'ABcde12!good')->status, 200, 'a good one');

settings({ allowWhitespaces => JSON::XS::true,
    forceUserToResetPasswordIfNotValid => JSON::XS::true,
    minimumLength => 60 });
$r = $t->try_login('u1@iot.test', 'ABcde12!good');
is($r->status, 401, 'a login with what breaks the rules now');
is($r->json->{errorCode}, 45, 'is told so');
is($t->try_login('u1@iot.test', 'wrong')->json->{errorCode}, 10,
    'only with the right password');

# not again for a while

settings({ passwordReuseFrequencyDays => 30 });
$token = $t->login('u2@iot.test', $first);

for my $new ('second one', 'third one') {
    $r = change($token, $new eq 'second one' ? $first : 'second one', $new);
    is($r->status, 200, "changed to the $new");
    $token = $r->json->{token};
}

is(change($token, 'third one', 'third one')->json->{message},
    'New password should be different from existing!', 'the same');
is(change($token, 'third one', 'second one')->json->{message},
    'Password was already used for the last 30 days', 'the one before');
is(change($token, 'third one', $first)->json->{message},
    'Password was already used for the last 30 days', 'and before that');

$t->sql(q{UPDATE iot.user_credentials AS c
    SET password_history = replace(password_history::text, '"time"',
        '"time" : 1, "was"')::json FROM iot.users AS u
    WHERE u.id = c.user_id AND u.email = 'u2@iot.test'});
is(change($token, 'third one', $first)->status, 200, 'long ago');
is($t->value(q{SELECT json_array_length(password_history)
    FROM iot.user_credentials AS c JOIN iot.users AS u ON u.id = c.user_id
    WHERE u.email = 'u2@iot.test'}), 3, 'all are remembered');

# too old

settings({ passwordExpirationPeriodDays => 10 });
is($t->try_login('u3@iot.test', $first)->status, 200, 'not yet');
$t->sql(q{UPDATE iot.user_credentials SET password_time = iot.now_ms()
    - 11 * 86400000::bigint WHERE user_id =
    (SELECT id FROM iot.users WHERE email = 'u3@iot.test')});
$r = $t->try_login('u3@iot.test', $first);
is($r->status, 401, 'after eleven days');
is($r->json->{errorCode}, 15, 'code');
is($r->json->{message}, 'User password expired!', 'text');

my $reset = $r->json->{resetToken};

like($reset, qr/^[A-Za-z0-9]{30}$/, 'with what it can be changed');
ok(!exists $t->try_login('u3@iot.test', 'wrong')->json->{resetToken},
    'only with the right password');
is($t->post('/api/noauth/resetPassword', json => { resetToken => $reset,
    password => $first })->json->{message},
    'New password should be different from existing!', 'not to the same');
is($t->post('/api/noauth/resetPassword', json => { resetToken => $reset,
    password => 'another one' })->status, 200, 'changed');
is($t->try_login('u3@iot.test', 'another one')->status, 200, 'and in');

# locks end

settings({}, maxFailedLoginAttempts => 2,
    userLockoutNotificationEmail => 'admin@iot.test');
is($t->put('/api/settings/lockout.minutes', token => $sys,
    json => { value => 15 })->status, 200, 'a lock for a quarter');
$t->try_login('u4@iot.test', 'wrong') for 1 .. 3;
is($t->try_login('u4@iot.test', $first)->json->{message},
    'User account is locked due to security policy', 'locked');

my ($mail) = map { JSON::XS::decode_json($_->[0]) } @{$t->sql(
    q{SELECT payload FROM iot.job WHERE payload ->> 'template'
    = 'account-lockout'})};

is($mail->{recipient}, 'admin@iot.test', 'a mail');
is($mail->{vars}{email}, 'u4@iot.test', 'about it');
is($mail->{vars}{attempts}, 2, 'and why');
$t->sql(q{UPDATE iot.user_credentials SET locked_at = locked_at - 900000
    WHERE locked});
is($t->try_login('u4@iot.test', $first)->status, 200, 'a quarter later');

# nor does a lock that has ended enable what an administrator disabled

my $id = $t->value(q{SELECT id FROM iot.users WHERE email = 'u4@iot.test'});

$t->try_login('u4@iot.test', 'wrong') for 1 .. 3;
$t->post("/api/user/$id/userCredentialsEnabled?userCredentialsEnabled=false",
    token => $t->tenant);
$t->sql('UPDATE iot.user_credentials SET locked_at = 1');
is($t->try_login('u4@iot.test', $first)->json->{message},
    'User account is not active', 'disabled stays disabled');
$t->post("/api/user/$id/userCredentialsEnabled?userCredentialsEnabled=true",
    token => $t->tenant);
is($t->try_login('u4@iot.test', $first)->status, 200, 'until enabled');

# many strangers together guess no faster than one, and the user is served

settings({});
$t->setting('limits', { login => '', loginAddress => '',
    loginAccount => '3:3600' });
ok($t->wait_for(10, sub {
    $t->try_login('stranger@iot.test', 'x')->status == 429
}), 'guesses at an account from anywhere');
$t->sql(q{DELETE FROM iot.user_address WHERE user_id =
    (SELECT id FROM iot.users WHERE email = 'u1@iot.test')});
$t->try_login('u1@iot.test', 'wrong') for 1 .. 4;
is($t->try_login('u1@iot.test', 'ABcde12!good')->status, 429,
    'from a new address the user waits with them');
$t->sql(q{INSERT INTO iot.user_address (user_id, address, tenant_id, last_time)
    SELECT id, '127.0.0.1', tenant_id, 1 FROM iot.users
    WHERE email = 'u1@iot.test'});
is($t->try_login('u1@iot.test', 'ABcde12!good')->status, 200,
    'from where he has been he does not');
is($t->try_login('stranger@iot.test', 'x')->status, 429,
    'an unknown account is answered as a known one');


$t->finish;
done_testing();
