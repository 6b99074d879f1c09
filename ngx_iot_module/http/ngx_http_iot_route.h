
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


typedef struct ngx_http_iot_call_s   ngx_http_iot_call_t;
typedef struct ngx_http_iot_route_s  ngx_http_iot_route_t;

typedef ngx_int_t (*ngx_http_iot_handler_pt)(ngx_http_iot_call_t *call);


/*
 * A route: method, pattern, who may call at all, and either the SQL function
 * (schema.name; signature (iot.principal, path text[], query json, body json))
 * or a handler in C.  {name} in a pattern takes one path segment; the values
 * go to the function as path, in order.  Of two routes that fit, the one with
 * the literal segment wins.
 */

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


#endif /* _NGX_HTTP_IOT_ROUTE_H_INCLUDED_ */
