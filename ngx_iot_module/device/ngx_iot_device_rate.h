
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_IOT_DEVICE_RATE_H_INCLUDED_
#define _NGX_IOT_DEVICE_RATE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_iot_device.h"


/* seconds that a device is told to wait, however long its windows are */
#define NGX_IOT_DEVICE_RETRY_AFTER  1


/*
 * May the device send that much?  Its own rates (those of a gateway, if it is
 * one) and those of its tenant count, for all workers of the node together.
 *
 *   messages   each request or publish is one
 *   telemetry  of them, those that bring telemetry or attributes
 *   points     the values they bring
 *
 * NGX_OK, or NGX_BUSY with nothing counted.  What is not known before a
 * message was parsed is asked for afterwards, by a second call.
 */
ngx_int_t ngx_iot_device_rate(ngx_iot_device_t *device, ngx_uint_t messages,
    ngx_uint_t telemetry, ngx_uint_t points);

/*
 * The same for a device behind a gateway, by the rate that such devices have;
 * the gateway and the tenant have paid for the whole message already.
 */
ngx_int_t ngx_iot_device_rate_behind(ngx_iot_device_t *device,
    ngx_uint_t messages, ngx_uint_t telemetry, ngx_uint_t points);


#endif /* _NGX_IOT_DEVICE_RATE_H_INCLUDED_ */
