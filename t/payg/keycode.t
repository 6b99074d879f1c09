#!/usr/bin/perl

# Copyright (C) the ngx_iot authors

# Codes of pay-as-you-go devices, from the registration of a phone and of a
# device to the code that the device reads; what is refused; many at once; no
# helper.

use strict;
use warnings;

use File::Basename qw(dirname);

use lib dirname(__FILE__) . '/../lib';

use IotTest;
use IotTest::Helper;
use IotTest::TbMqtt;

my $t = IotTest->new(workers => 2);
my $token = $t->tenant;
my $secret = 'AB' x 16;
my %bearer = (headers => { Authorization => "Bearer $token" });


# as the phone does it: the token of its own making, the name a number
sub device {
    my ($name, $access, %server) = @_;

    my $r = $t->post("/api/device?accessToken=$access", %bearer,
        type => 'application/json', body => qq({"name":$name,"type":"default"})
    );

    is($r->status, 200, "device $name") or diag($r->body);

    my $id = $r->json->{id}{id};

    is(attributes($id, \%server)->status, 200, 'its secret') if %server;

    return $id;
}


sub attributes {
    my ($id, $server) = @_;

    return $t->post("/api/plugins/telemetry/DEVICE/$id/attributes/"
        . 'SERVER_SCOPE', %bearer, json => $server);
}


sub ask {
    my ($id, $body, %o) = @_;

    return $t->post("/api/rule-engine/DEVICE/$id" . ($o{path} || ''),
        $o{token} ? (token => $o{token}) : %bearer, ref($body)
        ? (json => $body) : (type => 'application/json', body => $body));
}


# status and errorCode of a refusal
sub refused {
    my ($answer) = @_;

    return join(' ', $answer->status,
        eval { $answer->json->{errorCode} } // '');
}


sub server {
    my ($id, $key) = @_;

    return $t->value('SELECT COALESCE(a.s, a.l::text) FROM iot.attribute a '
        . 'JOIN iot.key k ON k.id = a.key JOIN iot.device d ON d.nr = a.entity '
        . 'WHERE d.id = ? AND a.scope = 3 AND k.name = ?', $id, $key);
}


my $phone = device('"DEVICE_ID: ABC123"', 'PhoneTokenPhoneToken');
my $id = device('210800001', 'DeviceTokenDeviceTok',
    device_secret => $secret, msg_id => 15, payg_type => 'Nexus',
    product_code => 'P1');


# without a helper nothing is used up

{
    my $r = ask($id, { method => 'Set Credit', credit => 1 });

    is($r->status, 503, 'no helper');
    ok($r->header('retry-after'), 'come again');
    is($t->value('SELECT count(*) FROM iot.job'), 0, 'nothing is left to do');
    is(server($id, 'msg_id'), 15, 'the id has not moved');
}

my $helper = IotTest::Helper->new($t);


# the secret: sealed, and seen nowhere

{
    my $base = "/api/plugins/telemetry/DEVICE/$id";

    like(server($id, 'device_secret'), qr/^sealed:h:/, 'sealed');

    for my $path ("$base/values/attributes/SERVER_SCOPE",
        "$base/values/attributes", "$base/keys/attributes",
        "$base/values/attributes/SERVER_SCOPE?keys=device_secret,msg_id,"
        . 'pyg_pts,pyg_msg')
    {
        my $r = $t->get($path, %bearer);

        is($r->status, 200, $path);
        unlike($r->body, qr/sealed|device_secret|msg_id|pyg_pts|ABABAB/i,
            'no secret');
    }

    like($t->get("$base/values/attributes/SERVER_SCOPE", %bearer)->body,
        qr/product_code/, 'the others are there');

    my $r = $t->post('/api/entitiesQuery/find', %bearer, json => {
        entityFilter => { type => 'singleEntity',
            singleEntity => { entityType => 'DEVICE', id => $id } },
        pageLink => { pageSize => 10, page => 0 },
        latestValues => [map { { type => $_, key => 'device_secret' } }
            qw(SERVER_ATTRIBUTE ATTRIBUTE)] });

    is($r->status, 200, 'a query');
    unlike($r->body, qr/sealed/, 'no secret by queries');
    unlike($t->psql('SELECT data FROM iot.audit_log'), qr/sealed|ABABAB/,
        'nor in the audit log');

    my $view = $t->post('/api/entityView', %bearer, json => { name => 'view',
        type => 'v', entityId => { entityType => 'DEVICE', id => $id },
        keys => { attributes => { ss => ['device_secret', 'product_code'],
            cs => [], sh => [] }, timeseries => [] } });

    is($view->status, 200, 'a view') or diag($view->body);
    is_deeply([map { $_->[0] } @{$t->sql('SELECT k.name FROM iot.attribute a '
        . 'JOIN iot.key k ON k.id = a.key JOIN iot.entity_view v '
        . "ON v.nr = a.entity WHERE v.name = 'view'")}], ['product_code'],
        'has no copy of the secret');

    is(refused(attributes($id, { pyg_pts => 'AB' x 15 })), '400 ',
        'a secret of a wrong length');
    is(refused(attributes($id, { device_secret => 7 })), '400 ',
        'a secret that is no text');
}


# the codes of the reference, by both dialects and all paths

{
    my $r = ask($id, { method => 'Set Credit', credit => 1 });

    is($r->status, 200, 'a code') or diag($r->body);
    is($r->body, '{"token" : "*010 050 135 981 34#"}', 'the code of the table');
    is(server($id, 'msg_id'), 16, 'the id has moved');
    is(server($id, 'pyg_msg'), 16, 'under its other name, too');

    my $shared = $t->get('/api/v1/DeviceTokenDeviceTok/attributes')->json
        ->{shared};

    is($shared->{$_}, '*010 050 135 981 34#', "the device reads $_")
        for qw(pyg_tkn PC_tkn pc_tkn);
    is($shared->{pyg_tkn_credit}, 24, 'hours');
    is($shared->{pc_tkn_credit}, 1, 'days');
    ok($shared->{pc_tkn_ts} > 1e12, 'when');

    attributes($id, { msg_id => 1 });

    is(ask($id, '{"pay_g_tkn":"6"}', path => '/5000')->json->{token},
        '*128 207 910 689 67#', 'pay_g_tkn, with a time');
    is(ask($id, { set_tkn => 11 }, path => '/Main/5000')->json->{token},
        '*811 422 562 401 92#', 'set_tkn, with a queue');
    is(ask($id, { unlock_tkn => '1' })->json->{token}, '*865 576 529 558 11#',
        'unlock_tkn');
    like(ask($id, { method => 'Unlock PAYG' })->json->{token},
        qr/^\*\d{3} \d{3} \d{3} \d{3} \d\d#$/, 'unlock');
}


# a connected device hears at once

{
    my $mqtt = IotTest::TbMqtt->connect($t, user => 'DeviceTokenDeviceTok');

    $mqtt->subscribe('v1/devices/me/attributes', 1);

    my $code = ask($id, { method => 'Add Credit', credit => 3 })->json->{token};
    my $told = $mqtt->packet;

    is($told->{topic}, 'v1/devices/me/attributes', 'told');
    is(JSON::XS->new->decode($told->{payload})->{pc_tkn}, $code,
        'the code, over MQTT');
}


# a repeated request is the same code

{
    my $body = { method => 'Add Credit', credit => 5, requestId => 'loan-1' };
    my $first = ask($id, $body);
    my $next = server($id, 'msg_id');

    is($first->status, 200, 'with a key');
    is(ask($id, $body)->body, $first->body, 'the same code again');
    is(server($id, 'msg_id'), $next, 'no id was used');
    is(refused(ask($id, { %$body, credit => 6 })), '400 E_REQUEST',
        'but not for something else');
    is(refused(ask($id, { %$body, requestId => 'x' x 65 })), '400 E_REQUEST',
        'a key that is too long');
}


# what is refused uses up nothing

{
    my $next = server($id, 'msg_id');

    for my $case (
        ['{"method":"Add Credit","credit":0}', 'E_VALUE'],
        ['{"method":"Add Credit","credit":4167}', 'E_VALUE'],
        ['{"method":"Add Credit","credit":1.5}', 'E_VALUE'],
        ['{"method":"Add Credit","credit":"1e2"}', 'E_VALUE'],
        ['{"method":"Add Credit","credit":" 1"}', 'E_VALUE'],
        ['{"method":"Add Credit","credit":-1}', 'E_VALUE'],
        ['{"method":"Add Credit","credit":null}', 'E_VALUE'],
        ['{"method":"Add Credit"}', 'E_VALUE'],
        ['{"method":"Set Credit","credit":99999999999999999999}', 'E_VALUE'],
        ['{"method":"Fly","credit":1}', 'E_REQUEST'],
        ['{"credit":1}', 'E_REQUEST'],
        ['{"pay_g_tkn":1,"set_tkn":1}', 'E_REQUEST'],
        ['{"pay_g_tkn":1,"pay_g_tkn":2}', 'E_REQUEST'],
        ['{"method":"Add Credit","credit":1,"credit":2}', 'E_REQUEST'],
        ['{"method":"Credit Until","until":"tomorrow"}', 'E_VALUE'],
        ['{"method":"Credit Until","until":"2024-13-45T00:00:00Z"}',
            'E_VALUE'],
        ['{"method":"Credit Until","until":"9999-01-01T00:00:00Z"}',
            'E_VALUE'],
        ['{"method":"Counter Sync"}', 'E_TYPE'])
    {
        is(refused(ask($id, $case->[0])), "400 $case->[1]", $case->[0]);
    }

    is(ask($id, 'nonsense')->status, 400, 'no JSON');
    is(server($id, 'msg_id'), $next, 'the id has not moved');
    is(refused(ask($phone, { pay_g_tkn => 1 })), '409 E_SECRET', 'no secret');
    is(ask('784f394c-42b6-435a-983c-b7beff2784f9', { pay_g_tkn => 1 })
        ->status, 404, 'no device');
    is(ask($id, { pay_g_tkn => 1 }, token => $t->customer)->status, 403,
        'not for customers');
}


# the ends of the ids, and secrets that are none

{
    my $other = device('"ends"', 'EndsTokenEndsTokenEn',
        device_secret => 'AB' x 16);

    is(refused(ask($other, { pay_g_tkn => 1 })), '409 E_MSG_ID', 'no id');
    attributes($other, { msg_id => 65534 });
    is(ask($other, { pay_g_tkn => 1 })->status, 200, 'the last id');
    is(refused(ask($other, { pay_g_tkn => 1 })), '400 E_MSG_ID',
        'and then none');
    attributes($other, { msg_id => -1 });
    is(refused(ask($other, { pay_g_tkn => 1 })), '400 E_MSG_ID', 'negative');
    attributes($other, { msg_id => 0, device_secret => 'AB' x 15 });
    is(refused(ask($other, { pay_g_tkn => 1 })), '400 E_SECRET',
        'a secret that is too short');
    attributes($other, { pyg_pts => 'ab' x 16, pyg_msg => 15 });
    is(ask($other, { set_tkn => 1 })->json->{token}, '*010 050 135 981 34#',
        'what was written last counts');
}


# nobody replies to other calls

{
    my $r = ask($phone, { hello => 1 });

    is($r->status, 408, 'no reply');
    is($r->body, '', 'an empty one');
    is($t->post('/api/rule-engine/', token => $token, json => {})->status, 408,
        'of the caller');
    is(ask($phone, {}, path => '/soon')->status, 400, 'no time');
}


# the journal, and the resource for business software

{
    my $r = $t->post("/api/payg/device/$id/token", token => $token,
        json => { method => 'Set Credit', credit => 30, requestId => 'r7' });

    is($r->status, 200, 'asked for') or diag($r->body);
    is($r->json->{hours}, 720, 'hours');
    is($r->json->{type}, 'set_credit', 'what it does');
    is($r->json->{compactToken}, $r->json->{token} =~ s/ //gr, 'for devices');
    is($r->json->{requestId}, 'r7', 'its key');

    my $list = $t->get("/api/payg/device/$id/tokens?pageSize=2&page=0",
        token => $token)->json;

    is($list->{data}[0]{token}, $r->json->{token}, 'the newest comes first');
    ok($list->{totalElements} > 5 && $list->{hasNext}, 'with those before it');
    is($t->get('/api/payg/tokens?pageSize=9&page=0&textSearch=r7',
        token => $token)->json->{totalElements}, 1, 'found by its key');
    is($t->get('/api/payg/tokens?pageSize=9&page=0', token => $t->customer)
        ->status, 403, 'not for customers');
}


# many at once: distinct ids, none left out

{
    my $n = 200;
    my $many = device('"many"', 'ManyTokenManyTokenMa',
        device_secret => $secret, msg_id => 0);
    my @clients = map { $t->client } 1 .. $n;
    my $second = IotTest::Helper->new($t);
    my $body = '{"pay_g_tkn":1}';

    for my $c (@clients) {
        print { $c->socket } "POST /api/rule-engine/DEVICE/$many/60000 "
            . "HTTP/1.1\r\nHost: x\r\nX-Authorization: Bearer $token\r\n"
            . "Content-Type: application/json\r\nContent-Length: "
            . length($body) . "\r\n\r\n$body";
        $c->socket->flush;
    }

    my @answers = map { $_->answer } @clients;
    my %codes = map { $_->json->{token} // '' => 1 } @answers;

    is((grep { $_->status == 200 } @answers), $n, 'all have a code');
    is(keys %codes, $n, 'each another one');
    is(server($many, 'msg_id'), $n, 'no id was left out');
    is($t->value('SELECT count(DISTINCT msg_id) FROM iot.payg_token '
        . 'WHERE device_id = ?', $many), $n, 'nor given twice');
    is($t->value('SELECT max(msg_id) FROM iot.payg_token '
        . 'WHERE device_id = ?', $many), $n - 1, 'from the first to the last');
}


# OpenPAYGO, by the example of its manual

{
    my $open = device('"open"', 'OpenTokenOpenTokenOp',
        pyg_pts => 'bc41ec9530f6dac86b1a29ab82edc5fb', pyg_msg => 1,
        payg_type => 'OpenPAYGO', prd_psc => 516959010);

    is(ask($open, { method => 'Add Credit', credit => 7 })->json->{token},
        '397287017', 'a token');
    is(server($open, 'pyg_msg'), 2, 'the count');
    like(ask($open, { method => 'Counter Sync' })->json->{token},
        qr/^\d{9}$/, 'a counter sync');
    is(refused(ask($open, { method => 'Add Credit', credit => 996 })),
        '400 E_VALUE', 'more than a token can hold');
    is($t->value('SELECT a.s FROM iot.attribute a JOIN iot.key k '
        . 'ON k.id = a.key JOIN iot.device d ON d.nr = a.entity '
        . "WHERE d.id = ? AND a.scope = 2 AND k.name = 'pyg_tkn'", $open)
        =~ /^\d{9}$/, 1, 'text for ever');
}

unlike($t->error_log . $helper->log, qr/ABABAB|bc41ec/i, 'no secret in a log');

done_testing();
