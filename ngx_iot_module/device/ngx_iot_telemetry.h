
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_IOT_TELEMETRY_H_INCLUDED_
#define _NGX_IOT_TELEMETRY_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "../codec/ngx_iot_keyset.h"
#include "../codec/ngx_iot_value.h"
#include "../core/ngx_iot_batch.h"
#include "ngx_iot_device.h"


#define NGX_IOT_SCOPE_CLIENT  1
#define NGX_IOT_SCOPE_SHARED  2
#define NGX_IOT_SCOPE_SERVER  3


typedef struct ngx_iot_save_s  ngx_iot_save_t;


/* a key that is to be registered */

typedef struct {
    ngx_str_t                key;         /* must be first */
    int64_t                  ts;          /* of its oldest point */
    uint32_t                 id;
} ngx_iot_save_name_t;


/*
 * NGX_OK: committed; NGX_DECLINED: the database cannot hold them (err);
 * NGX_ERROR: not now (err: 503).  The device is still held.
 */
typedef void (*ngx_iot_saved_pt)(ngx_iot_save_t *save, ngx_int_t rc,
    ngx_iot_error_t *err);


/*
 * Points on their way into the database.  The sender fills the first part;
 * the points, their texts and this structure stay alive until saved() was
 * called or the save was abandoned.
 */

struct ngx_iot_save_s {
    ngx_iot_device_t        *device;      /* held by the sender */
    ngx_iot_point_t         *points;
    ngx_uint_t               npoints;
    ngx_uint_t               scope;       /* 0: telemetry */
    ngx_pool_t              *pool;
    ngx_iot_saved_pt         saved;
    void                    *data;

    uint32_t                *keys;        /* their numbers, 0: not known */
    ngx_iot_save_name_t     *names;       /* of the unknown, each once */
    ngx_uint_t               nnames;
    ngx_iot_keyset_t         set;
    ngx_iot_alloc_t          alloc;
    ngx_iot_db_call_t       *call;
    ngx_iot_batch_entry_t   *entry;
};


ngx_int_t ngx_iot_telemetry_init_process(ngx_cycle_t *cycle);

/*
 * Write the points in the next batch.  NGX_OK: there was nothing to do, the
 * caller answers; NGX_AGAIN: saved() will be called; NGX_BUSY: too much is
 * waiting, answer 503.
 */
ngx_int_t ngx_iot_save(ngx_iot_save_t *save);

void ngx_iot_save_abandon(ngx_iot_save_t *save);


#endif /* _NGX_IOT_TELEMETRY_H_INCLUDED_ */
