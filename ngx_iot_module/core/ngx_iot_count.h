
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_IOT_COUNT_H_INCLUDED_
#define _NGX_IOT_COUNT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/*
 * How many there are of something, over the workers of a node: connections of
 * a tenant, subscriptions of a user.  What a worker had counted that is gone,
 * does not count.
 */

/*
 * One more, unless there are max already (0: unlimited).  what tells counts
 * of the same key apart.  NGX_OK, NGX_BUSY, or NGX_DECLINED: it is not
 * counted, since the shared zone is out of memory or the worker has no slot.
 */
ngx_int_t ngx_iot_count_add(char *what, ngx_str_t *key, ngx_uint_t max);

/* One less of what was added with NGX_OK. */
void ngx_iot_count_drop(char *what, ngx_str_t *key);

ngx_int_t ngx_iot_count_init_process(ngx_cycle_t *cycle);


#endif /* _NGX_IOT_COUNT_H_INCLUDED_ */
