#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# CONNECT of all versions: who is let in, what is answered, who is thrown out.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Test::More;
use Time::HiRes qw(sleep time);
use IotTest::Mqtt;

my $t = IotTest::Mqtt->start(workers => 2);
my $c;

for my $version (3, 4, 5) {
    $c = $t->mqtt($version, "v$version");
    like($c->{connack}, $version == 5 ? qr/^20 \w+ 00 00 / : qr/^20 02 00 00$/,
        "level $version is accepted");
    $c->send(12, 0, '');
    is($c->packet, 'd0 00', '... and its ping is answered');
    $c->send(14, 0, '');
    is($c->packet, 'closed', '... and the connection closed on DISCONNECT');
}

$c = $t->raw;
$c->{version} = 6;
$c->connect('six');
like($c->packet, qr/^20 (?:03 00 84 00|02 00 01)$/, 'an unknown level');
is($c->packet, 'closed', '... is closed');

$c = $t->raw;
$c->publish('a', 'b');
is($c->packet, 'closed', 'CONNECT must come first');

$c = $t->mqtt(5, '');
like($c->{connack}, qr/ 12 00 29 61 75 74 6f 2d /, 'a client id is assigned');

$c = $t->mqtt(4, '', clean => 0);
is($c->{connack}, '20 02 00 02', 'none without a clean session is refused');

$c = $t->mqtt(5, 'auth', props => "\x15" . str('nothing'));
like($c->{connack}, qr/^20 \w+ 00 8c/, 'an unknown authentication method');

$c = $t->mqtt(5, 'twice');
$c->connect('twice');
like($c->packet, qr/^e0 (?:01|02) 82/, 'a second CONNECT is an error');

# what came in the same segment as CONNECT counts
$c = $t->raw;
$c->bytes(packet(1, 0, $c->connect_body('both'))
    . packet(8, 2, u16(9) . str('x') . "\0"));
is($c->packet, '20 02 00 00', 'CONNECT and SUBSCRIBE at once');
is($c->packet, '90 03 00 09 00', '... are both answered');

# byte by byte
my $bytes = packet(1, 0, $c->connect_body('slow', user => 'u',
    password => 'p', will => { topic => 'w', payload => 'x' }));

for my $at (1 .. length($bytes) - 1) {
    $c = $t->raw;
    $c->bytes(substr($bytes, 0, $at));
    sleep(0.002);
    $c->bytes(substr($bytes, $at));
    is($c->packet, '20 02 00 00', "CONNECT split at $at");
    $c->send(14, 0, '');
}

# one session of a client id in the node, whichever worker has it
for my $i (1 .. 8) {
    my $old = $t->mqtt(5, 'fought-over');
    my $new = $t->mqtt(5, 'fought-over');

    like($old->packet, qr/^e0 (?:01|02) 8e/, "take-over $i: the old one goes");
    is($old->packet, 'closed', '... and is closed');
    $new->send(12, 0, '');
    is($new->packet, 'd0 00', '... and the new one stays');
}

# keep alive
$c = $t->mqtt(5, 'quiet', keep => 1);
my $start = time();
like($c->packet(4), qr/^e0 (?:01|02) 8d/, 'a quiet client is told');
cmp_ok(time() - $start, '>=', 1.4, '... not before its time');
cmp_ok(time() - $start, '<', 3, '... nor long after it');

# devices and users
my $port = $t->port('mqtt');

$c = $t->mqtt(4, 'dev', port => $port, user => $t->device_token);
is($c->{connack}, '20 02 00 00', 'a device by its access token');
is($c->subscribe('devices/' . $t->device_id . '/#'), '90 03 00 01 00',
    'it may subscribe below its own prefix');
is($c->subscribe('devices/#'), '90 03 00 01 80', 'but not to others');
is($c->subscribe('#'), '90 03 00 01 80', 'nor to everything');

$c = $t->mqtt(4, 'bad', port => $port, user => 'nobody');
is($c->{connack}, '20 02 00 05', 'an unknown token is refused');

$c = $t->mqtt(5, 'none', port => $port);
like($c->{connack}, qr/^20 \w+ 00 85/, 'nobody in particular is refused');

$c = $t->mqtt(4, 'admin', port => $port, user => 'x', password => $t->tenant);
is($c->{connack}, '20 02 00 00', 'a user by a token of the REST API');
is($c->subscribe('#'), '90 03 00 01 00', '... has the whole tree');

$t->finish;
done_testing();
