package IotTest::Mqtt;

# Copyright (C) the ngx_iot authors

# An instance with an anonymous MQTT listener, and raw packets for it:
#
#     my $t = IotTest::Mqtt->start(workers => 2);
#     my $c = $t->mqtt(5, 'me', clean => 1);
#
#     $c->send(12, 0, '');
#     is($c->packet, 'd0 00', 'a ping is answered');

use strict;
use warnings;

use Exporter qw(import);
use IO::Select ();
use IO::Socket::INET ();
use Time::HiRes qw(time);
use IotTest ();

our @EXPORT = qw(str packet hex_of u16 u32);


sub str { return pack('n/a*', $_[0]) }
sub u16 { return pack('n', $_[0]) }
sub u32 { return pack('N', $_[0]) }
sub hex_of { return join(' ', unpack('(H2)*', $_[0])) }


sub packet {
    my ($type, $flags, $body) = @_;
    my $n = length($body);
    my $length = '';

    do {
        my $byte = $n % 128;

        $n = int($n / 128);
        $length .= chr($n ? $byte | 128 : $byte);
    } while ($n);

    return chr($type << 4 | $flags) . $length . $body;
}


sub start {
    my ($class, %o) = @_;
    my $directives = delete $o{directives} || '';
    my $self = IotTest->new(%o, start => 0);

    $self->{anonymous} = IotTest::free_port();
    $self->{directives} = $directives;
    listeners($self);
    $self->start;

    return bless { t => $self }, 'IotTest::Mqtt::Instance';
}


sub listeners {
    my ($self) = @_;
    my $tenant = $self->tenant_id;

    $self->snippet('stream', "server {\n"
        . "    listen 127.0.0.1:$self->{anonymous};\n"
        . "    iot_mqtt;\n    iot_mqtt_anonymous $tenant;\n"
        . "    $self->{directives}\n}\n");
    $self->snippet('server', "location = /anonymous {\n"
        . "    iot_mqtt;\n    iot_mqtt_anonymous $tenant;\n}\n");
}


package IotTest::Mqtt::Instance;

use strict;
use warnings;

our $AUTOLOAD;


# everything that is not MQTT is the instance's
sub AUTOLOAD {
    my $self = shift;
    my ($name) = $AUTOLOAD =~ /(\w+)$/;

    return if $name eq 'DESTROY';
    return $self->{t}->$name(@_);
}


sub anonymous { return $_[0]->{t}{anonymous} }


# a connected client; user, password, clean, keep, expiry, will, raw properties
sub mqtt {
    my ($self, $version, $id, %o) = @_;
    my $c = $self->raw(%o);

    $c->{version} = $version;
    $c->connect($id, %o);
    $c->{connack} = $c->packet;

    return $c;
}


sub raw {
    my ($self, %o) = @_;

    return IotTest::Mqtt::Client->new($o{port} || $self->anonymous);
}


package IotTest::Mqtt::Client;

use strict;
use warnings;

use Time::HiRes qw(time);


sub new {
    my ($class, $port) = @_;
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
        PeerPort => $port, Proto => 'tcp') or die "connect: $!\n";

    binmode($socket);
    $socket->autoflush(1);

    return bless { socket => $socket, in => '', version => 4 }, $class;
}


sub connect_body {
    my ($self, $id, %o) = @_;
    my $v = $self->{version};
    my $flags = (exists $o{clean} ? $o{clean} : 1) ? 2 : 0;
    my $will = $o{will};

    $flags |= 4 | ($will->{qos} || 0) << 3 | ($will->{retain} ? 32 : 0)
        if $will;
    $flags |= 128 if defined $o{user};
    $flags |= 64 if defined $o{password};

    my $props = $o{props} || '';

    $props .= "\x11" . pack('N', $o{expiry}) if defined $o{expiry};

    return IotTest::Mqtt::str($v == 3 ? 'MQIsdp' : 'MQTT') . chr($v)
        . chr($flags) . pack('n', defined $o{keep} ? $o{keep} : 60)
        . ($v == 5 ? chr(length($props)) . $props : '')
        . IotTest::Mqtt::str($id)
        . ($will ? ($v == 5 ? chr(length($will->{props} || ''))
            . ($will->{props} || '') : '')
            . IotTest::Mqtt::str($will->{topic})
            . IotTest::Mqtt::str($will->{payload}) : '')
        . (defined $o{user} ? IotTest::Mqtt::str($o{user}) : '')
        . (defined $o{password} ? IotTest::Mqtt::str($o{password}) : '');
}


sub connect {
    my ($self, $id, %o) = @_;

    $self->send(1, 0, $self->connect_body($id, %o));
}


sub send {
    my ($self, $type, $flags, $body) = @_;

    $self->bytes(IotTest::Mqtt::packet($type, $flags, $body));
}


sub bytes {
    my ($self, $bytes) = @_;

    local $SIG{PIPE} = 'IGNORE';
    return $self->{socket}->syswrite($bytes);
}


sub publish {
    my ($self, $topic, $payload, %o) = @_;
    my $qos = $o{qos} || 0;

    $self->send(3, ($o{dup} ? 8 : 0) | $qos << 1 | ($o{retain} ? 1 : 0),
        IotTest::Mqtt::str($topic) . ($qos ? pack('n', $o{id} || 1) : '')
        . ($self->{version} == 5
            ? chr(length($o{props} || '')) . ($o{props} || '') : '')
        . $payload);
}


sub subscribe {
    my ($self, $filter, $options, %o) = @_;

    $self->send(8, 2, pack('n', $o{id} || 1)
        . ($self->{version} == 5
            ? chr(length($o{props} || '')) . ($o{props} || '') : '')
        . IotTest::Mqtt::str($filter) . chr($options || 0));

    return $self->packet;
}


# the next packet in hexadecimal; 'closed', or '' after the time
sub packet {
    my ($self, $seconds) = @_;
    my $end = time() + (defined $seconds ? $seconds : 5);
    my $select = IO::Select->new($self->{socket});

    while (1) {
        if ($self->{in} =~ /^(.)([\x80-\xff]{0,3}[\x00-\x7f])/s) {
            my ($n, $shift) = (0, 0);

            for my $byte (unpack('C*', $2)) {
                $n |= ($byte & 127) << $shift;
                $shift += 7;
            }

            my $size = 1 + length($2) + $n;

            return IotTest::Mqtt::hex_of(substr($self->{in}, 0, $size, ''))
                if length($self->{in}) >= $size;
        }

        return 'closed' if $self->{eof};

        my $left = $end - time();

        return '' if $left <= 0 || !$select->can_read($left);

        my $got = $self->{socket}->sysread($self->{in}, 65536,
            length($self->{in}));

        $self->{eof} = 1 unless $got;
    }
}


# topic and payload of the next PUBLISH, and its first byte; acknowledges it
sub message {
    my ($self, $seconds) = @_;
    my $bytes = pack('H*', join('', split(/ /, $self->packet($seconds))))
        or return '';
    my $first = ord($bytes);
    my $qos = $first >> 1 & 3;

    return unpack('H*', $bytes) if $first >> 4 != 3;

    $bytes =~ s/^.[\x80-\xff]{0,3}[\x00-\x7f]//s;

    my ($topic, $rest) = unpack('n/a* a*', $bytes);
    my $id = $qos ? unpack('n', substr($rest, 0, 2, '')) : 0;

    substr($rest, 0, 1 + ord($rest), '') if $self->{version} == 5;
    $self->{last} = { first => $first, qos => $qos, id => $id };

    $self->send(4, 0, pack('n', $id)) if $qos == 1 && !$self->{mute};

    return "$topic $rest";
}


sub close {
    my ($self) = @_;

    CORE::close($self->{socket});
}


1;
