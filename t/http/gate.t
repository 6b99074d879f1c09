#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# The gatekeeper before another server: who is let in by what, what the other
# server is told, and that nobody is let in when something goes wrong.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use MIME::Base64 qw(encode_base64);
use Protocol::WebSocket::Frame;
use Test::More;
use IotTest;

my $up = IotTest::free_port();

# what it was told, in its answer
my $echo = join(' ', map { join('=', @$_) } ['user', '$http_x_iot_user'],
    ['tenant', '$http_x_iot_tenant'], ['customer', '$http_x_iot_customer'],
    ['role', '$http_x_iot_role'], ['name', '$http_x_iot_name'],
    ['device', '$http_x_iot_device'], ['email', '$http_x_webauth_user'],
    ['auth', '$http_authorization$http_x_authorization'],
    ['uri', '$request_uri'], ['cookie', '$http_cookie']);
my $upstream = "server { listen 127.0.0.1:$up; "
    . "location / { return 200 \"$echo\"; } }\n";

my $pass = <<"END";
    proxy_pass http://127.0.0.1:$up;
    proxy_set_header X-Iot-User \$iot_user;
    proxy_set_header X-Iot-Tenant \$iot_tenant;
    proxy_set_header X-Iot-Customer \$iot_customer;
    proxy_set_header X-Iot-Device \$iot_device;
    proxy_set_header X-Iot-Role \$iot_role;
    proxy_set_header X-Iot-Name \$iot_name;
    proxy_set_header X-WEBAUTH-USER \$iot_email;
    proxy_set_header Cookie \$iot_cookies;
    proxy_set_header Authorization "";
    proxy_set_header X-Authorization "";
END

my $t = IotTest->new(workers => 2, start => 0, http => $upstream);

mkdir($t->dir . '/site');
IotCtl::Run::write_file($t->dir . '/site/index.html', "the site\n", 0644);

$t->{ids}{OTHER} = '00000000-0000-4000-8000-000000000001';
$t->snippet(server => <<"END");
iot_gate_cookie sid insecure;

location /user/ { iot_gate user; $pass }
location /device/ { iot_gate device; $pass }
location /any/ { iot_gate any; iot_gate_realm "the plant"; $pass }
location /key/ { iot_gate key; $pass }
location /public/ { iot_gate user public; $pass }
location /admin/ { iot_gate user role=TENANT_ADMIN,SYS_ADMIN; $pass }
location /mine/ { iot_gate user tenant=${\ uc $t->tenant_id}; $pass }
location /theirs/ { iot_gate user tenant=$t->{ids}{OTHER}; $pass }
location /customer/ { iot_gate user customer=${\ $t->customer_id}; $pass }
location /may/ { iot_gate user permission=DEVICE:READ
        permission=DEVICE:DELETE; $pass }
location /page/ {
    iot_gate user;
    iot_gate_login_url /login.html;
    $pass
}
location /site/ {
    iot_gate user tenant=${\ $t->tenant_id};
    alias ${\ $t->dir}/site/;
    index index.html;
    try_files \$uri \$uri/ /site/index.html;
}
location /nested/ {
    iot_gate user;
    location /nested/open/ { iot_gate off; $pass }
    location /nested/closed/ { $pass }
}
location /ws/ {
    iot_gate user;
    proxy_pass http://127.0.0.1:${\ $t->port}/api/;
    proxy_http_version 1.1;
    proxy_set_header Upgrade \$http_upgrade;
    proxy_set_header Connection upgrade;
}
location = /logout { iot_gate_logout; }
location = /logout-page {
    iot_gate_logout;
    iot_gate_login_url /bye.html;
}
location = /check { iot_gate user; iot_gate_endpoint; }
location /asked/ {
    auth_request /check;
    auth_request_set \$who \$sent_http_x_iot_user;
    auth_request_set \$role \$sent_http_x_iot_role;
    $pass
    proxy_set_header X-Iot-User \$who;
    proxy_set_header X-Iot-Role \$role;
}
END
$t->start;

my $host = '127.0.0.1:' . $t->port;
my ($r, %user);

for my $who (qw(SYSADMIN TENANT CUSTOMER)) {
    $user{$who} = $t->value('SELECT id FROM iot.users WHERE email = ?',
        $t->account("${who}_EMAIL"));
}


sub told {
    my ($answer) = @_;

    return { $answer->body =~ /(\w+)=(.*?)(?: (?=\w+=)|$)/g };
}


sub basic {
    my ($name, $password) = @_;

    return 'Basic ' . encode_base64("$name:$password", '');
}


sub with { my ($path, %h) = @_; return $t->get($path, headers => {%h}) }


# --- bearers

is($t->get('/user/x')->status, 401, 'nobody');
is($t->get('/user/x')->header('WWW-Authenticate'), 'Bearer', 'the challenge');
is($t->get('/any/')->header('WWW-Authenticate'),
    'Basic realm="the plant", charset="UTF-8"', 'of names and passwords');

$r = $t->get('/user/x?a=%20', token => $t->tenant,
    headers => { 'X-Iot-User' => 'evil', 'X-Iot-Device' => 'evil',
        'X-Webauth-User' => 'evil', Authorization => 'Bearer evil' });
is($r->status, 200, 'a user');
is_deeply(told($r), { user => $user{TENANT}, tenant => $t->tenant_id,
    customer => '', role => 'TENANT_ADMIN', device => '', cookie => '',
    name => $t->account('TENANT_EMAIL'), email => $t->account('TENANT_EMAIL'),
    auth => '', uri => '/user/x?a=%20' },
    'the upstream is told who, and nothing that the client made up');
is(told($t->get('/user/', token => $t->customer))->{customer},
    $t->customer_id, 'the customer');
is(with('/user/', Authorization => 'Bearer ' . $t->tenant)->status, 200,
    'in the other header');
is(with('/user/', Authorization => $t->tenant)->status, 401, 'not bare');
is(with('/user/', Authorization => "Bearer $_")->status, 401, "not $_")
    for 'x', 'a.b.c', ('x' x 3000), substr($t->tenant, 0, -2) . 'xx';
is(with('/user/', Authorization => 'Digest x')->status, 401,
    'no other scheme');
is($t->get('/device/', token => $t->tenant)->status, 403, 'no device');

my $refresh = $t->post('/api/auth/login', json => {
    username => $t->account('TENANT_EMAIL'),
    password => $t->account('TENANT_PASSWORD') })->json->{refreshToken};
is($t->get('/user/', token => $refresh)->status, 401,
    'a refresh token opens nothing');


# --- conditions

is($t->get("/$$_[0]/", token => $t->token_of($$_[1]))->status, $$_[2],
    "$$_[1] at $$_[0]") for
    ['admin', 'TENANT', 200], ['admin', 'SYSADMIN', 200],
    ['admin', 'CUSTOMER', 403],
    ['mine', 'TENANT', 200], ['mine', 'CUSTOMER', 200],
    ['mine', 'SYSADMIN', 403],
    ['theirs', 'TENANT', 403], ['theirs', 'SYSADMIN', 403],
    ['customer', 'CUSTOMER', 200], ['customer', 'TENANT', 403],
    ['may', 'TENANT', 200], ['may', 'CUSTOMER', 403],
    ['may', 'SYSADMIN', 403];

is($t->get("/site/$_", token => $t->customer)->body, "the site\n",
    "a site for the users of a tenant: '$_'") for '', 'index.html', 'deep/x';
is($t->get("/site/$_", token => $t->sysadmin)->status, 403,
    "not for others: '$_'") for '', 'index.html', 'deep/x';
is($t->get("/site/$_")->status, 401, "nor for nobody: '$_'")
    for '', 'index.html', 'deep/x';
is($t->get('/nested/x')->status, 401, 'a location');
is($t->get('/nested/closed/x')->status, 401, 'inherits');
is($t->get('/nested/open/x')->status, 200, 'or is open');


# --- devices, by the token as the name of Basic

$r = with('/device/', Authorization => basic($t->device_token, ''));
is($r->status, 200, 'a device');
is(told($r)->{device}, $t->device_id, 'which one');
is(told($r)->{email}, '', 'has no address');
is(told($r)->{role}, 'DEVICE', 'its role');
is(with('/any/', Authorization => basic($t->device_token, ''))->status, 200,
    'any may enter');
is(with('/device/', Authorization => basic('nothing', ''))->status, 401,
    'no such device');
is(with('/user/', Authorization => basic($t->device_token, ''))->status, 401,
    'not as a user');
is(with('/device/', Authorization => 'Basic ' . $_)->status, 401, "not $_")
    for '!!', encode_base64('x', ''), encode_base64(':x', '');


# --- users with name and password

my $login = basic($t->account('TENANT_EMAIL'), $t->account('TENANT_PASSWORD'));
my $hashed = $t->value(q{SELECT count(*) FROM iot.audit_log
    WHERE action = 'LOGIN' AND data ->> 'provider' = 'Basic'});

# many at once, as the parts of a page: one login in each worker
my @clients = map { $t->client } 1 .. 8;

$_->write("GET /user/ HTTP/1.1\r\nHost: $host\r\nAuthorization: $login\r\n\r\n")
    for @clients;
like($_->read_until(qr/uri=\S+/), qr{^HTTP/1\.1 200 .*\nuser=$user{TENANT} }s,
    'one of many') for @clients;
cmp_ok($t->value(q{SELECT count(*) FROM iot.audit_log
    WHERE action = 'LOGIN' AND data ->> 'provider' = 'Basic'}), '<=',
    $hashed + 2, 'are hashed once');

is(with('/any/', Authorization => $login)->status, 200, 'among any');
is(with('/user/', Authorization => basic($t->account('TENANT_EMAIL'),
    'wrong'))->status, 401, 'a wrong password');
is(with('/user/', Authorization => basic("no\0body\@example.org", 'x'))
    ->status, 401, 'a name that is no text');

for (1 .. 12) {
    $r = with('/user/', Authorization => basic('guess@example.org', "x$_"));
    last if $r->status != 401;
}

is($r->status, 429, 'guessing is slowed down');
cmp_ok($r->header('Retry-After'), '>=', 1, 'and told so');
is(with('/user/', Authorization => $login)->status, 200,
    'which harms nobody else');


# --- API keys

my $key = $t->post('/api/apiKey', token => $t->tenant,
    json => { userId => { id => $user{TENANT}, entityType => 'USER' },
        description => 'gate' })->json;
is(with('/key/', 'X-Authorization' => "ApiKey $key->{value}")->status, 200,
    'a key');
is(with('/user/', 'X-Authorization' => "ApiKey $key->{value}")->status, 200,
    'acts for its user');
is(with('/key/', 'X-Authorization' => "Bearer $key->{value}")->status, 401,
    'is no bearer');
is($t->get('/key/', token => $t->tenant)->status, 403, 'a user is no key');


# --- browsers

$r = $t->post('/api/auth/login', json => {
    username => $t->account('CUSTOMER_EMAIL'),
    password => $t->account('CUSTOMER_PASSWORD') });
my ($sid) = $r->header('Set-Cookie') =~ /^sid=([^;]+);/;
ok($sid, 'a login gives a cookie');
like($r->header('Set-Cookie'),
    qr{^sid=[^;]+; Max-Age=604800; Path=/; HttpOnly; SameSite=Lax$},
    'that scripts cannot read');
is($t->post('/api/auth/login', headers => { Origin => 'http://example.net' },
    json => { username => $t->account('CUSTOMER_EMAIL'),
        password => $t->account('CUSTOMER_PASSWORD') })
    ->header('Set-Cookie'), undef, 'not to the page of somebody else');

$r = with('/user/', Cookie => "a=1; sid=$sid; b=2");
is($r->status, 200, 'the cookie opens');
is(told($r)->{user}, $user{CUSTOMER}, 'for its user');
is($t->get('/user/', headers => [[Cookie => 'a=1'], [Cookie => "sid=$sid"]])
    ->status, 200, 'in whichever header it is');
is(with('/user/', Cookie => "xsid=$sid; si=d")->status, 401,
    'others do not');
like(with('/user/', Cookie => "a=1; sid=$sid; b=2")->body,
    qr/ cookie=a=1; b=2$/, 'the upstream gets the others');
is(with('/user/', Cookie => "sid=$sid", Authorization => 'Bearer x')->status,
    401, 'a header goes before it');
is($t->get('/api/auth/user', headers => { Cookie => "sid=$sid" })->status,
    401, 'the API takes no cookie');

for my $case (
    [403, 'without a word'],
    [200, 'from here', Origin => "http://$host"],
    [403, 'from elsewhere', Origin => 'http://example.net'],
    [403, 'from another port', Origin => 'http://127.0.0.1:1'],
    [403, 'from nowhere', Origin => 'null'],
    [200, 'as the browser says', 'Sec-Fetch-Site' => 'same-origin'],
    [403, 'as the browser says', 'Sec-Fetch-Site' => 'cross-site'],
    [403, 'from another site', 'Sec-Fetch-Site' => 'same-site',
        Origin => "http://$host"])
{
    my ($status, $name, %h) = @$case;

    is($t->post('/user/', body => 'x', headers => { Cookie => "sid=$sid", %h,
        Host => $host })->status, $status, "a POST $name: $status");
}

is($t->post('/user/', body => 'x', headers => { Authorization => $login,
    Origin => 'http://example.net' })->status, 403,
    'names and passwords are sent by browsers too');
is($t->post('/user/', body => 'x', headers => { Authorization => $login })
    ->status, 200, 'and by others');

$r = with('/page/x?y=1&z=%2F', Accept => 'text/html,*/*');
is($r->status, 302, 'people are sent to log in');
like($r->header('Location'),
    qr{/login\.html\?return=%2Fpage%2Fx%3Fy%3D1%26z%3D%252F$},
    'and from there back');
is(with('/page/x', Accept => 'application/json')->status, 401,
    'scripts are told');
is($t->post('/page/x', body => 'x', headers => { Accept => 'text/html' })
    ->status, 401, 'what has a body is not repeated');


# --- WebSockets behind it

sub upgrade {
    my (%h) = @_;
    my $c = $t->client;

    $c->write(join("\r\n", 'GET /ws/ws HTTP/1.1', "Host: $host",
        'Upgrade: websocket', 'Connection: Upgrade',
        'Sec-WebSocket-Version: 13',
        'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
        (map { "$_: $h{$_}" } sort keys %h), '', ''));

    return ($c, $c->read_until(qr/\r\n\r\n/));
}

my ($c, $head) = upgrade(Cookie => "sid=$sid", Origin => "http://$host");
like($head, qr{^HTTP/1\.1 101 }, 'a WebSocket is passed on');
$c->write(Protocol::WebSocket::Frame->new(masked => 1, type => 'text',
    buffer => '{"authCmd":{"cmdId":0,"token":"x"}}')->to_bytes);
like($c->read_until(qr/\x03\xf0/), qr/^\x88/, 'and works in both directions');
like((upgrade(Cookie => "sid=$sid", Origin => 'http://example.net'))[1],
    qr{^HTTP/1\.1 403 }, 'not for the page of somebody else');
like((upgrade())[1], qr{^HTTP/1\.1 401 }, 'nor for nobody');


# --- auth_request

$r = with('/asked/x', Cookie => "sid=$sid");
is($r->status, 200, 'asked by auth_request');
is(told($r)->{uri}, '/asked/x', 'for the main request');
is(told($r)->{user}, $user{CUSTOMER}, 'which tells who it is');
is(told($r)->{role}, 'CUSTOMER_USER', 'and in which role');
is($t->get('/asked/x')->status, 401, 'nobody');
is($t->get('/asked/x')->header('WWW-Authenticate'), 'Bearer',
    'with the challenge');
is($t->post('/asked/x', body => 'x', headers => { Cookie => "sid=$sid" })
    ->status, 403, 'the method of the main request counts');
is($t->post('/asked/x', body => 'x', headers => { Cookie => "sid=$sid",
    Origin => "http://$host", Host => $host })->status, 200,
    'and where it is from');

$r = $t->get('/check', token => $t->tenant);
is($r->status, 200, 'asked by another server');
is($r->header('X-Iot-User'), $user{TENANT}, 'who it is');
is($r->header('X-Iot-Role'), 'TENANT_ADMIN', 'in which role');
is($r->header('X-Iot-Tenant'), $t->tenant_id, 'of which tenant');
is($r->body, '', 'and no more');
is(with('/check', Cookie => "sid=$sid", 'X-Forwarded-Method' => 'POST')
    ->status, 403, 'which says what it was asked');
is(with('/check', Cookie => "sid=$sid", 'X-Original-Method' => 'GET')
    ->status, 200, 'in one of two headers');


# --- names that would be headers

$t->sql(q{UPDATE iot.device SET name = E'a\r\nX-Iot-Role: SYS_ADMIN%'
    WHERE id = ?}, $t->device_id);
$t->sql('SELECT pg_notify(?, ?)', 'iot', 'device ' . $t->device_id);
ok($t->wait_for(5, sub {
    $r = with('/device/', Authorization => basic($t->device_token, ''));
    $r->body =~ /name=a%0D%0AX-Iot-Role: SYS_ADMIN%25/
}), 'a name stays in its line');
like($r->body, qr/role=DEVICE/, 'and changes no other');


# --- the end of a session

is($t->get('/logout')->status, 405, 'a link does not log out');
is($t->post('/logout', body => '', headers => { Cookie => "sid=$sid" })
    ->status, 403, 'nor does the page of somebody else');
$r = $t->post('/logout', body => '', headers => { Cookie => "sid=$sid",
    Origin => "http://$host", Host => $host });
is($r->status, 204, 'logged out');
like($r->header('Set-Cookie'), qr/^sid=; Max-Age=0; Path=/,
    'the cookie is gone');
is($t->get('/user/', headers => { Cookie => "sid=$sid" },
    client => $t->client)->status, 401, 'and worthless in every worker')
    for 1 .. 6;
$r = $t->post('/logout-page', body => '', headers => {
    'Sec-Fetch-Site' => 'same-origin', Cookie => "sid=$sid" });
is($r->status, 303, 'or sent on');
is($r->header('Location'), '/bye.html', 'to a page');

# an account that is disabled is out, whatever it showed

$t->post("/api/user/$user{TENANT}/userCredentialsEnabled"
    . '?userCredentialsEnabled=false', token => $t->sysadmin, body => '');
is($t->get('/user/', headers => { Authorization => $login },
    client => $t->client)->status, 401, 'a disabled user') for 1 .. 6;


# --- mistakes in the configuration

$t->allow_alert(qr/\[emerg\]/);

for my $case (
    ['iot_gate maybe;', qr/invalid value "maybe" in "iot_gate"/],
    ['iot_gate user tenant=x;', qr/"tenant=x" of "iot_gate" must be one UUID/],
    ['iot_gate user role=KING;', qr/unknown role "KING" in "iot_gate"/],
    ['iot_gate user permission=x;', qr/permission "x" in "iot_gate" is not/],
    ['iot_gate user foo;', qr/unknown parameter "foo" of "iot_gate"/],
    ['iot_gate any role=SYS_ADMIN;', qr/a condition that no device can meet/],
    ['iot_gate_endpoint;', qr/"iot_gate_endpoint" in "\/m" needs "iot_gate"/],
    ['iot_gate_cookie "a b";', qr/characters that no cookie may have/],
    ['iot_gate_cookie a samesite=none;', qr/invalid samesite "none"/],
    ['iot_gate_cookie a b;', qr/unknown parameter "b" of "iot_gate_cookie"/],
    ['iot_gate_realm "a\"b";', qr/characters that no realm may have/],
    ['iot_gate_cookie off; iot_gate_logout;', qr/needs "iot_gate_cookie"/])
{
    my ($line, $like) = @$case;

    $t->snippet(server => "iot_gate_cookie sid;\nlocation /m { $line }\n");
    eval { $t->reload };
    like($@ . $t->error_log, $like, $line);
}

done_testing();
