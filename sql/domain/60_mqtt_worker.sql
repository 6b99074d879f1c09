
--
-- Copyright (C) the ngx_iot authors
--
-- Who of the workers is there.  What one that was killed has left behind, its
-- sessions and its wills, is seen to by the others, or by those who come
-- after all of them.


DROP FUNCTION IF EXISTS iot.mqtt_tick(bigint, bigint, bigint, integer, bigint,
    bigint[]);


-- What a worker had at that time: the sessions begin to expire, the wills are
-- due.

CREATE OR REPLACE FUNCTION iot.mqtt_worker_gone(gone bigint, ended bigint)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = iot, pg_temp
AS $$
BEGIN
    UPDATE iot.mqtt_session s
       SET connected = false, worker = NULL,
           expires_at = CASE WHEN s.expiry < 4294967295
                             THEN mqtt_worker_gone.ended + s.expiry * 1000 END
     WHERE s.worker = mqtt_worker_gone.gone;

    UPDATE iot.mqtt_will w
       SET due_at = mqtt_worker_gone.ended + w.delay
     WHERE w.worker = mqtt_worker_gone.gone AND w.due_at IS NULL
           AND w.taken IS NULL;

    UPDATE iot.mqtt_will w
       SET taken = NULL,
           due_at = COALESCE(w.due_at, mqtt_worker_gone.ended)
     WHERE w.taken = mqtt_worker_gone.gone;

    DELETE FROM iot.mqtt_worker k WHERE k.nr = mqtt_worker_gone.gone;
END
$$;


-- A worker says that it lives, and how far the slots of its node have come.
-- nr: its number from now on.  due: milliseconds to the next will, or -1.
--
-- Who shares a zone with us has gone when its slot has a later owner, or
-- none.  Of an earlier life of the same node, who is silent has gone.  Other
-- nodes may be silent because the database was away: they are suspected
-- first, and have time to say something.

CREATE OR REPLACE FUNCTION iot.mqtt_tick(worker bigint, node bigint,
    boot bigint, slot integer, generation bigint, generations bigint[])
RETURNS TABLE (nr bigint, due bigint)
LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = iot, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    at     bigint := iot.now_ms();
    other  record;
    self   bigint;
BEGIN
    UPDATE iot.mqtt_worker k
       SET seen_at = at, suspect_at = NULL
     WHERE k.nr = mqtt_tick.worker
    RETURNING k.nr INTO self;

    IF self IS NULL THEN
        INSERT INTO iot.mqtt_worker AS k (node, boot, slot, generation,
                                          seen_at)
        VALUES (mqtt_tick.node, mqtt_tick.boot, mqtt_tick.slot,
                mqtt_tick.generation, at)
        RETURNING k.nr INTO self;
    END IF;

    FOR other IN
        SELECT k.nr,
               CASE WHEN k.boot = mqtt_tick.boot THEN at
                    ELSE LEAST(at, k.seen_at + 12000) END AS ended
          FROM iot.mqtt_worker k
         WHERE k.nr <> self
               AND CASE WHEN k.boot = mqtt_tick.boot
                        THEN mqtt_tick.generations[k.slot + 1] > k.generation
                        WHEN k.node = mqtt_tick.node
                        THEN k.seen_at < at - 15000
                        ELSE k.suspect_at < at - 20000 END
           FOR UPDATE SKIP LOCKED
    LOOP
        PERFORM iot.mqtt_worker_gone(other.nr, other.ended);
    END LOOP;

    UPDATE iot.mqtt_worker k
       SET suspect_at = at
     WHERE k.nr IN (SELECT o.nr FROM iot.mqtt_worker o
                     WHERE o.nr <> self AND o.seen_at < at - 60000
                           AND o.suspect_at IS NULL
                       FOR UPDATE SKIP LOCKED);

    RETURN QUERY
        SELECT self,
               COALESCE((SELECT GREATEST(min(w.due_at) - at, 0)
                           FROM iot.mqtt_will w
                          WHERE w.due_at IS NOT NULL AND w.taken IS NULL),
                        -1);
END
$$;


-- These and no others are the worker's: it was taken for dead, or does not
-- know what became of a session that it tried to open.

CREATE OR REPLACE FUNCTION iot.mqtt_mine(mine bigint, sessions bigint[],
    epochs bigint[])
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = iot, pg_temp
AS $$
DECLARE
    at  bigint := iot.now_ms();
BEGIN
    UPDATE iot.mqtt_session s
       SET connected = true, worker = mqtt_mine.mine, expires_at = NULL
      FROM unnest(mqtt_mine.sessions, mqtt_mine.epochs) AS n (nr, epoch)
     WHERE s.nr = n.nr AND s.epoch = n.epoch
           AND s.worker IS DISTINCT FROM mqtt_mine.mine;

    -- nobody has got a CONNACK for these

    WITH closed AS (
        UPDATE iot.mqtt_session s
           SET connected = false, worker = NULL,
               expires_at = CASE WHEN s.expiry < 4294967295
                                 THEN at + s.expiry * 1000 END
         WHERE s.worker = mqtt_mine.mine AND s.opened_at < at - 60000
               AND NOT (s.nr = ANY (mqtt_mine.sessions))
        RETURNING s.tenant_id, s.client_id
    )
    DELETE FROM iot.mqtt_will w
     USING closed c
     WHERE w.tenant_id = c.tenant_id AND w.client_id = c.client_id
           AND w.worker = mqtt_mine.mine AND w.stored
           AND w.due_at IS NULL AND w.taken IS NULL;
END
$$;


SELECT iot.definer('iot.' || f, 'the broker serves all tenants')
  FROM unnest(ARRAY['mqtt_worker_gone', 'mqtt_tick', 'mqtt_mine']) AS f;
