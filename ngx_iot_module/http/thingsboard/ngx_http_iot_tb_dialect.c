
/*
 * Copyright (C) the ngx_iot authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "../../codec/ngx_iot_json.h"
#include "../ngx_http_iot_dialect.h"
#include "../ngx_http_iot_module.h"
#include "ngx_http_iot_tb.h"


#define NGX_HTTP_IOT_TB_BODY        16777216
#define NGX_HTTP_IOT_TB_BODY_LARGE  52428800


typedef struct {
    char        *code;
    ngx_uint_t   number;
} ngx_http_iot_tb_code_t;


static ngx_int_t ngx_http_iot_tb_authenticate(ngx_http_iot_call_t *call);
static ngx_int_t ngx_http_iot_tb_credential(ngx_http_iot_call_t *call,
    ngx_str_t *token);
static void ngx_http_iot_tb_authenticated(void *data, ngx_int_t rc,
    ngx_iot_principal_t *principal, ngx_iot_error_t *err);
static ngx_int_t ngx_http_iot_tb_keep_name(ngx_http_iot_call_t *call);
static void ngx_http_iot_tb_refuse(ngx_http_iot_call_t *call,
    ngx_iot_error_t *err);
static off_t ngx_http_iot_tb_body_limit(ngx_http_request_t *r);
static ngx_int_t ngx_http_iot_tb_error(ngx_http_iot_call_t *call,
    ngx_iot_error_t *err, ngx_str_t *type, ngx_str_t *body);
static ngx_uint_t ngx_http_iot_tb_error_code(ngx_iot_error_t *err);
static size_t ngx_http_iot_tb_fields(ngx_iot_error_t *err, u_char *dst,
    ngx_pool_t *pool);
static ngx_uint_t ngx_http_iot_tb_own_member(ngx_str_t *key);


/* the stable codes of the house and the numbers that clients know */

static ngx_http_iot_tb_code_t  ngx_http_iot_tb_codes[] = {
    { "general", 2 },
    { "authentication", 10 },
    { "token_expired", 11 },
    { "credentials_expired", 15 },
    { "permission_denied", 20 },
    { "invalid_arguments", 30 },
    { "bad_request", 31 },
    { "validation", 31 },
    { "not_found", 32 },
    { "too_many_requests", 33 },
    { "version_conflict", 35 },
    { "limit_reached", 41 },
    { "password_violation", 45 },
    { "database", 46 },
    { "unavailable", 46 },
    { "timeout", 46 },
    { NULL, 0 }
};


ngx_iot_dialect_t  ngx_http_iot_tb_dialect = {
    ngx_string("thingsboard"),
    ngx_http_iot_tb_routes,
    ngx_http_iot_tb_authenticate,
    ngx_http_iot_tb_refuse,
    ngx_http_iot_tb_body_limit,
    ngx_http_iot_tb_error
};


static ngx_int_t
ngx_http_iot_tb_authenticate(ngx_http_iot_call_t *call)
{
    ngx_int_t  rc;
    ngx_str_t  token;

    if (ngx_http_iot_tb_credential(call, &token) != NGX_OK) {
        ngx_iot_error_set(&call->error, NGX_HTTP_UNAUTHORIZED,
                          "authentication", "Authentication failed");
        return NGX_ERROR;
    }

    rc = ngx_iot_auth_bearer(&token, &call->principal, &call->error,
                             ngx_http_iot_tb_authenticated, call, &call->auth,
                             call->log);

    if (rc == NGX_OK) {
        rc = ngx_http_iot_tb_keep_name(call);
    }

    return rc;
}


/* the scheme is required, so that a bare token is never taken for one */

static ngx_int_t
ngx_http_iot_tb_credential(ngx_http_iot_call_t *call, ngx_str_t *token)
{
    size_t       len;
    u_char      *p, *last;
    ngx_str_t    value;
    ngx_uint_t   is_key;

    if (ngx_http_iot_call_header(call, "x-authorization", &value) != NGX_OK
        && ngx_http_iot_call_header(call, "authorization", &value) != NGX_OK)
    {
        return NGX_DECLINED;
    }

    if (value.len > sizeof("Bearer ") - 1
        && ngx_strncasecmp(value.data, (u_char *) "Bearer ",
                           sizeof("Bearer ") - 1)
           == 0)
    {
        len = sizeof("Bearer ") - 1;
        is_key = 0;

    } else if (value.len > sizeof("ApiKey ") - 1
               && ngx_strncasecmp(value.data, (u_char *) "ApiKey ",
                                  sizeof("ApiKey ") - 1)
                  == 0)
    {
        len = sizeof("ApiKey ") - 1;
        is_key = 1;

    } else {
        return NGX_DECLINED;
    }

    p = value.data + len;
    last = value.data + value.len;

    while (p < last && *p == ' ') {
        p++;
    }

    while (last > p && last[-1] == ' ') {
        last--;
    }

    token->data = p;
    token->len = last - p;

    if (token->len == 0 || ngx_iot_auth_is_key(token) != is_key) {
        return NGX_DECLINED;
    }

    return NGX_OK;
}


static void
ngx_http_iot_tb_authenticated(void *data, ngx_int_t rc,
    ngx_iot_principal_t *principal, ngx_iot_error_t *err)
{
    ngx_http_iot_call_t *call = data;

    call->auth = NULL;

    if (rc != NGX_OK) {
        call->error = *err;

        if (call->error.status == 0) {
            ngx_iot_error_set(&call->error, NGX_HTTP_INTERNAL_SERVER_ERROR,
                              "general", "Internal server error");
        }

        ngx_http_iot_call_authenticated(call);
        return;
    }

    call->error.status = 0;
    call->principal = *principal;

    (void) ngx_http_iot_tb_keep_name(call);

    ngx_http_iot_call_authenticated(call);
}


/* the name is in the cache, which may let it go at the next event */

static ngx_int_t
ngx_http_iot_tb_keep_name(ngx_http_iot_call_t *call)
{
    u_char     *p;
    ngx_str_t  *name;

    name = &call->principal.name;

    p = ngx_pnalloc(call->pool, name->len + 1);

    if (p == NULL) {
        ngx_iot_error_set(&call->error, NGX_HTTP_INTERNAL_SERVER_ERROR,
                          "general", "Internal server error");
        return NGX_ERROR;
    }

    *ngx_cpymem(p, name->data, name->len) = '\0';
    name->data = p;

    return NGX_OK;
}


static void
ngx_http_iot_tb_refuse(ngx_http_iot_call_t *call, ngx_iot_error_t *err)
{
    ngx_iot_error_set(err, NGX_HTTP_FORBIDDEN, "permission_denied",
                      "You don't have permission to perform this operation!");
}


static off_t
ngx_http_iot_tb_body_limit(ngx_http_request_t *r)
{
    ngx_uint_t  i;

    static ngx_str_t  large[] = {
        ngx_string("/api/image"),
        ngx_string("/api/resource/"),
        ngx_null_string
    };

    for (i = 0; large[i].len; i++) {
        if (r->uri.len >= large[i].len
            && ngx_strncmp(r->uri.data, large[i].data, large[i].len) == 0)
        {
            return NGX_HTTP_IOT_TB_BODY_LARGE;
        }
    }

    return NGX_HTTP_IOT_TB_BODY;
}


/*
 * {"status":404,"message":"...","errorCode":32,"timestamp":1792142423000} and
 * the fields of the error; or the bare text on routes whose clients expect
 * that; or the JSON string of a body over the limit.
 */

static ngx_int_t
ngx_http_iot_tb_error(ngx_http_iot_call_t *call, ngx_iot_error_t *err,
    ngx_str_t *type, ngx_str_t *body)
{
    size_t       len;
    u_char      *p;
    ngx_time_t  *tp;

    /* who it is is asked before the routes that answer in plain text */

    if (call->route
        && (call->route->flags & NGX_HTTP_IOT_TEXT_ERRORS)
        && err->status != NGX_HTTP_UNAUTHORIZED)
    {

        p = ngx_pnalloc(call->pool, err->message.len + 1);
        if (p == NULL) {
            return NGX_ERROR;
        }

        ngx_memcpy(p, err->message.data, err->message.len);

        body->data = p;
        body->len = err->message.len;
        ngx_str_set(type, "text/plain;charset=UTF-8");

        return NGX_OK;
    }

    ngx_str_set(type, "application/json");

    len = sizeof("{\"status\":,\"message\":\"\",\"errorCode\":,"
                 "\"timestamp\":}")
          + 3 * NGX_INT64_LEN + err->code.len
          + ngx_iot_json_escape_size(err->message.data, err->message.len)
          + ngx_http_iot_tb_fields(err, NULL, call->pool);

    p = ngx_pnalloc(call->pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    body->data = p;

    if (err->status == NGX_HTTP_REQUEST_ENTITY_TOO_LARGE) {
        *p++ = '"';
        p = ngx_iot_json_escape(p, err->message.data, err->message.len);
        *p++ = '"';

        body->len = p - body->data;

        return NGX_OK;
    }

    tp = ngx_timeofday();

    p = ngx_sprintf(p, "{\"status\":%ui,\"message\":\"", err->status);
    p = ngx_iot_json_escape(p, err->message.data, err->message.len);

    /* errors of codecs are known by their names */

    if (err->code.len > 2 && err->code.data[0] == 'E'
        && err->code.data[1] == '_')
    {
        p = ngx_sprintf(p, "\",\"errorCode\":\"%V\"", &err->code);

    } else {
        p = ngx_sprintf(p, "\",\"errorCode\":%ui",
                        ngx_http_iot_tb_error_code(err));
    }

    p = ngx_sprintf(p, ",\"timestamp\":%L",
                    (int64_t) tp->sec * 1000 + tp->msec);

    p += ngx_http_iot_tb_fields(err, p, call->pool);
    *p++ = '}';

    body->len = p - body->data;

    return NGX_OK;
}


static ngx_uint_t
ngx_http_iot_tb_error_code(ngx_iot_error_t *err)
{
    ngx_http_iot_tb_code_t  *c;

    for (c = ngx_http_iot_tb_codes; c->code; c++) {
        if (ngx_strlen(c->code) == err->code.len
            && ngx_strncmp(c->code, err->code.data, err->code.len) == 0)
        {
            return c->number;
        }
    }

    switch (err->status) {

    case NGX_HTTP_UNAUTHORIZED:
        return 10;

    case NGX_HTTP_FORBIDDEN:
        return 20;

    case NGX_HTTP_NOT_FOUND:
        return 32;

    case NGX_HTTP_TOO_MANY_REQUESTS:
        return 33;

    default:
        return err->status < 500 ? 31 : 2;
    }
}


/*
 * The members of err->fields but for "code" and those of the envelope, each
 * with a comma in front; dst NULL: only the size.  Fields come from our own
 * SQL functions; what is not an object adds nothing.
 */

static size_t
ngx_http_iot_tb_fields(ngx_iot_error_t *err, u_char *dst, ngx_pool_t *pool)
{
    size_t           len;
    ngx_str_t        key;
    ngx_uint_t       token;
    ngx_iot_json_t   json;
    ngx_iot_alloc_t  alloc;

    if (err->fields.len == 0
        || ngx_iot_json_check(&err->fields, 16, NULL, NULL) != NGX_OK)
    {
        return 0;
    }

    alloc.alloc = ngx_http_iot_alloc;
    alloc.data = pool;

    ngx_iot_json_init(&json, &err->fields, &alloc, 16);

    if (ngx_iot_json_next(&json) != NGX_IOT_JSON_OBJECT) {
        return 0;
    }

    len = 0;

    for ( ;; ) {

        if (ngx_iot_json_next(&json) != NGX_IOT_JSON_KEY) {
            return len;
        }

        key = json.raw;

        token = ngx_iot_json_next(&json);

        if (token == NGX_IOT_JSON_BAD || ngx_iot_json_skip(&json) != NGX_OK) {
            return len;
        }

        if (ngx_http_iot_tb_own_member(&key)) {
            continue;
        }

        if (dst) {
            *dst++ = ',';
            dst = ngx_cpymem(dst, key.data, key.len);
            *dst++ = ':';
            dst = ngx_cpymem(dst, json.raw.data, json.raw.len);
        }

        len += key.len + json.raw.len + 2;
    }
}


static ngx_uint_t
ngx_http_iot_tb_own_member(ngx_str_t *key)
{
    ngx_uint_t  i;

    static ngx_str_t  own[] = {
        ngx_string("\"code\""),
        ngx_string("\"status\""),
        ngx_string("\"message\""),
        ngx_string("\"errorCode\""),
        ngx_string("\"timestamp\""),
        ngx_null_string
    };

    for (i = 0; own[i].len; i++) {
        if (own[i].len == key->len
            && ngx_strncmp(own[i].data, key->data, key->len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


/* a path that ThingsBoard has and this server does not serve yet */

ngx_int_t
ngx_http_iot_tb_not_implemented(ngx_http_iot_call_t *call)
{
    return ngx_http_iot_call_fail(call, NGX_HTTP_NOT_IMPLEMENTED, "general",
                                  "This part of the API is not implemented");
}
