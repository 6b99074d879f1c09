
--
-- Copyright (C) the ngx_iot authors
--
-- /api/tenantProfile...


CREATE OR REPLACE FUNCTION tb.tenant_profile_out(t iot.tenant_profile)
RETURNS json
LANGUAGE sql STABLE
AS $$
    SELECT json_build_object(
        'id', tb.id('TENANT_PROFILE', t.id),
        'createdTime', t.created_time,
        'name', t.name,
        'description', t.description,
        'default', t.is_default,
        'isolatedTbRuleEngine', t.isolated,
        'profileData', t.data,
        'version', t.version)
$$;


CREATE OR REPLACE FUNCTION tb.tenant_profile_info_out(t iot.tenant_profile)
RETURNS json
LANGUAGE sql STABLE
AS $$
    SELECT json_build_object(
        'id', tb.id('TENANT_PROFILE', t.id),
        'name', t.name)
$$;


CREATE OR REPLACE FUNCTION tb.tenant_profile_in(body json)
RETURNS iot.tenant_profile
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    r  iot.tenant_profile;
BEGIN
    PERFORM tb.need_object(body);

    r.id := tb.ref(body, 'id');
    r.name := tb.text(body, 'name');
    r.description := tb.text(body, 'description', 4096);
    r.is_default := tb.boolean(body, 'default', false);
    r.isolated := tb.boolean(body, 'isolatedTbRuleEngine', false);
    r.data := tb.object(body, 'profileData');
    r.version := tb.long(body, 'version');

    RETURN r;
END
$$;


CREATE OR REPLACE FUNCTION tb.tenant_profile_get(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);

    RETURN tb.tenant_profile_out(
        iot.tenant_profile_get(p, tb.uuid(path[1])));
END
$$;


CREATE OR REPLACE FUNCTION tb.tenant_profile_info_get(p iot.principal,
    path text[], query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);

    RETURN tb.tenant_profile_info_out(
        iot.tenant_profile_get(p, tb.uuid(path[1])));
END
$$;


CREATE OR REPLACE FUNCTION tb.tenant_profile_info_default(p iot.principal,
    path text[], query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.need_role(p, 'SYS_ADMIN');

    RETURN tb.tenant_profile_info_out(iot.tenant_profile_default());
END
$$;


CREATE OR REPLACE FUNCTION tb.tenant_profile_save(p iot.principal,
    path text[], query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);

    RETURN tb.tenant_profile_out(
        iot.tenant_profile_save(p, tb.tenant_profile_in(body)));
END
$$;


CREATE OR REPLACE FUNCTION tb.tenant_profile_delete(p iot.principal,
    path text[], query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.tenant_profile_delete(p, tb.uuid(path[1]));

    RETURN NULL;
END
$$;


CREATE OR REPLACE FUNCTION tb.tenant_profile_set_default(p iot.principal,
    path text[], query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);

    RETURN tb.tenant_profile_out(
        iot.tenant_profile_set_default(p, tb.uuid(path[1])));
END
$$;


CREATE OR REPLACE FUNCTION tb.tenant_profiles_list(p iot.principal,
    path text[], query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    ids  uuid[] := tb.arg_ids(query, 'ids');
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.need_role(p, 'SYS_ADMIN');

    RETURN COALESCE(
        (SELECT json_agg(tb.tenant_profile_out(t) ORDER BY t.id)
         FROM iot.tenant_profile AS t WHERE t.id = ANY (ids)),
        '[]');
END
$$;


CREATE OR REPLACE FUNCTION tb.tenant_profiles_page(p iot.principal,
    query json, item text) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.need_role(p, 'SYS_ADMIN');

    RETURN tb.list(tb.page(query), item,
        'iot.tenant_profile AS t WHERE ($2 IS NULL OR t.name ILIKE $2)',
        '{"id":"t.id","createdTime":"t.created_time","name":"t.name",
          "description":"t.description","default":"t.is_default"}',
        't.id');
END
$$;


CREATE OR REPLACE FUNCTION tb.tenant_profiles(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    IF query -> 'ids' IS NOT NULL THEN
        RETURN tb.tenant_profiles_list(p, path, query, body);
    END IF;

    RETURN tb.tenant_profiles_page(p, query, 'tb.tenant_profile_out(t)');
END
$$;


CREATE OR REPLACE FUNCTION tb.tenant_profile_infos(p iot.principal,
    path text[], query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    RETURN tb.tenant_profiles_page(p, query, 'tb.tenant_profile_info_out(t)');
END
$$;
