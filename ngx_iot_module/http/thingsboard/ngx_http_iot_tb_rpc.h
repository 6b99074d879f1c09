
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_HTTP_IOT_TB_RPC_H_INCLUDED_
#define _NGX_HTTP_IOT_TB_RPC_H_INCLUDED_


#include "../ngx_http_iot_call.h"


/* handlers of routes: the current version, and the one before */

ngx_int_t ngx_http_iot_tb_rpc_oneway(ngx_http_iot_call_t *call);
ngx_int_t ngx_http_iot_tb_rpc_twoway(ngx_http_iot_call_t *call);
ngx_int_t ngx_http_iot_tb_rpc_oneway_v1(ngx_http_iot_call_t *call);
ngx_int_t ngx_http_iot_tb_rpc_twoway_v1(ngx_http_iot_call_t *call);


#endif /* _NGX_HTTP_IOT_TB_RPC_H_INCLUDED_ */
