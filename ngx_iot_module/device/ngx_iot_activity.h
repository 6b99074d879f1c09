
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_IOT_ACTIVITY_H_INCLUDED_
#define _NGX_IOT_ACTIVITY_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/*
 * When devices were heard of: noted in the memory of the worker, and written
 * for all of them together every few seconds.  nr is that of the device.  With
 * no memory, or no database for long, the latest is what counts anyway.
 */

#define NGX_IOT_ACTIVITY_SEEN          0
#define NGX_IOT_ACTIVITY_CONNECTED     1
#define NGX_IOT_ACTIVITY_DISCONNECTED  2

void ngx_iot_activity(int32_t nr, ngx_uint_t what);

ngx_int_t ngx_iot_activity_init_process(ngx_cycle_t *cycle);


#endif /* _NGX_IOT_ACTIVITY_H_INCLUDED_ */
