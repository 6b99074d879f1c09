
/*
 * Copyright (C) the ngx_iot authors
 */


#include "ngx_iot_mqtt_session.h"


/*
 * Without rules of the tenant: administrators and clients of an anonymous
 * listener have the whole tree, a device what is below its own prefix, and
 * all may read $SYS.  Nobody but the broker publishes to $SYS.
 */

typedef struct {
    ngx_uint_t    roles;
    ngx_uint_t    access;
    ngx_str_t     pattern;
} ngx_iot_mqtt_rule_t;


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
