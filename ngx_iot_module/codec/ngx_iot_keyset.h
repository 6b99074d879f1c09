
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_IOT_KEYSET_H_INCLUDED_
#define _NGX_IOT_KEYSET_H_INCLUDED_


#include "ngx_iot_codec.h"


/*
 * Finds a key among the members read so far of one object.  The members are
 * an array of the caller's structures whose first field is the ngx_str_t of
 * the key.  A handful is compared one by one; beyond that a table is kept,
 * hashed with a secret of the process, so that no choice of keys makes it
 * slow.
 */

typedef struct {
    uint64_t          seen;           /* a rough filter over all keys */
    uint32_t         *slots;          /* index + 1 */
    ngx_uint_t        nslots;         /* a power of two, 0: no table yet */
    ngx_uint_t        n;              /* keys added */
} ngx_iot_keyset_t;


#define NGX_IOT_KEYSET_NONE  ((ngx_uint_t) -1)


void ngx_iot_keyset_init(ngx_iot_keyset_t *set);

/* the index of the key in items, or NGX_IOT_KEYSET_NONE */
ngx_uint_t ngx_iot_keyset_find(ngx_iot_keyset_t *set, void *items,
    size_t stride, ngx_str_t *key);

/*
 * To be called when items[set->n] has been filled: its index is set->n.
 * NGX_OK or NGX_ERROR (no memory).
 */
ngx_int_t ngx_iot_keyset_add(ngx_iot_keyset_t *set, void *items,
    size_t stride, ngx_iot_alloc_t *alloc);


#endif /* _NGX_IOT_KEYSET_H_INCLUDED_ */
