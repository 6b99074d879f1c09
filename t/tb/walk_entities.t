#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# Along the rows of the ThingsBoard API: devices, their credentials and
# profiles, assets, dashboards, entity views, relations, alarms.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);

use lib dirname(Cwd::abs_path(__FILE__)) . '/../lib';

use IotTest::Walk;
use JSON::XS ();
use Test::More;

my ($true, $false) = (JSON::XS::true, JSON::XS::false);
my ($none, $nobody) = ($IotTest::Walk::none, $IotTest::Walk::nobody);
my $denied = q{You don't have permission to perform this operation!};
my $t = IotTest::Walk->new(workers => 2);
my $cid = $t->customer_id;
my $page = 'pageSize=10&page=0';

# devices

my $d = 'id createdTime tenantId customerId name type label deviceProfileId '
    . 'deviceData firmwareId softwareId additionalInfo externalId version';
my $info = "$d customerTitle customerIsPublic deviceProfileName active";
my $device = $t->row('TEN', 'POST device', { name => 'D1', type => 'T1',
    additionalInfo => { gateway => 'false', x => [1] }, nonsense => 1 }, 200,
    { name => 'D1', type => 'T1', label => undef, firmwareId => undef,
    customerId => { entityType => 'CUSTOMER', id => $none }, version => 1,
    additionalInfo => { gateway => 'false', x => [1] },
    deviceData => { configuration => { type => 'DEFAULT' },
        transportConfiguration => { type => 'DEFAULT' } } });
my $id = $device->{id}{id};

$t->row('TEN', "GET device/$id", undef, 200, $d);
$t->row('TEN', "GET device/info/$id", undef, 200, $info);
$t->row('CUS', "GET device/$id", undef, 403, $denied);
$t->row('SYS', "GET device/$id", undef, 403, $denied);
$t->row('TEN', "GET device/$nobody", undef, 404,
    "Device with id [$nobody] is not found");
$t->row('TEN', 'GET device/x', undef, 400, 'Invalid UUID string: x');
$t->row('CUS', 'POST device', { name => 'x' }, 403, $denied);

for my $row ([{}, 'Device name should be specified!'],
    [{ name => 'D1' }, 'Device with such name already exists!'],
    [{ name => 'x' x 256 }, 'name length must be equal or less than 255'],
    [{ name => '<b onload=x>' }, 'name is malformed'],
    [{ %$device, id => { id => $nobody } },
        q{Can't update non existing device!}],
    [{ name => 'x', customerId => { id => $nobody } },
        q{Can't assign device to non-existent customer!}])
{
    $t->row('TEN', 'POST device', $row->[0], 400, $row->[1]);
}

$t->row('TEN', 'POST device', { %$device, version => 9 }, 409,
    'Device was already changed by someone else');
$t->row('TEN', 'POST device?accessToken=ignored', { %$device, label => 5 },
    200, { label => '5', version => 2 });
$t->row('TEN', 'POST device?nameConflictPolicy=UNIQUIFY&uniquifyStrategy='
    . 'INCREMENTAL', { name => 'D1' }, 200, { name => 'D1_1' });
$t->row('TEN', 'POST device?accessToken=' . $t->device_token,
    { name => 'taken' }, 400, undef);

my $both = $t->row('TEN', 'POST device-with-credentials', { device =>
    { name => 'D2' }, credentials => { credentialsType => 'MQTT_BASIC',
        credentialsValue => '{"clientId":"c","userName":"u","password":"p"}' }
    }, 200, $d);

$t->row('TEN', "POST customer/$cid/device/$id", undef, 200,
    { customerId => { entityType => 'CUSTOMER', id => $cid } });
$t->row('CUS', "GET device/info/$id", undef, 200, $info);
$t->row('CUS', 'POST device', { %$device, label => 'mine', version => undef,
    customerId => { entityType => 'CUSTOMER', id => $cid } }, 200,
    { label => 'mine' });
$t->row('CUS', "DELETE device/$id", undef, 403, $denied);
$t->row('TEN', "DELETE customer/device/$id", undef, 200,
    { customerId => { entityType => 'CUSTOMER', id => $none } });
$t->row('TEN', "DELETE customer/device/$id", undef, 400,
    q{Device isn't assigned to any customer!});
$t->row('TEN', "POST customer/public/device/$id", undef, 200, $d);
$t->row('TEN', "GET device/info/$id", undef, 200,
    { customerIsPublic => $true, customerTitle => 'Public' });
$t->row('TEN', "DELETE customer/device/$id", undef, 200, $d);
$t->paged('TEN', $_) for 'tenant/devices', 'tenant/deviceInfos',
    'tenant/devices?type=T1', 'tenant/deviceInfos?active=true',
    "customer/$cid/deviceInfos";
$t->paged('CUS', "customer/$cid/devices");
$t->row('TEN', "GET tenant/$_?deviceName=D1", undef, 200, $d)
    for qw(devices device);
$t->row('TEN', 'GET tenant/devices?deviceName=no', undef, 404, undef);
$t->row('TEN', "GET devices$_", undef, 200, $d)
    for "?deviceIds=$id&deviceIds=$both->{id}{id}", "/list?deviceIds=$id";
$t->row('TEN', 'POST devices', {}, 400, undef);
$t->row('TEN', 'GET device/types', undef, 200, 'tenantId entityType type');
$t->row('TEN', 'GET devices/count/FIRMWARE/' . $device->{deviceProfileId}{id},
    undef, 200, qr/^\d+$/);
$t->row('TEN', "GET device-connectivity/$id", undef, 200, 'http mqtt');
$t->row('CUS', 'POST customer/device/D1/claim', {}, 400, qr/^"FAILURE"$|
    "response"/x);

# credentials

my $k = 'id createdTime deviceId credentialsType credentialsId '
    . 'credentialsValue version';
my $cr = $t->row('TEN', "GET device/$id/credentials", undef, 200, $k);

like($cr->{credentialsId}, qr/^\w{20}$/, 'a token of 20 characters');
$t->row('TEN', 'POST device/credentials', { %$cr, credentialsId =>
    $t->device_token }, 400,
    'Device credentials are already assigned to another device!');
$t->row('TEN', 'POST device/credentials', { %$cr, deviceId =>
    { entityType => 'DEVICE', id => $nobody } }, 400,
    'Unable to update non-existent device credentials!');
$t->row('TEN', 'POST device/credentials', { %$cr, credentialsId => '' }, 400,
    undef);
$t->row('TEN', 'POST device/credentials', { %$cr, credentialsType =>
    'MQTT_BASIC', credentialsValue => '{"password":"p"}' }, 400, undef);
$t->row('TEN', 'POST device/credentials', { %$cr, credentialsId => 'New' },
    200, { credentialsId => 'New', version => 2 });

# device profiles

my $p = 'id createdTime tenantId name description image default type '
    . 'transportType provisionType defaultRuleChainId defaultDashboardId '
    . 'defaultQueueName provisionDeviceKey firmwareId softwareId '
    . 'defaultEdgeRuleChainId externalId version profileData';
my $pi = 'id tenantId name image defaultDashboardId type transportType';
my $def = $t->row('TEN', 'GET deviceProfileInfo/default', undef, 200, $pi);
my $did = $def->{id}{id};
my $good = { name => 'P', type => 'DEFAULT', transportType => 'MQTT',
    profileData => { configuration => { type => 'DEFAULT' },
        transportConfiguration => { type => 'MQTT',
            deviceTelemetryTopic => 'a/t', sparkplug => $false } } };
my $made = $t->row('TEN', 'POST deviceProfile', $good, 200, $p);

$t->row('TEN', "GET deviceProfile/$did", undef, 200, $p);
$t->row('CUS', "GET deviceProfileInfo/$did", undef, 200, $pi);
$t->row('CUS', "GET deviceProfile/$did", undef, 403, $denied);

for my $row ([{ %$good }, 'Device profile with such name already exists!'],
    [{ %$good, name => 'x', type => undef },
        'Device profile type should be specified!'],
    [{ %$good, name => 'x', transportType => undef },
        'Device profile transport type should be specified!'],
    [{ %$good, name => '' }, 'Device profile name should be specified!'])
{
    $t->row('TEN', 'POST deviceProfile', $row->[0], 400, $row->[1]);
}

$t->row('TEN', "DELETE deviceProfile/$did", undef, 400,
    'Deletion of Default Device Profile is prohibited!');
$t->row('TEN', "DELETE deviceProfile/$device->{deviceProfileId}{id}", undef,
    400, 'The device profile referenced by the devices cannot be deleted!');
$t->paged('TEN', $_) for 'deviceProfiles', 'deviceProfileInfos',
    'deviceProfileInfos?transportType=MQTT';
$t->row('TEN', "GET deviceProfileInfos$_?deviceProfileIds=$did", undef, 200,
    $pi) for '', '/list';
$t->row('CUS', 'GET deviceProfile/names?activeOnly=false', undef, 200,
    'id name');
$t->row('TEN', "GET deviceProfile/devices/keys/$_?deviceProfileId=$did",
    undef, 200, qr/^\[/) for qw(timeseries attributes);
$t->row('TEN', "POST deviceProfile/$made->{id}{id}/default", undef, 200,
    { default => $true });
$t->row('TEN', "POST deviceProfile/$did/default", undef, 200, undef);
$t->row('TEN', "DELETE deviceProfile/$made->{id}{id}", undef, 200, '');

# assets

my $a = 'id createdTime tenantId customerId name type label assetProfileId '
    . 'additionalInfo externalId version';
my $ai = "$a customerTitle customerIsPublic assetProfileName";
my $asset = $t->row('TEN', 'POST asset', { name => 'A1', type => 'T' }, 200,
    $a);
my $aid = $asset->{id}{id};

$t->row('TEN', "GET asset/info/$aid", undef, 200, $ai);
$t->row('CUS', "GET asset/$aid", undef, 403, $denied);
$t->row('TEN', "GET asset/$nobody", undef, 404,
    "Asset with id [$nobody] is not found");
$t->row('TEN', 'POST asset', { name => 'A1' }, 400,
    'Asset with such name already exists!');
$t->row('TEN', 'POST asset', {}, 400, 'Asset name should be specified!');
$t->row('CUS', 'POST asset', { name => 'x' }, 403, $denied);
$t->row('TEN', 'POST asset', { %$asset, version => 9 }, 409,
    'Asset was already changed by someone else');
$t->row('TEN', "POST customer/$cid/asset/$aid", undef, 200, $a);
$t->row('CUS', "GET asset/info/$aid", undef, 200, $ai);
$t->paged('TEN', $_) for 'tenant/assets', 'tenant/assetInfos',
    "customer/$cid/assets", "customer/$cid/assetInfos", 'assetProfiles',
    'assetProfileInfos';
$t->row('CUS', "GET user/assets?$page", undef, 200, $a);
$t->row('TEN', "GET tenant/$_?assetName=A1", undef, 200, $a)
    for qw(assets asset);
$t->row('TEN', "GET assets?assetIds=$aid", undef, 200, $a);
$t->row('TEN', 'GET asset/types', undef, 200, 'tenantId entityType type');
$t->row('TEN', "DELETE customer/asset/$aid", undef, 200, $a);
$t->row('TEN', "DELETE customer/asset/$aid", undef, 400,
    q{Asset isn't assigned to any customer!});
$t->row('TEN', "POST customer/public/asset/$aid", undef, 200, $a);
$t->row('TEN', "GET assetProfile/$asset->{assetProfileId}{id}", undef, 200,
    'id tenantId name description image default defaultRuleChainId '
    . 'defaultDashboardId defaultQueueName defaultEdgeRuleChainId externalId '
    . 'version');
$t->row('CUS', 'GET assetProfile/names', undef, 200, 'id name');

# dashboards

my $bi = 'id createdTime tenantId title name image assignedCustomers '
    . 'mobileHide mobileOrder version';
my $board = $t->row('TEN', 'POST dashboard', { title => 'B1',
    configuration => { z => 1, a => 1.50 } }, 200,
    "$bi configuration externalId resources");
my $bid = $board->{id}{id};

$t->row('TEN', "GET dashboard/$bid", undef, 200, "$bi configuration");
ok(!exists $t->row('TEN', "GET dashboard/info/$bid", undef, 200, $bi)
    ->{configuration}, 'an info without the configuration');
$t->row('CUS', "GET dashboard/$bid", undef, 403, $denied);
$t->row('TEN', 'POST dashboard', {}, 400,
    'Dashboard title should be specified!');
$t->row('TEN', 'POST dashboard', { %$board, version => 9 }, 409,
    'Dashboard was already changed by someone else');
$t->row('TEN', "POST customer/$cid/dashboard/$bid", '', 200,
    { assignedCustomers => [{ customerId => { entityType => 'CUSTOMER',
        id => $cid }, title => $t->row('TEN', "GET customer/$cid", undef, 200,
        undef)->{title}, public => $false }] });
$t->row('CUS', "GET dashboard/$bid", undef, 200, "$bi configuration");
for my $all ('dashboards/all', 'user/dashboards') {
    $t->row($_, "GET $all?$page", undef, 200, $bi) for qw(TEN CUS);
}

$t->row('TEN', "POST dashboard/$bid/customers$_", [$cid], 200, $bi)
    for '', '/add', '/remove';
$t->row('TEN', "POST customer/public/dashboard/$bid", undef, 200, $bi);
$t->row('TEN', "DELETE customer/public/dashboard/$bid", undef, 200,
    { assignedCustomers => undef });
$t->paged('TEN', $_) for 'tenant/dashboards', "customer/$cid/dashboards";
$t->row('SYS', 'GET tenant/' . $t->tenant_id . "/dashboards?$page", undef,
    200, $bi);
$t->row('TEN', "GET dashboards$_?dashboardIds=$bid", undef, 200, $bi)
    for '', '/list';
$t->row('CUS', 'GET dashboard/serverTime', undef, 200, qr/^\d{13}$/);
$t->row('CUS', 'GET dashboard/maxDatapointsLimit', undef, 200, qr/^50000$/);
$t->row('CUS', "GET dashboard/home$_", undef, 200, '') for '', '/info';
$t->row('TEN', 'POST tenant/dashboard/home/info', { dashboardId =>
    $board->{id}, hideDashboardToolbar => $false }, 200, undef);
$t->row('TEN', 'GET tenant/dashboard/home/info', undef, 200,
    { dashboardId => $board->{id}, hideDashboardToolbar => $false });
$t->row('TEN', 'GET dashboard/home', undef, 200,
    "$bi configuration hideDashboardToolbar");
$t->row('TEN', 'GET dashboard/home/info', undef, 200,
    { dashboardId => $board->{id}, hideDashboardToolbar => $false });
$t->row('TEN', "GET user/dashboards/$bid/$_", undef, 200, 'last starred')
    for qw(visit star unstar);

# entity views

my $v = 'id createdTime tenantId customerId entityId name type keys '
    . 'startTimeMs endTimeMs additionalInfo externalId version';
my $view = $t->row('TEN', 'POST entityView', { name => 'V1', type => 'v',
    entityId => $device->{id}, keys => { timeseries => ['t'], attributes =>
    { cs => [], ss => ['a'], sh => [] } } }, 200, $v);
my $vid = $view->{id}{id};

$t->row('TEN', "GET entityView/info/$vid", undef, 200,
    "$v customerTitle customerIsPublic");
$t->row('TEN', 'POST entityView', { %$view, id => undef }, 400,
    'Entity view with such name already exists!');
$t->row('TEN', "POST customer/$cid/entityView/$vid", undef, 200, $v);
$t->paged('TEN', $_) for 'tenant/entityViews', 'tenant/entityViewInfos',
    "customer/$cid/entityViews", "customer/$cid/entityViewInfos";
$t->row('TEN', "GET tenant/$_?entityViewName=V1", undef, 200, $v)
    for qw(entityViews entityView);
$t->row('TEN', "GET entityViews$_?entityViewIds=$vid", undef, 200, $v)
    for '', '/list';
$t->row('TEN', 'GET entityView/types', undef, 200,
    'tenantId entityType type');
$t->row('TEN', "DELETE customer/entityView/$vid", undef, 200, $v);
$t->row('TEN', "DELETE entityView/$vid", undef, 200, '');
$t->row('TEN', "GET entityView/$vid", undef, 404, undef);

# relations

my $r = 'from to type typeGroup additionalInfo version';
my $x = { from => $asset->{id}, to => $device->{id}, type => 'Contains' };
my $q = "fromId=$aid&fromType=ASSET&relationType=Contains&toId=$id"
    . '&toType=DEVICE';

$t->row('TEN', 'POST relation', $x, 200, '');
$t->row('TEN', 'POST v2/relation', $x, 200, $r);
$t->row('TEN', "GET relation?$q", undef, 200, $r);
$t->row('TEN', "GET $_", undef, 200, $r) for
    "relations?fromId=$aid&fromType=ASSET", "relations?toId=$id&toType=DEVICE",
    "relations/from/ASSET/$aid", "relations/to/DEVICE/$id/Contains";
$t->row('TEN', "GET relations/info?fromId=$aid&fromType=ASSET", undef, 200,
    "$r toName");
$t->row('TEN', "GET relations/info/to/DEVICE/$id", undef, 200, "$r fromName");
$t->row('TEN', 'POST relations', { parameters => { rootId => $aid,
    rootType => 'ASSET', direction => 'FROM', maxLevel => 0 }, filters =>
    [{ relationType => 'Contains', entityTypes => ['DEVICE'] }] }, 200, $r);
$t->row('TEN', 'POST relation', { %$x, from => { entityType => 'NONSENSE',
    id => $aid } }, 400, undef);
$t->row('CUS', "GET relation?$q", undef, 403, $denied);
$t->row('TEN', "DELETE relation?$q", undef, 200, '');
$t->row('TEN', "DELETE relation?$q", undef, 404, undef);
$t->row('TEN', "DELETE relations?entityId=$aid&entityType=ASSET", undef, 200,
    '');

# alarms

my $al = 'id createdTime tenantId customerId name type originator severity '
    . 'acknowledged cleared status assigneeId startTs endTs ackTs clearTs '
    . 'assignTs details propagate propagateToOwner propagateToTenant '
    . 'propagateRelationTypes';
my $ali = "$al originatorName originatorLabel originatorDisplayName assignee";
my $alarm = $t->row('TEN', 'POST alarm', { type => 'Hot',
    severity => 'MAJOR', originator => $device->{id} }, 200, $al);
my $alid = $alarm->{id}{id};

$t->row('TEN', 'POST alarm', { type => 'Hot', severity => 'CRITICAL',
    originator => $device->{id} }, 200, { id => $alarm->{id},
    severity => 'CRITICAL', status => 'ACTIVE_UNACK', ackTs => 0 });
$t->row('TEN', "GET alarm/$alid", undef, 200, $al);
$t->row('TEN', "GET alarm/info/$alid", undef, 200, $ali);
$t->row('CUS', "GET alarm/$alid", undef, 403, $denied);
$t->row('TEN', "POST alarm/$alid/ack", undef, 200,
    { status => 'ACTIVE_ACK', originatorName => 'D1' });
$t->row('TEN', "POST alarm/$alid/ack", undef, 400,
    'Alarm was already acknowledged!');

my $me = $t->row('TEN', 'GET auth/user', undef, 200, undef)->{id}{id};

$t->row('TEN', "POST alarm/$alid/assign/$me", undef, 200, $ali);
$t->row('TEN', "POST alarm/$alid/assign/$me", undef, 400,
    'Alarm was already assigned to this user!');
$t->row('TEN', "DELETE alarm/$alid/assign", undef, 200, $ali);
$t->row('TEN', "DELETE alarm/$alid/assign", undef, 400,
    'Alarm was already unassigned!');
$t->row('TEN', "POST alarm/$alid/clear", undef, 200,
    { status => 'CLEARED_ACK' });
$t->row('TEN', "POST alarm/$alid/clear", undef, 400,
    'Alarm was already cleared!');
$t->paged('TEN', $_) for 'alarms', "alarm/DEVICE/$id", 'v2/alarms',
    "v2/alarm/DEVICE/$id";
$t->row('TEN', "GET alarms?$page&searchStatus=ANY&status=ACTIVE_ACK", undef,
    400, undef);
$t->row('TEN', "GET v2/alarms?$page&statusList=CLEARED,ACK&severityList="
    . 'CRITICAL&typeList=Hot', undef, 200, $ali);
$t->row('TEN', "GET alarm/highestSeverity/DEVICE/$id", undef, 200,
    qr/^(?:"CRITICAL")?$/);
$t->row('TEN', "GET alarm/types?$page", undef, 200, 'tenantId entityType '
    . 'type');
$t->row('TEN', "GET users/assign/$alid?$page", undef, 200,
    'id email firstName lastName');

my $comment = $t->row('TEN', "POST alarm/$alid/comment",
    { comment => { text => 'x' } }, 200,
    'id createdTime alarmId userId type comment');

$t->row('TEN', "POST alarm/$alid/comment",
    { comment => { text => 'x' x 10001 } }, 400, undef);
$t->row('TEN', "GET alarm/$alid/comment?$page", undef, 200,
    'id createdTime alarmId userId type comment firstName lastName email');
$t->row('TEN', "DELETE alarm/$alid/comment/$comment->{id}{id}", undef, 200,
    undef);
$t->row('TEN', "DELETE alarm/$alid", undef, 200, qr/^true$/);
$t->row('TEN', "DELETE dashboard/$bid", undef, 200, '');
$t->row('TEN', "DELETE asset/$aid", undef, 200, '');
$t->row('TEN', "DELETE device/$id", undef, 200, '');
$t->row('TEN', "GET device/$id", undef, 404,
    "Device with id [$id] is not found");

done_testing();
