
--
-- Copyright (C) the ngx_iot authors
--
-- Name and password with each request, and permissions at the gate.

BEGIN;

SELECT plan(15);

\ir fixture/people.sql

SELECT pg_temp.id('user a') AS a, 'hash of a@example.org' AS hash \gset

SELECT is((SELECT x::text FROM iot.basic_login(:'a', '192.0.2.1', 'agent',
                                               :'hash', NULL) x),
          '(TENANT_ADMIN,' || pg_temp.id('A') || ',,' || :'a'
          || ',a@example.org)', 'who it is');
SELECT is((SELECT count(*) FROM iot.basic_login(:'a', '192.0.2.1', NULL,
                                                'other', 'new')),
          0::bigint, 'not with a hash of before');
SELECT is((SELECT count(*) FROM iot.basic_login(:'a', '192.0.2.1', NULL,
                                                :'hash', 'new')),
          1::bigint, 'a hash of present cost');
SELECT is((SELECT password_hash FROM iot.login_find('a@example.org')), 'new',
          'is kept');
RESET ROLE;
SELECT is((SELECT count(*) FROM iot.session WHERE user_id = :'a'), 0::bigint,
          'there is no session');
SELECT is((SELECT count(*) FROM iot.audit_log l
            WHERE l.user_id = :'a' AND l.action = 'LOGIN'), 2::bigint,
          'it is in the audit log');
UPDATE iot.user_credentials SET enabled = false WHERE user_id = :'a';
SELECT is((SELECT count(*) FROM iot.basic_login(:'a', NULL, NULL, 'new',
                                                NULL)),
          0::bigint, 'not when disabled');
UPDATE iot.user_credentials SET enabled = true WHERE user_id = :'a';
INSERT INTO iot.second_factor (user_id, type) VALUES (:'a', 'TOTP');
SELECT is((SELECT count(*) FROM iot.basic_login(:'a', NULL, NULL, 'new',
                                                NULL)),
          0::bigint, 'not without a second factor');
DELETE FROM iot.second_factor;

SELECT is((SELECT address FROM iot.user_address WHERE user_id = :'a'),
          '192.0.2.1', 'who was let in is known there');
INSERT INTO iot.setting (name, value) VALUES ('security',
    '{"passwordPolicy":{"passwordExpirationPeriodDays":30}}');
SELECT is((SELECT count(*) FROM iot.basic_login(:'a', NULL, NULL, 'new',
                                                NULL)),
          1::bigint, 'a password of today');
UPDATE iot.user_credentials SET password_time = iot.now_ms()
    - 31 * 86400000::bigint WHERE user_id = :'a';
SELECT is((SELECT count(*) FROM iot.basic_login(:'a', NULL, NULL, 'new',
                                                NULL)),
          0::bigint, 'not one that has expired');
SELECT is((SELECT l.status FROM iot.audit_log l WHERE l.user_id = :'a'
            AND l.failure = 'User password expired!'), 'FAILURE',
          'which the audit log says');
SET ROLE iot_app;

SELECT ok(iot.gate_may(pg_temp.caller('a'), 'DEVICE', 'DELETE'),
          'what a tenant may');
SELECT ok(NOT iot.gate_may(pg_temp.caller('c1'), 'DEVICE', 'DELETE'),
          'a customer may not');
SELECT ok(NOT iot.gate_may(pg_temp.caller('public'), 'DEVICE', 'WRITE'),
          'nor the public');

SELECT * FROM finish();
ROLLBACK;
