
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_IOT_MODULE_H_INCLUDED_
#define _NGX_IOT_MODULE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_thread_pool.h>

#include "../codec/ngx_iot_seal.h"


#define NGX_IOT_VERSION      "0.1.0"

#define NGX_IOT_CONF         0x04000000    /* inside iot { } */

#define NGX_IOT_SECRET_SIZE  32


/* a conninfo string, taken apart and with host names resolved */

typedef struct {
    ngx_str_t         text;
    char            **keywords;     /* for PQconnectStartParams(), */
    char            **values;       /* both ended by NULL */
} ngx_iot_conninfo_t;


typedef struct {
    ngx_iot_conninfo_t   database;
    ngx_iot_conninfo_t   database_read;
    ngx_str_t            role;              /* SET ROLE after connecting */
    ngx_uint_t           call_connections;
    ngx_uint_t           read_connections;
    ngx_uint_t           slow_connections;
    ngx_uint_t           queue;             /* calls waiting per lane */
    ngx_msec_t           timeout;           /* of one call */
    ngx_msec_t           slow_timeout;
    ngx_msec_t           queue_timeout;     /* waiting for a connection */
    ngx_uint_t           batch_rows;
    ngx_uint_t           batch_copy;        /* rows from which COPY is used */
    ngx_uint_t           batch_queue;       /* rows waiting per worker */
    ngx_uint_t           device_cache;      /* entries per worker */

    ngx_shm_zone_t      *zone;
    ngx_str_t            secret_key_file;
    u_char               secret_key[NGX_IOT_SECRET_SIZE];
    ngx_iot_seal_keys_t  seal_keys;

    ngx_thread_pool_t   *thread_pool;

    ngx_flag_t           enabled;           /* there is an iot { } */
} ngx_iot_conf_t;


/* The configuration of the running cycle; enabled is 0 without iot { }. */
ngx_iot_conf_t *ngx_iot_conf(void);


extern ngx_module_t  ngx_iot_module;


#endif /* _NGX_IOT_MODULE_H_INCLUDED_ */
