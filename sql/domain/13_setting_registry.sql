
--
-- Copyright (C) the ngx_iot authors
--
-- The registry of settings.  Each subject defines its own in its own file; a
-- value is checked by its definition, stored for the server or for a tenant,
-- audited, and announced to whoever acts on it.
--
-- Types: boolean, integer, number, string, enum, email, url, rate, strings
-- (an array of them), object, array.
--
-- Bounds, an object: "min" and "max" of numbers; "minLength", "maxLength" and
-- "pattern" of strings and of each of "strings"; "values" of an enum;
-- "maxItems" of arrays.  Of a secret "seal" says who opens it: "helper"
-- (which is meant where it is absent) or "worker".
--
-- A default of null means that the setting may be absent.  A value that is
-- part of an older setting is kept there: stored_in is the name of that row,
-- and the name of the setting begins with it.

-- what this release does not define any more is gone

DELETE FROM iot.setting_definition;


CREATE OR REPLACE FUNCTION iot.setting_define(name text, type text,
    default_value json, bounds json, scope text, hot boolean, secret boolean,
    description text, stored_in text DEFAULT NULL) RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    d  iot.setting_definition;
BEGIN
    d := (setting_define.name, setting_define.type,
          COALESCE(default_value, 'null'), COALESCE(bounds, '{}'), scope, hot,
          secret, description, stored_in);

    IF d.name !~ '^[a-z][A-Za-z0-9_]*(\.[A-Za-z0-9_]+)+$' THEN
        RAISE 'setting "%" has no proper name', d.name;
    END IF;

    IF d.type NOT IN ('boolean', 'integer', 'number', 'string', 'enum',
                      'email', 'url', 'rate', 'strings', 'object', 'array')
    THEN
        RAISE 'setting "%" has the unknown type "%"', d.name, d.type;
    END IF;

    IF stored_in IS NOT NULL
       AND (scope <> 'system' OR NOT starts_with(d.name, stored_in || '.'))
    THEN
        RAISE 'setting "%" is not a part of "%"', d.name, stored_in;
    END IF;

    IF json_typeof(d.default_value) <> 'null' THEN
        PERFORM iot.setting_check(d, d.default_value);
    END IF;

    INSERT INTO iot.setting_definition SELECT (d).*
    ON CONFLICT ON CONSTRAINT setting_definition_pkey
        DO UPDATE SET type = excluded.type,
                      default_value = excluded.default_value,
                      bounds = excluded.bounds,
                      scope = excluded.scope,
                      hot = excluded.hot,
                      secret = excluded.secret,
                      description = excluded.description,
                      stored_in = excluded.stored_in;
END
$$;


-- Where in the row of stored_in the value is.

CREATE OR REPLACE FUNCTION iot.setting_path(d iot.setting_definition)
RETURNS text[]
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    RETURN string_to_array(substr(d.name, length(d.stored_in) + 2), '.');
END
$$;


CREATE OR REPLACE FUNCTION iot.setting_fail(d iot.setting_definition,
    what text) RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.fail(400, 'bad_request', format('%s must be %s!', d.name,
                                                what),
                     jsonb_build_object('setting', d.name));
END
$$;


CREATE OR REPLACE FUNCTION iot.setting_check_number(d iot.setting_definition,
    value json) RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    v     text := value #>> '{}';
    what  text := CASE d.type WHEN 'integer' THEN 'an integer'
                              ELSE 'a number' END;
    low   numeric := (d.bounds ->> 'min')::numeric;
    high  numeric := (d.bounds ->> 'max')::numeric;
BEGIN
    IF low IS NOT NULL AND high IS NOT NULL THEN
        what := what || format(' from %s to %s', low, high);

    ELSIF low IS NOT NULL THEN
        what := what || format(' of at least %s', low);

    ELSIF high IS NOT NULL THEN
        what := what || format(' of at most %s', high);
    END IF;

    -- longer ones would be rounded somewhere on their way

    IF json_typeof(value) <> 'number'
       OR length(v) > 24
       OR (d.type = 'integer' AND v !~ '^-?[0-9]{1,18}$')
    THEN
        PERFORM iot.setting_fail(d, what);
    END IF;

    IF abs(v::double precision) > 1e300 OR v::numeric < low
       OR v::numeric > high
    THEN
        PERFORM iot.setting_fail(d, what);
    END IF;

EXCEPTION
    WHEN numeric_value_out_of_range THEN
        PERFORM iot.setting_fail(d, what);
END
$$;


CREATE OR REPLACE FUNCTION iot.setting_check_text(d iot.setting_definition,
    v text) RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    low   integer := COALESCE((d.bounds ->> 'minLength')::integer, 0);
    high  integer := COALESCE((d.bounds ->> 'maxLength')::integer, 1000);
BEGIN
    IF length(v) NOT BETWEEN low AND high THEN
        PERFORM iot.setting_fail(d, format('text of %s to %s characters', low,
                                           high));
    END IF;

    IF v !~ (d.bounds ->> 'pattern') THEN
        PERFORM iot.setting_fail(d, 'text that matches '
                                    || (d.bounds ->> 'pattern'));
    END IF;

    CASE d.type
    WHEN 'enum' THEN
        IF NOT EXISTS (SELECT FROM json_array_elements_text(d.bounds
                                                            -> 'values') AS x
                       WHERE x = v)
        THEN
            PERFORM iot.setting_fail(d, 'one of '
                || (SELECT string_agg(x, ', ')
                    FROM json_array_elements_text(d.bounds -> 'values') AS x));
        END IF;

    WHEN 'email' THEN
        PERFORM iot.email(v);

    WHEN 'url' THEN
        IF v !~ '^https?://[^[:space:][:cntrl:]"<>\\]+$' THEN
            PERFORM iot.setting_fail(d, 'a URL of http or https');
        END IF;

    WHEN 'rate' THEN
        IF NOT iot.is_rate(v) THEN
            PERFORM iot.setting_fail(d, 'of the form 100:1,2000:60 (so many'
                || ' in so many seconds), at most four times');
        END IF;

    ELSE
        NULL;
    END CASE;
END
$$;


-- Is the value what the definition asks for?  It is not null.

CREATE OR REPLACE FUNCTION iot.setting_check(d iot.setting_definition,
    value json) RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    type  text := json_typeof(value);
    most  integer := COALESCE((d.bounds ->> 'maxItems')::integer, 1000);
    v     json;
BEGIN
    IF octet_length(value::text) > 65536 THEN
        PERFORM iot.setting_fail(d, 'smaller than 64 kilobytes');
    END IF;

    CASE
    WHEN d.type = 'boolean' THEN
        IF type <> 'boolean' THEN
            PERFORM iot.setting_fail(d, 'true or false');
        END IF;

    WHEN d.type IN ('integer', 'number') THEN
        PERFORM iot.setting_check_number(d, value);

    WHEN d.type = 'object' THEN
        IF type <> 'object' THEN
            PERFORM iot.setting_fail(d, 'an object');
        END IF;

    WHEN d.type IN ('array', 'strings') THEN
        IF type <> 'array' THEN
            PERFORM iot.setting_fail(d, 'an array');
        END IF;

        IF json_array_length(value) > most THEN
            PERFORM iot.setting_fail(d, format('an array of at most %s', most));
        END IF;

        IF d.type = 'strings' THEN
            FOR v IN SELECT x FROM json_array_elements(value) AS x LOOP
                IF json_typeof(v) <> 'string' THEN
                    PERFORM iot.setting_fail(d, 'an array of strings');
                END IF;

                PERFORM iot.setting_check_text(d, v #>> '{}');
            END LOOP;
        END IF;

    ELSE
        IF type <> 'string' THEN
            PERFORM iot.setting_fail(d, 'a string');
        END IF;

        PERFORM iot.setting_check_text(d, value #>> '{}');
    END CASE;
END
$$;


-- The definition of that name, if the caller may see it.  A tenant sees only
-- what is in its own hands.

CREATE OR REPLACE FUNCTION iot.setting_definition(p iot.principal, name text)
RETURNS iot.setting_definition
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    d  iot.setting_definition;
BEGIN
    SELECT * INTO d FROM iot.setting_definition AS s
    WHERE s.name = setting_definition.name
          AND (p.role = 'SYS_ADMIN' OR s.scope = 'tenant');

    IF d.name IS NULL THEN
        PERFORM iot.fail(404, 'not_found',
                         format('Setting [%s] is not found', left(name, 100)));
    END IF;

    RETURN d;
END
$$;


-- What was stored for the tenant (NULL: for the server); NULL: nothing.

CREATE OR REPLACE FUNCTION iot.setting_stored(d iot.setting_definition,
    tenant uuid) RETURNS json
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
DECLARE
    v  json;
BEGIN
    SELECT s.value INTO v FROM iot.setting AS s
    WHERE s.tenant_id IS NOT DISTINCT FROM tenant
          AND s.name = COALESCE(d.stored_in, d.name);

    IF d.stored_in IS NOT NULL THEN
        v := v #> iot.setting_path(d);
    END IF;

    RETURN CASE json_typeof(v) WHEN 'null' THEN NULL ELSE v END;
END
$$;

SELECT iot.definer('iot.setting_stored',
                   'settings of the server are for everybody');


-- The value in force: the tenant's, else the server's, else the default,
-- which may be a JSON null.  Secrets come as they are stored: sealed.

CREATE OR REPLACE FUNCTION iot.setting_value(tenant uuid, name text)
RETURNS json
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    d  iot.setting_definition;
    v  json;
BEGIN
    SELECT * INTO d FROM iot.setting_definition AS s
    WHERE s.name = setting_value.name;

    IF d.name IS NULL THEN
        RAISE 'setting "%" is not defined', name;
    END IF;

    IF tenant IS NOT NULL AND d.scope = 'tenant' THEN
        v := iot.setting_stored(d, tenant);
    END IF;

    RETURN COALESCE(v, iot.setting_stored(d, NULL), d.default_value);
END
$$;


-- The same as text; NULL: absent.

CREATE OR REPLACE FUNCTION iot.setting_of(tenant uuid, name text)
RETURNS text
LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN iot.setting_value(tenant, name) #>> '{}';
END
$$;


-- Store the value, or remove it (NULL), for the tenant or the server; p has
-- been checked.  A secret is stored only when it is sealed.

CREATE OR REPLACE FUNCTION iot.setting_put(p iot.principal,
    d iot.setting_definition, tenant uuid, v json) RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    row_name  CONSTANT text := COALESCE(d.stored_in, d.name);
    old       json;
    stored    json;
    id        uuid;
BEGIN
    PERFORM iot.lock('setting', tenant);

    old := iot.setting_stored(d, tenant);
    stored := v;

    IF d.stored_in IS NOT NULL THEN
        SELECT s.value INTO stored FROM iot.setting AS s
        WHERE s.tenant_id IS NOT DISTINCT FROM tenant AND s.name = row_name;

        stored := iot.setting_into(COALESCE(stored::jsonb, '{}'),
                                   iot.setting_path(d), v::jsonb)::json;
    END IF;

    IF stored IS NULL THEN
        DELETE FROM iot.setting AS s
        WHERE s.tenant_id IS NOT DISTINCT FROM tenant AND s.name = row_name
        RETURNING s.id INTO id;

    ELSE
        INSERT INTO iot.setting AS s (tenant_id, name, value)
        VALUES (tenant, row_name, stored)
        ON CONFLICT ON CONSTRAINT setting_tenant_id_name_key
            DO UPDATE SET value = excluded.value
        RETURNING s.id INTO id;
    END IF;

    PERFORM iot.audit(p, 'ADMIN_SETTINGS', id, d.name,
        CASE WHEN v IS NULL THEN 'DELETED' ELSE 'UPDATED' END,
        data => json_build_object('old', iot.setting_shown(d, old),
                                  'new', iot.setting_shown(d, v)));
    PERFORM iot.setting_announce(row_name, tenant);
END
$$;


-- Tell the workers: of the server all read them again, of a tenant what they
-- keep of it is dropped.

CREATE OR REPLACE FUNCTION iot.setting_announce(name text, tenant uuid)
RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    IF tenant IS NULL THEN
        PERFORM pg_notify('iot', 'settings ' || name);

        -- what workers keep of all keys

        IF starts_with(name, 'apiKeys.') THEN
            PERFORM pg_notify('iot', 'plans');
        END IF;

    ELSE
        PERFORM pg_notify('iot', 'tenant_setting ' || tenant);
    END IF;
END
$$;


-- The object with v at the path, whose inner objects are made; NULL: removed.

CREATE OR REPLACE FUNCTION iot.setting_into(o jsonb, path text[], v jsonb)
RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
    inner_value  jsonb;
BEGIN
    IF jsonb_typeof(o) <> 'object' THEN
        o := '{}';
    END IF;

    IF cardinality(path) = 1 THEN
        RETURN CASE WHEN v IS NULL THEN o - path[1]
                    ELSE o || jsonb_build_object(path[1], v) END;
    END IF;

    inner_value := iot.setting_into(COALESCE(o -> path[1], '{}'), path[2:], v);

    RETURN o || jsonb_build_object(path[1], inner_value);
END
$$;


-- As it may be shown: of a secret only that there is one.

CREATE OR REPLACE FUNCTION iot.setting_shown(d iot.setting_definition, v json)
RETURNS json
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    RETURN CASE WHEN v IS NULL OR json_typeof(v) = 'null' THEN NULL
                WHEN d.secret THEN '"***"'
                ELSE v END;
END
$$;


-- How a worker seals the value of a secret before it is stored; no row: it is
-- no secret.  Lengths are those of the text before.

CREATE OR REPLACE FUNCTION iot.setting_seal(name text)
RETURNS TABLE (kind text, max_length integer)
LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN QUERY
        SELECT CASE d.bounds ->> 'seal' WHEN 'worker' THEN 'w' ELSE 'h' END,
               COALESCE((d.bounds ->> 'maxLength')::integer, 1000)
        FROM iot.setting_definition AS d
        WHERE d.name = setting_seal.name AND d.secret;
END
$$;


-- Whose setting the caller changes: the server's (NULL) or its tenant's.

CREATE OR REPLACE FUNCTION iot.setting_owner(p iot.principal) RETURNS uuid
LANGUAGE plpgsql STABLE
AS $$
BEGIN
    PERFORM iot.need_role(p, 'SYS_ADMIN', 'TENANT_ADMIN');

    RETURN CASE p.role WHEN 'SYS_ADMIN' THEN NULL ELSE p.tenant_id END;
END
$$;


-- Check and store.  Rules between settings are those of
-- iot.setting_rules().

CREATE OR REPLACE FUNCTION iot.setting_set(p iot.principal, name text,
    v json) RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    tenant  CONSTANT uuid := iot.setting_owner(p);
    d       iot.setting_definition := iot.setting_definition(p, name);
BEGIN
    IF v IS NULL OR json_typeof(v) = 'null' THEN
        PERFORM iot.setting_fail(d, 'given as "value"');
    END IF;

    IF d.secret THEN
        IF json_typeof(v) <> 'string' OR NOT starts_with(v #>> '{}', 'sealed:')
        THEN
            PERFORM iot.setting_fail(d, 'a string that can be sealed');
        END IF;

    ELSE
        PERFORM iot.setting_check(d, v);
    END IF;

    PERFORM iot.setting_put(p, d, tenant, v);
    PERFORM iot.setting_rules(d.name, tenant);
END
$$;


CREATE OR REPLACE FUNCTION iot.setting_unset(p iot.principal, name text)
RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    tenant  CONSTANT uuid := iot.setting_owner(p);
    d       iot.setting_definition := iot.setting_definition(p, name);
BEGIN
    PERFORM iot.setting_put(p, d, tenant, NULL);
    PERFORM iot.setting_rules(d.name, tenant);
END
$$;


-- What must hold between several settings.

DROP FUNCTION IF EXISTS iot.setting_rules(text);

CREATE OR REPLACE FUNCTION iot.setting_rules(name text, tenant uuid)
RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    IF name LIKE 'security.passwordPolicy.%Length'
       AND iot.setting_of(NULL, 'security.passwordPolicy.maximumLength')::int
           < iot.setting_of(NULL, 'security.passwordPolicy.minimumLength')::int
    THEN
        PERFORM iot.fail_request(
            'maximumLength must not be less than minimumLength');
    END IF;

    IF starts_with(name, 'apiKeys.') THEN
        PERFORM iot.api_key_plan_rules(tenant);
    END IF;
END
$$;


-- One setting as the caller sees it.

CREATE OR REPLACE FUNCTION iot.setting_describe(p iot.principal,
    d iot.setting_definition) RETURNS json
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    own     json;
    system  json := iot.setting_stored(d, NULL);
BEGIN
    IF p.role <> 'SYS_ADMIN' THEN
        own := iot.setting_stored(d, p.tenant_id);
    END IF;

    RETURN (SELECT row_to_json(x)
            FROM (SELECT d.name, d.type, d.scope, d.hot, d.secret,
                         d.description, d.default_value AS "default",
                         d.bounds,
                         iot.setting_shown(d, COALESCE(own, system,
                                                       d.default_value))
                             AS value,
                         CASE WHEN own IS NOT NULL THEN 'tenant'
                              WHEN system IS NOT NULL THEN 'system'
                              ELSE 'default' END AS origin) AS x);
END
$$;
