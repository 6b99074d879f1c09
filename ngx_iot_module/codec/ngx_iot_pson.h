
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_IOT_PSON_H_INCLUDED_
#define _NGX_IOT_PSON_H_INCLUDED_


#include "ngx_iot_codec.h"
#include "ngx_iot_tree.h"


/*
 * PSON, the binary JSON of Thinger.io devices.  Version 1 is spoken by the
 * native protocol and the first IOTMP generation, version 2 by the current
 * IOTMP; they share nothing but the varint.
 *
 * NGX_IOT_PSON_EXACT, or-ed to a version for the encoder: doubles become
 * floats only without loss.  Otherwise version 1 does as its clients do and
 * sends a double as a float when the two differ by at most 1e-5.
 */

#define NGX_IOT_PSON_V1       1
#define NGX_IOT_PSON_V2       2
#define NGX_IOT_PSON_VERSION  0x0f
#define NGX_IOT_PSON_EXACT    0x10


/*
 * All readers move *pos behind what they read on NGX_OK and leave it alone
 * otherwise.  They return
 *
 *     NGX_OK
 *     NGX_AGAIN       the input ends inside; more bytes may complete it
 *     NGX_DECLINED    malformed, whatever follows
 *     NGX_BUSY        over a limit, known before the bytes arrive
 *     NGX_ERROR       no memory
 *
 * A caller that has the whole message takes NGX_AGAIN for malformed.
 */

/* base 128, least significant group first; five bytes hold 32 bits at most */

ngx_int_t ngx_iot_varint32(u_char **pos, u_char *end, uint32_t *value);
ngx_int_t ngx_iot_varint64(u_char **pos, u_char *end, uint64_t *value);
size_t ngx_iot_varint_size(uint64_t value);
u_char *ngx_iot_varint_write(u_char *p, uint64_t value);

/*
 * One value.  Texts, bytes and keys point into the input.  Of equal keys the
 * last is kept.  A negative integer below INT64_MIN is malformed.
 */

ngx_int_t ngx_iot_pson_decode(ngx_iot_tree_t **out, ngx_uint_t version,
    u_char **pos, u_char *end, ngx_iot_tree_limit_t *limit,
    ngx_iot_alloc_t *alloc);

/* the same checks and the same end, but nothing is built or allocated */

ngx_int_t ngx_iot_pson_skip(ngx_uint_t version, u_char **pos, u_char *end,
    ngx_iot_tree_limit_t *limit);

/* the same, and *value tells what it was; it has no items if a container */

ngx_int_t ngx_iot_pson_scalar(ngx_iot_tree_t *value, ngx_uint_t version,
    u_char **pos, u_char *end, ngx_iot_tree_limit_t *limit);

/*
 * size() is exact and leaves its notes in the containers of the tree for
 * write(), which has to follow with the same version, and with nothing else
 * in between.  It is 0 when the tree cannot be encoded: nested deeper than
 * NGX_IOT_TREE_MAX_DEPTH, or a length over 32 bits.
 */

size_t ngx_iot_pson_size(ngx_uint_t version, ngx_iot_tree_t *tree);
u_char *ngx_iot_pson_write(u_char *p, ngx_uint_t version,
    ngx_iot_tree_t *tree);

/* a text alone, without a tree */

size_t ngx_iot_pson_text_size(ngx_uint_t version, size_t len);
u_char *ngx_iot_pson_text_write(u_char *p, ngx_uint_t version,
    ngx_str_t *text);


#endif /* _NGX_IOT_PSON_H_INCLUDED_ */
