
--
-- Copyright (C) the ngx_iot authors
--
-- Points saved by people, in the transaction of their call.  Those of devices
-- come in batches (31_ingest.sql).
--
-- points: [[key, ts, type, value], …] with type b, l, d, s, j (value of j:
-- the JSON text as a string); of equal key and ts the last one counts.
-- expire_time: NULL: by the retention of the owner.


CREATE OR REPLACE FUNCTION iot.telemetry_save(entity_nr integer, points json,
    expire_time bigint)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
DECLARE
    names  text[];
    ids    integer[];
BEGIN
    names := ARRAY(SELECT DISTINCT e.value ->> 0
                     FROM json_array_elements(points) e);
    ids := iot.key_ids(names);

    INSERT INTO iot.telemetry AS t (entity, key, ts, b, l, d, s, expires_at)
    SELECT DISTINCT ON (k.id, p.ts) entity_nr, k.id, p.ts,
           CASE p.type WHEN 'b' THEN p.value::boolean WHEN 'j' THEN true END,
           CASE p.type WHEN 'l' THEN p.value::bigint END,
           CASE p.type WHEN 'd' THEN p.value::double precision END,
           CASE WHEN p.type IN ('s', 'j') THEN p.value END,
           expire_time
      FROM (SELECT e.value ->> 0 AS name, (e.value ->> 1)::bigint AS ts,
                   e.value ->> 2 AS type, e.value ->> 3 AS value, e.i
              FROM json_array_elements(points)
                   WITH ORDINALITY AS e (value, i)) p
           JOIN unnest(names, ids) AS k (name, id) ON k.name = p.name
     ORDER BY k.id, p.ts, p.i DESC
        ON CONFLICT (entity, key, ts) DO UPDATE
       SET b = EXCLUDED.b, l = EXCLUDED.l, d = EXCLUDED.d, s = EXCLUDED.s,
           expires_at = EXCLUDED.expires_at;

    PERFORM iot.ingest_keys(array_agg(entity_nr), array_agg(k.id),
                            array_agg((e.value ->> 1)::bigint))
       FROM json_array_elements(points) e
            JOIN unnest(names, ids) AS k (name, id)
                ON k.name = e.value ->> 0;
END
$$;


SELECT iot.definer('iot.telemetry_save',
    'writes telemetry; takes a resolved number');
