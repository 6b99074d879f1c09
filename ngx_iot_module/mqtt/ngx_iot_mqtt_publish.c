
/*
 * Copyright (C) the ngx_iot authors
 */


#include "ngx_iot_mqtt_session.h"
#include "ngx_iot_mqtt_store.h"


#define NGX_IOT_MQTT_SCRATCH  4096


/* a message that waits for room on the bus */

typedef struct {
    ngx_iot_bus_wait_t       wait;
    ngx_iot_bus_message_t   *msg;
    ngx_iot_mqtt_in_t       *in;
} ngx_iot_mqtt_retry_t;


static ngx_int_t ngx_iot_mqtt_publish_topic(ngx_iot_mqtt_session_t *s,
    ngx_iot_mqtt_packet_t *packet, ngx_str_t *topic);
static ngx_int_t ngx_iot_mqtt_publish_alias(ngx_iot_mqtt_session_t *s,
    ngx_iot_mqtt_packet_t *packet, ngx_str_t *topic);
static ngx_int_t ngx_iot_mqtt_publish_dialect(ngx_iot_mqtt_session_t *s,
    ngx_iot_mqtt_packet_t *packet, ngx_str_t *topic);
static ngx_int_t ngx_iot_mqtt_publish_normal(ngx_iot_mqtt_session_t *s,
    ngx_iot_mqtt_packet_t *packet, ngx_str_t *topic);
static ngx_int_t ngx_iot_mqtt_publish_again(ngx_iot_mqtt_session_t *s,
    ngx_iot_mqtt_packet_t *packet, ngx_str_t *topic);
static ngx_iot_mqtt_in_t *ngx_iot_mqtt_in_create(ngx_iot_mqtt_session_t *s,
    ngx_uint_t packet_id, ngx_uint_t type);
static ngx_iot_mqtt_in_t *ngx_iot_mqtt_in_find(ngx_iot_mqtt_session_t *s,
    ngx_uint_t packet_id);
static void ngx_iot_mqtt_in_free(ngx_iot_mqtt_in_t *in);
static void ngx_iot_mqtt_in_hold(ngx_iot_mqtt_in_t *in,
    ngx_iot_bus_message_t *msg);
static ngx_iot_bus_message_t *ngx_iot_mqtt_in_unhold(ngx_iot_mqtt_in_t *in);
static void ngx_iot_mqtt_in_flush(ngx_iot_mqtt_session_t *s);
static void ngx_iot_mqtt_route_retained(void *data, ngx_int_t rc,
    ngx_iot_error_t *err);
static void ngx_iot_mqtt_route_on(ngx_iot_bus_message_t *msg,
    ngx_iot_mqtt_in_t *in);
static void ngx_iot_mqtt_route_stored(ngx_iot_bus_message_t *msg,
    ngx_iot_mqtt_in_t *in, ngx_int_t rc);
static void ngx_iot_mqtt_route_bus(ngx_iot_bus_message_t *msg,
    ngx_iot_mqtt_in_t *in);
static void ngx_iot_mqtt_route_done(ngx_iot_bus_message_t *msg);
static void ngx_iot_mqtt_in_held(void *data, ngx_int_t rc,
    ngx_iot_error_t *err);
static void ngx_iot_mqtt_route_wait(ngx_iot_bus_message_t *msg,
    ngx_iot_mqtt_in_t *in);
static void ngx_iot_mqtt_route_ready(void *data);


ngx_iot_mqtt_topics_t  *ngx_iot_mqtt_device_topics;


ngx_int_t
ngx_iot_mqtt_on_publish(ngx_iot_mqtt_session_t *s,
    ngx_iot_mqtt_packet_t *packet)
{
    ngx_int_t  rc;
    ngx_str_t  topic;

    /*
     * Clients before 5.0 have not been told a maximum: they are not read from
     * while so many of their messages wait for us.  What waits for their
     * PUBREL does not count, it may be behind this packet.
     */

    if (packet->qos
        && packet->version < NGX_IOT_MQTT_V5
        && s->npending >= s->conf->receive_maximum)
    {
        s->throttled = 1;
        return NGX_AGAIN;
    }

    ngx_iot_count(mqtt_publish_received);
    ngx_iot_add(mqtt_publish_bytes_received, packet->payload.len);

    rc = ngx_iot_mqtt_publish_topic(s, packet, &topic);
    if (rc != NGX_OK) {
        return rc;
    }

    if (packet->qos) {

        if (packet->qos == 2) {
            rc = ngx_iot_mqtt_publish_again(s, packet, &topic);
            if (rc != NGX_DECLINED) {
                return rc;
            }
        }

        if (packet->version == NGX_IOT_MQTT_V5
            && s->nreceiving >= s->conf->receive_maximum)
        {
            s->parser.detail = "too many publishes at once";
            return NGX_IOT_MQTT_RECEIVE_MAXIMUM;
        }
    }

    if (s->topics) {
        rc = ngx_iot_mqtt_publish_dialect(s, packet, &topic);
        if (rc != NGX_DECLINED) {
            return rc;
        }
    }

    return ngx_iot_mqtt_publish_normal(s, packet, &topic);
}


static ngx_int_t
ngx_iot_mqtt_publish_topic(ngx_iot_mqtt_session_t *s,
    ngx_iot_mqtt_packet_t *packet, ngx_str_t *topic)
{
    *topic = packet->topic;

    if (packet->version == NGX_IOT_MQTT_V5 && packet->props.topic_alias) {
        return ngx_iot_mqtt_publish_alias(s, packet, topic);
    }

    if (topic->len == 0) {
        s->parser.detail = "neither topic nor alias";
        return NGX_IOT_MQTT_PROTOCOL_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_iot_mqtt_publish_alias(ngx_iot_mqtt_session_t *s,
    ngx_iot_mqtt_packet_t *packet, ngx_str_t *topic)
{
    u_char     *p;
    ngx_str_t  *alias;

    if (packet->props.topic_alias > s->conf->max_alias) {
        return NGX_IOT_MQTT_BAD_ALIAS;
    }

    if (s->aliases == NULL) {
        s->aliases = ngx_calloc(s->conf->max_alias * sizeof(ngx_str_t),
                                s->connection->log);
        if (s->aliases == NULL) {
            return NGX_IOT_MQTT_UNSPECIFIED;
        }
    }

    alias = &s->aliases[packet->props.topic_alias - 1];

    if (topic->len == 0) {

        if (alias->data == NULL) {
            s->parser.detail = "unknown alias";
            return NGX_IOT_MQTT_PROTOCOL_ERROR;
        }

        *topic = *alias;
        return NGX_OK;
    }

    p = ngx_alloc(topic->len, s->connection->log);
    if (p == NULL) {
        return NGX_IOT_MQTT_UNSPECIFIED;
    }

    if (alias->data) {
        ngx_free(alias->data);
    }

    ngx_memcpy(p, topic->data, topic->len);

    alias->data = p;
    alias->len = topic->len;

    return NGX_OK;
}


/*
 * The same identifier before its PUBREL: the client repeats itself, or has
 * changed its mind (MQTT 5.0, section 4.3.3).
 */

static ngx_int_t
ngx_iot_mqtt_publish_again(ngx_iot_mqtt_session_t *s,
    ngx_iot_mqtt_packet_t *packet, ngx_str_t *topic)
{
    ngx_iot_mqtt_in_t      *in;
    ngx_iot_bus_message_t  *msg;

    in = ngx_iot_mqtt_in_find(s, packet->packet_id);

    if (in == NULL) {
        return NGX_DECLINED;
    }

    if (in->state != NGX_IOT_MQTT_IN_HELD) {
        return NGX_OK;
    }

    msg = in->msg;

    if (msg
        && (((msg->flags & NGX_IOT_BUS_RETAIN) != 0) != packet->retain
            || msg->payload.len != packet->payload.len
            || msg->topic.len != topic->len
            || ngx_memcmp(msg->topic.data, topic->data, topic->len) != 0
            || ngx_memcmp(msg->payload.data, packet->payload.data,
                          msg->payload.len)
               != 0))
    {
        msg = ngx_iot_mqtt_message(s, topic, &packet->payload,
                                   &packet->props);
        if (msg == NULL) {
            return NGX_IOT_MQTT_UNSPECIFIED;
        }

        msg->qos = 2;
        msg->flags |= packet->retain ? NGX_IOT_BUS_RETAIN : 0;

        ngx_iot_bus_drop(ngx_iot_mqtt_in_unhold(in));
        ngx_iot_mqtt_in_hold(in, msg);

        if (in->stored && s->durable) {

            /* PUBREC says that this one is in the table */

            in->state = NGX_IOT_MQTT_IN_PENDING;
            s->npending++;

            if (ngx_iot_mqtt_store_held(s->durable, in->packet_id, msg,
                                        ngx_iot_mqtt_in_held, in)
                != NGX_OK)
            {
                ngx_iot_mqtt_publish_done(in, NGX_IOT_MQTT_UNAVAILABLE);
            }

            return NGX_OK;
        }
    }

    if (ngx_iot_mqtt_ack(s, NGX_IOT_MQTT_PUBREC, in->packet_id, 0) != NGX_OK) {
        return NGX_IOT_MQTT_UNSPECIFIED;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_iot_mqtt_publish_dialect(ngx_iot_mqtt_session_t *s,
    ngx_iot_mqtt_packet_t *packet, ngx_str_t *topic)
{
    ngx_int_t              rc;
    ngx_uint_t             type;
    ngx_iot_mqtt_in_t     *in;
    ngx_iot_mqtt_pub_t     pub;
    ngx_iot_mqtt_topic_t  *t;

    for (t = s->topics->list; t->filter.len; t++) {

        if (t->on_publish == NULL || !ngx_iot_topic_match(&t->filter, topic)) {
            continue;
        }

        in = NULL;

        if (packet->qos) {
            type = (packet->qos == 1) ? NGX_IOT_MQTT_PUBACK
                                      : NGX_IOT_MQTT_PUBREC;

            in = ngx_iot_mqtt_in_create(s, packet->packet_id, type);
            if (in == NULL) {
                return NGX_IOT_MQTT_UNSPECIFIED;
            }
        }

        pub.packet = packet;
        pub.topic = *topic;
        pub.in = in;

        rc = t->on_publish(s, &pub);

        if (rc == NGX_AGAIN) {
            return NGX_OK;
        }

        if (rc == NGX_DECLINED) {
            if (in) {
                ngx_queue_remove(&in->queue);
                s->nreceiving--;
                s->npending--;
                ngx_free(in);
            }

            continue;
        }

        if (in) {
            ngx_iot_mqtt_publish_done(in, rc);
        }

        return NGX_OK;
    }

    return NGX_DECLINED;
}


void
ngx_iot_mqtt_publish_done(ngx_iot_mqtt_in_t *in, ngx_int_t rc)
{
    ngx_iot_mqtt_session_t  *s;

    s = in->session;

    /* 3.1.1 knows no refusal: the client tries again on a new connection */

    if (s && rc == NGX_IOT_MQTT_UNAVAILABLE) {

        if (s->parser.version < NGX_IOT_MQTT_V5) {
            ngx_iot_mqtt_in_ready(in, 0x100);
            return;
        }

        rc = NGX_IOT_MQTT_QUOTA;
    }

    ngx_iot_mqtt_in_ready(in, rc == NGX_OK ? 0 : (ngx_uint_t) rc);
}


void
ngx_iot_mqtt_end_after(ngx_iot_mqtt_session_t *s, ngx_iot_mqtt_in_t *in,
    ngx_uint_t reason)
{
    if (s->state >= NGX_IOT_MQTT_LINGER) {

        if (in) {
            ngx_iot_mqtt_publish_done(in, NGX_IOT_MQTT_QUOTA);
        }

        return;
    }

    if (in == NULL && s->npending) {
        in = ngx_iot_mqtt_in_create(s, 0, NGX_IOT_MQTT_PUBACK);
    }

    if (in) {
        in->state = NGX_IOT_MQTT_IN_LAST;
        in->reason = (uint8_t) reason;
    }

    if (in == NULL || s->npending == 1) {
        ngx_iot_mqtt_end(s, reason);
        return;
    }

    s->ending = 1;
    s->blocked = 1;
}


static ngx_int_t
ngx_iot_mqtt_publish_normal(ngx_iot_mqtt_session_t *s,
    ngx_iot_mqtt_packet_t *packet, ngx_str_t *topic)
{
    ngx_int_t               reason;
    ngx_uint_t              type;
    ngx_iot_mqtt_in_t      *in;
    ngx_iot_bus_message_t  *msg;

    in = NULL;

    if (packet->qos) {
        type = (packet->qos == 1) ? NGX_IOT_MQTT_PUBACK : NGX_IOT_MQTT_PUBREC;

        in = ngx_iot_mqtt_in_create(s, packet->packet_id, type);
        if (in == NULL) {
            return NGX_IOT_MQTT_UNSPECIFIED;
        }
    }

    reason = ngx_iot_mqtt_may(s, NGX_IOT_MQTT_PUB, topic);

    if (reason != NGX_OK) {
        ngx_iot_count(mqtt_publish_refused);

        if (in) {
            /* 3.1.1 acknowledges what it drops */
            ngx_iot_mqtt_in_ready(in, s->parser.version < NGX_IOT_MQTT_V5
                                      ? 0 : (ngx_uint_t) reason);
        }

        return NGX_OK;
    }

    msg = ngx_iot_mqtt_message(s, topic, &packet->payload, &packet->props);

    if (msg == NULL) {
        if (in) {
            ngx_iot_mqtt_publish_done(in, NGX_IOT_MQTT_UNAVAILABLE);
        }

        return NGX_OK;
    }

    msg->qos = packet->qos;

    if (packet->retain) {
        msg->flags |= NGX_IOT_BUS_RETAIN;
    }

    if (packet->qos == 2) {

        if (s->conf->max_queued_bytes
            && s->held_bytes + msg->payload.len > s->conf->max_queued_bytes)
        {
            ngx_iot_bus_drop(msg);
            ngx_iot_mqtt_publish_done(in, NGX_IOT_MQTT_UNAVAILABLE);
            return NGX_OK;
        }

        ngx_iot_mqtt_in_hold(in, msg);

        if (s->durable == 0) {
            ngx_iot_mqtt_in_ready(in, 0);
            return NGX_OK;
        }

        if (ngx_iot_mqtt_store_held(s->durable, in->packet_id, msg,
                                    ngx_iot_mqtt_in_held, in)
            != NGX_OK)
        {
            ngx_iot_mqtt_publish_done(in, NGX_IOT_MQTT_UNAVAILABLE);
        }

        return NGX_OK;
    }

    ngx_iot_mqtt_route(msg, in);

    return NGX_OK;
}


ngx_iot_bus_message_t *
ngx_iot_mqtt_message(ngx_iot_mqtt_session_t *s, ngx_str_t *topic,
    ngx_str_t *payload, ngx_iot_mqtt_props_t *props)
{
    size_t                  len;
    u_char                 *alloc;
    ngx_str_t               block;
    ngx_time_t             *tp;
    ngx_iot_bus_message_t  *msg;

    static u_char  scratch[NGX_IOT_MQTT_SCRATCH];

    ngx_str_null(&block);
    alloc = NULL;

    if (s->parser.version == NGX_IOT_MQTT_V5 && props->raw.len) {

        len = ngx_iot_mqtt_props_forward_size(props);

        if (len == (size_t) NGX_ERROR) {
            return NULL;
        }

        block.data = scratch;
        block.len = len;

        if (len > NGX_IOT_MQTT_SCRATCH) {
            alloc = ngx_alloc(len, s->connection->log);
            if (alloc == NULL) {
                return NULL;
            }

            block.data = alloc;
        }

        (void) ngx_iot_mqtt_props_forward(block.data, props);
    }

    msg = ngx_iot_bus_message(s->tenant, topic, payload, &block,
                              &s->client_id);

    if (alloc) {
        ngx_free(alloc);
    }

    if (msg == NULL) {
        return NULL;
    }

    if (block.len) {
        msg->flags |= NGX_IOT_MQTT_PROPERTIES;
    }

    tp = ngx_timeofday();
    msg->published = (uint64_t) tp->sec * 1000 + tp->msec;

    if (s->parser.version == NGX_IOT_MQTT_V5
        && ngx_iot_mqtt_props_has(props, NGX_IOT_MQTT_PROP_MESSAGE_EXPIRY))
    {
        msg->expires = msg->published + (uint64_t) props->message_expiry * 1000;
    }

    return msg;
}


/* a message of QoS 2 has been written down: it is ours now */

static void
ngx_iot_mqtt_in_held(void *data, ngx_int_t rc, ngx_iot_error_t *err)
{
    ngx_iot_mqtt_in_t  *in = data;

    if (rc == NGX_OK) {
        in->stored = 1;
        ngx_iot_mqtt_in_ready(in, 0);
        return;
    }

    ngx_iot_mqtt_publish_done(in, NGX_IOT_MQTT_UNAVAILABLE);
}


ngx_int_t
ngx_iot_mqtt_in_restore(ngx_iot_mqtt_session_t *s, ngx_uint_t packet_id,
    ngx_iot_bus_message_t *msg)
{
    ngx_iot_mqtt_in_t  *in;

    in = ngx_iot_mqtt_in_create(s, packet_id, NGX_IOT_MQTT_PUBREC);

    if (in == NULL) {
        ngx_iot_bus_drop(msg);
        return NGX_ERROR;
    }

    s->npending--;

    ngx_iot_mqtt_in_hold(in, msg);
    in->stored = 1;
    in->state = NGX_IOT_MQTT_IN_HELD;

    return NGX_OK;
}


/*
 * First the retained message is written, then the rows of stored sessions;
 * when that is committed, the message goes over the bus.
 */

void
ngx_iot_mqtt_route(ngx_iot_bus_message_t *msg, ngx_iot_mqtt_in_t *in)
{
    ngx_int_t              rc;
    ngx_iot_mqtt_retry_t  *retry;

    if (!(msg->flags & NGX_IOT_BUS_RETAIN)) {
        ngx_iot_mqtt_route_on(msg, in);
        return;
    }

    if (msg->qos == 0 || in == NULL) {
        (void) ngx_iot_mqtt_store_retained(msg, NULL, NULL);
        ngx_iot_mqtt_route_on(msg, in);
        return;
    }

    retry = ngx_calloc(sizeof(ngx_iot_mqtt_retry_t), ngx_cycle->log);
    rc = NGX_ERROR;

    if (retry) {
        retry->msg = msg;
        retry->in = in;

        rc = ngx_iot_mqtt_store_retained(msg, ngx_iot_mqtt_route_retained,
                                         retry);
    }

    if (rc != NGX_OK) {
        if (retry) {
            ngx_free(retry);
        }

        ngx_iot_bus_drop(msg);
        ngx_iot_mqtt_publish_done(in, NGX_IOT_MQTT_UNAVAILABLE);
    }
}


static void
ngx_iot_mqtt_route_retained(void *data, ngx_int_t rc, ngx_iot_error_t *err)
{
    ngx_iot_mqtt_retry_t  *retry = data;

    if (rc == NGX_OK) {
        ngx_iot_mqtt_route_on(retry->msg, retry->in);

    } else {
        ngx_iot_bus_drop(retry->msg);
        ngx_iot_mqtt_publish_done(retry->in, NGX_IOT_MQTT_UNAVAILABLE);
    }

    ngx_free(retry);
}


static void
ngx_iot_mqtt_route_on(ngx_iot_bus_message_t *msg, ngx_iot_mqtt_in_t *in)
{
    ngx_int_t  rc;

    rc = NGX_DECLINED;

    if (msg->qos) {
        rc = ngx_iot_mqtt_store_message(msg, in, ngx_iot_mqtt_route_stored);
    }

    switch (rc) {

    case NGX_DECLINED:
        ngx_iot_mqtt_route_bus(msg, in);
        return;

    case NGX_AGAIN:
        ngx_iot_bus_drop(msg);
        return;

    default: /* NGX_ERROR */
        ngx_iot_bus_drop(msg);

        if (in) {
            ngx_iot_mqtt_publish_done(in, NGX_IOT_MQTT_UNAVAILABLE);
        }
    }
}


static void
ngx_iot_mqtt_route_stored(ngx_iot_bus_message_t *msg, ngx_iot_mqtt_in_t *in,
    ngx_int_t rc)
{
    if (rc == NGX_OK) {
        ngx_iot_mqtt_route_bus(msg, in);
        return;
    }

    ngx_iot_bus_drop(msg);

    if (in) {
        ngx_iot_mqtt_publish_done(in, NGX_IOT_MQTT_UNAVAILABLE);
    }
}


static void
ngx_iot_mqtt_route_bus(ngx_iot_bus_message_t *msg, ngx_iot_mqtt_in_t *in)
{
    ngx_int_t   rc;
    ngx_uint_t  matched, wants;

    wants = 0;
    matched = 0;

    if (in && msg->qos) {
        rc = ngx_iot_mqtt_share_check(msg, in->alone);

        if (rc == NGX_AGAIN && (msg->flags & NGX_IOT_MQTT_OWN) == 0) {
            /* the last member of a group has just gone */
            ngx_iot_mqtt_route_on(msg, in);
            return;
        }

        if (rc == NGX_OK) {
            msg->done = ngx_iot_mqtt_route_done;
            msg->done_data = in;
            wants = 1;

        } else if (rc == NGX_AGAIN) {
            ngx_iot_bus_drop(msg);
            ngx_iot_mqtt_publish_done(in, NGX_IOT_MQTT_UNAVAILABLE);
            return;
        }
    }

    rc = ngx_iot_bus_publish(msg, &matched);

    if (rc != NGX_OK) {
        msg->done = NULL;
    }

    if (rc == NGX_BUSY) {
        ngx_iot_mqtt_route_wait(msg, in);
        return;
    }

    if (rc == NGX_OK && (msg->flags & NGX_IOT_BUS_RETAIN)) {
        ngx_iot_mqtt_retain(msg);
    }

    if (msg->flags & NGX_IOT_MQTT_OWN) {
        matched = 1;
    }

    ngx_iot_bus_drop(msg);

    if (in == NULL || (wants && rc == NGX_OK)) {
        return;
    }

    if (rc != NGX_OK) {
        ngx_iot_mqtt_publish_done(in, NGX_IOT_MQTT_UNAVAILABLE);
        return;
    }

    ngx_iot_mqtt_in_ready(in, matched ? 0 : NGX_IOT_MQTT_NO_SUBSCRIBERS);
}


/* members of groups have written down what they have got */

static void
ngx_iot_mqtt_route_done(ngx_iot_bus_message_t *msg)
{
    ngx_iot_mqtt_in_t  *in;

    in = msg->done_data;

    if (msg->rc != NGX_OK) {
        ngx_iot_mqtt_publish_done(in, NGX_IOT_MQTT_UNAVAILABLE);
        return;
    }

    ngx_iot_mqtt_in_ready(in, 0);
}


/* the publisher is not read from until there is room */

static void
ngx_iot_mqtt_route_wait(ngx_iot_bus_message_t *msg, ngx_iot_mqtt_in_t *in)
{
    ngx_iot_mqtt_retry_t  *retry;

    retry = ngx_calloc(sizeof(ngx_iot_mqtt_retry_t), ngx_cycle->log);

    if (retry == NULL) {
        ngx_iot_bus_drop(msg);

        if (in) {
            ngx_iot_mqtt_publish_done(in, NGX_IOT_MQTT_UNAVAILABLE);
        }

        return;
    }

    retry->msg = msg;
    retry->in = in;
    retry->wait.ready = ngx_iot_mqtt_route_ready;
    retry->wait.data = retry;

    if (in && in->session) {
        in->session->blocked = 1;
    }

    ngx_iot_bus_wait(&retry->wait);
}


static void
ngx_iot_mqtt_route_ready(void *data)
{
    ngx_iot_mqtt_retry_t  *retry = data;

    ngx_iot_mqtt_in_t       *in;
    ngx_iot_bus_message_t   *msg;
    ngx_iot_mqtt_session_t  *s;

    in = retry->in;
    msg = retry->msg;
    s = in ? in->session : NULL;

    ngx_free(retry);

    if (s && s->state == NGX_IOT_MQTT_UP) {
        ngx_iot_mqtt_unblock(s);
    }

    ngx_iot_mqtt_route_bus(msg, in);
}


static ngx_iot_mqtt_in_t *
ngx_iot_mqtt_in_create(ngx_iot_mqtt_session_t *s, ngx_uint_t packet_id,
    ngx_uint_t type)
{
    ngx_iot_mqtt_in_t  *in;

    in = ngx_calloc(sizeof(ngx_iot_mqtt_in_t), s->connection->log);
    if (in == NULL) {
        return NULL;
    }

    in->session = s;
    in->packet_id = (uint16_t) packet_id;
    in->type = (uint8_t) type;

    ngx_queue_insert_tail(&s->receiving, &in->queue);
    s->nreceiving++;
    s->npending++;

    return in;
}


static ngx_iot_mqtt_in_t *
ngx_iot_mqtt_in_find(ngx_iot_mqtt_session_t *s, ngx_uint_t packet_id)
{
    ngx_queue_t        *q;
    ngx_iot_mqtt_in_t  *in;

    for (q = ngx_queue_head(&s->receiving);
         q != ngx_queue_sentinel(&s->receiving);
         q = ngx_queue_next(q))
    {
        in = ngx_queue_data(q, ngx_iot_mqtt_in_t, queue);

        if (in->packet_id == packet_id && in->type != NGX_IOT_MQTT_PUBACK) {
            return in;
        }
    }

    return NULL;
}


static void
ngx_iot_mqtt_in_free(ngx_iot_mqtt_in_t *in)
{
    ngx_iot_bus_message_t  *msg;

    msg = ngx_iot_mqtt_in_unhold(in);

    if (msg) {
        ngx_iot_bus_drop(msg);
    }

    if (in->session) {
        ngx_queue_remove(&in->queue);
        in->session->nreceiving--;
    }

    ngx_free(in);
}


static void
ngx_iot_mqtt_in_hold(ngx_iot_mqtt_in_t *in, ngx_iot_bus_message_t *msg)
{
    in->msg = msg;
    in->session->held_bytes += msg->payload.len;
}


static ngx_iot_bus_message_t *
ngx_iot_mqtt_in_unhold(ngx_iot_mqtt_in_t *in)
{
    ngx_iot_bus_message_t  *msg;

    msg = in->msg;
    in->msg = NULL;

    if (msg && in->session) {
        in->session->held_bytes -= msg->payload.len;
    }

    return msg;
}


void
ngx_iot_mqtt_in_ready(ngx_iot_mqtt_in_t *in, ngx_uint_t reason)
{
    ngx_iot_mqtt_session_t  *s;

    s = in->session;

    if (s == NULL) {
        if (in->done) {
            in->done(in->data, reason);
        }

        ngx_iot_mqtt_in_free(in);
        return;
    }

    in->failed = (reason > 0xff);
    in->reason = (uint8_t) reason;

    if (in->state == NGX_IOT_MQTT_IN_ROUTING) {

        if (in->failed) {
            ngx_iot_mqtt_gone(s);
            return;
        }

        if (ngx_iot_mqtt_ack(s, NGX_IOT_MQTT_PUBCOMP, in->packet_id, 0)
            != NGX_OK)
        {
            ngx_iot_mqtt_gone(s);
            return;
        }

        if (in->stored && s->durable) {
            (void) ngx_iot_mqtt_store_held(s->durable, in->packet_id, NULL,
                                           NULL, NULL);
        }

        ngx_iot_mqtt_in_free(in);
        return;
    }

    in->state = NGX_IOT_MQTT_IN_READY;

    ngx_iot_mqtt_in_flush(s);
}


/* in the order of the PUBLISHes (MQTT 5.0, section 4.6) */

static void
ngx_iot_mqtt_in_flush(ngx_iot_mqtt_session_t *s)
{
    ngx_queue_t        *q, *next;
    ngx_iot_mqtt_in_t  *in;

    for (q = ngx_queue_head(&s->receiving);
         q != ngx_queue_sentinel(&s->receiving) && s->npending;
         q = next)
    {
        next = ngx_queue_next(q);
        in = ngx_queue_data(q, ngx_iot_mqtt_in_t, queue);

        if (in->state == NGX_IOT_MQTT_IN_PENDING) {
            break;
        }

        if (in->state == NGX_IOT_MQTT_IN_LAST) {
            ngx_iot_mqtt_end(s, in->reason);
            return;
        }

        if (in->state != NGX_IOT_MQTT_IN_READY) {
            continue;
        }

        if (in->failed
            || ngx_iot_mqtt_ack(s, in->type, in->packet_id, in->reason)
               != NGX_OK)
        {
            ngx_iot_mqtt_gone(s);
            return;
        }

        s->npending--;

        if (in->type == NGX_IOT_MQTT_PUBREC && in->reason < 0x80) {
            in->state = NGX_IOT_MQTT_IN_HELD;
            continue;
        }

        ngx_iot_mqtt_in_free(in);
    }

    if (s->throttled && s->npending <= s->conf->receive_maximum / 2) {
        s->throttled = 0;
        ngx_iot_mqtt_unblock(s);
    }
}


void
ngx_iot_mqtt_in_detach(ngx_iot_mqtt_session_t *s)
{
    ngx_queue_t        *q;
    ngx_iot_mqtt_in_t  *in;

    while (!ngx_queue_empty(&s->receiving)) {
        q = ngx_queue_head(&s->receiving);
        ngx_queue_remove(q);

        in = ngx_queue_data(q, ngx_iot_mqtt_in_t, queue);
        in->session = NULL;

        /* whoever works on it frees it when it is done */

        if (in->state == NGX_IOT_MQTT_IN_READY
            || in->state == NGX_IOT_MQTT_IN_HELD
            || in->state == NGX_IOT_MQTT_IN_LAST)
        {
            ngx_iot_mqtt_in_free(in);
        }
    }

    s->nreceiving = 0;
    s->npending = 0;
}


ngx_int_t
ngx_iot_mqtt_on_pubrel(ngx_iot_mqtt_session_t *s,
    ngx_iot_mqtt_packet_t *packet)
{
    ngx_iot_mqtt_in_t      *in;
    ngx_iot_bus_message_t  *msg;

    in = ngx_iot_mqtt_in_find(s, packet->packet_id);

    if (in == NULL) {
        if (ngx_iot_mqtt_ack(s, NGX_IOT_MQTT_PUBCOMP, packet->packet_id,
                             NGX_IOT_MQTT_ID_NOT_FOUND)
            != NGX_OK)
        {
            return NGX_IOT_MQTT_UNSPECIFIED;
        }

        return NGX_OK;
    }

    if (in->state != NGX_IOT_MQTT_IN_HELD) {
        return NGX_OK;
    }

    in->state = NGX_IOT_MQTT_IN_ROUTING;

    msg = ngx_iot_mqtt_in_unhold(in);

    if (msg == NULL) {
        /* a dialect has dealt with it */
        ngx_iot_mqtt_in_ready(in, 0);
        return NGX_OK;
    }

    ngx_iot_mqtt_route(msg, in);

    return NGX_OK;
}
