
/*
 * Copyright (C) the ngx_iot authors
 */


#include "ngx_iot_codec.h"
#include "ngx_iot_mqtt_image.h"
#include "ngx_iot_mqtt_packet.h"


#define NGX_IOT_MQTT_TOO_LONG  ((size_t) -1)

#define ngx_iot_mqtt_without_topic(delivery)                                  \
    ((delivery)->known_alias && (delivery)->topic_alias                       \
     && (delivery)->version == NGX_IOT_MQTT_V5)


static size_t ngx_iot_mqtt_image_body(const ngx_iot_mqtt_packet_t *publish,
    ngx_uint_t version, size_t *props);
static size_t ngx_iot_mqtt_delivery_props(
    const ngx_iot_mqtt_delivery_t *delivery);
static size_t ngx_iot_mqtt_delivery_body(const ngx_iot_mqtt_image_t *image,
    const ngx_iot_mqtt_delivery_t *delivery);
static ngx_uint_t ngx_iot_mqtt_delivery_plain(
    const ngx_iot_mqtt_image_t *image,
    const ngx_iot_mqtt_delivery_t *delivery);
static u_char *ngx_iot_mqtt_delivery_header(u_char *dst,
    const ngx_iot_mqtt_delivery_t *delivery, size_t body);
static u_char *ngx_iot_mqtt_delivery_fields(u_char *dst,
    const ngx_iot_mqtt_image_t *image,
    const ngx_iot_mqtt_delivery_t *delivery);


/*
 * The limits of both versions apply whatever the shape: the image is the
 * smallest packet that is made of it for a subscriber of that shape, and a
 * delivery is measured again.
 */

static size_t
ngx_iot_mqtt_image_body(const ngx_iot_mqtt_packet_t *publish,
    ngx_uint_t version, size_t *props)
{
    size_t  len;

    *props = 0;

    if (publish->topic.len == 0 || publish->topic.len > 65535
        || publish->payload.len > NGX_IOT_MQTT_VARINT_MAX)
    {
        return NGX_IOT_MQTT_TOO_LONG;
    }

    len = 2 + publish->topic.len + publish->payload.len;

    if (version == NGX_IOT_MQTT_V5) {
        *props = ngx_iot_mqtt_props_forward_size(&publish->props);

        if (*props > NGX_IOT_MQTT_VARINT_MAX) {
            return NGX_IOT_MQTT_TOO_LONG;
        }

        len += ngx_iot_mqtt_varint_size(*props) + *props;
    }

    return (len > NGX_IOT_MQTT_VARINT_MAX) ? NGX_IOT_MQTT_TOO_LONG : len;
}


size_t
ngx_iot_mqtt_image_size(const ngx_iot_mqtt_packet_t *publish,
    ngx_uint_t version)
{
    size_t  body, props;

    body = ngx_iot_mqtt_image_body(publish, version, &props);

    if (body == NGX_IOT_MQTT_TOO_LONG) {
        return 0;
    }

    return 1 + ngx_iot_mqtt_varint_size(body) + body;
}


void
ngx_iot_mqtt_image_write(ngx_iot_mqtt_image_t *image, u_char *dst,
    const ngx_iot_mqtt_packet_t *publish, ngx_uint_t version)
{
    size_t  body, props;

    body = ngx_iot_mqtt_image_body(publish, version, &props);

    image->version = (version == NGX_IOT_MQTT_V5) ? NGX_IOT_MQTT_V5
                                                  : NGX_IOT_MQTT_V311;
    image->start = dst;

    *dst++ = NGX_IOT_MQTT_PUBLISH << 4;
    dst = ngx_iot_mqtt_varint_write(dst, body);

    image->topic = dst;

    *dst++ = (u_char) (publish->topic.len >> 8);
    *dst++ = (u_char) publish->topic.len;
    dst = ngx_cpymem(dst, publish->topic.data, publish->topic.len);

    image->fields = dst;

    if (version == NGX_IOT_MQTT_V5) {
        dst = ngx_iot_mqtt_varint_write(dst, props);
        image->props = dst;
        dst = ngx_iot_mqtt_props_forward(dst, &publish->props);

    } else {
        image->props = dst;
    }

    image->payload = dst;

    if (publish->payload.len) {
        dst = ngx_cpymem(dst, publish->payload.data, publish->payload.len);
    }

    image->end = dst;
}


/* the properties of one subscriber's own */

static size_t
ngx_iot_mqtt_delivery_props(const ngx_iot_mqtt_delivery_t *delivery)
{
    size_t      len, size;
    ngx_uint_t  i;

    len = 0;

    if (delivery->topic_alias) {
        len += 3;
    }

    if (delivery->has_expiry) {
        len += 5;
    }

    for (i = 0; i < delivery->nsubscription_ids; i++) {
        size = ngx_iot_mqtt_varint_size(delivery->subscription_ids[i]);

        if (size == 0) {
            return (size_t) NGX_IOT_MQTT_VARINT_MAX + 1;
        }

        len += 1 + size;
    }

    return len;
}


static size_t
ngx_iot_mqtt_delivery_body(const ngx_iot_mqtt_image_t *image,
    const ngx_iot_mqtt_delivery_t *delivery)
{
    size_t  len, props;

    len = image->end - image->payload;
    len += (delivery->qos) ? 2 : 0;

    if (delivery->version < NGX_IOT_MQTT_V5) {
        return len + (image->fields - image->topic);
    }

    len += ngx_iot_mqtt_without_topic(delivery) ? 2
           : (size_t) (image->fields - image->topic);

    props = (image->payload - image->props)
            + ngx_iot_mqtt_delivery_props(delivery);

    return len + ngx_iot_mqtt_varint_size(props) + props;
}


size_t
ngx_iot_mqtt_delivery_size(const ngx_iot_mqtt_image_t *image,
    const ngx_iot_mqtt_delivery_t *delivery)
{
    size_t  body;

    body = ngx_iot_mqtt_delivery_body(image, delivery);

    if (body > NGX_IOT_MQTT_VARINT_MAX) {
        return 0;
    }

    return 1 + ngx_iot_mqtt_varint_size(body) + body;
}


static ngx_uint_t
ngx_iot_mqtt_delivery_plain(const ngx_iot_mqtt_image_t *image,
    const ngx_iot_mqtt_delivery_t *delivery)
{
    if (delivery->qos || delivery->retain) {
        return 0;
    }

    if (delivery->version < NGX_IOT_MQTT_V5) {
        return image->version < NGX_IOT_MQTT_V5;
    }

    return image->version == NGX_IOT_MQTT_V5
           && delivery->topic_alias == 0
           && delivery->nsubscription_ids == 0
           && !delivery->has_expiry;
}


static u_char *
ngx_iot_mqtt_delivery_header(u_char *dst,
    const ngx_iot_mqtt_delivery_t *delivery, size_t body)
{
    ngx_uint_t  flags;

    flags = delivery->qos << 1 | delivery->retain;

    if (delivery->qos && delivery->dup) {
        flags |= 0x08;
    }

    *dst++ = (u_char) (NGX_IOT_MQTT_PUBLISH << 4 | flags);
    dst = ngx_iot_mqtt_varint_write(dst, body);

    if (ngx_iot_mqtt_without_topic(delivery)) {
        *dst++ = 0;
        *dst++ = 0;
    }

    return dst;
}


static u_char *
ngx_iot_mqtt_delivery_fields(u_char *dst, const ngx_iot_mqtt_image_t *image,
    const ngx_iot_mqtt_delivery_t *delivery)
{
    size_t      len;
    ngx_uint_t  i;

    if (delivery->qos) {
        *dst++ = (u_char) (delivery->packet_id >> 8);
        *dst++ = (u_char) delivery->packet_id;
    }

    if (delivery->version < NGX_IOT_MQTT_V5) {
        return dst;
    }

    len = (image->payload - image->props)
          + ngx_iot_mqtt_delivery_props(delivery);

    dst = ngx_iot_mqtt_varint_write(dst, len);

    if (delivery->topic_alias) {
        *dst++ = NGX_IOT_MQTT_PROP_TOPIC_ALIAS;
        *dst++ = (u_char) (delivery->topic_alias >> 8);
        *dst++ = (u_char) delivery->topic_alias;
    }

    for (i = 0; i < delivery->nsubscription_ids; i++) {
        *dst++ = NGX_IOT_MQTT_PROP_SUBSCRIPTION_ID;
        dst = ngx_iot_mqtt_varint_write(dst, delivery->subscription_ids[i]);
    }

    if (delivery->has_expiry) {
        *dst++ = NGX_IOT_MQTT_PROP_MESSAGE_EXPIRY;
        *dst++ = (u_char) (delivery->expiry >> 24);
        *dst++ = (u_char) (delivery->expiry >> 16);
        *dst++ = (u_char) (delivery->expiry >> 8);
        *dst++ = (u_char) delivery->expiry;
    }

    return dst;
}


ngx_uint_t
ngx_iot_mqtt_delivery_cut(const ngx_iot_mqtt_image_t *image,
    const ngx_iot_mqtt_delivery_t *delivery, u_char *scratch,
    ngx_str_t pieces[NGX_IOT_MQTT_PIECES])
{
    u_char      *p;
    size_t       body;
    ngx_str_t   *piece;

    if (ngx_iot_mqtt_delivery_plain(image, delivery)) {
        pieces[0].data = image->start;
        pieces[0].len = image->end - image->start;
        return 1;
    }

    body = ngx_iot_mqtt_delivery_body(image, delivery);

    if (body > NGX_IOT_MQTT_VARINT_MAX) {
        return 0;
    }

    piece = pieces;

    piece->data = scratch;
    scratch = ngx_iot_mqtt_delivery_header(scratch, delivery, body);

    if (ngx_iot_mqtt_without_topic(delivery)) {
        scratch = ngx_iot_mqtt_delivery_fields(scratch, image, delivery);
        piece->len = scratch - piece->data;

    } else {
        piece->len = scratch - piece->data;
        piece++;

        piece->data = image->topic;
        piece->len = image->fields - image->topic;

        p = scratch;
        scratch = ngx_iot_mqtt_delivery_fields(scratch, image, delivery);

        if (scratch != p) {
            piece++;
            piece->data = p;
            piece->len = scratch - p;
        }
    }

    p = (delivery->version == NGX_IOT_MQTT_V5) ? image->props
                                               : image->payload;

    if (p != image->end) {
        piece++;
        piece->data = p;
        piece->len = image->end - p;
    }

    return piece - pieces + 1;
}


u_char *
ngx_iot_mqtt_delivery_copy(u_char *dst, const ngx_iot_mqtt_image_t *image,
    const ngx_iot_mqtt_delivery_t *delivery)
{
    u_char  *p;
    size_t   body;

    if (ngx_iot_mqtt_delivery_plain(image, delivery)) {
        return ngx_cpymem(dst, image->start, image->end - image->start);
    }

    body = ngx_iot_mqtt_delivery_body(image, delivery);

    if (body > NGX_IOT_MQTT_VARINT_MAX) {
        return dst;
    }

    dst = ngx_iot_mqtt_delivery_header(dst, delivery, body);

    if (!ngx_iot_mqtt_without_topic(delivery)) {
        dst = ngx_cpymem(dst, image->topic, image->fields - image->topic);
    }

    dst = ngx_iot_mqtt_delivery_fields(dst, image, delivery);

    p = (delivery->version == NGX_IOT_MQTT_V5) ? image->props
                                               : image->payload;

    return ngx_cpymem(dst, p, image->end - p);
}
