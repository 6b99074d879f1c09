
--
-- Copyright (C) the ngx_iot authors
--
-- What the tables of telemetry need now and then.  A worker calls
-- iot.maintain() every minute or so; each part stops after a slice of time,
-- for the call shares its connection and its statement timeout with others.


-- Deletes rows of one key, the oldest first, at most row_limit; only those
-- without an end of their own, or every one.  Answers how many.

CREATE OR REPLACE FUNCTION iot.telemetry_cut(entity_nr integer,
    key_nr integer, to_ts bigint, every boolean, row_limit integer)
RETURNS integer
LANGUAGE plpgsql
AS $$
DECLARE
    border   bigint;
    deleted  integer;
BEGIN
    SELECT t.ts INTO border
      FROM iot.telemetry t
     WHERE t.entity = entity_nr AND t.key = key_nr AND t.ts < to_ts
           AND (every OR t.expires_at IS NULL)
     ORDER BY t.ts
    OFFSET row_limit
     LIMIT 1;

    DELETE FROM iot.telemetry t
     WHERE t.entity = entity_nr AND t.key = key_nr
           AND t.ts < COALESCE(border, to_ts)
           AND (every OR t.expires_at IS NULL);

    GET DIAGNOSTICS deleted = ROW_COUNT;

    RETURN deleted;
END
$$;


-- Deletes a slice of the rows whose own time to live is over.  Answers how
-- many.

CREATE OR REPLACE FUNCTION iot.telemetry_expire(row_limit integer)
RETURNS integer
LANGUAGE plpgsql
AS $$
DECLARE
    now_ts    bigint := iot.now_ms();
    point     record;
    deleted   integer := 0;
BEGIN
    FOR point IN
        SELECT t.entity, t.key, t.ts
          FROM iot.telemetry t
         WHERE t.expires_at <= now_ts
         ORDER BY t.expires_at
         LIMIT row_limit
    LOOP
        PERFORM iot.latest_pin(point.entity, ARRAY[point.key])
          WHERE point.ts = (SELECT t.ts
                              FROM iot.telemetry t
                             WHERE t.entity = point.entity
                                   AND t.key = point.key
                             ORDER BY t.ts DESC
                             LIMIT 1);

        DELETE FROM iot.telemetry t
         WHERE t.entity = point.entity AND t.key = point.key
               AND t.ts = point.ts AND t.expires_at <= now_ts;

        deleted := deleted + 1;
    END LOOP;

    RETURN deleted;
END
$$;


-- Deletes telemetry of entities that are gone.  A number stays listed for two
-- minutes, so that points that were on their way when their device was
-- deleted are found too.

CREATE OR REPLACE FUNCTION iot.telemetry_forget(until timestamptz)
RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    gone    record;
    key_nr  integer;
BEGIN
    FOR gone IN
        SELECT f.entity, f.gone_time
          FROM iot.telemetry_forgotten f
         WHERE f.gone_time < iot.now_ms() - 120000
         ORDER BY f.gone_time
    LOOP
        LOOP
            IF clock_timestamp() > until THEN
                RETURN;
            END IF;

            SELECT t.key INTO key_nr
              FROM iot.telemetry t
             WHERE t.entity = gone.entity
             ORDER BY t.key
             LIMIT 1;

            EXIT WHEN NOT FOUND;

            PERFORM iot.telemetry_cut(gone.entity, key_nr,
                        9223372036854775807, true, 2000);
        END LOOP;

        DELETE FROM iot.telemetry_forgotten f WHERE f.entity = gone.entity;
    END LOOP;
END
$$;


-- One slice of the walk over all keys of all entities: pins latest values
-- that are about to lose their row, deletes rows past the retention of their
-- owners (but leaves those of the longest retention of all to the drop of
-- their partition), and finds entities that are no more.

CREATE OR REPLACE FUNCTION iot.telemetry_sweep_slice(until timestamptz)
RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    sweep      iot.telemetry_sweep;
    longest    bigint := iot.retention_longest();
    now_ts     bigint := iot.now_ms();
    cutoff     bigint;
    kept       bigint;
    newest     bigint;
    last_seen  integer;
    alive      boolean;
    pair       record;
    pairs      integer;
BEGIN
    SELECT * INTO sweep FROM iot.telemetry_sweep;

    IF sweep.entity IS NULL THEN

        -- retention counts in days, so a walk a day will do
        IF sweep.started_at > now_ts - 86400000 THEN
            RETURN;
        END IF;

        sweep.entity := -1;
        sweep.key := -1;
        sweep.started_at := now_ts;
        sweep.drop_before := (SELECT max(p.upper_ts)
                                FROM iot.partitions() p
                               WHERE p.upper_ts <= now_ts - longest);
    END IF;

    <<slices>>
    LOOP
        pairs := 0;

        FOR pair IN
            SELECT ek.entity, ek.key
              FROM iot.entity_key ek
             WHERE (ek.entity, ek.key) > (sweep.entity, sweep.key)
             ORDER BY ek.entity, ek.key
             LIMIT 200
        LOOP
            EXIT slices WHEN clock_timestamp() > until;

            IF pair.entity IS DISTINCT FROM last_seen THEN
                last_seen := pair.entity;
                alive := iot.entity_exists(pair.entity);
                kept := iot.retention(pair.entity);

                IF NOT alive THEN
                    PERFORM iot.forget_entity(pair.entity);
                END IF;

                cutoff := CASE WHEN kept < longest OR longest IS NULL
                          THEN now_ts - kept END;
            END IF;

            pairs := pairs + 1;
            sweep.entity := pair.entity;
            sweep.key := pair.key;

            CONTINUE WHEN NOT alive
                          OR GREATEST(cutoff, sweep.drop_before) IS NULL;

            SELECT t.ts INTO newest
              FROM iot.telemetry t
             WHERE t.entity = pair.entity AND t.key = pair.key
             ORDER BY t.ts DESC
             LIMIT 1;

            IF newest < GREATEST(cutoff, sweep.drop_before) THEN
                PERFORM iot.latest_pin(pair.entity, ARRAY[pair.key]);
            END IF;

            WHILE cutoff IS NOT NULL LOOP
                EXIT WHEN iot.telemetry_cut(pair.entity, pair.key, cutoff,
                                            false, 1000) = 0;

                -- this pair is not done: again with the next call
                IF clock_timestamp() > until THEN
                    sweep.key := pair.key - 1;
                    EXIT slices;
                END IF;
            END LOOP;
        END LOOP;

        IF pairs = 0 THEN
            sweep.entity := NULL;
            sweep.key := NULL;

            PERFORM iot.partition_drop(sweep.drop_before);
            EXIT slices;
        END IF;
    END LOOP;

    UPDATE iot.telemetry_sweep
       SET entity = sweep.entity, key = sweep.key,
           started_at = sweep.started_at, drop_before = sweep.drop_before;
END
$$;


-- Idempotent; two calls at a time do the work of one.  Structure changes wait
-- for running statements but not long: then the next call tries again.

CREATE OR REPLACE FUNCTION iot.maintain_partitions() RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = iot, pg_temp
    SET lock_timeout = '500ms'
    SET client_min_messages = 'warning'
AS $$
BEGIN
    RETURN iot.partition_ahead();

EXCEPTION WHEN lock_not_available THEN
    RETURN 0;
END
$$;


-- True: there is so much to do that the next call should come soon.

DROP FUNCTION IF EXISTS iot.maintain();

CREATE OR REPLACE FUNCTION iot.maintain() RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = iot, pg_temp
    SET lock_timeout = '500ms'
    SET client_min_messages = 'warning'
AS $$
DECLARE
    begun  timestamptz := clock_timestamp();
    more   boolean;
BEGIN
    IF NOT pg_try_advisory_xact_lock(7165, 2) THEN
        RETURN false;
    END IF;

    -- which leaves a lock on the whole table until the end
    IF iot.maintain_partitions() > 0 THEN
        RETURN false;
    END IF;

    LOOP
        EXIT WHEN iot.telemetry_expire(500) = 0
                  OR clock_timestamp() > begun + interval '150 ms';
    END LOOP;

    PERFORM iot.telemetry_forget(begun + interval '250 ms');
    PERFORM iot.maintain_identity();
    PERFORM iot.usage_review();
    PERFORM iot.maintain_signup();
    PERFORM iot.maintain_rpc();
    PERFORM iot.maintain_job();
    PERFORM iot.maintain_alarms();

    more := iot.maintain_tenants(clock_timestamp() + interval '200 ms');

    BEGIN
        PERFORM iot.telemetry_sweep_slice(begun + interval '400 ms');

    EXCEPTION WHEN lock_not_available THEN
        RETURN more;
    END;

    RETURN more;
END
$$;


SELECT iot.definer('iot.maintain_partitions',
    'makes tables');
SELECT iot.definer('iot.maintain',
    'deletes what is expired of all tenants');
