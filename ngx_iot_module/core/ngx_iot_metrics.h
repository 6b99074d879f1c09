
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_IOT_METRICS_H_INCLUDED_
#define _NGX_IOT_METRICS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/*
 * Counters and gauges of one worker, in the shared zone.  Only the owner of
 * the slot writes, so a plain add is enough; the metrics page sums over the
 * slots.  The table in ngx_iot_metrics.c gives each member its name, type
 * and help.
 */

typedef struct {
    ngx_atomic_t     requests_device;
    ngx_atomic_t     requests_rest;
    ngx_atomic_t     requests_refused;      /* 4xx */
    ngx_atomic_t     requests_failed;       /* 5xx */
    ngx_atomic_t     points;                /* acknowledged */
    ngx_atomic_t     points_refused;
    ngx_atomic_t     rate_refused[4][3];    /* as in ngx_iot_rates.h */
    ngx_atomic_t     batches;
    ngx_atomic_t     batches_copy;
    ngx_atomic_t     batches_failed;
    ngx_atomic_t     batch_rows;            /* sum over batches */
    ngx_atomic_t     batch_usec;            /* sum of commit times */
    ngx_atomic_t     batch_queue;           /* gauge: rows waiting */
    ngx_atomic_t     db_calls[5];
    ngx_atomic_t     db_errors[5];
    ngx_atomic_t     db_queue[5];           /* gauge */
    ngx_atomic_t     db_connections[5];     /* gauge: usable */
    ngx_atomic_t     db_reconnects;
    ngx_atomic_t     db_usec[5];            /* sum of call times */
    ngx_atomic_t     cache_device_hits;
    ngx_atomic_t     cache_device_misses;
    ngx_atomic_t     cache_device_entries;  /* gauge */
    ngx_atomic_t     cache_principal_hits;
    ngx_atomic_t     cache_principal_misses;
    ngx_atomic_t     cache_principal_entries;  /* gauge */
    ngx_atomic_t     cache_key_hits;
    ngx_atomic_t     cache_key_misses;
    ngx_atomic_t     mqtt_connections;      /* gauge */
    ngx_atomic_t     mqtt_subscriptions;    /* gauge */
    ngx_atomic_t     mqtt_retained;         /* gauge, of each worker */
    ngx_atomic_t     mqtt_retained_bytes;   /* the same */
    ngx_atomic_t     mqtt_sessions;         /* the same, stored ones */
    ngx_atomic_t     mqtt_stored;           /* gauge: of them, connected */
    ngx_atomic_t     mqtt_expired;
    ngx_atomic_t     mqtt_shared;           /* gauge */
    ngx_atomic_t     mqtt_connects;
    ngx_atomic_t     mqtt_refused;
    ngx_atomic_t     mqtt_disconnects;
    ngx_atomic_t     mqtt_messages_received;
    ngx_atomic_t     mqtt_messages_sent;
    ngx_atomic_t     mqtt_bytes_received;
    ngx_atomic_t     mqtt_bytes_sent;
    ngx_atomic_t     mqtt_publish_received;
    ngx_atomic_t     mqtt_publish_sent;
    ngx_atomic_t     mqtt_publish_dropped;
    ngx_atomic_t     mqtt_publish_refused;
    ngx_atomic_t     mqtt_publish_bytes_received;
    ngx_atomic_t     mqtt_publish_bytes_sent;
    ngx_atomic_t     bus_published;
    ngx_atomic_t     bus_delivered;
    ngx_atomic_t     bus_passed;
    ngx_atomic_t     bus_dropped;
    ngx_atomic_t     bus_full;
    ngx_atomic_t     bus_queue;             /* gauge: bytes */
    ngx_atomic_t     bus_subscriptions;     /* gauge */
    ngx_atomic_t     bus_interests;         /* gauge */
    ngx_atomic_t     shutdowns;
    ngx_atomic_t     logins;
    ngx_atomic_t     logins_failed;
    ngx_atomic_t     logins_throttled;
    ngx_atomic_t     watches;               /* gauge */
} ngx_iot_metrics_t;


/* The counters of this worker; before it has a slot, a place to scribble. */
extern ngx_iot_metrics_t  *ngx_iot_metrics;

#define ngx_iot_count(member)     ngx_iot_metrics->member++
#define ngx_iot_add(member, n)    ngx_iot_metrics->member += (n)
#define ngx_iot_gauge(member, n)  ngx_iot_metrics->member = (n)


/* All counters in Prometheus text format 0.0.4, in one buffer of pool. */
ngx_buf_t *ngx_iot_metrics_render(ngx_pool_t *pool);


#endif /* _NGX_IOT_METRICS_H_INCLUDED_ */
