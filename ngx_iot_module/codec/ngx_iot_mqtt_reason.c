
/*
 * Copyright (C) the ngx_iot authors
 */


#include "ngx_iot_codec.h"
#include "ngx_iot_mqtt_packet.h"
#include "ngx_iot_mqtt_reason.h"


#define NGX_IOT_MQTT_C  (1 << NGX_IOT_MQTT_CONNACK)
#define NGX_IOT_MQTT_A                                                        \
    ((1 << NGX_IOT_MQTT_PUBACK) | (1 << NGX_IOT_MQTT_PUBREC))
#define NGX_IOT_MQTT_L                                                        \
    ((1 << NGX_IOT_MQTT_PUBREL) | (1 << NGX_IOT_MQTT_PUBCOMP))
#define NGX_IOT_MQTT_S  (1 << NGX_IOT_MQTT_SUBACK)
#define NGX_IOT_MQTT_U  (1 << NGX_IOT_MQTT_UNSUBACK)
#define NGX_IOT_MQTT_D  (1 << NGX_IOT_MQTT_DISCONNECT)
#define NGX_IOT_MQTT_H  (1 << NGX_IOT_MQTT_AUTH)


typedef struct {
    u_char      code;
    u_char      sides;              /* 1: a client sends it, 2: a server */
    uint16_t    packets;
    int8_t      return_code;        /* of CONNACK before 5.0, -1 is none */
    ngx_str_t   name;
} ngx_iot_mqtt_reason_t;


static const ngx_iot_mqtt_reason_t *ngx_iot_mqtt_reason_find(
    ngx_uint_t reason);


static ngx_str_t  ngx_iot_mqtt_reason_unknown = ngx_string("unknown");


/* in the order of the codes, for the search */

static ngx_iot_mqtt_reason_t  ngx_iot_mqtt_reasons[] = {

    { 0x00, 3,
      NGX_IOT_MQTT_C|NGX_IOT_MQTT_A|NGX_IOT_MQTT_L|NGX_IOT_MQTT_S
      |NGX_IOT_MQTT_U|NGX_IOT_MQTT_D,
      0, ngx_string("success") },

    { 0x01, 2, NGX_IOT_MQTT_S, -1, ngx_string("granted QoS 1") },
    { 0x02, 2, NGX_IOT_MQTT_S, -1, ngx_string("granted QoS 2") },
    { 0x04, 1, NGX_IOT_MQTT_D, -1, ngx_string("disconnect with will") },
    { 0x10, 3, NGX_IOT_MQTT_A, -1, ngx_string("no matching subscribers") },
    { 0x11, 2, NGX_IOT_MQTT_U, -1, ngx_string("no subscription existed") },
    { 0x18, 3, NGX_IOT_MQTT_H, -1, ngx_string("continue authentication") },
    { 0x19, 1, NGX_IOT_MQTT_H, -1, ngx_string("re-authenticate") },

    { 0x80, 3,
      NGX_IOT_MQTT_C|NGX_IOT_MQTT_A|NGX_IOT_MQTT_S|NGX_IOT_MQTT_U
      |NGX_IOT_MQTT_D,
      3, ngx_string("unspecified error") },

    { 0x81, 3, NGX_IOT_MQTT_C|NGX_IOT_MQTT_D,
      -1, ngx_string("malformed packet") },

    { 0x82, 3, NGX_IOT_MQTT_C|NGX_IOT_MQTT_D,
      -1, ngx_string("protocol error") },

    { 0x83, 3,
      NGX_IOT_MQTT_C|NGX_IOT_MQTT_A|NGX_IOT_MQTT_S|NGX_IOT_MQTT_U
      |NGX_IOT_MQTT_D,
      3, ngx_string("implementation specific error") },

    { 0x84, 2, NGX_IOT_MQTT_C, 1,
      ngx_string("unsupported protocol version") },

    { 0x85, 2, NGX_IOT_MQTT_C, 2,
      ngx_string("client identifier not valid") },

    { 0x86, 2, NGX_IOT_MQTT_C, 4,
      ngx_string("bad user name or password") },

    { 0x87, 2,
      NGX_IOT_MQTT_C|NGX_IOT_MQTT_A|NGX_IOT_MQTT_S|NGX_IOT_MQTT_U
      |NGX_IOT_MQTT_D,
      5, ngx_string("not authorized") },

    { 0x88, 2, NGX_IOT_MQTT_C, 3, ngx_string("server unavailable") },

    { 0x89, 2, NGX_IOT_MQTT_C|NGX_IOT_MQTT_D, 3,
      ngx_string("server busy") },

    { 0x8a, 2, NGX_IOT_MQTT_C, 5, ngx_string("banned") },
    { 0x8b, 2, NGX_IOT_MQTT_D, -1, ngx_string("server shutting down") },

    { 0x8c, 2, NGX_IOT_MQTT_C|NGX_IOT_MQTT_D, 5,
      ngx_string("bad authentication method") },

    { 0x8d, 2, NGX_IOT_MQTT_D, -1, ngx_string("keep alive timeout") },
    { 0x8e, 2, NGX_IOT_MQTT_D, -1, ngx_string("session taken over") },

    { 0x8f, 2, NGX_IOT_MQTT_S|NGX_IOT_MQTT_U|NGX_IOT_MQTT_D, -1,
      ngx_string("topic filter invalid") },

    { 0x90, 3, NGX_IOT_MQTT_C|NGX_IOT_MQTT_A|NGX_IOT_MQTT_D, -1,
      ngx_string("topic name invalid") },

    { 0x91, 3, NGX_IOT_MQTT_A|NGX_IOT_MQTT_S|NGX_IOT_MQTT_U, -1,
      ngx_string("packet identifier in use") },

    { 0x92, 3, NGX_IOT_MQTT_L, -1,
      ngx_string("packet identifier not found") },

    { 0x93, 3, NGX_IOT_MQTT_D, -1, ngx_string("receive maximum exceeded") },
    { 0x94, 3, NGX_IOT_MQTT_D, -1, ngx_string("topic alias invalid") },

    { 0x95, 3, NGX_IOT_MQTT_C|NGX_IOT_MQTT_D, -1,
      ngx_string("packet too large") },

    { 0x96, 3, NGX_IOT_MQTT_D, -1, ngx_string("message rate too high") },

    { 0x97, 3, NGX_IOT_MQTT_C|NGX_IOT_MQTT_A|NGX_IOT_MQTT_S|NGX_IOT_MQTT_D,
      3, ngx_string("quota exceeded") },

    { 0x98, 3, NGX_IOT_MQTT_D, -1, ngx_string("administrative action") },

    { 0x99, 3, NGX_IOT_MQTT_C|NGX_IOT_MQTT_A|NGX_IOT_MQTT_D, -1,
      ngx_string("payload format invalid") },

    { 0x9a, 2, NGX_IOT_MQTT_C|NGX_IOT_MQTT_D, -1,
      ngx_string("retain not supported") },

    { 0x9b, 2, NGX_IOT_MQTT_C|NGX_IOT_MQTT_D, -1,
      ngx_string("QoS not supported") },

    { 0x9c, 2, NGX_IOT_MQTT_C|NGX_IOT_MQTT_D, 3,
      ngx_string("use another server") },

    { 0x9d, 2, NGX_IOT_MQTT_C|NGX_IOT_MQTT_D, 3,
      ngx_string("server moved") },

    { 0x9e, 2, NGX_IOT_MQTT_S|NGX_IOT_MQTT_D, -1,
      ngx_string("shared subscriptions not supported") },

    { 0x9f, 2, NGX_IOT_MQTT_C|NGX_IOT_MQTT_D, 3,
      ngx_string("connection rate exceeded") },

    { 0xa0, 2, NGX_IOT_MQTT_D, -1, ngx_string("maximum connect time") },

    { 0xa1, 2, NGX_IOT_MQTT_S|NGX_IOT_MQTT_D, -1,
      ngx_string("subscription identifiers not supported") },

    { 0xa2, 2, NGX_IOT_MQTT_S|NGX_IOT_MQTT_D, -1,
      ngx_string("wildcard subscriptions not supported") }
};


static const u_char  ngx_iot_mqtt_return_codes[] = {
    NGX_IOT_MQTT_SUCCESS,
    NGX_IOT_MQTT_BAD_VERSION,
    NGX_IOT_MQTT_BAD_CLIENT_ID,
    NGX_IOT_MQTT_UNAVAILABLE,
    NGX_IOT_MQTT_BAD_PASSWORD,
    NGX_IOT_MQTT_NOT_AUTHORIZED
};


static const ngx_iot_mqtt_reason_t *
ngx_iot_mqtt_reason_find(ngx_uint_t reason)
{
    size_t  low, high, middle;

    low = 0;
    high = sizeof(ngx_iot_mqtt_reasons) / sizeof(ngx_iot_mqtt_reasons[0]);

    while (low < high) {
        middle = (low + high) / 2;

        if (ngx_iot_mqtt_reasons[middle].code == reason) {
            return &ngx_iot_mqtt_reasons[middle];
        }

        if (ngx_iot_mqtt_reasons[middle].code < reason) {
            low = middle + 1;

        } else {
            high = middle;
        }
    }

    return NULL;
}


ngx_str_t *
ngx_iot_mqtt_reason_name(ngx_uint_t reason)
{
    const ngx_iot_mqtt_reason_t  *found;

    found = ngx_iot_mqtt_reason_find(reason);

    if (found == NULL) {
        return &ngx_iot_mqtt_reason_unknown;
    }

    return (ngx_str_t *) &found->name;
}


ngx_uint_t
ngx_iot_mqtt_reason_allowed(ngx_uint_t reason, ngx_uint_t type,
    ngx_uint_t from_server)
{
    ngx_uint_t                    side;
    const ngx_iot_mqtt_reason_t  *found;

    /*
     * what differs from packet to packet within one code: 0x00 ends an
     * authentication, which only a server can do; PUBACK of a client may
     * say 0x87, its DISCONNECT may not
     */

    if (type == NGX_IOT_MQTT_AUTH && reason == NGX_IOT_MQTT_SUCCESS) {
        return from_server ? 1 : 0;
    }

    found = ngx_iot_mqtt_reason_find(reason);

    if (found == NULL || type > NGX_IOT_MQTT_AUTH
        || (found->packets & (1 << type)) == 0)
    {
        return 0;
    }

    side = from_server ? 2 : 1;

    if (type == NGX_IOT_MQTT_PUBACK || type == NGX_IOT_MQTT_PUBREC) {
        return 1;
    }

    return (found->sides & side) != 0;
}


ngx_int_t
ngx_iot_mqtt_reason_to_return_code(ngx_uint_t reason)
{
    const ngx_iot_mqtt_reason_t  *found;

    found = ngx_iot_mqtt_reason_find(reason);

    if (found == NULL || found->return_code < 0) {
        return NGX_DECLINED;
    }

    return found->return_code;
}


ngx_int_t
ngx_iot_mqtt_reason_from_return_code(ngx_uint_t code)
{
    if (code >= sizeof(ngx_iot_mqtt_return_codes)) {
        return NGX_ERROR;
    }

    return ngx_iot_mqtt_return_codes[code];
}


u_char
ngx_iot_mqtt_reason_to_suback(ngx_uint_t reason, ngx_uint_t version)
{
    if (version >= NGX_IOT_MQTT_V5 || reason < NGX_IOT_MQTT_UNSPECIFIED) {
        return (u_char) reason;
    }

    return (version == NGX_IOT_MQTT_V31) ? 0 : NGX_IOT_MQTT_UNSPECIFIED;
}
