
/*
 * Copyright (C) the ngx_iot authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "../../codec/ngx_iot_json.h"
#include "../../codec/ngx_iot_value.h"
#include "../../core/ngx_iot_sealer.h"
#include "../ngx_http_iot_module.h"
#include "ngx_http_iot_tb.h"


/*
 * Values that come by REST are typed by the same rules as those of devices,
 * and by the same code; SQL gets each with its type:
 *
 *     {"points":[["temperature",1792142423000,"d",21.5],...]}
 *     {"values":[["mode","s","auto"],...]}
 *
 * Types: b, l, d, s, and j: JSON, whose value is its compact text.
 */


typedef ngx_int_t (*ngx_http_iot_tb_parse_pt)(ngx_iot_points_t *out,
    ngx_str_t *body, int64_t now, ngx_iot_value_opts_t *opts);


static ngx_int_t ngx_http_iot_tb_values_save(ngx_http_iot_call_t *call,
    ngx_http_iot_tb_parse_pt parse, ngx_uint_t series);
static ngx_int_t ngx_http_iot_tb_values_bad(ngx_http_iot_call_t *call,
    ngx_iot_points_t *points, ngx_uint_t series);
static ngx_int_t ngx_http_iot_tb_values_seal(ngx_http_iot_call_t *call,
    ngx_iot_points_t *points);
static ngx_uint_t ngx_http_iot_tb_is_secret(ngx_str_t *text);
static ngx_int_t ngx_http_iot_tb_values_json(ngx_iot_points_t *points,
    ngx_uint_t series, ngx_str_t *out, ngx_pool_t *pool);
static u_char *ngx_http_iot_tb_value_json(u_char *p, ngx_iot_value_t *value);


ngx_int_t
ngx_http_iot_tb_timeseries_save(ngx_http_iot_call_t *call)
{
    return ngx_http_iot_tb_values_save(call, ngx_iot_json_telemetry, 1);
}


ngx_int_t
ngx_http_iot_tb_timeseries_save_ttl(ngx_http_iot_call_t *call)
{
    return ngx_http_iot_tb_values_save(call, ngx_iot_json_telemetry, 1);
}


ngx_int_t
ngx_http_iot_tb_attributes_save(ngx_http_iot_call_t *call)
{
    return ngx_http_iot_tb_values_save(call, ngx_iot_json_attributes, 0);
}


ngx_int_t
ngx_http_iot_tb_attributes_save_device(ngx_http_iot_call_t *call)
{
    return ngx_http_iot_tb_values_save(call, ngx_iot_json_attributes, 0);
}


static ngx_int_t
ngx_http_iot_tb_values_save(ngx_http_iot_call_t *call,
    ngx_http_iot_tb_parse_pt parse, ngx_uint_t series)
{
    int64_t                now;
    ngx_int_t              rc;
    ngx_str_t              body;
    ngx_time_t            *tp;
    ngx_iot_alloc_t        alloc;
    ngx_iot_points_t       points;
    ngx_iot_value_opts_t   opts;

    tp = ngx_timeofday();
    now = (int64_t) tp->sec * 1000 + tp->msec;

    alloc.alloc = ngx_http_iot_alloc;
    alloc.data = call->pool;

    ngx_iot_value_opts_init(&opts);
    opts.skip_null = 0;

    ngx_iot_points_init(&points, &alloc);

    rc = parse(&points, &call->body, now, &opts);

    if (rc == NGX_DECLINED) {
        return ngx_http_iot_tb_values_bad(call, &points, series);
    }

    if (rc == NGX_BUSY) {
        return ngx_http_iot_call_fail(call, NGX_HTTP_BAD_REQUEST,
                                      "bad_request",
                                      "Too many values in one request");
    }

    if (rc == NGX_OK && !series) {
        rc = ngx_http_iot_tb_values_seal(call, &points);

        if (rc == NGX_DONE) {
            return NGX_DONE;
        }
    }

    if (rc != NGX_OK
        || ngx_http_iot_tb_values_json(&points, series, &body, call->pool)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_iot_call_sql(call, NULL, &body);
}


static ngx_int_t
ngx_http_iot_tb_values_bad(ngx_http_iot_call_t *call, ngx_iot_points_t *points,
    ngx_uint_t series)
{
    u_char           *p;
    ngx_iot_error_t   err;

    static char  reason[] = "Unable to parse time series payload. "
                            "Invalid JSON body: ";

    ngx_iot_error_set(&err, NGX_HTTP_BAD_REQUEST, "bad_request", "");

    if (series && points->bad == NGX_IOT_BAD_SYNTAX) {
        ngx_str_set(&err.message, "Unable to parse time series payload: "
                                  "Invalid JSON body!");
        return ngx_http_iot_call_err(call, &err);
    }

    if (!series && points->bad == NGX_IOT_BAD_SYNTAX) {
        ngx_str_set(&err.message, "Invalid JSON");
        return ngx_http_iot_call_err(call, &err);
    }

    if (!series && points->bad == NGX_IOT_BAD_SHAPE) {
        ngx_str_set(&err.message, "Request is not a JSON object");
        return ngx_http_iot_call_err(call, &err);
    }

    /* the text is in the parser's memory, the answer outlives it */

    p = ngx_pnalloc(call->pool, sizeof(reason) + points->error.len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    err.message.data = p;

    if (series) {
        p = ngx_cpymem(p, reason, sizeof(reason) - 1);
    }

    p = ngx_cpymem(p, points->error.data, points->error.len);

    err.message.len = p - err.message.data;

    return ngx_http_iot_call_err(call, &err);
}


/*
 * The secret of a pay-as-you-go device is for the helpers alone.  NGX_DONE:
 * it has been refused.
 */

static ngx_int_t
ngx_http_iot_tb_values_seal(ngx_http_iot_call_t *call,
    ngx_iot_points_t *points)
{
    ngx_int_t         rc;
    ngx_str_t        *scope, sealed;
    ngx_uint_t        i, strict;
    ngx_iot_point_t  *point;

    scope = &call->path[call->npath - 1];

    if (scope->len != sizeof("SERVER_SCOPE") - 1
        || ngx_strncmp(scope->data, "SERVER_SCOPE", scope->len) != 0)
    {
        return NGX_OK;
    }

    for (i = 0; i < points->n; i++) {
        point = &points->points[i];

        strict = (point->key.len == sizeof("pyg_pts") - 1
                  && ngx_strncmp(point->key.data, "pyg_pts", point->key.len)
                     == 0);

        if (!strict
            && (point->key.len != sizeof("device_secret") - 1
                || ngx_strncmp(point->key.data, "device_secret",
                               point->key.len)
                   != 0))
        {
            continue;
        }

        if (point->value.type != NGX_IOT_TEXT
            || (strict && ngx_http_iot_tb_is_secret(&point->value.u.s) == 0))
        {
            return ngx_http_iot_call_fail(call, NGX_HTTP_BAD_REQUEST,
                                          "E_SECRET",
                                          "A secret must be a text of 32 hex "
                                          "characters");
        }

        rc = ngx_iot_seal(call->pool, NGX_IOT_SEAL_HELPER, &point->value.u.s,
                          &sealed);

        if (rc == NGX_DECLINED) {
            return ngx_http_iot_call_fail(call, NGX_HTTP_BAD_REQUEST,
                                          "E_SECRET",
                                          "This server has no key to seal a "
                                          "secret with");
        }

        if (rc != NGX_OK) {
            return NGX_ERROR;
        }

        point->value.u.s = sealed;
    }

    return NGX_OK;
}


static ngx_uint_t
ngx_http_iot_tb_is_secret(ngx_str_t *text)
{
    size_t  i;
    u_char  c;

    for (i = 0; i < text->len; i++) {
        c = (u_char) (text->data[i] | 0x20);

        if ((c < '0' || c > '9') && (c < 'a' || c > 'f')) {
            return 0;
        }
    }

    return text->len == 32;
}


static ngx_int_t
ngx_http_iot_tb_values_json(ngx_iot_points_t *points, ngx_uint_t series,
    ngx_str_t *out, ngx_pool_t *pool)
{
    size_t            len;
    u_char           *p;
    ngx_uint_t        i;
    ngx_iot_point_t  *point;

    len = sizeof("{\"points\":[]}");

    for (i = 0; i < points->n; i++) {
        point = &points->points[i];

        len += sizeof("[\"\",,\"x\",\"\"],") + NGX_INT64_LEN
               + ngx_iot_json_escape_size(point->key.data, point->key.len);

        if (point->value.type == NGX_IOT_JSON) {
            len += ngx_iot_json_escape_size(point->value.u.s.data,
                                            point->value.u.s.len);

        } else {
            len += ngx_iot_value_json_size(&point->value);
        }
    }

    p = ngx_pnalloc(pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    out->data = p;

    p = ngx_sprintf(p, "{\"%s\":[", series ? "points" : "values");

    for (i = 0; i < points->n; i++) {
        point = &points->points[i];

        if (i) {
            *p++ = ',';
        }

        *p++ = '[';
        *p++ = '"';
        p = ngx_iot_json_escape(p, point->key.data, point->key.len);
        *p++ = '"';
        *p++ = ',';

        if (series) {
            p = ngx_sprintf(p, "%L,", point->ts);
        }

        p = ngx_http_iot_tb_value_json(p, &point->value);
        *p++ = ']';
    }

    *p++ = ']';
    *p++ = '}';

    out->len = p - out->data;

    return NGX_OK;
}


static u_char *
ngx_http_iot_tb_value_json(u_char *p, ngx_iot_value_t *value)
{
    static u_char  types[] = "?bldsj";

    p = ngx_sprintf(p, "\"%c\",", types[value->type]);

    if (value->type != NGX_IOT_JSON) {
        return ngx_iot_value_json(p, value);
    }

    *p++ = '"';
    p = ngx_iot_json_escape(p, value->u.s.data, value->u.s.len);
    *p++ = '"';

    return p;
}
