
/*
 * Copyright (C) the ngx_iot authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "../codec/ngx_iot_id.h"
#include "../codec/ngx_iot_json.h"
#include "ngx_http_iot_module.h"
#include "ngx_http_iot_wait.h"


#define NGX_HTTP_IOT_WAITS         1000     /* of one worker */
#define NGX_HTTP_IOT_WAIT_THEN     64       /* functions to go on with */
#define NGX_HTTP_IOT_WAIT_DEFAULT  10000
#define NGX_HTTP_IOT_WAIT_MAX      120000


/*
 * asking -> asleep -> asking ... -> over
 *
 * It asks the database once at the beginning, for the job may have ended
 * before, and again when it is notified or its time is up.
 */

typedef struct {
    ngx_queue_t                queue;
    ngx_http_iot_call_t       *call;
    ngx_event_t                timer;
    ngx_iot_db_stmt_t         *then;
    ngx_str_t                  job;
    unsigned                   asking:1;
    unsigned                   told:1;      /* while it was asking */
    unsigned                   late:1;
    unsigned                   over:1;
} ngx_http_iot_wait_t;


typedef struct {
    ngx_str_t                  name;
    ngx_iot_db_stmt_t          stmt;
} ngx_http_iot_then_t;


static ngx_int_t ngx_http_iot_wait_init(void);
static ngx_int_t ngx_http_iot_wait_fields(ngx_http_iot_call_t *call,
    PGresult *res, ngx_iot_json_field_t *fields);
static ngx_http_iot_wait_t *ngx_http_iot_wait_create(
    ngx_http_iot_call_t *call, ngx_iot_json_field_t *fields);
static ngx_iot_db_stmt_t *ngx_http_iot_wait_then(ngx_str_t *name);
static void ngx_http_iot_wait_cleanup(void *data);
static void ngx_http_iot_wait_end(ngx_http_iot_wait_t *wait);
static void ngx_http_iot_wait_notify(ngx_str_t *what, ngx_str_t *id);
static void ngx_http_iot_wait_timer(ngx_event_t *ev);
static void ngx_http_iot_wait_ask(ngx_http_iot_wait_t *wait);
static void ngx_http_iot_wait_asked(ngx_http_iot_call_t *call);
static void ngx_http_iot_wait_go_on(ngx_http_iot_wait_t *wait,
    ngx_str_t *outcome);


static ngx_queue_t          ngx_http_iot_waits;
static ngx_uint_t           ngx_http_iot_nwaits;
static ngx_uint_t           ngx_http_iot_waits_ready;

static ngx_http_iot_then_t  ngx_http_iot_thens[NGX_HTTP_IOT_WAIT_THEN];
static ngx_uint_t           ngx_http_iot_nthens;

static ngx_iot_db_stmt_t    ngx_http_iot_wait_stmt =
    ngx_iot_db_stmt("SELECT iot.job_wait($1::uuid)");


/* with the first one of a worker */

static ngx_int_t
ngx_http_iot_wait_init(void)
{
    if (ngx_http_iot_waits_ready) {
        return NGX_OK;
    }

    ngx_queue_init(&ngx_http_iot_waits);

    if (ngx_iot_db_on_notify(ngx_http_iot_wait_notify) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_http_iot_waits_ready = 1;

    return NGX_OK;
}


ngx_int_t
ngx_http_iot_wait(ngx_http_iot_call_t *call, PGresult *res)
{
    ngx_int_t              rc;
    ngx_iot_error_t        err;
    ngx_http_iot_wait_t   *wait;
    ngx_iot_json_field_t   fields[3];

    rc = ngx_http_iot_wait_fields(call, res, fields);

    if (rc != NGX_OK) {
        return rc;
    }

    if (ngx_http_iot_nwaits >= NGX_HTTP_IOT_WAITS) {
        PQclear(res);

        ngx_iot_error_set(&err, NGX_HTTP_SERVICE_UNAVAILABLE, "unavailable",
                          "Too many requests are waiting");
        err.retry_after = 1;

        (void) ngx_http_iot_call_err(call, &err);

        return NGX_DONE;
    }

    wait = ngx_http_iot_wait_create(call, fields);

    PQclear(res);

    if (wait == NULL) {
        (void) ngx_http_iot_call_fail(call, NGX_HTTP_INTERNAL_SERVER_ERROR,
                                      "general", "Internal server error");
        return NGX_DONE;
    }

    ngx_http_iot_wait_ask(wait);

    return NGX_OK;
}


static ngx_int_t
ngx_http_iot_wait_fields(ngx_http_iot_call_t *call, PGresult *res,
    ngx_iot_json_field_t *fields)
{
    ngx_str_t        headers;
    ngx_iot_alloc_t  alloc;

    if (PQnfields(res) != 3 || PQntuples(res) != 1 || PQgetisnull(res, 0, 1)) {
        return NGX_DECLINED;
    }

    headers.data = (u_char *) PQgetvalue(res, 0, 1);
    headers.len = PQgetlength(res, 0, 1);

    /* nearly all answers */

    if (ngx_strstr(headers.data, "\"@wait\"") == NULL) {
        return NGX_DECLINED;
    }

    alloc.alloc = ngx_http_iot_alloc;
    alloc.data = call->pool;

    ngx_memzero(fields, 3 * sizeof(ngx_iot_json_field_t));
    ngx_str_set(&fields[0].name, "@wait");
    ngx_str_set(&fields[1].name, "@then");
    ngx_str_set(&fields[2].name, "@timeout");

    if (ngx_iot_json_fields(&headers, &alloc, NGX_IOT_JSON_MAX_DEPTH, fields,
                            3, NULL)
        != NGX_OK
        || fields[0].token != NGX_IOT_JSON_STRING)
    {
        return NGX_DECLINED;
    }

    return NGX_OK;
}


static ngx_http_iot_wait_t *
ngx_http_iot_wait_create(ngx_http_iot_call_t *call,
    ngx_iot_json_field_t *fields)
{
    u_char                uuid[NGX_IOT_UUID_SIZE];
    ngx_int_t             timeout;
    ngx_pool_cleanup_t   *cln;
    ngx_http_iot_wait_t  *wait;

    if (fields[1].token != NGX_IOT_JSON_STRING
        || ngx_iot_uuid_parse(uuid, fields[0].text.data, fields[0].text.len)
           != NGX_OK
        || ngx_http_iot_wait_init() != NGX_OK)
    {
        goto invalid;
    }

    timeout = NGX_HTTP_IOT_WAIT_DEFAULT;

    if (fields[2].token != NGX_IOT_JSON_END) {
        timeout = ngx_atoi(fields[2].text.data, fields[2].text.len);

        if (timeout < 1) {
            goto invalid;
        }
    }

    wait = ngx_pcalloc(call->pool, sizeof(ngx_http_iot_wait_t));
    if (wait == NULL) {
        return NULL;
    }

    wait->then = ngx_http_iot_wait_then(&fields[1].text);
    if (wait->then == NULL) {
        goto invalid;
    }

    /* in the form of the notifications, and not in the result */

    wait->job.len = NGX_IOT_UUID_LEN;
    wait->job.data = ngx_pnalloc(call->pool, NGX_IOT_UUID_LEN + 1);
    cln = ngx_pool_cleanup_add(call->pool, 0);

    if (wait->job.data == NULL || cln == NULL) {
        return NULL;
    }

    *ngx_iot_uuid_text(wait->job.data, uuid) = '\0';

    wait->call = call;

    wait->timer.handler = ngx_http_iot_wait_timer;
    wait->timer.data = wait;
    wait->timer.log = call->log;

    cln->handler = ngx_http_iot_wait_cleanup;
    cln->data = wait;

    ngx_queue_insert_tail(&ngx_http_iot_waits, &wait->queue);
    ngx_http_iot_nwaits++;

    call->ctx = wait;

    ngx_add_timer(&wait->timer,
                  ngx_min((ngx_msec_t) timeout, NGX_HTTP_IOT_WAIT_MAX));

    return wait;

invalid:

    ngx_log_error(NGX_LOG_ERR, call->log, 0,
                  "\"%s\" waits for a job in a wrong way",
                  call->route->function);

    return NULL;
}


/*
 * Statements are numbered for the life of a worker, so each function gets one
 * statement, whoever asks for it.
 */

static ngx_iot_db_stmt_t *
ngx_http_iot_wait_then(ngx_str_t *name)
{
    size_t                len;
    u_char               *p;
    ngx_uint_t            i;
    ngx_http_iot_then_t  *then;

    for (i = 0; i < ngx_http_iot_nthens; i++) {
        then = &ngx_http_iot_thens[i];

        if (then->name.len == name->len
            && ngx_memcmp(then->name.data, name->data, name->len) == 0)
        {
            return &then->stmt;
        }
    }

    for (i = 0; i < name->len; i++) {
        if ((name->data[i] < 'a' || name->data[i] > 'z')
            && (name->data[i] < '0' || name->data[i] > '9')
            && name->data[i] != '_' && name->data[i] != '.')
        {
            return NULL;
        }
    }

    if (ngx_http_iot_nthens == NGX_HTTP_IOT_WAIT_THEN || name->len > 64) {
        return NULL;
    }

    then = &ngx_http_iot_thens[ngx_http_iot_nthens];

    len = sizeof("SELECT * FROM "
                 "($1::iot.principal,$2::text[],$3::json,$4::json)")
          + name->len;

    p = ngx_pnalloc(ngx_cycle->pool, len);
    if (p == NULL) {
        return NULL;
    }

    then->name.data = ngx_pstrdup(ngx_cycle->pool, name);
    if (then->name.data == NULL) {
        return NULL;
    }

    then->name.len = name->len;
    then->stmt.text.data = p;

    p = ngx_sprintf(p, "SELECT * FROM %V"
                    "($1::iot.principal,$2::text[],$3::json,$4::json)", name);

    then->stmt.text.len = p - then->stmt.text.data;
    *p = '\0';

    ngx_http_iot_nthens++;

    return &then->stmt;
}


/* the request goes: answered, or its client has left */

static void
ngx_http_iot_wait_cleanup(void *data)
{
    ngx_http_iot_wait_end(data);
}


static void
ngx_http_iot_wait_end(ngx_http_iot_wait_t *wait)
{
    if (wait->over) {
        return;
    }

    wait->over = 1;

    ngx_queue_remove(&wait->queue);
    ngx_http_iot_nwaits--;

    if (wait->timer.timer_set) {
        ngx_del_timer(&wait->timer);
    }

    if (wait->timer.posted) {
        ngx_delete_posted_event(&wait->timer);
    }
}


static void
ngx_http_iot_wait_notify(ngx_str_t *what, ngx_str_t *id)
{
    ngx_uint_t            reset;
    ngx_queue_t          *q, *next;
    ngx_http_iot_wait_t  *wait;

    reset = (what->len == sizeof("reset") - 1
             && ngx_strncmp(what->data, "reset", what->len) == 0);

    if (!reset
        && (what->len != sizeof("job") - 1
            || ngx_strncmp(what->data, "job", what->len) != 0))
    {
        return;
    }

    for (q = ngx_queue_head(&ngx_http_iot_waits);
         q != ngx_queue_sentinel(&ngx_http_iot_waits);
         q = next)
    {
        next = ngx_queue_next(q);
        wait = ngx_queue_data(q, ngx_http_iot_wait_t, queue);

        if (reset
            || (id->len == wait->job.len
                && ngx_memcmp(id->data, wait->job.data, id->len) == 0))
        {
            /* from the event loop: what reads notifications is not done yet */

            wait->told = 1;

            if (!wait->asking) {
                ngx_post_event(&wait->timer, &ngx_posted_events);
            }
        }
    }
}


static void
ngx_http_iot_wait_timer(ngx_event_t *ev)
{
    ngx_http_iot_wait_t *wait = ev->data;

    if (ev->timedout) {
        ev->timedout = 0;
        wait->late = 1;
    }

    if (wait->over || wait->asking) {
        return;
    }

    ngx_http_iot_wait_ask(wait);
}


static void
ngx_http_iot_wait_ask(ngx_http_iot_wait_t *wait)
{
    ngx_iot_db_call_t    *db;
    ngx_http_iot_call_t  *call;

    call = wait->call;

    if (call->state >= ngx_http_iot_answer_state) {
        return;
    }

    wait->asking = 1;
    wait->told = 0;

    db = ngx_http_iot_call_db_create(call, NGX_IOT_DB_CALL,
                                     &ngx_http_iot_wait_stmt);

    if (db == NULL) {
        ngx_http_iot_wait_end(wait);
        (void) ngx_http_iot_call_fail(call, NGX_HTTP_INTERNAL_SERVER_ERROR,
                                      "general", "Internal server error");
        return;
    }

    ngx_iot_db_param(db, wait->job.data, wait->job.len, 0);

    (void) ngx_http_iot_call_db_send(call, ngx_http_iot_wait_asked);
}


static void
ngx_http_iot_wait_asked(ngx_http_iot_call_t *call)
{
    ngx_str_t             outcome;
    PGresult             *res;
    ngx_iot_error_t       err;
    ngx_http_iot_wait_t  *wait;

    wait = call->ctx;
    wait->asking = 0;

    if (call->db->rc != NGX_OK) {
        ngx_http_iot_wait_end(wait);
        err = call->db->error;
        (void) ngx_http_iot_call_err(call, &err);
        return;
    }

    res = call->db->result;

    if (PQntuples(res) == 1 && !PQgetisnull(res, 0, 0)) {

        outcome.len = PQgetlength(res, 0, 0);
        outcome.data = ngx_pnalloc(call->pool, outcome.len + 1);

        if (outcome.data == NULL) {
            ngx_http_iot_wait_end(wait);
            (void) ngx_http_iot_call_fail(call,
                                          NGX_HTTP_INTERNAL_SERVER_ERROR,
                                          "general", "Internal server error");
            return;
        }

        ngx_memcpy(outcome.data, PQgetvalue(res, 0, 0), outcome.len + 1);

        if (outcome.len == sizeof("\"none\"") - 1
            && ngx_strncmp(outcome.data, "\"none\"", outcome.len) == 0)
        {
            ngx_http_iot_wait_end(wait);

            ngx_iot_error_set(&err, NGX_HTTP_SERVICE_UNAVAILABLE,
                              "unavailable", "No helper is running");
            err.retry_after = 10;

            (void) ngx_http_iot_call_err(call, &err);
            return;
        }

        ngx_http_iot_wait_go_on(wait, &outcome);

        return;
    }

    if (wait->late) {
        ngx_str_null(&outcome);
        ngx_http_iot_wait_go_on(wait, &outcome);
        return;
    }

    if (wait->told) {
        ngx_http_iot_wait_ask(wait);
    }
}


/* outcome: JSON; NULL: the time is up */

static void
ngx_http_iot_wait_go_on(ngx_http_iot_wait_t *wait, ngx_str_t *outcome)
{
    u_char               *p;
    ngx_str_t             body;
    ngx_http_iot_call_t  *call;

    call = wait->call;

    ngx_http_iot_wait_end(wait);

    body.data = ngx_pnalloc(call->pool, call->body.len + outcome->len
                            + wait->job.len
                            + sizeof("{\"body\":null,\"job\":{\"id\":\"\","
                                     "\"state\":\"timeout\"}}"));

    if (body.data == NULL) {
        (void) ngx_http_iot_call_fail(call, NGX_HTTP_INTERNAL_SERVER_ERROR,
                                      "general", "Internal server error");
        return;
    }

    p = ngx_cpymem(body.data, "{\"body\":", sizeof("{\"body\":") - 1);

    if (call->body.data && call->body.len) {
        p = ngx_cpymem(p, call->body.data, call->body.len);

    } else {
        p = ngx_cpymem(p, "null", 4);
    }

    p = ngx_cpymem(p, ",\"job\":", sizeof(",\"job\":") - 1);

    if (outcome->data) {
        p = ngx_cpymem(p, outcome->data, outcome->len);

    } else {
        p = ngx_sprintf(p, "{\"id\":\"%V\",\"state\":\"timeout\"}",
                        &wait->job);
    }

    *p++ = '}';

    body.len = p - body.data;

    (void) ngx_http_iot_call_sql(call, wait->then, &body);
}
