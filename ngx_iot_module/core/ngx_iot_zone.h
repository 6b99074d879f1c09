
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_IOT_ZONE_H_INCLUDED_
#define _NGX_IOT_ZONE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_iot_metrics.h"


/*
 * What the workers of a node share.  A worker claims a slot: its number in
 * everything that is kept per worker.  Slots outlive workers; a slot whose
 * owner was killed is taken over by the next worker.
 */

#define NGX_IOT_SLOTS  64
#define NGX_IOT_TAGS   4096


typedef struct {
    ngx_atomic_t           pid;          /* 0: free */
    ngx_atomic_t           generation;   /* odd: there is an owner */
    uint32_t               asleep;       /* the owner is to be woken */
    ngx_iot_metrics_t      metrics;      /* never reset: counters go on */
} ngx_iot_slot_t;


typedef struct {
    ngx_atomic_t           tags[NGX_IOT_TAGS];
    ngx_iot_slot_t         slots[NGX_IOT_SLOTS];
    ngx_atomic_t           changes;      /* of any slot's generation */
    uint64_t               boot;         /* random: a name of this zone */
    ngx_atomic_t           watches;      /* of ngx_iot_event.c */
    void                  *limits;       /* of ngx_iot_limit.c */
    void                  *counts;       /* of ngx_iot_count.c */
    void                  *link;         /* of ngx_iot_link.c */
    void                  *registry;     /* of ngx_iot_registry.c */
} ngx_iot_zone_t;


char *ngx_iot_zone_add(ngx_conf_t *cf, ngx_str_t *name, size_t size,
    ngx_shm_zone_t **zone);

ngx_int_t ngx_iot_zone_init_process(ngx_cycle_t *cycle);

ngx_iot_zone_t *ngx_iot_zone(void);
ngx_slab_pool_t *ngx_iot_zone_pool(void);

/* The slot of this worker, or NGX_IOT_SLOTS when it has none. */
ngx_uint_t ngx_iot_zone_slot(void);


/*
 * Tags: a cached thing about an entity (a principal, a device) remembers the
 * tag of the entity's id at the time it was read; when the two differ, it is
 * out of date.  Whoever hears of a change bumps the tag, for all workers of
 * the node at once.  Ids share tags by hash: a bump may drop an innocent
 * entry, never keep a guilty one.
 */
ngx_atomic_t *ngx_iot_zone_tag(ngx_str_t *id);
void ngx_iot_zone_tag_bump(ngx_str_t *id);
void ngx_iot_zone_tag_bump_all(void);

/*
 * Counts the notifications that this worker has handled: what was asked of
 * the database before the count changed may be out of date.
 */
ngx_uint_t ngx_iot_zone_changes(void);


#endif /* _NGX_IOT_ZONE_H_INCLUDED_ */
