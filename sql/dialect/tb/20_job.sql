
--
-- Copyright (C) the ngx_iot authors
--
-- /api/jobs and /api/job/...: what the helpers have to do, have done and have
-- given up.


CREATE OR REPLACE FUNCTION tb.job_out(j iot.job_view) RETURNS json
LANGUAGE sql STABLE
AS $$
    SELECT json_build_object(
        'id', tb.id('JOB', j.id),
        'createdTime', j.created_time,
        'tenantId',
            tb.id_or_none('TENANT', NULLIF(j.tenant_id,
                '00000000-0000-0000-0000-000000000000')),
        'type', j.kind,
        'key', j.dedupe,
        'status', j.state,
        'description', j.about,
        'attempts', j.attempt,
        'nextTime', CASE j.state WHEN 'QUEUED' THEN j.run_at END,
        'giveUpTime', j.give_up_at,
        'finishedTime', j.finished_time,
        'error', j.error)
$$;


CREATE OR REPLACE FUNCTION tb.jobs(p iot.principal, path text[], query json,
    body json) RETURNS json
LANGUAGE plpgsql
AS $$
DECLARE
    pg      iot.page := tb.page(query);
    states  text[] := tb.arg_list(query, 'statuses');
    kinds   text[] := tb.arg_list(query, 'types');
BEGIN
    PERFORM iot.enter(p);
    PERFORM iot.need_role(p, 'SYS_ADMIN', 'TENANT_ADMIN');

    IF pg.sort IS NULL THEN
        pg.sort := 'createdTime';
        pg.descending := tb.arg(query, 'sortOrder') IS DISTINCT FROM 'ASC';
    END IF;

    RETURN tb.list(pg, 'tb.job_out(j)',
        'iot.job_view AS j WHERE ($1[1] IS NULL OR j.tenant_id = $1[1]::uuid)'
        ' AND ($1[2] IS NULL OR j.state = ANY ($1[2]::text[]))'
        ' AND ($1[3] IS NULL OR j.kind = ANY ($1[3]::text[]))'
        ' AND ($2 IS NULL OR j.about ILIKE $2 OR j.error ILIKE $2)',
        '{"id":"j.id","createdTime":"j.created_time","type":"j.kind",
          "status":"j.state","attempts":"j.attempt",
          "finishedTime":"j.finished_time","description":"j.about"}',
        'j.id',
        CASE p.role WHEN 'TENANT_ADMIN' THEN p.tenant_id::text END,
        CASE WHEN cardinality(states) > 0 THEN states::text END,
        CASE WHEN cardinality(kinds) > 0 THEN kinds::text END);
END
$$;


CREATE OR REPLACE FUNCTION tb.job_get(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);

    RETURN tb.job_out(iot.job_get(p, tb.uuid(path[1])));
END
$$;


CREATE OR REPLACE FUNCTION tb.job_retry(p iot.principal, path text[],
    query json, body json) RETURNS json
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM iot.enter(p);

    RETURN tb.job_out(iot.job_retry(p, tb.uuid(path[1])));
END
$$;
