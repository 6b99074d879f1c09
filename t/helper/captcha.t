#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# The captcha of a sign-up from the visitor through the helper to the server
# that verifies it and back: right, wrong, slow, silent, broken, not there,
# and without a helper.

use strict;
use warnings;

use File::Basename qw(dirname);

use lib dirname(__FILE__) . '/../lib';

use IotTest;
use IotTest::Helper;
use IotTest::Sink;
use Time::HiRes qw(time);

my $t = IotTest->new(workers => 2);
my $sink = IotTest::Sink->new($t);
my $token = $t->tenant;
my $n = 0;
my $r;


sub setting {
    my ($name, $value) = @_;

    my $answer = $t->put("/api/settings/signup.$name", token => $token,
        json => { value => $value });
    is($answer->status, 200, "$name is set") or diag($answer->body);
}


sub verifier {
    my ($url) = @_;

    setting(captchaVerifyUrl => $url);
}


sub signup {
    my ($word, %o) = @_;

    $n++;

    return $t->post('/api/noauth/signup', json => {
        email => "v$n\@example.com", password => 'A-good-pass1',
        defined $word ? (recaptchaResponse => $word) : () }, %o);
}


# what has become of the last one
sub waiting {
    return $t->value('SELECT count(*) FROM iot.signup WHERE email = ?',
        "v$n\@example.com");
}


sub refused {
    my ($answer, $status, $message, $name) = @_;

    is($answer->status, $status, "$name: status") or diag($answer->body);
    is($answer->json->{message}, $message, "$name: message");
    is(waiting(), 0, "$name: no sign-up");
}


is($t->post('/api/selfRegistration/selfRegistrationParams', token => $token,
    json => { domainName => 'localhost', captchaSiteKey => 'site',
        captchaAction => 'signup' })->status, 200, 'the tenant opens it');
setting(captchaSecret => 'secret 9');
verifier($sink->url('/captcha'));
like($t->value(q{SELECT value #>> '{}' FROM iot.setting
    WHERE name = 'signup.captchaSecret'}), qr/^sealed:h:/,
    'the secret is sealed for helpers');
is($t->get('/api/noauth/selfRegistration/signUpSelfRegistrationParams')
    ->json->{captchaSiteKey}, 'site', 'visitors know the public key');

# nobody verifies

is(signup('right')->status, 503, 'without a helper nobody signs up');
is(waiting(), 0, 'nobody');

my $helper = IotTest::Helper->new($t);

# a verifier at home must be allowed

my $away = 'Captcha can\'t be verified now!';

refused(signup('right'), 503, $away, 'a private address');
is($t->put('/api/settings/outbound.allowPrivate', token => $t->sysadmin,
    json => { value => JSON::XS::true })->status, 200, 'allowed');

# right and wrong

$r = signup('right');
is($r->status, 200, 'the right answer') or diag($r->body);
is($r->body, '"SUCCESS"', 'is told');
is(waiting(), 1, 'and is a sign-up');
is(($sink->requests(1))[-1]{body} =~ /(?:^|&)remoteip=127\.0\.0\.1(?:&|$)/
    ? 1 : 0, 1, 'the verifier learns the address');

my $wrong = 'Captcha verification failed!';

refused(signup('wrong'), 400, $wrong, 'the wrong answer');
refused(signup('other'), 400, $wrong, 'for something else');
refused(signup(undef), 400, $wrong, 'no answer');
refused(signup('x' x 8193), 400, $wrong, 'a long one');
refused(signup("right&secret=secret 9"), 400, $wrong, 'a field in a field');
unlike($t->value(q{SELECT string_agg(payload::text, '') FROM iot.job}),
    qr/secret 9/, 'the secret is in no job');

# slow: other requests do not wait

my $client = $t->client;
my $body = '{"email":"slow@example.com","password":"A-good-pass1",'
    . '"recaptchaResponse":"slow"}';

$client->write("POST /api/noauth/signup HTTP/1.1\r\nHost: localhost\r\n"
    . 'Content-Length: ' . length($body) . "\r\n\r\n$body");

my $start = time();

is($t->get('/api/auth/user', token => $token)->status, 200,
    'others are served');
cmp_ok(time() - $start, '<', 1, 'at once');
is($client->answer->status, 200, 'a slow server is waited for');

# a visitor who leaves

$client = $t->client;
$client->write("POST /api/noauth/signup HTTP/1.1\r\nHost: localhost\r\n"
    . 'Content-Length: ' . length($body) . "\r\n\r\n$body");
$client->close;
is(signup('right')->status, 200, 'who leaves is in nobody\'s way');

# a verifier that does not work

setting(captchaSecret => 'another');
verifier($sink->url('/captcha'));
refused(signup('right'), 400, $wrong, 'a wrong secret');
verifier($sink->url('/big'));
refused(signup('right'), 503, $away, 'an endless answer');
verifier($sink->url('/binary'));
refused(signup('right'), 503, $away, 'an answer that is none');
verifier($sink->url('/status/500'));
refused(signup('right'), 503, $away, 'a broken one');
verifier('http://127.0.0.1:1/');
refused(signup('right'), 503, $away, 'nobody there');
verifier($sink->url('/silent'));
$start = time();
refused(signup('right'), 503, $away, 'a silent one');
cmp_ok(time() - $start, '<', 25, 'is not waited for forever');

$t->finish;
done_testing();
