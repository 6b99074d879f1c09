
--
-- Copyright (C) the ngx_iot authors
--
-- Devices that show a certificate when they connect.


-- The device of a certificate, by the hash that is its credentials' id.

CREATE OR REPLACE FUNCTION iot.device_by_certificate(id text)
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
        FROM iot.device_credentials AS c
            JOIN iot.device AS d
                ON d.tenant_id = c.tenant_id AND d.id = c.device_id
            JOIN iot.device_profile AS dp
                ON dp.tenant_id = d.tenant_id AND dp.id = d.profile_id
            JOIN iot.tenant AS t ON t.id = d.tenant_id
            JOIN iot.tenant_profile AS tp ON tp.id = t.tenant_profile_id
        WHERE c.credentials_id = device_by_certificate.id
              AND c.type = 'X509_CERTIFICATE' AND t.gone_time IS NULL;
END
$$;

SELECT iot.definer('iot.device_by_certificate',
                   'asked by the workers before there is a caller');
GRANT EXECUTE ON FUNCTION iot.device_by_certificate(text) TO iot_app;


-- The name of a device in the common name of its certificate: what the first
-- parentheses of the profile's pattern match, or all that it matches.

CREATE OR REPLACE FUNCTION iot.certificate_device_name(dp iot.device_profile,
    common_name text) RETURNS text
LANGUAGE plpgsql
AS $$
DECLARE
    pattern  text := dp.data -> 'provisionConfiguration'
                             ->> 'certificateRegExPattern';
BEGIN
    IF COALESCE(pattern, '') = '' THEN
        RETURN btrim(common_name);
    END IF;

    RETURN btrim(substring(common_name FROM pattern));

EXCEPTION
    WHEN invalid_regular_expression THEN
        RETURN NULL;
END
$$;


-- A certificate that no device has, signed by these (hashes, the nearest one
-- first; the worker has checked the signatures).  The profile of such an
-- issuer takes the device in: an existing one gets the new certificate, a new
-- one is made where the profile allows it.  True: it has credentials now.

CREATE OR REPLACE FUNCTION iot.device_by_chain(issuers text[],
    common_name text, id text, value text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
DECLARE
    dp    iot.device_profile;
    d     iot.device;
    c     iot.device_credentials;
    p     iot.principal;
    name  text;
BEGIN
    SELECT t.* INTO dp
    FROM unnest(issuers) WITH ORDINALITY AS i (issuer, place)
        JOIN iot.device_profile AS t
            ON t.provision_key = i.issuer
               AND t.provision_type = 'X509_CERTIFICATE_CHAIN'
    WHERE iot.tenant_alive(t.tenant_id)
    ORDER BY i.place
    LIMIT 1;

    IF dp.id IS NULL THEN
        RETURN false;
    END IF;

    name := iot.certificate_device_name(dp, common_name);

    p.role := 'DEVICE';
    p.tenant_id := dp.tenant_id;
    p.name := dp.name;

    IF COALESCE(name, '') = '' OR length(name) > 255 THEN
        PERFORM iot.provision_failure(p, NULL, left(common_name, 255),
                                      'bad device name');
        RETURN false;
    END IF;

    c.type := 'X509_CERTIFICATE';
    c.credentials_id := device_by_chain.id;
    c.value := device_by_chain.value;

    -- a refusal below takes back whatever was done in this block

    BEGIN
        d := iot.certificate_admit(p, dp, name, c);

    EXCEPTION
        WHEN OTHERS THEN
            IF SQLSTATE NOT LIKE 'IO4%' THEN
                RAISE;
            END IF;

            PERFORM iot.provision_failure(p, NULL, name, SQLERRM);
            RETURN false;
    END;

    PERFORM iot.audit(p, 'DEVICE', d.id, d.name, 'PROVISION_SUCCESS',
                      customer => d.customer_id);

    RETURN true;
END
$$;

SELECT iot.definer('iot.device_by_chain',
                   'the device has no tenant before it is done');
GRANT EXECUTE ON FUNCTION iot.device_by_chain(text[], text, text, text)
    TO iot_app;


CREATE OR REPLACE FUNCTION iot.certificate_admit(p iot.principal,
    dp iot.device_profile, name text, c iot.device_credentials)
RETURNS iot.device
LANGUAGE plpgsql
AS $$
DECLARE
    d  iot.device;
BEGIN
    SELECT * INTO d FROM iot.device AS t
    WHERE t.tenant_id = dp.tenant_id AND t.name = certificate_admit.name
    FOR UPDATE;

    IF d.id IS NULL THEN
        IF (dp.data -> 'provisionConfiguration'
                    ->> 'allowCreateNewDevicesByX509Certificate')
           IS DISTINCT FROM 'true'
        THEN
            PERFORM iot.fail_request('no such device');
        END IF;

        RETURN iot.provision_create(p, dp, name, c, NULL, false);
    END IF;

    -- a name of another profile's device opens nothing

    IF d.profile_id <> dp.id THEN
        PERFORM iot.fail_request('the device has another profile');
    END IF;

    c.tenant_id := d.tenant_id;
    c.device_id := d.id;

    PERFORM iot.credentials_replace(c);

    RETURN d;
END
$$;
