
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_IOT_DB_H_INCLUDED_
#define _NGX_IOT_DB_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include <libpq-fe.h>

#include "ngx_iot_error.h"


/*
 * The link to PostgreSQL.  Each worker has a few connections in lanes, so
 * that what is slow never stands before what is quick:
 *
 *   call   pipelined, changes and everything that must see its own writes;
 *          these connections also LISTEN, and a call is done only after the
 *          notifications that it caused were handled
 *   read   pipelined, pure reads; goes to "database_read" if there is one
 *   slow   one call at a time, single-row mode: exports and histories
 *   write  one batch at a time (ngx_iot_batch.h)
 *   chore  what nobody waits for: maintenance
 */

#define NGX_IOT_DB_CALL   0
#define NGX_IOT_DB_READ   1
#define NGX_IOT_DB_SLOW   2
#define NGX_IOT_DB_WRITE  3
#define NGX_IOT_DB_CHORE  4
#define NGX_IOT_DB_LANES  5

#define NGX_IOT_DB_MAX_PARAMS      24
#define NGX_IOT_DB_MAX_STATEMENTS  1024


/*
 * A statement is a static object: text (zero-terminated) and nothing else to
 * fill in.  It is prepared on each connection before its first use there, in
 * the same pipeline.
 */

typedef struct {
    ngx_str_t                  text;
    ngx_uint_t                 index;   /* 0: not registered yet */
} ngx_iot_db_stmt_t;

#define ngx_iot_db_stmt(text)  { ngx_string(text), 0 }


typedef struct ngx_iot_db_call_s  ngx_iot_db_call_t;

typedef void (*ngx_iot_db_done_pt)(ngx_iot_db_call_t *call);
typedef ngx_int_t (*ngx_iot_db_row_pt)(ngx_iot_db_call_t *call,
    PGresult *res);


struct ngx_iot_db_call_s {
    ngx_queue_t                queue;
    ngx_pool_t                *pool;
    ngx_log_t                 *log;
    void                      *conn;
    ngx_iot_db_stmt_t         *stmt;

    /* parameters: in call->pool, or alive until the end otherwise */
    ngx_uint_t                 nparams;
    const char                *values[NGX_IOT_DB_MAX_PARAMS];
    int                        lengths[NGX_IOT_DB_MAX_PARAMS];
    int                        formats[NGX_IOT_DB_MAX_PARAMS];

    /* write lane only: the statement is a COPY, and this its data */
    ngx_chain_t               *copy;

    /* the owner; done() is called exactly once unless abandoned */
    void                      *data;
    ngx_iot_db_done_pt         done;

    /*
     * slow lane only: called for each row.  NGX_OK: go on; NGX_AGAIN: stop
     * reading until ngx_iot_db_resume(); NGX_ERROR: nobody wants more.
     */
    ngx_iot_db_row_pt          row;

    /* the outcome, valid in done() */
    ngx_int_t                  rc;      /* NGX_OK, or NGX_ERROR and error */
    PGresult                  *result;  /* NULL on the slow lane */
    ngx_iot_error_t            error;

    ngx_msec_t                 queued;
    unsigned                   lane:3;
    unsigned                   binary:1;     /* result format */
    unsigned                   sent:1;
    unsigned                   retried:1;
    unsigned                   abandoned:1;
    unsigned                   finished:1;
};


/*
 * Make a call with a pool of its own, destroyed after done() returned.
 * Returns NULL without memory.
 */
ngx_iot_db_call_t *ngx_iot_db_create(ngx_uint_t lane, ngx_iot_db_stmt_t *stmt,
    ngx_log_t *log);

/* Add a text parameter; value NULL is SQL NULL.  Copied into call->pool. */
ngx_int_t ngx_iot_db_text(ngx_iot_db_call_t *call, ngx_str_t *value);

/* Add a parameter of any format without a copy. */
void ngx_iot_db_param(ngx_iot_db_call_t *call, const void *value, size_t len,
    ngx_uint_t binary);

/*
 * Send it.  NGX_OK: done() will be called, never from within this function;
 * NGX_BUSY: the queue is full or the database has been away for too long,
 * answer 503 (call->error says so), the call is still the caller's: destroy
 * its pool.
 */
ngx_int_t ngx_iot_db_send(ngx_iot_db_call_t *call);

/*
 * The owner is going away: done() will not be called.  What was sent is let
 * finish (a write is never cancelled half way), what was not is dropped.
 */
void ngx_iot_db_abandon(ngx_iot_db_call_t *call);

/* Go on after a row handler returned NGX_AGAIN. */
void ngx_iot_db_resume(ngx_iot_db_call_t *call);

/* 1 while at least one connection of the lane is usable. */
ngx_uint_t ngx_iot_db_ready(ngx_uint_t lane);

/* 1 while notifications are being received: caches may be trusted. */
ngx_uint_t ngx_iot_db_listening(void);


/*
 * Notifications: channel "iot", payload "<what> <id>".  handler(what, id) is
 * called in every worker, also in the one whose call caused it (before that
 * call is done).  handler with what = "reset" and an empty id: notifications
 * may have been lost, forget everything.
 */
typedef void (*ngx_iot_db_notify_pt)(ngx_str_t *what, ngx_str_t *id);

ngx_int_t ngx_iot_db_on_notify(ngx_iot_db_notify_pt handler);


ngx_int_t ngx_iot_db_init_process(ngx_cycle_t *cycle);
void ngx_iot_db_exit_process(ngx_cycle_t *cycle);


#endif /* _NGX_IOT_DB_H_INCLUDED_ */
