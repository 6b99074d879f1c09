
--
-- Copyright (C) the ngx_iot authors
--
-- A tenant that is deleted in slices: from the mark on nobody of it is let in
-- and nobody sees it, whatever is left of it.

BEGIN;

SELECT no_plan();

\ir fixture/people.sql


-- a tenant that has something of everything

SELECT pg_temp.api('a', 'customer_save', '{}', '{}', json_build_object(
           'title', 'below', 'parentCustomerId',
           json_build_object('id', pg_temp.id('c1')))) \g /dev/null
SELECT pg_temp.api('a', 'asset_save', '{}', '{}',
           json_build_object('name', 'asset ' || n))
  FROM generate_series(1, 9) n \g /dev/null
SELECT pg_temp.made('board', pg_temp.api('a', 'dashboard_save', '{}', '{}',
           '{"title":"T"}')) \g /dev/null
SELECT pg_temp.made('users', pg_temp.api('a', 'group_save', '{}', '{}',
           '{"type":"USER","name":"users"}')) \g /dev/null
SELECT pg_temp.made('role', pg_temp.api('a', 'role_save', '{}', '{}',
           '{"name":"r","type":"GENERIC","permissions":{"ALL":["ALL"]}}'))
       \g /dev/null
SELECT pg_temp.api('a', 'permission_save', '{}', '{}', json_build_object(
           'userGroupId', json_build_object('id', pg_temp.id('users')),
           'roleId', json_build_object('id', pg_temp.id('role'))))
       \g /dev/null

RESET ROLE;
UPDATE iot.customer SET is_public = true WHERE id = pg_temp.id('c2')::uuid;
UPDATE iot.device_profile SET provision_type = 'ALLOW_CREATE_NEW_DEVICES',
       provision_key = 'k', provision_secret = 's'
 WHERE tenant_id = pg_temp.id('A')::uuid AND is_default;
INSERT INTO iot.device (tenant_id, name, profile_id)
    SELECT d.tenant_id, 'many ' || n, d.profile_id
      FROM generate_series(1, 60) n, iot.device d
     WHERE d.id = pg_temp.id('d1')::uuid;
INSERT INTO iot.key (name) VALUES ('a');
INSERT INTO iot.attribute (entity, scope, key, s, updated_at)
    SELECT d.nr, 2, iot.key_id('a'), 'x', 1
      FROM iot.device d WHERE d.tenant_id = pg_temp.id('A')::uuid;
CREATE FUNCTION pg_temp.let_in(session text, value text)
RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    RETURN concat_ws(',',
        (SELECT 'login' FROM iot.login_find('a@example.org') f
          WHERE f.enabled),
        (SELECT 'session' FROM iot.session_principal(session::uuid,
                    pg_temp.id('user a')::uuid, iot.now_ms() + 1000)),
        (SELECT 'key' FROM iot.api_key_principal(
                    encode(sha256(value::bytea), 'hex'))),
        (SELECT 'basic' FROM iot.basic_login(pg_temp.id('user a')::uuid, NULL,
                    NULL, 'hash of a@example.org', NULL)),
        (SELECT 'token' FROM iot.device_by_token('token of d1')),
        CASE WHEN iot.provision_device('{"provisionDeviceKey":"k",
                 "provisionDeviceSecret":"s","deviceName":"new"}', 'tk',
                 'new', NULL) ->> 'status' = 'SUCCESS' THEN 'provision' END,
        CASE WHEN pg_temp.fails(format('SELECT iot.login_public(%L)',
                 pg_temp.id('c2'))) = 'done' THEN 'public' END,
        CASE WHEN pg_temp.fails(format('SELECT iot.login_done(%L, NULL, NULL, '
                 'NULL)', pg_temp.id('user a'))) = 'done' THEN 'done' END,
        CASE WHEN pg_temp.refusal('sys', 'tenant_get',
                 ARRAY[pg_temp.id('A')]) = 'done' THEN 'seen' END,
        CASE WHEN pg_temp.api('sys', 'tenants', '{}',
                 '{"pageSize":"9","page":"0"}') ->> 'totalElements' = '2'
             THEN 'listed' END);
END
$$;

SET ROLE iot_app;

SELECT (iot.login_done(pg_temp.id('user a')::uuid, NULL, NULL, NULL)
        ->> 'sessionId') AS session \gset
SELECT pg_temp.made('key', pg_temp.api('a', 'api_key_create', '{}', '{}',
           '{"description":"x"}')) ->> 'value' AS value \gset

SELECT is(pg_temp.let_in(:'session', :'value'),
          'login,session,key,basic,token,provision,public,done,seen,listed',
          'before');

SELECT iot.enter(pg_temp.caller('a')) \g /dev/null
SELECT is(pg_temp.fails(format('SELECT iot.tenant_go(%L)', pg_temp.id('B'))),
          'IO403 You don''t have permission to perform this operation!',
          'only the system marks a tenant');
SELECT ok(NOT iot.tenant_sweep(pg_temp.id('A')::uuid, now(), 1000)
          IS NOT DISTINCT FROM false, 'what is not marked is not swept');
SELECT iot.enter(pg_temp.caller('sys')) \g /dev/null
SELECT iot.tenant_go(pg_temp.id('A')::uuid) \g /dev/null

SELECT is(pg_temp.let_in(:'session', :'value'), '', 'after the mark');
SELECT is(pg_temp.refusal('sys', 'tenant_delete', ARRAY[pg_temp.id('A')]),
          '404 not_found: Tenant with id [' || pg_temp.id('A')
          || '] is not found', 'deleted once');
SELECT is(pg_temp.refusal('b', 'device_move', ARRAY[pg_temp.id('A'),
              pg_temp.id('e1')]),
          '404 not_found: Tenant with id [' || pg_temp.id('A')
          || '] is not found', 'nothing is moved there');
RESET ROLE;
SELECT is((SELECT count(*) FROM iot.device
            WHERE tenant_id = pg_temp.id('A')::uuid), 63::bigint,
          'its rows are there');


-- slices of seven rows

CREATE FUNCTION pg_temp.sweep(late boolean) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
    slices  integer := 1;
    before  bigint;
    after   bigint;
BEGIN
    LOOP
        SELECT count(*) INTO before FROM iot.device;

        EXIT WHEN iot.tenant_sweep(pg_temp.id('A')::uuid, now(), 7);

        SELECT count(*) INTO after FROM iot.device;

        IF before - after > 7 THEN
            RETURN -1;
        END IF;

        -- somebody was at it when it was marked

        IF late AND before <> after THEN
            INSERT INTO iot.users (tenant_id, email, authority)
            VALUES (pg_temp.id('A')::uuid, 'late@example.org', 'TENANT_ADMIN');
            late := false;
        END IF;

        slices := slices + 1;
    END LOOP;

    RETURN slices;
END
$$;

SELECT cmp_ok(pg_temp.sweep(true), '>', 50, 'many slices');

CREATE FUNCTION pg_temp.left_over() RETURNS SETOF text
LANGUAGE plpgsql AS $$
DECLARE
    t  text;
BEGIN
    FOR t IN SELECT c.relname FROM pg_class c
               JOIN pg_attribute a ON a.attrelid = c.oid
                    AND a.attname = 'tenant_id' AND NOT a.attisdropped
              WHERE c.relnamespace = 'iot'::regnamespace
                    AND c.relkind IN ('r', 'p') AND c.relname <> 'job'
    LOOP
        RETURN QUERY EXECUTE format('SELECT %L::text FROM iot.%I '
            'WHERE tenant_id = %L LIMIT 1', t, t, pg_temp.id('A'));
    END LOOP;
END
$$;

SELECT is_empty('SELECT pg_temp.left_over()', 'nothing is left');
SELECT is_empty('SELECT FROM iot.attribute', 'no attributes');
SELECT cmp_ok((SELECT count(*) FROM iot.telemetry_forgotten), '>=',
              70::bigint, 'telemetry goes later');
SELECT is((SELECT count(*) FROM iot.tenant), 1::bigint, 'the other one stays');
SELECT is((SELECT count(*) FROM iot.device), 1::bigint, 'with its device');


-- and by maintenance

SET ROLE iot_app;
SELECT iot.enter(pg_temp.caller('sys')) \g /dev/null
SELECT iot.tenant_go(pg_temp.id('B')::uuid) \g /dev/null
RESET ROLE;
SELECT ok(iot.maintain_tenants(now()), 'there is more to do');
SELECT ok(NOT iot.maintain_tenants(now() + interval '1 min'), 'until done');
SELECT is_empty('SELECT FROM iot.tenant', 'all gone');


SELECT * FROM finish();

ROLLBACK;
