
/*
 * Copyright (C) the ngx_iot authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <sodium.h>

#include "ngx_iot_module.h"
#include "ngx_iot_registry.h"


#define NGX_IOT_REGISTRY_TENANT  36

/* a bucket for so many bytes of the zone: some two entries when it is full */
#define NGX_IOT_REGISTRY_SHARE   512


typedef struct ngx_iot_registry_node_s  ngx_iot_registry_node_t;

struct ngx_iot_registry_node_s {
    ngx_iot_registry_node_t   *next;
    uint64_t                   hash;
    ngx_iot_registry_entry_t   entry;
    u_char                     tenant[NGX_IOT_REGISTRY_TENANT];
    uint16_t                   kind;
    uint16_t                   len;
    u_char                     id[1];
};


typedef struct {
    u_char                     key[crypto_shorthash_KEYBYTES];
    size_t                     nbuckets;    /* a power of two */
    ngx_iot_registry_node_t   *buckets[1];
} ngx_iot_registry_t;


typedef struct {
    ngx_uint_t                 kind;
    u_char                    *tenant;
    ngx_str_t                 *id;
    uint64_t                   hash;
} ngx_iot_registry_key_t;


static ngx_iot_registry_t *ngx_iot_registry_table(void);
static ngx_iot_registry_t *ngx_iot_registry_create(void);
static uint64_t ngx_iot_registry_hash(ngx_iot_registry_t *registry,
    ngx_iot_registry_key_t *key);
static ngx_iot_registry_node_t **ngx_iot_registry_lookup(
    ngx_iot_registry_t *registry, ngx_iot_registry_key_t *key);
static ngx_iot_registry_node_t *ngx_iot_registry_add(
    ngx_iot_registry_t *registry, ngx_iot_registry_key_t *key, uint64_t ref);
static void ngx_iot_registry_sweep(ngx_iot_registry_t *registry);


/*
 * All changes are made under the mutex of the zone in an order that leaves a
 * whole list wherever the worker is killed: fill, then link; unlink, then
 * free.
 */

ngx_int_t
ngx_iot_registry_claim(ngx_uint_t kind, u_char *tenant, ngx_str_t *id,
    uint64_t ref, ngx_iot_registry_entry_t *former)
{
    ngx_int_t                  rc;
    ngx_slab_pool_t           *shpool;
    ngx_iot_registry_t        *registry;
    ngx_iot_registry_key_t     key;
    ngx_iot_registry_node_t   *node, **link;
    ngx_iot_registry_entry_t   entry;

    registry = ngx_iot_registry_table();

    if (registry == NULL
        || id->len > 65535
        || ngx_iot_slot_self()->slot == NGX_IOT_SLOTS)
    {
        return NGX_ERROR;
    }

    key.kind = kind;
    key.tenant = tenant;
    key.id = id;
    key.hash = ngx_iot_registry_hash(registry, &key);

    entry.owner = *ngx_iot_slot_self();
    entry.ref = ref;

    shpool = ngx_iot_zone_pool();

    ngx_shmtx_lock(&shpool->mutex);

    link = ngx_iot_registry_lookup(registry, &key);
    node = *link;

    if (node) {
        *former = node->entry;
        rc = ngx_iot_slot_alive(&former->owner) ? NGX_DONE : NGX_OK;

        node->entry = entry;

    } else {
        node = ngx_iot_registry_add(registry, &key, ref);
        rc = node ? NGX_OK : NGX_ERROR;
    }

    ngx_shmtx_unlock(&shpool->mutex);

    return rc;
}


ngx_int_t
ngx_iot_registry_find(ngx_uint_t kind, u_char *tenant, ngx_str_t *id,
    ngx_iot_registry_entry_t *entry)
{
    ngx_int_t                 rc;
    ngx_slab_pool_t          *shpool;
    ngx_iot_registry_t       *registry;
    ngx_iot_registry_key_t    key;
    ngx_iot_registry_node_t  *node;

    registry = ngx_iot_registry_table();

    if (registry == NULL || id->len > 65535) {
        return NGX_DECLINED;
    }

    key.kind = kind;
    key.tenant = tenant;
    key.id = id;
    key.hash = ngx_iot_registry_hash(registry, &key);

    rc = NGX_DECLINED;

    shpool = ngx_iot_zone_pool();

    ngx_shmtx_lock(&shpool->mutex);

    node = *ngx_iot_registry_lookup(registry, &key);

    if (node && ngx_iot_slot_alive(&node->entry.owner)) {
        *entry = node->entry;
        rc = NGX_OK;
    }

    ngx_shmtx_unlock(&shpool->mutex);

    return rc;
}


void
ngx_iot_registry_drop(ngx_uint_t kind, u_char *tenant, ngx_str_t *id,
    uint64_t ref)
{
    ngx_slab_pool_t           *shpool;
    ngx_iot_slot_id_t         *self;
    ngx_iot_registry_t        *registry;
    ngx_iot_registry_key_t     key;
    ngx_iot_registry_node_t   *node, **link;

    registry = ngx_iot_registry_table();

    if (registry == NULL || id->len > 65535) {
        return;
    }

    key.kind = kind;
    key.tenant = tenant;
    key.id = id;
    key.hash = ngx_iot_registry_hash(registry, &key);

    self = ngx_iot_slot_self();
    shpool = ngx_iot_zone_pool();

    ngx_shmtx_lock(&shpool->mutex);

    link = ngx_iot_registry_lookup(registry, &key);
    node = *link;

    if (node
        && node->entry.ref == ref
        && node->entry.owner.slot == self->slot
        && node->entry.owner.generation == self->generation)
    {
        *link = node->next;
        ngx_slab_free_locked(shpool, node);
    }

    ngx_shmtx_unlock(&shpool->mutex);
}


static ngx_iot_registry_t *
ngx_iot_registry_table(void)
{
    ngx_iot_registry_t  *registry;

    registry = ngx_iot_zone()->registry;

    return registry ? registry : ngx_iot_registry_create();
}


static ngx_iot_registry_t *
ngx_iot_registry_create(void)
{
    size_t               size, n;
    ngx_iot_zone_t      *zone;
    ngx_slab_pool_t     *shpool;
    ngx_iot_registry_t  *registry;

    zone = ngx_iot_zone();
    shpool = ngx_iot_zone_pool();

    size = shpool->end - (u_char *) shpool;

    for (n = 64; n < size / NGX_IOT_REGISTRY_SHARE; n *= 2) {
        /* void */
    }

    ngx_shmtx_lock(&shpool->mutex);

    if (zone->registry == NULL) {
        registry = ngx_slab_calloc_locked(shpool, sizeof(ngx_iot_registry_t)
                                        + n * sizeof(void *));

        if (registry) {
            registry->nbuckets = n;
            randombytes_buf(registry->key, sizeof(registry->key));

            ngx_memory_barrier();

            zone->registry = registry;
        }
    }

    ngx_shmtx_unlock(&shpool->mutex);

    if (zone->registry == NULL) {
        ngx_log_error(NGX_LOG_CRIT, ngx_cycle->log, 0,
                      "no room in the iot zone for its registry: "
                      "make \"zone\" larger");
    }

    return zone->registry;
}


static uint64_t
ngx_iot_registry_hash(ngx_iot_registry_t *registry,
    ngx_iot_registry_key_t *key)
{
    uint64_t  id, tenant;

    (void) crypto_shorthash((u_char *) &id, key->id->data, key->id->len,
                            registry->key);
    (void) crypto_shorthash((u_char *) &tenant, key->tenant,
                            NGX_IOT_REGISTRY_TENANT, registry->key);

    return id ^ (tenant << 1 | tenant >> 63) ^ key->kind;
}


/*
 * Where the node is linked, or the end of its list.  What workers that have
 * gone left on the way is taken out.
 */

static ngx_iot_registry_node_t **
ngx_iot_registry_lookup(ngx_iot_registry_t *registry,
    ngx_iot_registry_key_t *key)
{
    ngx_iot_registry_node_t  *node, **link;

    link = &registry->buckets[key->hash & (registry->nbuckets - 1)];

    while (*link) {
        node = *link;

        if (node->hash == key->hash
            && node->kind == key->kind
            && node->len == key->id->len
            && ngx_memcmp(node->id, key->id->data, node->len) == 0
            && ngx_memcmp(node->tenant, key->tenant, NGX_IOT_REGISTRY_TENANT)
               == 0)
        {
            break;
        }

        if (!ngx_iot_slot_alive(&node->entry.owner)) {
            *link = node->next;
            ngx_slab_free_locked(ngx_iot_zone_pool(), node);
            continue;
        }

        link = &node->next;
    }

    return link;
}


static ngx_iot_registry_node_t *
ngx_iot_registry_add(ngx_iot_registry_t *registry, ngx_iot_registry_key_t *key,
    uint64_t ref)
{
    size_t                    size;
    ngx_slab_pool_t          *shpool;
    ngx_iot_registry_node_t  *node, **bucket;

    shpool = ngx_iot_zone_pool();
    size = offsetof(ngx_iot_registry_node_t, id) + key->id->len;

    node = ngx_slab_alloc_locked(shpool, size);

    if (node == NULL) {
        ngx_iot_registry_sweep(registry);

        node = ngx_slab_alloc_locked(shpool, size);
        if (node == NULL) {
            return NULL;
        }
    }

    bucket = &registry->buckets[key->hash & (registry->nbuckets - 1)];

    node->next = *bucket;
    node->hash = key->hash;
    node->entry.owner = *ngx_iot_slot_self();
    node->entry.ref = ref;
    node->kind = (uint16_t) key->kind;
    node->len = (uint16_t) key->id->len;
    ngx_memcpy(node->tenant, key->tenant, NGX_IOT_REGISTRY_TENANT);
    ngx_memcpy(node->id, key->id->data, key->id->len);

    ngx_memory_barrier();

    *bucket = node;

    return node;
}


/* only when the zone is full: what dead workers left is still there */

static void
ngx_iot_registry_sweep(ngx_iot_registry_t *registry)
{
    size_t                    i;
    ngx_iot_registry_node_t  *node, **link;

    for (i = 0; i < registry->nbuckets; i++) {
        link = &registry->buckets[i];

        while (*link) {
            node = *link;

            if (ngx_iot_slot_alive(&node->entry.owner)) {
                link = &node->next;
                continue;
            }

            *link = node->next;
            ngx_slab_free_locked(ngx_iot_zone_pool(), node);
        }
    }
}
