
--
-- Copyright (C) the ngx_iot authors
--
-- /api/audit/logs...


CREATE OR REPLACE FUNCTION tb.audit_out(l iot.audit_log) RETURNS json
LANGUAGE sql STABLE
AS $$
    SELECT json_build_object(
        'id', json_build_object('id', l.id),
        'createdTime', l.created_time,
        'tenantId',
            tb.id_or_none('TENANT', NULLIF(l.tenant_id,
                '00000000-0000-0000-0000-000000000000')),
        'customerId', tb.id_or_none('CUSTOMER', l.customer_id),
        'entityId', tb.id(l.entity_type, l.entity_id),
        'entityName', l.entity_name,
        'userId', tb.id_or_none('USER', l.user_id),
        'userName', l.user_name,
        'actionType', l.action,
        'actionData', COALESCE(l.data, '{}'),
        'actionStatus', l.status,
        'actionFailureDetails', COALESCE(l.failure, ''))
$$;


-- Newest first, unless the query wants another order.

CREATE OR REPLACE FUNCTION tb.audit_page(p iot.principal, query json,
    customer uuid, user_id uuid, entity_type text, entity_id uuid)
RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    pg     iot.page := tb.page(query);
    kinds  text[] := tb.arg_list(query, 'actionTypes');
BEGIN
    IF pg.sort IS NULL THEN
        pg.sort := 'createdTime';
        pg.descending := tb.arg(query, 'sortOrder') IS DISTINCT FROM 'ASC';
    END IF;

    RETURN tb.list(pg, 'tb.audit_out(l)',
        'iot.audit_log AS l WHERE l.tenant_id = $1[1]::uuid'
        ' AND ($1[2] IS NULL OR l.customer_id = $1[2]::uuid)'
        ' AND ($1[3] IS NULL OR l.user_id = $1[3]::uuid)'
        ' AND ($1[4] IS NULL OR l.entity_type = $1[4])'
        ' AND ($1[5] IS NULL OR l.entity_id = $1[5]::uuid)'
        ' AND ($1[6] IS NULL OR l.created_time >= $1[6]::bigint)'
        ' AND ($1[7] IS NULL OR l.created_time <= $1[7]::bigint)'
        ' AND ($1[8] IS NULL OR l.action = ANY ($1[8]::text[]))'
        ' AND ($2 IS NULL OR l.entity_name ILIKE $2 OR l.user_name ILIKE $2'
        ' OR l.action ILIKE $2 OR l.status ILIKE $2)',
        '{"id":"l.id","createdTime":"l.created_time",
          "entityName":"l.entity_name","entityType":"l.entity_type",
          "userName":"l.user_name","actionType":"l.action",
          "actionStatus":"l.status"}',
        'l.id',
        COALESCE(p.tenant_id, '00000000-0000-0000-0000-000000000000')::text,
        customer::text, user_id::text, entity_type, entity_id::text,
        tb.arg_long(query, 'startTime')::text,
        tb.arg_long(query, 'endTime')::text,
        CASE WHEN cardinality(kinds) > 0 THEN kinds::text END);
END
$$;


CREATE OR REPLACE FUNCTION tb.need_audit(p iot.principal) RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    IF COALESCE(p.role, '') <> 'SYS_ADMIN' THEN
        PERFORM iot.need(p, 'READ', 'AUDIT_LOG', NULL, NULL);
    END IF;
END
$$;


CREATE OR REPLACE FUNCTION tb.audit_logs(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);
    PERFORM tb.need_audit(p);

    RETURN tb.audit_page(p, query, NULL, NULL, NULL, NULL);
END
$$;


CREATE OR REPLACE FUNCTION tb.audit_logs_customer(p iot.principal,
    path text[], query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);
    PERFORM tb.need_audit(p);

    RETURN tb.audit_page(p, query, tb.uuid(path[1]), NULL, NULL, NULL);
END
$$;


CREATE OR REPLACE FUNCTION tb.audit_logs_user(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);
    PERFORM tb.need_audit(p);

    RETURN tb.audit_page(p, query, NULL, tb.uuid(path[1]), NULL, NULL);
END
$$;


CREATE OR REPLACE FUNCTION tb.audit_logs_entity(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);
    PERFORM tb.need_audit(p);
    PERFORM iot.entity_type_check(upper(path[1]));

    RETURN tb.audit_page(p, query, NULL, NULL, upper(path[1]),
                         tb.uuid(path[2]));
END
$$;
