
/*
 * Copyright (C) the ngx_iot authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_iot_link.h"
#include "ngx_iot_metrics.h"
#include "ngx_iot_ring.h"


#define NGX_IOT_LINK_RING   (256 * 1024)

/* no parcel is larger; the sizes in a ring are not trusted */
#define NGX_IOT_LINK_MAX    (600 * 1024 * 1024)

/* a parcel larger than an entry goes in several; most have both bits */
#define NGX_IOT_LINK_FIRST  0x100
#define NGX_IOT_LINK_LAST   0x200
#define NGX_IOT_LINK_TYPE   0x0ff


/* in the zone; rings by reader, then writer */

typedef struct {
    size_t                    ring_size;
    uint64_t                  writers[NGX_IOT_SLOTS];    /* a bit for each */
    ngx_iot_ring_t           *rings[NGX_IOT_SLOTS][NGX_IOT_SLOTS];
} ngx_iot_link_zone_t;


typedef struct {
    ngx_queue_t               queue;
    ngx_uint_t                type;
    size_t                    len;
    size_t                    sent;
    unsigned                  urgent:1;
} ngx_iot_link_item_t;


typedef struct {
    uint32_t                  generation;
    uint32_t                  part_from;
    ngx_iot_ring_t           *out;
    ngx_queue_t               queue;      /* ngx_iot_link_item_t */
    size_t                    queued;     /* bytes */
    u_char                   *part;       /* of a parcel in several entries */
    size_t                    part_size;
    size_t                    part_len;
    unsigned                  full:1;
} ngx_iot_link_peer_t;


static ngx_iot_link_zone_t *ngx_iot_link_create_zone(ngx_cycle_t *cycle);
static void ngx_iot_link_look(ngx_uint_t slot);
static void ngx_iot_link_forget(ngx_iot_link_peer_t *peer);
static ngx_int_t ngx_iot_link_open(ngx_uint_t slot);
static ngx_int_t ngx_iot_link_enqueue(ngx_iot_link_peer_t *peer,
    ngx_uint_t type, ngx_str_t *parts, ngx_uint_t n, size_t len,
    ngx_uint_t urgent);
static u_char *ngx_iot_link_copy(u_char *p, ngx_str_t *parts, ngx_uint_t n);
static void ngx_iot_link_push(ngx_uint_t slot);
static size_t ngx_iot_link_drain(ngx_uint_t slot, size_t max);
static void ngx_iot_link_take(ngx_uint_t slot, ngx_iot_ring_entry_t *entry);
static void ngx_iot_link_no_part(ngx_iot_link_peer_t *peer);


static ngx_iot_link_peer_t       ngx_iot_link_peers[NGX_IOT_SLOTS];
static ngx_iot_link_zone_t      *ngx_iot_link_zone;
static ngx_iot_link_handlers_t  *ngx_iot_link_handlers;
static ngx_atomic_uint_t         ngx_iot_link_changes;
static ngx_uint_t                ngx_iot_link_nurgent;
static ngx_uint_t                ngx_iot_link_has_room;
static size_t                    ngx_iot_link_bytes;


ngx_int_t
ngx_iot_link_init(ngx_cycle_t *cycle, ngx_iot_link_handlers_t *handlers)
{
    ngx_uint_t  i;

    ngx_iot_link_zone = ngx_iot_link_create_zone(cycle);

    if (ngx_iot_link_zone == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(ngx_iot_link_peers, sizeof(ngx_iot_link_peers));

    for (i = 0; i < NGX_IOT_SLOTS; i++) {
        ngx_queue_init(&ngx_iot_link_peers[i].queue);
    }

    ngx_iot_link_handlers = handlers;
    ngx_iot_link_changes = 0;
    ngx_iot_link_nurgent = 0;
    ngx_iot_link_has_room = 0;
    ngx_iot_link_bytes = 0;

    return NGX_OK;
}


void
ngx_iot_link_exit(void)
{
    ngx_uint_t            i;
    ngx_iot_link_peer_t  *peer;

    for (i = 0; i < NGX_IOT_SLOTS; i++) {
        peer = &ngx_iot_link_peers[i];

        if (!ngx_queue_empty(&peer->queue)) {
            ngx_iot_link_push(i);
        }

        ngx_iot_link_forget(peer);
        ngx_iot_link_no_part(peer);
    }
}


/*
 * Half of the zone may become rings: as many as two generations of workers
 * can want.
 */

static ngx_iot_link_zone_t *
ngx_iot_link_create_zone(ngx_cycle_t *cycle)
{
    size_t                size, share;
    ngx_uint_t            n;
    ngx_iot_zone_t       *zone;
    ngx_slab_pool_t      *shpool;
    ngx_core_conf_t      *ccf;
    ngx_iot_link_zone_t  *link;

    zone = ngx_iot_zone();

    if (zone->link) {
        return zone->link;
    }

    ccf = (ngx_core_conf_t *) ngx_get_conf(cycle->conf_ctx, ngx_core_module);
    shpool = ngx_iot_zone_pool();

    n = ngx_max(ccf->worker_processes, 1) * 2;
    share = (shpool->end - (u_char *) shpool) / 2 / (n * (n - 1));

    for (size = NGX_IOT_LINK_RING;
         size > NGX_IOT_RING_MIN && size + sizeof(ngx_iot_ring_t) > share;
         size /= 2)
    {
        /* void */
    }

    ngx_shmtx_lock(&shpool->mutex);

    if (zone->link == NULL) {
        link = ngx_slab_calloc_locked(shpool, sizeof(ngx_iot_link_zone_t));

        if (link) {
            link->ring_size = size;
            ngx_memory_barrier();
            zone->link = link;
        }
    }

    ngx_shmtx_unlock(&shpool->mutex);

    if (zone->link == NULL) {
        ngx_log_error(NGX_LOG_CRIT, cycle->log, 0,
                      "no room in the iot zone for the bus: "
                      "make \"zone\" larger");
    }

    return zone->link;
}


void
ngx_iot_link_refresh(void)
{
    ngx_uint_t         i;
    ngx_atomic_uint_t  changes;

    changes = __atomic_load_n(&ngx_iot_zone()->changes, __ATOMIC_ACQUIRE);

    if (changes == ngx_iot_link_changes) {
        return;
    }

    ngx_iot_link_changes = changes;

    for (i = 0; i < NGX_IOT_SLOTS; i++) {
        ngx_iot_link_look(i);
    }
}


static void
ngx_iot_link_look(ngx_uint_t slot)
{
    uint32_t              generation;
    ngx_iot_link_peer_t  *peer;

    generation = ngx_iot_slot_generation(slot);

    if ((generation & 1) == 0 || slot == ngx_iot_slot_self()->slot) {
        generation = 0;
    }

    peer = &ngx_iot_link_peers[slot];

    if (generation == peer->generation) {
        return;
    }

    ngx_log_debug3(NGX_LOG_DEBUG_EVENT, ngx_cycle->log, 0,
                   "iot slot %ui: generation %uD after %uD",
                   slot, generation, peer->generation);

    ngx_iot_link_forget(peer);

    peer->generation = generation;

    ngx_iot_link_handlers->changed(slot);
}


/* what was meant for a worker that has gone */

static void
ngx_iot_link_forget(ngx_iot_link_peer_t *peer)
{
    ngx_queue_t          *q;
    ngx_iot_link_item_t  *item;

    while (!ngx_queue_empty(&peer->queue)) {
        q = ngx_queue_head(&peer->queue);
        item = ngx_queue_data(q, ngx_iot_link_item_t, queue);

        ngx_queue_remove(q);
        ngx_iot_link_nurgent -= item->urgent;
        ngx_free(item);
    }

    if (peer->full) {
        ngx_iot_link_has_room = 1;
    }

    ngx_iot_link_bytes -= peer->queued;
    peer->queued = 0;
    peer->full = 0;
}


uint32_t
ngx_iot_link_peer(ngx_uint_t slot)
{
    return ngx_iot_link_peers[slot].generation;
}


ngx_uint_t
ngx_iot_link_full(ngx_uint_t slot)
{
    return ngx_iot_link_peers[slot].full;
}


ngx_uint_t
ngx_iot_link_urgent(void)
{
    return ngx_iot_link_nurgent;
}


size_t
ngx_iot_link_queued(void)
{
    return ngx_iot_link_bytes;
}


static ngx_int_t
ngx_iot_link_open(ngx_uint_t slot)
{
    void                 *mem;
    size_t                size;
    uint64_t              bit;
    ngx_uint_t            self;
    ngx_iot_ring_t       *ring;
    ngx_slab_pool_t      *shpool;
    ngx_iot_link_zone_t  *link;

    link = ngx_iot_link_zone;
    self = ngx_iot_slot_self()->slot;
    ring = link->rings[slot][self];

    if (ring == NULL) {
        shpool = ngx_iot_zone_pool();

        for (size = link->ring_size; size >= NGX_IOT_RING_MIN; size /= 2) {

            mem = ngx_slab_alloc(shpool, size + sizeof(ngx_iot_ring_t));

            if (mem) {
                ring = ngx_iot_ring_init(mem, size + sizeof(ngx_iot_ring_t));
                ngx_memory_barrier();
                link->rings[slot][self] = ring;
                break;
            }
        }

        if (ring == NULL) {
            return NGX_ERROR;
        }
    }

    bit = (uint64_t) 1 << self;
    (void) __atomic_fetch_or(&link->writers[slot], bit, __ATOMIC_SEQ_CST);

    ngx_iot_link_peers[slot].out = ring;

    return NGX_OK;
}


ngx_int_t
ngx_iot_link_send(ngx_uint_t slot, ngx_uint_t type, ngx_str_t *parts,
    ngx_uint_t n, ngx_uint_t urgent)
{
    size_t                 len;
    ngx_uint_t             i;
    ngx_iot_link_peer_t   *peer;
    ngx_iot_ring_entry_t  *entry;

    peer = &ngx_iot_link_peers[slot];

    if (peer->generation == 0) {
        return NGX_DECLINED;
    }

    for (len = 0, i = 0; i < n; i++) {
        len += parts[i].len;
    }

    if (len > NGX_IOT_LINK_MAX) {
        return NGX_ERROR;
    }

    if (peer->out == NULL && ngx_iot_link_open(slot) != NGX_OK) {
        ngx_log_error(NGX_LOG_CRIT, ngx_cycle->log, 0,
                      "no room in the iot zone for a ring between workers: "
                      "make \"zone\" larger");
        return NGX_ERROR;
    }

    if (ngx_queue_empty(&peer->queue) && len <= ngx_iot_ring_max(peer->out)) {
        entry = ngx_iot_ring_reserve(peer->out, (uint32_t) len);

        if (entry) {
            entry->type = type | NGX_IOT_LINK_FIRST | NGX_IOT_LINK_LAST;
            entry->from = ngx_iot_slot_self()->generation;
            entry->to = peer->generation;
            entry->total = (uint32_t) len;

            (void) ngx_iot_link_copy((u_char *) (entry + 1), parts, n);

            ngx_iot_ring_publish(peer->out);
            ngx_iot_slot_wake(slot);

            return NGX_OK;
        }
    }

    if (ngx_iot_link_enqueue(peer, type, parts, n, len, urgent) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_iot_link_push(slot);

    return NGX_OK;
}


static ngx_int_t
ngx_iot_link_enqueue(ngx_iot_link_peer_t *peer, ngx_uint_t type,
    ngx_str_t *parts, ngx_uint_t n, size_t len, ngx_uint_t urgent)
{
    ngx_iot_link_item_t  *item;

    item = ngx_alloc(sizeof(ngx_iot_link_item_t) + len, ngx_cycle->log);
    if (item == NULL) {
        return NGX_ERROR;
    }

    item->type = type;
    item->len = len;
    item->sent = 0;
    item->urgent = urgent;

    (void) ngx_iot_link_copy((u_char *) (item + 1), parts, n);

    ngx_queue_insert_tail(&peer->queue, &item->queue);

    ngx_iot_link_nurgent += urgent;
    ngx_iot_link_bytes += len;
    peer->queued += len;

    if (peer->queued >= NGX_IOT_LINK_QUEUE && !peer->full) {
        peer->full = 1;
        ngx_iot_count(bus_full);
    }

    return NGX_OK;
}


static u_char *
ngx_iot_link_copy(u_char *p, ngx_str_t *parts, ngx_uint_t n)
{
    ngx_uint_t  i;

    for (i = 0; i < n; i++) {
        if (parts[i].len) {
            p = ngx_cpymem(p, parts[i].data, parts[i].len);
        }
    }

    return p;
}


/* moves what waits into the ring, as far as there is room */

static void
ngx_iot_link_push(ngx_uint_t slot)
{
    size_t                 len;
    ngx_queue_t           *q;
    ngx_uint_t             pushed;
    ngx_iot_link_item_t   *item;
    ngx_iot_link_peer_t   *peer;
    ngx_iot_ring_entry_t  *entry;

    peer = &ngx_iot_link_peers[slot];
    pushed = 0;

    while (!ngx_queue_empty(&peer->queue)) {
        q = ngx_queue_head(&peer->queue);
        item = ngx_queue_data(q, ngx_iot_link_item_t, queue);

        len = ngx_min(item->len - item->sent, ngx_iot_ring_max(peer->out));

        entry = ngx_iot_ring_reserve(peer->out, (uint32_t) len);

        if (entry == NULL) {
            ngx_iot_ring_wait(peer->out);
            entry = ngx_iot_ring_reserve(peer->out, (uint32_t) len);
        }

        if (entry == NULL) {
            break;
        }

        entry->type = item->type
                      | (item->sent == 0 ? NGX_IOT_LINK_FIRST : 0)
                      | (item->sent + len == item->len ? NGX_IOT_LINK_LAST
                                                       : 0);
        entry->from = ngx_iot_slot_self()->generation;
        entry->to = peer->generation;
        entry->total = (uint32_t) item->len;

        ngx_memcpy(entry + 1, (u_char *) (item + 1) + item->sent, len);

        ngx_iot_ring_publish(peer->out);
        pushed = 1;

        item->sent += len;
        peer->queued -= len;
        ngx_iot_link_bytes -= len;

        if (item->sent == item->len) {
            ngx_queue_remove(q);
            ngx_iot_link_nurgent -= item->urgent;
            ngx_free(item);
        }
    }

    if (peer->full && peer->queued < NGX_IOT_LINK_QUEUE / 2) {
        peer->full = 0;
        ngx_iot_link_has_room = 1;
    }

    if (pushed) {
        ngx_iot_slot_wake(slot);
    }
}


void
ngx_iot_link_flush(void)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_IOT_SLOTS; i++) {
        if (!ngx_queue_empty(&ngx_iot_link_peers[i].queue)) {
            ngx_iot_link_push(i);
        }
    }

    if (ngx_iot_link_has_room) {
        ngx_iot_link_has_room = 0;
        ngx_iot_link_handlers->room();
    }
}


void
ngx_iot_link_receive(size_t max)
{
    size_t      taken;
    uint64_t    bits;
    ngx_uint_t  i;

    bits = __atomic_load_n(
                    &ngx_iot_link_zone->writers[ngx_iot_slot_self()->slot],
                    __ATOMIC_ACQUIRE);

    for (i = 0; bits && max; i++, bits >>= 1) {

        if (bits & 1) {
            taken = ngx_iot_link_drain(i, max);
            max -= ngx_min(taken, max);
        }
    }
}


static size_t
ngx_iot_link_drain(ngx_uint_t slot, size_t max)
{
    size_t                 taken;
    ngx_int_t              rc;
    ngx_iot_ring_t        *ring;
    ngx_iot_ring_entry_t  *entry;

    taken = 0;
    ring = ngx_iot_link_zone->rings[ngx_iot_slot_self()->slot][slot];

    while (taken < max) {
        rc = ngx_iot_ring_peek(ring, &entry);

        if (rc == NGX_AGAIN) {
            break;
        }

        if (rc == NGX_ERROR) {
            ngx_log_error(NGX_LOG_ALERT, ngx_cycle->log, 0,
                          "the ring from worker slot %ui is damaged", slot);
            ngx_iot_link_no_part(&ngx_iot_link_peers[slot]);
            break;
        }

        taken += sizeof(ngx_iot_ring_entry_t) + entry->len;

        if (entry->to == ngx_iot_slot_self()->generation) {
            ngx_iot_link_take(slot, entry);
        }

        ngx_iot_ring_consume(ring, entry);
    }

    if (taken && ngx_iot_ring_waited(ring)) {
        ngx_iot_slot_wake(slot);
    }

    return taken;
}


static void
ngx_iot_link_take(ngx_uint_t slot, ngx_iot_ring_entry_t *entry)
{
    u_char               *data;
    ngx_iot_parcel_t      parcel;
    ngx_iot_link_peer_t  *peer;

    peer = &ngx_iot_link_peers[slot];

    if (entry->from != peer->generation) {
        ngx_iot_link_refresh();
    }

    data = (u_char *) (entry + 1);

    parcel.from.slot = (uint32_t) slot;
    parcel.from.generation = entry->from;
    parcel.type = entry->type & NGX_IOT_LINK_TYPE;

    if (entry->type & NGX_IOT_LINK_FIRST) {

        /* the writer died before the rest of the one before */

        ngx_iot_link_no_part(peer);

        if (entry->type & NGX_IOT_LINK_LAST) {
            parcel.data = data;
            parcel.len = entry->len;
            ngx_iot_link_handlers->parcel(&parcel);
            return;
        }

        if (entry->total > NGX_IOT_LINK_MAX) {
            return;
        }

        peer->part = ngx_alloc(ngx_max(entry->total, 1), ngx_cycle->log);
        peer->part_size = entry->total;
        peer->part_len = 0;
        peer->part_from = entry->from;
    }

    if (peer->part == NULL) {
        return;
    }

    if (peer->part_from != entry->from
        || entry->len > peer->part_size - peer->part_len)
    {
        ngx_iot_link_no_part(peer);
        return;
    }

    ngx_memcpy(peer->part + peer->part_len, data, entry->len);
    peer->part_len += entry->len;

    if (entry->type & NGX_IOT_LINK_LAST) {

        if (peer->part_len == peer->part_size) {
            parcel.data = peer->part;
            parcel.len = peer->part_len;
            ngx_iot_link_handlers->parcel(&parcel);
        }

        ngx_iot_link_no_part(peer);
    }
}


static void
ngx_iot_link_no_part(ngx_iot_link_peer_t *peer)
{
    if (peer->part) {
        ngx_free(peer->part);
        peer->part = NULL;
    }
}


void
ngx_iot_link_check(void)
{
    (void) ngx_iot_slot_reap();

    ngx_iot_link_refresh();
}


ngx_int_t
ngx_iot_link_sleep(void)
{
    uint64_t              bits;
    ngx_uint_t            i, self;
    ngx_iot_link_peer_t  *peer;

    ngx_iot_slot_sleep();

    self = ngx_iot_slot_self()->slot;
    bits = __atomic_load_n(&ngx_iot_link_zone->writers[self],
                           __ATOMIC_ACQUIRE);

    for (i = 0; i < NGX_IOT_SLOTS; i++, bits >>= 1) {

        if ((bits & 1)
            && !ngx_iot_ring_empty(ngx_iot_link_zone->rings[self][i]))
        {
            goto again;
        }

        /* who made room before we slept did not wake us */

        peer = &ngx_iot_link_peers[i];

        if (!ngx_queue_empty(&peer->queue)
            && __atomic_load_n(&peer->out->waiting, __ATOMIC_SEQ_CST) == 0)
        {
            goto again;
        }
    }

    return NGX_OK;

again:

    ngx_iot_slot_awake();

    return NGX_AGAIN;
}
