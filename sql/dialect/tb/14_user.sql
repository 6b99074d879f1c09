
--
-- Copyright (C) the ngx_iot authors
--
-- /api/user..., /api/auth/user


-- The members of additionalInfo that are made when a user is read.

CREATE OR REPLACE FUNCTION tb.user_info_enriched(info json,
    c iot.user_credentials) RETURNS json
LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (COALESCE(info::jsonb, '{}')
            || jsonb_build_object(
                   'userCredentialsEnabled', COALESCE(c.enabled, false),
                   'userActivated', c.password_hash IS NOT NULL)
            || CASE WHEN c.last_login IS NULL THEN '{}'
               ELSE jsonb_build_object('lastLoginTs', c.last_login)
               END)::json;
END
$$;


CREATE OR REPLACE FUNCTION tb.user_out(u iot.users) RETURNS json
LANGUAGE sql STABLE
AS $$
    SELECT json_build_object(
        'id', tb.id('USER', u.id),
        'createdTime', u.created_time,
        'additionalInfo', u.additional_info,
        'tenantId', tb.id_or_none('TENANT', u.tenant_id),
        'customerId', tb.id_or_none('CUSTOMER', u.customer_id),
        'ownerId', tb.owner(u.tenant_id, u.customer_id),
        'email', u.email,
        'name', u.email,
        'authority', u.authority,
        'firstName', u.first_name,
        'lastName', u.last_name,
        'phone', u.phone,
        'version', u.version)
$$;


CREATE OR REPLACE FUNCTION tb.user_in(body json) RETURNS iot.users
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    r  iot.users;
BEGIN
    PERFORM tb.need_object(body);

    r.id := tb.ref(body, 'id');
    r.tenant_id := tb.ref(body, 'tenantId');
    r.customer_id := tb.ref(body, 'customerId');
    r.email := tb.text(body, 'email');
    r.authority := tb.text(body, 'authority');
    r.first_name := tb.text(body, 'firstName');
    r.last_name := tb.text(body, 'lastName');
    r.phone := tb.text(body, 'phone');
    r.additional_info := (tb.object(body, 'additionalInfo')::jsonb
                          - '{userCredentialsEnabled,userActivated,'
                            'lastLoginTs}'::text[])::json;
    r.version := tb.long(body, 'version');

    RETURN r;
END
$$;


CREATE OR REPLACE FUNCTION tb.user_enriched(u iot.users) RETURNS json
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    c  iot.user_credentials;
BEGIN
    SELECT * INTO c FROM iot.user_credentials AS t WHERE t.user_id = u.id;

    u.additional_info := tb.user_info_enriched(u.additional_info, c);

    RETURN tb.user_out(u);
END
$$;


-- The caller.  A public customer has no user behind it.

CREATE OR REPLACE FUNCTION tb.user_current(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    u  iot.users;
BEGIN
    PERFORM iot.enter(p);

    IF p.is_public THEN
        u.id := tb.null_uuid();
        u.created_time := 0;
        u.tenant_id := p.tenant_id;
        u.customer_id := p.customer_id;
        u.email := p.customer_id::text;
        u.authority := p.role;
        u.first_name := 'Public';
        u.last_name := 'Public';

        RETURN tb.user_out(u);
    END IF;

    RETURN tb.user_enriched(iot.user_get(p, p.user_id));
END
$$;


CREATE OR REPLACE FUNCTION tb.user_get(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);

    RETURN tb.user_enriched(iot.user_get(p, tb.uuid(path[1])));
END
$$;


CREATE OR REPLACE FUNCTION tb.user_save(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    send  boolean := COALESCE(tb.arg_boolean(query, 'sendActivationMail'),
                              true);
    u     iot.users := tb.user_in(body);
    r     iot.users;
BEGIN
    PERFORM iot.enter(p);

    r := iot.user_save(p, u, tb.group_args(query));

    IF u.id IS NULL AND send THEN
        PERFORM iot.activation_mail(p, r.id, tb.arg(query, '@base'));
    END IF;

    RETURN tb.user_out(r);
END
$$;


CREATE OR REPLACE FUNCTION tb.user_delete(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.user_delete(p, tb.uuid(path[1]));

    RETURN NULL;
END
$$;


CREATE OR REPLACE FUNCTION tb.user_enable(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.user_enable(p, tb.uuid(path[1]),
        COALESCE(tb.arg_boolean(query, 'userCredentialsEnabled'), true));

    RETURN NULL;
END
$$;


CREATE OR REPLACE FUNCTION tb.user_token_access_enabled(p iot.principal,
    path text[], query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.need_role(p, 'SYS_ADMIN', 'TENANT_ADMIN');

    RETURN to_json(iot.token_access());
END
$$;


-- customer NULL: all users of the tenant.  authority NULL: of any.  condition:
-- one more in SQL, on u.

DROP FUNCTION IF EXISTS tb.users_page(json, text, uuid, uuid, text, boolean);

CREATE OR REPLACE FUNCTION tb.users_page(query json, item text, tenant uuid,
    customer uuid, authority text, names boolean,
    condition text DEFAULT 'true') RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    RETURN tb.list(tb.page(query), item,
        'iot.users AS u WHERE u.tenant_id = $1[1]::uuid'
        ' AND ($1[2] IS NULL OR u.customer_id = $1[2]::uuid)'
        ' AND ($1[3] IS NULL OR u.authority = $1[3])'
        ' AND ($2 IS NULL OR u.email ILIKE $2'
        ' OR $1[4]::boolean AND (u.first_name ILIKE $2'
        ' OR u.last_name ILIKE $2)) AND ' || condition,
        '{"id":"u.id","createdTime":"u.created_time","email":"u.email",
          "name":"u.email","authority":"u.authority",
          "firstName":"u.first_name","lastName":"u.last_name",
          "phone":"u.phone"}',
        'u.id', tenant::text, customer::text, authority, names::text);
END
$$;


CREATE OR REPLACE FUNCTION tb.users_list(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    ids  uuid[] := tb.arg_ids(query, 'userIds');
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.need_role(p, 'TENANT_ADMIN', 'CUSTOMER_USER');

    RETURN COALESCE(
        (SELECT json_agg(tb.user_out(u) ORDER BY u.id)
         FROM iot.users AS u
         WHERE u.tenant_id = p.tenant_id AND u.id = ANY (ids)
               AND iot.may(p, 'READ', 'USER', u.id, u.customer_id)),
        '[]');
END
$$;


CREATE OR REPLACE FUNCTION tb.users(p iot.principal, path text[], query json,
    body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    IF query -> 'userIds' IS NOT NULL THEN
        RETURN tb.users_list(p, path, query, body);
    END IF;

    PERFORM iot.enter(p);
    PERFORM iot.need_role(p, 'TENANT_ADMIN', 'CUSTOMER_USER');

    RETURN tb.users_page(query, 'tb.user_out(u)', p.tenant_id, NULL, NULL,
                         false, iot.may_list(p, 'USER', 'u'));
END
$$;


CREATE OR REPLACE FUNCTION tb.user_info_out(u iot.users) RETURNS json
LANGUAGE sql STABLE
AS $$
    SELECT json_build_object(
        'id', tb.id('USER', u.id),
        'email', u.email,
        'firstName', u.first_name,
        'lastName', u.last_name)
$$;


CREATE OR REPLACE FUNCTION tb.users_info(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.need_role(p, 'TENANT_ADMIN', 'CUSTOMER_USER');

    RETURN tb.users_page(query, 'tb.user_info_out(u)', p.tenant_id,
                         NULL, NULL, true, iot.may_list(p, 'USER', 'u'));
END
$$;


CREATE OR REPLACE FUNCTION tb.tenant_users(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.need_role(p, 'SYS_ADMIN');

    RETURN tb.users_page(query, 'tb.user_out(u)',
                         (iot.tenant_get(p, tb.uuid(path[1]))).id, NULL,
                         'TENANT_ADMIN', false);
END
$$;


CREATE OR REPLACE FUNCTION tb.customer_users(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.need_role(p, 'TENANT_ADMIN', 'CUSTOMER_USER');

    RETURN tb.users_page(query, 'tb.user_out(u)', p.tenant_id,
                         (iot.customer_get(p, tb.uuid(path[1]))).id,
                         'CUSTOMER_USER', false,
                         iot.may_list(p, 'USER', 'u'));
END
$$;
