#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# Subscriptions to queries over the WebSocket of the ThingsBoard API: what is
# there, and then what changes, in any worker.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use JSON::XS qw(decode_json encode_json);
use Test::More;
use Time::HiRes qw(time);
use IotTest::Device;
use IotTest::Ws;

my $t = IotTest::Device->new(workers => 2);
my $tenant = $t->tenant;
my $id = $t->device_id;
my ($ws, $got, $answer);


sub device {
    my ($name, %more) = @_;
    my $answer = $t->post('/api/device', token => $tenant,
        json => { name => $name, %more });

    die $answer->body if $answer->status != 200;

    return $answer->json->{id}{id};
}


sub attribute {
    my ($device, $body, $scope) = @_;

    is($t->post("/api/plugins/telemetry/DEVICE/$device/"
        . ($scope || 'SERVER_SCOPE'), token => $tenant, body => $body)
        ->status, 200, "attributes $body");
}


sub field {
    my ($key, $type) = @_;

    return { type => $type || 'ENTITY_FIELD', key => $key };
}


my $link = { page => 0, pageSize => 10, sortOrder => {
    key => field('name'), direction => 'ASC' } };
my $devices = { type => 'entityType', entityType => 'DEVICE' };

$t->telemetry('{"ts":1792142423000,"values":{"t":21.5}}');
attribute($id, '{"mode":"on"}');

# --- ENTITY_DATA

$ws = IotTest::Ws->login($t, $tenant);
$ws->command(type => 'ENTITY_DATA', cmdId => 1, query => {
    entityFilter => $devices, entityFields => [field('name')],
    latestValues => [field('mode', 'ATTRIBUTE')], pageLink => $link },
    latestCmd => { keys => [field('t', 'TIME_SERIES')] });
$got = $ws->next;

my $name = delete $got->{data}{data}[0]{latest}{ENTITY_FIELD}{name};
my $mode = delete $got->{data}{data}[0]{latest}{ATTRIBUTE}{mode};

is($name->{value}, 'Demo device', 'a field');
is($mode->{value}, 'on', 'an attribute');
is_deeply($got, { cmdId => 1, update => undef, errorCode => 0,
    errorMsg => undef, cmdUpdateType => 'ENTITY_DATA',
    allowedEntities => 10000, data => { totalPages => 1, totalElements => 1,
    hasNext => JSON::XS::false, data => [{
        entityId => { entityType => 'DEVICE', id => $id },
        latest => { ENTITY_FIELD => {}, ATTRIBUTE => {},
            TIME_SERIES => { t => { ts => 1792142423000, value => '21.5' } }
        }, timeseries => {}, aggLatest => {} }] } }, 'the first answer');

for my $n (1 .. 4) {
    my $ts = 1792142423000 + $n;

    $t->telemetry("{\"ts\":$ts,\"values\":{\"t\":$n,\"other\":5}}");
    is_deeply($ws->next, { cmdId => 1, data => undef, errorCode => 0,
        errorMsg => undef, cmdUpdateType => 'ENTITY_DATA',
        allowedEntities => 10000, update => [{
            entityId => { entityType => 'DEVICE', id => $id },
            latest => { TIME_SERIES => { t => { ts => $ts, value => "$n" } } },
            timeseries => {}, aggLatest => {} }] }, 'what has changed');
}

attribute($id, '{"mode":"off","more":1}');
is_deeply([map { [keys %{$_->{latest}}, $_->{latest}{ATTRIBUTE}{mode}{value}] }
    @{$ws->next->{update}}], [['ATTRIBUTE', 'off']], 'an attribute');
$t->del("/api/plugins/telemetry/DEVICE/$id/SERVER_SCOPE?keys=mode",
    token => $tenant);
is_deeply($ws->next->{update}[0]{latest}, { ATTRIBUTE => { mode =>
    { ts => 0, value => '' } } }, 'deleted');

# a late point does not move the latest value
$t->telemetry('{"ts":5,"values":{"t":99}}');
is($ws->next->{update}[0]{latest}{TIME_SERIES}{t}{value}, '4', 'a late point');

# --- replaced by a command of the same id: time series

my $now = int(time() * 1000);

$t->telemetry(encode_json([map { { ts => $now - 1000 * $_,
    values => { t => $_ } } } 1 .. 4]));
$ws->next;
$ws->command(cmdId => 1, type => 'ENTITY_DATA', tsCmd => { keys => ['t', 'u'],
    startTs => $now - 3500, timeWindow => 60000, interval => 0, limit => 10,
    agg => 'NONE', fetchLatestPreviousPoint => JSON::XS::true });
$got = $ws->next;
is_deeply([map { $_->{value} } @{$got->{data}{data}[0]{timeseries}{t}}],
    [1, 2, 3, 4], 'points of the window and the one before');
is_deeply($got->{data}{data}[0]{timeseries}{u}, [], 'a key without any');
is_deeply($got->{data}{data}[0]{latest}, {
    ENTITY_FIELD => { name => $got->{data}{data}[0]{latest}{ENTITY_FIELD}
        {name} }, ATTRIBUTE => { mode => { ts => 0, value => '' } } },
    'the query is that of before');

$t->telemetry("[{\"ts\":$now,\"values\":{\"t\":7,\"u\":{\"a\":1}}}]");
is_deeply($ws->next->{update}[0]{timeseries}, {
    t => [{ ts => $now, value => '7' }],
    u => [{ ts => $now, value => '{"a":1}' }] }, 'a new point');

$ws->command(cmdId => 1, type => 'ENTITY_DATA_UNSUBSCRIBE');

# --- aggregates

$ws->command(cmdId => 2, type => 'ENTITY_DATA', query => {
    entityFilter => $devices, pageLink => $link },
    historyCmd => { keys => ['t'], startTs => $now - 4500,
        endTs => $now - 500, interval => 2000, agg => 'SUM' },
    aggHistoryCmd => { startTs => $now - 4500, endTs => $now - 500, keys => [
        { id => 1, key => 't', agg => 'MAX', previousStartTs => 1,
            previousEndTs => 10 },
        { id => 2, key => 'u', agg => 'AVG' }] });
$got = $ws->next->{data}{data}[0];
is_deeply([map { $_->{value} } @{$got->{timeseries}{t}}], ['7', '3'],
    'history in buckets');
is($got->{aggLatest}{1}{current}{value}, '4', 'an aggregate');
is($got->{aggLatest}{1}{previous}{value}, '99', 'that of the time before');
is_deeply($got->{aggLatest}{2}, { current => { ts => 0, value => '' },
    previous => undef }, 'of nothing');
$ws->command(cmdId => 2, type => 'ENTITY_DATA_UNSUBSCRIBE');

# --- counts, in the older form

$ws->send({ entityCountCmds => [{ cmdId => '3', query => {
    entityFilter => $devices, keyFilters => [{
        key => field('level', 'SERVER_ATTRIBUTE'),
        predicate => { type => 'NUMERIC', operation => 'GREATER',
            value => { defaultValue => 5 } } }] } }] });
is_deeply($ws->next, { cmdId => 3, count => 0, errorCode => 0,
    errorMsg => undef, cmdUpdateType => 'COUNT_DATA' }, 'none');
attribute($id, '{"level":6}');
is($ws->next->{count}, 1, 'one by its attribute');
my $second = device('Second');
attribute($second, '{"level":7}');
is($ws->next->{count}, 2, 'another');
$t->del("/api/device/$second", token => $tenant);
is($ws->next->{count}, 1, 'it goes');
$ws->send({ entityCountUnsubscribeCmds => [{ cmdId => 3 }] });

# --- what the server itself says of a device

$ws->command(cmdId => 10, type => 'ATTRIBUTES', entityType => 'DEVICE',
    entityId => $id, keys => 'active,inactivityAlarmTime',
    scope => 'SERVER_SCOPE');
$ws->next;


# the value when it changes; the connection is pinged all the while
sub active {
    for (1 .. 10) {
        my $got = $ws->next;
        return $got if ref($got) && $got->{data}{active};
        last if $got eq 'end';
    }
}


attribute($id, '{"inactivityTimeout":1}');
$t->telemetry('{"z":1}');
$got = active();
$got = active() if $got->{data}{active}[0][1] eq 'true';
is($got->{data}{active}[0][1], 'false', 'it is not active any more');
cmp_ok($got->{data}{inactivityAlarmTime}[0][1], '>', 1e12, 'since when');
attribute($id, '{"inactivityTimeout":600000}');
$t->telemetry('{"z":1}');
is(active()->{data}{active}[0][1], 'true', 'it is again');
$ws->command(cmdId => 10, type => 'ATTRIBUTES_UNSUBSCRIBE');

# --- a list that follows its query

$ws->command(cmdId => 4, type => 'ENTITY_DATA', query => {
    entityFilter => { type => 'entityName', entityType => 'DEVICE',
        entityNameFilter => 'Pump' }, entityFields => [field('name')],
    pageLink => { %$link, dynamic => JSON::XS::true } });
is_deeply($ws->next->{data}{data}, [], 'empty');
my $pump = device('Pump 1');
$got = $ws->next;
is($got->{data}{data}[0]{entityId}{id}, $pump, 'a device was made');
is($got->{update}, undef, 'the whole list');
$ws->command(cmdId => 4, type => 'ENTITY_DATA_UNSUBSCRIBE');

# --- alarms

my $alarms = { entityFilter => $devices, pageLink => { page => 0,
    pageSize => 5, sortOrder => { key => field('createdTime', 'ALARM_FIELD'),
    direction => 'DESC' } }, entityFields => [field('name')] };

$ws->command(cmdId => 5, type => 'ALARM_DATA', query => $alarms);
$got = $ws->next;
is($got->{cmdUpdateType}, 'ALARM_DATA', 'alarms');
is($got->{data}{totalElements}, 0, 'none');
is($got->{totalEntities}, 2, 'of two devices');
$ws->command(cmdId => 6, type => 'ALARM_COUNT', query => {
    entityFilter => $devices, statusList => ['ACTIVE'] });
is_deeply($ws->next, { cmdId => 6, count => 0, errorCode => 0,
    errorMsg => undef, cmdUpdateType => 'ALARM_COUNT_DATA' }, 'their number');
$ws->command(cmdId => 7, type => 'ALARM_STATUS', originatorId =>
    { entityType => 'DEVICE', id => $id }, severityList => ['MAJOR']);
is_deeply($ws->next, { cmdId => 7, active => JSON::XS::false, errorCode => 0,
    errorMsg => undef, cmdUpdateType => 'ALARM_STATUS' }, 'is there one');

my $aid = $t->post('/api/alarm', token => $tenant, json => {
    type => 'hot', severity => 'MAJOR',
    originator => { entityType => 'DEVICE', id => $id } })->json->{id}{id};
my %seen = map { $_->{cmdId} => $_ } map { $ws->next } 1 .. 3;

is($seen{5}{data}{data}[0]{id}{id}, $aid, 'the alarm');
is($seen{5}{data}{data}[0]{latest}{ENTITY_FIELD}{name}{value}, 'Demo device',
    'with its entity');
is($seen{6}{count}, 1, 'one is active');
is($seen{7}{active}, JSON::XS::true, 'there is one');
$t->post("/api/alarm/$aid/clear", token => $tenant, body => '');
%seen = map { $_->{cmdId} => $_ } map { $ws->next } 1 .. 3;
is($seen{5}{data}{data}[0]{status}, 'CLEARED_UNACK', 'cleared');
is($seen{6}{count}, 0, 'none is active');
is($seen{7}{active}, JSON::XS::false, 'not any more');
$ws->command(cmdId => $_, type => 'ALARM_DATA_UNSUBSCRIBE') for 5 .. 7;

# --- notifications: there are none

$ws->command(cmdId => 8, type => 'NOTIFICATIONS', limit => 5);
is_deeply($ws->next->{notifications}, [], 'no notifications');
$ws->command(cmdId => 9, type => 'NOTIFICATIONS_COUNT');
is($ws->next->{totalUnreadCount}, 0, 'none unread');
$ws->command(cmdId => 9, type => 'MARK_ALL_NOTIFICATIONS_AS_READ');

# --- others, errors

my $other = IotTest::Ws->login($t, $t->customer);

$other->command(cmdId => 1, type => 'ENTITY_COUNT', query => {
    entityFilter => $devices });
is($other->next->{count}, 1, 'a customer user sees its own');

for my $case (
    [{ type => 'ENTITY_DATA' }, 'ENTITY_DATA', 'Query is missing!'],
    [{ type => 'ENTITY_DATA', query => { entityFilter => { type => 'x' },
        pageLink => $link } }, 'ENTITY_DATA',
        'Unknown entity filter type \'x\'!'],
    [{ type => 'ENTITY_COUNT' }, 'COUNT_DATA', 'Malformed JSON request body'],
    [{ type => 'ALARM_COUNT' }, 'ALARM_COUNT_DATA',
        'Malformed JSON request body'],
    [{ type => 'ALARM_DATA', query => $alarms, cmdId => -1 }, 'ALARM_DATA',
        'Cmd id is negative value!'])
{
    my ($command, $kind, $text) = @$case;

    $ws->command(cmdId => 20, %$command);
    $got = $ws->next;
    is($got->{errorMsg}, $text, $text);
    is("$got->{errorCode} $got->{cmdUpdateType}", "2 $kind", 'its code');
}

$ws->command(cmdId => 21, type => 'ENTITY_COUNT', query => {
    entityFilter => $devices });
is($ws->next->{count}, 2, 'the connection lives');

done_testing();
