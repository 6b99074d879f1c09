
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_IOT_MQTT_PROPERTY_SPEC_H_INCLUDED_
#define _NGX_IOT_MQTT_PROPERTY_SPEC_H_INCLUDED_


#include "ngx_iot_codec.h"
#include "ngx_iot_mqtt_property.h"


/* private to the files that read and write properties */

#define NGX_IOT_MQTT_PROP_LAST  NGX_IOT_MQTT_PROP_SHARED_AVAILABLE


typedef enum {
    NGX_IOT_MQTT_PROP_NONE = 0,
    NGX_IOT_MQTT_PROP_BYTE,
    NGX_IOT_MQTT_PROP_U16,
    NGX_IOT_MQTT_PROP_U32,
    NGX_IOT_MQTT_PROP_VARINT,
    NGX_IOT_MQTT_PROP_STRING,
    NGX_IOT_MQTT_PROP_BINARY,
    NGX_IOT_MQTT_PROP_PAIR
} ngx_iot_mqtt_prop_type_e;


typedef struct {
    ngx_iot_mqtt_prop_type_e   type;
    uint16_t                   client;      /* packets of a client, bits */
    uint16_t                   server;
    uint32_t                   min;
    uint32_t                   max;
    size_t                     offset;
} ngx_iot_mqtt_prop_spec_t;


/* indexed by the identifier, up to NGX_IOT_MQTT_PROP_LAST */

extern const ngx_iot_mqtt_prop_spec_t  ngx_iot_mqtt_prop_specs[];

/* the end of the property at p, NULL if it does not end before "end" */

u_char *ngx_iot_mqtt_prop_end(u_char *p, u_char *end);

/* the next property of this kind in the raw block, which *cursor then ends */

u_char *ngx_iot_mqtt_prop_next(const ngx_iot_mqtt_props_t *props,
    u_char **cursor, ngx_uint_t id);


#endif /* _NGX_IOT_MQTT_PROPERTY_SPEC_H_INCLUDED_ */
