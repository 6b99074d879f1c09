
--
-- Copyright (C) the ngx_iot authors
--
-- All entities of a tenant in one view, for those who know them by type and
-- id only: relations, attributes, queries.  A query that names the type, even
-- by a parameter, touches one table.  nr is NULL for what owns no attributes.
-- A dashboard may be assigned to many customers, see iot.entity_get().


CREATE OR REPLACE VIEW iot.entity WITH (security_invoker = true) AS
    SELECT 'DEVICE' AS entity_type, d.tenant_id, d.id, d.nr, d.customer_id,
           d.name, d.label
    FROM iot.device AS d
    UNION ALL
    SELECT 'ASSET', a.tenant_id, a.id, a.nr, a.customer_id, a.name, a.label
    FROM iot.asset AS a
    UNION ALL
    SELECT 'ENTITY_VIEW', v.tenant_id, v.id, v.nr, v.customer_id, v.name, NULL
    FROM iot.entity_view AS v
    UNION ALL
    SELECT 'DASHBOARD', d.tenant_id, d.id, d.nr, NULL, d.title, NULL
    FROM iot.dashboard AS d
    UNION ALL
    SELECT 'CUSTOMER', c.tenant_id, c.id, c.nr, c.id, c.title, NULL
    FROM iot.customer AS c
    UNION ALL
    SELECT 'USER', u.tenant_id, u.id, u.nr, u.customer_id, u.email, NULL
    FROM iot.users AS u
    UNION ALL
    SELECT 'TENANT', t.id, t.id, t.nr, NULL, t.title, NULL
    FROM iot.tenant AS t
    UNION ALL
    SELECT 'DEVICE_PROFILE', d.tenant_id, d.id, NULL, NULL, d.name, NULL
    FROM iot.device_profile AS d
    UNION ALL
    SELECT 'ASSET_PROFILE', a.tenant_id, a.id, NULL, NULL, a.name, NULL
    FROM iot.asset_profile AS a;

GRANT SELECT ON iot.entity TO iot_app;


-- "Entity view" for ENTITY_VIEW.

CREATE OR REPLACE FUNCTION iot.entity_title(entity_type text) RETURNS text
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    RETURN upper(left(entity_type, 1))
           || lower(replace(substr(entity_type, 2), '_', ' '));
END
$$;


-- Refuse what is no type of entity.  There are types of which this server has
-- none: their entities are not found.

CREATE OR REPLACE FUNCTION iot.entity_type_check(entity_type text)
RETURNS void
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    IF entity_type IS NULL OR entity_type NOT IN (
        'TENANT', 'CUSTOMER', 'USER', 'DASHBOARD', 'ASSET', 'DEVICE', 'ALARM',
        'RULE_CHAIN', 'RULE_NODE', 'ENTITY_VIEW', 'WIDGETS_BUNDLE',
        'WIDGET_TYPE', 'TENANT_PROFILE', 'DEVICE_PROFILE', 'ASSET_PROFILE',
        'API_USAGE_STATE', 'TB_RESOURCE', 'OTA_PACKAGE', 'EDGE', 'RPC',
        'QUEUE', 'NOTIFICATION_TARGET', 'NOTIFICATION_TEMPLATE',
        'NOTIFICATION_REQUEST', 'NOTIFICATION', 'NOTIFICATION_RULE',
        'QUEUE_STATS', 'OAUTH2_CLIENT', 'DOMAIN', 'MOBILE_APP',
        'MOBILE_APP_BUNDLE', 'CALCULATED_FIELD', 'JOB', 'ADMIN_SETTINGS',
        'AI_MODEL', 'API_KEY', 'ENTITY_GROUP', 'ROLE', 'GROUP_PERMISSION',
        'CONVERTER', 'INTEGRATION', 'SCHEDULER_EVENT', 'BLOB_ENTITY')
    THEN
        PERFORM iot.fail_request(
            format('Unsupported entity type: %s', left(entity_type, 255)));
    END IF;
END
$$;


-- The entity, whoever asks; id NULL if there is none.  customer_id of a
-- dashboard is that of the caller, if it is among those who have it.

CREATE OR REPLACE FUNCTION iot.entity_find(p iot.principal, entity_type text,
    id uuid) RETURNS iot.entity
LANGUAGE plpgsql STABLE SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    r  iot.entity;
BEGIN
    IF p.role = 'SYS_ADMIN' THEN
        SELECT e.* INTO r
        FROM iot.users AS u
            JOIN iot.entity AS e
                ON e.entity_type = 'USER' AND e.id = u.id
        WHERE entity_find.entity_type = 'USER' AND u.id = entity_find.id
              AND u.authority <> 'CUSTOMER_USER';

        IF r.id IS NULL THEN
            SELECT * INTO r FROM iot.entity AS e
            WHERE e.entity_type = 'TENANT' AND e.id = entity_find.id
                  AND entity_find.entity_type = 'TENANT';
        END IF;

        RETURN r;
    END IF;

    SELECT * INTO r FROM iot.entity AS e
    WHERE e.tenant_id = p.tenant_id AND e.id = entity_find.id
          AND e.entity_type = entity_find.entity_type;

    IF r.entity_type = 'DASHBOARD' THEN
        SELECT c.customer_id INTO r.customer_id
        FROM iot.dashboard_customer AS c
        WHERE c.tenant_id = p.tenant_id AND c.dashboard_id = r.id
              AND c.customer_id = p.customer_id;
    END IF;

    RETURN r;
END
$$;


-- The entity, if the caller may do the operation, see iot.may().

CREATE OR REPLACE FUNCTION iot.entity_get(p iot.principal, entity_type text,
    id uuid, operation text DEFAULT 'READ') RETURNS iot.entity
LANGUAGE plpgsql
AS $$
DECLARE
    r  iot.entity;
BEGIN
    PERFORM iot.entity_type_check(entity_type);

    IF p.role = 'SYS_ADMIN' AND entity_type NOT IN ('TENANT', 'USER') THEN
        PERFORM iot.fail_permission();
    END IF;

    r := iot.entity_find(p, entity_type, id);

    IF r.id IS NULL THEN
        PERFORM iot.fail_missing(iot.entity_title(entity_type), id);
    END IF;

    PERFORM iot.need(p, operation, r.entity_type, r.id, r.customer_id);

    RETURN r;
END
$$;


CREATE OR REPLACE FUNCTION iot.entity_readable(p iot.principal,
    entity_type text, id uuid) RETURNS boolean
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    r  iot.entity;
BEGIN
    IF p.role = 'SYS_ADMIN' THEN
        RETURN true;
    END IF;

    r := iot.entity_find(p, entity_type, id);

    RETURN r.id IS NOT NULL
           AND iot.may(p, 'READ', r.entity_type, r.id, r.customer_id);
END
$$;
