
--
-- Copyright (C) the ngx_iot authors
--
-- How many entities a tenant has, kept by triggers in the transactions that
-- change it, so that neither a page of a list nor a cap has to count rows.
--
-- facet: the zero UUID for all of the tenant; for devices and assets also a
-- customer or a profile.  A number is the sum over its slots: a connection
-- adds to a slot of its own, so that those who create at the same time do not
-- wait for each other.


CREATE TABLE iot.entity_count (
    tenant_id    uuid NOT NULL,
    entity_type  text NOT NULL,
    facet        uuid NOT NULL,
    slot         smallint NOT NULL,
    n            bigint NOT NULL,
    PRIMARY KEY (tenant_id, entity_type, facet, slot)
) WITH (fillfactor = 50);

GRANT SELECT ON iot.entity_count TO iot_app;

ALTER TABLE iot.entity_count ENABLE ROW LEVEL SECURITY;

CREATE POLICY entity_count_own ON iot.entity_count
    USING (tenant_id = (SELECT iot.tenant()) OR (SELECT iot.is_system()));

-- the total of a list, if it is known without counting, see iot.page_rows()
ALTER TYPE iot.page ADD ATTRIBUTE total bigint;

CREATE INDEX device_by_label ON iot.device (tenant_id, label, id);
CREATE INDEX asset_by_label ON iot.asset (tenant_id, label, id);
CREATE INDEX customer_by_time ON iot.customer (tenant_id, created_time, id);
CREATE INDEX users_by_time ON iot.users (tenant_id, created_time, id);


-- The only writer of the table: adds the numbers in the order of the key, the
-- one of the whole tenant first, so that nobody waits in a circle.

CREATE FUNCTION iot.count_add(tenants uuid[], type text, facets uuid[],
    numbers bigint[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
BEGIN
    INSERT INTO iot.entity_count AS c (tenant_id, entity_type, facet, slot, n)
    SELECT d.tenant, count_add.type, d.facet, pg_backend_pid() % 16, sum(d.n)
    FROM unnest(tenants, facets, numbers) AS d (tenant, facet, n)
    WHERE d.tenant IS NOT NULL AND d.facet IS NOT NULL
    GROUP BY d.tenant, d.facet
    HAVING sum(d.n) <> 0
    ORDER BY d.tenant, d.facet
    ON CONFLICT ON CONSTRAINT entity_count_pkey
        DO UPDATE SET n = c.n + excluded.n;
END
$$;

REVOKE EXECUTE ON FUNCTION iot.count_add(uuid[], text, uuid[], bigint[])
    FROM PUBLIC;


-- Rows that have a customer and a profile.

CREATE FUNCTION iot.count_owned() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
DECLARE
    tenants  uuid[];
    facets   uuid[];
    numbers  bigint[];
BEGIN
    IF TG_OP <> 'DELETE' THEN
        SELECT array_agg(f.tenant_id), array_agg(f.facet), array_agg(f.n)
        INTO tenants, facets, numbers
        FROM (SELECT c.tenant_id, f.facet, count(*) AS n
              FROM came AS c
                  CROSS JOIN LATERAL (VALUES
                      ('00000000-0000-0000-0000-000000000000'::uuid),
                      (c.customer_id), (c.profile_id)) AS f (facet)
              GROUP BY c.tenant_id, f.facet) AS f;
    END IF;

    IF TG_OP <> 'INSERT' THEN
        SELECT tenants || array_agg(f.tenant_id), facets || array_agg(f.facet),
               numbers || array_agg(f.n)
        INTO tenants, facets, numbers
        FROM (SELECT g.tenant_id, f.facet, - count(*) AS n
              FROM gone AS g
                  CROSS JOIN LATERAL (VALUES
                      ('00000000-0000-0000-0000-000000000000'::uuid),
                      (g.customer_id), (g.profile_id)) AS f (facet)
              GROUP BY g.tenant_id, f.facet) AS f;
    END IF;

    PERFORM iot.count_add(tenants, TG_ARGV[0], facets, numbers);

    RETURN NULL;
END
$$;


-- All others; none of them changes its tenant.

CREATE FUNCTION iot.count_plain() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
DECLARE
    zero     CONSTANT uuid := '00000000-0000-0000-0000-000000000000';
    tenants  uuid[];
    numbers  bigint[];
BEGIN
    IF TG_OP = 'INSERT' THEN
        SELECT array_agg(c.tenant_id), array_agg(c.n) INTO tenants, numbers
        FROM (SELECT t.tenant_id, count(*) AS n FROM came AS t
              GROUP BY t.tenant_id) AS c;
    ELSE
        SELECT array_agg(c.tenant_id), array_agg(c.n) INTO tenants, numbers
        FROM (SELECT t.tenant_id, - count(*) AS n FROM gone AS t
              GROUP BY t.tenant_id) AS c;
    END IF;

    PERFORM iot.count_add(tenants, TG_ARGV[0],
        array_fill(zero, ARRAY[COALESCE(cardinality(tenants), 0)]), numbers);

    RETURN NULL;
END
$$;


CREATE FUNCTION iot.count_forget() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
BEGIN
    DELETE FROM iot.entity_count AS c WHERE c.tenant_id = OLD.id;

    RETURN NULL;
END
$$;

CREATE TRIGGER count_forget AFTER DELETE ON iot.tenant
    FOR EACH ROW EXECUTE FUNCTION iot.count_forget();

INSERT INTO iot.definer_function (name, why)
VALUES ('iot.count_add', 'for the triggers that count'),
       ('iot.count_owned', 'a trigger, for whoever changes an entity'),
       ('iot.count_plain', 'a trigger, for whoever changes an entity'),
       ('iot.count_forget', 'a trigger, for whoever deletes a tenant');


-- With the triggers, the numbers of what is there already.

DO $$
DECLARE
    zero    CONSTANT uuid := '00000000-0000-0000-0000-000000000000';
    entity  text[];
BEGIN
    FOREACH entity SLICE 1 IN ARRAY
        '{{device,DEVICE},{asset,ASSET}}'::text[]
    LOOP
        EXECUTE format('LOCK TABLE iot.%I IN SHARE MODE', entity[1]);
        EXECUTE format('CREATE TRIGGER count_came AFTER INSERT ON iot.%I '
            'REFERENCING NEW TABLE AS came FOR EACH STATEMENT '
            'EXECUTE FUNCTION iot.count_owned(%L)', entity[1], entity[2]);
        EXECUTE format('CREATE TRIGGER count_gone AFTER DELETE ON iot.%I '
            'REFERENCING OLD TABLE AS gone FOR EACH STATEMENT '
            'EXECUTE FUNCTION iot.count_owned(%L)', entity[1], entity[2]);
        EXECUTE format('CREATE TRIGGER count_changed AFTER UPDATE ON iot.%I '
            'REFERENCING OLD TABLE AS gone NEW TABLE AS came '
            'FOR EACH STATEMENT EXECUTE FUNCTION iot.count_owned(%L)',
            entity[1], entity[2]);
        EXECUTE format('INSERT INTO iot.entity_count '
            'SELECT t.tenant_id, %2$L, f.facet, 0, count(*) FROM iot.%1$I AS t '
            'CROSS JOIN LATERAL (VALUES (%3$L::uuid), (t.customer_id), '
            '(t.profile_id)) AS f (facet) WHERE f.facet IS NOT NULL '
            'GROUP BY t.tenant_id, f.facet', entity[1], entity[2], zero);
    END LOOP;

    FOREACH entity SLICE 1 IN ARRAY
        '{{customer,CUSTOMER},{users,USER},{dashboard,DASHBOARD},
          {entity_view,ENTITY_VIEW}}'::text[]
    LOOP
        EXECUTE format('LOCK TABLE iot.%I IN SHARE MODE', entity[1]);
        EXECUTE format('CREATE TRIGGER count_came AFTER INSERT ON iot.%I '
            'REFERENCING NEW TABLE AS came FOR EACH STATEMENT '
            'EXECUTE FUNCTION iot.count_plain(%L)', entity[1], entity[2]);
        EXECUTE format('CREATE TRIGGER count_gone AFTER DELETE ON iot.%I '
            'REFERENCING OLD TABLE AS gone FOR EACH STATEMENT '
            'EXECUTE FUNCTION iot.count_plain(%L)', entity[1], entity[2]);
        EXECUTE format('INSERT INTO iot.entity_count '
            'SELECT t.tenant_id, %2$L, %3$L::uuid, 0, count(*) '
            'FROM iot.%1$I AS t WHERE t.tenant_id IS NOT NULL '
            'GROUP BY t.tenant_id', entity[1], entity[2], zero);
    END LOOP;
END
$$;
