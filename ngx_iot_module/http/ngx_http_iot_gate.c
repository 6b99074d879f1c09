
/*
 * Copyright (C) the ngx_iot authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "../core/ngx_iot_metrics.h"
#include "../core/ngx_iot_module.h"
#include "ngx_http_iot_module.h"


static ngx_int_t ngx_http_iot_gate_begin(ngx_http_request_t *r);
static ngx_int_t ngx_http_iot_gate_done(ngx_http_request_t *r, ngx_int_t rc);


static ngx_str_t  ngx_http_iot_text_type = ngx_string("text/plain");
static ngx_str_t  ngx_http_iot_metrics_type =
    ngx_string("text/plain; version=0.0.4; charset=utf-8");


static ngx_int_t
ngx_http_iot_gate_begin(ngx_http_request_t *r)
{
    ngx_str_t  allow = ngx_string("GET, HEAD");

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {

        if (ngx_http_iot_add_header(r, "Allow", &allow) != NGX_OK) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        return NGX_HTTP_NOT_ALLOWED;
    }

    return ngx_http_discard_request_body(r);
}


static ngx_int_t
ngx_http_iot_gate_done(ngx_http_request_t *r, ngx_int_t rc)
{
    ngx_str_t  no_store = ngx_string("no-store");

    if (rc != NGX_OK
        || ngx_http_iot_add_header(r, "Cache-Control", &no_store) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return NGX_OK;
}


/* alive: this worker turns its event loop */

ngx_int_t
ngx_http_iot_health_handler(ngx_http_request_t *r)
{
    ngx_int_t  rc;
    ngx_str_t  body = ngx_string("ok\n");

    rc = ngx_http_iot_gate_begin(r);
    if (rc != NGX_OK) {
        return rc;
    }

    rc = ngx_http_iot_gate_done(r, rc);
    if (rc != NGX_OK) {
        return rc;
    }

    return ngx_http_iot_send(r, NGX_HTTP_OK, &ngx_http_iot_text_type, &body);
}


/* ready: calls can be made and points can be written, and we are staying */

ngx_int_t
ngx_http_iot_ready_handler(ngx_http_request_t *r)
{
    ngx_int_t   rc;
    ngx_str_t  *body;

    static ngx_str_t  ready = ngx_string("ready\n");
    static ngx_str_t  none = ngx_string("not configured\n");
    static ngx_str_t  leaving = ngx_string("shutting down\n");
    static ngx_str_t  database = ngx_string("database is not available\n");

    rc = ngx_http_iot_gate_begin(r);
    if (rc != NGX_OK) {
        return rc;
    }

    rc = ngx_http_iot_gate_done(r, rc);
    if (rc != NGX_OK) {
        return rc;
    }

    if (!ngx_iot_conf()->enabled) {
        body = &none;

    } else if (ngx_exiting || ngx_quit || ngx_terminate) {
        body = &leaving;

    } else if (!ngx_iot_db_ready(NGX_IOT_DB_CALL)
               || !ngx_iot_db_ready(NGX_IOT_DB_WRITE))
    {
        body = &database;

    } else {
        body = &ready;
    }

    return ngx_http_iot_send(r, body == &ready ? NGX_HTTP_OK
                                               : NGX_HTTP_SERVICE_UNAVAILABLE,
                             &ngx_http_iot_text_type, body);
}


ngx_int_t
ngx_http_iot_metrics_handler(ngx_http_request_t *r)
{
    ngx_int_t   rc;
    ngx_str_t   body;
    ngx_buf_t  *b;

    rc = ngx_http_iot_gate_begin(r);
    if (rc != NGX_OK) {
        return rc;
    }

    b = ngx_iot_metrics_render(r->pool);
    if (b == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_http_iot_gate_done(r, rc);
    if (rc != NGX_OK) {
        return rc;
    }

    body.data = b->pos;
    body.len = b->last - b->pos;

    return ngx_http_iot_send(r, NGX_HTTP_OK, &ngx_http_iot_metrics_type,
                             &body);
}
