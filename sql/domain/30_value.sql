
--
-- Copyright (C) the ngx_iot authors
--
-- Values and the names of their keys.  How a value lies in the columns
-- b, l, d, s is told in migration 0002.


-- The decimal text of a double as Java writes it, for the clients compare
-- texts: shortest digits that read back the same, always with a fraction or
-- an exponent: 21.0, 0.1, 1.0E10 (from 1e7), 1.0E-4 (below 1e-3).

CREATE OR REPLACE FUNCTION iot.double_text(value double precision)
RETURNS text
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
AS $$
DECLARE
    size      double precision := abs(value);
    digits    text;
    plain     text := value::text;
    exponent  integer := 0;
    place     integer;
BEGIN
    IF size >= 0.001 AND size < 10000000 THEN
        IF strpos(plain, '.') = 0 THEN
            RETURN plain || '.0';
        END IF;

        RETURN plain;
    END IF;

    IF size = 0 THEN
        RETURN plain || '.0';
    END IF;

    IF size = 'Infinity' OR size = 'NaN' THEN
        RETURN plain;
    END IF;

    plain := size::text;
    place := strpos(plain, 'e');

    IF place > 0 THEN
        exponent := substr(plain, place + 1)::integer;
        plain := left(plain, place - 1);
    END IF;

    place := strpos(plain, '.');

    IF place = 0 THEN
        place := length(plain) + 1;
    END IF;

    digits := replace(plain, '.', '');
    exponent := exponent + place - 2
                - (length(digits) - length(ltrim(digits, '0')));
    digits := trim(digits, '0');

    RETURN CASE WHEN value < 0 THEN '-' ELSE '' END
           || left(digits, 1) || '.'
           || COALESCE(NULLIF(substr(digits, 2), ''), '0')
           || 'E' || exponent;
END
$$;


-- The value as text (what clients get that want strings); NULL: no value.

CREATE OR REPLACE FUNCTION iot.value_text(b boolean, l bigint,
    d double precision, s text)
RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT CASE
           WHEN d IS NOT NULL THEN iot.double_text(d)
           WHEN l IS NOT NULL THEN l::text
           WHEN s IS NOT NULL THEN s
           ELSE b::text
           END
$$;


-- The value as JSON text of its own type; NULL: no value.

CREATE OR REPLACE FUNCTION iot.value_json(b boolean, l bigint,
    d double precision, s text)
RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT CASE
           WHEN d IS NOT NULL THEN iot.double_text(d)
           WHEN l IS NOT NULL THEN l::text
           WHEN s IS NULL THEN b::text
           WHEN b THEN s
           ELSE to_json(s)::text
           END
$$;


-- The value as a JSON string.

CREATE OR REPLACE FUNCTION iot.value_string(b boolean, l bigint,
    d double precision, s text)
RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT CASE
           WHEN d IS NOT NULL THEN '"' || iot.double_text(d) || '"'
           WHEN l IS NOT NULL THEN '"' || l || '"'
           WHEN s IS NOT NULL THEN to_json(s)::text
           WHEN b THEN '"true"'
           WHEN NOT b THEN '"false"'
           END
$$;


-- The numbers of keys, in the order of their names; makes those that are
-- missing.  Raises 400 when a name is blank or longer than 255 characters.

CREATE OR REPLACE FUNCTION iot.key_ids(names text[]) RETURNS integer[]
LANGUAGE plpgsql SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
DECLARE
    ids   integer[];
    name  text;
BEGIN
    ids := ARRAY(SELECT k.id
                   FROM unnest(names) WITH ORDINALITY AS n (name, i)
                        LEFT JOIN iot.key k ON k.name = n.name
                  ORDER BY n.i);

    IF array_position(ids, NULL) IS NULL THEN
        RETURN ids;
    END IF;

    FOREACH name IN ARRAY names LOOP
        IF name IS NULL OR btrim(name, E' \t\r\n') = '' THEN
            PERFORM iot.fail(400, 'bad_request', 'Key cannot be blank');
        END IF;

        IF char_length(name) > 255 THEN
            PERFORM iot.fail(400, 'bad_request',
                             'Key length must be equal or less than 255');
        END IF;
    END LOOP;

    -- the order keeps two workers with the same new keys from a deadlock
    INSERT INTO iot.key (name)
    SELECT DISTINCT n.name
      FROM unnest(names) AS n (name)
     WHERE NOT EXISTS (SELECT FROM iot.key k WHERE k.name = n.name)
     ORDER BY n.name
        ON CONFLICT DO NOTHING;

    RETURN ARRAY(SELECT k.id
                   FROM unnest(names) WITH ORDINALITY AS n (name, i)
                        JOIN iot.key k ON k.name = n.name
                  ORDER BY n.i);
END
$$;


SELECT iot.definer('iot.key_ids',
    'the dictionary of keys is shared by all tenants');
