
--
-- Copyright (C) the ngx_iot authors
--
-- Parameters of the telemetry calls of the ThingsBoard API.  The query is an
-- object whose members are strings, or arrays of strings when repeated.


CREATE OR REPLACE FUNCTION tb.query_values(query json, name text)
RETURNS text[]
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    RETURN CASE json_typeof(query -> name)
           WHEN 'array' THEN
               ARRAY(SELECT json_array_elements_text(query -> name))
           WHEN 'null' THEN NULL
           ELSE ARRAY[query ->> name]
           END;
END
$$;


-- The first value; NULL when absent or empty.

CREATE OR REPLACE FUNCTION tb.query_text(query json, name text) RETURNS text
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    RETURN NULLIF((tb.query_values(query, name))[1], '');
END
$$;


CREATE OR REPLACE FUNCTION tb.query_long(query json, name text,
    otherwise bigint)
RETURNS bigint
LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
    value  text := tb.query_text(query, name);
BEGIN
    IF value IS NULL THEN
        RETURN otherwise;
    END IF;

    IF value !~ '^[+-]?[0-9]{1,19}$'
       OR value::numeric NOT BETWEEN -9223372036854775808
                                 AND 9223372036854775807
    THEN
        PERFORM iot.fail_request(
            format('Parameter ''%s'' is not a number: %s', name, value));
    END IF;

    RETURN value::bigint;
END
$$;


CREATE OR REPLACE FUNCTION tb.query_boolean(query json, name text,
    otherwise boolean)
RETURNS boolean
LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
    value  text := lower(tb.query_text(query, name));
BEGIN
    CASE
    WHEN value IS NULL THEN
        RETURN otherwise;
    WHEN value IN ('true', 'on', 'yes', '1') THEN
        RETURN true;
    WHEN value IN ('false', 'off', 'no', '0') THEN
        RETURN false;
    ELSE
        PERFORM iot.fail_request(
            format('Parameter ''%s'' is not a boolean: %s', name, value));
    END CASE;

    RETURN NULL;
END
$$;


-- One of the words; the first of them when absent.

CREATE OR REPLACE FUNCTION tb.query_word(query json, name text,
    VARIADIC words text[])
RETURNS text
LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
    value  text := tb.query_text(query, name);
BEGIN
    IF value IS NULL THEN
        RETURN words[1];
    END IF;

    IF value <> ALL (words) THEN
        PERFORM iot.fail_request(
            format('Parameter ''%s'' has an unknown value: %s', name, value));
    END IF;

    RETURN value;
END
$$;


-- The keys asked for: "keys" are lists with commas, each "key" is one name.
-- In the order of the query, each once; NULL: none given.

CREATE OR REPLACE FUNCTION tb.query_keys(query json) RETURNS text[]
LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
    names  text[];
BEGIN
    names := ARRAY(
        SELECT w.word
          FROM unnest(string_to_array(
                          array_to_string(tb.query_values(query, 'keys'),
                                          ','), ',')
                      || tb.query_values(query, 'key'))
               WITH ORDINALITY AS w (word, i)
         WHERE w.word <> ''
         GROUP BY w.word
         ORDER BY min(w.i));

    RETURN NULLIF(names, '{}');
END
$$;


-- Number of the scope of attributes.

CREATE OR REPLACE FUNCTION tb.scope(name text) RETURNS smallint
LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
    scope_nr  smallint := array_position(
        ARRAY['CLIENT_SCOPE', 'SHARED_SCOPE', 'SERVER_SCOPE'], name);
BEGIN
    IF scope_nr IS NULL THEN
        PERFORM iot.fail_request('Invalid scope: ' || name);
    END IF;

    RETURN scope_nr;
END
$$;


-- The number of the entity of a path, when the caller may do the operation:
-- READ_ATTRIBUTES, WRITE_ATTRIBUTES, READ_TELEMETRY, WRITE_TELEMETRY.

CREATE OR REPLACE FUNCTION tb.telemetry_entity(p iot.principal,
    entity_type text, id text, operation text)
RETURNS integer
LANGUAGE plpgsql
AS $$
BEGIN
    IF id !~ '^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$' THEN
        PERFORM iot.fail_request('Invalid UUID string: ' || id);
    END IF;

    RETURN iot.resolve(p, upper(entity_type), id::uuid, operation);
END
$$;


CREATE OR REPLACE FUNCTION tb.telemetry_audit(p iot.principal,
    entity_type text, id text, entity_nr integer, action text, data json)
RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.audit(p, upper(entity_type), id::uuid, f.name, action,
                      'SUCCESS', NULL, data, f.customer_id)
       FROM iot.entity_face(entity_nr) f;
END
$$;
