#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# Sign-up over REST: what a visitor does, many at the same time, and what they
# try with every text.  Who may sign up is tested in SQL.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);

use lib dirname(Cwd::abs_path(__FILE__)) . '/../lib';

use IotTest;
use JSON::XS qw(encode_json);

my $password = 'A-good-pass1';
my $t = IotTest->new(workers => 2);
my $tenant = $t->tenant;
my $page = 'pageSize=100&page=0';

is(signup('x@example.com')->status, 404, 'off at first');

my $set = call('POST', '/api/selfRegistration/selfRegistrationParams',
    $tenant, { domainName => 'localhost', signUpTextMessage => 'Welcome' });

is($set->status, 200, 'the tenant opens it') or diag($set->body);
is($t->get('/api/noauth/selfRegistration/signUpSelfRegistrationParams')
    ->json->{signUpTextMessage}, 'Welcome', 'as visitors see it');
is($t->http('GET', '/api/noauth/selfRegistration/signUpSelfRegistrationParams',
    headers => { 'X-Forwarded-Host' => 'elsewhere.example.org' })->status,
    404, 'by that host only');

# one visitor

my $r = $t->post('/api/noauth/signup', json => {
    fields => { EMAIL => 'Ann@Example.com', PASSWORD => $password,
        FIRST_NAME => 'Ann', LAST_NAME => "O'Neil" },
    recaptchaResponse => '' });

is($r->status, 200, 'signed up') or diag($r->body);
is($r->body, '"SUCCESS"', 'the answer');
isnt($t->post('/api/auth/login', json => { username => 'ann@example.com',
    password => $password })->status, 200, 'no login before the mail');

my $link = link_of('ann@example.com');

like($link, qr{^http://localhost(?::\d+)?/api/noauth/activateEmail
    \?emailCode=\w{40}$}x, 'the link of the mail');

my ($code) = $link =~ /emailCode=(\w+)/;

$r = $t->get("/api/noauth/activateEmail?emailCode=$code");
is($r->status, 303, 'followed by a browser');
is($r->header('Location'), "/signup/emailVerified?emailCode=$code",
    'to a page');

# the link, by many at once

my @answers = at_once(4, sub {
    $t->post("/api/noauth/activateByEmailCode?emailCode=$code")->status;
});

is_deeply([sort @answers], [200, 400, 400, 400], 'used once');

my $ann = $t->login('ann@example.com', $password);
my $me = call('GET', '/api/auth/user', $ann)->json;

is($me->{lastName}, "O'Neil", 'its name');
is($me->{authority}, 'CUSTOMER_USER', 'a customer user');
is(call('GET', "/api/customer/$me->{customerId}{id}", $ann)->json->{title},
    'ann@example.com', 'of its own customer');
is($t->value(q{SELECT count(*) FROM iot.users WHERE email = ?},
    'ann@example.com'), 1, 'one user');

# two sign-ups of one address, confirmed at once

signup('two@example.com', 'First-pass1');
my ($first) = link_of('two@example.com') =~ /emailCode=(\w+)/;
signup('two@example.com', 'Second-pass2');
my ($second) = link_of('two@example.com') =~ /emailCode=(\w+)/;

@answers = at_once(2, sub {
    $t->post('/api/noauth/activateByEmailCode?emailCode='
        . ($_[0] ? $first : $second))->status;
});

is_deeply([sort @answers], [200, 400], 'one of them wins');
is($t->value(q{SELECT count(*) FROM iot.users WHERE email = ?},
    'two@example.com'), 1, 'one user');
is($t->value(q{SELECT count(*) FROM iot.signup WHERE email = ?},
    'two@example.com'), 0, 'and nothing is left');

# the last licence

signup("cap$_\@example.com") for 1 .. 3;
my @codes = map { link_of("cap$_\@example.com") =~ /emailCode=(\w+)/ } 1 .. 3;

$t->sql(q{UPDATE iot.tenant_profile SET data = jsonb_set(data::jsonb,
    '{configuration,maxUsers}', (SELECT to_jsonb(count(*) + 1) FROM iot.users
        WHERE tenant_id = ?::uuid))::json}, $t->tenant_id);

@answers = at_once(3, sub {
    $t->post("/api/noauth/activateByEmailCode?emailCode=$codes[$_[0]]")
        ->status;
});

is_deeply([sort @answers], [200, 403, 403], 'the last one goes to one');
is($t->value(q{SELECT count(*) FROM iot.customer WHERE title LIKE 'cap%'}), 1,
    'and makes one customer');

# nobody learns who has an account

my $known = signup('ann@example.com');
my $unknown = signup('nobody@example.com');

is($known->status . $known->body, $unknown->status . $unknown->body,
    'the same answer');
is($t->post('/api/noauth/resendEmailActivation?email=ann@example.com')->status,
    200, 'a link again, for an account');
is($t->post('/api/noauth/resendEmailActivation?email=who@example.com')->status,
    200, 'and for nobody');

# what is tried with texts

for my $evil (q{'; DROP TABLE iot.users; --}, qq{x\r\nBcc: victim\@example.org},
    '<script>alert(1)</script>', "\x{202e}", 'x' x 300)
{
    my $answer = $t->post('/api/noauth/signup', json => {
        email => "$evil\@example.com", password => $password });

    is($answer->status, 400, 'an address that is none');
}

for my $field (qw(firstName lastName phone)) {
    my $answer = $t->post('/api/noauth/signup', json => {
        email => 'html@example.com', password => $password,
        $field => '<img src=x onerror=alert(1)>' });

    is($answer->status, 400, "no HTML in $field");

    $answer = $t->post('/api/noauth/signup', json => {
        email => "$field\@example.com", password => $password,
        $field => qq{'); DELETE FROM iot.users; --\r\nX: y} });

    is($answer->status, 200, "other text is only text in $field");
}

for my $code (q{' OR 1=1 --}, '%00', "\x{e9}") {
    cmp_ok($t->post('/api/noauth/activateByEmailCode?emailCode='
        . escape($code))->status, '<', 500, 'a code that is none');
}

is($t->http('POST', '/api/noauth/signup', json => {
    email => 'host@example.com', password => $password },
    headers => { 'X-Forwarded-Host' => 'localhost" onclick="' })->status, 404,
    'a host that may not stand in a link');
is($t->post('/api/noauth/signup', json => { email => 'p@example.com',
    password => 'x' })->status, 400, 'a password outside of the policy');
is($t->post('/api/noauth/signup', body => '[]')->status, 400, 'no object');
is($t->value(q{SELECT count(*) FROM iot.users WHERE email = ?},
    $t->account('TENANT_EMAIL')), 1, 'nothing was deleted');

# consents

is(call('GET', '/api/signup/privacyPolicyAccepted', $ann)->body, 'false',
    'not yet');

my $pair = call('POST', '/api/signup/acceptPrivacyPolicy', $ann)->json;

is(call('GET', '/api/signup/privacyPolicyAccepted', $pair->{token})->body,
    'true', 'accepted, with new tokens');
is(call('GET', '/api/signup/termsOfUseAccepted', $ann)->body, 'false',
    'that alone');

done_testing();


sub call {
    my ($method, $path, $token, $body) = @_;
    my %header = ('X-Authorization' => "Bearer $token");

    $header{'Content-Type'} = 'application/json' if defined $body;

    return $t->http($method, $path, headers => \%header,
        body => defined $body ? encode_json($body) : undef);
}


sub signup {
    my ($email, $secret) = @_;

    return $t->post('/api/noauth/signup', json => { email => $email,
        password => $secret || $password });
}


sub link_of {
    my ($email) = @_;

    return $t->value(q{SELECT payload #>> '{vars,link}' FROM iot.job
        WHERE payload ->> 'recipient' = ?
            AND payload ->> 'template' = 'sign-up-confirm'
        ORDER BY created_time DESC, id DESC LIMIT 1}, $email) || '';
}


sub escape {
    my ($text) = @_;

    utf8::encode($text);
    $text =~ s/([^A-Za-z0-9%])/sprintf('%%%02X', ord $1)/ge;

    return $text;
}


# what n processes get that start together
sub at_once {
    my ($n, $what) = @_;
    my @pipes;

    for my $i (0 .. $n - 1) {
        pipe(my $reader, my $writer) or die "no pipe: $!\n";

        my $pid = fork();
        die "no process: $!\n" if !defined $pid;

        if (!$pid) {
            delete $t->{client};
            syswrite($writer, eval { $what->($i) } || "error $@");
            require POSIX;
            POSIX::_exit(0);
        }

        close($writer);
        push @pipes, [$reader, $pid];
    }

    return map {
        my ($reader, $pid) = @$_;
        local $/;
        my $answer = <$reader>;
        waitpid($pid, 0);
        $answer;
    } @pipes;
}
