
--
-- Copyright (C) the ngx_iot authors
--
-- Self-registration: who may sign up, and the confirmation of the address.
-- Nothing is made for a sign-up before its address is confirmed (and, where
-- that is asked for, an administrator has agreed); then all of it at once, see
-- 81_signup_make.sql.


SELECT iot.setting_define(v.name, v.type, v.value::json, v.bounds::json,
                          'tenant', true, v.name = 'signup.captchaSecret',
                          v.what)
FROM (VALUES
    ('signup.mode', 'enum', '"off"',
        '{"values":["off","open","domains","invitation","approval"]}',
        'Who may sign up: nobody, everybody, addresses of signup.allowed, '
        'whoever has an invitation, or whoever an administrator agrees to.'),
    ('signup.domains', 'strings', '[]',
        '{"maxItems":100,"maxLength":255,"pattern":"^[a-z0-9.:_-]+$"}',
        'The host names whose visitors sign up with this tenant.'),
    ('signup.allowed', 'strings', '[]',
        '{"maxItems":1000,"maxLength":255,"pattern":"^[a-z0-9.-]+$"}',
        'Domains of e-mail addresses that may sign up in mode domains.'),
    ('signup.blocked', 'strings', '[]',
        '{"maxItems":1000,"maxLength":255,"pattern":"^[a-z0-9.-]+$"}',
        'Domains of e-mail addresses that may not sign up in any mode.'),
    ('signup.reserved', 'strings',
        '["abuse","admin","administrator","hostmaster","noreply",'
        '"postmaster","root","security","support","webmaster"]',
        '{"maxItems":1000,"maxLength":64}',
        'What may not stand before the @ of an address.'),
    ('signup.tellExisting', 'boolean', 'false', '{}',
        'Whether an address that has an account is told so; else everybody '
        'gets the same answer.'),
    ('signup.captchaSiteKey', 'string', 'null', '{"maxLength":255}',
        'The public key of the captcha; absent: none is asked for.'),
    ('signup.captchaSecret', 'string', 'null',
        '{"maxLength":1024,"seal":"helper"}',
        'The secret key of the captcha.'),
    ('signup.captchaVerifyUrl', 'url', 'null', '{"maxLength":255}',
        'Where the answer to a captcha is checked, by a POST of secret, '
        'response and remoteip that answers {"success":true}.'),
    ('signup.captchaVersion', 'string', '"v2"', '{"maxLength":16}',
        'The version of the captcha, for clients.'),
    ('signup.captchaAction', 'string', 'null', '{"maxLength":100}',
        'The action that the captcha must be for.'),
    ('signup.linkHours', 'integer', '24', '{"min":1,"max":168}',
        'For how many hours a link of confirmation is valid.'),
    ('signup.confirmUrl', 'url', 'null', '{"maxLength":255}',
        'The page that links of confirmation lead to; it gets emailCode. '
        'Absent: /api/noauth/activateEmail of this server.'),
    ('signup.templateDevice', 'string', 'null',
        '{"pattern":"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"}',
        'The device that new customers get a copy of.'),
    ('signup.templateHistoryDays', 'integer', '30', '{"min":0,"max":3650}',
        'How many days of its telemetry are copied.'),
    ('signup.dashboards', 'strings', '[]',
        '{"maxItems":50,'
        '"pattern":"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"}',
        'The dashboards that new customers are assigned; the first one is '
        'their home.'),
    ('signup.permissions', 'array', '[]', '{"maxItems":50}',
        'What users of new customers may do: objects with roleId and, for a '
        'GROUP role, entityGroupId.'),
    ('signup.noticeEmail', 'email', 'null', '{}',
        'Who gets a mail when somebody has signed up.'),
    ('signup.message', 'string', 'null', '{"maxLength":10000}',
        'A text for the page of the sign-up.'),
    ('signup.showPrivacyPolicy', 'boolean', 'false', '{}',
        'Whether the page shows the privacy policy.'),
    ('signup.privacyPolicy', 'string', 'null', '{"maxLength":60000}',
        'The privacy policy.'),
    ('signup.showTermsOfUse', 'boolean', 'false', '{}',
        'Whether the page shows the terms of use.'),
    ('signup.termsOfUse', 'string', 'null', '{"maxLength":60000}',
        'The terms of use.')) AS v (name, type, value, bounds, what);


-- The tenant whose visitors come by that host; "x.example.org:8080" is also
-- looked for without its port.  NULL: none.

CREATE OR REPLACE FUNCTION iot.signup_tenant(base text) RETURNS uuid
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
DECLARE
    host  text := lower(regexp_replace(base, '^https?://', ''));
BEGIN
    RETURN (SELECT s.tenant_id FROM iot.setting AS s
            WHERE s.name = 'signup.domains' AND s.tenant_id IS NOT NULL
                  AND s.value::jsonb
                      ?| ARRAY[host, regexp_replace(host, ':[0-9]+$', '')]
                  AND COALESCE(iot.setting_of(s.tenant_id, 'signup.mode'),
                               'off') <> 'off'
                  AND iot.tenant_alive(s.tenant_id)
            ORDER BY s.tenant_id LIMIT 1);
END
$$;

SELECT iot.definer('iot.signup_tenant',
                   'whoever signs up has no tenant yet');


CREATE OR REPLACE FUNCTION iot.need_signup(base text) RETURNS uuid
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    tenant  uuid := iot.signup_tenant(base);
BEGIN
    IF tenant IS NULL THEN
        PERFORM iot.fail(404, 'not_found',
                         'Self registration is not available!');
    END IF;

    RETURN tenant;
END
$$;


CREATE OR REPLACE FUNCTION iot.code_hash(code text) RETURNS bytea
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    RETURN sha256(convert_to(code, 'UTF8'));
END
$$;


CREATE OR REPLACE FUNCTION iot.signup_list_has(tenant uuid, name text,
    wanted text) RETURNS boolean
LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN EXISTS (SELECT FROM json_array_elements_text(
                                   iot.setting_value(tenant, name)) AS v (t)
                   WHERE lower(v.t) = wanted);
END
$$;


-- Do the rules of the tenant let that address sign up?  The invitation is
-- checked, not used.

CREATE OR REPLACE FUNCTION iot.signup_check(tenant uuid, email text,
    invitation text) RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    local   text := split_part(email, '@', 1);
    domain  text := split_part(email, '@', 2);
    mode    text := iot.setting_of(tenant, 'signup.mode');
BEGIN
    IF iot.signup_list_has(tenant, 'signup.reserved', local)
       OR iot.signup_list_has(tenant, 'signup.reserved',
                              split_part(local, '+', 1))
    THEN
        PERFORM iot.fail_request('This name is reserved!');
    END IF;

    IF iot.signup_list_has(tenant, 'signup.blocked', domain)
       OR mode = 'domains'
          AND NOT iot.signup_list_has(tenant, 'signup.allowed', domain)
    THEN
        PERFORM iot.fail_request('Addresses of this domain can''t sign up!');
    END IF;

    IF mode = 'invitation'
       AND NOT EXISTS (SELECT FROM iot.signup_invitation AS i
                       WHERE i.tenant_id = tenant
                             AND i.code_hash = iot.code_hash(invitation)
                             AND i.expires_at > iot.now_ms()
                             AND COALESCE(i.email, signup_check.email)
                                 = signup_check.email)
    THEN
        PERFORM iot.fail_request('A valid invitation is needed!');
    END IF;
END
$$;


-- Keep a sign-up and send the link; r.email, names and password_hash are set.
-- Returns 'SUCCESS', or 'INACTIVE_USER_EXISTS' where that is told.  The same
-- address gets five mails in an hour at most.

CREATE OR REPLACE FUNCTION iot.signup(base text, r iot.signup,
    invitation text) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
DECLARE
    waiting  integer;
    told     boolean;
    result   text := 'SUCCESS';
    active   boolean;
BEGIN
    r.tenant_id := iot.need_signup(base);
    r.email := iot.email(r.email);
    r.base := iot.base_url_safe(base);

    PERFORM iot.signup_check(r.tenant_id, r.email, invitation);

    IF COALESCE(r.password_hash, '') = '' THEN
        PERFORM iot.fail_request('Password should be specified!');
    END IF;

    told := iot.setting_of(r.tenant_id, 'signup.tellExisting')::boolean;

    SELECT c.password_hash IS NOT NULL INTO active
    FROM iot.users AS u
        JOIN iot.user_credentials AS c ON c.user_id = u.id
    WHERE u.email = r.email;

    IF active AND told THEN
        PERFORM iot.fail_request(format(
            'User with email ''%s'' already present in database!', r.email));
    END IF;

    -- whoever has an account learns it where others are told nothing: by mail

    IF active IS NOT NULL THEN
        PERFORM iot.mail(r.tenant_id, 'sign-up-notice', r.email,
            jsonb_build_object('email', r.email, 'baseUrl', r.base,
                'note', 'There is an account of this address already.'))
        WHERE iot.signup_quota(r.tenant_id, r.email);

        RETURN CASE WHEN told THEN 'INACTIVE_USER_EXISTS' ELSE 'SUCCESS' END;
    END IF;

    SELECT count(*) INTO waiting FROM iot.signup AS s
    WHERE s.tenant_id = r.tenant_id AND s.email = r.email;

    IF waiting > 0 AND told THEN
        result := 'INACTIVE_USER_EXISTS';
    END IF;

    IF NOT iot.signup_quota(r.tenant_id, r.email) THEN
        RETURN result;
    END IF;

    INSERT INTO iot.signup AS s (tenant_id, email, first_name, last_name,
        phone, password_hash, state, expires_at, address, base)
    VALUES (r.tenant_id, r.email, r.first_name, r.last_name, r.phone,
            r.password_hash, 'CONFIRM',
            iot.now_ms() + iot.signup_lifetime(r.tenant_id), r.address, r.base)
    RETURNING * INTO r;

    PERFORM iot.signup_mail(r);

    IF invitation IS NOT NULL
       AND iot.setting_of(r.tenant_id, 'signup.mode') = 'invitation'
    THEN
        DELETE FROM iot.signup_invitation AS i
        WHERE i.tenant_id = r.tenant_id
              AND i.code_hash = iot.code_hash(invitation);

        IF NOT FOUND THEN
            PERFORM iot.fail_request('A valid invitation is needed!');
        END IF;
    END IF;

    RETURN result;
END
$$;

SELECT iot.definer('iot.signup', 'whoever signs up has no tenant yet');


CREATE OR REPLACE FUNCTION iot.signup_lifetime(tenant uuid) RETURNS bigint
LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN iot.setting_of(tenant, 'signup.linkHours')::bigint * 3600000;
END
$$;


-- May one more mail go to that address?  Two who ask at once take turns.

CREATE OR REPLACE FUNCTION iot.signup_quota(tenant uuid, email text)
RETURNS boolean
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.lock('signup ' || email, tenant);

    RETURN (SELECT count(*) FROM iot.job AS j
            WHERE j.tenant_id = tenant AND j.kind = 'mail'
                  AND j.payload ->> 'recipient' = signup_quota.email
                  AND j.payload ->> 'template' LIKE 'sign-up-%'
                  AND j.created_time > iot.now_ms() - 3600000) < 5;
END
$$;


-- A new link for a sign-up; what was sent before is no longer valid.

CREATE OR REPLACE FUNCTION iot.signup_mail(r iot.signup) RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    code  text := iot.random_text(40);
    page  text := iot.setting_of(r.tenant_id, 'signup.confirmUrl');
BEGIN
    page := COALESCE(page, r.base || '/api/noauth/activateEmail');

    UPDATE iot.signup AS s
    SET code_hash = iot.code_hash(code),
        expires_at = iot.now_ms() + iot.signup_lifetime(r.tenant_id)
    WHERE s.tenant_id = r.tenant_id AND s.id = r.id;

    PERFORM iot.mail(r.tenant_id, 'sign-up-confirm', r.email,
        jsonb_strip_nulls(jsonb_build_object(
            'name', NULLIF(btrim(r.first_name), ''),
            'baseUrl', r.base,
            'link', page || CASE WHEN strpos(page, '?') > 0 THEN '&'
                            ELSE '?' END || 'emailCode=' || code,
            'hours', iot.setting_of(r.tenant_id, 'signup.linkHours'))));
END
$$;


-- Send the link again, if there is such a sign-up; the answer never tells.

CREATE OR REPLACE FUNCTION iot.signup_resend(base text, email text)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
DECLARE
    tenant  uuid := iot.need_signup(base);
    wanted  text := iot.email(email);
    r       iot.signup;
BEGIN
    SELECT * INTO r FROM iot.signup AS s
    WHERE s.tenant_id = tenant AND s.email = wanted AND s.state = 'CONFIRM'
          AND s.expires_at > iot.now_ms()
    ORDER BY s.created_time DESC LIMIT 1
    FOR UPDATE;

    IF r.id IS NOT NULL AND iot.signup_quota(tenant, wanted) THEN
        PERFORM iot.signup_mail(r);
    END IF;
END
$$;

SELECT iot.definer('iot.signup_resend', 'whoever signs up has no tenant yet');


-- Of a code: 'valid', 'expired' or 'unknown'.

CREATE OR REPLACE FUNCTION iot.signup_state(code text) RETURNS text
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
DECLARE
    expires  bigint;
BEGIN
    SELECT s.expires_at INTO expires FROM iot.signup AS s
    WHERE s.code_hash = iot.code_hash(code);

    RETURN CASE
           WHEN NOT FOUND THEN 'unknown'
           WHEN expires <= iot.now_ms() THEN 'expired'
           ELSE 'valid' END;
END
$$;

SELECT iot.definer('iot.signup_state', 'who comes with a link is nobody yet');


-- Use a link: make the account and begin a session, or wait for approval (the
-- answer is NULL then).  Of two who come with the same code the second one
-- finds none.

CREATE OR REPLACE FUNCTION iot.signup_confirm(code text, address text)
RETURNS json
LANGUAGE plpgsql SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
DECLARE
    r  iot.signup;
    u  iot.users;
BEGIN
    -- those who confirm sign-ups of one address take turns

    PERFORM iot.lock('signup ' || s.email, s.tenant_id)
    FROM iot.signup AS s
    WHERE s.code_hash = iot.code_hash(code);

    SELECT * INTO r FROM iot.signup AS s
    WHERE s.code_hash = iot.code_hash(code) AND s.expires_at > iot.now_ms()
          AND iot.tenant_alive(s.tenant_id)
    FOR UPDATE;

    IF r.id IS NULL THEN
        PERFORM iot.fail_request('The link is not valid!');
    END IF;

    IF iot.setting_of(r.tenant_id, 'signup.mode') = 'approval' THEN
        UPDATE iot.signup AS s
        SET state = 'APPROVAL',
            code_hash = NULL,
            expires_at = iot.now_ms() + 30 * 86400000::bigint
        WHERE s.tenant_id = r.tenant_id AND s.id = r.id;

        PERFORM iot.signup_notice(r, 'The sign-up waits for approval.');

        RETURN NULL;
    END IF;

    u := iot.signup_make(r);

    UPDATE iot.user_credentials AS c
    SET last_login = iot.now_ms()
    WHERE c.user_id = u.id;

    RETURN iot.login_begin(u, address, NULL);
END
$$;

SELECT iot.definer('iot.signup_confirm',
                   'who comes with a link is nobody yet');


CREATE OR REPLACE FUNCTION iot.signup_notice(r iot.signup, note text)
RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    recipient  text := iot.setting_of(r.tenant_id, 'signup.noticeEmail');
BEGIN
    IF COALESCE(recipient, '') <> '' THEN
        PERFORM iot.mail(r.tenant_id, 'sign-up-notice', recipient,
            jsonb_build_object('email', r.email, 'baseUrl', r.base,
                               'note', note));
    END IF;
END
$$;


-- Forget sign-ups and invitations that are over; a slice at a time.

CREATE OR REPLACE FUNCTION iot.maintain_signup(slice integer DEFAULT 5000)
RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
DECLARE
    n      integer;
    total  integer;
BEGIN
    DELETE FROM iot.signup
    WHERE ctid = ANY (ARRAY(SELECT s.ctid FROM iot.signup AS s
                            WHERE s.expires_at < iot.now_ms() LIMIT slice));

    GET DIAGNOSTICS total = ROW_COUNT;

    DELETE FROM iot.signup_invitation
    WHERE ctid = ANY (ARRAY(SELECT i.ctid FROM iot.signup_invitation AS i
                            WHERE i.expires_at < iot.now_ms() LIMIT slice));

    GET DIAGNOSTICS n = ROW_COUNT;

    RETURN total + n;
END
$$;

SELECT iot.definer('iot.maintain_signup', 'expires the rows of all tenants');
