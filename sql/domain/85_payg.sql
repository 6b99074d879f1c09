
--
-- Copyright (C) the ngx_iot authors
--
-- Pay-as-you-go for operators: what credit devices have, and what a tenant
-- needs to begin.


-- The devices of a tenant that have a secret.

CREATE OR REPLACE FUNCTION iot.payg_devices(tenant uuid)
RETURNS TABLE (nr integer)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    keys  integer[] := ARRAY(SELECT k.id FROM iot.key k
                              WHERE k.name IN ('pyg_pts', 'device_secret'));
BEGIN
    RETURN QUERY
    SELECT d.nr
      FROM iot.device d
     WHERE d.tenant_id = tenant
           AND EXISTS (SELECT FROM iot.attribute a
                        WHERE a.entity = d.nr AND a.scope = 3
                              AND a.key = ANY (keys));
END
$$;


-- Hours of a unit of credit; NULL: it is no time.

CREATE OR REPLACE FUNCTION iot.payg_unit(unit text) RETURNS numeric
LANGUAGE sql IMMUTABLE
AS $$
    SELECT CASE unit WHEN 's' THEN 1::numeric / 3600 WHEN 'm' THEN 1.0 / 60
           WHEN 'h' THEN 1 WHEN 'd' THEN 24 WHEN 'M' THEN 720
           WHEN 'Y' THEN 8760 END
$$;


-- What a device has told of its credit, under any of its names; of several
-- the newest.  The unit is days unless it says otherwise.

CREATE OR REPLACE FUNCTION iot.payg_credit(entity_nr integer,
    OUT remaining numeric, OUT remaining_ts bigint, OUT unit text,
    OUT hours numeric, OUT status bigint, OUT fault bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
DECLARE
    v  jsonb;
BEGIN
    SELECT jsonb_object_agg(x.alias, x.value) INTO v
      FROM (SELECT DISTINCT ON (y.alias) y.alias,
                   jsonb_build_array(y.value, y.ts) AS value
              FROM (SELECT regexp_replace(lower(k.name),
                               '^(pyg|pc|prd|dcfg|prc|ccfg|advt)_', '')
                               AS alias,
                           COALESCE(l.s, l.l::text, l.d::text) AS value, l.ts
                      FROM iot.entity_key ek
                           JOIN iot.key k ON k.id = ek.key
                           CROSS JOIN LATERAL iot.latest_of(ek) l
                     WHERE ek.entity = entity_nr
                           AND lower(k.name) IN ('pyg_re', 'pc_re', 'advt_cr',
                               'advt_pst', 'advt_ft', 'pc_pu')
                     UNION ALL
                    SELECT regexp_replace(lower(k.name),
                               '^(pyg|pc|prd|dcfg|prc|ccfg|advt)_', ''),
                           COALESCE(a.s, a.l::text, a.d::text), a.updated_at
                      FROM iot.attribute a
                           JOIN iot.key k ON k.id = a.key
                     WHERE a.entity = entity_nr
                           AND lower(k.name) IN ('pyg_re', 'pc_re', 'prd_pu',
                               'dcfg_pu', 'pc_pu', 'prd_pst', 'dcfg_pst',
                               'prc_pst', 'ccfg_pst')) y
             WHERE y.value IS NOT NULL
             ORDER BY y.alias, y.ts DESC) x;

    -- an advertisement may be newer than what the device has reported

    IF v -> 'cr' IS NOT NULL
       AND (v -> 're' IS NULL
            OR (v #>> '{cr,1}')::bigint > (v #>> '{re,1}')::bigint)
    THEN
        v := v || jsonb_build_object('re', v -> 'cr');
    END IF;

    IF v #>> '{re,0}' ~ '^-?[0-9]{1,18}([.][0-9]{1,9})?$' THEN
        remaining := (v #>> '{re,0}')::numeric;
        remaining_ts := (v #>> '{re,1}')::bigint;
        unit := COALESCE(v #>> '{pu,0}', 'd');
        hours := round(remaining * iot.payg_unit(unit), 3);
    END IF;

    status := iot.keycode_whole(v #>> '{pst,0}');
    fault := iot.keycode_whole(v #>> '{ft,0}');
END
$$;


-- A profile that lets gateways and devices provision themselves.

CREATE OR REPLACE FUNCTION iot.airlink_profile(p iot.principal, name text,
    about text) RETURNS iot.device_profile
LANGUAGE plpgsql
AS $$
DECLARE
    r  iot.device_profile;
BEGIN
    SELECT * INTO r FROM iot.device_profile AS d
     WHERE d.tenant_id = p.tenant_id AND d.name = airlink_profile.name;

    IF r.id IS NOT NULL THEN
        RETURN r;
    END IF;

    r.name := airlink_profile.name;
    r.description := about;
    r.type := 'DEFAULT';
    r.transport_type := 'DEFAULT';
    r.is_default := false;
    r.provision_type := 'ALLOW_CREATE_NEW_DEVICES';
    r.provision_key := iot.random_text(20);
    r.provision_secret := iot.random_text(20);

    RETURN iot.device_profile_save(p, r);
END
$$;


-- A role with a group of users that has it.

CREATE OR REPLACE FUNCTION iot.airlink_role(p iot.principal, name text,
    permissions jsonb, group_name text, OUT role_id uuid, OUT group_id uuid)
LANGUAGE plpgsql
AS $$
DECLARE
    r      iot.role;
    g      iot.entity_group;
    given  iot.group_permission;
BEGIN
    SELECT t.* INTO r FROM iot.role AS t
     WHERE t.tenant_id = p.tenant_id AND t.customer_id IS NULL
           AND t.name = airlink_role.name;

    IF r.id IS NULL THEN
        r.name := airlink_role.name;
        r.type := 'GENERIC';
        r.permissions := airlink_role.permissions;
        r := iot.role_save(p, r);
    END IF;

    SELECT t.* INTO g FROM iot.entity_group AS t
     WHERE t.tenant_id = p.tenant_id AND t.customer_id IS NULL
           AND t.type = 'USER' AND t.name = group_name;

    IF g.id IS NULL THEN
        g.type := 'USER';
        g.name := group_name;
        g := iot.group_save(p, g);

        IF r.type = 'GENERIC' THEN
            given.user_group_id := g.id;
            given.role_id := r.id;
            PERFORM iot.permission_save(p, given);
        END IF;
    END IF;

    role_id := r.id;
    group_id := g.id;
END
$$;


-- Everything that AirLink needs of a tenant; what there is already stays.

CREATE OR REPLACE FUNCTION iot.airlink_setup(p iot.principal,
    OUT devices iot.device_profile, OUT gateways iot.device_profile,
    OUT roles json)
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.need_role(p, 'TENANT_ADMIN');

    devices := iot.airlink_profile(p, 'AirLink Devices',
        'Pay-as-you-go devices, provisioned by gateways');
    gateways := iot.airlink_profile(p, 'Gateway Phones',
        'Phones and gateways that carry the data of devices');

    SELECT json_object_agg(v.name, json_build_object('roleId', x.role_id,
                                                     'groupId', x.group_id))
      INTO roles
      FROM (VALUES
            ('Tenant Admin', '{"ALL":["ALL"]}', 'Tenant Admins'),
            ('Technician',
             '{"DEVICE":["CREATE","READ","WRITE","RPC_CALL",'
             '"READ_CREDENTIALS","WRITE_CREDENTIALS","READ_ATTRIBUTES",'
             '"WRITE_ATTRIBUTES","READ_TELEMETRY","WRITE_TELEMETRY",'
             '"CLAIM_DEVICES","CHANGE_OWNER","PAYG_TOKEN"],'
             '"CUSTOMER":["READ"]}', 'Technicians'),
            ('Token Vendor', '{"DEVICE":["PAYG_TOKEN"]}', 'Token Vendors'))
           AS v (name, permissions, group_name)
           CROSS JOIN LATERAL iot.airlink_role(p, v.name,
               v.permissions::jsonb, v.group_name) AS x;
END
$$;


SELECT iot.definer('iot.payg_devices',
    'attributes have no tenant; the tenant is in the statement');
SELECT iot.definer('iot.payg_credit',
    'values have no tenant; takes a resolved number');
