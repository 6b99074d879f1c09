
--
-- Copyright (C) the ngx_iot authors
--
-- /api/assetProfile...


CREATE OR REPLACE FUNCTION tb.asset_profile_out(a iot.asset_profile)
RETURNS json
LANGUAGE sql STABLE
AS $$
    SELECT json_build_object(
        'id', tb.id('ASSET_PROFILE', a.id),
        'createdTime', a.created_time,
        'tenantId', tb.id('TENANT', a.tenant_id),
        'name', a.name,
        'description', a.description,
        'image', a.image,
        'default', a.is_default,
        'defaultRuleChainId', tb.id('RULE_CHAIN', a.default_rule_chain_id),
        'defaultDashboardId', tb.id('DASHBOARD', a.default_dashboard_id),
        'defaultQueueName', a.default_queue_name,
        'defaultEdgeRuleChainId',
            tb.id('RULE_CHAIN', a.default_edge_rule_chain_id),
        'externalId', tb.id('ASSET_PROFILE', a.external_id),
        'version', a.version)
$$;


CREATE OR REPLACE FUNCTION tb.asset_profile_info_out(a iot.asset_profile)
RETURNS json
LANGUAGE sql STABLE
AS $$
    SELECT json_build_object(
        'id', tb.id('ASSET_PROFILE', a.id),
        'tenantId', tb.id('TENANT', a.tenant_id),
        'name', a.name,
        'image', a.image,
        'defaultDashboardId', tb.id('DASHBOARD', a.default_dashboard_id))
$$;


CREATE OR REPLACE FUNCTION tb.asset_profile_in(body json)
RETURNS iot.asset_profile
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    r  iot.asset_profile;
BEGIN
    PERFORM tb.need_object(body);

    r.id := tb.ref(body, 'id');
    r.name := tb.text(body, 'name');
    r.description := tb.text(body, 'description', 4096);
    r.image := tb.raw_text(body, 'image', 1000000);
    r.is_default := tb.boolean(body, 'default', false);
    r.default_rule_chain_id := tb.ref(body, 'defaultRuleChainId');
    r.default_dashboard_id := tb.ref(body, 'defaultDashboardId');
    r.default_edge_rule_chain_id := tb.ref(body, 'defaultEdgeRuleChainId');
    r.default_queue_name := tb.text(body, 'defaultQueueName');
    r.external_id := tb.ref(body, 'externalId');
    r.version := tb.long(body, 'version');

    RETURN r;
END
$$;


CREATE OR REPLACE FUNCTION tb.asset_profile_get(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.need_role(p, 'TENANT_ADMIN');

    RETURN tb.asset_profile_out(
        iot.asset_profile_get(p, tb.uuid(path[1])));
END
$$;


CREATE OR REPLACE FUNCTION tb.asset_profile_info_get(p iot.principal,
    path text[], query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);

    RETURN tb.asset_profile_info_out(
        iot.asset_profile_get(p, tb.uuid(path[1])));
END
$$;


CREATE OR REPLACE FUNCTION tb.asset_profile_info_default(p iot.principal,
    path text[], query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.need_role(p, 'TENANT_ADMIN', 'CUSTOMER_USER');

    RETURN tb.asset_profile_info_out(iot.asset_profile_default(p.tenant_id));
END
$$;


CREATE OR REPLACE FUNCTION tb.asset_profile_save(p iot.principal,
    path text[], query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);

    RETURN tb.asset_profile_out(
        iot.asset_profile_save(p, tb.asset_profile_in(body)));
END
$$;


CREATE OR REPLACE FUNCTION tb.asset_profile_delete(p iot.principal,
    path text[], query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.asset_profile_delete(p, tb.uuid(path[1]));

    RETURN NULL;
END
$$;


CREATE OR REPLACE FUNCTION tb.asset_profile_set_default(p iot.principal,
    path text[], query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);

    RETURN tb.asset_profile_out(
        iot.asset_profile_set_default(p, tb.uuid(path[1])));
END
$$;


CREATE OR REPLACE FUNCTION tb.asset_profiles_page(p iot.principal,
    query json, item text) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    RETURN tb.list(tb.page(query), item,
        'iot.asset_profile AS a WHERE a.tenant_id = $1[1]::uuid'
        ' AND ($2 IS NULL OR a.name ILIKE $2)',
        '{"id":"a.id","createdTime":"a.created_time","name":"a.name",
          "description":"a.description","default":"a.is_default",
          "isDefault":"a.is_default"}',
        'a.id', p.tenant_id::text);
END
$$;


CREATE OR REPLACE FUNCTION tb.asset_profiles(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.need_role(p, 'TENANT_ADMIN');

    RETURN tb.asset_profiles_page(p, query, 'tb.asset_profile_out(a)');
END
$$;


CREATE OR REPLACE FUNCTION tb.asset_profile_infos_list(p iot.principal,
    path text[], query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    ids  uuid[] := tb.arg_ids(query, 'assetProfileIds');
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.need_role(p, 'TENANT_ADMIN');

    RETURN COALESCE(
        (SELECT json_agg(tb.asset_profile_info_out(a) ORDER BY a.id)
         FROM iot.asset_profile AS a
         WHERE a.tenant_id = p.tenant_id AND a.id = ANY (ids)),
        '[]');
END
$$;


CREATE OR REPLACE FUNCTION tb.asset_profile_infos(p iot.principal,
    path text[], query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    IF query -> 'assetProfileIds' IS NOT NULL THEN
        RETURN tb.asset_profile_infos_list(p, path, query, body);
    END IF;

    PERFORM iot.enter(p);
    PERFORM iot.need_role(p, 'TENANT_ADMIN', 'CUSTOMER_USER');

    RETURN tb.asset_profiles_page(p, query, 'tb.asset_profile_info_out(a)');
END
$$;


CREATE OR REPLACE FUNCTION tb.asset_profile_names(p iot.principal,
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
         FROM (SELECT tb.id('ASSET_PROFILE', a.id) AS "id",
                      a.name AS "name"
               FROM iot.asset_profile AS a
               WHERE a.tenant_id = p.tenant_id
                     AND (NOT active
                          OR EXISTS (SELECT FROM iot.asset AS v
                                     WHERE v.tenant_id = a.tenant_id
                                           AND v.profile_id = a.id))) AS x),
        '[]');
END
$$;
