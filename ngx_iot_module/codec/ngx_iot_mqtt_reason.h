
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_IOT_MQTT_REASON_H_INCLUDED_
#define _NGX_IOT_MQTT_REASON_H_INCLUDED_


#include "ngx_iot_codec.h"


/* MQTT 5.0, section 2.4 */

#define NGX_IOT_MQTT_SUCCESS                 0x00
#define NGX_IOT_MQTT_GRANTED_QOS1            0x01
#define NGX_IOT_MQTT_GRANTED_QOS2            0x02
#define NGX_IOT_MQTT_DISCONNECT_WITH_WILL    0x04
#define NGX_IOT_MQTT_NO_SUBSCRIBERS          0x10
#define NGX_IOT_MQTT_NO_SUBSCRIPTION         0x11
#define NGX_IOT_MQTT_CONTINUE_AUTH           0x18
#define NGX_IOT_MQTT_REAUTHENTICATE          0x19
#define NGX_IOT_MQTT_UNSPECIFIED             0x80
#define NGX_IOT_MQTT_MALFORMED               0x81
#define NGX_IOT_MQTT_PROTOCOL_ERROR          0x82
#define NGX_IOT_MQTT_IMPLEMENTATION          0x83
#define NGX_IOT_MQTT_BAD_VERSION             0x84
#define NGX_IOT_MQTT_BAD_CLIENT_ID           0x85
#define NGX_IOT_MQTT_BAD_PASSWORD            0x86
#define NGX_IOT_MQTT_NOT_AUTHORIZED          0x87
#define NGX_IOT_MQTT_UNAVAILABLE             0x88
#define NGX_IOT_MQTT_BUSY                    0x89
#define NGX_IOT_MQTT_BANNED                  0x8a
#define NGX_IOT_MQTT_SHUTTING_DOWN           0x8b
#define NGX_IOT_MQTT_BAD_AUTH_METHOD         0x8c
#define NGX_IOT_MQTT_KEEP_ALIVE_TIMEOUT      0x8d
#define NGX_IOT_MQTT_TAKEN_OVER              0x8e
#define NGX_IOT_MQTT_BAD_FILTER              0x8f
#define NGX_IOT_MQTT_BAD_TOPIC               0x90
#define NGX_IOT_MQTT_ID_IN_USE               0x91
#define NGX_IOT_MQTT_ID_NOT_FOUND            0x92
#define NGX_IOT_MQTT_RECEIVE_MAXIMUM         0x93
#define NGX_IOT_MQTT_BAD_ALIAS               0x94
#define NGX_IOT_MQTT_TOO_LARGE               0x95
#define NGX_IOT_MQTT_RATE_TOO_HIGH           0x96
#define NGX_IOT_MQTT_QUOTA                   0x97
#define NGX_IOT_MQTT_ADMINISTRATIVE          0x98
#define NGX_IOT_MQTT_BAD_PAYLOAD             0x99
#define NGX_IOT_MQTT_NO_RETAIN               0x9a
#define NGX_IOT_MQTT_NO_QOS                  0x9b
#define NGX_IOT_MQTT_USE_ANOTHER             0x9c
#define NGX_IOT_MQTT_MOVED                   0x9d
#define NGX_IOT_MQTT_NO_SHARED               0x9e
#define NGX_IOT_MQTT_CONNECTION_RATE         0x9f
#define NGX_IOT_MQTT_CONNECT_TIME            0xa0
#define NGX_IOT_MQTT_NO_SUBSCRIPTION_IDS     0xa1
#define NGX_IOT_MQTT_NO_WILDCARDS            0xa2


/*
 * A lower case name for logs and statistics; "unknown" for what is not
 * assigned.  0x00 is "success", whatever the packet.
 */

ngx_str_t *ngx_iot_mqtt_reason_name(ngx_uint_t reason);

/* 1 if that side may send the reason in a packet of this type, else 0 */

ngx_uint_t ngx_iot_mqtt_reason_allowed(ngx_uint_t reason, ngx_uint_t type,
    ngx_uint_t from_server);

/*
 * CONNACK of 3.1 and 3.1.1: the return code 0..5 for a reason, or
 * NGX_DECLINED if there is none and the connection is closed without one;
 * and the reason for a return code, or NGX_ERROR if it is over 5.
 */

ngx_int_t ngx_iot_mqtt_reason_to_return_code(ngx_uint_t reason);
ngx_int_t ngx_iot_mqtt_reason_from_return_code(ngx_uint_t code);

/*
 * The byte of SUBACK in that version: 3.1.1 knows 0, 1, 2 and 0x80, 3.1 has
 * no failure and says QoS 0.
 */

u_char ngx_iot_mqtt_reason_to_suback(ngx_uint_t reason, ngx_uint_t version);


#endif /* _NGX_IOT_MQTT_REASON_H_INCLUDED_ */
