
/*
 * Copyright (C) the ngx_iot authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "../core/ngx_iot_metrics.h"
#include "../core/ngx_iot_usage.h"
#include "ngx_iot_device_rate.h"


static ngx_int_t ngx_iot_device_rate_take(ngx_iot_device_t *device,
    ngx_uint_t owner, ngx_uint_t *n);
static void ngx_iot_device_rate_give(ngx_iot_device_t *device,
    ngx_uint_t owner, ngx_uint_t *n, ngx_uint_t kinds);
static void ngx_iot_device_rate_key(ngx_iot_device_t *device,
    ngx_uint_t owner, ngx_str_t *key);


/* the names of the buckets */

static char  *ngx_iot_device_rates[NGX_IOT_RATES_OWNERS]
                                  [NGX_IOT_RATES_KINDS] =
{
    { "tenant messages", "tenant telemetry", "tenant points" },
    { "device messages", "device telemetry", "device points" },
    { "gateway messages", "gateway telemetry", "gateway points" },
    { "behind messages", "behind telemetry", "behind points" }
};


ngx_int_t
ngx_iot_device_rate(ngx_iot_device_t *device, ngx_uint_t messages,
    ngx_uint_t telemetry, ngx_uint_t points)
{
    ngx_uint_t  owner, n[NGX_IOT_RATES_KINDS];

    /* a session may have held its device since before the last change */

    ngx_iot_rates_refresh(device->rates);

    if (device->rates->disabled) {
        ngx_log_error(NGX_LOG_INFO, ngx_cycle->log, 0,
                      "tenant %*s has used up its messages of the month",
                      (size_t) NGX_IOT_UUID_TEXT, device->tenant);
        return NGX_BUSY;
    }

    if (!device->rates->limited) {
        ngx_iot_usage_count(device->rates, messages, points);
        return NGX_OK;
    }

    n[NGX_IOT_RATES_MESSAGES] = messages;
    n[NGX_IOT_RATES_TELEMETRY] = telemetry;
    n[NGX_IOT_RATES_POINTS] = points;

    owner = device->gateway ? NGX_IOT_RATES_GATEWAY : NGX_IOT_RATES_DEVICE;

    /* what a device may not send does not cost its tenant anything */

    if (ngx_iot_device_rate_take(device, owner, n) != NGX_OK) {
        return NGX_BUSY;
    }

    if (ngx_iot_device_rate_take(device, NGX_IOT_RATES_TENANT, n) != NGX_OK) {
        ngx_iot_device_rate_give(device, owner, n, NGX_IOT_RATES_KINDS);
        return NGX_BUSY;
    }

    ngx_iot_usage_count(device->rates, messages, points);

    return NGX_OK;
}


ngx_int_t
ngx_iot_device_rate_behind(ngx_iot_device_t *device, ngx_uint_t messages,
    ngx_uint_t telemetry, ngx_uint_t points)
{
    ngx_uint_t  n[NGX_IOT_RATES_KINDS];

    if (!device->rates->limited) {
        return NGX_OK;
    }

    n[NGX_IOT_RATES_MESSAGES] = messages;
    n[NGX_IOT_RATES_TELEMETRY] = telemetry;
    n[NGX_IOT_RATES_POINTS] = points;

    return ngx_iot_device_rate_take(device, NGX_IOT_RATES_BEHIND, n);
}


static ngx_int_t
ngx_iot_device_rate_take(ngx_iot_device_t *device, ngx_uint_t owner,
    ngx_uint_t *n)
{
    ngx_str_t   key;
    ngx_uint_t  i, retry_after;

    ngx_iot_device_rate_key(device, owner, &key);

    for (i = 0; i < NGX_IOT_RATES_KINDS; i++) {

        if (ngx_iot_limit_take(&device->rates->transport[owner][i],
                               ngx_iot_device_rates[owner][i], &key, n[i],
                               &retry_after)
            == NGX_OK)
        {
            continue;
        }

        ngx_iot_device_rate_give(device, owner, n, i);

        ngx_iot_count(rate_refused[owner][i]);

        ngx_log_error(NGX_LOG_INFO, ngx_cycle->log, 0,
                      "device %*s of tenant %*s is over the rate of %s",
                      (size_t) NGX_IOT_UUID_TEXT, device->id,
                      (size_t) NGX_IOT_UUID_TEXT, device->tenant,
                      ngx_iot_device_rates[owner][i]);

        return NGX_BUSY;
    }

    return NGX_OK;
}


static void
ngx_iot_device_rate_give(ngx_iot_device_t *device, ngx_uint_t owner,
    ngx_uint_t *n, ngx_uint_t kinds)
{
    ngx_str_t   key;
    ngx_uint_t  i;

    ngx_iot_device_rate_key(device, owner, &key);

    for (i = 0; i < kinds; i++) {

        if (n[i] == 0) {
            continue;
        }

        ngx_iot_limit_give(&device->rates->transport[owner][i],
                           ngx_iot_device_rates[owner][i], &key, n[i]);
    }
}


static void
ngx_iot_device_rate_key(ngx_iot_device_t *device, ngx_uint_t owner,
    ngx_str_t *key)
{
    key->data = (owner == NGX_IOT_RATES_TENANT) ? device->tenant : device->id;
    key->len = NGX_IOT_UUID_TEXT;
}
