
--
-- Copyright (C) the ngx_iot authors
--
-- The registry of settings.

BEGIN;

SELECT plan(43);

\ir fixture/people.sql

RESET ROLE;
SELECT iot.setting_define('test.n', 'integer', '3', '{"min":1,"max":9}',
                          'tenant', true, false, 'A number.');
SELECT iot.setting_define('test.secret', 'string', NULL, '{"maxLength":20}',
                          'tenant', true, true, 'A secret.');
SELECT iot.setting_define('test.list', 'strings', '["a"]',
                          '{"maxItems":2,"pattern":"^[a-z]+$"}', 'system',
                          true, false, 'A list.');
SELECT iot.setting_define('test.rate', 'rate', '"1:1"', NULL, 'system', true,
                          false, 'A rate.');
SELECT iot.setting_define('test.choice', 'enum', '"x"',
                          '{"values":["x","y"]}', 'system', true, false,
                          'A choice.');
SELECT iot.setting_define('test.url', 'url', NULL, NULL, 'system', true,
                          false, 'An address.');

CREATE FUNCTION pg_temp.put(who text, name text, value text) RETURNS text
LANGUAGE sql AS $$
    SELECT pg_temp.refusal(who, 'setting_put', ARRAY[name], '{}',
                           ('{"value":' || value || '}')::json)
$$;

CREATE FUNCTION pg_temp.told(name text, value text) RETURNS text
LANGUAGE sql AS $$
    SELECT regexp_replace(pg_temp.put('sys', name, value),
                          '^400 bad_request: ', '')
$$;

SELECT is(pg_temp.fails($$ SELECT iot.setting_define('test.bad', 'integer',
              '12', '{"max":9}', 'system', true, false, '') $$),
          'IO400 test.bad must be an integer of at most 9!',
          'a default within its bounds');
SELECT is(pg_temp.fails($$ SELECT iot.setting_define('test.bad', 'thing',
              '12', NULL, 'system', true, false, '') $$),
          'P0001 setting "test.bad" has the unknown type "thing"',
          'no other types');
SELECT is(pg_temp.fails($$ SELECT iot.setting_define('bad', 'integer', '1',
              NULL, 'system', true, false, '') $$),
          'P0001 setting "bad" has no proper name', 'names have dots');
SET ROLE iot_app;

SELECT is(pg_temp.fails($$ SELECT iot.setting_value(NULL, 'no.such') $$),
          'P0001 setting "no.such" is not defined', 'only what is defined');
SELECT is(iot.setting_of(NULL, 'test.n'), '3', 'the default');
SELECT ok(iot.setting_of(NULL, 'test.url') IS NULL, 'absent');


-- scopes

SELECT is(pg_temp.put('sys', 'test.n', '5'), 'done', 'of the server');
SELECT is(iot.setting_of(pg_temp.id('A')::uuid, 'test.n'), '5',
          'for tenants too');
SELECT is(pg_temp.put('a', 'test.n', '7'), 'done', 'of a tenant');
SELECT is(iot.setting_of(pg_temp.id('A')::uuid, 'test.n'), '7', 'its own');
SELECT is(iot.setting_of(pg_temp.id('B')::uuid, 'test.n'), '5', 'not others''');
SELECT is(pg_temp.api('a', 'setting_get', '{test.n}') - 'description',
          '{"name":"test.n","type":"integer","scope":"tenant","hot":true,
            "secret":false,"default":3,"bounds":{"min":1,"max":9},"value":7,
            "origin":"tenant"}', 'as it is shown');
SELECT is(pg_temp.api('b', 'setting_get', '{test.n}') ->> 'origin', 'system',
          'where it comes from');
SELECT is(pg_temp.api('a', 'setting_delete', '{test.n}') ->> 'value', '5',
          'back to the server''s');
SELECT is(pg_temp.api('sys', 'setting_delete', '{test.n}') ->> 'origin',
          'default', 'back to the default');
SELECT is(pg_temp.put('a', 'test.list', '["x"]'),
          '404 not_found: Setting [test.list] is not found',
          'not in the hands of a tenant');
SELECT is(pg_temp.refusal('a', 'setting_get', '{test.list}'),
          '404 not_found: Setting [test.list] is not found',
          'nor in its sight');
SELECT is(pg_temp.put('c1', 'test.n', '4'), '403 permission_denied: '
          'You don''t have permission to perform this operation!',
          'not for customers');
SELECT is((SELECT count(*) FROM jsonb_array_elements(
               pg_temp.api('sys', 'settings', '{}', '{"prefix":"test."}'))),
          6::bigint, 'the list of the system');
SELECT is((SELECT jsonb_agg(x -> 'name') FROM jsonb_array_elements(
               pg_temp.api('b', 'settings', '{}', '{"prefix":"test."}')) x),
          '["test.n","test.secret"]', 'of a tenant');


-- what is refused

SELECT is(pg_temp.told('test.n', '10'),
          'test.n must be an integer from 1 to 9!', 'too many');
SELECT is(pg_temp.told('test.n', '1.5'),
          'test.n must be an integer from 1 to 9!', 'not an integer');
SELECT is(pg_temp.told('test.n', '"5"'),
          'test.n must be an integer from 1 to 9!', 'not a number');
SELECT is(pg_temp.told('test.n', '1e999'),
          'test.n must be an integer from 1 to 9!', 'far too many');
SELECT is(pg_temp.told('test.n', 'null'),
          'test.n must be given as "value"!', 'nothing');
SELECT is(pg_temp.told('test.list', '["a","b","c"]'),
          'test.list must be an array of at most 2!', 'too long an array');
SELECT is(pg_temp.told('test.list', '["a","B"]'),
          'test.list must be text that matches ^[a-z]+$!', 'another pattern');
SELECT is(pg_temp.told('test.list', '[1]'),
          'test.list must be an array of strings!', 'not of strings');
SELECT is(pg_temp.told('test.choice', '"z"'),
          'test.choice must be one of x, y!', 'not a choice');
SELECT is(pg_temp.told('test.url', '"ftp://example.org"'),
          'test.url must be a URL of http or https!', 'not a URL');
SELECT is(pg_temp.told('test.url', '"http://example.org\r\nA: b"'),
          'test.url must be a URL of http or https!', 'not two lines');
SELECT is(pg_temp.told('test.rate', '"' || r || '"'),
          'test.rate must be of the form 100:1,2000:60 (so many in so many'
          ' seconds), at most four times!', r)
  FROM (VALUES ('100000001:1'), ('1:31622401'), ('1:1,2:1'),
               ('1:1,1:2,1:3,1:4,1:5'), ('1:1,')) v (r);


-- secrets are not read back

SELECT is(pg_temp.told('test.secret', '"plain"'),
          'test.secret must be a string that can be sealed!',
          'a secret is sealed before it is stored');
SELECT is(pg_temp.put('a', 'test.secret', '"sealed:abc"'), 'done', 'sealed');
SELECT is(pg_temp.api('a', 'setting_get', '{test.secret}') ->> 'value', '***',
          'only that there is one');
RESET ROLE;
SELECT is((SELECT l.data::text FROM iot.audit_log l
            WHERE l.entity_name = 'test.secret'),
          '{"old" : null, "new" : "***"}', 'nor in the audit log');
SELECT is((SELECT string_agg(l.action || ' ' || l.data::text, '; '
                             ORDER BY l.created_time, l.id)
             FROM iot.audit_log l
            WHERE l.entity_name = 'test.n'
                  AND l.tenant_id = pg_temp.id('A')::uuid),
          'UPDATED {"old" : null, "new" : 7}; '
          'DELETED {"old" : 7, "new" : null}', 'old and new in the audit log');
SET ROLE iot_app;


-- parts of older settings

SELECT is(pg_temp.put('sys', 'security.passwordPolicy.minimumLength', '9'),
          'done', 'a part of another setting');
SELECT is(iot.security_settings() -> 'passwordPolicy' ->> 'minimumLength',
          '9', 'is in force');

SELECT * FROM finish();
ROLLBACK;
