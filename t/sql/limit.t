#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# Two that create at the same time cannot both take the last place, and two
# that save the same version cannot both win.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use Test::More;

my $here;


BEGIN {
    $here = dirname(Cwd::abs_path(__FILE__));
}


use lib "$here/../lib", "$here/../../tools/lib";

use DBD::Pg qw(:async);
use DBI ();
use IotTest::Cluster ();
use JSON::XS qw(decode_json encode_json);

my $cluster = IotTest::Cluster->shared;
my ($database) = $cluster->database('tmpl');
my $owner = connection('iot_owner');

$owner->do(q{SELECT iot.init_system('sys@example.org', 'h')});
$owner->do(q{SELECT iot.init_demo('T', 't@example.org', 'h', 'C',
             'c@example.org', 'h', 'D', 'TOKEN')});
$owner->do(q{UPDATE iot.tenant_profile
                SET data = jsonb_set(data::jsonb,
                           '{configuration,maxDevices}', '2')::json});

my ($principal) = $owner->selectrow_array(q{
    SELECT ROW('TENANT_ADMIN', u.tenant_id, NULL, u.id, NULL, NULL, false,
               u.email, NULL)::iot.principal
      FROM iot.users u WHERE u.email = 't@example.org'});

my @worker = map { connection('iot_worker') } 1 .. 2;

$_->do('SET ROLE iot_app') for @worker;

# the last place

my @answer = race({ name => 'a' }, { name => 'b' });

is((grep { $_->{state} eq '' } @answer), 1, 'one device was made');
is((grep { $_->{state} eq 'IO403' } @answer), 1, 'the other was refused');
is(scalar $owner->selectrow_array('SELECT count(*) FROM iot.device'), 2,
    'as many as there may be');

# the same name, without a cap

$owner->do(q{UPDATE iot.tenant_profile
                SET data = jsonb_set(data::jsonb,
                           '{configuration,maxDevices}', '0')::json});

@answer = race({ name => 'c' }, { name => 'c' });

is((grep { $_->{state} eq '' } @answer), 1, 'one has the name');
like((grep { $_->{state} ne '' } @answer)[0]{text},
    qr/Device with such name already exists!/, 'the other hears why');

# the same version

my $device = (grep { $_->{state} eq '' } @answer)[0]{body};

@answer = race({ %$device, label => 'first' }, { %$device, label => 'second' });

is((grep { $_->{state} eq '' } @answer), 1, 'one change of a version');
is((grep { $_->{state} eq 'IO409' } @answer), 1, 'the other is a conflict');

# a cap of something else, which is compared with a number that is kept

$owner->do(q{UPDATE iot.tenant_profile
                SET data = jsonb_set(data::jsonb,
                           '{configuration,maxAssets}', '1')::json});

@answer = race(map { ['asset_save', '{}', { name => $_ }] } qw(a b));

is((grep { $_->{state} eq '' } @answer), 1, 'one asset was made');
is((grep { $_->{state} eq 'IO403' } @answer), 1, 'the other was refused');

# while a device is deleted, somebody makes a view of it

@answer = race(['entity_view_save', '{}', { name => 'v', type => 't',
        entityId => $device->{id} }],
    ['device_delete', "{$device->{id}{id}}", {}]);

is($answer[0]{state}, '', 'the view is there');
is($answer[1]{state}, 'IO400', 'and so stays the device');

# people become disconnected before the database goes away

$_->disconnect for @worker, $owner;
$cluster->drop($database);

done_testing();


sub connection {
    my ($user) = @_;
    my $info = $cluster->conninfo($database, $user);

    return DBI->connect('dbi:Pg:' . join(';', split(' ', $info)), undef, undef,
        { RaiseError => 1, PrintError => 0, AutoCommit => 1 });
}


# Both call before the first commits.  A call is [function, path, body]; a body
# alone is that of a device to save.
sub race {
    my @call = map { ref($_) eq 'ARRAY' ? $_ : ['device_save', '{}', $_] } @_;
    my ($first, $second) = map {
        $worker[$_]->prepare("SELECT tb.$call[$_][0](?, ?, ?, ?)",
            $_ ? { pg_async => PG_ASYNC } : {});
    } 0, 1;
    my @answer;

    $worker[0]->begin_work;
    $answer[0] = eval {
        $first->execute($principal, $call[0][1], '{}',
            encode_json($call[0][2]));
        { state => '', body => decode_json(($first->fetchrow_array)[0]) };
    } || { state => $first->state, text => $@ };

    $second->execute($principal, $call[1][1], '{}', encode_json($call[1][2]));
    select(undef, undef, undef, 0.3);
    ok(!$second->pg_ready, 'the second waits for the first');
    $worker[0]->commit;

    $answer[1] = eval {
        $second->pg_result;
        my ($body) = $second->fetchrow_array;
        { state => '', body => defined $body ? decode_json($body) : undef };
    } || { state => $worker[1]->state, text => $@ };

    return @answer;
}
