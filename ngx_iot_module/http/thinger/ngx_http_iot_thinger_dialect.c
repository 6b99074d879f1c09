
/*
 * Copyright (C) the ngx_iot authors
 */


#include "../../codec/ngx_iot_json.h"
#include "ngx_http_iot_thinger.h"


#define NGX_HTTP_IOT_THINGER_BODY  1048576


static ngx_int_t ngx_http_iot_thinger_authenticate(ngx_http_iot_call_t *call);
static ngx_int_t ngx_http_iot_thinger_credential(ngx_http_iot_call_t *call,
    ngx_str_t *token);
static void ngx_http_iot_thinger_authenticated(void *data, ngx_int_t rc,
    ngx_iot_principal_t *principal, ngx_iot_error_t *err);
static ngx_int_t ngx_http_iot_thinger_keep_name(ngx_http_iot_call_t *call);
static void ngx_http_iot_thinger_refuse(ngx_http_iot_call_t *call,
    ngx_iot_error_t *err);
static off_t ngx_http_iot_thinger_body_limit(ngx_http_request_t *r);
static ngx_int_t ngx_http_iot_thinger_error(ngx_http_iot_call_t *call,
    ngx_iot_error_t *err, ngx_str_t *type, ngx_str_t *body);


ngx_iot_dialect_t  ngx_http_iot_thinger_dialect = {
    ngx_string("thinger"),
    ngx_http_iot_thinger_routes,
    ngx_http_iot_thinger_authenticate,
    ngx_http_iot_thinger_refuse,
    ngx_http_iot_thinger_body_limit,
    ngx_http_iot_thinger_error
};


static ngx_int_t
ngx_http_iot_thinger_authenticate(ngx_http_iot_call_t *call)
{
    ngx_int_t  rc;
    ngx_str_t  token;

    if (ngx_http_iot_thinger_credential(call, &token) != NGX_OK) {
        ngx_iot_error_set(&call->error, NGX_HTTP_UNAUTHORIZED,
                          "authentication", "unauthorized");
        return NGX_ERROR;
    }

    rc = ngx_iot_auth_bearer(&token, &call->principal, &call->error,
                             ngx_http_iot_thinger_authenticated, call,
                             &call->auth, call->log);

    if (rc == NGX_OK) {
        rc = ngx_http_iot_thinger_keep_name(call);
    }

    return rc;
}


static ngx_int_t
ngx_http_iot_thinger_credential(ngx_http_iot_call_t *call, ngx_str_t *token)
{
    size_t      len;
    ngx_str_t   value;

    static ngx_str_t  arg = ngx_string("authorization");

    len = sizeof("Bearer ") - 1;

    if (ngx_http_iot_call_header(call, "authorization", &value) == NGX_OK) {

        if (value.len <= len
            || ngx_strncasecmp(value.data, (u_char *) "Bearer ", len) != 0)
        {
            return NGX_DECLINED;
        }

        value.data += len;
        value.len -= len;

    } else if (ngx_http_iot_call_arg(call, &arg, &value) != NGX_OK) {
        return NGX_DECLINED;
    }

    while (value.len && value.data[0] == ' ') {
        value.data++;
        value.len--;
    }

    while (value.len && value.data[value.len - 1] == ' ') {
        value.len--;
    }

    *token = value;

    return value.len ? NGX_OK : NGX_DECLINED;
}


static void
ngx_http_iot_thinger_authenticated(void *data, ngx_int_t rc,
    ngx_iot_principal_t *principal, ngx_iot_error_t *err)
{
    ngx_http_iot_call_t *call = data;

    call->auth = NULL;

    if (rc != NGX_OK) {
        call->error = *err;

        if (call->error.status == 0) {
            ngx_iot_error_set(&call->error, NGX_HTTP_INTERNAL_SERVER_ERROR,
                              "general", "internal server error");
        }

        ngx_http_iot_call_authenticated(call);
        return;
    }

    call->error.status = 0;
    call->principal = *principal;

    (void) ngx_http_iot_thinger_keep_name(call);

    ngx_http_iot_call_authenticated(call);
}


/* the name is in the cache, which may let it go at the next event */

static ngx_int_t
ngx_http_iot_thinger_keep_name(ngx_http_iot_call_t *call)
{
    u_char     *p;
    ngx_str_t  *name;

    name = &call->principal.name;

    p = ngx_pnalloc(call->pool, name->len + 1);

    if (p == NULL) {
        ngx_iot_error_set(&call->error, NGX_HTTP_INTERNAL_SERVER_ERROR,
                          "general", "internal server error");
        return NGX_ERROR;
    }

    *ngx_cpymem(p, name->data, name->len) = '\0';
    name->data = p;

    return NGX_OK;
}


static void
ngx_http_iot_thinger_refuse(ngx_http_iot_call_t *call, ngx_iot_error_t *err)
{
    ngx_iot_error_set(err, NGX_HTTP_FORBIDDEN, "permission_denied",
                      "forbidden");
}


static off_t
ngx_http_iot_thinger_body_limit(ngx_http_request_t *r)
{
    return NGX_HTTP_IOT_THINGER_BODY;
}


/* {"error":{"message":"..."}} */

static ngx_int_t
ngx_http_iot_thinger_error(ngx_http_iot_call_t *call, ngx_iot_error_t *err,
    ngx_str_t *type, ngx_str_t *body)
{
    u_char  *p;

    ngx_str_set(type, "application/json");

    p = ngx_pnalloc(call->pool,
                    sizeof("{\"error\":{\"message\":\"\"}}")
                    + ngx_iot_json_escape_size(err->message.data,
                                               err->message.len));
    if (p == NULL) {
        return NGX_ERROR;
    }

    body->data = p;

    p = ngx_cpymem(p, "{\"error\":{\"message\":\"",
                   sizeof("{\"error\":{\"message\":\"") - 1);
    p = ngx_iot_json_escape(p, err->message.data, err->message.len);
    p = ngx_cpymem(p, "\"}}", sizeof("\"}}") - 1);

    body->len = p - body->data;

    return NGX_OK;
}
