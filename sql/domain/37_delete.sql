
--
-- Copyright (C) the ngx_iot authors
--
-- Deletes of telemetry.  Workers remember which keys of an entity they have
-- registered; "keys <nr>" tells them to forget, so that a point below a new
-- floor is registered again.


-- Deletes the points of these keys from from_ts (inclusive) to to_ts
-- (exclusive).  When the latest value lies in the range:
-- - rewrite_latest: the newest point that remains takes its place
-- - delete_latest, no rewrite: there is no latest value until a newer point
-- - else it stays, though its point is gone

CREATE OR REPLACE FUNCTION iot.telemetry_delete(entity_nr integer,
    names text[], from_ts bigint, to_ts bigint, delete_latest boolean,
    rewrite_latest boolean)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
DECLARE
    key_nrs  integer[];
    hit      integer[];
BEGIN
    key_nrs := ARRAY(SELECT k.id FROM iot.key k
                      WHERE k.name = ANY (names)
                      ORDER BY k.id);

    PERFORM FROM iot.entity_key ek
      WHERE ek.entity = entity_nr AND ek.key = ANY (key_nrs)
      ORDER BY ek.key
        FOR UPDATE;

    hit := ARRAY(SELECT ek.key
                   FROM iot.entity_key ek
                        CROSS JOIN LATERAL iot.latest_of(ek) v
                  WHERE ek.entity = entity_nr AND ek.key = ANY (key_nrs)
                        AND v.ts >= from_ts AND v.ts < to_ts);

    IF NOT delete_latest THEN
        PERFORM iot.latest_pin(entity_nr, hit);

    ELSIF rewrite_latest THEN
        UPDATE iot.entity_key ek
           SET floor_ts = NULL, pin_ts = NULL,
               b = NULL, l = NULL, d = NULL, s = NULL
         WHERE ek.entity = entity_nr AND ek.key = ANY (hit);

    ELSE
        UPDATE iot.entity_key ek
           SET floor_ts = (SELECT v.ts FROM iot.latest_of(ek) v),
               pin_ts = NULL, b = NULL, l = NULL, d = NULL, s = NULL
         WHERE ek.entity = entity_nr AND ek.key = ANY (hit);
    END IF;

    DELETE FROM iot.telemetry t
     WHERE t.entity = entity_nr AND t.key = ANY (key_nrs)
           AND t.ts >= from_ts AND t.ts < to_ts;

    PERFORM pg_notify('iot', 'keys ' || entity_nr);
END
$$;


-- The entity is gone: its attributes and keys at once, so that nothing of it
-- can be found; its telemetry, which may be millions of rows, by
-- iot.maintain() within minutes.  A number is never given again.

CREATE OR REPLACE FUNCTION iot.forget_entity(entity_nr integer)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
BEGIN
    DELETE FROM iot.attribute a WHERE a.entity = entity_nr;
    DELETE FROM iot.entity_key ek WHERE ek.entity = entity_nr;

    INSERT INTO iot.telemetry_forgotten (entity)
    VALUES (entity_nr)
        ON CONFLICT DO NOTHING;

    PERFORM pg_notify('iot', 'keys ' || entity_nr);
END
$$;


SELECT iot.definer('iot.telemetry_delete',
    'writes telemetry; takes a resolved number');
SELECT iot.definer('iot.forget_entity',
    'writes telemetry; takes a resolved number');
