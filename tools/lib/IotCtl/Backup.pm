package IotCtl::Backup;

# Copyright (C) the ngx_iot authors

# One file with everything that an instance cannot make again: the database,
# the key, the certificate, the settings and people's own snippets.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use File::Path ();
use IotCtl::Migrate ();
use IotCtl::Nginx ();
use IotCtl::Postgres ();
use IotCtl::Setup ();
use IotCtl::Run qw(say_line fail run_program must_run find_program read_file
    write_file EXIT_FAILED EXIT_USAGE EXIT_MISSING);

use constant FORMAT => 1;

our @kept = qw(secret.key helper.key helper.pub credentials env tls main.d
    iot.d http.d server.d stream.d mail);


sub absolute {
    my ($path) = @_;

    return $path =~ m{^/} ? $path : Cwd::getcwd() . "/$path";
}


# a program of PostgreSQL of the server's version, or of the path
sub tool {
    my ($instance, $name) = @_;

    return $instance->postgres->bin . "/$name" if $instance->private;

    return find_program($name)
        || fail(EXIT_MISSING, "$name is not installed; run \"make deps\".");
}


sub backup {
    my ($instance, $file) = @_;
    my $old = umask(0077);
    my $stage = $instance->dir("tmp/backup.$$");
    my $new;

    $instance->need_ready;
    $file = absolute($file);
    $new = "$file.new.$$";

    fail(EXIT_USAGE, "$file is a directory") if -d $file;
    fail(EXIT_USAGE, 'There is no directory ' . dirname($file))
        unless -d dirname($file);

    $instance->lock;

    my $started = $instance->private && $instance->postgres->start;

    my $done = eval {
        File::Path::make_path($stage);

        my $conninfo = $instance->private
            ? $instance->conninfo_super('iot') : $instance->conninfo_owner;

        must_run('pg_dump', [tool($instance, 'pg_dump'), '-Fc', '-Z', '6',
            '-f', "$stage/database.dump", '-d', $conninfo],
            env => environment($instance));

        write_file("$stage/manifest", 'format=' . FORMAT . "\n"
            . 'made=' . time() . "\n"
            . 'schema=' . IotCtl::Migrate::digest($instance->sql_dir) . "\n",
            0600);

        my @have = grep { -e $instance->dir($_) } @kept;

        must_run('tar', ['tar', '-cf', $new, '--owner=0', '--group=0',
            '-C', $stage, 'manifest', 'database.dump', '-C', $instance->dir,
            @have]);

        rename($new, $file) or fail(EXIT_FAILED, "cannot write $file: $!");
        1;
    };

    my $error = $@;

    File::Path::remove_tree($stage);
    unlink($new);
    umask($old);
    $instance->postgres->stop if $started;
    $instance->unlock;

    die $error unless $done;

    say_line("Backup:       $file (" . int(((-s $file) + 1023) / 1024)
        . ' kB); it holds the secret key: keep it as you keep passwords');
}


sub environment {
    my ($instance) = @_;

    return { PGAPPNAME => 'iotctl' } unless $instance->private;
    return { map { $_ => undef } @IotCtl::Postgres::libpq };
}


# Into an instance that does not exist yet; nothing is ever overwritten.
sub restore {
    my ($instance, $file) = @_;
    my $dir = $instance->dir;
    my $old = umask(0077);

    $file = absolute($file);
    fail(EXIT_USAGE, "cannot read $file") unless -f $file && -r _;

    if ($instance->ready || -e "$dir/pg/PG_VERSION" || -e "$dir/secret.key") {
        fail(EXIT_USAGE, "$dir holds an instance already.",
            'A backup is restored into an empty directory: name it by '
            . 'IOT_DIR.');
    }

    check($file);
    umask(0022);
    $instance->make_dirs;
    $instance->lock;

    my $stage = $instance->dir("tmp/restore.$$");
    umask(0077);

    my $done = eval {
        File::Path::make_path($stage);
        must_run('tar', ['tar', '-xf', $file, '--no-same-owner',
            '--no-same-permissions', '-C', $stage]);
        unpack_stage($instance, $stage);
        load_database($instance, $stage);
        1;
    };

    my $error = $@;
    File::Path::remove_tree($stage);
    umask($old);

    if (!$done) {
        $instance->unlock;
        die $error;
    }

    # functions and migrations of this release, which may be newer
    IotCtl::Setup::helper_key($instance);
    IotCtl::Setup::migrate($instance);
    IotCtl::Nginx::render($instance);
    write_file($instance->dir('state'), 'initialised=' . time() . "\n");
    $instance->unlock;

    say_line("Restored:     $dir; start it by \"iotctl start\"");
}


# what the archive holds is looked at before one byte of it is unpacked
sub check {
    my ($file) = @_;
    my $list = must_run('Reading the backup', ['tar', '-tvf', $file]);
    my %seen;

    for my $line (split(/\n/, $list)) {
        my ($type, $name) = $line =~
            /^(.)\S+\s+\S+\s+\d+\s+\S+\s+\S+\s+(.*?)(?: -> .*)?$/
            or fail(EXIT_FAILED, "$file: an unknown entry: $line");

        if ($type !~ /^[-d]$/ || $name =~ m{^/|(?:^|/)\.\.(?:/|$)}) {
            fail(EXIT_FAILED, "$file: the entry \"$name\" is not one of "
                . 'ours; nothing was restored.');
        }

        $seen{(split(m{/}, $name))[0]} = 1;
    }

    my %known = map { $_ => 1 } @kept, 'manifest', 'database.dump';

    for my $name (sort keys %seen) {
        fail(EXIT_FAILED, "$file: unknown entry \"$name\"; nothing was "
            . 'restored.') unless $known{$name};
    }

    for my $name ('manifest', 'database.dump', 'secret.key') {
        fail(EXIT_FAILED, "$file has no $name: it is no backup of iotctl.")
            unless $seen{$name};
    }

    my $manifest = must_run('Reading the backup',
        ['tar', '-xOf', $file, 'manifest']);
    my ($format) = $manifest =~ /^format=(\d+)$/m;

    fail(EXIT_FAILED, "$file: its format is unknown to this release.")
        unless defined $format && $format == FORMAT;
}


sub unpack_stage {
    my ($instance, $stage) = @_;

    for my $name (@kept) {
        next unless -e "$stage/$name";

        my $to = $instance->dir($name);
        rmdir($to) if -d $to;
        rename("$stage/$name", $to)
            or fail(EXIT_FAILED, "cannot move $name to $to: $!");
        chmod(-d $to ? ($name eq 'tls' ? 0700 : 0755) : 0600, $to);
    }

    # ports and the like of the backup, unless the environment says otherwise
    $instance->load;
    delete $instance->{postgres};
    umask(0022);
    $instance->make_dirs;
    $instance->save;
    umask(0077);
}


sub load_database {
    my ($instance, $stage) = @_;
    my $conninfo;

    IotCtl::Setup::database($instance);

    if ($instance->private) {
        $conninfo = $instance->conninfo_super('iot');

    } else {
        $conninfo = $instance->conninfo_owner;

        my $state = $instance->schema_state;
        fail(EXIT_FAILED, 'The database of IOT_DATABASE is not empty: it has '
            . 'the schema "iot".') if $state->{schema};
    }

    must_run('pg_restore', [tool($instance, 'pg_restore'), '-1', '-e',
        $instance->private ? () : ('--no-owner'), '-d', $conninfo,
        "$stage/database.dump"], env => environment($instance));
}


1;
