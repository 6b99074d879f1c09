#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# Helpers that are killed, that end, that lose their database; several at once.

use strict;
use warnings;

use File::Basename qw(dirname);

use lib dirname(__FILE__) . '/../lib';

use IotTest;
use IotTest::Helper;
use IotTest::Smtp;
use JSON::XS ();

# the leases are short: a helper that is killed is missed soon
my $t = IotTest->new(start => 0, cluster => 'own', fsync => 1);
my $smtp = IotTest::Smtp->new($t);
my $helper = IotTest::Helper->new($t, lease => 1500);

$t->sql('INSERT INTO iot.setting (name, value) VALUES (?, ?)', 'mail',
    JSON::XS->new->encode({ smtpHost => '127.0.0.1',
        smtpPort => '' . $smtp->port, timeout => '20000' }));


sub mail {
    return $t->value("SELECT iot.mail(NULL, 'test-mail', 'a\@b.test', '{}')");
}


sub ids {
    return map { $_->{data} =~ /^Message-ID: <([^@]+)@/m } @_;
}


# killed while it talks to the server: another one sends it

{
    $smtp->mode('slow');

    my $id = mail();

    ok($t->wait_for(10, sub { $smtp->connections == 1 }), 'it is at it');
    $helper->kill;
    $smtp->mode('accept');

    my $second = IotTest::Helper->new($t, lease => 1500);
    my $job = $t->job_over($id, 30);

    is($job->{state}, 'COMPLETED', 'another helper has sent it');
    is($job->{attempt}, 2, 'in a second try');
    is_deeply([ids($smtp->mails)], [$id], 'once');
    $helper = $second;
}


# killed between the mail and its mark: sent again as the same mail

{
    my $before = scalar($smtp->mails);
    my $from = $smtp->connections;

    $smtp->mode('hold');

    my $id = mail();

    $t->wait_for(10, sub { $smtp->connections == $from + 1 });

    # it cannot tell the database any more
    my $lock = $t->db->clone;
    $lock->begin_work;
    $lock->do('SELECT FROM iot.job WHERE id = ? FOR UPDATE', undef, $id);

    $smtp->mode('accept');
    is_deeply([splice(@{[ids($smtp->mails($before + 1))]}, $before)], [$id],
        'the mail is out');
    $helper->kill;
    $t->sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        . "WHERE usename = 'iot_helper'");
    $t->wait_for(10, sub {
        $t->value("SELECT count(*) FROM pg_stat_activity "
            . "WHERE usename = 'iot_helper'") == 0
    });
    $lock->rollback;
    $lock->disconnect;

    $helper = IotTest::Helper->new($t, lease => 1500);

    my $job = $t->job_over($id, 30);

    is("$job->{state} $job->{attempt}", 'COMPLETED 2', 'and marked later');
    is_deeply([splice(@{[ids($smtp->mails)]}, $before)], [$id, $id],
        'sent again, as the same mail');
}


# the database goes while mails are under way: each is sent once

{
    my $before = scalar($smtp->mails);
    my $from = $smtp->connections;

    $smtp->mode('hold');

    my @ids = map { mail() } 1 .. 5;

    ok($t->wait_for(10, sub { $smtp->connections == $from + 5 }),
        'five are under way');
    $t->stop_database('immediate');
    $smtp->mode('accept');
    is(scalar($smtp->mails($before + 5)), $before + 5,
        'they are sent without a database');
    is(($helper->get('/healthz'))[0], 503, 'which is no good health');
    $t->start_database;

    is($t->job_over($_, 30)->{state}, 'COMPLETED', 'told when it is back')
        for @ids;
    is_deeply([sort(splice(@{[ids($smtp->mails)]}, $before))], [sort @ids],
        'none was sent twice');
    is(($helper->get('/healthz'))[0], 200, 'well again');
}


# told to end, it ends what it has begun

{
    my $from = $smtp->connections;

    $smtp->mode('hold');

    my $id = mail();

    $t->wait_for(10, sub { $smtp->connections == $from + 1 });
    kill('TERM', $helper->pid);
    ok($t->wait_for(10, sub { $helper->log =~ /ending: 1 jobs in hand/ }),
        'it knows what is in its hands');

    my $late = mail();

    $smtp->mode('accept');
    is($helper->ended(20), 0, 'it ends');
    is($t->job_over($id)->{state}, 'COMPLETED', 'after that mail');
    is($t->value('SELECT state FROM iot.job WHERE id = ?', $late), 'QUEUED',
        'and has begun no other');
    is($t->value('SELECT count(*) FROM iot.helper WHERE name = ?',
        $helper->{name}), 0, 'it is not counted as living');
    ok(!-e $helper->{socket}, 'its socket is gone');
    $t->job_over($late) if $helper = IotTest::Helper->new($t);
}


# told twice, it gives back what is not done

{
    $smtp->mode('slow');

    my $from = $smtp->connections;
    my $id = mail();

    $t->wait_for(10, sub { $smtp->connections == $from + 1 });
    kill('TERM', $helper->pid);
    $t->wait_for(10, sub { $helper->log =~ /ending: 1 jobs in hand/ });
    is($helper->term(20), 0, 'at once');

    my $row = $t->db->selectrow_hashref(
        'SELECT state, attempt FROM iot.job WHERE id = ?', undef, $id);

    is("$row->{state} $row->{attempt}", 'QUEUED 0', 'as if never tried');
    $smtp->mode('accept');
}


# four share the work, and nobody's is done twice

{
    my $before = scalar($smtp->mails);
    my @helpers = map { IotTest::Helper->new($t, jobs => 4) } 1 .. 4;
    my @ids = map { mail() } 1 .. 60;

    $t->job_over($_, 40) for @ids;

    my %seen;
    $seen{$_}++ for splice(@{[ids($smtp->mails)]}, $before);
    is(scalar(grep { ($seen{$_} || 0) == 1 } @ids), 60, 'each once');

    my @done = map { ($_->get('/metrics'))[1]
        =~ /^iot_helper_jobs_done_total (\d+)$/m } @helpers;
    is(scalar(grep { $_ > 0 } @done), 4, "all have worked: @done");
    is(($helpers[0]->get('/nothing'))[0], 404, 'no other page');
}

done_testing();
