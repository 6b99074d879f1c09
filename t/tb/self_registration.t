#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# What a public self-registration page does, call by call: customer, user,
# dashboard, a device with the history and the attributes of a template; then
# what the new user does.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);

use lib dirname(Cwd::abs_path(__FILE__)) . '/../lib';

use IotTest;

my $t = IotTest->new(workers => 2);

# what the tenant has prepared: a dashboard, and a template with history

my $admin = $t->tenant;
my $dashboard = $t->post('/api/dashboard', token => $admin, json => {
    title => 'Welcome', configuration => { widgets => {} } })->json->{id}{id};
my $template = $t->post('/api/device', token => $admin,
    json => { name => 'Template', type => 'Sensor' })->json;
my $telemetry = '/api/plugins/telemetry/DEVICE';
my @history = map { { ts => 1700000000000 + $_ * 60000,
    values => { temperature => $_ / 2, mode => "m$_" } } } 1 .. 50;

$t->post("$telemetry/$template->{id}{id}/timeseries/ANY", token => $admin,
    json => \@history);
$t->post("$telemetry/$template->{id}{id}/attributes/SERVER_SCOPE",
    token => $admin, json => { model => 'X1', limit => 21.5,
        place => { floor => 2 } });

# the page

my %who = (title => 'Ada Lovelace', email => 'Ada@Example.org',
    firstName => 'Ada', lastName => 'Lovelace', phone => '+1 555 0100');

my $token = called('login', $t->post('/api/auth/login', json => {
    username => $t->account('TENANT_EMAIL'),
    password => $t->account('TENANT_PASSWORD') }))->{token};

my $customer = called('a customer', $t->post('/api/customer',
    token => $token, json => { title => $who{title}, email => $who{email},
        phone => $who{phone}, name => $who{email}, additionalInfo => {
            homeDashboardHideToolbar => 'true',
            homeDashboardId => $dashboard } }))->{id}{id};

my $user = called('a user', $t->post('/api/user?sendActivationMail=false',
    token => $token, json => { authority => 'CUSTOMER_USER',
        email => $who{email}, firstName => $who{firstName},
        lastName => $who{lastName}, name => $who{email},
        phone => $who{phone},
        customerId => { entityType => 'CUSTOMER', id => $customer },
        additionalInfo => { lang => 'en_US' } }));

my $assigned = called('the dashboard', $t->post(
    "/api/customer/$customer/dashboard/$dashboard", token => $token,
    type => 'application/json'));
is($assigned->{assignedCustomers}[0]{customerId}{id}, $customer,
    'is the customer\'s');

my $device = called('a device', $t->post('/api/device', token => $token,
    json => { name => 'Test device ' . substr($customer, -5),
        label => 'Yours', deviceProfileId => $template->{deviceProfileId},
        additionalInfo => { gateway => JSON::XS::false,
            overwriteActivityTime => JSON::XS::false, description => '' },
        customerId => { entityType => 'CUSTOMER', id => $customer } }));
my $id = $device->{id}{id};
is($device->{customerId}{id}, $customer, 'of that customer');
is($device->{type}, 'Sensor', 'with the profile of the template');

my $points = called('history', $t->get("$telemetry/$template->{id}{id}/values"
    . '/timeseries?keys=temperature&keys=mode&startTs=1700000000000'
    . '&endTs=1700009999999&limit=1000', token => $token));
is(scalar @{$points->{temperature}}, 50, 'of both keys');
is(scalar @{$points->{mode}}, 50, 'whole');

my %at;

for my $key (keys %$points) {
    $at{$_->{ts}}{$key} = $_->{value} for @{$points->{$key}};
}

called('history of the device', $t->post("$telemetry/$id/timeseries/ANY",
    token => $token,
    json => [map { { ts => $_ + 0, values => $at{$_} } } sort keys %at]));

my $attributes = called('attributes', $t->get("$telemetry/$template->{id}{id}"
    . '/values/attributes/SERVER_SCOPE', token => $token));
my %own = map { $_->{key} => $_->{value} } @$attributes;
is($own{limit}, 21.5, 'of the template');
called('attributes of the device', $t->post(
    "$telemetry/$id/attributes/SERVER_SCOPE", token => $token,
    json => \%own));

# the link, sent by the page itself

my $link = $t->get("/api/user/$user->{id}{id}/activationLink",
    token => $token);
is($link->status, 200, 'a link');
like($link->header('Content-Type'), qr{^text/plain}, 'as text');
like($link->body,
    qr{^https?://[^/]+/api/noauth/activate\?activateToken=(\w{30})$},
    'with a token');
my ($secret) = $link->body =~ /activateToken=(\w+)/;

# the new user

my $pair = called('activation', $t->post('/api/noauth/activate',
    json => { activateToken => $secret, password => 'notes on engines' }));
ok($pair->{token} && $pair->{refreshToken}, 'logs in at once');
isnt($t->post('/api/noauth/activate', json => { activateToken => $secret,
    password => 'something else' })->status, 200, 'the link works once');

my $own = $t->login('ada@example.org', 'notes on engines');

my $home = called('home', $t->get('/api/dashboard/home', token => $own));
is($home->{id}{id}, $dashboard, 'is the dashboard');
is($home->{hideDashboardToolbar}, 1, 'without its toolbar');

my $devices = called('devices', $t->get("/api/customer/$customer/deviceInfos"
    . '?pageSize=10&page=0', token => $own));
is($devices->{totalElements}, 1, 'the one device');
is($devices->{data}[0]{id}{id}, $id, 'that was made');

my $copy = called('its history', $t->get("$telemetry/$id/values/timeseries"
    . '?keys=temperature,mode&startTs=1700000000000&endTs=1700009999999'
    . '&limit=1000', token => $own));
is_deeply($copy, $points, 'is that of the template');
is_deeply({ map { $_->{key} => $_->{value} } @{called('its attributes',
    $t->get("$telemetry/$id/values/attributes/SERVER_SCOPE",
        token => $own))} }, \%own, 'as they were');
is($t->get("/api/device/$template->{id}{id}", token => $own)->status, 403,
    'the template is not shown');

# the same person again

for (['/api/customer', { title => $who{title} },
        'Customer with such title already exists!'],
    ['/api/user?sendActivationMail=false', { authority => 'CUSTOMER_USER',
        email => 'ADA@example.ORG', customerId => { id => $customer } },
        q{User with email 'ada@example.org' already present in database!}])
{
    my ($path, $json, $text) = @$_;
    my $r = $t->post($path, token => $token, json => $json);

    is($r->status, 400, $path);
    is($r->json->{message}, $text, $text);
}

done_testing();


# every call must answer exactly 200
sub called {
    my ($what, $r) = @_;

    is($r->status, 200, $what) or diag($r->body);

    return length($r->body) ? $r->json : undef;
}
