
/*
 * Copyright (C) the ngx_iot authors
 */


#include "keycode_vectors.h"


static u_char     test_bytes[64];
static ngx_str_t  test_secret = { 16, test_bytes };


static void
test_uart_row(json_t *in, json_t *out, const char *error)
{
    u_char                    buf[16], key[16], wanted[16];
    ngx_str_t                 secret;
    ngx_iot_keycode_text_t    text;
    ngx_iot_nexus_message_t   m;

    assert_null(error);

    secret_of(in, "secret_hex", buf, &secret);
    check(hex_of(out, "uart_security_key_hex", wanted, 16) == 16);

    check_error(ngx_iot_nexus_uart_key(&secret, key), NULL);
    check(memcmp(key, wanted, 16) == 0);

    check_error(ngx_iot_nexus_uart_make(&secret, NGX_IOT_NEXUS_COMPACT, &text),
                NULL);
    check_text(text.data, text_of(out, "compact"));

    check_error(ngx_iot_nexus_uart_make(&secret, NGX_IOT_NEXUS_GROUPED, &text),
                NULL);
    check_text(text.data, text_of(out, "keycode"));

    check_error(ngx_iot_nexus_full_read(text.data, text.len, &test_secret, 23,
                                        &m),
                NULL);
    check(m.type == NGX_IOT_NEXUS_PASSTHROUGH && m.value == 0);

    check_error(ngx_iot_nexus_uart_read(m.digits, m.ndigits, &secret), NULL);
    check_error(ngx_iot_nexus_uart_read(m.digits, m.ndigits - 1, &secret),
                "E_FORMAT");
    check_error(ngx_iot_nexus_uart_read(NULL, m.ndigits, &secret),
                "E_FORMAT");

    m.digits[6] = (m.digits[6] == '9') ? '0' : m.digits[6] + 1;
    check_error(ngx_iot_nexus_uart_read(m.digits, m.ndigits, &secret),
                "E_MAC");

    m.digits[6] = ':';
    check_error(ngx_iot_nexus_uart_read(m.digits, m.ndigits, &secret),
                "E_FORMAT");
}


static void
test_uart(void **state)
{
    vectors_run("full_passthrough_uart", test_uart_row);
}


/* the token of a keycode that came out, back into a command */

static void
check_channel(const ngx_iot_nexus_channel_t *c, const ngx_str_t *key,
    const ngx_iot_keycode_text_t *text,
    const ngx_iot_nexus_accessory_t *linked, ngx_uint_t nlinked)
{
    ngx_iot_nexus_window_t   w;
    ngx_iot_nexus_channel_t  back;
    ngx_iot_nexus_message_t  m;

    check_error(ngx_iot_nexus_full_read(text->data, text->len, &test_secret,
                                        23, &m),
                NULL);
    check(m.type == NGX_IOT_NEXUS_PASSTHROUGH && m.value == 1);

    ngx_iot_nexus_window_init_channel(&w);

    if (c->count > 39) {
        w.center = (uint32_t) c->count;
    }

    check_error(ngx_iot_nexus_channel_read(m.digits, m.ndigits, key, &w,
                                           linked, nlinked, &back),
                NULL);

    check(back.type == c->type);
    check(back.count == c->count);
    check(back.challenge == c->challenge);
    check(back.accessory.id == c->accessory.id);
    check(back.accessory.authority == c->accessory.authority);

    if (c->count >= 9 && c->count < UINT32_MAX - 32) {

        /* one below the reach of the controller, and one above */

        w.center = (uint32_t) c->count - 9;
        check_error(ngx_iot_nexus_channel_read(m.digits, m.ndigits, key, &w,
                                               linked, nlinked, &back),
                    "E_MAC");

        w.center = (uint32_t) c->count + 32;
        check_error(ngx_iot_nexus_channel_read(m.digits, m.ndigits, key, &w,
                                               linked, nlinked, &back),
                    "E_MAC");
    }
}


static void
test_channel_row(json_t *in, json_t *out, const char *error)
{
    u_char                   body[7], controller[16];
    size_t                   i, n;
    uint32_t                 mac;
    ngx_str_t                key;
    const char              *digits, *p;
    ngx_iot_keycode_text_t   text;
    ngx_iot_nexus_channel_t  c;

    assert_null(error);

    memset(&c, 0, sizeof(c));
    secret_of(in, "controller_sym_key_hex", controller, &key);

    c.count = number_of(in, "controller_command_count", -1);

    if (json_object_get(in, "accessory_sym_key_hex")) {

        u_char     accessory[16];
        ngx_str_t  accessory_key;

        secret_of(in, "accessory_sym_key_hex", accessory, &accessory_key);

        c.type = NGX_IOT_NEXUS_CHANNEL_LINK;
        check_error(ngx_iot_nexus_channel_challenge(
                             &accessory_key,
                             number_of(in, "accessory_command_count", -1),
                             &c.challenge),
                    NULL);
        check(c.challenge == strtoul(text_of(out, "body"), NULL, 10));
    }

    check_error(ngx_iot_nexus_channel_make(&c, &key, NGX_IOT_NEXUS_GROUPED,
                                           &text),
                NULL);
    check_text(text.data, text_of(out, "keycode"));
    check_channel(&c, &key, &text, NULL, 0);

    digits = text_of(out, "token_digits");
    n = strlen(digits) - 6;
    mac = strtoul(digits + n, NULL, 10);
    check(mac == strtoul(text_of(out, "auth"), NULL, 10));

    for (i = 0; i < n; i++) {
        body[i] = digits[i] - '0';
    }

    ngx_iot_nexus_reveal(body, n, mac);
    check(body[0] == number_of(out, "type_digit", -1));

    for (i = 1, p = text_of(out, "body"); i < n; i++, p++) {
        check(body[i] == *p - '0');
    }
}


static void
test_channel(void **state)
{
    u_char                    key_bytes[16], data[11];
    size_t                    i;
    uint32_t                  challenge;
    ngx_str_t                 key;
    ngx_iot_keycode_text_t    text;
    ngx_iot_nexus_window_t    w;
    ngx_iot_nexus_channel_t   back, c;
    ngx_iot_nexus_message_t   m;

    static const ngx_iot_nexus_accessory_t  linked[] = {
        { 0xffff, 0x0000003c }, { 0x1234, 0x89abcdf6 }, { 0x0001, 0xfffffffe }
    };

    vectors_run("channel_link_mode_3", test_channel_row);
    vectors_run("channel_unlink_all", test_channel_row);

    memset(key_bytes, 0x5a, sizeof(key_bytes));
    key.len = 16;
    key.data = key_bytes;

    for (i = 0; i < 120; i++) {

        memset(&c, 0, sizeof(c));
        c.type = i % 4;
        c.count = i;

        if (c.type == NGX_IOT_NEXUS_CHANNEL_UNLINK) {
            c.accessory = linked[i % 3];
        }

        if (c.type == NGX_IOT_NEXUS_CHANNEL_LINK) {
            c.challenge = (i * 8731) % 1000000;
        }

        assert_int_equal(ngx_iot_nexus_channel_make(&c, &key,
                                                    NGX_IOT_NEXUS_COMPACT,
                                                    &text),
                         NGX_IOT_KEYCODE_OK);
        check_channel(&c, &key, &text, linked, 3);
    }

    /* the check of an unlink covers what the digits do not say */

    memset(&c, 0, sizeof(c));
    c.type = NGX_IOT_NEXUS_CHANNEL_UNLINK;
    c.count = 7;
    c.accessory = linked[1];

    assert_int_equal(ngx_iot_nexus_channel_make(&c, &key,
                                                NGX_IOT_NEXUS_COMPACT, &text),
                     NGX_IOT_KEYCODE_OK);
    assert_int_equal(ngx_iot_nexus_full_read(text.data, text.len, &test_secret,
                                             23, &m),
                     NGX_IOT_KEYCODE_OK);
    assert_int_equal(m.ndigits, 8);

    memcpy(data, "\x07\0\0\0\x02\x34\x12\xf6\xcd\xab\x89", 11);

    assert_int_equal(strtoul((char *) text.data + 5, NULL, 10),
                     ngx_iot_nexus_check(data, 11, key_bytes));

    ngx_iot_nexus_window_init_channel(&w);

    assert_int_equal(ngx_iot_nexus_channel_read(m.digits, m.ndigits, &key, &w,
                                                linked, 1, &back),
                     NGX_IOT_KEYCODE_E_MAC);
    assert_int_equal(ngx_iot_nexus_channel_read(m.digits, m.ndigits, &key, &w,
                                                NULL, 3, &back),
                     NGX_IOT_KEYCODE_E_MAC);
    assert_int_equal(ngx_iot_nexus_channel_read(m.digits, m.ndigits, &key,
                                                NULL, linked, 3, &back),
                     NGX_IOT_KEYCODE_E_MAC);
    assert_int_equal(ngx_iot_nexus_channel_read(NULL, 9, &key, &w, NULL, 0,
                                                &back),
                     NGX_IOT_KEYCODE_E_FORMAT);

    for (i = 0; i < 30; i++) {
        memset(m.digits, '0', sizeof(m.digits));

        assert_int_equal(ngx_iot_nexus_channel_read(m.digits, i, &key, &w,
                                                    linked, 3, &back),
                         (i == 8 || i == 9 || i == 13)
                         ? NGX_IOT_KEYCODE_E_MAC : NGX_IOT_KEYCODE_E_FORMAT);
    }

    m.digits[8] = '/';
    assert_int_equal(ngx_iot_nexus_channel_read(m.digits, 9, &key, &w, linked,
                                                3, &back),
                     NGX_IOT_KEYCODE_E_FORMAT);

    c.count = -1;
    assert_int_equal(ngx_iot_nexus_channel_make(&c, &key,
                                                NGX_IOT_NEXUS_COMPACT, &text),
                     NGX_IOT_KEYCODE_E_COUNT);
    c.count = INT64_C(4294967296);
    assert_int_equal(ngx_iot_nexus_channel_make(&c, &key,
                                                NGX_IOT_NEXUS_COMPACT, &text),
                     NGX_IOT_KEYCODE_E_COUNT);
    assert_int_equal(ngx_iot_nexus_channel_challenge(&key, c.count,
                                                     &challenge),
                     NGX_IOT_KEYCODE_E_COUNT);

    c.count = 1;
    c.type = NGX_IOT_NEXUS_CHANNEL_LINK;
    c.challenge = 1000000;
    assert_int_equal(ngx_iot_nexus_channel_make(&c, &key,
                                                NGX_IOT_NEXUS_COMPACT, &text),
                     NGX_IOT_KEYCODE_E_VALUE);

    c.type = NGX_IOT_NEXUS_CHANNEL_TYPES;
    assert_int_equal(ngx_iot_nexus_channel_make(&c, &key,
                                                NGX_IOT_NEXUS_COMPACT, &text),
                     NGX_IOT_KEYCODE_E_TYPE);
    assert_int_equal(ngx_iot_nexus_channel_make(NULL, &key,
                                                NGX_IOT_NEXUS_COMPACT, &text),
                     NGX_IOT_KEYCODE_E_TYPE);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_uart),
        cmocka_unit_test(test_channel)
    };

    memset(test_bytes, 0xab, 16);

    if (vectors_load("t/data/nexus_keycode.json") != 0) {
        return 1;
    }

    cmocka_set_message_output(CM_OUTPUT_TAP);

    return cmocka_run_group_tests(tests, NULL, NULL);
}
