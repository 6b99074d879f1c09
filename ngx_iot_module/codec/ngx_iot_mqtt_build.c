
/*
 * Copyright (C) the ngx_iot authors
 */


#include "ngx_iot_codec.h"
#include "ngx_iot_mqtt_packet.h"
#include "ngx_iot_mqtt_writer.h"


typedef void (*ngx_iot_mqtt_put_pt)(ngx_iot_mqtt_writer_t *w,
    const ngx_iot_mqtt_packet_t *packet);


static ngx_int_t ngx_iot_mqtt_build_measure(
    const ngx_iot_mqtt_packet_t *packet, size_t *len);
static ngx_uint_t ngx_iot_mqtt_build_flags(
    const ngx_iot_mqtt_packet_t *packet);
static void ngx_iot_mqtt_put_props(ngx_iot_mqtt_writer_t *w,
    const ngx_iot_mqtt_props_t *props);
static void ngx_iot_mqtt_put_packet_id(ngx_iot_mqtt_writer_t *w,
    ngx_uint_t id);
static void ngx_iot_mqtt_put_connect(ngx_iot_mqtt_writer_t *w,
    const ngx_iot_mqtt_packet_t *packet);
static ngx_uint_t ngx_iot_mqtt_connect_byte(ngx_iot_mqtt_writer_t *w,
    const ngx_iot_mqtt_packet_t *packet);
static void ngx_iot_mqtt_put_connack(ngx_iot_mqtt_writer_t *w,
    const ngx_iot_mqtt_packet_t *packet);
static void ngx_iot_mqtt_put_publish(ngx_iot_mqtt_writer_t *w,
    const ngx_iot_mqtt_packet_t *packet);
static void ngx_iot_mqtt_put_ack(ngx_iot_mqtt_writer_t *w,
    const ngx_iot_mqtt_packet_t *packet);
static void ngx_iot_mqtt_put_subscribe(ngx_iot_mqtt_writer_t *w,
    const ngx_iot_mqtt_packet_t *packet);
static void ngx_iot_mqtt_put_list(ngx_iot_mqtt_writer_t *w,
    const ngx_iot_mqtt_packet_t *packet);
static void ngx_iot_mqtt_put_suback(ngx_iot_mqtt_writer_t *w,
    const ngx_iot_mqtt_packet_t *packet);
static void ngx_iot_mqtt_put_nothing(ngx_iot_mqtt_writer_t *w,
    const ngx_iot_mqtt_packet_t *packet);
static void ngx_iot_mqtt_put_disconnect(ngx_iot_mqtt_writer_t *w,
    const ngx_iot_mqtt_packet_t *packet);
static void ngx_iot_mqtt_put_auth(ngx_iot_mqtt_writer_t *w,
    const ngx_iot_mqtt_packet_t *packet);


static const ngx_iot_mqtt_put_pt  ngx_iot_mqtt_bodies[] = {
    NULL,
    ngx_iot_mqtt_put_connect,
    ngx_iot_mqtt_put_connack,
    ngx_iot_mqtt_put_publish,
    ngx_iot_mqtt_put_ack,
    ngx_iot_mqtt_put_ack,
    ngx_iot_mqtt_put_ack,
    ngx_iot_mqtt_put_ack,
    ngx_iot_mqtt_put_subscribe,
    ngx_iot_mqtt_put_suback,
    ngx_iot_mqtt_put_subscribe,             /* UNSUBSCRIBE */
    ngx_iot_mqtt_put_suback,                /* UNSUBACK */
    ngx_iot_mqtt_put_nothing,
    ngx_iot_mqtt_put_nothing,
    ngx_iot_mqtt_put_disconnect,
    ngx_iot_mqtt_put_auth
};


size_t
ngx_iot_mqtt_build_size(const ngx_iot_mqtt_packet_t *packet)
{
    size_t  len;

    if (ngx_iot_mqtt_build_measure(packet, &len) != NGX_OK) {
        return 0;
    }

    return 1 + ngx_iot_mqtt_varint_size(len) + len;
}


u_char *
ngx_iot_mqtt_build(u_char *dst, const ngx_iot_mqtt_packet_t *packet)
{
    size_t                 len;
    ngx_iot_mqtt_writer_t  w;

    /* a packet that has no size gets no byte */

    if (ngx_iot_mqtt_build_measure(packet, &len) != NGX_OK) {
        return dst;
    }

    *dst++ = (u_char) (packet->type << 4 | ngx_iot_mqtt_build_flags(packet));

    ngx_memzero(&w, sizeof(ngx_iot_mqtt_writer_t));

    w.pos = ngx_iot_mqtt_varint_write(dst, len);

    ngx_iot_mqtt_bodies[packet->type](&w, packet);

    return w.pos;
}


static ngx_int_t
ngx_iot_mqtt_build_measure(const ngx_iot_mqtt_packet_t *packet, size_t *len)
{
    ngx_iot_mqtt_writer_t  w;

    if (packet->type == 0 || packet->type > NGX_IOT_MQTT_AUTH
        || packet->version < NGX_IOT_MQTT_V31
        || packet->version > NGX_IOT_MQTT_V5)
    {
        return NGX_ERROR;
    }

    ngx_memzero(&w, sizeof(ngx_iot_mqtt_writer_t));

    ngx_iot_mqtt_bodies[packet->type](&w, packet);

    if (w.bad || w.len > NGX_IOT_MQTT_VARINT_MAX) {
        return NGX_ERROR;
    }

    *len = w.len;

    return NGX_OK;
}


static ngx_uint_t
ngx_iot_mqtt_build_flags(const ngx_iot_mqtt_packet_t *packet)
{
    switch (packet->type) {

    case NGX_IOT_MQTT_PUBLISH:
        return (ngx_uint_t) packet->dup << 3 | packet->qos << 1
               | packet->retain;

    case NGX_IOT_MQTT_PUBREL:
    case NGX_IOT_MQTT_SUBSCRIBE:
    case NGX_IOT_MQTT_UNSUBSCRIBE:
        return 2;

    default:
        return 0;
    }
}


static void
ngx_iot_mqtt_put_props(ngx_iot_mqtt_writer_t *w,
    const ngx_iot_mqtt_props_t *props)
{
    size_t  size;

    size = ngx_iot_mqtt_props_size(props);

    if (size == 0) {
        w->bad = 1;
        return;
    }

    if (w->pos) {
        w->pos = ngx_iot_mqtt_props_write(w->pos, props);
    }

    w->len += size;
}


static void
ngx_iot_mqtt_put_packet_id(ngx_iot_mqtt_writer_t *w, ngx_uint_t id)
{
    if (id == 0) {
        w->bad = 1;
    }

    ngx_iot_mqtt_put_u16(w, id);
}


static void
ngx_iot_mqtt_put_connect(ngx_iot_mqtt_writer_t *w,
    const ngx_iot_mqtt_packet_t *packet)
{
    static const ngx_str_t  name = ngx_string("MQTT");
    static const ngx_str_t  old_name = ngx_string("MQIsdp");

    ngx_uint_t                     level;
    const ngx_iot_mqtt_connect_t  *connect;

    connect = &packet->connect;
    level = packet->version;

    if (connect->bridge && level < NGX_IOT_MQTT_V5) {
        level |= 0x80;
    }

    ngx_iot_mqtt_put_string(w, packet->version == NGX_IOT_MQTT_V31
                               ? &old_name : &name);
    ngx_iot_mqtt_put_byte(w, level);
    ngx_iot_mqtt_put_byte(w, ngx_iot_mqtt_connect_byte(w, packet));
    ngx_iot_mqtt_put_u16(w, connect->keep_alive);

    if (packet->version == NGX_IOT_MQTT_V5) {
        ngx_iot_mqtt_put_props(w, &packet->props);
    }

    ngx_iot_mqtt_put_string(w, &connect->client_id);

    if (connect->will) {

        if (packet->version == NGX_IOT_MQTT_V5) {
            ngx_iot_mqtt_put_props(w, &connect->will_props);
        }

        ngx_iot_mqtt_put_string(w, &connect->will_topic);
        ngx_iot_mqtt_put_string(w, &connect->will_payload);
    }

    if (connect->has_user) {
        ngx_iot_mqtt_put_string(w, &connect->user);
    }

    if (connect->has_password) {
        ngx_iot_mqtt_put_string(w, &connect->password);
    }
}


static ngx_uint_t
ngx_iot_mqtt_connect_byte(ngx_iot_mqtt_writer_t *w,
    const ngx_iot_mqtt_packet_t *packet)
{
    ngx_uint_t                     flags;
    const ngx_iot_mqtt_connect_t  *connect;

    connect = &packet->connect;

    if (connect->will_qos > 2
        || (connect->has_password && !connect->has_user
            && packet->version < NGX_IOT_MQTT_V5))
    {
        w->bad = 1;
        return 0;
    }

    flags = (ngx_uint_t) connect->clean << 1
            | (ngx_uint_t) connect->has_password << 6
            | (ngx_uint_t) connect->has_user << 7;

    if (connect->will) {
        flags |= 0x04 | connect->will_qos << 3
                 | (ngx_uint_t) connect->will_retain << 5;
    }

    return flags;
}


static void
ngx_iot_mqtt_put_connack(ngx_iot_mqtt_writer_t *w,
    const ngx_iot_mqtt_packet_t *packet)
{
    ngx_int_t   code;
    ngx_uint_t  flags;

    flags = (packet->session_present && packet->reason == NGX_IOT_MQTT_SUCCESS
             && packet->version > NGX_IOT_MQTT_V31) ? 1 : 0;

    ngx_iot_mqtt_put_byte(w, flags);

    if (packet->version == NGX_IOT_MQTT_V5) {

        if (!ngx_iot_mqtt_reason_allowed(packet->reason,
                                         NGX_IOT_MQTT_CONNACK, 1))
        {
            w->bad = 1;
        }

        ngx_iot_mqtt_put_byte(w, packet->reason);
        ngx_iot_mqtt_put_props(w, &packet->props);

        return;
    }

    code = ngx_iot_mqtt_reason_to_return_code(packet->reason);

    if (code == NGX_DECLINED) {
        w->bad = 1;
        return;
    }

    ngx_iot_mqtt_put_byte(w, code);
}


static void
ngx_iot_mqtt_put_publish(ngx_iot_mqtt_writer_t *w,
    const ngx_iot_mqtt_packet_t *packet)
{
    if (packet->qos > 2 || (packet->qos == 0 && packet->dup)) {
        w->bad = 1;
        return;
    }

    ngx_iot_mqtt_put_string(w, &packet->topic);

    if (packet->qos) {
        ngx_iot_mqtt_put_packet_id(w, packet->packet_id);
    }

    if (packet->version == NGX_IOT_MQTT_V5) {
        ngx_iot_mqtt_put_props(w, &packet->props);
    }

    ngx_iot_mqtt_put_bytes(w, packet->payload.data, packet->payload.len);
}


static void
ngx_iot_mqtt_put_ack(ngx_iot_mqtt_writer_t *w,
    const ngx_iot_mqtt_packet_t *packet)
{
    ngx_iot_mqtt_put_packet_id(w, packet->packet_id);

    if (packet->version < NGX_IOT_MQTT_V5
        || (packet->reason == 0 && packet->props.present == 0))
    {
        return;
    }

    if (packet->reason > 0xff) {
        w->bad = 1;
        return;
    }

    ngx_iot_mqtt_put_byte(w, packet->reason);

    if (packet->props.present) {
        ngx_iot_mqtt_put_props(w, &packet->props);
    }
}


static void
ngx_iot_mqtt_put_subscribe(ngx_iot_mqtt_writer_t *w,
    const ngx_iot_mqtt_packet_t *packet)
{
    ngx_iot_mqtt_put_packet_id(w, packet->packet_id);

    if (packet->version == NGX_IOT_MQTT_V5) {
        ngx_iot_mqtt_put_props(w, &packet->props);
    }

    if (packet->list) {
        ngx_iot_mqtt_put_list(w, packet);
        return;
    }

    if (packet->payload.len == 0) {
        w->bad = 1;
        return;
    }

    ngx_iot_mqtt_put_bytes(w, packet->payload.data, packet->payload.len);
}


static void
ngx_iot_mqtt_put_list(ngx_iot_mqtt_writer_t *w,
    const ngx_iot_mqtt_packet_t *packet)
{
    ngx_uint_t  i, mask;

    if (packet->count == 0) {
        w->bad = 1;
        return;
    }

    mask = (packet->version < NGX_IOT_MQTT_V5) ? NGX_IOT_MQTT_OPT_QOS : 0xff;

    for (i = 0; i < packet->count; i++) {
        ngx_iot_mqtt_put_string(w, &packet->list[i].filter);

        if (packet->type == NGX_IOT_MQTT_SUBSCRIBE) {
            ngx_iot_mqtt_put_byte(w, packet->list[i].options & mask);
        }
    }
}


static void
ngx_iot_mqtt_put_suback(ngx_iot_mqtt_writer_t *w,
    const ngx_iot_mqtt_packet_t *packet)
{
    size_t  i;

    ngx_iot_mqtt_put_packet_id(w, packet->packet_id);

    if (packet->version == NGX_IOT_MQTT_V5) {
        ngx_iot_mqtt_put_props(w, &packet->props);

    } else if (packet->type == NGX_IOT_MQTT_UNSUBACK) {
        return;
    }

    if (packet->payload.len == 0) {
        w->bad = 1;
        return;
    }

    for (i = 0; i < packet->payload.len; i++) {
        ngx_iot_mqtt_put_byte(w,
                       ngx_iot_mqtt_reason_to_suback(packet->payload.data[i],
                                                     packet->version));
    }
}


static void
ngx_iot_mqtt_put_nothing(ngx_iot_mqtt_writer_t *w,
    const ngx_iot_mqtt_packet_t *packet)
{
    /* void */
}


static void
ngx_iot_mqtt_put_disconnect(ngx_iot_mqtt_writer_t *w,
    const ngx_iot_mqtt_packet_t *packet)
{
    if (packet->version < NGX_IOT_MQTT_V5
        || (packet->reason == 0 && packet->props.present == 0))
    {
        return;
    }

    if (packet->reason > 0xff) {
        w->bad = 1;
        return;
    }

    ngx_iot_mqtt_put_byte(w, packet->reason);

    if (packet->props.present) {
        ngx_iot_mqtt_put_props(w, &packet->props);
    }
}


static void
ngx_iot_mqtt_put_auth(ngx_iot_mqtt_writer_t *w,
    const ngx_iot_mqtt_packet_t *packet)
{
    if (packet->version < NGX_IOT_MQTT_V5) {
        w->bad = 1;
        return;
    }

    ngx_iot_mqtt_put_disconnect(w, packet);
}


u_char *
ngx_iot_mqtt_build_ack(u_char *dst, ngx_uint_t version, ngx_uint_t type,
    ngx_uint_t packet_id, ngx_uint_t reason)
{
    ngx_uint_t  full;

    full = (version == NGX_IOT_MQTT_V5 && reason != NGX_IOT_MQTT_SUCCESS);

    *dst++ = (u_char) (type << 4 | (type == NGX_IOT_MQTT_PUBREL ? 2 : 0));
    *dst++ = full ? 3 : 2;
    *dst++ = (u_char) (packet_id >> 8);
    *dst++ = (u_char) packet_id;

    if (full) {
        *dst++ = (u_char) reason;
    }

    return dst;
}


size_t
ngx_iot_mqtt_fit(ngx_iot_mqtt_packet_t *packet, size_t max_packet,
    ngx_uint_t problem_info)
{
    size_t  size;

    switch (packet->type) {

    case NGX_IOT_MQTT_CONNACK:
    case NGX_IOT_MQTT_DISCONNECT:
        break;

    case NGX_IOT_MQTT_PUBACK:
    case NGX_IOT_MQTT_PUBREC:
    case NGX_IOT_MQTT_PUBREL:
    case NGX_IOT_MQTT_PUBCOMP:
    case NGX_IOT_MQTT_SUBACK:
    case NGX_IOT_MQTT_UNSUBACK:
    case NGX_IOT_MQTT_AUTH:

        if (!problem_info) {
            ngx_iot_mqtt_props_clear(&packet->props, NGX_IOT_MQTT_PROP_USER);
            ngx_iot_mqtt_props_clear(&packet->props,
                                     NGX_IOT_MQTT_PROP_REASON_STRING);
        }

        break;

    default:
        size = ngx_iot_mqtt_build_size(packet);
        return (size > max_packet) ? 0 : size;
    }

    size = ngx_iot_mqtt_build_size(packet);

    if (size > max_packet) {
        ngx_iot_mqtt_props_clear(&packet->props, NGX_IOT_MQTT_PROP_USER);
        size = ngx_iot_mqtt_build_size(packet);
    }

    if (size > max_packet) {
        ngx_iot_mqtt_props_clear(&packet->props,
                                 NGX_IOT_MQTT_PROP_REASON_STRING);
        size = ngx_iot_mqtt_build_size(packet);
    }

    return (size > max_packet) ? 0 : size;
}
