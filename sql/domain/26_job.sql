
--
-- Copyright (C) the ngx_iot authors
--
-- Jobs: how a function asks a helper for something, and what an administrator
-- sees of it.  What the helpers themselves call is in 27_job_helper.sql.


-- A job for a tenant (NULL: of the system), done once the transaction of the
-- caller has been committed.
--
--   dedupe   a job of this tenant, kind and text that is not over yet is
--            returned instead of a second one
--   give_up  until then it is tried again
--
-- It runs as the owner, for a caller may be somebody without a tenant who
-- forgot his password.  Whoever calls it has checked the tenant.

CREATE OR REPLACE FUNCTION iot.job_add(tenant uuid, kind text, payload jsonb,
    dedupe text DEFAULT NULL, give_up interval DEFAULT '1 day') RETURNS uuid
LANGUAGE plpgsql SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
DECLARE
    owner  CONSTANT uuid := COALESCE(tenant,
                                '00000000-0000-0000-0000-000000000000');
    made   uuid;
BEGIN
    -- twice at most: the other one may come to its end in between
    FOR i IN 1 .. 10 LOOP
        INSERT INTO iot.job AS j (tenant_id, kind, payload, dedupe,
                                  give_up_at, rank, about)
        VALUES (owner, job_add.kind, job_add.payload, job_add.dedupe,
                iot.now_ms() + (extract(epoch FROM give_up) * 1000)::bigint,
                CASE WHEN job_add.kind IN ('mail', 'http', 'keycode') THEN 0
                     ELSE 1 END,
                iot.job_about(job_add.kind, job_add.payload))
        ON CONFLICT DO NOTHING
        RETURNING j.id INTO made;

        IF made IS NULL THEN
            SELECT j.id INTO made
              FROM iot.job j
             WHERE j.tenant_id = owner AND j.kind = job_add.kind
                   AND j.dedupe = job_add.dedupe
                   AND j.state IN ('QUEUED', 'RUNNING');
        END IF;

        EXIT WHEN made IS NOT NULL;
    END LOOP;

    PERFORM pg_notify('iot_job', job_add.kind);

    RETURN made;
END
$$;


-- A line for people that says what a job is about, without its secrets.

CREATE OR REPLACE FUNCTION iot.job_about(kind text, payload jsonb)
RETURNS text
LANGUAGE plpgsql IMMUTABLE
AS $$
BEGIN
    RETURN left(CASE kind
                WHEN 'keycode' THEN payload ->> 'type'
                WHEN 'mail' THEN concat_ws(' ', payload ->> 'template', 'to',
                                           payload ->> 'recipient')
                ELSE concat_ws(' ', payload ->> 'method',
                               substring(payload ->> 'url'
                                         FROM '^[a-z]+://[^/?#]*'))
                END, 255);
END
$$;


-- A mail from a template of the helper (conf/mail/); vars are its variables.

CREATE OR REPLACE FUNCTION iot.mail(tenant uuid, template text,
    recipient text, vars jsonb) RETURNS uuid
LANGUAGE plpgsql
AS $$
BEGIN
    IF recipient IS NULL OR length(recipient) > 320
       OR recipient !~ '^[^@[:space:][:cntrl:]<>]+@[^@[:space:][:cntrl:]<>]+$'
    THEN
        PERFORM iot.fail_request(
            format('Invalid email address format ''%s''!', recipient));
    END IF;

    -- what a tenant causes over its cap is not sent, which breaks nothing else

    IF tenant IS NOT NULL AND NOT iot.usage_mail(tenant) THEN
        RETURN NULL;
    END IF;

    RETURN iot.job_add(tenant, 'mail',
        jsonb_build_object('template', template, 'recipient', recipient,
                           'vars', COALESCE(vars, '{}')));
END
$$;


-- How a job ended, for a request that waits for it: NULL while it has not.

CREATE OR REPLACE FUNCTION iot.job_outcome(job uuid) RETURNS json
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
BEGIN
    RETURN (SELECT json_build_object(
                       'id', j.id,
                       'state', CASE j.state WHEN 'COMPLETED' THEN 'done'
                                ELSE 'failed' END,
                       'result', j.result,
                       'error', j.error)
              FROM iot.job j
             WHERE j.id = job_outcome.job
                   AND j.state IN ('COMPLETED', 'FAILED'));
END
$$;


-- What a waiting request asks for: the outcome; NULL: it is not over; "none":
-- no helper lives, and the job is taken back unless somebody else counts on
-- it.

CREATE OR REPLACE FUNCTION iot.job_wait(job uuid) RETURNS json
LANGUAGE plpgsql SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
DECLARE
    outcome  json := iot.job_outcome(job);
BEGIN
    IF outcome IS NOT NULL OR iot.helper_alive() THEN
        RETURN outcome;
    END IF;

    DELETE FROM iot.job j
     WHERE j.id = job_wait.job AND j.state = 'QUEUED' AND j.dedupe IS NULL;

    RETURN '"none"'::json;
END
$$;


-- Is there a helper that lives?

CREATE OR REPLACE FUNCTION iot.helper_alive() RETURNS boolean
LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN EXISTS (SELECT FROM iot.helper h
                    WHERE h.seen_at > iot.now_ms() - 30000);
END
$$;


-- The caller's own jobs; the administrator of the system sees all.

CREATE OR REPLACE VIEW iot.job_view WITH (security_invoker = true) AS
    SELECT j.tenant_id, j.id, j.created_time, j.kind, j.dedupe, j.state,
           j.attempt, j.run_at, j.give_up_at, j.finished_time, j.about,
           j.error, j.result
      FROM iot.job j;

GRANT SELECT ON iot.job_view TO iot_app;


CREATE OR REPLACE FUNCTION iot.job_get(p iot.principal, id uuid)
RETURNS iot.job_view
LANGUAGE plpgsql
AS $$
DECLARE
    r  iot.job_view;
BEGIN
    PERFORM iot.need_role(p, 'SYS_ADMIN', 'TENANT_ADMIN');

    SELECT * INTO r
      FROM iot.job_view j
     WHERE j.id = job_get.id
           AND (p.role = 'SYS_ADMIN' OR j.tenant_id = p.tenant_id);

    IF r.id IS NULL THEN
        PERFORM iot.fail_missing('Job', id);
    END IF;

    RETURN r;
END
$$;


-- Once more what was given up, for as long as it had at first.

CREATE OR REPLACE FUNCTION iot.job_retry(p iot.principal, id uuid)
RETURNS iot.job_view
LANGUAGE plpgsql
AS $$
DECLARE
    r  iot.job_view := iot.job_get(p, id);
BEGIN
    IF r.state = 'FAILED' THEN
        BEGIN
            UPDATE iot.job j
               SET state = 'QUEUED', run_at = iot.now_ms(),
                   finished_time = NULL,
                   give_up_at = iot.now_ms() + GREATEST(60000,
                                    j.give_up_at - j.created_time)
             WHERE j.tenant_id = r.tenant_id AND j.id = r.id
                   AND j.state = 'FAILED';

        EXCEPTION WHEN unique_violation THEN
            PERFORM iot.fail(409, 'conflict',
                'The same job is waiting already');
        END;

        PERFORM pg_notify('iot_job', r.kind);

    ELSIF r.state <> 'QUEUED' THEN
        PERFORM iot.fail(409, 'conflict', 'Only a failed job can be retried');

    ELSE
        UPDATE iot.job j
           SET run_at = iot.now_ms()
         WHERE j.tenant_id = r.tenant_id AND j.id = r.id
               AND j.state = 'QUEUED';

        PERFORM pg_notify('iot_job', r.kind);
    END IF;

    PERFORM iot.audit(p, 'JOB', r.id, r.kind, 'UPDATED',
                      data => json_build_object('retry', true));

    RETURN iot.job_get(p, id);
END
$$;


SELECT iot.definer('iot.job_add',
    'who asks may have no tenant yet');
SELECT iot.definer('iot.job_wait',
    'called for a job that the endpoint itself has made');
SELECT iot.definer('iot.job_outcome',
    'called for a job that the endpoint itself has made');
