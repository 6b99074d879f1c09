
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_HTTP_IOT_DEVICE_H_INCLUDED_
#define _NGX_HTTP_IOT_DEVICE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "../codec/ngx_iot_value.h"
#include "../core/ngx_iot_db.h"
#include "../device/ngx_iot_device.h"
#include "../device/ngx_iot_telemetry.h"


typedef struct ngx_http_iot_device_ctx_s  ngx_http_iot_device_ctx_t;

/*
 * Returns NGX_AGAIN when an event will answer, or what
 * ngx_http_finalize_request() takes.
 */
typedef ngx_int_t (*ngx_http_iot_device_pt)(ngx_http_iot_device_ctx_t *ctx);


typedef struct {
    ngx_uint_t                  method;
    ngx_str_t                   path;      /* behind the token */
    ngx_uint_t                  telemetry; /* it brings values */
    ngx_http_iot_device_pt      handler;
} ngx_http_iot_device_route_t;


/* one request; lives in its pool */

struct ngx_http_iot_device_ctx_s {
    ngx_http_request_t           *request;
    ngx_http_iot_device_route_t  *route;
    ngx_str_t                     token;
    ngx_str_t                     body;

    ngx_iot_device_t             *device;
    ngx_iot_device_wait_t         wait;

    ngx_iot_alloc_t               alloc;
    ngx_iot_points_t              points;
    ngx_iot_save_t                save;
    ngx_iot_db_call_t            *call;

    unsigned                      waiting:1;
    unsigned                      saving:1;
};


extern ngx_str_t  ngx_http_iot_device_text;      /* text/plain */


/* answers: all return what ngx_http_finalize_request() takes */

ngx_int_t ngx_http_iot_device_send(ngx_http_iot_device_ctx_t *ctx,
    ngx_uint_t status, ngx_str_t *type, ngx_str_t *body);
ngx_int_t ngx_http_iot_device_discard(ngx_http_iot_device_ctx_t *ctx,
    ngx_uint_t status);
ngx_int_t ngx_http_iot_device_too_large(ngx_http_iot_device_ctx_t *ctx);
ngx_int_t ngx_http_iot_device_unavailable(ngx_http_iot_device_ctx_t *ctx,
    ngx_uint_t retry_after);
ngx_int_t ngx_http_iot_device_limited(ngx_http_iot_device_ctx_t *ctx);
ngx_int_t ngx_http_iot_device_error(ngx_http_iot_device_ctx_t *ctx,
    ngx_iot_error_t *err);

/* NGX_OK: *cbor is set; NGX_DECLINED: a type we do not read, answer 415 */
ngx_int_t ngx_http_iot_device_media(ngx_http_iot_device_ctx_t *ctx,
    ngx_uint_t *cbor);

void *ngx_http_iot_device_alloc(void *pool, size_t size);


/* handlers in files of their own */

ngx_int_t ngx_http_iot_device_query_attributes(
    ngx_http_iot_device_ctx_t *ctx);
ngx_int_t ngx_http_iot_device_firmware(ngx_http_iot_device_ctx_t *ctx);
ngx_int_t ngx_http_iot_device_software(ngx_http_iot_device_ctx_t *ctx);
ngx_int_t ngx_http_iot_device_claim(ngx_http_iot_device_ctx_t *ctx);
ngx_int_t ngx_http_iot_device_provision(ngx_http_iot_device_ctx_t *ctx);


#endif /* _NGX_HTTP_IOT_DEVICE_H_INCLUDED_ */
