package IotCtl::Doctor;

# Copyright (C) the ngx_iot authors

# Looks at everything that usually goes wrong, and says what to do about it.

use strict;
use warnings;

use IotCtl::Helper ();
use IotCtl::Instance ();
use IotCtl::Nginx ();
use IotCtl::Postgres ();
use IotCtl::Run qw(run_program find_program read_file am_root);

# each adds to its report by fine, warn, or bad
our @checks = (
    [programs    => \&check_programs],
    [module      => \&check_module],
    [directory   => \&check_directory],
    [disk        => \&check_disk],
    ['key file'  => \&check_key],
    [certificate => \&check_certificate],
    [database    => \&check_database],
    [schema      => \&check_schema],
    [nginx       => \&check_nginx],
    [ports       => \&check_ports],
    [readiness   => \&check_ready],
    [helper      => \&check_helper],
);


# [{ name, level ok|warn|FAIL, words }]
sub examine {
    my ($instance) = @_;
    my @report;

    for my $check (@checks) {
        my ($name, $code) = @$check;
        my @found;

        my $add = sub { push @found, { name => $name, level => $_[0],
            words => $_[1] } };

        if (!eval { $code->($instance, $add); 1 }) {
            my $words = "$@";
            $words =~ s/\s+\z//;
            $words =~ s/\s*\n\s*/ /g;
            $add->('FAIL', $words);
        }

        push @report, @found;
    }

    return \@report;
}


sub check_programs {
    my ($instance, $add) = @_;
    my @missing = grep { !find_program($_) } qw(psql openssl tar);

    IotCtl::Nginx::program();
    IotCtl::Nginx::stream_module();

    my $bin = $instance->private ? $instance->postgres->bin : undef;

    return $add->('FAIL', "not installed: @missing; run \"make deps\"")
        if @missing;

    $add->('ok', 'nginx, psql, openssl'
        . (defined $bin ? ", PostgreSQL in $bin" : ''));
}


sub check_module {
    my ($instance, $add) = @_;
    my $path = $instance->module;
    my ($code, $out, $err) = run_program([IotCtl::Nginx::program(), '-v']);
    my ($version) = "$out$err" =~ m{nginx/(\d+\.\d+\.\d+)};
    my $pid = IotCtl::Nginx::pid($instance);

    $add->('ok', "$path for nginx $version") if defined $version;

    # a reload never loads another module, and the old one stays mapped
    if ($pid && ((stat($path))[9] || 0) > ((stat("/proc/$pid"))[9] || 0)) {
        $add->('warn', 'the module was built after nginx had started: '
            . '"iotctl upgrade" to use it');
    }
}


sub check_directory {
    my ($instance, $add) = @_;
    my $dir = $instance->dir;

    if (!$instance->ready) {
        return $add->('FAIL', "there is no instance in $dir: \"iotctl init\"");
    }

    my $owner = (stat($dir))[4];

    if ($owner != $>) {
        my $name = getpwuid($owner) || $owner;
        return $add->('FAIL', "$dir belongs to $name: run iotctl as $name");
    }

    if (am_root() && !IotCtl::Instance::reachable($dir)) {
        return $add->('FAIL', "a directory above $dir is closed to the users "
            . 'postgres and www-data: chmod o+x it');
    }

    for my $name (qw(conf run log tmp tls)) {
        next if -d "$dir/$name" && -w _;
        return $add->('FAIL', "$dir/$name is missing or not writable: "
            . '"iotctl init" repairs it');
    }

    $add->('ok', $dir);
}


sub check_disk {
    my ($instance, $add) = @_;
    my (undef, $out) = run_program(['df', '-Pk', $instance->dir]);
    my (undef, $inodes) = run_program(['df', '-Pi', $instance->dir]);

    my ($free, $used) = $out =~ /(\d+)\s+(\d+)%\s+\S+\s*\z/;
    my ($nodes) = $inodes =~ /(\d+)%\s+\S+\s*\z/;

    return $add->('warn', 'df tells nothing') unless defined $free;

    my $words = sprintf('%.1f GB free, %d%% used', $free / 1048576, $used);

    return $add->('FAIL', "$words: PostgreSQL stops when the disk is full")
        if $free < 100 * 1024 || defined $nodes && $nodes >= 99;
    return $add->('warn', $words) if $free < 1048576 || $used >= 95;

    $add->('ok', $words);
}


sub check_key {
    my ($instance, $add) = @_;
    my $path = $instance->dir('secret.key');
    my $text = read_file($path);

    return $add->('FAIL', "$path is missing: restore it from a backup; what "
        . 'it sealed cannot be read without it') unless defined $text;

    return $add->('FAIL', "$path does not hold 32 bytes in base64")
        unless $text =~ m{^[A-Za-z0-9+/]{43}=\s*\z};

    return $add->('FAIL', "$path may be read by others: chmod 600 it")
        if (stat($path))[2] & 0077;

    $add->('ok', $path);
}


sub check_helper {
    my ($instance, $add) = @_;
    my $program = IotCtl::Helper::program($instance, 1);
    my $key = $instance->dir('helper.key');
    my $public = $instance->dir('helper.pub');
    my $text = read_file($key);

    return $add->('FAIL', "$key is missing: restore it from a backup, or "
        . '"iotctl init" makes another and passwords are to be set again')
        unless defined $text;

    return $add->('FAIL', "$key may be read by others: chmod 600 it")
        if (stat($key))[2] & 0077;

    my (undef, $own) = run_program([$instance->secret_program, 'public'],
        input => $text);

    return $add->('FAIL', "$public is not of $key: remove it, and "
        . '"iotctl init" makes it again')
        if $own eq '' || $own ne (read_file($public) || '');

    return $add->('FAIL', 'iot-helper is not built: "make build"')
        unless defined $program;

    return $add->('ok', $program) unless IotCtl::Nginx::pid($instance);

    my $wanted = () = IotCtl::Helper::numbers($instance);
    my @pids = IotCtl::Helper::pids($instance);

    return $add->('warn', 'IOT_HELPERS is 0: another machine sends mail')
        if !$wanted;
    return $add->('FAIL', 'does not run: "iotctl start"; its messages are in '
        . $instance->dir('log/helper.log')) if @pids < $wanted;

    my $state = $instance->{doctor_state};
    return unless $state && $state->{reachable} && $state->{schema};

    my ($alive, $failed) = split(/\t/, $instance->sql(
        "SELECT iot.helper_alive(), count(*) FROM iot.job "
        . "WHERE state = 'FAILED';\n"));

    return $add->('FAIL', 'runs and does not reach the database; see '
        . $instance->dir('log/helper.log')) if $alive ne 't';
    return $add->('warn', "runs; $failed jobs were given up: GET /api/jobs")
        if $failed;

    $add->('ok', 'process ' . join(', ', @pids));
}


sub check_certificate {
    my ($instance, $add) = @_;
    my $path = $instance->dir('tls/server.crt');
    my $key = $instance->dir('tls/server.key');

    return $add->('FAIL', "$path is missing: \"iotctl init\" makes one")
        unless -s $path && -s $key;

    return $add->('FAIL', "$key may be read by others: chmod 600 it")
        if (stat($key))[2] & 0077;

    my ($code, $out) = run_program(['openssl', 'x509', '-in', $path, '-noout',
        '-enddate', '-pubkey']);
    return $add->('FAIL', "$path is not a certificate") if $code != 0;

    my ($date) = $out =~ /^notAfter=(.*)$/m;
    my ($pub) = $out =~ /(-----BEGIN PUBLIC KEY.*)/s;
    my (undef, $own) = run_program(['openssl', 'pkey', '-in', $key,
        '-pubout']);

    return $add->('FAIL', "$key is not the key of $path")
        unless defined $pub && $own eq $pub;

    for my $pair ([0, 'FAIL', 'has expired'],
        [14 * 86400, 'warn', 'expires soon'])
    {
        my ($late) = run_program(['openssl', 'x509', '-in', $path, '-noout',
            '-checkend', $pair->[0]]);
        return $add->($pair->[1], "$path $pair->[2]: $date") if $late != 0;
    }

    $add->('ok', "valid until $date");
}


sub check_database {
    my ($instance, $add) = @_;

    if ($instance->private) {
        my $postgres = $instance->postgres;

        return $add->('FAIL', 'there is no cluster in ' . $instance->dir('pg'))
            unless $postgres->exists;

        return $add->('warn', 'PostgreSQL does not run: "iotctl start"')
            unless $postgres->running;
    }

    my $state = $instance->{doctor_state} = $instance->schema_state;

    return $add->('FAIL', "not reachable: $state->{error}")
        unless $state->{reachable};

    # what the workers use is another role, maybe another address
    my ($code, $out, $err) = IotCtl::Postgres::psql(
        $instance->conninfo_worker, "SET ROLE iot_app;\nSELECT 1;\n",
        private => $instance->private, check => 1);

    if ($code != 0) {
        $err =~ s/\s+\z//;
        return $add->('FAIL', "the workers cannot use it: $err");
    }

    $add->('ok', $instance->private ? 'private cluster, by '
        . $instance->socket : 'answers');
}


sub check_schema {
    my ($instance, $add) = @_;
    my $state = $instance->{doctor_state};

    return unless $state && $state->{reachable};

    return $add->('FAIL', 'there is no schema: "iotctl migrate"')
        unless $state->{schema};

    return $add->('FAIL', "newer than this release (migration "
        . "$state->{newer}[-1])") if @{$state->{newer}};

    return $add->('FAIL', "behind (@{$state->{pending}}): \"iotctl migrate\"")
        if @{$state->{pending}};

    return $add->('FAIL', 'its functions are of another release: '
        . '"iotctl migrate"') if $state->{stale};

    $add->('ok', 'of this release');
}


sub check_nginx {
    my ($instance, $add) = @_;

    return unless -f $instance->dir('conf/nginx.conf');

    my ($fine, $words) = IotCtl::Nginx::test($instance);
    $words =~ s/\s+\z//;
    my ($first) = $words =~ /\[emerg\] (?:\d+#\d+: )?(.*)/;
    $first = $words unless defined $first;

    if (!$fine && $first =~ /binary compatible|version \d+ instead of/) {
        return $add->('FAIL', "$first: the module was built for another nginx; "
            . '"make clean build"');
    }

    return $add->('FAIL', $first) unless $fine;

    my $pid = IotCtl::Nginx::pid($instance);
    my @workers = IotCtl::Nginx::workers($instance);

    return $add->('warn', 'configuration right, not running: "iotctl start"')
        unless $pid;

    $add->('ok', "process $pid, " . scalar(@workers) . ' workers');
}


sub check_ports {
    my ($instance, $add) = @_;

    return if IotCtl::Nginx::pid($instance);

    my @taken = IotCtl::Nginx::taken($instance);

    $add->('FAIL', "$_->{port} ($_->{name}): $_->{why}") for @taken;
    return if @taken;

    $add->('ok', join(', ', map { $_->[0] } IotCtl::Nginx::ports($instance))
        . ' are free');
}


sub check_ready {
    my ($instance, $add) = @_;

    return unless IotCtl::Nginx::pid($instance);

    my ($status, $body) = IotCtl::Nginx::get($instance, '/readyz');

    return $add->('ok', 'GET /readyz answers 200') if $status == 200;

    $add->('FAIL', 'GET /readyz: ' . ($status || $body) . '; see '
        . $instance->dir('log/error.log'));
}


1;
