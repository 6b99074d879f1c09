
/*
 * Copyright (C) the ngx_iot authors
 */


#include "../../codec/ngx_iot_json.h"
#include "../../native/ngx_iot_native_link.h"
#include "../ngx_http_iot_module.h"
#include "ngx_http_iot_thinger.h"


/*
 * Resources of devices over REST: SQL says which device it is and that the
 * caller may use it, and the worker that has its connection does the rest.
 * The third version of the API has bare values, the others {"in":...} and
 * {"out":...}.
 */

#define NGX_HTTP_IOT_THINGER_DEPTH  64


typedef struct {
    ngx_iot_native_call_t   native;
    ngx_uint_t              version;
} ngx_http_iot_thinger_ctx_t;


static ngx_int_t ngx_http_iot_thinger_begin(ngx_http_iot_call_t *call,
    ngx_uint_t version);
static ngx_int_t ngx_http_iot_thinger_path(ngx_http_iot_call_t *call,
    ngx_http_iot_thinger_ctx_t *ctx);
static ngx_int_t ngx_http_iot_thinger_body(ngx_http_iot_call_t *call,
    ngx_http_iot_thinger_ctx_t *ctx);
static ngx_uint_t ngx_http_iot_thinger_is_json(ngx_http_iot_call_t *call);
static void ngx_http_iot_thinger_begun(ngx_http_iot_call_t *call);
static void ngx_http_iot_thinger_done(ngx_iot_native_call_t *native,
    ngx_uint_t status, ngx_uint_t kind, ngx_str_t *body);
static void ngx_http_iot_thinger_value(ngx_http_iot_call_t *call,
    ngx_http_iot_thinger_ctx_t *ctx, ngx_uint_t status, ngx_uint_t kind,
    ngx_str_t *body);
static void ngx_http_iot_thinger_wrong(ngx_http_iot_call_t *call,
    ngx_uint_t status);
static void ngx_http_iot_thinger_abort(ngx_http_iot_call_t *call);


static ngx_iot_db_stmt_t  ngx_http_iot_thinger_stmt = ngx_iot_db_stmt(
    "SELECT tenant_id, device_id"
    " FROM thinger.resource_begin($1::iot.principal, $2, $3)");


ngx_int_t
ngx_http_iot_thinger_resource(ngx_http_iot_call_t *call)
{
    return ngx_http_iot_thinger_begin(call, 3);
}


ngx_int_t
ngx_http_iot_thinger_resource_v2(ngx_http_iot_call_t *call)
{
    return ngx_http_iot_thinger_begin(call, 2);
}


static ngx_int_t
ngx_http_iot_thinger_begin(ngx_http_iot_call_t *call, ngx_uint_t version)
{
    ngx_str_t                    text;
    ngx_iot_db_call_t           *db;
    ngx_http_iot_thinger_ctx_t  *ctx;

    ctx = ngx_pcalloc(call->pool, sizeof(ngx_http_iot_thinger_ctx_t));
    if (ctx == NULL) {
        return NGX_ERROR;
    }

    ctx->version = version;
    call->ctx = ctx;

    if (ngx_http_iot_thinger_path(call, ctx) != NGX_OK) {
        return ngx_http_iot_call_fail(call, NGX_HTTP_NOT_FOUND, "not_found",
                                      "resource not found");
    }

    if (ngx_http_iot_thinger_body(call, ctx) != NGX_OK) {
        return ngx_http_iot_call_fail(call, NGX_HTTP_BAD_REQUEST,
                                      "bad_request", "invalid body");
    }

    db = ngx_http_iot_call_db_create(call, NGX_IOT_DB_READ,
                                     &ngx_http_iot_thinger_stmt);
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

    if (ngx_iot_db_text(db, &call->path[0]) != NGX_OK
        || ngx_iot_db_text(db, &call->path[1]) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_iot_call_db_send(call, ngx_http_iot_thinger_begun);
}


/*
 * What is left of the path, decoded: an escaped slash is a slash.  A last
 * element "api" asks for the description of what is in front of it.
 */

static ngx_int_t
ngx_http_iot_thinger_path(ngx_http_iot_call_t *call,
    ngx_http_iot_thinger_ctx_t *ctx)
{
    u_char              *p, *end;
    ngx_str_t           *path;
    ngx_uint_t           n;
    ngx_http_request_t  *r;

    r = call->request;
    p = r->uri.data;
    end = p + r->uri.len;

    /* /v3/users/USER/devices/DEVICE/resources/... */

    for (n = (ctx->version == 3) ? 7 : 6; n && p < end; p++) {
        if (*p == '/') {
            n--;
        }
    }

    while (p < end && end[-1] == '/') {
        end--;
    }

    path = &ctx->native.path;
    path->data = p;
    path->len = end - p;

    if (path->len > NGX_IOT_NATIVE_PATH
        || ngx_strlchr(p, end, '\0') != NULL)
    {
        return NGX_DECLINED;
    }

    if (path->len == 0
        || (path->len == 3 && ngx_strncmp(p, "api", 3) == 0))
    {
        path->len = 0;
        ctx->native.action = NGX_IOT_NATIVE_CALL_DESCRIBE;

    } else if (path->len > 4 && ngx_strncmp(end - 4, "/api", 4) == 0) {
        path->len -= 4;
        ctx->native.action = NGX_IOT_NATIVE_CALL_DESCRIBE;

    } else {
        ctx->native.action = (r->method == NGX_HTTP_POST)
                             ? NGX_IOT_NATIVE_CALL_RUN
                             : NGX_IOT_NATIVE_CALL_READ;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_iot_thinger_body(ngx_http_iot_call_t *call,
    ngx_http_iot_thinger_ctx_t *ctx)
{
    ngx_int_t              rc;
    ngx_iot_alloc_t        alloc;
    ngx_iot_json_field_t   field;

    ctx->native.kind = NGX_IOT_NATIVE_BODY_NONE;

    if (call->request->method != NGX_HTTP_POST || call->body.len == 0) {
        return NGX_OK;
    }

    ctx->native.body = call->body;

    if (!ngx_http_iot_thinger_is_json(call)) {
        ctx->native.kind = NGX_IOT_NATIVE_BODY_BYTES;
        return NGX_OK;
    }

    ctx->native.kind = NGX_IOT_NATIVE_BODY_JSON;

    if (ngx_iot_json_check(&call->body, NGX_HTTP_IOT_THINGER_DEPTH, NULL, NULL)
        != NGX_OK)
    {
        return NGX_DECLINED;
    }

    if (ctx->version == 3) {
        return NGX_OK;
    }

    /* the value is the member "in" */

    alloc.alloc = ngx_http_iot_alloc;
    alloc.data = call->pool;

    ngx_str_set(&field.name, "in");

    rc = ngx_iot_json_fields(&call->body, &alloc, NGX_HTTP_IOT_THINGER_DEPTH,
                             &field, 1, NULL);

    if (rc != NGX_OK) {
        return NGX_DECLINED;
    }

    if (field.token == NGX_IOT_JSON_END) {
        ctx->native.kind = NGX_IOT_NATIVE_BODY_NONE;
        ngx_str_null(&ctx->native.body);
        return NGX_OK;
    }

    ctx->native.body = field.raw;

    return NGX_OK;
}


/* clients misspell the type of bytes: only what says JSON, or nothing, is it */

static ngx_uint_t
ngx_http_iot_thinger_is_json(ngx_http_iot_call_t *call)
{
    ngx_str_t  type;

    if (ngx_http_iot_call_header(call, "content-type", &type) != NGX_OK) {
        return 1;
    }

    return ngx_strlcasestrn(type.data, type.data + type.len,
                            (u_char *) "json", 4 - 1) != NULL;
}


static void
ngx_http_iot_thinger_begun(ngx_http_iot_call_t *call)
{
    ngx_int_t                    rc;
    PGresult                    *res;
    ngx_iot_error_t              err;
    ngx_iot_native_call_t       *native;
    ngx_http_iot_thinger_ctx_t  *ctx;

    ctx = call->ctx;
    native = &ctx->native;

    if (call->db->rc != NGX_OK) {
        err = call->db->error;
        (void) ngx_http_iot_call_err(call, &err);
        return;
    }

    res = call->db->result;

    if (PQntuples(res) != 1
        || PQgetlength(res, 0, 0) != NGX_IOT_UUID_TEXT
        || PQgetlength(res, 0, 1) != NGX_IOT_UUID_TEXT)
    {
        ngx_http_iot_thinger_wrong(call, NGX_HTTP_INTERNAL_SERVER_ERROR);
        return;
    }

    ngx_memcpy(native->tenant, PQgetvalue(res, 0, 0), NGX_IOT_UUID_TEXT);
    ngx_memcpy(native->device, PQgetvalue(res, 0, 1), NGX_IOT_UUID_TEXT);

    native->timeout = NGX_IOT_NATIVE_TIMEOUT;
    native->done = ngx_http_iot_thinger_done;
    native->data = call;

    rc = ngx_iot_native_call(native);

    if (rc == NGX_OK) {
        call->abort = ngx_http_iot_thinger_abort;
        return;
    }

    if (rc == NGX_DECLINED) {
        (void) ngx_http_iot_call_fail(call, NGX_HTTP_NOT_FOUND, "not_found",
                                      "device not connected");
        return;
    }

    ngx_http_iot_thinger_wrong(call, NGX_HTTP_SERVICE_UNAVAILABLE);
}


static void
ngx_http_iot_thinger_done(ngx_iot_native_call_t *native, ngx_uint_t status,
    ngx_uint_t kind, ngx_str_t *body)
{
    ngx_http_iot_call_t         *call;
    ngx_http_iot_thinger_ctx_t  *ctx;

    call = native->data;
    ctx = call->ctx;

    call->abort = NULL;

    if (status != 200 && kind == NGX_IOT_NATIVE_BODY_NONE) {
        ngx_http_iot_thinger_wrong(call, status);
        return;
    }

    if (kind == NGX_IOT_NATIVE_BODY_NONE) {
        (void) ngx_http_iot_call_empty(call, NGX_HTTP_OK);
        return;
    }

    ngx_http_iot_thinger_value(call, ctx, status, kind, body);
}


static void
ngx_http_iot_thinger_value(ngx_http_iot_call_t *call,
    ngx_http_iot_thinger_ctx_t *ctx, ngx_uint_t status, ngx_uint_t kind,
    ngx_str_t *body)
{
    u_char      *p;
    ngx_str_t    text;
    ngx_uint_t   wrap;

    static ngx_str_t  bytes = ngx_string("application/octet-stream");

    p = ngx_pnalloc(call->pool, body->len + sizeof("{\"out\":}"));

    if (p == NULL) {
        ngx_http_iot_thinger_wrong(call, NGX_HTTP_INTERNAL_SERVER_ERROR);
        return;
    }

    text.data = p;

    wrap = status == 200
           && kind == NGX_IOT_NATIVE_BODY_JSON
           && ctx->version != 3
           && ctx->native.action != NGX_IOT_NATIVE_CALL_DESCRIBE;

    if (wrap) {
        p = ngx_cpymem(p, "{\"out\":", sizeof("{\"out\":") - 1);
    }

    p = ngx_cpymem(p, body->data, body->len);

    if (wrap) {
        *p++ = '}';
    }

    text.len = p - text.data;

    if (kind == NGX_IOT_NATIVE_BODY_BYTES) {
        (void) ngx_http_iot_call_text(call, status, &bytes, &text);
        return;
    }

    (void) ngx_http_iot_call_json(call, status, &text);
}


static void
ngx_http_iot_thinger_wrong(ngx_http_iot_call_t *call, ngx_uint_t status)
{
    ngx_iot_error_t  err;

    switch (status) {

    case NGX_HTTP_BAD_REQUEST:
        ngx_iot_error_set(&err, status, "bad_request", "invalid request");
        break;

    case NGX_HTTP_NOT_FOUND:
        ngx_iot_error_set(&err, status, "not_found",
                          "device not connected or no such resource");
        break;

    case NGX_HTTP_SERVICE_UNAVAILABLE:
        ngx_iot_error_set(&err, status, "unavailable", "service unavailable");
        break;

    case NGX_HTTP_GATEWAY_TIME_OUT:
        ngx_iot_error_set(&err, status, "timeout",
                          "the device did not answer in time");
        break;

    default:
        ngx_iot_error_set(&err, status, "general",
                          "the device could not do that");
        break;
    }

    (void) ngx_http_iot_call_err(call, &err);
}


static void
ngx_http_iot_thinger_abort(ngx_http_iot_call_t *call)
{
    ngx_http_iot_thinger_ctx_t  *ctx;

    ctx = call->ctx;

    ngx_iot_native_cancel(&ctx->native);
}
