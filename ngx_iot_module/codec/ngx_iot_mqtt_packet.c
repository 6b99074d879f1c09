
/*
 * Copyright (C) the ngx_iot authors
 */


#include "ngx_iot_codec.h"
#include "ngx_iot_mqtt_packet.h"
#include "ngx_iot_mqtt_parse.h"
#include "ngx_iot_topic_name.h"
#include "ngx_iot_utf8.h"


typedef ngx_int_t (*ngx_iot_mqtt_parse_pt)(ngx_iot_mqtt_reader_t *rd,
    ngx_iot_mqtt_packet_t *packet);


static ngx_int_t ngx_iot_mqtt_get_packet_id(ngx_iot_mqtt_reader_t *rd,
    ngx_uint_t *id);
static ngx_int_t ngx_iot_mqtt_check_reason(ngx_iot_mqtt_reader_t *rd,
    ngx_uint_t type, ngx_uint_t reason);
static ngx_int_t ngx_iot_mqtt_parse_connack(ngx_iot_mqtt_reader_t *rd,
    ngx_iot_mqtt_packet_t *packet);
static ngx_int_t ngx_iot_mqtt_parse_publish(ngx_iot_mqtt_reader_t *rd,
    ngx_iot_mqtt_packet_t *packet);
static ngx_int_t ngx_iot_mqtt_publish_alias(ngx_iot_mqtt_reader_t *rd,
    ngx_iot_mqtt_packet_t *packet);
static ngx_int_t ngx_iot_mqtt_parse_ack(ngx_iot_mqtt_reader_t *rd,
    ngx_iot_mqtt_packet_t *packet);
static ngx_int_t ngx_iot_mqtt_parse_subscribe(ngx_iot_mqtt_reader_t *rd,
    ngx_iot_mqtt_packet_t *packet);
static ngx_int_t ngx_iot_mqtt_parse_filter(ngx_iot_mqtt_reader_t *rd,
    ngx_uint_t *shared);
static ngx_int_t ngx_iot_mqtt_parse_options(ngx_iot_mqtt_reader_t *rd,
    ngx_uint_t shared);
static ngx_int_t ngx_iot_mqtt_parse_suback(ngx_iot_mqtt_reader_t *rd,
    ngx_iot_mqtt_packet_t *packet);
static ngx_int_t ngx_iot_mqtt_parse_ping(ngx_iot_mqtt_reader_t *rd,
    ngx_iot_mqtt_packet_t *packet);
static ngx_int_t ngx_iot_mqtt_parse_disconnect(ngx_iot_mqtt_reader_t *rd,
    ngx_iot_mqtt_packet_t *packet);
static ngx_int_t ngx_iot_mqtt_parse_auth(ngx_iot_mqtt_reader_t *rd,
    ngx_iot_mqtt_packet_t *packet);


static const ngx_iot_mqtt_parse_pt  ngx_iot_mqtt_parsers[] = {
    NULL,
    ngx_iot_mqtt_parse_connect,
    ngx_iot_mqtt_parse_connack,
    ngx_iot_mqtt_parse_publish,
    ngx_iot_mqtt_parse_ack,
    ngx_iot_mqtt_parse_ack,
    ngx_iot_mqtt_parse_ack,
    ngx_iot_mqtt_parse_ack,
    ngx_iot_mqtt_parse_subscribe,
    ngx_iot_mqtt_parse_suback,
    ngx_iot_mqtt_parse_subscribe,           /* UNSUBSCRIBE */
    ngx_iot_mqtt_parse_suback,              /* UNSUBACK */
    ngx_iot_mqtt_parse_ping,
    ngx_iot_mqtt_parse_ping,
    ngx_iot_mqtt_parse_disconnect,
    ngx_iot_mqtt_parse_auth
};


ngx_int_t
ngx_iot_mqtt_parse(ngx_iot_mqtt_parser_t *mp,
    const ngx_iot_mqtt_frame_t *frame, ngx_iot_mqtt_packet_t *packet)
{
    ngx_int_t              rc;
    ngx_iot_mqtt_reader_t  rd;

    if (mp->reason) {
        return (ngx_int_t) mp->reason;
    }

    /* the frame may have come from elsewhere than ngx_iot_mqtt_frame() */

    if (frame->type == 0 || frame->type > NGX_IOT_MQTT_AUTH) {
        return ngx_iot_mqtt_protocol_error(mp, "unknown packet type");
    }

    ngx_memzero(packet, offsetof(ngx_iot_mqtt_packet_t, props));
    ngx_iot_mqtt_props_init(&packet->props);

    packet->type = frame->type;
    packet->version = mp->version;

    if (frame->type == NGX_IOT_MQTT_PUBLISH) {
        packet->dup = (frame->flags & 0x08) ? 1 : 0;
        packet->qos = (frame->flags & 0x06) >> 1;
        packet->retain = frame->flags & 0x01;
    }

    rd.mp = mp;
    rd.pos = frame->body;
    rd.end = frame->end;

    rc = ngx_iot_mqtt_parsers[frame->type](&rd, packet);
    if (rc != NGX_OK) {
        return rc;
    }

    if (rd.pos != rd.end) {
        return ngx_iot_mqtt_malformed(mp, "bytes left over");
    }

    return NGX_OK;
}


ngx_int_t
ngx_iot_mqtt_get_byte(ngx_iot_mqtt_reader_t *rd, ngx_uint_t *value)
{
    if (rd->pos == rd->end) {
        return ngx_iot_mqtt_malformed(rd->mp, "packet cut short");
    }

    *value = *rd->pos++;

    return NGX_OK;
}


ngx_int_t
ngx_iot_mqtt_get_u16(ngx_iot_mqtt_reader_t *rd, ngx_uint_t *value)
{
    if (rd->end - rd->pos < 2) {
        return ngx_iot_mqtt_malformed(rd->mp, "packet cut short");
    }

    *value = ((ngx_uint_t) rd->pos[0] << 8) | rd->pos[1];
    rd->pos += 2;

    return NGX_OK;
}


ngx_int_t
ngx_iot_mqtt_get_binary(ngx_iot_mqtt_reader_t *rd, ngx_str_t *s)
{
    ngx_int_t   rc;
    ngx_uint_t  len;

    rc = ngx_iot_mqtt_get_u16(rd, &len);
    if (rc != NGX_OK) {
        return rc;
    }

    if ((size_t) (rd->end - rd->pos) < len) {
        return ngx_iot_mqtt_malformed(rd->mp, "string cut short");
    }

    s->data = rd->pos;
    s->len = len;

    rd->pos += len;

    return NGX_OK;
}


ngx_int_t
ngx_iot_mqtt_get_string(ngx_iot_mqtt_reader_t *rd, ngx_str_t *s)
{
    ngx_int_t  rc;

    rc = ngx_iot_mqtt_get_binary(rd, s);
    if (rc != NGX_OK) {
        return rc;
    }

    if (ngx_iot_utf8_check_mqtt(s->data, s->len) != NGX_OK) {
        return ngx_iot_mqtt_malformed(rd->mp, "bad UTF-8");
    }

    return NGX_OK;
}


ngx_int_t
ngx_iot_mqtt_get_topic(ngx_iot_mqtt_reader_t *rd, ngx_str_t *s)
{
    ngx_int_t  rc;

    rc = ngx_iot_mqtt_get_binary(rd, s);
    if (rc != NGX_OK) {
        return rc;
    }

    if (s->len > rd->mp->limits->max_topic
        || ngx_iot_topic_name_check(s, rd->mp->limits->depth) != NGX_OK)
    {
        return ngx_iot_mqtt_malformed(rd->mp, "bad topic name");
    }

    return NGX_OK;
}


ngx_int_t
ngx_iot_mqtt_get_props(ngx_iot_mqtt_reader_t *rd, ngx_uint_t type,
    ngx_iot_mqtt_props_t *props)
{
    ngx_int_t    rc;
    const char  *detail;

    detail = NULL;

    rc = ngx_iot_mqtt_props_parse(props, type, rd->mp->from_server, &rd->pos,
                                  rd->end, &detail);
    if (rc != NGX_OK) {
        return ngx_iot_mqtt_fail(rd->mp, rc, detail);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_iot_mqtt_get_packet_id(ngx_iot_mqtt_reader_t *rd, ngx_uint_t *id)
{
    ngx_int_t  rc;

    rc = ngx_iot_mqtt_get_u16(rd, id);
    if (rc != NGX_OK) {
        return rc;
    }

    if (*id == 0) {
        return ngx_iot_mqtt_protocol_error(rd->mp, "packet identifier 0");
    }

    return NGX_OK;
}


static ngx_int_t
ngx_iot_mqtt_check_reason(ngx_iot_mqtt_reader_t *rd, ngx_uint_t type,
    ngx_uint_t reason)
{
    if (!ngx_iot_mqtt_reason_allowed(reason, type, rd->mp->from_server)) {
        return ngx_iot_mqtt_protocol_error(rd->mp,
                                           "reason not of this packet");
    }

    return NGX_OK;
}


static ngx_int_t
ngx_iot_mqtt_parse_connack(ngx_iot_mqtt_reader_t *rd,
    ngx_iot_mqtt_packet_t *packet)
{
    ngx_int_t   rc;
    ngx_uint_t  flags, code;

    rc = ngx_iot_mqtt_get_byte(rd, &flags);
    if (rc != NGX_OK) {
        return rc;
    }

    rc = ngx_iot_mqtt_get_byte(rd, &code);
    if (rc != NGX_OK) {
        return rc;
    }

    /* the byte is reserved as a whole in 3.1 */

    if (packet->version > NGX_IOT_MQTT_V31) {

        if (flags & 0xfe) {
            return ngx_iot_mqtt_malformed(rd->mp, "reserved CONNACK flags");
        }

        packet->session_present = flags & 0x01;
    }

    if (packet->session_present && code) {
        return ngx_iot_mqtt_protocol_error(rd->mp, "refused with a session");
    }

    if (packet->version < NGX_IOT_MQTT_V5) {
        rc = ngx_iot_mqtt_reason_from_return_code(code);

        if (rc == NGX_ERROR) {
            return ngx_iot_mqtt_malformed(rd->mp, "unknown return code");
        }

        packet->reason = rc;

        return NGX_OK;
    }

    packet->reason = code;

    rc = ngx_iot_mqtt_check_reason(rd, NGX_IOT_MQTT_CONNACK, code);
    if (rc != NGX_OK) {
        return rc;
    }

    return ngx_iot_mqtt_get_props(rd, NGX_IOT_MQTT_CONNACK, &packet->props);
}


static ngx_int_t
ngx_iot_mqtt_parse_publish(ngx_iot_mqtt_reader_t *rd,
    ngx_iot_mqtt_packet_t *packet)
{
    u_char     *start;
    ngx_int_t   rc;

    start = rd->pos;

    rc = ngx_iot_mqtt_get_binary(rd, &packet->topic);
    if (rc != NGX_OK) {
        return rc;
    }

    /* an empty name is right if an alias follows */

    if (packet->topic.len || packet->version < NGX_IOT_MQTT_V5) {
        rd->pos = start;

        rc = ngx_iot_mqtt_get_topic(rd, &packet->topic);
        if (rc != NGX_OK) {
            return rc;
        }
    }

    if (packet->qos) {
        rc = ngx_iot_mqtt_get_packet_id(rd, &packet->packet_id);
        if (rc != NGX_OK) {
            return rc;
        }
    }

    if (packet->version == NGX_IOT_MQTT_V5) {
        rc = ngx_iot_mqtt_get_props(rd, NGX_IOT_MQTT_PUBLISH, &packet->props);
        if (rc != NGX_OK) {
            return rc;
        }

        rc = ngx_iot_mqtt_publish_alias(rd, packet);
        if (rc != NGX_OK) {
            return rc;
        }
    }

    packet->payload.data = rd->pos;
    packet->payload.len = rd->end - rd->pos;

    rd->pos = rd->end;

    return NGX_OK;
}


static ngx_int_t
ngx_iot_mqtt_publish_alias(ngx_iot_mqtt_reader_t *rd,
    ngx_iot_mqtt_packet_t *packet)
{
    if (packet->props.topic_alias > rd->mp->limits->topic_alias_maximum) {
        return ngx_iot_mqtt_fail(rd->mp, NGX_IOT_MQTT_BAD_ALIAS,
                                 "topic alias over the maximum");
    }

    if (packet->topic.len == 0 && packet->props.topic_alias == 0) {
        return ngx_iot_mqtt_protocol_error(rd->mp,
                                           "neither topic nor topic alias");
    }

    return NGX_OK;
}


static ngx_int_t
ngx_iot_mqtt_parse_ack(ngx_iot_mqtt_reader_t *rd,
    ngx_iot_mqtt_packet_t *packet)
{
    ngx_int_t  rc;

    rc = ngx_iot_mqtt_get_packet_id(rd, &packet->packet_id);
    if (rc != NGX_OK) {
        return rc;
    }

    if (packet->version < NGX_IOT_MQTT_V5 || rd->pos == rd->end) {
        return NGX_OK;
    }

    packet->reason = *rd->pos++;

    rc = ngx_iot_mqtt_check_reason(rd, packet->type, packet->reason);
    if (rc != NGX_OK || rd->pos == rd->end) {
        return rc;
    }

    return ngx_iot_mqtt_get_props(rd, packet->type, &packet->props);
}


static ngx_int_t
ngx_iot_mqtt_parse_subscribe(ngx_iot_mqtt_reader_t *rd,
    ngx_iot_mqtt_packet_t *packet)
{
    ngx_int_t   rc;
    ngx_uint_t  shared;

    rc = ngx_iot_mqtt_get_packet_id(rd, &packet->packet_id);
    if (rc != NGX_OK) {
        return rc;
    }

    if (packet->version == NGX_IOT_MQTT_V5) {
        rc = ngx_iot_mqtt_get_props(rd, packet->type, &packet->props);
        if (rc != NGX_OK) {
            return rc;
        }
    }

    if (rd->pos == rd->end) {
        return ngx_iot_mqtt_protocol_error(rd->mp, "no topic filter");
    }

    packet->payload.data = rd->pos;
    packet->payload.len = rd->end - rd->pos;

    while (rd->pos < rd->end) {

        rc = ngx_iot_mqtt_parse_filter(rd, &shared);
        if (rc != NGX_OK) {
            return rc;
        }

        if (packet->type == NGX_IOT_MQTT_SUBSCRIBE) {
            rc = ngx_iot_mqtt_parse_options(rd, shared);
            if (rc != NGX_OK) {
                return rc;
            }
        }

        packet->count++;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_iot_mqtt_parse_filter(ngx_iot_mqtt_reader_t *rd, ngx_uint_t *shared)
{
    ngx_int_t              rc;
    ngx_str_t              filter;
    ngx_iot_topic_share_t  share;

    rc = ngx_iot_mqtt_get_binary(rd, &filter);
    if (rc != NGX_OK) {
        return rc;
    }

    rc = ngx_iot_topic_share(&filter, &share);

    if (rc == NGX_ERROR) {
        return ngx_iot_mqtt_protocol_error(rd->mp, "bad shared filter");
    }

    *shared = (rc == NGX_OK);

    if (filter.len > rd->mp->limits->max_topic
        || ngx_iot_topic_filter_check(&filter, rd->mp->limits->depth)
           != NGX_OK)
    {
        return ngx_iot_mqtt_malformed(rd->mp, "bad topic filter");
    }

    return NGX_OK;
}


static ngx_int_t
ngx_iot_mqtt_parse_options(ngx_iot_mqtt_reader_t *rd, ngx_uint_t shared)
{
    ngx_int_t   rc;
    ngx_uint_t  options, reserved;

    rc = ngx_iot_mqtt_get_byte(rd, &options);
    if (rc != NGX_OK) {
        return rc;
    }

    reserved = (rd->mp->version < NGX_IOT_MQTT_V5) ? 0xfc : 0xc0;

    if (options & reserved) {
        return ngx_iot_mqtt_malformed(rd->mp, "reserved subscription options");
    }

    if ((options & NGX_IOT_MQTT_OPT_QOS) == 3) {
        return ngx_iot_mqtt_malformed(rd->mp, "subscription with QoS 3");
    }

    if (ngx_iot_mqtt_opt_retain_handling(options) == 3) {
        return ngx_iot_mqtt_malformed(rd->mp, "retain handling 3");
    }

    if (shared && (options & NGX_IOT_MQTT_OPT_NO_LOCAL)) {
        return ngx_iot_mqtt_protocol_error(rd->mp,
                                           "no local on a shared filter");
    }

    return NGX_OK;
}


ngx_int_t
ngx_iot_mqtt_next_subscription(const ngx_iot_mqtt_packet_t *packet,
    u_char **cursor, ngx_iot_mqtt_subscription_t *subscription)
{
    u_char  *p, *end;
    size_t   len, options;

    if (packet->payload.len == 0) {
        return NGX_DONE;
    }

    p = (*cursor == NULL) ? packet->payload.data : *cursor;
    end = packet->payload.data + packet->payload.len;
    options = (packet->type == NGX_IOT_MQTT_SUBSCRIBE) ? 1 : 0;

    if (end - p < 2) {
        return NGX_DONE;
    }

    len = ((size_t) p[0] << 8) | p[1];
    p += 2;

    if ((size_t) (end - p) < len + options) {
        return NGX_DONE;
    }

    subscription->filter.data = p;
    subscription->filter.len = len;
    subscription->options = options ? p[len] : 0;

    *cursor = p + len + options;

    return NGX_OK;
}


static ngx_int_t
ngx_iot_mqtt_parse_suback(ngx_iot_mqtt_reader_t *rd,
    ngx_iot_mqtt_packet_t *packet)
{
    ngx_int_t   rc;
    ngx_uint_t  reason;

    rc = ngx_iot_mqtt_get_packet_id(rd, &packet->packet_id);
    if (rc != NGX_OK) {
        return rc;
    }

    if (packet->version == NGX_IOT_MQTT_V5) {
        rc = ngx_iot_mqtt_get_props(rd, packet->type, &packet->props);
        if (rc != NGX_OK) {
            return rc;
        }

    } else if (packet->type == NGX_IOT_MQTT_UNSUBACK) {
        return NGX_OK;
    }

    if (rd->pos == rd->end) {
        return ngx_iot_mqtt_protocol_error(rd->mp, "no reason");
    }

    packet->payload.data = rd->pos;
    packet->payload.len = rd->end - rd->pos;
    packet->count = packet->payload.len;

    while (rd->pos < rd->end) {
        reason = *rd->pos++;

        if (packet->version == NGX_IOT_MQTT_V5) {
            rc = ngx_iot_mqtt_check_reason(rd, packet->type, reason);
            if (rc != NGX_OK) {
                return rc;
            }

            continue;
        }

        if (reason > NGX_IOT_MQTT_GRANTED_QOS2
            && (reason != NGX_IOT_MQTT_UNSPECIFIED
                || packet->version == NGX_IOT_MQTT_V31))
        {
            return ngx_iot_mqtt_malformed(rd->mp, "unknown return code");
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_iot_mqtt_parse_ping(ngx_iot_mqtt_reader_t *rd,
    ngx_iot_mqtt_packet_t *packet)
{
    return NGX_OK;
}


/*
 * The reason is not held against a client: it is going, and an answer would
 * find nobody.
 */

static ngx_int_t
ngx_iot_mqtt_parse_disconnect(ngx_iot_mqtt_reader_t *rd,
    ngx_iot_mqtt_packet_t *packet)
{
    if (packet->version < NGX_IOT_MQTT_V5 || rd->pos == rd->end) {
        return NGX_OK;
    }

    packet->reason = *rd->pos++;

    if (rd->pos == rd->end) {
        return NGX_OK;
    }

    return ngx_iot_mqtt_get_props(rd, NGX_IOT_MQTT_DISCONNECT,
                                  &packet->props);
}


static ngx_int_t
ngx_iot_mqtt_parse_auth(ngx_iot_mqtt_reader_t *rd,
    ngx_iot_mqtt_packet_t *packet)
{
    ngx_int_t  rc;

    if (rd->pos < rd->end) {
        packet->reason = *rd->pos++;
    }

    rc = ngx_iot_mqtt_check_reason(rd, NGX_IOT_MQTT_AUTH, packet->reason);
    if (rc != NGX_OK) {
        return rc;
    }

    if (rd->pos < rd->end) {
        rc = ngx_iot_mqtt_get_props(rd, NGX_IOT_MQTT_AUTH, &packet->props);
        if (rc != NGX_OK) {
            return rc;
        }
    }

    /* MQTT 5.0, section 3.15.2.1: only success may come without */

    if (packet->reason != NGX_IOT_MQTT_SUCCESS
        && !ngx_iot_mqtt_props_has(&packet->props,
                                   NGX_IOT_MQTT_PROP_AUTH_METHOD))
    {
        return ngx_iot_mqtt_protocol_error(rd->mp,
                                           "AUTH without a method");
    }

    return NGX_OK;
}
