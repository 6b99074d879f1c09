
/*
 * Copyright (C) the ngx_iot authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "../../codec/ngx_iot_id.h"
#include "../../core/ngx_iot_metrics.h"
#include "ngx_http_iot_tb_auth.h"


static ngx_int_t ngx_http_iot_tb_public_start(ngx_http_iot_call_t *call);
static ngx_int_t ngx_http_iot_tb_token_start(ngx_http_iot_call_t *call);
static ngx_int_t ngx_http_iot_tb_session_start(ngx_http_iot_call_t *call);
static void ngx_http_iot_tb_logout_done(ngx_http_iot_call_t *call);


static ngx_iot_db_stmt_t  ngx_http_iot_tb_public_stmt = ngx_iot_db_stmt(
    "SELECT iot.login_public($1)");

static ngx_iot_db_stmt_t  ngx_http_iot_tb_refresh_stmt = ngx_iot_db_stmt(
    "SELECT iot.session_refresh($1, $2, $3)");

static ngx_iot_db_stmt_t  ngx_http_iot_tb_logout_stmt = ngx_iot_db_stmt(
    "SELECT iot.logout($1, $2, $3)");


ngx_int_t
ngx_http_iot_tb_login_public(ngx_http_iot_call_t *call)
{
    u_char                   uuid[NGX_IOT_UUID_SIZE];
    ngx_int_t                rc;
    ngx_http_iot_tb_auth_t  *ctx;
    ngx_iot_json_field_t     fields[] = {
        ngx_http_iot_tb_field("publicId")
    };

    ctx = ngx_http_iot_tb_auth_create(call);
    if (ctx == NULL) {
        return NGX_ERROR;
    }

    rc = ngx_http_iot_tb_auth_body(call, fields, 1);

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (rc != NGX_OK) {
        return ngx_http_iot_tb_unauthorized(call, "Authentication failed");
    }

    if (ngx_iot_uuid_parse(uuid, fields[0].text.data, fields[0].text.len)
        != NGX_OK)
    {
        return ngx_http_iot_tb_unauthorized(call,
                                            "Invalid username or password");
    }

    ctx->user = fields[0].text;

    return ngx_http_iot_tb_auth_begin(call, ngx_http_iot_tb_public_start);
}


static ngx_int_t
ngx_http_iot_tb_public_start(ngx_http_iot_call_t *call)
{
    ngx_str_t               *params[1], key;
    ngx_uint_t               seconds;
    ngx_iot_error_t          err;
    ngx_http_iot_tb_auth_t  *ctx;

    ctx = call->ctx;

    /* each makes a session: that is not for free */

    ngx_http_iot_tb_address_key(call, &key);

    if (ngx_iot_limit_take(&ngx_iot_settings.login_public, "login public",
                           &key, 1, &seconds)
        != NGX_OK)
    {
        ngx_iot_count(logins_throttled);

        ngx_iot_error_set(&err, NGX_HTTP_TOO_MANY_REQUESTS,
                          "too_many_requests", "Too many logins");
        err.retry_after = seconds;

        return ngx_http_iot_call_err(call, &err);
    }

    params[0] = &ctx->user;

    return ngx_http_iot_tb_auth_send(call, &ngx_http_iot_tb_public_stmt,
                                     params, 1, ngx_http_iot_tb_auth_pair);
}


ngx_int_t
ngx_http_iot_tb_token(ngx_http_iot_call_t *call)
{
    ngx_int_t                rc;
    ngx_http_iot_tb_auth_t  *ctx;
    ngx_iot_json_field_t     fields[] = {
        ngx_http_iot_tb_field("refreshToken")
    };

    ctx = ngx_http_iot_tb_auth_create(call);
    if (ctx == NULL) {
        return NGX_ERROR;
    }

    rc = ngx_http_iot_tb_auth_body(call, fields, 1);

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (rc != NGX_OK) {
        return ngx_http_iot_tb_unauthorized(call, "Authentication failed");
    }

    ctx->key = fields[0].text;

    return ngx_http_iot_tb_auth_begin(call, ngx_http_iot_tb_token_start);
}


static ngx_int_t
ngx_http_iot_tb_token_start(ngx_http_iot_call_t *call)
{
    u_char                   text[NGX_INT64_LEN];
    ngx_int_t                rc;
    ngx_str_t               *params[3], user, session, issued;
    ngx_http_iot_tb_auth_t  *ctx;

    ctx = call->ctx;

    rc = ngx_iot_jwt_verify(&ctx->key, &ctx->jwt);

    if (rc == NGX_ABORT) {
        return ngx_http_iot_call_fail(call, NGX_HTTP_UNAUTHORIZED,
                                      "token_expired", "Token has expired");
    }

    if (rc != NGX_OK) {
        return ngx_http_iot_tb_unauthorized(call,
                                            "Invalid username or password");
    }

    if (!ctx->jwt.refresh) {
        return ngx_http_iot_tb_unauthorized(call, "Authentication failed");
    }

    user.data = ctx->jwt.user;
    user.len = NGX_IOT_UUID_LEN;
    session.data = ctx->jwt.session;
    session.len = NGX_IOT_UUID_LEN;
    issued.data = text;
    issued.len = ngx_sprintf(text, "%L", ctx->jwt.issued) - text;

    params[0] = ctx->jwt.is_public ? NULL : &user;
    params[1] = &session;
    params[2] = &issued;

    return ngx_http_iot_tb_auth_send(call, &ngx_http_iot_tb_refresh_stmt,
                                     params, 3, ngx_http_iot_tb_auth_pair);
}


ngx_int_t
ngx_http_iot_tb_logout(ngx_http_iot_call_t *call)
{
    ngx_str_t            *params[3], user, session;
    ngx_iot_principal_t  *p;

    p = &call->principal;

    user.data = p->user;
    user.len = NGX_IOT_UUID_LEN;
    session.data = p->session;
    session.len = NGX_IOT_UUID_LEN;

    params[0] = p->has_session ? &session : NULL;
    params[1] = p->has_user ? &user : NULL;
    params[2] = ngx_http_iot_call_address(call);

    return ngx_http_iot_tb_auth_send(call, &ngx_http_iot_tb_logout_stmt,
                                     params, 3, ngx_http_iot_tb_logout_done);
}


static void
ngx_http_iot_tb_logout_done(ngx_http_iot_call_t *call)
{
    if (call->db->rc != NGX_OK) {
        (void) ngx_http_iot_call_err(call, &call->db->error);
        return;
    }

    (void) ngx_http_iot_call_empty(call, NGX_HTTP_OK);
}


ngx_int_t
ngx_http_iot_tb_session(ngx_http_iot_call_t *call)
{
    ngx_http_iot_tb_auth_t  *ctx;

    ctx = ngx_http_iot_tb_auth_create(call);
    if (ctx == NULL || ngx_http_iot_tb_base(call) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_iot_tb_auth_begin(call, ngx_http_iot_tb_session_start);
}


static ngx_int_t
ngx_http_iot_tb_session_start(ngx_http_iot_call_t *call)
{
    return ngx_http_iot_call_sql_next(call, NULL, ngx_http_iot_tb_auth_pair);
}
