
--
-- Copyright (C) the ngx_iot authors
--
-- The registry of settings over REST: /api/settings and
-- /api/settings/{name}.  A system administrator has those of the server, a
-- tenant administrator those that a tenant may set for itself.


CREATE OR REPLACE FUNCTION tb.settings(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    prefix  text := COALESCE(tb.arg(query, 'prefix'), '');
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.need_role(p, 'SYS_ADMIN', 'TENANT_ADMIN');

    RETURN COALESCE((SELECT json_agg(iot.setting_describe(p, d)
                                     ORDER BY d.name)
                     FROM iot.setting_definition AS d
                     WHERE (p.role = 'SYS_ADMIN' OR d.scope = 'tenant')
                           AND starts_with(d.name, prefix)), '[]');
END
$$;


CREATE OR REPLACE FUNCTION tb.setting_get(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.need_role(p, 'SYS_ADMIN', 'TENANT_ADMIN');

    RETURN iot.setting_describe(p, iot.setting_definition(p, path[1]));
END
$$;


-- {"value": ...}

CREATE OR REPLACE FUNCTION tb.setting_put(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);
    PERFORM tb.need_object(body);

    PERFORM iot.setting_set(p, path[1], body -> 'value');

    RETURN iot.setting_describe(p, iot.setting_definition(p, path[1]));
END
$$;


-- Back to the server's value, or to the default.

CREATE OR REPLACE FUNCTION tb.setting_delete(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);

    PERFORM iot.setting_unset(p, path[1]);

    RETURN iot.setting_describe(p, iot.setting_definition(p, path[1]));
END
$$;
