
--
-- Copyright (C) the ngx_iot authors
--
-- /api/relation..., /api/relations...


CREATE OR REPLACE FUNCTION tb.relation_out(r iot.relation) RETURNS json
LANGUAGE sql STABLE
AS $$
    SELECT json_build_object(
        'from', tb.id(r.from_type, r.from_id),
        'to', tb.id(r.to_type, r.to_id),
        'type', r.type,
        'typeGroup', r.type_group,
        'additionalInfo', r.additional_info,
        'version', r.version)
$$;


CREATE OR REPLACE FUNCTION tb.relation_info_out(r iot.relation) RETURNS json
LANGUAGE sql STABLE
AS $$
    SELECT json_build_object(
        'from', tb.id(r.from_type, r.from_id),
        'to', tb.id(r.to_type, r.to_id),
        'type', r.type,
        'typeGroup', r.type_group,
        'additionalInfo', r.additional_info,
        'version', r.version,
        'fromName', (SELECT e.name FROM iot.entity AS e
                     WHERE e.entity_type = r.from_type
                           AND e.tenant_id = r.tenant_id
                           AND e.id = r.from_id),
        'toName', (SELECT e.name FROM iot.entity AS e
                   WHERE e.entity_type = r.to_type
                         AND e.tenant_id = r.tenant_id AND e.id = r.to_id))
$$;


CREATE OR REPLACE FUNCTION tb.relation_in(body json) RETURNS iot.relation
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    r  iot.relation;
BEGIN
    PERFORM tb.need_object(body);

    r.from_id := tb.ref(body, 'from');
    r.from_type := upper(tb.object(body, 'from') ->> 'entityType');
    r.to_id := tb.ref(body, 'to');
    r.to_type := upper(tb.object(body, 'to') ->> 'entityType');
    r.type := tb.text(body, 'type');
    r.type_group := COALESCE(tb.text(body, 'typeGroup'), 'COMMON');
    r.additional_info := tb.object(body, 'additionalInfo');
    r.version := tb.long(body, 'version');

    RETURN r;
END
$$;


-- The same from the parameters of a query.

CREATE OR REPLACE FUNCTION tb.relation_asked(query json)
RETURNS iot.relation
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    r  iot.relation;
BEGIN
    r.from_id := tb.uuid(tb.need_arg(query, 'fromId'));
    r.from_type := upper(tb.need_arg(query, 'fromType'));
    r.type := tb.need_arg(query, 'relationType');
    r.type_group := COALESCE(tb.arg(query, 'relationTypeGroup'), 'COMMON');
    r.to_id := tb.uuid(tb.need_arg(query, 'toId'));
    r.to_type := upper(tb.need_arg(query, 'toType'));

    RETURN r;
END
$$;


CREATE OR REPLACE FUNCTION tb.relation_save_v2(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);

    RETURN tb.relation_out(iot.relation_save(p, tb.relation_in(body)));
END
$$;


CREATE OR REPLACE FUNCTION tb.relation_save(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM tb.relation_save_v2(p, path, query, body);

    RETURN NULL;
END
$$;


CREATE OR REPLACE FUNCTION tb.relation_delete_v2(p iot.principal,
    path text[], query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);

    RETURN tb.relation_out(iot.relation_delete(p, tb.relation_asked(query)));
END
$$;


CREATE OR REPLACE FUNCTION tb.relation_delete(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM tb.relation_delete_v2(p, path, query, body);

    RETURN NULL;
END
$$;


CREATE OR REPLACE FUNCTION tb.relation_get(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);

    RETURN tb.relation_out(iot.relation_get(p, tb.relation_asked(query)));
END
$$;


CREATE OR REPLACE FUNCTION tb.relations_delete(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    id    uuid := tb.uuid(tb.need_arg(query, 'entityId'));
    type  text := upper(tb.need_arg(query, 'entityType'));
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.relations_delete(p, type, id);

    RETURN NULL;
END
$$;


-- type NULL: relations of any type.

CREATE OR REPLACE FUNCTION tb.relations_show(p iot.principal,
    entity_type text, id text, direction text, type text, query json,
    info boolean) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    result  json;
BEGIN
    PERFORM iot.enter(p);

    SELECT json_agg(CASE WHEN info THEN tb.relation_info_out(r)
                    ELSE tb.relation_out(r) END)
    INTO result
    FROM iot.relations_of(p, upper(entity_type), tb.uuid(id), direction, type,
             COALESCE(tb.arg(query, 'relationTypeGroup'), 'COMMON')) AS r;

    RETURN COALESCE(result, '[]');
END
$$;


-- The form with parameters: either fromId and fromType, or toId and toType.

CREATE OR REPLACE FUNCTION tb.relations_asked(p iot.principal, query json,
    info boolean) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    side  text := CASE WHEN tb.arg(query, 'fromId') IS NULL
                            AND tb.arg(query, 'toId') IS NOT NULL
                  THEN 'to' ELSE 'from' END;
BEGIN
    RETURN tb.relations_show(p, tb.need_arg(query, side || 'Type'),
        tb.need_arg(query, side || 'Id'), upper(side),
        tb.arg(query, 'relationType'), query, info);
END
$$;


CREATE OR REPLACE FUNCTION tb.relations(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    RETURN tb.relations_asked(p, query, false);
END
$$;


CREATE OR REPLACE FUNCTION tb.relations_info(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    RETURN tb.relations_asked(p, query, true);
END
$$;


CREATE OR REPLACE FUNCTION tb.relations_from(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    RETURN tb.relations_show(p, path[1], path[2], 'FROM', path[3], query,
                             false);
END
$$;


CREATE OR REPLACE FUNCTION tb.relations_to(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    RETURN tb.relations_show(p, path[1], path[2], 'TO', path[3], query,
                             false);
END
$$;


CREATE OR REPLACE FUNCTION tb.relations_info_from(p iot.principal,
    path text[], query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    RETURN tb.relations_show(p, path[1], path[2], 'FROM', path[3], query,
                             true);
END
$$;


CREATE OR REPLACE FUNCTION tb.relations_info_to(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    RETURN tb.relations_show(p, path[1], path[2], 'TO', path[3], query, true);
END
$$;


-- A member that is a list of texts; NULL: absent, null or empty.

CREATE OR REPLACE FUNCTION tb.texts(body json, name text) RETURNS text[]
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    CASE COALESCE(json_typeof(body -> name), 'null')
    WHEN 'null' THEN
        RETURN NULL;

    WHEN 'array' THEN
        RETURN NULLIF(ARRAY(SELECT json_array_elements_text(body -> name)),
                      '{}');

    ELSE
        PERFORM iot.fail_request(format('Invalid value of ''%s''!', name));
    END CASE;

    RETURN NULL;
END
$$;


-- What {"parameters":{...},"filters":[...]} finds, in the order of the walk.

CREATE OR REPLACE FUNCTION tb.relation_query(p iot.principal,
    parameters json, filters json)
RETURNS SETOF iot.relation
LANGUAGE plpgsql
AS $$
DECLARE
    direction  text := upper(COALESCE(tb.text(parameters, 'direction'),
                                      'FROM'));
    grp        text := COALESCE(tb.text(parameters, 'relationTypeGroup'),
                                'COMMON');
    root       iot.entity;
BEGIN
    IF json_typeof(parameters) IS DISTINCT FROM 'object' THEN
        PERFORM iot.fail_request('Parameters of the query are missing!');
    END IF;

    IF direction NOT IN ('FROM', 'TO') THEN
        PERFORM iot.fail_request('Invalid value of ''direction''!');
    END IF;

    IF json_typeof(filters) NOT IN ('array', 'null') THEN
        PERFORM iot.fail_request('Invalid value of ''filters''!');
    END IF;

    PERFORM iot.relation_group_check(grp);

    IF tb.ref(parameters, 'rootId') IS NULL THEN
        PERFORM iot.fail_request('Root of the query is missing!');
    END IF;

    root := iot.entity_get(p, upper(tb.text(parameters, 'rootType')),
                           tb.ref(parameters, 'rootId'));

    RETURN QUERY
        SELECT r.*
        FROM iot.relation_walk(root.tenant_id, root.id, direction, grp,
                 LEAST(tb.long(parameters, 'maxLevel'), 101)::integer,
                 tb.boolean(parameters, 'fetchLastLevelOnly', false)) AS r
        WHERE tb.relation_matches(r.type, CASE direction WHEN 'FROM'
                                  THEN r.to_type ELSE r.from_type END,
                                  filters)
              AND (p.role = 'TENANT_ADMIN'
                   OR iot.entity_readable(p, r.from_type, r.from_id)
                      AND iot.entity_readable(p, r.to_type, r.to_id));
END
$$;


CREATE OR REPLACE FUNCTION tb.relation_matches(type text, far_type text,
    filters json) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    IF COALESCE(json_typeof(filters), 'null') = 'null'
       OR json_array_length(filters) = 0
    THEN
        RETURN true;
    END IF;

    RETURN EXISTS (
        SELECT FROM json_array_elements(filters) AS f (filter)
        WHERE (COALESCE(f.filter ->> 'relationType', type) = type
               AND (tb.texts(f.filter, 'entityTypes') IS NULL
                    OR far_type = ANY (tb.texts(f.filter, 'entityTypes'))))
              <> tb.boolean(f.filter, 'negate', false));
END
$$;


CREATE OR REPLACE FUNCTION tb.relations_found(p iot.principal, body json,
    info boolean) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    result  json;
BEGIN
    PERFORM iot.enter(p);
    PERFORM tb.need_object(body);

    SELECT json_agg(CASE WHEN info THEN tb.relation_info_out(r)
                    ELSE tb.relation_out(r) END)
    INTO result
    FROM tb.relation_query(p, body -> 'parameters', body -> 'filters') AS r;

    RETURN COALESCE(result, '[]');
END
$$;


CREATE OR REPLACE FUNCTION tb.relations_find(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    RETURN tb.relations_found(p, body, false);
END
$$;


CREATE OR REPLACE FUNCTION tb.relations_info_find(p iot.principal,
    path text[], query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    RETURN tb.relations_found(p, body, true);
END
$$;


-- The ids of entities of one type that a search by relations finds:
-- {"parameters":{...},"relationType":...,"<types>":[...]}.

CREATE OR REPLACE FUNCTION tb.relation_search(p iot.principal, body json,
    entity_type text, types text) RETURNS uuid[]
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM tb.need_object(body);

    IF tb.texts(body, types) IS NULL THEN
        PERFORM iot.fail_request(
            format('Parameter ''%s'' can''t be empty!', types));
    END IF;

    RETURN ARRAY(
        SELECT DISTINCT CASE upper(body -> 'parameters' ->> 'direction')
                        WHEN 'TO' THEN r.from_id ELSE r.to_id END
        FROM tb.relation_query(p, body -> 'parameters', json_build_array(
                 json_build_object(
                     'relationType', tb.text(body, 'relationType'),
                     'entityTypes', json_build_array(entity_type)))) AS r);
END
$$;


CREATE OR REPLACE FUNCTION tb.devices_find(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    ids    uuid[];
    types  text[];
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.need_role(p, 'TENANT_ADMIN', 'CUSTOMER_USER');

    ids := tb.relation_search(p, body, 'DEVICE', 'deviceTypes');
    types := tb.texts(body, 'deviceTypes');

    RETURN COALESCE(
        (SELECT json_agg(tb.device_out(d, dp.name) ORDER BY d.id)
         FROM iot.device AS d
             JOIN iot.device_profile AS dp
                 ON dp.tenant_id = d.tenant_id AND dp.id = d.profile_id
         WHERE d.tenant_id = p.tenant_id AND d.id = ANY (ids)
               AND dp.name = ANY (types)),
        '[]');
END
$$;
