
/*
 * Copyright (C) the ngx_iot authors
 */


#include "ngx_iot_pson.h"


static ngx_int_t ngx_iot_varint(u_char **pos, u_char *end, ngx_uint_t bits,
    uint64_t *value);


ngx_int_t
ngx_iot_varint32(u_char **pos, u_char *end, uint32_t *value)
{
    uint64_t   n;
    ngx_int_t  rc;

    rc = ngx_iot_varint(pos, end, 32, &n);

    if (rc == NGX_OK) {
        *value = (uint32_t) n;
    }

    return rc;
}


ngx_int_t
ngx_iot_varint64(u_char **pos, u_char *end, uint64_t *value)
{
    return ngx_iot_varint(pos, end, 64, value);
}


/* padded forms are fine, bits beyond the width are not */

static ngx_int_t
ngx_iot_varint(u_char **pos, u_char *end, ngx_uint_t bits, uint64_t *value)
{
    u_char      *p;
    uint64_t     n;
    ngx_uint_t   shift;

    n = 0;
    shift = 0;

    for (p = *pos; p < end; p++) {

        if (bits - shift < 7 && (*p >> (bits - shift)) != 0) {
            return NGX_DECLINED;
        }

        n |= (uint64_t) (*p & 0x7f) << shift;

        if (*p < 0x80) {
            *pos = p + 1;
            *value = n;
            return NGX_OK;
        }

        shift += 7;
    }

    return NGX_AGAIN;
}


size_t
ngx_iot_varint_size(uint64_t value)
{
    size_t  size;

    for (size = 1; value > 0x7f; size++) {
        value >>= 7;
    }

    return size;
}


u_char *
ngx_iot_varint_write(u_char *p, uint64_t value)
{
    while (value > 0x7f) {
        *p++ = (u_char) (value | 0x80);
        value >>= 7;
    }

    *p++ = (u_char) value;

    return p;
}
