
/*
 * Copyright (C) the ngx_iot authors
 */


#include <math.h>
#include "values.h"
#include "ngx_iot_json.h"
#include "ngx_iot_number.h"
#include "ngx_iot_text.h"


#define NOW  1792142423000


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


static void value_points(ngx_iot_points_t *out);
static void value_one(ngx_iot_value_t *value);
static void value_number(const uint8_t *data, size_t size);


/* the first byte chooses the options, the rest is the body */

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ngx_int_t             rc;
    ngx_str_t             body;
    ngx_iot_points_t      out;
    ngx_iot_value_opts_t  opts;

    if (size == 0) {
        return 0;
    }

    ngx_iot_value_opts_init(&opts);

    opts.cast_strings = data[0] & 1;
    opts.skip_null = (data[0] >> 1) & 1;
    opts.max_points = (data[0] & 4) ? 5 : 1000;
    opts.max_string = (data[0] & 8) ? 10 : 10000;

    body = values_str(data + 1, size - 1);

    ngx_iot_points_init(&out, &values_pool);

    rc = ngx_iot_json_telemetry(&out, &body, NOW, &opts);
    values_check(rc != NGX_OK || out.n <= opts.max_points);
    values_check((rc == NGX_DECLINED) == (out.bad != 0));
    values_check(rc == NGX_OK || out.n == 0);

    if (rc == NGX_OK) {
        values_check(ngx_iot_json_check(&body, opts.max_depth, NULL, NULL)
                     == NGX_OK);
    }

    value_points(&out);

    ngx_iot_points_init(&out, &values_pool);

    rc = ngx_iot_json_attributes(&out, &body, NOW, &opts);
    values_check((rc == NGX_DECLINED) == (out.error.len != 0));

    value_points(&out);

    value_number(data, size);

    values_free();

    return 0;
}


static void
value_points(ngx_iot_points_t *out)
{
    ngx_uint_t        i;
    ngx_iot_point_t  *point;

    values_check(ngx_iot_text_check(out->error.data, out->error.len)
                 == NGX_OK);

    for (i = 0; i < out->n; i++) {
        point = &out->points[i];

        values_check(point->key.len != 0);
        values_check(ngx_iot_text_count(point->key.data, point->key.len)
                     <= 255);
        values_check(memchr(point->key.data, '\0', point->key.len) == NULL);
        values_check(point->ts >= 0 && point->ts <= NGX_IOT_JSON_MAX_TS);

        value_one(&point->value);
    }
}


/* the two texts fit into their sizes, and the JSON one is JSON */

static void
value_one(ngx_iot_value_t *value)
{
    u_char     *end;
    size_t      size;
    ngx_str_t   text;

    size = ngx_iot_value_text_size(value);
    text.data = ngx_iot_alloc(&values_pool, size);

    if (text.data == NULL) {
        return;
    }

    end = ngx_iot_value_text(text.data, value);
    values_check((size_t) (end - text.data) <= size);

    size = ngx_iot_value_json_size(value);
    text.data = ngx_iot_alloc(&values_pool, size);

    if (text.data == NULL) {
        return;
    }

    end = ngx_iot_value_json(text.data, value);
    text.len = end - text.data;

    values_check(text.len <= size);
    values_check(ngx_iot_json_check(&text, 32, NULL, NULL) == NGX_OK);
    values_check(value->type >= NGX_IOT_BOOL && value->type <= NGX_IOT_JSON);

    if (value->type == NGX_IOT_DOUBLE) {
        values_check(isfinite(value->u.d));
    }
}


static void
value_number(const uint8_t *data, size_t size)
{
    double              d;
    u_char              text[NGX_IOT_DOUBLE_LEN], *end;
    size_t              plain;
    int64_t             l;
    ngx_str_t           s;
    ngx_iot_decimal_t   dec;

    if (size >= sizeof(double)) {
        memcpy(&d, data, sizeof(double));

        if (isfinite(d)) {
            end = ngx_iot_double_text(text, d);
            values_check(end <= text + NGX_IOT_DOUBLE_LEN);
            values_check(ngx_iot_decimal_parse(&dec, text, end - text)
                         == NGX_OK);
            values_check(ngx_iot_decimal_double(&dec, &d) == NGX_OK);
            values_check(memcmp(data, &d, sizeof(double)) == 0);
        }
    }

    s = values_str(data, size);

    if (ngx_iot_decimal_parse(&dec, s.data, s.len) != NGX_OK) {
        return;
    }

    (void) ngx_iot_decimal_long(&dec, &l);
    (void) ngx_iot_decimal_double(&dec, &d);

    plain = ngx_iot_decimal_plain_size(&dec);

    if (plain <= 10000) {
        s.data = ngx_iot_alloc(&values_pool, plain);

        if (s.data != NULL) {
            s.len = ngx_iot_decimal_plain(s.data, &dec) - s.data;
            values_check(s.len <= plain);
            values_check(ngx_iot_json_check(&s, 1, NULL, NULL) == NGX_OK);
        }
    }
}
