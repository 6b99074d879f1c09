
--
-- Copyright (C) the ngx_iot authors
--
-- /api/tenant..., /api/usage


CREATE OR REPLACE FUNCTION tb.tenant_out(t iot.tenant) RETURNS json
LANGUAGE sql STABLE
AS $$
    SELECT json_build_object(
        'id', tb.id('TENANT', t.id),
        'createdTime', t.created_time,
        'title', t.title,
        'name', t.title,
        'region', 'Global',
        'tenantProfileId', tb.id('TENANT_PROFILE', t.tenant_profile_id),
        'country', t.country,
        'state', t.state,
        'city', t.city,
        'address', t.address,
        'address2', t.address2,
        'zip', t.zip,
        'phone', t.phone,
        'email', t.email,
        'additionalInfo', t.additional_info,
        'version', t.version)
$$;


CREATE OR REPLACE FUNCTION tb.tenant_info_out(t iot.tenant,
    profile_name text) RETURNS json
LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (tb.tenant_out(t)::jsonb
            || jsonb_build_object('tenantProfileName', profile_name))::json;
END
$$;


CREATE OR REPLACE FUNCTION tb.tenant_in(body json) RETURNS iot.tenant
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    r  iot.tenant;
BEGIN
    PERFORM tb.need_object(body);

    r.id := tb.ref(body, 'id');
    r.title := tb.text(body, 'title');
    r.tenant_profile_id := tb.ref(body, 'tenantProfileId');
    r.country := tb.text(body, 'country');
    r.state := tb.text(body, 'state');
    r.city := tb.text(body, 'city');
    r.address := tb.text(body, 'address');
    r.address2 := tb.text(body, 'address2');
    r.zip := tb.text(body, 'zip');
    r.phone := tb.text(body, 'phone');
    r.email := tb.text(body, 'email');
    r.additional_info := tb.object(body, 'additionalInfo');
    r.version := tb.long(body, 'version');

    RETURN r;
END
$$;


CREATE OR REPLACE FUNCTION tb.tenant_get(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);

    RETURN tb.tenant_out(iot.tenant_get(p, tb.uuid(path[1])));
END
$$;


CREATE OR REPLACE FUNCTION tb.tenant_info_get(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    t  iot.tenant;
BEGIN
    PERFORM iot.enter(p);

    t := iot.tenant_get(p, tb.uuid(path[1]));

    RETURN tb.tenant_info_out(t, (SELECT tp.name FROM iot.tenant_profile AS tp
                                  WHERE tp.id = t.tenant_profile_id));
END
$$;


CREATE OR REPLACE FUNCTION tb.tenant_save(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);

    RETURN tb.tenant_out(iot.tenant_save(p, tb.tenant_in(body)));
END
$$;


CREATE OR REPLACE FUNCTION tb.tenant_delete(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.tenant_delete(p, tb.uuid(path[1]));

    RETURN NULL;
END
$$;


CREATE OR REPLACE FUNCTION tb.tenants_list(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    ids  uuid[] := tb.arg_ids(query, 'tenantIds');
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.need_role(p, 'SYS_ADMIN', 'TENANT_ADMIN');

    RETURN COALESCE(
        (SELECT json_agg(tb.tenant_out(t) ORDER BY t.id)
         FROM iot.tenant AS t
         WHERE t.id = ANY (ids)
               AND (p.role = 'SYS_ADMIN' OR t.id = p.tenant_id)),
        '[]');
END
$$;


CREATE OR REPLACE FUNCTION tb.tenants(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    IF query -> 'tenantIds' IS NOT NULL THEN
        RETURN tb.tenants_list(p, path, query, body);
    END IF;

    PERFORM iot.enter(p);
    PERFORM iot.need_role(p, 'SYS_ADMIN');

    RETURN tb.list(tb.page(query), 'tb.tenant_out(t)',
        'iot.tenant AS t WHERE ($2 IS NULL OR t.title ILIKE $2)',
        '{"id":"t.id","createdTime":"t.created_time","title":"t.title",
          "name":"t.title","country":"t.country","state":"t.state",
          "city":"t.city","address":"t.address","address2":"t.address2",
          "zip":"t.zip","phone":"t.phone","email":"t.email"}',
        't.id');
END
$$;


CREATE OR REPLACE FUNCTION tb.tenant_infos(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.need_role(p, 'SYS_ADMIN');

    RETURN tb.list(tb.page(query), 'tb.tenant_info_out(t, tp.name)',
        'iot.tenant AS t LEFT JOIN iot.tenant_profile AS tp'
        ' ON tp.id = t.tenant_profile_id'
        ' WHERE ($2 IS NULL OR t.title ILIKE $2)',
        '{"id":"t.id","createdTime":"t.created_time","title":"t.title",
          "name":"t.title","country":"t.country","state":"t.state",
          "city":"t.city","address":"t.address","address2":"t.address2",
          "zip":"t.zip","phone":"t.phone","email":"t.email",
          "tenantProfileName":"tp.name"}',
        't.id');
END
$$;


CREATE OR REPLACE FUNCTION tb.usage(p iot.principal, path text[], query json,
    body json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    conf  json;
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.need_role(p, 'TENANT_ADMIN');

    SELECT tp.data -> 'configuration' INTO conf
    FROM iot.tenant AS t
        JOIN iot.tenant_profile AS tp ON tp.id = t.tenant_profile_id
    WHERE t.id = p.tenant_id;

    RETURN (SELECT row_to_json(x) FROM (SELECT
        iot.entity_total(p.tenant_id, 'DEVICE') AS "devices",
        (conf ->> 'maxDevices')::bigint AS "maxDevices",
        iot.entity_total(p.tenant_id, 'ASSET') AS "assets",
        (conf ->> 'maxAssets')::bigint AS "maxAssets",
        iot.entity_total(p.tenant_id, 'CUSTOMER') AS "customers",
        (conf ->> 'maxCustomers')::bigint AS "maxCustomers",
        iot.entity_total(p.tenant_id, 'USER') AS "users",
        (conf ->> 'maxUsers')::bigint AS "maxUsers",
        iot.entity_total(p.tenant_id, 'DASHBOARD') AS "dashboards",
        (conf ->> 'maxDashboards')::bigint AS "maxDashboards",
        0 AS "edges",
        (conf ->> 'maxEdges')::bigint AS "maxEdges",
        iot.usage_value(p.tenant_id, 'transportMessages')
            AS "transportMessages",
        (conf ->> 'maxTransportMessages')::bigint AS "maxTransportMessages",
        0 AS "jsExecutions",
        0 AS "tbelExecutions",
        (conf ->> 'maxJSExecutions')::bigint AS "maxJsExecutions",
        (conf ->> 'maxTbelExecutions')::bigint AS "maxTbelExecutions",
        iot.usage_value(p.tenant_id, 'emails') AS "emails",
        (conf ->> 'maxEmails')::bigint AS "maxEmails",
        0 AS "sms",
        (conf ->> 'maxSms')::bigint AS "maxSms",
        COALESCE((conf ->> 'smsEnabled')::boolean, false) AS "smsEnabled",
        iot.alarms_this_month(p.tenant_id) AS "alarms",
        (conf ->> 'maxCreatedAlarms')::bigint AS "maxAlarms") AS x);
END
$$;
