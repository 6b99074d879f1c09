
--
-- Copyright (C) the ngx_iot authors

BEGIN;

SELECT plan(47);

\ir fixture/telemetry.sql
RESET ROLE;

SELECT iot.now_ms() AS now, iot.now_ms() - 100::bigint * 86400000 AS old,
       (iot.key_ids(ARRAY['t']))[1] AS t \gset

CREATE FUNCTION pg_temp.point(nr integer, ts bigint, expires_at bigint)
RETURNS void LANGUAGE sql AS $$
    SELECT iot.ingest_telemetry(ARRAY[nr], x.k, ARRAY[ts],
               ARRAY[NULL::boolean], ARRAY[1::bigint], ARRAY[NULL::float8],
               ARRAY[NULL::text], ARRAY[expires_at]),
           iot.ingest_keys(ARRAY[nr], x.k, ARRAY[ts])
      FROM (SELECT iot.key_ids(ARRAY['t']) AS k) x
$$;

CREATE FUNCTION pg_temp.rows(nr integer) RETURNS bigint LANGUAGE sql AS $$
    SELECT count(*) FROM iot.telemetry WHERE entity = nr
$$;

CREATE FUNCTION pg_temp.seen(nr integer) RETURNS bigint LANGUAGE sql AS $$
    SELECT count(*)
      FROM iot.history(nr, iot.key_id('t'), 0, 9999999999999, NULL, true)
$$;

CREATE FUNCTION pg_temp.latest(nr integer) RETURNS bigint LANGUAGE sql AS $$
    SELECT v.ts FROM iot.latest(nr, ARRAY['t']) v
$$;

-- a walk of the sweep
CREATE FUNCTION pg_temp.walk() RETURNS void LANGUAGE sql AS $$
    UPDATE iot.telemetry_sweep SET started_at = 0;
    SELECT iot.maintain() FROM generate_series(1, 3);
$$;

-- partitions

SELECT ok(iot.maintain_partitions() >= 1, 'the next month gets a partition');
SELECT is(iot.maintain_partitions(), 0, 'once');
SELECT ok((SELECT bool_and(p.lower_ts IS NOT DISTINCT FROM p.before)
             FROM (SELECT p.lower_ts,
                          lag(p.upper_ts) OVER (ORDER BY p.upper_ts) AS before
                     FROM iot.partitions() p) p),
          'there is no gap between partitions');
SELECT is((SELECT p.name FROM iot.partitions() p
            WHERE p.lower_ts <= :now AND p.upper_ts > :now),
          to_char(now() AT TIME ZONE 'UTC', '"telemetry_"YYYYMM"01"'),
          'this month has its own');
SELECT ok((SELECT lower_ts > iot.unit_start(:now, 'month', 1)
             FROM iot.partitions() WHERE upper_ts IS NULL),
          'the next one too');

SELECT pg_temp.point(:d3, iot.unit_start(:now, 'month', 2), NULL),
       pg_temp.point(:d3, iot.unit_start(:now, 'month', 2) - 1, NULL),
       pg_temp.point(:d3, 9999999999999, NULL),
       pg_temp.point(:d3, 0, NULL) \g /dev/null
SELECT is(pg_temp.rows(:d3), 4::bigint, 'any ts finds a place');
SELECT is(iot.unit_start(1735742096123, u.unit, u.plus), u.ts,
          u.plus || ' ' || u.unit)
  FROM (VALUES ('day', 0, 1735689600000), ('day', 1, 1735776000000),
               ('week', 1, 1736121600000), ('month', -1, 1733011200000))
       u (unit, plus, ts);
INSERT INTO iot.setting (name, value) VALUES ('telemetry', '{}');
SELECT is((SELECT count(*) FROM iot.telemetry_last), 2::bigint,
          'two points of the far future');

CREATE FUNCTION pg_temp.later() RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    made  integer;
BEGIN
    ALTER FUNCTION iot.now_ms() RENAME TO now_ms_real;
    CREATE FUNCTION iot.now_ms() RETURNS bigint LANGUAGE plpgsql AS $f$
    BEGIN
        RETURN iot.now_ms_real() + 31 * 86400000::bigint;
    END $f$;
    made := iot.partition_ahead();
    DROP FUNCTION iot.now_ms();
    ALTER FUNCTION iot.now_ms_real() RENAME TO now_ms;
    RETURN made;
END
$$;
SELECT is(pg_temp.later(), 1, 'a month later another one is split off');
SELECT is((SELECT count(*) FROM iot.telemetry_last), 1::bigint,
          'with the row that belongs there');
SELECT is(pg_temp.rows(:d3), 4::bigint, 'no row is lost');

-- rows with their own end

SELECT pg_temp.point(:d1, :now - 5, :now - 1),
       pg_temp.point(:d1, :now - 6, :now + 3600000),
       pg_temp.point(:d1, :now - 7, NULL) \g /dev/null
SELECT is(pg_temp.seen(:d1), 2::bigint, 'an expired row is not seen');
SELECT is(pg_temp.latest(:d1), :now - 5, 'but it is the latest value');
SELECT iot.maintain() \g /dev/null
SELECT is(pg_temp.rows(:d1), 2::bigint, 'it is deleted');
SELECT is(pg_temp.latest(:d1), :now - 5, 'the latest value stays');
SELECT pg_temp.point(:d1, :now - 4, NULL) \g /dev/null
SELECT is(pg_temp.latest(:d1), :now - 4, 'until a newer one');

SELECT tb.timeseries_save_ttl(pg_temp.caller('a'),
           pg_temp.path('d1', 'ANY', '60'), '{}',
           '{"points":[["ttl",5,"l",1]]}') \g /dev/null
SELECT ok((SELECT expires_at FROM iot.telemetry
            WHERE entity = :d1 AND ts = 5)
          BETWEEN :now + 60000 AND iot.now_ms() + 60000,
          'a time to live counts from the write');
SELECT tb.timeseries_save_ttl(pg_temp.caller('a'),
           pg_temp.path('d1', 'ANY', '0'), '{}',
           '{"points":[["ttl",5,"l",1]]}') \g /dev/null
SELECT is((SELECT expires_at FROM iot.telemetry
            WHERE entity = :d1 AND ts = 5), NULL, '0 is none');

-- retention of the owners

SELECT is(iot.retention(:d2), NULL, 'for ever');
SELECT is(iot.retention_longest(), NULL, 'somebody keeps for ever');
SELECT pg_temp.point(:d2, :old, NULL), pg_temp.point(:d2, :old - 1,
           :now + 3600000), pg_temp.point(:d3, :old, NULL) \g /dev/null
SELECT is(pg_temp.seen(:d2), 2::bigint, 'old rows are seen');

UPDATE iot.tenant SET tenant_profile_id
           = '00000000-0000-7000-8000-0000000000f2' WHERE title = 'A';
SELECT is(iot.retention(:d2), 30 * 86400000::bigint, 'of the tenant profile');
SELECT is(pg_temp.seen(:d2), 1::bigint,
          'past it a row with its own end is seen');
SELECT iot.attribute_save((SELECT nr FROM iot.customer WHERE title = 'c2'),
    3::smallint, '[["TTL","l",86400]]') \g /dev/null
SELECT is(iot.retention(:d2), 86400000::bigint, 'of the customer');
SELECT iot.attribute_save(:d2, 3::smallint, '[["TTL","s","17280000"]]')
    \g /dev/null
SELECT is(iot.retention(:d2), 200 * 86400000::bigint, 'of the device');
SELECT is(pg_temp.seen(:d2), 2::bigint, 'so all is seen');
SELECT iot.attribute_save(:d2, 3::smallint, '[["TTL","l",0]]') \g /dev/null
SELECT is(iot.retention(:d2), NULL, '0: for ever');
SELECT is(iot.retention(:d3), 30 * 86400000::bigint, 'the others as before');

-- the walk

SELECT pg_temp.walk() \g /dev/null
SELECT is(pg_temp.rows(:d2), 2::bigint, 'nothing of the one for ever');
SELECT is((SELECT count(*) FROM iot.telemetry
            WHERE entity = :d3 AND ts <= :old), 0::bigint,
          'the old rows of the other');
SELECT is(pg_temp.rows(:d3), 3::bigint, 'not its young ones');

SELECT pg_temp.point(:d4, :old, NULL) \g /dev/null
UPDATE iot.tenant SET tenant_profile_id
           = '00000000-0000-7000-8000-0000000000f2' WHERE title = 'B';
SELECT pg_temp.walk() \g /dev/null
SELECT is(pg_temp.rows(:d4), 0::bigint, 'the last row goes');
SELECT is(pg_temp.latest(:d4), :old, 'the latest value stays');

DELETE FROM iot.device WHERE name = 'd3';
SELECT pg_temp.walk() \g /dev/null
SELECT is((SELECT count(*) FROM iot.entity_key WHERE entity = :d3),
          0::bigint, 'an entity that is gone is found');
UPDATE iot.telemetry_forgotten SET gone_time = 0;
SELECT iot.maintain() \g /dev/null
SELECT is(pg_temp.rows(:d3), 0::bigint, 'and swept');

-- all keep a month at most: partitions are dropped

SELECT iot.attribute_save(:d2, 3::smallint, '[["TTL","l",2592000]]')
    \g /dev/null
SELECT is(iot.retention_longest(), 30 * 86400000::bigint, 'the longest');
SELECT pg_temp.point(:d2, :now, NULL),
       pg_temp.point(:d4, :old + 1, NULL) \g /dev/null
ALTER TABLE iot.telemetry DETACH PARTITION iot.telemetry_first;
CREATE TABLE iot.telemetry_old PARTITION OF iot.telemetry
    FOR VALUES FROM (:old - 86400000) TO (:old + 86400000);
SELECT iot.unit_start(:now, 'month', 0) AS month \gset
CREATE TABLE iot.telemetry_mid PARTITION OF iot.telemetry
    FOR VALUES FROM (:old + 86400000) TO (:month);
INSERT INTO iot.telemetry SELECT * FROM iot.telemetry_first
 WHERE ts >= :old - 86400000;
DELETE FROM iot.telemetry_first WHERE ts >= :old - 86400000;
ALTER TABLE iot.telemetry ATTACH PARTITION iot.telemetry_first
    FOR VALUES FROM (MINVALUE) TO (:old - 86400000);

SELECT pg_temp.walk() \g /dev/null
SELECT is(to_regclass('iot.telemetry_old')::text, 'iot.telemetry_old',
          'a row whose own time is not over keeps its partition');
DELETE FROM iot.telemetry WHERE expires_at IS NOT NULL;
SELECT pg_temp.walk() \g /dev/null
SELECT is(to_regclass('iot.telemetry_old')::text, NULL, 'else it is dropped');
SELECT is((SELECT upper_ts FROM iot.partitions() WHERE lower_ts IS NULL),
          :old + 86400000, 'the first one takes over its range');
SELECT is(pg_temp.latest(:d4), :old + 1, 'the latest value stays');
SELECT pg_temp.point(:d4, :old + 2, NULL) \g /dev/null
SELECT is(pg_temp.rows(:d4), 1::bigint, 'a late point finds a place');

UPDATE iot.setting SET value = '{"retentionDays":7}'
 WHERE name = 'telemetry';
SELECT is(iot.retention(:d2), 7 * 86400000::bigint,
          'a bound of the server above all');
SELECT is(iot.retention_longest(), 7 * 86400000::bigint, 'for all');

-- who may

SET ROLE iot_app;
SELECT lives_ok('SELECT iot.maintain()', 'a worker maintains');

SELECT * FROM finish();
ROLLBACK;
