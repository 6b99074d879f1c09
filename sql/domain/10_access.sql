
--
-- Copyright (C) the ngx_iot authors
--
-- Who may do what.  An operation is one of CREATE, READ, WRITE, DELETE,
-- RPC_CALL, READ_CREDENTIALS, WRITE_CREDENTIALS, READ_ATTRIBUTES,
-- WRITE_ATTRIBUTES, READ_TELEMETRY, WRITE_TELEMETRY, ADD_TO_GROUP,
-- REMOVE_FROM_GROUP, CHANGE_OWNER, IMPERSONATE, CLAIM_DEVICES, SHARE_GROUP,
-- ASSIGN_TO_TENANT.
--
-- The entity is one of the caller's tenant, which whoever asks has found
-- already; customer is its owner, NULL the tenant.  Of a dashboard that is
-- assigned to several customers the caller's is the one to name, if it is
-- among them.  For CREATE the id is NULL.


-- What a customer user may do without any role.

CREATE OR REPLACE FUNCTION iot.may_customer(p iot.principal, operation text,
    entity_type text, id uuid, customer uuid) RETURNS boolean
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    reading  boolean := operation IN ('READ', 'READ_ATTRIBUTES',
                                      'READ_TELEMETRY');
BEGIN
    IF COALESCE(p.is_public, false) AND NOT reading THEN
        RETURN false;
    END IF;

    -- what belongs to no customer

    IF entity_type IN ('DEVICE_PROFILE', 'ASSET_PROFILE', 'TB_RESOURCE',
                       'WIDGETS_BUNDLE', 'WIDGET_TYPE')
    THEN
        RETURN operation = 'READ';
    END IF;

    IF entity_type = 'USER' AND id = p.user_id THEN
        RETURN reading OR operation IN ('WRITE', 'WRITE_ATTRIBUTES',
                                        'WRITE_TELEMETRY');
    END IF;

    IF customer IS NULL OR customer IS DISTINCT FROM p.customer_id THEN
        RETURN false;
    END IF;

    RETURN CASE entity_type
           WHEN 'DEVICE' THEN reading OR operation IN ('WRITE', 'RPC_CALL',
               'READ_CREDENTIALS', 'WRITE_ATTRIBUTES', 'WRITE_TELEMETRY',
               'CLAIM_DEVICES')
           WHEN 'ASSET' THEN reading OR operation IN ('WRITE',
               'WRITE_ATTRIBUTES', 'WRITE_TELEMETRY')
           WHEN 'ENTITY_VIEW' THEN reading OR operation IN ('WRITE',
               'WRITE_ATTRIBUTES', 'WRITE_TELEMETRY')
           WHEN 'ALARM' THEN reading OR operation IN ('CREATE', 'WRITE',
               'DELETE')
           WHEN 'CUSTOMER' THEN reading
           WHEN 'USER' THEN reading
           WHEN 'DASHBOARD' THEN reading
           WHEN 'ENTITY_GROUP' THEN reading
           ELSE false
           END;
END
$$;


CREATE OR REPLACE FUNCTION iot.may(p iot.principal, operation text,
    entity_type text, id uuid, customer uuid) RETURNS boolean
LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN CASE p.role
           WHEN 'TENANT_ADMIN' THEN true
           WHEN 'CUSTOMER_USER' THEN iot.may_customer(p, operation,
               entity_type, id, customer)
           WHEN 'SYS_ADMIN' THEN entity_type IN ('TENANT', 'TENANT_PROFILE',
               'USER', 'ADMIN_SETTINGS', 'API_KEY')
           ELSE false
           END;
END
$$;


-- The same, with a refusal.

CREATE OR REPLACE FUNCTION iot.need(p iot.principal, operation text,
    entity_type text, id uuid, customer uuid) RETURNS void
LANGUAGE plpgsql STABLE
AS $$
BEGIN
    IF NOT COALESCE(iot.may(p, operation, entity_type, id, customer), false)
    THEN
        PERFORM iot.fail_permission();
    END IF;
END
$$;


-- The same for a list: a condition in SQL, to be put after AND, that holds
-- for the rows which the caller may read.  row is the alias of a table with
-- the columns id and customer_id.  Nothing of a client is in that text.

CREATE OR REPLACE FUNCTION iot.may_list(p iot.principal, entity_type text,
    "row" text) RETURNS text
LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN CASE p.role
           WHEN 'TENANT_ADMIN' THEN 'true'
           WHEN 'CUSTOMER_USER' THEN format('%I.customer_id = %L::uuid',
               "row", p.customer_id)
           ELSE 'false'
           END;
END
$$;
