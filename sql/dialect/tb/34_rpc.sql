
--
-- Copyright (C) the ngx_iot authors
--
-- Requests to devices in the ThingsBoard API.


-- A whole number of a body; NULL when it is not there.

CREATE OR REPLACE FUNCTION tb.rpc_number(body json, name text)
RETURNS bigint
LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
    kind   text := json_typeof(body -> name);
    value  text := body ->> name;
BEGIN
    IF kind IS NULL OR kind = 'null' THEN
        RETURN NULL;
    END IF;

    IF kind NOT IN ('number', 'string') OR value !~ '^-?[0-9]{1,18}$' THEN
        PERFORM iot.fail_request('Invalid request body');
    END IF;

    RETURN value::bigint;
END
$$;


-- Begins a request: what the worker needs to send it.  The time is at least
-- five seconds; expirationTime wins over timeout.

CREATE OR REPLACE FUNCTION tb.rpc_begin(p iot.principal, device text,
    oneway boolean, body json)
RETURNS TABLE (tenant_id uuid, device_id uuid, request_id integer,
    rpc_id uuid, request text, timeout bigint)
LANGUAGE plpgsql
AS $$
#variable_conflict use_variable
DECLARE
    now_ts      bigint := iot.now_ms();
    length      bigint;
    expires     bigint;
    persistent  boolean;
    retries     bigint;
BEGIN
    PERFORM iot.enter(p);

    IF json_typeof(body -> 'method') IS DISTINCT FROM 'string'
       OR COALESCE(json_typeof(body -> 'persistent'), 'null')
          NOT IN ('boolean', 'null')
    THEN
        PERFORM iot.fail_request('Invalid request body');
    END IF;

    length := GREATEST(COALESCE(tb.rpc_number(body, 'timeout'), 10000), 5000);
    expires := COALESCE(tb.rpc_number(body, 'expirationTime'),
                        now_ts + LEAST(length, 31536000000));
    persistent := COALESCE((body ->> 'persistent')::boolean, false);
    retries := tb.rpc_number(body, 'retries');

    IF retries NOT BETWEEN 0 AND 5 THEN
        PERFORM iot.fail_request('Invalid request body');
    END IF;

    IF device !~ '^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$' THEN
        PERFORM iot.fail_request('Invalid UUID string: ' || device);
    END IF;

    request := '{"method":' || (body -> 'method')::text || ',"params":'
               || COALESCE((body -> 'params')::text, 'null') || '}';

    tenant_id := p.tenant_id;
    device_id := device::uuid;

    SELECT b.request_id, b.rpc_id INTO request_id, rpc_id
      FROM iot.rpc_begin(p, device_id, oneway, request::json, expires,
                         persistent, retries::integer,
                         body -> 'additionalInfo') AS b;

    -- a call that waits for its answer does so for a day at most
    timeout := LEAST(GREATEST(expires - now_ts, 0), 86400000);

    RETURN NEXT;
END
$$;


CREATE OR REPLACE FUNCTION tb.rpc_out(r iot.rpc) RETURNS json
LANGUAGE sql STABLE
AS $$
    SELECT json_build_object(
        'id', json_build_object('id', r.id, 'entityType', 'RPC'),
        'createdTime', r.created_time,
        'tenantId', tb.id('TENANT', r.tenant_id),
        'deviceId', tb.id('DEVICE', r.device_id),
        'expirationTime', r.expiration_time,
        'request', json_build_object(
            'id', r.id,
            'tenantId', tb.id('TENANT', r.tenant_id),
            'deviceId', tb.id('DEVICE', r.device_id),
            'oneway', r.oneway,
            'expirationTime', r.expiration_time,
            'body', json_build_object('method', r.body ->> 'method',
                                      'params', r.body -> 'params'),
            'persisted', true,
            'retries', r.retries,
            'additionalInfo', r.additional_info),
        'response', r.response,
        'status', iot.rpc_status_now(r),
        'additionalInfo', r.additional_info)
$$;


CREATE OR REPLACE FUNCTION tb.rpc_find(p iot.principal, id uuid,
    operation text)
RETURNS iot.rpc
LANGUAGE plpgsql
AS $$
DECLARE
    r  iot.rpc;
BEGIN
    SELECT * INTO r
      FROM iot.rpc t
     WHERE t.tenant_id = p.tenant_id AND t.id = rpc_find.id;

    IF r.id IS NULL THEN
        PERFORM iot.fail_missing('RPC', rpc_find.id);
    END IF;

    PERFORM iot.resolve(p, 'DEVICE', r.device_id, operation);

    RETURN r;
END
$$;


CREATE OR REPLACE FUNCTION tb.rpc_get(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.need_role(p, 'TENANT_ADMIN', 'CUSTOMER_USER');

    RETURN tb.rpc_out(tb.rpc_find(p, tb.uuid(path[1]), 'READ'));
END
$$;


CREATE OR REPLACE FUNCTION tb.rpc_delete(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.need_role(p, 'TENANT_ADMIN');
    PERFORM iot.rpc_delete(p, tb.rpc_find(p, tb.uuid(path[1]), 'RPC_CALL'));

    RETURN NULL;
END
$$;


CREATE OR REPLACE FUNCTION tb.rpc_list(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    pg      iot.page := tb.page(query);
    device  uuid := tb.uuid(path[1]);
    status  text := tb.arg(query, 'rpcStatus');
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.need_role(p, 'TENANT_ADMIN', 'CUSTOMER_USER');

    IF status = 'DELETED' OR status NOT IN ('QUEUED', 'SENT', 'DELIVERED',
        'SUCCESSFUL', 'TIMEOUT', 'EXPIRED', 'FAILED')
    THEN
        PERFORM iot.fail_request('RpcStatus: ' || status
                                 || ' is not supported');
    END IF;

    PERFORM iot.resolve(p, 'DEVICE', device, 'READ');

    RETURN tb.list(pg, 'tb.rpc_out(r)',
        'iot.rpc AS r WHERE r.tenant_id = $1[1]::uuid'
        ' AND r.device_id = $1[2]::uuid'
        ' AND ($1[3] IS NULL OR iot.rpc_status_now(r) = $1[3])'
        ' AND ($2 IS NULL OR r.body ->> ''method'' ILIKE $2)',
        '{"id":"r.id","createdTime":"r.created_time",
          "expirationTime":"r.expiration_time","status":"r.status"}',
        'r.id', p.tenant_id::text, device::text, status);
END
$$;
