
--
-- Copyright (C) the ngx_iot authors
--
-- Settings are rows, changed while the server runs: a change is announced, and
-- every worker reads them again.


-- A setting of the server, or NULL.

CREATE OR REPLACE FUNCTION iot.setting(name text) RETURNS json
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
BEGIN
    RETURN (SELECT s.value FROM iot.setting AS s
            WHERE s.tenant_id IS NULL AND s.name = setting.name);
END
$$;

INSERT INTO iot.definer_function (name, why)
VALUES ('iot.setting',
        'settings of the server are for everybody')
ON CONFLICT (name) DO UPDATE SET why = excluded.why;


CREATE OR REPLACE FUNCTION iot.setting_text(name text) RETURNS text
LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN iot.setting(name)::text;
END
$$;


-- Store a setting of the server.  It is the caller's job to have checked it.

CREATE OR REPLACE FUNCTION iot.setting_save(p iot.principal, name text,
    value json) RETURNS iot.setting
LANGUAGE plpgsql
AS $$
DECLARE
    r  iot.setting;
BEGIN
    PERFORM iot.need_role(p, 'SYS_ADMIN');

    INSERT INTO iot.setting AS s (tenant_id, name, value)
    VALUES (NULL, setting_save.name, setting_save.value)
    ON CONFLICT ON CONSTRAINT setting_tenant_id_name_key
        DO UPDATE SET value = excluded.value
    RETURNING * INTO r;

    PERFORM iot.audit(p, 'ADMIN_SETTINGS', r.id, name, 'UPDATED');
    PERFORM pg_notify('iot', 'settings ' || name);

    RETURN r;
END
$$;


CREATE OR REPLACE FUNCTION iot.security_settings() RETURNS jsonb
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    stored    jsonb := COALESCE(iot.setting('security')::jsonb, '{}');
    defaults  CONSTANT jsonb := '{
        "passwordPolicy": {
            "minimumLength": 6,
            "maximumLength": 72,
            "minimumUppercaseLetters": null,
            "minimumLowercaseLetters": null,
            "minimumDigits": null,
            "minimumSpecialCharacters": null,
            "allowWhitespaces": true,
            "forceUserToResetPasswordIfNotValid": false,
            "passwordExpirationPeriodDays": null,
            "passwordReuseFrequencyDays": null
        },
        "maxFailedLoginAttempts": null,
        "userLockoutNotificationEmail": null,
        "mobileSecretKeyLength": 64,
        "userActivationTokenTtl": 24,
        "passwordResetTokenTtl": 24
    }'::jsonb;
BEGIN
    RETURN defaults || jsonb_strip_nulls(stored)
        || jsonb_build_object('passwordPolicy', (defaults -> 'passwordPolicy')
               || jsonb_strip_nulls(COALESCE(stored -> 'passwordPolicy',
                                             '{}')));
END
$$;


-- An integer of a settings object, between two bounds; NULL if absent.

CREATE OR REPLACE FUNCTION iot.setting_int(o jsonb, name text, low bigint,
    high bigint) RETURNS bigint
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    v  text := o ->> name;
BEGIN
    IF v IS NULL OR v = '' THEN
        RETURN NULL;
    END IF;

    IF v !~ '^-?[0-9]{1,15}$' OR v::bigint NOT BETWEEN low AND high THEN
        PERFORM iot.fail_request(
            format('%s must be an integer from %s to %s', name, low, high));
    END IF;

    RETURN v::bigint;
END
$$;


-- Check and store; keeps only the members it knows.

CREATE OR REPLACE FUNCTION iot.security_settings_save(p iot.principal,
    value jsonb) RETURNS jsonb
LANGUAGE plpgsql
AS $$
DECLARE
    pw      jsonb := COALESCE(NULLIF(value -> 'passwordPolicy', 'null'), '{}');
    result  jsonb;
    low     bigint;
    high    bigint;
BEGIN
    IF jsonb_typeof(value) <> 'object' OR jsonb_typeof(pw) <> 'object' THEN
        PERFORM iot.fail_request('Malformed JSON request body');
    END IF;

    low := COALESCE(iot.setting_int(pw, 'minimumLength', 5, 72), 6);
    high := COALESCE(iot.setting_int(pw, 'maximumLength', 5, 72), 72);

    IF high < low THEN
        PERFORM iot.fail_request(
            'maximumLength must not be less than minimumLength');
    END IF;

    result := jsonb_build_object(
        'passwordPolicy', jsonb_build_object(
            'minimumLength', low,
            'maximumLength', high,
            'minimumUppercaseLetters',
                iot.setting_int(pw, 'minimumUppercaseLetters', 0, high),
            'minimumLowercaseLetters',
                iot.setting_int(pw, 'minimumLowercaseLetters', 0, high),
            'minimumDigits', iot.setting_int(pw, 'minimumDigits', 0, high),
            'minimumSpecialCharacters',
                iot.setting_int(pw, 'minimumSpecialCharacters', 0, high),
            'allowWhitespaces',
                COALESCE((pw ->> 'allowWhitespaces')::boolean, true),
            'forceUserToResetPasswordIfNotValid',
                COALESCE((pw ->> 'forceUserToResetPasswordIfNotValid')
                         ::boolean, false),
            'passwordExpirationPeriodDays',
                iot.setting_int(pw, 'passwordExpirationPeriodDays', 0, 36500),
            'passwordReuseFrequencyDays',
                iot.setting_int(pw, 'passwordReuseFrequencyDays', 0, 36500)),
        'maxFailedLoginAttempts',
            iot.setting_int(value, 'maxFailedLoginAttempts', 0, 1000000),
        'userLockoutNotificationEmail',
            NULLIF(value ->> 'userLockoutNotificationEmail', ''),
        'mobileSecretKeyLength',
            iot.setting_int(value, 'mobileSecretKeyLength', 1, 1024),
        'userActivationTokenTtl',
            iot.setting_int(value, 'userActivationTokenTtl', 1, 24),
        'passwordResetTokenTtl',
            iot.setting_int(value, 'passwordResetTokenTtl', 1, 24));

    IF result ->> 'userLockoutNotificationEmail' IS NOT NULL THEN
        PERFORM iot.email(result ->> 'userLockoutNotificationEmail');
    END IF;

    PERFORM iot.setting_save(p, 'security', result::json);

    RETURN iot.security_settings();
END
$$;


-- What the workers must know, in one object: read at their start and again
-- whenever a setting was changed.

CREATE OR REPLACE FUNCTION iot.settings_core() RETURNS json
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
BEGIN
    RETURN json_build_object(
        'jwt', jsonb_build_object(
                   'generation', 1,
                   'issuer', 'thingsboard.io',
                   'expiration', 9000,
                   'refresh', 604800)
               || jsonb_strip_nulls(COALESCE(iot.setting('jwt')::jsonb, '{}')),
        'security', iot.security_settings(),
        'limits', COALESCE(iot.setting('limits'), '{}'),
        'general', COALESCE(iot.setting('general'), '{}'),
        'cors', (SELECT COALESCE(string_agg(o, ' '), '')
                 FROM json_array_elements_text(
                          iot.setting_value(NULL, 'cors.origins')) AS o));
END
$$;

INSERT INTO iot.definer_function (name, why)
VALUES ('iot.settings_core',
        'the workers read it without a caller')
ON CONFLICT (name) DO UPDATE SET why = excluded.why;
