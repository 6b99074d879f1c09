
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_IOT_MAINTAIN_H_INCLUDED_
#define _NGX_IOT_MAINTAIN_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/*
 * Partitions ahead, expired rows behind: iot.maintain() is called about once
 * a minute by every worker of every node; in the database one of them at a
 * time does the work and the others find it done.
 */

ngx_int_t ngx_iot_maintain_init_process(ngx_cycle_t *cycle);
void ngx_iot_maintain_exit_process(ngx_cycle_t *cycle);


#endif /* _NGX_IOT_MAINTAIN_H_INCLUDED_ */
