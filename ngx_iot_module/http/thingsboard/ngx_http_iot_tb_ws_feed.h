
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_HTTP_IOT_TB_WS_FEED_H_INCLUDED_
#define _NGX_HTTP_IOT_TB_WS_FEED_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "../../core/ngx_iot_auth.h"
#include "../ngx_http_iot_ws.h"


/* one connection */

typedef struct {
    void                  *dummy[3];   /* the debug log of timers reads */
    ngx_int_t              ident;      /* data as a connection's */

    ngx_http_iot_ws_t     *ws;
    ngx_iot_principal_t    principal;
    ngx_str_t              token;
    ngx_str_t              held;         /* commands until it is known who */
    void                  *auth;
    ngx_event_t            timer;        /* of the authentication */
    ngx_queue_t            feeds;
    ngx_uint_t             nfeeds;
    unsigned               ready:1;
} ngx_http_iot_tb_ws_t;


/* A command; type is empty when it names its own. */
void ngx_http_iot_tb_ws_command(ngx_http_iot_tb_ws_t *session,
    ngx_str_t *command, ngx_str_t *type, ngx_pool_t *pool);

void ngx_http_iot_tb_ws_feeds_close(ngx_http_iot_tb_ws_t *session);


#endif /* _NGX_HTTP_IOT_TB_WS_FEED_H_INCLUDED_ */
