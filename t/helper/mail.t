#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# Mail: templates, MIME, SMTP with and without TLS and AUTH, what servers do to
# those who send, and settings.

use strict;
use warnings;

use File::Basename qw(dirname);

use lib dirname(__FILE__) . '/../lib';

use IotTest;
use IotCtl::Run qw(write_file);
use IotTest::Helper;
use IotTest::Smtp;
use JSON::XS ();
use MIME::Base64 qw(decode_base64 encode_base64);
use MIME::QuotedPrint qw(decode_qp);

my $t = IotTest->new(start => 0);
my $json = JSON::XS->new->canonical;
my $helper = IotTest::Helper->new($t, lease => 2000,
    ca_file => $t->dir . '/tls/server.crt');


sub mail {
    my ($template, $vars, %o) = @_;

    return $t->value('SELECT iot.job_add(?, ?, ?, NULL, ?)', $t->tenant_id,
        'mail', $json->encode({ template => $template,
            recipient => $o{to} || 'somebody@mail.test',
            vars => $vars, ($o{mail} ? (mail => $o{mail}) : ()) }),
        $o{give_up} || '1 day');
}


sub settings {
    my ($value) = @_;

    $t->sql('DELETE FROM iot.setting WHERE name = ?', 'mail');
    $t->sql('INSERT INTO iot.setting (name, value) VALUES (?, ?)', 'mail',
        $json->encode($value));
}


# of a mail: headers (unfolded, a hash) and parts by their type
sub parsed {
    my ($text) = @_;
    my ($head, $body) = $text =~ /\A(.*?)\r\n\r\n(.*)\z/s;

    $head =~ s/\r\n[ \t]+/ /g;

    my %head = map { lc((/^([^:]+): (.*)$/)[0]) => (/^([^:]+): (.*)$/)[1] }
        split(/\r\n/, $head);
    my %part;

    if (my ($edge) = ($head{'content-type'} || '') =~ /boundary="([^"]+)"/) {
        for my $piece (split(/(?:\A|\r\n)--\Q$edge\E(?:--)?\r\n/, $body)) {
            my ($h, $b) = $piece =~ /\A(.*?)\r\n\r\n(.*)\z/s or next;
            $part{$1} = decode_qp($b) if $h =~ m{^Content-Type: text/(\w+)}m;
        }
    }

    return (\%head, \%part);
}


sub words {
    my ($text) = @_;

    $text =~ s/\?= =\?/?==?/g;
    $text =~ s/=\?UTF-8\?B\?([^?]*)\?=/decode_base64($1)/ge;
    utf8::decode($text);

    return $text;
}


# without any settings: into a directory

{
    my $id = mail('reset-password', { name => "J\x{fc}rgen <b>",
        link => 'http://h.test/?a=1&b="2"' });
    my $job = $t->job_over($id);

    is($job->{state}, 'COMPLETED', 'into the directory') or diag($helper->log);

    my @mails = $helper->mails;
    my ($head, $part) = parsed($mails[0]);

    is(scalar(@mails), 1, 'one mail');
    is($head->{'message-id'}, "<$id\@localhost>", 'its id is the job\'s');
    is($head->{subject}, 'Choose a new password', 'its subject');
    is($head->{to}, '<somebody@mail.test>', 'the recipient');
    is($head->{from}, '"ngx_iot" <noreply@localhost>', 'the sender');
    like($head->{date}, qr/^\w{3}, \d\d \w{3} \d{4} [\d:]{8} \+0000$/, 'date');
    is($head->{'mime-version'}, '1.0', 'MIME');
    like($part->{plain}, qr{^\S+h\.test/\?a=1&b="2"\r?$}m,
        'the link as it is');
    utf8::decode($part->{plain});
    like($part->{plain}, qr/J\x{fc}rgen <b>/, 'UTF-8');
    like($part->{html}, qr{href="http:..h\.test/\?a=1&amp;b=&quot;2&quot;"},
        'escaped in HTML');
    like($part->{html}, qr/&lt;b&gt;/, 'no markup by a name');
    ok(!(grep { length > 76 } split(/\r\n/, $mails[0])), 'short lines');
    unlike($mails[0], qr/(?<!\r)\n|\r(?!\n)/, 'all lines end in CRLF');
    unlike($mails[0], qr/[^\x00-\x7f]/, 'seven bits');
    ok(!glob("$helper->{mail_dir}/tmp/*"), 'nothing is left in tmp');
    is($t->value('SELECT payload::text FROM iot.job WHERE id = ?', $id), '{}',
        'the link is forgotten');
}


# templates of one's own; what they lack

{
    my $dir = $t->dir . '/mail/greeting';

    mkdir($dir);
    write_file("$dir/subject", "{{title}}\n");
    write_file("$dir/text", ". a dot begins\nfrom {{who|nobody}}  \n=3D\n"
        . ('x' x 200) . "\n");
    chmod(0755, $dir);

    my $title = "Gr\x{fc}\x{df}e \x{2014} " . ("\x{1f600}" x 40)
        . "\r\nBcc: x\@y.example";
    my $job = $t->job_over(mail('greeting', { title => $title }));

    is($job->{state}, 'COMPLETED', 'a template in the instance');

    my ($mail) = grep { /Auto-Submitted/ && !/Choose/ } $helper->mails;
    my ($head) = parsed($mail);

    $title =~ s/\r\n/  /;
    is(words($head->{subject}), $title, 'a long subject in UTF-8');
    unlike($mail, qr/^Bcc/m, 'no header by way of a subject');
    ok(!(grep { length > 76 } split(/\r\n/, $mail)), 'folded');
    like($mail, qr/^\. a dot begins\r\nfrom nobody =20\r\n=3D3D\r\n/m,
        'quoted-printable');

    is($t->job_over(mail('none', {}))->{error}, 'there is no template "none"',
        'a template that is not there');
    is($t->job_over(mail('../../etc', {}))->{error},
        'the name of the template is not right', 'no way out of the directory');
    is($t->job_over(mail('reset-password', {}))->{error},
        'template "reset-password": there is no variable "link"',
        'no mail without its link');

    $t->sql('INSERT INTO iot.setting (tenant_id, name, value) '
        . 'VALUES (?, ?, ?)', $t->tenant_id, 'mail.templates',
        '{"greeting":{"subject":"From the tenant"}}');
    $job = $t->job_over(mail('greeting', {}));
    my ($own) = grep { /\.$job->{id}$/ } glob("$helper->{mail_dir}/new/*");
    like(IotCtl::Run::read_file($own), qr/^Subject: From the tenant\r$/m,
        'a template of the tenant');

    my @files = glob("$IotTest::top/conf/mail/*");
    cmp_ok(scalar(@files), '>=', 9, 'the templates of the house');

    for my $template (map { m{([^/]+)$} } @files) {
        $job = $t->job_over(mail($template, { link => 'http://l.test/',
            code => '123456', email => 'e@mail.test', name => 'emails',
            state => 'WARNING', value => 80, cap => 100 }));
        is($job->{state}, 'COMPLETED', "$template: can be filled in")
            or diag($job->{error});
    }
}


# SMTP, without TLS and AUTH

my $smtp = IotTest::Smtp->new($t);

settings({ mailFrom => 'The house <house@sender.test>',
    smtpHost => '127.0.0.1', smtpPort => $smtp->port, timeout => '1000',
    smtpProtocol => 'smtp', enableTls => 'false', username => '' });

{
    my $id = mail('test-mail', {});
    my ($mail) = $smtp->mails(1);
    my ($head) = parsed($mail->{data});

    is($t->job_over($id)->{state}, 'COMPLETED', 'by SMTP')
        or diag($helper->log);
    is($mail->{from}, 'house@sender.test', 'from whom');
    is_deeply($mail->{to}, ['somebody@mail.test'], 'to whom');
    is($mail->{helo}, 'sender.test', 'who says hello');
    is($head->{from}, '"The house" <house@sender.test>', 'its header');
    is($head->{'message-id'}, "<$id\@sender.test>", 'its id');
}


# what servers do

sub first_try {
    my ($mode) = @_;

    $smtp->mode($mode);

    my $id = mail('test-mail', {}, give_up => '100 ms');
    my $job = $t->job_over($id);

    $smtp->mode('accept');

    return $job->{error};
}

like(first_try('busy'), qr/451 4\.3\.2 Come back later/, 'busy');
like(first_try('cut'), qr/\w/, 'cut off within DATA');
like(first_try('slow'), qr/time/i, 'silent');
like(first_try('late'), qr/\w/, 'gone before its answer');

for my $case (['refuse', '550 5.1.1 No such user here'],
    ['spam', '550 5.7.1 We do not want this'])
{
    $smtp->mode($case->[0]);
    my $job = $t->job_over(mail('test-mail', {}));
    is($job->{state} . $job->{attempt}, 'FAILED1',
        "$case->[0]: no use in trying again");
    like($job->{error}, qr/\Q$case->[1]\E/, 'in the words of the server');
    $smtp->mode('accept');
}


# a slow server holds up nobody else

{
    $smtp->mode('slow');
    my @slow = map { mail('test-mail', {}, give_up => '100 ms') } 1 .. 5;
    $t->wait_for(10, sub { $smtp->connections >= 12 });
    my $quick = $t->value("SELECT iot.job_add(NULL, 'http', "
        . '\'{"url":"http://127.0.0.1:1/"}\', NULL, \'100 ms\')');
    my $job = $t->job_over($quick);
    is($job->{error}, 'private addresses are not allowed',
        'another job is not held up');
    is($t->value("SELECT count(*) FROM iot.job WHERE state = 'RUNNING'"), 5,
        'by those that wait for their server');
    $t->job_over($_) for @slow;
    $smtp->mode('accept');
}


# down, then up: nothing is lost, nothing sent twice

{
    my $before = scalar($smtp->mails);
    $smtp->stop;
    my @ids = map { mail('test-mail', {}) } 1 .. 5;

    $t->wait_for(15, sub {
        $t->value("SELECT count(*) FROM iot.job WHERE state = 'QUEUED' "
            . "AND error ~ 'connect'") == 5
    }) or diag($helper->log);
    is($t->value("SELECT count(*) FROM iot.job WHERE error ~ 'connect' "
        . "AND state = 'QUEUED'"), 5, 'all wait');

    $smtp->start;
    $t->job_over($_) for @ids;
    my %seen;
    $seen{(parsed($_->{data}))[0]{'message-id'}}++
        for splice(@{[$smtp->mails]}, $before);
    is_deeply(\%seen, { map { ("<$_\@sender.test>" => 1) } @ids },
        'each was sent, and once');
}


# TLS and AUTH; the password is sealed

my $secure = IotTest::Smtp->new($t, tls => 'starttls', user => 'us',
    password => 'swordfish 7');
my $smtps = IotTest::Smtp->new($t, tls => 'smtps');


# as a worker seals: by the public half
sub seal {
    my ($text) = @_;
    my $program = dirname(IotTest::Helper::program()) . '/iot-secret';

    $program = "$IotTest::top/build/iot-secret" unless -x $program;

    my ($code, $out, $err) = IotCtl::Run::run_program([$program, 'seal',
        $t->dir . '/helper.pub'], input => $text);
    die $err if $code;
    $out =~ s/\n//;

    return $out;
}


for my $case (
    ['STARTTLS and AUTH', $secure, {}, undef],
    ['a wrong password', $secure, { password => seal('wrong') },
        qr/535 5\.7\.8/],
    ['a password of another key', $secure,
        { password => 'sealed:h:' . ('A' x 80) }, qr/sealed for another key/],
    ['a password that only workers open', $secure,
        { password => 'sealed:w:' . ('A' x 80) }, qr/sealed for another key/],
    ['no TLS demanded, none used, AUTH all the same', $secure,
        { enableTls => JSON::XS::false }, undef],
    ['TLS demanded of a server without', $smtp, {}, qr/TLS|SSL/],
    ['smtps', $smtps, { smtpProtocol => 'smtps', username => '' }, undef],
    ['a name that is not in the certificate', $secure,
        { smtpHost => '127.0.0.2' }, qr/certificate|SSL|connect/i],
    ['an address that is none', $smtp, { mailFrom => 'nobody' },
        qr/sender is no address/],
    ['a host with a path', $smtp, { smtpHost => 'a/b' }, qr/not right/],
) {
    my ($name, $server, $more, $error) = @$case;

    settings({ mailFrom => 'house@sender.test', smtpHost => '127.0.0.1',
        smtpPort => '' . $server->port, timeout => 2000,
        enableTls => JSON::XS::true,
        smtpProtocol => 'smtp', username => 'us',
        password => seal('swordfish 7'), %$more });

    my $before = scalar($server->mails);
    my $job = $t->job_over(mail('test-mail', {}, give_up => '100 ms'));

    if (defined $error) {
        is($job->{state}, 'FAILED', "$name: not sent");
        like($job->{error}, $error, "$name: why");
        next;
    }

    is($job->{state}, 'COMPLETED', "$name: sent") or diag($job->{error});

    my $mail = ($server->mails)[-1];

    is(scalar($server->mails), $before + 1, "$name: one mail");
    is($mail->{tls} || 0, exists $more->{enableTls} ? 0 : 1,
        "$name: TLS") if $server == $secure;
    is($mail->{user}, 'us', "$name: logged in") if $server == $secure;
}

unlike($helper->log, qr/swordfish/, 'no password in the log');
unlike($t->value("SELECT string_agg(to_jsonb(j)::text, ' ') FROM iot.job j"),
    qr/swordfish/, 'nor in a job');


# settings that are tried out before they are stored

{
    settings({ smtpHost => '127.0.0.1', smtpPort => 1 });

    my $job = $t->job_over(mail('test-mail', {}, give_up => '0',
        mail => { mailFrom => 'x@try.test', smtpPort => $smtp->port }));

    is($job->{state}, 'COMPLETED', 'with other settings')
        or diag($job->{error});
    is(($smtp->mails)[-1]{from}, 'x@try.test', 'those were used');
}

done_testing();
