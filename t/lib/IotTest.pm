package IotTest;

# Copyright (C) the ngx_iot authors

# One instance of ngx_iot for one test file:
#
#     use IotTest;
#
#     my $t = IotTest->new(workers => 2);
#
#     is($t->get('/healthz')->status, 200, 'healthy');
#     done_testing();
#
# new() makes a directory, a database and free ports, starts nginx and waits
# until it is ready.  At the end of the file everything is stopped and removed,
# and the file fails if the error log has alerts, if a sanitizer has spoken, or
# if a process is left.

use strict;
use warnings;

use Cwd ();
use Fcntl qw(:flock);
use File::Basename qw(dirname);
use File::Path ();
use File::Temp ();
use IO::Socket::INET ();
use JSON::XS ();
use Test::More;
use Time::HiRes qw(sleep time);

our $top;


BEGIN {
    $top = dirname(dirname(dirname(Cwd::abs_path(__FILE__))));
    unshift @INC, "$top/t/lib", "$top/tools/lib";
}


use IotCtl::Instance ();
use IotCtl::Nginx ();
use IotCtl::Run qw(run_program read_file write_file alive);
use IotTest::Client ();
use IotTest::Cluster ();

$IotCtl::Run::quiet = 1;

my %live;
my @port_locks;
my $json = JSON::XS->new->utf8->canonical->allow_nonref;


# "use IotTest" gives Test::More too
sub import {
    my ($class) = @_;

    strict->import;
    warnings->import;
    Test::More->export_to_level(1, $class);
}


# workers    number of worker processes (1)
# main, iot, http, server, stream
#            lines for these levels of the configuration
# seed       the first accounts are in the database (1)
# start      start nginx (1)
# ready      wait for /readyz, not only for the port (1)
# cluster    'own': a PostgreSQL server that the test may stop
# fsync      an own cluster survives a crash (0)
# settings   hash for an own cluster's postgresql.conf
# log_level  of nginx ('info')
# device_sessions
#            how many MQTT sessions a device may have (0: any number)
# alerts     pattern of alerts that are expected
# env        hash of IOT_… settings
sub new {
    my ($class, %o) = @_;

    my $self = bless { workers => 1, seed => 1, start => 1, ready => 1,
        log_level => 'info', alerts => [], env => {}, %o, pid => $$ }, $class;

    $self->{alerts} = [$self->{alerts}] unless ref($self->{alerts}) eq 'ARRAY';

    # workers and server are other users, who must walk through it
    $self->{dir} = File::Temp::tempdir('/tmp/iot-t-XXXXXXXX');
    chmod(0755, $self->{dir});
    $live{"$self"} = $self;

    my $done = eval { $self->prepare; $self->start if $self->{start}; 1 };

    if (!$done) {
        my $error = $@;
        $self->show_log;
        BAIL_OUT("nothing can be tested: $error")
            if !-f ($ENV{IOT_MODULE} || "$top/build/ngx_iot_module.so");
        die $error;
    }

    return $self;
}


sub prepare {
    my ($self) = @_;

    if (($self->{cluster} || '') eq 'own') {
        $self->{cluster} = IotTest::Cluster->own("$self->{dir}/db",
            fsync => $self->{fsync}, settings => $self->{settings});

    } else {
        $self->{cluster} = IotTest::Cluster->shared;
    }

    ($self->{database}, $self->{ids}) =
        $self->{cluster}->database($self->{seed} ? 'seed' : 'tmpl');

    for my $name (qw(HTTP HTTPS MQTT MQTTS NATIVE NATIVES IOTMP IOTMPS)) {
        $self->{port}{$name} = free_port();
    }

    $self->{instance} = $self->with_env(sub {
        IotCtl::Instance->new($top)
    });

    my $instance = $self->{instance};

    $instance->make_dirs;
    $instance->save;
    write_file("$self->{dir}/secret.key",
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n", 0600);

    # the pair of a helper; the public half is of this very key
    write_file("$self->{dir}/helper.key",
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n", 0600);
    write_file("$self->{dir}/helper.pub",
        "j0DFrbaPJWJK5bIU6nZ6bslNgp09e14a0bpvPiE4KF8=\n", 0644);

    $self->certificate;

    # most tests look at a device from several sides
    my $sessions = $self->{device_sessions} || 0;

    for my $level (qw(http stream)) {
        write_file("$self->{dir}/$level.d/sessions.conf",
            "iot_mqtt_max_device_sessions $sessions;\n");
    }

    for my $level (qw(main iot http server stream)) {
        $self->snippet($level, $self->{$level}) if defined $self->{$level};
    }
}


# Calls the code with the environment of this instance's settings.
sub with_env {
    my ($self, $code) = @_;
    my $c = $self->{cluster};

    local %ENV = (%ENV,
        IOT_DIR             => $self->{dir},
        IOT_LISTEN          => '127.0.0.1',
        IOT_WORKERS         => $self->{workers},
        IOT_LOG_LEVEL       => $self->{log_level},
        IOT_DATABASE        => $c->conninfo($self->{database}, 'iot_owner'),
        IOT_WORKER_DATABASE => $c->conninfo($self->{database}, 'iot_worker')
            . ' application_name=ngx_iot',
        (map { ("IOT_${_}_PORT" => $self->{port}{$_}) }
            keys %{$self->{port}}),
        %{$self->{env}});

    return $code->();
}


# once for all: making one takes longer than most tests
sub certificate {
    my ($self) = @_;
    my $cache = IotTest::Cluster::root();

    IotCtl::Postgres::make_dir($cache, 0755);
    open(my $lock, '>>', "$cache/tls.lock") or die "$cache/tls.lock: $!";
    flock($lock, LOCK_EX);

    if (!-s "$cache/tls/server.key") {
        IotCtl::Postgres::make_dir("$cache/tls", 0700);
        local $self->{instance}{dir} = $cache;
        IotCtl::Setup::certificate($self->{instance});
    }

    for my $file (qw(server.crt server.key)) {
        write_file("$self->{dir}/tls/$file", read_file("$cache/tls/$file"),
            0600);
    }
}


# replaces the lines of a level; in force after start or reload
sub snippet {
    my ($self, $level, $text) = @_;

    write_file("$self->{dir}/$level.d/test.conf", $text);
}


# Below the range from which the kernel takes ports of outgoing connections;
# a lock keeps parallel tests apart.
sub free_port {
    my $dir = IotTest::Cluster::root() . '/ports';

    IotCtl::Postgres::make_dir(IotTest::Cluster::root(), 0755);
    IotCtl::Postgres::make_dir($dir, 0700);

    for (1 .. 1000) {
        my $port = 12000 + int(rand(18000));

        open(my $fh, '>>', "$dir/$port") or next;
        flock($fh, LOCK_EX | LOCK_NB) or next;

        my $socket = IO::Socket::INET->new(LocalAddr => '127.0.0.1',
            LocalPort => $port, Proto => 'tcp', Listen => 1) or next;
        close($socket);

        push @port_locks, $fh;
        return $port;
    }

    die "no free port\n";
}


# what the sanitizers need when only the module is built with them; they write
# into that directory
sub sanitizer_env {
    my ($dir) = @_;

    return {} unless $ENV{IOT_SANITIZE};

    mkdir($dir);
    chmod(01777, $dir);

    my @libraries;

    for my $name (qw(libasan.so libubsan.so)) {
        my (undef, $path) = run_program(['gcc', "-print-file-name=$name"]);
        $path =~ s/\s+\z//;
        push @libraries, $path if $path =~ m{^/};
    }

    my $log = "log_path=$dir/report";

    return { LD_PRELOAD => join(' ', @libraries),
        ASAN_OPTIONS => "detect_leaks=0:$log",
        UBSAN_OPTIONS => "print_stacktrace=1:$log" };
}


sub start {
    my ($self) = @_;

    $self->with_env(sub {
        IotCtl::Nginx::render($self->{instance});
        IotCtl::Nginx::start($self->{instance},
            env => sanitizer_env("$self->{dir}/san"));
    });

    $self->wait_ready if $self->{ready};
}


sub wait_ready {
    my ($self, $seconds) = @_;
    my $last = '';

    my $ready = $self->wait_for($seconds || 30, sub {
        my $answer = eval { $self->client->request('GET', '/readyz', []) };
        $last = $answer ? $answer->status . ' ' . $answer->body : $@;
        return $answer && $answer->status == 200;
    });

    return 1 if $ready;

    die "nginx does not become ready: $last\n";
}


# waits until the code is true; polls, so only for what announces nothing
sub wait_for {
    my ($self, $seconds, $code) = @_;

    return IotCtl::Run::wait_for($seconds, $code);
}


# --- HTTP ---------------------------------------------------------------


# a connection of its own: a raw socket with request() and answer() too
sub client {
    my ($self, %o) = @_;

    return IotTest::Client->new(port =>
        $self->{port}{$o{tls} ? 'HTTPS' : 'HTTP'}, %o);
}


# token (JWT), json (data), body (bytes), headers (hash or array of pairs),
# type (Content-Type), tls, client (a connection to use); keep-alive by itself
sub http {
    my ($self, $method, $path, %o) = @_;
    my $body = $o{body};
    my @headers = ref($o{headers}) eq 'ARRAY' ? @{$o{headers}}
        : map { [$_ => $o{headers}{$_}] } sort keys %{$o{headers} || {}};

    if (exists $o{json}) {
        $body = $json->encode($o{json});
        $o{type} = 'application/json' unless exists $o{type};
    }

    unshift @headers, ['Content-Type' => $o{type}] if defined $o{type};
    unshift @headers, ['X-Authorization' => "Bearer $o{token}"]
        if defined $o{token};

    my $client = $o{client} || ($self->{client}{$o{tls} ? 1 : 0}
        ||= $self->client(tls => $o{tls}, lazy => 1));

    return $client->request($method, $path, \@headers, $body);
}


sub get { my $self = shift; return $self->http('GET', @_) }
sub post { my $self = shift; return $self->http('POST', @_) }
sub put { my $self = shift; return $self->http('PUT', @_) }
sub del { my $self = shift; return $self->http('DELETE', @_) }


# the token of a fresh login; dies when it is refused
sub login {
    my ($self, $email, $password) = @_;

    my $answer = $self->post('/api/auth/login',
        json => { username => $email, password => $password });

    die 'login of ' . $email . ' answered ' . $answer->status . ': '
        . $answer->body . "\n" if $answer->status != 200;

    return $answer->json->{token};
}


# of the first accounts, each logged in once
sub token_of {
    my ($self, $who) = @_;

    return $self->{tokens}{$who} ||= $self->login(
        $IotTest::Cluster::account{"${who}_EMAIL"},
        $IotTest::Cluster::account{"${who}_PASSWORD"});
}


sub sysadmin { return $_[0]->token_of('SYSADMIN') }
sub tenant { return $_[0]->token_of('TENANT') }
sub customer { return $_[0]->token_of('CUSTOMER') }


# SYSADMIN_EMAIL, TENANT_PASSWORD, DEVICE_TOKEN …
sub account {
    my ($self, $name) = @_;

    return $IotTest::Cluster::account{$name};
}


sub tenant_id { return $_[0]->{ids}{TENANT_ID} }
sub customer_id { return $_[0]->{ids}{CUSTOMER_ID} }
sub device_id { return $_[0]->{ids}{DEVICE_ID} }
sub device_token { return $IotTest::Cluster::account{DEVICE_TOKEN} }


sub port {
    my ($self, $name) = @_;

    return $self->{port}{uc($name || 'http')};
}


# --- database -----------------------------------------------------------


# a handle of the superuser, who sees every row
sub db {
    my ($self) = @_;

    require DBI;

    return $self->{db} if $self->{db} && $self->{db}->ping;

    my $socket = $self->{cluster}{postgres}{socket};

    return $self->{db} = DBI->connect(
        "dbi:Pg:dbname=$self->{database};host=$socket;"
        . 'application_name=iot_test', 'postgres', '',
        { RaiseError => 1, PrintError => 0, AutoCommit => 1,
            pg_enable_utf8 => 1 });
}


# rows, as arrays; number of rows of what returns none
sub sql {
    my ($self, $query, @bind) = @_;
    my $statement = $self->db->prepare($query);
    my $n = $statement->execute(@bind);

    return $n unless $statement->{NUM_OF_FIELDS};
    return $statement->fetchall_arrayref;
}


# the first column of the first row
sub value {
    my ($self, $query, @bind) = @_;
    my $rows = $self->sql($query, @bind);

    return ref($rows) && @$rows ? $rows->[0][0] : undef;
}


# a script, through psql
sub psql {
    my ($self, $script, $user) = @_;

    return $self->{cluster}->psql($script, $self->{database}, $user);
}


# of an own cluster; mode: fast, immediate (crash), smart
sub stop_database {
    my ($self, $mode) = @_;

    die "only an own cluster may be stopped\n" unless $self->{cluster}{own};

    $self->{db}->disconnect if $self->{db};
    delete $self->{db};
    $self->{cluster}{postgres}->stop($mode || 'fast');
}


sub start_database {
    my ($self) = @_;

    $self->{cluster}{postgres}->start;
}


sub restart_database {
    my ($self, $mode) = @_;

    $self->stop_database($mode);
    $self->start_database;
}


# --- processes ----------------------------------------------------------


sub dir { return $_[0]->{dir} }
sub master_pid { return IotCtl::Nginx::pid($_[0]->{instance}) }
sub worker_pids { return IotCtl::Nginx::workers($_[0]->{instance}) }


# new workers are there when it returns; with gone, the old ones have ended
sub reload {
    my ($self, %o) = @_;
    my @old = $self->worker_pids;

    $self->with_env(sub { IotCtl::Nginx::render($self->{instance}) });

    {
        # "nginx -t" loads the module too
        local %ENV = (%ENV, %{$self->sanitizer_env});
        IotCtl::Nginx::reload($self->{instance});
    }

    if ($o{gone}) {
        $self->wait_for(30, sub { !grep { alive($_) } @old })
            or die "the old workers do not end\n";
    }
}


# graceful; returns when all processes are gone
sub quit {
    my ($self, $seconds) = @_;

    delete $self->{client};
    return IotCtl::Nginx::stop($self->{instance}, $seconds);
}


# Kills a worker (the first one, or that pid) and waits for its successor.
sub kill_worker {
    my ($self, $pid, $signal) = @_;
    my @old = $self->worker_pids;

    $pid ||= $old[0];
    $signal ||= 'KILL';

    $self->allow_alert(qr/worker process $pid exited on signal/);
    delete $self->{client};

    # what a sanitizer says about a signal that we send is no finding
    $self->{killed}{$pid} = 1;
    kill($signal, $pid) or die "cannot kill worker $pid: $!\n";

    my %old = map { $_ => 1 } @old;

    $self->wait_for(15, sub {
        !alive($pid) && grep { !$old{$_} } $self->worker_pids
    }) or die "no new worker came\n";
}


sub allow_alert {
    my ($self, $pattern) = @_;

    push @{$self->{alerts}}, $pattern;
}


sub error_log {
    my ($self) = @_;
    my $text = read_file("$self->{dir}/log/error.log");

    return defined $text ? $text : '';
}


sub wait_log {
    my ($self, $pattern, $seconds) = @_;

    return $self->wait_for($seconds || 10, sub {
        $self->error_log =~ $pattern
    });
}


# a process of ours that ends with the test
sub child {
    my ($self, $pid) = @_;

    push @{$self->{children}}, $pid;
}


# a job of the database; waits until it is over and returns its row
sub job_over {
    my ($self, $id, $seconds) = @_;
    my $row;

    $self->wait_for($seconds || 20, sub {
        $row = $self->db->selectrow_hashref(
            'SELECT * FROM iot.job WHERE id = ?', undef, $id);
        return $row && $row->{state} =~ /^(?:COMPLETED|FAILED)$/;
    });

    return $row;
}


# --- the end ------------------------------------------------------------


# Stops everything.  Returns what is wrong, as lines.
sub shut_down {
    my ($self) = @_;
    my (@wrong, @pids);

    delete $live{"$self"};
    delete $self->{client};

    for my $pid (@{delete $self->{children} || []}) {
        kill('KILL', $pid);
        waitpid($pid, 0);
    }

    if ($self->{instance}) {
        @pids = grep { $_ } ($self->master_pid,
            IotCtl::Nginx::workers($self->{instance}, 1));
        eval { IotCtl::Nginx::stop($self->{instance}, 15); 1 }
            or push @wrong, "stopping nginx: $@";
    }

    if (my @left = grep { alive($_) } @pids) {
        push @wrong, "processes left behind: @left";
        kill('KILL', @left);
    }

    for my $line (split(/\n/, $self->error_log)) {
        next unless $line =~ /\[(alert|emerg)\]/;
        next if grep { $line =~ $_ } @{$self->{alerts}};
        push @wrong, $line;
    }

    push @wrong, reports("$self->{dir}/san", $self->{killed});

    $self->{db}->disconnect if $self->{db};
    delete $self->{db};

    if (ref($self->{cluster})) {
        eval {
            if ($self->{cluster}{own}) {
                $self->{cluster}{postgres}->stop('immediate');

            } elsif (defined $self->{database}) {
                $self->{cluster}->drop($self->{database});
            }
            1;
        } or push @wrong, "stopping the database: $@";
    }

    return @wrong;
}


# the beginnings of what the sanitizers wrote, except about these processes
sub reports {
    my ($dir, $except) = @_;
    my @lines;

    for my $path (sort glob("$dir/report.*")) {
        my ($pid) = $path =~ /\.(\d+)$/;

        next if $except && $except->{$pid};

        push @lines, map { "sanitizer: $_" } grep { defined }
            (split(/\n/, read_file($path) || ''))[0 .. 30];
    }

    return @lines;
}


# Called at the end of the file by itself; called by a test, it counts as one
# test more and must come before done_testing().
sub finish {
    my ($self) = @_;
    my @wrong = $self->shut_down;

    ok(!@wrong, 'no alerts, no reports, no processes left')
        or diag(join("\n", @wrong));
    $self->remove(@wrong > 0);
}


sub remove {
    my ($self, $wrong) = @_;

    if ($ENV{IOT_TEST_KEEP} || $wrong && $ENV{IOT_TEST_KEEP_FAILED}) {
        diag("kept: $self->{dir}");
        return;
    }

    File::Path::remove_tree($self->{dir});
}


sub show_log {
    my ($self) = @_;
    my @lines = split(/\n/, $self->error_log);

    splice(@lines, 0, @lines - 20) if @lines > 20;
    diag(join("\n", 'the end of the error log:', @lines)) if @lines;
}


END {
    my $code = $?;

    for my $self (values %live) {
        next if $self->{pid} != $$;

        my @wrong = $self->shut_down;

        if (@wrong) {
            diag(join("\n", 'after the tests:', @wrong));
            $code ||= 1;
        }

        if (!Test::More->builder->is_passing) {
            $self->show_log;
        }

        $self->remove($code || !Test::More->builder->is_passing);
    }

    $? = $code;
}


1;
