
--
-- Copyright (C) the ngx_iot authors
--
-- Time series in the ThingsBoard API.  Path: {type},{id} and more.


CREATE OR REPLACE FUNCTION tb.timeseries_keys(p iot.principal, path text[],
    query json, body json)
RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    entity_nr  integer;
    shown      record;
BEGIN
    PERFORM iot.enter(p);

    entity_nr := tb.telemetry_entity(p, path[1], path[2], 'READ_TELEMETRY');
    shown := iot.view_window(upper(path[1]), entity_nr);

    RETURN to_json(CASE WHEN shown.nr IS NULL THEN iot.latest_keys(entity_nr)
                   ELSE ARRAY(SELECT v.name
                                FROM iot.latest_shown(shown.nr, NULL,
                                    shown.names, shown.from_ts,
                                    shown.to_ts) v) END);
END
$$;


-- Latest values, or history when the query has both ends of a range.

CREATE OR REPLACE FUNCTION tb.timeseries_values(p iot.principal, path text[],
    query json, body json)
RETURNS SETOF text
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    names      text[] := tb.query_keys(query);
    typed      boolean := tb.query_boolean(query, 'useStrictDataTypes',
                                           false);
    now_ts     bigint := iot.now_ms();
    entity_nr  integer;
    shown      record;
BEGIN
    IF tb.query_text(query, 'startTs') IS NOT NULL
       AND tb.query_text(query, 'endTs') IS NOT NULL
    THEN
        RETURN QUERY
        SELECT * FROM tb.timeseries_history(p, path, query, body);
        RETURN;
    END IF;

    PERFORM iot.enter(p);

    entity_nr := tb.telemetry_entity(p, path[1], path[2], 'READ_TELEMETRY');
    shown := iot.view_window(upper(path[1]), entity_nr);

    RETURN QUERY
    SELECT '{' || COALESCE(string_agg(
               to_json(x.name)::text || ':[{"ts":' || x.ts || ',"value":'
               || COALESCE(x.value, 'null') || '}]', ',' ORDER BY x.i), '')
           || '}'
      FROM (SELECT COALESCE(n.name, v.name) AS name,
                   COALESCE(v.ts, now_ts) AS ts,
                   CASE WHEN typed THEN iot.value_json(v.b, v.l, v.d, v.s)
                   ELSE iot.value_string(v.b, v.l, v.d, v.s) END AS value,
                   COALESCE(n.i, v.i) AS i
              FROM iot.latest_shown(COALESCE(shown.nr, entity_nr), names,
                       shown.names, shown.from_ts, shown.to_ts)
                       WITH ORDINALITY AS v (name, ts, b, l, d, s, i)
                   FULL JOIN unnest(names) WITH ORDINALITY AS n (name, i)
                       ON n.name = v.name) x;
END
$$;


-- A time zone by its name; of the forms with an offset, such as GMT+2, the
-- sign means the opposite to PostgreSQL.

CREATE OR REPLACE FUNCTION tb.time_zone(name text) RETURNS text
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    part  text[] := regexp_match(name,
                        '^(GMT|UTC|UT)?([+-])([0-9]{1,2}(:?[0-9]{2})?)$');
    zone  text := name;
BEGIN
    IF part IS NOT NULL THEN
        zone := 'UTC' || CASE part[2] WHEN '+' THEN '-' ELSE '+' END
                || part[3];
    END IF;

    PERFORM timestamp '2000-01-01' AT TIME ZONE zone;

    RETURN zone;

EXCEPTION WHEN invalid_parameter_value THEN
    PERFORM iot.fail_request('Unknown time-zone ID: ' || name);

    RETURN NULL;
END
$$;


-- The borders of the buckets of an aggregating query.

CREATE OR REPLACE FUNCTION tb.timeseries_borders(from_ts bigint,
    to_ts bigint, unit text, step bigint, zone text)
RETURNS bigint[]
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    most    bigint := iot.telemetry_setting('maxIntervals', 700);
    length  bigint;
    count   numeric;
BEGIN
    length := CASE unit
              WHEN 'WEEK' THEN 604800000
              WHEN 'WEEK_ISO' THEN 604800000
              WHEN 'MONTH' THEN 2592000000
              WHEN 'QUARTER' THEN 7776000000
              ELSE GREATEST(step, 1000)
              END;

    count := trunc((to_ts::numeric - from_ts) / length);

    IF count > most OR from_ts > to_ts THEN
        PERFORM iot.fail_request(format(
            'Incorrect TsKvQuery. Number of intervals is to high - %s. '
            'Please increase ''interval'' parameter for your query or reduce '
            'the time range of the query.', count));
    END IF;

    IF unit <> 'MILLISECONDS'
       AND (from_ts < -10000000000000 OR to_ts > 10000000000000)
    THEN
        PERFORM iot.fail_request(
            'The range of a calendar interval is too far away');
    END IF;

    RETURN iot.bucket_borders(from_ts, to_ts, unit, length,
                              tb.time_zone(zone));
END
$$;


-- {"key":[{"ts":…,"value":…},…],…} in pieces of some hundred points.

CREATE OR REPLACE FUNCTION tb.timeseries_history(p iot.principal,
    path text[], query json, body json)
RETURNS SETOF text
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    names      text[] := tb.query_keys(query);
    from_ts    bigint := tb.query_long(query, 'startTs', NULL);
    to_ts      bigint := tb.query_long(query, 'endTs', NULL);
    unit       text := tb.query_word(query, 'intervalType', 'MILLISECONDS',
                           'WEEK', 'WEEK_ISO', 'MONTH', 'QUARTER');
    step       bigint := tb.query_long(query, 'interval', 0);
    row_limit  bigint := tb.query_long(query, 'limit', 100);
    aggregate  text := tb.query_word(query, 'agg', 'NONE', 'MIN', 'MAX',
                                     'AVG', 'SUM', 'COUNT');
    newest     boolean := tb.query_word(query, 'orderBy', 'DESC', 'ASC')
                          = 'DESC';
    typed      boolean := tb.query_boolean(query, 'useStrictDataTypes',
                                           false);
    borders    bigint[];
    entity_nr  integer;
    name       text;
    key_nr     integer;
    opening    text := '{';
    piece      text;
    n          integer;
    point      record;
    shown      record;
BEGIN
    PERFORM iot.enter(p);

    IF from_ts IS NULL OR to_ts IS NULL THEN
        PERFORM iot.fail_request(format('Parameter ''%s'' can''t be empty!',
            CASE WHEN from_ts IS NULL THEN 'startTs' ELSE 'endTs' END));
    END IF;

    IF row_limit < 0 THEN
        PERFORM iot.fail_request(format(
            'Incorrect limit ''%s''. Limit must not be negative.',
            row_limit));
    END IF;

    entity_nr := tb.telemetry_entity(p, path[1], path[2], 'READ_TELEMETRY');
    shown := iot.view_window(upper(path[1]), entity_nr);

    IF shown.nr IS NOT NULL THEN
        entity_nr := shown.nr;
        names := ARRAY(SELECT n.name FROM unnest(shown.names) AS n (name)
                        WHERE names IS NULL OR n.name = ANY (names));
        from_ts := GREATEST(from_ts, shown.from_ts);
        to_ts := LEAST(to_ts, shown.to_ts + 1);

        IF from_ts >= to_ts THEN
            RETURN NEXT '{}';
            RETURN;
        END IF;
    END IF;

    names := COALESCE(names, iot.latest_keys(entity_nr));

    IF aggregate <> 'NONE' AND (step <> 0 OR unit <> 'MILLISECONDS') THEN

        IF step < 0 AND unit = 'MILLISECONDS' THEN
            PERFORM iot.fail_request(format(
                'Invalid TsKvQuery: ''interval'' must be greater than 0, but '
                'got %s. Please check your query parameters and ensure '
                '''endTs'' is greater than ''startTs'' or increase '
                '''interval'' value.', step));
        END IF;

        borders := tb.timeseries_borders(from_ts, to_ts, unit, step,
            COALESCE(tb.query_text(query, 'timeZone'), 'UTC'));
    END IF;

    FOREACH name IN ARRAY names LOOP
        key_nr := iot.key_id(name);
        CONTINUE WHEN key_nr IS NULL;

        piece := opening || to_json(name)::text || ':[';
        n := 0;

        FOR point IN
            SELECT h.ts, CASE WHEN typed
                         THEN iot.value_json(h.b, h.l, h.d, h.s)
                         ELSE iot.value_string(h.b, h.l, h.d, h.s)
                         END AS value
              FROM (SELECT t.ts, t.b, t.l, t.d, t.s
                      FROM iot.history(entity_nr, key_nr, from_ts, to_ts,
                                       row_limit, newest) t
                     WHERE borders IS NULL
                     UNION ALL
                    SELECT t.ts, NULL, t.l, t.d, t.s
                      FROM iot.history_aggregate(entity_nr, key_nr, borders,
                                                 aggregate) t
                     WHERE borders IS NOT NULL) h
        LOOP
            piece := piece || CASE WHEN n > 0 THEN ',' ELSE '' END
                     || '{"ts":' || point.ts || ',"value":' || point.value
                     || '}';
            n := n + 1;

            IF n % 250 = 0 OR octet_length(piece) > 65536 THEN
                RETURN NEXT piece;
                piece := '';
            END IF;
        END LOOP;

        IF n > 0 THEN
            RETURN NEXT piece || ']';
            opening := ',';
        END IF;
    END LOOP;

    RETURN NEXT CASE opening WHEN '{' THEN '{}' ELSE '}' END;
END
$$;


-- Points by time: [{"ts":…,"values":{…}},…].

CREATE OR REPLACE FUNCTION tb.timeseries_groups(points json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    RETURN (SELECT json_agg(g)
              FROM (SELECT (e.value ->> 1)::bigint AS ts,
                           json_object_agg(e.value ->> 0,
                               CASE e.value ->> 2
                               WHEN 'j' THEN (e.value ->> 3)::json
                               ELSE e.value -> 3 END) AS "values"
                      FROM json_array_elements(points) e
                     GROUP BY 1
                     ORDER BY 1) g);
END
$$;


-- What the audit log keeps of saved points: the points, if they are few.

CREATE OR REPLACE FUNCTION tb.timeseries_audit(points json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    IF length(points::text) > 10000 THEN
        RETURN json_build_object('points', json_array_length(points));
    END IF;

    RETURN json_build_object('timeseries', tb.timeseries_groups(points));
END
$$;


-- The worker has parsed and typed the body:
-- {"points":[[key,ts,type,value],…]}.  ttl in seconds; 0: by retention.

DROP FUNCTION IF EXISTS tb.timeseries_store(iot.principal, text[], json,
    bigint);

CREATE FUNCTION tb.timeseries_store(p iot.principal, path text[],
    body json, ttl bigint)
RETURNS iot.answer
LANGUAGE plpgsql
AS $$
DECLARE
    points     json := body -> 'points';
    entity_nr  integer;
BEGIN
    IF COALESCE(json_array_length(points), 0) = 0 THEN
        PERFORM iot.fail_request(
            'No time series data found in request body!');
    END IF;

    entity_nr := tb.telemetry_entity(p, path[1], path[2],
                                     'WRITE_TELEMETRY');

    PERFORM iot.telemetry_save(entity_nr, points,
                               iot.now_ms() + NULLIF(ttl, 0) * 1000);
    PERFORM tb.telemetry_audit(p, path[1], path[2], entity_nr,
        'TIMESERIES_UPDATED', tb.timeseries_audit(points));

    RETURN (NULL,
            (SELECT json_build_object('@publish', json_build_array(
                        iot.event_of(f.tenant_id, path[2]::uuid, 'telemetry',
                                     tb.timeseries_groups(points))))
               FROM iot.entity_face(entity_nr) f),
            NULL)::iot.answer;
END
$$;


DROP FUNCTION IF EXISTS tb.timeseries_save(iot.principal, text[], json, json);

CREATE FUNCTION tb.timeseries_save(p iot.principal, path text[],
    query json, body json)
RETURNS iot.answer
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);

    RETURN tb.timeseries_store(p, path, body, 0);
END
$$;


DROP FUNCTION IF EXISTS tb.timeseries_save_ttl(iot.principal, text[], json,
    json);

CREATE FUNCTION tb.timeseries_save_ttl(p iot.principal,
    path text[], query json, body json)
RETURNS iot.answer
LANGUAGE plpgsql
AS $$
DECLARE
    ttl  bigint;
BEGIN
    PERFORM iot.enter(p);

    ttl := tb.query_long(json_build_object('ttl', path[4]), 'ttl', 0);

    -- three thousand years are as good as for ever, and cannot overflow
    IF ttl NOT BETWEEN 0 AND 100000000000 THEN
        PERFORM iot.fail_request('Invalid ttl: ' || path[4]);
    END IF;

    RETURN tb.timeseries_store(p, path, body, ttl);
END
$$;


CREATE OR REPLACE FUNCTION tb.timeseries_delete(p iot.principal, path text[],
    query json, body json)
RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    names      text[] := tb.query_keys(query);
    every      boolean := tb.query_boolean(query, 'deleteAllDataForKeys',
                                           false);
    from_ts    bigint := tb.query_long(query, 'startTs', NULL);
    to_ts      bigint := tb.query_long(query, 'endTs', NULL);
    entity_nr  integer;
BEGIN
    PERFORM iot.enter(p);

    IF names IS NULL THEN
        PERFORM iot.fail_request('Empty keys: []');
    END IF;

    IF every THEN
        from_ts := -9223372036854775808;
        to_ts := 9223372036854775807;

    ELSIF from_ts IS NULL OR to_ts IS NULL THEN
        PERFORM iot.fail_request('When deleteAllDataForKeys is false, start '
            'and end timestamp values shouldn''t be empty');
    END IF;

    entity_nr := tb.telemetry_entity(p, path[1], path[2],
                                     'WRITE_TELEMETRY');

    PERFORM iot.telemetry_delete(entity_nr, names, from_ts, to_ts,
        tb.query_boolean(query, 'deleteLatest', true),
        tb.query_boolean(query, 'rewriteLatestIfDeleted', false));

    PERFORM tb.telemetry_audit(p, path[1], path[2], entity_nr,
        'TIMESERIES_DELETED',
        json_build_object('keys', names, 'startTs',
            CASE WHEN NOT every THEN from_ts END, 'endTs',
            CASE WHEN NOT every THEN to_ts END));

    RETURN NULL;
END
$$;
