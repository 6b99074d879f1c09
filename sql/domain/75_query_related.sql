
--
-- Copyright (C) the ngx_iot authors
--
-- What is found by its relations.


-- The far ends of the relations that are reached from a root, see
-- iot.relation_walk(), and that one of the filters takes, or (negate) none;
-- without filters all.  filters: [{"type","entities":[...],"negate"},...],
-- all members optional.  The caller must be able to read the root.

CREATE OR REPLACE FUNCTION iot.query_related(p iot.principal,
    root_type text, root_id uuid, direction text, max_level integer,
    last_only boolean, filters jsonb, negate boolean)
RETURNS TABLE (entity_type text, id uuid)
LANGUAGE plpgsql
AS $$
#variable_conflict use_column
BEGIN
    PERFORM iot.entity_get(p, root_type, root_id);

    RETURN QUERY
    SELECT DISTINCT x.far_type, x.far_id
      FROM (SELECT r.type,
                   CASE direction WHEN 'FROM' THEN r.to_type
                   ELSE r.from_type END AS far_type,
                   CASE direction WHEN 'FROM' THEN r.to_id
                   ELSE r.from_id END AS far_id
              FROM iot.relation_walk(p.tenant_id, root_id, direction,
                       'COMMON', max_level, last_only) r) x
     WHERE filters = '[]'
           OR negate <> EXISTS (
               SELECT
                 FROM jsonb_array_elements(filters) f
                WHERE COALESCE((f.value ->> 'negate')::boolean, false)
                      <> ((COALESCE(f.value ->> 'type', '') = ''
                           OR f.value ->> 'type' = x.type)
                          AND (jsonb_array_length(COALESCE(
                                   f.value -> 'entities', '[]')) = 0
                               OR f.value -> 'entities' ? x.far_type)));
END
$$;
