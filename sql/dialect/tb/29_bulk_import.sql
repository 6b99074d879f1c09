
--
-- Copyright (C) the ngx_iot authors
--
-- /api/device/bulk_import, /api/asset/bulk_import: a file of comma-separated
-- values and what its columns mean.


CREATE OR REPLACE FUNCTION tb.bulk_columns(kind text, mapping json)
RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    item  json;
BEGIN
    IF json_typeof(mapping) IS DISTINCT FROM 'object'
       OR json_typeof(mapping -> 'columns') IS DISTINCT FROM 'array'
    THEN
        PERFORM iot.fail_request('Parameter ''mapping'' can''t be empty!');
    END IF;

    IF length(COALESCE(mapping ->> 'delimiter', ',')) <> 1
       OR mapping ->> 'delimiter' IN ('"', E'\r', E'\n')
    THEN
        PERFORM iot.fail_request('Invalid value of ''delimiter''!');
    END IF;

    FOR item IN SELECT json_array_elements(mapping -> 'columns') LOOP
        IF COALESCE(item ->> 'type', '') NOT IN ('NAME', 'TYPE', 'LABEL',
               'DESCRIPTION', 'SERVER_ATTRIBUTE', 'TIMESERIES')
           AND NOT (kind = 'DEVICE'
                    AND item ->> 'type' IN ('SHARED_ATTRIBUTE', 'ACCESS_TOKEN',
                                            'IS_GATEWAY'))
        THEN
            PERFORM iot.fail_request(format('Unsupported column type ''%s''!',
                                            left(item ->> 'type', 255)));
        END IF;

        IF (item ->> 'type' LIKE '%\_ATTRIBUTE' OR item ->> 'type'
            = 'TIMESERIES') AND COALESCE(btrim(item ->> 'key'), '') = ''
        THEN
            PERFORM iot.fail_request('Key of a column can''t be empty!');
        END IF;
    END LOOP;

    RETURN mapping -> 'columns';
END
$$;


-- The cells of one type with their keys: [[key, type, value], ...] as in
-- iot.attribute_save().  Empty ones are left out.

CREATE OR REPLACE FUNCTION tb.bulk_values(cols json, fields text[], what text)
RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    RETURN (SELECT json_agg(json_build_array(c.col ->> 'key',
                       iot.csv_type(fields[c.i]), fields[c.i]) ORDER BY c.i)
            FROM json_array_elements(cols) WITH ORDINALITY AS c (col, i)
            WHERE c.col ->> 'type' = what AND fields[c.i] <> '');
END
$$;


-- One record.  Returns whether it was made; and not changed.

CREATE OR REPLACE FUNCTION tb.bulk_record(p iot.principal, kind text,
    cols json, fields text[], may_change boolean) RETURNS boolean
LANGUAGE plpgsql
AS $$
DECLARE
    cell    jsonb;
    body    jsonb;
    old     json;
    e       iot.entity;
    info    jsonb;
    saved   json;
    part    json;
    token   jsonb := '{}'::jsonb;
BEGIN
    SELECT jsonb_object_agg(c.col ->> 'type', fields[c.i]) INTO cell
    FROM json_array_elements(cols) WITH ORDINALITY AS c (col, i)
    WHERE fields[c.i] <> '';

    SELECT * INTO e FROM iot.entity AS t
    WHERE t.entity_type = kind AND t.tenant_id = p.tenant_id
          AND t.name = cell ->> 'NAME';

    body := '{}'::jsonb;

    IF e.id IS NOT NULL THEN
        IF NOT may_change THEN
            PERFORM iot.fail_request(format('%s with such name already '
                'exists!', iot.entity_title(kind)));
        END IF;

        old := CASE kind
               WHEN 'DEVICE' THEN tb.device_get(p, ARRAY[e.id::text], '{}',
                                                NULL)
               ELSE tb.asset_get(p, ARRAY[e.id::text], '{}', NULL) END;
        body := old::jsonb - 'version';
    END IF;

    info := COALESCE(NULLIF(body -> 'additionalInfo', 'null'), '{}');

    IF cell ? 'DESCRIPTION' THEN
        info := info || jsonb_build_object('description',
                                           cell ->> 'DESCRIPTION');
    END IF;

    IF cell ? 'IS_GATEWAY' THEN
        info := info || jsonb_build_object('gateway',
                            lower(cell ->> 'IS_GATEWAY') = 'true');
    END IF;

    body := body || jsonb_build_object('additionalInfo', info)
            || jsonb_strip_nulls(jsonb_build_object('name', cell -> 'NAME',
                   'label', cell -> 'LABEL', 'type', cell -> 'TYPE'));

    IF cell ? 'TYPE' THEN
        body := body - '{deviceProfileId,assetProfileId}'::text[];
    END IF;

    IF cell ? 'ACCESS_TOKEN' AND e.id IS NULL THEN
        token := jsonb_build_object('accessToken', cell -> 'ACCESS_TOKEN');
    END IF;

    saved := CASE kind
             WHEN 'DEVICE' THEN tb.device_save(p, '{}', token::json,
                                               body::json)
             ELSE tb.asset_save(p, '{}', '{}', body::json) END;

    IF e.id IS NULL THEN
        SELECT * INTO e FROM iot.entity AS t
        WHERE t.entity_type = kind AND t.tenant_id = p.tenant_id
              AND t.id = (saved -> 'id' ->> 'id')::uuid;
        old := NULL;
    END IF;

    FOR scope_nr IN 2 .. 3 LOOP
        part := tb.bulk_values(cols, fields, (ARRAY['SHARED_ATTRIBUTE',
                                   'SERVER_ATTRIBUTE'])[scope_nr - 1]);

        IF part IS NOT NULL THEN
            PERFORM iot.attribute_save(
                iot.resolve(p, kind, e.id, 'WRITE_ATTRIBUTES'),
                scope_nr::smallint, part);
        END IF;
    END LOOP;

    part := tb.bulk_values(cols, fields, 'TIMESERIES');

    IF part IS NOT NULL THEN
        PERFORM iot.telemetry_save(
            iot.resolve(p, kind, e.id, 'WRITE_TELEMETRY'),
            (SELECT json_agg(json_build_array(v.value -> 0, iot.now_ms(),
                                              v.value -> 1, v.value -> 2))
             FROM json_array_elements(part) AS v), NULL);
    END IF;

    RETURN old IS NULL;
END
$$;


-- A record that cannot be stored is told of and hinders no other.

CREATE OR REPLACE FUNCTION tb.bulk_import(p iot.principal, kind text,
    body json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    most     CONSTANT integer := 5000;
    cols     json;
    header   boolean;
    change   boolean;
    rec      record;
    created  integer := 0;
    updated  integer := 0;
    errors   text[] := '{}'::text[];
    n        integer := 0;
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.need_role(p, 'TENANT_ADMIN');
    PERFORM tb.need_object(body);

    cols := tb.bulk_columns(kind, body -> 'mapping');
    header := tb.boolean(body -> 'mapping', 'header', false);
    change := tb.boolean(body -> 'mapping', 'update', false);

    IF json_typeof(body -> 'file') IS DISTINCT FROM 'string' THEN
        PERFORM iot.fail_request('Parameter ''file'' can''t be empty!');
    END IF;

    FOR rec IN
        SELECT * FROM iot.csv_rows(body ->> 'file',
            COALESCE(body -> 'mapping' ->> 'delimiter', ','))
    LOOP
        n := n + 1;

        CONTINUE WHEN n = 1 AND header;

        IF n > most THEN
            PERFORM iot.fail_request(
                format('More than %s records in one import!', most));
        END IF;

        BEGIN
            IF tb.bulk_record(p, kind, cols, rec.fields, change) THEN
                created := created + 1;
            ELSE
                updated := updated + 1;
            END IF;

        EXCEPTION
            WHEN OTHERS THEN
                IF SQLSTATE NOT LIKE 'IO4%' THEN
                    RAISE;
                END IF;

                errors := errors || format('Line %s: %s', rec.line, SQLERRM);
        END;
    END LOOP;

    RETURN (SELECT row_to_json(x)
            FROM (SELECT created AS "created", updated AS "updated",
                         cardinality(errors) AS "errors",
                         errors AS "errorsList") AS x);
END
$$;


CREATE OR REPLACE FUNCTION tb.device_bulk_import(p iot.principal,
    path text[], query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    RETURN tb.bulk_import(p, 'DEVICE', body);
END
$$;


CREATE OR REPLACE FUNCTION tb.asset_bulk_import(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    RETURN tb.bulk_import(p, 'ASSET', body);
END
$$;
