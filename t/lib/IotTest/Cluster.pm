package IotTest::Cluster;

# Copyright (C) the ngx_iot authors

# PostgreSQL for tests.  One cluster serves all test files of a checkout, also
# those that run in parallel; the first that needs it starts it, and a watchdog
# stops it when nobody has used it for a while.  In it, one database is made
# per state of sql/ and copied for each test.

use strict;
use warnings;

use Cwd ();
use Digest::SHA ();
use Fcntl qw(:flock);
use File::Basename qw(dirname);
use File::Path ();
use POSIX ();
use IotCtl::Migrate ();
use IotCtl::Postgres ();
use IotCtl::Run qw(am_root);
use IotCtl::Setup ();

our $top = dirname(dirname(dirname(dirname(Cwd::abs_path(__FILE__)))));

# seconds of idleness after which the shared cluster is stopped
use constant IDLE => 30;

# The passwords are "sysadmin-password" and so on; argon2id takes its time, so
# that it was done once.
our %account = (
    SYSADMIN_EMAIL    => 'sysadmin@iot.test',
    SYSADMIN_PASSWORD => 'sysadmin-password',
    TENANT_EMAIL      => 'tenant@iot.test',
    TENANT_PASSWORD   => 'tenant-password',
    CUSTOMER_EMAIL    => 'customer@iot.test',
    CUSTOMER_PASSWORD => 'customer-password',
    DEVICE_TOKEN      => 'TestDeviceToken00001',
);

our %hash = (
    SYSADMIN => '$argon2id$v=19$m=65536,t=2,p=1$c7QuM5/FI0IX/Q8S3/IzhA'
        . '$t9e2IxZ1dq64yOBM7H5eS/ttnAbOlOhx7aZaUibf0rY',
    TENANT   => '$argon2id$v=19$m=65536,t=2,p=1$/6BOMqMIfmFgcJf8ogRoaA'
        . '$qlOKoPHC6ZLfnr7mUgWx+rpVWrmbpKc1MWW0pkJ48vA',
    CUSTOMER => '$argon2id$v=19$m=65536,t=2,p=1$L1l55JkWBGyttNexp7BhiA'
        . '$3Z3kesCxlVAXe/QZPrC5THY6b69bxdU6oeOgFEoq/RA',
);

my $shared;
my $counter = 0;


sub worker_user {
    return am_root() ? 'www-data' : undef;
}


sub server {
    my ($dir, %o) = @_;

    my %fast = (fsync => 'off', synchronous_commit => 'off',
        full_page_writes => 'off', autovacuum_naptime => '10min',
        checkpoint_timeout => '1h', max_wal_size => '4GB');

    return IotCtl::Postgres->new(
        data      => "$dir/pg",
        socket    => "$dir/sock",
        log       => "$dir/postgresql.log",
        owner     => am_root() ? 'postgres' : undef,
        group     => worker_user(),
        workers   => [scalar(getpwuid($>)), worker_user()],
        fsync_off => 1,
        settings  => { max_connections => 400, shared_buffers => '128MB',
            ($o{fsync} ? () : %fast), %{$o{settings} || {}} });
}


sub root {
    my $hash = substr(Digest::SHA::sha256_hex("$> $top"), 0, 10);

    return "/tmp/ngx_iot-t-$hash";
}


# the cluster of all; started if need be
sub shared {
    return $shared if $shared;

    my $dir = root();
    my $self = bless { dir => $dir }, __PACKAGE__;

    IotCtl::Postgres::make_dir($dir, 0755);

    # held, shared, until this test ends: the watchdog wants it exclusively
    open($self->{users}, '>>', "$dir/users") or die "$dir/users: $!";
    flock($self->{users}, LOCK_SH) or die "$dir/users: $!";

    my $lock = $self->lock;

    $self->{postgres} = server($dir);

    if (!$self->{postgres}->running) {
        $self->begin;
    }

    watch($dir);

    return $shared = $self;
}


sub lock {
    my ($self) = @_;

    open(my $fh, '>>', "$self->{dir}/lock") or die "$self->{dir}/lock: $!";
    flock($fh, LOCK_EX) or die "$self->{dir}/lock: $!";

    return $fh;
}


sub begin {
    my ($self) = @_;
    my $postgres = $self->{postgres};
    my $stamp = $postgres->exists && eval { $postgres->start; 1 };

    # without fsync, a power cut may have left rubbish
    if (!$stamp) {
        File::Path::remove_tree("$self->{dir}/pg");
        $postgres->create;
        $postgres->start;
    }

    # left behind by tests that were killed, or by earlier states of sql/
    my $keep = IotCtl::Migrate::digest("$top/sql");

    for my $name (split(/\n/, $self->psql(<<'EOS'))) {
SELECT datname FROM pg_database WHERE datname LIKE 'iot\_%';
EOS
        next if $name =~ /^iot_(tmpl|seed)_\Q$keep\E$/;
        $self->psql("ALTER DATABASE \"$name\" IS_TEMPLATE false;\n"
            . "DROP DATABASE \"$name\" WITH (FORCE);\n");
    }
}


# A program of its own, so that no END block of a test runs in it.
sub watch {
    my ($dir) = @_;
    my $pid = fork();

    die "fork: $!" unless defined $pid;

    if ($pid == 0) {
        open(STDIN, '<', '/dev/null');
        open(STDOUT, '>', '/dev/null');
        open(STDERR, '>', '/dev/null');
        POSIX::setsid();

        my $child = fork();
        POSIX::_exit(0) if !defined $child || $child;

        exec($^X, "-I$top/t/lib", "-I$top/tools/lib", '-MIotTest::Cluster',
            '-e', 'IotTest::Cluster::watchdog(@ARGV)', $dir)
            or POSIX::_exit(1);
    }

    waitpid($pid, 0);
}


sub watchdog {
    my ($dir) = @_;
    my $idle = 0;

    open(my $watch, '>>', "$dir/watch") or return;
    flock($watch, LOCK_EX | LOCK_NB) or return;

    while ($idle < IDLE) {
        sleep(1);
        return unless -d $dir;

        open(my $users, '>>', "$dir/users") or return;
        $idle = flock($users, LOCK_EX | LOCK_NB) ? $idle + 1 : 0;
    }

    open(my $lock, '>>', "$dir/lock") or return;
    flock($lock, LOCK_EX) or return;
    open(my $users, '>>', "$dir/users") or return;

    if (!flock($users, LOCK_EX | LOCK_NB)) {
        close($lock);
        close($watch);
        return watchdog($dir);
    }

    server($dir)->stop('fast');

    # of a checkout that is gone, nothing stays
    File::Path::remove_tree($dir) unless -d "$top/t";
}


# a cluster of a single test, which may stop and crash it
sub own {
    my ($class, $dir, %o) = @_;
    my $self = bless { dir => $dir, own => 1 }, $class;

    $self->{postgres} = server($dir, %o);
    $self->{postgres}->create;
    $self->{postgres}->start;

    return $self;
}


sub psql {
    my ($self, $sql, $database, $user) = @_;

    return IotCtl::Postgres::psql(
        $self->conninfo($database || 'postgres', $user || 'postgres'), $sql,
        private => 1, what => 'SQL of the test library');
}


sub conninfo {
    my ($self, $database, $user) = @_;

    return $self->{postgres}->conninfo($user, $database);
}


# Copies a database: migrated (tmpl) or with the first accounts too (seed).
# Returns its name and the identifiers that the seeds got.
sub database {
    my ($self, $kind) = @_;
    my $name = $self->{own} ? 'iot' : "iot_t_$$" . '_' . ++$counter;
    my $from;

    if ($self->{own}) {
        $self->fill($name);
        my $ids = $kind eq 'seed' ? $self->seeds($name) : {};
        return ($name, $ids);
    }

    my $lock = $self->lock;
    $from = $self->template($kind);
    close($lock);

    $self->psql(<<"EOS");
DROP DATABASE IF EXISTS "$name";
CREATE DATABASE "$name" OWNER iot_owner TEMPLATE "$from";
REVOKE ALL ON DATABASE "$name" FROM PUBLIC;
GRANT CONNECT ON DATABASE "$name" TO iot_worker, iot_app,
    iot_helper, iot_job;
EOS

    return ($name, $kind eq 'seed' ? $self->remembered($from) : {});
}


sub drop {
    my ($self, $name) = @_;

    $self->psql("DROP DATABASE IF EXISTS \"$name\" WITH (FORCE);\n");
}


sub template {
    my ($self, $kind) = @_;
    my $name = "iot_${kind}_" . IotCtl::Migrate::digest("$top/sql");

    # marked at the very end, so that a half-made one is made again
    return $name if $self->psql("SELECT datistemplate FROM pg_database "
        . "WHERE datname = '$name';\n") eq 't';

    $self->psql("DROP DATABASE IF EXISTS \"$name\" WITH (FORCE);\n");

    if ($kind eq 'tmpl') {
        $self->fill($name);

    } else {
        my $from = $self->template('tmpl');

        $self->psql("CREATE DATABASE \"$name\" OWNER iot_owner "
            . "TEMPLATE \"$from\";\n");

        my $ids = $self->seeds($name);
        my $text = join(' ', map { "$_=$ids->{$_}" } sort keys %$ids);

        $self->psql("COMMENT ON DATABASE \"$name\" IS '$text';\n");
    }

    $self->psql("ALTER DATABASE \"$name\" IS_TEMPLATE true;\n");

    return $name;
}


sub fill {
    my ($self, $name) = @_;

    IotCtl::Setup::roles($self->{postgres}, $name);
    IotCtl::Migrate::migrate($self->conninfo($name, 'iot_owner'), "$top/sql",
        private => 1);
    $self->psql("CREATE EXTENSION IF NOT EXISTS pgtap;\n"
        . "CREATE EXTENSION IF NOT EXISTS plpgsql_check;\n", $name);
}


sub seeds {
    my ($self, $name) = @_;

    return IotCtl::Setup::seed(sub { $self->psql($_[0], $name, 'iot_owner') },
        \%account, \%hash);
}


sub remembered {
    my ($self, $name) = @_;
    my $text = $self->psql("SELECT shobj_description(oid, 'pg_database') "
        . "FROM pg_database WHERE datname = '$name';\n");

    return { $text =~ /(\w+)=(\S+)/g };
}


1;
