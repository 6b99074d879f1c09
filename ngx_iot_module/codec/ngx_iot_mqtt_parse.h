
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_IOT_MQTT_PARSE_H_INCLUDED_
#define _NGX_IOT_MQTT_PARSE_H_INCLUDED_


#include "ngx_iot_codec.h"
#include "ngx_iot_mqtt_packet.h"


/* private to the files that parse MQTT; the cursor never passes "end" */

typedef struct {
    ngx_iot_mqtt_parser_t  *mp;
    u_char                 *pos;
    u_char                 *end;
} ngx_iot_mqtt_reader_t;


#define ngx_iot_mqtt_malformed(mp, detail)                                    \
    ngx_iot_mqtt_fail(mp, NGX_IOT_MQTT_MALFORMED, detail)

#define ngx_iot_mqtt_protocol_error(mp, detail)                               \
    ngx_iot_mqtt_fail(mp, NGX_IOT_MQTT_PROTOCOL_ERROR, detail)


/* remembers the error and returns the reason */

static ngx_inline ngx_int_t
ngx_iot_mqtt_fail(ngx_iot_mqtt_parser_t *mp, ngx_uint_t reason,
    const char *detail)
{
    mp->reason = reason;
    mp->detail = detail;

    return (ngx_int_t) reason;
}


ngx_int_t ngx_iot_mqtt_get_byte(ngx_iot_mqtt_reader_t *rd, ngx_uint_t *value);
ngx_int_t ngx_iot_mqtt_get_u16(ngx_iot_mqtt_reader_t *rd, ngx_uint_t *value);
ngx_int_t ngx_iot_mqtt_get_binary(ngx_iot_mqtt_reader_t *rd, ngx_str_t *s);
ngx_int_t ngx_iot_mqtt_get_string(ngx_iot_mqtt_reader_t *rd, ngx_str_t *s);
ngx_int_t ngx_iot_mqtt_get_topic(ngx_iot_mqtt_reader_t *rd, ngx_str_t *s);
ngx_int_t ngx_iot_mqtt_get_props(ngx_iot_mqtt_reader_t *rd, ngx_uint_t type,
    ngx_iot_mqtt_props_t *props);

ngx_int_t ngx_iot_mqtt_parse_connect(ngx_iot_mqtt_reader_t *rd,
    ngx_iot_mqtt_packet_t *packet);


#endif /* _NGX_IOT_MQTT_PARSE_H_INCLUDED_ */
