package IotCtl::Migrate;

# Copyright (C) the ngx_iot authors

# Brings a database to the schema of sql/: numbered migrations once, in order,
# each in its transaction; then all functions again, in one transaction.

use strict;
use warnings;

use Digest::SHA ();
use IotCtl::Postgres ();
use IotCtl::Run qw(fail read_file EXIT_FAILED EXIT_MISSING);


# [{ version, name, path }] in order; two of one number are an error
sub migrations {
    my ($sql) = @_;
    my (@list, %seen);

    for my $path (sort glob("$sql/migrations/*.sql")) {
        $path =~ m{/(\d{4,})_([A-Za-z0-9_]+)\.sql$}
            or fail(EXIT_FAILED, "$path: a migration is named NNNN_name.sql");

        my ($version, $name) = ($1 + 0, $2);

        fail(EXIT_FAILED, "$path: number $version is used twice")
            if $seen{$version}++;

        push @list, { version => $version, name => $name, path => $path };
    }

    fail(EXIT_MISSING, "no migrations in $sql/migrations") unless @list;

    return [sort { $a->{version} <=> $b->{version} } @list];
}


# the files that are replaced at each upgrade: the domain, then the dialects
sub functions {
    my ($sql) = @_;

    return [(sort glob("$sql/domain/*.sql")),
        (sort glob("$sql/dialect/*/*.sql"))];
}


# changes with any byte of sql/
sub digest {
    my ($sql) = @_;
    my $sha = Digest::SHA->new(256);

    for my $path ((map { $_->{path} } @{migrations($sql)}),
        @{functions($sql)})
    {
        my $text = read_file($path);
        fail(EXIT_FAILED, "cannot read $path: $!") unless defined $text;
        $sha->add(substr($path, length($sql)), "\0", length($text), "\0",
            $text);
    }

    return substr($sha->hexdigest, 0, 32);
}


# One session, so that an advisory lock keeps two nodes from migrating at once;
# what is pending is decided under the lock.
sub script {
    my ($sql) = @_;
    my $text = <<'EOS';
SET client_min_messages = warning;
SELECT pg_advisory_lock(7165, 1) \g /dev/null
SELECT to_regclass('iot.migration') IS NULL AS fresh \gset
EOS

    for my $m (@{migrations($sql)}) {
        my $path = IotCtl::Postgres::quote($m->{path});
        my $label = sprintf('%04d_%s', $m->{version}, $m->{name});

        $text .= <<"EOS";
\\if :fresh
\\set pending true
\\else
SELECT NOT EXISTS (SELECT FROM iot.migration WHERE version = $m->{version})
    AS pending \\gset
\\endif
\\if :pending
BEGIN;
\\i $path
INSERT INTO iot.migration (version, name)
    SELECT $m->{version}, '$m->{name}'
    WHERE NOT EXISTS (SELECT FROM iot.migration
                      WHERE version = $m->{version});
COMMIT;
\\set fresh false
\\echo migration $label
\\endif
EOS
    }

    $text .= "BEGIN;\nSET LOCAL check_function_bodies = off;\n";

    for my $path (@{functions($sql)}) {
        $text .= '\i ' . IotCtl::Postgres::quote($path) . "\n";
    }

    # where "status" and "doctor" see that the functions are of this release
    $text .= 'COMMENT ON SCHEMA iot IS '
        . IotCtl::Postgres::quote('ngx_iot ' . digest($sql)) . ";\n";
    $text .= "COMMIT;\n\\echo functions " . scalar(@{functions($sql)}) . "\n";
    $text .= "SELECT pg_advisory_unlock(7165, 1) \\g /dev/null\n";

    return $text;
}


# lines of what was done
sub migrate {
    my ($conninfo, $sql, %o) = @_;

    my $out = IotCtl::Postgres::psql($conninfo, script($sql), %o,
        what => 'The migration');

    # without what the scripts themselves may print
    return grep { /^(?:migration|functions) \w+$/ } split(/\n/, $out);
}


# { reachable, error, schema (0|1), pending => [names], stale => 0|1 }
sub state {
    my ($conninfo, $sql, %o) = @_;
    my %state = (reachable => 0, schema => 0, pending => [], stale => 0);

    my ($code, $out, $err) = IotCtl::Postgres::psql($conninfo, <<'EOS',
SELECT to_regclass('iot.migration') IS NOT NULL AS there \gset
\echo there :there
\if :there
SELECT 'version ' || version FROM iot.migration;
SELECT 'digest ' || coalesce(obj_description('iot'::regnamespace), '');
\endif
EOS
        %o, check => 1);

    if ($code != 0) {
        $err =~ s/^psql: (error: )?//;
        $err =~ s/\s+\z//;
        return { %state, error => $err };
    }

    my %done = map { $_ => 1 } $out =~ /^version (\d+)$/mg;
    my $digest = digest($sql);

    $state{reachable} = 1;
    $state{schema} = $out =~ /^there t$/m ? 1 : 0;
    $state{pending} = [map { sprintf('%04d_%s', $_->{version}, $_->{name}) }
        grep { !$done{$_->{version}} } @{migrations($sql)}];
    $state{stale} = $out =~ /^digest ngx_iot \Q$digest\E$/m ? 0 : 1;

    my %known = map { $_->{version} => 1 } @{migrations($sql)};
    $state{newer} = [sort { $a <=> $b } grep { !$known{$_} } keys %done];

    return \%state;
}


1;
