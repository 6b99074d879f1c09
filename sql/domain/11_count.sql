
--
-- Copyright (C) the ngx_iot authors
--
-- How many entities of a type a tenant has, or a customer or profile of it
-- (facet, for devices and assets).  The sums are kept by triggers.


CREATE OR REPLACE FUNCTION iot.entity_total(tenant uuid, entity_type text,
    facet uuid DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN (SELECT COALESCE(sum(c.n), 0)::bigint
            FROM iot.entity_count AS c
            WHERE c.tenant_id = tenant
                  AND c.entity_type = entity_total.entity_type
                  AND c.facet = COALESCE(entity_total.facet,
                      '00000000-0000-0000-0000-000000000000'));
END
$$;
