
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_IOT_NATIVE_SESSION_H_INCLUDED_
#define _NGX_IOT_NATIVE_SESSION_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "../codec/ngx_iot_native.h"
#include "../core/ngx_iot_bus.h"
#include "../core/ngx_iot_db.h"
#include "../device/ngx_iot_device.h"
#include "ngx_iot_native_link.h"


/*
 * Connections of Thinger.io devices, which speak the native protocol or one
 * of the two generations of IOTMP; the first bytes tell which.
 */

#define NGX_IOT_NATIVE_MAX_CALLS  256       /* open, of one connection */
#define NGX_IOT_NATIVE_MAX_ASKED  64        /* of the device, in the database */


typedef struct {
    ngx_flag_t                     enabled;
    ngx_msec_t                     connect_timeout;
    ngx_msec_t                     idle_timeout;
    size_t                         max_message;
} ngx_iot_native_conf_t;


typedef enum {
    NGX_IOT_NATIVE_NEW = 0,
    NGX_IOT_NATIVE_ASKING,                  /* for the device */
    NGX_IOT_NATIVE_UP,
    NGX_IOT_NATIVE_LINGER,                  /* refused, the answer leaves */
    NGX_IOT_NATIVE_CLOSED
} ngx_iot_native_state_e;


/* what a frame says, in whatever protocol */

typedef enum {
    NGX_IOT_NATIVE_IGNORED = 0,
    NGX_IOT_NATIVE_LOGIN,
    NGX_IOT_NATIVE_PING,
    NGX_IOT_NATIVE_OK,
    NGX_IOT_NATIVE_FAILED,
    NGX_IOT_NATIVE_SAMPLE,                  /* of a stream */
    NGX_IOT_NATIVE_ASKS,                    /* a call of the device */
    NGX_IOT_NATIVE_BYE
} ngx_iot_native_says_e;


/* calls of the device, by the numbers of IOTMP */

#define NGX_IOT_NATIVE_ASK_PROPERTY      1
#define NGX_IOT_NATIVE_ASK_SET_PROPERTY  2
#define NGX_IOT_NATIVE_ASK_DEVICE        3
#define NGX_IOT_NATIVE_ASK_ENDPOINT      4
#define NGX_IOT_NATIVE_ASK_BUCKET        5


typedef struct {
    ngx_uint_t                     says;
    ngx_uint_t                     stream_id;

    ngx_str_t                      user;    /* LOGIN */
    ngx_str_t                      device;
    ngx_str_t                      secret;

    ngx_uint_t                     status;  /* FAILED: that of HTTP, or 0 */

    ngx_uint_t                     number;  /* ASKS */
    ngx_str_t                      target;
    ngx_str_t                      path;
    unsigned                       quiet:1; /* nobody waits for an answer */

    ngx_iot_tree_t                *payload; /* NULL: there is none */
} ngx_iot_native_event_t;


typedef struct ngx_iot_native_out_s  ngx_iot_native_out_t;

struct ngx_iot_native_out_s {
    ngx_iot_native_out_t          *next;
    u_char                        *pos;
    u_char                        *last;
};


struct ngx_iot_native_session_s {
    ngx_str_node_t                 node;    /* by id of the device */
    ngx_queue_t                    all;

    ngx_connection_t              *connection;
    ngx_iot_native_conf_t         *conf;
    void                         (*finalize)(ngx_iot_native_session_t *s);
    void                          *data;

    ngx_uint_t                     state;
    ngx_uint_t                     protocol;   /* 0: not known yet */
    ngx_uint_t                     version;    /* of PSON, IOTMP */
    uint64_t                       ref;
    ngx_msec_t                     seen;

    u_char                        *in;
    size_t                         in_len;
    size_t                         in_size;

    ngx_iot_native_out_t          *out;
    ngx_iot_native_out_t         **out_last;
    size_t                         out_bytes;

    ngx_uint_t                     login_id;   /* to be answered */
    ngx_str_t                      name;
    ngx_str_t                      secret;
    ngx_iot_device_t              *device;
    ngx_iot_device_wait_t          wait;

    ngx_queue_t                    calls;
    ngx_uint_t                     ncalls;
    ngx_uint_t                     last_id;

    ngx_queue_t                    asked;
    ngx_uint_t                     nasked;

    ngx_event_t                    close_event;

    unsigned                       blocked:1;
    unsigned                       in_tree:1;
    unsigned                       detached:1;
    unsigned                       eof:1;
};


/* the server that fronts them */

ngx_iot_native_session_t *ngx_iot_native_create(ngx_connection_t *c,
    ngx_iot_native_conf_t *conf,
    void (*finalize)(ngx_iot_native_session_t *s), void *data);
void ngx_iot_native_input(ngx_iot_native_session_t *s, u_char *pos,
    u_char *end);
void ngx_iot_native_readable(ngx_iot_native_session_t *s);
void ngx_iot_native_writable(ngx_iot_native_session_t *s);


/* From anywhere; the session lives until the end of the turn. */
void ngx_iot_native_close(ngx_iot_native_session_t *s);

/* Copied; what cannot be sent ends the session. */
void ngx_iot_native_send(ngx_iot_native_session_t *s, u_char *data,
    size_t len);

ngx_iot_native_session_t *ngx_iot_native_find(u_char *device);


/*
 * The wire.  parse() reads a body: NGX_OK, NGX_DECLINED (malformed),
 * NGX_ERROR.  The others build a frame and send it; NGX_DECLINED: it cannot
 * be said in the protocol.
 */

ngx_int_t ngx_iot_native_event(ngx_iot_native_session_t *s,
    ngx_iot_native_frame_t *frame, u_char *pos, ngx_iot_native_event_t *ev,
    ngx_pool_t *pool);
ngx_int_t ngx_iot_native_say_answer(ngx_iot_native_session_t *s,
    ngx_uint_t ok, ngx_uint_t stream_id, ngx_iot_tree_t *payload,
    ngx_pool_t *pool);
ngx_int_t ngx_iot_native_say_refused(ngx_iot_native_session_t *s,
    ngx_uint_t stream_id, ngx_pool_t *pool);
ngx_int_t ngx_iot_native_say_run(ngx_iot_native_session_t *s,
    ngx_uint_t describe, ngx_uint_t stream_id, ngx_str_t *path,
    ngx_iot_tree_t *payload, ngx_pool_t *pool);
void ngx_iot_native_say_ping(ngx_iot_native_session_t *s);

void *ngx_iot_native_alloc(void *data, size_t size);


/* calls of people, on the side of the session */

ngx_int_t ngx_iot_native_link_init_process(ngx_cycle_t *cycle);
void ngx_iot_native_link_event(ngx_iot_native_session_t *s,
    ngx_iot_native_event_t *ev);
void ngx_iot_native_link_closed(ngx_iot_native_session_t *s);
void ngx_iot_native_link_kick(ngx_iot_registry_entry_t *former,
    u_char *device);

/* calls of the device */

void ngx_iot_native_ask(ngx_iot_native_session_t *s,
    ngx_iot_native_event_t *ev, ngx_pool_t *pool);
void ngx_iot_native_ask_closed(ngx_iot_native_session_t *s);


ngx_int_t ngx_iot_native_session_init_process(ngx_cycle_t *cycle);


#endif /* _NGX_IOT_NATIVE_SESSION_H_INCLUDED_ */
