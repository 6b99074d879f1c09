
--
-- Copyright (C) the ngx_iot authors
--
-- /api/role..., /api/groupPermission..., /api/permissions...


CREATE OR REPLACE FUNCTION tb.role_out(r iot.role) RETURNS json
LANGUAGE sql STABLE
AS $$
    SELECT json_build_object(
        'id', tb.id('ROLE', r.id),
        'createdTime', r.created_time,
        'tenantId', tb.id('TENANT', r.tenant_id),
        'customerId', tb.id_or_none('CUSTOMER', r.customer_id),
        'name', r.name,
        'type', r.type,
        'permissions', r.permissions,
        'additionalInfo', r.additional_info,
        'ownerId', tb.owner(r.tenant_id, r.customer_id),
        'version', r.version)
$$;


CREATE OR REPLACE FUNCTION tb.role_in(body json) RETURNS iot.role
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    r  iot.role;
BEGIN
    PERFORM tb.need_object(body);

    r.id := tb.ref(body, 'id');
    r.customer_id := COALESCE(tb.ref(body, 'customerId'), tb.owner_in(body));
    r.name := tb.text(body, 'name');
    r.type := upper(tb.text(body, 'type'));
    r.permissions := (body -> 'permissions')::jsonb;
    r.additional_info := tb.object(body, 'additionalInfo');
    r.version := tb.long(body, 'version');

    RETURN r;
END
$$;


CREATE OR REPLACE FUNCTION tb.role_save(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);

    RETURN tb.role_out(iot.role_save(p, tb.role_in(body)));
END
$$;


CREATE OR REPLACE FUNCTION tb.role_get(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);

    RETURN tb.role_out(iot.role_get(p, tb.uuid(path[1])));
END
$$;


CREATE OR REPLACE FUNCTION tb.role_delete(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.role_delete(p, tb.uuid(path[1]));

    RETURN NULL;
END
$$;


CREATE OR REPLACE FUNCTION tb.roles_list(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    ids  uuid[] := tb.arg_ids(query, 'roleIds');
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.need_role(p, 'TENANT_ADMIN', 'CUSTOMER_USER');

    RETURN COALESCE(
        (SELECT json_agg(tb.role_out(r) ORDER BY r.id)
         FROM iot.role AS r
         WHERE r.tenant_id = p.tenant_id AND r.id = ANY (ids)
               AND iot.may(p, 'READ', 'ROLE', r.id, r.customer_id)),
        '[]');
END
$$;


CREATE OR REPLACE FUNCTION tb.roles(p iot.principal, path text[], query json,
    body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    IF query -> 'roleIds' IS NOT NULL THEN
        RETURN tb.roles_list(p, path, query, body);
    END IF;

    PERFORM iot.enter(p);
    PERFORM iot.need_role(p, 'TENANT_ADMIN', 'CUSTOMER_USER');

    RETURN tb.list(tb.page(query), 'tb.role_out(r)',
        'iot.role AS r WHERE r.tenant_id = $1[1]::uuid'
        ' AND ($1[2] IS NULL OR r.type = $1[2])'
        ' AND ($2 IS NULL OR r.name ILIKE $2) AND '
        || iot.may_list(p, 'ROLE', 'r'),
        '{"id":"r.id","createdTime":"r.created_time","name":"r.name",
          "type":"r.type"}',
        'r.id', p.tenant_id::text, upper(tb.arg(query, 'type')));
END
$$;


CREATE OR REPLACE FUNCTION tb.permission_out(r iot.group_permission)
RETURNS json
LANGUAGE sql STABLE
AS $$
    SELECT json_build_object(
        'id', tb.id('GROUP_PERMISSION', r.id),
        'createdTime', r.created_time,
        'tenantId', tb.id('TENANT', r.tenant_id),
        'userGroupId', tb.id('ENTITY_GROUP', r.user_group_id),
        'roleId', tb.id('ROLE', r.role_id),
        'entityGroupId', tb.id_or_none('ENTITY_GROUP', r.entity_group_id),
        'entityGroupType',
            (SELECT g.type FROM iot.entity_group AS g
             WHERE g.tenant_id = r.tenant_id AND g.id = r.entity_group_id),
        'isPublic', r.is_public,
        'name', r.id::text)
$$;


CREATE OR REPLACE FUNCTION tb.permission_save(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    r  iot.group_permission;
BEGIN
    PERFORM iot.enter(p);
    PERFORM tb.need_object(body);

    r.user_group_id := tb.ref(body, 'userGroupId');
    r.role_id := tb.ref(body, 'roleId');
    r.entity_group_id := tb.ref(body, 'entityGroupId');

    RETURN tb.permission_out(iot.permission_save(p, r));
END
$$;


CREATE OR REPLACE FUNCTION tb.permission_get(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);

    RETURN tb.permission_out(iot.permission_get(p, tb.uuid(path[1])));
END
$$;


CREATE OR REPLACE FUNCTION tb.permission_delete(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.permission_delete(p, tb.uuid(path[1]));

    RETURN NULL;
END
$$;


-- What a group of users may do.

CREATE OR REPLACE FUNCTION tb.user_group_permissions(p iot.principal,
    path text[], query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    g  iot.entity_group;
BEGIN
    PERFORM iot.enter(p);

    g := iot.group_get(p, tb.uuid(path[1]));
    PERFORM iot.need(p, 'READ', 'GROUP_PERMISSION', NULL, g.customer_id);

    RETURN COALESCE(
        (SELECT json_agg(tb.permission_out(t) ORDER BY t.id)
         FROM iot.group_permission AS t
         WHERE t.tenant_id = g.tenant_id AND t.user_group_id = g.id),
        '[]');
END
$$;


-- Who may do something with a group of entities.

CREATE OR REPLACE FUNCTION tb.entity_group_permissions(p iot.principal,
    path text[], query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    g  iot.entity_group;
BEGIN
    PERFORM iot.enter(p);

    g := iot.group_get(p, tb.uuid(path[1]));
    PERFORM iot.need(p, 'READ', 'GROUP_PERMISSION', NULL, g.customer_id);

    RETURN COALESCE(
        (SELECT json_agg(tb.permission_out(t) ORDER BY t.id)
         FROM iot.group_permission AS t
         WHERE t.tenant_id = g.tenant_id AND t.entity_group_id = g.id),
        '[]');
END
$$;


-- What the caller may do, for clients that hide what it may not.

CREATE OR REPLACE FUNCTION tb.allowed_permissions(p iot.principal,
    path text[], query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    a         record;
    resource  CONSTANT text[] := '{ALL,DEVICE,ASSET,CUSTOMER,USER,DASHBOARD,'
        'ENTITY_VIEW,ALARM,DEVICE_PROFILE,ASSET_PROFILE,DEVICE_GROUP,'
        'ASSET_GROUP,CUSTOMER_GROUP,USER_GROUP,DASHBOARD_GROUP,'
        'ENTITY_VIEW_GROUP,ROLE,GROUP_PERMISSION,AUDIT_LOG,TENANT}'::text[];
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.need_role(p, 'SYS_ADMIN', 'TENANT_ADMIN', 'CUSTOMER_USER');

    SELECT * INTO a FROM iot.allowed(p);

    RETURN json_build_object(
        'operationsByResource',
            (SELECT json_object_agg(r.name, iot.operations())
             FROM unnest(resource) AS r (name)),
        'allowedForGroupRoleOperations', iot.operations(),
        'allowedForGroupOwnerOnlyOperations', '["CREATE"]'::json,
        'allowedForGroupOwnerOnlyGroupOperations',
            '["SHARE_GROUP"]'::json,
        'allowedResources',
            (SELECT json_agg(r.name) FROM unnest(resource) AS r (name)
             WHERE a.generic ? r.name OR a.generic ? 'ALL'),
        'userPermissions', json_build_object(
            'genericPermissions', a.generic,
            'groupPermissions', a.groups,
            'readGroupPermissions',
                (SELECT json_object_agg(r.type,
                     json_build_object(
                         'hasGenericRead',
                         COALESCE(a.generic -> (r.type || '_GROUP')
                                  ?| '{READ,ALL}'
                                  OR a.generic -> 'ALL' ?| '{READ,ALL}',
                                  false),
                         'entityGroupIds',
                         (SELECT COALESCE(json_agg(
                                     tb.id('ENTITY_GROUP', g.key::uuid)), '[]')
                          FROM jsonb_each(a.groups) AS g
                          WHERE g.value ->> 'entityType' = r.type
                                AND g.value -> 'operations'
                                    ?| '{READ,ALL}')))
                 FROM unnest('{DEVICE,ASSET,CUSTOMER,USER,DASHBOARD,'
                             'ENTITY_VIEW}'::text[]) AS r (type)),
            'readAttrPermissions', '{}'::json,
            'readTsPermissions', '{}'::json),
        'userOwnerId', CASE WHEN p.tenant_id IS NULL
            THEN tb.id('TENANT', tb.null_uuid())
            ELSE tb.owner(p.tenant_id, p.customer_id) END);
END
$$;


CREATE OR REPLACE FUNCTION tb.owner_change(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.owner_change(p, upper(path[3]), tb.uuid(path[4]),
                             tb.owner_path(p, path[1], path[2]));

    RETURN NULL;
END
$$;
