
/*
 * Copyright (C) the ngx_iot authors
 */


#include "ngx_iot_ring.h"


#define NGX_IOT_RING_SKIP  0xffffffff     /* go on at the start */

#define ngx_iot_ring_data(ring)       ((u_char *) ((ring) + 1))
#define ngx_iot_ring_at(ring, place)                                          \
    (ngx_iot_ring_entry_t *) (void *) (ngx_iot_ring_data(ring)                \
                                       + ((place) & ((ring)->size - 1)))

/* an entry with its data, so that the next one is aligned */
#define ngx_iot_ring_bytes(len)                                               \
    ((sizeof(ngx_iot_ring_entry_t) + (uint64_t) (len) + 7) & ~(uint64_t) 7)


ngx_iot_ring_t *
ngx_iot_ring_init(void *mem, size_t bytes)
{
    uint32_t         size;
    ngx_iot_ring_t  *ring;

    ring = mem;
    ngx_memzero(ring, sizeof(ngx_iot_ring_t));

    bytes -= sizeof(ngx_iot_ring_t);
    size = NGX_IOT_RING_MIN;

    while (size < 0x40000000 && (size_t) size * 2 <= bytes) {
        size *= 2;
    }

    ring->size = size;

    return ring;
}


ngx_iot_ring_entry_t *
ngx_iot_ring_reserve(ngx_iot_ring_t *ring, uint32_t len)
{
    uint64_t               head, tail, need, left;
    ngx_iot_ring_entry_t  *entry;

    if (len > ngx_iot_ring_max(ring)) {
        return NULL;
    }

    head = ring->head;
    tail = __atomic_load_n(&ring->tail, __ATOMIC_ACQUIRE);

    need = ngx_iot_ring_bytes(len);
    left = ring->size - (head & (ring->size - 1));

    if (left < need) {

        /* entries are whole: what is left at the end is skipped */

        if (head + left + need - tail > ring->size) {
            return NULL;
        }

        entry = ngx_iot_ring_at(ring, head);
        entry->len = NGX_IOT_RING_SKIP;
        head += left;

    } else if (head + need - tail > ring->size) {
        return NULL;
    }

    ring->reserved = head + need;

    entry = ngx_iot_ring_at(ring, head);
    entry->len = len;

    return entry;
}


void
ngx_iot_ring_publish(ngx_iot_ring_t *ring)
{
    __atomic_store_n(&ring->head, ring->reserved, __ATOMIC_RELEASE);
}


void
ngx_iot_ring_wait(ngx_iot_ring_t *ring)
{
    __atomic_store_n(&ring->waiting, 1, __ATOMIC_SEQ_CST);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}


ngx_int_t
ngx_iot_ring_peek(ngx_iot_ring_t *ring, ngx_iot_ring_entry_t **entry)
{
    uint64_t               head, tail, left, need;
    ngx_iot_ring_entry_t  *e;

    head = __atomic_load_n(&ring->head, __ATOMIC_ACQUIRE);
    tail = ring->tail;

    if (head == tail) {
        return NGX_AGAIN;
    }

    if (head - tail > ring->size || (head & 7) || (tail & 7)) {
        goto failed;
    }

    left = ring->size - (tail & (ring->size - 1));
    e = ngx_iot_ring_at(ring, tail);

    if (e->len == NGX_IOT_RING_SKIP) {
        tail += left;

        if (head - tail > ring->size || head == tail) {
            goto failed;
        }

        __atomic_store_n(&ring->tail, tail, __ATOMIC_RELEASE);

        left = ring->size;
        e = ngx_iot_ring_at(ring, tail);
    }

    need = ngx_iot_ring_bytes(e->len);

    if (need > left || need > head - tail) {
        goto failed;
    }

    *entry = e;

    return NGX_OK;

failed:

    __atomic_store_n(&ring->tail, head, __ATOMIC_RELEASE);

    return NGX_ERROR;
}


void
ngx_iot_ring_consume(ngx_iot_ring_t *ring, ngx_iot_ring_entry_t *entry)
{
    __atomic_store_n(&ring->tail, ring->tail + ngx_iot_ring_bytes(entry->len),
                     __ATOMIC_RELEASE);
}


ngx_uint_t
ngx_iot_ring_waited(ngx_iot_ring_t *ring)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);

    if (__atomic_load_n(&ring->waiting, __ATOMIC_RELAXED) == 0) {
        return 0;
    }

    return __atomic_exchange_n(&ring->waiting, 0, __ATOMIC_SEQ_CST);
}


ngx_uint_t
ngx_iot_ring_empty(ngx_iot_ring_t *ring)
{
    return __atomic_load_n(&ring->head, __ATOMIC_ACQUIRE)
           == __atomic_load_n(&ring->tail, __ATOMIC_RELAXED);
}
