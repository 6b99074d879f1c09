
--
-- Copyright (C) the ngx_iot authors
--
-- Credentials of devices, and devices that register themselves.

BEGIN;

SELECT plan(42);

\ir fixture/people.sql

SELECT pg_temp.api('a', 'device_credentials_get', ARRAY[pg_temp.id('d1')])
       AS now \gset
SELECT :'now'::jsonb -> 'id' ->> 'id' AS id \gset

SELECT is(:'now'::jsonb - ARRAY['id', 'createdTime'], jsonb_build_object(
              'deviceId', jsonb_build_object('entityType', 'DEVICE',
                                             'id', pg_temp.id('d1')),
              'credentialsType', 'ACCESS_TOKEN',
              'credentialsId', 'token of d1', 'credentialsValue', NULL,
              'version', 1), 'what credentials look like');

RESET ROLE;

CREATE FUNCTION pg_temp.credentials(id text, more jsonb) RETURNS json
LANGUAGE sql AS $$
    SELECT (jsonb_build_object('id', jsonb_build_object('id', id),
                'deviceId', jsonb_build_object('id', pg_temp.id('d1'),
                                               'entityType', 'DEVICE'))
            || more)::json
$$;

SET ROLE iot_app;

SELECT is(pg_temp.refusal(v.who, 'device_credentials_save', '{}', '{}',
              pg_temp.credentials(:'id', v.more::jsonb)), v.text, v.text)
  FROM (VALUES
    ('c1', '{}', '403 permission_denied: You don''t have permission to '
        'perform this operation!'),
    ('b', '{"credentialsType":"ACCESS_TOKEN","credentialsId":"x"}',
        '400 bad_request: Unable to update non-existent device '
        'credentials!'),
    ('a', '{"id":{"id":"00000000-0000-0000-0000-000000000001"}}',
        '400 bad_request: Unable to update non-existent device '
        'credentials!'),
    ('a', '{"id":null}', '400 bad_request: Unable to update non-existent '
        'device credentials!'),
    ('a', '{"version":4,"credentialsType":"ACCESS_TOKEN",'
        '"credentialsId":"x"}', '409 version_conflict: Device credentials was '
        'already changed by someone else'),
    ('a', '{}', '400 bad_request: Device credentials type should be '
        'specified!'),
    ('a', '{"credentialsType":"PASSPORT"}', '400 bad_request: Unknown device '
        'credentials type ''PASSPORT''!'),
    ('a', '{"credentialsType":"ACCESS_TOKEN","credentialsId":" "}',
        '400 bad_request: Access token can''t be empty!'),
    ('a', '{"credentialsType":"ACCESS_TOKEN","credentialsId":"token of d2"}',
        '400 bad_request: Device credentials are already assigned to another '
        'device!'),
    ('a', '{"credentialsType":"ACCESS_TOKEN","credentialsId":"token of e1"}',
        '400 bad_request: Device credentials are already assigned to another '
        'device!'),
    ('a', '{"credentialsType":"MQTT_BASIC","_credentialsId":"h",'
        '"credentialsValue":"{}"}', '400 bad_request: Both mqtt client id and '
        'user name are empty!'),
    ('a', '{"credentialsType":"MQTT_BASIC","_credentialsId":"h",'
        '"credentialsValue":"{\"clientId\":\"c\",\"password\":\"p\"}"}',
        '400 bad_request: Mqtt user name is empty!'),
    ('a', '{"credentialsType":"MQTT_BASIC","_credentialsId":"h",'
        '"credentialsValue":"[1]"}', '400 bad_request: Mqtt credentials are '
        'malformed!'),
    ('a', '{"credentialsType":"MQTT_BASIC","_credentialsId":"h",'
        '"credentialsValue":"no json"}', '400 bad_request: Mqtt credentials '
        'are malformed!'),
    ('a', '{"credentialsType":"MQTT_BASIC",'
        '"credentialsValue":"{\"userName\":\"u\"}","credentialsId":"fake"}',
        '400 bad_request: Device credentials id should be specified!'),
    ('a', '{"credentialsType":"X509_CERTIFICATE","_credentialsId":"h"}',
        '400 bad_request: Certificate value can''t be empty!'))
       v (who, more, text);

SELECT is(pg_temp.api('a', 'device_credentials_save', '{}', '{}',
              pg_temp.credentials(:'id', '{"credentialsType":"ACCESS_TOKEN",
                  "credentialsId":"fresh","version":1}')) -> 'version', '2',
          'another token');
SELECT is((SELECT string_agg(t, ',') FROM (VALUES ('token of d1'), ('fresh'))
              v (t), iot.device_by_token(v.t)), 'fresh', 'only the new one');
SELECT is(pg_temp.api('a', 'device_credentials_save', '{}', '{}',
              pg_temp.credentials(:'id', '{"credentialsType":"MQTT_BASIC",
                  "credentialsValue":"{\"userName\":\"fresh\"}",
                  "_credentialsId":"fresh"}')) ->> 'credentialsId', 'fresh',
          'a user name');
SELECT is_empty($$ SELECT * FROM iot.device_by_token('fresh') $$,
                'is not a token');


-- a device together with its credentials

SELECT is(pg_temp.refusal('a', 'device_with_credentials', '{}', '{}',
              '{"device":{"name":"x"},"credentials":{"credentialsType":
                "ACCESS_TOKEN","credentialsId":""}}'),
          '400 bad_request: Access token can''t be empty!',
          'credentials are meant');
SELECT is(pg_temp.refusal('a', 'device_with_credentials', '{}', '{}',
              '{"device":{"name":"x"}}'),
          '400 bad_request: Malformed JSON request body', 'both parts');
SELECT pg_temp.made('both', pg_temp.api('a', 'device_with_credentials', '{}',
    '{}', '{"device":{"name":"both"},"credentials":{"credentialsType":
            "ACCESS_TOKEN","credentialsId":"both"}}')) \g /dev/null
SELECT is((SELECT device_id::text FROM iot.device_by_token('both')),
          pg_temp.id('both'), 'made with its token');
SELECT is(pg_temp.api('a', 'device_with_credentials', '{}', '{}',
              json_build_object('device', json_build_object('name', 'both',
                      'id', pg_temp.id('both')),
                  'credentials', '{"credentialsType":"ACCESS_TOKEN",
                      "credentialsId":"both again"}'::json)) -> 'version', '2',
          'changed with it');
SELECT is((SELECT device_id::text FROM iot.device_by_token('both again')),
          pg_temp.id('both'), 'has the new token');


-- provisioning

SELECT pg_temp.made('open', pg_temp.api('a', 'device_profile_save', '{}', '{}',
    '{"name":"open","type":"DEFAULT","transportType":"DEFAULT",
      "provisionType":"ALLOW_CREATE_NEW_DEVICES","provisionDeviceKey":"k1",
      "profileData":{"provisionConfiguration":{"provisionDeviceSecret":"s1"}}}'
    )) \g /dev/null
SELECT pg_temp.made('known', pg_temp.api('a', 'device_profile_save', '{}',
    '{}', '{"name":"known","type":"DEFAULT","transportType":"DEFAULT",
      "provisionType":"CHECK_PRE_PROVISIONED_DEVICES",
      "provisionDeviceKey":"k2",
      "profileData":{"provisionConfiguration":{"provisionDeviceSecret":"s2"}}}'
    )) \g /dev/null
SELECT pg_temp.made('pre', pg_temp.api('a', 'device_save', '{}',
    '{"accessToken":"old pre"}', '{"name":"pre","type":"known"}'))
       \g /dev/null

SELECT is(iot.provision_device(v.body::json, v.token, v.name, v.id)::jsonb,
          v.reply::jsonb, v.body)
  FROM (VALUES
    ('{"deviceName":"n1","provisionDeviceKey":"k1",'
     '"provisionDeviceSecret":"s1"}', 'tok1', 'rnd1', NULL,
     '{"credentialsValue":"tok1","credentialsType":"ACCESS_TOKEN",'
     '"status":"SUCCESS"}'),
    ('{"deviceName":"n1","provisionDeviceKey":"k1",'
     '"provisionDeviceSecret":"s1"}', 'tok2', 'rnd2', NULL,
     '{"errorMsg":"Failed to provision device!","status":"FAILURE"}'),
    ('{"provisionDeviceKey":"k1","provisionDeviceSecret":"s1",'
     '"token":"mine","gateway":true}', 'tok3', 'rnd3', NULL,
     '{"credentialsValue":"mine","credentialsType":"ACCESS_TOKEN",'
     '"status":"SUCCESS"}'),
    ('{"deviceName":"n4","provisionDeviceKey":"k1",'
     '"provisionDeviceSecret":"s1","token":"token of d2"}', 'tok4', 'rnd4',
     NULL, '{"errorMsg":"Failed to provision device!","status":"FAILURE"}'),
    ('{"deviceName":"  ","provisionDeviceKey":"k1",'
     '"provisionDeviceSecret":"s1"}', 'tok5', 'rnd5', NULL,
     '{"errorMsg":"Failed to provision device!","status":"FAILURE"}'),
    ('{"deviceName":"n6","provisionDeviceKey":"k1",'
     '"provisionDeviceSecret":"s1","credentialsType":"MQTT_BASIC",'
     '"clientId":"c1","username":"u1","password":"p1"}', 'tok6', 'rnd6',
     'sha3', '{"credentialsValue":{"clientId":"c1","userName":"u1",'
     '"password":"p1"},"credentialsType":"MQTT_BASIC","status":"SUCCESS"}'),
    ('{"deviceName":"n7","provisionDeviceKey":"k1",'
     '"provisionDeviceSecret":"s2"}', 'tok7', 'rnd7', NULL,
     '{"errorMsg":"Provision data was not found!","status":"NOT_FOUND"}'),
    ('{"deviceName":"n8","provisionDeviceKey":"",'
     '"provisionDeviceSecret":"s1"}', 'tok8', 'rnd8', NULL,
     '{"errorMsg":"Provision data was not found!","status":"NOT_FOUND"}'),
    ('{"deviceName":"n9","provisionDeviceKey":"k2",'
     '"provisionDeviceSecret":"s2"}', 'tok9', 'rnd9', NULL,
     '{"errorMsg":"Failed to provision device!","status":"FAILURE"}'),
    ('{"deviceName":"pre","provisionDeviceKey":"k2",'
     '"provisionDeviceSecret":"s2"}', 'tok10', 'rnd10', NULL,
     '{"credentialsValue":"old pre","credentialsType":"ACCESS_TOKEN",'
     '"status":"SUCCESS"}'),
    ('{"deviceName":"pre","provisionDeviceKey":"k2",'
     '"provisionDeviceSecret":"s2"}', 'tok11', 'rnd11', NULL,
     '{"errorMsg":"Failed to provision device!","status":"FAILURE"}'))
       v (body, token, name, id, reply);

SELECT throws_ok($$ SELECT iot.provision_device('{"provisionDeviceKey":"k"}',
                                                't', 'n', NULL) $$,
                 'IO400', NULL, 'the secret is required');
SELECT is((SELECT ROW(name, gateway)::text FROM iot.device_by_token('mine')),
          '(rnd3,t)', 'a random name, a gateway');

RESET ROLE;
SELECT is((SELECT count(*) FROM iot.attribute a
             JOIN iot.key k ON k.id = a.key AND k.name = 'provisionState'
             JOIN iot.device d ON d.nr = a.entity
            WHERE a.scope = 3 AND a.s = 'provisioned'), 4::bigint,
          'each one is marked');
SELECT is((SELECT count(*) FROM iot.device WHERE name = 'n4'), 0::bigint,
          'nothing is left of a failure');
SELECT is((SELECT string_agg(action || ' ' || n, ',' ORDER BY action)
             FROM (SELECT action, count(*) AS n FROM iot.audit_log
                    WHERE action LIKE 'PROVISION%' GROUP BY 1) x),
          'PROVISION_FAILURE 5,PROVISION_SUCCESS 4', 'the audit log knows');


SELECT * FROM finish();

ROLLBACK;
