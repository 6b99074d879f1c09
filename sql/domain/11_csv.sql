
--
-- Copyright (C) the ngx_iot authors
--
-- Comma-separated values, RFC 4180: one row of fields for each record.  Empty
-- lines are skipped but counted.  line: where the record begins, from 1.


CREATE OR REPLACE FUNCTION iot.csv_rows(data text, delimiter text)
RETURNS TABLE (line integer, fields text[])
LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
    d     text := CASE WHEN delimiter ~ '[][\\.*+?(){}|^$-]'
                  THEN '\' || delimiter ELSE delimiter END;
    here  integer := 1;
    row_  text[] := '{}'::text[];
    m     text[];
BEGIN
    line := 1;

    FOR m IN
        SELECT r FROM regexp_matches(data || E'\n',
            '("(?:[^"]|"")*"|[^' || d || E'"\r\n][^' || d || E'\r\n]*|)'
            || '(' || d || E'|\r?\n)|(.)', 'g') AS r
    LOOP
        IF m[3] IS NOT NULL THEN
            PERFORM iot.fail_request(
                format('Line %s: malformed CSV', here));
        END IF;

        row_ := row_ || CASE WHEN left(m[1], 1) = '"'
                        THEN replace(substr(m[1], 2, length(m[1]) - 2), '""',
                                     '"')
                        ELSE m[1] END;
        here := here + length(m[1]) - length(replace(m[1], E'\n', ''));

        CONTINUE WHEN m[2] = delimiter;

        IF row_ <> '{""}' THEN
            fields := row_;
            RETURN NEXT;
        END IF;

        row_ := '{}'::text[];
        here := here + 1;
        line := here;
    END LOOP;
END
$$;


-- The type of a value in such a file, as in iot.attribute_save().

CREATE OR REPLACE FUNCTION iot.csv_type(value text) RETURNS text
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    RETURN CASE
           WHEN value IN ('true', 'false') THEN 'b'
           WHEN value ~ '^-?(0|[1-9][0-9]{0,17})$' THEN 'l'
           WHEN value ~ '^-?(0|[1-9][0-9]{0,15})\.[0-9]{1,15}$' THEN 'd'
           ELSE 's'
           END;
END
$$;
