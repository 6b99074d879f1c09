
--
-- Copyright (C) the ngx_iot authors
--
-- Logins and sessions.  The workers call these without a principal, or to get
-- one, so they run as the owner.
--
-- A session is a row; the tokens of a login carry its id.  Whoever deletes the
-- row ends the session at once.  issued_at is the "iat" of a token, in seconds
-- or in milliseconds: a token older than the last change of the password is
-- refused even if its session were still there.


CREATE OR REPLACE FUNCTION iot.issued_before(issued_at bigint, moment bigint)
RETURNS boolean
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    RETURN CASE
           WHEN issued_at < 100000000000 THEN issued_at * 1000 + 999
           ELSE issued_at
           END < moment;
END
$$;


CREATE OR REPLACE FUNCTION iot.refresh_lifetime() RETURNS bigint
LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN COALESCE((iot.setting('jwt') ->> 'refresh')::bigint, 604800) * 1000;
END
$$;


-- What the tokens of a session say about the user.

CREATE OR REPLACE FUNCTION iot.login_object(u iot.users, session_id uuid,
    enabled boolean) RETURNS json
LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN json_build_object(
        'sub', u.email,
        'userId', u.id,
        'scope', u.authority,
        'sessionId', session_id,
        'firstName', u.first_name,
        'lastName', u.last_name,
        'enabled', enabled,
        'isPublic', false,
        'tenantId', u.tenant_id,
        'customerId', u.customer_id);
END
$$;


CREATE OR REPLACE FUNCTION iot.user_principal(u iot.users, address text)
RETURNS iot.principal
LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN ROW(u.authority, u.tenant_id, u.customer_id, u.id, NULL, NULL,
               false, u.email, address)::iot.principal;
END
$$;


-- Is the password older than the policy allows?

CREATE OR REPLACE FUNCTION iot.password_is_old(u iot.users,
    c iot.user_credentials) RETURNS boolean
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    days  bigint := COALESCE((iot.security_settings() -> 'passwordPolicy'
                              ->> 'passwordExpirationPeriodDays')::bigint, 0);
BEGIN
    RETURN days > 0 AND COALESCE(c.password_time, u.created_time)
                        < iot.now_ms() - days * 86400000;
END
$$;


-- What the worker has to know before it looks at the password.  familiar: the
-- user has been here from that address.

DROP FUNCTION IF EXISTS iot.login_find(text);

CREATE OR REPLACE FUNCTION iot.login_find(email text,
    address text DEFAULT NULL)
RETURNS TABLE (user_id uuid, password_hash text, enabled boolean,
    activated boolean, locked boolean, expired boolean, familiar boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
DECLARE
    who  uuid;
BEGIN
    SELECT u.id INTO who FROM iot.users AS u
    WHERE u.email = lower(btrim(login_find.email));

    PERFORM iot.lockout_end(COALESCE(who, iot.new_id()));

    RETURN QUERY
        SELECT u.id, c.password_hash,
               c.enabled AND iot.tenant_alive(u.tenant_id),
               c.password_hash IS NOT NULL, c.locked,
               iot.password_is_old(u, c),
               EXISTS (SELECT FROM iot.user_address AS a
                       WHERE a.user_id = u.id
                             AND a.address = login_find.address)
        FROM iot.users AS u JOIN iot.user_credentials AS c ON c.user_id = u.id
        WHERE u.id = who;
END
$$;


-- Count a failure of an enabled user; true: the account is locked now.

CREATE OR REPLACE FUNCTION iot.login_failed(email text, address text,
    reason text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
DECLARE
    u    iot.users;
    c    iot.user_credentials;
    cap  bigint;
    p    iot.principal;
BEGIN
    SELECT * INTO u FROM iot.users AS t
    WHERE t.email = lower(btrim(login_failed.email));

    IF u.id IS NULL THEN
        RETURN false;
    END IF;

    p := iot.user_principal(u, address);

    UPDATE iot.user_credentials AS t
    SET failed_logins = t.failed_logins + 1
    WHERE t.user_id = u.id AND t.enabled AND NOT t.locked
    RETURNING * INTO c;

    PERFORM iot.audit(p, 'USER', u.id, u.email, 'LOGIN', 'FAILURE', reason,
                      json_build_object('clientAddress', address));

    IF c.user_id IS NULL THEN
        RETURN false;
    END IF;

    cap := (iot.security_settings() ->> 'maxFailedLoginAttempts')::bigint;

    IF COALESCE(cap, 0) = 0 OR c.failed_logins <= cap THEN
        RETURN false;
    END IF;

    PERFORM iot.lockout(u, address, cap::integer);

    RETURN true;
END
$$;


-- Begin a session.  new_hash, if given, replaces the hash of the same password
-- (its cost was raised).

CREATE OR REPLACE FUNCTION iot.login_done(user_id uuid, address text,
    agent text, new_hash text) RETURNS json
LANGUAGE plpgsql SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
DECLARE
    u       iot.users;
    result  json;
BEGIN
    UPDATE iot.user_credentials AS c
    SET failed_logins = 0,
        last_login = iot.now_ms(),
        password_hash = COALESCE(new_hash, c.password_hash)
    WHERE c.user_id = login_done.user_id AND c.enabled AND NOT c.locked
          AND c.password_hash IS NOT NULL;

    IF NOT FOUND THEN
        PERFORM iot.fail(401, 'authentication', 'User account is not active');
    END IF;

    SELECT * INTO u FROM iot.users AS t WHERE t.id = login_done.user_id;

    IF NOT iot.tenant_alive(u.tenant_id) THEN
        PERFORM iot.fail(401, 'authentication', 'User account is not active');
    END IF;

    result := iot.login_begin(u, address, agent);

    -- with a second factor it is no login yet

    IF result -> 'lifetime' IS NULL THEN
        PERFORM iot.audit(iot.user_principal(u, address), 'USER', u.id,
                          u.email, 'LOGIN',
                          data => json_build_object('clientAddress', address,
                              'browser', left(agent, 255)));
    END IF;

    RETURN result;
END
$$;


-- The session of somebody who has shown his password: a full one, unless a
-- second factor is wanted.

CREATE OR REPLACE FUNCTION iot.login_begin(u iot.users, address text,
    agent text) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    scope    text := iot.second_scope(u);
    seconds  bigint := (iot.second_settings()
                        ->> 'totalAllowedTimeForVerification')::bigint;
    session  uuid;
BEGIN
    IF scope IS NULL THEN
        RETURN iot.login_full(u, address, agent);
    END IF;

    INSERT INTO iot.session (user_id, tenant_id, customer_id, expires_at,
                             address, agent, scope)
    VALUES (u.id, u.tenant_id, u.customer_id, iot.now_ms() + seconds * 1000,
            address, left(agent, 255), scope)
    RETURNING id INTO session;

    RETURN (iot.login_object(u, session, true)::jsonb
            || jsonb_build_object('scope', scope, 'lifetime', seconds))::json;
END
$$;


CREATE OR REPLACE FUNCTION iot.login_full(u iot.users, address text,
    agent text) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.address_seen(u, address);

    RETURN iot.login_object(u, iot.session_begin(u, address, agent), true);
END
$$;


-- A user has twenty addresses at most; those not seen for long go.

CREATE OR REPLACE FUNCTION iot.address_seen(u iot.users, address text)
RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    IF address IS NULL THEN
        RETURN;
    END IF;

    INSERT INTO iot.user_address AS a (user_id, address, tenant_id, last_time)
    VALUES (u.id, address_seen.address, u.tenant_id, iot.now_ms())
    ON CONFLICT ON CONSTRAINT user_address_pkey
        DO UPDATE SET last_time = excluded.last_time;

    DELETE FROM iot.user_address AS a
    WHERE a.user_id = u.id
          AND (a.last_time < iot.now_ms() - 90 * 86400000::bigint
               OR a.address IN (SELECT b.address FROM iot.user_address AS b
                                WHERE b.user_id = u.id
                                ORDER BY b.last_time DESC, b.address
                                OFFSET 20));
END
$$;


CREATE OR REPLACE FUNCTION iot.session_begin(u iot.users, address text,
    agent text) RETURNS uuid
LANGUAGE plpgsql
AS $$
DECLARE
    result  uuid;
BEGIN
    INSERT INTO iot.session (user_id, tenant_id, customer_id, expires_at,
                             address, agent)
    VALUES (u.id, u.tenant_id, u.customer_id,
            iot.now_ms() + iot.refresh_lifetime(), address, left(agent, 255))
    RETURNING id INTO result;

    RETURN result;
END
$$;


-- A new pair of tokens for the session of a refresh token.

CREATE OR REPLACE FUNCTION iot.session_refresh(user_id uuid, session_id uuid,
    issued_at bigint) RETURNS json
LANGUAGE plpgsql SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
DECLARE
    s  iot.session;
    u  iot.users;
    c  iot.user_credentials;
BEGIN
    UPDATE iot.session AS t
    SET refreshed_time = iot.now_ms(),
        expires_at = iot.now_ms() + iot.refresh_lifetime()
    WHERE t.id = session_refresh.session_id AND t.expires_at > iot.now_ms()
          AND t.scope IS NULL AND iot.tenant_alive(t.tenant_id)
    RETURNING * INTO s;

    IF s.id IS NULL THEN
        PERFORM iot.fail(401, 'authentication', 'Token is outdated');
    END IF;

    IF s.user_id IS NULL THEN
        RETURN iot.public_object(s.tenant_id, s.customer_id, s.id);
    END IF;

    SELECT * INTO u FROM iot.users AS t WHERE t.id = s.user_id;
    SELECT * INTO c FROM iot.user_credentials AS t WHERE t.user_id = s.user_id;

    IF s.user_id IS DISTINCT FROM session_refresh.user_id
       OR c.user_id IS NULL
       OR iot.issued_before(issued_at, c.valid_from)
    THEN
        PERFORM iot.fail(401, 'authentication', 'Token is outdated');
    END IF;

    IF NOT c.enabled OR c.locked THEN
        PERFORM iot.fail(401, 'authentication', 'User account is not active');
    END IF;

    RETURN iot.login_object(u, s.id, true);
END
$$;


CREATE OR REPLACE FUNCTION iot.public_object(tenant uuid, customer uuid,
    session_id uuid) RETURNS json
LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN json_build_object(
        'sub', customer,
        'userId', NULL,
        'scope', 'CUSTOMER_USER',
        'sessionId', session_id,
        'firstName', 'Public',
        'lastName', 'Public',
        'enabled', true,
        'isPublic', true,
        'tenantId', tenant,
        'customerId', customer);
END
$$;


-- A read-only session of a public customer.

CREATE OR REPLACE FUNCTION iot.login_public(public_id uuid) RETURNS json
LANGUAGE plpgsql SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
DECLARE
    r        iot.customer;
    session  uuid;
BEGIN
    SELECT * INTO r FROM iot.customer AS c
    WHERE c.id = public_id AND c.is_public
          AND iot.tenant_alive(c.tenant_id);

    IF r.id IS NULL THEN
        PERFORM iot.fail(401, 'authentication', 'Public entity not found: '
                         || public_id);
    END IF;

    INSERT INTO iot.session (tenant_id, customer_id, expires_at)
    VALUES (r.tenant_id, r.id, iot.now_ms() + iot.refresh_lifetime())
    RETURNING id INTO session;

    RETURN iot.public_object(r.tenant_id, r.id, session);
END
$$;


-- Who holds an access token of that session; no row: nobody any more.

CREATE OR REPLACE FUNCTION iot.session_principal(p_session uuid, p_user uuid,
    p_issued_at bigint)
RETURNS TABLE (role text, tenant_id uuid, customer_id uuid, user_id uuid,
    session_id uuid, is_public boolean, name text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
BEGIN
    RETURN QUERY
        SELECT COALESCE(s.scope, u.authority), u.tenant_id, u.customer_id,
               u.id, s.id, false, u.email
        FROM iot.session AS s
            JOIN iot.users AS u ON u.id = s.user_id
            JOIN iot.user_credentials AS c ON c.user_id = s.user_id
        WHERE s.id = p_session AND s.user_id = p_user
              AND s.expires_at > iot.now_ms()
              AND c.enabled AND NOT c.locked
              AND iot.tenant_alive(u.tenant_id)
              AND NOT iot.issued_before(p_issued_at, c.valid_from);

    IF NOT FOUND THEN
        RETURN QUERY
            SELECT 'CUSTOMER_USER'::text, s.tenant_id, s.customer_id,
                   NULL::uuid, s.id, true, r.title
            FROM iot.session AS s
                JOIN iot.customer AS r
                    ON r.tenant_id = s.tenant_id AND r.id = s.customer_id
            WHERE s.id = p_session AND s.user_id IS NULL AND r.is_public
                  AND s.expires_at > iot.now_ms()
                  AND iot.tenant_alive(s.tenant_id);
    END IF;
END
$$;


CREATE OR REPLACE FUNCTION iot.logout(session_id uuid, user_id uuid,
    address text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
DECLARE
    s  iot.session;
    u  iot.users;
BEGIN
    DELETE FROM iot.session AS t
    WHERE t.id = logout.session_id
          AND (t.user_id IS NULL OR t.user_id = logout.user_id)
    RETURNING * INTO s;

    IF s.id IS NULL THEN
        RETURN;
    END IF;

    PERFORM pg_notify('iot', 'session ' || s.id);

    SELECT * INTO u FROM iot.users AS t WHERE t.id = s.user_id;

    IF u.id IS NOT NULL THEN
        PERFORM iot.audit(iot.user_principal(u, address), 'USER', u.id,
                          u.email, 'LOGOUT',
                          data => json_build_object('clientAddress', address));
    END IF;
END
$$;


DROP FUNCTION IF EXISTS iot.password_hash(iot.principal);
DELETE FROM iot.definer_function AS f WHERE f.name = 'iot.password_hash';


-- Set a password; all sessions of before end, and so do all links.  Ten former
-- ones are remembered: comparing with each takes its time.

CREATE OR REPLACE FUNCTION iot.password_set(user_id uuid, new_hash text)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
DECLARE
    now_ms  bigint := iot.now_ms();
BEGIN
    UPDATE iot.user_credentials AS c
    SET password_hash = new_hash,
        password_time = now_ms,
        password_history = CASE
            WHEN c.password_hash IS NULL THEN c.password_history
            ELSE (SELECT json_agg(h.x ORDER BY h.nr)
                  FROM (SELECT json_build_object('hash', c.password_hash,
                                                 'time', now_ms) AS x, 0 AS nr
                        UNION ALL
                        SELECT e.x, e.nr
                        FROM json_array_elements(COALESCE(c.password_history,
                                                          '[]'))
                                 WITH ORDINALITY AS e (x, nr)
                        WHERE e.nr < 10) AS h) END,
        valid_from = now_ms,
        failed_logins = 0,
        activate_token = NULL,
        activate_expires = NULL,
        reset_token_hash = NULL,
        reset_expires = NULL
    WHERE c.user_id = password_set.user_id;

    DELETE FROM iot.session AS s WHERE s.user_id = password_set.user_id;

    PERFORM pg_notify('iot', 'user ' || user_id);
END
$$;

REVOKE EXECUTE ON FUNCTION iot.password_set(uuid, text) FROM PUBLIC;


-- The caller's own; returns a new session.  The worker has compared the old
-- password and the policy.

CREATE OR REPLACE FUNCTION iot.password_change(p iot.principal, new_hash text)
RETURNS json
LANGUAGE plpgsql SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
DECLARE
    u  iot.users;
BEGIN
    SELECT * INTO u FROM iot.users AS t WHERE t.id = p.user_id;

    IF u.id IS NULL OR COALESCE(new_hash, '') = '' THEN
        PERFORM iot.fail_permission();
    END IF;

    PERFORM iot.password_set(u.id, new_hash);
    PERFORM iot.audit(p, 'USER', u.id, u.email, 'CREDENTIALS_UPDATED');

    RETURN iot.login_full(u, p.address, NULL);
END
$$;


INSERT INTO iot.definer_function (name, why)
SELECT f.name, 'asked by the workers before there is a caller'
FROM (VALUES ('iot.login_find'), ('iot.login_failed'), ('iot.login_done'),
             ('iot.login_public'), ('iot.session_refresh'),
             ('iot.session_principal'), ('iot.logout'),
             ('iot.password_set'), ('iot.password_change')) AS f (name)
ON CONFLICT (name) DO UPDATE SET why = excluded.why;
