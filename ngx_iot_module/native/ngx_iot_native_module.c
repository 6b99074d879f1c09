
/*
 * Copyright (C) the ngx_iot authors
 */


#include "../core/ngx_iot_module.h"
#include "ngx_iot_native_session.h"


static ngx_int_t ngx_iot_native_module_init_process(ngx_cycle_t *cycle);


/* what Thinger.io devices need when a worker comes */

static ngx_core_module_t  ngx_iot_native_module_ctx = {
    ngx_string("iot_native"),
    NULL,
    NULL
};


ngx_module_t  ngx_iot_native_module = {
    NGX_MODULE_V1,
    &ngx_iot_native_module_ctx,            /* module context */
    NULL,                                  /* module directives */
    NGX_CORE_MODULE,                       /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    ngx_iot_native_module_init_process,    /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    NULL,                                  /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


static ngx_int_t
ngx_iot_native_module_init_process(ngx_cycle_t *cycle)
{
    if (!ngx_iot_conf()->enabled
        || (ngx_process != NGX_PROCESS_WORKER
            && ngx_process != NGX_PROCESS_SINGLE))
    {
        return NGX_OK;
    }

    if (ngx_iot_native_link_init_process(cycle) != NGX_OK
        || ngx_iot_native_session_init_process(cycle) != NGX_OK)
    {
        ngx_log_error(NGX_LOG_CRIT, cycle->log, 0,
                      "native devices are not served by this worker");
    }

    return NGX_OK;
}
