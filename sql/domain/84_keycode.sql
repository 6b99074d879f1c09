
--
-- Copyright (C) the ngx_iot authors
--
-- Keycodes of pay-as-you-go devices.  A worker asks with a job, a helper
-- makes the code, for it alone opens the secret.  The id moves in the
-- transaction that stores the code and ends the job, so that nothing is used
-- up unless there is a code, and no id is given twice.
--
-- The state of a device is in its attributes, under the names that clients
-- use: the secret pyg_pts or device_secret and the next id pyg_msg or msg_id;
-- of two the one that was written last counts.


SELECT iot.setting_define('payg.customerTokens', 'boolean', 'false', NULL,
    'tenant', true, false, 'Whether users of a customer without a role may'
    ' ask for codes of its devices.');
SELECT iot.setting_define('payg.webhookUrl', 'url', NULL, NULL, 'tenant',
    true, false, 'Where every new code is sent to, for the SMS gateway or the'
    ' loan platform.');
SELECT iot.setting_define('payg.webhookSecret', 'string', NULL,
    '{"maxLength":255,"seal":"helper"}', 'tenant', true, true,
    'What the webhook is signed with.');
SELECT iot.setting_define('payg.generators', 'object', '{}', NULL, 'tenant',
    true, false, 'External generators of codes: by the name of a device'
    ' profile the URL that is asked instead of making the code here.');
SELECT iot.setting_define('ruleEngine.forwardUrl', 'url', NULL, NULL,
    'tenant', true, false, 'Where calls of the rule engine go that are no'
    ' request for a code; its JSON is the answer.');


CREATE OR REPLACE FUNCTION iot.keycode_error(code text, message text)
RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.fail(400, code, message);
END
$$;


-- A whole number of days: digits alone, as a number or as text.

CREATE OR REPLACE FUNCTION iot.keycode_days(value json, lowest integer)
RETURNS integer
LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
    digits  text := value #>> '{}';
BEGIN
    IF COALESCE(json_typeof(value), '') NOT IN ('number', 'string')
       OR digits !~ '^[0-9]{1,9}$'
       OR digits::integer NOT BETWEEN lowest AND 4166
    THEN
        PERFORM iot.keycode_error('E_VALUE',
            format('The credit must be a whole number of days from %s to'
                   ' 4166', lowest));
    END IF;

    RETURN digits::integer;
END
$$;


-- Hours from now until then, begun ones whole.

CREATE OR REPLACE FUNCTION iot.keycode_until(value json) RETURNS bigint
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    hours  bigint;
BEGIN
    IF json_typeof(value) IS DISTINCT FROM 'string'
       OR value #>> '{}' !~ ('^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:'
                             '[0-9]{2}:[0-9]{2}([.][0-9]{1,9})?'
                             '([Zz]|[+-][0-9]{2}:[0-9]{2})$')
    THEN
        PERFORM iot.keycode_error('E_VALUE',
            '"until" must be a time with its zone, or "UNLOCKED"');
    END IF;

    BEGIN
        hours := ceil((extract(epoch FROM (value #>> '{}')::timestamptz)
                       * 1000 - iot.now_ms()) / 3600000);

    EXCEPTION WHEN data_exception THEN
        PERFORM iot.keycode_error('E_VALUE', '"until" is no time');
    END;

    hours := GREATEST(hours, 0);

    IF hours > 99998 THEN
        PERFORM iot.keycode_error('E_VALUE', '"until" is too far away');
    END IF;

    RETURN hours;
END
$$;


-- What a body asks for: exactly one command of either dialect.  value: hours;
-- for unlock 99999.

CREATE OR REPLACE FUNCTION iot.keycode_request(body json, OUT type text,
    OUT value bigint)
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    commands  text[];
    amount    json;
BEGIN
    IF json_typeof(body) IS DISTINCT FROM 'object' THEN
        PERFORM iot.keycode_error('E_REQUEST', 'This is no command');
    END IF;

    commands := ARRAY(
        SELECT CASE e.key WHEN 'method' THEN COALESCE(e.value #>> '{}', '')
               ELSE e.key END
          FROM json_each(body) AS e (key, value)
         WHERE e.key IN ('pay_g_tkn', 'set_tkn', 'unlock_tkn', 'method'));

    IF cardinality(commands) <> 1
       OR (SELECT count(*) FROM json_each(body) AS e
            WHERE e.key IN ('credit', 'until')) > 1
    THEN
        PERFORM iot.keycode_error('E_REQUEST',
            'Exactly one command must be given');
    END IF;

    amount := COALESCE(body -> commands[1], body -> 'credit');

    CASE commands[1]
    WHEN 'pay_g_tkn', 'Add Credit' THEN
        type := 'add_credit';
        value := iot.keycode_days(amount, 1) * 24;

    WHEN 'set_tkn', 'Set Credit' THEN
        type := 'set_credit';
        value := iot.keycode_days(amount, 0) * 24;

    WHEN 'unlock_tkn', 'Unlock PAYG' THEN
        type := 'unlock';

    WHEN 'Credit Until' THEN
        IF body ->> 'until' = 'UNLOCKED' THEN
            type := 'unlock';

        ELSE
            type := 'set_credit';
            value := iot.keycode_until(body -> 'until');
        END IF;

    WHEN 'Wipe State' THEN
        type := 'wipe_state';

        IF COALESCE(body ->> 'target', '') !~ '^[0-3]$' THEN
            PERFORM iot.keycode_error('E_VALUE',
                '"target" must be 0, 1, 2 or 3');
        END IF;

        value := (body ->> 'target')::bigint;

    WHEN 'Counter Sync' THEN
        type := 'counter_sync';

    ELSE
        PERFORM iot.keycode_error('E_REQUEST', 'No such command');
    END CASE;

    IF type = 'unlock' THEN
        value := 99999;
    END IF;
END
$$;


CREATE OR REPLACE FUNCTION iot.keycode_request_id(body json) RETURNS text
LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
    given  json := body -> 'requestId';
BEGIN
    IF COALESCE(json_typeof(given), 'null') = 'null' THEN
        RETURN NULL;
    END IF;

    IF json_typeof(given) <> 'string'
       OR length(given #>> '{}') NOT BETWEEN 1 AND 64
    THEN
        PERFORM iot.keycode_error('E_REQUEST',
            '"requestId" must be a text of 1 to 64 characters');
    END IF;

    RETURN given #>> '{}';
END
$$;


-- May the caller have codes of the device?  The operation PAYG_TOKEN, which
-- a customer's users have by authority only if the tenant says so.

CREATE OR REPLACE FUNCTION iot.keycode_device(p iot.principal, id uuid)
RETURNS iot.device
LANGUAGE plpgsql
AS $$
DECLARE
    d  iot.device;
BEGIN
    IF p.tenant_id IS NULL THEN
        PERFORM iot.fail_permission();
    END IF;

    SELECT * INTO d
      FROM iot.device AS t
     WHERE t.tenant_id = p.tenant_id AND t.id = keycode_device.id;

    IF d.id IS NULL THEN
        PERFORM iot.fail_missing('Device', keycode_device.id);
    END IF;

    IF NOT iot.may(p, 'PAYG_TOKEN', 'DEVICE', d.id, d.customer_id) THEN
        IF p.role IS DISTINCT FROM 'CUSTOMER_USER'
           OR iot.setting_value(p.tenant_id, 'payg.customerTokens') #>> '{}'
              IS DISTINCT FROM 'true'
           OR NOT iot.may(p, 'WRITE', 'DEVICE', d.id, d.customer_id)
        THEN
            PERFORM iot.fail_permission();
        END IF;
    END IF;

    RETURN d;
END
$$;


-- A job for a code of the device, or what was made already for that request.
-- url: of the generator that takes the place of this one.

CREATE OR REPLACE FUNCTION iot.keycode_ask(p iot.principal, d iot.device,
    body json, url text, OUT job uuid, OUT made iot.payg_token)
LANGUAGE plpgsql
AS $$
DECLARE
    r        record;
    request  text := iot.keycode_request_id(body);
BEGIN
    SELECT * INTO r FROM iot.keycode_request(body);

    IF request IS NOT NULL THEN
        SELECT t.* INTO made
          FROM iot.payg_token t
         WHERE t.tenant_id = d.tenant_id AND t.device_id = d.id
               AND t.request_id = request;

        IF made.id IS NOT NULL THEN
            PERFORM iot.keycode_same(made.type, made.hours, r.type, r.value);
            RETURN;
        END IF;
    END IF;

    IF url IS NOT NULL THEN
        job := iot.job_add(d.tenant_id, 'http',
            jsonb_build_object('url', url, 'method', 'POST', 'timeout', 10000,
                'headers', '{"Content-Type":"application/json"}'::jsonb,
                'body', jsonb_build_object('deviceId', d.id,
                            'deviceName', d.name, 'type', r.type,
                            'hours', r.value, 'requestId', request)::text),
            NULL, '0');
        RETURN;
    END IF;

    job := iot.job_add(d.tenant_id, 'keycode',
        jsonb_build_object('device', d.id, 'type', r.type, 'value', r.value,
                           'requestId', request, 'by', to_jsonb(p)),
        NULL, '0');
END
$$;


-- A request that is repeated must be the same one.

CREATE OR REPLACE FUNCTION iot.keycode_same(made_type text, made_hours bigint,
    type text, value bigint) RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    IF made_type IS DISTINCT FROM type
       OR made_type IN ('add_credit', 'set_credit')
          AND made_hours IS DISTINCT FROM value
    THEN
        PERFORM iot.keycode_error('E_REQUEST',
            'This "requestId" was used for something else');
    END IF;
END
$$;


-- The attributes of a device that codes depend on.  secret is sealed; next is
-- NULL when there is none or it is no number.

CREATE OR REPLACE FUNCTION iot.keycode_state(entity_nr integer,
    OUT secret text, OUT next bigint, OUT system text, OUT start bigint,
    OUT divider bigint, OUT restricted boolean, OUT test_code bigint,
    OUT both_names boolean)
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    v  jsonb;
BEGIN
    SELECT jsonb_object_agg(x.name, x.value) INTO v
      FROM (SELECT DISTINCT ON (n.alias) n.alias AS name,
                   COALESCE(a.s, a.l::text, a.b::text, a.d::text) AS value
              FROM iot.attribute a
                   JOIN iot.key k ON k.id = a.key
                   JOIN (VALUES ('pyg_pts', 3, 'secret', 1),
                                ('device_secret', 3, 'secret', 2),
                                ('pyg_msg', 3, 'next', 1),
                                ('msg_id', 3, 'next', 2),
                                ('payg_type', 3, 'system', 1),
                                ('PAYG_Type', 3, 'system', 2),
                                ('prd_psc', 2, 'start', 1),
                                ('prd_psc', 3, 'start', 2),
                                ('payg_divider', 3, 'divider', 1),
                                ('payg_restricted', 3, 'restricted', 1),
                                ('payg_test_code', 3, 'testCode', 1))
                        AS n (name, scope, alias, rank)
                       ON n.name = k.name AND n.scope = a.scope
             WHERE a.entity = entity_nr
             ORDER BY n.alias, a.updated_at DESC, n.rank) x;

    secret := v ->> 'secret';
    next := iot.keycode_whole(v ->> 'next');
    start := COALESCE(iot.keycode_whole(v ->> 'start'), 0);
    divider := COALESCE(iot.keycode_whole(v ->> 'divider'), 1);
    restricted := v ->> 'restricted' IN ('true', '1');
    test_code := COALESCE(iot.keycode_whole(v ->> 'testCode'), -1);

    system := CASE lower(v ->> 'system')
              WHEN 'openpaygo' THEN 'openpaygo'
              WHEN 'nexus-small' THEN 'nexus-small'
              ELSE 'nexus' END;

    IF system = 'openpaygo' AND next IS NULL THEN
        next := 1;
    END IF;
END
$$;


CREATE OR REPLACE FUNCTION iot.keycode_whole(value text) RETURNS bigint
LANGUAGE sql IMMUTABLE
AS $$
    SELECT CASE WHEN value ~ '^-?[0-9]{1,18}$' THEN value::bigint END
$$;


-- The job, as long as it is this helper's.

CREATE OR REPLACE FUNCTION iot.keycode_job(helper uuid, job uuid,
    attempt integer) RETURNS iot.job
LANGUAGE plpgsql
AS $$
DECLARE
    j  iot.job;
BEGIN
    SELECT * INTO j
      FROM iot.job t
     WHERE t.id = keycode_job.job AND t.kind = 'keycode'
           AND t.state = 'RUNNING' AND t.helper_id = keycode_job.helper
           AND t.attempt = keycode_job.attempt
       FOR UPDATE;

    RETURN j;
END
$$;


-- What a helper has to make; {"stored"}: it was made before; {"error"}.

CREATE OR REPLACE FUNCTION iot.keycode_take(helper uuid, job uuid,
    attempt integer) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
DECLARE
    j  iot.job := iot.keycode_job(helper, job, attempt);
    t  iot.payg_token;
    d  iot.device;
    s  record;
BEGIN
    -- nobody waits any more, so nobody would enter it

    IF j.id IS NULL OR j.created_time < iot.now_ms() - 120000 THEN
        RETURN '{"error":"the request was given up"}'::jsonb;
    END IF;

    SELECT * INTO d FROM iot.device x
     WHERE x.tenant_id = j.tenant_id
           AND x.id = (j.payload ->> 'device')::uuid;

    IF d.id IS NULL THEN
        RETURN '{"error":"E_REQUEST The device is gone"}'::jsonb;
    END IF;

    SELECT * INTO t FROM iot.payg_token x
     WHERE x.tenant_id = d.tenant_id AND x.device_id = d.id
           AND x.request_id = j.payload ->> 'requestId';

    IF t.id IS NOT NULL THEN
        RETURN jsonb_build_object('stored',
                   jsonb_build_object('tokenId', t.id, 'token', t.token));
    END IF;

    SELECT * INTO s FROM iot.keycode_state(d.nr);

    IF s.secret IS NULL THEN
        RETURN '{"error":"409 E_SECRET The device has no secret"}'::jsonb;
    END IF;

    IF s.next IS NULL THEN
        RETURN '{"error":"409 E_MSG_ID The device has no message id"}'::jsonb;
    END IF;

    RETURN jsonb_build_object('secret', s.secret, 'system', s.system,
        'type', j.payload ->> 'type', 'value', (j.payload -> 'value'),
        'days', trim_scale(round((j.payload ->> 'value')::numeric / 24, 9))
                ::text,
        'msgId', s.next, 'start', s.start, 'divider', s.divider,
        'restricted', s.restricted, 'testCode', s.test_code);
END
$$;


-- The code that a helper has made of what it took: all at once, or nothing.
-- 'done'; 'again': the id was taken by another code; 'lost': the job is not
-- this helper's any more, or was taken back.

CREATE OR REPLACE FUNCTION iot.keycode_put(helper uuid, job uuid,
    attempt integer, made jsonb) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
DECLARE
    j    iot.job := iot.keycode_job(helper, job, attempt);
    d    iot.device;
    s    record;
    t    iot.payg_token;
    out  jsonb;
BEGIN
    IF j.id IS NULL THEN
        RETURN 'lost';
    END IF;

    -- one code of a device at a time

    SELECT * INTO d FROM iot.device x
     WHERE x.tenant_id = j.tenant_id
           AND x.id = (j.payload ->> 'device')::uuid
       FOR NO KEY UPDATE;

    SELECT * INTO s FROM iot.keycode_state(d.nr);

    IF d.id IS NULL OR s.next IS DISTINCT FROM (made ->> 'msgId')::bigint
       OR EXISTS (SELECT FROM iot.payg_token x
                   WHERE x.tenant_id = d.tenant_id AND x.device_id = d.id
                         AND x.request_id = j.payload ->> 'requestId')
    THEN
        RETURN 'again';
    END IF;

    PERFORM iot.keycode_count(d.nr, (made ->> 'next')::bigint);

    t.system := s.system;
    t.type := made ->> 'type';
    t.hours := CASE WHEN t.type IN ('add_credit', 'set_credit', 'unlock')
               THEN (made ->> 'value')::bigint END;
    t.msg_id := (made ->> 'next')::bigint
                - CASE s.system WHEN 'openpaygo' THEN 0 ELSE 1 END;
    t.token := made ->> 'token';
    t.request_id := j.payload ->> 'requestId';

    out := iot.keycode_store(
               jsonb_populate_record(NULL::iot.principal, j.payload -> 'by'),
               d, t);

    IF NOT iot.job_end(helper, job, attempt, 'done', out, NULL) THEN
        RAISE EXCEPTION 'the job % is gone', job;
    END IF;

    RETURN 'done';
END
$$;


-- The next id, under every name that there is.

CREATE OR REPLACE FUNCTION iot.keycode_count(entity_nr integer, next bigint)
RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.attribute_save(entity_nr, 3::smallint,
        (SELECT json_agg(json_build_array(n.name, 'l', next))
           FROM (SELECT 'pyg_msg' AS name
                 UNION
                 SELECT k.name
                   FROM iot.attribute a
                        JOIN iot.key k ON k.id = a.key
                  WHERE a.entity = entity_nr AND a.scope = 3
                        AND k.name = 'msg_id') n));
END
$$;


-- A code goes into the journal, to the device, to the webhook.  Answers what
-- the asker is told, with the attributes for those who are connected.

CREATE OR REPLACE FUNCTION iot.keycode_store(p iot.principal, d iot.device,
    t iot.payg_token) RETURNS jsonb
LANGUAGE plpgsql
AS $$
DECLARE
    now_ms  CONSTANT bigint := iot.now_ms();
    url     text := iot.setting_value(d.tenant_id, 'payg.webhookUrl') #>> '{}';
    shared  jsonb;
BEGIN
    INSERT INTO iot.payg_token (tenant_id, created_time, device_id,
        device_name, customer_id, system, type, hours, msg_id, token,
        request_id, user_id, user_name)
    VALUES (d.tenant_id, now_ms, d.id, d.name, d.customer_id, t.system, t.type,
            t.hours, t.msg_id, t.token, t.request_id, p.user_id, p.name)
    RETURNING id INTO t.id;

    shared := jsonb_build_object('pyg_tkn', t.token, 'pyg_tkn_ts', now_ms,
        'PC_tkn', t.token, 'pc_tkn', t.token, 'pc_tkn_ts', now_ms);

    IF t.hours IS NOT NULL THEN
        shared := shared || jsonb_build_object('pyg_tkn_credit', t.hours,
                                               'pc_tkn_credit', t.hours / 24);
    END IF;

    -- a token is text for ever, whatever its digits

    PERFORM iot.attribute_save(d.nr, 2::smallint,
        (SELECT json_agg(json_build_array(e.key,
                    CASE jsonb_typeof(e.value) WHEN 'number' THEN 'l'
                    ELSE 's' END, e.value))
           FROM jsonb_each(shared) AS e (key, value)));

    PERFORM iot.audit(p, 'DEVICE', d.id, d.name, 'REST_API_RULE_ENGINE_CALL',
        data => json_build_object('type', t.type, 'hours', t.hours,
                                  'tokenId', t.id, 'requestId', t.request_id),
        customer => d.customer_id);

    IF url IS NOT NULL THEN
        PERFORM iot.job_add(d.tenant_id, 'webhook', jsonb_strip_nulls(
            jsonb_build_object('url', url, 'method', 'POST',
                'headers', '{"Content-Type":"application/json"}'::jsonb,
                'secret', iot.setting_value(d.tenant_id,
                              'payg.webhookSecret') #>> '{}',
                'body', jsonb_build_object('event', 'token', 'tokenId', t.id,
                            'createdTime', now_ms, 'deviceId', d.id,
                            'deviceName', d.name, 'type', t.type,
                            'hours', t.hours, 'token', t.token,
                            'requestId', t.request_id)::text)));
    END IF;

    RETURN jsonb_build_object('tokenId', t.id, 'token', t.token,
                              'shared', shared);
END
$$;


-- Nobody waits for it any more: the outcome after all, or NULL, and then no
-- code will be made.

CREATE OR REPLACE FUNCTION iot.keycode_cancel(job uuid) RETURNS json
LANGUAGE plpgsql SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
BEGIN
    DELETE FROM iot.job t
     WHERE t.id = keycode_cancel.job AND t.kind = 'keycode'
           AND t.state IN ('QUEUED', 'RUNNING');

    RETURN iot.job_outcome(job);
END
$$;


-- A code that an external generator has made.

CREATE OR REPLACE FUNCTION iot.keycode_external(p iot.principal, device uuid,
    body json, token text) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
DECLARE
    d     iot.device;
    made  iot.payg_token;
    r     record;
    t     iot.payg_token;
BEGIN
    SELECT * INTO d FROM iot.device x
     WHERE x.tenant_id = p.tenant_id AND x.id = keycode_external.device
       FOR NO KEY UPDATE;

    IF d.id IS NULL THEN
        PERFORM iot.fail_missing('Device', device);
    END IF;

    SELECT * INTO r FROM iot.keycode_request(body);

    t.request_id := iot.keycode_request_id(body);

    SELECT * INTO made FROM iot.payg_token x
     WHERE x.tenant_id = d.tenant_id AND x.device_id = d.id
           AND x.request_id = t.request_id;

    IF made.id IS NOT NULL THEN
        RETURN jsonb_build_object('tokenId', made.id, 'token', made.token);
    END IF;

    t.system := 'external';
    t.type := r.type;
    t.hours := CASE WHEN r.type IN ('add_credit', 'set_credit', 'unlock')
               THEN r.value END;
    t.token := keycode_external.token;

    RETURN iot.keycode_store(p, d, t);
END
$$;


REVOKE EXECUTE ON FUNCTION
    iot.keycode_take(uuid, uuid, integer),
    iot.keycode_put(uuid, uuid, integer, jsonb)
    FROM PUBLIC;

GRANT EXECUTE ON FUNCTION
    iot.keycode_take(uuid, uuid, integer),
    iot.keycode_put(uuid, uuid, integer, jsonb)
    TO iot_job;

SELECT iot.definer('iot.keycode_take',
    'the helpers have no rights on tables');
SELECT iot.definer('iot.keycode_put',
    'the helpers have no rights on tables');
SELECT iot.definer('iot.keycode_cancel',
    'called for a job that the endpoint itself has made');
SELECT iot.definer('iot.keycode_external',
    'called for a device of the caller that the endpoint has checked');
