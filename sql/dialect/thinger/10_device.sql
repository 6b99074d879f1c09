--
-- Copyright (C) the ngx_iot authors
--
-- Accounts and devices as the Thinger.io API has them.


CREATE OR REPLACE FUNCTION thinger.account_get(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    u  iot.users;
BEGIN
    PERFORM iot.enter(p);

    u := iot.account_user(p, path[1]);

    RETURN json_build_object('user', iot.account_name(u), 'email', u.email,
                             'created', u.created_time, 'enabled', true);
END
$$;


-- "user" gives the account its short name.

CREATE OR REPLACE FUNCTION thinger.account_save(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    u  iot.users;
BEGIN
    PERFORM iot.enter(p);

    u := iot.account_user(p, path[1]);

    IF json_typeof(body) <> 'object' OR body ->> 'user' IS NULL THEN
        PERFORM iot.fail_request('invalid body');
    END IF;

    PERFORM iot.account_rename(p, u, body ->> 'user');

    RETURN json_build_object('user', body ->> 'user', 'email', u.email,
                             'created', u.created_time, 'enabled', true);
END
$$;


CREATE OR REPLACE FUNCTION thinger.device_out(d iot.device, account text)
RETURNS json
LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN json_build_object(
        'device', d.name,
        'name', COALESCE(d.label, ''),
        'description', COALESCE(d.additional_info ->> 'description', ''),
        'type', 'Generic',
        'user', account,
        'enabled', d.enabled,
        'created', d.created_time,
        'connection', json_build_object('active',
                          COALESCE(iot.device_active(d.nr), false)));
END
$$;


CREATE OR REPLACE FUNCTION thinger.device_list(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    u      iot.users;
    skip   bigint;
    page   bigint;
    title  text := query ->> 'name';
BEGIN
    PERFORM iot.enter(p);

    u := iot.account_user(p, path[1]);

    IF COALESCE(query ->> 'count', '0') !~ '^[0-9]{1,9}$'
       OR COALESCE(query ->> 'index', '0') !~ '^[0-9]{1,9}$'
    THEN
        PERFORM iot.fail_request('invalid page');
    END IF;

    page := NULLIF((query ->> 'count')::bigint, 0);
    skip := (query ->> 'index')::bigint;

    RETURN (
        SELECT COALESCE(json_agg(thinger.device_out(l.d, path[1])), '[]')
          FROM (SELECT d FROM iot.device AS d
                 WHERE d.tenant_id = u.tenant_id
                       AND (u.customer_id IS NULL
                            OR d.customer_id = u.customer_id)
                       AND iot.may(p, 'READ', 'DEVICE', d.id, d.customer_id)
                       AND (title IS NULL
                            OR position(lower(title) IN lower(d.name)) > 0)
                 ORDER BY d.name COLLATE "C"
                 LIMIT page OFFSET skip) AS l (d));
END
$$;


-- The worker sends {"id":ID of the credentials,"b":BODY}.

CREATE OR REPLACE FUNCTION thinger.device_create(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    b       json := body -> 'b';
    c       iot.device_credentials;
    d       iot.device;
    secret  text;
    u       iot.users;
BEGIN
    PERFORM iot.enter(p);

    u := iot.account_user(p, path[1]);

    d.name := COALESCE(b ->> 'device', b ->> 'device_id');
    secret := COALESCE(b ->> 'credentials', b ->> 'device_credentials');

    IF COALESCE(d.name !~ '^[a-zA-Z0-9_-]{1,32}$', true) THEN
        PERFORM iot.fail_request('invalid device identifier');
    END IF;

    IF COALESCE(b ->> 'type', 'Generic') NOT IN ('Generic', 'MQTT') THEN
        PERFORM iot.fail_request('device type is not supported');
    END IF;

    IF COALESCE(length(secret), 0) NOT BETWEEN 6 AND 255 THEN
        PERFORM iot.fail_request('credentials must have 6 to 255 characters');
    END IF;

    IF length(b ->> 'name') > 255 OR length(b ->> 'description') > 255 THEN
        PERFORM iot.fail_request('text is too long');
    END IF;

    IF EXISTS (SELECT FROM iot.device AS t
                WHERE t.tenant_id = p.tenant_id AND t.name = d.name)
    THEN
        PERFORM iot.fail(409, 'conflict', 'device already exists');
    END IF;

    d.label := NULLIF(b ->> 'name', '');
    d.customer_id := u.customer_id;
    d.additional_info := json_build_object('description',
        COALESCE(b ->> 'description', b ->> 'device_description', ''));

    c.type := 'MQTT_BASIC';
    c.credentials_id := body ->> 'id';
    c.value := json_build_object('clientId', d.name, 'userName', path[1],
                                 'password', secret);

    RETURN thinger.device_out(iot.device_save(p, d, NULL, c), path[1]);
END
$$;


CREATE OR REPLACE FUNCTION thinger.device_get(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    u  iot.users;
BEGIN
    PERFORM iot.enter(p);

    u := iot.account_user(p, path[1]);

    RETURN thinger.device_out(iot.account_device(p, u, path[2], 'READ'),
                              path[1]);
END
$$;


CREATE OR REPLACE FUNCTION thinger.device_update(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    b    json := body -> 'b';
    c    iot.device_credentials;
    d    iot.device;
    u    iot.users;
BEGIN
    PERFORM iot.enter(p);

    u := iot.account_user(p, path[1]);
    d := iot.account_device(p, u, path[2], 'WRITE');

    IF length(b ->> 'name') > 255 OR length(b ->> 'description') > 255 THEN
        PERFORM iot.fail_request('text is too long');
    END IF;

    IF b ->> 'credentials' IS NOT NULL THEN
        IF length(b ->> 'credentials') NOT BETWEEN 1 AND 255 THEN
            PERFORM iot.fail_request(
                'credentials must have 1 to 255 characters');
        END IF;

        c := iot.credentials_get(p, d.id);
        c.type := 'MQTT_BASIC';
        c.credentials_id := body ->> 'id';
        c.value := json_build_object('clientId', d.name, 'userName', path[1],
                                     'password', b ->> 'credentials');
        PERFORM iot.credentials_save(p, c);
    END IF;

    d.label := COALESCE(b ->> 'name', d.label);

    IF b ->> 'description' IS NOT NULL THEN
        d.additional_info := (COALESCE(d.additional_info::jsonb, '{}')
            || jsonb_build_object('description', b ->> 'description'))::json;
    END IF;

    RETURN thinger.device_out(iot.device_save(p, d, NULL), path[1]);
END
$$;


CREATE OR REPLACE FUNCTION thinger.device_delete(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    u  iot.users;
BEGIN
    PERFORM iot.enter(p);

    u := iot.account_user(p, path[1]);

    PERFORM iot.device_delete(p,
        (iot.account_device(p, u, path[2], 'DELETE')).id);

    RETURN NULL;
END
$$;


-- Which device it is, for a call of one of its resources.

CREATE OR REPLACE FUNCTION thinger.resource_begin(p iot.principal,
    account text, device text)
RETURNS TABLE (tenant_id uuid, device_id uuid)
LANGUAGE plpgsql
AS $$
DECLARE
    d  iot.device;
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.need_write(p);

    d := iot.account_device(p, iot.account_user(p, account), device,
                            'RPC_CALL');

    tenant_id := d.tenant_id;
    device_id := d.id;

    RETURN NEXT;
END
$$;
