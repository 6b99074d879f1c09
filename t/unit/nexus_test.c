
/*
 * Copyright (C) the ngx_iot authors
 */


#include "keycode_vectors.h"


static u_char     test_bytes[64];
static ngx_str_t  test_secret = { 16, test_bytes };


static void
test_siphash_row(json_t *in, json_t *out, const char *error)
{
    u_char  data[64], key[16];
    size_t  len;

    assert_null(error);

    check(hex_of(in, "key_hex", key, sizeof(key)) == 16);
    len = hex_of(in, "data_hex", data, sizeof(data));

    check(ngx_iot_keycode_hash(data, len, key)
          == strtoull(text_of(out, "u64_hex"), NULL, 16));
}


static void
test_siphash(void **state)
{
    vectors_run("siphash24", test_siphash_row);
}


static void
test_obscure_row(json_t *in, json_t *out, const char *error)
{
    u_char       digits[14];
    size_t       i;
    uint32_t     mac;
    const char  *plain, *wanted;

    assert_null(error);

    plain = text_of(in, "plain_digits");
    wanted = text_of(out, "digits");
    check(strlen(plain) == 14 && strlen(wanted) == 14);

    for (i = 0; i < 14; i++) {
        digits[i] = plain[i] - '0';
    }

    mac = ngx_iot_nexus_get(digits + 8, 6);
    ngx_iot_nexus_obscure(digits, 8, mac);

    for (i = 0; i < 14; i++) {
        check(digits[i] == wanted[i] - '0');
    }

    ngx_iot_nexus_reveal(digits, 8, mac);

    for (i = 0; i < 14; i++) {
        check(digits[i] == plain[i] - '0');
    }
}


static void
test_obscure(void **state)
{
    vectors_run("full_obscure", test_obscure_row);
}


static void
test_render_row(json_t *in, json_t *out, const char *error)
{
    ngx_str_t               prefix, separator, suffix;
    const char             *digits;
    ngx_iot_keycode_text_t  text;

    assert_null(error);

    digits = text_of(in, "digits");
    prefix.data = (u_char *) text_of(in, "prefix");
    prefix.len = strlen((char *) prefix.data);
    suffix.data = (u_char *) text_of(in, "suffix");
    suffix.len = strlen((char *) suffix.data);
    separator.data = (u_char *) text_of(in, "separator");
    separator.len = strlen((char *) separator.data);

    check_error(ngx_iot_nexus_render((const u_char *) digits, strlen(digits),
                                     &prefix, &suffix, &separator,
                                     number_of(in, "group_len", 0), &text),
                NULL);

    check_text(text.data, text_of(out, "keycode"));
    check(text.len == strlen((char *) text.data));
}


static void
test_render(void **state)
{
    u_char                  digits[31];
    ngx_str_t               wide, wrong;
    ngx_iot_keycode_text_t  text;

    vectors_run("full_render", test_render_row);

    memset(digits, '7', sizeof(digits));

    /* 30 digits leave room for 33 characters, the zero aside */

    wide.data = (u_char *) "---------------------------------";
    wide.len = 33;

    assert_int_equal(ngx_iot_nexus_render(digits, 30, &wide, NULL, NULL, 3,
                                          &text),
                     NGX_IOT_KEYCODE_OK);
    assert_int_equal(text.len, 63);

    wide.data = (u_char *) "----------------------------------";
    wide.len = 34;

    assert_int_equal(ngx_iot_nexus_render(digits, 30, &wide, NULL, NULL, 3,
                                          &text),
                     NGX_IOT_KEYCODE_E_FORMAT);

    wide.len = 2;

    assert_int_equal(ngx_iot_nexus_render(digits, 30, NULL, NULL, &wide, 1,
                                          &text),
                     NGX_IOT_KEYCODE_E_FORMAT);

    wide.len = SIZE_MAX;

    assert_int_equal(ngx_iot_nexus_render(digits, 30, NULL, NULL, &wide, 1,
                                          &text),
                     NGX_IOT_KEYCODE_E_FORMAT);
    assert_int_equal(ngx_iot_nexus_render(digits, 30, NULL, NULL, &wide, 30,
                                          &text),
                     NGX_IOT_KEYCODE_OK);

    wrong.len = 1;
    wrong.data = NULL;

    assert_int_equal(ngx_iot_nexus_render(digits, 3, &wrong, NULL, NULL, 3,
                                          &text),
                     NGX_IOT_KEYCODE_E_FORMAT);
    assert_int_equal(ngx_iot_nexus_render(digits, 31, NULL, NULL, NULL, 3,
                                          &text),
                     NGX_IOT_KEYCODE_E_FORMAT);
    assert_int_equal(ngx_iot_nexus_render(digits, 0, NULL, NULL, NULL, 3,
                                          &text),
                     NGX_IOT_KEYCODE_E_FORMAT);
    assert_int_equal(ngx_iot_nexus_render(digits, 3, NULL, NULL, NULL, 0,
                                          &text),
                     NGX_IOT_KEYCODE_E_FORMAT);
    assert_int_equal(ngx_iot_nexus_render(NULL, 3, NULL, NULL, NULL, 3, &text),
                     NGX_IOT_KEYCODE_E_FORMAT);

    digits[1] = 'a';

    assert_int_equal(ngx_iot_nexus_render(digits, 3, NULL, NULL, NULL, 3,
                                          &text),
                     NGX_IOT_KEYCODE_E_FORMAT);
}


/* {"type", "message_id", "hours", "wipe_target", ...} of either side */

static ngx_iot_keycode_err_e
message_of(json_t *object, ngx_iot_nexus_message_t *m)
{
    const char             *digits, *type;
    ngx_iot_keycode_err_e   err;

    memset(m, 0, sizeof(ngx_iot_nexus_message_t));

    type = text_of(object, "type");

    err = ngx_iot_nexus_type((const u_char *) type, strlen(type), &m->type);
    if (err != NGX_IOT_KEYCODE_OK) {
        return err;
    }

    m->message_id = number_of(object, "message_id", -1);
    m->value = number_of(object, "hours", 0);
    m->value = number_of(object, "wipe_target", m->value);
    m->value = number_of(object, "minutes", m->value);
    m->value = number_of(object, "application_id", m->value);
    m->value = number_of(object, "device_id", m->value);

    digits = json_string_value(json_object_get(object, "digits"));

    if (digits) {
        m->ndigits = strlen(digits);
        memcpy(m->digits, digits, ngx_min(m->ndigits, sizeof(m->digits)));
    }

    return NGX_IOT_KEYCODE_OK;
}


static void
check_message(const ngx_iot_nexus_message_t *a,
    const ngx_iot_nexus_message_t *b)
{
    check(a->type == b->type);
    check(a->value == b->value);

    if (a->type <= NGX_IOT_NEXUS_WIPE_STATE) {
        check(a->message_id == b->message_id);
    }

    if (a->type == NGX_IOT_NEXUS_PASSTHROUGH) {
        check(a->ndigits == b->ndigits);
        check(memcmp(a->digits, b->digits, a->ndigits) == 0);
    }
}


static void
test_full_encode_row(json_t *in, json_t *out, const char *error)
{
    u_char                    buf[16], data[16], digits[30];
    size_t                    i, len, n;
    uint64_t                  hash;
    ngx_str_t                 secret;
    const char               *plain;
    ngx_iot_keycode_err_e     err;
    ngx_iot_keycode_text_t    text;
    ngx_iot_nexus_message_t   back, m;

    secret_of(in, "secret_hex", buf, &secret);

    err = message_of(in, &m);

    if (err == NGX_IOT_KEYCODE_OK) {
        err = ngx_iot_nexus_full_make(&m, &secret, NGX_IOT_NEXUS_GROUPED,
                                      &text);
    }

    check_error(err, error);

    if (error) {
        return;
    }

    check_text(text.data, text_of(out, "keycode"));

    check_error(ngx_iot_nexus_full_read(text.data, text.len, &secret,
                                        ngx_max(m.message_id, 23), &back),
                NULL);
    check_message(&m, &back);

    check_error(ngx_iot_nexus_full_make(&m, &secret, NGX_IOT_NEXUS_COMPACT,
                                        &text),
                NULL);
    check_text(text.data, text_of(out, "compact"));

    len = hex_of(out, "mac_input_hex", data, sizeof(data));
    hash = strtoull(text_of(out, "siphash_hex"), NULL, 16);

    check(ngx_iot_keycode_hash(data, len, secret.data) == hash);

    check_error(ngx_iot_nexus_digits(text.data, text.len, digits, &n), NULL);
    check(n == 14);

    for (i = 0; i < n; i++) {
        digits[i] -= '0';
    }

    ngx_iot_nexus_reveal(digits, 8, ngx_iot_nexus_get(digits + 8, 6));
    plain = text_of(out, "plain_digits");

    for (i = 0; i < n; i++) {
        check(digits[i] == plain[i] - '0');
    }
}


static void
test_full_encode(void **state)
{
    vectors_run("full_encode", test_full_encode_row);
}


static void
test_full_factory_row(json_t *in, json_t *out, const char *error)
{
    ngx_iot_keycode_err_e     err;
    ngx_iot_keycode_text_t    text;
    ngx_iot_nexus_message_t   back, m;

    err = message_of(in, &m);

    if (err == NGX_IOT_KEYCODE_OK) {
        err = ngx_iot_nexus_full_make_factory(&m, NGX_IOT_NEXUS_COMPACT,
                                              &text);
    }

    check_error(err, error);

    if (error) {
        return;
    }

    check_text(text.data, text_of(out, "compact"));

    check_error(ngx_iot_nexus_full_make_factory(&m, NGX_IOT_NEXUS_GROUPED,
                                                &text),
                NULL);
    check_text(text.data, text_of(out, "keycode"));

    check_error(ngx_iot_nexus_full_read(text.data, text.len, &test_secret, 23,
                                        &back),
                NULL);
    check_message(&m, &back);
}


static void
test_full_factory(void **state)
{
    vectors_run("full_factory_encode", test_full_factory_row);
}


static void
test_full_decode_row(json_t *in, json_t *out, const char *error)
{
    u_char                    a[30], b[30], buf[16];
    size_t                    na, nb;
    ngx_str_t                 secret;
    const char               *code;
    ngx_iot_keycode_text_t    text;
    ngx_iot_nexus_message_t   m, wanted;

    secret_of(in, "secret_hex", buf, &secret);
    code = text_of(in, "keycode");

    check_error(ngx_iot_nexus_full_read((const u_char *) code, strlen(code),
                                        &secret,
                                        number_of(in, "window_center", 0), &m),
                error);

    if (error) {
        return;
    }

    check_error(message_of(out, &wanted), NULL);
    check_message(&wanted, &m);

    if (m.type <= NGX_IOT_NEXUS_WIPE_STATE) {
        check_error(ngx_iot_nexus_full_make(&m, &secret,
                                            NGX_IOT_NEXUS_COMPACT, &text),
                    NULL);

    } else {
        check_error(ngx_iot_nexus_full_make_factory(&m, NGX_IOT_NEXUS_COMPACT,
                                                    &text),
                    NULL);
    }

    check_error(ngx_iot_nexus_digits((const u_char *) code, strlen(code), a,
                                     &na),
                NULL);
    check_error(ngx_iot_nexus_digits(text.data, text.len, b, &nb), NULL);
    check(na == nb && memcmp(a, b, na) == 0);
}


static void
test_full_decode(void **state)
{
    vectors_run("full_decode", test_full_decode_row);
}


/* 14 digits of which only the type, the id field or the body is impossible */

static ngx_iot_keycode_err_e
read_forged(uint32_t id, ngx_uint_t field, ngx_uint_t type, uint32_t body)
{
    u_char                   data[9], digits[14], text[16];
    size_t                   i;
    uint32_t                 mac;
    ngx_iot_nexus_message_t  m;

    ngx_iot_keycode_le32(data, id);
    data[4] = (u_char) type;
    ngx_iot_keycode_le32(data + 5, body);
    mac = ngx_iot_nexus_check(data, sizeof(data), test_bytes);

    digits[0] = (u_char) type;
    ngx_iot_nexus_put(digits + 1, 2, (uint32_t) field);
    ngx_iot_nexus_put(digits + 3, 5, body);
    ngx_iot_nexus_obscure(digits, 8, mac);
    ngx_iot_nexus_put(digits + 8, 6, mac);

    text[0] = '*';
    text[15] = '#';

    for (i = 0; i < 14; i++) {
        text[i + 1] = digits[i] + '0';
    }

    return ngx_iot_nexus_full_read(text, sizeof(text), &test_secret, 23, &m);
}


static void
test_full_never_made(void **state)
{
    u_char                   data[9], text[32];
    uint32_t                 body, i, mac, n;
    static const u_char      zero[16];
    ngx_iot_keycode_err_e    err;
    ngx_iot_keycode_text_t   again;
    ngx_iot_nexus_message_t  m;

    assert_int_equal(read_forged(0, 0, 2, 3), NGX_IOT_KEYCODE_OK);
    assert_int_equal(read_forged(0, 0, 2, 4), NGX_IOT_KEYCODE_E_VALUE);
    assert_int_equal(read_forged(0, 0, 2, 99999), NGX_IOT_KEYCODE_E_VALUE);
    assert_int_equal(read_forged(63, 63, 0, 0), NGX_IOT_KEYCODE_OK);
    assert_int_equal(read_forged(64, 64, 0, 0), NGX_IOT_KEYCODE_E_MAC);
    assert_int_equal(read_forged(0, 64, 0, 0), NGX_IOT_KEYCODE_E_MAC);
    assert_int_equal(read_forged(35, 99, 0, 0), NGX_IOT_KEYCODE_E_MAC);

    for (i = 3; i < 10; i++) {
        assert_int_equal(read_forged(0, 0, i, 24), NGX_IOT_KEYCODE_E_MAC);
    }

    /* minutes that no factory has */

    for (i = 0; i < 2; i++) {
        body = i ? 100 : 0;
        memset(data, 0, sizeof(data));
        data[4] = 5;
        ngx_iot_keycode_le32(data + 5, body);
        mac = ngx_iot_nexus_check(data, sizeof(data), zero);

        snprintf((char *) text, sizeof(text), "*5%05u%06u#", body, mac);

        assert_int_equal(ngx_iot_nexus_full_read(text, 14, &test_secret, 23,
                                                 &m),
                         NGX_IOT_KEYCODE_E_VALUE);
    }

    /* random digits: what verifies by chance must be made the same again */

    for (n = 0; n < 200000; n++) {

        snprintf((char *) text, sizeof(text), "*%07u%07u#",
                 next_random() % 10000000, next_random() % 10000000);

        err = ngx_iot_nexus_full_read(text, 16, &test_secret, 23, &m);

        if (err == NGX_IOT_KEYCODE_OK) {
            assert_int_equal(ngx_iot_nexus_full_make(&m, &test_secret,
                                                     NGX_IOT_NEXUS_COMPACT,
                                                     &again),
                             NGX_IOT_KEYCODE_OK);
            assert_memory_equal(again.data, text, 16);

        } else if (err != NGX_IOT_KEYCODE_E_VALUE) {
            assert_int_equal(err, NGX_IOT_KEYCODE_E_MAC);
        }
    }
}


static void
test_full_shapes(void **state)
{
    size_t                   n;
    u_char                   text[64];
    const char              *wanted;
    ngx_iot_keycode_err_e    err;
    ngx_iot_keycode_text_t   code;
    ngx_iot_nexus_message_t  m;

    static const struct {
        const char  *text;
        const char  *error;

    } rows[] = {

        { "*80#", "E_FORMAT" },
        { "*#", "E_FORMAT" },
        { "#*", "E_FORMAT" },
        { "*801#801", "E_FORMAT" },
        { "*801#*", "E_FORMAT" },
        { "801#", "E_FORMAT" },
        { "*8+1#", "E_FORMAT" },
        { "*801", "E_FORMAT" },
        { "*801#", NULL },
        { "\t* 8-0 1 #\r\n ", NULL },
        { "*811#", NULL },
        { "*821#", "E_TYPE" },
        { "*891#", "E_TYPE" },
        { "*71234567#", "E_FORMAT" },
        { "*712345678#", NULL },
        { "*71234567890#", NULL },
        { "*712345678901#", "E_FORMAT" },
        { "*4064983#", NULL },
        { "*4064984#", "E_MAC" },
        { "*406498#", "E_FORMAT" },
        { "*40649830#", "E_FORMAT" },
        { "*6347765#", NULL },
        { "*6347764#", "E_MAC" },
        { "*500060694508#", "E_MAC" },
        { "*50006069450#", "E_FORMAT" },
        { "*0123456#", "E_FORMAT" },
        { "*1123456#", "E_FORMAT" },
        { "*2123456#", "E_FORMAT" },
        { "*3123456#", "E_FORMAT" },
        { "*9123456#", "E_FORMAT" }
    };

    for (n = 0; n < sizeof(rows) / sizeof(rows[0]); n++) {
        vector_id = rows[n].text;

        check_error(ngx_iot_nexus_full_read((const u_char *) rows[n].text,
                                            strlen(rows[n].text), &test_secret,
                                            23, &m),
                    rows[n].error);
    }

    vector_id = NULL;

    /* a passthrough code of every length */

    text[0] = '*';

    for (n = 1; n < 40; n++) {
        memset(text + 1, '0', n);
        text[1] = '8';
        text[n + 1] = '#';

        err = ngx_iot_nexus_full_read(text, n + 2, &test_secret, 23, &m);

        if (n == 14) {
            assert_int_equal(err, NGX_IOT_KEYCODE_E_MAC);

        } else if (n < 3 || n > 30) {
            assert_int_equal(err, NGX_IOT_KEYCODE_E_FORMAT);

        } else {
            assert_int_equal(err, NGX_IOT_KEYCODE_OK);
            assert_int_equal(m.ndigits, n - 2);
        }

        memset(&m, 0, sizeof(m));
        memset(m.digits, '0', sizeof(m.digits));
        m.type = NGX_IOT_NEXUS_PASSTHROUGH;
        m.ndigits = n - 2;

        wanted = (n < 3 || n > 30 || n == 14) ? "E_FORMAT" : NULL;
        check_error(ngx_iot_nexus_full_make_factory(&m, NGX_IOT_NEXUS_COMPACT,
                                                    &code),
                    wanted);

        m.type = NGX_IOT_NEXUS_DEVICE_ID;

        wanted = (n < 10 || n > 12) ? "E_FORMAT" : NULL;
        check_error(ngx_iot_nexus_full_make_factory(&m, NGX_IOT_NEXUS_COMPACT,
                                                    &code),
                    wanted);
    }

    assert_int_equal(ngx_iot_nexus_full_read(NULL, 5, &test_secret, 23, &m),
                     NGX_IOT_KEYCODE_E_FORMAT);
    assert_int_equal(ngx_iot_nexus_full_make(NULL, &test_secret,
                                             NGX_IOT_NEXUS_GROUPED, &code),
                     NGX_IOT_KEYCODE_E_TYPE);
    assert_int_equal(ngx_iot_nexus_full_make_factory(NULL,
                                                     NGX_IOT_NEXUS_GROUPED,
                                                     &code),
                     NGX_IOT_KEYCODE_E_TYPE);
}


/* every type at both ends of the ids and of its values, and one beyond */

static void
test_full_ranges(void **state)
{
    ngx_uint_t               i, k, v;
    ngx_iot_keycode_text_t   text;
    ngx_iot_nexus_message_t  back, m;

    static const int64_t  ids[] = {
        0, 1, 63, 64, 65533, 65534, -1, 65535, INT64_MIN, INT64_MAX,
        INT64_C(4294967296)
    };

    static const struct {
        ngx_iot_nexus_type_e  type;
        int64_t               max;

    } types[] = {

        { NGX_IOT_NEXUS_ADD_CREDIT, 99999 },
        { NGX_IOT_NEXUS_SET_CREDIT, 99998 },
        { NGX_IOT_NEXUS_UNLOCK, -1 },
        { NGX_IOT_NEXUS_WIPE_STATE, 3 }
    };

    memset(&m, 0, sizeof(m));

    for (i = 0; i < 4; i++) {
        for (k = 0; k < sizeof(ids) / sizeof(ids[0]); k++) {
            for (v = 0; v < 5; v++) {

                m.type = types[i].type;
                m.message_id = ids[k];

                m.value = (v == 0) ? 0
                          : (v == 1) ? types[i].max
                          : (v == 2) ? types[i].max + 1
                          : (v == 3) ? -1 : INT64_MAX;

                if (m.type == NGX_IOT_NEXUS_UNLOCK) {
                    m.value = 0;
                }

                if (k > 5) {
                    assert_int_equal(
                        ngx_iot_nexus_full_make(&m, &test_secret,
                                                NGX_IOT_NEXUS_GROUPED, &text),
                        NGX_IOT_KEYCODE_E_MSG_ID);
                    continue;
                }

                if (v > 1 && m.type != NGX_IOT_NEXUS_UNLOCK) {
                    assert_int_equal(
                        ngx_iot_nexus_full_make(&m, &test_secret,
                                                NGX_IOT_NEXUS_GROUPED, &text),
                        NGX_IOT_KEYCODE_E_VALUE);
                    continue;
                }

                assert_int_equal(
                    ngx_iot_nexus_full_make(&m, &test_secret,
                                            NGX_IOT_NEXUS_GROUPED, &text),
                    NGX_IOT_KEYCODE_OK);
                assert_int_equal(
                    ngx_iot_nexus_full_read(text.data, text.len, &test_secret,
                                            ngx_max(23, m.message_id), &back),
                    NGX_IOT_KEYCODE_OK);
                check_message(&m, &back);
            }
        }
    }

    for (i = NGX_IOT_NEXUS_ALLOW_TEST; i <= NGX_IOT_NEXUS_TYPES; i++) {
        m.type = i;
        m.message_id = 1;
        m.value = 1;

        assert_int_equal(ngx_iot_nexus_full_make(&m, &test_secret,
                                                 NGX_IOT_NEXUS_GROUPED, &text),
                         NGX_IOT_KEYCODE_E_TYPE);
    }

    for (i = NGX_IOT_NEXUS_ADD_CREDIT; i < NGX_IOT_NEXUS_ALLOW_TEST; i++) {
        m.type = i;

        assert_int_equal(ngx_iot_nexus_full_make_factory(
                                         &m, NGX_IOT_NEXUS_GROUPED, &text),
                         NGX_IOT_KEYCODE_E_TYPE);
    }
}


static void
test_full_window(void **state)
{
    int64_t                  center, id;
    ngx_iot_keycode_err_e    err;
    ngx_iot_keycode_text_t   text;
    ngx_iot_nexus_message_t  back, m;

    memset(&m, 0, sizeof(m));
    m.type = NGX_IOT_NEXUS_ADD_CREDIT;
    m.value = 24;

    for (center = 23; center <= 65534; center += 13102) {

        for (id = center - 90; id < center + 110; id++) {

            if (id < 0 || id > 65534) {
                continue;
            }

            m.message_id = id;

            assert_int_equal(
                ngx_iot_nexus_full_make(&m, &test_secret,
                                        NGX_IOT_NEXUS_COMPACT, &text),
                NGX_IOT_KEYCODE_OK);

            err = ngx_iot_nexus_full_read(text.data, text.len, &test_secret,
                                          center, &back);

            if (id >= center - 23 && id <= center + 40) {
                assert_int_equal(err, NGX_IOT_KEYCODE_OK);
                assert_int_equal(back.message_id, id);

            } else {
                assert_int_equal(err, NGX_IOT_KEYCODE_E_MAC);
            }
        }
    }

    m.message_id = 65534;
    assert_int_equal(ngx_iot_nexus_full_make(&m, &test_secret,
                                             NGX_IOT_NEXUS_COMPACT, &text),
                     NGX_IOT_KEYCODE_OK);

    assert_int_equal(ngx_iot_nexus_full_read(text.data, text.len, &test_secret,
                                             65534, &back),
                     NGX_IOT_KEYCODE_OK);
    assert_int_equal(ngx_iot_nexus_full_read(text.data, text.len, &test_secret,
                                             65535, &back),
                     NGX_IOT_KEYCODE_E_MSG_ID);
    assert_int_equal(ngx_iot_nexus_full_read(text.data, text.len, &test_secret,
                                             22, &back),
                     NGX_IOT_KEYCODE_E_MSG_ID);
    assert_int_equal(ngx_iot_nexus_full_read(text.data, text.len, &test_secret,
                                             -1, &back),
                     NGX_IOT_KEYCODE_E_MSG_ID);

    /* ids that do not exist have codes, too, which nobody may accept */

    assert_int_equal(ngx_iot_nexus_window_id(65534, 65534 & 63), 65534);
    assert_int_equal(ngx_iot_nexus_window_id(65534, 65535 & 63), -1);
    assert_int_equal(ngx_iot_nexus_window_id(22, 0), -1);
    assert_int_equal(ngx_iot_nexus_window_id(23, 64), -1);
}


static void
test_secret_lengths(void **state)
{
    u_char                        hex[65], raw[16];
    size_t                        n;
    ngx_str_t                     secret;
    ngx_iot_keycode_err_e         wanted;
    ngx_iot_keycode_text_t        text;
    ngx_iot_nexus_small_t         small;
    ngx_iot_nexus_window_t        w;
    ngx_iot_nexus_channel_t       channel;
    ngx_iot_nexus_message_t       m;

    uint32_t  challenge;

    memset(hex, 'a', sizeof(hex));
    memset(&m, 0, sizeof(m));
    memset(&small, 0, sizeof(small));
    memset(&channel, 0, sizeof(channel));
    small.value = 1;
    ngx_iot_nexus_window_init_channel(&w);

    for (n = 0; n <= 64; n++) {

        wanted = (n == 32) ? NGX_IOT_KEYCODE_OK : NGX_IOT_KEYCODE_E_SECRET;
        assert_int_equal(ngx_iot_keycode_secret(hex, n, raw), wanted);

        wanted = (n == 16) ? NGX_IOT_KEYCODE_OK : NGX_IOT_KEYCODE_E_SECRET;
        secret.len = n;
        secret.data = hex;

        assert_int_equal(ngx_iot_nexus_full_make(&m, &secret,
                                                 NGX_IOT_NEXUS_GROUPED, &text),
                         wanted);
        assert_int_equal(ngx_iot_nexus_small_make(&small, &secret,
                                                  NGX_IOT_NEXUS_GROUPED,
                                                  &text),
                         wanted);
        assert_int_equal(ngx_iot_nexus_channel_make(&channel, &secret,
                                                    NGX_IOT_NEXUS_GROUPED,
                                                    &text),
                         wanted);
        assert_int_equal(ngx_iot_nexus_channel_challenge(&secret, 0,
                                                         &challenge),
                         wanted);
        assert_int_equal(ngx_iot_nexus_uart_make(&secret,
                                                 NGX_IOT_NEXUS_GROUPED, &text),
                         wanted);

        if (n != 16) {
            assert_int_equal(ngx_iot_nexus_full_read(text.data, text.len,
                                                     &secret, 23, &m),
                             wanted);
            assert_int_equal(ngx_iot_nexus_small_read(text.data, text.len,
                                                      &secret, 23, &small),
                             wanted);
            assert_int_equal(ngx_iot_nexus_channel_read(hex, 9, &secret, &w,
                                                        NULL, 0, &channel),
                             wanted);
            assert_int_equal(ngx_iot_nexus_uart_read(hex, 7, &secret), wanted);
        }
    }

    assert_int_equal(ngx_iot_keycode_secret(NULL, 32, raw),
                     NGX_IOT_KEYCODE_E_SECRET);

    hex[31] = 'g';
    assert_int_equal(ngx_iot_keycode_secret(hex, 32, raw),
                     NGX_IOT_KEYCODE_E_SECRET);
    hex[31] = ':';
    assert_int_equal(ngx_iot_keycode_secret(hex, 32, raw),
                     NGX_IOT_KEYCODE_E_SECRET);
    hex[31] = '\0';
    assert_int_equal(ngx_iot_keycode_secret(hex, 32, raw),
                     NGX_IOT_KEYCODE_E_SECRET);

    hex[31] = 'F';
    hex[0] = 'B';
    assert_int_equal(ngx_iot_keycode_secret(hex, 32, raw), NGX_IOT_KEYCODE_OK);
    assert_int_equal(raw[0], 0xba);
    assert_int_equal(raw[15], 0xaf);

    secret.len = 16;
    secret.data = NULL;
    assert_int_equal(ngx_iot_nexus_full_make(&m, &secret,
                                             NGX_IOT_NEXUS_GROUPED, &text),
                     NGX_IOT_KEYCODE_E_SECRET);
    assert_int_equal(ngx_iot_nexus_full_make(&m, NULL, NGX_IOT_NEXUS_GROUPED,
                                             &text),
                     NGX_IOT_KEYCODE_E_SECRET);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_siphash),
        cmocka_unit_test(test_obscure),
        cmocka_unit_test(test_render),
        cmocka_unit_test(test_full_encode),
        cmocka_unit_test(test_full_factory),
        cmocka_unit_test(test_full_decode),
        cmocka_unit_test(test_full_never_made),
        cmocka_unit_test(test_full_shapes),
        cmocka_unit_test(test_full_ranges),
        cmocka_unit_test(test_full_window),
        cmocka_unit_test(test_secret_lengths)
    };

    memset(test_bytes, 0xab, 16);

    if (vectors_load("t/data/nexus_keycode.json") != 0) {
        return 1;
    }

    cmocka_set_message_output(CM_OUTPUT_TAP);

    return cmocka_run_group_tests(tests, NULL, NULL);
}
