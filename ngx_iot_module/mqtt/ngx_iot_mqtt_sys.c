
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
#define NGX_IOT_MQTT_SYS_TOTAL    4
#define NGX_IOT_MQTT_SYS_AWAY     5
#define NGX_IOT_MQTT_SYS_MAXIMUM  6
#define NGX_IOT_MQTT_SYS_LOAD     7

/* "load": what happens in a minute, as an average that forgets */

#define NGX_IOT_MQTT_SYS_LOADS    9
#define NGX_IOT_MQTT_SYS_TIMES    3


typedef struct {
    ngx_str_t    topic;
    ngx_uint_t   kind;
    size_t       offset;
} ngx_iot_mqtt_sys_t;

typedef struct {
    ngx_str_t    name;
    size_t       offset;
    uint64_t     last;
    double       average[NGX_IOT_MQTT_SYS_TIMES];
} ngx_iot_mqtt_load_t;


static void ngx_iot_mqtt_sys_timer(ngx_event_t *ev);
static size_t ngx_iot_mqtt_sys_value(ngx_iot_mqtt_sys_t *sys, u_char *buf);
static uint64_t ngx_iot_mqtt_sys_sum(size_t offset, ngx_uint_t largest);
static uint64_t ngx_iot_mqtt_sys_away(void);
static ngx_iot_mqtt_sys_t *ngx_iot_mqtt_sys_next(ngx_iot_mqtt_sys_t *sys,
    ngx_uint_t *i, u_char *buf);
static void ngx_iot_mqtt_sys_load(ngx_uint_t first);
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
    { ngx_string("$SYS/broker/clients/total"), NGX_IOT_MQTT_SYS_TOTAL, 0 },
    { ngx_string("$SYS/broker/clients/disconnected"),
      NGX_IOT_MQTT_SYS_AWAY, 0 },
    { ngx_string("$SYS/broker/clients/maximum"),
      NGX_IOT_MQTT_SYS_MAXIMUM, 0 },

    ngx_iot_mqtt_sys("clients/expired", mqtt_expired),
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
    ngx_iot_mqtt_sys("shared_subscriptions/count", mqtt_shared),

    { ngx_string("$SYS/broker/retained messages/count"),
      NGX_IOT_MQTT_SYS_SLOT, offsetof(ngx_iot_metrics_t, mqtt_retained) },
    { ngx_string("$SYS/broker/messages/stored"),
      NGX_IOT_MQTT_SYS_SLOT, offsetof(ngx_iot_metrics_t, mqtt_retained) },
    { ngx_string("$SYS/broker/store/messages/count"),
      NGX_IOT_MQTT_SYS_SLOT, offsetof(ngx_iot_metrics_t, mqtt_retained) },
    { ngx_string("$SYS/broker/store/messages/bytes"),
      NGX_IOT_MQTT_SYS_SLOT,
      offsetof(ngx_iot_metrics_t, mqtt_retained_bytes) },

    { ngx_null_string, 0, 0 }
};


#define ngx_iot_mqtt_load(name, member)                                       \
    { ngx_string("$SYS/broker/load/" name),                                   \
      offsetof(ngx_iot_metrics_t, member), 0, { 0, 0, 0 } }


static ngx_iot_mqtt_load_t  ngx_iot_mqtt_loads[NGX_IOT_MQTT_SYS_LOADS] = {
    ngx_iot_mqtt_load("connections", mqtt_connects),
    ngx_iot_mqtt_load("sockets", mqtt_disconnects),
    ngx_iot_mqtt_load("messages/received", mqtt_messages_received),
    ngx_iot_mqtt_load("messages/sent", mqtt_messages_sent),
    ngx_iot_mqtt_load("publish/received", mqtt_publish_received),
    ngx_iot_mqtt_load("publish/sent", mqtt_publish_sent),
    ngx_iot_mqtt_load("publish/dropped", mqtt_publish_dropped),
    ngx_iot_mqtt_load("bytes/received", mqtt_bytes_received),
    ngx_iot_mqtt_load("bytes/sent", mqtt_bytes_sent)
};

/* what is left of an average after one period: exp(-10 s / time) */

static const struct {
    const char   *name;
    double        keeps;
} ngx_iot_mqtt_times[NGX_IOT_MQTT_SYS_TIMES] = {
    { "/1min", 0.846481724890614 },
    { "/5min", 0.967216100482006 },
    { "/15min", 0.988950329127131 }
};


static ngx_event_t       ngx_iot_mqtt_sys_ev;
static ngx_connection_t  ngx_iot_mqtt_sys_dummy;
static time_t            ngx_iot_mqtt_sys_start;
static uint64_t          ngx_iot_mqtt_sys_maximum;
static double            ngx_iot_mqtt_sys_average;


ngx_int_t
ngx_iot_mqtt_sys_init_process(ngx_cycle_t *cycle)
{
    ngx_iot_mqtt_sys_dummy.fd = (ngx_socket_t) -1;

    ngx_iot_mqtt_sys_ev.data = &ngx_iot_mqtt_sys_dummy;
    ngx_iot_mqtt_sys_ev.log = cycle->log;
    ngx_iot_mqtt_sys_ev.handler = ngx_iot_mqtt_sys_timer;
    ngx_iot_mqtt_sys_ev.cancelable = 1;

    ngx_iot_mqtt_sys_start = ngx_time();
    ngx_iot_mqtt_sys_maximum = 0;
    ngx_iot_mqtt_sys_load(1);

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

    ngx_iot_mqtt_sys_load(0);
    ngx_iot_mqtt_each(ngx_iot_mqtt_sys_send);
}


static void
ngx_iot_mqtt_sys_load(ngx_uint_t first)
{
    double                rate;
    uint64_t              sum;
    ngx_uint_t            i, j;
    ngx_iot_mqtt_load_t  *load;

    for (i = 0; i < NGX_IOT_MQTT_SYS_LOADS; i++) {
        load = &ngx_iot_mqtt_loads[i];
        sum = ngx_iot_mqtt_sys_sum(load->offset, 0);

        rate = (double) (sum - load->last) * 60000 / NGX_IOT_MQTT_SYS_PERIOD;
        load->last = sum;

        for (j = 0; j < NGX_IOT_MQTT_SYS_TIMES; j++) {
            load->average[j] = first ? 0
                : rate + ngx_iot_mqtt_times[j].keeps
                         * (load->average[j] - rate);
        }
    }
}


/* sessions that wait for their clients */

static uint64_t
ngx_iot_mqtt_sys_away(void)
{
    uint64_t  sessions, connected;

    sessions = ngx_iot_mqtt_sys_sum(offsetof(ngx_iot_metrics_t,
                                             mqtt_sessions), 1);
    connected = ngx_iot_mqtt_sys_sum(offsetof(ngx_iot_metrics_t,
                                              mqtt_stored), 0);

    return (sessions > connected) ? sessions - connected : 0;
}


/*
 * All topics in turn: those of the list, then the averages, whose names are
 * made in buf.  Begins with NULL, and *i is 0 then.
 */

static ngx_iot_mqtt_sys_t *
ngx_iot_mqtt_sys_next(ngx_iot_mqtt_sys_t *sys, ngx_uint_t *i, u_char *buf)
{
    u_char               *p;
    ngx_uint_t            n;
    const char           *name;
    ngx_iot_mqtt_load_t  *load;

    static ngx_iot_mqtt_sys_t  average;

    if (sys != &average) {
        sys = sys ? sys + 1 : ngx_iot_mqtt_sys_list;

        if (sys->topic.len) {
            return sys;
        }
    }

    n = (*i)++;

    if (n == NGX_IOT_MQTT_SYS_LOADS * NGX_IOT_MQTT_SYS_TIMES) {
        return NULL;
    }

    load = &ngx_iot_mqtt_loads[n / NGX_IOT_MQTT_SYS_TIMES];
    name = ngx_iot_mqtt_times[n % NGX_IOT_MQTT_SYS_TIMES].name;

    p = ngx_cpymem(buf, load->name.data, load->name.len);
    p = ngx_cpymem(p, name, ngx_strlen(name));

    average.topic.data = buf;
    average.topic.len = p - buf;
    average.kind = NGX_IOT_MQTT_SYS_LOAD;

    ngx_iot_mqtt_sys_average = load->average[n % NGX_IOT_MQTT_SYS_TIMES];

    return &average;
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
    u_char    *p;
    uint64_t   n;

    switch (sys->kind) {

    case NGX_IOT_MQTT_SYS_VERSION:
        p = ngx_cpymem(buf, "ngx_iot " NGX_IOT_VERSION,
                       sizeof("ngx_iot " NGX_IOT_VERSION) - 1);
        break;

    case NGX_IOT_MQTT_SYS_UPTIME:
        p = ngx_sprintf(buf, "%T seconds",
                        ngx_time() - ngx_iot_mqtt_sys_start);
        break;

    case NGX_IOT_MQTT_SYS_AWAY:
        p = ngx_sprintf(buf, "%uL", ngx_iot_mqtt_sys_away());
        break;

    case NGX_IOT_MQTT_SYS_TOTAL:
    case NGX_IOT_MQTT_SYS_MAXIMUM:
        n = ngx_iot_mqtt_sys_sum(offsetof(ngx_iot_metrics_t,
                                          mqtt_connections), 0);
        ngx_iot_mqtt_sys_maximum = ngx_max(ngx_iot_mqtt_sys_maximum, n);

        if (sys->kind == NGX_IOT_MQTT_SYS_TOTAL) {
            n += ngx_iot_mqtt_sys_away();

        } else {
            n = ngx_iot_mqtt_sys_maximum;
        }

        p = ngx_sprintf(buf, "%uL", n);
        break;

    case NGX_IOT_MQTT_SYS_LOAD:
        p = ngx_sprintf(buf, "%.2f", ngx_iot_mqtt_sys_average);
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
    u_char               buf[64], name[64];
    uint32_t             ids[8];
    ngx_str_t            value;
    ngx_uint_t           i, nids;
    ngx_iot_mqtt_sys_t  *sys;

    if (s->state != NGX_IOT_MQTT_UP || !s->sys) {
        return;
    }

    i = 0;

    for (sys = ngx_iot_mqtt_sys_next(NULL, &i, name);
         sys;
         sys = ngx_iot_mqtt_sys_next(sys, &i, name))
    {

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
    u_char               buf[64], name[64];
    ngx_str_t            value;
    ngx_uint_t           i;
    ngx_iot_mqtt_sys_t  *sys;

    if (sub->filter.data[0] != '$') {
        return;
    }

    s->sys = 1;

    i = 0;

    for (sys = ngx_iot_mqtt_sys_next(NULL, &i, name);
         sys;
         sys = ngx_iot_mqtt_sys_next(sys, &i, name))
    {

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
