
--
-- Copyright (C) the ngx_iot authors
--
-- Tenants.


-- Of a foreign tenant nobody learns that it exists.

CREATE OR REPLACE FUNCTION iot.tenant_get(p iot.principal, id uuid)
RETURNS iot.tenant
LANGUAGE plpgsql
AS $$
DECLARE
    r  iot.tenant;
BEGIN
    PERFORM iot.need_role(p, 'SYS_ADMIN', 'TENANT_ADMIN');

    SELECT * INTO r FROM iot.tenant AS t
    WHERE t.id = tenant_get.id
          AND (p.role = 'SYS_ADMIN' OR t.id = p.tenant_id);

    IF r.id IS NULL THEN
        PERFORM iot.fail_missing('Tenant', id);
    END IF;

    RETURN r;
END
$$;


-- What every tenant has from the start.

CREATE OR REPLACE FUNCTION iot.tenant_furnish(tenant uuid) RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    INSERT INTO iot.device_profile (tenant_id, name, description, is_default,
                                    data)
    SELECT tenant, 'default', 'Default device profile', true,
           iot.device_profile_data(NULL, 'DEFAULT', 'DISABLED', NULL)
    WHERE NOT EXISTS (SELECT FROM iot.device_profile AS d
                      WHERE d.tenant_id = tenant AND d.is_default)
    ON CONFLICT ON CONSTRAINT device_profile_tenant_id_name_key
        DO UPDATE SET is_default = true;

    INSERT INTO iot.asset_profile (tenant_id, name, description, is_default)
    SELECT tenant, 'default', 'Default asset profile', true
    WHERE NOT EXISTS (SELECT FROM iot.asset_profile AS a
                      WHERE a.tenant_id = tenant AND a.is_default)
    ON CONFLICT ON CONSTRAINT asset_profile_tenant_id_name_key
        DO UPDATE SET is_default = true;
END
$$;


CREATE OR REPLACE FUNCTION iot.tenant_save(p iot.principal, r iot.tenant)
RETURNS iot.tenant
LANGUAGE plpgsql
AS $$
DECLARE
    old  iot.tenant;
BEGIN
    PERFORM iot.need_role(p, 'SYS_ADMIN');

    IF r.id IS NOT NULL THEN
        SELECT * INTO old FROM iot.tenant AS t WHERE t.id = r.id FOR UPDATE;

        IF old.id IS NULL THEN
            PERFORM iot.fail_request('Can''t update non existing tenant!');
        END IF;

        IF r.version <> old.version THEN
            PERFORM iot.fail_version('Tenant');
        END IF;
    END IF;

    IF COALESCE(btrim(r.title), '') = '' THEN
        PERFORM iot.fail_request('Tenant title should be specified!');
    END IF;

    IF COALESCE(r.email, '') <> '' THEN
        PERFORM iot.email(r.email);
    END IF;

    IF r.tenant_profile_id IS NULL THEN
        r.tenant_profile_id := (iot.tenant_profile_default()).id;

    ELSIF NOT EXISTS (SELECT FROM iot.tenant_profile AS t
                      WHERE t.id = r.tenant_profile_id)
    THEN
        PERFORM iot.fail_request(
            'Tenant is referencing to non-existent tenant profile!');
    END IF;

    IF r.id IS NULL THEN
        INSERT INTO iot.tenant (title, tenant_profile_id, country, state, city,
                                address, address2, zip, phone, email,
                                additional_info)
        VALUES (r.title, r.tenant_profile_id, r.country, r.state, r.city,
                r.address, r.address2, r.zip, r.phone, r.email,
                r.additional_info)
        RETURNING * INTO r;

        PERFORM iot.tenant_furnish(r.id);
        PERFORM iot.audit(p, 'TENANT', r.id, r.title, 'ADDED');

    ELSE
        UPDATE iot.tenant AS t
        SET title = r.title,
            tenant_profile_id = r.tenant_profile_id,
            country = r.country,
            state = r.state,
            city = r.city,
            address = r.address,
            address2 = r.address2,
            zip = r.zip,
            phone = r.phone,
            email = r.email,
            additional_info = r.additional_info,
            version = t.version + 1
        WHERE t.id = r.id
        RETURNING * INTO r;

        PERFORM iot.audit(p, 'TENANT', r.id, r.title, 'UPDATED');

        IF r.tenant_profile_id <> old.tenant_profile_id THEN
            PERFORM pg_notify('iot', 'tenant ' || r.id);
        END IF;
    END IF;

    RETURN r;
END
$$;


-- Everything of the tenant goes; what does not go at once goes soon, see
-- iot.tenant_sweep(), and nobody sees it any more.

CREATE OR REPLACE FUNCTION iot.tenant_delete(p iot.principal, id uuid)
RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    r  iot.tenant;
BEGIN
    PERFORM iot.need_role(p, 'SYS_ADMIN');

    r := iot.tenant_get(p, id);

    PERFORM iot.tenant_go(r.id);
    PERFORM iot.audit(p, 'TENANT', r.id, r.title, 'DELETED');
    PERFORM iot.tenant_sweep(r.id, clock_timestamp() + interval '300 ms',
                             200);
END
$$;


DROP FUNCTION IF EXISTS iot.tenant_forget_audit(uuid);
DELETE FROM iot.definer_function AS f
WHERE f.name = 'iot.tenant_forget_audit';
