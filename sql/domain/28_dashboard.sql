
--
-- Copyright (C) the ngx_iot authors
--
-- Dashboards.  They belong to the tenant and are assigned to any number of
-- customers, whose users read them.


-- The customer to ask iot.may() about: the caller's, if it has the dashboard.

CREATE OR REPLACE FUNCTION iot.dashboard_owner(p iot.principal, id uuid)
RETURNS uuid
LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT c.customer_id FROM iot.dashboard_customer AS c
            WHERE c.tenant_id = p.tenant_id
                  AND c.dashboard_id = dashboard_owner.id
                  AND c.customer_id = p.customer_id);
END
$$;


CREATE OR REPLACE FUNCTION iot.dashboard_get(p iot.principal, id uuid,
    operation text DEFAULT 'READ') RETURNS iot.dashboard
LANGUAGE plpgsql
AS $$
DECLARE
    r  iot.dashboard;
BEGIN
    PERFORM iot.need_role(p, 'TENANT_ADMIN', 'CUSTOMER_USER');

    SELECT * INTO r FROM iot.dashboard AS d
    WHERE d.tenant_id = p.tenant_id AND d.id = dashboard_get.id;

    IF r.id IS NULL THEN
        PERFORM iot.fail_missing('Dashboard', id);
    END IF;

    PERFORM iot.need(p, operation, 'DASHBOARD', r.id,
                     iot.dashboard_owner(p, r.id));

    RETURN r;
END
$$;


-- r.id NULL: create.

CREATE OR REPLACE FUNCTION iot.dashboard_save(p iot.principal,
    r iot.dashboard) RETURNS iot.dashboard
LANGUAGE plpgsql
AS $$
DECLARE
    old  iot.dashboard;
BEGIN
    IF r.id IS NULL THEN
        PERFORM iot.need(p, 'CREATE', 'DASHBOARD', NULL, p.customer_id);

    ELSE
        SELECT * INTO old FROM iot.dashboard AS d
        WHERE d.tenant_id = p.tenant_id AND d.id = r.id
        FOR UPDATE;

        IF old.id IS NULL THEN
            PERFORM iot.fail_request('Can''t update non existing dashboard!');
        END IF;

        PERFORM iot.need(p, 'WRITE', 'DASHBOARD', old.id,
                         iot.dashboard_owner(p, old.id));

        IF r.version <> old.version THEN
            PERFORM iot.fail_version('Dashboard');
        END IF;
    END IF;

    IF COALESCE(btrim(r.title), '') = '' THEN
        PERFORM iot.fail_request('Dashboard title should be specified!');
    END IF;

    IF old.id IS NULL THEN
        PERFORM iot.need_room(p.tenant_id, 'DASHBOARD');

        INSERT INTO iot.dashboard AS d (tenant_id, title, image, mobile_hide,
            mobile_order, configuration, resources, external_id)
        VALUES (p.tenant_id, r.title, r.image, r.mobile_hide, r.mobile_order,
            r.configuration, r.resources, r.external_id)
        RETURNING * INTO r;

        IF p.role = 'CUSTOMER_USER' THEN
            INSERT INTO iot.dashboard_customer (tenant_id, dashboard_id,
                                                customer_id)
            VALUES (p.tenant_id, r.id, p.customer_id);
        END IF;

    ELSE
        UPDATE iot.dashboard AS d
        SET title = r.title,
            image = r.image,
            mobile_hide = r.mobile_hide,
            mobile_order = r.mobile_order,
            configuration = r.configuration,
            resources = r.resources,
            external_id = COALESCE(r.external_id, d.external_id),
            version = d.version + 1
        WHERE d.tenant_id = p.tenant_id AND d.id = r.id
        RETURNING * INTO r;
    END IF;

    PERFORM iot.audit(p, 'DASHBOARD', r.id, r.title,
                      CASE WHEN old.id IS NULL THEN 'ADDED'
                      ELSE 'UPDATED' END);

    RETURN r;
END
$$;


CREATE OR REPLACE FUNCTION iot.dashboard_delete(p iot.principal, id uuid)
RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    r  iot.dashboard;
BEGIN
    r := iot.dashboard_get(p, id, 'DELETE');

    IF EXISTS (SELECT FROM iot.device_profile AS d
               WHERE d.tenant_id = r.tenant_id
                     AND d.default_dashboard_id = r.id)
    THEN
        PERFORM iot.fail_request('The dashboard referenced by the device '
                                 'profiles cannot be deleted!');
    END IF;

    IF EXISTS (SELECT FROM iot.asset_profile AS a
               WHERE a.tenant_id = r.tenant_id
                     AND a.default_dashboard_id = r.id)
    THEN
        PERFORM iot.fail_request('The dashboard referenced by the asset '
                                 'profiles cannot be deleted!');
    END IF;

    DELETE FROM iot.dashboard AS d
    WHERE d.tenant_id = r.tenant_id AND d.id = r.id;

    PERFORM iot.forget_entity(r.nr);
    PERFORM iot.audit(p, 'DASHBOARD', r.id, r.title, 'DELETED');
END
$$;


-- Assign to and unassign from customers of the tenant; what is so already
-- stays so.

CREATE OR REPLACE FUNCTION iot.dashboard_assign(p iot.principal, id uuid,
    added uuid[], removed uuid[]) RETURNS iot.dashboard
LANGUAGE plpgsql
AS $$
DECLARE
    e    iot.entity;
    one  uuid;
    n    integer;
BEGIN
    PERFORM iot.need_role(p, 'TENANT_ADMIN', 'CUSTOMER_USER');

    e := iot.entity_get(p, 'DASHBOARD', id, 'CHANGE_OWNER');

    -- those who change the customers of one dashboard wait for each other

    PERFORM FROM iot.dashboard AS d
    WHERE d.tenant_id = e.tenant_id AND d.id = e.id
    FOR UPDATE;

    FOREACH one IN ARRAY COALESCE(removed, '{}') LOOP
        DELETE FROM iot.dashboard_customer AS c
        WHERE c.tenant_id = e.tenant_id AND c.dashboard_id = e.id
              AND c.customer_id = one;

        IF FOUND THEN
            PERFORM iot.assign_audit(p, e, one, NULL);
        END IF;
    END LOOP;

    FOREACH one IN ARRAY COALESCE(added, '{}') LOOP
        PERFORM iot.customer_get(p, one);

        INSERT INTO iot.dashboard_customer (tenant_id, dashboard_id,
                                            customer_id)
        VALUES (e.tenant_id, e.id, one)
        ON CONFLICT DO NOTHING;

        GET DIAGNOSTICS n = ROW_COUNT;

        IF n > 0 THEN
            PERFORM iot.assign_audit(p, e, NULL, one);
        END IF;
    END LOOP;

    RETURN (SELECT d FROM iot.dashboard AS d
            WHERE d.tenant_id = e.tenant_id AND d.id = e.id);
END
$$;


CREATE OR REPLACE FUNCTION iot.dashboard_customers(tenant uuid, id uuid)
RETURNS uuid[]
LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN ARRAY(SELECT c.customer_id FROM iot.dashboard_customer AS c
                 WHERE c.tenant_id = tenant
                       AND c.dashboard_id = dashboard_customers.id
                 ORDER BY c.customer_id);
END
$$;


-- The dashboard a user begins with: its own, that of its customer, that of
-- its tenant, the first one that there is and that it may read.  id NULL:
-- none.

CREATE OR REPLACE FUNCTION iot.dashboard_home(p iot.principal, OUT id uuid,
    OUT hide_toolbar boolean)
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    info  json;
BEGIN
    FOR info IN
        SELECT u.additional_info FROM iot.users AS u WHERE u.id = p.user_id
        UNION ALL
        SELECT c.additional_info FROM iot.customer AS c
        WHERE c.tenant_id = p.tenant_id AND c.id = p.customer_id
        UNION ALL
        SELECT t.additional_info FROM iot.tenant AS t WHERE t.id = p.tenant_id
    LOOP
        id := iot.dashboard_home_of(info);

        CONTINUE WHEN id IS NULL
                      OR NOT iot.entity_readable(p, 'DASHBOARD', id);

        hide_toolbar := COALESCE(lower(info ->> 'homeDashboardHideToolbar')
                                 <> 'false', true);
        RETURN;
    END LOOP;

    id := NULL;
END
$$;


CREATE OR REPLACE FUNCTION iot.dashboard_home_of(info json) RETURNS uuid
LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
    given  text;
BEGIN
    IF json_typeof(info) <> 'object' THEN
        RETURN NULL;
    END IF;

    given := info ->> 'homeDashboardId';

    IF given ~ '^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$' THEN
        RETURN given::uuid;
    END IF;

    RETURN NULL;
END
$$;


-- The one of the tenant; id NULL: none.

CREATE OR REPLACE FUNCTION iot.dashboard_home_save(p iot.principal, id uuid,
    hide_toolbar boolean) RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    t  iot.tenant;
BEGIN
    PERFORM iot.need_role(p, 'TENANT_ADMIN');
    PERFORM iot.need(p, 'WRITE', 'TENANT', p.tenant_id, NULL);

    IF id IS NOT NULL THEN
        PERFORM iot.dashboard_get(p, id);
    END IF;

    UPDATE iot.tenant AS u
    SET additional_info = (COALESCE(u.additional_info::jsonb, '{}')
            || jsonb_build_object('homeDashboardId', dashboard_home_save.id,
                   'homeDashboardHideToolbar', hide_toolbar))::json,
        version = u.version + 1
    WHERE u.id = p.tenant_id
    RETURNING * INTO t;

    PERFORM iot.audit(p, 'TENANT', t.id, t.title, 'UPDATED');
END
$$;
