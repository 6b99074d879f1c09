
--
-- Copyright (C) the ngx_iot authors
--
-- The end of a tenant.  What it has may be millions of rows, and a call has
-- some seconds: so it is marked, which ends all logins and devices at once,
-- and its rows go in slices, those of a small tenant in the call itself, the
-- others with iot.maintain().


-- Nobody of a tenant that has gone is let in.  NULL: the system.

CREATE OR REPLACE FUNCTION iot.tenant_alive(tenant uuid) RETURNS boolean
LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN tenant IS NULL
           OR EXISTS (SELECT FROM iot.tenant AS t
                      WHERE t.id = tenant AND t.gone_time IS NULL);
END
$$;


-- Mark it; the notification makes the workers drop its users and devices.

CREATE OR REPLACE FUNCTION iot.tenant_go(tenant uuid) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
BEGIN
    IF NOT iot.is_system() THEN
        PERFORM iot.fail_permission();
    END IF;

    UPDATE iot.tenant AS t
    SET gone_time = iot.now_ms(), gone_step = 1
    WHERE t.id = tenant AND t.gone_time IS NULL;

    PERFORM pg_notify('iot', 'tenant ' || tenant);
END
$$;

SELECT iot.definer('iot.tenant_go', 'the workers do not see what has gone');


-- The tables that are emptied one after the other: none refers to one before
-- it.  Tables that are not here go with a row of these.

CREATE OR REPLACE FUNCTION iot.tenant_tables() RETURNS text[]
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    RETURN '{group_permission,session,signup,signup_invitation,
             alarm_comment,alarm_entity,alarm,relation,entity_group_member,
             users,role,entity_group,entity_view,dashboard_customer,
             dashboard,asset,asset_profile,mqtt_session,mqtt_retained,
             mqtt_will,device_credentials,rpc,device,ota_data,ota_package,
             device_profile,customer,audit_log}'::text[];
END
$$;


-- Delete at most row_limit rows of one table; how many it was.  Rows that have
-- telemetry and attributes take them along.

CREATE OR REPLACE FUNCTION iot.tenant_slice(tenant uuid, place text,
    row_limit integer) RETURNS integer
LANGUAGE plpgsql
AS $$
DECLARE
    n        integer;
    numbers  integer[];
BEGIN
    IF place = 'customer' THEN
        UPDATE iot.customer AS c SET parent_id = NULL
        WHERE c.tenant_id = tenant AND c.parent_id IS NOT NULL
              AND c.id IN (SELECT x.id FROM iot.customer AS x
                           WHERE x.tenant_id = tenant
                                 AND x.parent_id IS NOT NULL
                           LIMIT row_limit);

        GET DIAGNOSTICS n = ROW_COUNT;

        IF n > 0 THEN
            RETURN row_limit;
        END IF;
    END IF;

    IF place IN ('users', 'entity_view', 'dashboard', 'asset', 'device',
                 'customer')
    THEN
        EXECUTE format('WITH d AS (DELETE FROM iot.%1$I WHERE ctid = ANY '
                       '(ARRAY(SELECT ctid FROM iot.%1$I '
                       'WHERE tenant_id = $1 LIMIT $2)) RETURNING nr) '
                       'SELECT array_agg(nr) FROM d', place)
            INTO numbers
            USING tenant, row_limit;

        PERFORM iot.forget_entity(e.nr) FROM unnest(numbers) AS e (nr);

        RETURN COALESCE(cardinality(numbers), 0);
    END IF;

    EXECUTE format('DELETE FROM iot.%1$I WHERE ctid = ANY (ARRAY('
                   'SELECT ctid FROM iot.%1$I '
                   'WHERE tenant_id = $1 LIMIT $2))', place)
        USING tenant, row_limit;

    GET DIAGNOSTICS n = ROW_COUNT;

    RETURN n;
END
$$;


-- Go on with a tenant that has been marked, until then, but for one slice at
-- least; true: nothing of it is left.  What came in late, behind a step that
-- was done, is found by the last one, which begins again.

CREATE OR REPLACE FUNCTION iot.tenant_sweep(tenant uuid, until timestamptz,
    row_limit integer) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
DECLARE
    tables  CONSTANT text[] := iot.tenant_tables();
    t       iot.tenant;
BEGIN
    SELECT * INTO t FROM iot.tenant AS x
    WHERE x.id = tenant AND x.gone_time IS NOT NULL
    FOR NO KEY UPDATE SKIP LOCKED;

    IF t.id IS NULL THEN
        RETURN NOT EXISTS (SELECT FROM iot.tenant AS x
                           WHERE x.id = tenant AND x.gone_time IS NOT NULL);
    END IF;

    LOOP
        IF t.gone_step > cardinality(tables) THEN
            BEGIN
                DELETE FROM iot.tenant AS x WHERE x.id = t.id;
                DELETE FROM iot.audit_log AS l WHERE l.tenant_id = t.id;
                PERFORM iot.forget_entity(t.nr);
                PERFORM pg_notify('iot', 'tenant ' || t.id);

                RETURN true;

            EXCEPTION
                WHEN foreign_key_violation THEN
                    t.gone_step := 1;
            END;

        ELSIF iot.tenant_slice(t.id, tables[t.gone_step], row_limit)
              < row_limit
        THEN
            t.gone_step := t.gone_step + 1;
        END IF;

        EXIT WHEN clock_timestamp() > until;
    END LOOP;

    UPDATE iot.tenant AS x SET gone_step = t.gone_step WHERE x.id = t.id;

    RETURN false;
END
$$;

SELECT iot.definer('iot.tenant_sweep',
                   'of what has gone the workers see nothing');


-- A part of iot.maintain(): true, there is more to do.

CREATE OR REPLACE FUNCTION iot.maintain_tenants(until timestamptz)
RETURNS boolean
LANGUAGE plpgsql
AS $$
DECLARE
    tenant  uuid;
    more    boolean := false;
BEGIN
    FOR tenant IN SELECT t.id FROM iot.tenant AS t
                  WHERE t.gone_time IS NOT NULL
                  ORDER BY t.gone_time
    LOOP
        IF NOT iot.tenant_sweep(tenant, until, 200) THEN
            more := true;
        END IF;

        EXIT WHEN clock_timestamp() > until;
    END LOOP;

    RETURN more;

EXCEPTION
    WHEN lock_not_available OR deadlock_detected THEN
        RETURN true;
END
$$;
