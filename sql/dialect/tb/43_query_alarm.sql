
--
-- Copyright (C) the ngx_iot authors
--
-- /api/alarmsQuery


-- What of the page link concerns alarms.

CREATE OR REPLACE FUNCTION tb.alarm_query_in(p iot.principal, body json)
RETURNS jsonb
LANGUAGE plpgsql
AS $$
DECLARE
    link        json := COALESCE(body -> 'pageLink', body);
    severities  text[] := tb.text_list(link, 'severityList');
    types       text[] := tb.text_list(link, 'typeList');
    span        bigint := tb.long(link, 'timeWindow');
    filters     jsonb := tb.query_filters(p, body);
BEGIN
    IF NOT severities <@ iot.alarm_severities() THEN
        PERFORM iot.fail_request('Unknown alarm severity!');
    END IF;

    RETURN jsonb_strip_nulls(jsonb_build_object(
        'statuses', to_jsonb(tb.alarm_statuses(
                                 tb.text_list(link, 'statusList'))),
        'severities', to_jsonb(NULLIF(severities, '{}')),
        'types', to_jsonb(NULLIF(types, '{}')),
        'assignee', tb.ref(link, 'assigneeId'),
        'from', CASE WHEN span > 0 THEN iot.now_ms() - span
                ELSE NULLIF(tb.long(link, 'startTs'), 0) END,
        'to', CASE WHEN COALESCE(span, 0) = 0
              THEN NULLIF(tb.long(link, 'endTs'), 0) END,
        'propagated', tb.boolean(link, 'searchPropagatedAlarms', false)))
        || jsonb_build_object('filters', COALESCE(
            (SELECT jsonb_agg(f.value)
               FROM jsonb_array_elements(filters) f
              WHERE f.value #>> '{key,kind}' = 'alarm'), '[]'));
END
$$;


-- The query without what concerns alarms.  No filter of entities: all that
-- the caller may see.

CREATE OR REPLACE FUNCTION tb.alarm_query_entities(p iot.principal,
    body json) RETURNS jsonb
LANGUAGE plpgsql
AS $$
DECLARE
    q  jsonb;
BEGIN
    IF COALESCE(json_typeof(body -> 'entityFilter'), 'null') = 'null' THEN
        q := tb.query_in(p, (body::jsonb || '{"entityFilter":
            {"type":"entityType","entityType":"DEVICE"}}')::json);
        q := jsonb_set(q, '{source,types}', '["DEVICE","ASSET","ENTITY_VIEW",
            "CUSTOMER","USER","TENANT","DASHBOARD"]');

    ELSE
        q := tb.query_in(p, body);
    END IF;

    RETURN q || jsonb_build_object(
        'columns', COALESCE(
            (SELECT jsonb_agg(c.value)
               FROM jsonb_array_elements(q -> 'columns') c
              WHERE c.value ->> 'kind' <> 'alarm'), '[]'),
        'filters', COALESCE(
            (SELECT jsonb_agg(f.value)
               FROM jsonb_array_elements(q -> 'filters') f
              WHERE f.value #>> '{key,kind}' <> 'alarm'), '[]'));
END
$$;


-- The page as it is shown.

CREATE OR REPLACE FUNCTION tb.alarm_query_page(p iot.principal, body json)
RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    link    record;
    found_  record;
BEGIN
    PERFORM tb.need_object(body);

    link := tb.query_page(body -> 'pageLink');

    SELECT f.* INTO found_
      FROM iot.query_alarms(p, tb.alarm_query_entities(p, body),
                            tb.alarm_query_in(p, body),
                            tb.query_fields(body), link.size, link.page) f;

    RETURN tb.query_envelope(
        (SELECT json_agg(tb.alarm_info(a, jsonb_build_object(
                    'entityId', d.entity_id, 'latest', d.latest))
                    ORDER BY d.i)
           FROM tb.query_data(found_.entities, body) d
                JOIN unnest(found_.alarms) WITH ORDINALITY AS x (id, i)
                    ON x.i = d.i
                JOIN iot.alarm a
                    ON a.tenant_id = p.tenant_id AND a.id = x.id),
        found_.total, link.size, link.page);
END
$$;


CREATE OR REPLACE FUNCTION tb.alarms_find(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.need_role(p, 'TENANT_ADMIN', 'CUSTOMER_USER');

    RETURN tb.alarm_query_page(p, body);
END
$$;


CREATE OR REPLACE FUNCTION tb.alarms_count(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.need_role(p, 'TENANT_ADMIN', 'CUSTOMER_USER');
    PERFORM tb.need_object(body);

    RETURN to_json(iot.query_alarm_count(p, tb.alarm_query_entities(p, body),
                                         tb.alarm_query_in(p, body)));
END
$$;
