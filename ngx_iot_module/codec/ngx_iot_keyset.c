
/*
 * Copyright (C) the ngx_iot authors
 */


#include <sodium.h>
#include "ngx_iot_keyset.h"


#define NGX_IOT_KEYSET_LINEAR  16
#define NGX_IOT_KEYSET_MIN     64


static uint64_t ngx_iot_keyset_bit(ngx_str_t *key);
static uint32_t ngx_iot_keyset_hash(ngx_str_t *key);
static ngx_int_t ngx_iot_keyset_grow(ngx_iot_keyset_t *set, u_char *items,
    size_t stride, ngx_iot_alloc_t *alloc);
static void ngx_iot_keyset_put(ngx_iot_keyset_t *set, ngx_str_t *key,
    ngx_uint_t n);


#define ngx_iot_keyset_item(items, stride, i)                                 \
    ((ngx_str_t *) (void *) ((u_char *) (items) + (i) * (stride)))


static u_char      ngx_iot_keyset_secret[crypto_shorthash_KEYBYTES];
static ngx_uint_t  ngx_iot_keyset_ready;


void
ngx_iot_keyset_init(ngx_iot_keyset_t *set)
{
    ngx_memzero(set, sizeof(ngx_iot_keyset_t));
}


ngx_uint_t
ngx_iot_keyset_find(ngx_iot_keyset_t *set, void *items, size_t stride,
    ngx_str_t *key)
{
    uint32_t     slot;
    ngx_str_t   *item;
    ngx_uint_t   i, mask;

    if ((set->seen & ngx_iot_keyset_bit(key)) == 0) {
        return NGX_IOT_KEYSET_NONE;
    }

    if (set->nslots == 0) {

        for (i = 0; i < set->n; i++) {
            item = ngx_iot_keyset_item(items, stride, i);

            if (item->len == key->len
                && ngx_memcmp(item->data, key->data, key->len) == 0)
            {
                return i;
            }
        }

        return NGX_IOT_KEYSET_NONE;
    }

    mask = set->nslots - 1;

    for (i = ngx_iot_keyset_hash(key) & mask;
         set->slots[i] != 0;
         i = (i + 1) & mask)
    {
        slot = set->slots[i] - 1;
        item = ngx_iot_keyset_item(items, stride, slot);

        if (item->len == key->len
            && ngx_memcmp(item->data, key->data, key->len) == 0)
        {
            return slot;
        }
    }

    return NGX_IOT_KEYSET_NONE;
}


ngx_int_t
ngx_iot_keyset_add(ngx_iot_keyset_t *set, void *items, size_t stride,
    ngx_iot_alloc_t *alloc)
{
    ngx_str_t  *key;

    key = ngx_iot_keyset_item(items, stride, set->n);

    set->seen |= ngx_iot_keyset_bit(key);
    set->n++;

    if (set->n <= NGX_IOT_KEYSET_LINEAR) {
        return NGX_OK;
    }

    if (set->n > set->nslots / 2) {
        return ngx_iot_keyset_grow(set, items, stride, alloc);
    }

    ngx_iot_keyset_put(set, key, set->n - 1);

    return NGX_OK;
}


static uint64_t
ngx_iot_keyset_bit(ngx_str_t *key)
{
    ngx_uint_t  h;

    if (key->len == 0) {
        return 1;
    }

    h = key->len * 7 + key->data[0] * 5 + key->data[key->len / 2]
        + key->data[key->len - 1] * 11;

    return (uint64_t) 1 << (h & 63);
}


static uint32_t
ngx_iot_keyset_hash(ngx_str_t *key)
{
    u_char    hash[crypto_shorthash_BYTES];
    uint32_t  h;

    if (!ngx_iot_keyset_ready) {
        randombytes_buf(ngx_iot_keyset_secret, sizeof(ngx_iot_keyset_secret));
        ngx_iot_keyset_ready = 1;
    }

    (void) crypto_shorthash(hash, key->data, key->len, ngx_iot_keyset_secret);

    ngx_memcpy(&h, hash, sizeof(uint32_t));

    return h;
}


static ngx_int_t
ngx_iot_keyset_grow(ngx_iot_keyset_t *set, u_char *items, size_t stride,
    ngx_iot_alloc_t *alloc)
{
    uint32_t    *slots;
    ngx_uint_t   i, n;

    n = (set->nslots == 0) ? NGX_IOT_KEYSET_MIN : set->nslots * 2;

    /* indexes are 32 bits wide */

    if (n > (ngx_uint_t) 1 << 30) {
        return NGX_ERROR;
    }

    slots = ngx_iot_alloc(alloc, n * sizeof(uint32_t));
    if (slots == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(slots, n * sizeof(uint32_t));

    set->slots = slots;
    set->nslots = n;

    for (i = 0; i < set->n; i++) {
        ngx_iot_keyset_put(set, ngx_iot_keyset_item(items, stride, i), i);
    }

    return NGX_OK;
}


static void
ngx_iot_keyset_put(ngx_iot_keyset_t *set, ngx_str_t *key, ngx_uint_t n)
{
    ngx_uint_t  i, mask;

    mask = set->nslots - 1;

    i = ngx_iot_keyset_hash(key) & mask;

    while (set->slots[i] != 0) {
        i = (i + 1) & mask;
    }

    set->slots[i] = (uint32_t) (n + 1);
}
