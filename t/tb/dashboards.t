#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# Dashboards over REST: kept byte by byte, given to customers, found as home.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);

use lib dirname(Cwd::abs_path(__FILE__)) . '/../lib';

use IotTest;
use JSON::XS qw(encode_json);

my $none = '13814000-1dd2-11b2-8080-808080808080';
my $t = IotTest->new(workers => 2);
my ($sys, $tenant, $customer) = ($t->sysadmin, $t->tenant, $t->customer);
my $cid = $t->customer_id;

# what is stored comes back as it was: order, blanks, numbers, doubled members

my $exact = '{"b" : 1.0,  "a":[1e3, 0.10 ,-0],"\u00e9":"\/<b>","a":{"z":'
    . "12345678901234567890123}\n}";
my $r = $t->post('/api/dashboard', token => $tenant, type =>
    'application/json', body => qq({"title":"Main","configuration":$exact}));

is($r->status, 200, 'a dashboard');
like($r->body, qr/\Q$exact\E/, 'its configuration in the answer');
my $d = $r->json;
my $id = $d->{id}{id};
is($d->{name}, 'Main', 'its name is its title');
is($d->{assignedCustomers}, undef, 'it is nobody\'s');
is($d->{version}, 1, 'new');
like($t->get("/api/dashboard/$id", token => $tenant)->body, qr/\Q$exact\E/,
    'read as it was written');
ok(!exists get("/api/dashboard/info/$id")->{configuration}, 'info is short');

# a huge one

my $huge = encode_json({ widgets => { map { ("w$_" => 'x' x 1000) }
    1 .. 12_000 } });
cmp_ok(length($huge), '>', 12_000_000, 'megabytes of widgets');
$r = $t->post('/api/dashboard', token => $tenant, type => 'application/json',
    body => qq({"title":"Huge","configuration":$huge}));
is($r->status, 200, 'are stored');
my $big = $r->json->{id}{id};
ok(index($t->get("/api/dashboard/$big", token => $tenant)->body, $huge) > 0,
    'and read');
is($t->post('/api/dashboard', token => $tenant, type => 'application/json',
    body => '{"title":"x","configuration":{"a":"' . 'x' x 17_000_000 . '"}}')
    ->status, 413, 'beyond the limit of a body');
$r = get('/api/tenant/dashboards?pageSize=10&page=0&sortProperty=title');
is(join(',', map { $_->{title} } @{$r->{data}}), 'Huge,Main', 'a list');
ok(!exists $r->{data}[0]{configuration}, 'without configurations');
is(get('/api/tenant/dashboards?pageSize=10&page=0&textSearch=MAI')
    ->{totalElements}, 1, 'a search');

# what is refused

refused('POST', '/api/dashboard', {}, 400,
    'Dashboard title should be specified!');
refused('POST', '/api/dashboard', { title => '<script>' }, 400,
    'title is malformed');
refused('POST', '/api/dashboard', { title => 'x', configuration => 'y' }, 400);
refused('POST', '/api/dashboard', { title => 'x', mobileOrder => 1e12 }, 400);
refused('POST', '/api/dashboard', { %$d, version => 5 }, 409,
    'Dashboard was already changed by someone else');
refused('POST', '/api/dashboard', { title => 'x', id => { id => $cid } }, 400,
    q{Can't update non existing dashboard!});
refused('GET', "/api/dashboard/$cid", undef, 404,
    "Dashboard with id [$cid] is not found");
is($t->get("/api/dashboard/$id", token => $customer)->status, 403,
    'not assigned to this customer');
is($t->post('/api/dashboard', token => $customer, json => { title => 'x' })
    ->status, 403, 'customer users make none');

# customers; an empty body that claims to be JSON

$r = post("/api/customer/$cid/dashboard/$id");
is_deeply([map { $_->{customerId}{id} } @{$r->{assignedCustomers}}], [$cid],
    'assigned');
is($t->get("/api/dashboard/$id", token => $customer)->status, 200,
    'the customer reads it');
is($t->del("/api/dashboard/$id", token => $customer)->status, 403,
    'and no more than that');
is($t->get("/api/customer/$cid/dashboards?pageSize=5&page=0",
    token => $customer)->json->{totalElements}, 1, 'in its list');
is($t->get('/api/tenant/dashboards?pageSize=5&page=0', token => $customer)
    ->status, 403, 'not in that of the tenant');
is($t->get("/api/tenant/" . $t->tenant_id . '/dashboards?pageSize=5&page=0',
    token => $sys)->json->{totalElements}, 2, 'the system sees titles');
for my $form ('', '/list') {
    is(scalar @{$t->get("/api/dashboards$form?dashboardIds=$id,$big",
        token => $customer)->json}, 1, "by ids$form: only its own");
}

my $second = post('/api/customer', { title => 'Second' })->{id}{id};
is(scalar @{post("/api/dashboard/$id/customers/add", [$second])
    ->{assignedCustomers}}, 2, 'one more');
is(scalar @{post("/api/dashboard/$id/customers", [$second])
    ->{assignedCustomers}}, 1, 'only that one');
is(post("/api/dashboard/$id/customers/remove", [$second])
    ->{assignedCustomers}, undef, 'none');
refused('POST', "/api/dashboard/$id/customers/add", ['x'], 400,
    'Invalid UUID string: x');
refused('POST', "/api/dashboard/$id/customers/add", [$none], 404);
is(post("/api/customer/public/dashboard/$id")->{assignedCustomers}[0]{public},
    1, 'for everybody');
is($t->del("/api/customer/public/dashboard/$id", token => $tenant)->json
    ->{assignedCustomers}, undef, 'and back');
post("/api/customer/$second/dashboard/$id");
is($t->del("/api/customer/$second", token => $tenant)->status, 200,
    'a customer goes');
is(get("/api/dashboard/$id")->{assignedCustomers}, undef,
    'and is not in the list any more');

# home

$r = $t->get('/api/dashboard/home', token => $customer);
is($r->status . $r->body, '200', 'no home');
is($t->get('/api/dashboard/home/info', token => $customer)->body, '',
    'no word of it');
is_deeply(get('/api/tenant/dashboard/home/info'), { dashboardId => undef,
    hideDashboardToolbar => JSON::XS::true }, 'nor for the tenant');
is(post('/api/tenant/dashboard/home/info', { dashboardId => { entityType =>
    'DASHBOARD', id => $big }, hideDashboardToolbar => JSON::XS::false })
    ->{dashboardId}{id}, $big, 'one for the tenant');
is($t->get('/api/dashboard/home', token => $customer)->body, '',
    'which its customers may not read');
$r = get('/api/dashboard/home/info');
is($r->{dashboardId}{id}, $big, 'but the administrator');
is($r->{hideDashboardToolbar}, 0, 'with the toolbar');

my $c = get("/api/customer/$cid");
post('/api/customer', { %$c, additionalInfo => { homeDashboardId => $id,
    homeDashboardHideToolbar => 'false' } });
is($t->get('/api/dashboard/home', token => $customer)->body, '',
    'that of the customer is not assigned');
post("/api/customer/$cid/dashboard/$id");
$r = $t->get('/api/dashboard/home', token => $customer);
is($r->json->{id}{id}, $id, 'now it is');
is($r->json->{hideDashboardToolbar}, 0, 'a text is as good as a boolean');
like($r->body, qr/\Q$exact\E/, 'whole and exact');

my $user = $t->get('/api/auth/user', token => $customer)->json;
post("/api/customer/$cid/dashboard/$big");
is($t->post('/api/user', token => $customer, json => { %$user,
    version => undef, additionalInfo => { homeDashboardId => $big } })
    ->status, 200, 'one of the user');
is($t->get('/api/dashboard/home/info', token => $customer)->json
    ->{dashboardId}{id}, $big, 'comes before');
is($t->del("/api/dashboard/$big", token => $tenant)->body, '', 'deleted');
is($t->get('/api/dashboard/home/info', token => $customer)->json
    ->{dashboardId}{id}, $id, 'back to that of the customer');

# in use; on a phone

my $profile = post('/api/assetProfile', { name => 'p',
    defaultDashboardId => $d->{id} });
refused('DELETE', "/api/dashboard/$id", undef, 400, 'The dashboard referenced '
    . 'by the asset profiles cannot be deleted!');
post('/api/dashboard', { title => 'Phone', mobileOrder => 2 });
post('/api/dashboard', { title => 'First', mobileOrder => 1 });
post('/api/dashboard', { title => 'Hidden', mobileHide => JSON::XS::true });
is(join(',', map { $_->{title} } @{get('/api/tenant/dashboards?pageSize=9'
    . '&page=0&mobile=true')->{data}}), 'First,Phone,Main', 'for a phone');
is($t->post("/api/plugins/telemetry/DASHBOARD/$id/SERVER_SCOPE",
    token => $tenant, json => { a => 1 })->status, 200, 'attributes');

done_testing();


sub get {
    my ($path) = @_;

    return $t->get($path, token => $tenant)->json;
}


sub post {
    my ($path, $json) = @_;
    my $r = $t->post($path, token => $tenant,
        defined $json ? (json => $json)
            : (body => '', type => 'application/json'));

    is($r->status, 200, "POST $path") or diag($r->body);

    return $r->json;
}


sub refused {
    my ($method, $path, $json, $status, $text) = @_;
    my $r = $t->http($method, $path, token => $tenant,
        defined $json ? (json => $json) : ());

    is($r->status, $status, "$method $path: $status");
    is($r->json->{message}, $text, $text) if defined $text;
}
