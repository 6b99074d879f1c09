
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_IOT_TREE_H_INCLUDED_
#define _NGX_IOT_TREE_H_INCLUDED_


#include "ngx_iot_codec.h"


/*
 * A value with structure: what PSON carries and JSON can mostly say.
 *
 *     NULL     nothing
 *     EMPTY    a slot that was never written (PSON v1 only); JSON null
 *     BOOL     u.i is 0 or 1
 *     INT      u.i, every integer that int64_t holds
 *     UINT     u.n, above INT64_MAX only
 *     FLOAT    u.d, a number that came as four bytes: its shortest text is
 *              that of a float
 *     DOUBLE   u.d
 *     TEXT     u.s, meant to be UTF-8 but not known to be
 *     BYTES    u.s
 *     ARRAY    u.list, linked through "next"
 *     OBJECT   u.list, linked through "next", each with its "key"
 *
 * Decoders point into their input for texts, bytes and keys wherever they
 * can, so a tree lives no longer than the input; ngx_iot_tree_copy() cuts
 * it loose.
 */

#define NGX_IOT_TREE_NULL    0
#define NGX_IOT_TREE_EMPTY   1
#define NGX_IOT_TREE_BOOL    2
#define NGX_IOT_TREE_INT     3
#define NGX_IOT_TREE_UINT    4
#define NGX_IOT_TREE_FLOAT   5
#define NGX_IOT_TREE_DOUBLE  6
#define NGX_IOT_TREE_TEXT    7
#define NGX_IOT_TREE_BYTES   8
#define NGX_IOT_TREE_ARRAY   9
#define NGX_IOT_TREE_OBJECT  10


/*
 * The bounds of decoders and readers; 0, or no structure at all, means the
 * default.  "depth" counts containers inside one another, a scalar has 0;
 * it never passes NGX_IOT_TREE_MAX_DEPTH, which bounds recursion.  "nodes"
 * counts all values.  "size" bounds the bytes that one text, byte string or
 * container may announce.
 */

#define NGX_IOT_TREE_DEPTH      64
#define NGX_IOT_TREE_MAX_DEPTH  256
#define NGX_IOT_TREE_NODES      65536
#define NGX_IOT_TREE_SIZE       (1024 * 1024)

typedef struct {
    ngx_uint_t        depth;
    ngx_uint_t        nodes;
    size_t            size;
} ngx_iot_tree_limit_t;


typedef struct ngx_iot_tree_s  ngx_iot_tree_t;

typedef struct {
    ngx_iot_tree_t   *first;
    ngx_iot_tree_t   *last;
    ngx_uint_t        n;

    /* of the PSON encoder, between measuring and writing */
    size_t            size;
} ngx_iot_tree_list_t;

struct ngx_iot_tree_s {
    ngx_uint_t        type;
    ngx_str_t         key;
    ngx_iot_tree_t   *next;

    union {
        int64_t              i;
        uint64_t             n;
        double               d;
        ngx_str_t            s;
        ngx_iot_tree_list_t  list;
    } u;
};


#define ngx_iot_tree_is_list(tree)  ((tree)->type >= NGX_IOT_TREE_ARRAY)


/* constructors return NULL when there is no memory; texts are not copied */

ngx_iot_tree_t *ngx_iot_tree_new(ngx_iot_alloc_t *alloc, ngx_uint_t type);
ngx_iot_tree_t *ngx_iot_tree_bool(ngx_iot_alloc_t *alloc, ngx_uint_t value);
ngx_iot_tree_t *ngx_iot_tree_int(ngx_iot_alloc_t *alloc, int64_t value);
ngx_iot_tree_t *ngx_iot_tree_uint(ngx_iot_alloc_t *alloc, uint64_t value);
ngx_iot_tree_t *ngx_iot_tree_double(ngx_iot_alloc_t *alloc, double value);
ngx_iot_tree_t *ngx_iot_tree_text(ngx_iot_alloc_t *alloc, ngx_str_t *value);
ngx_iot_tree_t *ngx_iot_tree_bytes(ngx_iot_alloc_t *alloc, ngx_str_t *value);

/* an item belongs to one list only; put() does not look for the same key */

void ngx_iot_tree_add(ngx_iot_tree_t *array, ngx_iot_tree_t *item);
void ngx_iot_tree_put(ngx_iot_tree_t *object, ngx_str_t *key,
    ngx_iot_tree_t *item);

/* NULL when this is no object or has no such key; the last of equal keys */

ngx_iot_tree_t *ngx_iot_tree_get(ngx_iot_tree_t *object, ngx_str_t *key);

/*
 * Keeps the last of the members with the same key, in n log n comparisons
 * whatever the keys are.  NGX_OK, or NGX_ERROR when there is no memory.
 */

ngx_int_t ngx_iot_tree_unique(ngx_iot_tree_t *object, ngx_iot_alloc_t *alloc);

/* with all texts; NULL when there is no memory */

ngx_iot_tree_t *ngx_iot_tree_copy(ngx_iot_tree_t *tree,
    ngx_iot_alloc_t *alloc);

/*
 * 1 when both say the same; order of members counts, FLOAT and DOUBLE of one
 * value are the same, NaN is equal to NaN.
 */

ngx_uint_t ngx_iot_tree_equal(ngx_iot_tree_t *a, ngx_iot_tree_t *b);

/*
 * The integer in this value, also out of a whole FLOAT or DOUBLE.  NGX_OK,
 * or NGX_DECLINED when there is none in the range of int64_t.
 */

ngx_int_t ngx_iot_tree_integer(ngx_iot_tree_t *tree, int64_t *value);

/* the bounds with defaults filled in; "limit" may be NULL */

void ngx_iot_tree_limit(ngx_iot_tree_limit_t *out,
    ngx_iot_tree_limit_t *limit);


/*
 * JSON out.  size() is a bound, not the exact length, so that numbers are
 * printed once only; write() returns the end of what it wrote.  The JSON is
 * compact and always valid: NaN and infinities are null, bytes are base64
 * text, a byte that is no UTF-8 and U+0000, which PostgreSQL cannot store,
 * become U+FFFD.
 */

size_t ngx_iot_tree_json_size(ngx_iot_tree_t *tree);
u_char *ngx_iot_tree_json_write(u_char *p, ngx_iot_tree_t *tree);

/*
 * JSON in, RFC 8259.  Integers within 64 bits are INT or UINT, all other
 * numbers DOUBLE.  Of equal keys the last is kept.
 *
 * NGX_OK, NGX_DECLINED (not JSON, or a number that no double holds),
 * NGX_BUSY (over a limit), NGX_ERROR (no memory).
 */

ngx_int_t ngx_iot_tree_json_read(ngx_iot_tree_t **out, ngx_str_t *text,
    ngx_iot_tree_limit_t *limit, ngx_iot_alloc_t *alloc);


#endif /* _NGX_IOT_TREE_H_INCLUDED_ */
