
/*
 * Copyright (C) the ngx_iot authors
 */


#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>

#include "ngx_iot_helper_db.h"
#include "ngx_iot_helper_job.h"


static void ngx_iot_helper_begin(ngx_iot_helper_t *helper, PGresult *res,
    int row);
static void ngx_iot_helper_kinds(char *text, size_t size);
static void ngx_iot_helper_transfers(ngx_iot_helper_t *helper);
static void ngx_iot_helper_over(ngx_iot_helper_job_t *job);
static ngx_int_t ngx_iot_helper_tell(ngx_iot_helper_job_t *job);
static void ngx_iot_helper_free(ngx_iot_helper_job_t *job);
static int64_t ngx_iot_helper_next(ngx_iot_helper_t *helper);


/* another kind of job is another row */

static const ngx_iot_helper_kind_t *const  ngx_iot_helper_all[] = {
    &ngx_iot_helper_mail_kind,
    &ngx_iot_helper_http_kind,
    &ngx_iot_helper_webhook_kind,
    &ngx_iot_helper_keycode_kind
};

#define NGX_IOT_HELPER_KINDS                                                  \
    (sizeof(ngx_iot_helper_all) / sizeof(ngx_iot_helper_all[0]))


static const char *const  ngx_iot_helper_outcomes[] = {
    "done",
    "retry",
    "failed",
    "back"
};


static void
ngx_iot_helper_kinds(char *text, size_t size)
{
    size_t      len;
    ngx_uint_t  i;

    len = 0;

    for (i = 0; i < NGX_IOT_HELPER_KINDS; i++) {
        len += snprintf(text + len, size - len, "%c%s", i ? ',' : '{',
                        ngx_iot_helper_all[i]->name);
    }

    (void) snprintf(text + len, size - len, "}");
}


void
ngx_iot_helper_claim(ngx_iot_helper_t *helper)
{
    int         i, rows;
    char        kinds[256], lease[32], room[32];
    PGresult   *res;
    const char  *values[4];

    helper->notified = 0;

    if (helper->running >= helper->max_jobs) {
        helper->claim_at = INT64_MAX;
        return;
    }

    ngx_iot_helper_kinds(kinds, sizeof(kinds));
    (void) snprintf(lease, sizeof(lease), "%lld", (long long) helper->lease);
    (void) snprintf(room, sizeof(room), "%u",
                    helper->max_jobs - helper->running);

    values[0] = helper->id;
    values[1] = kinds;
    values[2] = lease;
    values[3] = room;

    res = ngx_iot_helper_query(helper,
              "SELECT id, tenant, kind, attempt, created_time, payload "
              "FROM iot.job_claim($1, $2, $3, $4)", 4, values);

    if (res == NULL) {
        helper->claim_at = ngx_iot_helper_now() + 1000;
        return;
    }

    rows = PQntuples(res);

    for (i = 0; i < rows; i++) {
        ngx_iot_helper_begin(helper, res, i);
    }

    PQclear(res);

    helper->claim_at = rows ? 0 : ngx_iot_helper_next(helper);
}


/* when the next job is due; others are announced */

static int64_t
ngx_iot_helper_next(ngx_iot_helper_t *helper)
{
    char                   *text, kinds[256];
    int64_t                 wait;
    const char             *values[1];
    ngx_iot_helper_pool_t   pool;

    ngx_iot_helper_kinds(kinds, sizeof(kinds));
    values[0] = kinds;
    pool.chunks = NULL;

    text = ngx_iot_helper_query_text(helper, &pool,
                                     "SELECT iot.job_next($1)", 1, values);

    wait = (text == NULL) ? 5000 : strtoll(text, NULL, 10);

    ngx_iot_helper_pool_free(&pool);

    /* what is due already and was not given is another helper's just now */

    if (wait < 200) {
        wait = 200;
    }

    return ngx_iot_helper_now() + (wait < 5000 ? wait : 5000);
}


static void
ngx_iot_helper_begin(ngx_iot_helper_t *helper, PGresult *res, int row)
{
    ngx_uint_t             i;
    ngx_iot_helper_job_t  *job;

    job = calloc(1, sizeof(ngx_iot_helper_job_t));

    if (job == NULL) {
        /* its lease will run out, and somebody else will take it */
        ngx_iot_helper_log("no memory for a job");
        return;
    }

    job->helper = helper;
    job->fd = -1;
    (void) snprintf(job->id, sizeof(job->id), "%s", PQgetvalue(res, row, 0));
    (void) snprintf(job->tenant, sizeof(job->tenant), "%s",
                    PQgetvalue(res, row, 1));
    job->attempt = (int) strtol(PQgetvalue(res, row, 3), NULL, 10);
    job->created = strtoll(PQgetvalue(res, row, 4), NULL, 10) / 1000;
    job->payload = json_loads(PQgetvalue(res, row, 5), 0, NULL);

    ngx_iot_helper_buf_init(&job->body, &job->pool, 0);
    ngx_iot_helper_buf_init(&job->answer, &job->pool, 0);

    job->next = helper->jobs;
    helper->jobs = job;
    helper->running++;

    for (i = 0; i < NGX_IOT_HELPER_KINDS; i++) {
        if (strcmp(ngx_iot_helper_all[i]->name, PQgetvalue(res, row, 2)) == 0)
        {
            job->kind = ngx_iot_helper_all[i];
        }
    }

    if (job->kind == NULL || !json_is_object(job->payload)) {
        ngx_iot_helper_end(job, NGX_IOT_HELPER_FAILED,
                           "the payload is no object");
        ngx_iot_helper_over(job);
        return;
    }

    if (job->kind->start(job) == NGX_OK) {
        ngx_iot_helper_over(job);
        return;
    }

    if (job->easy
        && curl_multi_add_handle(helper->multi, job->easy) != CURLM_OK)
    {
        ngx_iot_helper_end(job, NGX_IOT_HELPER_RETRY, "no memory");
        ngx_iot_helper_over(job);
    }
}


static void
ngx_iot_helper_over(ngx_iot_helper_job_t *job)
{
    ngx_iot_helper_t  *helper;

    if (job->over) {
        return;
    }

    helper = job->helper;
    job->over = 1;
    helper->running--;
    helper->unsaid++;
    helper->claim_at = 0;

    if (job->easy) {
        (void) curl_multi_remove_handle(helper->multi, job->easy);
        curl_easy_cleanup(job->easy);
        job->easy = NULL;
    }

    if (job->outcome == NGX_IOT_HELPER_RETRY
        || job->outcome == NGX_IOT_HELPER_FAILED)
    {
        ngx_iot_helper_log("job %s (%s), attempt %d: %s", job->id,
                           job->kind ? job->kind->name : "?", job->attempt,
                           job->error);
    }
}


void
ngx_iot_helper_end(ngx_iot_helper_job_t *job,
    ngx_iot_helper_outcome_e outcome, const char *fmt, ...)
{
    char     *p;
    va_list   args;

    job->outcome = outcome;

    va_start(args, fmt);
    (void) vsnprintf(job->error, sizeof(job->error), fmt, args);
    va_end(args);

    for (p = job->error; *p; p++) {
        if ((u_char) *p < ' ' || (u_char) *p > '~') {
            *p = (*p == '\r' || *p == '\n' || *p == '\t') ? ' ' : '?';
        }
    }
}


void
ngx_iot_helper_jobs(ngx_iot_helper_t *helper)
{
    ngx_iot_helper_job_t  *job, **link;

    ngx_iot_helper_transfers(helper);

    link = &helper->jobs;

    while (*link) {
        job = *link;

        if (!job->over || ngx_iot_helper_tell(job) != NGX_OK) {
            link = &job->next;
            continue;
        }

        *link = job->next;
        helper->unsaid--;
        ngx_iot_helper_free(job);
    }
}


static void
ngx_iot_helper_transfers(ngx_iot_helper_t *helper)
{
    int                    left, running;
    CURLMsg               *msg;
    ngx_iot_helper_job_t  *job;

    (void) curl_multi_perform(helper->multi, &running);

    for ( ;; ) {
        msg = curl_multi_info_read(helper->multi, &left);

        if (msg == NULL) {
            return;
        }

        if (msg->msg != CURLMSG_DONE) {
            continue;
        }

        job = NULL;
        (void) curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &job);

        if (job) {
            job->kind->done(job, msg->data.result);
            ngx_iot_helper_over(job);
        }
    }
}


static ngx_int_t
ngx_iot_helper_tell(ngx_iot_helper_job_t *job)
{
    char                    *answer, *result, attempt[16];
    const char              *values[6];
    ngx_iot_helper_t        *helper;
    ngx_iot_helper_counts_t *counts;

    helper = job->helper;
    counts = &helper->counts;

    if (job->told) {
        counts->done++;
        return NGX_OK;
    }

    if (helper->db_state != NGX_IOT_HELPER_DB_UP) {
        return NGX_AGAIN;
    }

    result = job->result ? json_dumps(job->result, JSON_COMPACT) : NULL;
    (void) snprintf(attempt, sizeof(attempt), "%d", job->attempt);

    values[0] = helper->id;
    values[1] = job->id;
    values[2] = attempt;
    values[3] = ngx_iot_helper_outcomes[job->outcome];
    values[4] = result;
    values[5] = (job->outcome == NGX_IOT_HELPER_DONE) ? NULL : job->error;

    answer = ngx_iot_helper_query_text(helper, &job->pool,
                 "SELECT iot.job_end($1, $2, $3, $4, $5, $6)", 6, values);

    free(result);

    if (answer == NULL) {

        if (helper->db_state != NGX_IOT_HELPER_DB_UP) {
            return NGX_AGAIN;
        }

        /* the database cannot take the result: it can take the error */

        if (job->result) {
            json_decref(job->result);
            job->result = NULL;
            ngx_iot_helper_end(job, NGX_IOT_HELPER_FAILED,
                               "the database refused the result");
        }

        return NGX_AGAIN;
    }

    if (answer[0] != 't') {
        counts->lost++;
        ngx_iot_helper_log("job %s: another helper has taken it over",
                           job->id);
        return NGX_OK;
    }

    switch (job->outcome) {

    case NGX_IOT_HELPER_DONE:
        counts->done++;
        break;

    case NGX_IOT_HELPER_FAILED:
        counts->failed++;
        break;

    case NGX_IOT_HELPER_RETRY:
        counts->retried++;
        break;

    case NGX_IOT_HELPER_BACK:
        break;
    }

    return NGX_OK;
}


static void
ngx_iot_helper_free(ngx_iot_helper_job_t *job)
{
    json_decref(job->payload);
    json_decref(job->result);
    json_decref(job->answer_headers);
    curl_slist_free_all(job->headers);
    curl_slist_free_all(job->recipients);
    ngx_iot_helper_pool_free(&job->pool);
    free(job);
}


void
ngx_iot_helper_give_back(ngx_iot_helper_t *helper)
{
    ngx_iot_helper_job_t  *job;

    for (job = helper->jobs; job; job = job->next) {
        if (!job->over) {

            /* libcurl would say good-bye and wait for an answer */

            if (job->fd != -1) {
                (void) shutdown(job->fd, SHUT_RDWR);
            }

            ngx_iot_helper_end(job, NGX_IOT_HELPER_BACK, "the helper ends");
            ngx_iot_helper_over(job);
        }
    }
}


const char *
ngx_iot_helper_arg(ngx_iot_helper_job_t *job, const char *name)
{
    return json_string_value(json_object_get(job->payload, name));
}


const char *
ngx_iot_helper_open(ngx_iot_helper_job_t *job, const char *text,
    const char *what)
{
    ngx_str_t        plain, sealed;
    ngx_iot_alloc_t  alloc;

    sealed.data = (u_char *) text;
    sealed.len = strlen(text);

    if (!ngx_iot_seal_is(&sealed, NGX_IOT_SEAL_HELPER)
        && !ngx_iot_seal_is(&sealed, NGX_IOT_SEAL_WORKER))
    {
        return text;
    }

    alloc.alloc = ngx_iot_helper_alloc;
    alloc.data = &job->pool;

    if (ngx_iot_seal_read(&job->helper->keys, &sealed, &alloc, &plain)
        != NGX_OK)
    {
        ngx_iot_helper_end(job, NGX_IOT_HELPER_RETRY,
                           "%s was sealed for another key: set it again",
                           what);
        return NULL;
    }

    return (const char *) plain.data;
}
