
--
-- Copyright (C) the ngx_iot authors
--
-- What people prove themselves with, seen from other tenants and from below.

BEGIN;

SELECT plan(40);

\ir fixture/people.sql


-- API keys

SELECT pg_temp.made('key', pg_temp.api('a', 'api_key_create', '{}', '{}',
           '{"description":"x"}')) ->> 'value' AS value \gset

SELECT is((SELECT k.user_id::text || k.role FROM iot.api_key_principal(
               encode(sha256(:'value'), 'hex')) AS k),
          pg_temp.id('user a') || 'TENANT_ADMIN', 'a key is its user');
SELECT is_empty($$ SELECT * FROM iot.api_key_principal('00') $$, 'no key');

SELECT is(pg_temp.refusal(v.who, v.fn, ARRAY[pg_temp.id(v.thing), 'false'],
                          '{"pageSize":"1","page":"0"}', '"x"'),
          v.code || CASE v.code WHEN '404 not_found: ' THEN
                        v.what || ' with id [' || pg_temp.id(v.thing)
                        || '] is not found'
                    ELSE 'You don''t have permission to perform this '
                         || 'operation!' END,
          v.who || ' ' || v.fn)
FROM (VALUES
    ('b', 'api_key_delete', 'key', '404 not_found: ', 'API key'),
    ('b', 'api_key_enable', 'key', '404 not_found: ', 'API key'),
    ('b', 'api_key_describe', 'key', '404 not_found: ', 'API key'),
    ('b', 'api_keys', 'user a', '404 not_found: ', 'User'),
    ('b', 'user_token', 'user c1', '404 not_found: ', 'User'),
    ('b', 'activation_link', 'user c1', '404 not_found: ', 'User'),
    ('b', 'activation_link_info', 'user c1', '404 not_found: ', 'User'),
    ('c1', 'api_key_delete', 'key', '403 permission_denied: ', ''),
    ('c1', 'api_keys', 'user a', '403 permission_denied: ', ''),
    ('c1', 'user_token', 'user c1', '403 permission_denied: ', ''),
    ('c1', 'activation_link', 'user c2', '403 permission_denied: ', ''),
    ('sys', 'api_keys', 'user c1', '403 permission_denied: ', ''),
    ('sys', 'user_token', 'user c1', '403 permission_denied: ', ''),
    ('a', 'user_token', 'user a', '403 permission_denied: ', '')
    ) AS v (who, fn, thing, code, what);

SELECT iot.enter(pg_temp.caller('b')) \g /dev/null
SELECT is_empty('SELECT * FROM iot.api_key', 'rows of others are not there');
SELECT iot.enter(pg_temp.caller('a')) \g /dev/null
SELECT is((SELECT count(*) FROM iot.api_key), 1::bigint, 'but for their own');


-- settings of a user

SELECT is(pg_temp.api('a', 'user_settings_save', '{}', '{}', '{"a":1}'),
          '{"a":1}', 'stored');
SELECT is(pg_temp.api('b', 'user_settings'), '{}', 'for one user');
SELECT is(pg_temp.refusal('a', 'user_settings_merge',
                          '{VISITED_DASHBOARDS}', '{}', '{}'),
          '400 bad_request: Settings with type: VISITED_DASHBOARDS are '
          'reserved for internal use!', 'not those of the server');
SELECT is(pg_temp.refusal('a', 'user_settings_save', '{}', '{}', '[]'),
          '400 bad_request: Malformed JSON request body', 'no object');
SELECT is(iot.json_put('{"a":{"b":1},"c":2}', '{a,d,e}', '3'),
          '{"a":{"b":1,"d":{"e":3}},"c":2}', 'a value at the end of a path');
SELECT is(iot.json_put('{"a":1}', '{a,b}', '2'), '{"a":{"b":2}}',
          'objects take the place of others');


-- dashboards that a user has looked at

SELECT pg_temp.made('board', pg_temp.api('a', 'dashboard_save', '{}', '{}',
           '{"title":"T"}')) ->> 'title' AS board \gset
SELECT is(pg_temp.api('a', 'user_dashboards'), '{"last":[],"starred":[]}',
          'none yet');
SELECT is(pg_temp.api('a', 'user_dashboard_note',
                      ARRAY[pg_temp.id('board'), 'visit'])
              #- '{last,0,lastVisited}',
          jsonb_build_object('starred', '[]'::json, 'last',
              jsonb_build_array(jsonb_build_object('title', 'T',
                  'id', pg_temp.id('board'), 'starred', false))),
          'looked at');
SELECT is(pg_temp.api('a', 'user_dashboard_note',
                      ARRAY[pg_temp.id('board'), 'star'])
              #> '{last,0,starred}', 'true', 'with a star');
SELECT is(jsonb_array_length(pg_temp.api('a', 'user_dashboard_note',
              ARRAY[pg_temp.id('board'), 'visit']) -> 'last'), 1,
          'once in the list');
SELECT is(pg_temp.api('a', 'user_dashboard_note',
                      ARRAY[pg_temp.id('board'), 'unstar']) -> 'starred',
          '[]', 'and without');
SELECT is(pg_temp.refusal('b', 'user_dashboard_note',
                          ARRAY[pg_temp.id('board'), 'visit']),
          '404 not_found: Dashboard with id [' || pg_temp.id('board')
          || '] is not found', 'of another tenant');
SELECT is(pg_temp.refusal('c1', 'user_dashboard_note',
                          ARRAY[pg_temp.id('board'), 'visit']),
          '403 permission_denied: You don''t have permission to perform this '
          'operation!', 'of another customer');
SELECT is(pg_temp.refusal('a', 'user_dashboard_note',
                          ARRAY[pg_temp.id('board'), 'burn']),
          '400 bad_request: Invalid action on a dashboard!', 'no such action');


-- forgotten passwords: five mails, five looks

RESET ROLE;
SELECT is(iot.five_an_hour('{}') IS NULL, false, 'the first');
SELECT is(iot.five_an_hour(array_fill(iot.now_ms(), ARRAY[5])), NULL,
          'not the sixth');
SELECT is(cardinality(iot.five_an_hour(
              array_fill(iot.now_ms() - 3600001, ARRAY[5]))), 1,
          'an hour later');


-- second factors

SELECT is(iot.uri_encode('a b:c@d/'), 'a%20b%3Ac%40d%2F', 'text of a URI');
SELECT matches(iot.random_base32(32), '^[A-Z2-7]{32}$', 'a seed');
SELECT matches(iot.random_digits(), '^[0-9]{6}$', 'a code');

SELECT is((SELECT count(*) FROM iot.basic_login(
              pg_temp.id('user b')::uuid, NULL, NULL,
              'hash of b@example.org', NULL)), 1::bigint,
          'name and password at the door');
INSERT INTO iot.setting (name, value)
VALUES ('twoFactor', '{"providers":[{"providerType":"EMAIL"}],'
                     '"enforceTwoFa":true,'
                     '"enforcedUsersFilter":{"type":"ALL_USERS"}}');
SELECT is((SELECT count(*) FROM iot.basic_login(
              pg_temp.id('user b')::uuid, NULL, NULL,
              'hash of b@example.org', NULL)), 0::bigint,
          'not where a second factor is enforced');

SELECT * FROM finish();

ROLLBACK;
