
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_IOT_DB_CONN_H_INCLUDED_
#define _NGX_IOT_DB_CONN_H_INCLUDED_


#include "ngx_iot_db.h"
#include "ngx_iot_module.h"


/* a call's own statement_timeout fires first; this is for a dead peer */
#define NGX_IOT_DB_GRACE  2000


/*
 * One connection to PostgreSQL inside the event loop.
 *
 *     DOWN --timer--> CONNECTING --> SETUP --> READY
 *       ^                 |            |         |
 *       +-----------------+------------+---------+   any failure
 *
 * Only ngx_iot_db_conn_set_state() changes the state.
 */

typedef enum {
    NGX_IOT_DB_DOWN = 0,
    NGX_IOT_DB_CONNECTING,
    NGX_IOT_DB_SETUP,
    NGX_IOT_DB_READY
} ngx_iot_db_state_e;


typedef struct ngx_iot_db_conn_s  ngx_iot_db_conn_t;
typedef struct ngx_iot_db_lane_s  ngx_iot_db_lane_t;


struct ngx_iot_db_conn_s {
    void                    *dummy[3];   /* the debug log of timers reads */
    ngx_int_t                ident;      /* data as a connection's */

    ngx_iot_db_lane_t       *lane;
    PGconn                  *pg;
    ngx_connection_t        *c;
    ngx_iot_db_state_e       state;
    ngx_log_t               *log;

    ngx_queue_t              calls;      /* sent, in order */
    ngx_uint_t               ncalls;

    ngx_event_t              timer;      /* busy: progress, not cancelable */
    ngx_event_t              retry;      /* reconnect, cancelable */
    ngx_msec_t               delay;

    uint32_t                 prepared[NGX_IOT_DB_MAX_STATEMENTS / 32];
    uint16_t                 names[NGX_IOT_DB_MAX_STATEMENTS];

    unsigned                 preparing:1;    /* plain lanes */
    unsigned                 paused:1;
    unsigned                 flushing:1;
};


struct ngx_iot_db_lane_s {
    void                    *dummy[3];
    ngx_int_t                ident;

    ngx_uint_t               id;
    ngx_iot_conninfo_t      *conninfo;
    ngx_iot_db_conn_t       *conns;
    ngx_uint_t               nconns;
    ngx_uint_t               nready;
    ngx_uint_t               depth;      /* calls in flight per connection */

    ngx_queue_t              queue;      /* waiting to be sent */
    ngx_uint_t               nqueue;
    ngx_uint_t               max_queue;

    ngx_msec_t               timeout;
    ngx_event_t              dispatch;   /* posted */
    ngx_event_t              timer;      /* age of the queue */

    unsigned                 pipelined:1;
    unsigned                 listens:1;
    unsigned                 retries:1;  /* calls may be sent again */
};


/* Begin to connect; failures are retried with back-off for ever. */
void ngx_iot_db_conn_start(ngx_iot_db_conn_t *conn);

/* Close it without further ado (at exit). */
void ngx_iot_db_conn_close(ngx_iot_db_conn_t *conn);

/* Take a call from the lane and put it on the wire.  NGX_ERROR: it failed. */
ngx_int_t ngx_iot_db_conn_send(ngx_iot_db_conn_t *conn,
    ngx_iot_db_call_t *call);

/* Write what was sent in this turn. */
void ngx_iot_db_conn_flush(ngx_iot_db_conn_t *conn);

void ngx_iot_db_conn_resume(ngx_iot_db_conn_t *conn);

/* Give up this connection: its calls fail or are queued again. */
void ngx_iot_db_conn_lost(ngx_iot_db_conn_t *conn, char *why);


/*
 * The part of a connection that reads results, in ngx_iot_db_wire.c: of the
 * pipelined lanes and of the others.
 */
void ngx_iot_db_conn_pipeline(ngx_iot_db_conn_t *conn);
void ngx_iot_db_conn_plain(ngx_iot_db_conn_t *conn);

/* Hand out the notifications that have been read. */
void ngx_iot_db_conn_notifies(ngx_iot_db_conn_t *conn);

/* An answer came or a call went out: start or stop the timer. */
void ngx_iot_db_conn_busy(ngx_iot_db_conn_t *conn);


/* upcalls, in ngx_iot_db.c */
void ngx_iot_db_lane_up(ngx_iot_db_lane_t *lane, ngx_iot_db_conn_t *conn);
void ngx_iot_db_lane_down(ngx_iot_db_lane_t *lane, ngx_iot_db_conn_t *conn);
void ngx_iot_db_lane_wake(ngx_iot_db_lane_t *lane);
void ngx_iot_db_finish(ngx_iot_db_call_t *call, ngx_int_t rc);
void ngx_iot_db_requeue(ngx_iot_db_call_t *call);
void ngx_iot_db_notified(PGnotify *note);


#endif /* _NGX_IOT_DB_CONN_H_INCLUDED_ */
