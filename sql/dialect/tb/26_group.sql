
--
-- Copyright (C) the ngx_iot authors
--
-- /api/entityGroup..., and what all objects say of their owner


CREATE OR REPLACE FUNCTION tb.owner(tenant uuid, customer uuid) RETURNS json
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT CASE WHEN customer IS NULL THEN tb.id('TENANT', tenant)
           ELSE tb.id('CUSTOMER', customer) END
$$;


-- The customer that "ownerId" of a request names; NULL: the tenant, or none.

CREATE OR REPLACE FUNCTION tb.owner_in(body json) RETURNS uuid
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    IF COALESCE(json_typeof(body -> 'ownerId'), '') <> 'object'
       OR body -> 'ownerId' ->> 'entityType' IS DISTINCT FROM 'CUSTOMER'
    THEN
        RETURN NULL;
    END IF;

    RETURN tb.ref(body, 'ownerId');
END
$$;


-- Of a path: {CUSTOMER|TENANT}/{id}; NULL: the tenant, which must be the
-- caller's.

CREATE OR REPLACE FUNCTION tb.owner_path(p iot.principal, type text, id text)
RETURNS uuid
LANGUAGE plpgsql
AS $$
DECLARE
    owner  uuid := tb.uuid(id);
BEGIN
    CASE upper(type)
    WHEN 'TENANT' THEN
        IF owner IS DISTINCT FROM p.tenant_id THEN
            PERFORM iot.fail_missing('Tenant', owner);
        END IF;

        RETURN NULL;

    WHEN 'CUSTOMER' THEN
        RETURN (iot.customer_get(p, owner)).id;

    ELSE
        PERFORM iot.fail_request(
            format('Unsupported owner type: %s', left(type, 255)));
    END CASE;

    RETURN NULL;
END
$$;


-- entityGroupId and entityGroupIds of a call that makes something.

CREATE OR REPLACE FUNCTION tb.group_args(query json) RETURNS uuid[]
LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
    result  uuid[];
BEGIN
    IF tb.arg(query, 'entityGroupId') IS NOT NULL THEN
        result := tb.arg_ids(query, 'entityGroupId');
    END IF;

    IF tb.arg(query, 'entityGroupIds') IS NOT NULL THEN
        result := result || tb.arg_ids(query, 'entityGroupIds');
    END IF;

    RETURN result;
END
$$;


-- What is made in a group belongs to its owner, unless said otherwise.

CREATE OR REPLACE FUNCTION tb.groups_owner(p iot.principal, groups uuid[])
RETURNS uuid
LANGUAGE plpgsql
AS $$
BEGIN
    IF groups IS NULL THEN
        RETURN NULL;
    END IF;

    RETURN (iot.group_get(p, groups[1])).customer_id;
END
$$;


CREATE OR REPLACE FUNCTION tb.join_groups(p iot.principal, groups uuid[],
    id uuid) RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.group_add(p, g.id, ARRAY[join_groups.id])
    FROM unnest(groups) AS g (id);
END
$$;


CREATE OR REPLACE FUNCTION tb.group_out(g iot.entity_group) RETURNS json
LANGUAGE sql STABLE
AS $$
    SELECT json_build_object(
        'id', tb.id('ENTITY_GROUP', g.id),
        'createdTime', g.created_time,
        'tenantId', tb.id('TENANT', g.tenant_id),
        'type', g.type,
        'name', g.name,
        'ownerId', tb.owner(g.tenant_id, g.customer_id),
        'additionalInfo',
            (COALESCE(g.additional_info::jsonb, '{}')
             || jsonb_build_object('isPublic', iot.group_is_public(g))),
        'configuration', g.configuration,
        'groupAll', g.is_all,
        'edgeGroupAll', false,
        'version', g.version)
$$;


CREATE OR REPLACE FUNCTION tb.group_in(body json) RETURNS iot.entity_group
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    r  iot.entity_group;
BEGIN
    PERFORM tb.need_object(body);

    r.id := tb.ref(body, 'id');
    r.type := upper(tb.text(body, 'type'));
    r.name := tb.text(body, 'name');
    r.customer_id := tb.owner_in(body);
    r.additional_info := (tb.object(body, 'additionalInfo')::jsonb
                          - 'isPublic')::json;
    r.configuration := tb.object(body, 'configuration');
    r.version := tb.long(body, 'version');

    RETURN r;
END
$$;


CREATE OR REPLACE FUNCTION tb.group_save(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);

    RETURN tb.group_out(iot.group_save(p, tb.group_in(body)));
END
$$;


CREATE OR REPLACE FUNCTION tb.group_get(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);

    RETURN tb.group_out(iot.group_get(p, tb.uuid(path[1])));
END
$$;


CREATE OR REPLACE FUNCTION tb.group_delete(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.group_delete(p, tb.uuid(path[1]));

    RETURN NULL;
END
$$;


-- The groups of an owner which the caller may see.

CREATE OR REPLACE FUNCTION tb.groups_array(p iot.principal, owner uuid,
    kind text) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.group_all(p.tenant_id, owner, kind);

    RETURN COALESCE(
        (SELECT json_agg(tb.group_out(g) ORDER BY g.is_all DESC, g.id)
         FROM iot.entity_group AS g
         WHERE g.tenant_id = p.tenant_id AND g.type = kind
               AND g.customer_id IS NOT DISTINCT FROM owner
               AND iot.may(p, 'READ', g.type || '_GROUP', g.id,
                           g.customer_id)),
        '[]');
END
$$;


-- Of the caller's owner.

CREATE OR REPLACE FUNCTION tb.groups_by_type(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.need_role(p, 'TENANT_ADMIN', 'CUSTOMER_USER');

    RETURN tb.groups_array(p, p.customer_id, iot.group_type(upper(path[1])));
END
$$;


CREATE OR REPLACE FUNCTION tb.groups_by_owner(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.need_role(p, 'TENANT_ADMIN', 'CUSTOMER_USER');

    RETURN tb.groups_array(p, tb.owner_path(p, path[1], path[2]),
                           iot.group_type(upper(path[3])));
END
$$;


CREATE OR REPLACE FUNCTION tb.group_by_name(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    owner  uuid;
    kind   text;
    g      iot.entity_group;
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.need_role(p, 'TENANT_ADMIN', 'CUSTOMER_USER');

    kind := iot.group_type(upper(path[3]));
    owner := tb.owner_path(p, path[1], path[2]);

    IF path[4] = 'All' THEN
        g := iot.group_all(p.tenant_id, owner, kind);

    ELSE
        SELECT * INTO g FROM iot.entity_group AS t
        WHERE t.tenant_id = p.tenant_id AND t.type = kind
              AND t.customer_id IS NOT DISTINCT FROM owner
              AND t.name = path[4];
    END IF;

    IF g.id IS NULL THEN
        PERFORM iot.fail_missing('Entity group', NULL);
    END IF;

    RETURN tb.group_out(iot.group_get(p, g.id));
END
$$;


-- The groups that an entity is in: their ids.

CREATE OR REPLACE FUNCTION tb.groups_of_entity(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.need_role(p, 'TENANT_ADMIN', 'CUSTOMER_USER');

    RETURN (SELECT json_agg(tb.id('ENTITY_GROUP', g.id))
            FROM iot.groups_of(p, upper(path[1]), tb.uuid(path[2])) AS g);
END
$$;


CREATE OR REPLACE FUNCTION tb.group_infos(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    kind  text;
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.need_role(p, 'TENANT_ADMIN', 'CUSTOMER_USER');

    kind := iot.group_type(upper(path[1]));
    PERFORM iot.group_all(p.tenant_id, p.customer_id, kind);

    RETURN tb.list(tb.page(query), 'tb.group_out(g)',
        'iot.entity_group AS g WHERE g.tenant_id = $1[1]::uuid'
        ' AND g.customer_id IS NOT DISTINCT FROM $1[2]::uuid'
        ' AND g.type = $1[3] AND ($2 IS NULL OR g.name ILIKE $2) AND '
        || iot.may_list(p, kind || '_GROUP', 'g'),
        '{"id":"g.id","createdTime":"g.created_time","name":"g.name"}',
        'g.id', p.tenant_id::text, p.customer_id::text, kind);
END
$$;


-- The body of addEntities and deleteEntities: an array of UUIDs.

CREATE OR REPLACE FUNCTION tb.uuids(body json) RETURNS uuid[]
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    IF body IS NULL OR json_typeof(body) <> 'array'
       OR json_array_length(body) > 10000
    THEN
        PERFORM iot.fail_request('Malformed JSON request body');
    END IF;

    RETURN ARRAY(SELECT tb.uuid(e.id)
                 FROM json_array_elements_text(body) AS e (id));
END
$$;


CREATE OR REPLACE FUNCTION tb.group_add(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.group_add(p, tb.uuid(path[1]), tb.uuids(body));

    RETURN NULL;
END
$$;


CREATE OR REPLACE FUNCTION tb.group_remove(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.group_remove(p, tb.uuid(path[1]), tb.uuids(body));

    RETURN NULL;
END
$$;


-- The condition of a group's entities which the caller may read, on row.
-- Whoever may read the group may read what is in it, unless roles say less.

CREATE OR REPLACE FUNCTION tb.in_group(p iot.principal, g iot.entity_group,
    "row" text) RETURNS text
LANGUAGE plpgsql
AS $$
BEGIN
    RETURN iot.group_condition(g, "row") || ' AND '
           || iot.may_list(p, g.type, "row");
END
$$;


CREATE OR REPLACE FUNCTION tb.group_page(p iot.principal, g iot.entity_group,
    query json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    CASE g.type
    WHEN 'DEVICE' THEN
        RETURN tb.devices_page(query, p.tenant_id, NULL,
                               tb.in_group(p, g, 'd'));

    WHEN 'ASSET', 'ENTITY_VIEW' THEN
        RETURN tb.things_page(g.type, query, p.tenant_id, NULL, false,
                              tb.in_group(p, g, 'd'));

    WHEN 'CUSTOMER' THEN
        RETURN tb.customers_page(query, p.tenant_id, tb.in_group(p, g, 'c'));

    WHEN 'USER' THEN
        RETURN tb.users_page(query, 'tb.user_out(u)', p.tenant_id, NULL, NULL,
                             false, tb.in_group(p, g, 'u'));

    WHEN 'DASHBOARD' THEN
        RETURN tb.dashboards_page(query, p.tenant_id, NULL,
                                  tb.in_group(p, g, 'd'));

    ELSE
        PERFORM iot.fail_request(
            format('Unsupported entity type: %s', g.type));
    END CASE;

    RETURN NULL;
END
$$;


CREATE OR REPLACE FUNCTION tb.group_entities(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);

    RETURN tb.group_page(p, iot.group_get(p, tb.uuid(path[1])), query);
END
$$;


-- The same for a group that must be of that type.

CREATE OR REPLACE FUNCTION tb.group_typed(p iot.principal, id text,
    query json, type text) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    g  iot.entity_group;
BEGIN
    PERFORM iot.enter(p);

    g := iot.group_get(p, tb.uuid(id));

    IF g.type <> type THEN
        PERFORM iot.fail_request(
            format('Entity group is not of type %s!', type));
    END IF;

    RETURN tb.group_page(p, g, query);
END
$$;


CREATE OR REPLACE FUNCTION tb.group_devices(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    RETURN tb.group_typed(p, path[1], query, 'DEVICE');
END
$$;


CREATE OR REPLACE FUNCTION tb.group_users(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    RETURN tb.group_typed(p, path[1], query, 'USER');
END
$$;


CREATE OR REPLACE FUNCTION tb.group_customers(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    RETURN tb.group_typed(p, path[1], query, 'CUSTOMER');
END
$$;


CREATE OR REPLACE FUNCTION tb.group_make_public(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.group_public(p, tb.uuid(path[1]), true);

    RETURN NULL;
END
$$;


CREATE OR REPLACE FUNCTION tb.group_make_private(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.group_public(p, tb.uuid(path[1]), false);

    RETURN NULL;
END
$$;


-- Share a group with users of an owner: {ownerId, allUserGroup, userGroupId,
-- readElseWrite, roleIds}.

CREATE OR REPLACE FUNCTION tb.group_share(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    r      iot.group_permission;
    roles  uuid[];
    owner  uuid;
BEGIN
    PERFORM iot.enter(p);
    PERFORM tb.need_object(body);

    r.entity_group_id := tb.uuid(path[1]);
    r.user_group_id := tb.ref(body, 'userGroupId');

    IF tb.boolean(body, 'allUserGroup', r.user_group_id IS NULL)
       OR r.user_group_id IS NULL
    THEN
        owner := tb.owner_in(body);

        IF owner IS NOT NULL THEN
            PERFORM iot.customer_get(p, owner);
        END IF;

        r.user_group_id := (iot.group_all(p.tenant_id, owner, 'USER')).id;
    END IF;

    IF COALESCE(json_typeof(body -> 'roleIds'), 'null') = 'array' THEN
        roles := ARRAY(SELECT tb.uuid(COALESCE(e.v ->> 'id', e.v #>> '{}'))
                       FROM json_array_elements(body -> 'roleIds') AS e (v));
    END IF;

    IF COALESCE(cardinality(roles), 0) = 0 THEN
        roles := ARRAY[(CASE WHEN tb.boolean(body, 'readElseWrite', true) THEN
            iot.role_share(p.tenant_id, 'Shared, read',
                '["READ","READ_ATTRIBUTES","READ_TELEMETRY"]')
            ELSE
            iot.role_share(p.tenant_id, 'Shared, write',
                '["READ","WRITE","RPC_CALL","READ_ATTRIBUTES",
                  "WRITE_ATTRIBUTES","READ_TELEMETRY","WRITE_TELEMETRY"]')
            END).id];
    END IF;

    FOREACH r.role_id IN ARRAY roles LOOP
        PERFORM iot.permission_save(p, r);
    END LOOP;

    RETURN NULL;
END
$$;


CREATE OR REPLACE FUNCTION tb.group_share_role(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    r  iot.group_permission;
BEGIN
    PERFORM iot.enter(p);

    r.entity_group_id := tb.uuid(path[1]);
    r.user_group_id := tb.uuid(path[2]);
    r.role_id := tb.uuid(path[3]);

    PERFORM iot.permission_save(p, r);

    RETURN NULL;
END
$$;
