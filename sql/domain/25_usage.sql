
--
-- Copyright (C) the ngx_iot authors
--
-- What a tenant may use in a month.  Workers count messages and points and
-- add them here about once a second; mails are counted where they are
-- written.  At warnThreshold of a cap, and at the cap, the tenant's
-- administrators get a mail; from there on it is refused, until the next
-- month or a larger cap.

-- The month now, in UTC.

CREATE OR REPLACE FUNCTION iot.usage_month() RETURNS integer
LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYYMM')::integer;
END
$$;


-- What is counted, and its cap in the configuration of the profile.

CREATE OR REPLACE FUNCTION iot.usage_cap(tenant uuid, name text)
RETURNS bigint
LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN iot.tenant_cap(tenant, CASE usage_cap.name
               WHEN 'transportMessages' THEN 'maxTransportMessages'
               WHEN 'transportDataPoints' THEN 'maxTransportDataPoints'
               WHEN 'emails' THEN 'maxEmails' END);
END
$$;


CREATE OR REPLACE FUNCTION iot.usage_value(tenant uuid, name text)
RETURNS bigint
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
BEGIN
    RETURN COALESCE((SELECT u.value FROM iot.usage AS u
                     WHERE u.tenant_id = usage_value.tenant
                           AND u.month = iot.usage_month()
                           AND u.name = usage_value.name), 0);
END
$$;


-- ENABLED, WARNING or DISABLED.

CREATE OR REPLACE FUNCTION iot.usage_state(tenant uuid, name text)
RETURNS text
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
BEGIN
    RETURN COALESCE((SELECT s.state FROM iot.usage_state AS s
                     WHERE s.tenant_id = usage_state.tenant
                           AND s.name = usage_state.name
                           AND s.month = iot.usage_month()), 'ENABLED');
END
$$;


-- Bring the state in line with the number.  Who changes it says so, once.

CREATE OR REPLACE FUNCTION iot.usage_judge(tenant uuid, name text,
    value bigint) RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    cap   bigint := iot.usage_cap(tenant, name);
    warn  numeric := COALESCE((SELECT (tp.data -> 'configuration'
                                       ->> 'warnThreshold')::numeric
                               FROM iot.tenant AS t
                                   JOIN iot.tenant_profile AS tp
                                       ON tp.id = t.tenant_profile_id
                               WHERE t.id = tenant), 0.8);
    old   text := iot.usage_state(tenant, name);
    new   text := 'ENABLED';
BEGIN
    IF value >= cap THEN
        new := 'DISABLED';

    ELSIF warn > 0 AND value >= cap * warn THEN
        new := 'WARNING';
    END IF;

    IF new = old THEN
        RETURN;
    END IF;

    IF new = 'ENABLED' THEN
        DELETE FROM iot.usage_state AS s
        WHERE s.tenant_id = tenant AND s.name = usage_judge.name;

    ELSE
        INSERT INTO iot.usage_state AS s (tenant_id, name, month, state)
        VALUES (tenant, usage_judge.name, iot.usage_month(), new)
        ON CONFLICT ON CONSTRAINT usage_state_pkey
            DO UPDATE SET month = excluded.month,
                          state = excluded.state,
                          created_time = iot.now_ms();

        PERFORM iot.usage_tell(tenant, name, new, value, cap);
    END IF;

    -- the workers read what they keep of the tenant again

    PERFORM pg_notify('iot', 'tenant_usage ' || tenant);
END
$$;


CREATE OR REPLACE FUNCTION iot.usage_tell(tenant uuid, name text, state text,
    value bigint, cap bigint) RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    IF name = 'emails' AND state = 'DISABLED' THEN
        RETURN;
    END IF;

    PERFORM iot.job_add(tenant, 'mail', jsonb_build_object(
                'template', 'api-usage', 'recipient', u.email,
                'vars', jsonb_build_object('name', usage_tell.name,
                                           'state', state, 'value', value,
                                           'cap', cap)))
    FROM iot.users AS u
        JOIN iot.user_credentials AS c ON c.user_id = u.id
    WHERE u.tenant_id = tenant AND u.authority = 'TENANT_ADMIN'
          AND c.enabled
    LIMIT 20;
END
$$;


-- Add to a number; returns what it is then.

CREATE OR REPLACE FUNCTION iot.usage_count(tenant uuid, name text, n bigint)
RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
DECLARE
    v  bigint;
BEGIN
    INSERT INTO iot.usage AS u (tenant_id, month, name, value)
    SELECT t.id, iot.usage_month(), usage_count.name, n
    FROM iot.tenant AS t WHERE t.id = usage_count.tenant
    ON CONFLICT ON CONSTRAINT usage_pkey
        DO UPDATE SET value = u.value + excluded.value
    RETURNING u.value INTO v;

    IF v IS NOT NULL THEN
        PERFORM iot.usage_judge(tenant, name, v);
    END IF;

    RETURN v;
END
$$;


-- What a worker has counted, in parallel arrays.  Always in the order of the
-- tenants, so that workers do not wait for each other in a circle.

CREATE OR REPLACE FUNCTION iot.usage_add(tenants uuid[], messages bigint[],
    points bigint[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
DECLARE
    r  record;
BEGIN
    FOR r IN SELECT x.tenant, sum(x.m)::bigint AS m, sum(x.p)::bigint AS p
             FROM unnest(tenants, messages, points) AS x (tenant, m, p)
             GROUP BY x.tenant ORDER BY x.tenant
    LOOP
        IF r.m > 0 THEN
            PERFORM iot.usage_count(r.tenant, 'transportMessages', r.m);
        END IF;

        IF r.p > 0 THEN
            PERFORM iot.usage_count(r.tenant, 'transportDataPoints', r.p);
        END IF;
    END LOOP;
END
$$;


-- One mail more; false: no more this month.  One at a time where there is a
-- cap, so that two cannot both be the last one.

CREATE OR REPLACE FUNCTION iot.usage_mail(tenant uuid) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
DECLARE
    cap  bigint := iot.usage_cap(tenant, 'emails');
BEGIN
    IF cap IS NOT NULL THEN
        PERFORM iot.lock('usage emails', tenant);

        IF iot.usage_value(tenant, 'emails') >= cap THEN
            RETURN false;
        END IF;
    END IF;

    PERFORM iot.usage_count(tenant, 'emails', 1);

    RETURN true;
END
$$;


-- Judge again: a new month has begun, or the profile (NULL: any) has changed.

CREATE OR REPLACE FUNCTION iot.usage_review(profile uuid DEFAULT NULL)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
DECLARE
    r  record;
BEGIN
    -- what is of another month is over

    FOR r IN DELETE FROM iot.usage_state AS s
             WHERE s.month <> iot.usage_month()
             RETURNING s.tenant_id
    LOOP
        PERFORM pg_notify('iot', 'tenant_usage ' || r.tenant_id);
    END LOOP;

    IF profile IS NULL THEN
        DELETE FROM iot.usage AS u
        WHERE u.month < iot.usage_month() - 200;

        RETURN;
    END IF;

    FOR r IN SELECT u.tenant_id, u.name, u.value
             FROM iot.usage AS u JOIN iot.tenant AS t ON t.id = u.tenant_id
             WHERE t.tenant_profile_id = profile
                   AND u.month = iot.usage_month()
             ORDER BY u.tenant_id, u.name
    LOOP
        PERFORM iot.usage_judge(r.tenant_id, r.name, r.value);
    END LOOP;
END
$$;


SELECT iot.definer('iot.usage_' || f, 'numbers of tenants, told by workers')
FROM (VALUES ('value'), ('state'), ('count'), ('add'), ('mail'), ('review'))
     AS v (f);

REVOKE EXECUTE ON FUNCTION iot.usage_count(uuid, text, bigint) FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION iot.usage_review(uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION iot.usage_review(uuid) TO iot_app;
GRANT EXECUTE ON FUNCTION iot.usage_add(uuid[], bigint[], bigint[])
    TO iot_app;
