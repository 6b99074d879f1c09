
--
-- Copyright (C) the ngx_iot authors
--
-- /api/customer...


CREATE OR REPLACE FUNCTION tb.customer_out(c iot.customer) RETURNS json
LANGUAGE sql STABLE
AS $$
    SELECT json_build_object(
        'id', tb.id('CUSTOMER', c.id),
        'createdTime', c.created_time,
        'tenantId', tb.id('TENANT', c.tenant_id),
        'title', c.title,
        'name', c.title,
        'country', c.country,
        'state', c.state,
        'city', c.city,
        'address', c.address,
        'address2', c.address2,
        'zip', c.zip,
        'phone', c.phone,
        'email', c.email,
        'isPublic', c.is_public,
        'additionalInfo', c.additional_info,
        'parentCustomerId', tb.id('CUSTOMER', c.parent_id),
        'ownerId', tb.owner(c.tenant_id, c.parent_id),
        'externalId', tb.id('CUSTOMER', c.external_id),
        'version', c.version)
$$;


CREATE OR REPLACE FUNCTION tb.customer_in(body json) RETURNS iot.customer
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    r  iot.customer;
BEGIN
    PERFORM tb.need_object(body);

    r.id := tb.ref(body, 'id');
    r.title := tb.text(body, 'title');
    r.country := tb.text(body, 'country');
    r.state := tb.text(body, 'state');
    r.city := tb.text(body, 'city');
    r.address := tb.text(body, 'address');
    r.address2 := tb.text(body, 'address2');
    r.zip := tb.text(body, 'zip');
    r.phone := tb.text(body, 'phone');
    r.email := tb.text(body, 'email');
    r.additional_info := tb.object(body, 'additionalInfo');
    r.parent_id := COALESCE(tb.ref(body, 'parentCustomerId'),
                            tb.owner_in(body));
    r.external_id := tb.ref(body, 'externalId');
    r.version := tb.long(body, 'version');

    RETURN r;
END
$$;


CREATE OR REPLACE FUNCTION tb.customer_get(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);

    RETURN tb.customer_out(iot.customer_get(p, tb.uuid(path[1])));
END
$$;


CREATE OR REPLACE FUNCTION tb.customer_short_info(p iot.principal,
    path text[], query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    c  iot.customer;
BEGIN
    PERFORM iot.enter(p);

    c := iot.customer_get(p, tb.uuid(path[1]));

    RETURN (SELECT row_to_json(x)
            FROM (SELECT c.title AS "title", c.is_public AS "isPublic") AS x);
END
$$;


CREATE OR REPLACE FUNCTION tb.customer_title(p iot.principal, path text[],
    query json, body json) RETURNS iot.answer
LANGUAGE plpgsql
AS $$
DECLARE
    c  iot.customer;
BEGIN
    PERFORM iot.enter(p);

    c := iot.customer_get(p, tb.uuid(path[1]));

    RETURN ROW(200, '{"Content-Type":"application/text"}', c.title)
               ::iot.answer;
END
$$;


CREATE OR REPLACE FUNCTION tb.customer_save(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    how     record;
    r       iot.customer;
    groups  uuid[];
BEGIN
    PERFORM iot.enter(p);

    how := tb.conflict(query);
    r := tb.customer_in(body);

    IF r.id IS NULL THEN
        groups := tb.group_args(query);
        r.parent_id := COALESCE(r.parent_id, tb.groups_owner(p, groups));
    END IF;

    r := iot.customer_save(p, r, how.policy, how.separator, how.strategy);

    PERFORM tb.join_groups(p, groups, r.id);

    RETURN tb.customer_out(r);
END
$$;


CREATE OR REPLACE FUNCTION tb.customer_delete(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.customer_delete(p, tb.uuid(path[1]));

    RETURN NULL;
END
$$;


CREATE OR REPLACE FUNCTION tb.customers_list(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    ids  uuid[] := tb.arg_ids(query, 'customerIds');
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.need_role(p, 'TENANT_ADMIN', 'CUSTOMER_USER');

    RETURN COALESCE(
        (SELECT json_agg(tb.customer_out(c) ORDER BY c.id)
         FROM iot.customer AS c
         WHERE c.tenant_id = p.tenant_id AND c.id = ANY (ids)
               AND iot.may(p, 'READ', 'CUSTOMER', c.id, c.id)),
        '[]');
END
$$;


-- condition: one more in SQL, on c.

CREATE OR REPLACE FUNCTION tb.customers_page(query json, tenant uuid,
    condition text) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    RETURN tb.list(tb.page(query), 'tb.customer_out(c)',
        'iot.customer AS c WHERE c.tenant_id = $1[1]::uuid'
        ' AND ($2 IS NULL OR c.title ILIKE $2) AND ' || condition,
        '{"id":"c.id","createdTime":"c.created_time","title":"c.title",
          "name":"c.title","country":"c.country","state":"c.state",
          "city":"c.city","address":"c.address","address2":"c.address2",
          "zip":"c.zip","phone":"c.phone","email":"c.email",
          "isPublic":"c.is_public"}',
        'c.id', tenant::text);
END
$$;


CREATE OR REPLACE FUNCTION tb.customers(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    IF query -> 'customerIds' IS NOT NULL THEN
        RETURN tb.customers_list(p, path, query, body);
    END IF;

    PERFORM iot.enter(p);
    PERFORM iot.need_role(p, 'TENANT_ADMIN', 'CUSTOMER_USER');

    RETURN tb.customers_page(query, p.tenant_id,
                             iot.may_list(p, 'CUSTOMER', 'c'));
END
$$;


CREATE OR REPLACE FUNCTION tb.customer_by_title(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    wanted  text := tb.need_arg(query, 'customerTitle');
    c       iot.customer;
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.need_role(p, 'TENANT_ADMIN', 'CUSTOMER_USER');

    SELECT * INTO c FROM iot.customer AS t
    WHERE t.tenant_id = p.tenant_id AND t.title = wanted;

    IF c.id IS NULL OR NOT iot.may(p, 'READ', 'CUSTOMER', c.id, c.id) THEN
        PERFORM iot.fail_missing('Customer', NULL);
    END IF;

    RETURN tb.customer_out(c);
END
$$;
