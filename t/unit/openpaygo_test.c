
/*
 * Copyright (C) the ngx_iot authors
 */


#include "keycode_vectors.h"


static u_char     test_bytes[64];
static ngx_str_t  test_key = { 16, test_bytes };


static void
test_reduce_row(json_t *in, json_t *out, const char *error)
{
    uint64_t  hash;

    assert_null(error);

    hash = strtoull(text_of(in, "hash_hex"), NULL, 16);

    check(ngx_iot_openpaygo_reduce(hash) == number_of(out, "token9", -1));
    check((int64_t) ngx_iot_openpaygo_ext_reduce(hash)
          == number_of(out, "token12", -1));
}


static void
test_next_row(json_t *in, json_t *out, const char *error)
{
    u_char   data[8], key[16];
    int64_t  code, next;

    assert_null(error);

    check(hex_of(in, "key_hex", key, 16) == 16);
    check(hex_of(out, "hash_input_hex", data, 8) == 8);
    code = number_of(in, "code", -1);
    next = number_of(out, "next", -1);

    check(ngx_iot_openpaygo_next((uint32_t) code, key) == next);
    check(ngx_iot_openpaygo_reduce(ngx_iot_keycode_hash(data, 8, key))
          == next);
}


static void
test_ext_next_row(json_t *in, json_t *out, const char *error)
{
    u_char   data[8], key[16];
    int64_t  code, next;

    assert_null(error);

    check(hex_of(in, "key_hex", key, 16) == 16);
    check(hex_of(out, "hash_input_hex", data, 8) == 8);
    code = number_of(in, "code", -1);
    next = number_of(out, "next", -1);

    check((int64_t) ngx_iot_openpaygo_ext_next((uint64_t) code, key) == next);
    check((int64_t) ngx_iot_openpaygo_ext_reduce(
                                        ngx_iot_keycode_hash(data, 8, key))
          == next);
}


static void
test_start_row(json_t *in, json_t *out, const char *error)
{
    u_char  key[16];

    assert_null(error);

    check(hex_of(in, "key_hex", key, 16) == 16);
    check(ngx_iot_openpaygo_start(key) == number_of(out, "starting_code", -1));
}


static void
test_restrict_row(json_t *in, json_t *out, const char *error)
{
    const char              *plain, *wanted;
    ngx_iot_keycode_text_t   text;

    assert_null(error);

    plain = text_of(in, "token");
    wanted = text_of(out, "token");

    ngx_iot_openpaygo_print(strtoull(plain, NULL, 10), 1, strlen(plain) > 9,
                            &text);
    check_text(text.data, wanted);
    check(text.len == strlen(wanted));

    ngx_iot_openpaygo_print(strtoull(plain, NULL, 10), 0, strlen(plain) > 9,
                            &text);
    check_text(text.data, plain);
}


static void
test_parts(void **state)
{
    vectors_run("hash_to_token", test_reduce_row);
    vectors_run("next_code", test_next_row);
    vectors_run("next_code_extended", test_ext_next_row);
    vectors_run("starting_code", test_start_row);
    vectors_run("restrict_digits", test_restrict_row);
}


/* the request of a row, as far as it can be one */

static ngx_iot_keycode_err_e
request_of(json_t *in, ngx_iot_openpaygo_request_t *r)
{
    char                    amount[64];
    json_t                 *value;
    const char             *type;
    ngx_iot_keycode_err_e   err;

    memset(r, 0, sizeof(ngx_iot_openpaygo_request_t));

    type = text_of(in, "token_type");

    err = ngx_iot_openpaygo_type((const u_char *) type, strlen(type),
                                 &r->type);
    if (err != NGX_IOT_KEYCODE_OK) {
        return err;
    }

    r->start = number_of(in, "starting_code", 0);
    r->count = number_of(in, "count", -1);
    r->value = NGX_IOT_OPENPAYGO_NONE;
    r->test_code = NGX_IOT_OPENPAYGO_NONE;
    r->restricted = json_is_true(json_object_get(in, "restricted_digit_set"));
    r->extended = json_is_true(json_object_get(in, "extended_token"));

    value = json_object_get(in, "value");

    if (!json_is_number(value)) {
        return NGX_IOT_KEYCODE_OK;
    }

    snprintf(amount, sizeof(amount), "%.12g", json_number_value(value));

    return ngx_iot_openpaygo_units((u_char *) amount, strlen(amount),
                                   number_of(in, "value_divider", 1),
                                   &r->value);
}


static void
test_encode_row(json_t *in, json_t *out, const char *error)
{
    u_char                        buf[16];
    int64_t                       count;
    ngx_str_t                     key;
    ngx_iot_keycode_err_e         err;
    ngx_iot_keycode_text_t        text;
    ngx_iot_openpaygo_token_t     token;
    ngx_iot_openpaygo_device_t    device;
    ngx_iot_openpaygo_request_t   r;

    secret_of(in, "key_hex", buf, &key);

    err = request_of(in, &r);

    if (err == NGX_IOT_KEYCODE_OK) {
        err = ngx_iot_openpaygo_make(&r, &key, &text, &count);
    }

    check_error(err, error);

    if (error) {
        return;
    }

    check_text(text.data, text_of(out, "token"));
    check(count == number_of(out, "new_count", -1));

    /* and into a device that is where the server was */

    memset(&device, 0, sizeof(device));
    device.tracked = 1;
    device.count = r.count;

    check_error(ngx_iot_openpaygo_read(text.data, text.len, &key, r.start,
                                       r.restricted, &device, &token),
                NULL);

    check(token.count == count);
    check(token.value == number_of(out, "value_raw", -1));
    check(token.extended == r.extended);
    check(device.count == count);

    if (r.extended && r.type != NGX_IOT_OPENPAYGO_ADD_TIME) {
        check(token.type == NGX_IOT_OPENPAYGO_SET_TIME);

    } else {
        check(token.type == r.type);
    }

    check_error(ngx_iot_openpaygo_read(text.data, text.len, &key, r.start,
                                       r.restricted, &device, &token),
                NULL);

    if (r.type == NGX_IOT_OPENPAYGO_COUNTER_SYNC && !r.extended) {
        check(token.type == NGX_IOT_OPENPAYGO_COUNTER_SYNC);

    } else {
        check(token.type == NGX_IOT_OPENPAYGO_ALREADY_USED);
    }
}


static void
test_encode(void **state)
{
    vectors_run("encode", test_encode_row);
}


static void
device_of(json_t *in, ngx_iot_openpaygo_device_t *d)
{
    size_t   i;
    json_t  *count, *used;

    memset(d, 0, sizeof(ngx_iot_openpaygo_device_t));

    d->count = number_of(in, "count", -1);
    used = json_object_get(in, "used_counts");
    d->tracked = json_is_array(used);

    json_array_foreach(used, i, count) {
        check(i < NGX_IOT_OPENPAYGO_USED);
        d->used[d->nused++] = (uint32_t) json_integer_value(count);
    }
}


static void
test_decode_row(json_t *in, json_t *out, const char *error)
{
    size_t                        i;
    u_char                        buf[16];
    json_t                       *n, *used;
    int64_t                       count, divider;
    ngx_str_t                     key;
    const char                   *text;
    ngx_iot_keycode_text_t        again;
    ngx_iot_openpaygo_token_t     token;
    ngx_iot_openpaygo_device_t    device, old;
    ngx_iot_openpaygo_request_t   r;

    secret_of(in, "key_hex", buf, &key);
    device_of(in, &device);
    old = device;

    memset(&r, 0, sizeof(r));
    r.start = number_of(in, "starting_code", 0);
    r.restricted = json_is_true(json_object_get(in, "restricted_digit_set"));

    text = text_of(in, "token");

    check_error(ngx_iot_openpaygo_read((const u_char *) text, strlen(text),
                                       &key, r.start, r.restricted, &device,
                                       &token),
                error);

    if (error) {
        check(memcmp(&old, &device, sizeof(device)) == 0);
        return;
    }

    check_text(ngx_iot_openpaygo_type_name(token.type),
               text_of(out, "token_type"));

    if (token.type == NGX_IOT_OPENPAYGO_INVALID
        || token.type == NGX_IOT_OPENPAYGO_ALREADY_USED)
    {
        check(memcmp(&old, &device, sizeof(device)) == 0);
        return;
    }

    check(token.count == number_of(out, "count", -1));
    check(device.count == number_of(out, "count", -1)
          || (token.type == NGX_IOT_OPENPAYGO_ADD_TIME
              && device.count == old.count));
    check(token.value == number_of(out, "value_raw", -1));

    if (token.type == NGX_IOT_OPENPAYGO_ADD_TIME
        || token.type == NGX_IOT_OPENPAYGO_SET_TIME)
    {
        divider = number_of(in, "value_divider", 1);
        check((double) token.value / (double) divider
              == json_number_value(json_object_get(out, "value")));
    }

    used = json_object_get(out, "used_counts");
    check(json_is_array(used) == device.tracked);

    if (device.tracked) {
        check(json_array_size(used) == device.nused);

        json_array_foreach(used, i, n) {
            check(device.used[i] == json_integer_value(n));
        }
    }

    /* made again, from the count before the one that was found */

    r.type = token.type;
    r.extended = token.extended;
    r.value = (token.value >= 998 && !token.extended) ? NGX_IOT_OPENPAYGO_NONE
                                                      : token.value;
    r.count = token.count - 1;
    r.test_code = NGX_IOT_OPENPAYGO_NONE;

    check_error(ngx_iot_openpaygo_make(&r, &key, &again, &count), NULL);
    check(count == token.count);
    check_text(again.data, text);
}


static void
test_decode(void **state)
{
    vectors_run("decode", test_decode_row);
}


static void
test_sequence_row(json_t *in, json_t *out, const char *error)
{
    size_t                       i;
    u_char                       buf[16];
    json_t                      *expect, *step;
    int64_t                      days;
    ngx_str_t                    key;
    ngx_uint_t                   enabled;
    const char                  *text;
    ngx_iot_openpaygo_token_t    token;
    ngx_iot_openpaygo_device_t   device;

    assert_null(error);

    secret_of(in, "key_hex", buf, &key);

    memset(&device, 0, sizeof(device));
    device.count = number_of(in, "start_count", -1);
    device.tracked = 1;
    days = 0;
    enabled = 1;

    json_array_foreach(json_object_get(in, "steps"), i, step) {

        text = text_of(step, "enter");
        expect = json_object_get(step, "expect");

        check_error(ngx_iot_openpaygo_read((const u_char *) text, strlen(text),
                                           &key,
                                           number_of(in, "starting_code", 0),
                                           0, &device, &token),
                    NULL);

        switch (token.type) {

        case NGX_IOT_OPENPAYGO_ADD_TIME:
            days += enabled ? token.value : 0;
            break;

        case NGX_IOT_OPENPAYGO_SET_TIME:
            days = token.value;
            enabled = 1;
            break;

        case NGX_IOT_OPENPAYGO_DISABLE_PAYG:
            enabled = 0;
            break;

        default:
            break;
        }

        check_text(ngx_iot_openpaygo_type_name(token.type),
                   text_of(expect, "token_type"));
        check(device.count == number_of(expect, "count", -1));
        check(days == number_of(expect, "days", -1));
        check(enabled == json_is_true(json_object_get(expect,
                                                      "payg_enabled")));
    }
}


static void
test_sequence(void **state)
{
    vectors_run("device_sequence", test_sequence_row);
}


static void
test_units(void **state)
{
    size_t    n;
    int64_t   units;

    static const struct {
        const char  *text;
        int64_t      divider;
        int64_t      units;         /* or -1 */

    } rows[] = {

        { "0", 1, 0 }, { "995", 1, 995 }, { "007", 1, 7 }, { "1.000", 1, 1 },
        { "0.5", 1, 0 }, { "1.5", 1, 2 }, { "2.5", 1, 2 }, { "3.5", 1, 4 },
        { "0.500000001", 1, 1 }, { "0.499999999", 1, 0 }, { "0.125", 4, 0 },
        { "0.375", 4, 2 }, { "0.29", 100, 29 }, { "1.005", 100, 100 },
        { "1.015", 100, 102 }, { "0.999999999", 255, 255 },
        { "999999", 1, 999999 }, { "999999.4", 1, 999999 },
        { "999999.5", 1, -1 }, { "1000000", 1, -1 }, { "3922", 255, -1 },
        { "3921.564", 255, 999999 }, { "999999999", 1, -1 },
        { "1234567890", 1, -1 }, { "0.1234567891", 1, -1 }, { "", 1, -1 },
        { ".", 1, -1 }, { ".5", 1, -1 }, { "5.", 1, -1 }, { "1.2.3", 1, -1 },
        { "-1", 1, -1 }, { "+1", 1, -1 }, { "1e3", 1, -1 }, { " 1", 1, -1 },
        { "1 ", 1, -1 }, { "0x10", 1, -1 }, { "nan", 1, -1 }, { "1", 0, -1 },
        { "1", 256, -1 }, { "1", -1, -1 }, { "1", 255, 255 }
    };

    for (n = 0; n < sizeof(rows) / sizeof(rows[0]); n++) {
        vector_id = rows[n].text;
        units = -7;

        check_error(ngx_iot_openpaygo_units((const u_char *) rows[n].text,
                                            strlen(rows[n].text),
                                            rows[n].divider, &units),
                    rows[n].units < 0 ? "E_VALUE" : NULL);
        check(units == (rows[n].units < 0 ? -7 : rows[n].units));
    }

    vector_id = NULL;

    check_error(ngx_iot_openpaygo_units(NULL, 1, 1, &units), "E_VALUE");
}


static void
test_ranges(void **state)
{
    int64_t                       count;
    ngx_uint_t                    i;
    ngx_iot_keycode_text_t        text;
    ngx_iot_openpaygo_token_t     token;
    ngx_iot_openpaygo_device_t    device;
    ngx_iot_openpaygo_request_t   r;

    static const struct {
        ngx_iot_openpaygo_type_e  type;
        int64_t                   count;
        int64_t                   made;     /* or -1 */

    } rows[] = {

        { NGX_IOT_OPENPAYGO_ADD_TIME, 0, 2 },
        { NGX_IOT_OPENPAYGO_SET_TIME, 0, 1 },
        { NGX_IOT_OPENPAYGO_DISABLE_PAYG, 0, 1 },
        { NGX_IOT_OPENPAYGO_COUNTER_SYNC, 1, 3 },
        { NGX_IOT_OPENPAYGO_ADD_TIME, 65532, 65534 },
        { NGX_IOT_OPENPAYGO_ADD_TIME, 65533, 65534 },
        { NGX_IOT_OPENPAYGO_ADD_TIME, 65534, -1 },
        { NGX_IOT_OPENPAYGO_ADD_TIME, 65535, -1 },
        { NGX_IOT_OPENPAYGO_SET_TIME, 65533, 65535 },
        { NGX_IOT_OPENPAYGO_SET_TIME, 65534, 65535 },
        { NGX_IOT_OPENPAYGO_SET_TIME, 65535, -1 },
        { NGX_IOT_OPENPAYGO_SET_TIME, INT64_MAX, -1 },
        { NGX_IOT_OPENPAYGO_SET_TIME, -1, -1 },
        { NGX_IOT_OPENPAYGO_SET_TIME, INT64_MIN, -1 }
    };

    memset(&r, 0, sizeof(r));
    r.start = 999999999;
    r.test_code = NGX_IOT_OPENPAYGO_NONE;

    for (i = 0; i < 2 * sizeof(rows) / sizeof(rows[0]); i++) {
        r.type = rows[i / 2].type;
        r.count = rows[i / 2].count;
        r.extended = i & 1;

        check_error(ngx_iot_openpaygo_make(&r, &test_key, &text, &count),
                    rows[i / 2].made < 0 ? "E_COUNT" : NULL);

        if (rows[i / 2].made < 0) {
            continue;
        }

        check(count == rows[i / 2].made);

        memset(&device, 0, sizeof(device));
        device.count = r.count;
        device.tracked = 1;

        check_error(ngx_iot_openpaygo_read(text.data, text.len, &test_key,
                                           r.start, 0, &device, &token),
                    NULL);
        check(token.count == count);
        check(device.count == count);
    }

    r.type = NGX_IOT_OPENPAYGO_ADD_TIME;
    r.extended = 0;
    r.count = 1;

    r.start = -1;
    check_error(ngx_iot_openpaygo_make(&r, &test_key, &text, &count),
                "E_START");
    r.start = 1000000000;
    check_error(ngx_iot_openpaygo_make(&r, &test_key, &text, &count),
                "E_START");
    r.start = 0;
    check_error(ngx_iot_openpaygo_make(&r, &test_key, &text, &count), NULL);

    r.value = 995;
    check_error(ngx_iot_openpaygo_make(&r, &test_key, &text, &count), NULL);
    r.value = 996;
    check_error(ngx_iot_openpaygo_make(&r, &test_key, &text, &count),
                "E_VALUE");
    r.extended = 1;
    check_error(ngx_iot_openpaygo_make(&r, &test_key, &text, &count), NULL);
    r.value = 999999;
    check_error(ngx_iot_openpaygo_make(&r, &test_key, &text, &count), NULL);
    r.value = 1000000;
    check_error(ngx_iot_openpaygo_make(&r, &test_key, &text, &count),
                "E_VALUE");
    r.value = INT64_MIN;
    check_error(ngx_iot_openpaygo_make(&r, &test_key, &text, &count),
                "E_VALUE");

    r.type = NGX_IOT_OPENPAYGO_DISABLE_PAYG;
    check_error(ngx_iot_openpaygo_make(&r, &test_key, &text, &count),
                "E_VALUE");
    r.value = 0;
    check_error(ngx_iot_openpaygo_make(&r, &test_key, &text, &count), NULL);

    r.type = NGX_IOT_OPENPAYGO_INVALID;
    check_error(ngx_iot_openpaygo_make(&r, &test_key, &text, &count),
                "E_TYPE");
    r.type = NGX_IOT_OPENPAYGO_ALREADY_USED;
    check_error(ngx_iot_openpaygo_make(&r, &test_key, &text, &count),
                "E_TYPE");
    check_error(ngx_iot_openpaygo_make(NULL, &test_key, &text, &count),
                "E_TYPE");
}


/* a token that equals the test code of the device is skipped, with its count */

static void
test_test_code(void **state)
{
    int64_t                       first, second, third;
    ngx_iot_keycode_text_t        a, b, c;
    ngx_iot_openpaygo_request_t   r;

    memset(&r, 0, sizeof(r));
    r.type = NGX_IOT_OPENPAYGO_ADD_TIME;
    r.start = 516959010;
    r.count = 1;
    r.value = 7;
    r.test_code = NGX_IOT_OPENPAYGO_NONE;

    check_error(ngx_iot_openpaygo_make(&r, &test_key, &a, &first), NULL);

    r.count = first;
    check_error(ngx_iot_openpaygo_make(&r, &test_key, &b, &second), NULL);

    r.count = 1;
    r.test_code = strtoll((char *) a.data, NULL, 10);
    check_error(ngx_iot_openpaygo_make(&r, &test_key, &c, &third), NULL);

    assert_int_equal(first, 2);
    assert_int_equal(second, 4);
    assert_int_equal(third, 4);
    assert_string_equal(b.data, c.data);
    assert_string_not_equal(a.data, c.data);

    /* at the last count there is nothing to skip to */

    r.count = 65532;
    r.test_code = NGX_IOT_OPENPAYGO_NONE;
    check_error(ngx_iot_openpaygo_make(&r, &test_key, &a, &first), NULL);

    r.test_code = strtoll((char *) a.data, NULL, 10);
    check_error(ngx_iot_openpaygo_make(&r, &test_key, &a, &first), "E_COUNT");
}


/*
 * A sync that moves the count back retires what is older than itself, and
 * what is entered after it works once, wherever the count was before.
 */

static void
test_sync_back(void **state)
{
    int64_t                       count, n;
    ngx_iot_keycode_text_t        adds[120], sync;
    ngx_iot_openpaygo_token_t     token;
    ngx_iot_openpaygo_device_t    device;
    ngx_iot_openpaygo_request_t   r;

    memset(&r, 0, sizeof(r));
    r.start = 516959010;
    r.test_code = NGX_IOT_OPENPAYGO_NONE;

    for (n = 2; n < 120; n += 2) {
        r.type = NGX_IOT_OPENPAYGO_ADD_TIME;
        r.count = n - 1;
        r.value = 3;
        check_error(ngx_iot_openpaygo_make(&r, &test_key, &adds[n], &count),
                    NULL);
        check(count == n);
    }

    r.type = NGX_IOT_OPENPAYGO_COUNTER_SYNC;
    r.count = 3;
    r.value = NGX_IOT_OPENPAYGO_NONE;
    check_error(ngx_iot_openpaygo_make(&r, &test_key, &sync, &count), NULL);
    check(count == 5);

    memset(&device, 0, sizeof(device));
    device.count = 1;
    device.tracked = 1;

#define enter(t)                                                              \
    check_error(ngx_iot_openpaygo_read((t).data, (t).len, &test_key, r.start, \
                                       0, &device, &token),                   \
                NULL)

    for (n = 4; n <= 60; n += 4) {
        enter(adds[n]);
        check(token.type == NGX_IOT_OPENPAYGO_ADD_TIME && device.count == n);
    }

    enter(sync);
    check(token.type == NGX_IOT_OPENPAYGO_COUNTER_SYNC);
    check(device.count == 5);

    enter(adds[2]);
    check(token.type == NGX_IOT_OPENPAYGO_ALREADY_USED);

    for (n = 6; n < 120; n += 2) {
        enter(adds[n]);
        check(token.type == NGX_IOT_OPENPAYGO_ADD_TIME && device.count == n);
        check(device.nused <= NGX_IOT_OPENPAYGO_USED);

        enter(adds[n]);
        check(token.type == NGX_IOT_OPENPAYGO_ALREADY_USED);

        if (n > 6) {
            enter(adds[n - 2]);
            check(token.type == NGX_IOT_OPENPAYGO_ALREADY_USED);
        }
    }

#undef enter
}


static void
test_texts(void **state)
{
    u_char                       digits[24];
    size_t                       n;
    ngx_str_t                    key;
    const char                  *wanted;
    ngx_iot_keycode_text_t       text;
    ngx_iot_openpaygo_token_t    token;
    ngx_iot_openpaygo_device_t   device;
    ngx_iot_openpaygo_request_t  r;

    int64_t  count;

    memset(&device, 0, sizeof(device));
    device.count = 1;
    device.tracked = 1;

#define read(text, len, set)                                                  \
    ngx_iot_openpaygo_read((const u_char *) (text), len, &test_key,           \
                           516959010, set, &device, &token)

    for (n = 0; n < 24; n++) {

        memset(digits, '3', sizeof(digits));

        wanted = (n >= 1 && n <= 12) ? NULL : "E_FORMAT";
        check_error(read(digits, n, 0), wanted);

        wanted = (n == 15 || n == 20) ? NULL : "E_FORMAT";
        check_error(read(digits, n, 1), wanted);

        /* more than nine or twelve digits can say: a number, but no token */

        memset(digits, '4', sizeof(digits));
        check_error(read(digits, n, 1), wanted);

        if (wanted == NULL) {
            assert_int_equal(token.type, NGX_IOT_OPENPAYGO_INVALID);
        }

        digits[n / 2] = '5';
        check_error(read(digits, n, 1), "E_FORMAT");
        digits[n / 2] = '0';
        check_error(read(digits, n, 1), "E_FORMAT");
    }

    check_error(read(NULL, 9, 0), "E_FORMAT");
    check_error(read("12345678-", 9, 0), "E_FORMAT");
    check_error(read(" \t\r\n", 4, 0), "E_FORMAT");
    check_error(read("12345678\0", 9, 0), "E_FORMAT");

    /* blanks are nothing, and leading zeros may be left out */

    memset(&r, 0, sizeof(r));
    r.type = NGX_IOT_OPENPAYGO_ADD_TIME;
    r.start = 516959010;
    r.test_code = NGX_IOT_OPENPAYGO_NONE;

    for (n = 0; n < 2000; n++) {
        r.count = n;
        r.value = n % 996;
        check_error(ngx_iot_openpaygo_make(&r, &test_key, &text, &count),
                    NULL);

        if (text.data[0] != '0') {
            continue;
        }

        device.count = n;
        device.nused = 0;
        check_error(read(text.data + 1, text.len - 1, 0), NULL);
        assert_int_equal(token.type, NGX_IOT_OPENPAYGO_ADD_TIME);
        assert_int_equal(token.value, r.value);

        n += 600;
    }

    device.count = 1;
    device.nused = 0;
    check_error(read(" 397 287\t017 ", 13, 0), NULL);

    for (n = 0; n <= 64; n++) {
        key.len = n;
        key.data = test_bytes;
        wanted = (n == 16) ? NULL : "E_SECRET";

        check_error(ngx_iot_openpaygo_read((const u_char *) "1", 1, &key, 1, 0,
                                           &device, &token),
                    wanted);

        r.count = 1;
        check_error(ngx_iot_openpaygo_make(&r, &key, &text, &count), wanted);
    }

    check_error(ngx_iot_openpaygo_make(&r, NULL, &text, &count), "E_SECRET");

    key.len = 16;
    key.data = NULL;
    check_error(ngx_iot_openpaygo_make(&r, &key, &text, &count), "E_SECRET");

    check_error(ngx_iot_openpaygo_read((const u_char *) "1", 1, &test_key, -1,
                                       0, &device, &token),
                "E_START");
    check_error(ngx_iot_openpaygo_read((const u_char *) "1", 1, &test_key,
                                       1000000000, 0, &device, &token),
                "E_START");

    device.nused = 35;
    check_error(read("1", 1, 0), "E_COUNT");
    device.nused = 1;
    device.used[0] = 65536;
    check_error(read("1", 1, 0), "E_COUNT");
    device.used[0] = 65535;
    check_error(read("1", 1, 0), NULL);
    device.nused = 0;
    device.count = 65536;
    check_error(read("1", 1, 0), "E_COUNT");
    device.count = -1;
    check_error(read("1", 1, 0), "E_COUNT");
    device.count = 65535;
    check_error(read("1", 1, 0), NULL);

    assert_int_equal(ngx_iot_openpaygo_type((u_char *) "INVALID", 7, &r.type),
                     NGX_IOT_KEYCODE_E_TYPE);
    assert_int_equal(ngx_iot_openpaygo_type((u_char *) "ALREADY_USED", 12,
                                            &r.type),
                     NGX_IOT_KEYCODE_E_TYPE);
    assert_int_equal(ngx_iot_openpaygo_type(NULL, 0, &r.type),
                     NGX_IOT_KEYCODE_E_TYPE);
    assert_string_equal(ngx_iot_openpaygo_type_name(77), "INVALID");

#undef read
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_encode),
        cmocka_unit_test(test_decode),
        cmocka_unit_test(test_sequence),
        cmocka_unit_test(test_units),
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_test_code),
        cmocka_unit_test(test_sync_back),
        cmocka_unit_test(test_texts)
    };

    memset(test_bytes, 0xab, sizeof(test_bytes));

    if (vectors_load("t/data/openpaygo.json") != 0) {
        return 1;
    }

    cmocka_set_message_output(CM_OUTPUT_TAP);

    return cmocka_run_group_tests(tests, NULL, NULL);
}
