#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# The last licence of each cap, asked for by several clients at the same time:
# one gets it.  And two who take one e-mail address or one name.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use JSON::XS qw(encode_json);
use Test::More;
use IotTest;

my $t = IotTest->new(workers => 4);
my $tenant = $t->tenant;
my $port = $t->port;


# the statuses of requests that are all on their way before one is answered
sub at_once {
    my ($path, @bodies) = @_;
    my @clients = map { $t->client } @bodies;

    for my $i (0 .. $#bodies) {
        my $body = encode_json($bodies[$i]);

        $clients[$i]->write("POST $path HTTP/1.1\r\nHost: 127.0.0.1:$port\r\n"
            . "X-Authorization: Bearer $tenant\r\n"
            . "Content-Type: application/json\r\n"
            . 'Content-Length: ' . length($body) . "\r\n\r\n$body");
    }

    return join(' ', sort map { $_->answer->status } @clients);
}


sub cap {
    my ($name, $table) = @_;

    $t->sql(qq{UPDATE iot.tenant_profile SET data = jsonb_set(data::jsonb,
        '{configuration,$name}', (SELECT to_jsonb(count(*) + 1)
            FROM iot.$table WHERE tenant_id = ?::uuid))::json},
        $t->tenant_id);
}


for my $case (
    ['maxCustomers', 'customer', '/api/customer',
        sub { return { title => "c$_[0]" } }],
    ['maxUsers', 'users', '/api/user?sendActivationMail=false',
        sub { return { email => "u$_[0]\@example.org",
            authority => 'TENANT_ADMIN' } }],
    ['maxDashboards', 'dashboard', '/api/dashboard',
        sub { return { title => "d$_[0]" } }],
    ['maxAssets', 'asset', '/api/asset',
        sub { return { name => "a$_[0]", type => 'default' } }],
    ['maxDevices', 'device', '/api/device',
        sub { return { name => "v$_[0]" } }])
{
    my ($name, $table, $path, $body) = @$case;
    my $before = $t->value("SELECT count(*) FROM iot.$table "
        . 'WHERE tenant_id = ?', $t->tenant_id);

    cap($name, $table);
    is(at_once($path, map { $body->($_) } 1 .. 6), '200 403 403 403 403 403',
        "$name: the last one goes to one");
    is($t->value("SELECT count(*) FROM iot.$table WHERE tenant_id = ?",
        $t->tenant_id), $before + 1, 'one was made');
    is(at_once($path, $body->(7)), '403', 'and no more');
}

$t->sql(q{UPDATE iot.tenant_profile SET data = (data::jsonb
    || '{"configuration":{}}')::json});
is(at_once('/api/user?sendActivationMail=false', map { {
    email => $_ % 2 ? 'Same@example.org' : 'same@EXAMPLE.org',
    authority => 'TENANT_ADMIN' } } 1 .. 4), '200 400 400 400',
    'an address is taken once');
is(at_once('/api/customer', map { { title => 'same' } } 1 .. 4),
    '200 400 400 400', 'a title once');
is(at_once('/api/device', map { { name => 'same' } } 1 .. 4),
    '200 400 400 400', 'a name once');

$t->finish;
done_testing();
