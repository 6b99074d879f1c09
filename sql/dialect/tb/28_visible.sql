
--
-- Copyright (C) the ngx_iot authors
--
-- Lists of everything that the caller may see: /api/user/devices,
-- /api/deviceInfos/all ...


CREATE OR REPLACE FUNCTION tb.user_devices(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.need_role(p, 'TENANT_ADMIN', 'CUSTOMER_USER');

    RETURN tb.devices_page(query, p.tenant_id, NULL,
                           iot.may_list(p, 'DEVICE', 'd'));
END
$$;


CREATE OR REPLACE FUNCTION tb.user_assets(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    RETURN tb.tenant_things(p, 'ASSET', query, false);
END
$$;


CREATE OR REPLACE FUNCTION tb.dashboards_all(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.need_role(p, 'TENANT_ADMIN', 'CUSTOMER_USER');

    RETURN tb.dashboards_page(query, p.tenant_id, NULL,
                              iot.may_list(p, 'DASHBOARD', 'd'));
END
$$;


CREATE OR REPLACE FUNCTION tb.user_customers(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.need_role(p, 'TENANT_ADMIN', 'CUSTOMER_USER');

    RETURN tb.customers_page(query, p.tenant_id,
                             iot.may_list(p, 'CUSTOMER', 'c'));
END
$$;


CREATE OR REPLACE FUNCTION tb.user_users(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.need_role(p, 'TENANT_ADMIN', 'CUSTOMER_USER');

    RETURN tb.users_page(query, 'tb.user_out(u)', p.tenant_id, NULL, NULL,
                         false, iot.may_list(p, 'USER', 'u'));
END
$$;


-- includeCustomers: also what belongs to customers (below the caller's).

CREATE OR REPLACE FUNCTION tb.of_owner(p iot.principal, query json,
    column_ text) RETURNS text
LANGUAGE plpgsql
AS $$
BEGIN
    IF COALESCE(tb.arg_boolean(query, 'includeCustomers'), false) THEN
        RETURN '';
    END IF;

    RETURN format(' AND %s IS NOT DISTINCT FROM %L::uuid', column_,
                  p.customer_id);
END
$$;


CREATE OR REPLACE FUNCTION tb.device_infos_all(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.need_role(p, 'TENANT_ADMIN', 'CUSTOMER_USER');

    RETURN tb.device_infos_page(query, p.tenant_id, NULL,
                                iot.may_list(p, 'DEVICE', 'd')
                                || tb.of_owner(p, query, 'd.customer_id'));
END
$$;


CREATE OR REPLACE FUNCTION tb.customer_infos_all(p iot.principal,
    path text[], query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.need_role(p, 'TENANT_ADMIN', 'CUSTOMER_USER');

    RETURN tb.customers_page(query, p.tenant_id,
                             iot.may_list(p, 'CUSTOMER', 'c')
                             || tb.of_owner(p, query, 'c.parent_id'));
END
$$;


CREATE OR REPLACE FUNCTION tb.user_infos_all(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.need_role(p, 'TENANT_ADMIN', 'CUSTOMER_USER');

    RETURN tb.users_page(query, 'tb.user_out(u)', p.tenant_id, NULL, NULL,
                         false, iot.may_list(p, 'USER', 'u')
                                || tb.of_owner(p, query, 'u.customer_id'));
END
$$;


-- There are no pages to label: what clients ask for before they draw theirs.

CREATE OR REPLACE FUNCTION tb.white_label(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);

    RETURN '{"appTitle":"ngx_iot","logoImageUrl":null,"logoImageHeight":null,
             "favicon":{"url":null},"enableHelpLinks":false,
             "showNameVersion":false,"whiteLabelingEnabled":false,
             "paletteSettings":{"primaryPalette":null,
                                "accentPalette":null}}'::json;
END
$$;


-- The mail templates of the tenant, as one object: those that it has made.

CREATE OR REPLACE FUNCTION tb.mail_templates(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.need_role(p, 'TENANT_ADMIN');

    RETURN iot.setting_value(p.tenant_id, 'mail.templates');
END
$$;


CREATE OR REPLACE FUNCTION tb.mail_templates_save(p iot.principal,
    path text[], query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.need_role(p, 'TENANT_ADMIN');
    PERFORM tb.need_object(body);
    PERFORM iot.setting_set(p, 'mail.templates', body);

    RETURN iot.setting_value(p.tenant_id, 'mail.templates');
END
$$;
