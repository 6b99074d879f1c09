
/*
 * Copyright (C) the ngx_iot authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_iot_db_conn.h"
#include "ngx_iot_metrics.h"


#define NGX_IOT_DB_DEPTH      64
#define NGX_IOT_DB_LISTENERS  16


static ngx_int_t ngx_iot_db_lane_init(ngx_cycle_t *cycle, ngx_uint_t id);
static void ngx_iot_db_dispatch(ngx_event_t *ev);
static ngx_iot_db_conn_t *ngx_iot_db_pick(ngx_iot_db_lane_t *lane);
static void ngx_iot_db_expire(ngx_event_t *ev);
static void ngx_iot_db_notify_all(ngx_str_t *what, ngx_str_t *id);


static ngx_iot_db_lane_t     ngx_iot_db_lanes[NGX_IOT_DB_LANES];
static ngx_uint_t            ngx_iot_db_statements;
static ngx_iot_db_notify_pt  ngx_iot_db_listeners[NGX_IOT_DB_LISTENERS];
static ngx_uint_t            ngx_iot_db_nlisteners;
static ngx_uint_t            ngx_iot_db_running;


ngx_int_t
ngx_iot_db_init_process(ngx_cycle_t *cycle)
{
    ngx_uint_t  i;

    (void) PQinitOpenSSL(0, 0);

    for (i = 0; i < NGX_IOT_DB_LANES; i++) {
        if (ngx_iot_db_lane_init(cycle, i) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    ngx_iot_db_running = 1;

    return NGX_OK;
}


static ngx_int_t
ngx_iot_db_lane_init(ngx_cycle_t *cycle, ngx_uint_t id)
{
    ngx_uint_t          i;
    ngx_iot_conf_t     *icf;
    ngx_iot_db_lane_t  *lane;

    icf = ngx_iot_conf();
    lane = &ngx_iot_db_lanes[id];

    ngx_memzero(lane, sizeof(ngx_iot_db_lane_t));

    lane->id = id;
    lane->ident = -1;
    lane->conninfo = &icf->database;
    lane->max_queue = icf->queue;
    lane->timeout = icf->timeout;
    lane->depth = 1;

    switch (id) {

    case NGX_IOT_DB_CALL:
        lane->nconns = icf->call_connections;
        lane->depth = NGX_IOT_DB_DEPTH;
        lane->pipelined = 1;
        lane->listens = 1;
        break;

    case NGX_IOT_DB_READ:
        lane->nconns = icf->read_connections;
        lane->depth = NGX_IOT_DB_DEPTH;
        lane->pipelined = 1;
        lane->retries = 1;

        if (icf->database_read.text.len) {
            lane->conninfo = &icf->database_read;
        }

        break;

    case NGX_IOT_DB_SLOW:
        lane->nconns = icf->slow_connections;
        lane->timeout = icf->slow_timeout;

        if (icf->database_read.text.len) {
            lane->conninfo = &icf->database_read;
        }

        break;

    case NGX_IOT_DB_CHORE:
        lane->nconns = 1;
        lane->timeout = icf->slow_timeout;
        break;

    default: /* NGX_IOT_DB_WRITE */
        lane->nconns = 1;
        lane->timeout = ngx_max(icf->timeout, 30000);
        break;
    }

    ngx_queue_init(&lane->queue);

    lane->dispatch.data = lane;
    lane->dispatch.log = cycle->log;
    lane->dispatch.handler = ngx_iot_db_dispatch;

    lane->timer.data = lane;
    lane->timer.log = cycle->log;
    lane->timer.handler = ngx_iot_db_expire;

    lane->conns = ngx_pcalloc(cycle->pool,
                              lane->nconns * sizeof(ngx_iot_db_conn_t));
    if (lane->conns == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < lane->nconns; i++) {
        lane->conns[i].lane = lane;
        ngx_iot_db_conn_start(&lane->conns[i]);
    }

    return NGX_OK;
}


void
ngx_iot_db_exit_process(ngx_cycle_t *cycle)
{
    ngx_uint_t          i, n;
    ngx_iot_db_lane_t  *lane;

    ngx_iot_db_running = 0;

    for (i = 0; i < NGX_IOT_DB_LANES; i++) {
        lane = &ngx_iot_db_lanes[i];

        for (n = 0; lane->conns && n < lane->nconns; n++) {
            ngx_iot_db_conn_close(&lane->conns[n]);
        }
    }
}


ngx_iot_db_call_t *
ngx_iot_db_create(ngx_uint_t lane, ngx_iot_db_stmt_t *stmt, ngx_log_t *log)
{
    ngx_pool_t         *pool;
    ngx_iot_db_call_t  *call;

    pool = ngx_create_pool(2048, ngx_cycle->log);
    if (pool == NULL) {
        return NULL;
    }

    call = ngx_pcalloc(pool, sizeof(ngx_iot_db_call_t));
    if (call == NULL) {
        ngx_destroy_pool(pool);
        return NULL;
    }

    /*
     * The caller's log may live in a connection that goes before the call
     * does, so the cycle's is used; the caller logs with its own.
     */

    call->log = ngx_cycle->log;
    call->pool = pool;
    call->stmt = stmt;
    call->lane = lane;

    return call;
}


ngx_int_t
ngx_iot_db_text(ngx_iot_db_call_t *call, ngx_str_t *value)
{
    u_char  *p;

    if (value == NULL) {
        ngx_iot_db_param(call, NULL, 0, 0);
        return NGX_OK;
    }

    p = ngx_pnalloc(call->pool, value->len + 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    *ngx_cpymem(p, value->data, value->len) = '\0';

    ngx_iot_db_param(call, p, value->len, 0);

    return NGX_OK;
}


void
ngx_iot_db_param(ngx_iot_db_call_t *call, const void *value, size_t len,
    ngx_uint_t binary)
{
    ngx_uint_t  n;

    n = call->nparams++;

    call->values[n] = value;
    call->lengths[n] = (int) len;
    call->formats[n] = binary;
}


ngx_int_t
ngx_iot_db_send(ngx_iot_db_call_t *call)
{
    ngx_iot_db_lane_t  *lane;

    lane = &ngx_iot_db_lanes[call->lane];

    if (!ngx_iot_db_running || lane->nqueue >= lane->max_queue) {
        ngx_iot_error_set(&call->error, 503, "unavailable",
                          "Storage is not available");
        return NGX_BUSY;
    }

    if (call->stmt->index == 0) {

        if (ngx_iot_db_statements == NGX_IOT_DB_MAX_STATEMENTS - 1) {
            ngx_log_error(NGX_LOG_ALERT, call->log, 0,
                          "too many database statements");
            ngx_iot_error_set(&call->error, 500, "general",
                              "Internal server error");
            return NGX_BUSY;
        }

        call->stmt->index = ++ngx_iot_db_statements;
    }

    call->queued = ngx_current_msec;

    ngx_queue_insert_tail(&lane->queue, &call->queue);
    lane->nqueue++;

    ngx_iot_gauge(db_queue[lane->id], lane->nqueue);

    ngx_iot_db_lane_wake(lane);

    if (!lane->timer.timer_set) {
        ngx_add_timer(&lane->timer, ngx_iot_conf()->queue_timeout);
    }

    return NGX_OK;
}


/* sending is put off to the end of the turn: one write for many calls */

void
ngx_iot_db_lane_wake(ngx_iot_db_lane_t *lane)
{
    if (ngx_queue_empty(&lane->queue)) {
        return;
    }

    if (!lane->dispatch.posted) {
        ngx_post_event(&lane->dispatch, &ngx_posted_events);
    }
}


static void
ngx_iot_db_dispatch(ngx_event_t *ev)
{
    ngx_uint_t          i;
    ngx_queue_t        *q;
    ngx_iot_db_conn_t  *conn;
    ngx_iot_db_call_t  *call;
    ngx_iot_db_lane_t  *lane;

    lane = ev->data;

    while (!ngx_queue_empty(&lane->queue)) {

        conn = ngx_iot_db_pick(lane);
        if (conn == NULL) {
            break;
        }

        q = ngx_queue_head(&lane->queue);
        ngx_queue_remove(q);
        lane->nqueue--;

        call = ngx_queue_data(q, ngx_iot_db_call_t, queue);

        if (ngx_iot_db_conn_send(conn, call) != NGX_OK) {
            ngx_iot_db_conn_lost(conn, "send");
            continue;
        }

        conn->flushing = 1;
    }

    ngx_iot_gauge(db_queue[lane->id], lane->nqueue);

    if (lane->timer.timer_set && ngx_queue_empty(&lane->queue)) {
        ngx_del_timer(&lane->timer);
    }

    for (i = 0; i < lane->nconns; i++) {
        conn = &lane->conns[i];

        if (conn->flushing) {
            conn->flushing = 0;
            ngx_iot_db_conn_flush(conn);
        }
    }
}


/* the ready connection that owes least */

static ngx_iot_db_conn_t *
ngx_iot_db_pick(ngx_iot_db_lane_t *lane)
{
    ngx_uint_t          i;
    ngx_iot_db_conn_t  *conn, *best;

    best = NULL;

    for (i = 0; i < lane->nconns; i++) {
        conn = &lane->conns[i];

        if (conn->state != NGX_IOT_DB_READY || conn->ncalls >= lane->depth) {
            continue;
        }

        if (best == NULL || conn->ncalls < best->ncalls) {
            best = conn;
        }
    }

    return best;
}


/* those that waited too long are told so; the timer waits for the next */

static void
ngx_iot_db_expire(ngx_event_t *ev)
{
    ngx_msec_t          age, limit;
    ngx_queue_t        *q;
    ngx_iot_db_call_t  *call;
    ngx_iot_db_lane_t  *lane;

    lane = ev->data;
    limit = ngx_iot_conf()->queue_timeout;

    while (!ngx_queue_empty(&lane->queue)) {
        q = ngx_queue_head(&lane->queue);
        call = ngx_queue_data(q, ngx_iot_db_call_t, queue);

        age = ngx_current_msec - call->queued;

        if (age < limit) {
            ngx_add_timer(&lane->timer, limit - age);
            break;
        }

        ngx_queue_remove(q);
        lane->nqueue--;

        ngx_iot_error_set(&call->error, 503, "unavailable",
                          "Storage is not available");
        ngx_iot_db_finish(call, NGX_ERROR);
    }

    ngx_iot_gauge(db_queue[lane->id], lane->nqueue);
}


void
ngx_iot_db_requeue(ngx_iot_db_call_t *call)
{
    ngx_iot_db_lane_t  *lane;

    lane = &ngx_iot_db_lanes[call->lane];

    call->sent = 0;
    call->queued = ngx_current_msec;

    ngx_queue_insert_head(&lane->queue, &call->queue);
    lane->nqueue++;

    if (!lane->timer.timer_set) {
        ngx_add_timer(&lane->timer, ngx_iot_conf()->queue_timeout);
    }
}


void
ngx_iot_db_finish(ngx_iot_db_call_t *call, ngx_int_t rc)
{
    call->rc = rc;
    call->finished = 1;

    ngx_iot_count(db_calls[call->lane]);
    ngx_iot_add(db_usec[call->lane],
                (ngx_current_msec - call->queued) * 1000);

    if (rc != NGX_OK) {
        ngx_iot_count(db_errors[call->lane]);
    }

    if (!call->abandoned) {
        call->done(call);
    }

    if (call->result) {
        PQclear(call->result);
    }

    ngx_destroy_pool(call->pool);
}


void
ngx_iot_db_abandon(ngx_iot_db_call_t *call)
{
    ngx_iot_db_lane_t  *lane;
    ngx_iot_db_conn_t  *conn;

    call->abandoned = 1;
    call->data = NULL;

    if (call->finished) {
        return;
    }

    if (!call->sent) {
        lane = &ngx_iot_db_lanes[call->lane];

        ngx_queue_remove(&call->queue);
        lane->nqueue--;

        ngx_destroy_pool(call->pool);
        return;
    }

    conn = call->conn;

    if (conn->paused) {
        ngx_iot_db_conn_lost(conn, "abandoned");
    }
}


void
ngx_iot_db_resume(ngx_iot_db_call_t *call)
{
    if (call->conn) {
        ngx_iot_db_conn_resume(call->conn);
    }
}


ngx_uint_t
ngx_iot_db_ready(ngx_uint_t lane)
{
    return ngx_iot_db_lanes[lane].nready != 0;
}


ngx_uint_t
ngx_iot_db_listening(void)
{
    return ngx_iot_db_lanes[NGX_IOT_DB_CALL].nready != 0;
}


/*
 * With the first listening connection begins a time in which no notification
 * is missed; whatever was cached before it may be stale.
 */

void
ngx_iot_db_lane_up(ngx_iot_db_lane_t *lane, ngx_iot_db_conn_t *conn)
{
    ngx_str_t  what = ngx_string("reset");
    ngx_str_t  none = ngx_null_string;

    if (lane->listens && lane->nready == 1) {
        ngx_iot_db_notify_all(&what, &none);
    }

    ngx_iot_db_lane_wake(lane);
}


void
ngx_iot_db_lane_down(ngx_iot_db_lane_t *lane, ngx_iot_db_conn_t *conn)
{
    ngx_iot_db_lane_wake(lane);
}


ngx_int_t
ngx_iot_db_on_notify(ngx_iot_db_notify_pt handler)
{
    if (ngx_iot_db_nlisteners == NGX_IOT_DB_LISTENERS) {
        return NGX_ERROR;
    }

    ngx_iot_db_listeners[ngx_iot_db_nlisteners++] = handler;

    return NGX_OK;
}


void
ngx_iot_db_notified(PGnotify *note)
{
    u_char     *p;
    ngx_str_t   what, id;

    what.data = (u_char *) note->extra;
    what.len = ngx_strlen(note->extra);

    ngx_str_null(&id);

    p = ngx_strlchr(what.data, what.data + what.len, ' ');

    if (p) {
        id.data = p + 1;
        id.len = what.data + what.len - id.data;
        what.len = p - what.data;
    }

    ngx_iot_db_notify_all(&what, &id);
}


static void
ngx_iot_db_notify_all(ngx_str_t *what, ngx_str_t *id)
{
    ngx_uint_t  i;

    for (i = 0; i < ngx_iot_db_nlisteners; i++) {
        ngx_iot_db_listeners[i](what, id);
    }
}
