
--
-- Copyright (C) the ngx_iot authors
--
-- What tenants use in a month.

BEGIN;

SELECT plan(26);

\ir fixture/people.sql

SELECT pg_temp.id('A')::uuid AS a, pg_temp.id('B')::uuid AS b \gset

RESET ROLE;
UPDATE iot.tenant_profile
   SET data = jsonb_set(jsonb_set(data::jsonb,
              '{configuration,maxTransportMessages}', '100'),
              '{configuration,maxEmails}', '2')::json;
CREATE FUNCTION pg_temp.cap(n text) RETURNS void LANGUAGE sql AS $$
    SELECT pg_temp.api('sys', 'tenant_profile_save', '{}', '{}',
               jsonb_set(x, '{profileData,configuration,maxTransportMessages}',
                         n::jsonb)::json)
      FROM pg_temp.api('sys', 'tenant_profile_get', ARRAY[(SELECT id::text
               FROM iot.tenant_profile WHERE is_default)]) x
$$;
DELETE FROM iot.job;
DELETE FROM iot.usage;
SET ROLE iot_app;

SELECT is(iot.usage_state(:'a', 'transportMessages'), 'ENABLED', 'at first');

SELECT iot.usage_add(ARRAY[:'b', :'a', :'a']::uuid[], '{1,70,9}', '{5,0,3}')
       \g /dev/null
SELECT is(iot.usage_value(:'a', 'transportMessages'), 79::bigint, 'messages');
SELECT is(iot.usage_value(:'a', 'transportDataPoints'), 3::bigint, 'points');
SELECT is(iot.usage_value(:'b', 'transportMessages'), 1::bigint, 'of another');
SELECT is(iot.usage_state(:'a', 'transportMessages'), 'ENABLED', 'below');

SELECT iot.usage_add(ARRAY[:'a']::uuid[], '{1}', '{0}') \g /dev/null
SELECT is(iot.usage_state(:'a', 'transportMessages'), 'WARNING', 'nearly');
SELECT iot.usage_add(ARRAY[:'a']::uuid[], '{1}', '{0}') \g /dev/null
SELECT iot.usage_add(ARRAY[:'a']::uuid[], '{19}', '{0}') \g /dev/null
SELECT is(iot.usage_state(:'a', 'transportMessages'), 'DISABLED', 'used up');
SELECT is((SELECT array_agg(r.name) FROM iot.tenant_rates(:'a') r
            WHERE r.name = 'disabled'), '{disabled}', 'the workers see it');
SELECT is((SELECT count(*) FROM iot.tenant_rates(:'b') r
            WHERE r.name = 'disabled'), 0::bigint, 'not of another');

RESET ROLE;
SELECT is((SELECT array_agg((j.payload -> 'vars' ->> 'state') || ' '
                            || (j.payload ->> 'recipient')
                            ORDER BY j.created_time, j.id)
             FROM iot.job j WHERE j.payload ->> 'template' = 'api-usage'),
          '{"WARNING a@example.org","DISABLED a@example.org"}',
          'a mail for each step');
SET ROLE iot_app;

SELECT is(pg_temp.api('a', 'usage') ->> 'transportMessages', '100',
          'over REST');
SELECT is(pg_temp.api('b', 'usage') ->> 'transportMessages', '1',
          'of the other tenant');


-- a larger cap, a smaller one, none

SELECT pg_temp.cap('1000') \g /dev/null
SELECT is(iot.usage_state(:'a', 'transportMessages'), 'ENABLED', 'more');
SELECT pg_temp.cap('110') \g /dev/null
SELECT is(iot.usage_state(:'a', 'transportMessages'), 'WARNING', 'less');
SELECT pg_temp.cap('50') \g /dev/null
SELECT is(iot.usage_state(:'a', 'transportMessages'), 'DISABLED', 'too little');
SELECT pg_temp.cap('0') \g /dev/null
SELECT is(iot.usage_state(:'a', 'transportMessages'), 'ENABLED', 'no cap');
SELECT pg_temp.cap('50') \g /dev/null


-- another month

RESET ROLE;
UPDATE iot.usage SET month = month - 1;
UPDATE iot.usage_state SET month = month - 1;
SET ROLE iot_app;
SELECT is(iot.usage_state(:'a', 'transportMessages'), 'ENABLED',
          'a new month');
SELECT is(iot.usage_value(:'a', 'transportMessages'), 0::bigint,
          'begins with nothing');
SELECT iot.usage_review() \g /dev/null
RESET ROLE;
SELECT is((SELECT count(*) FROM iot.usage_state), 0::bigint,
          'and the workers hear of it');
SELECT is((SELECT count(*) FROM iot.usage WHERE value = 100), 1::bigint,
          'the numbers of before are kept');
SET ROLE iot_app;


-- mails

SELECT ok(iot.mail(:'b', 'test-mail', 'x@example.org', '{}') IS NOT NULL,
          'a mail');
SELECT ok(iot.mail(:'b', 'test-mail', 'x@example.org', '{}') IS NOT NULL,
          'another');
SELECT ok(iot.mail(:'b', 'test-mail', 'x@example.org', '{}') IS NULL,
          'no more this month');
SELECT ok(iot.mail(NULL, 'test-mail', 'x@example.org', '{}') IS NOT NULL,
          'the server''s are not counted');
SELECT is(pg_temp.api('b', 'usage') ->> 'emails', '2', 'as many as sent');


-- apart

SELECT iot.enter(pg_temp.caller('b')) \g /dev/null
SELECT is((SELECT count(*) FROM iot.usage WHERE tenant_id = :'a'), 0::bigint,
          'numbers of another tenant are not seen');

SELECT * FROM finish();
ROLLBACK;
