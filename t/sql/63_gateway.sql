
--
-- Copyright (C) the ngx_iot authors
--
-- Devices behind gateways, and claims.

BEGIN;

SELECT plan(26);

\ir fixture/people.sql

RESET ROLE;

UPDATE iot.device SET is_gateway = true, additional_info = '{"gateway":true}'
 WHERE id = pg_temp.id('d1')::uuid;

SELECT pg_temp.id('A')::uuid AS a, pg_temp.id('d1')::uuid AS g \gset

CREATE FUNCTION pg_temp.behind(names text[], make boolean DEFAULT true,
    tenant text DEFAULT pg_temp.id('A'), via text DEFAULT pg_temp.id('d1'))
RETURNS text
LANGUAGE sql AS $$
    SELECT string_agg(concat_ws(' ', b.name, COALESCE(b.refused, 'ok')), ', ')
      FROM iot.gateway_devices(tenant::uuid, via::uuid, names,
               array_fill(''::text, ARRAY[cardinality(names)]), make) AS b
$$;

SET ROLE iot_app;


-- d1 belongs to customer c1

SELECT is(pg_temp.behind('{x}', false), 'x missing', 'nothing is made');
SELECT is(pg_temp.behind('{x, y}'), 'x ok, y ok', 'two are made');
SELECT is(pg_temp.behind('{y, x, z}'), 'y ok, x ok, z ok',
          'the order is that of the question');
SELECT is(pg_temp.behind('{d2}'), 'd2 foreign', 'of the tenant itself');
SELECT is(pg_temp.behind('{x}', true, pg_temp.id('A'), pg_temp.id('d2')), NULL,
          'one that is no gateway gets no answer');
SELECT is(pg_temp.behind('{x}', true, pg_temp.id('B')), NULL,
          'nor has another tenant the gateway');

RESET ROLE;
SELECT is((SELECT count(*) FROM iot.device AS d
            WHERE d.tenant_id = :'a' AND d.name IN ('x', 'y', 'z')
                  AND d.customer_id = pg_temp.id('c1')::uuid
                  AND d.additional_info ->> 'lastConnectedGateway' = :'g'),
          3::bigint, 'they have its customer, and it is noted');
SELECT is((SELECT count(*) FROM iot.audit_log AS l
            WHERE l.tenant_id = :'a' AND l.action = 'ADDED'
                  AND l.entity_name IN ('x', 'y', 'z')), 3::bigint,
          'the audit log has them');

SELECT is((SELECT count(*) FROM iot.relation AS r
             JOIN iot.device AS d ON d.id = r.to_id
            WHERE r.from_id = :'g' AND r.type = 'Created'
                  AND d.name IN ('x', 'y', 'z')), 3::bigint,
          'the gateway has a relation to each');

UPDATE iot.device SET enabled = false WHERE name = 'x';
SELECT is(pg_temp.behind('{x}'), 'x foreign', 'one that was switched off');
UPDATE iot.device SET enabled = true, customer_id = NULL WHERE name = 'x';
SELECT is(pg_temp.behind('{x}'), 'x ok', 'one that it had, of nobody now');
UPDATE iot.device SET customer_id = pg_temp.id('c2')::uuid WHERE name = 'x';
SELECT is(pg_temp.behind('{x}'), 'x foreign', 'of another customer now');
UPDATE iot.device SET customer_id = NULL WHERE id = :'g';
SELECT is(pg_temp.behind('{x, d2}'), 'x ok, d2 ok',
          'a gateway of the tenant may speak for all');
SELECT is((SELECT additional_info ->> 'lastConnectedGateway' FROM iot.device
            WHERE id = pg_temp.id('d2')::uuid), :'g', 'which is noted');

UPDATE iot.tenant_profile SET data = jsonb_set(data::jsonb,
    '{configuration,maxDevices}', '6');
SELECT is(pg_temp.behind('{l3, l1, l2}'), 'l3 limit, l1 ok, l2 limit',
          'one more is allowed: the first by its name');
UPDATE iot.device SET is_gateway = false WHERE id = :'g';
SELECT is(pg_temp.behind('{x}'), NULL, 'it is a gateway no longer');


-- attributes

SELECT nr FROM iot.device WHERE name = 'x' AND tenant_id = :'a' \gset
SELECT iot.attribute_save(:nr, 1::smallint,
    '[["k","s","v"],["n","l","5"],["j","j","{\"a\":1}"]]') \g /dev/null
SELECT iot.attribute_save(:nr, 2::smallint, '[["k","b","true"]]') \g /dev/null
SET ROLE iot_app;

SELECT is(iot.gateway_attributes(:nr, v.client, v.names::text[]), v.answer,
          v.names)
  FROM (VALUES
    (true, '{k}', '"value":"v"'),
    (false, '{k}', '"value":true'),
    (false, '{n}', ''),
    (true, '{k, n, j, x}', '"values":{"j":{"a":1},"k":"v","n":5}'),
    (true, '{}', '"values":{}'))
       v (client, names, answer);


-- claims

RESET ROLE;
UPDATE iot.device SET customer_id = NULL WHERE name IN ('x', 'y');
SET ROLE iot_app;

SELECT is(iot.claim_offer(:'a', ARRAY[pg_temp.id('d2')::uuid, d.id, d.id],
              '{a, b, c}', '{0, 0, 60000}'), 0, 'offered, one of them twice')
  FROM (SELECT iot.enter(pg_temp.caller('a'))) AS e,
       LATERAL (SELECT id FROM iot.device WHERE name = 'x') AS d;
SELECT is(pg_temp.refusal('a', 'device_claim', '{x}'),
          '403 permission_denied: You don''t have permission to perform this '
          'operation!', 'a tenant does not claim');
SELECT is(pg_temp.refusal('public', 'device_claim', '{x}'),
          '403 permission_denied: You don''t have permission to perform this '
          'operation!', 'nor does the public');
SELECT is(pg_temp.api('c1', 'device_claim', '{x}', '{}', '{"secretKey":"b"}'),
          '{"status":400,"headers":null,"body":"\"FAILURE\""}',
          'the last word counts');
SELECT is((pg_temp.api('c1', 'device_claim', '{x}', '{}', '{"secretKey":"c"}')
           ->> 'body')::json ->> 'response', 'SUCCESS', 'which is this');

SELECT * FROM finish();

ROLLBACK;
