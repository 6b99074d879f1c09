
/*
 * Copyright (C) the ngx_iot authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_iot_tb_auth.h"


#define NGX_HTTP_IOT_TB_HOST  255


static ngx_int_t ngx_http_iot_tb_base_url(ngx_http_iot_call_t *call,
    ngx_str_t *url);
static void ngx_http_iot_tb_base_first(ngx_str_t *value);
static ngx_uint_t ngx_http_iot_tb_base_host(ngx_str_t *host);
static ngx_uint_t ngx_http_iot_tb_base_port(ngx_str_t *host);


static ngx_str_t  ngx_http_iot_tb_base_name = ngx_string("@base");


/* for functions that make links: what the request came by, as "@base" */

ngx_int_t
ngx_http_iot_tb_with_base(ngx_http_iot_call_t *call)
{
    if (ngx_http_iot_tb_base(call) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_iot_call_sql(call, NULL, NULL);
}


/* the client's own parameter of that name is taken away */

ngx_int_t
ngx_http_iot_tb_base(ngx_http_iot_call_t *call)
{
    ngx_uint_t     i;
    ngx_keyval_t  *arg;

    if (call->args == NULL) {
        call->args = ngx_array_create(call->pool, 1, sizeof(ngx_keyval_t));
        if (call->args == NULL) {
            return NGX_ERROR;
        }
    }

    arg = call->args->elts;

    for (i = 0; i < call->args->nelts; /* void */ ) {

        if (arg[i].key.len == ngx_http_iot_tb_base_name.len
            && ngx_strncmp(arg[i].key.data, ngx_http_iot_tb_base_name.data,
                           arg[i].key.len)
               == 0)
        {
            arg[i] = arg[--call->args->nelts];
            continue;
        }

        i++;
    }

    if (call->args->nelts == NGX_HTTP_IOT_MAX_ARGS) {
        call->args->nelts--;
    }

    arg = ngx_array_push(call->args);
    if (arg == NULL) {
        return NGX_ERROR;
    }

    arg->key = ngx_http_iot_tb_base_name;

    return ngx_http_iot_tb_base_url(call, &arg->value);
}


/*
 * Scheme, host and port, by X-Forwarded-Proto, -Host and -Port where they are
 * sent; empty if the host is none that may stand in a link.
 */

static ngx_int_t
ngx_http_iot_tb_base_url(ngx_http_iot_call_t *call, ngx_str_t *url)
{
    u_char      *p;
    ngx_str_t    host, proto, port;
    ngx_uint_t   forwarded, secure;

    ngx_str_null(url);
    ngx_str_null(&port);

    forwarded = (ngx_http_iot_call_header(call, "x-forwarded-host", &host)
                 == NGX_OK);

    if (forwarded) {
        ngx_http_iot_tb_base_first(&host);

    } else if (ngx_http_iot_call_header(call, "host", &host) != NGX_OK) {
        return NGX_OK;
    }

    if (!ngx_http_iot_tb_base_host(&host)) {
        return NGX_OK;
    }

    secure = 0;

#if (NGX_HTTP_SSL)
    secure = (call->request->connection->ssl != NULL);
#endif

    if (ngx_http_iot_call_header(call, "x-forwarded-proto", &proto) == NGX_OK)
    {
        ngx_http_iot_tb_base_first(&proto);

        if (proto.len == 5
            && ngx_strncasecmp(proto.data, (u_char *) "https", 5) == 0)
        {
            secure = 1;

        } else if (proto.len == 4
                   && ngx_strncasecmp(proto.data, (u_char *) "http", 4) == 0)
        {
            secure = 0;
        }
    }

    if (ngx_http_iot_call_header(call, "x-forwarded-port", &port) == NGX_OK) {
        ngx_http_iot_tb_base_first(&port);

        if (ngx_http_iot_tb_base_port(&host)
            || ngx_atoi(port.data, port.len) < 1
            || ngx_atoi(port.data, port.len) > 65535
            || ngx_atoi(port.data, port.len) == (secure ? 443 : 80))
        {
            port.len = 0;
        }
    }

    p = ngx_pnalloc(call->pool, sizeof("https://:") + host.len + port.len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    url->data = p;

    p = ngx_sprintf(p, "http%s://%V", secure ? "s" : "", &host);

    if (port.len) {
        p = ngx_sprintf(p, ":%V", &port);
    }

    url->len = p - url->data;

    return NGX_OK;
}


/* of a list that proxies have added to, the first */

static void
ngx_http_iot_tb_base_first(ngx_str_t *value)
{
    u_char  *p;

    p = ngx_strlchr(value->data, value->data + value->len, ',');

    if (p) {
        value->len = p - value->data;
    }

    while (value->len && value->data[value->len - 1] == ' ') {
        value->len--;
    }
}


static ngx_uint_t
ngx_http_iot_tb_base_host(ngx_str_t *host)
{
    size_t  i;
    u_char  ch;

    if (host->len == 0 || host->len > NGX_HTTP_IOT_TB_HOST) {
        return 0;
    }

    for (i = 0; i < host->len; i++) {
        ch = host->data[i];

        if (!((ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z')
              || (ch >= '0' && ch <= '9') || ch == '.' || ch == '-'
              || ch == '_' || ch == ':' || ch == '[' || ch == ']'))
        {
            return 0;
        }
    }

    return 1;
}


/* an IPv6 address has colons of its own */

static ngx_uint_t
ngx_http_iot_tb_base_port(ngx_str_t *host)
{
    size_t  i;

    for (i = host->len; i > 0; i--) {

        if (host->data[i - 1] == ':') {
            return 1;
        }

        if (host->data[i - 1] == ']') {
            return 0;
        }
    }

    return 0;
}
