
--
-- Copyright (C) the ngx_iot authors
--
-- What a new server needs.  Called by the owner from the command line; doing
-- it again completes what is missing and changes nothing that is there.


CREATE OR REPLACE FUNCTION iot.init_principal() RETURNS iot.principal
LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN ROW('SYS_ADMIN', NULL, NULL, NULL, NULL, NULL, false, 'setup',
               NULL)::iot.principal;
END
$$;


-- A user with a password, if there is none of that address.

CREATE OR REPLACE FUNCTION iot.init_user(tenant uuid, customer uuid,
    authority text, email text, hash text) RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    made  uuid;
BEGIN
    INSERT INTO iot.users AS u (tenant_id, customer_id, authority, email)
    VALUES (tenant, customer, init_user.authority, iot.email(email))
    ON CONFLICT ON CONSTRAINT users_email_key DO NOTHING
    RETURNING u.id INTO made;

    IF made IS NULL THEN
        RETURN;
    END IF;

    INSERT INTO iot.user_credentials (user_id, tenant_id, enabled,
                                      password_hash, password_time)
    VALUES (made, tenant, true, hash, iot.now_ms());
END
$$;


CREATE OR REPLACE FUNCTION iot.init_system(sys_email text, sys_hash text)
RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(iot.init_principal());
    PERFORM iot.lock('init', NULL);

    IF NOT EXISTS (SELECT FROM iot.tenant_profile AS t WHERE t.is_default) THEN
        INSERT INTO iot.tenant_profile (name, description, is_default, data)
        VALUES ('Default', 'Default tenant profile', true,
                iot.tenant_profile_data(NULL))
        ON CONFLICT ON CONSTRAINT tenant_profile_name_key
            DO UPDATE SET is_default = true;
    END IF;

    IF sys_email IS NOT NULL THEN
        PERFORM iot.init_user(NULL, NULL, 'SYS_ADMIN', sys_email, sys_hash);
    END IF;

    INSERT INTO iot.setting (name, value)
    VALUES ('jwt', '{"generation":1,"issuer":"thingsboard.io",'
                   '"expiration":9000,"refresh":604800}'),
           ('general', '{"baseUrl":"http://localhost:8080",'
                       '"prohibitDifferentUrl":false}')
    ON CONFLICT ON CONSTRAINT setting_tenant_id_name_key DO NOTHING;
END
$$;


CREATE OR REPLACE FUNCTION iot.init_demo(tenant_title text, tenant_email text,
    tenant_hash text, customer_title text, customer_email text,
    customer_hash text, device_name text, device_token text) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    p         iot.principal := iot.init_principal();
    tenant    iot.tenant;
    customer  iot.customer;
    device    iot.device;
    c         iot.device_credentials;
BEGIN
    PERFORM iot.init_system(NULL, NULL);

    SELECT * INTO tenant FROM iot.tenant AS t
    WHERE t.title = tenant_title ORDER BY t.id LIMIT 1;

    IF tenant.id IS NULL THEN
        tenant.title := tenant_title;
        tenant := iot.tenant_save(p, tenant);
    END IF;

    PERFORM iot.init_user(tenant.id, NULL, 'TENANT_ADMIN', tenant_email,
                          tenant_hash);

    p.role := 'TENANT_ADMIN';
    p.tenant_id := tenant.id;
    PERFORM iot.enter(p);

    SELECT * INTO customer FROM iot.customer AS t
    WHERE t.tenant_id = tenant.id AND t.title = customer_title;

    IF customer.id IS NULL THEN
        customer.title := customer_title;
        customer := iot.customer_save(p, customer);
    END IF;

    PERFORM iot.init_user(tenant.id, customer.id, 'CUSTOMER_USER',
                          customer_email, customer_hash);

    SELECT * INTO device FROM iot.device AS t
    WHERE t.tenant_id = tenant.id AND t.name = device_name;

    IF device.id IS NULL THEN
        device.name := device_name;
        device.customer_id := customer.id;
        c.type := 'ACCESS_TOKEN';
        c.credentials_id := device_token;
        device := iot.device_save(p, device, NULL, c);
    END IF;

    RETURN json_build_object('tenantId', tenant.id,
                             'customerId', customer.id,
                             'deviceId', device.id);
END
$$;

REVOKE EXECUTE ON FUNCTION
    iot.init_system(text, text),
    iot.init_demo(text, text, text, text, text, text, text, text),
    iot.init_user(uuid, uuid, text, text, text)
    FROM PUBLIC;
