
/*
 * Copyright (C) the ngx_iot authors
 */


#include "ngx_iot_mqtt_session.h"


/*
 * A will whose connection has ended before its time (MQTT 5.0, section
 * 3.1.2.5).  With a delay it waits here; whoever connects with the client id
 * and goes on with the session takes it back.
 */

typedef struct {
    ngx_str_node_t           node;      /* by tenant/client id */
    ngx_event_t              timer;
    ngx_iot_bus_message_t   *msg;
    uint32_t                 expiry;
    ngx_connection_t         dummy;
    unsigned                 has_expiry:1;
} ngx_iot_mqtt_delayed_t;


static void ngx_iot_mqtt_will_publish(ngx_iot_bus_message_t *msg,
    uint32_t expiry, ngx_uint_t has_expiry);
static ngx_int_t ngx_iot_mqtt_will_delay(ngx_iot_mqtt_session_t *s,
    uint32_t delay);
static void ngx_iot_mqtt_will_timer(ngx_event_t *ev);
static void ngx_iot_mqtt_will_free(ngx_iot_mqtt_delayed_t *delayed);


static ngx_rbtree_t       ngx_iot_mqtt_wills;
static ngx_rbtree_node_t  ngx_iot_mqtt_wills_sentinel;


ngx_int_t
ngx_iot_mqtt_will_init_process(ngx_cycle_t *cycle)
{
    ngx_rbtree_init(&ngx_iot_mqtt_wills, &ngx_iot_mqtt_wills_sentinel,
                    ngx_str_rbtree_insert_value);

    return ngx_iot_on_shutdown(ngx_iot_mqtt_wills_now, NULL);
}


/* NGX_OK or a reason */

ngx_int_t
ngx_iot_mqtt_will_set(ngx_iot_mqtt_session_t *s,
    ngx_iot_mqtt_connect_t *connect)
{
    ngx_iot_mqtt_will_t    *will;
    ngx_iot_mqtt_props_t   *props;
    ngx_iot_bus_message_t  *msg;

    props = &connect->will_props;

    msg = ngx_iot_mqtt_message(s, &connect->will_topic,
                               &connect->will_payload, props);
    if (msg == NULL) {
        return NGX_IOT_MQTT_BUSY;
    }

    msg->qos = (uint32_t) connect->will_qos;
    msg->flags |= NGX_IOT_BUS_WILL;

    if (connect->will_retain) {
        msg->flags |= NGX_IOT_BUS_RETAIN;
    }

    will = ngx_calloc(sizeof(ngx_iot_mqtt_will_t), s->connection->log);
    if (will == NULL) {
        ngx_iot_bus_drop(msg);
        return NGX_IOT_MQTT_BUSY;
    }

    will->msg = msg;

    if (s->parser.version == NGX_IOT_MQTT_V5) {
        will->delay = props->will_delay;
        will->has_expiry = ngx_iot_mqtt_props_has(props,
                                          NGX_IOT_MQTT_PROP_MESSAGE_EXPIRY);
        will->expiry = will->has_expiry ? props->message_expiry : 0;
    }

    s->will = will;

    return NGX_OK;
}


void
ngx_iot_mqtt_will_drop(ngx_iot_mqtt_session_t *s)
{
    if (s->will == NULL) {
        return;
    }

    ngx_iot_bus_drop(s->will->msg);
    ngx_free(s->will);

    s->will = NULL;
}


void
ngx_iot_mqtt_will_fire(ngx_iot_mqtt_session_t *s)
{
    uint32_t              delay;
    ngx_iot_mqtt_will_t  *will;

    will = s->will;

    if (will == NULL) {
        return;
    }

    /* the end of the session is the latest time */

    delay = ngx_min(will->delay, s->expiry);

    if (delay == 0
        || ngx_exiting
        || ngx_iot_mqtt_will_delay(s, delay) != NGX_OK)
    {
        ngx_iot_mqtt_will_publish(will->msg, will->expiry, will->has_expiry);
    }

    ngx_free(will);
    s->will = NULL;
}


/* takes over the reference */

static void
ngx_iot_mqtt_will_publish(ngx_iot_bus_message_t *msg, uint32_t expiry,
    ngx_uint_t has_expiry)
{
    ngx_time_t  *tp;

    tp = ngx_timeofday();

    msg->published = (uint64_t) tp->sec * 1000 + tp->msec;
    msg->expires = has_expiry ? msg->published + (uint64_t) expiry * 1000 : 0;

    ngx_iot_mqtt_route(msg, NULL);
}


static ngx_int_t
ngx_iot_mqtt_will_delay(ngx_iot_mqtt_session_t *s, uint32_t delay)
{
    u_char                  *p;
    size_t                   len;
    ngx_iot_mqtt_delayed_t  *delayed;

    len = NGX_IOT_UUID_TEXT + s->client_id.len;

    delayed = ngx_calloc(sizeof(ngx_iot_mqtt_delayed_t) + len,
                         ngx_cycle->log);
    if (delayed == NULL) {
        return NGX_ERROR;
    }

    p = (u_char *) (delayed + 1);

    delayed->node.str.data = p;
    delayed->node.str.len = len;

    p = ngx_cpymem(p, s->tenant, NGX_IOT_UUID_TEXT);
    ngx_memcpy(p, s->client_id.data, s->client_id.len);

    delayed->node.node.key = ngx_murmur_hash2(delayed->node.str.data, len);
    ngx_rbtree_insert(&ngx_iot_mqtt_wills, &delayed->node.node);

    delayed->msg = s->will->msg;
    delayed->expiry = s->will->expiry;
    delayed->has_expiry = s->will->has_expiry;

    delayed->dummy.fd = (ngx_socket_t) -1;
    delayed->timer.data = &delayed->dummy;
    delayed->timer.log = ngx_cycle->log;
    delayed->timer.handler = ngx_iot_mqtt_will_timer;

    /* longer than the timers reach is for ever */

    ngx_add_timer(&delayed->timer,
                  (ngx_msec_t) ngx_min(delay, 24 * 24 * 3600) * 1000);

    return NGX_OK;
}


static void
ngx_iot_mqtt_will_timer(ngx_event_t *ev)
{
    ngx_iot_mqtt_delayed_t  *delayed;

    delayed = (ngx_iot_mqtt_delayed_t *)
                  ((u_char *) ev - offsetof(ngx_iot_mqtt_delayed_t, timer));

    ngx_iot_bus_keep(delayed->msg);
    ngx_iot_mqtt_will_publish(delayed->msg, delayed->expiry,
                              delayed->has_expiry);
    ngx_iot_mqtt_will_free(delayed);
}


static void
ngx_iot_mqtt_will_free(ngx_iot_mqtt_delayed_t *delayed)
{
    if (delayed->timer.timer_set) {
        ngx_del_timer(&delayed->timer);
    }

    ngx_rbtree_delete(&ngx_iot_mqtt_wills, &delayed->node.node);
    ngx_iot_bus_drop(delayed->msg);
    ngx_free(delayed);
}


/*
 * The client is back.  Going on with the session cancels the will; a clean
 * start ends the session, and the will is due (MQTT 5.0, section 3.1.3.2.2).
 */

void
ngx_iot_mqtt_will_back(u_char *tenant, ngx_str_t *client_id, ngx_uint_t clean)
{
    u_char                  *p;
    size_t                   len;
    uint32_t                 hash;
    ngx_str_t                key;
    ngx_iot_mqtt_delayed_t  *delayed;

    if (ngx_iot_mqtt_wills.root == &ngx_iot_mqtt_wills_sentinel) {
        return;
    }

    len = NGX_IOT_UUID_TEXT + client_id->len;

    p = ngx_alloc(len, ngx_cycle->log);
    if (p == NULL) {
        return;
    }

    key.data = p;
    key.len = len;

    ngx_memcpy(ngx_cpymem(p, tenant, NGX_IOT_UUID_TEXT), client_id->data,
               client_id->len);

    hash = ngx_murmur_hash2(key.data, key.len);

    delayed = (ngx_iot_mqtt_delayed_t *)
                  ngx_str_rbtree_lookup(&ngx_iot_mqtt_wills, &key, hash);

    ngx_free(p);

    if (delayed == NULL) {
        return;
    }

    if (clean) {
        ngx_iot_mqtt_will_timer(&delayed->timer);
        return;
    }

    ngx_iot_mqtt_will_free(delayed);
}


/* this worker goes: the wills do not wait for another */

void
ngx_iot_mqtt_wills_now(void *data)
{
    ngx_rbtree_node_t  *node;

    while (ngx_iot_mqtt_wills.root != &ngx_iot_mqtt_wills_sentinel) {
        node = ngx_rbtree_min(ngx_iot_mqtt_wills.root,
                              &ngx_iot_mqtt_wills_sentinel);

        ngx_iot_mqtt_will_timer(&((ngx_iot_mqtt_delayed_t *) node)->timer);
    }
}
