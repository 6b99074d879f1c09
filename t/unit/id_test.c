
/*
 * Copyright (C) the ngx_iot authors
 */


#include "values.h"
#include "ngx_iot_id.h"


static void id_uuid(void **state);
static void id_hex(void **state);
static void id_base64(void **state);
static void id_token(void **state);
static void id_secret(void **state);
static void id_sha3(void **state);


static void
id_uuid(void **state)
{
    char         text[NGX_IOT_UUID_LEN + 1];
    u_char       uuid[NGX_IOT_UUID_SIZE], again[NGX_IOT_UUID_SIZE];
    ngx_str_t    s;
    ngx_uint_t   i;

    static const char  *bad[] = {
        "",
        "784f394c-42b6-435a-983c-b7beff2784f",
        "784f394c-42b6-435a-983c-b7beff2784f90",
        "784f394c42b6435a983cb7beff2784f9",
        "784f394c-42b6-435a-983c-b7beff2784fg",
        "784f394c-42b6-435a-983cb-7beff2784f9",
        "{84f394c-42b6-435a-983c-b7beff2784f}",
        "784f394c 42b6 435a 983c b7beff2784f9",
        " 84f394c-42b6-435a-983c-b7beff2784f9"
    };

    s = values_text("784F394C-42B6-435a-983c-B7beff2784f9");

    assert_int_equal(ngx_iot_uuid_parse(uuid, s.data, s.len), NGX_OK);
    assert_memory_equal(uuid, "\x78\x4f\x39\x4c\x42\xb6\x43\x5a\x98\x3c"
                              "\xb7\xbe\xff\x27\x84\xf9", NGX_IOT_UUID_SIZE);

    text[NGX_IOT_UUID_LEN] = '\0';
    assert_ptr_equal(ngx_iot_uuid_text((u_char *) text, uuid),
                     text + NGX_IOT_UUID_LEN);
    assert_string_equal(text, "784f394c-42b6-435a-983c-b7beff2784f9");

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        s = values_text(bad[i]);
        assert_int_equal(ngx_iot_uuid_parse(uuid, s.data, s.len),
                         NGX_DECLINED);
    }

    for (i = 0; i < 100; i++) {
        ngx_iot_uuid_random(uuid);
        ngx_iot_uuid_random(again);

        assert_memory_not_equal(uuid, again, NGX_IOT_UUID_SIZE);
        assert_int_equal(uuid[6] >> 4, 4);
        assert_int_equal(uuid[8] >> 6, 2);
    }
}


static void
id_hex(void **state)
{
    char        text[9];
    u_char      bytes[4];
    ngx_str_t   s;

    s = values_str("\x00\x7f\xab\xff", 4);

    *ngx_iot_hex((u_char *) text, s.data, s.len) = '\0';
    assert_string_equal(text, "007fabff");

    s = values_text("007FabfF");
    assert_int_equal(ngx_iot_unhex(bytes, s.data, s.len), NGX_OK);
    assert_memory_equal(bytes, "\x00\x7f\xab\xff", 4);

    assert_int_equal(ngx_iot_unhex(bytes, s.data, 0), NGX_OK);
    assert_int_equal(ngx_iot_unhex(bytes, s.data, 7), NGX_DECLINED);

    s = values_text("0g");
    assert_int_equal(ngx_iot_unhex(bytes, s.data, s.len), NGX_DECLINED);
    s = values_text("0:");
    assert_int_equal(ngx_iot_unhex(bytes, s.data, s.len), NGX_DECLINED);
    s = values_text("@0");
    assert_int_equal(ngx_iot_unhex(bytes, s.data, s.len), NGX_DECLINED);
    s = values_text("\x10\x10");
    assert_int_equal(ngx_iot_unhex(bytes, s.data, s.len), NGX_DECLINED);
}


static void
id_base64(void **state)
{
    char         text[16];
    ngx_str_t    back, s;
    ngx_uint_t   i;

    static const struct {
        const char  *bytes;
        const char  *base64;
        const char  *base64url;
    } rows[] = {
        { "", "", "" },
        { "f", "Zg==", "Zg" },
        { "fo", "Zm8=", "Zm8" },
        { "foo", "Zm9v", "Zm9v" },
        { "foob", "Zm9vYg==", "Zm9vYg" },
        { "fooba", "Zm9vYmE=", "Zm9vYmE" },
        { "foobar", "Zm9vYmFy", "Zm9vYmFy" },
        { "\xfb\xff\xfe", "+//+", "-__-" },
        { "\xfb\xff", "+/8=", "-_8" }
    };

    static const char  *bad[] = {
        "Z", "Zg", "Zg=", "Zg===", "Zh==", "Zm9=", "Zm8", "=", "====",
        "Zm9v\n", " Zm9v", "Zm9v ", "Zm 9v", "Zg==Zg==", "-__-", "Zm9vZ",
        "Zm9v=", "Z===", "Zm9\x80", "Zm9\xff", "A=B="
    };

    static const char  *badurl[] = {
        "Z", "Zg==", "Zh", "Zm9", "Zm8=", "+//+", "Zm9v\n", " Zm9v", "Zm9vZ",
        "Zm9v=", "Zm9v.", "Zm9\x80", "Zm9\xff"
    };

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        s = values_text(rows[i].bytes);

        *ngx_iot_base64((u_char *) text, s.data, s.len) = '\0';
        assert_string_equal(text, rows[i].base64);
        assert_int_equal(strlen(text), ngx_iot_base64_len(s.len));

        *ngx_iot_base64url((u_char *) text, s.data, s.len) = '\0';
        assert_string_equal(text, rows[i].base64url);
        assert_int_equal(strlen(text), ngx_iot_base64url_len(s.len));

        s = values_text(rows[i].base64);
        back.data = values_alloc(NULL, s.len / 4 * 3 + 2);
        assert_int_equal(ngx_iot_unbase64(&back, s.data, s.len), NGX_OK);
        assert_str(&back, rows[i].bytes);

        s = values_text(rows[i].base64url);
        back.data = values_alloc(NULL, s.len / 4 * 3 + 2);
        assert_int_equal(ngx_iot_unbase64url(&back, s.data, s.len), NGX_OK);
        assert_str(&back, rows[i].bytes);
    }

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        s = values_text(bad[i]);
        back.data = values_alloc(NULL, s.len / 4 * 3 + 2);
        assert_int_equal(ngx_iot_unbase64(&back, s.data, s.len),
                         NGX_DECLINED);
    }

    for (i = 0; i < sizeof(badurl) / sizeof(badurl[0]); i++) {
        s = values_text(badurl[i]);
        back.data = values_alloc(NULL, s.len / 4 * 3 + 2);
        assert_int_equal(ngx_iot_unbase64url(&back, s.data, s.len),
                         NGX_DECLINED);
    }
}


static void
id_token(void **state)
{
    size_t       i;
    u_char      *token;
    ngx_uint_t   n, seen[256];

    memset(seen, 0, sizeof(seen));

    token = values_alloc(NULL, 62000);
    ngx_iot_token(token, 62000);

    for (i = 0; i < 62000; i++) {
        seen[token[i]]++;
    }

    n = 0;

    for (i = 0; i < 256; i++) {

        if ((i >= '0' && i <= '9')
            || (i >= 'A' && i <= 'Z')
            || (i >= 'a' && i <= 'z'))
        {
            /* 1000 expected, the deviation is 31 */

            assert_in_range(seen[i], 700, 1300);
            n += seen[i];
        }
    }

    assert_int_equal(n, 62000);
}


static void
id_secret(void **state)
{
    u_char  *a, *b;

    a = (u_char *) "secret";
    b = (u_char *) "secreT";

    assert_int_equal(ngx_iot_secret_equal(a, 6, a, 6), 1);
    assert_int_equal(ngx_iot_secret_equal(a, 6, b, 6), 0);
    assert_int_equal(ngx_iot_secret_equal(a, 5, b, 5), 1);
    assert_int_equal(ngx_iot_secret_equal(a, 6, b, 5), 0);
    assert_int_equal(ngx_iot_secret_equal(a, 0, b, 0), 1);
    assert_int_equal(ngx_iot_secret_equal(a, 0, b, 6), 0);
}


static void
id_sha3(void **state)
{
    char         text[NGX_IOT_SHA3_LEN + 1];
    ngx_uint_t   i;

    static const struct {
        const char  *text;
        const char  *hash;
    } rows[] = {
        { "", "a7ffc6f8bf1ed76651c14756a061d662"
              "f580ff4de43b49fa82d80a4b80f8434a" },
        { "abc", "3a985da74fe225b2045c172d6bd390bd"
                 "855f086e3e9d525b46bfe24511431532" },
        { "sensor-1", "84576f22d5a771b9df13ea84b241f39d"
                      "43698eea1231a1539546c977d71f081f" },
        { "sensor-1|user1", "c3fbe9eb3349cc04d4bc2dd21a03006f"
                            "d78823062734bcebf497e26254a386d1" }
    };

    text[NGX_IOT_SHA3_LEN] = '\0';

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(ngx_iot_sha3((u_char *) text,
                                      (u_char *) rows[i].text,
                                      strlen(rows[i].text)),
                         NGX_OK);
        assert_string_equal(text, rows[i].hash);
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test_teardown(id_uuid, values_free),
        cmocka_unit_test_teardown(id_hex, values_free),
        cmocka_unit_test_teardown(id_base64, values_free),
        cmocka_unit_test_teardown(id_token, values_free),
        cmocka_unit_test_teardown(id_secret, values_free),
        cmocka_unit_test_teardown(id_sha3, values_free)
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);

    return cmocka_run_group_tests_name("id", tests, NULL, NULL);
}
