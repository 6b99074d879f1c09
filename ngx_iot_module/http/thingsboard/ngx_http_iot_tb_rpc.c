
/*
 * Copyright (C) the ngx_iot authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "../../codec/ngx_iot_json.h"
#include "../../device/ngx_iot_rpc.h"
#include "ngx_http_iot_tb.h"
#include "ngx_http_iot_tb_rpc.h"


/*
 * Requests to devices over REST.  A SQL function checks and numbers the
 * request; then it goes out on the bus, and the call waits for the answer.
 * The two versions of the API differ in what they say when there is none.
 */

#define NGX_HTTP_IOT_TB_RPC_BODY   65536
#define NGX_HTTP_IOT_TB_RPC_DEPTH  64

#define NGX_HTTP_IOT_TB_NOT_ACCEPTABLE  406


typedef struct {
    ngx_iot_rpc_call_t   rpc;
    ngx_uint_t           version;
    unsigned             oneway:1;
} ngx_http_iot_tb_rpc_t;


static ngx_int_t ngx_http_iot_tb_rpc(ngx_http_iot_call_t *call,
    ngx_uint_t version, ngx_uint_t oneway);
static ngx_int_t ngx_http_iot_tb_rpc_invalid(ngx_http_iot_call_t *call);
static void ngx_http_iot_tb_rpc_begun(ngx_http_iot_call_t *call);
static ngx_int_t ngx_http_iot_tb_rpc_fill(ngx_http_iot_call_t *call,
    PGresult *res);
static ngx_int_t ngx_http_iot_tb_rpc_stored(ngx_http_iot_call_t *call,
    PGresult *res);
static void ngx_http_iot_tb_rpc_done(ngx_iot_rpc_call_t *rpc, ngx_int_t rc,
    ngx_str_t *answer);
static void ngx_http_iot_tb_rpc_abort(ngx_http_iot_call_t *call);


static ngx_iot_db_stmt_t  ngx_http_iot_tb_rpc_stmt = ngx_iot_db_stmt(
    "SELECT tenant_id, device_id, request_id, rpc_id, request, timeout"
    " FROM tb.rpc_begin($1::iot.principal, $2, $3::boolean, $4::json)");


/* what is wrong with the body is told in the envelope, all else as text */

static ngx_http_iot_route_t  ngx_http_iot_tb_rpc_envelope;


ngx_int_t
ngx_http_iot_tb_rpc_oneway(ngx_http_iot_call_t *call)
{
    return ngx_http_iot_tb_rpc(call, 2, 1);
}


ngx_int_t
ngx_http_iot_tb_rpc_twoway(ngx_http_iot_call_t *call)
{
    return ngx_http_iot_tb_rpc(call, 2, 0);
}


ngx_int_t
ngx_http_iot_tb_rpc_oneway_v1(ngx_http_iot_call_t *call)
{
    return ngx_http_iot_tb_rpc(call, 1, 1);
}


ngx_int_t
ngx_http_iot_tb_rpc_twoway_v1(ngx_http_iot_call_t *call)
{
    return ngx_http_iot_tb_rpc(call, 1, 0);
}


static ngx_int_t
ngx_http_iot_tb_rpc(ngx_http_iot_call_t *call, ngx_uint_t version,
    ngx_uint_t oneway)
{
    ngx_str_t               text;
    ngx_iot_db_call_t      *db;
    ngx_http_iot_tb_rpc_t  *ctx;

    if (call->body.len == 0
        || call->body.len > NGX_HTTP_IOT_TB_RPC_BODY
        || ngx_iot_json_check(&call->body, NGX_HTTP_IOT_TB_RPC_DEPTH, NULL,
                              NULL)
           != NGX_OK)
    {
        return ngx_http_iot_tb_rpc_invalid(call);
    }

    ctx = ngx_pcalloc(call->pool, sizeof(ngx_http_iot_tb_rpc_t));
    if (ctx == NULL) {
        return NGX_ERROR;
    }

    ctx->version = version;
    ctx->oneway = oneway;
    call->ctx = ctx;

    db = ngx_http_iot_call_db_create(call, NGX_IOT_DB_CALL,
                                     &ngx_http_iot_tb_rpc_stmt);
    if (db == NULL) {
        return NGX_ERROR;
    }

    if (ngx_iot_principal_text(&call->principal,
                               ngx_http_iot_call_address(call), &text,
                               db->pool)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_iot_db_param(db, text.data, text.len, 0);

    if (ngx_iot_db_text(db, &call->path[0]) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_iot_db_param(db, oneway ? "t" : "f", 1, 0);

    if (ngx_iot_db_text(db, &call->body) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_iot_call_db_send(call, ngx_http_iot_tb_rpc_begun);
}


static ngx_int_t
ngx_http_iot_tb_rpc_invalid(ngx_http_iot_call_t *call)
{
    ngx_http_iot_tb_rpc_envelope = *call->route;
    ngx_http_iot_tb_rpc_envelope.flags &= ~NGX_HTTP_IOT_TEXT_ERRORS;
    call->route = &ngx_http_iot_tb_rpc_envelope;

    return ngx_http_iot_call_fail(call, NGX_HTTP_BAD_REQUEST, "bad_request",
                                  "Invalid request body");
}


static void
ngx_http_iot_tb_rpc_begun(ngx_http_iot_call_t *call)
{
    PGresult               *res;
    ngx_iot_error_t         err;
    ngx_http_iot_tb_rpc_t  *ctx;

    ctx = call->ctx;

    if (call->db->rc != NGX_OK) {
        err = call->db->error;

        if (err.status == NGX_HTTP_BAD_REQUEST
            && err.message.len == sizeof("Invalid request body") - 1)
        {
            (void) ngx_http_iot_tb_rpc_invalid(call);

        } else {
            (void) ngx_http_iot_call_err(call, &err);
        }

        return;
    }

    res = call->db->result;

    if (PQntuples(res) != 1
        || ngx_http_iot_tb_rpc_fill(call, res) != NGX_OK)
    {
        goto failed;
    }

    if (ctx->rpc.request.stored) {
        ngx_iot_rpc_announce(ctx->rpc.tenant, ctx->rpc.device,
                             &ctx->rpc.request);

        if (ngx_http_iot_tb_rpc_stored(call, res) != NGX_OK) {
            goto failed;
        }

        return;
    }

    call->abort = ngx_http_iot_tb_rpc_abort;

    if (ngx_iot_rpc_call(&ctx->rpc) != NGX_OK) {
        call->abort = NULL;
        goto failed;
    }

    return;

failed:

    (void) ngx_http_iot_call_fail(call, NGX_HTTP_INTERNAL_SERVER_ERROR,
                                  "general", "Internal server error");
}


static ngx_int_t
ngx_http_iot_tb_rpc_fill(ngx_http_iot_call_t *call, PGresult *res)
{
    ngx_int_t               n;
    ngx_iot_rpc_call_t     *rpc;
    ngx_http_iot_tb_rpc_t  *ctx;

    ctx = call->ctx;
    rpc = &ctx->rpc;

    if (PQgetlength(res, 0, 0) != NGX_IOT_UUID_TEXT
        || PQgetlength(res, 0, 1) != NGX_IOT_UUID_TEXT)
    {
        return NGX_ERROR;
    }

    ngx_memcpy(rpc->tenant, PQgetvalue(res, 0, 0), NGX_IOT_UUID_TEXT);
    ngx_memcpy(rpc->device, PQgetvalue(res, 0, 1), NGX_IOT_UUID_TEXT);

    n = ngx_atoi((u_char *) PQgetvalue(res, 0, 2), PQgetlength(res, 0, 2));
    if (n == NGX_ERROR) {
        return NGX_ERROR;
    }

    rpc->request.id = (uint32_t) n;
    rpc->request.oneway = ctx->oneway;
    rpc->request.stored = !PQgetisnull(res, 0, 3);

    /* the result goes with the call of the database */

    rpc->request.body.len = PQgetlength(res, 0, 4);
    rpc->request.body.data = ngx_pnalloc(call->pool,
                                         rpc->request.body.len + 1);
    if (rpc->request.body.data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(rpc->request.body.data, PQgetvalue(res, 0, 4),
               rpc->request.body.len);

    n = ngx_atoi((u_char *) PQgetvalue(res, 0, 5), PQgetlength(res, 0, 5));
    if (n == NGX_ERROR) {
        return NGX_ERROR;
    }

    rpc->timeout = (ngx_msec_t) n;
    rpc->done = ngx_http_iot_tb_rpc_done;
    rpc->data = call;

    return NGX_OK;
}


static ngx_int_t
ngx_http_iot_tb_rpc_stored(ngx_http_iot_call_t *call, PGresult *res)
{
    u_char     *p;
    ngx_str_t   json;

    p = ngx_pnalloc(call->pool, sizeof("{\"rpcId\":\"\"}")
                                + NGX_IOT_UUID_TEXT);

    if (p == NULL || PQgetlength(res, 0, 3) != NGX_IOT_UUID_TEXT) {
        return NGX_ERROR;
    }

    json.data = p;
    json.len = ngx_sprintf(p, "{\"rpcId\":\"%s\"}", PQgetvalue(res, 0, 3)) - p;

    (void) ngx_http_iot_call_json(call, NGX_HTTP_OK, &json);

    return NGX_OK;
}


static void
ngx_http_iot_tb_rpc_done(ngx_iot_rpc_call_t *rpc, ngx_int_t rc,
    ngx_str_t *answer)
{
    ngx_str_t               json;
    ngx_uint_t              status;
    ngx_http_iot_call_t    *call;
    ngx_http_iot_tb_rpc_t  *ctx;

    call = rpc->data;
    ctx = call->ctx;

    call->abort = NULL;

    if (rc != NGX_OK) {
        status = NGX_HTTP_GATEWAY_TIME_OUT;

        if (ctx->version == 1) {
            status = rpc->delivered ? NGX_HTTP_REQUEST_TIME_OUT
                                    : NGX_HTTP_CONFLICT;
        }

        (void) ngx_http_iot_call_empty(call, status);
        return;
    }

    if (ctx->oneway) {
        (void) ngx_http_iot_call_empty(call, NGX_HTTP_OK);
        return;
    }

    if (ngx_iot_json_check(answer, NGX_HTTP_IOT_TB_RPC_DEPTH, NULL, NULL)
        != NGX_OK)
    {
        (void) ngx_http_iot_call_empty(call,
                                       NGX_HTTP_IOT_TB_NOT_ACCEPTABLE);
        return;
    }

    json.len = answer->len;
    json.data = ngx_pnalloc(call->pool, answer->len);

    if (json.data == NULL) {
        (void) ngx_http_iot_call_fail(call, NGX_HTTP_INTERNAL_SERVER_ERROR,
                                      "general", "Internal server error");
        return;
    }

    ngx_memcpy(json.data, answer->data, answer->len);

    (void) ngx_http_iot_call_json(call, NGX_HTTP_OK, &json);
}


static void
ngx_http_iot_tb_rpc_abort(ngx_http_iot_call_t *call)
{
    ngx_http_iot_tb_rpc_t  *ctx;

    ctx = call->ctx;

    ngx_iot_rpc_cancel(&ctx->rpc);
}
