
/*
 * Copyright (C) the ngx_iot authors
 */


#include "../codec/ngx_iot_cbor.h"
#include "../device/ngx_iot_device_rate.h"
#include "ngx_iot_mqtt_tb.h"


/* what a device says of itself: acknowledged when it is committed */


static ngx_int_t ngx_iot_mqtt_tb_save(ngx_iot_mqtt_tb_call_t *call,
    ngx_uint_t scope);
static ngx_int_t ngx_iot_mqtt_tb_parse(ngx_iot_mqtt_tb_op_t *op,
    ngx_uint_t scope);
static void ngx_iot_mqtt_tb_saved(ngx_iot_save_t *save, ngx_int_t rc,
    ngx_iot_error_t *err);


ngx_int_t
ngx_iot_mqtt_tb_telemetry(ngx_iot_mqtt_tb_call_t *call)
{
    return ngx_iot_mqtt_tb_save(call, 0);
}


ngx_int_t
ngx_iot_mqtt_tb_attributes(ngx_iot_mqtt_tb_call_t *call)
{
    return ngx_iot_mqtt_tb_save(call, NGX_IOT_SCOPE_CLIENT);
}


static ngx_int_t
ngx_iot_mqtt_tb_save(ngx_iot_mqtt_tb_call_t *call, ngx_uint_t scope)
{
    ngx_int_t              rc;
    ngx_str_t             *text;
    ngx_iot_mqtt_tb_op_t  *op;

    static ngx_str_t  too_many = ngx_string("Too many values in one message");

    op = ngx_iot_mqtt_tb_op(call);

    if (op == NULL) {
        return NGX_IOT_MQTT_UNAVAILABLE;
    }

    rc = ngx_iot_mqtt_tb_parse(op, scope);

    if (rc == NGX_DECLINED || rc == NGX_BUSY) {
        text = (rc == NGX_BUSY) ? &too_many : &op->points.error;
        rc = ngx_iot_mqtt_tb_bad(op, text);

        ngx_iot_mqtt_tb_op_free(op);
        return rc;
    }

    if (rc == NGX_OK
        && ngx_iot_device_rate(op->device, 0, 0, op->points.n) != NGX_OK)
    {
        ngx_iot_add(points_refused, op->points.n);
        ngx_iot_mqtt_tb_op_free(op);

        ngx_iot_mqtt_end_after(call->session, call->pub->in,
                               NGX_IOT_MQTT_RATE_TOO_HIGH);
        return NGX_AGAIN;
    }

    if (rc == NGX_OK) {
        op->save.device = op->device;
        op->save.points = op->points.points;
        op->save.npoints = op->points.n;
        op->save.scope = scope;
        op->save.pool = op->pool;
        op->save.saved = ngx_iot_mqtt_tb_saved;
        op->save.data = op;

        rc = ngx_iot_save(&op->save);

        if (rc == NGX_AGAIN) {
            return NGX_AGAIN;
        }
    }

    ngx_iot_mqtt_tb_op_free(op);

    return (rc == NGX_OK) ? NGX_OK : NGX_IOT_MQTT_UNAVAILABLE;
}


static ngx_int_t
ngx_iot_mqtt_tb_parse(ngx_iot_mqtt_tb_op_t *op, ngx_uint_t scope)
{
    int64_t                now;
    ngx_time_t            *tp;
    ngx_iot_value_opts_t   opts;

    ngx_iot_mqtt_tb_opts(op->device, &opts);

    tp = ngx_timeofday();
    now = (int64_t) tp->sec * 1000 + tp->msec;

    if (scope) {
        return op->cbor ? ngx_iot_cbor_attributes(&op->points, &op->payload,
                                                  now, &opts)
                        : ngx_iot_json_attributes(&op->points, &op->payload,
                                                  now, &opts);
    }

    return op->cbor ? ngx_iot_cbor_telemetry(&op->points, &op->payload, now,
                                             &opts)
                    : ngx_iot_json_telemetry(&op->points, &op->payload, now,
                                             &opts);
}


void
ngx_iot_mqtt_tb_opts(ngx_iot_device_t *device, ngx_iot_value_opts_t *opts)
{
    ngx_iot_value_opts_init(opts);

    opts->cast_strings = device->cast_strings;
    opts->skip_null = 1;
    opts->max_points = NGX_IOT_MQTT_TB_PAYLOAD;
    opts->max_ts = NGX_IOT_JSON_MAX_TS;
}


static void
ngx_iot_mqtt_tb_saved(ngx_iot_save_t *save, ngx_int_t rc,
    ngx_iot_error_t *err)
{
    ngx_iot_mqtt_tb_op_t  *op;

    op = save->data;

    if (rc == NGX_DECLINED) {
        rc = ngx_iot_mqtt_tb_bad(op, &err->message);

    } else if (rc != NGX_OK) {
        rc = NGX_IOT_MQTT_UNAVAILABLE;
    }

    ngx_iot_mqtt_tb_op_done(op, rc);
}
