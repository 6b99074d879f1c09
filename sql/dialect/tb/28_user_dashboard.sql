
--
-- Copyright (C) the ngx_iot authors
--
-- /api/user/dashboards..., /api/user/lastVisitedDashboards


CREATE OR REPLACE FUNCTION tb.user_dashboards(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.need_role(p, 'TENANT_ADMIN', 'CUSTOMER_USER');

    -- the same path is also the list of all that the caller may see

    IF tb.arg(query, 'pageSize') IS NOT NULL THEN
        RETURN tb.dashboards_all(p, path, query, body);
    END IF;

    RETURN iot.user_dashboards(p);
END
$$;


CREATE OR REPLACE FUNCTION tb.user_dashboard_note(p iot.principal,
    path text[], query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.user_dashboard_note(p, tb.uuid(path[1]), path[2]);

    RETURN iot.user_dashboards(p);
END
$$;
