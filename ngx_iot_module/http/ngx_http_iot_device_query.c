
/*
 * Copyright (C) the ngx_iot authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <jansson.h>

#include "../codec/ngx_iot_cbor.h"
#include "../codec/ngx_iot_id.h"
#include "../codec/ngx_iot_json.h"
#include "ngx_http_iot_device.h"
#include "ngx_http_iot_module.h"


/*
 * What a device asks the database: its attributes, and to be provisioned.
 */

#define NGX_HTTP_IOT_TOKEN_LEN        20
#define NGX_HTTP_IOT_MAX_KEYS         1000
#define NGX_HTTP_IOT_PROVISION_BODY   65536
#define NGX_HTTP_IOT_PROVISION_DEPTH  16


static ngx_int_t ngx_http_iot_device_keys(ngx_http_iot_device_ctx_t *ctx,
    char *name, ngx_str_t *array);
static ngx_int_t ngx_http_iot_device_keys_value(ngx_array_t *keys,
    ngx_str_t *value, ngx_pool_t *pool);
static ngx_int_t ngx_http_iot_device_keys_text(ngx_array_t *keys,
    ngx_str_t *array, ngx_pool_t *pool);
static ngx_int_t ngx_http_iot_device_call(ngx_http_iot_device_ctx_t *ctx,
    ngx_iot_db_call_t *call);
static void ngx_http_iot_device_called(ngx_iot_db_call_t *call);
static ngx_int_t ngx_http_iot_device_credentials_id(
    ngx_http_iot_device_ctx_t *ctx, json_t *body, ngx_str_t *id);
static ngx_int_t ngx_http_iot_device_certificate_id(const char *pem,
    u_char *id);
static ngx_int_t ngx_http_iot_device_bad(ngx_http_iot_device_ctx_t *ctx,
    ngx_str_t *text);


static ngx_iot_db_stmt_t  ngx_http_iot_device_attributes_stmt =
    ngx_iot_db_stmt("SELECT iot.device_attributes($1::int, $2::text[], "
                    "$3::text[])");

static ngx_iot_db_stmt_t  ngx_http_iot_device_provision_stmt =
    ngx_iot_db_stmt("SELECT iot.provision_device($1::json, $2, $3, $4)");

static ngx_str_t  ngx_http_iot_device_json_type =
    ngx_string("application/json");


ngx_int_t
ngx_http_iot_device_query_attributes(ngx_http_iot_device_ctx_t *ctx)
{
    u_char             *p;
    ngx_int_t           rc;
    ngx_str_t           keys[2];
    ngx_uint_t          i;
    ngx_iot_db_call_t  *call;
    static char        *names[] = { "clientKeys", "sharedKeys" };

    call = ngx_iot_db_create(NGX_IOT_DB_READ,
                             &ngx_http_iot_device_attributes_stmt,
                             ctx->request->connection->log);
    if (call == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    p = ngx_pnalloc(call->pool, NGX_INT32_LEN + 1);
    if (p == NULL) {
        goto failed;
    }

    ngx_sprintf(p, "%D%Z", ctx->device->nr);
    ngx_iot_db_param(call, p, 0, 0);

    for (i = 0; i < 2; i++) {
        rc = ngx_http_iot_device_keys(ctx, names[i], &keys[i]);

        if (rc == NGX_ERROR) {
            goto failed;
        }

        if (ngx_iot_db_text(call, rc == NGX_OK ? &keys[i] : NULL) != NGX_OK) {
            goto failed;
        }
    }

    return ngx_http_iot_device_call(ctx, call);

failed:

    ngx_destroy_pool(call->pool);

    return NGX_HTTP_INTERNAL_SERVER_ERROR;
}


/*
 * ?name=a,b&name=c as the text of a PostgreSQL array; NGX_DECLINED when the
 * argument is not there.
 */

static ngx_int_t
ngx_http_iot_device_keys(ngx_http_iot_device_ctx_t *ctx, char *name,
    ngx_str_t *array)
{
    u_char              *p, *last, *end, *eq;
    size_t               len;
    ngx_str_t            value;
    ngx_array_t         *keys;
    ngx_http_request_t  *r;

    r = ctx->request;
    len = ngx_strlen(name);
    keys = NULL;

    p = r->args.data;
    last = p + r->args.len;

    while (p < last) {
        end = ngx_strlchr(p, last, '&');
        if (end == NULL) {
            end = last;
        }

        eq = ngx_strlchr(p, end, '=');

        if (eq && (size_t) (eq - p) == len && ngx_strncmp(p, name, len) == 0) {

            if (keys == NULL) {
                keys = ngx_array_create(r->pool, 8, sizeof(ngx_str_t));
                if (keys == NULL) {
                    return NGX_ERROR;
                }
            }

            value.data = eq + 1;
            value.len = end - value.data;

            if (ngx_http_iot_device_keys_value(keys, &value, r->pool)
                != NGX_OK)
            {
                return NGX_ERROR;
            }
        }

        p = end + 1;
    }

    if (keys == NULL) {
        return NGX_DECLINED;
    }

    return ngx_http_iot_device_keys_text(keys, array, r->pool);
}


static ngx_int_t
ngx_http_iot_device_keys_value(ngx_array_t *keys, ngx_str_t *value,
    ngx_pool_t *pool)
{
    u_char     *p, *last, *dst, *src, *comma;
    ngx_str_t  *key;

    dst = ngx_pnalloc(pool, value->len);
    if (dst == NULL) {
        return NGX_ERROR;
    }

    p = dst;
    src = value->data;

    for (last = src + value->len; src < last; src++) {
        if (*src == '+') {
            *src = ' ';
        }
    }

    src = value->data;
    ngx_unescape_uri(&dst, &src, value->len, 0);
    last = dst;

    while (p < last) {
        comma = ngx_strlchr(p, last, ',');
        if (comma == NULL) {
            comma = last;
        }

        while (p < comma && *p == ' ') {
            p++;
        }

        if (comma > p && keys->nelts < NGX_HTTP_IOT_MAX_KEYS) {
            key = ngx_array_push(keys);
            if (key == NULL) {
                return NGX_ERROR;
            }

            key->data = p;
            key->len = comma - p;

            while (key->len && key->data[key->len - 1] == ' ') {
                key->len--;
            }
        }

        p = comma + 1;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_iot_device_keys_text(ngx_array_t *keys, ngx_str_t *array,
    ngx_pool_t *pool)
{
    u_char      *p;
    size_t       size;
    ngx_str_t   *key;
    ngx_uint_t   i, n;

    key = keys->elts;
    size = 2;

    for (i = 0; i < keys->nelts; i++) {
        size += 3 + 2 * key[i].len;
    }

    p = ngx_pnalloc(pool, size);
    if (p == NULL) {
        return NGX_ERROR;
    }

    array->data = p;
    *p++ = '{';

    for (i = 0; i < keys->nelts; i++) {

        if (i) {
            *p++ = ',';
        }

        *p++ = '"';

        for (n = 0; n < key[i].len; n++) {

            /* a key cannot hold it, so it is not there */

            if (key[i].data[n] == '\0') {
                continue;
            }

            if (key[i].data[n] == '"' || key[i].data[n] == '\\') {
                *p++ = '\\';
            }

            *p++ = key[i].data[n];
        }

        *p++ = '"';
    }

    *p++ = '}';
    array->len = p - array->data;

    return NGX_OK;
}


/* sends it; the answer is the JSON of its only column */

static ngx_int_t
ngx_http_iot_device_call(ngx_http_iot_device_ctx_t *ctx,
    ngx_iot_db_call_t *call)
{
    call->data = ctx;
    call->done = ngx_http_iot_device_called;

    if (ngx_iot_db_send(call) != NGX_OK) {
        ngx_destroy_pool(call->pool);
        return ngx_http_iot_device_unavailable(ctx, 1);
    }

    ctx->call = call;

    return NGX_AGAIN;
}


static void
ngx_http_iot_device_called(ngx_iot_db_call_t *call)
{
    ngx_int_t                   rc;
    ngx_str_t                   body;
    ngx_connection_t           *c;
    ngx_http_request_t         *r;
    ngx_http_iot_device_ctx_t  *ctx;

    ctx = call->data;
    ctx->call = NULL;

    r = ctx->request;
    c = r->connection;

    if (call->rc != NGX_OK) {
        rc = ngx_http_iot_device_error(ctx, &call->error);
        goto done;
    }

    body.len = PQntuples(call->result) ? PQgetlength(call->result, 0, 0) : 0;
    body.data = ngx_pnalloc(r->pool, body.len + 1);

    if (body.data == NULL) {
        rc = NGX_HTTP_INTERNAL_SERVER_ERROR;
        goto done;
    }

    if (body.len) {
        ngx_memcpy(body.data, PQgetvalue(call->result, 0, 0), body.len);
    }

    rc = ngx_http_iot_device_send(ctx, NGX_HTTP_OK,
                                  &ngx_http_iot_device_json_type, &body);

done:

    ngx_http_finalize_request(r, rc);
    ngx_http_run_posted_requests(c);
}


/*
 * Section 1.6 of the device API: the reply is always 200 with a status in
 * it, but for a body without the key or the secret.
 */

ngx_int_t
ngx_http_iot_device_provision(ngx_http_iot_device_ctx_t *ctx)
{
    u_char              token[NGX_HTTP_IOT_TOKEN_LEN];
    u_char              name[NGX_HTTP_IOT_TOKEN_LEN];
    json_t             *body, *key, *secret;
    ngx_int_t           rc;
    ngx_str_t           id, text, value;
    ngx_uint_t          cbor;
    ngx_iot_db_call_t  *call;

    static ngx_str_t  bad_json = ngx_string("Can't parse the request");
    static ngx_str_t  no_key =
        ngx_string("provisionDeviceKey and provisionDeviceSecret are "
                   "required!");

    if (ngx_http_iot_device_media(ctx, &cbor) != NGX_OK) {
        return ngx_http_iot_device_send(ctx, NGX_HTTP_UNSUPPORTED_MEDIA_TYPE,
                                        NULL, NULL);
    }

    if (ctx->body.len > NGX_HTTP_IOT_PROVISION_BODY) {
        return ngx_http_iot_device_too_large(ctx);
    }

    ctx->alloc.alloc = ngx_http_iot_device_alloc;
    ctx->alloc.data = ctx->request->pool;
    ngx_iot_points_init(&ctx->points, &ctx->alloc);

    text = ctx->body;

    if (cbor) {
        rc = ngx_iot_cbor_to_json(&ctx->points, &text, &ctx->body);

        if (rc != NGX_OK) {
            return ngx_http_iot_device_bad(ctx, &ctx->points.error);
        }
    }

    if (ngx_iot_json_check(&text, NGX_HTTP_IOT_PROVISION_DEPTH, NULL, NULL)
        != NGX_OK)
    {
        return ngx_http_iot_device_bad(ctx, &bad_json);
    }

    body = json_loadb((char *) text.data, text.len, 0, NULL);

    key = json_object_get(body, "provisionDeviceKey");
    secret = json_object_get(body, "provisionDeviceSecret");

    if (key == NULL || secret == NULL) {
        json_decref(body);
        return ngx_http_iot_device_bad(ctx, body ? &no_key : &bad_json);
    }

    rc = ngx_http_iot_device_credentials_id(ctx, body, &id);
    json_decref(body);

    if (rc != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    call = ngx_iot_db_create(NGX_IOT_DB_CALL,
                             &ngx_http_iot_device_provision_stmt,
                             ctx->request->connection->log);
    if (call == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_iot_token(token, NGX_HTTP_IOT_TOKEN_LEN);
    ngx_iot_token(name, NGX_HTTP_IOT_TOKEN_LEN);

    rc = ngx_iot_db_text(call, &text);

    value.len = NGX_HTTP_IOT_TOKEN_LEN;
    value.data = token;
    rc |= ngx_iot_db_text(call, &value);

    value.data = name;
    rc |= ngx_iot_db_text(call, &value);

    rc |= ngx_iot_db_text(call, id.len ? &id : NULL);

    if (rc != NGX_OK) {
        ngx_destroy_pool(call->pool);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_iot_device_call(ctx, call);
}


/* by what MQTT_BASIC and X509_CERTIFICATE are found; empty: by nothing */

static ngx_int_t
ngx_http_iot_device_credentials_id(ngx_http_iot_device_ctx_t *ctx,
    json_t *body, ngx_str_t *id)
{
    u_char      *p, *text;
    size_t       len;
    const char  *type, *client, *user, *hash;

    ngx_str_null(id);

    type = json_string_value(json_object_get(body, "credentialsType"));

    if (type == NULL) {
        return NGX_OK;
    }

    id->data = ngx_pnalloc(ctx->request->pool, NGX_IOT_SHA3_LEN);
    if (id->data == NULL) {
        return NGX_ERROR;
    }

    if (ngx_strcmp(type, "X509_CERTIFICATE") == 0) {
        hash = json_string_value(json_object_get(body, "hash"));

        if (hash == NULL) {
            return NGX_OK;
        }

        id->len = NGX_IOT_SHA3_LEN;
        return ngx_http_iot_device_certificate_id(hash, id->data);
    }

    if (ngx_strcmp(type, "MQTT_BASIC") != 0) {
        return NGX_OK;
    }

    client = json_string_value(json_object_get(body, "clientId"));
    user = json_string_value(json_object_get(body, "username"));

    len = (client ? ngx_strlen(client) : 0) + 1
          + (user ? ngx_strlen(user) : 0) + 1;

    text = ngx_pnalloc(ctx->request->pool, len);
    if (text == NULL) {
        return NGX_ERROR;
    }

    if (client == NULL || *client == '\0') {
        /* a user name alone is looked up as it is */

        p = ngx_sprintf(text, "%s", user ? user : "");

        id->data = text;
        id->len = p - text;

        return NGX_OK;
    }

    if (user && *user) {
        p = ngx_sprintf(text, "%s|%s", client, user);

    } else {
        p = ngx_sprintf(text, "%s", client);
    }

    id->len = NGX_IOT_SHA3_LEN;

    return ngx_iot_sha3(id->data, text, p - text);
}


/* section 2.1: header, footer and line breaks do not count */

static ngx_int_t
ngx_http_iot_device_certificate_id(const char *pem, u_char *id)
{
    u_char       text[NGX_HTTP_IOT_PROVISION_BODY], *p;
    const char  *s;

    p = text;

    for (s = pem; *s && p < text + sizeof(text); ) {

        if (ngx_strncmp(s, "-----", 5) == 0) {
            s = strstr(s + 5, "-----");

            if (s == NULL) {
                break;
            }

            s += 5;
            continue;
        }

        if (*s != CR && *s != LF) {
            *p++ = (u_char) *s;
        }

        s++;
    }

    return ngx_iot_sha3(id, text, p - text);
}


static ngx_int_t
ngx_http_iot_device_bad(ngx_http_iot_device_ctx_t *ctx, ngx_str_t *text)
{
    return ngx_http_iot_device_send(ctx, NGX_HTTP_BAD_REQUEST,
                                    &ngx_http_iot_device_text, text);
}
