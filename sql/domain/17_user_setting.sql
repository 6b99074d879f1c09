
--
-- Copyright (C) the ngx_iot authors
--
-- What user interfaces keep for a user: JSON objects by type.  And the tokens
-- that let an administrator look at things as somebody else.

SELECT iot.setting_define('users.tokenAccess', 'boolean', 'true', NULL,
    'system', true, false,
    'Whether administrators may get tokens of the users below them.');


CREATE OR REPLACE FUNCTION iot.user_setting_check(p iot.principal, type text)
RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.need_write(p);

    IF p.user_id IS NULL THEN
        PERFORM iot.fail_permission();
    END IF;

    IF type IS NULL OR type <> ALL (ARRAY['GENERAL', 'VISITED_DASHBOARDS',
           'QUICK_LINKS', 'DOC_LINKS', 'DASHBOARDS', 'GETTING_STARTED',
           'NOTIFICATIONS', 'MOBILE'])
    THEN
        PERFORM iot.fail_request(
            format('Unknown type of user settings ''%s''!', left(type, 64)));
    END IF;
END
$$;


CREATE OR REPLACE FUNCTION iot.user_setting_get(p iot.principal, type text)
RETURNS jsonb
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.user_setting_check(p, type);

    RETURN COALESCE((SELECT s.value FROM iot.user_setting AS s
                     WHERE s.user_id = p.user_id
                           AND s.type = user_setting_get.type), '{}');
END
$$;


CREATE OR REPLACE FUNCTION iot.user_setting_put(p iot.principal, type text,
    value jsonb) RETURNS jsonb
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.user_setting_check(p, type);

    IF jsonb_typeof(value) IS DISTINCT FROM 'object' THEN
        PERFORM iot.fail_request('Malformed JSON request body');
    END IF;

    IF octet_length(value::text) > 262144 THEN
        PERFORM iot.fail_request(
            'User settings must be smaller than 256 kilobytes!');
    END IF;

    INSERT INTO iot.user_setting AS s (user_id, type, tenant_id, value)
    VALUES (p.user_id, user_setting_put.type, p.tenant_id,
            user_setting_put.value)
    ON CONFLICT ON CONSTRAINT user_setting_pkey
        DO UPDATE SET value = excluded.value;

    RETURN value;
END
$$;


-- Put a value where the path leads, with the objects on the way to it.

CREATE OR REPLACE FUNCTION iot.json_put(o jsonb, path text[], value jsonb)
RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
    inner_  jsonb;
BEGIN
    IF jsonb_typeof(o) IS DISTINCT FROM 'object' THEN
        o := '{}';
    END IF;

    IF cardinality(path) = 1 THEN
        RETURN o || jsonb_build_object(path[1], value);
    END IF;

    inner_ := iot.json_put(o -> path[1], path[2:], value);

    RETURN o || jsonb_build_object(path[1], inner_);
END
$$;


-- Merge: the names of the members may be paths with dots.

CREATE OR REPLACE FUNCTION iot.user_setting_merge(p iot.principal, type text,
    value jsonb) RETURNS jsonb
LANGUAGE plpgsql
AS $$
DECLARE
    result  jsonb;
    m       record;
BEGIN
    PERFORM iot.lock('user_setting', p.user_id);

    result := iot.user_setting_get(p, type);

    IF jsonb_typeof(value) IS DISTINCT FROM 'object' THEN
        PERFORM iot.fail_request('Malformed JSON request body');
    END IF;

    FOR m IN SELECT e.key, e.value FROM jsonb_each(value) AS e LOOP
        IF cardinality(string_to_array(m.key, '.')) > 16 THEN
            PERFORM iot.fail_request('A path of user settings is too deep!');
        END IF;

        result := iot.json_put(result,
            CASE m.key WHEN '' THEN ARRAY[''] ELSE string_to_array(m.key, '.')
            END, m.value);
    END LOOP;

    RETURN iot.user_setting_put(p, type, result);
END
$$;


CREATE OR REPLACE FUNCTION iot.user_setting_delete(p iot.principal,
    type text, paths text[]) RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    result  jsonb;
    path    text;
BEGIN
    PERFORM iot.lock('user_setting', p.user_id);

    result := iot.user_setting_get(p, type);

    FOREACH path IN ARRAY paths LOOP
        result := result #- string_to_array(path, '.');
    END LOOP;

    PERFORM iot.user_setting_put(p, type, result);
END
$$;


CREATE OR REPLACE FUNCTION iot.token_access() RETURNS boolean
LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN iot.setting_value(NULL, 'users.tokenAccess')::text::boolean;
END
$$;


-- A session of somebody else: of a tenant administrator for the system, of a
-- customer user for a tenant administrator.

CREATE OR REPLACE FUNCTION iot.user_token(p iot.principal, id uuid)
RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    u   iot.users;
    ok  boolean;
BEGIN
    -- a role may give IMPERSONATE to an administrator who has little else

    IF p.role = 'CUSTOMER_USER' THEN
        PERFORM iot.fail_permission();
    END IF;

    u := iot.user_get(p, id, 'IMPERSONATE');

    IF NOT iot.token_access()
       OR u.authority <> (CASE p.role WHEN 'SYS_ADMIN' THEN 'TENANT_ADMIN'
                          ELSE 'CUSTOMER_USER' END)
    THEN
        PERFORM iot.fail_permission();
    END IF;

    SELECT c.enabled AND NOT c.locked AND c.password_hash IS NOT NULL INTO ok
    FROM iot.user_credentials AS c WHERE c.user_id = u.id;

    IF NOT COALESCE(ok, false) THEN
        PERFORM iot.fail_request('User account is not active');
    END IF;

    PERFORM iot.audit(p, 'USER', u.id, u.email, 'CREDENTIALS_READ',
                      data => json_build_object('loggedInAs', u.email,
                                                'clientAddress', p.address),
                      customer => u.customer_id);

    RETURN iot.login_object(u, iot.session_begin(u, p.address,
                                                 'for ' || p.name), true);
END
$$;
