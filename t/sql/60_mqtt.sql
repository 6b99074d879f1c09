
--
-- Copyright (C) the ngx_iot authors
--
-- Who serves MQTT sessions, and what is left when somebody is killed.

BEGIN;

SELECT plan(36);

\ir fixture/telemetry.sql
RESET ROLE;

SELECT id AS tenant FROM iot.tenant LIMIT 1 \gset

CREATE FUNCTION pg_temp.tick(worker bigint, node bigint, boot bigint,
    slot integer, generation bigint, VARIADIC generations bigint[])
RETURNS bigint LANGUAGE sql AS $$
    SELECT t.nr FROM iot.mqtt_tick(worker, node, boot, slot, generation,
                                   generations) t
$$;

CREATE FUNCTION pg_temp.open(tenant uuid, client text, worker bigint,
    lasts bigint, mark bigint, delay bigint, clean boolean DEFAULT false)
RETURNS text LANGUAGE sql AS $$
    SELECT (o.nr > 0) || ' ' || o.epoch || ' ' || o.present || ' ' || o.due
      FROM iot.mqtt_open(tenant, client, 'me', clean, lasts, worker, mark,
                         delay, 1::smallint, 0, 'w/' || client, 'x'::bytea,
                         NULL, -1, 3, 20) o
$$;

CREATE FUNCTION pg_temp.state(client text) RETURNS text LANGUAGE sql AS $$
    SELECT s.connected || ' ' || COALESCE((s.expires_at - iot.now_ms()
               + 500) / 1000, -1)
      FROM iot.mqtt_session s WHERE s.client_id = client
$$;

CREATE FUNCTION pg_temp.will(nr bigint) RETURNS text LANGUAGE sql AS $$
    SELECT COALESCE((w.due_at - iot.now_ms() + 500) / 1000, -1) || ' '
           || COALESCE(w.taken::text, 'free')
      FROM iot.mqtt_will w WHERE w.mark = nr
$$;

-- three workers: two of one node, one of another
SELECT pg_temp.tick(0, 7, 70, 0, 1, 1, 0) AS a \gset
SELECT pg_temp.tick(0, 7, 70, 1, 1, 1, 1) AS b \gset
SELECT pg_temp.tick(0, 8, 80, 0, 1, 1, 0) AS c \gset

SELECT is((SELECT count(*)::integer FROM iot.mqtt_worker), 3, 'they differ');
SELECT is(pg_temp.tick(:a, 7, 70, 0, 1, 1, 1), :a::bigint, 'a number stays');

SELECT is(pg_temp.open(:'tenant', 'one', :a, 100, 1, 20000),
    'true 1 false false', 'a session');
SELECT is(pg_temp.open(:'tenant', 'two', :b, 100, 2, 0),
    'true 1 false false', 'another one');
SELECT is(pg_temp.open(:'tenant', 'ever', :b, 4294967295, 0, 0),
    'true 1 false false', 'one that never ends');
SELECT is(pg_temp.state('two'), 'true -1', 'connected, without an end');

-- one that lasts as long as its connection goes on with what was there, but
-- leaves nothing
SELECT is(pg_temp.open(:'tenant', 'brief', :b, 0, 0, 0),
    'false 0 false false', 'none is made that lasts 0 seconds');
SELECT is(pg_temp.open(:'tenant', 'brief', :b, 100, 0, 0),
    'true 1 false false', 'but 100');
SELECT is(pg_temp.open(:'tenant', 'brief', :b, 0, 0, 0),
    'true 2 true false', 'goes on with 0');
SELECT ok(iot.mqtt_close(s.nr, 2, 0, 0, 0, 0, 0, :b), '... and ends')
  FROM iot.mqtt_session s WHERE s.client_id = 'brief';
SELECT is(pg_temp.open(:'tenant', 'brief', :b, 0, 0, 0),
    'false 0 false false', '... with its connection');
SELECT is(pg_temp.open(:'tenant', 'brief', :b, 100, 0, 0),
    'true 1 false false', 'another one');
SELECT is(pg_temp.open(:'tenant', 'brief', :b, 0, 0, 0, true),
    'false 0 false false', 'is dropped by a clean start');

-- a slot with a later generation
SELECT pg_temp.tick(:a, 7, 70, 0, 1, 1, 2);
SELECT is(pg_temp.state('two'), 'false 100', 'its worker has gone: it ends');
SELECT is(pg_temp.state('ever'), 'false -1', 'or does not');
SELECT is(pg_temp.will(2), '0 free', 'the will is due');
SELECT is(pg_temp.will(1), '-1 free', 'another one is not');
SELECT is(pg_temp.state('one'), 'true -1', 'nor has its session ended');

SELECT is((SELECT string_agg(mark::text, ' ' ORDER BY mark DESC)
             FROM iot.mqtt_wills_due(:a, 10)), '2 0', 'taken');
SELECT is((SELECT string_agg(mark::text, ' ' ORDER BY mark DESC)
             FROM iot.mqtt_wills_due(:c, 10)), '0', 'once');

-- an earlier life of a node: after some silence
SELECT pg_temp.tick(0, 7, 71, 0, 1, 1, 0) AS d \gset
SELECT is(pg_temp.state('one'), 'true -1', 'who has spoken just now lives');
UPDATE iot.mqtt_worker SET seen_at = seen_at - 16000 WHERE nr = :a;
SELECT pg_temp.tick(:d, 7, 71, 0, 1, 1, 0);
SELECT is(pg_temp.state('one'), 'false 96', 'the last word counts');
SELECT is(pg_temp.will(1), '16 free', '... for a will too');
SELECT is(pg_temp.will(2), '0 free', 'what it had taken is free again');

-- another node: suspected first
SELECT is(pg_temp.open(:'tenant', 'far', :c, 1000, 0, 0),
    'true 1 false false', 'a session in another node');
UPDATE iot.mqtt_worker SET seen_at = seen_at - 70000 WHERE nr = :c;
SELECT pg_temp.tick(:d, 7, 71, 0, 1, 1, 0);
SELECT is(pg_temp.state('far'), 'true -1', 'a silent node is suspected');
UPDATE iot.mqtt_worker SET suspect_at = suspect_at - 30000 WHERE nr = :c;
SELECT pg_temp.tick(:d, 7, 71, 0, 1, 1, 0);
SELECT is(pg_temp.state('far'), 'false 942', '... and given up');

-- it was there all the time, and takes back what is still its own
SELECT pg_temp.tick(:c, 8, 80, 0, 1, 1, 0) AS e \gset
SELECT isnt(:e::bigint, :c::bigint, 'who was given up gets a new number');
SELECT iot.mqtt_mine(:e, array_agg(nr), array_agg(epoch))
  FROM iot.mqtt_session WHERE client_id = 'far';
SELECT is(pg_temp.state('far'), 'true -1', '... and its sessions');

-- the client comes back
SELECT is(pg_temp.open(:'tenant', 'one', :d, 100, 5, 0),
    'true 2 true false', 'goes on, and the delayed will is cancelled');
SELECT is(pg_temp.will(1), NULL, '... and gone');
SELECT is(pg_temp.open(:'tenant', 'one', :d, 100, 6, 0, true),
    'true 1 false true', 'a clean start: the will before is due');
SELECT is(pg_temp.will(5) || ', ' || pg_temp.will(6), '0 free, -1 free',
    '... that one only');

-- what may wait for a session: 3 messages, 20 bytes
CREATE FUNCTION pg_temp.store(client text, VARIADIC payloads text[])
RETURNS text LANGUAGE sql AS $$
    SELECT iot.mqtt_store(array_agg(s.nr), array_agg(p.ord),
               array_agg(1::smallint), array_agg(0), array_agg(NULL::bytea),
               array_agg('t'::text), array_agg(p.text::bytea),
               array_agg(NULL::bytea), array_agg('p'::text),
               array_agg(0::bigint), array_agg(0::bigint),
               array_agg(NULL::text))
      FROM iot.mqtt_session s,
           unnest(payloads) WITH ORDINALITY AS p (text, ord)
     WHERE s.client_id = client;
    SELECT string_agg(convert_from(q.payload, 'UTF8'), ' ' ORDER BY q.id)
      FROM iot.mqtt_queue q JOIN iot.mqtt_session s ON s.nr = q.session
     WHERE s.client_id = client
$$;

SELECT is(pg_temp.store('far', 'a', 'b', 'c', 'd'), 'a b c',
    'three messages wait');
SELECT is(pg_temp.store('ever', 'a', 'twentytwentytwenty12', 'b'), 'a',
    'no more than twenty bytes');
SELECT is(iot.mqtt_store(array_agg(s.nr), array_agg(p.ord),
              array_agg(1::smallint), array_agg(0), array_agg(NULL::bytea),
              array_agg('t'::text), array_agg('x'::bytea),
              array_agg(NULL::bytea), array_agg('p'::text),
              array_agg(0::bigint), array_agg(0::bigint),
              array_agg(NULL::text)), 3::bigint, 'those that do not are counted')
  FROM (SELECT s.nr FROM iot.mqtt_session s WHERE s.client_id = 'far'
        UNION ALL SELECT -1) s, generate_series(100, 102) AS p (ord);

SELECT * FROM finish();
ROLLBACK;
