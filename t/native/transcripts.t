#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# Recorded sessions of real clients, played by a device: what the server says
# is what was recorded, but for the ids that it chooses, and what the device
# answers comes out of the API.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use JSON::XS ();
use MIME::Base64 qw(encode_base64);
use Test::More;
use IotTest;
use IotTest::Client;
use IotTest::Native;

my $json = JSON::XS->new->utf8->allow_nonref;
my $file = IotCtl::Run::read_file("$FindBin::Bin/../data/thinger_native.json");
my @sessions = grep { $_->{protocol} !~ /WebSocket/ }
    @{$json->decode($file)->{sessions}};
my $t = IotTest->new(workers => 2);
my @auth = ([Authorization => 'Bearer ' . $t->tenant]);
my ($calls, %made) = (0);

is($t->put('/v1/users/' . $t->account('TENANT_EMAIL'), headers => \@auth,
    json => { user => 'alice' })->status, 200, 'the account');

for my $session (@sessions) {
    my @frames = @{$session->{frames}};
    my ($login, $reply) = splice(@frames, 0, 2);
    my $name = $session->{id};
    my $d = enter($name, $login, $reply) or next;

    while (my $frame = shift @frames) {
        next if $frame->{dir} ne 'S>D';

        my $answer = answer_to($frame, @frames) or next;

        exchange($name, $d, $frame, $answer);
    }
}

cmp_ok($calls, '>', 40, "$calls calls were played");
$t->finish;
done_testing();


# the recorded secret is made the right one, but where it was refused
sub enter {
    my ($name, $login, $reply) = @_;
    my $who = $login->{decoded}{resource} || $login->{decoded}{payload};
    my $device = ref($who) eq 'ARRAY' ? $who->[1] : undef;

    return unless $device && $login->{hex};

    my $refused = $name =~ /reject/;

    $t->post('/v1/users/alice/devices', headers => \@auth,
        json => { device => $device, credentials => 'first1' })
        unless $made{$device}++;
    $t->put("/v1/users/alice/devices/$device", headers => \@auth,
        json => { credentials => $refused ? 'another' : $who->[2] });

    my $d = IotTest::Native->new($t->port('native'));

    $d->{device} = $device;
    $d->hex($login->{hex});
    is($d->frame, $reply->{hex}, "$name: the answer to who it is");

    return $refused ? undef : $d;
}


# of a run or a description: the frame of the device with the same id
sub answer_to {
    my ($frame, @rest) = @_;
    my $said = $frame->{decoded};
    my $what = $said->{signal_flag} || $said->{type};

    return unless $what =~ /^(?:RUN|DESCRIBE)$/ && $said->{stream_id}
        && path_of($said) !~ m{/$|//|^$};

    for my $next (@rest) {
        return $next if $next->{dir} eq 'D>S'
            && ($next->{decoded}{stream_id} || 0) == $said->{stream_id}
            && ($next->{decoded}{signal_flag} || $next->{decoded}{type})
                =~ /^(?:OK|ERROR)$/;
    }

    return;
}


sub path_of {
    my ($said) = @_;
    my $resource = $said->{resource};
    my $path = !defined $resource ? '' : ref($resource)
        ? join('/', @$resource) : $resource;

    return $said->{type} eq 'DESCRIBE'
        ? $path eq '' ? 'api' : "$path/api" : $path;
}


sub exchange {
    my ($name, $d, $frame, $answer) = @_;
    my $said = $frame->{decoded};
    my $path = path_of($said);
    my $describe = $path =~ m{(?:^|/)api$};
    my $payload = $said->{payload};
    my $bytes = ref($payload) eq 'HASH' ? $payload->{'$bytes'} : undef;
    my @headers = @auth;
    my $body = '';

    if (defined $bytes) {
        $body = pack('H*', $bytes);
        push @headers, ['Content-Type' => 'application/octet-stream'];

    } elsif (exists $said->{payload}) {
        $body = $json->encode($payload);
        push @headers, ['Content-Type' => 'application/json'];
    }

    my $caller = $t->client;
    my $url = $path;

    $url =~ s/([^A-Za-z0-9\/_.\$-])/sprintf('%%%02X', ord($1))/ge;
    $caller->write(IotTest::Client::format_request($describe ? 'GET' : 'POST',
        "/v3/users/alice/devices/$d->{device}/resources/$url", \@headers,
        $describe ? undef : $body));

    my ($id, $rest) = $d->request;
    my (undef, $recorded) = $frame->{hex}
        =~ /^..(?:[89a-f].)*[0-7].08((?:[89a-f].)*[0-7].)(.*)$/;

    # members of an object come in any order
    if (ref($payload) eq 'HASH') {
        ($rest, $recorded) = map { join('', sort(/../g)) } $rest, $recorded;
    }

    is($rest, $recorded, "$name: $path is asked as it was");

    my $hex = $answer->{hex};
    my $old = varint($said->{stream_id});

    $hex =~ s/^(..)(?:[89a-f].)*[0-7].//;

    my $type = $1;

    # in front, or at the end
    $hex =~ s/^08$old/08$id/ || $hex =~ s/08$old$/08$id/
        || die "no id in $answer->{hex}\n";

    $d->hex($type . varint(length($hex) / 2) . $hex);

    my $got = $caller->answer;
    my $failed = ($answer->{decoded}{signal_flag} || $answer->{decoded}{type})
        eq 'ERROR';

    $calls++;

    if ($failed) {
        cmp_ok($got->status, '>=', 400, "$name: $path fails");
        return;
    }

    is($got->status, 200, "$name: $path");

    my $value = $answer->{decoded}{payload};

    if (!exists $answer->{decoded}{payload}) {
        is($got->body, '', "$name: no value");

    } elsif (ref($value) eq 'HASH' && defined $value->{'$bytes'}) {
        is(unpack('H*', $got->body), $value->{'$bytes'}, "$name: bytes");

    } else {
        is_deeply($json->decode($got->body), base64($value), "$name: value");
    }
}


sub varint {
    my ($n) = @_;
    my $hex = '';

    for (; $n > 127; $n >>= 7) {
        $hex .= sprintf('%02x', $n & 127 | 128);
    }

    return $hex . sprintf('%02x', $n);
}


# bytes inside of a value are text in JSON
sub base64 {
    my ($value) = @_;

    return [map { base64($_) } @$value] if ref($value) eq 'ARRAY';
    return $value unless ref($value) eq 'HASH';
    return encode_base64(pack('H*', $value->{'$bytes'}), '')
        if exists $value->{'$bytes'};
    return { map { $_ => base64($value->{$_}) } keys %$value };
}
