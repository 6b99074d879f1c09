
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_IOT_MQTT_PACKET_H_INCLUDED_
#define _NGX_IOT_MQTT_PACKET_H_INCLUDED_


#include "ngx_iot_codec.h"
#include "ngx_iot_mqtt_property.h"
#include "ngx_iot_mqtt_reason.h"


#define NGX_IOT_MQTT_CONNECT       1
#define NGX_IOT_MQTT_CONNACK       2
#define NGX_IOT_MQTT_PUBLISH       3
#define NGX_IOT_MQTT_PUBACK        4
#define NGX_IOT_MQTT_PUBREC        5
#define NGX_IOT_MQTT_PUBREL        6
#define NGX_IOT_MQTT_PUBCOMP       7
#define NGX_IOT_MQTT_SUBSCRIBE     8
#define NGX_IOT_MQTT_SUBACK        9
#define NGX_IOT_MQTT_UNSUBSCRIBE   10
#define NGX_IOT_MQTT_UNSUBACK      11
#define NGX_IOT_MQTT_PINGREQ       12
#define NGX_IOT_MQTT_PINGRESP      13
#define NGX_IOT_MQTT_DISCONNECT    14
#define NGX_IOT_MQTT_AUTH          15

#define NGX_IOT_MQTT_V31           3
#define NGX_IOT_MQTT_V311          4
#define NGX_IOT_MQTT_V5            5

/* bits of ngx_iot_mqtt_limits_t.versions */

#define NGX_IOT_MQTT_ACCEPT_V31    (1 << NGX_IOT_MQTT_V31)
#define NGX_IOT_MQTT_ACCEPT_V311   (1 << NGX_IOT_MQTT_V311)
#define NGX_IOT_MQTT_ACCEPT_V5     (1 << NGX_IOT_MQTT_V5)
#define NGX_IOT_MQTT_ACCEPT_ALL                                               \
    (NGX_IOT_MQTT_ACCEPT_V31                                                  \
     |NGX_IOT_MQTT_ACCEPT_V311                                                \
     |NGX_IOT_MQTT_ACCEPT_V5)

/* subscription options, MQTT 5.0, section 3.8.3.1 */

#define NGX_IOT_MQTT_OPT_QOS                  0x03
#define NGX_IOT_MQTT_OPT_NO_LOCAL             0x04
#define NGX_IOT_MQTT_OPT_RETAIN_AS_PUBLISHED  0x08
#define NGX_IOT_MQTT_OPT_RETAIN_HANDLING      0x30

#define ngx_iot_mqtt_opt_retain_handling(options)                             \
    (((options) & NGX_IOT_MQTT_OPT_RETAIN_HANDLING) >> 4)

/* the largest fixed header: the type and four bytes of length */

#define NGX_IOT_MQTT_HEADER_MAX    5

/* what ngx_iot_mqtt_refusal() needs at most */

#define NGX_IOT_MQTT_REFUSAL_MAX   8


/*
 * What a listener accepts; shared by its connections, ngx_iot_mqtt_limits()
 * sets the widest.  A packet is measured with its fixed header.  "depth" is
 * the largest number of "/" in a topic name or filter, 0 is no limit.
 */

typedef struct {
    size_t                        max_packet;
    size_t                        max_connect;      /* the CONNECT itself */
    size_t                        max_client_id;
    size_t                        max_topic;
    ngx_uint_t                    depth;
    ngx_uint_t                    versions;
    ngx_uint_t                    max_qos;
    ngx_uint_t                    topic_alias_maximum;
    unsigned                      retain:1;         /* 0: refuse RETAIN */
} ngx_iot_mqtt_limits_t;


/*
 * One direction of one connection.  A server starts with version 0, which the
 * CONNECT sets, and sets "accepted" when it has sent a successful CONNACK.  A
 * client sets the version that it asked for, and "from_server".
 *
 * An error is a reason code (> 0, a ngx_int_t).  It stays in "reason", with a
 * static text for the log in "detail"; no packet can be read after it.  The
 * reasons 0x81 and 0x82 tell malformed packets from protocol errors exactly;
 * every other one is a limit or a refusal.
 */

typedef struct {
    const ngx_iot_mqtt_limits_t  *limits;
    const char                   *detail;
    ngx_uint_t                    version;
    ngx_uint_t                    reason;
    ngx_uint_t                    level;        /* as in CONNECT, for logs */
    unsigned                      from_server:1;
    unsigned                      accepted:1;
    unsigned                      silent:1;     /* close, send nothing */
} ngx_iot_mqtt_parser_t;


/* a packet that is wholly in the buffer; [body, end) follows the header */

typedef struct {
    ngx_uint_t                    type;
    ngx_uint_t                    flags;
    u_char                       *start;
    u_char                       *body;
    u_char                       *end;
    size_t                        need;     /* with NGX_AGAIN: its size or 0 */
} ngx_iot_mqtt_frame_t;


typedef struct {
    ngx_str_t                     filter;
    ngx_uint_t                    options;  /* QoS alone in 3.1 and 3.1.1 */
} ngx_iot_mqtt_subscription_t;


typedef struct {
    ngx_str_t                     client_id;
    ngx_str_t                     will_topic;
    ngx_str_t                     will_payload;
    ngx_str_t                     user;
    ngx_str_t                     password;
    ngx_uint_t                    keep_alive;   /* seconds, 0 is off */
    ngx_uint_t                    will_qos;
    unsigned                      clean:1;
    unsigned                      bridge:1;     /* mosquitto's bit 0x80 */
    unsigned                      will:1;
    unsigned                      will_retain:1;
    unsigned                      has_user:1;
    unsigned                      has_password:1;
    ngx_iot_mqtt_props_t          will_props;
} ngx_iot_mqtt_connect_t;


/*
 * Any packet, read or to be written; all strings point into the buffer.
 *
 * "payload" is the message of PUBLISH, the reason bytes of SUBACK and
 * UNSUBACK, and the checked list of SUBSCRIBE and UNSUBSCRIBE, which
 * ngx_iot_mqtt_next_subscription() takes apart; "count" is the number of
 * entries.  To write a list set "list" and "count", or "payload" alone.
 *
 * "reason" is a reason code of 5.0 in all versions.  "connect" is only set for
 * CONNECT, the rest is zero where the packet does not have it.
 */

typedef struct {
    ngx_uint_t                    type;
    ngx_uint_t                    version;
    ngx_uint_t                    packet_id;
    ngx_uint_t                    reason;
    ngx_uint_t                    qos;
    ngx_uint_t                    count;
    ngx_str_t                     topic;
    ngx_str_t                     payload;
    ngx_iot_mqtt_subscription_t  *list;
    unsigned                      dup:1;
    unsigned                      retain:1;
    unsigned                      session_present:1;
    ngx_iot_mqtt_props_t          props;
    ngx_iot_mqtt_connect_t        connect;
} ngx_iot_mqtt_packet_t;


void ngx_iot_mqtt_limits(ngx_iot_mqtt_limits_t *limits);
void ngx_iot_mqtt_parser(ngx_iot_mqtt_parser_t *mp,
    const ngx_iot_mqtt_limits_t *limits);

/*
 * Finds the packet at pos.  NGX_OK; NGX_AGAIN when there is less of it than
 * frame->need bytes (0 when even that is not known); or a reason, as early as
 * the bytes at hand allow: wrong type, wrong flags, too large.  Looks at no
 * more than five bytes and keeps nothing, so call it again with more.
 */

ngx_int_t ngx_iot_mqtt_frame(ngx_iot_mqtt_parser_t *mp, u_char *pos,
    u_char *end, ngx_iot_mqtt_frame_t *frame);

/* reads the packet that was found: NGX_OK or a reason */

ngx_int_t ngx_iot_mqtt_parse(ngx_iot_mqtt_parser_t *mp,
    const ngx_iot_mqtt_frame_t *frame, ngx_iot_mqtt_packet_t *packet);

/* "*cursor" starts as NULL; NGX_OK or NGX_DONE */

ngx_int_t ngx_iot_mqtt_next_subscription(const ngx_iot_mqtt_packet_t *packet,
    u_char **cursor, ngx_iot_mqtt_subscription_t *subscription);

/*
 * The last packet of a connection that ends with this reason, according to
 * the version and to whether CONNACK has been sent: a CONNACK, a DISCONNECT,
 * or nothing.  Returns the number of bytes, 0 means just close.
 */

size_t ngx_iot_mqtt_refusal(const ngx_iot_mqtt_parser_t *mp,
    ngx_uint_t reason, u_char buf[NGX_IOT_MQTT_REFUSAL_MAX]);

/*
 * Bytes of the packet in packet->version, 0 if that version has no such
 * packet, a string or the whole is too long, or a refusal cannot be told;
 * then the packet itself, in a buffer of that size, returning its end.
 */

size_t ngx_iot_mqtt_build_size(const ngx_iot_mqtt_packet_t *packet);
u_char *ngx_iot_mqtt_build(u_char *dst, const ngx_iot_mqtt_packet_t *packet);

/*
 * PUBACK, PUBREC, PUBREL and PUBCOMP without properties, and UNSUBACK before
 * 5.0: at most five bytes, in the shortest form.
 */

u_char *ngx_iot_mqtt_build_ack(u_char *dst, ngx_uint_t version,
    ngx_uint_t type, ngx_uint_t packet_id, ngx_uint_t reason);

/*
 * Drops user properties, then the reason string, until a packet of a server
 * is at most max_packet bytes (MQTT 5.0, section 3.4.2.2); both at once if the
 * client wants no problem information (section 3.1.2.11.7), but not those of
 * CONNACK and DISCONNECT.  A PUBLISH keeps all that it has.  Returns the size,
 * or 0 if it cannot be sent.
 */

size_t ngx_iot_mqtt_fit(ngx_iot_mqtt_packet_t *packet, size_t max_packet,
    ngx_uint_t problem_info);


#endif /* _NGX_IOT_MQTT_PACKET_H_INCLUDED_ */
