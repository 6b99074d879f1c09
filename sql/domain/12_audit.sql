
--
-- Copyright (C) the ngx_iot authors
--
-- The audit log: a row for every change and every login.  customer is the one
-- whose entity it is; by default that of the caller.


CREATE OR REPLACE FUNCTION iot.audit(p iot.principal, entity_type text,
    entity_id uuid, entity_name text, action text,
    status text DEFAULT 'SUCCESS', failure text DEFAULT NULL,
    data json DEFAULT NULL, customer uuid DEFAULT NULL)
RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    INSERT INTO iot.audit_log (tenant_id, customer_id, entity_type, entity_id,
                               entity_name, user_id, user_name, action, data,
                               status, failure)
    VALUES (COALESCE(p.tenant_id, '00000000-0000-0000-0000-000000000000'),
            COALESCE(customer, p.customer_id), audit.entity_type,
            audit.entity_id, audit.entity_name, p.user_id, p.name,
            audit.action, audit.data, audit.status, audit.failure);
END
$$;


-- Forget what is older than the setting "audit" {"days": n} says (0: never),
-- and sessions and locks that have ended; a slice at a time, so that it can be called
-- again and again.  Returns the number of rows.

CREATE OR REPLACE FUNCTION iot.maintain_identity(slice integer DEFAULT 5000)
RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
DECLARE
    days    integer;
    before  bigint;
    n       integer;
    total   integer := 0;
BEGIN
    days := COALESCE((iot.setting('audit') ->> 'days')::integer, 0);

    IF days > 0 THEN
        before := iot.now_ms() - days * 86400000::bigint;

        DELETE FROM iot.audit_log
        WHERE ctid = ANY (ARRAY(SELECT l.ctid FROM iot.audit_log AS l
                                WHERE l.created_time < before LIMIT slice));

        GET DIAGNOSTICS n = ROW_COUNT;
        total := n;
    END IF;

    DELETE FROM iot.session
    WHERE id = ANY (ARRAY(SELECT s.id FROM iot.session AS s
                          WHERE s.expires_at < iot.now_ms() LIMIT slice));

    GET DIAGNOSTICS n = ROW_COUNT;

    RETURN total + n + iot.lockout_end(NULL);
END
$$;

INSERT INTO iot.definer_function (name, why)
VALUES ('iot.maintain_identity',
        'expires sessions and the audit rows of all tenants')
ON CONFLICT (name) DO UPDATE SET why = excluded.why;
