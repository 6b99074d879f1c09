
/*
 * Copyright (C) the ngx_iot authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "../codec/ngx_iot_json.h"
#include "../core/ngx_iot_metrics.h"
#include "../device/ngx_iot_event.h"
#include "ngx_http_iot_module.h"


static ngx_int_t ngx_http_iot_answer_begin(ngx_http_iot_call_t *call);
static void ngx_http_iot_answer_type(ngx_http_request_t *r, ngx_str_t *type);
static ngx_int_t ngx_http_iot_answer_keep(ngx_http_iot_call_t *call,
    PGresult *res);
static void ngx_http_iot_answer_clear(void *data);
static ngx_chain_t *ngx_http_iot_answer_rows(ngx_http_iot_call_t *call,
    PGresult *res, int column, off_t *size);
static ngx_int_t ngx_http_iot_answer_headers(ngx_http_iot_call_t *call,
    char *text, size_t len, ngx_str_t *type);
static ngx_uint_t ngx_http_iot_answer_is_events(ngx_str_t *key);
static ngx_int_t ngx_http_iot_answer_header(ngx_http_iot_call_t *call,
    ngx_str_t *key, ngx_str_t *value, ngx_str_t *type);
static ngx_int_t ngx_http_iot_answer_send(ngx_http_iot_call_t *call,
    ngx_uint_t status, ngx_str_t *type, ngx_chain_t *out, off_t size);
static void ngx_http_iot_answer_log(ngx_http_iot_call_t *call,
    ngx_iot_error_t *err);


static ngx_str_t  ngx_http_iot_json_type = ngx_string("application/json");


ngx_int_t
ngx_http_iot_send(ngx_http_request_t *r, ngx_uint_t status, ngx_str_t *type,
    ngx_str_t *body)
{
    size_t        len;
    ngx_int_t     rc;
    ngx_buf_t    *b;
    ngx_chain_t   out;

    len = body ? body->len : 0;

    r->headers_out.status = status;
    r->headers_out.content_length_n = len;
    r->allow_ranges = 0;

    ngx_http_iot_answer_type(r, len ? type : NULL);

    if (ngx_http_iot_answered(r) != NGX_OK
        || ngx_http_iot_cors_headers(r) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    b = ngx_calloc_buf(r->pool);
    if (b == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (len) {
        b->pos = body->data;
        b->last = body->data + len;
        b->memory = 1;
    }

    b->last_buf = (r == r->main) ? 1 : 0;
    b->last_in_chain = 1;

    out.buf = b;
    out.next = NULL;

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    return ngx_http_output_filter(r, &out);
}


static void
ngx_http_iot_answer_type(ngx_http_request_t *r, ngx_str_t *type)
{
    if (type == NULL) {
        ngx_str_null(&r->headers_out.content_type);
        r->headers_out.content_type_len = 0;

    } else {
        r->headers_out.content_type = *type;
        r->headers_out.content_type_len = type->len;
    }

    r->headers_out.content_type_lowcase = NULL;
}


ngx_int_t
ngx_http_iot_add_header(ngx_http_request_t *r, char *key, ngx_str_t *value)
{
    ngx_table_elt_t  *h;

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    h->hash = 1;
    h->key.data = (u_char *) key;
    h->key.len = ngx_strlen(key);
    h->value = *value;
    h->lowcase_key = NULL;

    return NGX_OK;
}


/* a call is answered once; a second answer is a bug, and is dropped */

static ngx_int_t
ngx_http_iot_answer_begin(ngx_http_iot_call_t *call)
{
    if (call->state >= ngx_http_iot_answer_state) {
        ngx_log_error(NGX_LOG_ALERT, call->log, 0,
                      "a call was answered twice");
        return NGX_DECLINED;
    }

    ngx_http_iot_call_set_state(call, ngx_http_iot_answer_state);

    call->abort = NULL;

    return NGX_OK;
}


ngx_int_t
ngx_http_iot_call_json(ngx_http_iot_call_t *call, ngx_uint_t status,
    ngx_str_t *json)
{
    return ngx_http_iot_call_text(call, status, &ngx_http_iot_json_type, json);
}


ngx_int_t
ngx_http_iot_call_text(ngx_http_iot_call_t *call, ngx_uint_t status,
    ngx_str_t *type, ngx_str_t *text)
{
    if (ngx_http_iot_answer_begin(call) != NGX_OK) {
        return NGX_DONE;
    }

    ngx_http_iot_call_finalize(call, ngx_http_iot_send(call->request, status,
                                                       type, text));
    return NGX_DONE;
}


ngx_int_t
ngx_http_iot_call_empty(ngx_http_iot_call_t *call, ngx_uint_t status)
{
    return ngx_http_iot_call_text(call, status, NULL, NULL);
}


ngx_int_t
ngx_http_iot_call_fail(ngx_http_iot_call_t *call, ngx_uint_t status,
    char *code, char *message)
{
    ngx_iot_error_t  err;

    ngx_iot_error_set(&err, status, code, message);

    return ngx_http_iot_call_err(call, &err);
}


ngx_int_t
ngx_http_iot_call_err(ngx_http_iot_call_t *call, ngx_iot_error_t *err)
{
    u_char              *p;
    ngx_str_t            type, body, value;
    ngx_http_request_t  *r;

    if (ngx_http_iot_answer_begin(call) != NGX_OK) {
        return NGX_DONE;
    }

    r = call->request;

    ngx_http_iot_answer_log(call, err);

    ngx_str_null(&type);
    ngx_str_null(&body);

    if (call->dialect->error(call, err, &type, &body) != NGX_OK) {
        goto failed;
    }

    if (err->retry_after) {
        p = ngx_pnalloc(call->pool, NGX_INT_T_LEN);
        if (p == NULL) {
            goto failed;
        }

        value.data = p;
        value.len = ngx_sprintf(p, "%ui", err->retry_after) - p;

        if (ngx_http_iot_add_header(r, "Retry-After", &value) != NGX_OK) {
            goto failed;
        }
    }

    if (err->status == NGX_HTTP_NOT_ALLOWED && call->allow) {

        if (ngx_http_iot_route_allow(call->allow, &value, call->pool)
            != NGX_OK
            || ngx_http_iot_add_header(r, "Allow", &value) != NGX_OK)
        {
            goto failed;
        }
    }

    ngx_http_iot_call_finalize(call, ngx_http_iot_send(r, err->status, &type,
                                                       &body));
    return NGX_DONE;

failed:

    ngx_http_iot_call_finalize(call, NGX_HTTP_INTERNAL_SERVER_ERROR);

    return NGX_DONE;
}


static void
ngx_http_iot_answer_log(ngx_http_iot_call_t *call, ngx_iot_error_t *err)
{
    ngx_str_t            none = ngx_string("-");
    ngx_uint_t           level;
    ngx_http_iot_ctx_t  *ctx;

    if (err->status >= 500 && err->status != NGX_HTTP_NOT_IMPLEMENTED) {
        ngx_iot_count(requests_failed);
        level = (err->status == NGX_HTTP_INTERNAL_SERVER_ERROR) ? NGX_LOG_ERR
                                                                : NGX_LOG_WARN;

    } else {
        ngx_iot_count(requests_refused);
        level = NGX_LOG_INFO;
    }

    ctx = ngx_http_get_module_ctx(call->request, ngx_http_iot_module);

    if (ctx == NULL) {
        return;
    }

    ngx_log_error(level, call->log, 0,
                  "call answered %ui \"%V\", route: \"%V\", "
                  "tenant: %V, user: %V",
                  err->status, &err->code,
                  call->route ? &call->route->pattern : &none,
                  ctx->tenant.len ? &ctx->tenant : &none,
                  ctx->user.len ? &ctx->user : &none);
}


ngx_int_t
ngx_http_iot_call_result(ngx_http_iot_call_t *call, PGresult *res)
{
    off_t         size;
    ngx_int_t     status;
    ngx_str_t     type;
    ngx_uint_t    n;
    ngx_chain_t  *out;

    if (ngx_http_iot_answer_begin(call) != NGX_OK) {
        PQclear(res);
        return NGX_DONE;
    }

    if (ngx_http_iot_answer_keep(call, res) != NGX_OK) {
        goto failed;
    }

    status = NGX_HTTP_OK;
    type = ngx_http_iot_json_type;
    n = 0;

    if (PQnfields(res) == 3 && PQntuples(res) > 0) {
        n = 2;

        if (!PQgetisnull(res, 0, 0)) {
            status = ngx_atoi((u_char *) PQgetvalue(res, 0, 0),
                              PQgetlength(res, 0, 0));

            if (status < 200 || status > 599) {
                ngx_log_error(NGX_LOG_ERR, call->log, 0,
                              "\"%s\" answered with an impossible status",
                              call->route->function);
                goto failed;
            }
        }

        if (!PQgetisnull(res, 0, 1)
            && ngx_http_iot_answer_headers(call, PQgetvalue(res, 0, 1),
                                           PQgetlength(res, 0, 1), &type)
               != NGX_OK)
        {
            goto failed;
        }
    }

    if (call->route->flags & NGX_HTTP_IOT_EMPTY) {
        out = NULL;
        size = 0;

    } else {
        out = ngx_http_iot_answer_rows(call, res, (int) n, &size);
        if (out == NULL) {
            goto failed;
        }
    }

    ngx_http_iot_call_finalize(call,
                               ngx_http_iot_answer_send(call, status, &type,
                                                        out, size));
    return NGX_DONE;

failed:

    ngx_http_iot_call_finalize(call, NGX_HTTP_INTERNAL_SERVER_ERROR);

    return NGX_DONE;
}


/* what is sent points into the result, so it lives as long as the request */

static ngx_int_t
ngx_http_iot_answer_keep(ngx_http_iot_call_t *call, PGresult *res)
{
    ngx_pool_cleanup_t  *cln;

    cln = ngx_pool_cleanup_add(call->pool, 0);
    if (cln == NULL) {
        PQclear(res);
        return NGX_ERROR;
    }

    cln->handler = ngx_http_iot_answer_clear;
    cln->data = res;

    return NGX_OK;
}


static void
ngx_http_iot_answer_clear(void *data)
{
    PGresult *res = data;

    PQclear(res);
}


/* all rows of a column, one after the other, and a buffer that ends them */

static ngx_chain_t *
ngx_http_iot_answer_rows(ngx_http_iot_call_t *call, PGresult *res, int column,
    off_t *size)
{
    int            i, n, len;
    ngx_buf_t     *b;
    ngx_chain_t   *out, **last;

    *size = 0;

    out = NULL;
    last = &out;

    n = PQntuples(res);

    for (i = 0; i < n; i++) {

        len = PQgetlength(res, i, column);

        if (len == 0) {
            continue;
        }

        b = ngx_calloc_buf(call->pool);
        if (b == NULL) {
            return NULL;
        }

        b->pos = (u_char *) PQgetvalue(res, i, column);
        b->last = b->pos + len;
        b->memory = 1;

        *last = ngx_alloc_chain_link(call->pool);
        if (*last == NULL) {
            return NULL;
        }

        (*last)->buf = b;
        (*last)->next = NULL;
        last = &(*last)->next;

        *size += len;
    }

    if (out == NULL) {
        b = ngx_calloc_buf(call->pool);
        if (b == NULL) {
            return NULL;
        }

        out = ngx_alloc_chain_link(call->pool);
        if (out == NULL) {
            return NULL;
        }

        out->buf = b;
        out->next = NULL;

    } else {
        for (b = NULL, last = &out; *last; last = &(*last)->next) {
            b = (*last)->buf;
        }
    }

    b->last_buf = 1;
    b->last_in_chain = 1;

    return out;
}


static ngx_int_t
ngx_http_iot_answer_send(ngx_http_iot_call_t *call, ngx_uint_t status,
    ngx_str_t *type, ngx_chain_t *out, off_t size)
{
    ngx_int_t            rc;
    ngx_http_request_t  *r;

    r = call->request;

    if (size == 0) {
        return ngx_http_iot_send(r, status, NULL, NULL);
    }

    r->headers_out.status = status;
    r->headers_out.content_length_n = size;
    r->allow_ranges = 0;

    ngx_http_iot_answer_type(r, type);

    if (ngx_http_iot_answered(r) != NGX_OK
        || ngx_http_iot_cors_headers(r) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    return ngx_http_output_filter(r, out);
}


/* {"Content-Type": "text/plain", "Location": "..."} of an iot.answer */

static ngx_int_t
ngx_http_iot_answer_headers(ngx_http_iot_call_t *call, char *text, size_t len,
    ngx_str_t *type)
{
    ngx_str_t        body, key, value;
    ngx_uint_t       token;
    ngx_iot_json_t   json;
    ngx_iot_alloc_t  alloc;

    alloc.alloc = ngx_http_iot_alloc;
    alloc.data = call->pool;

    body.data = (u_char *) text;
    body.len = len;

    ngx_iot_json_init(&json, &body, &alloc, NGX_IOT_JSON_MAX_DEPTH);

    token = ngx_iot_json_next(&json);

    if (token == NGX_IOT_JSON_NULL) {
        return NGX_OK;
    }

    if (token != NGX_IOT_JSON_OBJECT) {
        goto invalid;
    }

    for ( ;; ) {
        token = ngx_iot_json_next(&json);

        if (token == NGX_IOT_JSON_OBJECT_END) {
            return NGX_OK;
        }

        if (token != NGX_IOT_JSON_KEY) {
            goto invalid;
        }

        key = json.text;

        token = ngx_iot_json_next(&json);

        if (token == NGX_IOT_JSON_ARRAY
            && ngx_http_iot_answer_is_events(&key))
        {
            /* told already, by ngx_http_iot_answer_publish() */

            if (ngx_iot_json_skip(&json) != NGX_OK) {
                goto invalid;
            }

            continue;
        }

        if (token == NGX_IOT_JSON_NULL) {
            continue;
        }

        if (token != NGX_IOT_JSON_STRING && token != NGX_IOT_JSON_NUMBER) {
            goto invalid;
        }

        value = json.text;

        if (ngx_http_iot_answer_header(call, &key, &value, type) != NGX_OK) {
            return NGX_ERROR;
        }
    }

invalid:

    ngx_log_error(NGX_LOG_ERR, call->log, 0,
                  "\"%s\" answered with invalid headers",
                  call->route->function);

    return NGX_ERROR;
}


static ngx_uint_t
ngx_http_iot_answer_is_events(ngx_str_t *key)
{
    return key->len == sizeof("@publish") - 1
           && ngx_strncmp(key->data, "@publish", key->len) == 0;
}


/*
 * What is to be told on the bus now that the function has committed: also when
 * nobody waits for its answer any more.
 */

void
ngx_http_iot_answer_publish(PGresult *res, ngx_pool_t *pool, ngx_log_t *log)
{
    ngx_str_t             body;
    ngx_iot_alloc_t       alloc;
    ngx_iot_json_field_t  field;

    if (PQnfields(res) != 3 || PQntuples(res) == 0 || PQgetisnull(res, 0, 1)) {
        return;
    }

    alloc.alloc = ngx_http_iot_alloc;
    alloc.data = pool;

    body.data = (u_char *) PQgetvalue(res, 0, 1);
    body.len = PQgetlength(res, 0, 1);

    ngx_memzero(&field, sizeof(ngx_iot_json_field_t));
    ngx_str_set(&field.name, "@publish");

    if (ngx_iot_json_fields(&body, &alloc, NGX_IOT_JSON_MAX_DEPTH, &field, 1,
                            NULL)
        == NGX_OK
        && field.token == NGX_IOT_JSON_ARRAY)
    {
        ngx_iot_event_publish_json(&field.raw, pool, log);
    }
}


static ngx_int_t
ngx_http_iot_answer_header(ngx_http_iot_call_t *call, ngx_str_t *key,
    ngx_str_t *value, ngx_str_t *type)
{
    size_t            i;
    ngx_table_elt_t  *h;

    for (i = 0; i < key->len; i++) {
        if (key->data[i] <= ' ' || key->data[i] >= 0x7f
            || key->data[i] == ':')
        {
            goto invalid;
        }
    }

    for (i = 0; i < value->len; i++) {
        if ((value->data[i] < ' ' && value->data[i] != '\t')
            || value->data[i] == 0x7f)
        {
            goto invalid;
        }
    }

    if (key->len == 0) {
        goto invalid;
    }

    if (key->len == sizeof("Content-Type") - 1
        && ngx_strncasecmp(key->data, (u_char *) "Content-Type", key->len)
           == 0)
    {
        *type = *value;
        return NGX_OK;
    }

    h = ngx_list_push(&call->request->headers_out.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    h->hash = 1;
    h->key = *key;
    h->value = *value;
    h->lowcase_key = NULL;

    return NGX_OK;

invalid:

    ngx_log_error(NGX_LOG_ERR, call->log, 0,
                  "\"%s\" answered with an unsafe header",
                  call->route->function);

    return NGX_ERROR;
}
