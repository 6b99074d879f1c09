
/*
 * Copyright (C) the ngx_iot authors
 */


#include "values.h"
#include "ngx_iot_json.h"


typedef struct {
    const char  *text;
    const char  *error;
} json_bad_t;


static ngx_uint_t json_read(ngx_str_t *body, ngx_uint_t max_depth,
    const char **error);
static void json_tokens(void **state);
static void json_strings(void **state);
static void json_refusals(void **state);
static void json_truncation(void **state);
static void json_depth(void **state);
static void json_skipping(void **state);
static void json_fields(void **state);
static void json_writing(void **state);


static ngx_uint_t
json_read(ngx_str_t *body, ngx_uint_t max_depth, const char **error)
{
    ngx_uint_t      token;
    ngx_iot_json_t  json;

    ngx_iot_json_init(&json, body, &values_pool, max_depth);

    do {
        token = ngx_iot_json_next(&json);
    } while (token != NGX_IOT_JSON_END && token != NGX_IOT_JSON_BAD);

    *error = json.error;

    return token;
}


static void
json_tokens(void **state)
{
    ngx_uint_t      i, token;
    ngx_str_t       body;
    ngx_iot_json_t  json;

    static const struct {
        ngx_uint_t   token;
        const char  *raw;
        const char  *text;
    } expect[] = {
        { NGX_IOT_JSON_OBJECT, "{", NULL },
        { NGX_IOT_JSON_KEY, "\"a\"", "a" },
        { NGX_IOT_JSON_ARRAY, "[", NULL },
        { NGX_IOT_JSON_NUMBER, "-1.5e+3", "-1.5e+3" },
        { NGX_IOT_JSON_TRUE, "true", "true" },
        { NGX_IOT_JSON_FALSE, "false", "false" },
        { NGX_IOT_JSON_NULL, "null", "null" },
        { NGX_IOT_JSON_ARRAY, "[", NULL },
        { NGX_IOT_JSON_ARRAY_END, "]", NULL },
        { NGX_IOT_JSON_OBJECT, "{", NULL },
        { NGX_IOT_JSON_OBJECT_END, "}", NULL },
        { NGX_IOT_JSON_ARRAY_END, "]", NULL },
        { NGX_IOT_JSON_KEY, "\"b\\n\"", "b\n" },
        { NGX_IOT_JSON_STRING, "\"\"", "" },
        { NGX_IOT_JSON_OBJECT_END, "}", NULL },
        { NGX_IOT_JSON_END, NULL, NULL },
        { NGX_IOT_JSON_END, NULL, NULL }
    };

    body = values_text("\xef\xbb\xbf {\t\"a\": [ -1.5e+3,true,false , null,"
                       "[ ],{}],\r\n\"b\\n\" : \"\"} \n");

    ngx_iot_json_init(&json, &body, &values_pool, 3);

    for (i = 0; i < sizeof(expect) / sizeof(expect[0]); i++) {
        token = ngx_iot_json_next(&json);
        assert_int_equal(token, expect[i].token);

        if (expect[i].raw != NULL) {
            assert_str(&json.raw, expect[i].raw);
        }

        if (expect[i].text != NULL) {
            assert_str(&json.text, expect[i].text);
        }
    }
}


static void
json_strings(void **state)
{
    ngx_uint_t      i;
    ngx_str_t       body;
    ngx_iot_json_t  json;

    static const struct {
        const char  *raw;
        const char  *text;
    } rows[] = {
        { "\"plain\"", "plain" },
        { "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t" },
        { "\"\\u0041\\u00e9\\u20AC\\ud83d\\ude00\"",
          "A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80" },
        { "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80 a long tail of ascii\"",
          "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80 a long tail of ascii" },
        { "\"\\u0001\\uffff\x7f\"", "\001\xef\xbf\xbf\x7f" },
        { "\"12345678\\n12345678\"", "12345678\n12345678" }
    };

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        body = values_text(rows[i].raw);

        ngx_iot_json_init(&json, &body, &values_pool, 1);

        assert_int_equal(ngx_iot_json_next(&json), NGX_IOT_JSON_STRING);
        assert_str(&json.text, rows[i].text);
        assert_str(&json.raw, rows[i].raw);

        /* a string without escapes stays where it is */

        assert_int_equal(json.text.data == body.data + 1, !json.escaped);
        assert_int_equal(ngx_iot_json_next(&json), NGX_IOT_JSON_END);
    }
}


static void
json_refusals(void **state)
{
    size_t       offset;
    ngx_uint_t   i;
    ngx_str_t    body;
    const char  *error;

    static const json_bad_t  rows[] = {
        { "", "unexpected end" },
        { " ", "unexpected end" },
        { "\xef\xbb\xbf", "unexpected end" },
        { "\xef\xbb", "unexpected character" },
        { "{", "unexpected end" },
        { "[1", "unexpected end" },
        { "[1,", "unexpected end" },
        { "{\"a\"", "unexpected end" },
        { "{\"a\":", "unexpected end" },
        { "{\"a\":1,", "unexpected end" },
        { "\"a", "unexpected end" },
        { "\"12345678", "unexpected end" },
        { "\"a\\", "unexpected end" },
        { "-", "unexpected end" },
        { "[1,]", "unexpected character" },
        { "[,1]", "unexpected character" },
        { "[1 2]", "unexpected character" },
        { "[1}", "unexpected character" },
        { "{\"a\":1]", "unexpected character" },
        { "{\"a\":1,}", "a key must be a string" },
        { "{a:1}", "a key must be a string" },
        { "{'a':1}", "a key must be a string" },
        { "{1:1}", "a key must be a string" },
        { "{\"a\" 1}", "no colon after a key" },
        { "{\"a\":}", "unexpected character" },
        { "tru", "unexpected character" },
        { "nulL", "unexpected character" },
        { "True", "unexpected character" },
        { "NaN", "unexpected character" },
        { "Infinity", "unexpected character" },
        { "-Infinity", "unexpected character" },
        { "+1", "unexpected character" },
        { ".5", "unexpected character" },
        { "01", "a number begins with zero" },
        { "-01", "a number begins with zero" },
        { "00", "a number begins with zero" },
        { "1.", "bad number" },
        { "1.e5", "bad number" },
        { "1e", "bad number" },
        { "1e+", "bad number" },
        { "1E-x", "bad number" },
        { "0x10", "something after the value" },
        { "1 2", "something after the value" },
        { "{}{}", "something after the value" },
        { "[]]", "something after the value" },
        { "// c\n1", "unexpected character" },
        { "\"\t\"", "control character in a string" },
        { "\"1234567\n12345678\"", "control character in a string" },
        { "\"\\a\"", "bad escape" },
        { "\"\\u12\"", "bad escape" },
        { "\"\\u12g4\"", "bad escape" },
        { "\"\\u0000\"", "NUL character in a string" },
        { "\"\\ud800\"", "lone surrogate" },
        { "\"\\udc00\"", "lone surrogate" },
        { "\"\\ud800\\u0041\"", "lone surrogate" },
        { "\"\\ud800x\"", "lone surrogate" },
        { "\"\\ud800\\ud800\"", "lone surrogate" },
        { "\"\x80\"", "invalid UTF-8" },
        { "\"\xc0\x80\"", "invalid UTF-8" },
        { "\"\xc3(\"", "invalid UTF-8" },
        { "\"\xe0\x80\x80\"", "invalid UTF-8" },
        { "\"\xed\xa0\x80\"", "invalid UTF-8" },
        { "\"\xf0\x80\x80\x80\"", "invalid UTF-8" },
        { "\"\xf4\x90\x80\x80\"", "invalid UTF-8" },
        { "\"\xff\"", "invalid UTF-8" },
        { "{\"\xe2\x82\":1}", "invalid UTF-8" },
        { "[[[[1]]]]", "nested too deep" },
        { "{\"a\":{\"b\":[{}]}}", "nested too deep" }
    };

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        body = values_text(rows[i].text);

        assert_int_equal(json_read(&body, 3, &error), NGX_IOT_JSON_BAD);
        assert_string_equal(error, rows[i].error);

        error = NULL;
        offset = 1000;

        assert_int_equal(ngx_iot_json_check(&body, 3, &error, &offset),
                         NGX_DECLINED);
        assert_string_equal(error, rows[i].error);
        assert_true(offset <= body.len);
    }

    body = values_str("\"a\0b\"", 5);

    assert_int_equal(json_read(&body, 3, &error), NGX_IOT_JSON_BAD);
    assert_string_equal(error, "control character in a string");
}


/* every beginning of a text is refused, and nothing is read behind it */

static void
json_truncation(void **state)
{
    size_t       n;
    ngx_str_t    body;
    const char  *error, *text;

    text = "{\"ts\":1.5e-7,\"v\":[true,null,\"\\ud83d\\ude00\xc3\xa9\\n\"]}";

    for (n = 0; n < strlen(text); n++) {
        body = values_str(text, n);
        assert_int_equal(json_read(&body, 8, &error), NGX_IOT_JSON_BAD);
    }

    body = values_text(text);
    assert_int_equal(json_read(&body, 8, &error), NGX_IOT_JSON_END);
}


static void
json_depth(void **state)
{
    char         text[2 * NGX_IOT_JSON_MAX_DEPTH + 3];
    size_t       n;
    ngx_str_t    body;
    const char  *error;

    for (n = 1; n <= NGX_IOT_JSON_MAX_DEPTH + 1; n++) {
        memset(text, '[', n);
        memset(text + n, ']', n);

        body = values_str(text, 2 * n);

        /* no larger limit than the bits there are */

        assert_int_equal(json_read(&body, 1000, &error),
                         n <= NGX_IOT_JSON_MAX_DEPTH ? NGX_IOT_JSON_END
                                                     : NGX_IOT_JSON_BAD);
    }
}


static void
json_skipping(void **state)
{
    ngx_str_t       body;
    ngx_iot_json_t  json;

    body = values_text("{\"a\" : {\"x\":[1,\"]}\",\"\\\"\"],\"y\":{}},"
                       "\"b\":[ 1], \"c\":\"s\\t\",\"d\":[1,}");

    ngx_iot_json_init(&json, &body, &values_pool, 8);

    assert_int_equal(ngx_iot_json_next(&json), NGX_IOT_JSON_OBJECT);

    assert_int_equal(ngx_iot_json_next(&json), NGX_IOT_JSON_KEY);
    assert_int_equal(ngx_iot_json_next(&json), NGX_IOT_JSON_OBJECT);
    assert_int_equal(ngx_iot_json_skip(&json), NGX_OK);
    assert_str(&json.raw, "{\"x\":[1,\"]}\",\"\\\"\"],\"y\":{}}");
    assert_false(json.blanks);

    assert_int_equal(ngx_iot_json_next(&json), NGX_IOT_JSON_KEY);
    assert_str(&json.text, "b");
    assert_int_equal(ngx_iot_json_next(&json), NGX_IOT_JSON_ARRAY);
    assert_int_equal(ngx_iot_json_skip(&json), NGX_OK);
    assert_str(&json.raw, "[ 1]");
    assert_true(json.blanks);

    assert_int_equal(ngx_iot_json_next(&json), NGX_IOT_JSON_KEY);
    assert_int_equal(ngx_iot_json_next(&json), NGX_IOT_JSON_STRING);
    assert_int_equal(ngx_iot_json_skip(&json), NGX_OK);
    assert_str(&json.text, "s\t");

    assert_int_equal(ngx_iot_json_next(&json), NGX_IOT_JSON_KEY);
    assert_int_equal(ngx_iot_json_next(&json), NGX_IOT_JSON_ARRAY);
    assert_int_equal(ngx_iot_json_skip(&json), NGX_ERROR);
    assert_int_equal(ngx_iot_json_next(&json), NGX_IOT_JSON_BAD);
    assert_int_equal(ngx_iot_json_skip(&json), NGX_ERROR);
}


static void
json_fields(void **state)
{
    ngx_str_t    body;
    const char  *error;

    ngx_iot_json_field_t  fields[] = {
        { ngx_string("method"), 0, ngx_null_string, ngx_null_string },
        { ngx_string("params"), 0, ngx_null_string, ngx_null_string },
        { ngx_string("timeout"), 0, ngx_null_string, ngx_null_string },
        { ngx_string("absent"), 0, ngx_null_string, ngx_null_string }
    };

    body = values_text("{\"method\":1,\"x\":{\"method\":2},\"params\":[ 1 ],"
                       "\"method\":\"a\\u0062\",\"timeout\":5.0 }");

    assert_int_equal(ngx_iot_json_fields(&body, &values_pool, 8, fields, 4,
                                         &error),
                     NGX_OK);

    assert_int_equal(fields[0].token, NGX_IOT_JSON_STRING);
    assert_str(&fields[0].text, "ab");
    assert_str(&fields[0].raw, "\"a\\u0062\"");
    assert_int_equal(fields[1].token, NGX_IOT_JSON_ARRAY);
    assert_str(&fields[1].raw, "[ 1 ]");
    assert_str(&fields[1].text, "[ 1 ]");
    assert_int_equal(fields[2].token, NGX_IOT_JSON_NUMBER);
    assert_str(&fields[2].text, "5.0");
    assert_int_equal(fields[3].token, NGX_IOT_JSON_END);
    assert_null(fields[3].raw.data);

    body = values_text("[]");
    assert_int_equal(ngx_iot_json_fields(&body, &values_pool, 8, fields, 4,
                                         &error),
                     NGX_DECLINED);
    assert_string_equal(error, "not an object");

    body = values_text("{\"method\":1} x");
    assert_int_equal(ngx_iot_json_fields(&body, &values_pool, 8, fields, 4,
                                         &error),
                     NGX_DECLINED);
    assert_string_equal(error, "something after the value");

    body = values_text("{\"method\":\"\\n\"}");
    values_left = 0;
    assert_int_equal(ngx_iot_json_fields(&body, &values_pool, 8, fields, 4,
                                         NULL),
                     NGX_ERROR);
}


static void
json_writing(void **state)
{
    u_char  *dst, *end;
    size_t   size;

    static u_char  raw[] = "a\"\\/\b\f\n\r\t\001\037\x7f\xc3\xa9";
    static u_char  blank[] = " { \"a b\\\" \" : [ 1 , \"\\\\\" ] ,\r\n\t"
                             "\"c\":null } ";

    size = ngx_iot_json_escape_size(raw, sizeof(raw) - 1);
    dst = values_alloc(NULL, size + 1);
    end = ngx_iot_json_escape(dst, raw, sizeof(raw) - 1);
    *end = '\0';

    assert_int_equal(end - dst, size);
    assert_string_equal(dst, "a\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f\x7f"
                             "\xc3\xa9");

    end = ngx_iot_json_compact(blank, blank, sizeof(blank) - 1);
    *end = '\0';

    assert_string_equal(blank, "{\"a b\\\" \":[1,\"\\\\\"],\"c\":null}");

    assert_int_equal(ngx_iot_json_escape_size(raw, 0), 0);
    assert_ptr_equal(ngx_iot_json_compact(dst, raw, 0), dst);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test_teardown(json_tokens, values_free),
        cmocka_unit_test_teardown(json_strings, values_free),
        cmocka_unit_test_teardown(json_refusals, values_free),
        cmocka_unit_test_teardown(json_truncation, values_free),
        cmocka_unit_test_teardown(json_depth, values_free),
        cmocka_unit_test_teardown(json_skipping, values_free),
        cmocka_unit_test_teardown(json_fields, values_free),
        cmocka_unit_test_teardown(json_writing, values_free)
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);

    return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
