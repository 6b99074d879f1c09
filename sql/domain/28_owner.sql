
--
-- Copyright (C) the ngx_iot authors
--
-- Who owns what: a customer, or the tenant (NULL).


-- What an entity must leave when it goes to another owner: the groups of those
-- who are not above it.

CREATE OR REPLACE FUNCTION iot.owner_groups(tenant uuid, type text, id uuid,
    owner uuid) RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    DELETE FROM iot.entity_group_member AS m
    USING iot.entity_group AS g
    WHERE m.tenant_id = tenant AND m.entity_id = owner_groups.id
          AND g.tenant_id = m.tenant_id AND g.id = m.group_id
          AND g.customer_id IS DISTINCT FROM owner
          AND (owner_groups.type = 'USER'
               OR g.customer_id IS NOT NULL
                  AND (owner IS NULL
                       OR NOT iot.is_below(tenant, g.customer_id, owner)));
END
$$;


CREATE OR REPLACE FUNCTION iot.owner_change(p iot.principal, type text,
    id uuid, owner uuid) RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    was    uuid;
    known  boolean;
BEGIN
    PERFORM iot.need_role(p, 'TENANT_ADMIN', 'CUSTOMER_USER');

    IF type NOT IN ('DEVICE', 'CUSTOMER', 'USER', 'ASSET', 'ENTITY_VIEW') THEN
        PERFORM iot.fail_request(
            format('Unsupported entity type: %s', left(type, 255)));
    END IF;

    SELECT o.known, o.owner INTO known, was
    FROM iot.entity_owner(p.tenant_id, type, id) AS o;

    IF NOT known THEN
        PERFORM iot.fail_missing(iot.entity_label(type), id);
    END IF;

    PERFORM iot.need(p, 'CHANGE_OWNER', type, id,
                     CASE type WHEN 'CUSTOMER' THEN id ELSE was END);

    IF owner IS NOT NULL THEN
        PERFORM iot.customer_get(p, owner);
    END IF;

    IF p.role = 'CUSTOMER_USER'
       AND NOT COALESCE(iot.is_below(p.tenant_id, p.customer_id, owner), false)
    THEN
        PERFORM iot.fail_permission();
    END IF;

    IF owner IS NOT DISTINCT FROM was THEN
        RETURN;
    END IF;

    PERFORM iot.owner_set(p, type, id, owner),
            iot.owner_groups(p.tenant_id, type, id, owner);

    PERFORM iot.audit(p, type, id, f.name, 'CHANGE_OWNER',
                      data => json_build_object('from', was, 'to', owner),
                      customer => COALESCE(owner, was))
    FROM iot.entity_name(p.tenant_id, type, id) AS f (name);
END
$$;


CREATE OR REPLACE FUNCTION iot.entity_name(tenant uuid, type text, id uuid)
RETURNS text
LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN CASE type
           WHEN 'DEVICE' THEN (SELECT d.name FROM iot.device AS d
                               WHERE d.tenant_id = tenant
                                     AND d.id = entity_name.id)
           WHEN 'ASSET' THEN (SELECT a.name FROM iot.asset AS a
                              WHERE a.tenant_id = tenant
                                    AND a.id = entity_name.id)
           WHEN 'ENTITY_VIEW' THEN (SELECT v.name FROM iot.entity_view AS v
                                    WHERE v.tenant_id = tenant
                                          AND v.id = entity_name.id)
           WHEN 'CUSTOMER' THEN (SELECT c.title FROM iot.customer AS c
                                 WHERE c.tenant_id = tenant
                                       AND c.id = entity_name.id)
           WHEN 'USER' THEN (SELECT u.email FROM iot.users AS u
                             WHERE u.tenant_id = tenant
                                   AND u.id = entity_name.id)
           END;
END
$$;


CREATE OR REPLACE FUNCTION iot.owner_set(p iot.principal, type text, id uuid,
    owner uuid) RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    CASE type
    WHEN 'DEVICE' THEN
        UPDATE iot.device AS d
        SET customer_id = owner, version = d.version + 1
        WHERE d.tenant_id = p.tenant_id AND d.id = owner_set.id;

        PERFORM pg_notify('iot', 'device ' || id);

    WHEN 'ASSET' THEN
        UPDATE iot.asset AS a
        SET customer_id = owner, version = a.version + 1
        WHERE a.tenant_id = p.tenant_id AND a.id = owner_set.id;

    WHEN 'ENTITY_VIEW' THEN
        UPDATE iot.entity_view AS v
        SET customer_id = owner, version = v.version + 1
        WHERE v.tenant_id = p.tenant_id AND v.id = owner_set.id;

    WHEN 'CUSTOMER' THEN
        PERFORM iot.lock('customers', p.tenant_id);
        PERFORM iot.customer_parent_check(p.tenant_id, id, owner);

        UPDATE iot.customer AS c
        SET parent_id = owner, version = c.version + 1
        WHERE c.tenant_id = p.tenant_id AND c.id = owner_set.id;

    WHEN 'USER' THEN
        PERFORM iot.user_get(p, id, 'WRITE');

        IF owner IS NULL OR NOT EXISTS (
            SELECT FROM iot.users AS u
            WHERE u.tenant_id = p.tenant_id AND u.id = owner_set.id
                  AND u.customer_id IS NOT NULL)
        THEN
            PERFORM iot.fail_request('Users can''t change between the tenant '
                                     'and a customer!');
        END IF;

        UPDATE iot.users AS u
        SET customer_id = owner, version = u.version + 1
        WHERE u.tenant_id = p.tenant_id AND u.id = owner_set.id;

        DELETE FROM iot.session AS s WHERE s.user_id = owner_set.id;

        PERFORM pg_notify('iot', 'user ' || id);

    ELSE
        PERFORM iot.fail_request(
            format('Unsupported entity type: %s', left(type, 255)));
    END CASE;
END
$$;
