
/*
 * Copyright (C) the ngx_iot authors
 */


#include "../core/ngx_iot_module.h"
#include "ngx_iot_mqtt_session.h"


/*
 * $SYS: sums over all workers of the node, made by each worker for its own
 * clients when they subscribe, and for all every ten seconds.
 */

#define NGX_IOT_MQTT_SYS_PERIOD  10000

/* a sum over the workers, the largest of them, or a text of its own */

#define NGX_IOT_MQTT_SYS_METRIC   0
#define NGX_IOT_MQTT_SYS_SLOT     1
#define NGX_IOT_MQTT_SYS_VERSION  2
#define NGX_IOT_MQTT_SYS_UPTIME   3


typedef struct {
    ngx_str_t    topic;
    ngx_uint_t   kind;
    size_t       offset;
} ngx_iot_mqtt_sys_t;


static void ngx_iot_mqtt_sys_timer(ngx_event_t *ev);
static size_t ngx_iot_mqtt_sys_value(ngx_iot_mqtt_sys_t *sys, u_char *buf);
static uint64_t ngx_iot_mqtt_sys_sum(size_t offset, ngx_uint_t largest);
static ngx_uint_t ngx_iot_mqtt_sys_wanted(ngx_iot_mqtt_session_t *s,
    ngx_str_t *topic, uint32_t *ids, ngx_uint_t *nids);
static void ngx_iot_mqtt_sys_deliver(ngx_iot_mqtt_session_t *s,
    ngx_str_t *topic, ngx_str_t *value, ngx_uint_t retain, uint32_t *ids,
    ngx_uint_t nids);


#define ngx_iot_mqtt_sys(name, member)                                        \
    { ngx_string("$SYS/broker/" name), NGX_IOT_MQTT_SYS_METRIC,               \
      offsetof(ngx_iot_metrics_t, member) }


static ngx_iot_mqtt_sys_t  ngx_iot_mqtt_sys_list[] = {

    { ngx_string("$SYS/broker/version"), NGX_IOT_MQTT_SYS_VERSION, 0 },
    { ngx_string("$SYS/broker/uptime"), NGX_IOT_MQTT_SYS_UPTIME, 0 },

    ngx_iot_mqtt_sys("clients/connected", mqtt_connections),
    ngx_iot_mqtt_sys("messages/received", mqtt_messages_received),
    ngx_iot_mqtt_sys("messages/sent", mqtt_messages_sent),
    ngx_iot_mqtt_sys("bytes/received", mqtt_bytes_received),
    ngx_iot_mqtt_sys("bytes/sent", mqtt_bytes_sent),
    ngx_iot_mqtt_sys("publish/messages/received", mqtt_publish_received),
    ngx_iot_mqtt_sys("publish/messages/sent", mqtt_publish_sent),
    ngx_iot_mqtt_sys("publish/messages/dropped", mqtt_publish_dropped),
    ngx_iot_mqtt_sys("publish/bytes/received", mqtt_publish_bytes_received),
    ngx_iot_mqtt_sys("publish/bytes/sent", mqtt_publish_bytes_sent),
    ngx_iot_mqtt_sys("subscriptions/count", mqtt_subscriptions),

    { ngx_string("$SYS/broker/retained messages/count"),
      NGX_IOT_MQTT_SYS_SLOT, offsetof(ngx_iot_metrics_t, mqtt_retained) },

    { ngx_null_string, 0, 0 }
};


static ngx_event_t       ngx_iot_mqtt_sys_ev;
static ngx_connection_t  ngx_iot_mqtt_sys_dummy;
static time_t            ngx_iot_mqtt_sys_start;


ngx_int_t
ngx_iot_mqtt_sys_init_process(ngx_cycle_t *cycle)
{
    ngx_iot_mqtt_sys_dummy.fd = (ngx_socket_t) -1;

    ngx_iot_mqtt_sys_ev.data = &ngx_iot_mqtt_sys_dummy;
    ngx_iot_mqtt_sys_ev.log = cycle->log;
    ngx_iot_mqtt_sys_ev.handler = ngx_iot_mqtt_sys_timer;
    ngx_iot_mqtt_sys_ev.cancelable = 1;

    ngx_iot_mqtt_sys_start = ngx_time();

    ngx_add_timer(&ngx_iot_mqtt_sys_ev, NGX_IOT_MQTT_SYS_PERIOD);

    return NGX_OK;
}


static void
ngx_iot_mqtt_sys_timer(ngx_event_t *ev)
{
    if (ngx_exiting) {
        return;
    }

    ngx_add_timer(ev, NGX_IOT_MQTT_SYS_PERIOD);

    ngx_iot_mqtt_each(ngx_iot_mqtt_sys_send);
}


/* of gauges that are the same in all workers the largest counts */

static uint64_t
ngx_iot_mqtt_sys_sum(size_t offset, ngx_uint_t largest)
{
    uint64_t           sum, n;
    ngx_uint_t         i;
    ngx_iot_metrics_t  *metrics;

    sum = 0;

    for (i = 0; i < NGX_IOT_SLOTS; i++) {
        metrics = &ngx_iot_zone()->slots[i].metrics;
        n = *(ngx_atomic_t *) ((u_char *) metrics + offset);

        if (largest) {
            sum = ngx_max(sum, n);

        } else {
            sum += n;
        }
    }

    return sum;
}


static size_t
ngx_iot_mqtt_sys_value(ngx_iot_mqtt_sys_t *sys, u_char *buf)
{
    u_char  *p;

    switch (sys->kind) {

    case NGX_IOT_MQTT_SYS_VERSION:
        p = ngx_cpymem(buf, "ngx_iot " NGX_IOT_VERSION,
                       sizeof("ngx_iot " NGX_IOT_VERSION) - 1);
        break;

    case NGX_IOT_MQTT_SYS_UPTIME:
        p = ngx_sprintf(buf, "%T seconds",
                        ngx_time() - ngx_iot_mqtt_sys_start);
        break;

    default:
        p = ngx_sprintf(buf, "%uL", ngx_iot_mqtt_sys_sum(sys->offset,
                                    sys->kind == NGX_IOT_MQTT_SYS_SLOT));
    }

    return p - buf;
}


static ngx_uint_t
ngx_iot_mqtt_sys_wanted(ngx_iot_mqtt_session_t *s, ngx_str_t *topic,
    uint32_t *ids, ngx_uint_t *nids)
{
    ngx_uint_t          found;
    ngx_queue_t        *q;
    ngx_iot_bus_sub_t  *sub;

    found = 0;
    *nids = 0;

    for (q = ngx_queue_head(&s->bus.subs);
         q != ngx_queue_sentinel(&s->bus.subs);
         q = ngx_queue_next(q))
    {
        sub = ngx_queue_data(q, ngx_iot_bus_sub_t, queue);

        if (sub->filter.data[0] != '$'
            || sub->group.len
            || !ngx_iot_topic_match(&sub->filter, topic))
        {
            continue;
        }

        found = 1;

        if (sub->id && *nids < 8) {
            ids[(*nids)++] = sub->id;
        }
    }

    return found;
}


void
ngx_iot_mqtt_sys_send(ngx_iot_mqtt_session_t *s)
{
    u_char               buf[64];
    uint32_t             ids[8];
    ngx_str_t            value;
    ngx_uint_t           nids;
    ngx_iot_mqtt_sys_t  *sys;

    if (s->state != NGX_IOT_MQTT_UP || !s->sys) {
        return;
    }

    for (sys = ngx_iot_mqtt_sys_list; sys->topic.len; sys++) {

        if (ngx_iot_mqtt_sys_wanted(s, &sys->topic, ids, &nids)) {
            value.data = buf;
            value.len = ngx_iot_mqtt_sys_value(sys, buf);

            ngx_iot_mqtt_sys_deliver(s, &sys->topic, &value, 0, ids, nids);
        }
    }
}


/* a new subscription gets what is so now, as if it had been retained */

void
ngx_iot_mqtt_sys_retained(ngx_iot_mqtt_session_t *s, ngx_iot_bus_sub_t *sub)
{
    u_char               buf[64];
    ngx_str_t            value;
    ngx_iot_mqtt_sys_t  *sys;

    if (sub->filter.data[0] != '$') {
        return;
    }

    s->sys = 1;

    for (sys = ngx_iot_mqtt_sys_list; sys->topic.len; sys++) {

        if (ngx_iot_topic_match(&sub->filter, &sys->topic)) {
            value.data = buf;
            value.len = ngx_iot_mqtt_sys_value(sys, buf);

            ngx_iot_mqtt_sys_deliver(s, &sys->topic, &value, 1, &sub->id,
                                     sub->id ? 1 : 0);
        }
    }
}


static void
ngx_iot_mqtt_sys_deliver(ngx_iot_mqtt_session_t *s, ngx_str_t *topic,
    ngx_str_t *value, ngx_uint_t retain, uint32_t *ids, ngx_uint_t nids)
{
    ngx_str_t               none;
    ngx_iot_bus_message_t  *msg;

    if (!ngx_iot_mqtt_may_get(s, topic)) {
        return;
    }

    ngx_str_null(&none);

    msg = ngx_iot_bus_message(s->tenant, topic, value, &none, &none);
    if (msg == NULL) {
        return;
    }

    (void) ngx_iot_mqtt_send_message(s, msg, 0, retain, ids, nids);

    ngx_iot_bus_drop(msg);
}
