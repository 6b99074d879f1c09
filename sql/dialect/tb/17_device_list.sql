
--
-- Copyright (C) the ngx_iot authors
--
-- Lists of devices.  customer NULL: of the whole tenant.  condition: one more
-- in SQL, on d.


DROP FUNCTION IF EXISTS tb.devices_page(json, uuid, uuid);
DROP FUNCTION IF EXISTS tb.device_infos_page(json, uuid, uuid);


CREATE OR REPLACE FUNCTION tb.devices_page(query json, tenant uuid,
    customer uuid, condition text DEFAULT 'true') RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    RETURN tb.things_page('DEVICE', query, tenant, customer, false,
                          condition);
END
$$;


CREATE OR REPLACE FUNCTION tb.device_infos_page(query json, tenant uuid,
    customer uuid, condition text DEFAULT 'true') RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    RETURN tb.things_page('DEVICE', query, tenant, customer, true, condition);
END
$$;


CREATE OR REPLACE FUNCTION tb.tenant_device_by_name(p iot.principal,
    path text[], query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    wanted  text := tb.need_arg(query, 'deviceName');
    d       iot.device;
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.need_role(p, 'TENANT_ADMIN', 'CUSTOMER_USER');

    SELECT * INTO d FROM iot.device AS t
    WHERE t.tenant_id = p.tenant_id AND t.name = wanted;

    IF d.id IS NULL
       OR NOT iot.may(p, 'READ', 'DEVICE', d.id, d.customer_id)
    THEN
        PERFORM iot.fail_missing('Device', NULL);
    END IF;

    RETURN tb.device_show(d);
END
$$;


CREATE OR REPLACE FUNCTION tb.tenant_devices(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    IF query -> 'deviceName' IS NOT NULL THEN
        RETURN tb.tenant_device_by_name(p, path, query, body);
    END IF;

    PERFORM iot.enter(p);
    PERFORM iot.need_role(p, 'TENANT_ADMIN', 'CUSTOMER_USER');

    RETURN tb.devices_page(query, p.tenant_id, NULL,
                           iot.may_list(p, 'DEVICE', 'd'));
END
$$;


CREATE OR REPLACE FUNCTION tb.tenant_device_infos(p iot.principal,
    path text[], query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.need_role(p, 'TENANT_ADMIN', 'CUSTOMER_USER');

    RETURN tb.device_infos_page(query, p.tenant_id, NULL,
                                iot.may_list(p, 'DEVICE', 'd'));
END
$$;


CREATE OR REPLACE FUNCTION tb.customer_devices(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    c  iot.customer;
BEGIN
    PERFORM iot.enter(p);

    c := iot.customer_get(p, tb.uuid(path[1]));

    RETURN tb.devices_page(query, p.tenant_id, c.id,
                           iot.may_list(p, 'DEVICE', 'd'));
END
$$;


CREATE OR REPLACE FUNCTION tb.customer_device_infos(p iot.principal,
    path text[], query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    c  iot.customer;
BEGIN
    PERFORM iot.enter(p);

    c := iot.customer_get(p, tb.uuid(path[1]));

    RETURN tb.device_infos_page(query, p.tenant_id, c.id,
                                iot.may_list(p, 'DEVICE', 'd'));
END
$$;


CREATE OR REPLACE FUNCTION tb.devices_list(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    ids  uuid[] := tb.arg_ids(query, 'deviceIds');
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.need_role(p, 'TENANT_ADMIN', 'CUSTOMER_USER');

    RETURN COALESCE(
        (SELECT json_agg(tb.device_out(d, dp.name) ORDER BY d.id)
         FROM iot.device AS d
             JOIN iot.device_profile AS dp
                 ON dp.tenant_id = d.tenant_id AND dp.id = d.profile_id
         WHERE d.tenant_id = p.tenant_id AND d.id = ANY (ids)
               AND iot.may(p, 'READ', 'DEVICE', d.id, d.customer_id)),
        '[]');
END
$$;


-- What the caller sees of a type: 'all', 'own' (of its customer), or something
-- that has to be asked for each: 'some'.

CREATE OR REPLACE FUNCTION tb.seen(p iot.principal, entity_type text)
RETURNS text
LANGUAGE plpgsql STABLE
AS $$
BEGIN
    IF iot.may_list(p, entity_type, 't') = 'true' THEN
        RETURN 'all';
    END IF;

    RETURN CASE WHEN iot.has_roles(p) THEN 'some' ELSE 'own' END;
END
$$;


-- The profiles that have devices which the caller may see.

CREATE OR REPLACE FUNCTION tb.device_types(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    seen  text;
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.need_role(p, 'TENANT_ADMIN', 'CUSTOMER_USER');

    seen := tb.seen(p, 'DEVICE');

    RETURN COALESCE(
        (SELECT json_agg(x ORDER BY x.type)
         FROM (SELECT tb.id('TENANT', p.tenant_id) AS "tenantId",
                      'DEVICE' AS "entityType",
                      dp.name AS "type"
               FROM iot.device_profile AS dp
               WHERE dp.tenant_id = p.tenant_id
                     AND EXISTS (SELECT FROM iot.device AS d
                                 WHERE d.tenant_id = dp.tenant_id
                                       AND d.profile_id = dp.id
                                       AND CASE seen
                                           WHEN 'all' THEN true
                                           WHEN 'own' THEN
                                               d.customer_id = p.customer_id
                                           ELSE
                                               iot.may(p, 'READ', 'DEVICE',
                                                       d.id, d.customer_id)
                                           END)) AS x),
        '[]');
END
$$;


-- How many devices would get a package that is assigned to the profile.

CREATE OR REPLACE FUNCTION tb.device_count(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    profile  iot.device_profile;
    seen     text;
BEGIN
    PERFORM iot.enter(p);

    seen := tb.seen(p, 'DEVICE');

    IF path[1] NOT IN ('FIRMWARE', 'SOFTWARE') THEN
        PERFORM iot.fail_request(
            format('Unsupported ota package type: %s', left(path[1], 255)));
    END IF;

    profile := iot.device_profile_get(p, tb.uuid(path[2]));

    RETURN (SELECT to_json(count(*)) FROM iot.device AS d
            WHERE d.tenant_id = p.tenant_id AND d.profile_id = profile.id
                  AND CASE seen
                      WHEN 'all' THEN true
                      WHEN 'own' THEN d.customer_id = p.customer_id
                      ELSE iot.may(p, 'READ', 'DEVICE', d.id, d.customer_id)
                      END
                  AND (CASE path[1] WHEN 'FIRMWARE' THEN d.firmware_id
                       ELSE d.software_id END) IS NULL);
END
$$;
