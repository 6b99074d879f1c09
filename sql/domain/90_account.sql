--
-- Copyright (C) the ngx_iot authors
--
-- Accounts: users under the name that devices and addresses have, the short
-- one if there is one, else the e-mail address.


-- The user of that name, of the caller's tenant; who is not its administrator
-- reaches only himself.

CREATE OR REPLACE FUNCTION iot.account_user(p iot.principal, account text)
RETURNS iot.users
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    u  iot.users;
BEGIN
    PERFORM iot.need_role(p, 'TENANT_ADMIN', 'CUSTOMER_USER');

    SELECT t.* INTO u
      FROM iot.users AS t
     WHERE t.tenant_id = p.tenant_id
           AND (t.id = (SELECT a.user_id FROM iot.account AS a
                         WHERE a.tenant_id = p.tenant_id AND a.name = account)
                OR t.email = lower(account))
     ORDER BY (t.email = lower(account))
     LIMIT 1;

    IF u.id IS NULL
       OR u.id IS DISTINCT FROM p.user_id AND p.role <> 'TENANT_ADMIN'
    THEN
        PERFORM iot.fail_permission();
    END IF;

    RETURN u;
END
$$;


CREATE OR REPLACE FUNCTION iot.account_name(u iot.users) RETURNS text
LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN COALESCE((SELECT a.name FROM iot.account AS a
                      WHERE a.tenant_id = u.tenant_id AND a.user_id = u.id),
                    u.email);
END
$$;


-- Names are unique in the whole installation; one that somebody else has is
-- refused.

CREATE OR REPLACE FUNCTION iot.account_rename(p iot.principal, u iot.users,
    name text) RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.need_write(p);

    IF COALESCE(name !~ '^[a-zA-Z0-9_-]{1,32}$', true) THEN
        PERFORM iot.fail_request('invalid user name');
    END IF;

    BEGIN
        INSERT INTO iot.account AS a (name, tenant_id, user_id)
        VALUES (account_rename.name, u.tenant_id, u.id)
        ON CONFLICT (user_id) DO UPDATE SET name = EXCLUDED.name;

    EXCEPTION
        WHEN unique_violation THEN
            PERFORM iot.fail(409, 'conflict', 'user already exists');
    END;

    PERFORM iot.audit(p, 'USER', u.id, u.email, 'UPDATED',
                      customer => u.customer_id);
END
$$;


-- A device of an account: of its customer, or for the account of an
-- administrator of the tenant any.

CREATE OR REPLACE FUNCTION iot.account_device(p iot.principal, u iot.users,
    device text, operation text) RETURNS iot.device
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    d  iot.device;
BEGIN
    SELECT t.* INTO d
      FROM iot.device AS t
     WHERE t.tenant_id = u.tenant_id AND t.name = account_device.device
           AND (u.customer_id IS NULL OR t.customer_id = u.customer_id);

    IF d.id IS NULL THEN
        PERFORM iot.fail(404, 'not_found', 'device not found');
    END IF;

    PERFORM iot.need(p, operation, 'DEVICE', d.id, d.customer_id);

    RETURN d;
END
$$;


-- [key, type, value] of a JSON value, for iot.attribute_save() and its kin.

CREATE OR REPLACE FUNCTION iot.typed_value(name text, value json)
RETURNS json
LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
    content  text := value #>> '{}';
BEGIN
    RETURN CASE json_typeof(value)
        WHEN 'boolean' THEN json_build_array(name, 'b', content)
        WHEN 'string' THEN json_build_array(name, 's', content)
        WHEN 'number' THEN
            json_build_array(name,
                CASE WHEN content ~ '^-?[0-9]{1,18}$' THEN 'l' ELSE 'd' END,
                content)
        ELSE json_build_array(name, 'j', value::text)
        END;
END
$$;


-- The point that a device writes into a bucket becomes telemetry of the
-- device, each member under the key BUCKET.MEMBER, what is no object under
-- BUCKET.value.  A member "ts" is the time in milliseconds.  False: there is
-- nothing to store.

CREATE OR REPLACE FUNCTION iot.bucket_point(entity_nr integer, bucket text,
    point json) RETURNS boolean
LANGUAGE plpgsql
AS $$
DECLARE
    points  json;
    ts      bigint := iot.now_ms();
BEGIN
    IF point IS NULL OR json_typeof(point) = 'null' THEN
        RETURN false;
    END IF;

    IF json_typeof(point) <> 'object' THEN
        point := json_build_object('value', point);

    ELSIF json_typeof(point -> 'ts') = 'number' THEN
        IF point ->> 'ts' !~ '^[0-9]{1,15}$' THEN
            RETURN false;
        END IF;

        ts := (point ->> 'ts')::bigint;
    END IF;

    SELECT json_agg(json_build_array(v.t -> 0, ts, v.t -> 1, v.t -> 2))
      INTO points
      FROM (SELECT iot.typed_value(bucket || '.' || e.key, e.value) AS t
              FROM json_each(point) AS e
             WHERE e.key <> 'ts' AND json_typeof(e.value) <> 'null') AS v;

    IF points IS NULL THEN
        RETURN false;
    END IF;

    PERFORM iot.telemetry_save(entity_nr, points, NULL);

    RETURN true;
END
$$;


-- What a connected device asks: 1 read a property, 2 write one, 3 call another
-- device of its owner (which is answered), 5 write into a bucket.  Properties are shared attributes.

CREATE OR REPLACE FUNCTION iot.native_ask(tenant uuid, device uuid,
    number integer, target text, payload json)
RETURNS TABLE (ok boolean, value text, device_id uuid)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
DECLARE
    d  iot.device;
BEGIN
    ok := false;

    SELECT t.* INTO d FROM iot.device AS t
     WHERE t.tenant_id = native_ask.tenant AND t.id = native_ask.device
           AND t.enabled;

    IF d.id IS NULL OR target !~ '^[a-zA-Z0-9_-]{1,32}$' THEN
        RETURN NEXT;
        RETURN;
    END IF;

    CASE number
    WHEN 1 THEN
        SELECT true, iot.value_json(a.b, a.l, a.d, a.s)
          INTO ok, value
          FROM iot.attributes(d.nr, 2::smallint, ARRAY[target]) AS a;

        ok := COALESCE(ok, false);

    WHEN 2 THEN
        IF payload IS NOT NULL THEN
            PERFORM iot.attribute_save(d.nr, 2::smallint,
                json_build_array(iot.typed_value(target, payload)));
            ok := true;
        END IF;

    WHEN 3 THEN
        SELECT t.id INTO device_id FROM iot.device AS t
         WHERE t.tenant_id = d.tenant_id AND t.name = target
               AND t.customer_id IS NOT DISTINCT FROM d.customer_id;

        ok := (device_id IS NOT NULL);

    WHEN 5 THEN
        ok := iot.bucket_point(d.nr, target, payload);

    ELSE
        NULL;
    END CASE;

    RETURN NEXT;
END
$$;

SELECT iot.definer('iot.native_ask',
    'asked by the workers for a device that has entered');
GRANT EXECUTE ON FUNCTION iot.native_ask(uuid, uuid, integer, text, json)
    TO iot_app;
