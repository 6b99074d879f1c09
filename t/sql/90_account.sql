
--
-- Copyright (C) the ngx_iot authors
--
-- Accounts of the Thinger.io dialect, between tenants.

BEGIN;

SELECT plan(9);

\ir fixture/people.sql

SELECT pg_temp.fails($$ SELECT iot.enter(pg_temp.caller('a')) $$) \g /dev/null

SELECT is(pg_temp.fails($$
    SELECT iot.enter(pg_temp.caller('a')),
           iot.account_rename(pg_temp.caller('a'),
               iot.account_user(pg_temp.caller('a'), 'a@example.org'),
               'alice') $$), 'done', 'a name is given');
SELECT is((iot.account_user(pg_temp.caller('a'), 'alice')).email,
          'a@example.org', 'and found');
SELECT is((iot.account_user(pg_temp.caller('a'), 'A@example.org')).email,
          'a@example.org', 'the address is one too');

SELECT iot.enter(pg_temp.caller('b')) \g /dev/null
SELECT isnt(pg_temp.fails($$
    SELECT iot.account_rename(pg_temp.caller('b'),
               iot.account_user(pg_temp.caller('b'), 'b@example.org'),
               'alice') $$), 'done', 'a name is there once');
SELECT isnt(pg_temp.fails($$
    SELECT iot.account_user(pg_temp.caller('b'), 'alice') $$), 'done',
          'another tenant has no such account');
SELECT is((SELECT count(*) FROM iot.account), 0::bigint,
          'and sees none');

SELECT iot.enter(pg_temp.caller('c1')) \g /dev/null
SELECT isnt(pg_temp.fails($$
    SELECT iot.account_user(pg_temp.caller('c1'), 'alice') $$), 'done',
          'nor is the administrator''s for a customer');

SELECT is(iot.typed_value('k', '1.5')::text, '["k", "d", "1.5"]',
          'a double');
SELECT is(iot.typed_value('k', '{"a":1}')::text,
          '["k", "j", "{\"a\":1}"]', 'JSON');

SELECT * FROM finish();

ROLLBACK;
