
/*
 * Copyright (C) the ngx_iot authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "../../codec/ngx_iot_json.h"
#include "../../core/ngx_iot_auth.h"
#include "../../device/ngx_iot_event.h"
#include "../ngx_http_iot_module.h"
#include "../ngx_http_iot_ws.h"
#include "ngx_http_iot_tb.h"
#include "ngx_http_iot_tb_ws.h"
#include "ngx_http_iot_tb_ws_feed.h"


/*
 * The WebSocket of ThingsBoard: who it is, and its commands.  A subscription
 * is a feed (ngx_http_iot_tb_ws_feed.c).
 */

#define NGX_HTTP_IOT_TB_WS_AUTH  10000


typedef struct {
    ngx_str_t  name;
    ngx_str_t  type;
} ngx_http_iot_tb_ws_command_t;


static ngx_int_t ngx_http_iot_tb_ws_authenticate(
    ngx_http_iot_tb_ws_t *session, ngx_str_t *token);
static void ngx_http_iot_tb_ws_authenticated(void *data, ngx_int_t rc,
    ngx_iot_principal_t *principal, ngx_iot_error_t *err);
static void ngx_http_iot_tb_ws_accept(ngx_http_iot_tb_ws_t *session,
    ngx_iot_principal_t *principal);
static void ngx_http_iot_tb_ws_timeout(ngx_event_t *ev);
static void ngx_http_iot_tb_ws_message(ngx_http_iot_ws_t *ws,
    ngx_str_t *text);
static void ngx_http_iot_tb_ws_auth_command(ngx_http_iot_tb_ws_t *session,
    ngx_str_t *text, ngx_str_t *command, ngx_pool_t *pool);
static void ngx_http_iot_tb_ws_commands(ngx_http_iot_tb_ws_t *session,
    ngx_str_t *text);
static void ngx_http_iot_tb_ws_list(ngx_http_iot_tb_ws_t *session,
    ngx_str_t *list, ngx_str_t *type, ngx_pool_t *pool);
static void ngx_http_iot_tb_ws_tick(ngx_http_iot_ws_t *ws);
static void ngx_http_iot_tb_ws_closed(ngx_http_iot_ws_t *ws);


static ngx_http_iot_tb_ws_command_t  ngx_http_iot_tb_ws_lists[] = {
    { ngx_string("cmds"), ngx_null_string },
    { ngx_string("attrSubCmds"), ngx_string("ATTRIBUTES") },
    { ngx_string("tsSubCmds"), ngx_string("TIMESERIES") },
    { ngx_string("historyCmds"), ngx_string("TIMESERIES_HISTORY") },
    { ngx_string("entityDataCmds"), ngx_string("ENTITY_DATA") },
    { ngx_string("entityDataUnsubscribeCmds"),
      ngx_string("ENTITY_DATA_UNSUBSCRIBE") },
    { ngx_string("entityCountCmds"), ngx_string("ENTITY_COUNT") },
    { ngx_string("entityCountUnsubscribeCmds"),
      ngx_string("ENTITY_COUNT_UNSUBSCRIBE") },
    { ngx_string("alarmDataCmds"), ngx_string("ALARM_DATA") },
    { ngx_string("alarmDataUnsubscribeCmds"),
      ngx_string("ALARM_DATA_UNSUBSCRIBE") },
    { ngx_string("alarmCountCmds"), ngx_string("ALARM_COUNT") },
    { ngx_string("alarmCountUnsubscribeCmds"),
      ngx_string("ALARM_COUNT_UNSUBSCRIBE") },
    { ngx_string("alarmStatusCmds"), ngx_string("ALARM_STATUS") },
    { ngx_string("alarmStatusUnsubscribeCmds"),
      ngx_string("ALARM_STATUS_UNSUBSCRIBE") },
    { ngx_string("unreadSubCmd"), ngx_string("NOTIFICATIONS") },
    { ngx_string("unreadCountSubCmd"), ngx_string("NOTIFICATIONS_COUNT") },
    { ngx_string("unsubCmd"), ngx_string("NOTIFICATIONS_UNSUBSCRIBE") }
};

#define NGX_HTTP_IOT_TB_WS_LISTS                                              \
    (sizeof(ngx_http_iot_tb_ws_lists)                                         \
     / sizeof(ngx_http_iot_tb_ws_command_t))


ngx_int_t
ngx_http_iot_tb_ws(ngx_http_iot_call_t *call)
{
    ngx_int_t              rc;
    ngx_str_t              token;
    ngx_http_iot_ws_t     *ws;
    ngx_http_iot_tb_ws_t  *session;

    static ngx_str_t  name = ngx_string("token");

    session = ngx_pcalloc(call->pool, sizeof(ngx_http_iot_tb_ws_t));
    if (session == NULL) {
        return NGX_ERROR;
    }

    rc = ngx_http_iot_ws_upgrade(call->request, &ws);

    if (rc != NGX_OK) {
        return ngx_http_iot_call_fail(call, rc, "bad_request",
                                      "A WebSocket is expected");
    }

    /* from here on the request is that of the WebSocket */

    ngx_http_iot_call_set_state(call, ngx_http_iot_answer_state);

    session->ws = ws;
    ngx_queue_init(&session->feeds);

    ws->message = ngx_http_iot_tb_ws_message;
    ws->tick = ngx_http_iot_tb_ws_tick;
    ws->closed = ngx_http_iot_tb_ws_closed;
    ws->data = session;

    session->ident = -1;
    session->timer.data = session;
    session->timer.handler = ngx_http_iot_tb_ws_timeout;
    session->timer.log = call->log;
    session->timer.cancelable = 1;

    ngx_add_timer(&session->timer, NGX_HTTP_IOT_TB_WS_AUTH);

    if (ngx_http_iot_call_arg(call, &name, &token) == NGX_OK
        && ngx_http_iot_tb_ws_authenticate(session, &token) == NGX_ERROR)
    {
        ngx_http_iot_ws_close(ws, NGX_IOT_WS_CLOSE_POLICY,
                              "Authentication failed");
    }

    return NGX_DONE;
}


/* the token is kept, to ask again whether it is still good */

static ngx_int_t
ngx_http_iot_tb_ws_authenticate(ngx_http_iot_tb_ws_t *session,
    ngx_str_t *token)
{
    ngx_int_t            rc;
    ngx_iot_error_t      err;
    ngx_iot_principal_t  principal;

    if (token->data != session->token.data) {

        session->token.data = ngx_pnalloc(session->ws->request->pool,
                                          token->len + 1);
        if (session->token.data == NULL) {
            return NGX_ERROR;
        }

        ngx_memcpy(session->token.data, token->data, token->len);
        session->token.len = token->len;
    }

    ngx_memzero(&err, sizeof(ngx_iot_error_t));

    rc = ngx_iot_auth_bearer(&session->token, &principal, &err,
                             ngx_http_iot_tb_ws_authenticated, session,
                             &session->auth, ngx_cycle->log);

    if (rc == NGX_OK) {
        ngx_http_iot_tb_ws_accept(session, &principal);
    }

    return rc;
}


static void
ngx_http_iot_tb_ws_authenticated(void *data, ngx_int_t rc,
    ngx_iot_principal_t *principal, ngx_iot_error_t *err)
{
    ngx_http_iot_tb_ws_t *session = data;

    session->auth = NULL;

    if (rc == NGX_OK) {
        ngx_http_iot_tb_ws_accept(session, principal);
        return;
    }

    ngx_http_iot_ws_close(session->ws, NGX_IOT_WS_CLOSE_POLICY,
                          "Authentication failed");
}


static void
ngx_http_iot_tb_ws_accept(ngx_http_iot_tb_ws_t *session,
    ngx_iot_principal_t *principal)
{
    u_char  *p;

    if (session->ready || session->db) {
        return;
    }

    if (!(principal->role & NGX_IOT_ANY_USER)) {
        goto failed;
    }

    session->principal = *principal;

    p = ngx_pnalloc(session->ws->request->pool, principal->name.len + 1);
    if (p == NULL) {
        goto failed;
    }

    ngx_memcpy(p, principal->name.data, principal->name.len);
    session->principal.name.data = p;

    switch (ngx_http_iot_tb_ws_limits(session)) {

    case NGX_OK:
        ngx_http_iot_tb_ws_begin(session);
        return;

    case NGX_AGAIN:
        return;

    default:
        break;
    }

failed:

    ngx_http_iot_ws_close(session->ws, NGX_IOT_WS_CLOSE_POLICY,
                          "Authentication failed");
}


void
ngx_http_iot_tb_ws_begin(ngx_http_iot_tb_ws_t *session)
{
    ngx_uint_t  i;

    session->ready = 1;

    if (session->timer.timer_set) {
        ngx_del_timer(&session->timer);
    }

    ngx_http_iot_set_ctx(session->ws->request, &session->principal);

    for (i = 0; !session->ws->ended && i < session->nheld; i++) {
        ngx_http_iot_tb_ws_commands(session, &session->held[i]);
    }

    session->nheld = 0;
}


static void
ngx_http_iot_tb_ws_timeout(ngx_event_t *ev)
{
    ngx_http_iot_tb_ws_t  *session;

    session = ev->data;

    ngx_http_iot_ws_close(session->ws, NGX_IOT_WS_CLOSE_POLICY,
                          "Session is not authenticated");
}


static void
ngx_http_iot_tb_ws_message(ngx_http_iot_ws_t *ws, ngx_str_t *text)
{
    ngx_int_t              rc;
    ngx_pool_t            *pool;
    ngx_iot_alloc_t        alloc;
    ngx_http_iot_tb_ws_t  *session;
    ngx_iot_json_field_t   field;

    static ngx_str_t  bad = ngx_string("{\"subscriptionId\":1,"
        "\"errorCode\":2,\"errorMsg\":\"Failed to parse the payload\"}");

    session = ws->data;

    pool = ngx_create_pool(4096, ngx_cycle->log);
    if (pool == NULL) {
        return;
    }

    alloc.alloc = ngx_http_iot_alloc;
    alloc.data = pool;

    ngx_memzero(&field, sizeof(ngx_iot_json_field_t));
    ngx_str_set(&field.name, "authCmd");

    rc = ngx_iot_json_fields(text, &alloc, NGX_IOT_JSON_MAX_DEPTH, &field, 1,
                             NULL);

    if (rc != NGX_OK) {

        if (session->ready) {
            ngx_http_iot_ws_send(ws, &bad);

        } else {
            ngx_http_iot_ws_close(ws, NGX_IOT_WS_CLOSE_BAD_DATA,
                                  "Failed to parse the payload");
        }

    } else if (session->ready) {
        ngx_http_iot_tb_ws_commands(session, text);

    } else if (session->auth || session->db
               || field.token == NGX_IOT_JSON_OBJECT)
    {
        ngx_http_iot_tb_ws_auth_command(session, text, &field.raw, pool);

    } else {
        ngx_http_iot_ws_close(ws, NGX_IOT_WS_CLOSE_POLICY,
                              "Auth cmd is missing");
    }

    ngx_destroy_pool(pool);
}


static void
ngx_http_iot_tb_ws_auth_command(ngx_http_iot_tb_ws_t *session,
    ngx_str_t *text, ngx_str_t *command, ngx_pool_t *pool)
{
    ngx_str_t             *held, *token;
    ngx_iot_alloc_t        alloc;
    ngx_iot_json_field_t   fields[2];

    /* some messages may wait; who sends more does not wait for an answer */

    if (session->nheld == NGX_HTTP_IOT_TB_WS_HELD) {
        ngx_http_iot_ws_close(session->ws, NGX_IOT_WS_CLOSE_POLICY,
                              "Session is not authenticated");
        return;
    }

    held = &session->held[session->nheld];

    held->data = ngx_pnalloc(session->ws->request->pool, text->len);
    if (held->data == NULL) {
        return;
    }

    ngx_memcpy(held->data, text->data, text->len);
    held->len = text->len;
    session->nheld++;

    if (session->auth || session->db) {
        return;
    }

    alloc.alloc = ngx_http_iot_alloc;
    alloc.data = pool;

    ngx_memzero(fields, sizeof(fields));
    ngx_str_set(&fields[0].name, "token");
    ngx_str_set(&fields[1].name, "apiKey");

    token = NULL;

    if (ngx_iot_json_fields(command, &alloc, NGX_IOT_JSON_MAX_DEPTH, fields, 2,
                            NULL)
        == NGX_OK)
    {
        if (fields[0].token == NGX_IOT_JSON_STRING) {
            token = &fields[0].text;

        } else if (fields[1].token == NGX_IOT_JSON_STRING
                   && ngx_iot_auth_is_key(&fields[1].text))
        {
            token = &fields[1].text;
        }
    }

    if (token == NULL
        || ngx_http_iot_tb_ws_authenticate(session, token) == NGX_ERROR)
    {
        ngx_http_iot_ws_close(session->ws, NGX_IOT_WS_CLOSE_POLICY,
                              "Authentication failed");
    }
}


/* "cmds" name their types; of the older lists and members each has one */

static void
ngx_http_iot_tb_ws_commands(ngx_http_iot_tb_ws_t *session, ngx_str_t *text)
{
    ngx_uint_t                     i;
    ngx_pool_t                    *pool;
    ngx_iot_alloc_t                alloc;
    ngx_iot_json_field_t           fields[NGX_HTTP_IOT_TB_WS_LISTS];
    ngx_http_iot_tb_ws_command_t  *list;

    pool = ngx_create_pool(4096, ngx_cycle->log);
    if (pool == NULL) {
        return;
    }

    alloc.alloc = ngx_http_iot_alloc;
    alloc.data = pool;

    ngx_memzero(fields, sizeof(fields));

    for (i = 0; i < NGX_HTTP_IOT_TB_WS_LISTS; i++) {
        fields[i].name = ngx_http_iot_tb_ws_lists[i].name;
    }

    if (ngx_iot_json_fields(text, &alloc, NGX_IOT_JSON_MAX_DEPTH, fields,
                            NGX_HTTP_IOT_TB_WS_LISTS, NULL)
        == NGX_OK)
    {
        for (i = 0; i < NGX_HTTP_IOT_TB_WS_LISTS; i++) {
            list = &ngx_http_iot_tb_ws_lists[i];

            if (fields[i].token == NGX_IOT_JSON_ARRAY) {
                ngx_http_iot_tb_ws_list(session, &fields[i].raw, &list->type,
                                        pool);

            } else if (fields[i].token == NGX_IOT_JSON_OBJECT) {
                ngx_http_iot_tb_ws_command(session, &fields[i].raw,
                                           &list->type, pool);
            }
        }
    }

    ngx_destroy_pool(pool);
}


static void
ngx_http_iot_tb_ws_list(ngx_http_iot_tb_ws_t *session, ngx_str_t *list,
    ngx_str_t *type, ngx_pool_t *pool)
{
    ngx_str_t        command;
    ngx_iot_json_t   json;
    ngx_iot_alloc_t  alloc;

    alloc.alloc = ngx_http_iot_alloc;
    alloc.data = pool;

    ngx_iot_json_init(&json, list, &alloc, NGX_IOT_JSON_MAX_DEPTH);

    if (ngx_iot_json_next(&json) != NGX_IOT_JSON_ARRAY) {
        return;
    }

    while (ngx_iot_json_next(&json) == NGX_IOT_JSON_OBJECT) {

        if (ngx_iot_json_skip(&json) != NGX_OK) {
            return;
        }

        command = json.raw;
        ngx_http_iot_tb_ws_command(session, &command, type, pool);
    }
}


/* is the session still good?  It ends with its token. */

static void
ngx_http_iot_tb_ws_tick(ngx_http_iot_ws_t *ws)
{
    ngx_http_iot_tb_ws_t  *session;

    session = ws->data;

    if (session->ready && session->auth == NULL
        && ngx_http_iot_tb_ws_authenticate(session, &session->token)
           == NGX_ERROR)
    {
        ngx_http_iot_ws_close(ws, NGX_IOT_WS_CLOSE_POLICY,
                              "Authentication failed");
    }
}


static void
ngx_http_iot_tb_ws_closed(ngx_http_iot_ws_t *ws)
{
    ngx_http_iot_tb_ws_t  *session;

    session = ws->data;

    if (session->timer.timer_set) {
        ngx_del_timer(&session->timer);
    }

    if (session->auth) {
        ngx_iot_auth_abandon(session->auth);
        session->auth = NULL;
    }

    if (session->db) {
        ngx_iot_db_abandon(session->db);
        session->db = NULL;
    }

    ngx_http_iot_tb_ws_feeds_close(session);
    ngx_http_iot_tb_ws_leave(session);
}
