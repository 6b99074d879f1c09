
/*
 * Copyright (C) the ngx_iot authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <sodium.h>

#include "../../codec/ngx_iot_totp.h"
#include "../../core/ngx_iot_metrics.h"
#include "../../core/ngx_iot_sealer.h"
#include "../ngx_http_iot_module.h"
#include "ngx_http_iot_tb_auth.h"


#define NGX_HTTP_IOT_TB_DEPTH  8
#define NGX_HTTP_IOT_TB_CODE   64


/*
 * The second factor of a login: what has to be done outside of the database,
 * which cannot open the seeds of TOTP (RFC 6238).
 */

static ngx_int_t ngx_http_iot_tb_second_totp(ngx_http_iot_call_t *call,
    ngx_iot_json_field_t *fields, ngx_str_t *body);
static ngx_int_t ngx_http_iot_tb_second_seed(ngx_str_t *url,
    ngx_str_t *secret);
static ngx_int_t ngx_http_iot_tb_check_start(ngx_http_iot_call_t *call);
static void ngx_http_iot_tb_check_found(ngx_http_iot_call_t *call);
static ngx_int_t ngx_http_iot_tb_check_rate(ngx_http_iot_call_t *call,
    PGresult *res);
static ngx_int_t ngx_http_iot_tb_check_totp(ngx_http_iot_call_t *call,
    PGresult *res, ngx_str_t *step, u_char *buf);
static ngx_int_t ngx_http_iot_tb_check_send(ngx_http_iot_call_t *call,
    ngx_str_t *step);
static void ngx_http_iot_tb_check_done(ngx_http_iot_call_t *call);
static ngx_int_t ngx_http_iot_tb_wrong_code(ngx_http_iot_call_t *call);


static ngx_iot_db_stmt_t  ngx_http_iot_tb_second_find_stmt = ngx_iot_db_stmt(
    "SELECT secret, last_step, rate FROM iot.second_find($1, $2)");

static ngx_iot_db_stmt_t  ngx_http_iot_tb_second_check_stmt = ngx_iot_db_stmt(
    "SELECT iot.second_check($1, $2, $3, $4, $5)");

static ngx_str_t  ngx_http_iot_tb_code_arg = ngx_string("verificationCode");
static ngx_str_t  ngx_http_iot_tb_type_arg = ngx_string("providerType");


/* a configuration is stored when a code made by it has been shown */

ngx_int_t
ngx_http_iot_tb_second_save(ngx_http_iot_call_t *call)
{
    ngx_int_t              rc;
    ngx_str_t              body, key;
    ngx_uint_t             seconds;
    ngx_iot_alloc_t        alloc;
    ngx_iot_error_t        err;
    ngx_iot_json_field_t   fields[] = {
        ngx_http_iot_tb_field("providerType"),
        ngx_http_iot_tb_field("authUrl"),
        ngx_http_iot_tb_field("useByDefault")
    };

    alloc.alloc = ngx_http_iot_alloc;
    alloc.data = call->pool;

    /* codes of addresses are short, and nobody needs many attempts */

    key.data = call->principal.user;
    key.len = NGX_IOT_UUID_LEN;

    if (ngx_iot_limit_take(&ngx_iot_settings.login, "second factor", &key, 1,
                           &seconds)
        != NGX_OK)
    {
        ngx_iot_error_set(&err, NGX_HTTP_TOO_MANY_REQUESTS,
                          "too_many_requests", "Too many requests");
        err.retry_after = seconds;

        return ngx_http_iot_call_err(call, &err);
    }

    rc = ngx_iot_json_fields(&call->body, &alloc, NGX_HTTP_IOT_TB_DEPTH,
                             fields, 3, NULL);

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (rc != NGX_OK
        || fields[0].token != NGX_IOT_JSON_STRING
        || fields[0].text.len != sizeof("TOTP") - 1
        || ngx_strncmp(fields[0].text.data, "TOTP", sizeof("TOTP") - 1) != 0)
    {
        return ngx_http_iot_call_sql(call, NULL, NULL);
    }

    rc = ngx_http_iot_tb_second_totp(call, fields, &body);

    if (rc == NGX_DECLINED) {
        return ngx_http_iot_tb_wrong_code(call);
    }

    if (rc != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_iot_call_sql(call, NULL, &body);
}


static ngx_int_t
ngx_http_iot_tb_second_totp(ngx_http_iot_call_t *call,
    ngx_iot_json_field_t *fields, ngx_str_t *body)
{
    u_char               *p, seed[NGX_IOT_TOTP_SECRET_MAX];
    int64_t               step;
    ngx_int_t             rc;
    ngx_str_t             code, secret, sealed;
    ngx_iot_totp_conf_t   conf;

    secret.data = seed;

    if (fields[1].token != NGX_IOT_JSON_STRING
        || ngx_http_iot_tb_second_seed(&fields[1].text, &secret) != NGX_OK
        || ngx_http_iot_call_arg(call, &ngx_http_iot_tb_code_arg, &code)
           != NGX_OK)
    {
        sodium_memzero(seed, sizeof(seed));
        return NGX_DECLINED;
    }

    ngx_iot_totp_defaults(&conf);

    rc = ngx_iot_totp_verify(&conf, &secret, code.data, code.len,
                             (int64_t) ngx_time(), -1, &step);

    if (rc == NGX_OK) {
        rc = ngx_iot_seal(call->pool, NGX_IOT_SEAL_WORKER, &secret, &sealed);

        if (rc == NGX_DECLINED) {
            rc = NGX_ERROR;
        }
    }

    sodium_memzero(seed, sizeof(seed));

    if (rc != NGX_OK) {
        return rc;
    }

    p = ngx_pnalloc(call->pool,
                    sizeof("{\"providerType\":\"TOTP\",\"useByDefault\":false,"
                           "\"_step\":,\"_secret\":\"\"}")
                    + NGX_INT64_LEN + sealed.len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    body->data = p;

    p = ngx_sprintf(p, "{\"providerType\":\"TOTP\",\"useByDefault\":%s,"
                    "\"_step\":%L,\"_secret\":\"%V\"}",
                    fields[2].token == NGX_IOT_JSON_TRUE ? "true" : "false",
                    step, &sealed);

    body->len = p - body->data;

    return NGX_OK;
}


/* otpauth://totp/...?...&secret=BASE32 */

static ngx_int_t
ngx_http_iot_tb_second_seed(ngx_str_t *url, ngx_str_t *secret)
{
    u_char  *p, *last, *end;

    p = url->data;
    last = p + url->len;

    if (url->len < sizeof("otpauth://totp/") - 1
        || ngx_strncmp(p, "otpauth://totp/", sizeof("otpauth://totp/") - 1)
           != 0)
    {
        return NGX_DECLINED;
    }

    p = ngx_strlchr(p, last, '?');

    while (p && p < last) {
        p++;

        end = ngx_strlchr(p, last, '&');
        if (end == NULL) {
            end = last;
        }

        if ((size_t) (end - p) > sizeof("secret=") - 1
            && ngx_strncmp(p, "secret=", sizeof("secret=") - 1) == 0)
        {
            p += sizeof("secret=") - 1;
            return ngx_iot_totp_decode(p, end - p, secret);
        }

        p = end;
    }

    return NGX_DECLINED;
}


/* the code that completes a login */

ngx_int_t
ngx_http_iot_tb_second_check(ngx_http_iot_call_t *call)
{
    ngx_http_iot_tb_auth_t  *ctx;

    ctx = ngx_http_iot_tb_auth_create(call);
    if (ctx == NULL) {
        return NGX_ERROR;
    }

    if (ngx_http_iot_call_arg(call, &ngx_http_iot_tb_type_arg, &ctx->key)
        != NGX_OK)
    {
        return ngx_http_iot_call_fail(call, NGX_HTTP_BAD_REQUEST,
                                      "bad_request", "Parameter "
                                      "'providerType' can't be empty!");
    }

    if (ngx_http_iot_call_arg(call, &ngx_http_iot_tb_code_arg, &ctx->password)
        != NGX_OK)
    {
        return ngx_http_iot_call_fail(call, NGX_HTTP_BAD_REQUEST,
                                      "bad_request", "Parameter "
                                      "'verificationCode' can't be empty!");
    }

    if (ctx->password.len > NGX_HTTP_IOT_TB_CODE) {
        ctx->password.len = 0;
    }

    return ngx_http_iot_tb_auth_begin(call, ngx_http_iot_tb_check_start);
}


static ngx_int_t
ngx_http_iot_tb_check_start(ngx_http_iot_call_t *call)
{
    ngx_str_t                principal;
    ngx_iot_db_call_t       *db;
    ngx_http_iot_tb_auth_t  *ctx;

    ctx = call->ctx;

    db = ngx_http_iot_call_db_create(call, NGX_IOT_DB_CALL,
                                     &ngx_http_iot_tb_second_find_stmt);

    if (db == NULL
        || ngx_iot_principal_text(&call->principal,
                                  ngx_http_iot_call_address(call), &principal,
                                  db->pool)
           != NGX_OK)
    {
        return ngx_http_iot_tb_no_memory(call);
    }

    ngx_iot_db_param(db, principal.data, principal.len, 0);

    if (ngx_iot_db_text(db, &ctx->key) != NGX_OK) {
        return ngx_http_iot_tb_no_memory(call);
    }

    return ngx_http_iot_call_db_send(call, ngx_http_iot_tb_check_found);
}


static void
ngx_http_iot_tb_check_found(ngx_http_iot_call_t *call)
{
    u_char              buf[NGX_INT64_LEN];
    ngx_int_t           rc;
    ngx_str_t           step;
    ngx_iot_db_call_t  *db;

    db = call->db;

    if (db->rc != NGX_OK) {
        (void) ngx_http_iot_call_err(call, &db->error);
        return;
    }

    if (ngx_http_iot_tb_check_rate(call, db->result) != NGX_OK) {
        return;
    }

    rc = ngx_http_iot_tb_check_totp(call, db->result, &step, buf);

    if (rc == NGX_ERROR) {
        (void) ngx_http_iot_tb_no_memory(call);
        return;
    }

    (void) ngx_http_iot_tb_check_send(call, rc == NGX_OK ? &step : NULL);
}


static ngx_int_t
ngx_http_iot_tb_check_rate(ngx_http_iot_call_t *call, PGresult *res)
{
    ngx_str_t        text, key;
    ngx_uint_t       seconds;
    ngx_iot_error_t  err;
    ngx_iot_limit_t  limit;

    limit.n = 0;

    text.data = (u_char *) PQgetvalue(res, 0, 2);
    text.len = PQgetlength(res, 0, 2);

    (void) ngx_iot_limit_parse(&limit, &text);

    key.data = call->principal.user;
    key.len = NGX_IOT_UUID_LEN;

    if (ngx_iot_limit_take(&limit, "second check", &key, 1, &seconds)
        == NGX_OK)
    {
        return NGX_OK;
    }

    ngx_iot_count(logins_throttled);

    ngx_iot_error_set(&err, NGX_HTTP_TOO_MANY_REQUESTS, "too_many_requests",
                      "Too many requests");
    err.retry_after = seconds;

    (void) ngx_http_iot_call_err(call, &err);

    return NGX_DONE;
}


/*
 * NGX_OK: the code is right, and of that step, which the database takes if it
 * is later than the last; NGX_DECLINED: wrong, or no code of TOTP.
 */

static ngx_int_t
ngx_http_iot_tb_check_totp(ngx_http_iot_call_t *call, PGresult *res,
    ngx_str_t *step, u_char *buf)
{
    int64_t                  value;
    ngx_int_t                rc;
    ngx_str_t                sealed, secret;
    ngx_iot_totp_conf_t      conf;
    ngx_http_iot_tb_auth_t  *ctx;

    ctx = call->ctx;

    if (PQgetisnull(res, 0, 0)) {
        return NGX_DECLINED;
    }

    sealed.data = (u_char *) PQgetvalue(res, 0, 0);
    sealed.len = PQgetlength(res, 0, 0);

    if (ngx_iot_seal_open(call->pool, &sealed, &secret) != NGX_OK) {
        ngx_log_error(NGX_LOG_ERR, call->log, 0,
                      "the seed of a second factor cannot be opened: "
                      "was \"secret_key_file\" changed?");
        return NGX_ERROR;
    }

    ngx_iot_totp_defaults(&conf);

    rc = ngx_iot_totp_verify(&conf, &secret, ctx->password.data,
                             ctx->password.len, (int64_t) ngx_time(), -1,
                             &value);

    sodium_memzero(secret.data, secret.len);

    if (rc != NGX_OK) {
        return NGX_DECLINED;
    }

    step->data = buf;
    step->len = ngx_sprintf(buf, "%L", value) - buf;

    return NGX_OK;
}


static ngx_int_t
ngx_http_iot_tb_check_send(ngx_http_iot_call_t *call, ngx_str_t *step)
{
    ngx_str_t                principal;
    ngx_iot_db_call_t       *db;
    ngx_http_iot_tb_auth_t  *ctx;

    ctx = call->ctx;

    db = ngx_http_iot_call_db_create(call, NGX_IOT_DB_CALL,
                                     &ngx_http_iot_tb_second_check_stmt);

    if (db == NULL
        || ngx_iot_principal_text(&call->principal,
                                  ngx_http_iot_call_address(call), &principal,
                                  db->pool)
           != NGX_OK)
    {
        return ngx_http_iot_tb_no_memory(call);
    }

    ngx_iot_db_param(db, principal.data, principal.len, 0);

    if (ngx_iot_db_text(db, &ctx->key) != NGX_OK
        || ngx_iot_db_text(db, &ctx->password) != NGX_OK
        || ngx_iot_db_text(db, step) != NGX_OK
        || ngx_iot_db_text(db, ngx_http_iot_tb_agent(call)) != NGX_OK)
    {
        return ngx_http_iot_tb_no_memory(call);
    }

    return ngx_http_iot_call_db_send(call, ngx_http_iot_tb_check_done);
}


static void
ngx_http_iot_tb_check_done(ngx_http_iot_call_t *call)
{
    ngx_str_t              object;
    ngx_iot_alloc_t        alloc;
    ngx_iot_db_call_t     *db;
    ngx_iot_json_field_t   fields[] = {
        ngx_http_iot_tb_field("state"),
        ngx_http_iot_tb_field("session")
    };

    db = call->db;

    if (db->rc != NGX_OK) {
        (void) ngx_http_iot_call_err(call, &db->error);
        return;
    }

    alloc.alloc = ngx_http_iot_alloc;
    alloc.data = call->pool;

    object.data = (u_char *) PQgetvalue(db->result, 0, 0);
    object.len = PQgetlength(db->result, 0, 0);

    if (ngx_iot_json_fields(&object, &alloc, NGX_HTTP_IOT_TB_DEPTH, fields, 2,
                            NULL)
        != NGX_OK)
    {
        (void) ngx_http_iot_tb_no_memory(call);
        return;
    }

    if (fields[1].token == NGX_IOT_JSON_OBJECT) {
        ngx_iot_count(logins);
        (void) ngx_http_iot_tb_pair(call, &fields[1].raw);
        return;
    }

    ngx_iot_count(logins_failed);

    if (fields[0].text.len == sizeof("locked") - 1
        && ngx_strncmp(fields[0].text.data, "locked", sizeof("locked") - 1)
           == 0)
    {
        (void) ngx_http_iot_tb_unauthorized(call,
                            "User account is locked due to security policy");
        return;
    }

    (void) ngx_http_iot_tb_wrong_code(call);
}


static ngx_int_t
ngx_http_iot_tb_wrong_code(ngx_http_iot_call_t *call)
{
    return ngx_http_iot_call_fail(call, NGX_HTTP_BAD_REQUEST, "bad_request",
                                  "Verification code is incorrect");
}
