
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_IOT_HELPER_POOL_H_INCLUDED_
#define _NGX_IOT_HELPER_POOL_H_INCLUDED_


#include "../codec/ngx_iot_codec.h"


/*
 * Memory that goes all at once, with the job that it belongs to; it is wiped,
 * for passwords are in it.
 */

typedef struct ngx_iot_helper_chunk_s  ngx_iot_helper_chunk_t;

typedef struct {
    ngx_iot_helper_chunk_t     *chunks;
} ngx_iot_helper_pool_t;


/*
 * Text that grows.  failed: there was no memory, or it would have been larger
 * than max (0: no limit); what is appended later is dropped.  data is always
 * followed by a zero unless it is NULL.
 */

typedef struct {
    ngx_iot_helper_pool_t      *pool;
    char                       *data;
    size_t                      len;
    size_t                      size;
    size_t                      max;
    unsigned                    failed:1;
} ngx_iot_helper_buf_t;


/* NULL: no memory; of the type of ngx_iot_alloc_pt */
void *ngx_iot_helper_alloc(void *pool, size_t size);
char *ngx_iot_helper_strdup(ngx_iot_helper_pool_t *pool, const char *text);
void ngx_iot_helper_pool_free(ngx_iot_helper_pool_t *pool);

void ngx_iot_helper_buf_init(ngx_iot_helper_buf_t *buf,
    ngx_iot_helper_pool_t *pool, size_t max);
void ngx_iot_helper_add(ngx_iot_helper_buf_t *buf, const char *p, size_t len);
void ngx_iot_helper_text(ngx_iot_helper_buf_t *buf, const char *text);
void ngx_iot_helper_printf(ngx_iot_helper_buf_t *buf, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));


#endif /* _NGX_IOT_HELPER_POOL_H_INCLUDED_ */
