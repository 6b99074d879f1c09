#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# Name and password at the gate obey the rules of a login; and what nginx does
# before it asks who may enter.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use MIME::Base64 qw(encode_base64);
use Test::More;
use IotTest::Auth;

my $t = IotTest::Auth->new(workers => 1, start => 0);

mkdir($t->dir . '/site');
IotCtl::Run::write_file($t->dir . '/site/x', "inside\n", 0644);
$t->snippet(server => <<"END");
location /site/ { iot_gate user; alias ${\ $t->dir}/site/; }
location /return/ { iot_gate user; return 200 "open\\n"; }
location /rewrite/ { iot_gate user; rewrite ^ /open last; }
location = /open { return 200 "elsewhere\\n"; }
location /error/ { iot_gate user; error_page 401 = \@nobody;
    alias ${\ $t->dir}/site/; }
location \@nobody { return 200 "nobody\\n"; }
END
$t->start;

my $password = $t->account('TENANT_PASSWORD');
my %id = map { $_ => $t->user("u$_\@iot.test") } 1 .. 3;


sub enter {
    my ($name, $secret) = @_;

    return $t->get('/site/x', headers => { Authorization => 'Basic '
        . encode_base64("$name:$secret", '') });
}


# a password that has expired

is(enter('u1@iot.test', $password)->body, "inside\n", 'let in');
is($t->value(q{SELECT address FROM iot.user_address WHERE user_id = ?},
    $id{1}), '127.0.0.1', 'and known there from now on');

$t->setting('security', { passwordPolicy => {
    passwordExpirationPeriodDays => 30 } });
$t->sql(q{UPDATE iot.user_credentials
    SET password_time = iot.now_ms() - 31 * 86400000::bigint
    WHERE user_id IN (?, ?)}, $id{1}, $id{2});
is(enter('u2@iot.test', $password)->status, 401, 'not with an expired one');
is($t->try_login('u2@iot.test', $password)->json->{errorCode}, 15,
    'which the login changes');
is(enter('u3@iot.test', $password)->status, 200, 'others are let in');

# guesses from everywhere count together

$t->setting('limits', { login => '', loginAddress => '',
    loginAccount => '3:3600' });
ok($t->wait_for(10, sub { enter('stranger@iot.test', 'x')->status == 429 }),
    'guesses at an account from anywhere');
cmp_ok(enter('stranger@iot.test', 'x')->header('Retry-After'), '>', 60,
    'wait for long');
is(enter(' Stranger@iot.test ', 'y')->status, 429, 'however it is written');
is($t->try_login('stranger@iot.test', 'x')->status, 429,
    'a login waits with them');
is(enter('u3@iot.test', "wrong $_")->status, 401,
    'where the user has been') for 1 .. 5;
is($t->try_login('u3@iot.test', $password)->status, 200,
    'they do not count for all');
$t->sql('DELETE FROM iot.user_address WHERE user_id = ?', $id{3});
enter('u3@iot.test', "wrong again $_") for 1 .. 4;
is(enter('u3@iot.test', 'wrong')->status, 429, 'from a new address they do');

# before the gate is asked

is($t->get('/site/x')->status, 401, 'a file is behind the gate');
is($t->get('/return/')->body, "open\n", '"return" is not');
is($t->get('/rewrite/')->body, "elsewhere\n",
    '"rewrite" is not: the location that it leads to decides');
is($t->get('/error/x')->body, "nobody\n", 'nor is a page of an error');
is($t->get('/error/x', token => $t->tenant)->body, "inside\n",
    'which those who may enter do not see');

$t->finish;
done_testing();
