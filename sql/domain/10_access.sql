
--
-- Copyright (C) the ngx_iot authors
--
-- Who may do what.  An operation is one of CREATE, READ, WRITE, DELETE,
-- RPC_CALL, READ_CREDENTIALS, WRITE_CREDENTIALS, READ_ATTRIBUTES,
-- WRITE_ATTRIBUTES, READ_TELEMETRY, WRITE_TELEMETRY, ADD_TO_GROUP,
-- REMOVE_FROM_GROUP, CHANGE_OWNER, IMPERSONATE, CLAIM_DEVICES, SHARE_GROUP,
-- ASSIGN_TO_TENANT, PAYG_TOKEN.
--
-- The entity is one of the caller's tenant, which whoever asks has found
-- already; customer is its owner, NULL the tenant.  Of a dashboard that is
-- assigned to several customers the caller's is the one to name, if it is
-- among them.  For CREATE the id is NULL.  A group of devices is of the type
-- DEVICE_GROUP, and so on.
--
-- The authority of a user says what it may do, until a GENERIC role is given
-- to one of its groups: then these roles say it, for what its owner has, or,
-- if that is a customer, that customer and the customers below it.  A GROUP
-- role adds what may be done with the entities of one group.


-- What a customer user may do by its authority.

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
           ELSE reading AND entity_type LIKE '%\_GROUP'
           END;
END
$$;


-- Is the customer c that one, or one below it?

CREATE OR REPLACE FUNCTION iot.is_below(tenant uuid, top uuid, c uuid)
RETURNS boolean
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    here  uuid := c;
BEGIN
    FOR i IN 1 .. 64 LOOP
        IF here = top THEN
            RETURN true;
        END IF;

        SELECT t.parent_id INTO here FROM iot.customer AS t
        WHERE t.tenant_id = tenant AND t.id = here;

        IF here IS NULL THEN
            RETURN false;
        END IF;
    END LOOP;

    RETURN false;
END
$$;


CREATE OR REPLACE FUNCTION iot.customers_below(tenant uuid, top uuid)
RETURNS uuid[]
LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN ARRAY(
        WITH RECURSIVE tree (id, depth) AS (
            SELECT top, 1
            UNION ALL
            SELECT c.id, t.depth + 1
            FROM tree AS t
                JOIN iot.customer AS c
                    ON c.tenant_id = tenant AND c.parent_id = t.id
            WHERE t.depth < 64
        )
        SELECT t.id FROM tree AS t);
END
$$;


-- The groups of users which the caller is in; for a public customer those
-- that a group of entities was made public to.

CREATE OR REPLACE FUNCTION iot.caller_groups(p iot.principal) RETURNS uuid[]
LANGUAGE plpgsql STABLE
AS $$
BEGIN
    IF COALESCE(p.is_public, false) THEN
        RETURN ARRAY(SELECT g.id FROM iot.entity_group AS g
                     WHERE g.tenant_id = p.tenant_id
                           AND g.customer_id = p.customer_id
                           AND g.type = 'USER' AND g.is_all);
    END IF;

    IF p.user_id IS NULL THEN
        RETURN '{}'::uuid[];
    END IF;

    RETURN ARRAY(SELECT m.group_id FROM iot.entity_group_member AS m
                 WHERE m.tenant_id = p.tenant_id AND m.entity_id = p.user_id
                 UNION ALL
                 SELECT g.id FROM iot.entity_group AS g
                 WHERE g.tenant_id = p.tenant_id
                       AND g.customer_id IS NOT DISTINCT FROM p.customer_id
                       AND g.type = 'USER' AND g.is_all);
END
$$;


-- Does the tenant have any roles in force?  One look into an index, and the
-- only price for those that have none.

CREATE OR REPLACE FUNCTION iot.has_roles(p iot.principal) RETURNS boolean
LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN EXISTS (SELECT FROM iot.group_permission AS g
                   WHERE g.tenant_id = p.tenant_id);
END
$$;


-- The permissions of the caller's GENERIC roles; NULL: it has none, and its
-- authority holds.

CREATE OR REPLACE FUNCTION iot.generic_roles(p iot.principal, groups uuid[])
RETURNS jsonb[]
LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT array_agg(r.permissions)
            FROM iot.group_permission AS g
                JOIN iot.role AS r
                    ON r.tenant_id = g.tenant_id AND r.id = g.role_id
            WHERE g.tenant_id = p.tenant_id AND g.user_group_id = ANY (groups)
                  AND g.entity_group_id IS NULL AND r.type = 'GENERIC');
END
$$;


CREATE OR REPLACE FUNCTION iot.role_has(roles jsonb[], entity_type text,
    operation text) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    RETURN EXISTS (SELECT FROM unnest(roles) AS r (o)
                   WHERE r.o -> entity_type ?| ARRAY[operation, 'ALL']
                         OR r.o -> 'ALL' ?| ARRAY[operation, 'ALL']);
END
$$;


-- The same question as iot.may(), to GENERIC roles.  Whoever has a role sees
-- itself, its own customer, and what devices and assets are made from.

CREATE OR REPLACE FUNCTION iot.may_generic(p iot.principal, roles jsonb[],
    operation text, entity_type text, id uuid, customer uuid)
RETURNS boolean
LANGUAGE plpgsql STABLE
AS $$
BEGIN
    IF entity_type = 'USER' AND id = p.user_id
       AND operation IN ('READ', 'WRITE', 'READ_ATTRIBUTES',
                         'WRITE_ATTRIBUTES')
       OR entity_type IN ('DEVICE_PROFILE', 'ASSET_PROFILE', 'TB_RESOURCE',
                          'WIDGETS_BUNDLE', 'WIDGET_TYPE')
          AND operation = 'READ'
    THEN
        RETURN true;
    END IF;

    IF p.role = 'CUSTOMER_USER' THEN
        IF entity_type = 'CUSTOMER' AND id = p.customer_id THEN
            RETURN operation IN ('READ', 'READ_ATTRIBUTES', 'READ_TELEMETRY');
        END IF;

        IF customer IS NULL
           OR NOT iot.is_below(p.tenant_id, p.customer_id, customer)
        THEN
            RETURN false;
        END IF;
    END IF;

    RETURN iot.role_has(roles, entity_type, operation);
END
$$;


-- The same question to GROUP roles: the entity is in a group, or the group.

CREATE OR REPLACE FUNCTION iot.may_group(p iot.principal, groups uuid[],
    operation text, entity_type text, id uuid, customer uuid)
RETURNS boolean
LANGUAGE plpgsql STABLE
AS $$
BEGIN
    IF id IS NULL OR cardinality(groups) = 0
       OR COALESCE(p.is_public, false)
          AND operation NOT IN ('READ', 'READ_ATTRIBUTES', 'READ_TELEMETRY')
    THEN
        RETURN false;
    END IF;

    RETURN EXISTS (
        SELECT FROM iot.group_permission AS g
            JOIN iot.role AS r
                ON r.tenant_id = g.tenant_id AND r.id = g.role_id
            JOIN iot.entity_group AS e
                ON e.tenant_id = g.tenant_id AND e.id = g.entity_group_id
        WHERE g.tenant_id = p.tenant_id AND g.user_group_id = ANY (groups)
              AND r.type = 'GROUP'
              AND r.permissions ?| ARRAY[operation, 'ALL']
              AND (entity_type = e.type || '_GROUP' AND e.id = may_group.id
                   OR entity_type = e.type
                      AND CASE
                          WHEN e.is_all THEN
                              e.customer_id IS NOT DISTINCT FROM CASE e.type
                                  WHEN 'CUSTOMER' THEN
                                      (SELECT c.parent_id
                                       FROM iot.customer AS c
                                       WHERE c.tenant_id = p.tenant_id
                                             AND c.id = may_group.id)
                                  ELSE customer END
                              OR e.type = 'DASHBOARD'
                                 AND e.customer_id IS NULL
                          ELSE EXISTS (SELECT FROM iot.entity_group_member AS m
                                       WHERE m.tenant_id = e.tenant_id
                                             AND m.group_id = e.id
                                             AND m.entity_id = may_group.id)
                          END));
END
$$;


CREATE OR REPLACE FUNCTION iot.may_by_authority(p iot.principal,
    operation text, entity_type text, id uuid, customer uuid) RETURNS boolean
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


CREATE OR REPLACE FUNCTION iot.may(p iot.principal, operation text,
    entity_type text, id uuid, customer uuid) RETURNS boolean
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    groups  uuid[];
    roles   jsonb[];
BEGIN
    IF p.role IS NULL THEN
        RETURN false;
    END IF;

    IF p.tenant_id IS NULL OR NOT iot.has_roles(p) THEN
        RETURN COALESCE(iot.may_by_authority(p, operation, entity_type, id,
                                             customer), false);
    END IF;

    groups := iot.caller_groups(p);
    roles := iot.generic_roles(p, groups);

    RETURN COALESCE(CASE WHEN roles IS NULL
                    THEN iot.may_by_authority(p, operation, entity_type, id,
                                              customer)
                    ELSE iot.may_generic(p, roles, operation, entity_type, id,
                                         customer)
                    END, false)
           OR iot.may_group(p, groups, operation, entity_type, id, customer);
END
$$;


-- The same, with a refusal.

CREATE OR REPLACE FUNCTION iot.need(p iot.principal, operation text,
    entity_type text, id uuid, customer uuid) RETURNS void
LANGUAGE plpgsql STABLE
AS $$
BEGIN
    IF NOT iot.may(p, operation, entity_type, id, customer) THEN
        PERFORM iot.fail_permission();
    END IF;
END
$$;


-- Has the caller all that its authority can give?  GENERIC roles may have
-- taken some of it.

CREATE OR REPLACE FUNCTION iot.is_full(p iot.principal) RETURNS boolean
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    roles  jsonb[];
BEGIN
    IF p.role <> 'TENANT_ADMIN' OR NOT iot.has_roles(p) THEN
        RETURN true;
    END IF;

    roles := iot.generic_roles(p, iot.caller_groups(p));

    RETURN roles IS NULL OR iot.role_has(roles, 'ALL', 'ALL');
END
$$;


-- The question of a list: a condition in SQL, to be put after AND, that holds
-- for the rows with which the caller may do the operation.  "row" is the alias
-- of a table with the columns tenant_id, id and customer_id (dashboards: in
-- their table of customers).  Nothing of a client is in that text.

CREATE OR REPLACE FUNCTION iot.may_list(p iot.principal, entity_type text,
    "row" text, operation text DEFAULT 'READ') RETURNS text
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    groups     uuid[];
    roles      jsonb[];
    condition  text;
BEGIN
    IF p.role IS NULL OR p.role NOT IN ('TENANT_ADMIN', 'CUSTOMER_USER') THEN
        RETURN 'false';
    END IF;

    IF NOT iot.has_roles(p) THEN
        RETURN iot.owner_list(p, entity_type, "row", NULL, operation);
    END IF;

    groups := iot.caller_groups(p);
    roles := iot.generic_roles(p, groups);
    condition := iot.owner_list(p, entity_type, "row", roles, operation);

    IF condition <> 'true' AND cardinality(groups) > 0 THEN
        condition := '(' || condition
                     || iot.group_list(p, entity_type, "row", groups,
                                       operation) || ')';
    END IF;

    RETURN condition;
END
$$;


-- Of iot.may_list(): by authority (roles NULL), or by GENERIC roles.

CREATE OR REPLACE FUNCTION iot.owner_list(p iot.principal, entity_type text,
    "row" text, roles jsonb[], operation text) RETURNS text
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    owners  uuid[] := ARRAY[p.customer_id];
BEGIN
    IF roles IS NULL THEN
        IF p.role = 'TENANT_ADMIN' THEN
            RETURN 'true';
        END IF;

        IF NOT COALESCE(iot.may_customer(p, operation, entity_type,
                                         p.customer_id, p.customer_id), false)
        THEN
            RETURN 'false';
        END IF;

    ELSIF NOT iot.role_has(roles, entity_type, operation) THEN
        RETURN CASE
               WHEN entity_type = 'USER' AND operation = 'READ' THEN
                   format('%I.id = %L::uuid', "row", p.user_id)
               WHEN entity_type = 'CUSTOMER' AND operation = 'READ'
                    AND p.role = 'CUSTOMER_USER' THEN
                   format('%I.id = %L::uuid', "row", p.customer_id)
               ELSE 'false'
               END;

    ELSIF p.role = 'TENANT_ADMIN' THEN
        RETURN 'true';

    ELSE
        owners := iot.customers_below(p.tenant_id, p.customer_id);
    END IF;

    IF entity_type = 'DASHBOARD' THEN
        RETURN format('%1$I.id IN (SELECT x.dashboard_id '
                      'FROM iot.dashboard_customer AS x '
                      'WHERE x.tenant_id = %1$I.tenant_id '
                      'AND x.customer_id = ANY (%2$L::uuid[]))',
                      "row", owners);
    END IF;

    IF cardinality(owners) = 1 THEN
        RETURN format('%I.%I = %L::uuid', "row",
                      CASE entity_type WHEN 'CUSTOMER' THEN 'id'
                      ELSE 'customer_id' END, owners[1]);
    END IF;

    RETURN format('%I.%I = ANY (%L::uuid[])', "row",
                  CASE entity_type WHEN 'CUSTOMER' THEN 'id'
                  ELSE 'customer_id' END, owners);
END
$$;


-- Of iot.may_list(): what GROUP roles add, beginning with OR, or nothing.

CREATE OR REPLACE FUNCTION iot.group_list(p iot.principal, entity_type text,
    "row" text, groups uuid[], operation text) RETURNS text
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    own     uuid[];
    result  text := '';
    e       iot.entity_group;
BEGIN
    FOR e IN SELECT DISTINCT ON (t.id) t.*
             FROM iot.group_permission AS g
                 JOIN iot.role AS r
                     ON r.tenant_id = g.tenant_id AND r.id = g.role_id
                 JOIN iot.entity_group AS t
                     ON t.tenant_id = g.tenant_id AND t.id = g.entity_group_id
             WHERE g.tenant_id = p.tenant_id
                   AND g.user_group_id = ANY (groups)
                   AND t.type = entity_type AND r.type = 'GROUP'
                   AND r.permissions ?| ARRAY[operation, 'ALL']
    LOOP
        IF e.is_all THEN
            result := result || ' OR '
                      || iot.group_condition(e, "row");

        ELSE
            own := own || e.id;
        END IF;
    END LOOP;

    IF own IS NOT NULL THEN
        result := result || format(' OR %1$I.id IN (SELECT x.entity_id '
                      'FROM iot.entity_group_member AS x '
                      'WHERE x.tenant_id = %1$I.tenant_id '
                      'AND x.group_id = ANY (%2$L::uuid[]))', "row", own);
    END IF;

    RETURN result;
END
$$;


-- The condition of the rows that are in a group.

CREATE OR REPLACE FUNCTION iot.group_condition(g iot.entity_group,
    "row" text) RETURNS text
LANGUAGE plpgsql STABLE
AS $$
BEGIN
    IF NOT g.is_all THEN
        RETURN format('%1$I.id IN (SELECT x.entity_id '
                      'FROM iot.entity_group_member AS x '
                      'WHERE x.tenant_id = %1$I.tenant_id '
                      'AND x.group_id = %2$L::uuid)', "row", g.id);
    END IF;

    IF g.type = 'DASHBOARD' THEN
        RETURN CASE WHEN g.customer_id IS NULL THEN 'true'
               ELSE format('%1$I.id IN (SELECT x.dashboard_id '
                           'FROM iot.dashboard_customer AS x '
                           'WHERE x.tenant_id = %1$I.tenant_id '
                           'AND x.customer_id = %2$L::uuid)', "row",
                           g.customer_id)
               END;
    END IF;

    RETURN format('%I.%I IS NOT DISTINCT FROM %L::uuid', "row",
                  CASE g.type WHEN 'CUSTOMER' THEN 'parent_id'
                  ELSE 'customer_id' END, g.customer_id);
END
$$;
