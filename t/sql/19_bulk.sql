
--
-- Copyright (C) the ngx_iot authors
--
-- Files of comma-separated values: their grammar, and devices made of them.

BEGIN;

SELECT plan(20);

\ir fixture/people.sql


SELECT is((SELECT string_agg(line || array_to_string(fields, '|'), ' ')
             FROM iot.csv_rows(v.data, v.delimiter)), v.rows, v.rows)
  FROM (VALUES
    ('a,b', ',', '1a|b'),
    (E'a,b\r\nc,d\r\n', ',', '1a|b 2c|d'),
    (E'"a,""x""",b\n\n"c\nd",', ',', E'1a,"x"|b 3c\nd|'),
    (E'"c\nd",e\nf,g', ',', E'1c\nd|e 3f|g'),
    ('a;b,c', ';', '1a|b,c'),
    ('a|b', '|', '1a|b'),
    (E',\n""', ',', '1|')
       ) v (data, delimiter, rows);

SELECT alike(pg_temp.fails($$SELECT * FROM iot.csv_rows('"a"b,c', ',')$$),
             'IO400 Line 1: malformed CSV', 'a quote in the wrong place');
SELECT alike(pg_temp.fails($$SELECT * FROM iot.csv_rows('a,"b', ',')$$),
             'IO400 Line 1: malformed CSV', 'a quote that does not end');


RESET ROLE;

CREATE FUNCTION pg_temp.file(data text, more jsonb DEFAULT '{}') RETURNS json
LANGUAGE sql AS $$
    SELECT json_build_object('file', data, 'mapping',
        '{"columns":[{"type":"NAME"},{"type":"TYPE"},{"type":"LABEL"},
          {"type":"ACCESS_TOKEN"},{"type":"SERVER_ATTRIBUTE","key":"floor"},
          {"type":"SHARED_ATTRIBUTE","key":"limit"},
          {"type":"TIMESERIES","key":"t"},{"type":"IS_GATEWAY"}],
          "delimiter":",","header":true,"update":false}'::jsonb || more)
$$;

SET ROLE iot_app;

SELECT is(pg_temp.api('a', 'device_bulk_import', '{}', '{}', pg_temp.file(
E'name,type,label,token,floor,limit,t,gateway\n'
'b1,pump,"L, 1",TokenOfB1,3,21.5,7,true\n'
'b2,,,,ground,,,\n'
'd1,pump,,,,,,\n'
',pump,,,,,,\n'
'b3,valve,,TokenOfB1,,,,\n'
'b4,<b>,,,,,,')),
    '{"created":2,"updated":0,"errors":4,"errorsList":[
      "Line 4: Device with such name already exists!",
      "Line 5: Device name should be specified!",
      "Line 6: Device credentials are already assigned to another device!",
      "Line 7: type is malformed"]}'::jsonb, 'a file with some errors');

SELECT iot.enter(pg_temp.caller('a')) \g /dev/null
SELECT is((SELECT array_agg(d.name || ' ' || dp.name || ' '
                            || COALESCE(d.label, '-') || ' ' || d.is_gateway
                            ORDER BY d.name)
             FROM iot.device d JOIN iot.device_profile dp
               ON dp.id = d.profile_id WHERE d.name LIKE 'b%'),
          ARRAY['b1 pump L, 1 true', 'b2 default - false'],
          'what was made of it');
SELECT is((SELECT credentials_id FROM iot.device_credentials c
             JOIN iot.device d ON d.id = c.device_id WHERE d.name = 'b1'),
          'TokenOfB1', 'with its token');
SELECT is((SELECT string_agg(concat_ws(' ', a.scope, a.name, a.l, a.d, a.s),
                             ',' ORDER BY a.scope)
             FROM iot.device d, iot.attributes(d.nr, NULL, NULL) a
            WHERE d.name = 'b1'), '2 limit 21.5,3 floor 3',
          'typed attributes');
SELECT is((SELECT a.s FROM iot.device d, iot.attributes(d.nr, NULL, NULL) a
            WHERE d.name = 'b2'), 'ground', 'texts too');
SELECT is((SELECT v.l FROM iot.device d, iot.latest(d.nr, NULL) v
            WHERE d.name = 'b1'), 7::bigint, 'a point');

SELECT is(pg_temp.api('a', 'device_bulk_import', '{}', '{}', pg_temp.file(
E'b1,,new,,4,,,\nb5,,,,,,,', '{"header":false,"update":true}')),
    '{"created":1,"updated":1,"errors":0,"errorsList":[]}'::jsonb,
    'changed by another');
SELECT is((SELECT d.label || ' ' || dp.name FROM iot.device d
             JOIN iot.device_profile dp ON dp.id = d.profile_id
            WHERE d.name = 'b1'), 'new pump', 'what is empty stays');

SELECT is(pg_temp.refusal('a', 'asset_bulk_import', '{}', '{}',
              pg_temp.file('a')),
          '400 bad_request: Unsupported column type ''ACCESS_TOKEN''!',
          'assets have no tokens');
SELECT is(pg_temp.api('a', 'asset_bulk_import', '{}', '{}', '{"file":"h1",
              "mapping":{"columns":[{"type":"NAME"}]}}') -> 'created', '1',
          'but they can be imported');
SELECT is(pg_temp.refusal('c1', 'device_bulk_import', '{}', '{}',
              pg_temp.file('a')),
          '403 permission_denied: You don''t have permission to perform this '
          'operation!', 'by administrators');


SELECT * FROM finish();

ROLLBACK;
