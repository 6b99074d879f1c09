
--
-- Copyright (C) the ngx_iot authors
--
-- Tenant profiles, tenants, customers, and the caps.

BEGIN;

SELECT plan(69);

\ir fixture/people.sql


-- tenant profiles

SELECT is(pg_temp.refusal(v.who, 'tenant_profile_save', '{}', '{}', v.body),
          v.text, v.text)
  FROM (VALUES
    ('a', '{"name":"x"}'::json, '403 permission_denied: You don''t have '
        'permission to perform this operation!'),
    ('sys', '{}', '400 bad_request: Tenant profile name should be specified!'),
    ('sys', '[]', '400 bad_request: Malformed JSON request body'),
    ('sys', '{"name":"Default"}',
        '400 bad_request: Tenant profile with such name already exists!'),
    ('sys', '{"name":"x","default":true}',
        '400 bad_request: Another default tenant profile is present!'),
    ('sys', '{"name":"x","profileData":{"configuration":{"maxDevices":-1}}}',
        '400 bad_request: maxDevices can''t be negative!'),
    ('sys', '{"name":"x","profileData":{"configuration":{"maxDevices":1.5}}}',
        '400 bad_request: maxDevices must be an integer!'),
    ('sys', '{"name":"x","profileData":{"configuration":'
            '{"transportDeviceMsgRateLimit":"10:1,20:1"}}}',
        '400 bad_request: Invalid rate limit configuration of '
        '''transportDeviceMsgRateLimit''!'),
    ('sys', '{"name":"x","id":{"id":"00000000-0000-0000-0000-000000000001"}}',
        '400 bad_request: Can''t update non existing tenant profile!'),
    ('sys', '{"name":"x","id":{"id":"1"}}',
        '400 bad_request: Invalid UUID string: 1'))
       v (who, body, text);

SELECT pg_temp.made('small', pg_temp.api('sys', 'tenant_profile_save', '{}',
    '{}', '{"name":"small","profileData":{"configuration":{"maxDevices":"3",
            "maxCustomers":2,"maxUsers":0,"mine":"kept",
            "transportDeviceMsgRateLimit":"10:1,200:60"}}}')) AS made \gset

SELECT is(:'made'::jsonb -> 'profileData' -> 'configuration' -> 'maxDevices',
          '3', 'a number in text becomes a number');
SELECT is(:'made'::jsonb #>> '{profileData,configuration,mine}', 'kept',
          'unknown members of the configuration are kept');
SELECT is(:'made'::jsonb #> '{profileData,configuration,maxAssets}', '0',
          'what is not given is unlimited');
SELECT is(:'made'::jsonb -> 'version', '1', 'the first version');

SELECT is(pg_temp.refusal('sys', 'tenant_profile_delete', ARRAY[(SELECT
              pg_temp.api('sys', 'tenant_profile_info_default') -> 'id'
              ->> 'id')]),
          '400 bad_request: The tenant profile referenced by the tenants '
          'cannot be deleted!', 'the default profile stays');
SELECT is(pg_temp.api('sys', 'tenant_profile_info_get',
                      ARRAY[pg_temp.id('small')]),
          jsonb_build_object('id', jsonb_build_object('entityType',
              'TENANT_PROFILE', 'id', pg_temp.id('small')), 'name', 'small'),
          'info of a profile');
SELECT is(pg_temp.refusal('sys', 'tenant_profile_get',
                          ARRAY[pg_temp.id('A')]),
          '404 not_found: Tenant profile with id [' || pg_temp.id('A')
          || '] is not found', 'no such profile');
SELECT is(pg_temp.api('sys', 'tenant_profile_set_default',
                      ARRAY[pg_temp.id('small')]) -> 'default', 'true',
          'another default profile');
SELECT is((SELECT count(*) FROM iot.tenant_profile WHERE is_default), 1::bigint,
          'and it is the only one');
SELECT is(pg_temp.api('sys', 'tenant_profiles', '{}',
                      '{"pageSize":"10","page":"0"}') -> 'totalElements',
          '2', 'two profiles');
SELECT is(pg_temp.api('sys', 'tenant_profiles', '{}', json_build_object('ids',
              pg_temp.id('small'))) -> 0 -> 'name', '"small"',
          'a profile by its id');


-- tenants

SELECT is(pg_temp.refusal(v.who, 'tenant_save', '{}', '{}', v.body),
          v.text, v.text)
  FROM (VALUES
    ('a', '{"title":"x"}'::json, '403 permission_denied: You don''t have '
        'permission to perform this operation!'),
    ('sys', '{"title":" "}',
        '400 bad_request: Tenant title should be specified!'),
    ('sys', '{"title":"x","email":"no"}',
        '400 bad_request: Invalid email address format ''no''!'),
    ('sys', '{"title":"<b>x</b>"}', '400 bad_request: title is malformed'),
    ('sys', json_build_object('title', repeat('x', 256)),
        '400 bad_request: title length must be equal or less than 255'),
    ('sys', '{"title":{"x":1}}', '400 bad_request: Invalid value of '
        '''title''!'),
    ('sys', '{"title":"x","id":{"id":"00000000-0000-0000-0000-000000000001"}}',
        '400 bad_request: Can''t update non existing tenant!'),
    ('sys', json_build_object('title', 'x', 'version', 7,
                              'id', json_build_object('id', pg_temp.id('A'))),
        '409 version_conflict: Tenant was already changed by someone else'))
       v (who, body, text);

SELECT is(pg_temp.api('sys', 'tenant_save', '{}', '{}', json_build_object(
              'id', json_build_object('id', pg_temp.id('A')), 'title', 'A',
              'version', 1, 'tenantProfileId', pg_temp.id('small')))
          -> 'version', '2', 'the next version');
SELECT is(pg_temp.api('a', 'tenant_get', ARRAY[pg_temp.id('A')]) -> 'name',
          '"A"', 'the name is the title');
SELECT is(pg_temp.api('a', 'tenant_info_get', ARRAY[pg_temp.id('A')])
          -> 'tenantProfileName', '"small"', 'info of a tenant');
SELECT is(pg_temp.refusal('a', 'tenant_get', ARRAY[pg_temp.id('B')]),
          '404 not_found: Tenant with id [' || pg_temp.id('B')
          || '] is not found', 'a foreign tenant does not exist');
SELECT is(jsonb_array_length(pg_temp.api('a', 'tenants', '{}',
              json_build_object('tenantIds', pg_temp.id('A') || ','
                                             || pg_temp.id('B')))), 1,
          'nor in a list by ids');
SELECT is(jsonb_array_length(pg_temp.api('sys', 'tenants_list', '{}',
              json_build_object('tenantIds', json_build_array(pg_temp.id('A'),
                  pg_temp.id('B'))))), 2, 'repeated ids');
SELECT is(pg_temp.api('sys', 'tenants', '{}',
                      '{"pageSize":"10","page":"0","textSearch":"a"}')
          -> 'data' -> 0 -> 'title', '"A"', 'search');
SELECT is(pg_temp.refusal('a', 'tenants', '{}',
                          '{"pageSize":"10","page":"0"}'),
          '403 permission_denied: You don''t have permission to perform this '
          'operation!', 'tenants are not for tenants');


-- customers

SELECT is(pg_temp.refusal(v.who, 'customer_save', '{}', v.query, v.body),
          v.text, v.text)
  FROM (VALUES
    ('c1', '{}'::json, '{"title":"x"}'::json, '403 permission_denied: You '
        'don''t have permission to perform this operation!'),
    ('a', '{}', '{"name":"x"}',
        '400 bad_request: Customer title should be specified!'),
    ('a', '{}', '{"title":"Public"}',
        '400 bad_request: ''Public'' title for customer is system reserved!'),
    ('a', '{}', '{"title":"x","id":{"id":'
        '"00000000-0000-0000-0000-000000000001"}}',
        '400 bad_request: Can''t update non existing customer!'),
    ('b', '{}', json_build_object('title', 'x', 'id', pg_temp.id('c1')),
        '400 bad_request: Can''t update non existing customer!'),
    ('a', '{}', json_build_object('title', 'x', 'id', pg_temp.id('c1'),
                                  'version', 9),
        '409 version_conflict: Customer was already changed by someone else'),
    ('a', '{}', json_build_object('title', 'c2', 'id', pg_temp.id('c1')),
        '400 bad_request: Customer with such title already exists!'),
    ('a', '{"nameConflictPolicy":"x"}', '{"title":"c9"}',
        '400 bad_request: Invalid value of parameter '
        '''nameConflictPolicy''!'),
    ('a', '{}', '{"title":"third"}',
        '403 limit_reached: Customers limit reached'))
       v (who, query, body, text);

RESET ROLE;
CREATE FUNCTION pg_temp.detail() RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    detail  text;
BEGIN
    PERFORM pg_temp.api('a', 'customer_save', '{}', '{}', '{"title":"third"}');

    RETURN NULL;

EXCEPTION
    WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;

        RETURN detail;
END
$$;

SET ROLE iot_app;

SELECT is(pg_temp.detail(),
          '{"code":"limit_reached","entityType":"CUSTOMER","limit":2}',
          'the cap comes with its fields');

SELECT is(pg_temp.api('b', 'customer_save', '{}', '{}', '{"title":"c1"}')
          -> 'title', '"c1"', 'titles are unique in a tenant only');
SELECT is(pg_temp.refusal('b', 'customer_save', '{}', '{}', '{"title":"c1"}'),
          '400 bad_request: Customer with such title already exists!',
          'but there');
SELECT is(pg_temp.api('b', 'customer_save', '{}',
              '{"nameConflictPolicy":"UNIQUIFY","uniquifySeparator":"-",
                "uniquifyStrategy":"INCREMENTAL"}', '{"title":"c1"}')
          -> 'title', '"c1-1"', 'a number makes the title unique');
SELECT alike(pg_temp.api('b', 'customer_save', '{}',
                 '{"nameConflictPolicy":"UNIQUIFY"}', '{"title":"c1"}')
             ->> 'title', 'c1\_______', 'or six random characters');

SELECT is(pg_temp.api('c1', 'customer_get', ARRAY[pg_temp.id('c1')])
          -> 'isPublic', 'false', 'its own customer');
SELECT is(pg_temp.refusal('c1', 'customer_get', ARRAY[pg_temp.id('c2')]),
          '403 permission_denied: You don''t have permission to perform this '
          'operation!', 'not another one');
SELECT is(pg_temp.refusal('b', 'customer_get', ARRAY[pg_temp.id('c2')]),
          '404 not_found: Customer with id [' || pg_temp.id('c2')
          || '] is not found', 'not one of another tenant');
SELECT is(pg_temp.api('c1', 'customer_short_info', ARRAY[pg_temp.id('c1')]),
          '{"title":"c1","isPublic":false}', 'short info');
SELECT is(pg_temp.api('a', 'customer_title', ARRAY[pg_temp.id('c1')]),
          '{"status":200,"headers":{"Content-Type":"application/text"},
            "body":"c1"}', 'the title as text');
SELECT is(pg_temp.api('a', 'customer_by_title', '{}',
                      '{"customerTitle":"c2"}') -> 'id' ->> 'id',
          pg_temp.id('c2'), 'by title');
SELECT is(pg_temp.refusal('a', 'customer_by_title', '{}',
                          '{"customerTitle":"nobody"}'),
          '404 not_found: Requested item wasn''t found!', 'no such title');
SELECT is(pg_temp.refusal('a', 'customer_by_title'),
          '400 bad_request: Parameter ''customerTitle'' can''t be empty!',
          'no title at all');
SELECT is(pg_temp.api('a', 'customers', '{}', '{"pageSize":"1","page":"1",
              "sortProperty":"title","sortOrder":"ASC"}') - 'data',
          '{"totalPages":2,"totalElements":2,"hasNext":false}',
          'the last page');
SELECT is(jsonb_array_length(pg_temp.api('a', 'customers', '{}',
              json_build_object('customerIds', pg_temp.id('c1')))), 1,
          'customers by ids');


-- the end of a customer

SELECT is(pg_temp.api('a', 'customer_delete', ARRAY[pg_temp.id('c1')]), NULL,
          'a customer is deleted');
SELECT is(pg_temp.api('a', 'device_get', ARRAY[pg_temp.id('d1')])
          #>> '{customerId,id}', '13814000-1dd2-11b2-8080-808080808080',
          'its device is nobody''s');
SELECT is(pg_temp.refusal('a', 'user_get', ARRAY[pg_temp.id('user c1')]),
          '404 not_found: User with id [' || pg_temp.id('user c1')
          || '] is not found', 'its user is gone');


-- the end of a tenant

SELECT is(pg_temp.refusal('a', 'tenant_delete', ARRAY[pg_temp.id('A')]),
          '403 permission_denied: You don''t have permission to perform this '
          'operation!', 'a tenant cannot delete itself');
SELECT is(pg_temp.api('sys', 'tenant_delete', ARRAY[pg_temp.id('A')]), NULL,
          'a tenant is deleted');

RESET ROLE;

SELECT is((SELECT count(*) FROM iot.device) + (SELECT count(*) FROM iot.tenant)
          + (SELECT count(*) FROM iot.users), 4::bigint,
          'only the other tenant, its device, its user and the system user');
SELECT is((SELECT count(*) FROM iot.audit_log
            WHERE tenant_id = pg_temp.id('A')::uuid), 0::bigint,
          'nor is its audit log');
SELECT is((SELECT array_agg(action ORDER BY tableoid, ctid) FROM iot.audit_log
            WHERE entity_type = 'TENANT' AND entity_id = pg_temp.id('A')::uuid),
          '{ADDED,UPDATED,DELETED}', 'the system has its own log');


SELECT * FROM finish();

ROLLBACK;
