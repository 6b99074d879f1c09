package IotCtl::Run;

# Copyright (C) the ngx_iot authors

# Words for people, exit codes, and running other programs without a shell.

use strict;
use warnings;

use Exporter qw(import);
use POSIX ();
use Time::HiRes qw(sleep time);

our @EXPORT_OK = qw(say_line fail run_program must_run find_program
    read_file write_file wait_for alive am_root
    EXIT_FAILED EXIT_USAGE EXIT_DOWN EXIT_EMPTY EXIT_MISSING);

use constant {
    EXIT_FAILED  => 1,    # it was tried and did not work
    EXIT_USAGE   => 2,    # the command line or a setting is wrong
    EXIT_DOWN    => 3,    # the instance does not run
    EXIT_EMPTY   => 4,    # the instance has not been initialised
    EXIT_MISSING => 5,    # a program, module or library is missing
};

our $quiet = 0;


sub am_root {
    return $> == 0;
}


sub say_line {
    print STDOUT @_, "\n" unless $quiet;
}


# dies with an object, so that the tests can call the same functions
sub fail {
    my ($code, @lines) = @_;

    die IotCtl::Failure->new($code, join("\n", @lines));
}


# Runs a program and waits.  Options: user (become that user first), input
# (text for stdin), env (hash; undef removes), show (its output goes to ours),
# dir, session (own session: the terminal's Ctrl-C does not reach it).
# Returns (exit status, stdout, stderr); status 127 when it cannot be executed.
# Output goes through unlinked files: a daemon that inherits them blocks nobody.
sub run_program {
    my ($command, %o) = @_;
    my ($in, $out, $err);

    open($in, '+>', undef) or fail(EXIT_FAILED, "no temporary file: $!");
    open($out, '+>', undef) or fail(EXIT_FAILED, "no temporary file: $!");
    open($err, '+>', undef) or fail(EXIT_FAILED, "no temporary file: $!");

    if (defined $o{input}) {
        my $text = $o{input};
        utf8::encode($text) if utf8::is_utf8($text);
        print $in $text;
        $in->flush;
        seek($in, 0, 0);
    }

    STDOUT->flush;
    STDERR->flush;

    my $pid = fork();
    fail(EXIT_FAILED, "cannot fork: $!") unless defined $pid;

    if ($pid == 0) {
        child($command, $in, $out, $err, \%o);
    }

    while (waitpid($pid, 0) == -1 && $!{EINTR}) { }

    my $status = $?;
    my $code = $status & 127 ? 128 + ($status & 127) : $status >> 8;

    return ($code, slurp($out), slurp($err));
}


sub child {
    my ($command, $in, $out, $err, $o) = @_;

    $SIG{$_} = 'DEFAULT' for qw(INT TERM HUP PIPE CHLD);

    open(STDIN, '<&', $in);

    if (!$o->{show}) {
        open(STDOUT, '>&', $out);
        open(STDERR, '>&', $err);
    }

    POSIX::setsid() if $o->{session};

    for my $name (keys %{$o->{env} || {}}) {
        if (defined $o->{env}{$name}) {
            $ENV{$name} = $o->{env}{$name};

        } else {
            delete $ENV{$name};
        }
    }

    if (defined $o->{user} && am_root()) {
        become($o->{user});
    }

    # a user that we have become may not enter the caller's directory
    chdir($o->{dir} || '/');

    no warnings 'exec';

    exec {$command->[0]} @$command;

    print STDERR "cannot execute $command->[0]: $!\n";
    POSIX::_exit(127);
}


sub become {
    my ($name) = @_;
    my ($uid, $gid) = (getpwnam($name))[2, 3];

    if (defined $uid) {
        $( = $gid;
        $) = "$gid $gid";
        POSIX::setgid($gid);
        POSIX::setuid($uid);

        return if $> == $uid && $< == $uid;
    }

    print STDERR "cannot become user $name\n";
    POSIX::_exit(126);
}


sub slurp {
    my ($fh) = @_;
    local $/;

    seek($fh, 0, 0);
    my $text = <$fh>;

    return defined $text ? $text : '';
}


# as run_program, but a failure ends the command, with its own words shown
sub must_run {
    my ($what, $command, %o) = @_;
    my ($code, $out, $err) = run_program($command, %o);

    return $out if $code == 0;

    my $words = $err ne '' ? $err : $out;
    $words =~ s/\s+\z//;
    $words =~ s/^/    /mg;

    fail($code == 127 ? EXIT_MISSING : EXIT_FAILED,
        "$what failed (status $code):", $words);
}


sub find_program {
    my ($name, @places) = @_;

    for my $dir (@places, split(/:/, $ENV{PATH} || ''), '/usr/sbin',
        '/usr/local/sbin', '/sbin', '/usr/bin', '/bin')
    {
        return "$dir/$name" if -f "$dir/$name" && -x _;
    }

    return undef;
}


sub read_file {
    my ($path) = @_;

    open(my $fh, '<:raw', $path) or return undef;
    local $/;
    my $text = <$fh>;

    return defined $text ? $text : '';
}


# A reader sees the old or the new contents, never a half; the mode is set
# before the first byte is written.
sub write_file {
    my ($path, $text, $mode) = @_;
    my $new = "$path.new.$$";

    $mode = 0644 unless defined $mode;
    unlink($new);
    utf8::encode($text) if utf8::is_utf8($text);

    sysopen(my $fh, $new, POSIX::O_WRONLY() | POSIX::O_CREAT()
        | POSIX::O_EXCL(), $mode)
        or fail(EXIT_FAILED, "cannot write $new: $!");

    chmod($mode, $fh);

    my $done = print $fh $text;
    $done &&= $fh->flush;
    $done &&= $fh->sync if $fh->can('sync');

    if (!$done || !close($fh) || !rename($new, $path)) {
        my $why = $!;
        unlink($new);
        fail(EXIT_FAILED, "cannot write $path: $why");
    }
}


# Calls the code until it is true or the time is over; returns its value.
sub wait_for {
    my ($seconds, $code) = @_;
    my $end = time() + $seconds;
    my $pause = 0.005;

    while (1) {
        my $value = $code->();
        return $value if $value;
        return $value if time() >= $end;

        sleep($pause);
        $pause *= 1.5 if $pause < 0.1;
    }
}


# A daemon that has ended stays as a zombie where nobody inherits it, as in a
# container without an init: that is not alive.
sub alive {
    my ($pid) = @_;

    return 0 unless $pid;
    return 0 unless kill(0, $pid) || $!{EPERM};

    my $text = read_file("/proc/$pid/stat");

    return defined $text && $text =~ /^\d+ \(.*\) Z /s ? 0 : 1;
}


package IotCtl::Failure;

use overload '""' => sub { "$_[0]->{words}\n" }, fallback => 1;


sub new {
    my ($class, $code, $words) = @_;

    return bless { code => $code, words => $words }, $class;
}


sub code {
    return $_[0]->{code};
}


1;
