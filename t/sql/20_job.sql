
--
-- Copyright (C) the ngx_iot authors
--
-- Jobs: added once, claimed by one helper, tried again, given up, recovered,
-- seen by their owners.

BEGIN;

SELECT plan(46);

GRANT iot_job TO CURRENT_USER;

\ir fixture/people.sql

RESET ROLE;

CREATE FUNCTION pg_temp.helper(n integer) RETURNS uuid
LANGUAGE sql AS $$
    SELECT ('00000000-0000-0000-0000-00000000000' || n)::uuid
$$;

CREATE TEMP TABLE made (name text PRIMARY KEY, id uuid);
CREATE TEMP TABLE claim (id uuid, tenant uuid, kind text, attempt integer,
    created_time bigint, payload text);
GRANT ALL ON made, claim TO iot_app, iot_job;


-- adding

SET ROLE iot_app;

INSERT INTO made VALUES
    ('mail', iot.mail(pg_temp.id('A')::uuid, 'reset-password', 'x@y.example',
                      '{"link":"secret"}')),
    ('hook', iot.job_add(pg_temp.id('A')::uuid, 'webhook',
                 '{"url":"http://h.example/p?token=t","method":"POST"}',
                 'one')),
    ('sys', iot.job_add(NULL, 'other', '{}', NULL, '1 second'));

SELECT is(iot.job_add(pg_temp.id('A')::uuid, 'webhook', '{}', 'one'),
          (SELECT id FROM made WHERE name = 'hook'),
          'the same job is not added twice');
SELECT isnt(iot.job_add(pg_temp.id('B')::uuid, 'webhook', '{}', 'one'),
            (SELECT id FROM made WHERE name = 'hook'),
            'another tenant has its own');

SELECT throws_ok($$
    SELECT iot.mail(NULL, 't', E'a@b.example\r\nBcc: c@d.example', '{}')
$$, 'IO400', NULL, 'no header by way of an address');
SELECT throws_ok($$ SELECT iot.mail(NULL, 't', NULL, '{}') $$, 'IO400', NULL,
                 'a mail needs a recipient');

SELECT throws_ok('SELECT payload FROM iot.job', '42501', NULL,
                 'the workers read no payload');
SELECT throws_ok($$
    INSERT INTO iot.job (kind, give_up_at, payload) VALUES ('x', 1, '{}')
$$, '42501', NULL, 'and add nothing by themselves');
SELECT throws_ok($$
    SELECT iot.job_claim(pg_temp.helper(1), '{mail}', 1000, 1)
$$, '42501', NULL, 'and do not claim');

RESET ROLE;

SELECT is((SELECT about FROM iot.job
            WHERE id = (SELECT id FROM made WHERE name = 'hook')),
          'POST http://h.example', 'what it is about, without its secrets');


-- rolled back

SAVEPOINT s;
SELECT iot.job_add(NULL, 'gone', '{}') AS gone \gset
ROLLBACK TO s;

SELECT is((SELECT count(*) FROM iot.job WHERE kind = 'gone'), 0::bigint,
          'a job goes with its transaction');


-- claiming: two helpers never have the same; what is urgent comes first

SET ROLE iot_job;

SELECT throws_ok('SELECT * FROM iot.job', '42501', NULL,
                 'a helper sees no table');
SELECT throws_ok('SELECT * FROM iot.users', '42501', NULL, 'nor another');

INSERT INTO claim
    SELECT * FROM iot.job_claim(pg_temp.helper(1), '{mail,webhook}', 60000, 1);

SELECT is(kind, 'mail', 'mail comes before other things') FROM claim;
SELECT is(payload::jsonb -> 'vars' ->> 'link', 'secret',
          'the helper has the payload') FROM claim;
SELECT is(attempt, 1, 'the first try') FROM claim;
SELECT is((SELECT count(*) FROM iot.job_claim(pg_temp.helper(2),
              '{mail,webhook}', 60000, 100)), 2::bigint,
          'the rest for another helper');
SELECT is_empty($$
    SELECT * FROM iot.job_claim(pg_temp.helper(2), '{mail,webhook}', 1, 9)
$$, 'and then there is nothing');
SELECT ok(iot.job_next('{other}') <= 0, 'one of another kind is due');

SELECT is(iot.job_end(pg_temp.helper(2), (SELECT id FROM claim), 1, 'done',
                      NULL, NULL), false, 'not the job of that helper');
SELECT is(iot.job_end(pg_temp.helper(1), (SELECT id FROM claim), 2, 'done',
                      NULL, NULL), false, 'not that attempt');
SELECT is(iot.job_end(pg_temp.helper(1), (SELECT id FROM claim), 1, 'retry',
                      NULL, 'no answer'), true, 'try it later');

RESET ROLE;

SELECT is(state || ': ' || error, 'QUEUED: no answer',
          'waits for its next try, with what was wrong')
  FROM iot.job WHERE id = (SELECT id FROM claim);
SELECT ok(run_at BETWEEN iot.now_ms() + 3000 AND iot.now_ms() + 6100,
          'in 4 to 6 seconds')
  FROM iot.job WHERE id = (SELECT id FROM claim);
SELECT is(iot.job_outcome((SELECT id FROM claim))::text, NULL, 'not over');

UPDATE iot.job SET run_at = 0 WHERE id = (SELECT id FROM claim);
SET ROLE iot_job;

SELECT is(c.attempt, 2, 'the second try')
  FROM iot.job_claim(pg_temp.helper(1), '{mail}', 60000, 9) c;
SELECT ok(iot.job_end(pg_temp.helper(1), (SELECT id FROM claim), 2, 'done',
                      '{"status":250}', NULL), 'done');

RESET ROLE;

SELECT is(iot.job_outcome((SELECT id FROM claim))::jsonb,
          jsonb_build_object('id', (SELECT id FROM claim), 'state', 'done',
              'result', '{"status":250}'::jsonb, 'error', NULL),
          'what a waiting request gets');
SELECT is((SELECT payload FROM iot.job WHERE id = (SELECT id FROM claim)), '{}',
          'the link is not kept');


-- giving up

UPDATE iot.job SET give_up_at = iot.now_ms() + 1000 WHERE kind = 'other';

SELECT is((SELECT c.kind FROM iot.job_claim(pg_temp.helper(1), '{other}',
                                            1, 1) c), 'other', 'claimed');
SELECT iot.job_end(pg_temp.helper(1), (SELECT id FROM made WHERE name = 'sys'),
                   1, 'retry', NULL, 'refused') AS ended \gset
SELECT is(state || ': ' || error, 'FAILED: refused',
          'given up when its time is over, with the last error')
  FROM iot.job WHERE kind = 'other';
SELECT is(iot.job_outcome(id) ->> 'state', 'failed', 'and the waiter is told')
  FROM iot.job WHERE kind = 'other';


-- a helper that has died

CREATE FUNCTION pg_temp.hook() RETURNS iot.job
LANGUAGE sql AS $$
    SELECT * FROM iot.job WHERE id = (SELECT id FROM made WHERE name = 'hook')
$$;

SELECT iot.helper_beat(pg_temp.helper(2), 'two', 60000) AS beat \gset
SELECT is(iot.helper_alive(), true, 'a helper lives');
SELECT iot.job_recover(1) AS recovered \gset
SELECT is((pg_temp.hook()).state, 'RUNNING', 'it has its time');

UPDATE iot.job SET lease_until = iot.now_ms() - 1 WHERE kind = 'webhook';

SELECT is(iot.job_recover(1000000000000), 0,
          'after a start of the database it has that time again');
SELECT is(iot.job_recover(1), 2, 'both were its jobs');
SELECT is((pg_temp.hook()).state, 'QUEUED', 'anybody''s again');
SELECT is(iot.job_end(pg_temp.helper(2), (pg_temp.hook()).id, 1, 'done', NULL,
                      NULL), false, 'and its word counts no more');

UPDATE iot.helper SET seen_at = iot.now_ms() - 31000;
SELECT is(iot.helper_alive(), false, 'a helper that is silent is dead');


-- whose they are

UPDATE iot.job SET state = 'FAILED', finished_time = 1, error = 'why'
 WHERE id = (pg_temp.hook()).id;

SET ROLE iot_app;

SELECT is(pg_temp.api('a', 'jobs', '{}', '{"pageSize":"10","page":"0",
              "statuses":"FAILED"}') #>> '{data,0,error}', 'why',
          'the administrator sees why');
SELECT is(pg_temp.api('b', 'jobs', '{}', '{"pageSize":"10","page":"0",
              "types":"mail,webhook"}') -> 'totalElements', '1',
          'each tenant its own');
SELECT is(pg_temp.api('sys', 'jobs', '{}', '{"pageSize":"10","page":"0"}')
              -> 'totalElements', '4', 'the system all of them');
SELECT is(pg_temp.refusal('b', 'job_get',
                          ARRAY[(SELECT id::text FROM made
                                  WHERE name = 'hook')]),
          '404 not_found: Job with id [' || id || '] is not found',
          'of another tenant: there is none')
  FROM made WHERE name = 'hook';
SELECT is(pg_temp.api('a', 'job_retry', ARRAY[id::text]) ->> 'status',
          'QUEUED', 'once more')
  FROM made WHERE name = 'hook';
SELECT is(pg_temp.refusal('a', 'job_retry', ARRAY[id::text]),
          '409 conflict: Only a failed job can be retried',
          'what went well stays')
  FROM made WHERE name = 'mail';
SELECT is(pg_temp.refusal('c1', 'jobs', '{}',
                          '{"pageSize":"1","page":"0"}'),
          '403 permission_denied: You don''t have permission to perform this '
          'operation!', 'a customer sees no jobs');

RESET ROLE;


-- retention

UPDATE iot.job SET finished_time = iot.now_ms() - 2 * 86400000::bigint
 WHERE state IN ('COMPLETED', 'FAILED');
SELECT iot.maintain_job() AS kept \gset
SELECT is((SELECT count(*) FROM iot.job WHERE state = 'COMPLETED'), 0::bigint,
          'what went well is forgotten after a day');
SELECT is((SELECT count(*) FROM iot.job WHERE state = 'FAILED'), 1::bigint,
          'what failed is not');


SELECT * FROM finish();

ROLLBACK;
