
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_IOT_RATES_H_INCLUDED_
#define _NGX_IOT_RATES_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "../codec/ngx_iot_topic_rule.h"
#include "ngx_iot_limit.h"


/*
 * What workers must know of a tenant: the rates that its profile allows, and
 * its rules about topics.  Cached in the worker.  Who holds an entry may keep
 * it for long: what has changed is read into it.
 */

#define NGX_IOT_RATES_TENANT     0      /* whose rate */
#define NGX_IOT_RATES_DEVICE     1
#define NGX_IOT_RATES_GATEWAY    2
#define NGX_IOT_RATES_BEHIND     3      /* a device behind a gateway */
#define NGX_IOT_RATES_OWNERS     4

#define NGX_IOT_RATES_MESSAGES   0      /* of what */
#define NGX_IOT_RATES_TELEMETRY  1
#define NGX_IOT_RATES_POINTS     2
#define NGX_IOT_RATES_KINDS      3


typedef struct {
    ngx_str_node_t      node;           /* by tenant; must be first */
    ngx_queue_t         unused;         /* while nobody holds it */
    ngx_queue_t         waiting;
    ngx_uint_t          refs;

    ngx_atomic_t       *tags[2];        /* of the tenant and its profile */
    ngx_atomic_uint_t   seen_tags[2];
    time_t              expires;        /* not 0: the tags say nothing */
    ngx_uint_t          changes;        /* when the database was asked */

    ngx_iot_limit_t     rest_tenant;
    ngx_iot_limit_t     rest_customer;
    ngx_iot_limit_t     transport[NGX_IOT_RATES_OWNERS][NGX_IOT_RATES_KINDS];

    ngx_iot_topic_rule_t  *rules;       /* in one piece with their texts */
    ngx_uint_t          nrules;
    ngx_uint_t          rules_epoch;

    /* used since the numbers were last told to the database, and told now */
    ngx_queue_t         usage;
    ngx_uint_t          used[NGX_IOT_RATES_KINDS];
    ngx_uint_t          told[NGX_IOT_RATES_KINDS];

    u_char              id[36];

    unsigned            limited:1;      /* some transport rate is */
    unsigned            disabled:1;     /* nothing is left of this month */
    unsigned            counted:1;      /* in the queue of usage */
    unsigned            loading:1;
} ngx_iot_rates_t;


typedef struct ngx_iot_rates_wait_s  ngx_iot_rates_wait_t;

/* the entry is held: release it */
typedef void (*ngx_iot_rates_found_pt)(ngx_iot_rates_wait_t *wait,
    ngx_iot_rates_t *rates);

struct ngx_iot_rates_wait_s {
    ngx_queue_t             queue;
    ngx_iot_rates_found_pt  found;
    void                   *data;
    unsigned                active:1;
};


ngx_int_t ngx_iot_rates_init_process(ngx_cycle_t *cycle);

/*
 * The rates of a tenant, given by 36 characters.  NGX_OK: *rates is held;
 * NGX_AGAIN: wait->found() will be called; NGX_ERROR: no memory.  What the
 * database does not tell stays as it was, at first without any limit.
 */
ngx_int_t ngx_iot_rates_find(u_char *tenant, ngx_iot_rates_t **rates,
    ngx_iot_rates_wait_t *wait);

void ngx_iot_rates_unwait(ngx_iot_rates_wait_t *wait);
void ngx_iot_rates_release(ngx_iot_rates_t *rates);

/* Hold an entry once more. */
void ngx_iot_rates_keep(ngx_iot_rates_t *rates);

/* Once more, of who holds it already. */
void ngx_iot_rates_hold(ngx_iot_rates_t *rates);

/* If the profile has changed, read it while the old rates go on. */
void ngx_iot_rates_refresh(ngx_iot_rates_t *rates);


#endif /* _NGX_IOT_RATES_H_INCLUDED_ */
