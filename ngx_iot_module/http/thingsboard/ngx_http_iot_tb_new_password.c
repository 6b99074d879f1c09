
/*
 * Copyright (C) the ngx_iot authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "../ngx_http_iot_module.h"
#include "ngx_http_iot_tb_auth.h"


/*
 * A new password: within the policy, none of those before, hashed.  Who has no
 * session comes with a token of a link for it.
 */

static ngx_int_t ngx_http_iot_tb_link_body(ngx_http_iot_call_t *call,
    char *name);
static ngx_int_t ngx_http_iot_tb_activate_start(ngx_http_iot_call_t *call);
static void ngx_http_iot_tb_activate_found(ngx_http_iot_call_t *call);
static ngx_int_t ngx_http_iot_tb_activate_hashed(ngx_http_iot_call_t *call);
static ngx_int_t ngx_http_iot_tb_reset_start(ngx_http_iot_call_t *call);
static void ngx_http_iot_tb_reset_found(ngx_http_iot_call_t *call);
static ngx_int_t ngx_http_iot_tb_reset_hashed(ngx_http_iot_call_t *call);
static ngx_int_t ngx_http_iot_tb_link_finish(ngx_http_iot_call_t *call,
    ngx_str_t *body);
static void ngx_http_iot_tb_link_found(ngx_http_iot_call_t *call,
    ngx_http_iot_tb_step_pt chosen);
static void ngx_http_iot_tb_former_next(ngx_http_iot_call_t *call);
static void ngx_http_iot_tb_former_verified(ngx_http_iot_call_t *call,
    ngx_int_t rc, ngx_str_t *hash);
static void ngx_http_iot_tb_new_hashed(ngx_http_iot_call_t *call,
    ngx_int_t rc, ngx_str_t *hash);
static void ngx_http_iot_tb_forgotten_done(ngx_iot_db_call_t *db);


static ngx_iot_db_stmt_t  ngx_http_iot_tb_activate_stmt = ngx_iot_db_stmt(
    "SELECT hash, days FROM iot.activation_former($1)");

static ngx_iot_db_stmt_t  ngx_http_iot_tb_reset_stmt = ngx_iot_db_stmt(
    "SELECT hash, days FROM iot.reset_former($1)");

static ngx_iot_db_stmt_t  ngx_http_iot_tb_forgotten_stmt = ngx_iot_db_stmt(
    "SELECT iot.reset_request($1, $2)");


ngx_int_t
ngx_http_iot_tb_activate(ngx_http_iot_call_t *call)
{
    ngx_int_t  rc;

    rc = ngx_http_iot_tb_link_body(call, "activateToken");

    if (rc != NGX_OK) {
        return rc;
    }

    return ngx_http_iot_tb_auth_begin(call, ngx_http_iot_tb_activate_start);
}


ngx_int_t
ngx_http_iot_tb_reset_password(ngx_http_iot_call_t *call)
{
    ngx_int_t  rc;

    rc = ngx_http_iot_tb_link_body(call, "resetToken");

    if (rc != NGX_OK) {
        return rc;
    }

    return ngx_http_iot_tb_auth_begin(call, ngx_http_iot_tb_reset_start);
}


/* the token becomes ctx->key */

static ngx_int_t
ngx_http_iot_tb_link_body(ngx_http_iot_call_t *call, char *name)
{
    u_char                  *p;
    ngx_int_t                rc;
    ngx_iot_error_t          err;
    ngx_http_iot_tb_auth_t  *ctx;
    ngx_iot_json_field_t     fields[] = {
        ngx_http_iot_tb_field(""),
        ngx_http_iot_tb_field("password")
    };

    ctx = ngx_http_iot_tb_auth_create(call);
    if (ctx == NULL) {
        return NGX_ERROR;
    }

    fields[0].name.data = (u_char *) name;
    fields[0].name.len = ngx_strlen(name);

    rc = ngx_http_iot_tb_auth_body(call, fields, 2);

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (rc != NGX_OK) {
        ngx_iot_error_set(&err, NGX_HTTP_BAD_REQUEST, "bad_request", "");

        p = ngx_pnalloc(call->pool, sizeof("Parameter '' can't be empty!")
                                    + fields[0].name.len
                                    + fields[1].name.len);
        if (p == NULL) {
            return NGX_ERROR;
        }

        err.message.data = p;
        err.message.len = ngx_sprintf(p, "Parameter '%V' can't be empty!",
                                      fields[0].text.len ? &fields[1].name
                                                         : &fields[0].name)
                          - p;

        return ngx_http_iot_call_err(call, &err);
    }

    ctx->key = fields[0].text;
    ctx->new_password = fields[1].text;

    return NGX_OK;
}


static ngx_int_t
ngx_http_iot_tb_activate_start(ngx_http_iot_call_t *call)
{
    ngx_str_t               *params[1];
    ngx_http_iot_tb_auth_t  *ctx;

    ctx = call->ctx;
    params[0] = &ctx->key;

    return ngx_http_iot_tb_auth_send(call, &ngx_http_iot_tb_activate_stmt,
                                     params, 1,
                                     ngx_http_iot_tb_activate_found);
}


static void
ngx_http_iot_tb_activate_found(ngx_http_iot_call_t *call)
{
    ngx_http_iot_tb_link_found(call, ngx_http_iot_tb_activate_hashed);
}


static ngx_int_t
ngx_http_iot_tb_activate_hashed(ngx_http_iot_call_t *call)
{
    ngx_str_t  body;

    if (ngx_http_iot_tb_link_finish(call, &body) != NGX_OK) {
        return ngx_http_iot_tb_no_memory(call);
    }

    return ngx_http_iot_call_sql_next(call, &body, ngx_http_iot_tb_auth_pair);
}


static ngx_int_t
ngx_http_iot_tb_reset_start(ngx_http_iot_call_t *call)
{
    ngx_str_t               *params[1];
    ngx_http_iot_tb_auth_t  *ctx;

    ctx = call->ctx;
    params[0] = &ctx->key;

    return ngx_http_iot_tb_auth_send(call, &ngx_http_iot_tb_reset_stmt, params,
                                     1, ngx_http_iot_tb_reset_found);
}


static void
ngx_http_iot_tb_reset_found(ngx_http_iot_call_t *call)
{
    ngx_http_iot_tb_link_found(call, ngx_http_iot_tb_reset_hashed);
}


static ngx_int_t
ngx_http_iot_tb_reset_hashed(ngx_http_iot_call_t *call)
{
    ngx_str_t  body;

    if (ngx_http_iot_tb_link_finish(call, &body) != NGX_OK) {
        return ngx_http_iot_tb_no_memory(call);
    }

    return ngx_http_iot_call_sql(call, NULL, &body);
}


/* what the function of the route gets instead of the client's body */

static ngx_int_t
ngx_http_iot_tb_link_finish(ngx_http_iot_call_t *call, ngx_str_t *body)
{
    u_char                  *p;
    ngx_http_iot_tb_auth_t  *ctx;

    ctx = call->ctx;

    if (ngx_http_iot_tb_base(call) != NGX_OK) {
        return NGX_ERROR;
    }

    p = ngx_pnalloc(call->pool, sizeof("{\"token\":\"\",\"_hash\":\"\"}")
                    + ngx_iot_json_escape_size(ctx->key.data, ctx->key.len)
                    + ngx_iot_json_escape_size(ctx->hash.data, ctx->hash.len));
    if (p == NULL) {
        return NGX_ERROR;
    }

    body->data = p;

    p = ngx_cpymem(p, "{\"token\":\"", sizeof("{\"token\":\"") - 1);
    p = ngx_iot_json_escape(p, ctx->key.data, ctx->key.len);
    p = ngx_cpymem(p, "\",\"_hash\":\"", sizeof("\",\"_hash\":\"") - 1);
    p = ngx_iot_json_escape(p, ctx->hash.data, ctx->hash.len);
    *p++ = '"';
    *p++ = '}';

    body->len = p - body->data;

    return NGX_OK;
}


static void
ngx_http_iot_tb_link_found(ngx_http_iot_call_t *call,
    ngx_http_iot_tb_step_pt chosen)
{
    if (call->db->rc != NGX_OK) {
        (void) ngx_http_iot_call_err(call, &call->db->error);
        return;
    }

    if (ngx_http_iot_tb_former_keep(call, call->db->result) != NGX_OK) {
        (void) ngx_http_iot_tb_no_memory(call);
        return;
    }

    ngx_http_iot_tb_new_password(call, chosen);
}


void
ngx_http_iot_tb_new_password(ngx_http_iot_call_t *call,
    ngx_http_iot_tb_step_pt chosen)
{
    ngx_int_t                rc;
    ngx_iot_error_t          err;
    ngx_http_iot_tb_auth_t  *ctx;

    ctx = call->ctx;
    ctx->chosen = chosen;

    ngx_iot_error_set(&err, NGX_HTTP_BAD_REQUEST, "bad_request", "");

    rc = ngx_http_iot_tb_policy(&ctx->new_password, &err.message, call->pool);

    if (rc == NGX_DECLINED) {
        (void) ngx_http_iot_call_err(call, &err);
        return;
    }

    if (rc != NGX_OK) {
        (void) ngx_http_iot_tb_no_memory(call);
        return;
    }

    ngx_http_iot_tb_former_next(call);
}


ngx_int_t
ngx_http_iot_tb_former_keep(ngx_http_iot_call_t *call, PGresult *res)
{
    int                      i, n;
    ngx_str_t               *hash;
    ngx_http_iot_tb_auth_t  *ctx;

    ctx = call->ctx;
    n = PQntuples(res);

    ctx->former = ngx_array_create(call->pool, n + 1, sizeof(ngx_str_t));
    if (ctx->former == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < n; i++) {

        hash = ngx_array_push(ctx->former);
        if (hash == NULL) {
            return NGX_ERROR;
        }

        hash->len = PQgetlength(res, i, 0);
        hash->data = ngx_pnalloc(call->pool, hash->len + 1);
        if (hash->data == NULL) {
            return NGX_ERROR;
        }

        ngx_memcpy(hash->data, PQgetvalue(res, i, 0), hash->len + 1);

        if (!PQgetisnull(res, i, 1)) {
            ctx->days = ngx_atoi((u_char *) PQgetvalue(res, i, 1),
                                 PQgetlength(res, i, 1));
        }
    }

    return NGX_OK;
}


/* compare with all that there were, one after the other */

static void
ngx_http_iot_tb_former_next(ngx_http_iot_call_t *call)
{
    ngx_int_t                rc;
    ngx_str_t               *hash;
    ngx_http_iot_tb_auth_t  *ctx;

    ctx = call->ctx;

    if (ctx->compared < ctx->former->nelts) {
        hash = ctx->former->elts;

        ctx->hashed = ngx_http_iot_tb_former_verified;

        rc = ngx_iot_password_verify(&ctx->new_password, &hash[ctx->compared],
                                     ngx_http_iot_tb_auth_hashed, call,
                                     &ctx->job);

    } else {
        ctx->hashed = ngx_http_iot_tb_new_hashed;

        rc = ngx_iot_password_hash(&ctx->new_password,
                                   ngx_http_iot_tb_auth_hashed, call,
                                   &ctx->job);
    }

    (void) ngx_http_iot_tb_auth_hashing(call, rc);
}


static void
ngx_http_iot_tb_former_verified(ngx_http_iot_call_t *call, ngx_int_t rc,
    ngx_str_t *hash)
{
    u_char                  *p;
    ngx_iot_error_t          err;
    ngx_http_iot_tb_auth_t  *ctx;

    ctx = call->ctx;

    if (rc != NGX_OK) {
        ctx->compared++;
        ngx_http_iot_tb_former_next(call);
        return;
    }

    if (ctx->compared == 0) {
        (void) ngx_http_iot_call_fail(call, NGX_HTTP_BAD_REQUEST,
                                      "bad_request", "New password should be "
                                      "different from existing!");
        return;
    }

    ngx_iot_error_set(&err, NGX_HTTP_BAD_REQUEST, "bad_request", "");

    p = ngx_pnalloc(call->pool,
                    sizeof("Password was already used for the last  days")
                    + NGX_INT_T_LEN);
    if (p == NULL) {
        (void) ngx_http_iot_tb_no_memory(call);
        return;
    }

    err.message.data = p;
    err.message.len = ngx_sprintf(p, "Password was already used for the last "
                                  "%i days", ctx->days)
                      - p;

    (void) ngx_http_iot_call_err(call, &err);
}


static void
ngx_http_iot_tb_new_hashed(ngx_http_iot_call_t *call, ngx_int_t rc,
    ngx_str_t *hash)
{
    ngx_http_iot_tb_auth_t  *ctx;

    ctx = call->ctx;

    ctx->hash.len = hash->len;

    ctx->hash.data = ngx_pstrdup(call->pool, hash);
    if (ctx->hash.data == NULL) {
        (void) ngx_http_iot_tb_no_memory(call);
        return;
    }

    (void) ctx->chosen(call);
}


/*
 * "I forgot my password": the answer is sent before the database is asked, so
 * that it takes the same time whether there is such an account or not.
 */

ngx_int_t
ngx_http_iot_tb_forgotten(ngx_http_iot_call_t *call)
{
    ngx_int_t              rc;
    ngx_str_t              key;
    ngx_uint_t             seconds;
    ngx_keyval_t          *arg;
    ngx_iot_error_t        err;
    ngx_iot_db_call_t     *db;
    ngx_iot_json_field_t   fields[] = {
        ngx_http_iot_tb_field("email")
    };

    rc = ngx_http_iot_tb_auth_body(call, fields, 1);

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    ngx_http_iot_tb_address_key(call, &key);

    if (ngx_iot_limit_take(&ngx_iot_settings.login_address, "reset address",
                           &key, 1, &seconds)
        != NGX_OK)
    {
        ngx_iot_error_set(&err, NGX_HTTP_TOO_MANY_REQUESTS,
                          "too_many_requests", "Too many requests");
        err.retry_after = seconds;

        return ngx_http_iot_call_err(call, &err);
    }

    if (rc != NGX_OK || fields[0].text.len > 1020) {
        return ngx_http_iot_call_empty(call, NGX_HTTP_OK);
    }

    if (ngx_http_iot_tb_base(call) != NGX_OK) {
        return NGX_ERROR;
    }

    arg = call->args->elts;
    arg += call->args->nelts - 1;

    db = ngx_iot_db_create(NGX_IOT_DB_CALL, &ngx_http_iot_tb_forgotten_stmt,
                           ngx_cycle->log);
    if (db == NULL) {
        return NGX_ERROR;
    }

    db->done = ngx_http_iot_tb_forgotten_done;

    if (ngx_iot_db_text(db, &fields[0].text) != NGX_OK
        || ngx_iot_db_text(db, &arg->value) != NGX_OK)
    {
        ngx_destroy_pool(db->pool);
        return NGX_ERROR;
    }

    if (ngx_iot_db_send(db) != NGX_OK) {
        err = db->error;
        (void) ngx_http_iot_call_err(call, &err);
        ngx_destroy_pool(db->pool);
        return NGX_DONE;
    }

    return ngx_http_iot_call_empty(call, NGX_HTTP_OK);
}


static void
ngx_http_iot_tb_forgotten_done(ngx_iot_db_call_t *db)
{
    if (db->rc != NGX_OK) {
        ngx_log_error(NGX_LOG_ERR, db->log, 0,
                      "a mail for a new password was not written: %V",
                      &db->error.message);
    }
}
