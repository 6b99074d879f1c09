
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_IOT_GATEWAY_H_INCLUDED_
#define _NGX_IOT_GATEWAY_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "../core/ngx_iot_db.h"
#include "ngx_iot_device.h"


#define NGX_IOT_GATEWAY_MAX_NAME  255     /* characters */


/* why there is no device of that name for the gateway */

typedef enum {
    NGX_IOT_GATEWAY_FOUND = 0,
    NGX_IOT_GATEWAY_MISSING,          /* and was not to be made */
    NGX_IOT_GATEWAY_FOREIGN,          /* of another customer; or disabled */
    NGX_IOT_GATEWAY_LIMIT,            /* the tenant may have no more */
    NGX_IOT_GATEWAY_INVALID           /* such a name is not possible */
} ngx_iot_gateway_e;


typedef struct {
    ngx_str_t                 name;   /* set by the caller, as type is */
    ngx_str_t                 type;   /* of a new device; empty: default */
    ngx_iot_device_t         *device; /* held, the caller releases it */
    ngx_uint_t                refused;
} ngx_iot_gateway_item_t;


typedef struct ngx_iot_gateway_find_s  ngx_iot_gateway_find_t;

/*
 * NGX_OK: each item has a device or a reason; NGX_DECLINED: this is a gateway
 * no longer; NGX_ERROR: the database is away.
 */
typedef void (*ngx_iot_gateway_found_pt)(ngx_iot_gateway_find_t *find,
    ngx_int_t rc);

struct ngx_iot_gateway_find_s {
    ngx_iot_device_t         *gateway;        /* held by the caller */
    ngx_iot_gateway_item_t   *items;          /* each name once */
    ngx_uint_t                n;
    ngx_iot_gateway_found_pt  found;
    void                     *data;
    ngx_uint_t                changes;
    unsigned                  make:1;
    unsigned                  overwrite:1;    /* answer: see activity */
};


/*
 * The devices of these names, all by one call; those that do not exist are
 * made, if that is asked for.  NGX_AGAIN: found() will be called; NGX_BUSY:
 * the database is away.
 */
ngx_int_t ngx_iot_gateway_find(ngx_iot_gateway_find_t *find);

/* 1 if a device may have that name: UTF-8 of 1 to 255 characters. */
ngx_uint_t ngx_iot_gateway_name(ngx_str_t *name);

/* Add a parameter text[] of n strings, the first at *text, size apart. */
ngx_int_t ngx_iot_gateway_texts(ngx_iot_db_call_t *call, ngx_str_t *text,
    size_t size, ngx_uint_t n);


#endif /* _NGX_IOT_GATEWAY_H_INCLUDED_ */
