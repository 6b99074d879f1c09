package IotTest::Load;

# Copyright (C) the ngx_iot authors

# Devices that post as fast as they are answered, over many connections of one
# process, and remember what they were promised:
#
#     my $load = IotTest::Load->new($t, connections => 16);
#
#     $load->run(sub { $load->count(200) >= 1000 });
#     $t->kill_worker;
#     $load->finish;
#     is($load->missing, 0, 'every acknowledged point is there');
#
# Each post is one point of its own time; its value is that time too.

use strict;
use warnings;

use Errno qw(EINPROGRESS EAGAIN EINTR);
use IO::Poll qw(POLLIN POLLOUT POLLERR POLLHUP);
use IO::Socket::INET ();
use Socket qw(pack_sockaddr_in inet_aton IPPROTO_TCP TCP_NODELAY);
use Time::HiRes qw(sleep time);


# connections (16), tokens (of the first device), key ('load'), close (each
# request on a connection of its own), points (of a post), first (its time)
sub new {
    my ($class, $test, %o) = @_;
    my $self = bless { test => $test, connections => 16, key => 'load',
        points => 1, close => 0, first => 1_700_000_000_000,
        tokens => [$test->device_token], status => {}, acked => {},
        lost => 0, refused => 0, again => 0, odd => [], retry_after => 0,
        %o }, $class;

    $self->{next} = $self->{first};
    $self->{poll} = IO::Poll->new;
    $self->{idle} = [1 .. $self->{connections}];
    $self->{live} = {};

    return $self;
}


# Posts until the code, asked now and then, is true; dies after some seconds.
sub run {
    my ($self, $code, $seconds) = @_;
    my $end = time() + ($seconds || 30);

    until ($code->()) {
        die "the load does not come to an end\n" if time() > $end;
        $self->turn(1);
    }
}


# Begins nothing more, waits for the answers and closes.
sub finish {
    my ($self, $seconds) = @_;
    my $end = time() + ($seconds || 30);

    while (grep { $_->{busy} } values %{$self->{live}}) {
        die "answers are missing\n" if time() > $end;
        $self->turn(0);
    }

    $self->drop($_) for values %{$self->{live}};
}


# answers with one of these statuses, or all
sub count {
    my ($self, @status) = @_;
    my $n = 0;

    @status = keys %{$self->{status}} unless @status;
    $n += $self->{status}{$_} || 0 for @status;

    return $n;
}


sub acked { return scalar(keys %{$_[0]{acked}}) }
sub lost { return $_[0]{lost} }
sub refused { return $_[0]{refused} }
sub retry_after { return $_[0]{retry_after} }
sub odd { return @{$_[0]{odd}} }


# other statuses than these
sub others {
    my ($self, @fine) = @_;
    my %fine = map { $_ => 1 } @fine;

    return join(', ', map { "$_: $self->{status}{$_}" }
        grep { !$fine{$_} } sort keys %{$self->{status}});
}


sub turn {
    my ($self, $more) = @_;

    while ($more && @{$self->{idle}}) {
        $self->open(shift @{$self->{idle}}) or last;
    }

    my @all = values %{$self->{live}};

    if (!@all) {
        sleep(0.005);
        return;
    }

    $more and !$_->{busy} and $self->post($_) for @all;

    $self->{poll}->poll(0.02);

    for my $c (@all) {
        next unless $self->{live}{$c->{id}};
        my $events = $self->{poll}->events($c->{socket}) or next;

        $self->write($c) if $events & POLLOUT && defined $c->{out};
        $self->read($c, $more)
            if $self->{live}{$c->{id}} && $events & (POLLIN|POLLERR|POLLHUP);
    }
}


sub open {
    my ($self, $id) = @_;

    my $socket = IO::Socket::INET->new(Proto => 'tcp', Blocking => 0,
        PeerAddr => '127.0.0.1', PeerPort => $self->{test}->port);

    if (!$socket) {
        $self->{refused}++;
        push @{$self->{idle}}, $id;
        return 0;
    }

    $socket->setsockopt(IPPROTO_TCP, TCP_NODELAY, 1);
    $self->{live}{$id} = { id => $id, socket => $socket, in => '',
        busy => 0, used => 0, token => $self->{tokens}[
            $id % @{$self->{tokens}}] };

    return 1;
}


sub post {
    my ($self, $c) = @_;

    # of a request that the server may not have seen
    my $ts = delete $self->{repeat}{$c->{id}};

    if (!$ts) {
        $ts = $self->{next};
        $self->{next} += $self->{points};
    }

    my $body = join(',', map {
        sprintf('{"ts":%d,"values":{"%s":%d}}', $ts + $_, $self->{key},
            $ts + $_)
    } 0 .. $self->{points} - 1);

    $body = "[$body]" if $self->{points} > 1;

    $c->{ts} = $ts;
    $c->{busy} = 1;
    $c->{in} = '';
    $c->{out} = "POST /api/v1/$c->{token}/telemetry HTTP/1.1\r\nHost: x\r\n"
        . 'Content-Length: ' . length($body) . "\r\n"
        . ($self->{close} ? "Connection: close\r\n" : '') . "\r\n" . $body;

    $self->write($c);
}


sub write {
    my ($self, $c) = @_;
    local $SIG{PIPE} = 'IGNORE';

    my $n = syswrite($c->{socket}, $c->{out});

    if (defined $n) {
        substr($c->{out}, 0, $n, '');
        $c->{out} = undef if $c->{out} eq '';

    } elsif (!$!{EAGAIN} && !$!{EINTR} && !$!{ENOTCONN}) {
        # what it has said before closing is still to be read
        $c->{out} = undef;
    }

    $self->{poll}->mask($c->{socket} => POLLIN
        | (defined $c->{out} ? POLLOUT : 0));
}


sub read {
    my ($self, $c, $more) = @_;
    my $n = sysread($c->{socket}, $c->{in}, 65536, length($c->{in}));

    return if !defined $n && ($!{EAGAIN} || $!{EINTR});

    if (!$n) {
        $self->gone($c);
        return;
    }

    return unless $c->{in} =~ /^HTTP\/1\.1 (\d+).*?\r\n\r\n/s;

    my ($status, $head) = ($1, substr($c->{in}, 0, $+[0]));
    my ($length) = $head =~ /\r\nContent-Length: (\d+)\r/i;

    if (!defined $length) {
        push @{$self->{odd}}, $head;
        $length = 0;
    }

    return if length($c->{in}) < length($head) + $length;

    push @{$self->{odd}}, $c->{in}
        if length($c->{in}) > length($head) + $length || !$c->{busy};

    $self->{status}{$status}++;
    $self->{retry_after}++
        if $status == 503 && $head =~ /\r\nRetry-After: \d+\r/i;

    if ($status == 200) {
        $self->{acked}{"$c->{token} " . ($c->{ts} + $_)} = 1
            for 0 .. $self->{points} - 1;
    }

    $c->{busy} = 0;
    $c->{used}++;

    if ($head =~ /\r\nConnection: close\r/i) {
        $self->drop($c);

    } elsif ($more) {
        $self->post($c);
    }
}


# The server has closed.  Before the first byte of an answer on a connection
# that it had kept open, this is its right, and the request is made again.
sub gone {
    my ($self, $c) = @_;

    if ($c->{busy}) {

        if ($c->{used} && $c->{in} eq '') {
            $self->{again}++;
            $self->{repeat}{$c->{id}} = $c->{ts};

        } else {
            $self->{lost}++;
        }
    }

    $self->drop($c);
}


sub drop {
    my ($self, $c) = @_;

    $self->{poll}->remove($c->{socket});
    close($c->{socket});
    delete $self->{live}{$c->{id}};
    push @{$self->{idle}}, $c->{id};
}


# [token, ts] of what was acknowledged and is not stored as it was sent
sub missing {
    my ($self) = @_;
    my $test = $self->{test};
    my %left = %{$self->{acked}};

    for my $token (@{$self->{tokens}}) {
        delete $left{"$token $_->[0]"}
            for @{$test->sql('SELECT t.ts FROM iot.telemetry AS t'
                . ' JOIN iot.key AS k ON k.id = t.key AND k.name = ?'
                . ' WHERE t.entity = ? AND t.l = t.ts', $self->{key},
                $test->nr($token))};
    }

    return map { [split(/ /)] } sort keys %left;
}


1;
