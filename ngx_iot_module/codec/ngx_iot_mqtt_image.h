
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_IOT_MQTT_IMAGE_H_INCLUDED_
#define _NGX_IOT_MQTT_IMAGE_H_INCLUDED_


#include "ngx_iot_codec.h"
#include "ngx_iot_mqtt_packet.h"


/*
 * A PUBLISH encoded once and delivered many times.  The image is the whole
 * QoS 0 packet; what differs between subscribers (flags, packet identifier,
 * alias, subscription identifiers, remaining expiry) is made per delivery and
 * put between pieces of the image.
 *
 * An image of either shape serves subscribers of all versions; the shape only
 * decides who gets it in one piece: shape 5.0 those of 5.0, shape 3.1.1 those
 * of 3.1 and 3.1.1.  But shape 3.1.1 has no place for properties, so it is
 * for messages without, or for subscribers who would not get them.
 *
 *     | header | length, topic | [length of properties] properties | payload |
 *     start    topic           fields                   props      payload
 */

typedef struct {
    u_char             *start;
    u_char             *topic;
    u_char             *fields;
    u_char             *props;
    u_char             *payload;
    u_char             *end;
    ngx_uint_t          version;            /* the shape: 3.1.1 or 5.0 */
} ngx_iot_mqtt_image_t;


/* one subscriber's copy; zero what does not apply */

typedef struct {
    ngx_uint_t          version;
    ngx_uint_t          qos;
    ngx_uint_t          packet_id;          /* with QoS 1 and 2 */
    ngx_uint_t          topic_alias;        /* 0 is none */
    uint32_t           *subscription_ids;
    ngx_uint_t          nsubscription_ids;
    uint32_t            expiry;             /* seconds left, with has_expiry */
    unsigned            has_expiry:1;
    unsigned            dup:1;
    unsigned            retain:1;
    unsigned            known_alias:1;      /* leave the topic out */
} ngx_iot_mqtt_delivery_t;


/* pieces of a delivery at most, and the room that its own bytes need */

#define NGX_IOT_MQTT_PIECES  4

#define ngx_iot_mqtt_scratch_size(nsubscription_ids)                          \
    (32 + 5 * (nsubscription_ids))


/*
 * The size of the image of a message that was received (a parsed PUBLISH with
 * its topic set, a will copied into one) or made here (props empty): 0 if it
 * cannot be encoded.  The image is then written into a buffer of that size.
 */

size_t ngx_iot_mqtt_image_size(const ngx_iot_mqtt_packet_t *publish,
    ngx_uint_t version);
void ngx_iot_mqtt_image_write(ngx_iot_mqtt_image_t *image, u_char *dst,
    const ngx_iot_mqtt_packet_t *publish, ngx_uint_t version);

/* bytes on the wire, to hold against the subscriber's limit; 0: too long */

size_t ngx_iot_mqtt_delivery_size(const ngx_iot_mqtt_image_t *image,
    const ngx_iot_mqtt_delivery_t *delivery);

/*
 * The delivery as 1 to NGX_IOT_MQTT_PIECES pieces, none of them empty, to be
 * sent in this order: parts of the image, which must outlive the sending, and
 * of the scratch buffer (of ngx_iot_mqtt_scratch_size() bytes).  Returns their
 * number, 0 if the packet would be too long.
 */

ngx_uint_t ngx_iot_mqtt_delivery_cut(const ngx_iot_mqtt_image_t *image,
    const ngx_iot_mqtt_delivery_t *delivery, u_char *scratch,
    ngx_str_t pieces[NGX_IOT_MQTT_PIECES]);

/*
 * The same as one copy into a buffer of ngx_iot_mqtt_delivery_size() bytes,
 * for messages too small to be worth pieces.
 */

u_char *ngx_iot_mqtt_delivery_copy(u_char *dst,
    const ngx_iot_mqtt_image_t *image,
    const ngx_iot_mqtt_delivery_t *delivery);


#endif /* _NGX_IOT_MQTT_IMAGE_H_INCLUDED_ */
