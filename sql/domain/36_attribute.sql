
--
-- Copyright (C) the ngx_iot authors
--
-- Attributes: one value for each entity, scope and key.
-- scope: 1 client, 2 shared, 3 server; NULL where reading: all.


-- Names of server attributes that nobody ever reads back: what codes of
-- pay-as-you-go devices are made of.

CREATE OR REPLACE FUNCTION iot.attribute_hidden(scope smallint, name text)
RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT scope = 3
           AND name IN ('pyg_pts', 'pyg_msg', 'device_secret', 'msg_id')
$$;


-- Attributes of these names or (NULL) of all, by key.

CREATE OR REPLACE FUNCTION iot.attributes(entity_nr integer,
    scope_nr smallint, names text[])
RETURNS TABLE (scope smallint, name text, b boolean, l bigint,
    d double precision, s text, updated_at bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = iot, pg_temp
    SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT a.scope, k.name, a.b, a.l, a.d, a.s, a.updated_at
      FROM iot.attribute a
           JOIN iot.key k ON k.id = a.key
     WHERE a.entity = entity_nr
           AND (scope_nr IS NULL OR a.scope = scope_nr)
           AND (names IS NULL OR k.name = ANY (names))
           AND NOT iot.attribute_hidden(a.scope, k.name)
     ORDER BY k.name COLLATE "C", a.scope;
END
$$;


-- Saves attributes of one scope: the one place where those that are not
-- written by the device change.  values: [[key, type, value], …] as in
-- iot.telemetry_save(); of equal keys the last one counts.

CREATE OR REPLACE FUNCTION iot.attribute_save(entity_nr integer,
    scope_nr smallint, "values" json)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
DECLARE
    names  text[];
BEGIN
    names := ARRAY(SELECT DISTINCT e.value ->> 0
                     FROM json_array_elements("values") e);

    -- the workers have sealed it, or it came a way that cannot

    IF scope_nr = 3
       AND EXISTS (SELECT FROM json_array_elements("values") e
                    WHERE e.value ->> 0 IN ('pyg_pts', 'device_secret')
                          AND e.value ->> 2 NOT LIKE 'sealed:h:%')
    THEN
        PERFORM iot.fail(400, 'E_SECRET', 'A secret of a device can only be'
                         ' written as an attribute');
    END IF;

    INSERT INTO iot.attribute AS a
           (entity, scope, key, b, l, d, s, updated_at)
    SELECT DISTINCT ON (k.id) entity_nr, scope_nr, k.id,
           CASE p.type WHEN 'b' THEN p.value::boolean WHEN 'j' THEN true END,
           CASE p.type WHEN 'l' THEN p.value::bigint END,
           CASE p.type WHEN 'd' THEN p.value::double precision END,
           CASE WHEN p.type IN ('s', 'j') THEN p.value END,
           iot.now_ms()
      FROM (SELECT e.value ->> 0 AS name, e.value ->> 1 AS type,
                   e.value ->> 2 AS value, e.i
              FROM json_array_elements("values")
                   WITH ORDINALITY AS e (value, i)) p
           JOIN unnest(names, iot.key_ids(names)) AS k (name, id)
               ON k.name = p.name
     ORDER BY k.id, p.i DESC
        ON CONFLICT (entity, scope, key) DO UPDATE
       SET b = EXCLUDED.b, l = EXCLUDED.l, d = EXCLUDED.d, s = EXCLUDED.s,
           updated_at = EXCLUDED.updated_at;
END
$$;


-- Deletes attributes of one scope; answers the names that were there.

CREATE OR REPLACE FUNCTION iot.attribute_delete(entity_nr integer,
    scope_nr smallint, names text[])
RETURNS text[]
LANGUAGE plpgsql SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
DECLARE
    deleted  text[];
BEGIN
    WITH gone AS (
        DELETE FROM iot.attribute a
         USING iot.key k
         WHERE a.entity = entity_nr AND a.scope = scope_nr
               AND k.id = a.key AND k.name = ANY (names)
        RETURNING k.name
    )
    SELECT COALESCE(array_agg(g.name ORDER BY g.name COLLATE "C"), '{}')
      INTO deleted
      FROM gone g;

    RETURN deleted;
END
$$;


-- What a device may read of itself: {"client":{…},"shared":{…}}, a section
-- only when it has something.  Both lists NULL: all; one NULL: not asked for.

CREATE OR REPLACE FUNCTION iot.device_attributes(entity_nr integer,
    client_keys text[], shared_keys text[])
RETURNS json
LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = iot, pg_temp
    SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    every   boolean := client_keys IS NULL AND shared_keys IS NULL;
    answer  text;
BEGIN
    SELECT string_agg(x.section, ',' ORDER BY x.scope) INTO answer
      FROM (SELECT a.scope,
                   CASE a.scope WHEN 1 THEN '"client":{'
                   ELSE '"shared":{' END
                   || string_agg(to_json(k.name)::text || ':'
                                 || iot.value_json(a.b, a.l, a.d, a.s),
                                 ',' ORDER BY k.name COLLATE "C")
                   || '}' AS section
              FROM iot.attribute a
                   JOIN iot.key k ON k.id = a.key
             WHERE a.entity = entity_nr AND a.scope IN (1, 2)
                   AND (every OR k.name = ANY (
                            CASE a.scope WHEN 1 THEN client_keys
                            ELSE shared_keys END))
             GROUP BY a.scope) x;

    RETURN ('{' || COALESCE(answer, '') || '}')::json;
END
$$;


SELECT iot.definer('iot.attributes',
    'attributes have no tenant; takes a resolved number');
SELECT iot.definer('iot.attribute_save',
    'writes attributes; takes a resolved number');
SELECT iot.definer('iot.attribute_delete',
    'writes attributes; takes a resolved number');
SELECT iot.definer('iot.device_attributes',
    'called for a device the worker has checked');
