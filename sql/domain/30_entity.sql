
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
    RETURN EXISTS (SELECT FROM iot.device WHERE nr = entity_nr)
           OR EXISTS (SELECT FROM iot.customer WHERE nr = entity_nr)
           OR EXISTS (SELECT FROM iot.tenant WHERE nr = entity_nr)
           OR EXISTS (SELECT FROM iot.users WHERE nr = entity_nr);
END
$$;


-- Name and owners; all NULL when there is no such entity.

CREATE OR REPLACE FUNCTION iot.entity_face(entity_nr integer, OUT name text,
    OUT tenant_id uuid, OUT customer_id uuid)
LANGUAGE plpgsql STABLE
AS $$
#variable_conflict use_column
BEGIN
    SELECT f.name, f.tenant_id, f.customer_id
      INTO name, tenant_id, customer_id
      FROM (SELECT x.name, x.tenant_id, x.customer_id
              FROM iot.device x WHERE x.nr = entity_nr
             UNION ALL
            SELECT x.title, x.tenant_id, x.id
              FROM iot.customer x WHERE x.nr = entity_nr
             UNION ALL
            SELECT x.email, x.tenant_id, x.customer_id
              FROM iot.users x WHERE x.nr = entity_nr
             UNION ALL
            SELECT x.title, x.id, NULL
              FROM iot.tenant x WHERE x.nr = entity_nr) f;
END
$$;
