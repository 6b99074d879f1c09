
/*
 * Copyright (C) the ngx_iot authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "../../codec/ngx_iot_id.h"
#include "ngx_http_iot_tb_auth.h"


static ngx_int_t ngx_http_iot_tb_change_start(ngx_http_iot_call_t *call);
static void ngx_http_iot_tb_change_found(ngx_http_iot_call_t *call);
static void ngx_http_iot_tb_change_verified(ngx_http_iot_call_t *call,
    ngx_int_t rc, ngx_str_t *hash);
static ngx_int_t ngx_http_iot_tb_change_hashed(ngx_http_iot_call_t *call);


static ngx_iot_db_stmt_t  ngx_http_iot_tb_hash_stmt = ngx_iot_db_stmt(
    "SELECT hash, days FROM iot.password_former($1)");

static ngx_iot_db_stmt_t  ngx_http_iot_tb_change_stmt = ngx_iot_db_stmt(
    "SELECT iot.password_change($1, $2)");


ngx_int_t
ngx_http_iot_tb_change_password(ngx_http_iot_call_t *call)
{
    ngx_int_t                rc;
    ngx_http_iot_tb_auth_t  *ctx;
    ngx_iot_json_field_t     fields[] = {
        ngx_http_iot_tb_field("currentPassword"),
        ngx_http_iot_tb_field("newPassword")
    };

    if (!call->principal.has_user) {
        return ngx_http_iot_call_fail(call, NGX_HTTP_FORBIDDEN,
                                      "permission_denied",
                                      "You don't have permission to perform "
                                      "this operation!");
    }

    ctx = ngx_http_iot_tb_auth_create(call);
    if (ctx == NULL) {
        return NGX_ERROR;
    }

    rc = ngx_http_iot_tb_auth_body(call, fields, 2);

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (rc != NGX_OK) {
        return ngx_http_iot_call_fail(call, NGX_HTTP_BAD_REQUEST,
                         "bad_request", fields[0].text.len == 0
                         ? "Parameter 'currentPassword' can't be empty!"
                         : "Parameter 'newPassword' can't be empty!");
    }

    ctx->email = call->principal.name;
    ctx->password = fields[0].text;
    ctx->new_password = fields[1].text;

    return ngx_http_iot_tb_auth_begin(call, ngx_http_iot_tb_change_start);
}


static ngx_int_t
ngx_http_iot_tb_change_start(ngx_http_iot_call_t *call)
{
    ngx_int_t           rc;
    ngx_str_t           principal;
    ngx_iot_db_call_t  *db;

    /* a stolen session must not be a way to guess the password */

    rc = ngx_http_iot_tb_login_admit(call);
    if (rc != NGX_OK) {
        return rc;
    }

    db = ngx_http_iot_call_db_create(call, NGX_IOT_DB_CALL,
                                     &ngx_http_iot_tb_hash_stmt);

    if (db == NULL
        || ngx_iot_principal_text(&call->principal,
                                  ngx_http_iot_call_address(call), &principal,
                                  db->pool)
           != NGX_OK)
    {
        return ngx_http_iot_tb_no_memory(call);
    }

    ngx_iot_db_param(db, principal.data, principal.len, 0);

    return ngx_http_iot_call_db_send(call, ngx_http_iot_tb_change_found);
}


static void
ngx_http_iot_tb_change_found(ngx_http_iot_call_t *call)
{
    ngx_int_t                rc;
    ngx_str_t                hash;
    ngx_iot_db_call_t       *db;
    ngx_http_iot_tb_auth_t  *ctx;

    db = call->db;
    ctx = call->ctx;

    if (db->rc != NGX_OK) {
        (void) ngx_http_iot_call_err(call, &db->error);
        return;
    }

    ngx_str_null(&hash);

    if (PQntuples(db->result)) {
        hash.data = (u_char *) PQgetvalue(db->result, 0, 0);
        hash.len = PQgetlength(db->result, 0, 0);
    }

    if (ngx_http_iot_tb_former_keep(call, db->result) != NGX_OK) {
        (void) ngx_http_iot_tb_no_memory(call);
        return;
    }

    ctx->hashed = ngx_http_iot_tb_change_verified;

    rc = ngx_iot_password_verify(&ctx->password, hash.len ? &hash : NULL,
                                 ngx_http_iot_tb_auth_hashed, call, &ctx->job);

    (void) ngx_http_iot_tb_auth_hashing(call, rc);
}


static void
ngx_http_iot_tb_change_verified(ngx_http_iot_call_t *call, ngx_int_t rc,
    ngx_str_t *hash)
{
    if (rc != NGX_OK) {
        (void) ngx_http_iot_call_fail(call, NGX_HTTP_BAD_REQUEST,
                                      "bad_request",
                                      "Current password doesn't match!");
        return;
    }

    ngx_http_iot_tb_login_forgive(call);

    ngx_http_iot_tb_new_password(call, ngx_http_iot_tb_change_hashed);
}


static ngx_int_t
ngx_http_iot_tb_change_hashed(ngx_http_iot_call_t *call)
{
    ngx_str_t                principal;
    ngx_iot_db_call_t       *db;
    ngx_http_iot_tb_auth_t  *ctx;

    ctx = call->ctx;

    db = ngx_http_iot_call_db_create(call, NGX_IOT_DB_CALL,
                                     &ngx_http_iot_tb_change_stmt);

    if (db == NULL
        || ngx_iot_principal_text(&call->principal,
                                  ngx_http_iot_call_address(call), &principal,
                                  db->pool)
           != NGX_OK)
    {
        return ngx_http_iot_tb_no_memory(call);
    }

    ngx_iot_db_param(db, principal.data, principal.len, 0);

    if (ngx_iot_db_text(db, &ctx->hash) != NGX_OK) {
        return ngx_http_iot_tb_no_memory(call);
    }

    return ngx_http_iot_call_db_send(call, ngx_http_iot_tb_auth_pair);
}
