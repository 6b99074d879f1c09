
--
-- Copyright (C) the ngx_iot authors
--
-- The number of an entity for those who own its attributes and telemetry, if
-- the caller may do the operation (READ..., or anything else: a change).  The
-- texts are those of the answers in plain text.


CREATE OR REPLACE FUNCTION iot.entity_label(entity_type text) RETURNS text
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    RETURN upper(left(entity_type, 1))
           || lower(replace(substr(entity_type, 2), '_', '-'));
END
$$;


CREATE OR REPLACE FUNCTION iot.resolve(p iot.principal, entity_type text,
    id uuid, operation text) RETURNS integer
LANGUAGE plpgsql
AS $$
DECLARE
    customer  uuid;
    result    integer;
BEGIN
    IF p.role = 'SYS_ADMIN' AND entity_type NOT IN ('TENANT', 'USER') THEN
        PERFORM iot.fail(403, 'permission_denied', 'System administrator is '
                         'not allowed to perform this operation!');
    END IF;

    CASE entity_type
    WHEN 'DEVICE' THEN
        SELECT d.nr, d.customer_id INTO result, customer
        FROM iot.device AS d
        WHERE d.tenant_id = p.tenant_id AND d.id = resolve.id;

    WHEN 'ASSET', 'ENTITY_VIEW', 'DASHBOARD', 'CUSTOMER', 'USER', 'TENANT' THEN
        SELECT e.nr, e.customer_id INTO result, customer
        FROM iot.entity_find(p, entity_type, id) AS e;

    ELSE
        PERFORM iot.fail_request(
            format('Unsupported entity type: %s', entity_type));
    END CASE;

    IF result IS NULL THEN
        PERFORM iot.fail(404, 'not_found', iot.entity_label(entity_type)
                         || ' with requested id wasn''t found!');
    END IF;

    IF entity_type = 'ENTITY_VIEW' AND operation = 'WRITE_TELEMETRY' THEN
        PERFORM iot.fail_request('Telemetry data can''t be stored for entity '
                                 'view. Only read only');
    END IF;

    IF NOT iot.may(p, operation, entity_type, id, customer) THEN
        IF p.role = 'CUSTOMER_USER'
           AND (entity_type = 'TENANT'
                OR entity_type IN ('CUSTOMER', 'USER')
                   AND customer = p.customer_id
                   AND NOT COALESCE(p.is_public, false))
        THEN
            PERFORM iot.fail(403, 'permission_denied', 'Customer user is not '
                             'allowed to perform this operation!');
        END IF;

        PERFORM iot.fail_permission();
    END IF;

    RETURN result;
END
$$;
