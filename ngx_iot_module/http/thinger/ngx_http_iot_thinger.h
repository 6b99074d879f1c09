
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_HTTP_IOT_THINGER_H_INCLUDED_
#define _NGX_HTTP_IOT_THINGER_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "../../codec/ngx_iot_codec.h"
#include "../ngx_http_iot_call.h"
#include "../ngx_http_iot_dialect.h"


extern ngx_http_iot_route_t  ngx_http_iot_thinger_routes[];


/* handlers of routes: resources of a connected device, by version */

ngx_int_t ngx_http_iot_thinger_resource(ngx_http_iot_call_t *call);
ngx_int_t ngx_http_iot_thinger_resource_v2(ngx_http_iot_call_t *call);

/* a device that is made: the id of its credentials is computed */

ngx_int_t ngx_http_iot_thinger_device(ngx_http_iot_call_t *call);


#endif /* _NGX_HTTP_IOT_THINGER_H_INCLUDED_ */
