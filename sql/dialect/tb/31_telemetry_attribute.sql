
--
-- Copyright (C) the ngx_iot authors
--
-- Attributes in the ThingsBoard API.  Paths: {type},{id}[,{scope}], or
-- {deviceId},{scope}.


CREATE OR REPLACE FUNCTION tb.attribute_key_list(entity_nr integer,
    scope_nr smallint)
RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    RETURN to_json(ARRAY(SELECT a.name
                           FROM iot.attributes(entity_nr, scope_nr, NULL) a
                          GROUP BY a.name
                          ORDER BY a.name COLLATE "C"));
END
$$;


CREATE OR REPLACE FUNCTION tb.attribute_keys(p iot.principal, path text[],
    query json, body json)
RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);

    RETURN tb.attribute_key_list(
        tb.telemetry_entity(p, path[1], path[2], 'READ_ATTRIBUTES'), NULL);
END
$$;


CREATE OR REPLACE FUNCTION tb.attribute_keys_scope(p iot.principal,
    path text[], query json, body json)
RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    scope_nr  smallint := tb.scope(path[3]);
BEGIN
    PERFORM iot.enter(p);

    RETURN tb.attribute_key_list(
        tb.telemetry_entity(p, path[1], path[2], 'READ_ATTRIBUTES'),
        scope_nr);
END
$$;


CREATE OR REPLACE FUNCTION tb.attribute_list(entity_nr integer,
    scope_nr smallint, names text[])
RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    RETURN COALESCE(
        (SELECT json_agg(x)
           FROM (SELECT a.updated_at AS "lastUpdateTs", a.name AS key,
                        iot.value_json(a.b, a.l, a.d, a.s)::json AS value
                   FROM iot.attributes(entity_nr, scope_nr, names) a) x),
        '[]');
END
$$;


CREATE OR REPLACE FUNCTION tb.attribute_values(p iot.principal, path text[],
    query json, body json)
RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);

    RETURN tb.attribute_list(
        tb.telemetry_entity(p, path[1], path[2], 'READ_ATTRIBUTES'), NULL,
        tb.query_keys(query));
END
$$;


CREATE OR REPLACE FUNCTION tb.attribute_values_scope(p iot.principal,
    path text[], query json, body json)
RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    scope_nr  smallint := tb.scope(path[3]);
BEGIN
    PERFORM iot.enter(p);

    RETURN tb.attribute_list(
        tb.telemetry_entity(p, path[1], path[2], 'READ_ATTRIBUTES'),
        scope_nr, tb.query_keys(query));
END
$$;


-- An empty answer after which the workers tell of the change: devices wait
-- for their shared attributes, and people watch.

CREATE OR REPLACE FUNCTION tb.attributes_told(entity_nr integer, id text,
    scope_nr smallint, data json)
RETURNS iot.answer
LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (NULL,
            (SELECT json_build_object('@publish', json_build_array(
                        iot.event_of(f.tenant_id, id::uuid,
                            'attributes/' || (ARRAY['client', 'shared',
                                              'server'])[scope_nr], data)))
               FROM iot.entity_face(entity_nr) f),
            NULL)::iot.answer;
END
$$;


-- The worker has parsed and typed the body: {"values":[[key,type,value],…]}.

DROP FUNCTION IF EXISTS tb.attributes_save(iot.principal, text[], json, json);

CREATE FUNCTION tb.attributes_save(p iot.principal, path text[],
    query json, body json)
RETURNS iot.answer
LANGUAGE plpgsql
AS $$
DECLARE
    scope_nr   smallint := tb.scope(path[3]);
    entity_nr  integer;
    saved      json;
BEGIN
    PERFORM iot.enter(p);

    IF scope_nr = 1 THEN
        PERFORM iot.fail_request('Invalid scope: ' || path[3]);
    END IF;

    IF COALESCE(json_array_length(body -> 'values'), 0) = 0 THEN
        PERFORM iot.fail_request(
            'No attributes data found in request body!');
    END IF;

    entity_nr := tb.telemetry_entity(p, path[1], path[2],
                                     'WRITE_ATTRIBUTES');

    PERFORM iot.attribute_save(entity_nr, scope_nr, body -> 'values');

    saved := (SELECT COALESCE(json_object_agg(a.name,
                         iot.value_json(a.b, a.l, a.d, a.s)::json), '{}')
                FROM iot.attributes(entity_nr, scope_nr,
                         ARRAY(SELECT e.value ->> 0
                                 FROM json_array_elements(body -> 'values')
                                      e)) a);

    PERFORM tb.telemetry_audit(p, path[1], path[2], entity_nr,
        'ATTRIBUTES_UPDATED',
        json_build_object('scope', path[3], 'attributes', saved));

    RETURN tb.attributes_told(entity_nr, path[2], scope_nr, saved);
END
$$;


DROP FUNCTION IF EXISTS tb.attributes_save_device(iot.principal, text[], json,
    json);

CREATE FUNCTION tb.attributes_save_device(p iot.principal,
    path text[], query json, body json)
RETURNS iot.answer
LANGUAGE plpgsql
AS $$
BEGIN
    RETURN tb.attributes_save(p, ARRAY['DEVICE', path[1], path[2]], query,
                              body);
END
$$;


DROP FUNCTION IF EXISTS tb.attributes_delete(iot.principal, text[], json,
    json);

CREATE FUNCTION tb.attributes_delete(p iot.principal, path text[],
    query json, body json)
RETURNS iot.answer
LANGUAGE plpgsql
AS $$
DECLARE
    scope_nr   smallint := tb.scope(path[3]);
    names      text[] := tb.query_keys(query);
    deleted    text[];
    entity_nr  integer;
BEGIN
    PERFORM iot.enter(p);

    IF names IS NULL THEN
        PERFORM iot.fail_request('Empty keys: []');
    END IF;

    entity_nr := tb.telemetry_entity(p, path[1], path[2],
                                     'WRITE_ATTRIBUTES');
    deleted := iot.attribute_delete(entity_nr, scope_nr, names);

    PERFORM tb.telemetry_audit(p, path[1], path[2], entity_nr,
        'ATTRIBUTES_DELETED',
        json_build_object('scope', path[3], 'attributes', deleted));

    IF deleted = '{}' THEN
        RETURN NULL;
    END IF;

    RETURN tb.attributes_told(entity_nr, path[2], scope_nr,
                              json_build_object('deleted', deleted));
END
$$;


DROP FUNCTION IF EXISTS tb.attributes_delete_device(iot.principal, text[],
    json, json);

CREATE FUNCTION tb.attributes_delete_device(p iot.principal,
    path text[], query json, body json)
RETURNS iot.answer
LANGUAGE plpgsql
AS $$
BEGIN
    RETURN tb.attributes_delete(p, ARRAY['DEVICE', path[1], path[2]], query,
                                body);
END
$$;


CREATE OR REPLACE FUNCTION tb.profile_of_query(p iot.principal, query json)
RETURNS uuid
LANGUAGE plpgsql
AS $$
DECLARE
    given  text := tb.query_text(query, 'deviceProfileId');
BEGIN
    PERFORM iot.need_role(p, 'TENANT_ADMIN');

    IF given IS NULL THEN
        RETURN NULL;
    END IF;

    IF given !~ '^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$' THEN
        PERFORM iot.fail_request('Invalid UUID string: ' || given);
    END IF;

    IF NOT EXISTS (SELECT FROM iot.device_profile dp
                    WHERE dp.tenant_id = p.tenant_id
                          AND dp.id = given::uuid)
    THEN
        PERFORM iot.fail_missing('Device profile', given::uuid);
    END IF;

    RETURN given::uuid;
END
$$;


CREATE OR REPLACE FUNCTION tb.profile_attribute_keys(p iot.principal,
    path text[], query json, body json)
RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);

    RETURN to_json(iot.profile_attribute_keys(p.tenant_id,
                                              tb.profile_of_query(p, query)));
END
$$;


CREATE OR REPLACE FUNCTION tb.profile_timeseries_keys(p iot.principal,
    path text[], query json, body json)
RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);

    RETURN to_json(iot.profile_telemetry_keys(p.tenant_id,
                                              tb.profile_of_query(p, query)));
END
$$;
