
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_IOT_MQTT_WRITER_H_INCLUDED_
#define _NGX_IOT_MQTT_WRITER_H_INCLUDED_


#include "ngx_iot_codec.h"


/*
 * Private to the MQTT builders: one function per structure both measures it
 * (pos NULL) and writes it, so that the two cannot disagree.
 */

typedef struct {
    u_char         *pos;
    size_t          len;
    unsigned        bad:1;          /* a field does not fit its type */
} ngx_iot_mqtt_writer_t;


static ngx_inline void
ngx_iot_mqtt_put_byte(ngx_iot_mqtt_writer_t *w, ngx_uint_t value)
{
    if (w->pos) {
        *w->pos++ = (u_char) value;
    }

    w->len++;
}


static ngx_inline void
ngx_iot_mqtt_put_u16(ngx_iot_mqtt_writer_t *w, ngx_uint_t value)
{
    if (value > 65535) {
        w->bad = 1;
    }

    ngx_iot_mqtt_put_byte(w, (value >> 8) & 0xff);
    ngx_iot_mqtt_put_byte(w, value & 0xff);
}


static ngx_inline void
ngx_iot_mqtt_put_bytes(ngx_iot_mqtt_writer_t *w, const u_char *p, size_t len)
{
    if (w->pos && len) {
        w->pos = ngx_cpymem(w->pos, p, len);
    }

    w->len += len;
}


static ngx_inline void
ngx_iot_mqtt_put_string(ngx_iot_mqtt_writer_t *w, const ngx_str_t *s)
{
    ngx_iot_mqtt_put_u16(w, s->len);
    ngx_iot_mqtt_put_bytes(w, s->data, s->len);
}


#endif /* _NGX_IOT_MQTT_WRITER_H_INCLUDED_ */
