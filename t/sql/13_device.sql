
--
-- Copyright (C) the ngx_iot authors
--
-- Devices and device profiles.

BEGIN;

SELECT plan(110);

\ir fixture/people.sql

SELECT '403 permission_denied: You don''t have permission to perform this '
       'operation!' AS denied \gset


-- device profiles

SELECT is(pg_temp.refusal(v.who, 'device_profile_save', '{}', '{}', v.body),
          v.text, v.text)
  FROM (VALUES
    ('c1', '{"name":"x"}'::json, :'denied'),
    ('a', '{"type":"DEFAULT","transportType":"DEFAULT"}',
        '400 bad_request: Device profile name should be specified!'),
    ('a', '{"name":"x","transportType":"DEFAULT"}',
        '400 bad_request: Device profile type should be specified!'),
    ('a', '{"name":"x","type":"DEFAULT"}',
        '400 bad_request: Device profile transport type should be '
        'specified!'),
    ('a', '{"name":"x","type":"DEFAULT","transportType":"PIGEON"}',
        '400 bad_request: Unknown transport type ''PIGEON''!'),
    ('a', '{"name":"x","type":"DEFAULT","transportType":"MQTT",'
        '"provisionType":"ANYBODY"}',
        '400 bad_request: Unknown provision type ''ANYBODY''!'),
    ('a', '{"name":"pump","type":"DEFAULT","transportType":"DEFAULT"}',
        '400 bad_request: Device profile with such name already exists!'),
    ('a', '{"name":"x","type":"DEFAULT","transportType":"DEFAULT",'
        '"default":true}',
        '400 bad_request: Another default device profile is present in scope '
        'of current tenant!'),
    ('a', '{"id":{"id":"00000000-0000-0000-0000-000000000001"},"name":"x",'
        '"type":"DEFAULT","transportType":"DEFAULT"}',
        '400 bad_request: Can''t update non existing device profile!'))
       v (who, body, text);

SELECT pg_temp.made('lamp', pg_temp.api('a', 'device_profile_save', '{}', '{}',
    '{"name":"lamp","type":"DEFAULT","transportType":"MQTT",
      "provisionType":"ALLOW_CREATE_NEW_DEVICES","provisionDeviceKey":"key",
      "profileData":{"configuration":{"type":"DEFAULT","castStrings":false},
      "transportConfiguration":{"type":"MQTT",
          "deviceTelemetryTopic":"v1/x"},
      "provisionConfiguration":{"provisionDeviceSecret":"secret"}}}'))
       AS made \gset

SELECT is(:'made'::jsonb #> '{profileData,provisionConfiguration}',
          '{"type":"ALLOW_CREATE_NEW_DEVICES",
            "provisionDeviceSecret":"secret"}', 'provisioning is completed');
SELECT is(:'made'::jsonb #>> '{profileData,transportConfiguration,'
          'deviceTelemetryTopic}', 'v1/x', 'the transport is kept');
SELECT is(pg_temp.refusal('b', 'device_profile_save', '{}', '{}',
              '{"name":"lamp","type":"DEFAULT","transportType":"MQTT",
                "provisionDeviceKey":"key"}'),
          '400 bad_request: Device profile with such provision device key '
          'already exists!', 'keys are unique over the server');
SELECT is(pg_temp.refusal('b', 'device_profile_get', ARRAY[pg_temp.id('lamp')]),
          '404 not_found: Device profile with id [' || pg_temp.id('lamp')
          || '] is not found', 'a foreign profile');
SELECT is(pg_temp.api('c1', 'device_profile_info_get',
                      ARRAY[pg_temp.id('lamp')]) ->> 'transportType', 'MQTT',
          'a customer user sees infos');
SELECT is(pg_temp.refusal('c1', 'device_profile_get',
                          ARRAY[pg_temp.id('lamp')]), :'denied',
          'but not secrets');
SELECT is(pg_temp.api('a', 'device_profile_info_default') ->> 'name',
          'default', 'the default profile');
SELECT is(pg_temp.api('a', 'device_profile_infos', '{}',
              '{"pageSize":"5","page":"0","transportType":"MQTT"}')
          -> 'totalElements', '1', 'by transport');
SELECT is(pg_temp.api('a', 'device_profile_infos', '{}', json_build_object(
              'deviceProfileIds', pg_temp.id('lamp'))) -> 0 ->> 'name', 'lamp',
          'by ids');
SELECT is((SELECT array_agg(x ->> 'name') FROM jsonb_array_elements(
              pg_temp.api('a', 'device_profile_names')) x),
          '{default,lamp,pump}', 'names');
SELECT is((SELECT array_agg(x ->> 'name') FROM jsonb_array_elements(
              pg_temp.api('a', 'device_profile_names', '{}',
                          '{"activeOnly":"true"}')) x),
          '{default,pump}', 'of profiles with devices');
SELECT is(pg_temp.refusal('a', 'device_profile_delete', ARRAY[
              pg_temp.api('a', 'device_profile_info_default') -> 'id'
              ->> 'id']),
          '400 bad_request: Deletion of Default Device Profile is '
          'prohibited!', 'the default profile stays');
SELECT is(pg_temp.api('a', 'device_profile_set_default',
                      ARRAY[pg_temp.id('lamp')]) -> 'default', 'true',
          'another default');
SELECT is(pg_temp.refusal('a', 'device_profile_delete', ARRAY[(SELECT
              pg_temp.api('a', 'device_get', ARRAY[pg_temp.id('d1')])
              #>> '{deviceProfileId,id}')]),
          '400 bad_request: The device profile referenced by the devices '
          'cannot be deleted!', 'a profile in use');
SELECT is(pg_temp.refusal('a', 'device_profile_save', '{}', '{}',
              json_build_object('name', 'pump', 'type', 'DEFAULT',
                  'transportType', 'COAP', 'id', (SELECT
                      pg_temp.api('a', 'device_get', ARRAY[pg_temp.id('d1')])
                      -> 'deviceProfileId'))),
          '400 bad_request: Can''t change device profile transport type '
          'because devices referenced it!', 'devices hold the transport');


-- refusals of devices

SELECT is(pg_temp.refusal(v.who, 'device_save', '{}', v.query, v.body),
          v.text, v.who || ': ' || v.text)
  FROM (VALUES
    ('c1', '{}'::json, '{"name":"x"}'::json, :'denied'),
    ('public', '{}', '{"name":"x"}', :'denied'),
    ('sys', '{}', '{"name":"x"}', :'denied'),
    ('a', '{}', '{"label":"x"}',
        '400 bad_request: Device name should be specified!'),
    ('a', '{}', '{"name":"d1"}',
        '400 bad_request: Device with such name already exists!'),
    ('a', '{}', '"x"', '400 bad_request: Malformed JSON request body'),
    ('a', '{}', json_build_object('name', repeat('x', 256)),
        '400 bad_request: name length must be equal or less than 255'),
    ('a', '{}', '{"name":"<script>"}', '400 bad_request: name is malformed'),
    ('a', '{}', '{"name":"x","additionalInfo":5}',
        '400 bad_request: Invalid value of ''additionalInfo''!'),
    ('a', '{}', '{"name":"x","customerId":{"id":"x"}}',
        '400 bad_request: Invalid UUID string: x'),
    ('a', '{}', '{"name":"x","customerId":'
        '"00000000-0000-0000-0000-000000000001"}',
        '400 bad_request: Can''t assign device to non-existent customer!'),
    ('b', '{}', json_build_object('name', 'x', 'customerId',
        pg_temp.id('c1')), '400 bad_request: Can''t assign device to customer '
        'from different tenant!'),
    ('b', '{}', json_build_object('name', 'x', 'deviceProfileId',
        pg_temp.id('lamp')), '400 bad_request: Device is referencing to non '
        'existing device profile!'),
    ('b', '{}', json_build_object('name', 'x', 'id', pg_temp.id('d1')),
        '400 bad_request: Can''t update non existing device!'),
    ('c2', '{}', json_build_object('name', 'x', 'id', pg_temp.id('d1')),
        :'denied'),
    ('public', '{}', json_build_object('name', 'x', 'id', pg_temp.id('d1')),
        :'denied'),
    ('c1', '{}', json_build_object('name', 'x', 'id', pg_temp.id('d1')),
        :'denied'),
    ('a', '{}', json_build_object('name', 'd2', 'id', pg_temp.id('d1')),
        '400 bad_request: Device with such name already exists!'),
    ('a', '{}', json_build_object('name', 'd1', 'id', pg_temp.id('d1'),
                                  'version', 8),
        '409 version_conflict: Device was already changed by someone else'),
    ('a', '{"accessToken":"token of e1"}', '{"name":"x"}', '400 bad_request: '
        'Device credentials are already assigned to another device!'))
       v (who, query, body, text);

RESET ROLE;
SELECT is((SELECT count(*) FROM iot.device WHERE name = 'x'), 0::bigint,
          'nothing is left of a refused device');
SET ROLE iot_app;


-- what a device looks like

SELECT is(pg_temp.api('a', 'device_get', ARRAY[pg_temp.id('d2')])
          - ARRAY['createdTime'], jsonb_build_object(
              'id', jsonb_build_object('entityType', 'DEVICE',
                                       'id', pg_temp.id('d2')),
              'additionalInfo', NULL,
              'tenantId', jsonb_build_object('entityType', 'TENANT',
                                             'id', pg_temp.id('A')),
              'customerId', jsonb_build_object('entityType', 'CUSTOMER',
                  'id', '13814000-1dd2-11b2-8080-808080808080'),
              'name', 'd2', 'type', 'default', 'label', NULL,
              'deviceProfileId', (SELECT x -> 'id' FROM jsonb_array_elements(
                  pg_temp.api('a', 'device_profile_names')) x
                  WHERE x ->> 'name' = 'default'),
              'deviceData', '{"configuration":{"type":"DEFAULT"},
                  "transportConfiguration":{"type":"DEFAULT"}}'::jsonb,
              'firmwareId', NULL, 'softwareId', NULL, 'externalId', NULL,
              'ownerId', json_build_object('entityType', 'TENANT',
                                           'id', pg_temp.id('A')),
              'version', 1), 'all members of a device');
SELECT is(pg_temp.api('a', 'device_info_get', ARRAY[pg_temp.id('d1')])
          - ARRAY['id', 'createdTime', 'additionalInfo', 'tenantId',
              'customerId', 'deviceProfileId', 'deviceData', 'firmwareId',
              'softwareId', 'externalId', 'ownerId'],
          '{"name":"d1","type":"pump","label":"first","version":1,
            "customerTitle":"c1","customerIsPublic":false,
            "deviceProfileName":"pump","active":false}', 'and of an info');
SELECT pg_temp.made('numeric', pg_temp.api('a', 'device_save', '{}',
    '{"accessToken":"numeric"}', json_build_object('name', 210800001,
        'label', true, 'type', 'ignored',
        'deviceProfileId', json_build_object('id', pg_temp.id('lamp')),
        'customerId', '13814000-1dd2-11b2-8080-808080808080'))) AS made \gset
SELECT is(:'made'::jsonb ->> 'name', '210800001', 'a number as a name');
SELECT is(:'made'::jsonb ->> 'label', 'true', 'a boolean as a label');
SELECT is(:'made'::jsonb ->> 'type', 'lamp', 'the type is the profile');
SELECT is((SELECT ROW(name, gateway, cast_strings, enabled)::text
             FROM iot.device_by_token('numeric')), '(210800001,f,f,t)',
          'found by its token');
SELECT is((SELECT cast_strings FROM iot.device_by_token('token of d1')), true,
          'numeric strings become numbers by default');
SELECT is_empty($$ SELECT * FROM iot.device_by_token('no such token') $$,
                'no such token');
SELECT is(pg_temp.api('a', 'device_save', '{}', '{"accessToken":"other"}',
              json_build_object('name', 'renamed', 'version', 1,
                  'id', json_build_object('id', pg_temp.id('numeric')),
                  'additionalInfo', '{"gateway":true}'::json))
          ->> 'type', 'lamp', 'without type and profile: the default');
SELECT is((SELECT ROW(name, gateway)::text
             FROM iot.device_by_token('numeric')), '(renamed,t)',
          'the token stays, the device is a gateway');
SELECT is(pg_temp.api('c1', 'device_save', '{}', '{}', json_build_object(
              'name', 'd1', 'label', 'by the customer', 'type', 'pump',
              'id', pg_temp.id('d1'), 'customerId', pg_temp.id('c1')))
          ->> 'label', 'by the customer', 'a customer user changes its own');
SELECT is(pg_temp.api('a', 'device_save', '{}',
              '{"nameConflictPolicy":"UNIQUIFY",
                "uniquifyStrategy":"INCREMENTAL"}', '{"name":"d1"}')
          ->> 'name', 'd1_1', 'a free name is found');


-- who sees what

SELECT is(pg_temp.refusal(v.who, v.fn, ARRAY[pg_temp.id(v.thing)]), v.text,
          v.who || ', ' || v.fn || ' ' || v.thing)
  FROM (VALUES ('c1', 'device_get', 'd1', 'done'),
               ('public', 'device_get', 'd1', 'done'),
               ('c1', 'device_get', 'd2', :'denied'),
               ('c1', 'device_get', 'e1', '404 not_found: Device with id ['
                   || pg_temp.id('e1') || '] is not found'),
               ('a', 'device_get', 'e1', '404 not_found: Device with id ['
                   || pg_temp.id('e1') || '] is not found'),
               ('sys', 'device_get', 'd1', :'denied'),
               ('c1', 'device_delete', 'd1', :'denied'),
               ('b', 'device_delete', 'd1', '404 not_found: Device with id ['
                   || pg_temp.id('d1') || '] is not found'),
               ('c1', 'device_credentials_get', 'd1', 'done'),
               ('public', 'device_credentials_get', 'd1', :'denied'),
               ('a', 'device_connectivity', 'd1', 'done'))
       v (who, fn, thing, text);
SELECT is(pg_temp.refusal('a', 'device_get', '{d1}'),
          '400 bad_request: Invalid UUID string: d1', 'not a UUID');


-- lists

SELECT is(pg_temp.refusal('a', 'tenant_devices', '{}', v.query::json), v.text,
          v.text)
  FROM (VALUES
    ('{"page":"0"}',
        '400 bad_request: Parameter ''pageSize'' can''t be empty!'),
    ('{"pageSize":"1"}',
        '400 bad_request: Parameter ''page'' can''t be empty!'),
    ('{"pageSize":"0","page":"0"}', '400 bad_request: Incorrect page link '
        'page size ''0''. Page size must be greater than zero.'),
    ('{"pageSize":"1","page":"-1"}', '400 bad_request: Incorrect page link '
        'page ''-1''. Page must be positive integer.'),
    ('{"pageSize":"x","page":"0"}',
        '400 bad_request: Invalid value of parameter ''pageSize''!'),
    ('{"pageSize":"1","page":"0","sortProperty":"name","sortOrder":"UP"}',
        '400 bad_request: Unsupported sort order ''UP''! Only ''ASC'' or '
        '''DESC'' types are allowed.'),
    ('{"pageSize":"1","page":"0","sortProperty":"name; DROP TABLE x"}',
        '400 bad_request: Unsupported sort property '
        '''name; DROP TABLE x''!'),
    ('{"deviceName":"nobody"}',
        '404 not_found: Requested item wasn''t found!'))
       v (query, text);

SELECT is((SELECT string_agg(x ->> 'name', ',') FROM jsonb_array_elements(
              pg_temp.api('a', 'tenant_devices', '{}', v.query::json)
              -> 'data') x), v.names, v.query)
  FROM (VALUES
    ('{"pageSize":"2","page":"0","sortProperty":"name"}', 'd1,d1_1'),
    ('{"pageSize":"2","page":"1","sortProperty":"name"}', 'd2,renamed'),
    ('{"pageSize":"2","page":"9","sortProperty":"name"}', NULL),
    ('{"pageSize":"9","page":"0","sortProperty":"name","sortOrder":"DESC"}',
        'renamed,d2,d1_1,d1'),
    ('{"pageSize":"9","page":"0","type":"pump"}', 'd1'),
    ('{"pageSize":"9","page":"0","textSearch":"CUSTOMER"}', 'd1'),
    ('{"pageSize":"9","page":"0","textSearch":"1_1"}', 'd1_1'),
    ('{"pageSize":"9","page":"0","textSearch":"%"}', NULL))
       v (query, names);

SELECT is(pg_temp.api('a', 'tenant_devices', '{}',
                      '{"pageSize":"3","page":"9"}'),
          '{"data":[],"totalPages":2,"totalElements":4,"hasNext":false}',
          'beyond the last page');
SELECT is(pg_temp.api('a', 'tenant_devices', '{}', '{"deviceName":"d2"}')
          -> 'id' ->> 'id', pg_temp.id('d2'), 'one by its name');
SELECT is(pg_temp.api('c1', 'customer_device_infos', ARRAY[pg_temp.id('c1')],
              '{"pageSize":"9","page":"0","active":"false"}')
          -> 'totalElements', '1', 'of its own customer');
SELECT is(pg_temp.refusal('c1', 'customer_devices', ARRAY[pg_temp.id('c2')],
              '{"pageSize":"9","page":"0"}'), :'denied', 'not of another');
SELECT is(jsonb_array_length(pg_temp.api('c1', 'devices_list', '{}',
              json_build_object('deviceIds', json_build_array(
                  pg_temp.id('d1') || ',' || pg_temp.id('d2'),
                  pg_temp.id('e1'))))), 1, 'by ids only what one may see');
SELECT is(pg_temp.api('c1', 'device_types') #>> '{0,type}', 'pump', 'types');
SELECT is(pg_temp.api('a', 'device_count', ARRAY['FIRMWARE',
                          pg_temp.id('lamp')]), '2',
          'devices for a package');


-- customers of devices

SELECT is(pg_temp.refusal('a', 'device_unassign', ARRAY[pg_temp.id('d2')]),
          '400 bad_request: Device isn''t assigned to any customer!',
          'nobody had it');
SELECT is(pg_temp.api('a', 'device_assign', ARRAY[pg_temp.id('c2'),
                      pg_temp.id('d2')]) #>> '{customerId,id}',
          pg_temp.id('c2'), 'assigned');
SELECT is(pg_temp.refusal('a', 'device_assign', ARRAY[
              '00000000-0000-0000-0000-000000000001', pg_temp.id('d2')]),
          '404 not_found: Customer with id '
          '[00000000-0000-0000-0000-000000000001] is not found',
          'not to nobody');
SELECT is(pg_temp.api('a', 'device_unassign', ARRAY[pg_temp.id('d2')])
          #>> '{customerId,id}', '13814000-1dd2-11b2-8080-808080808080',
          'unassigned');
SELECT is(pg_temp.api('a', 'device_assign_public', ARRAY[pg_temp.id('d2')])
          -> 'version', '4', 'for everybody');
SELECT is(pg_temp.api('a', 'device_info_get', ARRAY[pg_temp.id('d2')])
          -> 'customerIsPublic', 'true', 'its customer is public');


-- another tenant, and the end

SELECT is(pg_temp.refusal('a', 'device_move', ARRAY[pg_temp.id('B'),
                          pg_temp.id('d1')]),
          '400 bad_request: Device with such name already exists!',
          'the name is taken there');
SELECT is(pg_temp.api('a', 'device_move', ARRAY[pg_temp.id('B'),
                      pg_temp.id('d2')]) #>> '{tenantId,id}', pg_temp.id('B'),
          'handed over');
SELECT is(pg_temp.api('b', 'device_get', ARRAY[pg_temp.id('d2')])
          ->> 'type', 'default', 'it has a profile there');
SELECT is((SELECT tenant_id::text FROM iot.device_by_token('token of d2')),
          pg_temp.id('B'), 'and its token');
SELECT is(pg_temp.refusal('a', 'device_get', ARRAY[pg_temp.id('d2')]),
          '404 not_found: Device with id [' || pg_temp.id('d2')
          || '] is not found', 'it is gone here');
SELECT is(pg_temp.api('a', 'device_delete', ARRAY[pg_temp.id('d1')]), NULL,
          'deleted');
SELECT is_empty($$ SELECT * FROM iot.device_by_token('token of d1') $$,
                'with its token');

RESET ROLE;
-- as they were written: several may share a millisecond
SELECT is((SELECT array_agg(action ORDER BY tableoid, ctid)
             FROM iot.audit_log WHERE entity_id = pg_temp.id('d2')::uuid),
          '{ADDED,ASSIGNED_TO_CUSTOMER,UNASSIGNED_FROM_CUSTOMER,'
          'ASSIGNED_TO_CUSTOMER,ASSIGNED_TO_TENANT,ASSIGNED_FROM_TENANT}',
          'the life of a device');


-- the cap

UPDATE iot.tenant_profile
   SET data = jsonb_set(data::jsonb, '{configuration,maxDevices}', '2')::json;
SET ROLE iot_app;

SELECT is(pg_temp.refusal('b', 'device_save', '{}', '{}', '{"name":"one"}'),
          '403 limit_reached: Devices limit reached', 'no room');
SELECT is(pg_temp.refusal('b', 'device_delete', ARRAY[pg_temp.id('e1')]),
          'done', 'one less');
SELECT is(pg_temp.refusal('b', 'device_save', '{}', '{}', '{"name":"one"}'),
          'done', 'room for one');
SELECT is(pg_temp.refusal('b', 'device_save', '{}', '{}', '{"name":"two"}'),
          '403 limit_reached: Devices limit reached', 'not for two');


SELECT * FROM finish();

ROLLBACK;
