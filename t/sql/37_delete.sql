
--
-- Copyright (C) the ngx_iot authors

BEGIN;

SELECT plan(29);

\ir fixture/telemetry.sql

RESET ROLE;
CREATE FUNCTION pg_temp.remove(device text, query jsonb) RETURNS json
LANGUAGE sql AS $$
    SELECT tb.timeseries_delete(pg_temp.caller('a'),
               pg_temp.path(device, VARIADIC '{}'),
               ('{"keys":"t"}' || query)::json, NULL)
$$;

CREATE FUNCTION pg_temp.left(device text) RETURNS text
LANGUAGE sql AS $$
    SELECT string_agg(p ->> 'ts', ' ' ORDER BY (p ->> 'ts')::bigint)
      FROM jsonb_array_elements(pg_temp.series('a', device,
               '{"keys":"t","startTs":"0","endTs":"999999"}') -> 't') p
$$;

-- ts and value of the latest one; NULL: the key is not listed
CREATE FUNCTION pg_temp.latest(device text) RETURNS text
LANGUAGE sql AS $$
    SELECT concat(v #>> '{0,ts}', ':', v #>> '{0,value}')
      FROM (SELECT pg_temp.series('a', device, '{}') -> 't' AS v) x
     WHERE v IS NOT NULL
$$;

-- what a worker does with points of a device; seen: it knows the key
CREATE FUNCTION pg_temp.point(device text, ts bigint, seen boolean)
RETURNS void LANGUAGE sql AS $$
    SELECT iot.ingest_telemetry(ARRAY[x.nr], x.k, ARRAY[ts],
               ARRAY[NULL::boolean], ARRAY[ts], ARRAY[NULL::float8],
               ARRAY[NULL::text], ARRAY[NULL::bigint]),
           CASE WHEN NOT seen THEN iot.ingest_keys(ARRAY[x.nr], x.k,
                                                   ARRAY[ts]) END
      FROM (SELECT iot.resolve(pg_temp.caller('a'), 'DEVICE',
                       ('00000000-0000-7000-8000-0000000000'
                        || device)::uuid, 'WRITE_TELEMETRY') AS nr,
                   iot.key_ids(ARRAY['t']) AS k) x
$$;
SET ROLE iot_app;

SELECT iot.enter(pg_temp.caller('a'));
SELECT pg_temp.point('d1', i, i > 1) FROM generate_series(1, 10) i
    \g /dev/null

SELECT throws_ok($$ SELECT pg_temp.remove('d1', '{"keys":""}') $$, 'IO400',
                 'Empty keys: []', 'no keys');
SELECT throws_ok(format('SELECT pg_temp.remove(%L, %L)', 'd1', q), 'IO400',
    'When deleteAllDataForKeys is false, start and end timestamp values '
    'shouldn''t be empty', 'no range: ' || q)
  FROM unnest(ARRAY['{}', '{"startTs":"1"}', '{"endTs":"1"}',
                    '{"deleteAllDataForKeys":"false"}']) q;

SELECT is(pg_temp.remove('d1', '{"startTs":"2","endTs":"4"}')::text, NULL,
          'a delete answers nothing');
SELECT is(pg_temp.left('d1'), '1 4 5 6 7 8 9 10',
          'the range is half open');
SELECT is(pg_temp.latest('d1'), '10:10', 'the latest is not in it');

SELECT pg_temp.remove('d1', '{"startTs":"9","endTs":"11",
                              "rewriteLatestIfDeleted":"true"}') \g /dev/null
SELECT is(pg_temp.latest('d1'), '8:8', 'rewritten from what is left');

SELECT pg_temp.remove('d1', '{"startTs":"8","endTs":"9",
                              "deleteLatest":"false"}') \g /dev/null
SELECT is(pg_temp.left('d1'), '1 4 5 6 7', 'the point is gone');
SELECT is(pg_temp.latest('d1'), '8:8', 'the latest is kept');
SELECT pg_temp.point('d1', 7, true) \g /dev/null
SELECT is(pg_temp.latest('d1'), '8:8', 'kept against an older point');
SELECT pg_temp.point('d1', 8, true) \g /dev/null
SELECT is(pg_temp.left('d1'), '1 4 5 6 7 8', 'a point of that time again');

SELECT pg_temp.remove('d1', '{"startTs":"7","endTs":"99"}') \g /dev/null
SELECT is(pg_temp.left('d1'), '1 4 5 6', 'older points stay');
SELECT is(pg_temp.latest('d1'), NULL, 'without a latest value');
SELECT is(tb.timeseries_keys(pg_temp.caller('a'),
              pg_temp.path('d1', VARIADIC '{}'), '{}', NULL)::text, '[]',
          'so the key is not listed');
SELECT pg_temp.point('d1', 20, true) \g /dev/null
SELECT is(pg_temp.latest('d1'), '20:20',
          'a newer point is the latest at once');

SELECT pg_temp.remove('d1', '{"startTs":"20","endTs":"21"}') \g /dev/null
SELECT pg_temp.point('d1', 15, false) \g /dev/null
SELECT is(pg_temp.latest('d1'), '15:15',
          'an older one when the worker registers it');

SELECT pg_temp.remove('d1', '{"startTs":"15","endTs":"16"}') \g /dev/null
SELECT pg_temp.point('d1', 17, true) \g /dev/null
SELECT pg_temp.remove('d1', '{"startTs":"17","endTs":"18",
                              "rewriteLatestIfDeleted":"true"}') \g /dev/null
SELECT is(pg_temp.latest('d1'), '6:6', 'a rewrite looks below the floor');

SELECT pg_temp.point('d1', 9000000000000, true) \g /dev/null
SELECT pg_temp.remove('d1', '{"deleteAllDataForKeys":"true",
                              "startTs":"3","endTs":"4"}') \g /dev/null
SELECT is(pg_temp.left('d1'), NULL, 'all data, whatever the range');
SELECT is(pg_temp.latest('d1'), NULL, 'future points too');
SELECT is(pg_temp.remove('d1', '{"deleteAllDataForKeys":"true",
                                 "keys":"never,seen"}')::text, NULL,
          'unknown keys are no error');

-- other entities and keys are left alone

SELECT pg_temp.point('d1', 1, false), pg_temp.point('d2', 1, false)
    \g /dev/null
SELECT pg_temp.save('a', 'd1', '[["u",1,"l",1]]') \g /dev/null
SELECT pg_temp.remove('d1', '{"deleteAllDataForKeys":"true"}') \g /dev/null
SELECT is(pg_temp.series('a', 'd1', '{}'),
          '{"u":[{"ts":1,"value":"1"}]}', 'another key stays');
SELECT is(pg_temp.latest('d2'), '1:1', 'another device stays');

-- an entity is forgotten

SELECT iot.attribute_save(:d1, 3::smallint, '[["k","l",1]]') \g /dev/null
SELECT iot.forget_entity(:d1) \g /dev/null
SELECT is(pg_temp.series('a', 'd1', '{}'), '{}', 'no latest values');
SELECT is(tb.attribute_keys(pg_temp.caller('a'),
              pg_temp.path('d1', VARIADIC '{}'), '{}', NULL)::text, '[]',
          'no attributes');
RESET ROLE;
SELECT is((SELECT count(*) FROM iot.telemetry WHERE entity = :d1), 1::bigint,
          'telemetry waits for its turn');
UPDATE iot.telemetry_forgotten SET gone_time = gone_time - 130000;
SELECT iot.maintain_partitions(), iot.maintain() \g /dev/null
SELECT is((SELECT count(*) FROM iot.telemetry WHERE entity = :d1), 0::bigint,
          'and goes');
SELECT is((SELECT count(*) FROM iot.telemetry_forgotten), 0::bigint,
          'nothing is left to do');

SELECT * FROM finish();
ROLLBACK;
