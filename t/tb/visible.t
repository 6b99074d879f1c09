#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# What a caller may see as one list, owners of what is made, and groups that
# it is made in; and what is answered to clients that ask for labels.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Test::More;
use IotTest;

my $t = IotTest->new(workers => 2);
my ($tenant, $customer) = ($t->tenant, $t->customer);
my $page = 'pageSize=100&page=0';


sub ok200 {
    my ($method, $path, $token, $body) = @_;
    my $r = $t->http($method, $path, headers => {
        'X-Authorization' => "Bearer $token" },
        defined $body ? (json => $body) : ());

    is($r->status, 200, "$method $path") or diag($r->body);

    return $r->status == 200 && $r->body ne '' ? $r->json : {};
}


sub names {
    my ($path, $token) = @_;

    return join(',', sort map { $_->{name} }
        @{ok200('GET', $path, $token)->{data} || []});
}


my $of = { entityType => 'CUSTOMER', id => $t->customer_id };
my $other = ok200('POST', '/api/customer', $tenant, { title => 'other' });
my $group = ok200('POST', '/api/entityGroup', $tenant,
    { type => 'ASSET', name => 'Halls' });
my $boards = ok200('POST', '/api/entityGroup', $tenant,
    { type => 'DASHBOARD', name => 'Screens' });

my $hall = ok200('POST', "/api/asset?entityGroupId=$group->{id}{id}", $tenant,
    { name => 'hall', type => 'hall' });
my $mine = ok200('POST', '/api/asset', $tenant, { name => 'mine',
    type => 'hall', ownerId => $of });
my $theirs = ok200('POST', '/api/asset', $tenant, { name => 'theirs',
    type => 'hall', customerId => $other->{id} });

is($hall->{ownerId}{entityType}, 'TENANT', 'an asset of the tenant');
is_deeply($mine->{ownerId}, $of, 'of the customer that was named');
is_deeply($theirs->{ownerId}, $other->{id}, 'or is assigned');
is(names("/api/entityGroup/$group->{id}{id}/entities?$page", $tenant), 'hall',
    'made in a group');
is(names("/api/user/assets?$page", $tenant), 'hall,mine,theirs',
    'all assets of a tenant');
is(names("/api/user/assets?$page", $customer), 'mine',
    'those of a customer');
is(names("/api/user/assets?$page&type=other", $tenant), '', 'of a type');
is($t->get("/api/user/assets?$page", token => $t->sysadmin)->status, 403,
    'the system has none');

my $before = $t->value('SELECT count(*) FROM iot.asset');
my $r = $t->post("/api/asset?entityGroupId=$boards->{id}{id}",
    token => $tenant, json => { name => 'lost', type => 'hall' });
is($r->status, 404, 'a group of something else');
is($t->value('SELECT count(*) FROM iot.asset'), $before,
    'and nothing was made');

my $view = ok200('POST', '/api/entityView', $tenant, { name => 'view',
    type => 'x', entityId => { entityType => 'DEVICE', id => $t->device_id },
    customerId => $of, keys => { timeseries => [], attributes => {
        cs => [], ss => [], sh => [] } } });
is_deeply($view->{ownerId}, $of, 'a view');

my $board = ok200('POST', "/api/dashboard?entityGroupId=$boards->{id}{id}",
    $tenant, { title => 'screen' });
ok200('POST', '/api/dashboard', $tenant, { title => 'hidden' });
is($board->{ownerId}{entityType}, 'TENANT', 'a dashboard');
is(names("/api/entityGroup/$boards->{id}{id}/entities?$page", $tenant),
    'screen', 'in its group');
ok200('POST', "/api/customer/$of->{id}/dashboard/$board->{id}{id}", $tenant);

for my $path ("/api/user/dashboards?$page", "/api/dashboards/all?$page",
    "/api/dashboards/all?$page&includeCustomers=true")
{
    is(names($path, $tenant), 'hidden,screen', 'dashboards of a tenant');
    is(names($path, $customer), 'screen', 'of a customer');
}

is(ref(ok200('GET', '/api/user/dashboards', $tenant)->{last}), 'ARRAY',
    'without a page: those that were looked at');

# labels

is($t->get('/api/noauth/whiteLabel/loginWhiteLabelParams')->json->{appTitle},
    'ngx_iot', 'a title before the login');
is(ref(ok200('GET', '/api/whiteLabel/whiteLabelParams', $customer)
    ->{paletteSettings}), 'HASH', 'and after it');
is($t->get('/api/whiteLabel/whiteLabelParams')->status, 401,
    'for those who are in');

# texts of mails

my $texts = { 'reset-password' => { subject => 'New', text => '{{link}}' } };

is_deeply(ok200('GET', '/api/whiteLabel/mailTemplates', $tenant), {},
    'a tenant has no texts of its own');
is_deeply(ok200('POST', '/api/whiteLabel/mailTemplates', $tenant, $texts),
    $texts, 'until it sets some');
is_deeply(ok200('GET', '/api/whiteLabel/mailTemplates', $tenant), $texts,
    'which are kept');
is($t->get('/api/whiteLabel/mailTemplates', token => $customer)->status, 403,
    'customers have no say');
is($t->post('/api/whiteLabel/mailTemplates', token => $tenant, json => [])
    ->status, 400, 'an object');

$t->finish;
done_testing();
