
/*
 * Copyright (C) the ngx_iot authors
 */


#include "ngx_iot_value.h"
#include "ngx_iot_json.h"
#include "ngx_iot_number.h"
#include "ngx_iot_text.h"


#define NGX_IOT_POINTS_MIN    32
#define NGX_IOT_POINTS_ABOUT  64


static u_char *ngx_iot_points_append(ngx_iot_points_t *out, u_char *p,
    const char *text);


void
ngx_iot_value_opts_init(ngx_iot_value_opts_t *opts)
{
    ngx_memzero(opts, sizeof(ngx_iot_value_opts_t));

    opts->max_depth = 32;
    opts->max_points = 100000;
    opts->max_key = 255;
    opts->max_string = 10000000;
    opts->cast_strings = 1;
    opts->skip_null = 1;
}


void
ngx_iot_points_init(ngx_iot_points_t *out, ngx_iot_alloc_t *alloc)
{
    ngx_memzero(out, sizeof(ngx_iot_points_t));

    out->alloc = alloc;
    out->error.data = out->err;
}


ngx_iot_point_t *
ngx_iot_points_push(ngx_iot_points_t *out, ngx_iot_value_opts_t *opts,
    ngx_int_t *rc)
{
    ngx_uint_t        n;
    ngx_iot_point_t  *points;

    if (out->n >= opts->max_points) {
        *rc = NGX_BUSY;
        return NULL;
    }

    if (out->n == out->nalloc) {

        n = (out->nalloc == 0) ? NGX_IOT_POINTS_MIN : out->nalloc * 2;

        points = ngx_iot_alloc(out->alloc, n * sizeof(ngx_iot_point_t));

        if (points == NULL) {
            *rc = NGX_ERROR;
            return NULL;
        }

        if (out->n != 0) {
            ngx_memcpy(points, out->points, out->n * sizeof(ngx_iot_point_t));
        }

        out->points = points;
        out->nalloc = n;
    }

    return &out->points[out->n++];
}


ngx_int_t
ngx_iot_points_decline(ngx_iot_points_t *out, ngx_uint_t bad,
    const char *text, ngx_str_t *about)
{
    u_char  *p;
    size_t   len;

    out->bad = bad;

    p = ngx_iot_points_append(out, out->err, text);

    if (about != NULL) {
        len = ngx_iot_text_cut(about->data, about->len, NGX_IOT_POINTS_ABOUT);
        len = ngx_iot_text_cut(about->data, len,
                               out->err + NGX_IOT_POINTS_ERR_LEN - p);
        p = ngx_cpymem(p, about->data, len);
    }

    out->error.data = out->err;
    out->error.len = p - out->err;

    return NGX_DECLINED;
}


static u_char *
ngx_iot_points_append(ngx_iot_points_t *out, u_char *p, const char *text)
{
    u_char  *last;

    last = out->err + NGX_IOT_POINTS_ERR_LEN;

    while (*text != '\0' && p < last) {
        *p++ = (u_char) *text++;
    }

    return p;
}


size_t
ngx_iot_value_text_size(ngx_iot_value_t *value)
{
    switch (value->type) {

    case NGX_IOT_BOOL:
        return sizeof("false") - 1;

    case NGX_IOT_LONG:
        return NGX_IOT_LONG_LEN;

    case NGX_IOT_DOUBLE:
        return NGX_IOT_DOUBLE_LEN;

    default: /* NGX_IOT_TEXT, NGX_IOT_JSON */
        return value->u.s.len;
    }
}


u_char *
ngx_iot_value_text(u_char *dst, ngx_iot_value_t *value)
{
    switch (value->type) {

    case NGX_IOT_BOOL:

        if (value->u.l) {
            return ngx_cpymem(dst, "true", 4);
        }

        return ngx_cpymem(dst, "false", 5);

    case NGX_IOT_LONG:
        return ngx_iot_long_text(dst, value->u.l);

    case NGX_IOT_DOUBLE:
        return ngx_iot_double_text(dst, value->u.d);

    default: /* NGX_IOT_TEXT, NGX_IOT_JSON */

        if (value->u.s.len == 0) {
            return dst;
        }

        return ngx_cpymem(dst, value->u.s.data, value->u.s.len);
    }
}


size_t
ngx_iot_value_json_size(ngx_iot_value_t *value)
{
    if (value->type == NGX_IOT_TEXT) {
        return ngx_iot_json_escape_size(value->u.s.data, value->u.s.len) + 2;
    }

    return ngx_iot_value_text_size(value);
}


u_char *
ngx_iot_value_json(u_char *dst, ngx_iot_value_t *value)
{
    if (value->type == NGX_IOT_TEXT) {
        *dst++ = '"';
        dst = ngx_iot_json_escape(dst, value->u.s.data, value->u.s.len);
        *dst++ = '"';

        return dst;
    }

    return ngx_iot_value_text(dst, value);
}


ngx_uint_t
ngx_iot_value_equal(ngx_iot_value_t *a, ngx_iot_value_t *b)
{
    if (a->type != b->type) {
        return 0;
    }

    switch (a->type) {

    case NGX_IOT_BOOL:
    case NGX_IOT_LONG:
        return a->u.l == b->u.l;

    case NGX_IOT_DOUBLE:
        return ngx_memcmp(&a->u.d, &b->u.d, sizeof(double)) == 0;

    default: /* NGX_IOT_TEXT, NGX_IOT_JSON */
        return a->u.s.len == b->u.s.len
               && (a->u.s.len == 0
                   || ngx_memcmp(a->u.s.data, b->u.s.data, a->u.s.len) == 0);
    }
}
