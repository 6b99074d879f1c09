--
-- Copyright (C) the ngx_iot authors
--
-- Devices behind a gateway: it speaks for them by their names.


-- A device that a gateway names for the first time: with the profile of the
-- type, the customer of the gateway, and a token that nobody has been told.
-- NULL, or why there is none: "limit", "invalid".

CREATE OR REPLACE FUNCTION iot.gateway_make(g iot.device, name text,
    type text) RETURNS text
LANGUAGE plpgsql
AS $$
DECLARE
    d  iot.device;
    p  iot.principal;
    r  iot.relation;
BEGIN
    p.role := 'DEVICE';
    p.tenant_id := g.tenant_id;
    p.customer_id := g.customer_id;
    p.device_id := g.id;
    p.name := g.name;

    d.tenant_id := g.tenant_id;
    d.customer_id := g.customer_id;
    d.name := gateway_make.name;
    d.is_gateway := false;
    d.additional_info := json_build_object('lastConnectedGateway', g.id);

    -- a refusal takes back whatever was done in this block

    BEGIN
        d.profile_id := iot.device_choose_profile(p, NULL,
                            COALESCE(NULLIF(btrim(type), ''), 'default'));

        d := iot.device_create(p, d, NULL);

        r.tenant_id := g.tenant_id;
        r.from_type := 'DEVICE';
        r.from_id := g.id;
        r.to_type := 'DEVICE';
        r.to_id := d.id;
        r.type := 'Created';

        PERFORM iot.relation_put(r);

    EXCEPTION
        WHEN OTHERS THEN
            IF SQLSTATE = 'IO403' THEN
                RETURN 'limit';
            END IF;

            IF SQLSTATE LIKE 'IO4%' OR SQLSTATE LIKE '22%' THEN
                RETURN 'invalid';
            END IF;

            RAISE;
    END;

    RETURN NULL;
END
$$;


-- May the gateway speak for the device?  One of a customer for those of its
-- customer, and for those without one that it spoke for before; one of the
-- tenant for all.

CREATE OR REPLACE FUNCTION iot.gateway_may(g iot.device, d iot.device)
RETURNS boolean
LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN d.enabled
           AND (g.customer_id IS NULL
                OR d.customer_id IS NOT DISTINCT FROM g.customer_id
                OR d.customer_id IS NULL
                   AND COALESCE(d.additional_info ->> 'lastConnectedGateway',
                                '') = g.id::text);
END
$$;


-- The devices of these names, in their order, each with what ingest must know
-- about it; "make": those that do not exist are made.  refused: NULL, or
-- "missing", "foreign", "limit", "invalid".  overwrite: what the gateway
-- itself sends counts as activity of the device.

CREATE OR REPLACE FUNCTION iot.gateway_devices(tenant uuid, via uuid,
    names text[], types text[], make boolean)
RETURNS TABLE (device_id uuid, nr integer, tenant_id uuid, customer_id uuid,
    profile_id uuid, name text, gateway boolean, cast_strings boolean,
    enabled boolean, tenant_profile_id uuid, refused text, overwrite boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    g         iot.device;
    one       record;
    problem   text;
    problems  jsonb := '{}'::jsonb;
    full_up   boolean := false;
BEGIN
    SELECT * INTO g FROM iot.device AS t
     WHERE t.tenant_id = tenant AND t.id = via AND t.is_gateway AND t.enabled;

    IF g.id IS NULL OR NOT iot.tenant_alive(tenant) THEN
        RETURN;
    END IF;

    IF make THEN
        -- in one order, so that two gateways do not deadlock

        FOR one IN
            SELECT n.name, max(n.type) AS type
              FROM unnest(names, types) AS n (name, type)
             WHERE NOT EXISTS (SELECT FROM iot.device AS t
                                WHERE t.tenant_id = tenant
                                      AND t.name = n.name)
             GROUP BY n.name
             ORDER BY n.name COLLATE "C"
        LOOP
            problem := CASE WHEN full_up THEN 'limit'
                       ELSE iot.gateway_make(g, one.name, one.type) END;
            full_up := problem = 'limit';

            IF problem IS NOT NULL THEN
                problems := problems || jsonb_build_object(one.name, problem);
            END IF;
        END LOOP;

        PERFORM iot.gateway_took(g, names);
    END IF;

    RETURN QUERY
    SELECT d.id, d.nr, d.tenant_id, d.customer_id, d.profile_id, n.name,
           COALESCE(d.is_gateway, false),
           COALESCE(dp.cast_strings, tp.cast_strings, true),
           COALESCE(d.enabled, false), t.tenant_profile_id,
           CASE WHEN d.id IS NULL
                THEN COALESCE(problems ->> n.name, 'missing')
                WHEN NOT iot.gateway_may(g, d) THEN 'foreign' END,
           COALESCE((g.additional_info ->> 'overwriteActivityTime') = 'true',
                    false)
      FROM unnest(names) WITH ORDINALITY AS n (name, i)
           LEFT JOIN iot.device AS d
               ON d.tenant_id = tenant AND d.name = n.name
           LEFT JOIN iot.device_profile AS dp
               ON dp.tenant_id = d.tenant_id AND dp.id = d.profile_id
           JOIN iot.tenant AS t ON t.id = tenant
           JOIN iot.tenant_profile AS tp ON tp.id = t.tenant_profile_id
     ORDER BY n.i;
END
$$;


-- The gateway is now where these devices are.

CREATE OR REPLACE FUNCTION iot.gateway_took(g iot.device, names text[])
RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    UPDATE iot.device AS t
       SET additional_info = ((CASE json_typeof(t.additional_info)
                               WHEN 'object' THEN t.additional_info::jsonb
                               ELSE '{}' END)
                              || jsonb_build_object('lastConnectedGateway',
                                                    g.id))::json
      FROM (SELECT d.id
              FROM iot.device AS d
             WHERE d.tenant_id = g.tenant_id AND d.name = ANY (names)
                   AND d.id <> g.id
                   AND iot.gateway_may(g, d)
                   AND (CASE json_typeof(d.additional_info)
                        WHEN 'object' THEN d.additional_info
                        END ->> 'lastConnectedGateway')
                       IS DISTINCT FROM g.id::text
             ORDER BY d.name COLLATE "C"
               FOR UPDATE) AS x
     WHERE t.tenant_id = g.tenant_id AND t.id = x.id;
END
$$;


-- Attributes of a device as its gateway is told them: a member "value" (of
-- one name, absent if there is none) or "values".

CREATE OR REPLACE FUNCTION iot.gateway_attributes(entity_nr integer,
    client boolean, names text[]) RETURNS text
LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = iot, pg_temp
    SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    answer  text;
BEGIN
    SELECT string_agg(CASE cardinality(names) WHEN 1 THEN '"value":'
                      ELSE to_json(k.name)::text || ':' END
                      || iot.value_json(a.b, a.l, a.d, a.s),
                      ',' ORDER BY k.name COLLATE "C")
      INTO answer
      FROM iot.attribute AS a
           JOIN iot.key AS k ON k.id = a.key
     WHERE a.entity = entity_nr
           AND a.scope = CASE WHEN client THEN 1 ELSE 2 END
           AND k.name = ANY (names);

    IF cardinality(names) = 1 THEN
        RETURN COALESCE(answer, '');
    END IF;

    RETURN '"values":{' || COALESCE(answer, '') || '}';
END
$$;


-- Requests that devices have yet to get, the oldest first; i: of which one.

CREATE OR REPLACE FUNCTION iot.rpc_pending_all(tenant uuid, devices uuid[])
RETURNS TABLE (i integer, id integer, oneway boolean, body text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT array_position(devices, r.device_id), r.request_id, r.oneway,
           r.body::text
      FROM iot.rpc AS r
     WHERE r.tenant_id = tenant
           AND r.device_id = ANY (devices)
           AND r.status IN ('QUEUED', 'SENT')
           AND r.expiration_time > iot.now_ms()
     ORDER BY r.created_time, r.request_id
     LIMIT 10000;
END
$$;


SELECT iot.definer('iot.gateway_devices',
    'called for a gateway the worker has checked');
SELECT iot.definer('iot.gateway_attributes',
    'called for a device the worker has checked');
SELECT iot.definer('iot.rpc_pending_all',
    'called for devices the worker has checked');
