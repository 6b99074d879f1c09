
/*
 * Copyright (C) the ngx_iot authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <sodium.h>

#include "../../core/ngx_iot_sealer.h"
#include "../ngx_http_iot_module.h"
#include "ngx_http_iot_tb_auth.h"


#define NGX_HTTP_IOT_TB_DEPTH      64
#define NGX_HTTP_IOT_TB_JWT_TRIES  5


/*
 * The settings of tokens.  The key is sealed before it goes to the database;
 * the answer is signed with the new one, so it waits until that is in use.
 */

static ngx_int_t ngx_http_iot_tb_jwt_key(ngx_http_iot_call_t *call,
    ngx_iot_json_field_t *field, ngx_str_t *sealed);
static ngx_int_t ngx_http_iot_tb_jwt_body(ngx_http_iot_call_t *call,
    ngx_iot_json_field_t *fields, ngx_str_t *sealed, ngx_str_t *body);
static void ngx_http_iot_tb_jwt_saved(ngx_http_iot_call_t *call);
static ngx_int_t ngx_http_iot_tb_jwt_wait(ngx_http_iot_call_t *call);
static void ngx_http_iot_tb_jwt_ready(ngx_iot_settings_wait_t *wait,
    ngx_int_t rc);


ngx_int_t
ngx_http_iot_tb_jwt_settings(ngx_http_iot_call_t *call)
{
    ngx_int_t                rc;
    ngx_str_t                sealed, body;
    ngx_iot_alloc_t          alloc;
    ngx_http_iot_tb_auth_t  *ctx;
    ngx_iot_json_field_t     fields[] = {
        ngx_http_iot_tb_field("tokenSigningKey"),
        ngx_http_iot_tb_field("tokenExpirationTime"),
        ngx_http_iot_tb_field("refreshTokenExpTime"),
        ngx_http_iot_tb_field("tokenIssuer")
    };

    ctx = ngx_http_iot_tb_auth_create(call);
    if (ctx == NULL) {
        return NGX_ERROR;
    }

    alloc.alloc = ngx_http_iot_alloc;
    alloc.data = call->pool;

    rc = ngx_iot_json_fields(&call->body, &alloc, NGX_HTTP_IOT_TB_DEPTH,
                             fields, 4, NULL);

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (rc != NGX_OK) {
        return ngx_http_iot_call_fail(call, NGX_HTTP_BAD_REQUEST,
                                      "bad_request",
                                      "Malformed JSON request body");
    }

    rc = ngx_http_iot_tb_jwt_key(call, &fields[0], &sealed);

    if (rc == NGX_DECLINED) {
        return ngx_http_iot_call_fail(call, NGX_HTTP_BAD_REQUEST,
                   "bad_request", "JWT signing key should be base64 encoded "
                   "data representing at least 512 bits of data!");
    }

    if (rc != NGX_OK
        || ngx_http_iot_tb_jwt_body(call, fields, &sealed, &body) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_iot_call_sql_next(call, &body, ngx_http_iot_tb_jwt_saved);
}


/* sealed is empty where there is no new key */

static ngx_int_t
ngx_http_iot_tb_jwt_key(ngx_http_iot_call_t *call, ngx_iot_json_field_t *field,
    ngx_str_t *sealed)
{
    u_char     *p;
    ngx_int_t   rc;
    ngx_str_t   key;

    ngx_str_null(sealed);

    if (field->token == NGX_IOT_JSON_END || field->token == NGX_IOT_JSON_NULL)
    {
        return NGX_OK;
    }

    if (field->token != NGX_IOT_JSON_STRING
        || field->text.len > 2 * NGX_IOT_JWT_KEY_MAX)
    {
        return NGX_DECLINED;
    }

    p = ngx_pnalloc(call->pool, ngx_base64_decoded_length(field->text.len));
    if (p == NULL) {
        return NGX_ERROR;
    }

    key.data = p;

    if (ngx_decode_base64(&key, &field->text) != NGX_OK
        || key.len < NGX_IOT_JWT_KEY_MIN || key.len > NGX_IOT_JWT_KEY_MAX)
    {
        return NGX_DECLINED;
    }

    rc = ngx_iot_seal(call->pool, NGX_IOT_SEAL_WORKER, &key, sealed);

    sodium_memzero(key.data, key.len);

    return rc == NGX_OK ? NGX_OK : NGX_ERROR;
}


static ngx_int_t
ngx_http_iot_tb_jwt_body(ngx_http_iot_call_t *call,
    ngx_iot_json_field_t *fields, ngx_str_t *sealed, ngx_str_t *body)
{
    u_char      *p;
    size_t       len;
    ngx_uint_t   i;

    len = sizeof("{\"_key\":\"\"}") + sealed->len;

    for (i = 1; i < 4; i++) {
        len += sizeof("\"\":,") + fields[i].name.len + fields[i].raw.len;
    }

    p = ngx_pnalloc(call->pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    body->data = p;
    *p++ = '{';

    for (i = 1; i < 4; i++) {
        if (fields[i].token != NGX_IOT_JSON_END) {
            p = ngx_sprintf(p, "\"%V\":%V,", &fields[i].name, &fields[i].raw);
        }
    }

    if (sealed->len) {
        p = ngx_sprintf(p, "\"_key\":\"%V\"}", sealed);

    } else {
        p = ngx_cpymem(p, "\"_key\":null}", sizeof("\"_key\":null}") - 1);
    }

    body->len = p - body->data;

    return NGX_OK;
}


static void
ngx_http_iot_tb_jwt_saved(ngx_http_iot_call_t *call)
{
    ngx_int_t                n;
    ngx_str_t                object;
    ngx_iot_alloc_t          alloc;
    ngx_iot_db_call_t       *db;
    ngx_http_iot_tb_auth_t  *ctx;
    ngx_iot_json_field_t     field[] = {
        ngx_http_iot_tb_field("generation")
    };

    db = call->db;
    ctx = call->ctx;

    if (db->rc != NGX_OK) {
        (void) ngx_http_iot_call_err(call, &db->error);
        return;
    }

    alloc.alloc = ngx_http_iot_alloc;
    alloc.data = call->pool;

    object.data = (u_char *) PQgetvalue(db->result, 0, 0);
    object.len = PQgetlength(db->result, 0, 0);

    ctx->key.len = object.len;
    ctx->key.data = ngx_pstrdup(call->pool, &object);

    if (ctx->key.data == NULL
        || ngx_iot_json_fields(&object, &alloc, NGX_HTTP_IOT_TB_DEPTH, field,
                               1, NULL)
           != NGX_OK)
    {
        (void) ngx_http_iot_tb_no_memory(call);
        return;
    }

    n = ngx_atoi(field[0].text.data, field[0].text.len);
    ctx->generation = (n == NGX_ERROR) ? 0 : (ngx_uint_t) n;

    (void) ngx_http_iot_tb_jwt_wait(call);
}


/* what is read from now on has been written with the generation */

static ngx_int_t
ngx_http_iot_tb_jwt_wait(ngx_http_iot_call_t *call)
{
    ngx_http_iot_tb_auth_t  *ctx;

    ctx = call->ctx;

    ctx->settings.ready = ngx_http_iot_tb_jwt_ready;
    ctx->settings.data = call;

    ngx_iot_settings_wait(&ctx->settings);
    ngx_iot_settings_refresh();

    return NGX_DONE;
}


static void
ngx_http_iot_tb_jwt_ready(ngx_iot_settings_wait_t *wait, ngx_int_t rc)
{
    ngx_http_iot_call_t     *call = wait->data;
    ngx_http_iot_tb_auth_t  *ctx = call->ctx;

    if (rc == NGX_OK && ngx_iot_settings.generation >= ctx->generation) {
        (void) ngx_http_iot_tb_pair(call, &ctx->key);
        return;
    }

    if (rc == NGX_OK && ++ctx->compared < NGX_HTTP_IOT_TB_JWT_TRIES) {
        (void) ngx_http_iot_tb_jwt_wait(call);
        return;
    }

    (void) ngx_http_iot_call_fail(call, NGX_HTTP_SERVICE_UNAVAILABLE,
                                  "unavailable", "Storage is not available");
}
