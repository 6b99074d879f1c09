
/*
 * Copyright (C) the ngx_iot authors
 */


#include "ngx_iot_mqtt_gw.h"


/*
 * Requests to the device, and requests of the device.  Of the latter the
 * platform itself answers two; for all others there is nobody, and the device
 * is told so when it has waited.
 */

#define NGX_IOT_MQTT_TB_RPC_TIME  60000


/* a request that the device has not acknowledged */

typedef struct {
    ngx_iot_mqtt_acked_t     acked;       /* must be first */
    u_char                   tenant[NGX_IOT_UUID_TEXT];
    u_char                   device[NGX_IOT_UUID_TEXT];
    ngx_iot_rpc_request_t    request;     /* without body */
} ngx_iot_mqtt_tb_rpc_sent_t;


static void ngx_iot_mqtt_tb_rpc_passed(ngx_iot_rpc_front_t *front,
    ngx_iot_rpc_request_t *request);
static ngx_int_t ngx_iot_mqtt_tb_rpc_send(ngx_iot_mqtt_tb_peer_t *peer,
    ngx_iot_rpc_request_t *request);
static void ngx_iot_mqtt_tb_rpc_acked(ngx_iot_mqtt_acked_t *acked,
    ngx_uint_t ok);
static void ngx_iot_mqtt_tb_rpc_answered(ngx_iot_rpc_answer_t *answer,
    ngx_int_t rc, ngx_iot_error_t *err);
static ngx_int_t ngx_iot_mqtt_tb_rpc_ask(ngx_iot_mqtt_tb_op_t *op,
    ngx_iot_mqtt_tb_t *tb);
static ngx_int_t ngx_iot_mqtt_tb_rpc_time(ngx_iot_mqtt_tb_op_t *op);
static ngx_int_t ngx_iot_mqtt_tb_rpc_limits(ngx_iot_mqtt_tb_op_t *op);
static void ngx_iot_mqtt_tb_rpc_limits_answer(ngx_iot_db_call_t *dbc);
static ngx_int_t ngx_iot_mqtt_tb_rpc_wait(ngx_iot_mqtt_tb_op_t *op,
    ngx_iot_mqtt_tb_t *tb);
static void ngx_iot_mqtt_tb_rpc_timeout(ngx_event_t *ev);
static void ngx_iot_mqtt_tb_rpc_closed(ngx_iot_mqtt_tb_op_t *op);


ngx_int_t
ngx_iot_mqtt_tb_listen(ngx_iot_mqtt_tb_peer_t *peer, ngx_uint_t later)
{
    ngx_iot_rpc_front_t  *front;

    if (peer->calling) {
        return NGX_OK;
    }

    front = &peer->front;
    ngx_memzero(front, sizeof(ngx_iot_rpc_front_t));

    ngx_memcpy(front->tenant, peer->device->tenant, NGX_IOT_UUID_TEXT);
    ngx_memcpy(front->device, peer->device->id, NGX_IOT_UUID_TEXT);

    front->request = ngx_iot_mqtt_tb_rpc_passed;
    front->data = peer;
    front->later = later ? 1 : 0;

    /* what has been waiting may come before this returns */

    peer->calling = 1;

    if (ngx_iot_rpc_open(front) != NGX_OK) {
        peer->calling = 0;
        return NGX_ERROR;
    }

    return NGX_OK;
}


void
ngx_iot_mqtt_tb_unlisten(ngx_iot_mqtt_tb_peer_t *peer)
{
    if (peer->calling) {
        peer->calling = 0;
        ngx_iot_rpc_close(&peer->front);
    }
}


/*
 * What could not be sent stays with the caller until its time is over.  With
 * QoS 1 the device has it when it says so; a stored request that was only
 * sent goes to the next session again.
 */

static void
ngx_iot_mqtt_tb_rpc_passed(ngx_iot_rpc_front_t *front,
    ngx_iot_rpc_request_t *request)
{
    ngx_int_t                    rc;
    ngx_iot_mqtt_session_t      *s;
    ngx_iot_mqtt_tb_peer_t      *peer;
    ngx_iot_mqtt_tb_rpc_sent_t  *sent;

    peer = front->data;
    s = peer->tb->session;

    sent = ngx_alloc(sizeof(ngx_iot_mqtt_tb_rpc_sent_t), ngx_cycle->log);
    if (sent == NULL) {
        return;
    }

    sent->acked.handler = ngx_iot_mqtt_tb_rpc_acked;
    sent->request = *request;
    ngx_str_null(&sent->request.body);

    ngx_memcpy(sent->tenant, front->tenant, NGX_IOT_UUID_TEXT);
    ngx_memcpy(sent->device, front->device, NGX_IOT_UUID_TEXT);

    s->acking = &sent->acked;
    rc = ngx_iot_mqtt_tb_rpc_send(peer, request);

    if (s->acking == NULL) {

        /* taken; if it could not be sent, it has been freed */

        if (rc == NGX_OK) {
            (void) ngx_iot_rpc_status(front->tenant, front->device, request,
                                      NGX_IOT_RPC_SENT, NULL, NULL);
        }

        return;
    }

    s->acking = NULL;

    ngx_iot_mqtt_tb_rpc_acked(&sent->acked, rc == NGX_OK);
}


static ngx_int_t
ngx_iot_mqtt_tb_rpc_send(ngx_iot_mqtt_tb_peer_t *peer,
    ngx_iot_rpc_request_t *request)
{
    u_char              buf[NGX_INT32_LEN];
    ngx_str_t           id;
    ngx_iot_mqtt_tb_t  *tb;

    tb = peer->tb;

    if (peer->behind) {
        return ngx_iot_mqtt_gw_send(peer, NGX_IOT_MQTT_TB_GW_RPC, request,
                                    &request->body);
    }

    id.data = buf;
    id.len = ngx_sprintf(buf, "%uD", request->id) - buf;

    return ngx_iot_mqtt_tb_send(tb->session, NGX_IOT_MQTT_TB_RPC,
                                tb->subs[NGX_IOT_MQTT_TB_RPC].form, &id,
                                &request->body);
}


static void
ngx_iot_mqtt_tb_rpc_acked(ngx_iot_mqtt_acked_t *acked, ngx_uint_t ok)
{
    ngx_iot_mqtt_tb_rpc_sent_t  *sent;

    sent = (ngx_iot_mqtt_tb_rpc_sent_t *) acked;

    if (ok) {
        (void) ngx_iot_rpc_status(sent->tenant, sent->device, &sent->request,
                                  NGX_IOT_RPC_DELIVERED, NULL, NULL);
    }

    ngx_free(sent);
}


ngx_int_t
ngx_iot_mqtt_tb_rpc_response(ngx_iot_mqtt_tb_call_t *call)
{
    ngx_int_t              rc;
    ngx_iot_mqtt_tb_op_t  *op;

    op = ngx_iot_mqtt_tb_op(call);

    if (op == NULL) {
        return NGX_IOT_MQTT_UNAVAILABLE;
    }

    rc = ngx_iot_mqtt_tb_json(op);

    if (rc == NGX_OK) {
        rc = ngx_iot_mqtt_tb_rpc_answer(op, op->device, op->number,
                                        &op->payload);

    } else if (rc == NGX_DECLINED) {
        rc = ngx_iot_mqtt_tb_bad(op, &op->points.error);

    } else {
        rc = NGX_IOT_MQTT_UNAVAILABLE;
    }

    if (rc != NGX_AGAIN) {
        ngx_iot_mqtt_tb_op_free(op);
    }

    return rc;
}


ngx_int_t
ngx_iot_mqtt_tb_rpc_answer(ngx_iot_mqtt_tb_op_t *op, ngx_iot_device_t *device,
    int32_t id, ngx_str_t *body)
{
    ngx_int_t              rc;
    ngx_iot_rpc_answer_t  *answer;

    if (id < 0) {
        /* nobody has asked: ours count up from 0 */
        return NGX_OK;
    }

    answer = ngx_pcalloc(op->pool, sizeof(ngx_iot_rpc_answer_t));
    if (answer == NULL) {
        return NGX_IOT_MQTT_UNAVAILABLE;
    }

    ngx_memcpy(answer->tenant, device->tenant, NGX_IOT_UUID_TEXT);
    ngx_memcpy(answer->device, device->id, NGX_IOT_UUID_TEXT);

    answer->id = (uint32_t) id;
    answer->body = *body;
    answer->done = ngx_iot_mqtt_tb_rpc_answered;
    answer->data = op;

    rc = ngx_iot_rpc_answer(answer);

    if (rc == NGX_OK || rc == NGX_AGAIN) {
        return rc;
    }

    return NGX_IOT_MQTT_UNAVAILABLE;
}


static void
ngx_iot_mqtt_tb_rpc_answered(ngx_iot_rpc_answer_t *answer, ngx_int_t rc,
    ngx_iot_error_t *err)
{
    ngx_iot_mqtt_tb_op_done(answer->data,
                            rc == NGX_OK ? NGX_OK : NGX_IOT_MQTT_UNAVAILABLE);
}


ngx_int_t
ngx_iot_mqtt_tb_rpc_request(ngx_iot_mqtt_tb_call_t *call)
{
    ngx_int_t              rc;
    ngx_iot_mqtt_tb_op_t  *op;

    op = ngx_iot_mqtt_tb_op(call);

    if (op == NULL) {
        return NGX_IOT_MQTT_UNAVAILABLE;
    }

    rc = ngx_iot_mqtt_tb_json(op);

    if (rc == NGX_OK) {
        rc = ngx_iot_mqtt_tb_rpc_ask(op, call->tb);
    }

    if (rc == NGX_AGAIN) {
        return NGX_AGAIN;
    }

    if (rc == NGX_DONE) {
        /* it waits, but not for an acknowledgement */
        return NGX_OK;
    }

    if (rc == NGX_DECLINED) {
        rc = ngx_iot_mqtt_tb_bad(op, &op->points.error);

    } else if (rc == NGX_ERROR) {
        rc = NGX_IOT_MQTT_UNAVAILABLE;
    }

    ngx_iot_mqtt_tb_op_free(op);

    return rc;
}


static ngx_int_t
ngx_iot_mqtt_tb_rpc_ask(ngx_iot_mqtt_tb_op_t *op, ngx_iot_mqtt_tb_t *tb)
{
    ngx_int_t              rc;
    ngx_str_t             *method;
    const char            *error;
    ngx_iot_json_field_t   field;

    static ngx_str_t  limits = ngx_string("getSessionLimits");
    static ngx_str_t  current = ngx_string("getCurrentTime");

    ngx_str_set(&field.name, "method");

    rc = ngx_iot_json_fields(&op->payload, &op->alloc, NGX_IOT_MQTT_TB_DEPTH,
                             &field, 1, &error);

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (rc != NGX_OK || field.token != NGX_IOT_JSON_STRING) {
        return ngx_iot_points_decline(&op->points, NGX_IOT_BAD_SHAPE,
                                      "Can't parse value: ", &op->payload);
    }

    method = &field.text;

    if (method->len == limits.len
        && ngx_memcmp(method->data, limits.data, limits.len) == 0)
    {
        return ngx_iot_mqtt_tb_rpc_limits(op);
    }

    if (method->len == current.len
        && ngx_memcmp(method->data, current.data, current.len) == 0)
    {
        return ngx_iot_mqtt_tb_rpc_time(op);
    }

    return ngx_iot_mqtt_tb_rpc_wait(op, tb);
}


static ngx_int_t
ngx_iot_mqtt_tb_rpc_time(ngx_iot_mqtt_tb_op_t *op)
{
    u_char       buf[NGX_INT64_LEN];
    ngx_str_t    body;
    ngx_time_t  *tp;

    tp = ngx_timeofday();

    body.data = buf;
    body.len = ngx_sprintf(buf, "%L", (int64_t) tp->sec * 1000 + tp->msec)
               - buf;

    (void) ngx_iot_mqtt_tb_send(op->session, NGX_IOT_MQTT_TB_RPC_RESPONSE,
                                op->form, &op->id, &body);

    return NGX_OK;
}


static ngx_int_t
ngx_iot_mqtt_tb_rpc_limits(ngx_iot_mqtt_tb_op_t *op)
{
    ngx_str_t           value;
    ngx_iot_db_call_t  *dbc;

    dbc = ngx_iot_db_create(NGX_IOT_DB_READ, &ngx_iot_rpc_limits_stmt,
                            ngx_cycle->log);
    if (dbc == NULL) {
        return NGX_ERROR;
    }

    value.data = op->device->tenant;
    value.len = NGX_IOT_UUID_TEXT;

    if (ngx_iot_db_text(dbc, &value) != NGX_OK) {
        goto failed;
    }

    value.data = (u_char *) (op->device->gateway ? "t" : "f");
    value.len = 1;

    if (ngx_iot_db_text(dbc, &value) != NGX_OK) {
        goto failed;
    }

    dbc->data = op;
    dbc->done = ngx_iot_mqtt_tb_rpc_limits_answer;

    if (ngx_iot_db_send(dbc) == NGX_OK) {
        return NGX_AGAIN;
    }

failed:

    ngx_destroy_pool(dbc->pool);

    return NGX_ERROR;
}


static void
ngx_iot_mqtt_tb_rpc_limits_answer(ngx_iot_db_call_t *dbc)
{
    ngx_str_t              body;
    ngx_iot_mqtt_tb_op_t  *op;

    op = dbc->data;

    if (dbc->rc != NGX_OK || PQntuples(dbc->result) == 0) {
        ngx_iot_mqtt_tb_op_done(op, NGX_IOT_MQTT_UNAVAILABLE);
        return;
    }

    if (op->session) {
        body.data = (u_char *) PQgetvalue(dbc->result, 0, 0);
        body.len = PQgetlength(dbc->result, 0, 0);

        (void) ngx_iot_mqtt_tb_send(op->session, NGX_IOT_MQTT_TB_RPC_RESPONSE,
                                    op->form, &op->id, &body);
    }

    ngx_iot_mqtt_tb_op_done(op, NGX_OK);
}


static ngx_int_t
ngx_iot_mqtt_tb_rpc_wait(ngx_iot_mqtt_tb_op_t *op, ngx_iot_mqtt_tb_t *tb)
{
    ngx_event_t  *ev;

    if (tb->nwaiting == NGX_IOT_MQTT_TB_INFLIGHT) {
        return NGX_IOT_MQTT_QUOTA;
    }

    ev = ngx_pcalloc(op->pool, sizeof(ngx_event_t));
    if (ev == NULL) {
        return NGX_ERROR;
    }

    op->ident = -1;
    ev->data = op;
    ev->log = ngx_cycle->log;
    ev->handler = ngx_iot_mqtt_tb_rpc_timeout;
    ev->cancelable = 1;

    op->in = NULL;
    op->data = ev;
    op->closed = ngx_iot_mqtt_tb_rpc_closed;

    tb->nwaiting++;
    ngx_add_timer(ev, NGX_IOT_MQTT_TB_RPC_TIME);

    return NGX_DONE;
}


static void
ngx_iot_mqtt_tb_rpc_timeout(ngx_event_t *ev)
{
    ngx_iot_mqtt_tb_t     *tb;
    ngx_iot_mqtt_tb_op_t  *op;

    static ngx_str_t  text = ngx_string("{\"error\":\"timeout\"}");

    op = ev->data;
    tb = op->session->topics_data;

    tb->nwaiting--;

    (void) ngx_iot_mqtt_tb_send(op->session, NGX_IOT_MQTT_TB_RPC_RESPONSE,
                                op->form, &op->id, &text);

    ngx_iot_mqtt_tb_op_free(op);
}


static void
ngx_iot_mqtt_tb_rpc_closed(ngx_iot_mqtt_tb_op_t *op)
{
    ngx_event_t  *ev;

    ev = op->data;

    ngx_del_timer(ev);
    ngx_iot_mqtt_tb_op_free(op);
}
