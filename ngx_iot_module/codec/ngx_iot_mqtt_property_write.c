
/*
 * Copyright (C) the ngx_iot authors
 */


#include "ngx_iot_codec.h"
#include "ngx_iot_mqtt_property.h"
#include "ngx_iot_mqtt_property_spec.h"
#include "ngx_iot_mqtt_writer.h"


static void ngx_iot_mqtt_prop_put(ngx_iot_mqtt_writer_t *w,
    const ngx_iot_mqtt_props_t *props, ngx_uint_t id);
static void ngx_iot_mqtt_prop_put_raw(ngx_iot_mqtt_writer_t *w,
    const ngx_iot_mqtt_props_t *props, ngx_uint_t id);
static void ngx_iot_mqtt_props_put(ngx_iot_mqtt_writer_t *w,
    const ngx_iot_mqtt_props_t *props, uint64_t which);
static void ngx_iot_mqtt_props_put_forward(ngx_iot_mqtt_writer_t *w,
    const ngx_iot_mqtt_props_t *props);


static void
ngx_iot_mqtt_prop_put_raw(ngx_iot_mqtt_writer_t *w,
    const ngx_iot_mqtt_props_t *props, ngx_uint_t id)
{
    u_char  *p, *cursor;

    cursor = NULL;

    for ( ;; ) {
        p = ngx_iot_mqtt_prop_next(props, &cursor, id);

        if (p == NULL) {
            return;
        }

        ngx_iot_mqtt_put_bytes(w, p, cursor - p);
    }
}


static void
ngx_iot_mqtt_prop_put(ngx_iot_mqtt_writer_t *w,
    const ngx_iot_mqtt_props_t *props, ngx_uint_t id)
{
    uint32_t                         value;
    const u_char                    *field;
    const ngx_iot_mqtt_prop_spec_t  *spec;

    spec = &ngx_iot_mqtt_prop_specs[id];
    field = (const u_char *) props + spec->offset;

    switch (spec->type) {

    case NGX_IOT_MQTT_PROP_STRING:
    case NGX_IOT_MQTT_PROP_BINARY:
        ngx_iot_mqtt_put_byte(w, id);
        ngx_iot_mqtt_put_string(w, (const ngx_str_t *) field);
        return;

    case NGX_IOT_MQTT_PROP_PAIR:
        ngx_iot_mqtt_prop_put_raw(w, props, id);
        return;

    default:
        break;
    }

    if (id == NGX_IOT_MQTT_PROP_SUBSCRIPTION_ID
        && props->nsubscription_ids > 1)
    {
        ngx_iot_mqtt_prop_put_raw(w, props, id);
        return;
    }

    value = *(const uint32_t *) field;

    if (value > spec->max) {
        w->bad = 1;
        return;
    }

    ngx_iot_mqtt_put_byte(w, id);

    switch (spec->type) {

    case NGX_IOT_MQTT_PROP_BYTE:
        ngx_iot_mqtt_put_byte(w, value);
        break;

    case NGX_IOT_MQTT_PROP_VARINT:

        if (w->pos) {
            w->pos = ngx_iot_mqtt_varint_write(w->pos, value);
        }

        w->len += ngx_iot_mqtt_varint_size(value);
        break;

    case NGX_IOT_MQTT_PROP_U32:
        ngx_iot_mqtt_put_u16(w, value >> 16);

        /* fall through */

    default: /* NGX_IOT_MQTT_PROP_U16 */
        ngx_iot_mqtt_put_u16(w, value & 0xffff);
    }
}


static void
ngx_iot_mqtt_props_put(ngx_iot_mqtt_writer_t *w,
    const ngx_iot_mqtt_props_t *props, uint64_t which)
{
    uint64_t    bits;
    ngx_uint_t  id;

    bits = props->present & which;

    for (id = 1; id <= NGX_IOT_MQTT_PROP_LAST && bits >> id; id++) {

        if ((bits >> id & 1)
            && ngx_iot_mqtt_prop_specs[id].type != NGX_IOT_MQTT_PROP_NONE)
        {
            ngx_iot_mqtt_prop_put(w, props, id);
        }
    }
}


size_t
ngx_iot_mqtt_props_size(const ngx_iot_mqtt_props_t *props)
{
    size_t                  size;
    ngx_iot_mqtt_writer_t   w;

    if (props->present == 0) {
        return 1;
    }

    ngx_memzero(&w, sizeof(ngx_iot_mqtt_writer_t));

    ngx_iot_mqtt_props_put(&w, props, ~(uint64_t) 0);

    size = ngx_iot_mqtt_varint_size(w.len);

    if (w.bad || size == 0) {
        return 0;
    }

    return size + w.len;
}


u_char *
ngx_iot_mqtt_props_write(u_char *dst, const ngx_iot_mqtt_props_t *props)
{
    ngx_iot_mqtt_writer_t  w;

    if (props->present == 0) {
        *dst++ = 0;
        return dst;
    }

    ngx_memzero(&w, sizeof(ngx_iot_mqtt_writer_t));

    ngx_iot_mqtt_props_put(&w, props, ~(uint64_t) 0);

    w.pos = ngx_iot_mqtt_varint_write(dst, w.len);

    ngx_iot_mqtt_props_put(&w, props, ~(uint64_t) 0);

    return w.pos;
}


size_t
ngx_iot_mqtt_props_user_size(const ngx_str_t *name, const ngx_str_t *value)
{
    if (name->len > 65535 || value->len > 65535) {
        return 0;
    }

    return 1 + 2 + name->len + 2 + value->len;
}


u_char *
ngx_iot_mqtt_props_put_user(u_char *dst, const ngx_str_t *name,
    const ngx_str_t *value)
{
    ngx_iot_mqtt_writer_t  w;

    ngx_memzero(&w, sizeof(ngx_iot_mqtt_writer_t));

    w.pos = dst;

    ngx_iot_mqtt_put_byte(&w, NGX_IOT_MQTT_PROP_USER);
    ngx_iot_mqtt_put_string(&w, name);
    ngx_iot_mqtt_put_string(&w, value);

    return w.pos;
}


static void
ngx_iot_mqtt_props_put_forward(ngx_iot_mqtt_writer_t *w,
    const ngx_iot_mqtt_props_t *props)
{
    u_char    *p, *next, *end;
    uint64_t   own;

    own = (uint64_t) 1 << NGX_IOT_MQTT_PROP_MESSAGE_EXPIRY
          | (uint64_t) 1 << NGX_IOT_MQTT_PROP_SUBSCRIPTION_ID
          | (uint64_t) 1 << NGX_IOT_MQTT_PROP_TOPIC_ALIAS
          | (uint64_t) 1 << NGX_IOT_MQTT_PROP_WILL_DELAY;

    if (!props->parsed) {
        ngx_iot_mqtt_props_put(w, props, ~own);
        return;
    }

    if (props->raw.len == 0) {
        return;
    }

    p = props->raw.data;
    end = p + props->raw.len;

    while (p < end) {
        next = ngx_iot_mqtt_prop_end(p, end);

        if (next == NULL) {
            w->bad = 1;
            return;
        }

        if ((own >> *p & 1) == 0) {
            ngx_iot_mqtt_put_bytes(w, p, next - p);
        }

        p = next;
    }
}


size_t
ngx_iot_mqtt_props_forward_size(const ngx_iot_mqtt_props_t *props)
{
    ngx_iot_mqtt_writer_t  w;

    ngx_memzero(&w, sizeof(ngx_iot_mqtt_writer_t));

    ngx_iot_mqtt_props_put_forward(&w, props);

    return w.bad ? (size_t) NGX_ERROR : w.len;
}


u_char *
ngx_iot_mqtt_props_forward(u_char *dst, const ngx_iot_mqtt_props_t *props)
{
    ngx_iot_mqtt_writer_t  w;

    ngx_memzero(&w, sizeof(ngx_iot_mqtt_writer_t));

    w.pos = dst;

    ngx_iot_mqtt_props_put_forward(&w, props);

    return w.pos;
}
