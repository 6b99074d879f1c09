
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_IOT_CBOR_READ_H_INCLUDED_
#define _NGX_IOT_CBOR_READ_H_INCLUDED_


#include "ngx_iot_cbor.h"
#include "ngx_iot_cbor_item.h"
#include "ngx_iot_keyset.h"


/*
 * The strict reader under ngx_iot_cbor.c: nodes, containers and keys of one
 * body.  Functions return NGX_OK, NGX_DONE (the end of a container),
 * NGX_DECLINED (error is set) or NGX_ERROR (no memory).
 */

typedef enum {
    NGX_IOT_CBOR_E_EMPTY = 0,
    NGX_IOT_CBOR_E_TRUNCATED,
    NGX_IOT_CBOR_E_TRAILING,
    NGX_IOT_CBOR_E_MALFORMED,
    NGX_IOT_CBOR_E_SHAPE,
    NGX_IOT_CBOR_E_KEY,
    NGX_IOT_CBOR_E_DUPKEY,
    NGX_IOT_CBOR_E_RANGE,
    NGX_IOT_CBOR_E_TAG,
    NGX_IOT_CBOR_E_TS,
    NGX_IOT_CBOR_E_DEPTH,
    NGX_IOT_CBOR_E_LIMIT
} ngx_iot_cbor_error_e;


#define NGX_IOT_CBOR_NO_TAG       ((uint64_t) -1)

#define NGX_IOT_CBOR_TAG_DATE     0
#define NGX_IOT_CBOR_TAG_EPOCH    1
#define NGX_IOT_CBOR_TAG_BIGNUM   2
#define NGX_IOT_CBOR_TAG_NBIGNUM  3
#define NGX_IOT_CBOR_TAG_BASE64U  21
#define NGX_IOT_CBOR_TAG_BASE64   22
#define NGX_IOT_CBOR_TAG_BASE16   23
#define NGX_IOT_CBOR_TAG_CBOR     55799


typedef struct {
    u_char               *pos;
    u_char               *last;

    ngx_iot_alloc_t      *alloc;

    ngx_str_t            *keys;       /* of the maps that are open */
    ngx_uint_t            nkeys;
    ngx_uint_t            nalloc;

    ngx_uint_t            depth;
    ngx_uint_t            error;      /* ngx_iot_cbor_error_e */

    unsigned              again:1;    /* read before, no key is twice */
} ngx_iot_cbor_t;


typedef struct {
    ngx_iot_cbor_item_t   item;       /* strings joined, bignums resolved */
    uint64_t              tag;
    int64_t               l;          /* the value of UINT and NINT */

    unsigned              range:1;    /* a scalar that no value can hold */
} ngx_iot_cbor_node_t;


typedef struct {
    uint64_t              left;
    ngx_uint_t            base;
    ngx_iot_keyset_t      keys;

    unsigned              indefinite:1;
} ngx_iot_cbor_level_t;


void ngx_iot_cbor_begin(ngx_iot_cbor_t *cbor, ngx_str_t *body,
    ngx_iot_alloc_t *alloc);
ngx_int_t ngx_iot_cbor_bad(ngx_iot_cbor_t *cbor, ngx_uint_t error);

/* the first node, after an optional tag 55799 */
ngx_int_t ngx_iot_cbor_first(ngx_iot_cbor_t *cbor, ngx_iot_cbor_node_t *node);

/* one node with its tag; of a container only the head */
ngx_int_t ngx_iot_cbor_node(ngx_iot_cbor_t *cbor, ngx_iot_cbor_node_t *node);

/* into the array or map that node is */
ngx_int_t ngx_iot_cbor_open(ngx_iot_cbor_t *cbor, ngx_iot_cbor_level_t *level,
    ngx_iot_cbor_node_t *node);

/* is there another element? */
ngx_int_t ngx_iot_cbor_more(ngx_iot_cbor_t *cbor, ngx_iot_cbor_level_t *level);

/* the next key of a map */
ngx_int_t ngx_iot_cbor_key(ngx_iot_cbor_t *cbor, ngx_iot_cbor_level_t *level,
    ngx_str_t *key);

/*
 * The value whose node has been read as JSON: *dst moves on, or only *size
 * grows when dst is NULL.
 */
ngx_int_t ngx_iot_cbor_json(ngx_iot_cbor_t *cbor, ngx_iot_cbor_node_t *node,
    u_char **dst, size_t *size);

/* the text of a byte string by its tag, in alloc */
ngx_int_t ngx_iot_cbor_bytes_text(ngx_iot_cbor_t *cbor,
    ngx_iot_cbor_node_t *node, ngx_str_t *text);

/* milliseconds of a date and time with zone, RFC 3339 section 5.6 */
ngx_int_t ngx_iot_cbor_date(ngx_str_t *text, int64_t *ms);


#endif /* _NGX_IOT_CBOR_READ_H_INCLUDED_ */
