
--
-- Copyright (C) the ngx_iot authors
--
-- /api/dashboard..., but for the clock and other settings.


CREATE OR REPLACE FUNCTION tb.dashboard_customers_out(tenant uuid, id uuid)
RETURNS json
LANGUAGE sql STABLE
AS $$
    SELECT json_agg(json_build_object(
               'customerId', tb.id('CUSTOMER', c.id),
               'title', c.title,
               'public', c.is_public) ORDER BY c.title, c.id)
    FROM iot.dashboard_customer AS x
        JOIN iot.customer AS c
            ON c.tenant_id = x.tenant_id AND c.id = x.customer_id
    WHERE x.tenant_id = dashboard_customers_out.tenant
          AND x.dashboard_id = dashboard_customers_out.id
$$;


-- What a list shows: all but the configuration, which is not even read.

CREATE OR REPLACE FUNCTION tb.dashboard_info_out(d iot.dashboard)
RETURNS json
LANGUAGE sql STABLE
AS $$
    SELECT json_build_object(
        'id', tb.id('DASHBOARD', d.id),
        'createdTime', d.created_time,
        'tenantId', tb.id('TENANT', d.tenant_id),
        'ownerId', tb.id('TENANT', d.tenant_id),
        'title', d.title,
        'name', d.title,
        'image', d.image,
        'assignedCustomers', tb.dashboard_customers_out(d.tenant_id, d.id),
        'mobileHide', d.mobile_hide,
        'mobileOrder', d.mobile_order,
        'externalId', tb.id('DASHBOARD', d.external_id),
        'version', d.version)
$$;


CREATE OR REPLACE FUNCTION tb.dashboard_out(d iot.dashboard)
RETURNS json
LANGUAGE sql STABLE
AS $$
    SELECT json_build_object(
        'id', tb.id('DASHBOARD', d.id),
        'createdTime', d.created_time,
        'tenantId', tb.id('TENANT', d.tenant_id),
        'ownerId', tb.id('TENANT', d.tenant_id),
        'title', d.title,
        'name', d.title,
        'image', d.image,
        'assignedCustomers', tb.dashboard_customers_out(d.tenant_id, d.id),
        'mobileHide', d.mobile_hide,
        'mobileOrder', d.mobile_order,
        'configuration', d.configuration,
        'resources', d.resources,
        'externalId', tb.id('DASHBOARD', d.external_id),
        'version', d.version)
$$;


-- The same as it is now, by a function that sees what its statement changed.

CREATE OR REPLACE FUNCTION tb.dashboard_show(d iot.dashboard) RETURNS json
LANGUAGE plpgsql VOLATILE
AS $$
BEGIN
    RETURN tb.dashboard_out(d);
END
$$;


CREATE OR REPLACE FUNCTION tb.dashboard_in(body json) RETURNS iot.dashboard
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    r     iot.dashboard;
    spot  bigint;
BEGIN
    PERFORM tb.need_object(body);

    r.id := tb.ref(body, 'id');
    r.title := tb.text(body, 'title');
    r.image := tb.raw_text(body, 'image', 1000000);
    r.mobile_hide := tb.boolean(body, 'mobileHide', false);
    r.configuration := tb.object(body, 'configuration');
    r.external_id := tb.ref(body, 'externalId');
    r.version := tb.long(body, 'version');

    IF COALESCE(json_typeof(body -> 'resources'), 'null') <> 'null' THEN
        r.resources := body -> 'resources';
    END IF;

    spot := tb.long(body, 'mobileOrder');

    IF spot NOT BETWEEN -2147483648 AND 2147483647 THEN
        PERFORM iot.fail_request('Invalid value of ''mobileOrder''!');
    END IF;

    r.mobile_order := spot;

    RETURN r;
END
$$;


CREATE OR REPLACE FUNCTION tb.dashboard_get(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);

    RETURN tb.dashboard_out(iot.dashboard_get(p, tb.uuid(path[1])));
END
$$;


CREATE OR REPLACE FUNCTION tb.dashboard_info_get(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);

    RETURN tb.dashboard_info_out(iot.dashboard_get(p, tb.uuid(path[1])));
END
$$;


CREATE OR REPLACE FUNCTION tb.dashboard_save(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    r       iot.dashboard;
    groups  uuid[];
BEGIN
    PERFORM iot.enter(p);

    r := tb.dashboard_in(body);

    IF r.id IS NULL THEN
        groups := tb.group_args(query);
    END IF;

    r := iot.dashboard_save(p, r);

    PERFORM tb.join_groups(p, groups, r.id);

    RETURN tb.dashboard_show(r);
END
$$;


CREATE OR REPLACE FUNCTION tb.dashboard_delete(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.dashboard_delete(p, tb.uuid(path[1]));

    RETURN NULL;
END
$$;


CREATE OR REPLACE FUNCTION tb.dashboard_assign(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);

    RETURN tb.dashboard_show(iot.dashboard_assign(p, tb.uuid(path[2]),
                                 ARRAY[tb.uuid(path[1])], NULL));
END
$$;


CREATE OR REPLACE FUNCTION tb.dashboard_unassign(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.customer_get(p, tb.uuid(path[1]));

    RETURN tb.dashboard_show(iot.dashboard_assign(p, tb.uuid(path[2]), NULL,
                                                  ARRAY[tb.uuid(path[1])]));
END
$$;


CREATE OR REPLACE FUNCTION tb.dashboard_assign_public(p iot.principal,
    path text[], query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    d  iot.dashboard;
BEGIN
    PERFORM iot.enter(p);

    d := iot.dashboard_get(p, tb.uuid(path[1]), 'CHANGE_OWNER');

    RETURN tb.dashboard_show(iot.dashboard_assign(p, d.id,
                                 ARRAY[(iot.customer_public(p)).id], NULL));
END
$$;


CREATE OR REPLACE FUNCTION tb.dashboard_unassign_public(p iot.principal,
    path text[], query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    d  iot.dashboard;
BEGIN
    PERFORM iot.enter(p);

    d := iot.dashboard_get(p, tb.uuid(path[1]), 'CHANGE_OWNER');

    RETURN tb.dashboard_show(iot.dashboard_assign(p, d.id, NULL,
                                 ARRAY[(iot.customer_public(p)).id]));
END
$$;


-- A body that is an array of UUIDs, of customers.

CREATE OR REPLACE FUNCTION tb.customers_in(body json) RETURNS uuid[]
LANGUAGE plpgsql STABLE
AS $$
BEGIN
    IF body IS NULL OR json_typeof(body) = 'null' THEN
        RETURN '{}'::uuid[];
    END IF;

    IF json_typeof(body) <> 'array' THEN
        PERFORM iot.fail_request('Malformed JSON request body');
    END IF;

    RETURN ARRAY(SELECT DISTINCT tb.uuid(e.value)
                 FROM json_array_elements_text(body) AS e (value));
END
$$;


CREATE OR REPLACE FUNCTION tb.dashboard_customers_set(p iot.principal,
    path text[], query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    d       iot.dashboard;
    wanted  uuid[] := tb.customers_in(body);
BEGIN
    PERFORM iot.enter(p);

    d := iot.dashboard_get(p, tb.uuid(path[1]), 'CHANGE_OWNER');

    RETURN tb.dashboard_show(iot.dashboard_assign(p, d.id, wanted,
        ARRAY(SELECT unnest(iot.dashboard_customers(p.tenant_id, d.id))
              EXCEPT SELECT unnest(wanted))));
END
$$;


CREATE OR REPLACE FUNCTION tb.dashboard_customers_add(p iot.principal,
    path text[], query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);

    RETURN tb.dashboard_show(iot.dashboard_assign(p, tb.uuid(path[1]),
                                                  tb.customers_in(body),
                                                  NULL));
END
$$;


CREATE OR REPLACE FUNCTION tb.dashboard_customers_remove(p iot.principal,
    path text[], query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);

    RETURN tb.dashboard_show(iot.dashboard_assign(p, tb.uuid(path[1]), NULL,
                                                  tb.customers_in(body)));
END
$$;


-- customer NULL: of the whole tenant.  For phones (mobile=true) in the order
-- that was given for them, without those that they hide.

CREATE OR REPLACE FUNCTION tb.dashboards_page(query json, tenant uuid,
    customer uuid, condition text) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    pg      iot.page := tb.page(query);
    mobile  boolean := COALESCE(tb.arg_boolean(query, 'mobile'), false);
BEGIN
    IF mobile AND pg.sort IS NULL THEN
        pg.sort := 'mobileOrder';
    END IF;

    RETURN tb.list(pg, 'tb.dashboard_info_out(d)',
        'iot.dashboard AS d WHERE d.tenant_id = $1[1]::uuid AND ' || condition
        || CASE WHEN customer IS NOT NULL
           THEN ' AND d.id IN (SELECT x.dashboard_id'
                ' FROM iot.dashboard_customer AS x'
                ' WHERE x.tenant_id = $1[1]::uuid'
                ' AND x.customer_id = $1[2]::uuid)' ELSE '' END
        || CASE WHEN mobile THEN ' AND NOT d.mobile_hide' ELSE '' END
        || ' AND ($2 IS NULL OR d.title ILIKE $2)',
        '{"id":"d.id","createdTime":"d.created_time","title":"d.title",
          "name":"d.title","mobileHide":"d.mobile_hide",
          "mobileOrder":"d.mobile_order"}',
        'd.id', tenant::text, customer::text);
END
$$;


-- Dashboards are not rows with one customer, so the list is that of a customer
-- for whoever is not an administrator.

CREATE OR REPLACE FUNCTION tb.tenant_dashboards(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.need_role(p, 'TENANT_ADMIN');

    RETURN tb.dashboards_page(query, p.tenant_id, NULL,
                              iot.may_list(p, 'DASHBOARD', 'd'));
END
$$;


CREATE OR REPLACE FUNCTION tb.dashboards_of_tenant(p iot.principal,
    path text[], query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.need_role(p, 'SYS_ADMIN');

    RETURN tb.dashboards_page(query,
                              (iot.tenant_get(p, tb.uuid(path[1]))).id, NULL,
                              'true');
END
$$;


CREATE OR REPLACE FUNCTION tb.customer_dashboards(p iot.principal,
    path text[], query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);

    RETURN tb.dashboards_page(query, p.tenant_id,
        (iot.customer_get(p, tb.uuid(path[1]))).id,
        CASE p.role WHEN 'TENANT_ADMIN' THEN iot.may_list(p, 'DASHBOARD', 'd')
        ELSE 'true' END);
END
$$;


CREATE OR REPLACE FUNCTION tb.dashboards_list(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    ids  uuid[] := tb.arg_ids(query, 'dashboardIds');
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.need_role(p, 'TENANT_ADMIN', 'CUSTOMER_USER');

    RETURN COALESCE(
        (SELECT json_agg(tb.dashboard_info_out(d) ORDER BY d.id)
         FROM iot.dashboard AS d
         WHERE d.tenant_id = p.tenant_id AND d.id = ANY (ids)
               AND iot.may(p, 'READ', 'DASHBOARD', d.id,
                           iot.dashboard_owner(p, d.id))),
        '[]');
END
$$;


-- The dashboard to begin with; nothing at all when there is none.

CREATE OR REPLACE FUNCTION tb.dashboard_home(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    home  record;
    d     json;
BEGIN
    PERFORM iot.enter(p);

    home := iot.dashboard_home(p);

    IF home.id IS NULL THEN
        RETURN NULL;
    END IF;

    d := tb.dashboard_out(iot.dashboard_get(p, home.id));

    -- another member, without a copy that might write numbers otherwise

    RETURN (left(d::text, -1) || ', "hideDashboardToolbar" : '
            || home.hide_toolbar::text || '}')::json;
END
$$;


CREATE OR REPLACE FUNCTION tb.dashboard_home_info(p iot.principal,
    path text[], query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    home  record;
BEGIN
    PERFORM iot.enter(p);

    home := iot.dashboard_home(p);

    IF home.id IS NULL THEN
        RETURN NULL;
    END IF;

    RETURN (SELECT row_to_json(x)
            FROM (SELECT tb.id('DASHBOARD', home.id) AS "dashboardId",
                         home.hide_toolbar AS "hideDashboardToolbar") AS x);
END
$$;


CREATE OR REPLACE FUNCTION tb.tenant_home(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    info  json;
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.need_role(p, 'TENANT_ADMIN');

    info := (iot.tenant_get(p, p.tenant_id)).additional_info;

    RETURN (SELECT row_to_json(x)
            FROM (SELECT tb.id('DASHBOARD', iot.dashboard_home_of(info))
                             AS "dashboardId",
                         COALESCE(info ->> 'homeDashboardHideToolbar'
                                  <> 'false', true)
                             AS "hideDashboardToolbar") AS x);
END
$$;


CREATE OR REPLACE FUNCTION tb.tenant_home_save(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);
    PERFORM tb.need_object(body);
    PERFORM iot.dashboard_home_save(p, tb.ref(body, 'dashboardId'),
                tb.boolean(body, 'hideDashboardToolbar', true));

    RETURN tb.tenant_home(p, path, query, NULL);
END
$$;
