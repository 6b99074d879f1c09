
/*
 * Copyright (C) the ngx_iot authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "../../codec/ngx_iot_id.h"
#include "../../codec/ngx_iot_json.h"
#include "../../codec/ngx_iot_utf8.h"
#include "../../core/ngx_iot_jwt.h"
#include "../../core/ngx_iot_metrics.h"
#include "../../core/ngx_iot_password.h"
#include "../../core/ngx_iot_settings.h"
#include "../ngx_http_iot_module.h"
#include "ngx_http_iot_tb.h"


#define NGX_HTTP_IOT_TB_DEPTH  8
#define NGX_HTTP_IOT_TB_EMAIL  1020      /* 255 characters */
#define NGX_HTTP_IOT_TB_AGENT  1024


#define ngx_http_iot_tb_field(name)                                           \
    { ngx_string(name), 0, ngx_null_string, ngx_null_string }


typedef ngx_int_t (*ngx_http_iot_tb_step_pt)(ngx_http_iot_call_t *call);


/* what a login or a change of password knows between its events */

typedef struct {
    ngx_iot_settings_wait_t    settings;
    ngx_iot_password_t        *job;

    ngx_http_iot_tb_step_pt    ready;        /* after the settings */
    void                     (*hashed)(ngx_http_iot_call_t *call,
                                       ngx_int_t rc, ngx_str_t *hash);

    ngx_str_t                  email;
    ngx_str_t                  password;
    ngx_str_t                  new_password;
    ngx_str_t                  user;
    ngx_str_t                  key;          /* of the limit */
    ngx_iot_jwt_t              jwt;

    unsigned                   enabled:1;
    unsigned                   activated:1;
    unsigned                   locked:1;
} ngx_http_iot_tb_auth_t;


static ngx_http_iot_tb_auth_t *ngx_http_iot_tb_auth_create(
    ngx_http_iot_call_t *call);
static void ngx_http_iot_tb_auth_abort(ngx_http_iot_call_t *call);
static ngx_int_t ngx_http_iot_tb_auth_begin(ngx_http_iot_call_t *call,
    ngx_http_iot_tb_step_pt ready);
static void ngx_http_iot_tb_auth_ready(ngx_iot_settings_wait_t *wait,
    ngx_int_t rc);
static ngx_int_t ngx_http_iot_tb_auth_hashing(ngx_http_iot_call_t *call,
    ngx_int_t rc);
static void ngx_http_iot_tb_auth_hashed(void *data, ngx_int_t rc,
    ngx_str_t *hash);
static ngx_int_t ngx_http_iot_tb_auth_body(ngx_http_iot_call_t *call,
    ngx_iot_json_field_t *fields, ngx_uint_t n);
static ngx_int_t ngx_http_iot_tb_auth_send(ngx_http_iot_call_t *call,
    ngx_iot_db_stmt_t *stmt, ngx_str_t **params, ngx_uint_t n,
    ngx_http_iot_call_pt next);
static void ngx_http_iot_tb_auth_pair(ngx_http_iot_call_t *call);
static ngx_int_t ngx_http_iot_tb_copy(ngx_http_iot_call_t *call, PGresult *res,
    int column, ngx_str_t *value);
static ngx_str_t *ngx_http_iot_tb_agent(ngx_http_iot_call_t *call);
static void ngx_http_iot_tb_address_key(ngx_http_iot_call_t *call,
    ngx_str_t *key);
static ngx_int_t ngx_http_iot_tb_no_memory(ngx_http_iot_call_t *call);
static ngx_int_t ngx_http_iot_tb_unauthorized(ngx_http_iot_call_t *call,
    char *message);

static ngx_int_t ngx_http_iot_tb_login_start(ngx_http_iot_call_t *call);
static ngx_int_t ngx_http_iot_tb_login_admit(ngx_http_iot_call_t *call);
static void ngx_http_iot_tb_login_forgive(ngx_http_iot_call_t *call);
static void ngx_http_iot_tb_login_found(ngx_http_iot_call_t *call);
static void ngx_http_iot_tb_login_hashed(ngx_http_iot_call_t *call,
    ngx_int_t rc, ngx_str_t *hash);
static ngx_int_t ngx_http_iot_tb_login_passed(ngx_http_iot_call_t *call,
    ngx_str_t *hash);
static ngx_int_t ngx_http_iot_tb_login_failed(ngx_http_iot_call_t *call);
static void ngx_http_iot_tb_login_counted(ngx_http_iot_call_t *call);
static void ngx_http_iot_tb_login_done(ngx_http_iot_call_t *call);

static ngx_int_t ngx_http_iot_tb_public_start(ngx_http_iot_call_t *call);
static ngx_int_t ngx_http_iot_tb_token_start(ngx_http_iot_call_t *call);
static void ngx_http_iot_tb_logout_done(ngx_http_iot_call_t *call);

static ngx_int_t ngx_http_iot_tb_change_start(ngx_http_iot_call_t *call);
static void ngx_http_iot_tb_change_found(ngx_http_iot_call_t *call);
static void ngx_http_iot_tb_change_verified(ngx_http_iot_call_t *call,
    ngx_int_t rc, ngx_str_t *hash);
static void ngx_http_iot_tb_change_hashed(ngx_http_iot_call_t *call,
    ngx_int_t rc, ngx_str_t *hash);


static ngx_iot_db_stmt_t  ngx_http_iot_tb_find_stmt = ngx_iot_db_stmt(
    "SELECT user_id, password_hash, enabled, activated, locked"
    " FROM iot.login_find($1)");

static ngx_iot_db_stmt_t  ngx_http_iot_tb_failed_stmt = ngx_iot_db_stmt(
    "SELECT iot.login_failed($1, $2, $3)");

static ngx_iot_db_stmt_t  ngx_http_iot_tb_done_stmt = ngx_iot_db_stmt(
    "SELECT iot.login_done($1, $2, $3, $4)");

static ngx_iot_db_stmt_t  ngx_http_iot_tb_public_stmt = ngx_iot_db_stmt(
    "SELECT iot.login_public($1)");

static ngx_iot_db_stmt_t  ngx_http_iot_tb_refresh_stmt = ngx_iot_db_stmt(
    "SELECT iot.session_refresh($1, $2, $3)");

static ngx_iot_db_stmt_t  ngx_http_iot_tb_logout_stmt = ngx_iot_db_stmt(
    "SELECT iot.logout($1, $2, $3)");

static ngx_iot_db_stmt_t  ngx_http_iot_tb_hash_stmt = ngx_iot_db_stmt(
    "SELECT iot.password_hash($1)");

static ngx_iot_db_stmt_t  ngx_http_iot_tb_change_stmt = ngx_iot_db_stmt(
    "SELECT iot.password_change($1, $2)");


/* --- common steps --- */

static ngx_http_iot_tb_auth_t *
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


/* tokens can be made and read when the settings are known */

static ngx_int_t
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


static ngx_int_t
ngx_http_iot_tb_auth_hashing(ngx_http_iot_call_t *call, ngx_int_t rc)
{
    if (rc == NGX_OK) {
        return NGX_DONE;
    }

    return ngx_http_iot_call_fail(call, NGX_HTTP_SERVICE_UNAVAILABLE,
                                  "unavailable", "Service is unavailable");
}


static void
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


/* all members asked for must be strings that are not empty */

static ngx_int_t
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


static ngx_int_t
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


/* the last step of all that begin or renew a session */

static void
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


/* NULL unless it is text that the database takes */

static ngx_str_t *
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


/* who has one IPv6 address has its whole network */

static void
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


static ngx_int_t
ngx_http_iot_tb_no_memory(ngx_http_iot_call_t *call)
{
    return ngx_http_iot_call_fail(call, NGX_HTTP_INTERNAL_SERVER_ERROR,
                                  "general", "Internal server error");
}


static ngx_int_t
ngx_http_iot_tb_unauthorized(ngx_http_iot_call_t *call, char *message)
{
    return ngx_http_iot_call_fail(call, NGX_HTTP_UNAUTHORIZED,
                                  "authentication", message);
}


/* --- login --- */

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
    ngx_str_t               *params[1];
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

    return ngx_http_iot_tb_auth_send(call, &ngx_http_iot_tb_find_stmt, params,
                                     1, ngx_http_iot_tb_login_found);
}


/*
 * Each attempt is counted as a failure before anything is done for it, and
 * forgiven when it succeeds: attempts at the same time cannot slip through.
 * NGX_OK, or NGX_DONE: answered.
 */

static ngx_int_t
ngx_http_iot_tb_login_admit(ngx_http_iot_call_t *call)
{
    u_char                  *p;
    ngx_str_t               *address, key;
    ngx_uint_t               seconds;
    ngx_iot_error_t          err;
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

    ngx_iot_count(logins_throttled);

    ngx_iot_error_set(&err, NGX_HTTP_TOO_MANY_REQUESTS, "too_many_requests",
                      "Too many failed login attempts");
    err.retry_after = seconds;

    return ngx_http_iot_call_err(call, &err);
}


static void
ngx_http_iot_tb_login_forgive(ngx_http_iot_call_t *call)
{
    ngx_str_t                key;
    ngx_http_iot_tb_auth_t  *ctx;

    ctx = call->ctx;

    ngx_http_iot_tb_address_key(call, &key);

    ngx_iot_limit_give(&ngx_iot_settings.login_address, "login address", &key,
                       1);
    ngx_iot_limit_give(&ngx_iot_settings.login, "login", &ctx->key, 1);
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
    params[2] = ngx_http_iot_tb_agent(call);
    params[3] = hash->len ? hash : NULL;

    return ngx_http_iot_tb_auth_send(call, &ngx_http_iot_tb_done_stmt, params,
                                     4, ngx_http_iot_tb_login_done);
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


/* --- public login, refresh, logout --- */

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


/* --- change of the own password --- */

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

    hash.data = (u_char *) PQgetvalue(db->result, 0, 0);
    hash.len = PQgetlength(db->result, 0, 0);

    ctx->hashed = ngx_http_iot_tb_change_verified;

    rc = ngx_iot_password_verify(&ctx->password, &hash,
                                 ngx_http_iot_tb_auth_hashed, call, &ctx->job);

    (void) ngx_http_iot_tb_auth_hashing(call, rc);
}


static void
ngx_http_iot_tb_change_verified(ngx_http_iot_call_t *call, ngx_int_t rc,
    ngx_str_t *hash)
{
    ngx_iot_error_t          err;
    ngx_http_iot_tb_auth_t  *ctx;

    ctx = call->ctx;

    if (rc != NGX_OK) {
        (void) ngx_http_iot_call_fail(call, NGX_HTTP_BAD_REQUEST,
                                      "bad_request",
                                      "Current password doesn't match!");
        return;
    }

    ngx_http_iot_tb_login_forgive(call);

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

    if (ngx_iot_secret_equal(ctx->password.data, ctx->password.len,
                             ctx->new_password.data, ctx->new_password.len))
    {
        (void) ngx_http_iot_call_fail(call, NGX_HTTP_BAD_REQUEST,
                                      "bad_request", "New password should be "
                                      "different from existing!");
        return;
    }

    ctx->hashed = ngx_http_iot_tb_change_hashed;

    rc = ngx_iot_password_hash(&ctx->new_password,
                               ngx_http_iot_tb_auth_hashed, call, &ctx->job);

    (void) ngx_http_iot_tb_auth_hashing(call, rc);
}


static void
ngx_http_iot_tb_change_hashed(ngx_http_iot_call_t *call, ngx_int_t rc,
    ngx_str_t *hash)
{
    ngx_str_t           principal;
    ngx_iot_db_call_t  *db;

    db = ngx_http_iot_call_db_create(call, NGX_IOT_DB_CALL,
                                     &ngx_http_iot_tb_change_stmt);

    if (db == NULL
        || ngx_iot_principal_text(&call->principal,
                                  ngx_http_iot_call_address(call), &principal,
                                  db->pool)
           != NGX_OK)
    {
        (void) ngx_http_iot_tb_no_memory(call);
        return;
    }

    ngx_iot_db_param(db, principal.data, principal.len, 0);

    if (ngx_iot_db_text(db, hash) != NGX_OK) {
        (void) ngx_http_iot_tb_no_memory(call);
        return;
    }

    (void) ngx_http_iot_call_db_send(call, ngx_http_iot_tb_auth_pair);
}
