
--
-- Copyright (C) the ngx_iot authors
--
-- What the workers write in batches.  The arrays of a call are columns of
-- equal length, sorted by (entity, key, ts), each key of a row once: sorted
-- rows keep two workers from deadlocks, and a row that comes twice would fail
-- the statement.
--
-- Telemetry is not checked for the existence of its entity: the points that
-- race with the deletion of their device are swept by iot.maintain() and can
-- not be read meanwhile.  Keys and attributes of such a device are dropped
-- here, silently, since nothing would sweep an attribute.


-- Points; one of the same entity, key and ts is replaced.

CREATE OR REPLACE FUNCTION iot.ingest_telemetry(entities integer[],
    keys integer[], times bigint[], bs boolean[], ls bigint[],
    ds double precision[], ss text[], expire_times bigint[])
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = iot, pg_temp
    SET plan_cache_mode = force_generic_plan
AS $$
BEGIN
    INSERT INTO iot.telemetry AS t (entity, key, ts, b, l, d, s, expires_at)
    SELECT *
      FROM unnest(entities, keys, times, bs, ls, ds, ss, expire_times)
        ON CONFLICT (entity, key, ts) DO UPDATE
       SET b = EXCLUDED.b, l = EXCLUDED.l, d = EXCLUDED.d, s = EXCLUDED.s,
           expires_at = EXCLUDED.expires_at;
END
$$;


-- Keys that a worker meets for the first time at an entity, with the time of
-- the point: a floor above it (left by a delete) goes down below it.

CREATE OR REPLACE FUNCTION iot.ingest_keys(entities integer[],
    keys integer[], times bigint[])
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = iot, pg_temp
    SET plan_cache_mode = force_generic_plan
AS $$
BEGIN
    INSERT INTO iot.entity_key AS ek (entity, key)
    SELECT DISTINCT n.entity, n.key
      FROM unnest(entities, keys) AS n (entity, key)
     WHERE NOT EXISTS (SELECT FROM iot.entity_key o
                        WHERE o.entity = n.entity AND o.key = n.key)
           AND iot.entity_exists(n.entity)
     ORDER BY n.entity, n.key
        ON CONFLICT DO NOTHING;

    UPDATE iot.entity_key ek
       SET floor_ts = n.ts - 1
      FROM (SELECT u.entity, u.key, min(u.ts) AS ts
              FROM unnest(entities, keys, times) AS u (entity, key, ts)
             GROUP BY u.entity, u.key
             ORDER BY u.entity, u.key) n
     WHERE ek.entity = n.entity AND ek.key = n.key AND ek.floor_ts >= n.ts;
END
$$;


-- Attributes (scope: 1 client, 2 shared, 3 server).  Only values that differ
-- are written, so updated_at stays with an equal value.

CREATE OR REPLACE FUNCTION iot.ingest_attributes(entities integer[],
    scopes smallint[], keys integer[], bs boolean[], ls bigint[],
    ds double precision[], ss text[], times bigint[])
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = iot, pg_temp
    SET plan_cache_mode = force_generic_plan
AS $$
BEGIN
    INSERT INTO iot.attribute AS a
           (entity, scope, key, b, l, d, s, updated_at)
    SELECT n.*
      FROM unnest(entities, scopes, keys, bs, ls, ds, ss, times)
           AS n (entity, scope, key, b, l, d, s, updated_at)
     WHERE EXISTS (SELECT FROM iot.device WHERE nr = n.entity)
           OR iot.entity_exists(n.entity)
        ON CONFLICT (entity, scope, key) DO UPDATE
       SET b = EXCLUDED.b, l = EXCLUDED.l, d = EXCLUDED.d, s = EXCLUDED.s,
           updated_at = EXCLUDED.updated_at
     WHERE (a.b, a.l, a.d, a.s)
           IS DISTINCT FROM (EXCLUDED.b, EXCLUDED.l, EXCLUDED.d, EXCLUDED.s);
END
$$;


SELECT iot.definer('iot.ingest_telemetry',
    'writes telemetry of many tenants in one batch');
SELECT iot.definer('iot.ingest_keys',
    'writes telemetry of many tenants in one batch');
SELECT iot.definer('iot.ingest_attributes',
    'writes attributes of many tenants in a batch');
