
--
-- Copyright (C) the ngx_iot authors
--
-- Row-level security, numbers of entities, settings, the audit log, and what
-- becomes of a second init.

BEGIN;

SELECT plan(54);

\ir fixture/people.sql

SELECT '403 permission_denied: You don''t have permission to perform this '
       'operation!' AS denied \gset


-- the second wall: whatever the functions ask for

SELECT iot.enter(pg_temp.caller('a')) \g /dev/null

SELECT is((SELECT array_agg(name ORDER BY name) FROM iot.device),
          '{d1,d2}', 'rows of the own tenant');
SELECT is((SELECT count(*) FROM iot.tenant), 1::bigint, 'one tenant');
SELECT is((SELECT count(*) FROM iot.users), 3::bigint, 'its users');
SELECT is((SELECT count(*) FROM iot.device_credentials), 2::bigint,
          'its credentials');
SELECT is((SELECT count(*) FROM iot.setting), 0::bigint,
          'no settings of the server');
SELECT is(pg_temp.fails(format('INSERT INTO iot.customer (tenant_id, title) '
                               'VALUES (%L, ''x'')', pg_temp.id('B'))),
          '42501 new row violates row-level security policy for table '
          '"customer"', 'nothing can be put elsewhere');
SELECT is(pg_temp.fails('UPDATE iot.tenant_profile SET name = ''x'''), 'done',
          'profiles of tenants ...');
SELECT is((SELECT count(*) FROM iot.tenant_profile WHERE name = 'x'),
          0::bigint, '... are not changed');
SELECT alike(pg_temp.fails('DELETE FROM iot.audit_log'), '42501%',
             'the audit log cannot be cleaned');
SELECT alike(pg_temp.fails('UPDATE iot.audit_log SET action = ''x'''),
             '42501%', 'nor written over');

SELECT set_config('iot.tenant', '', true), set_config('iot.role', '', true)
       \g /dev/null
SELECT is((SELECT count(*) FROM iot.device) + (SELECT count(*) FROM iot.users)
          + (SELECT count(*) FROM iot.session), 0::bigint,
          'without a caller there is nothing');


-- numbers of entities

SELECT is(pg_temp.fails(format('SELECT iot.enter(p), iot.resolve(p, %L, %L, %L)'
                               ' FROM people WHERE who = %L', v.kind,
                               pg_temp.id(v.thing), v.operation, v.who)),
          v.text,
          concat_ws(', ', v.who, v.kind, v.thing, v.operation))
  FROM (VALUES
    ('a', 'DEVICE', 'd1', 'WRITE_TELEMETRY', 'done'),
    ('c1', 'DEVICE', 'd1', 'WRITE_ATTRIBUTES', 'done'),
    ('public', 'DEVICE', 'd1', 'READ_TELEMETRY', 'done'),
    ('public', 'DEVICE', 'd1', 'WRITE_TELEMETRY', 'IO403 You don''t have '
        'permission to perform this operation!'),
    ('c1', 'DEVICE', 'd2', 'READ_TELEMETRY', 'IO403 You don''t have '
        'permission to perform this operation!'),
    ('a', 'DEVICE', 'e1', 'READ_TELEMETRY', 'IO404 Device with requested id '
        'wasn''t found!'),
    ('sys', 'DEVICE', 'd1', 'READ_TELEMETRY', 'IO403 System administrator is '
        'not allowed to perform this operation!'),
    ('a', 'CUSTOMER', 'c1', 'WRITE_ATTRIBUTES', 'done'),
    ('c1', 'CUSTOMER', 'c1', 'READ_ATTRIBUTES', 'done'),
    ('c1', 'CUSTOMER', 'c1', 'WRITE_ATTRIBUTES', 'IO403 Customer user is not '
        'allowed to perform this operation!'),
    ('b', 'CUSTOMER', 'c1', 'READ_ATTRIBUTES', 'IO404 Customer with requested '
        'id wasn''t found!'),
    ('a', 'TENANT', 'A', 'WRITE_ATTRIBUTES', 'done'),
    ('sys', 'TENANT', 'A', 'WRITE_ATTRIBUTES', 'done'),
    ('a', 'TENANT', 'B', 'READ_ATTRIBUTES', 'IO404 Tenant with requested id '
        'wasn''t found!'),
    ('c1', 'TENANT', 'A', 'READ_ATTRIBUTES', 'IO403 Customer user is not '
        'allowed to perform this operation!'),
    ('c1', 'USER', 'user c1', 'WRITE_ATTRIBUTES', 'done'),
    ('c1', 'USER', 'user c2', 'READ_ATTRIBUTES', 'IO403 You don''t have '
        'permission to perform this operation!'),
    ('a', 'SPOON', 'd1', 'READ', 'IO400 Unsupported entity type: SPOON'))
       v (who, kind, thing, operation, text);


-- settings

SELECT is(pg_temp.refusal(v.who, 'admin_settings_save', '{}', '{}',
                          v.body::json), v.text, v.text)
  FROM (VALUES
    ('a', '{"key":"x","jsonValue":{}}', :'denied'),
    ('sys', '{"jsonValue":{}}', '400 bad_request: Key should be specified!'),
    ('sys', '{"key":"x"}', '400 bad_request: Json value should be '
        'specified!'),
    ('sys', '{"key":"jwt","jsonValue":{}}', '400 bad_request: Settings '
        '''jwt'' can''t be changed here!'),
    ('sys', '{"key":"general","jsonValue":{"baseUrl":"javascript:x"}}',
        '400 bad_request: Base URL is malformed!'),
    ('sys', '{"key":"mail","jsonValue":{"smtpHost":"a b"}}',
        '400 bad_request: smtpHost is malformed!'))
       v (who, body, text);
SELECT is(pg_temp.api('sys', 'admin_settings_save', '{}', '{}',
              '{"key":"general","jsonValue":{"baseUrl":"https://example.org",
                "prohibitDifferentUrl":"true"}}') #> '{jsonValue}',
          '{"baseUrl":"https://example.org","prohibitDifferentUrl":"true"}',
          'echoed as it came');
SELECT is(pg_temp.api('sys', 'admin_settings_get', '{general}')
          #>> '{jsonValue,baseUrl}', 'https://example.org', 'and read again');
SELECT is(pg_temp.refusal('sys', 'admin_settings_get', '{nothing}'),
          '404 not_found: Requested item wasn''t found!', 'unknown key');
SELECT is(pg_temp.refusal('sys', 'admin_settings_get', '{jwt}'),
          '404 not_found: Requested item wasn''t found!', 'no secrets');
SELECT alike(pg_temp.api('a', 'device_connectivity', ARRAY[pg_temp.id('d1')])
             #>> '{http,https}', '%''https://example.org/api/v1/token of d1/%',
             'a token with blanks is quoted');
SELECT cmp_ok(pg_temp.api('c1', 'server_time')::bigint, '>',
              1700000000000, 'the clock');


-- the audit log

SELECT is((SELECT array_agg(x ->> 'actionType') FROM jsonb_array_elements(
              pg_temp.api('a', 'audit_logs_entity',
                          ARRAY['DEVICE', pg_temp.id('d1')],
                          '{"pageSize":"9","page":"0"}') -> 'data') x),
          '{ADDED}', 'of a device');
SELECT is(pg_temp.api('a', 'audit_logs', '{}',
              '{"pageSize":"9","page":"0","actionTypes":"DELETED,UPDATED"}')
          -> 'totalElements', '0', 'by kind');
SELECT is(pg_temp.api('a', 'audit_logs', '{}',
              '{"pageSize":"1","page":"0","textSearch":"d2"}')
          #>> '{data,0,entityName}', 'd2', 'by name');
SELECT is(pg_temp.api('a', 'audit_logs', '{}',
              '{"pageSize":"1","page":"0","endTime":"1"}')
          -> 'totalElements', '0', 'by time');
SELECT is(pg_temp.api('a', 'audit_logs_user', ARRAY[pg_temp.id('user b')],
                      '{"pageSize":"9","page":"0"}') -> 'totalElements', '0',
          'nothing of other tenants');
SELECT is(pg_temp.refusal('c1', 'audit_logs', '{}',
                          '{"pageSize":"9","page":"0"}'), :'denied',
          'not for customers');
SELECT is(pg_temp.api('a', 'audit_logs_customer', ARRAY[pg_temp.id('c1')],
              '{"pageSize":"9","page":"0","sortOrder":"DESC",
                "sortProperty":"createdTime"}') #>> '{data,0,entityName}',
          'd1', 'of a customer, newest first');
SELECT is(pg_temp.api('a', 'usage') -> 'devices', '2', 'usage counts');


-- age

RESET ROLE;
INSERT INTO iot.setting (name, value) VALUES ('audit', '{"days":30}');
UPDATE iot.audit_log SET created_time = 1 WHERE entity_type = 'CUSTOMER';
INSERT INTO iot.session (user_id, expires_at)
    VALUES (pg_temp.id('user a')::uuid, 1);
SET ROLE iot_app;
SELECT is(iot.maintain_identity(), 3, 'what is too old is forgotten');
SELECT is(iot.maintain_identity(), 0, 'once');


-- init, again

RESET ROLE;
SELECT iot.init_demo('Demo', 't@example.org', 'h', 'Customer A',
    'c@example.org', 'h', 'Demo device', 'DEMO') AS first \gset
UPDATE iot.user_credentials c SET password_hash = 'changed'
  FROM iot.users u WHERE u.id = c.user_id AND u.email = 't@example.org';
SELECT is(iot.init_demo('Demo', 't@example.org', 'h', 'Customer A',
              'c@example.org', 'h', 'Demo device', 'DEMO')::text, :'first',
          'a second init finds everything');
SELECT is((SELECT password_hash FROM iot.login_find('t@example.org', NULL)),
          'changed', 'and changes nothing');
SELECT is((SELECT ROW(name, customer_id IS NULL)::text
             FROM iot.device_by_token('DEMO')), '("Demo device",f)',
          'the first device');


SELECT * FROM finish();

ROLLBACK;
