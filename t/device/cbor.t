#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# CBOR over HTTP: each vector is posted and looked up in the tables.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use JSON::XS ();
use Time::HiRes ();
use Test::More;
use IotTest::Device;

my $t = IotTest::Device->new;
my $json = JSON::XS->new->utf8->allow_nonref->canonical;
my $file = "$FindBin::Bin/../data/cbor_ingest.json";

open(my $fh, '<', $file) or die "$file: $!";
my $data = $json->decode(do { local $/; <$fh> });
close($fh);

my @type = (type => 'application/cbor');


# what a value of the vectors is in the tables
sub expected {
    my ($v) = @_;

    return [DOUBLE => $v->{bits}] if $v->{type} eq 'DOUBLE';
    return [JSON => $json->encode($v->{value})] if $v->{type} eq 'JSON';
    return [BOOLEAN => $v->{value} ? 'true' : 'false']
        if $v->{type} eq 'BOOLEAN';
    return [$v->{type} => "$v->{value}"];
}


# JSON is compared as what it means
sub plain {
    my ($v) = @_;

    return $v if $v->[0] ne 'JSON';
    my $text = $v->[1];
    utf8::encode($text);
    return [JSON => $json->encode($json->decode($text))];
}


my ($accepted, $refused) = (0, 0);

for my $v (@{$data->{vectors}}) {
    my $telemetry = $v->{mode} eq 'telemetry';
    my $method = $telemetry ? 'telemetry' : 'attributes';
    my $name = "$v->{id}: $v->{note}";
    my $before = int(Time::HiRes::time() * 1000) - 5;

    $t->wipe;
    my $a = $t->$method(pack('H*', $v->{hex}), @type);

    if (defined $v->{error}) {
        is($a->status, 400, "$name: refused");
        is($a->body, $v->{error}, 'for its reason');
        is_deeply($telemetry ? $t->points : $t->stored_attributes(1), {},
            'nothing is stored');
        $refused++;
        next;
    }

    $accepted++;
    is($a->status, 200, "$name: accepted") or diag($a->body);

    if (!$telemetry) {
        my $values = $v->{expect}{values};
        my $stored = $t->stored_attributes(1);

        is_deeply({ map { $_ => plain($stored->{$_}) } keys %$stored },
            { map { $_ => plain(expected($values->{$_})) } keys %$values },
            'stored');
        next;
    }

    my (%want, %have, $late);

    for my $record (@{$v->{expect}{records}}) {
        my $ts = defined $record->{ts} ? $record->{ts} : 'now';
        $want{$_}{$ts} = plain(expected($record->{values}{$_}))
            for keys %{$record->{values}};
    }

    my $points = $t->points;

    for my $key (keys %$points) {
        for my $point (@{$points->{$key}}) {
            my $ts = $point->[0];
            $ts = 'now' if $ts >= $before && $ts < $before + 60_000;
            $have{$key}{$ts} = plain([@$point[1, 2]]);
        }
    }

    is_deeply(\%have, \%want, 'stored') or diag(explain(\%have, \%want));
}

is($accepted, $data->{accepted}, 'all that are to be accepted');
is($refused, $data->{refused}, 'all that are to be refused');

# --- how it is asked for

my $body = pack('H*', 'a1616101');

for my $type ('application/cbor', 'APPLICATION/CBOR', 'cbor',
    'application/cbor; version=1', 'application/cbor ;x')
{
    is($t->telemetry($body, type => $type)->status, 200, $type);
}

for my $type ('application/cbor-seq', 'application/xml', 'image/png', 'x') {
    is($t->telemetry($body, type => $type)->status, 415, "$type: no");
}

is($t->telemetry($body, type => 'application/json')->status, 400,
    'CBOR that is said to be JSON');
is($t->telemetry('{"a":1}', @type)->status, 400,
    'JSON that is said to be CBOR');

is($t->post('/api/v1/provision', @type, body => pack('H*', 'a0'))->status, 400,
    'provisioning in CBOR is read, and misses its key');

done_testing();
