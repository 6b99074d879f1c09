
--
-- Copyright (C) the ngx_iot authors

BEGIN;

SELECT plan(46);

-- texts of doubles: shortest digits, fraction or exponent always

SELECT is(iot.double_text(v.d), v.t, 'double ' || v.t)
  FROM (VALUES (21::float8, '21.0'), (0.1, '0.1'), (-0.5, '-0.5'),
               (0, '0.0'), ('-0', '-0.0'), (1e7, '1.0E7'),
               (9999999, '9999999.0'), (9999999.5, '9999999.5'),
               (1e10, '1.0E10'), (12345678.25, '1.234567825E7'),
               (0.001, '0.001'), (0.0001, '1.0E-4'), (0.00012, '1.2E-4'),
               (-0.000999, '-9.99E-4'), (7e-06, '7.0E-6'),
               (1e100, '1.0E100'), (-1.5e300, '-1.5E300'),
               (5e-324, '5.0E-324'), (1.7976931348623157e308,
               '1.7976931348623157E308'), (100, '100.0'),
               (123456.789, '123456.789'), (0.30000000000000004,
               '0.30000000000000004'), (1e15, '1.0E15'),
               (123456789012345680, '1.2345678901234568E17'),
               (100000000000000000000, '1.0E20')) v (d, t);

SELECT is(iot.double_text(NULL), NULL, 'no double');

SELECT is((SELECT count(*) FROM generate_series(1, 2000) i
                  CROSS JOIN LATERAL (SELECT (random() - 0.5)
                      * 10::float8 ^ (i % 60 - 30) AS d) x
            WHERE iot.double_text(x.d)::float8 <> x.d), 0::bigint,
          'texts of doubles read back the same');

-- the three forms of each type

SELECT is(iot.value_text(true, NULL, NULL, NULL), 'true', 'text of BOOLEAN');
SELECT is(iot.value_text(NULL, -7, NULL, NULL), '-7', 'text of LONG');
SELECT is(iot.value_text(NULL, NULL, 42, NULL), '42.0', 'text of DOUBLE');
SELECT is(iot.value_text(NULL, NULL, NULL, 'a"b'), 'a"b', 'text of STRING');
SELECT is(iot.value_text(true, NULL, NULL, '{"a":1}'), '{"a":1}',
          'text of JSON');
SELECT is(iot.value_json(false, NULL, NULL, NULL), 'false',
          'JSON of BOOLEAN');
SELECT is(iot.value_json(NULL, NULL, NULL, 'a"b'), '"a\"b"',
          'JSON of STRING');
SELECT is(iot.value_json(true, NULL, NULL, '{"a":1}'), '{"a":1}',
          'JSON of JSON');
SELECT is(iot.value_json(NULL, 9223372036854775807, NULL, NULL),
          '9223372036854775807', 'JSON of LONG');
SELECT is(iot.value_string(true, NULL, NULL, '{"a":1}'), '"{\"a\":1}"',
          'string of JSON');
SELECT is(iot.value_string(false, NULL, NULL, NULL), '"false"',
          'string of BOOLEAN');
SELECT is(iot.value_string(NULL, NULL, 1e10, NULL), '"1.0E10"',
          'string of DOUBLE');
SELECT is(iot.value_string(NULL, NULL, NULL, NULL), NULL,
          'nothing stays nothing');

-- keys

SELECT is(cardinality(iot.key_ids(ARRAY['t', 'k', 't'])), 3,
          'a number for each name');
SELECT ok((iot.key_ids(ARRAY['t', 'k', 't']))[1]
          = (iot.key_ids(ARRAY['k', 't']))[2], 'a key keeps its number');
SELECT is(iot.key_ids('{}'), '{}'::integer[], 'no names, no numbers');
SELECT throws_ok($$ SELECT iot.key_ids(ARRAY['a', ' ']) $$, 'IO400',
                 'Key cannot be blank');
SELECT throws_ok($$ SELECT iot.key_ids(ARRAY[repeat('x', 256)]) $$, 'IO400',
                 'Key length must be equal or less than 255');
SELECT lives_ok($$ SELECT iot.key_ids(ARRAY[repeat('ü', 255)]) $$,
                'a key of 255 characters');

SELECT * FROM finish();
ROLLBACK;
