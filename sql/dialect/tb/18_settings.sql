
--
-- Copyright (C) the ngx_iot authors
--
-- Settings, and what clients ask for when they start.


CREATE OR REPLACE FUNCTION tb.setting_out(s iot.setting) RETURNS json
LANGUAGE sql STABLE
AS $$
    SELECT json_build_object(
        'id', json_build_object('id', s.id),
        'createdTime', s.created_time,
        'tenantId', tb.id_or_none('TENANT', s.tenant_id),
        'key', s.name,
        'jsonValue',
            CASE s.name
            WHEN 'mail' THEN (s.value::jsonb - 'password')::json
            ELSE s.value END)
$$;


CREATE OR REPLACE FUNCTION tb.admin_settings_get(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    r  iot.setting;
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.need_role(p, 'SYS_ADMIN');

    SELECT * INTO r FROM iot.setting AS s
    WHERE s.tenant_id IS NULL AND s.name = path[1]
          AND s.name NOT IN ('jwt', 'security');

    IF r.id IS NULL THEN
        PERFORM iot.fail_missing('Admin settings', NULL);
    END IF;

    RETURN tb.setting_out(r);
END
$$;


-- The settings with an endpoint of their own are not written here.  Those of
-- mail hold a password, which only a sealed column may.

CREATE OR REPLACE FUNCTION tb.admin_settings_save(p iot.principal,
    path text[], query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    key    text;
    value  json;
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.need_role(p, 'SYS_ADMIN');
    PERFORM tb.need_object(body);

    key := COALESCE(tb.text(body, 'key'), '');
    value := tb.object(body, 'jsonValue');

    IF key !~ '^[A-Za-z][A-Za-z0-9_.-]{0,99}$' THEN
        PERFORM iot.fail_request('Key should be specified!');
    END IF;

    IF value IS NULL THEN
        PERFORM iot.fail_request('Json value should be specified!');
    END IF;

    CASE key
    WHEN 'jwt', 'security', 'twoFactor' THEN
        PERFORM iot.fail_request(
            format('Settings ''%s'' can''t be changed here!', key));

    WHEN 'mail' THEN
        PERFORM iot.fail(501, 'not_implemented',
                         'Mail settings are not supported yet!');

    WHEN 'general' THEN
        IF value ->> 'baseUrl' !~ '^https?://[^[:space:]"<>\\]{1,255}$' THEN
            PERFORM iot.fail_request('Base URL is malformed!');
        END IF;

        PERFORM tb.boolean(value, 'prohibitDifferentUrl', false);

    WHEN 'audit' THEN
        PERFORM iot.setting_int(value::jsonb, 'days', 0, 36500);

    ELSE
        NULL;
    END CASE;

    RETURN tb.setting_out(iot.setting_save(p, key, value));
END
$$;


CREATE OR REPLACE FUNCTION tb.security_settings_get(p iot.principal,
    path text[], query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.need_role(p, 'SYS_ADMIN');

    RETURN iot.security_settings()::json;
END
$$;


CREATE OR REPLACE FUNCTION tb.security_settings_save(p iot.principal,
    path text[], query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.need_role(p, 'SYS_ADMIN');
    PERFORM tb.need_object(body);

    RETURN iot.security_settings_save(p, body::jsonb)::json;
END
$$;


-- For everybody: what a new password must be like.

CREATE OR REPLACE FUNCTION tb.password_policy(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);

    RETURN (iot.security_settings() -> 'passwordPolicy')::json;
END
$$;


-- The signing key does not leave the workers.

CREATE OR REPLACE FUNCTION tb.jwt_settings_get(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    jwt  json;
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.need_role(p, 'SYS_ADMIN');

    jwt := iot.settings_core() -> 'jwt';

    RETURN (SELECT row_to_json(x)
            FROM (SELECT (jwt ->> 'expiration')::bigint
                             AS "tokenExpirationTime",
                         (jwt ->> 'refresh')::bigint AS "refreshTokenExpTime",
                         jwt ->> 'issuer' AS "tokenIssuer",
                         NULL AS "tokenSigningKey") AS x);
END
$$;

-- "_key" is the sealed key, which the worker has put in the place of
-- "tokenSigningKey"; without one the present key stays.

CREATE OR REPLACE FUNCTION tb.jwt_settings_save(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.need_role(p, 'SYS_ADMIN');

    RETURN iot.jwt_save(p, tb.long(body, 'tokenExpirationTime'),
                        tb.long(body, 'refreshTokenExpTime'),
                        tb.text(body, 'tokenIssuer'), body ->> '_key');
END
$$;


CREATE OR REPLACE FUNCTION tb.system_params(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);

    RETURN (SELECT row_to_json(x)
            FROM (SELECT p.role IN ('SYS_ADMIN', 'TENANT_ADMIN')
                             AND iot.token_access()
                             AS "userTokenAccessEnabled",
                         '[]'::json AS "allowedDashboardIds",
                         false AS "edgesSupportEnabled",
                         false AS "hasRepository",
                         false AS "tbelEnabled",
                         false AS "persistDeviceStateToTelemetry",
                         CASE WHEN p.user_id IS NULL THEN '{}'
                         ELSE iot.user_setting_get(p, 'GENERAL')::json END
                             AS "userSettings",
                         50000 AS "maxDatapointsLimit",
                         COALESCE(iot.tenant_cap(p.tenant_id,
                                                 'maxResourceSize'), 0)
                             AS "maxResourceSize",
                         false AS "mobileQrEnabled",
                         0 AS "maxDebugModeDurationMinutes"
                 ) AS x);
END
$$;


CREATE OR REPLACE FUNCTION tb.system_info(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);

    RETURN '{"version":"4.3.0","artifact":"ngx_iot","name":"ngx_iot"}'::json;
END
$$;


CREATE OR REPLACE FUNCTION tb.help_base_url(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);

    RETURN to_json(COALESCE(iot.setting('general') ->> 'helpBaseUrl', ''));
END
$$;


CREATE OR REPLACE FUNCTION tb.server_time(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);

    RETURN to_json(iot.now_ms());
END
$$;


CREATE OR REPLACE FUNCTION tb.max_datapoints(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);

    RETURN to_json(50000);
END
$$;
