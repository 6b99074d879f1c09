
--
-- Copyright (C) the ngx_iot authors
--
-- One page of a list.  This is the only place with dynamic SQL: item and
-- source are constants of the calling function, and the order is taken from
-- its whitelist, so no text of a client ever becomes SQL.
--
--   item    the JSON of one row, e.g. 'tb.device_out(d)'
--   source  what follows FROM.  $1 is args (text[]), $2 the pattern of the
--           search or NULL
--   sorts   JSON object: name for the client -> SQL expression
--   key     the last column of the order, which makes pages stable
--
-- Returns the rows as a JSON array, and how many there are on all pages; the
-- count is not asked when the page itself tells, or the caller has (pg.total,
-- which also says that the key is indexed).  Then a page beyond the first
-- thousands is read in two steps, its keys and then its rows, so that what is
-- passed over is not made into JSON; and from the end if that is nearer.


CREATE OR REPLACE FUNCTION iot.page_rows(pg iot.page, item text, source text,
    sorts json, key text, args text[], OUT items json, OUT total bigint)
LANGUAGE plpgsql
AS $$
DECLARE
    direction  text := CASE WHEN pg.descending THEN ' DESC' ELSE ' ASC' END;
    first      bigint := pg.page::bigint * pg.size;
    ordering   text := '';
    pattern    text;
BEGIN
    IF pg.sort IS NOT NULL THEN
        IF sorts ->> pg.sort IS NULL THEN
            PERFORM iot.fail_request(
                format('Unsupported sort property ''%s''!', pg.sort));
        END IF;

        ordering := (sorts ->> pg.sort) || direction || ', ';
    END IF;

    pattern := iot.search_pattern(pg.search);

    IF first >= 1000 AND first < pg.total THEN
        items := iot.page_deep(pg, item, source, ordering, key, args);
        total := pg.total;
        RETURN;
    END IF;

    EXECUTE 'SELECT json_agg(t.item), count(*) FROM (SELECT ' || item
            || ' AS item FROM ' || source
            || ' ORDER BY ' || ordering || key || direction
            || ' LIMIT $3 OFFSET $4) AS t'
        INTO items, total
        USING args, pattern, pg.size, first;

    items := COALESCE(items, '[]');

    IF pg.total IS NOT NULL THEN
        total := pg.total;

    ELSIF total = pg.size OR (total = 0 AND first > 0) THEN
        EXECUTE 'SELECT count(*) FROM ' || source
            INTO total
            USING args, pattern;

    ELSE
        total := first + total;
    END IF;
END
$$;


-- A page far from the beginning of a list whose total is known.

CREATE OR REPLACE FUNCTION iot.page_deep(pg iot.page, item text, source text,
    ordering text, key text, args text[]) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    first      bigint := pg.page::bigint * pg.size;
    rows_      bigint := LEAST(pg.size, pg.total - first);
    backwards  boolean := first > pg.total / 2;
    forth      text := CASE WHEN pg.descending THEN ' DESC' ELSE ' ASC' END;
    back       text := CASE WHEN pg.descending THEN ' ASC' ELSE ' DESC' END;
    keys       uuid[];
    items      json;
BEGIN
    EXECUTE 'SELECT array_agg(t.key) FROM (SELECT ' || key || ' AS key FROM '
            || source || ' ORDER BY '
            || CASE WHEN backwards THEN replace(ordering, forth || ', ',
                                                back || ', ') || key || back
               ELSE ordering || key || forth END
            || ' LIMIT $3 OFFSET $4) AS t'
        INTO keys
        USING args, NULL::text, rows_,
              CASE WHEN backwards THEN pg.total - first - rows_ ELSE first END;

    EXECUTE 'SELECT json_agg(t.item) FROM (SELECT ' || item
            || ' AS item FROM ' || source || ' AND ' || key || ' = ANY ($3)'
            || ' ORDER BY ' || ordering || key || forth || ') AS t'
        INTO items
        USING args, NULL::text, keys;

    RETURN COALESCE(items, '[]');
END
$$;


-- The pattern for ILIKE that finds the text anywhere; NULL: no search.

CREATE OR REPLACE FUNCTION iot.search_pattern(search text) RETURNS text
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    RETURN '%' || regexp_replace(NULLIF(search, ''), '([\\%_])', '\\\1', 'g')
           || '%';
END
$$;
