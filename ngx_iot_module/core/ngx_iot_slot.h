
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_IOT_SLOT_H_INCLUDED_
#define _NGX_IOT_SLOT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_iot_zone.h"


/*
 * Each worker, of whatever generation, owns a slot of the zone as long as it
 * lives.  The generation of a slot changes when it is taken and when it is
 * given back or its owner is found dead: it is odd while there is an owner,
 * and no two owners ever have the same one.
 *
 * A slot has a bell, an eventfd made once by the master: every worker can
 * ring every other.
 */

typedef struct {
    uint32_t      slot;
    uint32_t      generation;
} ngx_iot_slot_id_t;


/* The bells; in the master, at start and reload. */
ngx_int_t ngx_iot_slot_init_module(ngx_cycle_t *cycle);

/* Claim a slot for this worker; NGX_DECLINED when all are taken. */
ngx_int_t ngx_iot_slot_init_process(ngx_cycle_t *cycle);
void ngx_iot_slot_exit_process(ngx_cycle_t *cycle);

/* This worker; slot is NGX_IOT_SLOTS when it has none. */
ngx_iot_slot_id_t *ngx_iot_slot_self(void);

/* 1 if that worker has not been seen to leave: one load */
ngx_uint_t ngx_iot_slot_alive(ngx_iot_slot_id_t *id);

/* Asks the system, and frees the slots of who has died; 1 if any. */
ngx_uint_t ngx_iot_slot_reap(void);

/* the generation of a slot now */
#define ngx_iot_slot_generation(slot)                                         \
    (uint32_t) ngx_iot_zone()->slots[slot].generation

/*
 * The bell.  A worker that has seen to everything says that it sleeps, looks
 * once more, and is then woken by whoever has something new: wake() costs a
 * system call only for who sleeps.
 */
void ngx_iot_slot_on_bell(void (*handler)(void));
void ngx_iot_slot_sleep(void);
void ngx_iot_slot_awake(void);
ngx_uint_t ngx_iot_slot_asleep(void);
void ngx_iot_slot_wake(ngx_uint_t slot);


/*
 * Called once when this worker is told to leave in peace (reload, stop), in
 * the order of registration: say goodbye, answer what waits.  The worker
 * stays until no timer is left that is not cancelable, or until
 * worker_shutdown_timeout.
 */
ngx_int_t ngx_iot_on_shutdown(void (*handler)(void *data), void *data);


#endif /* _NGX_IOT_SLOT_H_INCLUDED_ */
