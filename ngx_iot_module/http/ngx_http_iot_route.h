
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_HTTP_IOT_ROUTE_H_INCLUDED_
#define _NGX_HTTP_IOT_ROUTE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "../core/ngx_iot_auth.h"
#include "../core/ngx_iot_db.h"


/* flags of a route */
#define NGX_HTTP_IOT_BODY         0x0001  /* a JSON body is expected */
#define NGX_HTTP_IOT_READ         0x0002  /* pure read: the read lane */
#define NGX_HTTP_IOT_STREAM       0x0004  /* SETOF text, slow lane, chunked */
#define NGX_HTTP_IOT_TEXT_ERRORS  0x0008  /* errors as plain text */
#define NGX_HTTP_IOT_TEXT_BODY    0x0010  /* body is passed as JSON string */
#define NGX_HTTP_IOT_EMPTY        0x0020  /* success is 200 without a body */
#define NGX_HTTP_IOT_OPT_BODY     0x0040  /* JSON body or none */
#define NGX_HTTP_IOT_RAW_BODY     0x0080  /* any bytes, for a handler in C */


typedef struct ngx_http_iot_call_s   ngx_http_iot_call_t;
typedef struct ngx_http_iot_route_s  ngx_http_iot_route_t;

typedef ngx_int_t (*ngx_http_iot_handler_pt)(ngx_http_iot_call_t *call);


/*
 * A route: methods (a bit mask, usually of one), pattern, who may call at all,
 * and the SQL function (schema.name; signature (iot.principal, path text[],
 * query json, body json)) or a handler in C, or both: the handler goes first
 * and may go on to the function with ngx_http_iot_call_sql().
 *
 * {name} in a pattern takes one path segment; the values go to the function
 * as path, in order.  "*" as the last segment takes whatever is left, also
 * nothing, and is no value.  Of several routes that fit path and method, a
 * literal segment wins over {name} and that over "*".  HEAD is served by the
 * GET route.  A trailing slash in request or pattern means nothing.
 */

#define NGX_HTTP_IOT_ANY_METHOD                                               \
    (NGX_HTTP_GET|NGX_HTTP_POST|NGX_HTTP_PUT|NGX_HTTP_DELETE|NGX_HTTP_PATCH)


struct ngx_http_iot_route_s {
    ngx_uint_t                 method;
    ngx_str_t                  pattern;
    ngx_uint_t                 who;
    char                      *function;
    ngx_http_iot_handler_pt    handler;
    ngx_uint_t                 flags;
    ngx_iot_db_stmt_t          stmt;       /* filled by the router */
};

#define ngx_http_iot_null_route  { 0, ngx_null_string, 0, NULL, NULL, 0,      \
                                   { ngx_null_string, 0 } }


typedef struct ngx_http_iot_router_s  ngx_http_iot_router_t;

/*
 * Build the router of a route table, and the statement of every route.  Two
 * routes that would fit the same request equally well are an error, logged.
 */
ngx_http_iot_router_t *ngx_http_iot_router_create(ngx_conf_t *cf,
    ngx_http_iot_route_t *routes);

/*
 * Find the route of call->request by its path and method: sets call->route
 * (NULL: none), call->path and call->allow (the methods known of that path, 0:
 * no such path).  NGX_ERROR: no memory; NGX_DECLINED: the path is not text
 * (bad escape, invalid UTF-8, too many segments).
 */
ngx_int_t ngx_http_iot_router_find(ngx_http_iot_router_t *router,
    ngx_http_iot_call_t *call);

/* The value of an Allow header for a mask of methods. */
ngx_int_t ngx_http_iot_route_allow(ngx_uint_t methods, ngx_str_t *value,
    ngx_pool_t *pool);


#endif /* _NGX_HTTP_IOT_ROUTE_H_INCLUDED_ */
