
--
-- Copyright (C) the ngx_iot authors
--
-- /api/deviceProfile...


CREATE OR REPLACE FUNCTION tb.device_profile_out(d iot.device_profile)
RETURNS json
LANGUAGE sql STABLE
AS $$
    SELECT json_build_object(
        'id', tb.id('DEVICE_PROFILE', d.id),
        'createdTime', d.created_time,
        'tenantId', tb.id('TENANT', d.tenant_id),
        'name', d.name,
        'description', d.description,
        'image', d.image,
        'default', d.is_default,
        'type', d.type,
        'transportType', d.transport_type,
        'provisionType', d.provision_type,
        'defaultRuleChainId', tb.id('RULE_CHAIN', d.default_rule_chain_id),
        'defaultDashboardId', tb.id('DASHBOARD', d.default_dashboard_id),
        'defaultQueueName', d.default_queue_name,
        'provisionDeviceKey', d.provision_key,
        'firmwareId', tb.id('OTA_PACKAGE', d.firmware_id),
        'softwareId', tb.id('OTA_PACKAGE', d.software_id),
        'defaultEdgeRuleChainId',
            tb.id('RULE_CHAIN', d.default_edge_rule_chain_id),
        'externalId', tb.id('DEVICE_PROFILE', d.external_id),
        'version', d.version,
        'profileData', d.data)
$$;


CREATE OR REPLACE FUNCTION tb.device_profile_info_out(d iot.device_profile)
RETURNS json
LANGUAGE sql STABLE
AS $$
    SELECT json_build_object(
        'id', tb.id('DEVICE_PROFILE', d.id),
        'tenantId', tb.id('TENANT', d.tenant_id),
        'name', d.name,
        'image', d.image,
        'defaultDashboardId', tb.id('DASHBOARD', d.default_dashboard_id),
        'type', d.type,
        'transportType', d.transport_type)
$$;


CREATE OR REPLACE FUNCTION tb.device_profile_in(body json)
RETURNS iot.device_profile
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    r          iot.device_profile;
    provision  json;
BEGIN
    PERFORM tb.need_object(body);

    r.id := tb.ref(body, 'id');
    r.name := tb.text(body, 'name');
    r.description := tb.text(body, 'description', 4096);
    r.image := tb.raw_text(body, 'image', 1000000);
    r.is_default := tb.boolean(body, 'default', false);
    r.type := tb.text(body, 'type');
    r.transport_type := tb.text(body, 'transportType');
    r.provision_type := tb.text(body, 'provisionType');
    r.provision_key := tb.raw_text(body, 'provisionDeviceKey');
    r.default_rule_chain_id := tb.ref(body, 'defaultRuleChainId');
    r.default_dashboard_id := tb.ref(body, 'defaultDashboardId');
    r.default_edge_rule_chain_id := tb.ref(body, 'defaultEdgeRuleChainId');
    r.default_queue_name := tb.text(body, 'defaultQueueName');
    r.firmware_id := tb.ref(body, 'firmwareId');
    r.software_id := tb.ref(body, 'softwareId');
    r.external_id := tb.ref(body, 'externalId');
    r.data := tb.object(body, 'profileData');
    r.version := tb.long(body, 'version');

    provision := tb.object(r.data, 'provisionConfiguration');
    r.provision_secret := tb.raw_text(provision, 'provisionDeviceSecret',
                                      16384);

    RETURN r;
END
$$;


CREATE OR REPLACE FUNCTION tb.device_profile_get(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.need_role(p, 'TENANT_ADMIN');

    RETURN tb.device_profile_out(
        iot.device_profile_get(p, tb.uuid(path[1])));
END
$$;


CREATE OR REPLACE FUNCTION tb.device_profile_info_get(p iot.principal,
    path text[], query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);

    RETURN tb.device_profile_info_out(
        iot.device_profile_get(p, tb.uuid(path[1])));
END
$$;


CREATE OR REPLACE FUNCTION tb.device_profile_info_default(p iot.principal,
    path text[], query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.need_role(p, 'TENANT_ADMIN', 'CUSTOMER_USER');

    RETURN tb.device_profile_info_out(iot.device_profile_default(p.tenant_id));
END
$$;


CREATE OR REPLACE FUNCTION tb.device_profile_save(p iot.principal,
    path text[], query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);

    RETURN tb.device_profile_out(
        iot.device_profile_save(p, tb.device_profile_in(body)));
END
$$;


CREATE OR REPLACE FUNCTION tb.device_profile_delete(p iot.principal,
    path text[], query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.device_profile_delete(p, tb.uuid(path[1]));

    RETURN NULL;
END
$$;


CREATE OR REPLACE FUNCTION tb.device_profile_set_default(p iot.principal,
    path text[], query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);

    RETURN tb.device_profile_out(
        iot.device_profile_set_default(p, tb.uuid(path[1])));
END
$$;


CREATE OR REPLACE FUNCTION tb.device_profiles_page(p iot.principal,
    query json, item text) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    transport  text := tb.arg(query, 'transportType');
BEGIN
    RETURN tb.list(tb.page(query), item,
        'iot.device_profile AS d WHERE d.tenant_id = $1[1]::uuid'
        ' AND ($1[2] IS NULL OR d.transport_type = $1[2])'
        ' AND ($2 IS NULL OR d.name ILIKE $2)',
        '{"id":"d.id","createdTime":"d.created_time","name":"d.name",
          "type":"d.type","transportType":"d.transport_type",
          "description":"d.description","default":"d.is_default",
          "isDefault":"d.is_default"}',
        'd.id', p.tenant_id::text, transport);
END
$$;


CREATE OR REPLACE FUNCTION tb.device_profiles(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.need_role(p, 'TENANT_ADMIN');

    RETURN tb.device_profiles_page(p, query, 'tb.device_profile_out(d)');
END
$$;


CREATE OR REPLACE FUNCTION tb.device_profile_infos_list(p iot.principal,
    path text[], query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    ids  uuid[] := tb.arg_ids(query, 'deviceProfileIds');
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.need_role(p, 'TENANT_ADMIN');

    RETURN COALESCE(
        (SELECT json_agg(tb.device_profile_info_out(d) ORDER BY d.id)
         FROM iot.device_profile AS d
         WHERE d.tenant_id = p.tenant_id AND d.id = ANY (ids)),
        '[]');
END
$$;


CREATE OR REPLACE FUNCTION tb.device_profile_infos(p iot.principal,
    path text[], query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    IF query -> 'deviceProfileIds' IS NOT NULL THEN
        RETURN tb.device_profile_infos_list(p, path, query, body);
    END IF;

    PERFORM iot.enter(p);
    PERFORM iot.need_role(p, 'TENANT_ADMIN', 'CUSTOMER_USER');

    RETURN tb.device_profiles_page(p, query, 'tb.device_profile_info_out(d)');
END
$$;


CREATE OR REPLACE FUNCTION tb.device_profile_names(p iot.principal,
    path text[], query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    active  boolean := COALESCE(tb.arg_boolean(query, 'activeOnly'), false);
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.need_role(p, 'TENANT_ADMIN', 'CUSTOMER_USER');

    RETURN COALESCE(
        (SELECT json_agg(x ORDER BY x.name)
         FROM (SELECT tb.id('DEVICE_PROFILE', d.id) AS "id",
                      d.name AS "name"
               FROM iot.device_profile AS d
               WHERE d.tenant_id = p.tenant_id
                     AND (NOT active
                          OR EXISTS (SELECT FROM iot.device AS v
                                     WHERE v.tenant_id = d.tenant_id
                                           AND v.profile_id = d.id))) AS x),
        '[]');
END
$$;
