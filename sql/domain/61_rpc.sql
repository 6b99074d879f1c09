
--
-- Copyright (C) the ngx_iot authors
--
-- Requests to devices.


-- A new request to a device that the caller may call: its number, and for a
-- persistent one a row.  expires: ms.  The caller has checked the arguments.

CREATE OR REPLACE FUNCTION iot.rpc_begin(p iot.principal, device_id uuid,
    oneway boolean, body json, expires bigint, persistent boolean,
    retries integer, additional_info json, OUT request_id integer,
    OUT rpc_id uuid)
LANGUAGE plpgsql
AS $$
DECLARE
    d  iot.device;
BEGIN
    PERFORM iot.resolve(p, 'DEVICE', device_id, 'RPC_CALL');

    SELECT * INTO d
      FROM iot.device t
     WHERE t.tenant_id = p.tenant_id AND t.id = rpc_begin.device_id;

    -- 31 bits, then again from 0
    INSERT INTO iot.rpc_counter AS c (tenant_id, device_id, next)
    VALUES (d.tenant_id, d.id, 1)
    ON CONFLICT ON CONSTRAINT rpc_counter_pkey DO UPDATE
       SET next = CASE c.next WHEN 2147483647 THEN 0 ELSE c.next + 1 END
    RETURNING CASE c.next WHEN 0 THEN 2147483647 ELSE c.next - 1 END
      INTO request_id;

    IF persistent THEN
        INSERT INTO iot.rpc AS r (tenant_id, device_id, request_id,
                                  expiration_time, oneway, body, retries,
                                  additional_info)
        VALUES (d.tenant_id, d.id, rpc_begin.request_id, expires,
                rpc_begin.oneway, rpc_begin.body, rpc_begin.retries,
                rpc_begin.additional_info)
        RETURNING r.id INTO rpc_id;
    END IF;

    PERFORM iot.audit(p, 'DEVICE', d.id, d.name, 'RPC_CALL', 'SUCCESS', NULL,
        json_build_object('rpcId', COALESCE(rpc_id::text, request_id::text),
                          'oneWay', oneway, 'method', body ->> 'method',
                          'params', body -> 'params'),
        d.customer_id);
END
$$;


-- What a device has yet to get, oldest first.

CREATE OR REPLACE FUNCTION iot.rpc_pending(tenant uuid, device uuid)
RETURNS TABLE (id integer, oneway boolean, body text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT r.request_id, r.oneway, r.body::text
      FROM iot.rpc r
     WHERE r.tenant_id = rpc_pending.tenant
           AND r.device_id = rpc_pending.device
           AND r.status IN ('QUEUED', 'SENT')
           AND r.expiration_time > iot.now_ms()
     ORDER BY r.created_time, r.request_id
     LIMIT 1000;
END
$$;


-- SENT or DELIVERED; a request without answer is done when it is delivered.

CREATE OR REPLACE FUNCTION iot.rpc_status(tenant uuid, device uuid,
    request integer, new_status text)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
BEGIN
    UPDATE iot.rpc r
       SET status = CASE WHEN new_status = 'DELIVERED' AND r.oneway
                    THEN 'SUCCESSFUL' ELSE new_status END
     WHERE r.tenant_id = tenant AND r.device_id = device
           AND r.request_id = request
           AND (r.status = 'QUEUED'
                OR r.status = 'SENT' AND new_status = 'DELIVERED');
END
$$;


-- The answer of the device; NULL: it was not JSON.  Nothing is waiting under
-- most numbers, for only persistent requests are stored.

CREATE OR REPLACE FUNCTION iot.rpc_answer(tenant uuid, device uuid,
    request integer, answer json)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
BEGIN
    UPDATE iot.rpc r
       SET status = CASE WHEN answer IS NULL THEN 'FAILED'
                    ELSE 'SUCCESSFUL' END,
           response = answer
     WHERE r.tenant_id = tenant AND r.device_id = device
           AND r.request_id = request
           AND r.status IN ('QUEUED', 'SENT', 'DELIVERED')
           AND r.expiration_time > iot.now_ms();
END
$$;


-- Forget a request that the caller may make; a device that is waited for does
-- not get it any more.

CREATE OR REPLACE FUNCTION iot.rpc_delete(p iot.principal, r iot.rpc)
RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    DELETE FROM iot.rpc AS t
    WHERE t.tenant_id = p.tenant_id AND t.id = r.id;

    PERFORM iot.audit(p, 'RPC', r.id, r.body ->> 'method', 'DELETED',
        data => json_build_object('deviceId', r.device_id),
        customer => (SELECT d.customer_id FROM iot.device AS d
                     WHERE d.tenant_id = r.tenant_id AND d.id = r.device_id));
END
$$;


-- The status as it is now: the sweep comes later than the end.

CREATE OR REPLACE FUNCTION iot.rpc_status_now(r iot.rpc) RETURNS text
LANGUAGE plpgsql STABLE
AS $$
BEGIN
    IF r.expiration_time > iot.now_ms() THEN
        RETURN r.status;
    END IF;

    RETURN CASE WHEN r.status IN ('QUEUED', 'SENT') THEN 'EXPIRED'
                WHEN r.status = 'DELIVERED' THEN 'TIMEOUT'
                ELSE r.status END;
END
$$;


CREATE OR REPLACE FUNCTION iot.maintain_rpc(slice integer DEFAULT 2000)
RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
DECLARE
    n  integer;
BEGIN
    UPDATE iot.rpc AS r
       SET status = iot.rpc_status_now(r)
     WHERE r.ctid = ANY (ARRAY(
               SELECT x.ctid
                 FROM iot.rpc x
                WHERE x.status IN ('QUEUED', 'SENT', 'DELIVERED')
                      AND x.expiration_time <= iot.now_ms()
                LIMIT slice));

    GET DIAGNOSTICS n = ROW_COUNT;

    RETURN n;
END
$$;


-- What the limits of a session are, for the device that asks: the strings of
-- the tenant profile, NULL where there is no limit.

CREATE OR REPLACE FUNCTION iot.session_limits(tenant uuid, gateway boolean)
RETURNS json
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
DECLARE
    c       json;
    device  json;
BEGIN
    SELECT iot.tenant_limits(t.tenant_profile_id) INTO c
      FROM iot.tenant t
     WHERE t.id = session_limits.tenant;

    device := iot.session_rates(c, CASE WHEN gateway
                  THEN 'transportGatewayDevice' ELSE 'transportDevice' END);

    IF NOT gateway THEN
        RETURN json_build_object('maxPayloadSize', 65536,
                                 'maxInflightMessages', 100,
                                 'rateLimits', device);
    END IF;

    RETURN json_build_object('maxPayloadSize', 65536,
                             'maxInflightMessages', 100,
                             'rateLimits', device,
                             'gatewayRateLimits',
                             iot.session_rates(c, 'transportGateway'));
END
$$;


CREATE OR REPLACE FUNCTION iot.session_rates(c json, prefix text)
RETURNS json
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    RETURN json_build_object(
        'messages', NULLIF(c ->> (prefix || 'MsgRateLimit'), ''),
        'telemetryMessages',
            NULLIF(c ->> (prefix || 'TelemetryMsgRateLimit'), ''),
        'telemetryDataPoints',
            NULLIF(c ->> (prefix || 'TelemetryDataPointsRateLimit'), ''));
END
$$;


SELECT iot.definer('iot.rpc_pending',
    'called for a device the worker has checked');
SELECT iot.definer('iot.rpc_status',
    'called for a device the worker has checked');
SELECT iot.definer('iot.rpc_answer',
    'called for a device the worker has checked');
SELECT iot.definer('iot.maintain_rpc',
    'ends the requests of all tenants');
SELECT iot.definer('iot.session_limits',
    'called for a device the worker has checked');
