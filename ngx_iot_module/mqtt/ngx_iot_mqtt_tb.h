
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_IOT_MQTT_TB_H_INCLUDED_
#define _NGX_IOT_MQTT_TB_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "../codec/ngx_iot_json.h"
#include "../codec/ngx_iot_value.h"
#include "../core/ngx_iot_db.h"
#include "../device/ngx_iot_event.h"
#include "../device/ngx_iot_rpc.h"
#include "../device/ngx_iot_telemetry.h"
#include "ngx_iot_mqtt_session.h"


/*
 * The topics of the ThingsBoard API in sessions of devices.  What a device
 * publishes on them goes to the platform and to no other client; what it may
 * subscribe to is a list of literal filters.
 */

#define NGX_IOT_MQTT_TB_PAYLOAD   65536
#define NGX_IOT_MQTT_TB_DEPTH     32
#define NGX_IOT_MQTT_TB_TOPIC     80      /* the longest that we publish */
#define NGX_IOT_MQTT_TB_MAX_KEYS  1000
#define NGX_IOT_MQTT_TB_INFLIGHT  100     /* requests that wait, a session */


typedef struct ngx_iot_mqtt_tb_s        ngx_iot_mqtt_tb_t;
typedef struct ngx_iot_mqtt_tb_op_s     ngx_iot_mqtt_tb_op_t;
typedef struct ngx_iot_mqtt_tb_peer_s   ngx_iot_mqtt_tb_peer_t;
typedef struct ngx_iot_mqtt_tb_topic_s  ngx_iot_mqtt_tb_topic_t;

/* of a gateway, see ngx_iot_mqtt_gw.h */
typedef struct ngx_iot_mqtt_gw_s        ngx_iot_mqtt_gw_t;


/*
 * What may be subscribed to.  Of the spellings of one thing the last that the
 * device has subscribed to is where its messages go.
 */

#define NGX_IOT_MQTT_TB_ATTRIBUTES       0
#define NGX_IOT_MQTT_TB_RESPONSE         1
#define NGX_IOT_MQTT_TB_RPC              2
#define NGX_IOT_MQTT_TB_RPC_RESPONSE     3
#define NGX_IOT_MQTT_TB_FIRMWARE         4
#define NGX_IOT_MQTT_TB_ERROR            5
#define NGX_IOT_MQTT_TB_GW_ATTRIBUTES    6
#define NGX_IOT_MQTT_TB_GW_RESPONSE      7
#define NGX_IOT_MQTT_TB_GW_RPC           8
#define NGX_IOT_MQTT_TB_GW_DISCONNECT    9
#define NGX_IOT_MQTT_TB_SUBJECTS         10

#define NGX_IOT_MQTT_TB_V1               0      /* spellings */
#define NGX_IOT_MQTT_TB_V2               1
#define NGX_IOT_MQTT_TB_V2_JSON          2
#define NGX_IOT_MQTT_TB_V2_PROTO         3
#define NGX_IOT_MQTT_TB_CUSTOM           4      /* of the profile */
#define NGX_IOT_MQTT_TB_FORMS            5


typedef struct {
    uint8_t                  qos[NGX_IOT_MQTT_TB_FORMS];  /* granted + 1 */
    uint8_t                  form;                        /* the last */
} ngx_iot_mqtt_tb_sub_t;


/*
 * A device that messages are for: the one of the session, or one behind it.
 */

struct ngx_iot_mqtt_tb_peer_s {
    ngx_str_node_t           node;        /* by name, of those behind */
    ngx_rbtree_node_t        id;          /* of those of the worker */
    ngx_iot_mqtt_tb_t       *tb;
    ngx_iot_device_t        *device;      /* held */
    ngx_iot_bus_client_t     client;      /* of its shared attributes */
    ngx_iot_rpc_front_t      front;
    unsigned                 behind:1;
    unsigned                 watching:1;
    unsigned                 calling:1;
};


/* of a session: ngx_iot_mqtt_session_t.topics_data */

struct ngx_iot_mqtt_tb_s {
    ngx_rbtree_node_t        node;        /* by device */
    ngx_iot_mqtt_session_t  *session;
    ngx_queue_t              ops;
    ngx_iot_device_wait_t    wait;        /* the device has changed */
    ngx_iot_mqtt_tb_peer_t  *peer;        /* with the first subscription */
    ngx_iot_mqtt_gw_t       *gw;          /* of a gateway */
    uint32_t                 chunk[2];    /* size, of packages */
    uint16_t                 nwaiting;    /* requests without an answer */
    unsigned                 stale:1;     /* to be looked up again */
    ngx_iot_mqtt_tb_sub_t    subs[NGX_IOT_MQTT_TB_SUBJECTS];
};


/* a publish while it is being looked at */

typedef struct {
    ngx_iot_mqtt_session_t   *session;
    ngx_iot_mqtt_tb_t        *tb;
    ngx_iot_mqtt_pub_t       *pub;
    ngx_iot_mqtt_tb_topic_t  *topic;
    ngx_str_t                 id;         /* the number in the topic, text */
    int32_t                   number;
} ngx_iot_mqtt_tb_call_t;


/* as ngx_iot_mqtt_topic_t.on_publish */
typedef ngx_int_t (*ngx_iot_mqtt_tb_pt)(ngx_iot_mqtt_tb_call_t *call);


struct ngx_iot_mqtt_tb_topic_s {
    ngx_str_t                 name;       /* "+": a number */
    ngx_uint_t                form;
    ngx_iot_mqtt_tb_pt        handler;
    ngx_uint_t                telemetry;  /* for the rates */
};


/*
 * A publish that takes its time, with a copy of what it needs.  It lives
 * until it is done, also when its session has gone: what was taken is kept.
 */

struct ngx_iot_mqtt_tb_op_s {
    void                    *dummy[3];   /* the debug log of timers reads */
    ngx_int_t                ident;      /* data as a connection's */

    ngx_queue_t              queue;
    ngx_iot_mqtt_session_t  *session;     /* NULL: has gone */
    ngx_iot_mqtt_in_t       *in;          /* NULL: QoS 0, or acknowledged */
    ngx_iot_device_t        *device;      /* held */
    ngx_pool_t              *pool;
    ngx_str_t                payload;
    ngx_str_t                id;
    int32_t                  number;
    ngx_uint_t               form;
    ngx_uint_t               version;     /* of MQTT */
    unsigned                 cbor:1;

    ngx_iot_alloc_t          alloc;       /* in pool */
    ngx_iot_points_t         points;
    ngx_iot_save_t           save;
    void                    *data;        /* the handler's own */

    /* the session goes: it ends the operation now (NULL: nothing) */
    void                   (*closed)(ngx_iot_mqtt_tb_op_t *op);
};


extern ngx_iot_mqtt_topics_t  ngx_iot_mqtt_tb_topics;


/* --- ngx_iot_mqtt_tb.c --- */

/* Once for each worker. */
ngx_int_t ngx_iot_mqtt_tb_init_process(ngx_cycle_t *cycle);

/* The session goes: what was taken goes on without it. */
void ngx_iot_mqtt_tb_leave(ngx_iot_mqtt_tb_t *tb);

/* What is published there would be stored; NULL: it is no such topic. */
ngx_iot_mqtt_tb_topic_t *ngx_iot_mqtt_tb_stored(ngx_iot_device_t *device,
    ngx_str_t *topic);

/* NULL: no memory. */
ngx_iot_mqtt_tb_op_t *ngx_iot_mqtt_tb_op(ngx_iot_mqtt_tb_call_t *call);

/*
 * The end of an operation that was answered with NGX_AGAIN: NGX_OK or a
 * reason for the acknowledgement.  ngx_iot_mqtt_tb_op_free() is the end of
 * one that was not.
 */
void ngx_iot_mqtt_tb_op_done(ngx_iot_mqtt_tb_op_t *op, ngx_int_t rc);
void ngx_iot_mqtt_tb_op_free(ngx_iot_mqtt_tb_op_t *op);

/*
 * The payload was declined.  MQTT 5.0 hears of it in the acknowledgement; for
 * 3.1.1, and with QoS 0, the end of the connection is the only way to tell.
 * What is wrong in CBOR is dropped.  Returns what on_publish() returns.
 */
ngx_int_t ngx_iot_mqtt_tb_bad(ngx_iot_mqtt_tb_op_t *op, ngx_str_t *text);

/*
 * op->payload as JSON, whatever it was: NGX_OK, or NGX_DECLINED with the text
 * for ngx_iot_mqtt_tb_bad() in op->points.error; NGX_ERROR: no memory.
 */
ngx_int_t ngx_iot_mqtt_tb_json(ngx_iot_mqtt_tb_op_t *op);

/*
 * Publish to the device: to <topic of the subject in that spelling><id>.
 * QoS as granted for the spelling, 1 if it was not subscribed to.  NGX_OK, or
 * the message is dropped.
 */
ngx_int_t ngx_iot_mqtt_tb_send(ngx_iot_mqtt_session_t *s, ngx_uint_t subject,
    ngx_uint_t form, ngx_str_t *id, ngx_str_t *payload);
ngx_int_t ngx_iot_mqtt_tb_send_to(ngx_iot_mqtt_session_t *s, ngx_str_t *topic,
    ngx_str_t *payload, ngx_uint_t qos);

/* The QoS to publish with: as granted, or 1. */
ngx_uint_t ngx_iot_mqtt_tb_granted(ngx_iot_mqtt_tb_t *tb,
    ngx_uint_t subject, ngx_uint_t form);

void *ngx_iot_mqtt_tb_alloc(void *pool, size_t size);

/* Decimal, signed, 32 bits: NGX_OK or NGX_DECLINED; number may be NULL. */
ngx_int_t ngx_iot_mqtt_tb_number(ngx_str_t *id, int32_t *number);


/* --- ngx_iot_mqtt_tb_save.c --- */

ngx_int_t ngx_iot_mqtt_tb_telemetry(ngx_iot_mqtt_tb_call_t *call);
ngx_int_t ngx_iot_mqtt_tb_attributes(ngx_iot_mqtt_tb_call_t *call);

/* How points are typed: as the device's profile says. */
void ngx_iot_mqtt_tb_opts(ngx_iot_device_t *device,
    ngx_iot_value_opts_t *opts);


/* --- ngx_iot_mqtt_tb_attribute.c --- */

ngx_int_t ngx_iot_mqtt_tb_attribute_request(ngx_iot_mqtt_tb_call_t *call);

/* Add the names of a comma list; the text of a PostgreSQL array of them. */
ngx_int_t ngx_iot_mqtt_tb_keys_add(ngx_array_t *keys, ngx_str_t *list);
ngx_int_t ngx_iot_mqtt_tb_keys_text(ngx_array_t *keys, ngx_str_t *array,
    ngx_pool_t *pool);

/* Begin and stop to pass on what changes of the shared attributes. */
ngx_int_t ngx_iot_mqtt_tb_watch(ngx_iot_mqtt_tb_peer_t *peer);
void ngx_iot_mqtt_tb_unwatch(ngx_iot_mqtt_tb_peer_t *peer);


/* --- ngx_iot_mqtt_tb_rpc.c --- */

/*
 * Begin and stop to pass on requests to the device.  With "later" they come
 * after ngx_iot_rpc_open_all().
 */
ngx_int_t ngx_iot_mqtt_tb_listen(ngx_iot_mqtt_tb_peer_t *peer,
    ngx_uint_t later);
void ngx_iot_mqtt_tb_unlisten(ngx_iot_mqtt_tb_peer_t *peer);

/* The device answers; and asks. */
ngx_int_t ngx_iot_mqtt_tb_rpc_response(ngx_iot_mqtt_tb_call_t *call);
ngx_int_t ngx_iot_mqtt_tb_rpc_request(ngx_iot_mqtt_tb_call_t *call);

/* Passes on the answer of a device; as on_publish(). */
ngx_int_t ngx_iot_mqtt_tb_rpc_answer(ngx_iot_mqtt_tb_op_t *op,
    ngx_iot_device_t *device, int32_t id, ngx_str_t *body);


/* --- ngx_iot_mqtt_tb_ota.c --- */

ngx_int_t ngx_iot_mqtt_tb_firmware(ngx_iot_mqtt_tb_call_t *call);
ngx_int_t ngx_iot_mqtt_tb_software(ngx_iot_mqtt_tb_call_t *call);


/* --- ngx_iot_mqtt_tb_claim.c --- */

ngx_int_t ngx_iot_mqtt_tb_claim(ngx_iot_mqtt_tb_call_t *call);


/* --- ngx_iot_mqtt_tb_will.c: see ngx_iot_mqtt_topics_t --- */

ngx_uint_t ngx_iot_mqtt_tb_is_will(ngx_iot_mqtt_session_t *s,
    ngx_str_t *topic);
void ngx_iot_mqtt_tb_will(ngx_iot_bus_message_t *msg, ngx_iot_mqtt_in_t *in);


/* --- ngx_iot_mqtt_tb_provision.c --- */

/*
 * NGX_OK: it is a session that asks for a device, and has a client id of its
 * own now; NGX_DECLINED: it is not; or a reason.
 */
ngx_int_t ngx_iot_mqtt_tb_provision(ngx_iot_mqtt_session_t *s,
    ngx_str_t *user, ngx_str_t *client_id);


#endif /* _NGX_IOT_MQTT_TB_H_INCLUDED_ */
