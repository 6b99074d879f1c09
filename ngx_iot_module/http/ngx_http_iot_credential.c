
/*
 * Copyright (C) the ngx_iot authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_iot_access.h"
#include "ngx_http_iot_module.h"


/* What a request brings to show who it is from, and what browsers add. */


static ngx_int_t ngx_http_iot_credential_header(ngx_http_request_t *r,
    ngx_str_t *value, ngx_http_iot_credential_t *credential);
static ngx_uint_t ngx_http_iot_credential_scheme(ngx_str_t *value,
    char *scheme, ngx_str_t *rest);
static ngx_int_t ngx_http_iot_credential_basic(ngx_http_request_t *r,
    ngx_str_t *text, ngx_http_iot_credential_t *credential);
static u_char *ngx_http_iot_cookie_next(u_char *p, u_char *last,
    ngx_str_t *name, ngx_str_t *cookie, ngx_str_t *value);
static void ngx_http_iot_origin_host(ngx_str_t *host, ngx_uint_t secure);


ngx_int_t
ngx_http_iot_credential(ngx_http_request_t *r, ngx_str_t *cookie,
    ngx_http_iot_credential_t *credential)
{
    u_char            *p, *last;
    ngx_str_t          pair, value;
    ngx_uint_t         i;
    ngx_table_elt_t   *h, **cookies;

    credential->kind = ngx_http_iot_no_credential;
    credential->cookie = 0;

    h = ngx_http_iot_find_header(r, "x-authorization");

    if (h == NULL) {
        h = r->headers_in.authorization;
    }

    if (h) {
        return ngx_http_iot_credential_header(r, &h->value, credential);
    }

    if (cookie == NULL) {
        return NGX_OK;
    }

    cookies = r->headers_in.cookies.elts;

    for (i = 0; i < r->headers_in.cookies.nelts; i++) {
        p = cookies[i]->value.data;
        last = p + cookies[i]->value.len;

        while (p < last) {
            p = ngx_http_iot_cookie_next(p, last, cookie, &pair, &value);

            if (value.len) {
                credential->kind = ngx_http_iot_bearer_credential;
                credential->token = value;
                credential->cookie = 1;

                return NGX_OK;
            }
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_iot_credential_header(ngx_http_request_t *r, ngx_str_t *value,
    ngx_http_iot_credential_t *credential)
{
    ngx_str_t  rest;

    if (ngx_http_iot_credential_scheme(value, "Bearer", &rest)) {
        credential->kind = ngx_http_iot_bearer_credential;
        credential->token = rest;

        return NGX_OK;
    }

    if (ngx_http_iot_credential_scheme(value, "ApiKey", &rest)) {
        credential->kind = ngx_http_iot_key_credential;
        credential->token = rest;

        return NGX_OK;
    }

    if (ngx_http_iot_credential_scheme(value, "Basic", &rest)) {
        return ngx_http_iot_credential_basic(r, &rest, credential);
    }

    credential->kind = ngx_http_iot_bad_credential;

    return NGX_OK;
}


static ngx_uint_t
ngx_http_iot_credential_scheme(ngx_str_t *value, char *scheme,
    ngx_str_t *rest)
{
    size_t   len;
    u_char  *p, *last;

    len = ngx_strlen(scheme);

    if (value->len <= len
        || ngx_strncasecmp(value->data, (u_char *) scheme, len) != 0
        || value->data[len] != ' ')
    {
        return 0;
    }

    p = value->data + len;
    last = value->data + value->len;

    while (p < last && *p == ' ') {
        p++;
    }

    while (last > p && last[-1] == ' ') {
        last--;
    }

    rest->data = p;
    rest->len = last - p;

    return rest->len != 0;
}


/* RFC 7617: the name ends with the first colon */

static ngx_int_t
ngx_http_iot_credential_basic(ngx_http_request_t *r, ngx_str_t *text,
    ngx_http_iot_credential_t *credential)
{
    u_char     *p;
    ngx_str_t   decoded;

    credential->kind = ngx_http_iot_bad_credential;

    decoded.data = ngx_pnalloc(r->pool, ngx_base64_decoded_length(text->len)
                                        + 1);
    if (decoded.data == NULL) {
        return NGX_ERROR;
    }

    if (ngx_decode_base64(&decoded, text) != NGX_OK) {
        return NGX_OK;
    }

    p = ngx_strlchr(decoded.data, decoded.data + decoded.len, ':');

    if (p == NULL || p == decoded.data) {
        return NGX_OK;
    }

    credential->kind = ngx_http_iot_basic_credential;
    credential->token.data = decoded.data;
    credential->token.len = p - decoded.data;
    credential->password.data = p + 1;
    credential->password.len = decoded.data + decoded.len - (p + 1);

    return NGX_OK;
}


/*
 * One cookie of a header, from p on; returns where the next one begins.
 * value is empty unless it is the one of that name.
 */

static u_char *
ngx_http_iot_cookie_next(u_char *p, u_char *last, ngx_str_t *name,
    ngx_str_t *cookie, ngx_str_t *value)
{
    u_char  *end;

    while (p < last && (*p == ' ' || *p == ';')) {
        p++;
    }

    for (end = p; end < last && *end != ';'; end++) { /* void */ }

    cookie->data = p;
    cookie->len = end - p;

    ngx_str_null(value);

    if (cookie->len > name->len
        && p[name->len] == '='
        && ngx_memcmp(p, name->data, name->len) == 0)
    {
        value->data = p + name->len + 1;
        value->len = cookie->len - name->len - 1;

        while (value->len && value->data[value->len - 1] == ' ') {
            value->len--;
        }
    }

    return (end < last) ? end + 1 : end;
}


ngx_int_t
ngx_http_iot_other_cookies(ngx_http_request_t *r, ngx_str_t *name,
    ngx_str_t *out)
{
    size_t             len;
    u_char            *p, *last, *dst;
    ngx_str_t          cookie, value;
    ngx_uint_t         i, n;
    ngx_table_elt_t  **cookies;

    ngx_str_null(out);

    n = r->headers_in.cookies.nelts;
    cookies = r->headers_in.cookies.elts;
    len = 0;

    for (i = 0; i < n; i++) {
        len += cookies[i]->value.len + sizeof("; ") - 1;
    }

    if (len == 0) {
        return NGX_OK;
    }

    dst = ngx_pnalloc(r->pool, len);
    if (dst == NULL) {
        return NGX_ERROR;
    }

    out->data = dst;

    for (i = 0; i < n; i++) {
        p = cookies[i]->value.data;
        last = p + cookies[i]->value.len;

        while (p < last) {
            p = ngx_http_iot_cookie_next(p, last, name, &cookie, &value);

            if (cookie.len == 0 || value.data) {
                continue;
            }

            if (dst != out->data) {
                *dst++ = ';';
                *dst++ = ' ';
            }

            dst = ngx_cpymem(dst, cookie.data, cookie.len);
        }
    }

    out->len = dst - out->data;

    return NGX_OK;
}


/*
 * Of a subrequest the main request counts; of a question by another server
 * what that was asked, which it says in one of two usual headers.
 */

ngx_uint_t
ngx_http_iot_unsafe(ngx_http_request_t *r)
{
    ngx_str_t                *method;
    ngx_table_elt_t          *h;
    ngx_http_iot_loc_conf_t  *ilcf;

    if (r->headers_in.upgrade) {
        return 1;
    }

    method = &r->main->method_name;

    ilcf = ngx_http_get_module_loc_conf(r, ngx_http_iot_module);

    if (r == r->main && ilcf->handler == ngx_http_iot_gate_endpoint_handler) {
        h = ngx_http_iot_find_header(r, "x-forwarded-method");

        if (h == NULL) {
            h = ngx_http_iot_find_header(r, "x-original-method");
        }

        if (h) {
            method = &h->value;
        }
    }

    return !((method->len == 3 && ngx_strncmp(method->data, "GET", 3) == 0)
             || (method->len == 4
                 && ngx_strncmp(method->data, "HEAD", 4) == 0)
             || (method->len == 7
                 && ngx_strncmp(method->data, "OPTIONS", 7) == 0));
}


ngx_uint_t
ngx_http_iot_same_origin(ngx_http_request_t *r, ngx_uint_t strict)
{
    ngx_str_t         origin, host;
    ngx_uint_t        secure;
    ngx_table_elt_t  *h;

    h = ngx_http_iot_find_header(r, "sec-fetch-site");

    if (h && !(h->value.len == sizeof("same-origin") - 1
               && ngx_strncmp(h->value.data, "same-origin", h->value.len)
                  == 0)
        && !(h->value.len == sizeof("none") - 1
             && ngx_strncmp(h->value.data, "none", h->value.len) == 0))
    {
        return 0;
    }

    if (h) {
        strict = 0;
    }

    h = ngx_http_iot_find_header(r, "origin");

    if (h == NULL) {
        return !strict;
    }

    origin = h->value;
    secure = 0;

    if (origin.len > sizeof("https://") - 1
        && ngx_strncasecmp(origin.data, (u_char *) "https://",
                           sizeof("https://") - 1)
           == 0)
    {
        secure = 1;
        origin.data += sizeof("https://") - 1;
        origin.len -= sizeof("https://") - 1;

    } else if (origin.len > sizeof("http://") - 1
               && ngx_strncasecmp(origin.data, (u_char *) "http://",
                                  sizeof("http://") - 1)
                  == 0)
    {
        origin.data += sizeof("http://") - 1;
        origin.len -= sizeof("http://") - 1;

    } else {
        return 0;
    }

    if (r->headers_in.host == NULL) {
        return 0;
    }

    host = r->headers_in.host->value;

    ngx_http_iot_origin_host(&origin, secure);
    ngx_http_iot_origin_host(&host, secure);

    return host.len == origin.len
           && ngx_strncasecmp(host.data, origin.data, host.len) == 0;
}


/* the port that everybody means says nothing */

static void
ngx_http_iot_origin_host(ngx_str_t *host, ngx_uint_t secure)
{
    size_t   len;
    char    *port;

    port = secure ? ":443" : ":80";
    len = ngx_strlen(port);

    if (host->len > len
        && ngx_strncmp(host->data + host->len - len, port, len) == 0)
    {
        host->len -= len;
    }
}


void
ngx_http_iot_network(ngx_http_request_t *r, ngx_str_t *key)
{
    ngx_iot_limit_network(r->connection, key);
}
