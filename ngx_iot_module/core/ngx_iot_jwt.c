
/*
 * Copyright (C) the ngx_iot authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <sodium.h>

#include "../codec/ngx_iot_json.h"
#include "ngx_iot_jwt.h"
#include "ngx_iot_module.h"


#define NGX_IOT_JWT_KEY    64
#define NGX_IOT_JWT_MAC    crypto_auth_hmacsha512_BYTES
#define NGX_IOT_JWT_DEPTH  8


/* what is decoded of one token; no token needs more memory than it has */

typedef struct {
    ngx_iot_alloc_t  alloc;
    u_char          *pos;
    u_char          *last;
    u_char           buf[2 * NGX_IOT_JWT_MAX + 64];
} ngx_iot_jwt_scratch_t;


static void ngx_iot_jwt_sign(u_char *mac, u_char *data, size_t len);
static void *ngx_iot_jwt_alloc(void *data, size_t size);
static ngx_int_t ngx_iot_jwt_part(ngx_iot_jwt_scratch_t *scratch,
    u_char *start, u_char *end, ngx_str_t *out);
static ngx_int_t ngx_iot_jwt_header(ngx_iot_jwt_scratch_t *scratch,
    ngx_str_t *header);
static ngx_int_t ngx_iot_jwt_claims(ngx_iot_jwt_scratch_t *scratch,
    ngx_str_t *claims, ngx_iot_jwt_t *jwt);
static ngx_int_t ngx_iot_jwt_uuid(ngx_iot_json_field_t *field, u_char *dst);
static ngx_int_t ngx_iot_jwt_time(ngx_iot_json_field_t *field, int64_t *value);


static u_char                 ngx_iot_jwt_key[NGX_IOT_JWT_KEY_MAX];
static size_t                 ngx_iot_jwt_key_len;
static ngx_iot_jwt_scratch_t  ngx_iot_jwt_scratch;

static ngx_str_t  ngx_iot_jwt_head = ngx_string("{\"alg\":\"HS512\"}");


void
ngx_iot_jwt_use(ngx_uint_t generation, ngx_str_t *key)
{
    u_char  *p, text[sizeof("jwt") + NGX_INT_T_LEN];

    if (key->len) {
        ngx_iot_jwt_key_len = ngx_min(key->len, NGX_IOT_JWT_KEY_MAX);
        ngx_memcpy(ngx_iot_jwt_key, key->data, ngx_iot_jwt_key_len);
        return;
    }

    p = ngx_sprintf(text, "jwt%ui", generation);

    (void) crypto_generichash(ngx_iot_jwt_key, NGX_IOT_JWT_KEY, text, p - text,
                              ngx_iot_conf()->secret_key,
                              NGX_IOT_SECRET_SIZE);
    ngx_iot_jwt_key_len = NGX_IOT_JWT_KEY;
}


static void
ngx_iot_jwt_sign(u_char *mac, u_char *data, size_t len)
{
    crypto_auth_hmacsha512_state  state;

    (void) crypto_auth_hmacsha512_init(&state, ngx_iot_jwt_key,
                                       ngx_iot_jwt_key_len);
    (void) crypto_auth_hmacsha512_update(&state, data, len);
    (void) crypto_auth_hmacsha512_final(&state, mac);
}


ngx_int_t
ngx_iot_jwt_make(ngx_str_t *claims, ngx_str_t *token, ngx_pool_t *pool)
{
    u_char  *p, mac[NGX_IOT_JWT_MAC];
    size_t   len;

    len = ngx_iot_base64url_len(ngx_iot_jwt_head.len) + 1
          + ngx_iot_base64url_len(claims->len) + 1
          + ngx_iot_base64url_len(NGX_IOT_JWT_MAC);

    if (len > NGX_IOT_JWT_MAX) {
        return NGX_ERROR;
    }

    token->data = ngx_pnalloc(pool, len);
    if (token->data == NULL) {
        return NGX_ERROR;
    }

    p = ngx_iot_base64url(token->data, ngx_iot_jwt_head.data,
                          ngx_iot_jwt_head.len);
    *p++ = '.';
    p = ngx_iot_base64url(p, claims->data, claims->len);

    ngx_iot_jwt_sign(mac, token->data, p - token->data);

    *p++ = '.';
    p = ngx_iot_base64url(p, mac, NGX_IOT_JWT_MAC);

    token->len = p - token->data;

    return NGX_OK;
}


ngx_int_t
ngx_iot_jwt_verify(ngx_str_t *token, ngx_iot_jwt_t *jwt)
{
    u_char                 *p, *last, *payload, *end, mac[NGX_IOT_JWT_MAC];
    ngx_str_t               header, claims, signature;
    ngx_iot_jwt_scratch_t  *scratch;

    if (token->len > NGX_IOT_JWT_MAX) {
        return NGX_DECLINED;
    }

    p = token->data;
    last = p + token->len;

    payload = ngx_strlchr(p, last, '.');
    if (payload == NULL) {
        return NGX_DECLINED;
    }

    end = ngx_strlchr(payload + 1, last, '.');
    if (end == NULL || end == payload + 1) {
        return NGX_DECLINED;
    }

    scratch = &ngx_iot_jwt_scratch;
    scratch->alloc.alloc = ngx_iot_jwt_alloc;
    scratch->alloc.data = scratch;
    scratch->pos = scratch->buf;
    scratch->last = scratch->buf + sizeof(scratch->buf);

    if (ngx_iot_jwt_part(scratch, p, payload, &header) != NGX_OK
        || ngx_iot_jwt_part(scratch, payload + 1, end, &claims) != NGX_OK
        || ngx_iot_jwt_part(scratch, end + 1, last, &signature) != NGX_OK
        || ngx_iot_jwt_header(scratch, &header) != NGX_OK)
    {
        return NGX_DECLINED;
    }

    ngx_iot_jwt_sign(mac, p, end - p);

    if (!ngx_iot_secret_equal(mac, NGX_IOT_JWT_MAC, signature.data,
                              signature.len))
    {
        return NGX_ABORT;
    }

    if (ngx_iot_jwt_claims(scratch, &claims, jwt) != NGX_OK) {
        return NGX_DECLINED;
    }

    return jwt->expires > (int64_t) ngx_time() ? NGX_OK : NGX_ABORT;
}


static void *
ngx_iot_jwt_alloc(void *data, size_t size)
{
    ngx_iot_jwt_scratch_t *scratch = data;

    u_char  *p;

    if ((size_t) (scratch->last - scratch->pos) < size) {
        return NULL;
    }

    p = scratch->pos;
    scratch->pos += size;

    return p;
}


static ngx_int_t
ngx_iot_jwt_part(ngx_iot_jwt_scratch_t *scratch, u_char *start, u_char *end,
    ngx_str_t *out)
{
    size_t  len;

    len = end - start;

    out->data = ngx_iot_jwt_alloc(scratch, len / 4 * 3 + 2);
    if (out->data == NULL) {
        return NGX_ERROR;
    }

    return ngx_iot_unbase64url(out, start, len);
}


/* RFC 8725 section 3.1: the algorithm is ours to say, not the token's */

static ngx_int_t
ngx_iot_jwt_header(ngx_iot_jwt_scratch_t *scratch, ngx_str_t *header)
{
    ngx_iot_json_field_t  fields[2] = {
        { ngx_string("alg"), 0, ngx_null_string, ngx_null_string },
        { ngx_string("crit"), 0, ngx_null_string, ngx_null_string }
    };

    if (ngx_iot_json_fields(header, &scratch->alloc, NGX_IOT_JWT_DEPTH,
                            fields, 2, NULL)
        != NGX_OK)
    {
        return NGX_DECLINED;
    }

    if (fields[0].token != NGX_IOT_JSON_STRING
        || fields[0].text.len != sizeof("HS512") - 1
        || ngx_strncmp(fields[0].text.data, "HS512", sizeof("HS512") - 1) != 0
        || fields[1].token != NGX_IOT_JSON_END)
    {
        return NGX_DECLINED;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_iot_jwt_claims(ngx_iot_jwt_scratch_t *scratch, ngx_str_t *claims,
    ngx_iot_jwt_t *jwt)
{
    ngx_iot_json_field_t  *f;
    ngx_iot_json_field_t   fields[6] = {
        { ngx_string("exp"), 0, ngx_null_string, ngx_null_string },
        { ngx_string("iat"), 0, ngx_null_string, ngx_null_string },
        { ngx_string("sessionId"), 0, ngx_null_string, ngx_null_string },
        { ngx_string("userId"), 0, ngx_null_string, ngx_null_string },
        { ngx_string("isPublic"), 0, ngx_null_string, ngx_null_string },
        { ngx_string("scopes"), 0, ngx_null_string, ngx_null_string }
    };

    static ngx_str_t  refresh = ngx_string("[\"REFRESH_TOKEN\"]");

    f = fields;

    if (ngx_iot_json_fields(claims, &scratch->alloc, NGX_IOT_JWT_DEPTH, f, 6,
                            NULL)
        != NGX_OK)
    {
        return NGX_DECLINED;
    }

    if (ngx_iot_jwt_time(&f[0], &jwt->expires) != NGX_OK
        || ngx_iot_jwt_time(&f[1], &jwt->issued) != NGX_OK
        || ngx_iot_jwt_uuid(&f[2], jwt->session) != NGX_OK)
    {
        return NGX_DECLINED;
    }

    jwt->is_public = (f[4].token == NGX_IOT_JSON_TRUE);

    if (!jwt->is_public && ngx_iot_jwt_uuid(&f[3], jwt->user) != NGX_OK) {
        return NGX_DECLINED;
    }

    jwt->refresh = (f[5].raw.len == refresh.len
                    && ngx_strncmp(f[5].raw.data, refresh.data, refresh.len)
                       == 0);

    return NGX_OK;
}


static ngx_int_t
ngx_iot_jwt_uuid(ngx_iot_json_field_t *field, u_char *dst)
{
    u_char  uuid[NGX_IOT_UUID_SIZE];

    if (field->token != NGX_IOT_JSON_STRING
        || ngx_iot_uuid_parse(uuid, field->text.data, field->text.len)
           != NGX_OK)
    {
        return NGX_DECLINED;
    }

    (void) ngx_iot_uuid_text(dst, uuid);

    return NGX_OK;
}


static ngx_int_t
ngx_iot_jwt_time(ngx_iot_json_field_t *field, int64_t *value)
{
    ngx_int_t  n;

    if (field->token != NGX_IOT_JSON_NUMBER) {
        return NGX_DECLINED;
    }

    n = ngx_atoi(field->text.data, field->text.len);
    if (n == NGX_ERROR) {
        return NGX_DECLINED;
    }

    *value = n;

    return NGX_OK;
}
