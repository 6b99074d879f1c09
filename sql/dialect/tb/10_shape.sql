
--
-- Copyright (C) the ngx_iot authors
--
-- Shapes of the ThingsBoard API: ids, pages, members of a request.  "None" is
-- the null UUID there; it is made and understood in this file only.
--
-- What shows an entity (..._out) is written in SQL, not plpgsql, and as one
-- expression: so it becomes part of the query of a list, at a tenth of the
-- price.


CREATE OR REPLACE FUNCTION tb.null_uuid() RETURNS uuid
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT '13814000-1dd2-11b2-8080-808080808080'::uuid
$$;


-- {"entityType":...,"id":...}, or NULL for none.

CREATE OR REPLACE FUNCTION tb.id(entity_type text, id uuid) RETURNS json
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT ('{"entityType":"' || entity_type || '","id":"' || id::text
            || '"}')::json
$$;


-- The same, with the null UUID for none.

CREATE OR REPLACE FUNCTION tb.id_or_none(entity_type text, id uuid)
RETURNS json
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT tb.id(entity_type,
                 COALESCE(id, '13814000-1dd2-11b2-8080-808080808080'::uuid))
$$;


-- The text must be a UUID in its usual form.

CREATE OR REPLACE FUNCTION tb.uuid(value text) RETURNS uuid
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    IF value IS NULL OR value !~
       '^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$'
    THEN
        PERFORM iot.fail_request('Invalid UUID string: ' || left(value, 255));
    END IF;

    RETURN value::uuid;
END
$$;


-- The first value of a query parameter; NULL: absent or empty.

CREATE OR REPLACE FUNCTION tb.arg(query json, name text) RETURNS text
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    RETURN NULLIF(CASE json_typeof(query -> name)
                  WHEN 'array' THEN query -> name ->> 0
                  ELSE query ->> name
                  END, '');
END
$$;


CREATE OR REPLACE FUNCTION tb.need_arg(query json, name text) RETURNS text
LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
    result  text := tb.arg(query, name);
BEGIN
    IF result IS NULL THEN
        PERFORM iot.fail_request(
            format('Parameter ''%s'' can''t be empty!', name));
    END IF;

    RETURN result;
END
$$;


-- A list: "a,b" and repetition, mixed; NULL: the parameter is absent.

CREATE OR REPLACE FUNCTION tb.arg_list(query json, name text) RETURNS text[]
LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
    value  json := query -> name;
BEGIN
    IF value IS NULL THEN
        RETURN NULL;
    END IF;

    IF json_typeof(value) <> 'array' THEN
        value := json_build_array(query ->> name);
    END IF;

    RETURN ARRAY(SELECT btrim(p.part)
                 FROM json_array_elements_text(value)
                          WITH ORDINALITY AS v (text, nr),
                      string_to_table(v.text, ',')
                          WITH ORDINALITY AS p (part, nr)
                 WHERE btrim(p.part) <> ''
                 ORDER BY v.nr, p.nr);
END
$$;


CREATE OR REPLACE FUNCTION tb.arg_ids(query json, name text) RETURNS uuid[]
LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
    names   text[] := tb.arg_list(query, name);
    result  uuid[] := ARRAY[]::uuid[];
BEGIN
    IF names IS NULL OR cardinality(names) = 0 THEN
        PERFORM iot.fail_request(
            format('Parameter ''%s'' can''t be empty!', name));
    END IF;

    FOR i IN 1 .. cardinality(names) LOOP
        result := result || tb.uuid(names[i]);
    END LOOP;

    RETURN result;
END
$$;


CREATE OR REPLACE FUNCTION tb.arg_long(query json, name text) RETURNS bigint
LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
    value  text := tb.arg(query, name);
BEGIN
    IF value IS NULL THEN
        RETURN NULL;
    END IF;

    IF value !~ '^[+-]?[0-9]{1,18}$' THEN
        PERFORM iot.fail_request(
            format('Invalid value of parameter ''%s''!', name));
    END IF;

    RETURN value::bigint;
END
$$;


CREATE OR REPLACE FUNCTION tb.arg_boolean(query json, name text)
RETURNS boolean
LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
    value  text := lower(tb.arg(query, name));
BEGIN
    IF value IS NOT NULL AND value NOT IN ('true', 'false') THEN
        PERFORM iot.fail_request(
            format('Invalid value of parameter ''%s''!', name));
    END IF;

    RETURN value::boolean;
END
$$;


-- The page that the query asks for.

CREATE OR REPLACE FUNCTION tb.page(query json) RETURNS iot.page
LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
    pg     iot.page;
    size   bigint;
    nr     bigint;
    order_ text;
BEGIN
    PERFORM tb.need_arg(query, 'pageSize');
    PERFORM tb.need_arg(query, 'page');

    size := tb.arg_long(query, 'pageSize');
    nr := tb.arg_long(query, 'page');
    order_ := COALESCE(tb.arg(query, 'sortOrder'), 'ASC');

    IF size <= 0 THEN
        PERFORM iot.fail_request(
            format('Incorrect page link page size ''%s''. Page size must be '
                   'greater than zero.', size));
    END IF;

    IF nr < 0 THEN
        PERFORM iot.fail_request(
            format('Incorrect page link page ''%s''. Page must be positive '
                   'integer.', nr));
    END IF;

    IF order_ NOT IN ('ASC', 'DESC') THEN
        PERFORM iot.fail_request(
            format('Unsupported sort order ''%s''! Only ''ASC'' or ''DESC'' '
                   'types are allowed.', order_));
    END IF;

    IF size > 2147483647 OR nr > 2147483647 THEN
        PERFORM iot.fail_request('Incorrect page link: number is too large.');
    END IF;

    pg.size := size;
    pg.page := nr;
    pg.search := tb.arg(query, 'textSearch');
    pg.sort := tb.arg(query, 'sortProperty');
    pg.descending := order_ = 'DESC';

    RETURN pg;
END
$$;


-- A page in its envelope; the parameters are those of iot.page_rows().

CREATE OR REPLACE FUNCTION tb.list(pg iot.page, item text, source text,
    sorts json, key text, VARIADIC args text[] DEFAULT '{}') RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    items  json;
    total  bigint;
    pages  bigint;
BEGIN
    SELECT r.items, r.total INTO items, total
    FROM iot.page_rows(pg, item, source, sorts, key, args) AS r;

    pages := (total + pg.size - 1) / pg.size;

    RETURN (SELECT row_to_json(x)
            FROM (SELECT items AS "data",
                         pages AS "totalPages",
                         total AS "totalElements",
                         pg.page + 1::bigint < pages AS "hasNext") AS x);
END
$$;


-- The body must be one object.

CREATE OR REPLACE FUNCTION tb.need_object(body json) RETURNS void
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    IF body IS NULL OR json_typeof(body) <> 'object' THEN
        PERFORM iot.fail_request('Malformed JSON request body');
    END IF;
END
$$;


-- A text member of a request: numbers and booleans become their text; at most
-- max characters; no HTML.

CREATE OR REPLACE FUNCTION tb.text(body json, name text,
    max integer DEFAULT 255) RETURNS text
LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
    result  text := body ->> name;
BEGIN
    IF result IS NULL THEN
        RETURN NULL;
    END IF;

    IF json_typeof(body -> name) IN ('object', 'array') THEN
        PERFORM iot.fail_request(format('Invalid value of ''%s''!', name));
    END IF;

    IF length(result) > max THEN
        PERFORM iot.fail_request(
            format('%s length must be equal or less than %s', name, max));
    END IF;

    IF result ~ '<[a-zA-Z/!?]' THEN
        PERFORM iot.fail_request(format('%s is malformed', name));
    END IF;

    RETURN result;
END
$$;


-- A text that is not shown in pages as it is: keys, secrets, values.

CREATE OR REPLACE FUNCTION tb.raw_text(body json, name text,
    max integer DEFAULT 255) RETURNS text
LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
    result  text := body ->> name;
BEGIN
    IF length(result) > max THEN
        PERFORM iot.fail_request(
            format('%s length must be equal or less than %s', name, max));
    END IF;

    RETURN result;
END
$$;


CREATE OR REPLACE FUNCTION tb.boolean(body json, name text,
    otherwise boolean) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
    value  text := lower(body ->> name);
BEGIN
    IF value IS NULL OR value = '' THEN
        RETURN otherwise;
    END IF;

    IF value NOT IN ('true', 'false', '0', '1') THEN
        PERFORM iot.fail_request(format('Invalid value of ''%s''!', name));
    END IF;

    RETURN value::boolean;
END
$$;


CREATE OR REPLACE FUNCTION tb.long(body json, name text) RETURNS bigint
LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
    value  text := body ->> name;
BEGIN
    IF value IS NULL OR value = '' THEN
        RETURN NULL;
    END IF;

    IF value !~ '^-?[0-9]{1,18}$' THEN
        PERFORM iot.fail_request(format('Invalid value of ''%s''!', name));
    END IF;

    RETURN value::bigint;
END
$$;


-- A member that is an id: an id object, or just the UUID.  null, absent and
-- the null UUID all mean none.

CREATE OR REPLACE FUNCTION tb.ref(body json, name text) RETURNS uuid
LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
    value   text;
    result  uuid;
BEGIN
    CASE COALESCE(json_typeof(body -> name), 'null')
    WHEN 'null' THEN
        RETURN NULL;

    WHEN 'object' THEN
        value := body -> name ->> 'id';

    WHEN 'string' THEN
        value := body ->> name;

    ELSE
        PERFORM iot.fail_request(format('Invalid value of ''%s''!', name));
    END CASE;

    IF value IS NULL OR value = '' THEN
        RETURN NULL;
    END IF;

    result := tb.uuid(value);

    RETURN NULLIF(result, '13814000-1dd2-11b2-8080-808080808080'::uuid);
END
$$;


-- An object member kept as it came; NULL: absent or null.

CREATE OR REPLACE FUNCTION tb.object(body json, name text) RETURNS json
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    CASE COALESCE(json_typeof(body -> name), 'null')
    WHEN 'null' THEN
        RETURN NULL;

    WHEN 'object' THEN
        RETURN body -> name;

    ELSE
        PERFORM iot.fail_request(format('Invalid value of ''%s''!', name));
    END CASE;

    RETURN NULL;
END
$$;


-- What to do when a name is taken.

CREATE OR REPLACE FUNCTION tb.conflict(query json, OUT policy text,
    OUT separator text, OUT strategy text)
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    policy := COALESCE(upper(tb.arg(query, 'nameConflictPolicy')), 'FAIL');
    separator := COALESCE(left(tb.arg(query, 'uniquifySeparator'), 16), '_');
    strategy := COALESCE(upper(tb.arg(query, 'uniquifyStrategy')), 'RANDOM');

    IF policy NOT IN ('FAIL', 'UNIQUIFY') THEN
        PERFORM iot.fail_request(
            'Invalid value of parameter ''nameConflictPolicy''!');
    END IF;

    IF strategy NOT IN ('RANDOM', 'INCREMENTAL') THEN
        PERFORM iot.fail_request(
            'Invalid value of parameter ''uniquifyStrategy''!');
    END IF;
END
$$;
