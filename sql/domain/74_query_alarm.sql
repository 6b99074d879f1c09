
--
-- Copyright (C) the ngx_iot authors
--
-- Alarms of the entities that a query finds, see 73_query.sql.  At most
-- 10,000 of the entities are looked at.


-- wanted: what of the alarms, all optional:
--
--   statuses, severities, types  arrays of texts
--   assignee                     UUID of a user
--   from, to                     ms, of the creation
--   propagated                   also what they show of others
--   filters                      as those of the query, of kind "alarm"

CREATE OR REPLACE FUNCTION iot.query_alarm_test(INOUT q iot.query_text,
    p iot.principal, wanted jsonb, OUT sql text)
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    part  record;
    item  record;
BEGIN
    sql := ' WHERE ' || iot.may_list(p, 'ALARM', 'a');

    FOR item IN
        SELECT v.condition, wanted ->> v.member AS value,
               wanted -> v.member AS list
          FROM (VALUES
              ('statuses', 'iot.alarm_status(a.cleared, a.acknowledged)'
                           ' = ANY (%s::text[])'),
              ('severities', 'a.severity = ANY (%s::text[])'),
              ('types', 'a.type = ANY (%s::text[])'),
              ('assignee', 'a.assignee_id = %s::uuid'),
              ('from', 'a.created_time >= %s::bigint'),
              ('to', 'a.created_time <= %s::bigint'))
              v (member, condition)
         WHERE wanted ->> v.member IS NOT NULL
    LOOP
        q.args := q.args || CASE jsonb_typeof(item.list) WHEN 'array' THEN
            ARRAY(SELECT jsonb_array_elements_text(item.list))::text
            ELSE item.value END;
        sql := sql || ' AND ' || format(item.condition, iot.query_arg(q));
    END LOOP;

    FOR item IN
        SELECT f.value FROM jsonb_array_elements(wanted -> 'filters') f
    LOOP
        part := iot.query_test(q, item.value -> 'key', item.value ->> 'as',
                               item.value -> 'test', true, 0);
        q := part.q;
        sql := sql || ' AND (' || part.sql || ')';
    END LOOP;
END
$$;


CREATE OR REPLACE FUNCTION iot.query_alarm_from(wanted jsonb) RETURNS text
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    IF COALESCE((wanted ->> 'propagated')::boolean, false) THEN
        RETURN ' FROM m JOIN iot.alarm_entity x'
               ' ON x.tenant_id = $2 AND x.entity_id = m.id'
               ' JOIN iot.alarm a'
               ' ON a.tenant_id = x.tenant_id AND a.id = x.alarm_id';
    END IF;

    RETURN ' FROM m JOIN iot.alarm a'
           ' ON a.tenant_id = $2 AND a.originator_id = m.id';
END
$$;


-- A page of alarms, with the entity by which each was found.  sort of the
-- query may have a key of kind "alarm".

CREATE OR REPLACE FUNCTION iot.query_alarms(p iot.principal, query jsonb,
    wanted jsonb, fields text[], size integer, page integer,
    OUT alarms uuid[], OUT entities iot.query_item[], OUT total bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = iot, pg_temp
    SET jit = off
AS $$
DECLARE
    q          iot.query_text := iot.query_build(p, query);
    direction  text := CASE WHEN (query #>> '{sort,descending}')::boolean
                       THEN ' DESC' ELSE ' ASC' END;
    ordering   text := '';
    columns    text := '';
    found_     text;
    shown      text[] := ARRAY[]::text[];
    name       text;
    test       record;
    sort       record;
BEGIN
    IF query -> 'sort' -> 'key' IS NOT NULL THEN
        sort := iot.query_key(q, query #> '{sort,key}', true);
        q := sort.q;

        IF query #>> '{sort,key,kind}' = 'alarm' THEN
            found_ := ', ' || CASE query #>> '{sort,key,name}'
                WHEN 'severity' THEN 'array_position('
                    'iot.alarm_severities(), a.severity)::double precision'
                ELSE sort.as_number END
                || ' AS o1, ' || sort.as_text || ' AS o2';

        ELSE
            columns := ', ' || sort.as_number || ' AS o1, ' || sort.as_text
                       || ' AS o2';
            found_ := ', m.o1, m.o2';
        END IF;

        ordering := 'f.o1' || direction || ' NULLS LAST, f.o2' || direction
                    || ' NULLS LAST, ';
    END IF;

    test := iot.query_alarm_test(q, p, wanted);
    q := test.q;

    FOREACH name IN ARRAY fields LOOP
        shown := shown || COALESCE(iot.query_field(name), 'NULL::text');
    END LOOP;

    EXECUTE 'WITH m AS MATERIALIZED (SELECT e.nr, e.id' || columns
        || ' FROM ' || iot.query_from(p, q.types) || q.joins || ' WHERE '
        || q.wanted || ' LIMIT 10000), f AS MATERIALIZED ('
        'SELECT DISTINCT ON (a.id) a.id, m.nr' || COALESCE(found_, '')
        || iot.query_alarm_from(wanted) || test.sql || ' ORDER BY a.id),'
        ' page AS (SELECT x.*, row_number() OVER () AS i FROM'
        ' (SELECT f.id, f.nr FROM f ORDER BY ' || ordering || 'f.id'
        || direction || ' LIMIT $3 OFFSET $4) x)'
        ' SELECT array_agg(page.id ORDER BY page.i),'
        ' array_agg(ROW(e.entity_type, e.id, e.nr, ARRAY['
        || array_to_string(shown, ', ')
        || ']::text[])::iot.query_item ORDER BY page.i),'
        ' (SELECT count(*) FROM f)'
        ' FROM page JOIN ' || iot.query_from(p, q.types)
        || ' ON e.nr = page.nr'
        INTO alarms, entities, total
        USING q.args, p.tenant_id, size, size::bigint * page;

    alarms := COALESCE(alarms, '{}');
    entities := COALESCE(entities, '{}');
END
$$;


CREATE OR REPLACE FUNCTION iot.query_alarm_count(p iot.principal,
    query jsonb, wanted jsonb) RETURNS bigint
LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = iot, pg_temp
    SET jit = off
AS $$
DECLARE
    q      iot.query_text := iot.query_build(p, query);
    test   record;
    total  bigint;
BEGIN
    test := iot.query_alarm_test(q, p, wanted);
    q := test.q;

    EXECUTE 'WITH m AS MATERIALIZED (SELECT e.nr, e.id FROM '
        || iot.query_from(p, q.types) || q.joins || ' WHERE ' || q.wanted
        || ' LIMIT 10000) SELECT count(DISTINCT a.id)'
        || iot.query_alarm_from(wanted) || test.sql
        INTO total
        USING q.args, p.tenant_id;

    RETURN total;
END
$$;


SELECT iot.definer('iot.query_alarms',
    'values have no tenant; the tenant is in the statement');
SELECT iot.definer('iot.query_alarm_count',
    'values have no tenant; the tenant is in the statement');
