package IotCtl::Postgres;

# Copyright (C) the ngx_iot authors

# A private PostgreSQL cluster: Unix socket only, peer authentication through
# pg_ident.conf, so that there is no password anywhere.

use strict;
use warnings;

use Cwd ();
use File::Path ();
use IotCtl::Run qw(fail run_program must_run find_program read_file
    write_file wait_for alive am_root EXIT_FAILED EXIT_MISSING);

# environment of libpq that must not leak into a private instance
our @libpq = qw(PGHOST PGHOSTADDR PGPORT PGDATABASE PGUSER PGPASSWORD
    PGPASSFILE PGSERVICE PGSERVICEFILE PGOPTIONS PGSSLMODE PGSSLCERT PGSSLKEY
    PGSSLROOTCERT PGTARGETSESSIONATTRS PGDATA PGCLIENTENCODING PGTZ
    PGDATESTYLE PGAPPNAME PGREQUIRESSL PGCONNECT_TIMEOUT);


# data, socket (directories), log (file), owner (user of the server when we
# are root), group (may reach the socket), workers (users that may be
# iot_worker), settings (hash for postgresql.conf)
sub new {
    my ($class, %o) = @_;

    return bless { settings => {}, workers => [], %o }, $class;
}


# the directory with initdb, postgres …; that of the existing cluster's version
sub bin {
    my ($self) = @_;

    return $self->{bin} if $self->{bin};

    my @found;
    my $version = read_file("$self->{data}/PG_VERSION");
    $version =~ s/\s+//g if defined $version;

    if ($ENV{IOT_PG_BIN}) {
        @found = ($ENV{IOT_PG_BIN});

    } else {
        @found = map { $_->[1] } sort { $b->[0] <=> $a->[0] }
            map { m{/(\d+)/bin$} && $1 >= 15 ? [$1, $_] : () }
            glob('/usr/lib/postgresql/*/bin');

        @found = grep { m{/\Q$version\E/bin$} } @found if defined $version;
    }

    for my $dir (@found) {
        return $self->{bin} = $dir if -x "$dir/postgres" && -x "$dir/initdb";
    }

    fail(EXIT_MISSING,
        defined $version
            ? "PostgreSQL $version, which made $self->{data}, is not installed."
            : 'PostgreSQL 15 or newer is not installed.',
        'Run "make deps", or apt-get install postgresql-15.');
}


sub exists {
    my ($self) = @_;

    return -f "$self->{data}/PG_VERSION";
}


sub create {
    my ($self) = @_;
    my $owner = $self->{owner};

    make_dir($self->{data}, 0700, $owner);

    # a half-made cluster has no PG_VERSION at its end
    must_run('initdb',
        [$self->bin . '/initdb', '-D', $self->{data}, '-U', 'postgres',
            '-E', 'UTF8', '--locale=C.UTF-8', '--auth=peer',
            $self->{fsync_off} ? '--no-sync' : ()],
        user => $owner, env => { map { $_ => undef } @libpq });
}


# Written at every start: the socket's directory or the user may have changed.
sub configure {
    my ($self) = @_;
    my ($text, $path);

    my %set = (
        listen_addresses           => "''",
        unix_socket_directories    => quote($self->{socket}),
        unix_socket_permissions    => '0777',
        max_connections            => 200,
        shared_buffers             => shared_buffers(),
        wal_compression            => 'on',
        max_wal_size               => '2GB',
        checkpoint_timeout         => '15min',
        random_page_cost           => '1.1',
        jit                        => 'off',
        timezone                   => "'UTC'",
        log_timezone               => "'UTC'",
        log_line_prefix            => "'%m [%p] %q%u@%d '",
        log_min_messages           => 'warning',
        log_checkpoints            => 'off',
        idle_in_transaction_session_timeout => "'60s'",
        %{$self->{settings}},
    );

    $text = "# Written by iotctl at every start; put your own settings into\n"
        . "# postgresql.auto.conf by ALTER SYSTEM.\n\n";
    $text .= "$_ = $set{$_}\n" for sort keys %set;

    $self->put('iot.conf', $text);

    $path = "$self->{data}/postgresql.conf";
    $text = read_file($path);

    if ($text !~ /^include 'iot\.conf'/m) {
        $text =~ s/\s*\z//;
        $self->put('postgresql.conf', "$text\n\ninclude 'iot.conf'\n");
    }

    $self->put('pg_hba.conf',
        "# Written by iotctl at every start.\n\n"
        . "local  all          all  peer map=iot\n"
        . "local  replication  all  peer map=iot\n");

    my $me = getpwuid($>);
    my %seen;

    $text = "# Written by iotctl at every start.\n\n"
        . "# map  system user  database role\n";

    for my $user (grep { defined && !$seen{$_}++ } $me, $self->{owner}) {
        $text .= sprintf("iot    \"%s\"  %s\n", $user, $_)
            for qw(postgres iot_owner iot_worker iot_helper);
    }

    for my $user (grep { defined && !$seen{$_}++ } @{$self->{workers}}) {
        $text .= sprintf("iot    \"%s\"  iot_worker\n", $user);
    }

    for my $user (grep { defined && !$seen{$_}++ } @{$self->{helpers} || []}) {
        $text .= sprintf("iot    \"%s\"  iot_helper\n", $user);
    }

    $self->put('pg_ident.conf', $text);
}


sub put {
    my ($self, $name, $text) = @_;
    my $path = "$self->{data}/$name";

    write_file($path, $text, 0600);
    give($path, $self->{owner});
}


sub shared_buffers {
    my $text = read_file('/proc/meminfo') || '';
    my $mb = $text =~ /^MemTotal:\s+(\d+)/m ? int($1 / 1024 / 8) : 128;

    $mb = 32 if $mb < 32;
    $mb = 1024 if $mb > 1024;

    return "${mb}MB";
}


sub start {
    my ($self) = @_;

    return 0 if $self->running;

    $self->bury;

    # the server is told to write its messages there before it drops ours
    if (!-e $self->{log}) {
        write_file($self->{log}, '', 0640);
    }

    give($self->{log}, $self->{owner});

    # the users of the helpers walk through it; who is who the server asks
    # the kernel
    make_dir($self->{socket}, 0751, $self->{owner}, $self->{group});
    $self->configure;

    my ($code, $out, $err) = run_program(
        [$self->bin . '/pg_ctl', '-D', $self->{data}, '-l', $self->{log},
            '-w', '-t', '120', '-s', 'start'],
        user => $self->{owner}, env => { map { $_ => undef } @libpq });

    return 1 if $code == 0;

    $err =~ s/\s+\z//;
    fail(EXIT_FAILED, 'PostgreSQL did not start:', "    $err",
        "The end of $self->{log}:", tail($self->{log}, 12));
}


# A postmaster that was killed may stay as a zombie where nobody inherits it,
# and the next one takes its number for a living server.  Its lock file may go
# when no process of it is left either.
sub bury {
    my ($self) = @_;
    my $path = "$self->{data}/postmaster.pid";
    my $text = read_file($path);

    return unless defined $text && $text =~ /^(\d+)\n/;

    my $pid = $1;
    my $real = Cwd::abs_path($self->{data});
    my $ours = sub {
        grep { (readlink($_) || '') eq $real } glob('/proc/[0-9]*/cwd')
    };

    wait_for(10, sub { !$ours->() && (!kill(0, $pid) || !alive($pid)) });

    return unless kill(0, $pid) && !alive($pid) && !$ours->();

    unlink($path);

    for my $lock (glob_socket($self->{socket})) {
        unlink($lock) if (read_file($lock) || '') =~ /^$pid\n/;
    }
}


sub glob_socket {
    my ($dir) = @_;

    opendir(my $handle, $dir) or return ();
    return map { "$dir/$_" } grep { /^\.s\.PGSQL\.\d+\.lock$/ }
        readdir($handle);
}


# fast: sessions are ended; immediate: as after a power cut
sub stop {
    my ($self, $mode) = @_;

    return 0 unless $self->running;

    must_run('pg_ctl stop',
        [$self->bin . '/pg_ctl', '-D', $self->{data}, '-w', '-t', '120', '-s',
            '-m', $mode || 'fast', 'stop'],
        user => $self->{owner}, env => { map { $_ => undef } @libpq });

    return 1;
}


# its postmaster's number, if it runs; the file may have outlived a power cut
sub running {
    my ($self) = @_;
    my $text = read_file("$self->{data}/postmaster.pid");

    return 0 unless defined $text && $text =~ /^(\d+)\n(.*)\n/;

    my ($pid, $data) = ($1, $2);
    return 0 unless alive($pid);

    my $cwd = readlink("/proc/$pid/cwd");
    my $real = Cwd::abs_path($self->{data});
    return 0 if defined $cwd && $real && $cwd ne $real;

    return $pid;
}


sub conninfo {
    my ($self, $user, $database) = @_;

    return 'host=' . quote_conninfo($self->{socket}) . ' user='
        . quote_conninfo($user) . ' dbname=' . quote_conninfo($database);
}


# a value of libpq's key=value strings
sub quote_conninfo {
    my ($text) = @_;

    return $text if $text =~ m{^[\w./-]+$};

    $text =~ s/([\\'])/\\$1/g;
    return "'$text'";
}


# a literal of SQL, also of postgresql.conf
sub quote {
    my ($text) = @_;

    return 'NULL' unless defined $text;
    die "a zero byte in SQL\n" if $text =~ /\0/;

    my $escape = $text =~ s/\\/\\\\/g ? 'E' : '';
    $text =~ s/'/''/g;
    return "$escape'$text'";
}


# Runs SQL (or a psql script) by psql.  Returns its unaligned output, one row
# a line; with check, returns (status, output, messages) instead of failing.
sub psql {
    my ($conninfo, $sql, %o) = @_;
    my $psql = find_program('psql')
        or fail(EXIT_MISSING, 'psql is not installed; run "make deps".');

    my %env = (PGOPTIONS => '-c client_min_messages=warning',
        PGCLIENTENCODING => 'UTF8', PGAPPNAME => 'iotctl',
        PGCONNECT_TIMEOUT => 10);

    if ($o{private}) {
        $env{$_} = undef
            for grep { !exists $env{$_} } @libpq;
    }

    my @result = run_program(
        [$psql, '-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1',
            '-F', "\t", '-P', 'pager=off', '-d', $conninfo, '-f', '-'],
        input => $sql, env => \%env);

    if ($o{check}) {
        return @result;
    }

    if ($result[0] != 0) {
        $result[2] =~ s/\s+\z//;
        $result[2] =~ s/^/    /mg;
        fail(EXIT_FAILED, ($o{what} || 'The database') . ' failed:',
            $result[2]);
    }

    $result[1] =~ s/\n\z//;
    return $result[1];
}


sub make_dir {
    my ($path, $mode, $owner, $group) = @_;

    if (!-d $path) {
        File::Path::make_path($path, { error => \my $errors });
        fail(EXIT_FAILED, "cannot make the directory $path: "
            . join(' ', map { values %$_ } @$errors)) unless -d $path;
    }

    give($path, $owner, $group);

    # a directory of somebody else, made before us in /tmp, is a trap
    my $uid = (stat($path))[4];
    my $want = am_root() && defined $owner ? getpwnam($owner) : $>;

    if ($uid != $want) {
        fail(EXIT_FAILED, "$path belongs to another user");
    }

    chmod($mode, $path) or fail(EXIT_FAILED, "cannot chmod $path: $!");
}


sub give {
    my ($path, $owner, $group) = @_;

    return unless am_root() && (defined $owner || defined $group);

    my $uid = defined $owner ? getpwnam($owner) : 0;
    my $gid = defined $group ? getgrnam($group)
        : defined $owner ? (getpwnam($owner))[3] : 0;

    fail(EXIT_MISSING, "there is no user $owner on this machine")
        unless defined $uid;
    fail(EXIT_MISSING, "there is no group $group on this machine")
        unless defined $gid;
    fail(EXIT_FAILED, "$path is a symbolic link") if -l $path;

    chown($uid, $gid, $path) or fail(EXIT_FAILED, "cannot chown $path: $!");
}


sub tail {
    my ($path, $lines, $from) = @_;
    my $text = read_file($path);

    return '    (no such file)' unless defined $text;

    $text = substr($text, $from) if $from && $from <= length($text);

    my @lines = split(/\n/, $text);
    splice(@lines, 0, @lines - $lines) if @lines > $lines;

    return @lines ? map { "    $_" } @lines : '    (empty)';
}


1;
