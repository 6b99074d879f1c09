
/*
 * Copyright (C) the ngx_iot authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "../core/ngx_iot_metrics.h"
#include "ngx_http_iot_module.h"
#include "ngx_http_iot_rate.h"
#include "ngx_http_iot_wait.h"


static ngx_http_iot_call_t *ngx_http_iot_call_create(ngx_http_request_t *r);
static ngx_int_t ngx_http_iot_call_early(ngx_http_iot_call_t *call,
    ngx_uint_t status, char *code, char *message);
static ngx_int_t ngx_http_iot_call_options(ngx_http_iot_call_t *call);
static void ngx_http_iot_call_cleanup(void *data);
static void ngx_http_iot_call_limit(ngx_http_iot_call_t *call);
static void ngx_http_iot_call_limited(ngx_http_iot_call_t *call,
    ngx_int_t rc);
static void ngx_http_iot_call_run(ngx_http_iot_call_t *call);
static void ngx_http_iot_call_defer(ngx_http_iot_call_t *call);
static ngx_int_t ngx_http_iot_call_path(ngx_http_iot_call_t *call,
    ngx_pool_t *pool, ngx_str_t *out);
static void ngx_http_iot_call_late(ngx_iot_db_call_t *db);
static void ngx_http_iot_call_sql_done(ngx_iot_db_call_t *db);
static void ngx_http_iot_call_db_done(ngx_iot_db_call_t *db);
static ngx_int_t ngx_http_iot_call_busy(ngx_http_iot_call_t *call);


static char  *ngx_http_iot_call_states[] = {
    "body",
    "auth",
    "limit",
    "handler",
    "sent",
    "answer",
    "done"
};


ngx_int_t
ngx_http_iot_call_start(ngx_http_request_t *r)
{
    ngx_int_t             rc;
    ngx_http_iot_call_t  *call;

    ngx_iot_count(requests_rest);

    rc = ngx_http_iot_cors_preflight(r);
    if (rc != NGX_DECLINED) {
        return rc;
    }

    call = ngx_http_iot_call_create(r);
    if (call == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_http_iot_router_find(ngx_http_iot_get_router(r, call->dialect),
                                  call);

    if (rc == NGX_DECLINED) {
        return ngx_http_iot_call_early(call, NGX_HTTP_BAD_REQUEST,
                                       "bad_request", "Invalid request path");
    }

    if (rc != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (r->method == NGX_HTTP_OPTIONS) {
        return ngx_http_iot_call_options(call);
    }

    if (call->route == NULL && call->allow) {
        return ngx_http_iot_call_early(call, NGX_HTTP_NOT_ALLOWED,
                                       "method_not_allowed",
                                       "Request method is not supported");
    }

    if (r->headers_in.content_length_n > call->dialect->body_limit(r)) {
        return ngx_http_iot_call_early(call,
                                       NGX_HTTP_REQUEST_ENTITY_TOO_LARGE,
                                       "too_large",
                                       "Payload size exceeds the limit");
    }

    return ngx_http_iot_body_read(call);
}


static ngx_http_iot_call_t *
ngx_http_iot_call_create(ngx_http_request_t *r)
{
    ngx_http_cleanup_t       *cln;
    ngx_http_iot_call_t      *call;
    ngx_http_iot_loc_conf_t  *ilcf;

    ilcf = ngx_http_get_module_loc_conf(r, ngx_http_iot_module);

    call = ngx_pcalloc(r->pool, sizeof(ngx_http_iot_call_t));
    if (call == NULL) {
        return NULL;
    }

    call->request = r;
    call->pool = r->pool;
    call->log = r->connection->log;
    call->dialect = ilcf->dialect;
    call->principal.role = NGX_IOT_PUBLIC;
    call->head = (r->method == NGX_HTTP_HEAD);

    if (ngx_http_iot_get_ctx(r) == NULL) {
        return NULL;
    }

    cln = ngx_http_cleanup_add(r, 0);
    if (cln == NULL) {
        return NULL;
    }

    cln->handler = ngx_http_iot_call_cleanup;
    cln->data = call;

    return call;
}


/* an answer before the body was read: nginx throws the body away */

static ngx_int_t
ngx_http_iot_call_early(ngx_http_iot_call_t *call, ngx_uint_t status,
    char *code, char *message)
{
    ngx_int_t            rc;
    ngx_http_request_t  *r;

    r = call->request;

    if (status == NGX_HTTP_REQUEST_ENTITY_TOO_LARGE) {
        r->keepalive = 0;
    }

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    r->main->count++;

    return ngx_http_iot_call_fail(call, status, code, message);
}


static ngx_int_t
ngx_http_iot_call_options(ngx_http_iot_call_t *call)
{
    ngx_int_t            rc;
    ngx_str_t            value;
    ngx_http_request_t  *r;

    r = call->request;

    if (call->allow == 0) {
        return ngx_http_iot_call_early(call, NGX_HTTP_NOT_FOUND, "not_found",
                                       "Requested item wasn't found!");
    }

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    if (ngx_http_iot_route_allow(call->allow, &value, r->pool) != NGX_OK
        || ngx_http_iot_add_header(r, "Allow", &value) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    r->main->count++;

    return ngx_http_iot_call_empty(call, NGX_HTTP_OK);
}


void
ngx_http_iot_call_set_state(ngx_http_iot_call_t *call, ngx_uint_t state)
{
    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, call->log, 0,
                   "http iot call: %s -> %s",
                   ngx_http_iot_call_states[call->state],
                   ngx_http_iot_call_states[state]);

    call->state = state;
}


static void
ngx_http_iot_call_cleanup(void *data)
{
    ngx_http_iot_call_t  *call = data;

    ngx_iot_db_call_t  *db;

    db = call->db;

    if (call->abort) {
        call->abort(call);
        call->abort = NULL;
    }

    if (call->auth) {
        ngx_iot_auth_abandon(call->auth);
        call->auth = NULL;
    }

    ngx_iot_rates_unwait(&call->rates_wait);

    if (db && !call->db_finished) {
        call->db = NULL;

        if (db->done == ngx_http_iot_call_sql_done
            && db->lane == NGX_IOT_DB_CALL)
        {
            /* it may have changed something that others wait for */

            db->data = NULL;
            db->done = ngx_http_iot_call_late;

        } else if (call->db_sent) {
            ngx_iot_db_abandon(db);

        } else {
            ngx_destroy_pool(db->pool);
        }
    }

    ngx_http_iot_call_set_state(call, ngx_http_iot_done_state);
}


void
ngx_http_iot_call_body_done(ngx_http_iot_call_t *call)
{
    ngx_int_t  rc;

    ngx_http_iot_call_set_state(call, ngx_http_iot_auth_state);

    if (call->route && (call->route->who & NGX_IOT_PUBLIC)) {
        ngx_http_iot_call_run(call);
        return;
    }

    rc = call->dialect->authenticate(call);

    switch (rc) {

    case NGX_OK:
        call->error.status = 0;
        ngx_http_iot_call_authenticated(call);
        return;

    case NGX_AGAIN:
        ngx_http_iot_call_defer(call);
        return;

    default:
        if (call->error.status == 0) {
            ngx_iot_error_set(&call->error, NGX_HTTP_INTERNAL_SERVER_ERROR,
                              "general", "Internal server error");
        }

        ngx_http_iot_call_authenticated(call);
        return;
    }
}


void
ngx_http_iot_call_authenticated(ngx_http_iot_call_t *call)
{
    ngx_iot_error_t  err;

    if (call->error.status) {
        (void) ngx_http_iot_call_err(call, &call->error);
        return;
    }

    ngx_http_iot_set_ctx(call->request, &call->principal);

    if (call->route == NULL) {
        (void) ngx_http_iot_call_fail(call, NGX_HTTP_NOT_FOUND, "not_found",
                                      "Requested item wasn't found!");
        return;
    }

    if (!(call->route->who & call->principal.role)) {
        ngx_memzero(&err, sizeof(ngx_iot_error_t));
        call->dialect->refuse(call, &err);
        (void) ngx_http_iot_call_err(call, &err);
        return;
    }

    ngx_http_iot_call_limit(call);
}


static void
ngx_http_iot_call_limit(ngx_http_iot_call_t *call)
{
    ngx_int_t  rc;

    ngx_http_iot_call_set_state(call, ngx_http_iot_limit_state);

    rc = ngx_http_iot_rate(call, ngx_http_iot_call_limited);

    if (rc == NGX_AGAIN) {
        ngx_http_iot_call_defer(call);
        return;
    }

    ngx_http_iot_call_limited(call, rc);
}


static void
ngx_http_iot_call_limited(ngx_http_iot_call_t *call, ngx_int_t rc)
{
    if (rc == NGX_OK) {
        ngx_http_iot_call_run(call);
        return;
    }

    (void) ngx_http_iot_call_err(call, &call->error);
}


static void
ngx_http_iot_call_run(ngx_http_iot_call_t *call)
{
    ngx_int_t  rc;

    ngx_http_iot_call_set_state(call, ngx_http_iot_handler_state);

    rc = ngx_http_iot_query_parse(call);

    if (rc == NGX_OK) {
        rc = ngx_http_iot_body_check(call);
    }

    if (rc == NGX_DECLINED) {
        (void) ngx_http_iot_call_err(call, &call->error);
        return;
    }

    if (rc != NGX_OK) {
        ngx_http_iot_call_finalize(call, NGX_HTTP_INTERNAL_SERVER_ERROR);
        return;
    }

    if (call->route->handler == NULL) {
        (void) ngx_http_iot_call_sql(call, NULL, NULL);
        return;
    }

    /*
     * a handler that does not wait has ended the call when it returns, and
     * the state is "done" while the count of the content phase still holds
     * the request; one that waits needs the client to be watched
     */

    call->request->main->count++;

    rc = call->route->handler(call);

    if (rc == NGX_ERROR && call->state < ngx_http_iot_answer_state) {
        (void) ngx_http_iot_call_fail(call, NGX_HTTP_INTERNAL_SERVER_ERROR,
                                      "general", "Internal server error");

    } else if (call->state < ngx_http_iot_answer_state) {
        ngx_http_iot_call_defer(call);
    }

    ngx_http_finalize_request(call->request, NGX_DONE);
}


/* from here on events drive the call, and nginx watches the client */

static void
ngx_http_iot_call_defer(ngx_http_iot_call_t *call)
{
    ngx_http_request_t  *r;

    r = call->request;

    call->deferred = 1;

    r->read_event_handler = ngx_http_test_reading;
    r->write_event_handler = ngx_http_request_empty_handler;
}


void
ngx_http_iot_call_finalize(ngx_http_iot_call_t *call, ngx_int_t rc)
{
    ngx_uint_t           deferred;
    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    r = call->request;
    c = r->connection;
    deferred = call->deferred;

    ngx_http_iot_call_set_state(call, ngx_http_iot_done_state);

    ngx_http_finalize_request(r, rc);

    if (deferred) {
        ngx_http_run_posted_requests(c);
    }
}


ngx_int_t
ngx_http_iot_call_sql(ngx_http_iot_call_t *call, ngx_iot_db_stmt_t *stmt,
    ngx_str_t *body)
{
    ngx_uint_t          lane, flags;
    ngx_iot_db_call_t  *db;

    flags = call->route->flags;

    if (flags & NGX_HTTP_IOT_STREAM) {
        lane = NGX_IOT_DB_SLOW;

    } else if (flags & NGX_HTTP_IOT_READ) {
        lane = NGX_IOT_DB_READ;

    } else {
        lane = NGX_IOT_DB_CALL;
    }

    db = ngx_iot_db_create(lane, stmt ? stmt : &call->route->stmt,
                           ngx_cycle->log);
    if (db == NULL) {
        goto failed;
    }

    if (ngx_http_iot_call_params(call, db, body ? body : &call->body)
        != NGX_OK)
    {
        ngx_destroy_pool(db->pool);
        goto failed;
    }

    db->data = call;

    if (flags & NGX_HTTP_IOT_STREAM) {
        db->row = ngx_http_iot_answer_row;
        db->done = ngx_http_iot_answer_stream_done;

    } else {
        db->done = ngx_http_iot_call_sql_done;
    }

    call->db = db;
    call->db_finished = 0;
    call->db_sent = 1;

    if (ngx_iot_db_send(db) != NGX_OK) {
        return ngx_http_iot_call_busy(call);
    }

    ngx_http_iot_call_set_state(call, ngx_http_iot_sent_state);
    ngx_http_iot_call_defer(call);

    return NGX_DONE;

failed:

    return ngx_http_iot_call_fail(call, NGX_HTTP_INTERNAL_SERVER_ERROR,
                                  "general", "Internal server error");
}


ngx_int_t
ngx_http_iot_call_sql_next(ngx_http_iot_call_t *call, ngx_str_t *body,
    ngx_http_iot_call_pt next)
{
    ngx_iot_db_call_t  *db;

    db = ngx_http_iot_call_db_create(call, NGX_IOT_DB_CALL,
                                     &call->route->stmt);

    if (db == NULL
        || ngx_http_iot_call_params(call, db, body ? body : &call->body)
           != NGX_OK)
    {
        return ngx_http_iot_call_fail(call, NGX_HTTP_INTERNAL_SERVER_ERROR,
                                      "general", "Internal server error");
    }

    return ngx_http_iot_call_db_send(call, next);
}


/* the call is still ours: say why, and forget it */

static ngx_int_t
ngx_http_iot_call_busy(ngx_http_iot_call_t *call)
{
    ngx_pool_t       *pool;
    ngx_iot_error_t   err;

    pool = call->db->pool;
    err = call->db->error;
    call->db = NULL;

    if (err.status == 0) {
        ngx_iot_error_set(&err, NGX_HTTP_SERVICE_UNAVAILABLE, "unavailable",
                          "Service is unavailable");
    }

    if (err.retry_after == 0) {
        err.retry_after = 1;
    }

    (void) ngx_http_iot_call_err(call, &err);

    ngx_destroy_pool(pool);

    return NGX_DONE;
}


/*
 * The four parameters go to the pool of the database call, which lives longer
 * than the request when the client leaves.
 */

ngx_int_t
ngx_http_iot_call_params(ngx_http_iot_call_t *call, ngx_iot_db_call_t *db,
    ngx_str_t *body)
{
    u_char     *p;
    ngx_str_t   text;

    if (ngx_iot_principal_text(&call->principal,
                               ngx_http_iot_call_address(call), &text,
                               db->pool)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_iot_db_param(db, text.data, text.len, 0);

    if (ngx_http_iot_call_path(call, db->pool, &text) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_iot_db_param(db, text.data, text.len, 0);

    if (ngx_http_iot_query_json(call, db->pool, &text) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_iot_db_param(db, text.data, text.len, 0);

    if (body->data == NULL) {
        ngx_iot_db_param(db, NULL, 0, 0);
        return NGX_OK;
    }

    p = ngx_pnalloc(db->pool, body->len + 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    *ngx_cpymem(p, body->data, body->len) = '\0';

    ngx_iot_db_param(db, p, body->len, 0);

    return NGX_OK;
}


/* an array literal of PostgreSQL: {"a","b"} */

static ngx_int_t
ngx_http_iot_call_path(ngx_http_iot_call_t *call, ngx_pool_t *pool,
    ngx_str_t *out)
{
    size_t       len, j;
    u_char      *p, ch;
    ngx_uint_t   i;

    len = sizeof("{}");

    for (i = 0; i < call->npath; i++) {
        len += 2 * call->path[i].len + sizeof("\"\",") - 1;
    }

    p = ngx_pnalloc(pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    out->data = p;

    *p++ = '{';

    for (i = 0; i < call->npath; i++) {

        if (i) {
            *p++ = ',';
        }

        *p++ = '"';

        for (j = 0; j < call->path[i].len; j++) {
            ch = call->path[i].data[j];

            if (ch == '"' || ch == '\\') {
                *p++ = '\\';
            }

            *p++ = ch;
        }

        *p++ = '"';
    }

    *p++ = '}';

    out->len = p - out->data;
    *p = '\0';

    return NGX_OK;
}


/* the client has gone, but not what was done for it */

static void
ngx_http_iot_call_late(ngx_iot_db_call_t *db)
{
    if (db->rc == NGX_OK) {
        ngx_http_iot_answer_publish(db->result, db->pool, db->log);
    }
}


static void
ngx_http_iot_call_sql_done(ngx_iot_db_call_t *db)
{
    ngx_http_iot_call_t  *call = db->data;

    PGresult  *res;

    call->db = NULL;

    if (db->rc != NGX_OK) {
        (void) ngx_http_iot_call_err(call, &db->error);
        return;
    }

    /* the answer points into the result, which goes with the request */

    res = db->result;
    db->result = NULL;

    ngx_http_iot_answer_publish(res, call->pool, call->log);

    if (ngx_http_iot_wait(call, res) != NGX_DECLINED) {
        return;
    }

    (void) ngx_http_iot_call_result(call, res);
}


ngx_iot_db_call_t *
ngx_http_iot_call_db_create(ngx_http_iot_call_t *call, ngx_uint_t lane,
    ngx_iot_db_stmt_t *stmt)
{
    ngx_iot_db_call_t  *db;

    db = ngx_iot_db_create(lane, stmt, ngx_cycle->log);
    if (db == NULL) {
        return NULL;
    }

    db->data = call;
    db->done = ngx_http_iot_call_db_done;

    call->db = db;
    call->db_finished = 0;
    call->db_sent = 0;

    return db;
}


ngx_int_t
ngx_http_iot_call_db_send(ngx_http_iot_call_t *call, ngx_http_iot_call_pt next)
{
    call->next = next;
    call->db_sent = 1;

    if (ngx_iot_db_send(call->db) != NGX_OK) {
        return ngx_http_iot_call_busy(call);
    }

    ngx_http_iot_call_defer(call);

    return NGX_DONE;
}


static void
ngx_http_iot_call_db_done(ngx_iot_db_call_t *db)
{
    ngx_http_iot_call_t  *call = db->data;

    call->db_finished = 1;

    call->next(call);
}


ngx_int_t
ngx_http_iot_call_arg(ngx_http_iot_call_t *call, ngx_str_t *name,
    ngx_str_t *value)
{
    ngx_uint_t      i;
    ngx_keyval_t   *arg;

    if (call->args == NULL) {
        return NGX_DECLINED;
    }

    arg = call->args->elts;

    for (i = 0; i < call->args->nelts; i++) {
        if (arg[i].key.len == name->len
            && ngx_memcmp(arg[i].key.data, name->data, name->len) == 0)
        {
            *value = arg[i].value;
            return NGX_OK;
        }
    }

    return NGX_DECLINED;
}


ngx_str_t *
ngx_http_iot_call_address(ngx_http_iot_call_t *call)
{
    return &call->request->connection->addr_text;
}


ngx_int_t
ngx_http_iot_call_header(ngx_http_iot_call_t *call, char *name,
    ngx_str_t *value)
{
    ngx_table_elt_t  *h;

    h = ngx_http_iot_find_header(call->request, name);

    if (h == NULL) {
        return NGX_DECLINED;
    }

    *value = h->value;

    return NGX_OK;
}
