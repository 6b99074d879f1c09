
/*
 * Copyright (C) the ngx_iot authors
 */


#include "ngx_iot_codec.h"
#include "ngx_iot_mqtt_packet.h"
#include "ngx_iot_mqtt_parse.h"


#define NGX_IOT_MQTT_FROM_CLIENT  0x01
#define NGX_IOT_MQTT_FROM_SERVER  0x02
#define NGX_IOT_MQTT_NO_BODY      0x04      /* in every version */
#define NGX_IOT_MQTT_V5_BODY      0x08      /* none before 5.0 */
#define NGX_IOT_MQTT_V5_SERVER    0x10      /* a server's only in 5.0 */
#define NGX_IOT_MQTT_V5_ONLY      0x20
#define NGX_IOT_MQTT_V31_DUP      0x40      /* 3.1 has DUP and QoS here */


typedef struct {
    u_char      flags;              /* of the fixed header */
    u_char      rules;
} ngx_iot_mqtt_type_t;


static ngx_int_t ngx_iot_mqtt_frame_type(ngx_iot_mqtt_parser_t *mp,
    ngx_uint_t type);
static ngx_int_t ngx_iot_mqtt_frame_flags(ngx_iot_mqtt_parser_t *mp,
    ngx_uint_t type, ngx_uint_t flags);
static ngx_int_t ngx_iot_mqtt_frame_size(ngx_iot_mqtt_parser_t *mp,
    ngx_uint_t type, size_t header, size_t body);
static size_t ngx_iot_mqtt_refuse_connect(const ngx_iot_mqtt_parser_t *mp,
    ngx_uint_t reason, u_char *buf);


/* MQTT 5.0, tables 2-1 and 2-2 */

static const ngx_iot_mqtt_type_t  ngx_iot_mqtt_types[] = {

    { 0, 0 },

    /* CONNECT */
    { 0, NGX_IOT_MQTT_FROM_CLIENT },

    /* CONNACK */
    { 0, NGX_IOT_MQTT_FROM_SERVER },

    /* PUBLISH */
    { 0, NGX_IOT_MQTT_FROM_CLIENT|NGX_IOT_MQTT_FROM_SERVER },

    /* PUBACK */
    { 0, NGX_IOT_MQTT_FROM_CLIENT|NGX_IOT_MQTT_FROM_SERVER },

    /* PUBREC */
    { 0, NGX_IOT_MQTT_FROM_CLIENT|NGX_IOT_MQTT_FROM_SERVER },

    /* PUBREL */
    { 2, NGX_IOT_MQTT_FROM_CLIENT|NGX_IOT_MQTT_FROM_SERVER
         |NGX_IOT_MQTT_V31_DUP },

    /* PUBCOMP */
    { 0, NGX_IOT_MQTT_FROM_CLIENT|NGX_IOT_MQTT_FROM_SERVER },

    /* SUBSCRIBE */
    { 2, NGX_IOT_MQTT_FROM_CLIENT|NGX_IOT_MQTT_V31_DUP },

    /* SUBACK */
    { 0, NGX_IOT_MQTT_FROM_SERVER },

    /* UNSUBSCRIBE */
    { 2, NGX_IOT_MQTT_FROM_CLIENT|NGX_IOT_MQTT_V31_DUP },

    /* UNSUBACK */
    { 0, NGX_IOT_MQTT_FROM_SERVER },

    /* PINGREQ */
    { 0, NGX_IOT_MQTT_FROM_CLIENT|NGX_IOT_MQTT_NO_BODY },

    /* PINGRESP */
    { 0, NGX_IOT_MQTT_FROM_SERVER|NGX_IOT_MQTT_NO_BODY },

    /* DISCONNECT */
    { 0, NGX_IOT_MQTT_FROM_CLIENT|NGX_IOT_MQTT_FROM_SERVER
         |NGX_IOT_MQTT_V5_BODY|NGX_IOT_MQTT_V5_SERVER },

    /* AUTH */
    { 0, NGX_IOT_MQTT_FROM_CLIENT|NGX_IOT_MQTT_FROM_SERVER
         |NGX_IOT_MQTT_V5_ONLY }
};


void
ngx_iot_mqtt_limits(ngx_iot_mqtt_limits_t *limits)
{
    ngx_memzero(limits, sizeof(ngx_iot_mqtt_limits_t));

    limits->max_packet = NGX_IOT_MQTT_VARINT_MAX + NGX_IOT_MQTT_HEADER_MAX;
    limits->max_connect = limits->max_packet;
    limits->max_client_id = 65535;
    limits->max_topic = 65535;
    limits->versions = NGX_IOT_MQTT_ACCEPT_ALL;
    limits->max_qos = 2;
    limits->topic_alias_maximum = 65535;
    limits->retain = 1;
}


void
ngx_iot_mqtt_parser(ngx_iot_mqtt_parser_t *mp,
    const ngx_iot_mqtt_limits_t *limits)
{
    ngx_memzero(mp, sizeof(ngx_iot_mqtt_parser_t));

    mp->limits = limits;
}


ngx_int_t
ngx_iot_mqtt_frame(ngx_iot_mqtt_parser_t *mp, u_char *pos, u_char *end,
    ngx_iot_mqtt_frame_t *frame)
{
    u_char     *p;
    uint32_t    len;
    ngx_int_t   rc;

    frame->need = 0;

    if (mp->reason) {
        return (ngx_int_t) mp->reason;
    }

    if (pos == end) {
        return NGX_AGAIN;
    }

    frame->start = pos;
    frame->type = *pos >> 4;
    frame->flags = *pos & 0x0f;

    rc = ngx_iot_mqtt_frame_type(mp, frame->type);
    if (rc != NGX_OK) {
        return rc;
    }

    rc = ngx_iot_mqtt_frame_flags(mp, frame->type, frame->flags);
    if (rc != NGX_OK) {
        return rc;
    }

    p = pos + 1;

    rc = ngx_iot_mqtt_varint_read(&p, end, &len);

    if (rc == NGX_AGAIN) {
        return NGX_AGAIN;
    }

    if (rc != NGX_OK) {
        return ngx_iot_mqtt_malformed(mp, "bad remaining length");
    }

    rc = ngx_iot_mqtt_frame_size(mp, frame->type, p - pos, len);
    if (rc != NGX_OK) {
        return rc;
    }

    if ((size_t) (end - p) < len) {
        frame->need = (p - pos) + len;
        return NGX_AGAIN;
    }

    frame->body = p;
    frame->end = p + len;

    return NGX_OK;
}


static ngx_int_t
ngx_iot_mqtt_frame_type(ngx_iot_mqtt_parser_t *mp, ngx_uint_t type)
{
    ngx_uint_t  rules;

    if (mp->version == 0 && type != NGX_IOT_MQTT_CONNECT) {
        mp->silent = 1;
        return ngx_iot_mqtt_protocol_error(mp, "first packet is not CONNECT");
    }

    if (mp->version && type == NGX_IOT_MQTT_CONNECT) {
        return ngx_iot_mqtt_protocol_error(mp, "second CONNECT");
    }

    rules = ngx_iot_mqtt_types[type].rules;

    if ((rules & (mp->from_server ? NGX_IOT_MQTT_FROM_SERVER
                                  : NGX_IOT_MQTT_FROM_CLIENT))
        == 0)
    {
        return ngx_iot_mqtt_protocol_error(mp, "packet of the other side");
    }

    if (mp->version >= NGX_IOT_MQTT_V5) {
        return NGX_OK;
    }

    if ((rules & NGX_IOT_MQTT_V5_ONLY)
        || (mp->from_server && (rules & NGX_IOT_MQTT_V5_SERVER)))
    {
        return ngx_iot_mqtt_protocol_error(mp, "packet of a later version");
    }

    return NGX_OK;
}


static ngx_int_t
ngx_iot_mqtt_frame_flags(ngx_iot_mqtt_parser_t *mp, ngx_uint_t type,
    ngx_uint_t flags)
{
    if (type == NGX_IOT_MQTT_PUBLISH) {

        if ((flags & 0x06) == 0x06) {
            return ngx_iot_mqtt_malformed(mp, "PUBLISH with QoS 3");
        }

        if ((flags & 0x0e) == 0x08) {
            return ngx_iot_mqtt_malformed(mp, "PUBLISH of QoS 0 with DUP");
        }

        /* MQTT 5.0, sections 3.2.2.3.4 and 3.2.2.3.5 */

        if (!mp->from_server
            && ((flags & 0x06) >> 1) > mp->limits->max_qos)
        {
            return ngx_iot_mqtt_fail(mp, NGX_IOT_MQTT_NO_QOS,
                                     "PUBLISH over the maximum QoS");
        }

        if (!mp->from_server && (flags & 0x01) && !mp->limits->retain) {
            return ngx_iot_mqtt_fail(mp, NGX_IOT_MQTT_NO_RETAIN,
                                     "PUBLISH with RETAIN");
        }

        return NGX_OK;
    }

    if (flags == ngx_iot_mqtt_types[type].flags
        || (mp->version == NGX_IOT_MQTT_V31
            && (ngx_iot_mqtt_types[type].rules & NGX_IOT_MQTT_V31_DUP)))
    {
        return NGX_OK;
    }

    return ngx_iot_mqtt_malformed(mp, "bad flags in the fixed header");
}


static ngx_int_t
ngx_iot_mqtt_frame_size(ngx_iot_mqtt_parser_t *mp, ngx_uint_t type,
    size_t header, size_t body)
{
    size_t      max;
    ngx_uint_t  rules;

    rules = ngx_iot_mqtt_types[type].rules;

    if (body
        && ((rules & NGX_IOT_MQTT_NO_BODY)
            || (mp->version < NGX_IOT_MQTT_V5
                && (rules & NGX_IOT_MQTT_V5_BODY))))
    {
        return ngx_iot_mqtt_malformed(mp, "packet with a needless body");
    }

    max = mp->limits->max_packet;

    if (type == NGX_IOT_MQTT_CONNECT) {
        max = ngx_min(max, mp->limits->max_connect);
    }

    if (header + body > max) {
        return ngx_iot_mqtt_fail(mp, NGX_IOT_MQTT_TOO_LARGE,
                                 "packet too large");
    }

    return NGX_OK;
}


size_t
ngx_iot_mqtt_refusal(const ngx_iot_mqtt_parser_t *mp, ngx_uint_t reason,
    u_char buf[NGX_IOT_MQTT_REFUSAL_MAX])
{
    u_char  *p;

    if (mp->silent || mp->from_server || reason > 0xff) {
        return 0;
    }

    if (!mp->accepted) {
        return ngx_iot_mqtt_refuse_connect(mp, reason, buf);
    }

    if (mp->version < NGX_IOT_MQTT_V5) {
        return 0;
    }

    p = buf;

    *p++ = NGX_IOT_MQTT_DISCONNECT << 4;

    if (reason == NGX_IOT_MQTT_SUCCESS) {
        *p++ = 0;

    } else {
        *p++ = 1;
        *p++ = (u_char) reason;
    }

    return p - buf;
}


static size_t
ngx_iot_mqtt_refuse_connect(const ngx_iot_mqtt_parser_t *mp,
    ngx_uint_t reason, u_char *buf)
{
    u_char      *p;
    ngx_int_t    code;
    ngx_uint_t   version;

    if (reason < NGX_IOT_MQTT_UNSPECIFIED) {
        return 0;
    }

    version = mp->version;

    if (version == 0) {

        if (reason != NGX_IOT_MQTT_BAD_VERSION) {
            return 0;
        }

        /* what we do not know may be a successor of 5.0 */

        version = (mp->level == NGX_IOT_MQTT_V31
                   || mp->level == NGX_IOT_MQTT_V311)
                  ? mp->level : NGX_IOT_MQTT_V5;
    }

    p = buf;

    *p++ = NGX_IOT_MQTT_CONNACK << 4;

    if (version < NGX_IOT_MQTT_V5) {
        code = ngx_iot_mqtt_reason_to_return_code(reason);

        if (code == NGX_DECLINED) {
            return 0;
        }

        *p++ = 2;
        *p++ = 0;
        *p++ = (u_char) code;

    } else {

        if (!ngx_iot_mqtt_reason_allowed(reason, NGX_IOT_MQTT_CONNACK, 1)) {
            reason = NGX_IOT_MQTT_UNSPECIFIED;
        }

        *p++ = 3;
        *p++ = 0;
        *p++ = (u_char) reason;
        *p++ = 0;
    }

    return p - buf;
}
