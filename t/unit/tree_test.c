
/*
 * Copyright (C) the ngx_iot authors
 */


#include <math.h>

#include "tree_lib.h"


static const char *tree_json(ngx_iot_tree_t *tree, lib_arena_t *arena);
static ngx_int_t tree_read(ngx_iot_tree_t **tree, const char *text,
    ngx_iot_tree_limit_t *limit, lib_arena_t *arena);


/* writes into memory of exactly the announced size */

static const char *
tree_json(ngx_iot_tree_t *tree, lib_arena_t *arena)
{
    char    *text;
    size_t   size;
    u_char  *p, *end;

    size = ngx_iot_tree_json_size(tree);
    p = lib_alloc(arena, size);
    end = ngx_iot_tree_json_write(p, tree);

    assert_true((size_t) (end - p) <= size);

    text = lib_alloc(arena, end - p + 1);
    memcpy(text, p, end - p);
    text[end - p] = '\0';

    return text;
}


static ngx_int_t
tree_read(ngx_iot_tree_t **tree, const char *text,
    ngx_iot_tree_limit_t *limit, lib_arena_t *arena)
{
    ngx_str_t  s, exact;

    s = lib_str(text);
    exact = lib_cut(arena, &s, s.len);

    *tree = NULL;

    return ngx_iot_tree_json_read(tree, &exact, limit, &arena->alloc);
}


static void
test_json_round_trip(void **state)
{
    ngx_uint_t       i;
    lib_arena_t      arena;
    ngx_iot_tree_t  *tree;

    static struct {
        const char  *in;
        const char  *out;
    } cases[] = {
        { "null", "null" },
        { " true ", "true" },
        { "false", "false" },
        { "0", "0" },
        { "-0", "0" },
        { "-1", "-1" },
        { "9223372036854775807", "9223372036854775807" },
        { "9223372036854775808", "9223372036854775808" },
        { "18446744073709551615", "18446744073709551615" },
        { "18446744073709551616", "1.8446744073709552e+19" },
        { "-9223372036854775808", "-9223372036854775808" },
        { "-9223372036854775809", "-9.223372036854776e+18" },
        { "1e2", "100" },
        { "21.5", "21.5" },
        { "0.1", "0.1" },
        { "0.30000000000000004", "0.30000000000000004" },
        { "3.141592653589793", "3.141592653589793" },
        { "-2.2250738585072014e-308", "-2.2250738585072014e-308" },
        { "5e-324", "4.94065645841247e-324" },
        { "1.7976931348623157e308", "1.7976931348623157e+308" },
        { "1e-400", "0" },
        { "\"\"", "\"\"" },
        { "\"a\\\"b\\\\c\\/\"", "\"a\\\"b\\\\c/\"" },
        { "\"\\b\\f\\n\\r\\t\\u001f\"",
          "\"\\u0008\\u000c\\n\\r\\t\\u001f\"" },
        { "\"\\u00e9\\ud83d\\ude00\"", "\"\xc3\xa9\xf0\x9f\x98\x80\"" },
        { "[]", "[]" },
        { "{}", "{}" },
        { "[1,[2,[]],{}]", "[1,[2,[]],{}]" },
        { "{\"b\":1,\"a\":{\"\":null}}", "{\"b\":1,\"a\":{\"\":null}}" },
        { "{\"a\":1,\"b\":2,\"a\":3}", "{\"b\":2,\"a\":3}" },
        { "{\"a\":{\"k\":1},\"a\":{\"k\":2,\"k\":3}}", "{\"a\":{\"k\":3}}" },
    };

    lib_arena_init(&arena);

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(tree_read(&tree, cases[i].in, NULL, &arena), NGX_OK);
        assert_string_equal(tree_json(tree, &arena), cases[i].out);
    }

    lib_arena_done(&arena);
}


static void
test_json_types(void **state)
{
    ngx_uint_t       i;
    lib_arena_t      arena;
    ngx_iot_tree_t  *tree;

    static struct {
        const char  *in;
        ngx_uint_t   type;
    } cases[] = {
        { "null", NGX_IOT_TREE_NULL },
        { "true", NGX_IOT_TREE_BOOL },
        { "-9223372036854775808", NGX_IOT_TREE_INT },
        { "9223372036854775807", NGX_IOT_TREE_INT },
        { "9223372036854775808", NGX_IOT_TREE_UINT },
        { "18446744073709551615", NGX_IOT_TREE_UINT },
        { "18446744073709551616", NGX_IOT_TREE_DOUBLE },
        { "99999999999999999999", NGX_IOT_TREE_DOUBLE },
        { "-9223372036854775809", NGX_IOT_TREE_DOUBLE },
        { "1.0", NGX_IOT_TREE_DOUBLE },
        { "1e0", NGX_IOT_TREE_DOUBLE },
        { "\"\"", NGX_IOT_TREE_TEXT },
        { "[]", NGX_IOT_TREE_ARRAY },
        { "{}", NGX_IOT_TREE_OBJECT },
    };

    lib_arena_init(&arena);

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(tree_read(&tree, cases[i].in, NULL, &arena), NGX_OK);
        assert_int_equal(tree->type, cases[i].type);
    }

    lib_arena_done(&arena);
}


static void
test_json_refused(void **state)
{
    ngx_uint_t       i;
    lib_arena_t      arena;
    ngx_iot_tree_t  *tree;

    static const char *cases[] = {
        "", " ", "nul", "nullx", "01", "+1", "1.", ".5", "1e", "--1", "NaN",
        "Infinity", "1e999", "-1e999", "[", "[1", "[1,", "[1,]", "]", "[1}",
        "{", "{\"a\"", "{\"a\":", "{\"a\":1", "{\"a\":1,}", "{a:1}",
        "{1:1}", "{\"a\" 1}", "\"", "\"a", "\"\\\"", "\"\\x\"", "\"\\u12\"",
        "\"\\ud800\"", "\"\\udc00\"", "\"\\u0000\"", "\"\x01\"",
        "\"\xff\"", "\"\xc0\x80\"", "\"\xed\xa0\x80\"", "1 2", "[] []",
        "'a'", "/* c */ 1",
    };

    lib_arena_init(&arena);

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(tree_read(&tree, cases[i], NULL, &arena),
                         NGX_DECLINED);
        assert_null(tree);
    }

    lib_arena_done(&arena);
}


/* every beginning of a text that needs its last byte is refused */

static void
test_json_truncated(void **state)
{
    size_t           len;
    ngx_str_t        s, cut;
    lib_arena_t      arena;
    ngx_iot_tree_t  *tree;

    lib_arena_init(&arena);

    s = lib_str("{\"a\":[1,-2.5e3,true,null,\"\\u00e9x\"],\"b\":{\"c\":{}}}");

    for (len = 0; len < s.len; len++) {
        cut = lib_cut(&arena, &s, len);
        assert_int_equal(ngx_iot_tree_json_read(&tree, &cut, NULL,
                                                &arena.alloc),
                         NGX_DECLINED);
    }

    cut = lib_cut(&arena, &s, s.len);
    assert_int_equal(ngx_iot_tree_json_read(&tree, &cut, NULL, &arena.alloc),
                     NGX_OK);

    lib_arena_done(&arena);
}


static void
test_json_limits(void **state)
{
    char                  text[300];
    ngx_uint_t            n;
    lib_arena_t           arena;
    ngx_iot_tree_t       *tree;
    ngx_iot_tree_limit_t  limit;

    lib_arena_init(&arena);

    for (n = 1; n < 140; n++) {
        memset(text, '[', n);
        memset(text + n, ']', n);
        text[2 * n] = '\0';

        assert_int_equal(tree_read(&tree, text, NULL, &arena),
                         n <= NGX_IOT_TREE_DEPTH ? NGX_OK : NGX_BUSY);
    }

    memset(&limit, 0, sizeof(limit));
    limit.depth = 1;

    assert_int_equal(tree_read(&tree, "7", &limit, &arena), NGX_OK);
    assert_int_equal(tree_read(&tree, "[7]", &limit, &arena), NGX_OK);
    assert_int_equal(tree_read(&tree, "[{}]", &limit, &arena), NGX_BUSY);

    memset(&limit, 0, sizeof(limit));
    limit.nodes = 4;

    assert_int_equal(tree_read(&tree, "[1,2,3]", &limit, &arena), NGX_OK);
    assert_int_equal(tree_read(&tree, "[1,2,3,4]", &limit, &arena), NGX_BUSY);

    memset(&limit, 0, sizeof(limit));
    limit.size = 3;

    assert_int_equal(tree_read(&tree, "{\"abc\":\"xyz\"}", &limit, &arena),
                     NGX_OK);
    assert_int_equal(tree_read(&tree, "{\"abcd\":1}", &limit, &arena),
                     NGX_BUSY);
    assert_int_equal(tree_read(&tree, "[\"wxyz\"]", &limit, &arena),
                     NGX_BUSY);

    lib_arena_done(&arena);
}


static void
test_json_no_memory(void **state)
{
    ngx_int_t        rc;
    ngx_uint_t       max;
    ngx_str_t        s;
    lib_arena_t      arena;
    ngx_iot_tree_t  *tree, *copy;

    s = lib_str("{\"a\":[1,\"x\\n\"],\"b\":1,\"c\":1,\"d\":1,\"e\":1,\"f\":1,"
                "\"g\":1,\"h\":1,\"a\":2,\"\\u0041\":3}");

    for (max = 1; /* void */ ; max++) {
        lib_arena_init(&arena);
        arena.max = max;

        rc = ngx_iot_tree_json_read(&tree, &s, NULL, &arena.alloc);

        if (rc == NGX_OK) {
            break;
        }

        assert_int_equal(rc, NGX_ERROR);
        lib_arena_done(&arena);
    }

    assert_true(max > 10);

    for (max = 1; /* void */ ; max++) {
        arena.max = arena.n + max;

        copy = ngx_iot_tree_copy(tree, &arena.alloc);

        if (copy) {
            break;
        }

        assert_int_equal(arena.n, arena.max);
        assert_true(max < 100);
    }

    assert_true(max > 10);
    assert_true(ngx_iot_tree_equal(copy, tree));

    lib_arena_done(&arena);
}


static void
test_json_write_values(void **state)
{
    ngx_str_t        s;
    lib_arena_t      arena;
    ngx_iot_tree_t  *tree;

    lib_arena_init(&arena);

    s = lib_str("\x01\x02\xfb\xfe");
    tree = ngx_iot_tree_bytes(&arena.alloc, &s);
    assert_string_equal(tree_json(tree, &arena), "\"AQL7/g==\"");

    s.len = 0;
    s.data = NULL;
    tree = ngx_iot_tree_bytes(&arena.alloc, &s);
    assert_string_equal(tree_json(tree, &arena), "\"\"");
    tree = ngx_iot_tree_text(&arena.alloc, &s);
    assert_string_equal(tree_json(tree, &arena), "\"\"");

    tree = ngx_iot_tree_new(&arena.alloc, NGX_IOT_TREE_EMPTY);
    assert_string_equal(tree_json(tree, &arena), "null");

    tree = ngx_iot_tree_double(&arena.alloc, NAN);
    assert_string_equal(tree_json(tree, &arena), "null");
    tree->u.d = INFINITY;
    assert_string_equal(tree_json(tree, &arena), "null");
    tree->u.d = -INFINITY;
    assert_string_equal(tree_json(tree, &arena), "null");

    tree = ngx_iot_tree_int(&arena.alloc, INT64_MIN);
    assert_string_equal(tree_json(tree, &arena), "-9223372036854775808");
    tree = ngx_iot_tree_uint(&arena.alloc, UINT64_MAX);
    assert_string_equal(tree_json(tree, &arena), "18446744073709551615");
    tree = ngx_iot_tree_bool(&arena.alloc, 2);
    assert_string_equal(tree_json(tree, &arena), "true");

    lib_arena_done(&arena);
}


/* bytes that are no UTF-8 are replaced one by one, and U+0000 with them */

static void
test_json_write_bad_text(void **state)
{
    ngx_uint_t       i;
    ngx_str_t        s;
    lib_arena_t      arena;
    ngx_iot_tree_t  *tree;

#define R  "\xef\xbf\xbd"

    static struct {
        const char  *in;
        size_t       len;
        const char  *out;
    } cases[] = {
        { "a\0b", 3, "\"a" R "b\"" },
        { "\xff", 1, "\"" R "\"" },
        { "\x80" "a", 2, "\"" R "a\"" },
        { "\xc3", 1, "\"" R "\"" },
        { "\xc3(", 2, "\"" R "(\"" },
        { "\xc0\xaf", 2, "\"" R R "\"" },
        { "\xe2\x82", 2, "\"" R R "\"" },
        { "\xed\xa0\x80", 3, "\"" R R R "\"" },
        { "\xf4\x90\x80\x80", 4, "\"" R R R R "\"" },
        { "\xe2\x82\xac", 3, "\"\xe2\x82\xac\"" },
        { "\xf4\x8f\xbf\xbf", 4, "\"\xf4\x8f\xbf\xbf\"" },
        { "\x7f", 1, "\"\x7f\"" },
    };

#undef R

    lib_arena_init(&arena);

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        s.data = (u_char *) cases[i].in;
        s.len = cases[i].len;
        s = lib_cut(&arena, &s, s.len);

        tree = ngx_iot_tree_text(&arena.alloc, &s);
        assert_string_equal(tree_json(tree, &arena), cases[i].out);
    }

    lib_arena_done(&arena);
}


static void
test_json_write_floats(void **state)
{
    float            f;
    double           d;
    uint32_t         bits;
    uint64_t         seed, wide;
    ngx_uint_t       i;
    const char      *text;
    lib_arena_t      arena;
    ngx_iot_tree_t  *tree;

    static struct {
        float        f;
        const char  *text;
    } cases[] = {
        { 21.5f, "21.5" }, { 0.1f, "0.1" }, { 3.14f, "3.14" },
        { 40.416775f, "40.416775" }, { -3.70379f, "-3.70379" },
        { 16777216.0f, "16777216" }, { 3.4028235e38f, "3.4028235e+38" },
        { 1e-45f, "1.4013e-45" }, { 25.0f, "25" }, { -0.0f, "-0" },
        { 1e-9f, "1e-09" },
    };

    lib_arena_init(&arena);

    tree = ngx_iot_tree_new(&arena.alloc, NGX_IOT_TREE_FLOAT);

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        tree->u.d = cases[i].f;
        assert_string_equal(tree_json(tree, &arena), cases[i].text);
    }

    seed = 1;

    for (i = 0; i < 20000; i++) {
        seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;

        bits = (uint32_t) (seed >> 32);
        memcpy(&f, &bits, sizeof(float));

        if (isfinite(f)) {
            tree->type = NGX_IOT_TREE_FLOAT;
            tree->u.d = f;
            assert_true(strtof(tree_json(tree, &arena), NULL) == f);
        }

        wide = seed ^ (seed << 21);
        memcpy(&d, &wide, sizeof(double));

        if (isfinite(d)) {
            tree->type = NGX_IOT_TREE_DOUBLE;
            tree->u.d = d;
            text = tree_json(tree, &arena);
            assert_true(strtod(text, NULL) == d);
        }
    }

    lib_arena_done(&arena);
}


/* many keys, each several times: what is left is the last of each */

static void
test_unique(void **state)
{
    char             text[16];
    int64_t          i;
    ngx_str_t        s, key;
    lib_arena_t      arena;
    ngx_iot_tree_t  *tree, *item;

    lib_arena_init(&arena);

    tree = ngx_iot_tree_new(&arena.alloc, NGX_IOT_TREE_OBJECT);

    for (i = 0; i < 3001; i++) {
        snprintf(text, sizeof(text), "k%d", (int) (i * 7919 % 701));
        s = lib_str(text);
        key = lib_cut(&arena, &s, s.len);
        ngx_iot_tree_put(tree, &key, ngx_iot_tree_int(&arena.alloc, i));
    }

    /* before as after the last one is found */

    item = lib_get(tree, "k0");
    assert_int_equal(item->u.i, 2804);

    assert_int_equal(ngx_iot_tree_unique(tree, &arena.alloc), NGX_OK);
    assert_int_equal(tree->u.list.n, 701);

    /* the last 701 of 3001, in their order */

    i = 3001 - 701;

    for (item = tree->u.list.first; item; item = item->next) {
        assert_int_equal(item->u.i, i++);
    }

    assert_int_equal(i, 3001);
    assert_int_equal(tree->u.list.last->u.i, 3000);

    assert_int_equal(ngx_iot_tree_unique(tree, &arena.alloc), NGX_OK);
    assert_int_equal(tree->u.list.n, 701);

    lib_arena_done(&arena);
}


static void
test_unique_equal_only(void **state)
{
    ngx_uint_t       n, i;
    ngx_str_t        key;
    lib_arena_t      arena;
    ngx_iot_tree_t  *tree;

    lib_arena_init(&arena);

    key.len = 0;
    key.data = NULL;

    for (n = 0; n < 40; n++) {
        tree = ngx_iot_tree_new(&arena.alloc, NGX_IOT_TREE_OBJECT);

        for (i = 0; i < n; i++) {
            ngx_iot_tree_put(tree, &key, ngx_iot_tree_int(&arena.alloc, i));
        }

        assert_int_equal(ngx_iot_tree_unique(tree, &arena.alloc), NGX_OK);
        assert_int_equal(tree->u.list.n, n ? 1 : 0);

        if (n) {
            assert_int_equal(tree->u.list.first->u.i, n - 1);
            assert_ptr_equal(tree->u.list.first, tree->u.list.last);
        }
    }

    lib_arena_done(&arena);
}


static void
test_get(void **state)
{
    lib_arena_t      arena;
    ngx_iot_tree_t  *tree;

    lib_arena_init(&arena);

    assert_int_equal(tree_read(&tree, "{\"a\":1,\"ab\":2,\"\":3}", NULL,
                               &arena),
                     NGX_OK);

    assert_int_equal(lib_get(tree, "a")->u.i, 1);
    assert_int_equal(lib_get(tree, "ab")->u.i, 2);
    assert_int_equal(lib_get(tree, "")->u.i, 3);
    assert_null(lib_get(tree, "b"));
    assert_null(lib_get(tree, "abc"));
    assert_null(lib_get(NULL, "a"));
    assert_null(lib_get(lib_get(tree, "a"), "a"));

    lib_arena_done(&arena);
}


/* the copy must not care what becomes of the text it came from */

static void
test_copy(void **state)
{
    ngx_str_t        s;
    lib_arena_t      arena, other;
    ngx_iot_tree_t  *tree, *copy;

    static const char  text[] =
        "{\"a\":[1,2.5,\"three\",null,true],\"b\":{\"c\":\"d\"},\"e\":\"\"}";

    lib_arena_init(&arena);
    lib_arena_init(&other);

    s = lib_str(text);
    s = lib_cut(&other, &s, s.len);

    assert_int_equal(ngx_iot_tree_json_read(&tree, &s, NULL, &other.alloc),
                     NGX_OK);

    copy = ngx_iot_tree_copy(tree, &arena.alloc);
    assert_non_null(copy);
    assert_true(ngx_iot_tree_equal(tree, copy));

    lib_arena_done(&other);

    assert_string_equal(tree_json(copy, &arena), text);

    lib_arena_done(&arena);
}


static void
test_equal(void **state)
{
    ngx_uint_t       i, j;
    lib_arena_t      arena;
    ngx_iot_tree_t  *a, *b;

    static const char *cases[] = {
        "null", "true", "false", "0", "1", "-1", "18446744073709551615",
        "0.5", "\"\"", "\"0\"", "[]", "[0]", "[0,0]", "[[]]", "{}",
        "{\"a\":0}", "{\"b\":0}", "{\"a\":1}", "{\"a\":0,\"b\":0}",
        "{\"b\":0,\"a\":0}",
    };

    lib_arena_init(&arena);

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (j = 0; j < sizeof(cases) / sizeof(cases[0]); j++) {
            assert_int_equal(tree_read(&a, cases[i], NULL, &arena), NGX_OK);
            assert_int_equal(tree_read(&b, cases[j], NULL, &arena), NGX_OK);
            assert_int_equal(ngx_iot_tree_equal(a, b), i == j);
        }
    }

    a = ngx_iot_tree_double(&arena.alloc, NAN);
    b = ngx_iot_tree_double(&arena.alloc, NAN);
    assert_true(ngx_iot_tree_equal(a, b));

    a->type = NGX_IOT_TREE_FLOAT;
    assert_true(ngx_iot_tree_equal(a, b));

    b->u.d = 1;
    assert_false(ngx_iot_tree_equal(a, b));

    lib_arena_done(&arena);
}


static void
test_integer(void **state)
{
    int64_t          value;
    ngx_int_t        rc;
    ngx_uint_t       i;
    lib_arena_t      arena;
    ngx_iot_tree_t  *tree;

    static struct {
        const char  *text;
        ngx_int_t    rc;
        int64_t      value;
    } cases[] = {
        { "5", NGX_OK, 5 },
        { "-5", NGX_OK, -5 },
        { "5.0", NGX_OK, 5 },
        { "-9223372036854775808.0", NGX_OK, INT64_MIN },
        { "9223372036854775807", NGX_OK, INT64_MAX },
        { "9223372036854775808", NGX_DECLINED, 0 },
        { "9223372036854775808.0", NGX_DECLINED, 0 },
        { "5.5", NGX_DECLINED, 0 },
        { "1e300", NGX_DECLINED, 0 },
        { "-1e300", NGX_DECLINED, 0 },
        { "\"5\"", NGX_DECLINED, 0 },
        { "true", NGX_DECLINED, 0 },
        { "[5]", NGX_DECLINED, 0 },
    };

    lib_arena_init(&arena);

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(tree_read(&tree, cases[i].text, NULL, &arena),
                         NGX_OK);

        value = 0;
        rc = ngx_iot_tree_integer(tree, &value);

        assert_int_equal(rc, cases[i].rc);
        assert_true(value == cases[i].value);
    }

    tree = ngx_iot_tree_double(&arena.alloc, NAN);
    assert_int_equal(ngx_iot_tree_integer(tree, &value), NGX_DECLINED);

    lib_arena_done(&arena);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_json_round_trip),
        cmocka_unit_test(test_json_types),
        cmocka_unit_test(test_json_refused),
        cmocka_unit_test(test_json_truncated),
        cmocka_unit_test(test_json_limits),
        cmocka_unit_test(test_json_no_memory),
        cmocka_unit_test(test_json_write_values),
        cmocka_unit_test(test_json_write_bad_text),
        cmocka_unit_test(test_json_write_floats),
        cmocka_unit_test(test_unique),
        cmocka_unit_test(test_unique_equal_only),
        cmocka_unit_test(test_get),
        cmocka_unit_test(test_copy),
        cmocka_unit_test(test_equal),
        cmocka_unit_test(test_integer),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);

    return cmocka_run_group_tests(tests, NULL, NULL);
}
