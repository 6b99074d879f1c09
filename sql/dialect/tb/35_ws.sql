
--
-- Copyright (C) the ngx_iot authors
--
-- What a subscription over the WebSocket of the ThingsBoard API begins with.


-- A whole number of a command, also one in quotes.

CREATE OR REPLACE FUNCTION tb.ws_number(cmd json, name text) RETURNS text
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    RETURN NULLIF(cmd ->> name, '');
END
$$;


-- {"subscriptionId":id,…,"data":{"key":[[ts,"value"],…]},
--  "latestValues":{"key":ts}} of {"key":[{"ts":…,"value":…},…]}.

CREATE OR REPLACE FUNCTION tb.ws_update(id text, series json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    RETURN json_build_object(
        'subscriptionId', id::bigint, 'errorCode', 0, 'errorMsg', NULL,
        'data', COALESCE(
            (SELECT json_object_agg(k.key,
                        (SELECT COALESCE(json_agg(json_build_array(
                                    (v.value ->> 'ts')::bigint,
                                    COALESCE(v.value ->> 'value', ''))
                                    ORDER BY v.i), '[]')
                           FROM json_array_elements(k.value)
                                WITH ORDINALITY AS v (value, i)))
               FROM json_each(series) k), '{}'),
        'latestValues', COALESCE(
            (SELECT json_object_agg(k.key,
                        (SELECT max((v.value ->> 'ts')::bigint)
                           FROM json_array_elements(k.value) v))
               FROM json_each(series) k), '{}'));
END
$$;


-- kind: ATTRIBUTES, TIMESERIES, TIMESERIES_HISTORY.

CREATE OR REPLACE FUNCTION tb.ws_state(p iot.principal, kind text,
    entity_type text, entity_id text, cmd json)
RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    path       text[] := ARRAY[entity_type, entity_id];
    query      json;
    names      text[];
    scope_nr   smallint;
    entity_nr  integer;
    length     bigint;
    from_ts    bigint;
    series     json;
BEGIN
    PERFORM iot.enter(p);

    IF kind = 'ATTRIBUTES' THEN
        names := tb.query_keys(json_build_object('keys', cmd ->> 'keys'));

        IF COALESCE(cmd ->> 'scope', '') NOT IN ('', 'ANY_SCOPE') THEN
            scope_nr := tb.scope(cmd ->> 'scope');
        END IF;

        entity_nr := tb.telemetry_entity(p, entity_type, entity_id,
                                         'READ_ATTRIBUTES');

        SELECT json_object_agg(x.name, json_build_array(json_build_object(
                   'ts', x.updated_at, 'value', x.value)))
          INTO series
          FROM (SELECT DISTINCT ON (a.name) a.name, a.updated_at,
                       iot.value_string(a.b, a.l, a.d, a.s)::json AS value
                  FROM iot.attributes(entity_nr, scope_nr, names) a
                 ORDER BY a.name, a.updated_at DESC) x;

        RETURN tb.ws_update(cmd ->> 'cmdId', series);
    END IF;

    length := tb.ws_number(cmd, 'timeWindow')::bigint;

    IF kind = 'TIMESERIES' AND COALESCE(length, 0) <= 0 THEN
        query := json_build_object('keys', cmd ->> 'keys');

    ELSE
        from_ts := COALESCE(tb.ws_number(cmd, 'startTs')::bigint,
                            iot.now_ms() - length);
        query := json_build_object('keys', cmd ->> 'keys',
            'startTs', from_ts::text,
            'endTs', COALESCE(tb.ws_number(cmd, 'endTs'),
                              (from_ts + length)::text),
            'interval', tb.ws_number(cmd, 'interval'),
            'limit', tb.ws_number(cmd, 'limit'),
            'agg', cmd ->> 'agg');
    END IF;

    SELECT string_agg(t, '')::json INTO series
      FROM tb.timeseries_values(p, path, query, NULL) t;

    RETURN tb.ws_update(cmd ->> 'cmdId', series);
END
$$;
