
/*
 * Copyright (C) the ngx_iot authors
 */


#include "../codec/ngx_iot_keyset.h"
#include "../device/ngx_iot_activity.h"
#include "../device/ngx_iot_device_rate.h"
#include "ngx_iot_mqtt_gw.h"


static ngx_iot_mqtt_gw_topic_t *ngx_iot_mqtt_gw_topic(ngx_str_t *name);
static ngx_int_t ngx_iot_mqtt_gw_gather(ngx_iot_mqtt_gw_call_t *call);
static ngx_int_t ngx_iot_mqtt_gw_one(ngx_iot_mqtt_gw_call_t *call);
static ngx_int_t ngx_iot_mqtt_gw_members(ngx_iot_mqtt_gw_call_t *call);
static ngx_int_t ngx_iot_mqtt_gw_bad(ngx_iot_mqtt_gw_call_t *call);
static void ngx_iot_mqtt_gw_run(ngx_iot_mqtt_gw_t *gw);
static ngx_int_t ngx_iot_mqtt_gw_resolve(ngx_iot_mqtt_gw_call_t *call);
static ngx_int_t ngx_iot_mqtt_gw_ask(ngx_iot_mqtt_gw_call_t *call,
    ngx_uint_t n);
static void ngx_iot_mqtt_gw_found(ngx_iot_gateway_find_t *find,
    ngx_int_t rc);
static void ngx_iot_mqtt_gw_take_found(ngx_iot_mqtt_gw_call_t *call);
static ngx_uint_t ngx_iot_mqtt_gw_reason(ngx_uint_t refused);
static void ngx_iot_mqtt_gw_take(ngx_iot_mqtt_gw_call_t *call,
    ngx_uint_t reason);
static void ngx_iot_mqtt_gw_finish(ngx_iot_mqtt_gw_call_t *call);
static void ngx_iot_mqtt_gw_refuse(ngx_iot_mqtt_gw_call_t *call,
    ngx_uint_t reason);


static ngx_iot_mqtt_gw_topic_t  ngx_iot_mqtt_gw_topics[] = {

    { ngx_string("v1/gateway/telemetry"), 1, 1, 1, 0,
      ngx_iot_mqtt_gw_check_telemetry, ngx_iot_mqtt_gw_save },

    { ngx_string("v1/gateway/attributes"), 1, 1, 1, NGX_IOT_SCOPE_CLIENT,
      ngx_iot_mqtt_gw_check_objects, ngx_iot_mqtt_gw_save },

    { ngx_string("v1/gateway/connect"), 0, 1, 0, 0,
      ngx_iot_mqtt_gw_check_connect, NULL },

    { ngx_string("v1/gateway/disconnect"), 0, 0, 0, 0, NULL, NULL },

    { ngx_string("v1/gateway/attributes/request"), 0, 1, 0, 0,
      ngx_iot_mqtt_gw_check_request, ngx_iot_mqtt_gw_request },

    { ngx_string("v1/gateway/rpc"), 0, 1, 0, 0,
      ngx_iot_mqtt_gw_check_rpc, ngx_iot_mqtt_gw_rpc },

    { ngx_string("v1/gateway/claim"), 1, 1, 0, 0,
      ngx_iot_mqtt_gw_check_claim, ngx_iot_mqtt_gw_claim },

    { ngx_null_string, 0, 0, 0, 0, NULL, NULL }
};


ngx_iot_mqtt_gw_t *
ngx_iot_mqtt_gw_create(ngx_iot_mqtt_tb_t *tb)
{
    ngx_iot_mqtt_gw_t  *gw;

    gw = ngx_calloc(sizeof(ngx_iot_mqtt_gw_t), ngx_cycle->log);
    if (gw == NULL) {
        return NULL;
    }

    gw->tb = tb;
    ngx_queue_init(&gw->calls);
    ngx_rbtree_init(&gw->peers, &gw->sentinel, ngx_str_rbtree_insert_value);

    return gw;
}


/* what was taken is done all the same */

void
ngx_iot_mqtt_gw_closed(ngx_iot_mqtt_gw_t *gw)
{
    ngx_iot_mqtt_gw_detach_all(gw);

    gw->tb = NULL;

    ngx_iot_mqtt_gw_run(gw);
}


ngx_int_t
ngx_iot_mqtt_gw_publish(ngx_iot_mqtt_tb_call_t *tbc)
{
    ngx_int_t                 rc;
    ngx_iot_mqtt_gw_t        *gw;
    ngx_iot_mqtt_tb_op_t     *op;
    ngx_iot_mqtt_gw_call_t   *call;
    ngx_iot_mqtt_gw_topic_t  *topic;

    gw = tbc->tb->gw;

    if (gw == NULL) {
        return NGX_IOT_MQTT_NOT_AUTHORIZED;
    }

    topic = ngx_iot_mqtt_gw_topic(&tbc->topic->name);

    if (topic == NULL) {
        return NGX_IOT_MQTT_BAD_TOPIC;
    }

    op = ngx_iot_mqtt_tb_op(tbc);

    if (op == NULL) {
        return NGX_IOT_MQTT_UNAVAILABLE;
    }

    rc = NGX_ERROR;

    call = ngx_pcalloc(op->pool, sizeof(ngx_iot_mqtt_gw_call_t));

    if (call) {
        call->gw = gw;
        call->op = op;
        call->topic = topic;

        rc = ngx_iot_mqtt_gw_gather(call);
    }

    if (rc != NGX_OK) {
        rc = (rc == NGX_DECLINED) ? ngx_iot_mqtt_tb_bad(op, &op->points.error)
                                  : NGX_IOT_MQTT_UNAVAILABLE;

        ngx_iot_mqtt_tb_op_free(op);
        return rc;
    }

    ngx_queue_insert_tail(&gw->calls, &call->queue);

    if (++gw->ncalls >= NGX_IOT_MQTT_GW_CALLS) {
        tbc->session->blocked = 1;
        gw->held = 1;
    }

    ngx_iot_mqtt_gw_run(gw);

    return NGX_AGAIN;
}


static ngx_iot_mqtt_gw_topic_t *
ngx_iot_mqtt_gw_topic(ngx_str_t *name)
{
    ngx_iot_mqtt_gw_topic_t  *topic;

    for (topic = ngx_iot_mqtt_gw_topics; topic->name.len; topic++) {

        if (topic->name.len == name->len
            && ngx_memcmp(topic->name.data, name->data, name->len) == 0)
        {
            return topic;
        }
    }

    return NULL;
}


/* which devices is it about, and is it of the right shape? */

static ngx_int_t
ngx_iot_mqtt_gw_gather(ngx_iot_mqtt_gw_call_t *call)
{
    ngx_int_t                rc;
    ngx_uint_t               i;
    ngx_iot_mqtt_gw_item_t  *item;

    rc = ngx_iot_mqtt_tb_json(call->op);
    if (rc != NGX_OK) {
        return rc;
    }

    rc = call->topic->many ? ngx_iot_mqtt_gw_members(call)
                           : ngx_iot_mqtt_gw_one(call);

    if (rc != NGX_OK) {
        return rc;
    }

    for (i = 0; i < call->n; i++) {
        item = &call->items[i];
        item->call = call;

        if (!ngx_iot_gateway_name(&item->name)) {
            return ngx_iot_points_decline(&call->op->points,
                                          NGX_IOT_BAD_KEY,
                                          "Invalid device name: ",
                                          &item->name);
        }
    }

    return call->topic->check ? call->topic->check(call) : NGX_OK;
}


static ngx_int_t
ngx_iot_mqtt_gw_one(ngx_iot_mqtt_gw_call_t *call)
{
    ngx_int_t              rc;
    ngx_iot_json_field_t   field;
    ngx_iot_mqtt_tb_op_t  *op;

    op = call->op;
    ngx_str_set(&field.name, "device");

    rc = ngx_iot_json_fields(&op->payload, &op->alloc, NGX_IOT_MQTT_TB_DEPTH,
                             &field, 1, NULL);

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (rc != NGX_OK || field.token != NGX_IOT_JSON_STRING) {
        return ngx_iot_mqtt_gw_bad(call);
    }

    call->items = ngx_pcalloc(op->pool, sizeof(ngx_iot_mqtt_gw_item_t));
    if (call->items == NULL) {
        return NGX_ERROR;
    }

    call->n = 1;
    call->items[0].name = field.text;
    call->items[0].raw = op->payload;

    return NGX_OK;
}


static ngx_int_t
ngx_iot_mqtt_gw_members(ngx_iot_mqtt_gw_call_t *call)
{
    ngx_str_t                name;
    ngx_uint_t               token;
    ngx_array_t              items;
    ngx_iot_json_t           json;
    ngx_iot_mqtt_tb_op_t    *op;
    ngx_iot_mqtt_gw_item_t  *item;

    op = call->op;

    if (ngx_array_init(&items, op->pool, 4, sizeof(ngx_iot_mqtt_gw_item_t))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_iot_json_init(&json, &op->payload, &op->alloc, NGX_IOT_MQTT_TB_DEPTH);

    if (ngx_iot_json_next(&json) != NGX_IOT_JSON_OBJECT) {
        return ngx_iot_mqtt_gw_bad(call);
    }

    for ( ;; ) {
        token = ngx_iot_json_next(&json);

        if (token == NGX_IOT_JSON_OBJECT_END) {
            break;
        }

        if (token != NGX_IOT_JSON_KEY) {
            return json.nomem ? NGX_ERROR : ngx_iot_mqtt_gw_bad(call);
        }

        name = json.text;

        (void) ngx_iot_json_next(&json);

        if (ngx_iot_json_skip(&json) != NGX_OK) {
            return json.nomem ? NGX_ERROR : ngx_iot_mqtt_gw_bad(call);
        }

        item = ngx_array_push(&items);
        if (item == NULL) {
            return NGX_ERROR;
        }

        ngx_memzero(item, sizeof(ngx_iot_mqtt_gw_item_t));

        item->name = name;
        item->raw = json.raw;
    }

    call->items = items.elts;
    call->n = items.nelts;

    return NGX_OK;
}


static ngx_int_t
ngx_iot_mqtt_gw_bad(ngx_iot_mqtt_gw_call_t *call)
{
    return ngx_iot_points_decline(&call->op->points, NGX_IOT_BAD_SHAPE,
                                  "Can't parse value: ", &call->op->payload);
}


static void
ngx_iot_mqtt_gw_run(ngx_iot_mqtt_gw_t *gw)
{
    ngx_int_t                rc;
    ngx_queue_t             *q;
    ngx_iot_mqtt_gw_call_t  *call;

    if (gw->running || gw->finding) {
        return;
    }

    gw->running = 1;

    while (!ngx_queue_empty(&gw->calls)) {
        q = ngx_queue_head(&gw->calls);
        call = ngx_queue_data(q, ngx_iot_mqtt_gw_call_t, queue);

        rc = ngx_iot_mqtt_gw_resolve(call);

        if (rc == NGX_AGAIN) {
            gw->finding = 1;
            break;
        }

        ngx_iot_mqtt_gw_take(call, rc == NGX_OK ? 0
                                                : NGX_IOT_MQTT_UNAVAILABLE);
    }

    gw->running = 0;

    if (gw->tb == NULL) {

        if (ngx_queue_empty(&gw->calls)) {
            ngx_free(gw);
        }

        return;
    }

    if (gw->held && gw->ncalls <= NGX_IOT_MQTT_GW_CALLS / 2) {
        gw->held = 0;
        ngx_iot_mqtt_unblock(gw->tb->session);
    }
}


static ngx_int_t
ngx_iot_mqtt_gw_resolve(ngx_iot_mqtt_gw_call_t *call)
{
    ngx_uint_t               i, n;
    ngx_iot_mqtt_gw_t       *gw;
    ngx_iot_mqtt_gw_item_t  *item;
    ngx_iot_mqtt_tb_peer_t  *peer;

    gw = call->gw;

    if (!call->topic->make) {
        return NGX_OK;
    }

    for (n = 0, i = 0; i < call->n; i++) {
        item = &call->items[i];
        peer = ngx_iot_mqtt_gw_find(gw, &item->name);

        if (peer == NULL || !ngx_iot_device_current(peer->device)) {
            item->asked = 1;
            n++;
            continue;
        }

        item->device = peer->device;
        item->device->refs++;
    }

    return n ? ngx_iot_mqtt_gw_ask(call, n) : NGX_OK;
}


/* the payload may name a device twice, the question may not */

static ngx_int_t
ngx_iot_mqtt_gw_ask(ngx_iot_mqtt_gw_call_t *call, ngx_uint_t n)
{
    ngx_uint_t               i, k;
    ngx_iot_keyset_t         set;
    ngx_iot_gateway_find_t  *find;
    ngx_iot_mqtt_gw_item_t  *item;
    ngx_iot_gateway_item_t  *asked;

    find = &call->find;

    find->items = ngx_pcalloc(call->op->pool,
                              n * sizeof(ngx_iot_gateway_item_t));
    if (find->items == NULL) {
        return NGX_ERROR;
    }

    ngx_iot_keyset_init(&set);

    for (i = 0; i < call->n; i++) {
        item = &call->items[i];

        if (item->asked == 0) {
            continue;
        }

        k = ngx_iot_keyset_find(&set, find->items,
                                sizeof(ngx_iot_gateway_item_t), &item->name);

        if (k == NGX_IOT_KEYSET_NONE) {
            k = find->n++;
            asked = &find->items[k];

            asked->name = item->name;
            asked->type = item->type;

            if (ngx_iot_keyset_add(&set, find->items,
                                   sizeof(ngx_iot_gateway_item_t),
                                   &call->op->alloc)
                != NGX_OK)
            {
                return NGX_ERROR;
            }
        }

        item->asked = k + 1;
    }

    find->gateway = call->op->device;
    find->make = 1;
    find->found = ngx_iot_mqtt_gw_found;
    find->data = call;

    return (ngx_iot_gateway_find(find) == NGX_AGAIN) ? NGX_AGAIN : NGX_ERROR;
}


static void
ngx_iot_mqtt_gw_found(ngx_iot_gateway_find_t *find, ngx_int_t rc)
{
    ngx_iot_mqtt_gw_t       *gw;
    ngx_iot_mqtt_gw_call_t  *call;

    call = find->data;
    gw = call->gw;

    /* what follows may end the session */

    gw->running = 1;

    switch (rc) {

    case NGX_OK:
        ngx_iot_mqtt_gw_take_found(call);
        ngx_iot_mqtt_gw_take(call, 0);
        break;

    case NGX_DECLINED:
        ngx_iot_mqtt_gw_take(call, NGX_IOT_MQTT_NOT_AUTHORIZED);
        break;

    default: /* NGX_ERROR */
        ngx_iot_mqtt_gw_take(call, NGX_IOT_MQTT_UNAVAILABLE);
    }

    gw->finding = 0;
    gw->running = 0;

    ngx_iot_mqtt_gw_run(gw);
}


static void
ngx_iot_mqtt_gw_take_found(ngx_iot_mqtt_gw_call_t *call)
{
    ngx_uint_t               i, *reasons;
    ngx_iot_mqtt_gw_t       *gw;
    ngx_iot_gateway_find_t  *find;
    ngx_iot_gateway_item_t  *asked;
    ngx_iot_mqtt_gw_item_t  *item;

    gw = call->gw;
    find = &call->find;

    reasons = ngx_pcalloc(call->op->pool, find->n * sizeof(ngx_uint_t));

    for (i = 0; i < find->n && reasons; i++) {
        reasons[i] = ngx_iot_mqtt_gw_reason(find->items[i].refused);
    }

    if (gw->tb && reasons) {
        gw->overwrite = find->overwrite;
        ngx_iot_mqtt_gw_attach(gw, find->items, reasons, find->n,
                               call->op->pool);
    }

    for (i = 0; i < call->n; i++) {
        item = &call->items[i];

        if (item->asked == 0) {
            continue;
        }

        if (reasons == NULL) {
            item->reason = NGX_IOT_MQTT_UNAVAILABLE;
            continue;
        }

        asked = &find->items[item->asked - 1];
        item->reason = reasons[item->asked - 1];

        if (item->reason == 0) {
            item->device = asked->device;
            item->device->refs++;
        }
    }

    for (i = 0; i < find->n; i++) {
        if (find->items[i].device) {
            ngx_iot_device_release(find->items[i].device);
        }
    }
}


static ngx_uint_t
ngx_iot_mqtt_gw_reason(ngx_uint_t refused)
{
    switch (refused) {

    case NGX_IOT_GATEWAY_FOUND:
        return 0;

    case NGX_IOT_GATEWAY_LIMIT:
        return NGX_IOT_MQTT_QUOTA;

    case NGX_IOT_GATEWAY_INVALID:
        return NGX_IOT_MQTT_BAD_PAYLOAD;

    default: /* NGX_IOT_GATEWAY_MISSING, NGX_IOT_GATEWAY_FOREIGN */
        return NGX_IOT_MQTT_NOT_AUTHORIZED;
    }
}


/* it is the first of the queue, and its devices are known */

static void
ngx_iot_mqtt_gw_take(ngx_iot_mqtt_gw_call_t *call, ngx_uint_t reason)
{
    ngx_uint_t               i;
    ngx_iot_mqtt_gw_t       *gw;
    ngx_iot_mqtt_gw_item_t  *item;
    ngx_iot_mqtt_tb_peer_t  *peer;

    gw = call->gw;

    ngx_queue_remove(&call->queue);
    gw->ncalls--;

    call->pending = 1;

    for (i = 0; i < call->n; i++) {
        item = &call->items[i];

        if (reason) {
            item->reason = reason;

        } else if (item->device && item->reason == 0) {
            ngx_iot_activity(item->device->nr, NGX_IOT_ACTIVITY_SEEN);

            /* telemetry pays when its points have been counted */

            if (!call->topic->telemetry
                && ngx_iot_device_rate_behind(item->device, 1, 0, 0)
                   != NGX_OK)
            {
                item->reason = NGX_IOT_MQTT_RATE_TOO_HIGH;
            }

        } else if (!call->topic->make) {
            peer = ngx_iot_mqtt_gw_find(gw, &item->name);

            if (peer) {
                ngx_iot_mqtt_gw_detach(gw, peer);
            }
        }
    }

    if (reason == 0 && call->topic->act) {
        call->topic->act(call);
    }

    ngx_iot_mqtt_gw_done(call);
}


void
ngx_iot_mqtt_gw_done(ngx_iot_mqtt_gw_call_t *call)
{
    if (--call->pending == 0) {
        ngx_iot_mqtt_gw_finish(call);
    }
}


/* one answer for all devices: what went wrong, or success */

static void
ngx_iot_mqtt_gw_finish(ngx_iot_mqtt_gw_call_t *call)
{
    ngx_int_t                rc;
    ngx_uint_t               i, reason;
    ngx_iot_mqtt_tb_op_t    *op;
    ngx_iot_mqtt_gw_item_t  *item;

    op = call->op;
    reason = 0;

    for (i = 0; i < call->n; i++) {
        item = &call->items[i];

        if (item->reason && reason != NGX_IOT_MQTT_UNAVAILABLE) {
            reason = item->reason;
        }

        if (item->device) {
            ngx_iot_device_release(item->device);
        }
    }

    rc = NGX_OK;

    if (call->error) {
        rc = ngx_iot_mqtt_tb_bad(op, call->error);

    } else if (reason) {
        ngx_iot_mqtt_gw_refuse(call, reason);

        /* an acknowledgement knows no rates (MQTT 5.0, section 3.4.2.1) */

        rc = (reason == NGX_IOT_MQTT_RATE_TOO_HIGH)
             ? NGX_IOT_MQTT_QUOTA : (ngx_int_t) reason;
    }

    ngx_iot_mqtt_tb_op_done(op, rc);
}


static void
ngx_iot_mqtt_gw_refuse(ngx_iot_mqtt_gw_call_t *call, ngx_uint_t reason)
{
    ngx_uint_t               i;
    ngx_iot_mqtt_tb_t       *tb;
    ngx_iot_mqtt_tb_op_t    *op;
    ngx_iot_mqtt_gw_item_t  *item;
    ngx_iot_mqtt_tb_peer_t  *peer;

    op = call->op;

    ngx_log_error(NGX_LOG_INFO, ngx_cycle->log, 0,
                  "publish of gateway %*s of tenant %*s refused: %V",
                  (size_t) NGX_IOT_UUID_TEXT, op->device->id,
                  (size_t) NGX_IOT_UUID_TEXT, op->device->tenant,
                  ngx_iot_mqtt_reason_name(reason));

    if (op->session == NULL
        || op->session->ending
        || reason == NGX_IOT_MQTT_UNAVAILABLE)
    {
        return;
    }

    if (op->version < NGX_IOT_MQTT_V5) {
        ngx_iot_mqtt_end(op->session, NGX_IOT_MQTT_IMPLEMENTATION);
        return;
    }

    tb = op->session->topics_data;

    for (i = 0; i < call->n && op->session; i++) {
        item = &call->items[i];

        if (item->reason == 0) {
            continue;
        }

        peer = ngx_iot_mqtt_gw_find(tb->gw, &item->name);

        if (peer) {
            ngx_iot_mqtt_gw_detach(tb->gw, peer);
        }

        ngx_iot_mqtt_gw_notice(op->session, &item->name, item->reason);
    }
}
