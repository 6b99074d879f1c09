
--
-- Copyright (C) the ngx_iot authors
--
-- To whom a device, an asset or an entity view belongs: to a customer, or to
-- the tenant (NULL).


-- Of a save: the customer must be one of the tenant; who changes it must be
-- allowed to.  id NULL: the entity is being made.

CREATE OR REPLACE FUNCTION iot.assign_check(p iot.principal, entity_type text,
    id uuid, was uuid, customer uuid) RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    kind  text := lower(iot.entity_title(entity_type));
BEGIN
    IF customer IS NOT NULL THEN
        PERFORM iot.check_customer(p.tenant_id, customer,
            format('Can''t assign %s to non-existent customer!', kind),
            format('Can''t assign %s to customer from different tenant!',
                   kind));
    END IF;

    IF id IS NOT NULL AND was IS DISTINCT FROM customer
       AND p.role = 'CUSTOMER_USER'
    THEN
        PERFORM iot.need(p, 'CHANGE_OWNER', entity_type, id, was),
                iot.need(p, 'CREATE', entity_type, NULL, customer);
    END IF;
END
$$;


-- Give the entity to a customer of the tenant, or to nobody (NULL), who may
-- be its owner already.

CREATE OR REPLACE FUNCTION iot.assign(p iot.principal, entity_type text,
    id uuid, customer uuid) RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    e  iot.entity;
BEGIN
    PERFORM iot.need_role(p, 'TENANT_ADMIN', 'CUSTOMER_USER');

    e := iot.entity_get(p, entity_type, id, 'CHANGE_OWNER');

    IF customer IS NULL AND e.customer_id IS NULL THEN
        PERFORM iot.fail_request(format(
            '%s isn''t assigned to any customer!',
            iot.entity_title(entity_type)));
    END IF;

    IF e.customer_id IS NOT DISTINCT FROM customer THEN
        RETURN;
    END IF;

    CASE entity_type
    WHEN 'DEVICE' THEN
        UPDATE iot.device AS t
        SET customer_id = customer, version = t.version + 1
        WHERE t.tenant_id = e.tenant_id AND t.id = e.id;

        PERFORM pg_notify('iot', 'device ' || e.id);

    WHEN 'ASSET' THEN
        UPDATE iot.asset AS t
        SET customer_id = customer, version = t.version + 1
        WHERE t.tenant_id = e.tenant_id AND t.id = e.id;

    WHEN 'ENTITY_VIEW' THEN
        UPDATE iot.entity_view AS t
        SET customer_id = customer, version = t.version + 1
        WHERE t.tenant_id = e.tenant_id AND t.id = e.id;
    END CASE;

    PERFORM iot.assign_audit(p, e, e.customer_id, customer);
END
$$;


CREATE OR REPLACE FUNCTION iot.assign_audit(p iot.principal, e iot.entity,
    was uuid, customer uuid) RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.audit(p, e.entity_type, e.id, e.name,
                      CASE WHEN customer IS NULL
                      THEN 'UNASSIGNED_FROM_CUSTOMER'
                      ELSE 'ASSIGNED_TO_CUSTOMER' END,
                      data => json_build_object(
                          'customerId', COALESCE(customer, was)),
                      customer => COALESCE(customer, was));
END
$$;


-- The customer goes: what it had is the tenant's again.

CREATE OR REPLACE FUNCTION iot.assign_end(tenant uuid, customer uuid)
RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    one  uuid;
BEGIN
    FOR one IN
        UPDATE iot.device AS t
        SET customer_id = NULL, version = t.version + 1
        WHERE t.tenant_id = tenant AND t.customer_id = customer
        RETURNING t.id
    LOOP
        PERFORM pg_notify('iot', 'device ' || one);
    END LOOP;

    UPDATE iot.asset AS t
    SET customer_id = NULL, version = t.version + 1
    WHERE t.tenant_id = tenant AND t.customer_id = customer;

    UPDATE iot.entity_view AS t
    SET customer_id = NULL, version = t.version + 1
    WHERE t.tenant_id = tenant AND t.customer_id = customer;

    DELETE FROM iot.dashboard_customer AS t
    WHERE t.tenant_id = tenant AND t.customer_id = customer;
END
$$;
