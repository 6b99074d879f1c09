package IotTest::Native;

# Copyright (C) the ngx_iot authors

# A Thinger.io device made of bytes:
#
#     my $d = IotTest::Native->new($t->port('native'));
#     $d->hex('011a10052672154a05616c69...');
#     is($d->frame, '01021001', 'it may enter');

use strict;
use warnings;

use IO::Select ();
use IO::Socket::INET ();
use Time::HiRes qw(time);


sub new {
    my ($class, $port, $socket) = @_;

    $socket ||= IO::Socket::INET->new(PeerAddr => '127.0.0.1',
        PeerPort => $port, Proto => 'tcp') or die "port $port: $!\n";

    return bless { socket => $socket, in => '' }, $class;
}


sub bytes { my ($self, $data) = @_; $self->{socket}->syswrite($data) }
sub hex { my ($self, $hex) = @_; $self->bytes(pack('H*', $hex)) }


# a text as PSON v1, and the frame of a message
sub text { return pack('CC/a*', 0x4a, $_[0]) }
sub message { return pack('CC/a*', 1, $_[0]) }


sub login {
    my ($self, $user, $device, $secret) = @_;
    my $list = join('', map { text($_) } $user, $device, $secret);

    $self->bytes(message("\x10\x05\x26" . pack('CC/a*', 0x72, $list)));

    return $self->frame;
}


# the next whole frame, as hexadecimal digits; '' at the end; undef: nothing
sub frame {
    my ($self, $seconds) = @_;
    my $until = time() + ($seconds || 10);

    for (;;) {
        if ($self->{in} =~ /\A.(?:[\x80-\xff]{0,4})[\x00-\x7f]/s) {
            my ($n, $at, $shift) = (0, 1, 0);

            for (;;) {
                my $byte = ord(substr($self->{in}, $at++, 1));
                $n |= ($byte & 127) << $shift;
                $shift += 7;
                last if $byte < 128;
            }

            if (length($self->{in}) >= $at + $n) {
                return unpack('H*', substr($self->{in}, 0, $at + $n, ''));
            }
        }

        my $left = $until - time();

        return undef if $left <= 0
            || !IO::Select->new($self->{socket})->can_read($left);

        my $got = $self->{socket}->sysread(my $data, 65536);

        return '' unless $got;

        $self->{in} .= $data;
    }
}


# takes a request: (stream id as it is on the wire, the rest), in hexadecimal
sub request {
    my ($self, $seconds) = @_;
    my $frame = $self->frame($seconds);

    return unless defined $frame;
    return $frame =~ /^..(?:[89a-f].)*[0-7].08((?:[89a-f].)*[0-7].)(.*)$/
        ? ($1, $2) : ();
}


# answers it: OK (1) or ERROR (2), and a payload as PSON in hexadecimal
sub answer {
    my ($self, $id, $flag, $payload) = @_;

    $self->bytes(message(pack('H*', "08${id}100$flag"
        . (defined $payload ? "36$payload" : ''))));
}


1;
