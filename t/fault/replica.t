#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# database_read: a real standby answers what only reads; what changes goes to
# the primary.  When the standby goes, reads are refused in time and writes go
# on; when it is back, so are the reads.

use lib 't/lib';
use IotTest;

use IotCtl::Run qw(am_root must_run);
use Time::HiRes qw(time);

my $t = IotTest->new(cluster => 'own', start => 0,
    settings => { wal_level => 'replica', max_wal_senders => 4 });

my $primary = $t->{cluster}{postgres};
my $dir = $t->dir . '/standby';

mkdir($dir);
chmod(0755, $dir);

must_run('pg_basebackup',
    [$primary->bin . '/pg_basebackup', '-h', $primary->{socket}, '-U',
        'postgres', '-D', "$dir/pg", '-R', '-X', 'stream', '--checkpoint',
        'fast', '--no-sync'],
    user => am_root() ? give($dir) : undef);

my $standby = IotTest::Cluster::server($dir,
    settings => { hot_standby => 'on' });
$standby->start;

$t->snippet('iot', 'database_read "'
    . $standby->conninfo('iot_worker', $t->{database})
    . ' application_name=reader";' . "\ndatabase_queue_timeout 1s;\n");
$t->start;

my $tenant = $t->tenant;
my $values = '/api/plugins/telemetry/DEVICE/' . $t->device_id
    . '/values/timeseries';

is(sessions($standby, 'reader') > 0, 1, 'the workers read from the standby');
is(sessions($primary, 'reader'), 0, 'and not from the primary');

is($t->post('/api/v1/' . $t->device_token . '/telemetry',
    body => '{"ts":1700000000000,"values":{"a":1}}')->status, 200,
    'a point goes to the primary');

ok($t->wait_for(30, sub { latest() eq '1' }),
    'a point is read from the standby');

is($t->post('/api/device', token => $tenant,
    json => { name => 'Made while reading elsewhere' })->status, 200,
    'a change goes to the primary');

$standby->stop('immediate');

my $begin = time();
my $answer = $t->get("$values?keys=a", token => $tenant);
is($answer->status, 503, 'without the standby a read is refused');
ok($answer->header('Retry-After'), 'with Retry-After');
cmp_ok(time() - $begin, '<', 10, 'in time');

is($t->post('/api/v1/' . $t->device_token . '/telemetry',
    body => '{"ts":1700000001000,"values":{"a":2}}')->status, 200,
    'points are taken all the same');

$standby->start;
ok($t->wait_for(30, sub { latest() eq '2' }), 'the standby answers again');

$t->quit;
$standby->stop('fast');

done_testing();


sub latest {
    my $r = $t->get("$values?keys=a", token => $tenant);

    return $r->status == 200 ? $r->json->{a}[0]{value} // '' : '';
}


sub give {
    my ($path) = @_;

    chown((getpwnam('postgres'))[2, 3], $path);

    return 'postgres';
}


sub sessions {
    my ($server, $name) = @_;

    return IotCtl::Postgres::psql($server->conninfo('postgres', 'postgres'),
        "SELECT count(*) FROM pg_stat_activity
          WHERE application_name = '$name';\n", private => 1);
}
