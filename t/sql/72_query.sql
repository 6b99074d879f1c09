
--
-- Copyright (C) the ngx_iot authors
--
-- Queries over entities and their alarms.

BEGIN;

SELECT no_plan();

\ir fixture/people.sql

RESET ROLE;

-- names of what is found, or the refusal
CREATE FUNCTION pg_temp.names(who text, more jsonb) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    body    json;
    answer  jsonb;
    n       jsonb;
BEGIN
    body := ('{"entityFilter":{"type":"entityType","entityType":"DEVICE"},
               "entityFields":[{"type":"ENTITY_FIELD","key":"name"}],
               "pageLink":{"page":0,"pageSize":100,"sortOrder":{"key":
                   {"type":"ENTITY_FIELD","key":"name"},
                   "direction":"ASC"}}}'::jsonb || more)::json;

    IF pg_temp.refusal(who, 'entities_find', '{}', '{}', body) <> 'done' THEN
        RETURN pg_temp.refusal(who, 'entities_find', '{}', '{}', body);
    END IF;

    answer := pg_temp.api(who, 'entities_find', '{}', '{}', body);
    n := pg_temp.api(who, 'entities_count', '{}', '{}', body);

    IF n <> answer -> 'totalElements' THEN
        RETURN 'count ' || n || ' of ' || (answer -> 'totalElements');
    END IF;

    RETURN (SELECT string_agg(d #>> '{latest,ENTITY_FIELD,name,value}', ','
                              ORDER BY i)
              FROM jsonb_array_elements(answer -> 'data')
                   WITH ORDINALITY AS x (d, i));
END
$$;

CREATE FUNCTION pg_temp.filter(type text, name text, kind text, op text,
    value jsonb, more jsonb DEFAULT '{}') RETURNS jsonb
LANGUAGE sql AS $$
    SELECT jsonb_build_object('keyFilters', jsonb_build_array(
        jsonb_build_object('key', jsonb_build_object('type', type, 'key',
                                                     name),
            'valueType', kind,
            'predicate', jsonb_build_object('type', kind, 'operation', op,
                'value', jsonb_build_object('defaultValue', value))
                || more)))
$$;

CREATE FUNCTION pg_temp.set_attribute(thing text, scope integer,
    vals json) RETURNS void
LANGUAGE sql AS $$
    SELECT iot.attribute_save(d.nr, scope::smallint, vals)
      FROM iot.device d WHERE d.id = pg_temp.id(thing)::uuid
$$;

SELECT pg_temp.set_attribute('d1', 2, '[["advt_mac","s","AA:BB"]]'),
       pg_temp.set_attribute('d1', 3, '[["payg_type","s","AirLink"],
           ["n","l","5"],["on","b","true"],["both","s","server"]]'),
       pg_temp.set_attribute('d2', 3, '[["n","d","7.5"],["on","b","false"],
           ["s","s","it''s \"x\""]]') \g /dev/null
UPDATE iot.attribute SET updated_at = 1000;
SELECT pg_temp.set_attribute('d1', 1, '[["both","s","client"]]') \g /dev/null
SELECT iot.telemetry_save(d.nr, '[["temperature",1792142423000,"d","21.5"]]',
                          NULL)
  FROM iot.device d WHERE d.id = pg_temp.id('d1')::uuid \g /dev/null

SET ROLE iot_app;


-- the example that a real client sends

SELECT pg_temp.api('a', 'entities_find', '{}', '{}', $$
{"entityFilter":{"type":"entityType","resolveMultiple":true,
   "entityType":"DEVICE"},
 "keyFilters":[{"key":{"type":"SHARED_ATTRIBUTE","key":"advt_mac"},
   "valueType":"STRING",
   "predicate":{"type":"STRING","operation":"EQUAL","ignoreCase":false,
     "value":{"defaultValue":"AA:BB","dynamicValue":null}}}],
 "keyFiltersOperation":"AND",
 "entityFields":[{"type":"ENTITY_FIELD","key":"name"}],
 "latestValues":[{"type":"ATTRIBUTE","key":"payg_type"},
   {"type":"TIME_SERIES","key":"temperature"}],
 "pageLink":{"page":0,"pageSize":10,"textSearch":null,"dynamic":false,
   "sortOrder":{"key":{"type":"ENTITY_FIELD","key":"name"},
     "direction":"ASC"}}}
$$) AS found \gset

SELECT is(:'found'::jsonb -> 'totalElements', '1', 'found by MAC');
SELECT is(:'found'::jsonb #>> '{data,0,latest,ENTITY_FIELD,name,value}', 'd1',
          'the name');
SELECT is(:'found'::jsonb #> '{data,0}' #- '{latest,ENTITY_FIELD}',
          jsonb_build_object('entityId', jsonb_build_object(
              'entityType', 'DEVICE', 'id', pg_temp.id('d1')),
              'latest', '{"ATTRIBUTE":{"payg_type":{"ts":1000,
                  "value":"AirLink"}},"TIME_SERIES":{"temperature":
                  {"ts":1792142423000,"value":"21.5"}}}'::jsonb,
              'timeseries', '{}'::jsonb, 'aggLatest', '{}'::jsonb),
          'values');
SELECT is(pg_temp.api('a', 'entities_find', '{}', '{}', $$
    {"entityFilter":{"type":"entityName","entityType":"DEVICE",
     "entityNameFilter":"D2"},"latestValues":[
     {"type":"ATTRIBUTE","key":"payg_type"},
     {"type":"ATTRIBUTE","key":"PAYG_Type"}],"pageLink":{"pageSize":1}}$$)
          #> '{data,0,latest}',
          '{"ATTRIBUTE":{"payg_type":{"ts":0,"value":""},
            "PAYG_Type":{"ts":0,"value":""}}}', 'what is not there');


-- predicates

SELECT is(pg_temp.names('a', pg_temp.filter(v.type, v.key, v.kind, v.op,
                                            v.value, v.more)), v.wanted,
          concat_ws(' ', v.type, v.key, v.op, v.value))
  FROM (VALUES
    ('SERVER_ATTRIBUTE', 'n', 'NUMERIC', 'GREATER', '5'::jsonb,
        '{}'::jsonb, 'd2'),
    ('SERVER_ATTRIBUTE', 'n', 'NUMERIC', 'GREATER_OR_EQUAL', '5', '{}',
        'd1,d2'),
    ('SERVER_ATTRIBUTE', 'n', 'NUMERIC', 'LESS', '"7.5"', '{}', 'd1'),
    ('ATTRIBUTE', 'n', 'NUMERIC', 'LESS_OR_EQUAL', '7.5', '{}', 'd1,d2'),
    ('ATTRIBUTE', 'n', 'NUMERIC', 'EQUAL', '7.5', '{}', 'd2'),
    ('ATTRIBUTE', 'n', 'NUMERIC', 'NOT_EQUAL', '7.5', '{}', 'd1'),
    ('CLIENT_ATTRIBUTE', 'n', 'NUMERIC', 'LESS', '100', '{}', NULL),
    ('SERVER_ATTRIBUTE', 'on', 'BOOLEAN', 'EQUAL', 'true', '{}', 'd1'),
    ('SERVER_ATTRIBUTE', 'on', 'BOOLEAN', 'NOT_EQUAL', 'true', '{}', 'd2'),
    ('ATTRIBUTE', 'both', 'STRING', 'EQUAL', '"client"', '{}', 'd1'),
    ('ATTRIBUTE', 'both', 'STRING', 'EQUAL', '"server"', '{}', NULL),
    ('ATTRIBUTE', 'nothing', 'STRING', 'NOT_EQUAL', '"x"', '{}', NULL),
    ('SHARED_ATTRIBUTE', 'advt_mac', 'STRING', 'EQUAL', '"aa:bb"', '{}',
        NULL),
    ('SHARED_ATTRIBUTE', 'advt_mac', 'STRING', 'EQUAL', '"aa:bb"',
        '{"ignoreCase":true}', 'd1'),
    ('SHARED_ATTRIBUTE', 'advt_mac', 'STRING', 'STARTS_WITH', '"AA"', '{}',
        'd1'),
    ('SHARED_ATTRIBUTE', 'advt_mac', 'STRING', 'ENDS_WITH', '":BB"', '{}',
        'd1'),
    ('SHARED_ATTRIBUTE', 'advt_mac', 'STRING', 'CONTAINS', '"A:B"', '{}',
        'd1'),
    ('SHARED_ATTRIBUTE', 'advt_mac', 'STRING', 'NOT_CONTAINS', '"A:B"', '{}',
        NULL),
    ('SHARED_ATTRIBUTE', 'advt_mac', 'STRING', 'IN', '"x, AA:BB"', '{}',
        'd1'),
    ('SHARED_ATTRIBUTE', 'advt_mac', 'STRING', 'NOT_IN', '"x, AA:BB"', '{}',
        NULL),
    ('SERVER_ATTRIBUTE', 's', 'STRING', 'EQUAL', '"it''s \"x\""', '{}',
        'd2'),
    ('SERVER_ATTRIBUTE', 's', 'STRING', 'EQUAL', '"'') OR true --"', '{}',
        NULL),
    ('SERVER_ATTRIBUTE', 'a'') OR (''a'' = ''a', 'STRING', 'EQUAL', '"x"',
        '{}', NULL),
    ('TIME_SERIES', 'temperature', 'NUMERIC', 'GREATER', '21', '{}', 'd1'),
    ('TIME_SERIES', 'temperature', 'NUMERIC', 'LESS', '21', '{}', NULL),
    ('ENTITY_FIELD', 'name', 'STRING', 'NOT_EQUAL', '"d1"', '{}', 'd2'),
    ('ENTITY_FIELD', 'label', 'STRING', 'NOT_EQUAL', '"first"', '{}', 'd2'),
    ('ENTITY_FIELD', 'type', 'STRING', 'EQUAL', '"pump"', '{}', 'd1'),
    ('ENTITY_FIELD', 'ownerName', 'STRING', 'EQUAL', '"c1"', '{}', 'd1'),
    ('ENTITY_FIELD', 'ownerType', 'STRING', 'EQUAL', '"TENANT"', '{}', 'd2'),
    ('ENTITY_FIELD', 'displayName', 'STRING', 'EQUAL', '"first"', '{}',
        'd1'),
    ('ENTITY_FIELD', 'createdTime', 'NUMERIC', 'GREATER', '1700000000000',
        '{}', 'd1,d2'),
    ('ENTITY_FIELD', 'secret', 'STRING', 'EQUAL', '"x"', '{}',
        '400 bad_request: Unsupported entity field ''secret''!'),
    ('SERVER_ATTRIBUTE', 'n', 'NUMERIC', 'GREATER', '"x"', '{}',
        '400 bad_request: ''x'' is not a number!'),
    ('SERVER_ATTRIBUTE', 'n', 'NUMERIC', 'CONTAINS', '"1"', '{}',
        '400 bad_request: Unsupported operation ''CONTAINS''!'),
    ('SERVER_ATTRIBUTE', 'n', 'STRING', 'LIKE', '"1"', '{}',
        '400 bad_request: Unsupported operation ''LIKE''!'),
    ('CONSTANT', 'n', 'STRING', 'EQUAL', '"1"', '{}',
        '400 bad_request: Unsupported key: {"key": "n", "type": "CONSTANT"}')
    ) v (type, key, kind, op, value, more, wanted);


-- nested, combined, dynamic

SELECT is(pg_temp.names('a', v.more), v.wanted, v.name)
  FROM (VALUES
    ('or', '{"keyFilters":[{"key":{"type":"SERVER_ATTRIBUTE","key":"n"},
        "predicate":{"type":"COMPLEX","operation":"OR","predicates":[
         {"type":"NUMERIC","operation":"LESS","value":{"defaultValue":1}},
         {"type":"COMPLEX","operation":"AND","predicates":[
          {"type":"NUMERIC","operation":"GREATER","value":{"defaultValue":6}},
          {"type":"NUMERIC","operation":"LESS","value":{"defaultValue":8}}]}
        ]}}]}'::jsonb, 'd2'),
    ('both of two', jsonb_build_object('keyFilters',
        (pg_temp.filter('SERVER_ATTRIBUTE', 'n', 'NUMERIC', 'GREATER', '0')
         -> 'keyFilters')
        || (pg_temp.filter('SERVER_ATTRIBUTE', 'on', 'BOOLEAN', 'EQUAL',
                           'true') -> 'keyFilters')), 'd1'),
    ('one of two', jsonb_build_object('keyFiltersOperation', 'OR',
        'keyFilters',
        (pg_temp.filter('SERVER_ATTRIBUTE', 's', 'STRING', 'CONTAINS', '"x"')
         -> 'keyFilters')
        || (pg_temp.filter('SHARED_ATTRIBUTE', 'advt_mac', 'STRING',
                           'EQUAL', '"AA:BB"') -> 'keyFilters')), 'd1,d2'))
       v (name, more, wanted);

RESET ROLE;
SELECT iot.attribute_save(t.nr, 3::smallint, '[["limit","l","6"]]')
  FROM iot.tenant t WHERE t.id = pg_temp.id('A')::uuid \g /dev/null
SET ROLE iot_app;

SELECT is(pg_temp.names('a', jsonb_set(pg_temp.filter('SERVER_ATTRIBUTE', 'n',
              'NUMERIC', 'GREATER', '0'),
              '{keyFilters,0,predicate,value,dynamicValue}', v.dynamic)),
          v.wanted, v.dynamic::text)
  FROM (VALUES
    ('{"sourceType":"CURRENT_TENANT","sourceAttribute":"limit"}'::jsonb,
        'd2'),
    ('{"sourceType":"CURRENT_USER","sourceAttribute":"limit"}', 'd1,d2'),
    ('{"sourceType":"CURRENT_USER","sourceAttribute":"limit",
       "inherit":true}', 'd2'),
    ('{"sourceType":"CURRENT_DEVICE","sourceAttribute":"limit"}', 'd1,d2'),
    ('null', 'd1,d2')) v (dynamic, wanted);


-- what is found

SELECT is(pg_temp.names(v.who, jsonb_build_object('entityFilter', v.filter)),
          v.wanted, v.who || ' ' || v.filter)
  FROM (VALUES
    ('a', '{"type":"entityType","entityType":"DEVICE"}'::jsonb, 'd1,d2'),
    ('c1', '{"type":"entityType","entityType":"DEVICE"}', 'd1'),
    ('c2', '{"type":"entityType","entityType":"DEVICE"}', NULL),
    ('b', '{"type":"entityType","entityType":"DEVICE"}', 'd1'),
    ('sys', '{"type":"entityType","entityType":"DEVICE"}', NULL),
    ('sys', '{"type":"entityType","entityType":"TENANT"}', 'A,B'),
    ('a', '{"type":"entityType","entityType":"TENANT"}', 'A'),
    ('c1', '{"type":"entityType","entityType":"TENANT"}', NULL),
    ('a', '{"type":"entityType","entityType":"CUSTOMER"}', 'c1,c2'),
    ('c1', '{"type":"entityType","entityType":"CUSTOMER"}', 'c1'),
    ('a', '{"type":"entityType","entityType":"USER"}',
        'a@example.org,c1@example.org,c2@example.org'),
    ('a', '{"type":"entityType","entityType":"NONSENSE"}', NULL),
    ('a', jsonb_build_object('type', 'singleEntity', 'singleEntity',
        jsonb_build_object('entityType', 'DEVICE', 'id', pg_temp.id('d2'))),
        'd2'),
    ('c1', jsonb_build_object('type', 'singleEntity', 'singleEntity',
        jsonb_build_object('entityType', 'DEVICE', 'id', pg_temp.id('d2'))),
        NULL),
    ('a', jsonb_build_object('type', 'entityList', 'entityType', 'DEVICE',
        'entityList', jsonb_build_array(pg_temp.id('d1'),
                                        pg_temp.id('e1'))), 'd1'),
    ('a', '{"type":"entityName","entityType":"DEVICE",
            "entityNameFilter":"%2"}', 'd2'),
    ('a', '{"type":"entityName","entityType":"DEVICE",
            "entityNameFilter":"2"}', NULL),
    ('a', '{"type":"entityName","entityType":"DEVICE",
            "entityNameFilter":"_1"}', NULL),
    ('a', '{"type":"deviceType","deviceTypes":["pump","x"]}', 'd1'),
    ('a', '{"type":"deviceType","deviceType":"default",
            "deviceNameFilter":"d"}', 'd2'),
    ('a', '{"type":"deviceType","deviceNameFilter":"D"}', 'd1,d2'),
    ('a', '{"type":"apiUsageState"}', NULL),
    ('a', '{"type":"magic"}',
        '400 bad_request: Unknown entity filter type ''magic''!'),
    ('a', '{"type":"singleEntity","singleEntity":{"entityType":"DEVICE",
            "id":"x"}}', '400 bad_request: Invalid UUID string: x'),
    ('a', 'null', '400 bad_request: Entity filter must be specified!'))
       v (who, filter, wanted);


-- the order, the page, the search

SELECT is(pg_temp.names('a', jsonb_build_object('pageLink', v.link)),
          v.wanted, v.link::text)
  FROM (VALUES
    ('{"pageSize":5,"sortOrder":{"key":{"type":"SERVER_ATTRIBUTE",
       "key":"n"},"direction":"DESC"}}'::jsonb, 'd2,d1'),
    ('{"pageSize":5,"sortOrder":{"key":{"type":"TIME_SERIES",
       "key":"temperature"},"direction":"DESC"}}', 'd1,d2'),
    ('{"pageSize":5,"sortOrder":{"key":{"type":"ATTRIBUTE",
       "key":"s"},"direction":"ASC"}}', 'd2,d1'),
    ('{"pageSize":1,"page":1,"sortOrder":{"key":{"type":"ENTITY_FIELD",
       "key":"createdTime"},"direction":"ASC"}}', 'd2'),
    ('{"pageSize":1,"page":7}', NULL),
    ('{"pageSize":5,"textSearch":"2"}', 'd2'),
    ('{"pageSize":5,"textSearch":"%"}', NULL),
    ('{"pageSize":0}', '400 bad_request: Incorrect page link page size '
        '''0''. Page size must be greater than zero.'),
    ('null', '400 bad_request: Incorrect page link must be specified.'))
       v (link, wanted);

SELECT is(pg_temp.names('a', '{"latestValues":[{"type":"TIME_SERIES",
              "key":"temperature"}],"pageLink":{"pageSize":5,
              "textSearch":"21.5"}}'), 'd1', 'a search in values');


-- relations

SELECT pg_temp.api('a', 'relation_save', '{}', '{}', json_build_object(
    'from', json_build_object('entityType', 'CUSTOMER', 'id',
                              pg_temp.id('c2')),
    'to', json_build_object('entityType', 'DEVICE', 'id', pg_temp.id('d2')),
    'type', 'Contains')) \g /dev/null
SELECT pg_temp.api('a', 'relation_save', '{}', '{}', json_build_object(
    'from', json_build_object('entityType', 'DEVICE', 'id',
                              pg_temp.id('d2')),
    'to', json_build_object('entityType', 'DEVICE', 'id', pg_temp.id('d1')),
    'type', 'Manages')) \g /dev/null

SELECT is(pg_temp.names(v.who, jsonb_build_object('entityFilter',
              jsonb_build_object('type', 'relationsQuery', 'rootEntity',
                  jsonb_build_object('entityType', 'CUSTOMER', 'id',
                                     pg_temp.id('c2')),
                  'direction', 'FROM', 'maxLevel', 5) || v.more)), v.wanted,
          v.who || ' ' || v.more)
  FROM (VALUES
    ('a', '{}'::jsonb, 'd1,d2'),
    ('a', '{"maxLevel":1}', 'd2'),
    ('a', '{"fetchLastLevelOnly":true}', 'd1'),
    ('a', '{"direction":"TO"}', NULL),
    ('a', '{"filters":[{"relationType":"Manages",
            "entityTypes":["DEVICE"]}]}', 'd1'),
    ('a', '{"filters":[{"relationType":"Manages","negate":true}]}', 'd2'),
    ('a', '{"filters":[{"relationType":"Contains",
            "entityTypes":["ASSET"]}]}', NULL),
    ('a', '{"type":"deviceSearchQuery","relationType":"Manages",
            "deviceTypes":["pump"]}', 'd1'),
    ('a', '{"type":"deviceSearchQuery","deviceTypes":["default"]}', 'd2'),
    ('a', '{"type":"assetSearchQuery"}', NULL),
    ('a', jsonb_build_object('isMultiRoot', true, 'multiRootEntitiesType',
        'DEVICE', 'multiRootEntityIds', jsonb_build_array(
            pg_temp.id('d1'), pg_temp.id('d2')), 'direction', 'TO'), 'c2,d2'),
    ('c2', '{}', NULL),
    ('b', '{}', '404 not_found: Customer with id [' || pg_temp.id('c2')
        || '] is not found')) v (who, more, wanted);


-- assets, views, dashboards

SELECT pg_temp.made('asset', pg_temp.api('a', 'asset_save', '{}', '{}',
           json_build_object('name', 'hall', 'type', 'building',
               'customerId', json_build_object('id', pg_temp.id('c1')))))
       \g /dev/null
SELECT pg_temp.made('view', pg_temp.api('a', 'entity_view_save', '{}', '{}',
           json_build_object('name', 'window', 'type', 'kpi', 'entityId',
               json_build_object('entityType', 'DEVICE', 'id',
                                 pg_temp.id('d1')))))
       \g /dev/null
SELECT pg_temp.made('board', pg_temp.api('a', 'dashboard_save', '{}', '{}',
           '{"title":"board"}')) \g /dev/null
SELECT pg_temp.api('a', 'dashboard_assign',
           ARRAY[pg_temp.id('c2'), pg_temp.id('board')]) \g /dev/null
SELECT pg_temp.api('a', 'relation_save', '{}', '{}', json_build_object(
    'from', json_build_object('entityType', 'ASSET', 'id',
                              pg_temp.id('asset')),
    'to', json_build_object('entityType', 'DEVICE', 'id', pg_temp.id('d1')),
    'type', 'Contains')) \g /dev/null

SELECT is(pg_temp.names(v.who, jsonb_build_object('entityFilter', v.filter)),
          v.wanted, v.who || ' ' || v.filter)
  FROM (VALUES
    ('a', '{"type":"assetType","assetTypes":["building"]}'::jsonb, 'hall'),
    ('c1', '{"type":"assetType","assetType":"building"}', 'hall'),
    ('c2', '{"type":"assetType","assetType":"building"}', NULL),
    ('a', '{"type":"entityViewType","entityViewTypes":["kpi"]}', 'window'),
    ('a', '{"type":"entityType","entityType":"DASHBOARD"}', 'board'),
    ('c2', '{"type":"entityType","entityType":"DASHBOARD"}', 'board'),
    ('c1', '{"type":"entityType","entityType":"DASHBOARD"}', NULL),
    ('a', jsonb_build_object('type', 'assetSearchQuery', 'rootEntity',
        jsonb_build_object('entityType', 'DEVICE', 'id', pg_temp.id('d1')),
        'direction', 'TO', 'relationType', 'Contains'), 'hall'))
       v (who, filter, wanted);


-- keys

SELECT is(pg_temp.api('a', 'entities_keys', '{}', '{"scope":"SERVER_SCOPE"}',
              '{"entityFilter":{"type":"entityType","entityType":"DEVICE"},
                "pageLink":{"pageSize":50}}'),
          '{"entityTypes":["DEVICE"],"timeseries":["temperature"],
            "attribute":["both","n","on","payg_type","s"]}', 'keys');
SELECT is(pg_temp.api('a', 'entities_keys', '{}', '{"attributes":"false"}',
              '{"entityFilter":{"type":"entityType","entityType":"DEVICE"},
                "pageLink":{"pageSize":50}}') -> 'attribute', '[]',
          'only those of time series');


-- alarms

SELECT pg_temp.api('a', 'alarm_save', '{}', '{}', json_build_object(
           'type', t, 'severity', s, 'propagate', true, 'originator',
           json_build_object('entityType', 'DEVICE', 'id', pg_temp.id(d))))
  FROM (VALUES ('hot', 'MAJOR', 'd1'), ('dry', 'CRITICAL', 'd1'),
               ('wet', 'MINOR', 'd2')) v (t, s, d) \g /dev/null

RESET ROLE;

CREATE FUNCTION pg_temp.alarms(who text, more jsonb, link jsonb)
RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    body    json;
    answer  jsonb;
    n       jsonb;
BEGIN
    body := ('{"entityFilter":{"type":"entityType","entityType":"DEVICE"},
               "entityFields":[{"type":"ENTITY_FIELD","key":"name"}],
               "latestValues":[{"type":"SERVER_ATTRIBUTE","key":"n"}]}'::jsonb
             || more || jsonb_build_object('pageLink', '{"page":0,
                 "pageSize":10,"sortOrder":{"key":{"type":"ALARM_FIELD",
                 "key":"createdTime"},"direction":"ASC"}}'::jsonb
                 || link))::json;
    answer := pg_temp.api(who, 'alarms_find', '{}', '{}', body);
    n := pg_temp.api(who, 'alarms_count', '{}', '{}', body);

    IF n <> answer -> 'totalElements' THEN
        RETURN 'count ' || n || ' of ' || (answer -> 'totalElements');
    END IF;

    RETURN (SELECT string_agg(concat_ws(':', d ->> 'type',
                       d #>> '{latest,ENTITY_FIELD,name,value}',
                       d #>> '{latest,SERVER_ATTRIBUTE,n,value}'), ','
                       ORDER BY i)
              FROM jsonb_array_elements(answer -> 'data')
                   WITH ORDINALITY AS x (d, i));
END
$$;

SET ROLE iot_app;

SELECT is(pg_temp.alarms(v.who, v.more, v.link), v.wanted,
          concat_ws(' ', v.who, v.more, v.link))
  FROM (VALUES
    ('a', '{}'::jsonb, '{}'::jsonb, 'hot:d1:5,dry:d1:5,wet:d2:7.5'),
    ('c1', '{}', '{}', 'hot:d1:5,dry:d1:5'),
    ('b', '{}', '{}', NULL),
    ('a', '{}', '{"severityList":["MINOR","MAJOR"]}', 'hot:d1:5,wet:d2:7.5'),
    ('a', '{}', '{"typeList":["dry"]}', 'dry:d1:5'),
    ('a', '{}', '{"statusList":["CLEARED"]}', NULL),
    ('a', '{}', '{"timeWindow":60000}', 'hot:d1:5,dry:d1:5,wet:d2:7.5'),
    ('a', '{}', '{"startTs":1,"endTs":2}', NULL),
    ('a', '{}', '{"pageSize":1,"page":2}', 'wet:d2:7.5'),
    ('a', '{}', '{"sortOrder":{"key":{"type":"ALARM_FIELD",
        "key":"severity"},"direction":"ASC"}}',
        'dry:d1:5,hot:d1:5,wet:d2:7.5'),
    ('a', '{}', '{"pageSize":1,"sortOrder":{"key":{
        "type":"SERVER_ATTRIBUTE","key":"n"},"direction":"DESC"}}',
        'wet:d2:7.5'),
    ('a', pg_temp.filter('ALARM_FIELD', 'type', 'STRING', 'STARTS_WITH',
                         '"d"'), '{}', 'dry:d1:5'),
    ('a', pg_temp.filter('SERVER_ATTRIBUTE', 'n', 'NUMERIC', 'GREATER',
                         '6'), '{}', 'wet:d2:7.5'),
    ('a', jsonb_build_object('entityFilter', jsonb_build_object('type',
        'singleEntity', 'singleEntity', jsonb_build_object('entityType',
        'CUSTOMER', 'id', pg_temp.id('c2')))),
        '{"searchPropagatedAlarms":true,"typeList":["hot"]}', 'hot:c2:'),
    ('a', '{"entityFilter":null}', '{"typeList":["hot"]}', 'hot:d1:5'))
       v (who, more, link, wanted);


-- quick enough for many

RESET ROLE;
INSERT INTO iot.device (tenant_id, profile_id, name)
SELECT d.tenant_id, d.profile_id, 'many ' || i
  FROM iot.device d, generate_series(1, 10000) i
 WHERE d.id = pg_temp.id('d2')::uuid;
INSERT INTO iot.attribute (entity, scope, key, l, updated_at)
SELECT d.nr, 3, (iot.key_ids(ARRAY['n']))[1], d.nr % 1000, 1
  FROM iot.device d WHERE d.name LIKE 'many%';
ANALYZE iot.device, iot.attribute, iot.key;
SET ROLE iot_app;

DO $$
DECLARE
    best   interval := '1 hour';
    begun  timestamptz;
    found  json;
BEGIN
    FOR i IN 1 .. 5 LOOP
        begun := clock_timestamp();
        found := tb.entities_find(pg_temp.caller('a'), '{}', '{}', '{
            "entityFilter":{"type":"entityType","entityType":"DEVICE"},
            "keyFilters":[{"key":{"type":"SERVER_ATTRIBUTE","key":"n"},
             "predicate":{"type":"NUMERIC","operation":"GREATER",
             "value":{"defaultValue":100}}}],
            "entityFields":[{"type":"ENTITY_FIELD","key":"name"}],
            "latestValues":[{"type":"SERVER_ATTRIBUTE","key":"n"}],
            "pageLink":{"page":0,"pageSize":100,"sortOrder":{"key":
             {"type":"SERVER_ATTRIBUTE","key":"n"},"direction":"DESC"}}}');
        best := LEAST(best, clock_timestamp() - begun);
    END LOOP;

    INSERT INTO things VALUES ('best', best::text),
        ('total', found ->> 'totalElements'),
        ('first', found #>> '{data,0,latest,SERVER_ATTRIBUTE,n,value}');
END
$$;

SELECT is(pg_temp.id('first'), '999', 'the greatest of ten thousand');
SELECT cmp_ok(pg_temp.id('total')::integer, '>', 8900, 'of which most match');
SELECT cmp_ok(pg_temp.id('best')::interval, '<', interval '500 ms',
              'without a wait');


SELECT * FROM finish();

ROLLBACK;
