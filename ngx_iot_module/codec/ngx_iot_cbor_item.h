
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_IOT_CBOR_ITEM_H_INCLUDED_
#define _NGX_IOT_CBOR_ITEM_H_INCLUDED_


#include "ngx_iot_codec.h"


typedef enum {
    NGX_IOT_CBOR_UINT = 0,            /* n */
    NGX_IOT_CBOR_NINT,                /* -1 - n */
    NGX_IOT_CBOR_BYTES,               /* s, or chunks until a break */
    NGX_IOT_CBOR_TEXT,                /* the same; not known to be UTF-8 */
    NGX_IOT_CBOR_ARRAY,               /* n items, or items until a break */
    NGX_IOT_CBOR_MAP,                 /* n pairs, or pairs until a break */
    NGX_IOT_CBOR_TAG,                 /* n, on the next item */
    NGX_IOT_CBOR_FLOAT,               /* d */
    NGX_IOT_CBOR_BOOL,                /* n is 0 or 1 */
    NGX_IOT_CBOR_NULL,                /* null or undefined */
    NGX_IOT_CBOR_BREAK
} ngx_iot_cbor_item_e;


typedef struct {
    ngx_uint_t        type;
    uint64_t          n;
    double            d;
    ngx_str_t         s;

    unsigned          indefinite:1;
} ngx_iot_cbor_item_t;


/*
 * One head (RFC 8949 section 3), with the bytes of a string of definite
 * length; *pos moves on.  NGX_OK, NGX_AGAIN: it is cut off, NGX_DECLINED: it
 * is none, or a simple value other than 20 to 23.
 */
ngx_int_t ngx_iot_cbor_item(ngx_iot_cbor_item_t *item, u_char **pos,
    u_char *last);


#endif /* _NGX_IOT_CBOR_ITEM_H_INCLUDED_ */
