
--
-- Copyright (C) the ngx_iot authors
--
-- Logins, sessions and what ends them.

BEGIN;

SELECT plan(50);

\ir fixture/people.sql


SELECT is((SELECT f::text FROM iot.login_find(' A@Example.org ', NULL) f),
          '(' || pg_temp.id('user a') || ',"hash of a@example.org",t,t,f,f,f)',
          'found in any case');
SELECT is_empty($$ SELECT * FROM iot.login_find('nobody@example.org', NULL) $$,
                'nobody');

SELECT iot.login_done(pg_temp.id('user a')::uuid, '192.0.2.1', 'agent', NULL)
       AS login \gset

SELECT is(:'login'::jsonb - 'sessionId', jsonb_build_object(
              'sub', 'a@example.org', 'userId', pg_temp.id('user a'),
              'scope', 'TENANT_ADMIN', 'firstName', NULL, 'lastName', NULL,
              'enabled', true, 'isPublic', false,
              'tenantId', pg_temp.id('A'), 'customerId', NULL),
          'what tokens are made of');

SELECT :'login'::json ->> 'sessionId' AS session, iot.now_ms() AS now,
       iot.now_ms() / 1000 AS seconds, pg_temp.id('user a') AS a \gset

SELECT is((SELECT s::text FROM iot.session_principal(:'session', :'a', :now)
                  s), '(TENANT_ADMIN,' || pg_temp.id('A') || ',,' || :'a'
          || ',' || :'session' || ',f,a@example.org)', 'who has the session');
SELECT is((SELECT count(*) FROM iot.session_principal(:'session', :'a',
                                                      :seconds)), 1::bigint,
          'iat in seconds');
SELECT is_empty(format($$ SELECT * FROM iot.session_principal(%L, %L, %s) $$,
                       :'session', pg_temp.id('user b'), :'now'),
                'a session of somebody else');

SELECT is(iot.session_refresh(:'a', :'session', :now) ->> 'sessionId',
          :'session', 'refresh goes on with the session');
SELECT is(pg_temp.fails(format('SELECT iot.session_refresh(%L, %L, %s)',
                               pg_temp.id('user b'), :'session', :'now')),
          'IO401 Token is outdated', 'not for somebody else');

RESET ROLE;
UPDATE iot.session SET expires_at = 1 WHERE id = :'session';
SET ROLE iot_app;
SELECT is_empty(format($$ SELECT * FROM iot.session_principal(%L, %L, %s) $$,
                       :'session', :'a', :'now'), 'an old session');
SELECT is(pg_temp.fails(format('SELECT iot.session_refresh(%L, %L, %s)',
                               :'a', :'session', :'now')),
          'IO401 Token is outdated', 'is not refreshed');


-- logout

SELECT iot.login_done(:'a', '192.0.2.1', 'agent', 'new hash')
       ->> 'sessionId' AS session \gset
SELECT is((SELECT password_hash FROM iot.login_find('a@example.org', NULL)),
          'new hash', 'the hash is renewed');
SELECT iot.logout(:'session', pg_temp.id('user b')::uuid, '192.0.2.1')
       \g /dev/null
SELECT is((SELECT count(*) FROM iot.session_principal(:'session', :'a', :now)),
          1::bigint, 'nobody logs somebody else out');
SELECT iot.logout(:'session', :'a', '192.0.2.1') \g /dev/null
SELECT is_empty(format($$ SELECT * FROM iot.session_principal(%L, %L, %s) $$,
                       :'session', :'a', :'now'), 'logged out');
SELECT is(pg_temp.fails(format('SELECT iot.session_refresh(%L, %L, %s)',
                               :'a', :'session', :'now')),
          'IO401 Token is outdated', 'for good');


-- disabled

SELECT iot.login_done(pg_temp.id('user c1')::uuid, '192.0.2.1', NULL, NULL)
       ->> 'sessionId' AS session, pg_temp.id('user c1') AS c1 \gset
SELECT is(pg_temp.refusal('a', 'user_enable', ARRAY[:'c1'],
                          '{"userCredentialsEnabled":"false"}'), 'done',
          'a user is disabled');
SELECT is_empty(format($$ SELECT * FROM iot.session_principal(%L, %L, %s) $$,
                       :'session', :'c1', :'now'), 'its sessions end');
SELECT is(pg_temp.fails(format('SELECT iot.login_done(%L, NULL, NULL, NULL)',
                               :'c1')),
          'IO401 User account is not active', 'and none begins');
SELECT is(pg_temp.refusal('a', 'user_enable', ARRAY[:'c1'],
                          '{"userCredentialsEnabled":"maybe"}'),
          '400 bad_request: Invalid value of parameter '
          '''userCredentialsEnabled''!', 'yes or no');
SELECT is(pg_temp.refusal('a', 'user_enable', ARRAY[:'c1'],
                          '{"userCredentialsEnabled":"true"}'), 'done',
          'and enabled');
SELECT isnt(iot.login_done(:'c1', NULL, NULL, NULL) ->> 'sessionId',
            :'session', 'a new session');


-- lockout

SELECT is(iot.login_failed('nobody@example.org', '192.0.2.1', 'x'), false,
          'unknown people fail');
SELECT is(iot.login_failed('c1@example.org', '192.0.2.1', 'x'), false,
          'no limit, no lock-out');
SELECT is(pg_temp.api('sys', 'security_settings_save', '{}', '{}',
              '{"maxFailedLoginAttempts":"2","userActivationTokenTtl":5,
                "passwordPolicy":{"minimumLength":8,"minimumDigits":1}}')
          -> 'maxFailedLoginAttempts', '2', 'a limit');
SELECT iot.login_done(:'c1', NULL, NULL, NULL) ->> 'sessionId' AS session \gset
SELECT results_eq($$ SELECT iot.login_failed('C1@example.org', NULL, 'x')
                       FROM generate_series(1, 3) $$,
                  'VALUES (false), (false), (true)', 'beyond it: locked');
SELECT is((SELECT ROW(f.enabled, f.locked)::text
             FROM iot.login_find('c1@example.org', NULL) f), '(f,t)', 'locked');
SELECT is_empty(format($$ SELECT * FROM iot.session_principal(%L, %L, %s) $$,
                       :'session', :'c1', :'now'), 'sessions end too');
SELECT is(iot.login_failed('c1@example.org', NULL, 'x'), false,
          'locked only once');
SELECT is(pg_temp.refusal('a', 'user_enable', ARRAY[:'c1'],
                          '{"userCredentialsEnabled":"true"}'), 'done',
          'an administrator unlocks');
SELECT is((SELECT ROW(f.enabled, f.locked)::text
             FROM iot.login_find('c1@example.org', NULL) f), '(t,f)', 'unlocked');
RESET ROLE;
SELECT is((SELECT array_agg(action || ' ' || status ORDER BY tableoid, ctid)
             FROM iot.audit_log WHERE entity_id = :'c1'
                  AND action IN ('LOCKOUT', 'ACTIVATED', 'SUSPENDED')),
          '{SUSPENDED SUCCESS,ACTIVATED SUCCESS,LOCKOUT SUCCESS,'
          'ACTIVATED SUCCESS}', 'all of it is in the audit log');
SELECT cmp_ok((SELECT count(*) FROM iot.audit_log WHERE entity_id = :'c1'
                      AND action = 'LOGIN' AND status = 'FAILURE'
                      AND failure = 'x'), '=', 5::bigint, 'failures too');
SET ROLE iot_app;


-- passwords

SELECT iot.login_done(:'a', NULL, NULL, NULL) ->> 'sessionId' AS session \gset
SELECT is((SELECT hash FROM iot.password_former(pg_temp.caller('a'))),
          'new hash', 'the old hash');
SELECT iot.password_change(pg_temp.caller('a'), 'newer hash') AS login \gset
SELECT is((SELECT hash FROM iot.password_former(pg_temp.caller('a'))),
          'newer hash', 'the new hash');
SELECT is_empty(format($$ SELECT * FROM iot.session_principal(%L, %L, %s) $$,
                       :'session', :'a', :'now'),
                'sessions of before are gone');
SELECT is((SELECT count(*) FROM iot.session_principal(
              (:'login'::json ->> 'sessionId')::uuid, :'a', iot.now_ms())),
          1::bigint, 'a new one is there');
SELECT is_empty(format($$ SELECT * FROM iot.session_principal(%L, %L, %s) $$,
                       :'login'::json ->> 'sessionId', :'a', :'now'),
                'but not for a token of before');
SELECT is(pg_temp.fails(
              'SELECT iot.password_change(pg_temp.caller(''public''), ''x'')'),
          'IO403 You don''t have permission to perform this operation!',
          'the public has no password');
SELECT alike(pg_temp.fails('SELECT iot.password_set(''' || :'a'
                           || ''', ''x'')'), '42501%',
             'workers cannot set the password of anybody');


-- the public

SELECT is(pg_temp.fails('SELECT iot.login_public(''' || pg_temp.id('c1')
                        || ''')'),
          'IO401 Public entity not found: ' || pg_temp.id('c1'),
          'only for public customers');
SELECT pg_temp.api('a', 'device_assign_public', ARRAY[pg_temp.id('d2')])
       #>> '{customerId,id}' AS everybody \gset
SELECT iot.login_public(:'everybody') AS login \gset
SELECT is(:'login'::jsonb ->> 'sub', :'everybody', 'sub of the public');
SELECT is(:'login'::jsonb -> 'isPublic', 'true', 'it says so');
SELECT is((SELECT ROW(s.role, s.customer_id, s.user_id, s.is_public)::text
             FROM iot.session_principal((:'login'::json ->> 'sessionId')
                 ::uuid, NULL, :now) s),
          '(CUSTOMER_USER,' || :'everybody' || ',,t)', 'its principal');
SELECT is(iot.session_refresh(NULL, (:'login'::json ->> 'sessionId')::uuid,
                              :now) ->> 'isPublic', 'true', 'refreshed');
SELECT is(pg_temp.api('a', 'customer_get', ARRAY[:'everybody'])
          -> 'additionalInfo', '{"isPublic":true}', 'the public customer');


-- settings

SELECT is(pg_temp.refusal('sys', 'security_settings_save', '{}', '{}',
                          v.body::json), v.text, v.body)
  FROM (VALUES
    ('{"userActivationTokenTtl":25}', '400 bad_request: '
        'userActivationTokenTtl must be an integer from 1 to 24'),
    ('{"passwordPolicy":{"minimumLength":4}}', '400 bad_request: '
        'minimumLength must be an integer from 5 to 72'),
    ('{"passwordPolicy":{"minimumLength":9,"maximumLength":8}}',
        '400 bad_request: maximumLength must not be less than '
        'minimumLength'))
       v (body, text);
SELECT is(pg_temp.api('public', 'password_policy') - ARRAY['minimumDigits',
              'minimumLength', 'maximumLength', 'allowWhitespaces'],
          '{"forceUserToResetPasswordIfNotValid":false,
            "minimumLowercaseLetters":null,"minimumUppercaseLetters":null,
            "minimumSpecialCharacters":null,"passwordReuseFrequencyDays":null,
            "passwordExpirationPeriodDays":null}',
          'the policy is for everybody');
SELECT is((iot.settings_core() #>> '{security,passwordPolicy,minimumLength}'),
          '8', 'the workers read what was saved');
SELECT is(iot.settings_core() ->> 'jwt', '{"issuer": "thingsboard.io", '
          '"refresh": 604800, "expiration": 9000, "generation": 1}',
          'how tokens are made');


SELECT * FROM finish();

ROLLBACK;
