
/*
 * Copyright (C) the ngx_iot authors
 */


#include "keycode_vectors.h"


static u_char     test_bytes[64];
static ngx_str_t  test_key = { 16, test_bytes };


static void *
test_alloc(void *data, size_t size)
{
    void  **last;

    last = data;

    if (last == NULL) {
        return NULL;
    }

    /* a chain to free by, and the exact size for the address sanitizer */

    free(*last);
    *last = malloc(size);

    return *last;
}


/* a chain of two blocks would be freed above: keep both */

static void     *blocks[16];
static size_t    nblocks;


static void *
test_keep(void *data, size_t size)
{
    if (nblocks == 16) {
        return NULL;
    }

    blocks[nblocks] = malloc(size);

    return blocks[nblocks++];
}


static void
test_release(void)
{
    while (nblocks) {
        free(blocks[--nblocks]);
    }
}


static char    *dumps[16];
static size_t   ndumps;


static void
member_of(json_t *object, const char *name, ngx_str_t *s)
{
    json_t  *value;

    s->len = 0;
    s->data = NULL;

    value = json_object_get(object, name);

    if (value == NULL || json_is_null(value)) {
        return;
    }

    if (json_is_string(value)) {
        s->data = (u_char *) json_string_value(value);
        s->len = strlen((char *) s->data);
        return;
    }

    /* with white space, which must not matter */

    dumps[ndumps] = json_dumps(value, JSON_ENCODE_ANY|JSON_INDENT(3)
                                      |JSON_REAL_PRECISION(15));
    s->data = (u_char *) dumps[ndumps];
    s->len = strlen(dumps[ndumps++]);
}


static void
members_release(void)
{
    while (ndumps) {
        free(dumps[--ndumps]);
    }

    test_release();
}


static void
test_sign_row(json_t *in, json_t *out, const char *error)
{
    u_char                        buf[16];
    json_t                       *request;
    ngx_str_t                     auth, key;
    const char                   *method;
    ngx_iot_alloc_t               a;
    ngx_iot_keycode_text_t        text;
    ngx_iot_openpaygo_metrics_t   m;

    assert_null(error);

    a.alloc = test_keep;
    a.data = NULL;

    secret_of(in, "key_hex", buf, &key);
    request = json_object_get(in, "request");
    method = text_of(in, "auth_method");

    member_of(request, "serial_number", &m.serial);
    member_of(request, "timestamp", &m.timestamp);
    member_of(request, "request_count", &m.request_count);
    member_of(request, "data", &m.data);
    member_of(request, "historical_data", &m.history);

    check_error(ngx_iot_openpaygo_sign((const u_char *) method, strlen(method),
                                       &m, &key, &a, &text),
                NULL);
    check_text(text.data, text_of(out, "auth"));
    check(text.len == strlen((char *) text.data));

    auth.data = text.data;
    auth.len = text.len;
    check_error(ngx_iot_openpaygo_verify(&auth, &m, &key, &a), NULL);

    auth.len--;
    check_error(ngx_iot_openpaygo_verify(&auth, &m, &key, &a), "E_MAC");

    auth.len++;
    text.data[text.len - 1] ^= 1;
    check_error(ngx_iot_openpaygo_verify(&auth, &m, &key, &a), "E_MAC");

    text.data[0] = 'x';
    check_error(ngx_iot_openpaygo_verify(&auth, &m, &key, &a), "E_TYPE");

    members_release();
}


static void
test_answer_row(json_t *in, json_t *out, const char *error)
{
    u_char                        buf[16];
    json_t                       *response;
    ngx_str_t                     key;
    ngx_iot_alloc_t               a;
    ngx_iot_keycode_text_t        text;
    ngx_iot_openpaygo_answer_t    answer;
    ngx_iot_openpaygo_metrics_t   m;

    assert_null(error);

    a.alloc = test_keep;
    a.data = NULL;

    memset(&m, 0, sizeof(m));

    secret_of(in, "key_hex", buf, &key);
    member_of(in, "serial_number", &m.serial);
    member_of(in, "timestamp", &m.timestamp);
    member_of(in, "request_count", &m.request_count);

    response = json_object_get(in, "response");
    member_of(response, "active_until_timestamp", &answer.active_until);
    member_of(response, "active_seconds_left", &answer.active_left);
    member_of(response, "token_list", &answer.token_list);
    member_of(response, "settings", &answer.settings);
    member_of(response, "extra_data", &answer.extra_data);

    check_error(ngx_iot_openpaygo_sign_answer(&m, &answer, &key, &a, &text),
                NULL);
    check_text(text.data, text_of(out, "auth"));

    members_release();
}


static void
test_metrics(void **state)
{
    void                        *last;
    size_t                       n;
    ngx_str_t                    auth;
    ngx_iot_alloc_t              a;
    ngx_iot_keycode_text_t       plain, text;
    ngx_iot_openpaygo_answer_t   answer;
    ngx_iot_openpaygo_metrics_t  m;

    static const struct {
        const char  *history;
        const char  *error;

    } rows[] = {

        { "[]", NULL }, { "[[],{}]", NULL }, { " [ 1 , \"],[\\\"\" ] ", NULL },
        { "[", "E_FORMAT" }, { "]", "E_FORMAT" }, { "{}", "E_FORMAT" },
        { "[1,]", "E_FORMAT" }, { "[,1]", "E_FORMAT" },
        { "[1,,1]", "E_FORMAT" }, { "[[1]", "E_FORMAT" },
        { "[1]]", "E_FORMAT" }, { "[}]", "E_FORMAT" },
        { "[\"]", "E_FORMAT" }, { "12", "E_FORMAT" }
    };

    vectors_run("metrics_request_auth", test_sign_row);
    vectors_run("metrics_response_auth", test_answer_row);

    memset(&m, 0, sizeof(m));
    memset(&answer, 0, sizeof(answer));
    a.alloc = test_keep;
    a.data = NULL;

#define sign(method, text)                                                    \
    ngx_iot_openpaygo_sign((u_char *) (method), strlen(method), &m,           \
                           &test_key, &a, text)

    check_error(sign("sa", &text), "E_REQUEST");

    /* the shortest serial and nothing else: "[]" has to fit, too */

    m.serial = (ngx_str_t) ngx_string("A");

    check_error(sign("ra", &text), NULL);
    check_error(sign("da", &text), NULL);
    check_error(sign("ta", &text), "E_REQUEST");
    check_error(sign("ca", &text), "E_REQUEST");
    check_error(sign("xa", &text), "E_TYPE");
    check_error(sign("sb", &text), "E_TYPE");
    check_error(sign("s", &text), "E_TYPE");
    check_error(sign("", &text), "E_TYPE");
    check_error(ngx_iot_openpaygo_sign(NULL, 2, &m, &test_key, &a, &text),
                "E_TYPE");
    check_error(ngx_iot_openpaygo_sign((u_char *) "sa", 2, &m, NULL, &a,
                                       &text),
                "E_SECRET");
    check_error(ngx_iot_openpaygo_sign((u_char *) "sa", 2, NULL, &test_key, &a,
                                       &text),
                "E_REQUEST");
    check_error(ngx_iot_openpaygo_sign_answer(&m, &answer, NULL, &a, &text),
                "E_SECRET");
    check_error(ngx_iot_openpaygo_sign_answer(&m, NULL, &test_key, &a, &text),
                "E_REQUEST");
    check_error(ngx_iot_openpaygo_verify(NULL, &m, &test_key, &a), "E_TYPE");

    test_release();

    for (n = 0; n < sizeof(rows) / sizeof(rows[0]); n++) {
        vector_id = rows[n].history;
        m.history.data = (u_char *) rows[n].history;
        m.history.len = strlen(rows[n].history);

        check_error(sign("ra", &text), rows[n].error);
        test_release();
    }

    vector_id = NULL;

    /* white space counts within strings, and only there */

    m.data = (ngx_str_t) ngx_string("{\"a b\":[1,\"\\\" \"]}");
    m.history.len = 0;
    check_error(sign("da", &plain), NULL);

    m.data = (ngx_str_t) ngx_string("\n{ \"a b\"\t: [1, \"\\\" \"] }\r\n");
    check_error(sign("da", &text), NULL);
    assert_string_equal(plain.data, text.data);

    m.data = (ngx_str_t) ngx_string("{\"ab\":[1,\"\\\" \"]}");
    check_error(sign("da", &text), NULL);
    assert_string_not_equal(plain.data, text.data);

    m.data = (ngx_str_t) ngx_string("{\"a b\":[1,\"\\\"\"]}");
    check_error(sign("da", &text), NULL);
    assert_string_not_equal(plain.data, text.data);

    test_release();

    m.data.data = NULL;
    check_error(sign("da", &text), "E_VALUE");
    m.data.len = SIZE_MAX;
    check_error(sign("da", &text), "E_VALUE");
    m.data.len = 0;

    a.alloc = test_alloc;
    check_error(sign("da", &text), "E_VALUE");
    check_error(sign("ra", &text), "E_VALUE");
    check_error(ngx_iot_openpaygo_sign_answer(&m, &answer, &test_key, &a,
                                              &text),
                "E_VALUE");

    last = NULL;
    a.data = &last;
    check_error(sign("sa", &text), NULL);
    auth.data = text.data;
    auth.len = text.len;
    check_error(ngx_iot_openpaygo_verify(&auth, &m, &test_key, &a), NULL);
    free(last);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_metrics)
    };

    memset(test_bytes, 0xab, sizeof(test_bytes));

    if (vectors_load("t/data/openpaygo.json") != 0) {
        return 1;
    }

    cmocka_set_message_output(CM_OUTPUT_TAP);

    return cmocka_run_group_tests(tests, NULL, NULL);
}
