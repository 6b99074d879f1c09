
/*
 * Copyright (C) the ngx_iot authors
 */


#include "../device/ngx_iot_claim.h"
#include "ngx_iot_mqtt_tb.h"


static void ngx_iot_mqtt_tb_claimed(ngx_iot_db_call_t *dbc);


ngx_int_t
ngx_iot_mqtt_tb_claim(ngx_iot_mqtt_tb_call_t *call)
{
    ngx_int_t              rc;
    ngx_iot_claim_t        claim;
    ngx_iot_mqtt_tb_op_t  *op;

    op = ngx_iot_mqtt_tb_op(call);

    if (op == NULL) {
        return NGX_IOT_MQTT_UNAVAILABLE;
    }

    rc = op->payload.len ? ngx_iot_mqtt_tb_json(op) : NGX_OK;

    if (rc == NGX_OK) {
        rc = ngx_iot_claim_parse(&claim, &op->payload, &op->alloc);

        if (rc == NGX_DECLINED) {
            (void) ngx_iot_points_decline(&op->points, NGX_IOT_BAD_SHAPE,
                                          "Can't parse value: ",
                                          &op->payload);
        }
    }

    if (rc == NGX_OK) {
        claim.device = op->device->id;

        if (ngx_iot_claim_offer(op->device->tenant, &claim, 1,
                                ngx_iot_mqtt_tb_claimed, op))
        {
            return NGX_AGAIN;
        }
    }

    rc = (rc == NGX_DECLINED) ? ngx_iot_mqtt_tb_bad(op, &op->points.error)
                              : NGX_IOT_MQTT_UNAVAILABLE;

    ngx_iot_mqtt_tb_op_free(op);

    return rc;
}


static void
ngx_iot_mqtt_tb_claimed(ngx_iot_db_call_t *dbc)
{
    ngx_iot_mqtt_tb_op_t  *op;

    op = dbc->data;

    if (dbc->rc != NGX_OK) {
        ngx_iot_mqtt_tb_op_done(op, NGX_IOT_MQTT_UNAVAILABLE);
        return;
    }

    ngx_iot_claim_log(dbc, op->device->tenant);
    ngx_iot_mqtt_tb_op_done(op, NGX_OK);
}
