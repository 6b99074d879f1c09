
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_IOT_MQTT_SESSION_H_INCLUDED_
#define _NGX_IOT_MQTT_SESSION_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "../codec/ngx_iot_mqtt_image.h"
#include "../codec/ngx_iot_mqtt_packet.h"
#include "../codec/ngx_iot_topic_name.h"
#include "../core/ngx_iot_auth.h"
#include "../core/ngx_iot_bus.h"
#include "../core/ngx_iot_db.h"
#include "../core/ngx_iot_metrics.h"
#include "../core/ngx_iot_slot.h"
#include "../device/ngx_iot_device.h"
#include "ngx_iot_mqtt_conf.h"


/*
 * The broker.  A session object lives as long as its connection, in the
 * worker that accepted it; what must outlive the connection is in PostgreSQL
 * (ngx_iot_mqtt_store.h).  Fronts (stream, WebSocket) give it a transport.
 */

typedef struct ngx_iot_mqtt_session_s  ngx_iot_mqtt_session_t;
typedef struct ngx_iot_mqtt_out_s      ngx_iot_mqtt_out_t;
typedef struct ngx_iot_mqtt_in_s       ngx_iot_mqtt_in_t;
typedef struct ngx_iot_mqtt_topics_s   ngx_iot_mqtt_topics_t;

typedef struct ngx_iot_mqtt_connecting_s  ngx_iot_mqtt_connecting_t;
typedef struct ngx_iot_mqtt_change_s      ngx_iot_mqtt_change_t;


typedef struct {
    /* bytes of MQTT, NGX_AGAIN, 0: closed by the client, or NGX_ERROR */
    ssize_t       (*recv)(ngx_iot_mqtt_session_t *s, u_char *buf,
                          size_t size);

    /* what goes before len bytes of MQTT; NULL without framing */
    u_char       *(*frame)(u_char *dst, size_t len);

    /* after the last byte; NULL without framing */
    void          (*bye)(ngx_iot_mqtt_session_t *s);

    /* the connection and all that belongs to it go away */
    void          (*close)(ngx_iot_mqtt_session_t *s);
} ngx_iot_mqtt_transport_t;


typedef enum {
    NGX_IOT_MQTT_NEW = 0,       /* before CONNECT */
    NGX_IOT_MQTT_WAITING,       /* for the database, a kick or the store */
    NGX_IOT_MQTT_UP,
    NGX_IOT_MQTT_LINGER,        /* the last bytes go out, the rest is read */
    NGX_IOT_MQTT_CLOSED
} ngx_iot_mqtt_state_e;


/* bytes on their way out */

typedef struct ngx_iot_mqtt_page_s  ngx_iot_mqtt_page_t;

struct ngx_iot_mqtt_page_s {
    ngx_chain_t            cl;
    ngx_buf_t              buf;
    ngx_iot_bus_message_t     *msg;         /* whose bytes these are */
    u_char                *limit;       /* of the room, NULL: none */
    unsigned               large:1;     /* not from the list of free pages */
};


/*
 * A QoS 1 or 2 message to the client: waiting for a place in the window, or in
 * flight.
 */

#define NGX_IOT_MQTT_QUEUED    0
#define NGX_IOT_MQTT_STORING   1        /* its identifier, QoS 2 */
#define NGX_IOT_MQTT_SENT      2
#define NGX_IOT_MQTT_RECEIVED  3        /* PUBREC is being recorded */
#define NGX_IOT_MQTT_RELEASED  4        /* PUBREL sent */
#define NGX_IOT_MQTT_DONE      5        /* its row is being deleted */

/*
 * Whoever sends a message may hear what became of it, once: 1: the client has
 * acknowledged it; 0: it will not, or it has refused.
 */

typedef struct ngx_iot_mqtt_acked_s  ngx_iot_mqtt_acked_t;

struct ngx_iot_mqtt_acked_s {
    void                   (*handler)(ngx_iot_mqtt_acked_t *acked,
                                      ngx_uint_t ok);
};


struct ngx_iot_mqtt_out_s {
    ngx_queue_t              queue;
    ngx_iot_bus_message_t       *msg;       /* NULL when released */
    ngx_iot_mqtt_session_t  *session;   /* NULL when it has gone */
    uint64_t                 stored;    /* its number in the store, or 0 */
    uint32_t                *ids;       /* subscription identifiers */
    ngx_iot_topic_share_t   *share;     /* of a group, NULL: of none */
    ngx_iot_mqtt_acked_t    *acked;     /* who hears of it, NULL: nobody */
    uint16_t                 nids;
    uint16_t                 packet_id;
    uint8_t                  qos;
    uint8_t                  state;
    unsigned                 retain:1;
    unsigned                 dup:1;
    unsigned                 busy:1;    /* a row of it is being written */
};


/*
 * A QoS 1 or 2 message from the client: acknowledgements go out in the order
 * in which the messages came.
 */

#define NGX_IOT_MQTT_IN_PENDING   0     /* not yet to be acknowledged */
#define NGX_IOT_MQTT_IN_READY     1
#define NGX_IOT_MQTT_IN_HELD      2     /* QoS 2: PUBREC sent */
#define NGX_IOT_MQTT_IN_ROUTING   3     /* QoS 2: PUBREL came */
#define NGX_IOT_MQTT_IN_LAST      4     /* its turn is the end */

struct ngx_iot_mqtt_in_s {
    ngx_queue_t              queue;
    ngx_iot_mqtt_session_t  *session;   /* NULL when it has gone */
    ngx_iot_bus_message_t       *msg;       /* QoS 2, until PUBREL */

    /* without a session: who hears of the outcome */
    void                   (*done)(void *data, ngx_uint_t reason);
    void                    *data;

    uint16_t                 packet_id;
    uint8_t                  type;      /* PUBACK, PUBREC or PUBCOMP */
    uint8_t                  reason;
    uint8_t                  state;
    uint16_t                 alone;     /* groups it was stored for */
    unsigned                 stored:1;  /* QoS 2: there is a row */
    unsigned                 failed:1;  /* storage is away */
};


/* ngx_iot_bus_sub_t.options: the QoS granted in the low bits, and */

#define NGX_IOT_MQTT_SUB_QOS           0x03
#define NGX_IOT_MQTT_SUB_NO_LOCAL      0x04
#define NGX_IOT_MQTT_SUB_AS_PUBLISHED  0x08

/*
 * ngx_iot_bus_message_t.flags: the properties are those of MQTT 5.0 that are
 * forwarded; in front of them 8 bytes: the number of the message in the store.
 */

#define NGX_IOT_MQTT_PROPERTIES        0x00010000
#define NGX_IOT_MQTT_STORED            0x00020000

/* it was stored for members of groups of which nobody is connected */
#define NGX_IOT_MQTT_OFFLINE           0x00040000

/* a will for a dialect: its topic begins with the id of the device and "/" */
#define NGX_IOT_MQTT_DIALECT           0x00080000

#define NGX_IOT_MQTT_OWN                                                      \
    (NGX_IOT_MQTT_STORED|NGX_IOT_MQTT_OFFLINE)


typedef struct {
    ngx_iot_bus_message_t       *msg;
    uint32_t                 delay;
    uint32_t                 expiry;    /* with has_expiry */
    unsigned                 has_expiry:1;
} ngx_iot_mqtt_will_t;


/* topics of a listener of retained messages, see ngx_iot_mqtt_retain.c */

typedef struct ngx_iot_mqtt_scan_s  ngx_iot_mqtt_scan_t;


struct ngx_iot_mqtt_session_s {
    ngx_str_node_t                   node;      /* by tenant/client id */
    ngx_queue_t                      dirty;     /* has something to write */
    ngx_queue_t                      all;

    ngx_connection_t                *connection;
    const ngx_iot_mqtt_transport_t  *transport;
    void                            *data;      /* of the transport */
    ngx_iot_mqtt_conf_t             *conf;
    ngx_iot_mqtt_parser_t            parser;
    ngx_iot_mqtt_topics_t           *topics;    /* of the device's dialect */
    void                            *topics_data;

    /* who it is */
    u_char                           tenant[NGX_IOT_UUID_TEXT];
    ngx_str_t                        client_id;
    ngx_str_t                        user;
    ngx_iot_device_t                *device;    /* held */
    ngx_iot_rates_t                 *rates;     /* of the tenant, held */
    ngx_uint_t                       role;

    /* the packet that has not come wholly */
    u_char                          *in;
    size_t                           in_len;
    size_t                           in_size;

    /* out */
    ngx_iot_mqtt_page_t             *first;
    ngx_iot_mqtt_page_t             *last;
    ngx_iot_mqtt_page_t             *unframed;
    size_t                           out_bytes;

    ngx_iot_bus_client_t             bus;

    uint16_t                         next_id;
    uint16_t                         ninflight;
    uint16_t                         window;        /* theirs */
    uint16_t                         nreceiving;    /* ours in use */
    uint16_t                         npending;
    size_t                           held_bytes;    /* QoS 2, to PUBREL */
    uint32_t                         nqueued;
    size_t                           queued_bytes;
    ngx_queue_t                      inflight;
    ngx_queue_t                      waiting;
    ngx_queue_t                      receiving;

    uint32_t                         nsubs;
    ngx_queue_t                      scans;     /* retained to be sent */
    ngx_iot_bus_sub_t               *sharing;   /* while it is delivered */
    ngx_iot_mqtt_acked_t            *acking;    /* the same; NULL: taken */
    ngx_iot_mqtt_will_t             *will;
    uint64_t                         will_mark;     /* its row, or 0 */
    uint32_t                         will_delay;    /* with WILL_DUE */
    ngx_str_t                       *aliases;   /* theirs */
    ngx_str_t                       *our_aliases;
    uint16_t                         nour_aliases;
    uint16_t                         alias_maximum;

    ngx_iot_mqtt_connecting_t       *connecting;    /* while it is not up */
    ngx_iot_mqtt_change_t           *change;        /* being written */
    uint64_t                         ref;           /* in the registry */
    uint64_t                         durable;       /* row, 0: none */
    uint64_t                         epoch;         /* of its owners */
    void                            *opening;
    void                            *seat;          /* of its device */
    ngx_iot_db_call_t               *fetching;
    ngx_queue_t                      marking;       /* done, to be deleted */
    uint32_t                         expiry;
    uint32_t                         max_packet;    /* theirs */
    ngx_msec_t                       keep_alive;
    ngx_msec_t                       seen;

    uint8_t                          state;
    uint8_t                          close_reason;
    uint8_t                          will_left;     /* what becomes of it */
    unsigned                         clean:1;
    unsigned                         bridge:1;
    unsigned                         problem_info:1;
    unsigned                         registered:1;
    unsigned                         in_list:1;
    unsigned                         is_dirty:1;
    unsigned                         processing:1;
    unsigned                         blocked:1;     /* does not read */
    unsigned                         will_done:1;
    unsigned                         bus_open:1;
    unsigned                         drained:1;     /* all stored was sent */
    unsigned                         more:1;        /* stored meanwhile */
    unsigned                         restored:1;
    unsigned                         detached:1;
    unsigned                         kicked:1;
    unsigned                         eof:1;
    unsigned                         resume:1;
    unsigned                         wrapped:1;     /* identifiers */
    unsigned                         sys:1;         /* wants $SYS */
    unsigned                         counted:1;     /* as a stored one */
    unsigned                         throttled:1;   /* more than it may */
    unsigned                         ending:1;      /* after what it sent */
    unsigned                         grouped:1;     /* stored, in a group */
};


/*
 * Topics that a dialect gives a meaning, for sessions of devices: consulted
 * in order before the normal routing.
 *
 * on_publish: NGX_OK: done, acknowledge; NGX_AGAIN: the dialect will call
 * ngx_iot_mqtt_publish_done() with pub->in, once; NGX_DECLINED: not this one,
 * go on; or a reason >= 0x80.  The packet lives only during the call.
 *
 * on_subscribe: NGX_OK: granted, route nothing; NGX_DECLINED: an ordinary
 * subscription; or a reason >= 0x80.  A dialect sends by
 * ngx_iot_mqtt_send_message().
 */

typedef struct {
    ngx_iot_mqtt_packet_t   *packet;
    ngx_str_t                topic;     /* with the alias put in */
    ngx_iot_mqtt_in_t       *in;        /* NULL: QoS 0 */
} ngx_iot_mqtt_pub_t;

typedef struct {
    ngx_str_t        filter;
    ngx_int_t      (*on_publish)(ngx_iot_mqtt_session_t *s,
                                 ngx_iot_mqtt_pub_t *pub);
    ngx_int_t      (*on_subscribe)(ngx_iot_mqtt_session_t *s,
                                   ngx_str_t *filter, ngx_uint_t qos);
    ngx_int_t      (*on_unsubscribe)(ngx_iot_mqtt_session_t *s,
                                     ngx_str_t *filter);
} ngx_iot_mqtt_topic_t;

struct ngx_iot_mqtt_topics_s {
    ngx_iot_mqtt_topic_t    *list;      /* up to an empty filter */
    void                   (*connected)(ngx_iot_mqtt_session_t *s);
    void                   (*closed)(ngx_iot_mqtt_session_t *s);

    /* 1: a will on this topic is for the dialect; s->device is known */
    ngx_uint_t             (*is_will)(ngx_iot_mqtt_session_t *s,
                                      ngx_str_t *topic);

    /*
     * Does with a will what the device's publish would have done, and ends
     * with ngx_iot_mqtt_publish_done(): UNAVAILABLE: to be tried again.
     * Takes over the reference.
     */
    void                   (*will)(ngx_iot_bus_message_t *msg,
                                   ngx_iot_mqtt_in_t *in);
};

/* Set by a dialect when its worker starts. */
extern ngx_iot_mqtt_topics_t  *ngx_iot_mqtt_device_topics;


/* --- ngx_iot_mqtt_session.c: what fronts call --- */

/*
 * Begin a session on a connection; from now on its events belong to the
 * broker.  NULL: no memory.  Then call ngx_iot_mqtt_input() with the bytes
 * that were read already, and ngx_iot_mqtt_read_handler() once.
 */
ngx_iot_mqtt_session_t *ngx_iot_mqtt_create(ngx_connection_t *c,
    ngx_iot_mqtt_conf_t *conf, const ngx_iot_mqtt_transport_t *transport,
    void *data);
ngx_int_t ngx_iot_mqtt_input(ngx_iot_mqtt_session_t *s, u_char *pos,
    u_char *end);
void ngx_iot_mqtt_readable(ngx_iot_mqtt_session_t *s);
void ngx_iot_mqtt_writable(ngx_iot_mqtt_session_t *s);

/* The connection went away without us. */
void ngx_iot_mqtt_gone(ngx_iot_mqtt_session_t *s);

/*
 * End it: with DISCONNECT or CONNACK of that reason where the version has
 * one (0: just close).  The session is destroyed when the turn ends.
 */
void ngx_iot_mqtt_end(ngx_iot_mqtt_session_t *s, ngx_uint_t reason);

/* Read on after ngx_iot_mqtt_session_t.blocked or a state was changed. */
void ngx_iot_mqtt_unblock(ngx_iot_mqtt_session_t *s);

ngx_iot_mqtt_session_t *ngx_iot_mqtt_find(u_char *tenant, ngx_str_t *id);
ngx_int_t ngx_iot_mqtt_insert(ngx_iot_mqtt_session_t *s);
ngx_uint_t ngx_iot_mqtt_connections(void);
void ngx_iot_mqtt_each(void (*handler)(ngx_iot_mqtt_session_t *s));

ngx_int_t ngx_iot_mqtt_session_init_process(ngx_cycle_t *cycle);


/* --- ngx_iot_mqtt_seat.c --- */

ngx_int_t ngx_iot_mqtt_seat_init_process(ngx_cycle_t *cycle);

/*
 * One of the sessions that its device may have at once; an older one may have
 * to go.  NGX_OK or a reason.
 */
ngx_int_t ngx_iot_mqtt_seat_take(ngx_iot_mqtt_session_t *s);
void ngx_iot_mqtt_seat_leave(ngx_iot_mqtt_session_t *s);


/* --- ngx_iot_mqtt_write.c --- */

/* Room for size bytes at the end of what goes out; then tell the end. */
u_char *ngx_iot_mqtt_room(ngx_iot_mqtt_session_t *s, size_t size);
void ngx_iot_mqtt_wrote(ngx_iot_mqtt_session_t *s, u_char *end);

/* Bytes that are already framed as the transport wants. */
ngx_int_t ngx_iot_mqtt_raw(ngx_iot_mqtt_session_t *s, u_char *data,
    size_t len);

ngx_int_t ngx_iot_mqtt_ack(ngx_iot_mqtt_session_t *s, ngx_uint_t type,
    ngx_uint_t packet_id, ngx_uint_t reason);
ngx_int_t ngx_iot_mqtt_packet(ngx_iot_mqtt_session_t *s,
    ngx_iot_mqtt_packet_t *packet);

/*
 * A PUBLISH to the client.  NGX_DECLINED: too large for the client; NGX_ERROR:
 * no memory.
 */
ngx_int_t ngx_iot_mqtt_put_publish(ngx_iot_mqtt_session_t *s,
    ngx_iot_bus_message_t *msg, ngx_iot_mqtt_delivery_t *delivery);

/* Its turn to write comes at the end of this turn; or of the next. */
void ngx_iot_mqtt_dirty(ngx_iot_mqtt_session_t *s);
void ngx_iot_mqtt_later(ngx_iot_mqtt_session_t *s);
ngx_int_t ngx_iot_mqtt_flush(ngx_iot_mqtt_session_t *s);
void ngx_iot_mqtt_drop_output(ngx_iot_mqtt_session_t *s);
void ngx_iot_mqtt_write_init(ngx_cycle_t *cycle);


/*
 * --- handlers of packets ---
 *
 * NGX_OK, a reason that ends the connection, or NGX_AGAIN: again with the same
 * packet after ngx_iot_mqtt_unblock().
 */

ngx_int_t ngx_iot_mqtt_on_connect(ngx_iot_mqtt_session_t *s,
    ngx_iot_mqtt_packet_t *packet);
ngx_int_t ngx_iot_mqtt_on_publish(ngx_iot_mqtt_session_t *s,
    ngx_iot_mqtt_packet_t *packet);
ngx_int_t ngx_iot_mqtt_on_pubrel(ngx_iot_mqtt_session_t *s,
    ngx_iot_mqtt_packet_t *packet);
ngx_int_t ngx_iot_mqtt_on_puback(ngx_iot_mqtt_session_t *s,
    ngx_iot_mqtt_packet_t *packet);
ngx_int_t ngx_iot_mqtt_on_pubrec(ngx_iot_mqtt_session_t *s,
    ngx_iot_mqtt_packet_t *packet);
ngx_int_t ngx_iot_mqtt_on_pubcomp(ngx_iot_mqtt_session_t *s,
    ngx_iot_mqtt_packet_t *packet);
ngx_int_t ngx_iot_mqtt_on_subscribe(ngx_iot_mqtt_session_t *s,
    ngx_iot_mqtt_packet_t *packet);
ngx_int_t ngx_iot_mqtt_on_unsubscribe(ngx_iot_mqtt_session_t *s,
    ngx_iot_mqtt_packet_t *packet);
ngx_int_t ngx_iot_mqtt_on_pingreq(ngx_iot_mqtt_session_t *s,
    ngx_iot_mqtt_packet_t *packet);
ngx_int_t ngx_iot_mqtt_on_disconnect(ngx_iot_mqtt_session_t *s,
    ngx_iot_mqtt_packet_t *packet);


/* --- ngx_iot_mqtt_connect.c --- */

/* It goes before it was up; and: others may have its client id now. */
void ngx_iot_mqtt_connect_cancel(ngx_iot_mqtt_session_t *s);
void ngx_iot_mqtt_connect_left(ngx_iot_mqtt_session_t *s);
ngx_int_t ngx_iot_mqtt_connect_init_process(ngx_cycle_t *cycle);


/* --- ngx_iot_mqtt_publish.c --- */

/* A dialect has finished with a publish: NGX_OK or a reason >= 0x80. */
/*
 * A publish that ends the session, when those before it are acknowledged; "in"
 * (NULL: QoS 0) is taken over, and not acknowledged.
 */
void ngx_iot_mqtt_end_after(ngx_iot_mqtt_session_t *s, ngx_iot_mqtt_in_t *in,
    ngx_uint_t reason);

void ngx_iot_mqtt_publish_done(ngx_iot_mqtt_in_t *in, ngx_int_t rc);

/*
 * A message from a packet or a will, refs 1.  topic with the alias put in;
 * expiry in seconds with has_expiry in props.
 */
ngx_iot_bus_message_t *ngx_iot_mqtt_message(ngx_iot_mqtt_session_t *s,
    ngx_str_t *topic, ngx_str_t *payload, ngx_iot_mqtt_props_t *props);

/*
 * Send it to where it belongs: the store, retained messages, subscribers.
 * in is NULL or gets the acknowledgement.  Takes over the reference.
 */
void ngx_iot_mqtt_route(ngx_iot_bus_message_t *msg, ngx_iot_mqtt_in_t *in);

/* Acknowledge; the packet is sent when those before it were. */
void ngx_iot_mqtt_in_ready(ngx_iot_mqtt_in_t *in, ngx_uint_t reason);
void ngx_iot_mqtt_in_detach(ngx_iot_mqtt_session_t *s);

/* QoS 2 that was acknowledged on a former connection; takes the reference */
ngx_int_t ngx_iot_mqtt_in_restore(ngx_iot_mqtt_session_t *s,
    ngx_uint_t packet_id, ngx_iot_bus_message_t *msg);


/* --- ngx_iot_mqtt_inflight.c --- */

ngx_int_t ngx_iot_mqtt_deliver(ngx_iot_bus_client_t *client,
    ngx_iot_bus_message_t *msg, ngx_iot_bus_sub_t **subs, ngx_uint_t n);

/* To this client, whether it has subscribed or not. */
ngx_int_t ngx_iot_mqtt_send_message(ngx_iot_mqtt_session_t *s,
    ngx_iot_bus_message_t *msg, ngx_uint_t qos, ngx_uint_t retain,
    uint32_t *ids, ngx_uint_t nids);

/* There is more for the session in the store than it has heard of. */
void ngx_iot_mqtt_more(ngx_iot_mqtt_session_t *s);

/* A row of the store, in the state that it had. */
ngx_int_t ngx_iot_mqtt_out_restore(ngx_iot_mqtt_session_t *s,
    ngx_iot_bus_message_t *msg, ngx_uint_t qos, ngx_uint_t state,
    ngx_uint_t packet_id, uint32_t *ids, ngx_uint_t nids);

/* Fill the window from what waits. */
void ngx_iot_mqtt_pump(ngx_iot_mqtt_session_t *s);
void ngx_iot_mqtt_out_detach(ngx_iot_mqtt_session_t *s);
ngx_uint_t ngx_iot_mqtt_room_left(ngx_iot_mqtt_session_t *s);


/* --- ngx_iot_mqtt_subscribe.c --- */

void ngx_iot_mqtt_change_detach(ngx_iot_mqtt_session_t *s);


/* --- ngx_iot_mqtt_retain.c --- */

void ngx_iot_mqtt_retain(ngx_iot_bus_message_t *msg);
void ngx_iot_mqtt_retained_send(ngx_iot_mqtt_session_t *s,
    ngx_iot_bus_sub_t *sub);
void ngx_iot_mqtt_scan_go_on(ngx_iot_mqtt_session_t *s);
void ngx_iot_mqtt_scan_stop(ngx_iot_mqtt_session_t *s, ngx_iot_bus_sub_t *sub);

/* Into this worker's memory; takes over the reference. */
void ngx_iot_mqtt_retained_put(ngx_iot_bus_message_t *msg);
ngx_int_t ngx_iot_mqtt_retain_init_process(ngx_cycle_t *cycle);


/* --- ngx_iot_mqtt_sys.c --- */

void ngx_iot_mqtt_sys_send(ngx_iot_mqtt_session_t *s);
void ngx_iot_mqtt_sys_retained(ngx_iot_mqtt_session_t *s,
    ngx_iot_bus_sub_t *sub);
ngx_int_t ngx_iot_mqtt_sys_init_process(ngx_cycle_t *cycle);


/* --- ngx_iot_mqtt_will.c --- */

ngx_int_t ngx_iot_mqtt_will_set(ngx_iot_mqtt_session_t *s,
    ngx_iot_mqtt_connect_t *connect, ngx_uint_t dialect);
void ngx_iot_mqtt_will_fire(ngx_iot_mqtt_session_t *s);
void ngx_iot_mqtt_will_drop(ngx_iot_mqtt_session_t *s);

/* what is to become of a row, see iot.mqtt_will_left() */

#define NGX_IOT_MQTT_WILL_AWAY   1
#define NGX_IOT_MQTT_WILL_DUE    2
#define NGX_IOT_MQTT_WILL_TAKEN  3
#define NGX_IOT_MQTT_WILL_PASS   4

/* Write the row of a session that ends with its connection. */
void ngx_iot_mqtt_will_write(ngx_iot_mqtt_session_t *s);

/* A name for a row; 0: none can be given yet. */
uint64_t ngx_iot_mqtt_will_number(void);

/* Look for wills that are due in so many milliseconds. */
void ngx_iot_mqtt_will_wake(ngx_msec_t msec);
ngx_int_t ngx_iot_mqtt_will_init_process(ngx_cycle_t *cycle);


/* --- ngx_iot_mqtt_acl.c --- */

#define NGX_IOT_MQTT_PUB  1
#define NGX_IOT_MQTT_SUB  2

/* NGX_OK, or the reason to refuse with */
ngx_int_t ngx_iot_mqtt_may(ngx_iot_mqtt_session_t *s, ngx_uint_t access,
    ngx_str_t *topic);

/* Does a rule of the tenant forbid it, and not only none allow it? */
ngx_uint_t ngx_iot_mqtt_denied(ngx_iot_mqtt_session_t *s, ngx_uint_t access,
    ngx_str_t *topic);

/*
 * May a message of that topic go to the client?  What it has subscribed to
 * may be wider than what it is allowed, or was allowed when it did.
 */
ngx_uint_t ngx_iot_mqtt_may_get(ngx_iot_mqtt_session_t *s, ngx_str_t *topic);


#endif /* _NGX_IOT_MQTT_SESSION_H_INCLUDED_ */
