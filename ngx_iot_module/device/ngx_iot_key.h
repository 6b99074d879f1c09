
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_IOT_KEY_H_INCLUDED_
#define _NGX_IOT_KEY_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/*
 * The dictionary of keys, cached in the worker: names are numbers in the
 * tables, and a number never changes its name.
 */

ngx_int_t ngx_iot_key_init_process(ngx_cycle_t *cycle);
void ngx_iot_key_exit_process(ngx_cycle_t *cycle);

/* The number of a name, 0 when it is not known here. */
uint32_t ngx_iot_key_find(ngx_str_t *name);

/* Remember one.  Without memory it is asked for again next time. */
void ngx_iot_key_learn(ngx_str_t *name, uint32_t id);


#endif /* _NGX_IOT_KEY_H_INCLUDED_ */
