package IotCtl::Setup;

# Copyright (C) the ngx_iot authors

# Makes an instance.  Every step looks at what is there already, so that an
# interrupted "iotctl init" is completed by the next one.

use strict;
use warnings;

use MIME::Base64 ();
use Sys::Hostname ();
use IotCtl::Migrate ();
use IotCtl::Nginx ();
use IotCtl::Postgres ();
use IotCtl::Run qw(say_line fail run_program must_run find_program read_file
    write_file EXIT_FAILED EXIT_MISSING);

our %account = (
    SYSADMIN_EMAIL => 'sysadmin@example.org',
    TENANT_EMAIL   => 'tenant@example.org',
    CUSTOMER_EMAIL => 'customer@example.org',
);

our %name = (tenant => 'Demo', customer => 'Demo customer',
    device => 'Demo device');


sub init {
    my ($instance, $demo) = @_;
    my $again = $instance->ready;

    $instance->make_dirs;
    $instance->lock;

    key($instance);
    helper_key($instance);
    certificate($instance);
    database($instance);

    # not before: a database that is not there is not worth remembering
    $instance->save;

    migrate($instance);
    accounts($instance) unless $again;
    demo($instance) if $demo;

    IotCtl::Nginx::render($instance);

    if (!$again) {
        write_file($instance->dir('state'), 'initialised=' . time() . "\n");
    }

    $instance->unlock;

    return !$again;
}


# Signs tokens, and seals what the database must not be able to read by itself.
sub key {
    my ($instance) = @_;
    my $path = $instance->dir('secret.key');

    return if -s $path;

    write_file($path, random_key(), 0600);
    say_line("Key file:     $path");
}


# The key of the helpers, and its public half for the workers, who seal with it
# what they cannot open again.
sub helper_key {
    my ($instance) = @_;
    my $path = $instance->dir('helper.key');
    my $public = $instance->dir('helper.pub');

    if (!-s $path) {
        write_file($path, random_key(), 0600);
        unlink($public);
        say_line("Helper's key: $path");
    }

    IotCtl::Postgres::give($path, $instance->helper_user);

    return if -s $public;

    write_file($public, must_run('Making the public half of the key',
        [$instance->secret_program, 'public'], input => read_file($path)),
        0644);
}


sub random_key {
    my $key = '';

    open(my $fh, '<:raw', '/dev/urandom')
        or fail(EXIT_FAILED, "cannot open /dev/urandom: $!");

    while (length($key) < 32) {
        sysread($fh, $key, 32 - length($key), length($key))
            or fail(EXIT_FAILED, "cannot read /dev/urandom: $!");
    }

    return MIME::Base64::encode_base64($key);
}


# Self-signed, so that TLS works from the first minute; replace the two files.
sub certificate {
    my ($instance) = @_;
    my $dir = $instance->dir('tls');
    my $openssl = find_program('openssl')
        or fail(EXIT_MISSING, 'openssl is not installed; run "make deps".');

    return if -s "$dir/server.crt" && -s "$dir/server.key";

    my $host = Sys::Hostname::hostname();
    $host = 'localhost' unless defined $host && $host =~ /^[A-Za-z0-9.-]+\z/;

    my $names = join(',', map { "DNS:$_" }
        $host eq 'localhost' ? 'localhost' : ('localhost', $host));

    must_run('openssl', [$openssl, 'req', '-x509', '-newkey', 'ec', '-pkeyopt',
        'ec_paramgen_curve:prime256v1', '-sha256', '-days', '825', '-nodes',
        '-subj', '/CN=' . substr($host, 0, 64), '-addext',
        "subjectAltName=$names,IP:127.0.0.1,IP:::1", '-keyout',
        "$dir/server.key.new", '-out', "$dir/server.crt.new"]);

    chmod(0600, "$dir/server.key.new");
    chmod(0644, "$dir/server.crt.new");

    # the key last: init begins anew unless both are there
    for my $file ('server.crt', 'server.key') {
        rename("$dir/$file.new", "$dir/$file")
            or fail(EXIT_FAILED, "cannot rename $dir/$file.new: $!");
    }

    say_line("Certificate:  $dir/server.crt (self-signed)");
}


# the cluster, its roles, its database; of another's database only the answer
sub database {
    my ($instance) = @_;

    if (!$instance->private) {
        my $state = $instance->schema_state;
        return if $state->{reachable};

        fail(EXIT_FAILED, 'The database of IOT_DATABASE does not answer:',
            "    $state->{error}");
    }

    my $postgres = $instance->postgres;

    if (!$postgres->exists) {
        say_line('Database:     making a cluster in ' . $instance->dir('pg'));
        $postgres->create;
    }

    if ($instance->socket ne $instance->dir('run/pg')) {
        say_line('Socket:       in ' . $instance->socket
            . ', since the path of the instance is long');
    }

    $postgres->start;
    roles($postgres, 'iot');
}


# The owner may make roles (the migrations need one) but is no superuser.
sub roles {
    my ($postgres, $database) = @_;
    my $literal = IotCtl::Postgres::quote($database);

    IotCtl::Postgres::psql($postgres->conninfo('postgres', 'postgres'),
        <<"EOS", private => 1, what => 'Making roles and the database');
SELECT pg_advisory_lock(7165, 2) \\g /dev/null
SELECT NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'iot_owner')
    AS missing \\gset
\\if :missing
CREATE ROLE iot_owner LOGIN CREATEROLE NOSUPERUSER;
\\endif
SELECT NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'iot_app')
    AS missing \\gset
\\if :missing
CREATE ROLE iot_app NOLOGIN NOBYPASSRLS;
\\endif
SELECT NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'iot_worker')
    AS missing \\gset
\\if :missing
CREATE ROLE iot_worker LOGIN NOBYPASSRLS NOSUPERUSER;
\\endif
GRANT iot_app TO iot_worker;
SELECT NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'iot_job')
    AS missing \\gset
\\if :missing
CREATE ROLE iot_job NOLOGIN NOBYPASSRLS;
\\endif
SELECT NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'iot_helper')
    AS missing \\gset
\\if :missing
CREATE ROLE iot_helper LOGIN NOBYPASSRLS NOSUPERUSER;
\\endif
GRANT iot_job TO iot_helper;
SELECT NOT EXISTS (SELECT FROM pg_database WHERE datname = $literal)
    AS missing \\gset
\\if :missing
CREATE DATABASE "$database" OWNER iot_owner ENCODING 'UTF8'
    LC_COLLATE 'C.UTF-8' LC_CTYPE 'C.UTF-8' TEMPLATE template0;
\\endif
REVOKE ALL ON DATABASE "$database" FROM PUBLIC;
GRANT CONNECT ON DATABASE "$database" TO iot_worker, iot_app,
    iot_helper, iot_job;
EOS
}


# runs nothing when the schema is that of this release, unless forced
sub migrate {
    my ($instance, $force) = @_;
    my $state = $instance->schema_state;

    if (!$state->{reachable}) {
        fail(EXIT_FAILED, 'The database does not answer:',
            "    $state->{error}");
    }

    if (my @newer = @{$state->{newer} || []}) {
        fail(EXIT_FAILED, 'The schema is newer than this release: it has '
            . "migration $newer[-1],", 'which is unknown here.  Use the '
            . 'release that made it.');
    }

    return if !$force && $state->{schema} && !@{$state->{pending}}
        && !$state->{stale};

    my @done = IotCtl::Migrate::migrate($instance->conninfo_owner,
        $instance->sql_dir, private => $instance->private);

    say_line('Schema:       ' . join(', ', @done));
}


# Written before the database gets the hashes: a repeated init reads the same
# passwords back, so that they cannot be lost halfway.
sub accounts {
    my ($instance) = @_;
    my $path = $instance->dir('credentials');
    my %have = credentials($instance);
    my $program = $instance->secret_program;

    $have{$_} ||= $account{$_} for keys %account;

    for my $name (qw(SYSADMIN_PASSWORD TENANT_PASSWORD CUSTOMER_PASSWORD
        DEVICE_TOKEN))
    {
        next if defined $have{$name} && $have{$name} ne '';

        my $out = must_run('iot-secret', [$program, 'token', 20]);
        ($have{$name}) = $out =~ /^(\w{20})$/m
            or fail(EXIT_FAILED, 'iot-secret printed no token');
    }

    save_credentials($path, %have);

    my %hash;

    for my $who (qw(SYSADMIN TENANT CUSTOMER)) {
        my $out = must_run('iot-secret', [$program, 'hash'],
            input => $have{"${who}_PASSWORD"} . "\n");
        ($hash{$who}) = $out =~ /^(\$argon2id\$\S+)$/m
            or fail(EXIT_FAILED, 'iot-secret printed no hash');
    }

    my $ids = seed(sub { $instance->sql($_[0], what => 'Making accounts') },
        \%have, \%hash);

    save_credentials($path, %have, %$ids);
    say_line("Credentials:  $path");
}


# The first accounts and the demo device; completes what is missing, never
# changes what exists.  run is a function that takes SQL and returns rows.
sub seed {
    my ($run, $have, $hash) = @_;
    my $q = \&IotCtl::Postgres::quote;

    my $system = join(', ', $q->($have->{SYSADMIN_EMAIL}),
        $q->($hash->{SYSADMIN}));

    my $demo = join(', ', map { $q->($_) } $name{tenant},
        $have->{TENANT_EMAIL}, $hash->{TENANT}, $name{customer},
        $have->{CUSTOMER_EMAIL}, $hash->{CUSTOMER}, $name{device},
        $have->{DEVICE_TOKEN});

    my $out = $run->(<<"EOS");
BEGIN;
SELECT iot.init_system($system) \\g /dev/null
SELECT d ->> 'tenantId', d ->> 'customerId', d ->> 'deviceId'
FROM iot.init_demo($demo) AS d;
COMMIT;
EOS

    my ($tenant, $customer, $device) =
        $out =~ /^([0-9a-f-]{36})\t([0-9a-f-]{36})\t([0-9a-f-]{36})$/m
        or fail(EXIT_FAILED, "iot.init_demo() answered \"$out\"");

    return { TENANT_ID => $tenant, CUSTOMER_ID => $customer,
        DEVICE_ID => $device };
}


# Accounts whose passwords everybody knows.
sub demo {
    my ($instance) = @_;
    my $program = $instance->secret_program;
    my @hash;

    for my $password (qw(sysadmin tenant customer)) {
        my $out = must_run('iot-secret', [$program, 'hash'],
            input => "$password\n");
        push @hash, $out =~ /^(\$argon2id\$\S+)$/m
            or fail(EXIT_FAILED, 'iot-secret printed no hash');
    }

    my $values = join(', ', map { IotCtl::Postgres::quote($_) }
        'thingsboard.org', @hash);

    $instance->sql("SELECT iot.init_demo_known($values)",
        what => 'Making demo accounts');

    say_line($_) for '', '*' x 72,
        'WARNING: this instance has the DEMO accounts now.  Everybody knows',
        'their passwords (sysadmin, tenant, customer) and the tokens of their',
        'devices.  It must NOT be reached by anybody but you, and is NOT for',
        'production.  Delete the users of @thingsboard.org to end this.',
        '*' x 72, '';
}


sub save_credentials {
    my ($path, %have) = @_;
    my @order = qw(SYSADMIN_EMAIL SYSADMIN_PASSWORD TENANT_EMAIL
        TENANT_PASSWORD TENANT_ID CUSTOMER_EMAIL CUSTOMER_PASSWORD CUSTOMER_ID
        DEVICE_ID DEVICE_TOKEN);

    write_file($path, join('', map { defined $have{$_} ? "$_=$have{$_}\n" : () }
        @order), 0600);
}


sub credentials {
    my ($instance) = @_;
    my $text = read_file($instance->dir('credentials'));

    return () unless defined $text;
    return $text =~ /^([A-Z_]+)=(.*)$/mg;
}


1;
