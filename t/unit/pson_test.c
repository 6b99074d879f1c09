
/*
 * Copyright (C) the ngx_iot authors
 */


#include <math.h>

#include "tree_lib.h"
#include "ngx_iot_pson.h"


static void pson_expect(lib_arena_t *arena, ngx_uint_t version,
    ngx_iot_tree_t *tree, ngx_str_t *bytes);
static ngx_int_t pson_decode(ngx_iot_tree_t **tree, ngx_uint_t version,
    const char *hex, ngx_iot_tree_limit_t *limit, lib_arena_t *arena);
static ngx_iot_tree_t *pson_random(lib_arena_t *arena, uint64_t *seed,
    ngx_uint_t depth);
static uint64_t pson_dice(uint64_t *seed, uint64_t n);


static const char  *pson_versions[] = { NULL, "v1", "v2" };


/* the encoder's bytes, into memory of the size it asked for */

static void
pson_expect(lib_arena_t *arena, ngx_uint_t version, ngx_iot_tree_t *tree,
    ngx_str_t *bytes)
{
    size_t   size;
    u_char  *p, *end;

    size = ngx_iot_pson_size(version, tree);
    assert_int_equal(size, bytes->len);

    p = lib_alloc(arena, size);
    end = ngx_iot_pson_write(p, version, tree);

    assert_ptr_equal(end, p + size);
    assert_memory_equal(p, bytes->data, size);
}


/* the whole of the input has to be used */

static ngx_int_t
pson_decode(ngx_iot_tree_t **tree, ngx_uint_t version, const char *hex,
    ngx_iot_tree_limit_t *limit, lib_arena_t *arena)
{
    u_char     *pos, *end;
    ngx_int_t   rc;
    ngx_str_t   bytes;

    bytes = lib_unhex(arena, hex);
    pos = bytes.data;
    end = pos + bytes.len;
    *tree = NULL;

    rc = ngx_iot_pson_decode(tree, version, &pos, end, limit, &arena->alloc);

    if (rc == NGX_OK) {
        assert_ptr_equal(pos, end);

    } else {
        assert_ptr_equal(pos, bytes.data);
        assert_null(*tree);
    }

    /* skipping sees the same; only decoding can run out of memory */

    if (rc != NGX_ERROR) {
        pos = bytes.data;
        assert_int_equal(ngx_iot_pson_skip(version, &pos, end, limit), rc);
        assert_ptr_equal(pos, rc == NGX_OK ? end : bytes.data);
    }

    return rc;
}


static void
test_vectors_encode(void **state)
{
    ngx_str_t        bytes;
    ngx_uint_t       version, n;
    lib_arena_t      arena;
    ngx_iot_tree_t  *file, *list, *row, *tree;

    lib_arena_init(&arena);

    file = lib_load("t/data/pson.json", &arena);

    for (version = 1, n = 0; version <= 2; version++) {

        list = lib_get(lib_get(file, pson_versions[version]), "encode");
        assert_non_null(list);

        for (row = list->u.list.first; row; row = row->next, n++) {
            bytes = lib_unhex(&arena, lib_text(row, "hex", &arena));
            tree = lib_value(lib_get(row, "value"), &arena);

            pson_expect(&arena, version, tree, &bytes);
        }
    }

    assert_int_equal(n, 58 + 38);

    lib_arena_done(&arena);
}


static void
test_vectors_decode(void **state)
{
    u_char          *pos, *end;
    ngx_str_t        bytes;
    ngx_uint_t       version, i, n;
    lib_arena_t      arena;
    ngx_iot_tree_t  *file, *list, *row, *tree, *expected, *used;

    static const char  *lists[] = { "encode", "decode" };

    lib_arena_init(&arena);

    file = lib_load("t/data/pson.json", &arena);

    for (version = 1, n = 0; version <= 2; version++) {
        for (i = 0; i < 2; i++) {

            list = lib_get(lib_get(file, pson_versions[version]), lists[i]);
            assert_non_null(list);

            for (row = list->u.list.first; row; row = row->next, n++) {
                bytes = lib_unhex(&arena, lib_text(row, "hex", &arena));
                expected = lib_value(lib_get(row, "decodes_to"), &arena);
                used = lib_get(row, "bytes_used");

                pos = bytes.data;
                end = pos + (used ? (size_t) used->u.i : bytes.len);

                assert_int_equal(ngx_iot_pson_decode(&tree, version, &pos,
                                                     bytes.data + bytes.len,
                                                     NULL, &arena.alloc),
                                 NGX_OK);
                assert_ptr_equal(pos, end);
                assert_true(ngx_iot_tree_equal(tree, expected));
            }
        }
    }

    assert_int_equal(n, 58 + 9 + 38 + 6);

    lib_arena_done(&arena);
}


/* four bytes are a float in version 1, so that they print like one */

static void
test_float_keeps_its_width(void **state)
{
    lib_arena_t      arena;
    ngx_iot_tree_t  *tree;

    lib_arena_init(&arena);

    assert_int_equal(pson_decode(&tree, 1, "1dc3f54840", NULL, &arena),
                     NGX_OK);
    assert_int_equal(tree->type, NGX_IOT_TREE_FLOAT);

    assert_int_equal(pson_decode(&tree, 2, "40c3f54840", NULL, &arena),
                     NGX_OK);
    assert_int_equal(tree->type, NGX_IOT_TREE_FLOAT);

    assert_int_equal(pson_decode(&tree, 1, "211f85eb51b81e0940", NULL,
                                 &arena),
                     NGX_OK);
    assert_int_equal(tree->type, NGX_IOT_TREE_DOUBLE);

    lib_arena_done(&arena);
}


/*
 * All entries are refused.  Those that more bytes could still repair ask for
 * them, the others do not.
 */

static void
test_vectors_invalid(void **state)
{
    ngx_int_t        rc;
    ngx_uint_t       version, i, n, declined;
    const char      *name, *hex;
    lib_arena_t      arena;
    ngx_iot_tree_t  *file, *list, *row, *tree;

    static const char  *broken[] = {
        "object value missing", "varint of 11 bytes",
        "string length over 32 bits", "key longer than object",
        "map key not a string", "discrete 3", "float kind 2",
    };

    lib_arena_init(&arena);

    file = lib_load("t/data/pson.json", &arena);

    for (version = 1, n = 0, declined = 0; version <= 2; version++) {

        list = lib_get(lib_get(file, pson_versions[version]), "invalid");
        assert_non_null(list);

        for (row = list->u.list.first; row; row = row->next, n++) {
            name = lib_text(row, "name", &arena);
            hex = lib_text(row, "hex", &arena);
            rc = NGX_AGAIN;

            for (i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
                if (strcmp(name, broken[i]) == 0) {
                    rc = NGX_DECLINED;
                    declined++;
                }
            }

            assert_int_equal(pson_decode(&tree, version, hex, NULL, &arena),
                             rc);
        }
    }

    assert_int_equal(n, 12 + 11);
    assert_int_equal(declined, sizeof(broken) / sizeof(broken[0]));

    lib_arena_done(&arena);
}


static void
test_vectors_truncated(void **state)
{
    size_t           len;
    u_char          *pos;
    ngx_str_t        bytes, cut;
    ngx_uint_t       version;
    lib_arena_t      arena, small;
    ngx_iot_tree_t  *file, *list, *row, *tree;

    lib_arena_init(&arena);
    lib_arena_init(&small);

    file = lib_load("t/data/pson.json", &arena);

    for (version = 1; version <= 2; version++) {

        list = lib_get(lib_get(file, pson_versions[version]), "encode");

        for (row = list->u.list.first; row; row = row->next) {
            bytes = lib_unhex(&arena, lib_text(row, "hex", &arena));

            for (len = 0; len < bytes.len; len++) {
                cut = lib_cut(&small, &bytes, len);

                pos = cut.data;
                assert_int_equal(ngx_iot_pson_decode(&tree, version, &pos,
                                                     pos + len, NULL,
                                                     &small.alloc),
                                 NGX_AGAIN);
                assert_ptr_equal(pos, cut.data);

                assert_int_equal(ngx_iot_pson_skip(version, &pos, pos + len,
                                                   NULL),
                                 NGX_AGAIN);
                lib_arena_done(&small);
            }
        }
    }

    lib_arena_done(&arena);
}


/* what is cut short inside a container of known size will never be whole */

static void
test_v1_inner_bounds(void **state)
{
    ngx_uint_t       i;
    lib_arena_t      arena;
    ngx_iot_tree_t  *tree;

    static const char  *cases[] = {
        "720108",               /* integer without varint */
        "72020880",             /* unfinished varint */
        "72031d0000",           /* half a float */
        "720421000000",         /* a third of a double */
        "72024a05" "6162636465",    /* text beyond the array */
        "72025a05" "0102030405",
        "72027202" "3838",      /* array beyond the array */
        "72026a03" "016138",
        "6a0101" "6138",        /* key beyond the object */
        "6a0180" "00",          /* unfinished key length */
        "6a0100",               /* key without value */
        "6a060161" "7203" "3838" "38",  /* inner array beyond its object */
    };

    lib_arena_init(&arena);

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(pson_decode(&tree, 1, cases[i], NULL, &arena),
                         NGX_DECLINED);
    }

    lib_arena_done(&arena);
}


/* each first byte with enough zeros behind it */

static void
test_v1_tags(void **state)
{
    u_char           bytes[16], *pos;
    ngx_int_t        rc;
    ngx_uint_t       tag, type, wire, used;
    lib_arena_t      arena;
    ngx_iot_tree_t  *tree;

    static const struct {
        ngx_uint_t   type;
        ngx_uint_t   wire2;
        ngx_uint_t   used;
    } types[16] = {
        { NGX_IOT_TREE_NULL, 0, 1 }, { NGX_IOT_TREE_INT, 0, 2 },
        { NGX_IOT_TREE_INT, 0, 2 }, { NGX_IOT_TREE_FLOAT, 0, 5 },
        { NGX_IOT_TREE_DOUBLE, 0, 9 }, { NGX_IOT_TREE_BOOL, 0, 1 },
        { NGX_IOT_TREE_BOOL, 0, 1 }, { NGX_IOT_TREE_INT, 0, 1 },
        { NGX_IOT_TREE_INT, 0, 1 }, { NGX_IOT_TREE_TEXT, 1, 2 },
        { NGX_IOT_TREE_TEXT, 0, 1 }, { NGX_IOT_TREE_BYTES, 1, 2 },
        { NGX_IOT_TREE_BYTES, 0, 1 }, { NGX_IOT_TREE_OBJECT, 1, 2 },
        { NGX_IOT_TREE_ARRAY, 1, 2 }, { NGX_IOT_TREE_EMPTY, 0, 1 },
    };

    lib_arena_init(&arena);

    for (tag = 0; tag < 0x80; tag++) {
        memset(bytes, 0, sizeof(bytes));
        bytes[0] = (u_char) tag;

        type = tag >> 3;
        wire = tag & 7;
        used = types[type].used;

        pos = bytes;
        rc = ngx_iot_pson_decode(&tree, 1, &pos, bytes + sizeof(bytes), NULL,
                                 &arena.alloc);

        if ((wire == 2) != types[type].wire2) {
            assert_int_equal(rc, NGX_DECLINED);
            continue;
        }

        assert_int_equal(rc, NGX_OK);
        assert_int_equal(tree->type, types[type].type);
        assert_ptr_equal(pos, bytes + used);
    }

    /* types over 15, padded or not, do not exist */

    assert_int_equal(pson_decode(&tree, 1, "8001", NULL, &arena),
                     NGX_DECLINED);
    assert_int_equal(pson_decode(&tree, 1, "ffffffff0f", NULL, &arena),
                     NGX_DECLINED);
    assert_int_equal(pson_decode(&tree, 1, "ffffffff10", NULL, &arena),
                     NGX_DECLINED);
    assert_int_equal(pson_decode(&tree, 1, "a88000", NULL, &arena), NGX_OK);
    assert_int_equal(tree->type, NGX_IOT_TREE_BOOL);
    assert_int_equal(tree->u.i, 1);

    lib_arena_done(&arena);
}


static void
test_v2_tags(void **state)
{
    u_char           bytes[160], *pos;
    ngx_int_t        rc, expected;
    ngx_uint_t       tag, n, used;
    lib_arena_t      arena;
    ngx_iot_tree_t  *tree;

    /* behind each tag there are texts of no bytes: keys and values alike */

    lib_arena_init(&arena);

    for (tag = 0; tag < 0x100; tag++) {
        memset(bytes, 0x80, sizeof(bytes));
        bytes[0] = (u_char) tag;

        n = tag & 0x1f;

        if (n == 31) {
            continue;
        }

        expected = NGX_OK;
        used = 1;

        switch (tag >> 5) {

        case 2:
            expected = (n <= 1) ? NGX_OK : NGX_DECLINED;
            used += n ? 8 : 4;
            break;

        case 3:
            expected = (n <= 2) ? NGX_OK : NGX_DECLINED;
            break;

        case 4:
        case 5:
        case 7:
            used += n;
            break;

        case 6:
            used += 2 * n;
            break;

        default:
            break;
        }

        pos = bytes;
        rc = ngx_iot_pson_decode(&tree, 2, &pos, bytes + sizeof(bytes), NULL,
                                 &arena.alloc);

        assert_int_equal(rc, expected);

        if (rc == NGX_OK) {
            assert_ptr_equal(pos, bytes + used);
        }
    }

    lib_arena_done(&arena);
}


static void
test_integer_range(void **state)
{
    ngx_uint_t       i;
    lib_arena_t      arena;
    ngx_iot_tree_t  *tree;

    static const struct {
        ngx_uint_t   version;
        const char  *hex;
        ngx_int_t    rc;
        ngx_uint_t   type;
        uint64_t     value;
    } cases[] = {
        { 1, "08ffffffffffffffff7f", NGX_OK, NGX_IOT_TREE_INT, INT64_MAX },
        { 1, "0880808080808080808001", NGX_OK, NGX_IOT_TREE_UINT,
          (uint64_t) INT64_MAX + 1 },
        { 1, "08ffffffffffffffffff01", NGX_OK, NGX_IOT_TREE_UINT,
          UINT64_MAX },
        { 1, "08ffffffffffffffffff02", NGX_DECLINED, 0, 0 },
        { 1, "0880808080808080808080", NGX_DECLINED, 0, 0 },
        { 1, "1080808080808080808001", NGX_OK, NGX_IOT_TREE_INT,
          (uint64_t) INT64_MIN },
        { 1, "1081808080808080808001", NGX_DECLINED, 0, 0 },
        { 1, "10ffffffffffffffffff01", NGX_DECLINED, 0, 0 },
        { 1, "1000", NGX_OK, NGX_IOT_TREE_INT, 0 },
        { 2, "1fffffffffffffffffff01", NGX_OK, NGX_IOT_TREE_UINT,
          UINT64_MAX },
        { 2, "1fffffffffffffffffff03", NGX_DECLINED, 0, 0 },
        { 2, "3f80808080808080808001", NGX_OK, NGX_IOT_TREE_INT,
          (uint64_t) INT64_MIN },
        { 2, "3f81808080808080808001", NGX_DECLINED, 0, 0 },
        { 2, "20", NGX_OK, NGX_IOT_TREE_INT, 0 },
        { 2, "9fffffffff1f", NGX_DECLINED, 0, 0 },
        { 2, "dfffffffff1f", NGX_DECLINED, 0, 0 },
    };

    lib_arena_init(&arena);

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(pson_decode(&tree, cases[i].version, cases[i].hex,
                                     NULL, &arena),
                         cases[i].rc);

        if (cases[i].rc == NGX_OK) {
            assert_int_equal(tree->type, cases[i].type);
            assert_true(tree->u.n == cases[i].value);
        }
    }

    lib_arena_done(&arena);
}


static void
test_int64_min_round_trip(void **state)
{
    ngx_str_t        bytes;
    lib_arena_t      arena;
    ngx_iot_tree_t  *tree;

    lib_arena_init(&arena);

    tree = ngx_iot_tree_int(&arena.alloc, INT64_MIN);

    bytes = lib_unhex(&arena, "1080808080808080808001");
    pson_expect(&arena, 1, tree, &bytes);

    bytes = lib_unhex(&arena, "3f80808080808080808001");
    pson_expect(&arena, 2, tree, &bytes);

    lib_arena_done(&arena);
}


static void
test_floating_rules(void **state)
{
    ngx_str_t        bytes;
    ngx_uint_t       i;
    lib_arena_t      arena;
    ngx_iot_tree_t  *tree;

    static const struct {
        ngx_uint_t   version;
        ngx_uint_t   type;
        double       d;
        const char  *hex;
    } cases[] = {
        { 1, NGX_IOT_TREE_DOUBLE, -0.0, "38" },
        { 2, NGX_IOT_TREE_DOUBLE, -0.0, "00" },
        { 1, NGX_IOT_TREE_FLOAT, 1.0, "40" },
        { 2, NGX_IOT_TREE_FLOAT, 1.0, "01" },
        { 2, NGX_IOT_TREE_FLOAT, -7.0, "27" },

        /* the edges of 64 bits */
        { 1, NGX_IOT_TREE_DOUBLE, 18446744073709549568.0,
          "0880f0ffffffffffffff01" },
        { 1, NGX_IOT_TREE_DOUBLE, 18446744073709551616.0, "1d0000805f" },
        { 2, NGX_IOT_TREE_DOUBLE, 18446744073709551616.0, "400000805f" },
        { 1, NGX_IOT_TREE_DOUBLE, -9223372036854775808.0,
          "1080808080808080808001" },
        { 1, NGX_IOT_TREE_DOUBLE, -9223372036854777856.0,
          "21010000000000e0c3" },

        /* a tolerance of 1e-5 in version 1 only */
        { 1, NGX_IOT_TREE_DOUBLE, 3.14, "1dc3f54840" },
        { 1|NGX_IOT_PSON_EXACT, NGX_IOT_TREE_DOUBLE, 3.14,
          "211f85eb51b81e0940" },
        { 1|NGX_IOT_PSON_EXACT, NGX_IOT_TREE_DOUBLE, 21.5, "1d0000ac41" },
        { 1|NGX_IOT_PSON_EXACT, NGX_IOT_TREE_DOUBLE, 25.0, "0819" },
        { 1, NGX_IOT_TREE_DOUBLE, 25.0000004, "1d0000c841" },
        { 2, NGX_IOT_TREE_DOUBLE, 3.14, "411f85eb51b81e0940" },
        { 2|NGX_IOT_PSON_EXACT, NGX_IOT_TREE_DOUBLE, 3.14,
          "411f85eb51b81e0940" },
        { 2, NGX_IOT_TREE_FLOAT, 3.140000104904175, "40c3f54840" },

        /* beyond what a float can be */
        { 1, NGX_IOT_TREE_DOUBLE, 1e300, "219c7500883ce4377e" },
        { 1, NGX_IOT_TREE_DOUBLE, -1e300, "219c7500883ce437fe" },
        { 2, NGX_IOT_TREE_DOUBLE, -1e300, "419c7500883ce437fe" },
        { 1, NGX_IOT_TREE_FLOAT, INFINITY, "1d0000807f" },
        { 1, NGX_IOT_TREE_FLOAT, -INFINITY, "1d000080ff" },
        { 1, NGX_IOT_TREE_DOUBLE, INFINITY, "21000000000000f07f" },
        { 2, NGX_IOT_TREE_DOUBLE, -INFINITY, "41000000000000f0ff" },
        { 2, NGX_IOT_TREE_DOUBLE, 5e-324, "410100000000000000" },
        { 1, NGX_IOT_TREE_DOUBLE, 5e-324, "1d00000000" },
    };

    lib_arena_init(&arena);

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        tree = ngx_iot_tree_double(&arena.alloc, cases[i].d);
        tree->type = cases[i].type;

        bytes = lib_unhex(&arena, cases[i].hex);
        pson_expect(&arena, cases[i].version, tree, &bytes);
    }

    lib_arena_done(&arena);
}


static void
test_empty_in_v2_is_null(void **state)
{
    ngx_str_t        bytes;
    lib_arena_t      arena;
    ngx_iot_tree_t  *tree;

    lib_arena_init(&arena);

    tree = ngx_iot_tree_new(&arena.alloc, NGX_IOT_TREE_EMPTY);
    bytes = lib_unhex(&arena, "62");
    pson_expect(&arena, 2, tree, &bytes);

    lib_arena_done(&arena);
}


static void
test_duplicate_keys(void **state)
{
    lib_arena_t      arena;
    ngx_iot_tree_t  *tree;

    lib_arena_init(&arena);

    assert_int_equal(pson_decode(&tree, 1, "6a0a" "016140" "016238"
                                           "01610802", NULL, &arena),
                     NGX_OK);
    assert_int_equal(tree->u.list.n, 2);
    assert_int_equal(lib_get(tree, "a")->u.i, 2);
    assert_int_equal(lib_get(tree, "b")->u.i, 0);

    assert_int_equal(pson_decode(&tree, 2, "c3" "816101" "816200" "816102",
                                 NULL, &arena),
                     NGX_OK);
    assert_int_equal(tree->u.list.n, 2);
    assert_int_equal(lib_get(tree, "a")->u.i, 2);

    lib_arena_done(&arena);
}


static void
test_depth(void **state)
{
    size_t                i;
    u_char                bytes[600], *p, *pos;
    ngx_int_t             rc;
    ngx_uint_t            n;
    lib_arena_t           arena;
    ngx_iot_tree_t       *tree;
    ngx_iot_tree_limit_t  limit;

    lib_arena_init(&arena);

    /* arrays in arrays; version 1 from the inside, sizes of one byte */

    for (n = 1; n <= 63; n++) {
        p = bytes + sizeof(bytes);

        for (i = 0; i < n; i++) {
            *--p = (u_char) (2 * i);
            *--p = 0x72;
        }

        pos = p;
        assert_int_equal(ngx_iot_pson_decode(&tree, 1, &pos,
                                             bytes + sizeof(bytes), NULL,
                                             &arena.alloc),
                         NGX_OK);

        memset(&limit, 0, sizeof(limit));
        limit.depth = n - 1;

        pos = p;
        rc = ngx_iot_pson_decode(&tree, 1, &pos, bytes + sizeof(bytes),
                                 &limit, &arena.alloc);
        assert_int_equal(rc, n > 1 ? NGX_BUSY : NGX_OK);
    }

    for (n = 1; n <= 400; n++) {
        memset(bytes, 0xe1, n);
        bytes[n - 1] = 0xe0;

        pos = bytes;
        rc = ngx_iot_pson_decode(&tree, 2, &pos, bytes + n, NULL,
                                 &arena.alloc);
        assert_int_equal(rc, n <= NGX_IOT_TREE_DEPTH ? NGX_OK : NGX_BUSY);

        /* no limit lifts the bound of recursion */

        memset(&limit, 0, sizeof(limit));
        limit.depth = 100000;

        pos = bytes;
        rc = ngx_iot_pson_skip(2, &pos, bytes + n, &limit);
        assert_int_equal(rc, n <= NGX_IOT_TREE_MAX_DEPTH ? NGX_OK : NGX_BUSY);
    }

    lib_arena_done(&arena);
}


static void
test_encode_too_deep(void **state)
{
    ngx_uint_t       n;
    lib_arena_t      arena;
    ngx_iot_tree_t  *tree, *outer;

    lib_arena_init(&arena);

    tree = ngx_iot_tree_new(&arena.alloc, NGX_IOT_TREE_ARRAY);

    for (n = 1; n < 300; n++) {
        assert_int_equal(ngx_iot_pson_size(1, tree) != 0,
                         n <= NGX_IOT_TREE_MAX_DEPTH);
        assert_int_equal(ngx_iot_pson_size(2, tree),
                         n <= NGX_IOT_TREE_MAX_DEPTH ? n : 0);

        outer = ngx_iot_tree_new(&arena.alloc, NGX_IOT_TREE_ARRAY);
        ngx_iot_tree_add(outer, tree);
        tree = outer;
    }

    lib_arena_done(&arena);
}


/* limits hold before the bytes are there and before memory is taken */

static void
test_limits(void **state)
{
    ngx_uint_t            n;
    lib_arena_t           arena;
    ngx_iot_tree_t       *tree;
    ngx_iot_tree_limit_t  limit;

    lib_arena_init(&arena);

    memset(&limit, 0, sizeof(limit));
    limit.size = 4;

    assert_int_equal(pson_decode(&tree, 1, "4a0461626364", &limit, &arena),
                     NGX_OK);
    assert_int_equal(pson_decode(&tree, 1, "4a05", &limit, &arena), NGX_BUSY);
    assert_int_equal(pson_decode(&tree, 1, "5a05", &limit, &arena), NGX_BUSY);
    assert_int_equal(pson_decode(&tree, 1, "6a05", &limit, &arena), NGX_BUSY);
    assert_int_equal(pson_decode(&tree, 1, "7205", &limit, &arena), NGX_BUSY);
    assert_int_equal(pson_decode(&tree, 2, "85", &limit, &arena), NGX_BUSY);
    assert_int_equal(pson_decode(&tree, 2, "a5", &limit, &arena), NGX_BUSY);
    assert_int_equal(pson_decode(&tree, 2, "c18561", &limit, &arena),
                     NGX_BUSY);
    assert_int_equal(pson_decode(&tree, 1, "4affffffff0f", NULL, &arena),
                     NGX_BUSY);

    memset(&limit, 0, sizeof(limit));
    limit.nodes = 3;

    assert_int_equal(pson_decode(&tree, 1, "72023838", &limit, &arena),
                     NGX_OK);
    assert_int_equal(pson_decode(&tree, 1, "7203383838", &limit, &arena),
                     NGX_BUSY);
    assert_int_equal(pson_decode(&tree, 2, "e20000", &limit, &arena), NGX_OK);
    assert_int_equal(pson_decode(&tree, 2, "e3", &limit, &arena), NGX_BUSY);
    assert_int_equal(pson_decode(&tree, 2, "c3", &limit, &arena), NGX_BUSY);
    assert_int_equal(pson_decode(&tree, 2, "e2e10000", &limit, &arena),
                     NGX_BUSY);
    assert_int_equal(pson_decode(&tree, 2, "ffffffffff0f", NULL, &arena),
                     NGX_BUSY);

    n = arena.n;

    assert_int_equal(pson_decode(&tree, 2, "ffff8703", NULL, &arena),
                     NGX_AGAIN);

    /* the input and the root, and no item */

    assert_int_equal(arena.n - n, 2);

    lib_arena_done(&arena);
}


static void
test_no_memory(void **state)
{
    u_char          *pos;
    ngx_int_t        rc;
    ngx_str_t        bytes;
    ngx_uint_t       max;
    lib_arena_t      arena, input;
    ngx_iot_tree_t  *tree;

    lib_arena_init(&input);
    lib_arena_init(&arena);

    /* more keys than are compared in place, not sorted */

    bytes = lib_unhex(&input, "ca" "817a00" "816100" "816200" "816300"
                              "816400" "816500" "816600" "816700"
                              "8168e20000" "817a01");

    for (max = 1; /* void */ ; max++) {
        arena.max = max;
        pos = bytes.data;

        rc = ngx_iot_pson_decode(&tree, 2, &pos, pos + bytes.len, NULL,
                                 &arena.alloc);

        if (rc == NGX_OK) {
            break;
        }

        assert_int_equal(rc, NGX_ERROR);
        assert_ptr_equal(pos, bytes.data);

        lib_arena_done(&arena);
    }

    /* 13 values and the index of the keys */

    assert_int_equal(max, 14);
    assert_int_equal(tree->u.list.n, 9);
    assert_int_equal(lib_get(tree, "z")->u.i, 1);

    lib_arena_done(&arena);
    lib_arena_done(&input);
}


static void
test_text_alone(void **state)
{
    char             text[200];
    size_t           len;
    ngx_str_t        s, out;
    ngx_uint_t       version;
    lib_arena_t      arena;
    ngx_iot_tree_t  *tree;

    lib_arena_init(&arena);

    memset(text, 'x', sizeof(text));
    s.data = (u_char *) text;

    for (version = 1; version <= 2; version++) {
        for (len = 0; len < sizeof(text); len++) {
            s.len = len;
            tree = ngx_iot_tree_text(&arena.alloc, &s);

            out.len = ngx_iot_pson_text_size(version, len);
            out.data = lib_alloc(&arena, out.len);

            assert_ptr_equal(ngx_iot_pson_text_write(out.data, version, &s),
                             out.data + out.len);
            pson_expect(&arena, version, tree, &out);
        }
    }

    assert_int_equal(ngx_iot_pson_text_size(1, (size_t) UINT32_MAX + 1), 0);
    assert_int_equal(ngx_iot_pson_text_size(2, (size_t) UINT32_MAX + 1), 0);

    lib_arena_done(&arena);
}


static void
test_varint(void **state)
{
    u_char       buf[16], *pos, *end;
    uint32_t     narrow;
    uint64_t     value, read;
    ngx_uint_t   i, n;

    for (i = 0; i < 64; i++) {
        for (n = 0; n < 3; n++) {
            value = ((uint64_t) 1 << i) - 1 + n;

            end = ngx_iot_varint_write(buf, value);
            assert_int_equal(end - buf, ngx_iot_varint_size(value));

            for (pos = buf; pos < end; /* void */) {
                assert_int_equal(ngx_iot_varint64(&pos, end, &read), NGX_OK);
                assert_true(read == value);
            }

            assert_ptr_equal(pos, end);

            pos = buf;
            assert_int_equal(ngx_iot_varint64(&pos, end - 1, &read),
                             NGX_AGAIN);
            assert_ptr_equal(pos, buf);

            assert_int_equal(ngx_iot_varint32(&pos, end, &narrow),
                             value <= UINT32_MAX ? NGX_OK : NGX_DECLINED);
        }
    }

    end = ngx_iot_varint_write(buf, UINT64_MAX);
    assert_int_equal(end - buf, 10);
}


static uint64_t
pson_dice(uint64_t *seed, uint64_t n)
{
    *seed = *seed * 6364136223846793005ULL + 1442695040888963407ULL;

    return (*seed >> 33) % n;
}


static ngx_iot_tree_t *
pson_random(lib_arena_t *arena, uint64_t *seed, ngx_uint_t depth)
{
    char             text[32];
    float            f;
    uint32_t         bits;
    ngx_str_t        s, key;
    ngx_uint_t       i, n;
    ngx_iot_tree_t  *tree;

    static const ngx_uint_t  types[] = {
        NGX_IOT_TREE_NULL, NGX_IOT_TREE_BOOL, NGX_IOT_TREE_INT,
        NGX_IOT_TREE_UINT, NGX_IOT_TREE_FLOAT, NGX_IOT_TREE_TEXT,
        NGX_IOT_TREE_BYTES, NGX_IOT_TREE_ARRAY, NGX_IOT_TREE_OBJECT,
    };

    n = sizeof(types) / sizeof(types[0]) - (depth == 6 ? 2 : 0);

    tree = ngx_iot_tree_new(&arena->alloc, types[pson_dice(seed, n)]);

    switch (tree->type) {

    case NGX_IOT_TREE_BOOL:
        tree->u.i = pson_dice(seed, 2);
        break;

    case NGX_IOT_TREE_INT:
        tree->u.i = (int64_t) (*seed >> pson_dice(seed, 64)) >> 1;
        tree->u.i -= pson_dice(seed, 1000);
        break;

    case NGX_IOT_TREE_UINT:
        tree->u.n = *seed | (uint64_t) 1 << 63;
        break;

    case NGX_IOT_TREE_FLOAT:

        /* with a fraction, lest it becomes an integer */

        bits = 0x3f000001 | (uint32_t) pson_dice(seed, 0x7fffff);
        memcpy(&f, &bits, sizeof(float));
        tree->u.d = f - 1.25f;
        break;

    case NGX_IOT_TREE_TEXT:
    case NGX_IOT_TREE_BYTES:
        memset(text, 'q', sizeof(text));
        s.data = (u_char *) text;
        tree->u.s = lib_cut(arena, &s, pson_dice(seed, sizeof(text)));
        break;

    case NGX_IOT_TREE_ARRAY:
    case NGX_IOT_TREE_OBJECT:

        n = pson_dice(seed, depth == 0 ? 40 : 5);

        for (i = 0; i < n; i++) {
            snprintf(text, sizeof(text), "%u", (unsigned) (i * 7 % 41));
            s = lib_str(text);
            key = lib_cut(arena, &s, s.len);

            if (tree->type == NGX_IOT_TREE_OBJECT) {
                ngx_iot_tree_put(tree, &key,
                                 pson_random(arena, seed, depth + 1));

            } else {
                ngx_iot_tree_add(tree, pson_random(arena, seed, depth + 1));
            }
        }

        break;

    default:
        break;
    }

    return tree;
}


static void
test_random_round_trip(void **state)
{
    size_t           size;
    u_char          *p, *pos, *end;
    uint64_t         seed;
    ngx_uint_t       i, version;
    lib_arena_t      arena;
    ngx_iot_tree_t  *tree, *back;

    seed = 42;

    for (i = 0; i < 2000; i++) {
        lib_arena_init(&arena);

        tree = pson_random(&arena, &seed, 0);

        for (version = 1; version <= 2; version++) {
            size = ngx_iot_pson_size(version, tree);
            assert_true(size > 0);

            p = lib_alloc(&arena, size);
            end = ngx_iot_pson_write(p, version, tree);
            assert_ptr_equal(end, p + size);

            pos = p;
            assert_int_equal(ngx_iot_pson_decode(&back, version, &pos, end,
                                                 NULL, &arena.alloc),
                             NGX_OK);
            assert_ptr_equal(pos, end);
            assert_true(ngx_iot_tree_equal(tree, back));
        }

        lib_arena_done(&arena);
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_vectors_encode),
        cmocka_unit_test(test_vectors_decode),
        cmocka_unit_test(test_float_keeps_its_width),
        cmocka_unit_test(test_vectors_invalid),
        cmocka_unit_test(test_vectors_truncated),
        cmocka_unit_test(test_v1_inner_bounds),
        cmocka_unit_test(test_v1_tags),
        cmocka_unit_test(test_v2_tags),
        cmocka_unit_test(test_integer_range),
        cmocka_unit_test(test_int64_min_round_trip),
        cmocka_unit_test(test_floating_rules),
        cmocka_unit_test(test_empty_in_v2_is_null),
        cmocka_unit_test(test_duplicate_keys),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_encode_too_deep),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_text_alone),
        cmocka_unit_test(test_varint),
        cmocka_unit_test(test_random_round_trip),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);

    return cmocka_run_group_tests(tests, NULL, NULL);
}
