
--
-- Copyright (C) the ngx_iot authors
--
-- Latest values.  None is stored when a point comes: the newest row of a key
-- is one step in the index of the newest partition that has it, while a write
-- for each point would double the work of an ingest.


-- The newer one of the pinned value and the newest row above the floor.  An
-- SQL function, since those are melted into the query that uses them.

CREATE OR REPLACE FUNCTION iot.latest_of(ek iot.entity_key)
RETURNS TABLE (ts bigint, b boolean, l bigint, d double precision, s text)
LANGUAGE sql STABLE
AS $$
    SELECT COALESCE(t.ts, ek.pin_ts),
           CASE WHEN t.ts IS NULL THEN ek.b ELSE t.b END,
           CASE WHEN t.ts IS NULL THEN ek.l ELSE t.l END,
           CASE WHEN t.ts IS NULL THEN ek.d ELSE t.d END,
           CASE WHEN t.ts IS NULL THEN ek.s ELSE t.s END
      FROM (SELECT ek.pin_ts) p
           LEFT JOIN LATERAL (
               SELECT t.ts, t.b, t.l, t.d, t.s
                 FROM iot.telemetry t
                WHERE t.entity = ek.entity AND t.key = ek.key
                      AND t.ts >= GREATEST(ek.floor_ts + 1, ek.pin_ts,
                                           -9223372036854775808)
                ORDER BY t.ts DESC
                LIMIT 1) t ON true
     WHERE t.ts IS NOT NULL OR ek.pin_ts IS NOT NULL
$$;


-- The latest values of an entity, of these keys or (NULL) of all, by key.
-- A key without a value has no row.  They do not expire.

CREATE OR REPLACE FUNCTION iot.latest(entity_nr integer, names text[])
RETURNS TABLE (name text, ts bigint, b boolean, l bigint,
    d double precision, s text)
LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = iot, pg_temp
    SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
BEGIN
    IF names IS NULL THEN
        RETURN QUERY
        SELECT k.name, v.ts, v.b, v.l, v.d, v.s
          FROM iot.entity_key ek
               JOIN iot.key k ON k.id = ek.key
               CROSS JOIN LATERAL iot.latest_of(ek) v
         WHERE ek.entity = entity_nr
         ORDER BY k.name COLLATE "C";

    ELSE
        RETURN QUERY
        SELECT k.name, v.ts, v.b, v.l, v.d, v.s
          FROM iot.key k
               JOIN iot.entity_key ek
                   ON ek.entity = entity_nr AND ek.key = k.id
               CROSS JOIN LATERAL iot.latest_of(ek) v
         WHERE k.name = ANY (names)
         ORDER BY k.name COLLATE "C";
    END IF;
END
$$;


-- The keys of the latest values, in order.

CREATE OR REPLACE FUNCTION iot.latest_keys(entity_nr integer) RETURNS text[]
LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = iot, pg_temp
    SET plan_cache_mode = force_generic_plan
AS $$
BEGIN
    RETURN ARRAY(SELECT k.name
                   FROM iot.entity_key ek
                        JOIN iot.key k ON k.id = ek.key
                  WHERE ek.entity = entity_nr
                        AND EXISTS (SELECT FROM iot.latest_of(ek))
                  ORDER BY k.name COLLATE "C");
END
$$;


-- Makes the latest value of these keys outlive its row.  A pin does no harm
-- to a latest value that stays: the row wins over a pin of the same time.

CREATE OR REPLACE FUNCTION iot.latest_pin(entity_nr integer, keys integer[])
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
BEGIN
    UPDATE iot.entity_key ek
       SET pin_ts = v.ts, b = v.b, l = v.l, d = v.d, s = v.s
      FROM iot.entity_key o
           CROSS JOIN LATERAL iot.latest_of(o) v
     WHERE o.entity = entity_nr AND o.key = ANY (keys)
           AND ek.entity = o.entity AND ek.key = o.key
           AND (ek.pin_ts, ek.b, ek.l, ek.d, ek.s)
               IS DISTINCT FROM (v.ts, v.b, v.l, v.d, v.s);
END
$$;


SELECT iot.definer('iot.latest',
    'telemetry has no tenant; takes a resolved number');
SELECT iot.definer('iot.latest_keys',
    'telemetry has no tenant; takes a resolved number');
SELECT iot.definer('iot.latest_pin',
    'writes telemetry; takes a resolved number');
