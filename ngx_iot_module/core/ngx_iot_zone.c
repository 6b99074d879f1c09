
/*
 * Copyright (C) the ngx_iot authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <sys/random.h>

#include "ngx_iot_db.h"
#include "ngx_iot_module.h"
#include "ngx_iot_zone.h"


static ngx_int_t ngx_iot_zone_init(ngx_shm_zone_t *shm_zone, void *data);
static void ngx_iot_zone_notified(ngx_str_t *what, ngx_str_t *id);


static ngx_uint_t  ngx_iot_changes;


char *
ngx_iot_zone_add(ngx_conf_t *cf, ngx_str_t *name, size_t size,
    ngx_shm_zone_t **zone)
{
    ngx_shm_zone_t  *shm_zone;

    shm_zone = ngx_shared_memory_add(cf, name, size, &ngx_iot_module);
    if (shm_zone == NULL) {
        return NGX_CONF_ERROR;
    }

    shm_zone->init = ngx_iot_zone_init;
    *zone = shm_zone;

    return NGX_CONF_OK;
}


/*
 * After a reload with the same name and size the memory and all that is in it
 * stays; both generations of workers use it.
 */

static ngx_int_t
ngx_iot_zone_init(ngx_shm_zone_t *shm_zone, void *data)
{
    ngx_iot_zone_t   *zone;
    ngx_slab_pool_t  *shpool;

    if (data) {
        shm_zone->data = data;
        return NGX_OK;
    }

    shpool = (ngx_slab_pool_t *) shm_zone->shm.addr;

    if (shm_zone->shm.exists) {
        shm_zone->data = shpool->data;
        return NGX_OK;
    }

    zone = ngx_slab_calloc(shpool, sizeof(ngx_iot_zone_t));
    if (zone == NULL) {
        return NGX_ERROR;
    }

    if (getrandom(&zone->boot, sizeof(uint64_t), 0) != sizeof(uint64_t)) {
        return NGX_ERROR;
    }

    shpool->data = zone;
    shpool->log_nomem = 0;
    shm_zone->data = zone;

    return NGX_OK;
}


ngx_iot_zone_t *
ngx_iot_zone(void)
{
    return ngx_iot_conf()->zone->data;
}


ngx_slab_pool_t *
ngx_iot_zone_pool(void)
{
    return (ngx_slab_pool_t *) ngx_iot_conf()->zone->shm.addr;
}


ngx_int_t
ngx_iot_zone_init_process(ngx_cycle_t *cycle)
{
    return ngx_iot_db_on_notify(ngx_iot_zone_notified);
}


ngx_atomic_t *
ngx_iot_zone_tag(ngx_str_t *id)
{
    uint32_t  hash;

    hash = ngx_murmur_hash2(id->data, id->len);

    return &ngx_iot_zone()->tags[hash % NGX_IOT_TAGS];
}


void
ngx_iot_zone_tag_bump(ngx_str_t *id)
{
    (void) ngx_atomic_fetch_add(ngx_iot_zone_tag(id), 1);
}


void
ngx_iot_zone_tag_bump_all(void)
{
    ngx_uint_t       i;
    ngx_iot_zone_t  *zone;

    zone = ngx_iot_zone();

    for (i = 0; i < NGX_IOT_TAGS; i++) {
        (void) ngx_atomic_fetch_add(&zone->tags[i], 1);
    }
}


ngx_uint_t
ngx_iot_zone_changes(void)
{
    return ngx_iot_changes;
}


/*
 * The worker whose call caused the notification handles it before the answer
 * goes out: whoever got the answer finds no worker of the node behind.
 */

static void
ngx_iot_zone_notified(ngx_str_t *what, ngx_str_t *id)
{
    ngx_iot_changes++;

    if (id->len) {
        ngx_iot_zone_tag_bump(id);

    } else {
        ngx_iot_zone_tag_bump_all();
    }
}
