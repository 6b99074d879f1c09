
--
-- Copyright (C) the ngx_iot authors
--
-- What every function starts with, and how it refuses.


-- The first statement of every endpoint: tell row-level security who asks.

CREATE OR REPLACE FUNCTION iot.enter(p iot.principal) RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM set_config('iot.role', COALESCE(p.role, ''), true),
            set_config('iot.tenant', COALESCE(p.tenant_id::text, ''), true),
            set_config('iot.customer', COALESCE(p.customer_id::text, ''),
                       true),
            set_config('iot.user', COALESCE(p.user_id::text, ''), true);
END
$$;


-- Refuse: HTTP status, stable code, text for the client, more fields.

CREATE OR REPLACE FUNCTION iot.fail(status integer, code text, message text,
    fields jsonb DEFAULT NULL) RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    RAISE EXCEPTION USING
        ERRCODE = 'IO' || status,
        MESSAGE = message,
        DETAIL = (jsonb_build_object('code', code)
                  || COALESCE(fields, '{}'))::text;
END
$$;


CREATE OR REPLACE FUNCTION iot.fail_request(message text) RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.fail(400, 'bad_request', message);
END
$$;


CREATE OR REPLACE FUNCTION iot.fail_permission() RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.fail(403, 'permission_denied',
        'You don''t have permission to perform this operation!');
END
$$;


-- what is "Device", "Tenant profile" ...; id NULL: it was not asked by id.

CREATE OR REPLACE FUNCTION iot.fail_missing(what text, id uuid) RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    IF id IS NULL THEN
        PERFORM iot.fail(404, 'not_found', 'Requested item wasn''t found!');
    END IF;

    PERFORM iot.fail(404, 'not_found',
        format('%s with id [%s] is not found', what, id));
END
$$;


CREATE OR REPLACE FUNCTION iot.fail_version(what text) RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.fail(409, 'version_conflict',
        what || ' was already changed by someone else');
END
$$;


-- The caller must have one of the roles.  What is for administrators alone is
-- refused to those whom a role has taken something: only iot.need() knows how
-- much.

CREATE OR REPLACE FUNCTION iot.need_role(p iot.principal,
    VARIADIC roles text[]) RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    IF p.role IS NULL OR p.role <> ALL (roles)
       OR p.role = 'TENANT_ADMIN' AND 'CUSTOMER_USER' <> ALL (roles)
          AND NOT iot.is_full(p)
    THEN
        PERFORM iot.fail_permission();
    END IF;
END
$$;


-- Tokens of a public customer only read.

CREATE OR REPLACE FUNCTION iot.need_write(p iot.principal) RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    IF COALESCE(p.is_public, false) THEN
        PERFORM iot.fail_permission();
    END IF;
END
$$;


-- n random letters and digits from the strong source of the server.  Of the
-- 16 bytes of a UUID two are not all random, and 248 is the largest multiple
-- of 62 in a byte.

CREATE OR REPLACE FUNCTION iot.random_text(n integer) RETURNS text
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
    alphabet  CONSTANT text := 'ABCDEFGHIJKLMNOPQRSTUVWXYZ'
                               'abcdefghijklmnopqrstuvwxyz0123456789';
    bytes     bytea;
    byte      integer;
    result    text := '';
BEGIN
    WHILE length(result) < n LOOP
        bytes := uuid_send(gen_random_uuid());

        FOR i IN 0 .. 15 LOOP
            byte := get_byte(bytes, i);

            IF i NOT IN (6, 8) AND byte < 248 AND length(result) < n THEN
                result := result || substr(alphabet, byte % 62 + 1, 1);
            END IF;
        END LOOP;
    END LOOP;

    RETURN result;
END
$$;


-- A lock until the end of the transaction that all who would exceed the same
-- limit take.

CREATE OR REPLACE FUNCTION iot.lock(what text, tenant uuid) RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(
        hashtextextended(what || COALESCE(tenant::text, ''), 0));
END
$$;


-- E-mail addresses are kept and compared in lower case.

CREATE OR REPLACE FUNCTION iot.email(address text) RETURNS text
LANGUAGE plpgsql
AS $$
DECLARE
    result  text := lower(btrim(address));
BEGIN
    IF result IS NULL OR result = '' THEN
        PERFORM iot.fail_request('User email should be specified!');
    END IF;

    -- signs that are not seen, or turn the order of others, too

    IF length(result) > 255
       OR result ~ U&'[\0001-\001F\007F-\009F\200B-\200F\2028-\202F'
                   '\2060-\206F\FEFF]'
       OR result !~ '^[^@[:space:]<>()",;:\\]+@([^@[:space:].]+\.)+[a-z]{2,}$'
    THEN
        PERFORM iot.fail_request(
            format('Invalid email address format ''%s''!', address));
    END IF;

    RETURN result;
END
$$;


-- Is the text one JSON object?  Without an exception for the caller.

CREATE OR REPLACE FUNCTION iot.is_json_object(value text) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    RETURN json_typeof(value::json) = 'object';

EXCEPTION
    WHEN data_exception THEN
        RETURN false;
END
$$;


-- The table that says which functions run as the owner.

CREATE OR REPLACE FUNCTION iot.definer(name text, why text) RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    INSERT INTO iot.definer_function AS f (name, why)
    VALUES (definer.name, definer.why)
    ON CONFLICT ON CONSTRAINT definer_function_pkey
        DO UPDATE SET why = excluded.why;
END
$$;


-- "capacity:seconds[,capacity:seconds...]", at most four windows, distinct and
-- of at most 366 days, and at most 100,000,000 in each: what the workers can
-- count.

CREATE OR REPLACE FUNCTION iot.is_rate(spec text) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
    pair  CONSTANT text := '[1-9][0-9]{0,8}:[1-9][0-9]{0,7}';
BEGIN
    IF spec !~ ('^' || pair || '(,' || pair || '){0,3}$') THEN
        RETURN false;
    END IF;

    RETURN NOT EXISTS (SELECT FROM string_to_table(spec, ',') AS w
                       WHERE split_part(w, ':', 1)::integer > 100000000
                             OR split_part(w, ':', 2)::integer > 31622400)
           AND NOT EXISTS (SELECT FROM string_to_table(spec, ',') AS w
                           GROUP BY split_part(w, ':', 2) HAVING count(*) > 1);
END
$$;
