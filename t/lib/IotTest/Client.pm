package IotTest::Client;

# Copyright (C) the ngx_iot authors

# A socket with time limits, and HTTP/1.1 on it: small enough to see what goes
# over the wire, able to break every rule when a test wants to.

use strict;
use warnings;

use Carp qw(croak);
use IO::Socket::INET ();
use Time::HiRes qw(time);

our $timeout = 30;


# port, host (127.0.0.1), tls (0 or 1)
sub new {
    my ($class, %o) = @_;
    my $self = bless { host => '127.0.0.1', buffer => '', %o }, $class;

    $self->connect unless $o{lazy};

    return $self;
}


sub connect {
    my ($self) = @_;

    $self->{buffer} = '';
    $self->{used} = 0;
    $self->{socket} = IO::Socket::INET->new(PeerAddr => $self->{host},
        PeerPort => $self->{port}, Proto => 'tcp', Timeout => $timeout)
        or croak("cannot connect to port $self->{port}: $@");

    return $self unless $self->{tls};

    require IO::Socket::SSL;
    IO::Socket::SSL->start_SSL($self->{socket}, SSL_verify_mode => 0,
        SSL_hostname => 'localhost', %{$self->{tls_options} || {}})
        or croak("no TLS on port $self->{port}: "
            . IO::Socket::SSL::errstr());

    return $self;
}


sub socket {
    return $_[0]->{socket};
}


# false when the peer has closed
sub write {
    my ($self, $bytes) = @_;
    my $end = time() + $timeout;
    my $done = 0;

    local $SIG{PIPE} = 'IGNORE';

    while ($done < length($bytes)) {
        my $set = '';
        vec($set, fileno($self->{socket}), 1) = 1;

        croak('timed out while writing')
            unless select(undef, $set, undef, left($end));

        my $n = syswrite($self->{socket}, $bytes, length($bytes) - $done,
            $done);

        next if !defined $n && ($!{EAGAIN} || $!{EINTR});
        return 0 unless $n;
        $done += $n;
    }

    return 1;
}


sub left {
    my ($end) = @_;
    my $left = $end - time();

    return $left > 0 ? $left : 0;
}


# Appends what comes to the buffer.  Returns 1, 0 at the end of the stream, or
# undef when nothing came in time.
sub fill {
    my ($self, $seconds) = @_;
    my $end = time() + (defined $seconds ? $seconds : $timeout);

    while (1) {
        my $pending = $self->{tls} ? $self->{socket}->pending : 0;

        if (!$pending) {
            my $set = '';
            vec($set, fileno($self->{socket}), 1) = 1;
            return undef unless select($set, undef, undef, left($end));
        }

        my $n = sysread($self->{socket}, $self->{buffer}, 65536,
            length($self->{buffer}));

        return 1 if $n;
        return 0 if defined $n || $!{ECONNRESET};
        next if $!{EAGAIN} || $!{EINTR};

        # TLS waits for the rest of a record
        next if $self->{tls} && time() < $end;
        return 0;
    }
}


# exactly n bytes; dies when they do not come
sub read {
    my ($self, $n, $seconds) = @_;

    while (length($self->{buffer}) < $n) {
        my $rc = $self->fill($seconds);
        next if $rc;

        croak(sprintf('%s after %d of %d bytes',
            defined $rc ? 'closed' : 'timed out', length($self->{buffer}),
            $n));
    }

    return substr($self->{buffer}, 0, $n, '');
}


# everything up to and with the match; dies when it does not come
sub read_until {
    my ($self, $pattern, $seconds) = @_;

    while (1) {
        # "@+" of a match in the condition of a loop is gone after the loop
        if ($self->{buffer} =~ /$pattern/s) {
            return substr($self->{buffer}, 0, $+[0], '');
        }

        my $rc = $self->fill($seconds);
        next if $rc;

        croak((defined $rc ? 'closed' : 'timed out')
            . " before $pattern; got \"$self->{buffer}\"");
    }
}


# what is left until the peer closes
sub read_all {
    my ($self, $seconds) = @_;

    while (1) {
        my $rc = $self->fill($seconds);
        next if $rc;
        croak('timed out while reading to the end') unless defined $rc;

        return substr($self->{buffer}, 0, length($self->{buffer}), '');
    }
}


# true when nothing arrives for that long
sub silent {
    my ($self, $seconds) = @_;

    return $self->{buffer} eq '' && !defined $self->fill($seconds);
}


# true when the peer closes, without another byte, in time
sub closed {
    my ($self, $seconds) = @_;

    return 0 if $self->{buffer} ne '';

    my $rc = $self->fill($seconds);
    return defined $rc && $rc == 0;
}


sub close {
    my ($self) = @_;

    CORE::close($self->{socket}) if $self->{socket};
    delete $self->{socket};
}


# Writes a request and reads its answer.  A kept connection that the server
# has closed in the meantime is opened once more.
sub request {
    my ($self, $method, $path, $headers, $body) = @_;

    for my $try (1, 2) {
        $self->connect unless $self->{socket};

        my $fresh = !$self->{used}++;

        $self->write(format_request($method, $path, $headers, $body));

        my $answer = $self->answer($method);
        return $answer if $answer;

        $self->close;
        croak("no answer to $method $path: the connection was closed")
            if $fresh || $try == 2;
    }
}


# headers: array of pairs; what is not among them is added
sub format_request {
    my ($method, $path, $headers, $body) = @_;
    my %seen = map { lc($_->[0]) => 1 } @$headers;
    my $text = "$method $path HTTP/1.1\r\n";

    $text .= "Host: localhost\r\n" unless $seen{host};
    $text .= "$_->[0]: $_->[1]\r\n" for grep { defined $_->[1] } @$headers;

    if (!$seen{'content-length'} && !$seen{'transfer-encoding'}
        && (defined $body || $method =~ /^(POST|PUT|PATCH)$/))
    {
        $text .= 'Content-Length: '
            . (defined $body ? length($body) : 0) . "\r\n";
    }

    return "$text\r\n" . (defined $body ? $body : '');
}


# the next answer; undef when the stream ends before its first byte
sub answer {
    my ($self, $method) = @_;
    my $head;

    while (1) {
        while ($self->{buffer} !~ /\r\n\r\n/) {
            my $rc = $self->fill;
            next if $rc;
            return undef if defined $rc && $self->{buffer} eq '';
            croak((defined $rc ? 'closed' : 'timed out')
                . " in the head of an answer: \"$self->{buffer}\"");
        }

        $head = substr($self->{buffer}, 0, $-[0], '')
            if $self->{buffer} =~ /\r\n\r\n/;
        substr($self->{buffer}, 0, 4, '');

        last unless $head =~ m{^HTTP/1\.\d 1\d\d } && $head !~ /^\S+ 101 /;
    }

    my $answer = IotTest::Answer->new($head);
    my $status = $answer->{status};

    if ((defined $method && $method eq 'HEAD') || $status == 204
        || $status == 304 || $status == 101)
    {
        $answer->{body} = '';

    } elsif (($answer->header('transfer-encoding') || '') =~ /chunked/i) {
        $answer->{body} = $self->chunks($answer);

    } elsif (defined $answer->header('content-length')) {
        $answer->{body} = $self->read($answer->header('content-length'));

    } else {
        $answer->{body} = $self->read_all;
        $self->close;
    }

    if (($answer->header('connection') || '') =~ /\bclose\b/i) {
        $self->close;
    }

    return $answer;
}


sub chunks {
    my ($self, $answer) = @_;
    my $body = '';

    while (1) {
        my $line = $self->read_until(qr/\r\n/);
        my ($size) = $line =~ /^([0-9a-fA-F]+)/
            or croak("not a chunk: \"$line\"");

        $answer->{chunks}++;

        if (hex($size) == 0) {
            $line = $self->read_until(qr/\r\n/) while $line ne "\r\n";
            return $body;
        }

        $body .= $self->read(hex($size));
        $self->read(2) eq "\r\n" or croak('a chunk without its end');
    }
}


package IotTest::Answer;

use JSON::XS ();

my $json = JSON::XS->new->utf8->allow_nonref;


sub new {
    my ($class, $head) = @_;
    my ($line, @lines) = split(/\r\n/, $head);
    my $self = bless { head => $head, headers => {}, body => '' }, $class;

    ($self->{version}, $self->{status}, $self->{reason}) =
        $line =~ m{^(HTTP/\d\.\d) (\d{3})(?: (.*))?$}
        or die "not an answer of HTTP: \"$line\"\n";

    for (@lines) {
        my ($name, $value) = /^([^:\s]+):\s*(.*?)\s*$/
            or die "not a header: \"$_\"\n";
        push @{$self->{headers}{lc($name)}}, $value;
    }

    return $self;
}


sub status { return $_[0]->{status} }
sub body { return $_[0]->{body} }
sub head { return $_[0]->{head} }


# its value, or the values of all of that name joined by a comma
sub header {
    my ($self, $name) = @_;
    my $values = $self->{headers}{lc($name)} or return undef;

    return join(', ', @$values);
}


# undef when the body is not JSON
sub json {
    my ($self) = @_;

    return eval { $json->decode($self->{body}) };
}


1;
