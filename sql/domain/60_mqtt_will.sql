
--
-- Copyright (C) the ngx_iot authors
--
-- Wills (MQTT 5.0, section 3.1.2.5): written when the client connects, gone
-- when they were published or are not to be.  Whoever takes one publishes it.


-- Of sessions that end with their connection, in groups; state 0: away.

CREATE OR REPLACE FUNCTION iot.mqtt_wills_set(marks bigint[],
    states smallint[], workers bigint[], tenants uuid[], clients text[],
    qoss smallint[], flagss integer[], topics text[], payloads bytea[],
    propss bytea[], expiries bigint[])
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = iot, pg_temp
AS $$
BEGIN
    DELETE FROM iot.mqtt_will w
     USING unnest(marks, states) AS n (mark, state)
     WHERE w.mark = n.mark AND n.state = 0;

    INSERT INTO iot.mqtt_will (mark, tenant_id, client_id, worker, stored,
                               delay, qos, flags, topic, payload, props,
                               expiry)
    SELECT n.mark, n.tenant, n.client, n.worker, false, 0, n.qos, n.flags,
           n.topic, n.payload, n.props, n.expiry
      FROM unnest(marks, states, workers, tenants, clients, qoss, flagss,
                  topics, payloads, propss, expiries)
           AS n (mark, state, worker, tenant, client, qos, flags, topic,
                 payload, props, expiry)
     WHERE n.state = 1
           AND EXISTS (SELECT FROM iot.mqtt_worker k WHERE k.nr = n.worker)
           AND EXISTS (SELECT FROM iot.tenant t WHERE t.id = n.tenant)
        ON CONFLICT DO NOTHING;
END
$$;


-- What is due now, for this worker to publish.  The last row, of mark 0, has
-- the time to the next one in expiry, or -1.

CREATE OR REPLACE FUNCTION iot.mqtt_wills_due(taker bigint, most integer)
RETURNS TABLE (mark bigint, tenant text, client text, qos smallint,
    flags integer, topic text, payload bytea, props bytea, published bigint,
    expires bigint, expiry bigint)
LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = iot, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    at  bigint := iot.now_ms();
BEGIN
    RETURN QUERY
        UPDATE iot.mqtt_will w
           SET taken = mqtt_wills_due.taker
         WHERE w.mark IN (SELECT o.mark FROM iot.mqtt_will o
                           WHERE o.due_at <= at AND o.taken IS NULL
                           ORDER BY o.due_at
                           LIMIT mqtt_wills_due.most
                             FOR UPDATE SKIP LOCKED)
        RETURNING w.mark, w.tenant_id::text, w.client_id, w.qos, w.flags,
                  w.topic, w.payload, w.props, 0::bigint, 0::bigint, w.expiry;

    RETURN QUERY
        SELECT 0::bigint, ''::text, ''::text, 0::smallint, 0, ''::text,
               NULL::bytea, NULL::bytea, 0::bigint, 0::bigint,
               -- GREATEST() of nothing and 0 would be 0
               (SELECT CASE WHEN min(w.due_at) IS NULL THEN -1
                       ELSE GREATEST(min(w.due_at) - at, 0) END
                  FROM iot.mqtt_will w
                 WHERE w.due_at IS NOT NULL AND w.taken IS NULL);
END
$$;


-- The client is back.  Going on with the session cancels a will that has a
-- delay; else the session has ended, and the will is due.  What is being
-- published already is left alone.  Answers whether there is one due.

CREATE OR REPLACE FUNCTION iot.mqtt_will_back(tenant uuid, client text,
    goes_on boolean)
RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = iot, pg_temp
AS $$
BEGIN
    DELETE FROM iot.mqtt_will w
     WHERE w.tenant_id = mqtt_will_back.tenant
           AND w.client_id = mqtt_will_back.client
           AND w.stored AND w.taken IS NULL AND w.delay > 0
           AND mqtt_will_back.goes_on;

    UPDATE iot.mqtt_will w
       SET due_at = iot.now_ms()
     WHERE w.tenant_id = mqtt_will_back.tenant
           AND w.client_id = mqtt_will_back.client
           AND w.stored AND w.taken IS NULL;

    RETURN FOUND;
END
$$;


-- What becomes of a will when its connection has ended: 1 away, 2 due after
-- so many milliseconds, 3 the worker publishes it, 4 as 2, but the worker
-- ends and others have to look.

CREATE OR REPLACE FUNCTION iot.mqtt_will_left(left_mark bigint,
    what integer, after bigint, taker bigint)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = iot, pg_temp
AS $$
BEGIN
    CASE mqtt_will_left.what
    WHEN 1 THEN
        DELETE FROM iot.mqtt_will w WHERE w.mark = mqtt_will_left.left_mark;

    WHEN 2, 4 THEN
        UPDATE iot.mqtt_will w
           SET due_at = iot.now_ms() + mqtt_will_left.after
         WHERE w.mark = mqtt_will_left.left_mark AND w.due_at IS NULL;

        IF FOUND AND mqtt_will_left.what = 4 THEN
            PERFORM pg_notify('iot', 'mqtt-will 0');
        END IF;

    WHEN 3 THEN
        UPDATE iot.mqtt_will w
           SET taken = mqtt_will_left.taker, due_at = iot.now_ms()
         WHERE w.mark = mqtt_will_left.left_mark AND w.taken IS NULL;

    ELSE
        NULL;
    END CASE;
END
$$;


SELECT iot.definer('iot.' || f, 'the broker serves all tenants')
  FROM unnest(ARRAY['mqtt_wills_set', 'mqtt_wills_due', 'mqtt_will_back',
                    'mqtt_will_left']) AS f;
