package IotTest::Bus;

# Copyright (C) the ngx_iot authors

# An instance with an open MQTT listener, and clients that are just good enough
# to see what the bus does: MQTT 3.1.1, QoS 0 and 1.

use strict;
use warnings;

use parent -norequire, 'IotTest';

use IO::Select ();
use IO::Socket::INET ();
use IotTest ();
use Time::HiRes qw(time);

use constant { WAIT => 15 };


sub new {
    my ($class, %o) = @_;

    my $self = IotTest::new($class, workers => 4, start => 0, %o);
    my $tenant = $self->tenant_id;

    $self->{open_port} = IotTest::free_port();
    $self->snippet('stream', "server {\n"
        . "    listen 127.0.0.1:$self->{open_port} reuseport;\n"
        . "    iot_mqtt;\n"
        . "    iot_mqtt_anonymous $tenant;\n}\n");
    $self->start;

    return $self;
}


my $clients = 0;


# a connected client; with subscribe => [filters] subscribed, too
sub bus_client {
    my ($self, %o) = @_;

    my $id = $o{id} || "c$$-" . ++$clients;
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
        PeerPort => $self->{open_port}, Proto => 'tcp') or die "connect: $!\n";

    my $client = bless { socket => $socket, in => '', id => $id,
        packet_id => 0, got => [], acks => {} }, 'IotTest::Bus::Client';

    $client->write(packet(0x10, text('MQTT') . "\x04\x02" . pack('n', 0)
        . text($id)));
    $client->until(sub { $client->{connected} });
    $client->subscribe(@{$o{subscribe}}) if $o{subscribe};

    return $client;
}


# a counter or gauge of the metrics page
sub metric {
    my ($self, $name) = @_;

    my ($value) = $self->get('/metrics')->body =~ /^\Q$name\E ([\d.]+)$/m;

    return $value;
}


# reads from all until the condition holds; the names of those missing it
sub all_until {
    my ($condition, @clients) = @_;

    my $end = time() + WAIT;
    my @missing;

    while (1) {
        @missing = grep { !$condition->($_) } @clients;
        last if !@missing || time() > $end;

        my $select = IO::Select->new(map { $_->{socket} } @missing);
        my %ready = map { $_ => 1 } $select->can_read(1);

        for my $client (@missing) {
            $client->read_some if $ready{$client->{socket}};
        }
    }

    return map { $_->{id} } @missing;
}


sub text { return pack('n/a*', $_[0]) }


sub packet {
    my ($type, $body) = @_;

    my $length = length($body);
    my $head = chr($type);

    do {
        my $byte = $length & 127;
        $length >>= 7;
        $head .= chr($byte | ($length ? 128 : 0));
    } while ($length);

    return $head . $body;
}


package IotTest::Bus::Client;

use strict;
use warnings;

use Time::HiRes qw(time);


sub write {
    my ($self, $bytes) = @_;

    local $SIG{PIPE} = 'IGNORE';
    my $done = 0;

    while ($done < length($bytes)) {
        my $n = syswrite($self->{socket}, $bytes, length($bytes) - $done,
            $done);
        return 0 if !defined $n;
        $done += $n;
    }

    return 1;
}


sub subscribe {
    my ($self, @filters) = @_;

    my $id = ++$self->{packet_id} & 0xffff;

    $self->write(IotTest::Bus::packet(0x82, pack('n', $id)
        . join('', map { IotTest::Bus::text($_) . "\x01" } @filters)));
    $self->until(sub { $self->{acks}{"sub$id"} });
}


sub unsubscribe {
    my ($self, @filters) = @_;

    my $id = ++$self->{packet_id} & 0xffff;

    $self->write(IotTest::Bus::packet(0xa2, pack('n', $id)
        . join('', map { IotTest::Bus::text($_) } @filters)));
    $self->until(sub { $self->{acks}{"unsub$id"} });
}


# does not wait; an acknowledgement counts in {pubacks}
sub publish {
    my ($self, $topic, $payload, $qos) = @_;

    my $id = '';

    if ($qos) {
        $self->{packet_id} = $self->{packet_id} % 60000 + 1;
        $id = pack('n', $self->{packet_id});
    }

    $self->{sent}++ if $qos;

    return $self->write(IotTest::Bus::packet($qos ? 0x32 : 0x30,
        IotTest::Bus::text($topic) . $id . $payload));
}


sub acknowledged {
    my ($self) = @_;

    return $self->until(sub {
        ($self->{pubacks} || 0) >= ($self->{sent} || 0)
    });
}


sub until {
    my ($self, $condition) = @_;

    return !IotTest::Bus::all_until(sub { $condition->() || $self->{closed} },
        $self) && !$self->{closed};
}


sub read_some {
    my ($self) = @_;

    my $n = sysread($self->{socket}, $self->{in}, 262144, length($self->{in}));

    if (!$n) {
        $self->{closed} = 1;
        return;
    }

    while (length($self->{in}) >= 2) {
        my ($length, $shift, $at) = (0, 0, 1);
        my $byte;

        do {
            return if $at >= length($self->{in});
            $byte = ord(substr($self->{in}, $at++, 1));
            $length |= ($byte & 127) << $shift;
            $shift += 7;
        } while ($byte & 128);

        return if length($self->{in}) < $at + $length;

        my $type = ord($self->{in});
        my $body = substr($self->{in}, $at, $length);

        substr($self->{in}, 0, $at + $length) = '';
        $self->packet_in($type, $body);
    }
}


sub packet_in {
    my ($self, $type, $body) = @_;

    my $kind = $type >> 4;

    $self->{connected} = 1 if $kind == 2 && $body eq "\0\0";
    $self->{pubacks}++ if $kind == 4;
    $self->{acks}{'sub' . unpack('n', $body)} = 1 if $kind == 9;
    $self->{acks}{'unsub' . unpack('n', $body)} = 1 if $kind == 11;

    return if $kind != 3;

    my ($topic) = unpack('n/a*', $body);
    my $at = 2 + length($topic);

    if ($type & 6) {
        $self->write("\x40\x02" . substr($body, $at, 2));
        $at += 2;
    }

    push @{$self->{got}}, [$topic, substr($body, $at)];
}


1;
