
--
-- Copyright (C) the ngx_iot authors
--
-- Assets, dashboards and entity views between tenants and customers.

BEGIN;

SELECT plan(47);

\ir fixture/people.sql

SELECT '403 permission_denied: You don''t have permission to perform this '
       'operation!' AS denied \gset

SELECT pg_temp.made('a1', pg_temp.api('a', 'asset_save', '{}', '{}',
           json_build_object('name', 'a1', 'customerId',
               json_build_object('id', pg_temp.id('c1'))))) \g /dev/null
SELECT pg_temp.made('a2', pg_temp.api('a', 'asset_save', '{}', '{}',
           '{"name":"a2"}')) \g /dev/null
SELECT pg_temp.made('b1', pg_temp.api('b', 'asset_save', '{}', '{}',
           '{"name":"a1"}')) \g /dev/null
SELECT pg_temp.made('v1', pg_temp.api('a', 'entity_view_save', '{}', '{}',
           json_build_object('name', 'v1', 'type', 't',
               'customerId', json_build_object('id', pg_temp.id('c1')),
               'entityId', json_build_object('entityType', 'DEVICE',
                   'id', pg_temp.id('d2'))))) \g /dev/null
SELECT pg_temp.made('b2', pg_temp.api('a', 'dashboard_save', '{}', '{}',
           '{"title":"b2"}')) \g /dev/null
SELECT pg_temp.api('a', 'dashboard_assign', ARRAY[pg_temp.id('c1'),
           pg_temp.id('b2')]) \g /dev/null


-- the second wall

SELECT iot.enter(pg_temp.caller('b')) \g /dev/null
SELECT is((SELECT count(*) FROM iot.asset), 1::bigint, 'own assets');
SELECT is((SELECT count(*) FROM iot.asset_profile), 1::bigint,
          'own profiles');
SELECT is((SELECT count(*) FROM iot.dashboard) + (SELECT count(*)
              FROM iot.dashboard_customer) + (SELECT count(*)
              FROM iot.entity_view), 0::bigint, 'nothing of others');
SELECT is((SELECT count(*) FROM iot.entity WHERE tenant_id
              <> pg_temp.id('B')::uuid), 0::bigint, 'nor by the view of all');
SELECT alike(pg_temp.fails(format('INSERT INTO iot.relation VALUES (%L, '
                 '''DEVICE'', %2$L, ''DEVICE'', %2$L, ''x'')',
                 pg_temp.id('A'), pg_temp.id('d1'))), '42501%',
             'nothing can be put elsewhere');


-- by id

SELECT is(pg_temp.refusal(v.who, v.fn, ARRAY[pg_temp.id(v.thing)]),
          CASE v.answer WHEN 'missing' THEN format('404 not_found: %s with id '
              '[%s] is not found', v.kind, pg_temp.id(v.thing))
          ELSE v.answer END, concat_ws(' ', v.who, v.fn, v.thing))
  FROM (VALUES
    ('a', 'asset_get', 'a1', 'Asset', 'done'),
    ('b', 'asset_get', 'a1', 'Asset', 'missing'),
    ('c1', 'asset_get', 'a1', 'Asset', 'done'),
    ('c2', 'asset_get', 'a1', 'Asset', :'denied'),
    ('public', 'asset_get', 'a1', 'Asset', 'done'),
    ('public', 'asset_unassign', 'a1', 'Asset', :'denied'),
    ('c1', 'asset_delete', 'a1', 'Asset', :'denied'),
    ('c1', 'asset_unassign', 'a1', 'Asset', :'denied'),
    ('b', 'asset_delete', 'a1', 'Asset', 'missing'),
    ('b', 'entity_view_get', 'v1', 'Entity view', 'missing'),
    ('c1', 'entity_view_get', 'v1', 'Entity view', 'done'),
    ('c2', 'entity_view_info_get', 'v1', 'Entity view', :'denied'),
    ('b', 'dashboard_get', 'b2', 'Dashboard', 'missing'),
    ('c1', 'dashboard_get', 'b2', 'Dashboard', 'done'),
    ('public', 'dashboard_get', 'b2', 'Dashboard', 'done'),
    ('c2', 'dashboard_get', 'b2', 'Dashboard', :'denied'),
    ('c1', 'dashboard_delete', 'b2', 'Dashboard', :'denied'),
    ('b', 'dashboard_customers_add', 'b2', 'Dashboard', 'missing')
       ) v (who, fn, thing, kind, answer);

SELECT is(pg_temp.refusal('b', 'dashboard_assign', ARRAY[pg_temp.id('c1'),
              pg_temp.id('b2')]),
          format('404 not_found: Dashboard with id [%s] is not found',
                 pg_temp.id('b2')), 'nor given to a foreign customer');
SELECT is(pg_temp.refusal('b', 'asset_save', '{}', '{}', json_build_object(
              'name', 'x', 'customerId', json_build_object('id',
                  pg_temp.id('c1')))),
          '400 bad_request: Can''t assign asset to customer from different '
          'tenant!', 'nor an asset');
SELECT is(pg_temp.refusal('b', 'entity_view_save', '{}', '{}',
              json_build_object('name', 'x', 'type', 't', 'entityId',
                  json_build_object('entityType', 'DEVICE',
                      'id', pg_temp.id('d1')))),
          format('404 not_found: Device with id [%s] is not found',
                 pg_temp.id('d1')), 'nor viewed');


-- texts are only texts, and not HTML

SELECT is(pg_temp.api('a', v.fn, '{}', '{}', json_build_object(
              'name', v.text, 'title', v.text, 'type', 't', 'entityId',
              json_build_object('entityType', 'DEVICE',
                                'id', pg_temp.id('d2')))) ->> 'name',
          v.text, v.fn || ' keeps ' || v.text)
  FROM (VALUES
    ('asset_save', $q$'; DROP TABLE iot.asset; --$q$),
    ('asset_profile_save', $q$\x27) OR 1=1 --$q$),
    ('entity_view_save', $q$a' || (SELECT 'b') || '$q$),
    ('dashboard_save', E'%s $1 \\" \r\nSet-Cookie: a=b')
       ) v (fn, text);

SELECT is(pg_temp.refusal('a', v.fn, '{}', '{}', json_build_object(
              v.field, '<img src=x onerror=alert(1)>')),
          format('400 bad_request: %s is malformed', v.field), v.fn)
  FROM (VALUES ('asset_save', 'name'), ('asset_save', 'label'),
               ('asset_profile_save', 'description'),
               ('entity_view_save', 'type'), ('dashboard_save', 'title'),
               ('relation_save', 'type')) v (fn, field);

SELECT is((pg_temp.api('a', 'tenant_assets', '{}', json_build_object(
               'pageSize', '5', 'page', '0', 'textSearch', v.text))
               ->> 'totalElements')::integer, v.n, 'a search for ' || v.text)
  FROM (VALUES ($q$'; DROP$q$, 1), ('%', 0), ('_', 0), ($q$\$q$, 0))
       v (text, n);
SELECT is(pg_temp.refusal('a', 'tenant_assets', '{}', '{"pageSize":"5",
              "page":"0","sortProperty":"d.name; DROP TABLE iot.asset"}'),
          '400 bad_request: Unsupported sort property ''d.name; DROP TABLE '
          'iot.asset''!', 'an order is a name from a list');


-- what is viewed stays; a customer leaves nothing behind; a tenant neither

SELECT is(pg_temp.refusal('a', 'device_delete', ARRAY[pg_temp.id('d2')]),
          '400 bad_request: Can''t delete device that has entity views!',
          'a viewed device stays');
SELECT is(pg_temp.refusal('a', 'device_move', ARRAY[pg_temp.id('B'),
              pg_temp.id('d2')]),
          '400 bad_request: Can''t assign device that has entity views to '
          'another tenant!', 'where it is');

SELECT pg_temp.api('a', 'customer_delete', ARRAY[pg_temp.id('c1')])
       \g /dev/null
SELECT is((SELECT count(*) FROM iot.entity WHERE customer_id
              = pg_temp.id('c1')::uuid), 0::bigint,
          'nothing is left to a customer that is gone');
SELECT is((SELECT count(*) FROM iot.dashboard_customer), 0::bigint,
          'nor a dashboard');

RESET ROLE;
SELECT is((SELECT count(*) FROM iot.entity WHERE tenant_id
              = pg_temp.id('A')::uuid AND entity_type <> 'USER'), 16::bigint,
          'before the end');
SET ROLE iot_app;
SELECT pg_temp.api('sys', 'tenant_delete', ARRAY[pg_temp.id('A')])
       \g /dev/null
RESET ROLE;
SELECT is((SELECT count(*) FROM iot.entity WHERE tenant_id
              = pg_temp.id('A')::uuid), 0::bigint, 'all of a tenant goes');


SELECT * FROM finish();

ROLLBACK;
