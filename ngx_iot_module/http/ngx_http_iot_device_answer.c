
/*
 * Copyright (C) the ngx_iot authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "../core/ngx_iot_metrics.h"
#include "../device/ngx_iot_device_rate.h"
#include "ngx_http_iot_device.h"
#include "ngx_http_iot_module.h"


static ngx_int_t ngx_http_iot_device_retry_after(ngx_http_request_t *r,
    ngx_uint_t seconds);
static ngx_uint_t ngx_http_iot_device_is_type(ngx_str_t *value, char *type);


ngx_str_t  ngx_http_iot_device_text = ngx_string("text/plain");

static ngx_str_t  ngx_http_iot_device_json = ngx_string("application/json");
static ngx_str_t  ngx_http_iot_device_limit =
    ngx_string("\"Payload size exceeds the limit\"");


ngx_int_t
ngx_http_iot_device_send(ngx_http_iot_device_ctx_t *ctx, ngx_uint_t status,
    ngx_str_t *type, ngx_str_t *body)
{
    ngx_iot_count(requests_device);

    if (status >= 500) {
        ngx_iot_count(requests_failed);

    } else if (status >= 400) {
        ngx_iot_count(requests_refused);
    }

    if (ngx_exiting) {
        /* the connection will be closed, and the device should know */
        ctx->request->keepalive = 0;
    }

    return ngx_http_iot_send(ctx->request, status, type, body);
}


/* an answer before the body was read */

ngx_int_t
ngx_http_iot_device_discard(ngx_http_iot_device_ctx_t *ctx,
    ngx_uint_t status)
{
    ngx_int_t  rc;

    rc = ngx_http_discard_request_body(ctx->request);
    if (rc != NGX_OK) {
        return rc;
    }

    if (status == NGX_HTTP_SERVICE_UNAVAILABLE) {
        return ngx_http_iot_device_unavailable(ctx, 1);
    }

    return ngx_http_iot_device_send(ctx, status, NULL, NULL);
}


ngx_int_t
ngx_http_iot_device_too_large(ngx_http_iot_device_ctx_t *ctx)
{
    ngx_int_t  rc;

    rc = ngx_http_discard_request_body(ctx->request);
    if (rc != NGX_OK) {
        return rc;
    }

    return ngx_http_iot_device_send(ctx, NGX_HTTP_REQUEST_ENTITY_TOO_LARGE,
                                    &ngx_http_iot_device_json,
                                    &ngx_http_iot_device_limit);
}


/* over a rate of the tenant profile; the body may not have been read */

ngx_int_t
ngx_http_iot_device_limited(ngx_http_iot_device_ctx_t *ctx)
{
    if (ngx_http_iot_device_retry_after(ctx->request,
                                        NGX_IOT_DEVICE_RETRY_AFTER)
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_iot_device_discard(ctx, NGX_HTTP_TOO_MANY_REQUESTS);
}


ngx_int_t
ngx_http_iot_device_unavailable(ngx_http_iot_device_ctx_t *ctx,
    ngx_uint_t retry_after)
{
    if (ngx_http_iot_device_retry_after(ctx->request, retry_after) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_iot_device_send(ctx, NGX_HTTP_SERVICE_UNAVAILABLE, NULL,
                                    NULL);
}


ngx_int_t
ngx_http_iot_device_error(ngx_http_iot_device_ctx_t *ctx,
    ngx_iot_error_t *err)
{
    u_char     *p;
    ngx_str_t   text;

    if (err->status == NGX_HTTP_SERVICE_UNAVAILABLE) {
        return ngx_http_iot_device_unavailable(ctx, err->retry_after
                                                    ? err->retry_after : 1);
    }

    /* the error goes with its call */

    p = ngx_pnalloc(ctx->request->pool, err->message.len);
    if (p == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    text.data = p;
    text.len = err->message.len;
    ngx_memcpy(p, err->message.data, text.len);

    return ngx_http_iot_device_send(ctx, err->status,
                                    &ngx_http_iot_device_text, &text);
}


static ngx_int_t
ngx_http_iot_device_retry_after(ngx_http_request_t *r, ngx_uint_t seconds)
{
    u_char     *p;
    ngx_str_t   value;

    p = ngx_pnalloc(r->pool, NGX_INT_T_LEN);
    if (p == NULL) {
        return NGX_ERROR;
    }

    value.data = p;
    value.len = ngx_sprintf(p, "%ui", seconds) - p;

    return ngx_http_iot_add_header(r, "Retry-After", &value);
}


/*
 * CBOR by its media type; what passes for JSON is what curl, microcontrollers
 * and old libraries send with it.  NGX_DECLINED: answer 415.
 */

ngx_int_t
ngx_http_iot_device_media(ngx_http_iot_device_ctx_t *ctx, ngx_uint_t *cbor)
{
    u_char           *p, *last;
    ngx_str_t         value;
    ngx_table_elt_t  *type;

    *cbor = 0;

    type = ctx->request->headers_in.content_type;

    if (type == NULL || type->value.len == 0) {
        return NGX_OK;
    }

    value = type->value;
    last = value.data + value.len;

    p = ngx_strlchr(value.data, last, ';');
    if (p) {
        value.len = p - value.data;
    }

    while (value.len && value.data[value.len - 1] == ' ') {
        value.len--;
    }

    if (ngx_http_iot_device_is_type(&value, "application/cbor")
        || ngx_http_iot_device_is_type(&value, "cbor"))
    {
        *cbor = 1;
        return NGX_OK;
    }

    if (ngx_http_iot_device_is_type(&value, "application/json")
        || ngx_http_iot_device_is_type(&value, "text/plain")
        || ngx_http_iot_device_is_type(&value, "text/json")
        || ngx_http_iot_device_is_type(&value, "application/octet-stream")
        || ngx_http_iot_device_is_type(&value,
                                       "application/x-www-form-urlencoded"))
    {
        return NGX_OK;
    }

    return NGX_DECLINED;
}


static ngx_uint_t
ngx_http_iot_device_is_type(ngx_str_t *value, char *type)
{
    return value->len == ngx_strlen(type)
           && ngx_strncasecmp(value->data, (u_char *) type, value->len) == 0;
}


void *
ngx_http_iot_device_alloc(void *pool, size_t size)
{
    return ngx_palloc(pool, size);
}
