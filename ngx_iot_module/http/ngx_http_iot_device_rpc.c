
/*
 * Copyright (C) the ngx_iot authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "../codec/ngx_iot_json.h"
#include "../device/ngx_iot_rpc.h"
#include "ngx_http_iot_device.h"
#include "ngx_http_iot_module.h"
#include "ngx_http_iot_poll.h"


/*
 * A device answers a request, or asks something itself.  There are two
 * methods that the server knows; for others nobody answers, and the request
 * ends with its time.
 */

#define NGX_HTTP_IOT_RPC_TIMEOUT  60000
#define NGX_HTTP_IOT_RPC_DEPTH    64
#define NGX_HTTP_IOT_RPC_MAX_ID   0x7fffffff


typedef struct {
    void                       *dummy[3];   /* the debug log of timers reads */
    ngx_int_t                   ident;      /* data as a connection's */

    ngx_http_iot_device_ctx_t  *ctx;
    ngx_iot_rpc_answer_t        answer;
    ngx_event_t                 timer;
} ngx_http_iot_device_rpc_t;


static ngx_http_iot_device_rpc_t *ngx_http_iot_device_rpc_create(
    ngx_http_iot_device_ctx_t *ctx);
static ngx_int_t ngx_http_iot_device_rpc_id(ngx_http_request_t *r,
    uint32_t *id);
static void ngx_http_iot_device_rpc_answered(ngx_iot_rpc_answer_t *answer,
    ngx_int_t rc, ngx_iot_error_t *err);
static void ngx_http_iot_device_rpc_cleanup(void *data);
static ngx_int_t ngx_http_iot_device_rpc_time(
    ngx_http_iot_device_ctx_t *ctx);
static ngx_int_t ngx_http_iot_device_rpc_limits(
    ngx_http_iot_device_ctx_t *ctx);
static void ngx_http_iot_device_rpc_limits_done(ngx_iot_db_call_t *db);
static ngx_int_t ngx_http_iot_device_rpc_wait(
    ngx_http_iot_device_ctx_t *ctx);
static void ngx_http_iot_device_rpc_timeout(ngx_event_t *ev);
static void ngx_http_iot_device_rpc_end(ngx_http_iot_device_ctx_t *ctx,
    ngx_int_t rc);


static ngx_str_t  ngx_http_iot_device_rpc_json =
    ngx_string("application/json");


ngx_int_t
ngx_http_iot_device_rpc_answer(ngx_http_iot_device_ctx_t *ctx)
{
    ngx_int_t                   rc;
    ngx_iot_rpc_answer_t       *answer;
    ngx_http_iot_device_rpc_t  *rpc;

    static ngx_str_t  bad = ngx_string("Invalid request id");

    rpc = ngx_http_iot_device_rpc_create(ctx);
    if (rpc == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    answer = &rpc->answer;

    if (ngx_http_iot_device_rpc_id(ctx->request, &answer->id) != NGX_OK) {
        return ngx_http_iot_device_send(ctx, NGX_HTTP_BAD_REQUEST,
                                        &ngx_http_iot_device_text, &bad);
    }

    ngx_memcpy(answer->tenant, ctx->device->tenant, NGX_IOT_UUID_TEXT);
    ngx_memcpy(answer->device, ctx->device->id, NGX_IOT_UUID_TEXT);

    answer->body = ctx->body;
    answer->done = ngx_http_iot_device_rpc_answered;
    answer->data = rpc;

    rc = ngx_iot_rpc_answer(answer);

    if (rc == NGX_AGAIN) {
        return NGX_AGAIN;
    }

    return ngx_http_iot_device_unavailable(ctx, 1);
}


static ngx_http_iot_device_rpc_t *
ngx_http_iot_device_rpc_create(ngx_http_iot_device_ctx_t *ctx)
{
    ngx_pool_cleanup_t         *cln;
    ngx_http_iot_device_rpc_t  *rpc;

    cln = ngx_pool_cleanup_add(ctx->request->pool,
                               sizeof(ngx_http_iot_device_rpc_t));
    if (cln == NULL) {
        return NULL;
    }

    rpc = cln->data;
    ngx_memzero(rpc, sizeof(ngx_http_iot_device_rpc_t));

    rpc->ctx = ctx;
    cln->handler = ngx_http_iot_device_rpc_cleanup;

    return rpc;
}


/* the last segment of the path */

static ngx_int_t
ngx_http_iot_device_rpc_id(ngx_http_request_t *r, uint32_t *id)
{
    u_char     *p, *last;
    ngx_int_t   n;

    last = r->uri.data + r->uri.len;

    while (last > r->uri.data && last[-1] == '/') {
        last--;
    }

    p = last;

    while (p > r->uri.data && p[-1] != '/') {
        p--;
    }

    if (last - p > 10) {
        return NGX_DECLINED;
    }

    n = ngx_atoi(p, last - p);

    if (n == NGX_ERROR || n > NGX_HTTP_IOT_RPC_MAX_ID) {
        return NGX_DECLINED;
    }

    *id = (uint32_t) n;

    return NGX_OK;
}


static void
ngx_http_iot_device_rpc_answered(ngx_iot_rpc_answer_t *answer, ngx_int_t rc,
    ngx_iot_error_t *err)
{
    ngx_http_iot_device_rpc_t  *rpc;

    rpc = answer->data;

    if (rc == NGX_OK) {
        rc = ngx_http_iot_device_send(rpc->ctx, NGX_HTTP_OK, NULL, NULL);

    } else {
        rc = ngx_http_iot_device_error(rpc->ctx, err);
    }

    ngx_http_iot_device_rpc_end(rpc->ctx, rc);
}


static void
ngx_http_iot_device_rpc_cleanup(void *data)
{
    ngx_http_iot_device_rpc_t *rpc = data;

    if (rpc->answer.db) {
        ngx_iot_db_abandon(rpc->answer.db);
        rpc->answer.db = NULL;
    }

    if (rpc->timer.timer_set) {
        ngx_del_timer(&rpc->timer);
    }
}


ngx_int_t
ngx_http_iot_device_rpc(ngx_http_iot_device_ctx_t *ctx)
{
    ngx_int_t              rc;
    ngx_str_t             *method;
    ngx_iot_json_field_t   fields[2];

    static ngx_str_t  bad = ngx_string("Invalid request body");

    ctx->alloc.alloc = ngx_http_iot_device_alloc;
    ctx->alloc.data = ctx->request->pool;

    ngx_memzero(fields, sizeof(fields));

    ngx_str_set(&fields[0].name, "method");
    ngx_str_set(&fields[1].name, "params");

    rc = ngx_iot_json_fields(&ctx->body, &ctx->alloc, NGX_HTTP_IOT_RPC_DEPTH,
                             fields, 2, NULL);

    if (rc == NGX_ERROR) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (rc != NGX_OK || fields[0].token != NGX_IOT_JSON_STRING) {
        return ngx_http_iot_device_send(ctx, NGX_HTTP_BAD_REQUEST,
                                        &ngx_http_iot_device_text, &bad);
    }

    method = &fields[0].text;

    if (method->len == sizeof("getCurrentTime") - 1
        && ngx_strncmp(method->data, "getCurrentTime", method->len) == 0)
    {
        return ngx_http_iot_device_rpc_time(ctx);
    }

    if (method->len == sizeof("getSessionLimits") - 1
        && ngx_strncmp(method->data, "getSessionLimits", method->len) == 0)
    {
        return ngx_http_iot_device_rpc_limits(ctx);
    }

    return ngx_http_iot_device_rpc_wait(ctx);
}


static ngx_int_t
ngx_http_iot_device_rpc_time(ngx_http_iot_device_ctx_t *ctx)
{
    u_char      *p;
    ngx_str_t    body;
    ngx_time_t  *tp;

    p = ngx_pnalloc(ctx->request->pool, NGX_INT64_LEN);
    if (p == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    tp = ngx_timeofday();

    body.data = p;
    body.len = ngx_sprintf(p, "%L", (int64_t) tp->sec * 1000 + tp->msec) - p;

    return ngx_http_iot_device_send(ctx, NGX_HTTP_OK,
                                    &ngx_http_iot_device_rpc_json, &body);
}


static ngx_int_t
ngx_http_iot_device_rpc_limits(ngx_http_iot_device_ctx_t *ctx)
{
    ngx_str_t           text;
    ngx_iot_db_call_t  *db;

    db = ngx_iot_db_create(NGX_IOT_DB_CALL, &ngx_iot_rpc_limits_stmt,
                           ngx_cycle->log);
    if (db == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    db->data = ctx;
    db->done = ngx_http_iot_device_rpc_limits_done;

    text.data = ctx->device->tenant;
    text.len = NGX_IOT_UUID_TEXT;

    if (ngx_iot_db_text(db, &text) != NGX_OK) {
        ngx_destroy_pool(db->pool);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_iot_db_param(db, ctx->device->gateway ? "t" : "f", 1, 0);

    if (ngx_iot_db_send(db) != NGX_OK) {
        ngx_destroy_pool(db->pool);
        return ngx_http_iot_device_unavailable(ctx, 1);
    }

    ctx->call = db;

    return NGX_AGAIN;
}


static void
ngx_http_iot_device_rpc_limits_done(ngx_iot_db_call_t *db)
{
    u_char                     *p;
    ngx_int_t                   rc;
    ngx_str_t                   body;
    ngx_http_iot_device_ctx_t  *ctx;

    ctx = db->data;
    ctx->call = NULL;

    if (db->rc != NGX_OK) {
        ngx_http_iot_device_rpc_end(ctx, ngx_http_iot_device_error(ctx,
                                                                &db->error));
        return;
    }

    rc = NGX_HTTP_INTERNAL_SERVER_ERROR;

    body.len = PQntuples(db->result) ? PQgetlength(db->result, 0, 0) : 0;

    p = ngx_pnalloc(ctx->request->pool, body.len + 1);

    if (p && body.len) {
        body.data = p;
        ngx_memcpy(p, PQgetvalue(db->result, 0, 0), body.len);

        rc = ngx_http_iot_device_send(ctx, NGX_HTTP_OK,
                                      &ngx_http_iot_device_rpc_json, &body);
    }

    ngx_http_iot_device_rpc_end(ctx, rc);
}


/* cancelable: nobody will answer, so a worker need not stay for it */

static ngx_int_t
ngx_http_iot_device_rpc_wait(ngx_http_iot_device_ctx_t *ctx)
{
    ngx_http_iot_device_rpc_t  *rpc;

    rpc = ngx_http_iot_device_rpc_create(ctx);
    if (rpc == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rpc->ident = -1;
    rpc->timer.data = rpc;
    rpc->timer.handler = ngx_http_iot_device_rpc_timeout;
    rpc->timer.log = ctx->request->connection->log;
    rpc->timer.cancelable = 1;

    ngx_add_timer(&rpc->timer, NGX_HTTP_IOT_RPC_TIMEOUT);

    return NGX_AGAIN;
}


static void
ngx_http_iot_device_rpc_timeout(ngx_event_t *ev)
{
    ngx_http_iot_device_rpc_t  *rpc;

    rpc = ev->data;

    ngx_http_iot_device_rpc_end(rpc->ctx,
                                ngx_http_iot_device_send(rpc->ctx,
                                    NGX_HTTP_REQUEST_TIME_OUT, NULL, NULL));
}


static void
ngx_http_iot_device_rpc_end(ngx_http_iot_device_ctx_t *ctx, ngx_int_t rc)
{
    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    r = ctx->request;
    c = r->connection;

    ngx_http_finalize_request(r, rc);
    ngx_http_run_posted_requests(c);
}
