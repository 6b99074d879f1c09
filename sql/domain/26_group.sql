
--
-- Copyright (C) the ngx_iot authors
--
-- Groups of entities.  Each owner has a group "All" of each type, which is
-- made when it is first asked for; what is in it is never written down.


CREATE OR REPLACE FUNCTION iot.group_type(type text) RETURNS text
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    IF type IS NULL OR type NOT IN ('CUSTOMER', 'ASSET', 'DEVICE', 'USER',
        'ENTITY_VIEW', 'DASHBOARD', 'EDGE')
    THEN
        PERFORM iot.fail_request(
            format('Unsupported entity type: %s', left(type, 255)));
    END IF;

    RETURN type;
END
$$;


CREATE OR REPLACE FUNCTION iot.group_get(p iot.principal, id uuid,
    operation text DEFAULT 'READ') RETURNS iot.entity_group
LANGUAGE plpgsql
AS $$
DECLARE
    r  iot.entity_group;
BEGIN
    PERFORM iot.need_role(p, 'TENANT_ADMIN', 'CUSTOMER_USER');

    SELECT * INTO r FROM iot.entity_group AS g
    WHERE g.tenant_id = p.tenant_id AND g.id = group_get.id;

    IF r.id IS NULL THEN
        PERFORM iot.fail_missing('Entity group', id);
    END IF;

    PERFORM iot.need(p, operation, r.type || '_GROUP', r.id, r.customer_id);

    RETURN r;
END
$$;


-- The group of everything that an owner (NULL: the tenant) has of a type.

CREATE OR REPLACE FUNCTION iot.group_all(tenant uuid, owner uuid, type text)
RETURNS iot.entity_group
LANGUAGE plpgsql
AS $$
DECLARE
    r  iot.entity_group;
BEGIN
    PERFORM iot.group_type(type);

    FOR attempt IN 1 .. 2 LOOP
        SELECT * INTO r FROM iot.entity_group AS g
        WHERE g.tenant_id = tenant AND g.customer_id IS NOT DISTINCT FROM owner
              AND g.type = group_all.type AND g.is_all;

        EXIT WHEN r.id IS NOT NULL;

        INSERT INTO iot.entity_group (tenant_id, customer_id, type, name,
                                      is_all)
        VALUES (tenant, owner, group_all.type, 'All', true)
        ON CONFLICT ON CONSTRAINT entity_group_name_key DO NOTHING
        RETURNING * INTO r;

        EXIT WHEN r.id IS NOT NULL;
    END LOOP;

    RETURN r;
END
$$;


CREATE OR REPLACE FUNCTION iot.group_save(p iot.principal, r iot.entity_group)
RETURNS iot.entity_group
LANGUAGE plpgsql
AS $$
DECLARE
    old  iot.entity_group;
BEGIN
    PERFORM iot.need_role(p, 'TENANT_ADMIN', 'CUSTOMER_USER');

    IF r.id IS NOT NULL THEN
        old := iot.group_get(p, r.id, 'WRITE');

        IF r.version <> old.version THEN
            PERFORM iot.fail_version('Entity group');
        END IF;

        IF r.type IS DISTINCT FROM old.type THEN
            PERFORM iot.fail_request('Can''t update entity group type!');
        END IF;

        IF old.is_all AND r.name IS DISTINCT FROM old.name THEN
            PERFORM iot.fail_request('Group ''All'' can''t be renamed!');
        END IF;

    ELSE
        PERFORM iot.group_type(r.type);

        IF p.role = 'CUSTOMER_USER' THEN
            r.customer_id := COALESCE(r.customer_id, p.customer_id);
        END IF;

        PERFORM iot.need(p, 'CREATE', r.type || '_GROUP', NULL, r.customer_id);

        IF r.customer_id IS NOT NULL THEN
            PERFORM iot.check_customer(p.tenant_id, r.customer_id,
                'Entity group owner doesn''t exist!');
        END IF;
    END IF;

    IF COALESCE(btrim(r.name), '') = '' THEN
        PERFORM iot.fail_request('Entity group name should be specified!');
    END IF;

    IF old.id IS NULL AND lower(btrim(r.name)) = 'all' THEN
        PERFORM iot.fail_request('Group name ''All'' is system reserved!');
    END IF;

    BEGIN
        IF old.id IS NULL THEN
            INSERT INTO iot.entity_group (tenant_id, customer_id, type, name,
                                          additional_info, configuration)
            VALUES (p.tenant_id, r.customer_id, r.type, r.name,
                    r.additional_info, r.configuration)
            RETURNING * INTO r;

        ELSE
            UPDATE iot.entity_group AS g
            SET name = r.name,
                additional_info = r.additional_info,
                configuration = r.configuration,
                version = g.version + 1
            WHERE g.tenant_id = old.tenant_id AND g.id = old.id
            RETURNING * INTO r;
        END IF;

    EXCEPTION
        WHEN unique_violation THEN
            PERFORM iot.fail_request(
                'Entity group with such name already exists!');
    END;

    PERFORM iot.audit(p, 'ENTITY_GROUP', r.id, r.name,
                      CASE WHEN old.id IS NULL THEN 'ADDED' ELSE 'UPDATED' END,
                      customer => r.customer_id);

    RETURN r;
END
$$;


CREATE OR REPLACE FUNCTION iot.group_delete(p iot.principal, id uuid)
RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    r      iot.entity_group;
    users  uuid[];
    mine   jsonb[] := iot.rights(p);
BEGIN
    r := iot.group_get(p, id, 'DELETE');

    IF r.is_all THEN
        PERFORM iot.fail_request('Group ''All'' can''t be deleted!');
    END IF;

    IF r.type = 'USER' THEN
        users := iot.group_users(r);
    END IF;

    DELETE FROM iot.entity_group AS g
    WHERE g.tenant_id = r.tenant_id AND g.id = r.id;

    PERFORM iot.users_changed(p, users, mine);
    PERFORM iot.audit(p, 'ENTITY_GROUP', r.id, r.name, 'DELETED',
                      customer => r.customer_id);
END
$$;


-- The users of a group of users.

CREATE OR REPLACE FUNCTION iot.group_users(g iot.entity_group) RETURNS uuid[]
LANGUAGE plpgsql STABLE
AS $$
BEGIN
    IF g.is_all THEN
        RETURN ARRAY(SELECT u.id FROM iot.users AS u
                     WHERE u.tenant_id = g.tenant_id
                           AND u.customer_id IS NOT DISTINCT
                               FROM g.customer_id);
    END IF;

    RETURN ARRAY(SELECT m.entity_id FROM iot.entity_group_member AS m
                 WHERE m.tenant_id = g.tenant_id AND m.group_id = g.id);
END
$$;


-- Who owns an entity that may be in a group; known: whether it exists.  The
-- tenant owns all dashboards, whoever they are assigned to.

CREATE OR REPLACE FUNCTION iot.entity_owner(tenant uuid, type text, id uuid,
    OUT known boolean, OUT owner uuid)
LANGUAGE plpgsql STABLE
AS $$
BEGIN
    CASE type
    WHEN 'DEVICE' THEN
        SELECT true, d.customer_id INTO known, owner FROM iot.device AS d
        WHERE d.tenant_id = tenant AND d.id = entity_owner.id;

    WHEN 'CUSTOMER' THEN
        SELECT true, c.parent_id INTO known, owner FROM iot.customer AS c
        WHERE c.tenant_id = tenant AND c.id = entity_owner.id;

    WHEN 'USER' THEN
        SELECT true, u.customer_id INTO known, owner FROM iot.users AS u
        WHERE u.tenant_id = tenant AND u.id = entity_owner.id;

    WHEN 'ASSET' THEN
        SELECT true, a.customer_id INTO known, owner FROM iot.asset AS a
        WHERE a.tenant_id = tenant AND a.id = entity_owner.id;

    WHEN 'ENTITY_VIEW' THEN
        SELECT true, v.customer_id INTO known, owner FROM iot.entity_view AS v
        WHERE v.tenant_id = tenant AND v.id = entity_owner.id;

    WHEN 'DASHBOARD' THEN
        SELECT true, NULL::uuid INTO known, owner FROM iot.dashboard AS d
        WHERE d.tenant_id = tenant AND d.id = entity_owner.id;

    ELSE
        known := false;
    END CASE;

    known := COALESCE(known, false);
END
$$;


-- Put entities into a group.  They belong to its owner or to customers below
-- it; users to the owner itself, since the group says what they may do.

CREATE OR REPLACE FUNCTION iot.group_add(p iot.principal, id uuid,
    entities uuid[]) RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    g      iot.entity_group;
    e      uuid;
    owner  uuid;
    known  boolean;
    mine   jsonb[] := iot.rights(p);
BEGIN
    g := iot.group_get(p, id, 'ADD_TO_GROUP');

    FOREACH e IN ARRAY entities LOOP
        SELECT o.known, o.owner INTO known, owner
        FROM iot.entity_owner(g.tenant_id, g.type, e) AS o;

        IF NOT known THEN
            PERFORM iot.fail_missing(iot.entity_label(g.type), e);
        END IF;

        PERFORM iot.need(p, 'READ', g.type, e,
                         CASE g.type WHEN 'CUSTOMER' THEN e ELSE owner END);

        IF owner IS DISTINCT FROM g.customer_id
           AND (g.type = 'USER'
                OR g.customer_id IS NOT NULL
                   AND NOT COALESCE(iot.is_below(g.tenant_id, g.customer_id,
                                                 owner), false))
        THEN
            PERFORM iot.fail_request(
                format('%s with id [%s] is not of the owner of the group!',
                       iot.entity_label(g.type), e));
        END IF;
    END LOOP;

    IF g.is_all THEN
        RETURN;
    END IF;

    INSERT INTO iot.entity_group_member (tenant_id, group_id, entity_id)
    SELECT g.tenant_id, g.id, m.id FROM unnest(entities) AS m (id)
    ON CONFLICT DO NOTHING;

    IF g.type = 'USER' THEN
        PERFORM iot.users_changed(p, entities, mine);
    END IF;

    PERFORM iot.audit(p, g.type, m.id, g.name, 'ADDED_TO_ENTITY_GROUP',
                      data => json_build_object('entityGroupId', g.id),
                      customer => g.customer_id)
    FROM unnest(entities) AS m (id);
END
$$;


CREATE OR REPLACE FUNCTION iot.group_remove(p iot.principal, id uuid,
    entities uuid[]) RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    g     iot.entity_group;
    gone  uuid[];
    mine  jsonb[] := iot.rights(p);
BEGIN
    g := iot.group_get(p, id, 'REMOVE_FROM_GROUP');

    IF g.is_all THEN
        PERFORM iot.fail_request(
            'Entities can''t be removed from group ''All''!');
    END IF;

    WITH deleted AS (
        DELETE FROM iot.entity_group_member AS m
        WHERE m.tenant_id = g.tenant_id AND m.group_id = g.id
              AND m.entity_id = ANY (entities)
        RETURNING m.entity_id
    )
    SELECT array_agg(d.entity_id) INTO gone FROM deleted AS d;

    IF g.type = 'USER' THEN
        PERFORM iot.users_changed(p, gone, mine);
    END IF;

    PERFORM iot.audit(p, g.type, m.id, g.name, 'REMOVED_FROM_ENTITY_GROUP',
                      data => json_build_object('entityGroupId', g.id),
                      customer => g.customer_id)
    FROM unnest(gone) AS m (id);
END
$$;


-- The groups that an entity is in, with the one of all its owner has.

CREATE OR REPLACE FUNCTION iot.groups_of(p iot.principal, type text, id uuid)
RETURNS SETOF iot.entity_group
LANGUAGE plpgsql
AS $$
DECLARE
    owner  uuid;
    known  boolean;
BEGIN
    PERFORM iot.group_type(type);

    SELECT o.known, o.owner INTO known, owner
    FROM iot.entity_owner(p.tenant_id, type, id) AS o;

    IF NOT known THEN
        PERFORM iot.fail_missing(iot.entity_label(type), id);
    END IF;

    PERFORM iot.need(p, 'READ', type, id,
                     CASE type WHEN 'CUSTOMER' THEN id ELSE owner END);

    RETURN NEXT iot.group_all(p.tenant_id, owner, type);

    RETURN QUERY
        SELECT g.* FROM iot.entity_group AS g
        WHERE g.tenant_id = p.tenant_id AND g.type = groups_of.type
              AND EXISTS (SELECT FROM iot.entity_group_member AS m
                          WHERE m.tenant_id = g.tenant_id AND m.group_id = g.id
                                AND m.entity_id = groups_of.id)
              AND iot.may(p, 'READ', g.type || '_GROUP', g.id, g.customer_id)
        ORDER BY g.id;
END
$$;
