package IotTest::Ws;

# Copyright (C) the ngx_iot authors

# A client of the WebSocket of the ThingsBoard API:
#
#     my $ws = IotTest::Ws->new($t, '/api/ws');
#
#     $ws->send({ authCmd => … });
#     is_deeply($ws->next, { … }, 'the answer');

use strict;
use warnings;

use JSON::XS qw(decode_json encode_json);
use Protocol::WebSocket::Frame;


sub new {
    my ($class, $t, $path) = @_;
    my $c = $t->client;

    $c->write("GET $path HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
        . "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        . "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");

    my $head = $c->read_until(qr/\r\n\r\n/);

    die "not upgraded: $head\n" if $head !~ m{^HTTP/1\.1 101 };

    return bless { client => $c,
        frame => Protocol::WebSocket::Frame->new(
            max_payload_size => 10_000_000) }, $class;
}


# one that has said who it is
sub login {
    my ($class, $t, $token) = @_;
    my $self = $class->new($t, '/api/ws');

    $self->send({ authCmd => { cmdId => 0, token => $token }, cmds => [] });

    return $self;
}


# data, or text as it is
sub send {
    my ($self, $text) = @_;

    $self->{client}->write(Protocol::WebSocket::Frame->new(
        buffer => ref($text) ? encode_json($text) : $text, masked => 1,
        type => 'text', max_payload_size => 100000)->to_bytes);
}


sub command {
    my ($self, %command) = @_;

    $self->send({ cmds => [\%command] });
}


# the next message as data, "close CODE TEXT", or "end"
sub next {
    my ($self) = @_;
    my ($frame, $client) = @$self{qw(frame client)};

    while (1) {
        $frame->append($client->{buffer});
        $client->{buffer} = '';

        while (defined(my $bytes = $frame->next_bytes)) {
            return 'close ' . unpack('n', $bytes) . ' ' . substr($bytes, 2)
                if $frame->is_close;
            return decode_json($bytes) if $frame->is_text;

            $client->write(Protocol::WebSocket::Frame->new(buffer => $bytes,
                masked => 1, type => 'pong')->to_bytes) if $frame->is_ping;
        }

        my $rc = $client->fill;

        return defined $rc ? 'end' : 'silence' if !$rc;
    }
}


1;
