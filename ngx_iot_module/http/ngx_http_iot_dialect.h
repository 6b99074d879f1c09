
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_HTTP_IOT_DIALECT_H_INCLUDED_
#define _NGX_HTTP_IOT_DIALECT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_iot_call.h"


/*
 * What makes one API differ from another: its routes, and what is decided by
 * bytes.  All else is in the SQL functions that its routes name.
 */

struct ngx_iot_dialect_s {
    ngx_str_t                name;
    ngx_http_iot_route_t    *routes;

    /*
     * Find the credential in the request.  NGX_OK: call->principal is set;
     * NGX_AGAIN: ngx_http_iot_call_authenticated() will be called, with
     * call->error.status 0 or not; NGX_ERROR: call->error is set.
     */
    ngx_int_t              (*authenticate)(ngx_http_iot_call_t *call);

    /* Fill the error of a principal that no bit of route->who allows. */
    void                   (*refuse)(ngx_http_iot_call_t *call,
                                     ngx_iot_error_t *err);

    /* The largest body that the path may have. */
    off_t                  (*body_limit)(ngx_http_request_t *r);

    /* Render an error: content type and body, in call->pool. */
    ngx_int_t              (*error)(ngx_http_iot_call_t *call,
                                    ngx_iot_error_t *err, ngx_str_t *type,
                                    ngx_str_t *body);
};


extern ngx_iot_dialect_t  ngx_http_iot_tb_dialect;
extern ngx_iot_dialect_t  ngx_http_iot_thinger_dialect;


#endif /* _NGX_HTTP_IOT_DIALECT_H_INCLUDED_ */
