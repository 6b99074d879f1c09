
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


#define NGX_HTTP_IOT_TB_DEPTH  64


/* The value of a secret setting is sealed before the database sees it. */


static void ngx_http_iot_tb_setting_asked(ngx_http_iot_call_t *call);
static ngx_int_t ngx_http_iot_tb_setting_seal(ngx_http_iot_call_t *call,
    ngx_uint_t kind, size_t max);


static ngx_iot_db_stmt_t  ngx_http_iot_tb_setting_stmt = ngx_iot_db_stmt(
    "SELECT kind, max_length FROM iot.setting_seal($1)");


ngx_int_t
ngx_http_iot_tb_setting_put(ngx_http_iot_call_t *call)
{
    ngx_iot_db_call_t  *db;

    db = ngx_http_iot_call_db_create(call, NGX_IOT_DB_CALL,
                                     &ngx_http_iot_tb_setting_stmt);

    if (db == NULL || ngx_iot_db_text(db, &call->path[0]) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_iot_call_db_send(call, ngx_http_iot_tb_setting_asked);
}


static void
ngx_http_iot_tb_setting_asked(ngx_http_iot_call_t *call)
{
    ngx_int_t           max;
    ngx_iot_db_call_t  *db;

    db = call->db;

    if (db->rc != NGX_OK) {
        (void) ngx_http_iot_call_err(call, &db->error);
        return;
    }

    if (PQntuples(db->result) == 0) {
        (void) ngx_http_iot_call_sql(call, NULL, NULL);
        return;
    }

    max = ngx_atoi((u_char *) PQgetvalue(db->result, 0, 1),
                   PQgetlength(db->result, 0, 1));

    (void) ngx_http_iot_tb_setting_seal(call,
                                        PQgetvalue(db->result, 0, 0)[0] == 'w'
                                        ? NGX_IOT_SEAL_WORKER
                                        : NGX_IOT_SEAL_HELPER,
                                        max > 0 ? max : 1000);
}


static ngx_int_t
ngx_http_iot_tb_setting_seal(ngx_http_iot_call_t *call, ngx_uint_t kind,
    size_t max)
{
    u_char                *p;
    ngx_int_t              rc;
    ngx_str_t              sealed, body;
    ngx_iot_alloc_t        alloc;
    ngx_iot_json_field_t   value = {
        ngx_string("value"), 0, ngx_null_string, ngx_null_string
    };

    alloc.alloc = ngx_http_iot_alloc;
    alloc.data = call->pool;

    rc = ngx_iot_json_fields(&call->body, &alloc, NGX_HTTP_IOT_TB_DEPTH,
                             &value, 1, NULL);

    if (rc == NGX_ERROR) {
        goto failed;
    }

    if (rc != NGX_OK || value.token != NGX_IOT_JSON_STRING
        || value.text.len == 0 || value.text.len > max)
    {
        return ngx_http_iot_call_fail(call, NGX_HTTP_BAD_REQUEST,
                                      "bad_request",
                                      "A secret must be a string that is "
                                      "neither empty nor too long!");
    }

    rc = ngx_iot_seal(call->pool, kind, &value.text, &sealed);

    if (rc == NGX_DECLINED) {
        return ngx_http_iot_call_fail(call, NGX_HTTP_BAD_REQUEST,
                                      "bad_request",
                                      "This server has no key to seal such a "
                                      "secret with!");
    }

    if (rc != NGX_OK) {
        goto failed;
    }

    p = ngx_pnalloc(call->pool, sizeof("{\"value\":\"\"}") + sealed.len);
    if (p == NULL) {
        goto failed;
    }

    body.data = p;
    body.len = ngx_sprintf(p, "{\"value\":\"%V\"}", &sealed) - p;

    return ngx_http_iot_call_sql(call, NULL, &body);

failed:

    return ngx_http_iot_call_fail(call, NGX_HTTP_INTERNAL_SERVER_ERROR,
                                  "general", "Internal server error");
}
