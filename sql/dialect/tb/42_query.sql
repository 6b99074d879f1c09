
--
-- Copyright (C) the ngx_iot authors
--
-- Queries over entities in the ThingsBoard API: from its shapes to those of
-- iot.query_find(), and back.


-- {"type":"TIME_SERIES","key":"temperature"}

CREATE OR REPLACE FUNCTION tb.query_key(key json) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
    kind  text := CASE key ->> 'type'
                  WHEN 'ENTITY_FIELD' THEN 'field'
                  WHEN 'ATTRIBUTE' THEN 'any'
                  WHEN 'CLIENT_ATTRIBUTE' THEN 'client'
                  WHEN 'SHARED_ATTRIBUTE' THEN 'shared'
                  WHEN 'SERVER_ATTRIBUTE' THEN 'server'
                  WHEN 'TIME_SERIES' THEN 'series'
                  WHEN 'ALARM_FIELD' THEN 'alarm'
                  END;
BEGIN
    IF kind IS NULL OR json_typeof(key -> 'key') IS DISTINCT FROM 'string'
    THEN
        PERFORM iot.fail_request(
            format('Unsupported key: %s', left(key::text, 255)));
    END IF;

    RETURN jsonb_build_object('kind', kind, 'name', key ->> 'key');
END
$$;


-- The elements of an array member; none when it is absent.

CREATE OR REPLACE FUNCTION tb.elements(body json, name text)
RETURNS SETOF json
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    IF json_typeof(body -> name) = 'array' THEN
        RETURN QUERY SELECT e.value FROM json_array_elements(body -> name) e;

    ELSIF json_typeof(body -> name) <> 'null' THEN
        PERFORM iot.fail_request(format('Invalid value of ''%s''!', name));
    END IF;
END
$$;


CREATE OR REPLACE FUNCTION tb.text_list(body json, name text) RETURNS text[]
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    RETURN ARRAY(SELECT e #>> '{}' FROM tb.elements(body, name) e
                  WHERE json_typeof(e) = 'string');
END
$$;


-- An attribute of the caller's own user, customer or tenant.

CREATE OR REPLACE FUNCTION tb.query_dynamic(p iot.principal, source json)
RETURNS text
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    kind   text := source ->> 'sourceType';
    owner  integer;
    result text;
BEGIN
    owner := CASE kind
        WHEN 'CURRENT_TENANT' THEN
            (SELECT t.nr FROM iot.tenant t WHERE t.id = p.tenant_id)
        WHEN 'CURRENT_CUSTOMER' THEN
            (SELECT c.nr FROM iot.customer c
              WHERE c.tenant_id = p.tenant_id AND c.id = p.customer_id)
        WHEN 'CURRENT_USER' THEN
            (SELECT u.nr FROM iot.users u WHERE u.id = p.user_id)
        END;

    SELECT iot.value_text(a.b, a.l, a.d, a.s) INTO result
      FROM iot.attributes(owner, 3::smallint,
                          ARRAY[source ->> 'sourceAttribute']) a;

    IF result IS NULL AND source ->> 'inherit' = 'true'
       AND kind IN ('CURRENT_USER', 'CURRENT_CUSTOMER')
    THEN
        RETURN tb.query_dynamic(p, json_build_object(
            'sourceType', CASE kind WHEN 'CURRENT_USER'
                          THEN 'CURRENT_CUSTOMER' ELSE 'CURRENT_TENANT' END,
            'sourceAttribute', source ->> 'sourceAttribute',
            'inherit', true));
    END IF;

    RETURN result;
END
$$;


CREATE OR REPLACE FUNCTION tb.query_value(p iot.principal, value json)
RETURNS text
LANGUAGE plpgsql STABLE
AS $$
BEGIN
    IF json_typeof(value) <> 'object' THEN
        RETURN value #>> '{}';
    END IF;

    IF json_typeof(value -> 'userValue') NOT IN ('null', 'object') THEN
        RETURN value ->> 'userValue';
    END IF;

    IF json_typeof(value -> 'dynamicValue') = 'object' THEN
        RETURN COALESCE(tb.query_dynamic(p, value -> 'dynamicValue'),
                        value ->> 'defaultValue');
    END IF;

    RETURN value ->> 'defaultValue';
END
$$;


-- depth: how deep it is nested.

CREATE OR REPLACE FUNCTION tb.query_test(p iot.principal, predicate json,
    depth integer) RETURNS jsonb
LANGUAGE plpgsql STABLE
AS $$
BEGIN
    IF json_typeof(predicate) IS DISTINCT FROM 'object' OR depth > 8 THEN
        PERFORM iot.fail_request('Invalid predicate of a key filter!');
    END IF;

    IF predicate ->> 'type' = 'COMPLEX' THEN
        RETURN jsonb_build_object(
            'op', CASE predicate ->> 'operation' WHEN 'OR' THEN 'OR'
                  ELSE 'AND' END,
            'tests', COALESCE(
                (SELECT jsonb_agg(tb.query_test(p, e, depth + 1))
                   FROM tb.elements(predicate, 'predicates') e), '[]'));
    END IF;

    RETURN jsonb_build_object(
        'op', predicate ->> 'operation',
        'value', tb.query_value(p, predicate -> 'value'),
        'fold', COALESCE(predicate ->> 'ignoreCase' = 'true', false));
END
$$;


-- The type of a comparison: that of the first plain predicate.

CREATE OR REPLACE FUNCTION tb.query_type(predicate json) RETURNS text
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    IF predicate ->> 'type' = 'COMPLEX' THEN
        RETURN (SELECT tb.query_type(e)
                  FROM tb.elements(predicate, 'predicates') e LIMIT 1);
    END IF;

    RETURN CASE predicate ->> 'type' WHEN 'NUMERIC' THEN 'number'
           WHEN 'BOOLEAN' THEN 'boolean' ELSE 'text' END;
END
$$;


CREATE OR REPLACE FUNCTION tb.query_filters(p iot.principal, body json)
RETURNS jsonb
LANGUAGE plpgsql STABLE
AS $$
BEGIN
    IF (SELECT count(*) FROM tb.elements(body, 'keyFilters')) > 100 THEN
        PERFORM iot.fail_request('Too many key filters!');
    END IF;

    RETURN COALESCE(
        (SELECT jsonb_agg(jsonb_build_object(
                    'key', tb.query_key(f -> 'key'),
                    'as', tb.query_type(f -> 'predicate'),
                    'test', tb.query_test(p, f -> 'predicate', 0)))
           FROM tb.elements(body, 'keyFilters') f), '[]');
END
$$;


-- A name begins with the text, unless a "%" at one of its ends makes it a
-- pattern.  NULL: no condition.

CREATE OR REPLACE FUNCTION tb.query_name(pattern text) RETURNS text
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    IF pattern ~ '^%|%$' THEN
        RETURN regexp_replace(pattern, '([\\_])', '\\\1', 'g');
    END IF;

    RETURN regexp_replace(NULLIF(pattern, ''), '([\\%_])', '\\\1', 'g')
           || '%';
END
$$;


-- What the relations lead to: types and ids.

CREATE OR REPLACE FUNCTION tb.query_related(p iot.principal, filter json,
    filters jsonb) RETURNS jsonb
LANGUAGE plpgsql
AS $$
DECLARE
    roots      json[] := ARRAY[filter -> 'rootEntity'];
    direction  text := COALESCE(upper(filter ->> 'direction'), 'FROM');
    found_     jsonb;
BEGIN
    IF direction NOT IN ('FROM', 'TO') THEN
        PERFORM iot.fail_request('Unknown direction of relations!');
    END IF;

    IF filter ->> 'isMultiRoot' = 'true' OR filter ->> 'multiRoot' = 'true'
    THEN
        roots := ARRAY(
            SELECT json_build_object('id', r.id, 'entityType',
                                     filter ->> 'multiRootEntitiesType')
              FROM unnest(tb.text_list(filter, 'multiRootEntityIds')) r (id)
             LIMIT 1000);
    END IF;

    SELECT jsonb_build_object(
               'types', COALESCE(jsonb_agg(DISTINCT x.entity_type), '[]'),
               'ids', COALESCE(jsonb_agg(DISTINCT x.id), '[]'))
      INTO found_
      FROM unnest(roots) r (root)
           CROSS JOIN LATERAL iot.query_related(p,
               upper(r.root ->> 'entityType'), tb.uuid(r.root ->> 'id'),
               direction,
               LEAST(COALESCE(tb.long(filter, 'maxLevel'), 1),
                     100)::integer,
               tb.boolean(filter, 'fetchLastLevelOnly', false), filters,
               tb.boolean(filter, 'negate', false)) x;

    RETURN found_;
END
$$;


-- Those of devices, assets and views: word is DEVICE ..., member deviceTypes.

CREATE OR REPLACE FUNCTION tb.query_search(p iot.principal, filter json,
    word text) RETURNS jsonb
LANGUAGE plpgsql
AS $$
DECLARE
    member  text := CASE word WHEN 'DEVICE' THEN 'deviceTypes'
                    WHEN 'ASSET' THEN 'assetTypes'
                    ELSE 'entityViewTypes' END;
    kinds   text[] := tb.text_list(filter, member);
    result  jsonb;
BEGIN
    result := tb.query_related(p, filter, jsonb_build_array(
                  jsonb_build_object('type', filter ->> 'relationType',
                                     'entities', jsonb_build_array(word))));

    IF kinds <> '{}' THEN
        result := result || jsonb_build_object('kinds', kinds);
    END IF;

    RETURN result;
END
$$;


CREATE OR REPLACE FUNCTION tb.query_kinds(filter json, word text)
RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
    stem   text := CASE word WHEN 'DEVICE' THEN 'device' WHEN 'ASSET'
                   THEN 'asset' ELSE 'entityView' END;
    kinds  text[] := tb.text_list(filter, stem || 'Types');
BEGIN
    IF kinds = '{}' AND filter ->> (stem || 'Type') <> '' THEN
        kinds := ARRAY[filter ->> (stem || 'Type')];
    END IF;

    RETURN jsonb_strip_nulls(jsonb_build_object(
        'types', jsonb_build_array(word),
        'kinds', CASE WHEN kinds <> '{}' THEN to_jsonb(kinds) END,
        'name', tb.query_name(filter ->> (stem || 'NameFilter'))));
END
$$;


CREATE OR REPLACE FUNCTION tb.query_source(p iot.principal, filter json)
RETURNS jsonb
LANGUAGE plpgsql
AS $$
DECLARE
    one    json := COALESCE(filter -> 'singleEntity', 'null');
    types  jsonb := jsonb_build_array(upper(filter ->> 'entityType'));
BEGIN
    IF json_typeof(filter) IS DISTINCT FROM 'object' THEN
        PERFORM iot.fail_request('Entity filter must be specified!');
    END IF;

    CASE filter ->> 'type'
    WHEN 'singleEntity' THEN
        RETURN jsonb_build_object(
            'types', jsonb_build_array(upper(one ->> 'entityType')),
            'ids', jsonb_build_array(tb.uuid(one ->> 'id')));

    WHEN 'entityList' THEN
        RETURN jsonb_build_object('types', types, 'ids', COALESCE(
            (SELECT jsonb_agg(tb.uuid(i.id))
               FROM unnest(tb.text_list(filter, 'entityList')) i (id)), '[]'));

    WHEN 'entityName' THEN
        RETURN jsonb_strip_nulls(jsonb_build_object('types', types, 'name',
            tb.query_name(filter ->> 'entityNameFilter')));

    WHEN 'entityType' THEN
        RETURN jsonb_build_object('types', types);

    WHEN 'deviceType' THEN
        RETURN tb.query_kinds(filter, 'DEVICE');

    WHEN 'assetType' THEN
        RETURN tb.query_kinds(filter, 'ASSET');

    WHEN 'entityViewType' THEN
        RETURN tb.query_kinds(filter, 'ENTITY_VIEW');

    WHEN 'relationsQuery' THEN
        RETURN tb.query_related(p, filter, COALESCE(
            (SELECT jsonb_agg(jsonb_build_object(
                        'type', f ->> 'relationType',
                        'entities', to_jsonb(tb.text_list(f, 'entityTypes')),
                        'negate', tb.boolean(f, 'negate', false)))
               FROM tb.elements(filter, 'filters') f), '[]'));

    WHEN 'deviceSearchQuery' THEN
        RETURN tb.query_search(p, filter, 'DEVICE');

    WHEN 'assetSearchQuery' THEN
        RETURN tb.query_search(p, filter, 'ASSET');

    WHEN 'entityViewSearchQuery' THEN
        RETURN tb.query_search(p, filter, 'ENTITY_VIEW');

    -- there are no such entities here

    WHEN 'apiUsageState', 'edgeType', 'edgeSearchQuery' THEN
        RETURN '{"types":[]}'::jsonb;

    ELSE
        PERFORM iot.fail_request(format('Unknown entity filter type ''%s''!',
                                        left(filter ->> 'type', 255)));
    END CASE;

    RETURN NULL;
END
$$;


-- The whole query.

CREATE OR REPLACE FUNCTION tb.query_in(p iot.principal, body json)
RETURNS jsonb
LANGUAGE plpgsql
AS $$
DECLARE
    link    json := body -> 'pageLink';
    sort    json := link -> 'sortOrder';
    result  jsonb;
BEGIN
    PERFORM tb.need_object(body);

    result := jsonb_build_object(
        'source', tb.query_source(p, body -> 'entityFilter'),
        'filters', tb.query_filters(p, body),
        'any', COALESCE(body ->> 'keyFiltersOperation' = 'OR', false),
        'search', link ->> 'textSearch',
        'columns', COALESCE(
            (SELECT jsonb_agg(tb.query_key(k))
               FROM (SELECT tb.elements(body, 'entityFields') AS k
                      UNION ALL
                     SELECT tb.elements(body, 'latestValues')) x
              WHERE link ->> 'textSearch' <> ''), '[]'));

    IF json_typeof(sort) = 'object' AND json_typeof(sort -> 'key') = 'object'
    THEN
        result := result || jsonb_build_object('sort', jsonb_build_object(
            'key', tb.query_key(sort -> 'key'),
            'descending', COALESCE(sort ->> 'direction' = 'DESC', false)));
    END IF;

    RETURN result;
END
$$;


-- size and page of the page link.

CREATE OR REPLACE FUNCTION tb.query_page(link json, OUT size integer,
    OUT page integer)
LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
    pg  iot.page;
BEGIN
    IF json_typeof(link) IS DISTINCT FROM 'object' THEN
        PERFORM iot.fail_request('Incorrect page link must be specified.');
    END IF;

    pg := tb.page(json_build_object('pageSize', link ->> 'pageSize',
                                    'page', COALESCE(link ->> 'page', '0')));
    size := pg.size;
    page := pg.page;
END
$$;


-- The names of the entity fields among the keys, each once.

CREATE OR REPLACE FUNCTION tb.query_fields(body json) RETURNS text[]
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    RETURN ARRAY(
        SELECT DISTINCT k ->> 'key'
          FROM (SELECT tb.elements(body, 'entityFields') AS k
                 UNION ALL
                SELECT tb.elements(body, 'latestValues')) x
         WHERE k ->> 'type' = 'ENTITY_FIELD' AND k ->> 'key' IS NOT NULL);
END
$$;


-- [{"entityId","latest":{TYPE:{KEY:{"ts","value"}}},...},...] of items that
-- were found with tb.query_fields(body).  What has no value is shown too.

CREATE OR REPLACE FUNCTION tb.query_data(items iot.query_item[], body json)
RETURNS TABLE (i bigint, entity_id json, latest json)
LANGUAGE plpgsql
AS $$
#variable_conflict use_column
DECLARE
    shown     text[] := tb.query_fields(body);
    entities  integer[] := ARRAY(SELECT x.nr FROM unnest(items) x);
    now_ts    bigint := iot.now_ms();
BEGIN
    RETURN QUERY
    WITH wanted AS (
        SELECT DISTINCT k ->> 'type' AS type, k ->> 'key' AS key,
               tb.query_key(k) ->> 'kind' AS kind
          FROM (SELECT tb.elements(body, 'entityFields') AS k
                 UNION ALL
                SELECT tb.elements(body, 'latestValues')) x
    ), found AS (
        SELECT w.type, v.nr, v.name, v.ts, v.value
          FROM (SELECT x.type, x.kind, array_agg(x.key) AS keys
                  FROM wanted x
                 WHERE x.kind NOT IN ('field', 'alarm')
                 GROUP BY x.type, x.kind) w
               CROSS JOIN LATERAL iot.query_values(entities, w.kind, w.keys) v
    ), item AS (
        SELECT u.*, row_number() OVER () AS i FROM unnest(items) u
    ), part AS (
        SELECT n.i, w.type, json_object_agg(w.key,
                   CASE w.kind WHEN 'field' THEN json_build_object(
                       'ts', now_ts, 'value', COALESCE(n.fields[
                           array_position(shown, w.key)], ''))
                   ELSE json_build_object('ts', COALESCE(f.ts, 0), 'value',
                            COALESCE(f.value, '')) END) AS part
          FROM item n
               CROSS JOIN wanted w
               LEFT JOIN found f
                   ON f.nr = n.nr AND f.type = w.type AND f.name = w.key
         WHERE w.kind <> 'alarm'
         GROUP BY n.i, w.type
    ), whole AS (
        SELECT p.i, json_object_agg(p.type, p.part) AS latest
          FROM part p GROUP BY p.i
    )
    SELECT n.i, tb.id(n.entity_type, n.id), COALESCE(w.latest, '{}')
      FROM item n
           LEFT JOIN whole w ON w.i = n.i
     ORDER BY n.i;
END
$$;


CREATE OR REPLACE FUNCTION tb.query_envelope(items json, total bigint,
    size integer, page integer) RETURNS json
LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
    pages  bigint := (total + size - 1) / size;
BEGIN
    RETURN json_build_object('data', COALESCE(items, '[]'),
        'totalPages', pages, 'totalElements', total,
        'hasNext', page + 1::bigint < pages);
END
$$;


CREATE OR REPLACE FUNCTION tb.entities_find(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    link   record;
    found_ record;
BEGIN
    PERFORM iot.enter(p);
    PERFORM tb.need_object(body);

    link := tb.query_page(body -> 'pageLink');

    SELECT f.items, f.total INTO found_
      FROM iot.query_find(p, tb.query_in(p, body), tb.query_fields(body),
                          link.size, link.page) f;

    RETURN tb.query_envelope(
        (SELECT json_agg(json_build_object('entityId', d.entity_id,
                    'latest', d.latest, 'timeseries', '{}'::json,
                    'aggLatest', '{}'::json) ORDER BY d.i)
           FROM tb.query_data(found_.items, body) d),
        found_.total, link.size, link.page);
END
$$;


CREATE OR REPLACE FUNCTION tb.entities_count(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);

    RETURN to_json(iot.query_count(p, tb.query_in(p, body)));
END
$$;


-- Which keys the entities of the first page have.

CREATE OR REPLACE FUNCTION tb.entities_keys(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    link      record;
    found_    record;
    keys      record;
    scope_nr  smallint;
BEGIN
    PERFORM iot.enter(p);
    PERFORM tb.need_object(body);

    link := tb.query_page(body -> 'pageLink');

    IF tb.arg(query, 'scope') IS NOT NULL THEN
        scope_nr := tb.scope(tb.arg(query, 'scope'));
    END IF;

    SELECT f.items INTO found_
      FROM iot.query_find(p, tb.query_in(p, body), '{}',
                          LEAST(link.size, 100), link.page) f;

    keys := iot.query_keys(ARRAY(SELECT x.nr FROM unnest(found_.items) x),
                           scope_nr);

    RETURN json_build_object(
        'entityTypes', COALESCE(
            (SELECT json_agg(DISTINCT x.entity_type)
               FROM unnest(found_.items) x), '[]'),
        'timeseries', CASE WHEN COALESCE(tb.arg_boolean(query, 'timeseries'),
                                         true)
                      THEN to_json(keys.series) ELSE '[]' END,
        'attribute', CASE WHEN COALESCE(tb.arg_boolean(query, 'attributes'),
                                        true)
                     THEN to_json(keys.attributes) ELSE '[]' END);
END
$$;
