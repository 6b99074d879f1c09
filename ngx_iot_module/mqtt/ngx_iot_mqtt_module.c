
/*
 * Copyright (C) the ngx_iot authors
 */


#include "../core/ngx_iot_module.h"
#include "ngx_iot_mqtt_session.h"
#include "ngx_iot_mqtt_store.h"
#include "ngx_iot_mqtt_tb.h"


static ngx_int_t ngx_iot_mqtt_module_init_process(ngx_cycle_t *cycle);


/* what the broker does when a worker comes */

static ngx_core_module_t  ngx_iot_mqtt_module_ctx = {
    ngx_string("iot_mqtt"),
    NULL,
    NULL
};


ngx_module_t  ngx_iot_mqtt_module = {
    NGX_MODULE_V1,
    &ngx_iot_mqtt_module_ctx,              /* module context */
    NULL,                                  /* module directives */
    NGX_CORE_MODULE,                       /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    ngx_iot_mqtt_module_init_process,      /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    NULL,                                  /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


static ngx_int_t
ngx_iot_mqtt_module_init_process(ngx_cycle_t *cycle)
{
    if (!ngx_iot_conf()->enabled
        || (ngx_process != NGX_PROCESS_WORKER
            && ngx_process != NGX_PROCESS_SINGLE))
    {
        return NGX_OK;
    }

    /* gauges of a predecessor that was killed */

    ngx_iot_gauge(mqtt_connections, 0);
    ngx_iot_gauge(mqtt_subscriptions, 0);
    ngx_iot_gauge(mqtt_retained, 0);
    ngx_iot_gauge(mqtt_retained_bytes, 0);
    ngx_iot_gauge(mqtt_sessions, 0);
    ngx_iot_gauge(mqtt_stored, 0);
    ngx_iot_gauge(mqtt_shared, 0);

    if (ngx_iot_mqtt_retain_init_process(cycle) != NGX_OK
        || ngx_iot_mqtt_store_init_process(cycle) != NGX_OK
        || ngx_iot_mqtt_index_init_process(cycle) != NGX_OK
        || ngx_iot_mqtt_leave_init_process(cycle) != NGX_OK
        || ngx_iot_mqtt_will_init_process(cycle) != NGX_OK
        || ngx_iot_mqtt_share_init_process(cycle) != NGX_OK
        || ngx_iot_mqtt_worker_init_process(cycle) != NGX_OK
        || ngx_iot_mqtt_sys_init_process(cycle) != NGX_OK
        || ngx_iot_mqtt_connect_init_process(cycle) != NGX_OK
        || ngx_iot_mqtt_tb_init_process(cycle) != NGX_OK
        || ngx_iot_mqtt_session_init_process(cycle) != NGX_OK)
    {
        ngx_log_error(NGX_LOG_CRIT, cycle->log, 0,
                      "the MQTT broker could not start in this worker");
    }

    return NGX_OK;
}
