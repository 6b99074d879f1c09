package IotCtl::Instance;

# Copyright (C) the ngx_iot authors

# What belongs to one instance: its directory, its settings, its users.

use strict;
use warnings;

use Cwd ();
use Digest::SHA ();
use Fcntl qw(:flock);
use File::Basename qw(dirname basename);
use IotCtl::Migrate ();
use IotCtl::Postgres ();
use IotCtl::Run qw(say_line fail must_run read_file write_file am_root
    EXIT_FAILED EXIT_USAGE EXIT_EMPTY EXIT_MISSING);

# Remembered in $IOT_DIR/env by "iotctl init"; the environment wins.
our @settings = (
    [IOT_HTTP_PORT       => 8080],
    [IOT_HTTPS_PORT      => 8443],
    [IOT_MQTT_PORT       => 1883],
    [IOT_MQTTS_PORT      => 8883],
    [IOT_NATIVE_PORT     => 25200],
    [IOT_NATIVES_PORT    => 25202],
    [IOT_IOTMP_PORT      => 25204],
    [IOT_IOTMPS_PORT     => 25206],
    [IOT_LISTEN          => ''],
    [IOT_WORKERS         => 'auto'],
    [IOT_ZONE            => '16m'],
    [IOT_LOG_LEVEL       => 'notice'],
    [IOT_DATABASE        => ''],
    [IOT_WORKER_DATABASE => ''],
    [IOT_READ_DATABASE   => ''],
    [IOT_HELPER_DATABASE => ''],
    [IOT_HELPERS         => 1],
    [IOT_MODULE          => ''],
);

# longest path of a Unix socket, without the zero at its end
use constant SOCKET_PATH => 107;


# home: the checkout or /usr/share/ngx_iot
sub new {
    my ($class, $home) = @_;
    my $self = bless { home => $home }, $class;
    my $dir = $ENV{IOT_DIR};

    if (!defined $dir || $dir eq '') {
        $dir = -d "$home/ngx_iot_module" ? "$home/var" : '/var/lib/ngx_iot';
        $self->{default_dir} = 1;
    }

    $dir = Cwd::getcwd() . "/$dir" if $dir !~ m{^/};
    $dir =~ s{/+}{/}g;
    $dir =~ s{(?<=.)/\z}{};

    # what nginx's configuration and libpq would have to quote is refused
    if ($dir !~ m{^[\w/.,:+=@ -]+\z}) {
        fail(EXIT_USAGE, "IOT_DIR is \"$dir\": letters, digits, blanks and "
            . "any of /.,:+=\@_- are allowed.");
    }

    # other users follow the real path, not a link in a home closed to them
    $self->{dir} = -l $dir && -d $dir ? Cwd::abs_path($dir) : $dir;
    $self->load;

    return $self;
}


sub load {
    my ($self) = @_;
    my $text = read_file("$self->{dir}/env");
    my (%value, %port);

    if (!defined $text && -e "$self->{dir}/env") {
        fail(EXIT_FAILED, "$self->{dir}/env cannot be read: $!",
            'Use the user who made the instance.');
    }

    for my $line (split(/\n/, defined $text ? $text : '')) {
        $value{$1} = $2 if $line =~ /^(IOT_\w+)=(.*)$/;
    }

    for my $setting (@settings) {
        my ($name, $default) = @$setting;

        $value{$name} = $default unless defined $value{$name};
        $value{$name} = $ENV{$name}
            if defined $ENV{$name} && $ENV{$name} ne '';

        fail(EXIT_USAGE, "$name must be one line") if $value{$name} =~ /[\r\n]/;

        next unless $name =~ /_PORT$/;

        if ($value{$name} !~ /^[1-9]\d{0,4}\z/ || $value{$name} > 65535) {
            fail(EXIT_USAGE,
                "$name is \"$value{$name}\": a number from 1 to 65535 it is.");
        }

        if (my $other = $port{$value{$name}}) {
            fail(EXIT_USAGE, "$other and $name are both $value{$name}.");
        }

        $port{$value{$name}} = $name;
    }

    my %form = (
        IOT_WORKERS   => [qr/^(auto|[1-9]\d{0,2})\z/, '"auto" or a number'],
        IOT_HELPERS   => [qr/^\d{1,2}\z/, 'a number from 0 to 99'],
        IOT_ZONE      => [qr/^[1-9]\d{0,6}[km]?\z/, 'a size such as 16m'],
        IOT_LOG_LEVEL => [qr/^(debug|info|notice|warn|error|crit)\z/,
            'one of debug, info, notice, warn, error, crit'],
        IOT_LISTEN    => [qr/^([\d.]+|\[[\da-fA-F:]+\]|)\z/,
            'an address such as 127.0.0.1 or [::1]'],
    );

    for my $name (sort keys %form) {
        next if $value{$name} =~ $form{$name}[0];
        fail(EXIT_USAGE, "$name is \"$value{$name}\": $form{$name}[1] it is.");
    }

    $self->{value} = \%value;
}


sub value {
    my ($self, $name) = @_;

    return $self->{value}{$name};
}


sub save {
    my ($self) = @_;
    my $text = "# The settings of this instance.  Another value in the\n"
        . "# environment of iotctl wins.\n";

    $text .= "$_->[0]=$self->{value}{$_->[0]}\n" for @settings;

    # a connection string may hold a password
    write_file("$self->{dir}/env", $text, 0600);
}


sub dir {
    my ($self, $name) = @_;

    return defined $name ? "$self->{dir}/$name" : $self->{dir};
}


sub private {
    my ($self) = @_;

    return $self->{value}{IOT_DATABASE} eq '';
}


sub ready {
    my ($self) = @_;

    return -e $self->dir('state');
}


sub need_ready {
    my ($self) = @_;

    return if $self->ready;

    fail(EXIT_EMPTY, "There is no instance in $self->{dir} yet.",
        'Make one by "iotctl init", or name its directory by IOT_DIR.');
}


# the user of the workers and of the database server, when we are root
sub worker_user {
    return am_root() ? 'www-data' : undef;
}


# That of the helpers: it reads mail passwords, which the workers must not.  The
# system makes it when it is installed ("make install"); else it is made here.
sub helper_user {
    my $name = 'iot-helper';

    return undef unless am_root();
    return $name if getpwnam($name);

    must_run("Making the user $name", ['useradd', '--system', '--user-group',
        '--no-create-home', '--home-dir', '/nonexistent',
        '--shell', '/usr/sbin/nologin', $name]);

    return $name;
}


# Where the sockets of the helpers are, which nginx names in a URL: a short
# path without blanks and colons.
sub helper_dir {
    my ($self) = @_;
    my $dir = $self->dir('run/helper');

    return $dir if $dir =~ m{^[\w/.,+=\@-]+\z}
        && length("$dir/99.sock") <= SOCKET_PATH;

    return '/tmp/ngx_iot-'
        . substr(Digest::SHA::sha256_hex($self->{dir}), 0, 16) . '-helper';
}


sub database_user {
    return am_root() ? 'postgres' : undef;
}


sub socket {
    my ($self) = @_;
    my $dir = $self->dir('run/pg');

    return $dir if length("$dir/.s.PGSQL.5432") <= SOCKET_PATH;

    my $base = $ENV{XDG_RUNTIME_DIR};
    my $hash = substr(Digest::SHA::sha256_hex($self->{dir}), 0, 16);

    $base = '/tmp'
        if am_root() || !defined $base || !-d $base || length($base) > 60;

    return "$base/ngx_iot-$hash";
}


sub postgres {
    my ($self) = @_;

    return $self->{postgres} ||= IotCtl::Postgres->new(
        data    => $self->dir('pg'),
        socket  => $self->socket,
        log     => $self->dir('log/postgresql.log'),
        owner   => $self->database_user,
        group   => $self->worker_user,
        workers => [scalar(getpwuid($>)), $self->worker_user],
        helpers => [scalar(getpwuid($>)), $self->helper_user]);
}


# connection strings: of the superuser (private clusters), of the owner, of the
# workers, of the workers' reads
sub conninfo_super {
    my ($self) = @_;

    return $self->postgres->conninfo('postgres', $_[1] || 'postgres');
}


sub conninfo_owner {
    my ($self) = @_;

    return $self->private ? $self->postgres->conninfo('iot_owner', 'iot')
        : $self->{value}{IOT_DATABASE};
}


sub conninfo_worker {
    my ($self) = @_;
    my $text = $self->{value}{IOT_WORKER_DATABASE};

    return $text if $text ne '';
    return $self->private
        ? $self->postgres->conninfo('iot_worker', 'iot')
            . ' application_name=ngx_iot'
        : $self->{value}{IOT_DATABASE};
}


# of the helpers, who are members of iot_job
sub conninfo_helper {
    my ($self) = @_;
    my $text = $self->{value}{IOT_HELPER_DATABASE};

    return $text if $text ne '';
    return $self->private
        ? $self->postgres->conninfo('iot_helper', 'iot')
            . ' application_name=iot-helper'
        : $self->{value}{IOT_DATABASE};
}


# SQL as the owner of the database
sub sql {
    my ($self, $sql, %o) = @_;

    return IotCtl::Postgres::psql($self->conninfo_owner, $sql,
        private => $self->private, %o);
}


sub schema_state {
    my ($self) = @_;

    return IotCtl::Migrate::state($self->conninfo_owner, $self->sql_dir,
        private => $self->private);
}


sub sql_dir {
    return "$_[0]->{home}/sql";
}


# where the shared object is: said, beside the checkout, or installed
sub module {
    my ($self, $quiet) = @_;
    my $said = $self->{value}{IOT_MODULE};
    my @places = $said ne '' ? $said
        : ("$self->{home}/build/ngx_iot_module.so",
            '/usr/lib/nginx/modules/ngx_iot_module.so');

    for my $path (@places) {
        return Cwd::abs_path($path) if -f $path;
    }

    return undef if $quiet;

    fail(EXIT_MISSING, 'ngx_iot_module.so is not here:',
        (map { "    $_" } @places),
        'Run "make build", or name it by IOT_MODULE.');
}


# the small program that makes hashes and keys
sub secret_program {
    my ($self) = @_;

    for my $path ($ENV{IOT_SECRET} || (), "$self->{home}/build/iot-secret",
        '/usr/lib/ngx_iot/iot-secret')
    {
        return $path if -x $path && !-d _;
    }

    fail(EXIT_MISSING, 'iot-secret is not built; run "make build".');
}


# Only one command at a time changes an instance.
sub lock {
    my ($self) = @_;
    my $path = $self->dir('lock');

    # a failed command may still hold it when it clears up
    return if $self->{lock};

    open(my $fh, '>>', $path)
        or fail(EXIT_FAILED, "cannot write $path: $!",
            'Use the user who made the instance.');

    if (!flock($fh, LOCK_EX | LOCK_NB)) {
        say_line('Waiting for another iotctl on this instance …');
        flock($fh, LOCK_EX) or fail(EXIT_FAILED, "cannot lock $path: $!");
    }

    $self->{lock} = $fh;
}


sub unlock {
    my ($self) = @_;

    close(delete $self->{lock}) if $self->{lock};
}


# As root, the database server and the workers are other users, who must be
# able to walk down to their directories.  A checkout in a private home is not
# such a place: the default directory then becomes a link to one that is.
sub place {
    my ($self) = @_;
    my $dir = $self->{dir};
    my $there = $dir;

    # what does not exist yet will be made open enough
    $there = dirname($there) until -e $there;

    return if !am_root() || reachable($there) && !-l $dir;

    if (!$self->{default_dir} || -e $dir) {
        fail(EXIT_USAGE, "$dir cannot be reached by the users postgres and "
            . 'www-data:', '    a directory above it is closed to others.',
            'Choose another place by IOT_DIR, for example '
            . '/var/lib/ngx_iot/' . basename(dirname($dir)) . '.');
    }

    my $place = '/var/lib/ngx_iot/'
        . substr(Digest::SHA::sha256_hex($dir), 0, 12);

    IotCtl::Postgres::make_dir($place, 0755);
    unlink($dir) if -l $dir;
    symlink($place, $dir)
        or fail(EXIT_FAILED, "cannot link $dir to $place: $!");

    $self->{dir} = $place;
    say_line("$dir is closed to the users postgres and www-data,");
    say_line("    so it is a link to $place");
}


sub reachable {
    my ($dir) = @_;
    my $path = Cwd::abs_path($dir);

    while (defined $path) {
        return 0 unless ((stat($path))[2] || 0) & 0001;
        return 1 if $path eq '/';
        $path = dirname($path);
    }

    return 0;
}


sub make_dirs {
    my ($self) = @_;
    my $group = $self->worker_user;

    $self->place;

    # walked through, not listed, by the users of the server and the workers
    IotCtl::Postgres::make_dir($self->dir, 0755);
    IotCtl::Postgres::make_dir($self->dir($_), 0755)
        for qw(conf main.d iot.d http.d server.d stream.d mail);
    IotCtl::Postgres::make_dir($self->dir($_), 0711) for qw(run log tmp);
    IotCtl::Postgres::make_dir($self->dir('tls'), 0700);
}


1;
