
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_HTTP_IOT_MODULE_H_INCLUDED_
#define _NGX_HTTP_IOT_MODULE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "../core/ngx_iot_auth.h"
#include "ngx_http_iot_access.h"
#include "ngx_http_iot_dialect.h"


#define NGX_HTTP_IOT_DIALECTS  8


typedef struct {
    ngx_http_iot_router_t  *routers[NGX_HTTP_IOT_DIALECTS];
    ngx_array_t            *device_locations;   /* ngx_str_t: their names */
} ngx_http_iot_main_conf_t;


/*
 * Renders what nginx itself refused with r->headers_out.status: content type
 * and body, both may stay empty.
 */
typedef ngx_int_t (*ngx_http_iot_refuse_pt)(ngx_http_request_t *r,
    ngx_str_t *type, ngx_str_t *body);


typedef struct {
    ngx_iot_dialect_t       *dialect;
    ngx_http_handler_pt      handler;
    ngx_http_iot_refuse_pt   refuse;
    ngx_flag_t               cors;

    ngx_http_iot_gate_conf_t    *gate;        /* NULL: everybody may enter */
    ngx_http_iot_cookie_conf_t  *cookie;      /* NULL: there is none */
    ngx_http_complex_value_t    *login_url;
    ngx_str_t                    realm;       /* the challenge of Basic */
} ngx_http_iot_loc_conf_t;


/*
 * What the variables $iot_tenant, $iot_user ... are read from.
 * Anything that learns who asks fills it, also when the answer is a refusal.
 * The context of the module for a request is this structure; the strings live
 * in the pool of the request.
 */

typedef struct {
    ngx_str_t               tenant;
    ngx_str_t               device;
    ngx_str_t               user;
    ngx_str_t               customer;
    ngx_str_t               role;
    ngx_str_t               name;          /* fit for a header */
    ngx_str_t               email;         /* the name, of a user */
    ngx_http_iot_gate_t    *gate;
    ngx_http_iot_call_t    *call;          /* of "iot_api" */
    void                   *device_api;    /* of "iot_device_api" */
    void                   *blob;          /* a package on its way */
    void                   *ws;            /* of a WebSocket */

    ngx_str_t               refusal;       /* in place of the page of nginx */

    unsigned                answered:1;
    unsigned                refused:1;
    unsigned                replaced:1;
} ngx_http_iot_ctx_t;


/* The context of the request, made when there is none; NULL: no memory. */
ngx_http_iot_ctx_t *ngx_http_iot_get_ctx(ngx_http_request_t *r);

/* Fill the context from a principal (copied). */
void ngx_http_iot_set_ctx(ngx_http_request_t *r,
    ngx_iot_principal_t *principal);

ngx_http_iot_router_t *ngx_http_iot_get_router(ngx_http_request_t *r,
    ngx_iot_dialect_t *dialect);


/*
 * Keep the tokens of devices out of the error log: once for the module, and
 * for each location of the device API.
 */
ngx_int_t ngx_http_iot_log_init(ngx_conf_t *cf);
ngx_int_t ngx_http_iot_log_add_location(ngx_conf_t *cf, ngx_str_t *name);


/* content handlers */
ngx_int_t ngx_http_iot_device_handler(ngx_http_request_t *r);
ngx_int_t ngx_http_iot_health_handler(ngx_http_request_t *r);
ngx_int_t ngx_http_iot_ready_handler(ngx_http_request_t *r);
ngx_int_t ngx_http_iot_metrics_handler(ngx_http_request_t *r);


/* what nginx refuses, in the words of the API */
ngx_int_t ngx_http_iot_api_refuse(ngx_http_request_t *r, ngx_str_t *type,
    ngx_str_t *body);
ngx_int_t ngx_http_iot_device_refuse(ngx_http_request_t *r, ngx_str_t *type,
    ngx_str_t *body);
ngx_int_t ngx_http_iot_refuse_init(ngx_conf_t *cf);

/* The answer is ours from here on, whatever its status. */
ngx_int_t ngx_http_iot_answered(ngx_http_request_t *r);

/*
 * CORS: adds the headers of an actual request to the answer, or answers a
 * preflight (NGX_DECLINED: it is none).
 */
ngx_int_t ngx_http_iot_cors_headers(ngx_http_request_t *r);
ngx_int_t ngx_http_iot_cors_preflight(ngx_http_request_t *r);

/*
 * The body that was read, as one piece in memory; data NULL: there is none.
 * NGX_OK; NGX_DECLINED: more than limit; NGX_ERROR.
 */
ngx_int_t ngx_http_iot_body_gather(ngx_http_request_t *r, ngx_str_t *body,
    off_t limit);

/* For ngx_iot_alloc_t, whose data is a pool. */
void *ngx_http_iot_alloc(void *data, size_t size);

/* A header of the request, name in lower case; NULL: there is none. */
ngx_table_elt_t *ngx_http_iot_find_header(ngx_http_request_t *r, char *name);

/*
 * The body that was read as one piece of memory, data NULL: there is none.
 * NGX_DECLINED: larger than limit.
 */
ngx_int_t ngx_http_iot_body_gather(ngx_http_request_t *r, ngx_str_t *body,
    off_t limit);

/* Adds a header to the answer; key and value are not copied. */
ngx_int_t ngx_http_iot_add_header(ngx_http_request_t *r, char *key,
    ngx_str_t *value);

/*
 * Sends a whole answer of one buffer (body NULL or empty: none), type NULL:
 * no Content-Type.  Returns what the output filters say.
 */
ngx_int_t ngx_http_iot_send(ngx_http_request_t *r, ngx_uint_t status,
    ngx_str_t *type, ngx_str_t *body);


extern ngx_module_t  ngx_http_iot_module;


#endif /* _NGX_HTTP_IOT_MODULE_H_INCLUDED_ */
