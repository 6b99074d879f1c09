package IotCtl::Nginx;

# Copyright (C) the ngx_iot authors

# The rendered configuration, and nginx as a daemon under it.

use strict;
use warnings;

use File::Basename qw(basename);
use IO::Socket::INET ();
use Socket ();
use IotCtl::Postgres ();
use IotCtl::Run qw(say_line fail run_program find_program read_file
    write_file wait_for alive am_root EXIT_FAILED EXIT_USAGE EXIT_MISSING);


sub program {
    return $ENV{IOT_NGINX} || find_program('nginx', '/usr/sbin')
        || fail(EXIT_MISSING, 'nginx is not installed; run "make deps".');
}


sub stream_module {
    for my $path ('/usr/lib/nginx/modules/ngx_stream_module.so',
        '/usr/lib64/nginx/modules/ngx_stream_module.so')
    {
        return $path if -f $path;
    }

    fail(EXIT_MISSING, 'nginx has no stream module: '
        . 'apt-get install libnginx-mod-stream, or run "make deps".');
}


# a string of nginx's configuration
sub quote {
    my ($text) = @_;

    $text =~ s/([\\"])/\\$1/g;
    return "\"$text\"";
}


# IPv6 may be absent from the kernel or the container
sub has_ipv6 {
    socket(my $fh, Socket::PF_INET6(), Socket::SOCK_STREAM(), 0) or return 0;

    return bind($fh, Socket::pack_sockaddr_in6(0,
        Socket::inet_pton(Socket::AF_INET6(), '::')));
}


sub listener {
    my ($instance, $name, $options) = @_;
    my $address = $instance->value('IOT_LISTEN');
    my $port = $instance->value("IOT_${name}_PORT");
    my @where = $address ne '' ? ("$address:$port")
        : ($port, has_ipv6() ? "[::]:$port" : ());

    return join("\n        ", map { "listen $_$options backlog=4096;" }
        @where);
}


# files that the hard limit of this machine lets a worker open
sub files {
    my (undef, $out) = run_program(['/bin/sh', '-c', 'ulimit -Hn']);
    my $limit = $out =~ /^(\d+)/ ? $1 : 65536;

    return $limit < 65536 ? $limit : 65536;
}


sub variables {
    my ($instance) = @_;
    my $files = files();
    my $user = $instance->worker_user;
    my $read = $instance->value('IOT_READ_DATABASE');

    return {
        DIR         => $instance->dir,
        USER        => defined $user ? "user $user;" : '',
        WORKERS     => $instance->value('IOT_WORKERS'),
        FILES       => $files,
        CONNECTIONS => $files < 32768 ? int($files / 2) : 16384,
        LOG_LEVEL   => $instance->value('IOT_LOG_LEVEL'),
        STREAM      => stream_module(),
        MODULE      => $instance->module,
        DATABASE    => quote($instance->conninfo_worker),
        READ        => $read ne '' ? 'database_read ' . quote($read) . ';' : '',
        ZONE        => $instance->value('IOT_ZONE'),
        HTTP        => listener($instance, 'HTTP', ''),
        HTTPS       => listener($instance, 'HTTPS', ' ssl http2'),
        HELPERS     => $instance->helper_dir,
        MQTT        => listener($instance, 'MQTT', ''),
        MQTTS       => listener($instance, 'MQTTS', ' ssl'),
        NATIVE      => listener($instance, 'NATIVE', ''),
        NATIVES     => listener($instance, 'NATIVES', ' ssl'),
        IOTMP       => listener($instance, 'IOTMP', ''),
        IOTMPS      => listener($instance, 'IOTMPS', ' ssl'),
    };
}


# @NAME@ of the templates in conf/ becomes its value; an unknown one is an error
sub render {
    my ($instance) = @_;
    my $value = variables($instance);
    my $home = $instance->{home};

    for my $name (qw(nginx.conf iot-http.conf iot-stream.conf)) {
        my $text = read_file("$home/conf/$name");
        fail(EXIT_MISSING, "cannot read $home/conf/$name: $!")
            unless defined $text;

        $text =~ s{\@([A-Z_]+)\@}{
            defined $value->{$1} ? $value->{$1}
                : fail(EXIT_FAILED, "$home/conf/$name: unknown \@$1\@")
        }ge;
        $text =~ s/^[ \t]+\n//mg;

        # the connection string may hold a password
        write_file($instance->dir("conf/$name"), $text, 0600);
    }

    # ours to keep: people point nginx.conf's types at their own file if needed
    my $types = read_file('/etc/nginx/mime.types');
    write_file($instance->dir('conf/mime.types'),
        defined $types ? $types : "types { }\n", 0644);
}


sub command {
    my ($instance, @more) = @_;

    return [program(), '-p', $instance->dir . '/', '-c',
        $instance->dir('conf/nginx.conf'), '-e',
        $instance->dir('log/error.log'), @more];
}


# (0 or 1, messages)
sub test {
    my ($instance) = @_;
    my ($code, $out, $err) = run_program(command($instance, '-t', '-q'));

    return ($code == 0 ? 1 : 0, $err . $out);
}


sub pid {
    my ($instance) = @_;
    my $text = read_file($instance->dir('run/nginx.pid'));

    return 0 unless defined $text && $text =~ /^(\d+)\s*$/;

    my $pid = $1;
    return 0 unless alive($pid);

    # the file may have outlived a power cut, the number a new owner
    my $line = read_file("/proc/$pid/cmdline");
    return 0 if defined $line && $line !~ /nginx/;

    return $pid;
}


# those that take requests; with all, also those that are shutting down
sub workers {
    my ($instance, $all) = @_;
    my $master = pid($instance) or return ();

    return children($master, $all);
}


sub children {
    my ($parent, $all) = @_;
    my @found;

    for my $path (glob('/proc/[0-9]*/stat')) {
        my $text = read_file($path);
        next unless defined $text && $text =~ /^(\d+) \(.*\) (\S) (\d+) /s;
        my ($pid, $state, $ppid) = ($1, $2, $3);
        next if $ppid != $parent || $state eq 'Z';

        my $line = read_file("/proc/$pid/cmdline");
        next unless defined $line && $line =~ /worker process/;
        push @found, $pid if $all || $line !~ /shutting down/;
    }

    return sort { $a <=> $b } @found;
}


# [port, setting] of the listeners that the templates have
sub ports {
    my ($instance) = @_;
    my $text = join('', map { read_file("$instance->{home}/conf/$_") || '' }
        qw(iot-http.conf iot-stream.conf));

    return map { [$instance->value("IOT_${_}_PORT"), "IOT_${_}_PORT"] }
        grep { $text =~ /\@$_\@/ }
        qw(HTTP HTTPS MQTT MQTTS NATIVE NATIVES IOTMP IOTMPS);
}


# ports that somebody else has
sub taken {
    my ($instance) = @_;
    my @taken;
    my $address = $instance->value('IOT_LISTEN');

    for my $pair (ports($instance)) {
        my ($port, $name) = @$pair;
        my $where = $address =~ /^\d/ ? $address : '0.0.0.0';
        my $socket = IO::Socket::INET->new(LocalAddr => $where,
            LocalPort => $port, Proto => 'tcp', Listen => 1, ReuseAddr => 1);

        if ($socket) {
            close($socket);
            next;
        }

        my $why = $!{EACCES} ? 'only root may use a port below 1024'
            : $!{EADDRINUSE} ? 'taken by ' . holder($port) : lc("$!");

        push @taken, { port => $port, name => $name, why => $why };
    }

    return @taken;
}


# who listens on a port, as far as /proc shows it to us
sub holder {
    my ($port) = @_;
    my $hex = sprintf(':%04X', $port);
    my %inode;

    for my $table ('/proc/net/tcp', '/proc/net/tcp6') {
        for my $line (split(/\n/, read_file($table) || '')) {
            my @field = split(' ', $line);
            next unless @field > 9 && $field[1] =~ /\Q$hex\E$/;
            $inode{$field[9]} = 1 if $field[3] eq '0A';
        }
    }

    for my $fd (glob('/proc/[0-9]*/fd/*')) {
        my $link = readlink($fd);
        next unless defined $link && $link =~ /^socket:\[(\d+)\]/;
        next unless $inode{$1};

        my ($pid) = $fd =~ m{^/proc/(\d+)/};
        my $name = read_file("/proc/$pid/comm") || '?';
        $name =~ s/\s+\z//;
        return "$name (process $pid)";
    }

    return 'a process of another user';
}


sub start {
    my ($instance, %o) = @_;

    return 0 if pid($instance);

    if (my @taken = taken($instance)) {
        fail(EXIT_FAILED, (map { "Port $_->{port} ($_->{name}) cannot be used: "
            . "$_->{why}." } @taken),
            'Choose another one by that variable, for example '
            . "$taken[0]{name}=" . ($taken[0]{port} + 10000 > 65535 ? 18080
                : $taken[0]{port} + 10000) . ' iotctl start');
    }

    my $log = $instance->dir('log/error.log');
    my $from = -s $log || 0;

    my ($code, $out, $err) = run_program(command($instance),
        env => $o{env} || {});

    my $pid = $code == 0 && wait_for(10, sub { pid($instance) });

    return $pid if $pid;

    fail(EXIT_FAILED, "nginx did not start (status $code).",
        "The end of $log:", IotCtl::Postgres::tail($log, 15, $from),
        $err =~ /\S/ && !-s $log ? $err : ());
}


# Graceful first: requests in flight are answered.
sub stop {
    my ($instance, $seconds) = @_;
    my $pid = pid($instance) or return 0;
    my @all = ($pid, workers($instance, 1));
    my $gone = sub { !grep { alive($_) } @all };

    $seconds = 15 unless defined $seconds;

    kill('QUIT', $pid);
    return 1 if wait_for($seconds, $gone);

    say_line("nginx still has requests after $seconds s: stopping them");
    kill('TERM', $pid);
    return 1 if wait_for(10, $gone);

    kill('KILL', grep { alive($_) } @all);
    wait_for(5, $gone);

    return 1;
}


# Tested first: a broken configuration leaves the running one as it is.
sub reload {
    my ($instance) = @_;
    my $pid = pid($instance) or return 0;
    my ($fine, $words) = test($instance);

    if (!$fine) {
        $words =~ s/\s+\z//;
        $words =~ s/^/    /mg;
        fail(EXIT_FAILED, 'The configuration is not right; nothing was '
            . 'changed:', $words);
    }

    my %old = map { $_ => 1 } workers($instance);

    kill('HUP', $pid) or fail(EXIT_FAILED, "cannot signal nginx: $!");

    # new ones are there, and no old one takes another connection
    wait_for(15, sub {
        my @now = workers($instance);
        return @now && !grep { $old{$_} } @now;
    }) or fail(EXIT_FAILED, 'nginx made no new workers; see '
        . $instance->dir('log/error.log'));

    return $pid;
}


# A new master with the program and the module that are on the disk now takes
# the listeners over; then the old one ends gracefully.  Returns the number of
# the new master.
sub upgrade {
    my ($instance, $seconds) = @_;
    my $old = pid($instance) or return 0;
    my ($fine, $words) = test($instance);
    my @all = ($old, workers($instance, 1));
    my $new;

    if (!$fine) {
        $words =~ s/\s+\z//;
        $words =~ s/^/    /mg;
        fail(EXIT_FAILED, 'What is installed now does not start; nothing was '
            . 'changed:', $words);
    }

    kill('USR2', $old) or fail(EXIT_FAILED, "cannot signal nginx: $!");

    # a new master that cannot start leaves, and its file with it
    wait_for(15, sub {
        $new = pid($instance);
        return $new && $new != $old && (() = workers($instance))
            && (get($instance, '/healthz'))[0] == 200;
    }) or fail(EXIT_FAILED, 'nginx made no new master; the old one goes on. '
        . 'See ' . $instance->dir('log/error.log'));

    kill('QUIT', $old);
    wait_for(defined $seconds ? $seconds : 60, sub {
        !grep { alive($_) } @all
    }) or say_line("the old nginx ($old) still has requests to answer");

    return $new;
}


# status and body of a GET, or (0, reason)
sub get {
    my ($instance, $path) = @_;
    my $port = $instance->value('IOT_HTTP_PORT');
    my $address = $instance->value('IOT_LISTEN');
    my $host = $address =~ /^\d/ && $address ne '0.0.0.0'
        ? $address : '127.0.0.1';

    my $socket = IO::Socket::INET->new(PeerAddr => $host, PeerPort => $port,
        Proto => 'tcp', Timeout => 5) or return (0, "$!");

    my ($answer, $part) = ('', '');
    local $SIG{ALRM} = sub { die "timed out\n" };

    eval {
        alarm(5);
        print $socket "GET $path HTTP/1.0\r\nHost: localhost\r\n\r\n";
        $answer .= $part while sysread($socket, $part, 65536);
        alarm(0);
    };
    alarm(0);

    return (0, 'no answer')
        unless $answer =~ m{^HTTP/\S+ (\d+).*?\r\n\r\n(.*)}s;
    return ($1, $2);
}


1;
