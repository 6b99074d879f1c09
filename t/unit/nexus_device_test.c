
/*
 * Copyright (C) the ngx_iot authors
 */


#include "keycode_vectors.h"


static u_char     test_bytes[64];
static ngx_str_t  test_secret = { 16, test_bytes };


static void
test_window(void **state)
{
    ngx_iot_nexus_window_t  w;

    ngx_iot_nexus_window_init(&w);

    assert_int_equal(ngx_iot_nexus_window_state(&w, -1),
                     NGX_IOT_NEXUS_ID_OUTSIDE);
    assert_int_equal(ngx_iot_nexus_window_state(&w, 0),
                     NGX_IOT_NEXUS_ID_FRESH);
    assert_int_equal(ngx_iot_nexus_window_state(&w, 63),
                     NGX_IOT_NEXUS_ID_FRESH);
    assert_int_equal(ngx_iot_nexus_window_state(&w, 64),
                     NGX_IOT_NEXUS_ID_OUTSIDE);

    ngx_iot_nexus_window_mark(&w, 5);
    assert_int_equal(ngx_iot_nexus_window_state(&w, 5), NGX_IOT_NEXUS_ID_USED);
    assert_int_equal(ngx_iot_nexus_window_state(&w, 4),
                     NGX_IOT_NEXUS_ID_FRESH);
    assert_int_equal(ngx_iot_nexus_window_state(&w, 6),
                     NGX_IOT_NEXUS_ID_FRESH);

    ngx_iot_nexus_window_mark_to(&w, 10);
    assert_int_equal(ngx_iot_nexus_window_state(&w, 0), NGX_IOT_NEXUS_ID_USED);
    assert_int_equal(ngx_iot_nexus_window_state(&w, 10),
                     NGX_IOT_NEXUS_ID_USED);
    assert_int_equal(ngx_iot_nexus_window_state(&w, 11),
                     NGX_IOT_NEXUS_ID_FRESH);

    ngx_iot_nexus_window_mark(&w, 30);
    assert_int_equal(w.center, 30);
    assert_int_equal(ngx_iot_nexus_window_state(&w, 6),
                     NGX_IOT_NEXUS_ID_OUTSIDE);
    assert_int_equal(ngx_iot_nexus_window_state(&w, 7), NGX_IOT_NEXUS_ID_USED);
    assert_int_equal(ngx_iot_nexus_window_state(&w, 11),
                     NGX_IOT_NEXUS_ID_FRESH);
    assert_int_equal(ngx_iot_nexus_window_state(&w, 30),
                     NGX_IOT_NEXUS_ID_USED);
    assert_int_equal(ngx_iot_nexus_window_state(&w, 70),
                     NGX_IOT_NEXUS_ID_FRESH);

    ngx_iot_nexus_window_mark(&w, 70);
    assert_int_equal(w.used, 1);

    /* a long way, and an id that is not in reach any more */

    ngx_iot_nexus_window_mark(&w, 4000000000u);
    assert_int_equal(w.used, 1);
    ngx_iot_nexus_window_mark(&w, 4000000000u - 24);
    assert_int_equal(w.used, 1);
    ngx_iot_nexus_window_mark(&w, 0);
    assert_int_equal(w.used, 1);

    ngx_iot_nexus_window_init_channel(&w);
    ngx_iot_nexus_window_mark_to(&w, UINT32_MAX);
    assert_int_equal(w.used, UINT32_MAX);
    assert_int_equal(ngx_iot_nexus_window_state(&w, UINT32_MAX - 31),
                     NGX_IOT_NEXUS_ID_USED);
    assert_int_equal(ngx_iot_nexus_window_state(&w, UINT32_MAX + INT64_C(1)),
                     NGX_IOT_NEXUS_ID_OUTSIDE);
}


static void
test_device_row(json_t *in, json_t *out, const char *error)
{
    size_t                   i;
    u_char                   buf[16];
    json_t                  *expect, *step, *value;
    ngx_str_t                secret;
    const char              *code;
    ngx_iot_nexus_device_t   d;

    static const char  *feedbacks[] = {
        "INVALID", "VALID_DUPLICATE", "APPLIED", "DISPLAY_PAYG_ID"
    };

    assert_null(error);

    secret_of(in, "secret_hex", buf, &secret);
    ngx_iot_nexus_device_init(&d);

    json_array_foreach(json_object_get(in, "steps"), i, step) {

        value = json_object_get(step, "elapse");

        if (value) {
            ngx_iot_nexus_device_elapse(&d, json_integer_value(value));
            continue;
        }

        value = json_object_get(step, "restrict");

        if (value) {
            d.restricted = json_is_true(value);
            continue;
        }

        code = text_of(step, "enter");
        expect = json_object_get(step, "expect");

        check_text(feedbacks[ngx_iot_nexus_device_enter(&d, &secret,
                                                     (const u_char *) code,
                                                     strlen(code))],
                   text_of(expect, "feedback"));

        check(d.credit == (uint64_t) number_of(expect, "credit_seconds", -1));
        check(d.window.center == number_of(expect, "window_center", -1));
        check(d.unlocked == json_is_true(json_object_get(expect, "unlocked")));
        check(d.restricted
              == json_is_true(json_object_get(expect, "restricted")));
    }
}


static void
test_device(void **state)
{
    ngx_iot_nexus_device_t  d;

    vectors_run("full_device_sequence", test_device_row);

    ngx_iot_nexus_device_init(&d);

#define enter(s)                                                              \
    ngx_iot_nexus_device_enter(&d, &test_secret, (u_char *) s, strlen(s))

    assert_int_equal(enter("*634 776 5#"), NGX_IOT_NEXUS_DISPLAY_ID);
    assert_int_equal(enter("*801#"), NGX_IOT_NEXUS_PASSED);
    assert_int_equal(enter("*712345678#"), NGX_IOT_NEXUS_INVALID);

    d.id = 12345678;
    assert_int_equal(enter("*712345678#"), NGX_IOT_NEXUS_APPLIED);
    assert_int_equal(enter("*712345679#"), NGX_IOT_NEXUS_INVALID);
}


static void
test_request_row(json_t *in, json_t *out, const char *error)
{
    char                      *dumped[8];
    u_char                     buf[16];
    json_t                    *request, *value;
    ngx_str_t                  secret;
    ngx_uint_t                 i, n;
    const char                *name;
    ngx_iot_keycode_err_e      err;
    ngx_iot_keycode_text_t     text;
    ngx_iot_nexus_message_t    m;
    ngx_iot_keycode_member_t   members[8];

    n = 0;
    request = json_object_get(in, "request");

    json_object_foreach(request, name, value) {
        check(n < 8);

        dumped[n] = json_dumps(value, JSON_ENCODE_ANY);

        members[n].name.data = (u_char *) name;
        members[n].name.len = strlen(name);
        members[n].text.data = (u_char *) dumped[n];
        members[n].kind = NGX_IOT_KEYCODE_MEMBER_OTHER;

        if (json_is_number(value)) {
            members[n].kind = NGX_IOT_KEYCODE_MEMBER_NUMBER;
        }

        if (json_is_string(value)) {
            members[n].kind = NGX_IOT_KEYCODE_MEMBER_STRING;
            members[n].text.data = (u_char *) json_string_value(value);
        }

        members[n].text.len = strlen((char *) members[n].text.data);
        n++;
    }

    secret_of(in, "pyg_pts", buf, &secret);

    err = ngx_iot_keycode_request(members, n, &m);

    if (err == NGX_IOT_KEYCODE_OK) {
        m.message_id = number_of(in, "pyg_msg", -1);
        err = ngx_iot_nexus_full_make(&m, &secret, NGX_IOT_NEXUS_GROUPED,
                                      &text);
    }

    check_error(err, error);

    for (i = 0; i < n; i++) {
        free(dumped[i]);
    }

    if (error) {
        return;
    }

    check_text(text.data, text_of(json_object_get(out, "response"), "token"));
    check(m.value == number_of(out, "hours", 0));
    check(m.message_id == number_of(out, "message_id_used", -1));
}


static void
test_request(void **state)
{
    ngx_uint_t                i;
    ngx_iot_nexus_message_t   m;
    ngx_iot_keycode_member_t  members[2];

    static const struct {
        const char  *text;
        const char  *error;

    } days[] = {

        { "1", NULL }, { "4166", NULL }, { "0", "E_VALUE" },
        { "0001", NULL }, { "", "E_VALUE" }, { " 1", "E_VALUE" },
        { "+1", "E_VALUE" }, { "-0", "E_VALUE" }, { "1e2", "E_VALUE" },
        { "1.0", "E_VALUE" }, { "4167", "E_VALUE" },
        { "18446744073709551617", "E_VALUE" }
    };

    vectors_run("airlink_request", test_request_row);

    memset(members, 0, sizeof(members));

    members[0].name = (ngx_str_t) ngx_string("pay_g_tkn");
    members[0].kind = NGX_IOT_KEYCODE_MEMBER_STRING;

    for (i = 0; i < sizeof(days) / sizeof(days[0]); i++) {
        members[0].text.data = (u_char *) days[i].text;
        members[0].text.len = strlen(days[i].text);

        check_error(ngx_iot_keycode_request(members, 1, &m), days[i].error);
    }

    members[0].text.data = NULL;
    check_error(ngx_iot_keycode_request(members, 1, &m), "E_VALUE");
    check_error(ngx_iot_keycode_request(NULL, 1, &m), "E_REQUEST");
    check_error(ngx_iot_keycode_request(members, 0, &m), "E_REQUEST");

    /* the same command twice, and a command next to a method */

    members[1] = members[0];
    check_error(ngx_iot_keycode_request(members, 2, &m), "E_REQUEST");

    members[1].name = (ngx_str_t) ngx_string("method");
    members[1].text = (ngx_str_t) ngx_string("Wipe");
    check_error(ngx_iot_keycode_request(members, 2, &m), "E_REQUEST");

    members[0].name = (ngx_str_t) ngx_string("unlock_tkn");
    check_error(ngx_iot_keycode_request(members, 1, &m), NULL);
    check(m.type == NGX_IOT_NEXUS_UNLOCK && m.value == 0);
}


static void
test_names(void **state)
{
    ngx_uint_t            i;
    const char           *name;
    ngx_iot_nexus_type_e  type;

    for (i = 0; i < NGX_IOT_NEXUS_TYPES; i++) {
        name = ngx_iot_nexus_type_name(i);
        assert_int_equal(ngx_iot_nexus_type((const u_char *) name,
                                            strlen(name), &type),
                         NGX_IOT_KEYCODE_OK);
        assert_int_equal(type, i);
    }

    assert_string_equal(ngx_iot_nexus_type_name(NGX_IOT_NEXUS_TYPES),
                        "unknown");
    assert_int_equal(ngx_iot_nexus_type(NULL, 0, &type),
                     NGX_IOT_KEYCODE_E_TYPE);
    assert_string_equal(ngx_iot_keycode_error(NGX_IOT_KEYCODE_E_COLLISION),
                        "E_COLLISION");
    assert_string_equal(ngx_iot_keycode_error(NGX_IOT_KEYCODE_E_REQUEST),
                        "E_REQUEST");
    assert_string_equal(ngx_iot_keycode_error(99), "E_REQUEST");

    for (i = 0; i <= NGX_IOT_KEYCODE_E_REQUEST; i++) {
        assert_true(strlen(ngx_iot_keycode_error_text(i)) > 5);
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_window),
        cmocka_unit_test(test_device),
        cmocka_unit_test(test_request),
        cmocka_unit_test(test_names)
    };

    memset(test_bytes, 0xab, 16);

    if (vectors_load("t/data/nexus_keycode.json") != 0) {
        return 1;
    }

    cmocka_set_message_output(CM_OUTPUT_TAP);

    return cmocka_run_group_tests(tests, NULL, NULL);
}
