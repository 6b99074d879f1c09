
--
-- Copyright (C) the ngx_iot authors
--
-- Device profiles: what the devices of a kind have in common.


-- The complete data of a profile: given members, and the standard ones where
-- they are missing.

CREATE OR REPLACE FUNCTION iot.device_profile_data(data json,
    transport_type text, provision_type text, provision_secret text)
RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    given      jsonb := COALESCE(NULLIF(data::jsonb, 'null'), '{}');
    provision  jsonb;
BEGIN
    IF jsonb_typeof(given) <> 'object' THEN
        PERFORM iot.fail_request('Device profile data is malformed!');
    END IF;

    provision := COALESCE(NULLIF(given -> 'provisionConfiguration', 'null'),
                          '{}');

    IF jsonb_typeof(provision) <> 'object' THEN
        PERFORM iot.fail_request('Device profile data is malformed!');
    END IF;

    RETURN (jsonb_build_object(
                'configuration', '{"type":"DEFAULT"}'::jsonb,
                'transportConfiguration',
                    jsonb_build_object('type', transport_type),
                'alarms', NULL)
            || jsonb_strip_nulls(given)
            || jsonb_build_object('provisionConfiguration',
                   provision || jsonb_build_object(
                       'type', provision_type,
                       'provisionDeviceSecret', provision_secret)))::json;
END
$$;


CREATE OR REPLACE FUNCTION iot.device_profile_get(p iot.principal, id uuid)
RETURNS iot.device_profile
LANGUAGE plpgsql
AS $$
DECLARE
    r  iot.device_profile;
BEGIN
    PERFORM iot.need_role(p, 'TENANT_ADMIN', 'CUSTOMER_USER');

    SELECT * INTO r FROM iot.device_profile AS d
    WHERE d.tenant_id = p.tenant_id AND d.id = device_profile_get.id;

    IF r.id IS NULL THEN
        PERFORM iot.fail_missing('Device profile', id);
    END IF;

    RETURN r;
END
$$;


CREATE OR REPLACE FUNCTION iot.device_profile_default(tenant uuid)
RETURNS iot.device_profile
LANGUAGE plpgsql
AS $$
DECLARE
    r  iot.device_profile;
BEGIN
    SELECT * INTO r FROM iot.device_profile AS d
    WHERE d.tenant_id = tenant AND d.is_default;

    IF r.id IS NULL THEN
        PERFORM iot.fail_missing('Device profile', NULL);
    END IF;

    RETURN r;
END
$$;


-- The profile of that name, made when there is none.

DROP FUNCTION IF EXISTS iot.device_profile_by_name(uuid, text);

CREATE OR REPLACE FUNCTION iot.device_profile_by_name(p iot.principal,
    tenant uuid, name text) RETURNS iot.device_profile
LANGUAGE plpgsql
AS $$
DECLARE
    r    iot.device_profile;
    who  iot.principal := p;
BEGIN
    LOOP
        SELECT * INTO r FROM iot.device_profile AS d
        WHERE d.tenant_id = tenant AND d.name = device_profile_by_name.name;

        EXIT WHEN r.id IS NOT NULL;

        INSERT INTO iot.device_profile (tenant_id, name, data)
        VALUES (tenant, device_profile_by_name.name,
                iot.device_profile_data(NULL, 'DEFAULT', 'DISABLED', NULL))
        ON CONFLICT ON CONSTRAINT device_profile_tenant_id_name_key DO NOTHING
        RETURNING * INTO r;

        IF r.id IS NOT NULL THEN
            IF p.tenant_id IS DISTINCT FROM tenant THEN
                who.tenant_id := tenant;
                who.customer_id := NULL;
                who.user_id := NULL;
            END IF;

            PERFORM iot.audit(who, 'DEVICE_PROFILE', r.id, r.name,
                              'ADDED');
            EXIT;
        END IF;
    END LOOP;

    RETURN r;
END
$$;


CREATE OR REPLACE FUNCTION iot.device_profile_check(r iot.device_profile)
RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    IF COALESCE(btrim(r.name), '') = '' THEN
        PERFORM iot.fail_request('Device profile name should be specified!');
    END IF;

    IF COALESCE(r.type, '') = '' THEN
        PERFORM iot.fail_request('Device profile type should be specified!');
    END IF;

    IF r.type <> 'DEFAULT' THEN
        PERFORM iot.fail_request(
            format('Unknown device profile type ''%s''!', r.type));
    END IF;

    IF COALESCE(r.transport_type, '') = '' THEN
        PERFORM iot.fail_request(
            'Device profile transport type should be specified!');
    END IF;

    IF r.transport_type NOT IN ('DEFAULT', 'MQTT', 'COAP', 'LWM2M', 'SNMP')
    THEN
        PERFORM iot.fail_request(
            format('Unknown transport type ''%s''!', r.transport_type));
    END IF;

    IF r.provision_type NOT IN ('DISABLED', 'ALLOW_CREATE_NEW_DEVICES',
        'CHECK_PRE_PROVISIONED_DEVICES', 'X509_CERTIFICATE_CHAIN')
    THEN
        PERFORM iot.fail_request(
            format('Unknown provision type ''%s''!', r.provision_type));
    END IF;
END
$$;


CREATE OR REPLACE FUNCTION iot.device_profile_save(p iot.principal,
    r iot.device_profile) RETURNS iot.device_profile
LANGUAGE plpgsql
AS $$
DECLARE
    old   iot.device_profile;
    made  iot.device_profile;
    what  text;
BEGIN
    PERFORM iot.need(p, 'WRITE', 'DEVICE_PROFILE', NULL, NULL);

    IF r.id IS NOT NULL THEN
        SELECT * INTO old FROM iot.device_profile AS d
        WHERE d.tenant_id = p.tenant_id AND d.id = r.id
        FOR UPDATE;

        IF old.id IS NULL THEN
            PERFORM iot.fail_request(
                'Can''t update non existing device profile!');
        END IF;

        IF r.version <> old.version THEN
            PERFORM iot.fail_version('Device profile');
        END IF;
    END IF;

    r.provision_type := COALESCE(r.provision_type, 'DISABLED');
    r.provision_key := NULLIF(r.provision_key, '');

    PERFORM iot.device_profile_check(r);

    r.data := iot.device_profile_data(r.data, r.transport_type,
                                      r.provision_type, r.provision_secret);
    r.cast_strings := (r.data -> 'configuration' ->> 'castStrings')::boolean;

    IF r.is_default AND NOT COALESCE(old.is_default, false)
       AND EXISTS (SELECT FROM iot.device_profile AS d
                   WHERE d.tenant_id = p.tenant_id AND d.is_default)
    THEN
        PERFORM iot.fail_request('Another default device profile is present '
                                 'in scope of current tenant!');
    END IF;

    IF old.transport_type <> r.transport_type
       AND EXISTS (SELECT FROM iot.device AS d
                   WHERE d.tenant_id = p.tenant_id AND d.profile_id = r.id)
    THEN
        PERFORM iot.fail_request('Can''t change device profile transport type '
                                 'because devices referenced it!');
    END IF;

    BEGIN
        IF r.id IS NULL THEN
            INSERT INTO iot.device_profile AS d (tenant_id, name, description,
                image, is_default, type, transport_type, provision_type,
                provision_key, provision_secret, cast_strings,
                default_rule_chain_id, default_dashboard_id,
                default_edge_rule_chain_id, default_queue_name, firmware_id,
                software_id, external_id, data)
            VALUES (p.tenant_id, r.name, r.description,
                r.image, r.is_default, r.type, r.transport_type,
                r.provision_type, r.provision_key, r.provision_secret,
                r.cast_strings, r.default_rule_chain_id,
                r.default_dashboard_id, r.default_edge_rule_chain_id,
                r.default_queue_name, r.firmware_id, r.software_id,
                r.external_id, r.data)
            RETURNING * INTO made;

        ELSE
            UPDATE iot.device_profile AS d
            SET name = r.name,
                description = r.description,
                image = r.image,
                is_default = r.is_default OR d.is_default,
                type = r.type,
                transport_type = r.transport_type,
                provision_type = r.provision_type,
                provision_key = r.provision_key,
                provision_secret = r.provision_secret,
                cast_strings = r.cast_strings,
                default_rule_chain_id = r.default_rule_chain_id,
                default_dashboard_id = r.default_dashboard_id,
                default_edge_rule_chain_id = r.default_edge_rule_chain_id,
                default_queue_name = r.default_queue_name,
                firmware_id = r.firmware_id,
                software_id = r.software_id,
                external_id = COALESCE(r.external_id, d.external_id),
                data = r.data,
                version = d.version + 1
            WHERE d.tenant_id = p.tenant_id AND d.id = r.id
            RETURNING * INTO made;
        END IF;

    EXCEPTION
        WHEN unique_violation THEN
            GET STACKED DIAGNOSTICS what = CONSTRAINT_NAME;

            PERFORM iot.fail_request(CASE what
                WHEN 'device_profile_provision_key_key' THEN
                    'Device profile with such provision device key already '
                    'exists!'
                WHEN 'device_profile_default' THEN
                    'Another default device profile is present in scope of '
                    'current tenant!'
                ELSE
                    'Device profile with such name already exists!'
                END);
    END;

    PERFORM iot.audit(p, 'DEVICE_PROFILE', made.id, made.name,
                      CASE WHEN r.id IS NULL THEN 'ADDED'
                      ELSE 'UPDATED' END);

    IF r.id IS NOT NULL THEN
        PERFORM pg_notify('iot', 'profile ' || made.id);
    END IF;

    RETURN made;
END
$$;


CREATE OR REPLACE FUNCTION iot.device_profile_set_default(p iot.principal,
    id uuid) RETURNS iot.device_profile
LANGUAGE plpgsql
AS $$
DECLARE
    r  iot.device_profile;
BEGIN
    PERFORM iot.need(p, 'WRITE', 'DEVICE_PROFILE', NULL, NULL);
    PERFORM iot.lock('device_profile', p.tenant_id);

    r := iot.device_profile_get(p, id);

    IF NOT r.is_default THEN
        UPDATE iot.device_profile AS d
        SET is_default = false, version = d.version + 1
        WHERE d.tenant_id = p.tenant_id AND d.is_default;

        UPDATE iot.device_profile AS d
        SET is_default = true, version = d.version + 1
        WHERE d.tenant_id = p.tenant_id AND d.id = r.id
        RETURNING * INTO r;

        PERFORM iot.audit(p, 'DEVICE_PROFILE', r.id, r.name, 'UPDATED');
    END IF;

    RETURN r;
END
$$;


CREATE OR REPLACE FUNCTION iot.device_profile_delete(p iot.principal, id uuid)
RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    r  iot.device_profile;
BEGIN
    PERFORM iot.need(p, 'DELETE', 'DEVICE_PROFILE', id, NULL);

    r := iot.device_profile_get(p, id);

    IF r.is_default THEN
        PERFORM iot.fail_request(
            'Deletion of Default Device Profile is prohibited!');
    END IF;

    BEGIN
        DELETE FROM iot.device_profile AS d
        WHERE d.tenant_id = p.tenant_id AND d.id = r.id;

    EXCEPTION
        WHEN foreign_key_violation THEN
            PERFORM iot.fail_request('The device profile referenced by the '
                                     'devices cannot be deleted!');
    END;

    PERFORM iot.audit(p, 'DEVICE_PROFILE', r.id, r.name, 'DELETED');
    PERFORM pg_notify('iot', 'profile ' || r.id);
END
$$;
