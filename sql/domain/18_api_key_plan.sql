
--
-- Copyright (C) the ngx_iot authors
--
-- Usage plans of API keys.  They are settings, of the server or of a tenant:
-- the plans by their names, the plan of every key that has none of its own,
-- and the keys that have one.


SELECT iot.setting_define('apiKeys.plans', 'object', '{}', NULL, 'tenant',
    true, false,
    'Usage plans by their names: {"free":{"rate":"5:1,100:60","quota":10000,'
    '"period":"day"}}.  rate or quota may be missing; period is hour, day,'
    ' week or month (of 30 days).');
SELECT iot.setting_define('apiKeys.plan', 'string', NULL, '{"maxLength":50}',
    'tenant', true, false,
    'The plan of the API keys that have none of their own.');
SELECT iot.setting_define('apiKeys.assigned', 'object', '{}', NULL, 'tenant',
    true, false,
    'API keys with a plan of their own: the name of a plan by the id of the'
    ' key.');


-- Both parts of a plan as one rate; NULL: it is malformed.

CREATE OR REPLACE FUNCTION iot.api_key_plan_rate(plan json) RETURNS text
LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
    result  text := COALESCE(plan ->> 'rate', '');
    quota   text := plan ->> 'quota';
    length  integer;
BEGIN
    length := CASE COALESCE(plan ->> 'period', 'day')
              WHEN 'hour' THEN 3600
              WHEN 'day' THEN 86400
              WHEN 'week' THEN 604800
              WHEN 'month' THEN 2592000
              END;

    IF length IS NULL THEN
        RETURN NULL;
    END IF;

    IF quota IS NOT NULL THEN
        result := result || CASE result WHEN '' THEN '' ELSE ',' END
                  || quota || ':' || length;
    END IF;

    IF result <> '' AND NOT iot.is_rate(result) THEN
        RETURN NULL;
    END IF;

    RETURN result;
END
$$;


-- What a key may do.  A plan that is not there, or no more, allows little:
-- somebody meant to limit that key.

CREATE OR REPLACE FUNCTION iot.api_key_plan(tenant uuid, key uuid)
RETURNS text
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    plan  text := COALESCE(iot.setting_value(tenant, 'apiKeys.assigned')
                           ->> key::text,
                           iot.setting_of(tenant, 'apiKeys.plan'));
BEGIN
    IF plan IS NULL THEN
        RETURN '';
    END IF;

    RETURN COALESCE(iot.api_key_plan_rate(
                        iot.setting_value(tenant, 'apiKeys.plans') -> plan),
                    '1:1');
END
$$;


-- Do the plans, and what names them, fit together?

CREATE OR REPLACE FUNCTION iot.api_key_plan_rules(tenant uuid) RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    plans  json := iot.setting_value(tenant, 'apiKeys.plans');
    r      record;
BEGIN
    FOR r IN SELECT e.key, e.value FROM json_each(plans) AS e LOOP

        IF json_typeof(r.value) <> 'object'
           OR iot.api_key_plan_rate(r.value) IS NULL
           OR EXISTS (SELECT FROM json_object_keys(r.value) AS k
                      WHERE k NOT IN ('rate', 'quota', 'period'))
        THEN
            PERFORM iot.fail_request(
                format('Plan ''%s'' is malformed!', left(r.key, 50)));
        END IF;
    END LOOP;

    FOR r IN SELECT iot.setting_of(tenant, 'apiKeys.plan') AS plan
             UNION
             SELECT e.value
             FROM json_each_text(
                      iot.setting_value(tenant, 'apiKeys.assigned')) AS e
    LOOP
        IF r.plan IS NOT NULL AND plans -> r.plan IS NULL THEN
            PERFORM iot.fail_request(
                format('There is no plan ''%s''!', left(r.plan, 50)));
        END IF;
    END LOOP;
END
$$;
