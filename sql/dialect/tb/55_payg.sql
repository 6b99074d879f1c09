
--
-- Copyright (C) the ngx_iot authors
--
-- Codes of pay-as-you-go devices: calls of the rule engine, and /api/payg for
-- business software.


-- The answer of a code that was made: those who are connected are told.

CREATE OR REPLACE FUNCTION tb.keycode_answer(p iot.principal, device uuid,
    made json, answer json) RETURNS iot.answer
LANGUAGE plpgsql
AS $$
BEGIN
    RETURN ROW(200,
               CASE WHEN made -> 'shared' IS NOT NULL THEN
                   json_build_object('@publish', json_build_array(
                       iot.event_of(p.tenant_id, device, 'attributes/shared',
                                    made -> 'shared'))) END,
               answer::text)::iot.answer;
END
$$;


-- What a job has made, or a refusal.  After its time is up nothing will be
-- made any more, which must be committed: NULL, and then keycode_late().

CREATE OR REPLACE FUNCTION tb.keycode_outcome(job json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    o      json := job;
    parts  text[];
BEGIN
    IF job ->> 'state' = 'timeout' THEN
        o := iot.keycode_cancel((job ->> 'id')::uuid);
    END IF;

    IF o ->> 'state' = 'done' THEN
        RETURN o -> 'result';
    END IF;

    IF o IS NULL THEN
        RETURN NULL;
    END IF;

    parts := regexp_match(o ->> 'error', '^(?:(409) )?(E_[A-Z_]+) (.*)$');

    IF parts IS NULL THEN
        PERFORM iot.fail(503, 'unavailable', 'The code could not be made: '
                         || COALESCE(o ->> 'error', 'unknown'));
    END IF;

    PERFORM iot.fail(COALESCE(parts[1]::integer, 400), parts[2], parts[3]);

    RETURN NULL;
END
$$;


CREATE OR REPLACE FUNCTION tb.keycode_late() RETURNS iot.answer
LANGUAGE plpgsql
AS $$
BEGIN
    RETURN ROW(503, '{"Retry-After":"5"}',
               json_build_object('status', 503, 'message',
                   'The code was not made in time; try it again',
                   'errorCode', 46, 'timestamp', iot.now_ms())::text)
           ::iot.answer;
END
$$;


-- Waits for a helper: fn goes on.  A profile may have a generator of its own.

CREATE OR REPLACE FUNCTION tb.keycode_wait(p iot.principal, d iot.device,
    body json, fn text, timeout text) RETURNS iot.answer
LANGUAGE plpgsql
AS $$
DECLARE
    job  uuid;
    r    record;
    url  text := (SELECT iot.setting_value(d.tenant_id, 'payg.generators')
                         ->> dp.name
                    FROM iot.device_profile dp
                   WHERE dp.tenant_id = d.tenant_id AND dp.id = d.profile_id);
BEGIN
    SELECT * INTO r FROM iot.keycode_ask(p, d, body, url);

    IF (r.made).id IS NOT NULL THEN
        RETURN tb.keycode_answer(p, d.id, NULL,
            CASE fn WHEN 'tb.rule_engine_after'
            THEN json_build_object('token', (r.made).token)
            ELSE tb.payg_token_out(r.made) END);
    END IF;

    job := r.job;

    RETURN ROW(200, json_build_object('@wait', job, '@then', fn,
                                      '@timeout', timeout),
               NULL)::iot.answer;
END
$$;


-- The code of a job, of whichever kind it was.

CREATE OR REPLACE FUNCTION tb.keycode_made(p iot.principal, device uuid,
    body json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    job     json := body -> 'job';
    answer  json;
    token   text;
BEGIN
    IF job #>> '{result,token}' IS NOT NULL OR job -> 'result' IS NULL
       OR job #>> '{result,status}' IS NULL
    THEN
        RETURN tb.keycode_outcome(job);
    END IF;

    answer := CASE WHEN iot.is_json_object(job #>> '{result,body}')
              THEN (job #>> '{result,body}')::json END;
    token := CASE json_typeof(answer -> 'token') WHEN 'string'
             THEN answer ->> 'token' END;

    IF job #>> '{result,status}' NOT IN ('200', '201')
       OR COALESCE(length(token), 0) NOT BETWEEN 1 AND 64
       OR token !~ '^[0-9A-Za-z *#-]+$'
    THEN
        PERFORM iot.fail(502, 'general',
                         'The external generator has made no code');
    END IF;

    RETURN iot.keycode_external(p, device, body -> 'body', token);
END
$$;


-- Is the body a request for a code?

CREATE OR REPLACE FUNCTION tb.is_keycode(body json) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    RETURN json_typeof(body) = 'object'
           AND (EXISTS (SELECT FROM json_each(body) AS e
                         WHERE e.key IN ('pay_g_tkn', 'set_tkn', 'unlock_tkn',
                                         'credit'))
                OR COALESCE(body ->> 'method' IN ('Add Credit', 'Set Credit',
                    'Unlock PAYG', 'Credit Until', 'Wipe State',
                    'Counter Sync'), false));
END
$$;


-- A call: for a code, else to the URL of the tenant, else nobody replies.

CREATE OR REPLACE FUNCTION tb.rule_engine_call(p iot.principal,
    entity_type text, id text, timeout text, body json) RETURNS iot.answer
LANGUAGE plpgsql
AS $$
DECLARE
    url  text;
    job  uuid;
    d    iot.device;
BEGIN
    IF timeout !~ '^[0-9]{1,9}$' THEN
        PERFORM iot.fail(400, 'invalid_arguments',
                         format('Invalid timeout: %s', timeout));
    END IF;

    timeout := GREATEST(1, LEAST(timeout::integer, 120000))::text;

    IF upper(entity_type) = 'DEVICE' AND tb.is_keycode(body) THEN
        d := iot.keycode_device(p, tb.uuid(id));

        RETURN tb.keycode_wait(p, d, body, 'tb.rule_engine_after', timeout);
    END IF;

    PERFORM iot.resolve(p, upper(entity_type), tb.uuid(id), 'WRITE');

    url := iot.setting_value(p.tenant_id, 'ruleEngine.forwardUrl') #>> '{}';

    PERFORM iot.audit(p, upper(entity_type), tb.uuid(id), NULL,
                      'REST_API_RULE_ENGINE_CALL',
                      data => json_build_object('timeout', timeout,
                                                'forwarded',
                                                url IS NOT NULL));

    IF url IS NULL THEN
        RETURN ROW(408, NULL, NULL)::iot.answer;
    END IF;

    job := iot.job_add(p.tenant_id, 'http',
        jsonb_build_object('url', url, 'method', 'POST',
            'timeout', timeout::integer,
            'headers', '{"Content-Type":"application/json"}'::jsonb,
            'body', json_build_object('entityType', upper(entity_type),
                        'entityId', id, 'userId', p.user_id,
                        'userName', p.name, 'body', body)::text),
        NULL, '0');

    RETURN ROW(200, json_build_object('@wait', job, '@then',
                        'tb.rule_engine_forwarded', '@timeout', timeout),
               NULL)::iot.answer;
END
$$;


CREATE OR REPLACE FUNCTION tb.rule_engine(p iot.principal, path text[],
    query json, body json) RETURNS iot.answer
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);

    RETURN tb.rule_engine_call(p, path[1], path[2],
        COALESCE(path[4], path[3], '10000'), body);
END
$$;


CREATE OR REPLACE FUNCTION tb.rule_engine_user(p iot.principal, path text[],
    query json, body json) RETURNS iot.answer
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);

    RETURN tb.rule_engine_call(p, 'USER', p.user_id::text, '10000', body);
END
$$;


CREATE OR REPLACE FUNCTION tb.rule_engine_after(p iot.principal, path text[],
    query json, body json) RETURNS iot.answer
LANGUAGE plpgsql
AS $$
DECLARE
    made  json;
BEGIN
    PERFORM iot.enter(p);

    made := tb.keycode_made(p, tb.uuid(path[2]), body);

    IF made IS NULL THEN
        RETURN tb.keycode_late();
    END IF;

    RETURN tb.keycode_answer(p, tb.uuid(path[2]), made,
                             json_build_object('token', made ->> 'token'));
END
$$;


CREATE OR REPLACE FUNCTION tb.rule_engine_forwarded(p iot.principal,
    path text[], query json, body json) RETURNS iot.answer
LANGUAGE plpgsql
AS $$
DECLARE
    status  text := body #>> '{job,result,status}';
    answer  text := body #>> '{job,result,body}';
BEGIN
    PERFORM iot.enter(p);

    IF status IS NULL OR status NOT LIKE '2__' OR answer IS NULL
       OR NOT iot.is_json_object(answer)
    THEN
        RETURN ROW(408, NULL, NULL)::iot.answer;
    END IF;

    RETURN ROW(200, NULL, answer)::iot.answer;
END
$$;


-- /api/payg: for business software

CREATE OR REPLACE FUNCTION tb.payg_token_out(t iot.payg_token) RETURNS json
LANGUAGE sql STABLE
AS $$
    SELECT json_build_object(
        'id', tb.id('PAYG_TOKEN', t.id),
        'createdTime', t.created_time,
        'deviceId', tb.id('DEVICE', t.device_id),
        'deviceName', t.device_name,
        'system', t.system,
        'type', t.type,
        'hours', t.hours,
        'msgId', t.msg_id,
        'token', t.token,
        'compactToken', replace(t.token, ' ', ''),
        'requestId', t.request_id,
        'userId', t.user_id,
        'userName', t.user_name)
$$;


CREATE OR REPLACE FUNCTION tb.payg_ask(p iot.principal, path text[],
    query json, body json) RETURNS iot.answer
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);

    RETURN tb.keycode_wait(p, iot.keycode_device(p, tb.uuid(path[1])), body,
                           'tb.payg_ask_after', '10000');
END
$$;


CREATE OR REPLACE FUNCTION tb.payg_ask_after(p iot.principal, path text[],
    query json, body json) RETURNS iot.answer
LANGUAGE plpgsql
AS $$
DECLARE
    made  json;
BEGIN
    PERFORM iot.enter(p);

    made := tb.keycode_made(p, tb.uuid(path[1]), body);

    IF made IS NULL THEN
        RETURN tb.keycode_late();
    END IF;

    RETURN tb.keycode_answer(p, tb.uuid(path[1]), made,
               (SELECT tb.payg_token_out(t)
                  FROM iot.payg_token t
                 WHERE t.tenant_id = p.tenant_id
                       AND t.id = (made ->> 'tokenId')::uuid));
END
$$;


-- The codes of one device, for whoever may have new ones.

CREATE OR REPLACE FUNCTION tb.payg_device_tokens(p iot.principal,
    path text[], query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    pg  iot.page := tb.page(query);
    d   iot.device;
BEGIN
    PERFORM iot.enter(p);

    d := iot.keycode_device(p, tb.uuid(path[1]));

    RETURN tb.payg_list(pg, d.tenant_id, d.id);
END
$$;


-- All of them, for the administrators of the tenant.

CREATE OR REPLACE FUNCTION tb.payg_tokens(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    pg  iot.page := tb.page(query);
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.need_role(p, 'TENANT_ADMIN');

    RETURN tb.payg_list(pg, p.tenant_id, NULL);
END
$$;


CREATE OR REPLACE FUNCTION tb.payg_list(pg iot.page, tenant uuid, device uuid)
RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    IF pg.sort IS NULL THEN
        pg.sort := 'createdTime';
        pg.descending := true;
    END IF;

    RETURN tb.list(pg, 'tb.payg_token_out(t)',
        'iot.payg_token AS t WHERE t.tenant_id = $1[1]::uuid'
        ' AND ($1[2] IS NULL OR t.device_id = $1[2]::uuid)'
        ' AND ($2 IS NULL OR t.device_name ILIKE $2 OR t.token ILIKE $2'
        ' OR t.request_id ILIKE $2 OR t.user_name ILIKE $2)',
        '{"id":"t.id","createdTime":"t.created_time","type":"t.type",
          "deviceName":"t.device_name","hours":"t.hours","msgId":"t.msg_id"}',
        't.id', tenant::text, device::text);
END
$$;
