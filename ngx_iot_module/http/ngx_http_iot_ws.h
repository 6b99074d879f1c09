
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_HTTP_IOT_WS_H_INCLUDED_
#define _NGX_HTTP_IOT_WS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "../codec/ngx_iot_ws_frame.h"


/*
 * A WebSocket of text messages (RFC 6455) in place of a request: whole
 * messages come in, whole messages go out.  It pings, and closes on silence,
 * on a message or a queue that is too long, and when the worker leaves.
 */

#define NGX_HTTP_IOT_WS_MESSAGE  32768
#define NGX_HTTP_IOT_WS_QUEUE    1000
#define NGX_HTTP_IOT_WS_PING     10000
#define NGX_HTTP_IOT_WS_SILENCE  30000


typedef struct ngx_http_iot_ws_s      ngx_http_iot_ws_t;
typedef struct ngx_http_iot_ws_out_s  ngx_http_iot_ws_out_t;


struct ngx_http_iot_ws_s {
    void                    *dummy[3];   /* the debug log of timers reads */
    ngx_int_t                ident;      /* data as a connection's */

    ngx_http_request_t      *request;
    ngx_queue_t              queue;        /* of all in the worker */
    ngx_iot_ws_reader_t      reader;

    /* a message; text is good during the call */
    void                   (*message)(ngx_http_iot_ws_t *ws, ngx_str_t *text);
    /* every ping, and once at the end: then nothing may be sent */
    void                   (*tick)(ngx_http_iot_ws_t *ws);
    void                   (*closed)(ngx_http_iot_ws_t *ws);
    void                    *data;

    u_char                  *text;
    size_t                   text_len;
    ngx_http_iot_ws_out_t   *out;
    ngx_http_iot_ws_out_t  **last;
    ngx_uint_t               nout;
    ngx_uint_t               max_queue;    /* NGX_HTTP_IOT_WS_QUEUE */
    ngx_msec_t               heard;
    ngx_event_t              timer;
    ngx_event_t              end;

    unsigned                 closing:1;    /* our close frame is queued */
    unsigned                 ended:1;
};


/*
 * Answers 101 and takes the request over.  NGX_OK; or a status with which the
 * request is to be refused: 400, 426 or 500.
 */
ngx_int_t ngx_http_iot_ws_upgrade(ngx_http_request_t *r,
    ngx_http_iot_ws_t **ws);

/* One message; it is copied. */
void ngx_http_iot_ws_send(ngx_http_iot_ws_t *ws, ngx_str_t *text);

/* the codes of RFC 6455, section 7.4 */
void ngx_http_iot_ws_close(ngx_http_iot_ws_t *ws, ngx_uint_t code,
    char *reason);


#endif /* _NGX_HTTP_IOT_WS_H_INCLUDED_ */
