
--
-- Copyright (C) the ngx_iot authors
--
-- Self-registration: /api/noauth/signup..., /api/selfRegistration/...,
-- /api/signup/...
--
-- "@base" of a query and "_hash" of a body are made by the worker.


CREATE OR REPLACE FUNCTION tb.signup_params(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    tenant  uuid;
BEGIN
    PERFORM iot.enter(p);

    tenant := iot.need_signup(tb.arg(query, '@base'));

    RETURN tb.signup_public(tenant);
END
$$;


CREATE OR REPLACE FUNCTION tb.signup_public(tenant uuid) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    RETURN json_build_object(
        'signUpTextMessage', iot.setting_public(tenant, 'signup.message'),
        'captchaSiteKey', iot.setting_public(tenant, 'signup.captchaSiteKey'),
        'captchaVersion', iot.setting_public(tenant, 'signup.captchaVersion'),
        'captchaAction', iot.setting_public(tenant, 'signup.captchaAction'),
        'showPrivacyPolicy',
            iot.setting_public(tenant, 'signup.showPrivacyPolicy'),
        'showTermsOfUse', iot.setting_public(tenant, 'signup.showTermsOfUse'),
        'invitation',
            iot.setting_public(tenant, 'signup.mode') #>> '{}' = 'invitation',
        'fields', '[{"id":"EMAIL","label":"Email","required":true},
            {"id":"FIRST_NAME","label":"First name","required":false},
            {"id":"LAST_NAME","label":"Last name","required":false},
            {"id":"PHONE","label":"Phone","required":false},
            {"id":"PASSWORD","label":"Password","required":true}]'::json);
END
$$;


CREATE OR REPLACE FUNCTION tb.signup_privacy_policy(p iot.principal,
    path text[], query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);

    RETURN iot.setting_public(iot.need_signup(tb.arg(query, '@base')),
                              'signup.privacyPolicy');
END
$$;


CREATE OR REPLACE FUNCTION tb.signup_terms_of_use(p iot.principal,
    path text[], query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);

    RETURN iot.setting_public(iot.need_signup(tb.arg(query, '@base')),
                              'signup.termsOfUse');
END
$$;


-- body: what the worker has taken from the client's: email, firstName,
-- lastName, phone, invitation, recaptchaResponse and _hash.

CREATE OR REPLACE FUNCTION tb.signup(p iot.principal, path text[], query json,
    body json) RETURNS iot.answer
LANGUAGE plpgsql
AS $$
DECLARE
    base    text := tb.arg(query, '@base');
    tenant  uuid;
    job     uuid;
BEGIN
    PERFORM iot.enter(p);

    tenant := iot.need_signup(base);
    job := iot.signup_captcha(tenant, body ->> 'recaptchaResponse', p.address);

    IF job IS NOT NULL THEN
        PERFORM tb.signup_in(p, body);

        RETURN ROW(200, json_build_object('@wait', job,
                       '@then', 'tb.signup_checked', '@timeout', '15000'),
                   NULL)::iot.answer;
    END IF;

    RETURN tb.signup_done(p, base, body);
END
$$;


-- After the captcha was checked by a helper.

CREATE OR REPLACE FUNCTION tb.signup_checked(p iot.principal, path text[],
    query json, body json) RETURNS iot.answer
LANGUAGE plpgsql
AS $$
DECLARE
    base  text := tb.arg(query, '@base');
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.signup_captcha_check(iot.need_signup(base), body -> 'job');

    RETURN tb.signup_done(p, base, body -> 'body');
END
$$;


CREATE OR REPLACE FUNCTION tb.signup_in(p iot.principal, body json)
RETURNS iot.signup
LANGUAGE plpgsql
AS $$
DECLARE
    r  iot.signup;
BEGIN
    PERFORM tb.need_object(body);

    r.email := tb.text(body, 'email');
    r.first_name := tb.text(body, 'firstName');
    r.last_name := tb.text(body, 'lastName');
    r.phone := tb.text(body, 'phone');
    r.password_hash := body ->> '_hash';
    r.address := p.address;

    PERFORM iot.email(r.email);

    RETURN r;
END
$$;


CREATE OR REPLACE FUNCTION tb.signup_done(p iot.principal, base text,
    body json) RETURNS iot.answer
LANGUAGE plpgsql
AS $$
BEGIN
    RETURN ROW(200, NULL, to_json(iot.signup(base, tb.signup_in(p, body),
                              tb.raw_text(body, 'invitation')))::text)
               ::iot.answer;
END
$$;


CREATE OR REPLACE FUNCTION tb.signup_resend(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.signup_resend(tb.arg(query, '@base'),
                              tb.need_arg(query, 'email'));

    RETURN NULL;
END
$$;


-- A browser that follows the link.  It uses nothing up: programs that look
-- into mails follow links too.

CREATE OR REPLACE FUNCTION tb.signup_page(p iot.principal, path text[],
    query json, body json) RETURNS iot.answer
LANGUAGE plpgsql
AS $$
DECLARE
    code   text := tb.need_arg(query, 'emailCode');
    state  text;
BEGIN
    PERFORM iot.enter(p);

    state := iot.signup_state(code);

    IF state = 'unknown' THEN
        RETURN ROW(409, NULL, NULL)::iot.answer;
    END IF;

    RETURN ROW(303, json_build_object('Location',
               CASE state WHEN 'valid' THEN '/signup/emailVerified?emailCode='
                                            || code
               ELSE '/activationLinkExpired' END), NULL)::iot.answer;
END
$$;


-- The object of the new session, which the worker makes tokens of.

CREATE OR REPLACE FUNCTION tb.signup_confirm(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    result  json;
BEGIN
    PERFORM iot.enter(p);

    result := iot.signup_confirm(tb.need_arg(query, 'emailCode'), p.address);

    RETURN result;
END
$$;


-- What a tenant sets up, as one object.

CREATE OR REPLACE FUNCTION tb.signup_settings() RETURNS json
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    RETURN '{"signUpTextMessage":"signup.message",
        "captchaSiteKey":"signup.captchaSiteKey",
        "captchaVersion":"signup.captchaVersion",
        "captchaAction":"signup.captchaAction",
        "showPrivacyPolicy":"signup.showPrivacyPolicy",
        "showTermsOfUse":"signup.showTermsOfUse",
        "privacyPolicy":"signup.privacyPolicy",
        "termsOfUse":"signup.termsOfUse",
        "notificationEmail":"signup.noticeEmail",
        "permissions":"signup.permissions"}'::json;
END
$$;


CREATE OR REPLACE FUNCTION tb.signup_own(p iot.principal) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.need_role(p, 'TENANT_ADMIN');

    RETURN (SELECT json_object_agg(e.key,
                       iot.setting_value(p.tenant_id, e.value))
            FROM json_each_text(tb.signup_settings()) AS e)::jsonb
           || jsonb_build_object(
               'mode', iot.setting_of(p.tenant_id, 'signup.mode'),
               'domainName', iot.setting_value(p.tenant_id, 'signup.domains')
                             ->> 0,
               'captchaSecretKey', NULL,
               'defaultDashboardId',
                   iot.setting_value(p.tenant_id, 'signup.dashboards') ->> 0,
               'defaultDashboardFullscreen', false,
               'pkgName', NULL, 'appSecret', NULL, 'appScheme', NULL,
               'appHost', NULL);
END
$$;


CREATE OR REPLACE FUNCTION tb.signup_settings_get(p iot.principal,
    path text[], query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);

    RETURN tb.signup_own(p);
END
$$;


-- Members that are absent stay as they are, null takes them back.  A sign-up
-- that was off is open then.

CREATE OR REPLACE FUNCTION tb.signup_settings_save(p iot.principal,
    path text[], query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    known  json := tb.signup_settings();
    name   text;
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.need_role(p, 'TENANT_ADMIN');
    PERFORM tb.need_object(body);

    IF COALESCE(body ->> 'captchaSecretKey', '') <> '' THEN
        PERFORM iot.fail_request('captchaSecretKey is set by PUT '
                                 '/api/settings/signup.captchaSecret!');
    END IF;

    FOR name IN SELECT k FROM json_object_keys(known) AS k
                WHERE body -> k IS NOT NULL
    LOOP
        PERFORM tb.signup_setting(p, known ->> name, body -> name);
    END LOOP;

    IF body -> 'domainName' IS NOT NULL THEN
        PERFORM tb.signup_setting(p, 'signup.domains',
            json_build_array(lower(tb.text(body, 'domainName'))));
    END IF;

    IF body -> 'defaultDashboardId' IS NOT NULL THEN
        PERFORM tb.signup_setting(p, 'signup.dashboards',
            CASE WHEN tb.ref(body, 'defaultDashboardId') IS NOT NULL
            THEN json_build_array(tb.ref(body, 'defaultDashboardId')) END);
    END IF;

    IF body ->> 'mode' IS NOT NULL THEN
        PERFORM tb.signup_setting(p, 'signup.mode', body -> 'mode');

    ELSIF iot.setting_of(p.tenant_id, 'signup.mode') = 'off' THEN
        PERFORM tb.signup_setting(p, 'signup.mode', '"open"');
    END IF;

    RETURN tb.signup_own(p);
END
$$;


CREATE OR REPLACE FUNCTION tb.signup_setting(p iot.principal, name text,
    value json) RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    IF value IS NULL OR json_typeof(value) = 'null' OR value::text = '""' THEN
        PERFORM iot.setting_unset(p, name);

    ELSE
        PERFORM iot.setting_set(p, name, value);
    END IF;
END
$$;


CREATE OR REPLACE FUNCTION tb.signup_settings_delete(p iot.principal,
    path text[], query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.setting_unset(p, 'signup.mode');

    RETURN NULL;
END
$$;


-- Invitations, and sign-ups that wait for approval.

CREATE OR REPLACE FUNCTION tb.signup_invite(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    i  record;
BEGIN
    PERFORM iot.enter(p);

    SELECT * INTO i
    FROM iot.signup_invite(p, tb.text(body, 'email'),
             COALESCE(tb.long(body, 'hours'), 168)::integer);

    RETURN json_build_object('id', i.id, 'code', i.code,
                             'expirationTime', i.expires);
END
$$;


CREATE OR REPLACE FUNCTION tb.signup_invitation_out(i iot.signup_invitation)
RETURNS json
LANGUAGE sql STABLE
AS $$
    SELECT json_build_object('id', i.id, 'createdTime', i.created_time,
                             'email', i.email,
                             'expirationTime', i.expires_at)
$$;


CREATE OR REPLACE FUNCTION tb.signup_invitations(p iot.principal,
    path text[], query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.need_role(p, 'TENANT_ADMIN');

    RETURN tb.list(tb.page(query), 'tb.signup_invitation_out(i)',
        'iot.signup_invitation AS i WHERE i.tenant_id = $1[1]::uuid'
        ' AND ($2 IS NULL OR i.email ILIKE $2)',
        '{"id":"i.id","createdTime":"i.created_time","email":"i.email"}',
        'i.id', p.tenant_id::text);
END
$$;


CREATE OR REPLACE FUNCTION tb.signup_uninvite(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.signup_uninvite(p, tb.uuid(path[1]));

    RETURN NULL;
END
$$;


CREATE OR REPLACE FUNCTION tb.signup_out(r iot.signup) RETURNS json
LANGUAGE sql STABLE
AS $$
    SELECT json_build_object('id', r.id, 'createdTime', r.created_time,
                             'email', r.email, 'firstName', r.first_name,
                             'lastName', r.last_name, 'phone', r.phone,
                             'state', r.state, 'expirationTime', r.expires_at)
$$;


CREATE OR REPLACE FUNCTION tb.signups(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.need_role(p, 'TENANT_ADMIN');

    RETURN tb.list(tb.page(query), 'tb.signup_out(s)',
        'iot.signup AS s WHERE s.tenant_id = $1[1]::uuid'
        ' AND ($1[2] IS NULL OR s.state = $1[2])'
        ' AND ($2 IS NULL OR s.email ILIKE $2)',
        '{"id":"s.id","createdTime":"s.created_time","email":"s.email"}',
        's.id', p.tenant_id::text, upper(tb.arg(query, 'state')));
END
$$;


CREATE OR REPLACE FUNCTION tb.signup_approve(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);

    RETURN tb.user_out(iot.signup_decide(p, tb.uuid(path[1]), true));
END
$$;


CREATE OR REPLACE FUNCTION tb.signup_reject(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.signup_decide(p, tb.uuid(path[1]), false);

    RETURN NULL;
END
$$;


-- What the caller has agreed to.

CREATE OR REPLACE FUNCTION tb.privacy_policy_accepted(p iot.principal,
    path text[], query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);

    RETURN to_json(iot.consent(p, 'privacyPolicy'));
END
$$;


CREATE OR REPLACE FUNCTION tb.terms_of_use_accepted(p iot.principal,
    path text[], query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);

    RETURN to_json(iot.consent(p, 'termsOfUse'));
END
$$;


CREATE OR REPLACE FUNCTION tb.accept_privacy_policy(p iot.principal,
    path text[], query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);

    RETURN iot.consent_give(p, 'privacyPolicy');
END
$$;


CREATE OR REPLACE FUNCTION tb.accept_terms_of_use(p iot.principal,
    path text[], query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);

    RETURN iot.consent_give(p, 'termsOfUse');
END
$$;
