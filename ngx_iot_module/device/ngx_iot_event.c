
/*
 * Copyright (C) the ngx_iot authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "../codec/ngx_iot_json.h"
#include "ngx_iot_device.h"
#include "ngx_iot_event.h"
#include "ngx_iot_metrics.h"
#include "ngx_iot_zone.h"


#define NGX_IOT_EVENT_PREFIX  "$iot/"
#define NGX_IOT_EVENT_NAME    (sizeof(NGX_IOT_EVENT_PREFIX) - 1               \
                               + NGX_IOT_UUID_TEXT + 1)
#define NGX_IOT_EVENT_DEPTH   64


static void *ngx_iot_event_alloc(void *data, size_t size);
static void ngx_iot_event_publish_one(ngx_str_t *object,
    ngx_iot_alloc_t *alloc, ngx_log_t *log);
static ngx_uint_t ngx_iot_event_by_name(ngx_str_t *name);
static size_t ngx_iot_event_points_size(ngx_iot_point_t *points,
    ngx_uint_t n);
static u_char *ngx_iot_event_member(u_char *p, ngx_iot_point_t *point);


static ngx_str_t  ngx_iot_event_names[] = {
    ngx_string("attributes/client"),
    ngx_string("attributes/shared"),
    ngx_string("attributes/server"),
    ngx_string("telemetry"),
    ngx_string("rpc"),
    ngx_string("rpc/up"),
    ngx_string("alarm"),
    ngx_string("attributes/+")
};


u_char *
ngx_iot_event_topic(u_char *dst, u_char *entity, ngx_uint_t event)
{
    dst = ngx_cpymem(dst, NGX_IOT_EVENT_PREFIX,
                     sizeof(NGX_IOT_EVENT_PREFIX) - 1);
    dst = ngx_cpymem(dst, entity, NGX_IOT_UUID_TEXT);
    *dst++ = '/';

    return ngx_cpymem(dst, ngx_iot_event_names[event].data,
                      ngx_iot_event_names[event].len);
}


u_char *
ngx_iot_event_filter(u_char *dst, ngx_uint_t event)
{
    dst = ngx_cpymem(dst, NGX_IOT_EVENT_PREFIX "+/",
                     sizeof(NGX_IOT_EVENT_PREFIX "+/") - 1);

    return ngx_cpymem(dst, ngx_iot_event_names[event].data,
                      ngx_iot_event_names[event].len);
}


ngx_uint_t
ngx_iot_event_of(ngx_str_t *topic)
{
    ngx_str_t  name;

    if (topic->len <= NGX_IOT_EVENT_NAME
        || ngx_memcmp(topic->data, NGX_IOT_EVENT_PREFIX,
                      sizeof(NGX_IOT_EVENT_PREFIX) - 1) != 0)
    {
        return NGX_IOT_EVENTS;
    }

    name.data = topic->data + NGX_IOT_EVENT_NAME;
    name.len = topic->len - NGX_IOT_EVENT_NAME;

    return ngx_iot_event_by_name(&name);
}


static ngx_uint_t
ngx_iot_event_by_name(ngx_str_t *name)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_IOT_EVENT_ATTRIBUTES; i++) {
        if (name->len == ngx_iot_event_names[i].len
            && ngx_memcmp(name->data, ngx_iot_event_names[i].data, name->len)
               == 0)
        {
            return i;
        }
    }

    return NGX_IOT_EVENTS;
}


ngx_int_t
ngx_iot_event_publish(u_char *tenant, u_char *entity, ngx_uint_t event,
    ngx_str_t *payload, ngx_str_t *properties)
{
    u_char                  buf[NGX_IOT_EVENT_TOPIC];
    ngx_int_t               rc;
    ngx_str_t               topic, none;
    ngx_iot_bus_message_t  *msg;

    topic.data = buf;
    topic.len = ngx_iot_event_topic(buf, entity, event) - buf;

    ngx_str_null(&none);

    msg = ngx_iot_bus_message(tenant, &topic, payload ? payload : &none,
                              properties ? properties : &none, &none);
    if (msg == NULL) {
        return NGX_ERROR;
    }

    rc = ngx_iot_bus_publish(msg, NULL);

    ngx_iot_bus_drop(msg);

    return rc;
}


static void *
ngx_iot_event_alloc(void *data, size_t size)
{
    ngx_pool_t *pool = data;

    return ngx_palloc(pool, size);
}


void
ngx_iot_event_publish_json(ngx_str_t *array, ngx_pool_t *pool, ngx_log_t *log)
{
    ngx_str_t        object;
    ngx_uint_t       token;
    ngx_iot_json_t   json;
    ngx_iot_alloc_t  alloc;

    alloc.alloc = ngx_iot_event_alloc;
    alloc.data = pool;

    ngx_iot_json_init(&json, array, &alloc, NGX_IOT_EVENT_DEPTH);

    if (ngx_iot_json_next(&json) != NGX_IOT_JSON_ARRAY) {
        ngx_log_error(NGX_LOG_ERR, log, 0, "events are no JSON array");
        return;
    }

    for ( ;; ) {
        token = ngx_iot_json_next(&json);

        if (token != NGX_IOT_JSON_OBJECT) {
            return;
        }

        if (ngx_iot_json_skip(&json) != NGX_OK) {
            return;
        }

        object = json.raw;
        ngx_iot_event_publish_one(&object, &alloc, log);
    }
}


static void
ngx_iot_event_publish_one(ngx_str_t *object, ngx_iot_alloc_t *alloc,
    ngx_log_t *log)
{
    ngx_uint_t            event;
    ngx_iot_json_field_t  fields[4];

    ngx_memzero(fields, sizeof(fields));

    ngx_str_set(&fields[0].name, "tenant");
    ngx_str_set(&fields[1].name, "entity");
    ngx_str_set(&fields[2].name, "event");
    ngx_str_set(&fields[3].name, "data");

    if (ngx_iot_json_fields(object, alloc, NGX_IOT_EVENT_DEPTH, fields, 4,
                            NULL)
        != NGX_OK
        || fields[0].text.len != NGX_IOT_UUID_TEXT
        || fields[1].text.len != NGX_IOT_UUID_TEXT
        || fields[3].token == NGX_IOT_JSON_END)
    {
        goto invalid;
    }

    event = ngx_iot_event_by_name(&fields[2].text);

    if (event == NGX_IOT_EVENTS) {
        goto invalid;
    }

    if (event != NGX_IOT_EVENT_SHARED && !ngx_iot_event_watched()) {
        return;
    }

    if (ngx_iot_event_publish(fields[0].text.data, fields[1].text.data, event,
                              &fields[3].raw, NULL)
        == NGX_ERROR)
    {
        ngx_log_error(NGX_LOG_ERR, log, 0, "an event was lost: no memory");
    }

    return;

invalid:

    ngx_log_error(NGX_LOG_ERR, log, 0, "an event is not valid: \"%V\"",
                  object);
}


void
ngx_iot_event_publish_points(u_char *tenant, u_char *entity,
    ngx_uint_t event, ngx_iot_point_t *points, ngx_uint_t n)
{
    size_t       size;
    u_char      *buf, *p;
    ngx_str_t    payload;
    ngx_uint_t   i, telemetry;

    if (n == 0 || !ngx_iot_event_watched()) {
        return;
    }

    telemetry = (event == NGX_IOT_EVENT_TELEMETRY);
    size = ngx_iot_event_points_size(points, n);

    buf = ngx_alloc(size, ngx_cycle->log);
    if (buf == NULL) {
        return;
    }

    p = buf;
    *p++ = telemetry ? '[' : '{';

    for (i = 0; i < n; i++) {

        if (telemetry && (i == 0 || points[i].ts != points[i - 1].ts)) {

            if (i) {
                *p++ = '}'; *p++ = '}'; *p++ = ',';
            }

            p = ngx_sprintf(p, "{\"ts\":%L,\"values\":{", points[i].ts);

        } else if (i) {
            *p++ = ',';
        }

        p = ngx_iot_event_member(p, &points[i]);
    }

    *p++ = '}';

    if (telemetry) {
        *p++ = '}'; *p++ = ']';
    }

    payload.data = buf;
    payload.len = p - buf;

    (void) ngx_iot_event_publish(tenant, entity, event, &payload, NULL);

    ngx_free(buf);
}


static size_t
ngx_iot_event_points_size(ngx_iot_point_t *points, ngx_uint_t n)
{
    size_t      size;
    ngx_uint_t  i;

    size = sizeof("[}}]");

    for (i = 0; i < n; i++) {
        size += sizeof("}},{\"ts\":,\"values\":{\"\":,") + NGX_INT64_LEN
                + ngx_iot_json_escape_size(points[i].key.data,
                                           points[i].key.len)
                + ngx_iot_value_json_size(&points[i].value);
    }

    return size;
}


static u_char *
ngx_iot_event_member(u_char *p, ngx_iot_point_t *point)
{
    *p++ = '"';
    p = ngx_iot_json_escape(p, point->key.data, point->key.len);
    *p++ = '"';
    *p++ = ':';

    return ngx_iot_value_json(p, &point->value);
}


void
ngx_iot_event_watch(ngx_int_t n)
{
    ngx_iot_add(watches, n);

    (void) ngx_atomic_fetch_add(&ngx_iot_zone()->watches, n);
}


/* a worker that was killed leaves its count behind: then it costs, no more */

ngx_uint_t
ngx_iot_event_watched(void)
{
    return ngx_iot_zone()->watches != 0;
}
