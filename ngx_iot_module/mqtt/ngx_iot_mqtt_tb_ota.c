
/*
 * Copyright (C) the ngx_iot authors
 */


#include "ngx_iot_mqtt_tb.h"


/*
 * v2/fw/request/{id}/chunk/{n}: a device takes its firmware or software piece
 * by piece.  The payload is the size of a chunk; without one the last size
 * counts, or the whole package is meant.
 */

typedef struct {
    ngx_uint_t                software;
    ngx_str_t                 topic;      /* of the answer */
} ngx_iot_mqtt_tb_ota_t;


static ngx_int_t ngx_iot_mqtt_tb_ota(ngx_iot_mqtt_tb_call_t *call,
    ngx_uint_t software);
static ngx_int_t ngx_iot_mqtt_tb_ota_ask(ngx_iot_mqtt_tb_op_t *op,
    ngx_uint_t size);
static void ngx_iot_mqtt_tb_ota_chunk(ngx_iot_db_call_t *dbc);
static void ngx_iot_mqtt_tb_ota_fail(ngx_iot_mqtt_session_t *s,
    ngx_uint_t software, char *text);


static ngx_iot_db_stmt_t  ngx_iot_mqtt_tb_ota_stmt = ngx_iot_db_stmt(
    "SELECT data, large FROM iot.ota_chunk($1::uuid, $2::uuid, $3, $4::int,"
    " $5::bigint, $6::int)");


ngx_int_t
ngx_iot_mqtt_tb_firmware(ngx_iot_mqtt_tb_call_t *call)
{
    return ngx_iot_mqtt_tb_ota(call, 0);
}


ngx_int_t
ngx_iot_mqtt_tb_software(ngx_iot_mqtt_tb_call_t *call)
{
    return ngx_iot_mqtt_tb_ota(call, 1);
}


static ngx_int_t
ngx_iot_mqtt_tb_ota(ngx_iot_mqtt_tb_call_t *call, ngx_uint_t software)
{
    u_char                 *p;
    ngx_int_t               size;
    ngx_str_t              *topic, *payload;
    ngx_iot_mqtt_tb_op_t   *op;
    ngx_iot_mqtt_tb_ota_t  *ota;

    payload = &call->pub->packet->payload;
    size = call->tb->chunk[software];

    if (payload->len) {
        size = ngx_atoi(payload->data, payload->len);

        if (size == NGX_ERROR || size == 0) {
            ngx_iot_mqtt_tb_ota_fail(call->session, software,
                                     "INVALID_CHUNK_SIZE");
            return NGX_IOT_MQTT_BAD_PAYLOAD;
        }

        if (size > NGX_IOT_MQTT_TB_PAYLOAD) {
            ngx_iot_mqtt_tb_ota_fail(call->session, software,
                                     "PAYLOAD_TOO_LARGE");
            return NGX_IOT_MQTT_QUOTA;
        }

        call->tb->chunk[software] = (uint32_t) size;
    }

    if (call->number < 0) {
        return NGX_IOT_MQTT_BAD_TOPIC;
    }

    op = ngx_iot_mqtt_tb_op(call);

    if (op == NULL) {
        return NGX_IOT_MQTT_UNAVAILABLE;
    }

    topic = &call->pub->topic;

    ota = ngx_pcalloc(op->pool, sizeof(ngx_iot_mqtt_tb_ota_t));
    p = ngx_pnalloc(op->pool, topic->len + 1);

    if (ota && p) {
        /* "request" becomes "response" */

        ota->software = software;
        ota->topic.data = p;

        p = ngx_cpymem(p, topic->data, sizeof("v2/fw/") - 1);
        p = ngx_cpymem(p, "response", 8);
        p = ngx_cpymem(p, topic->data + sizeof("v2/fw/request") - 1,
                       topic->len - (sizeof("v2/fw/request") - 1));

        ota->topic.len = p - ota->topic.data;
        op->data = ota;

        if (ngx_iot_mqtt_tb_ota_ask(op, size) == NGX_OK) {
            return NGX_AGAIN;
        }
    }

    ngx_iot_mqtt_tb_op_free(op);

    return NGX_IOT_MQTT_UNAVAILABLE;
}


static ngx_int_t
ngx_iot_mqtt_tb_ota_ask(ngx_iot_mqtt_tb_op_t *op, ngx_uint_t size)
{
    u_char                  buf[NGX_INT64_LEN];
    ngx_str_t               text;
    ngx_uint_t              i;
    ngx_iot_db_call_t      *dbc;
    ngx_iot_mqtt_tb_ota_t  *ota;

    ota = op->data;

    dbc = ngx_iot_db_create(NGX_IOT_DB_READ, &ngx_iot_mqtt_tb_ota_stmt,
                            ngx_cycle->log);
    if (dbc == NULL) {
        return NGX_ERROR;
    }

    text.len = NGX_IOT_UUID_TEXT;
    text.data = op->device->tenant;

    if (ngx_iot_db_text(dbc, &text) != NGX_OK) {
        goto failed;
    }

    text.data = op->device->id;

    if (ngx_iot_db_text(dbc, &text) != NGX_OK) {
        goto failed;
    }

    ngx_iot_db_param(dbc, ota->software ? "SOFTWARE" : "FIRMWARE", 8, 0);

    for (i = 0; i < 3; i++) {
        text.data = buf;
        text.len = ngx_sprintf(buf, "%i",
                               i == 0 ? (ngx_int_t) size
                               : i == 1 ? (ngx_int_t) op->number
                                        : NGX_IOT_MQTT_TB_PAYLOAD)
                   - buf;

        if (ngx_iot_db_text(dbc, &text) != NGX_OK) {
            goto failed;
        }
    }

    dbc->binary = 1;
    dbc->data = op;
    dbc->done = ngx_iot_mqtt_tb_ota_chunk;

    if (ngx_iot_db_send(dbc) == NGX_OK) {
        return NGX_OK;
    }

failed:

    ngx_destroy_pool(dbc->pool);

    return NGX_ERROR;
}


static void
ngx_iot_mqtt_tb_ota_chunk(ngx_iot_db_call_t *dbc)
{
    ngx_int_t               rc;
    ngx_str_t               data;
    ngx_uint_t              large;
    ngx_iot_mqtt_tb_t      *tb;
    ngx_iot_mqtt_tb_op_t   *op;
    ngx_iot_mqtt_tb_ota_t  *ota;

    op = dbc->data;
    ota = op->data;
    rc = NGX_OK;

    if (dbc->rc != NGX_OK || PQntuples(dbc->result) != 1) {
        ngx_iot_mqtt_tb_op_done(op, NGX_IOT_MQTT_UNAVAILABLE);
        return;
    }

    if (op->session == NULL) {
        ngx_iot_mqtt_tb_op_done(op, NGX_OK);
        return;
    }

    large = (PQgetvalue(dbc->result, 0, 1)[0] == 1);

    if (large || PQgetisnull(dbc->result, 0, 0)) {
        rc = large ? NGX_IOT_MQTT_QUOTA : NGX_IOT_MQTT_IMPLEMENTATION;
        ngx_iot_mqtt_tb_ota_fail(op->session, ota->software,
                                 large ? "PAYLOAD_TOO_LARGE" : "NOT_FOUND");

    } else {
        data.data = (u_char *) PQgetvalue(dbc->result, 0, 0);
        data.len = PQgetlength(dbc->result, 0, 0);

        tb = op->session->topics_data;

        (void) ngx_iot_mqtt_tb_send_to(op->session, &ota->topic, &data,
                 ngx_iot_mqtt_tb_granted(tb, NGX_IOT_MQTT_TB_FIRMWARE,
                                         ota->software ? NGX_IOT_MQTT_TB_V2
                                                       : NGX_IOT_MQTT_TB_V1));
    }

    ngx_iot_mqtt_tb_op_done(op, rc);
}


static void
ngx_iot_mqtt_tb_ota_fail(ngx_iot_mqtt_session_t *s, ngx_uint_t software,
    char *text)
{
    ngx_str_t  payload;

    payload.data = (u_char *) text;
    payload.len = ngx_strlen(text);

    (void) ngx_iot_mqtt_tb_send(s, NGX_IOT_MQTT_TB_ERROR,
                                software ? NGX_IOT_MQTT_TB_V2
                                         : NGX_IOT_MQTT_TB_V1,
                                NULL, &payload);
    ngx_iot_mqtt_end(s, NGX_IOT_MQTT_IMPLEMENTATION);
}
