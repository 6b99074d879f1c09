
/*
 * Copyright (C) the ngx_iot authors
 */


#include "ngx_iot_mqtt_session.h"
#include "ngx_iot_mqtt_store.h"


/* one filter of a SUBSCRIBE or UNSUBSCRIBE */

typedef struct {
    ngx_iot_mqtt_change_t   *change;
    ngx_iot_bus_sub_t       *sub;
    ngx_uint_t               reason;
    ngx_uint_t               scan;      /* retained messages follow */
} ngx_iot_mqtt_item_t;

struct ngx_iot_mqtt_change_s {
    ngx_iot_mqtt_session_t  *session;
    ngx_iot_mqtt_item_t     *items;
    u_char                  *reasons;
    ngx_uint_t               n;
    ngx_uint_t               pending;
    ngx_uint_t               type;
    ngx_uint_t               packet_id;
};


static ngx_iot_mqtt_change_t *ngx_iot_mqtt_change_create(
    ngx_iot_mqtt_session_t *s, ngx_uint_t type,
    ngx_iot_mqtt_packet_t *packet);
static void ngx_iot_mqtt_change_write(ngx_iot_mqtt_change_t *change,
    ngx_iot_mqtt_item_t *item, ngx_str_t *filter);
static void ngx_iot_mqtt_change_done(void *data, ngx_int_t rc);
static ngx_int_t ngx_iot_mqtt_change_end(ngx_iot_mqtt_change_t *change);
static ngx_int_t ngx_iot_mqtt_change_answer(ngx_iot_mqtt_change_t *change);
static void ngx_iot_mqtt_subscribe_one(ngx_iot_mqtt_session_t *s,
    ngx_iot_mqtt_subscription_t *subscription, uint32_t id,
    ngx_iot_mqtt_item_t *item);
static ngx_uint_t ngx_iot_mqtt_subscribe_try(ngx_iot_mqtt_session_t *s,
    ngx_iot_mqtt_subscription_t *subscription, uint32_t id,
    ngx_iot_mqtt_item_t *item);
static ngx_uint_t ngx_iot_mqtt_subscribe_dialect(ngx_iot_mqtt_session_t *s,
    ngx_str_t *filter, ngx_uint_t qos);
static ngx_uint_t ngx_iot_mqtt_unsubscribe_one(ngx_iot_mqtt_session_t *s,
    ngx_str_t *filter);
static ngx_int_t ngx_iot_mqtt_answer(ngx_iot_mqtt_session_t *s,
    ngx_uint_t type, ngx_uint_t packet_id, u_char *reasons, ngx_uint_t n);


ngx_int_t
ngx_iot_mqtt_on_subscribe(ngx_iot_mqtt_session_t *s,
    ngx_iot_mqtt_packet_t *packet)
{
    u_char                       *cursor;
    uint32_t                      id;
    ngx_iot_topic_share_t         share;
    ngx_iot_mqtt_change_t        *change;
    ngx_iot_mqtt_subscription_t   subscription;

    id = 0;

    if (packet->version == NGX_IOT_MQTT_V5) {
        id = packet->props.subscription_id;

        if (id && !s->conf->subscription_ids) {
            return NGX_IOT_MQTT_NO_SUBSCRIPTION_IDS;
        }
    }

    /* what is wrong with one is wrong with the packet */

    cursor = NULL;

    while (ngx_iot_mqtt_next_subscription(packet, &cursor, &subscription)
           == NGX_OK)
    {
        if ((subscription.options & NGX_IOT_MQTT_OPT_NO_LOCAL)
            && ngx_iot_topic_share(&subscription.filter, &share) == NGX_OK)
        {
            s->parser.detail = "no local in a shared subscription";
            return NGX_IOT_MQTT_PROTOCOL_ERROR;
        }
    }

    change = ngx_iot_mqtt_change_create(s, NGX_IOT_MQTT_SUBACK, packet);
    if (change == NULL) {
        return NGX_IOT_MQTT_UNSPECIFIED;
    }

    cursor = NULL;

    while (change->n < packet->count
           && ngx_iot_mqtt_next_subscription(packet, &cursor, &subscription)
              == NGX_OK)
    {
        ngx_iot_mqtt_subscribe_one(s, &subscription, id,
                                   &change->items[change->n]);

        ngx_iot_mqtt_change_write(change, &change->items[change->n],
                                  &subscription.filter);
        change->n++;
    }

    return ngx_iot_mqtt_change_end(change);
}


/* SUBACK and UNSUBACK of a stored session wait until its rows are written */

static ngx_iot_mqtt_change_t *
ngx_iot_mqtt_change_create(ngx_iot_mqtt_session_t *s, ngx_uint_t type,
    ngx_iot_mqtt_packet_t *packet)
{
    ngx_iot_mqtt_change_t  *change;

    change = ngx_calloc(sizeof(ngx_iot_mqtt_change_t)
                        + packet->count * (sizeof(ngx_iot_mqtt_item_t) + 1),
                        s->connection->log);
    if (change == NULL) {
        return NULL;
    }

    change->session = s;
    change->type = type;
    change->packet_id = packet->packet_id;
    change->pending = 1;
    change->items = (ngx_iot_mqtt_item_t *) (change + 1);
    change->reasons = (u_char *) (change->items + packet->count);

    return change;
}


static void
ngx_iot_mqtt_change_write(ngx_iot_mqtt_change_t *change,
    ngx_iot_mqtt_item_t *item, ngx_str_t *filter)
{
    ngx_int_t                rc;
    ngx_iot_mqtt_session_t  *s;

    s = change->session;
    item->change = change;

    if (s->durable == 0 || item->reason >= 0x80) {
        return;
    }

    if (change->type == NGX_IOT_MQTT_UNSUBACK) {
        rc = ngx_iot_mqtt_durable_unsubscribe(s, filter,
                                              ngx_iot_mqtt_change_done, item);

    } else {
        if (item->sub == NULL) {
            return;
        }

        s->grouped |= (item->sub->group.len != 0);

        rc = ngx_iot_mqtt_durable_subscribe(s, filter, item->sub,
                                            ngx_iot_mqtt_change_done, item);
    }

    if (rc == NGX_OK) {
        change->pending++;

    } else {
        item->reason = NGX_IOT_MQTT_IMPLEMENTATION;
    }
}


static void
ngx_iot_mqtt_change_done(void *data, ngx_int_t rc)
{
    ngx_iot_mqtt_item_t  *item = data;

    ngx_int_t                reason;
    ngx_iot_mqtt_change_t   *change;
    ngx_iot_mqtt_session_t  *s;

    change = item->change;

    if (rc != NGX_OK) {
        item->reason = NGX_IOT_MQTT_IMPLEMENTATION;
    }

    if (--change->pending) {
        return;
    }

    s = change->session;

    if (s == NULL) {
        ngx_free(change);
        return;
    }

    s->change = NULL;
    reason = ngx_iot_mqtt_change_answer(change);

    if (reason != NGX_OK) {
        ngx_iot_mqtt_end(s, reason);
        return;
    }

    ngx_iot_mqtt_unblock(s);
}


static ngx_int_t
ngx_iot_mqtt_change_end(ngx_iot_mqtt_change_t *change)
{
    if (--change->pending) {
        change->session->change = change;
        change->session->blocked = 1;
        return NGX_OK;
    }

    return ngx_iot_mqtt_change_answer(change);
}


static ngx_int_t
ngx_iot_mqtt_change_answer(ngx_iot_mqtt_change_t *change)
{
    ngx_int_t                rc;
    ngx_uint_t               i;
    ngx_iot_mqtt_session_t  *s;

    s = change->session;

    for (i = 0; i < change->n; i++) {
        change->reasons[i] = change->items[i].reason;
    }

    rc = ngx_iot_mqtt_answer(s, change->type, change->packet_id,
                             change->reasons, change->n);

    for (i = 0; rc == NGX_OK && i < change->n; i++) {
        if (change->items[i].scan && change->items[i].reason < 0x80) {
            ngx_iot_mqtt_retained_send(s, change->items[i].sub);
            ngx_iot_mqtt_sys_retained(s, change->items[i].sub);
        }
    }

    ngx_free(change);

    return rc;
}


/* the session goes, the rows are written all the same */

void
ngx_iot_mqtt_change_detach(ngx_iot_mqtt_session_t *s)
{
    ngx_iot_mqtt_change_t  *change;

    change = s->change;

    if (change) {
        change->session = NULL;
        s->change = NULL;
    }
}


static void
ngx_iot_mqtt_subscribe_one(ngx_iot_mqtt_session_t *s,
    ngx_iot_mqtt_subscription_t *subscription, uint32_t id,
    ngx_iot_mqtt_item_t *item)
{
    item->reason = ngx_iot_mqtt_subscribe_try(s, subscription, id, item);
}


static ngx_uint_t
ngx_iot_mqtt_subscribe_try(ngx_iot_mqtt_session_t *s,
    ngx_iot_mqtt_subscription_t *subscription, uint32_t id,
    ngx_iot_mqtt_item_t *item)
{
    ngx_int_t               rc;
    ngx_uint_t              qos, options, handling, fresh;
    ngx_iot_bus_sub_t      *sub;
    ngx_iot_mqtt_conf_t    *conf;
    ngx_iot_topic_share_t   share;

    conf = s->conf;

    options = subscription->options;
    handling = ngx_iot_mqtt_opt_retain_handling(options);
    qos = options & NGX_IOT_MQTT_OPT_QOS;
    qos = ngx_min(qos, conf->max_qos);

    rc = ngx_iot_topic_share(&subscription->filter, &share);

    if (rc == NGX_ERROR) {
        return NGX_IOT_MQTT_BAD_FILTER;
    }

    if (rc == NGX_OK && !conf->shared) {
        return NGX_IOT_MQTT_NO_SHARED;
    }

    if (!conf->wildcards
        && (ngx_strlchr(share.filter.data,
                        share.filter.data + share.filter.len, '+')
            || ngx_strlchr(share.filter.data,
                           share.filter.data + share.filter.len, '#')))
    {
        return NGX_IOT_MQTT_NO_WILDCARDS;
    }

    if (s->topics && share.group.len == 0) {
        rc = ngx_iot_mqtt_subscribe_dialect(s, &share.filter, qos);
        if (rc != NGX_DECLINED) {
            return (rc == NGX_OK) ? qos : (ngx_uint_t) rc;
        }
    }

    rc = ngx_iot_mqtt_may(s, NGX_IOT_MQTT_SUB, &share.filter);
    if (rc != NGX_OK) {
        return rc;
    }

    sub = ngx_iot_bus_find(&s->bus, &share.filter, &share.group);
    fresh = (sub == NULL);

    if (fresh) {
        if (s->nsubs >= conf->max_subscriptions) {
            return NGX_IOT_MQTT_QUOTA;
        }

        sub = ngx_iot_bus_subscribe(&s->bus, &share.filter, &share.group);
        if (sub == NULL) {
            return NGX_IOT_MQTT_UNSPECIFIED;
        }

        s->nsubs++;
        ngx_iot_gauge(mqtt_subscriptions,
                      ngx_iot_metrics->mqtt_subscriptions + 1);
    }

    sub->id = id;
    sub->options = (uint32_t) qos;

    if (options & NGX_IOT_MQTT_OPT_NO_LOCAL || s->bridge) {
        sub->options |= NGX_IOT_MQTT_SUB_NO_LOCAL;
    }

    if (options & NGX_IOT_MQTT_OPT_RETAIN_AS_PUBLISHED || s->bridge) {
        sub->options |= NGX_IOT_MQTT_SUB_AS_PUBLISHED;
    }

    item->sub = sub;
    item->scan = share.group.len == 0
                 && (handling == 0 || (handling == 1 && fresh));

    return qos;
}


static ngx_uint_t
ngx_iot_mqtt_subscribe_dialect(ngx_iot_mqtt_session_t *s, ngx_str_t *filter,
    ngx_uint_t qos)
{
    ngx_int_t              rc;
    ngx_iot_mqtt_topic_t  *t;

    for (t = s->topics->list; t->filter.len; t++) {

        if (t->on_subscribe == NULL
            || !ngx_iot_topic_covers(&t->filter, filter))
        {
            continue;
        }

        rc = t->on_subscribe(s, filter, qos);

        if (rc != NGX_DECLINED) {
            return rc;
        }
    }

    return NGX_DECLINED;
}


ngx_int_t
ngx_iot_mqtt_on_unsubscribe(ngx_iot_mqtt_session_t *s,
    ngx_iot_mqtt_packet_t *packet)
{
    u_char                       *cursor;
    ngx_str_t                    *filter;
    ngx_iot_mqtt_item_t          *item;
    ngx_iot_mqtt_change_t        *change;
    ngx_iot_mqtt_subscription_t   subscription;

    change = ngx_iot_mqtt_change_create(s, NGX_IOT_MQTT_UNSUBACK, packet);
    if (change == NULL) {
        return NGX_IOT_MQTT_UNSPECIFIED;
    }

    cursor = NULL;
    filter = &subscription.filter;

    while (change->n < packet->count
           && ngx_iot_mqtt_next_subscription(packet, &cursor, &subscription)
              == NGX_OK)
    {
        item = &change->items[change->n++];
        item->reason = ngx_iot_mqtt_unsubscribe_one(s, filter);

        if (item->reason == NGX_IOT_MQTT_SUCCESS) {
            ngx_iot_mqtt_change_write(change, item, filter);
        }
    }

    return ngx_iot_mqtt_change_end(change);
}


static ngx_uint_t
ngx_iot_mqtt_unsubscribe_one(ngx_iot_mqtt_session_t *s, ngx_str_t *filter)
{
    ngx_int_t               rc;
    ngx_iot_bus_sub_t      *sub;
    ngx_iot_mqtt_topic_t   *t;
    ngx_iot_topic_share_t   share;

    if (ngx_iot_topic_share(filter, &share) == NGX_ERROR) {
        return NGX_IOT_MQTT_BAD_FILTER;
    }

    if (s->topics && share.group.len == 0) {
        for (t = s->topics->list; t->filter.len; t++) {

            if (t->on_unsubscribe == NULL
                || !ngx_iot_topic_covers(&t->filter, filter))
            {
                continue;
            }

            rc = t->on_unsubscribe(s, filter);

            if (rc != NGX_DECLINED) {
                return (rc == NGX_OK) ? NGX_IOT_MQTT_SUCCESS
                                      : (ngx_uint_t) rc;
            }
        }
    }

    sub = ngx_iot_bus_find(&s->bus, &share.filter, &share.group);

    if (sub == NULL) {
        return NGX_IOT_MQTT_NO_SUBSCRIPTION;
    }

    ngx_iot_mqtt_scan_stop(s, sub);
    ngx_iot_bus_unsubscribe(sub);

    s->nsubs--;
    ngx_iot_gauge(mqtt_subscriptions, ngx_iot_metrics->mqtt_subscriptions - 1);

    return NGX_IOT_MQTT_SUCCESS;
}


static ngx_int_t
ngx_iot_mqtt_answer(ngx_iot_mqtt_session_t *s, ngx_uint_t type,
    ngx_uint_t packet_id, u_char *reasons, ngx_uint_t n)
{
    ngx_iot_mqtt_packet_t  packet;

    ngx_memzero(&packet, sizeof(ngx_iot_mqtt_packet_t));
    ngx_iot_mqtt_props_init(&packet.props);

    packet.type = type;
    packet.packet_id = packet_id;
    packet.payload.data = reasons;
    packet.payload.len = n;
    packet.count = n;

    if (ngx_iot_mqtt_packet(s, &packet) != NGX_OK) {
        return NGX_IOT_MQTT_TOO_LARGE;
    }

    return NGX_OK;
}
