
--
-- Copyright (C) the ngx_iot authors

BEGIN;

SELECT plan(57);

\ir fixture/telemetry.sql

-- who may

RESET ROLE;
CREATE FUNCTION pg_temp.refused(who text, device text, read_text text,
    write_text text, code text) RETURNS SETOF text
LANGUAGE plpgsql AS $$
DECLARE
    call  text;
BEGIN
    FOREACH call IN ARRAY ARRAY[
        'tb.attribute_keys(%L, %L, ''{}'', NULL)',
        'tb.attribute_values(%L, %L, ''{}'', NULL)',
        'tb.timeseries_keys(%L, %L, ''{}'', NULL)',
        'tb.timeseries_values(%L, %L, ''{}'', NULL)',
        'tb.timeseries_history(%L, %L, ''{"startTs":"1","endTs":"2"}'','
            ' NULL)']
    LOOP
        RETURN NEXT throws_ok(format('SELECT ' || call, pg_temp.caller(who),
            pg_temp.path(device, VARIADIC '{}')), code, read_text,
            who || ': ' || split_part(call, '(', 1));
    END LOOP;

    FOREACH call IN ARRAY ARRAY[
        'tb.attributes_save(%L, %L, ''{}'', ''{"values":[["k","l",1]]}'')',
        'tb.attributes_delete(%L, %L, ''{"keys":"k"}'', NULL)']
    LOOP
        RETURN NEXT throws_ok(format('SELECT ' || call, pg_temp.caller(who),
            pg_temp.path(device, 'SERVER_SCOPE')), code, write_text,
            who || ': ' || split_part(call, '(', 1));
    END LOOP;

    FOREACH call IN ARRAY ARRAY[
        'tb.timeseries_save(%L, %L, ''{}'','
            ' ''{"points":[["k",1,"l",1]]}'')',
        'tb.timeseries_delete(%L, %L,'
            ' ''{"keys":"k","deleteAllDataForKeys":"true"}'', NULL)']
    LOOP
        RETURN NEXT throws_ok(format('SELECT ' || call, pg_temp.caller(who),
            pg_temp.path(device, 'ANY')), code, write_text,
            who || ': ' || split_part(call, '(', 1));
    END LOOP;
END
$$;
SET ROLE iot_app;

SELECT pg_temp.refused('b', 'd1',
    'Device with requested id wasn''t found!',
    'Device with requested id wasn''t found!', 'IO404');
SELECT pg_temp.refused('sys', 'd1',
    'System administrator is not allowed to perform this operation!',
    'System administrator is not allowed to perform this operation!',
    'IO403');
SELECT pg_temp.refused('c1', 'd2',
    'You don''t have permission to perform this operation!',
    'You don''t have permission to perform this operation!', 'IO403');

SELECT lives_ok($$ SELECT tb.attributes_save(pg_temp.caller('c1'),
                       pg_temp.path('d1', 'SERVER_SCOPE'), '{}',
                       '{"values":[["k","l",1]]}') $$,
                'a customer writes to its device');
SELECT throws_ok($$ SELECT tb.attributes_save(pg_temp.caller('public'),
                        pg_temp.path('d1', 'SERVER_SCOPE'), '{}',
                        '{"values":[["k","l",1]]}') $$, 'IO403',
                 'You don''t have permission to perform this operation!',
                 'the public does not');
SELECT is(tb.attribute_keys(pg_temp.caller('public'),
              pg_temp.path('d1', VARIADIC '{}'), '{}', NULL)::text, '["k"]',
          'but reads');
SELECT throws_ok($$ SELECT tb.attribute_keys(pg_temp.caller('a'),
                        '{DEVICE,nonsense}', '{}', NULL) $$, 'IO400',
                 'Invalid UUID string: nonsense', 'no UUID');
SELECT is(tb.attribute_keys(pg_temp.caller('a'),
              '{tenant,00000000-0000-7000-8000-00000000000a}', '{}',
              NULL)::text, '[]', 'a type in lower case');

-- attributes

SELECT is((tb.attributes_save_device(pg_temp.caller('a'),
              '{00000000-0000-7000-8000-0000000000d1,SHARED_SCOPE}', '{}',
              '{"values":[["t","d",21.5],["cfg","j","{\"a\":1}"],
                          ["n","l",1],["n","l",2]]}')).body, NULL,
          'a save by the device form');

RESET ROLE;
CREATE FUNCTION pg_temp.attributes(scope text, query json)
RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_agg(x.value - 'lastUpdateTs' ORDER BY x.i)
      FROM jsonb_array_elements(CASE scope
               WHEN '' THEN tb.attribute_values(pg_temp.caller('a'),
                   pg_temp.path('d1', VARIADIC '{}'), query, NULL)
               ELSE tb.attribute_values_scope(pg_temp.caller('a'),
                   pg_temp.path('d1', scope), query, NULL) END::jsonb)
           WITH ORDINALITY AS x (value, i)
$$;
SET ROLE iot_app;

SELECT is(pg_temp.attributes('SHARED_SCOPE', '{}'),
          '[{"key":"cfg","value":{"a":1}},{"key":"n","value":2},
            {"key":"t","value":21.5}]', 'values of a scope, typed, by key');
SELECT is(pg_temp.attributes('', '{"keys":"n,no","key":"k"}'),
          '[{"key":"k","value":1},{"key":"n","value":2}]',
          'some keys of all scopes, missing ones absent');
SELECT is(pg_temp.attributes('CLIENT_SCOPE', '{}'), NULL, 'an empty scope');
SELECT is(tb.attribute_values_scope(pg_temp.caller('a'),
              pg_temp.path('d1', 'CLIENT_SCOPE'), '{}', NULL)::text, '[]',
          'is an empty list');
SELECT is(tb.attribute_keys_scope(pg_temp.caller('a'),
              pg_temp.path('d1', 'SHARED_SCOPE'), '{}', NULL)::text,
          '["cfg","n","t"]', 'keys of a scope');
SELECT ok((tb.attribute_values(pg_temp.caller('a'),
               pg_temp.path('d1', VARIADIC '{}'), '{"keys":"n"}', NULL)
           #>> '{0,lastUpdateTs}')::bigint
          BETWEEN iot.now_ms() - 10000 AND iot.now_ms(), 'lastUpdateTs');

SELECT throws_ok(format('SELECT tb.attributes_save(pg_temp.caller(''a''),'
                        ' pg_temp.path(''d1'', %L), ''{}'','
                        ' ''{"values":[["k","l",1]]}'')', s), 'IO400',
                 'Invalid scope: ' || s, 'no write to ' || s)
  FROM unnest(ARRAY['CLIENT_SCOPE', 'server_scope', 'X']) s;
SELECT throws_ok($$ SELECT tb.attributes_save(pg_temp.caller('a'),
                        pg_temp.path('d1', 'SERVER_SCOPE'), '{}',
                        '{"values":[]}') $$, 'IO400',
                 'No attributes data found in request body!', 'no values');
SELECT throws_ok($$ SELECT tb.attributes_save(pg_temp.caller('a'),
                        pg_temp.path('d1', 'SERVER_SCOPE'), '{}',
                        '{"values":[[" ","l",1]]}') $$, 'IO400',
                 'Key cannot be blank', 'a blank key');
SELECT throws_ok($$ SELECT tb.attributes_delete(pg_temp.caller('a'),
                        pg_temp.path('d1', 'SERVER_SCOPE'), '{"keys":""}',
                        NULL) $$, 'IO400', 'Empty keys: []', 'no keys');
SELECT is((tb.attributes_delete(pg_temp.caller('a'),
              pg_temp.path('d1', 'SHARED_SCOPE'), '{"keys":"n,no,k"}',
              NULL)).body, NULL, 'a delete answers nothing');
SELECT is(tb.attribute_keys(pg_temp.caller('a'),
              pg_temp.path('d1', VARIADIC '{}'), '{}', NULL)::text,
          '["cfg","k","t"]', 'only of that scope');
SELECT is((tb.attributes_delete_device(pg_temp.caller('a'),
              '{00000000-0000-7000-8000-0000000000d1,SERVER_SCOPE}',
              '{"key":"k"}', NULL)).body, NULL, 'the device form of it');
SELECT is(tb.attribute_keys_scope(pg_temp.caller('a'),
              pg_temp.path('d1', 'SERVER_SCOPE'), '{}', NULL)::text, '[]',
          'deletes');

-- what is saved

SELECT throws_ok($$ SELECT pg_temp.save('a', 'd1', '[]') $$, 'IO400',
                 'No time series data found in request body!', 'no points');
SELECT throws_ok($$ SELECT tb.timeseries_save_ttl(pg_temp.caller('a'),
                        pg_temp.path('d1', 'ANY', '-1'), '{}',
                        '{"points":[["k",1,"l",1]]}') $$, 'IO400',
                 'Invalid ttl: -1', 'a negative time to live');

-- keys of profiles

SELECT pg_temp.save('a', 'd1', '[["pa",1,"l",1]]') \g /dev/null
SELECT pg_temp.save('a', 'd2', '[["la",1,"l",1]]') \g /dev/null
SELECT pg_temp.save('b', 'd4', '[["zz",1,"l",1]]') \g /dev/null
SELECT is(tb.profile_timeseries_keys(pg_temp.caller('a'), '{}', '{}',
              NULL)::text, '["la","pa"]', 'keys of all devices');
SELECT is(tb.profile_timeseries_keys(pg_temp.caller('a'), '{}',
              '{"deviceProfileId":"00000000-0000-7000-8000-0000000000e2"}',
              NULL)::text, '["la"]', 'keys of a profile');
SELECT throws_ok($$ SELECT tb.profile_timeseries_keys(pg_temp.caller('a'),
              '{}',
              '{"deviceProfileId":"00000000-0000-7000-8000-0000000000e3"}',
              NULL) $$, 'IO404', NULL, 'a profile of others');
SELECT is(tb.profile_attribute_keys(pg_temp.caller('a'), '{}', '{}',
              NULL)::text, '["cfg","t"]', 'keys of attributes');
SELECT throws_ok($$ SELECT tb.profile_attribute_keys(pg_temp.caller('c1'),
                        '{}', '{}', NULL) $$, 'IO403', NULL,
                 'not for customers');

-- the audit log

RESET ROLE;
SELECT is((SELECT json_agg(json_build_array(a.action, a.user_name,
                                            a.entity_name, a.data)
                           ORDER BY a.created_time, a.id)::jsonb
             FROM iot.audit_log a
            WHERE a.entity_id = '00000000-0000-7000-8000-0000000000d1'),
          '[["ATTRIBUTES_UPDATED","c1@x.org","d1",
             {"scope":"SERVER_SCOPE","attributes":{"k":1}}],
            ["ATTRIBUTES_UPDATED","a@x.org","d1",
             {"scope":"SHARED_SCOPE",
              "attributes":{"t":21.5,"cfg":{"a":1},"n":2}}],
            ["ATTRIBUTES_DELETED","a@x.org","d1",
             {"scope":"SHARED_SCOPE","attributes":["n"]}],
            ["ATTRIBUTES_DELETED","a@x.org","d1",
             {"scope":"SERVER_SCOPE","attributes":["k"]}],
            ["TIMESERIES_UPDATED","a@x.org","d1",
             {"timeseries":[{"ts":1,"values":{"pa":1}}]}]]',
          'the audit log tells each change');

SELECT * FROM finish();
ROLLBACK;
