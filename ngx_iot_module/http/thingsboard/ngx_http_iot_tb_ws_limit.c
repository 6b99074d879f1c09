
/*
 * Copyright (C) the ngx_iot authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "../../core/ngx_iot_count.h"
#include "../ngx_http_iot_module.h"
#include "ngx_http_iot_tb_ws_feed.h"


/*
 * What the profile of the tenant allows: connections and subscriptions of a
 * tenant, of a customer and of a user (or of all of the public).  Users of
 * the system have no profile.
 */

#define NGX_HTTP_IOT_TB_WS_OWNERS  3


static void ngx_http_iot_tb_ws_limited(ngx_iot_db_call_t *db);
static void ngx_http_iot_tb_ws_numbers(ngx_uint_t *values, u_char *text,
    size_t len);
static ngx_uint_t ngx_http_iot_tb_ws_owner(ngx_http_iot_tb_ws_t *session,
    ngx_uint_t i, ngx_str_t *key);
static ngx_int_t ngx_http_iot_tb_ws_take(ngx_http_iot_tb_ws_t *session,
    char **what, ngx_uint_t *most, const char *things, ngx_uint_t *counted);
static void ngx_http_iot_tb_ws_give(ngx_http_iot_tb_ws_t *session,
    char **what, ngx_uint_t counted);


static ngx_iot_db_stmt_t  ngx_http_iot_tb_ws_limits_stmt = ngx_iot_db_stmt(
    "SELECT array_to_string(sessions, ','),"
    " array_to_string(subscriptions, ','), queue, updates"
    " FROM iot.watch_limits($1::iot.principal)");

static char  *ngx_http_iot_tb_ws_sessions[] = {
    "ws_tenant", "ws_customer", "ws_user"
};

static char  *ngx_http_iot_tb_ws_feeds[] = {
    "ws_tenant_feeds", "ws_customer_feeds", "ws_user_feeds"
};


ngx_int_t
ngx_http_iot_tb_ws_limits(ngx_http_iot_tb_ws_t *session)
{
    ngx_str_t           text;
    ngx_iot_db_call_t  *db;

    if (!session->principal.has_tenant) {
        return NGX_OK;
    }

    db = ngx_iot_db_create(NGX_IOT_DB_CALL, &ngx_http_iot_tb_ws_limits_stmt,
                           ngx_cycle->log);
    if (db == NULL) {
        return NGX_ERROR;
    }

    db->data = session;
    db->done = ngx_http_iot_tb_ws_limited;

    if (ngx_iot_principal_text(&session->principal,
                               &session->ws->request->connection->addr_text,
                               &text, db->pool)
        != NGX_OK)
    {
        goto failed;
    }

    ngx_iot_db_param(db, text.data, text.len, 0);

    if (ngx_iot_db_send(db) != NGX_OK) {
        goto failed;
    }

    session->db = db;

    return NGX_AGAIN;

failed:

    ngx_destroy_pool(db->pool);

    return NGX_ERROR;
}


static void
ngx_http_iot_tb_ws_limited(ngx_iot_db_call_t *db)
{
    ngx_int_t              queue;
    ngx_str_t              rate;
    ngx_uint_t             counted;
    ngx_uint_t             most[NGX_HTTP_IOT_TB_WS_OWNERS];
    ngx_http_iot_tb_ws_t  *session;

    session = db->data;
    session->db = NULL;

    if (db->rc != NGX_OK || PQntuples(db->result) != 1) {
        ngx_http_iot_ws_close(session->ws, NGX_IOT_WS_CLOSE_INTERNAL,
                              "Internal server error");
        return;
    }

    ngx_http_iot_tb_ws_numbers(most, (u_char *) PQgetvalue(db->result, 0, 0),
                               PQgetlength(db->result, 0, 0));
    ngx_http_iot_tb_ws_numbers(session->most,
                               (u_char *) PQgetvalue(db->result, 0, 1),
                               PQgetlength(db->result, 0, 1));

    queue = ngx_atoi((u_char *) PQgetvalue(db->result, 0, 2),
                     PQgetlength(db->result, 0, 2));

    if (queue > 0 && queue < NGX_HTTP_IOT_WS_QUEUE) {
        session->ws->max_queue = queue;
    }

    rate.data = (u_char *) PQgetvalue(db->result, 0, 3);
    rate.len = PQgetlength(db->result, 0, 3);

    /* checked where the profile is saved; a bad one limits nothing */

    (void) ngx_iot_limit_parse(&session->updates, &rate);

    if (ngx_http_iot_tb_ws_take(session, ngx_http_iot_tb_ws_sessions, most,
                                "sessions", &counted)
        != NGX_OK)
    {
        return;
    }

    session->counted = counted;

    ngx_http_iot_tb_ws_begin(session);
}


/* "a,b,c" */

static void
ngx_http_iot_tb_ws_numbers(ngx_uint_t *values, u_char *text, size_t len)
{
    u_char      *p, *last;
    ngx_int_t    n;
    ngx_uint_t   i;

    last = text + len;

    for (i = 0; i < NGX_HTTP_IOT_TB_WS_OWNERS; i++) {

        p = ngx_strlchr(text, last, ',');

        if (p == NULL) {
            p = last;
        }

        n = ngx_atoi(text, p - text);
        values[i] = (n == NGX_ERROR) ? 0 : n;

        text = (p < last) ? p + 1 : last;
    }
}


/* the key of the tenant, customer or user; 0: there is none */

static ngx_uint_t
ngx_http_iot_tb_ws_owner(ngx_http_iot_tb_ws_t *session, ngx_uint_t i,
    ngx_str_t *key)
{
    ngx_iot_principal_t  *principal;

    principal = &session->principal;
    key->len = sizeof(principal->tenant);

    switch (i) {

    case 0:
        key->data = principal->tenant;
        return principal->has_tenant;

    case 1:
        key->data = principal->customer;
        return principal->has_customer;

    default:

        /* the public of a customer is one user */

        key->data = principal->has_user ? principal->user
                                        : principal->customer;
        return principal->has_user || principal->has_customer;
    }
}


/* one of each owner, or none and the connection is closed */

static ngx_int_t
ngx_http_iot_tb_ws_take(ngx_http_iot_tb_ws_t *session, char **what,
    ngx_uint_t *most, const char *things, ngx_uint_t *counted)
{
    u_char        text[64];
    ngx_int_t     rc;
    ngx_str_t     key;
    ngx_uint_t    i;

    static char  *owners[] = { "tenant", "customer", "regular user" };

    *counted = 0;

    for (i = 0; i < NGX_HTTP_IOT_TB_WS_OWNERS; i++) {

        if (!ngx_http_iot_tb_ws_owner(session, i, &key)) {
            continue;
        }

        rc = ngx_iot_count_add(what[i], &key, most[i]);

        if (rc == NGX_OK) {
            *counted |= 1 << i;
            continue;
        }

        if (rc == NGX_BUSY) {
            ngx_http_iot_tb_ws_give(session, what, *counted);

            *ngx_sprintf(text, "Max %s %s limit reached!",
                         (i == 2 && session->principal.is_public)
                             ? "public user" : owners[i],
                         things)
                = '\0';

            ngx_http_iot_ws_close(session->ws, NGX_IOT_WS_CLOSE_POLICY,
                                  (char *) text);
            return NGX_BUSY;
        }
    }

    return NGX_OK;
}


static void
ngx_http_iot_tb_ws_give(ngx_http_iot_tb_ws_t *session, char **what,
    ngx_uint_t counted)
{
    ngx_str_t   key;
    ngx_uint_t  i;

    for (i = 0; i < NGX_HTTP_IOT_TB_WS_OWNERS; i++) {
        if (counted & (1 << i)) {
            (void) ngx_http_iot_tb_ws_owner(session, i, &key);
            ngx_iot_count_drop(what[i], &key);
        }
    }
}


void
ngx_http_iot_tb_ws_leave(ngx_http_iot_tb_ws_t *session)
{
    ngx_http_iot_tb_ws_give(session, ngx_http_iot_tb_ws_sessions,
                            session->counted);
    session->counted = 0;
}


ngx_int_t
ngx_http_iot_tb_ws_take_feed(ngx_http_iot_tb_ws_t *session,
    ngx_uint_t *counted)
{
    return ngx_http_iot_tb_ws_take(session, ngx_http_iot_tb_ws_feeds,
                                   session->most, "subscriptions", counted);
}


void
ngx_http_iot_tb_ws_give_feed(ngx_http_iot_tb_ws_t *session,
    ngx_uint_t counted)
{
    ngx_http_iot_tb_ws_give(session, ngx_http_iot_tb_ws_feeds, counted);
}
