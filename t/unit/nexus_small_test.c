
/*
 * Copyright (C) the ngx_iot authors
 */


#include "keycode_vectors.h"


static u_char     test_bytes[64];
static ngx_str_t  test_secret = { 16, test_bytes };


static const struct {
    const char                  *name;
    ngx_iot_nexus_small_type_e   type;

} small_types[] = {

    { "add_credit", NGX_IOT_NEXUS_SMALL_ADD_CREDIT },
    { "set_credit", NGX_IOT_NEXUS_SMALL_SET_CREDIT },
    { "unlock", NGX_IOT_NEXUS_SMALL_UNLOCK },
    { "set_unlock", NGX_IOT_NEXUS_SMALL_SET_UNLOCK },
    { "wipe_restricted", NGX_IOT_NEXUS_SMALL_WIPE_RESTRICTED },
    { "maintenance", NGX_IOT_NEXUS_SMALL_MAINTENANCE },
    { "test", NGX_IOT_NEXUS_SMALL_TEST },
    { "passthrough", NGX_IOT_NEXUS_SMALL_PASSTHROUGH },
    { "extended_set_credit_wipe_restricted",
      NGX_IOT_NEXUS_SMALL_EXTENDED_SET }
};


static void
small_of(json_t *object, ngx_iot_nexus_small_t *m)
{
    size_t       i;
    const char  *bits, *days, *type;

    memset(m, 0, sizeof(ngx_iot_nexus_small_t));

    type = text_of(object, "type");

    for (i = 0; strcmp(small_types[i].name, type) != 0; i++) {
        check(i + 1 < sizeof(small_types) / sizeof(small_types[0]));
    }

    m->type = small_types[i].type;
    m->message_id = number_of(object, "message_id", -1);
    m->value = number_of(object, "days", 0);
    m->value = number_of(object, "function", m->value);

    days = json_string_value(json_object_get(object, "days"));

    if (days) {
        check_text(days, "unlock");
        m->type = NGX_IOT_NEXUS_SMALL_EXTENDED_UNLOCK;
    }

    bits = json_string_value(json_object_get(object, "bits"));

    if (bits) {
        check(strlen(bits) == 26);
        m->value = strtol(bits, NULL, 2);
    }
}


static void
test_small_encode_row(json_t *in, json_t *out, const char *error)
{
    u_char                   buf[16], seed[3];
    uint32_t                 bits, hidden, mask;
    uint64_t                 hash;
    ngx_str_t                secret;
    ngx_uint_t               i, unlocked;
    ngx_iot_keycode_text_t   text;
    ngx_iot_nexus_small_t    back, m;

    static const u_char  zero[16];

    secret_of(in, "secret_hex", buf, &secret);
    small_of(in, &m);

    check_error(ngx_iot_nexus_small_make(&m, &secret, NGX_IOT_NEXUS_GROUPED,
                                         &text),
                error);

    if (error) {
        return;
    }

    check_text(text.data, text_of(out, "keycode"));

    check_error(ngx_iot_nexus_small_read(text.data, text.len,
                                         secret.data ? &secret : &test_secret,
                                         ngx_max(23, m.message_id), &back),
                NULL);

    check_error(ngx_iot_nexus_small_make(&m, &secret, NGX_IOT_NEXUS_COMPACT,
                                         &text),
                NULL);
    check_text(text.data, text_of(out, "compact"));

    hidden = strtoul(text_of(out, "obscured_bits"), NULL, 2);

    for (i = 0, bits = 0; i < 14; i++) {
        bits = bits << 2 | (text.data[i + 1] - '2');
    }

    check(bits == hidden);

    seed[0] = 0;
    seed[1] = (bits >> 8) & 15;
    seed[2] = bits & 255;
    hash = ngx_iot_keycode_hash(seed, 3, zero);
    mask = (uint32_t) ((hash & 255) << 8 | ((hash >> 8) & 255)) << 12;

    check((bits ^ mask) == strtoul(text_of(out, "plain_bits"), NULL, 2));

    check(back.type == m.type);

    if (m.type == NGX_IOT_NEXUS_SMALL_PASSTHROUGH) {
        check(back.value == m.value);
        return;
    }

    unlocked = json_is_true(json_object_get(out, "device_unlocked"));

    check(unlocked == (m.type == NGX_IOT_NEXUS_SMALL_UNLOCK
                       || m.type == NGX_IOT_NEXUS_SMALL_SET_UNLOCK
                       || m.type == NGX_IOT_NEXUS_SMALL_EXTENDED_UNLOCK));

    switch (m.type) {

    case NGX_IOT_NEXUS_SMALL_TEST:
        check(back.value == m.value);
        check(number_of(out, "device_credit_seconds", -1)
              == (m.value ? 3600 : 127));
        break;

    case NGX_IOT_NEXUS_SMALL_MAINTENANCE:
        check(back.value == m.value);
        break;

    default:
        check(back.message_id == m.message_id);
        check(back.value * 86400
              == number_of(out, "device_credit_seconds", -1));
        break;
    }
}


static void
test_small_encode(void **state)
{
    vectors_run("small_encode", test_small_encode_row);
}


static void
test_small_decode_row(json_t *in, json_t *out, const char *error)
{
    u_char                   buf[16];
    ngx_str_t                secret;
    const char              *code;
    ngx_iot_keycode_text_t   text;
    ngx_iot_nexus_small_t    m, wanted;

    secret_of(in, "secret_hex", buf, &secret);
    code = text_of(in, "keycode");

    check_error(ngx_iot_nexus_small_read((const u_char *) code, strlen(code),
                                         &secret,
                                         number_of(in, "window_center", 0),
                                         &m),
                error);

    if (error) {
        return;
    }

    small_of(out, &wanted);
    check(memcmp(&m, &wanted, sizeof(m)) == 0);

    check_error(ngx_iot_nexus_small_make(&m, &secret, NGX_IOT_NEXUS_GROUPED,
                                         &text),
                NULL);
    check_text(text.data, code);
}


static void
test_small_decode(void **state)
{
    vectors_run("small_decode", test_small_decode_row);
}


/* all days of all types come back, never less and by less than a step more */

static void
test_small_ranges(void **state)
{
    int64_t                     max, min, n;
    ngx_uint_t                  ambiguous, i, step;
    ngx_iot_keycode_err_e       err;
    ngx_iot_keycode_text_t      text;
    ngx_iot_nexus_small_t       back, m;

    static const ngx_iot_nexus_small_type_e  types[] = {
        NGX_IOT_NEXUS_SMALL_ADD_CREDIT, NGX_IOT_NEXUS_SMALL_SET_CREDIT,
        NGX_IOT_NEXUS_SMALL_EXTENDED_SET, NGX_IOT_NEXUS_SMALL_MAINTENANCE,
        NGX_IOT_NEXUS_SMALL_TEST
    };

    ambiguous = 0;

    for (i = 0; i < 5; i++) {

        m.type = types[i];
        min = (i == 0) ? 1 : 0;
        max = (i == 0) ? 405 : (i < 3) ? 960 : (i == 3) ? 2 : 1;

        for (n = -2; n < 1000; n++) {
            m.message_id = (n + 2) % 63;
            m.value = n;

            do {
                err = ngx_iot_nexus_small_make(&m, &test_secret,
                                               NGX_IOT_NEXUS_COMPACT, &text);
                if (err == NGX_IOT_KEYCODE_E_COLLISION) {
                    assert_int_equal(i, 2);
                    m.message_id = (m.message_id + 1) % 63;
                }

            } while (err == NGX_IOT_KEYCODE_E_COLLISION);

            if (n < min || n > max) {
                assert_int_equal(err, NGX_IOT_KEYCODE_E_VALUE);
                continue;
            }

            assert_int_equal(err, NGX_IOT_KEYCODE_OK);

            err = ngx_iot_nexus_small_read(text.data, text.len, &test_secret,
                                           23, &back);

            /* a new device looks at ids that the maker does not compare */

            if (err == NGX_IOT_KEYCODE_E_COLLISION) {
                assert_int_equal(i, 2);
                ambiguous++;
                continue;
            }

            assert_int_equal(err, NGX_IOT_KEYCODE_OK);

            step = (i > 2 || n <= 90 || (i == 0 && n <= 180)) ? 1
                   : (i == 0) ? 3
                   : (n <= 180) ? 2 : (n <= 360) ? 4 : (n <= 720) ? 8 : 16;

            assert_int_equal(back.type, m.type);
            assert_true(back.value >= n && back.value < n + (int64_t) step);
            assert_true(back.value <= max);

            if (i < 3) {
                assert_int_equal(back.message_id, m.message_id);
            }
        }
    }

    assert_true(ambiguous < 10);

    m.type = NGX_IOT_NEXUS_SMALL_ADD_CREDIT;
    m.value = 1;

    m.message_id = 65534;
    assert_int_equal(ngx_iot_nexus_small_make(&m, &test_secret,
                                              NGX_IOT_NEXUS_COMPACT, &text),
                     NGX_IOT_KEYCODE_OK);
    assert_int_equal(ngx_iot_nexus_small_read(text.data, text.len,
                                              &test_secret, 65534, &back),
                     NGX_IOT_KEYCODE_OK);
    assert_int_equal(back.message_id, 65534);
    assert_int_equal(ngx_iot_nexus_small_read(text.data, text.len,
                                              &test_secret, 65535, &back),
                     NGX_IOT_KEYCODE_E_MSG_ID);
    assert_int_equal(ngx_iot_nexus_small_read(text.data, text.len,
                                              &test_secret, 22, &back),
                     NGX_IOT_KEYCODE_E_MSG_ID);

    m.message_id = INT64_MIN;
    assert_int_equal(ngx_iot_nexus_small_make(&m, &test_secret,
                                              NGX_IOT_NEXUS_COMPACT, &text),
                     NGX_IOT_KEYCODE_E_MSG_ID);

    m.type = NGX_IOT_NEXUS_SMALL_TYPES;
    assert_int_equal(ngx_iot_nexus_small_make(&m, &test_secret,
                                              NGX_IOT_NEXUS_COMPACT, &text),
                     NGX_IOT_KEYCODE_E_TYPE);
    assert_int_equal(ngx_iot_nexus_small_make(NULL, &test_secret,
                                              NGX_IOT_NEXUS_COMPACT, &text),
                     NGX_IOT_KEYCODE_E_TYPE);
    assert_int_equal(ngx_iot_nexus_small_read(NULL, 3, &test_secret, 23,
                                              &back),
                     NGX_IOT_KEYCODE_E_FORMAT);

    m.type = NGX_IOT_NEXUS_SMALL_PASSTHROUGH;

    m.value = (1 << 25) - 1;
    assert_int_equal(ngx_iot_nexus_small_make(&m, NULL, NGX_IOT_NEXUS_COMPACT,
                                              &text),
                     NGX_IOT_KEYCODE_OK);
    assert_int_equal(ngx_iot_nexus_small_read(text.data, text.len,
                                              &test_secret, 23, &back),
                     NGX_IOT_KEYCODE_OK);
    assert_int_equal(back.value, m.value);

    m.value = 1 << 25;
    assert_int_equal(ngx_iot_nexus_small_make(&m, NULL, NGX_IOT_NEXUS_COMPACT,
                                              &text),
                     NGX_IOT_KEYCODE_E_VALUE);
    m.value = -1;
    assert_int_equal(ngx_iot_nexus_small_make(&m, NULL, NGX_IOT_NEXUS_COMPACT,
                                              &text),
                     NGX_IOT_KEYCODE_E_VALUE);
}


/* plain bits, hidden as any maker would, into a code */

static ngx_iot_keycode_err_e
read_bits(uint32_t bits, ngx_iot_nexus_small_t *m)
{
    u_char        seed[3], text[15];
    uint64_t      hash;
    ngx_uint_t    i;

    static const u_char  zero[16];

    seed[0] = 0;
    seed[1] = (bits >> 8) & 15;
    seed[2] = bits & 255;
    hash = ngx_iot_keycode_hash(seed, 3, zero);
    bits ^= (uint32_t) ((hash & 255) << 8 | ((hash >> 8) & 255)) << 12;

    text[0] = '1';

    for (i = 0; i < 14; i++) {
        text[14 - i] = '2' + ((bits >> 2 * i) & 3);
    }

    return ngx_iot_nexus_small_read(text, sizeof(text), &test_secret, 23, m);
}


static uint32_t
small_mac(uint32_t id, u_char type, u_char body, const u_char *key)
{
    u_char  data[6];

    ngx_iot_keycode_le32(data, id);
    data[4] = type;
    data[5] = body;

    return (uint32_t) (ngx_iot_keycode_hash(data, 6, key) >> 52);
}


static void
test_small_never_made(void **state)
{
    u_char                  ones[16];
    uint32_t                body, mac, n;
    ngx_iot_keycode_err_e   err;
    ngx_iot_nexus_small_t   m;

    memset(ones, 0xff, sizeof(ones));

    /* SET_CREDIT: 240..252 are reserved */

    for (body = 0; body < 256; body++) {
        mac = small_mac(5, 2, body, test_bytes);
        err = read_bits(5 << 22 | 2 << 20 | body << 12 | mac, &m);

        assert_int_equal(err, (body >= 240 && body <= 252)
                              ? NGX_IOT_KEYCODE_E_VALUE : NGX_IOT_KEYCODE_OK);

        mac = small_mac(5, 0, body, test_bytes);
        assert_int_equal(read_bits(5 << 22 | body << 12 | mac, &m),
                         NGX_IOT_KEYCODE_OK);

        mac = small_mac(0, 3, body, body & 128 ? test_bytes : ones);
        err = read_bits(3 << 20 | body << 12 | mac, &m);

        assert_int_equal(err, (body < 2 || (body >= 128 && body < 131))
                              ? NGX_IOT_KEYCODE_OK : NGX_IOT_KEYCODE_E_VALUE);

        /* an id where none belongs */

        assert_int_equal(read_bits(1 << 22 | 3 << 20 | body << 12 | mac, &m),
                         NGX_IOT_KEYCODE_E_MAC);
    }

    /* one day at an id of 63: an old test code */

    mac = small_mac(63, 2, 0, test_bytes);
    assert_int_equal(read_bits(63u << 22 | 2 << 20 | mac, &m),
                     NGX_IOT_KEYCODE_E_COLLISION);

    /* extended messages of other types than 0 */

    assert_int_equal(read_bits(1u << 27 | 1 << 24 | 1 << 20, &m),
                     NGX_IOT_KEYCODE_E_TYPE);

    for (n = 0; n < 100000; n++) {
        err = read_bits(next_random() & 0xfffffff, &m);

        assert_true(err == NGX_IOT_KEYCODE_OK
                    || err == NGX_IOT_KEYCODE_E_MAC
                    || err == NGX_IOT_KEYCODE_E_VALUE
                    || err == NGX_IOT_KEYCODE_E_TYPE
                    || err == NGX_IOT_KEYCODE_E_COLLISION);

        if (err == NGX_IOT_KEYCODE_OK
            && (m.type == NGX_IOT_NEXUS_SMALL_ADD_CREDIT
                || m.type == NGX_IOT_NEXUS_SMALL_SET_CREDIT))
        {
            assert_true(m.message_id >= 0 && m.message_id <= 63);
            assert_true(m.value >= 0 && m.value <= 960);
        }
    }
}


static void
test_extended_ids(void **state)
{
    int64_t                 id;
    ngx_uint_t              collisions;
    ngx_iot_keycode_err_e   err;
    ngx_iot_keycode_text_t  text;
    ngx_iot_nexus_small_t   back, m;

    collisions = 0;
    m.type = NGX_IOT_NEXUS_SMALL_EXTENDED_SET;
    m.value = 84;

    for (id = 0; id <= 65534; id += (id < 64 || id > 65400) ? 1 : 7) {
        m.message_id = id;

        err = ngx_iot_nexus_small_make(&m, &test_secret, NGX_IOT_NEXUS_GROUPED,
                                       &text);

        if (err == NGX_IOT_KEYCODE_E_COLLISION) {
            collisions++;
            continue;
        }

        assert_int_equal(err, NGX_IOT_KEYCODE_OK);

        err = ngx_iot_nexus_small_read(text.data, text.len, &test_secret,
                                       ngx_max(23, id), &back);

        /* of ids below 23 the device looks at more than the maker did */

        if (err == NGX_IOT_KEYCODE_E_COLLISION) {
            assert_true(id < 23);
            continue;
        }

        assert_int_equal(err, NGX_IOT_KEYCODE_OK);
        assert_int_equal(back.message_id, id);
    }

    assert_true(collisions > 0 && collisions < 200);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_small_encode),
        cmocka_unit_test(test_small_decode),
        cmocka_unit_test(test_small_ranges),
        cmocka_unit_test(test_small_never_made),
        cmocka_unit_test(test_extended_ids)
    };

    memset(test_bytes, 0xab, 16);

    if (vectors_load("t/data/nexus_keycode.json") != 0) {
        return 1;
    }

    cmocka_set_message_output(CM_OUTPUT_TAP);

    return cmocka_run_group_tests(tests, NULL, NULL);
}
