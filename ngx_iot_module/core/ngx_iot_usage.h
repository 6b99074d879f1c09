
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_IOT_USAGE_H_INCLUDED_
#define _NGX_IOT_USAGE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_iot_rates.h"


/*
 * What tenants use, for the caps of a month.  A worker counts in the entry of
 * the tenant's rates and tells the database about once a second: that is by
 * how much a cap may be passed, and what a killed worker may forget.  A
 * worker that leaves tells first.
 */

void ngx_iot_usage_count(ngx_iot_rates_t *rates, ngx_uint_t messages,
    ngx_uint_t points);


ngx_int_t ngx_iot_usage_init_process(ngx_cycle_t *cycle);


#endif /* _NGX_IOT_USAGE_H_INCLUDED_ */
