
/*
 * Copyright (C) the ngx_iot authors
 */


#include "ngx_iot_codec.h"
#include "ngx_iot_mqtt_packet.h"
#include "ngx_iot_mqtt_parse.h"


#define NGX_IOT_MQTT_FLAG_RESERVED     0x01
#define NGX_IOT_MQTT_FLAG_CLEAN        0x02
#define NGX_IOT_MQTT_FLAG_WILL         0x04
#define NGX_IOT_MQTT_FLAG_WILL_QOS     0x18
#define NGX_IOT_MQTT_FLAG_WILL_RETAIN  0x20
#define NGX_IOT_MQTT_FLAG_PASSWORD     0x40
#define NGX_IOT_MQTT_FLAG_USER         0x80

#define NGX_IOT_MQTT_BRIDGE            0x80


static ngx_int_t ngx_iot_mqtt_connect_version(ngx_iot_mqtt_reader_t *rd,
    ngx_iot_mqtt_connect_t *connect);
static ngx_int_t ngx_iot_mqtt_connect_flags(ngx_iot_mqtt_reader_t *rd,
    ngx_iot_mqtt_connect_t *connect);
static ngx_int_t ngx_iot_mqtt_connect_client_id(ngx_iot_mqtt_reader_t *rd,
    ngx_iot_mqtt_connect_t *connect);
static ngx_int_t ngx_iot_mqtt_connect_will(ngx_iot_mqtt_reader_t *rd,
    ngx_iot_mqtt_connect_t *connect);
static ngx_int_t ngx_iot_mqtt_connect_credentials(ngx_iot_mqtt_reader_t *rd,
    ngx_iot_mqtt_connect_t *connect);


ngx_int_t
ngx_iot_mqtt_parse_connect(ngx_iot_mqtt_reader_t *rd,
    ngx_iot_mqtt_packet_t *packet)
{
    ngx_int_t                rc;
    ngx_iot_mqtt_connect_t  *connect;

    connect = &packet->connect;

    ngx_memzero(connect, sizeof(ngx_iot_mqtt_connect_t));
    ngx_iot_mqtt_props_init(&connect->will_props);

    rc = ngx_iot_mqtt_connect_version(rd, connect);
    if (rc != NGX_OK) {
        return rc;
    }

    packet->version = rd->mp->version;

    rc = ngx_iot_mqtt_connect_flags(rd, connect);
    if (rc != NGX_OK) {
        return rc;
    }

    rc = ngx_iot_mqtt_get_u16(rd, &connect->keep_alive);
    if (rc != NGX_OK) {
        return rc;
    }

    if (packet->version == NGX_IOT_MQTT_V5) {
        rc = ngx_iot_mqtt_get_props(rd, NGX_IOT_MQTT_CONNECT,
                                    &packet->props);
        if (rc != NGX_OK) {
            return rc;
        }
    }

    rc = ngx_iot_mqtt_connect_client_id(rd, connect);
    if (rc != NGX_OK) {
        return rc;
    }

    if (connect->will) {
        rc = ngx_iot_mqtt_connect_will(rd, connect);
        if (rc != NGX_OK) {
            return rc;
        }
    }

    return ngx_iot_mqtt_connect_credentials(rd, connect);
}


static ngx_int_t
ngx_iot_mqtt_connect_version(ngx_iot_mqtt_reader_t *rd,
    ngx_iot_mqtt_connect_t *connect)
{
    ngx_int_t               rc;
    ngx_str_t               name;
    ngx_uint_t              level, old, known;
    ngx_iot_mqtt_parser_t  *mp;

    mp = rd->mp;

    /* who does not speak MQTT at all is not answered */

    mp->silent = 1;

    rc = ngx_iot_mqtt_get_binary(rd, &name);
    if (rc != NGX_OK) {
        return rc;
    }

    if (name.len == 4 && ngx_memcmp(name.data, "MQTT", 4) == 0) {
        old = 0;

    } else if (name.len == 6 && ngx_memcmp(name.data, "MQIsdp", 6) == 0) {
        old = 1;

    } else {
        return ngx_iot_mqtt_protocol_error(mp, "unknown protocol name");
    }

    rc = ngx_iot_mqtt_get_byte(rd, &level);
    if (rc != NGX_OK) {
        return rc;
    }

    mp->silent = 0;

    if ((level & ~NGX_IOT_MQTT_BRIDGE) == NGX_IOT_MQTT_V31
        || (level & ~NGX_IOT_MQTT_BRIDGE) == NGX_IOT_MQTT_V311)
    {
        connect->bridge = (level & NGX_IOT_MQTT_BRIDGE) ? 1 : 0;
        level &= ~NGX_IOT_MQTT_BRIDGE;
    }

    mp->level = level;

    known = old ? level == NGX_IOT_MQTT_V31
                : level == NGX_IOT_MQTT_V311 || level == NGX_IOT_MQTT_V5;

    if (!known || (mp->limits->versions & (1 << level)) == 0) {
        return ngx_iot_mqtt_fail(mp, NGX_IOT_MQTT_BAD_VERSION,
                                 "unsupported protocol version");
    }

    mp->version = level;

    return NGX_OK;
}


static ngx_int_t
ngx_iot_mqtt_connect_flags(ngx_iot_mqtt_reader_t *rd,
    ngx_iot_mqtt_connect_t *connect)
{
    ngx_int_t               rc;
    ngx_uint_t              flags;
    ngx_iot_mqtt_parser_t  *mp;

    mp = rd->mp;

    rc = ngx_iot_mqtt_get_byte(rd, &flags);
    if (rc != NGX_OK) {
        return rc;
    }

    connect->clean = (flags & NGX_IOT_MQTT_FLAG_CLEAN) ? 1 : 0;
    connect->will = (flags & NGX_IOT_MQTT_FLAG_WILL) ? 1 : 0;
    connect->has_user = (flags & NGX_IOT_MQTT_FLAG_USER) ? 1 : 0;
    connect->has_password = (flags & NGX_IOT_MQTT_FLAG_PASSWORD) ? 1 : 0;

    if (connect->will) {
        connect->will_qos = (flags & NGX_IOT_MQTT_FLAG_WILL_QOS) >> 3;
        connect->will_retain = (flags & NGX_IOT_MQTT_FLAG_WILL_RETAIN) ? 1 : 0;
    }

    if (connect->will_qos == 3) {
        return ngx_iot_mqtt_malformed(mp, "will with QoS 3");
    }

    if (connect->has_password && !connect->has_user
        && mp->version < NGX_IOT_MQTT_V5)
    {
        return ngx_iot_mqtt_malformed(mp, "password without a user name");
    }

    /* 3.1 calls these bits unused rather than reserved */

    if (mp->version == NGX_IOT_MQTT_V31) {
        return NGX_OK;
    }

    if (flags & NGX_IOT_MQTT_FLAG_RESERVED) {
        return ngx_iot_mqtt_malformed(mp, "reserved connect flag");
    }

    if (!connect->will
        && (flags & (NGX_IOT_MQTT_FLAG_WILL_QOS
                     |NGX_IOT_MQTT_FLAG_WILL_RETAIN)))
    {
        return ngx_iot_mqtt_malformed(mp, "will flags without a will");
    }

    return NGX_OK;
}


static ngx_int_t
ngx_iot_mqtt_connect_client_id(ngx_iot_mqtt_reader_t *rd,
    ngx_iot_mqtt_connect_t *connect)
{
    ngx_int_t               rc;
    ngx_iot_mqtt_parser_t  *mp;

    mp = rd->mp;

    rc = ngx_iot_mqtt_get_string(rd, &connect->client_id);
    if (rc != NGX_OK) {
        return rc;
    }

    if (connect->client_id.len > mp->limits->max_client_id) {
        return ngx_iot_mqtt_fail(mp, NGX_IOT_MQTT_BAD_CLIENT_ID,
                                 "client identifier too long");
    }

    if (connect->client_id.len == 0
        && (mp->version == NGX_IOT_MQTT_V31
            || (mp->version == NGX_IOT_MQTT_V311 && !connect->clean)))
    {
        return ngx_iot_mqtt_fail(mp, NGX_IOT_MQTT_BAD_CLIENT_ID,
                                 "empty client identifier");
    }

    return NGX_OK;
}


static ngx_int_t
ngx_iot_mqtt_connect_will(ngx_iot_mqtt_reader_t *rd,
    ngx_iot_mqtt_connect_t *connect)
{
    ngx_int_t               rc;
    ngx_iot_mqtt_parser_t  *mp;

    mp = rd->mp;

    if (mp->version == NGX_IOT_MQTT_V5) {
        rc = ngx_iot_mqtt_get_props(rd, NGX_IOT_MQTT_WILL,
                                    &connect->will_props);
        if (rc != NGX_OK) {
            return rc;
        }
    }

    rc = ngx_iot_mqtt_get_topic(rd, &connect->will_topic);
    if (rc != NGX_OK) {
        return rc;
    }

    rc = ngx_iot_mqtt_get_binary(rd, &connect->will_payload);
    if (rc != NGX_OK) {
        return rc;
    }

    if (connect->will_qos > mp->limits->max_qos) {
        return ngx_iot_mqtt_fail(mp, NGX_IOT_MQTT_NO_QOS,
                                 "will over the maximum QoS");
    }

    if (connect->will_retain && !mp->limits->retain) {
        return ngx_iot_mqtt_fail(mp, NGX_IOT_MQTT_NO_RETAIN,
                                 "will with RETAIN");
    }

    return NGX_OK;
}


/*
 * 3.1 gives the remaining length precedence over the flags of user name and
 * password, for the sake of clients older than these two.
 */

static ngx_int_t
ngx_iot_mqtt_connect_credentials(ngx_iot_mqtt_reader_t *rd,
    ngx_iot_mqtt_connect_t *connect)
{
    ngx_int_t  rc;

    if (rd->mp->version == NGX_IOT_MQTT_V31 && rd->pos == rd->end) {
        connect->has_user = 0;
        connect->has_password = 0;
    }

    if (connect->has_user) {
        rc = ngx_iot_mqtt_get_string(rd, &connect->user);
        if (rc != NGX_OK) {
            return rc;
        }
    }

    if (rd->mp->version == NGX_IOT_MQTT_V31 && rd->pos == rd->end) {
        connect->has_password = 0;
    }

    if (connect->has_password) {
        return ngx_iot_mqtt_get_binary(rd, &connect->password);
    }

    return NGX_OK;
}
