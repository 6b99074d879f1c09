
--
-- Copyright (C) the ngx_iot authors
--
-- Roles, and the permissions that say which group of users has which role, on
-- which group of entities.
--
-- Nobody gives away more than it has: whoever holds GENERIC roles makes roles,
-- permissions and users that may do at most what these roles allow.  And one
-- administrator of the tenant always keeps everything.


-- What a customer user may do by its authority, in the words of a role.

CREATE OR REPLACE FUNCTION iot.customer_role() RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    RETURN '{"DEVICE":["READ","WRITE","RPC_CALL","READ_CREDENTIALS",
               "READ_ATTRIBUTES","WRITE_ATTRIBUTES","READ_TELEMETRY",
               "WRITE_TELEMETRY","CLAIM_DEVICES"],
             "ASSET":["READ","WRITE","READ_ATTRIBUTES","WRITE_ATTRIBUTES",
               "READ_TELEMETRY","WRITE_TELEMETRY"],
             "ENTITY_VIEW":["READ","WRITE","READ_ATTRIBUTES",
               "WRITE_ATTRIBUTES","READ_TELEMETRY","WRITE_TELEMETRY"],
             "ALARM":["CREATE","READ","WRITE","DELETE"],
             "CUSTOMER":["READ"],"USER":["READ"],"DASHBOARD":["READ"]}'::jsonb;
END
$$;


-- Is each permission of the wanted role among those of the roles?

CREATE OR REPLACE FUNCTION iot.role_covered(roles jsonb[], wanted jsonb)
RETURNS boolean
LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN NOT EXISTS (
        SELECT FROM jsonb_each(wanted) AS t (type, operations),
                    jsonb_array_elements_text(t.operations) AS o (operation)
        WHERE NOT iot.role_has(roles, t.type, o.operation));
END
$$;


-- What the caller may do with what its owner has, as roles.

CREATE OR REPLACE FUNCTION iot.rights(p iot.principal) RETURNS jsonb[]
LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN COALESCE(
        CASE WHEN iot.has_roles(p)
        THEN iot.generic_roles(p, iot.caller_groups(p)) END,
        ARRAY[CASE p.role WHEN 'TENANT_ADMIN' THEN '{"ALL":["ALL"]}'
              ELSE iot.customer_role() END]);
END
$$;


-- Does the user stay below somebody of that role and with these rights?

CREATE OR REPLACE FUNCTION iot.rights_cover(role text, mine jsonb[],
    u iot.users) RETURNS boolean
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    wanted  jsonb;
BEGIN
    IF u.authority = 'TENANT_ADMIN' AND role = 'CUSTOMER_USER' THEN
        RETURN false;
    END IF;

    FOREACH wanted IN ARRAY iot.rights(iot.user_principal(u, NULL)) LOOP
        IF NOT iot.role_covered(mine, wanted) THEN
            RETURN false;
        END IF;
    END LOOP;

    RETURN true;
END
$$;


-- May the user do nothing that the caller may not do?

CREATE OR REPLACE FUNCTION iot.covers_user(p iot.principal, u iot.users)
RETURNS boolean
LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN p.role = 'SYS_ADMIN' OR p.tenant_id IS NULL OR u.id = p.user_id
           OR NOT iot.has_roles(p)
           OR iot.rights_cover(p.role, iot.rights(p), u);
END
$$;


-- One administrator must be left who may do everything.

CREATE OR REPLACE FUNCTION iot.need_administrator(tenant uuid) RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM iot.group_permission AS g
                   WHERE g.tenant_id = tenant)
    THEN
        RETURN;
    END IF;

    PERFORM iot.lock('administrators', tenant);

    IF NOT EXISTS (SELECT FROM iot.users AS u
                   WHERE u.tenant_id = tenant
                         AND u.authority = 'TENANT_ADMIN'
                         AND iot.is_full(iot.user_principal(u, NULL)))
    THEN
        PERFORM iot.fail_request('At least one tenant administrator must '
                                 'keep all permissions!');
    END IF;
END
$$;


-- Called after a change of what these users may do.  mine: the rights of the
-- caller before it, which it has neither changed nor given more of.

CREATE OR REPLACE FUNCTION iot.users_changed(p iot.principal, users uuid[],
    mine jsonb[]) RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    IF p.user_id = ANY (users) AND iot.rights(p) IS DISTINCT FROM mine
       OR mine[1] IS DISTINCT FROM '{"ALL":["ALL"]}'
          AND EXISTS (SELECT FROM iot.users AS u
                      WHERE u.tenant_id = p.tenant_id AND u.id = ANY (users)
                            AND u.id IS DISTINCT FROM p.user_id
                            AND NOT iot.rights_cover(p.role, mine, u))
    THEN
        PERFORM iot.fail_permission();
    END IF;

    PERFORM iot.need_administrator(p.tenant_id);
END
$$;


CREATE OR REPLACE FUNCTION iot.role_get(p iot.principal, id uuid,
    operation text DEFAULT 'READ') RETURNS iot.role
LANGUAGE plpgsql
AS $$
DECLARE
    r  iot.role;
BEGIN
    PERFORM iot.need_role(p, 'TENANT_ADMIN', 'CUSTOMER_USER');

    SELECT * INTO r FROM iot.role AS t
    WHERE t.tenant_id = p.tenant_id AND t.id = role_get.id;

    IF r.id IS NULL THEN
        PERFORM iot.fail_missing('Role', id);
    END IF;

    PERFORM iot.need(p, operation, 'ROLE', r.id, r.customer_id);

    RETURN r;
END
$$;


CREATE OR REPLACE FUNCTION iot.operation_check(operations jsonb) RETURNS void
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    IF jsonb_typeof(operations) IS DISTINCT FROM 'array'
       OR EXISTS (SELECT FROM jsonb_array_elements(operations) AS o (v)
                  WHERE jsonb_typeof(o.v) <> 'string'
                        OR o.v #>> '{}' NOT IN ('ALL', 'CREATE', 'READ',
                            'WRITE', 'DELETE', 'RPC_CALL', 'READ_CREDENTIALS',
                            'WRITE_CREDENTIALS', 'READ_ATTRIBUTES',
                            'WRITE_ATTRIBUTES', 'READ_TELEMETRY',
                            'WRITE_TELEMETRY', 'ADD_TO_GROUP',
                            'REMOVE_FROM_GROUP', 'CHANGE_OWNER',
                            'IMPERSONATE', 'CLAIM_DEVICES', 'SHARE_GROUP',
                            'ASSIGN_TO_TENANT', 'PAYG_TOKEN'))
    THEN
        PERFORM iot.fail_request('Role permissions are malformed!');
    END IF;
END
$$;


CREATE OR REPLACE FUNCTION iot.role_check(r iot.role) RETURNS void
LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
    operations  jsonb;
BEGIN
    IF COALESCE(btrim(r.name), '') = '' THEN
        PERFORM iot.fail_request('Role name should be specified!');
    END IF;

    IF r.type IS NULL OR r.type NOT IN ('GENERIC', 'GROUP') THEN
        PERFORM iot.fail_request('Role type should be specified!');
    END IF;

    IF r.type = 'GROUP' THEN
        PERFORM iot.operation_check(r.permissions);
        RETURN;
    END IF;

    IF jsonb_typeof(r.permissions) IS DISTINCT FROM 'object'
       OR EXISTS (SELECT FROM jsonb_object_keys(r.permissions) AS k (name)
                  WHERE k.name !~ '^[A-Z][A-Z0-9_]{0,62}$')
    THEN
        PERFORM iot.fail_request('Role permissions are malformed!');
    END IF;

    FOR operations IN SELECT e.value FROM jsonb_each(r.permissions) AS e LOOP
        PERFORM iot.operation_check(operations);
    END LOOP;
END
$$;


-- Has the caller itself what the role gives?  group_type: of what the group
-- is, for a GROUP role that is about to be used.

CREATE OR REPLACE FUNCTION iot.need_cover(p iot.principal, r iot.role,
    group_type text DEFAULT NULL) RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    IF NOT iot.role_covered(iot.rights(p), CASE r.type
                  WHEN 'GENERIC' THEN r.permissions
                  ELSE jsonb_build_object(COALESCE(group_type, 'ALL'),
                                          r.permissions)
                  END)
    THEN
        PERFORM iot.fail_permission();
    END IF;
END
$$;


CREATE OR REPLACE FUNCTION iot.role_save(p iot.principal, r iot.role)
RETURNS iot.role
LANGUAGE plpgsql
AS $$
DECLARE
    old  iot.role;
BEGIN
    PERFORM iot.need_role(p, 'TENANT_ADMIN', 'CUSTOMER_USER');

    IF r.id IS NOT NULL THEN
        old := iot.role_get(p, r.id, 'WRITE');

        IF r.version <> old.version THEN
            PERFORM iot.fail_version('Role');
        END IF;

        IF r.type IS DISTINCT FROM old.type THEN
            PERFORM iot.fail_request('Can''t update role type!');
        END IF;

    ELSE
        IF p.role = 'CUSTOMER_USER' THEN
            r.customer_id := COALESCE(r.customer_id, p.customer_id);
        END IF;

        PERFORM iot.need(p, 'CREATE', 'ROLE', NULL, r.customer_id);

        IF r.customer_id IS NOT NULL THEN
            PERFORM iot.check_customer(p.tenant_id, r.customer_id,
                'Role owner doesn''t exist!');
        END IF;
    END IF;

    PERFORM iot.role_check(r);
    PERFORM iot.need_cover(p, r);

    BEGIN
        IF old.id IS NULL THEN
            INSERT INTO iot.role (tenant_id, customer_id, name, type,
                                  permissions, additional_info)
            VALUES (p.tenant_id, r.customer_id, r.name, r.type, r.permissions,
                    r.additional_info)
            RETURNING * INTO r;

        ELSE
            UPDATE iot.role AS t
            SET name = r.name,
                permissions = r.permissions,
                additional_info = r.additional_info,
                version = t.version + 1
            WHERE t.tenant_id = old.tenant_id AND t.id = old.id
            RETURNING * INTO r;
        END IF;

    EXCEPTION
        WHEN unique_violation THEN
            PERFORM iot.fail_request('Role with such name already exists!');
    END;

    PERFORM iot.need_administrator(p.tenant_id);
    PERFORM iot.audit(p, 'ROLE', r.id, r.name,
                      CASE WHEN old.id IS NULL THEN 'ADDED' ELSE 'UPDATED' END,
                      data => json_build_object('permissions', r.permissions),
                      customer => r.customer_id);

    RETURN r;
END
$$;


CREATE OR REPLACE FUNCTION iot.role_delete(p iot.principal, id uuid)
RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    r  iot.role;
BEGIN
    r := iot.role_get(p, id, 'DELETE');

    BEGIN
        DELETE FROM iot.role AS t
        WHERE t.tenant_id = r.tenant_id AND t.id = r.id;

    EXCEPTION
        WHEN foreign_key_violation THEN
            PERFORM iot.fail_request('The role referenced by the group '
                                     'permissions cannot be deleted!');
    END;

    PERFORM iot.audit(p, 'ROLE', r.id, r.name, 'DELETED',
                      customer => r.customer_id);
END
$$;


-- A customer goes: what others use of its roles goes to the owner above it.

CREATE OR REPLACE FUNCTION iot.roles_inherit(c iot.customer) RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    DELETE FROM iot.group_permission AS g
    USING iot.entity_group AS e
    WHERE g.tenant_id = c.tenant_id AND e.tenant_id = g.tenant_id
          AND e.id IN (g.user_group_id, g.entity_group_id)
          AND e.customer_id = c.id;

    UPDATE iot.role AS r
    SET customer_id = c.parent_id, name = r.name || ' ' || r.id
    WHERE r.tenant_id = c.tenant_id AND r.customer_id = c.id
          AND EXISTS (SELECT FROM iot.group_permission AS g
                      WHERE g.tenant_id = r.tenant_id AND g.role_id = r.id);
END
$$;


CREATE OR REPLACE FUNCTION iot.permission_get(p iot.principal, id uuid,
    operation text DEFAULT 'READ') RETURNS iot.group_permission
LANGUAGE plpgsql
AS $$
DECLARE
    r  iot.group_permission;
    g  iot.entity_group;
BEGIN
    PERFORM iot.need_role(p, 'TENANT_ADMIN', 'CUSTOMER_USER');

    SELECT * INTO r FROM iot.group_permission AS t
    WHERE t.tenant_id = p.tenant_id AND t.id = permission_get.id;

    IF r.id IS NULL THEN
        PERFORM iot.fail_missing('Group permission', id);
    END IF;

    SELECT * INTO g FROM iot.entity_group AS t
    WHERE t.tenant_id = r.tenant_id AND t.id = r.user_group_id;

    PERFORM iot.need(p, operation, 'GROUP_PERMISSION', r.id, g.customer_id);

    RETURN r;
END
$$;


-- Give a group of users a role: GENERIC without a group of entities, GROUP
-- with one.  Doing it again is the same permission.

CREATE OR REPLACE FUNCTION iot.permission_save(p iot.principal,
    r iot.group_permission) RETURNS iot.group_permission
LANGUAGE plpgsql
AS $$
DECLARE
    users  iot.entity_group;
    role   iot.role;
    g      iot.entity_group;
    made   iot.group_permission;
    mine   jsonb[] := iot.rights(p);
BEGIN
    users := iot.group_get(p, r.user_group_id);
    role := iot.role_get(p, r.role_id);

    PERFORM iot.need(p, 'CREATE', 'GROUP_PERMISSION', NULL,
                     users.customer_id);

    IF users.type <> 'USER' THEN
        PERFORM iot.fail_request('Group permission is for a user group!');
    END IF;

    IF role.type = 'GENERIC' AND r.entity_group_id IS NOT NULL
       OR role.type = 'GROUP' AND r.entity_group_id IS NULL
    THEN
        PERFORM iot.fail_request(
            'A generic role has no entity group, a group role must have one!');
    END IF;

    IF role.customer_id IS NOT NULL
       AND (users.customer_id IS NULL
            OR NOT iot.is_below(p.tenant_id, role.customer_id,
                                users.customer_id))
    THEN
        PERFORM iot.fail_request('The role is not of an owner of the group!');
    END IF;

    IF r.entity_group_id IS NOT NULL THEN
        g := iot.group_get(p, r.entity_group_id, 'SHARE_GROUP');

        IF g.type = 'USER' AND NOT iot.is_full(p) THEN
            PERFORM iot.fail_permission();
        END IF;
    END IF;

    PERFORM iot.need_cover(p, role, g.type);

    INSERT INTO iot.group_permission (tenant_id, user_group_id, role_id,
                                      entity_group_id, is_public)
    VALUES (p.tenant_id, users.id, role.id, g.id,
            COALESCE(r.is_public, false))
    ON CONFLICT ON CONSTRAINT group_permission_key
        DO UPDATE SET is_public = excluded.is_public
    RETURNING * INTO made;

    PERFORM iot.users_changed(p, iot.group_users(users), mine);
    PERFORM iot.audit(p, 'GROUP_PERMISSION', made.id, role.name, 'ADDED',
                      data => json_build_object(
                          'userGroupId', users.id, 'roleId', role.id,
                          'entityGroupId', g.id),
                      customer => users.customer_id);

    RETURN made;
END
$$;


CREATE OR REPLACE FUNCTION iot.permission_delete(p iot.principal, id uuid)
RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    r      iot.group_permission;
    users  iot.entity_group;
    mine   jsonb[] := iot.rights(p);
BEGIN
    r := iot.permission_get(p, id, 'DELETE');

    SELECT * INTO users FROM iot.entity_group AS t
    WHERE t.tenant_id = r.tenant_id AND t.id = r.user_group_id;

    DELETE FROM iot.group_permission AS t
    WHERE t.tenant_id = r.tenant_id AND t.id = r.id;

    PERFORM iot.users_changed(p, iot.group_users(users), mine);
    PERFORM iot.audit(p, 'GROUP_PERMISSION', r.id, users.name, 'DELETED',
                      customer => users.customer_id);
END
$$;


-- A GROUP role of the tenant for what is shared without naming one, made when
-- first needed.

CREATE OR REPLACE FUNCTION iot.role_share(tenant uuid, name text,
    operations jsonb) RETURNS iot.role
LANGUAGE plpgsql
AS $$
DECLARE
    r  iot.role;
BEGIN
    INSERT INTO iot.role AS t (tenant_id, name, type, permissions)
    VALUES (tenant, role_share.name, 'GROUP', operations)
    ON CONFLICT ON CONSTRAINT role_name_key
        DO UPDATE SET type = t.type
    RETURNING * INTO r;

    RETURN r;
END
$$;


-- Everybody may read what is in the group, through the public customer; or no
-- longer.

CREATE OR REPLACE FUNCTION iot.group_public(p iot.principal, id uuid,
    public boolean) RETURNS iot.entity_group
LANGUAGE plpgsql
AS $$
DECLARE
    g      iot.entity_group;
    users  iot.entity_group;
    r      iot.role;
BEGIN
    PERFORM iot.need_role(p, 'TENANT_ADMIN');

    g := iot.group_get(p, id, 'WRITE');

    IF g.type NOT IN ('DEVICE', 'ASSET', 'ENTITY_VIEW', 'DASHBOARD') THEN
        PERFORM iot.fail_request(
            'Groups of that type can''t be made public!');
    END IF;

    IF public THEN
        users := iot.group_all(p.tenant_id, (iot.customer_public(p)).id,
                               'USER');
        r := iot.role_share(p.tenant_id, 'Public reader',
            '["READ","READ_ATTRIBUTES","READ_TELEMETRY"]');

        INSERT INTO iot.group_permission (tenant_id, user_group_id, role_id,
                                          entity_group_id, is_public)
        VALUES (p.tenant_id, users.id, r.id, g.id, true)
        ON CONFLICT ON CONSTRAINT group_permission_key DO NOTHING;

    ELSE
        DELETE FROM iot.group_permission AS t
        WHERE t.tenant_id = p.tenant_id AND t.entity_group_id = g.id
              AND t.is_public;
    END IF;

    PERFORM iot.audit(p, 'ENTITY_GROUP', g.id, g.name,
                      CASE WHEN public THEN 'MADE_PUBLIC'
                      ELSE 'MADE_PRIVATE' END,
                      customer => g.customer_id);

    RETURN g;
END
$$;


-- Is the group open to everybody?

CREATE OR REPLACE FUNCTION iot.group_is_public(g iot.entity_group)
RETURNS boolean
LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN EXISTS (SELECT FROM iot.group_permission AS t
                   WHERE t.tenant_id = g.tenant_id AND t.entity_group_id = g.id
                         AND t.is_public);
END
$$;


CREATE OR REPLACE FUNCTION iot.operations() RETURNS json
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    RETURN '["ALL","CREATE","READ","WRITE","DELETE","RPC_CALL",
        "READ_CREDENTIALS","WRITE_CREDENTIALS","READ_ATTRIBUTES",
        "WRITE_ATTRIBUTES","READ_TELEMETRY","WRITE_TELEMETRY","ADD_TO_GROUP",
        "REMOVE_FROM_GROUP","CHANGE_OWNER","IMPERSONATE","CLAIM_DEVICES",
        "SHARE_GROUP","ASSIGN_TO_TENANT","PAYG_TOKEN"]'::json;
END
$$;


-- All that the caller may do: GENERIC {"DEVICE":["READ"]}, or what stands for
-- its authority, and {group: {"entityType":"DEVICE","operations":["READ"]}}.

CREATE OR REPLACE FUNCTION iot.allowed(p iot.principal, OUT generic jsonb,
    OUT groups jsonb)
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    mine   uuid[] := iot.caller_groups(p);
    roles  jsonb[] := iot.generic_roles(p, mine);
BEGIN
    IF roles IS NOT NULL THEN
        SELECT jsonb_object_agg(t.type, t.operations) INTO generic
        FROM (SELECT e.key AS type,
                     jsonb_agg(DISTINCT o.name) AS operations
              FROM unnest(roles) AS r (o),
                   jsonb_each(r.o) AS e,
                   jsonb_array_elements_text(e.value) AS o (name)
              GROUP BY e.key) AS t;

    ELSIF p.role = 'CUSTOMER_USER' THEN
        generic := iot.customer_role();

    ELSE
        generic := '{"ALL":["ALL"]}';
    END IF;

    SELECT jsonb_object_agg(t.id, jsonb_build_object(
               'entityType', t.type, 'operations', t.operations)) INTO groups
    FROM (SELECT e.id, e.type, jsonb_agg(DISTINCT o.name) AS operations
          FROM iot.group_permission AS g
              JOIN iot.role AS r
                  ON r.tenant_id = g.tenant_id AND r.id = g.role_id
              JOIN iot.entity_group AS e
                  ON e.tenant_id = g.tenant_id AND e.id = g.entity_group_id,
              jsonb_array_elements_text(r.permissions) AS o (name)
          WHERE g.tenant_id = p.tenant_id AND g.user_group_id = ANY (mine)
                AND r.type = 'GROUP'
          GROUP BY e.id, e.type) AS t;

    generic := COALESCE(generic, '{}');
    groups := COALESCE(groups, '{}');
END
$$;
