
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_IOT_NATIVE_LINK_H_INCLUDED_
#define _NGX_IOT_NATIVE_LINK_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "../core/ngx_iot_registry.h"
#include "../device/ngx_iot_device.h"


/*
 * Calls of people to the resources of a connected device, whichever worker
 * has its connection.
 */

#define NGX_IOT_NATIVE_CALL_RUN       0     /* with a payload or none */
#define NGX_IOT_NATIVE_CALL_READ      1     /* as RUN; of an input its state */
#define NGX_IOT_NATIVE_CALL_DESCRIBE  2

#define NGX_IOT_NATIVE_BODY_NONE      0
#define NGX_IOT_NATIVE_BODY_JSON      1
#define NGX_IOT_NATIVE_BODY_BYTES     2

#define NGX_IOT_NATIVE_PATH           1024
#define NGX_IOT_NATIVE_TIMEOUT        10000


typedef struct ngx_iot_native_session_s  ngx_iot_native_session_t;
typedef struct ngx_iot_native_call_s     ngx_iot_native_call_t;

/*
 * Called once unless cancelled, and never from within call().  The status is
 * 200, or what HTTP calls what went wrong: 400 (not to be said in the protocol
 * of the device), 404 (gone, or no such resource), 503, 504, or what the
 * device says.  The body is valid during the call.
 */
typedef void (*ngx_iot_native_done_pt)(ngx_iot_native_call_t *call,
    ngx_uint_t status, ngx_uint_t kind, ngx_str_t *body);

struct ngx_iot_native_call_s {
    ngx_rbtree_node_t        node;
    ngx_event_t              timer;

    u_char                   tenant[NGX_IOT_UUID_TEXT];
    u_char                   device[NGX_IOT_UUID_TEXT];
    ngx_uint_t               action;
    ngx_str_t                path;          /* elements parted by slashes */
    ngx_uint_t               kind;
    ngx_str_t                body;
    ngx_msec_t               timeout;
    ngx_iot_native_done_pt   done;
    void                    *data;

    unsigned                 active:1;
};

/*
 * NGX_OK: done() will be called; NGX_DECLINED: the device is not connected;
 * NGX_BUSY: the way to its worker is full; NGX_ERROR: no memory.
 */
ngx_int_t ngx_iot_native_call(ngx_iot_native_call_t *call);
void ngx_iot_native_cancel(ngx_iot_native_call_t *call);


#endif /* _NGX_IOT_NATIVE_LINK_H_INCLUDED_ */
