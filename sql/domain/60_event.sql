
--
-- Copyright (C) the ngx_iot authors
--
-- What the workers tell on their bus after a change.  A function of the API
-- puts it into the headers of its answer, {"@publish":[event, …]}, and the
-- worker that gets the answer publishes, so that nothing is told before the
-- commit.


-- event: attributes/client, attributes/shared, attributes/server (data:
-- {"k":v,…} or {"deleted":["k",…]}), telemetry ([{"ts":ms,"values":{…}},…]).

CREATE OR REPLACE FUNCTION iot.event_of(tenant uuid, entity uuid, event text,
    data json)
RETURNS json
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    RETURN json_build_object('tenant', tenant, 'entity', entity,
                             'event', event, 'data', data);
END
$$;
