
--
-- Copyright (C) the ngx_iot authors
--
-- API keys: a user's standing credential for machines.  Everybody has keys of
-- his own; a tenant administrator sees to those of the tenant's users, the
-- system administrator to those of tenant administrators.


-- The user whose keys the caller may see to.

CREATE OR REPLACE FUNCTION iot.api_key_user(p iot.principal, id uuid)
RETURNS iot.users
LANGUAGE plpgsql
AS $$
DECLARE
    u  iot.users;
BEGIN
    PERFORM iot.need_write(p);

    u := iot.user_get(p, id, CASE WHEN api_key_user.id = p.user_id THEN 'READ'
                             ELSE 'IMPERSONATE' END);

    IF u.id = p.user_id
       OR p.role = 'TENANT_ADMIN'
       OR p.role = 'SYS_ADMIN' AND u.authority = 'TENANT_ADMIN'
    THEN
        RETURN u;
    END IF;

    PERFORM iot.fail_permission();
    RETURN NULL;
END
$$;


CREATE OR REPLACE FUNCTION iot.api_key_get(p iot.principal, id uuid)
RETURNS iot.api_key
LANGUAGE plpgsql
AS $$
DECLARE
    r  iot.api_key;
BEGIN
    SELECT * INTO r FROM iot.api_key AS k
    WHERE k.id = api_key_get.id
          AND (p.role = 'SYS_ADMIN' OR k.tenant_id = p.tenant_id)
    FOR UPDATE;

    IF r.id IS NULL THEN
        PERFORM iot.fail_missing('API key', id);
    END IF;

    PERFORM iot.api_key_user(p, r.user_id);

    RETURN r;
END
$$;


-- What a key is called, checked.

CREATE OR REPLACE FUNCTION iot.api_key_description(value text) RETURNS text
LANGUAGE plpgsql
AS $$
BEGIN
    IF COALESCE(btrim(value), '') = '' THEN
        PERFORM iot.fail_request('API key description should be specified!');
    END IF;

    IF length(value) > 255 THEN
        PERFORM iot.fail_request(
            'description length must be equal or less than 255');
    END IF;

    IF value ~ '<[a-zA-Z/!?]' THEN
        PERFORM iot.fail_request('description is malformed');
    END IF;

    RETURN btrim(value);
END
$$;


-- Make a key; value is what the caller is shown this once.

CREATE OR REPLACE FUNCTION iot.api_key_create(p iot.principal, user_id uuid,
    description text, enabled boolean, expires_at bigint,
    OUT r iot.api_key, OUT value text)
LANGUAGE plpgsql
AS $$
DECLARE
    u  iot.users := iot.api_key_user(p, COALESCE(user_id, p.user_id));
BEGIN
    IF expires_at < 0 OR expires_at BETWEEN 1 AND iot.now_ms() THEN
        PERFORM iot.fail_request(
            'API key expiration time should be in the future!');
    END IF;

    -- nobody needs more, and a list of them must not fill the database

    PERFORM iot.lock('api_key', u.id);

    IF (SELECT count(*) FROM iot.api_key AS k WHERE k.user_id = u.id) >= 100
    THEN
        PERFORM iot.fail_request('A user can have at most 100 API keys!');
    END IF;

    value := 'tb_' || iot.random_text(40);

    INSERT INTO iot.api_key (tenant_id, user_id, description, enabled,
                             expires_at, hash)
    VALUES (u.tenant_id, u.id,
            iot.api_key_description(api_key_create.description),
            COALESCE(api_key_create.enabled, true),
            COALESCE(api_key_create.expires_at, 0),
            sha256(convert_to(value, 'UTF8')))
    RETURNING * INTO r;

    PERFORM iot.audit(p, 'API_KEY', r.id, r.description, 'ADDED',
                      customer => u.customer_id);
END
$$;


-- NULL: stays as it is.

CREATE OR REPLACE FUNCTION iot.api_key_change(p iot.principal, id uuid,
    description text, enabled boolean) RETURNS iot.api_key
LANGUAGE plpgsql
AS $$
DECLARE
    r  iot.api_key := iot.api_key_get(p, id);
BEGIN
    IF description IS NOT NULL THEN
        r.description := iot.api_key_description(description);
    END IF;

    UPDATE iot.api_key AS k
    SET description = r.description,
        enabled = COALESCE(api_key_change.enabled, k.enabled)
    WHERE k.id = r.id
    RETURNING * INTO r;

    PERFORM iot.audit(p, 'API_KEY', r.id, r.description, 'UPDATED');
    PERFORM pg_notify('iot', 'api_key ' || r.id);

    RETURN r;
END
$$;


CREATE OR REPLACE FUNCTION iot.api_key_delete(p iot.principal, id uuid)
RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    r  iot.api_key := iot.api_key_get(p, id);
BEGIN
    DELETE FROM iot.api_key AS k WHERE k.id = r.id;

    PERFORM iot.audit(p, 'API_KEY', r.id, r.description, 'DELETED');
    PERFORM pg_notify('iot', 'api_key ' || r.id);
END
$$;


-- Who holds the key of that SHA-256 (hex); no row: nobody.  expires in
-- milliseconds, NULL: never.  plan is what it may do, '' without a limit.

DROP FUNCTION IF EXISTS iot.api_key_principal(text);

CREATE FUNCTION iot.api_key_principal(p_hash text)
RETURNS TABLE (role text, tenant_id uuid, customer_id uuid, user_id uuid,
    session_id uuid, is_public boolean, name text, key_id uuid,
    expires bigint, plan text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
BEGIN
    RETURN QUERY
        SELECT u.authority, u.tenant_id, u.customer_id, u.id, NULL::uuid,
               false, u.email, k.id, NULLIF(k.expires_at, 0),
               iot.api_key_plan(k.tenant_id, k.id)
        FROM iot.api_key AS k
            JOIN iot.users AS u ON u.id = k.user_id
            JOIN iot.user_credentials AS c ON c.user_id = k.user_id
        WHERE k.hash = decode(p_hash, 'hex') AND k.enabled
              AND (k.expires_at = 0 OR k.expires_at > iot.now_ms())
              AND c.enabled AND NOT c.locked
              AND iot.tenant_alive(u.tenant_id);
END
$$;

SELECT iot.definer('iot.api_key_principal',
                   'asked by the workers before there is a caller');
