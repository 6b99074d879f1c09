#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# Requests that wait for a helper: the test mail of the admin settings; no
# helper, a client that leaves, a reload, and the password that nobody sees.

use strict;
use warnings;

use File::Basename qw(dirname);

use lib dirname(__FILE__) . '/../lib';

use IotTest;
use IotTest::Helper;
use IotTest::Smtp;

my $t = IotTest->new(workers => 2);
my $smtp = IotTest::Smtp->new($t, user => 'us', password => 'swordfish 7');
my $path = '/api/admin/settings';
my %mail = (mailFrom => 'House <house@sender.test>', smtpHost => '127.0.0.1',
    smtpPort => '' . $smtp->port, smtpProtocol => 'smtp', timeout => '2000',
    enableTls => 'false', username => 'us');


sub settings {
    my (%o) = @_;

    return { key => 'mail', jsonValue => { %mail, %o } };
}


sub test_mail {
    my (%o) = @_;

    return $t->post("$path/testMail", token => $t->sysadmin,
        json => settings(%o));
}


# nobody there

{
    my $answer = test_mail(password => 'swordfish 7');

    is($answer->status, 503, 'no helper');
    is($answer->header('retry-after'), 10, 'come again');
    is($t->value('SELECT count(*) FROM iot.job'), 0, 'nothing is left to do');
}

my $helper = IotTest::Helper->new($t);


# the password is stored, kept, and never shown

{
    my $answer = $t->post($path, token => $t->sysadmin,
        json => settings(password => 'swordfish 7', proxyPassword => 'pp 8'));

    is($answer->status, 200, 'the settings are stored');
    unlike($answer->body, qr/swordfish|sealed|pp 8/, 'without the passwords');
    is($answer->json->{jsonValue}{smtpPort}, $mail{smtpPort},
        'as they were written');
    like($t->value("SELECT value ->> 'password' FROM iot.setting "
        . "WHERE name = 'mail'"), qr/^sealed:h:/, 'sealed in the database');
    like($t->value("SELECT value ->> 'proxyPassword' FROM iot.setting "
        . "WHERE name = 'mail'"), qr/^sealed:h:/, 'so is the other one');

    my $before = $t->value("SELECT value ->> 'password' FROM iot.setting "
        . "WHERE name = 'mail'");

    is($t->post($path, token => $t->sysadmin, json => settings())->status, 200,
        'stored again without it');
    is($t->value("SELECT value ->> 'password' FROM iot.setting "
        . "WHERE name = 'mail'"), $before, 'it stays');
    unlike($t->get("$path/mail", token => $t->sysadmin)->body,
        qr/sealed|password/i, 'it is not read back');

    for my $bad ([smtpPort => 70000], [smtpPort => 'x'], [smtpHost => 'a b'],
        [smtpProtocol => 'http'], [mailFrom => "a\nb"], [timeout => -1],
        [password => 'x' x 1001])
    {
        is($t->post($path, token => $t->sysadmin,
            json => settings(@$bad))->status, 400, "$bad->[0]: refused");
    }

    is($t->post($path, token => $t->tenant, json => settings())->status, 403,
        'tenants have no say');
}


# the test mail, with the stored password and with others

{
    my $answer = test_mail();

    is($answer->status, 200, 'a test mail') or diag($answer->body);
    is($answer->body, '', 'an empty answer');

    my ($mail) = $smtp->mails(1);

    is_deeply($mail->{to}, [$t->account('SYSADMIN_EMAIL')], 'to the caller');
    is($mail->{user}, 'us', 'by the stored password');

    $answer = test_mail(password => 'wrong');
    is($answer->status, 500, 'a wrong password');
    like($answer->json->{message}, qr/535 5\.7\.8 Who are you/,
        'in the words of the server');

    $smtp->mode('refuse');
    like(test_mail()->json->{message}, qr/550 5\.1\.1 No such user/, 'refused');
    $smtp->mode('accept');

    $answer = test_mail(smtpPort => 1);
    is($answer->status, 500, 'nobody listens');
    like($answer->json->{message}, qr/connect/i, 'which is said');

    # a secret of somebody else's making is sealed like any other text
    $answer = test_mail(password => 'sealed:h:AAAA');
    like($answer->json->{message}, qr/535/, 'no sealed text from outside');

    is($t->post("$path/testMail", token => $t->sysadmin,
        json => { key => 'general', jsonValue => {} })->status, 400,
        'only of mail');
}


# several wait at a time, on both workers; a reload lets them

{
    $smtp->mode('slow');

    my @clients = map { $t->client } 1 .. 6;
    my $body = JSON::XS->new->encode(settings());

    print { $_->socket } "POST $path/testMail HTTP/1.1\r\nHost: x\r\n"
        . 'X-Authorization: Bearer ' . $t->sysadmin . "\r\n"
        . "Content-Type: application/json\r\nContent-Length: "
        . length($body) . "\r\n\r\n$body" for @clients;
    $_->socket->flush for @clients;

    ok($t->wait_for(15, sub {
        $t->value("SELECT count(*) FROM iot.job WHERE state = 'RUNNING'") == 6
    }), 'six wait');

    # two leave
    close($_->socket) for splice(@clients, 0, 2);

    $t->reload;

    my @answers = map { $_->answer } @clients;

    is_deeply([map { $_->status } @answers], [(500) x 4],
        'all have their answer from the old workers');
    like($answers[0]->json->{message}, qr/time/i, 'the server was silent');
    $smtp->mode('accept');
    is(test_mail()->status, 200, 'the new workers do it too');
}

unlike($t->error_log . $helper->log, qr/swordfish/, 'no password in a log');

done_testing();
