
--
-- Copyright (C) the ngx_iot authors
--
-- Devices.


-- The device, if the caller may do the operation, see iot.may().

CREATE OR REPLACE FUNCTION iot.device_get(p iot.principal, id uuid,
    operation text DEFAULT 'READ') RETURNS iot.device
LANGUAGE plpgsql
AS $$
DECLARE
    r  iot.device;
BEGIN
    PERFORM iot.need_role(p, 'TENANT_ADMIN', 'CUSTOMER_USER');

    SELECT * INTO r FROM iot.device AS d
    WHERE d.tenant_id = p.tenant_id AND d.id = device_get.id;

    IF r.id IS NULL THEN
        PERFORM iot.fail_missing('Device', id);
    END IF;

    PERFORM iot.need(p, operation, 'DEVICE', r.id, r.customer_id);

    RETURN r;
END
$$;


-- The profile a device gets: by id, else by the name given as its type, else
-- the default one.

DROP FUNCTION IF EXISTS iot.device_choose_profile(uuid, uuid, text);

CREATE OR REPLACE FUNCTION iot.device_choose_profile(p iot.principal,
    profile_id uuid, type text) RETURNS uuid
LANGUAGE plpgsql
AS $$
BEGIN
    IF profile_id IS NOT NULL THEN
        IF NOT EXISTS (SELECT FROM iot.device_profile AS d
                       WHERE d.tenant_id = p.tenant_id
                             AND d.id = device_choose_profile.profile_id)
        THEN
            PERFORM iot.fail_request(
                'Device is referencing to non existing device profile!');
        END IF;

        RETURN profile_id;
    END IF;

    IF COALESCE(btrim(type), '') <> '' THEN
        RETURN (iot.device_profile_by_name(p, p.tenant_id, type)).id;
    END IF;

    RETURN (iot.device_profile_default(p.tenant_id)).id;
END
$$;


-- Make a device and its credentials.  token: of type ACCESS_TOKEN; NULL makes
-- a random one.  conflict etc. as for customers.

CREATE OR REPLACE FUNCTION iot.device_create(p iot.principal, r iot.device,
    credentials iot.device_credentials, conflict text DEFAULT 'FAIL',
    separator text DEFAULT '_', strategy text DEFAULT 'RANDOM')
RETURNS iot.device
LANGUAGE plpgsql
AS $$
DECLARE
    made   iot.device;
    title  text := r.name;
BEGIN
    PERFORM iot.need_room(r.tenant_id, 'DEVICE');

    FOR attempt IN 1 .. 1000 LOOP
        INSERT INTO iot.device AS d (tenant_id, customer_id, profile_id, name,
            label, is_gateway, data, firmware_id, software_id, additional_info,
            external_id)
        VALUES (r.tenant_id, r.customer_id, r.profile_id, title,
            r.label, r.is_gateway, r.data, r.firmware_id, r.software_id,
            r.additional_info, r.external_id)
        ON CONFLICT ON CONSTRAINT device_tenant_id_name_key DO NOTHING
        RETURNING * INTO made;

        EXIT WHEN made.id IS NOT NULL OR conflict <> 'UNIQUIFY';

        title := r.name || separator || iot.unique_suffix(attempt, strategy);
    END LOOP;

    IF made.id IS NULL THEN
        PERFORM iot.fail_request('Device with such name already exists!');
    END IF;

    IF credentials.type IS NULL THEN
        credentials.type := 'ACCESS_TOKEN';
    END IF;

    IF credentials.type = 'ACCESS_TOKEN'
       AND COALESCE(credentials.credentials_id, '') = ''
    THEN
        credentials.credentials_id := iot.random_text(20);
    END IF;

    credentials.tenant_id := made.tenant_id;
    credentials.device_id := made.id;

    PERFORM iot.credentials_insert(credentials);
    PERFORM iot.audit(p, 'DEVICE', made.id, made.name, 'ADDED',
                      customer => made.customer_id);

    RETURN made;
END
$$;


-- r.id NULL: create, see above; r.profile_id or type choose the profile.

CREATE OR REPLACE FUNCTION iot.device_save(p iot.principal, r iot.device,
    type text, credentials iot.device_credentials DEFAULT NULL,
    conflict text DEFAULT 'FAIL', separator text DEFAULT '_',
    strategy text DEFAULT 'RANDOM') RETURNS iot.device
LANGUAGE plpgsql
AS $$
DECLARE
    old  iot.device;
BEGIN
    IF r.id IS NULL THEN
        IF p.role = 'CUSTOMER_USER' THEN
            r.customer_id := COALESCE(r.customer_id, p.customer_id);
        END IF;

        PERFORM iot.need(p, 'CREATE', 'DEVICE', NULL, r.customer_id);

    ELSE
        SELECT * INTO old FROM iot.device AS d
        WHERE d.tenant_id = p.tenant_id AND d.id = r.id
        FOR UPDATE;

        IF old.id IS NULL THEN
            PERFORM iot.fail_request('Can''t update non existing device!');
        END IF;

        PERFORM iot.device_get(p, r.id, 'WRITE');

        IF r.version <> old.version THEN
            PERFORM iot.fail_version('Device');
        END IF;
    END IF;

    IF COALESCE(btrim(r.name), '') = '' THEN
        PERFORM iot.fail_request('Device name should be specified!');
    END IF;

    IF r.customer_id IS NOT NULL THEN
        PERFORM iot.check_customer(p.tenant_id, r.customer_id,
            'Can''t assign device to non-existent customer!',
            'Can''t assign device to customer from different tenant!');
    END IF;

    IF p.role = 'CUSTOMER_USER' AND old.id IS NOT NULL
       AND r.customer_id IS DISTINCT FROM old.customer_id
    THEN
        PERFORM iot.need(p, 'CHANGE_OWNER', 'DEVICE', old.id, old.customer_id),
                iot.need(p, 'CREATE', 'DEVICE', NULL, r.customer_id);
    END IF;

    r.tenant_id := p.tenant_id;
    r.is_gateway := COALESCE((r.additional_info ->> 'gateway') = 'true',
                             false);
    r.profile_id := iot.device_choose_profile(p, r.profile_id, type);

    IF r.id IS NULL THEN
        RETURN iot.device_create(p, r, credentials, conflict, separator,
                                 strategy);
    END IF;

    RETURN iot.device_update(p, old, r);
END
$$;


CREATE OR REPLACE FUNCTION iot.device_update(p iot.principal, old iot.device,
    r iot.device) RETURNS iot.device
LANGUAGE plpgsql
AS $$
BEGIN
    BEGIN
        UPDATE iot.device AS d
        SET customer_id = r.customer_id,
            profile_id = r.profile_id,
            name = r.name,
            label = r.label,
            is_gateway = r.is_gateway,
            data = r.data,
            firmware_id = r.firmware_id,
            software_id = r.software_id,
            additional_info = r.additional_info,
            external_id = COALESCE(r.external_id, d.external_id),
            version = d.version + 1
        WHERE d.tenant_id = old.tenant_id AND d.id = old.id
        RETURNING * INTO r;

    EXCEPTION
        WHEN unique_violation THEN
            PERFORM iot.fail_request('Device with such name already exists!');
    END;

    PERFORM iot.audit(p, 'DEVICE', r.id, r.name, 'UPDATED',
                      customer => r.customer_id);

    -- what the workers keep of a device

    IF (r.customer_id, r.profile_id, r.name, r.is_gateway) IS DISTINCT FROM
       (old.customer_id, old.profile_id, old.name, old.is_gateway)
    THEN
        PERFORM pg_notify('iot', 'device ' || r.id);
    END IF;

    RETURN r;
END
$$;


-- Give the device to a customer, or to nobody (NULL).

CREATE OR REPLACE FUNCTION iot.device_assign(p iot.principal, id uuid,
    customer iot.customer) RETURNS iot.device
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.assign(p, 'DEVICE', id, customer.id);

    RETURN iot.device_get(p, id);
END
$$;


CREATE OR REPLACE FUNCTION iot.device_delete(p iot.principal, id uuid)
RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    r  iot.device;
BEGIN
    r := iot.device_get(p, id, 'DELETE');

    PERFORM iot.view_none(r.tenant_id, 'DEVICE', r.id,
                          'Can''t delete device that has entity views!');

    DELETE FROM iot.device AS d
    WHERE d.tenant_id = r.tenant_id AND d.id = r.id;

    PERFORM iot.forget_entity(r.nr);
    PERFORM iot.audit(p, 'DEVICE', r.id, r.name, 'DELETED',
                      customer => r.customer_id);
    PERFORM pg_notify('iot', 'device ' || r.id);
END
$$;


-- Hand a device over to another tenant, with its credentials, attributes and
-- telemetry.  It gets the profile of the same name there, made if missing.

CREATE OR REPLACE FUNCTION iot.device_move(p iot.principal, id uuid,
    tenant uuid) RETURNS iot.device
LANGUAGE plpgsql SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
DECLARE
    r        iot.device;
    profile  text;
    target   iot.principal := p;
BEGIN
    r := iot.device_get(p, id, 'ASSIGN_TO_TENANT');

    IF tenant IS NULL OR NOT iot.tenant_alive(tenant) THEN
        PERFORM iot.fail_missing('Tenant', tenant);
    END IF;

    IF tenant = r.tenant_id THEN
        RETURN r;
    END IF;

    PERFORM iot.view_none(r.tenant_id, 'DEVICE', r.id, 'Can''t assign device '
                          'that has entity views to another tenant!');
    PERFORM iot.need_room(tenant, 'DEVICE');

    DELETE FROM iot.relation AS x
    WHERE x.tenant_id = r.tenant_id AND r.id IN (x.from_id, x.to_id);

    SELECT d.name INTO profile FROM iot.device_profile AS d
    WHERE d.tenant_id = r.tenant_id AND d.id = r.profile_id;

    BEGIN
        UPDATE iot.device AS d
        SET tenant_id = tenant,
            customer_id = NULL,
            profile_id = (iot.device_profile_by_name(p, tenant, profile)).id,
            version = d.version + 1
        WHERE d.tenant_id = r.tenant_id AND d.id = r.id
        RETURNING * INTO r;

    EXCEPTION
        WHEN unique_violation THEN
            PERFORM iot.fail_request('Device with such name already exists!');
    END;

    target.tenant_id := tenant;
    target.customer_id := NULL;
    target.user_id := NULL;

    PERFORM iot.audit(p, 'DEVICE', r.id, r.name, 'ASSIGNED_TO_TENANT');
    PERFORM iot.audit(target, 'DEVICE', r.id, r.name, 'ASSIGNED_FROM_TENANT');
    PERFORM pg_notify('iot', 'device ' || r.id);

    RETURN r;
END
$$;

INSERT INTO iot.definer_function (name, why)
VALUES ('iot.device_move',
        'changes the tenant of a row')
ON CONFLICT (name) DO UPDATE SET why = excluded.why;


-- The device of an access token, with what ingest must know about it.

CREATE OR REPLACE FUNCTION iot.device_by_token(token text)
RETURNS TABLE (device_id uuid, nr integer, tenant_id uuid, customer_id uuid,
    profile_id uuid, name text, gateway boolean, cast_strings boolean,
    enabled boolean, tenant_profile_id uuid)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
BEGIN
    RETURN QUERY
        SELECT d.id, d.nr, d.tenant_id, d.customer_id, d.profile_id, d.name,
               d.is_gateway, COALESCE(dp.cast_strings, tp.cast_strings, true),
               d.enabled, t.tenant_profile_id
        FROM iot.device_credentials AS c
            JOIN iot.device AS d
                ON d.tenant_id = c.tenant_id AND d.id = c.device_id
            JOIN iot.device_profile AS dp
                ON dp.tenant_id = d.tenant_id AND dp.id = d.profile_id
            JOIN iot.tenant AS t ON t.id = d.tenant_id
            JOIN iot.tenant_profile AS tp ON tp.id = t.tenant_profile_id
        WHERE c.credentials_id = token AND c.type = 'ACCESS_TOKEN'
              AND t.gone_time IS NULL;
END
$$;

INSERT INTO iot.definer_function (name, why)
VALUES ('iot.device_by_token',
        'asked by the workers before there is a caller')
ON CONFLICT (name) DO UPDATE SET why = excluded.why;


-- Is the device in touch?  Its state is the server attribute "active".

CREATE OR REPLACE FUNCTION iot.device_active(nr integer) RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
BEGIN
    RETURN COALESCE((SELECT a.b FROM iot.attribute AS a
                     WHERE a.entity = device_active.nr AND a.scope = 3
                           AND a.key = (SELECT k.id FROM iot.key AS k
                                        WHERE k.name = 'active')), false);
END
$$;

INSERT INTO iot.definer_function (name, why)
VALUES ('iot.device_active', 'reads an attribute by a resolved number')
ON CONFLICT (name) DO UPDATE SET why = excluded.why;
