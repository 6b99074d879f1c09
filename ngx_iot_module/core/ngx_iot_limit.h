
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_IOT_LIMIT_H_INCLUDED_
#define _NGX_IOT_LIMIT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/*
 * Rate limits by token buckets that the workers of a node share.  A limit has
 * one bucket per window; a bucket begins full and refills continuously.
 */

#define NGX_IOT_LIMIT_WINDOWS       4
#define NGX_IOT_LIMIT_MAX_CAPACITY  100000000
#define NGX_IOT_LIMIT_MAX_SECONDS   31622400

typedef struct {
    uint32_t                capacity;
    uint32_t                seconds;
} ngx_iot_limit_window_t;

typedef struct {
    ngx_uint_t              n;          /* 0: unlimited */
    ngx_iot_limit_window_t  windows[NGX_IOT_LIMIT_WINDOWS];
} ngx_iot_limit_t;


/*
 * "100:1,2000:60": at most 100 in a second and 2000 in a minute.  Empty text
 * is no limit.  NGX_OK or NGX_ERROR (then limit is unchanged).
 */
ngx_int_t ngx_iot_limit_parse(ngx_iot_limit_t *limit, ngx_str_t *text);

/*
 * Take n tokens from every bucket of the key, or none from any.  what tells
 * limits on the same key apart.  NGX_OK, or NGX_BUSY and the seconds after
 * which it is worth another try.  When the shared zone is out of memory
 * everything passes.
 */
ngx_int_t ngx_iot_limit_take(ngx_iot_limit_t *limit, char *what,
    ngx_str_t *key, ngx_uint_t n, ngx_uint_t *retry_after);

/* What is left in the bucket that will be empty first. */

typedef struct {
    ngx_uint_t              limit;
    ngx_uint_t              remaining;
    ngx_uint_t              reset;      /* seconds until it is full */
} ngx_iot_limit_left_t;

void ngx_iot_limit_left(ngx_iot_limit_t *limit, char *what, ngx_str_t *key,
    ngx_iot_limit_left_t *left);

/* Put back what turned out not to count. */
void ngx_iot_limit_give(ngx_iot_limit_t *limit, char *what, ngx_str_t *key,
    ngx_uint_t n);


ngx_int_t ngx_iot_limit_init_process(ngx_cycle_t *cycle);

/*
 * What the failures of a client count for: its address, of IPv6 the network
 * of 64 bits, which one customer of a provider has wholly.
 */
void ngx_iot_limit_network(ngx_connection_t *c, ngx_str_t *key);


#endif /* _NGX_IOT_LIMIT_H_INCLUDED_ */
