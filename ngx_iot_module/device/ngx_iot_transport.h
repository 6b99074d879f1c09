
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_IOT_TRANSPORT_H_INCLUDED_
#define _NGX_IOT_TRANSPORT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "../codec/ngx_iot_codec.h"


/* How the devices of a profile speak MQTT, where that is not as usual. */

typedef struct {
    ngx_str_t          telemetry;     /* filters; empty: none of their own */
    ngx_str_t          attributes;
    ngx_str_t          subscribe;     /* a topic */
    unsigned           other:1;       /* they speak another protocol */
    unsigned           proto:1;       /* payloads are Protobuf */
    unsigned           ack_bad:1;     /* bad payloads are acknowledged */
} ngx_iot_transport_t;


/*
 * From the text of iot.device_transport(): flags, and three lines.  To be
 * freed by ngx_free(); NULL: no memory.
 */
ngx_iot_transport_t *ngx_iot_transport_parse(u_char *text, size_t len);


#endif /* _NGX_IOT_TRANSPORT_H_INCLUDED_ */
