
--
-- Copyright (C) the ngx_iot authors
--
-- How an account gets its first password: a link with a token that is good
-- once and for a set time, shown to administrators and sent by mail.


-- What links begin with: what the request came by, unless the setting forbids
-- that; NULL: it is not known.

CREATE OR REPLACE FUNCTION iot.base_url(asked text) RETURNS text
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    general  json := iot.setting('general');
BEGIN
    IF asked ~ '^https?://[][A-Za-z0-9._:-]{1,255}$'
       AND NOT COALESCE((general ->> 'prohibitDifferentUrl')::boolean, false)
    THEN
        RETURN asked;
    END IF;

    RETURN rtrim(COALESCE(general ->> 'baseUrl', 'http://localhost:8080'),
                 '/');
END
$$;


-- For what anybody can ask for in the name of somebody else: the setting goes
-- first once it has been made, so that a forged Host leads nobody astray.

CREATE OR REPLACE FUNCTION iot.base_url_safe(asked text) RETURNS text
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    own  CONSTANT text := iot.setting('general') ->> 'baseUrl';
BEGIN
    IF own <> 'http://localhost:8080' THEN
        RETURN rtrim(own, '/');
    END IF;

    RETURN iot.base_url(asked);
END
$$;


-- The lifetime of links of that kind, in milliseconds.

CREATE OR REPLACE FUNCTION iot.link_lifetime(name text) RETURNS bigint
LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN 3600000 * COALESCE((iot.security_settings() ->> name)::bigint, 24);
END
$$;


-- The token that activates the user, with the milliseconds that are left; one
-- that is about to end is replaced.

CREATE OR REPLACE FUNCTION iot.activation(p iot.principal, id uuid,
    OUT tenant uuid, OUT email text, OUT name text, OUT token text,
    OUT ttl bigint)
LANGUAGE plpgsql
AS $$
DECLARE
    u       iot.users;
    c       iot.user_credentials;
    now_ms  bigint := iot.now_ms();
BEGIN
    u := iot.user_get(p, id, 'WRITE');

    -- whoever may change its own account may not invite itself

    IF p.role = 'CUSTOMER_USER' AND u.id = p.user_id THEN
        PERFORM iot.fail_permission();
    END IF;

    SELECT * INTO c FROM iot.user_credentials AS t
    WHERE t.user_id = u.id
    FOR UPDATE;

    IF c.password_hash IS NOT NULL THEN
        PERFORM iot.fail_request('User is already activated!');
    END IF;

    IF c.activate_token IS NULL OR c.activate_expires < now_ms + 900000 THEN
        UPDATE iot.user_credentials AS t
        SET activate_token = iot.random_text(30),
            activate_expires = now_ms
                + iot.link_lifetime('userActivationTokenTtl')
        WHERE t.user_id = u.id
        RETURNING * INTO c;
    END IF;

    tenant := u.tenant_id;
    email := u.email;
    name := u.first_name;
    token := c.activate_token;
    ttl := c.activate_expires - now_ms;
END
$$;


CREATE OR REPLACE FUNCTION iot.activation_link(base text, token text)
RETURNS text
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    RETURN base || '/api/noauth/activate?activateToken=' || token;
END
$$;


-- Send the link.  The mail is written in this transaction, so a user that is
-- not made gets none; where none can be written the caller is told.

CREATE OR REPLACE FUNCTION iot.activation_mail(p iot.principal, id uuid,
    base text) RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    a  record;
BEGIN
    SELECT * INTO a FROM iot.activation(p, id);

    PERFORM iot.mail(a.tenant, 'account-activation', a.email,
        jsonb_build_object(
            'link', iot.activation_link(iot.base_url(base), a.token),
            'hours', ceil(a.ttl / 3600000.0)::integer,
            'name', a.name,
            'email', a.email,
            'baseUrl', iot.base_url(base)));
EXCEPTION
    WHEN SQLSTATE 'IO400' THEN
        RAISE;

    WHEN SQLSTATE 'IO403' THEN
        RAISE;

    WHEN SQLSTATE 'IO404' THEN
        RAISE;

    WHEN OTHERS THEN
        RAISE LOG 'activation mail: % %', SQLSTATE, SQLERRM;
        PERFORM iot.fail(500, 'general',
                         'Couldn''t send user activation email');
END
$$;


CREATE OR REPLACE FUNCTION iot.activation_mail_again(p iot.principal,
    email text, base text) RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    wanted  CONSTANT text := iot.email(email);
    id      uuid;
BEGIN
    PERFORM iot.need_role(p, 'SYS_ADMIN', 'TENANT_ADMIN');

    SELECT u.id INTO id FROM iot.users AS u
    WHERE u.email = wanted
          AND (p.role = 'SYS_ADMIN' OR u.tenant_id = p.tenant_id);

    IF id IS NULL THEN
        PERFORM iot.fail_missing('User', NULL);
    END IF;

    PERFORM iot.activation_mail(p, id, base);
END
$$;


-- Of a token that somebody came with: 'valid', 'expired' or 'unknown'.

CREATE OR REPLACE FUNCTION iot.activation_state(token text) RETURNS text
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
DECLARE
    expires  bigint;
BEGIN
    SELECT c.activate_expires INTO expires FROM iot.user_credentials AS c
    WHERE c.activate_token = token AND c.password_hash IS NULL;

    RETURN CASE
           WHEN NOT FOUND THEN 'unknown'
           WHEN expires <= iot.now_ms() THEN 'expired'
           ELSE 'valid' END;
END
$$;


CREATE OR REPLACE FUNCTION iot.activation_fail(state text, token text)
RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    IF state = 'expired' THEN
        PERFORM iot.fail_request('Activation token expired');
    END IF;

    PERFORM iot.fail_request(
        format('Unable to find user credentials by activateToken [%s]',
               left(token, 255)));
END
$$;


-- Asked before a password is hashed.  An account that has none yet has no
-- former ones; the shape is that of iot.password_former().

CREATE OR REPLACE FUNCTION iot.activation_former(token text)
RETURNS TABLE (hash text, days integer)
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    state  text := iot.activation_state(token);
BEGIN
    IF state <> 'valid' THEN
        PERFORM iot.activation_fail(state, token);
    END IF;
END
$$;


-- Use the token: set the password, enable the account, begin a session.  Of
-- two who come with the same token the second one finds none.

CREATE OR REPLACE FUNCTION iot.activate(token text, new_hash text,
    address text, base text, mail boolean) RETURNS json
LANGUAGE plpgsql SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
DECLARE
    c  iot.user_credentials;
    u  iot.users;
BEGIN
    SELECT * INTO c FROM iot.user_credentials AS t
    WHERE t.activate_token = token AND t.password_hash IS NULL
          AND t.activate_expires > iot.now_ms()
    FOR UPDATE;

    IF c.user_id IS NULL OR COALESCE(new_hash, '') = '' THEN
        PERFORM iot.activation_fail(iot.activation_state(token), token);
    END IF;

    SELECT * INTO u FROM iot.users AS t WHERE t.id = c.user_id;

    PERFORM iot.password_set(u.id, new_hash);

    UPDATE iot.user_credentials AS t
    SET enabled = true, last_login = iot.now_ms()
    WHERE t.user_id = u.id;

    PERFORM iot.audit(iot.user_principal(u, address), 'USER', u.id, u.email,
                      'CREDENTIALS_UPDATED',
                      data => json_build_object('activated', true,
                                                'clientAddress', address));

    IF mail THEN
        PERFORM iot.mail(u.tenant_id, 'account-activated', u.email,
            jsonb_build_object('link', iot.base_url(base) || '/login',
                               'name', u.first_name,
                               'email', u.email,
                               'baseUrl', iot.base_url(base)));
    END IF;

    RETURN iot.login_begin(u, address, NULL);
END
$$;


SELECT iot.definer(f, 'who comes with a link is nobody yet')
FROM (VALUES ('iot.activation_state'), ('iot.activate')) AS v (f);
