
/*
 * Copyright (C) the ngx_iot authors
 */


#include "../device/ngx_iot_device_rate.h"
#include "ngx_iot_mqtt_gw.h"


static ngx_int_t ngx_iot_mqtt_gw_parse(ngx_iot_mqtt_gw_item_t *item,
    int64_t now);
static ngx_int_t ngx_iot_mqtt_gw_records(ngx_iot_mqtt_gw_item_t *item,
    int64_t now, ngx_iot_value_opts_t *opts);
static ngx_int_t ngx_iot_mqtt_gw_points(ngx_iot_mqtt_gw_call_t *call);
static ngx_int_t ngx_iot_mqtt_gw_over(ngx_iot_mqtt_gw_call_t *call,
    ngx_uint_t n);
static void ngx_iot_mqtt_gw_saved(ngx_iot_save_t *save, ngx_int_t rc,
    ngx_iot_error_t *err);


/* each device has an array of records */

ngx_int_t
ngx_iot_mqtt_gw_check_telemetry(ngx_iot_mqtt_gw_call_t *call)
{
    ngx_str_t   *raw;
    ngx_uint_t   i;

    for (i = 0; i < call->n; i++) {
        raw = &call->items[i].raw;

        if (raw->len == 0 || raw->data[0] != '[') {
            return ngx_iot_points_decline(&call->op->points,
                                          NGX_IOT_BAD_SHAPE,
                                          "Can't parse value: ", raw);
        }
    }

    return NGX_OK;
}


ngx_int_t
ngx_iot_mqtt_gw_check_objects(ngx_iot_mqtt_gw_call_t *call)
{
    ngx_str_t   *raw;
    ngx_uint_t   i;

    for (i = 0; i < call->n; i++) {
        raw = &call->items[i].raw;

        if (raw->len == 0 || raw->data[0] != '{') {
            return ngx_iot_points_decline(&call->op->points,
                                          NGX_IOT_BAD_SHAPE,
                                          "Can't parse value: ", raw);
        }
    }

    return NGX_OK;
}


void
ngx_iot_mqtt_gw_save(ngx_iot_mqtt_gw_call_t *call)
{
    ngx_int_t                rc;
    ngx_uint_t               i;
    ngx_iot_save_t          *save;
    ngx_iot_mqtt_gw_item_t  *item;

    if (ngx_iot_mqtt_gw_points(call) != NGX_OK) {
        return;
    }

    for (i = 0; i < call->n; i++) {
        item = &call->items[i];

        if (item->reason) {
            continue;
        }

        save = &item->save;

        save->device = item->device;
        save->points = item->points.points;
        save->npoints = item->points.n;
        save->scope = call->topic->scope;
        save->pool = call->op->pool;
        save->saved = ngx_iot_mqtt_gw_saved;
        save->data = item;

        rc = ngx_iot_save(save);

        if (rc == NGX_AGAIN) {
            call->pending++;

        } else if (rc != NGX_OK) {
            item->reason = NGX_IOT_MQTT_UNAVAILABLE;
        }
    }
}


/* of all devices; if one has bad values, nothing is stored */

static ngx_int_t
ngx_iot_mqtt_gw_points(ngx_iot_mqtt_gw_call_t *call)
{
    int64_t                  now;
    ngx_int_t                rc;
    ngx_uint_t               i, n;
    ngx_time_t              *tp;
    ngx_iot_mqtt_gw_item_t  *item;

    static ngx_str_t  too_many = ngx_string("Too many values in one message");

    tp = ngx_timeofday();
    now = (int64_t) tp->sec * 1000 + tp->msec;

    for (n = 0, i = 0; i < call->n; i++) {
        item = &call->items[i];

        if (item->reason) {
            continue;
        }

        rc = ngx_iot_mqtt_gw_parse(item, now);

        if (rc == NGX_DECLINED || rc == NGX_BUSY) {
            call->error = (rc == NGX_BUSY) ? &too_many : &item->points.error;
            return NGX_ERROR;
        }

        if (rc != NGX_OK) {
            item->reason = NGX_IOT_MQTT_UNAVAILABLE;
            return NGX_ERROR;
        }

        n += item->points.n;
    }

    if (ngx_iot_mqtt_gw_over(call, n) != NGX_OK) {
        return NGX_ERROR;
    }

    for (i = 0; i < call->n; i++) {
        item = &call->items[i];

        if (item->reason == 0
            && ngx_iot_device_rate_behind(item->device, 1, 1, item->points.n)
               != NGX_OK)
        {
            item->reason = NGX_IOT_MQTT_RATE_TOO_HIGH;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_iot_mqtt_gw_over(ngx_iot_mqtt_gw_call_t *call, ngx_uint_t n)
{
    ngx_uint_t             i;
    ngx_iot_mqtt_tb_op_t  *op;

    op = call->op;

    if (ngx_iot_device_rate(op->device, 0, 0, n) == NGX_OK) {
        return NGX_OK;
    }

    ngx_iot_add(points_refused, n);

    for (i = 0; i < call->n; i++) {
        call->items[i].reason = NGX_IOT_MQTT_QUOTA;
    }

    if (op->session) {
        ngx_iot_mqtt_end_after(op->session, op->in,
                               NGX_IOT_MQTT_RATE_TOO_HIGH);
        op->in = NULL;
    }

    return NGX_ERROR;
}


static ngx_int_t
ngx_iot_mqtt_gw_parse(ngx_iot_mqtt_gw_item_t *item, int64_t now)
{
    ngx_iot_value_opts_t  opts;

    ngx_iot_points_init(&item->points, &item->call->op->alloc);
    ngx_iot_mqtt_tb_opts(item->device, &opts);

    if (item->call->topic->scope) {
        return ngx_iot_json_attributes(&item->points, &item->raw, now, &opts);
    }

    return ngx_iot_mqtt_gw_records(item, now, &opts);
}


/* what is not an object is skipped */

static ngx_int_t
ngx_iot_mqtt_gw_records(ngx_iot_mqtt_gw_item_t *item, int64_t now,
    ngx_iot_value_opts_t *opts)
{
    ngx_int_t        rc;
    ngx_uint_t       token;
    ngx_iot_json_t   json;

    ngx_iot_json_init(&json, &item->raw, &item->call->op->alloc,
                      NGX_IOT_MQTT_TB_DEPTH);

    (void) ngx_iot_json_next(&json);

    for ( ;; ) {
        token = ngx_iot_json_next(&json);

        if (token == NGX_IOT_JSON_ARRAY_END) {
            return NGX_OK;
        }

        if (token == NGX_IOT_JSON_BAD || token == NGX_IOT_JSON_END
            || ngx_iot_json_skip(&json) != NGX_OK)
        {
            return json.nomem ? NGX_ERROR
                              : ngx_iot_points_decline(&item->points,
                                                       NGX_IOT_BAD_SYNTAX,
                                                       json.error,
                                                       &item->raw);
        }

        if (token != NGX_IOT_JSON_OBJECT) {
            continue;
        }

        rc = ngx_iot_json_telemetry(&item->points, &json.raw, now, opts);

        if (rc != NGX_OK) {
            return rc;
        }
    }
}


static void
ngx_iot_mqtt_gw_saved(ngx_iot_save_t *save, ngx_int_t rc,
    ngx_iot_error_t *err)
{
    ngx_iot_mqtt_gw_item_t  *item;

    item = save->data;

    if (rc == NGX_DECLINED) {
        ngx_log_error(NGX_LOG_INFO, ngx_cycle->log, 0,
                      "values of device %*s of tenant %*s refused: %V",
                      (size_t) NGX_IOT_UUID_TEXT, save->device->id,
                      (size_t) NGX_IOT_UUID_TEXT, save->device->tenant,
                      &err->message);

        item->reason = NGX_IOT_MQTT_BAD_PAYLOAD;

    } else if (rc != NGX_OK) {
        item->reason = NGX_IOT_MQTT_UNAVAILABLE;
    }

    ngx_iot_mqtt_gw_done(item->call);
}
