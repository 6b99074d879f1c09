package IotTest::Iotctl;

# Copyright (C) the ngx_iot authors

# iotctl as people use it: a directory, ports, a command, an exit code.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use File::Path ();
use File::Temp ();
use IO::Socket::INET ();
use JSON::XS ();
use Test::More;

my $top;


BEGIN {
    $top = dirname(dirname(dirname(dirname(Cwd::abs_path(__FILE__)))));
}


use lib "$top/t/lib", "$top/tools/lib";

use IotCtl::Nginx ();
use IotCtl::Run qw(run_program read_file write_file alive wait_for);
use IotTest ();
use IotTest::Client ();

my @all;


# sub: a path below the temporary directory; user: another user than ours
sub new {
    my ($class, %o) = @_;
    my $base = File::Temp::tempdir('/tmp/iot-i-XXXXXXXX');
    my $self = bless { base => $base, %o, pid => $$ }, $class;

    chmod(0755, $base);
    chown((getpwnam($o{user}))[2, 3], $base) if defined $o{user};

    $self->{dir} = $base . '/' . ($o{sub} || 'instance');
    $self->{env} = { IOT_DIR => $self->{dir}, IOT_LISTEN => '127.0.0.1',
        IOT_WORKERS => 1,
        (map { ("IOT_${_}_PORT" => IotTest::free_port()) }
            qw(HTTP HTTPS MQTT MQTTS NATIVE NATIVES IOTMP IOTMPS)) };

    $self->wrap(IotTest::sanitizer_env("$base/san"));

    push @all, $self;

    return $self;
}


# Of all the programs that iotctl runs, only nginx loads the module, so only it
# gets the libraries of the sanitizers.
sub wrap {
    my ($self, $env) = @_;
    my $nginx = IotCtl::Nginx::program();

    return unless %$env;

    write_file("$self->{base}/nginx", join("\n", '#!/bin/sh',
        (map { "export $_='$env->{$_}'" } sort keys %$env),
        "exec $nginx \"\$@\"", ''), 0755);
    $self->{env}{IOT_NGINX} = "$self->{base}/nginx";
}


# (exit code, standard output, standard error)
sub command {
    my ($self, $words, %env) = @_;

    return run_program(["$top/tools/iotctl", split(' ', $words)],
        env => { %{$self->{env}}, %env }, user => $self->{user});
}


# a test: the exit code, and optionally what is printed
sub exits {
    my ($self, $expected, $words, $name, $like, %env) = @_;
    my ($code, $out, $err) = $self->command($words, %env);

    is($code, $expected, $name || "iotctl $words") or diag($out . $err);
    like($out . $err, $like, ($name || $words) . ': words') if $like;

    return $out . $err;
}


sub dir {
    my ($self, $name) = @_;

    return defined $name ? "$self->{dir}/$name" : $self->{dir};
}


sub credentials {
    my ($self) = @_;

    return { (read_file($self->dir('credentials')) || '')
        =~ /^([A-Z_]+)=(.*)$/mg };
}


sub client {
    my ($self, %o) = @_;

    return IotTest::Client->new(
        port => $self->{env}{$o{tls} ? 'IOT_HTTPS_PORT' : 'IOT_HTTP_PORT'},
        %o);
}


sub get {
    my ($self, $path, $token) = @_;

    return $self->client->request('GET', $path, [['Connection', 'close'],
        defined $token ? ['X-Authorization', "Bearer $token"] : ()]);
}


sub post {
    my ($self, $path, $data, $token) = @_;

    return $self->client->request('POST', $path, [['Connection', 'close'],
        ['Content-Type', 'application/json'],
        defined $token ? ['X-Authorization', "Bearer $token"] : ()],
        JSON::XS::encode_json($data));
}


# a login with what is in the file credentials
sub login {
    my ($self, $who) = @_;
    my $have = $self->credentials;
    my $answer = $self->post('/api/auth/login', {
        username => $have->{"${who}_EMAIL"},
        password => $have->{"${who}_PASSWORD"} });

    return $answer->status == 200 ? $answer->json->{token} : undef;
}


# the newest value of a key of the demo device, as text
sub latest {
    my ($self, $key) = @_;
    my $device = $self->credentials->{DEVICE_ID};
    my $answer = $self->get("/api/plugins/telemetry/DEVICE/$device/values/"
        . "timeseries?keys=$key", $self->login('TENANT'));

    return $answer->status . ' ' . $answer->body if $answer->status != 200;
    return $answer->json->{$key}[0]{value};
}


# numbers of the processes that belong to it: nginx and the postmaster
sub pids {
    my ($self) = @_;
    my @pids;

    for my $file ('run/nginx.pid', 'pg/postmaster.pid', 'run/helper/1.pid') {
        my $text = read_file($self->dir($file));
        push @pids, $1 if defined $text && $text =~ /^(\d+)/ && alive($1);
    }

    return @pids;
}


# iotctl run, in the background; its output goes to a file
sub run {
    my ($self) = @_;
    my $pid = fork();

    die "fork: $!\n" unless defined $pid;

    if ($pid == 0) {
        setpgrp(0, 0);
        open(STDOUT, '>', "$self->{base}/run.out");
        open(STDERR, '>&', \*STDOUT);
        $ENV{$_} = $self->{env}{$_} for keys %{$self->{env}};
        exec("$top/tools/iotctl", 'run') or POSIX::_exit(127);
    }

    return $pid;
}


sub output {
    my ($self) = @_;
    my $text = read_file("$self->{base}/run.out");

    return defined $text ? $text : '';
}


END {
    my $code = $?;

    for my $self (grep { $_->{pid} == $$ } @all) {
        $self->command('stop') if -e $self->dir('state');

        if (my @left = $self->pids) {
            diag("left behind: @left");
            kill('KILL', @left);
            $code ||= 1;
        }

        if (my @reports = IotTest::reports("$self->{base}/san")) {
            diag(join("\n", @reports));
            $code ||= 1;
        }

        if (!Test::More->builder->is_passing) {
            my @lines = split(/\n/, read_file($self->dir('log/error.log'))
                || '');
            splice(@lines, 0, @lines - 15) if @lines > 15;
            diag(join("\n", "the end of the error log of $self->{dir}:",
                @lines)) if @lines;
        }

        File::Path::remove_tree($self->{base}) unless $ENV{IOT_TEST_KEEP};
    }

    $? = $code;
}


1;
