
--
-- Copyright (C) the ngx_iot authors
--
-- Devices that register themselves with the key and the secret of a profile.


CREATE OR REPLACE FUNCTION iot.provision_failure(p iot.principal, d iot.device,
    name text, reason text) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.audit(p, 'DEVICE', d.id, name, 'PROVISION_FAILURE', 'FAILURE',
                      reason);

    RETURN json_build_object('errorMsg', 'Failed to provision device!',
                             'status', 'FAILURE');
END
$$;


-- The credentials that a request asks for; type NULL: it brings none.

CREATE OR REPLACE FUNCTION iot.provision_credentials(body json,
    credentials_id text) RETURNS iot.device_credentials
LANGUAGE plpgsql
AS $$
DECLARE
    c     iot.device_credentials;
    kind  text := COALESCE(body ->> 'credentialsType', 'ACCESS_TOKEN');
BEGIN
    CASE kind
    WHEN 'ACCESS_TOKEN' THEN
        c.credentials_id := NULLIF(btrim(body ->> 'token'), '');

        IF c.credentials_id IS NOT NULL THEN
            c.type := kind;
        END IF;

    WHEN 'MQTT_BASIC' THEN
        c.type := kind;
        c.value := json_build_object('clientId', body ->> 'clientId',
                                     'userName', body ->> 'username',
                                     'password', body ->> 'password');
        c.credentials_id := provision_credentials.credentials_id;

    WHEN 'X509_CERTIFICATE' THEN
        c.type := kind;
        c.value := body ->> 'hash';
        c.credentials_id := provision_credentials.credentials_id;

    ELSE
        PERFORM iot.fail_request(
            format('Unknown device credentials type ''%s''!', kind));
    END CASE;

    RETURN c;
END
$$;


-- Does the device have the server attribute "provisionState"?  If not, set it.
-- The row of the device is locked by the caller, so of two only one goes on.

CREATE OR REPLACE FUNCTION iot.provision_mark(nr integer) RETURNS boolean
LANGUAGE plpgsql
AS $$
DECLARE
    state  integer := (iot.key_ids(ARRAY['provisionState']))[1];
BEGIN
    IF EXISTS (SELECT FROM iot.attribute AS a
               WHERE a.entity = provision_mark.nr AND a.scope = 3
                     AND a.key = state)
    THEN
        RETURN false;
    END IF;

    PERFORM iot.ingest_attributes(
        ARRAY[provision_mark.nr], ARRAY[3::smallint], ARRAY[state],
        ARRAY[NULL::boolean], ARRAY[NULL::bigint], ARRAY[NULL::float8],
        ARRAY['provisioned'], ARRAY[iot.now_ms()]);

    RETURN true;
END
$$;


-- body: the request as received; the worker has seen that it is an object with
-- the key and the secret.  new_token, new_name: random, for what is missing.
-- credentials_id: computed from the request for MQTT_BASIC and
-- X509_CERTIFICATE.  Returns the reply for the device.

CREATE OR REPLACE FUNCTION iot.provision_device(body json, new_token text,
    new_name text, credentials_id text) RETURNS json
LANGUAGE plpgsql SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
DECLARE
    dp    iot.device_profile;
    d     iot.device;
    c     iot.device_credentials;
    p     iot.principal;
    name  text;
BEGIN
    IF json_typeof(body) IS DISTINCT FROM 'object'
       OR body -> 'provisionDeviceKey' IS NULL
       OR body -> 'provisionDeviceSecret' IS NULL
    THEN
        PERFORM iot.fail_request(
            'provisionDeviceKey and provisionDeviceSecret are required!');
    END IF;

    SELECT * INTO dp FROM iot.device_profile AS t
    WHERE t.provision_key = NULLIF(body ->> 'provisionDeviceKey', '')
          AND t.provision_secret = NULLIF(body ->> 'provisionDeviceSecret', '')
          AND t.provision_type IN ('ALLOW_CREATE_NEW_DEVICES',
                                   'CHECK_PRE_PROVISIONED_DEVICES')
          AND iot.tenant_alive(t.tenant_id);

    IF dp.id IS NULL THEN
        RETURN json_build_object('errorMsg', 'Provision data was not found!',
                                 'status', 'NOT_FOUND');
    END IF;

    p.role := 'DEVICE';
    p.tenant_id := dp.tenant_id;
    p.name := dp.name;

    name := body ->> 'deviceName';

    IF COALESCE(name, '') = '' THEN
        name := new_name;
    END IF;

    name := btrim(name);

    IF COALESCE(name, '') = '' OR length(name) > 255 THEN
        RETURN iot.provision_failure(p, NULL, name, 'bad device name');
    END IF;

    -- a refusal below takes back whatever was done in this block

    BEGIN
        c := iot.provision_credentials(body, credentials_id);

        IF dp.provision_type = 'ALLOW_CREATE_NEW_DEVICES' THEN
            d := iot.provision_create(p, dp, name, c, new_token,
                                      (body ->> 'gateway')::boolean);

        ELSE
            d := iot.provision_check(dp, name, c);
        END IF;

    EXCEPTION
        WHEN OTHERS THEN
            IF SQLSTATE NOT LIKE 'IO4%' AND SQLSTATE NOT LIKE '22%' THEN
                RAISE;
            END IF;

            RETURN iot.provision_failure(p, NULL, name, SQLERRM);
    END;

    SELECT * INTO c FROM iot.device_credentials AS t
    WHERE t.tenant_id = d.tenant_id AND t.device_id = d.id;

    PERFORM iot.audit(p, 'DEVICE', d.id, d.name, 'PROVISION_SUCCESS',
                      customer => d.customer_id);

    RETURN json_build_object(
        'credentialsValue',
            CASE c.type
            WHEN 'ACCESS_TOKEN' THEN to_json(c.credentials_id)
            WHEN 'MQTT_BASIC' THEN c.value::json
            ELSE to_json(c.value)
            END,
        'credentialsType', c.type,
        'status', 'SUCCESS');
END
$$;

INSERT INTO iot.definer_function (name, why)
VALUES ('iot.provision_device',
        'the device has no tenant before it is done')
ON CONFLICT (name) DO UPDATE SET why = excluded.why;


CREATE OR REPLACE FUNCTION iot.provision_create(p iot.principal,
    dp iot.device_profile, name text, c iot.device_credentials,
    new_token text, gateway boolean) RETURNS iot.device
LANGUAGE plpgsql
AS $$
DECLARE
    d  iot.device;
BEGIN
    d.tenant_id := dp.tenant_id;
    d.profile_id := dp.id;
    d.name := provision_create.name;
    d.is_gateway := COALESCE(gateway, false);

    IF d.is_gateway THEN
        d.additional_info := '{"gateway":true}';
    END IF;

    IF c.type IS NULL THEN
        c.credentials_id := new_token;
    END IF;

    d := iot.device_create(p, d, c);

    PERFORM iot.provision_mark(d.nr);

    RETURN d;
END
$$;


CREATE OR REPLACE FUNCTION iot.provision_check(dp iot.device_profile,
    name text, c iot.device_credentials) RETURNS iot.device
LANGUAGE plpgsql
AS $$
DECLARE
    d  iot.device;
BEGIN
    SELECT * INTO d FROM iot.device AS t
    WHERE t.tenant_id = dp.tenant_id AND t.profile_id = dp.id
          AND t.name = provision_check.name
    FOR UPDATE;

    IF d.id IS NULL THEN
        PERFORM iot.fail_request('no such device');
    END IF;

    IF NOT iot.provision_mark(d.nr) THEN
        PERFORM iot.fail_request('the device was provisioned already');
    END IF;

    IF c.type IS NOT NULL THEN
        c.tenant_id := d.tenant_id;
        c.device_id := d.id;

        PERFORM iot.credentials_replace(c);
    END IF;

    RETURN d;
END
$$;
