
--
-- Copyright (C) the ngx_iot authors
--
-- Tenant profiles: what the tenants may use.


-- The configuration with nothing limited; what is not given is taken from it.

CREATE OR REPLACE FUNCTION iot.tenant_profile_defaults() RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    RETURN '{
        "type": "DEFAULT",
        "maxDevices": 0, "maxAssets": 0, "maxCustomers": 0, "maxUsers": 0,
        "maxDashboards": 0, "maxRuleChains": 0, "maxEdges": 0,
        "maxResourcesInBytes": 0, "maxOtaPackagesInBytes": 0,
        "maxResourceSize": 0,
        "transportTenantMsgRateLimit": null,
        "transportTenantTelemetryMsgRateLimit": null,
        "transportTenantTelemetryDataPointsRateLimit": null,
        "transportDeviceMsgRateLimit": null,
        "transportDeviceTelemetryMsgRateLimit": null,
        "transportDeviceTelemetryDataPointsRateLimit": null,
        "transportGatewayMsgRateLimit": null,
        "transportGatewayTelemetryMsgRateLimit": null,
        "transportGatewayTelemetryDataPointsRateLimit": null,
        "transportGatewayDeviceMsgRateLimit": null,
        "transportGatewayDeviceTelemetryMsgRateLimit": null,
        "transportGatewayDeviceTelemetryDataPointsRateLimit": null,
        "tenantServerRestLimitsConfiguration": null,
        "customerServerRestLimitsConfiguration": null,
        "tenantEntityExportRateLimit": null,
        "tenantEntityImportRateLimit": null,
        "tenantNotificationRequestsRateLimit": null,
        "tenantNotificationRequestsPerRuleRateLimit": null,
        "maxTransportMessages": 0, "maxTransportDataPoints": 0,
        "maxREExecutions": 0, "maxJSExecutions": 0, "maxTbelExecutions": 0,
        "maxDPStorageDays": 0, "maxRuleNodeExecutionsPerMessage": 0,
        "maxEmails": 0, "smsEnabled": null, "maxSms": 0,
        "maxCreatedAlarms": 0, "maxDebugModeDurationMinutes": 0,
        "warnThreshold": 0.8,
        "maxWsSessionsPerTenant": 0, "maxWsSessionsPerCustomer": 0,
        "maxWsSessionsPerRegularUser": 0, "maxWsSessionsPerPublicUser": 0,
        "wsMsgQueueLimitPerSession": 0,
        "maxWsSubscriptionsPerTenant": 0, "maxWsSubscriptionsPerCustomer": 0,
        "maxWsSubscriptionsPerRegularUser": 0,
        "maxWsSubscriptionsPerPublicUser": 0,
        "wsUpdatesPerSessionRateLimit": null,
        "defaultStorageTtlDays": 0, "alarmsTtlDays": 0, "rpcTtlDays": 0,
        "queueStatsTtlDays": 0, "ruleEngineExceptionsTtlDays": 0
    }'::jsonb;
END
$$;


CREATE OR REPLACE FUNCTION iot.check_rate(field text, spec text) RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    IF COALESCE(spec, '') <> '' AND NOT iot.is_rate(spec) THEN
        PERFORM iot.fail_request(
            format('Invalid rate limit configuration of ''%s''!', field));
    END IF;
END
$$;


-- Check the data of a profile and complete its configuration.

CREATE OR REPLACE FUNCTION iot.tenant_profile_data(data json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    given   jsonb := COALESCE(NULLIF(data::jsonb, 'null'), '{}');
    conf    jsonb;
    member  record;
BEGIN
    IF jsonb_typeof(given) <> 'object' THEN
        PERFORM iot.fail_request('Tenant profile data is malformed!');
    END IF;

    conf := COALESCE(NULLIF(given -> 'configuration', 'null'), '{}');

    IF jsonb_typeof(conf) <> 'object' THEN
        PERFORM iot.fail_request('Tenant profile data is malformed!');
    END IF;

    FOR member IN SELECT e.key, e.value FROM jsonb_each_text(conf) AS e LOOP

        IF member.key ~ '(RateLimit|RestLimitsConfiguration)$' THEN
            PERFORM iot.check_rate(member.key, member.value);

        ELSIF member.key ~ '^max[A-Z]|TtlDays$' AND member.value IS NOT NULL
        THEN
            IF member.value !~ '^-?[0-9]{1,18}$' THEN
                PERFORM iot.fail_request(
                    format('%s must be an integer!', member.key));
            END IF;

            IF member.value::bigint < 0 THEN
                PERFORM iot.fail_request(
                    format('%s can''t be negative!', member.key));
            END IF;

            conf := jsonb_set(conf, ARRAY[member.key],
                              to_jsonb(member.value::bigint));
        END IF;
    END LOOP;

    RETURN (given || jsonb_build_object(
                'configuration', iot.tenant_profile_defaults() || conf,
                'queueConfiguration', given -> 'queueConfiguration'))::json;
END
$$;


CREATE OR REPLACE FUNCTION iot.tenant_profile_get(p iot.principal, id uuid)
RETURNS iot.tenant_profile
LANGUAGE plpgsql
AS $$
DECLARE
    r  iot.tenant_profile;
BEGIN
    PERFORM iot.need_role(p, 'SYS_ADMIN');

    SELECT * INTO r FROM iot.tenant_profile AS t
    WHERE t.id = tenant_profile_get.id;

    IF r.id IS NULL THEN
        PERFORM iot.fail_missing('Tenant profile', id);
    END IF;

    RETURN r;
END
$$;


CREATE OR REPLACE FUNCTION iot.tenant_profile_default()
RETURNS iot.tenant_profile
LANGUAGE plpgsql
AS $$
DECLARE
    r  iot.tenant_profile;
BEGIN
    SELECT * INTO r FROM iot.tenant_profile AS t WHERE t.is_default;

    IF r.id IS NULL THEN
        PERFORM iot.fail_missing('Tenant profile', NULL);
    END IF;

    RETURN r;
END
$$;


-- r.id NULL: create.  r.version NULL: overwrite whatever is there.

CREATE OR REPLACE FUNCTION iot.tenant_profile_save(p iot.principal,
    r iot.tenant_profile) RETURNS iot.tenant_profile
LANGUAGE plpgsql
AS $$
DECLARE
    old  iot.tenant_profile;
BEGIN
    PERFORM iot.need_role(p, 'SYS_ADMIN');

    -- profiles change rarely, and their names and the default are for all

    PERFORM iot.lock('tenant_profile', NULL);

    IF r.id IS NOT NULL THEN
        SELECT * INTO old FROM iot.tenant_profile AS t WHERE t.id = r.id;

        IF old.id IS NULL THEN
            PERFORM iot.fail_request(
                'Can''t update non existing tenant profile!');
        END IF;

        IF r.version <> old.version THEN
            PERFORM iot.fail_version('Tenant profile');
        END IF;
    END IF;

    IF COALESCE(btrim(r.name), '') = '' THEN
        PERFORM iot.fail_request('Tenant profile name should be specified!');
    END IF;

    r.data := iot.tenant_profile_data(r.data);
    r.cast_strings := (r.data -> 'configuration' ->> 'castStrings')::boolean;

    IF r.is_default AND NOT COALESCE(old.is_default, false)
       AND EXISTS (SELECT FROM iot.tenant_profile AS t WHERE t.is_default)
    THEN
        PERFORM iot.fail_request('Another default tenant profile is present!');
    END IF;

    IF EXISTS (SELECT FROM iot.tenant_profile AS t
               WHERE t.name = r.name AND t.id IS DISTINCT FROM r.id)
    THEN
        PERFORM iot.fail_request(
            'Tenant profile with such name already exists!');
    END IF;

    IF r.id IS NULL THEN
        INSERT INTO iot.tenant_profile (name, description, is_default,
                                        isolated, cast_strings, data)
        VALUES (r.name, r.description, r.is_default, r.isolated,
                r.cast_strings, r.data)
        RETURNING * INTO r;

        PERFORM iot.audit(p, 'TENANT_PROFILE', r.id, r.name, 'ADDED');

    ELSE
        UPDATE iot.tenant_profile AS t
        SET name = r.name,
            description = r.description,
            is_default = r.is_default OR old.is_default,
            isolated = r.isolated,
            cast_strings = r.cast_strings,
            data = r.data,
            version = t.version + 1
        WHERE t.id = r.id
        RETURNING * INTO r;

        PERFORM iot.audit(p, 'TENANT_PROFILE', r.id, r.name, 'UPDATED');
        PERFORM pg_notify('iot', 'tenant_profile ' || r.id);
        PERFORM iot.usage_review(r.id);
    END IF;

    RETURN r;
END
$$;


CREATE OR REPLACE FUNCTION iot.tenant_profile_set_default(p iot.principal,
    id uuid) RETURNS iot.tenant_profile
LANGUAGE plpgsql
AS $$
DECLARE
    r  iot.tenant_profile;
BEGIN
    PERFORM iot.lock('tenant_profile', NULL);

    r := iot.tenant_profile_get(p, id);

    IF NOT r.is_default THEN
        UPDATE iot.tenant_profile AS t
        SET is_default = false, version = t.version + 1
        WHERE t.is_default;

        UPDATE iot.tenant_profile AS t
        SET is_default = true, version = t.version + 1
        WHERE t.id = r.id
        RETURNING * INTO r;

        PERFORM iot.audit(p, 'TENANT_PROFILE', r.id, r.name, 'UPDATED');
    END IF;

    RETURN r;
END
$$;


CREATE OR REPLACE FUNCTION iot.tenant_profile_delete(p iot.principal, id uuid)
RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    r  iot.tenant_profile;
BEGIN
    PERFORM iot.lock('tenant_profile', NULL);

    r := iot.tenant_profile_get(p, id);

    IF r.is_default OR EXISTS (SELECT FROM iot.tenant AS t
                               WHERE t.tenant_profile_id = r.id)
    THEN
        PERFORM iot.fail_request('The tenant profile referenced by the '
                                 'tenants cannot be deleted!');
    END IF;

    DELETE FROM iot.tenant_profile AS t WHERE t.id = r.id;

    PERFORM iot.audit(p, 'TENANT_PROFILE', r.id, r.name, 'DELETED');
    PERFORM pg_notify('iot', 'tenant_profile ' || r.id);
END
$$;


-- The configuration object of a profile; NULL: no such profile.

CREATE OR REPLACE FUNCTION iot.tenant_limits(tenant_profile_id uuid)
RETURNS json
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
BEGIN
    RETURN (SELECT t.data -> 'configuration' FROM iot.tenant_profile AS t
            WHERE t.id = tenant_limits.tenant_profile_id);
END
$$;

INSERT INTO iot.definer_function (name, why)
VALUES ('iot.tenant_limits',
        'the workers read it without a caller')
ON CONFLICT (name) DO UPDATE SET why = excluded.why;


-- The number that the profile of the tenant sets; NULL: unlimited.

CREATE OR REPLACE FUNCTION iot.tenant_cap(tenant uuid, name text)
RETURNS bigint
LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT NULLIF((tp.data -> 'configuration'
                           ->> tenant_cap.name)::bigint, 0)
            FROM iot.tenant AS t
                JOIN iot.tenant_profile AS tp ON tp.id = t.tenant_profile_id
            WHERE t.id = tenant_cap.tenant);
END
$$;


-- There must be room for one more entity of that type.  The lock makes those
-- who create at the same time wait, so that two cannot both be the last one.
-- Nobody waits where nothing is limited.

CREATE OR REPLACE FUNCTION iot.need_room(tenant uuid, entity_type text)
RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    plural  text := CASE entity_type
                    WHEN 'DEVICE' THEN 'Devices'
                    WHEN 'CUSTOMER' THEN 'Customers'
                    WHEN 'USER' THEN 'Users'
                    ELSE initcap(replace(entity_type, '_', ' ')) || 's'
                    END;
    cap     bigint := iot.tenant_cap(tenant, 'max' || plural);
    n       bigint;
BEGIN
    IF cap IS NULL THEN
        RETURN;
    END IF;

    PERFORM iot.lock(entity_type, tenant);

    n := iot.entity_total(tenant, entity_type);

    IF n >= cap THEN
        PERFORM iot.fail(403, 'limit_reached', plural || ' limit reached',
            jsonb_build_object('entityType', entity_type, 'limit', cap));
    END IF;
END
$$;
