
/*
 * Copyright (C) the ngx_iot authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_iot_blob.h"
#include "ngx_http_iot_device.h"


/* a device takes the package that is assigned to it, whole or a chunk of it */

static ngx_int_t ngx_http_iot_device_ota(ngx_http_iot_device_ctx_t *ctx,
    char *kind);
static void ngx_http_iot_device_ota_found(ngx_iot_db_call_t *call);
static ngx_int_t ngx_http_iot_device_ota_send(ngx_http_iot_device_ctx_t *ctx,
    PGresult *res);
static ngx_int_t ngx_http_iot_device_ota_is(ngx_http_request_t *r, char *name,
    PGresult *res, int column);
static ngx_int_t ngx_http_iot_device_ota_number(ngx_http_request_t *r,
    char *name, off_t *n);
static ngx_int_t ngx_http_iot_device_ota_text(ngx_str_t *text, PGresult *res,
    int column, ngx_pool_t *pool);
static void ngx_http_iot_device_ota_sent(ngx_http_iot_blob_t *blob,
    ngx_int_t rc);


static ngx_iot_db_stmt_t  ngx_http_iot_device_ota_stmt = ngx_iot_db_stmt(
    "SELECT id, title, release, file_name, content_type, size"
    " FROM iot.ota_device($1::uuid, $2::uuid, $3) WHERE id IS NOT NULL");


ngx_int_t
ngx_http_iot_device_firmware(ngx_http_iot_device_ctx_t *ctx)
{
    return ngx_http_iot_device_ota(ctx, "FIRMWARE");
}


ngx_int_t
ngx_http_iot_device_software(ngx_http_iot_device_ctx_t *ctx)
{
    return ngx_http_iot_device_ota(ctx, "SOFTWARE");
}


static ngx_int_t
ngx_http_iot_device_ota(ngx_http_iot_device_ctx_t *ctx, char *kind)
{
    ngx_str_t           text;
    ngx_iot_db_call_t  *call;

    call = ngx_iot_db_create(NGX_IOT_DB_READ, &ngx_http_iot_device_ota_stmt,
                             ctx->request->connection->log);
    if (call == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    text.len = NGX_IOT_UUID_TEXT;
    text.data = ctx->device->tenant;

    if (ngx_iot_db_text(call, &text) != NGX_OK) {
        goto failed;
    }

    text.data = ctx->device->id;

    if (ngx_iot_db_text(call, &text) != NGX_OK) {
        goto failed;
    }

    ngx_iot_db_param(call, kind, ngx_strlen(kind), 0);

    call->data = ctx;
    call->done = ngx_http_iot_device_ota_found;

    if (ngx_iot_db_send(call) != NGX_OK) {
        ngx_destroy_pool(call->pool);
        return ngx_http_iot_device_unavailable(ctx, 1);
    }

    ctx->call = call;

    return NGX_AGAIN;

failed:

    ngx_destroy_pool(call->pool);

    return NGX_HTTP_INTERNAL_SERVER_ERROR;
}


static void
ngx_http_iot_device_ota_found(ngx_iot_db_call_t *call)
{
    ngx_int_t                   rc;
    ngx_connection_t           *c;
    ngx_http_request_t         *r;
    ngx_http_iot_device_ctx_t  *ctx;

    ctx = call->data;
    ctx->call = NULL;

    r = ctx->request;
    c = r->connection;

    if (call->rc != NGX_OK) {
        rc = ngx_http_iot_device_error(ctx, &call->error);

    } else if (PQntuples(call->result) == 0) {
        rc = ngx_http_iot_device_send(ctx, NGX_HTTP_NOT_FOUND, NULL, NULL);

    } else {
        rc = ngx_http_iot_device_ota_send(ctx, call->result);

        if (rc == NGX_AGAIN) {
            return;
        }
    }

    ngx_http_finalize_request(r, rc);
    ngx_http_run_posted_requests(c);
}


static ngx_int_t
ngx_http_iot_device_ota_send(ngx_http_iot_device_ctx_t *ctx, PGresult *res)
{
    off_t                 size, chunk, total;
    ngx_http_request_t   *r;
    ngx_http_iot_blob_t  *blob;

    static ngx_str_t  other = ngx_string("Another package is assigned");
    static ngx_str_t  bad = ngx_string("Invalid size or chunk");

    r = ctx->request;

    if (ngx_http_iot_device_ota_is(r, "title", res, 1) != NGX_OK
        || ngx_http_iot_device_ota_is(r, "version", res, 2) != NGX_OK)
    {
        return ngx_http_iot_device_send(ctx, NGX_HTTP_BAD_REQUEST,
                                        &ngx_http_iot_device_text, &other);
    }

    if (ngx_http_iot_device_ota_number(r, "size", &size) != NGX_OK
        || ngx_http_iot_device_ota_number(r, "chunk", &chunk) != NGX_OK)
    {
        return ngx_http_iot_device_send(ctx, NGX_HTTP_BAD_REQUEST,
                                        &ngx_http_iot_device_text, &bad);
    }

    blob = ngx_pcalloc(r->pool, sizeof(ngx_http_iot_blob_t));

    if (blob == NULL
        || ngx_http_iot_device_ota_text(&blob->name, res, 3, r->pool)
           != NGX_OK
        || ngx_http_iot_device_ota_text(&blob->type, res, 4, r->pool)
           != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    total = ngx_atoof((u_char *) PQgetvalue(res, 0, 5),
                      PQgetlength(res, 0, 5));

    blob->request = r;
    blob->end = total;
    blob->done = ngx_http_iot_device_ota_sent;

    if (size) {
        /* both are of 31 bits */
        blob->pos = ngx_min(size * chunk, total);
        blob->end = ngx_min(blob->pos + size, total);
    }

    ngx_memcpy(blob->tenant, ctx->device->tenant, NGX_IOT_UUID_TEXT);
    ngx_memcpy(blob->package, PQgetvalue(res, 0, 0), NGX_IOT_UUID_TEXT);

    return ngx_http_iot_blob_send(blob);
}


/* NGX_DECLINED: the argument is there and says something else */

static ngx_int_t
ngx_http_iot_device_ota_is(ngx_http_request_t *r, char *name, PGresult *res,
    int column)
{
    u_char     *p, *dst, *src;
    ngx_str_t   value;

    if (ngx_http_arg(r, (u_char *) name, ngx_strlen(name), &value) != NGX_OK) {
        return NGX_OK;
    }

    p = ngx_pnalloc(r->pool, value.len + 1);
    if (p == NULL) {
        return NGX_DECLINED;
    }

    for (src = value.data; src < value.data + value.len; src++) {
        if (*src == '+') {
            *src = ' ';
        }
    }

    dst = p;
    src = value.data;
    ngx_unescape_uri(&dst, &src, value.len, 0);

    return (dst - p == PQgetlength(res, 0, column)
            && ngx_memcmp(p, PQgetvalue(res, 0, column), dst - p) == 0)
           ? NGX_OK : NGX_DECLINED;
}


static ngx_int_t
ngx_http_iot_device_ota_number(ngx_http_request_t *r, char *name, off_t *n)
{
    ngx_str_t  value;

    *n = 0;

    if (ngx_http_arg(r, (u_char *) name, ngx_strlen(name), &value) != NGX_OK
        || value.len == 0)
    {
        return NGX_OK;
    }

    *n = ngx_atoof(value.data, value.len);

    return (*n < 0 || *n > NGX_MAX_INT32_VALUE) ? NGX_DECLINED : NGX_OK;
}


static ngx_int_t
ngx_http_iot_device_ota_text(ngx_str_t *text, PGresult *res, int column,
    ngx_pool_t *pool)
{
    text->len = PQgetlength(res, 0, column);
    text->data = ngx_pnalloc(pool, text->len + 1);

    if (text->data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(text->data, PQgetvalue(res, 0, column), text->len + 1);

    return NGX_OK;
}


static void
ngx_http_iot_device_ota_sent(ngx_http_iot_blob_t *blob, ngx_int_t rc)
{
    ngx_connection_t  *c;

    c = blob->request->connection;

    ngx_http_finalize_request(blob->request, rc);
    ngx_http_run_posted_requests(c);
}
