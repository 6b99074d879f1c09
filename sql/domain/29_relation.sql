
--
-- Copyright (C) the ngx_iot authors
--
-- Relations: directed, typed, between two entities of one tenant.


-- Without questions: for those who have made both ends themselves.

CREATE OR REPLACE FUNCTION iot.relation_put(r iot.relation)
RETURNS iot.relation
LANGUAGE plpgsql
AS $$
BEGIN
    INSERT INTO iot.relation AS t (tenant_id, from_type, from_id, to_type,
                                   to_id, type, type_group, additional_info)
    VALUES (r.tenant_id, r.from_type, r.from_id, r.to_type, r.to_id, r.type,
            COALESCE(r.type_group, 'COMMON'), r.additional_info)
    ON CONFLICT ON CONSTRAINT relation_pkey
        DO UPDATE SET additional_info = excluded.additional_info,
                      version = t.version + 1
    RETURNING * INTO r;

    RETURN r;
END
$$;


-- What names a relation must be complete.

CREATE OR REPLACE FUNCTION iot.relation_check(r iot.relation) RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    IF r.from_id IS NULL OR COALESCE(r.from_type, '') = '' THEN
        PERFORM iot.fail_request(
            'Relation should contain correct from entity!');
    END IF;

    IF r.to_id IS NULL OR COALESCE(r.to_type, '') = '' THEN
        PERFORM iot.fail_request(
            'Relation should contain correct to entity!');
    END IF;

    IF COALESCE(btrim(r.type), '') = '' THEN
        PERFORM iot.fail_request('Relation type should be specified!');
    END IF;

    PERFORM iot.relation_group_check(r.type_group);
END
$$;


CREATE OR REPLACE FUNCTION iot.relation_group_check(type_group text)
RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    IF type_group IS NULL OR type_group NOT IN ('COMMON', 'DASHBOARD',
        'RULE_CHAIN', 'RULE_NODE', 'EDGE')
    THEN
        PERFORM iot.fail_request(
            format('Unknown relation type group ''%s''!', type_group));
    END IF;
END
$$;


-- The change of a relation is a change of both ends.

CREATE OR REPLACE FUNCTION iot.relation_audit(p iot.principal,
    f iot.entity, t iot.entity, action text, r iot.relation) RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    data  json := json_build_object(
        'from', json_build_object('entityType', r.from_type, 'id', r.from_id),
        'to', json_build_object('entityType', r.to_type, 'id', r.to_id),
        'type', r.type, 'typeGroup', r.type_group);
BEGIN
    PERFORM iot.audit(p, f.entity_type, f.id, f.name, action,
                      data => data, customer => f.customer_id);

    IF t.id <> f.id THEN
        PERFORM iot.audit(p, t.entity_type, t.id, t.name, action,
                          data => data, customer => t.customer_id);
    END IF;
END
$$;


-- r.version, if set, must be the stored one.

CREATE OR REPLACE FUNCTION iot.relation_save(p iot.principal, r iot.relation)
RETURNS iot.relation
LANGUAGE plpgsql
AS $$
DECLARE
    f        iot.entity;
    t        iot.entity;
    stored   bigint;
BEGIN
    r.type_group := COALESCE(r.type_group, 'COMMON');

    PERFORM iot.relation_check(r);

    f := iot.entity_get(p, r.from_type, r.from_id, 'WRITE');
    t := iot.entity_get(p, r.to_type, r.to_id, 'WRITE');

    IF f.tenant_id IS NULL OR f.tenant_id IS DISTINCT FROM t.tenant_id THEN
        PERFORM iot.fail_request(
            'Entities of different tenants can''t be related!');
    END IF;

    r.tenant_id := f.tenant_id;

    IF r.version IS NOT NULL THEN
        SELECT x.version INTO stored FROM iot.relation AS x
        WHERE x.tenant_id = r.tenant_id AND x.from_id = r.from_id
              AND x.to_id = r.to_id AND x.type = r.type
              AND x.type_group = r.type_group
        FOR UPDATE;

        IF stored <> r.version THEN
            PERFORM iot.fail_version('Relation');
        END IF;
    END IF;

    r := iot.relation_put(r);

    PERFORM iot.relation_audit(p, f, t, 'RELATION_ADD_OR_UPDATE', r);

    RETURN r;
END
$$;


CREATE OR REPLACE FUNCTION iot.relation_get(p iot.principal, r iot.relation)
RETURNS iot.relation
LANGUAGE plpgsql
AS $$
DECLARE
    f  iot.entity;
BEGIN
    r.type_group := COALESCE(r.type_group, 'COMMON');

    PERFORM iot.relation_check(r);

    f := iot.entity_get(p, r.from_type, r.from_id);
    PERFORM iot.entity_get(p, r.to_type, r.to_id);

    SELECT * INTO r FROM iot.relation AS x
    WHERE x.tenant_id = f.tenant_id AND x.from_id = r.from_id
          AND x.to_id = r.to_id AND x.type = r.type
          AND x.type_group = r.type_group;

    IF r.tenant_id IS NULL THEN
        PERFORM iot.fail_missing('Relation', NULL);
    END IF;

    RETURN r;
END
$$;


CREATE OR REPLACE FUNCTION iot.relation_delete(p iot.principal,
    r iot.relation) RETURNS iot.relation
LANGUAGE plpgsql
AS $$
DECLARE
    f     iot.entity;
    t     iot.entity;
    gone  iot.relation;
BEGIN
    r.type_group := COALESCE(r.type_group, 'COMMON');

    PERFORM iot.relation_check(r);

    f := iot.entity_get(p, r.from_type, r.from_id, 'WRITE');
    t := iot.entity_get(p, r.to_type, r.to_id, 'WRITE');

    DELETE FROM iot.relation AS x
    WHERE x.tenant_id = f.tenant_id AND x.from_id = r.from_id
          AND x.to_id = r.to_id AND x.type = r.type
          AND x.type_group = r.type_group
    RETURNING * INTO gone;

    IF gone.tenant_id IS NULL THEN
        PERFORM iot.fail_missing('Relation', NULL);
    END IF;

    PERFORM iot.relation_audit(p, f, t, 'RELATION_DELETED', gone);

    RETURN gone;
END
$$;


-- All common relations of an entity.

CREATE OR REPLACE FUNCTION iot.relations_delete(p iot.principal,
    entity_type text, id uuid) RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    e  iot.entity;
BEGIN
    e := iot.entity_get(p, entity_type, id, 'WRITE');

    DELETE FROM iot.relation AS r
    WHERE r.tenant_id = e.tenant_id AND r.from_id = e.id
          AND r.type_group = 'COMMON';

    DELETE FROM iot.relation AS r
    WHERE r.tenant_id = e.tenant_id AND r.to_id = e.id
          AND r.type_group = 'COMMON';

    PERFORM iot.audit(p, e.entity_type, e.id, e.name, 'RELATIONS_DELETED',
                      customer => e.customer_id);
END
$$;


-- The relations of an entity, FROM it or TO it, whose other end the caller
-- may read.  type NULL: of any.

CREATE OR REPLACE FUNCTION iot.relations_of(p iot.principal, entity_type text,
    id uuid, direction text, type text, type_group text)
RETURNS SETOF iot.relation
LANGUAGE plpgsql
AS $$
DECLARE
    e  iot.entity;
BEGIN
    PERFORM iot.relation_group_check(type_group);

    e := iot.entity_get(p, entity_type, id);

    IF direction = 'FROM' THEN
        RETURN QUERY
            SELECT * FROM iot.relation AS r
            WHERE r.tenant_id = e.tenant_id AND r.from_id = e.id
                  AND r.type_group = relations_of.type_group
                  AND (relations_of.type IS NULL
                       OR r.type = relations_of.type)
                  AND (p.role = 'TENANT_ADMIN'
                       OR iot.entity_readable(p, r.to_type, r.to_id))
            ORDER BY r.type, r.to_id;

    ELSE
        RETURN QUERY
            SELECT * FROM iot.relation AS r
            WHERE r.tenant_id = e.tenant_id AND r.to_id = e.id
                  AND r.type_group = relations_of.type_group
                  AND (relations_of.type IS NULL
                       OR r.type = relations_of.type)
                  AND (p.role = 'TENANT_ADMIN'
                       OR iot.entity_readable(p, r.from_type, r.from_id))
            ORDER BY r.type, r.from_id;
    END IF;
END
$$;


-- Does nothing lead further from there?

CREATE OR REPLACE FUNCTION iot.relation_ends(tenant uuid, direction text,
    type_group text, id uuid) RETURNS boolean
LANGUAGE plpgsql STABLE
AS $$
BEGIN
    IF direction = 'FROM' THEN
        RETURN NOT EXISTS (SELECT FROM iot.relation AS r
                           WHERE r.tenant_id = tenant
                                 AND r.from_id = relation_ends.id
                                 AND r.type_group = relation_ends.type_group);
    END IF;

    RETURN NOT EXISTS (SELECT FROM iot.relation AS r
                       WHERE r.tenant_id = tenant
                             AND r.to_id = relation_ends.id
                             AND r.type_group = relation_ends.type_group);
END
$$;


-- All relations that are reached from an entity in one direction, level by
-- level; an entity is visited once, so that cycles end.  max_level 0 or less:
-- 100.  last_only: those whose far end leads no further, or is on the last
-- level.  Who has asked for the root must still be asked for the ends.

CREATE OR REPLACE FUNCTION iot.relation_walk(tenant uuid, root uuid,
    direction text, type_group text, max_level integer, last_only boolean)
RETURNS SETOF iot.relation
LANGUAGE plpgsql STABLE
AS $$
#variable_conflict use_variable
DECLARE
    most     CONSTANT integer := 100000;
    levels   integer := CASE WHEN max_level BETWEEN 1 AND 100 THEN max_level
                        ELSE 100 END;
    forward  boolean := direction = 'FROM';
    edge     uuid[] := ARRAY[root];
    visited  uuid[] := ARRAY[root];
    found_   iot.relation[];
    total    integer := 0;
BEGIN
    FOR level IN 1 .. levels LOOP
        IF forward THEN
            found_ := ARRAY(SELECT r FROM iot.relation AS r
                            WHERE r.tenant_id = tenant
                                  AND r.from_id = ANY (edge)
                                  AND r.type_group = relation_walk.type_group
                            ORDER BY r.type, r.to_id LIMIT most);
        ELSE
            found_ := ARRAY(SELECT r FROM iot.relation AS r
                            WHERE r.tenant_id = tenant
                                  AND r.to_id = ANY (edge)
                                  AND r.type_group = relation_walk.type_group
                            ORDER BY r.type, r.from_id LIMIT most);
        END IF;

        RETURN QUERY
            SELECT f.* FROM unnest(found_) AS f
            WHERE NOT last_only OR level = levels
                  OR iot.relation_ends(tenant, direction, type_group,
                                       CASE WHEN forward THEN f.to_id
                                       ELSE f.from_id END);

        total := total + cardinality(found_);

        IF total > most THEN
            PERFORM iot.fail_request('Too many relations in the answer!');
        END IF;

        edge := ARRAY(SELECT CASE WHEN forward THEN f.to_id ELSE f.from_id END
                      FROM unnest(found_) AS f
                      EXCEPT
                      SELECT v.id FROM unnest(visited) AS v (id));

        EXIT WHEN cardinality(edge) = 0;

        visited := visited || edge;
    END LOOP;
END
$$;
