
/*
 * Copyright (C) the ngx_iot authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_iot_db.h"
#include "ngx_iot_usage.h"


#define NGX_IOT_USAGE_INTERVAL  1000
#define NGX_IOT_USAGE_TENANTS   1000     /* at once */


static void ngx_iot_usage_tick(ngx_event_t *ev);
static ngx_int_t ngx_iot_usage_send(void);
static ngx_int_t ngx_iot_usage_params(ngx_iot_db_call_t *call);
static u_char *ngx_iot_usage_numbers(u_char *p, ngx_uint_t kind);
static void ngx_iot_usage_done(ngx_iot_db_call_t *call);


static ngx_iot_db_stmt_t  ngx_iot_usage_stmt = ngx_iot_db_stmt(
    "SELECT iot.usage_add($1::uuid[], $2::bigint[], $3::bigint[])");

/* of this worker */

static ngx_queue_t         ngx_iot_usage_queue;   /* there is something */
static ngx_queue_t         ngx_iot_usage_sent;    /* is being told */
static ngx_uint_t          ngx_iot_usage_nsent;
static ngx_uint_t          ngx_iot_usage_sending;
static ngx_event_t         ngx_iot_usage_ev;
static ngx_connection_t    ngx_iot_usage_dummy;


ngx_int_t
ngx_iot_usage_init_process(ngx_cycle_t *cycle)
{
    ngx_queue_init(&ngx_iot_usage_queue);
    ngx_queue_init(&ngx_iot_usage_sent);
    ngx_iot_usage_nsent = 0;
    ngx_iot_usage_sending = 0;

    ngx_iot_usage_dummy.fd = (ngx_socket_t) -1;

    /* not cancelable: a worker that leaves waits for it */

    ngx_memzero(&ngx_iot_usage_ev, sizeof(ngx_event_t));
    ngx_iot_usage_ev.data = &ngx_iot_usage_dummy;
    ngx_iot_usage_ev.log = cycle->log;
    ngx_iot_usage_ev.handler = ngx_iot_usage_tick;

    return NGX_OK;
}


void
ngx_iot_usage_count(ngx_iot_rates_t *rates, ngx_uint_t messages,
    ngx_uint_t points)
{
    if (messages + points == 0) {
        return;
    }

    rates->used[NGX_IOT_RATES_MESSAGES] += messages;
    rates->used[NGX_IOT_RATES_POINTS] += points;

    if (!rates->counted) {
        rates->counted = 1;
        ngx_iot_rates_keep(rates);
        ngx_queue_insert_tail(&ngx_iot_usage_queue, &rates->usage);
    }

    if (!ngx_iot_usage_ev.timer_set && !ngx_iot_usage_sending) {
        ngx_add_timer(&ngx_iot_usage_ev, NGX_IOT_USAGE_INTERVAL);
    }
}


static void
ngx_iot_usage_tick(ngx_event_t *ev)
{
    if (ngx_iot_usage_sending || ngx_queue_empty(&ngx_iot_usage_queue)) {
        return;
    }

    if (ngx_iot_usage_send() == NGX_OK) {
        return;
    }

    if (ngx_exiting) {
        ngx_log_error(NGX_LOG_WARN, ev->log, 0,
                      "what tenants used last cannot be told");
        return;
    }

    ngx_add_timer(ev, NGX_IOT_USAGE_INTERVAL);
}


static ngx_int_t
ngx_iot_usage_send(void)
{
    ngx_queue_t        *q;
    ngx_uint_t          i;
    ngx_iot_rates_t    *rates;
    ngx_iot_db_call_t  *call;

    while (!ngx_queue_empty(&ngx_iot_usage_queue)
           && ngx_iot_usage_nsent < NGX_IOT_USAGE_TENANTS)
    {
        q = ngx_queue_head(&ngx_iot_usage_queue);
        rates = ngx_queue_data(q, ngx_iot_rates_t, usage);

        ngx_queue_remove(q);
        ngx_queue_insert_tail(&ngx_iot_usage_sent, q);
        ngx_iot_usage_nsent++;

        for (i = 0; i < NGX_IOT_RATES_KINDS; i++) {
            rates->told[i] = rates->used[i];
        }
    }

    call = ngx_iot_db_create(NGX_IOT_DB_CALL, &ngx_iot_usage_stmt,
                             ngx_cycle->log);

    if (call) {
        call->done = ngx_iot_usage_done;

        if (ngx_iot_usage_params(call) == NGX_OK
            && ngx_iot_db_send(call) == NGX_OK)
        {
            ngx_iot_usage_sending = 1;
            return NGX_OK;
        }

        ngx_destroy_pool(call->pool);
    }

    ngx_queue_add(&ngx_iot_usage_queue, &ngx_iot_usage_sent);
    ngx_queue_init(&ngx_iot_usage_sent);
    ngx_iot_usage_nsent = 0;

    return NGX_ERROR;
}


/* array literals: {id,id}, {1,2} */

static ngx_int_t
ngx_iot_usage_params(ngx_iot_db_call_t *call)
{
    u_char           *p, *start;
    ngx_queue_t      *q;
    ngx_iot_rates_t  *rates;

    p = ngx_pnalloc(call->pool,
                    ngx_iot_usage_nsent * (sizeof(rates->id) + 1) + 3);
    if (p == NULL) {
        return NGX_ERROR;
    }

    start = p;

    for (q = ngx_queue_head(&ngx_iot_usage_sent);
         q != ngx_queue_sentinel(&ngx_iot_usage_sent);
         q = ngx_queue_next(q))
    {
        rates = ngx_queue_data(q, ngx_iot_rates_t, usage);

        *p = (p == start) ? '{' : ',';
        p = ngx_cpymem(p + 1, rates->id, sizeof(rates->id));
    }

    *p++ = '}';
    *p = '\0';

    ngx_iot_db_param(call, start, p - start, 0);

    start = ngx_pnalloc(call->pool,
                        2 * (ngx_iot_usage_nsent * (NGX_INT_T_LEN + 1) + 3));
    if (start == NULL) {
        return NGX_ERROR;
    }

    p = ngx_iot_usage_numbers(start, NGX_IOT_RATES_MESSAGES);
    ngx_iot_db_param(call, start, p - start, 0);

    start = p + 1;

    p = ngx_iot_usage_numbers(start, NGX_IOT_RATES_POINTS);
    ngx_iot_db_param(call, start, p - start, 0);

    return NGX_OK;
}


static u_char *
ngx_iot_usage_numbers(u_char *p, ngx_uint_t kind)
{
    u_char           *start;
    ngx_queue_t      *q;
    ngx_iot_rates_t  *rates;

    start = p;

    for (q = ngx_queue_head(&ngx_iot_usage_sent);
         q != ngx_queue_sentinel(&ngx_iot_usage_sent);
         q = ngx_queue_next(q))
    {
        rates = ngx_queue_data(q, ngx_iot_rates_t, usage);

        *p = (p == start) ? '{' : ',';
        p = ngx_sprintf(p + 1, "%ui", rates->told[kind]);
    }

    *p++ = '}';
    *p = '\0';

    return p;
}


/*
 * A call that failed may have been carried out all the same when the
 * connection was lost: then a second is counted twice, which is the lesser
 * evil.
 */

static void
ngx_iot_usage_done(ngx_iot_db_call_t *call)
{
    ngx_uint_t        i, left;
    ngx_queue_t      *q;
    ngx_iot_rates_t  *rates;

    ngx_iot_usage_sending = 0;
    ngx_iot_usage_nsent = 0;

    if (call->rc != NGX_OK) {
        ngx_log_error(NGX_LOG_ERR, call->log, 0,
                      "what tenants used cannot be told: %V",
                      &call->error.message);
    }

    while (!ngx_queue_empty(&ngx_iot_usage_sent)) {
        q = ngx_queue_head(&ngx_iot_usage_sent);
        rates = ngx_queue_data(q, ngx_iot_rates_t, usage);

        ngx_queue_remove(q);

        left = 0;

        for (i = 0; i < NGX_IOT_RATES_KINDS; i++) {

            if (call->rc == NGX_OK) {
                rates->used[i] -= rates->told[i];
            }

            left += rates->used[i];
        }

        if (left) {
            ngx_queue_insert_tail(&ngx_iot_usage_queue, q);

        } else {
            rates->counted = 0;
            ngx_iot_rates_release(rates);
        }
    }

    if (!ngx_queue_empty(&ngx_iot_usage_queue)
        && !(ngx_exiting && call->rc != NGX_OK)
        && !ngx_iot_usage_ev.timer_set)
    {
        ngx_add_timer(&ngx_iot_usage_ev, NGX_IOT_USAGE_INTERVAL);
    }
}
