
/*
 * Copyright (C) the ngx_iot authors
 */


#include "values.h"
#include "ngx_iot_json.h"
#include "ngx_iot_text.h"


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


static void json_write(ngx_str_t *text);


/*
 * Reading token by token, checking and skipping agree; a compact text is as
 * good as the one it was made of, and cannot be made any smaller.
 */

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    u_char          *end;
    size_t           offset;
    ngx_int_t        rc;
    ngx_str_t        body, compact;
    ngx_uint_t       token;
    const char      *error;
    ngx_iot_json_t   json;

    body = values_str(data, size);

    rc = ngx_iot_json_check(&body, 16, &error, &offset);

    values_check(rc == NGX_OK || offset <= size);

    ngx_iot_json_init(&json, &body, &values_pool, 16);

    do {
        token = ngx_iot_json_next(&json);

        if (token == NGX_IOT_JSON_KEY || token == NGX_IOT_JSON_STRING) {
            values_check(ngx_iot_text_check(json.text.data, json.text.len)
                         == NGX_OK);
            json_write(&json.text);
        }

    } while (token != NGX_IOT_JSON_END && token != NGX_IOT_JSON_BAD);

    values_check((rc == NGX_OK) == (token == NGX_IOT_JSON_END));

    if (rc == NGX_OK) {
        ngx_iot_json_init(&json, &body, &values_pool, 16);

        (void) ngx_iot_json_next(&json);
        values_check(ngx_iot_json_skip(&json) == NGX_OK);
        values_check(ngx_iot_json_next(&json) == NGX_IOT_JSON_END);

        compact.data = ngx_iot_alloc(&values_pool, json.raw.len);
        end = ngx_iot_json_compact(compact.data, json.raw.data, json.raw.len);
        compact.len = end - compact.data;

        values_check(ngx_iot_json_check(&compact, 16, NULL, NULL) == NGX_OK);

        ngx_iot_json_init(&json, &compact, &values_pool, 16);
        (void) ngx_iot_json_next(&json);
        values_check(ngx_iot_json_skip(&json) == NGX_OK);
        values_check(!json.blanks);
    }

    values_free();

    return 0;
}


/* what has been read can be written, and reads the same again */

static void
json_write(ngx_str_t *text)
{
    size_t          size;
    u_char         *end;
    ngx_str_t       body;
    ngx_iot_json_t  json;

    size = ngx_iot_json_escape_size(text->data, text->len);

    body.len = size + 2;
    body.data = ngx_iot_alloc(&values_pool, body.len);

    if (body.data == NULL) {
        return;
    }

    body.data[0] = '"';
    end = ngx_iot_json_escape(body.data + 1, text->data, text->len);
    values_check(end == body.data + 1 + size);
    *end = '"';

    ngx_iot_json_init(&json, &body, &values_pool, 1);

    if (ngx_iot_json_next(&json) != NGX_IOT_JSON_STRING) {
        values_check(json.nomem);
        return;
    }

    values_check(json.text.len == text->len
                 && memcmp(json.text.data, text->data, text->len) == 0);
}
