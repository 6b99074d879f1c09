
/*
 * Copyright (C) the ngx_iot authors
 */


#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <sodium.h>

#include "ngx_iot_seal.h"


static void *test_alloc(void *data, size_t size);
static void test_keys(ngx_iot_seal_keys_t *keys, u_char first);


static u_char            test_room[1024 * 1024];
static size_t            test_used;
static ngx_iot_alloc_t   test_pool = { test_alloc, NULL };


static void *
test_alloc(void *data, size_t size)
{
    void  *p;

    (void) data;

    if (size > sizeof(test_room) - test_used) {
        return NULL;
    }

    p = test_room + test_used;
    test_used += size;

    return p;
}


static void
test_keys(ngx_iot_seal_keys_t *keys, u_char first)
{
    size_t  i;
    u_char  secret[NGX_IOT_SEAL_KEY_SIZE];

    for (i = 0; i < sizeof(secret); i++) {
        secret[i] = (u_char) (first + i);
    }

    memset(keys, 0, sizeof(*keys));
    ngx_iot_seal_worker_key(keys, secret);
    assert_int_equal(ngx_iot_seal_secret_key(keys, secret), NGX_OK);
    test_used = 0;
}


static void
test_there_and_back(void **state)
{
    size_t               i, n;
    ngx_str_t            back, plain, sealed;
    ngx_iot_seal_keys_t  keys;

    static u_char               text[NGX_IOT_SEAL_MAX];
    static const size_t         sizes[] = { 0, 1, 2, 3, 31, 32, 1000,
                                            NGX_IOT_SEAL_MAX };
    static ngx_iot_seal_kind_e  kinds[] = { NGX_IOT_SEAL_WORKER,
                                            NGX_IOT_SEAL_HELPER };

    (void) state;

    randombytes_buf(text, sizeof(text));
    plain.data = text;

    for (n = 0; n < 2; n++) {
        for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
            test_keys(&keys, 1);
            plain.len = sizes[i];

            assert_int_equal(ngx_iot_seal_make(&keys, kinds[n], &plain,
                                               &test_pool, &sealed),
                             NGX_OK);
            assert_true(ngx_iot_seal_is(&sealed, kinds[n]));
            assert_false(ngx_iot_seal_is(&sealed, kinds[1 - n]));
            assert_int_equal(ngx_iot_seal_read(&keys, &sealed, &test_pool,
                                               &back),
                             NGX_OK);
            assert_int_equal(back.len, plain.len);
            assert_memory_equal(back.data, text, back.len);
            assert_int_equal(back.data[back.len], 0);
        }
    }
}


/* never the same twice, or somebody could see which passwords are equal */

static void
test_fresh(void **state)
{
    ngx_str_t            one, two;
    ngx_str_t            plain = ngx_string("password");
    ngx_iot_seal_keys_t  keys;

    (void) state;

    test_keys(&keys, 1);

    assert_int_equal(ngx_iot_seal_make(&keys, NGX_IOT_SEAL_WORKER, &plain,
                                       &test_pool, &one), NGX_OK);
    assert_int_equal(ngx_iot_seal_make(&keys, NGX_IOT_SEAL_WORKER, &plain,
                                       &test_pool, &two), NGX_OK);
    assert_int_equal(one.len, two.len);
    assert_memory_not_equal(one.data, two.data, one.len);
}


/* every byte counts: whatever is changed or cut off is refused */

static void
test_damage(void **state)
{
    size_t               i;
    u_char               old;
    ngx_str_t            back, cut, sealed;
    ngx_str_t            plain = ngx_string("password");
    ngx_iot_seal_keys_t  keys, other;

    static ngx_iot_seal_kind_e  kinds[] = { NGX_IOT_SEAL_WORKER,
                                            NGX_IOT_SEAL_HELPER };
    size_t                      n;

    (void) state;

    for (n = 0; n < 2; n++) {
        test_keys(&other, 2);
        test_keys(&keys, 1);

        assert_int_equal(ngx_iot_seal_make(&keys, kinds[n], &plain,
                                           &test_pool, &sealed),
                         NGX_OK);

        for (i = 0; i < sealed.len; i++) {
            old = sealed.data[i];
            sealed.data[i] = (old == 'A') ? 'Q' : 'A';
            test_used = 4096;
            assert_int_not_equal(ngx_iot_seal_read(&keys, &sealed, &test_pool,
                                                   &back),
                                 NGX_OK);
            sealed.data[i] = old;
        }

        cut = sealed;

        for (cut.len = 0; cut.len < sealed.len; cut.len++) {
            test_used = 4096;
            assert_int_not_equal(ngx_iot_seal_read(&keys, &cut, &test_pool,
                                                   &back),
                                 NGX_OK);
        }

        assert_int_equal(ngx_iot_seal_read(&other, &sealed, &test_pool, &back),
                         NGX_ERROR);
        assert_int_equal(ngx_iot_seal_read(&keys, &sealed, &test_pool, &back),
                         NGX_OK);
    }
}


static void
test_without_key(void **state)
{
    ngx_str_t            back, sealed;
    ngx_str_t            long_text = { NGX_IOT_SEAL_MAX + 1, test_room };
    ngx_str_t            plain = ngx_string("password");
    ngx_iot_seal_keys_t  keys, none, worker;

    (void) state;

    memset(&none, 0, sizeof(none));
    test_keys(&keys, 1);

    assert_int_equal(ngx_iot_seal_make(&none, NGX_IOT_SEAL_WORKER, &plain,
                                       &test_pool, &sealed), NGX_DECLINED);
    assert_int_equal(ngx_iot_seal_make(&none, NGX_IOT_SEAL_HELPER, &plain,
                                       &test_pool, &sealed), NGX_DECLINED);
    assert_int_equal(ngx_iot_seal_make(&keys, NGX_IOT_SEAL_WORKER, &long_text,
                                       &test_pool, &sealed), NGX_ERROR);

    /* a worker seals for the helper and cannot look into it */

    memset(&worker, 0, sizeof(worker));
    ngx_iot_seal_public_key(&worker, keys.public);

    assert_int_equal(ngx_iot_seal_make(&worker, NGX_IOT_SEAL_HELPER, &plain,
                                       &test_pool, &sealed), NGX_OK);
    assert_int_equal(ngx_iot_seal_read(&worker, &sealed, &test_pool, &back),
                     NGX_DECLINED);
    assert_int_equal(ngx_iot_seal_read(&keys, &sealed, &test_pool, &back),
                     NGX_OK);
    assert_string_equal(back.data, "password");

    assert_int_equal(ngx_iot_seal_read(&keys, &plain, &test_pool, &back),
                     NGX_DECLINED);

    test_used = sizeof(test_room) - 10;
    assert_int_equal(ngx_iot_seal_read(&keys, &sealed, &test_pool, &back),
                     NGX_ERROR);
}


static void
test_key_file(void **state)
{
    size_t  i;
    u_char  key[NGX_IOT_SEAL_KEY_SIZE];

    static const struct {
        const char  *text;
        ngx_int_t    rc;
    } rows[] = {
        { "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n", NGX_OK },
        { "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", NGX_OK },
        { "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\n", NGX_ERROR },
        { "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=x", NGX_ERROR },
        { "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHg==\n", NGX_ERROR },
        { "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8A\n", NGX_ERROR },
        { "\n", NGX_ERROR },
        { "", NGX_ERROR }
    };

    (void) state;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (ngx_iot_seal_parse_key((const u_char *) rows[i].text,
                                   strlen(rows[i].text), key)
            != rows[i].rc)
        {
            fail_msg("\"%s\"", rows[i].text);
        }
    }

    assert_int_equal(ngx_iot_seal_parse_key((const u_char *) rows[0].text,
                                            strlen(rows[0].text), key),
                     NGX_OK);

    for (i = 0; i < sizeof(key); i++) {
        assert_int_equal(key[i], i);
    }
}


int
main(void)
{
    static const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_there_and_back),
        cmocka_unit_test(test_fresh),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_without_key),
        cmocka_unit_test(test_key_file)
    };

    if (sodium_init() < 0) {
        return 1;
    }

    cmocka_set_message_output(CM_OUTPUT_TAP);

    return cmocka_run_group_tests(tests, NULL, NULL);
}
