
--
-- Copyright (C) the ngx_iot authors
--
-- Lists of devices.  customer NULL: of the whole tenant.


CREATE OR REPLACE FUNCTION tb.devices_page(query json, tenant uuid,
    customer uuid) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    RETURN tb.list(tb.page(query), 'tb.device_out(d, dp.name)',
        'iot.device AS d LEFT JOIN iot.device_profile AS dp'
        ' ON dp.tenant_id = d.tenant_id AND dp.id = d.profile_id'
        ' WHERE d.tenant_id = $1[1]::uuid'
        ' AND ($1[2] IS NULL OR d.customer_id = $1[2]::uuid)'
        ' AND ($1[3] IS NULL OR dp.name = $1[3])'
        ' AND ($2 IS NULL OR d.name ILIKE $2 OR d.label ILIKE $2'
        ' OR dp.name ILIKE $2)',
        '{"id":"d.id","createdTime":"d.created_time","name":"d.name",
          "type":"dp.name","label":"d.label"}',
        'd.id', tenant::text, customer::text, tb.arg(query, 'type'));
END
$$;


CREATE OR REPLACE FUNCTION tb.device_infos_page(query json, tenant uuid,
    customer uuid) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    profile  text := tb.arg(query, 'deviceProfileId');
BEGIN
    RETURN tb.list(tb.page(query),
        'tb.device_info_out(d, dp.name, c.title, c.is_public)',
        'iot.device AS d LEFT JOIN iot.device_profile AS dp'
        ' ON dp.tenant_id = d.tenant_id AND dp.id = d.profile_id'
        ' LEFT JOIN iot.customer AS c'
        ' ON c.tenant_id = d.tenant_id AND c.id = d.customer_id'
        ' WHERE d.tenant_id = $1[1]::uuid'
        ' AND ($1[2] IS NULL OR d.customer_id = $1[2]::uuid)'
        ' AND ($1[3] IS NULL OR dp.name = $1[3])'
        ' AND ($1[4] IS NULL OR d.profile_id = $1[4]::uuid)'
        ' AND ($1[5] IS NULL OR iot.device_active(d.nr) = $1[5]::boolean)'
        ' AND ($2 IS NULL OR d.name ILIKE $2 OR d.label ILIKE $2'
        ' OR dp.name ILIKE $2 OR c.title ILIKE $2)',
        '{"id":"d.id","createdTime":"d.created_time","name":"d.name",
          "type":"dp.name","label":"d.label","customerTitle":"c.title",
          "customerIsPublic":"c.is_public","deviceProfileName":"dp.name",
          "active":"iot.device_active(d.nr)"}',
        'd.id', tenant::text, customer::text, tb.arg(query, 'type'),
        CASE WHEN profile IS NOT NULL THEN tb.uuid(profile)::text END,
        tb.arg_boolean(query, 'active')::text);
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
    PERFORM iot.need_role(p, 'TENANT_ADMIN');

    SELECT * INTO d FROM iot.device AS t
    WHERE t.tenant_id = p.tenant_id AND t.name = wanted;

    IF d.id IS NULL THEN
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
    PERFORM iot.need_role(p, 'TENANT_ADMIN');

    RETURN tb.devices_page(query, p.tenant_id, NULL);
END
$$;


CREATE OR REPLACE FUNCTION tb.tenant_device_infos(p iot.principal,
    path text[], query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.need_role(p, 'TENANT_ADMIN');

    RETURN tb.device_infos_page(query, p.tenant_id, NULL);
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

    RETURN tb.devices_page(query, p.tenant_id, c.id);
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

    RETURN tb.device_infos_page(query, p.tenant_id, c.id);
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
               AND (p.role = 'TENANT_ADMIN' OR d.customer_id = p.customer_id)),
        '[]');
END
$$;


-- The profiles that have devices which the caller may see.

CREATE OR REPLACE FUNCTION tb.device_types(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.need_role(p, 'TENANT_ADMIN', 'CUSTOMER_USER');

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
                                       AND (p.role = 'TENANT_ADMIN'
                                            OR d.customer_id
                                               = p.customer_id))) AS x),
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
BEGIN
    PERFORM iot.enter(p);

    IF path[1] NOT IN ('FIRMWARE', 'SOFTWARE') THEN
        PERFORM iot.fail_request(
            format('Unsupported ota package type: %s', left(path[1], 255)));
    END IF;

    profile := iot.device_profile_get(p, tb.uuid(path[2]));

    RETURN (SELECT to_json(count(*)) FROM iot.device AS d
            WHERE d.tenant_id = p.tenant_id AND d.profile_id = profile.id
                  AND (p.role = 'TENANT_ADMIN'
                       OR d.customer_id = p.customer_id)
                  AND (CASE path[1] WHEN 'FIRMWARE' THEN d.firmware_id
                       ELSE d.software_id END) IS NULL);
END
$$;
