
--
-- Copyright (C) the ngx_iot authors
--
-- /api/payg/devices: credit, status and last code of each device;
-- /api/payg/airlink: what a tenant needs to begin.


CREATE OR REPLACE FUNCTION tb.payg_device_out(d iot.device) RETURNS json
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    c  record;
    t  iot.payg_token;
BEGIN
    SELECT * INTO c FROM iot.payg_credit(d.nr);

    SELECT x.* INTO t
      FROM iot.payg_token x
     WHERE x.tenant_id = d.tenant_id AND x.device_id = d.id
     ORDER BY x.created_time DESC, x.id DESC
     LIMIT 1;

    RETURN json_build_object(
        'deviceId', tb.id('DEVICE', d.id),
        'name', d.name,
        'label', d.label,
        'customerId', tb.id_or_none('CUSTOMER', d.customer_id),
        'remaining', c.remaining,
        'unit', c.unit,
        'remainingHours', c.hours,
        'remainingTime', c.remaining_ts,
        'status', c.status,
        'fault', c.fault,
        'unlocked', COALESCE(t.type = 'unlock', false),
        'lastToken', CASE WHEN t.id IS NOT NULL
                     THEN tb.payg_token_out(t) END);
END
$$;


CREATE OR REPLACE FUNCTION tb.payg_devices(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    pg  iot.page := tb.page(query);
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.need_role(p, 'TENANT_ADMIN', 'CUSTOMER_USER');

    RETURN tb.list(pg, 'tb.payg_device_out(d)',
        'iot.payg_devices($1[1]::uuid) AS n JOIN iot.device AS d'
        ' ON d.nr = n.nr AND d.tenant_id = $1[1]::uuid'
        ' WHERE (' || iot.may_list(p, 'DEVICE', 'd') || ')'
        ' AND ($2 IS NULL OR d.name ILIKE $2 OR d.label ILIKE $2)',
        '{"name":"d.name","label":"d.label","createdTime":"d.created_time"}',
        'd.id', p.tenant_id::text);
END
$$;


-- The keys are in the answer, for the phones are set up with them.

CREATE OR REPLACE FUNCTION tb.airlink_setup(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    r  record;
BEGIN
    PERFORM iot.enter(p);

    SELECT * INTO r FROM iot.airlink_setup(p);

    RETURN json_build_object(
        'deviceProfile', tb.device_profile_out(r.devices),
        'gatewayProfile', tb.device_profile_out(r.gateways),
        'roles', r.roles);
END
$$;
