
/*
 * Copyright (C) the ngx_iot authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "../../codec/ngx_iot_id.h"
#include "../../codec/ngx_iot_json.h"
#include "../../core/ngx_iot_jwt.h"
#include "../../core/ngx_iot_settings.h"
#include "../ngx_http_iot_module.h"
#include "ngx_http_iot_tb.h"


#define NGX_HTTP_IOT_TB_DEPTH  8


/* members of the object that tells of a session */

enum {
    NGX_HTTP_IOT_TB_SUB = 0,
    NGX_HTTP_IOT_TB_USER,
    NGX_HTTP_IOT_TB_SCOPE,
    NGX_HTTP_IOT_TB_SESSION,
    NGX_HTTP_IOT_TB_FIRST,
    NGX_HTTP_IOT_TB_LAST,
    NGX_HTTP_IOT_TB_ENABLED,
    NGX_HTTP_IOT_TB_IS_PUBLIC,
    NGX_HTTP_IOT_TB_TENANT,
    NGX_HTTP_IOT_TB_CUSTOMER,
    NGX_HTTP_IOT_TB_LIFETIME,
    NGX_HTTP_IOT_TB_MEMBERS
};


static ngx_int_t ngx_http_iot_tb_partial(ngx_http_iot_call_t *call,
    ngx_iot_json_field_t *fields);
static ngx_int_t ngx_http_iot_tb_access_token(ngx_iot_json_field_t *fields,
    int64_t lifetime, ngx_str_t *token, ngx_pool_t *pool);
static ngx_int_t ngx_http_iot_tb_cookie(ngx_http_iot_call_t *call,
    ngx_iot_json_field_t *fields);
static ngx_int_t ngx_http_iot_tb_refresh_token(ngx_iot_json_field_t *fields,
    ngx_str_t *token, ngx_pool_t *pool);
static u_char *ngx_http_iot_tb_claim(u_char *p, char *name,
    ngx_iot_json_field_t *field);
static size_t ngx_http_iot_tb_claims_size(ngx_iot_json_field_t *fields);


static ngx_str_t  ngx_http_iot_tb_null_id =
    ngx_string("\"" NGX_HTTP_IOT_TB_NULL_ID "\"");


ngx_int_t
ngx_http_iot_tb_pair(ngx_http_iot_call_t *call, ngx_str_t *object)
{
    u_char                *p;
    ngx_int_t              rc;
    ngx_str_t              json, access, refresh;
    ngx_uint_t             i;
    ngx_iot_alloc_t        alloc;
    ngx_iot_json_field_t  *f;
    ngx_iot_json_field_t   fields[NGX_HTTP_IOT_TB_MEMBERS] = {
        { ngx_string("sub"), 0, ngx_null_string, ngx_null_string },
        { ngx_string("userId"), 0, ngx_null_string, ngx_null_string },
        { ngx_string("scope"), 0, ngx_null_string, ngx_null_string },
        { ngx_string("sessionId"), 0, ngx_null_string, ngx_null_string },
        { ngx_string("firstName"), 0, ngx_null_string, ngx_null_string },
        { ngx_string("lastName"), 0, ngx_null_string, ngx_null_string },
        { ngx_string("enabled"), 0, ngx_null_string, ngx_null_string },
        { ngx_string("isPublic"), 0, ngx_null_string, ngx_null_string },
        { ngx_string("tenantId"), 0, ngx_null_string, ngx_null_string },
        { ngx_string("customerId"), 0, ngx_null_string, ngx_null_string },
        { ngx_string("lifetime"), 0, ngx_null_string, ngx_null_string }
    };

    static ngx_uint_t  ids[] = {
        NGX_HTTP_IOT_TB_USER, NGX_HTTP_IOT_TB_TENANT, NGX_HTTP_IOT_TB_CUSTOMER
    };

    alloc.alloc = ngx_http_iot_alloc;
    alloc.data = call->pool;

    rc = ngx_iot_json_fields(object, &alloc, NGX_HTTP_IOT_TB_DEPTH, fields,
                             NGX_HTTP_IOT_TB_MEMBERS, NULL);

    f = fields;

    if (rc != NGX_OK
        || f[NGX_HTTP_IOT_TB_SUB].token != NGX_IOT_JSON_STRING
        || f[NGX_HTTP_IOT_TB_SCOPE].token != NGX_IOT_JSON_STRING
        || f[NGX_HTTP_IOT_TB_SESSION].token != NGX_IOT_JSON_STRING)
    {
        goto failed;
    }

    for (i = 0; i < 3; i++) {
        if (f[ids[i]].token != NGX_IOT_JSON_STRING) {
            f[ids[i]].raw = ngx_http_iot_tb_null_id;
        }
    }

    if (f[NGX_HTTP_IOT_TB_LIFETIME].token == NGX_IOT_JSON_NUMBER) {
        return ngx_http_iot_tb_partial(call, f);
    }

    if (ngx_http_iot_tb_access_token(f, ngx_iot_settings.expiration, &access,
                                     call->pool)
        != NGX_OK
        || ngx_http_iot_tb_refresh_token(f, &refresh, call->pool) != NGX_OK
        || ngx_http_iot_tb_cookie(call, f) != NGX_OK)
    {
        goto failed;
    }

    p = ngx_pnalloc(call->pool,
                    sizeof("{\"token\":\"\",\"refreshToken\":\"\","
                           "\"scope\":null}")
                    + access.len + refresh.len);
    if (p == NULL) {
        goto failed;
    }

    json.data = p;

    p = ngx_sprintf(p, "{\"token\":\"%V\",\"refreshToken\":\"%V\","
                    "\"scope\":null}", &access, &refresh);

    json.len = p - json.data;

    return ngx_http_iot_call_json(call, NGX_HTTP_OK, &json);

failed:

    return ngx_http_iot_call_fail(call, NGX_HTTP_INTERNAL_SERVER_ERROR,
                                  "general", "Internal server error");
}


/* a session that lacks its second factor: one token, and no cookie */

static ngx_int_t
ngx_http_iot_tb_partial(ngx_http_iot_call_t *call, ngx_iot_json_field_t *fields)
{
    u_char     *p;
    ngx_int_t   lifetime;
    ngx_str_t   json, token, *scope;

    scope = &fields[NGX_HTTP_IOT_TB_SCOPE].raw;

    lifetime = ngx_atoi(fields[NGX_HTTP_IOT_TB_LIFETIME].text.data,
                        fields[NGX_HTTP_IOT_TB_LIFETIME].text.len);

    if (lifetime == NGX_ERROR
        || ngx_http_iot_tb_access_token(fields, lifetime, &token, call->pool)
           != NGX_OK)
    {
        goto failed;
    }

    p = ngx_pnalloc(call->pool,
                    sizeof("{\"token\":\"\",\"refreshToken\":null,"
                           "\"scope\":}")
                    + token.len + scope->len);
    if (p == NULL) {
        goto failed;
    }

    json.data = p;
    json.len = ngx_sprintf(p, "{\"token\":\"%V\",\"refreshToken\":null,"
                           "\"scope\":%V}", &token, scope)
               - p;

    return ngx_http_iot_call_json(call, NGX_HTTP_OK, &json);

failed:

    return ngx_http_iot_call_fail(call, NGX_HTTP_INTERNAL_SERVER_ERROR,
                                  "general", "Internal server error");
}


/* of a gatekeeper, that asks for no other token while the session lasts */

static ngx_int_t
ngx_http_iot_tb_cookie(ngx_http_iot_call_t *call, ngx_iot_json_field_t *fields)
{
    ngx_str_t  token;

    if (!ngx_http_iot_cookie_wanted(call->request)) {
        return NGX_OK;
    }

    if (ngx_http_iot_tb_access_token(fields, ngx_iot_settings.refresh, &token,
                                     call->pool)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_iot_cookie_set(call->request, &token);
}


static ngx_int_t
ngx_http_iot_tb_access_token(ngx_iot_json_field_t *fields, int64_t lifetime,
    ngx_str_t *token, ngx_pool_t *pool)
{
    u_char                *p;
    int64_t                now;
    ngx_str_t              claims;
    ngx_iot_json_field_t  *f;

    p = ngx_pnalloc(pool, ngx_http_iot_tb_claims_size(fields));
    if (p == NULL) {
        return NGX_ERROR;
    }

    claims.data = p;

    f = fields;
    now = (int64_t) ngx_time();

    *p++ = '{';
    p = ngx_http_iot_tb_claim(p, "sub", &f[NGX_HTTP_IOT_TB_SUB]);
    *p++ = ',';
    p = ngx_http_iot_tb_claim(p, "userId", &f[NGX_HTTP_IOT_TB_USER]);
    p = ngx_sprintf(p, ",\"scopes\":[%V],", &f[NGX_HTTP_IOT_TB_SCOPE].raw);
    p = ngx_http_iot_tb_claim(p, "sessionId", &f[NGX_HTTP_IOT_TB_SESSION]);
    p = ngx_sprintf(p, ",\"exp\":%L,\"iss\":\"%V\",\"iat\":%L",
                    now + lifetime,
                    &ngx_iot_settings.issuer, now);

    if (f[NGX_HTTP_IOT_TB_FIRST].token == NGX_IOT_JSON_STRING
        && f[NGX_HTTP_IOT_TB_FIRST].text.len)
    {
        *p++ = ',';
        p = ngx_http_iot_tb_claim(p, "firstName", &f[NGX_HTTP_IOT_TB_FIRST]);
    }

    if (f[NGX_HTTP_IOT_TB_LAST].token == NGX_IOT_JSON_STRING
        && f[NGX_HTTP_IOT_TB_LAST].text.len)
    {
        *p++ = ',';
        p = ngx_http_iot_tb_claim(p, "lastName", &f[NGX_HTTP_IOT_TB_LAST]);
    }

    p = ngx_sprintf(p, ",\"enabled\":%s,\"isPublic\":%s,",
                    f[NGX_HTTP_IOT_TB_ENABLED].token == NGX_IOT_JSON_FALSE
                    ? "false" : "true",
                    f[NGX_HTTP_IOT_TB_IS_PUBLIC].token == NGX_IOT_JSON_TRUE
                    ? "true" : "false");
    p = ngx_http_iot_tb_claim(p, "tenantId", &f[NGX_HTTP_IOT_TB_TENANT]);
    *p++ = ',';
    p = ngx_http_iot_tb_claim(p, "customerId", &f[NGX_HTTP_IOT_TB_CUSTOMER]);
    *p++ = '}';

    claims.len = p - claims.data;

    return ngx_iot_jwt_make(&claims, token, pool);
}


static ngx_int_t
ngx_http_iot_tb_refresh_token(ngx_iot_json_field_t *fields, ngx_str_t *token,
    ngx_pool_t *pool)
{
    u_char                *p, uuid[NGX_IOT_UUID_SIZE];
    int64_t                now;
    ngx_str_t              claims;
    ngx_iot_json_field_t  *f;

    p = ngx_pnalloc(pool, ngx_http_iot_tb_claims_size(fields));
    if (p == NULL) {
        return NGX_ERROR;
    }

    claims.data = p;

    f = fields;
    now = (int64_t) ngx_time();

    *p++ = '{';
    p = ngx_http_iot_tb_claim(p, "sub", &f[NGX_HTTP_IOT_TB_SUB]);
    *p++ = ',';
    p = ngx_http_iot_tb_claim(p, "userId", &f[NGX_HTTP_IOT_TB_USER]);
    p = ngx_cpymem(p, ",\"scopes\":[\"REFRESH_TOKEN\"],",
                   sizeof(",\"scopes\":[\"REFRESH_TOKEN\"],") - 1);
    p = ngx_http_iot_tb_claim(p, "sessionId", &f[NGX_HTTP_IOT_TB_SESSION]);
    p = ngx_sprintf(p, ",\"isPublic\":%s,\"iss\":\"%V\",\"iat\":%L,"
                    "\"exp\":%L,\"jti\":\"",
                    f[NGX_HTTP_IOT_TB_IS_PUBLIC].token == NGX_IOT_JSON_TRUE
                    ? "true" : "false",
                    &ngx_iot_settings.issuer, now,
                    now + ngx_iot_settings.refresh);

    ngx_iot_uuid_random(uuid);
    p = ngx_iot_uuid_text(p, uuid);

    *p++ = '"';
    *p++ = '}';

    claims.len = p - claims.data;

    return ngx_iot_jwt_make(&claims, token, pool);
}


/* values stay the JSON text that they are */

static u_char *
ngx_http_iot_tb_claim(u_char *p, char *name, ngx_iot_json_field_t *field)
{
    return ngx_sprintf(p, "\"%s\":%V", name, &field->raw);
}


static size_t
ngx_http_iot_tb_claims_size(ngx_iot_json_field_t *fields)
{
    size_t      len;
    ngx_uint_t  i;

    len = 256 + 2 * NGX_INT64_LEN + NGX_IOT_UUID_LEN
          + ngx_iot_settings.issuer.len;

    for (i = 0; i < NGX_HTTP_IOT_TB_MEMBERS; i++) {
        len += fields[i].raw.len;
    }

    return len;
}
