--
-- Copyright (C) the ngx_iot authors
--
-- Properties of devices: they are shared attributes, so that a device that
-- speaks another protocol has them too.


CREATE OR REPLACE FUNCTION thinger.property_out(d iot.device, names text[])
RETURNS SETOF json
LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN QUERY
        SELECT json_build_object('property', a.name,
                   'value', iot.value_json(a.b, a.l, a.d, a.s)::json,
                   'modified', a.updated_at)
          FROM iot.attributes(d.nr, 2::smallint, names) AS a;
END
$$;


CREATE OR REPLACE FUNCTION thinger.property_list(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    d  iot.device;
BEGIN
    PERFORM iot.enter(p);

    d := iot.account_device(p, iot.account_user(p, path[1]), path[2],
                            'READ_ATTRIBUTES');

    RETURN (SELECT COALESCE(json_agg(o), '[]')
              FROM thinger.property_out(d, NULL) AS o);
END
$$;


CREATE OR REPLACE FUNCTION thinger.property_get(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    d  iot.device;
    r  json;
BEGIN
    PERFORM iot.enter(p);

    d := iot.account_device(p, iot.account_user(p, path[1]), path[2],
                            'READ_ATTRIBUTES');

    SELECT o INTO r FROM thinger.property_out(d, ARRAY[path[3]]) AS o;

    IF r IS NULL THEN
        PERFORM iot.fail(404, 'not_found', 'property not found');
    END IF;

    RETURN r;
END
$$;


CREATE OR REPLACE FUNCTION thinger.property_write(p iot.principal,
    d iot.device, name text, body json) RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    IF COALESCE(name !~ '^[a-zA-Z0-9_-]{1,32}$', true)
       OR json_typeof(body) <> 'object'
       OR body -> 'value' IS NULL
    THEN
        PERFORM iot.fail_request('invalid property');
    END IF;

    PERFORM iot.attribute_save(d.nr, 2::smallint,
        json_build_array(iot.typed_value(name, body -> 'value')));
    PERFORM iot.audit(p, 'DEVICE', d.id, d.name, 'ATTRIBUTES_UPDATED',
                      customer => d.customer_id);
END
$$;


-- One property, or an array of them.

CREATE OR REPLACE FUNCTION thinger.property_create(p iot.principal,
    path text[], query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    d  iot.device;
    o  json;
BEGIN
    PERFORM iot.enter(p);

    d := iot.account_device(p, iot.account_user(p, path[1]), path[2],
                            'WRITE_ATTRIBUTES');

    IF json_typeof(body) <> 'array' THEN
        body := json_build_array(body);
    END IF;

    FOR o IN SELECT json_array_elements(body) LOOP
        PERFORM thinger.property_write(p, d,
            CASE WHEN json_typeof(o) = 'object' THEN o ->> 'property' END, o);
    END LOOP;

    RETURN NULL;
END
$$;


CREATE OR REPLACE FUNCTION thinger.property_put(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    d  iot.device;
BEGIN
    PERFORM iot.enter(p);

    d := iot.account_device(p, iot.account_user(p, path[1]), path[2],
                            'WRITE_ATTRIBUTES');

    PERFORM thinger.property_write(p, d, path[3], body);

    RETURN NULL;
END
$$;


CREATE OR REPLACE FUNCTION thinger.property_delete(p iot.principal,
    path text[], query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    d  iot.device;
BEGIN
    PERFORM iot.enter(p);

    d := iot.account_device(p, iot.account_user(p, path[1]), path[2],
                            'WRITE_ATTRIBUTES');

    IF iot.attribute_delete(d.nr, 2::smallint, ARRAY[path[3]]) = '{}' THEN
        PERFORM iot.fail(404, 'not_found', 'property not found');
    END IF;

    PERFORM iot.audit(p, 'DEVICE', d.id, d.name, 'ATTRIBUTES_DELETED',
                      customer => d.customer_id);

    RETURN NULL;
END
$$;
