#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# What helpers send by HTTP: mail to Amazon SES and SendGrid, requests and
# webhooks of jobs, and where they do not go.

use strict;
use warnings;

use Digest::SHA qw(hmac_sha256 hmac_sha256_hex sha256_hex);
use File::Basename qw(dirname);

use lib dirname(__FILE__) . '/../lib';

use IotTest;
use IotTest::Helper;
use IotTest::Sink;
use JSON::XS ();
use MIME::Base64 qw(decode_base64);

my $t = IotTest->new(start => 0);
my $json = JSON::XS->new->canonical;
my $sink = IotTest::Sink->new($t);
my $helper = IotTest::Helper->new($t);


sub setting {
    my ($name, $value) = @_;

    $t->sql('DELETE FROM iot.setting WHERE name = ?', $name);
    $t->sql('INSERT INTO iot.setting (name, value) VALUES (?, ?)', $name,
        JSON::XS->new->allow_nonref->encode($value));
}


sub job {
    my ($kind, $payload, $give_up) = @_;

    return $t->job_over($t->value('SELECT iot.job_add(?, ?, ?, NULL, ?)',
        $t->tenant_id, $kind, $json->encode($payload), $give_up || '100 ms'));
}


sub mail {
    return job('mail', { template => 'reset-password',
        recipient => 'who@mail.test',
        vars => { link => 'http://l.test/', name => "J\x{fc}rgen" } });
}


setting('mail.from', 'The house <house@sender.test>');


# Amazon SES: the signature is worked out again from what came

sub signed {
    my ($request, $secret) = @_;
    my %h = %{$request->{headers}};
    my ($scope, $names, $signature) = $h{authorization} =~ m{^AWS4-HMAC-SHA256
        [ ]Credential=AKIATEST/(\S+),[ ]?SignedHeaders=(\S+),[ ]
        ?Signature=([0-9a-f]{64})$}x or return 0;
    my ($day, $region, $service, $end) = split(m{/}, $scope);

    return 0 if "$region $service $end" ne 'eu-test-1 ses aws4_request'
        || $names !~ /\bhost\b/ || $h{'x-amz-date'} !~ /^\Q$day\ET\d{6}Z$/;

    my $canonical = join("\n", $request->{method}, $request->{path}, '',
        (map { "$_:$h{$_}" } split(/;/, $names)), '', $names,
        sha256_hex($request->{body}));
    my $text = join("\n", 'AWS4-HMAC-SHA256', $h{'x-amz-date'}, $scope,
        sha256_hex($canonical));
    my $key = "AWS4$secret";

    $key = hmac_sha256($_, $key) for $day, $region, $service, $end;

    return hmac_sha256_hex($text, $key) eq $signature;
}


{
    setting('mail.transport', 'ses');
    like(mail()->{error}, qr/secret key of Amazon SES is not set/,
        'SES without a key');

    setting('mail.ses.region', 'eu-test-1');
    setting('mail.ses.accessKey', 'AKIATEST');
    setting('mail.ses.secretKey', 'very/secret+key');
    setting('mail.ses.url', $sink->url(''));

    my $job = mail();

    is($job->{state}, 'COMPLETED', 'by SES') or diag($job->{error});

    my ($request) = $sink->requests(1);
    my $body = $json->decode($request->{body});

    is("$request->{method} $request->{path}",
        'POST /v2/email/outbound-emails', 'SendEmail of version 2');
    is($request->{headers}{'content-type'}, 'application/json', 'JSON');
    ok(signed($request, 'very/secret+key'), 'the signature is right');
    ok(!signed($request, 'another key'), 'and not with another key');
    is($body->{FromEmailAddress}, 'house@sender.test', 'the sender');
    is_deeply($body->{Destination}, { ToAddresses => ['who@mail.test'] },
        'the recipient');
    like(decode_base64($body->{Content}{Raw}{Data}),
        qr/^Message-ID: <\Q$job->{id}\E\@sender\.test>\r$/m, 'the mail');

    setting('mail.ses.url', $sink->url('/status/429'));
    like(mail()->{error}, qr/^status 429: \{"ok"/, 'too many: again later');
    setting('mail.ses.url', $sink->url('/status/400'));
    is(job('mail', { template => 'test-mail', recipient => 'a@b.test',
        vars => {} }, '1 day')->{attempt}, 1, 'refused: not again');
}


# SendGrid

{
    setting('mail.transport', 'sendgrid');
    setting('mail.sendgrid.key', 'SG.key');
    setting('mail.sendgrid.url', $sink->url(''));

    my $job = mail();

    is($job->{state}, 'COMPLETED', 'by SendGrid') or diag($job->{error});

    my $request = ($sink->requests(4))[-1];
    my $body = JSON::XS->new->utf8->decode($request->{body});

    is("$request->{method} $request->{path}", 'POST /v3/mail/send',
        'mail/send of version 3');
    is($request->{headers}{authorization}, 'Bearer SG.key', 'with the key');
    is_deeply($body->{personalizations}, [{ to => [{
        email => 'who@mail.test' }] }], 'the recipient');
    is_deeply($body->{from}, { email => 'house@sender.test',
        name => 'The house' }, 'the sender');
    is($body->{subject}, 'Choose a new password', 'the subject');
    is_deeply([map { $_->{type} } @{$body->{content}}],
        ['text/plain', 'text/html'], 'both parts, in their order');
    like($body->{content}[0]{value}, qr/J\x{fc}rgen/, 'in UTF-8');
    is($body->{headers}{'Message-ID'}, "<$job->{id}\@sender.test>", 'its id');

    setting('mail.sendgrid.url', $sink->url('/status/503'));
    like(mail()->{error}, qr/^status 503/, 'away');
}


# requests: not to where only we can go

for my $url ($sink->url('/'), "http://localhost:$sink->{port}/",
    "http://[::1]:$sink->{port}/", 'http://10.0.0.1/', 'http://0.0.0.0/',
    "http://[::ffff:127.0.0.1]:$sink->{port}/", 'http://192.168.1.1/',
    'http://169.254.169.254/latest/', 'http://2130706433:1/',
    'http://[fd00::1]/', 'http://[fe80::1]/', 'http://100.64.0.1/')
{
    is(job('http', { url => $url }, '1 day')->{error},
        'private addresses are not allowed', "not to $url");
}

for my $payload ({ url => 'file:///etc/passwd' }, { url => 'gopher://x.test/' },
    { url => 'smtp://x.test/' }, { url => 'http://' }, {},
    { url => $sink->url('/'), schemes => 'file' },
    { url => $sink->url('/'), timeout => 'x' },
    { url => $sink->url('/'), maxAnswer => -1 })
{
    my $job = job('http', $payload);
    is($job->{state}, 'FAILED', 'refused: ' . $json->encode($payload));
    unlike($job->{error} . ($job->{result} || ''), qr/root:/, 'and not done');
}

setting('outbound.allowPrivate', JSON::XS::true);

for my $payload ({ method => 'TRACE' }, { headers => { 'X-A' => "b\r\nC: d" } },
    { headers => { "X-A\r\nB" => 'c' } }, { headers => { 'X-A' => 1 } },
    { headers => { 'X-A' => 'sealed:h:AAAA' } })
{
    is(job('http', { url => $sink->url('/never'), %$payload })->{state},
        'FAILED', 'refused: ' . $json->encode($payload));
}

is(scalar(grep { $_->{path} eq '/never' } $sink->requests), 0, 'none came');


sub result {
    my ($payload) = @_;
    my $job = job('http', $payload);

    diag($job->{error}) if $job->{state} ne 'COMPLETED';

    return $json->decode($job->{result} || '{}');
}

{
    my $r = result({ url => $sink->url('/a?b=c') });

    is($r->{status}, 200, 'GET');
    is($r->{body}, '{"ok":true}', 'the answer');
    is($r->{headers}{'X-Two'}, 'one, two', 'its headers');
    is(($sink->requests)[-1]{path}, '/a?b=c', 'the path and the query');

    result({ url => $sink->url('/p'), method => 'PUT', body => "\x{20ac}",
        headers => { 'X-Own' => 'v', 'Content-Type' => 'text/plain' } });
    my $request = ($sink->requests)[-1];
    is($request->{method}, 'PUT', 'PUT');
    is($request->{headers}{'x-own'}, 'v', 'a header of its own');
    is($request->{headers}{'content-type'}, 'text/plain', 'its type');
    ok(!exists $request->{headers}{expect}, 'without a wait');
    is($request->{headers}{'content-length'}, 3, 'the body');

    result({ url => $sink->url('/f'), form => { secret => 'a&b c=', r => 1,
        response => "\x{fc}" } });
    $request = ($sink->requests)[-1];
    is($request->{method}, 'POST', 'a form is posted');
    is(join('&', sort split(/&/, $request->{body})),
        'response=%C3%BC&secret=a%26b%20c%3D', 'and encoded');

    is(result({ url => $sink->url('/status/500') })->{status}, 500,
        'whatever the answer is');
    is(result({ url => $sink->url('/redirect') })->{status}, 302,
        'a redirect is not followed');
    is(result({ url => $sink->url('/binary') })->{base64}, 'AP8=',
        'what is no text');
    is(job('http', { url => $sink->url('/big') }, '1 day')->{error},
        'the answer is too large', 'too large');
    is(job('http', { url => $sink->url('/'), maxAnswer => 3 })->{error},
        'the answer is too large', 'larger than wanted');
    like(job('http', { url => $sink->url('/silent'), timeout => 300 })
        ->{error}, qr/timed? ?out/i, 'silent');
    is(result({ url => $sink->url('/h'), method => 'HEAD' })->{status}, 200,
        'HEAD');
}


# webhooks

{
    my $job = job('webhook', { url => $sink->url('/hook'), body => '{"a":1}',
        secret => 'shared', headers => { 'Content-Type' =>
            'application/json' } });
    my %h = %{($sink->requests)[-1]{headers}};

    is($job->{state}, 'COMPLETED', 'a webhook') or diag($job->{error});
    is($h{'x-iot-delivery'}, $job->{id}, 'says which delivery it is');
    is($h{'x-iot-signature'}, 'sha256=' . hmac_sha256_hex(
        "$h{'x-iot-timestamp'}.{\"a\":1}", 'shared'), 'is signed');
    cmp_ok(abs($h{'x-iot-timestamp'} - time()), '<', 60, 'with its time');

    is(job('webhook', { url => $sink->url('/status/410') }, '1 day')
        ->{error}, 'status 410', 'gone: not again');
    is(job('webhook', { url => $sink->url('/status/302') })->{error},
        'status 302', 'nothing else will do');

    # again, as the same delivery
    my $before = scalar($sink->requests);
    my $id = $t->value("SELECT iot.job_add(NULL, 'webhook', ?)",
        $json->encode({ url => $sink->url('/status/503') }));
    my @again = splice(@{[$sink->requests($before + 2)]}, $before);

    is_deeply([map { $_->{headers}{'x-iot-delivery'} } @again], [$id, $id],
        'away: again');
}

done_testing();
