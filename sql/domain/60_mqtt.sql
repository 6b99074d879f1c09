
--
-- Copyright (C) the ngx_iot authors
--
-- The store of the MQTT broker.  The broker is trusted with all tenants, so
-- these functions run as the owner; they are called by workers only, never
-- with text of a client as anything but a value.


DROP FUNCTION IF EXISTS iot.mqtt_store(bigint[], bigint[], smallint[],
    integer[], bytea[], text[], bytea[], bytea[], text[], bigint[], bigint[],
    integer[]);
DROP FUNCTION IF EXISTS iot.mqtt_store(bigint[], bigint[], smallint[],
    integer[], bytea[], text[], bytea[], bytea[], text[], bigint[], bigint[],
    integer[], text[]);
DROP FUNCTION IF EXISTS iot.mqtt_store(bigint[], bigint[], smallint[],
    integer[], bytea[], text[], bytea[], bytea[], text[], bigint[], bigint[],
    text[]);


-- Sessions end.  What waits for them in shared subscriptions goes to another
-- stored member, connected if there is one; not what was begun at QoS 2
-- (MQTT 5.0, section 4.8.2).

CREATE OR REPLACE FUNCTION iot.mqtt_end(ending bigint[])
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = iot, pg_temp
AS $$
DECLARE
    heirs  bigint[];
BEGIN
    WITH orphan AS (
        SELECT q.session, q.id, heir.nr, heir.qos
          FROM iot.mqtt_queue q
          JOIN iot.mqtt_session s ON s.nr = q.session
         CROSS JOIN LATERAL (
                SELECT o.nr, (b.options & 3)::smallint AS qos
                  FROM iot.mqtt_subscription b
                  JOIN iot.mqtt_session o ON o.nr = b.session
                 WHERE b.filter = q.share AND b.filter LIKE '$share/%'
                       AND b.options & 3 > 0
                       AND o.tenant_id = s.tenant_id
                       AND NOT (o.nr = ANY (mqtt_end.ending))
                 ORDER BY o.connected DESC, md5(o.nr::text || q.id::text)
                 LIMIT 1) heir
         WHERE q.session = ANY (mqtt_end.ending) AND q.share IS NOT NULL
               AND (q.qos = 1 OR q.state = 0)
    ), moved AS (
        UPDATE iot.mqtt_queue q
           SET session = o.nr, state = 0, packet_id = 0, ids = NULL,
               qos = LEAST(q.qos, o.qos)
          FROM orphan o
         WHERE q.session = o.session AND q.id = o.id
        RETURNING q.session
    )
    SELECT array_agg(DISTINCT m.session) INTO heirs FROM moved m;

    PERFORM pg_notify('iot', 'mqtt-more ' || h) FROM unnest(heirs) AS h;

    DELETE FROM iot.mqtt_session s WHERE s.nr = ANY (mqtt_end.ending);
END
$$;


DROP FUNCTION IF EXISTS iot.mqtt_open(uuid, text, text, boolean, bigint);
DROP FUNCTION IF EXISTS iot.mqtt_open(uuid, text, text, boolean, bigint,
    bigint, bigint, bigint, smallint, integer, text, bytea, bytea, bigint);
DROP FUNCTION IF EXISTS iot.mqtt_close(bigint, bigint, bigint);


-- A session begins or goes on, with a will unless mark is 0.  clean drops
-- what was there.  One that lasts 0 seconds goes on too, until its connection
-- ends; none is made for it.  present: there was one, and it is the same identity's.
-- due: a will of the one before is to be published.

CREATE OR REPLACE FUNCTION iot.mqtt_open(tenant uuid, client text,
    who text, clean boolean, lasts bigint, opener bigint, mark bigint,
    delay bigint, qos smallint, flags integer, topic text, payload bytea,
    props bytea, expiry bigint, messages integer, bytes bigint)
RETURNS TABLE (nr bigint, epoch bigint, present boolean, due boolean)
LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = iot, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    at         bigint := iot.now_ms();
    found_nr   bigint;
    new_epoch  bigint;
    is_due     boolean;
BEGIN
    -- who was killed has not said when his session ends: some time after his
    -- last word

    SELECT s.nr INTO found_nr
      FROM iot.mqtt_session s
     WHERE s.tenant_id = mqtt_open.tenant AND s.client_id = mqtt_open.client
           AND (mqtt_open.clean OR s.identity <> mqtt_open.who
                OR s.expires_at <= at
                OR (s.expiry < 4294967295
                    AND (SELECT k.seen_at FROM iot.mqtt_worker k
                          WHERE k.nr = s.worker)
                        + 12000 + s.expiry * 1000 <= at))
       FOR UPDATE;

    IF FOUND THEN
        PERFORM iot.mqtt_end(ARRAY[found_nr]);
        found_nr := NULL;
    END IF;

    UPDATE iot.mqtt_session s
       SET epoch = s.epoch + 1, connected = true, expires_at = NULL,
           expiry = mqtt_open.lasts, worker = mqtt_open.opener,
           opened_at = at, max_messages = mqtt_open.messages,
           max_bytes = mqtt_open.bytes
     WHERE s.tenant_id = mqtt_open.tenant
           AND s.client_id = mqtt_open.client
    RETURNING s.nr, s.epoch INTO found_nr, new_epoch;

    is_due := iot.mqtt_will_back(mqtt_open.tenant, mqtt_open.client,
                                 found_nr IS NOT NULL);

    IF mqtt_open.lasts = 0 AND found_nr IS NULL THEN
        RETURN QUERY SELECT 0::bigint, 0::bigint, false, is_due;
        RETURN;
    END IF;

    IF mqtt_open.mark <> 0 THEN
        INSERT INTO iot.mqtt_will (mark, tenant_id, client_id, worker, stored,
                                   delay, qos, flags, topic, payload, props,
                                   expiry)
        VALUES (mqtt_open.mark, mqtt_open.tenant, mqtt_open.client,
                mqtt_open.opener, true, mqtt_open.delay, mqtt_open.qos,
                mqtt_open.flags, mqtt_open.topic, mqtt_open.payload,
                mqtt_open.props, mqtt_open.expiry);
    END IF;

    IF found_nr IS NOT NULL THEN
        RETURN QUERY SELECT found_nr, new_epoch, true, is_due;
        RETURN;
    END IF;

    RETURN QUERY
        INSERT INTO iot.mqtt_session AS s (tenant_id, client_id, identity,
                                           expiry, worker, opened_at,
                                           max_messages, max_bytes)
        VALUES (mqtt_open.tenant, mqtt_open.client, mqtt_open.who,
                mqtt_open.lasts, mqtt_open.opener, at, mqtt_open.messages,
                mqtt_open.bytes)
        RETURNING s.nr, s.epoch, false, is_due;
END
$$;


-- The connection has ended some milliseconds ago; the session stays as it is
-- if somebody has opened it since.  The will goes its way all the same.

CREATE OR REPLACE FUNCTION iot.mqtt_close(session bigint, age bigint,
    lasts bigint, ago bigint, mark bigint, what integer, after bigint,
    closer bigint)
RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = iot, pg_temp
AS $$
DECLARE
    ended  boolean := false;
BEGIN
    -- the session first and then the will, as all others do

    IF mqtt_close.lasts = 0 THEN
        PERFORM FROM iot.mqtt_session s
          WHERE s.nr = mqtt_close.session AND s.epoch = mqtt_close.age
            FOR UPDATE;

        ended := FOUND;

        IF ended THEN
            PERFORM iot.mqtt_end(ARRAY[mqtt_close.session]);
        END IF;

    ELSE
        UPDATE iot.mqtt_session s
           SET connected = false, worker = NULL, expiry = mqtt_close.lasts,
               expires_at = CASE WHEN mqtt_close.lasts < 4294967295
                                 THEN iot.now_ms() - mqtt_close.ago
                                      + mqtt_close.lasts * 1000 END
         WHERE s.nr = mqtt_close.session AND s.epoch = mqtt_close.age;
    END IF;

    IF mqtt_close.mark <> 0 THEN
        PERFORM iot.mqtt_will_left(mqtt_close.mark, mqtt_close.what,
                           GREATEST(mqtt_close.after - mqtt_close.ago, 0),
                           mqtt_close.closer);
    END IF;

    RETURN ended;
END
$$;


-- Everything that a worker has to know of when it starts.

CREATE OR REPLACE FUNCTION iot.mqtt_sessions()
RETURNS TABLE (nr bigint, tenant text, client text, filter text,
    options integer, id bigint)
LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = iot, pg_temp
AS $$
BEGIN
    RETURN QUERY
        SELECT s.nr, s.tenant_id::text, s.client_id, b.filter, b.options, b.id
          FROM iot.mqtt_session s
          LEFT JOIN iot.mqtt_subscription b ON b.session = s.nr
         ORDER BY s.nr;
END
$$;

CREATE OR REPLACE FUNCTION iot.mqtt_retained_all()
RETURNS TABLE (tenant text, topic text, qos smallint, flags integer,
    payload bytea, props bytea, publisher text, published bigint,
    expires bigint)
LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = iot, pg_temp
AS $$
BEGIN
    RETURN QUERY
        SELECT r.tenant_id::text, r.topic, r.qos, r.flags, r.payload, r.props,
               r.publisher, r.published, r.expires
          FROM iot.mqtt_retained r
         WHERE r.expires = 0 OR r.expires > iot.now_ms();
END
$$;


-- Subscriptions of a session: written before SUBACK and UNSUBACK.

CREATE OR REPLACE FUNCTION iot.mqtt_subscribe(session bigint,
    filter text, options integer, id bigint)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = iot, pg_temp
AS $$
BEGIN
    INSERT INTO iot.mqtt_subscription AS b (session, filter, options, id)
    SELECT s.nr, mqtt_subscribe.filter, mqtt_subscribe.options,
           mqtt_subscribe.id
      FROM iot.mqtt_session s
     WHERE s.nr = mqtt_subscribe.session
        ON CONFLICT ON CONSTRAINT mqtt_subscription_pkey DO UPDATE
       SET options = EXCLUDED.options, id = EXCLUDED.id;
END
$$;

CREATE OR REPLACE FUNCTION iot.mqtt_unsubscribe(session bigint, filter text)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = iot, pg_temp
AS $$
BEGIN
    DELETE FROM iot.mqtt_subscription b
     WHERE b.session = mqtt_unsubscribe.session
           AND b.filter = mqtt_unsubscribe.filter;
END
$$;


-- Messages for sessions, in groups.  A session that has gone, or that has its
-- share of them already, gets none: the latter are counted.

CREATE OR REPLACE FUNCTION iot.mqtt_store(sessions bigint[], ids bigint[],
    qoss smallint[], flagss integer[], subs bytea[], topics text[],
    payloads bytea[], propss bytea[], publishers text[], times bigint[],
    expiries bigint[], shares text[])
RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = iot, pg_temp
AS $$
DECLARE
    dropped  bigint;
BEGIN
    WITH waits AS (
        SELECT q.session, count(*) AS messages,
               sum(octet_length(q.payload)) AS bytes
          FROM iot.mqtt_queue q
         WHERE q.session = ANY (sessions)
         GROUP BY q.session
    ), new AS (
        SELECT n.*,
               count(*) OVER in_order AS messages,
               sum(octet_length(n.payload)) OVER in_order AS bytes
          FROM unnest(sessions, ids, qoss, flagss, subs, topics, payloads,
                      propss, publishers, times, expiries, shares)
               AS n (session, id, qos, flags, subs, topic, payload, props,
                     publisher, published, expires, share)
        WINDOW in_order AS (PARTITION BY n.session ORDER BY n.id
                            ROWS UNBOUNDED PRECEDING)
    ), due AS (
        SELECT n.*,
               (s.max_messages = 0
                OR COALESCE(w.messages, 0) + n.messages <= s.max_messages)
               AND (s.max_bytes = 0
                    OR COALESCE(w.bytes, 0) + n.bytes <= s.max_bytes) AS fits
          FROM new n
          JOIN iot.mqtt_session s ON s.nr = n.session
          LEFT JOIN waits w ON w.session = n.session
    ), stored AS (
        INSERT INTO iot.mqtt_queue (session, id, qos, flags, ids, topic,
                                    payload, props, publisher, published,
                                    expires, share)
        SELECT n.session, n.id, n.qos, n.flags, n.subs, n.topic, n.payload,
               n.props, n.publisher, n.published, n.expires, n.share
          FROM due n
         WHERE n.fits
            ON CONFLICT DO NOTHING
    )
    SELECT count(*) INTO dropped FROM due n WHERE NOT n.fits;

    RETURN dropped;
END
$$;


-- What became of them: 1 sent, 2 released, 3 done.

CREATE OR REPLACE FUNCTION iot.mqtt_mark(sessions bigint[], numbers bigint[],
    packet_ids integer[], states smallint[])
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = iot, pg_temp
AS $$
BEGIN
    DELETE FROM iot.mqtt_queue q
     USING unnest(sessions, numbers, states) AS n (session, id, state)
     WHERE q.session = n.session AND q.id = n.id AND n.state = 3;

    UPDATE iot.mqtt_queue q
       SET packet_id = n.packet_id, state = n.state
      FROM unnest(sessions, numbers, packet_ids, states)
           AS n (session, id, packet_id, state)
     WHERE q.session = n.session AND q.id = n.id AND n.state < 3;
END
$$;


-- What waits for a session, without what its worker has in hand already.

CREATE OR REPLACE FUNCTION iot.mqtt_queued(session bigint, known bigint[],
    most integer)
RETURNS TABLE (id bigint, qos smallint, state smallint, packet_id integer,
    flags integer, ids bytea, topic text, payload bytea, props bytea,
    publisher text, published bigint, expires bigint)
LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = iot, pg_temp
AS $$
BEGIN
    RETURN QUERY
        SELECT q.id, q.qos, q.state, q.packet_id, q.flags, q.ids, q.topic,
               q.payload, q.props, q.publisher, q.published, q.expires
          FROM iot.mqtt_queue q
         WHERE q.session = mqtt_queued.session
               AND NOT (q.id = ANY (mqtt_queued.known))
         ORDER BY (q.state = 0), q.id
         LIMIT mqtt_queued.most;
END
$$;


-- QoS 2 from the client; state 0: released, forget it.

CREATE OR REPLACE FUNCTION iot.mqtt_receive(sessions bigint[],
    packet_ids integer[], states smallint[], flagss integer[],
    topics text[], payloads bytea[], propss bytea[], times bigint[],
    expiries bigint[])
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = iot, pg_temp
AS $$
BEGIN
    DELETE FROM iot.mqtt_received r
     USING unnest(sessions, packet_ids, states)
           AS n (session, packet_id, state)
     WHERE r.session = n.session AND r.packet_id = n.packet_id
           AND n.state = 0;

    INSERT INTO iot.mqtt_received AS r (session, packet_id, flags, topic,
                                        payload, props, published, expires)
    SELECT n.session, n.packet_id, n.flags, n.topic, n.payload, n.props,
           n.published, n.expires
      FROM unnest(sessions, packet_ids, states, flagss, topics, payloads,
                  propss, times, expiries)
           AS n (session, packet_id, state, flags, topic, payload, props,
                 published, expires)
     WHERE n.state <> 0
           AND EXISTS (SELECT FROM iot.mqtt_session s WHERE s.nr = n.session)
        ON CONFLICT ON CONSTRAINT mqtt_received_pkey DO UPDATE
       SET flags = EXCLUDED.flags, topic = EXCLUDED.topic,
           payload = EXCLUDED.payload, props = EXCLUDED.props,
           published = EXCLUDED.published, expires = EXCLUDED.expires;
END
$$;

CREATE OR REPLACE FUNCTION iot.mqtt_held(session bigint)
RETURNS TABLE (packet_id integer, flags integer, topic text, payload bytea,
    props bytea, published bigint, expires bigint)
LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = iot, pg_temp
AS $$
BEGIN
    RETURN QUERY
        SELECT r.packet_id, r.flags, r.topic, r.payload, r.props, r.published,
               r.expires
          FROM iot.mqtt_received r
         WHERE r.session = mqtt_held.session
         ORDER BY r.packet_id;
END
$$;


-- Retained messages; without payload the old one goes.  Of several changes of
-- one topic the last counts.

CREATE OR REPLACE FUNCTION iot.mqtt_retain(tenants uuid[], topics text[],
    qoss smallint[], flagss integer[], payloads bytea[], propss bytea[],
    publishers text[], times bigint[], expiries bigint[])
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = iot, pg_temp
AS $$
BEGIN
    WITH change AS (
        SELECT DISTINCT ON (n.tenant, n.topic) n.*
          FROM unnest(tenants, topics, qoss, flagss, payloads, propss,
                      publishers, times, expiries) WITH ORDINALITY
               AS n (tenant, topic, qos, flags, payload, props, publisher,
                     published, expires, ord)
         ORDER BY n.tenant, n.topic, n.published DESC, n.ord DESC
    ), gone AS (
        DELETE FROM iot.mqtt_retained r
         USING change n
         WHERE r.tenant_id = n.tenant AND r.topic = n.topic
               AND n.payload IS NULL AND r.published <= n.published
    )
    INSERT INTO iot.mqtt_retained AS r (tenant_id, topic, qos, flags, payload,
                                        props, publisher, published, expires)
    SELECT n.tenant, n.topic, n.qos, n.flags, n.payload, n.props, n.publisher,
           n.published, n.expires
      FROM change n
     WHERE n.payload IS NOT NULL
           AND EXISTS (SELECT FROM iot.tenant t WHERE t.id = n.tenant)
        ON CONFLICT ON CONSTRAINT mqtt_retained_pkey DO UPDATE
       SET qos = EXCLUDED.qos, flags = EXCLUDED.flags,
           payload = EXCLUDED.payload, props = EXCLUDED.props,
           publisher = EXCLUDED.publisher, published = EXCLUDED.published,
           expires = EXCLUDED.expires
     WHERE r.published <= EXCLUDED.published;
END
$$;


-- Sessions whose time has passed; the caller tells the workers.

CREATE OR REPLACE FUNCTION iot.mqtt_expire(most integer)
RETURNS TABLE (nr bigint)
LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = iot, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    ending  bigint[];
BEGIN
    DELETE FROM iot.mqtt_retained r
     WHERE r.expires > 0 AND r.expires < iot.now_ms();

    SELECT array_agg(e.nr) INTO ending
      FROM (SELECT o.nr FROM iot.mqtt_session o
             WHERE o.expires_at <= iot.now_ms()
             ORDER BY o.expires_at
             LIMIT mqtt_expire.most
               FOR UPDATE SKIP LOCKED) e;

    IF ending IS NULL THEN
        RETURN;
    END IF;

    PERFORM iot.mqtt_end(ending);

    RETURN QUERY SELECT unnest(ending);
END
$$;


SELECT iot.definer('iot.' || f, 'the broker serves all tenants')
  FROM unnest(ARRAY['mqtt_end', 'mqtt_open', 'mqtt_close', 'mqtt_sessions',
                    'mqtt_retained_all', 'mqtt_subscribe', 'mqtt_unsubscribe',
                    'mqtt_store', 'mqtt_mark', 'mqtt_queued', 'mqtt_receive',
                    'mqtt_held', 'mqtt_retain', 'mqtt_expire']) AS f;
