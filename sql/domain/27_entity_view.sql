
--
-- Copyright (C) the ngx_iot authors
--
-- Entity views: some time series of a device or an asset, in a range of time,
-- and copies of some of its attributes, which may then be changed.


-- The view, if the caller may do the operation, see iot.may().

CREATE OR REPLACE FUNCTION iot.entity_view_get(p iot.principal, id uuid,
    operation text DEFAULT 'READ') RETURNS iot.entity_view
LANGUAGE plpgsql
AS $$
DECLARE
    r  iot.entity_view;
BEGIN
    PERFORM iot.need_role(p, 'TENANT_ADMIN', 'CUSTOMER_USER');

    SELECT * INTO r FROM iot.entity_view AS v
    WHERE v.tenant_id = p.tenant_id AND v.id = entity_view_get.id;

    IF r.id IS NULL THEN
        PERFORM iot.fail_missing('Entity view', id);
    END IF;

    PERFORM iot.need(p, operation, 'ENTITY_VIEW', r.id, r.customer_id);

    RETURN r;
END
$$;


-- What is viewed stays while there are views of it.

CREATE OR REPLACE FUNCTION iot.view_none(tenant uuid, entity_type text,
    id uuid, message text) RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    -- whoever makes a view of it at this moment has locked it, or will find
    -- it gone

    CASE entity_type
    WHEN 'DEVICE' THEN
        PERFORM FROM iot.device AS d
        WHERE d.tenant_id = tenant AND d.id = view_none.id
        FOR UPDATE;

    WHEN 'ASSET' THEN
        PERFORM FROM iot.asset AS a
        WHERE a.tenant_id = tenant AND a.id = view_none.id
        FOR UPDATE;
    END CASE;

    IF EXISTS (SELECT FROM iot.entity_view AS v
               WHERE v.tenant_id = tenant AND v.entity_id = view_none.id
                     AND v.entity_type = view_none.entity_type)
    THEN
        PERFORM iot.fail_request(message);
    END IF;
END
$$;


-- A list of names among the keys; an absent one is empty.

CREATE OR REPLACE FUNCTION iot.view_names(list json) RETURNS text[]
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    IF COALESCE(json_typeof(list), 'null') = 'null' THEN
        RETURN '{}'::text[];
    END IF;

    IF json_typeof(list) <> 'array'
       OR EXISTS (SELECT FROM json_array_elements(list) AS e (value)
                  WHERE json_typeof(e.value) <> 'string'
                        OR length(e.value #>> '{}') NOT BETWEEN 1 AND 255)
    THEN
        PERFORM iot.fail_request('Keys of the entity view are malformed!');
    END IF;

    RETURN ARRAY(SELECT json_array_elements_text(list));
END
$$;


-- The names of the attributes in one scope (1 client, 2 shared, 3 server).

CREATE OR REPLACE FUNCTION iot.view_attributes(keys json, scope_nr integer)
RETURNS text[]
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    RETURN iot.view_names(keys -> 'attributes'
                          -> (ARRAY['cs', 'sh', 'ss'])[scope_nr]);
END
$$;


-- {"timeseries":[...],"attributes":{"cs":[...],"ss":[...],"sh":[...]}} with
-- all its members.

CREATE OR REPLACE FUNCTION iot.view_keys(keys json) RETURNS json
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    IF COALESCE(json_typeof(keys), 'null') NOT IN ('null', 'object')
       OR COALESCE(json_typeof(keys -> 'attributes'), 'null')
          NOT IN ('null', 'object')
    THEN
        PERFORM iot.fail_request('Keys of the entity view are malformed!');
    END IF;

    RETURN json_build_object(
        'timeseries', iot.view_names(keys -> 'timeseries'),
        'attributes', json_build_object(
            'cs', iot.view_attributes(keys, 1),
            'ss', iot.view_attributes(keys, 3),
            'sh', iot.view_attributes(keys, 2)));
END
$$;


CREATE OR REPLACE FUNCTION iot.entity_view_check(p iot.principal,
    r iot.entity_view) RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    IF COALESCE(btrim(r.name), '') = '' THEN
        PERFORM iot.fail_request('Entity view name should be specified!');
    END IF;

    IF COALESCE(btrim(r.type), '') = '' THEN
        PERFORM iot.fail_request('Entity view type should be specified!');
    END IF;

    IF r.entity_id IS NULL OR r.entity_type IS NULL
       OR r.entity_type NOT IN ('DEVICE', 'ASSET')
    THEN
        PERFORM iot.fail_request(
            'Entity view should be of a device or an asset!');
    END IF;

    IF r.start_ts < 0 OR r.end_ts < 0
       OR r.end_ts > 0 AND r.end_ts < r.start_ts
    THEN
        PERFORM iot.fail_request('Time range of entity view is malformed!');
    END IF;

    PERFORM FROM iot.device AS d
    WHERE d.tenant_id = p.tenant_id AND d.id = r.entity_id
    FOR KEY SHARE;

    PERFORM FROM iot.asset AS a
    WHERE a.tenant_id = p.tenant_id AND a.id = r.entity_id
    FOR KEY SHARE;

    PERFORM iot.entity_get(p, r.entity_type, r.entity_id, 'READ');
END
$$;


-- r.id NULL: create; conflict etc. are those of customers.

CREATE OR REPLACE FUNCTION iot.entity_view_save(p iot.principal,
    r iot.entity_view, conflict text DEFAULT 'FAIL',
    separator text DEFAULT '_', strategy text DEFAULT 'RANDOM')
RETURNS iot.entity_view
LANGUAGE plpgsql
AS $$
DECLARE
    old  iot.entity_view;
BEGIN
    IF r.id IS NULL THEN
        IF p.role = 'CUSTOMER_USER' THEN
            r.customer_id := COALESCE(r.customer_id, p.customer_id);
        END IF;

        PERFORM iot.need(p, 'CREATE', 'ENTITY_VIEW', NULL, r.customer_id);

    ELSE
        SELECT * INTO old FROM iot.entity_view AS v
        WHERE v.tenant_id = p.tenant_id AND v.id = r.id
        FOR UPDATE;

        IF old.id IS NULL THEN
            PERFORM iot.fail_request(
                'Can''t update non existing entity view!');
        END IF;

        PERFORM iot.need(p, 'WRITE', 'ENTITY_VIEW', old.id, old.customer_id);

        IF r.version <> old.version THEN
            PERFORM iot.fail_version('Entity view');
        END IF;
    END IF;

    r.start_ts := COALESCE(r.start_ts, 0);
    r.end_ts := COALESCE(r.end_ts, 0);
    r.keys := iot.view_keys(r.keys);

    PERFORM iot.entity_view_check(p, r);
    PERFORM iot.assign_check(p, 'ENTITY_VIEW', old.id, old.customer_id,
                            r.customer_id);

    r.tenant_id := p.tenant_id;

    IF r.id IS NULL THEN
        r := iot.entity_view_create(p, r, conflict, separator, strategy);
    ELSE
        r := iot.entity_view_update(p, old, r);
    END IF;

    PERFORM iot.entity_view_copy(old, r);

    RETURN r;
END
$$;


CREATE OR REPLACE FUNCTION iot.entity_view_create(p iot.principal,
    r iot.entity_view, conflict text, separator text, strategy text)
RETURNS iot.entity_view
LANGUAGE plpgsql
AS $$
DECLARE
    made   iot.entity_view;
    title  text := r.name;
BEGIN
    FOR attempt IN 1 .. 1000 LOOP
        INSERT INTO iot.entity_view AS v (tenant_id, customer_id, entity_type,
            entity_id, name, type, keys, start_ts, end_ts, additional_info,
            external_id)
        VALUES (r.tenant_id, r.customer_id, r.entity_type, r.entity_id, title,
            r.type, r.keys, r.start_ts, r.end_ts, r.additional_info,
            r.external_id)
        ON CONFLICT ON CONSTRAINT entity_view_tenant_id_name_key DO NOTHING
        RETURNING * INTO made;

        EXIT WHEN made.id IS NOT NULL OR conflict <> 'UNIQUIFY';

        title := r.name || separator || iot.unique_suffix(attempt, strategy);
    END LOOP;

    IF made.id IS NULL THEN
        PERFORM iot.fail_request('Entity view with such name already exists!');
    END IF;

    PERFORM iot.audit(p, 'ENTITY_VIEW', made.id, made.name, 'ADDED',
                      customer => made.customer_id);

    RETURN made;
END
$$;


CREATE OR REPLACE FUNCTION iot.entity_view_update(p iot.principal,
    old iot.entity_view, r iot.entity_view) RETURNS iot.entity_view
LANGUAGE plpgsql
AS $$
BEGIN
    BEGIN
        UPDATE iot.entity_view AS v
        SET customer_id = r.customer_id,
            entity_type = r.entity_type,
            entity_id = r.entity_id,
            name = r.name,
            type = r.type,
            keys = r.keys,
            start_ts = r.start_ts,
            end_ts = r.end_ts,
            additional_info = r.additional_info,
            external_id = COALESCE(r.external_id, v.external_id),
            version = v.version + 1
        WHERE v.tenant_id = old.tenant_id AND v.id = old.id
        RETURNING * INTO r;

    EXCEPTION
        WHEN unique_violation THEN
            PERFORM iot.fail_request(
                'Entity view with such name already exists!');
    END;

    PERFORM iot.audit(p, 'ENTITY_VIEW', r.id, r.name, 'UPDATED',
                      customer => r.customer_id);

    RETURN r;
END
$$;


-- Attributes that were copied before go, those that are listed now come.

CREATE OR REPLACE FUNCTION iot.entity_view_copy(old iot.entity_view,
    r iot.entity_view) RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    source  integer := (SELECT e.nr FROM iot.entity AS e
                        WHERE e.entity_type = r.entity_type
                              AND e.tenant_id = r.tenant_id
                              AND e.id = r.entity_id);
BEGIN
    FOR scope_nr IN 1 .. 3 LOOP
        PERFORM iot.attribute_delete(r.nr, scope_nr::smallint,
            iot.view_attributes(old.keys, scope_nr));
        PERFORM iot.attribute_copy(source, r.nr, scope_nr::smallint,
            iot.view_attributes(r.keys, scope_nr), r.start_ts, r.end_ts);
    END LOOP;
END
$$;


-- Those that were changed in the range; 0 is an open end.

CREATE OR REPLACE FUNCTION iot.attribute_copy(from_nr integer, to_nr integer,
    scope_nr smallint, names text[], from_ts bigint, to_ts bigint)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
BEGIN
    INSERT INTO iot.attribute AS t (entity, scope, key, b, l, d, s,
                                    updated_at)
    SELECT to_nr, a.scope, a.key, a.b, a.l, a.d, a.s, a.updated_at
    FROM iot.attribute AS a
        JOIN iot.key AS k ON k.id = a.key
    WHERE a.entity = from_nr AND a.scope = scope_nr AND k.name = ANY (names)
          AND NOT iot.attribute_hidden(a.scope, k.name)
          AND (from_ts = 0 OR a.updated_at >= from_ts)
          AND (to_ts = 0 OR a.updated_at <= to_ts)
    ON CONFLICT (entity, scope, key) DO UPDATE
        SET b = excluded.b, l = excluded.l, d = excluded.d, s = excluded.s,
            updated_at = excluded.updated_at;
END
$$;

SELECT iot.definer('iot.attribute_copy',
    'writes attributes; takes resolved numbers');


CREATE OR REPLACE FUNCTION iot.entity_view_delete(p iot.principal, id uuid)
RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    r  iot.entity_view;
BEGIN
    r := iot.entity_view_get(p, id, 'DELETE');

    DELETE FROM iot.entity_view AS v
    WHERE v.tenant_id = r.tenant_id AND v.id = r.id;

    PERFORM iot.forget_entity(r.nr);
    PERFORM iot.audit(p, 'ENTITY_VIEW', r.id, r.name, 'DELETED',
                      customer => r.customer_id);
END
$$;


-- Where the time series of a view are: the number of what it shows, the keys,
-- and the range, both ends included.  All NULL unless it is a view.

CREATE OR REPLACE FUNCTION iot.view_window(entity_type text, entity_nr integer,
    OUT nr integer, OUT names text[], OUT from_ts bigint, OUT to_ts bigint)
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    v  iot.entity_view;
BEGIN
    IF entity_type <> 'ENTITY_VIEW' THEN
        RETURN;
    END IF;

    SELECT * INTO v FROM iot.entity_view AS t WHERE t.nr = entity_nr;

    nr := (SELECT e.nr FROM iot.entity AS e
           WHERE e.entity_type = v.entity_type AND e.tenant_id = v.tenant_id
                 AND e.id = v.entity_id);
    names := iot.view_names(v.keys -> 'timeseries');
    from_ts := v.start_ts;
    to_ts := CASE v.end_ts WHEN 0 THEN 9223372036854775806 ELSE v.end_ts END;
END
$$;


-- As iot.latest(); shown not NULL: only these keys, and their newest points
-- within the range.

CREATE OR REPLACE FUNCTION iot.latest_shown(entity_nr integer, names text[],
    shown text[], from_ts bigint, to_ts bigint)
RETURNS TABLE (name text, ts bigint, b boolean, l bigint,
    d double precision, s text)
LANGUAGE plpgsql STABLE
AS $$
#variable_conflict use_column
BEGIN
    IF shown IS NULL THEN
        RETURN QUERY SELECT * FROM iot.latest(entity_nr, names);
        RETURN;
    END IF;

    RETURN QUERY
    SELECT w.word, h.ts, h.b, h.l, h.d, h.s
      FROM unnest(shown) AS w (word)
           CROSS JOIN LATERAL iot.history(entity_nr, iot.key_id(w.word),
               from_ts, to_ts + 1, 1, true) h
     WHERE names IS NULL OR w.word = ANY (names)
     ORDER BY w.word COLLATE "C";
END
$$;
