
--
-- Copyright (C) the ngx_iot authors
--
-- The state of devices: active, lastActivityTime, lastConnectTime,
-- lastDisconnectTime, inactivityAlarmTime (server attributes), and
-- inactivityTimeout (ms), which people may set.


-- How long a device may be silent.

CREATE OR REPLACE FUNCTION iot.inactivity_timeout(entity_nr integer)
RETURNS bigint
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    timeout  bigint;
BEGIN
    SELECT COALESCE(a.l, LEAST(a.d, 3e15)::bigint) INTO timeout
      FROM iot.attribute a
     WHERE a.entity = entity_nr AND a.scope = 3
           AND a.key = iot.key_id('inactivityTimeout');

    IF timeout > 0 THEN
        RETURN LEAST(timeout, 3000000000000000);
    END IF;

    RETURN 600000;
END
$$;


CREATE OR REPLACE FUNCTION iot.state_time(entities integer[], times bigint[],
    name text)
RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    key_nr  integer := (iot.key_ids(ARRAY[name]))[1];
BEGIN
    INSERT INTO iot.attribute AS a (entity, scope, key, l, updated_at)
    SELECT x.entity, 3, key_nr, x.at, iot.now_ms()
      FROM unnest(entities, times) AS x (entity, at)
     WHERE x.at > 0 AND EXISTS (SELECT FROM iot.device d
                                 WHERE d.nr = x.entity)
     ORDER BY x.entity
        ON CONFLICT (entity, scope, key) DO UPDATE
       SET b = NULL, l = EXCLUDED.l, d = NULL, s = NULL,
           updated_at = EXCLUDED.updated_at
     WHERE a.l IS NULL OR a.l < EXCLUDED.l;
END
$$;


CREATE OR REPLACE FUNCTION iot.state_active(entities integer[],
    is_active boolean)
RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    key_nr  integer := (iot.key_ids(ARRAY['active']))[1];
BEGIN
    INSERT INTO iot.attribute AS a (entity, scope, key, b, updated_at)
    SELECT x.entity, 3, key_nr, is_active, iot.now_ms()
      FROM unnest(entities) AS x (entity)
     ORDER BY x.entity
        ON CONFLICT (entity, scope, key) DO UPDATE
       SET b = EXCLUDED.b, l = NULL, d = NULL, s = NULL,
           updated_at = EXCLUDED.updated_at
     WHERE a.b IS DISTINCT FROM EXCLUDED.b OR a.s IS NOT NULL;
END
$$;


-- What a worker has seen since the last time; times in ms, 0: did not happen.
-- Entities are sorted and unique.  tell: the events for those who watch.

DROP FUNCTION IF EXISTS iot.device_activity(integer[], bigint[], bigint[],
    bigint[]);

CREATE OR REPLACE FUNCTION iot.device_activity(entities integer[],
    seen bigint[], connected bigint[], disconnected bigint[],
    tell boolean DEFAULT false)
RETURNS json
LANGUAGE plpgsql SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
DECLARE
    woken  integer[];
BEGIN
    PERFORM iot.state_time(entities, seen, 'lastActivityTime');
    PERFORM iot.state_time(entities, connected, 'lastConnectTime');
    PERFORM iot.state_time(entities, disconnected, 'lastDisconnectTime');

    woken := ARRAY(
        SELECT x.entity
          FROM unnest(entities, seen) AS x (entity, at)
               LEFT JOIN iot.device_state s ON s.entity = x.entity
         WHERE x.at > 0 AND s.active IS NOT true
               AND EXISTS (SELECT FROM iot.device d WHERE d.nr = x.entity)
         ORDER BY x.entity);

    INSERT INTO iot.device_state AS s (entity, active, inactive_at)
    SELECT x.entity, true, x.at + iot.inactivity_timeout(x.entity)
      FROM unnest(entities, seen) AS x (entity, at)
     WHERE x.at > 0 AND EXISTS (SELECT FROM iot.device d
                                 WHERE d.nr = x.entity)
     ORDER BY x.entity
        ON CONFLICT (entity) DO UPDATE
       SET active = true,
           -- workers may be some seconds apart; more is another timeout
           inactive_at = CASE WHEN EXCLUDED.inactive_at
                                   < s.inactive_at - 10000
                         THEN EXCLUDED.inactive_at
                         ELSE GREATEST(s.inactive_at,
                                       EXCLUDED.inactive_at) END;

    PERFORM iot.state_active(woken, true);

    IF NOT tell THEN
        RETURN NULL;
    END IF;

    RETURN (SELECT json_agg(iot.event_of(d.tenant_id, d.id,
                       'attributes/server', json_strip_nulls(
                       json_build_object(
                           'active', CASE WHEN d.nr = ANY (woken)
                                     THEN true END,
                           'lastActivityTime', NULLIF(x.seen, 0),
                           'lastConnectTime', NULLIF(x.connected, 0),
                           'lastDisconnectTime',
                               NULLIF(x.disconnected, 0)))))
              FROM unnest(entities, seen, connected, disconnected)
                       AS x (entity, seen, connected, disconnected)
                   JOIN iot.device d ON d.nr = x.entity);
END
$$;


-- Devices that have been silent for too long are not active any more.

CREATE OR REPLACE FUNCTION iot.activity_end(slice integer)
RETURNS integer[]
LANGUAGE plpgsql
AS $$
DECLARE
    silent  integer[];
BEGIN
    -- of devices that are no more

    DELETE FROM iot.device_state s
     WHERE s.entity = ANY (ARRAY(
               SELECT x.entity
                 FROM iot.device_state x
                WHERE x.active AND x.inactive_at <= iot.now_ms()
                LIMIT slice))
           AND NOT EXISTS (SELECT FROM iot.device d WHERE d.nr = s.entity);

    WITH gone AS (
        UPDATE iot.device_state s
           SET active = false
         WHERE s.entity = ANY (ARRAY(
                   SELECT x.entity
                     FROM iot.device_state x
                    WHERE x.active AND x.inactive_at <= iot.now_ms()
                    LIMIT slice
                      FOR UPDATE SKIP LOCKED))
        RETURNING s.entity
    )
    SELECT COALESCE(array_agg(g.entity ORDER BY g.entity), '{}') INTO silent
      FROM gone g;

    PERFORM iot.state_active(silent, false);
    PERFORM iot.state_time(silent,
                           array_fill(iot.now_ms(),
                                      ARRAY[cardinality(silent)]),
                           'inactivityAlarmTime')
      WHERE cardinality(silent) > 0;

    RETURN silent;
END
$$;


-- Returns how many.

CREATE OR REPLACE FUNCTION iot.maintain_activity(slice integer DEFAULT 2000)
RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
BEGIN
    RETURN cardinality(iot.activity_end(slice));
END
$$;


-- The same for a worker; tell: the events for those who watch.

CREATE OR REPLACE FUNCTION iot.activity_sweep(tell boolean) RETURNS json
LANGUAGE plpgsql SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
DECLARE
    silent  integer[] := iot.activity_end(2000);
BEGIN
    IF NOT tell OR silent = '{}' THEN
        RETURN NULL;
    END IF;

    RETURN (SELECT json_agg(iot.event_of(d.tenant_id, d.id,
                       'attributes/server', json_build_object(
                           'active', false,
                           'inactivityAlarmTime', iot.now_ms())))
              FROM iot.device d
             WHERE d.nr = ANY (silent));
END
$$;


SELECT iot.definer('iot.device_activity',
    'writes attributes of devices the worker has seen');
SELECT iot.definer('iot.maintain_activity',
    'sweeps the devices of all tenants');
SELECT iot.definer('iot.activity_sweep',
    'sweeps the devices of all tenants');
