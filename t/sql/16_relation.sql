
--
-- Copyright (C) the ngx_iot authors
--
-- Relations: access to both ends, walks over levels and cycles, what becomes
-- of them when an entity goes.

BEGIN;

SELECT plan(36);

\ir fixture/people.sql

SELECT '403 permission_denied: You don''t have permission to perform this '
       'operation!' AS denied \gset

RESET ROLE;

CREATE FUNCTION pg_temp.ref(kind text, thing text) RETURNS json
LANGUAGE sql AS $$
    SELECT json_build_object('entityType', kind, 'id', pg_temp.id(thing))
$$;

CREATE FUNCTION pg_temp.rel(f json, t json, kind text DEFAULT 'Contains')
RETURNS json
LANGUAGE sql AS $$
    SELECT json_build_object('from', f, 'to', t, 'type', kind)
$$;

CREATE FUNCTION pg_temp.ends(answer jsonb, side text) RETURNS text
LANGUAGE sql AS $$
    SELECT string_agg(t.thing, ',' ORDER BY t.thing)
      FROM jsonb_array_elements(answer) r
      JOIN things t ON t.id = r -> side ->> 'id'
$$;

CREATE FUNCTION pg_temp.walk(who text, root text, direction text, levels int,
    last boolean, filters json DEFAULT '[]') RETURNS jsonb
LANGUAGE sql AS $$
    SELECT pg_temp.api(who, 'relations_find', '{}', '{}', json_build_object(
        'parameters', json_build_object('rootId', pg_temp.id(root),
            'rootType', 'DEVICE', 'direction', direction, 'maxLevel', levels,
            'fetchLastLevelOnly', last),
        'filters', filters))
$$;

SET ROLE iot_app;


-- save, read, delete

SELECT is(pg_temp.api('a', 'relation_save_v2', '{}', '{}',
              pg_temp.rel(pg_temp.ref('DEVICE', 'd1'),
                          pg_temp.ref('DEVICE', 'd2'))) - 'from' - 'to',
          '{"type":"Contains","typeGroup":"COMMON","additionalInfo":null,
            "version":1}'::jsonb, 'a relation');
SELECT is(pg_temp.api('a', 'relation_save', '{}', '{}',
              pg_temp.rel(pg_temp.ref('DEVICE', 'd1'),
                          pg_temp.ref('DEVICE', 'd2'))), NULL,
          'saved again, without an answer');

SELECT json_build_object('fromId', pg_temp.id('d1'), 'fromType', 'DEVICE',
           'relationType', 'Contains', 'toId', pg_temp.id('d2'),
           'toType', 'DEVICE') AS asked \gset

SELECT is(pg_temp.api('a', 'relation_get', '{}', :'asked') -> 'version', '2',
          'one row, in its second version');
SELECT is(pg_temp.refusal('a', 'relation_save', '{}', '{}',
              (pg_temp.rel(pg_temp.ref('DEVICE', 'd1'),
                           pg_temp.ref('DEVICE', 'd2'))::jsonb
               || '{"version":1}')::json),
          '409 version_conflict: Relation was already changed by someone else',
          'an outdated version');
SELECT is(pg_temp.api('a', 'relations_info', '{}', json_build_object('toId',
              pg_temp.id('d2'), 'toType', 'DEVICE')) -> 0 ->> 'fromName',
          'd1', 'with names');
SELECT is(pg_temp.ends(pg_temp.api('a', 'relations_from',
              ARRAY['DEVICE', pg_temp.id('d1'), 'Contains'], '{}'), 'to'),
          'd2', 'by a path');
SELECT is(pg_temp.api('a', 'relations_from',
              ARRAY['DEVICE', pg_temp.id('d1'), 'Other'], '{}'), '[]',
          'of another type');
SELECT is(pg_temp.api('a', 'relations', '{}', json_build_object('fromId',
              pg_temp.id('d1'), 'fromType', 'DEVICE', 'relationTypeGroup',
              'EDGE')), '[]', 'of another group');
SELECT is((SELECT count(*) FROM iot.audit_log
            WHERE action = 'RELATION_ADD_OR_UPDATE'), 4::bigint,
          'each change is in the log of both ends');


-- what is refused

SELECT is(pg_temp.refusal(v.who, 'relation_save', '{}', '{}', v.body), v.text,
          v.text)
  FROM (VALUES
    ('a', pg_temp.rel(pg_temp.ref('DEVICE', 'd1'),
                      pg_temp.ref('DEVICE', 'e1')),
        format('404 not_found: Device with id [%s] is not found',
               pg_temp.id('e1'))),
    ('a', pg_temp.rel(pg_temp.ref('ASSET', 'd1'),
                      pg_temp.ref('DEVICE', 'd2')),
        format('404 not_found: Asset with id [%s] is not found',
               pg_temp.id('d1'))),
    ('a', pg_temp.rel(pg_temp.ref('DEVICE', 'd1'), NULL),
        '400 bad_request: Relation should contain correct to entity!'),
    ('a', pg_temp.rel(pg_temp.ref('DEVICE', 'd1'),
                      pg_temp.ref('DEVICE', 'd2'), ' '),
        '400 bad_request: Relation type should be specified!'),
    ('a', pg_temp.rel(pg_temp.ref('DEVICE', 'd1'),
                      pg_temp.ref('''; --', 'd2')),
        '400 bad_request: Unsupported entity type: ''; --'),
    ('c1', pg_temp.rel(pg_temp.ref('DEVICE', 'd1'),
                       pg_temp.ref('DEVICE', 'd2')), :'denied'),
    ('c1', pg_temp.rel(pg_temp.ref('CUSTOMER', 'c1'),
                       pg_temp.ref('DEVICE', 'd1')), :'denied'),
    ('public', pg_temp.rel(pg_temp.ref('DEVICE', 'd1'),
                           pg_temp.ref('DEVICE', 'd1')), :'denied')
       ) v (who, body, text);

SELECT is(pg_temp.refusal('c1', 'relation_save', '{}', '{}',
              pg_temp.rel(pg_temp.ref('DEVICE', 'd1'),
                          pg_temp.ref('DEVICE', 'd1'), 'Self')), 'done',
          'a customer user may on its own device');
SELECT is(pg_temp.ends(pg_temp.api('c1', 'relations_from',
              ARRAY['DEVICE', pg_temp.id('d1')], '{}'), 'to'), 'd1',
          'and does not see where it may not read');
SELECT is(pg_temp.refusal('a', 'relation_get', '{}',
              (:'asked'::jsonb || '{"relationType":"None"}')::json),
          '404 not_found: Requested item wasn''t found!', 'there is none');
SELECT is(pg_temp.refusal('a', 'relations', '{}', '{"fromId":"x",
              "fromType":"DEVICE"}'),
          '400 bad_request: Invalid UUID string: x', 'no id');


-- walks: d1 -> d2 -> d3 -> d1, d2 -> d4, d1 -> d1

SELECT pg_temp.made(n, pg_temp.api('a', 'device_save', '{}', '{}',
           json_build_object('name', n)))
  FROM (VALUES ('d3'), ('d4')) v (n) \g /dev/null
SELECT pg_temp.api('a', 'relation_save', '{}', '{}',
           pg_temp.rel(pg_temp.ref('DEVICE', f), pg_temp.ref('DEVICE', t), k))
  FROM (VALUES ('d2', 'd3', 'Contains'), ('d3', 'd1', 'Contains'),
               ('d2', 'd4', 'Uses')) v (f, t, k) \g /dev/null

SELECT is(pg_temp.ends(pg_temp.walk('a', 'd1', 'FROM', 1, false), 'to'),
          'd1,d2', 'one level');
SELECT is(pg_temp.ends(pg_temp.walk('a', 'd1', 'FROM', 2, false), 'to'),
          'd1,d2,d3,d4', 'two levels');
SELECT is(pg_temp.ends(pg_temp.walk('a', 'd1', 'FROM', 0, false), 'to'),
          'd1,d1,d2,d3,d4', 'all levels; the cycle ends');
SELECT is(pg_temp.ends(pg_temp.walk('a', 'd1', 'FROM', 0, true), 'to'), 'd4',
          'where it leads no further');
SELECT is(pg_temp.ends(pg_temp.walk('a', 'd1', 'FROM', 2, true), 'to'),
          'd3,d4', 'or on the last level');
SELECT is(pg_temp.ends(pg_temp.walk('a', 'd4', 'TO', 0, false), 'from'),
          'd1,d1,d2,d2,d3', 'backwards');
SELECT is(pg_temp.ends(pg_temp.walk('a', 'd1', 'FROM', 0, false,
              '[{"relationType":"Uses","entityTypes":["DEVICE"]}]'), 'to'),
          'd4', 'filtered');
SELECT is(pg_temp.ends(pg_temp.walk('a', 'd1', 'FROM', 0, false,
              '[{"relationType":"Contains","negate":true}]'), 'to'),
          'd1,d4', 'filtered by what it is not');
SELECT is(pg_temp.ends(pg_temp.walk('c1', 'd1', 'FROM', 0, false), 'to'),
          'd1', 'only what the caller may read');

SELECT is(jsonb_array_length(pg_temp.api('a', 'devices_find', '{}', '{}',
              json_build_object('parameters', json_build_object('rootId',
                  pg_temp.id('d1'), 'rootType', 'DEVICE', 'direction', 'FROM'),
                  'relationType', 'Contains', 'deviceTypes',
                  '["default"]'::json))), 2, 'devices by their relations');
SELECT is(pg_temp.refusal('a', 'devices_find', '{}', '{}',
              '{"relationType":"Contains","deviceTypes":["default"]}'),
          '400 bad_request: Parameters of the query are missing!',
          'without parameters');


-- the end

SELECT pg_temp.api('a', 'device_delete', ARRAY[pg_temp.id('d2')]) \g /dev/null
SELECT is((SELECT count(*) FROM iot.relation), 2::bigint,
          'relations go with the device');
SELECT is(pg_temp.refusal('a', 'relation_delete', '{}', :'asked'),
          format('404 not_found: Device with id [%s] is not found',
                 pg_temp.id('d2')), 'nothing to delete');
SELECT is(pg_temp.refusal('c1', 'relations_delete', '{}',
              json_build_object('entityId', pg_temp.id('d3'),
                                'entityType', 'DEVICE')), :'denied',
          'not by others');
SELECT pg_temp.api('a', 'relations_delete', '{}', json_build_object(
           'entityId', pg_temp.id('d1'), 'entityType', 'DEVICE'))
       \g /dev/null
SELECT is((SELECT count(*) FROM iot.relation), 0::bigint, 'all at once');


SELECT * FROM finish();

ROLLBACK;
