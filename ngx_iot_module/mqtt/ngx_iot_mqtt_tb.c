
/*
 * Copyright (C) the ngx_iot authors
 */


#include "../codec/ngx_iot_cbor.h"
#include "../device/ngx_iot_activity.h"
#include "../device/ngx_iot_device_rate.h"
#include "ngx_iot_mqtt_gw.h"


#define NGX_IOT_MQTT_TB_POOL  512


typedef struct {
    ngx_str_t                filter;
    ngx_uint_t               subject;
    ngx_uint_t               form;
} ngx_iot_mqtt_tb_filter_t;


static ngx_int_t ngx_iot_mqtt_tb_other(ngx_iot_mqtt_session_t *s,
    ngx_uint_t access, ngx_str_t *topic, ngx_int_t missing);
static ngx_int_t ngx_iot_mqtt_tb_publish(ngx_iot_mqtt_session_t *s,
    ngx_iot_mqtt_pub_t *pub);
static ngx_uint_t ngx_iot_mqtt_tb_match(ngx_str_t *name, ngx_str_t *topic,
    ngx_str_t *id);
static ngx_int_t ngx_iot_mqtt_tb_subscribe(ngx_iot_mqtt_session_t *s,
    ngx_str_t *filter, ngx_uint_t qos);
static ngx_int_t ngx_iot_mqtt_tb_unsubscribe(ngx_iot_mqtt_session_t *s,
    ngx_str_t *filter);
static ngx_iot_mqtt_tb_filter_t *ngx_iot_mqtt_tb_filter(
    ngx_iot_device_t *device, ngx_str_t *filter);
static ngx_iot_mqtt_tb_topic_t *ngx_iot_mqtt_tb_find(ngx_str_t *topic,
    ngx_iot_mqtt_tb_call_t *call);
static ngx_iot_mqtt_tb_topic_t *ngx_iot_mqtt_tb_custom(
    ngx_iot_device_t *device, ngx_str_t *topic);
static ngx_uint_t ngx_iot_mqtt_tb_is_proto(ngx_iot_device_t *device,
    ngx_iot_mqtt_tb_topic_t *t);
static void ngx_iot_mqtt_tb_connected(ngx_iot_mqtt_session_t *s);
static void ngx_iot_mqtt_tb_closed(ngx_iot_mqtt_session_t *s);
static ngx_int_t ngx_iot_mqtt_tb_subject(ngx_iot_mqtt_tb_t *tb,
    ngx_uint_t subject);
static void ngx_iot_mqtt_tb_notify(ngx_str_t *what, ngx_str_t *id);
static void ngx_iot_mqtt_tb_check(ngx_iot_mqtt_tb_t *tb);
static void ngx_iot_mqtt_tb_checked(ngx_iot_device_wait_t *wait,
    ngx_int_t rc, ngx_iot_device_t *device, ngx_iot_error_t *err);
static ngx_uint_t ngx_iot_mqtt_tb_is_cbor(ngx_iot_mqtt_tb_call_t *call);
static ngx_int_t ngx_iot_mqtt_tb_proto(ngx_iot_mqtt_tb_call_t *call);


static ngx_rbtree_t       ngx_iot_mqtt_tb_tree;
static ngx_rbtree_node_t  ngx_iot_mqtt_tb_sentinel;


static ngx_iot_mqtt_topic_t  ngx_iot_mqtt_tb_list[] = {

    { ngx_string("#"),
      ngx_iot_mqtt_tb_publish,
      ngx_iot_mqtt_tb_subscribe,
      ngx_iot_mqtt_tb_unsubscribe },

    { ngx_null_string, NULL, NULL, NULL }
};


ngx_iot_mqtt_topics_t  ngx_iot_mqtt_tb_topics = {
    ngx_iot_mqtt_tb_list,
    ngx_iot_mqtt_tb_connected,
    ngx_iot_mqtt_tb_closed,
    ngx_iot_mqtt_tb_is_will,
    ngx_iot_mqtt_tb_will
};


static ngx_iot_mqtt_tb_topic_t  ngx_iot_mqtt_tb_names[] = {

    { ngx_string("v1/devices/me/telemetry"), NGX_IOT_MQTT_TB_V1,
      ngx_iot_mqtt_tb_telemetry, 1 },

    { ngx_string("v1/devices/me/attributes"), NGX_IOT_MQTT_TB_V1,
      ngx_iot_mqtt_tb_attributes, 1 },

    { ngx_string("v1/devices/me/attributes/request/+"), NGX_IOT_MQTT_TB_V1,
      ngx_iot_mqtt_tb_attribute_request, 0 },

    { ngx_string("v2/t"), NGX_IOT_MQTT_TB_V2,
      ngx_iot_mqtt_tb_telemetry, 1 },

    { ngx_string("v2/t/j"), NGX_IOT_MQTT_TB_V2_JSON,
      ngx_iot_mqtt_tb_telemetry, 1 },

    { ngx_string("v2/t/p"), NGX_IOT_MQTT_TB_V2_PROTO,
      ngx_iot_mqtt_tb_proto, 0 },

    { ngx_string("v2/a"), NGX_IOT_MQTT_TB_V2,
      ngx_iot_mqtt_tb_attributes, 1 },

    { ngx_string("v2/a/j"), NGX_IOT_MQTT_TB_V2_JSON,
      ngx_iot_mqtt_tb_attributes, 1 },

    { ngx_string("v2/a/p"), NGX_IOT_MQTT_TB_V2_PROTO,
      ngx_iot_mqtt_tb_proto, 0 },

    { ngx_string("v2/a/req/+"), NGX_IOT_MQTT_TB_V2,
      ngx_iot_mqtt_tb_attribute_request, 0 },

    { ngx_string("v2/a/req/j/+"), NGX_IOT_MQTT_TB_V2_JSON,
      ngx_iot_mqtt_tb_attribute_request, 0 },

    { ngx_string("v2/a/req/p/+"), NGX_IOT_MQTT_TB_V2_PROTO,
      ngx_iot_mqtt_tb_proto, 0 },

    { ngx_string("v1/devices/me/rpc/response/+"), NGX_IOT_MQTT_TB_V1,
      ngx_iot_mqtt_tb_rpc_response, 0 },

    { ngx_string("v1/devices/me/rpc/request/+"), NGX_IOT_MQTT_TB_V1,
      ngx_iot_mqtt_tb_rpc_request, 0 },

    { ngx_string("v2/r/res/+"), NGX_IOT_MQTT_TB_V2,
      ngx_iot_mqtt_tb_rpc_response, 0 },

    { ngx_string("v2/r/res/j/+"), NGX_IOT_MQTT_TB_V2_JSON,
      ngx_iot_mqtt_tb_rpc_response, 0 },

    { ngx_string("v2/r/res/p/+"), NGX_IOT_MQTT_TB_V2_PROTO,
      ngx_iot_mqtt_tb_proto, 0 },

    { ngx_string("v2/r/req/+"), NGX_IOT_MQTT_TB_V2,
      ngx_iot_mqtt_tb_rpc_request, 0 },

    { ngx_string("v2/r/req/j/+"), NGX_IOT_MQTT_TB_V2_JSON,
      ngx_iot_mqtt_tb_rpc_request, 0 },

    { ngx_string("v2/r/req/p/+"), NGX_IOT_MQTT_TB_V2_PROTO,
      ngx_iot_mqtt_tb_proto, 0 },

    { ngx_string("v1/devices/me/claim"), NGX_IOT_MQTT_TB_V1,
      ngx_iot_mqtt_tb_claim, 0 },

    { ngx_string("v2/fw/request/+/chunk/+"), NGX_IOT_MQTT_TB_V2,
      ngx_iot_mqtt_tb_firmware, 0 },

    { ngx_string("v2/sw/request/+/chunk/+"), NGX_IOT_MQTT_TB_V2,
      ngx_iot_mqtt_tb_software, 0 },

    { ngx_string("v1/gateway/telemetry"), NGX_IOT_MQTT_TB_V1,
      ngx_iot_mqtt_gw_publish, 1 },

    { ngx_string("v1/gateway/attributes"), NGX_IOT_MQTT_TB_V1,
      ngx_iot_mqtt_gw_publish, 1 },

    { ngx_string("v1/gateway/connect"), NGX_IOT_MQTT_TB_V1,
      ngx_iot_mqtt_gw_publish, 0 },

    { ngx_string("v1/gateway/disconnect"), NGX_IOT_MQTT_TB_V1,
      ngx_iot_mqtt_gw_publish, 0 },

    { ngx_string("v1/gateway/attributes/request"), NGX_IOT_MQTT_TB_V1,
      ngx_iot_mqtt_gw_publish, 0 },

    { ngx_string("v1/gateway/rpc"), NGX_IOT_MQTT_TB_V1,
      ngx_iot_mqtt_gw_publish, 0 },

    { ngx_string("v1/gateway/claim"), NGX_IOT_MQTT_TB_V1,
      ngx_iot_mqtt_gw_publish, 0 },

    { ngx_null_string, 0, NULL, 0 }
};


/* the profile says what they are called */

static ngx_iot_mqtt_tb_topic_t  ngx_iot_mqtt_tb_customs[] = {

    { ngx_null_string, NGX_IOT_MQTT_TB_V1, ngx_iot_mqtt_tb_telemetry, 1 },

    { ngx_null_string, NGX_IOT_MQTT_TB_V1, ngx_iot_mqtt_tb_attributes, 1 }
};

static ngx_iot_mqtt_tb_filter_t  ngx_iot_mqtt_tb_custom_filter = {
    ngx_null_string, NGX_IOT_MQTT_TB_ATTRIBUTES, NGX_IOT_MQTT_TB_CUSTOM
};


/* a filter that ends with "+" is also where we publish */

static ngx_iot_mqtt_tb_filter_t  ngx_iot_mqtt_tb_filters[] = {

    { ngx_string("v1/devices/me/attributes"),
      NGX_IOT_MQTT_TB_ATTRIBUTES, NGX_IOT_MQTT_TB_V1 },

    { ngx_string("v2/a"),
      NGX_IOT_MQTT_TB_ATTRIBUTES, NGX_IOT_MQTT_TB_V2 },

    { ngx_string("v2/a/j"),
      NGX_IOT_MQTT_TB_ATTRIBUTES, NGX_IOT_MQTT_TB_V2_JSON },

    { ngx_string("v1/devices/me/attributes/response/+"),
      NGX_IOT_MQTT_TB_RESPONSE, NGX_IOT_MQTT_TB_V1 },

    { ngx_string("v2/a/res/+"),
      NGX_IOT_MQTT_TB_RESPONSE, NGX_IOT_MQTT_TB_V2 },

    { ngx_string("v2/a/res/j/+"),
      NGX_IOT_MQTT_TB_RESPONSE, NGX_IOT_MQTT_TB_V2_JSON },

    { ngx_string("v1/devices/me/rpc/request/+"),
      NGX_IOT_MQTT_TB_RPC, NGX_IOT_MQTT_TB_V1 },

    { ngx_string("v2/r/req/+"),
      NGX_IOT_MQTT_TB_RPC, NGX_IOT_MQTT_TB_V2 },

    { ngx_string("v2/r/req/j/+"),
      NGX_IOT_MQTT_TB_RPC, NGX_IOT_MQTT_TB_V2_JSON },

    { ngx_string("v1/devices/me/rpc/response/+"),
      NGX_IOT_MQTT_TB_RPC_RESPONSE, NGX_IOT_MQTT_TB_V1 },

    { ngx_string("v2/r/res/+"),
      NGX_IOT_MQTT_TB_RPC_RESPONSE, NGX_IOT_MQTT_TB_V2 },

    { ngx_string("v2/r/res/j/+"),
      NGX_IOT_MQTT_TB_RPC_RESPONSE, NGX_IOT_MQTT_TB_V2_JSON },

    { ngx_string("v2/fw/response/+/chunk/+"),
      NGX_IOT_MQTT_TB_FIRMWARE, NGX_IOT_MQTT_TB_V1 },

    { ngx_string("v2/sw/response/+/chunk/+"),
      NGX_IOT_MQTT_TB_FIRMWARE, NGX_IOT_MQTT_TB_V2 },

    { ngx_string("v2/fw/error"),
      NGX_IOT_MQTT_TB_ERROR, NGX_IOT_MQTT_TB_V1 },

    { ngx_string("v2/sw/error"),
      NGX_IOT_MQTT_TB_ERROR, NGX_IOT_MQTT_TB_V2 },

    { ngx_string("v1/gateway/attributes"),
      NGX_IOT_MQTT_TB_GW_ATTRIBUTES, NGX_IOT_MQTT_TB_V1 },

    { ngx_string("v1/gateway/attributes/response"),
      NGX_IOT_MQTT_TB_GW_RESPONSE, NGX_IOT_MQTT_TB_V1 },

    { ngx_string("v1/gateway/rpc"),
      NGX_IOT_MQTT_TB_GW_RPC, NGX_IOT_MQTT_TB_V1 },

    { ngx_string("v1/gateway/disconnect"),
      NGX_IOT_MQTT_TB_GW_DISCONNECT, NGX_IOT_MQTT_TB_V1 },

    { ngx_null_string, 0, 0 }
};


ngx_int_t
ngx_iot_mqtt_tb_init_process(ngx_cycle_t *cycle)
{
    ngx_rbtree_init(&ngx_iot_mqtt_tb_tree, &ngx_iot_mqtt_tb_sentinel,
                    ngx_rbtree_insert_value);

    ngx_iot_mqtt_device_topics = &ngx_iot_mqtt_tb_topics;

    if (ngx_iot_mqtt_gw_init_process(cycle) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_iot_db_on_notify(ngx_iot_mqtt_tb_notify);
}


static void
ngx_iot_mqtt_tb_connected(ngx_iot_mqtt_session_t *s)
{
    ngx_iot_mqtt_tb_t  *tb;

    tb = ngx_pcalloc(s->connection->pool, sizeof(ngx_iot_mqtt_tb_t));
    if (tb == NULL) {
        ngx_iot_mqtt_end(s, NGX_IOT_MQTT_UNSPECIFIED);
        return;
    }

    if (s->device->gateway) {
        tb->gw = ngx_iot_mqtt_gw_create(tb);

        if (tb->gw == NULL) {
            ngx_iot_mqtt_end(s, NGX_IOT_MQTT_UNSPECIFIED);
            return;
        }
    }

    tb->session = s;
    tb->wait.found = ngx_iot_mqtt_tb_checked;
    tb->wait.data = tb;
    tb->node.key = ngx_murmur_hash2(s->device->id, NGX_IOT_UUID_TEXT);

    ngx_queue_init(&tb->ops);
    ngx_rbtree_insert(&ngx_iot_mqtt_tb_tree, &tb->node);

    s->topics_data = tb;

    ngx_iot_activity(s->device->nr, NGX_IOT_ACTIVITY_CONNECTED);
}


static void
ngx_iot_mqtt_tb_closed(ngx_iot_mqtt_session_t *s)
{
    ngx_iot_mqtt_tb_t  *tb;

    tb = s->topics_data;

    if (tb == NULL) {
        return;
    }

    s->topics_data = NULL;

    ngx_iot_mqtt_tb_leave(tb);

    if (tb->peer) {
        ngx_iot_mqtt_tb_unwatch(tb->peer);
        ngx_iot_mqtt_tb_unlisten(tb->peer);
        ngx_iot_device_release(tb->peer->device);
        ngx_free(tb->peer);
    }

    ngx_iot_activity(s->device->nr, NGX_IOT_ACTIVITY_DISCONNECTED);
    ngx_iot_device_unwait(&tb->wait);
    ngx_rbtree_delete(&ngx_iot_mqtt_tb_tree, &tb->node);
}


void
ngx_iot_mqtt_tb_leave(ngx_iot_mqtt_tb_t *tb)
{
    ngx_queue_t           *q;
    ngx_iot_mqtt_tb_op_t  *op;

    while (!ngx_queue_empty(&tb->ops)) {
        q = ngx_queue_head(&tb->ops);
        ngx_queue_remove(q);

        op = ngx_queue_data(q, ngx_iot_mqtt_tb_op_t, queue);
        op->session = NULL;

        if (op->closed) {
            op->closed(op);
        }
    }

    if (tb->gw) {
        ngx_iot_mqtt_gw_closed(tb->gw);
        tb->gw = NULL;
    }
}


/*
 * Something about the device may have changed: are its credentials still
 * good?  What was cached is out of date now, so the answer comes later.
 */

static void
ngx_iot_mqtt_tb_notify(ngx_str_t *what, ngx_str_t *id)
{
    ngx_uint_t          all;
    ngx_iot_device_t   *device;
    ngx_iot_mqtt_tb_t  *tb;
    ngx_rbtree_node_t  *node;

    if (ngx_iot_mqtt_tb_tree.root == &ngx_iot_mqtt_tb_sentinel) {
        return;
    }

    all = (what->len == 5 && ngx_strncmp(what->data, "reset", 5) == 0);

    if (!all && (id->len != NGX_IOT_UUID_TEXT
                 || ((what->len != 6
                      || (ngx_strncmp(what->data, "device", 6) != 0
                          && ngx_strncmp(what->data, "tenant", 6) != 0))
                     && (what->len != 7
                         || ngx_strncmp(what->data, "profile", 7) != 0))))
    {
        return;
    }

    if (!all && what->data[0] == 'd') {
        ngx_iot_mqtt_gw_changed(id);
    }

    for (node = ngx_rbtree_min(ngx_iot_mqtt_tb_tree.root,
                               &ngx_iot_mqtt_tb_sentinel);
         node;
         node = ngx_rbtree_next(&ngx_iot_mqtt_tb_tree, node))
    {
        tb = (ngx_iot_mqtt_tb_t *) node;
        device = tb->session->device;

        if (all
            || ngx_memcmp(device->id, id->data, NGX_IOT_UUID_TEXT) == 0
            || ngx_memcmp(device->tenant, id->data, NGX_IOT_UUID_TEXT) == 0
            || ngx_memcmp(device->profile, id->data, NGX_IOT_UUID_TEXT) == 0)
        {
            tb->stale = 1;
            ngx_iot_mqtt_tb_check(tb);
        }
    }
}


/* what cannot be asked now is asked with the next publish */

static void
ngx_iot_mqtt_tb_check(ngx_iot_mqtt_tb_t *tb)
{
    ngx_int_t          rc;
    ngx_iot_device_t  *device;

    if (tb->wait.active) {
        return;
    }

    rc = ngx_iot_device_again(tb->session->device, &device, &tb->wait);

    if (rc == NGX_OK) {
        tb->stale = 0;
        ngx_iot_device_release(device);

    } else if (rc == NGX_AGAIN) {
        tb->stale = 0;
    }
}


static void
ngx_iot_mqtt_tb_checked(ngx_iot_device_wait_t *wait, ngx_int_t rc,
    ngx_iot_device_t *device, ngx_iot_error_t *err)
{
    ngx_iot_mqtt_tb_t       *tb;
    ngx_iot_mqtt_session_t  *s;

    tb = wait->data;
    s = tb->session;

    if (rc == NGX_ERROR) {
        tb->stale = 1;
        return;
    }

    if (rc == NGX_OK
        && ngx_memcmp(device->id, s->device->id, NGX_IOT_UUID_TEXT) == 0
        && ngx_memcmp(device->tenant, s->device->tenant, NGX_IOT_UUID_TEXT)
           == 0
        && device->gateway == s->device->gateway
        && (device->transport == NULL || !device->transport->other))
    {
        ngx_iot_device_release(s->device);

        s->device = device;
        s->user.data = device->id;
        return;
    }

    if (rc == NGX_OK) {
        ngx_iot_device_release(device);
    }

    ngx_iot_mqtt_end(s, NGX_IOT_MQTT_ADMINISTRATIVE);
}


static ngx_int_t
ngx_iot_mqtt_tb_publish(ngx_iot_mqtt_session_t *s, ngx_iot_mqtt_pub_t *pub)
{
    ngx_str_t                *topic;
    ngx_iot_mqtt_tb_call_t    call;
    ngx_iot_mqtt_tb_topic_t  *t;

    topic = &pub->topic;

    if (s->topics_data == NULL || topic->len < 4) {
        return NGX_DECLINED;
    }

    ngx_iot_activity(s->device->nr, NGX_IOT_ACTIVITY_SEEN);

    if (topic->data[0] == 'v'
        && (topic->data[1] == '1' || topic->data[1] == '2')
        && topic->data[2] == '/')
    {
        t = ngx_iot_mqtt_tb_find(topic, &call);

        if (t == NULL) {
            t = ngx_iot_mqtt_tb_custom(s->device, topic);
        }

        if (t == NULL) {
            return NGX_IOT_MQTT_BAD_TOPIC;
        }

    } else {
        call.number = 0;
        ngx_str_null(&call.id);

        t = ngx_iot_mqtt_tb_custom(s->device, topic);

        if (t == NULL) {
            /* its own corner of the tree is an ordinary one */

            return ngx_iot_mqtt_tb_other(s, NGX_IOT_MQTT_PUB, topic,
                                         NGX_IOT_MQTT_BAD_TOPIC);
        }
    }

    if (pub->packet->payload.len > NGX_IOT_MQTT_TB_PAYLOAD) {
        ngx_iot_mqtt_end(s, NGX_IOT_MQTT_TOO_LARGE);
        return NGX_IOT_MQTT_TOO_LARGE;
    }

    call.session = s;
    call.tb = s->topics_data;
    call.pub = pub;

    if (call.tb->stale) {
        ngx_iot_mqtt_tb_check(call.tb);
    }

    if (call.tb->gw) {
        ngx_iot_mqtt_gw_seen(call.tb->gw);
    }

    if (ngx_iot_device_rate(s->device, 1, t->telemetry, 0) != NGX_OK) {
        ngx_iot_mqtt_end_after(s, pub->in, NGX_IOT_MQTT_RATE_TOO_HIGH);
        return NGX_AGAIN;
    }

    call.topic = t;

    return ngx_iot_mqtt_tb_is_proto(s->device, t) ? ngx_iot_mqtt_tb_proto(&call)
                                                  : t->handler(&call);
}


ngx_iot_mqtt_tb_topic_t *
ngx_iot_mqtt_tb_stored(ngx_iot_device_t *device, ngx_str_t *topic)
{
    ngx_iot_mqtt_tb_call_t    call;
    ngx_iot_mqtt_tb_topic_t  *t;

    t = ngx_iot_mqtt_tb_find(topic, &call);

    if (t == NULL) {
        t = ngx_iot_mqtt_tb_custom(device, topic);
    }

    return (t && t->telemetry && !ngx_iot_mqtt_tb_is_proto(device, t))
           ? t : NULL;
}


static ngx_iot_mqtt_tb_topic_t *
ngx_iot_mqtt_tb_find(ngx_str_t *topic, ngx_iot_mqtt_tb_call_t *call)
{
    ngx_iot_mqtt_tb_topic_t  *t;

    for (t = ngx_iot_mqtt_tb_names; t->name.len; t++) {

        if (!ngx_iot_mqtt_tb_match(&t->name, topic, &call->id)) {
            continue;
        }

        call->number = 0;

        if (call->id.len == 0
            || ngx_iot_mqtt_tb_number(&call->id, &call->number) == NGX_OK)
        {
            return t;
        }
    }

    ngx_str_null(&call->id);
    call->number = 0;

    return NULL;
}


static ngx_iot_mqtt_tb_topic_t *
ngx_iot_mqtt_tb_custom(ngx_iot_device_t *device, ngx_str_t *topic)
{
    ngx_iot_transport_t  *transport;

    transport = device->transport;

    if (transport == NULL) {
        return NULL;
    }

    if (transport->telemetry.len
        && ngx_iot_topic_match(&transport->telemetry, topic))
    {
        return &ngx_iot_mqtt_tb_customs[0];
    }

    if (transport->attributes.len
        && ngx_iot_topic_match(&transport->attributes, topic))
    {
        return &ngx_iot_mqtt_tb_customs[1];
    }

    return NULL;
}


/* the topics whose spelling does not say it are what the profile says */

static ngx_uint_t
ngx_iot_mqtt_tb_is_proto(ngx_iot_device_t *device, ngx_iot_mqtt_tb_topic_t *t)
{
    return device->transport && device->transport->proto
           && (t->form == NGX_IOT_MQTT_TB_V1 || t->form == NGX_IOT_MQTT_TB_V2)
           && (t->handler == ngx_iot_mqtt_tb_telemetry
               || t->handler == ngx_iot_mqtt_tb_attributes
               || t->handler == ngx_iot_mqtt_tb_attribute_request
               || t->handler == ngx_iot_mqtt_tb_rpc_response
               || t->handler == ngx_iot_mqtt_tb_rpc_request);
}


/* the last "+" becomes *id; those before take one level, whatever it is */

static ngx_uint_t
ngx_iot_mqtt_tb_match(ngx_str_t *name, ngx_str_t *topic, ngx_str_t *id)
{
    u_char  *p, *end, *n, *nend;

    ngx_str_null(id);

    p = topic->data;
    end = p + topic->len;
    n = name->data;
    nend = n + name->len;

    while (n < nend) {

        if (*n == '+') {
            id->data = p;

            while (p < end && *p != '/') {
                p++;
            }

            id->len = p - id->data;

            if (id->len == 0) {
                return 0;
            }

            n++;
            continue;
        }

        if (p == end || *p != *n) {
            return 0;
        }

        p++;
        n++;
    }

    return p == end;
}


/* the numbers of requests are signed, 32 bits */

ngx_int_t
ngx_iot_mqtt_tb_number(ngx_str_t *id, int32_t *number)
{
    u_char    *p;
    size_t     len;
    int64_t    n;
    ngx_int_t  minus;

    p = id->data;
    len = id->len;
    minus = (len > 1 && *p == '-');

    if (minus) {
        p++;
        len--;
    }

    if (len == 0 || len > 10) {
        return NGX_DECLINED;
    }

    for (n = 0; len; len--, p++) {

        if (*p < '0' || *p > '9') {
            return NGX_DECLINED;
        }

        n = n * 10 + (*p - '0');
    }

    if (minus) {
        n = -n;
    }

    if (n < INT32_MIN || n > INT32_MAX) {
        return NGX_DECLINED;
    }

    if (number) {
        *number = (int32_t) n;
    }

    return NGX_OK;
}


static ngx_iot_mqtt_tb_filter_t *
ngx_iot_mqtt_tb_filter(ngx_iot_device_t *device, ngx_str_t *filter)
{
    ngx_str_t                 *own;
    ngx_iot_mqtt_tb_filter_t  *f;

    for (f = ngx_iot_mqtt_tb_filters; f->filter.len; f++) {

        if (f->filter.len == filter->len
            && ngx_memcmp(f->filter.data, filter->data, filter->len) == 0)
        {
            return f;
        }
    }

    if (device->transport) {
        own = &device->transport->subscribe;

        if (own->len && own->len == filter->len
            && ngx_memcmp(own->data, filter->data, own->len) == 0)
        {
            return &ngx_iot_mqtt_tb_custom_filter;
        }
    }

    return NULL;
}


/*
 * No topic of the platform: NGX_DECLINED if the broker may have it, else what
 * the platform says of topics that do not exist, unless a rule forbids it.
 */

static ngx_int_t
ngx_iot_mqtt_tb_other(ngx_iot_mqtt_session_t *s, ngx_uint_t access,
    ngx_str_t *topic, ngx_int_t missing)
{
    if (ngx_iot_mqtt_may(s, access, topic) == NGX_OK) {
        return NGX_DECLINED;
    }

    return ngx_iot_mqtt_denied(s, access, topic) ? NGX_IOT_MQTT_NOT_AUTHORIZED
                                                 : missing;
}


static ngx_int_t
ngx_iot_mqtt_tb_subscribe(ngx_iot_mqtt_session_t *s, ngx_str_t *filter,
    ngx_uint_t qos)
{
    ngx_iot_mqtt_tb_t         *tb;
    ngx_iot_mqtt_tb_sub_t     *sub;
    ngx_iot_mqtt_tb_filter_t  *f;

    tb = s->topics_data;

    if (tb == NULL) {
        return NGX_DECLINED;
    }

    f = ngx_iot_mqtt_tb_filter(s->device, filter);

    if (f == NULL) {
        return ngx_iot_mqtt_tb_other(s, NGX_IOT_MQTT_SUB, filter,
                                     NGX_IOT_MQTT_BAD_FILTER);
    }

    qos = ngx_min(qos, 1);

    sub = &tb->subs[f->subject];
    sub->qos[f->form] = (uint8_t) (qos + 1);
    sub->form = (uint8_t) f->form;

    if (ngx_iot_mqtt_tb_subject(tb, f->subject) != NGX_OK) {
        sub->qos[f->form] = 0;
        return NGX_IOT_MQTT_UNSPECIFIED;
    }

    return (ngx_int_t) qos;
}


/* changes and requests are listened for from the first subscription on */

static ngx_int_t
ngx_iot_mqtt_tb_subject(ngx_iot_mqtt_tb_t *tb, ngx_uint_t subject)
{
    ngx_iot_mqtt_tb_peer_t  *peer;

    if (subject != NGX_IOT_MQTT_TB_ATTRIBUTES
        && subject != NGX_IOT_MQTT_TB_RPC)
    {
        return NGX_OK;
    }

    if (tb->peer == NULL) {
        peer = ngx_calloc(sizeof(ngx_iot_mqtt_tb_peer_t), ngx_cycle->log);
        if (peer == NULL) {
            return NGX_ERROR;
        }

        peer->tb = tb;
        peer->device = tb->session->device;
        peer->device->refs++;

        tb->peer = peer;
    }

    return (subject == NGX_IOT_MQTT_TB_RPC)
           ? ngx_iot_mqtt_tb_listen(tb->peer, 0)
           : ngx_iot_mqtt_tb_watch(tb->peer);
}


static ngx_int_t
ngx_iot_mqtt_tb_unsubscribe(ngx_iot_mqtt_session_t *s, ngx_str_t *filter)
{
    ngx_uint_t                 i;
    ngx_iot_mqtt_tb_t         *tb;
    ngx_iot_mqtt_tb_sub_t     *sub;
    ngx_iot_mqtt_tb_filter_t  *f;

    tb = s->topics_data;
    f = ngx_iot_mqtt_tb_filter(s->device, filter);

    if (tb && f == NULL) {
        return ngx_iot_mqtt_tb_other(s, NGX_IOT_MQTT_SUB, filter,
                                     NGX_IOT_MQTT_BAD_FILTER);
    }

    if (tb == NULL) {
        return NGX_DECLINED;
    }

    sub = &tb->subs[f->subject];

    if (sub->qos[f->form] == 0) {
        return NGX_DECLINED;
    }

    sub->qos[f->form] = 0;

    /* another spelling may still be subscribed to */

    for (i = 0; i < NGX_IOT_MQTT_TB_FORMS && sub->qos[sub->form] == 0; i++) {

        if (sub->qos[i]) {
            sub->form = (uint8_t) i;
        }
    }

    if (sub->qos[sub->form] == 0) {

        if (f->subject == NGX_IOT_MQTT_TB_ATTRIBUTES) {
            ngx_iot_mqtt_tb_unwatch(tb->peer);

        } else if (f->subject == NGX_IOT_MQTT_TB_RPC) {
            ngx_iot_mqtt_tb_unlisten(tb->peer);
        }
    }

    return NGX_OK;
}


ngx_int_t
ngx_iot_mqtt_tb_send(ngx_iot_mqtt_session_t *s, ngx_uint_t subject,
    ngx_uint_t form, ngx_str_t *id, ngx_str_t *payload)
{
    u_char                     buf[NGX_IOT_MQTT_TB_TOPIC], *p;
    ngx_str_t                  topic;
    ngx_iot_mqtt_tb_t         *tb;
    ngx_iot_mqtt_tb_filter_t  *f;

    tb = s->topics_data;

    if (tb == NULL) {
        return NGX_DECLINED;
    }

    if (form == NGX_IOT_MQTT_TB_CUSTOM) {

        if (s->device->transport == NULL
            || s->device->transport->subscribe.len == 0)
        {
            return NGX_DECLINED;
        }

        return ngx_iot_mqtt_tb_send_to(s, &s->device->transport->subscribe,
                                       payload,
                                       ngx_iot_mqtt_tb_granted(tb, subject,
                                                               form));
    }

    for (f = ngx_iot_mqtt_tb_filters; f->filter.len; f++) {

        if (f->subject == subject && f->form == form) {
            break;
        }
    }

    if (f->filter.len == 0
        || f->filter.len + (id ? id->len : 0) > NGX_IOT_MQTT_TB_TOPIC)
    {
        return NGX_DECLINED;
    }

    p = ngx_cpymem(buf, f->filter.data, f->filter.len);

    if (id) {
        /* it takes the place of the "+" */
        p = ngx_cpymem(p - 1, id->data, id->len);
    }

    topic.data = buf;
    topic.len = p - buf;

    return ngx_iot_mqtt_tb_send_to(s, &topic, payload,
                                   ngx_iot_mqtt_tb_granted(tb, subject, form));
}


ngx_uint_t
ngx_iot_mqtt_tb_granted(ngx_iot_mqtt_tb_t *tb, ngx_uint_t subject,
    ngx_uint_t form)
{
    ngx_uint_t  qos;

    qos = tb->subs[subject].qos[form];

    return qos ? qos - 1 : 1;
}


ngx_int_t
ngx_iot_mqtt_tb_send_to(ngx_iot_mqtt_session_t *s, ngx_str_t *topic,
    ngx_str_t *payload, ngx_uint_t qos)
{
    ngx_int_t               rc;
    ngx_str_t               none;
    ngx_time_t             *tp;
    ngx_iot_bus_message_t  *msg;

    ngx_str_set(&none, "");

    msg = ngx_iot_bus_message(s->tenant, topic, payload, &none, &none);

    if (msg == NULL) {
        ngx_iot_count(mqtt_publish_dropped);
        return NGX_ERROR;
    }

    tp = ngx_timeofday();
    msg->published = (uint64_t) tp->sec * 1000 + tp->msec;
    msg->qos = (uint32_t) qos;

    rc = ngx_iot_mqtt_send_message(s, msg, qos, 0, NULL, 0);

    ngx_iot_bus_drop(msg);

    return rc;
}


ngx_iot_mqtt_tb_op_t *
ngx_iot_mqtt_tb_op(ngx_iot_mqtt_tb_call_t *call)
{
    u_char                  *p;
    size_t                   size;
    ngx_str_t               *payload;
    ngx_pool_t              *pool;
    ngx_iot_mqtt_tb_op_t    *op;
    ngx_iot_mqtt_session_t  *s;

    s = call->session;
    payload = &call->pub->packet->payload;

    size = sizeof(ngx_iot_mqtt_tb_op_t) + payload->len + call->id.len
           + NGX_IOT_MQTT_TB_POOL;

    pool = ngx_create_pool(ngx_align(size, NGX_POOL_ALIGNMENT),
                           ngx_cycle->log);
    if (pool == NULL) {
        return NULL;
    }

    op = ngx_pcalloc(pool, sizeof(ngx_iot_mqtt_tb_op_t));
    p = ngx_pnalloc(pool, payload->len + call->id.len + 1);

    if (op == NULL || p == NULL) {
        ngx_destroy_pool(pool);
        return NULL;
    }

    op->payload.data = p;
    op->payload.len = payload->len;

    if (payload->len) {
        p = ngx_cpymem(p, payload->data, payload->len);
    }

    op->id.data = p;
    op->id.len = call->id.len;

    if (call->id.len) {
        ngx_memcpy(p, call->id.data, call->id.len);
    }

    op->session = s;
    op->in = call->pub->in;
    op->pool = pool;
    op->number = call->number;
    op->form = call->topic->form;
    op->version = s->parser.version;
    op->cbor = ngx_iot_mqtt_tb_is_cbor(call);

    op->device = s->device;
    op->device->refs++;

    op->alloc.alloc = ngx_iot_mqtt_tb_alloc;
    op->alloc.data = pool;
    ngx_iot_points_init(&op->points, &op->alloc);

    ngx_queue_insert_tail(&call->tb->ops, &op->queue);

    return op;
}


void
ngx_iot_mqtt_tb_op_done(ngx_iot_mqtt_tb_op_t *op, ngx_int_t rc)
{
    ngx_iot_mqtt_in_t  *in;

    in = op->in;

    ngx_iot_mqtt_tb_op_free(op);

    if (in) {
        ngx_iot_mqtt_publish_done(in, rc);
    }
}


void
ngx_iot_mqtt_tb_op_free(ngx_iot_mqtt_tb_op_t *op)
{
    if (op->session) {
        ngx_queue_remove(&op->queue);
    }

    ngx_iot_device_release(op->device);
    ngx_destroy_pool(op->pool);
}


void *
ngx_iot_mqtt_tb_alloc(void *pool, size_t size)
{
    return ngx_palloc(pool, size);
}


static ngx_uint_t
ngx_iot_mqtt_tb_is_cbor(ngx_iot_mqtt_tb_call_t *call)
{
    ngx_str_t             *type;
    ngx_iot_mqtt_props_t  *props;

    static ngx_str_t  cbor = ngx_string("application/cbor");

    if (call->topic->form == NGX_IOT_MQTT_TB_V2_JSON) {
        return 0;
    }

    props = &call->pub->packet->props;

    if (call->session->parser.version == NGX_IOT_MQTT_V5
        && ngx_iot_mqtt_props_has(props, NGX_IOT_MQTT_PROP_CONTENT_TYPE)
        && props->content_type.len)
    {
        type = &props->content_type;

        return type->len >= cbor.len
               && ngx_strncasecmp(type->data, cbor.data, cbor.len) == 0
               && (type->len == cbor.len || type->data[cbor.len] == ';'
                   || type->data[cbor.len] == ' ');
    }

    return ngx_iot_cbor_detect(&call->pub->packet->payload);
}


ngx_int_t
ngx_iot_mqtt_tb_bad(ngx_iot_mqtt_tb_op_t *op, ngx_str_t *text)
{
    ngx_iot_mqtt_session_t  *s;

    s = op->session;

    ngx_iot_add(points_refused, 1);

    ngx_log_error(NGX_LOG_INFO, ngx_cycle->log, 0,
                  "payload of device %*s of tenant %*s refused: %V",
                  (size_t) NGX_IOT_UUID_TEXT, op->device->id,
                  (size_t) NGX_IOT_UUID_TEXT, op->device->tenant, text);

    if (op->in && op->device->transport && op->device->transport->ack_bad) {
        return NGX_IOT_MQTT_BAD_PAYLOAD;
    }

    if (s && !op->cbor && (op->in == NULL || op->version < NGX_IOT_MQTT_V5)) {
        ngx_iot_mqtt_end(s, NGX_IOT_MQTT_BAD_PAYLOAD);
    }

    return NGX_IOT_MQTT_BAD_PAYLOAD;
}


ngx_int_t
ngx_iot_mqtt_tb_json(ngx_iot_mqtt_tb_op_t *op)
{
    ngx_int_t    rc;
    ngx_str_t    json;
    const char  *error;

    if (op->cbor) {
        rc = ngx_iot_cbor_to_json(&op->points, &json, &op->payload);

        if (rc == NGX_OK) {
            op->payload = json;
        }

        return (rc == NGX_OK || rc == NGX_ERROR) ? rc : NGX_DECLINED;
    }

    if (ngx_iot_json_check(&op->payload, NGX_IOT_MQTT_TB_DEPTH, &error, NULL)
        != NGX_OK)
    {
        return ngx_iot_points_decline(&op->points, NGX_IOT_BAD_SYNTAX, error,
                                      &op->payload);
    }

    return NGX_OK;
}


/* there are no schemas, so it is JSON that is not JSON */

static ngx_int_t
ngx_iot_mqtt_tb_proto(ngx_iot_mqtt_tb_call_t *call)
{
    ngx_iot_mqtt_session_t  *s;

    s = call->session;

    ngx_iot_add(points_refused, 1);

    if (call->pub->in == NULL || s->parser.version < NGX_IOT_MQTT_V5) {
        ngx_iot_mqtt_end(s, NGX_IOT_MQTT_BAD_PAYLOAD);
    }

    return NGX_IOT_MQTT_BAD_PAYLOAD;
}
