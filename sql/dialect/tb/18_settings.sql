
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
            WHEN 'mail' THEN (s.value::jsonb - 'password'
                              - 'proxyPassword')::json
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

    IF r.id IS NULL AND path[1] = 'mail' THEN
        r.id := '13814000-1dd2-11b2-8080-808080808080';
        r.created_time := 0;
        r.name := 'mail';
        r.value := (SELECT json_object_agg(n, iot.setting_value(NULL,
                                                                'mail.' || n))
                    FROM unnest(ARRAY['mailFrom', 'smtpProtocol', 'smtpHost',
                                      'smtpPort', 'timeout', 'enableTls',
                                      'username']) AS n);
    END IF;

    IF r.id IS NULL THEN
        PERFORM iot.fail_missing('Admin settings', NULL);
    END IF;

    RETURN tb.setting_out(r);
END
$$;


-- The settings of mail as they are stored: passwords are sealed already, and
-- those that are not given stay.  Numbers and booleans may be strings.

CREATE OR REPLACE FUNCTION tb.mail_settings_in(value json) RETURNS jsonb
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    v     jsonb := value::jsonb;
    old   jsonb := COALESCE(iot.setting('mail')::jsonb, '{}');
    name  text;
BEGIN
    PERFORM iot.setting_int(v, 'smtpPort', 1, 65535);
    PERFORM iot.setting_int(v, 'timeout', 100, 600000);

    IF COALESCE(v ->> 'smtpProtocol', 'smtp') NOT IN ('smtp', 'smtps') THEN
        PERFORM iot.fail_request('smtpProtocol must be smtp or smtps');
    END IF;

    IF COALESCE(v ->> 'smtpHost', '') !~ '^[^[:space:][:cntrl:]/@?#%\\]*$'
       OR length(v ->> 'smtpHost') > 255
    THEN
        PERFORM iot.fail_request('smtpHost is malformed!');
    END IF;

    IF COALESCE(v ->> 'mailFrom', 'x@y') !~
           '^([^<>[:cntrl:]]*<)?[^@<>,;[:space:][:cntrl:]]+'
           '@[^@<>,;[:space:][:cntrl:]]+>?$'
       OR length(v ->> 'mailFrom') > 320
    THEN
        PERFORM iot.fail_request('mailFrom is malformed!');
    END IF;

    FOREACH name IN ARRAY ARRAY['password', 'proxyPassword'] LOOP
        CONTINUE WHEN COALESCE(v ->> name, '') <> '';

        v := v - name;

        IF old ? name THEN
            v := v || jsonb_build_object(name, old -> name);
        END IF;
    END LOOP;

    RETURN v;
END
$$;


-- A mail to the caller by these settings, which are not stored.  The answer
-- comes when a helper has tried it.

CREATE OR REPLACE FUNCTION tb.admin_settings_test(p iot.principal,
    path text[], query json, body json) RETURNS iot.answer
LANGUAGE plpgsql
AS $$
DECLARE
    value  json;
    job    uuid;
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.need_role(p, 'SYS_ADMIN');
    PERFORM tb.need_object(body);

    value := tb.object(body, 'jsonValue');

    IF tb.text(body, 'key') IS DISTINCT FROM 'mail' OR value IS NULL THEN
        PERFORM iot.fail_request('Mail settings should be specified!');
    END IF;

    job := iot.job_add(NULL, 'mail',
        jsonb_build_object('template', 'test-mail',
                           'recipient', (SELECT u.email FROM iot.users u
                                          WHERE u.id = p.user_id),
                           'vars', '{}'::jsonb,
                           'mail', tb.mail_settings_in(value)),
        NULL, '0');

    RETURN ROW(200, json_build_object('@wait', job,
                                      '@then', 'tb.admin_settings_test_after',
                                      '@timeout', '60000'),
               NULL)::iot.answer;
END
$$;


CREATE OR REPLACE FUNCTION tb.admin_settings_test_after(p iot.principal,
    path text[], query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);

    CASE body #>> '{job,state}'
    WHEN 'done' THEN
        RETURN NULL;

    WHEN 'timeout' THEN
        PERFORM iot.fail(500, 'general',
            'Unable to send mail: the mail server does not answer');

    ELSE
        PERFORM iot.fail(500, 'general',
            'Unable to send mail: ' || COALESCE(body #>> '{job,error}', '?'));
    END CASE;

    RETURN NULL;
END
$$;


-- The settings with an endpoint of their own are not written here.

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
        value := tb.mail_settings_in(value)::json;

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
