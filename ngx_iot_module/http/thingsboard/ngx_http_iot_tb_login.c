
/*
 * Copyright (C) the ngx_iot authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "../../codec/ngx_iot_utf8.h"
#include "../../core/ngx_iot_metrics.h"
#include "ngx_http_iot_tb_auth.h"


#define NGX_HTTP_IOT_TB_EMAIL  1020      /* 255 characters */
#define NGX_HTTP_IOT_TB_AGENT  1024


static ngx_int_t ngx_http_iot_tb_copy(ngx_http_iot_call_t *call, PGresult *res,
    int column, ngx_str_t *value);
static ngx_int_t ngx_http_iot_tb_login_start(ngx_http_iot_call_t *call);
static void ngx_http_iot_tb_login_found(ngx_http_iot_call_t *call);
static void ngx_http_iot_tb_login_hashed(ngx_http_iot_call_t *call,
    ngx_int_t rc, ngx_str_t *hash);
static ngx_int_t ngx_http_iot_tb_login_passed(ngx_http_iot_call_t *call,
    ngx_str_t *hash);
static ngx_int_t ngx_http_iot_tb_login_failed(ngx_http_iot_call_t *call);
static void ngx_http_iot_tb_login_counted(ngx_http_iot_call_t *call);
static void ngx_http_iot_tb_login_expired(ngx_http_iot_call_t *call);
static void ngx_http_iot_tb_login_done(ngx_http_iot_call_t *call);


static ngx_iot_db_stmt_t  ngx_http_iot_tb_find_stmt = ngx_iot_db_stmt(
    "SELECT user_id, password_hash, enabled, activated, locked, expired,"
    " familiar FROM iot.login_find($1, $2)");

static ngx_iot_db_stmt_t  ngx_http_iot_tb_expired_stmt = ngx_iot_db_stmt(
    "SELECT iot.password_expired($1, $2)");

static ngx_iot_db_stmt_t  ngx_http_iot_tb_failed_stmt = ngx_iot_db_stmt(
    "SELECT iot.login_failed($1, $2, $3)");

static ngx_iot_db_stmt_t  ngx_http_iot_tb_done_stmt = ngx_iot_db_stmt(
    "SELECT iot.login_done($1, $2, $3, $4)");


ngx_int_t
ngx_http_iot_tb_login(ngx_http_iot_call_t *call)
{
    ngx_int_t                rc;
    ngx_http_iot_tb_auth_t  *ctx;
    ngx_iot_json_field_t     fields[] = {
        ngx_http_iot_tb_field("username"),
        ngx_http_iot_tb_field("password")
    };

    ctx = ngx_http_iot_tb_auth_create(call);
    if (ctx == NULL) {
        return NGX_ERROR;
    }

    rc = ngx_http_iot_tb_auth_body(call, fields, 2);

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (rc != NGX_OK) {
        return ngx_http_iot_tb_unauthorized(call, "Authentication failed");
    }

    ctx->email = fields[0].text;
    ctx->password = fields[1].text;

    /* as the database does, or blanks would be a way around the limit */

    while (ctx->email.len && ctx->email.data[0] == ' ') {
        ctx->email.data++;
        ctx->email.len--;
    }

    while (ctx->email.len && ctx->email.data[ctx->email.len - 1] == ' ') {
        ctx->email.len--;
    }

    return ngx_http_iot_tb_auth_begin(call, ngx_http_iot_tb_login_start);
}


static ngx_int_t
ngx_http_iot_tb_login_start(ngx_http_iot_call_t *call)
{
    ngx_int_t                rc;
    ngx_str_t               *params[2];
    ngx_http_iot_tb_auth_t  *ctx;

    ctx = call->ctx;

    rc = ngx_http_iot_tb_login_admit(call);
    if (rc != NGX_OK) {
        return rc;
    }

    if (ctx->email.len > NGX_HTTP_IOT_TB_EMAIL
        || ctx->password.len > NGX_IOT_PASSWORD_MAX)
    {
        /* nobody has such a name or password: that tells nothing */
        ngx_iot_count(logins_failed);
        return ngx_http_iot_tb_unauthorized(call,
                                            "Invalid username or password");
    }

    params[0] = &ctx->email;
    params[1] = ngx_http_iot_call_address(call);

    return ngx_http_iot_tb_auth_send(call, &ngx_http_iot_tb_find_stmt, params,
                                     2, ngx_http_iot_tb_login_found);
}


static void
ngx_http_iot_tb_login_found(ngx_http_iot_call_t *call)
{
    PGresult                *res;
    ngx_int_t                rc;
    ngx_str_t                hash;
    ngx_http_iot_tb_auth_t  *ctx;

    ctx = call->ctx;

    if (call->db->rc != NGX_OK) {
        ngx_http_iot_tb_login_forgive(call);
        (void) ngx_http_iot_call_err(call, &call->db->error);
        return;
    }

    res = call->db->result;
    ngx_str_null(&hash);

    if (PQntuples(res) == 1) {

        if (ngx_http_iot_tb_copy(call, res, 0, &ctx->user) != NGX_OK) {
            (void) ngx_http_iot_tb_no_memory(call);
            return;
        }

        hash.data = (u_char *) PQgetvalue(res, 0, 1);
        hash.len = PQgetlength(res, 0, 1);

        ctx->enabled = PQgetvalue(res, 0, 2)[0] == 't';
        ctx->activated = PQgetvalue(res, 0, 3)[0] == 't';
        ctx->locked = PQgetvalue(res, 0, 4)[0] == 't';
        ctx->expired = PQgetvalue(res, 0, 5)[0] == 't';
        ctx->familiar = PQgetvalue(res, 0, 6)[0] == 't';
    }

    if (!ctx->familiar
        && ngx_http_iot_tb_login_admit_stranger(call) != NGX_OK)
    {
        return;
    }

    ctx->hashed = ngx_http_iot_tb_login_hashed;

    rc = ngx_iot_password_verify(&ctx->password, hash.len ? &hash : NULL,
                                 ngx_http_iot_tb_auth_hashed, call, &ctx->job);

    if (rc != NGX_OK) {
        ngx_http_iot_tb_login_forgive(call);
    }

    (void) ngx_http_iot_tb_auth_hashing(call, rc);
}


static void
ngx_http_iot_tb_login_hashed(ngx_http_iot_call_t *call, ngx_int_t rc,
    ngx_str_t *hash)
{
    ngx_http_iot_tb_auth_t *ctx = call->ctx;

    if (ctx->user.len && !ctx->activated) {
        ngx_iot_count(logins_failed);
        (void) ngx_http_iot_tb_unauthorized(call,
                                            "User account is not active");
        return;
    }

    if (rc != NGX_OK) {
        (void) ngx_http_iot_tb_login_failed(call);
        return;
    }

    (void) ngx_http_iot_tb_login_passed(call, hash);
}


/* what is said of the account is said to those who know its password */

static ngx_int_t
ngx_http_iot_tb_login_passed(ngx_http_iot_call_t *call, ngx_str_t *hash)
{
    ngx_int_t                rc;
    ngx_str_t               *params[4];
    ngx_iot_error_t          err;
    ngx_http_iot_tb_auth_t  *ctx;

    ctx = call->ctx;

    if (ctx->locked || !ctx->enabled) {
        ngx_iot_count(logins_failed);

        return ngx_http_iot_tb_unauthorized(call, ctx->locked
                        ? "User account is locked due to security policy"
                        : "User account is not active");
    }

    if (ngx_iot_settings.force_policy) {
        ngx_iot_error_set(&err, NGX_HTTP_UNAUTHORIZED, "password_violation",
                          "");

        rc = ngx_http_iot_tb_policy(&ctx->password, &err.message, call->pool);

        if (rc == NGX_DECLINED) {
            return ngx_http_iot_call_err(call, &err);
        }

        if (rc != NGX_OK) {
            return ngx_http_iot_tb_no_memory(call);
        }
    }

    params[0] = &ctx->user;
    params[1] = ngx_http_iot_call_address(call);

    if (ctx->expired) {
        return ngx_http_iot_tb_auth_send(call, &ngx_http_iot_tb_expired_stmt,
                                         params, 2,
                                         ngx_http_iot_tb_login_expired);
    }

    params[2] = ngx_http_iot_tb_agent(call);
    params[3] = hash->len ? hash : NULL;

    return ngx_http_iot_tb_auth_send(call, &ngx_http_iot_tb_done_stmt, params,
                                     4, ngx_http_iot_tb_login_done);
}


/* too old: the client is given what a new one can be set with */

static void
ngx_http_iot_tb_login_expired(ngx_http_iot_call_t *call)
{
    u_char           *p;
    ngx_str_t         token;
    ngx_iot_error_t   err;

    ngx_http_iot_tb_login_forgive(call);

    if (call->db->rc != NGX_OK) {
        (void) ngx_http_iot_call_err(call, &call->db->error);
        return;
    }

    ngx_iot_count(logins_failed);

    ngx_iot_error_set(&err, NGX_HTTP_UNAUTHORIZED, "credentials_expired",
                      "User password expired!");

    token.data = (u_char *) PQgetvalue(call->db->result, 0, 0);
    token.len = PQgetlength(call->db->result, 0, 0);

    p = ngx_pnalloc(call->pool, sizeof("{\"resetToken\":\"\"}") + token.len);
    if (p == NULL) {
        (void) ngx_http_iot_tb_no_memory(call);
        return;
    }

    err.fields.data = p;
    err.fields.len = ngx_sprintf(p, "{\"resetToken\":\"%V\"}", &token) - p;

    (void) ngx_http_iot_call_err(call, &err);
}


static void
ngx_http_iot_tb_login_done(ngx_http_iot_call_t *call)
{
    ngx_http_iot_tb_login_forgive(call);

    if (call->db->rc == NGX_OK) {
        ngx_iot_count(logins);
    }

    ngx_http_iot_tb_auth_pair(call);
}


/* asked also when there is no such user: it takes the same time */

static ngx_int_t
ngx_http_iot_tb_login_failed(ngx_http_iot_call_t *call)
{
    ngx_str_t               *params[3];
    ngx_http_iot_tb_auth_t  *ctx;

    static ngx_str_t  reason = ngx_string("Invalid username or password");

    ctx = call->ctx;

    ngx_iot_count(logins_failed);

    params[0] = &ctx->email;
    params[1] = ngx_http_iot_call_address(call);
    params[2] = &reason;

    return ngx_http_iot_tb_auth_send(call, &ngx_http_iot_tb_failed_stmt,
                                     params, 3, ngx_http_iot_tb_login_counted);
}


static void
ngx_http_iot_tb_login_counted(ngx_http_iot_call_t *call)
{
    ngx_iot_db_call_t  *db;

    db = call->db;

    if (db->rc != NGX_OK) {
        (void) ngx_http_iot_call_err(call, &db->error);
        return;
    }

    (void) ngx_http_iot_tb_unauthorized(call,
                        PQgetvalue(db->result, 0, 0)[0] == 't'
                        ? "User account is locked due to security policy"
                        : "Invalid username or password");
}


static ngx_int_t
ngx_http_iot_tb_copy(ngx_http_iot_call_t *call, PGresult *res, int column,
    ngx_str_t *value)
{
    value->len = PQgetlength(res, 0, column);

    value->data = ngx_pnalloc(call->pool, value->len + 1);
    if (value->data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(value->data, PQgetvalue(res, 0, column), value->len + 1);

    return NGX_OK;
}


ngx_str_t *
ngx_http_iot_tb_agent(ngx_http_iot_call_t *call)
{
    ngx_table_elt_t  *h;

    h = call->request->headers_in.user_agent;

    if (h == NULL || h->value.len == 0
        || h->value.len > NGX_HTTP_IOT_TB_AGENT
        || ngx_iot_utf8_check(h->value.data, h->value.len) != NGX_OK
        || ngx_strlchr(h->value.data, h->value.data + h->value.len, '\0'))
    {
        return NULL;
    }

    return &h->value;
}


/* the API answers a login by GET so, where other paths answer 405 */

ngx_int_t
ngx_http_iot_tb_login_method(ngx_http_iot_call_t *call)
{
    return ngx_http_iot_call_fail(call, NGX_HTTP_UNAUTHORIZED,
                                  "authentication",
                                  "Authentication method not supported");
}
