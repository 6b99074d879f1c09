#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# How much devices may send, as the profile of their tenant says.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Test::More;
use IotTest::Device;

my $t = IotTest::Device->new(workers => 2);
my $sysadmin = $t->sysadmin;
my $serial = 0;
my ($a, $s);

$t->add_devices(qw(one two three four five six seven eight nine gate));
$t->sql("UPDATE iot.device SET is_gateway = true WHERE name = 'device gate'");


# the limits that the profile has from now on, and no others
sub limits {
    my (%limit) = @_;
    my $id = $t->get('/api/tenantProfileInfo/default', token => $sysadmin)
        ->json->{id}{id};
    my $profile = $t->get("/api/tenantProfile/$id", token => $sysadmin)->json;
    my $configuration = $profile->{profileData}{configuration};

    for my $name (grep { /^transport/ } keys %$configuration) {
        $configuration->{$name} = '';
    }

    $configuration->{"transport${_}RateLimit"} = $limit{$_} for keys %limit;

    my $answer = $t->post('/api/tenantProfile', token => $sysadmin,
        json => $profile);

    is($answer->status, 200, 'a profile: ' . join(', ', map { "$_ $limit{$_}" }
        sort keys %limit)) or diag($answer->body);
}


# posts over connections of their own, so that both workers get some; how
# many answers there were of each status
sub posts {
    my ($token, $n, %o) = @_;
    my %status;

    for (1 .. $n) {
        my $what = $o{what} || 'telemetry';
        my $body = defined $o{body} ? $o{body} : '{"k' . $serial++ . '":1}';
        my $answer = $o{get}
            ? $t->get($t->url($o{get}, $token), client => $t->client)
            : $t->post($t->url($what, $token), body => $body,
                client => $t->client);

        $status{$answer->status}++;
        $status{refused} = $answer if $answer->status == 429;
    }

    return \%status;
}


sub stored {
    my ($token) = @_;

    return scalar(keys %{$t->points($token)});
}


sub refused {
    my ($owner, $kind) = @_;
    my ($n) = $t->get('/metrics')->body =~ /^iot_rate_refused_total
        \{owner="$owner",kind="$kind"\}\ (\d+)$/mx;

    return $n;
}


# --- nothing is limited at first

$s = posts('one', 30);
is($s->{200}, 30, 'no limit');
is(refused('tenant', 'messages'), 0, 'nothing is refused');

# --- messages of a device

limits(DeviceMsg => '10:3600');

$s = posts('one', 25);
is($s->{200}, 10, 'a device may send what the profile says');
is($s->{429}, 15, 'and no more, in all workers together');
is(stored('one'), 40, 'what was refused is not stored');
is(refused('device', 'messages'), 15, 'each refusal is counted');

$a = $s->{refused};
is($a->header('retry-after'), 1, 'when to come again');
is($a->body, '', 'without a word');

is(posts('two', 4)->{200}, 4, 'another device has its own count');
is(posts('two', 4, what => 'attributes')->{200}, 4, 'attributes count');
is(posts('two', 2, get => 'attributes')->{200}, 2, 'and so do questions');
is(posts('two', 1, get => 'attributes')->{429}, 1, 'of which ten are enough');
is(posts('two', 1, what => 'attributes')->{429}, 1, 'of all together');
is(scalar(keys %{$t->stored_attributes(1, 'two')}), 4, 'no attribute more');
is(posts('gate', 15)->{200}, 15, 'a gateway is something else');
is(posts('nobody', 1)->{401}, 1, 'and nobody has no count');

# before the body is there

my $c = $t->client;

$c->write('POST ' . $t->url('telemetry', 'one') . " HTTP/1.1\r\nHost: x\r\n"
    . "Content-Length: 1000\r\n\r\n");
is($c->answer->status, 429, 'the body is not waited for');

is(posts('one', 1, body => '{"a":')->{429}, 1, 'nor is it parsed');

# --- telemetry messages of a device

limits(DeviceTelemetryMsg => '5:3600');

$s = posts('three', 8);
is($s->{200}, 5, 'messages with values');
is($s->{429}, 3, 'have a limit of their own');
is(posts('three', 1, what => 'attributes')->{429}, 1, 'attributes are such');
is(posts('three', 9, get => 'attributes')->{200}, 9, 'questions are not');
is(stored('three'), 5, 'what was accepted is stored');
is(refused('device', 'telemetry'), 4, 'counted apart');

# --- data points of a device

limits(DeviceTelemetryDataPoints => '10:3600');

my $six = '{"a":1,"b":2,"c":3,"d":4,"e":5,"f":6}';

is(posts('four', 1, body => $six)->{200}, 1, 'six values');
$s = posts('four', 1, body => '[{"ts":1,"values":{"x":1,"y":2}},'
    . '{"ts":2,"values":{"x":1,"y":2}},{"ts":3,"values":{"x":1}}]');
is($s->{429}, 1, 'and five are more than ten');
is($s->{refused}->header('retry-after'), 1, 'later');
is(stored('four'), 6, 'a message is stored whole or not at all');
is(posts('four', 1, body => '{"g":1,"h":2,"i":3,"j":4}')->{200}, 1,
    'the four that are left may come');
is(posts('four', 1, what => 'attributes', body => '{"a":1}')->{429}, 1,
    'attributes are values too');
is_deeply($t->stored_attributes(1, 'four'), {}, 'and not stored either');
is(posts('four', 1, body => '{}')->{200}, 1, 'nothing costs nothing');
is(posts('five', 1, body => '{"a":')->{400}, 1, 'what is broken is told so');
is(refused('device', 'points'), 2, 'counted apart');

$s = posts('five', 1, body => '{' . join(',', map { "\"v$_\":1" } 1 .. 11)
    . '}');
is($s->{429}, 1, 'more than a limit ever holds');
is(posts('five', 1, body => $six)->{200}, 1, 'has taken nothing from it');

# --- those of the tenant

limits(TenantMsg => '12:3600');

$s = posts('one', 5);
is($s->{200}, 5, 'the limit of the device is gone');
$s = posts('two', 10);
is($s->{200}, 7, 'the devices of a tenant share a limit');
is($s->{429}, 3, 'to the end');
is(posts('gate', 2)->{429}, 2, 'a gateway is one of them');
is(posts($t->device_token, 1, get => 'attributes')->{429}, 1, 'as all are');
is(refused('tenant', 'messages'), 6, 'counted as the tenant\'s');

limits(TenantTelemetryMsg => '3:3600');
is(posts('one', 5)->{429}, 2, 'telemetry messages of a tenant');
is(posts('two', 5, get => 'attributes')->{200}, 5, 'and of nothing else');

limits(TenantTelemetryDataPoints => '8:3600');
is(posts('one', 1, body => $six)->{200}, 1, 'values of a tenant');
is(posts('two', 1, body => $six)->{429}, 1, 'of all devices');
is(posts('two', 2)->{200}, 2, 'the rest for who needs less');
is(posts('two', 1)->{429}, 1, 'to the end');

# a device that is refused takes nothing from its tenant, nor the other way

limits(DeviceMsg => '3:3600', TenantMsg => '6:3600');
is(posts('six', 20)->{200}, 3, 'a noisy device');
is(posts('seven', 4)->{200}, 3, 'leaves something for the others');
is(posts('eight', 3)->{429}, 3, 'until all is used');
limits(DeviceMsg => '3:3600', TenantMsg => '100:3600');
is(posts('eight', 4)->{200}, 3, 'what the tenant refused was not counted');

# --- gateways

limits(GatewayMsg => '4:3600', DeviceMsg => '2:3600');
is(posts('gate', 6)->{200}, 4, 'messages of a gateway');
is(posts('nine', 6)->{200}, 2, 'and of a device');
limits(GatewayTelemetryMsg => '3:3600');
is(posts('gate', 6)->{200}, 3, 'telemetry of a gateway');
limits(GatewayTelemetryDataPoints => '6:3600');
is(posts('gate', 3, body => $six)->{200}, 1, 'values of a gateway');
is(refused('gateway', $_->[0]), $_->[1], "$_->[0] of a gateway")
    for ['messages', 2], ['telemetry', 3], ['points', 2];

# --- two windows

limits(DeviceMsg => '4:1,10:3600');
is(posts('one', 2)->{200}, 2, 'within both');
$s = posts('one', 40);
cmp_ok($s->{200} || 0, '<=', 8, 'a burst is cut');

my $passed = 2 + ($s->{200} || 0);

ok($t->wait_for(10, sub {
    $passed += posts('one', 1)->{200} || 0;
    return $passed == 10;
}), 'the short window fills again');
select(undef, undef, undef, 1.2);
is(posts('one', 4)->{429}, 4, 'the long one holds');

limits(DeviceMsg => '2:1');
ok($t->wait_for(10, sub { posts('two', 5)->{429} }), 'a second is short');
ok($t->wait_for(10, sub { posts('two', 1)->{200} }), 'and passes');

# --- changes while it runs

limits();
is(posts('one', 20)->{200}, 20, 'a limit that is lifted is gone at once');

limits(DeviceMsg => '5:3600');
is(posts('one', 10)->{200}, 5, 'a new one is there at once');

# another profile for the tenant

my $profile = $t->post('/api/tenantProfile', token => $sysadmin, json => {
    name => 'slow', profileData => { configuration => { type => 'DEFAULT',
        transportDeviceMsgRateLimit => '1:3600' } } });

is($profile->status, 200, 'another profile') or diag($profile->body);

my $tenant = $t->get('/api/tenant/' . $t->tenant_id, token => $sysadmin)->json;
my $old = $tenant->{tenantProfileId};

$tenant->{tenantProfileId} = $profile->json->{id};
$tenant = $t->post('/api/tenant', token => $sysadmin, json => $tenant)->json;
is(posts('two', 5)->{200}, 1, 'a tenant moves to it');

# behind the back of the workers, as another node would do it

$tenant->{tenantProfileId} = $old;
$t->sql('UPDATE iot.tenant SET tenant_profile_id = ? WHERE id = ?',
    $old->{id}, $t->tenant_id);
$t->sql("SELECT pg_notify('iot', 'tenant ' || ?::text)", $t->tenant_id);
ok($t->wait_for(1, sub { posts('two', 1)->{200} }),
    'a change by another node is known within a second');

# what nobody can read limits nothing, but is told

$t->sql(q{UPDATE iot.tenant_profile SET data = jsonb_set(data::jsonb,
    '{configuration,transportDeviceMsgRateLimit}', '"often"')::json
    WHERE id = ?}, $old->{id});
$t->sql("SELECT pg_notify('iot', 'tenant_profile ' || ?::text)", $old->{id});
ok($t->wait_for(5, sub { posts('two', 10)->{200} == 10 }),
    'a rate that is no rate is none');

# --- without notifications

limits(DeviceMsg => '3:3600');
$t->reload(gone => 1);
is(posts('three', 6)->{200}, 3, 'new workers know the limits');
$t->reload(gone => 1);
is(posts('three', 6)->{429}, 6, 'and what was used');

done_testing();
