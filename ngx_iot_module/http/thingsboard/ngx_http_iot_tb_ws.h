
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_HTTP_IOT_TB_WS_H_INCLUDED_
#define _NGX_HTTP_IOT_TB_WS_H_INCLUDED_


#include "../ngx_http_iot_call.h"


/* the handler of /api/ws and of what it was called before */
ngx_int_t ngx_http_iot_tb_ws(ngx_http_iot_call_t *call);


#endif /* _NGX_HTTP_IOT_TB_WS_H_INCLUDED_ */
