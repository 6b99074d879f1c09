#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# What gateways report of devices that they hear: to whom it goes, what of it
# is kept, and how often.

use strict;
use warnings;

use CBOR::XS ();
use File::Basename qw(dirname);

use lib dirname(__FILE__) . '/../lib';

use IotTest;
use IotTest::TbMqtt;

my $t = IotTest->new(workers => 2);
my $tenant = $t->tenant;
my $sys = $t->sysadmin;
my $n = 0;


sub ok200 {
    my ($method, $path, $body, $token) = @_;

    my $r = $t->http($method, $path, token => $token || $tenant,
        defined $body ? (json => $body) : ());

    is($r->status, 200, "$method $path") or diag($r->body);

    return length($r->body) ? $r->json : undef;
}


sub device {
    my ($name, $access, %o) = @_;

    my $id = ok200('POST', "/api/device?accessToken=$access", { name => $name,
        additionalInfo => { gateway => $o{gateway} ? JSON::XS::true
            : JSON::XS::false } }, $o{token})->{id}{id};

    ok200('POST', "/api/plugins/telemetry/DEVICE/$id/attributes/SHARED_SCOPE",
        $o{shared}, $o{token}) if $o{shared};

    return $id;
}


sub report {
    my ($gateway, $body, %o) = @_;

    is($t->post("/api/v1/$gateway/telemetry", $o{cbor}
        ? (type => 'application/cbor', body => CBOR::XS->new->text_keys
            ->text_strings->encode($body))
        : (json => $body))->status, 200, 'a report');
}


# latest values of a device, by key, as text
sub latest {
    my ($id) = @_;

    return { map { $_->[0] => $_->[1] } @{$t->sql('SELECT l.name, '
        . 'COALESCE(l.s, l.l::text, l.d::text) FROM iot.device d '
        . 'CROSS JOIN LATERAL iot.latest(d.nr, NULL) l WHERE d.id = ?',
        $id)} };
}


sub arrives {
    my ($id, $key, $value, $what) = @_;

    ok($t->wait_for(10, sub { (latest($id)->{$key} // '') eq $value }), $what)
        or diag(explain(latest($id)));
}


my $gateway = device('gateway', 'GatewayGatewayGatewa', gateway => 1);
my $name = device('210800001', 'DeviceDeviceDeviceDe');
my $mac = device('by mac', 'OtherOtherOtherOther',
    shared => { advt_mac => 'BD:DD:EE:FF:AA:01' });


# by name, in the gateway's tenant; the list of what is kept

my %tms = (advt_rv => 1, advt_ft => 0, advt_did => 800104, advt_gts => 0,
    advt_pst => 3, advt_fv => 5, advt_cr => 7050, advt_pu => 'm',
    advt_gid => '65535', advt_gmid => '65535', advt_lt => '-6.76495',
    advt_ln => '39.24192', advt_la => '20.00', advt_dss => -67, advt_s1 => -60,
    advt_mac => 'BD:DD:EE:FF:AA:BB');

report('GatewayGatewayGatewa', { advt_adn => '210800001', advt_tms =>
    { %tms, pyg_tkn => '*1#', device_secret => 'x', deep => { a => 1 } } });
arrives($name, 'advt_cr', 7050, 'to the device of that name');

is_deeply(latest($name), { advt_rv => 1, advt_ft => 0, advt_aid => 800104,
    advt_gts => 0, advt_pst => 3, advt_fv => 5, advt_cr => 7050,
    advt_pu => 'm', advt_mac => 'BD:DD:EE:FF:AA:BB', advt_s1 => -60,
    loc_gid => '65535', loc_gmid => '65535', loc_lt => '-6.76495',
    loc_ln => '39.24192', loc_la => '20.00', loc_dss => -67 },
    'what is on the list and nothing else');
ok(latest($gateway)->{advt_adn}, 'the gateway has its own record');
is($t->value("SELECT count(*) FROM iot.relation WHERE type = 'Contains' "
    . 'AND from_id = ? AND to_id = ?', $gateway, $name), 1, 'a relation');


# by MAC, in another form; values out of range are left out

report('GatewayGatewayGatewa', { advt_mac => 'bd:dd:ee:ff:aa:01', advt_tms => {
    advt_cr => 1, advt_lt => '91', advt_ln => -181, advt_la => -1,
    advt_dss => 21, advt_gid => 65536, advt_gmid => 'x',
    advt_pu => 'y' x 65 } });
arrives($mac, 'advt_cr', 1, 'to the device of that MAC');
is_deeply([sort keys %{latest($mac)}], ['advt_cr'], 'nothing out of range');


# once a minute

report('GatewayGatewayGatewa', { advt_mac => 'BD:DD:EE:FF:AA:01',
    advt_tms => { advt_cr => 2 } });
ok($t->wait_for(10, sub { $t->value('SELECT dropped FROM iot.advt_gateway '
    . 'WHERE device_id = ?', $gateway) == 1 }), 'too soon: dropped');
is(latest($mac)->{advt_cr}, 1, 'and not stored');

$t->sql('UPDATE iot.advt_seen SET at = at - 60001');
report('GatewayGatewayGatewa', { advt_mac => 'BD:DD:EE:FF:AA:01',
    advt_tms => { advt_cr => 3 } }, cbor => 1);
arrives($mac, 'advt_cr', 3, 'after a minute, in CBOR');


# over MQTT

{
    my $mqtt = IotTest::TbMqtt->connect($t, user => 'GatewayGatewayGatewa');

    $t->sql('UPDATE iot.advt_seen SET at = at - 60001');
    $mqtt->publish('v1/devices/me/telemetry',
        '{"aDN":"210800001","tms":{"cr":4}}', qos => 1);
    is($mqtt->ack->{reason}, 0, 'over MQTT, with the older names');
    arrives($name, 'advt_cr', 4, 'to the device');
}


# of devices that are no gateways, and what is no report

report('DeviceDeviceDeviceDe', { advt_adn => 'by mac',
    advt_tms => { advt_cr => 9 } });
$t->sql('DELETE FROM iot.advt_seen');
report('GatewayGatewayGatewa', { advt_adn => 'by mac',
    advt_tms => { map { ("k$_" => 1) } 1 .. 32, 'x' } });
report('GatewayGatewayGatewa', { advt_adn => 'nobody',
    advt_tms => { advt_cr => 9 } });
ok($t->wait_for(10, sub { $t->value('SELECT unknown FROM iot.advt_gateway '
    . 'WHERE device_id = ?', $gateway) == 1 }), 'nobody of that name');
is(latest($mac)->{advt_cr}, 3, 'not by others');


# other tenants: by manufacturer code, lost ones, stolen ones

{
    my %of;

    for my $title ('Maker', 'Lost and Found') {
        $of{$title} = ok200('POST', '/api/tenant', { title => $title }, $sys)
            ->{id}{id};
    }

    for my $case (['payg.manufacturers', { 77 => $of{Maker} }],
        ['payg.lostAndFoundTenant', $of{'Lost and Found'}])
    {
        ok200('PUT', "/api/settings/$case->[0]", { value => $case->[1] }, $sys);
    }

    ok200('POST', '/api/user?sendActivationMail=false',
        { email => 'maker@example.org', authority => 'TENANT_ADMIN',
        tenantId => { id => $of{Maker}, entityType => 'TENANT' } }, $sys);
    $t->sql('UPDATE iot.user_credentials c SET enabled = true, '
        . 'activate_token = NULL, password_hash = (SELECT o.password_hash '
        . 'FROM iot.user_credentials o JOIN iot.users v ON v.id = o.user_id '
        . 'WHERE v.email = ?) FROM iot.users u WHERE u.id = c.user_id '
        . "AND u.email = 'maker\@example.org'", $t->account('TENANT_EMAIL'));

    my $maker = $t->login('maker@example.org', $t->account('TENANT_PASSWORD'));
    my $theirs = device('theirs', 'TheirsTheirsTheirsTh', token => $maker,
        shared => { advt_mac => 'AA:AA:AA:AA:AA:01' });
    my $stolen = device('stolen', 'StolenStolenStolenSt', token => $maker,
        shared => { advt_mac => 'AA:AA:AA:AA:AA:02', prd_pst => 5 });

    report('GatewayGatewayGatewa', { advt_mac => 'AA:AA:AA:AA:AA:01',
        advt_tms => { advt_gmid => '77', advt_cr => 5 } });
    arrives($theirs, 'advt_cr', 5, 'to the tenant of that code');
    ok(!grep({ /gateway/i } map { $_ // '' } %{latest($theirs)}),
        'not by whom');

    report('GatewayGatewayGatewa', { advt_mac => 'AA:AA:AA:AA:AA:02',
        advt_tms => { advt_gmid => '78', advt_lt => '1.5', advt_ln => '2.5' }
    });
    arrives($stolen, 'loc_lt', '1.5', 'where the stolen one is');
    is($t->value('SELECT severity FROM iot.alarm WHERE originator_id = ?',
        $stolen), 'CRITICAL', 'an alarm');

    my $found = $t->value('SELECT id FROM iot.device WHERE tenant_id = ? '
        . "AND name = 'AA:AA:AA:AA:AA:02'", $of{'Lost and Found'});

    ok($found, 'lost and found');
    is(latest($found)->{loc_ln}, '2.5', 'with its place');
    is($t->value('SELECT a.s FROM iot.attribute a JOIN iot.key k '
        . 'ON k.id = a.key JOIN iot.device d ON d.nr = a.entity '
        . "WHERE d.id = ? AND k.name = 'found_by_tenant' AND a.scope = 3",
        $found), $t->tenant_id, 'and who has found it');
}

done_testing();
