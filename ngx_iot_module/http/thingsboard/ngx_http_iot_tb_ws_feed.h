
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_HTTP_IOT_TB_WS_FEED_H_INCLUDED_
#define _NGX_HTTP_IOT_TB_WS_FEED_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "../../core/ngx_iot_auth.h"
#include "../../core/ngx_iot_bus.h"
#include "../../core/ngx_iot_db.h"
#include "../../core/ngx_iot_limit.h"
#include "../ngx_http_iot_ws.h"


#define NGX_HTTP_IOT_TB_FEED_HELD  256
#define NGX_HTTP_IOT_TB_WS_HELD    16

#define NGX_HTTP_IOT_TB_FAILED     1      /* the codes of errors */
#define NGX_HTTP_IOT_TB_BAD        2
#define NGX_HTTP_IOT_TB_DENIED     3


typedef enum {
    ngx_http_iot_tb_attributes = 0,
    ngx_http_iot_tb_timeseries,
    ngx_http_iot_tb_history,

    /* those of queries, ngx_http_iot_tb_ws_query.c */
    ngx_http_iot_tb_entity_data,
    ngx_http_iot_tb_entity_count,
    ngx_http_iot_tb_alarm_data,
    ngx_http_iot_tb_alarm_count,
    ngx_http_iot_tb_alarm_status,
    ngx_http_iot_tb_notifications,
    ngx_http_iot_tb_notifications_count,

    ngx_http_iot_tb_unknown
} ngx_http_iot_tb_feed_e;


/* one connection */

typedef struct {
    void                    *dummy[3];    /* the debug log of timers reads */
    ngx_int_t                ident;       /* data as a connection's */

    ngx_http_iot_ws_t       *ws;
    ngx_iot_principal_t      principal;
    ngx_str_t                token;
    ngx_str_t                held[NGX_HTTP_IOT_TB_WS_HELD];
    ngx_uint_t               nheld;       /* messages until it is known who */
    void                    *auth;
    ngx_iot_db_call_t       *db;          /* asks for the limits */
    ngx_event_t              timer;       /* of the authentication */
    ngx_queue_t              feeds;
    ngx_uint_t               nfeeds;
    ngx_uint_t               most[3];     /* feeds; see the limits */
    ngx_iot_limit_t          updates;
    unsigned                 ready:1;
    unsigned                 counted:3;   /* where the session is counted */
    unsigned                 blocked:1;   /* told of too many updates */
} ngx_http_iot_tb_ws_t;


/* one subscription */

typedef struct {
    void                    *dummy[3];    /* the same */
    ngx_int_t                ident;

    ngx_queue_t              queue;
    ngx_queue_t              watching;    /* of all queries of the worker */
    ngx_pool_t              *pool;
    ngx_http_iot_tb_ws_t    *session;
    int64_t                  id;
    ngx_uint_t               type;
    ngx_str_t                keys;        /* ",a,b,", or empty: all */
    u_char                   tenant[NGX_IOT_UUID_TEXT];
    ngx_iot_bus_client_t     client;
    ngx_iot_db_call_t       *db;
    ngx_uint_t               nheld;
    ngx_iot_bus_message_t  **held;

    /* of queries */
    ngx_str_t                command;     /* JSON */
    ngx_str_t                query;       /* the one in it */
    ngx_str_t                ids;         /* of entities, sorted, 36 each */
    ngx_str_t                digest;
    ngx_uint_t               flags;
    ngx_iot_bus_sub_t       *wide[3];
    ngx_event_t              timer;
    ngx_msec_t               asked;
    ngx_msec_t               pause;       /* before the query is made again */

    unsigned                 counted:3;   /* where it is */
    unsigned                 opened:1;
    unsigned                 ready:1;
    unsigned                 dirty:1;     /* the result may have changed */
    unsigned                 lost:1;      /* updates were: tell the whole */
    unsigned                 narrow:1;    /* subscribed to each entity */
} ngx_http_iot_tb_feed_t;


extern ngx_str_t  ngx_http_iot_tb_feed_types[];


/* the limits are known: what was held is done now */
void ngx_http_iot_tb_ws_begin(ngx_http_iot_tb_ws_t *session);


/*
 * Asks what the session is allowed.  NGX_OK: it is not limited; NGX_AGAIN:
 * ngx_http_iot_tb_ws_begin() will be called, or the connection closed;
 * NGX_ERROR.
 */
ngx_int_t ngx_http_iot_tb_ws_limits(ngx_http_iot_tb_ws_t *session);
void ngx_http_iot_tb_ws_leave(ngx_http_iot_tb_ws_t *session);

/* NGX_OK, or NGX_BUSY and the connection is closed */
ngx_int_t ngx_http_iot_tb_ws_take_feed(ngx_http_iot_tb_ws_t *session,
    ngx_uint_t *counted);
void ngx_http_iot_tb_ws_give_feed(ngx_http_iot_tb_ws_t *session,
    ngx_uint_t counted);


/* A command; type is empty when it names its own. */
void ngx_http_iot_tb_ws_command(ngx_http_iot_tb_ws_t *session,
    ngx_str_t *command, ngx_str_t *type, ngx_pool_t *pool);

void ngx_http_iot_tb_ws_feeds_close(ngx_http_iot_tb_ws_t *session);


void ngx_http_iot_tb_feed_close(ngx_http_iot_tb_feed_t *feed);

/* type: of the command, which decides on the form */
void ngx_http_iot_tb_feed_error(ngx_http_iot_tb_ws_t *session,
    ngx_uint_t type, int64_t id, ngx_uint_t code, ngx_str_t *text);

/* the error of a call that has failed */
ngx_uint_t ngx_http_iot_tb_feed_code(ngx_iot_db_call_t *db);

/*
 * An update, unless there are more of them than the profile of the tenant
 * allows.  NGX_OK or NGX_BUSY; the socket may have ended.
 */
ngx_int_t ngx_http_iot_tb_feed_send(ngx_http_iot_tb_feed_t *feed,
    ngx_str_t *text);


/*
 * Begins a feed of a query, for which feed->command and feed->query are set.
 * NGX_OK or NGX_ERROR.
 */
ngx_int_t ngx_http_iot_tb_query_open(ngx_http_iot_tb_feed_t *feed);

/* a part of ngx_http_iot_tb_feed_close() */
void ngx_http_iot_tb_query_close(ngx_http_iot_tb_feed_t *feed);


#endif /* _NGX_HTTP_IOT_TB_WS_FEED_H_INCLUDED_ */
