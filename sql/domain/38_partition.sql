
--
-- Copyright (C) the ngx_iot authors
--
-- Partitions of iot.telemetry.  The only dynamic SQL of the domain: names and
-- borders of tables cannot be parameters.
--
-- Setting "telemetry", member partition: "day", "week" or "month" (default).


CREATE OR REPLACE FUNCTION iot.partitions()
RETURNS TABLE (name text, lower_ts bigint, upper_ts bigint)
LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN QUERY
    SELECT p.relname::text, NULLIF(m[1], 'MINVALUE')::bigint,
           NULLIF(m[2], 'MAXVALUE')::bigint
      FROM (SELECT c.relname,
                   regexp_match(pg_get_expr(c.relpartbound, c.oid),
                       'FROM \(''?(-?\d+|MINVALUE)''?\)'
                       ' TO \(''?(-?\d+|MAXVALUE)''?\)') AS m
              FROM pg_catalog.pg_inherits i
                   JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid
             WHERE i.inhparent = 'iot.telemetry'::regclass) p
     ORDER BY 2 NULLS FIRST;
END
$$;


-- Splits the last partition until the next month (week, day) has its own.
-- Answers how many were made.

CREATE OR REPLACE FUNCTION iot.partition_ahead() RETURNS integer
LANGUAGE plpgsql
AS $$
DECLARE
    unit    text;
    border  bigint;
    upper   bigint;
    made    integer := 0;
BEGIN
    SELECT s.value ->> 'partition' INTO unit
      FROM iot.setting s
     WHERE s.tenant_id IS NULL AND s.name = 'telemetry';

    IF unit IS NULL OR unit NOT IN ('day', 'week', 'month') THEN
        unit := 'month';
    END IF;

    LOOP
        SELECT p.lower_ts INTO border
          FROM iot.partitions() p
         WHERE p.upper_ts IS NULL;

        EXIT WHEN border > iot.unit_start(iot.now_ms(), unit, 1);

        upper := iot.unit_start(border, unit, 1);

        ALTER TABLE iot.telemetry DETACH PARTITION iot.telemetry_last;

        EXECUTE format('CREATE TABLE iot.%I PARTITION OF iot.telemetry'
                       ' FOR VALUES FROM (%s) TO (%s)',
                       iot.partition_name(border), border, upper);

        WITH moved AS (
            DELETE FROM iot.telemetry_last t
             WHERE t.ts < upper
            RETURNING t.*
        )
        INSERT INTO iot.telemetry
        SELECT * FROM moved;

        EXECUTE format('ALTER TABLE iot.telemetry'
                       ' ATTACH PARTITION iot.telemetry_last'
                       ' FOR VALUES FROM (%s) TO (MAXVALUE)', upper);
        made := made + 1;
    END LOOP;

    RETURN made;
END
$$;


-- The start (UTC) of the day, week or month of ts, plus that many units.

CREATE OR REPLACE FUNCTION iot.unit_start(ts bigint, unit text,
    plus integer)
RETURNS bigint
LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN extract(epoch FROM
               (date_trunc(unit, to_timestamp(ts / 1000.0)
                                 AT TIME ZONE 'UTC')
                + ('1 ' || unit)::interval * plus)
               AT TIME ZONE 'UTC') * 1000;
END
$$;


CREATE OR REPLACE FUNCTION iot.partition_name(border bigint) RETURNS text
LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN 'telemetry_' || to_char(to_timestamp(border / 1000.0)
                                   AT TIME ZONE 'UTC', 'YYYYMMDD');
END
$$;


-- Drops the partitions that end at or before drop_before, oldest first, up to
-- the first one with a row whose own time to live is not over.  The partition
-- that reaches down to MINVALUE is emptied and takes over their range, for a
-- late point must find a place.  Answers how many were dropped.

CREATE OR REPLACE FUNCTION iot.partition_drop(drop_before bigint)
RETURNS integer
LANGUAGE plpgsql
AS $$
DECLARE
    part     record;
    border   bigint;
    now_ts   bigint := iot.now_ms();
    kept     boolean;
    filled   boolean;
    doomed   text[] := ARRAY[]::text[];
BEGIN
    FOR part IN SELECT * FROM iot.partitions() p
                 WHERE p.upper_ts <= drop_before
                 ORDER BY p.upper_ts
    LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM iot.%I'
                       ' WHERE expires_at > %s)', part.name, now_ts)
           INTO kept;
        EXIT WHEN kept;

        border := part.upper_ts;

        IF part.lower_ts IS NOT NULL THEN
            doomed := doomed || part.name;
        END IF;
    END LOOP;

    IF border IS NULL THEN
        RETURN 0;
    END IF;

    IF cardinality(doomed) = 0 THEN
        SELECT EXISTS (SELECT FROM iot.telemetry_first) INTO filled;

        IF filled THEN
            TRUNCATE iot.telemetry_first;
        END IF;

        RETURN 0;
    END IF;

    ALTER TABLE iot.telemetry DETACH PARTITION iot.telemetry_first;

    FOR i IN 1 .. cardinality(doomed) LOOP
        EXECUTE format('DROP TABLE iot.%I', doomed[i]);
    END LOOP;

    TRUNCATE iot.telemetry_first;

    EXECUTE format('ALTER TABLE iot.telemetry'
                   ' ATTACH PARTITION iot.telemetry_first'
                   ' FOR VALUES FROM (MINVALUE) TO (%s)', border);

    RETURN cardinality(doomed);
END
$$;
