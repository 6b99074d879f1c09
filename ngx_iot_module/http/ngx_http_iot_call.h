
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_HTTP_IOT_CALL_H_INCLUDED_
#define _NGX_HTTP_IOT_CALL_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "../core/ngx_iot_auth.h"
#include "../core/ngx_iot_db.h"
#include "../core/ngx_iot_error.h"
#include "../core/ngx_iot_rates.h"
#include "ngx_http_iot_route.h"


/*
 * The life of one REST request.  It is made when the content handler runs,
 * lives in the pool of the request and dies with it:
 *
 *   body -> auth -> limit -> sent -> answer -> done
 *                     |       ^
 *                     +-> handler (in C; it answers, or goes on to "sent")
 *
 * An error goes to "answer" from every state.  When the client goes away the
 * request is finalized by nginx; then abort() is called, if there is one, and
 * what is pending in "auth" and "db" is abandoned.
 */

#define NGX_HTTP_IOT_MAX_PATH  16        /* segments taken by parameters */
#define NGX_HTTP_IOT_MAX_ARGS  256       /* members of a query string */


typedef enum {
    ngx_http_iot_body_state = 0,
    ngx_http_iot_auth_state,
    ngx_http_iot_limit_state,
    ngx_http_iot_handler_state,
    ngx_http_iot_sent_state,
    ngx_http_iot_answer_state,
    ngx_http_iot_done_state
} ngx_http_iot_call_state_e;


typedef struct ngx_iot_dialect_s  ngx_iot_dialect_t;

typedef void (*ngx_http_iot_call_pt)(ngx_http_iot_call_t *call);
typedef void (*ngx_http_iot_rated_pt)(ngx_http_iot_call_t *call,
    ngx_int_t rc);


struct ngx_http_iot_call_s {
    ngx_http_request_t         *request;
    ngx_pool_t                 *pool;        /* of the request */
    ngx_log_t                  *log;

    ngx_iot_dialect_t          *dialect;
    ngx_http_iot_route_t       *route;       /* NULL: nothing has that path */
    ngx_uint_t                  allow;       /* methods that the path knows */

    ngx_iot_principal_t         principal;   /* role NGX_IOT_PUBLIC: nobody */

    ngx_uint_t                  npath;
    ngx_str_t                   path[NGX_HTTP_IOT_MAX_PATH];  /* decoded */

    ngx_array_t                *args;        /* ngx_keyval_t, decoded */
    ngx_str_t                   body;        /* data NULL: there is none */

    ngx_iot_error_t             error;

    /* pending; abandoned when the client goes away, then NULL */
    void                       *auth;
    ngx_iot_db_call_t          *db;

    /* of a handler in C that waits for something else */
    void                       *ctx;
    ngx_http_iot_call_pt        abort;
    ngx_http_iot_call_pt        next;        /* after a database call */
    ngx_iot_rates_wait_t        rates_wait;
    ngx_http_iot_rated_pt       rated;

    /* of a streamed answer */
    ngx_chain_t                *free;
    ngx_chain_t                *busy;
    ngx_int_t                   stream_rc;

    unsigned                    state:3;
    unsigned                    deferred:1;  /* back in the event loop once */
    unsigned                    head:1;
    unsigned                    paused:1;    /* the client is slow */
    unsigned                    ended:1;
    unsigned                    db_sent:1;
    unsigned                    db_finished:1;
};


/*
 * What a handler of a route may do.  It is called with the principal known
 * and allowed, the path, the args and the body in place (if the route says
 * NGX_HTTP_IOT_BODY the body is one checked JSON text).  It returns NGX_DONE,
 * having answered or waiting for an event after which it will; NGX_ERROR:
 * the engine answers 500.
 *
 * Each of the functions below ends the call: the request may be gone when
 * they return, so touch nothing and return their value (always NGX_DONE).
 * They may be called from any event.  Answer text is not copied: it must live
 * in call->pool or be static.
 */

ngx_int_t ngx_http_iot_call_json(ngx_http_iot_call_t *call, ngx_uint_t status,
    ngx_str_t *json);
ngx_int_t ngx_http_iot_call_text(ngx_http_iot_call_t *call, ngx_uint_t status,
    ngx_str_t *type, ngx_str_t *text);
ngx_int_t ngx_http_iot_call_empty(ngx_http_iot_call_t *call,
    ngx_uint_t status);
ngx_int_t ngx_http_iot_call_err(ngx_http_iot_call_t *call,
    ngx_iot_error_t *err);
ngx_int_t ngx_http_iot_call_fail(ngx_http_iot_call_t *call, ngx_uint_t status,
    char *code, char *message);             /* literals */

/*
 * Continue into the SQL function of the route and answer with what it says.
 * stmt NULL: the statement of the route; another must have its signature.
 * body NULL: call->body.
 */
ngx_int_t ngx_http_iot_call_sql(ngx_http_iot_call_t *call,
    ngx_iot_db_stmt_t *stmt, ngx_str_t *body);

/* The same, but next(call) answers, with the outcome in call->db. */
ngx_int_t ngx_http_iot_call_sql_next(ngx_http_iot_call_t *call,
    ngx_str_t *body, ngx_http_iot_call_pt next);

/*
 * Answer from a result of such a function: one column is the JSON body, three
 * columns are iot.answer (status, headers, body).  Takes the result over.
 */
ngx_int_t ngx_http_iot_call_result(ngx_http_iot_call_t *call, PGresult *res);

/*
 * Other database work of a handler: make a db call that is abandoned with the
 * request (NULL: no memory), add parameters to it, and send it.  next(call)
 * runs with the outcome in call->db (rc, result, error; gone after next()).
 * Only one at a time.  send() answers 503 itself when the database is away;
 * returns NGX_DONE always.
 */
ngx_iot_db_call_t *ngx_http_iot_call_db_create(ngx_http_iot_call_t *call,
    ngx_uint_t lane, ngx_iot_db_stmt_t *stmt);

/* The four parameters of every function of a route. */
ngx_int_t ngx_http_iot_call_params(ngx_http_iot_call_t *call,
    ngx_iot_db_call_t *db, ngx_str_t *body);
ngx_int_t ngx_http_iot_call_db_send(ngx_http_iot_call_t *call,
    ngx_http_iot_call_pt next);

/* The first value of a query parameter: NGX_OK or NGX_DECLINED. */
ngx_int_t ngx_http_iot_call_arg(ngx_http_iot_call_t *call, ngx_str_t *name,
    ngx_str_t *value);

/* The address of the client as text, e.g. for iot.login_done(). */
ngx_str_t *ngx_http_iot_call_address(ngx_http_iot_call_t *call);

/* The value of a request header, name in lower case: NGX_OK or NGX_DECLINED. */
ngx_int_t ngx_http_iot_call_header(ngx_http_iot_call_t *call, char *name,
    ngx_str_t *value);


/* The content handler of "iot_api". */
ngx_int_t ngx_http_iot_call_start(ngx_http_request_t *r);

/* Of the engine itself: the parts of a call, each in its own file. */
ngx_int_t ngx_http_iot_body_read(ngx_http_iot_call_t *call);
void ngx_http_iot_call_body_done(ngx_http_iot_call_t *call);
void ngx_http_iot_call_authenticated(ngx_http_iot_call_t *call);
ngx_int_t ngx_http_iot_body_check(ngx_http_iot_call_t *call);
ngx_int_t ngx_http_iot_query_parse(ngx_http_iot_call_t *call);
ngx_int_t ngx_http_iot_query_json(ngx_http_iot_call_t *call, ngx_pool_t *pool,
    ngx_str_t *out);
void ngx_http_iot_call_set_state(ngx_http_iot_call_t *call, ngx_uint_t state);
void ngx_http_iot_call_finalize(ngx_http_iot_call_t *call, ngx_int_t rc);
ngx_int_t ngx_http_iot_answer_row(ngx_iot_db_call_t *db, PGresult *res);
void ngx_http_iot_answer_stream_done(ngx_iot_db_call_t *db);

/* the messages that a function wants to be told: "@publish" of its headers */
void ngx_http_iot_answer_publish(PGresult *res, ngx_pool_t *pool,
    ngx_log_t *log);


#endif /* _NGX_HTTP_IOT_CALL_H_INCLUDED_ */
