
/*
 * Copyright (C) the ngx_iot authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "../codec/ngx_iot_id.h"
#include "ngx_iot_mqtt_conf.h"


ngx_conf_num_bounds_t  ngx_iot_mqtt_qos_bounds = {
    ngx_conf_check_num_bounds, 0, 2
};

ngx_conf_num_bounds_t  ngx_iot_mqtt_levels_bounds = {
    ngx_conf_check_num_bounds, 1, 1000
};

ngx_conf_num_bounds_t  ngx_iot_mqtt_string_bounds = {
    ngx_conf_check_num_bounds, 1, 65535
};

ngx_conf_num_bounds_t  ngx_iot_mqtt_number_bounds = {
    ngx_conf_check_num_bounds, 0, 65535
};

ngx_conf_num_bounds_t  ngx_iot_mqtt_positive_bounds = {
    ngx_conf_check_num_bounds, 1, 65535
};

/* what is in flight is searched one by one */

ngx_conf_num_bounds_t  ngx_iot_mqtt_inflight_bounds = {
    ngx_conf_check_num_bounds, 1, 4096
};

ngx_conf_num_bounds_t  ngx_iot_mqtt_stored_bounds = {
    ngx_conf_check_num_bounds, 0, 2147483647
};

/* each is looked at when the next one comes */

ngx_conf_num_bounds_t  ngx_iot_mqtt_sessions_bounds = {
    ngx_conf_check_num_bounds, 0, 100
};


void *
ngx_iot_mqtt_conf_create(ngx_conf_t *cf)
{
    ngx_iot_mqtt_conf_t  *conf;

    conf = ngx_pcalloc(cf->pool, sizeof(ngx_iot_mqtt_conf_t));
    if (conf == NULL) {
        return NULL;
    }

    /*
     * set by ngx_pcalloc():
     *
     *     conf->limits = { 0 };
     *     conf->anonymous = { 0, NULL };
     *     conf->enabled = 0;
     */

    conf->max_packet = NGX_CONF_UNSET_SIZE;
    conf->max_client_id = NGX_CONF_UNSET_SIZE;
    conf->max_topic = NGX_CONF_UNSET_SIZE;
    conf->max_levels = NGX_CONF_UNSET_UINT;
    conf->max_qos = NGX_CONF_UNSET_UINT;
    conf->max_alias = NGX_CONF_UNSET_UINT;
    conf->max_alias_broker = NGX_CONF_UNSET_UINT;
    conf->receive_maximum = NGX_CONF_UNSET_UINT;
    conf->max_inflight = NGX_CONF_UNSET_UINT;
    conf->max_queued = NGX_CONF_UNSET_UINT;
    conf->max_queued_bytes = NGX_CONF_UNSET_SIZE;
    conf->max_device_sessions = NGX_CONF_UNSET_UINT;
    conf->max_stored = NGX_CONF_UNSET_UINT;
    conf->max_stored_bytes = NGX_CONF_UNSET;
    conf->max_subscriptions = NGX_CONF_UNSET_UINT;
    conf->write_buffer = NGX_CONF_UNSET_SIZE;
    conf->max_keepalive = NGX_CONF_UNSET_UINT;
    conf->max_session_expiry = NGX_CONF_UNSET;
    conf->connect_timeout = NGX_CONF_UNSET_MSEC;
    conf->retain = NGX_CONF_UNSET;
    conf->wildcards = NGX_CONF_UNSET;
    conf->shared = NGX_CONF_UNSET;
    conf->subscription_ids = NGX_CONF_UNSET;

    return conf;
}


char *
ngx_iot_mqtt_conf_merge(ngx_conf_t *cf, ngx_iot_mqtt_conf_t *prev,
    ngx_iot_mqtt_conf_t *conf)
{
    ngx_conf_merge_size_value(conf->max_packet, prev->max_packet,
                              1024 * 1024);
    ngx_conf_merge_size_value(conf->max_client_id, prev->max_client_id,
                              65535);
    ngx_conf_merge_size_value(conf->max_topic, prev->max_topic, 65535);
    ngx_conf_merge_uint_value(conf->max_levels, prev->max_levels, 200);
    ngx_conf_merge_uint_value(conf->max_qos, prev->max_qos, 2);
    ngx_conf_merge_uint_value(conf->max_alias, prev->max_alias, 10);
    ngx_conf_merge_uint_value(conf->max_alias_broker, prev->max_alias_broker,
                              10);
    ngx_conf_merge_uint_value(conf->receive_maximum, prev->receive_maximum,
                              1000);
    ngx_conf_merge_uint_value(conf->max_inflight, prev->max_inflight, 100);
    ngx_conf_merge_uint_value(conf->max_queued, prev->max_queued, 1000);
    ngx_conf_merge_size_value(conf->max_queued_bytes, prev->max_queued_bytes,
                              16 * 1024 * 1024);
    ngx_conf_merge_uint_value(conf->max_device_sessions,
                              prev->max_device_sessions, 1);
    ngx_conf_merge_uint_value(conf->max_stored, prev->max_stored, 10000);
    ngx_conf_merge_off_value(conf->max_stored_bytes, prev->max_stored_bytes,
                             64 * 1024 * 1024);
    ngx_conf_merge_uint_value(conf->max_subscriptions,
                              prev->max_subscriptions, 10000);
    ngx_conf_merge_size_value(conf->write_buffer, prev->write_buffer,
                              1024 * 1024);
    ngx_conf_merge_uint_value(conf->max_keepalive, prev->max_keepalive, 0);
    ngx_conf_merge_sec_value(conf->max_session_expiry,
                             prev->max_session_expiry, 30 * 24 * 3600);
    ngx_conf_merge_msec_value(conf->connect_timeout, prev->connect_timeout,
                              10000);
    ngx_conf_merge_value(conf->retain, prev->retain, 1);
    ngx_conf_merge_value(conf->wildcards, prev->wildcards, 1);
    ngx_conf_merge_value(conf->shared, prev->shared, 1);
    ngx_conf_merge_value(conf->subscription_ids, prev->subscription_ids, 1);
    ngx_conf_merge_str_value(conf->anonymous, prev->anonymous, "");

    if (conf->max_packet < 128) {
        return "\"iot_mqtt_max_packet_size\" must be at least 128";
    }

    ngx_iot_mqtt_limits(&conf->limits);

    conf->limits.max_packet = conf->max_packet;
    conf->limits.max_connect = conf->max_packet;
    conf->limits.max_client_id = ngx_min(conf->max_client_id, 65535);
    conf->limits.max_topic = ngx_min(conf->max_topic, 65535);
    conf->limits.depth = conf->max_levels;
    conf->limits.max_qos = conf->max_qos;
    conf->limits.topic_alias_maximum = conf->max_alias;
    conf->limits.retain = conf->retain;

    return NGX_CONF_OK;
}


char *
ngx_iot_mqtt_conf_anonymous(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_iot_mqtt_conf_t *mcf = conf;

    u_char      uuid[NGX_IOT_UUID_SIZE];
    ngx_str_t  *value;

    if (mcf->anonymous.data) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_iot_uuid_parse(uuid, value[1].data, value[1].len) != NGX_OK
        || value[1].len != 36) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" in \"iot_mqtt_anonymous\" is not the "
                           "UUID of a tenant", &value[1]);
        return NGX_CONF_ERROR;
    }

    ngx_strlow(value[1].data, value[1].data, value[1].len);
    mcf->anonymous = value[1];

    return NGX_CONF_OK;
}


ngx_uint_t
ngx_iot_mqtt_conf_local(struct sockaddr *sockaddr)
{
    struct sockaddr_in   *sin;
#if (NGX_HAVE_INET6)
    struct sockaddr_in6  *sin6;
#endif

    switch (sockaddr->sa_family) {

#if (NGX_HAVE_INET6)
    case AF_INET6:
        sin6 = (struct sockaddr_in6 *) sockaddr;
        return IN6_IS_ADDR_LOOPBACK(&sin6->sin6_addr);
#endif

    case AF_INET:
        sin = (struct sockaddr_in *) sockaddr;
        return (ntohl(sin->sin_addr.s_addr) >> 24) == 127;

    default: /* AF_UNIX */
        return 1;
    }
}
