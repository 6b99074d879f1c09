
/*
 * Copyright (C) the ngx_iot authors
 */


#include <stdbool.h>
#include <cbor.h>
#include "ngx_iot_cbor_item.h"


/*
 * libcbor is used through its streaming decoder alone.  cbor_load() would
 * allocate whatever an array claims to hold before it has seen one element,
 * and a tree would be built only to be walked once.
 */


static void ngx_iot_cbor_uint(void *data, uint64_t n);
static void ngx_iot_cbor_uint8(void *data, uint8_t n);
static void ngx_iot_cbor_uint16(void *data, uint16_t n);
static void ngx_iot_cbor_uint32(void *data, uint32_t n);
static void ngx_iot_cbor_nint(void *data, uint64_t n);
static void ngx_iot_cbor_nint8(void *data, uint8_t n);
static void ngx_iot_cbor_nint16(void *data, uint16_t n);
static void ngx_iot_cbor_nint32(void *data, uint32_t n);
static void ngx_iot_cbor_bytes(void *data, cbor_data s, size_t len);
static void ngx_iot_cbor_bytes_start(void *data);
static void ngx_iot_cbor_text(void *data, cbor_data s, size_t len);
static void ngx_iot_cbor_text_start(void *data);
static void ngx_iot_cbor_array(void *data, size_t n);
static void ngx_iot_cbor_array_start(void *data);
static void ngx_iot_cbor_map(void *data, size_t n);
static void ngx_iot_cbor_map_start(void *data);
static void ngx_iot_cbor_tag(void *data, uint64_t n);
static void ngx_iot_cbor_float(void *data, float d);
static void ngx_iot_cbor_double(void *data, double d);
static void ngx_iot_cbor_bool(void *data, bool n);
static void ngx_iot_cbor_null(void *data);
static void ngx_iot_cbor_break(void *data);


static const struct cbor_callbacks  ngx_iot_cbor_callbacks = {
    .uint8 = ngx_iot_cbor_uint8,
    .uint16 = ngx_iot_cbor_uint16,
    .uint32 = ngx_iot_cbor_uint32,
    .uint64 = ngx_iot_cbor_uint,
    .negint64 = ngx_iot_cbor_nint,
    .negint32 = ngx_iot_cbor_nint32,
    .negint16 = ngx_iot_cbor_nint16,
    .negint8 = ngx_iot_cbor_nint8,
    .byte_string_start = ngx_iot_cbor_bytes_start,
    .byte_string = ngx_iot_cbor_bytes,
    .string = ngx_iot_cbor_text,
    .string_start = ngx_iot_cbor_text_start,
    .indef_array_start = ngx_iot_cbor_array_start,
    .array_start = ngx_iot_cbor_array,
    .indef_map_start = ngx_iot_cbor_map_start,
    .map_start = ngx_iot_cbor_map,
    .tag = ngx_iot_cbor_tag,
    .float2 = ngx_iot_cbor_float,
    .float4 = ngx_iot_cbor_float,
    .float8 = ngx_iot_cbor_double,
    .undefined = ngx_iot_cbor_null,
    .null = ngx_iot_cbor_null,
    .boolean = ngx_iot_cbor_bool,
    .indef_break = ngx_iot_cbor_break
};


ngx_int_t
ngx_iot_cbor_item(ngx_iot_cbor_item_t *item, u_char **pos, u_char *last)
{
    u_char                      *p;
    struct cbor_decoder_result   result;

    p = *pos;

    if (p == last) {
        return NGX_AGAIN;
    }

    item->n = 0;
    item->indefinite = 0;

    /* some versions take the tags 6 to 20 for reserved encodings */

    if (*p >= 0xc6 && *p <= 0xd4) {
        item->type = NGX_IOT_CBOR_TAG;
        item->n = *p & 0x1f;
        *pos = p + 1;
        return NGX_OK;
    }

    result = cbor_stream_decode(p, last - p, &ngx_iot_cbor_callbacks, item);

    switch (result.status) {

    case CBOR_DECODER_FINISHED:
        *pos = p + result.read;
        return NGX_OK;

    case CBOR_DECODER_NEDATA:
        return NGX_AGAIN;

    default: /* CBOR_DECODER_ERROR */
        return NGX_DECLINED;
    }
}


static void
ngx_iot_cbor_uint(void *data, uint64_t n)
{
    ngx_iot_cbor_item_t  *item = data;

    item->type = NGX_IOT_CBOR_UINT;
    item->n = n;
}


static void
ngx_iot_cbor_uint8(void *data, uint8_t n)
{
    ngx_iot_cbor_uint(data, n);
}


static void
ngx_iot_cbor_uint16(void *data, uint16_t n)
{
    ngx_iot_cbor_uint(data, n);
}


static void
ngx_iot_cbor_uint32(void *data, uint32_t n)
{
    ngx_iot_cbor_uint(data, n);
}


static void
ngx_iot_cbor_nint(void *data, uint64_t n)
{
    ngx_iot_cbor_item_t  *item = data;

    item->type = NGX_IOT_CBOR_NINT;
    item->n = n;
}


static void
ngx_iot_cbor_nint8(void *data, uint8_t n)
{
    ngx_iot_cbor_nint(data, n);
}


static void
ngx_iot_cbor_nint16(void *data, uint16_t n)
{
    ngx_iot_cbor_nint(data, n);
}


static void
ngx_iot_cbor_nint32(void *data, uint32_t n)
{
    ngx_iot_cbor_nint(data, n);
}


static void
ngx_iot_cbor_bytes(void *data, cbor_data s, size_t len)
{
    ngx_iot_cbor_item_t  *item = data;

    item->type = NGX_IOT_CBOR_BYTES;
    item->s.data = (u_char *) s;
    item->s.len = len;
}


static void
ngx_iot_cbor_bytes_start(void *data)
{
    ngx_iot_cbor_item_t  *item = data;

    item->type = NGX_IOT_CBOR_BYTES;
    item->indefinite = 1;
}


static void
ngx_iot_cbor_text(void *data, cbor_data s, size_t len)
{
    ngx_iot_cbor_item_t  *item = data;

    item->type = NGX_IOT_CBOR_TEXT;
    item->s.data = (u_char *) s;
    item->s.len = len;
}


static void
ngx_iot_cbor_text_start(void *data)
{
    ngx_iot_cbor_item_t  *item = data;

    item->type = NGX_IOT_CBOR_TEXT;
    item->indefinite = 1;
}


static void
ngx_iot_cbor_array(void *data, size_t n)
{
    ngx_iot_cbor_item_t  *item = data;

    item->type = NGX_IOT_CBOR_ARRAY;
    item->n = n;
}


static void
ngx_iot_cbor_array_start(void *data)
{
    ngx_iot_cbor_item_t  *item = data;

    item->type = NGX_IOT_CBOR_ARRAY;
    item->indefinite = 1;
}


static void
ngx_iot_cbor_map(void *data, size_t n)
{
    ngx_iot_cbor_item_t  *item = data;

    item->type = NGX_IOT_CBOR_MAP;
    item->n = n;
}


static void
ngx_iot_cbor_map_start(void *data)
{
    ngx_iot_cbor_item_t  *item = data;

    item->type = NGX_IOT_CBOR_MAP;
    item->indefinite = 1;
}


static void
ngx_iot_cbor_tag(void *data, uint64_t n)
{
    ngx_iot_cbor_item_t  *item = data;

    item->type = NGX_IOT_CBOR_TAG;
    item->n = n;
}


static void
ngx_iot_cbor_float(void *data, float d)
{
    ngx_iot_cbor_item_t  *item = data;

    item->type = NGX_IOT_CBOR_FLOAT;
    item->d = (double) d;
}


static void
ngx_iot_cbor_double(void *data, double d)
{
    ngx_iot_cbor_item_t  *item = data;

    item->type = NGX_IOT_CBOR_FLOAT;
    item->d = d;
}


static void
ngx_iot_cbor_bool(void *data, bool n)
{
    ngx_iot_cbor_item_t  *item = data;

    item->type = NGX_IOT_CBOR_BOOL;
    item->n = n;
}


static void
ngx_iot_cbor_null(void *data)
{
    ngx_iot_cbor_item_t  *item = data;

    item->type = NGX_IOT_CBOR_NULL;
}


static void
ngx_iot_cbor_break(void *data)
{
    ngx_iot_cbor_item_t  *item = data;

    item->type = NGX_IOT_CBOR_BREAK;
}
