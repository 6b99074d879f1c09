package IotTest::Smtp;

# Copyright (C) the ngx_iot authors

# A mail server for tests: a process that speaks SMTP as told and writes down
# what it hears.
#
#     my $smtp = IotTest::Smtp->new($t, tls => 'starttls', user => 'u',
#         password => 'p');
#     $smtp->mode('refuse');
#     my @mails = $smtp->mails(1);      # waits for that many
#
# Modes: accept; refuse (550 to the recipient), busy (451 to the recipient),
# cut (goes away within DATA), late (goes away after the last dot, before its
# answer), hold (waits after the last dot until the mode changes), slow
# (silent after the greeting), spam (550 to the mail itself).

use strict;
use warnings;

use IO::Select ();
use IO::Socket::INET ();
use IotCtl::Run qw(read_file write_file);
use JSON::XS ();
use MIME::Base64 qw(decode_base64);
use POSIX ();

my $json = JSON::XS->new->canonical;


sub new {
    my ($class, $t, %o) = @_;
    my $self = bless { t => $t, dir => File::Temp::tempdir(DIR => $t->dir),
        %o }, $class;

    $self->{port} = $t->free_port;
    $self->mode('accept');
    $self->start;

    return $self;
}


sub start {
    my ($self) = @_;

    my $socket = IO::Socket::INET->new(LocalAddr => '127.0.0.1',
        LocalPort => $self->{port}, Listen => 64, ReuseAddr => 1)
        or die "cannot listen on $self->{port}: $!\n";

    my $pid = fork();
    die "fork: $!" unless defined $pid;

    if ($pid == 0) {
        eval { $self->serve($socket) };
        print STDERR $@ if $@;
        POSIX::_exit(0);
    }

    close($socket);
    $self->{pid} = $pid;
    $self->{t}->child($pid);
}


sub stop {
    my ($self) = @_;
    my $pid = delete $self->{pid} or return;

    kill('KILL', $pid);
    waitpid($pid, 0);
}


sub port { return $_[0]->{port} }


sub mode {
    my ($self, $mode) = @_;

    write_file("$self->{dir}/mode", $mode);
}


# every conversation that came as far as a mail, in order
sub mails {
    my ($self, $n, $seconds) = @_;
    my @mails;

    $n = 0 unless defined $n;

    $self->{t}->wait_for($seconds || 15, sub {
        @mails = map { $json->decode($_) }
            split(/\n/, read_file("$self->{dir}/mails") || '');
        return @mails >= $n;
    });

    return @mails;
}


# how many connections there have been
sub connections {
    my ($self) = @_;

    return length(read_file("$self->{dir}/connections") || '');
}


sub add {
    my ($self, $file, $text) = @_;

    open(my $fh, '>>', "$self->{dir}/$file") or die "$file: $!";
    syswrite($fh, $text);
}


sub serve {
    my ($self, $socket) = @_;

    $SIG{CHLD} = 'IGNORE';
    $SIG{PIPE} = 'IGNORE';

    while (1) {
        my $c = $socket->accept or next;
        my $pid = fork();

        if (defined $pid && $pid == 0) {
            alarm(60);
            close($socket);
            eval { $self->talk($c) };
            POSIX::_exit(0);
        }

        close($c);
    }
}


sub secure {
    my ($self, $c) = @_;

    require IO::Socket::SSL;

    return IO::Socket::SSL->start_SSL($c, SSL_server => 1,
        SSL_cert_file => $self->{t}->dir . '/tls/server.crt',
        SSL_key_file => $self->{t}->dir . '/tls/server.key')
        || die IO::Socket::SSL::errstr();
}


sub talk {
    my ($self, $c) = @_;
    my $mode = read_file("$self->{dir}/mode");
    my $tls = $self->{tls} || '';
    my %mail = (to => []);

    $self->add('connections', '.');
    $c = $self->secure($c) if $tls eq 'smtps';
    $mail{tls} = $tls eq 'smtps' ? 1 : 0;

    my $say = sub { print $c "$_[0]\r\n"; $c->flush };

    $say->('220 mail.test ready');
    sleep(60) if $mode eq 'slow';

    while (defined(my $line = <$c>)) {
        $line =~ s/\r?\n\z//;

        if ($line =~ /^EHLO (\S+)/i) {
            $mail{helo} = $1;
            print $c '250-mail.test' . "\r\n";
            print $c "250-STARTTLS\r\n" if $tls eq 'starttls' && !$mail{tls};
            print $c "250-AUTH PLAIN LOGIN\r\n" if defined $self->{user};
            $say->('250 8BITMIME');

        } elsif ($line =~ /^STARTTLS/i) {
            $say->('220 go on');
            $c = $self->secure($c);
            $mail{tls} = 1;

        } elsif ($line =~ /^AUTH PLAIN ?(.*)/i) {
            my $text = $1;

            if ($text eq '') {
                $say->('334 ');
                $text = <$c>;
            }

            my (undef, $user, $password) = split(/\0/, decode_base64($text));

            if ($user eq $self->{user} && $password eq $self->{password}) {
                $mail{user} = $user;
                $say->('235 welcome');

            } else {
                $say->('535 5.7.8 Who are you');
            }

        } elsif ($line =~ /^MAIL FROM:<([^>]*)>/i) {
            if (defined $self->{user} && !defined $mail{user}) {
                $say->('530 5.7.0 Log in first');
                next;
            }

            $mail{from} = $1;
            $say->('250 ok');

        } elsif ($line =~ /^RCPT TO:<([^>]*)>/i) {
            push @{$mail{to}}, $1;
            $say->($mode eq 'refuse' ? '550 5.1.1 No such user here'
                : $mode eq 'busy' ? '451 4.3.2 Come back later' : '250 ok');

        } elsif ($line =~ /^DATA/i) {
            $say->('354 go on');
            $mail{data} = '';

            while (defined(my $text = <$c>)) {
                last if $text eq ".\r\n";
                $text =~ s/^\.//;
                $mail{data} .= $text;
                return if $mode eq 'cut';
            }

            # until told otherwise
            select(undef, undef, undef, 0.02)
                while $mode eq 'hold' && -e "$self->{dir}/mode"
                && read_file("$self->{dir}/mode") eq 'hold';

            if ($mode eq 'spam') {
                $say->('550 5.7.1 We do not want this');
                next;
            }

            $self->add('mails', $json->encode(\%mail) . "\n");
            return if $mode eq 'late';
            $say->('250 2.0.0 taken');

        } elsif ($line =~ /^QUIT/i) {
            $say->('221 bye');
            last;

        } else {
            $say->('250 ok');
        }
    }
}


1;
