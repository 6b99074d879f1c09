
--
-- Copyright (C) the ngx_iot authors
--
-- Passwords that were forgotten, have expired, or must not come again.

SELECT iot.setting_define('lockout.minutes', 'integer', '0',
    '{"min":0,"max":525600}', 'system', true, false,
    'After how many minutes a locked account is unlocked by itself; 0: only'
    ' by an administrator.');


-- What an account must not have as its next password: the present one (days
-- is NULL), and those that it had within so many days.

CREATE OR REPLACE FUNCTION iot.former_of(c iot.user_credentials)
RETURNS TABLE (hash text, days integer)
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    span   integer := COALESCE((iot.security_settings() -> 'passwordPolicy'
                                ->> 'passwordReuseFrequencyDays')::integer, 0);
    since  bigint := iot.now_ms() - span * 86400000::bigint;
BEGIN
    RETURN QUERY SELECT c.password_hash, NULL::integer
                 WHERE c.password_hash IS NOT NULL;

    IF span > 0 THEN
        RETURN QUERY
            SELECT h.x ->> 'hash', span
            FROM json_array_elements(COALESCE(c.password_history, '[]'))
                     WITH ORDINALITY AS h (x, nr)
            WHERE (h.x ->> 'time')::bigint > since
            ORDER BY h.nr;
    END IF;
END
$$;


-- Of the caller.

CREATE OR REPLACE FUNCTION iot.password_former(p iot.principal)
RETURNS TABLE (hash text, days integer)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
DECLARE
    c  iot.user_credentials;
BEGIN
    SELECT * INTO c FROM iot.user_credentials AS t
    WHERE t.user_id = p.user_id;

    RETURN QUERY SELECT f.hash, f.days FROM iot.former_of(c) AS f;
END
$$;


CREATE OR REPLACE FUNCTION iot.reset_hash(token text) RETURNS bytea
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    RETURN sha256(convert_to(token, 'UTF8'));
END
$$;


-- A new reset token of the user; one of before is void.

CREATE OR REPLACE FUNCTION iot.reset_token(id uuid) RETURNS text
LANGUAGE plpgsql
AS $$
DECLARE
    token  text := iot.random_text(30);
BEGIN
    UPDATE iot.user_credentials AS c
    SET reset_token_hash = iot.reset_hash(token),
        reset_expires = iot.now_ms()
            + iot.link_lifetime('passwordResetTokenTtl')
    WHERE c.user_id = id;

    RETURN token;
END
$$;


-- The times of the last hour, with now; NULL: it has been five already.

CREATE OR REPLACE FUNCTION iot.five_an_hour(times bigint[]) RETURNS bigint[]
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    now_ms  bigint := iot.now_ms();
    recent  bigint[] := ARRAY(SELECT t FROM unnest(times) AS t
                              WHERE t > now_ms - 3600000);
BEGIN
    RETURN CASE WHEN cardinality(recent) < 5 THEN recent || now_ms END;
END
$$;


-- Somebody says that he forgot the password of that account.  What this does
-- nobody learns from an answer: the worker has answered already.

CREATE OR REPLACE FUNCTION iot.reset_request(email text, base text)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
DECLARE
    u      iot.users;
    times  bigint[];
BEGIN
    SELECT * INTO u FROM iot.users AS t
    WHERE t.email = lower(btrim(reset_request.email));

    SELECT iot.five_an_hour(c.mail_times) INTO times
    FROM iot.user_credentials AS c
    WHERE c.user_id = u.id AND c.enabled AND NOT c.locked
          AND c.password_hash IS NOT NULL
    FOR UPDATE;

    IF times IS NULL THEN
        RETURN;
    END IF;

    UPDATE iot.user_credentials AS c
    SET mail_times = times
    WHERE c.user_id = u.id;

    PERFORM iot.mail(u.tenant_id, 'reset-password', u.email,
        jsonb_build_object(
            'link', iot.base_url_safe(base)
                || '/api/noauth/resetPassword?resetToken='
                || iot.reset_token(u.id),
            'hours', iot.link_lifetime('passwordResetTokenTtl') / 3600000,
            'name', u.first_name,
            'email', u.email,
            'baseUrl', iot.base_url_safe(base)));
END
$$;


-- 'valid', 'expired', 'unknown' or 'often'; each look is counted.

CREATE OR REPLACE FUNCTION iot.reset_state(token text) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
DECLARE
    c      iot.user_credentials;
    times  bigint[];
BEGIN
    SELECT * INTO c FROM iot.user_credentials AS t
    WHERE t.reset_token_hash = iot.reset_hash(token)
    FOR UPDATE;

    IF c.user_id IS NULL THEN
        RETURN 'unknown';
    END IF;

    times := iot.five_an_hour(c.reset_times);

    IF times IS NULL THEN
        RETURN 'often';
    END IF;

    UPDATE iot.user_credentials AS t
    SET reset_times = times
    WHERE t.user_id = c.user_id;

    RETURN CASE WHEN c.reset_expires <= iot.now_ms() THEN 'expired'
                ELSE 'valid' END;
END
$$;


-- The account of a reset token, locked.

CREATE OR REPLACE FUNCTION iot.reset_find(token text)
RETURNS iot.user_credentials
LANGUAGE plpgsql
AS $$
DECLARE
    c  iot.user_credentials;
BEGIN
    SELECT * INTO c FROM iot.user_credentials AS t
    WHERE t.reset_token_hash = iot.reset_hash(token)
    FOR UPDATE;

    IF c.user_id IS NULL OR NOT c.enabled OR c.locked THEN
        PERFORM iot.fail_request('Invalid reset token!');
    END IF;

    IF c.reset_expires <= iot.now_ms() THEN
        PERFORM iot.fail_request('Password reset token expired');
    END IF;

    RETURN c;
END
$$;


-- Asked before anything is hashed.

CREATE OR REPLACE FUNCTION iot.reset_former(token text)
RETURNS TABLE (hash text, days integer)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
BEGIN
    RETURN QUERY
        SELECT f.hash, f.days
        FROM iot.former_of(iot.reset_find(token)) AS f;
END
$$;


-- Use the token: of two who come with the same the second one finds none.

CREATE OR REPLACE FUNCTION iot.reset_password(token text, new_hash text,
    address text, base text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
DECLARE
    c  iot.user_credentials := iot.reset_find(token);
    u  iot.users;
BEGIN
    IF COALESCE(new_hash, '') = '' THEN
        PERFORM iot.fail_request('Invalid reset token!');
    END IF;

    SELECT * INTO u FROM iot.users AS t WHERE t.id = c.user_id;

    PERFORM iot.password_set(u.id, new_hash);
    PERFORM iot.audit(iot.user_principal(u, address), 'USER', u.id, u.email,
                      'CREDENTIALS_UPDATED',
                      data => json_build_object('reset', true,
                                                'clientAddress', address));
    PERFORM iot.mail(u.tenant_id, 'password-was-reset', u.email,
        jsonb_build_object('link', iot.base_url_safe(base) || '/login',
                           'name', u.first_name,
                           'email', u.email,
                           'baseUrl', iot.base_url_safe(base)));
END
$$;


-- The password was right but is too old: what it can be changed with.

CREATE OR REPLACE FUNCTION iot.password_expired(user_id uuid, address text)
RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
DECLARE
    u  iot.users;
BEGIN
    SELECT * INTO u FROM iot.users AS t WHERE t.id = password_expired.user_id;

    PERFORM iot.audit(iot.user_principal(u, address), 'USER', u.id, u.email,
                      'LOGIN', 'FAILURE', 'User password expired!',
                      json_build_object('clientAddress', address));

    RETURN iot.reset_token(u.id);
END
$$;


-- Unlock what was locked for long enough: that account, or all of them.

CREATE OR REPLACE FUNCTION iot.lockout_end(id uuid) RETURNS integer
LANGUAGE plpgsql
AS $$
DECLARE
    minutes  bigint := COALESCE(
        iot.setting_value(NULL, 'lockout.minutes')::text::bigint, 0);
    ended    uuid;
    n        integer := 0;
BEGIN
    IF minutes = 0 THEN
        RETURN 0;
    END IF;

    FOR ended IN
        UPDATE iot.user_credentials AS c
        SET locked = false, enabled = true, locked_at = NULL,
            failed_logins = 0, second_failures = 0
        WHERE c.locked AND c.user_id = COALESCE(id, c.user_id)
              AND c.locked_at < iot.now_ms() - minutes * 60000
        RETURNING c.user_id
    LOOP
        PERFORM pg_notify('iot', 'user ' || ended);
        n := n + 1;
    END LOOP;

    RETURN n;
END
$$;


-- Lock an account, whatever was guessed; who calls has counted.

CREATE OR REPLACE FUNCTION iot.lockout(u iot.users, address text,
    failures integer) RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    told  text := iot.security_settings() ->> 'userLockoutNotificationEmail';
BEGIN
    UPDATE iot.user_credentials AS t
    SET locked = true, enabled = false, locked_at = iot.now_ms()
    WHERE t.user_id = u.id;

    DELETE FROM iot.session AS s WHERE s.user_id = u.id;

    PERFORM iot.audit(iot.user_principal(u, address), 'USER', u.id, u.email,
                      'LOCKOUT',
                      data => json_build_object('clientAddress', address));
    PERFORM pg_notify('iot', 'user ' || u.id);

    IF told IS NOT NULL THEN
        PERFORM iot.mail(u.tenant_id, 'account-lockout', told,
            jsonb_build_object('email', u.email,
                               'attempts', failures,
                               'baseUrl', iot.base_url(NULL)));
    END IF;
END
$$;


SELECT iot.definer(f, 'who has no session has no other way in')
FROM (VALUES ('iot.password_former'), ('iot.reset_request'),
             ('iot.reset_state'), ('iot.reset_former'),
             ('iot.reset_password'), ('iot.password_expired')) AS v (f);

REVOKE EXECUTE ON FUNCTION
    iot.lockout(iot.users, text, integer),
    iot.lockout_end(uuid),
    iot.reset_token(uuid)
    FROM PUBLIC;
