
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_IOT_DEVICE_H_INCLUDED_
#define _NGX_IOT_DEVICE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <libpq-fe.h>

#include "../core/ngx_iot_error.h"
#include "../core/ngx_iot_rates.h"
#include "../core/ngx_iot_zone.h"
#include "ngx_iot_transport.h"


#define NGX_IOT_UUID_TEXT    36

/* device, tenant, customer, profile and profile of the tenant */
#define NGX_IOT_DEVICE_TAGS  5


typedef struct ngx_iot_device_s  ngx_iot_device_t;


/*
 * A device as its credential shows it, cached in the worker.  It stays as
 * long as somebody holds it, also after the cache has dropped it.
 */

struct ngx_iot_device_s {
    ngx_str_node_t     node;          /* by access token; must be first */
    ngx_queue_t        lru;
    ngx_queue_t        waiting;       /* for the database */
    ngx_uint_t         refs;

    int32_t            nr;            /* the entity in telemetry */
    u_char             id[NGX_IOT_UUID_TEXT];
    u_char             tenant[NGX_IOT_UUID_TEXT];
    u_char             customer[NGX_IOT_UUID_TEXT];
    u_char             profile[NGX_IOT_UUID_TEXT];
    ngx_str_t          name;
    ngx_str_t          password;      /* data NULL: none is asked for */

    /* what it was made from is current while these have not moved */
    ngx_atomic_t      *tags[NGX_IOT_DEVICE_TAGS];
    ngx_atomic_uint_t  seen_tags[NGX_IOT_DEVICE_TAGS];

    /* keys that are registered for the device: sorted ids */
    uint32_t          *keys;
    ngx_uint_t         nkeys;
    ngx_uint_t         nkeys_alloc;
    ngx_atomic_t      *keys_tag;
    ngx_atomic_uint_t  seen_keys_tag;

    ngx_iot_rates_t   *rates;         /* of the tenant, held */

    ngx_iot_transport_t  *transport;  /* NULL: as usual */

    ngx_uint_t         changes;       /* when the database was asked */

    unsigned           has_customer:1;
    unsigned           gateway:1;
    unsigned           cast_strings:1;
    unsigned           loading:1;
    unsigned           cached:1;
    unsigned           once:1;        /* it has changed while it was read */
};


/*
 * Somebody waiting for a device.  done() gets NGX_OK and the device (held:
 * release it), NGX_DECLINED (no such credential) or NGX_ERROR and err.
 */

typedef struct ngx_iot_device_wait_s  ngx_iot_device_wait_t;

typedef void (*ngx_iot_device_found_pt)(ngx_iot_device_wait_t *wait,
    ngx_int_t rc, ngx_iot_device_t *device, ngx_iot_error_t *err);

struct ngx_iot_device_wait_s {
    ngx_queue_t                 queue;
    ngx_iot_device_found_pt     found;
    void                       *data;
    unsigned                    active:1;
};


ngx_int_t ngx_iot_device_init_process(ngx_cycle_t *cycle);
void ngx_iot_device_exit_process(ngx_cycle_t *cycle);

/*
 * Find the device of an access token.  NGX_OK: *device is it, held;
 * NGX_AGAIN: wait->found() will be called; NGX_DECLINED: no token at all;
 * NGX_BUSY: the database is away, answer 503.
 */
ngx_int_t ngx_iot_device_by_token(ngx_str_t *token, ngx_iot_device_t **device,
    ngx_iot_device_wait_t *wait);

/*
 * The same for the credentials of a client id and a user name, of which either
 * may be empty; for the SHA3-256 of a certificate, as 64 hexadecimal digits;
 * for its id, as text, when it has shown its credentials before; and once more
 * for a device that was found in one of these ways.
 */
ngx_int_t ngx_iot_device_by_login(ngx_str_t *client_id, ngx_str_t *user,
    ngx_iot_device_t **device, ngx_iot_device_wait_t *wait);
ngx_int_t ngx_iot_device_by_certificate(u_char *id, ngx_iot_device_t **device,
    ngx_iot_device_wait_t *wait);
ngx_int_t ngx_iot_device_by_id(u_char *id, ngx_iot_device_t **device,
    ngx_iot_device_wait_t *wait);
ngx_int_t ngx_iot_device_again(ngx_iot_device_t *former,
    ngx_iot_device_t **device, ngx_iot_device_wait_t *wait);

/* 1 when the device asks for no password, or for this one. */
ngx_uint_t ngx_iot_device_may_enter(ngx_iot_device_t *device,
    ngx_str_t *password);

/*
 * A device behind a gateway, which is held and of the same tenant, from a row
 * of ngx_iot_gateway.c; held, and in no cache.  NULL: no memory.
 */
ngx_iot_device_t *ngx_iot_device_behind(ngx_iot_device_t *gateway,
    PGresult *res, int row);

/* 0: something about it has changed, it is to be looked up again. */
ngx_uint_t ngx_iot_device_current(ngx_iot_device_t *device);

void ngx_iot_device_unwait(ngx_iot_device_wait_t *wait);
void ngx_iot_device_release(ngx_iot_device_t *device);

/* Is this key registered for the device?  And: now it is. */
ngx_uint_t ngx_iot_device_has_key(ngx_iot_device_t *device, uint32_t key);
ngx_int_t ngx_iot_device_add_key(ngx_iot_device_t *device, uint32_t key);


#endif /* _NGX_IOT_DEVICE_H_INCLUDED_ */
