
--
-- Copyright (C) the ngx_iot authors
--
-- /api/apiKey..., /api/apiKeys...


CREATE OR REPLACE FUNCTION tb.api_key_out(k iot.api_key) RETURNS json
LANGUAGE sql STABLE
AS $$
    SELECT json_build_object(
        'id', tb.id('API_KEY', k.id),
        'createdTime', k.created_time,
        'tenantId', tb.id_or_none('TENANT', k.tenant_id),
        'userId', tb.id('USER', k.user_id),
        'expirationTime', k.expires_at,
        'description', k.description,
        'enabled', k.enabled,
        'expired', k.expires_at <> 0 AND k.expires_at <= iot.now_ms())
$$;


CREATE OR REPLACE FUNCTION tb.api_key_create(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    made  record;
BEGIN
    PERFORM iot.enter(p);
    PERFORM tb.need_object(body);

    SELECT * INTO made
    FROM iot.api_key_create(p, tb.ref(body, 'userId'),
                            tb.text(body, 'description'),
                            tb.boolean(body, 'enabled', true),
                            tb.long(body, 'expirationTime'));

    RETURN (tb.api_key_out(made.r)::jsonb
            || jsonb_build_object('value', made.value))::json;
END
$$;


CREATE OR REPLACE FUNCTION tb.api_keys(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);

    RETURN tb.list(tb.page(query), 'tb.api_key_out(k)',
        'iot.api_key AS k WHERE k.user_id = $1[1]::uuid'
        ' AND ($2 IS NULL OR k.description ILIKE $2)',
        '{"id":"k.id","createdTime":"k.created_time",
          "description":"k.description","enabled":"k.enabled",
          "expirationTime":"k.expires_at"}',
        'k.id', (iot.api_key_user(p, tb.uuid(path[1]))).id::text);
END
$$;


-- The body is the text itself, or a JSON string.

CREATE OR REPLACE FUNCTION tb.api_key_describe(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    description  text := COALESCE(body #>> '{}', '');
BEGIN
    PERFORM iot.enter(p);

    IF description ~ '^".*"$' AND iot.is_json_object('{"a":' || description
                                                     || '}')
    THEN
        description := ('{"a":' || description || '}')::json ->> 'a';
    END IF;

    RETURN tb.api_key_out(iot.api_key_change(p, tb.uuid(path[1]), description,
                                             NULL));
END
$$;


CREATE OR REPLACE FUNCTION tb.api_key_enable(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);

    RETURN tb.api_key_out(
        iot.api_key_change(p, tb.uuid(path[1]), NULL,
            tb.arg_boolean(json_build_object('enabled', path[2]),
                           'enabled')));
END
$$;


CREATE OR REPLACE FUNCTION tb.api_key_delete(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.api_key_delete(p, tb.uuid(path[1]));

    RETURN NULL;
END
$$;
