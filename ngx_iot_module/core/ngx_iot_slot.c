
/*
 * Copyright (C) the ngx_iot authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include <sys/eventfd.h>

#include "ngx_iot_metrics.h"
#include "ngx_iot_module.h"
#include "ngx_iot_slot.h"


typedef struct ngx_iot_shutdown_s  ngx_iot_shutdown_t;

struct ngx_iot_shutdown_s {
    ngx_iot_shutdown_t   *next;
    void                (*handler)(void *data);
    void                 *data;
};


static ngx_int_t ngx_iot_slot_claim(ngx_cycle_t *cycle);
static ngx_uint_t ngx_iot_slot_dead(ngx_iot_slot_t *slot);
static ngx_int_t ngx_iot_slot_bell_add(ngx_cycle_t *cycle);
static void ngx_iot_slot_bell_handler(ngx_event_t *ev);
static void ngx_iot_slot_shutdown(void);


/*
 * The master makes the bells once: every worker of every generation has them
 * all, and this memory stays when the configuration is read again.  They are
 * never read: with edge-triggered events each write is an event of its own,
 * so no ring is lost when the workers of two zones share a bell.
 */

static ngx_fd_t             ngx_iot_slot_bells[NGX_IOT_SLOTS];
static ngx_uint_t           ngx_iot_slot_bells_made;

static ngx_iot_slot_id_t    ngx_iot_slot_id = { NGX_IOT_SLOTS, 0 };
static ngx_connection_t    *ngx_iot_slot_bell;
static void               (*ngx_iot_slot_handler)(void);
static ngx_iot_shutdown_t  *ngx_iot_shutdown_list;
static ngx_iot_metrics_t    ngx_iot_metrics_nowhere;

ngx_iot_metrics_t  *ngx_iot_metrics = &ngx_iot_metrics_nowhere;


/*
 * An error at a reload would end the master: without a bell the workers still
 * hear of each other by their timers.
 */

ngx_int_t
ngx_iot_slot_init_module(ngx_cycle_t *cycle)
{
    ngx_uint_t       i;
    ngx_iot_conf_t  *icf;

    icf = (ngx_iot_conf_t *) ngx_get_conf(cycle->conf_ctx, ngx_iot_module);

    if (ngx_test_config || !icf->enabled || ngx_iot_slot_bells_made) {
        return NGX_OK;
    }

    ngx_iot_slot_bells_made = 1;

    for (i = 0; i < NGX_IOT_SLOTS; i++) {
        ngx_iot_slot_bells[i] = eventfd(0, EFD_NONBLOCK|EFD_CLOEXEC);

        if (ngx_iot_slot_bells[i] == -1) {
            ngx_log_error(NGX_LOG_CRIT, cycle->log, ngx_errno,
                          "eventfd() failed, workers will be slow to hear "
                          "of each other");
        }
    }

    return NGX_OK;
}


ngx_int_t
ngx_iot_slot_init_process(ngx_cycle_t *cycle)
{
    ngx_int_t  rc;

    /* without processes a reload comes here again */

    if (ngx_iot_slot_id.slot != NGX_IOT_SLOTS) {
        ngx_iot_slot_exit_process(cycle);
    }

    ngx_iot_shutdown_list = NULL;

    rc = ngx_iot_slot_claim(cycle);

    if (rc != NGX_OK) {
        return rc;
    }

    return ngx_iot_slot_bell_add(cycle);
}


void
ngx_iot_slot_exit_process(ngx_cycle_t *cycle)
{
    ngx_iot_slot_t    *slot;
    ngx_connection_t  *c;

    if (ngx_iot_slot_id.slot == NGX_IOT_SLOTS) {
        return;
    }

    slot = &ngx_iot_zone()->slots[ngx_iot_slot_id.slot];

    slot->generation++;
    slot->pid = 0;

    (void) ngx_atomic_fetch_add(&ngx_iot_zone()->changes, 1);

    ngx_iot_slot_id.slot = NGX_IOT_SLOTS;
    ngx_iot_slot_id.generation = 0;
    ngx_iot_metrics = &ngx_iot_metrics_nowhere;

    c = ngx_iot_slot_bell;
    ngx_iot_slot_bell = NULL;

    if (c == NULL) {
        return;
    }

    if (ngx_del_conn) {
        ngx_del_conn(c, 0);

    } else {
        ngx_del_event(c->read, NGX_READ_EVENT, 0);
    }

    if (c->read->posted) {
        ngx_delete_posted_event(c->read);
    }

    ngx_free_connection(c);
    c->fd = (ngx_socket_t) -1;
}


static ngx_int_t
ngx_iot_slot_claim(ngx_cycle_t *cycle)
{
    ngx_uint_t        i;
    ngx_iot_slot_t   *slot;
    ngx_iot_zone_t   *zone;
    ngx_slab_pool_t  *shpool;

    (void) ngx_iot_slot_reap();

    zone = ngx_iot_zone();
    shpool = ngx_iot_zone_pool();

    ngx_shmtx_lock(&shpool->mutex);

    for (i = 0; i < NGX_IOT_SLOTS; i++) {
        slot = &zone->slots[i];

        if (slot->pid == 0) {

            /* it may have died between the two steps of leaving */

            slot->generation = (slot->generation | 1) + 2;
            slot->asleep = 0;
            slot->pid = (ngx_atomic_t) ngx_pid;

            (void) ngx_atomic_fetch_add(&zone->changes, 1);

            break;
        }
    }

    ngx_shmtx_unlock(&shpool->mutex);

    if (i == NGX_IOT_SLOTS) {
        ngx_log_error(NGX_LOG_CRIT, cycle->log, 0,
                      "all %d worker slots of the iot zone are taken",
                      NGX_IOT_SLOTS);
        return NGX_DECLINED;
    }

    ngx_iot_slot_id.slot = i;
    ngx_iot_slot_id.generation = (uint32_t) zone->slots[i].generation;
    ngx_iot_metrics = &zone->slots[i].metrics;

    return NGX_OK;
}


ngx_uint_t
ngx_iot_slot_reap(void)
{
    ngx_uint_t        i, n;
    ngx_iot_slot_t   *slot;
    ngx_slab_pool_t  *shpool;

    shpool = ngx_iot_zone_pool();

    for (n = 0, i = 0; i < NGX_IOT_SLOTS; i++) {
        slot = &ngx_iot_zone()->slots[i];

        if (slot->pid == 0 || !ngx_iot_slot_dead(slot)) {
            continue;
        }

        ngx_shmtx_lock(&shpool->mutex);

        if (slot->pid && ngx_iot_slot_dead(slot)) {
            slot->generation = (slot->generation | 1) + 1;
            slot->pid = 0;

            (void) ngx_atomic_fetch_add(&ngx_iot_zone()->changes, 1);

            n = 1;
        }

        ngx_shmtx_unlock(&shpool->mutex);
    }

    return n;
}


static ngx_uint_t
ngx_iot_slot_dead(ngx_iot_slot_t *slot)
{
    return kill((ngx_pid_t) slot->pid, 0) == -1 && ngx_errno == NGX_ESRCH;
}


ngx_iot_slot_id_t *
ngx_iot_slot_self(void)
{
    return &ngx_iot_slot_id;
}


ngx_uint_t
ngx_iot_slot_alive(ngx_iot_slot_id_t *id)
{
    return id->slot < NGX_IOT_SLOTS
           && (id->generation & 1)
           && id->generation == ngx_iot_slot_generation(id->slot);
}


void
ngx_iot_slot_on_bell(void (*handler)(void))
{
    ngx_iot_slot_handler = handler;
}


void
ngx_iot_slot_sleep(void)
{
    __atomic_store_n(&ngx_iot_zone()->slots[ngx_iot_slot_id.slot].asleep, 1,
                     __ATOMIC_SEQ_CST);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}


void
ngx_iot_slot_awake(void)
{
    __atomic_store_n(&ngx_iot_zone()->slots[ngx_iot_slot_id.slot].asleep, 0,
                     __ATOMIC_SEQ_CST);
}


ngx_uint_t
ngx_iot_slot_asleep(void)
{
    return __atomic_load_n(&ngx_iot_zone()->slots[ngx_iot_slot_id.slot].asleep,
                           __ATOMIC_ACQUIRE);
}


void
ngx_iot_slot_wake(ngx_uint_t n)
{
    uint64_t         one;
    ngx_iot_slot_t  *slot;

    slot = &ngx_iot_zone()->slots[n];

    __atomic_thread_fence(__ATOMIC_SEQ_CST);

    if (__atomic_load_n(&slot->asleep, __ATOMIC_RELAXED) == 0
        || __atomic_exchange_n(&slot->asleep, 0, __ATOMIC_SEQ_CST) == 0)
    {
        return;
    }

    if (!ngx_iot_slot_bells_made || ngx_iot_slot_bells[n] == -1) {
        return;
    }

    one = 1;

    if (write(ngx_iot_slot_bells[n], &one, sizeof(uint64_t)) == -1) {
        ngx_log_error(NGX_LOG_ALERT, ngx_cycle->log, ngx_errno,
                      "write() to the bell of slot %ui failed", n);
    }
}


static ngx_int_t
ngx_iot_slot_bell_add(ngx_cycle_t *cycle)
{
    ngx_fd_t           fd;
    ngx_connection_t  *c;

    fd = ngx_iot_slot_bells[ngx_iot_slot_id.slot];

    if (!ngx_iot_slot_bells_made || fd == -1) {
        return NGX_DECLINED;
    }

    c = ngx_get_connection(fd, cycle->log);
    if (c == NULL) {
        return NGX_DECLINED;
    }

    c->log = cycle->log;
    c->read->log = cycle->log;
    c->write->log = cycle->log;
    c->read->handler = ngx_iot_slot_bell_handler;
    c->write->handler = ngx_iot_slot_bell_handler;

    /* how a module hears that the worker shall leave in peace */

    c->idle = 1;

    if (ngx_add_event(c->read, NGX_READ_EVENT,
                      (ngx_event_flags & NGX_USE_CLEAR_EVENT) ? NGX_CLEAR_EVENT
                                                              : 0)
        != NGX_OK)
    {
        ngx_free_connection(c);
        c->fd = (ngx_socket_t) -1;
        return NGX_DECLINED;
    }

    ngx_iot_slot_bell = c;

    return NGX_OK;
}


static void
ngx_iot_slot_bell_handler(ngx_event_t *ev)
{
    uint64_t           n;
    ngx_connection_t  *c;

    c = ev->data;

    if (c->close) {
        c->close = 0;
        c->idle = 0;

        ngx_iot_slot_shutdown();

        return;
    }

    if (!(ngx_event_flags & NGX_USE_CLEAR_EVENT)) {

        if (read(c->fd, &n, sizeof(uint64_t)) == -1 && ngx_errno != NGX_EAGAIN)
        {
            ngx_log_error(NGX_LOG_ALERT, c->log, ngx_errno,
                          "read() from a bell failed");
        }
    }

    if (ngx_iot_slot_handler) {
        ngx_iot_slot_handler();
    }
}


ngx_int_t
ngx_iot_on_shutdown(void (*handler)(void *data), void *data)
{
    ngx_iot_shutdown_t  *shutdown, **last;

    shutdown = ngx_palloc(ngx_cycle->pool, sizeof(ngx_iot_shutdown_t));
    if (shutdown == NULL) {
        return NGX_ERROR;
    }

    shutdown->next = NULL;
    shutdown->handler = handler;
    shutdown->data = data;

    for (last = &ngx_iot_shutdown_list; *last; last = &(*last)->next) {
        /* void */
    }

    *last = shutdown;

    return NGX_OK;
}


static void
ngx_iot_slot_shutdown(void)
{
    ngx_iot_shutdown_t  *shutdown;

    if (!ngx_exiting) {
        return;
    }

    ngx_iot_count(shutdowns);

    while (ngx_iot_shutdown_list) {
        shutdown = ngx_iot_shutdown_list;
        ngx_iot_shutdown_list = shutdown->next;

        shutdown->handler(shutdown->data);
    }
}
