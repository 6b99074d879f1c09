
/*
 * Copyright (C) the ngx_iot authors
 */


#include "ngx_iot_codec.h"
#include "ngx_iot_mqtt_packet.h"
#include "ngx_iot_mqtt_property.h"
#include "ngx_iot_mqtt_property_spec.h"
#include "ngx_iot_topic_name.h"
#include "ngx_iot_utf8.h"


#define NGX_IOT_MQTT_IN_WILL    (1 << NGX_IOT_MQTT_WILL)
#define NGX_IOT_MQTT_IN_CONN    (1 << NGX_IOT_MQTT_CONNECT)
#define NGX_IOT_MQTT_IN_CACK    (1 << NGX_IOT_MQTT_CONNACK)
#define NGX_IOT_MQTT_IN_PUB     (1 << NGX_IOT_MQTT_PUBLISH)
#define NGX_IOT_MQTT_IN_SUB     (1 << NGX_IOT_MQTT_SUBSCRIBE)
#define NGX_IOT_MQTT_IN_UNSUB   (1 << NGX_IOT_MQTT_UNSUBSCRIBE)
#define NGX_IOT_MQTT_IN_DISC    (1 << NGX_IOT_MQTT_DISCONNECT)
#define NGX_IOT_MQTT_IN_AUTH    (1 << NGX_IOT_MQTT_AUTH)
#define NGX_IOT_MQTT_IN_ACKS                                                  \
    ((1 << NGX_IOT_MQTT_PUBACK) | (1 << NGX_IOT_MQTT_PUBREC)                  \
     | (1 << NGX_IOT_MQTT_PUBREL) | (1 << NGX_IOT_MQTT_PUBCOMP))
#define NGX_IOT_MQTT_IN_SACKS                                                 \
    ((1 << NGX_IOT_MQTT_SUBACK) | (1 << NGX_IOT_MQTT_UNSUBACK))

#define NGX_IOT_MQTT_MESSAGE    (NGX_IOT_MQTT_IN_WILL|NGX_IOT_MQTT_IN_PUB)

#define NGX_IOT_MQTT_ANY        0xffffffff

#define ngx_iot_mqtt_prop_offset(name)  offsetof(ngx_iot_mqtt_props_t, name)
#define ngx_iot_mqtt_no_prop                                                  \
    { NGX_IOT_MQTT_PROP_NONE, 0, 0, 0, 0, 0 }


typedef struct {
    ngx_iot_mqtt_props_t      *props;
    ngx_uint_t                 type;
    ngx_uint_t                 from_server;
    const char               **detail;
} ngx_iot_mqtt_prop_ctx_t;


static ngx_int_t ngx_iot_mqtt_prop_number(u_char **pos, u_char *end,
    ngx_iot_mqtt_prop_type_e type, uint32_t *value);
static ngx_int_t ngx_iot_mqtt_prop_string(u_char **pos, u_char *end,
    ngx_str_t *s);
static ngx_int_t ngx_iot_mqtt_prop_admit(ngx_iot_mqtt_prop_ctx_t *ctx,
    ngx_uint_t id);
static ngx_int_t ngx_iot_mqtt_prop_read(ngx_iot_mqtt_prop_ctx_t *ctx,
    ngx_uint_t id, u_char **pos, u_char *end);
static ngx_int_t ngx_iot_mqtt_prop_pair(ngx_iot_mqtt_prop_ctx_t *ctx,
    u_char **pos, u_char *end);
static ngx_int_t ngx_iot_mqtt_prop_store_number(ngx_iot_mqtt_prop_ctx_t *ctx,
    ngx_uint_t id, uint32_t value);
static ngx_int_t ngx_iot_mqtt_prop_store_string(ngx_iot_mqtt_prop_ctx_t *ctx,
    ngx_uint_t id, ngx_str_t *value);


static const ngx_iot_mqtt_props_t  ngx_iot_mqtt_props_default = {
    0,                                     /* present */

    0,                                     /* session_expiry */
    0xffffffff,                            /* message_expiry */
    0,                                     /* will_delay */
    0xffffffff,                            /* maximum_packet */
    0,                                     /* subscription_id */
    65535,                                 /* receive_maximum */
    0,                                     /* topic_alias_maximum */
    0,                                     /* topic_alias */
    0,                                     /* server_keep_alive */
    0,                                     /* payload_format */
    1,                                     /* request_problem */
    0,                                     /* request_response */
    2,                                     /* maximum_qos */
    1,                                     /* retain_available */
    1,                                     /* wildcard_available */
    1,                                     /* sub_id_available */
    1,                                     /* shared_available */

    ngx_null_string,
    ngx_null_string,
    ngx_null_string,
    ngx_null_string,
    ngx_null_string,
    ngx_null_string,
    ngx_null_string,
    ngx_null_string,
    ngx_null_string,

    ngx_null_string,
    0,
    0,
    0
};


/* MQTT 5.0, table 2-4; indexed by the identifier */

const ngx_iot_mqtt_prop_spec_t  ngx_iot_mqtt_prop_specs[] = {

    ngx_iot_mqtt_no_prop,

    /* 0x01 */

    { NGX_IOT_MQTT_PROP_BYTE, NGX_IOT_MQTT_MESSAGE, NGX_IOT_MQTT_IN_PUB,
      0, 1, ngx_iot_mqtt_prop_offset(payload_format) },

    { NGX_IOT_MQTT_PROP_U32, NGX_IOT_MQTT_MESSAGE, NGX_IOT_MQTT_IN_PUB,
      0, NGX_IOT_MQTT_ANY, ngx_iot_mqtt_prop_offset(message_expiry) },

    { NGX_IOT_MQTT_PROP_STRING, NGX_IOT_MQTT_MESSAGE, NGX_IOT_MQTT_IN_PUB,
      0, 0, ngx_iot_mqtt_prop_offset(content_type) },

    ngx_iot_mqtt_no_prop,
    ngx_iot_mqtt_no_prop,
    ngx_iot_mqtt_no_prop,
    ngx_iot_mqtt_no_prop,

    /* 0x08 */

    { NGX_IOT_MQTT_PROP_STRING, NGX_IOT_MQTT_MESSAGE, NGX_IOT_MQTT_IN_PUB,
      0, 0, ngx_iot_mqtt_prop_offset(response_topic) },

    { NGX_IOT_MQTT_PROP_BINARY, NGX_IOT_MQTT_MESSAGE, NGX_IOT_MQTT_IN_PUB,
      0, 0, ngx_iot_mqtt_prop_offset(correlation_data) },

    ngx_iot_mqtt_no_prop,

    { NGX_IOT_MQTT_PROP_VARINT, NGX_IOT_MQTT_IN_SUB, NGX_IOT_MQTT_IN_PUB,
      1, NGX_IOT_MQTT_VARINT_MAX,
      ngx_iot_mqtt_prop_offset(subscription_id) },

    ngx_iot_mqtt_no_prop,
    ngx_iot_mqtt_no_prop,
    ngx_iot_mqtt_no_prop,
    ngx_iot_mqtt_no_prop,

    /* 0x10 */

    ngx_iot_mqtt_no_prop,

    { NGX_IOT_MQTT_PROP_U32, NGX_IOT_MQTT_IN_CONN|NGX_IOT_MQTT_IN_DISC,
      NGX_IOT_MQTT_IN_CACK,
      0, NGX_IOT_MQTT_ANY, ngx_iot_mqtt_prop_offset(session_expiry) },

    { NGX_IOT_MQTT_PROP_STRING, 0, NGX_IOT_MQTT_IN_CACK,
      0, 0, ngx_iot_mqtt_prop_offset(assigned_client_id) },

    { NGX_IOT_MQTT_PROP_U16, 0, NGX_IOT_MQTT_IN_CACK,
      0, 65535, ngx_iot_mqtt_prop_offset(server_keep_alive) },

    ngx_iot_mqtt_no_prop,

    { NGX_IOT_MQTT_PROP_STRING, NGX_IOT_MQTT_IN_CONN|NGX_IOT_MQTT_IN_AUTH,
      NGX_IOT_MQTT_IN_CACK|NGX_IOT_MQTT_IN_AUTH,
      0, 0, ngx_iot_mqtt_prop_offset(auth_method) },

    { NGX_IOT_MQTT_PROP_BINARY, NGX_IOT_MQTT_IN_CONN|NGX_IOT_MQTT_IN_AUTH,
      NGX_IOT_MQTT_IN_CACK|NGX_IOT_MQTT_IN_AUTH,
      0, 0, ngx_iot_mqtt_prop_offset(auth_data) },

    { NGX_IOT_MQTT_PROP_BYTE, NGX_IOT_MQTT_IN_CONN, 0,
      0, 1, ngx_iot_mqtt_prop_offset(request_problem) },

    /* 0x18 */

    { NGX_IOT_MQTT_PROP_U32, NGX_IOT_MQTT_IN_WILL, 0,
      0, NGX_IOT_MQTT_ANY, ngx_iot_mqtt_prop_offset(will_delay) },

    { NGX_IOT_MQTT_PROP_BYTE, NGX_IOT_MQTT_IN_CONN, 0,
      0, 1, ngx_iot_mqtt_prop_offset(request_response) },

    { NGX_IOT_MQTT_PROP_STRING, 0, NGX_IOT_MQTT_IN_CACK,
      0, 0, ngx_iot_mqtt_prop_offset(response_info) },

    ngx_iot_mqtt_no_prop,

    /* a client that sends it with DISCONNECT is leaving anyway */

    { NGX_IOT_MQTT_PROP_STRING, NGX_IOT_MQTT_IN_DISC,
      NGX_IOT_MQTT_IN_CACK|NGX_IOT_MQTT_IN_DISC,
      0, 0, ngx_iot_mqtt_prop_offset(server_reference) },

    ngx_iot_mqtt_no_prop,
    ngx_iot_mqtt_no_prop,

    { NGX_IOT_MQTT_PROP_STRING,
      NGX_IOT_MQTT_IN_ACKS|NGX_IOT_MQTT_IN_DISC|NGX_IOT_MQTT_IN_AUTH,
      NGX_IOT_MQTT_IN_CACK|NGX_IOT_MQTT_IN_ACKS|NGX_IOT_MQTT_IN_SACKS
      |NGX_IOT_MQTT_IN_DISC|NGX_IOT_MQTT_IN_AUTH,
      0, 0, ngx_iot_mqtt_prop_offset(reason_string) },

    /* 0x20 */

    ngx_iot_mqtt_no_prop,

    { NGX_IOT_MQTT_PROP_U16, NGX_IOT_MQTT_IN_CONN, NGX_IOT_MQTT_IN_CACK,
      1, 65535, ngx_iot_mqtt_prop_offset(receive_maximum) },

    { NGX_IOT_MQTT_PROP_U16, NGX_IOT_MQTT_IN_CONN, NGX_IOT_MQTT_IN_CACK,
      0, 65535, ngx_iot_mqtt_prop_offset(topic_alias_maximum) },

    { NGX_IOT_MQTT_PROP_U16, NGX_IOT_MQTT_IN_PUB, NGX_IOT_MQTT_IN_PUB,
      1, 65535, ngx_iot_mqtt_prop_offset(topic_alias) },

    { NGX_IOT_MQTT_PROP_BYTE, 0, NGX_IOT_MQTT_IN_CACK,
      0, 1, ngx_iot_mqtt_prop_offset(maximum_qos) },

    { NGX_IOT_MQTT_PROP_BYTE, 0, NGX_IOT_MQTT_IN_CACK,
      0, 1, ngx_iot_mqtt_prop_offset(retain_available) },

    { NGX_IOT_MQTT_PROP_PAIR,
      NGX_IOT_MQTT_MESSAGE|NGX_IOT_MQTT_IN_CONN|NGX_IOT_MQTT_IN_ACKS
      |NGX_IOT_MQTT_IN_SUB|NGX_IOT_MQTT_IN_UNSUB|NGX_IOT_MQTT_IN_DISC
      |NGX_IOT_MQTT_IN_AUTH,
      NGX_IOT_MQTT_IN_PUB|NGX_IOT_MQTT_IN_CACK|NGX_IOT_MQTT_IN_ACKS
      |NGX_IOT_MQTT_IN_SACKS|NGX_IOT_MQTT_IN_DISC|NGX_IOT_MQTT_IN_AUTH,
      0, 0, 0 },

    { NGX_IOT_MQTT_PROP_U32, NGX_IOT_MQTT_IN_CONN, NGX_IOT_MQTT_IN_CACK,
      1, NGX_IOT_MQTT_ANY, ngx_iot_mqtt_prop_offset(maximum_packet) },

    /* 0x28 */

    { NGX_IOT_MQTT_PROP_BYTE, 0, NGX_IOT_MQTT_IN_CACK,
      0, 1, ngx_iot_mqtt_prop_offset(wildcard_available) },

    { NGX_IOT_MQTT_PROP_BYTE, 0, NGX_IOT_MQTT_IN_CACK,
      0, 1, ngx_iot_mqtt_prop_offset(sub_id_available) },

    { NGX_IOT_MQTT_PROP_BYTE, 0, NGX_IOT_MQTT_IN_CACK,
      0, 1, ngx_iot_mqtt_prop_offset(shared_available) }
};


ngx_int_t
ngx_iot_mqtt_varint_read(u_char **pos, u_char *end, uint32_t *value)
{
    u_char      *p;
    uint32_t     n;
    ngx_uint_t   shift;

    p = *pos;
    n = 0;

    for (shift = 0; shift < 28; shift += 7) {

        if (p == end) {
            return NGX_AGAIN;
        }

        n |= (uint32_t) (*p & 0x7f) << shift;

        if ((*p++ & 0x80) == 0) {

            if (shift && p[-1] == 0) {
                return NGX_ERROR;
            }

            *pos = p;
            *value = n;

            return NGX_OK;
        }
    }

    return NGX_ERROR;
}


size_t
ngx_iot_mqtt_varint_size(size_t value)
{
    if (value < 128) {
        return 1;
    }

    if (value < 16384) {
        return 2;
    }

    if (value < 2097152) {
        return 3;
    }

    return (value <= NGX_IOT_MQTT_VARINT_MAX) ? 4 : 0;
}


u_char *
ngx_iot_mqtt_varint_write(u_char *dst, size_t value)
{
    while (value > 127) {
        *dst++ = (u_char) (value | 0x80);
        value >>= 7;
    }

    *dst++ = (u_char) value;

    return dst;
}


void
ngx_iot_mqtt_props_init(ngx_iot_mqtt_props_t *props)
{
    *props = ngx_iot_mqtt_props_default;
}


ngx_int_t
ngx_iot_mqtt_props_parse(ngx_iot_mqtt_props_t *props, ngx_uint_t type,
    ngx_uint_t from_server, u_char **pos, u_char *end, const char **detail)
{
    u_char                   *p, *last;
    uint32_t                  len, id;
    ngx_int_t                 rc;
    ngx_iot_mqtt_prop_ctx_t   ctx;

    ngx_iot_mqtt_props_init(props);

    if (ngx_iot_mqtt_varint_read(pos, end, &len) != NGX_OK
        || len > (size_t) (end - *pos))
    {
        *detail = "bad length of properties";
        return NGX_IOT_MQTT_MALFORMED;
    }

    p = *pos;
    last = p + len;

    props->raw.data = p;
    props->raw.len = len;
    props->parsed = 1;

    ctx.props = props;
    ctx.type = type;
    ctx.from_server = from_server;
    ctx.detail = detail;

    while (p < last) {

        if (ngx_iot_mqtt_varint_read(&p, last, &id) != NGX_OK
            || id > NGX_IOT_MQTT_PROP_LAST)
        {
            *detail = "unknown property";
            return NGX_IOT_MQTT_MALFORMED;
        }

        rc = ngx_iot_mqtt_prop_admit(&ctx, id);
        if (rc != NGX_OK) {
            return rc;
        }

        rc = ngx_iot_mqtt_prop_read(&ctx, id, &p, last);
        if (rc != NGX_OK) {
            return rc;
        }
    }

    if (ngx_iot_mqtt_props_has(props, NGX_IOT_MQTT_PROP_AUTH_DATA)
        && !ngx_iot_mqtt_props_has(props, NGX_IOT_MQTT_PROP_AUTH_METHOD))
    {
        *detail = "authentication data without a method";
        return NGX_IOT_MQTT_PROTOCOL_ERROR;
    }

    *pos = last;

    return NGX_OK;
}


static ngx_int_t
ngx_iot_mqtt_prop_admit(ngx_iot_mqtt_prop_ctx_t *ctx, ngx_uint_t id)
{
    uint16_t                         mine, others;
    const ngx_iot_mqtt_prop_spec_t  *spec;

    spec = &ngx_iot_mqtt_prop_specs[id];

    if (spec->type == NGX_IOT_MQTT_PROP_NONE) {
        *ctx->detail = "unknown property";
        return NGX_IOT_MQTT_MALFORMED;
    }

    mine = ctx->from_server ? spec->server : spec->client;
    others = ctx->from_server ? spec->client : spec->server;

    if ((mine & (1 << ctx->type)) == 0) {

        if (others & (1 << ctx->type)) {
            *ctx->detail = "property of the other side";
            return NGX_IOT_MQTT_PROTOCOL_ERROR;
        }

        *ctx->detail = "property not allowed in this packet";
        return NGX_IOT_MQTT_MALFORMED;
    }

    if (ngx_iot_mqtt_props_has(ctx->props, id)
        && id != NGX_IOT_MQTT_PROP_USER
        && !(id == NGX_IOT_MQTT_PROP_SUBSCRIPTION_ID
             && ctx->type == NGX_IOT_MQTT_PUBLISH))
    {
        *ctx->detail = "repeated property";
        return NGX_IOT_MQTT_PROTOCOL_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_iot_mqtt_prop_read(ngx_iot_mqtt_prop_ctx_t *ctx, ngx_uint_t id,
    u_char **pos, u_char *end)
{
    uint32_t                   number;
    ngx_str_t                  string;
    ngx_iot_mqtt_prop_type_e   type;

    type = ngx_iot_mqtt_prop_specs[id].type;

    switch (type) {

    case NGX_IOT_MQTT_PROP_PAIR:
        return ngx_iot_mqtt_prop_pair(ctx, pos, end);

    case NGX_IOT_MQTT_PROP_STRING:
    case NGX_IOT_MQTT_PROP_BINARY:

        if (ngx_iot_mqtt_prop_string(pos, end, &string) != NGX_OK) {
            break;
        }

        if (type == NGX_IOT_MQTT_PROP_STRING
            && ngx_iot_utf8_check_mqtt(string.data, string.len) != NGX_OK)
        {
            *ctx->detail = "bad UTF-8 in a property";
            return NGX_IOT_MQTT_MALFORMED;
        }

        return ngx_iot_mqtt_prop_store_string(ctx, id, &string);

    default:

        if (ngx_iot_mqtt_prop_number(pos, end, type, &number) != NGX_OK) {
            break;
        }

        return ngx_iot_mqtt_prop_store_number(ctx, id, number);
    }

    *ctx->detail = "property cut short";

    return NGX_IOT_MQTT_MALFORMED;
}


static ngx_int_t
ngx_iot_mqtt_prop_number(u_char **pos, u_char *end,
    ngx_iot_mqtt_prop_type_e type, uint32_t *value)
{
    u_char    *p;
    uint32_t   n;
    size_t     size;

    if (type == NGX_IOT_MQTT_PROP_VARINT) {
        return ngx_iot_mqtt_varint_read(pos, end, value);
    }

    size = (type == NGX_IOT_MQTT_PROP_BYTE) ? 1
           : (type == NGX_IOT_MQTT_PROP_U16) ? 2 : 4;

    p = *pos;

    if ((size_t) (end - p) < size) {
        return NGX_ERROR;
    }

    n = 0;

    while (size--) {
        n = (n << 8) | *p++;
    }

    *pos = p;
    *value = n;

    return NGX_OK;
}


static ngx_int_t
ngx_iot_mqtt_prop_string(u_char **pos, u_char *end, ngx_str_t *s)
{
    u_char  *p;
    size_t   len;

    p = *pos;

    if (end - p < 2) {
        return NGX_ERROR;
    }

    len = ((size_t) p[0] << 8) | p[1];
    p += 2;

    if ((size_t) (end - p) < len) {
        return NGX_ERROR;
    }

    s->data = p;
    s->len = len;

    *pos = p + len;

    return NGX_OK;
}


static ngx_int_t
ngx_iot_mqtt_prop_pair(ngx_iot_mqtt_prop_ctx_t *ctx, u_char **pos,
    u_char *end)
{
    ngx_str_t  name, value;

    if (ngx_iot_mqtt_prop_string(pos, end, &name) != NGX_OK
        || ngx_iot_mqtt_prop_string(pos, end, &value) != NGX_OK)
    {
        *ctx->detail = "user property cut short";
        return NGX_IOT_MQTT_MALFORMED;
    }

    if (ngx_iot_utf8_check_mqtt(name.data, name.len) != NGX_OK
        || ngx_iot_utf8_check_mqtt(value.data, value.len) != NGX_OK)
    {
        *ctx->detail = "bad UTF-8 in a user property";
        return NGX_IOT_MQTT_MALFORMED;
    }

    ngx_iot_mqtt_props_set(ctx->props, NGX_IOT_MQTT_PROP_USER);
    ctx->props->nuser++;

    return NGX_OK;
}


static ngx_int_t
ngx_iot_mqtt_prop_store_number(ngx_iot_mqtt_prop_ctx_t *ctx, ngx_uint_t id,
    uint32_t value)
{
    uint32_t                        *field;
    const ngx_iot_mqtt_prop_spec_t  *spec;

    spec = &ngx_iot_mqtt_prop_specs[id];

    if (value < spec->min || value > spec->max) {

        if (id == NGX_IOT_MQTT_PROP_TOPIC_ALIAS) {
            *ctx->detail = "topic alias is 0";
            return NGX_IOT_MQTT_BAD_ALIAS;
        }

        *ctx->detail = "property out of range";
        return NGX_IOT_MQTT_PROTOCOL_ERROR;
    }

    if (id == NGX_IOT_MQTT_PROP_SUBSCRIPTION_ID
        && ctx->props->nsubscription_ids++)
    {
        return NGX_OK;
    }

    field = (uint32_t *) ((u_char *) ctx->props + spec->offset);
    *field = value;

    ngx_iot_mqtt_props_set(ctx->props, id);

    return NGX_OK;
}


static ngx_int_t
ngx_iot_mqtt_prop_store_string(ngx_iot_mqtt_prop_ctx_t *ctx, ngx_uint_t id,
    ngx_str_t *value)
{
    ngx_str_t  *field;

    if (id == NGX_IOT_MQTT_PROP_RESPONSE_TOPIC
        && ngx_iot_topic_name_check(value, 0) != NGX_OK)
    {
        *ctx->detail = "response topic is not a topic name";
        return NGX_IOT_MQTT_PROTOCOL_ERROR;
    }

    field = (ngx_str_t *) ((u_char *) ctx->props
                           + ngx_iot_mqtt_prop_specs[id].offset);
    *field = *value;

    ngx_iot_mqtt_props_set(ctx->props, id);

    return NGX_OK;
}


/* blocks made by a caller come here too, so nothing is taken for granted */

u_char *
ngx_iot_mqtt_prop_end(u_char *p, u_char *end)
{
    uint32_t                   id, number;
    ngx_str_t                  string;
    ngx_int_t                  rc;
    ngx_iot_mqtt_prop_type_e   type;

    if (ngx_iot_mqtt_varint_read(&p, end, &id) != NGX_OK
        || id > NGX_IOT_MQTT_PROP_LAST)
    {
        return NULL;
    }

    type = ngx_iot_mqtt_prop_specs[id].type;

    switch (type) {

    case NGX_IOT_MQTT_PROP_NONE:
        return NULL;

    case NGX_IOT_MQTT_PROP_PAIR:

        if (ngx_iot_mqtt_prop_string(&p, end, &string) != NGX_OK) {
            return NULL;
        }

        /* fall through */

    case NGX_IOT_MQTT_PROP_STRING:
    case NGX_IOT_MQTT_PROP_BINARY:
        rc = ngx_iot_mqtt_prop_string(&p, end, &string);
        break;

    default:
        rc = ngx_iot_mqtt_prop_number(&p, end, type, &number);
    }

    return (rc == NGX_OK) ? p : NULL;
}


/* all identifiers are below 128, so the first byte of a property is its own */

u_char *
ngx_iot_mqtt_prop_next(const ngx_iot_mqtt_props_t *props, u_char **cursor,
    ngx_uint_t id)
{
    u_char  *p, *next, *end;

    if (props->raw.len == 0) {
        return NULL;
    }

    p = (*cursor == NULL) ? props->raw.data : *cursor;
    end = props->raw.data + props->raw.len;

    while (p < end) {
        next = ngx_iot_mqtt_prop_end(p, end);

        if (next == NULL) {
            break;
        }

        if (*p == id) {
            *cursor = next;
            return p;
        }

        p = next;
    }

    *cursor = end;

    return NULL;
}


ngx_int_t
ngx_iot_mqtt_props_next_user(const ngx_iot_mqtt_props_t *props,
    u_char **cursor, ngx_str_t *name, ngx_str_t *value)
{
    u_char  *p;

    p = ngx_iot_mqtt_prop_next(props, cursor, NGX_IOT_MQTT_PROP_USER);

    if (p == NULL) {
        return NGX_DONE;
    }

    p++;

    (void) ngx_iot_mqtt_prop_string(&p, *cursor, name);
    (void) ngx_iot_mqtt_prop_string(&p, *cursor, value);

    return NGX_OK;
}


ngx_int_t
ngx_iot_mqtt_props_next_subscription_id(const ngx_iot_mqtt_props_t *props,
    u_char **cursor, uint32_t *id)
{
    u_char  *p;

    p = ngx_iot_mqtt_prop_next(props, cursor,
                               NGX_IOT_MQTT_PROP_SUBSCRIPTION_ID);

    if (p == NULL) {
        return NGX_DONE;
    }

    p++;

    (void) ngx_iot_mqtt_varint_read(&p, *cursor, id);

    return NGX_OK;
}
