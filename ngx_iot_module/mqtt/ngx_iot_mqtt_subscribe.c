
/*
 * Copyright (C) the ngx_iot authors
 */


#include "ngx_iot_mqtt_session.h"


static ngx_uint_t ngx_iot_mqtt_subscribe_one(ngx_iot_mqtt_session_t *s,
    ngx_iot_mqtt_subscription_t *subscription, uint32_t id,
    ngx_iot_bus_sub_t **scan);
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
    u_char                       *cursor, *reasons;
    uint32_t                      id;
    ngx_int_t                     rc;
    ngx_uint_t                    i, n;
    ngx_iot_bus_sub_t           **scans;
    ngx_iot_topic_share_t         share;
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

    scans = ngx_calloc(packet->count * (sizeof(ngx_iot_bus_sub_t *) + 1),
                       s->connection->log);
    if (scans == NULL) {
        return NGX_IOT_MQTT_UNSPECIFIED;
    }

    reasons = (u_char *) (scans + packet->count);
    cursor = NULL;
    n = 0;

    while (n < packet->count
           && ngx_iot_mqtt_next_subscription(packet, &cursor, &subscription)
              == NGX_OK)
    {
        reasons[n] = (u_char) ngx_iot_mqtt_subscribe_one(s, &subscription, id,
                                                         &scans[n]);
        n++;
    }

    rc = ngx_iot_mqtt_answer(s, NGX_IOT_MQTT_SUBACK, packet->packet_id,
                             reasons, n);

    if (rc == NGX_OK) {
        for (i = 0; i < n; i++) {
            if (scans[i]) {
                ngx_iot_mqtt_retained_send(s, scans[i]);
            }
        }
    }

    ngx_free(scans);

    return rc;
}


static ngx_uint_t
ngx_iot_mqtt_subscribe_one(ngx_iot_mqtt_session_t *s,
    ngx_iot_mqtt_subscription_t *subscription, uint32_t id,
    ngx_iot_bus_sub_t **scan)
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

    if (share.group.len == 0
        && (handling == 0 || (handling == 1 && fresh)))
    {
        *scan = sub;
    }

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
    u_char                       *cursor, *reasons;
    ngx_int_t                     rc;
    ngx_uint_t                    n;
    ngx_iot_mqtt_subscription_t   subscription;

    reasons = ngx_alloc(packet->count + 1, s->connection->log);
    if (reasons == NULL) {
        return NGX_IOT_MQTT_UNSPECIFIED;
    }

    cursor = NULL;
    n = 0;

    while (n < packet->count
           && ngx_iot_mqtt_next_subscription(packet, &cursor, &subscription)
              == NGX_OK)
    {
        reasons[n++] = (u_char)
                       ngx_iot_mqtt_unsubscribe_one(s, &subscription.filter);
    }

    rc = ngx_iot_mqtt_answer(s, NGX_IOT_MQTT_UNSUBACK, packet->packet_id,
                             reasons, n);

    ngx_free(reasons);

    return rc;
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

            if (rc == NGX_OK) {
                return NGX_IOT_MQTT_SUCCESS;
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
