
--
-- Copyright (C) the ngx_iot authors
--
-- The audit log: what is in it, who reads it, and that nobody changes it.

BEGIN;

SELECT no_plan();

\ir fixture/people.sql

RESET ROLE;

CREATE FUNCTION pg_temp.actions(who text, fn text, path text[],
    query jsonb DEFAULT '{}') RETURNS text
LANGUAGE sql AS $$
    SELECT string_agg(l ->> 'actionType', ',' ORDER BY i)
      FROM jsonb_array_elements(pg_temp.api(who, fn, path,
               ('{"pageSize":"50","page":"0","sortProperty":"createdTime",
                  "sortOrder":"ASC"}' || query)::json) -> 'data')
           WITH ORDINALITY AS x (l, i)
$$;

SET ROLE iot_app;


-- immutable

SELECT is(pg_temp.fails($$UPDATE iot.audit_log SET user_name = 'x'$$),
          '42501 permission denied for table audit_log', 'nothing is changed');
SELECT is(pg_temp.fails('DELETE FROM iot.audit_log'),
          '42501 permission denied for table audit_log', 'nothing is deleted');
SELECT is(pg_temp.fails('TRUNCATE iot.audit_log'),
          '42501 permission denied for table audit_log', 'nor all of it');


-- the life of a device

SELECT pg_temp.made('x', pg_temp.api('a', 'device_save', '{}', '{}',
           '{"name":"x"}')) \g /dev/null
SELECT pg_temp.api('a', 'device_save', '{}', '{}', json_build_object(
           'id', json_build_object('id', pg_temp.id('x')), 'name', 'y'))
       \g /dev/null
SELECT pg_temp.api('a', 'device_assign',
           ARRAY[pg_temp.id('c2'), pg_temp.id('x')]) \g /dev/null
SELECT pg_temp.api('c2', 'attributes_save',
           ARRAY['DEVICE', pg_temp.id('x'), 'SERVER_SCOPE'], '{}',
           '{"values":[["k","l","1"]]}') \g /dev/null
SELECT pg_temp.api('a', 'attributes_delete',
           ARRAY['DEVICE', pg_temp.id('x'), 'SERVER_SCOPE'], '{"keys":"k"}')
       \g /dev/null
SELECT pg_temp.api('a', 'device_unassign', ARRAY[pg_temp.id('x')])
       \g /dev/null
SELECT pg_temp.api('a', 'device_delete', ARRAY[pg_temp.id('x')])
       \g /dev/null

SELECT is(pg_temp.actions('a', 'audit_logs_entity',
                          ARRAY['device', pg_temp.id('x')]),
          'ADDED,UPDATED,ASSIGNED_TO_CUSTOMER,ATTRIBUTES_UPDATED,'
          'ATTRIBUTES_DELETED,UNASSIGNED_FROM_CUSTOMER,DELETED',
          'each change, in its order');
SELECT is(pg_temp.actions('a', 'audit_logs_entity',
              ARRAY['DEVICE', pg_temp.id('x')], v.query), v.wanted,
          v.query::text)
  FROM (VALUES
    ('{"actionTypes":"DELETED,ADDED"}'::jsonb, 'ADDED,DELETED'),
    ('{"actionTypes":["UPDATED","LOGIN"]}', 'UPDATED'),
    ('{"startTime":"9999999999999"}', NULL),
    ('{"endTime":"1"}', NULL),
    ('{"textSearch":"c2@"}', 'ATTRIBUTES_UPDATED'),
    ('{"sortProperty":"actionType","sortOrder":"DESC","pageSize":"1"}',
        'UPDATED')) v (query, wanted);
SELECT is(pg_temp.actions('a', 'audit_logs_user', ARRAY[pg_temp.id('user c2')],
                          '{}'), 'ATTRIBUTES_UPDATED', 'of a user');
SELECT is(pg_temp.actions('a', 'audit_logs_customer', ARRAY[pg_temp.id('c2')],
              '{"actionTypes":"ASSIGNED_TO_CUSTOMER,DELETED"}'),
          'ASSIGNED_TO_CUSTOMER', 'of a customer');

SELECT pg_temp.api('a', 'audit_logs_entity', ARRAY['DEVICE', pg_temp.id('x')],
    '{"pageSize":"1","page":"0"}') #> '{data,0}' AS newest \gset

SELECT is(:'newest'::jsonb - 'id' - 'createdTime' - 'tenantId' - 'entityId'
          - 'userId' - 'customerId',
          '{"entityName":"y","userName":"a@example.org",
            "actionType":"DELETED","actionData":{},
            "actionStatus":"SUCCESS","actionFailureDetails":""}'::jsonb,
          'the newest first');


-- what is made on the way is written too

SELECT pg_temp.made('typed', pg_temp.api('a', 'device_save', '{}', '{}',
           '{"name":"typed","type":"Made by name"}')) \g /dev/null
SELECT pg_temp.made('asset', pg_temp.api('a', 'asset_save', '{}', '{}',
           '{"name":"typed","type":"Made by name"}')) \g /dev/null
SELECT pg_temp.api('a', 'device_save', '{}', '{}',
           '{"name":"typed too","type":"Made by name"}') \g /dev/null

SELECT is((SELECT string_agg(l.entity_type || ' ' || l.user_name, ','
                             ORDER BY l.entity_type)
             FROM iot.audit_log l
            WHERE l.entity_name = 'Made by name' AND l.action = 'ADDED'
                  AND l.entity_id IS NOT NULL),
          'ASSET_PROFILE a@example.org,DEVICE_PROFILE a@example.org',
          'profiles made by name, once');

SELECT pg_temp.api('a', 'device_assign_public', ARRAY[pg_temp.id('typed')])
       \g /dev/null
SELECT pg_temp.api('a', 'asset_assign_public', ARRAY[pg_temp.id('asset')])
       \g /dev/null

SELECT is((SELECT array_agg(l.customer_id = l.entity_id)
             FROM iot.audit_log l
            WHERE l.entity_type = 'CUSTOMER' AND l.entity_name = 'Public'
                  AND l.action = 'ADDED'), ARRAY[true],
          'the public customer, once');


-- who reads

SELECT is(pg_temp.actions('b', 'audit_logs_entity',
                          ARRAY['DEVICE', pg_temp.id('x')]), NULL,
          'not of another tenant');
SELECT is(pg_temp.refusal('c1', 'audit_logs', '{}',
              '{"pageSize":"1","page":"0"}'),
          '403 permission_denied: You don''t have permission to perform this '
          'operation!', 'not for customers');
SELECT is(pg_temp.actions('sys', 'audit_logs', '{}',
                          '{"actionTypes":"DELETED"}'), NULL,
          'the system has its own');


-- retention

RESET ROLE;
UPDATE iot.audit_log SET created_time = created_time - 10 * 86400000::bigint
 WHERE entity_id = pg_temp.id('x')::uuid;
INSERT INTO iot.setting (name, value) VALUES ('audit', '{"days":9}')
    ON CONFLICT (tenant_id, name) DO UPDATE SET value = EXCLUDED.value;
SELECT is(iot.maintain_identity(), 7, 'by a setting');
SET ROLE iot_app;
SELECT is(pg_temp.actions('a', 'audit_logs_entity',
                          ARRAY['DEVICE', pg_temp.id('x')]), NULL, 'gone');


SELECT * FROM finish();

ROLLBACK;
