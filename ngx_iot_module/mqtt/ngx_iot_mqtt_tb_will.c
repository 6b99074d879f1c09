
/*
 * Copyright (C) the ngx_iot authors
 */


#include "../device/ngx_iot_device_rate.h"
#include "ngx_iot_mqtt_gw.h"


/*
 * The will of a device on a topic whose values are stored: published by a
 * worker that may never have seen the session, so there is one that has ended
 * before it says anything.
 */

typedef struct {
    ngx_iot_device_wait_t    wait;
    ngx_iot_bus_message_t   *msg;
    ngx_iot_mqtt_in_t       *in;
} ngx_iot_mqtt_tb_will_t;


static void ngx_iot_mqtt_tb_will_found(ngx_iot_device_wait_t *wait,
    ngx_int_t rc, ngx_iot_device_t *device, ngx_iot_error_t *err);
static ngx_int_t ngx_iot_mqtt_tb_will_device(ngx_iot_mqtt_tb_will_t *will,
    ngx_iot_device_t *device);
static ngx_int_t ngx_iot_mqtt_tb_will_publish(ngx_iot_mqtt_session_t *s,
    ngx_iot_mqtt_tb_call_t *call);
static ngx_int_t ngx_iot_mqtt_tb_will_props(ngx_iot_bus_message_t *msg,
    ngx_iot_mqtt_packet_t *packet, u_char **alloc);
static void ngx_iot_mqtt_tb_will_end(ngx_iot_mqtt_tb_will_t *will,
    ngx_int_t rc);


ngx_uint_t
ngx_iot_mqtt_tb_is_will(ngx_iot_mqtt_session_t *s, ngx_str_t *topic)
{
    /* the id of the device goes in front of it */

    return topic->len < 65535 - NGX_IOT_UUID_TEXT
           && ngx_iot_mqtt_tb_stored(s->device, topic) != NULL;
}


void
ngx_iot_mqtt_tb_will(ngx_iot_bus_message_t *msg, ngx_iot_mqtt_in_t *in)
{
    ngx_int_t                rc;
    ngx_iot_device_t        *device;
    ngx_iot_mqtt_tb_will_t  *will;

    will = ngx_calloc(sizeof(ngx_iot_mqtt_tb_will_t), ngx_cycle->log);
    if (will == NULL) {
        ngx_iot_bus_drop(msg);
        ngx_iot_mqtt_publish_done(in, NGX_IOT_MQTT_UNAVAILABLE);
        return;
    }

    will->msg = msg;
    will->in = in;
    will->wait.found = ngx_iot_mqtt_tb_will_found;
    will->wait.data = will;

    if (msg->topic.len <= NGX_IOT_UUID_TEXT + 1) {
        ngx_iot_mqtt_tb_will_end(will, NGX_IOT_MQTT_BAD_TOPIC);
        return;
    }

    rc = ngx_iot_device_by_id(msg->topic.data, &device, &will->wait);

    if (rc == NGX_AGAIN) {
        return;
    }

    rc = (rc == NGX_OK) ? ngx_iot_mqtt_tb_will_device(will, device)
                        : NGX_IOT_MQTT_UNAVAILABLE;

    ngx_iot_mqtt_tb_will_end(will, rc);
}


static void
ngx_iot_mqtt_tb_will_found(ngx_iot_device_wait_t *wait, ngx_int_t rc,
    ngx_iot_device_t *device, ngx_iot_error_t *err)
{
    ngx_iot_mqtt_tb_will_t  *will;

    will = wait->data;

    switch (rc) {

    case NGX_OK:
        rc = ngx_iot_mqtt_tb_will_device(will, device);
        break;

    case NGX_DECLINED:
        /* it was deleted, or switched off */
        rc = NGX_IOT_MQTT_NOT_AUTHORIZED;
        break;

    default: /* NGX_ERROR */
        rc = NGX_IOT_MQTT_UNAVAILABLE;
    }

    ngx_iot_mqtt_tb_will_end(will, rc);
}


static void
ngx_iot_mqtt_tb_will_end(ngx_iot_mqtt_tb_will_t *will, ngx_int_t rc)
{
    if (rc != NGX_AGAIN) {

        if (rc != NGX_OK) {
            ngx_log_error(NGX_LOG_INFO, ngx_cycle->log, 0,
                          "will on \"%V\" refused: %V", &will->msg->topic,
                          ngx_iot_mqtt_reason_name(rc));
        }

        ngx_iot_mqtt_publish_done(will->in, rc);
    }

    ngx_iot_bus_drop(will->msg);
    ngx_free(will);
}


/* the device is held, and released here; returns what on_publish() returns */

static ngx_int_t
ngx_iot_mqtt_tb_will_device(ngx_iot_mqtt_tb_will_t *will,
    ngx_iot_device_t *device)
{
    u_char                  *alloc;
    ngx_int_t                rc;
    ngx_iot_mqtt_pub_t       pub;
    ngx_iot_mqtt_packet_t    packet;
    ngx_iot_mqtt_tb_call_t   call;
    ngx_iot_mqtt_session_t   s;

    ngx_memzero(&s, sizeof(ngx_iot_mqtt_session_t));
    ngx_memzero(&packet, sizeof(ngx_iot_mqtt_packet_t));
    ngx_memzero(&call, sizeof(ngx_iot_mqtt_tb_call_t));

    s.state = NGX_IOT_MQTT_CLOSED;
    s.device = device;

    packet.payload = will->msg->payload;

    pub.packet = &packet;
    pub.in = will->in;
    pub.topic.data = will->msg->topic.data + NGX_IOT_UUID_TEXT + 1;
    pub.topic.len = will->msg->topic.len - NGX_IOT_UUID_TEXT - 1;

    call.session = &s;
    call.pub = &pub;
    call.topic = ngx_iot_mqtt_tb_stored(device, &pub.topic);

    if (ngx_memcmp(device->tenant, will->msg->tenant, NGX_IOT_UUID_TEXT) != 0)
    {
        ngx_iot_device_release(device);
        return NGX_IOT_MQTT_NOT_AUTHORIZED;
    }

    alloc = NULL;
    rc = ngx_iot_mqtt_tb_will_props(will->msg, &packet, &alloc);
    s.parser.version = packet.version;

    if (rc == NGX_OK) {
        rc = ngx_iot_mqtt_tb_will_publish(&s, &call);
    }

    if (alloc) {
        ngx_free(alloc);
    }

    ngx_iot_device_release(device);

    return rc;
}


static ngx_int_t
ngx_iot_mqtt_tb_will_publish(ngx_iot_mqtt_session_t *s,
    ngx_iot_mqtt_tb_call_t *call)
{
    ngx_int_t          rc;
    ngx_iot_mqtt_tb_t  tb;

    if (call->topic == NULL) {
        /* its profile has other topics by now */
        return NGX_IOT_MQTT_BAD_TOPIC;
    }

    if (call->pub->packet->payload.len > NGX_IOT_MQTT_TB_PAYLOAD) {
        return NGX_IOT_MQTT_TOO_LARGE;
    }

    if (ngx_iot_device_rate(s->device, 1, 1, 0) != NGX_OK) {
        return NGX_IOT_MQTT_QUOTA;
    }

    ngx_memzero(&tb, sizeof(ngx_iot_mqtt_tb_t));
    ngx_queue_init(&tb.ops);

    tb.session = s;
    call->tb = &tb;
    s->topics_data = &tb;

    if (s->device->gateway) {
        tb.gw = ngx_iot_mqtt_gw_create(&tb);

        if (tb.gw == NULL) {
            return NGX_IOT_MQTT_UNAVAILABLE;
        }
    }

    rc = call->topic->handler(call);

    s->topics_data = NULL;
    ngx_iot_mqtt_tb_leave(&tb);

    return rc;
}


/* as a PUBLISH has them, from what would have been forwarded */

static ngx_int_t
ngx_iot_mqtt_tb_will_props(ngx_iot_bus_message_t *msg,
    ngx_iot_mqtt_packet_t *packet, u_char **alloc)
{
    u_char      *p, *end;
    size_t       size;
    const char  *detail;

    ngx_iot_mqtt_props_init(&packet->props);

    if (!(msg->flags & NGX_IOT_MQTT_PROPERTIES)) {
        packet->version = NGX_IOT_MQTT_V311;
        return NGX_OK;
    }

    packet->version = NGX_IOT_MQTT_V5;

    size = ngx_iot_mqtt_varint_size(msg->properties.len);

    p = ngx_alloc(size + msg->properties.len, ngx_cycle->log);
    if (p == NULL) {
        return NGX_IOT_MQTT_UNAVAILABLE;
    }

    *alloc = p;

    end = ngx_iot_mqtt_varint_write(p, msg->properties.len);
    end = ngx_cpymem(end, msg->properties.data, msg->properties.len);

    if (ngx_iot_mqtt_props_parse(&packet->props, NGX_IOT_MQTT_PUBLISH, 0, &p,
                                 end, &detail)
        != NGX_OK)
    {
        return NGX_IOT_MQTT_MALFORMED;
    }

    return NGX_OK;
}
