
--
-- Copyright (C) the ngx_iot authors
--
-- The keys that the devices of a profile have, for those who draw dashboards
-- and rules.  profile NULL: of all devices of the tenant.


CREATE OR REPLACE FUNCTION iot.profile_telemetry_keys(tenant uuid,
    profile uuid)
RETURNS text[]
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
BEGIN
    RETURN ARRAY(SELECT k.name
                   FROM iot.key k
                  WHERE k.id IN (SELECT ek.key
                                   FROM iot.device d
                                        JOIN iot.entity_key ek
                                            ON ek.entity = d.nr
                                  WHERE d.tenant_id = tenant
                                        AND (profile IS NULL
                                             OR d.profile_id = profile))
                  ORDER BY k.name COLLATE "C");
END
$$;


CREATE OR REPLACE FUNCTION iot.profile_attribute_keys(tenant uuid,
    profile uuid)
RETURNS text[]
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
BEGIN
    RETURN ARRAY(SELECT k.name
                   FROM iot.key k
                  WHERE k.id IN (SELECT a.key
                                   FROM iot.device d
                                        JOIN iot.attribute a
                                            ON a.entity = d.nr
                                  WHERE d.tenant_id = tenant
                                        AND (profile IS NULL
                                             OR d.profile_id = profile))
                  ORDER BY k.name COLLATE "C");
END
$$;


SELECT iot.definer('iot.profile_telemetry_keys',
    'telemetry has no tenant; the function compares it');
SELECT iot.definer('iot.profile_attribute_keys',
    'attributes have no tenant; the function compares it');
