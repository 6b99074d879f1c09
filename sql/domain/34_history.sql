
--
-- Copyright (C) the ngx_iot authors
--
-- History of one key of one entity, from from_ts (inclusive) to to_ts
-- (exclusive).  What is past its retention is not seen, deleted or not.


-- The number of a key; NULL: nobody ever used this name.

CREATE OR REPLACE FUNCTION iot.key_id(key_name text) RETURNS integer
LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = iot, pg_temp
AS $$
BEGIN
    RETURN (SELECT k.id FROM iot.key k WHERE k.name = key_name);
END
$$;


-- Where the rows without an end of their own begin to be visible.

CREATE OR REPLACE FUNCTION iot.history_begin(entity_nr integer)
RETURNS bigint
LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN COALESCE(iot.now_ms() - iot.retention(entity_nr),
                    -9223372036854775808);
END
$$;


-- Points in the order of ts, newest first if so wished; row_limit NULL: all.

CREATE OR REPLACE FUNCTION iot.history(entity_nr integer, key_nr integer,
    from_ts bigint, to_ts bigint, row_limit bigint, newest_first boolean)
RETURNS TABLE (ts bigint, b boolean, l bigint, d double precision, s text)
LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = iot, pg_temp
    SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
    now_ts    bigint := iot.now_ms();
    begin_ts  bigint := iot.history_begin(entity_nr);
BEGIN
    IF newest_first THEN
        RETURN QUERY
        SELECT t.ts, t.b, t.l, t.d, t.s
          FROM iot.telemetry t
         WHERE t.entity = entity_nr AND t.key = key_nr
               AND t.ts >= from_ts AND t.ts < to_ts
               AND CASE WHEN t.expires_at IS NULL THEN t.ts >= begin_ts
                   ELSE t.expires_at > now_ts END
         ORDER BY t.ts DESC
         LIMIT row_limit;

    ELSE
        RETURN QUERY
        SELECT t.ts, t.b, t.l, t.d, t.s
          FROM iot.telemetry t
         WHERE t.entity = entity_nr AND t.key = key_nr
               AND t.ts >= from_ts AND t.ts < to_ts
               AND CASE WHEN t.expires_at IS NULL THEN t.ts >= begin_ts
                   ELSE t.expires_at > now_ts END
         ORDER BY t.ts
         LIMIT row_limit;
    END IF;
END
$$;


-- The borders of buckets: from_ts, …, to_ts, ascending, one more than buckets.
-- unit: MILLISECONDS (steps of step ms, anchored at from_ts), WEEK (from
-- Sunday), WEEK_ISO (from Monday), MONTH, QUARTER (of the calendar in zone,
-- first and last clipped to the range).

CREATE OR REPLACE FUNCTION iot.bucket_borders(from_ts bigint, to_ts bigint,
    unit text, step bigint, zone text)
RETURNS bigint[]
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    field   text;
    stride  interval;
    shift   interval := interval '0';
    mark    timestamp;
    middle  bigint[];
BEGIN
    IF from_ts >= to_ts THEN
        RETURN ARRAY[]::bigint[];
    END IF;

    IF unit = 'MILLISECONDS' THEN
        RETURN ARRAY(SELECT generate_series(from_ts, to_ts - 1, step))
               || to_ts;
    END IF;

    CASE unit
    WHEN 'WEEK' THEN
        field := 'week';
        stride := interval '7 days';
        shift := interval '1 day';
    WHEN 'WEEK_ISO' THEN
        field := 'week';
        stride := interval '7 days';
    WHEN 'MONTH' THEN
        field := 'month';
        stride := interval '1 month';
    WHEN 'QUARTER' THEN
        field := 'quarter';
        stride := interval '3 months';
    END CASE;

    mark := date_trunc(field, (to_timestamp(from_ts / 1000.0)
                               AT TIME ZONE zone) + shift) - shift;

    middle := ARRAY(
        SELECT e.ms
          FROM generate_series(mark, (to_timestamp(to_ts / 1000.0)
                                      AT TIME ZONE zone), stride) AS g (at)
               CROSS JOIN LATERAL (
                   SELECT (extract(epoch FROM g.at AT TIME ZONE zone)
                           * 1000)::bigint AS ms) e
         WHERE e.ms > from_ts AND e.ms < to_ts
         ORDER BY e.ms);

    RETURN from_ts || middle || to_ts;
END
$$;


-- One value for each bucket that has any, ascending; ts is the middle of the
-- bucket.  aggregate: MIN, MAX, AVG, SUM, COUNT.
-- - AVG and SUM of numbers (booleans, strings, JSON count for nothing)
-- - MIN and MAX of numbers if there are any, else of strings, byte by byte
-- - a SUM, MIN, MAX of nothing but LONG is LONG (a SUM beyond it is DOUBLE)
-- - COUNT of all points

CREATE OR REPLACE FUNCTION iot.history_aggregate(entity_nr integer,
    key_nr integer, borders bigint[], aggregate text)
RETURNS TABLE (ts bigint, l bigint, d double precision, s text)
LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = iot, pg_temp
    SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
    now_ts    bigint := iot.now_ms();
    begin_ts  bigint := iot.history_begin(entity_nr);
    from_ts   bigint := borders[1];
    to_ts     bigint := borders[array_upper(borders, 1)];
    total     numeric;
    bucket    record;
BEGIN
    FOR bucket IN
        SELECT width_bucket(t.ts, borders) AS i, count(*) AS n,
               count(t.l) AS longs, count(t.d) AS doubles,
               sum(t.l) AS l_sum, sum(t.d) AS d_sum,
               min(t.l) AS l_min, max(t.l) AS l_max,
               min(t.d) AS d_min, max(t.d) AS d_max,
               min(t.s COLLATE "C") FILTER (WHERE t.b IS NULL) AS s_min,
               max(t.s COLLATE "C") FILTER (WHERE t.b IS NULL) AS s_max
          FROM iot.telemetry t
         WHERE t.entity = entity_nr AND t.key = key_nr
               AND t.ts >= from_ts AND t.ts < to_ts
               AND CASE WHEN t.expires_at IS NULL THEN t.ts >= begin_ts
                   ELSE t.expires_at > now_ts END
         GROUP BY 1
         ORDER BY 1
    LOOP
        ts := borders[bucket.i]
              + (borders[bucket.i + 1] - borders[bucket.i]) / 2;
        l := NULL;
        d := NULL;
        s := NULL;

        IF aggregate = 'COUNT' THEN
            l := bucket.n;

        ELSIF bucket.longs + bucket.doubles = 0 THEN
            CASE aggregate
            WHEN 'MIN' THEN s := bucket.s_min;
            WHEN 'MAX' THEN s := bucket.s_max;
            ELSE NULL;
            END CASE;

        ELSIF aggregate = 'AVG' THEN
            IF bucket.doubles = 0 THEN
                d := bucket.l_sum / bucket.longs;

            ELSE
                d := (COALESCE(bucket.l_sum, 0)::double precision
                      + bucket.d_sum) / (bucket.longs + bucket.doubles);
            END IF;

        ELSIF bucket.doubles = 0 THEN
            total := CASE aggregate WHEN 'SUM' THEN bucket.l_sum
                     WHEN 'MIN' THEN bucket.l_min ELSE bucket.l_max END;

            IF total BETWEEN -9223372036854775808 AND 9223372036854775807
            THEN
                l := total;

            ELSE
                d := total;
            END IF;

        ELSE
            d := CASE aggregate
                 WHEN 'SUM' THEN COALESCE(bucket.l_sum, 0)::double precision
                                 + bucket.d_sum
                 WHEN 'MIN' THEN LEAST(bucket.l_min::double precision,
                                       bucket.d_min)
                 ELSE GREATEST(bucket.l_max::double precision,
                               bucket.d_max) END;
        END IF;

        IF num_nonnulls(l, d, s) > 0 THEN
            RETURN NEXT;
        END IF;
    END LOOP;
END
$$;


SELECT iot.definer('iot.key_id',
    'the dictionary of keys is shared by all tenants');
SELECT iot.definer('iot.history',
    'telemetry has no tenant; takes a resolved number');
SELECT iot.definer('iot.history_aggregate',
    'telemetry has no tenant; takes a resolved number');
