
--
-- Copyright (C) the ngx_iot authors
--
-- The accounts and devices that everybody knows from a fresh ThingsBoard, for
-- trying out and for tests of clients.  Called by the owner from the command
-- line, and only if asked for; doing it again completes what is missing.


CREATE OR REPLACE FUNCTION iot.demo_device(p iot.principal, customer text,
    name text, type text, token text) RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    d  iot.device;
    c  iot.device_credentials;
BEGIN
    IF EXISTS (SELECT FROM iot.device AS t
               WHERE t.tenant_id = p.tenant_id
                     AND t.name = demo_device.name)
       OR EXISTS (SELECT FROM iot.device_credentials AS t
                  WHERE t.credentials_id = token)
    THEN
        RETURN;
    END IF;

    d.name := demo_device.name;
    d.customer_id := (SELECT t.id FROM iot.customer AS t
                      WHERE t.tenant_id = p.tenant_id
                            AND t.title = demo_device.customer);
    c.type := 'ACCESS_TOKEN';
    c.credentials_id := token;

    PERFORM iot.device_save(p, d, demo_device.type, c);
END
$$;


-- domain: of the e-mail addresses.  The hashes are of the passwords sysadmin,
-- tenant and customer.

CREATE OR REPLACE FUNCTION iot.init_demo_known(domain text, sys_hash text,
    tenant_hash text, customer_hash text) RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    p       iot.principal := iot.init_principal();
    tenant  iot.tenant;
    c       iot.customer;
    who     text;
BEGIN
    PERFORM iot.init_system('sysadmin@' || domain, sys_hash);

    SELECT * INTO tenant FROM iot.tenant AS t
    WHERE t.title = 'Tenant' ORDER BY t.id LIMIT 1;

    IF tenant.id IS NULL THEN
        tenant.title := 'Tenant';
        tenant := iot.tenant_save(p, tenant);
    END IF;

    PERFORM iot.init_user(tenant.id, NULL, 'TENANT_ADMIN',
                          'tenant@' || domain, tenant_hash);

    p.role := 'TENANT_ADMIN';
    p.tenant_id := tenant.id;
    PERFORM iot.enter(p);

    FOREACH who IN ARRAY '{A,B,C}'::text[] LOOP
        SELECT * INTO c FROM iot.customer AS t
        WHERE t.tenant_id = tenant.id AND t.title = 'Customer ' || who;

        IF c.id IS NULL THEN
            c.title := 'Customer ' || who;
            c := iot.customer_save(p, c);
        END IF;

        IF who = 'A' THEN
            PERFORM iot.init_user(tenant.id, c.id, 'CUSTOMER_USER',
                                  'customer@' || domain, customer_hash);
        END IF;

        PERFORM iot.init_user(tenant.id, c.id, 'CUSTOMER_USER',
                              'customer' || who || '@' || domain,
                              customer_hash);
    END LOOP;

    PERFORM iot.demo_device(p, v.customer, v.name, v.type, v.token)
    FROM (VALUES
        ('Customer A', 'Test Device A1', 'default', 'A1_TEST_TOKEN'),
        ('Customer A', 'Test Device A2', 'default', 'A2_TEST_TOKEN'),
        ('Customer A', 'Test Device A3', 'default', 'A3_TEST_TOKEN'),
        ('Customer B', 'Test Device B1', 'default', 'B1_TEST_TOKEN'),
        ('Customer C', 'Test Device C1', 'default', 'C1_TEST_TOKEN'),
        (NULL, 'DHT11 Demo Device', 'default', 'DHT11_DEMO_TOKEN'),
        (NULL, 'Raspberry Pi Demo Device', 'default',
         'RASPBERRY_PI_DEMO_TOKEN'),
        (NULL, 'Thermostat T1', 'thermostat', 'T1_TEST_TOKEN'),
        (NULL, 'Thermostat T2', 'thermostat', 'T2_TEST_TOKEN'))
        AS v (customer, name, type, token);
END
$$;

REVOKE EXECUTE ON FUNCTION
    iot.init_demo_known(text, text, text, text)
    FROM PUBLIC;
