
--
-- Copyright (C) the ngx_iot authors
--
-- The second factor of a login.  Who has shown a password only holds a session
-- with a scope, which opens nothing but the calls of this file.  They run as
-- the owner, since such a session has no role, and touch only the rows of
-- p.user_id.


-- The settings of the platform; NULL: there is no second factor.

CREATE OR REPLACE FUNCTION iot.second_settings() RETURNS jsonb
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    s  jsonb := iot.setting('twoFactor')::jsonb;
BEGIN
    RETURN CASE WHEN jsonb_array_length(s -> 'providers') > 0 THEN s END;
END
$$;


CREATE OR REPLACE FUNCTION iot.second_types() RETURNS text[]
LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN ARRAY(SELECT x ->> 'providerType'
                 FROM jsonb_array_elements(COALESCE(
                          iot.second_settings() -> 'providers', '[]')) AS x);
END
$$;


-- What the settings say of one kind; refused if they do not know it.

CREATE OR REPLACE FUNCTION iot.second_provider(type text) RETURNS jsonb
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    result  jsonb;
BEGIN
    IF type = 'SMS' THEN
        PERFORM iot.fail_request('SMS is not supported by this server');
    END IF;

    SELECT x INTO result
    FROM jsonb_array_elements(COALESCE(iot.second_settings() -> 'providers',
                                       '[]')) AS x
    WHERE x ->> 'providerType' = type;

    IF result IS NULL THEN
        PERFORM iot.fail_request('2FA provider is not available');
    END IF;

    RETURN result;
END
$$;


-- One provider of the settings, checked.

CREATE OR REPLACE FUNCTION iot.second_provider_check(x jsonb) RETURNS jsonb
LANGUAGE plpgsql
AS $$
DECLARE
    issuer  text := btrim(x ->> 'issuerName');
BEGIN
    CASE x ->> 'providerType'
    WHEN 'TOTP' THEN
        IF COALESCE(issuer, '') = '' OR length(issuer) > 255
           OR issuer ~ '[:<>[:cntrl:]]'
        THEN
            PERFORM iot.fail_request('issuerName is malformed');
        END IF;

        RETURN jsonb_build_object('providerType', 'TOTP',
                                  'issuerName', issuer);

    WHEN 'EMAIL' THEN
        RETURN jsonb_build_object('providerType', 'EMAIL',
            'verificationCodeLifetime',
            COALESCE(iot.setting_int(x, 'verificationCodeLifetime', 1, 86400),
                     120));

    WHEN 'BACKUP_CODE' THEN
        RETURN jsonb_build_object('providerType', 'BACKUP_CODE',
            'codesQuantity',
            COALESCE(iot.setting_int(x, 'codesQuantity', 1, 100), 10));

    WHEN 'SMS' THEN
        PERFORM iot.fail_request('SMS is not supported by this server');

    ELSE
        PERFORM iot.fail_request('Unknown 2FA provider type');
    END CASE;

    RETURN NULL;
END
$$;


-- Who must have a second factor: a filter of users, checked.

CREATE OR REPLACE FUNCTION iot.second_filter_check(x jsonb) RETURNS jsonb
LANGUAGE plpgsql
AS $$
DECLARE
    result  jsonb;
    name    text;
BEGIN
    IF jsonb_typeof(x) IS DISTINCT FROM 'object' THEN
        PERFORM iot.fail_request('enforcedUsersFilter should be specified!');
    END IF;

    IF COALESCE(x ->> 'type', '') NOT IN ('ALL_USERS', 'ALL',
           'TENANT_ADMINISTRATORS', 'SYSTEM_ADMINISTRATORS')
    THEN
        PERFORM iot.fail_request('Unknown type of enforcedUsersFilter');
    END IF;

    result := jsonb_build_object('type', x -> 'type');

    FOREACH name IN ARRAY ARRAY['tenantsIds', 'tenantProfilesIds'] LOOP
        CONTINUE WHEN jsonb_typeof(x -> name) IS DISTINCT FROM 'array';

        IF jsonb_array_length(x -> name) > 1000
           OR EXISTS (SELECT FROM jsonb_array_elements_text(x -> name) AS v
                      WHERE v !~ ('^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}'
                                  || '-[0-9a-fA-F]{12}$'))
        THEN
            PERFORM iot.fail_request(name || ' is malformed');
        END IF;

        result := result || jsonb_build_object(name, x -> name);
    END LOOP;

    RETURN result;
END
$$;


CREATE OR REPLACE FUNCTION iot.second_settings_save(p iot.principal,
    value jsonb) RETURNS jsonb
LANGUAGE plpgsql
AS $$
DECLARE
    providers  jsonb := COALESCE(NULLIF(value -> 'providers', 'null'), '[]');
    enforce    boolean := COALESCE((value ->> 'enforceTwoFa')::boolean, false);
    rate       text := NULLIF(value ->> 'verificationCodeCheckRateLimit', '');
    result     jsonb;
BEGIN
    IF jsonb_typeof(providers) <> 'array' OR EXISTS (
           SELECT FROM jsonb_array_elements(providers) AS x
           WHERE jsonb_typeof(x) <> 'object')
    THEN
        PERFORM iot.fail_request('Malformed JSON request body');
    END IF;

    IF EXISTS (SELECT FROM jsonb_array_elements(providers) AS x
               GROUP BY x ->> 'providerType' HAVING count(*) > 1)
    THEN
        PERFORM iot.fail_request('A 2FA provider can be there only once');
    END IF;

    IF rate IS NOT NULL AND NOT iot.is_rate(rate) THEN
        PERFORM iot.fail_request(
            'verificationCodeCheckRateLimit is malformed');
    END IF;

    result := jsonb_build_object(
        'providers', COALESCE(
            (SELECT jsonb_agg(iot.second_provider_check(x))
             FROM jsonb_array_elements(providers) AS x), '[]'),
        'minVerificationCodeSendPeriod', COALESCE(iot.setting_int(value,
            'minVerificationCodeSendPeriod', 5, 86400), 30),
        'verificationCodeCheckRateLimit', rate,
        'maxVerificationFailuresBeforeUserLockout', COALESCE(
            iot.setting_int(value, 'maxVerificationFailuresBeforeUserLockout',
                            0, 65535), 0),
        'totalAllowedTimeForVerification', COALESCE(iot.setting_int(value,
            'totalAllowedTimeForVerification', 60, 86400), 3600),
        'enforceTwoFa', enforce,
        'enforcedUsersFilter',
            CASE WHEN enforce
                 THEN iot.second_filter_check(value -> 'enforcedUsersFilter')
                 END);

    -- nobody could get in any more

    IF enforce AND NOT EXISTS (
           SELECT FROM jsonb_array_elements(result -> 'providers') AS x
           WHERE x ->> 'providerType' <> 'BACKUP_CODE')
    THEN
        PERFORM iot.fail_request(
            'At least one 2FA provider is required if enforcing is enabled!');
    END IF;

    PERFORM iot.setting_save(p, 'twoFactor', result::json);

    RETURN result;
END
$$;


-- Must the user have a second factor?

CREATE OR REPLACE FUNCTION iot.second_enforced(u iot.users, s jsonb)
RETURNS boolean
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    f  jsonb := s -> 'enforcedUsersFilter';
BEGIN
    IF NOT COALESCE((s ->> 'enforceTwoFa')::boolean, false) THEN
        RETURN false;
    END IF;

    RETURN CASE f ->> 'type'
           WHEN 'SYSTEM_ADMINISTRATORS' THEN u.authority = 'SYS_ADMIN'
           WHEN 'TENANT_ADMINISTRATORS' THEN u.authority = 'TENANT_ADMIN'
               AND (COALESCE(jsonb_array_length(f -> 'tenantsIds'), 0) = 0
                    AND COALESCE(jsonb_array_length(f -> 'tenantProfilesIds'),
                                 0) = 0
                    OR COALESCE(f -> 'tenantsIds' ? u.tenant_id::text, false)
                    OR COALESCE(f -> 'tenantProfilesIds' ? (
                           SELECT t.tenant_profile_id::text
                           FROM iot.tenant AS t WHERE t.id = u.tenant_id),
                           false))
           ELSE true
           END;
END
$$;


-- The scope of a session that begins with a password; NULL: a full one.

CREATE OR REPLACE FUNCTION iot.second_scope(u iot.users) RETURNS text
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    s  jsonb := iot.second_settings();
BEGIN
    IF s IS NULL THEN
        RETURN NULL;
    END IF;

    IF EXISTS (SELECT FROM iot.second_factor AS f
               WHERE f.user_id = u.id AND f.type = ANY (iot.second_types()))
    THEN
        RETURN 'PRE_VERIFICATION_TOKEN';
    END IF;

    RETURN CASE WHEN iot.second_enforced(u, s)
                THEN 'MFA_CONFIGURATION_TOKEN' END;
END
$$;


-- A caller with an account of his own, locked against what happens at once.

CREATE OR REPLACE FUNCTION iot.second_user(p iot.principal) RETURNS iot.users
LANGUAGE plpgsql
AS $$
DECLARE
    u  iot.users;
BEGIN
    SELECT t.* INTO u
    FROM iot.users AS t JOIN iot.user_credentials AS c ON c.user_id = t.id
    WHERE t.id = p.user_id
    FOR UPDATE OF c;

    IF u.id IS NULL THEN
        PERFORM iot.fail_permission();
    END IF;

    RETURN u;
END
$$;


-- n random characters of base32 (RFC 4648 section 6): five bits of each byte
-- that is all random.

CREATE OR REPLACE FUNCTION iot.random_base32(n integer) RETURNS text
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
    bytes   bytea;
    result  text := '';
BEGIN
    WHILE length(result) < n LOOP
        bytes := uuid_send(gen_random_uuid());

        FOR i IN 9 .. 15 LOOP
            result := result || substr('ABCDEFGHIJKLMNOPQRSTUVWXYZ234567',
                                       get_byte(bytes, i) % 32 + 1, 1);
        END LOOP;
    END LOOP;

    RETURN left(result, n);
END
$$;


CREATE OR REPLACE FUNCTION iot.random_digits() RETURNS text
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
    bytes  bytea := substring(uuid_send(gen_random_uuid()) FROM 10 FOR 6);
BEGIN
    RETURN lpad((('x' || encode(bytes, 'hex'))::bit(48)::bigint % 1000000)
                ::text, 6, '0');
END
$$;


-- RFC 3986 section 2.1

CREATE OR REPLACE FUNCTION iot.uri_encode(value text) RETURNS text
LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
    bytes   bytea := convert_to(value, 'UTF8');
    c       text;
    result  text := '';
BEGIN
    FOR i IN 0 .. length(bytes) - 1 LOOP
        c := chr(get_byte(bytes, i));

        result := result || CASE
            WHEN c ~ '^[A-Za-z0-9._~-]$' THEN c
            ELSE '%' || upper(lpad(to_hex(get_byte(bytes, i)), 2, '0'))
            END;
    END LOOP;

    RETURN result;
END
$$;


CREATE OR REPLACE FUNCTION iot.second_hash(u iot.users, code text)
RETURNS text
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    RETURN encode(sha256(convert_to(u.id::text || code, 'UTF8')), 'hex');
END
$$;


-- Mail a code, not too often.

CREATE OR REPLACE FUNCTION iot.second_mail(u iot.users, purpose text,
    email text) RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    s         jsonb := iot.second_settings();
    lifetime  bigint := (iot.second_provider('EMAIL')
                         ->> 'verificationCodeLifetime')::bigint;
    pause     bigint := (s ->> 'minVerificationCodeSendPeriod')::bigint;
    code      text := iot.random_digits();
BEGIN
    IF EXISTS (SELECT FROM iot.second_factor_code AS c
               WHERE c.user_id = u.id
                     AND c.created_time > iot.now_ms() - pause * 1000)
    THEN
        PERFORM iot.fail(429, 'too_many_requests', 'Too many requests');
    END IF;

    INSERT INTO iot.second_factor_code (user_id, purpose, tenant_id,
                                        expires_at, email, hash)
    VALUES (u.id, second_mail.purpose, u.tenant_id,
            iot.now_ms() + lifetime * 1000, second_mail.email,
            iot.second_hash(u, code))
    ON CONFLICT ON CONSTRAINT second_factor_code_pkey
        DO UPDATE SET created_time = iot.now_ms(),
                      expires_at = excluded.expires_at,
                      email = excluded.email,
                      hash = excluded.hash;

    PERFORM iot.mail(u.tenant_id, 'two-fa-code', second_mail.email,
        jsonb_build_object('code', code,
                           'minutes', ceil(lifetime / 60.0)::integer,
                           'name', u.first_name,
                           'email', second_mail.email,
                           'baseUrl', iot.base_url(NULL)));
END
$$;


-- Is that the code that was mailed?  It is used up if so.

CREATE OR REPLACE FUNCTION iot.second_mailed(u iot.users, purpose text,
    code text, OUT email text)
LANGUAGE plpgsql
AS $$
BEGIN
    DELETE FROM iot.second_factor_code AS c
    WHERE c.user_id = u.id AND c.purpose = second_mailed.purpose
          AND c.expires_at > iot.now_ms()
          AND c.hash = iot.second_hash(u, code)
    RETURNING c.email INTO second_mailed.email;
END
$$;


-- What a user has set up, without what is secret.

CREATE OR REPLACE FUNCTION iot.second_configs(p iot.principal)
RETURNS SETOF iot.second_factor
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
BEGIN
    RETURN QUERY
        SELECT f.user_id, f.type, f.tenant_id, f.created_time, f.is_default,
               NULL::text, 0::bigint, f.email,
               array_fill(''::text, ARRAY[COALESCE(cardinality(f.codes), 0)])
        FROM iot.second_factor AS f
        WHERE f.user_id = p.user_id AND f.type = ANY (iot.second_types())
        ORDER BY f.type;
END
$$;


-- The beginning of setting one up.  TOTP: the URI for the authenticator (the
-- only time that anybody sees the seed); BACKUP_CODE: the codes.

CREATE OR REPLACE FUNCTION iot.second_generate(p iot.principal, type text)
RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
DECLARE
    u         iot.users := iot.second_user(p);
    provider  jsonb := iot.second_provider(type);
    issuer    text;
BEGIN
    CASE type
    WHEN 'TOTP' THEN
        issuer := iot.uri_encode(provider ->> 'issuerName');

        RETURN jsonb_build_object('authUrl', 'otpauth://totp/' || issuer || ':'
            || iot.uri_encode(u.email) || '?issuer=' || issuer || '&secret='
            || iot.random_base32(32));

    WHEN 'EMAIL' THEN
        RETURN jsonb_build_object('email', u.email);

    ELSE
        RETURN jsonb_build_object('codes',
            (SELECT jsonb_agg(lower(iot.random_base32(10)))
             FROM generate_series(1, (provider ->> 'codesQuantity')::integer)
            ));
    END CASE;
END
$$;


-- An address is proved by a code before it is used.

CREATE OR REPLACE FUNCTION iot.second_submit(p iot.principal, type text,
    email text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
DECLARE
    u  iot.users := iot.second_user(p);
BEGIN
    PERFORM iot.second_provider(type);

    IF type = 'EMAIL' THEN
        PERFORM iot.second_mail(u, 'CONFIG', iot.email(email));
    END IF;
END
$$;


-- Keep what was set up.  The worker has verified the code of TOTP (step: its
-- time step, NULL if it was wrong) and sealed its seed.

CREATE OR REPLACE FUNCTION iot.second_save(p iot.principal, type text,
    code text, email text, codes text[], secret text, step bigint,
    is_default boolean) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
DECLARE
    u         iot.users := iot.second_user(p);
    provider  jsonb := iot.second_provider(type);
    proved    text;
BEGIN
    IF EXISTS (SELECT FROM iot.second_factor AS f
               WHERE f.user_id = u.id AND f.type = second_save.type)
    THEN
        PERFORM iot.fail_request('2FA provider is already configured');
    END IF;

    CASE type
    WHEN 'TOTP' THEN
        IF step IS NULL OR secret IS NULL THEN
            PERFORM iot.fail_request('Verification code is incorrect');
        END IF;

    WHEN 'EMAIL' THEN
        proved := iot.second_mailed(u, 'CONFIG', code);

        IF proved IS DISTINCT FROM iot.email(email) THEN
            PERFORM iot.fail_request('Verification code is incorrect');
        END IF;

    ELSE
        IF NOT EXISTS (SELECT FROM iot.second_factor AS f
                       WHERE f.user_id = u.id)
        THEN
            PERFORM iot.fail_request('To use 2FA backup codes you first need '
                                     'to configure at least one provider');
        END IF;

        IF cardinality(codes) IS DISTINCT FROM
               (provider ->> 'codesQuantity')::integer
           OR EXISTS (SELECT FROM unnest(codes) AS c
                      WHERE c IS NULL OR c !~ '^[a-z2-7]{10}$')
           OR EXISTS (SELECT FROM unnest(codes) AS c
                      GROUP BY c HAVING count(*) > 1)
        THEN
            PERFORM iot.fail_request('codes are malformed');
        END IF;

        codes := ARRAY(SELECT iot.second_hash(u, c) FROM unnest(codes) AS c);
    END CASE;

    INSERT INTO iot.second_factor (user_id, type, tenant_id, secret,
                                   last_step, email, codes)
    VALUES (u.id, second_save.type, u.tenant_id,
            CASE type WHEN 'TOTP' THEN second_save.secret END,
            COALESCE(step, -1), proved,
            CASE type WHEN 'BACKUP_CODE' THEN second_save.codes END);

    PERFORM iot.second_default(u, type, is_default OR type <> 'BACKUP_CODE'
        AND NOT EXISTS (SELECT FROM iot.second_factor AS f
                        WHERE f.user_id = u.id AND f.is_default));
    PERFORM iot.second_audit(p, u, type, 'added');
END
$$;


CREATE OR REPLACE FUNCTION iot.second_default(u iot.users, type text,
    wanted boolean) RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    UPDATE iot.second_factor AS f
    SET is_default = wanted AND f.type = second_default.type
    WHERE f.user_id = u.id AND (wanted OR f.type = second_default.type);
END
$$;


CREATE OR REPLACE FUNCTION iot.second_audit(p iot.principal, u iot.users,
    type text, change text) RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.audit(iot.user_principal(u, p.address), 'USER', u.id, u.email,
                      'CREDENTIALS_UPDATED',
                      data => json_build_object('secondFactor', type,
                                                'change', change));
END
$$;


CREATE OR REPLACE FUNCTION iot.second_change(p iot.principal, type text,
    is_default boolean) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
DECLARE
    u  iot.users := iot.second_user(p);
BEGIN
    IF NOT EXISTS (SELECT FROM iot.second_factor AS f
                   WHERE f.user_id = u.id AND f.type = second_change.type)
    THEN
        PERFORM iot.fail_request('2FA provider is not configured');
    END IF;

    PERFORM iot.second_default(u, type, is_default);
    PERFORM iot.second_audit(p, u, type, 'changed');
END
$$;


-- Backup codes go with the last of what they stand in for.

CREATE OR REPLACE FUNCTION iot.second_delete(p iot.principal, type text)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
DECLARE
    u  iot.users := iot.second_user(p);
BEGIN
    DELETE FROM iot.second_factor AS f
    WHERE f.user_id = u.id AND f.type = second_delete.type;

    IF NOT FOUND THEN
        PERFORM iot.fail_request('2FA provider is not configured');
    END IF;

    DELETE FROM iot.second_factor AS f
    WHERE f.user_id = u.id
          AND NOT EXISTS (SELECT FROM iot.second_factor AS g
                          WHERE g.user_id = u.id AND g.type <> 'BACKUP_CODE');

    PERFORM iot.second_audit(p, u, type, 'removed');
END
$$;


-- What the worker needs to check a code: the sealed seed and the last step of
-- TOTP, and the rate at which codes may be tried.

CREATE OR REPLACE FUNCTION iot.second_find(p iot.principal, type text)
RETURNS TABLE (secret text, last_step bigint, rate text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
BEGIN
    PERFORM iot.second_provider(type);

    RETURN QUERY
        SELECT f.secret, f.last_step,
               iot.second_settings() ->> 'verificationCodeCheckRateLimit'
        FROM iot.second_factor AS f
        WHERE f.user_id = p.user_id AND f.type = second_find.type;

    IF NOT FOUND THEN
        PERFORM iot.fail_request('2FA is not configured for account');
    END IF;
END
$$;


CREATE OR REPLACE FUNCTION iot.second_send(p iot.principal, type text)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
DECLARE
    u   iot.users := iot.second_user(p);
    f   iot.second_factor;
BEGIN
    PERFORM iot.second_provider(type);

    SELECT * INTO f FROM iot.second_factor AS t
    WHERE t.user_id = u.id AND t.type = second_send.type;

    IF f.user_id IS NULL THEN
        PERFORM iot.fail_request('2FA is not configured for account');
    END IF;

    IF type = 'EMAIL' THEN
        PERFORM iot.second_mail(u, 'LOGIN', f.email);
    END IF;
END
$$;


-- Is the code right?  step: that of a right code of TOTP, NULL for a wrong
-- one; each step is good once.

CREATE OR REPLACE FUNCTION iot.second_right(u iot.users, type text,
    code text, step bigint) RETURNS boolean
LANGUAGE plpgsql
AS $$
BEGIN
    CASE type
    WHEN 'TOTP' THEN
        UPDATE iot.second_factor AS f
        SET last_step = step
        WHERE f.user_id = u.id AND f.type = 'TOTP' AND f.last_step < step;

        RETURN FOUND;

    WHEN 'EMAIL' THEN
        RETURN iot.second_mailed(u, 'LOGIN', code) IS NOT NULL;

    ELSE
        UPDATE iot.second_factor AS f
        SET codes = array_remove(f.codes,
                                 iot.second_hash(u, lower(btrim(code))))
        WHERE f.user_id = u.id AND f.type = 'BACKUP_CODE'
              AND iot.second_hash(u, lower(btrim(code))) = ANY (f.codes);

        RETURN FOUND;
    END CASE;
END
$$;


-- The code that completes a login.  A wrong one must be counted, so it is no
-- error here: "state" is ok (with the object of the new session), wrong, or
-- locked.

CREATE OR REPLACE FUNCTION iot.second_check(p iot.principal, type text,
    code text, step bigint, agent text) RETURNS json
LANGUAGE plpgsql SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
DECLARE
    u      iot.users := iot.second_user(p);
    most   integer := COALESCE((iot.second_settings()
                  ->> 'maxVerificationFailuresBeforeUserLockout')::integer, 0);
    c      iot.user_credentials;
BEGIN
    PERFORM iot.second_provider(type);

    SELECT * INTO c FROM iot.user_credentials AS t WHERE t.user_id = u.id;

    IF c.locked OR NOT c.enabled THEN
        RETURN json_build_object('state', 'locked');
    END IF;

    -- of two right codes at once the first one ends this session

    IF NOT EXISTS (SELECT FROM iot.session AS s
                   WHERE s.id = p.session_id AND s.user_id = u.id
                         AND s.scope = 'PRE_VERIFICATION_TOKEN'
                         AND s.expires_at > iot.now_ms())
    THEN
        PERFORM iot.fail(401, 'token_expired', 'Token has expired');
    END IF;

    IF iot.second_right(u, type, code, step) THEN
        RETURN json_build_object('state', 'ok', 'session',
                                 iot.second_done(p, u, agent));
    END IF;

    UPDATE iot.user_credentials AS t
    SET second_failures = t.second_failures + 1
    WHERE t.user_id = u.id
    RETURNING * INTO c;

    PERFORM iot.audit(iot.user_principal(u, p.address), 'USER', u.id, u.email,
                      'LOGIN', 'FAILURE', 'Verification code is incorrect',
                      json_build_object('clientAddress', p.address));

    IF most > 0 AND c.second_failures >= most THEN
        PERFORM iot.lockout(u, p.address, most);
        RETURN json_build_object('state', 'locked');
    END IF;

    RETURN json_build_object('state', 'wrong');
END
$$;


-- A full session in place of the one with the scope.

CREATE OR REPLACE FUNCTION iot.second_done(p iot.principal, u iot.users,
    agent text) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    DELETE FROM iot.session AS s
    WHERE s.id = p.session_id AND s.user_id = u.id;

    PERFORM pg_notify('iot', 'session ' || p.session_id);

    UPDATE iot.user_credentials AS c
    SET second_failures = 0, last_login = iot.now_ms()
    WHERE c.user_id = u.id;

    PERFORM iot.audit(iot.user_principal(u, p.address), 'USER', u.id, u.email,
                      'LOGIN',
                      data => json_build_object('clientAddress', p.address,
                                                'browser', left(agent, 255)));

    RETURN iot.login_full(u, p.address, agent);
END
$$;


-- Who had to set up a second factor, and has proved it by that, is in.

CREATE OR REPLACE FUNCTION iot.second_enrolled(p iot.principal) RETURNS json
LANGUAGE plpgsql SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
DECLARE
    u  iot.users := iot.second_user(p);
BEGIN
    IF iot.second_scope(u) IS NOT DISTINCT FROM 'MFA_CONFIGURATION_TOKEN' THEN
        PERFORM iot.fail_request('2FA is not configured for account');
    END IF;

    RETURN iot.second_done(p, u, NULL);
END
$$;


SELECT iot.definer(f, 'a login without its second factor has no role')
FROM (VALUES ('iot.second_configs'), ('iot.second_generate'),
             ('iot.second_submit'), ('iot.second_save'),
             ('iot.second_change'), ('iot.second_delete'),
             ('iot.second_find'), ('iot.second_send'), ('iot.second_check'),
             ('iot.second_enrolled')) AS v (f);

REVOKE EXECUTE ON FUNCTION
    iot.second_done(iot.principal, iot.users, text),
    iot.second_right(iot.users, text, text, bigint)
    FROM PUBLIC;
