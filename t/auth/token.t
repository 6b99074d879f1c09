#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# Tokens that are forged, stale, of the wrong kind or too long.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Digest::SHA qw(hmac_sha256 hmac_sha512);
use MIME::Base64 qw(encode_base64url decode_base64url);
use Test::More;
use Time::HiRes qw(sleep);
use IotTest::Auth;

my $t = IotTest::Auth->new(workers => 2);
my ($email, $password) = map { $t->account("TENANT_$_") } qw(EMAIL PASSWORD);
my $pair = $t->try_login($email, $password)->json;
my $token = $pair->{token};
my ($header, $claims) = $t->decode($token);
my ($head, $body, $signature) = split(/\./, $token);


sub refused {
    my ($token, $code, $name) = @_;
    my $answer = $t->get('/api/auth/user', token => $token);

    is($answer->status, 401, "$name: refused");
    is($answer->json->{errorCode}, $code, "$name: code");
    is($answer->json->{message}, $code == 11 ? 'Token has expired'
        : 'Invalid username or password', "$name: message");
}


is($t->get('/api/auth/user', token => $token)->status, 200, 'a good token');

# no tokens at all

refused($_, 10, "\"$_\"") for 'x', '.', '..', 'a.b', 'a.b.c', 'a.b.c.d',
    "$head.$body", "$head..$signature", ".$body.$signature",
    "$token.$signature", "$head.$body.$signature=", "$head.$body.\$\$\$";

# signatures

my $other = substr($signature, 0, 1) eq 'A' ? 'B' : 'A';

refused("$head.$body.$other" . substr($signature, 1), 11, 'another signature');
refused("$head.$body." . substr($signature, 0, 40), 11, 'half a signature');
refused("$head.$body.", 11, 'an empty signature');
refused("$head.$body." . encode_base64url("\0" x 64), 11, 'zeros');
refused("$head.$body." . encode_base64url(hmac_sha512("$head.$body",
    'thingsboardDefaultSigningKey')), 11, 'a key that people know');
refused("$head.$body." . encode_base64url(hmac_sha512("$head.$body",
    join('', map { chr } 0 .. 31))), 11, 'the secret key itself');
refused("$head.$body." . encode_base64url(hmac_sha512("$head.$body", '')), 11,
    'an empty key');

my $forged = encode_base64url(JSON::XS::encode_json({ %$claims,
    scopes => ['SYS_ADMIN'] }));

refused("$head.$forged.$signature", 11, 'changed claims');

# algorithms (RFC 8725, sections 2.1 and 3.1)

for my $alg ('none', 'None', 'HS256', 'HS384', 'RS512', 'hs512', '', undef) {
    my $name = defined $alg ? $alg : 'null';
    my $signed = $t->encode({ alg => $alg, typ => 'JWT' }, $claims, '');

    chop($signed);
    refused("$signed.", 10, "alg $name without a signature");
    refused("$signed." . encode_base64url(hmac_sha256($signed, '')), 10,
        "alg $name");
}

refused($t->encode({}, $claims, $signature), 10, 'no algorithm');
refused($t->encode('[]', $claims, $signature), 10, 'the header is an array');
refused($t->encode('{"alg":"HS512"', $claims, $signature), 10,
    'the header is no JSON');
refused($t->encode({ alg => 'HS512', crit => ['exp'] }, $claims, $signature),
    10, 'crit');
refused($t->encode({ alg => 'HS512' }, '[1]', $signature), 11,
    'the claims are an array');

# sizes: as long as the header may be, and deep

refused('a' x 7000, 10, '7000 letters');
refused(('.' x 7000), 10, '7000 dots');
refused(join('.', $head, encode_base64url('{"a":"' . 'x' x 4000 . '"}'),
    $signature), 11, 'long claims');
refused(join('.', encode_base64url('[' x 4000), $body, $signature), 10,
    'a deep header');
is($t->get('/api/auth/user', token => 'a' x 20_000)->status, 400,
    'longer than a header may be');

# each kind for its purpose

my $answer = $t->get('/api/auth/user', token => $pair->{refreshToken});

is($answer->status, 401, 'a refresh token opens nothing');
is($answer->json->{errorCode}, 10, 'code');

for my $case ([$token, 10], ['x', 10], ['', 10],
    ["$head.$body.$other" . substr($signature, 1), 11])
{
    $answer = $t->post('/api/auth/token',
        json => { refreshToken => $case->[0] });
    is($answer->status, 401, 'no refresh token: ' . substr($case->[0], 0, 8));
    is($answer->json->{errorCode}, $case->[1], 'code');
}

is($t->post('/api/auth/token', json => {})->status, 401, 'none at all');

# refreshing

$answer = $t->post('/api/auth/token',
    json => { refreshToken => $pair->{refreshToken} }, token => 'nonsense');
is($answer->status, 200, 'refresh, whatever the header says');

my (undef, $fresh) = $t->decode($answer->json->{token});

is($fresh->{sessionId}, $claims->{sessionId}, 'the session goes on');
is($t->get('/api/auth/user', token => $answer->json->{token})->status, 200,
    'the new token is good');
is($t->post('/api/auth/token', json => { refreshToken =>
    $answer->json->{refreshToken} })->status, 200, 'and so is its successor');

# many questions at once about one token are one question

my @clients = map { $t->client } 1 .. 20;
my $new = $t->login($email, $password);
my $misses = misses();

$_->write("GET /api/auth/user HTTP/1.1\r\nHost: x\r\n"
    . "X-Authorization: Bearer $new\r\n\r\n") for @clients;
is(scalar(grep { $_->answer->status == 200 } @clients), 20, 'twenty at once');
cmp_ok(misses() - $misses, '<=', 2,
    'each worker asked once at most');

# time passes

$t->setting('jwt', { expiration => 2, refresh => 3 });
ok($t->wait_for(10, sub {
    my (undef, $c) = $t->decode($t->login($email, $password));
    return $c->{exp} - $c->{iat} == 2;
}), 'another lifetime');

my ($short, $last);

# both workers may not have heard of it yet
ok($t->wait_for(10, sub {
    $short = $t->try_login($email, $password)->json;
    my (undef, $c) = $t->decode($short->{token});
    return $c->{exp} - $c->{iat} == 2;
}), 'a short one');

is($t->get('/api/auth/user', token => $short->{token})->status, 200,
    'good for now');
ok($t->wait_for(5, sub {
    $last = $t->get('/api/auth/user', token => $short->{token});
    return $last->status == 401;
}), 'then it expires, cached or not');
is($last->json->{errorCode}, 11, 'code');
is($last->json->{message}, 'Token has expired', 'message');
sleep(2);
$last = $t->post('/api/auth/token',
    json => { refreshToken => $short->{refreshToken} });
is($last->status, 401, 'so does the refresh token');
is($last->json->{errorCode}, 11, 'code');

# another key for all

is($t->get('/api/auth/user', token => $token)->status, 200, 'still good');
$t->setting('jwt', { generation => 2 });
ok($t->wait_for(10, sub {
    ! grep { $_->request('GET', '/api/auth/user',
        [['X-Authorization' => "Bearer $token"]])->status != 401 } @clients;
}), 'a new generation of the key ends all tokens');
is($t->get('/api/auth/user', token => $t->login($email, $password))->status,
    200, 'new ones are made with it');

# settings that make no sense leave what is in force

$t->setting('jwt', { generation => 'x', expiration => -5,
    issuer => 'z' x 1000 });
$t->setting('limits', { login => '5', loginAddress => '0:0' });
ok($t->wait_log(qr/limit "login" in the settings is not of the form/),
    'a limit that is none is complained about');
ok($t->wait_for(10, sub {
    my (undef, $c) = $t->decode($t->login($email, $password));
    return $c->{exp} - $c->{iat} == 9000 && $c->{iss} eq 'thingsboard.io';
}), 'defaults for what makes no sense');


sub misses {
    my ($n) = $t->get('/metrics')->body
        =~ /^iot_cache_misses_total\{cache="principal"\} (\d+)/m;

    return $n;
}


$t->finish;
done_testing();
