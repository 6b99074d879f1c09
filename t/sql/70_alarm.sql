
--
-- Copyright (C) the ngx_iot authors
--
-- Alarms, comments on them, who sees them.

BEGIN;

SELECT no_plan();

\ir fixture/people.sql


SELECT '403 permission_denied: You don''t have permission to perform this '
       'operation!' AS denied \gset

RESET ROLE;

-- the body inside of the answer that also tells watchers
CREATE FUNCTION pg_temp.shown(answer jsonb) RETURNS jsonb
LANGUAGE sql AS $$
    SELECT (answer ->> 'body')::jsonb
$$;

CREATE FUNCTION pg_temp.raise(who text, device text, type text,
    more jsonb DEFAULT '{}') RETURNS jsonb
LANGUAGE sql AS $$
    SELECT pg_temp.shown(pg_temp.api(who, 'alarm_save', '{}', '{}',
        (jsonb_build_object('type', type, 'severity', 'MINOR',
            'originator', jsonb_build_object('entityType', 'DEVICE', 'id',
                                             pg_temp.id(device)))
         || more)::json))
$$;

CREATE FUNCTION pg_temp.listed(who text, query jsonb DEFAULT '{}')
RETURNS text
LANGUAGE sql AS $$
    SELECT string_agg(a ->> 'type', ',' ORDER BY i)
      FROM jsonb_array_elements(pg_temp.api(who, 'alarms', '{}',
               ('{"pageSize":"10","page":"0","sortProperty":"createdTime"}'
                || query)::json) -> 'data') WITH ORDINALITY AS x (a, i)
$$;

SET ROLE iot_app;


-- refusals

SELECT is(pg_temp.refusal(v.who, 'alarm_save', '{}', '{}', v.body), v.text,
          v.text)
  FROM (VALUES
    ('a', '{"severity":"MAJOR"}'::json,
        '400 bad_request: Alarm type should be specified!'),
    ('a', '{"severity":"MAJOR","type":"x"}',
        '400 bad_request: Alarm originator should be specified!'),
    ('a', json_build_object('type', 'x', 'originator',
              json_build_object('entityType', 'DEVICE', 'id',
                                pg_temp.id('d1'))),
        '400 bad_request: Alarm severity should be specified!'),
    ('a', json_build_object('type', 'x', 'severity', 'BAD', 'originator',
              json_build_object('entityType', 'DEVICE', 'id',
                                pg_temp.id('d1'))),
        '400 bad_request: Unknown alarm severity ''BAD''!'),
    ('a', json_build_object('type', 'x', 'severity', 'MAJOR', 'originator',
              json_build_object('entityType', 'DEVICE', 'id',
                                pg_temp.id('e1'))),
        '404 not_found: Device with requested id wasn''t found!'),
    ('c1', json_build_object('type', 'x', 'severity', 'MAJOR', 'originator',
              json_build_object('entityType', 'DEVICE', 'id',
                                pg_temp.id('d2'))), :'denied'),
    ('public', json_build_object('type', 'x', 'severity', 'MAJOR',
              'originator', json_build_object('entityType', 'DEVICE', 'id',
                                              pg_temp.id('d1'))),
        :'denied'),
    ('sys', json_build_object('type', 'x', 'severity', 'MAJOR', 'originator',
              json_build_object('entityType', 'DEVICE', 'id',
                                pg_temp.id('d1'))), :'denied'))
       v (who, body, text);


-- one active alarm of a type

SELECT pg_temp.made('hot', pg_temp.raise('a', 'd1', 'hot')) AS hot \gset

SELECT is(:'hot'::jsonb - 'id' - 'createdTime' - 'startTs' - 'endTs'
          - 'tenantId' - 'customerId' - 'originator',
          '{"name":"hot","type":"hot","severity":"MINOR",
            "acknowledged":false,"cleared":false,"status":"ACTIVE_UNACK",
            "assigneeId":null,"ackTs":0,"clearTs":0,"assignTs":0,
            "details":null,"propagate":false,"propagateToOwner":false,
            "propagateToTenant":false,"propagateRelationTypes":[]}'::jsonb,
          'an alarm');
SELECT is(:'hot'::jsonb #>> '{customerId,id}', pg_temp.id('c1'),
          'of the customer of its originator');

SELECT pg_temp.raise('c1', 'd1', 'hot',
    '{"severity":"CRITICAL","details":{"a":1}}') AS again \gset
SELECT is(:'again'::jsonb -> 'id', :'hot'::jsonb -> 'id', 'the same again');
SELECT is(:'again'::jsonb ->> 'severity', 'CRITICAL', 'is worse');
SELECT is(:'again'::jsonb -> 'details', '{"a":1}', 'with details');
SELECT is((SELECT string_agg(c.comment ->> 'text', ';')
             FROM iot.alarm_comment c),
          'Alarm severity was updated from MINOR to CRITICAL',
          'which is written down');

SELECT is(pg_temp.api('a', 'alarm_ack', ARRAY[pg_temp.id('hot')])
          #>> '{headers,@publish,0,event}', 'alarm', 'watchers are told');
SELECT is(pg_temp.refusal('a', 'alarm_ack', ARRAY[pg_temp.id('hot')]),
          '400 bad_request: Alarm was already acknowledged!', 'once');
SELECT is(pg_temp.shown(pg_temp.api('c1', 'alarm_clear',
                                    ARRAY[pg_temp.id('hot')]))
          ->> 'status', 'CLEARED_ACK', 'cleared');
SELECT is(pg_temp.refusal('a', 'alarm_clear', ARRAY[pg_temp.id('hot')]),
          '400 bad_request: Alarm was already cleared!', 'once');

SELECT isnt(pg_temp.made('hot2', pg_temp.raise('a', 'd1', 'hot'))
            -> 'id', :'hot'::jsonb -> 'id', 'then there is a new one');

SELECT is(pg_temp.raise('a', 'd2', 'done', '{"acknowledged":true,
              "cleared":true,"ackTs":5,"clearTs":6,"startTs":3}')
          @> '{"status":"CLEARED_ACK","ackTs":5,"clearTs":6,"startTs":3,
               "endTs":3}', true, 'born over');


-- changed by its id

SELECT pg_temp.shown(pg_temp.api('a', 'alarm_save', '{}', '{}',
    (pg_temp.api('a', 'alarm_get', ARRAY[pg_temp.id('hot2')])
     || '{"severity":"WARNING","propagateToTenant":true}')::json))
       AS changed \gset
SELECT is(:'changed'::jsonb ->> 'severity', 'WARNING', 'changed');
SELECT is(pg_temp.api('a', 'alarms_of_entity',
              ARRAY['TENANT', pg_temp.id('A')],
              '{"pageSize":"5","page":"0"}') #>> '{data,0,id,id}',
          pg_temp.id('hot2'), 'the tenant shows it now');
SELECT is(pg_temp.refusal('b', 'alarm_get', ARRAY[pg_temp.id('hot')]),
          '404 not_found: Alarm with id [' || pg_temp.id('hot')
          || '] is not found', 'not for another tenant');
SELECT is(pg_temp.refusal('c2', 'alarm_ack', ARRAY[pg_temp.id('hot2')]),
          :'denied', 'not for another customer');
SELECT is(pg_temp.refusal('public', 'alarm_ack', ARRAY[pg_temp.id('hot2')]),
          :'denied', 'the public only reads');
SELECT is(pg_temp.api('public', 'alarm_info_get',
                      ARRAY[pg_temp.id('hot2')])
          @> '{"originatorName":"d1","originatorLabel":"first",
               "originatorDisplayName":"first","assignee":null}', true,
          'with names');


-- assigned

SELECT is(pg_temp.shown(pg_temp.api('a', 'alarm_assign',
              ARRAY[pg_temp.id('hot2'), pg_temp.id('user c1')]))
          #>> '{assignee,email}', 'c1@example.org', 'assigned');
SELECT is(pg_temp.refusal('a', 'alarm_assign',
              ARRAY[pg_temp.id('hot2'), pg_temp.id('user c1')]),
          '400 bad_request: Alarm was already assigned to this user!',
          'once');
SELECT is(pg_temp.refusal('a', 'alarm_assign',
              ARRAY[pg_temp.id('hot2'), pg_temp.id('user c2')]), :'denied',
          'to nobody who may not see it');
SELECT is(pg_temp.refusal('a', 'alarm_assign',
              ARRAY[pg_temp.id('hot2'), pg_temp.id('user b')]),
          '404 not_found: User with id [' || pg_temp.id('user b')
          || '] is not found', 'nor of another tenant');
SELECT is(pg_temp.listed('a', json_build_object('assigneeId',
              pg_temp.id('user c1'))::jsonb), 'hot', 'listed');
SELECT is(pg_temp.api('a', 'users_assign', ARRAY[pg_temp.id('hot2')],
              '{"pageSize":"5","page":"0","sortProperty":"email"}')
          #>> '{data,1,email}', 'c1@example.org', 'candidates');
SELECT is(pg_temp.api('c1', 'users_assign', ARRAY[pg_temp.id('hot2')],
              '{"pageSize":"5","page":"0"}') -> 'totalElements', '1',
          'of the own customer');
SELECT is(pg_temp.shown(pg_temp.api('a', 'alarm_unassign',
              ARRAY[pg_temp.id('hot2')])) -> 'assigneeId', 'null',
          'unassigned');
SELECT is(pg_temp.refusal('a', 'alarm_unassign', ARRAY[pg_temp.id('hot2')]),
          '400 bad_request: Alarm was already unassigned!', 'once');


-- lists

SELECT pg_temp.raise('a', 'd2', 'cold', '{"severity":"MAJOR"}') \g /dev/null

SELECT is(pg_temp.listed('a', v.query), v.wanted, v.query::text)
  FROM (VALUES
    ('{}'::jsonb, 'hot,hot,done,cold'),
    ('{"searchStatus":"ACTIVE"}', 'hot,cold'),
    ('{"searchStatus":"CLEARED"}', 'hot,done'),
    ('{"searchStatus":"UNACK"}', 'hot,cold'),
    ('{"searchStatus":"ANY"}', 'hot,hot,done,cold'),
    ('{"status":"CLEARED_ACK"}', 'hot,done'),
    ('{"statusList":"ACTIVE,UNACK"}', 'hot,cold'),
    ('{"statusList":"ACTIVE,ACK"}', NULL),
    ('{"statusList":"CLEARED_ACK,ACTIVE_UNACK"}', 'hot,hot,done,cold'),
    ('{"severityList":["MAJOR","CRITICAL"]}', 'hot,cold'),
    ('{"typeList":"cold,done"}', 'done,cold'),
    ('{"textSearch":"OL"}', 'cold'),
    ('{"textSearch":"d1"}', 'hot,hot'),
    ('{"startTime":"9999999999999"}', NULL),
    ('{"endTime":"9999999999999","typeList":"cold"}', 'cold'),
    ('{"sortProperty":"severity","sortOrder":"ASC"}', 'hot,cold,done,hot'),
    ('{"sortProperty":"originatorName","sortOrder":"DESC",
       "severityList":"MAJOR,WARNING"}', 'cold,hot')) v (query, wanted);

SELECT is(pg_temp.refusal('a', 'alarms', '{}', v.query), v.wanted, v.wanted)
  FROM (VALUES
    ('{"pageSize":"1","page":"0","status":"ACTIVE_ACK",
       "searchStatus":"ANY"}'::json, '400 bad_request: Invalid alarms search '
        'query: Both parameters ''searchStatus'' and ''status'' can''t be '
        'specified at the same time!'),
    ('{"pageSize":"1","page":"0","searchStatus":"GONE"}',
        '400 bad_request: Unknown alarm status ''GONE''!'),
    ('{"pageSize":"1","page":"0","severityList":"GONE"}',
        '400 bad_request: Unknown alarm severity!'),
    ('{"pageSize":"1","page":"0","sortProperty":"secret"}',
        '400 bad_request: Unsupported sort property ''secret''!'))
       v (query, wanted);

SELECT is(pg_temp.listed('c1'), 'hot,hot', 'a customer has its own');
SELECT is(pg_temp.listed('c2'), NULL, 'or none');
SELECT is(pg_temp.listed('b'), NULL, 'so has a tenant');
SELECT is(pg_temp.api('a', 'alarms_of_entity',
              ARRAY['DEVICE', pg_temp.id('d2')],
              '{"pageSize":"1","page":"1"}') -> 'totalElements', '2',
          'of an entity');
SELECT is(pg_temp.api('a', 'alarm_types', '{}',
              '{"pageSize":"2","page":"0","sortProperty":"type"}')
          #>> '{data,1,type}', 'done', 'types');
SELECT is(pg_temp.api('a', 'alarm_highest_severity',
              ARRAY['DEVICE', pg_temp.id('d1')]), '"CRITICAL"',
          'the worst');
SELECT is(pg_temp.api('a', 'alarm_highest_severity',
              ARRAY['device', pg_temp.id('d1')],
              '{"searchStatus":"ACTIVE"}'), '"WARNING"', 'that is active');
SELECT is(pg_temp.api('b', 'alarm_highest_severity',
              ARRAY['DEVICE', pg_temp.id('e1')]), NULL, 'none');


-- comments

SELECT pg_temp.made('comment', pg_temp.api('c1', 'alarm_comment_save',
           ARRAY[pg_temp.id('hot2')], '{}',
           '{"comment":{"text":"I go there"}}')) AS said \gset
SELECT is(:'said'::jsonb #>> '{comment,text}', 'I go there', 'a comment');
SELECT is(:'said'::jsonb ->> 'type', 'OTHER', 'of a person');
SELECT is(pg_temp.refusal('a', 'alarm_comment_save',
              ARRAY[pg_temp.id('hot2')], '{}', json_build_object('id',
                  json_build_object('id', pg_temp.id('comment')),
                  'comment', json_build_object('text', 'No'))), :'denied',
          'that only they change');
SELECT is(pg_temp.api('c1', 'alarm_comment_save',
              ARRAY[pg_temp.id('hot2')], '{}', json_build_object('id',
                  json_build_object('id', pg_temp.id('comment')),
                  'comment', json_build_object('text', 'Tomorrow')))
          -> 'comment' @> '{"text":"Tomorrow","edited":"true"}', true,
          'changed');
SELECT is(pg_temp.refusal('c1', 'alarm_comment_save',
              ARRAY[pg_temp.id('hot2')], '{}', v.body), v.wanted, v.wanted)
  FROM (VALUES
    ('{"comment":{}}'::json,
        '400 bad_request: Alarm comment should be specified!'),
    (json_build_object('comment', json_build_object('text',
         repeat('x', 10001))),
        '400 bad_request: comment length must be equal or less than 10000'))
       v (body, wanted);
SELECT is((SELECT string_agg(concat_ws(':', c ->> 'type', c ->> 'email',
                                       c #>> '{comment,subtype}'), ';'
                             ORDER BY i)
             FROM jsonb_array_elements(pg_temp.api('a', 'alarm_comments',
                      ARRAY[pg_temp.id('hot2')],
                      '{"pageSize":"9","page":"0"}') -> 'data')
                  WITH ORDINALITY AS x (c, i)),
          'SYSTEM:SEVERITY_CHANGED;SYSTEM:ASSIGN;SYSTEM:ASSIGN;'
          'OTHER:c1@example.org', 'all comments');
SELECT is(pg_temp.api('a', 'alarm_comment_delete',
              ARRAY[pg_temp.id('hot2'), pg_temp.id('comment')]), NULL,
          'deleted by an administrator');
SELECT is((SELECT c.comment ->> 'text' FROM iot.alarm_comment c
            WHERE c.id = pg_temp.id('comment')::uuid),
          'User a@example.org deleted his comment', 'and that is told');
SELECT is(pg_temp.refusal('a', 'alarm_comment_delete',
              ARRAY[pg_temp.id('hot'), pg_temp.id('comment')]),
          '404 not_found: Alarm comment with id [' || pg_temp.id('comment')
          || '] is not found', 'of another alarm');


-- the audit

SELECT is((SELECT string_agg(l.action, ',' ORDER BY l.id)
             FROM iot.audit_log l
            WHERE l.entity_id = pg_temp.id('d1')::uuid
                  AND l.action <> 'ADDED'),
          'UPDATED,ALARM_ACK,ALARM_CLEAR,UPDATED,ALARM_ASSIGNED,'
          'ALARM_UNASSIGNED,ADDED_COMMENT,UPDATED_COMMENT,DELETED_COMMENT',
          'all is written down with the originator');


-- the originator changes hands, and goes

SELECT pg_temp.api('a', 'device_assign',
    ARRAY[pg_temp.id('c2'), pg_temp.id('d1')]) \g /dev/null
SELECT is(pg_temp.listed('c2'), 'hot,hot', 'the alarms go along');
SELECT is(pg_temp.listed('c1'), NULL, 'all of them');
SELECT is(pg_temp.shown(pg_temp.api('a', 'alarm_delete',
              ARRAY[pg_temp.id('hot')])), 'true', 'deleted');
SELECT is(pg_temp.refusal('a', 'alarm_delete', ARRAY[pg_temp.id('hot')]),
          '404 not_found: Alarm with id [' || pg_temp.id('hot')
          || '] is not found', 'gone');
SELECT pg_temp.api('a', 'device_delete', ARRAY[pg_temp.id('d1')])
       \g /dev/null
SELECT is(pg_temp.listed('a'), 'done,cold', 'with its device');
SELECT is((SELECT count(*) FROM iot.alarm_entity), 2::bigint,
          'and from the lists of others');


-- caps and retention

SELECT is(pg_temp.api('a', 'usage') -> 'alarms', '4', 'counted');

RESET ROLE;
UPDATE iot.tenant_profile
   SET data = jsonb_set(data::jsonb, '{configuration,maxCreatedAlarms}',
                        '5')::json;
SET ROLE iot_app;

SELECT pg_temp.raise('a', 'd2', 'fifth') \g /dev/null
SELECT is(pg_temp.refusal('a', 'alarm_save', '{}', '{}', json_build_object(
              'type', 'sixth', 'severity', 'MAJOR', 'originator',
              json_build_object('entityType', 'DEVICE', 'id',
                                pg_temp.id('d2')))),
          '403 limit_reached: Alarms limit reached', 'a cap');
SELECT is(pg_temp.raise('a', 'd2', 'fifth') ->> 'severity', 'MINOR',
          'that does not stop what is there');

RESET ROLE;
UPDATE iot.tenant_profile
   SET data = jsonb_set(data::jsonb, '{configuration,alarmsTtlDays}',
                        '2')::json;
UPDATE iot.alarm SET end_ts = iot.now_ms() - 3 * 86400000::bigint
 WHERE type = 'cold';
SELECT is(iot.maintain_alarms(), 2, 'retention');
SET ROLE iot_app;
SELECT is(pg_temp.listed('a'), 'fifth', 'what is new remains');

SELECT pg_temp.api('sys', 'tenant_delete', ARRAY[pg_temp.id('A')])
       \g /dev/null
SELECT is((SELECT count(*) FROM iot.alarm), 0::bigint, 'with its tenant');


SELECT * FROM finish();

ROLLBACK;
