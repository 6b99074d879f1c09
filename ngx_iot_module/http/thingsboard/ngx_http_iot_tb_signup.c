
/*
 * Copyright (C) the ngx_iot authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "../ngx_http_iot_module.h"
#include "ngx_http_iot_tb_auth.h"


/*
 * Self-registration: the password is checked and hashed here, whoever asks, so
 * that the time of an answer does not tell which addresses have accounts.
 */

#define NGX_HTTP_IOT_TB_SIGNUP_DEPTH  8
#define NGX_HTTP_IOT_TB_SIGNUP_KNOWN  7


static ngx_int_t ngx_http_iot_tb_signup_fields(ngx_http_iot_call_t *call,
    ngx_http_iot_tb_auth_t *ctx);
static ngx_int_t ngx_http_iot_tb_signup_keep(ngx_http_iot_call_t *call,
    ngx_http_iot_tb_auth_t *ctx, ngx_iot_json_field_t *fields);
static ngx_int_t ngx_http_iot_tb_signup_start(ngx_http_iot_call_t *call);
static ngx_int_t ngx_http_iot_tb_signup_hashed(ngx_http_iot_call_t *call);
static ngx_int_t ngx_http_iot_tb_new_session_start(ngx_http_iot_call_t *call);
static void ngx_http_iot_tb_new_session_done(ngx_http_iot_call_t *call);


ngx_int_t
ngx_http_iot_tb_signup(ngx_http_iot_call_t *call)
{
    ngx_int_t                rc;
    ngx_str_t                key;
    ngx_uint_t               seconds;
    ngx_iot_error_t          err;
    ngx_http_iot_tb_auth_t  *ctx;

    ctx = ngx_http_iot_tb_auth_create(call);
    if (ctx == NULL) {
        return NGX_ERROR;
    }

    ctx->former = ngx_array_create(call->pool, 1, sizeof(ngx_str_t));
    if (ctx->former == NULL) {
        return NGX_ERROR;
    }

    ngx_http_iot_tb_address_key(call, &key);

    if (ngx_iot_limit_take(&ngx_iot_settings.login_address, "signup address",
                           &key, 1, &seconds)
        != NGX_OK)
    {
        ngx_iot_error_set(&err, NGX_HTTP_TOO_MANY_REQUESTS,
                          "too_many_requests", "Too many requests");
        err.retry_after = seconds;

        return ngx_http_iot_call_err(call, &err);
    }

    rc = ngx_http_iot_tb_signup_fields(call, ctx);

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (rc == NGX_DECLINED) {
        return ngx_http_iot_call_fail(call, NGX_HTTP_BAD_REQUEST,
                                      "bad_request",
                                      "Malformed JSON request body");
    }

    if (ctx->new_password.len == 0) {
        return ngx_http_iot_call_fail(call, NGX_HTTP_BAD_REQUEST,
                                      "bad_request",
                                      "Password should be specified!");
    }

    return ngx_http_iot_tb_auth_begin(call, ngx_http_iot_tb_signup_start);
}


/* what a client sends: all in one object, or most of it in "fields" */

static ngx_int_t
ngx_http_iot_tb_signup_fields(ngx_http_iot_call_t *call,
    ngx_http_iot_tb_auth_t *ctx)
{
    ngx_int_t              rc;
    ngx_uint_t             i;
    ngx_iot_alloc_t        alloc;
    ngx_iot_json_field_t   fields[] = {
        ngx_http_iot_tb_field("email"),
        ngx_http_iot_tb_field("firstName"),
        ngx_http_iot_tb_field("lastName"),
        ngx_http_iot_tb_field("phone"),
        ngx_http_iot_tb_field("recaptchaResponse"),
        ngx_http_iot_tb_field("invitation"),
        ngx_http_iot_tb_field("password"),
        ngx_http_iot_tb_field("fields")
    };
    ngx_iot_json_field_t   inner[] = {
        ngx_http_iot_tb_field("EMAIL"),
        ngx_http_iot_tb_field("FIRST_NAME"),
        ngx_http_iot_tb_field("LAST_NAME"),
        ngx_http_iot_tb_field("PHONE"),
        ngx_http_iot_tb_field("RECAPTCHA_RESPONSE"),
        ngx_http_iot_tb_field("INVITATION"),
        ngx_http_iot_tb_field("PASSWORD")
    };

    alloc.alloc = ngx_http_iot_alloc;
    alloc.data = call->pool;

    rc = ngx_iot_json_fields(&call->body, &alloc, NGX_HTTP_IOT_TB_SIGNUP_DEPTH,
                             fields, NGX_HTTP_IOT_TB_SIGNUP_KNOWN + 1, NULL);

    if (rc != NGX_OK) {
        return rc;
    }

    if (fields[NGX_HTTP_IOT_TB_SIGNUP_KNOWN].token == NGX_IOT_JSON_OBJECT) {

        rc = ngx_iot_json_fields(&fields[NGX_HTTP_IOT_TB_SIGNUP_KNOWN].raw,
                                 &alloc, NGX_HTTP_IOT_TB_SIGNUP_DEPTH, inner,
                                 NGX_HTTP_IOT_TB_SIGNUP_KNOWN, NULL);

        if (rc != NGX_OK) {
            return rc;
        }

        for (i = 0; i < NGX_HTTP_IOT_TB_SIGNUP_KNOWN; i++) {
            if (inner[i].token == NGX_IOT_JSON_STRING) {
                inner[i].name = fields[i].name;
                fields[i] = inner[i];
            }
        }
    }

    return ngx_http_iot_tb_signup_keep(call, ctx, fields);
}


/* ctx->key: the body of the function, up to the hash; without the password */

static ngx_int_t
ngx_http_iot_tb_signup_keep(ngx_http_iot_call_t *call,
    ngx_http_iot_tb_auth_t *ctx, ngx_iot_json_field_t *fields)
{
    u_char      *p;
    size_t       len;
    ngx_uint_t   i;

    len = 1;

    for (i = 0; i < NGX_HTTP_IOT_TB_SIGNUP_KNOWN - 1; i++) {
        if (fields[i].token == NGX_IOT_JSON_STRING) {
            len += sizeof("\"\":\"\",") - 1 + fields[i].name.len
                   + ngx_iot_json_escape_size(fields[i].text.data,
                                              fields[i].text.len);
        }
    }

    p = ngx_pnalloc(call->pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ctx->key.data = p;
    *p++ = '{';

    for (i = 0; i < NGX_HTTP_IOT_TB_SIGNUP_KNOWN - 1; i++) {

        if (fields[i].token != NGX_IOT_JSON_STRING) {
            continue;
        }

        *p++ = '"';
        p = ngx_cpymem(p, fields[i].name.data, fields[i].name.len);
        p = ngx_cpymem(p, "\":\"", sizeof("\":\"") - 1);
        p = ngx_iot_json_escape(p, fields[i].text.data, fields[i].text.len);
        *p++ = '"';
        *p++ = ',';
    }

    ctx->key.len = p - ctx->key.data;

    if (fields[i].token == NGX_IOT_JSON_STRING) {
        ctx->new_password = fields[i].text;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_iot_tb_signup_start(ngx_http_iot_call_t *call)
{
    ngx_http_iot_tb_new_password(call, ngx_http_iot_tb_signup_hashed);

    return NGX_DONE;
}


static ngx_int_t
ngx_http_iot_tb_signup_hashed(ngx_http_iot_call_t *call)
{
    u_char                  *p;
    ngx_str_t                body;
    ngx_http_iot_tb_auth_t  *ctx;

    ctx = call->ctx;

    if (ngx_http_iot_tb_base(call) != NGX_OK) {
        return ngx_http_iot_tb_no_memory(call);
    }

    p = ngx_pnalloc(call->pool, ctx->key.len + sizeof("\"_hash\":\"\"}")
                    + ngx_iot_json_escape_size(ctx->hash.data, ctx->hash.len));
    if (p == NULL) {
        return ngx_http_iot_tb_no_memory(call);
    }

    body.data = p;

    p = ngx_cpymem(p, ctx->key.data, ctx->key.len);
    p = ngx_cpymem(p, "\"_hash\":\"", sizeof("\"_hash\":\"") - 1);
    p = ngx_iot_json_escape(p, ctx->hash.data, ctx->hash.len);
    *p++ = '"';
    *p++ = '}';

    body.len = p - body.data;

    /* also for a function that goes on after a helper has answered */

    call->body = body;

    return ngx_http_iot_call_sql(call, NULL, NULL);
}


/*
 * The function of the route gives the object of a session, which the client
 * gets tokens for, or nothing, which is answered as it is.
 */

ngx_int_t
ngx_http_iot_tb_new_session(ngx_http_iot_call_t *call)
{
    if (ngx_http_iot_tb_auth_create(call) == NULL) {
        return NGX_ERROR;
    }

    return ngx_http_iot_tb_auth_begin(call,
                                      ngx_http_iot_tb_new_session_start);
}


static ngx_int_t
ngx_http_iot_tb_new_session_start(ngx_http_iot_call_t *call)
{
    if (ngx_http_iot_tb_base(call) != NGX_OK) {
        return ngx_http_iot_tb_no_memory(call);
    }

    return ngx_http_iot_call_sql_next(call, NULL,
                                      ngx_http_iot_tb_new_session_done);
}


static void
ngx_http_iot_tb_new_session_done(ngx_http_iot_call_t *call)
{
    ngx_iot_db_call_t  *db;

    db = call->db;

    if (db->rc == NGX_OK && PQgetisnull(db->result, 0, 0)) {
        (void) ngx_http_iot_call_empty(call, NGX_HTTP_OK);
        return;
    }

    ngx_http_iot_tb_auth_pair(call);
}
