
--
-- Copyright (C) the ngx_iot authors
--
-- The numbers of entities that triggers keep, and pages that rely on them.

BEGIN;

SELECT plan(23);

\ir fixture/people.sql

RESET ROLE;

-- what is counted against what is there
CREATE FUNCTION pg_temp.wrong() RETURNS SETOF text
LANGUAGE sql AS $$
    WITH real AS (
        SELECT tenant_id, 'DEVICE' AS type, f.facet, count(*) AS n
          FROM iot.device d CROSS JOIN LATERAL (VALUES
               ('00000000-0000-0000-0000-000000000000'::uuid),
               (d.customer_id), (d.profile_id)) f (facet)
         WHERE f.facet IS NOT NULL GROUP BY 1, 3
         UNION ALL
        SELECT tenant_id, 'ASSET', f.facet, count(*)
          FROM iot.asset d CROSS JOIN LATERAL (VALUES
               ('00000000-0000-0000-0000-000000000000'::uuid),
               (d.customer_id), (d.profile_id)) f (facet)
         WHERE f.facet IS NOT NULL GROUP BY 1, 3
         UNION ALL
        SELECT tenant_id, entity_type, '00000000-0000-0000-0000-000000000000',
               count(*)
          FROM iot.entity WHERE entity_type IN ('CUSTOMER', 'USER',
                   'DASHBOARD', 'ENTITY_VIEW') AND tenant_id IS NOT NULL
         GROUP BY 1, 2
    ), kept AS (
        SELECT tenant_id, entity_type, facet, sum(n) AS n
          FROM iot.entity_count GROUP BY 1, 2, 3 HAVING sum(n) <> 0
    )
    SELECT concat_ws(' ', r.type, k.entity_type, k.facet, r.n, k.n)
      FROM real r FULL JOIN kept k
        ON (k.tenant_id, k.entity_type, k.facet)
           = (r.tenant_id, r.type, r.facet)
     WHERE r.n IS DISTINCT FROM k.n
$$;

CREATE FUNCTION pg_temp.total(who text, fn text, path text[], query text)
RETURNS text
LANGUAGE sql AS $$
    SELECT concat_ws('/', a -> 'totalElements',
                     jsonb_array_length(a -> 'data'), a -> 'hasNext')
      FROM pg_temp.api(who, fn, path, query::json) a
$$;

SET ROLE iot_app;


-- one by one and many at once

SELECT pg_temp.made(n, pg_temp.api('a', 'device_save', '{}', '{}',
           json_build_object('name', n, 'type', 'pump')))
  FROM (VALUES ('x1'), ('x2'), ('x3')) v (n) \g /dev/null
SELECT pg_temp.made('a1', pg_temp.api('a', 'asset_save', '{}', '{}',
           '{"name":"a1"}')) \g /dev/null
SELECT pg_temp.api('a', 'dashboard_save', '{}', '{}', '{"title":"t"}')
       \g /dev/null
SELECT pg_temp.api('a', 'device_assign', ARRAY[pg_temp.id('c2'),
           pg_temp.id('x1')]) \g /dev/null

RESET ROLE;
SELECT is_empty('SELECT * FROM pg_temp.wrong()', 'after inserts and updates');
SET ROLE iot_app;

SELECT is(pg_temp.total(v.who, v.fn, v.path, v.query), v.text,
          concat_ws(' ', v.who, v.fn, v.query))
  FROM (VALUES
    ('a', 'tenant_devices', '{}'::text[], '{"pageSize":"2","page":"0"}',
        '5/2/true'),
    ('a', 'tenant_devices', '{}', '{"pageSize":"2","page":"2"}', '5/1/false'),
    ('a', 'tenant_devices', '{}', '{"pageSize":"2","page":"3"}', '5/0/false'),
    ('a', 'tenant_devices', '{}', '{"pageSize":"2","page":"0","type":"pump"}',
        '4/2/true'),
    ('a', 'tenant_devices', '{}', '{"pageSize":"2","page":"0","type":"no"}',
        '0/0/false'),
    ('a', 'tenant_devices', '{}', '{"pageSize":"2","page":"0",
        "textSearch":"x"}', '3/2/true'),
    ('a', 'tenant_device_infos', '{}', '{"pageSize":"2","page":"0",
        "active":"true"}', '0/0/false'),
    ('a', 'customer_devices', ARRAY[pg_temp.id('c2')], '{"pageSize":"1",
        "page":"0"}', '1/1/false'),
    ('c2', 'customer_devices', ARRAY[pg_temp.id('c2')], '{"pageSize":"1",
        "page":"0"}', '1/1/false'),
    ('a', 'customer_devices', ARRAY[pg_temp.id('c2')], '{"pageSize":"1",
        "page":"0","type":"pump"}', '1/1/false'),
    ('b', 'tenant_devices', '{}', '{"pageSize":"1","page":"0"}', '1/1/false')
       ) v (who, fn, path, query, text);

SELECT is(pg_temp.api('a', 'usage') - ARRAY(SELECT k FROM jsonb_object_keys(
              pg_temp.api('a', 'usage')) k WHERE k NOT IN ('devices',
                  'assets', 'customers', 'users', 'dashboards')),
          '{"devices":5,"assets":1,"customers":2,"users":3,
            "dashboards":1}'::jsonb, 'the usage of a tenant');


SELECT is((SELECT string_agg(x ->> 'type', ',')
             FROM jsonb_array_elements(pg_temp.api('a', 'tenant_devices',
                 '{}', '{"pageSize":"3","page":"0","sortProperty":"type"}')
                 -> 'data') x), 'default,pump,pump', 'by type');


-- pages far from the beginning, from either end

RESET ROLE;
INSERT INTO iot.device (tenant_id, profile_id, name, label)
SELECT d.tenant_id, d.profile_id, 'n' || lpad(i::text, 5, '0'),
       CASE WHEN i % 3 > 0 THEN 'l' || i % 7 END
  FROM iot.device d, generate_series(1, 3000) i
 WHERE d.id = pg_temp.id('e1')::uuid;
SELECT is_empty('SELECT * FROM pg_temp.wrong()', 'after many');
SET ROLE iot_app;

SELECT is((SELECT string_agg(x -> 'id' ->> 'id', ',')
             FROM jsonb_array_elements(pg_temp.api('b', 'tenant_devices',
                 '{}', json_build_object('pageSize', '7', 'page', v.page,
                     'sortProperty', v.sort, 'sortOrder', v.way)) -> 'data')
                  x),
          v.wanted, concat_ws(' ', 'page', v.page, 'by', v.sort, v.way))
  FROM (SELECT p.page, s.sort, w.way,
               (SELECT string_agg(d.id::text, ',' ORDER BY d.rank)
                  FROM (SELECT d.id, CASE w.way WHEN 'ASC'
                               THEN row_number() OVER (ORDER BY
                                   CASE s.sort WHEN 'name' THEN d.name
                                   ELSE d.label END, d.id)
                               ELSE row_number() OVER (ORDER BY
                                   CASE s.sort WHEN 'name' THEN d.name
                                   ELSE d.label END DESC, d.id DESC)
                               END AS rank
                          FROM iot.device d
                         WHERE d.tenant_id = pg_temp.id('B')::uuid) d
                 WHERE d.rank BETWEEN p.page * 7 + 1 AND p.page * 7 + 7)
               AS wanted
          FROM (VALUES (150), (300)) p (page),
               (VALUES ('name'), ('label')) s (sort),
               (VALUES ('ASC'), ('DESC')) w (way)
         WHERE iot.enter(pg_temp.caller('b')) IS NOT NULL) v
 WHERE v.sort = 'label' OR v.way = 'DESC';


-- and gone

SELECT pg_temp.api('a', 'customer_delete', ARRAY[pg_temp.id('c2')])
       \g /dev/null
SELECT pg_temp.api('a', 'device_move', ARRAY[pg_temp.id('B'),
           pg_temp.id('x2')]) \g /dev/null
SELECT pg_temp.api('a', 'device_delete', ARRAY[pg_temp.id('x3')])
       \g /dev/null
RESET ROLE;
SELECT is_empty('SELECT * FROM pg_temp.wrong()',
                'after a customer, a move, a delete');
SET ROLE iot_app;
SELECT pg_temp.api('sys', 'tenant_delete', ARRAY[pg_temp.id('B')])
       \g /dev/null
RESET ROLE;
SELECT is_empty('SELECT * FROM pg_temp.wrong()', 'after a tenant');


SELECT * FROM finish();

ROLLBACK;
