
/*
 * Copyright (C) the ngx_iot authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "../codec/ngx_iot_cbor.h"
#include "../core/ngx_iot_metrics.h"
#include "../core/ngx_iot_zone.h"
#include "../device/ngx_iot_activity.h"
#include "../device/ngx_iot_device_rate.h"
#include "ngx_http_iot_device.h"
#include "ngx_http_iot_module.h"
#include "ngx_http_iot_poll.h"


/*
 * The device HTTP API of ThingsBoard, below the location it is switched on
 * in: <location>{token}/telemetry and so on.  The life of a request:
 *
 *   device -> body -> save or query -> answer
 *
 * The device comes before the body, so that a stranger cannot make us read
 * one.
 */

#define NGX_HTTP_IOT_DEVICE_BODY   52428800
#define NGX_HTTP_IOT_DEVICE_ITEMS  100000


static ngx_int_t ngx_http_iot_device_path(ngx_http_iot_device_ctx_t *ctx);
static ngx_http_iot_device_route_t *ngx_http_iot_device_find_route(
    ngx_http_request_t *r, ngx_str_t *path, ngx_uint_t *methods);
static ngx_int_t ngx_http_iot_device_not_allowed(
    ngx_http_iot_device_ctx_t *ctx, ngx_uint_t methods);
static void ngx_http_iot_device_found(ngx_iot_device_wait_t *wait,
    ngx_int_t rc, ngx_iot_device_t *device, ngx_iot_error_t *err);
static ngx_int_t ngx_http_iot_device_go(ngx_http_iot_device_ctx_t *ctx);
static ngx_int_t ngx_http_iot_device_variables(
    ngx_http_iot_device_ctx_t *ctx);
static void ngx_http_iot_device_body(ngx_http_request_t *r);
static void ngx_http_iot_device_cleanup(void *data);

static ngx_int_t ngx_http_iot_device_telemetry(
    ngx_http_iot_device_ctx_t *ctx);
static ngx_int_t ngx_http_iot_device_attributes(
    ngx_http_iot_device_ctx_t *ctx);
static ngx_int_t ngx_http_iot_device_save(ngx_http_iot_device_ctx_t *ctx,
    ngx_uint_t scope);
static ngx_int_t ngx_http_iot_device_bad_payload(
    ngx_http_iot_device_ctx_t *ctx, ngx_int_t rc);
static void ngx_http_iot_device_saved(ngx_iot_save_t *save, ngx_int_t rc,
    ngx_iot_error_t *err);


/* "*" takes one segment */

static ngx_http_iot_device_route_t  ngx_http_iot_device_routes[] = {

    { NGX_HTTP_POST, ngx_string("telemetry"), 1,
      ngx_http_iot_device_telemetry },

    { NGX_HTTP_POST, ngx_string("attributes"), 1,
      ngx_http_iot_device_attributes },

    { NGX_HTTP_GET, ngx_string("attributes"), 0,
      ngx_http_iot_device_query_attributes },

    { NGX_HTTP_GET, ngx_string("attributes/updates"), 0,
      ngx_http_iot_poll_attributes },

    { NGX_HTTP_GET, ngx_string("rpc"), 0,
      ngx_http_iot_poll_rpc },

    { NGX_HTTP_POST, ngx_string("rpc"), 0,
      ngx_http_iot_device_rpc },

    { NGX_HTTP_POST, ngx_string("rpc/*"), 0,
      ngx_http_iot_device_rpc_answer },

    { NGX_HTTP_POST, ngx_string("claim"), 0,
      ngx_http_iot_device_claim },

    { NGX_HTTP_GET, ngx_string("firmware"), 0,
      ngx_http_iot_device_firmware },

    { NGX_HTTP_GET, ngx_string("software"), 0,
      ngx_http_iot_device_software },

    { 0, ngx_null_string, 0, NULL }
};


static ngx_http_iot_device_route_t  ngx_http_iot_device_provision_route = {
    NGX_HTTP_POST, ngx_string("provision"), 0, ngx_http_iot_device_provision
};


ngx_int_t
ngx_http_iot_device_handler(ngx_http_request_t *r)
{
    ngx_int_t                   rc;
    ngx_pool_cleanup_t         *cln;
    ngx_http_iot_device_ctx_t  *ctx;

    if (r->method == NGX_HTTP_OPTIONS) {
        rc = ngx_http_iot_cors_preflight(r);

        if (rc != NGX_DECLINED) {
            return rc;
        }
    }

    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_http_iot_device_ctx_t));
    if (cln == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx = cln->data;
    ngx_memzero(ctx, sizeof(ngx_http_iot_device_ctx_t));

    ctx->request = r;
    cln->handler = ngx_http_iot_device_cleanup;

    if (ngx_http_iot_get_ctx(r) == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_http_iot_get_ctx(r)->device_api = ctx;

    return ngx_http_iot_device_path(ctx);
}


static ngx_int_t
ngx_http_iot_device_path(ngx_http_iot_device_ctx_t *ctx)
{
    u_char                    *p, *last;
    ngx_int_t                  rc;
    ngx_str_t                  path;
    ngx_uint_t                 methods;
    ngx_http_request_t        *r;
    ngx_http_core_loc_conf_t  *clcf;

    r = ctx->request;
    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    p = r->uri.data + ngx_min(clcf->name.len, r->uri.len);
    last = r->uri.data + r->uri.len;

    while (p < last && *p == '/') {
        p++;
    }

    ctx->token.data = p;

    while (p < last && *p != '/') {
        p++;
    }

    ctx->token.len = p - ctx->token.data;

    while (p < last && *p == '/') {
        p++;
    }

    /* older clients end their paths with a slash */

    while (last > p && last[-1] == '/') {
        last--;
    }

    path.data = p;
    path.len = last - p;

    if (path.len == 0 && ctx->token.len == sizeof("provision") - 1
        && ngx_strncmp(ctx->token.data, "provision", ctx->token.len) == 0)
    {
        ctx->route = &ngx_http_iot_device_provision_route;

        if (r->method != NGX_HTTP_POST) {
            return ngx_http_iot_device_not_allowed(ctx, NGX_HTTP_POST);
        }

        return ngx_http_iot_device_go(ctx);
    }

    ctx->route = ngx_http_iot_device_find_route(r, &path, &methods);

    if (ctx->route == NULL) {

        if (methods) {
            return ngx_http_iot_device_not_allowed(ctx, methods);
        }

        return ngx_http_iot_device_discard(ctx, NGX_HTTP_NOT_FOUND);
    }

    ctx->wait.found = ngx_http_iot_device_found;
    ctx->wait.data = ctx;

    rc = ngx_iot_device_by_token(&ctx->token, &ctx->device, &ctx->wait);

    switch (rc) {

    case NGX_OK:
        return ngx_http_iot_device_go(ctx);

    case NGX_AGAIN:
        r->main->count++;
        ctx->waiting = 1;
        return NGX_DONE;

    case NGX_DECLINED:
        return ngx_http_iot_device_discard(ctx, NGX_HTTP_UNAUTHORIZED);

    default: /* NGX_BUSY */
        return ngx_http_iot_device_discard(ctx, NGX_HTTP_SERVICE_UNAVAILABLE);
    }
}


static ngx_http_iot_device_route_t *
ngx_http_iot_device_find_route(ngx_http_request_t *r, ngx_str_t *path,
    ngx_uint_t *methods)
{
    size_t                        len;
    ngx_uint_t                    method;
    ngx_http_iot_device_route_t  *route;

    method = (r->method == NGX_HTTP_HEAD) ? NGX_HTTP_GET : r->method;
    *methods = 0;

    for (route = ngx_http_iot_device_routes; route->handler; route++) {
        len = route->path.len;

        if (route->path.data[len - 1] == '*') {
            len--;

            if (path->len <= len
                || ngx_strncmp(path->data, route->path.data, len) != 0
                || ngx_strlchr(path->data + len, path->data + path->len, '/'))
            {
                continue;
            }

        } else if (path->len != len
                   || ngx_strncmp(path->data, route->path.data, len) != 0)
        {
            continue;
        }

        if (route->method == method) {
            return route;
        }

        *methods |= route->method;
    }

    return NULL;
}


static ngx_int_t
ngx_http_iot_device_not_allowed(ngx_http_iot_device_ctx_t *ctx,
    ngx_uint_t methods)
{
    static ngx_str_t  get = ngx_string("GET, HEAD");
    static ngx_str_t  post = ngx_string("POST");
    static ngx_str_t  both = ngx_string("GET, HEAD, POST");

    ngx_str_t  *allow;

    if (methods == (NGX_HTTP_GET|NGX_HTTP_POST)) {
        allow = &both;

    } else {
        allow = (methods & NGX_HTTP_GET) ? &get : &post;
    }

    if (ngx_http_iot_add_header(ctx->request, "Allow", allow) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_iot_device_discard(ctx, NGX_HTTP_NOT_ALLOWED);
}


/* from an event: the request was suspended with one count more */

static void
ngx_http_iot_device_found(ngx_iot_device_wait_t *wait, ngx_int_t rc,
    ngx_iot_device_t *device, ngx_iot_error_t *err)
{
    ngx_connection_t           *c;
    ngx_http_request_t         *r;
    ngx_http_iot_device_ctx_t  *ctx;

    ctx = wait->data;
    r = ctx->request;
    c = r->connection;

    ctx->waiting = 0;
    ctx->device = device;

    if (rc == NGX_OK) {
        rc = ngx_http_iot_device_go(ctx);

    } else {
        rc = ngx_http_iot_device_discard(ctx,
                                         rc == NGX_DECLINED
                                             ? NGX_HTTP_UNAUTHORIZED
                                             : NGX_HTTP_SERVICE_UNAVAILABLE);
    }

    ngx_http_finalize_request(r, rc);
    ngx_http_run_posted_requests(c);
}


/* returns as a content handler does */

static ngx_int_t
ngx_http_iot_device_go(ngx_http_iot_device_ctx_t *ctx)
{
    ngx_int_t            rc;
    ngx_http_request_t  *r;

    r = ctx->request;

    if (ctx->device) {

        if (ngx_http_iot_device_variables(ctx) != NGX_OK) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        if (ngx_iot_device_rate(ctx->device, 1, ctx->route->telemetry, 0)
            != NGX_OK)
        {
            return ngx_http_iot_device_limited(ctx);
        }
    }

    if (ctx->device) {
        ngx_iot_activity(ctx->device->nr, NGX_IOT_ACTIVITY_SEEN);
    }

    if (r->headers_in.content_length_n > NGX_HTTP_IOT_DEVICE_BODY) {
        return ngx_http_iot_device_too_large(ctx);
    }

    r->request_body_in_single_buf = 1;

    rc = ngx_http_read_client_request_body(r, ngx_http_iot_device_body);

    return rc >= NGX_HTTP_SPECIAL_RESPONSE ? rc : NGX_DONE;
}


static ngx_int_t
ngx_http_iot_device_variables(ngx_http_iot_device_ctx_t *ctx)
{
    u_char              *p;
    ngx_http_iot_ctx_t  *hctx;

    hctx = ngx_http_iot_get_ctx(ctx->request);

    /* the access log is written when the device may be gone */

    p = ngx_pnalloc(ctx->request->pool, 2 * NGX_IOT_UUID_TEXT);
    if (p == NULL) {
        return NGX_ERROR;
    }

    hctx->device.data = p;
    hctx->device.len = NGX_IOT_UUID_TEXT;
    p = ngx_cpymem(p, ctx->device->id, NGX_IOT_UUID_TEXT);

    hctx->tenant.data = p;
    hctx->tenant.len = NGX_IOT_UUID_TEXT;
    ngx_memcpy(p, ctx->device->tenant, NGX_IOT_UUID_TEXT);

    return NGX_OK;
}


static void
ngx_http_iot_device_body(ngx_http_request_t *r)
{
    ngx_int_t                   rc;
    ngx_http_iot_device_ctx_t  *ctx;

    ctx = ngx_http_iot_get_ctx(r)->device_api;

    rc = ngx_http_iot_body_gather(r, &ctx->body, NGX_HTTP_IOT_DEVICE_BODY);

    if (rc == NGX_DECLINED) {
        ngx_http_finalize_request(r, ngx_http_iot_device_too_large(ctx));
        return;
    }

    if (rc != NGX_OK) {
        ngx_http_finalize_request(r, NGX_HTTP_INTERNAL_SERVER_ERROR);
        return;
    }

    /* from here on nginx tells us when the client goes away */

    r->read_event_handler = ngx_http_test_reading;
    r->write_event_handler = ngx_http_request_empty_handler;

    rc = ctx->route->handler(ctx);

    if (rc != NGX_AGAIN) {
        ngx_http_finalize_request(r, rc);
    }
}


static void
ngx_http_iot_device_cleanup(void *data)
{
    ngx_http_iot_device_ctx_t  *ctx = data;

    ngx_iot_device_unwait(&ctx->wait);

    if (ctx->saving) {
        ngx_iot_save_abandon(&ctx->save);
    }

    if (ctx->call) {
        ngx_iot_db_abandon(ctx->call);
    }

    if (ctx->device) {
        ngx_iot_device_release(ctx->device);
    }
}


static ngx_int_t
ngx_http_iot_device_telemetry(ngx_http_iot_device_ctx_t *ctx)
{
    return ngx_http_iot_device_save(ctx, 0);
}


static ngx_int_t
ngx_http_iot_device_attributes(ngx_http_iot_device_ctx_t *ctx)
{
    return ngx_http_iot_device_save(ctx, NGX_IOT_SCOPE_CLIENT);
}


static ngx_int_t
ngx_http_iot_device_save(ngx_http_iot_device_ctx_t *ctx, ngx_uint_t scope)
{
    int64_t                now;
    ngx_int_t              rc;
    ngx_time_t            *tp;
    ngx_uint_t             cbor;
    ngx_iot_points_t      *points;
    ngx_iot_value_opts_t   opts;

    if (ngx_http_iot_device_media(ctx, &cbor) != NGX_OK) {
        return ngx_http_iot_device_send(ctx, NGX_HTTP_UNSUPPORTED_MEDIA_TYPE,
                                        NULL, NULL);
    }

    ctx->alloc.alloc = ngx_http_iot_device_alloc;
    ctx->alloc.data = ctx->request->pool;

    points = &ctx->points;
    ngx_iot_points_init(points, &ctx->alloc);

    ngx_iot_value_opts_init(&opts);
    opts.cast_strings = ctx->device->cast_strings;
    opts.skip_null = 1;
    opts.max_points = NGX_HTTP_IOT_DEVICE_ITEMS;
    opts.max_ts = NGX_IOT_JSON_MAX_TS;

    tp = ngx_timeofday();
    now = (int64_t) tp->sec * 1000 + tp->msec;

    if (scope) {
        rc = cbor ? ngx_iot_cbor_attributes(points, &ctx->body, now, &opts)
                  : ngx_iot_json_attributes(points, &ctx->body, now, &opts);

    } else {
        rc = cbor ? ngx_iot_cbor_telemetry(points, &ctx->body, now, &opts)
                  : ngx_iot_json_telemetry(points, &ctx->body, now, &opts);
    }

    if (rc != NGX_OK) {
        return ngx_http_iot_device_bad_payload(ctx, rc);
    }

    if (ngx_iot_device_rate(ctx->device, 0, 0, points->n) != NGX_OK) {
        ngx_iot_add(points_refused, points->n);
        return ngx_http_iot_device_limited(ctx);
    }

    ctx->save.device = ctx->device;
    ctx->save.points = points->points;
    ctx->save.npoints = points->n;
    ctx->save.scope = scope;
    ctx->save.pool = ctx->request->pool;
    ctx->save.saved = ngx_http_iot_device_saved;
    ctx->save.data = ctx;

    rc = ngx_iot_save(&ctx->save);

    if (rc == NGX_OK) {
        return ngx_http_iot_device_send(ctx, NGX_HTTP_OK, NULL, NULL);
    }

    if (rc != NGX_AGAIN) {
        return ngx_http_iot_device_unavailable(ctx, 1);
    }

    ctx->saving = 1;

    return NGX_AGAIN;
}


static ngx_int_t
ngx_http_iot_device_bad_payload(ngx_http_iot_device_ctx_t *ctx, ngx_int_t rc)
{
    ngx_str_t  *text;

    static ngx_str_t  too_many = ngx_string("Too many values in one request");

    if (rc == NGX_ERROR) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    text = (rc == NGX_BUSY) ? &too_many : &ctx->points.error;

    ngx_iot_add(points_refused, 1);

    ngx_log_error(NGX_LOG_INFO, ctx->request->connection->log, 0,
                  "payload of device %*s of tenant %*s refused: %V",
                  (size_t) NGX_IOT_UUID_TEXT, ctx->device->id,
                  (size_t) NGX_IOT_UUID_TEXT, ctx->device->tenant, text);

    return ngx_http_iot_device_send(ctx, NGX_HTTP_BAD_REQUEST,
                                    &ngx_http_iot_device_text, text);
}


static void
ngx_http_iot_device_saved(ngx_iot_save_t *save, ngx_int_t rc,
    ngx_iot_error_t *err)
{
    ngx_connection_t           *c;
    ngx_http_request_t         *r;
    ngx_http_iot_device_ctx_t  *ctx;

    ctx = save->data;
    r = ctx->request;
    c = r->connection;

    ctx->saving = 0;

    if (rc == NGX_OK) {
        rc = ngx_http_iot_device_send(ctx, NGX_HTTP_OK, NULL, NULL);

    } else {
        rc = ngx_http_iot_device_error(ctx, err);
    }

    ngx_http_finalize_request(r, rc);
    ngx_http_run_posted_requests(c);
}
