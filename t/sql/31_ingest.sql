
--
-- Copyright (C) the ngx_iot authors

BEGIN;

SELECT plan(18);

\ir fixture/telemetry.sql

SELECT (iot.key_ids(ARRAY['t', 'u']))[1] AS t,
       (iot.key_ids(ARRAY['t', 'u']))[2] AS u \gset

SELECT throws_ok('SELECT * FROM iot.telemetry', '42501', NULL,
                 'workers do not read telemetry');
SELECT throws_ok('SELECT * FROM iot.attribute', '42501', NULL,
                 'workers do not read attributes');
SELECT lives_ok(format('INSERT INTO iot.telemetry VALUES'
                       ' (%s, %s, 5, NULL, 1, NULL, NULL, NULL)', :d3, :t),
                'a COPY may write telemetry');

SELECT iot.ingest_telemetry(ARRAY[:d1, :d1, :d2], ARRAY[:t, :t, :u],
    ARRAY[1000, 2000, 1000], ARRAY[NULL, NULL, true],
    ARRAY[1, NULL, NULL], ARRAY[NULL, 2.5, NULL], ARRAY[NULL, NULL, NULL],
    NULL::bigint[]);
SELECT iot.ingest_keys(ARRAY[:d1, :d1, :d2], ARRAY[:t, :t, :u],
                       ARRAY[1000, 2000, 1000]);

SELECT is(pg_temp.series('a', 'd1', '{"startTs":"0","endTs":"9999"}'),
          '{"t":[{"ts":2000,"value":"2.5"},{"ts":1000,"value":"1"}]}',
          'points are there');

SELECT iot.ingest_telemetry(ARRAY[:d1], ARRAY[:t], ARRAY[1000],
    ARRAY[NULL::boolean], ARRAY[NULL::bigint], ARRAY[NULL::float8],
    ARRAY['now a text'], ARRAY[NULL::bigint]);

SELECT is(pg_temp.series('a', 'd1',
                         '{"startTs":"0","endTs":"2000","keys":"t"}'),
          '{"t":[{"ts":1000,"value":"now a text"}]}',
          'the same entity, key and ts: replaced, with its type');
SELECT is(pg_temp.series('a', 'd1', '{}'),
          '{"t":[{"ts":2000,"value":"2.5"}]}',
          'an old point does not move the latest value');

SELECT lives_ok(format('SELECT iot.ingest_keys(ARRAY[2000000000],'
                       ' ARRAY[%s], ARRAY[1::bigint])', :t),
                'the key of a gone entity');
RESET ROLE;
SELECT is((SELECT count(*) FROM iot.entity_key WHERE entity = 2000000000),
          0::bigint, 'a gone entity gets no key');
SET ROLE iot_app;

-- attributes

SELECT iot.ingest_attributes(ARRAY[:d1, :d1, 2000000000],
    ARRAY[1, 1, 1]::smallint[], ARRAY[:t, :u, :u],
    ARRAY[NULL, true, true], ARRAY[7, NULL, NULL],
    ARRAY[NULL, NULL, NULL]::float8[], ARRAY[NULL, '{"x":[1]}', NULL],
    ARRAY[100, 100, 100]);

SELECT is(iot.device_attributes(:d1, NULL, NULL)::text,
          '{"client":{"t":7,"u":{"x":[1]}}}', 'attributes are typed');

SELECT iot.ingest_attributes(ARRAY[:d1, :d1], ARRAY[1, 1]::smallint[],
    ARRAY[:t, :u], ARRAY[NULL, true], ARRAY[8, NULL],
    ARRAY[NULL, NULL]::float8[], ARRAY[NULL, '{"x":[1]}'], ARRAY[200, 200]);

SELECT is((SELECT json_agg(a.updated_at ORDER BY a.name)::text
             FROM iot.attributes(:d1, 1::smallint, NULL) a), '[200, 100]',
          'an equal value keeps its time');

RESET ROLE;
SELECT is((SELECT count(*) FROM iot.attribute WHERE entity = 2000000000),
          0::bigint, 'a gone entity gets no attribute');
SET ROLE iot_app;

SELECT is(iot.device_attributes(:d1, ARRAY['u', 'no'], NULL)::text,
          '{"client":{"u":{"x":[1]}}}', 'some client keys');
SELECT is(iot.device_attributes(:d1, NULL, ARRAY['t'])::text, '{}',
          'only shared keys asked for: client ones are not searched');

SELECT iot.attribute_save(:d1, 2::smallint,
    '[["t","d",21.5],["a\"b","s","x"]]');
SELECT iot.attribute_save(:d1, 3::smallint, '[["secret","s","x"]]');

SELECT is(iot.device_attributes(:d1, NULL, NULL)::text,
          '{"client":{"t":8,"u":{"x":[1]}},'
          '"shared":{"a\"b":"x","t":21.5}}',
          'all client and shared ones, no server ones');
SELECT is(iot.device_attributes(:d1, ARRAY['t'], ARRAY['t'])::text,
          '{"client":{"t":8},"shared":{"t":21.5}}', 'a key of both');
SELECT is(iot.device_attributes(:d1, ARRAY[]::text[],
                                ARRAY['secret'])::text, '{}',
          'a server attribute is not found by its name');
SELECT is(iot.device_attributes(:d2, NULL, NULL)::text, '{}',
          'a device without attributes');
SELECT throws_ok(format('SELECT iot.ingest_attributes(ARRAY[%s],'
                        ' ARRAY[4::smallint], ARRAY[%s], ARRAY[true],'
                        ' ARRAY[NULL::bigint], ARRAY[NULL::float8],'
                        ' ARRAY[NULL::text], ARRAY[1::bigint])', :d1, :t),
                 '23514', NULL, 'there are three scopes');

SELECT * FROM finish();
ROLLBACK;
