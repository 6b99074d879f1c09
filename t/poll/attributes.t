#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# Long polls for shared attributes: changes over REST in any worker reach the
# device, and nobody else.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Test::More;
use Time::HiRes qw(sleep time);
use IotTest::Device;

my $t = IotTest::Device->new(workers => 2);
my $tenant = $t->tenant;
my $id = $t->device_id;
my ($c, $a);


sub save {
    my ($scope, $body, $device) = @_;
    my $answer = $t->post('/api/plugins/telemetry/DEVICE/'
        . ($device || $id) . "/$scope", token => $tenant, body => $body);

    is($answer->status, 200, "$scope $body") or diag($answer->body);
}


sub poll {
    my ($query, %o) = @_;
    my $poll = $t->begin('GET', "attributes/updates$query", undef, %o);

    sleep(0.3);

    return $poll;
}


# --- the change after the request, whoever made it

for my $round (1 .. 8) {
    $c = poll('');
    save('SHARED_SCOPE', "{\"target\":$round}");
    $a = $c->answer;

    is($a->status, 200, 'a change ends the poll');
    is($a->header('content-type'), 'application/json', 'JSON');
    is_deeply($a->json, { target => $round }, 'says the change');
}

$c = poll('');
save('SHARED_SCOPE', '{"mode":"eco","cfg":{"a":[1,2]},"on":true,"x":1.5}');
is_deeply($c->answer->json, { mode => 'eco', cfg => { a => [1, 2] },
    on => JSON::XS::true(), x => 1.5 }, 'all that was saved at once');

# --- what a poll does not hear

$c = poll('?timeout=1200');
save('SERVER_SCOPE', '{"secret":1}');
$t->attributes('{"own":1}');
$t->add_devices('Second');

my $second = $t->value('SELECT id FROM iot.device WHERE name = ?',
    'device Second');

save('SHARED_SCOPE', '{"target":99}', $second);
$a = $c->answer;
is($a->status, 408, 'other scopes and devices do not end it');
is($a->body, '', 'without a word');

# --- deleted

$c = poll('');
$a = $t->http('DELETE', "/api/plugins/telemetry/DEVICE/$id/SHARED_SCOPE"
    . '?keys=target,mode,unknown', token => $tenant);
is($a->status, 200, 'deleted over REST');
is_deeply($c->answer->json, { deleted => ['mode', 'target'] },
    'says what is gone');

$c = poll('?timeout=1000');
$t->http('DELETE', "/api/plugins/telemetry/DEVICE/$id/SHARED_SCOPE"
    . '?keys=unknown', token => $tenant);
is($c->answer->status, 408, 'nothing is gone');

# --- several polls, each gets it

my @polls = map { $t->begin('GET', 'attributes/updates') } 1 .. 6;

sleep(0.4);
save('SHARED_SCOPE', '{"all":1}');
is_deeply($_->answer->json, { all => 1 }, 'each of them') for @polls;

# --- time

for my $bad ('x', '-1', '1.5', '1s') {
    is($t->get($t->url("attributes/updates?timeout=$bad"))->status, 400,
        "timeout=$bad");
}

my $start = time();

is($t->get($t->url('attributes/updates?timeout=700'))->status, 408, 'expired');
cmp_ok(time() - $start, '>=', 0.65, 'not too early');
cmp_ok(time() - $start, '<', 3, 'nor too late');

# huge times are cut, not wrapped
$c = poll('?timeout=99999999999999999999');
ok($c->silent(0.5), 'a huge timeout waits');
$c->close;

$c = poll('?timeout=0');
ok($c->silent(0.5), '0 is the default');
$c->close;

# --- the client leaves, the server stays

for (1 .. 20) {
    $t->begin('GET', 'attributes/updates')->close;
}

save('SHARED_SCOPE', '{"after":1}');
is($t->get('/healthz')->status, 200, 'alive');

# --- the saver leaves before its answer: the change is told all the same

$c = poll('');

my $saver = $t->client;

$t->hold('iot.attribute');
$saver->write(IotTest::Client::format_request('POST',
    "/api/plugins/telemetry/DEVICE/$id/SHARED_SCOPE",
    [['X-Authorization', "Bearer $tenant"]], '{"left":1}'));
$t->wait_held;
$saver->close;
sleep(0.2);
$t->let_go('iot.attribute');
is_deeply($c->answer->json, { left => 1 }, 'told though the saver has left');

# --- no such device; a device that goes

is($t->get('/api/v1/nobody/attributes/updates')->status, 401, 'no token');

$c = poll('', token => 'Second');
is($t->http('DELETE', "/api/device/$second", token => $tenant)->status, 200,
    'deleted');
$a = $c->answer;
is($a->status, 403, 'the poll of a deleted device');
is($a->body, 'Device was deleted!', 'says so');

# --- a worker that leaves

$c = poll('');
$t->reload;
$a = $c->answer;
is($a->status, 408, 'the worker leaves, the device polls again');

$c = poll('');
save('SHARED_SCOPE', '{"new":1}');
is_deeply($c->answer->json, { new => 1 }, 'in the next generation');

done_testing();
