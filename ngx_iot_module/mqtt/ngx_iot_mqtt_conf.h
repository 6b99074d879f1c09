
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_IOT_MQTT_CONF_H_INCLUDED_
#define _NGX_IOT_MQTT_CONF_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "../codec/ngx_iot_mqtt_packet.h"


/*
 * What a listener allows.  One structure for all fronts: "iot_mqtt" in a
 * server of stream { } and in a location of http { } have the same directives.
 */

typedef struct {
    ngx_iot_mqtt_limits_t    limits;

    size_t                   max_packet;
    size_t                   max_client_id;
    size_t                   max_topic;
    ngx_uint_t               max_levels;
    ngx_uint_t               max_qos;
    ngx_uint_t               max_alias;            /* that clients may set */
    ngx_uint_t               max_alias_broker;     /* that we set */
    ngx_uint_t               receive_maximum;      /* ours */
    ngx_uint_t               max_inflight;         /* to a client */
    ngx_uint_t               max_queued;           /* messages waiting */
    size_t                   max_queued_bytes;
    ngx_uint_t               max_device_sessions;  /* 0: any number */
    ngx_uint_t               max_stored;           /* in the database */
    off_t                    max_stored_bytes;
    ngx_uint_t               max_subscriptions;    /* of a session */
    size_t                   write_buffer;         /* above: drop QoS 0 */
    ngx_uint_t               max_keepalive;        /* seconds, 0: any */
    time_t                   max_session_expiry;   /* seconds */
    ngx_msec_t               connect_timeout;

    ngx_flag_t               retain;
    ngx_flag_t               wildcards;
    ngx_flag_t               shared;
    ngx_flag_t               subscription_ids;

    ngx_str_t                anonymous;            /* a tenant */
    ngx_flag_t               enabled;
} ngx_iot_mqtt_conf_t;


#define NGX_IOT_MQTT_COMMANDS(where, offset)                                  \
                                                                              \
    { ngx_string("iot_mqtt_anonymous"),                                       \
      (where)|NGX_CONF_TAKE1,                                                 \
      ngx_iot_mqtt_conf_anonymous,                                            \
      offset,                                                                 \
      0,                                                                      \
      NULL },                                                                 \
                                                                              \
    { ngx_string("iot_mqtt_max_packet_size"),                                 \
      (where)|NGX_CONF_TAKE1,                                                 \
      ngx_conf_set_size_slot,                                                 \
      offset,                                                                 \
      offsetof(ngx_iot_mqtt_conf_t, max_packet),                              \
      NULL },                                                                 \
                                                                              \
    { ngx_string("iot_mqtt_max_client_id_size"),                              \
      (where)|NGX_CONF_TAKE1,                                                 \
      ngx_conf_set_size_slot,                                                 \
      offset,                                                                 \
      offsetof(ngx_iot_mqtt_conf_t, max_client_id),                           \
      &ngx_iot_mqtt_string_bounds },                                          \
                                                                              \
    { ngx_string("iot_mqtt_max_topic_size"),                                  \
      (where)|NGX_CONF_TAKE1,                                                 \
      ngx_conf_set_size_slot,                                                 \
      offset,                                                                 \
      offsetof(ngx_iot_mqtt_conf_t, max_topic),                               \
      NULL },                                                                 \
                                                                              \
    { ngx_string("iot_mqtt_max_topic_levels"),                                \
      (where)|NGX_CONF_TAKE1,                                                 \
      ngx_conf_set_num_slot,                                                  \
      offset,                                                                 \
      offsetof(ngx_iot_mqtt_conf_t, max_levels),                              \
      &ngx_iot_mqtt_levels_bounds },                                          \
                                                                              \
    { ngx_string("iot_mqtt_max_qos"),                                         \
      (where)|NGX_CONF_TAKE1,                                                 \
      ngx_conf_set_num_slot,                                                  \
      offset,                                                                 \
      offsetof(ngx_iot_mqtt_conf_t, max_qos),                                 \
      &ngx_iot_mqtt_qos_bounds },                                             \
                                                                              \
    { ngx_string("iot_mqtt_max_topic_alias"),                                 \
      (where)|NGX_CONF_TAKE1,                                                 \
      ngx_conf_set_num_slot,                                                  \
      offset,                                                                 \
      offsetof(ngx_iot_mqtt_conf_t, max_alias),                               \
      &ngx_iot_mqtt_number_bounds },                                          \
                                                                              \
    { ngx_string("iot_mqtt_max_topic_alias_broker"),                          \
      (where)|NGX_CONF_TAKE1,                                                 \
      ngx_conf_set_num_slot,                                                  \
      offset,                                                                 \
      offsetof(ngx_iot_mqtt_conf_t, max_alias_broker),                        \
      &ngx_iot_mqtt_number_bounds },                                          \
                                                                              \
    { ngx_string("iot_mqtt_receive_maximum"),                                 \
      (where)|NGX_CONF_TAKE1,                                                 \
      ngx_conf_set_num_slot,                                                  \
      offset,                                                                 \
      offsetof(ngx_iot_mqtt_conf_t, receive_maximum),                         \
      &ngx_iot_mqtt_positive_bounds },                                        \
                                                                              \
    { ngx_string("iot_mqtt_max_inflight_messages"),                           \
      (where)|NGX_CONF_TAKE1,                                                 \
      ngx_conf_set_num_slot,                                                  \
      offset,                                                                 \
      offsetof(ngx_iot_mqtt_conf_t, max_inflight),                            \
      &ngx_iot_mqtt_inflight_bounds },                                        \
                                                                              \
    { ngx_string("iot_mqtt_max_queued_messages"),                             \
      (where)|NGX_CONF_TAKE1,                                                 \
      ngx_conf_set_num_slot,                                                  \
      offset,                                                                 \
      offsetof(ngx_iot_mqtt_conf_t, max_queued),                              \
      NULL },                                                                 \
                                                                              \
    { ngx_string("iot_mqtt_max_queued_bytes"),                                \
      (where)|NGX_CONF_TAKE1,                                                 \
      ngx_conf_set_size_slot,                                                 \
      offset,                                                                 \
      offsetof(ngx_iot_mqtt_conf_t, max_queued_bytes),                        \
      NULL },                                                                 \
                                                                              \
    { ngx_string("iot_mqtt_max_device_sessions"),                             \
      (where)|NGX_CONF_TAKE1,                                                 \
      ngx_conf_set_num_slot,                                                  \
      offset,                                                                 \
      offsetof(ngx_iot_mqtt_conf_t, max_device_sessions),                     \
      &ngx_iot_mqtt_sessions_bounds },                                        \
                                                                              \
    { ngx_string("iot_mqtt_max_stored_messages"),                             \
      (where)|NGX_CONF_TAKE1,                                                 \
      ngx_conf_set_num_slot,                                                  \
      offset,                                                                 \
      offsetof(ngx_iot_mqtt_conf_t, max_stored),                              \
      &ngx_iot_mqtt_stored_bounds },                                          \
                                                                              \
    { ngx_string("iot_mqtt_max_stored_bytes"),                                \
      (where)|NGX_CONF_TAKE1,                                                 \
      ngx_conf_set_off_slot,                                                  \
      offset,                                                                 \
      offsetof(ngx_iot_mqtt_conf_t, max_stored_bytes),                        \
      NULL },                                                                 \
                                                                              \
    { ngx_string("iot_mqtt_max_subscriptions"),                               \
      (where)|NGX_CONF_TAKE1,                                                 \
      ngx_conf_set_num_slot,                                                  \
      offset,                                                                 \
      offsetof(ngx_iot_mqtt_conf_t, max_subscriptions),                       \
      NULL },                                                                 \
                                                                              \
    { ngx_string("iot_mqtt_write_buffer"),                                    \
      (where)|NGX_CONF_TAKE1,                                                 \
      ngx_conf_set_size_slot,                                                 \
      offset,                                                                 \
      offsetof(ngx_iot_mqtt_conf_t, write_buffer),                            \
      NULL },                                                                 \
                                                                              \
    { ngx_string("iot_mqtt_max_keepalive"),                                   \
      (where)|NGX_CONF_TAKE1,                                                 \
      ngx_conf_set_num_slot,                                                  \
      offset,                                                                 \
      offsetof(ngx_iot_mqtt_conf_t, max_keepalive),                           \
      &ngx_iot_mqtt_number_bounds },                                          \
                                                                              \
    { ngx_string("iot_mqtt_persistent_client_expiration"),                    \
      (where)|NGX_CONF_TAKE1,                                                 \
      ngx_conf_set_sec_slot,                                                  \
      offset,                                                                 \
      offsetof(ngx_iot_mqtt_conf_t, max_session_expiry),                      \
      NULL },                                                                 \
                                                                              \
    { ngx_string("iot_mqtt_connect_timeout"),                                 \
      (where)|NGX_CONF_TAKE1,                                                 \
      ngx_conf_set_msec_slot,                                                 \
      offset,                                                                 \
      offsetof(ngx_iot_mqtt_conf_t, connect_timeout),                         \
      NULL },                                                                 \
                                                                              \
    { ngx_string("iot_mqtt_retain_available"),                                \
      (where)|NGX_CONF_FLAG,                                                  \
      ngx_conf_set_flag_slot,                                                 \
      offset,                                                                 \
      offsetof(ngx_iot_mqtt_conf_t, retain),                                  \
      NULL },                                                                 \
                                                                              \
    { ngx_string("iot_mqtt_wildcard_available"),                              \
      (where)|NGX_CONF_FLAG,                                                  \
      ngx_conf_set_flag_slot,                                                 \
      offset,                                                                 \
      offsetof(ngx_iot_mqtt_conf_t, wildcards),                               \
      NULL },                                                                 \
                                                                              \
    { ngx_string("iot_mqtt_shared_available"),                                \
      (where)|NGX_CONF_FLAG,                                                  \
      ngx_conf_set_flag_slot,                                                 \
      offset,                                                                 \
      offsetof(ngx_iot_mqtt_conf_t, shared),                                  \
      NULL },                                                                 \
                                                                              \
    { ngx_string("iot_mqtt_subscription_id_available"),                       \
      (where)|NGX_CONF_FLAG,                                                  \
      ngx_conf_set_flag_slot,                                                 \
      offset,                                                                 \
      offsetof(ngx_iot_mqtt_conf_t, subscription_ids),                        \
      NULL }


extern ngx_conf_num_bounds_t  ngx_iot_mqtt_qos_bounds;
extern ngx_conf_num_bounds_t  ngx_iot_mqtt_levels_bounds;
extern ngx_conf_num_bounds_t  ngx_iot_mqtt_string_bounds;
extern ngx_conf_num_bounds_t  ngx_iot_mqtt_number_bounds;
extern ngx_conf_num_bounds_t  ngx_iot_mqtt_positive_bounds;
extern ngx_conf_num_bounds_t  ngx_iot_mqtt_inflight_bounds;
extern ngx_conf_num_bounds_t  ngx_iot_mqtt_stored_bounds;
extern ngx_conf_num_bounds_t  ngx_iot_mqtt_sessions_bounds;


/* Everything unset; for create_srv_conf() and create_loc_conf(). */
void *ngx_iot_mqtt_conf_create(ngx_conf_t *cf);

/* Inherits what is unset, then works out the limits of the codec. */
char *ngx_iot_mqtt_conf_merge(ngx_conf_t *cf, ngx_iot_mqtt_conf_t *prev,
    ngx_iot_mqtt_conf_t *conf);

/* The directive: a tenant by its UUID. */
char *ngx_iot_mqtt_conf_anonymous(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* 1 for loopback addresses and Unix sockets. */
ngx_uint_t ngx_iot_mqtt_conf_local(struct sockaddr *sockaddr);


#endif /* _NGX_IOT_MQTT_CONF_H_INCLUDED_ */
