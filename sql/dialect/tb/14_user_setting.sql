
--
-- Copyright (C) the ngx_iot authors
--
-- /api/user/settings..., /api/user/{id}/token


CREATE OR REPLACE FUNCTION tb.user_settings(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);

    RETURN iot.user_setting_get(p, upper(COALESCE(path[1], 'GENERAL')));
END
$$;


-- What the server itself keeps there is not for clients.

CREATE OR REPLACE FUNCTION tb.user_setting_type(name text) RETURNS text
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    IF upper(name) = 'VISITED_DASHBOARDS' THEN
        PERFORM iot.fail_request('Settings with type: VISITED_DASHBOARDS are '
                                 'reserved for internal use!');
    END IF;

    RETURN upper(COALESCE(name, 'GENERAL'));
END
$$;


CREATE OR REPLACE FUNCTION tb.user_settings_save(p iot.principal,
    path text[], query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);

    RETURN iot.user_setting_put(p, 'GENERAL', body::jsonb);
END
$$;


CREATE OR REPLACE FUNCTION tb.user_settings_merge(p iot.principal,
    path text[], query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.user_setting_merge(p, tb.user_setting_type(path[1]),
                                   body::jsonb);

    RETURN NULL;
END
$$;


-- /user/settings/{paths} and /user/settings/{type}/{paths}

CREATE OR REPLACE FUNCTION tb.user_settings_delete(p iot.principal,
    path text[], query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    n  integer := cardinality(path);
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.user_setting_delete(p,
        tb.user_setting_type(CASE n WHEN 2 THEN path[1] END),
        string_to_array(path[n], ','));

    RETURN NULL;
END
$$;


-- The object of the new session, which the worker makes tokens of.

CREATE OR REPLACE FUNCTION tb.user_token(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);

    RETURN iot.user_token(p, tb.uuid(path[1]));
END
$$;
