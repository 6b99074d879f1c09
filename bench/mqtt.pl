
# Copyright (C) the ngx_iot authors

# The part "mqtt" of bench/run: our broker beside mosquitto, one core for the
# broker, the other for the generator, the same load for both in turn.

use strict;
use warnings;

use POSIX ();
use Time::HiRes qw(sleep);

# of bench/run
our ($build, $seconds, $dir, %credentials);

# what is asked for, the times mosquitto's rate that are wanted, what is counted
my @loads = (
    ['pairs 10:10, QoS 0',    4,   'delivered', 'pairs',  'n=10 window=500'],
    ['pairs 10:10, 10 ahead', 0,   'delivered', 'pairs',  'n=10 window=10'],
    ['pairs 10:10, QoS 1',    4,   'delivered', 'pairs',
        'n=10 window=100 qos=1'],
    ['fan-in 100:1, QoS 0',   4,   'delivered', 'fanin',  'n=100 window=100'],
    ['fan-in 100:1, QoS 1',   0,   'delivered', 'fanin',
        'n=100 window=100 qos=1'],
    ['fan-out 1:100, QoS 0',  2.5, 'delivered', 'fanout', 'n=100 window=100'],
    ['fan-out 1:100, QoS 1',  0,   'delivered', 'fanout',
        'n=100 window=100 qos=1'],
    ['acknowledged, 100',     4,   'acked',     'ack',    'n=100 window=100'],
    ['connects, 64 at once',  1,   'connects',  'connect', 'n=64'],
);

my ($mosquitto, %port);


sub mqtt {
    %port = map { $_ => free_port() } qw(ours mosquitto);

    $ENV{IOT_WORKERS} = 1;
    anonymous_listener();
    iotctl('stop');
    iotctl('start');
    mosquitto_start();

    eval {
        mqtt_idle();
        mqtt_beside();

        mqtt_workers($_) for 1, 2;
    };

    my $error = $@;

    mosquitto_stop();
    unlink "$ENV{IOT_DIR}/stream.d/bench.conf";
    delete $ENV{IOT_WORKERS};
    die $error if $error;

    iotctl('stop');
    iotctl('start');
}


# --- one worker beside mosquitto, each on one core ---

sub mqtt_beside {
    my $peak;

    print "MQTT, payload 64 bytes, messages/s (broker on one core, generator "
        . "on " . (cores() > 1 ? "another" : "the same") . ")\n";
    printf "  %-22s %11s %11s  %-15s %s\n", '', 'ngx_iot', 'mosquitto',
        'times', 'CPU s (messages for each)';

    for (@loads) {
        my ($name, $wanted, $what, $mode, $options) = @$_;
        my %r;

        for my $peer (qw(ours mosquitto)) {
            $r{$peer} = mqtt_load($peer, $mode, $options, 1);
        }

        my ($a, $b) = map { $r{$_}{$what} } qw(ours mosquitto);
        $peak //= $a;

        printf "  %-22s %11.0f %11.0f  %5.1f%-10s %s, %s%s\n", $name, $a, $b,
            $b ? $a / $b : 0, $wanted ? " (of $wanted)" : '',
            map({ mqtt_cost($r{$_}, $what) } qw(ours mosquitto)),
            mqtt_lost(\%r);
    }

    print "\n";

    mqtt_latency($peak / 2);
}


# both at half of our peak would ask mosquitto for more than it can
sub mqtt_latency {
    my ($rate) = @_;

    for (['ours', $rate], ['ours', 20_000], ['mosquitto', 20_000]) {
        my ($peer, $rate) = @$_;
        my $r = mqtt_load($peer, 'latency', "n=10 rate=" . int($rate), 1);

        printf "  %-22s %11.0f/s  p50 %d us  p99 %d us  p999 %d us  cpu "
            . "%.2f s%s\n", 'latency, ' . ($peer eq 'ours' ? 'ngx_iot' : $peer),
            $r->{delivered}, @$r{qw(p50_us p99_us p999_us broker_cpu)},
            $r->{late} > 0 ? ", $r->{late} not sent in time" : '';
    }

    print "\n";
}


sub mqtt_cost {
    my ($r, $what) = @_;

    return sprintf '%.2f (%.0f)', $r->{broker_cpu},
        $r->{broker_cpu} > 0 ? $r->{$what} * $seconds / $r->{broker_cpu} : 0;
}


sub mqtt_lost {
    my ($r) = @_;

    return join '', map { ", $_ lost $r->{$_}{lost}" }
        grep { $r->{$_}{lost} > 0 } sort keys %$r;
}


# --- connections that do nothing ---

sub mqtt_idle {
    my $n = idle_connections();

    print "$n idle connections\n";

    for my $peer (qw(ours mosquitto)) {
        my $r = mqtt_load($peer, 'idle', "n=$n", 1);

        printf "  %-22s %11.0f bytes each%s  cpu %.2f s in %d s\n",
            $peer eq 'ours' ? 'ngx_iot' : $peer,
            ($r->{bytes_each} // 0)
                + ($peer eq 'ours' ? nginx_connection() : 0),
            $peer eq 'ours' ? ' (of 3072)' : '', $r->{broker_cpu}, $seconds;
    }

    print "\n";
}


# nginx makes connections and their two events before there is any
sub nginx_connection { return 232 + 2 * 96 }


# as many files as iotctl gives to nginx, which keeps half of them for clients
sub idle_connections {
    my $files = `sh -c 'ulimit -Hn'`;
    my $n = $files =~ /^(\d+)/ && $1 < 32768 ? int($1 / 2) - 200 : 10_000;

    return $n < 10_000 ? $n : 10_000;
}


# --- more workers, and the database ---

sub mqtt_workers {
    my ($n) = @_;

    $ENV{IOT_WORKERS} = $n;
    iotctl('stop');
    iotctl('start');

    print "MQTT, $n worker" . ($n > 1 ? 's' : '') . ", on any core\n";

    for (['pairs 10:10, QoS 0', 'delivered', 'pairs', 'n=10 window=500'],
         ['pairs 10:10, QoS 1', 'delivered', 'pairs', 'n=10 window=100 qos=1'],
         ['fan-in 100:1, QoS 0', 'delivered', 'fanin', 'n=100 window=100'],
         ['telemetry, committed', 'acked', 'telemetry',
             "n=100 window=20 tokens=$dir/tokens"])
    {
        my ($name, $what, $mode, $options) = @$_;

        usage_begin();
        my $r = mqtt_load('ours', $mode, $options, 0);

        printf "  %-22s %11.0f/s  p50 %.1f ms  p99 %.1f ms  cpu of workers "
            . "%.2f s%s%s\n", $name, $r->{$what}, $r->{p50_us} / 1000,
            $r->{p99_us} / 1000, $r->{broker_cpu},
            $mode eq 'telemetry' ? ', with warming up ' . usage() : '',
            mqtt_lost({ ours => $r });
    }

    print "\n";
}


# --- programs ---

sub mqtt_load {
    my ($peer, $mode, $options, $pinned) = @_;
    my @pids = $peer eq 'ours' ? workers() : $mosquitto;
    my $to = $mode eq 'telemetry' ? $ENV{IOT_MQTT_PORT} : $port{$peer};
    my @on = ();

    if ($pinned && cores() > 1) {
        pin(0, @pids);
        @on = qw(taskset -c 1);
    }

    return pairs(@on, "$build/iot-mqtt", $mode, '127.0.0.1', $to, $seconds,
        split(/ /, $options), 'pids=' . join(',', @pids));
}


sub pin {
    my ($core, @pids) = @_;

    for my $pid (@pids) {
        system("taskset -apc $core $pid > /dev/null") == 0
            or die "cannot pin process $pid\n";
    }
}


# the same limits for both, wide enough to refuse and drop nothing
sub anonymous_listener {
    open my $f, '>', "$ENV{IOT_DIR}/stream.d/bench.conf"
        or die "stream.d: $!\n";

    print $f <<"EOS";
iot_mqtt_max_device_sessions 0;

server {
    listen 127.0.0.1:$port{ours} backlog=4096;
    iot_mqtt;
    iot_mqtt_anonymous $credentials{TENANT_ID};
    iot_mqtt_max_inflight_messages 1000;
    iot_mqtt_max_queued_messages 1000000;
}
EOS
    close $f;
}


sub mosquitto_start {
    open my $f, '>', "$dir/mosquitto.conf" or die "mosquitto.conf: $!\n";

    print $f <<"EOS";
listener $port{mosquitto} 127.0.0.1
allow_anonymous true
persistence false
max_inflight_messages 1000
max_queued_messages 1000000
max_connections -1
set_tcp_nodelay true
connection_messages false
log_type none
EOS
    close $f;

    $mosquitto = fork() // die "fork: $!\n";

    if ($mosquitto == 0) {
        $ENV{PATH} .= ':/usr/sbin:/sbin';
        open STDOUT, '>', '/dev/null';
        open STDERR, '>', '/dev/null';
        exec('mosquitto', '-c', "$dir/mosquitto.conf")
            or POSIX::_exit(127);
    }

    for (1 .. 100) {
        return if IO::Socket::INET->new(
            PeerAddr => "127.0.0.1:$port{mosquitto}");
        sleep(0.1);
    }

    mosquitto_stop();
    die "mosquitto does not start: is it installed?\n";
}


sub mosquitto_stop {
    return if !$mosquitto;

    kill 'TERM', $mosquitto;
    waitpid $mosquitto, 0;
    $mosquitto = undef;
}


1;
