
--
-- Copyright (C) the ngx_iot authors

BEGIN;

SELECT plan(59);

\ir fixture/telemetry.sql

-- latest values

SELECT is(pg_temp.series('a', 'd1', '{}'), '{}', 'nothing yet');
SELECT is((pg_temp.save('a', 'd1', '[["t",1000,"d",21],["b",1000,"b",true],
              ["j",1000,"j","{\"a\": 1}"],["s",1000,"s","x\"y"],
              ["l",1000,"l",9223372036854775807],["t",500,"l",1]]')).body,
          NULL, 'a save answers nothing');
SELECT is(pg_temp.series('a', 'd1', '{}'),
          '{"b":[{"ts":1000,"value":"true"}],
            "j":[{"ts":1000,"value":"{\"a\": 1}"}],
            "l":[{"ts":1000,"value":"9223372036854775807"}],
            "s":[{"ts":1000,"value":"x\"y"}],
            "t":[{"ts":1000,"value":"21.0"}]}', 'latest values are strings');
SELECT is(pg_temp.series('a', 'd1', '{"useStrictDataTypes":"true"}'),
          '{"b":[{"ts":1000,"value":true}],
            "j":[{"ts":1000,"value":{"a":1}}],
            "l":[{"ts":1000,"value":9223372036854775807}],
            "s":[{"ts":1000,"value":"x\"y"}],
            "t":[{"ts":1000,"value":21.0}]}', 'or of their own type');
SELECT is(pg_temp.series('a', 'd1', '{"keys":["t","s"],"key":"b"}')
          - 't' - 's' - 'b', '{}', 'keys repeated and key');
SELECT is(pg_temp.series('a', 'd1', '{"keys":"t,no"}') #> '{no,0,value}',
          'null', 'an unknown key has the value null');
SELECT ok((pg_temp.series('a', 'd1', '{"keys":"t,no"}')
           #>> '{no,0,ts}')::bigint BETWEEN iot.now_ms() - 10000
                                        AND iot.now_ms(),
          'an unknown key has the time of now');
SELECT is((SELECT string_agg(x, '') FROM tb.timeseries_values(
              pg_temp.caller('a'), pg_temp.path('d1', VARIADIC '{}'),
              '{"keys":"t,b"}', NULL) x),
          '{"t":[{"ts":1000,"value":"21.0"}],'
          '"b":[{"ts":1000,"value":"true"}]}', 'in the order of the query');
SELECT is(tb.timeseries_keys(pg_temp.caller('a'),
              pg_temp.path('d1', VARIADIC '{}'), '{}', NULL)::text,
          '["b","j","l","s","t"]', 'keys of an entity');

SELECT pg_temp.save('a', 'd1', '[["t",1000,"l",5],["t",1000,"l",6],
                                 ["t",900,"l",4]]') \g /dev/null
SELECT is(pg_temp.series('a', 'd1', '{"keys":"t"}'),
          '{"t":[{"ts":1000,"value":"6"}]}',
          'equal ts: replaced, the later element wins');
SELECT pg_temp.save('a', 'd1', '[["t",999,"l",7]]') \g /dev/null
SELECT is(pg_temp.series('a', 'd1', '{"keys":"t"}'),
          '{"t":[{"ts":1000,"value":"6"}]}', 'a late point is not latest');

-- history: half open, limit, order

SELECT pg_temp.save('a', 'd2', '[["t",10,"l",1],["t",20,"l",2],
              ["t",30,"d",3.5],["t",40,"s","x"],["u",10,"l",1]]') \g /dev/null
SELECT is(pg_temp.series('a', 'd2', '{"startTs":"10","endTs":"40",
                                      "keys":"t"}'),
          '{"t":[{"ts":30,"value":"3.5"},{"ts":20,"value":"2"},
                 {"ts":10,"value":"1"}]}', 'start in, end out, newest first');
SELECT is(pg_temp.series('a', 'd2', '{"startTs":"10","endTs":"41",
              "keys":"t","orderBy":"ASC","limit":"2"}'),
          '{"t":[{"ts":10,"value":"1"},{"ts":20,"value":"2"}]}',
          'ascending, limited');
SELECT is(pg_temp.series('a', 'd2', '{"startTs":"10","endTs":"41",
              "keys":"t","limit":"1"}'),
          '{"t":[{"ts":40,"value":"x"}]}', 'the newest one');
SELECT is(pg_temp.series('a', 'd2', '{"startTs":"10","endTs":"11"}'),
          '{"t":[{"ts":10,"value":"1"}],"u":[{"ts":10,"value":"1"}]}',
          'no keys: all');
SELECT is(pg_temp.series('a', 'd2', '{"startTs":"20","endTs":"41",
              "keys":"u,no,t","useStrictDataTypes":"true","limit":"2"}'),
          '{"t":[{"ts":40,"value":"x"},{"ts":30,"value":3.5}]}',
          'keys without points are absent; strict types');
SELECT is(pg_temp.series('a', 'd2', '{"startTs":"50","endTs":"90"}'), '{}',
          'no points');
SELECT is(pg_temp.series('a', 'd2', '{"startTs":"90","endTs":"10"}'), '{}',
          'start after end');
SELECT is(pg_temp.series('a', 'd2', '{"startTs":"10","keys":"t"}'),
          '{"t":[{"ts":40,"value":"x"}]}', 'one end is no range: latest');
SELECT is(pg_temp.series('a', 'd2', '{"startTs":"10","endTs":"41",
              "keys":"u","agg":"AVG"}'),
          '{"u":[{"ts":10,"value":"1"}]}', 'no interval: not aggregated');
SELECT is(pg_temp.series('a', 'd2', '{"startTs":"-9223372036854775808",
              "endTs":"9223372036854775807","keys":"u"}'),
          '{"u":[{"ts":10,"value":"1"}]}', 'as far as numbers go');

SELECT pg_temp.save('a', 'd3', (SELECT json_agg(json_build_array('n', i,
              'l', i)) FROM generate_series(1, 1003) i)) \g /dev/null
SELECT ok((SELECT count(*) FROM tb.timeseries_history(pg_temp.caller('a'),
              pg_temp.path('d3', VARIADIC '{}'),
              '{"keys":"n","startTs":"0","endTs":"9999","limit":"5000"}',
              NULL)) BETWEEN 4 AND 10, 'a long history comes in pieces');
SELECT is(jsonb_array_length(pg_temp.series('a', 'd3',
              '{"keys":"n","startTs":"0","endTs":"9999",
                "limit":"5000"}') -> 'n'), 1003, 'that fit together');
SELECT is(jsonb_array_length(pg_temp.series('a', 'd3',
              '{"keys":"n","startTs":"0","endTs":"9999"}') -> 'n'), 100,
          'the limit is 100 if none is given');

-- aggregation: anchored at the start, middle of the bucket as ts

SELECT pg_temp.save('a', 'd1', '[["x",0,"l",1],["x",999,"l",2],
              ["x",1000,"l",5],["x",2500,"l",7]]') \g /dev/null
RESET ROLE;
CREATE FUNCTION pg_temp.agg(kind text, more jsonb DEFAULT '{}',
    key text DEFAULT 'x') RETURNS jsonb LANGUAGE sql AS $$
    SELECT pg_temp.series('a', 'd1', (jsonb_build_object('keys', key,
        'startTs', '0', 'endTs', '3000', 'interval', '1000', 'agg', kind)
        || more)::json) -> key
$$;
SET ROLE iot_app;

SELECT is(pg_temp.agg('SUM'), '[{"ts":500,"value":"3"},
              {"ts":1500,"value":"5"},{"ts":2500,"value":"7"}]', 'SUM');
SELECT is(pg_temp.agg('AVG'), '[{"ts":500,"value":"1.5"},
              {"ts":1500,"value":"5.0"},{"ts":2500,"value":"7.0"}]', 'AVG');
SELECT is(pg_temp.agg('COUNT'), '[{"ts":500,"value":"2"},
              {"ts":1500,"value":"1"},{"ts":2500,"value":"1"}]', 'COUNT');
SELECT is(pg_temp.agg('MIN', '{"useStrictDataTypes":"true"}'),
          '[{"ts":500,"value":1},{"ts":1500,"value":5},
            {"ts":2500,"value":7}]', 'MIN, typed');
SELECT is(pg_temp.agg('MAX', '{"limit":"1","orderBy":"DESC"}'),
          '[{"ts":500,"value":"2"},{"ts":1500,"value":"5"},
            {"ts":2500,"value":"7"}]', 'MAX; limit and order do not count');
SELECT is(pg_temp.agg('COUNT', '{"startTs":"1","interval":"2000"}'),
          '[{"ts":1001,"value":"2"},{"ts":2500,"value":"1"}]',
          'anchored at the start, the last bucket clipped');
SELECT is(pg_temp.agg('COUNT', '{"interval":"1"}'),
          pg_temp.agg('COUNT'), 'a step is a second at least');
SELECT is(pg_temp.agg('COUNT', '{"startTs":"1500","endTs":"2400"}'), NULL,
          'empty buckets are absent, and so is the key');

SELECT pg_temp.save('a', 'd1', '[["y",0,"l",1],["y",1,"d",0.5],
              ["y",2,"s","abc"],["y",3,"b",true],["y",4,"j","[1]"],
              ["z",0,"s","b"],["z",1,"s","B"],["z",2,"j","{}"],
              ["o",0,"l",9223372036854775807],
              ["o",1,"l",9223372036854775807],["w",0,"b",true]]')
    \g /dev/null
SELECT is(pg_temp.agg('SUM', key => 'y'), '[{"ts":500,"value":"1.5"}]',
          'mixed SUM is a double, other types do not count');
SELECT is(pg_temp.agg('AVG', key => 'y'), '[{"ts":500,"value":"0.75"}]',
          'mixed AVG');
SELECT is(pg_temp.agg('MIN', key => 'y'), '[{"ts":500,"value":"0.5"}]',
          'mixed MIN');
SELECT is(pg_temp.agg('MAX', key => 'y'), '[{"ts":500,"value":"1.0"}]',
          'mixed MAX is a double');
SELECT is(pg_temp.agg('COUNT', key => 'y'), '[{"ts":500,"value":"5"}]',
          'COUNT of all types');
SELECT is(pg_temp.agg('MIN', key => 'z'), '[{"ts":500,"value":"B"}]',
          'MIN of strings');
SELECT is(pg_temp.agg('MAX', key => 'z'), '[{"ts":500,"value":"b"}]',
          'MAX of strings');
SELECT is(pg_temp.agg('AVG', key => 'z'), NULL, 'no AVG of strings');
SELECT is(pg_temp.agg('SUM', key => 'o'),
          '[{"ts":500,"value":"1.8446744073709552E19"}]',
          'a sum beyond 64 bits is a double');
SELECT is(pg_temp.agg('MAX', key => 'w'), NULL, 'no MAX of booleans');

-- 700 buckets and not one more

SELECT lives_ok($$ SELECT pg_temp.agg('AVG', '{"endTs":"700999"}') $$,
                '700 buckets');
SELECT throws_ok($$ SELECT pg_temp.agg('AVG', '{"endTs":"701000"}') $$,
    'IO400', 'Incorrect TsKvQuery. Number of intervals is to high - 701. '
    'Please increase ''interval'' parameter for your query or reduce the '
    'time range of the query.', '701 buckets');
SELECT throws_ok($$ SELECT pg_temp.agg('AVG', '{"startTs":"9000"}') $$,
    'IO400', 'Incorrect TsKvQuery. Number of intervals is to high - -6. '
    'Please increase ''interval'' parameter for your query or reduce the '
    'time range of the query.', 'start after end');
SELECT throws_ok($$ SELECT pg_temp.agg('AVG', '{"interval":"-5"}') $$,
    'IO400', 'Invalid TsKvQuery: ''interval'' must be greater than 0, but '
    'got -5. Please check your query parameters and ensure ''endTs'' is '
    'greater than ''startTs'' or increase ''interval'' value.',
    'a negative interval');
RESET ROLE;
INSERT INTO iot.setting (name, value)
VALUES ('telemetry', '{"maxIntervals":10000}');
SET ROLE iot_app;
SELECT lives_ok($$ SELECT pg_temp.agg('AVG', '{"endTs":"701000"}') $$,
                'the bound is a setting');

-- calendar intervals: New York leaves summer time on 2025-11-02

SELECT is(iot.bucket_borders(1761800000000, 1763000000000, 'WEEK', 1,
                             'America/New_York'),
          ARRAY[1761800000000, 1762056000000, 1762664400000, 1763000000000],
          'weeks from Sunday, an hour longer when clocks go back');
SELECT is(iot.bucket_borders(1761800000000, 1763000000000, 'WEEK_ISO', 1,
                             'UTC'),
          ARRAY[1761800000000, 1762128000000, 1762732800000, 1763000000000],
          'weeks from Monday');
SELECT is(iot.bucket_borders(1735689600000, 1743465600000, 'MONTH', 1,
                             'UTC'),
          ARRAY[1735689600000, 1738368000000, 1740787200000, 1743465600000],
          'whole months have no empty ends');
SELECT is(iot.bucket_borders(1735689600001, 1767225600000, 'QUARTER', 1,
                             'UTC'),
          ARRAY[1735689600001, 1743465600000, 1751328000000, 1759276800000,
                1767225600000], 'quarters');
SELECT is(pg_temp.agg('COUNT', '{"intervalType":"MONTH","interval":"0",
              "timeZone":"Europe/Berlin","endTs":"2500"}'),
          '[{"ts":1250,"value":"3"}]', 'a clipped month');
SELECT is(tb.time_zone('GMT+2'), 'UTC-2', 'an offset as a zone');
SELECT throws_ok($$ SELECT pg_temp.agg('AVG', '{"intervalType":"WEEK",
                           "timeZone":"Mars/Base"}') $$, 'IO400',
                 'Unknown time-zone ID: Mars/Base', 'an unknown zone');

-- parameters that are none

SELECT throws_ok(format('SELECT pg_temp.agg(%L, %L)', 'AVG', q), 'IO400',
                 NULL, q)
  FROM (VALUES ('{"agg":"MEDIAN"}'), ('{"intervalType":"YEAR"}'),
               ('{"orderBy":"UP"}'), ('{"limit":"-1"}'),
               ('{"interval":"99999999999999999999"}')) v (q);

SELECT * FROM finish();
ROLLBACK;
