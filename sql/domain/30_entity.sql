
--
-- Copyright (C) the ngx_iot authors
--
-- What a number of an entity stands for.  Row-level security hides the
-- entities of other tenants, except from functions of the owner.


CREATE OR REPLACE FUNCTION iot.entity_exists(entity_nr integer)
RETURNS boolean
LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN EXISTS (SELECT FROM iot.entity AS e WHERE e.nr = entity_nr);
END
$$;


-- Name and owners; all NULL when there is no such entity.

CREATE OR REPLACE FUNCTION iot.entity_face(entity_nr integer, OUT name text,
    OUT tenant_id uuid, OUT customer_id uuid)
LANGUAGE plpgsql STABLE
AS $$
#variable_conflict use_column
BEGIN
    SELECT e.name, e.tenant_id, e.customer_id
      INTO name, tenant_id, customer_id
      FROM iot.entity e WHERE e.nr = entity_nr;
END
$$;
