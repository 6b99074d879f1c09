
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_HTTP_IOT_RATE_H_INCLUDED_
#define _NGX_HTTP_IOT_RATE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_iot_call.h"


/*
 * Rates of REST calls, as the profile of the tenant says: all users of the
 * tenant together, and those of each customer.  NGX_OK: go on; NGX_BUSY: too
 * many, call->error is set; NGX_AGAIN: the profile is being read, rated()
 * runs afterwards with one of the other two.
 */
ngx_int_t ngx_http_iot_rate(ngx_http_iot_call_t *call,
    ngx_http_iot_rated_pt rated);


#endif /* _NGX_HTTP_IOT_RATE_H_INCLUDED_ */
