
/*
 * Copyright (C) the ngx_iot authors
 */


#include <math.h>
#include "values.h"
#include "ngx_iot_cbor.h"
#include "ngx_iot_json.h"
#include "ngx_iot_text.h"


#define NOW  1792142423000


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


static void cbor_points(ngx_iot_points_t *out);


/* what is good telemetry or attributes is good CBOR, and JSON can say it */

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ngx_int_t             any, rc;
    ngx_str_t             body, json;
    ngx_iot_points_t      out;
    ngx_iot_value_opts_t  opts;

    ngx_iot_value_opts_init(&opts);

    body = values_str(data, size);

    ngx_iot_points_init(&out, &values_pool);

    any = ngx_iot_cbor_to_json(&out, &json, &body);
    values_check(any == NGX_OK || any == NGX_DECLINED || any == NGX_ERROR);

    if (any == NGX_OK) {
        values_check(ngx_iot_json_check(&json, NGX_IOT_CBOR_MAX_DEPTH, NULL,
                                        NULL)
                     == NGX_OK);
    }

    rc = ngx_iot_cbor_telemetry(&out, &body, NOW, &opts);
    values_check(rc != NGX_OK || any != NGX_DECLINED);
    values_check((rc == NGX_DECLINED) == (out.error.len != 0));
    values_check(rc == NGX_OK || out.n == 0);
    cbor_points(&out);

    ngx_iot_points_init(&out, &values_pool);

    rc = ngx_iot_cbor_attributes(&out, &body, NOW, &opts);
    values_check(rc != NGX_OK || any != NGX_DECLINED);
    values_check(rc == NGX_OK || out.n == 0);
    cbor_points(&out);

    values_free();

    return 0;
}


static void
cbor_points(ngx_iot_points_t *out)
{
    ngx_uint_t        i;
    ngx_iot_point_t  *point;

    for (i = 0; i < out->n; i++) {
        point = &out->points[i];

        values_check(point->key.len >= 1);
        values_check(point->key.len <= NGX_IOT_CBOR_MAX_KEY);
        values_check(ngx_iot_text_check(point->key.data, point->key.len)
                     == NGX_OK);
        values_check(point->ts >= 0 && point->ts <= NGX_IOT_CBOR_MAX_TS);

        switch (point->value.type) {

        case NGX_IOT_BOOL:
        case NGX_IOT_LONG:
            break;

        case NGX_IOT_DOUBLE:
            values_check(isfinite(point->value.u.d));
            break;

        case NGX_IOT_TEXT:
            values_check(ngx_iot_text_check(point->value.u.s.data,
                                            point->value.u.s.len)
                         == NGX_OK);
            values_check(point->value.u.s.len == 0
                         || memchr(point->value.u.s.data, '\0',
                                   point->value.u.s.len)
                            == NULL);
            break;

        default:
            values_check(point->value.type == NGX_IOT_JSON);
            values_check(ngx_iot_json_check(&point->value.u.s, 16, NULL, NULL)
                         == NGX_OK);
        }
    }
}
