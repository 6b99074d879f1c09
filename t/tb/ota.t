#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# Packages of firmware and software: made and uploaded by people, assigned to
# devices and profiles, taken by devices over HTTP and MQTT.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Digest::MD5 ();
use Digest::SHA ();
use JSON::XS ();
use Test::More;
use IotTest::Gateway;

my $t = IotTest::Gateway->new(workers => 2);
my ($tenant, $customer, $sysadmin) = ($t->tenant, $t->customer, $t->sysadmin);
my $json = JSON::XS->new->utf8->canonical;
my $profile = $t->get('/api/deviceProfileInfo/default', token => $tenant)
    ->json->{id}{id};

# three pieces of the database and a bit, no two alike
my $data = join('', map { pack('NN', $_, $_ * 2654435761 & 0xffffffff) }
    1 .. 90000);


sub make {
    my (%o) = @_;

    return $t->post('/api/otaPackage', token => $tenant, json => {
        deviceProfileId => { id => $profile, entityType => 'DEVICE_PROFILE' },
        type => 'FIRMWARE', title => 'fw', version => '1.0', %o });
}


sub form {
    my ($bytes, %o) = @_;
    my $boundary = $o{boundary} || 'x--y';
    my $name = defined $o{name} ? $o{name} : 'file';

    return (type => "multipart/form-data; boundary=$boundary",
        body => "--$boundary\r\nContent-Disposition: form-data;"
            . " name=\"other\"\r\n\r\nvalue\r\n--$boundary\r\n"
            . "Content-Disposition: form-data; name=\"$name\";"
            . ' filename="' . ($o{file} || 'fw.bin') . "\"\r\n"
            . "Content-Type: application/x-firmware\r\n\r\n"
            . "$bytes\r\n--$boundary--\r\n");
}


sub upload {
    my ($id, $query, @form) = @_;

    return $t->post("/api/otaPackage/$id$query", token => $tenant, @form);
}


# --- made by people

my $answer = make();
my $fw = $answer->json->{id}{id};

is($answer->status, 200, 'a package') or diag($answer->body);
is($answer->json->{id}{entityType}, 'OTA_PACKAGE', 'its kind');
is($answer->json->{hasData}, JSON::XS::false, 'has no data yet');
is($answer->json->{tag}, 'fw 1.0', 'and a tag of its own');
is(make()->status, 400, 'the same again');
is(make(title => '')->status, 400, 'without a title');
is(make(version => '')->status, 400, 'without a version');
is(make(type => 'OTHER', version => 'x')->status, 400, 'of another type');
is(make(version => 'x', deviceProfileId => { id => $fw,
    entityType => 'DEVICE_PROFILE' })->status, 400, 'without a profile');
is(make(version => 'x', url => 'no url')->status, 400, 'a bad URL');

is(upload($fw, '?checksumAlgorithm=SHA256&checksum=00', form($data))->status,
    400, 'a wrong checksum');
is(upload($fw, '?checksumAlgorithm=MURMUR3_128', form($data))->status, 400,
    'an algorithm that we do not have');
is(upload($fw, '', form($data, name => 'data'))->status, 400, 'no file');
is(upload($fw, '', form(''))->status, 400, 'an empty one');
is(upload($fw, '', type => 'application/octet-stream', body => $data)->status,
    400, 'no form');
is($t->value('SELECT count(*) FROM iot.ota_data'), 0, 'nothing was kept');

$answer = upload($fw, '?checksumAlgorithm=SHA256&checksum='
    . Digest::SHA::sha256_hex($data), form($data));
is($answer->status, 200, 'uploaded') or diag($answer->body);
is($answer->json->{dataSize}, length($data), 'its size');
is($answer->json->{checksum}, Digest::SHA::sha256_hex($data), 'its checksum');
is($answer->json->{checksumAlgorithm}, 'SHA256', 'by that algorithm');
is($answer->json->{fileName}, 'fw.bin', 'its name');
is($answer->json->{contentType}, 'application/x-firmware', 'its type');
is($answer->json->{hasData}, JSON::XS::true, 'has data');
is(upload($fw, '', form('x'))->status, 400, 'only once');

for my $case (['MD5', Digest::MD5::md5_hex('123456789')],
    ['SHA384', Digest::SHA::sha384_hex('123456789')],
    ['SHA512', Digest::SHA::sha512_hex('123456789')], ['CRC32', '2639f4cb'])
{
    my ($algorithm, $sum) = @$case;
    my $id = make(title => $algorithm)->json->{id}{id};

    $answer = upload($id, "?checksumAlgorithm=$algorithm&checksum=$sum",
        form('123456789', boundary => '"a b"' =~ s/"//gr =~ s/ /_/r));
    is($answer->json->{checksum}, $sum, $algorithm);
}

is($t->get("/api/otaPackage/info/$fw", token => $customer)->json->{title},
    'fw', 'users of customers see what it is');
is($t->get("/api/otaPackage/$fw/download", token => $customer)->status, 403,
    'but do not get it');
is($t->get("/api/otaPackage/$fw", token => $customer)->status, 403,
    'nor the rest');

$answer = $t->get("/api/otaPackage/$fw/download", token => $tenant);
is($answer->status, 200, 'the tenant does');
ok($answer->body eq $data, 'all of it');
is($answer->header('Content-Disposition'), 'attachment;filename=fw.bin',
    'with its name');
is($answer->header('x-filename'), 'fw.bin', 'twice');
is($answer->header('Content-Type'), 'application/x-firmware', 'and type');

my $quoted = make(title => 'q')->json->{id}{id};

upload($quoted, '', form('x', file => "a;b\\c"));
is($t->get("/api/otaPackage/$quoted/download", token => $tenant)
    ->header('x-filename'), 'a_b_c', 'a name is harmless in a header');

my $empty = make(title => 'empty')->json->{id}{id};

is($t->get("/api/otaPackage/$empty/download", token => $tenant)->status, 404,
    'one without data');
is($t->get('/api/otaPackages?pageSize=100&page=0&sortProperty=title',
    token => $tenant)->json->{totalElements}, 7, 'a list');
is($t->get("/api/otaPackages/$profile/FIRMWARE?pageSize=100&page=0",
    token => $tenant)->json->{totalElements}, 6, 'of those with data');
is($t->get("/api/otaPackages/$profile/SOFTWARE?pageSize=100&page=0",
    token => $tenant)->json->{totalElements}, 0, 'of software');

# tags change, names do not
my $info = $t->get("/api/otaPackage/info/$fw", token => $tenant)->json;

is($t->post('/api/otaPackage', token => $tenant,
    json => { %$info, tag => 'new' })->json->{tag}, 'new', 'a new tag');
is($t->post('/api/otaPackage', token => $tenant,
    json => { %$info, version => '2' })->status, 400, 'no new version');


# --- assigned to a device

my $c = IotTest::TbMqtt->connect($t, user => $t->device_token);
my $id = $t->device_id;

$c->subscribe('v1/devices/me/attributes');


sub assign {
    my (%o) = @_;
    my $device = $t->get("/api/device/$id", token => $tenant)->json;

    $device->{$_} = defined $o{$_}
        ? { id => $o{$_}, entityType => 'OTA_PACKAGE' } : undef for keys %o;

    return $t->post('/api/device', token => $tenant, json => $device)->status;
}


my $sw = make(type => 'SOFTWARE', title => 'app', version => '7',
    url => 'http://example.com/app')->json->{id}{id};

is($t->get($t->url('firmware') . '?title=fw&version=1.0')->status, 404,
    'nothing is assigned');
is(assign(firmwareId => $empty), 400, 'one without data');
is(assign(firmwareId => $sw), 400, 'one of the other type');
is(assign(firmwareId => $id), 400, 'none');
is(assign(firmwareId => $fw), 200, 'the right one');

my %told = (fw_title => 'fw', fw_version => '1.0', fw_tag => 'new',
    fw_size => length($data), fw_checksum_algorithm => 'SHA256',
    fw_checksum => Digest::SHA::sha256_hex($data));

is_deeply($json->decode($c->message->{payload}), \%told, 'the device is told');
is_deeply({ map { $_ => $t->stored_attributes(2)->{$_}[1] } keys %told },
    \%told, 'by shared attributes');
is_deeply($t->typed->{fw_state}, ['STRING', 'QUEUED'], 'its state');

is(assign(softwareId => $sw), 200, 'software by URL');
is_deeply($json->decode($c->message->{payload}), { sf_title => 'app',
    sf_version => '7', sf_tag => 'app 7',
    sf_url => 'http://example.com/app' }, 'the device is told');
is($t->get($t->url('software') . '?title=app&version=7')->status, 404,
    'that is not here');
is($t->del("/api/otaPackage/$fw", token => $tenant)->status, 400,
    'what is assigned stays');


# --- over HTTP

sub piece {
    my ($query) = @_;

    return $t->get($t->url('firmware') . "?title=fw&version=1.0$query");
}


$answer = piece('');
is($answer->status, 200, 'the device gets it');
ok($answer->body eq $data, 'all of it');
is($answer->header('x-filename'), 'fw.bin', 'with its name');

for my $size (1000, 65536, 100000, 300000, 720000) {
    my $n = length($data) / $size;

    for my $chunk (0, 1, int($n), int($n) + 1) {
        my $want = $chunk * $size < length($data)
            ? substr($data, $chunk * $size, $size) : '';

        ok(piece("&size=$size&chunk=$chunk")->body eq $want,
            "chunk $chunk of $size");
    }
}

is(piece('&size=2147483647&chunk=2147483647')->body, '', 'far beyond');
is(piece('&size=x')->status, 400, 'a bad size');
is(piece('&size=1&chunk=-1')->status, 400, 'a bad chunk');
is($t->get($t->url('firmware') . '?title=fw&version=2')->status, 400,
    'another version');
is($t->get($t->url('firmware') . '?title=other&version=1.0')->status, 400,
    'another title');
is($t->get($t->url('firmware', 'stranger'))->status, 401, 'a stranger');
is($t->http('HEAD', $t->url('firmware'))->header('Content-Length'),
    length($data), 'how large it is');

# a client that does not read holds nothing up
my $slow = $t->begin('GET', 'firmware?title=fw&version=1.0');
is(piece('&size=10&chunk=0')->status, 200, 'others are served');
ok($slow->answer->body eq $data, 'and it gets all');


# --- over MQTT

for my $version (4, 5) {
    my $m = IotTest::TbMqtt->connect($t, user => $t->device_token,
        version => $version);

    is_deeply($m->subscribe('v2/fw/response/+/chunk/+', 'v2/fw/error'),
        [1, 1], 'subscriptions');

    my ($got, $n) = ('', 0);

    for ( ;; $n++) {
        $m->publish("v2/fw/request/5/chunk/$n", $n ? '' : '60000', qos => 1);

        my $p = $m->message;

        is($p->{topic}, "v2/fw/response/5/chunk/$n", "chunk $n");
        last if $p->{payload} eq '';
        $got .= $p->{payload};
    }

    ok($got eq $data, 'all of it, and then nothing');
    is($n, 12, 'in pieces of the size that was asked for first');
    is($m->ack->{reason}, 0, 'each is acknowledged') for 0 .. $n;

    for my $case (['65537', 'PAYLOAD_TOO_LARGE'], ['x', 'INVALID_CHUNK_SIZE'],
        ['', 'PAYLOAD_TOO_LARGE'])
    {
        $m = IotTest::TbMqtt->connect($t, user => $t->device_token,
            version => $version);
        $m->subscribe(['v2/fw/error', 0]);
        $m->publish('v2/fw/request/1/chunk/0', $case->[0]);
        is($m->message->{payload}, $case->[1], "size \"$case->[0]\"");
        is($m->ended, $version == 5 ? 'closed 83' : 'closed', 'is the end');
    }

    $m = IotTest::TbMqtt->connect($t, user => $t->device_token,
        version => $version);
    $m->subscribe(['v2/sw/error', 0]);
    $m->publish('v2/sw/request/1/chunk/0', '100');
    is($m->message->{payload}, 'NOT_FOUND', 'software by URL is not here');
    is($m->ended, $version == 5 ? 'closed 83' : 'closed', 'is the end');
}

my $small = make(type => 'SOFTWARE', title => 'small')->json->{id}{id};

upload($small, '', form('small package'));
is(assign(softwareId => $small), 200, 'a small one');
is_deeply([grep { /^sf_/ } sort keys %{$t->stored_attributes(2)}],
    [map { "sf_$_" } qw(checksum checksum_algorithm size tag title version)],
    'what no longer holds is gone');

my $m = IotTest::TbMqtt->connect($t, user => $t->device_token);
$m->publish('v2/sw/request/9/chunk/0', '', qos => 1);
is($m->message->{payload}, 'small package', 'as a whole');


# --- assigned to a profile

$c = IotTest::TbMqtt->connect($t, user => $t->device_token);
$c->subscribe('v1/devices/me/attributes');
is(assign(firmwareId => undef, softwareId => undef), 200, 'taken back');

my @gone = map { $json->decode($c->message->{payload})->{deleted} } 1, 2;

is_deeply([map { $_->[0] } @gone], ['fw_title', 'sf_title'],
    'the device hears of it');
is_deeply([grep { /^(fw|sf)_/ } keys %{$t->stored_attributes(2)}], [],
    'nothing is left');
$t->add_devices('other');
ok($t->wait_for(15, sub { $t->value("SELECT a.b FROM iot.attribute AS a"
    . ' JOIN iot.key AS k ON k.id = a.key JOIN iot.device AS d ON d.nr ='
    . " a.entity WHERE k.name = 'active' AND d.id = ?", $id) }),
    'the device is active');

my $p = $t->get("/api/deviceProfile/$profile", token => $tenant)->json;

$p->{firmwareId} = { id => $fw, entityType => 'OTA_PACKAGE' };
is($t->post('/api/deviceProfile', token => $tenant, json => $p)->status, 200,
    'the profile has it');
is_deeply($json->decode($c->message->{payload}), \%told,
    'active devices are told');
is($t->stored_attributes(2, 'other')->{fw_title}[1], 'fw', 'others ask');
ok($t->get($t->url('firmware', 'other') . '?title=fw&version=1.0')->body
    eq $data, 'and get it');

# a device that is made later
$t->post('/api/device?accessToken=later', token => $tenant,
    json => { name => 'later' });
is($t->stored_attributes(2, 'later')->{fw_version}[1], '1.0',
    'a new device has it from the beginning');
is($t->del("/api/otaPackage/$fw", token => $tenant)->status, 400,
    'what a profile has stays');

$p = $t->get("/api/deviceProfile/$profile", token => $tenant)->json;
$p->{firmwareId} = undef;
is($t->post('/api/deviceProfile', token => $tenant, json => $p)->status, 200,
    'taken back');
is($t->stored_attributes(2, 'other')->{fw_title}, undef, 'from all');
is($t->del("/api/otaPackage/$fw", token => $tenant)->status, 200, 'deleted');
is($t->value('SELECT count(*) FROM iot.ota_data WHERE package_id = ?', $fw),
    0, 'with its data');


# --- as much as the tenant may have

my $used = $t->value('SELECT sum(data_size) FROM iot.ota_package');

$t->sql('UPDATE iot.tenant_profile SET data = jsonb_set(data::jsonb,'
    . " '{configuration,maxOtaPackagesInBytes}', to_jsonb(?::int))",
    $used + 5);
$answer = upload($empty, '', form('123456'));
is($answer->status, 403, 'more than that');
is($answer->json->{errorCode}, 41, 'is over a limit');
is(upload($empty, '', form('12345'))->status, 200, 'that much');

done_testing();
