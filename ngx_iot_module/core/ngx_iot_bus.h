
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_IOT_BUS_H_INCLUDED_
#define _NGX_IOT_BUS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_iot_slot.h"
#include "ngx_iot_topic_tree.h"


/*
 * Messages on topics of a tenant, from whoever publishes to whoever is
 * subscribed, in this worker and in the others of the node, also across a
 * reload.  The bus knows no protocol: topics and filters follow MQTT 5.0,
 * section 4.7, and have been checked by the caller.
 *
 * Messages of one publisher to one subscriber keep their order as long as
 * both stay in their workers.  Once subscribe() has answered NGX_OK, what is
 * published after that anywhere in the node is delivered.
 */

#define NGX_IOT_BUS_TENANT  36            /* a UUID in text */


typedef struct ngx_iot_bus_tenant_s   ngx_iot_bus_tenant_t;
typedef struct ngx_iot_bus_message_s  ngx_iot_bus_message_t;
typedef struct ngx_iot_bus_client_s   ngx_iot_bus_client_t;
typedef struct ngx_iot_bus_sub_s      ngx_iot_bus_sub_t;


/*
 * A message is one piece of memory, counted, and never changes once it is
 * published.  Lengths: topic <= 65535; publisher <= 65535; properties and
 * payload together < 512 MB.
 */

struct ngx_iot_bus_message_s {
    ngx_uint_t               refs;
    ngx_uint_t               holds;
    ngx_int_t                rc;          /* of the holds */

    u_char                   tenant[NGX_IOT_BUS_TENANT];

    ngx_str_t                topic;
    ngx_str_t                payload;
    ngx_str_t                properties;  /* the front's own encoding */
    ngx_str_t                publisher;   /* client id, for "no local" */

    uint32_t                 qos;         /* 0 to 2 */
    uint32_t                 flags;       /* NGX_IOT_BUS_RETAIN ... */
    uint64_t                 published;   /* unix time, milliseconds */
    uint64_t                 expires;     /* the same; 0: never */

    /* what a front made of it and shares between its subscribers */
    void                    *front;
    void                   (*front_free)(void *front);

    /* see ngx_iot_bus_publish() */
    void                   (*done)(ngx_iot_bus_message_t *msg);
    void                    *done_data;

    ngx_queue_t              queue;       /* of the bus */
};


/* flags; the bits above 0xffff are the fronts' own and travel along */

#define NGX_IOT_BUS_RETAIN  0x00000001    /* was published with RETAIN */
#define NGX_IOT_BUS_WILL    0x00000002


/*
 * A receiver, usually part of a session.  deliver() gets every message once,
 * with all subscriptions of the client that match it (n >= 1, valid during
 * the call), or with one shared subscription whose turn it is.  It must not
 * block and may unsubscribe, close itself or others, and publish: what is
 * published in it is delivered after it.  To keep the message it takes a
 * reference.
 *
 * Of a shared subscription NGX_DECLINED passes the message on to another
 * member; otherwise the return code does not matter.
 */

typedef ngx_int_t (*ngx_iot_bus_deliver_pt)(ngx_iot_bus_client_t *client,
    ngx_iot_bus_message_t *msg, ngx_iot_bus_sub_t **subs, ngx_uint_t n);

struct ngx_iot_bus_client_s {
    ngx_iot_bus_tenant_t    *tenant;
    ngx_iot_bus_deliver_pt   deliver;
    void                    *data;
    ngx_queue_t              subs;        /* ngx_iot_bus_sub_t.queue */
    ngx_uint_t               nsubs;
};


struct ngx_iot_bus_sub_s {
    ngx_iot_topic_sub_t      sub;         /* must be first */
    ngx_iot_bus_client_t    *client;      /* NULL: unsubscribed */
    ngx_queue_t              queue;

    /* the front's own */
    uint32_t                 id;          /* subscription identifier or 0 */
    uint32_t                 options;     /* granted QoS, no local, ... */
    void                    *data;

    ngx_str_t                filter;      /* without "$share/GROUP/" */
    ngx_str_t                group;       /* empty: not shared */
};


/* Before anything else of the client; NGX_ERROR: no memory. */
ngx_int_t ngx_iot_bus_client_open(ngx_iot_bus_client_t *client, u_char *tenant,
    ngx_iot_bus_deliver_pt deliver, void *data);

/* Drops all subscriptions; nothing is delivered from now on. */
void ngx_iot_bus_client_close(ngx_iot_bus_client_t *client);

/*
 * NULL: no memory or more than NGX_IOT_TOPIC_LEVELS levels.  A second
 * subscription of the client to the same filter is a second one: look for
 * it with ngx_iot_bus_find() and change its options instead.
 */
ngx_iot_bus_sub_t *ngx_iot_bus_subscribe(ngx_iot_bus_client_t *client,
    ngx_str_t *filter, ngx_str_t *group);
void ngx_iot_bus_unsubscribe(ngx_iot_bus_sub_t *sub);
ngx_iot_bus_sub_t *ngx_iot_bus_find(ngx_iot_bus_client_t *client,
    ngx_str_t *filter, ngx_str_t *group);

/*
 * 1 when what this worker announced is where the others will see it before
 * they publish again: it always is but when a ring is full.  A front that
 * wants to be exact answers the subscriber then.
 */
ngx_uint_t ngx_iot_bus_announced(void);


/*
 * A message with room for its strings, of which topic must be set; the
 * strings given are copied, but a payload without data is only allocated
 * (payload.len bytes, to be filled in).  refs is 1.  NULL: no memory.
 */
ngx_iot_bus_message_t *ngx_iot_bus_message(u_char *tenant, ngx_str_t *topic,
    ngx_str_t *payload, ngx_str_t *properties, ngx_str_t *publisher);

#define ngx_iot_bus_keep(msg)  (msg)->refs++
void ngx_iot_bus_drop(ngx_iot_bus_message_t *msg);

/*
 * NGX_OK: delivered here and passed on, the number of receivers (clients
 * here, other workers) in *matched unless it is NULL.  While another message
 * is being delivered it is only queued, and *matched is 1.
 *
 * NGX_BUSY: only for QoS > 0, nothing was done; the way to another worker is
 * full: wait with ngx_iot_bus_wait() and publish again.  With QoS 0 such a
 * worker goes without, and iot_bus_dropped_total counts it.
 *
 * NGX_ERROR: no memory, nothing was done.
 *
 * If msg->done is set it is called exactly once, in or after publish(), when
 * all who hold the message have let it go: msg->rc is NGX_OK, or NGX_ERROR
 * when one of them failed or its worker died, and what it should have kept is
 * not kept.  It is not called when publish() did not return NGX_OK.
 */
ngx_int_t ngx_iot_bus_publish(ngx_iot_bus_message_t *msg,
    ngx_uint_t *matched);

/* How many members a shared subscription has in the node, connected ones. */
ngx_uint_t ngx_iot_bus_members(u_char *tenant, ngx_str_t *filter,
    ngx_str_t *group);

/*
 * To one member of a shared subscription only, whatever the topic.  NGX_OK;
 * NGX_DECLINED: there is none that takes it.
 */
ngx_int_t ngx_iot_bus_publish_share(ngx_iot_bus_message_t *msg,
    ngx_str_t *filter, ngx_str_t *group);

/*
 * A receiver that must make the message last before the publisher hears of
 * success holds it in deliver(), and lets it go when that is done.  It works
 * through other workers too.  Holding is for messages with ngx_iot_bus_wants():
 * nobody waits for the others.
 * Of such a message it is a failure too if the member of a shared subscription
 * whose turn it was has gone and no other took it.
 */
#define ngx_iot_bus_wants(msg)  ((msg)->done != NULL)
void ngx_iot_bus_hold(ngx_iot_bus_message_t *msg);
void ngx_iot_bus_let_go(ngx_iot_bus_message_t *msg, ngx_int_t rc);


/* waiting for room after NGX_BUSY; ready() is called once */

typedef struct {
    ngx_queue_t              queue;
    void                   (*ready)(void *data);
    void                    *data;
    unsigned                 active:1;
} ngx_iot_bus_wait_t;

void ngx_iot_bus_wait(ngx_iot_bus_wait_t *wait);
void ngx_iot_bus_unwait(ngx_iot_bus_wait_t *wait);


/*
 * From worker to worker, without a topic: taking over a session, the answer
 * to a call.  The receiver's handler for the type is called from the event
 * loop, never from within send(), also when the slot is this worker's own.
 * Data are <= NGX_IOT_BUS_DIRECT bytes and copied.
 *
 * NGX_OK; NGX_BUSY: no room, wait; NGX_DECLINED: that worker has gone (its
 * slot has another generation); NGX_ERROR: no memory or too long.
 */

#define NGX_IOT_BUS_DIRECT      (16 * 1024 * 1024)

#define NGX_IOT_BUS_KICK        0         /* types */
#define NGX_IOT_BUS_KICKED      1
#define NGX_IOT_BUS_RPC         2
#define NGX_IOT_BUS_RPC_ANSWER  3
#define NGX_IOT_BUS_NATIVE      4
#define NGX_IOT_BUS_PROXY       5
#define NGX_IOT_BUS_STORED      6
#define NGX_IOT_BUS_SEAT        7
#define NGX_IOT_BUS_TEST        15
#define NGX_IOT_BUS_TYPES       16

typedef void (*ngx_iot_bus_direct_pt)(ngx_iot_slot_id_t *from, u_char *data,
    size_t len);

ngx_int_t ngx_iot_bus_send(ngx_iot_slot_id_t *to, ngx_uint_t type,
    u_char *data, size_t len);
void ngx_iot_bus_on_direct(ngx_uint_t type, ngx_iot_bus_direct_pt handler);


ngx_int_t ngx_iot_bus_init_process(ngx_cycle_t *cycle);
void ngx_iot_bus_exit_process(ngx_cycle_t *cycle);


#endif /* _NGX_IOT_BUS_H_INCLUDED_ */
