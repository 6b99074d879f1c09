
--
-- Copyright (C) the ngx_iot authors
--
-- What the lists of devices, assets and entity views have in common.


-- One page of devices, assets or entity views.  customer NULL: of the whole
-- tenant.  info: with what the "infos" have in addition.  condition: one more
-- in SQL, on d, see iot.may_list().

CREATE OR REPLACE FUNCTION tb.things_page(kind text, query json, tenant uuid,
    customer uuid, info boolean, condition text DEFAULT 'true') RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    pg        iot.page := tb.page(query);
    type      text := tb.arg(query, 'type');
    profile   uuid;
    active    text;
    item      text;
    source    text;
    found_    text := 'd.name ILIKE $2';
    sorts     jsonb := '{"id":"d.id","createdTime":"d.created_time",
                         "name":"d.name"}'::jsonb;
BEGIN
    CASE kind
    WHEN 'DEVICE' THEN
        item := 'tb.device_out(d, dp.name)';
        source := 'iot.device AS d LEFT JOIN iot.device_profile AS dp'
                  ' ON dp.tenant_id = d.tenant_id AND dp.id = d.profile_id';
        active := tb.arg_boolean(query, 'active')::text;

    WHEN 'ASSET' THEN
        item := 'tb.asset_out(d, dp.name)';
        source := 'iot.asset AS d LEFT JOIN iot.asset_profile AS dp'
                  ' ON dp.tenant_id = d.tenant_id AND dp.id = d.profile_id';

    WHEN 'ENTITY_VIEW' THEN
        item := 'tb.entity_view_out(d)';
        source := 'iot.entity_view AS d';
        found_ := found_ || ' OR d.type ILIKE $2';
        sorts := sorts || '{"type":"d.type"}';
    END CASE;

    IF kind <> 'ENTITY_VIEW' THEN
        found_ := found_ || ' OR d.label ILIKE $2 OR dp.name ILIKE $2';
        sorts := sorts || '{"type":"dp.name","label":"d.label"}';
        profile := tb.profile_arg(kind, query, tenant, type);
        type := NULL;
    END IF;

    IF info THEN
        item := replace(replace(item, '_out(d', '_info_out(d'), ')',
                        ', c.title, c.is_public)');
        source := source || ' LEFT JOIN iot.customer AS c'
                  ' ON c.tenant_id = d.tenant_id AND c.id = d.customer_id';
        found_ := found_ || ' OR c.title ILIKE $2';
        sorts := sorts || '{"customerTitle":"c.title",
                            "customerIsPublic":"c.is_public"}'
                 || CASE kind
                    WHEN 'DEVICE' THEN
                        '{"deviceProfileName":"dp.name",
                          "active":"iot.device_active(d.nr)"}'::jsonb
                    WHEN 'ASSET' THEN '{"assetProfileName":"dp.name"}'
                    ELSE '{}'
                    END;
    END IF;

    source := source || ' WHERE d.tenant_id = $1[1]::uuid AND ' || condition
        || CASE WHEN customer IS NOT NULL
           THEN ' AND d.customer_id = $1[2]::uuid' ELSE '' END
        || CASE WHEN type IS NOT NULL THEN ' AND d.type = $1[3]' ELSE '' END
        || CASE WHEN profile IS NOT NULL
           THEN ' AND d.profile_id = $1[4]::uuid' ELSE '' END
        || CASE WHEN active IS NOT NULL
           THEN ' AND iot.device_active(d.nr) = $1[5]::boolean' ELSE '' END
        || CASE WHEN pg.search IS NOT NULL
           THEN ' AND (' || found_ || ')' ELSE '' END;

    -- the condition of a customer user who looks at its own customer

    IF condition = 'true'
       OR condition = format('%I.customer_id = %L::uuid', 'd', customer)
    THEN
        pg.total := tb.things_total(kind, pg, tenant, customer, type, profile,
                                    active);
    END IF;

    -- by type: the first ones of each profile are all that can be on the page

    IF pg.sort IN ('type', 'deviceProfileName', 'assetProfileName')
       AND pg.total IS NOT NULL AND customer IS NULL AND profile IS NULL
       AND kind <> 'ENTITY_VIEW' AND pg.page::bigint * pg.size < 1000
    THEN
        source := source || format(' AND d.id IN (SELECT k.id'
            ' FROM iot.%1$s_profile AS q CROSS JOIN LATERAL (SELECT x.id'
            ' FROM iot.%1$s AS x WHERE x.tenant_id = $1[1]::uuid'
            ' AND x.profile_id = q.id ORDER BY x.id %2$s LIMIT %3$s) AS k'
            ' WHERE q.tenant_id = $1[1]::uuid)', lower(kind),
            CASE WHEN pg.descending THEN 'DESC' ELSE 'ASC' END,
            (pg.page::bigint + 1) * pg.size);
    END IF;

    RETURN tb.list(pg, item, source, sorts::json, 'd.id', tenant::text,
                   customer::text, type, profile::text, active);
END
$$;


-- How many there are, if that is known without counting; else NULL.

CREATE OR REPLACE FUNCTION tb.things_total(kind text, pg iot.page,
    tenant uuid, customer uuid, type text, profile uuid, active text)
RETURNS bigint
LANGUAGE plpgsql STABLE
AS $$
BEGIN
    IF pg.search IS NOT NULL OR active IS NOT NULL OR type IS NOT NULL
       OR customer IS NOT NULL AND (profile IS NOT NULL
                                    OR kind = 'ENTITY_VIEW')
    THEN
        RETURN NULL;
    END IF;

    RETURN iot.entity_total(tenant, kind, COALESCE(customer, profile));
END
$$;


-- The profile that a query asks for by deviceProfileId (assetProfileId) or by
-- its name, the type; one that no profile has if none is of that name.

CREATE OR REPLACE FUNCTION tb.profile_arg(kind text, query json, tenant uuid,
    type text) RETURNS uuid
LANGUAGE plpgsql
AS $$
DECLARE
    given   text := tb.arg(query, CASE kind WHEN 'DEVICE'
                           THEN 'deviceProfileId' ELSE 'assetProfileId' END);
    result  uuid;
BEGIN
    IF given IS NOT NULL THEN
        result := tb.uuid(given);
    END IF;

    IF type IS NULL THEN
        RETURN result;
    END IF;

    RETURN COALESCE((SELECT e.id FROM iot.entity AS e
                     WHERE e.entity_type = kind || '_PROFILE'
                           AND e.tenant_id = tenant AND e.name = type
                           AND (result IS NULL OR e.id = result)),
                    'ffffffff-ffff-ffff-ffff-ffffffffffff');
END
$$;


-- The page that belongs to a customer, whose users may ask for their own.

CREATE OR REPLACE FUNCTION tb.customer_things(p iot.principal, kind text,
    customer text, query json, info boolean) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);

    RETURN tb.things_page(kind, query, p.tenant_id,
                          (iot.customer_get(p, tb.uuid(customer))).id, info,
                          iot.may_list(p, kind, 'd'));
END
$$;


CREATE OR REPLACE FUNCTION tb.tenant_things(p iot.principal, kind text,
    query json, info boolean) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.need_role(p, 'TENANT_ADMIN', 'CUSTOMER_USER');

    RETURN tb.things_page(kind, query, p.tenant_id, NULL, info,
                          iot.may_list(p, kind, 'd'));
END
$$;


-- The types of a kind: an array of {"tenantId","entityType","type"}.

CREATE OR REPLACE FUNCTION tb.types_out(tenant uuid, kind text, names text[])
RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    RETURN COALESCE(
        (SELECT json_agg(x)
         FROM (SELECT tb.id('TENANT', tenant) AS "tenantId",
                      kind AS "entityType",
                      n.name AS "type"
               FROM unnest(names) AS n (name)
               ORDER BY n.name) AS x),
        '[]');
END
$$;
