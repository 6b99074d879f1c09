--
-- Copyright (C) the ngx_iot authors
--
-- Claiming: a device (or its tenant, by the server attribute "claimingData")
-- names a secret, and the customer whose user knows it gets the device.


SELECT iot.setting_define('claim.allowed', 'boolean', 'true', NULL, 'tenant',
    true, false,
    'Devices may be claimed unless their server attribute "claimingAllowed" '
    'is false; if this is false, only those where it is true.');
SELECT iot.setting_define('claim.duration', 'integer', '86400000',
    '{"min":1000,"max":315360000000}', 'tenant', true, false,
    'How long what a device says about being claimed is good, in ms, when it '
    'does not say that itself.');
SELECT iot.setting_define('claim.attempts', 'integer', '5',
    '{"min":1,"max":1000}', 'tenant', true, false,
    'Wrong secrets for one device within a minute before further attempts '
    'are refused.');


CREATE OR REPLACE FUNCTION iot.claim_allowed(d iot.device) RETURNS boolean
LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN COALESCE(
        (SELECT a.b FROM iot.attributes(d.nr, 3::smallint,
                                        ARRAY['claimingAllowed']) AS a
          WHERE a.s IS NULL),
        iot.setting_value(d.tenant_id, 'claim.allowed')::text = 'true');
END
$$;


-- Devices say who may have them: for each a secret (may be empty) and for how
-- long (ms, 0: as the settings say).  Those that have a customer, or may not
-- be claimed, are skipped.  Returns how many were.

CREATE OR REPLACE FUNCTION iot.claim_offer(tenant uuid, devices uuid[],
    secrets text[], durations bigint[]) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
DECLARE
    days  bigint := iot.setting_value(tenant, 'claim.duration')::text::bigint;
    n     integer;
BEGIN
    INSERT INTO iot.device_claim AS c (tenant_id, device_id, secret_hash,
                                       expires_at)
    SELECT DISTINCT ON (d.id) d.tenant_id, d.id,
           sha256(convert_to(x.secret, 'UTF8')),
           iot.now_ms() + LEAST(COALESCE(NULLIF(x.duration, 0), days),
                                315360000000)
      FROM unnest(devices, secrets, durations) WITH ORDINALITY
               AS x (id, secret, duration, i)
           JOIN iot.device AS d ON d.tenant_id = tenant AND d.id = x.id
     WHERE d.customer_id IS NULL AND iot.claim_allowed(d)
     ORDER BY d.id, x.i DESC
        ON CONFLICT ON CONSTRAINT device_claim_pkey DO UPDATE
       SET secret_hash = excluded.secret_hash,
           expires_at = excluded.expires_at;

    GET DIAGNOSTICS n = ROW_COUNT;

    RETURN (SELECT count(DISTINCT x) FROM unnest(devices) AS x) - n;
END
$$;


-- What the secret must be like and until when, or NULL; that of the attribute
-- counts when the device has said nothing that is still good.

CREATE OR REPLACE FUNCTION iot.claim_data(d iot.device,
    OUT secret_hash bytea, OUT expires_at bigint)
LANGUAGE plpgsql
AS $$
DECLARE
    data  json;
BEGIN
    SELECT c.secret_hash, c.expires_at INTO secret_hash, expires_at
      FROM iot.device_claim AS c
     WHERE c.tenant_id = d.tenant_id AND c.device_id = d.id;

    IF secret_hash IS NOT NULL AND expires_at > iot.now_ms() THEN
        RETURN;
    END IF;

    SELECT a.s::json INTO data
      FROM iot.attributes(d.nr, 3::smallint, ARRAY['claimingData']) AS a
     WHERE a.s IS NOT NULL AND iot.is_json_object(a.s);

    IF data IS NULL THEN
        RETURN;
    END IF;

    secret_hash := sha256(convert_to(COALESCE(data ->> 'secretKey', ''),
                                     'UTF8'));
    expires_at := CASE WHEN data ->> 'expirationTime' ~ '^[0-9]{1,18}$'
                  THEN (data ->> 'expirationTime')::bigint ELSE 0 END;
END
$$;


-- A user of a customer claims a device by its name.  response: SUCCESS,
-- CLAIMED (it has a customer), FAILURE; with SUCCESS the device as it is now.

CREATE OR REPLACE FUNCTION iot.device_claim_take(p iot.principal, name text,
    secret text, OUT response text, OUT device iot.device)
LANGUAGE plpgsql
AS $$
DECLARE
    c     record;
    d     iot.device;
    most  integer;
    n     integer;
BEGIN
    PERFORM iot.need_role(p, 'CUSTOMER_USER');
    PERFORM iot.need_write(p);

    SELECT * INTO d FROM iot.device AS t
     WHERE t.tenant_id = p.tenant_id AND t.name = device_claim_take.name
       FOR UPDATE;

    IF d.id IS NULL THEN
        PERFORM iot.fail_missing('Device', NULL);
    END IF;

    IF d.customer_id IS NOT NULL THEN
        response := 'CLAIMED';
        RETURN;
    END IF;

    most := iot.setting_value(p.tenant_id, 'claim.attempts')::text::integer;

    SELECT t.failures INTO n FROM iot.device_claim AS t
     WHERE t.tenant_id = d.tenant_id AND t.device_id = d.id
           AND t.failed_at > iot.now_ms() - 60000;

    IF n >= most THEN
        PERFORM iot.fail(429, 'too_many_requests',
                         'Too many attempts to claim the device!');
    END IF;

    c := iot.claim_data(d);

    IF c.secret_hash IS NULL OR c.expires_at <= iot.now_ms()
       OR c.secret_hash <> sha256(convert_to(COALESCE(secret, ''), 'UTF8'))
       OR NOT iot.claim_allowed(d)
    THEN
        PERFORM iot.claim_failed(d);
        response := 'FAILURE';
        RETURN;
    END IF;

    UPDATE iot.device AS t
       SET customer_id = p.customer_id, version = t.version + 1
     WHERE t.tenant_id = d.tenant_id AND t.id = d.id
    RETURNING * INTO device;

    DELETE FROM iot.device_claim AS t
     WHERE t.tenant_id = d.tenant_id AND t.device_id = d.id;

    PERFORM iot.attribute_delete(d.nr, 3::smallint, ARRAY['claimingData']);
    PERFORM iot.audit(p, 'DEVICE', d.id, d.name, 'ASSIGNED_TO_CUSTOMER',
                      data => json_build_object('customerId', p.customer_id),
                      customer => p.customer_id);
    PERFORM pg_notify('iot', 'device ' || d.id);

    response := 'SUCCESS';
END
$$;


CREATE OR REPLACE FUNCTION iot.claim_failed(d iot.device) RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    INSERT INTO iot.device_claim AS c (tenant_id, device_id, failures,
                                       failed_at)
    VALUES (d.tenant_id, d.id, 1, iot.now_ms())
    ON CONFLICT ON CONSTRAINT device_claim_pkey DO UPDATE
       SET failures = CASE WHEN c.failed_at > iot.now_ms() - 60000
                      THEN c.failures + 1 ELSE 1 END,
           failed_at = excluded.failed_at;
END
$$;


-- The customer gives it back, or its tenant takes it.

CREATE OR REPLACE FUNCTION iot.device_claim_return(p iot.principal, name text)
RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    d    iot.device;
    was  uuid;
BEGIN
    PERFORM iot.need_role(p, 'TENANT_ADMIN', 'CUSTOMER_USER');
    PERFORM iot.need_write(p);

    SELECT * INTO d FROM iot.device AS t
     WHERE t.tenant_id = p.tenant_id AND t.name = device_claim_return.name
       FOR UPDATE;

    IF d.id IS NULL THEN
        PERFORM iot.fail_missing('Device', NULL);
    END IF;

    PERFORM iot.need(p, 'WRITE', 'DEVICE', d.id, d.customer_id);

    was := d.customer_id;

    IF was IS NULL THEN
        RETURN;
    END IF;

    UPDATE iot.device AS t
       SET customer_id = NULL, version = t.version + 1
     WHERE t.tenant_id = d.tenant_id AND t.id = d.id;

    IF NOT iot.claim_allowed(d) THEN
        PERFORM iot.attribute_save(d.nr, 3::smallint,
                                   '[["claimingAllowed","b","true"]]');
    END IF;

    PERFORM iot.audit(p, 'DEVICE', d.id, d.name, 'UNASSIGNED_FROM_CUSTOMER',
                      data => json_build_object('customerId', was),
                      customer => was);
    PERFORM pg_notify('iot', 'device ' || d.id);
END
$$;


SELECT iot.definer('iot.claim_offer',
    'called for devices the worker has checked');
