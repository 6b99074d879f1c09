
--
-- Copyright (C) the ngx_iot authors
--
-- How long telemetry is kept, in milliseconds; NULL: for ever.
--
-- A row written with a time to live has its own end (expires_at).  For the
-- others counts, first found first taken: the SERVER attribute "TTL" (in
-- seconds, 0 = for ever) of the entity, of its customer, of its tenant; then
-- defaultStorageTtlDays of the tenant's profile (0 = for ever).  The setting
-- "telemetry", member retentionDays, is a bound above all of them.


CREATE OR REPLACE FUNCTION iot.telemetry_setting(member text,
    otherwise bigint)
RETURNS bigint
LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = iot, pg_temp
AS $$
DECLARE
    setting  json;
BEGIN
    SELECT s.value INTO setting
      FROM iot.setting s
     WHERE s.tenant_id IS NULL AND s.name = 'telemetry';

    IF (setting ->> member) ~ '^[0-9]{1,15}$' THEN
        RETURN (setting ->> member)::bigint;
    END IF;

    RETURN otherwise;
END
$$;


-- The attribute TTL of the first of these entities that has one, in seconds.

CREATE OR REPLACE FUNCTION iot.ttl_attribute(entities integer[])
RETURNS bigint
LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = iot, pg_temp
AS $$
DECLARE
    key_nr     integer;
    entity_nr  integer;
    ttl        text;
BEGIN
    SELECT k.id INTO key_nr FROM iot.key k WHERE k.name = 'TTL';

    IF key_nr IS NULL THEN
        RETURN NULL;
    END IF;

    FOREACH entity_nr IN ARRAY entities LOOP
        SELECT iot.value_text(a.b, a.l, a.d, a.s) INTO ttl
          FROM iot.attribute a
         WHERE a.entity = entity_nr AND a.scope = 3 AND a.key = key_nr;

        EXIT WHEN FOUND;
    END LOOP;

    IF ttl ~ '^[0-9]{1,12}(\.[0-9]+)?$' THEN
        RETURN trunc(ttl::numeric)::bigint;
    END IF;

    RETURN NULL;
END
$$;


CREATE OR REPLACE FUNCTION iot.retention(entity_nr integer) RETURNS bigint
LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = iot, pg_temp
AS $$
DECLARE
    owner_tenant    uuid;
    owner_customer  uuid;
    owners          integer[];
    profile         uuid;
    seconds         bigint;
    bound           bigint;
BEGIN
    SELECT f.tenant_id, f.customer_id INTO owner_tenant, owner_customer
      FROM iot.entity_face(entity_nr) f;

    owners := ARRAY[entity_nr,
                    (SELECT c.nr FROM iot.customer c
                      WHERE c.tenant_id = owner_tenant
                            AND c.id = owner_customer),
                    (SELECT t.nr FROM iot.tenant t
                      WHERE t.id = owner_tenant)];

    seconds := iot.ttl_attribute(owners);

    IF seconds IS NULL THEN
        SELECT t.tenant_profile_id INTO profile
          FROM iot.tenant t WHERE t.id = owner_tenant;

        seconds := iot.profile_retention(profile) / 1000;
    END IF;

    bound := NULLIF(iot.telemetry_setting('retentionDays', 0), 0)
             * 86400000;

    RETURN LEAST(NULLIF(seconds, 0) * 1000, bound);
END
$$;


-- defaultStorageTtlDays of a tenant profile, in milliseconds.

CREATE OR REPLACE FUNCTION iot.profile_retention(profile uuid)
RETURNS bigint
LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = iot, pg_temp
AS $$
DECLARE
    days  text;
BEGIN
    days := iot.tenant_limits(profile) ->> 'defaultStorageTtlDays';

    IF days ~ '^[0-9]{1,7}$' THEN
        RETURN NULLIF(days::bigint, 0) * 86400000;
    END IF;

    RETURN NULL;
END
$$;


-- The longest retention of all; NULL when somebody keeps for ever.

CREATE OR REPLACE FUNCTION iot.retention_longest() RETURNS bigint
LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = iot, pg_temp
AS $$
DECLARE
    bound    bigint;
    longest  bigint;
    forever  boolean;
BEGIN
    bound := NULLIF(iot.telemetry_setting('retentionDays', 0), 0)
             * 86400000;

    SELECT max(r.ms), bool_or(r.ms IS NULL) INTO longest, forever
      FROM (SELECT iot.profile_retention(p.id) AS ms
              FROM iot.tenant_profile p
             WHERE EXISTS (SELECT FROM iot.tenant t
                            WHERE t.tenant_profile_id = p.id)
             UNION ALL
            SELECT NULLIF(iot.ttl_attribute(ARRAY[a.entity]), 0) * 1000
              FROM iot.key k
                   JOIN iot.attribute a ON a.key = k.id AND a.scope = 3
             WHERE k.name = 'TTL'
                   AND iot.ttl_attribute(ARRAY[a.entity]) IS NOT NULL) r;

    IF longest IS NULL OR forever THEN
        RETURN bound;
    END IF;

    RETURN LEAST(longest, bound);
END
$$;


SELECT iot.definer('iot.telemetry_setting',
    'settings of the server, asked for by tenants');
SELECT iot.definer('iot.ttl_attribute',
    'the tables of values are read through functions');
SELECT iot.definer('iot.retention',
    'reads the owners of an entity');
SELECT iot.definer('iot.profile_retention',
    'reads the profile of a tenant');
SELECT iot.definer('iot.retention_longest',
    'compares all tenants');
