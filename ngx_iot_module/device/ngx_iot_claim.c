
/*
 * Copyright (C) the ngx_iot authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "../codec/ngx_iot_json.h"
#include "ngx_iot_claim.h"
#include "ngx_iot_gateway.h"


#define NGX_IOT_CLAIM_DEPTH  8


static u_char *ngx_iot_claim_devices(u_char *p, ngx_iot_claim_t *claims,
    ngx_uint_t n);
static u_char *ngx_iot_claim_durations(u_char *p, ngx_iot_claim_t *claims,
    ngx_uint_t n);


static ngx_iot_db_stmt_t  ngx_iot_claim_stmt = ngx_iot_db_stmt(
    "SELECT iot.claim_offer($1::uuid, $2::uuid[], $3::text[], $4::bigint[])");


ngx_int_t
ngx_iot_claim_parse(ngx_iot_claim_t *claim, ngx_str_t *body,
    ngx_iot_alloc_t *alloc)
{
    off_t                  n;
    ngx_int_t              rc;
    ngx_iot_json_field_t   fields[2];

    ngx_str_null(&claim->secret);
    claim->duration = 0;

    if (body->len == 0) {
        return NGX_OK;
    }

    ngx_str_set(&fields[0].name, "secretKey");
    ngx_str_set(&fields[1].name, "durationMs");

    rc = ngx_iot_json_fields(body, alloc, NGX_IOT_CLAIM_DEPTH, fields, 2,
                             NULL);
    if (rc != NGX_OK) {
        return rc;
    }

    if (fields[0].token == NGX_IOT_JSON_STRING) {
        claim->secret = fields[0].text;

        if (claim->secret.len > NGX_IOT_CLAIM_MAX_SECRET) {
            return NGX_DECLINED;
        }

    } else if (fields[0].token != NGX_IOT_JSON_END
               && fields[0].token != NGX_IOT_JSON_NULL)
    {
        return NGX_DECLINED;
    }

    if (fields[1].token == NGX_IOT_JSON_NUMBER) {
        n = ngx_atoof(fields[1].text.data, fields[1].text.len);

        if (n == NGX_ERROR) {
            return NGX_DECLINED;
        }

        claim->duration = n;

    } else if (fields[1].token != NGX_IOT_JSON_END
               && fields[1].token != NGX_IOT_JSON_NULL)
    {
        return NGX_DECLINED;
    }

    return NGX_OK;
}


ngx_iot_db_call_t *
ngx_iot_claim_offer(u_char *tenant, ngx_iot_claim_t *claims, ngx_uint_t n,
    ngx_iot_db_done_pt done, void *data)
{
    u_char             *p, *last;
    ngx_str_t           id;
    ngx_iot_db_call_t  *call;

    call = ngx_iot_db_create(NGX_IOT_DB_CALL, &ngx_iot_claim_stmt,
                             ngx_cycle->log);
    if (call == NULL) {
        return NULL;
    }

    id.data = tenant;
    id.len = NGX_IOT_UUID_TEXT;

    if (ngx_iot_db_text(call, &id) != NGX_OK) {
        goto failed;
    }

    p = ngx_pnalloc(call->pool, n * (NGX_IOT_UUID_TEXT + 1) + sizeof("{}"));
    if (p == NULL) {
        goto failed;
    }

    last = ngx_iot_claim_devices(p, claims, n);
    ngx_iot_db_param(call, p, last - p, 0);

    if (ngx_iot_gateway_texts(call, &claims[0].secret,
                              sizeof(ngx_iot_claim_t), n)
        != NGX_OK)
    {
        goto failed;
    }

    p = ngx_pnalloc(call->pool, n * (NGX_INT64_LEN + 1) + sizeof("{}"));
    if (p == NULL) {
        goto failed;
    }

    last = ngx_iot_claim_durations(p, claims, n);
    ngx_iot_db_param(call, p, last - p, 0);

    call->data = data;
    call->done = done;

    if (ngx_iot_db_send(call) == NGX_OK) {
        return call;
    }

failed:

    ngx_destroy_pool(call->pool);

    return NULL;
}


static u_char *
ngx_iot_claim_devices(u_char *p, ngx_iot_claim_t *claims, ngx_uint_t n)
{
    ngx_uint_t  i;

    *p++ = '{';

    for (i = 0; i < n; i++) {

        if (i) {
            *p++ = ',';
        }

        p = ngx_cpymem(p, claims[i].device, NGX_IOT_UUID_TEXT);
    }

    *p++ = '}';
    *p = '\0';

    return p;
}


static u_char *
ngx_iot_claim_durations(u_char *p, ngx_iot_claim_t *claims, ngx_uint_t n)
{
    ngx_uint_t  i;

    *p++ = '{';

    for (i = 0; i < n; i++) {

        if (i) {
            *p++ = ',';
        }

        p = ngx_sprintf(p, "%L", claims[i].duration);
    }

    *p++ = '}';
    *p = '\0';

    return p;
}


void
ngx_iot_claim_log(ngx_iot_db_call_t *call, u_char *tenant)
{
    ngx_int_t  n;

    if (PQntuples(call->result) != 1) {
        return;
    }

    n = ngx_atoi((u_char *) PQgetvalue(call->result, 0, 0),
                 PQgetlength(call->result, 0, 0));

    if (n > 0) {
        ngx_log_error(NGX_LOG_INFO, ngx_cycle->log, 0,
                      "%i devices of tenant %*s may not be claimed", n,
                      (size_t) NGX_IOT_UUID_TEXT, tenant);
    }
}
