#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# Settings over REST: who may change what, when every worker knows, and that
# secrets go in only.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use JSON::XS qw(decode_json);
use MIME::Base64 qw(decode_base64);
use Test::More;
use IotTest;

my $t = IotTest->new(workers => 2);
my ($sys, $tenant) = ($t->sysadmin, $t->tenant);
my $secret = 'a word that nobody reads back';

$t->psql(<<'END', 'iot_owner');
SELECT iot.setting_define('test.secret', 'string', NULL, '{"maxLength":40}',
                          'tenant', true, true, 'A secret.');
SELECT iot.setting_define('test.worker', 'string', NULL, '{"seal":"worker"}',
                          'system', true, true, 'Another.');
SELECT iot.setting_define('test.n', 'integer', '3', '{"min":1,"max":9}',
                          'tenant', true, false, 'A number.');
END


sub put {
    my ($who, $name, $json) = @_;

    return $t->put("/api/settings/$name", token => $who, body => $json);
}


# seconds that the access tokens of each of some connections live
sub lifetimes {
    my %seen;

    for (1 .. 8) {
        my $answer = $t->post('/api/auth/login', client => $t->client,
            json => { username => $t->account('CUSTOMER_EMAIL'),
                password => $t->account('CUSTOMER_PASSWORD') });
        my (undef, $claims) = split(/\./, $answer->json->{token});
        my $c = decode_json(decode_base64($claims =~ tr{-_}{+/}r));

        $seen{$c->{exp} - $c->{iat}}++;
    }

    return join(' ', sort keys %seen);
}


# --- in force everywhere

is(lifetimes(), '9000', 'the default');
is(put($sys, 'jwt.expiration', '{"value":120}')->json->{value}, 120,
    'is changed');
ok($t->wait_for(5, sub { lifetimes() eq '120' }), 'in all workers');
is($t->get('/api/admin/jwtSettings', token => $sys)
    ->json->{tokenExpirationTime}, 120, 'the settings of old are the same');
is($t->del('/api/settings/jwt.expiration', token => $sys)->json->{origin},
    'default', 'and back');
ok($t->wait_for(5, sub { lifetimes() eq '9000' }), 'in all workers');

# by another way than this server
$t->sql('UPDATE iot.setting SET value = ? WHERE name = ?',
    '{"expiration":240}', 'jwt');
$t->sql('SELECT pg_notify(?, ?)', 'iot', 'settings jwt');
ok($t->wait_for(5, sub { lifetimes() eq '240' }), 'heard from elsewhere');


# --- what is asked for

my $list = $t->get('/api/settings', token => $sys)->json;
my %by_name = map { $_->{name} => $_ } @$list;

cmp_ok(scalar @$list, '>', 20, 'a list');
is_deeply([map { $_->{name} } @$list], [sort map { $_->{name} } @$list],
    'in the order of their names');
is_deeply($by_name{'limits.login'}{default}, '10:60', 'with defaults');
is_deeply([map { $_->{name} } @{$t->get('/api/settings?prefix=test.',
    token => $tenant)->json}], ['test.n', 'test.secret'],
    'a tenant sees its own');
is($t->get('/api/settings', token => $t->customer)->status, 403,
    'a customer none');
is($t->get('/api/settings')->status, 401, 'nobody none');


sub refused {
    my ($answer, $status, $message) = @_;

    is($answer->status, $status, $message);
    is($answer->json->{message}, $message, 'in these words');
}

refused(put($sys, 'no.such', '{"value":1}'), 404,
    'Setting [no.such] is not found');
refused(put($tenant, 'jwt.expiration', '{"value":100}'), 404,
    'Setting [jwt.expiration] is not found');
refused(put($sys, 'jwt.expiration', '{"value":59}'), 400,
    'jwt.expiration must be an integer from 60 to 315360000!');
refused(put($sys, 'limits.login', '{"value":"1:1,1:1"}'), 400,
    'limits.login must be of the form 100:1,2000:60 (so many in so many '
    . 'seconds), at most four times!');
refused(put($sys, 'jwt.expiration', '{}'), 400,
    'jwt.expiration must be given as "value"!');
is(put($sys, 'jwt.expiration', '[1]')->status, 400, 'not an array');
is(put($sys, "jwt.expiration';%20DROP%20TABLE%20iot.setting;--", '{"value":1}')
    ->status, 404, 'SQL is a name');

put($sys, 'security.passwordPolicy.minimumLength', '{"value":20}');
refused(put($sys, 'security.passwordPolicy.maximumLength', '{"value":19}'),
    400, 'maximumLength must not be less than minimumLength');
is($t->get('/api/noauth/userPasswordPolicy')->json->{maximumLength}, 72,
    'which changes nothing');


# --- of tenants

is(put($tenant, 'test.n', '{"value":5}')->json->{origin}, 'tenant',
    'the setting of a tenant');
is($t->get('/api/settings/test.n', token => $sys)->json->{value}, 3,
    'is none of the server');


# --- secrets

my $r = put($tenant, 'test.secret', qq({"value":"$secret"}));

is($r->status, 200, 'a secret');
is($r->json->{value}, '***', 'is not told');
is($t->get('/api/settings/test.secret', token => $tenant)->json->{value},
    '***', 'at no time');
like($t->value(q{SELECT value #>> '{}' FROM iot.setting
    WHERE name = 'test.secret'}), qr/^sealed:h:/, 'it is sealed for helpers');
put($sys, 'test.worker', '{"value":"sealed:h:x"}');
like($t->value(q{SELECT value #>> '{}' FROM iot.setting
    WHERE name = 'test.worker'}), qr/^sealed:w:/,
    'or for workers, whatever it looks like');
is($t->value(q{SELECT count(*) FROM iot.audit_log AS l
    WHERE l::text LIKE '%' || ? || '%'}, $secret), 0,
    'it is not in the audit log');
is($t->value(q{SELECT string_agg(data::text, ' ') FROM iot.audit_log
    WHERE entity_name = 'test.secret'}), '{"old" : null, "new" : "***"}',
    'which says that it was changed');
refused(put($tenant, 'test.secret', '{"value":"' . 'x' x 41 . '"}'), 400,
    'A secret must be a string that is neither empty nor too long!');
refused(put($tenant, 'test.secret', '{"value":7}'), 400,
    'A secret must be a string that is neither empty nor too long!');
unlike($t->error_log, qr/\Q$secret\E/, 'nor in a log');

done_testing();
