#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# What belongs to another tenant does not exist: each route that takes an id
# gets the ids of another tenant's entities of every kind and ids that nobody
# has, and both answers are the same.  So it is with ids in queries and bodies.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);

use lib dirname(Cwd::abs_path(__FILE__)) . '/../lib';

use IotTest;
use JSON::XS ();

my $json = JSON::XS->new->utf8->canonical->allow_nonref;
my $t = IotTest->new(workers => 2);
my ($sys, $tenant, $customer) = ($t->sysadmin, $t->tenant, $t->customer);

# another tenant, with one of each

my %b = (TENANT => made($sys, 'tenant', { title => 'Other' }));

$b{ADMIN} = made($sys, 'user?sendActivationMail=false', {
    email => 'admin@other.test', authority => 'TENANT_ADMIN',
    tenantId => id('TENANT') });

my $other = enabled('admin@other.test');

$b{CUSTOMER} = made($other, 'customer', { title => 'C' });
$b{USER} = made($other, 'user?sendActivationMail=false', {
    email => 'user@other.test', authority => 'CUSTOMER_USER',
    customerId => id('CUSTOMER') });
$b{DEVICE} = made($other, 'device?accessToken=OtherToken',
    { name => 'D', customerId => id('CUSTOMER') });
$b{DEVICE_PROFILE} = made($other, 'deviceProfile', { name => 'P',
    type => 'DEFAULT', transportType => 'DEFAULT',
    profileData => { configuration => { type => 'DEFAULT' },
        transportConfiguration => { type => 'DEFAULT' } } });
$b{ASSET} = made($other, 'asset', { name => 'A' });
$b{ASSET_PROFILE} = made($other, 'assetProfile', { name => 'P' });
$b{ENTITY_VIEW} = made($other, 'entityView', { name => 'V', type => 'v',
    entityId => id('DEVICE'), keys => { timeseries => ['t'],
        attributes => { cs => [], ss => [], sh => [] } } });
$b{DASHBOARD} = made($other, 'dashboard', { title => 'B' });
$b{OTA_PACKAGE} = made($other, 'otaPackage', { title => 'F', version => '1',
    type => 'FIRMWARE', url => 'http://example.org/f',
    deviceProfileId => id('DEVICE_PROFILE'), usesUrl => JSON::XS::true });
$b{ALARM} = made($other, 'alarm', { type => 'Hot', severity => 'MAJOR',
    originator => id('DEVICE') });
$b{COMMENT} = made($other, "alarm/$b{ALARM}/comment",
    { comment => { text => 'x' } });
$b{RPC} = ok200($other, "rpc/oneway/$b{DEVICE}", { method => 'm',
    persistent => JSON::XS::true })->{rpcId};
$b{ENTITY_GROUP} = made($other, 'entityGroup',
    { type => 'USER', name => 'G' });
$b{ROLE} = made($other, 'role', { name => 'R', type => 'GENERIC',
    permissions => { DEVICE => ['READ'] } });
$b{PERMISSION} = made($other, 'groupPermission',
    { userGroupId => id('ENTITY_GROUP'), roleId => id('ROLE') });
$b{API_KEY} = made($other, 'apiKey', { userId => { entityType => 'USER',
    id => $b{ADMIN} }, description => 'k', enabled => JSON::XS::true });
$b{JOB} = $t->value(q{SELECT iot.job_add(?, 'mail', '{}')}, $b{TENANT});
ok200($other, 'selfRegistration/invitation', { email => 'x@other.test' });
$b{INVITATION} = $t->get('/api/selfRegistration/invitations?pageSize=9&page=0',
    token => $other)->json->{data}[0]{id};
$b{INVITATION} = $b{INVITATION}{id} if ref($b{INVITATION});
ok200($other, "relation", { from => id('DEVICE'), to => id('ASSET'),
    type => 'Contains' });
$t->post('/api/v1/OtherToken/telemetry', body => '{"t":1}');
$t->post("/api/plugins/telemetry/DEVICE/$b{DEVICE}/attributes/SERVER_SCOPE",
    token => $other, json => { a => 1 });

like($b{$_}, qr/^[0-9a-f-]{36}$/, "$_ of the other tenant") for sort keys %b;

# what must not have changed

my $before = state();

# every route with an id

my $routes = slurp(dirname(Cwd::abs_path(__FILE__)) . '/../../ngx_iot_module/'
    . 'http/thingsboard/ngx_http_iot_tb_routes.c');
my $unknown = '784f394c-42b6-435a-983c-b7beff2784f9';
my $nobody = '8ac7b1d0-9a3e-4a0a-9b4f-5a5f2c7a4e11';
my %own = (customerId => $t->customer_id, deviceId => $t->device_id,
    tenantId => $t->tenant_id, ownerId => $t->customer_id,
    entityId => $t->device_id, id => $t->device_id);
my ($tried, @rows, %none) = (0);

$routes =~ s{^.*?ngx_http_iot_tb_routes\[\] = \{}{}s;

while ($routes =~ /_(?:sql|both|c)\(\s*(\w+),\s*"([^"]+)",\s*([A-Z|]+),/g) {
    my ($method, $path, $who) = ($1, "/api/$2", $3);

    push @rows, [$method, $path]
        if $path =~ /\{(?:\w+I|i)d\}/ && $who =~ /TEN|CUS|ANY/;
}

cmp_ok(scalar(@rows), '>', 100, 'routes with ids');

for my $row (@rows) {
    my ($method, $path) = @$row;
    my @names = $path =~ /\{((?:\w+I|i)d)\}/g;
    my @wrong;

    for my $which ('all', @names > 1 ? @names : ()) {
        # any tenant may be given a device
        next if $which eq 'tenantId';

        for my $kind (sort keys %b) {
            for my $who ($tenant, $customer) {
                my $n = compare($method, $who, $kind, sub {
                    my ($uuid) = @_;
                    my $p = filled($path, $which, $uuid, $kind);

                    return ($p, body_for($method, $path, $uuid));
                });

                push @wrong, "$which=$kind: $n" if $n;
            }
        }
    }

    ok(!@wrong, "$method $path") or diag(join("\n", @wrong));
}

cmp_ok($tried, '>', 4000, "$tried times");

# ids in queries

my $page = 'pageSize=10&page=0';

for my $query (
    'devices?deviceIds=$', 'assets?assetIds=$', 'users?userIds=$',
    'customers?customerIds=$', 'dashboards?dashboardIds=$',
    'entityViews?entityViewIds=$', 'deviceProfileInfos?deviceProfileIds=$',
    'assetProfileInfos?assetProfileIds=$', 'roles?roleIds=$',
    'tenants?tenantIds=$', 'devices/list?deviceIds=$',
    "tenant/deviceInfos?$page&deviceProfileId=\$",
    "tenant/assetInfos?$page&assetProfileId=\$",
    'deviceProfile/devices/keys/timeseries?deviceProfileId=$',
    'deviceProfile/devices/keys/attributes?deviceProfileId=$',
    'relations?fromId=$&fromType=%', 'relations?toId=$&toType=%',
    'relations/info?fromId=$&fromType=%',
    "relation?fromId=\$&fromType=%&relationType=Contains&toId=$b{ASSET}"
        . '&toType=ASSET',
    "alarms?$page&assigneeId=\$", "v2/alarms?$page&assigneeId=\$")
{
    alike('GET', "/api/$query");
}

alike('DELETE', '/api/relations?entityId=$&entityType=%');
alike('DELETE', '/api/relation?fromId=$&fromType=%&relationType=Contains&toId='
    . $b{ASSET} . '&toType=ASSET');

# ids in bodies

for my $body (
    ['device', '{"id":^,"name":"n"}'],
    ['device', '{"name":"n","customerId":^}'],
    ['device', '{"name":"n","deviceProfileId":^}'],
    ['device', '{"name":"n","firmwareId":^}'],
    ['device', '{"id":{"id":"' . $t->device_id . '","entityType":"DEVICE"},'
        . '"name":"n","customerId":^}'],
    ['device-with-credentials', '{"device":{"id":^,"name":"n"},'
        . '"credentials":{"credentialsType":"ACCESS_TOKEN",'
        . '"credentialsId":"abc"}}'],
    ['device/credentials', '{"id":{"id":"$"},"deviceId":^,'
        . '"credentialsType":"ACCESS_TOKEN","credentialsId":"abc"}'],
    ['devices', '{"parameters":{"rootId":"$","rootType":"%",'
        . '"direction":"FROM","maxLevel":1},"relationType":"Contains",'
        . '"deviceTypes":["default"]}'],
    ['asset', '{"id":^,"name":"n"}'],
    ['asset', '{"name":"n","customerId":^}'],
    ['asset', '{"name":"n","assetProfileId":^}'],
    ['customer', '{"id":^,"title":"n"}'],
    ['customer', '{"title":"n","parentCustomerId":^}'],
    ['user', '{"id":^,"email":"n@iot.test","authority":"CUSTOMER_USER"}'],
    ['user', '{"email":"n@iot.test","authority":"CUSTOMER_USER",'
        . '"customerId":^}'],
    ['deviceProfile', '{"id":^,"name":"n","type":"DEFAULT",'
        . '"transportType":"DEFAULT"}'],
    ['assetProfile', '{"id":^,"name":"n"}'],
    ['dashboard', '{"id":^,"title":"n"}'],
    ['entityView', '{"id":^,"name":"n","type":"v"}'],
    ['entityView', '{"name":"n","type":"v","entityId":^,"keys":null}'],
    ['otaPackage', '{"title":"n","version":"1","type":"FIRMWARE",'
        . '"url":"http://example.org/","deviceProfileId":^}'],
    ['alarm', '{"id":^,"type":"n","severity":"MAJOR","originator":{"id":"'
        . $t->device_id . '","entityType":"DEVICE"}}'],
    ['alarm', '{"type":"n","severity":"MAJOR","originator":^}'],
    ['relation', '{"from":^,"to":{"id":"' . $t->device_id
        . '","entityType":"DEVICE"},"type":"Contains"}'],
    ['relation', '{"to":^,"from":{"id":"' . $t->device_id
        . '","entityType":"DEVICE"},"type":"Contains"}'],
    ['relations', '{"parameters":{"rootId":"$","rootType":"%",'
        . '"direction":"FROM","maxLevel":1}}'],
    ['entityGroup', '{"id":^,"type":"USER","name":"n"}'],
    ['entityGroup', '{"type":"USER","name":"n","ownerId":^}', 'CUSTOMER'],
    ['role', '{"id":^,"name":"n","type":"GENERIC","permissions":{}}'],
    ['groupPermission', '{"userGroupId":^,"roleId":^}'],
    ['apiKey', '{"userId":^,"description":"n","enabled":true}'],
    ['entitiesQuery/find', '{"entityFilter":{"type":"singleEntity",'
        . '"singleEntity":^},"pageLink":{"page":0,"pageSize":9}}'],
    ['entitiesQuery/find', '{"entityFilter":{"type":"entityList",'
        . '"entityType":"%","entityList":["$"]},'
        . '"pageLink":{"page":0,"pageSize":9}}'],
    ['entitiesQuery/count', '{"entityFilter":{"type":"relationsQuery",'
        . '"rootEntity":^,"direction":"FROM","maxLevel":1,"filters":[]}}'],
    ['tenant/dashboard/home/info', '{"dashboardId":^}'])
{
    alike('POST', "/api/$body->[0]", @$body[1 .. $#$body]);
}

is(state(), $before, 'nothing of the other tenant has changed');
unlike($t->error_log, qr/42501|row-level/, 'no right was missing');

done_testing();


# --- helpers -----------------------------------------------------------------


# the answers to the ids of the other tenant (of all kinds, or the one given)
# and to an unknown one
sub alike {
    my ($method, $path, $body, $only) = @_;
    my @wrong;

    for my $kind (grep { !/^(ADMIN|COMMENT|PERMISSION|JOB|INV)/ }
        sort keys %b)
    {
        next if $only && $kind ne $only;

        for my $who ($tenant, $customer) {
            my $n = compare($method, $who, $kind, sub {
                my ($uuid) = @_;
                my ($p, $x) = ($path, $body);

                for ($p, $x) {
                    next unless defined;
                    s/\^/{"id":"\$","entityType":"%"}/g;
                    s/\$/$uuid/g;
                    s/%/$kind/g;
                }

                return ($p, $x);
            });

            push @wrong, "$kind: $n" if $n;
        }
    }

    ok(!@wrong, "$method $path " . ($body || '')) or diag(join("\n", @wrong));
}


# '' when both answers are the same and tell nothing
sub compare {
    my ($method, $who, $kind, $make) = @_;
    my @seen;

    for my $uuid ($b{$kind}, $unknown) {
        my ($path, $body) = $make->($uuid);
        my $asked = join(' ', $method, $path, $who, defined $body ? $body : '');

        if ($uuid eq $unknown && $none{$asked}) {
            push @seen, $none{$asked};
            next;
        }

        my $a = $t->http($method, $path, token => $who,
            defined $body ? (body => $body, type => 'application/json') : ());
        my $text = $a->body;

        $text =~ s/\Q$uuid\E/ID/g;
        # a customer who is named as the owner is told apart, as it always was
        $text =~ s/to customer from different tenant/to non-existent customer/;
        $text =~ s/can't be assigned to (non-exist)/is referencing to $1/;
        $text =~ s/"(?:timestamp|ts|lastUpdateTs|createdTime)":\d+/"at":0/g;
        push @seen, $a->status . ' ' . $text;
        $none{$asked} = $seen[-1] if $uuid eq $unknown;
        $tried++;
    }

    return "$seen[0] but of an unknown id: $seen[1]"
        if $seen[0] ne $seen[1];
    return '' if $seen[0] !~ /^200/;

    # a list without anything, or nothing at all
    return '' if $seen[0] =~ /"data" ?: ?\[\]|^200 (?:\[\]|\{\}|0|)$/;

    return "answers $seen[0]";
}


sub filled {
    my ($path, $which, $uuid, $kind) = @_;
    my $type = $kind =~ /^(?:COMMENT|PERMISSION|INVITATION)$/ ? 'DEVICE'
        : $kind eq 'ADMIN' ? 'USER' : $kind;

    $path =~ s/\{((?:\w+I|i)d)\}/$which eq 'all' || $which eq $1 ? $uuid
        : $own{$1} || $nobody/ge;
    $path =~ s/\{scope\}/SERVER_SCOPE/g;
    $path =~ s/\{ttl\}/0/g;
    $path =~ s/\{value\}/true/g;
    $path =~ s/\{action\}/visit/g;
    $path =~ s/\{(?:ownerType)\}/CUSTOMER/g;
    $path =~ s/\{type\}/$path =~ m{devices.count|otaPackages} ? 'FIRMWARE'
        : $type/ge;
    $path =~ s/\{entityType\}/$type/g;
    $path =~ s/\{\w+\}/x/g;

    return "$path?pageSize=10&page=0&keys=t,a&deleteAllDataForKeys=true"
        . '&userCredentialsEnabled=true';
}


sub body_for {
    my ($method, $path, $uuid) = @_;

    return undef if $method eq 'GET' || $method eq 'DELETE';
    return '{"method":"m","timeout":5000}' if $path =~ m{/rpc/};
    return '{"ts":1,"values":{"a":1}}' if $path =~ /timeseries/;
    return '{"a":1}' if $path =~ /telemetry/;
    return '{"comment":{"text":"x"}}' if $path =~ /comment/;
    return qq(["$uuid"]) if $path =~ /Entities|customers/;
    return 'text' if $path =~ /description/;
    return '{}';
}


sub state {
    return $json->encode($t->sql(q{SELECT x.*
        FROM (SELECT 'device' AS what, to_jsonb(d) - 'last_activity' AS row
                FROM iot.device d WHERE tenant_id = ?
              UNION ALL SELECT 'customer', to_jsonb(c)
                FROM iot.customer c WHERE tenant_id = ?
              UNION ALL SELECT 'asset', to_jsonb(a)
                FROM iot.asset a WHERE tenant_id = ?
              UNION ALL SELECT 'alarm', to_jsonb(a)
                FROM iot.alarm a WHERE tenant_id = ?
              UNION ALL SELECT 'user', to_jsonb(u)
                FROM iot.users u WHERE tenant_id = ?
              UNION ALL SELECT 'dashboard', to_jsonb(d)
                FROM iot.dashboard d WHERE tenant_id = ?
              UNION ALL SELECT 'role', to_jsonb(r)
                FROM iot.role r WHERE tenant_id = ?
              UNION ALL SELECT 'rpc', to_jsonb(r)
                FROM iot.rpc r WHERE tenant_id = ?
              UNION ALL SELECT 'relation', to_jsonb(r)
                FROM iot.relation r WHERE tenant_id = ?) x
        ORDER BY x.what, x.row::text}, ($b{TENANT}) x 9));
}


sub id {
    my ($kind) = @_;

    return { entityType => $kind, id => $b{$kind} };
}


sub ok200 {
    my ($who, $path, $body) = @_;
    my $a = $t->post("/api/$path", token => $who, json => $body);

    die "$path: " . $a->status . ' ' . $a->body if $a->status != 200;
    return $a->json;
}


sub made {
    my ($who, $path, $body) = @_;
    my $made = ok200($who, $path, $body);

    return ref($made->{id}) ? $made->{id}{id} : $made->{id};
}


# gives the user a password, as the link in the mail does
sub enabled {
    my ($email) = @_;

    $t->sql(q{UPDATE iot.user_credentials c SET enabled = true,
        password_hash = (SELECT o.password_hash FROM iot.user_credentials o
            JOIN iot.users x ON x.id = o.user_id
            WHERE x.email = $2), activate_token = NULL
        FROM iot.users u WHERE u.id = c.user_id AND u.email = $1},
        $email, $t->account('TENANT_EMAIL'));

    return $t->login($email, $t->account('TENANT_PASSWORD'));
}


sub slurp {
    my ($name) = @_;

    open(my $fh, '<', $name) or die "$name: $!";
    local $/;

    return <$fh>;
}
