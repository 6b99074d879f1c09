
--
-- Copyright (C) the ngx_iot authors
--
-- What the helpers call, in a role that may do nothing else.


-- Milliseconds until the next try: doubled each time, up to an hour, and by
-- chance up to half as much again, so that what failed together does not come
-- back together.

CREATE OR REPLACE FUNCTION iot.job_pause(attempt integer) RETURNS bigint
LANGUAGE plpgsql VOLATILE
AS $$
BEGIN
    RETURN LEAST(3600000, 2000 * 2 ^ LEAST(attempt, 20))
           * (1 + random() / 2);
END
$$;


-- Jobs whose helper has not been heard of are anybody's again.  Leases run on
-- while the database is down, though nobody can renew them: after its start
-- the helpers have that time once more.

CREATE OR REPLACE FUNCTION iot.job_recover(lease bigint) RETURNS integer
LANGUAGE plpgsql
AS $$
DECLARE
    n  integer;
BEGIN
    IF iot.now_ms() < extract(epoch FROM pg_postmaster_start_time()) * 1000
                      + lease
    THEN
        RETURN 0;
    END IF;

    UPDATE iot.job AS j
       SET state = CASE WHEN j.give_up_at <= iot.now_ms() THEN 'FAILED'
                   ELSE 'QUEUED' END,
           finished_time = CASE WHEN j.give_up_at <= iot.now_ms()
                           THEN iot.now_ms() END,
           error = 'The helper has ended while it was working on this',
           run_at = iot.now_ms() + CASE WHEN j.attempt > 1
                                   THEN iot.job_pause(j.attempt) ELSE 0 END,
           lease_until = NULL, helper_id = NULL
     WHERE j.ctid = ANY (ARRAY(
               SELECT x.ctid
                 FROM iot.job x
                WHERE x.state = 'RUNNING' AND x.lease_until < iot.now_ms()
                LIMIT 100
                  FOR UPDATE SKIP LOCKED));

    GET DIAGNOSTICS n = ROW_COUNT;

    RETURN n;
END
$$;


-- The next jobs of the kinds that the helper knows; it has them for lease ms
-- and then, with iot.helper_beat(), as long again.

CREATE OR REPLACE FUNCTION iot.job_claim(helper uuid, kinds text[],
    lease bigint, n integer)
RETURNS TABLE (id uuid, tenant uuid, kind text, attempt integer,
    created_time bigint, payload text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    PERFORM iot.job_recover(job_claim.lease);

    RETURN QUERY
    UPDATE iot.job AS j
       SET state = 'RUNNING', attempt = j.attempt + 1,
           helper_id = job_claim.helper,
           lease_until = iot.now_ms() + job_claim.lease
     WHERE j.ctid = ANY (ARRAY(
               SELECT x.ctid
                 FROM iot.job x
                WHERE x.state = 'QUEUED' AND x.run_at <= iot.now_ms()
                      AND x.kind = ANY (job_claim.kinds)
                ORDER BY x.rank, x.run_at
                LIMIT job_claim.n
                  FOR UPDATE SKIP LOCKED))
    RETURNING j.id, j.tenant_id, j.kind, j.attempt, j.created_time,
              j.payload::text;
END
$$;


-- In how many ms the next job is due, or a lease over; NULL: there is none.

CREATE OR REPLACE FUNCTION iot.job_next(kinds text[]) RETURNS bigint
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
BEGIN
    RETURN GREATEST(0, LEAST(
        (SELECT min(j.run_at)
           FROM iot.job j
          WHERE j.state = 'QUEUED' AND j.kind = ANY (kinds)),
        (SELECT min(j.lease_until)
           FROM iot.job j
          WHERE j.state = 'RUNNING')) - iot.now_ms());
END
$$;


-- The end of an attempt.  outcome: 'done'; 'retry' (later, or FAILED when the
-- time for it is over); 'failed' (no use in trying again); 'back' (not tried
-- at all: the helper ends).  false: the job is not this helper's any more.

CREATE OR REPLACE FUNCTION iot.job_end(helper uuid, job uuid, attempt integer,
    outcome text, result jsonb, error text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
DECLARE
    now_ms  CONSTANT bigint := iot.now_ms();
    pause   CONSTANT bigint := iot.job_pause(attempt);
    j       iot.job;
    over    boolean;
BEGIN
    SELECT * INTO j
      FROM iot.job t
     WHERE t.id = job_end.job AND t.state = 'RUNNING'
           AND t.helper_id = job_end.helper AND t.attempt = job_end.attempt
       FOR UPDATE;

    IF j.id IS NULL THEN
        RETURN false;
    END IF;

    over := outcome IN ('done', 'failed')
            OR outcome = 'retry' AND now_ms + pause >= j.give_up_at;

    UPDATE iot.job t
       SET state = CASE WHEN outcome = 'done' THEN 'COMPLETED'
                        WHEN over THEN 'FAILED'
                        ELSE 'QUEUED' END,
           attempt = j.attempt - (outcome = 'back')::integer,
           run_at = CASE WHEN outcome = 'retry' THEN now_ms + pause
                    ELSE now_ms END,
           finished_time = CASE WHEN over THEN now_ms END,
           lease_until = NULL, helper_id = NULL,
           result = job_end.result,
           error = left(job_end.error, 2000),
           -- what was sent is of no use any more
           payload = CASE WHEN outcome = 'done' THEN '{}' ELSE j.payload END
     WHERE t.tenant_id = j.tenant_id AND t.id = j.id;

    IF over THEN
        PERFORM pg_notify('iot', 'job ' || j.id);
    END IF;

    IF outcome = 'back' THEN
        PERFORM pg_notify('iot_job', j.kind);
    END IF;

    RETURN true;
END
$$;


-- Still there, and working on these jobs: their leases are renewed.

CREATE OR REPLACE FUNCTION iot.helper_beat(helper uuid, name text,
    lease bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
BEGIN
    INSERT INTO iot.helper AS h (id, name)
    VALUES (helper_beat.helper, helper_beat.name)
    ON CONFLICT ON CONSTRAINT helper_pkey DO UPDATE
       SET seen_at = iot.now_ms();

    UPDATE iot.job j
       SET lease_until = iot.now_ms() + helper_beat.lease
     WHERE j.state = 'RUNNING' AND j.helper_id = helper_beat.helper;
END
$$;


CREATE OR REPLACE FUNCTION iot.helper_gone(helper uuid) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
BEGIN
    DELETE FROM iot.helper h WHERE h.id = helper_gone.helper;
END
$$;


-- How many jobs are in which state, for the metrics of a helper.

CREATE OR REPLACE FUNCTION iot.job_counts() RETURNS json
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
BEGIN
    RETURN json_build_object(
        'queued', (SELECT count(*) FROM iot.job j WHERE j.state = 'QUEUED'),
        'running', (SELECT count(*) FROM iot.job j WHERE j.state = 'RUNNING'),
        'failed', (SELECT count(*) FROM iot.job j WHERE j.state = 'FAILED'),
        'oldest', (SELECT iot.now_ms() - min(j.run_at) FROM iot.job j
                    WHERE j.state = 'QUEUED' AND j.run_at <= iot.now_ms()));
END
$$;


-- Jobs that are over are kept for a while: those that went well a day, the
-- others thirty.

CREATE OR REPLACE FUNCTION iot.maintain_job(slice integer DEFAULT 2000)
RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = iot, pg_temp
AS $$
DECLARE
    n  integer;
BEGIN
    DELETE FROM iot.job
     WHERE ctid = ANY (ARRAY(
               SELECT j.ctid
                 FROM iot.job j
                WHERE j.state = 'COMPLETED'
                      AND j.finished_time < iot.now_ms() - 86400000::bigint
                          * (iot.setting_value(NULL, 'jobs.keepCompletedDays')
                             #>> '{}')::integer
                LIMIT slice));

    GET DIAGNOSTICS n = ROW_COUNT;

    DELETE FROM iot.job
     WHERE ctid = ANY (ARRAY(
               SELECT j.ctid
                 FROM iot.job j
                WHERE j.state = 'FAILED'
                      AND j.finished_time < iot.now_ms() - 86400000::bigint
                          * (iot.setting_value(NULL, 'jobs.keepFailedDays')
                             #>> '{}')::integer
                LIMIT slice));

    DELETE FROM iot.helper h WHERE h.seen_at < iot.now_ms() - 86400000;

    RETURN n;
END
$$;


REVOKE EXECUTE ON FUNCTION
    iot.job_recover(bigint),
    iot.job_claim(uuid, text[], bigint, integer),
    iot.job_next(text[]),
    iot.job_end(uuid, uuid, integer, text, jsonb, text),
    iot.helper_beat(uuid, text, bigint),
    iot.helper_gone(uuid),
    iot.job_counts()
    FROM PUBLIC;

GRANT EXECUTE ON FUNCTION
    iot.job_claim(uuid, text[], bigint, integer),
    iot.job_next(text[]),
    iot.job_end(uuid, uuid, integer, text, jsonb, text),
    iot.helper_beat(uuid, text, bigint),
    iot.helper_gone(uuid),
    iot.job_counts()
    TO iot_job;

SELECT iot.definer('iot.job_claim',
    'the helpers have no rights on tables');
SELECT iot.definer('iot.job_next',
    'the helpers have no rights on tables');
SELECT iot.definer('iot.job_end',
    'the helpers have no rights on tables');
SELECT iot.definer('iot.helper_beat',
    'the helpers have no rights on tables');
SELECT iot.definer('iot.helper_gone',
    'the helpers have no rights on tables');
SELECT iot.definer('iot.job_counts',
    'the helpers have no rights on tables');
SELECT iot.definer('iot.maintain_job',
    'forgets the jobs of all tenants');
