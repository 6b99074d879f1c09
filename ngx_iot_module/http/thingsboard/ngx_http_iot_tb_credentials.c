
/*
 * Copyright (C) the ngx_iot authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "../../codec/ngx_iot_id.h"
#include "../../codec/ngx_iot_json.h"
#include "../ngx_http_iot_module.h"
#include "ngx_http_iot_tb.h"


#define NGX_HTTP_IOT_TB_DEPTH  64


#define ngx_http_iot_tb_field(name)                                           \
    { ngx_string(name), 0, ngx_null_string, ngx_null_string }


/*
 * A device is looked up by one text, whatever its credentials are made of.
 * That of certificates and of MQTT user names is computed here and put at the
 * end of the object as "_credentialsId": of equal names the last counts.
 */

static ngx_int_t ngx_http_iot_tb_credentials_id(ngx_str_t *object,
    ngx_str_t *out, ngx_pool_t *pool);
static ngx_int_t ngx_http_iot_tb_basic_id(ngx_str_t *value, ngx_str_t *id,
    ngx_iot_alloc_t *alloc);
static ngx_int_t ngx_http_iot_tb_sha3(ngx_str_t *text, ngx_str_t *id,
    ngx_iot_alloc_t *alloc);
static size_t ngx_http_iot_tb_skip_mark(u_char *p, u_char *last);
static ngx_int_t ngx_http_iot_tb_credentials_append(ngx_str_t *object,
    ngx_str_t *id, ngx_str_t *value, ngx_str_t *out, ngx_pool_t *pool);
static ngx_int_t ngx_http_iot_tb_credentials_error(ngx_http_iot_call_t *call);


ngx_int_t
ngx_http_iot_tb_credentials_save(ngx_http_iot_call_t *call)
{
    ngx_str_t  body;

    switch (ngx_http_iot_tb_credentials_id(&call->body, &body, call->pool)) {

    case NGX_OK:
        return ngx_http_iot_call_sql(call, NULL, &body);

    case NGX_DECLINED:
        /* nothing to compute, or nonsense: SQL has the words for it */
        return ngx_http_iot_call_sql(call, NULL, NULL);

    default:
        return ngx_http_iot_tb_credentials_error(call);
    }
}


ngx_int_t
ngx_http_iot_tb_device_with_credentials(ngx_http_iot_call_t *call)
{
    u_char                *p;
    ngx_int_t              rc;
    ngx_str_t              credentials, body;
    ngx_iot_alloc_t        alloc;
    ngx_iot_json_field_t   fields[] = {
        ngx_http_iot_tb_field("device"),
        ngx_http_iot_tb_field("credentials")
    };

    alloc.alloc = ngx_http_iot_alloc;
    alloc.data = call->pool;

    rc = ngx_iot_json_fields(&call->body, &alloc, NGX_HTTP_IOT_TB_DEPTH,
                             fields, 2, NULL);

    if (rc == NGX_OK
        && (fields[0].token == NGX_IOT_JSON_END
            || fields[1].token == NGX_IOT_JSON_END))
    {
        rc = NGX_DECLINED;
    }

    if (rc == NGX_OK) {
        rc = ngx_http_iot_tb_credentials_id(&fields[1].raw, &credentials,
                                            call->pool);
    }

    if (rc == NGX_DECLINED) {
        return ngx_http_iot_call_sql(call, NULL, NULL);
    }

    if (rc != NGX_OK) {
        return ngx_http_iot_tb_credentials_error(call);
    }

    p = ngx_pnalloc(call->pool, sizeof("{\"device\":,\"credentials\":}")
                                + fields[0].raw.len + credentials.len);
    if (p == NULL) {
        return ngx_http_iot_tb_credentials_error(call);
    }

    body.data = p;
    body.len = ngx_sprintf(p, "{\"device\":%V,\"credentials\":%V}",
                           &fields[0].raw, &credentials)
               - p;

    return ngx_http_iot_call_sql(call, NULL, &body);
}


static ngx_int_t
ngx_http_iot_tb_credentials_id(ngx_str_t *object, ngx_str_t *out,
    ngx_pool_t *pool)
{
    ngx_int_t              rc;
    ngx_str_t              id, *type;
    ngx_iot_alloc_t        alloc;
    ngx_iot_json_field_t   fields[] = {
        ngx_http_iot_tb_field("credentialsType"),
        ngx_http_iot_tb_field("credentialsValue")
    };

    static ngx_str_t  basic = ngx_string("MQTT_BASIC");
    static ngx_str_t  x509 = ngx_string("X509_CERTIFICATE");

    alloc.alloc = ngx_http_iot_alloc;
    alloc.data = pool;

    rc = ngx_iot_json_fields(object, &alloc, NGX_HTTP_IOT_TB_DEPTH, fields, 2,
                             NULL);
    if (rc != NGX_OK) {
        return rc;
    }

    type = &fields[0].text;

    if (fields[0].token != NGX_IOT_JSON_STRING
        || fields[1].token != NGX_IOT_JSON_STRING)
    {
        return NGX_DECLINED;
    }

    if (type->len == basic.len
        && ngx_strncmp(type->data, basic.data, basic.len) == 0)
    {
        rc = ngx_http_iot_tb_basic_id(&fields[1].text, &id, &alloc);

    } else if (type->len == x509.len
               && ngx_strncmp(type->data, x509.data, x509.len) == 0)
    {
        rc = ngx_http_iot_tb_x509_id(&fields[1].text, &id, &alloc);

    } else {
        return NGX_DECLINED;
    }

    if (rc != NGX_OK) {
        return rc;
    }

    return ngx_http_iot_tb_credentials_append(object, &id, &fields[1].text,
                                              out, pool);
}


/* the user name, or the hash of the client id and both joined by "|" */

static ngx_int_t
ngx_http_iot_tb_basic_id(ngx_str_t *value, ngx_str_t *id,
    ngx_iot_alloc_t *alloc)
{
    u_char                *p;
    ngx_int_t              rc;
    ngx_str_t              both, *client, *user;
    ngx_iot_json_field_t   fields[] = {
        ngx_http_iot_tb_field("clientId"),
        ngx_http_iot_tb_field("userName")
    };

    rc = ngx_iot_json_fields(value, alloc, NGX_HTTP_IOT_TB_DEPTH, fields, 2,
                             NULL);
    if (rc != NGX_OK) {
        return rc;
    }

    client = &fields[0].text;
    user = &fields[1].text;

    if (fields[0].token != NGX_IOT_JSON_STRING) {
        client->len = 0;
    }

    if (fields[1].token != NGX_IOT_JSON_STRING) {
        user->len = 0;
    }

    if (client->len == 0) {
        *id = *user;
        return user->len ? NGX_OK : NGX_DECLINED;
    }

    if (user->len == 0) {
        return ngx_http_iot_tb_sha3(client, id, alloc);
    }

    both.len = client->len + 1 + user->len;

    both.data = alloc->alloc(alloc->data, both.len);
    if (both.data == NULL) {
        return NGX_ERROR;
    }

    p = ngx_cpymem(both.data, client->data, client->len);
    *p++ = '|';
    ngx_memcpy(p, user->data, user->len);

    return ngx_http_iot_tb_sha3(&both, id, alloc);
}


/*
 * PEM without its marks and line ends: clients send it with and without, and
 * the certificate of a TLS connection is brought into the same form.
 */

ngx_int_t
ngx_http_iot_tb_x509_id(ngx_str_t *value, ngx_str_t *id,
    ngx_iot_alloc_t *alloc)
{
    u_char  *p, *last, *dst;
    size_t   skip;

    dst = alloc->alloc(alloc->data, value->len + 1);
    if (dst == NULL) {
        return NGX_ERROR;
    }

    p = value->data;
    last = p + value->len;
    value->data = dst;

    while (p < last) {

        skip = ngx_http_iot_tb_skip_mark(p, last);

        if (skip) {
            p += skip;

        } else if (*p == CR || *p == LF) {
            p++;

        } else {
            *dst++ = *p++;
        }
    }

    value->len = dst - value->data;

    if (value->len == 0) {
        return NGX_DECLINED;
    }

    return ngx_http_iot_tb_sha3(value, id, alloc);
}


static size_t
ngx_http_iot_tb_skip_mark(u_char *p, u_char *last)
{
    ngx_uint_t  i;

    static ngx_str_t  marks[] = {
        ngx_string("-----BEGIN CERTIFICATE-----"),
        ngx_string("-----END CERTIFICATE-----")
    };

    for (i = 0; i < 2; i++) {
        if ((size_t) (last - p) >= marks[i].len
            && ngx_memcmp(p, marks[i].data, marks[i].len) == 0)
        {
            return marks[i].len;
        }
    }

    return 0;
}


static ngx_int_t
ngx_http_iot_tb_sha3(ngx_str_t *text, ngx_str_t *id, ngx_iot_alloc_t *alloc)
{
    id->len = NGX_IOT_SHA3_LEN;

    id->data = alloc->alloc(alloc->data, NGX_IOT_SHA3_LEN);
    if (id->data == NULL) {
        return NGX_ERROR;
    }

    return ngx_iot_sha3(id->data, text->data, text->len);
}


/* the object is one, so its last character that is no blank is "}" */

static ngx_int_t
ngx_http_iot_tb_credentials_append(ngx_str_t *object, ngx_str_t *id,
    ngx_str_t *value, ngx_str_t *out, ngx_pool_t *pool)
{
    u_char  *p;
    size_t   len;

    for (len = object->len; len && object->data[len - 1] != '}'; len--) {
        /* void */
    }

    if (len == 0) {
        return NGX_DECLINED;
    }

    len--;

    p = ngx_pnalloc(pool,
                    len + sizeof(",\"credentialsValue\":\"\","
                                 "\"_credentialsId\":\"\"}")
                    + ngx_iot_json_escape_size(value->data, value->len)
                    + ngx_iot_json_escape_size(id->data, id->len));
    if (p == NULL) {
        return NGX_ERROR;
    }

    out->data = p;

    p = ngx_cpymem(p, object->data, len);
    p = ngx_cpymem(p, ",\"credentialsValue\":\"",
                   sizeof(",\"credentialsValue\":\"") - 1);
    p = ngx_iot_json_escape(p, value->data, value->len);
    p = ngx_cpymem(p, "\",\"_credentialsId\":\"",
                   sizeof("\",\"_credentialsId\":\"") - 1);
    p = ngx_iot_json_escape(p, id->data, id->len);
    *p++ = '"';
    *p++ = '}';

    out->len = p - out->data;

    return NGX_OK;
}


static ngx_int_t
ngx_http_iot_tb_credentials_error(ngx_http_iot_call_t *call)
{
    return ngx_http_iot_call_fail(call, NGX_HTTP_INTERNAL_SERVER_ERROR,
                                  "general", "Internal server error");
}
