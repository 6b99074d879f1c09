--
-- Copyright (C) the ngx_iot authors
--
-- What becomes of a package that is given to devices: they are told by shared
-- attributes, fw_... for firmware and sf_... for software.


-- What is to be told after the commit (see iot.event_of) is gathered in a
-- setting of the transaction.

CREATE OR REPLACE FUNCTION iot.events() RETURNS json
LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN NULLIF(current_setting('iot.events', true), '')::json;
END
$$;


CREATE OR REPLACE FUNCTION iot.ota_assignable(tenant uuid, profile uuid,
    package uuid, kind text) RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    what  text := lower(kind);
    r     iot.ota_package;
BEGIN
    IF package IS NULL THEN
        RETURN;
    END IF;

    SELECT * INTO r FROM iot.ota_package AS t
     WHERE t.tenant_id = tenant AND t.id = package;

    IF r.id IS NULL THEN
        PERFORM iot.fail_request(
            format('Can''t assign non-existent %s!', what));
    END IF;

    IF r.type <> kind THEN
        PERFORM iot.fail_request(
            format('Can''t assign %s with type: %s!', what, r.type));
    END IF;

    IF r.url IS NULL AND r.data_size IS NULL THEN
        PERFORM iot.fail_request(
            format('Can''t assign %s with empty data!', what));
    END IF;

    IF r.profile_id <> profile THEN
        PERFORM iot.fail_request(
            format('Can''t assign %s with different deviceProfile!', what));
    END IF;
END
$$;


-- Devices get the package (NULL: they have none any more): their shared
-- attributes, and fw_state.  Those of "tell" may be waiting to hear of it.

CREATE OR REPLACE FUNCTION iot.ota_tell(tenant uuid, nrs integer[],
    tell uuid[], package uuid, kind text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
DECLARE
    prefix  text := CASE kind WHEN 'FIRMWARE' THEN 'fw_' ELSE 'sf_' END;
    every   text[] := ARRAY(SELECT prefix || x FROM unnest(ARRAY['title',
                                'version', 'tag', 'size', 'checksum',
                                'checksum_algorithm', 'url']) AS x);
    now_ms  bigint := iot.now_ms();
    r       iot.ota_package;
    v       jsonb := '{}'::jsonb;
BEGIN
    SELECT * INTO r FROM iot.ota_package AS t
     WHERE t.tenant_id = tenant AND t.id = package;

    IF r.id IS NOT NULL THEN
        v := jsonb_strip_nulls(jsonb_build_object(
            prefix || 'title', r.title, prefix || 'version', r.release,
            prefix || 'tag', r.tag, prefix || 'url', r.url,
            prefix || 'size', r.data_size, prefix || 'checksum', r.checksum,
            prefix || 'checksum_algorithm', r.checksum_algorithm));
    END IF;

    DELETE FROM iot.attribute AS a USING iot.key AS k
     WHERE a.entity = ANY (nrs) AND a.scope = 2 AND k.id = a.key
           AND k.name = ANY (every) AND NOT v ? k.name;

    INSERT INTO iot.attribute AS a (entity, scope, key, l, s, updated_at)
    SELECT x.nr, 2, k.id,
           CASE jsonb_typeof(v -> k.name) WHEN 'number'
           THEN (v ->> k.name)::bigint END,
           CASE jsonb_typeof(v -> k.name) WHEN 'string'
           THEN v ->> k.name END, now_ms
      FROM unnest(nrs) AS x (nr),
           unnest(every, iot.key_ids(every)) AS k (name, id)
     WHERE v ? k.name
     ORDER BY x.nr, k.id
        ON CONFLICT (entity, scope, key) DO UPDATE
       SET b = NULL, l = excluded.l, d = NULL, s = excluded.s,
           updated_at = excluded.updated_at;

    IF r.id IS NOT NULL THEN
        PERFORM iot.telemetry_save(x.nr, json_build_array(
                    json_build_array(prefix || 'state', now_ms, 's', 'QUEUED'),
                    json_build_array('target_' || prefix || 'title', now_ms,
                                     's', r.title),
                    json_build_array('target_' || prefix || 'version', now_ms,
                                     's', r.release)), NULL)
           FROM unnest(nrs) AS x (nr);
    END IF;

    PERFORM set_config('iot.events', (COALESCE(iot.events()::jsonb, '[]')
        || COALESCE((SELECT jsonb_agg(iot.event_of(tenant, x.id,
                         'attributes/shared',
                         CASE WHEN r.id IS NULL
                         THEN json_build_object('deleted', every)
                         ELSE v::json END))
                       FROM unnest(tell) AS x (id)), '[]'))::text, true);
END
$$;


CREATE OR REPLACE FUNCTION iot.ota_device_changed() RETURNS trigger
LANGUAGE plpgsql
AS $$
DECLARE
    was  iot.device_profile;
    now  iot.device_profile;
BEGIN
    SELECT * INTO now FROM iot.device_profile AS t
     WHERE t.tenant_id = NEW.tenant_id AND t.id = NEW.profile_id;

    IF TG_OP = 'UPDATE' THEN
        SELECT * INTO was FROM iot.device_profile AS t
         WHERE t.tenant_id = OLD.tenant_id AND t.id = OLD.profile_id;

        was.firmware_id := COALESCE(OLD.firmware_id, was.firmware_id);
        was.software_id := COALESCE(OLD.software_id, was.software_id);
    END IF;

    PERFORM iot.ota_assignable(NEW.tenant_id, NEW.profile_id,
                               NEW.firmware_id, 'FIRMWARE');
    PERFORM iot.ota_assignable(NEW.tenant_id, NEW.profile_id,
                               NEW.software_id, 'SOFTWARE');

    now.firmware_id := COALESCE(NEW.firmware_id, now.firmware_id);
    now.software_id := COALESCE(NEW.software_id, now.software_id);

    IF now.firmware_id IS DISTINCT FROM was.firmware_id THEN
        PERFORM iot.ota_tell(NEW.tenant_id, ARRAY[NEW.nr], ARRAY[NEW.id],
                             now.firmware_id, 'FIRMWARE');
    END IF;

    IF now.software_id IS DISTINCT FROM was.software_id THEN
        PERFORM iot.ota_tell(NEW.tenant_id, ARRAY[NEW.nr], ARRAY[NEW.id],
                             now.software_id, 'SOFTWARE');
    END IF;

    RETURN NULL;
END
$$;


CREATE OR REPLACE FUNCTION iot.ota_profile_changed() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    IF NEW.firmware_id IS DISTINCT FROM OLD.firmware_id THEN
        PERFORM iot.ota_assignable(NEW.tenant_id, NEW.id, NEW.firmware_id,
                                   'FIRMWARE');
        PERFORM iot.ota_tell(NEW.tenant_id, x.nrs, x.tell, NEW.firmware_id,
                             'FIRMWARE')
           FROM iot.ota_devices(NEW.tenant_id, NEW.id, 'FIRMWARE') AS x
          WHERE x.nrs IS NOT NULL;
    END IF;

    IF NEW.software_id IS DISTINCT FROM OLD.software_id THEN
        PERFORM iot.ota_assignable(NEW.tenant_id, NEW.id, NEW.software_id,
                                   'SOFTWARE');
        PERFORM iot.ota_tell(NEW.tenant_id, x.nrs, x.tell, NEW.software_id,
                             'SOFTWARE')
           FROM iot.ota_devices(NEW.tenant_id, NEW.id, 'SOFTWARE') AS x
          WHERE x.nrs IS NOT NULL;
    END IF;

    RETURN NULL;
END
$$;


-- Devices that have the package of their profile; tell: those that are active,
-- for the others ask when they come.

CREATE OR REPLACE FUNCTION iot.ota_devices(tenant uuid, profile uuid,
    kind text, OUT nrs integer[], OUT tell uuid[])
LANGUAGE plpgsql STABLE
AS $$
BEGIN
    SELECT array_agg(d.nr ORDER BY d.nr),
           array_agg(d.id ORDER BY d.nr) FILTER (WHERE iot.device_active(d.nr))
      INTO nrs, tell
      FROM iot.device AS d
     WHERE d.tenant_id = tenant AND d.profile_id = profile
           AND CASE kind WHEN 'FIRMWARE' THEN d.firmware_id
               ELSE d.software_id END IS NULL;
END
$$;


CREATE OR REPLACE TRIGGER ota_made AFTER INSERT ON iot.device
    FOR EACH ROW EXECUTE FUNCTION iot.ota_device_changed();

CREATE OR REPLACE TRIGGER ota_changed
    AFTER UPDATE OF firmware_id, software_id, profile_id ON iot.device
    FOR EACH ROW
    WHEN ((OLD.firmware_id, OLD.software_id, OLD.profile_id) IS DISTINCT FROM
          (NEW.firmware_id, NEW.software_id, NEW.profile_id))
    EXECUTE FUNCTION iot.ota_device_changed();

CREATE OR REPLACE TRIGGER ota_changed
    AFTER UPDATE OF firmware_id, software_id ON iot.device_profile
    FOR EACH ROW
    WHEN ((OLD.firmware_id, OLD.software_id) IS DISTINCT FROM
          (NEW.firmware_id, NEW.software_id))
    EXECUTE FUNCTION iot.ota_profile_changed();


SELECT iot.definer('iot.ota_tell',
    'writes attributes of devices whose rows have changed');
