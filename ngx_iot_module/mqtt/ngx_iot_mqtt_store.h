
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_IOT_MQTT_STORE_H_INCLUDED_
#define _NGX_IOT_MQTT_STORE_H_INCLUDED_


#include "../codec/ngx_iot_topic_tree.h"
#include "../core/ngx_iot_batch.h"
#include "ngx_iot_mqtt_session.h"


/*
 * Sessions that outlive their connections.  Every worker has an index of all
 * of them with their subscriptions: whoever publishes writes the messages for
 * those that match, and hears of success when they are committed.  Only then
 * the bus carries the message, with its number in the store.
 */

typedef struct ngx_iot_mqtt_stored_s  ngx_iot_mqtt_stored_t;

struct ngx_iot_mqtt_stored_s {
    ngx_rbtree_node_t        node;      /* by number */
    ngx_str_node_t           name;      /* by tenant/client id */
    ngx_queue_t              subs;      /* ngx_iot_mqtt_stored_sub_t */
    uint64_t                 nr;
    ngx_iot_topic_tree_t    *tree;
    ngx_str_t                client_id;
};

typedef struct {
    ngx_iot_topic_sub_t      sub;       /* must be first; owner: the session */
    ngx_queue_t              queue;
    uint32_t                 options;
    uint32_t                 id;
    ngx_str_t                filter;    /* with "$share/GROUP/" */
} ngx_iot_mqtt_stored_sub_t;


/* numbers of rows and messages of the broker's own, from any address */

static ngx_inline uint32_t
ngx_iot_mqtt_get32(const void *data)
{
    const u_char  *p = data;

    return (uint32_t) p[0] << 24 | (uint32_t) p[1] << 16
           | (uint32_t) p[2] << 8 | p[3];
}


static ngx_inline uint64_t
ngx_iot_mqtt_get64(const void *data)
{
    const u_char  *p = data;

    return (uint64_t) ngx_iot_mqtt_get32(p) << 32 | ngx_iot_mqtt_get32(p + 4);
}


/* --- ngx_iot_mqtt_index.c --- */

#define NGX_IOT_MQTT_ADD_SESSION     'S'
#define NGX_IOT_MQTT_ADD_FILTER      'F'
#define NGX_IOT_MQTT_DELETE_FILTER   'U'
#define NGX_IOT_MQTT_DELETE_SESSION  'D'

ngx_int_t ngx_iot_mqtt_index_init_process(ngx_cycle_t *cycle);

/* 1 when all that is stored is known here */
ngx_uint_t ngx_iot_mqtt_index_ready(void);

ngx_iot_mqtt_stored_t *ngx_iot_mqtt_index_nr(uint64_t nr);
ngx_iot_mqtt_stored_t *ngx_iot_mqtt_index_find(u_char *tenant,
    ngx_str_t *client_id);
ngx_iot_topic_match_t *ngx_iot_mqtt_index_match(u_char *tenant,
    ngx_str_t *topic);

/*
 * A change, for all workers.  tenant only with ADD_SESSION, whose name is the
 * client id; else it is the filter.  done() is called when all have it.
 */
void ngx_iot_mqtt_index_tell(ngx_uint_t op, uint64_t nr, u_char *tenant,
    uint32_t options, uint32_t id, ngx_str_t *name, void (*done)(void *data),
    void *data);

/* Publishes a message of the broker's own; takes over the reference. */
void ngx_iot_mqtt_tell(ngx_iot_bus_message_t *msg);

extern u_char  ngx_iot_mqtt_own_tenant[];


/* --- ngx_iot_mqtt_store.c: rows in batches --- */

ngx_int_t ngx_iot_mqtt_store_init_process(ngx_cycle_t *cycle);

/*
 * NGX_DECLINED: no stored session wants it; NGX_AGAIN: stored() will be
 * called with NGX_OK and the message that is to be published, which has its
 * number in it, or with NGX_ERROR; NGX_ERROR: storage is not available.
 */
typedef void (*ngx_iot_mqtt_stored_pt)(ngx_iot_bus_message_t *msg,
    ngx_iot_mqtt_in_t *in, ngx_int_t rc);

ngx_int_t ngx_iot_mqtt_store_message(ngx_iot_bus_message_t *msg,
    ngx_iot_mqtt_in_t *in, ngx_iot_mqtt_stored_pt stored);

typedef void (*ngx_iot_mqtt_marked_pt)(void *data, ngx_int_t rc,
    ngx_iot_error_t *err);

/* The message with a number of its own, refs 1; NULL: no memory. */
ngx_iot_bus_message_t *ngx_iot_mqtt_store_number(ngx_iot_bus_message_t *msg);

/*
 * One row of one session, for one of its subscriptions.  NGX_OK: done() will
 * be called.
 */
ngx_int_t ngx_iot_mqtt_store_one(ngx_iot_mqtt_stored_t *st,
    ngx_iot_bus_message_t *msg, ngx_uint_t qos, ngx_uint_t retain,
    uint32_t id, ngx_str_t *filter, ngx_iot_mqtt_marked_pt done, void *data);

u_char *ngx_iot_mqtt_cell_bytes(u_char *p, u_char *data, size_t len);

/* states of a row */

#define NGX_IOT_MQTT_MARK_SENT      1
#define NGX_IOT_MQTT_MARK_RELEASED  2
#define NGX_IOT_MQTT_MARK_DONE      3

ngx_int_t ngx_iot_mqtt_store_mark(uint64_t session, uint64_t id,
    ngx_uint_t packet_id, ngx_uint_t state, ngx_iot_mqtt_marked_pt done,
    void *data);

/* QoS 2 from the client: msg is held, or with NULL no longer. */
ngx_int_t ngx_iot_mqtt_store_held(uint64_t session, ngx_uint_t packet_id,
    ngx_iot_bus_message_t *msg, ngx_iot_mqtt_marked_pt done, void *data);

/* A retained message; done may be NULL. */
ngx_int_t ngx_iot_mqtt_store_retained(ngx_iot_bus_message_t *msg,
    ngx_iot_mqtt_marked_pt done, void *data);

uint64_t ngx_iot_mqtt_store_id(ngx_iot_bus_message_t *msg);

/* The columns of a row, as a message with refs 1; NULL: no memory. */
ngx_iot_bus_message_t *ngx_iot_mqtt_store_row(u_char *tenant, PGresult *res,
    int row, int column, ngx_str_t *publisher, uint64_t id);


/* --- ngx_iot_mqtt_share.c: groups with stored members --- */

/* "$share/GROUP/FILTER"; its data are allocated, NULL: no memory */
ngx_str_t ngx_iot_mqtt_share_text(ngx_str_t *filter, ngx_str_t *group);

/* Groups that match and have stored members, but nobody connected. */
ngx_uint_t ngx_iot_mqtt_share_offline(ngx_iot_bus_message_t *msg,
    ngx_iot_topic_match_t *match);
ngx_uint_t ngx_iot_mqtt_share_alone(u_char *tenant,
    ngx_iot_topic_group_t *group);

/*
 * Before a message goes over the bus.  NGX_DECLINED: no group with a stored
 * member wants it; NGX_OK: one does, wait until it was stored; NGX_AGAIN:
 * since it was stored for "alone" groups more have nobody connected.
 */
ngx_int_t ngx_iot_mqtt_share_check(ngx_iot_bus_message_t *msg,
    ngx_uint_t alone);

/*
 * A message whose turn in a group it is to be this session's, which is
 * stored: NGX_OK, or NGX_DECLINED.
 */
ngx_int_t ngx_iot_mqtt_share_deliver(ngx_iot_mqtt_session_t *s,
    ngx_iot_bus_message_t *msg, ngx_uint_t qos, ngx_uint_t retain,
    ngx_iot_bus_sub_t *sub);

/* Its receiver has gone before it acknowledged: to another one. */
void ngx_iot_mqtt_share_again(ngx_iot_bus_message_t *msg,
    ngx_iot_topic_share_t *share);

/* Rows were written for a session that may have been connected since. */
void ngx_iot_mqtt_share_wake(uint64_t nr);

ngx_int_t ngx_iot_mqtt_share_init_process(ngx_cycle_t *cycle);


/* --- ngx_iot_mqtt_durable.c: sessions --- */

/*
 * Open, and load what is held, before CONNACK.  NGX_DECLINED: nothing to do;
 * NGX_AGAIN: opened() will be called with NGX_OK or a reason.
 */
typedef void (*ngx_iot_mqtt_opened_pt)(ngx_iot_mqtt_session_t *s,
    ngx_int_t rc, ngx_uint_t present);

ngx_int_t ngx_iot_mqtt_durable_open(ngx_iot_mqtt_session_t *s,
    ngx_uint_t clean, uint32_t expiry, ngx_iot_mqtt_opened_pt opened);
void ngx_iot_mqtt_durable_cancel(ngx_iot_mqtt_session_t *s);

/* After CONNACK: subscriptions and what waits. */
ngx_int_t ngx_iot_mqtt_durable_resume(ngx_iot_mqtt_session_t *s);
void ngx_iot_mqtt_durable_fetch(ngx_iot_mqtt_session_t *s);

/* rows of subscriptions; done() gets NGX_OK when all workers know */
typedef void (*ngx_iot_mqtt_subscribed_pt)(void *data, ngx_int_t rc);

ngx_int_t ngx_iot_mqtt_durable_subscribe(ngx_iot_mqtt_session_t *s,
    ngx_str_t *filter, ngx_iot_bus_sub_t *sub,
    ngx_iot_mqtt_subscribed_pt done, void *data);
ngx_int_t ngx_iot_mqtt_durable_unsubscribe(ngx_iot_mqtt_session_t *s,
    ngx_str_t *filter, ngx_iot_mqtt_subscribed_pt done, void *data);

/* A parameter of a call: an integer of 2, 4 or 8 bytes; a copy of bytes. */
void ngx_iot_mqtt_number(ngx_iot_db_call_t *call, uint64_t n, size_t len);
ngx_int_t ngx_iot_mqtt_bytes(ngx_iot_db_call_t *call, ngx_str_t *value);


/* --- ngx_iot_mqtt_leave.c: how they end --- */

typedef struct ngx_iot_mqtt_leaving_s  ngx_iot_mqtt_leaving_t;

/* The connection has ended; before the queues are let go. */
void ngx_iot_mqtt_leave(ngx_iot_mqtt_session_t *s);

/*
 * The connection has ended while its session was being opened: nobody may
 * open it again until it was closed.  NULL: no memory.
 */
ngx_iot_mqtt_leaving_t *ngx_iot_mqtt_leave_early(ngx_iot_mqtt_session_t *s,
    uint32_t expiry);
void ngx_iot_mqtt_leave_opened(ngx_iot_mqtt_leaving_t *leaving, uint64_t nr,
    uint64_t epoch);

/* 1: a former session of this client id is still being written here */
ngx_uint_t ngx_iot_mqtt_leaving(u_char *tenant, ngx_str_t *client_id);

/* 1: the answer to a kick is sent when its rows are written */
ngx_uint_t ngx_iot_mqtt_leaving_defer(u_char *tenant, ngx_str_t *client_id,
    ngx_iot_slot_id_t *from, u_char answer[8]);

/* What could not be closed is tried again. */
void ngx_iot_mqtt_leave_again(void);

ngx_int_t ngx_iot_mqtt_leave_init_process(ngx_cycle_t *cycle);


/* --- ngx_iot_mqtt_worker.c: who is there --- */

/* The number of this worker in the database, 0: not known yet. */
uint64_t ngx_iot_mqtt_worker(void);

/* Whether a session was opened is not known: it is looked at later. */
void ngx_iot_mqtt_worker_unsure(void);

ngx_int_t ngx_iot_mqtt_worker_init_process(ngx_cycle_t *cycle);


#endif /* _NGX_IOT_MQTT_STORE_H_INCLUDED_ */
