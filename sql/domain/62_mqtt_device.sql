
--
-- Copyright (C) the ngx_iot authors
--
-- What MQTT has for devices beside access tokens: credentials of a client id,
-- a user name and a password.


-- The device of MQTT_BASIC credentials: those of the client id (with the user
-- name), by the hash that the worker has computed; or those of a user name
-- alone.  The worker compares the password.

CREATE OR REPLACE FUNCTION iot.device_by_login(basic_id text, user_name text)
RETURNS TABLE (device_id uuid, nr integer, tenant_id uuid, customer_id uuid,
    profile_id uuid, name text, gateway boolean, cast_strings boolean,
    enabled boolean, tenant_profile_id uuid, password text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
BEGIN
    RETURN QUERY
        SELECT d.id, d.nr, d.tenant_id, d.customer_id, d.profile_id, d.name,
               d.is_gateway, COALESCE(dp.cast_strings, tp.cast_strings, true),
               d.enabled, t.tenant_profile_id,
               NULLIF(c.value::json ->> 'password', '')
        FROM iot.device_credentials AS c
            JOIN iot.device AS d
                ON d.tenant_id = c.tenant_id AND d.id = c.device_id
            JOIN iot.device_profile AS dp
                ON dp.tenant_id = d.tenant_id AND dp.id = d.profile_id
            JOIN iot.tenant AS t ON t.id = d.tenant_id
            JOIN iot.tenant_profile AS tp ON tp.id = t.tenant_profile_id
        WHERE c.credentials_id IN (basic_id, NULLIF(user_name, ''))
              AND c.type = 'MQTT_BASIC' AND t.gone_time IS NULL
              AND (c.credentials_id = basic_id
                   OR COALESCE(c.value::json ->> 'clientId', '') = '')
        ORDER BY (c.credentials_id = basic_id) DESC
        LIMIT 1;
END
$$;

SELECT iot.definer('iot.device_by_login',
    'asked by the workers before there is a caller');
GRANT EXECUTE ON FUNCTION iot.device_by_login(text, text) TO iot_app;


-- The device of an id, for what a session of it has left behind.

CREATE OR REPLACE FUNCTION iot.device_by_id(id uuid)
RETURNS TABLE (device_id uuid, nr integer, tenant_id uuid, customer_id uuid,
    profile_id uuid, name text, gateway boolean, cast_strings boolean,
    enabled boolean, tenant_profile_id uuid)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
BEGIN
    RETURN QUERY
        SELECT d.id, d.nr, d.tenant_id, d.customer_id, d.profile_id, d.name,
               d.is_gateway, COALESCE(dp.cast_strings, tp.cast_strings, true),
               d.enabled, t.tenant_profile_id
        FROM iot.device AS d
            JOIN iot.device_profile AS dp
                ON dp.tenant_id = d.tenant_id AND dp.id = d.profile_id
            JOIN iot.tenant AS t ON t.id = d.tenant_id
            JOIN iot.tenant_profile AS tp ON tp.id = t.tenant_profile_id
        WHERE d.id = device_by_id.id;
END
$$;

SELECT iot.definer('iot.device_by_id',
    'asked by the workers for what a device has left behind');
GRANT EXECUTE ON FUNCTION iot.device_by_id(uuid) TO iot_app;
