
/*
 * Copyright (C) the ngx_iot authors
 */


#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "ngx_iot_totp.h"


static ngx_str_t  test_sha1 = ngx_string("12345678901234567890");

static ngx_str_t  test_sha256 = ngx_string("12345678901234567890123456789012");

static ngx_str_t  test_sha512 = ngx_string("1234567890123456789012345678901234"
                                           "567890123456789012345678901234");


/* RFC 6238, appendix B */

static void
test_rfc(void **state)
{
    u_char               code[NGX_IOT_TOTP_DIGITS_MAX + 1];
    int64_t              step;
    ngx_str_t           *secrets[3];
    ngx_uint_t           i, k;
    ngx_iot_totp_conf_t  conf;

    static const struct {
        int64_t      now;
        const char  *codes[3];

    } rows[] = {

        { 59, { "94287082", "46119246", "90693936" } },
        { 1111111109, { "07081804", "68084774", "25091201" } },
        { 1111111111, { "14050471", "67062674", "99943326" } },
        { 1234567890, { "89005924", "91819424", "93441116" } },
        { 2000000000, { "69279037", "90698825", "38618901" } },
        { INT64_C(20000000000), { "65353130", "77737706", "47863826" } }
    };

    secrets[NGX_IOT_TOTP_SHA1] = &test_sha1;
    secrets[NGX_IOT_TOTP_SHA256] = &test_sha256;
    secrets[NGX_IOT_TOTP_SHA512] = &test_sha512;

    ngx_iot_totp_defaults(&conf);

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (k = 0; k < 3; k++) {

            conf.hash = k;
            conf.digits = 8;

            assert_int_equal(ngx_iot_totp_make(&conf, secrets[k], rows[i].now,
                                               code),
                             NGX_OK);
            assert_string_equal(code, rows[i].codes[k]);

            assert_int_equal(ngx_iot_totp_verify(&conf, secrets[k], code, 8,
                                                 rows[i].now, -1, &step),
                             NGX_OK);
            assert_int_equal(step, rows[i].now / 30);

            /* shorter ones are the end of longer ones */

            for (conf.digits = 6; conf.digits < 8; conf.digits++) {
                assert_int_equal(ngx_iot_totp_make(&conf, secrets[k],
                                                   rows[i].now, code),
                                 NGX_OK);
                assert_string_equal(code,
                                    rows[i].codes[k] + 8 - conf.digits);
            }
        }
    }
}


static void
test_window(void **state)
{
    u_char               code[NGX_IOT_TOTP_DIGITS_MAX + 1];
    int64_t              now, off, step;
    ngx_int_t            rc;
    ngx_uint_t           ahead, back;
    ngx_iot_totp_conf_t  conf;

    ngx_iot_totp_defaults(&conf);

    now = 1234567890;
    assert_int_equal(ngx_iot_totp_make(&conf, &test_sha1, now, code), NGX_OK);

    for (back = 0; back <= 3; back++) {
        for (ahead = 0; ahead <= 3; ahead++) {

            conf.back = back;
            conf.ahead = ahead;

            for (off = -5; off <= 5; off++) {

                rc = ngx_iot_totp_verify(&conf, &test_sha1, code, 6,
                                         now + off * 30, -1, &step);

                if (off <= (int64_t) back && -off <= (int64_t) ahead) {
                    assert_int_equal(rc, NGX_OK);
                    assert_int_equal(step, now / 30);

                } else {
                    assert_int_equal(rc, NGX_DECLINED);
                }
            }
        }
    }

    /* the window does not reach below the beginning of time */

    conf.back = 10;
    conf.ahead = 10;
    assert_int_equal(ngx_iot_totp_make(&conf, &test_sha1, 0, code), NGX_OK);
    assert_int_equal(ngx_iot_totp_verify(&conf, &test_sha1, code, 6, 0, -1,
                                         &step),
                     NGX_OK);
    assert_int_equal(step, 0);

    /* nor does the end of it matter */

    now = INT64_C(253402300799);
    assert_int_equal(ngx_iot_totp_make(&conf, &test_sha1, now, code), NGX_OK);
    assert_int_equal(ngx_iot_totp_verify(&conf, &test_sha1, code, 6, now, -1,
                                         &step),
                     NGX_OK);
    assert_int_equal(ngx_iot_totp_make(&conf, &test_sha1, now + 1, code),
                     NGX_ERROR);
}


static void
test_replay(void **state)
{
    u_char               code[NGX_IOT_TOTP_DIGITS_MAX + 1];
    int64_t              current, now, step;
    ngx_iot_totp_conf_t  conf;

    ngx_iot_totp_defaults(&conf);

    now = 1500000000;
    current = now / 30;
    assert_int_equal(ngx_iot_totp_make(&conf, &test_sha1, now, code), NGX_OK);

    step = 0;
    assert_int_equal(ngx_iot_totp_verify(&conf, &test_sha1, code, 6, now,
                                         current - 1, &step),
                     NGX_OK);
    assert_int_equal(step, current);

    assert_int_equal(ngx_iot_totp_verify(&conf, &test_sha1, code, 6, now, step,
                                         &step),
                     NGX_BUSY);
    assert_int_equal(ngx_iot_totp_verify(&conf, &test_sha1, code, 6, now + 30,
                                         step, &step),
                     NGX_BUSY);
    assert_int_equal(ngx_iot_totp_verify(&conf, &test_sha1, code, 6, now,
                                         current + 1, &step),
                     NGX_BUSY);
    assert_int_equal(ngx_iot_totp_verify(&conf, &test_sha1, code, 6, now + 60,
                                         step, &step),
                     NGX_DECLINED);

    /* the code of the next step is still good */

    assert_int_equal(ngx_iot_totp_make(&conf, &test_sha1, now + 30, code),
                     NGX_OK);
    assert_int_equal(ngx_iot_totp_verify(&conf, &test_sha1, code, 6, now,
                                         current, &step),
                     NGX_OK);
    assert_int_equal(step, current + 1);
}


static void
test_refused(void **state)
{
    u_char               bytes[80], code[NGX_IOT_TOTP_DIGITS_MAX + 1];
    int64_t              step;
    size_t               n;
    ngx_str_t            secret;
    ngx_uint_t           i;
    ngx_iot_totp_conf_t  conf, wrong[10];

    ngx_iot_totp_defaults(&conf);
    assert_int_equal(ngx_iot_totp_make(&conf, &test_sha1, 59, code), NGX_OK);
    assert_string_equal(code, "287082");

    /* digits that are none, and other numbers of them */

    for (n = 0; n < 9; n++) {
        if (n != 6) {
            assert_int_equal(ngx_iot_totp_verify(&conf, &test_sha1,
                                                 (u_char *) "287082287082", n,
                                                 59, -1, &step),
                             NGX_DECLINED);
        }
    }

    assert_int_equal(ngx_iot_totp_verify(&conf, &test_sha1,
                                         (u_char *) "28708 ", 6, 59, -1,
                                         &step),
                     NGX_DECLINED);
    assert_int_equal(ngx_iot_totp_verify(&conf, &test_sha1,
                                         (u_char *) "287083", 6, 59, -1,
                                         &step),
                     NGX_DECLINED);
    assert_int_equal(ngx_iot_totp_verify(&conf, &test_sha1, NULL, 6, 59, -1,
                                         &step),
                     NGX_DECLINED);
    assert_int_equal(ngx_iot_totp_verify(&conf, &test_sha1, code, 6, -1, -1,
                                         &step),
                     NGX_ERROR);
    assert_int_equal(ngx_iot_totp_verify(&conf, &test_sha1, code, 6,
                                         INT64_MAX, -1, &step),
                     NGX_ERROR);

    memset(bytes, 'x', sizeof(bytes));

    for (n = 0; n <= 80; n++) {
        secret.len = n;
        secret.data = bytes;

        assert_int_equal(ngx_iot_totp_make(&conf, &secret, 59, code),
                         (n >= 10 && n <= 64) ? NGX_OK : NGX_ERROR);
        assert_int_equal(ngx_iot_totp_verify(&conf, &secret, code, 6, 59, -1,
                                             &step),
                         (n >= 10 && n <= 64) ? NGX_OK : NGX_ERROR);
    }

    secret.len = 20;
    secret.data = NULL;
    assert_int_equal(ngx_iot_totp_make(&conf, &secret, 59, code), NGX_ERROR);
    assert_int_equal(ngx_iot_totp_make(&conf, NULL, 59, code), NGX_ERROR);
    assert_int_equal(ngx_iot_totp_make(NULL, &test_sha1, 59, code), NGX_ERROR);

    for (i = 0; i < 10; i++) {
        wrong[i] = conf;
    }

    wrong[0].period = 0;
    wrong[1].period = 3601;
    wrong[2].digits = 5;
    wrong[3].digits = 9;
    wrong[4].back = 11;
    wrong[5].ahead = 11;
    wrong[6].hash = NGX_IOT_TOTP_HASHES;
    wrong[7].digits = (ngx_uint_t) -1;
    wrong[8].back = (ngx_uint_t) -1;
    wrong[9].period = (ngx_uint_t) -1;

    for (i = 0; i < 10; i++) {
        assert_int_equal(ngx_iot_totp_make(&wrong[i], &test_sha1, 59, code),
                         NGX_ERROR);
        assert_int_equal(ngx_iot_totp_verify(&wrong[i], &test_sha1, code, 6,
                                             59, -1, &step),
                         NGX_ERROR);
    }
}


/* RFC 4648 section 10 has the short ones */

static void
test_base32(void **state)
{
    u_char      bytes[NGX_IOT_TOTP_SECRET_MAX], text[NGX_IOT_TOTP_TEXT_MAX + 1];
    u_char      long_text[NGX_IOT_TOTP_TEXT_MAX + 2];
    size_t      len, n;
    ngx_str_t   back, secret;
    ngx_uint_t  i;

    static const struct {
        const char  *bytes;
        const char  *text;

    } rfc[] = {

        { "f", "MY" }, { "fo", "MZXQ" }, { "foo", "MZXW6" },
        { "foob", "MZXW6YQ" }, { "fooba", "MZXW6YTB" },
        { "foobar", "MZXW6YTBOI" }
    };

    static const struct {
        const char  *text;
        const char  *bytes;         /* or NULL */

    } rows[] = {

        { "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", "12345678901234567890" },
        { "gezd gnbv gy3t qojq gezd gnbv gy3t qojq", "12345678901234567890" },
        { "GEZD-GNBV-GY3T-QOJQ-gezd-gnbv-gy3t-qojq", "12345678901234567890" },
        { "GEZDGNBVGY3TQOJQ", "1234567890" },
        { "GEZDGNBVGY3TQOJQGE======", "12345678901" },
        { "GEZDGNBVGY3TQOJQGE", "12345678901" },
        { "GEZDGNBVGY3TQOJQGF", NULL },     /* bits left over */
        { "GEZDGNBVGY3TQOJQG", NULL },      /* no such length */
        { "GEZDGNBVGY3TQOJQGEZ", NULL },
        { "GEZDGNBVGY3TQOJQGEZDGN", NULL },
        { "GEZDGNBVGY3TQOJQ=GE", NULL },
        { "GEZDGNBVGY3TQOJ", NULL },
        { "GEZDGNBVGY3TQO", NULL },         /* 8 bytes */
        { "GEZDGNBVGY3TQOJ0", NULL },
        { "GEZDGNBVGY3TQOJ1", NULL },
        { "GEZDGNBVGY3TQOJ8", NULL },
        { "GEZDGNBVGY3TQOJ\xc3", NULL },
        { "GEZDGNBVGY3TQOJ!", NULL },
        { "GEZDGNBVGY3TQOJQ\n", NULL },
        { "================", NULL },
        { " - ", NULL },
        { "", NULL }
    };

    for (i = 0; i < sizeof(rfc) / sizeof(rfc[0]); i++) {
        secret.data = (u_char *) rfc[i].bytes;
        secret.len = strlen(rfc[i].bytes);

        assert_int_equal(ngx_iot_totp_encode(&secret, text, &len), NGX_OK);
        assert_string_equal(text, rfc[i].text);
        assert_int_equal(len, strlen(rfc[i].text));
    }

    back.data = bytes;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {

        if (rows[i].bytes == NULL) {
            if (ngx_iot_totp_decode((u_char *) rows[i].text,
                                    strlen(rows[i].text), &back)
                != NGX_ERROR)
            {
                fail_msg("\"%s\" was taken", rows[i].text);
            }

            continue;
        }

        assert_int_equal(ngx_iot_totp_decode((u_char *) rows[i].text,
                                             strlen(rows[i].text), &back),
                         NGX_OK);
        assert_int_equal(back.len, strlen(rows[i].bytes));
        assert_memory_equal(back.data, rows[i].bytes, back.len);
    }

    assert_int_equal(ngx_iot_totp_decode(NULL, 16, &back), NGX_ERROR);
    assert_int_equal(ngx_iot_totp_decode((u_char *) "GEZDGNBV\0GY3TQOJ", 16,
                                         &back),
                     NGX_ERROR);

    /* 64 bytes are 103 characters; 65 would be 104 */

    memset(long_text, 'A', sizeof(long_text));

    assert_int_equal(ngx_iot_totp_decode(long_text, 103, &back), NGX_OK);
    assert_int_equal(back.len, 64);
    assert_int_equal(ngx_iot_totp_decode(long_text, 104, &back), NGX_ERROR);
    assert_int_equal(ngx_iot_totp_decode(long_text, 106, &back), NGX_ERROR);

    for (n = 0; n <= 70; n++) {

        if (n < 10 || n > 64) {
            assert_int_equal(ngx_iot_totp_generate(n, text, &len), NGX_ERROR);
            continue;
        }

        assert_int_equal(ngx_iot_totp_generate(n, text, &len), NGX_OK);
        assert_int_equal(len, (n * 8 + 4) / 5);
        assert_int_equal(text[len], '\0');
        assert_int_equal(ngx_iot_totp_decode(text, len, &back), NGX_OK);
        assert_int_equal(back.len, n);
    }

    /* two secrets are never the same */

    assert_int_equal(ngx_iot_totp_generate(20, text, &len), NGX_OK);
    assert_int_equal(ngx_iot_totp_generate(20, long_text, &n), NGX_OK);
    assert_int_equal(n, len);
    assert_memory_not_equal(text, long_text, len);

    secret.len = 0;
    assert_int_equal(ngx_iot_totp_encode(&secret, text, &len), NGX_ERROR);
    secret.len = 65;
    assert_int_equal(ngx_iot_totp_encode(&secret, text, &len), NGX_ERROR);
    secret.data = NULL;
    secret.len = 10;
    assert_int_equal(ngx_iot_totp_encode(&secret, text, &len), NGX_ERROR);
    assert_int_equal(ngx_iot_totp_encode(NULL, text, &len), NGX_ERROR);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_rfc),
        cmocka_unit_test(test_window),
        cmocka_unit_test(test_replay),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_base32)
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);

    return cmocka_run_group_tests(tests, NULL, NULL);
}
