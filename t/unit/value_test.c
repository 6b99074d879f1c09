
/*
 * Copyright (C) the ngx_iot authors
 */


#include <stdio.h>
#include "values.h"
#include "ngx_iot_number.h"


#define NOW  1792142423000


static ngx_int_t value_telemetry(const char *text);
static int value_setup(void **state);
static char *value_dump(void);
static void value_typing(void **state);
static void value_huge_numbers(void **state);
static void value_uncast(void **state);
static void value_shapes(void **state);
static void value_refusals(void **state);
static void value_nulls(void **state);
static void value_limits(void **state);
static void value_many_keys(void **state);
static void value_attributes(void **state);
static void value_single(void **state);
static void value_no_memory(void **state);
static void value_java_text(void **state);
static void value_round_trip(void **state);
static void value_decimals(void **state);
static void value_texts(void **state);


static ngx_iot_points_t      value_out;
static ngx_iot_value_opts_t  value_opts;


static ngx_int_t
value_telemetry(const char *text)
{
    ngx_str_t  body;

    body = values_text(text);

    ngx_iot_points_init(&value_out, &values_pool);

    return ngx_iot_json_telemetry(&value_out, &body, NOW, &value_opts);
}


static int
value_setup(void **state)
{
    ngx_iot_value_opts_init(&value_opts);

    return 0;
}


/* all points as lines "key ts TYPE json", into memory of the test */

static char *
value_dump(void)
{
    char              *dst;
    u_char            *p;
    size_t             size;
    ngx_uint_t         i;
    ngx_iot_point_t   *point;

    static const char  types[] = "?BLDSJ";

    size = 1;

    for (i = 0; i < value_out.n; i++) {
        point = &value_out.points[i];
        size += point->key.len + ngx_iot_value_json_size(&point->value) + 40;
    }

    dst = values_alloc(NULL, size);
    p = (u_char *) dst;

    for (i = 0; i < value_out.n; i++) {
        point = &value_out.points[i];

        p = ngx_cpymem(p, point->key.data, point->key.len);
        *p++ = '@';

        if (point->ts == NOW) {
            p = ngx_cpymem(p, "now", 3);

        } else {
            p = ngx_iot_long_text(p, point->ts);
        }

        *p++ = ' ';
        *p++ = types[point->value.type];
        *p++ = ' ';
        p = ngx_iot_value_json(p, &point->value);
        *p++ = '\n';
    }

    *p = '\0';

    return dst;
}


static void
value_typing(void **state)
{
    char         body[256], expect[256];
    ngx_uint_t   i;

    static const struct {
        const char  *json;
        const char  *typed;
    } rows[] = {
        { "true", "B true" },
        { "false", "B false" },

        { "42", "L 42" },
        { "-7", "L -7" },
        { "0", "L 0" },
        { "-0", "L 0" },
        { "9223372036854775807", "L 9223372036854775807" },
        { "-9223372036854775808", "L -9223372036854775808" },

        { "1e2", "L 100" },
        { "1.0e2", "L 100" },
        { "1E+2", "L 100" },
        { "1.5e1", "L 15" },
        { "1000e-2", "L 10" },
        { "-12.50e2", "L -1250" },
        { "0e5", "L 0" },
        { "0.0e5", "L 0" },
        { "0e-999999999999999999999", "L 0" },
        { "9.223372036854775807e18", "L 9223372036854775807" },

        { "42.0", "D 42.0" },
        { "0.0", "D 0.0" },
        { "-0.0", "D -0.0" },
        { "21.5", "D 21.5" },
        { "7e-06", "D 7.0E-6" },
        { "1.25e1", "D 12.5" },
        { "1e-16", "D 1.0E-16" },
        { "0.1234567890123456", "D 0.1234567890123456" },
        { "123456789012345678901234567890.5", "D 1.2345678901234568E29" },

        { "9223372036854775808", "S \"9223372036854775808\"" },
        { "-9223372036854775809", "S \"-9223372036854775809\"" },
        { "1e19", "S \"10000000000000000000\"" },
        { "-1.5e20", "S \"-150000000000000000000\"" },
        { "12345678901234567890123",
          "S \"12345678901234567890123\"" },

        { "0.12345678901234567", "S \"0.12345678901234567\"" },
        { "0.00000000000000000", "S \"0.00000000000000000\"" },
        { "-0.00000000000000000", "S \"0.00000000000000000\"" },
        { "1e-17", "S \"0.00000000000000001\"" },
        { "-100e-17", "S \"-0.00000000000000100\"" },
        { "123.456e-15", "S \"0.000000000000123456\"" },
        { "12345678901234567890.5e-18",
          "S \"12.3456789012345678905\"" },

        { "\"0123\"", "L 123" },
        { "\"12.50\"", "D 12.5" },
        { "\"-7\"", "L -7" },
        { "\"-0.5\"", "D -0.5" },
        { "\"42.0\"", "D 42.0" },
        { "\"9223372036854775807\"", "L 9223372036854775807" },
        { "\"\\u0031\\u0032\"", "L 12" },
        { "\"0012345678901234567890\"", "S \"0012345678901234567890\"" },
        { "\"0.12345678901234567\"", "S \"0.12345678901234567\"" },

        { "\"\"", "S \"\"" },
        { "\"-\"", "S \"-\"" },
        { "\".5\"", "S \".5\"" },
        { "\"-.5\"", "S \"-.5\"" },
        { "\"5.\"", "S \"5.\"" },
        { "\"1.2.3\"", "S \"1.2.3\"" },
        { "\"1..2\"", "S \"1..2\"" },
        { "\".\"", "S \".\"" },
        { "\"1e5\"", "S \"1e5\"" },
        { "\"+5\"", "S \"+5\"" },
        { "\" 5\"", "S \" 5\"" },
        { "\"5 \"", "S \"5 \"" },
        { "\"0x10\"", "S \"0x10\"" },
        { "\"NaN\"", "S \"NaN\"" },
        { "\"true\"", "S \"true\"" },
        { "\"\xd9\xa1\"", "S \"\xd9\xa1\"" },
        { "\"a\\nb\"", "S \"a\\nb\"" },

        { "{}", "J {}" },
        { "[]", "J []" },
        { "{ \"a\" : [ 1.0 , \"0123\" , null ] }",
          "J {\"a\":[1.0,\"0123\",null]}" },
        { "[\"a b\",\"\\u0041\"]", "J [\"a b\",\"\\u0041\"]" }
    };

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        snprintf(body, sizeof(body), "{\"k\":%s}", rows[i].json);
        snprintf(expect, sizeof(expect), "k@now %s\n", rows[i].typed);

        assert_int_equal(value_telemetry(body), NGX_OK);
        assert_string_equal(value_dump(), expect);
    }
}


static void
value_huge_numbers(void **state)
{
    char       *body;
    ngx_str_t  *s;

    /* digits may be as many as the body has */

    body = values_alloc(NULL, 5010);
    memcpy(body, "[{\"k\":", 6);
    memset(body + 6, '7', 5000);
    memcpy(body + 5006, "}]", 3);

    assert_int_equal(value_telemetry(body), NGX_OK);
    assert_int_equal(value_out.points[0].value.type, NGX_IOT_TEXT);
    assert_int_equal(value_out.points[0].value.u.s.len, 5000);

    /* and with a fraction, beyond the doubles */

    body[4000] = '.';
    body[4010] = '}';
    body[4011] = ']';
    body[4012] = '\0';

    assert_int_equal(value_telemetry(body), NGX_OK);
    assert_int_equal(value_out.points[0].value.type, NGX_IOT_TEXT);
    assert_int_equal(value_out.points[0].value.u.s.len, 4004);

    /* but an exponent does not write out a gigabyte */

    assert_int_equal(value_telemetry("{\"k\":1e1000}"), NGX_OK);
    s = &value_out.points[0].value.u.s;
    assert_int_equal(s->len, 1001);
    assert_int_equal(s->data[0], '1');
    assert_int_equal(s->data[1000], '0');

    assert_int_equal(value_telemetry("{\"k\":1e-1000}"), NGX_OK);
    s = &value_out.points[0].value.u.s;
    assert_int_equal(s->len, 1002);
    assert_int_equal(s->data[1001], '1');

    assert_int_equal(value_telemetry("{\"k\":1e999999999}"), NGX_DECLINED);
    assert_int_equal(value_out.bad, NGX_IOT_BAD_LIMIT);
    assert_int_equal(value_telemetry("{\"k\":1e-999999999}"), NGX_DECLINED);
    assert_int_equal(value_telemetry("{\"k\":1e99999999999999999999999}"),
                     NGX_DECLINED);
    assert_int_equal(value_telemetry("{\"k\":-1e-99999999999999999999999}"),
                     NGX_DECLINED);
}


static void
value_uncast(void **state)
{
    value_opts.cast_strings = 0;

    assert_int_equal(value_telemetry("{\"a\":\"0123\",\"b\":12,\"c\":1.5}"),
                     NGX_OK);
    assert_string_equal(value_dump(),
                        "a@now S \"0123\"\nb@now L 12\nc@now D 1.5\n");

    assert_int_equal(value_telemetry("{\"a\":9223372036854775808}"),
                     NGX_DECLINED);
    assert_int_equal(value_out.bad, NGX_IOT_BAD_VALUE);
    assert_str(&value_out.error,
               "Number is out of range: 9223372036854775808");

    assert_int_equal(value_telemetry("{\"a\":1e-17}"), NGX_DECLINED);
}


static void
value_shapes(void **state)
{
    ngx_uint_t  i;

    static const struct {
        const char  *body;
        const char  *points;
    } rows[] = {
        { "{}", "" },
        { "[]", "" },
        { "[{},{}]", "" },
        { "{\"ts\":5,\"values\":{}}", "" },
        { "{\"a\":null}", "" },
        { "{\"a\":1,\"b\":\"x\"}", "a@now L 1\nb@now S \"x\"\n" },
        { "{\"ts\":1,\"x\":2}", "ts@now L 1\nx@now L 2\n" },
        { "{\"values\":{\"a\":1}}", "values@now J {\"a\":1}\n" },
        { "{\"ts\":5,\"values\":{\"a\":1,\"b\":null}}", "a@5 L 1\n" },
        { "{\"values\":{\"a\":1, \"b\":{}},\"ts\":5}",
          "a@5 L 1\nb@5 J {}\n" },
        { "[{\"a\":1},{\"ts\":5,\"values\":{\"a\":2}},{\"a\":3}]",
          "a@now L 1\na@5 L 2\na@now L 3\n" },
        { "{\"ts\":5,\"metadata\":{\"ts\":1},\"values\":{\"a\":1},\"b\":2}",
          "a@5 L 1\n" },
        { "{\"x\":1,\"values\":{\"a\":1},\"y\":1,\"ts\":5,\"z\":1}",
          "a@5 L 1\n" },
        { "{\"\":1,\"values\":{\"a\":1},\"ts\":5}", "a@5 L 1\n" },
        { "{\"x\":1e999999999,\"ts\":5,\"values\":{\"a\":1}}", "a@5 L 1\n" },
        { "{\"ts\":5,\"values\":{\"ts\":1,\"values\":2}}",
          "ts@5 L 1\nvalues@5 L 2\n" },

        { "{\"ts\":\"5\",\"values\":{\"a\":1}}", "a@5 L 1\n" },
        { "{\"ts\":5.9,\"values\":{\"a\":1}}", "a@5 L 1\n" },
        { "{\"ts\":\"5.9\",\"values\":{\"a\":1}}", "a@5 L 1\n" },
        { "{\"ts\":5e3,\"values\":{\"a\":1}}", "a@5000 L 1\n" },
        { "{\"ts\":1.5e-3,\"values\":{\"a\":1}}", "a@0 L 1\n" },
        { "{\"ts\":0,\"values\":{\"a\":1}}", "a@0 L 1\n" },
        { "{\"ts\":9999999999999,\"values\":{\"a\":1}}",
          "a@9999999999999 L 1\n" },

        { "{\"a\":1,\"b\":2,\"a\":3}", "a@now L 3\nb@now L 2\n" },
        { "{\"a\":1,\"a\":null}", "" },
        { "{\"a\":1,\"b\":2,\"a\":null,\"a\":4}", "a@now L 4\nb@now L 2\n" },
        { "{\"a\":1,\"b\":2,\"c\":3,\"b\":null}", "a@now L 1\nc@now L 3\n" },
        { "{\"a\":null,\"a\":1}", "a@now L 1\n" },
        { "{\"ts\":1,\"ts\":2,\"values\":{\"a\":1}}", "a@2 L 1\n" },
        { "{\"ts\":1,\"values\":{\"a\":1},\"ts\":2}", "a@2 L 1\n" },
        { "{\"ts\":1,\"values\":{\"a\":1},\"values\":{\"b\":1}}",
          "b@1 L 1\n" },
        { "{\"values\":1,\"ts\":1,\"values\":{\"b\":1}}", "b@1 L 1\n" },
        { "{\"values\":{\"a\":1},\"values\":{\"b\":1},\"ts\":1}",
          "b@1 L 1\n" },

        { "\xef\xbb\xbf{\"\xc3\xa9 \\\"\\ud83d\\ude00\":1}",
          "\xc3\xa9 \"\xf0\x9f\x98\x80@now L 1\n" }
    };

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(value_telemetry(rows[i].body), NGX_OK);
        assert_string_equal(value_dump(), rows[i].points);
        assert_int_equal(value_out.error.len, 0);
    }
}


static void
value_refusals(void **state)
{
    ngx_uint_t  i;

    static const struct {
        const char  *body;
        ngx_uint_t   bad;
        const char  *error;
    } rows[] = {
        { "\"x\"", NGX_IOT_BAD_SHAPE, "Can't parse value: \"x\"" },
        { "12", NGX_IOT_BAD_SHAPE, "Can't parse value: 12" },
        { "null", NGX_IOT_BAD_SHAPE, "Can't parse value: null" },
        { "[1]", NGX_IOT_BAD_SHAPE, "Can't parse value: 1" },
        { "[null]", NGX_IOT_BAD_SHAPE, "Can't parse value: null" },
        { "[{\"a\":1},[{\"a\":1}]]", NGX_IOT_BAD_SHAPE,
          "Can't parse value: [{\"a\":1}]" },
        { "{\"ts\":1,\"values\":[]}", NGX_IOT_BAD_SHAPE,
          "Can't parse value: []" },
        { "{\"values\":[{\"a\": 1}],\"ts\":1}", NGX_IOT_BAD_SHAPE,
          "Can't parse value: [{\"a\": 1}]" },
        { "{\"ts\":1,\"values\":null}", NGX_IOT_BAD_SHAPE,
          "Can't parse value: null" },
        { "{\"ts\":1,\"values\":{\"a\":1},\"values\":2}", NGX_IOT_BAD_SHAPE,
          "Can't parse value: 2" },

        { "{\"ts\":\"x\",\"values\":{}}", NGX_IOT_BAD_TS, "Invalid ts: x" },
        { "{\"ts\":\"\",\"values\":{}}", NGX_IOT_BAD_TS, "Invalid ts: " },
        { "{\"ts\":null,\"values\":{}}", NGX_IOT_BAD_TS,
          "Invalid ts: null" },
        { "{\"ts\":true,\"values\":{}}", NGX_IOT_BAD_TS,
          "Invalid ts: true" },
        { "{\"ts\":-1,\"values\":{\"a\":1}}", NGX_IOT_BAD_TS,
          "Invalid ts: -1" },
        { "{\"values\":{\"a\":1},\"ts\":10000000000000}", NGX_IOT_BAD_TS,
          "Invalid ts: 10000000000000" },
        { "{\"ts\":1e30,\"values\":{}}", NGX_IOT_BAD_TS,
          "Invalid ts: 1e30" },
        { "{\"ts\":{},\"values\":{}}", NGX_IOT_BAD_TS, NULL },

        { "{\"\":1}", NGX_IOT_BAD_KEY, "Key cannot be blank" },
        { "{\" \\t\":1}", NGX_IOT_BAD_KEY, "Key cannot be blank" },
        { "{\"\":1,\"ts\":5}", NGX_IOT_BAD_KEY, "Key cannot be blank" },
        { "{\"ts\":5,\"values\":{\"\":1}}", NGX_IOT_BAD_KEY,
          "Key cannot be blank" },
        { "[{\"a\":1},{\"\":2}]", NGX_IOT_BAD_KEY, "Key cannot be blank" },

        { "", NGX_IOT_BAD_SYNTAX, "Invalid JSON: unexpected end at 0" },
        { "{\"a\":1", NGX_IOT_BAD_SYNTAX,
          "Invalid JSON: unexpected end at 6" },
        { "{\"a\":}", NGX_IOT_BAD_SYNTAX,
          "Invalid JSON: unexpected character at 5" },
        { "{\"a\":[1,}", NGX_IOT_BAD_SYNTAX,
          "Invalid JSON: unexpected character at 8" },
        { "{\"ts\":1,\"values\":{\"a\":1},\"b\":[}", NGX_IOT_BAD_SYNTAX,
          "Invalid JSON: unexpected character at 30" },
        { "{\"a\":1}x", NGX_IOT_BAD_SYNTAX,
          "Invalid JSON: something after the value at 7" },
        { "[{\"a\":1},", NGX_IOT_BAD_SYNTAX,
          "Invalid JSON: unexpected end at 9" },
        { "[[1,}]", NGX_IOT_BAD_SYNTAX,
          "Invalid JSON: unexpected character at 4" },
        { "{\"a\":\"\\u0000\"}", NGX_IOT_BAD_SYNTAX, NULL },

        { "{\"a\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]"
          "]]]]]]]]}", NGX_IOT_BAD_LIMIT,
          "Invalid JSON: nested too deep at 36" },

        { "\"cut at sixty-four bytes, and not within a character: ........."
          "\xe2\x82\xac....\"", NGX_IOT_BAD_SHAPE,
          "Can't parse value: \"cut at sixty-four bytes, and not within a "
          "character: ........." }
    };

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(value_telemetry(rows[i].body), NGX_DECLINED);
        assert_int_equal(value_out.bad, rows[i].bad);
        assert_int_equal(value_out.n, 0);

        if (rows[i].error != NULL) {
            assert_str(&value_out.error, rows[i].error);
        }
    }
}


static void
value_nulls(void **state)
{
    value_opts.skip_null = 0;

    assert_int_equal(value_telemetry("{\"a\":null}"), NGX_DECLINED);
    assert_int_equal(value_out.bad, NGX_IOT_BAD_VALUE);
    assert_str(&value_out.error, "Can't parse value: null");

    /* inside a JSON value and beside one with a time it is nobody's value */

    assert_int_equal(value_telemetry("{\"a\":[null]}"), NGX_OK);
    assert_int_equal(value_telemetry("{\"metadata\":null,\"ts\":1,"
                                     "\"values\":{\"a\":1}}"),
                     NGX_OK);
    assert_string_equal(value_dump(), "a@1 L 1\n");
}


static void
value_limits(void **state)
{
    char        *body;
    ngx_uint_t   i;

    /* 255 characters of two bytes are a key, 256 are not */

    body = values_alloc(NULL, 600);
    memcpy(body, "{\"", 2);

    for (i = 0; i < 255; i++) {
        memcpy(body + 2 + 2 * i, "\xc3\xa9", 2);
    }

    memcpy(body + 512, "\":1}", 5);
    assert_int_equal(value_telemetry(body), NGX_OK);
    assert_int_equal(value_out.points[0].key.len, 510);

    memcpy(body + 512, "x\":1}", 6);
    assert_int_equal(value_telemetry(body), NGX_DECLINED);
    assert_int_equal(value_out.bad, NGX_IOT_BAD_KEY);

    value_opts.max_string = 3;

    assert_int_equal(value_telemetry("{\"a\":\"\xc3\xa9\xc3\xa9\xc3\xa9\"}"),
                     NGX_OK);
    assert_int_equal(value_telemetry("{\"a\":\"abcd\"}"), NGX_DECLINED);
    assert_int_equal(value_out.bad, NGX_IOT_BAD_LIMIT);
    assert_int_equal(value_telemetry("{\"a\":[ 1 ]}"), NGX_OK);
    assert_int_equal(value_telemetry("{\"a\":[12]}"), NGX_DECLINED);
    assert_int_equal(value_out.bad, NGX_IOT_BAD_LIMIT);

    value_opts.max_points = 2;

    assert_int_equal(value_telemetry("[{\"a\":1,\"a\":1},{\"b\":1}]"),
                     NGX_OK);
    assert_int_equal(value_telemetry("[{\"a\":1,\"c\":1},{\"b\":1}]"),
                     NGX_BUSY);
    assert_int_equal(value_out.n, 0);
    assert_int_equal(value_telemetry("{\"\":1,\"a\":1,\"b\":1,\"c\":1}"),
                     NGX_BUSY);
    assert_int_equal(value_out.bad, 0);

    value_opts.max_ts = 10;

    assert_int_equal(value_telemetry("{\"ts\":10,\"values\":{}}"), NGX_OK);
    assert_int_equal(value_telemetry("{\"ts\":11,\"values\":{}}"),
                     NGX_DECLINED);
}


/* many keys, each of them twice: the later half must find the earlier */

static void
value_many_keys(void **state)
{
    char        *body, *p;
    ngx_uint_t   i, n;

    n = 5000;
    body = values_alloc(NULL, n * 2 * 24);
    p = body;

    *p++ = '{';

    for (i = 0; i < 2 * n; i++) {
        p += sprintf(p, "\"k%u\":%u,", (unsigned) (i % n), (unsigned) i);
    }

    p[-1] = '}';
    *p = '\0';

    assert_int_equal(value_telemetry(body), NGX_OK);
    assert_int_equal(value_out.n, n);

    for (i = 0; i < n; i++) {
        assert_int_equal(value_out.points[i].value.u.l, n + i);
    }

    assert_str(&value_out.points[4999].key, "k4999");
}


static void
value_attributes(void **state)
{
    ngx_str_t  body;

    ngx_iot_points_init(&value_out, &values_pool);

    body = values_text("{\"ts\":1,\"values\":{\"a\": 1},\"b\":\"2\",\"b\":3}");
    assert_int_equal(ngx_iot_json_attributes(&value_out, &body, NOW,
                                             &value_opts),
                     NGX_OK);
    assert_string_equal(value_dump(), "ts@now L 1\nvalues@now J {\"a\":1}\n"
                                      "b@now L 3\n");

    /* more are appended, and a failure leaves what was there */

    body = values_text("{\"c\":1}");
    assert_int_equal(ngx_iot_json_attributes(&value_out, &body, 7,
                                             &value_opts),
                     NGX_OK);
    assert_int_equal(value_out.n, 4);
    assert_int_equal(value_out.points[3].ts, 7);

    body = values_text("{\"d\":1,\"\":2}");
    assert_int_equal(ngx_iot_json_attributes(&value_out, &body, 7,
                                             &value_opts),
                     NGX_DECLINED);
    assert_int_equal(value_out.n, 4);

    body = values_text("[{\"d\":1}]");
    assert_int_equal(ngx_iot_json_attributes(&value_out, &body, 7,
                                             &value_opts),
                     NGX_DECLINED);
    assert_int_equal(value_out.bad, NGX_IOT_BAD_SHAPE);
    assert_str(&value_out.error, "Can't parse value: [{\"d\":1}]");

    body = values_text("{} {}");
    assert_int_equal(ngx_iot_json_attributes(&value_out, &body, 7,
                                             &value_opts),
                     NGX_DECLINED);
    assert_int_equal(value_out.bad, NGX_IOT_BAD_SYNTAX);
}


static void
value_single(void **state)
{
    ngx_str_t        body;
    ngx_iot_value_t  a, b;

    ngx_iot_points_init(&value_out, &values_pool);

    body = values_text(" 12.5 ");
    assert_int_equal(ngx_iot_json_value(&value_out, &a, &body, &value_opts),
                     NGX_OK);
    assert_int_equal(a.type, NGX_IOT_DOUBLE);
    assert_true(a.u.d == 12.5);

    body = values_text("12.50");
    assert_int_equal(ngx_iot_json_value(&value_out, &b, &body, &value_opts),
                     NGX_OK);
    assert_true(ngx_iot_value_equal(&a, &b));

    body = values_text("[1, 2]");
    assert_int_equal(ngx_iot_json_value(&value_out, &a, &body, &value_opts),
                     NGX_OK);
    assert_str(&a.u.s, "[1,2]");
    assert_false(ngx_iot_value_equal(&a, &b));

    b = a;
    b.type = NGX_IOT_TEXT;
    assert_false(ngx_iot_value_equal(&a, &b));

    body = values_text("12");
    assert_int_equal(ngx_iot_json_value(&value_out, &a, &body, &value_opts),
                     NGX_OK);
    body = values_text("13");
    assert_int_equal(ngx_iot_json_value(&value_out, &b, &body, &value_opts),
                     NGX_OK);
    assert_false(ngx_iot_value_equal(&a, &b));

    body = values_text("null");
    assert_int_equal(ngx_iot_json_value(&value_out, &a, &body, &value_opts),
                     NGX_DECLINED);
    body = values_text("1 2");
    assert_int_equal(ngx_iot_json_value(&value_out, &a, &body, &value_opts),
                     NGX_DECLINED);
}


/* without memory anywhere: no half result and no crash */

static void
value_no_memory(void **state)
{
    ngx_int_t   i, rc;
    ngx_str_t   body;

    body = values_text("[{\"a\\n\":\"b\\n\",\"c\":{ },\"d\":1e30},"
                       "{\"values\":{\"a\":[ 1 ],\"b\":2},\"ts\":1}]");

    for (i = 0; i < 100; i++) {
        ngx_iot_points_init(&value_out, &values_pool);

        values_left = i;
        rc = ngx_iot_json_telemetry(&value_out, &body, NOW, &value_opts);
        values_left = -1;

        if (rc == NGX_OK) {
            break;
        }

        assert_int_equal(rc, NGX_ERROR);
        assert_int_equal(value_out.n, 0);
    }

    assert_int_equal(i, 7);
    assert_int_equal(value_out.n, 5);
}


static void
value_java_text(void **state)
{
    char         text[NGX_IOT_DOUBLE_LEN + 1];
    ngx_uint_t   i;

    static const struct {
        double       value;
        const char  *text;
    } rows[] = {
        { 0.0, "0.0" },
        { -0.0, "-0.0" },
        { 21.0, "21.0" },
        { 0.1, "0.1" },
        { -1.5, "-1.5" },
        { 0.3, "0.3" },
        { 1.1, "1.1" },
        { 100.0, "100.0" },
        { 1234567.125, "1234567.125" },
        { 0.001, "0.001" },
        { 0.0012345, "0.0012345" },
        { 0.00099, "9.9E-4" },
        { 1e-4, "1.0E-4" },
        { 9999999.0, "9999999.0" },
        { 9999999.999999998, "9999999.999999998" },
        { 1e7, "1.0E7" },
        { 1.25e7, "1.25E7" },
        { 1e10, "1.0E10" },
        { -1e10, "-1.0E10" },
        { 123456789.125, "1.23456789125E8" },
        { 1.0 / 3, "0.3333333333333333" },
        { 2.0 / 3, "0.6666666666666666" },
        { 0.1 + 0.2, "0.30000000000000004" },
        { 1e21, "1.0E21" },
        { 1e23, "1.0E23" },
        { 9007199254740993.0, "9.007199254740992E15" },
        { 5e-324, "4.9E-324" },
        { 2.2250738585072014e-308, "2.2250738585072014E-308" },
        { -2.2250738585072014e-308, "-2.2250738585072014E-308" },
        { 1.7976931348623157e308, "1.7976931348623157E308" }
    };

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        *ngx_iot_double_text((u_char *) text, rows[i].value) = '\0';
        assert_string_equal(text, rows[i].text);
    }
}


/* whatever bits: the text reads back to them, by us and by libc */

static void
value_round_trip(void **state)
{
    char               text[NGX_IOT_DOUBLE_LEN + 1];
    double             d, back;
    u_char            *end;
    uint64_t           bits, seed;
    ngx_uint_t         i;
    ngx_iot_decimal_t  dec;

    seed = 88172645463325252;

    for (i = 0; i < 200000; i++) {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        bits = seed;

        if (i % 2) {
            d = (double) (int64_t) (bits >> 40) / 1000.0;

        } else {
            memcpy(&d, &bits, sizeof(double));
        }

        if (!(d - d == 0)) {
            continue;
        }

        end = ngx_iot_double_text((u_char *) text, d);
        *end = '\0';

        assert_true((size_t) (end - (u_char *) text) <= NGX_IOT_DOUBLE_LEN);

        back = strtod(text, NULL);
        assert_memory_equal(&back, &d, sizeof(double));

        assert_int_equal(ngx_iot_decimal_parse(&dec, (u_char *) text,
                                               end - (u_char *) text),
                         NGX_OK);
        assert_int_equal(ngx_iot_decimal_double(&dec, &back), NGX_OK);
        assert_memory_equal(&back, &d, sizeof(double));
    }
}


static void
value_decimals(void **state)
{
    char               text[1200];
    double             d;
    int64_t            l;
    ngx_uint_t         i;
    ngx_iot_decimal_t  dec;

    static const char  *bad[] = {
        "", "-", "+1", ".5", "5.", "1e", "1e+", "1.e1", "1x", "1e5x", " 1",
        "--1", "1.2.3", "Infinity"
    };

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(ngx_iot_decimal_parse(&dec, (u_char *) bad[i],
                                               strlen(bad[i])),
                         NGX_DECLINED);
    }

    /* exactly between two doubles, but for a last digit far behind */

    memset(text, '0', sizeof(text));
    memcpy(text, "9007199254740993.", 17);
    text[1000] = '1';

    assert_int_equal(ngx_iot_decimal_parse(&dec, (u_char *) text, 1001),
                     NGX_OK);
    assert_int_equal(ngx_iot_decimal_double(&dec, &d), NGX_OK);
    assert_true(d == 9007199254740994.0);

    assert_int_equal(ngx_iot_decimal_parse(&dec, (u_char *) text, 1000),
                     NGX_OK);
    assert_int_equal(ngx_iot_decimal_double(&dec, &d), NGX_OK);
    assert_true(d == 9007199254740992.0);

    assert_int_equal(ngx_iot_decimal_parse(&dec, (u_char *) "-1e400", 6),
                     NGX_OK);
    assert_int_equal(ngx_iot_decimal_double(&dec, &d), NGX_DECLINED);

    assert_int_equal(ngx_iot_decimal_parse(&dec, (u_char *) "1e-400", 6),
                     NGX_OK);
    assert_int_equal(ngx_iot_decimal_double(&dec, &d), NGX_OK);
    assert_true(d == 0);

    assert_int_equal(ngx_iot_decimal_parse(&dec, (u_char *) "-99.99e1", 8),
                     NGX_OK);
    assert_int_equal(ngx_iot_decimal_long(&dec, &l), NGX_OK);
    assert_int_equal(l, -999);

    *ngx_iot_long_text((u_char *) text, INT64_MIN) = '\0';
    assert_string_equal(text, "-9223372036854775808");
    *ngx_iot_long_text((u_char *) text, 0) = '\0';
    assert_string_equal(text, "0");
}


static void
value_texts(void **state)
{
    char             text[64];
    size_t           size;
    ngx_iot_value_t  value;

    value.type = NGX_IOT_BOOL;
    value.u.l = 1;
    *ngx_iot_value_text((u_char *) text, &value) = '\0';
    assert_string_equal(text, "true");
    assert_true(ngx_iot_value_text_size(&value) >= 4);

    value.type = NGX_IOT_TEXT;
    value.u.s = values_text("a\"b\001");
    *ngx_iot_value_text((u_char *) text, &value) = '\0';
    assert_string_equal(text, "a\"b\001");

    size = ngx_iot_value_json_size(&value);
    text[size] = 'x';
    assert_ptr_equal(ngx_iot_value_json((u_char *) text, &value),
                     text + size);
    text[size] = '\0';
    assert_string_equal(text, "\"a\\\"b\\u0001\"");

    value.u.s.len = 0;
    value.u.s.data = NULL;
    assert_ptr_equal(ngx_iot_value_text((u_char *) text, &value), text);
    *ngx_iot_value_json((u_char *) text, &value) = '\0';
    assert_string_equal(text, "\"\"");
}


#define value_test(f)                                                         \
    cmocka_unit_test_setup_teardown(f, value_setup, values_free)


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        value_test(value_typing),
        value_test(value_huge_numbers),
        value_test(value_uncast),
        value_test(value_shapes),
        value_test(value_refusals),
        value_test(value_nulls),
        value_test(value_limits),
        value_test(value_many_keys),
        value_test(value_attributes),
        value_test(value_single),
        value_test(value_no_memory),
        value_test(value_java_text),
        value_test(value_round_trip),
        value_test(value_decimals),
        value_test(value_texts)
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);

    return cmocka_run_group_tests_name("value", tests, NULL, NULL);
}
