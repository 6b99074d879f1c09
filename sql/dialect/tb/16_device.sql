
--
-- Copyright (C) the ngx_iot authors
--
-- /api/device..., but for its lists


CREATE OR REPLACE FUNCTION tb.device_out(d iot.device, type text)
RETURNS json
LANGUAGE sql STABLE
AS $$
    SELECT json_build_object(
        'id', tb.id('DEVICE', d.id),
        'createdTime', d.created_time,
        'additionalInfo', d.additional_info,
        'tenantId', tb.id('TENANT', d.tenant_id),
        'customerId', tb.id_or_none('CUSTOMER', d.customer_id),
        'ownerId', tb.owner(d.tenant_id, d.customer_id),
        'name', d.name,
        'type', device_out.type,
        'label', d.label,
        'deviceProfileId', tb.id('DEVICE_PROFILE', d.profile_id),
        'deviceData',
            COALESCE(d.data, '{"configuration":{"type":"DEFAULT"},'
                             '"transportConfiguration":{"type":"DEFAULT"}}'),
        'firmwareId', tb.id('OTA_PACKAGE', d.firmware_id),
        'softwareId', tb.id('OTA_PACKAGE', d.software_id),
        'externalId', tb.id('DEVICE', d.external_id),
        'version', d.version)
$$;


CREATE OR REPLACE FUNCTION tb.device_info_out(d iot.device, type text,
    customer text, is_public boolean) RETURNS json
LANGUAGE sql STABLE
AS $$
    SELECT json_build_object(
        'id', tb.id('DEVICE', d.id),
        'createdTime', d.created_time,
        'additionalInfo', d.additional_info,
        'tenantId', tb.id('TENANT', d.tenant_id),
        'customerId', tb.id_or_none('CUSTOMER', d.customer_id),
        'ownerId', tb.owner(d.tenant_id, d.customer_id),
        'name', d.name,
        'type', device_info_out.type,
        'label', d.label,
        'deviceProfileId', tb.id('DEVICE_PROFILE', d.profile_id),
        'deviceData',
            COALESCE(d.data, '{"configuration":{"type":"DEFAULT"},'
                             '"transportConfiguration":{"type":"DEFAULT"}}'),
        'firmwareId', tb.id('OTA_PACKAGE', d.firmware_id),
        'softwareId', tb.id('OTA_PACKAGE', d.software_id),
        'externalId', tb.id('DEVICE', d.external_id),
        'version', d.version,
        'customerTitle', device_info_out.customer,
        'customerIsPublic', COALESCE(device_info_out.is_public, false),
        'deviceProfileName', device_info_out.type,
        'active', iot.device_active(d.nr))
$$;


CREATE OR REPLACE FUNCTION tb.device_in(body json) RETURNS iot.device
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    r  iot.device;
BEGIN
    PERFORM tb.need_object(body);

    r.id := tb.ref(body, 'id');
    r.customer_id := tb.ref(body, 'customerId');
    r.profile_id := tb.ref(body, 'deviceProfileId');
    r.name := tb.text(body, 'name');
    r.label := tb.text(body, 'label');
    r.data := tb.object(body, 'deviceData');
    r.firmware_id := tb.ref(body, 'firmwareId');
    r.software_id := tb.ref(body, 'softwareId');
    r.additional_info := tb.object(body, 'additionalInfo');
    r.external_id := tb.ref(body, 'externalId');
    r.version := tb.long(body, 'version');

    RETURN r;
END
$$;


-- One device as JSON: the name of its profile is its type.  Volatile, so that
-- it sees a profile that was made by the same statement.

CREATE OR REPLACE FUNCTION tb.device_show(d iot.device) RETURNS json
LANGUAGE plpgsql VOLATILE
AS $$
BEGIN
    RETURN tb.device_out(d, (SELECT dp.name FROM iot.device_profile AS dp
                             WHERE dp.tenant_id = d.tenant_id
                                   AND dp.id = d.profile_id));
END
$$;


CREATE OR REPLACE FUNCTION tb.device_get(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);

    RETURN tb.device_show(iot.device_get(p, tb.uuid(path[1])));
END
$$;


CREATE OR REPLACE FUNCTION tb.device_info_get(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    v  iot.device;
BEGIN
    PERFORM iot.enter(p);

    v := iot.device_get(p, tb.uuid(path[1]));

    RETURN (SELECT tb.device_info_out(v, dp.name, c.title, c.is_public)
            FROM iot.device_profile AS dp
                LEFT JOIN iot.customer AS c
                    ON c.tenant_id = v.tenant_id AND c.id = v.customer_id
            WHERE dp.tenant_id = v.tenant_id AND dp.id = v.profile_id);
END
$$;


CREATE OR REPLACE FUNCTION tb.device_save(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    c       iot.device_credentials;
    how     record;
    r       iot.device;
    groups  uuid[];
BEGIN
    PERFORM iot.enter(p);

    how := tb.conflict(query);
    r := tb.device_in(body);

    IF r.id IS NULL THEN
        groups := tb.group_args(query);
        r.customer_id := COALESCE(r.customer_id, tb.owner_in(body),
                                  tb.groups_owner(p, groups));
    END IF;

    IF tb.arg(query, 'accessToken') IS NOT NULL THEN
        c.type := 'ACCESS_TOKEN';
        c.credentials_id := tb.arg(query, 'accessToken');
    END IF;

    r := iot.device_save(p, r, tb.text(body, 'type'), c, how.policy,
                         how.separator, how.strategy);

    PERFORM tb.join_groups(p, groups, r.id);

    RETURN tb.device_show(r);
END
$$;


-- The worker has added "_credentialsId", computed from the value, for the
-- types that need it.

CREATE OR REPLACE FUNCTION tb.credentials_in(body json)
RETURNS iot.device_credentials
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    c  iot.device_credentials;
BEGIN
    PERFORM tb.need_object(body);

    c.id := tb.ref(body, 'id');
    c.device_id := tb.ref(body, 'deviceId');
    c.type := tb.text(body, 'credentialsType');
    c.value := tb.raw_text(body, 'credentialsValue', 65536);
    c.version := tb.long(body, 'version');

    c.credentials_id := CASE
        WHEN c.type IN ('MQTT_BASIC', 'X509_CERTIFICATE') THEN
            body ->> '_credentialsId'
        ELSE
            tb.raw_text(body, 'credentialsId')
        END;

    IF c.type = 'ACCESS_TOKEN' THEN
        c.value := NULL;
    END IF;

    RETURN c;
END
$$;


CREATE OR REPLACE FUNCTION tb.credentials_out(c iot.device_credentials)
RETURNS json
LANGUAGE sql STABLE
AS $$
    SELECT json_build_object(
        'id', json_build_object('id', c.id),
        'createdTime', c.created_time,
        'deviceId', tb.id('DEVICE', c.device_id),
        'credentialsType', c.type,
        'credentialsId', c.credentials_id,
        'credentialsValue', c.value,
        'version', c.version)
$$;


CREATE OR REPLACE FUNCTION tb.device_with_credentials(p iot.principal,
    path text[], query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    d    iot.device;
    c    iot.device_credentials;
    old  iot.device_credentials;
    how  record;
BEGIN
    PERFORM iot.enter(p);
    PERFORM tb.need_object(body);

    how := tb.conflict(query);
    d := tb.device_in(body -> 'device');
    c := tb.credentials_in(body -> 'credentials');

    IF d.id IS NOT NULL THEN
        old := iot.credentials_get(p, d.id);
        c.id := old.id;
        c.device_id := d.id;
        c.version := NULL;

        PERFORM iot.credentials_save(p, c);

    ELSE
        PERFORM iot.credentials_check(c);
    END IF;

    RETURN tb.device_show(iot.device_save(p, d,
                              tb.text(body -> 'device', 'type'), c,
                              how.policy, how.separator, how.strategy));
END
$$;


CREATE OR REPLACE FUNCTION tb.device_delete(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.device_delete(p, tb.uuid(path[1]));

    RETURN NULL;
END
$$;


CREATE OR REPLACE FUNCTION tb.device_assign(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    c  iot.customer;
BEGIN
    PERFORM iot.enter(p);

    c := iot.customer_get(p, tb.uuid(path[1]));

    RETURN tb.device_show(iot.device_assign(p, tb.uuid(path[2]), c));
END
$$;


CREATE OR REPLACE FUNCTION tb.device_unassign(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);

    RETURN tb.device_show(iot.device_assign(p, tb.uuid(path[1]), NULL));
END
$$;


CREATE OR REPLACE FUNCTION tb.device_assign_public(p iot.principal,
    path text[], query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    id  uuid := tb.uuid(path[1]);
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.device_get(p, id, 'WRITE');

    RETURN tb.device_show(iot.device_assign(p, id, iot.customer_public(p)));
END
$$;


CREATE OR REPLACE FUNCTION tb.device_credentials_get(p iot.principal,
    path text[], query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);

    RETURN tb.credentials_out(iot.credentials_get(p, tb.uuid(path[1])));
END
$$;


CREATE OR REPLACE FUNCTION tb.device_credentials_save(p iot.principal,
    path text[], query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);

    RETURN tb.credentials_out(
        iot.credentials_save(p, tb.credentials_in(body)));
END
$$;


CREATE OR REPLACE FUNCTION tb.device_move(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    d     iot.device;
    type  text;
BEGIN
    PERFORM iot.enter(p);

    d := iot.device_get(p, tb.uuid(path[2]));

    SELECT dp.name INTO type FROM iot.device_profile AS dp
    WHERE dp.tenant_id = d.tenant_id AND dp.id = d.profile_id;

    RETURN tb.device_out(iot.device_move(p, d.id, tb.uuid(path[1])), type);
END
$$;


-- Commands to try a device with, ready for a shell.

CREATE OR REPLACE FUNCTION tb.device_connectivity(p iot.principal,
    path text[], query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    c      iot.device_credentials;
    base   text;
    host   text;
    basic  json;
    how    text;
BEGIN
    PERFORM iot.enter(p);

    c := iot.credentials_get(p, tb.uuid(path[1]));
    base := COALESCE(iot.setting('general') ->> 'baseUrl',
                     'http://localhost:8080');
    base := rtrim(base, '/');
    host := substring(base FROM '^[a-z]+://(\[[^]]*\]|[^:/]+)');

    CASE c.type
    WHEN 'ACCESS_TOKEN' THEN
        how := '-u ' || tb.shell_quote(c.credentials_id);

    WHEN 'MQTT_BASIC' THEN
        basic := c.value::json;
        how := concat_ws(' ',
            '-i ' || tb.shell_quote(NULLIF(basic ->> 'clientId', '')),
            '-u ' || tb.shell_quote(NULLIF(basic ->> 'userName', '')),
            '-P ' || tb.shell_quote(NULLIF(basic ->> 'password', '')));

    ELSE
        RETURN '{"mqtt":{"mqtts":"Check documentation"}}'::json;
    END CASE;

    RETURN json_strip_nulls(json_build_object(
        'http', CASE WHEN c.type = 'ACCESS_TOKEN' THEN json_build_object(
            split_part(base, ':', 1),
            format('curl -v -X POST %s --header Content-Type:application/json'
                   ' --data ''{"temperature":25}''',
                   tb.shell_quote(base || '/api/v1/' || c.credentials_id
                                  || '/telemetry'))) END,
        'mqtt', json_build_object(
            'mqtt',
            format('mosquitto_pub -d -q 1 -h %s -p 1883 '
                   '-t v1/devices/me/telemetry %s '
                   '-m ''{"temperature":25}''',
                   tb.shell_quote(host), how))));
END
$$;


CREATE OR REPLACE FUNCTION tb.shell_quote(value text) RETURNS text
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    IF value ~ '^[A-Za-z0-9_./:=@%+-]+$' THEN
        RETURN value;
    END IF;

    RETURN '''' || replace(value, '''', '''\''''') || '''';
END
$$;
