
/*
 * Copyright (C) the ngx_iot authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_iot_rate.h"


static void ngx_http_iot_rate_found(ngx_iot_rates_wait_t *wait,
    ngx_iot_rates_t *rates);
static ngx_int_t ngx_http_iot_rate_take(ngx_http_iot_call_t *call,
    ngx_iot_rates_t *rates);
static ngx_int_t ngx_http_iot_rate_busy(ngx_http_iot_call_t *call,
    char *message, ngx_uint_t retry_after);


ngx_int_t
ngx_http_iot_rate(ngx_http_iot_call_t *call, ngx_http_iot_rated_pt rated)
{
    ngx_int_t         rc;
    ngx_iot_rates_t  *rates;

    if (!call->principal.has_tenant) {
        return NGX_OK;
    }

    call->rates_wait.found = ngx_http_iot_rate_found;
    call->rates_wait.data = call;
    call->rated = rated;

    rc = ngx_iot_rates_find(call->principal.tenant, &rates,
                            &call->rates_wait);

    if (rc == NGX_OK) {
        rc = ngx_http_iot_rate_take(call, rates);
        ngx_iot_rates_release(rates);

        return rc;
    }

    /* without memory the call itself will fail soon enough */

    return (rc == NGX_AGAIN) ? NGX_AGAIN : NGX_OK;
}


static void
ngx_http_iot_rate_found(ngx_iot_rates_wait_t *wait, ngx_iot_rates_t *rates)
{
    ngx_int_t             rc;
    ngx_http_iot_call_t  *call;

    call = wait->data;

    rc = ngx_http_iot_rate_take(call, rates);

    ngx_iot_rates_release(rates);

    call->rated(call, rc);
}


static ngx_int_t
ngx_http_iot_rate_take(ngx_http_iot_call_t *call, ngx_iot_rates_t *rates)
{
    ngx_str_t   tenant, customer;
    ngx_uint_t  retry_after, limited;

    tenant.data = call->principal.tenant;
    tenant.len = sizeof(call->principal.tenant);

    customer.data = call->principal.customer;
    customer.len = sizeof(call->principal.customer);

    limited = call->principal.has_customer && rates->rest_customer.n;

    if (limited
        && ngx_iot_limit_take(&rates->rest_customer, "rest_customer",
                              &customer, 1, &retry_after)
           != NGX_OK)
    {
        return ngx_http_iot_rate_busy(call,
                           "Too many requests for current customer!",
                           retry_after);
    }

    if (rates->rest_tenant.n
        && ngx_iot_limit_take(&rates->rest_tenant, "rest_tenant", &tenant, 1,
                              &retry_after)
           != NGX_OK)
    {
        if (limited) {
            ngx_iot_limit_give(&rates->rest_customer, "rest_customer",
                               &customer, 1);
        }

        return ngx_http_iot_rate_busy(call,
                           "Too many requests for current tenant!",
                           retry_after);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_iot_rate_busy(ngx_http_iot_call_t *call, char *message,
    ngx_uint_t retry_after)
{
    ngx_iot_error_set(&call->error, NGX_HTTP_TOO_MANY_REQUESTS,
                      "too_many_requests", message);

    call->error.retry_after = retry_after ? retry_after : 1;

    return NGX_BUSY;
}
