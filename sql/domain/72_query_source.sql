
--
-- Copyright (C) the ngx_iot authors
--
-- Queries over entities, the parts in SQL.  A query is turned into one
-- statement.  No text of a client becomes part of it: texts are elements of
-- $1 (text[]), the tenant is $2, and all the rest are constants of this file
-- and numbers.


-- The rows of a type, with the columns that any field is made of.  row is NULL
-- for a type that cannot be asked for.  owner is the customer that has it;
-- customer_id is what iot.may_list() compares.

CREATE OR REPLACE FUNCTION iot.query_rows(entity_type text) RETURNS text
LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
    nobody  CONSTANT text := ' NULL::text AS title, NULL::text AS first_name,'
        ' NULL::text AS last_name, NULL::text AS email,'
        ' NULL::text AS phone, NULL::text AS country, NULL::text AS state,'
        ' NULL::text AS city, NULL::text AS address, NULL::text AS zip,';
    place   CONSTANT text := ' x.email, x.phone, x.country, x.state, x.city,'
        ' x.address, x.zip,';
BEGIN
    RETURN CASE entity_type
    WHEN 'DEVICE' THEN
        'SELECT ''DEVICE'' AS entity_type, x.nr, x.id, x.created_time,'
        ' x.customer_id, x.customer_id AS owner, x.name, y.name AS type,'
        ' x.label,' || nobody || ' x.additional_info AS info'
        ' FROM iot.device x JOIN iot.device_profile y'
        ' ON y.tenant_id = x.tenant_id AND y.id = x.profile_id'
        ' WHERE x.tenant_id = $2'
    WHEN 'ASSET' THEN
        'SELECT ''ASSET'' AS entity_type, x.nr, x.id, x.created_time,'
        ' x.customer_id, x.customer_id AS owner, x.name, y.name AS type,'
        ' x.label,' || nobody || ' x.additional_info AS info'
        ' FROM iot.asset x JOIN iot.asset_profile y'
        ' ON y.tenant_id = x.tenant_id AND y.id = x.profile_id'
        ' WHERE x.tenant_id = $2'
    WHEN 'ENTITY_VIEW' THEN
        'SELECT ''ENTITY_VIEW'' AS entity_type, x.nr, x.id, x.created_time,'
        ' x.customer_id, x.customer_id AS owner, x.name, x.type,'
        ' NULL::text AS label,' || nobody || ' x.additional_info AS info'
        ' FROM iot.entity_view x WHERE x.tenant_id = $2'
    WHEN 'CUSTOMER' THEN
        'SELECT ''CUSTOMER'' AS entity_type, x.nr, x.id, x.created_time,'
        ' x.id AS customer_id, NULL::uuid AS owner, x.title AS name,'
        ' NULL::text AS type, NULL::text AS label, x.title,'
        ' NULL::text AS first_name, NULL::text AS last_name,' || place
        || ' x.additional_info AS info'
        ' FROM iot.customer x WHERE x.tenant_id = $2'
    WHEN 'USER' THEN
        'SELECT ''USER'' AS entity_type, x.nr, x.id, x.created_time,'
        ' x.customer_id, x.customer_id AS owner, x.email AS name,'
        ' x.authority AS type, NULL::text AS label, NULL::text AS title,'
        ' x.first_name, x.last_name, x.email, x.phone,'
        ' NULL::text AS country, NULL::text AS state, NULL::text AS city,'
        ' NULL::text AS address, NULL::text AS zip,'
        ' x.additional_info AS info'
        ' FROM iot.users x WHERE x.tenant_id = $2'
    WHEN 'TENANT' THEN
        'SELECT ''TENANT'' AS entity_type, x.nr, x.id, x.created_time,'
        ' NULL::uuid AS customer_id, NULL::uuid AS owner, x.title AS name,'
        ' NULL::text AS type, NULL::text AS label, x.title,'
        ' NULL::text AS first_name, NULL::text AS last_name,' || place
        || ' x.additional_info AS info'
        ' FROM iot.tenant x WHERE (x.id = $2 OR $2 IS NULL)'
    WHEN 'DASHBOARD' THEN
        'SELECT ''DASHBOARD'' AS entity_type, x.nr, x.id, x.created_time,'
        ' NULL::uuid AS customer_id, NULL::uuid AS owner, x.title AS name,'
        ' NULL::text AS type, NULL::text AS label, x.title,'
        ' NULL::text AS first_name, NULL::text AS last_name,'
        ' NULL::text AS email, NULL::text AS phone, NULL::text AS country,'
        ' NULL::text AS state, NULL::text AS city, NULL::text AS address,'
        ' NULL::text AS zip, NULL::json AS info'
        ' FROM iot.dashboard x WHERE x.tenant_id = $2'
    END;
END
$$;


-- A field of the row e; NULL: there is no such field.

CREATE OR REPLACE FUNCTION iot.query_field(name text) RETURNS text
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    RETURN CASE name
    WHEN 'createdTime' THEN 'e.created_time::text'
    WHEN 'entityType' THEN 'e.entity_type'
    WHEN 'name' THEN 'e.name'
    WHEN 'type' THEN 'e.type'
    WHEN 'label' THEN 'e.label'
    WHEN 'displayName' THEN
        'COALESCE(NULLIF(e.label, ''''), NULLIF(concat_ws('' '','
        ' e.first_name, e.last_name), ''''), e.name)'
    WHEN 'title' THEN 'e.title'
    WHEN 'firstName' THEN 'e.first_name'
    WHEN 'lastName' THEN 'e.last_name'
    WHEN 'email' THEN 'e.email'
    WHEN 'phone' THEN 'e.phone'
    WHEN 'country' THEN 'e.country'
    WHEN 'state' THEN 'e.state'
    WHEN 'city' THEN 'e.city'
    WHEN 'address' THEN 'e.address'
    WHEN 'zip' THEN 'e.zip'
    WHEN 'region' THEN '(e.info ->> ''region'')'
    WHEN 'additionalInfo' THEN 'e.info::text'
    WHEN 'ownerName' THEN
        'COALESCE((SELECT c.title FROM iot.customer c'
        ' WHERE c.tenant_id = $2 AND c.id = e.owner),'
        ' (SELECT t.title FROM iot.tenant t WHERE t.id = $2))'
    WHEN 'ownerType' THEN
        'CASE WHEN e.owner IS NULL THEN ''TENANT'' ELSE ''CUSTOMER'' END'
    END;
END
$$;


-- A field of the alarm a.

CREATE OR REPLACE FUNCTION iot.query_alarm_field(name text) RETURNS text
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    RETURN CASE name
    WHEN 'createdTime' THEN 'a.created_time::text'
    WHEN 'startTime' THEN 'a.start_ts::text'
    WHEN 'startTs' THEN 'a.start_ts::text'
    WHEN 'endTime' THEN 'a.end_ts::text'
    WHEN 'endTs' THEN 'a.end_ts::text'
    WHEN 'ackTime' THEN 'a.ack_ts::text'
    WHEN 'ackTs' THEN 'a.ack_ts::text'
    WHEN 'clearTime' THEN 'a.clear_ts::text'
    WHEN 'clearTs' THEN 'a.clear_ts::text'
    WHEN 'assignTime' THEN 'a.assign_ts::text'
    WHEN 'assignTs' THEN 'a.assign_ts::text'
    WHEN 'type' THEN 'a.type'
    WHEN 'severity' THEN 'a.severity'
    WHEN 'status' THEN 'iot.alarm_status(a.cleared, a.acknowledged)'
    WHEN 'acknowledged' THEN 'a.acknowledged::text'
    WHEN 'cleared' THEN 'a.cleared::text'
    WHEN 'originator' THEN 'iot.alarm_originator(a)'
    WHEN 'originatorType' THEN 'a.originator_type'
    WHEN 'assignee' THEN
        '(SELECT u.email FROM iot.users u WHERE u.id = a.assignee_id)'
    END;
END
$$;


-- The last argument, as SQL.

CREATE OR REPLACE FUNCTION iot.query_arg(q iot.query_text) RETURNS text
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    RETURN '$1[' || cardinality(q.args) || ']';
END
$$;


-- How the values of a key are reached: kind is any, client, shared, server
-- (attributes) or series.  The alias has the columns b, l, d, s.

CREATE OR REPLACE FUNCTION iot.query_join(kind text, name text, alias text)
RETURNS text
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    id    integer := COALESCE((SELECT k.id FROM iot.key k
                                WHERE k.name = query_join.name
                                      AND NOT iot.attribute_hidden(
                                                  3::smallint, k.name)), 0);
    rest  text := ' ORDER BY a.updated_at DESC, a.scope LIMIT 1';
BEGIN
    IF kind = 'series' THEN
        RETURN format(' JOIN LATERAL (SELECT v.b, v.l, v.d, v.s'
            ' FROM iot.entity_key q CROSS JOIN LATERAL iot.latest_of(q) v'
            ' WHERE q.entity = e.nr AND q.key = %s) %s ON true', id, alias);
    END IF;

    IF kind = 'any' THEN
        RETURN format(' JOIN LATERAL (SELECT a.b, a.l, a.d, a.s'
            ' FROM iot.attribute a'
            ' WHERE a.key = %s AND a.entity = e.nr%s) %s ON true', id, rest,
            alias);
    END IF;

    RETURN format(' JOIN iot.attribute %1$s ON %1$s.entity = e.nr'
        ' AND %1$s.key = %2$s AND %1$s.scope = %3$s', alias, id,
        CASE kind WHEN 'client' THEN 1 WHEN 'shared' THEN 2 ELSE 3 END);
END
$$;


-- A key as SQL: its value as text, number and boolean.  outer_: keep those
-- that have no value.  key: {"kind","name"}.

CREATE OR REPLACE FUNCTION iot.query_key(INOUT q iot.query_text, key jsonb,
    outer_ boolean, OUT as_text text, OUT as_number text, OUT as_boolean text)
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    alias  text := q.keys ->> (key::text);
BEGIN
    IF key ->> 'kind' = 'alarm' THEN
        as_text := iot.query_alarm_field(key ->> 'name');

        IF as_text IS NULL THEN
            PERFORM iot.fail_request(
                format('Unsupported alarm field ''%s''!',
                       left(key ->> 'name', 255)));
        END IF;

        as_number := CASE WHEN as_text ~ '_(ts|time)::text$'
                     THEN regexp_replace(as_text, '::text$',
                                         '::double precision')
                     ELSE 'NULL::double precision' END;
        as_boolean := CASE WHEN key ->> 'name' IN ('acknowledged', 'cleared')
                      THEN '(' || as_text || ')::boolean'
                      ELSE 'NULL::boolean' END;
        RETURN;
    END IF;

    IF key ->> 'kind' = 'field' THEN
        as_text := iot.query_field(key ->> 'name');

        IF as_text IS NULL THEN
            PERFORM iot.fail_request(
                format('Unsupported entity field ''%s''!',
                       left(key ->> 'name', 255)));
        END IF;

        as_text := 'COALESCE(' || as_text || ', '''')';
        as_number := CASE key ->> 'name' WHEN 'createdTime'
                     THEN 'e.created_time::double precision'
                     ELSE 'NULL::double precision' END;
        as_boolean := 'NULL::boolean';
        RETURN;
    END IF;

    IF alias IS NULL THEN
        alias := 'k' || (SELECT count(*) FROM jsonb_object_keys(q.keys));
        q.keys := q.keys || jsonb_build_object(key::text, alias);
        q.joins := q.joins || CASE WHEN outer_ THEN ' LEFT' ELSE '' END
                   || iot.query_join(key ->> 'kind', key ->> 'name', alias);
    END IF;

    as_text := replace('iot.value_text(k.b, k.l, k.d, k.s)', 'k.',
                       alias || '.');
    as_number := replace('COALESCE(k.d, k.l::double precision)', 'k.',
                         alias || '.');
    as_boolean := replace('CASE WHEN k.s IS NULL THEN k.b END', 'k.',
                          alias || '.');
END
$$;


-- Texts compare with what text is; "fold" ignores the case.

CREATE OR REPLACE FUNCTION iot.query_text_test(INOUT q iot.query_text,
    value text, test jsonb, OUT sql text)
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    fold   boolean := COALESCE((test ->> 'fold')::boolean, false);
    given  text := COALESCE(test ->> 'value', '');
    op     text := test ->> 'op';
    arg    text;
BEGIN
    IF fold THEN
        value := 'lower(' || value || ')';
        given := lower(given);
    END IF;

    IF op IN ('IN', 'NOT_IN') THEN
        given := ARRAY(SELECT btrim(w.word)
                         FROM string_to_table(given, ',') w (word))::text;
    END IF;

    q.args := q.args || given;
    arg := iot.query_arg(q);

    sql := CASE op
    WHEN 'EQUAL' THEN value || ' = ' || arg
    WHEN 'NOT_EQUAL' THEN value || ' <> ' || arg
    WHEN 'STARTS_WITH' THEN 'starts_with(' || value || ', ' || arg || ')'
    WHEN 'ENDS_WITH' THEN
        'right(' || value || ', length(' || arg || ')) = ' || arg
    WHEN 'CONTAINS' THEN 'strpos(' || value || ', ' || arg || ') > 0'
    WHEN 'NOT_CONTAINS' THEN 'strpos(' || value || ', ' || arg || ') = 0'
    WHEN 'IN' THEN value || ' = ANY (' || arg || '::text[])'
    WHEN 'NOT_IN' THEN value || ' <> ALL (' || arg || '::text[])'
    END;
END
$$;


CREATE OR REPLACE FUNCTION iot.query_number_test(INOUT q iot.query_text,
    value text, test jsonb, OUT sql text)
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    given  text := test ->> 'value';
    op     text := CASE test ->> 'op'
                   WHEN 'EQUAL' THEN ' = '
                   WHEN 'NOT_EQUAL' THEN ' <> '
                   WHEN 'GREATER' THEN ' > '
                   WHEN 'LESS' THEN ' < '
                   WHEN 'GREATER_OR_EQUAL' THEN ' >= '
                   WHEN 'LESS_OR_EQUAL' THEN ' <= '
                   END;
BEGIN
    IF given IS NULL
       OR given !~ '^[+-]?[0-9]{1,200}(\.[0-9]{1,200})?([eE][+-]?[0-9]{1,2})?$'
    THEN
        PERFORM iot.fail_request(
            format('''%s'' is not a number!', left(given, 255)));
    END IF;

    q.args := q.args || given;
    sql := value || op || iot.query_arg(q) || '::double precision';
END
$$;


-- One condition on a key, or a tree of them: {"op","tests":[...]}.

CREATE OR REPLACE FUNCTION iot.query_test(INOUT q iot.query_text,
    key jsonb, kind text, test jsonb, outer_ boolean, depth integer,
    OUT sql text)
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    parts  text[] := ARRAY[]::text[];
    part   record;
    value  record;
BEGIN
    IF depth > 8 THEN
        PERFORM iot.fail_request('Predicates are nested too deep!');
    END IF;

    IF test ? 'tests' THEN
        FOR part IN SELECT t.value FROM jsonb_array_elements(test -> 'tests') t
        LOOP
            value := iot.query_test(q, key, kind, part.value, outer_,
                                    depth + 1);
            q := value.q;
            parts := parts || ('(' || value.sql || ')');
        END LOOP;

        sql := CASE WHEN parts = '{}' THEN 'true'
               ELSE array_to_string(parts, CASE test ->> 'op'
                        WHEN 'OR' THEN ' OR ' ELSE ' AND ' END) END;
        RETURN;
    END IF;

    value := iot.query_key(q, key, outer_);
    q := value.q;

    CASE kind
    WHEN 'number' THEN
        part := iot.query_number_test(q, value.as_number, test);
        q := part.q;
        sql := part.sql;

    WHEN 'boolean' THEN
        sql := value.as_boolean
               || CASE test ->> 'op' WHEN 'EQUAL' THEN ' = ' ELSE ' <> ' END
               || CASE lower(test ->> 'value') WHEN 'true' THEN 'true'
                  ELSE 'false' END;

    ELSE
        part := iot.query_text_test(q, value.as_text, test);
        q := part.q;
        sql := part.sql;
    END CASE;

    IF sql IS NULL THEN
        PERFORM iot.fail_request(
            format('Unsupported operation ''%s''!', left(test ->> 'op', 255)));
    END IF;
END
$$;
