
--
-- Copyright (C) the ngx_iot authors
--
-- Credentials of devices.  credentials_id is what a device is looked up by:
-- the access token, or for MQTT_BASIC and X509_CERTIFICATE a value that the
-- worker has computed (it has the hash functions for it).


-- Shape and completeness; the caller may still see its own texts.

CREATE OR REPLACE FUNCTION iot.credentials_check(c iot.device_credentials)
RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    basic  json;
BEGIN
    IF c.type IS NULL THEN
        PERFORM iot.fail_request(
            'Device credentials type should be specified!');
    END IF;

    IF length(c.credentials_id) > 255 AND c.type = 'ACCESS_TOKEN' THEN
        PERFORM iot.fail_request(
            'credentialsId length must be equal or less than 255');
    END IF;

    CASE c.type
    WHEN 'ACCESS_TOKEN' THEN
        IF COALESCE(btrim(c.credentials_id), '') = '' THEN
            PERFORM iot.fail_request('Access token can''t be empty!');
        END IF;

    WHEN 'MQTT_BASIC' THEN
        IF c.value IS NULL OR NOT iot.is_json_object(c.value) THEN
            PERFORM iot.fail_request('Mqtt credentials are malformed!');
        END IF;

        basic := c.value::json;

        IF COALESCE(basic ->> 'clientId', '') = ''
           AND COALESCE(basic ->> 'userName', '') = ''
        THEN
            PERFORM iot.fail_request(
                'Both mqtt client id and user name are empty!');
        END IF;

        IF COALESCE(basic ->> 'userName', '') = ''
           AND COALESCE(basic ->> 'password', '') <> ''
        THEN
            PERFORM iot.fail_request('Mqtt user name is empty!');
        END IF;

    WHEN 'X509_CERTIFICATE' THEN
        IF COALESCE(c.value, '') = '' THEN
            PERFORM iot.fail_request('Certificate value can''t be empty!');
        END IF;

    WHEN 'LWM2M_CREDENTIALS' THEN
        NULL;

    ELSE
        PERFORM iot.fail_request(
            format('Unknown device credentials type ''%s''!', c.type));
    END CASE;

    IF COALESCE(c.credentials_id, '') = '' THEN
        PERFORM iot.fail_request(
            'Device credentials id should be specified!');
    END IF;
END
$$;


CREATE OR REPLACE FUNCTION iot.credentials_insert(c iot.device_credentials)
RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.credentials_check(c);

    INSERT INTO iot.device_credentials (tenant_id, device_id, type,
                                        credentials_id, value)
    VALUES (c.tenant_id, c.device_id, c.type, c.credentials_id, c.value)
    ON CONFLICT (credentials_id) DO NOTHING;

    IF NOT FOUND THEN
        PERFORM iot.fail_request(
            'Device credentials are already assigned to another device!');
    END IF;
END
$$;


CREATE OR REPLACE FUNCTION iot.credentials_get(p iot.principal, device uuid)
RETURNS iot.device_credentials
LANGUAGE plpgsql
AS $$
DECLARE
    d  iot.device := iot.device_get(p, device, 'READ_CREDENTIALS');
    c  iot.device_credentials;
BEGIN
    SELECT * INTO c FROM iot.device_credentials AS t
    WHERE t.tenant_id = d.tenant_id AND t.device_id = d.id;

    IF c.id IS NULL THEN
        PERFORM iot.fail_missing('Device credentials', NULL);
    END IF;

    RETURN c;
END
$$;


-- Replace the credentials of c.device_id; the sessions that the old ones have
-- opened are closed by the notification.

CREATE OR REPLACE FUNCTION iot.credentials_replace(c iot.device_credentials)
RETURNS iot.device_credentials
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.credentials_check(c);

    BEGIN
        UPDATE iot.device_credentials AS t
        SET type = c.type,
            credentials_id = c.credentials_id,
            value = c.value,
            version = t.version + 1
        WHERE t.tenant_id = c.tenant_id AND t.device_id = c.device_id
        RETURNING * INTO c;

    EXCEPTION
        WHEN unique_violation THEN
            PERFORM iot.fail_request(
                'Device credentials are already assigned to another device!');
    END;

    PERFORM pg_notify('iot', 'device ' || c.device_id);

    RETURN c;
END
$$;


CREATE OR REPLACE FUNCTION iot.credentials_save(p iot.principal,
    c iot.device_credentials) RETURNS iot.device_credentials
LANGUAGE plpgsql
AS $$
DECLARE
    d    iot.device;
    old  iot.device_credentials;
BEGIN
    PERFORM iot.need_role(p, 'TENANT_ADMIN', 'CUSTOMER_USER');

    SELECT * INTO d FROM iot.device AS t
    WHERE t.tenant_id = p.tenant_id AND t.id = c.device_id;

    SELECT * INTO old FROM iot.device_credentials AS t
    WHERE t.tenant_id = p.tenant_id AND t.device_id = c.device_id
    FOR UPDATE;

    IF d.id IS NULL OR old.id IS NULL OR c.id IS DISTINCT FROM old.id THEN
        PERFORM iot.fail_request(
            'Unable to update non-existent device credentials!');
    END IF;

    PERFORM iot.need(p, 'WRITE_CREDENTIALS', 'DEVICE', d.id, d.customer_id);

    IF c.version <> old.version THEN
        PERFORM iot.fail_version('Device credentials');
    END IF;

    c.tenant_id := p.tenant_id;
    c := iot.credentials_replace(c);

    PERFORM iot.audit(p, 'DEVICE', d.id, d.name, 'CREDENTIALS_UPDATED',
                      data => json_build_object('credentialsType', c.type),
                      customer => d.customer_id);

    RETURN c;
END
$$;
