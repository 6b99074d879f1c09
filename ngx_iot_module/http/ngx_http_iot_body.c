
/*
 * Copyright (C) the ngx_iot authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "../codec/ngx_iot_json.h"
#include "../codec/ngx_iot_utf8.h"
#include "ngx_http_iot_module.h"


#define NGX_HTTP_IOT_BODY_DEPTH  64


static void ngx_http_iot_body_handler(ngx_http_request_t *r);
static ngx_int_t ngx_http_iot_body_load(ngx_http_request_t *r, ngx_buf_t *b,
    u_char **pos);
static ngx_int_t ngx_http_iot_body_text(ngx_http_iot_call_t *call);
static ngx_int_t ngx_http_iot_body_bad(ngx_http_iot_call_t *call,
    char *message);


/* the content type is not looked at: clients of the field send anything */

ngx_int_t
ngx_http_iot_body_read(ngx_http_iot_call_t *call)
{
    ngx_int_t            rc;
    ngx_http_request_t  *r;
    ngx_http_iot_ctx_t  *ctx;

    r = call->request;

    ctx = ngx_http_iot_get_ctx(r);
    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx->call = call;

    r->request_body_in_single_buf = 1;

    rc = ngx_http_read_client_request_body(r, ngx_http_iot_body_handler);

    if (rc >= NGX_HTTP_SPECIAL_RESPONSE) {
        return rc;
    }

    return NGX_DONE;
}


static void
ngx_http_iot_body_handler(ngx_http_request_t *r)
{
    ngx_int_t             rc;
    ngx_http_iot_ctx_t   *ctx;
    ngx_http_iot_call_t  *call;

    ctx = ngx_http_get_module_ctx(r, ngx_http_iot_module);
    call = ctx->call;

    rc = ngx_http_iot_body_gather(r, &call->body,
                                  call->dialect->body_limit(r));

    if (rc == NGX_DECLINED) {
        (void) ngx_http_iot_call_fail(call,
                                      NGX_HTTP_REQUEST_ENTITY_TOO_LARGE,
                                      "too_large",
                                      "Payload size exceeds the limit");
        return;
    }

    if (rc != NGX_OK) {
        ngx_http_iot_call_finalize(call, NGX_HTTP_INTERNAL_SERVER_ERROR);
        return;
    }

    ngx_http_iot_call_body_done(call);
}


ngx_int_t
ngx_http_iot_body_gather(ngx_http_request_t *r, ngx_str_t *body, off_t limit)
{
    off_t         size;
    u_char       *p;
    ngx_buf_t    *b;
    ngx_chain_t  *cl, *bufs;

    ngx_str_null(body);

    if (r->request_body == NULL || r->request_body->bufs == NULL) {
        return NGX_OK;
    }

    bufs = r->request_body->bufs;
    size = 0;

    for (cl = bufs; cl; cl = cl->next) {
        size += ngx_buf_size(cl->buf);
    }

    if (size == 0) {
        return NGX_OK;
    }

    if (size > limit) {
        return NGX_DECLINED;
    }

    b = bufs->buf;

    if (bufs->next == NULL && ngx_buf_in_memory(b)) {
        body->data = b->pos;
        body->len = b->last - b->pos;
        return NGX_OK;
    }

    p = ngx_palloc(r->pool, (size_t) size);
    if (p == NULL) {
        return NGX_ERROR;
    }

    body->data = p;

    for (cl = bufs; cl; cl = cl->next) {
        if (ngx_http_iot_body_load(r, cl->buf, &p) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    body->len = p - body->data;

    return NGX_OK;
}


static ngx_int_t
ngx_http_iot_body_load(ngx_http_request_t *r, ngx_buf_t *b, u_char **pos)
{
    off_t    offset;
    ssize_t  n;

    if (ngx_buf_in_memory(b)) {
        *pos = ngx_cpymem(*pos, b->pos, b->last - b->pos);
        return NGX_OK;
    }

    if (!b->in_file) {
        return NGX_OK;
    }

    for (offset = b->file_pos; offset < b->file_last; offset += n) {

        n = ngx_read_file(b->file, *pos, (size_t) (b->file_last - offset),
                          offset);

        if (n <= 0) {
            ngx_log_error(NGX_LOG_CRIT, r->connection->log, 0,
                          "request body file \"%V\" is too short",
                          &b->file->name);
            return NGX_ERROR;
        }

        *pos += n;
    }

    return NGX_OK;
}


/*
 * NGX_OK: the body is what the route wants; NGX_DECLINED: call->error says
 * why not.
 */

ngx_int_t
ngx_http_iot_body_check(ngx_http_iot_call_t *call)
{
    u_char      *p, *last;
    ngx_uint_t   flags;

    flags = call->route->flags;

    if (flags & NGX_HTTP_IOT_TEXT_BODY) {
        return ngx_http_iot_body_text(call);
    }

    if (flags & NGX_HTTP_IOT_RAW_BODY) {
        return NGX_OK;
    }

    if (!(flags & (NGX_HTTP_IOT_BODY|NGX_HTTP_IOT_OPT_BODY))) {
        ngx_str_null(&call->body);
        return NGX_OK;
    }

    /* PostgreSQL does not take a byte order mark for a blank */

    p = call->body.data;
    last = p + call->body.len;

    if (call->body.len >= 3 && p[0] == 0xef && p[1] == 0xbb && p[2] == 0xbf) {
        p += 3;
    }

    call->body.data = p;
    call->body.len = last - p;

    while (p < last
           && (*p == ' ' || *p == '\t' || *p == CR || *p == LF))
    {
        p++;
    }

    if (p == last) {
        ngx_str_null(&call->body);

        if (flags & NGX_HTTP_IOT_OPT_BODY) {
            return NGX_OK;
        }

        return ngx_http_iot_body_bad(call, "Required request body is missing");
    }

    if (ngx_iot_json_check(&call->body, NGX_HTTP_IOT_BODY_DEPTH, NULL, NULL)
        != NGX_OK)
    {
        return ngx_http_iot_body_bad(call,
                                     "Request body is not valid JSON");
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_iot_body_text(ngx_http_iot_call_t *call)
{
    size_t   len;
    u_char  *p;

    if (call->body.data == NULL) {
        return NGX_OK;
    }

    if (ngx_iot_utf8_check(call->body.data, call->body.len) != NGX_OK
        || ngx_strlchr(call->body.data, call->body.data + call->body.len,
                       '\0'))
    {
        return ngx_http_iot_body_bad(call, "Request body is not valid UTF-8");
    }

    len = ngx_iot_json_escape_size(call->body.data, call->body.len);

    p = ngx_pnalloc(call->pool, len + 2);
    if (p == NULL) {
        return NGX_ERROR;
    }

    *p = '"';
    (void) ngx_iot_json_escape(p + 1, call->body.data, call->body.len);
    p[len + 1] = '"';

    call->body.data = p;
    call->body.len = len + 2;

    return NGX_OK;
}


static ngx_int_t
ngx_http_iot_body_bad(ngx_http_iot_call_t *call, char *message)
{
    ngx_iot_error_set(&call->error, NGX_HTTP_BAD_REQUEST, "bad_request",
                      message);

    return NGX_DECLINED;
}
