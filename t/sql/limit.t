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


# Both save before the first commits.
sub race {
    my @body = @_;
    my $call = 'SELECT tb.device_save(?, ?, ?, ?)';
    my @answer;

    $worker[0]->begin_work;
    $answer[0] = save($worker[0]->prepare($call), $body[0]);

    my $second = $worker[1]->prepare($call, { pg_async => PG_ASYNC });

    $second->execute($principal, '{}', '{}', encode_json($body[1]));
    select(undef, undef, undef, 0.3);
    ok(!$second->pg_ready, 'the second waits for the first');
    $worker[0]->commit;

    $answer[1] = eval {
        $second->pg_result;
        { state => '', body => decode_json(($second->fetchrow_array)[0]) };
    } || { state => $worker[1]->state, text => $@ };

    return @answer;
}


sub save {
    my ($call, $body) = @_;

    return eval {
        $call->execute($principal, '{}', '{}', encode_json($body));
        { state => '', body => decode_json(($call->fetchrow_array)[0]) };
    } || { state => $call->state, text => $@ };
}
