
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_IOT_MQTT_PROPERTY_H_INCLUDED_
#define _NGX_IOT_MQTT_PROPERTY_H_INCLUDED_


#include "ngx_iot_codec.h"


/* MQTT 5.0, section 2.2.2.2 */

#define NGX_IOT_MQTT_PROP_PAYLOAD_FORMAT       0x01
#define NGX_IOT_MQTT_PROP_MESSAGE_EXPIRY       0x02
#define NGX_IOT_MQTT_PROP_CONTENT_TYPE         0x03
#define NGX_IOT_MQTT_PROP_RESPONSE_TOPIC       0x08
#define NGX_IOT_MQTT_PROP_CORRELATION_DATA     0x09
#define NGX_IOT_MQTT_PROP_SUBSCRIPTION_ID      0x0b
#define NGX_IOT_MQTT_PROP_SESSION_EXPIRY       0x11
#define NGX_IOT_MQTT_PROP_ASSIGNED_CLIENT_ID   0x12
#define NGX_IOT_MQTT_PROP_SERVER_KEEP_ALIVE    0x13
#define NGX_IOT_MQTT_PROP_AUTH_METHOD          0x15
#define NGX_IOT_MQTT_PROP_AUTH_DATA            0x16
#define NGX_IOT_MQTT_PROP_REQUEST_PROBLEM      0x17
#define NGX_IOT_MQTT_PROP_WILL_DELAY           0x18
#define NGX_IOT_MQTT_PROP_REQUEST_RESPONSE     0x19
#define NGX_IOT_MQTT_PROP_RESPONSE_INFO        0x1a
#define NGX_IOT_MQTT_PROP_SERVER_REFERENCE     0x1c
#define NGX_IOT_MQTT_PROP_REASON_STRING        0x1f
#define NGX_IOT_MQTT_PROP_RECEIVE_MAXIMUM      0x21
#define NGX_IOT_MQTT_PROP_TOPIC_ALIAS_MAXIMUM  0x22
#define NGX_IOT_MQTT_PROP_TOPIC_ALIAS          0x23
#define NGX_IOT_MQTT_PROP_MAXIMUM_QOS          0x24
#define NGX_IOT_MQTT_PROP_RETAIN_AVAILABLE     0x25
#define NGX_IOT_MQTT_PROP_USER                 0x26
#define NGX_IOT_MQTT_PROP_MAXIMUM_PACKET       0x27
#define NGX_IOT_MQTT_PROP_WILDCARD_AVAILABLE   0x28
#define NGX_IOT_MQTT_PROP_SUB_ID_AVAILABLE     0x29
#define NGX_IOT_MQTT_PROP_SHARED_AVAILABLE     0x2a

/* the "packet type" of the properties of a will */

#define NGX_IOT_MQTT_WILL                      0

#define NGX_IOT_MQTT_VARINT_MAX                268435455


/*
 * What a packet carries.  After ngx_iot_mqtt_props_init() or a parse every
 * number has the value that the standard gives to an absent property (never
 * expires = 0xffffffff, no packet limit = 0xffffffff); "present" tells whether
 * it was there.  Strings point into the packet.
 *
 * "raw" is the block without its length: user properties, and subscription
 * identifiers when there are several, are only there; walk them with the two
 * functions below.  To send user properties append them with
 * ngx_iot_mqtt_props_put_user() to a buffer, make "raw" that buffer and set
 * the bit of NGX_IOT_MQTT_PROP_USER.
 */

typedef struct {
    uint64_t        present;        /* bit N for property N */

    uint32_t        session_expiry;
    uint32_t        message_expiry;
    uint32_t        will_delay;
    uint32_t        maximum_packet;
    uint32_t        subscription_id;            /* the first */
    uint32_t        receive_maximum;
    uint32_t        topic_alias_maximum;
    uint32_t        topic_alias;
    uint32_t        server_keep_alive;
    uint32_t        payload_format;
    uint32_t        request_problem;
    uint32_t        request_response;
    uint32_t        maximum_qos;
    uint32_t        retain_available;
    uint32_t        wildcard_available;
    uint32_t        sub_id_available;
    uint32_t        shared_available;

    ngx_str_t       content_type;
    ngx_str_t       response_topic;
    ngx_str_t       correlation_data;
    ngx_str_t       assigned_client_id;
    ngx_str_t       auth_method;
    ngx_str_t       auth_data;
    ngx_str_t       response_info;
    ngx_str_t       server_reference;
    ngx_str_t       reason_string;

    ngx_str_t       raw;
    ngx_uint_t      nsubscription_ids;
    ngx_uint_t      nuser;
    unsigned        parsed:1;       /* "raw" is the whole truth */
} ngx_iot_mqtt_props_t;


#define ngx_iot_mqtt_props_has(props, id)                                     \
    (((props)->present & ((uint64_t) 1 << (id))) != 0)

#define ngx_iot_mqtt_props_set(props, id)                                     \
    (props)->present |= (uint64_t) 1 << (id)

#define ngx_iot_mqtt_props_clear(props, id)                                   \
    (props)->present &= ~((uint64_t) 1 << (id))


/*
 * Variable byte integers (MQTT 5.0, section 1.5.5).  The reader returns NGX_OK
 * and moves *pos, NGX_AGAIN if it is not whole, or NGX_ERROR for a fifth byte
 * or a form longer than needed.  The writer returns the end; values over
 * NGX_IOT_MQTT_VARINT_MAX have the size 0.
 */

ngx_int_t ngx_iot_mqtt_varint_read(u_char **pos, u_char *end, uint32_t *value);
size_t ngx_iot_mqtt_varint_size(size_t value);
u_char *ngx_iot_mqtt_varint_write(u_char *dst, size_t value);


void ngx_iot_mqtt_props_init(ngx_iot_mqtt_props_t *props);

/*
 * Reads the length and the properties of a packet of this type (or of a will)
 * and moves *pos behind them.  Returns NGX_OK or the reason code: malformed
 * (0x81) for what cannot be read, is not known or not allowed here; protocol
 * error (0x82) for a repeated property, a value out of range, a property that
 * only the other side may send in this packet, data without a method; 0x94
 * for alias 0.  *detail then says which rule, as a static string.
 */

ngx_int_t ngx_iot_mqtt_props_parse(ngx_iot_mqtt_props_t *props,
    ngx_uint_t type, ngx_uint_t from_server, u_char **pos, u_char *end,
    const char **detail);

/* "*cursor" starts as NULL; NGX_OK or NGX_DONE */

ngx_int_t ngx_iot_mqtt_props_next_user(const ngx_iot_mqtt_props_t *props,
    u_char **cursor, ngx_str_t *name, ngx_str_t *value);
ngx_int_t ngx_iot_mqtt_props_next_subscription_id(
    const ngx_iot_mqtt_props_t *props, u_char **cursor, uint32_t *id);

/*
 * The block that these properties make, with its length in front.  Size 0
 * means that a string is over 65535 bytes, a number does not fit its type, or
 * the block is over the maximum.  Properties follow the order of their
 * identifiers; user properties keep their own.
 */

size_t ngx_iot_mqtt_props_size(const ngx_iot_mqtt_props_t *props);
u_char *ngx_iot_mqtt_props_write(u_char *dst,
    const ngx_iot_mqtt_props_t *props);

/* one user property; size 0 if one of the strings is over 65535 bytes */

size_t ngx_iot_mqtt_props_user_size(const ngx_str_t *name,
    const ngx_str_t *value);
u_char *ngx_iot_mqtt_props_put_user(u_char *dst, const ngx_str_t *name,
    const ngx_str_t *value);

/*
 * The part of a PUBLISH or will which goes to the subscribers unchanged (MQTT
 * 5.0, section 3.3.2.3), without a length: everything but message expiry,
 * topic alias, subscription identifiers and will delay.  With "parsed" set it
 * is taken from "raw" in the order of the publisher, so a stored block needs
 * no more than these two members; else from the other members.  The size is
 * NGX_ERROR (as a size_t) if a string is over 65535 bytes or a stored block
 * cannot be read.
 */

size_t ngx_iot_mqtt_props_forward_size(const ngx_iot_mqtt_props_t *props);
u_char *ngx_iot_mqtt_props_forward(u_char *dst,
    const ngx_iot_mqtt_props_t *props);


#endif /* _NGX_IOT_MQTT_PROPERTY_H_INCLUDED_ */
