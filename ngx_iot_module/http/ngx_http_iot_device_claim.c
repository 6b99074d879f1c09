
/*
 * Copyright (C) the ngx_iot authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "../codec/ngx_iot_cbor.h"
#include "../device/ngx_iot_claim.h"
#include "ngx_http_iot_device.h"


/*
 * A device offers itself to the customer who knows its secret.  Whether it may
 * is not for it to know: the answer is the same.
 */

static void ngx_http_iot_device_claimed(ngx_iot_db_call_t *call);


ngx_int_t
ngx_http_iot_device_claim(ngx_http_iot_device_ctx_t *ctx)
{
    ngx_int_t        rc;
    ngx_str_t        text;
    ngx_uint_t       cbor;
    ngx_iot_claim_t  claim;

    static ngx_str_t  bad = ngx_string("Can't parse the request");

    if (ngx_http_iot_device_media(ctx, &cbor) != NGX_OK) {
        return ngx_http_iot_device_send(ctx, NGX_HTTP_UNSUPPORTED_MEDIA_TYPE,
                                        NULL, NULL);
    }

    ctx->alloc.alloc = ngx_http_iot_device_alloc;
    ctx->alloc.data = ctx->request->pool;
    ngx_iot_points_init(&ctx->points, &ctx->alloc);

    text = ctx->body;
    rc = NGX_OK;

    if (cbor && text.len) {
        rc = ngx_iot_cbor_to_json(&ctx->points, &text, &ctx->body);
    }

    if (rc == NGX_OK) {
        rc = ngx_iot_claim_parse(&claim, &text, &ctx->alloc);
    }

    if (rc == NGX_ERROR) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (rc != NGX_OK) {
        return ngx_http_iot_device_send(ctx, NGX_HTTP_BAD_REQUEST,
                                        &ngx_http_iot_device_text, &bad);
    }

    claim.device = ctx->device->id;

    ctx->call = ngx_iot_claim_offer(ctx->device->tenant, &claim, 1,
                                    ngx_http_iot_device_claimed, ctx);
    if (ctx->call == NULL) {
        return ngx_http_iot_device_unavailable(ctx, 1);
    }

    return NGX_AGAIN;
}


static void
ngx_http_iot_device_claimed(ngx_iot_db_call_t *call)
{
    ngx_int_t                   rc;
    ngx_connection_t           *c;
    ngx_http_request_t         *r;
    ngx_http_iot_device_ctx_t  *ctx;

    ctx = call->data;
    ctx->call = NULL;

    r = ctx->request;
    c = r->connection;

    if (call->rc == NGX_OK) {
        ngx_iot_claim_log(call, ctx->device->tenant);

        rc = ngx_http_iot_device_send(ctx, NGX_HTTP_OK, NULL, NULL);

    } else {
        rc = ngx_http_iot_device_error(ctx, &call->error);
    }

    ngx_http_finalize_request(r, rc);
    ngx_http_run_posted_requests(c);
}
