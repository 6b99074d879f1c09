
--
-- Copyright (C) the ngx_iot authors
--
-- Queries over entities: which match, in which order, how many.  A query is
-- an object:
--
--   source   what may be found, all members but types optional:
--              types    ["DEVICE",...]
--              ids      ["UUID",...]
--              name     a pattern of LIKE; the case does not matter
--              kinds    names of profiles (or types of views)
--   filters  [{"key":KEY,"as":"text|number|boolean","test":TEST},...]
--   any      true: one filter is enough
--   search   a text that one of "columns" has to contain
--   columns  [KEY,...]
--   sort     {"key":KEY,"descending":bool} or null
--
--   KEY      {"kind":K,"name":"..."}; K: field, any, client, shared, server
--            (attributes), series (the latest value)
--   TEST     {"op":"EQUAL",...,"value":"...","fold":bool}, or
--            {"op":"AND"|"OR","tests":[TEST,...]}
--
-- An entity without a key does not match a test on it.


-- The union of the rows of all types that the caller may read, as "e".

CREATE OR REPLACE FUNCTION iot.query_from(p iot.principal, types text[])
RETURNS text
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    parts  text[] := ARRAY[]::text[];
    type   text;
    part   text;
BEGIN
    FOREACH type IN ARRAY types LOOP
        part := iot.query_rows(type);

        CONTINUE WHEN part IS NULL;
        CONTINUE WHEN p.role = 'SYS_ADMIN' AND type <> 'TENANT';

        IF type = 'DASHBOARD' AND p.role = 'CUSTOMER_USER' THEN
            part := part || format(' AND x.id IN (SELECT c.dashboard_id'
                ' FROM iot.dashboard_customer c WHERE c.tenant_id = $2'
                ' AND c.customer_id = %L::uuid)', p.customer_id);

        ELSIF p.role <> 'SYS_ADMIN' THEN
            part := 'SELECT r.* FROM (' || part || ') r WHERE '
                    || iot.may_list(p, type, 'r');
        END IF;

        parts := parts || part;
    END LOOP;

    IF parts = '{}' THEN
        parts := ARRAY[iot.query_rows('DEVICE') || ' AND false'];
    END IF;

    RETURN '(' || array_to_string(parts, ' UNION ALL ') || ') e';
END
$$;


-- The conditions of the source and the filters.

CREATE OR REPLACE FUNCTION iot.query_build(p iot.principal, query jsonb)
RETURNS iot.query_text
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    q       iot.query_text;
    source  jsonb := query -> 'source';
    any_    boolean := COALESCE((query ->> 'any')::boolean, false);
    parts   text[] := ARRAY[]::text[];
    part    record;
    item    record;
BEGIN
    q.types := ARRAY(SELECT jsonb_array_elements_text(source -> 'types'));
    q.joins := '';
    q.wanted := 'true';
    q.keys := '{}';
    q.args := '{}';

    IF source ? 'ids' THEN
        q.args := q.args || ARRAY(SELECT jsonb_array_elements_text(
                                             source -> 'ids'))::text;
        q.wanted := q.wanted || ' AND e.id = ANY (' || iot.query_arg(q)
                    || '::uuid[])';
    END IF;

    IF source ? 'name' THEN
        q.args := q.args || (source ->> 'name');
        q.wanted := q.wanted || ' AND e.name ILIKE ' || iot.query_arg(q);
    END IF;

    IF source ? 'kinds' THEN
        q.args := q.args || ARRAY(SELECT jsonb_array_elements_text(
                                             source -> 'kinds'))::text;
        q.wanted := q.wanted || ' AND e.type = ANY (' || iot.query_arg(q)
                    || '::text[])';
    END IF;

    FOR item IN
        SELECT f.value FROM jsonb_array_elements(query -> 'filters') f
    LOOP
        part := iot.query_test(q, item.value -> 'key', item.value ->> 'as',
                               item.value -> 'test', any_, 0);
        q := part.q;
        parts := parts || ('(' || part.sql || ')');
    END LOOP;

    IF parts <> '{}' THEN
        q.wanted := q.wanted || ' AND (' || array_to_string(parts,
                        CASE WHEN any_ THEN ' OR ' ELSE ' AND ' END) || ')';
    END IF;

    RETURN iot.query_search(q, query);
END
$$;


CREATE OR REPLACE FUNCTION iot.query_search(q iot.query_text, query jsonb)
RETURNS iot.query_text
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    pattern  text := iot.search_pattern(query ->> 'search');
    parts    text[] := ARRAY[]::text[];
    arg      text;
    part     record;
    item     record;
BEGIN
    IF pattern IS NULL THEN
        RETURN q;
    END IF;

    q.args := q.args || pattern;
    arg := iot.query_arg(q);

    FOR item IN
        SELECT c.value FROM jsonb_array_elements(query -> 'columns') c
    LOOP
        part := iot.query_key(q, item.value, true);
        q := part.q;
        parts := parts || (part.as_text || ' ILIKE ' || arg);
    END LOOP;

    IF parts = '{}' THEN
        parts := ARRAY['e.name ILIKE ' || arg, 'e.label ILIKE ' || arg,
                       'e.type ILIKE ' || arg];
    END IF;

    q.wanted := q.wanted || ' AND (' || array_to_string(parts, ' OR ') || ')';

    RETURN q;
END
$$;


-- A page of what matches, and how much that is on all pages.  fields: names
-- of what the items shall tell.  Runs as the owner, who alone reads values;
-- the tenant and iot.may_list() are in the statement.

CREATE OR REPLACE FUNCTION iot.query_find(p iot.principal, query jsonb,
    fields text[], size integer, page integer, OUT items iot.query_item[],
    OUT total bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = iot, pg_temp
    SET jit = off
AS $$
DECLARE
    q          iot.query_text := iot.query_build(p, query);
    rows_      text := iot.query_from(p, q.types);
    direction  text := CASE WHEN (query #>> '{sort,descending}')::boolean
                       THEN ' DESC' ELSE ' ASC' END;
    ordering   text := 'm.id' || direction;
    columns    text := '';
    shown      text[] := ARRAY[]::text[];
    name       text;
    sort       record;
BEGIN
    IF query -> 'sort' -> 'key' IS NOT NULL THEN
        sort := iot.query_key(q, query #> '{sort,key}', true);
        q := sort.q;
        columns := ', ' || sort.as_number || ' AS o1, ' || sort.as_text
                   || ' AS o2';
        ordering := 'm.o1' || direction || ' NULLS LAST, m.o2' || direction
                    || ' NULLS LAST, ' || ordering;
    END IF;

    FOREACH name IN ARRAY fields LOOP
        shown := shown || COALESCE(iot.query_field(name), 'NULL::text');
    END LOOP;

    EXECUTE 'WITH m AS MATERIALIZED (SELECT e.nr, e.id' || columns
        || ' FROM ' || rows_ || q.joins || ' WHERE ' || q.wanted
        || '), page AS (SELECT x.nr, row_number() OVER () AS i FROM'
        ' (SELECT m.nr FROM m ORDER BY ' || ordering
        || ' LIMIT $3 OFFSET $4) x)'
        ' SELECT (SELECT array_agg(ROW(e.entity_type, e.id, e.nr,'
        ' ARRAY[' || array_to_string(shown, ', ')
        || ']::text[])::iot.query_item ORDER BY page.i)'
        ' FROM page JOIN ' || rows_ || ' ON e.nr = page.nr),'
        ' (SELECT count(*) FROM m)'
        INTO items, total
        USING q.args, p.tenant_id, size, size::bigint * page;

    items := COALESCE(items, '{}');
END
$$;


CREATE OR REPLACE FUNCTION iot.query_count(p iot.principal, query jsonb)
RETURNS bigint
LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = iot, pg_temp
    SET jit = off
AS $$
DECLARE
    q      iot.query_text := iot.query_build(p, query);
    total  bigint;
BEGIN
    EXECUTE 'SELECT count(*) FROM ' || iot.query_from(p, q.types) || q.joins
        || ' WHERE ' || q.wanted
        INTO total
        USING q.args, p.tenant_id;

    RETURN total;
END
$$;


-- The values of keys of one kind (see KEY) of entities that a query has
-- found.  What has no value has no row.

CREATE OR REPLACE FUNCTION iot.query_values(entities integer[], kind text,
    names text[])
RETURNS TABLE (nr integer, name text, ts bigint, value text)
LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = iot, pg_temp
    SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    scope_nr  smallint := array_position(
        ARRAY['client', 'shared', 'server'], kind);
    keys      integer[] := ARRAY(SELECT k.id FROM iot.key k
                                  WHERE k.name = ANY (names));
BEGIN
    IF kind = 'series' THEN
        RETURN QUERY
        SELECT ek.entity, k.name, v.ts, iot.value_text(v.b, v.l, v.d, v.s)
          FROM iot.entity_key ek
               JOIN iot.key k ON k.id = ek.key
               CROSS JOIN LATERAL iot.latest_of(ek) v
         WHERE ek.entity = ANY (entities) AND ek.key = ANY (keys);

        RETURN;
    END IF;

    RETURN QUERY
    SELECT DISTINCT ON (a.entity, a.key) a.entity, k.name, a.updated_at,
           iot.value_text(a.b, a.l, a.d, a.s)
      FROM iot.attribute a
           JOIN iot.key k ON k.id = a.key
     WHERE a.entity = ANY (entities) AND a.key = ANY (keys)
           AND (scope_nr IS NULL OR a.scope = scope_nr)
           AND NOT iot.attribute_hidden(a.scope, k.name)
     ORDER BY a.entity, a.key, a.updated_at DESC, a.scope;
END
$$;


-- Which keys the entities have: of time series, and of attributes (of one
-- scope or, NULL, of any).

CREATE OR REPLACE FUNCTION iot.query_keys(entities integer[],
    scope_nr smallint, OUT series text[], OUT attributes text[])
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
BEGIN
    series := ARRAY(
        SELECT k.name
          FROM (SELECT DISTINCT ek.key FROM iot.entity_key ek
                 WHERE ek.entity = ANY (entities)) x
               JOIN iot.key k ON k.id = x.key
         ORDER BY k.name COLLATE "C");

    attributes := ARRAY(
        SELECT k.name
          FROM (SELECT DISTINCT a.key, a.scope FROM iot.attribute a
                 WHERE a.entity = ANY (entities)
                       AND (scope_nr IS NULL OR a.scope = scope_nr)) x
               JOIN iot.key k ON k.id = x.key
         WHERE NOT iot.attribute_hidden(x.scope, k.name)
         GROUP BY k.name
         ORDER BY k.name COLLATE "C");
END
$$;


SELECT iot.definer('iot.query_find',
    'values have no tenant; the tenant is in the statement');
SELECT iot.definer('iot.query_count',
    'values have no tenant; the tenant is in the statement');
SELECT iot.definer('iot.query_values',
    'values have no tenant; takes resolved numbers');
SELECT iot.definer('iot.query_keys',
    'values have no tenant; takes resolved numbers');
