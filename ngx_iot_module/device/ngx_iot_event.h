
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_IOT_EVENT_H_INCLUDED_
#define _NGX_IOT_EVENT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "../codec/ngx_iot_value.h"
#include "../core/ngx_iot_bus.h"


/*
 * What happens to an entity, as messages on the bus of its tenant.  The topic
 * is "$iot/ID/" and the name below; "#" and "+" of a client do not match it.
 *
 *   CLIENT, SHARED, SERVER  attributes of that scope: {"k":v,...}, or
 *                           {"deleted":["k",...]}
 *   TELEMETRY               [{"ts":ms,"values":{"k":v,...}},...]
 *   RPC, RPC_UP             see ngx_iot_rpc.h
 *   ALARM                   {"id":"ID","op":"created"}, "updated", "deleted"
 *
 * Values that were written are told after their commit.  SHARED is always
 * told, for devices wait for it; the other attributes and telemetry only
 * while somebody of the node watches.
 */

typedef enum {
    NGX_IOT_EVENT_CLIENT = 0,         /* attributes/client */
    NGX_IOT_EVENT_SHARED,             /* attributes/shared */
    NGX_IOT_EVENT_SERVER,             /* attributes/server */
    NGX_IOT_EVENT_TELEMETRY,          /* telemetry */
    NGX_IOT_EVENT_RPC,                /* rpc */
    NGX_IOT_EVENT_RPC_UP,             /* rpc/up */
    NGX_IOT_EVENT_ALARM,              /* alarm */
    NGX_IOT_EVENT_ATTRIBUTES,         /* attributes/+, a filter */
    NGX_IOT_EVENTS
} ngx_iot_event_e;


/* bytes that ngx_iot_event_topic() may write; it returns the end */
#define NGX_IOT_EVENT_TOPIC  64

u_char *ngx_iot_event_topic(u_char *dst, u_char *entity, ngx_uint_t event);

/* the same for the event of any entity of the tenant */
u_char *ngx_iot_event_filter(u_char *dst, ngx_uint_t event);

/* which event the topic of a message is; NGX_IOT_EVENTS: none of these */
ngx_uint_t ngx_iot_event_of(ngx_str_t *topic);

/* tenant and entity are UUIDs in text; NGX_OK or NGX_ERROR */
ngx_int_t ngx_iot_event_publish(u_char *tenant, u_char *entity,
    ngx_uint_t event, ngx_str_t *payload, ngx_str_t *properties);

/*
 * What a SQL function wants to be told: a JSON array of
 *
 *     {"tenant":"ID","entity":"ID","event":"attributes/shared","data":{...}}
 *
 * Bad ones are logged and skipped.
 */
void ngx_iot_event_publish_json(ngx_str_t *array, ngx_pool_t *pool,
    ngx_log_t *log);

/* Points of a device, written: event TELEMETRY or of attributes. */
void ngx_iot_event_publish_points(u_char *tenant, u_char *entity,
    ngx_uint_t event, ngx_iot_point_t *points, ngx_uint_t n);

/*
 * Watchers of values count themselves, so that nothing is made for nobody.
 * The count goes up before the subscription and down after it.
 */
void ngx_iot_event_watch(ngx_int_t n);
ngx_uint_t ngx_iot_event_watched(void);


#endif /* _NGX_IOT_EVENT_H_INCLUDED_ */
