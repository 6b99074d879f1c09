
/*
 * Copyright (C) the ngx_iot authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <sodium.h>

#include "ngx_iot_count.h"
#include "ngx_iot_slot.h"
#include "ngx_iot_zone.h"


#define NGX_IOT_COUNT_ID  16


/*
 * In the shared zone.  Each worker counts for itself, and what it has counted
 * is good as long as the generation of its slot is the same.
 */

typedef struct {
    ngx_str_node_t       node;          /* must be first */
    u_char               id[NGX_IOT_COUNT_ID];
    ngx_uint_t           total;
    uint32_t             slots[NGX_IOT_SLOTS];
    uint32_t             generations[NGX_IOT_SLOTS];
} ngx_iot_count_node_t;


typedef struct {
    ngx_rbtree_t         tree;
    ngx_rbtree_node_t    sentinel;
} ngx_iot_count_zone_t;


static ngx_uint_t ngx_iot_count_forget(ngx_iot_count_node_t *cn);
static ngx_iot_count_node_t *ngx_iot_count_make(ngx_iot_count_zone_t *cz,
    ngx_slab_pool_t *shpool, u_char *id, uint32_t hash);
static uint32_t ngx_iot_count_id(u_char *id, char *what, ngx_str_t *key);
static ngx_iot_count_node_t *ngx_iot_count_find(ngx_iot_count_zone_t *cz,
    u_char *id, uint32_t hash);


ngx_int_t
ngx_iot_count_init_process(ngx_cycle_t *cycle)
{
    ngx_iot_zone_t        *zone;
    ngx_slab_pool_t       *shpool;
    ngx_iot_count_zone_t  *cz;

    zone = ngx_iot_zone();
    shpool = ngx_iot_zone_pool();

    ngx_shmtx_lock(&shpool->mutex);

    cz = zone->counts;

    if (cz == NULL) {
        cz = ngx_slab_calloc_locked(shpool, sizeof(ngx_iot_count_zone_t));

        if (cz) {
            ngx_rbtree_init(&cz->tree, &cz->sentinel,
                            ngx_str_rbtree_insert_value);
            zone->counts = cz;
        }
    }

    ngx_shmtx_unlock(&shpool->mutex);

    return cz ? NGX_OK : NGX_ERROR;
}


ngx_int_t
ngx_iot_count_add(char *what, ngx_str_t *key, ngx_uint_t max)
{
    u_char                 id[NGX_IOT_COUNT_ID];
    uint32_t               hash;
    ngx_int_t              rc;
    ngx_uint_t             reaped;
    ngx_slab_pool_t       *shpool;
    ngx_iot_slot_id_t     *self;
    ngx_iot_count_node_t  *cn;
    ngx_iot_count_zone_t  *cz;

    self = ngx_iot_slot_self();

    if (self->slot >= NGX_IOT_SLOTS) {
        return NGX_DECLINED;
    }

    cz = ngx_iot_zone()->counts;
    shpool = ngx_iot_zone_pool();
    hash = ngx_iot_count_id(id, what, key);
    reaped = 0;

again:

    ngx_shmtx_lock(&shpool->mutex);

    cn = ngx_iot_count_make(cz, shpool, id, hash);

    if (cn == NULL) {
        rc = NGX_DECLINED;

    } else if (max && cn->total >= max && ngx_iot_count_forget(cn) >= max) {
        rc = NGX_BUSY;

    } else {

        if (cn->generations[self->slot] != self->generation) {
            cn->total -= cn->slots[self->slot];
            cn->slots[self->slot] = 0;
            cn->generations[self->slot] = self->generation;
        }

        cn->total++;
        cn->slots[self->slot]++;
        rc = NGX_OK;
    }

    ngx_shmtx_unlock(&shpool->mutex);

    /* who was killed may still have its slot */

    if (rc == NGX_BUSY && !reaped) {
        reaped = 1;

        if (ngx_iot_slot_reap()) {
            goto again;
        }
    }

    return rc;
}


/* leaves out workers that are gone; what is left */

static ngx_uint_t
ngx_iot_count_forget(ngx_iot_count_node_t *cn)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_IOT_SLOTS; i++) {
        if (cn->slots[i]
            && cn->generations[i] != ngx_iot_slot_generation(i))
        {
            cn->total -= cn->slots[i];
            cn->slots[i] = 0;
        }
    }

    return cn->total;
}


static ngx_iot_count_node_t *
ngx_iot_count_make(ngx_iot_count_zone_t *cz, ngx_slab_pool_t *shpool,
    u_char *id, uint32_t hash)
{
    ngx_iot_count_node_t  *cn;

    cn = ngx_iot_count_find(cz, id, hash);

    if (cn) {
        return cn;
    }

    cn = ngx_slab_calloc_locked(shpool, sizeof(ngx_iot_count_node_t));

    if (cn) {
        ngx_memcpy(cn->id, id, NGX_IOT_COUNT_ID);
        cn->node.node.key = hash;
        cn->node.str.data = cn->id;
        cn->node.str.len = NGX_IOT_COUNT_ID;
        ngx_rbtree_insert(&cz->tree, &cn->node.node);
    }

    return cn;
}


void
ngx_iot_count_drop(char *what, ngx_str_t *key)
{
    u_char                 id[NGX_IOT_COUNT_ID];
    uint32_t               hash;
    ngx_slab_pool_t       *shpool;
    ngx_iot_slot_id_t     *self;
    ngx_iot_count_node_t  *cn;
    ngx_iot_count_zone_t  *cz;

    self = ngx_iot_slot_self();

    if (self->slot >= NGX_IOT_SLOTS) {
        return;
    }

    cz = ngx_iot_zone()->counts;
    shpool = ngx_iot_zone_pool();
    hash = ngx_iot_count_id(id, what, key);

    ngx_shmtx_lock(&shpool->mutex);

    cn = ngx_iot_count_find(cz, id, hash);

    if (cn && cn->slots[self->slot]
        && cn->generations[self->slot] == self->generation)
    {
        cn->slots[self->slot]--;
        cn->total--;

        if (cn->total == 0) {
            ngx_rbtree_delete(&cz->tree, &cn->node.node);
            ngx_slab_free_locked(shpool, cn);
        }
    }

    ngx_shmtx_unlock(&shpool->mutex);
}


static uint32_t
ngx_iot_count_id(u_char *id, char *what, ngx_str_t *key)
{
    uint32_t                  hash;
    crypto_generichash_state  state;

    (void) crypto_generichash_init(&state, NULL, 0, NGX_IOT_COUNT_ID);
    (void) crypto_generichash_update(&state, (u_char *) what,
                                     ngx_strlen(what) + 1);
    (void) crypto_generichash_update(&state, key->data, key->len);
    (void) crypto_generichash_final(&state, id, NGX_IOT_COUNT_ID);

    ngx_memcpy(&hash, id, sizeof(uint32_t));

    return hash;
}


static ngx_iot_count_node_t *
ngx_iot_count_find(ngx_iot_count_zone_t *cz, u_char *id, uint32_t hash)
{
    ngx_str_t  name;

    name.data = id;
    name.len = NGX_IOT_COUNT_ID;

    return (ngx_iot_count_node_t *)
               ngx_str_rbtree_lookup(&cz->tree, &name, hash);
}
