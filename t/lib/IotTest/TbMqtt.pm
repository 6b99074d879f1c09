package IotTest::TbMqtt;

# Copyright (C) the ngx_iot authors

# A small MQTT client that hides nothing, for the topics of devices:
#
#     my $c = IotTest::TbMqtt->connect($t, user => 'TOKEN', version => 4);
#
#     $c->publish('v1/devices/me/telemetry', '{"a":1}', qos => 1);
#     is($c->ack->{reason}, 0, 'acknowledged');
#
# Packets are hashes: type (a name), id, reason, topic, payload, qos, codes.

use strict;
use warnings;

use IO::Select ();
use IO::Socket::INET ();
use Time::HiRes qw(time);

my @types = qw(NONE CONNECT CONNACK PUBLISH PUBACK PUBREC PUBREL PUBCOMP
    SUBSCRIBE SUBACK UNSUBSCRIBE UNSUBACK PINGREQ PINGRESP DISCONNECT AUTH);


# user, password, id, version (4), keep_alive (0), will: a topic (3.1.1),
# socket: a connection that is there
sub open {
    my ($class, $t, %o) = @_;
    my $socket = $o{socket} || IO::Socket::INET->new(PeerAddr => '127.0.0.1',
        PeerPort => $o{port} || $t->{port}{MQTT}, Proto => 'tcp')
        or die "no connection: $!";

    $socket->autoflush(1);

    my $self = bless { socket => $socket, in => '', next => 1,
        version => $o{version} || 4, queue => [] }, $class;
    my $flags = 2;

    $flags |= 0x80 if defined $o{user};
    $flags |= 0x04 if defined $o{will};
    $flags |= 0x40 if defined $o{password};

    my $body = text('MQTT') . pack('CCn', $self->{version}, $flags,
        $o{keep_alive} || 0);

    $body .= "\0" if $self->{version} == 5;
    $body .= text(defined $o{id} ? $o{id} : 'c' . int(rand(1e9)));
    $body .= text($o{will}) . text("x") if defined $o{will};
    $body .= text($o{user}) if defined $o{user};
    $body .= text($o{password}) if defined $o{password};

    $self->send(0x10, $body);

    return $self;
}


# the same, and it must be accepted
sub connect {
    my ($class, $t, %o) = @_;
    my $self = $class->open($t, %o);
    my $answer = $self->packet;

    die "not accepted\n"
        if !$answer || $answer->{type} ne 'CONNACK' || $answer->{reason};

    return $self;
}


sub text {
    return pack('n/a*', $_[0]);
}


sub send {
    my ($self, $first, $body) = @_;
    my $n = length($body);
    my $head = chr($first);

    do {
        my $byte = $n & 127;

        $n >>= 7;
        $head .= chr($byte | ($n ? 128 : 0));
    } while ($n);

    local $SIG{PIPE} = 'IGNORE';

    return syswrite($self->{socket}, $head . $body);
}


# qos (0), type: content type of MQTT 5.0; the identifier
sub publish {
    my ($self, $topic, $payload, %o) = @_;
    my $qos = $o{qos} || 0;
    my $id = $qos ? $self->{next}++ : undef;
    my $body = text($topic) . ($qos ? pack('n', $id) : '');

    if ($self->{version} == 5) {
        my $props = defined $o{type} ? "\x03" . text($o{type}) : '';

        $body .= chr(length($props)) . $props;
    }

    $self->send(0x30 | $qos << 1, $body . $payload);

    return $id;
}


# the codes of the answer
sub subscribe {
    my ($self, @filters) = @_;
    my $qos = 1;

    my $body = pack('n', $self->{next}++);

    $body .= "\0" if $self->{version} == 5;

    for my $filter (@filters) {
        my ($name, $q) = ref($filter) ? @$filter : ($filter, $qos);

        $body .= text($name) . chr($q);
    }

    $self->send(0x82, $body);

    return $self->wait('SUBACK')->{codes};
}


sub unsubscribe {
    my ($self, @filters) = @_;
    my $body = pack('n', $self->{next}++);

    $body .= "\0" if $self->{version} == 5;
    $body .= text($_) for @filters;

    $self->send(0xa2, $body);

    return $self->wait('UNSUBACK')->{codes};
}


# the next packet; undef: none within the time; {type => 'CLOSED'} at the end
sub packet {
    my ($self, $timeout) = @_;
    my $until = time + (defined $timeout ? $timeout : 10);

    for ( ;; ) {
        my $packet = $self->parse;
        return $packet if $packet;

        my $left = $until - time;
        return undef
            if $left <= 0
               || !IO::Select->new($self->{socket})->can_read($left);

        my $n = sysread($self->{socket}, $self->{in}, 65536,
            length($self->{in}));
        return { type => 'CLOSED' } if !$n;
    }
}


sub parse {
    my ($self) = @_;
    my ($n, $shift, $pos) = (0, 0, 1);

    for ( ;; ) {
        return undef if $pos >= length($self->{in});

        my $byte = ord(substr($self->{in}, $pos++, 1));

        $n |= ($byte & 127) << $shift;
        $shift += 7;
        last if !($byte & 128);
    }

    return undef if length($self->{in}) < $pos + $n;

    my $first = ord(substr($self->{in}, 0, 1));
    my $body = substr($self->{in}, $pos, $n);

    substr($self->{in}, 0, $pos + $n, '');

    return $self->decode($first, $body);
}


sub decode {
    my ($self, $first, $body) = @_;
    my $type = $types[$first >> 4];
    my $v5 = $self->{version} == 5;
    my %p = (type => $type, reason => 0);

    if ($type eq 'CONNACK') {
        ($p{present}, $p{reason}) = unpack('CC', $body);

    } elsif ($type eq 'PUBLISH') {
        $p{qos} = ($first >> 1) & 3;
        ($p{topic}, $body) = unpack('n/a* a*', $body);
        ($p{id}, $body) = unpack('n a*', $body) if $p{qos};
        $body = substr($body, 1 + ord($body)) if $v5;
        $p{payload} = $body;

    } elsif ($type =~ /^PUB/) {
        ($p{id}, $p{reason}) = unpack('nC', "$body\0");

    } elsif ($type =~ /ACK$/) {
        ($p{id}, $body) = unpack('n a*', $body);
        $body = substr($body, 1 + ord($body)) if $v5;
        $p{codes} = [unpack('C*', $body)];

    } elsif ($type eq 'DISCONNECT') {
        $p{reason} = ord("$body\0");
    }

    return \%p;
}


# the next packet of a type; others are kept
sub wait {
    my ($self, $type, $timeout) = @_;
    my $queue = $self->{queue};

    for my $i (0 .. $#$queue) {
        return splice(@$queue, $i, 1) if $queue->[$i]{type} eq $type;
    }

    while (my $packet = $self->packet($timeout)) {
        return $packet if $packet->{type} eq $type;
        return { type => 'CLOSED', reason => -1, codes => [], payload => '' }
            if $packet->{type} eq 'CLOSED';

        push @$queue, $packet;
    }

    return { type => 'NONE', reason => -1, codes => [], payload => '' };
}


sub ack { return $_[0]->wait('PUBACK', $_[1]) }


# the next message, acknowledged
sub message {
    my ($self, $timeout) = @_;
    my $packet = $self->wait('PUBLISH', $timeout);

    $self->send(0x40, pack('n', $packet->{id})) if $packet->{qos};

    return $packet;
}


# "CLOSED", or the reason of a DISCONNECT before it
sub ended {
    my ($self) = @_;
    my $reason = '';

    while (my $packet = $self->packet) {
        $reason = sprintf(' %02x', $packet->{reason})
            if $packet->{type} eq 'DISCONNECT';
        return "closed$reason" if $packet->{type} eq 'CLOSED';
    }

    return 'open';
}


# 1 when it answers a ping: all before has been looked at
sub alive {
    my ($self) = @_;

    $self->send(0xc0, '');

    return $self->wait('PINGRESP', 5)->{type} eq 'PINGRESP';
}


sub close {
    my ($self) = @_;

    $self->send(0xe0, '');
    close($self->{socket});
}


1;
