#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# Devices that are known by their certificates, or by who has signed these.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use File::Temp ();
use IO::Socket::SSL qw(SSL_VERIFY_NONE);
use Test::More;
use IotTest::Device;
use IotTest::TbMqtt;
use IotCtl::Run qw(run_program read_file write_file);

my $t = IotTest::Device->new(workers => 2);
my $tenant = $t->tenant;
my $dir = File::Temp::tempdir(CLEANUP => 1);


sub openssl {
    my ($code, $out, $err) = run_program(['openssl', @_]);

    die "openssl @_: $err" if $code != 0;
}


# a key and a certificate: issuer (a name; itself), ca, days, name
sub certificate {
    my ($file, %o) = @_;
    my $extensions = $o{ca} ? 'basicConstraints=critical,CA:TRUE'
        : 'basicConstraints=critical,CA:FALSE';

    openssl('req', '-new', '-newkey', 'ec', '-pkeyopt',
        'ec_paramgen_curve:prime256v1', '-nodes', '-keyout',
        "$dir/$file.key", '-out', "$dir/$file.csr", '-subj',
        '/O=Plant/CN=' . ($o{name} || $file));
    write_file("$dir/$file.ext", "$extensions\n", 0644);
    openssl('x509', '-req', '-in', "$dir/$file.csr", '-out', "$dir/$file.crt",
        '-extfile', "$dir/$file.ext", '-days', $o{days} || 10,
        $o{issuer} ? ('-CA', "$dir/$o{issuer}.crt", '-CAkey',
            "$dir/$o{issuer}.key", '-CAcreateserial')
            : ('-signkey', "$dir/$file.key"));

    return read_file("$dir/$file.crt");
}


# PEM without the text that is no part of it
sub bare {
    my ($pem) = @_;

    return join('', grep { !/^-----/ } split(/\r?\n/, $pem));
}


# how a client with these certificates and that key is received
sub connected {
    my ($file, %o) = @_;

    write_file("$dir/chain.pem", join('', map { read_file("$dir/$_.crt") }
        $file, @{$o{chain} || []}), 0644);

    my $socket = IO::Socket::SSL->new(PeerAddr => '127.0.0.1',
        PeerPort => $t->port('MQTTS'), SSL_verify_mode => SSL_VERIFY_NONE,
        SSL_cert_file => "$dir/chain.pem",
        SSL_key_file => "$dir/" . ($o{key} || $file) . '.key')
        or return;

    my $c = IotTest::TbMqtt->open($t, socket => $socket, %o);
    my $packet = $c->packet;

    return ($packet->{type} eq 'CONNACK' ? $packet->{reason} : -1, $c);
}


sub credentials {
    my ($device, $value) = @_;
    my $c = $t->get("/api/device/$device/credentials", token => $tenant)->json;

    $c->{credentialsType} = 'X509_CERTIFICATE';
    $c->{credentialsValue} = $value;
    $c->{credentialsId} = undef;

    return $t->post('/api/device/credentials', token => $tenant, json => $c);
}


# --- of one device

my $pem = certificate('one');
my $answer = credentials($t->device_id, $pem);

is($answer->status, 200, 'a certificate for credentials');
is($answer->json->{credentialsValue}, bare($pem), 'kept on one line');
like($answer->json->{credentialsId}, qr/^[0-9a-f]{64}$/, 'by its hash');

my ($code, $c) = connected('one');

is($code, 0, 'the device is known by it');
$c->publish('v1/devices/me/telemetry', '{"t":1}', qos => 1);
is($c->ack->{type}, 'PUBACK', 'and publishes');
is($t->get('/api/plugins/telemetry/DEVICE/' . $t->device_id
    . '/values/timeseries?keys=t', token => $tenant)->json->{t}[0]{value},
    '1', 'what is stored');

is((connected('one', user => 'anything', password => 'x'))[0], 0,
    'name and password do not matter then');
certificate('two');
is((connected('two'))[0], 5, 'another certificate is not known');
is((connected('two', version => 5))[0], 0x87, 'not in 5.0 either');
is((connected('two', user => $t->device_token))[0], 5,
    'a token does not help it');
certificate('late', days => -1);
credentials($t->device_id, read_file("$dir/late.crt"));
is((connected('late'))[0], -1, 'one that has expired ends the handshake');

# the change above ends the session of the old one
is($c->ended, 'closed', 'who came with the former one is sent away');
is((connected('one'))[0], 5, 'it is not known any more');

# --- by who has signed it

certificate('root', ca => 1);
my $issuer = certificate('maker', ca => 1, issuer => 'root');
certificate('unit7', issuer => 'maker', name => 'unit-7.plant');

is((connected('unit7', chain => ['maker', 'root']))[0], 5,
    'no profile trusts the maker');

my %profile = (name => 'Made here', type => 'DEFAULT',
    transportType => 'DEFAULT', provisionType => 'X509_CERTIFICATE_CHAIN',
    profileData => { provisionConfiguration => {
        type => 'X509_CERTIFICATE_CHAIN', provisionDeviceSecret => $issuer,
        certificateRegExPattern => '([^.]+)',
        allowCreateNewDevicesByX509Certificate => JSON::XS::false() } });

$answer = $t->post('/api/deviceProfile', token => $tenant, json => \%profile);
is($answer->status, 200, 'a profile that trusts it') or diag($answer->body);
like($answer->json->{provisionDeviceKey}, qr/^[0-9a-f]{64}$/,
    'its key is the hash of the certificate');

my $made = $answer->json;

is((connected('unit7', chain => ['maker']))[0], 5,
    'it does not make devices');

$made->{profileData}{provisionConfiguration}
    {allowCreateNewDevicesByX509Certificate} = JSON::XS::true();
$answer = $t->post('/api/deviceProfile', token => $tenant, json => $made);
is($answer->status, 200, 'now it does');

($code, $c) = connected('unit7', chain => ['maker']);
is($code, 0, 'a device that nobody has heard of is let in');
$c->publish('v1/devices/me/telemetry', '{"t":7}', qos => 1);
is($c->ack->{type}, 'PUBACK', 'and publishes');

my $device = $t->get('/api/tenant/devices?deviceName=unit-7',
    token => $tenant)->json;

is($device->{deviceProfileId}{id}, $made->{id}{id},
    'its name comes from the certificate, its profile from the maker');
is((connected('unit7'))[0], 0, 'next time it needs no chain');

# a new certificate of the same maker for the same device
certificate('unit7b', issuer => 'maker', name => 'unit-7.plant');
is((connected('unit7b', chain => ['maker']))[0], 0,
    'a new certificate takes the place of the old');
is((connected('unit7b'))[0], 0, 'it is stored');

# further up, the maker being in between
certificate('shop', ca => 1, issuer => 'maker');
certificate('unit8', issuer => 'shop', name => 'unit-8.plant');
is((connected('unit8', chain => ['shop', 'maker']))[0], 0,
    'a chain of two');

# what is no chain
certificate('false', ca => 1, name => 'maker');
certificate('unit9', issuer => 'false', name => 'unit-9.plant');
is((connected('unit9', chain => ['maker']))[0], 5,
    'a certificate of the maker that has signed nothing here');
certificate('plain', issuer => 'maker', name => 'plain.plant');
certificate('unit10', issuer => 'plain', name => 'unit-10.plant');
is((connected('unit10', chain => ['plain', 'maker']))[0], -1,
    'an issuer that is no authority');
certificate('thief', issuer => 'maker', name => 'Test device.plant');
is((connected('thief', chain => ['maker']))[0], 5,
    'the name of a device of another profile')
    if $t->post('/api/device', token => $tenant,
        json => { name => 'Test device' })->status == 200;

my $log = $t->get('/api/audit/logs?pageSize=100&page=0'
    . '&actionTypes=PROVISION_SUCCESS,PROVISION_FAILURE', token => $tenant)
    ->json->{data};

is(scalar(grep { $_->{actionType} eq 'PROVISION_SUCCESS' } @$log), 3,
    'the audit log has those who were let in');
cmp_ok(scalar(grep { $_->{actionType} eq 'PROVISION_FAILURE' } @$log), '>=',
    2, 'and those who were not');

# --- a client that people use

my ($rc, $out, $err) = run_program(['mosquitto_pub', '-p', $t->port('MQTTS'),
    '--cafile', $t->dir . '/tls/server.crt', '--insecure', '--cert',
    "$dir/unit7b.crt", '--key', "$dir/unit7b.key", '-t',
    'v1/devices/me/telemetry', '-m', '{"mosquitto":1}', '-q', 1]);
is($rc, 0, 'mosquitto_pub with a certificate') or diag($out . $err);

done_testing();
