
/*
 * Copyright (C) the ngx_iot authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_iot_module.h"
#include "ngx_http_iot_rate.h"


static ngx_int_t ngx_http_iot_rate_key(ngx_http_iot_call_t *call);
static ngx_int_t ngx_http_iot_rate_headers(ngx_http_iot_call_t *call,
    ngx_str_t *key);
static ngx_int_t ngx_http_iot_rate_header(ngx_http_iot_call_t *call,
    char *name, ngx_uint_t n);
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

    if (call->principal.has_key && call->principal.plan.n
        && ngx_http_iot_rate_key(call) != NGX_OK)
    {
        return NGX_BUSY;
    }

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


/* of the plan of an API key, which is told how much is left */

static ngx_int_t
ngx_http_iot_rate_key(ngx_http_iot_call_t *call)
{
    ngx_int_t    rc;
    ngx_str_t    key;
    ngx_uint_t   retry_after;

    key.data = call->principal.key;
    key.len = sizeof(call->principal.key);

    rc = ngx_iot_limit_take(&call->principal.plan, "api key", &key, 1,
                            &retry_after);

    /* without memory for them the headers are missing, no more */
    (void) ngx_http_iot_rate_headers(call, &key);

    if (rc != NGX_OK) {
        return ngx_http_iot_rate_busy(call,
                                      "Too many requests for this API key!",
                                      retry_after);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_iot_rate_headers(ngx_http_iot_call_t *call, ngx_str_t *key)
{
    u_char                *p;
    ngx_str_t              value;
    ngx_uint_t             i;
    ngx_iot_limit_t       *plan;
    ngx_iot_limit_left_t   left;

    plan = &call->principal.plan;

    ngx_iot_limit_left(plan, "api key", key, &left);

    p = ngx_pnalloc(call->pool,
                    plan->n * (2 * NGX_INT_T_LEN + sizeof(", ;w=")));
    if (p == NULL) {
        return NGX_ERROR;
    }

    value.data = p;

    for (i = 0; i < plan->n; i++) {
        p = ngx_sprintf(p, "%s%uD;w=%uD", i ? ", " : "",
                        plan->windows[i].capacity, plan->windows[i].seconds);
    }

    value.len = p - value.data;

    if (ngx_http_iot_add_header(call->request, "RateLimit-Policy", &value)
        != NGX_OK
        || ngx_http_iot_rate_header(call, "RateLimit-Limit", left.limit)
           != NGX_OK
        || ngx_http_iot_rate_header(call, "RateLimit-Remaining",
                                    left.remaining)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_iot_rate_header(call, "RateLimit-Reset", left.reset);
}


static ngx_int_t
ngx_http_iot_rate_header(ngx_http_iot_call_t *call, char *name, ngx_uint_t n)
{
    ngx_str_t  value;

    value.data = ngx_pnalloc(call->pool, NGX_INT_T_LEN);
    if (value.data == NULL) {
        return NGX_ERROR;
    }

    value.len = ngx_sprintf(value.data, "%ui", n) - value.data;

    return ngx_http_iot_add_header(call->request, name, &value);
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
