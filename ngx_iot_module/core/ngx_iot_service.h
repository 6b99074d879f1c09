
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_IOT_SERVICE_H_INCLUDED_
#define _NGX_IOT_SERVICE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/*
 * The services of a worker, started in this order and stopped in the other.
 */

typedef struct {
    char         *name;
    ngx_int_t   (*init)(ngx_cycle_t *cycle);
    void        (*exit)(ngx_cycle_t *cycle);
} ngx_iot_service_t;


extern ngx_iot_service_t  ngx_iot_services[];


#endif /* _NGX_IOT_SERVICE_H_INCLUDED_ */
