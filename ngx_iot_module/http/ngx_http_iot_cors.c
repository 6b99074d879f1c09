
/*
 * Copyright (C) the ngx_iot authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "../core/ngx_iot_settings.h"
#include "ngx_http_iot_module.h"


static ngx_uint_t ngx_http_iot_cors_allowed(ngx_str_t *origin);
static ngx_uint_t ngx_http_iot_cors_match(ngx_str_t *allowed,
    ngx_str_t *origin);
static ngx_int_t ngx_http_iot_cors_echo(ngx_http_request_t *r, char *key,
    ngx_table_elt_t *h, ngx_str_t *fallback);


static ngx_str_t  ngx_http_iot_cors_true = ngx_string("true");
static ngx_str_t  ngx_http_iot_cors_age = ngx_string("1800");
static ngx_str_t  ngx_http_iot_cors_vary = ngx_string("Origin");
static ngx_str_t  ngx_http_iot_cors_expose =
    ngx_string("Retry-After, Content-Disposition, RateLimit-Policy, "
               "RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset");
static ngx_str_t  ngx_http_iot_cors_methods =
    ngx_string("GET, HEAD, POST, PUT, DELETE, PATCH, OPTIONS");
static ngx_str_t  ngx_http_iot_cors_requested =
    ngx_string("X-Authorization, Authorization, Content-Type");


/*
 * An allowed origin may call the API with credentials: a browser sends none
 * by itself, because the credential is a header that the page has to add.
 */

ngx_int_t
ngx_http_iot_cors_headers(ngx_http_request_t *r)
{
    ngx_table_elt_t          *origin;
    ngx_http_iot_loc_conf_t  *ilcf;

    ilcf = ngx_http_get_module_loc_conf(r, ngx_http_iot_module);

    if (!ilcf->cors) {
        return NGX_OK;
    }

    origin = ngx_http_iot_find_header(r, "origin");

    if (origin == NULL || origin->value.len == 0) {
        return NGX_OK;
    }

    if (!ngx_http_iot_cors_allowed(&origin->value)) {
        return ngx_http_iot_add_header(r, "Vary", &ngx_http_iot_cors_vary);
    }

    if (ngx_http_iot_add_header(r, "Access-Control-Allow-Origin",
                                &origin->value)
        != NGX_OK
        || ngx_http_iot_add_header(r, "Access-Control-Allow-Credentials",
                                   &ngx_http_iot_cors_true)
           != NGX_OK
        || ngx_http_iot_add_header(r, "Access-Control-Expose-Headers",
                                   &ngx_http_iot_cors_expose)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_iot_add_header(r, "Vary", &ngx_http_iot_cors_vary);
}


static ngx_uint_t
ngx_http_iot_cors_allowed(ngx_str_t *origin)
{
    u_char     *p, *last;
    ngx_str_t   allowed;

    p = ngx_iot_settings.cors.data;
    last = p + ngx_iot_settings.cors.len;

    while (p < last) {
        allowed.data = p;

        while (p < last && *p != ' ') {
            p++;
        }

        allowed.len = p - allowed.data;

        if (ngx_http_iot_cors_match(&allowed, origin)) {
            return 1;
        }

        while (p < last && *p == ' ') {
            p++;
        }
    }

    return 0;
}


/* an asterisk in the place of names below: the host itself is not meant */

static ngx_uint_t
ngx_http_iot_cors_match(ngx_str_t *allowed, ngx_str_t *origin)
{
    size_t   len, tail;
    u_char  *star;

    if (allowed->len == 1 && allowed->data[0] == '*') {
        return 1;
    }

    star = ngx_strlchr(allowed->data, allowed->data + allowed->len, '*');

    if (star == NULL) {
        return allowed->len == origin->len
               && ngx_strncasecmp(allowed->data, origin->data, origin->len)
                  == 0;
    }

    len = star - allowed->data;
    tail = allowed->len - len - 1;

    return origin->len > len + tail
           && ngx_strncasecmp(origin->data, allowed->data, len) == 0
           && ngx_strncasecmp(origin->data + origin->len - tail, star + 1,
                              tail)
              == 0
           && ngx_strlchr(origin->data + len, origin->data + origin->len, '/')
              == NULL;
}


ngx_int_t
ngx_http_iot_cors_preflight(ngx_http_request_t *r)
{
    ngx_int_t                 rc;
    ngx_table_elt_t          *method;
    ngx_http_iot_loc_conf_t  *ilcf;

    ilcf = ngx_http_get_module_loc_conf(r, ngx_http_iot_module);

    if (!ilcf->cors || r->method != NGX_HTTP_OPTIONS
        || ngx_http_iot_find_header(r, "origin") == NULL)
    {
        return NGX_DECLINED;
    }

    method = ngx_http_iot_find_header(r, "access-control-request-method");
    if (method == NULL) {
        return NGX_DECLINED;
    }

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    if (!ngx_http_iot_cors_allowed(
             &ngx_http_iot_find_header(r, "origin")->value))
    {
        return ngx_http_iot_send(r, NGX_HTTP_FORBIDDEN, NULL, NULL);
    }

    if (ngx_http_iot_cors_echo(r, "Access-Control-Allow-Methods", method,
                               &ngx_http_iot_cors_methods)
        != NGX_OK
        || ngx_http_iot_cors_echo(r, "Access-Control-Allow-Headers",
               ngx_http_iot_find_header(r, "access-control-request-headers"),
               &ngx_http_iot_cors_requested)
           != NGX_OK
        || ngx_http_iot_add_header(r, "Access-Control-Max-Age",
                                   &ngx_http_iot_cors_age)
           != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_iot_send(r, NGX_HTTP_OK, NULL, NULL);
}


static ngx_int_t
ngx_http_iot_cors_echo(ngx_http_request_t *r, char *key, ngx_table_elt_t *h,
    ngx_str_t *fallback)
{
    return ngx_http_iot_add_header(r, key,
                                   (h && h->value.len) ? &h->value : fallback);
}
