
--
-- Copyright (C) the ngx_iot authors
--
-- /api/alarm..., but for comments


CREATE OR REPLACE FUNCTION tb.alarm_out(a iot.alarm) RETURNS json
LANGUAGE sql STABLE
AS $$
    SELECT json_build_object(
        'id', tb.id('ALARM', a.id),
        'createdTime', a.created_time,
        'tenantId', tb.id('TENANT', a.tenant_id),
        'customerId', tb.id_or_none('CUSTOMER', a.customer_id),
        'name', a.type,
        'type', a.type,
        'originator', tb.id(a.originator_type, a.originator_id),
        'severity', a.severity,
        'acknowledged', a.acknowledged,
        'cleared', a.cleared,
        'status', iot.alarm_status(a.cleared, a.acknowledged),
        'assigneeId', tb.id('USER', a.assignee_id),
        'startTs', a.start_ts,
        'endTs', a.end_ts,
        'ackTs', a.ack_ts,
        'clearTs', a.clear_ts,
        'assignTs', a.assign_ts,
        'details', a.details,
        'propagate', a.propagate,
        'propagateToOwner', a.propagate_owner,
        'propagateToTenant', a.propagate_tenant,
        'propagateRelationTypes', to_json(a.propagate_types))
$$;


-- With the names of those concerned; more: further members, or NULL.

CREATE OR REPLACE FUNCTION tb.alarm_info(a iot.alarm,
    more jsonb DEFAULT NULL) RETURNS json
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    face      record;
    assignee  json;
BEGIN
    face := iot.alarm_face(a.tenant_id, a.originator_type, a.originator_id);

    IF a.assignee_id IS NOT NULL THEN
        SELECT tb.user_info_out(u) INTO assignee
          FROM iot.users u
         WHERE u.id = a.assignee_id;
    END IF;

    RETURN (tb.alarm_out(a)::jsonb
            || jsonb_build_object(
                   'originatorName', face.name,
                   'originatorLabel', face.label,
                   'originatorDisplayName',
                       COALESCE(NULLIF(face.label, ''), face.name),
                   'assignee', assignee)
            || COALESCE(more, '{}'))::json;
END
$$;


-- An answer after which the watchers of alarms are told.

CREATE OR REPLACE FUNCTION tb.alarm_told(a iot.alarm, op text, shown json)
RETURNS iot.answer
LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (NULL,
            json_build_object('@publish',
                              json_build_array(iot.alarm_event(a, op))),
            shown::text)::iot.answer;
END
$$;


CREATE OR REPLACE FUNCTION tb.alarm_in(body json) RETURNS iot.alarm
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    r      iot.alarm;
    types  json := body -> 'propagateRelationTypes';
BEGIN
    PERFORM tb.need_object(body);

    r.id := tb.ref(body, 'id');
    r.type := tb.text(body, 'type');
    r.originator_id := tb.ref(body, 'originator');
    r.originator_type := COALESCE(upper(body -> 'originator'
                                        ->> 'entityType'), 'DEVICE');
    r.severity := upper(tb.text(body, 'severity'));
    r.acknowledged := tb.boolean(body, 'acknowledged', false);
    r.cleared := tb.boolean(body, 'cleared', false);
    r.assignee_id := tb.ref(body, 'assigneeId');
    r.start_ts := tb.long(body, 'startTs');
    r.end_ts := tb.long(body, 'endTs');
    r.ack_ts := tb.long(body, 'ackTs');
    r.clear_ts := tb.long(body, 'clearTs');
    r.details := NULLIF((body -> 'details')::text, 'null')::json;
    r.propagate := tb.boolean(body, 'propagate', false);
    r.propagate_owner := tb.boolean(body, 'propagateToOwner', false);
    r.propagate_tenant := tb.boolean(body, 'propagateToTenant', false);
    r.propagate_types := '{}';

    IF json_typeof(types) = 'array' THEN
        r.propagate_types := ARRAY(
            SELECT left(t.type, 255)
              FROM json_array_elements_text(types) t (type)
             WHERE t.type IS NOT NULL
             LIMIT 100);
    END IF;

    IF LEAST(r.start_ts, r.end_ts, r.ack_ts, r.clear_ts) < 0 THEN
        PERFORM iot.fail_request('Alarm timestamp is negative!');
    END IF;

    RETURN r;
END
$$;


CREATE OR REPLACE FUNCTION tb.alarm_save(p iot.principal, path text[],
    query json, body json) RETURNS iot.answer
LANGUAGE plpgsql
AS $$
DECLARE
    saved  record;
BEGIN
    PERFORM iot.enter(p);

    saved := iot.alarm_save(p, tb.alarm_in(body));

    RETURN tb.alarm_told(saved.a, saved.op, tb.alarm_out(saved.a));
END
$$;


CREATE OR REPLACE FUNCTION tb.alarm_get(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);

    RETURN tb.alarm_out(iot.alarm_get(p, tb.uuid(path[1])));
END
$$;


CREATE OR REPLACE FUNCTION tb.alarm_info_get(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);

    RETURN tb.alarm_info(iot.alarm_get(p, tb.uuid(path[1])));
END
$$;


CREATE OR REPLACE FUNCTION tb.alarm_delete(p iot.principal, path text[],
    query json, body json) RETURNS iot.answer
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);

    RETURN tb.alarm_told(iot.alarm_delete(p, tb.uuid(path[1])), 'deleted',
                         'true');
END
$$;


CREATE OR REPLACE FUNCTION tb.alarm_ack(p iot.principal, path text[],
    query json, body json) RETURNS iot.answer
LANGUAGE plpgsql
AS $$
DECLARE
    a  iot.alarm;
BEGIN
    PERFORM iot.enter(p);

    a := iot.alarm_ack(p, tb.uuid(path[1]));

    RETURN tb.alarm_told(a, 'updated', tb.alarm_info(a));
END
$$;


CREATE OR REPLACE FUNCTION tb.alarm_clear(p iot.principal, path text[],
    query json, body json) RETURNS iot.answer
LANGUAGE plpgsql
AS $$
DECLARE
    a  iot.alarm;
BEGIN
    PERFORM iot.enter(p);

    a := iot.alarm_clear(p, tb.uuid(path[1]));

    RETURN tb.alarm_told(a, 'updated', tb.alarm_info(a));
END
$$;


CREATE OR REPLACE FUNCTION tb.alarm_assign(p iot.principal, path text[],
    query json, body json) RETURNS iot.answer
LANGUAGE plpgsql
AS $$
DECLARE
    a  iot.alarm;
BEGIN
    PERFORM iot.enter(p);

    a := iot.alarm_assign(p, tb.uuid(path[1]), tb.uuid(path[2]));

    RETURN tb.alarm_told(a, 'updated', tb.alarm_info(a));
END
$$;


CREATE OR REPLACE FUNCTION tb.alarm_unassign(p iot.principal, path text[],
    query json, body json) RETURNS iot.answer
LANGUAGE plpgsql
AS $$
DECLARE
    a  iot.alarm;
BEGIN
    PERFORM iot.enter(p);

    a := iot.alarm_assign(p, tb.uuid(path[1]), NULL);

    RETURN tb.alarm_told(a, 'updated', tb.alarm_info(a));
END
$$;


-- Which of the four statuses the words leave; NULL: all.  Words of the state
-- (ACTIVE, CLEARED) and of the acknowledgement (ACK, UNACK) are combined,
-- whole names are alternatives.

CREATE OR REPLACE FUNCTION tb.alarm_statuses(words text[]) RETURNS text[]
LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
    whole  CONSTANT text[] := ARRAY['ACTIVE_UNACK', 'ACTIVE_ACK',
                                    'CLEARED_UNACK', 'CLEARED_ACK'];
    word   text;
BEGIN
    IF COALESCE(words, '{}') = '{}' OR 'ANY' = ANY (words) THEN
        RETURN NULL;
    END IF;

    FOREACH word IN ARRAY words LOOP
        IF word <> ALL (whole || ARRAY['ACTIVE', 'CLEARED', 'ACK', 'UNACK'])
        THEN
            PERFORM iot.fail_request(
                format('Unknown alarm status ''%s''!', left(word, 255)));
        END IF;
    END LOOP;

    RETURN ARRAY(
        SELECT w.name
          FROM unnest(whole) w (name)
         WHERE w.name = ANY (words)
               OR words && ARRAY['ACTIVE', 'CLEARED', 'ACK', 'UNACK']
                  AND (NOT words && ARRAY['ACTIVE', 'CLEARED']
                       OR split_part(w.name, '_', 1) = ANY (words))
                  AND (NOT words && ARRAY['ACK', 'UNACK']
                       OR split_part(w.name, '_', 2) = ANY (words)));
END
$$;


-- Those of the query: searchStatus or status (first version), statusList.

CREATE OR REPLACE FUNCTION tb.alarm_statuses_of(query json) RETURNS text[]
LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
    search  text := tb.arg(query, 'searchStatus');
    status  text := tb.arg(query, 'status');
BEGIN
    IF search IS NOT NULL AND status IS NOT NULL THEN
        PERFORM iot.fail_request('Invalid alarms search query: Both '
            'parameters ''searchStatus'' and ''status'' can''t be specified '
            'at the same time!');
    END IF;

    RETURN tb.alarm_statuses(
        array_remove(ARRAY[upper(search), upper(status)], NULL)
        || COALESCE(tb.arg_list(query, 'statusList'), '{}'));
END
$$;


-- A page of alarms: of an entity that shows them, or (NULL) of the caller.

CREATE OR REPLACE FUNCTION tb.alarms_page(p iot.principal, query json,
    entity uuid) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    severities  text[] := tb.arg_list(query, 'severityList');
    types       text[] := tb.arg_list(query, 'typeList');
    assignee    text := tb.arg(query, 'assigneeId');
    source      text := 'iot.alarm a WHERE';
BEGIN
    PERFORM iot.need_role(p, 'TENANT_ADMIN', 'CUSTOMER_USER');

    IF NOT COALESCE(severities, '{}') <@ iot.alarm_severities() THEN
        PERFORM iot.fail_request('Unknown alarm severity!');
    END IF;

    IF entity IS NOT NULL THEN
        source := 'iot.alarm_entity e JOIN iot.alarm a'
            ' ON a.tenant_id = e.tenant_id AND a.id = e.alarm_id'
            ' WHERE e.tenant_id = $1[1]::uuid AND e.entity_id = $1[2]::uuid'
            ' AND';
    END IF;

    RETURN tb.list(tb.page(query), 'tb.alarm_info(a)',
        source || ' a.tenant_id = $1[1]::uuid'
        ' AND ' || iot.may_list(p, 'ALARM', 'a') ||
        ' AND ($1[3] IS NULL'
        ' OR iot.alarm_status(a.cleared, a.acknowledged)'
        ' = ANY ($1[3]::text[]))'
        ' AND ($1[4] IS NULL OR a.severity = ANY ($1[4]::text[]))'
        ' AND ($1[5] IS NULL OR a.type = ANY ($1[5]::text[]))'
        ' AND ($1[6] IS NULL OR a.assignee_id = $1[6]::uuid)'
        ' AND ($1[7] IS NULL OR a.created_time >= $1[7]::bigint)'
        ' AND ($1[8] IS NULL OR a.created_time <= $1[8]::bigint)'
        ' AND ($2 IS NULL OR a.type ILIKE $2 OR a.severity ILIKE $2'
        ' OR iot.alarm_status(a.cleared, a.acknowledged) ILIKE $2'
        ' OR iot.alarm_originator(a) ILIKE $2)',
        '{"id":"a.id","createdTime":"a.created_time","type":"a.type",
          "name":"a.type","startTs":"a.start_ts","startTime":"a.start_ts",
          "endTs":"a.end_ts","endTime":"a.end_ts","ackTs":"a.ack_ts",
          "ackTime":"a.ack_ts","clearTs":"a.clear_ts",
          "clearTime":"a.clear_ts","assignTs":"a.assign_ts",
          "acknowledged":"a.acknowledged","cleared":"a.cleared",
          "severity":"array_position(iot.alarm_severities(), a.severity)",
          "status":"iot.alarm_status(a.cleared, a.acknowledged)",
          "originator":"iot.alarm_originator(a)",
          "originatorName":"iot.alarm_originator(a)"}',
        'a.id', p.tenant_id::text, entity::text,
        tb.alarm_statuses_of(query)::text, severities::text, types::text,
        CASE WHEN assignee IS NOT NULL THEN tb.uuid(assignee)::text END,
        tb.arg_long(query, 'startTime')::text,
        tb.arg_long(query, 'endTime')::text);
END
$$;


CREATE OR REPLACE FUNCTION tb.alarms(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);

    RETURN tb.alarms_page(p, query, NULL);
END
$$;


CREATE OR REPLACE FUNCTION tb.alarms_of_entity(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    id  uuid := tb.uuid(path[2]);
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.resolve(p, upper(path[1]), id, 'READ');

    RETURN tb.alarms_page(p, query, id);
END
$$;


CREATE OR REPLACE FUNCTION tb.alarm_highest_severity(p iot.principal,
    path text[], query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    assignee  text := tb.arg(query, 'assigneeId');
BEGIN
    PERFORM iot.enter(p);

    RETURN to_json(iot.alarm_highest(p, upper(path[1]), tb.uuid(path[2]),
        tb.alarm_statuses_of(query),
        CASE WHEN assignee IS NOT NULL THEN tb.uuid(assignee) END));
END
$$;


CREATE OR REPLACE FUNCTION tb.alarm_type_out(tenant uuid, type text)
RETURNS json
LANGUAGE sql STABLE
AS $$
    SELECT json_build_object('tenantId', tb.id('TENANT', tenant),
                             'entityType', 'ALARM', 'type',
                             alarm_type_out.type)
$$;


CREATE OR REPLACE FUNCTION tb.alarm_types(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.need_role(p, 'TENANT_ADMIN', 'CUSTOMER_USER');

    RETURN tb.list(tb.page(query), 'tb.alarm_type_out($1[1]::uuid, t)',
        'iot.alarm_types($1[1]::uuid) t WHERE ($2 IS NULL OR t ILIKE $2)',
        '{"type":"t"}', 't', p.tenant_id::text);
END
$$;


-- Who could be given the alarm.

CREATE OR REPLACE FUNCTION tb.users_assign(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    a  iot.alarm;
BEGIN
    PERFORM iot.enter(p);

    a := iot.alarm_get(p, tb.uuid(path[1]));

    RETURN tb.list(tb.page(query), 'tb.user_info_out(u)',
        'iot.users u WHERE u.tenant_id = $1[1]::uuid'
        ' AND (u.customer_id = $1[2]::uuid'
        ' OR u.customer_id IS NULL AND $1[3] IS NULL)'
        ' AND ($2 IS NULL OR u.email ILIKE $2 OR u.first_name ILIKE $2'
        ' OR u.last_name ILIKE $2)',
        '{"id":"u.id","email":"u.email","firstName":"u.first_name",
          "lastName":"u.last_name"}', 'u.id', p.tenant_id::text,
        a.customer_id::text,
        CASE WHEN p.role = 'CUSTOMER_USER' THEN 'own' END);
END
$$;
