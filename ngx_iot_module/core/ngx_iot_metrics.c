
/*
 * Copyright (C) the ngx_iot authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_iot_db.h"
#include "ngx_iot_metrics.h"
#include "ngx_iot_module.h"
#include "ngx_iot_zone.h"


typedef struct {
    char        *name;
    char        *labels;
    char        *type;
    char        *help;
    size_t       offset;
    ngx_uint_t   seconds;      /* kept in microseconds, shown in seconds */
} ngx_iot_metric_t;


static ngx_uint_t ngx_iot_metric_sum(ngx_iot_metric_t *metric);
static u_char *ngx_iot_metric_line(u_char *p, u_char *last,
    ngx_iot_metric_t *metric);


#define ngx_iot_metric(name, labels, type, help, member)                      \
    { name, labels, type, help, offsetof(ngx_iot_metrics_t, member), 0 }

#define ngx_iot_metric_time(name, labels, help, member)                       \
    { name, labels, "counter", help, offsetof(ngx_iot_metrics_t, member), 1 }

#define ngx_iot_metric_lanes(name, type, help, member)                        \
    ngx_iot_metric(name, "lane=\"call\"", type, help, member[0]),             \
    ngx_iot_metric(name, "lane=\"read\"", type, help, member[1]),             \
    ngx_iot_metric(name, "lane=\"slow\"", type, help, member[2]),             \
    ngx_iot_metric(name, "lane=\"write\"", type, help, member[3]),           \
    ngx_iot_metric(name, "lane=\"chore\"", type, help, member[4])

#define ngx_iot_metric_lanes_time(name, help, member)                         \
    ngx_iot_metric_time(name, "lane=\"call\"", help, member[0]),              \
    ngx_iot_metric_time(name, "lane=\"read\"", help, member[1]),              \
    ngx_iot_metric_time(name, "lane=\"slow\"", help, member[2]),              \
    ngx_iot_metric_time(name, "lane=\"write\"", help, member[3]),            \
    ngx_iot_metric_time(name, "lane=\"chore\"", help, member[4])

#define ngx_iot_metric_kinds(name, owner, help, member)                       \
    ngx_iot_metric(name, "owner=\"" owner "\",kind=\"messages\"", "counter",   \
                   help, member[0]),                                          \
    ngx_iot_metric(name, "owner=\"" owner "\",kind=\"telemetry\"", "counter",  \
                   help, member[1]),                                          \
    ngx_iot_metric(name, "owner=\"" owner "\",kind=\"points\"", "counter",     \
                   help, member[2])


static ngx_iot_metric_t  ngx_iot_metric_table[] = {

    ngx_iot_metric("iot_requests_total", "api=\"device\"", "counter",
                   "Requests answered.", requests_device),
    ngx_iot_metric("iot_requests_total", "api=\"rest\"", "counter",
                   "Requests answered.", requests_rest),
    ngx_iot_metric("iot_requests_refused_total", "", "counter",
                   "Requests answered with 4xx.", requests_refused),
    ngx_iot_metric("iot_requests_failed_total", "", "counter",
                   "Requests answered with 5xx.", requests_failed),

    ngx_iot_metric("iot_points_total", "", "counter",
                   "Values committed and acknowledged.", points),
    ngx_iot_metric("iot_points_refused_total", "", "counter",
                   "Values that were not stored.", points_refused),
    ngx_iot_metric_kinds("iot_rate_refused_total", "tenant",
                         "Messages refused by a rate.", rate_refused[0]),
    ngx_iot_metric_kinds("iot_rate_refused_total", "device",
                         "Messages refused by a rate.", rate_refused[1]),
    ngx_iot_metric_kinds("iot_rate_refused_total", "gateway",
                         "Messages refused by a rate.", rate_refused[2]),
    ngx_iot_metric_kinds("iot_rate_refused_total", "gateway_device",
                         "Messages refused by a rate.", rate_refused[3]),
    ngx_iot_metric("iot_batches_total", "", "counter",
                   "Batches committed.", batches),
    ngx_iot_metric("iot_batches_copy_total", "", "counter",
                   "Batches committed by COPY.", batches_copy),
    ngx_iot_metric("iot_batches_failed_total", "", "counter",
                   "Batches refused by the database.", batches_failed),
    ngx_iot_metric("iot_batch_rows_total", "", "counter",
                   "Rows in committed batches.", batch_rows),
    ngx_iot_metric_time("iot_batch_seconds_total", "",
                        "Time spent on committed batches.", batch_usec),
    ngx_iot_metric("iot_batch_queue_rows", "", "gauge",
                   "Rows waiting for their commit.", batch_queue),

    ngx_iot_metric_lanes("iot_db_calls_total", "counter",
                         "Calls of the database.", db_calls),
    ngx_iot_metric_lanes("iot_db_errors_total", "counter",
                         "Calls that failed or were refused.", db_errors),
    ngx_iot_metric_lanes_time("iot_db_seconds_total",
                              "Time of calls, waiting included.", db_usec),
    ngx_iot_metric_lanes("iot_db_queue", "gauge",
                         "Calls waiting to be sent.", db_queue),
    ngx_iot_metric_lanes("iot_db_connections", "gauge",
                         "Usable connections.", db_connections),
    ngx_iot_metric("iot_db_reconnects_total", "", "counter",
                   "Connections lost or not made.", db_reconnects),

    ngx_iot_metric("iot_cache_hits_total", "cache=\"device\"", "counter",
                   "Look-ups answered by a cache.", cache_device_hits),
    ngx_iot_metric("iot_cache_hits_total", "cache=\"principal\"", "counter",
                   "Look-ups answered by a cache.", cache_principal_hits),
    ngx_iot_metric("iot_cache_hits_total", "cache=\"key\"", "counter",
                   "Look-ups answered by a cache.", cache_key_hits),
    ngx_iot_metric("iot_cache_misses_total", "cache=\"device\"", "counter",
                   "Look-ups that asked the database.",
                   cache_device_misses),
    ngx_iot_metric("iot_cache_misses_total", "cache=\"principal\"",
                   "counter", "Look-ups that asked the database.",
                   cache_principal_misses),
    ngx_iot_metric("iot_cache_misses_total", "cache=\"key\"", "counter",
                   "Look-ups that asked the database.", cache_key_misses),
    ngx_iot_metric("iot_cache_entries", "cache=\"device\"", "gauge",
                   "Entries of a cache.", cache_device_entries),
    ngx_iot_metric("iot_cache_entries", "cache=\"principal\"", "gauge",
                   "Entries of a cache.", cache_principal_entries),

    ngx_iot_metric("iot_mqtt_connections", "", "gauge",
                   "Clients that are connected.", mqtt_connections),
    ngx_iot_metric("iot_mqtt_subscriptions", "", "gauge",
                   "Subscriptions of connected clients.", mqtt_subscriptions),
    ngx_iot_metric("iot_mqtt_retained", "", "gauge",
                   "Retained messages in the memory of workers.",
                   mqtt_retained),
    ngx_iot_metric("iot_mqtt_retained_bytes", "", "gauge",
                   "Bytes of their payloads.", mqtt_retained_bytes),
    ngx_iot_metric("iot_mqtt_sessions", "", "gauge",
                   "Stored sessions that workers know of.", mqtt_sessions),
    ngx_iot_metric("iot_mqtt_stored_connections", "", "gauge",
                   "Stored sessions that are connected.", mqtt_stored),
    ngx_iot_metric("iot_mqtt_expired_total", "", "counter",
                   "Stored sessions that expired.", mqtt_expired),
    ngx_iot_metric("iot_mqtt_shared_subscriptions", "", "gauge",
                   "Members of shared subscriptions.", mqtt_shared),
    ngx_iot_metric("iot_mqtt_connects_total", "", "counter",
                   "CONNECT packets.", mqtt_connects),
    ngx_iot_metric("iot_mqtt_refused_total", "", "counter",
                   "CONNECT packets that were refused.", mqtt_refused),
    ngx_iot_metric("iot_mqtt_disconnects_total", "", "counter",
                   "Sessions whose connection ended.", mqtt_disconnects),
    ngx_iot_metric("iot_mqtt_packets_total", "direction=\"in\"", "counter",
                   "Control packets.", mqtt_messages_received),
    ngx_iot_metric("iot_mqtt_packets_total", "direction=\"out\"", "counter",
                   "Control packets.", mqtt_messages_sent),
    ngx_iot_metric("iot_mqtt_bytes_total", "direction=\"in\"", "counter",
                   "Bytes of MQTT.", mqtt_bytes_received),
    ngx_iot_metric("iot_mqtt_bytes_total", "direction=\"out\"", "counter",
                   "Bytes of MQTT.", mqtt_bytes_sent),
    ngx_iot_metric("iot_mqtt_publish_total", "direction=\"in\"", "counter",
                   "PUBLISH packets.", mqtt_publish_received),
    ngx_iot_metric("iot_mqtt_publish_total", "direction=\"out\"", "counter",
                   "PUBLISH packets.", mqtt_publish_sent),
    ngx_iot_metric("iot_mqtt_publish_dropped_total", "", "counter",
                   "Messages that a client had no room for.",
                   mqtt_publish_dropped),
    ngx_iot_metric("iot_mqtt_publish_refused_total", "", "counter",
                   "Messages that a rule forbade.", mqtt_publish_refused),
    ngx_iot_metric("iot_mqtt_payload_bytes_total", "direction=\"in\"",
                   "counter", "Bytes of payloads.",
                   mqtt_publish_bytes_received),
    ngx_iot_metric("iot_mqtt_payload_bytes_total", "direction=\"out\"",
                   "counter", "Bytes of payloads.", mqtt_publish_bytes_sent),

    ngx_iot_metric("iot_bus_published_total", "", "counter",
                   "Messages published on the bus.", bus_published),
    ngx_iot_metric("iot_bus_delivered_total", "", "counter",
                   "Messages handed to a subscriber.", bus_delivered),
    ngx_iot_metric("iot_bus_passed_total", "", "counter",
                   "Messages passed to another worker.", bus_passed),
    ngx_iot_metric("iot_bus_dropped_total", "", "counter",
                   "Messages that a worker or a group did not get.",
                   bus_dropped),
    ngx_iot_metric("iot_bus_full_total", "", "counter",
                   "Times the way to another worker was full.", bus_full),
    ngx_iot_metric("iot_bus_queue_bytes", "", "gauge",
                   "Bytes waiting for room on the way to other workers.",
                   bus_queue),
    ngx_iot_metric("iot_bus_subscriptions", "", "gauge",
                   "Subscriptions on the bus.", bus_subscriptions),
    ngx_iot_metric("iot_bus_interests", "", "gauge",
                   "Filters that workers have told each other.",
                   bus_interests),

    ngx_iot_metric("iot_shutdowns_total", "", "counter",
                   "Workers told to leave in peace.", shutdowns),

    ngx_iot_metric("iot_logins_total", "result=\"success\"", "counter",
                   "Logins by result.", logins),
    ngx_iot_metric("iot_logins_total", "result=\"failure\"", "counter",
                   "Logins by result.", logins_failed),
    ngx_iot_metric("iot_logins_total", "result=\"throttled\"", "counter",
                   "Logins by result.", logins_throttled),

    ngx_iot_metric("iot_watches", "", "gauge",
                   "Subscriptions to values over WebSockets.", watches),

    { NULL, NULL, NULL, NULL, 0, 0 }
};


ngx_buf_t *
ngx_iot_metrics_render(ngx_pool_t *pool)
{
    u_char            *p, *last;
    size_t             size;
    ngx_buf_t         *b;
    ngx_uint_t         i, workers;
    const char        *name;
    ngx_iot_metric_t  *metric;

    size = 1024;

    for (metric = ngx_iot_metric_table; metric->name; metric++) {
        size += 3 * ngx_strlen(metric->name) + ngx_strlen(metric->labels)
                + ngx_strlen(metric->help) + ngx_strlen(metric->type)
                + NGX_ATOMIC_T_LEN + 40;
    }

    b = ngx_create_temp_buf(pool, size);
    if (b == NULL) {
        return NULL;
    }

    p = b->last;
    last = b->end;
    name = "";

    for (metric = ngx_iot_metric_table; metric->name; metric++) {

        if (ngx_strcmp(metric->name, name) != 0) {
            name = metric->name;
            p = ngx_slprintf(p, last, "# HELP %s %s\n# TYPE %s %s\n",
                             name, metric->help, name, metric->type);
        }

        p = ngx_iot_metric_line(p, last, metric);
    }

    for (workers = 0, i = 0; i < NGX_IOT_SLOTS; i++) {
        workers += (ngx_iot_zone()->slots[i].pid != 0);
    }

    p = ngx_slprintf(p, last,
                     "# HELP iot_workers Workers that serve.\n"
                     "# TYPE iot_workers gauge\n"
                     "iot_workers %ui\n"
                     "# HELP iot_info Version of the running module.\n"
                     "# TYPE iot_info gauge\n"
                     "iot_info{version=\"" NGX_IOT_VERSION "\"} 1\n",
                     workers);

    b->last = p;

    return b;
}


static u_char *
ngx_iot_metric_line(u_char *p, u_char *last, ngx_iot_metric_t *metric)
{
    ngx_uint_t  sum;

    sum = ngx_iot_metric_sum(metric);

    p = ngx_slprintf(p, last, "%s", metric->name);

    if (metric->labels[0]) {
        p = ngx_slprintf(p, last, "{%s}", metric->labels);
    }

    if (metric->seconds) {
        return ngx_slprintf(p, last, " %ui.%06ui\n",
                            sum / 1000000, sum % 1000000);
    }

    return ngx_slprintf(p, last, " %ui\n", sum);
}


static ngx_uint_t
ngx_iot_metric_sum(ngx_iot_metric_t *metric)
{
    ngx_uint_t       i, sum;
    ngx_iot_slot_t  *slot;

    sum = 0;

    for (i = 0; i < NGX_IOT_SLOTS; i++) {
        slot = &ngx_iot_zone()->slots[i];

        /* what a worker that has gone was waiting for waits no more */

        if (slot->pid == 0 && metric->type[0] == 'g') {
            continue;
        }

        sum += *(ngx_atomic_t *) ((u_char *) &slot->metrics + metric->offset);
    }

    return sum;
}
