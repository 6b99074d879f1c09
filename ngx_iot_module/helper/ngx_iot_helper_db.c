
/*
 * Copyright (C) the ngx_iot authors
 */


#include <errno.h>
#include <poll.h>
#include <stdio.h>

#include "ngx_iot_helper_db.h"


#define NGX_IOT_HELPER_DB_PAUSE      100
#define NGX_IOT_HELPER_DB_PAUSE_MAX  5000


static void ngx_iot_helper_db_connect(ngx_iot_helper_t *helper);
static void ngx_iot_helper_db_continue(ngx_iot_helper_t *helper);
static ngx_int_t ngx_iot_helper_db_prepare(ngx_iot_helper_t *helper);
static void ngx_iot_helper_db_lost(ngx_iot_helper_t *helper,
    const char *what);
static PGresult *ngx_iot_helper_db_result(ngx_iot_helper_t *helper);
static void ngx_iot_helper_db_notices(void *data, const char *text);


void
ngx_iot_helper_db_process(ngx_iot_helper_t *helper)
{
    PGnotify  *notify;

    switch (helper->db_state) {

    case NGX_IOT_HELPER_DB_DOWN:
        if (ngx_iot_helper_now() >= helper->db_next) {
            ngx_iot_helper_db_connect(helper);
        }

        break;

    case NGX_IOT_HELPER_DB_CONNECTING:
        ngx_iot_helper_db_continue(helper);
        break;

    case NGX_IOT_HELPER_DB_UP:
        if (!PQconsumeInput(helper->db)) {
            ngx_iot_helper_db_lost(helper, "the connection was closed");
            break;
        }

        for ( ;; ) {
            notify = PQnotifies(helper->db);
            if (notify == NULL) {
                break;
            }

            helper->notified = 1;
            PQfreemem(notify);
        }

        break;
    }
}


static void
ngx_iot_helper_db_connect(ngx_iot_helper_t *helper)
{
    helper->db = PQconnectStart(helper->conninfo);

    if (helper->db == NULL || PQstatus(helper->db) == CONNECTION_BAD) {
        ngx_iot_helper_db_lost(helper, "cannot connect");
        return;
    }

    (void) PQsetNoticeProcessor(helper->db, ngx_iot_helper_db_notices, NULL);

    helper->db_state = NGX_IOT_HELPER_DB_CONNECTING;
    helper->db_since = ngx_iot_helper_now();
    helper->db_events = POLLOUT;
}


static void
ngx_iot_helper_db_continue(ngx_iot_helper_t *helper)
{
    int            rc;
    struct pollfd  pfd;

    if (ngx_iot_helper_now() - helper->db_since > NGX_IOT_HELPER_DB_TIMEOUT) {
        ngx_iot_helper_db_lost(helper, "connecting took too long");
        return;
    }

    pfd.fd = PQsocket(helper->db);
    pfd.events = helper->db_events;
    pfd.revents = 0;

    rc = poll(&pfd, 1, 0);

    if (rc <= 0) {
        return;
    }

    switch (PQconnectPoll(helper->db)) {

    case PGRES_POLLING_READING:
        helper->db_events = POLLIN;
        return;

    case PGRES_POLLING_WRITING:
        helper->db_events = POLLOUT;
        return;

    case PGRES_POLLING_OK:
        break;

    default:
        ngx_iot_helper_db_lost(helper, "cannot connect");
        return;
    }

    helper->db_state = NGX_IOT_HELPER_DB_UP;

    if (ngx_iot_helper_db_prepare(helper) != NGX_OK) {

        if (helper->db_state == NGX_IOT_HELPER_DB_UP) {
            ngx_iot_helper_db_lost(helper, "the role or the schema is wrong");
        }

        return;
    }

    helper->db_pause = 0;
    helper->notified = 1;
    helper->beat_at = 0;
    helper->counts.reconnects++;

    ngx_iot_helper_log("connected to the database");
}


static ngx_int_t
ngx_iot_helper_db_prepare(ngx_iot_helper_t *helper)
{
    char       *role, sql[256];
    PGresult   *res;
    ngx_uint_t  i;

    static const char *const  settings[] = {
        "SET statement_timeout = 8000",
        "SET client_encoding = 'UTF8'",
        "LISTEN iot_job"
    };

    if (strcmp(helper->role, "none") != 0) {

        role = PQescapeIdentifier(helper->db, helper->role,
                                  strlen(helper->role));
        if (role == NULL) {
            return NGX_ERROR;
        }

        (void) snprintf(sql, sizeof(sql), "SET ROLE %s", role);
        PQfreemem(role);

        res = ngx_iot_helper_query(helper, sql, 0, NULL);
        if (res == NULL) {
            return NGX_ERROR;
        }

        PQclear(res);
    }

    for (i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {

        res = ngx_iot_helper_query(helper, settings[i], 0, NULL);
        if (res == NULL) {
            return NGX_ERROR;
        }

        PQclear(res);
    }

    return NGX_OK;
}


static void
ngx_iot_helper_db_lost(ngx_iot_helper_t *helper, const char *what)
{
    int   len;
    char *words;

    words = helper->db ? PQerrorMessage(helper->db) : "";
    len = (int) strcspn(words, "\r\n");

    /* while it stays away, once is enough */

    if (helper->db_pause == 0) {
        ngx_iot_helper_log("database: %s: %.*s", what, len, words);
    }

    helper->db_pause = helper->db_pause ? 2 * helper->db_pause
                                        : NGX_IOT_HELPER_DB_PAUSE;

    if (helper->db_pause > NGX_IOT_HELPER_DB_PAUSE_MAX) {
        helper->db_pause = NGX_IOT_HELPER_DB_PAUSE_MAX;
    }

    /* several helpers do not come back at the same moment */

    helper->db_next = ngx_iot_helper_now() + helper->db_pause
                      + rand() % (helper->db_pause / 2);

    ngx_iot_helper_db_close(helper);
}


void
ngx_iot_helper_db_close(ngx_iot_helper_t *helper)
{
    if (helper->db) {
        PQfinish(helper->db);
        helper->db = NULL;
    }

    helper->db_state = NGX_IOT_HELPER_DB_DOWN;
}


int
ngx_iot_helper_db_fd(ngx_iot_helper_t *helper, short *events)
{
    if (helper->db_state == NGX_IOT_HELPER_DB_DOWN) {
        return -1;
    }

    *events = (helper->db_state == NGX_IOT_HELPER_DB_UP) ? POLLIN
                                                         : helper->db_events;

    return PQsocket(helper->db);
}


PGresult *
ngx_iot_helper_query(ngx_iot_helper_t *helper, const char *sql, int n,
    const char *const *values)
{
    PGresult  *res;

    if (helper->db_state != NGX_IOT_HELPER_DB_UP) {
        return NULL;
    }

    if (!PQsendQueryParams(helper->db, sql, n, NULL, values, NULL, NULL, 0)) {
        ngx_iot_helper_db_lost(helper, "cannot ask");
        return NULL;
    }

    res = ngx_iot_helper_db_result(helper);
    if (res == NULL) {
        return NULL;
    }

    switch (PQresultStatus(res)) {

    case PGRES_COMMAND_OK:
    case PGRES_TUPLES_OK:
        return res;

    default:
        break;
    }

    ngx_iot_helper_log("database: %.*s: %.60s",
                       (int) strcspn(PQresultErrorMessage(res), "\r\n"),
                       PQresultErrorMessage(res), sql);
    PQclear(res);

    if (PQstatus(helper->db) == CONNECTION_BAD) {
        ngx_iot_helper_db_lost(helper, "the connection is lost");
    }

    return NULL;
}


/* the last result; a server that has stopped must not stop us */

static PGresult *
ngx_iot_helper_db_result(ngx_iot_helper_t *helper)
{
    int            rc;
    int64_t        end, left;
    PGresult      *last, *res;
    struct pollfd  pfd;

    end = ngx_iot_helper_now() + NGX_IOT_HELPER_DB_TIMEOUT;
    last = NULL;

    for ( ;; ) {

        /* 1: not all is sent, -1: the connection is lost */

        rc = PQflush(helper->db);

        while (rc == 0 && !PQisBusy(helper->db)) {

            res = PQgetResult(helper->db);

            if (res == NULL) {
                if (last == NULL) {
                    goto lost;
                }

                return last;
            }

            PQclear(last);
            last = res;
        }

        left = end - ngx_iot_helper_now();

        if (rc < 0 || left <= 0) {
            break;
        }

        pfd.fd = PQsocket(helper->db);
        pfd.events = POLLIN | (rc ? POLLOUT : 0);
        pfd.revents = 0;

        if (poll(&pfd, 1, (int) left) < 0 && errno != EINTR) {
            break;
        }

        if (!PQconsumeInput(helper->db)) {
            break;
        }
    }

lost:

    PQclear(last);
    ngx_iot_helper_db_lost(helper, "no answer");

    return NULL;
}


char *
ngx_iot_helper_query_text(ngx_iot_helper_t *helper,
    ngx_iot_helper_pool_t *pool, const char *sql, int n,
    const char *const *values)
{
    char      *text;
    PGresult  *res;

    res = ngx_iot_helper_query(helper, sql, n, values);
    if (res == NULL) {
        return NULL;
    }

    text = NULL;

    if (PQntuples(res) == 1 && PQnfields(res) == 1 && !PQgetisnull(res, 0, 0))
    {
        text = ngx_iot_helper_strdup(pool, PQgetvalue(res, 0, 0));
    }

    PQclear(res);

    return text;
}


static void
ngx_iot_helper_db_notices(void *data, const char *text)
{
    (void) data;
    (void) text;
}
