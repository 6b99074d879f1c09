
/*
 * Copyright (C) the ngx_iot authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_iot_module.h"


/*
 * What nginx refuses by itself in a location of ours (a body over
 * client_max_body_size, "deny", limit_req, a failure of its own ...) would be
 * a page in HTML.  These filters put the error of the API in its place.  The
 * access phase would refuse an internal redirect to ourselves again, so that
 * "error_page" cannot do it; but one of the user goes first.
 */

typedef struct {
    ngx_uint_t   status;
    char        *code;
    char        *message;
} ngx_http_iot_refusal_t;


static ngx_int_t ngx_http_iot_refuse_header_filter(ngx_http_request_t *r);
static ngx_int_t ngx_http_iot_refuse_body_filter(ngx_http_request_t *r,
    ngx_chain_t *in);


static ngx_http_iot_refusal_t  ngx_http_iot_refusals[] = {
    { NGX_HTTP_UNAUTHORIZED, "authentication", "Authentication failed" },
    { NGX_HTTP_FORBIDDEN, "permission_denied",
      "You don't have permission to perform this operation!" },
    { NGX_HTTP_NOT_FOUND, "not_found", "Requested item wasn't found!" },
    { NGX_HTTP_NOT_ALLOWED, "method_not_allowed",
      "Request method is not supported" },
    { NGX_HTTP_REQUEST_ENTITY_TOO_LARGE, "too_large",
      "Payload size exceeds the limit" },
    { NGX_HTTP_TOO_MANY_REQUESTS, "too_many_requests", "Too many requests" },
    { NGX_HTTP_SERVICE_UNAVAILABLE, "unavailable", "Service is unavailable" },
    { NGX_HTTP_INTERNAL_SERVER_ERROR, "general", "Internal server error" },
    { 0, "bad_request", "Bad request" }
};


static ngx_http_output_header_filter_pt  ngx_http_next_header_filter;
static ngx_http_output_body_filter_pt    ngx_http_next_body_filter;


/* of "iot_api": the envelope of the dialect */

ngx_int_t
ngx_http_iot_api_refuse(ngx_http_request_t *r, ngx_str_t *type,
    ngx_str_t *body)
{
    ngx_iot_error_t           err;
    ngx_http_iot_ctx_t       *ctx;
    ngx_http_iot_call_t      *call;
    ngx_http_iot_refusal_t   *refusal;
    ngx_http_iot_loc_conf_t  *ilcf;

    ilcf = ngx_http_get_module_loc_conf(r, ngx_http_iot_module);

    ctx = ngx_http_iot_get_ctx(r);
    if (ctx == NULL) {
        return NGX_ERROR;
    }

    call = ctx->call;

    if (call == NULL) {
        call = ngx_pcalloc(r->pool, sizeof(ngx_http_iot_call_t));
        if (call == NULL) {
            return NGX_ERROR;
        }

        call->request = r;
        call->pool = r->pool;
        call->log = r->connection->log;
        call->dialect = ilcf->dialect;
    }

    for (refusal = ngx_http_iot_refusals; refusal->status; refusal++) {
        if (refusal->status == r->headers_out.status) {
            break;
        }
    }

    ngx_iot_error_set(&err, r->headers_out.status, refusal->code,
                      refusal->message);

    return ilcf->dialect->error(call, &err, type, body);
}


/* of "iot_device_api": the status says it all, but for a body too large */

ngx_int_t
ngx_http_iot_device_refuse(ngx_http_request_t *r, ngx_str_t *type,
    ngx_str_t *body)
{
    if (r->headers_out.status == NGX_HTTP_REQUEST_ENTITY_TOO_LARGE) {
        ngx_str_set(type, "application/json");
        ngx_str_set(body, "\"Payload size exceeds the limit\"");
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_iot_refuse_header_filter(ngx_http_request_t *r)
{
    ngx_str_t                 type, retry;
    ngx_http_iot_ctx_t       *ctx;
    ngx_http_iot_loc_conf_t  *ilcf;

    if (r->headers_out.status < NGX_HTTP_BAD_REQUEST || r != r->main) {
        return ngx_http_next_header_filter(r);
    }

    ilcf = ngx_http_get_module_loc_conf(r, ngx_http_iot_module);

    if (ilcf->refuse == NULL) {
        return ngx_http_next_header_filter(r);
    }

    ctx = ngx_http_iot_get_ctx(r);
    if (ctx == NULL) {
        return NGX_ERROR;
    }

    if (ctx->answered) {
        return ngx_http_next_header_filter(r);
    }

    ngx_str_null(&type);

    if (ilcf->refuse(r, &type, &ctx->refusal) != NGX_OK
        || ngx_http_iot_cors_headers(r) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (r->headers_out.status == NGX_HTTP_TOO_MANY_REQUESTS
        || r->headers_out.status == NGX_HTTP_SERVICE_UNAVAILABLE)
    {
        ngx_str_set(&retry, "1");

        if (ngx_http_iot_add_header(r, "Retry-After", &retry) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    ctx->answered = 1;
    ctx->refused = 1;

    ngx_http_clear_content_length(r);
    ngx_http_clear_accept_ranges(r);
    ngx_http_clear_last_modified(r);
    ngx_http_clear_etag(r);

    r->headers_out.content_length_n = ctx->refusal.len;
    r->headers_out.content_type = type;
    r->headers_out.content_type_len = type.len;
    r->headers_out.content_type_lowcase = NULL;

    return ngx_http_next_header_filter(r);
}


static ngx_int_t
ngx_http_iot_refuse_body_filter(ngx_http_request_t *r, ngx_chain_t *in)
{
    ngx_buf_t           *b;
    ngx_chain_t         *cl, out;
    ngx_http_iot_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_iot_module);

    if (ctx == NULL || !ctx->refused || in == NULL) {
        return ngx_http_next_body_filter(r, in);
    }

    for (cl = in; cl; cl = cl->next) {
        cl->buf->pos = cl->buf->last;
        cl->buf->file_pos = cl->buf->file_last;
    }

    if (ctx->replaced) {
        return NGX_OK;
    }

    ctx->replaced = 1;

    b = ngx_calloc_buf(r->pool);
    if (b == NULL) {
        return NGX_ERROR;
    }

    if (ctx->refusal.len) {
        b->pos = ctx->refusal.data;
        b->last = b->pos + ctx->refusal.len;
        b->memory = 1;
    }

    b->last_buf = 1;
    b->last_in_chain = 1;

    out.buf = b;
    out.next = NULL;

    return ngx_http_next_body_filter(r, &out);
}


ngx_int_t
ngx_http_iot_refuse_init(ngx_conf_t *cf)
{
    ngx_http_next_header_filter = ngx_http_top_header_filter;
    ngx_http_top_header_filter = ngx_http_iot_refuse_header_filter;

    ngx_http_next_body_filter = ngx_http_top_body_filter;
    ngx_http_top_body_filter = ngx_http_iot_refuse_body_filter;

    return NGX_OK;
}
