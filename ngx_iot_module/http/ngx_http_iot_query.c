
/*
 * Copyright (C) the ngx_iot authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "../codec/ngx_iot_json.h"
#include "../codec/ngx_iot_utf8.h"
#include "ngx_http_iot_call.h"


static ngx_int_t ngx_http_iot_query_pair(ngx_http_iot_call_t *call,
    u_char *start, u_char *end);
static ngx_int_t ngx_http_iot_query_decode(ngx_http_iot_call_t *call,
    u_char *start, u_char *end, ngx_str_t *out);
static ngx_int_t ngx_http_iot_query_bad(ngx_http_iot_call_t *call);
static u_char *ngx_http_iot_query_string(u_char *p, ngx_str_t *text);
static ngx_uint_t ngx_http_iot_query_same(ngx_str_t *one, ngx_str_t *two);


/*
 * application/x-www-form-urlencoded: pairs parted by "&", "+" is a blank.
 * NGX_DECLINED: call->error says why not.
 */

ngx_int_t
ngx_http_iot_query_parse(ngx_http_iot_call_t *call)
{
    u_char     *p, *last, *start;
    ngx_int_t   rc;
    ngx_str_t   args;

    args = call->request->args;

    p = args.data;
    last = p + args.len;

    while (p < last) {
        start = p;

        while (p < last && *p != '&') {
            p++;
        }

        if (p != start) {
            rc = ngx_http_iot_query_pair(call, start, p);
            if (rc != NGX_OK) {
                return rc;
            }
        }

        p++;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_iot_query_pair(ngx_http_iot_call_t *call, u_char *start, u_char *end)
{
    u_char        *eq;
    ngx_int_t      rc;
    ngx_keyval_t  *arg;

    if (call->args == NULL) {
        call->args = ngx_array_create(call->pool, 8, sizeof(ngx_keyval_t));
        if (call->args == NULL) {
            return NGX_ERROR;
        }
    }

    if (call->args->nelts == NGX_HTTP_IOT_MAX_ARGS) {
        ngx_iot_error_set(&call->error, NGX_HTTP_BAD_REQUEST, "bad_request",
                          "Too many query parameters");
        return NGX_DECLINED;
    }

    arg = ngx_array_push(call->args);
    if (arg == NULL) {
        return NGX_ERROR;
    }

    eq = ngx_strlchr(start, end, '=');

    rc = ngx_http_iot_query_decode(call, start, eq ? eq : end, &arg->key);
    if (rc != NGX_OK) {
        return rc;
    }

    return ngx_http_iot_query_decode(call, eq ? eq + 1 : end, end,
                                     &arg->value);
}


static ngx_int_t
ngx_http_iot_query_decode(ngx_http_iot_call_t *call, u_char *start,
    u_char *end, ngx_str_t *out)
{
    u_char     *p, *dst;
    ngx_int_t   n;

    out->data = start;
    out->len = end - start;

    if (ngx_strlchr(start, end, '%') || ngx_strlchr(start, end, '+')) {

        dst = ngx_pnalloc(call->pool, end - start);
        if (dst == NULL) {
            return NGX_ERROR;
        }

        out->data = dst;

        for (p = start; p < end; p++) {

            if (*p == '+') {
                *dst++ = ' ';
                continue;
            }

            if (*p != '%') {
                *dst++ = *p;
                continue;
            }

            n = (end - p < 3) ? NGX_ERROR : ngx_hextoi(p + 1, 2);

            if (n == NGX_ERROR) {
                return ngx_http_iot_query_bad(call);
            }

            *dst++ = (u_char) n;
            p += 2;
        }

        out->len = dst - out->data;
    }

    /* neither JSON nor text in PostgreSQL can hold a zero */

    if (ngx_strlchr(out->data, out->data + out->len, '\0')
        || ngx_iot_utf8_check(out->data, out->len) != NGX_OK)
    {
        return ngx_http_iot_query_bad(call);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_iot_query_bad(ngx_http_iot_call_t *call)
{
    ngx_iot_error_set(&call->error, NGX_HTTP_BAD_REQUEST, "bad_request",
                      "Invalid query string");

    return NGX_DECLINED;
}


/*
 * The parameters as a JSON object, zero-terminated in pool: a member is a
 * string, or an array of strings in order when the name was repeated.
 */

ngx_int_t
ngx_http_iot_query_json(ngx_http_iot_call_t *call, ngx_pool_t *pool,
    ngx_str_t *out)
{
    size_t         len;
    u_char        *p, seen[NGX_HTTP_IOT_MAX_ARGS];
    ngx_uint_t     i, j, n, many;
    ngx_keyval_t  *arg;

    n = call->args ? call->args->nelts : 0;
    arg = n ? call->args->elts : NULL;

    len = sizeof("{}");

    for (i = 0; i < n; i++) {
        len += ngx_iot_json_escape_size(arg[i].key.data, arg[i].key.len)
               + ngx_iot_json_escape_size(arg[i].value.data, arg[i].value.len)
               + sizeof("\"\":[\"\"],") - 1;
    }

    p = ngx_pnalloc(pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    out->data = p;

    ngx_memzero(seen, n);

    *p++ = '{';

    for (i = 0; i < n; i++) {

        if (seen[i]) {
            continue;
        }

        if (i) {
            *p++ = ',';
        }

        p = ngx_http_iot_query_string(p, &arg[i].key);
        *p++ = ':';

        many = 0;

        for (j = i + 1; j < n; j++) {
            if (!seen[j] && ngx_http_iot_query_same(&arg[i].key, &arg[j].key))
            {
                many = 1;
                break;
            }
        }

        if (!many) {
            p = ngx_http_iot_query_string(p, &arg[i].value);
            continue;
        }

        *p++ = '[';
        p = ngx_http_iot_query_string(p, &arg[i].value);

        for ( /* void */ ; j < n; j++) {
            if (!seen[j] && ngx_http_iot_query_same(&arg[i].key, &arg[j].key))
            {
                seen[j] = 1;
                *p++ = ',';
                p = ngx_http_iot_query_string(p, &arg[j].value);
            }
        }

        *p++ = ']';
    }

    *p++ = '}';

    out->len = p - out->data;
    *p = '\0';

    return NGX_OK;
}


static u_char *
ngx_http_iot_query_string(u_char *p, ngx_str_t *text)
{
    *p++ = '"';
    p = ngx_iot_json_escape(p, text->data, text->len);
    *p++ = '"';

    return p;
}


static ngx_uint_t
ngx_http_iot_query_same(ngx_str_t *one, ngx_str_t *two)
{
    return one->len == two->len
           && ngx_memcmp(one->data, two->data, one->len) == 0;
}
