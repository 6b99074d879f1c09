
/*
 * Copyright (C) the ngx_iot authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "../../codec/ngx_iot_json.h"
#include "../ngx_http_iot_module.h"
#include "ngx_http_iot_tb.h"


#define NGX_HTTP_IOT_TB_DEPTH  64


/*
 * A device profile that takes in devices by who has signed their certificates
 * has that issuer's certificate for its secret, and for its key the hash of
 * it, which the database cannot compute.
 */

#define ngx_http_iot_tb_field(name)                                           \
    { ngx_string(name), 0, ngx_null_string, ngx_null_string }


static ngx_int_t ngx_http_iot_tb_profile_issuer(ngx_str_t *body,
    ngx_str_t *pem, ngx_iot_alloc_t *alloc);
static ngx_int_t ngx_http_iot_tb_profile_key(ngx_http_iot_call_t *call,
    ngx_str_t *id, ngx_str_t *out);


ngx_int_t
ngx_http_iot_tb_device_profile_save(ngx_http_iot_call_t *call)
{
    ngx_int_t        rc;
    ngx_str_t        pem, id, body;
    ngx_iot_alloc_t  alloc;

    alloc.alloc = ngx_http_iot_alloc;
    alloc.data = call->pool;

    rc = ngx_http_iot_tb_profile_issuer(&call->body, &pem, &alloc);

    if (rc == NGX_OK) {
        rc = ngx_http_iot_tb_x509_id(&pem, &id, &alloc);
    }

    if (rc == NGX_OK) {
        rc = ngx_http_iot_tb_profile_key(call, &id, &body);
    }

    switch (rc) {

    case NGX_OK:
        return ngx_http_iot_call_sql(call, NULL, &body);

    case NGX_DECLINED:
        /* nothing to compute, or nonsense: SQL has the words for it */
        return ngx_http_iot_call_sql(call, NULL, NULL);

    default:
        return ngx_http_iot_call_fail(call, NGX_HTTP_INTERNAL_SERVER_ERROR,
                                      "general", "Internal server error");
    }
}


static ngx_int_t
ngx_http_iot_tb_profile_issuer(ngx_str_t *body, ngx_str_t *pem,
    ngx_iot_alloc_t *alloc)
{
    ngx_int_t              rc;
    ngx_iot_json_field_t   top[] = {
        ngx_http_iot_tb_field("provisionType"),
        ngx_http_iot_tb_field("profileData")
    };
    ngx_iot_json_field_t   data[] = {
        ngx_http_iot_tb_field("provisionConfiguration")
    };
    ngx_iot_json_field_t   provision[] = {
        ngx_http_iot_tb_field("provisionDeviceSecret")
    };

    static ngx_str_t  chain = ngx_string("X509_CERTIFICATE_CHAIN");

    rc = ngx_iot_json_fields(body, alloc, NGX_HTTP_IOT_TB_DEPTH, top, 2, NULL);

    if (rc != NGX_OK
        || top[0].token != NGX_IOT_JSON_STRING
        || top[0].text.len != chain.len
        || ngx_strncmp(top[0].text.data, chain.data, chain.len) != 0
        || top[1].token == NGX_IOT_JSON_END)
    {
        return (rc == NGX_OK) ? NGX_DECLINED : rc;
    }

    rc = ngx_iot_json_fields(&top[1].raw, alloc, NGX_HTTP_IOT_TB_DEPTH, data,
                             1, NULL);

    if (rc != NGX_OK || data[0].token == NGX_IOT_JSON_END) {
        return (rc == NGX_OK) ? NGX_DECLINED : rc;
    }

    rc = ngx_iot_json_fields(&data[0].raw, alloc, NGX_HTTP_IOT_TB_DEPTH,
                             provision, 1, NULL);

    if (rc != NGX_OK || provision[0].token != NGX_IOT_JSON_STRING) {
        return (rc == NGX_OK) ? NGX_DECLINED : rc;
    }

    *pem = provision[0].text;

    return NGX_OK;
}


/* of equal names the last counts */

static ngx_int_t
ngx_http_iot_tb_profile_key(ngx_http_iot_call_t *call, ngx_str_t *id,
    ngx_str_t *out)
{
    u_char  *p;
    size_t   len;

    for (len = call->body.len; len && call->body.data[len - 1] != '}'; len--) {
        /* void */
    }

    if (len == 0) {
        return NGX_DECLINED;
    }

    len--;

    p = ngx_pnalloc(call->pool,
                    len + sizeof(",\"provisionDeviceKey\":\"\"}") + id->len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    out->data = p;

    p = ngx_cpymem(p, call->body.data, len);
    out->len = ngx_sprintf(p, ",\"provisionDeviceKey\":\"%V\"}", id)
               - out->data;

    return NGX_OK;
}
