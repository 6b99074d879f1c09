
--
-- Copyright (C) the ngx_iot authors
--
-- The captcha of a sign-up, checked by a helper, and the consents of users.


-- A setting of the sign-up that everybody may read.

CREATE OR REPLACE FUNCTION iot.setting_public(tenant uuid, name text)
RETURNS json
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
BEGIN
    IF name NOT IN ('signup.message', 'signup.captchaSiteKey',
        'signup.captchaVersion', 'signup.captchaAction',
        'signup.showPrivacyPolicy', 'signup.showTermsOfUse',
        'signup.privacyPolicy', 'signup.termsOfUse', 'signup.mode')
    THEN
        RAISE 'setting "%" is not public', name;
    END IF;

    RETURN iot.setting_value(tenant, name);
END
$$;

SELECT iot.definer('iot.setting_public',
                   'whoever signs up has no tenant yet');


-- The job that checks the answer to a captcha; NULL: none is asked for.

CREATE OR REPLACE FUNCTION iot.signup_captcha(tenant uuid, response text,
    address text) RETURNS uuid
LANGUAGE plpgsql SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
DECLARE
    secret  text := iot.setting_of(tenant, 'signup.captchaSecret');
BEGIN
    IF COALESCE(secret, '') = '' THEN
        RETURN NULL;
    END IF;

    IF COALESCE(response, '') = '' OR length(response) > 8192 THEN
        PERFORM iot.fail_request('Captcha verification failed!');
    END IF;

    RETURN iot.job_add(tenant, 'http', jsonb_build_object(
        'url', iot.setting_of(tenant, 'signup.captchaVerifyUrl'),
        'method', 'POST',
        'timeout', 10000,
        'maxAnswer', 65536,
        'form', jsonb_strip_nulls(jsonb_build_object('secret', secret,
                    'response', response, 'remoteip', address))),
        NULL, '15 seconds');
END
$$;

SELECT iot.definer('iot.signup_captcha',
                   'whoever signs up has no tenant yet');


-- job: state, result (status, body) and error, as the helper left them.

CREATE OR REPLACE FUNCTION iot.signup_captcha_check(tenant uuid, job json)
RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    verdict  json;
    action   text := iot.setting_public(tenant, 'signup.captchaAction')
                     #>> '{}';
BEGIN
    IF job ->> 'state' IS DISTINCT FROM 'done'
       OR job #>> '{result,status}' IS DISTINCT FROM '200'
       OR NOT COALESCE(iot.is_json_object(job #>> '{result,body}'), false)
    THEN
        PERFORM iot.fail(503, 'unavailable',
                         'Captcha can''t be verified now!');
    END IF;

    verdict := (job #>> '{result,body}')::json;

    IF verdict ->> 'success' IS DISTINCT FROM 'true'
       OR COALESCE(action, '') <> ''
          AND COALESCE(verdict ->> 'action', action) <> action
    THEN
        PERFORM iot.fail_request('Captcha verification failed!');
    END IF;
END
$$;


CREATE OR REPLACE FUNCTION iot.consent(p iot.principal, kind text)
RETURNS boolean
LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN EXISTS (SELECT FROM iot.user_consent AS c
                   WHERE c.user_id = p.user_id AND c.kind = consent.kind);
END
$$;


-- Returns what the tokens of the session say.

CREATE OR REPLACE FUNCTION iot.consent_give(p iot.principal, kind text)
RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    u  iot.users;
BEGIN
    IF p.user_id IS NULL OR p.tenant_id IS NULL THEN
        PERFORM iot.fail_permission();
    END IF;

    SELECT * INTO u FROM iot.users AS t WHERE t.id = p.user_id;

    INSERT INTO iot.user_consent (tenant_id, user_id, kind)
    VALUES (p.tenant_id, p.user_id, consent_give.kind)
    ON CONFLICT ON CONSTRAINT user_consent_pkey DO NOTHING;

    PERFORM iot.audit(p, 'USER', u.id, u.email, 'CONSENT',
                      data => json_build_object('kind', kind));

    RETURN iot.login_object(u, p.session_id, true);
END
$$;
