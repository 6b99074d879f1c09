
--
-- Copyright (C) the ngx_iot authors
--
-- Gateways report the devices that they hear: {"advt_adn" or "advt_mac",
-- "advt_tms":{...}} in their own telemetry.  What is on the list below goes
-- to the device, whosever it is, and nothing else; what belongs to nobody
-- goes to the tenant of lost devices.


SELECT iot.setting_define('payg.manufacturers', 'object', '{}', NULL,
    'system', true, false, 'Whose devices a manufacturer code of Bluetooth'
    ' stands for: by the code the id of a tenant.');
SELECT iot.setting_define('payg.lostAndFoundTenant', 'string', NULL,
    '{"maxLength":36}', 'system', true, false, 'The id of the tenant that'
    ' gets what gateways have found and nobody owns.');


-- A MAC in its one form, or NULL.

CREATE OR REPLACE FUNCTION iot.advt_mac(value text) RETURNS text
LANGUAGE sql IMMUTABLE
AS $$
    SELECT CASE WHEN length(value) = 17
                     AND replace(upper(value), '-', ':')
                         ~ '^([0-9A-F]{2}:){5}[0-9A-F]{2}$'
           THEN replace(upper(value), '-', ':') END
$$;


-- Is the number within the range that its key has?  Other keys have none.

CREATE OR REPLACE FUNCTION iot.advt_range(name text, value text)
RETURNS boolean
LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
    n  numeric;
BEGIN
    IF name NOT IN ('loc_lt', 'loc_ln', 'loc_la', 'loc_dss', 'loc_gid',
                    'loc_gmid')
    THEN
        RETURN true;
    END IF;

    IF value !~ '^-?[0-9]{1,9}([.][0-9]{1,12})?$'
       OR name IN ('loc_gid', 'loc_gmid') AND value !~ '^[0-9]+$'
    THEN
        RETURN false;
    END IF;

    n := value::numeric;

    RETURN CASE name
           WHEN 'loc_lt' THEN n BETWEEN -90 AND 90
           WHEN 'loc_ln' THEN n BETWEEN -180 AND 180
           WHEN 'loc_la' THEN n >= 0
           WHEN 'loc_dss' THEN n BETWEEN -127 AND 20
           ELSE n <= 65535 END;
END
$$;


-- What may be stored of a report: [[key, ts, type, value], ...].

CREATE OR REPLACE FUNCTION iot.advt_points(tms json, mac text, ts bigint)
RETURNS json
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    RETURN (SELECT COALESCE(json_agg(json_build_array(x.name, ts,
                       CASE WHEN x.kind = 'string' THEN 's'
                            WHEN x.value ~ '^-?[0-9]{1,18}$' THEN 'l'
                            ELSE 'd' END, x.value)), '[]')
              FROM (SELECT DISTINCT ON (m.name) m.name,
                           json_typeof(e.value) AS kind,
                           CASE m.name WHEN 'advt_mac' THEN mac
                           ELSE e.value #>> '{}' END AS value
                      FROM json_each(tms) AS e (key, value)
                           JOIN (VALUES ('advt_mac', 'mac', 1),
                               ('advt_rv', 'rv', 1), ('advt_ft', 'ft', 1),
                               ('advt_aid', 'aid', 1), ('advt_aid', 'did', 2),
                               ('advt_gts', 'gts', 1), ('advt_fv', 'fv', 1),
                               ('advt_pu', 'pu', 1), ('advt_pst', 'pst', 1),
                               ('advt_cr', 'cr', 1), ('advt_s1', 's1', 1),
                               ('loc_gmid', 'gmid', 1), ('loc_gid', 'gid', 1),
                               ('loc_ln', 'ln', 1), ('loc_lt', 'lt', 1),
                               ('loc_la', 'la', 1), ('loc_dss', 'dss', 1))
                               AS m (name, source, rank)
                               ON e.key IN (m.source, 'advt_' || m.source)
                     WHERE json_typeof(e.value) IN ('number', 'string')
                           AND octet_length(e.value #>> '{}') <= 64
                           AND (json_typeof(e.value) = 'string'
                                OR e.value #>> '{}'
                                   ~ '^-?[0-9]{1,18}([.][0-9]{1,18})?$')
                     ORDER BY m.name, m.rank, e.key) x
             WHERE x.value IS NOT NULL
                   AND iot.advt_range(x.name, x.value));
END
$$;


CREATE OR REPLACE FUNCTION iot.advt_find(tenant uuid, mac text)
RETURNS iot.device
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    d  iot.device;
BEGIN
    SELECT t.* INTO d
      FROM iot.attribute a
           JOIN iot.device t ON t.nr = a.entity
     WHERE a.scope = 2 AND length(a.s) = 17 AND a.s = mac
           AND a.key = (SELECT k.id FROM iot.key k WHERE k.name = 'advt_mac')
           AND t.tenant_id = tenant
     ORDER BY t.created_time, t.id
     LIMIT 1;

    RETURN d;
END
$$;


-- May the gateway report that just now?  One a second, 60 at once, and each
-- device once a minute.

CREATE OR REPLACE FUNCTION iot.advt_rate(g iot.device, what text,
    now_ms bigint) RETURNS boolean
LANGUAGE plpgsql
AS $$
DECLARE
    r   iot.advt_gateway;
    ok  boolean;
    n   integer;
BEGIN
    INSERT INTO iot.advt_gateway AS t (tenant_id, device_id, tokens, at)
    VALUES (g.tenant_id, g.id, 60, now_ms)
    ON CONFLICT ON CONSTRAINT advt_gateway_pkey DO UPDATE
       SET tokens = LEAST(60, t.tokens + GREATEST(0, now_ms - t.at) / 1000.0),
           at = GREATEST(t.at, now_ms)
    RETURNING * INTO r;

    ok := r.tokens >= 1;

    IF ok THEN
        DELETE FROM iot.advt_seen t
         WHERE t.tenant_id = g.tenant_id AND t.device_id = g.id
               AND t.at <= now_ms - 60000;

        INSERT INTO iot.advt_seen (tenant_id, device_id, what, at)
        VALUES (g.tenant_id, g.id, advt_rate.what, now_ms)
        ON CONFLICT DO NOTHING;

        GET DIAGNOSTICS n = ROW_COUNT;
        ok := n = 1;
    END IF;

    UPDATE iot.advt_gateway t
       SET tokens = CASE WHEN r.tokens >= 1 THEN r.tokens - 1
                    ELSE r.tokens END,
           dropped = t.dropped + (NOT ok)::integer
     WHERE t.tenant_id = g.tenant_id AND t.device_id = g.id;

    RETURN ok;
END
$$;


CREATE OR REPLACE FUNCTION iot.advt_contains(g iot.device, d iot.device)
RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    INSERT INTO iot.relation (tenant_id, from_type, from_id, to_type, to_id,
                              type, type_group)
    VALUES (g.tenant_id, 'DEVICE', g.id, 'DEVICE', d.id, 'Contains', 'COMMON')
    ON CONFLICT DO NOTHING;
END
$$;


-- The administrator of a tenant, for what nobody has asked for.

CREATE OR REPLACE FUNCTION iot.advt_principal(tenant uuid)
RETURNS iot.principal
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    p  iot.principal;
BEGIN
    p.role := 'TENANT_ADMIN';
    p.tenant_id := tenant;
    p.name := 'found devices';

    RETURN p;
END
$$;


-- The device of that MAC in the tenant of lost devices, made if need be.

CREATE OR REPLACE FUNCTION iot.advt_lost(tenant uuid, finder uuid, mac text)
RETURNS iot.device
LANGUAGE plpgsql
AS $$
DECLARE
    d  iot.device;
BEGIN
    SELECT * INTO d FROM iot.device t
     WHERE t.tenant_id = advt_lost.tenant AND t.name = mac;

    IF d.id IS NULL THEN
        BEGIN
            d.name := mac;
            d.is_gateway := false;
            d := iot.device_save(iot.advt_principal(tenant), d, 'default');

        EXCEPTION WHEN OTHERS THEN
            IF SQLSTATE NOT LIKE 'IO4%' THEN
                RAISE;
            END IF;

            SELECT * INTO d FROM iot.device t
             WHERE t.tenant_id = advt_lost.tenant AND t.name = mac;

            RETURN d;
        END;
    END IF;

    PERFORM iot.attribute_save(d.nr, 3::smallint,
        json_build_array(json_build_array('found_by_tenant', 's', finder)));

    RETURN d;
END
$$;


-- Devices of other tenants that are marked as stolen: an alarm, and where it
-- was heard.

CREATE OR REPLACE FUNCTION iot.advt_stolen(tenant uuid, mac text, points json)
RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    d      iot.device;
    a      iot.alarm;
    place  json;
BEGIN
    place := (SELECT json_agg(e) FROM json_array_elements(points) e
               WHERE e ->> 0 LIKE 'loc\_%');

    FOR d IN
        SELECT t.*
          FROM iot.attribute m
               JOIN iot.device t ON t.nr = m.entity
         WHERE m.scope = 2 AND length(m.s) = 17 AND m.s = mac
               AND m.key = (SELECT k.id FROM iot.key k
                             WHERE k.name = 'advt_mac')
               AND t.tenant_id <> advt_stolen.tenant
               AND EXISTS (SELECT FROM iot.attribute s
                                  JOIN iot.key k ON k.id = s.key
                            WHERE s.entity = t.nr AND s.scope = 2
                                  AND k.name IN ('prd_pst', 'prc_pst')
                                  AND COALESCE(s.l::text, s.s) = '5')
         ORDER BY t.nr
         LIMIT 10
    LOOP
        PERFORM iot.enter(iot.advt_principal(d.tenant_id));

        IF place IS NOT NULL THEN
            PERFORM iot.telemetry_save(d.nr, place, NULL);
        END IF;

        a := NULL;
        a.type := 'Stolen device seen';
        a.severity := 'CRITICAL';
        a.originator_type := 'DEVICE';
        a.originator_id := d.id;
        a.propagate := false;
        a.propagate_owner := false;
        a.propagate_tenant := false;
        a.propagate_types := '{}';
        PERFORM iot.alarm_save(iot.advt_principal(d.tenant_id), a);
    END LOOP;
END
$$;


-- One report.  Answers events for those who watch, or NULL: it went nowhere.

CREATE OR REPLACE FUNCTION iot.advt_report(tenant uuid, gateway uuid,
    adn text, mac text, tms json) RETURNS json
LANGUAGE plpgsql SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
DECLARE
    now_ms  CONSTANT bigint := iot.now_ms();
    g       iot.device;
    d       iot.device;
    owner   text;
    lost    text;
    points  json;
BEGIN
    SELECT * INTO g FROM iot.device t
     WHERE t.tenant_id = advt_report.tenant AND t.id = gateway
           AND t.is_gateway;

    IF g.id IS NULL OR json_typeof(tms) <> 'object'
       OR (SELECT count(*) FROM json_each(tms)) > 32
    THEN
        RETURN NULL;
    END IF;

    mac := COALESCE(iot.advt_mac(mac),
                    iot.advt_mac(COALESCE(tms ->> 'advt_mac',
                                          tms ->> 'mac')));

    IF mac IS NULL AND adn IS NULL
       OR NOT iot.advt_rate(g, COALESCE(mac, left(adn, 255)), now_ms)
    THEN
        RETURN NULL;
    END IF;

    points := iot.advt_points(tms, mac, now_ms);

    -- a device of the gateway's own tenant

    SELECT * INTO d FROM iot.device t
     WHERE t.tenant_id = g.tenant_id AND t.name = adn;

    IF d.id IS NULL AND mac IS NOT NULL THEN
        d := iot.advt_find(g.tenant_id, mac);
    END IF;

    IF d.id IS NOT NULL THEN
        PERFORM iot.advt_contains(g, d);

    ELSIF mac IS NOT NULL THEN

        -- of the tenant whose manufacturer code it is

        owner := iot.setting_value(NULL, 'payg.manufacturers')
                 ->> COALESCE(tms ->> 'advt_mid', tms ->> 'advt_gmid',
                              tms ->> 'mid', tms ->> 'gmid', '');

        IF iot.is_uuid(owner) THEN
            d := iot.advt_find(owner::uuid, mac);
        END IF;

        IF d.id IS NULL THEN
            PERFORM iot.advt_stolen(g.tenant_id, mac, points);

            lost := iot.setting_value(NULL, 'payg.lostAndFoundTenant')
                    #>> '{}';

            IF iot.is_uuid(lost) AND EXISTS (SELECT FROM iot.tenant t
                                              WHERE t.id = lost::uuid)
            THEN
                d := iot.advt_lost(lost::uuid, g.tenant_id, mac);
            END IF;
        END IF;
    END IF;

    IF d.id IS NULL THEN
        UPDATE iot.advt_gateway t
           SET unknown = t.unknown + 1
         WHERE t.tenant_id = g.tenant_id AND t.device_id = g.id;

        RETURN NULL;
    END IF;

    IF json_array_length(points) = 0 THEN
        RETURN NULL;
    END IF;

    PERFORM iot.telemetry_save(d.nr, points, NULL);

    RETURN json_build_array(iot.event_of(d.tenant_id, d.id, 'telemetry',
        json_build_array(json_build_object('ts', now_ms, 'values',
            (SELECT json_object_agg(e ->> 0,
                        CASE e ->> 2 WHEN 's' THEN e -> 3
                        ELSE (e ->> 3)::json END)
               FROM json_array_elements(points) e)))));
END
$$;


CREATE OR REPLACE FUNCTION iot.is_uuid(value text) RETURNS boolean
LANGUAGE sql IMMUTABLE
AS $$
    SELECT COALESCE(value ~* ('^[0-9a-f]{8}(-[0-9a-f]{4}){3}'
                              '-[0-9a-f]{12}$'), false)
$$;


SELECT iot.definer('iot.advt_report',
    'called for a gateway the worker has checked; routes between tenants');
