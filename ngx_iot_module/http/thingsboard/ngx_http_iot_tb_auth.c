
/*
 * Copyright (C) the ngx_iot authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "../../core/ngx_iot_metrics.h"
#include "../ngx_http_iot_module.h"
#include "ngx_http_iot_tb_auth.h"


#define NGX_HTTP_IOT_TB_DEPTH  8


static void ngx_http_iot_tb_auth_abort(ngx_http_iot_call_t *call);
static void ngx_http_iot_tb_auth_ready(ngx_iot_settings_wait_t *wait,
    ngx_int_t rc);
static void ngx_http_iot_tb_account_key(ngx_http_iot_call_t *call,
    ngx_str_t *key);
static ngx_int_t ngx_http_iot_tb_login_late(ngx_http_iot_call_t *call,
    ngx_uint_t seconds);


ngx_http_iot_tb_auth_t *
ngx_http_iot_tb_auth_create(ngx_http_iot_call_t *call)
{
    ngx_http_iot_tb_auth_t  *ctx;

    ctx = ngx_pcalloc(call->pool, sizeof(ngx_http_iot_tb_auth_t));
    if (ctx == NULL) {
        return NULL;
    }

    call->ctx = ctx;
    call->abort = ngx_http_iot_tb_auth_abort;

    return ctx;
}


static void
ngx_http_iot_tb_auth_abort(ngx_http_iot_call_t *call)
{
    ngx_http_iot_tb_auth_t *ctx = call->ctx;

    ngx_iot_settings_unwait(&ctx->settings);

    if (ctx->job) {
        ngx_iot_password_abandon(ctx->job);
        ctx->job = NULL;
    }
}


ngx_int_t
ngx_http_iot_tb_auth_begin(ngx_http_iot_call_t *call,
    ngx_http_iot_tb_step_pt ready)
{
    ngx_http_iot_tb_auth_t *ctx = call->ctx;

    if (ngx_iot_settings.loaded) {
        return ready(call);
    }

    ctx->ready = ready;
    ctx->settings.ready = ngx_http_iot_tb_auth_ready;
    ctx->settings.data = call;

    ngx_iot_settings_wait(&ctx->settings);

    return NGX_DONE;
}


static void
ngx_http_iot_tb_auth_ready(ngx_iot_settings_wait_t *wait, ngx_int_t rc)
{
    ngx_http_iot_call_t     *call = wait->data;
    ngx_http_iot_tb_auth_t  *ctx = call->ctx;

    if (rc != NGX_OK) {
        (void) ngx_http_iot_call_fail(call, NGX_HTTP_SERVICE_UNAVAILABLE,
                                      "unavailable",
                                      "Storage is not available");
        return;
    }

    (void) ctx->ready(call);
}


ngx_int_t
ngx_http_iot_tb_auth_hashing(ngx_http_iot_call_t *call, ngx_int_t rc)
{
    if (rc == NGX_OK) {
        return NGX_DONE;
    }

    return ngx_http_iot_call_fail(call, NGX_HTTP_SERVICE_UNAVAILABLE,
                                  "unavailable", "Service is unavailable");
}


void
ngx_http_iot_tb_auth_hashed(void *data, ngx_int_t rc, ngx_str_t *hash)
{
    ngx_http_iot_call_t     *call = data;
    ngx_http_iot_tb_auth_t  *ctx = call->ctx;

    ctx->job = NULL;

    if (rc == NGX_ERROR) {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                      "a password could not be hashed: no memory");

        (void) ngx_http_iot_call_fail(call, NGX_HTTP_SERVICE_UNAVAILABLE,
                                      "unavailable",
                                      "Service is unavailable");
        return;
    }

    ctx->hashed(call, rc, hash);
}


ngx_int_t
ngx_http_iot_tb_auth_body(ngx_http_iot_call_t *call,
    ngx_iot_json_field_t *fields, ngx_uint_t n)
{
    ngx_int_t        rc;
    ngx_uint_t       i;
    ngx_iot_alloc_t  alloc;

    alloc.alloc = ngx_http_iot_alloc;
    alloc.data = call->pool;

    rc = ngx_iot_json_fields(&call->body, &alloc, NGX_HTTP_IOT_TB_DEPTH,
                             fields, n, NULL);

    if (rc != NGX_OK) {
        return rc;
    }

    for (i = 0; i < n; i++) {
        if (fields[i].token != NGX_IOT_JSON_STRING || fields[i].text.len == 0)
        {
            return NGX_DECLINED;
        }
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_iot_tb_auth_send(ngx_http_iot_call_t *call, ngx_iot_db_stmt_t *stmt,
    ngx_str_t **params, ngx_uint_t n, ngx_http_iot_call_pt next)
{
    ngx_uint_t          i;
    ngx_iot_db_call_t  *db;

    db = ngx_http_iot_call_db_create(call, NGX_IOT_DB_CALL, stmt);
    if (db == NULL) {
        return ngx_http_iot_tb_no_memory(call);
    }

    for (i = 0; i < n; i++) {
        if (ngx_iot_db_text(db, params[i]) != NGX_OK) {
            return ngx_http_iot_tb_no_memory(call);
        }
    }

    return ngx_http_iot_call_db_send(call, next);
}


void
ngx_http_iot_tb_auth_pair(ngx_http_iot_call_t *call)
{
    ngx_str_t           object;
    ngx_iot_db_call_t  *db;

    db = call->db;

    if (db->rc != NGX_OK) {
        (void) ngx_http_iot_call_err(call, &db->error);
        return;
    }

    object.data = (u_char *) PQgetvalue(db->result, 0, 0);
    object.len = PQgetlength(db->result, 0, 0);

    (void) ngx_http_iot_tb_pair(call, &object);
}


void
ngx_http_iot_tb_address_key(ngx_http_iot_call_t *call, ngx_str_t *key)
{
#if (NGX_HAVE_INET6)
    ngx_connection_t     *c;
    struct sockaddr_in6  *sin6;

    c = call->request->connection;

    if (c->sockaddr->sa_family == AF_INET6) {
        sin6 = (struct sockaddr_in6 *) c->sockaddr;

        if (!IN6_IS_ADDR_V4MAPPED(&sin6->sin6_addr)) {
            key->data = (u_char *) &sin6->sin6_addr;
            key->len = 8;
            return;
        }
    }
#endif

    *key = *ngx_http_iot_call_address(call);
}


ngx_int_t
ngx_http_iot_tb_no_memory(ngx_http_iot_call_t *call)
{
    return ngx_http_iot_call_fail(call, NGX_HTTP_INTERNAL_SERVER_ERROR,
                                  "general", "Internal server error");
}


ngx_int_t
ngx_http_iot_tb_unauthorized(ngx_http_iot_call_t *call, char *message)
{
    return ngx_http_iot_call_fail(call, NGX_HTTP_UNAUTHORIZED,
                                  "authentication", message);
}


ngx_int_t
ngx_http_iot_tb_login_admit(ngx_http_iot_call_t *call)
{
    u_char                  *p;
    ngx_str_t               *address, key;
    ngx_uint_t               seconds;
    ngx_http_iot_tb_auth_t  *ctx;

    ctx = call->ctx;
    address = ngx_http_iot_call_address(call);

    p = ngx_pnalloc(call->pool, address->len + 1 + ctx->email.len);
    if (p == NULL) {
        return ngx_http_iot_tb_no_memory(call);
    }

    ctx->key.data = p;

    p = ngx_cpymem(p, address->data, address->len);
    *p++ = ' ';
    ngx_strlow(p, ctx->email.data, ctx->email.len);
    p += ctx->email.len;

    ctx->key.len = p - ctx->key.data;

    ngx_http_iot_tb_address_key(call, &key);

    if (ngx_iot_limit_take(&ngx_iot_settings.login_address, "login address",
                           &key, 1, &seconds)
        == NGX_OK)
    {
        if (ngx_iot_limit_take(&ngx_iot_settings.login, "login", &ctx->key, 1,
                               &seconds)
            == NGX_OK)
        {
            return NGX_OK;
        }

        ngx_iot_limit_give(&ngx_iot_settings.login_address, "login address",
                           &key, 1);
    }

    return ngx_http_iot_tb_login_late(call, seconds);
}


/*
 * From where the user has never been: many such addresses together may not
 * guess faster than one, and those where he has been are not in their way.
 */

ngx_int_t
ngx_http_iot_tb_login_admit_stranger(ngx_http_iot_call_t *call)
{
    ngx_str_t                key;
    ngx_uint_t               seconds;
    ngx_http_iot_tb_auth_t  *ctx;

    ctx = call->ctx;

    ngx_http_iot_tb_account_key(call, &key);

    if (ngx_iot_limit_take(&ngx_iot_settings.login_account, "login account",
                           &key, 1, &seconds)
        == NGX_OK)
    {
        ctx->counted = 1;
        return NGX_OK;
    }

    return ngx_http_iot_tb_login_late(call, seconds);
}


/* what is behind the blank of the key is the account */

static void
ngx_http_iot_tb_account_key(ngx_http_iot_call_t *call, ngx_str_t *key)
{
    ngx_http_iot_tb_auth_t  *ctx;

    ctx = call->ctx;

    key->len = ctx->email.len;
    key->data = ctx->key.data + ctx->key.len - key->len;
}


static ngx_int_t
ngx_http_iot_tb_login_late(ngx_http_iot_call_t *call, ngx_uint_t seconds)
{
    ngx_iot_error_t  err;

    ngx_iot_count(logins_throttled);

    ngx_iot_error_set(&err, NGX_HTTP_TOO_MANY_REQUESTS, "too_many_requests",
                      "Too many failed login attempts");
    err.retry_after = seconds;

    return ngx_http_iot_call_err(call, &err);
}


void
ngx_http_iot_tb_login_forgive(ngx_http_iot_call_t *call)
{
    ngx_str_t                key;
    ngx_http_iot_tb_auth_t  *ctx;

    ctx = call->ctx;

    ngx_http_iot_tb_address_key(call, &key);

    ngx_iot_limit_give(&ngx_iot_settings.login_address, "login address", &key,
                       1);
    ngx_iot_limit_give(&ngx_iot_settings.login, "login", &ctx->key, 1);

    if (ctx->counted) {
        ctx->counted = 0;
        ngx_http_iot_tb_account_key(call, &key);
        ngx_iot_limit_give(&ngx_iot_settings.login_account, "login account",
                           &key, 1);
    }
}
