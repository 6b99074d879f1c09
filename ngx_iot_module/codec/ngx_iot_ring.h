
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_IOT_RING_H_INCLUDED_
#define _NGX_IOT_RING_H_INCLUDED_


#include "ngx_iot_codec.h"


/*
 * A ring of entries in shared memory with one writer and one reader, in any
 * two processes.  There is no lock: an entry is there for the reader once
 * ngx_iot_ring_publish() has moved the head, so a writer that is killed
 * leaves nothing half written, and a reader that is killed nothing half
 * taken.  A later owner of either end just goes on.
 */

#define NGX_IOT_RING_MIN  4096

/* how large an entry may be: a quarter, so that it never starves */
#define ngx_iot_ring_max(ring)  ((ring)->size / 4)


/* at the head of each entry; everything but len means nothing to the ring */

typedef struct {
    uint32_t      len;                    /* of the data that follow */
    uint32_t      type;
    uint32_t      from;
    uint32_t      to;
    uint32_t      total;
    uint32_t      spare;
} ngx_iot_ring_entry_t;


/* writer and reader have cache lines of their own */

typedef struct {
    uint32_t      size;
    u_char        pad0[60];
    uint64_t      head;                   /* bytes ever written */
    uint64_t      reserved;               /* the head to be; of the writer */
    u_char        pad1[48];
    uint64_t      tail;                   /* bytes ever read */
    u_char        pad2[56];
    uint32_t      waiting;                /* the writer is, for room */
    u_char        pad3[60];
} ngx_iot_ring_t;


/*
 * "bytes" of memory at "mem", aligned to 8, become a ring: what is not a power
 * of two stays unused.  At least NGX_IOT_RING_MIN + sizeof(ngx_iot_ring_t).
 */
ngx_iot_ring_t *ngx_iot_ring_init(void *mem, size_t bytes);

/*
 * Writer: room for an entry of len <= ngx_iot_ring_max() bytes, to be filled
 * by the caller and then published.  NULL: there is none now.
 */
ngx_iot_ring_entry_t *ngx_iot_ring_reserve(ngx_iot_ring_t *ring, uint32_t len);
void ngx_iot_ring_publish(ngx_iot_ring_t *ring);

/*
 * Writer: leave word that there was no room.  After it try once more: what
 * the reader freed before it saw the word will not be told.
 */
void ngx_iot_ring_wait(ngx_iot_ring_t *ring);

/*
 * Reader: NGX_OK and the oldest entry, valid until it is consumed; NGX_AGAIN;
 * NGX_ERROR when the memory makes no sense, after which the ring is empty.
 */
ngx_int_t ngx_iot_ring_peek(ngx_iot_ring_t *ring,
    ngx_iot_ring_entry_t **entry);
void ngx_iot_ring_consume(ngx_iot_ring_t *ring, ngx_iot_ring_entry_t *entry);

/* Reader: 1 if the writer waits for room and is to be told. */
ngx_uint_t ngx_iot_ring_waited(ngx_iot_ring_t *ring);

/* 1 if there is nothing to read */
ngx_uint_t ngx_iot_ring_empty(ngx_iot_ring_t *ring);


#endif /* _NGX_IOT_RING_H_INCLUDED_ */
