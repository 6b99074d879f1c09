
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_IOT_MQTT_GW_H_INCLUDED_
#define _NGX_IOT_MQTT_GW_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "../device/ngx_iot_gateway.h"
#include "ngx_iot_mqtt_tb.h"


/*
 * The session of a gateway speaks for devices that it names.  They are its
 * peers from their first mention until it disconnects them or goes.
 *
 * A publish is a call: its names become devices, those that are not known by
 * one question to the database; calls wait for that in the order in which
 * they came.  Then it acts, and is acknowledged when all it did is done.
 */

#define NGX_IOT_MQTT_GW_PEERS  20000    /* of a session */
#define NGX_IOT_MQTT_GW_CALLS  200      /* more: the session is not read */


typedef struct ngx_iot_mqtt_gw_call_s   ngx_iot_mqtt_gw_call_t;
typedef struct ngx_iot_mqtt_gw_topic_s  ngx_iot_mqtt_gw_topic_t;


/* it outlives its session while calls are waiting */

struct ngx_iot_mqtt_gw_s {
    ngx_iot_mqtt_tb_t        *tb;         /* NULL: has gone */
    ngx_rbtree_t              peers;      /* by name */
    ngx_rbtree_node_t         sentinel;
    ngx_uint_t                npeers;
    ngx_queue_t               calls;
    ngx_uint_t                ncalls;
    ngx_msec_t                seen;
    unsigned                  finding:1;
    unsigned                  running:1;
    unsigned                  held:1;     /* the session is not read */
    unsigned                  overwrite:1;
};


/* a device in a call */

typedef struct {
    ngx_str_t                 name;
    ngx_str_t                 type;
    ngx_str_t                 raw;        /* its value, JSON */
    ngx_iot_device_t         *device;     /* held */
    ngx_uint_t                reason;     /* of MQTT, 0: all is well */
    ngx_uint_t                asked;      /* which of find, from 1 on */
    ngx_iot_mqtt_gw_call_t   *call;
    ngx_iot_points_t          points;
    ngx_iot_save_t            save;
} ngx_iot_mqtt_gw_item_t;


struct ngx_iot_mqtt_gw_call_s {
    ngx_queue_t               queue;
    ngx_iot_mqtt_gw_t        *gw;         /* only while it is queued */
    ngx_iot_mqtt_tb_op_t     *op;
    ngx_iot_mqtt_gw_topic_t  *topic;
    ngx_iot_mqtt_gw_item_t   *items;
    ngx_uint_t                n;
    ngx_uint_t                pending;    /* answers, and one while it acts */
    ngx_iot_gateway_find_t    find;
    ngx_str_t                *error;      /* the payload was bad */
    void                     *data;
};


struct ngx_iot_mqtt_gw_topic_s {
    ngx_str_t                 name;

    /* members of an object are devices; else "device" says which */
    unsigned                  many:1;
    unsigned                  make:1;
    unsigned                  telemetry:1;
    ngx_uint_t                scope;

    /*
     * Before anything is done: NGX_OK, NGX_DECLINED with the text in
     * op->points.error, or NGX_ERROR.
     */
    ngx_int_t               (*check)(ngx_iot_mqtt_gw_call_t *call);

    /*
     * Items without a reason have a device.  What takes its time counts in
     * call->pending, and ends with ngx_iot_mqtt_gw_done().
     */
    void                    (*act)(ngx_iot_mqtt_gw_call_t *call);
};


/* --- ngx_iot_mqtt_gw.c --- */

/* For a session of a gateway; NULL: no memory. */
ngx_iot_mqtt_gw_t *ngx_iot_mqtt_gw_create(ngx_iot_mqtt_tb_t *tb);
void ngx_iot_mqtt_gw_closed(ngx_iot_mqtt_gw_t *gw);

ngx_int_t ngx_iot_mqtt_gw_publish(ngx_iot_mqtt_tb_call_t *call);
void ngx_iot_mqtt_gw_done(ngx_iot_mqtt_gw_call_t *call);


/* --- ngx_iot_mqtt_gw_peer.c --- */

ngx_int_t ngx_iot_mqtt_gw_init_process(ngx_cycle_t *cycle);

ngx_iot_mqtt_tb_peer_t *ngx_iot_mqtt_gw_find(ngx_iot_mqtt_gw_t *gw,
    ngx_str_t *name);

/*
 * These devices are connected now, if they were not before.  What became of
 * each goes to its reason.
 */
void ngx_iot_mqtt_gw_attach(ngx_iot_mqtt_gw_t *gw,
    ngx_iot_gateway_item_t *items, ngx_uint_t *reasons, ngx_uint_t n,
    ngx_pool_t *pool);
void ngx_iot_mqtt_gw_detach(ngx_iot_mqtt_gw_t *gw,
    ngx_iot_mqtt_tb_peer_t *peer);
void ngx_iot_mqtt_gw_detach_all(ngx_iot_mqtt_gw_t *gw);

/* The gateway itself was heard of. */
void ngx_iot_mqtt_gw_seen(ngx_iot_mqtt_gw_t *gw);

/* Something about that device has changed; its id in text. */
void ngx_iot_mqtt_gw_changed(ngx_str_t *id);

/* {"device":"NAME","data":DATA}; or, for a request, with its id in it. */
ngx_int_t ngx_iot_mqtt_gw_send(ngx_iot_mqtt_tb_peer_t *peer,
    ngx_uint_t subject, ngx_iot_rpc_request_t *request, ngx_str_t *data);

/* To MQTT 5.0: the device is out, by a reason of MQTT. */
void ngx_iot_mqtt_gw_notice(ngx_iot_mqtt_session_t *s, ngx_str_t *name,
    ngx_uint_t reason);

/* {"device":"NAME" and room for size bytes more; NULL: no memory */
u_char *ngx_iot_mqtt_gw_object(ngx_str_t *name, size_t size, u_char **end);


/* --- ngx_iot_mqtt_gw_save.c --- */

ngx_int_t ngx_iot_mqtt_gw_check_telemetry(ngx_iot_mqtt_gw_call_t *call);
ngx_int_t ngx_iot_mqtt_gw_check_objects(ngx_iot_mqtt_gw_call_t *call);
void ngx_iot_mqtt_gw_save(ngx_iot_mqtt_gw_call_t *call);


/* --- ngx_iot_mqtt_gw_call.c --- */

ngx_int_t ngx_iot_mqtt_gw_check_connect(ngx_iot_mqtt_gw_call_t *call);
ngx_int_t ngx_iot_mqtt_gw_check_request(ngx_iot_mqtt_gw_call_t *call);
ngx_int_t ngx_iot_mqtt_gw_check_rpc(ngx_iot_mqtt_gw_call_t *call);
ngx_int_t ngx_iot_mqtt_gw_check_claim(ngx_iot_mqtt_gw_call_t *call);
void ngx_iot_mqtt_gw_request(ngx_iot_mqtt_gw_call_t *call);
void ngx_iot_mqtt_gw_rpc(ngx_iot_mqtt_gw_call_t *call);
void ngx_iot_mqtt_gw_claim(ngx_iot_mqtt_gw_call_t *call);


#endif /* _NGX_IOT_MQTT_GW_H_INCLUDED_ */
