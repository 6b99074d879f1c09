
/*
 * Copyright (C) the ngx_iot authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include <openssl/ssl.h>

#include "ngx_iot_db_conn.h"
#include "ngx_iot_metrics.h"


#define NGX_IOT_DB_DELAY_MIN        100
#define NGX_IOT_DB_DELAY_MAX        5000
#define NGX_IOT_DB_CONNECT_TIMEOUT  10000


static void ngx_iot_db_conn_set_state(ngx_iot_db_conn_t *conn,
    ngx_iot_db_state_e state);
static ngx_int_t ngx_iot_db_conn_wrap(ngx_iot_db_conn_t *conn,
    ngx_uint_t write);
static void ngx_iot_db_conn_unwrap(ngx_iot_db_conn_t *conn);
static void ngx_iot_db_conn_event(ngx_event_t *ev);
static void ngx_iot_db_conn_timeout(ngx_event_t *ev);
static void ngx_iot_db_conn_retry(ngx_event_t *ev);
static void ngx_iot_db_conn_poll(ngx_iot_db_conn_t *conn);
static ngx_int_t ngx_iot_db_conn_setup(ngx_iot_db_conn_t *conn);
static void ngx_iot_db_conn_setup_done(ngx_iot_db_conn_t *conn);
static void ngx_iot_db_conn_readable(ngx_iot_db_conn_t *conn);
static ngx_int_t ngx_iot_db_conn_consume(ngx_iot_db_conn_t *conn);
static void ngx_iot_db_conn_fail_calls(ngx_iot_db_conn_t *conn);


static char  *ngx_iot_db_lane_names[] = { "call", "read", "slow", "write",
                                          "chore" };


void
ngx_iot_db_conn_start(ngx_iot_db_conn_t *conn)
{
    ngx_iot_conninfo_t  *info;

    if (conn->timer.handler == NULL) {
        conn->ident = -1;
        conn->log = ngx_cycle->log;
        conn->delay = NGX_IOT_DB_DELAY_MIN;

        conn->timer.data = conn;
        conn->timer.log = conn->log;
        conn->timer.handler = ngx_iot_db_conn_timeout;

        conn->retry.data = conn;
        conn->retry.log = conn->log;
        conn->retry.handler = ngx_iot_db_conn_retry;
        conn->retry.cancelable = 1;

        ngx_queue_init(&conn->calls);
    }

    ngx_memzero(conn->prepared, sizeof(conn->prepared));
    conn->preparing = 0;
    conn->paused = 0;
    conn->flushing = 0;

    info = conn->lane->conninfo;

    conn->pg = PQconnectStartParams((const char *const *) info->keywords,
                                    (const char *const *) info->values, 0);

    if (conn->pg == NULL || PQstatus(conn->pg) == CONNECTION_BAD) {
        ngx_iot_db_conn_lost(conn, "connect");
        return;
    }

    ngx_iot_db_conn_set_state(conn, NGX_IOT_DB_CONNECTING);

    /* nothing waits on it: an exiting worker need not stay */
    conn->timer.cancelable = 1;
    ngx_add_timer(&conn->timer, NGX_IOT_DB_CONNECT_TIMEOUT);

    /* libpq asks to wait for writable before the first poll */

    if (ngx_iot_db_conn_wrap(conn, 1) != NGX_OK) {
        ngx_iot_db_conn_lost(conn, "connect");
    }
}


static void
ngx_iot_db_conn_set_state(ngx_iot_db_conn_t *conn, ngx_iot_db_state_e state)
{
    ngx_iot_db_state_e  old;

    old = conn->state;
    conn->state = state;

    ngx_log_debug3(NGX_LOG_DEBUG_CORE, conn->log, 0,
                   "iot db %s state: %d->%d",
                   ngx_iot_db_lane_names[conn->lane->id], old, state);

    if (old == state) {
        return;
    }

    if (state == NGX_IOT_DB_READY) {
        conn->lane->nready++;

    } else if (old == NGX_IOT_DB_READY) {
        conn->lane->nready--;
    }

    ngx_iot_gauge(db_connections[conn->lane->id], conn->lane->nready);
}


/*
 * While connecting, libpq may close its socket and get the same number for
 * another: epoll has forgotten the first, nginx would not notice.  So each
 * step registers anew, and only the direction that libpq asked for.  Reading
 * is level-triggered: PQconsumeInput() reads once and does not tell whether
 * more is waiting.  EPOLLET is a property of the descriptor, so writing has
 * to be level-triggered as well, and is registered only while there is
 * something left to write.
 */

static ngx_int_t
ngx_iot_db_conn_wrap(ngx_iot_db_conn_t *conn, ngx_uint_t write)
{
    int                fd;
    ngx_int_t          rc;
    ngx_connection_t  *c;

    fd = PQsocket(conn->pg);
    if (fd < 0) {
        return NGX_ERROR;
    }

    c = ngx_get_connection(fd, conn->log);
    if (c == NULL) {
        return NGX_ERROR;
    }

    c->data = conn;
    c->log = conn->log;
    c->read->log = conn->log;
    c->write->log = conn->log;
    c->read->handler = ngx_iot_db_conn_event;
    c->write->handler = ngx_iot_db_conn_event;

    conn->c = c;

    if (write) {
        rc = ngx_add_event(c->write, NGX_WRITE_EVENT, 0);

    } else {
        rc = ngx_add_event(c->read, NGX_READ_EVENT, 0);
    }

    if (rc != NGX_OK) {
        ngx_iot_db_conn_unwrap(conn);
        return NGX_ERROR;
    }

    return NGX_OK;
}


/*
 * The descriptor is libpq's, and stays open; when libpq has closed it upon an
 * error, epoll has forgotten it already.
 */

static void
ngx_iot_db_conn_unwrap(ngx_iot_db_conn_t *conn)
{
    ngx_connection_t  *c;

    c = conn->c;

    if (c == NULL) {
        return;
    }

    conn->c = NULL;

    if (c->read->timer_set) {
        ngx_del_timer(c->read);
    }

    if (c->write->timer_set) {
        ngx_del_timer(c->write);
    }

    /* a paused connection is not in epoll at all */

    if (ngx_del_conn && (c->read->active || c->write->active)) {
        ngx_del_conn(c, PQsocket(conn->pg) == c->fd ? 0 : NGX_CLOSE_EVENT);
    }

    if (c->read->posted) {
        ngx_delete_posted_event(c->read);
    }

    if (c->write->posted) {
        ngx_delete_posted_event(c->write);
    }

    ngx_free_connection(c);

    c->fd = (ngx_socket_t) -1;
}


static void
ngx_iot_db_conn_event(ngx_event_t *ev)
{
    ngx_connection_t   *c;
    ngx_iot_db_conn_t  *conn;

    c = ev->data;
    conn = c->data;

    switch (conn->state) {

    case NGX_IOT_DB_CONNECTING:
        ngx_iot_db_conn_poll(conn);
        break;

    case NGX_IOT_DB_SETUP:
    case NGX_IOT_DB_READY:

        if (ev->write) {
            ngx_iot_db_conn_flush(conn);

        } else {
            ngx_iot_db_conn_readable(conn);
        }

        break;

    default: /* NGX_IOT_DB_DOWN */
        break;
    }
}


static void
ngx_iot_db_conn_poll(ngx_iot_db_conn_t *conn)
{
    ngx_uint_t  write;

    ngx_iot_db_conn_unwrap(conn);

    switch (PQconnectPoll(conn->pg)) {

    case PGRES_POLLING_OK:

        if (ngx_iot_db_conn_setup(conn) != NGX_OK) {
            ngx_iot_db_conn_lost(conn, "setup");
        }

        return;

    case PGRES_POLLING_READING:
        write = 0;
        break;

    case PGRES_POLLING_WRITING:
        write = 1;
        break;

    default:
        ngx_iot_db_conn_lost(conn, "connect");
        return;
    }

    if (ngx_iot_db_conn_wrap(conn, write) != NGX_OK) {
        ngx_iot_db_conn_lost(conn, "connect");
    }
}


/*
 * Everything that a connection must know before its first call, in one round
 * trip.  Planning is generic from the start: the functions are called with
 * ever other values, and custom plans of five calls each are wasted.
 */

static ngx_int_t
ngx_iot_db_conn_setup(ngx_iot_db_conn_t *conn)
{
    u_char           text[1024], *p;
    ngx_iot_conf_t  *icf;

    icf = ngx_iot_conf();

    if (PQsetnonblocking(conn->pg, 1) != 0) {
        return NGX_ERROR;
    }

    (void) PQsetErrorVerbosity(conn->pg, PQERRORS_DEFAULT);

    p = ngx_snprintf(text, sizeof(text) - 1,
                     "SET ROLE \"%V\"; SET statement_timeout = %M; "
                     "SET idle_in_transaction_session_timeout = %M; "
                     "SET client_min_messages = error; "
                     "SET timezone = 'UTC'; SET client_encoding = 'UTF8'; "
                     "SET plan_cache_mode = force_generic_plan; %s%Z",
                     &icf->role, conn->lane->timeout, conn->lane->timeout,
                     conn->lane->listens ? "LISTEN iot" : "");

    if (p == text + sizeof(text) - 1) {
        return NGX_ERROR;
    }

    ngx_iot_db_conn_set_state(conn, NGX_IOT_DB_SETUP);

    if (PQsendQuery(conn->pg, (char *) text) != 1) {
        return NGX_ERROR;
    }

    if (ngx_iot_db_conn_wrap(conn, 0) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_iot_db_conn_flush(conn);

    return NGX_OK;
}


static void
ngx_iot_db_conn_setup_done(ngx_iot_db_conn_t *conn)
{
    ngx_int_t  rc;
    PGresult  *res;

    rc = NGX_OK;

    for ( ;; ) {

        if (PQisBusy(conn->pg)) {
            return;
        }

        res = PQgetResult(conn->pg);
        if (res == NULL) {
            break;
        }

        if (PQresultStatus(res) != PGRES_COMMAND_OK) {
            rc = NGX_ERROR;
        }

        PQclear(res);

        if (rc == NGX_ERROR) {
            ngx_iot_db_conn_lost(conn, "setup");
            return;
        }
    }

    if (conn->lane->pipelined && PQenterPipelineMode(conn->pg) != 1) {
        ngx_iot_db_conn_lost(conn, "setup");
        return;
    }

    if (conn->timer.timer_set) {
        ngx_del_timer(&conn->timer);
    }

    conn->timer.cancelable = 0;
    conn->delay = NGX_IOT_DB_DELAY_MIN;

    ngx_iot_db_conn_set_state(conn, NGX_IOT_DB_READY);
    ngx_iot_db_lane_up(conn->lane, conn);
}


static void
ngx_iot_db_conn_readable(ngx_iot_db_conn_t *conn)
{
    if (ngx_iot_db_conn_consume(conn) != NGX_OK) {
        ngx_iot_db_conn_lost(conn, "read");
        return;
    }

    if (conn->state == NGX_IOT_DB_SETUP) {
        ngx_iot_db_conn_setup_done(conn);
        return;
    }

    ngx_iot_db_conn_notifies(conn);

    if (conn->lane->pipelined) {
        ngx_iot_db_conn_pipeline(conn);

    } else {
        ngx_iot_db_conn_plain(conn);
    }

    if (conn->state == NGX_IOT_DB_READY) {
        ngx_iot_db_conn_flush(conn);
    }
}


static ngx_int_t
ngx_iot_db_conn_consume(ngx_iot_db_conn_t *conn)
{
    SSL  *ssl;

    if (PQconsumeInput(conn->pg) != 1) {
        return NGX_ERROR;
    }

    if (!PQsslInUse(conn->pg)) {
        return NGX_OK;
    }

    /* what OpenSSL has decrypted already raises no event */

    ssl = PQsslStruct(conn->pg, "OpenSSL");

    while (ssl && SSL_pending(ssl) > 0) {
        if (PQconsumeInput(conn->pg) != 1) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


void
ngx_iot_db_conn_notifies(ngx_iot_db_conn_t *conn)
{
    PGnotify  *note;

    if (!conn->lane->listens) {
        return;
    }

    for ( ;; ) {
        note = PQnotifies(conn->pg);
        if (note == NULL) {
            return;
        }

        ngx_iot_db_notified(note);
        PQfreemem(note);
    }
}


void
ngx_iot_db_conn_flush(ngx_iot_db_conn_t *conn)
{
    int           n;
    ngx_event_t  *wev;

    if (conn->c == NULL) {
        return;
    }

    wev = conn->c->write;

    n = PQflush(conn->pg);

    if (n == -1) {
        /* what the server said last may still be readable */

        if (wev->active) {
            (void) ngx_del_event(wev, NGX_WRITE_EVENT, 0);
        }

        return;
    }

    if (n == 1) {
        if (!wev->active
            && ngx_add_event(wev, NGX_WRITE_EVENT, 0) != NGX_OK)
        {
            ngx_iot_db_conn_lost(conn, "write");
        }

        return;
    }

    if (wev->active) {
        if (ngx_del_event(wev, NGX_WRITE_EVENT, 0) != NGX_OK) {
            ngx_iot_db_conn_lost(conn, "write");
        }
    }
}


void
ngx_iot_db_conn_resume(ngx_iot_db_conn_t *conn)
{
    if (!conn->paused) {
        return;
    }

    conn->paused = 0;
    ngx_iot_db_conn_busy(conn);

    if (ngx_add_event(conn->c->read, NGX_READ_EVENT, 0) != NGX_OK) {
        ngx_iot_db_conn_lost(conn, "read");
        return;
    }

    /* rows that libpq has already */

    ngx_iot_db_conn_plain(conn);
}


/*
 * The timer of a connection that owes answers: each answer starts it anew.
 * It is not cancelable, so that an exiting worker waits for them.
 */

void
ngx_iot_db_conn_busy(ngx_iot_db_conn_t *conn)
{
    if (ngx_queue_empty(&conn->calls)) {

        if (conn->timer.timer_set) {
            ngx_del_timer(&conn->timer);
        }

        return;
    }

    ngx_add_timer(&conn->timer, conn->lane->timeout + NGX_IOT_DB_GRACE);
}


static void
ngx_iot_db_conn_timeout(ngx_event_t *ev)
{
    ngx_iot_db_conn_t  *conn;

    conn = ev->data;

    ngx_iot_db_conn_lost(conn, "no answer in time");
}


static void
ngx_iot_db_conn_retry(ngx_event_t *ev)
{
    ngx_iot_db_conn_t  *conn;

    conn = ev->data;

    if (ngx_exiting && ngx_queue_empty(&conn->lane->queue)) {
        return;
    }

    ngx_iot_db_conn_start(conn);
}


void
ngx_iot_db_conn_lost(ngx_iot_db_conn_t *conn, char *why)
{
    char        *error, *p;
    ngx_msec_t   delay;

    error = conn->pg ? PQerrorMessage(conn->pg) : "no memory";

    /* one line is enough for a log */

    for (p = error; *p && *p != '\n'; p++) { /* void */ }

    ngx_log_error(NGX_LOG_ERR, conn->log, 0,
                  "database connection (%s) lost: %s: %*s",
                  ngx_iot_db_lane_names[conn->lane->id], why,
                  (size_t) (p - error), error);

    ngx_iot_count(db_reconnects);

    ngx_iot_db_conn_close(conn);
    ngx_iot_db_lane_down(conn->lane, conn);
    ngx_iot_db_conn_fail_calls(conn);

    /* half of the delay is chance, lest all workers come back at once */

    delay = conn->delay / 2 + ngx_random() % (conn->delay / 2 + 1);
    conn->delay = ngx_min(conn->delay * 2, NGX_IOT_DB_DELAY_MAX);

    ngx_add_timer(&conn->retry, delay);
}


void
ngx_iot_db_conn_close(ngx_iot_db_conn_t *conn)
{
    ngx_iot_db_conn_unwrap(conn);

    if (conn->pg) {
        PQfinish(conn->pg);
        conn->pg = NULL;
    }

    if (conn->timer.timer_set) {
        ngx_del_timer(&conn->timer);
    }

    if (conn->retry.timer_set) {
        ngx_del_timer(&conn->retry);
    }

    ngx_iot_db_conn_set_state(conn, NGX_IOT_DB_DOWN);
}


/*
 * Nobody knows whether the calls on the wire took place.  Reads are sent
 * again; the others fail, and their senders decide.
 */

static void
ngx_iot_db_conn_fail_calls(ngx_iot_db_conn_t *conn)
{
    ngx_queue_t        *q, calls;
    ngx_iot_db_call_t  *call;

    if (ngx_queue_empty(&conn->calls)) {
        return;
    }

    ngx_queue_init(&calls);
    ngx_queue_add(&calls, &conn->calls);
    ngx_queue_init(&conn->calls);
    conn->ncalls = 0;

    while (!ngx_queue_empty(&calls)) {
        q = ngx_queue_last(&calls);
        ngx_queue_remove(q);

        call = ngx_queue_data(q, ngx_iot_db_call_t, queue);
        call->conn = NULL;

        if (call->result) {
            PQclear(call->result);
            call->result = NULL;
        }

        if (conn->lane->retries && !call->retried && !call->abandoned) {
            call->retried = 1;
            ngx_iot_db_requeue(call);
            continue;
        }

        ngx_iot_error_set(&call->error, 503, "unavailable",
                          "Storage is not available");
        ngx_iot_db_finish(call, NGX_ERROR);
    }
}
