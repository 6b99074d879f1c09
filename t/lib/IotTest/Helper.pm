package IotTest::Helper;

# Copyright (C) the ngx_iot authors

# An iot-helper for a test.
#
#     my $helper = IotTest::Helper->new($t, lease => 1000);
#
# It runs until the end of the test; kill(), term() and start() are for tests
# of its life.

use strict;
use warnings;

use File::Basename qw(dirname);
use IotCtl::Run qw(read_file alive);
use POSIX ();

my $number = 0;


# lease (ms), jobs, ca_file, name, wait (0: do not wait for its heartbeat)
sub new {
    my ($class, $t, %o) = @_;
    my $self = bless { t => $t, lease => 60000, jobs => 32,
        name => 'h' . ++$number, wait => 1, %o }, $class;

    $self->{log} = $t->dir . "/log/helper-$self->{name}.log";
    $self->{mail_dir} = $t->dir . '/mail-out';
    $self->{socket} = $t->dir . "/run/helper-$self->{name}.sock";
    $self->start;

    return $self;
}


sub program {
    return dirname($ENV{IOT_MODULE} || "$IotTest::top/build/x")
        . '/iot-helper';
}


sub start {
    my ($self) = @_;
    my $t = $self->{t};
    my $program = program();
    my $seen = $self->beats;

    die "$program is not built\n" unless -x $program;

    mkdir($t->dir . '/mail');

    my $pid = fork();
    die "fork: $!" unless defined $pid;

    if ($pid == 0) {
        $ENV{IOT_HELPER_DATABASE} = $t->{cluster}->conninfo($t->{database},
            'iot_helper');
        $ENV{ASAN_OPTIONS} = 'detect_leaks=0:log_path=' . $t->dir
            . '/san/report' if $ENV{IOT_SANITIZE};

        open(STDOUT, '>', '/dev/null');
        open(STDERR, '>>', $self->{log});
        { no warnings 'exec'; exec($program, '--key', $t->dir . '/helper.key',
            '--templates', $t->dir . '/mail',
            '--templates', "$IotTest::top/conf/mail",
            '--mail-dir', $self->{mail_dir}, '--name', $self->{name},
            '--socket', $self->{socket}, '--lease', $self->{lease},
            '--jobs', $self->{jobs},
            ($self->{ca_file} ? ('--ca-file', $self->{ca_file}) : ())) }
        POSIX::_exit(127);
    }

    $self->{pid} = $pid;
    $t->child($pid);

    return unless $self->{wait};

    $t->wait_for(15, sub { $self->beats > $seen })
        or die "the helper does not live:\n" . $self->log;
}


# how many helpers of that name have ever said that they live
sub beats {
    my ($self) = @_;

    return $self->{t}->value('SELECT count(*) FROM iot.helper WHERE name = ?',
        $self->{name});
}


sub pid { return $_[0]->{pid} }
sub log { return read_file($_[0]->{log}) || '' }


# as nobody expects it
sub kill {
    my ($self) = @_;

    CORE::kill('KILL', $self->{pid});
    waitpid($self->{pid}, 0);
}


# politely; returns its exit status
sub term {
    my ($self, $seconds) = @_;

    CORE::kill('TERM', $self->{pid});

    return $self->ended($seconds);
}


sub ended {
    my ($self, $seconds) = @_;
    my $status;

    $self->{t}->wait_for($seconds || 15, sub {
        my $pid = waitpid($self->{pid}, POSIX::WNOHANG());
        $status = $? if $pid == $self->{pid};
        return defined $status;
    });

    return $status;
}


# the mails in its directory
sub mails {
    my ($self) = @_;

    return map { read_file($_) } sort glob("$self->{mail_dir}/new/*");
}


# GET from its socket: status and body
sub get {
    my ($self, $path) = @_;

    require IO::Socket::UNIX;

    my $c = IO::Socket::UNIX->new(Peer => $self->{socket}) or return (0, $!);
    print $c "GET $path HTTP/1.1\r\nHost: helper\r\n\r\n";
    local $/;
    my $answer = <$c>;

    return $answer =~ m{^HTTP/1.1 (\d+).*?\r\n\r\n(.*)}s;
}


1;
