
--
-- Copyright (C) the ngx_iot authors
--
-- Users: who may make, see and change whom.

BEGIN;

SELECT plan(53);

\ir fixture/people.sql

SELECT '403 permission_denied: You don''t have permission to perform this '
       'operation!' AS denied \gset


SELECT is(pg_temp.refusal(v.who, 'user_save', '{}', '{}', v.body), v.text,
          v.who || ': ' || v.text)
  FROM (VALUES
    ('a', '{"authority":"TENANT_ADMIN"}'::json,
        '400 bad_request: User email should be specified!'),
    ('a', '{"email":"nobody","authority":"TENANT_ADMIN"}',
        '400 bad_request: Invalid email address format ''nobody''!'),
    ('a', '{"email":"a@b.c","authority":"TENANT_ADMIN"}',
        '400 bad_request: Invalid email address format ''a@b.c''!'),
    ('a', '{"email":"x@example.org"}',
        '400 bad_request: User authority isn''t defined!'),
    ('a', '{"email":"x@example.org","authority":"KING"}',
        '400 bad_request: Unknown user authority ''KING''!'),
    ('a', '{"email":"x@example.org","authority":"CUSTOMER_USER"}',
        '400 bad_request: Customer user should be assigned to customer!'),
    ('a', json_build_object('email', 'x@example.org',
        'authority', 'TENANT_ADMIN', 'customerId', pg_temp.id('c1')),
        '400 bad_request: Tenant administrator can''t be assigned to '
        'customer!'),
    ('a', '{"email":"x@example.org","authority":"CUSTOMER_USER","customerId":'
        '{"id":"00000000-0000-0000-0000-000000000001"}}',
        '400 bad_request: User is referencing to non-existent customer!'),
    ('b', json_build_object('email', 'x@example.org',
        'authority', 'CUSTOMER_USER', 'customerId', pg_temp.id('c1')),
        '400 bad_request: User can''t be assigned to customer from different '
        'tenant!'),
    ('a', '{"email":"B@Example.org","authority":"TENANT_ADMIN"}',
        '400 bad_request: User with email ''b@example.org'' already present '
        'in database!'),
    ('a', '{"email":"x@example.org","authority":"SYS_ADMIN"}', :'denied'),
    ('sys', json_build_object('email', 'x@example.org',
        'authority', 'CUSTOMER_USER', 'customerId', pg_temp.id('c1'),
        'tenantId', pg_temp.id('A')), :'denied'),
    ('sys', '{"email":"x@example.org","authority":"TENANT_ADMIN","tenantId":'
        '{"id":"00000000-0000-0000-0000-000000000001"}}',
        '400 bad_request: User is referencing to non-existent tenant!'),
    ('c1', json_build_object('email', 'x@example.org',
        'authority', 'CUSTOMER_USER', 'customerId', pg_temp.id('c1')),
        :'denied'),
    ('public', json_build_object('email', 'x@example.org',
        'authority', 'CUSTOMER_USER', 'customerId', pg_temp.id('c1')),
        :'denied'),
    ('a', json_build_object('email', 'a@example.org',
        'authority', 'TENANT_ADMIN', 'id', pg_temp.id('user b')),
        '400 bad_request: Can''t update non existing user!'),
    ('a', json_build_object('email', 'a@example.org',
        'authority', 'CUSTOMER_USER', 'id', pg_temp.id('user a'),
        'customerId', pg_temp.id('c1')),
        '400 bad_request: Can''t update user authority!'),
    ('a', json_build_object('email', 'c1@example.org',
        'authority', 'CUSTOMER_USER', 'id', pg_temp.id('user c1'),
        'customerId', pg_temp.id('c2')),
        '400 bad_request: Can''t update user customer id!'),
    ('sys', json_build_object('email', 'a@example.org',
        'authority', 'TENANT_ADMIN', 'id', pg_temp.id('user a'),
        'tenantId', pg_temp.id('B')),
        '400 bad_request: Can''t update user tenant id!'),
    ('a', json_build_object('email', 'b@example.org',
        'authority', 'TENANT_ADMIN', 'id', pg_temp.id('user a')),
        '400 bad_request: User with email ''b@example.org'' already present '
        'in database!'),
    ('a', json_build_object('email', 'a@example.org',
        'authority', 'TENANT_ADMIN', 'id', pg_temp.id('user a'),
        'version', 5),
        '409 version_conflict: User was already changed by someone else'),
    ('c1', json_build_object('email', 'c2@example.org',
        'authority', 'CUSTOMER_USER', 'id', pg_temp.id('user c2'),
        'customerId', pg_temp.id('c2')), :'denied'))
       v (who, body, text);


SELECT pg_temp.made('new', pg_temp.api('a', 'user_save', '{}',
    '{"sendActivationMail":"false"}', json_build_object(
        'email', 'New@Example.ORG', 'authority', 'CUSTOMER_USER',
        'customerId', json_build_object('entityType', 'CUSTOMER',
                                        'id', pg_temp.id('c1')),
        'firstName', 'N', 'lastName', 'U', 'name', 'ignored',
        'tenantId', pg_temp.id('B'), 'unknown', 1,
        'additionalInfo', json_build_object('lang', 'en',
                                            'userActivated', true)))) AS made
       \gset

SELECT is(:'made'::jsonb -> 'email', '"new@example.org"',
          'addresses are kept in lower case');
SELECT is(:'made'::jsonb -> 'name', '"new@example.org"',
          'and are the name');
SELECT is(:'made'::jsonb -> 'additionalInfo', '{"lang":"en"}',
          'members of the server are not stored');
SELECT is(:'made'::jsonb #>> '{tenantId,id}', pg_temp.id('A'),
          'a tenant makes users of its own only');
SELECT ok(:'made'::jsonb ?& ARRAY['id', 'createdTime', 'phone', 'authority',
              'version'], 'no member is left out');
SELECT is(pg_temp.api('a', 'user_get', ARRAY[pg_temp.id('new')])
          -> 'additionalInfo', '{"lang":"en","userActivated":false,
              "userCredentialsEnabled":false}', 'enriched when read');

RESET ROLE;
SELECT is((SELECT ROW(c.enabled, c.password_hash IS NULL,
                      c.activate_token ~ '^[A-Za-z0-9]{30}$',
                      c.activate_expires > iot.now_ms())::text
             FROM iot.user_credentials c
            WHERE c.user_id = pg_temp.id('new')::uuid), '(f,t,t,t)',
          'a user without a password waits for activation');
SET ROLE iot_app;

SELECT is(pg_temp.api('c1', 'user_save', '{}', '{}', json_build_object(
              'id', json_build_object('id', pg_temp.id('user c1')),
              'email', 'c1@example.org', 'authority', 'CUSTOMER_USER',
              'customerId', pg_temp.id('c1'), 'phone', 5551234))
          -> 'phone', '"5551234"', 'a user changes itself');
SELECT is(pg_temp.api('sys', 'user_save', '{}', '{}',
              '{"email":"root@example.org","authority":"SYS_ADMIN"}')
          #>> '{tenantId,id}', '13814000-1dd2-11b2-8080-808080808080',
          'a system administrator has no tenant');


-- who sees whom

SELECT is(pg_temp.refusal(v.who, 'user_get', ARRAY[pg_temp.id('user '
                                                              || v.whom)]),
          v.text, v.who || ' asks for ' || v.whom)
  FROM (VALUES ('sys', 'a', 'done'), ('sys', 'c1', :'denied'),
               ('a', 'c1', 'done'), ('a', 'a', 'done'),
               ('c1', 'c1', 'done'), ('c1', 'c2', :'denied'),
               ('c1', 'a', :'denied'),
               ('b', 'a', '404 not_found: User with id ['
                          || pg_temp.id('user a') || '] is not found'))
       v (who, whom, text);

SELECT is(pg_temp.api('a', 'users', '{}', '{"pageSize":"10","page":"0"}')
          -> 'totalElements', '4', 'users of the tenant');
SELECT is(pg_temp.api('c1', 'users', '{}', '{"pageSize":"10","page":"0"}')
          -> 'totalElements', '2', 'users of the customer');
SELECT is((pg_temp.api('a', 'users_info', '{}',
               '{"pageSize":"10","page":"0","textSearch":"n"}')
           #> '{data,0}') - 'id', '{"email":"new@example.org","firstName":"N",
              "lastName":"U"}', 'found by the first name');
SELECT is(pg_temp.api('sys', 'tenant_users', ARRAY[pg_temp.id('A')],
                      '{"pageSize":"10","page":"0"}') -> 'totalElements',
          '1', 'administrators of a tenant');
SELECT is(pg_temp.api('a', 'customer_users', ARRAY[pg_temp.id('c2')],
                      '{"pageSize":"10","page":"0"}') -> 'totalElements',
          '1', 'users of a customer');
SELECT is(jsonb_array_length(pg_temp.api('c1', 'users', '{}',
              json_build_object('userIds', pg_temp.id('user c1') || ','
                                           || pg_temp.id('user c2')))), 1,
          'users by ids');
SELECT is(pg_temp.api('public', 'user_current') ->> 'authority',
          'CUSTOMER_USER', 'everybody has a face');


-- the last administrator, and oneself

SELECT is(pg_temp.refusal('sys', 'user_delete', ARRAY[pg_temp.id('user b')]),
          '400 bad_request: At least one tenant administrator must remain!',
          'the last administrator stays');
SELECT is(pg_temp.refusal('sys', 'user_delete', ARRAY[
              (pg_temp.caller('sys')).user_id::text]), :'denied',
          'nobody locks the system out');
SELECT is(pg_temp.refusal('c1', 'user_delete', ARRAY[pg_temp.id('user c1')]),
          :'denied', 'a customer user deletes nobody');
SELECT is(pg_temp.refusal('a', 'user_enable', ARRAY[pg_temp.id('user a')],
                          '{"userCredentialsEnabled":"false"}'), :'denied',
          'nobody disables itself');
SELECT is(pg_temp.refusal('a', 'user_delete', ARRAY[pg_temp.id('new')]),
          'done', 'a user is deleted');

RESET ROLE;
SELECT is((SELECT count(*) FROM iot.user_credentials
            WHERE user_id = pg_temp.id('new')::uuid), 0::bigint,
          'with its credentials');
SELECT is((SELECT array_agg(DISTINCT action) FROM iot.audit_log
            WHERE entity_id = pg_temp.id('new')::uuid), '{ADDED,DELETED}',
          'and is remembered in the audit log');


SELECT * FROM finish();

ROLLBACK;
