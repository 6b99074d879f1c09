
/*
 * Copyright (C) the ngx_iot authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_iot_db.h"
#include "ngx_iot_maintain.h"


#define NGX_IOT_MAINTAIN_FIRST   2000
#define NGX_IOT_MAINTAIN_PERIOD  60000
#define NGX_IOT_MAINTAIN_SOON    1000


static void ngx_iot_maintain_timer(ngx_event_t *ev);
static void ngx_iot_maintain_done(ngx_iot_db_call_t *call);
static void ngx_iot_maintain_again(ngx_msec_t period);


static ngx_iot_db_stmt_t   ngx_iot_maintain_stmt =
    ngx_iot_db_stmt("SELECT iot.maintain()");

static ngx_connection_t    ngx_iot_maintain_dummy;
static ngx_event_t         ngx_iot_maintain_ev;
static ngx_iot_db_call_t  *ngx_iot_maintain_call;


ngx_int_t
ngx_iot_maintain_init_process(ngx_cycle_t *cycle)
{
    ngx_iot_maintain_dummy.fd = (ngx_socket_t) -1;

    ngx_iot_maintain_ev.data = &ngx_iot_maintain_dummy;
    ngx_iot_maintain_ev.log = cycle->log;
    ngx_iot_maintain_ev.handler = ngx_iot_maintain_timer;
    ngx_iot_maintain_ev.cancelable = 1;

    ngx_iot_maintain_again(NGX_IOT_MAINTAIN_FIRST);

    return NGX_OK;
}


void
ngx_iot_maintain_exit_process(ngx_cycle_t *cycle)
{
    if (ngx_iot_maintain_call) {
        ngx_iot_db_abandon(ngx_iot_maintain_call);
        ngx_iot_maintain_call = NULL;
    }
}


/* half a period of chance keeps the workers apart */

static void
ngx_iot_maintain_again(ngx_msec_t period)
{
    ngx_add_timer(&ngx_iot_maintain_ev,
                  period + (ngx_msec_t) ngx_random() % (period / 2));
}


static void
ngx_iot_maintain_timer(ngx_event_t *ev)
{
    ngx_iot_db_call_t  *call;

    if (ngx_exiting) {
        return;
    }

    ngx_iot_maintain_again(NGX_IOT_MAINTAIN_PERIOD);

    if (ngx_iot_maintain_call || !ngx_iot_db_ready(NGX_IOT_DB_CHORE)) {
        return;
    }

    call = ngx_iot_db_create(NGX_IOT_DB_CHORE, &ngx_iot_maintain_stmt,
                             ngx_cycle->log);
    if (call == NULL) {
        return;
    }

    call->done = ngx_iot_maintain_done;

    if (ngx_iot_db_send(call) != NGX_OK) {
        ngx_destroy_pool(call->pool);
        return;
    }

    ngx_iot_maintain_call = call;
}


static void
ngx_iot_maintain_done(ngx_iot_db_call_t *call)
{
    ngx_iot_maintain_call = NULL;

    if (call->rc != NGX_OK) {
        ngx_log_error(NGX_LOG_ERR, call->log, 0,
                      "iot.maintain() failed: %V", &call->error.message);
        return;
    }

    if (!ngx_exiting
        && PQntuples(call->result) == 1
        && PQgetvalue(call->result, 0, 0)[0] == 't')
    {
        ngx_iot_maintain_again(NGX_IOT_MAINTAIN_SOON);
    }
}
