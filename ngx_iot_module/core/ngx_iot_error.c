
/*
 * Copyright (C) the ngx_iot authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_iot_error.h"


typedef struct {
    char            *prefix;        /* of the SQLSTATE */
    ngx_uint_t       status;
    char            *code;
    char            *message;
    ngx_uint_t       retry_after;
} ngx_iot_sqlstate_t;


static ngx_int_t ngx_iot_error_copy(ngx_str_t *dst, const char *src,
    ngx_pool_t *pool);
static ngx_int_t ngx_iot_error_raised(ngx_iot_error_t *err, PGresult *res,
    ngx_pool_t *pool);
static void ngx_iot_error_code(ngx_iot_error_t *err);


/* the first prefix that fits */

static ngx_iot_sqlstate_t  ngx_iot_sqlstates[] = {
    { "22", 400, "bad_request", "Invalid value!", 0 },
    { "23505", 409, "conflict", "Such an object already exists!", 0 },
    { "23503", 409, "conflict", "The object is referenced by others!", 0 },
    { "23", 400, "bad_request", "Invalid value!", 0 },
    { "40", 503, "unavailable", "Too many concurrent changes", 1 },
    { "57014", 504, "timeout", "The database took too long", 0 },
    { "53", 503, "unavailable", "Storage is out of resources", 5 },
    { "58", 503, "unavailable", "Storage failure", 5 },
    { "08", 503, "unavailable", "Storage is not available", 1 },
    { "57", 503, "unavailable", "Storage is not available", 1 },
    { "25006", 503, "unavailable", "Storage is read-only", 5 },
    { "55", 503, "unavailable", "Storage is busy", 1 },
    { "", 500, "general", "Internal server error", 0 }
};


void
ngx_iot_error_set(ngx_iot_error_t *err, ngx_uint_t status, char *code,
    char *message)
{
    ngx_memzero(err, sizeof(ngx_iot_error_t));

    err->status = status;
    err->code.data = (u_char *) code;
    err->code.len = ngx_strlen(code);
    err->message.data = (u_char *) message;
    err->message.len = ngx_strlen(message);

    if (status == 503) {
        err->retry_after = 1;
    }
}


ngx_int_t
ngx_iot_error_from_result(ngx_iot_error_t *err, PGresult *res,
    ngx_pool_t *pool, ngx_log_t *log)
{
    ngx_uint_t           level;
    const char          *state, *text;
    ngx_iot_sqlstate_t  *s;

    state = PQresultErrorField(res, PG_DIAG_SQLSTATE);

    if (state == NULL || ngx_strlen(state) != 5) {
        /* made up by libpq itself */
        state = "08006";
    }

    if (state[0] == 'I' && state[1] == 'O') {
        return ngx_iot_error_raised(err, res, pool);
    }

    for (s = ngx_iot_sqlstates; s->prefix[0]; s++) {
        if (ngx_strncmp(state, s->prefix, ngx_strlen(s->prefix)) == 0) {
            break;
        }
    }

    ngx_iot_error_set(err, s->status, s->code, s->message);
    err->retry_after = s->retry_after;
    ngx_memcpy(err->sqlstate, state, 6);

    text = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);

    level = (s->status >= 500) ? NGX_LOG_ERR : NGX_LOG_INFO;

    ngx_log_error(level, log, 0,
                  "database refused a call: %s %s", state,
                  text ? text : PQresultErrorMessage(res));

    text = PQresultErrorField(res, PG_DIAG_CONTEXT);

    if (text && s->status >= 500) {
        ngx_log_error(NGX_LOG_ERR, log, 0, "database context: %s", text);
    }

    return NGX_OK;
}


/* RAISE EXCEPTION ... USING ERRCODE = 'IO404', DETAIL = '{"code":...}' */

static ngx_int_t
ngx_iot_error_raised(ngx_iot_error_t *err, PGresult *res, ngx_pool_t *pool)
{
    ngx_int_t    status;
    const char  *state;

    ngx_memzero(err, sizeof(ngx_iot_error_t));

    state = PQresultErrorField(res, PG_DIAG_SQLSTATE);
    ngx_memcpy(err->sqlstate, state, 6);

    status = ngx_atoi((u_char *) state + 2, 3);
    err->status = (status >= 300 && status <= 599) ? (ngx_uint_t) status : 500;

    if (ngx_iot_error_copy(&err->message,
                           PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY),
                           pool)
        != NGX_OK
        || ngx_iot_error_copy(&err->fields,
                              PQresultErrorField(res, PG_DIAG_MESSAGE_DETAIL),
                              pool)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_iot_error_code(err);

    if (err->status == 503 || err->status == 429) {
        err->retry_after = 1;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_iot_error_copy(ngx_str_t *dst, const char *src, ngx_pool_t *pool)
{
    if (src == NULL) {
        ngx_str_null(dst);
        return NGX_OK;
    }

    dst->len = ngx_strlen(src);
    dst->data = ngx_pnalloc(pool, dst->len + 1);
    if (dst->data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(dst->data, src, dst->len + 1);

    return NGX_OK;
}


/* "code" is the first member of DETAIL by convention of iot.fail() */

static void
ngx_iot_error_code(ngx_iot_error_t *err)
{
    u_char  *p, *last;

    ngx_str_set(&err->code, "general");

    if (err->fields.len == 0) {
        return;
    }

    p = ngx_strnstr(err->fields.data, "\"code\"", err->fields.len);
    if (p == NULL) {
        return;
    }

    last = err->fields.data + err->fields.len;
    p += sizeof("\"code\"") - 1;

    while (p < last && (*p == ' ' || *p == ':')) {
        p++;
    }

    if (p == last || *p++ != '"') {
        return;
    }

    err->code.data = p;

    while (p < last && *p != '"') {
        p++;
    }

    err->code.len = p - err->code.data;
}
