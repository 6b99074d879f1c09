package IotCtl::Helper;

# Copyright (C) the ngx_iot authors

# The helpers of an instance: programs beside nginx that send mail and do what
# else must not hold up a worker.

use strict;
use warnings;

use File::Basename qw(dirname);
use IotCtl::Instance ();
use IotCtl::Postgres ();
use IotCtl::Run qw(fail run_program must_run read_file write_file wait_for
    alive am_root EXIT_FAILED EXIT_MISSING);


sub program {
    my ($instance, $quiet) = @_;

    for my $path ($ENV{IOT_HELPER} || (),
        "$instance->{home}/build/iot-helper", '/usr/lib/ngx_iot/iot-helper')
    {
        return $path if -x $path && !-d _;
    }

    return undef if $quiet;

    fail(EXIT_MISSING, 'iot-helper is not built; run "make build".');
}


# 1 .. how many there are to be
sub numbers {
    my ($instance) = @_;

    return 1 .. $instance->value('IOT_HELPERS');
}


sub pid {
    my ($instance, $n) = @_;
    my $text = read_file($instance->helper_dir . "/$n.pid");

    return 0 unless defined $text && $text =~ /^(\d+)\s*$/;

    my $pid = $1;
    return 0 unless alive($pid);

    # the file may have outlived a power cut, the number a new owner
    my $line = read_file("/proc/$pid/cmdline");
    return 0 if defined $line && $line !~ /iot-helper/;

    return $pid;
}


# of all that run, also those that are more than the settings say now
sub pids {
    my ($instance) = @_;
    my @paths = glob_pids($instance->helper_dir);

    return grep { $_ } map { m{/(\d+)\.pid$} ? pid($instance, $1) : 0 }
        sort @paths;
}


sub glob_pids {
    my ($dir) = @_;

    opendir(my $handle, $dir) or return ();
    return map { "$dir/$_" } grep { /^\d+\.pid$/ } readdir($handle);
}


# Starts those that do not run; how many that were.
sub start {
    my ($instance) = @_;
    my @missing = grep { !pid($instance, $_) } numbers($instance);

    return 0 unless @missing;

    my $program = program($instance);
    my $user = $instance->helper_user;
    my $dir = $instance->helper_dir;
    my $log = $instance->dir('log/helper.log');

    IotCtl::Postgres::make_dir($dir, 0755, $user);
    IotCtl::Postgres::make_dir($instance->dir('mail-out'), 0700, $user);
    write_file($log, '', 0640) if !-e $log;
    IotCtl::Postgres::give($log, $user);

    my ($runs, $templates) = within_reach($instance, $program, $dir);
    my $ca = $instance->dir('mail/ca.crt');

    for my $n (@missing) {
        my ($code, $out, $err) = run_program([$runs, '--background',
            '--key', $instance->dir('helper.key'),
            '--templates', $instance->dir('mail'),
            '--templates', $templates,
            '--mail-dir', $instance->dir('mail-out'),
            '--name', "helper $n", '--socket', "$dir/$n.sock",
            '--pid', "$dir/$n.pid", '--log', $log,
            (-e $ca ? ('--ca-file', $ca) : ())],
            user => $user, session => 1, env => environment($instance));

        next if $code == 0;

        $err =~ s/\s+\z//;
        fail(EXIT_FAILED, "iot-helper did not start (status $code):",
            "    $err");
    }

    return scalar(@missing);
}


# The user of the helpers cannot walk into a checkout in a closed home: then
# program and templates are copied to where it can.
sub within_reach {
    my ($instance, $program, $dir) = @_;
    my $templates = "$instance->{home}/conf/mail";

    return ($program, $templates) if !am_root()
        || IotCtl::Instance::reachable(dirname($program))
        && IotCtl::Instance::reachable($templates);

    # a new file and a rename: another helper may be running from the old one
    must_run('cp', ['cp', $program, "$dir/iot-helper.new"]);
    must_run('cp', ['cp', '-RT', $templates, "$dir/mail"]);
    must_run('chmod', ['chmod', '-R', 'a+rX', "$dir/mail"]);
    chmod(0755, "$dir/iot-helper.new");
    rename("$dir/iot-helper.new", "$dir/iot-helper")
        or fail(EXIT_FAILED, "cannot write $dir/iot-helper: $!");

    return ("$dir/iot-helper", "$dir/mail");
}


# a connection string may hold a password: not on the command line
sub environment {
    my ($instance) = @_;
    my %env = (IOT_HELPER_DATABASE => $instance->conninfo_helper);

    if ($instance->private) {
        $env{$_} = undef for @IotCtl::Postgres::libpq;
    }

    return \%env;
}


# They end what they have begun; how many there were.
sub stop {
    my ($instance, $seconds) = @_;
    my @pids = pids($instance) or return 0;

    kill('TERM', @pids);

    if (!wait_for($seconds || 20, sub { !grep { alive($_) } @pids })) {
        kill('TERM', grep { alive($_) } @pids);
        wait_for(5, sub { !grep { alive($_) } @pids })
            or kill('KILL', grep { alive($_) } @pids);
        wait_for(5, sub { !grep { alive($_) } @pids });
    }

    return scalar(@pids);
}


# The log is opened again; as many as are wanted run.
sub reload {
    my ($instance) = @_;
    my $most = $instance->value('IOT_HELPERS');

    for my $path (glob_pids($instance->helper_dir)) {
        my ($n) = $path =~ m{/(\d+)\.pid$};
        my $pid = pid($instance, $n) or next;

        kill($n > $most ? 'TERM' : 'HUP', $pid);
    }

    return start($instance);
}


1;
