
--
-- Copyright (C) the ngx_iot authors
--
-- /api/2fa/..., /api/auth/2fa/...


CREATE OR REPLACE FUNCTION tb.second_type(query json) RETURNS text
LANGUAGE plpgsql
AS $$
DECLARE
    type  text := tb.need_arg(query, 'providerType');
BEGIN
    IF type NOT IN ('TOTP', 'SMS', 'EMAIL', 'BACKUP_CODE') THEN
        PERFORM iot.fail_request(
            'Invalid value of parameter ''providerType''!');
    END IF;

    RETURN type;
END
$$;


-- What an account has; the seed of TOTP is not shown again.

CREATE OR REPLACE FUNCTION tb.second_config_out(f iot.second_factor)
RETURNS jsonb
LANGUAGE sql STABLE
AS $$
    SELECT jsonb_build_object('providerType', f.type,
                              'useByDefault', f.is_default)
           || CASE f.type
              WHEN 'TOTP' THEN '{"authUrl":null}'
              WHEN 'EMAIL' THEN jsonb_build_object('email', f.email)
              ELSE jsonb_build_object('codesLeft', cardinality(f.codes))
              END
$$;


CREATE OR REPLACE FUNCTION tb.second_account_out(p iot.principal)
RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    RETURN (SELECT json_build_object('configs',
                       json_object_agg(f.type, tb.second_config_out(f)))
            FROM iot.second_configs(p) AS f
            HAVING count(*) > 0);
END
$$;


CREATE OR REPLACE FUNCTION tb.second_account(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);

    RETURN tb.second_account_out(p);
END
$$;


CREATE OR REPLACE FUNCTION tb.second_generate(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    type  text := tb.second_type(query);
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.need_write(p);

    RETURN jsonb_build_object('providerType', type, 'useByDefault', false)
           || iot.second_generate(p, type);
END
$$;


CREATE OR REPLACE FUNCTION tb.second_submit(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.need_write(p);
    PERFORM tb.need_object(body);
    PERFORM iot.second_submit(p, tb.second_type(body),
                              tb.raw_text(body, 'email'));

    RETURN NULL;
END
$$;


-- The worker puts "_step" and "_secret" into a body about TOTP, and takes
-- away what the client sent.

CREATE OR REPLACE FUNCTION tb.second_save(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    type   text;
    codes  text[];
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.need_write(p);
    PERFORM tb.need_object(body);

    type := tb.second_type(body);

    IF json_typeof(body -> 'codes') = 'array' THEN
        codes := ARRAY(SELECT json_array_elements_text(body -> 'codes'));
    END IF;

    PERFORM iot.second_save(p, type,
        COALESCE(tb.arg(query, 'verificationCode'), ''),
        tb.raw_text(body, 'email'), codes,
        CASE type WHEN 'TOTP' THEN body ->> '_secret' END,
        CASE type WHEN 'TOTP' THEN (body ->> '_step')::bigint END,
        tb.boolean(body, 'useByDefault', false));

    RETURN tb.second_account_out(p);
END
$$;


CREATE OR REPLACE FUNCTION tb.second_change(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.need_write(p);
    PERFORM tb.need_object(body);
    PERFORM iot.second_change(p, tb.second_type(query),
                              tb.boolean(body, 'useByDefault', false));

    RETURN tb.second_account_out(p);
END
$$;


CREATE OR REPLACE FUNCTION tb.second_delete(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.need_write(p);
    PERFORM iot.second_delete(p, tb.second_type(query));

    RETURN tb.second_account_out(p);
END
$$;


-- Of another user, by who may change it.

CREATE OR REPLACE FUNCTION tb.second_remove(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.second_remove(p, tb.uuid(path[1]),
        CASE WHEN tb.arg(query, 'providerType') IS NOT NULL
        THEN tb.second_type(query) END);

    RETURN NULL;
END
$$;


CREATE OR REPLACE FUNCTION tb.second_types(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);

    RETURN to_json(iot.second_types());
END
$$;


CREATE OR REPLACE FUNCTION tb.second_settings(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.need_role(p, 'SYS_ADMIN');

    RETURN iot.setting('twoFactor');
END
$$;


CREATE OR REPLACE FUNCTION tb.second_settings_save(p iot.principal,
    path text[], query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.need_role(p, 'SYS_ADMIN');
    PERFORM tb.need_object(body);
    PERFORM tb.boolean(body, 'enforceTwoFa', false);

    RETURN iot.second_settings_save(p, body::jsonb)::json;
END
$$;


-- What a login may be completed with; addresses are shown in part.

CREATE OR REPLACE FUNCTION tb.second_providers(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    pause  json;
BEGIN
    PERFORM iot.enter(p);

    pause := iot.second_settings() -> 'minVerificationCodeSendPeriod';

    RETURN COALESCE(
        (SELECT json_agg(json_build_object(
                    'type', f.type,
                    'default', f.is_default,
                    'contact', regexp_replace(f.email,
                                              '^(.{1,2})[^@]*@', '\1***@'),
                    'minVerificationCodeSendPeriod',
                        CASE f.type WHEN 'EMAIL' THEN pause END))
         FROM iot.second_configs(p) AS f), '[]');
END
$$;


CREATE OR REPLACE FUNCTION tb.second_send(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.second_send(p, tb.second_type(query));

    RETURN NULL;
END
$$;


-- The object of the new session, which the worker makes tokens of.

CREATE OR REPLACE FUNCTION tb.second_enrolled(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);

    RETURN iot.second_enrolled(p);
END
$$;
