
/*
 * Copyright (C) the ngx_iot authors
 */


#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ngx_iot_codec.h"
#include "ngx_iot_mqtt_image.h"
#include "ngx_iot_mqtt_packet.h"


#define check(condition)                                                      \
    do {                                                                      \
        if (!(condition)) {                                                   \
            abort();                                                          \
        }                                                                     \
    } while (0)


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


static void fuzz_start(ngx_iot_mqtt_parser_t *mp, ngx_uint_t how);
static void fuzz_prefixes(const ngx_iot_mqtt_parser_t *mp, u_char *p,
    size_t len);
static void fuzz_packet(const ngx_iot_mqtt_parser_t *mp,
    const ngx_iot_mqtt_packet_t *packet);
static void fuzz_lists(const ngx_iot_mqtt_packet_t *packet);
static void fuzz_image(const ngx_iot_mqtt_packet_t *publish,
    ngx_uint_t shape);
static void fuzz_delivery(const ngx_iot_mqtt_image_t *image,
    const ngx_iot_mqtt_packet_t *publish, ngx_uint_t how);


static ngx_iot_mqtt_limits_t  limits;


/* the first byte says the version and the side, the rest is the stream */

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    u_char                 *buf, *pos, *end, refusal[NGX_IOT_MQTT_REFUSAL_MAX];
    ngx_int_t               rc;
    ngx_iot_mqtt_frame_t    frame;
    ngx_iot_mqtt_packet_t   packet;
    ngx_iot_mqtt_parser_t   mp, before;

    if (size == 0) {
        return 0;
    }

    fuzz_start(&mp, data[0]);

    buf = malloc(size);
    check(buf != NULL);

    memcpy(buf, data, size);

    pos = buf + 1;
    end = buf + size;

    for ( ;; ) {
        before = mp;

        rc = ngx_iot_mqtt_frame(&mp, pos, end, &frame);

        if (rc != NGX_OK) {
            break;
        }

        check(frame.start == pos && frame.body > pos && frame.end <= end);

        fuzz_prefixes(&before, pos, frame.end - pos);

        rc = ngx_iot_mqtt_parse(&mp, &frame, &packet);

        if (rc != NGX_OK) {
            break;
        }

        mp.accepted = 1;

        fuzz_packet(&before, &packet);

        pos = frame.end;
    }

    if (rc == NGX_AGAIN) {
        check(frame.need == 0 || frame.need > (size_t) (end - pos));

    } else {
        check(rc >= NGX_IOT_MQTT_UNSPECIFIED && rc <= 0xff);
        check(mp.detail != NULL && mp.reason == (ngx_uint_t) rc);
        check(ngx_iot_mqtt_refusal(&mp, rc, refusal) <= sizeof(refusal));
    }

    free(buf);

    return 0;
}


static void
fuzz_start(ngx_iot_mqtt_parser_t *mp, ngx_uint_t how)
{
    static const ngx_uint_t  versions[] = { 0, 3, 4, 5 };

    ngx_iot_mqtt_limits(&limits);

    limits.depth = 20;
    limits.max_packet = 65536;

    ngx_iot_mqtt_parser(mp, &limits);

    mp->version = versions[how & 3];
    mp->from_server = how >> 2 & 1;
    mp->accepted = (mp->version != 0);

    if (mp->from_server && mp->version == 0) {
        mp->version = NGX_IOT_MQTT_V5;
    }
}


/* a packet that is right is waited for until its last byte */

static void
fuzz_prefixes(const ngx_iot_mqtt_parser_t *mp, u_char *p, size_t len)
{
    size_t                  n;
    u_char                 *copy;
    ngx_iot_mqtt_frame_t    frame;
    ngx_iot_mqtt_parser_t   again;

    for (n = 0; n < len; n += (n < 8) ? 1 : 1 + len / 4) {
        copy = malloc(n + 1);
        check(copy != NULL);

        memcpy(copy, p, n);
        again = *mp;

        check(ngx_iot_mqtt_frame(&again, copy, copy + n, &frame)
              == NGX_AGAIN);
        check(frame.need == 0 || frame.need == len);

        free(copy);
    }
}


/*
 * What was read is built and read again; the second time the bytes must be
 * the same as the first, the order of properties being settled by then.
 */

static void
fuzz_packet(const ngx_iot_mqtt_parser_t *mp,
    const ngx_iot_mqtt_packet_t *packet)
{
    size_t                  size;
    u_char                 *first, *second;
    ngx_iot_mqtt_frame_t    frame;
    ngx_iot_mqtt_packet_t   again;
    ngx_iot_mqtt_parser_t   parser;

    fuzz_lists(packet);

    size = ngx_iot_mqtt_build_size(packet);
    check(size > 0);

    first = malloc(size);
    second = malloc(size);
    check(first != NULL && second != NULL);

    check(ngx_iot_mqtt_build(first, packet) == first + size);

    parser = *mp;

    check(ngx_iot_mqtt_frame(&parser, first, first + size, &frame) == NGX_OK);
    check(frame.end == first + size);
    check(ngx_iot_mqtt_parse(&parser, &frame, &again) == NGX_OK);

    check(again.type == packet->type);
    check(again.version == packet->version);
    check(again.packet_id == packet->packet_id);
    check(again.reason == packet->reason);
    check(again.qos == packet->qos);
    check(again.count == packet->count);
    check(again.topic.len == packet->topic.len);
    check(again.payload.len == packet->payload.len);
    check(again.props.present == packet->props.present);
    check(again.props.nuser == packet->props.nuser);
    check(again.props.nsubscription_ids == packet->props.nsubscription_ids);

    check(ngx_iot_mqtt_build_size(&again) == size);
    check(ngx_iot_mqtt_build(second, &again) == second + size);
    check(memcmp(first, second, size) == 0);

    if (packet->type == NGX_IOT_MQTT_PUBLISH && packet->topic.len) {
        fuzz_image(packet, NGX_IOT_MQTT_V311);
        fuzz_image(packet, NGX_IOT_MQTT_V5);
    }

    free(second);
    free(first);
}


static void
fuzz_lists(const ngx_iot_mqtt_packet_t *packet)
{
    u_char                       *cursor;
    uint32_t                      id;
    ngx_str_t                     name, value;
    ngx_uint_t                    n;
    ngx_iot_mqtt_subscription_t   sub;

    cursor = NULL;

    for (n = 0;
         ngx_iot_mqtt_props_next_user(&packet->props, &cursor, &name, &value)
         == NGX_OK;
         n++)
    {
        check(name.len <= 65535 && value.len <= 65535);
    }

    check(n == packet->props.nuser);

    cursor = NULL;

    for (n = 0;
         ngx_iot_mqtt_props_next_subscription_id(&packet->props, &cursor, &id)
         == NGX_OK;
         n++)
    {
        check(id > 0 && id <= NGX_IOT_MQTT_VARINT_MAX);
    }

    check(n == packet->props.nsubscription_ids);

    if (packet->type != NGX_IOT_MQTT_SUBSCRIBE
        && packet->type != NGX_IOT_MQTT_UNSUBSCRIBE)
    {
        return;
    }

    cursor = NULL;

    for (n = 0;
         ngx_iot_mqtt_next_subscription(packet, &cursor, &sub) == NGX_OK;
         n++)
    {
        check(sub.filter.len > 0 && (sub.options & 0xc3) < 3);
    }

    check(n == packet->count && n > 0);
    check(cursor == packet->payload.data + packet->payload.len);
}


static void
fuzz_image(const ngx_iot_mqtt_packet_t *publish, ngx_uint_t shape)
{
    size_t                 size;
    u_char                *p;
    ngx_uint_t             how;
    ngx_iot_mqtt_image_t   image;

    size = ngx_iot_mqtt_image_size(publish, shape);
    check(size > 0);

    p = malloc(size);
    check(p != NULL);

    ngx_iot_mqtt_image_write(&image, p, publish, shape);
    check(image.end == p + size);

    for (how = 0; how < 64; how++) {
        fuzz_delivery(&image, publish, how);
    }

    free(p);
}


static void
fuzz_delivery(const ngx_iot_mqtt_image_t *image,
    const ngx_iot_mqtt_packet_t *publish, ngx_uint_t how)
{
    size_t                    size, done;
    u_char                   *copy, scratch[ngx_iot_mqtt_scratch_size(2)];
    uint32_t                  ids[2] = { 127, NGX_IOT_MQTT_VARINT_MAX };
    ngx_str_t                 pieces[NGX_IOT_MQTT_PIECES];
    ngx_uint_t                n, i;
    ngx_iot_mqtt_frame_t      frame;
    ngx_iot_mqtt_packet_t     got;
    ngx_iot_mqtt_parser_t     mp;
    ngx_iot_mqtt_limits_t     wide;
    ngx_iot_mqtt_delivery_t   d;

    memset(&d, 0, sizeof(d));

    d.version = (how & 1) ? NGX_IOT_MQTT_V5 : NGX_IOT_MQTT_V311;
    d.qos = (how & 2) ? 1 + (how & 1) : 0;
    d.packet_id = 1;
    d.retain = how >> 2 & 1;
    d.topic_alias = how >> 3 & 1;
    d.known_alias = how >> 4 & 1;
    d.has_expiry = how >> 5 & 1;
    d.subscription_ids = ids;
    d.nsubscription_ids = how % 3;

    size = ngx_iot_mqtt_delivery_size(image, &d);
    check(size > 0);

    copy = malloc(size);
    check(copy != NULL);

    check(ngx_iot_mqtt_delivery_copy(copy, image, &d) == copy + size);

    n = ngx_iot_mqtt_delivery_cut(image, &d, scratch, pieces);
    check(n > 0 && n <= NGX_IOT_MQTT_PIECES);

    for (i = 0, done = 0; i < n; i++) {
        check(pieces[i].len > 0 && pieces[i].len <= size - done);
        check(memcmp(pieces[i].data, copy + done, pieces[i].len) == 0);
        done += pieces[i].len;
    }

    check(done == size);

    ngx_iot_mqtt_limits(&wide);
    ngx_iot_mqtt_parser(&mp, &wide);

    mp.version = d.version;
    mp.from_server = 1;

    check(ngx_iot_mqtt_frame(&mp, copy, copy + size, &frame) == NGX_OK);
    check(ngx_iot_mqtt_parse(&mp, &frame, &got) == NGX_OK);
    check(got.qos == d.qos && got.payload.len == publish->payload.len);

    if (d.version == NGX_IOT_MQTT_V5) {
        check(got.props.nsubscription_ids == d.nsubscription_ids);
        check(got.props.topic_alias == d.topic_alias);
        check(image->version != NGX_IOT_MQTT_V5
              || got.props.nuser == publish->props.nuser);
    }

    free(copy);
}
