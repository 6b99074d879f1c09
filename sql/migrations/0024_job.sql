
--
-- Copyright (C) the ngx_iot authors
--
-- What the helpers have to do.  A job is written in the transaction that
-- causes it, so that what is rolled back sends nothing.
--
-- state: QUEUED (again and again, until it succeeds), RUNNING (until
-- lease_until a helper works on it), COMPLETED, FAILED (given up).  The zero
-- UUID stands for the system, so that the tenant can be in the key.


DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'iot_job')
    THEN
        CREATE ROLE iot_job NOLOGIN NOBYPASSRLS;
    END IF;
END
$$;

GRANT USAGE ON SCHEMA iot TO iot_job;


CREATE TABLE iot.job (
    tenant_id      uuid NOT NULL
                   DEFAULT '00000000-0000-0000-0000-000000000000',
    id             uuid NOT NULL DEFAULT iot.new_id(),
    created_time   bigint NOT NULL DEFAULT iot.now_ms(),
    kind           text NOT NULL,
    rank           smallint NOT NULL DEFAULT 1,
    dedupe         text,
    state          text NOT NULL DEFAULT 'QUEUED',
    attempt        integer NOT NULL DEFAULT 0,
    run_at         bigint NOT NULL DEFAULT iot.now_ms(),
    give_up_at     bigint NOT NULL,
    lease_until    bigint,
    helper_id      uuid,
    finished_time  bigint,
    about          text,
    error          text,
    result         jsonb,
    payload        jsonb NOT NULL,
    PRIMARY KEY (tenant_id, id),
    CHECK (state IN ('QUEUED', 'RUNNING', 'COMPLETED', 'FAILED'))
);

CREATE INDEX job_by_id ON iot.job (id);
CREATE INDEX job_by_tenant ON iot.job (tenant_id, created_time, id);
CREATE INDEX job_waiting ON iot.job (rank, run_at) WHERE state = 'QUEUED';
CREATE INDEX job_running ON iot.job (lease_until) WHERE state = 'RUNNING';
CREATE INDEX job_over ON iot.job (state, finished_time)
    WHERE state IN ('COMPLETED', 'FAILED');

CREATE UNIQUE INDEX job_dedupe ON iot.job (tenant_id, kind, dedupe)
    WHERE dedupe IS NOT NULL AND state IN ('QUEUED', 'RUNNING');


-- The helpers that live: each says so every few seconds.

CREATE TABLE iot.helper (
    id          uuid PRIMARY KEY,
    name        text NOT NULL,
    started_at  bigint NOT NULL DEFAULT iot.now_ms(),
    seen_at     bigint NOT NULL DEFAULT iot.now_ms()
);

GRANT SELECT ON iot.helper TO iot_app;


ALTER TABLE iot.job ENABLE ROW LEVEL SECURITY;

CREATE POLICY job_own ON iot.job
    USING (tenant_id = (SELECT iot.tenant()) OR (SELECT iot.is_system()));

-- The workers never see a payload: it may hold links and passwords.

GRANT SELECT (tenant_id, id, created_time, kind, dedupe, state, attempt,
              run_at, give_up_at, finished_time, about, error, result)
    ON iot.job TO iot_app;

GRANT UPDATE (state, run_at, give_up_at, finished_time) ON iot.job TO iot_app;
