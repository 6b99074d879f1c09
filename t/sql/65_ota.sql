
--
-- Copyright (C) the ngx_iot authors
--
-- Packages of firmware and software.

BEGIN;

SELECT plan(15);

\ir fixture/people.sql

SELECT pg_temp.api('a', 'device_profile_info_default') -> 'id' ->> 'id'
       AS profile \gset

RESET ROLE;

CREATE FUNCTION pg_temp.package(profile text, more jsonb) RETURNS json
LANGUAGE sql AS $$
    SELECT (jsonb_build_object('deviceProfileId', jsonb_build_object('id',
                profile, 'entityType', 'DEVICE_PROFILE'), 'type', 'FIRMWARE',
                'title', 'fw', 'version', '1') || more)::json
$$;

SET ROLE iot_app;

SELECT pg_temp.made('fw', pg_temp.api('a', 'ota_save', '{}', '{}',
    pg_temp.package(:'profile', '{}'))) \g /dev/null

SELECT is(pg_temp.refusal(v.who, v.fn, v.path::text[], '{}', v.body::json),
          v.text, concat_ws(' ', v.who, v.fn))
  FROM (VALUES
    ('c1', 'ota_save', '{}', pg_temp.package(:'profile', '{}')::text,
        '403 permission_denied: You don''t have permission to perform this '
        'operation!'),
    ('b', 'ota_save', '{}', pg_temp.package(:'profile', '{}')::text,
        '400 bad_request: OtaPackage is referencing to non-existent device '
        'profile!'),
    ('b', 'ota_info_get', '{' || pg_temp.id('fw') || '}', NULL,
        format('404 not_found: Ota package with id [%s] is not found',
               pg_temp.id('fw'))),
    ('c1', 'ota_delete', '{' || pg_temp.id('fw') || '}', NULL,
        '403 permission_denied: You don''t have permission to perform this '
        'operation!'),
    ('b', 'ota_delete', '{' || pg_temp.id('fw') || '}', NULL,
        format('404 not_found: Ota package with id [%s] is not found',
               pg_temp.id('fw'))),
    ('a', 'ota_download', '{' || pg_temp.id('fw') || '}', NULL,
        '404 not_found: Requested item wasn''t found!'))
       v (who, fn, path, body, text);

-- 65536 + 65536 + 10 bytes
SELECT is((iot.ota_upload(pg_temp.caller('a'), pg_temp.id('fw')::uuid, '', '',
                          NULL, NULL, NULL,
                          convert_to(repeat('0123456789abcdef', 8192)
                                     || 'the end...', 'UTF8'))).data_size,
          131082::bigint, 'uploaded')
  FROM (SELECT iot.enter(pg_temp.caller('a'))) AS e;

SELECT is((SELECT array_agg(length(data) ORDER BY n) FROM iot.ota_data),
          '{65536,65536,10}', 'in rows of 64 KiB');
SELECT is(convert_from(iot.ota_read(pg_temp.id('A')::uuid,
              pg_temp.id('fw')::uuid, v.first, v.size), 'UTF8'), v.text,
          format('from %s on, %s bytes', v.first, v.size))
  FROM (VALUES
    (65530, 12, 'abcdef012345'),
    (131072, 100, 'the end...'),
    (131081, 1, '.'),
    (131082, 1, ''),
    (-1, 5, '')) v (first, size, text);

SELECT is(iot.ota_read(pg_temp.id('B')::uuid, pg_temp.id('fw')::uuid, 0, 10),
          ''::bytea, 'nothing for another tenant');

SELECT iot.enter(pg_temp.caller('b')) \g /dev/null
SELECT is((SELECT count(*) FROM iot.ota_data)
          + (SELECT count(*) FROM iot.ota_package), 0::bigint,
          'nor are there rows for it');

SELECT * FROM finish();

ROLLBACK;
