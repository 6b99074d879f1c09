
/*
 * Copyright (C) the ngx_iot authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "../../codec/ngx_iot_json.h"
#include "../../core/ngx_iot_sealer.h"
#include "../ngx_http_iot_module.h"
#include "ngx_http_iot_tb.h"


#define NGX_HTTP_IOT_TB_MAIL_DEPTH  32
#define NGX_HTTP_IOT_TB_MAIL_MAX    1000


/*
 * The settings of mail: passwords in jsonValue are sealed for the helpers
 * where they stand, before the database sees the body.
 */


static ngx_int_t ngx_http_iot_tb_mail_seal(ngx_http_iot_call_t *call,
    ngx_str_t *body, ngx_str_t *member);


static ngx_str_t  ngx_http_iot_tb_mail_secrets[] = {
    ngx_string("password"),
    ngx_string("proxyPassword")
};


ngx_int_t
ngx_http_iot_tb_mail_settings(ngx_http_iot_call_t *call)
{
    ngx_int_t   rc;
    ngx_str_t   body;
    ngx_uint_t  i;

    body = call->body;

    for (i = 0; i < 2; i++) {

        rc = ngx_http_iot_tb_mail_seal(call, &body,
                                       &ngx_http_iot_tb_mail_secrets[i]);

        if (rc == NGX_DECLINED) {
            return ngx_http_iot_call_fail(call, NGX_HTTP_BAD_REQUEST,
                                          "bad_request",
                                          "The password is too long, or this "
                                          "server has no key to seal it "
                                          "with!");
        }

        if (rc != NGX_OK) {
            return NGX_ERROR;
        }
    }

    /* what comes after a wait must not have it either */

    call->body = body;

    return ngx_http_iot_call_sql(call, NULL, NULL);
}


/* NGX_DECLINED: it cannot be sealed; without such a member all is well */

static ngx_int_t
ngx_http_iot_tb_mail_seal(ngx_http_iot_call_t *call, ngx_str_t *body,
    ngx_str_t *member)
{
    u_char                *p;
    ngx_int_t              rc;
    ngx_str_t              sealed;
    ngx_iot_alloc_t        alloc;
    ngx_iot_json_field_t   fields[2], secret;

    alloc.alloc = ngx_http_iot_alloc;
    alloc.data = call->pool;

    ngx_memzero(fields, sizeof(fields));
    ngx_str_set(&fields[0].name, "key");
    ngx_str_set(&fields[1].name, "jsonValue");

    if (ngx_iot_json_fields(body, &alloc, NGX_HTTP_IOT_TB_MAIL_DEPTH, fields,
                            2, NULL)
        == NGX_ERROR)
    {
        return NGX_ERROR;
    }

    if (fields[0].token != NGX_IOT_JSON_STRING
        || fields[0].text.len != sizeof("mail") - 1
        || ngx_strncmp(fields[0].text.data, "mail", sizeof("mail") - 1) != 0
        || fields[1].token != NGX_IOT_JSON_OBJECT)
    {
        return NGX_OK;
    }

    ngx_memzero(&secret, sizeof(ngx_iot_json_field_t));
    secret.name = *member;

    if (ngx_iot_json_fields(&fields[1].raw, &alloc,
                            NGX_HTTP_IOT_TB_MAIL_DEPTH, &secret, 1, NULL)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (secret.token != NGX_IOT_JSON_STRING || secret.text.len == 0) {
        return NGX_OK;
    }

    if (secret.text.len > NGX_HTTP_IOT_TB_MAIL_MAX) {
        return NGX_DECLINED;
    }

    rc = ngx_iot_seal(call->pool, NGX_IOT_SEAL_HELPER, &secret.text, &sealed);

    if (rc != NGX_OK) {
        return rc;
    }

    p = ngx_pnalloc(call->pool, body->len - secret.raw.len + sealed.len + 2);
    if (p == NULL) {
        return NGX_ERROR;
    }

    sealed.len = ngx_sprintf(p, "%*s\"%V\"",
                             (size_t) (secret.raw.data - body->data),
                             body->data, &sealed)
                 - p;

    ngx_memcpy(p + sealed.len, secret.raw.data + secret.raw.len,
               body->data + body->len - secret.raw.data - secret.raw.len);

    sealed.len += body->data + body->len - secret.raw.data - secret.raw.len;

    body->data = p;
    body->len = sealed.len;

    return NGX_OK;
}
