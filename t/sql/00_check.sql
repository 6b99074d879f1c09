
--
-- Copyright (C) the ngx_iot authors
--
-- The house rules of the SQL side, kept by the catalog itself.

BEGIN;

SELECT plan(15);


SELECT is_empty($$
    SELECT f.oid::regprocedure, c.lineno, c.message
      FROM pg_proc f
      JOIN pg_language l ON l.oid = f.prolang AND l.lanname = 'plpgsql'
           CROSS JOIN LATERAL plpgsql_check_function_tb(f.oid,
               fatal_errors => false, extra_warnings => false,
               performance_warnings => false) c
     WHERE f.pronamespace IN ('iot'::regnamespace, 'tb'::regnamespace,
                              'thinger'::regnamespace)
           AND f.prorettype <> 'trigger'::regtype
$$, 'plpgsql_check finds nothing');

SELECT cmp_ok((SELECT count(*) FROM pg_proc
                WHERE pronamespace = 'tb'::regnamespace), '>', 100::bigint,
              'there are functions to check');


-- functions that run as the owner

SELECT set_eq($$
    SELECT DISTINCT n.nspname || '.' || f.proname
      FROM pg_proc f JOIN pg_namespace n ON n.oid = f.pronamespace
     WHERE n.nspname IN ('iot', 'tb', 'thinger') AND f.prosecdef
$$, 'SELECT name FROM iot.definer_function',
    'each function of the owner is listed with its reason');

SELECT is_empty($$
    SELECT f.oid::regprocedure FROM pg_proc f
     WHERE f.pronamespace IN ('iot'::regnamespace, 'tb'::regnamespace,
                              'thinger'::regnamespace)
           AND f.prosecdef
           AND NOT (COALESCE(f.proconfig, '{}')::text LIKE '%search_path=%')
$$, 'each function of the owner sets its search path');

SELECT is_empty($$
    SELECT f.oid::regprocedure FROM pg_proc f
     WHERE f.pronamespace IN ('tb'::regnamespace, 'thinger'::regnamespace)
           AND f.prosecdef
$$, 'a dialect never runs as the owner');

SELECT ok(NOT has_function_privilege('iot_app',
              'iot.init_system(text, text)', 'EXECUTE')
          AND NOT has_function_privilege('iot_app',
              'iot.password_set(uuid, text)', 'EXECUTE'),
          'the workers cannot set passwords of others');


-- tables

SELECT is_empty($$
    SELECT c.oid::regclass
      FROM pg_class c
      JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id'
     WHERE c.relnamespace = 'iot'::regnamespace AND c.relkind IN ('r', 'p')
           AND NOT c.relrowsecurity
$$, 'row-level security on each table of tenants');

SELECT is_empty($$
    SELECT c.oid::regclass FROM pg_class c
     WHERE c.relnamespace = 'iot'::regnamespace AND c.relrowsecurity
           AND NOT EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid)
$$, 'each of them has a policy');


SELECT is_empty($$
    SELECT c.oid::regclass
      FROM pg_class c
      JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id'
           AND NOT a.attisdropped
     WHERE c.relnamespace = 'iot'::regnamespace AND c.relkind IN ('r', 'p')
           AND NOT EXISTS (
               SELECT FROM pg_policy p
                WHERE p.polrelid = c.oid
                      AND pg_get_expr(p.polqual, p.polrelid)
                          ~ '(tenant_id = .*iot\.tenant\(\)|^false$)')
$$, 'a policy that is about the tenant of the caller, or lets nobody in');


-- what was done stays written

SELECT is_empty($$
    SELECT r.rolname, t.privilege
      FROM pg_roles r
           CROSS JOIN (VALUES ('UPDATE'), ('DELETE'), ('TRUNCATE'),
                              ('TRIGGER')) t (privilege)
     WHERE r.rolname LIKE 'iot\_%' AND r.rolname <> 'iot_owner'
           AND has_table_privilege(r.oid, 'iot.audit_log', t.privilege)
$$, 'nobody but the owner changes the audit log or deletes from it');

SELECT is_empty($$
    SELECT r.rolname, a.attname
      FROM pg_roles r
      JOIN pg_attribute a ON a.attrelid = 'iot.audit_log'::regclass
           AND a.attnum > 0 AND NOT a.attisdropped
     WHERE r.rolname LIKE 'iot\_%' AND r.rolname <> 'iot_owner'
           AND has_column_privilege(r.oid, 'iot.audit_log', a.attname,
                                    'UPDATE')
$$, 'nor any column of it');


-- row-level security has to know who asks before anything is read: the first
-- call of an endpoint is iot.enter(p), or a function that begins with it

CREATE TEMP TABLE first_call AS
    SELECT f.proname AS function,
           f.oid::regprocedure::text AS name,
           oidvectortypes(f.proargtypes) = 'iot.principal, text[], json, json'
               AS endpoint,
           split_part(f.prosrc, 'BEGIN', 1)
               ~ '\m(tb\.\w+\(p\M|iot\.(?!(now_ms|new_id)\()\w+\()' AS early,
           (regexp_match(substr(f.prosrc, strpos(f.prosrc, 'BEGIN')),
                         '\m(iot\.\w+|tb\.\w+)\(p\M'))[1] AS calls
      FROM pg_proc f
     WHERE f.pronamespace = 'tb'::regnamespace;

SELECT is_empty($$
    WITH RECURSIVE enters AS (
        SELECT function FROM first_call
         WHERE calls = 'iot.enter' AND NOT early
         UNION
        SELECT f.function FROM first_call f
          JOIN enters e ON f.calls = 'tb.' || e.function
         WHERE NOT f.early
    )
    SELECT name FROM first_call
     WHERE endpoint AND function NOT IN (SELECT function FROM enters)
$$, 'each endpoint first tells who asks, or leaves that to another');


-- the table of routes in C and the functions belong together

\set routes `cat ngx_iot_module/http/thingsboard/ngx_http_iot_tb_routes.c`

CREATE TEMP TABLE route AS
    SELECT m[1] AS function
      FROM regexp_matches(:'routes',
               'ngx_http_iot_tb_(?:sql|both)\(\s*\w+,\s*"[^"]*",[^"]*"(\w+)"',
               'g') m
     WHERE m[1] <> 'tb.';

SELECT cmp_ok((SELECT count(*) FROM route), '>', 90::bigint,
              'the routes were read');

SELECT is_empty($$
    SELECT function FROM route
     WHERE to_regprocedure('tb.' || function
               || '(iot.principal, text[], json, json)') IS NULL
$$, 'each function that a route names exists');

SELECT is_empty($$
    SELECT f.proname FROM pg_proc f
     WHERE f.pronamespace = 'tb'::regnamespace
           AND oidvectortypes(f.proargtypes)
               = 'iot.principal, text[], json, json'
           AND f.proname NOT IN (SELECT function FROM route)
           AND f.proname || '_told' NOT IN (SELECT function FROM route)
           AND NOT EXISTS (SELECT FROM pg_proc g
                            WHERE g.pronamespace = 'tb'::regnamespace
                                  AND position('''tb.' || f.proname
                                               || '''' IN g.prosrc) > 0)
$$, 'each endpoint has a route, or another function names it');


SELECT * FROM finish();

ROLLBACK;
