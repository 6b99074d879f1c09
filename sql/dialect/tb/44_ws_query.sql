
--
-- Copyright (C) the ngx_iot authors
--
-- Subscriptions to queries over the WebSocket of the ThingsBoard API.  The
-- worker keeps the command, calls tb.ws_query() for the whole answer, and
-- tb.ws_changes() with what has happened since.


-- The common end of all messages.

CREATE OR REPLACE FUNCTION tb.ws_message(cmd json, kind text, more json)
RETURNS json
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    RETURN (json_build_object('cmdId', (cmd ->> 'cmdId')::bigint)::jsonb
            || more::jsonb
            || jsonb_build_object('errorCode', 0, 'errorMsg', NULL,
                                  'cmdUpdateType', kind))::json;
END
$$;


-- The query, whose latest values are also those of the command.

CREATE OR REPLACE FUNCTION tb.ws_body(cmd json) RETURNS json
LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
    query  json := cmd -> 'query';
    size   integer;
BEGIN
    IF json_typeof(query) IS DISTINCT FROM 'object' THEN
        PERFORM iot.fail_request('Query is missing!');
    END IF;

    size := LEAST((tb.query_page(query -> 'pageLink')).size, 10000);

    RETURN (query::jsonb
            || jsonb_build_object(
                'pageLink', (query -> 'pageLink')::jsonb
                            || jsonb_build_object('pageSize', size),
                'latestValues', COALESCE(
                    (SELECT jsonb_agg(DISTINCT k::jsonb)
                       FROM (SELECT tb.elements(query, 'latestValues') AS k
                              UNION ALL
                             SELECT tb.elements(cmd -> 'latestCmd', 'keys'))
                            x), '[]')))::json;
END
$$;


-- {"key":[{"ts","value"},...]} of a command with keys and a range; each key
-- is there.

CREATE OR REPLACE FUNCTION tb.ws_series(p iot.principal, entity_type text,
    entity_id uuid, cmd json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    names   text[] := tb.text_list(cmd, 'keys');
    path    text[] := ARRAY[entity_type, entity_id::text];
    from_   bigint := tb.long(cmd, 'startTs');
    span    bigint := tb.long(cmd, 'timeWindow');
    to_     bigint := tb.long(cmd, 'endTs');
    series  json;
    before  json;
BEGIN
    from_ := COALESCE(from_, iot.now_ms() - span, 0);
    to_ := COALESCE(to_, GREATEST(from_ + span, iot.now_ms() + 1));

    SELECT string_agg(t, '')::json INTO series
      FROM tb.timeseries_history(p, path, json_build_object(
               'key', to_json(names), 'startTs', from_::text,
               'endTs', to_::text, 'interval', tb.long(cmd, 'interval')::text,
               'intervalType', cmd ->> 'intervalType',
               'timeZone', cmd ->> 'timeZoneId',
               'limit', tb.long(cmd, 'limit')::text,
               'agg', cmd ->> 'agg'), NULL) t;

    IF cmd ->> 'fetchLatestPreviousPoint' = 'true' THEN
        SELECT string_agg(t, '')::json INTO before
          FROM tb.timeseries_history(p, path, json_build_object(
                   'key', to_json(names), 'startTs', '0',
                   'endTs', from_::text, 'limit', '1'), NULL) t;
    END IF;

    RETURN COALESCE(
        (SELECT json_object_agg(n.name,
                    COALESCE((series -> n.name)::jsonb, '[]')
                    || COALESCE((before -> n.name)::jsonb, '[]'))
           FROM unnest(names) n (name)), '{}');
END
$$;


-- One aggregate over a range: {"ts","value"}.

CREATE OR REPLACE FUNCTION tb.ws_aggregate(p iot.principal,
    entity_type text, entity_id uuid, name text, agg text, from_ bigint,
    to_ bigint) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    series  json;
BEGIN
    IF from_ IS NOT NULL AND to_ > from_ THEN
        SELECT string_agg(t, '')::json INTO series
          FROM tb.timeseries_history(p, ARRAY[entity_type, entity_id::text],
                   json_build_object('key', json_build_array(name),
                       'startTs', from_::text, 'endTs', to_::text,
                       'interval', GREATEST(to_ - from_, 1000)::text,
                       'limit', '1', 'agg', agg), NULL) t;
    END IF;

    RETURN COALESCE(series -> name -> 0, '{"ts":0,"value":""}');
END
$$;


-- {"id":{"current":{...},"previous":{...}},...} of aggHistoryCmd, aggTsCmd.

CREATE OR REPLACE FUNCTION tb.ws_aggregates(p iot.principal,
    entity_type text, entity_id uuid, cmd json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    from_  bigint := tb.long(cmd, 'startTs');
    to_    bigint := COALESCE(tb.long(cmd, 'endTs'),
                              from_ + tb.long(cmd, 'timeWindow'));
BEGIN
    RETURN COALESCE(
        (SELECT json_object_agg(COALESCE(k ->> 'id', k ->> 'key'),
                    json_build_object(
                        'current',
                        CASE WHEN k ->> 'previousValueOnly' = 'true'
                        THEN NULL
                        ELSE tb.ws_aggregate(p, entity_type, entity_id,
                                 k ->> 'key', k ->> 'agg', from_, to_) END,
                        'previous',
                        CASE WHEN tb.long(k, 'previousStartTs') IS NOT NULL
                        THEN tb.ws_aggregate(p, entity_type, entity_id,
                                 k ->> 'key', k ->> 'agg',
                                 tb.long(k, 'previousStartTs'),
                                 tb.long(k, 'previousEndTs')) END))
           FROM tb.elements(cmd, 'keys') k
          WHERE k ->> 'key' IS NOT NULL), '{}');
END
$$;


-- Which events matter, as letters: T and A telemetry and attributes of what
-- is shown, t and a those of any entity, e the entities themselves, m alarms.

CREATE OR REPLACE FUNCTION tb.ws_flags(kind text, cmd json, body json)
RETURNS text
LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
    tested  text[] := ARRAY(
        SELECT k -> 'key' ->> 'type' FROM tb.elements(body, 'keyFilters') k)
        || (body #>> '{pageLink,sortOrder,key,type}');
    shown   text[] := ARRAY(
        SELECT k ->> 'type' FROM tb.elements(body, 'latestValues') k);
    flags   text := '';
BEGIN
    IF kind IN ('ALARM_DATA', 'ALARM_COUNT') THEN
        RETURN 'me';
    END IF;

    IF kind = 'ENTITY_DATA' THEN
        IF 'TIME_SERIES' = ANY (shown)
           OR json_typeof(cmd -> 'tsCmd') = 'object'
        THEN
            flags := 'T';
        END IF;

        IF shown && ARRAY['ATTRIBUTE', 'CLIENT_ATTRIBUTE',
                          'SHARED_ATTRIBUTE', 'SERVER_ATTRIBUTE']
        THEN
            flags := flags || 'A';
        END IF;

        IF body #>> '{pageLink,dynamic}' IS DISTINCT FROM 'true' THEN
            RETURN flags;
        END IF;
    END IF;

    IF 'TIME_SERIES' = ANY (tested) THEN
        flags := flags || 't';
    END IF;

    IF tested && ARRAY['ATTRIBUTE', 'CLIENT_ATTRIBUTE', 'SHARED_ATTRIBUTE',
                       'SERVER_ATTRIBUTE']
    THEN
        flags := flags || 'a';
    END IF;

    RETURN flags || 'e';
END
$$;


-- The page of an ENTITY_DATA command.

CREATE OR REPLACE FUNCTION tb.ws_entities(p iot.principal, cmd json,
    body json, OUT page json, OUT ids text, OUT digest text)
LANGUAGE plpgsql
AS $$
DECLARE
    link    record := tb.query_page(body -> 'pageLink');
    found_  record;
    range_  json := COALESCE(cmd -> 'tsCmd', cmd -> 'historyCmd');
    sums    json := COALESCE(cmd -> 'aggTsCmd', cmd -> 'aggHistoryCmd');
BEGIN
    SELECT f.items, f.total INTO found_
      FROM iot.query_find(p, tb.query_in(p, body), tb.query_fields(body),
                          link.size, link.page) f;

    page := tb.query_envelope(
        (SELECT json_agg(json_build_object('entityId', d.entity_id,
                    'latest', d.latest,
                    'timeseries', CASE json_typeof(range_) WHEN 'object'
                        THEN tb.ws_series(p, i.entity_type, i.id, range_)
                        ELSE '{}' END,
                    'aggLatest', CASE json_typeof(sums) WHEN 'object'
                        THEN tb.ws_aggregates(p, i.entity_type, i.id, sums)
                        ELSE '{}' END) ORDER BY d.i)
           FROM tb.query_data(found_.items, body) d
                JOIN unnest(found_.items) WITH ORDINALITY
                    AS i (entity_type, id, nr, fields, i) ON i.i = d.i),
        found_.total, link.size, link.page);

    SELECT string_agg(i.id::text, '' ORDER BY i.id::text COLLATE "C"),
           md5(found_.total || COALESCE(string_agg(i::text, ','), ''))
      INTO ids, digest
      FROM unnest(found_.items) i;
END
$$;


CREATE OR REPLACE FUNCTION tb.ws_alarm_status(p iot.principal, cmd json)
RETURNS boolean
LANGUAGE plpgsql
AS $$
DECLARE
    originator  json := cmd -> 'originatorId';
BEGIN
    RETURN iot.query_alarm_count(p,
        jsonb_build_object('source', jsonb_build_object(
            'types', jsonb_build_array(upper(originator ->> 'entityType')),
            'ids', jsonb_build_array(tb.uuid(originator ->> 'id'))),
            'filters', '[]'::jsonb),
        tb.alarm_query_in(p, (cmd::jsonb || '{"statusList":["ACTIVE"]}')
                             ::json)) > 0;
END
$$;


-- The whole answer to a command, which has its query; ids: of the entities
-- that are shown, sorted, 36 characters each; flags: see tb.ws_flags();
-- digest: equal when nothing is new but values.

CREATE OR REPLACE FUNCTION tb.ws_query(p iot.principal, kind text, cmd json)
RETURNS TABLE (message text, ids text, flags text, digest text)
LANGUAGE plpgsql
AS $$
#variable_conflict use_variable
DECLARE
    body   json;
    shown  record;
    value  json;
BEGIN
    PERFORM iot.enter(p);

    CASE kind
    WHEN 'NOTIFICATIONS' THEN
        message := tb.ws_message(cmd, kind, '{"update":null,
            "notifications":[],"totalUnreadCount":0,"sequenceNumber":1}');

    WHEN 'NOTIFICATIONS_COUNT' THEN
        message := tb.ws_message(cmd, kind,
            '{"totalUnreadCount":0,"sequenceNumber":1}');

    WHEN 'ALARM_STATUS' THEN
        PERFORM iot.need_role(p, 'TENANT_ADMIN', 'CUSTOMER_USER');
        digest := tb.ws_alarm_status(p, cmd)::text;
        message := tb.ws_message(cmd, kind,
            json_build_object('active', digest::boolean));
        flags := 'me';

    WHEN 'ENTITY_DATA' THEN
        body := tb.ws_body(cmd);
        shown := tb.ws_entities(p, cmd, body);
        message := tb.ws_message(cmd, kind, json_build_object(
            'data', shown.page, 'update', NULL, 'allowedEntities', 10000));
        ids := shown.ids;
        digest := shown.digest;
        flags := tb.ws_flags(kind, cmd, body);

    WHEN 'ENTITY_COUNT' THEN
        value := to_json(iot.query_count(p, tb.query_in(p, cmd -> 'query')));
        message := tb.ws_message(cmd, 'COUNT_DATA',
            json_build_object('count', value));
        digest := value::text;
        flags := tb.ws_flags(kind, cmd, cmd -> 'query');

    WHEN 'ALARM_COUNT' THEN
        PERFORM iot.need_role(p, 'TENANT_ADMIN', 'CUSTOMER_USER');
        PERFORM tb.need_object(cmd -> 'query');
        value := to_json(iot.query_alarm_count(p,
            tb.alarm_query_entities(p, cmd -> 'query'),
            tb.alarm_query_in(p, cmd -> 'query')));
        message := tb.ws_message(cmd, 'ALARM_COUNT_DATA',
            json_build_object('count', value));
        digest := value::text;
        flags := 'me';

    WHEN 'ALARM_DATA' THEN
        PERFORM iot.need_role(p, 'TENANT_ADMIN', 'CUSTOMER_USER');
        body := tb.ws_body(cmd);
        value := tb.alarm_query_page(p, body);
        message := tb.ws_message(cmd, kind, json_build_object(
            'data', value, 'update', NULL, 'allowedEntities', 10000,
            'totalEntities', iot.query_count(p,
                tb.alarm_query_entities(p, body))));
        digest := md5(regexp_replace(value::text, '"ENTITY_FIELD": *'
            '\{[^}]*\}', '', 'g'));
        flags := tb.ws_flags(kind, cmd, body);
    END CASE;

    RETURN NEXT;
END
$$;


-- What an event has changed: names of telemetry, or of attributes of the
-- scopes "client", "shared", "server".

CREATE OR REPLACE FUNCTION tb.ws_changed(event text, data json)
RETURNS SETOF text
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    IF event = 'telemetry' THEN
        RETURN QUERY
        SELECT DISTINCT k
          FROM json_array_elements(data) d
               CROSS JOIN LATERAL json_object_keys(d.value -> 'values') k;

    ELSIF json_typeof(data -> 'deleted') = 'array' THEN
        RETURN QUERY
        SELECT d.value FROM json_array_elements_text(data -> 'deleted') d;

    ELSE
        RETURN QUERY SELECT json_object_keys(data);
    END IF;
END
$$;


-- events: [{"entity","event","data"},...], of entities that are shown.  The
-- message with what of it the subscriber wants, or NULL.

CREATE OR REPLACE FUNCTION tb.ws_changes(p iot.principal, cmd json,
    events json) RETURNS text
LANGUAGE plpgsql
AS $$
DECLARE
    body     json := tb.ws_body(cmd);
    points   text[] := tb.text_list(cmd -> 'tsCmd', 'keys');
    updates  jsonb := '{}'::jsonb;
    part     record;
    found_   record;
    series   record;
BEGIN
    PERFORM iot.enter(p);

    FOR part IN
        SELECT x.keys, jsonb_agg(x.entity) AS entities
          FROM (SELECT e.value ->> 'entity' AS entity,
                       jsonb_agg(DISTINCT w.key::jsonb) AS keys
                  FROM json_array_elements(events) e
                       CROSS JOIN LATERAL tb.ws_changed(
                           e.value ->> 'event', e.value -> 'data') c (name)
                       JOIN tb.elements(body, 'latestValues') w (key)
                           ON w.key ->> 'key' = c.name
                              AND CASE e.value ->> 'event'
                                  WHEN 'telemetry' THEN
                                      w.key ->> 'type' = 'TIME_SERIES'
                                  ELSE w.key ->> 'type' IN ('ATTRIBUTE',
                                      upper(split_part(e.value ->> 'event',
                                                       '/', 2))
                                      || '_ATTRIBUTE') END
                 GROUP BY e.value ->> 'entity') x
         GROUP BY x.keys
    LOOP
        SELECT f.items INTO found_
          FROM iot.query_find(p, jsonb_build_object('source',
                   jsonb_build_object('types', tb.query_in(p, body)
                       #> '{source,types}', 'ids', part.entities),
                   'filters', '[]'::jsonb), ARRAY[]::text[], 10000, 0) f;

        SELECT updates || COALESCE(jsonb_object_agg(d.entity_id ->> 'id',
                   jsonb_build_object('entityId', d.entity_id, 'latest',
                       d.latest, 'timeseries', '{}'::jsonb, 'aggLatest',
                       '{}'::jsonb)), '{}')
          INTO updates
          FROM tb.query_data(found_.items, json_build_object(
                   'latestValues', part.keys)) d;
    END LOOP;

    FOR series IN
        SELECT x.entity, jsonb_object_agg(x.name, x.points) AS points
          FROM (SELECT e.value ->> 'entity' AS entity, v.key AS name,
                       jsonb_agg(jsonb_build_object(
                           'ts', (d.value ->> 'ts')::bigint,
                           'value', v.value)) AS points
                  FROM json_array_elements(events) e
                       CROSS JOIN LATERAL json_array_elements(
                           e.value -> 'data') d
                       CROSS JOIN LATERAL json_each_text(
                           d.value -> 'values') v
                 WHERE e.value ->> 'event' = 'telemetry'
                       AND v.key = ANY (points)
                 GROUP BY e.value ->> 'entity', v.key) x
         GROUP BY x.entity
    LOOP
        SELECT f.items INTO found_
          FROM iot.query_find(p, jsonb_build_object('source',
                   jsonb_build_object('types', tb.query_in(p, body)
                       #> '{source,types}',
                       'ids', jsonb_build_array(series.entity)),
                   'filters', '[]'::jsonb), ARRAY[]::text[], 1, 0) f;

        SELECT updates || jsonb_build_object(series.entity,
                   COALESCE(updates -> series.entity,
                       jsonb_build_object('entityId',
                           tb.id(i.entity_type, i.id), 'latest',
                           '{}'::jsonb, 'aggLatest', '{}'::jsonb))
                   || jsonb_build_object('timeseries', series.points))
          INTO updates
          FROM unnest(found_.items) i;
    END LOOP;

    IF COALESCE(updates, '{}') = '{}' THEN
        RETURN NULL;
    END IF;

    RETURN tb.ws_message(cmd, 'ENTITY_DATA', json_build_object(
        'data', NULL, 'update', (SELECT json_agg(u.value)
                                   FROM jsonb_each(updates) u),
        'allowedEntities', 10000));
END
$$;
