
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_IOT_REGISTRY_H_INCLUDED_
#define _NGX_IOT_REGISTRY_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_iot_slot.h"


/*
 * Which worker of the node has what of which there can be only one: the
 * session of a client id, the connection of a device.  An entry is as good as
 * the worker that made it: entries of workers that have gone are not found.
 */

#define NGX_IOT_REGISTRY_MQTT    1        /* kinds */
#define NGX_IOT_REGISTRY_NATIVE  2
#define NGX_IOT_REGISTRY_DEVICE  3
#define NGX_IOT_REGISTRY_PROXY   4
#define NGX_IOT_REGISTRY_SEAT    5


typedef struct {
    ngx_iot_slot_id_t    owner;
    uint64_t             ref;             /* the owner's name for it */
} ngx_iot_registry_entry_t;


/*
 * Enter (kind, tenant, id) for this worker; a former entry is replaced.
 * NGX_OK: there was none; NGX_DONE: there was, it is in *former, and its
 * owner is to be told (ngx_iot_bus_send(), unless it is this worker).
 * NGX_ERROR: the zone is full or the worker has no slot.  id->len <= 65535.
 */
ngx_int_t ngx_iot_registry_claim(ngx_uint_t kind, u_char *tenant,
    ngx_str_t *id, uint64_t ref, ngx_iot_registry_entry_t *former);

/* NGX_OK and *entry, or NGX_DECLINED */
ngx_int_t ngx_iot_registry_find(ngx_uint_t kind, u_char *tenant,
    ngx_str_t *id, ngx_iot_registry_entry_t *entry);

/* Only takes away what this worker entered with the same ref. */
void ngx_iot_registry_drop(ngx_uint_t kind, u_char *tenant, ngx_str_t *id,
    uint64_t ref);


#endif /* _NGX_IOT_REGISTRY_H_INCLUDED_ */
