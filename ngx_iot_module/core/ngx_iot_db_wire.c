
/*
 * Copyright (C) the ngx_iot authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_iot_db_conn.h"


/*
 * Calls on the wire of a ready connection: how they are sent, and how their
 * results come back in pipeline mode and one by one.
 */

#define ngx_iot_db_is_prepared(conn, i)                                       \
    ((conn)->prepared[(i) / 32] & ((uint32_t) 1 << ((i) % 32)))
#define ngx_iot_db_set_prepared(conn, i)                                      \
    (conn)->prepared[(i) / 32] |= ((uint32_t) 1 << ((i) % 32))
#define ngx_iot_db_clear_prepared(conn, i)                                    \
    (conn)->prepared[(i) / 32] &= ~((uint32_t) 1 << ((i) % 32))


static ngx_int_t ngx_iot_db_conn_plain_result(ngx_iot_db_conn_t *conn,
    ngx_iot_db_call_t *call, PGresult *res);
static ngx_int_t ngx_iot_db_conn_copy(ngx_iot_db_conn_t *conn,
    ngx_iot_db_call_t *call);
static void ngx_iot_db_conn_keep(ngx_iot_db_call_t *call, PGresult *res);
static void ngx_iot_db_conn_call_done(ngx_iot_db_conn_t *conn);
static ngx_uint_t ngx_iot_db_conn_again(ngx_iot_db_conn_t *conn,
    ngx_iot_db_call_t *call);
static ngx_int_t ngx_iot_db_conn_execute(ngx_iot_db_conn_t *conn,
    ngx_iot_db_call_t *call);


/*
 * One statement ends with NULL, one call with PGRES_PIPELINE_SYNC, and two
 * NULLs in a row mean that nothing is outstanding.  A notification that a
 * call caused lies before its SYNC, so it is handled before the call is done.
 */

void
ngx_iot_db_conn_pipeline(ngx_iot_db_conn_t *conn)
{
    PGresult           *res;
    ngx_uint_t          nulls;
    ngx_queue_t        *q;
    ngx_iot_db_call_t  *call;

    nulls = 0;

    while (conn->state == NGX_IOT_DB_READY) {

        if (PQisBusy(conn->pg)) {
            return;
        }

        res = PQgetResult(conn->pg);

        if (res == NULL) {
            if (++nulls == 2) {
                break;
            }

            continue;
        }

        nulls = 0;

        if (ngx_queue_empty(&conn->calls)) {
            PQclear(res);
            break;
        }

        if (PQresultStatus(res) == PGRES_PIPELINE_SYNC) {
            PQclear(res);
            ngx_iot_db_conn_notifies(conn);
            ngx_iot_db_conn_call_done(conn);
            continue;
        }

        q = ngx_queue_head(&conn->calls);
        call = ngx_queue_data(q, ngx_iot_db_call_t, queue);

        ngx_iot_db_conn_keep(call, res);
    }

    /* the server said goodbye, or libpq gave up */

    if (conn->state == NGX_IOT_DB_READY
        && PQstatus(conn->pg) == CONNECTION_BAD)
    {
        ngx_iot_db_conn_lost(conn, "read");
    }
}


/* keep the first error of a call, or else its last result */

static void
ngx_iot_db_conn_keep(ngx_iot_db_call_t *call, PGresult *res)
{
    ExecStatusType  status;

    if (call->result == NULL) {
        call->result = res;
        return;
    }

    status = PQresultStatus(call->result);

    if (status == PGRES_FATAL_ERROR || status == PGRES_PIPELINE_ABORTED) {
        PQclear(res);
        return;
    }

    PQclear(call->result);
    call->result = res;
}


void
ngx_iot_db_conn_plain(ngx_iot_db_conn_t *conn)
{
    PGresult           *res;
    ngx_queue_t        *q;
    ngx_iot_db_call_t  *call;

    while (conn->state == NGX_IOT_DB_READY
           && !ngx_queue_empty(&conn->calls)
           && !conn->paused)
    {
        if (PQisBusy(conn->pg)) {
            return;
        }

        q = ngx_queue_head(&conn->calls);
        call = ngx_queue_data(q, ngx_iot_db_call_t, queue);

        res = PQgetResult(conn->pg);

        if (res == NULL) {

            if (conn->preparing) {
                conn->preparing = 0;

                if (call->result == NULL) {

                    if (ngx_iot_db_conn_execute(conn, call) != NGX_OK) {
                        ngx_iot_db_conn_lost(conn, "send");
                        return;
                    }

                    continue;
                }
            }

            ngx_iot_db_conn_call_done(conn);
            continue;
        }

        if (ngx_iot_db_conn_plain_result(conn, call, res) != NGX_OK) {
            ngx_iot_db_conn_lost(conn, "abandoned");
            return;
        }
    }

    if (conn->state == NGX_IOT_DB_READY && !conn->paused
        && PQstatus(conn->pg) == CONNECTION_BAD)
    {
        ngx_iot_db_conn_lost(conn, "read");
    }
}


static ngx_int_t
ngx_iot_db_conn_plain_result(ngx_iot_db_conn_t *conn, ngx_iot_db_call_t *call,
    PGresult *res)
{
    ngx_int_t  rc;

    switch (PQresultStatus(res)) {

    case PGRES_COPY_IN:
        PQclear(res);
        return ngx_iot_db_conn_copy(conn, call);

    case PGRES_SINGLE_TUPLE:
        rc = NGX_ERROR;

        if (!call->abandoned) {
            rc = call->row(call, res);
        }

        PQclear(res);

        if (rc == NGX_ERROR) {
            /* libpq cannot cancel without blocking: leave the connection */
            return NGX_ERROR;
        }

        ngx_add_timer(&conn->timer,
                      conn->lane->timeout + NGX_IOT_DB_GRACE);

        if (rc == NGX_AGAIN) {
            conn->paused = 1;

            /* the reader's own timer keeps the worker alive meanwhile */
            ngx_del_timer(&conn->timer);

            return ngx_del_event(conn->c->read, NGX_READ_EVENT, 0);
        }

        return NGX_OK;

    case PGRES_COMMAND_OK:

        if (conn->preparing) {
            PQclear(res);
            return NGX_OK;
        }

        break;

    default:
        break;
    }

    ngx_iot_db_conn_keep(call, res);

    return NGX_OK;
}


static ngx_int_t
ngx_iot_db_conn_copy(ngx_iot_db_conn_t *conn, ngx_iot_db_call_t *call)
{
    ngx_chain_t  *cl;

    /* non-blocking libpq buffers all of it; the batch bounds its size */

    for (cl = call->copy; cl; cl = cl->next) {
        if (PQputCopyData(conn->pg, (char *) cl->buf->pos,
                          cl->buf->last - cl->buf->pos)
            != 1)
        {
            return NGX_ERROR;
        }
    }

    if (PQputCopyEnd(conn->pg, NULL) != 1) {
        return NGX_ERROR;
    }

    ngx_iot_db_conn_flush(conn);

    return NGX_OK;
}


static void
ngx_iot_db_conn_call_done(ngx_iot_db_conn_t *conn)
{
    ngx_int_t           rc;
    ngx_queue_t        *q;
    ExecStatusType      status;
    ngx_iot_db_call_t  *call;

    q = ngx_queue_head(&conn->calls);
    call = ngx_queue_data(q, ngx_iot_db_call_t, queue);

    ngx_queue_remove(q);
    conn->ncalls--;
    call->conn = NULL;

    ngx_iot_db_conn_busy(conn);

    status = call->result ? PQresultStatus(call->result) : PGRES_FATAL_ERROR;

    if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK) {
        rc = NGX_OK;

    } else if (ngx_iot_db_conn_again(conn, call)) {
        PQclear(call->result);
        call->result = NULL;
        call->retried = 1;

        ngx_iot_db_requeue(call);
        ngx_iot_db_lane_wake(conn->lane);
        return;

    } else {
        rc = NGX_ERROR;

        if (ngx_iot_error_from_result(&call->error, call->result, call->pool,
                                      call->log)
            != NGX_OK)
        {
            ngx_iot_error_set(&call->error, 500, "general",
                              "Internal server error");
        }
    }

    /* room for the next one, which done() may not wait for */

    ngx_iot_db_lane_wake(conn->lane);

    ngx_iot_db_finish(call, rc);
}


/*
 * Serialization failures and deadlocks are tried once more; so is a call
 * whose statement the server does not know (its preparation was undone by an
 * error before it in the same pipeline) or knows in an old shape (the schema
 * was upgraded under us).
 */

static ngx_uint_t
ngx_iot_db_conn_again(ngx_iot_db_conn_t *conn, ngx_iot_db_call_t *call)
{
    const char  *state;

    state = call->result ? PQresultErrorField(call->result, PG_DIAG_SQLSTATE)
                         : NULL;

    if (state == NULL) {
        return 0;
    }

    if (call->stmt->index) {
        ngx_iot_db_clear_prepared(conn, call->stmt->index);
    }

    if (call->retried || call->abandoned) {
        return 0;
    }

    return ngx_strcmp(state, "40001") == 0
           || ngx_strcmp(state, "40P01") == 0
           || ngx_strcmp(state, "26000") == 0
           || ngx_strcmp(state, "0A000") == 0;
}


ngx_int_t
ngx_iot_db_conn_send(ngx_iot_db_conn_t *conn, ngx_iot_db_call_t *call)
{
    char        name[NGX_INT_T_LEN + 2];
    ngx_uint_t  index;

    call->conn = conn;
    call->sent = 1;

    ngx_queue_insert_tail(&conn->calls, &call->queue);
    conn->ncalls++;

    if (!conn->timer.timer_set) {
        ngx_iot_db_conn_busy(conn);
    }

    if (call->copy) {
        return PQsendQuery(conn->pg, (char *) call->stmt->text.data) == 1
               ? NGX_OK : NGX_ERROR;
    }

    index = call->stmt->index;

    if (ngx_iot_db_is_prepared(conn, index)) {
        return ngx_iot_db_conn_execute(conn, call);
    }

    ngx_iot_db_set_prepared(conn, index);

    /*
     * An unnamed slot cannot be used twice: a statement that has to be
     * prepared again after an error gets a name of its own each time.
     */

    conn->names[index]++;
    ngx_sprintf((u_char *) name, "s%ui_%ud%Z", index,
                (uint32_t) conn->names[index]);

    if (PQsendPrepare(conn->pg, name, (char *) call->stmt->text.data, 0, NULL)
        != 1)
    {
        return NGX_ERROR;
    }

    if (conn->lane->pipelined) {
        return ngx_iot_db_conn_execute(conn, call);
    }

    conn->preparing = 1;

    return NGX_OK;
}


static ngx_int_t
ngx_iot_db_conn_execute(ngx_iot_db_conn_t *conn, ngx_iot_db_call_t *call)
{
    char  name[NGX_INT_T_LEN * 2 + 4];

    ngx_sprintf((u_char *) name, "s%ui_%ud%Z", call->stmt->index,
                (uint32_t) conn->names[call->stmt->index]);

    if (PQsendQueryPrepared(conn->pg, name, call->nparams, call->values,
                            call->lengths, call->formats, call->binary)
        != 1)
    {
        return NGX_ERROR;
    }

    if (conn->lane->pipelined) {
        return PQpipelineSync(conn->pg) == 1 ? NGX_OK : NGX_ERROR;
    }

    if (call->row && PQsetSingleRowMode(conn->pg) != 1) {
        return NGX_ERROR;
    }

    return NGX_OK;
}
