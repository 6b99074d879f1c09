
--
-- Copyright (C) the ngx_iot authors
--
-- /api/entityView...


CREATE OR REPLACE FUNCTION tb.entity_view_out(v iot.entity_view)
RETURNS json
LANGUAGE sql STABLE
AS $$
    SELECT json_build_object(
        'id', tb.id('ENTITY_VIEW', v.id),
        'createdTime', v.created_time,
        'additionalInfo', v.additional_info,
        'tenantId', tb.id('TENANT', v.tenant_id),
        'customerId', tb.id_or_none('CUSTOMER', v.customer_id),
        'ownerId', tb.owner(v.tenant_id, v.customer_id),
        'entityId', tb.id(v.entity_type, v.entity_id),
        'name', v.name,
        'type', v.type,
        'keys', v.keys,
        'startTimeMs', v.start_ts,
        'endTimeMs', v.end_ts,
        'externalId', tb.id('ENTITY_VIEW', v.external_id),
        'version', v.version)
$$;


CREATE OR REPLACE FUNCTION tb.entity_view_info_out(v iot.entity_view,
    customer text, is_public boolean) RETURNS json
LANGUAGE sql STABLE
AS $$
    SELECT json_build_object(
        'id', tb.id('ENTITY_VIEW', v.id),
        'createdTime', v.created_time,
        'additionalInfo', v.additional_info,
        'tenantId', tb.id('TENANT', v.tenant_id),
        'customerId', tb.id_or_none('CUSTOMER', v.customer_id),
        'ownerId', tb.owner(v.tenant_id, v.customer_id),
        'entityId', tb.id(v.entity_type, v.entity_id),
        'name', v.name,
        'type', v.type,
        'keys', v.keys,
        'startTimeMs', v.start_ts,
        'endTimeMs', v.end_ts,
        'externalId', tb.id('ENTITY_VIEW', v.external_id),
        'version', v.version,
        'customerTitle', entity_view_info_out.customer,
        'customerIsPublic', COALESCE(entity_view_info_out.is_public, false))
$$;


CREATE OR REPLACE FUNCTION tb.entity_view_in(body json)
RETURNS iot.entity_view
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    r  iot.entity_view;
BEGIN
    PERFORM tb.need_object(body);

    r.id := tb.ref(body, 'id');
    r.customer_id := tb.ref(body, 'customerId');
    r.entity_id := tb.ref(body, 'entityId');
    r.entity_type := upper(tb.object(body, 'entityId') ->> 'entityType');
    r.name := tb.text(body, 'name');
    r.type := tb.text(body, 'type');
    r.keys := tb.object(body, 'keys');
    r.start_ts := tb.long(body, 'startTimeMs');
    r.end_ts := tb.long(body, 'endTimeMs');
    r.additional_info := tb.object(body, 'additionalInfo');
    r.external_id := tb.ref(body, 'externalId');
    r.version := tb.long(body, 'version');

    RETURN r;
END
$$;


CREATE OR REPLACE FUNCTION tb.entity_view_get(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);

    RETURN tb.entity_view_out(iot.entity_view_get(p, tb.uuid(path[1])));
END
$$;


CREATE OR REPLACE FUNCTION tb.entity_view_info_get(p iot.principal,
    path text[], query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    v  iot.entity_view;
    c  iot.customer;
BEGIN
    PERFORM iot.enter(p);

    v := iot.entity_view_get(p, tb.uuid(path[1]));

    SELECT * INTO c FROM iot.customer AS t
    WHERE t.tenant_id = v.tenant_id AND t.id = v.customer_id;

    RETURN tb.entity_view_info_out(v, c.title, c.is_public);
END
$$;


CREATE OR REPLACE FUNCTION tb.entity_view_save(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    how  record;
BEGIN
    PERFORM iot.enter(p);

    how := tb.conflict(query);

    RETURN tb.entity_view_out(
        iot.entity_view_save(p, tb.entity_view_in(body), how.policy,
                             how.separator, how.strategy));
END
$$;


CREATE OR REPLACE FUNCTION tb.entity_view_delete(p iot.principal,
    path text[], query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.entity_view_delete(p, tb.uuid(path[1]));

    RETURN NULL;
END
$$;


-- customer NULL: take it back.

CREATE OR REPLACE FUNCTION tb.entity_view_owned(p iot.principal, id uuid,
    customer uuid) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.assign(p, 'ENTITY_VIEW', id, customer);

    RETURN tb.entity_view_out(v) FROM iot.entity_view AS v
        WHERE v.tenant_id = p.tenant_id AND v.id = entity_view_owned.id;
END
$$;


CREATE OR REPLACE FUNCTION tb.entity_view_assign(p iot.principal,
    path text[], query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);

    RETURN tb.entity_view_owned(p, tb.uuid(path[2]),
                                (iot.customer_get(p, tb.uuid(path[1]))).id);
END
$$;


CREATE OR REPLACE FUNCTION tb.entity_view_unassign(p iot.principal,
    path text[], query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);

    RETURN tb.entity_view_owned(p, tb.uuid(path[1]), NULL);
END
$$;


CREATE OR REPLACE FUNCTION tb.entity_view_assign_public(p iot.principal,
    path text[], query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    v  iot.entity_view;
BEGIN
    PERFORM iot.enter(p);

    v := iot.entity_view_get(p, tb.uuid(path[1]), 'CHANGE_OWNER');

    RETURN tb.entity_view_owned(p, v.id, (iot.customer_public(p)).id);
END
$$;


CREATE OR REPLACE FUNCTION tb.tenant_entity_view_by_name(p iot.principal,
    path text[], query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    wanted  text := tb.need_arg(query, 'entityViewName');
    v       iot.entity_view;
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.need_role(p, 'TENANT_ADMIN', 'CUSTOMER_USER');

    SELECT * INTO v FROM iot.entity_view AS t
    WHERE t.tenant_id = p.tenant_id AND t.name = wanted;

    IF v.id IS NULL
       OR NOT iot.may(p, 'READ', 'ENTITY_VIEW', v.id, v.customer_id)
    THEN
        PERFORM iot.fail_missing('Entity view', NULL);
    END IF;

    RETURN tb.entity_view_out(v);
END
$$;


CREATE OR REPLACE FUNCTION tb.tenant_entity_views(p iot.principal,
    path text[], query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    IF query -> 'entityViewName' IS NOT NULL THEN
        RETURN tb.tenant_entity_view_by_name(p, path, query, body);
    END IF;

    RETURN tb.tenant_things(p, 'ENTITY_VIEW', query, false);
END
$$;


CREATE OR REPLACE FUNCTION tb.tenant_entity_view_infos(p iot.principal,
    path text[], query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    RETURN tb.tenant_things(p, 'ENTITY_VIEW', query, true);
END
$$;


CREATE OR REPLACE FUNCTION tb.customer_entity_views(p iot.principal,
    path text[], query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    RETURN tb.customer_things(p, 'ENTITY_VIEW', path[1], query, false);
END
$$;


CREATE OR REPLACE FUNCTION tb.customer_entity_view_infos(p iot.principal,
    path text[], query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    RETURN tb.customer_things(p, 'ENTITY_VIEW', path[1], query, true);
END
$$;


-- types NULL: of any.

CREATE OR REPLACE FUNCTION tb.entity_views_of(p iot.principal, ids uuid[],
    types text[]) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    RETURN COALESCE(
        (SELECT json_agg(tb.entity_view_out(v) ORDER BY v.id)
         FROM iot.entity_view AS v
         WHERE v.tenant_id = p.tenant_id AND v.id = ANY (ids)
               AND (types IS NULL OR v.type = ANY (types))
               AND iot.may(p, 'READ', 'ENTITY_VIEW', v.id, v.customer_id)),
        '[]');
END
$$;


CREATE OR REPLACE FUNCTION tb.entity_views_list(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.need_role(p, 'TENANT_ADMIN', 'CUSTOMER_USER');

    RETURN tb.entity_views_of(p, tb.arg_ids(query, 'entityViewIds'), NULL);
END
$$;


CREATE OR REPLACE FUNCTION tb.entity_views_find(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.need_role(p, 'TENANT_ADMIN', 'CUSTOMER_USER');

    RETURN tb.entity_views_of(p,
        tb.relation_search(p, body, 'ENTITY_VIEW', 'entityViewTypes'),
        tb.texts(body, 'entityViewTypes'));
END
$$;


CREATE OR REPLACE FUNCTION tb.entity_view_types(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.need_role(p, 'TENANT_ADMIN', 'CUSTOMER_USER');

    RETURN tb.types_out(p.tenant_id, 'ENTITY_VIEW', ARRAY(
        SELECT DISTINCT v.type FROM iot.entity_view AS v
        WHERE v.tenant_id = p.tenant_id
              AND iot.may(p, 'READ', 'ENTITY_VIEW', v.id, v.customer_id)));
END
$$;
