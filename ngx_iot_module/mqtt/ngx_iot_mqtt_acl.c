
/*
 * Copyright (C) the ngx_iot authors
 */


#include "../codec/ngx_iot_topic_rule.h"
#include "ngx_iot_mqtt_session.h"


/*
 * What the tenant's own rules leave open: administrators and clients of an
 * anonymous listener have the whole tree, a device what is below its own
 * prefix, and all may read $SYS.  Nobody but the broker publishes to $SYS.
 */

typedef struct {
    ngx_uint_t    roles;
    ngx_uint_t    access;
    ngx_str_t     pattern;
} ngx_iot_mqtt_rule_t;


static ngx_int_t ngx_iot_mqtt_own_rules(ngx_iot_mqtt_session_t *s,
    ngx_uint_t access, ngx_str_t *topic);
static ngx_int_t ngx_iot_mqtt_rule(ngx_iot_mqtt_session_t *s,
    ngx_iot_mqtt_rule_t *rule, ngx_str_t *topic);


static ngx_iot_mqtt_rule_t  ngx_iot_mqtt_rules[] = {

    { NGX_IOT_TENANT, NGX_IOT_MQTT_PUB|NGX_IOT_MQTT_SUB,
      ngx_string("#") },

    { NGX_IOT_TENANT, NGX_IOT_MQTT_PUB|NGX_IOT_MQTT_SUB,
      ngx_string("$") },

    { NGX_IOT_DEVICE, NGX_IOT_MQTT_PUB|NGX_IOT_MQTT_SUB,
      ngx_string("devices/%u/#") },

    { NGX_IOT_DEVICE|NGX_IOT_CUSTOMER|NGX_IOT_TENANT, NGX_IOT_MQTT_SUB,
      ngx_string("$SYS/#") },

    { 0, 0, ngx_null_string }
};


ngx_int_t
ngx_iot_mqtt_may(ngx_iot_mqtt_session_t *s, ngx_uint_t access,
    ngx_str_t *topic)
{
    ngx_iot_mqtt_rule_t  *rule;

    if (access == NGX_IOT_MQTT_PUB
        && topic->len >= 4
        && topic->data[0] == '$'
        && ngx_memcmp(topic->data, "$SYS", 4) == 0
        && (topic->len == 4 || topic->data[4] == '/'))
    {
        return NGX_IOT_MQTT_NOT_AUTHORIZED;
    }

    switch (ngx_iot_mqtt_own_rules(s, access, topic)) {

    case NGX_OK:
        return NGX_OK;

    case NGX_ABORT:
        return NGX_IOT_MQTT_NOT_AUTHORIZED;
    }

    for (rule = ngx_iot_mqtt_rules; rule->roles; rule++) {

        if ((rule->roles & s->role)
            && (rule->access & access)
            && ngx_iot_mqtt_rule(s, rule, topic))
        {
            return NGX_OK;
        }
    }

    return NGX_IOT_MQTT_NOT_AUTHORIZED;
}


ngx_uint_t
ngx_iot_mqtt_denied(ngx_iot_mqtt_session_t *s, ngx_uint_t access,
    ngx_str_t *topic)
{
    return ngx_iot_mqtt_own_rules(s, access, topic) == NGX_ABORT;
}


ngx_uint_t
ngx_iot_mqtt_may_get(ngx_iot_mqtt_session_t *s, ngx_str_t *topic)
{
    if (s->rates == NULL) {
        return 1;
    }

    ngx_iot_rates_refresh(s->rates);

    return s->rates->nrules == 0
           || ngx_iot_mqtt_may(s, NGX_IOT_MQTT_SUB, topic) == NGX_OK;
}


/* as ngx_iot_topic_rules_ask() */

static ngx_int_t
ngx_iot_mqtt_own_rules(ngx_iot_mqtt_session_t *s, ngx_uint_t access,
    ngx_str_t *topic)
{
    ngx_uint_t              who;
    ngx_iot_topic_places_t  places;

    if (s->rates == NULL) {
        return NGX_DECLINED;
    }

    ngx_iot_rates_refresh(s->rates);

    if (s->rates->nrules == 0) {
        return NGX_DECLINED;
    }

    switch (s->role) {

    case NGX_IOT_DEVICE:
        who = NGX_IOT_TOPIC_DEVICE;
        break;

    case NGX_IOT_CUSTOMER:
        who = NGX_IOT_TOPIC_CUSTOMER;
        break;

    default:
        who = NGX_IOT_TOPIC_TENANT;
    }

    places.user = s->user;
    places.client_id = s->client_id;

    return ngx_iot_topic_rules_ask(s->rates->rules, s->rates->nrules, who,
                                   (access == NGX_IOT_MQTT_PUB)
                                   ? NGX_IOT_TOPIC_PUBLISH
                                   : NGX_IOT_TOPIC_SUBSCRIBE,
                                   &places, topic);
}


static ngx_int_t
ngx_iot_mqtt_rule(ngx_iot_mqtt_session_t *s, ngx_iot_mqtt_rule_t *rule,
    ngx_str_t *topic)
{
    u_char                  buf[256];
    ngx_str_t               filter;
    ngx_iot_topic_places_t  places;

    filter = rule->pattern;

    if (filter.len == 1) {
        /* "#" is everything but "$...", "$" the rest */
        return (topic->data[0] == '$') == (filter.data[0] == '$');
    }

    if (ngx_strlchr(filter.data, filter.data + filter.len, '%')) {

        places.user = s->user;
        places.client_id = s->client_id;

        filter.data = NULL;

        if (ngx_iot_topic_expand(&rule->pattern, &places, &filter) != NGX_OK
            || filter.len > sizeof(buf))
        {
            return 0;
        }

        filter.data = buf;

        if (ngx_iot_topic_expand(&rule->pattern, &places, &filter)
            != NGX_OK)
        {
            return 0;
        }
    }

    return ngx_iot_topic_covers(&filter, topic);
}
