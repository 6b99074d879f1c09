--
-- Copyright (C) the ngx_iot authors
--
-- POST and DELETE of /api/customer/device/{name}/claim.


CREATE OR REPLACE FUNCTION tb.device_claim(p iot.principal, path text[],
    query json, body json) RETURNS iot.answer
LANGUAGE plpgsql
AS $$
DECLARE
    taken  record;
BEGIN
    PERFORM iot.enter(p);

    taken := iot.device_claim_take(p, path[1], CASE json_typeof(body)
                                   WHEN 'object'
                                   THEN tb.text(body, 'secretKey') END);

    IF taken.response <> 'SUCCESS' THEN
        RETURN (400, NULL, to_json(taken.response)::text)::iot.answer;
    END IF;

    RETURN (200, NULL,
            json_build_object('device', tb.device_show(taken.device),
                              'response', taken.response)::text)::iot.answer;
END
$$;


CREATE OR REPLACE FUNCTION tb.device_reclaim(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.device_claim_return(p, path[1]);

    RETURN NULL;
END
$$;
