
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_HTTP_IOT_POLL_H_INCLUDED_
#define _NGX_HTTP_IOT_POLL_H_INCLUDED_


#include "ngx_http_iot_device.h"


/* handlers of the device API that wait for something */

ngx_int_t ngx_http_iot_poll_attributes(ngx_http_iot_device_ctx_t *ctx);
ngx_int_t ngx_http_iot_poll_rpc(ngx_http_iot_device_ctx_t *ctx);

/* POST rpc/ID: the answer to a request; POST rpc: a request of the device */

ngx_int_t ngx_http_iot_device_rpc_answer(ngx_http_iot_device_ctx_t *ctx);
ngx_int_t ngx_http_iot_device_rpc(ngx_http_iot_device_ctx_t *ctx);


#endif /* _NGX_HTTP_IOT_POLL_H_INCLUDED_ */
