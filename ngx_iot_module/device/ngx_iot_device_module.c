
/*
 * Copyright (C) the ngx_iot authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "../core/ngx_iot_module.h"
#include "ngx_iot_activity.h"
#include "ngx_iot_device.h"
#include "ngx_iot_key.h"
#include "ngx_iot_rpc.h"
#include "ngx_iot_telemetry.h"


static ngx_int_t ngx_iot_device_module_init_process(ngx_cycle_t *cycle);
static void ngx_iot_device_module_exit_process(ngx_cycle_t *cycle);


/* what the floor of devices does when a worker comes and goes */

static ngx_core_module_t  ngx_iot_device_module_ctx = {
    ngx_string("iot_device"),
    NULL,
    NULL
};


ngx_module_t  ngx_iot_device_module = {
    NGX_MODULE_V1,
    &ngx_iot_device_module_ctx,            /* module context */
    NULL,                                  /* module directives */
    NGX_CORE_MODULE,                       /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    ngx_iot_device_module_init_process,    /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    ngx_iot_device_module_exit_process,    /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


static ngx_int_t
ngx_iot_device_module_init_process(ngx_cycle_t *cycle)
{
    if (!ngx_iot_conf()->enabled
        || (ngx_process != NGX_PROCESS_WORKER
            && ngx_process != NGX_PROCESS_SINGLE))
    {
        return NGX_OK;
    }

    (void) ngx_iot_key_init_process(cycle);
    (void) ngx_iot_device_init_process(cycle);
    (void) ngx_iot_telemetry_init_process(cycle);
    (void) ngx_iot_rpc_init_process(cycle);
    (void) ngx_iot_activity_init_process(cycle);

    return NGX_OK;
}


static void
ngx_iot_device_module_exit_process(ngx_cycle_t *cycle)
{
    if (!ngx_iot_conf()->enabled
        || (ngx_process != NGX_PROCESS_WORKER
            && ngx_process != NGX_PROCESS_SINGLE))
    {
        return;
    }

    ngx_iot_device_exit_process(cycle);
    ngx_iot_key_exit_process(cycle);
}
