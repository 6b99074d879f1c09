
/*
 * Copyright (C) the ngx_iot authors
 */


#include "tree_lib.h"
#include "ngx_iot_native.h"


static ngx_int_t native_parse(ngx_iot_native_message_t *message,
    const char *hex, lib_arena_t *arena);
static ngx_int_t native_parse_iotmp(ngx_iot_iotmp_message_t *message,
    ngx_uint_t type, ngx_uint_t version, const char *hex,
    lib_arena_t *arena);
static void native_expect(ngx_iot_native_message_t *message, const char *hex,
    lib_arena_t *arena);
static void native_expect_iotmp(ngx_iot_iotmp_message_t *message,
    const char *hex, lib_arena_t *arena);
static ngx_uint_t native_text_is(ngx_str_t *text, const char *expected);


static void
test_frame(void **state)
{
    u_char                  *pos;
    ngx_str_t                bytes;
    ngx_uint_t               i;
    lib_arena_t              arena;
    ngx_iot_native_frame_t   frame;

    static const struct {
        ngx_uint_t   protocol;
        const char  *hex;
        ngx_int_t    rc;
        ngx_uint_t   type;
        size_t       size;
        size_t       used;
    } cases[] = {
        { NGX_IOT_DETECT_NATIVE, "", NGX_AGAIN, 0, 0, 0 },
        { NGX_IOT_DETECT_NATIVE, "00", NGX_DECLINED, 0, 0, 0 },
        { NGX_IOT_DETECT_NATIVE, "03", NGX_DECLINED, 0, 0, 0 },
        { NGX_IOT_DETECT_NATIVE, "7f", NGX_DECLINED, 0, 0, 0 },
        { NGX_IOT_DETECT_NATIVE, "0200", NGX_OK, 2, 0, 2 },
        { NGX_IOT_DETECT_NATIVE, "0201ff", NGX_OK, 2, 1, 2 },
        { NGX_IOT_DETECT_NATIVE, "810000", NGX_OK, 1, 0, 3 },
        { NGX_IOT_DETECT_NATIVE, "0180", NGX_AGAIN, 0, 0, 0 },
        { NGX_IOT_DETECT_NATIVE, "018008", NGX_OK, 1, 1024, 3 },
        { NGX_IOT_DETECT_NATIVE, "018108", NGX_BUSY, 0, 0, 0 },
        { NGX_IOT_DETECT_NATIVE, "01ffffffff0f", NGX_BUSY, 0, 0, 0 },
        { NGX_IOT_DETECT_NATIVE, "01ffffffff1f", NGX_DECLINED, 0, 0, 0 },
        { NGX_IOT_DETECT_NATIVE, "01ffffffffff", NGX_DECLINED, 0, 0, 0 },
        { NGX_IOT_DETECT_NATIVE, "ffffffffff", NGX_DECLINED, 0, 0, 0 },
        { NGX_IOT_DETECT_IOTMP, "00", NGX_DECLINED, 0, 0, 0 },
        { NGX_IOT_DETECT_IOTMP, "0b", NGX_DECLINED, 0, 0, 0 },
        { NGX_IOT_DETECT_IOTMP, "0a05", NGX_OK, 10, 5, 2 },
        { NGX_IOT_DETECT_IOTMP, "0a8108", NGX_BUSY, 0, 0, 0 },
    };

    lib_arena_init(&arena);

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        bytes = lib_unhex(&arena, cases[i].hex);
        pos = bytes.data;

        assert_int_equal(ngx_iot_native_frame(&frame, cases[i].protocol,
                                              &pos, pos + bytes.len, 1024),
                         cases[i].rc);
        assert_ptr_equal(pos, bytes.data + cases[i].used);

        if (cases[i].rc == NGX_OK) {
            assert_int_equal(frame.type, cases[i].type);
            assert_int_equal(frame.size, cases[i].size);
        }
    }

    lib_arena_done(&arena);
}


static void
test_detect(void **state)
{
    size_t        len;
    ngx_int_t     rc;
    ngx_str_t     bytes, cut;
    ngx_uint_t    i, protocol;
    lib_arena_t   arena;

    /* decided with the last byte given here */

    static const struct {
        const char  *hex;
        ngx_int_t    rc;
        ngx_uint_t   protocol;
    } cases[] = {
        { "16", NGX_OK, NGX_IOT_DETECT_TLS },
        { "011a10", NGX_OK, NGX_IOT_DETECT_NATIVE },
        { "01c80126", NGX_OK, NGX_IOT_DETECT_NATIVE },
        { "0200", NGX_OK, NGX_IOT_DETECT_NATIVE },
        { "03181a", NGX_OK, NGX_IOT_DETECT_IOTMP },
        { "031808", NGX_OK, NGX_IOT_DETECT_IOTMP },
        { "031e10", NGX_OK, NGX_IOT_DETECT_IOTMP },
        { "031e19", NGX_OK, NGX_IOT_DETECT_IOTMP },
        { "0500", NGX_OK, NGX_IOT_DETECT_IOTMP },
        { "101000044d515454", NGX_OK, NGX_IOT_DETECT_MQTT },
        { "10808080010006" "4d5149736470", NGX_OK, NGX_IOT_DETECT_MQTT },
        { "47455420", NGX_OK, NGX_IOT_DETECT_HTTP },
        { "504f535420", NGX_OK, NGX_IOT_DETECT_HTTP },
        { "50555420", NGX_OK, NGX_IOT_DETECT_HTTP },
        { "504154434820", NGX_OK, NGX_IOT_DETECT_HTTP },
        { "44454c45544520", NGX_OK, NGX_IOT_DETECT_HTTP },
        { "4f5054494f4e5320", NGX_OK, NGX_IOT_DETECT_HTTP },
        { "00", NGX_DECLINED, 0 },
        { "04", NGX_DECLINED, 0 },
        { "06", NGX_DECLINED, 0 },
        { "ff", NGX_DECLINED, 0 },
        { "0100", NGX_DECLINED, 0 },
        { "011a11", NGX_DECLINED, 0 },
        { "01ffffffffff", NGX_DECLINED, 0 },
        { "0201", NGX_DECLINED, 0 },
        { "0300", NGX_DECLINED, 0 },
        { "031a1b", NGX_DECLINED, 0 },
        { "0501", NGX_DECLINED, 0 },
        { "1080808080", NGX_DECLINED, 0 },
        { "101001", NGX_DECLINED, 0 },
        { "101000044d515455", NGX_DECLINED, 0 },
        { "101000064d515454", NGX_DECLINED, 0 },
        { "47455421", NGX_DECLINED, 0 },
        { "505a", NGX_DECLINED, 0 },
        { "67", NGX_DECLINED, 0 },
    };

    lib_arena_init(&arena);

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        bytes = lib_unhex(&arena, cases[i].hex);

        for (len = 0; len < bytes.len; len++) {
            cut = lib_cut(&arena, &bytes, len);
            rc = ngx_iot_native_detect(&protocol, cut.data, cut.data + len);

            if (rc != NGX_AGAIN) {

                /* a wrong letter may show before the last one */

                assert_int_equal(rc, NGX_DECLINED);
                assert_int_equal(cases[i].rc, NGX_DECLINED);
            }
        }

        rc = ngx_iot_native_detect(&protocol, bytes.data,
                                   bytes.data + bytes.len);
        assert_int_equal(rc, cases[i].rc);

        if (rc == NGX_OK) {
            assert_int_equal(protocol, cases[i].protocol);
        }
    }

    lib_arena_done(&arena);
}


/* whatever comes, sixteen bytes are enough to decide */

static void
test_detect_decides(void **state)
{
    u_char      bytes[16];
    uint64_t    seed;
    ngx_uint_t  i, j, protocol;

    seed = 7;

    for (i = 0; i < 100000; i++) {
        for (j = 0; j < sizeof(bytes); j++) {
            seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
            bytes[j] = (u_char) (seed >> 56);
        }

        bytes[0] = (u_char) i;
        bytes[1 + i / 256 % 4] |= 0x80;

        assert_int_not_equal(ngx_iot_native_detect(&protocol, bytes,
                                                   bytes + sizeof(bytes)),
                             NGX_AGAIN);
    }
}


static ngx_uint_t
native_text_is(ngx_str_t *text, const char *expected)
{
    return text->len == strlen(expected)
           && memcmp(text->data, expected, text->len) == 0;
}


static ngx_int_t
native_parse(ngx_iot_native_message_t *message, const char *hex,
    lib_arena_t *arena)
{
    ngx_str_t  body;

    body = lib_unhex(arena, hex);

    return ngx_iot_native_parse(message, body.data, body.data + body.len,
                                NULL);
}


static ngx_int_t
native_parse_iotmp(ngx_iot_iotmp_message_t *message, ngx_uint_t type,
    ngx_uint_t version, const char *hex, lib_arena_t *arena)
{
    ngx_str_t  body;

    body = lib_unhex(arena, hex);

    return ngx_iot_iotmp_parse(message, type, version, body.data,
                               body.data + body.len, NULL);
}


static void
native_expect(ngx_iot_native_message_t *message, const char *hex,
    lib_arena_t *arena)
{
    u_char     *p;
    ngx_str_t   bytes;

    bytes = lib_unhex(arena, hex);
    p = lib_alloc(arena, bytes.len);

    assert_int_equal(ngx_iot_native_size(message), bytes.len);
    assert_ptr_equal(ngx_iot_native_write(p, message), p + bytes.len);
    assert_memory_equal(p, bytes.data, bytes.len);
}


static void
native_expect_iotmp(ngx_iot_iotmp_message_t *message, const char *hex,
    lib_arena_t *arena)
{
    u_char     *p;
    ngx_str_t   bytes;

    bytes = lib_unhex(arena, hex);
    p = lib_alloc(arena, bytes.len);

    assert_int_equal(ngx_iot_iotmp_size(message), bytes.len);
    assert_ptr_equal(ngx_iot_iotmp_write(p, message), p + bytes.len);
    assert_memory_equal(p, bytes.data, bytes.len);
}


static void
test_native_refused(void **state)
{
    ngx_uint_t                 i;
    lib_arena_t                arena;
    ngx_iot_native_message_t   message;

    static const char  *cases[] = {
        "0b", "0f", "0c",           /* wires 3, 7, 4 on a known field */
        "0a00", "0e38",             /* stream id as text, as PSON */
        "1d00000000",               /* identifier as four bytes */
        "1800", "2000", "3000",
        "0880800480",               /* unfinished tag */
        "08808004",                 /* stream id 65536 */
        "08ffffffff7f",
        "1080808080",
        "0000",                     /* field 0 */
        "2b", "2c", "2f",           /* unknown field, unknown wire */
        "2a05" "01020304",          /* unknown field cut short */
        "29" "01020304050607",
        "2d" "010203",
        "28",
        "2e" "4a0561",
        "1e08" "05",                /* identifier that is no text */
        "1e5a0161",
        "1e72024a00",
        "264a0161",                 /* path that is no array */
        "266a00",
        "26720108",
        "26720238" "38",            /* of integers */
        "26720250" "40",
        "2672037201" "50",          /* of arrays */
        "2672055050",               /* longer than the body */
        "26720250" "4a",            /* text beyond the path */
        "26720250" "4a0161",
        "36",                       /* payload cut short */
        "366a03016140" "36",
        "368001",                   /* payload of no type */
        "8080808010",               /* tag over 32 bits */
    };

    lib_arena_init(&arena);

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (native_parse(&message, cases[i], &arena) != NGX_DECLINED) {
            fail_msg("%s was not refused", cases[i]);
        }
    }

    lib_arena_done(&arena);
}


static void
test_native_lenient(void **state)
{
    lib_arena_t                arena;
    ngx_iot_native_message_t   message;

    lib_arena_init(&arena);

    /* nothing at all is RUN of nothing */

    assert_int_equal(native_parse(&message, "", &arena), NGX_OK);
    assert_int_equal(message.signal, NGX_IOT_NATIVE_RUN);
    assert_int_equal(message.stream_id, 0);
    assert_int_equal(message.has_identifier, 0);
    assert_int_equal(message.has_resource, 0);
    assert_null(message.payload.data);
    native_expect(&message, "0100", &arena);

    /* any order, unknown fields of all known wires */

    assert_int_equal(native_parse(&message,
                                  "3628" "2a03616263" "26720250" "50"
                                  "28ff7f" "1e4a0178" "290102030405060708"
                                  "100a" "2d01020304" "2e6a00" "08ffff03"
                                  "fa0100", &arena),
                     NGX_OK);
    assert_int_equal(message.signal, NGX_IOT_NATIVE_BUCKET_DATA);
    assert_int_equal(message.stream_id, 65535);
    assert_int_equal(message.npath, 2);
    assert_int_equal(message.path[0].len, 0);
    assert_true(native_text_is(&message.identifier, "x"));
    assert_int_equal(message.payload.len, 1);

    native_expect(&message, "0111" "08ffff03" "100a" "1e4a0178"
                            "2672025050" "3628", &arena);

    /* the last of equal fields, flags and paths of no known meaning */

    assert_int_equal(native_parse(&message, "0805" "0806" "1063"
                                            "26720150" "267200" "1e50",
                                  &arena),
                     NGX_OK);
    assert_int_equal(message.stream_id, 6);
    assert_int_equal(message.signal, 99);
    assert_int_equal(message.has_resource, 1);
    assert_int_equal(message.npath, 0);
    assert_int_equal(message.has_identifier, 1);
    assert_int_equal(message.identifier.len, 0);

    native_expect(&message, "0109" "0806" "1063" "1e50" "267200", &arena);

    lib_arena_done(&arena);
}


static void
test_native_limits(void **state)
{
    char                       hex[128];
    ngx_uint_t                 n;
    ngx_str_t                  body;
    lib_arena_t                arena;
    ngx_iot_tree_limit_t       limit;
    ngx_iot_native_message_t   message;

    lib_arena_init(&arena);

    for (n = 0; n < 30; n++) {
        sprintf(hex, "2672%02x%.*s", (unsigned) n, (int) (2 * n),
                "505050505050505050505050505050505050505050505050505050505050"
                "50");
        assert_int_equal(native_parse(&message, hex, &arena),
                         n <= NGX_IOT_NATIVE_MAX_PATH ? NGX_OK : NGX_BUSY);
    }

    memset(&limit, 0, sizeof(limit));
    limit.depth = 1;
    limit.size = 4;

    body = lib_unhex(&arena, "3672027200");
    assert_int_equal(ngx_iot_native_parse(&message, body.data,
                                          body.data + body.len, &limit),
                     NGX_BUSY);

    body = lib_unhex(&arena, "1e4a056162636465");
    assert_int_equal(ngx_iot_native_parse(&message, body.data,
                                          body.data + body.len, &limit),
                     NGX_BUSY);

    lib_arena_done(&arena);
}


static void
test_native_build(void **state)
{
    ngx_uint_t                 i;
    lib_arena_t                arena;
    ngx_iot_tree_t            *tree;
    ngx_iot_native_message_t   message;

    lib_arena_init(&arena);

    memset(&message, 0, sizeof(message));
    message.signal = NGX_IOT_NATIVE_START_STREAM;
    message.stream_id = 150;
    message.has_resource = 1;
    message.npath = 1;
    message.path[0] = lib_str("env");
    message.tree = ngx_iot_tree_int(&arena.alloc, 2000);
    native_expect(&message, "0111" "089601" "1003" "2672054a03656e76"
                            "3608d00f", &arena);

    memset(&message, 0, sizeof(message));
    message.signal = NGX_IOT_NATIVE_REQUEST_ERROR;
    native_expect(&message, "01021002", &arena);

    /* a tree that cannot be encoded */

    tree = ngx_iot_tree_new(&arena.alloc, NGX_IOT_TREE_ARRAY);

    for (i = 0; i < NGX_IOT_TREE_MAX_DEPTH; i++) {
        message.tree = ngx_iot_tree_new(&arena.alloc, NGX_IOT_TREE_ARRAY);
        ngx_iot_tree_add(message.tree, tree);
        tree = message.tree;
    }

    assert_int_equal(ngx_iot_native_size(&message), 0);

    lib_arena_done(&arena);
}


static void
test_iotmp_refused(void **state)
{
    ngx_uint_t                i;
    lib_arena_t               arena;
    ngx_iot_iotmp_message_t   message;

    static const char  *cases[] = {
        "00", "01", "02",           /* field 0 */
        "0b00", "0c00", "0d00",     /* wires 3 to 7 */
        "0e00", "0f00",
        "0a05", "0905",             /* stream id as PSON */
        "088080808010",             /* stream id over 32 bits */
        "08",                       /* cut short */
        "0880",
        "1a", "1a8261", "1ac1816101" "1a",
        "19", "19" "4a0561",
        "1a63",                     /* no such value */
        "198001",
        "3b00",                     /* unknown field, unknown wire */
        "32" "85",                  /* unknown field cut short */
        "18ffffffffffffffffff02",   /* number over 64 bits */
    };

    lib_arena_init(&arena);

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (native_parse_iotmp(&message, NGX_IOT_IOTMP_RUN, 0, cases[i],
                               &arena)
            != NGX_DECLINED)
        {
            fail_msg("%s was not refused", cases[i]);
        }
    }

    lib_arena_done(&arena);
}


static void
test_iotmp_versions(void **state)
{
    ngx_str_t                 text;
    ngx_uint_t                i;
    lib_arena_t               arena;
    ngx_iot_iotmp_message_t   message;

    /* the first field that is no number decides, unless it is decided */

    static const struct {
        ngx_uint_t   before;
        const char  *hex;
        ngx_uint_t   after;
    } cases[] = {
        { 0, "", 0 },
        { 0, "0805", 0 },
        { 0, "10010805", 0 },
        { 0, "08051a00", 2 },
        { 0, "1001" "197200", 1 },
        { 0, "1138" "1a00", 1 },
        { 1, "1a00", 1 },
        { 2, "1938", 2 },
        { 2, "0805", 2 },
    };

    lib_arena_init(&arena);

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(native_parse_iotmp(&message, NGX_IOT_IOTMP_CONNECT,
                                            cases[i].before, cases[i].hex,
                                            &arena),
                         NGX_OK);
        assert_int_equal(message.version, cases[i].after);
    }

    /* where the first generation keeps the resource */

    for (i = NGX_IOT_IOTMP_OK; i <= NGX_IOT_IOTMP_STREAM_DATA; i++) {

        assert_int_equal(native_parse_iotmp(&message, i, 0,
                                            "194a0161" "214a0162", &arena),
                         NGX_OK);
        assert_int_equal(ngx_iot_iotmp_get_text(
                                  ngx_iot_iotmp_resource(&message), &text),
                         NGX_OK);

        if (i == NGX_IOT_IOTMP_DESCRIBE || i == NGX_IOT_IOTMP_START_STREAM) {
            assert_true(native_text_is(&text, "a"));
            assert_null(ngx_iot_iotmp_payload(&message));

        } else {
            assert_true(native_text_is(&text, "b"));
            assert_non_null(ngx_iot_iotmp_payload(&message));
        }

        assert_int_equal(native_parse_iotmp(&message, i, 0, "1a8161" "228162",
                                            &arena),
                         NGX_OK);
        assert_int_equal(ngx_iot_iotmp_get_text(
                                  ngx_iot_iotmp_resource(&message), &text),
                         NGX_OK);
        assert_true(native_text_is(&text, "b"));
        assert_non_null(ngx_iot_iotmp_payload(&message));
    }

    lib_arena_done(&arena);
}


/* both ways to call the server, in both generations */

static void
test_iotmp_call(void **state)
{
    uint64_t                  number;
    ngx_int_t                 rc;
    ngx_str_t                 text;
    ngx_uint_t                i;
    lib_arena_t               arena;
    ngx_iot_iotmp_field_t    *target;
    ngx_iot_iotmp_message_t   message;

    static const struct {
        const char  *hex;
        ngx_int_t    rc;
        uint64_t     number;
        const char  *target;
    } cases[] = {
        { "2005" "12826231", NGX_OK, 5, "b1" },
        { "2205" "12826231", NGX_OK, 5, "b1" },
        { "1005" "22826231", NGX_OK, 5, "b1" },
        { "1205" "22826231", NGX_OK, 5, "b1" },
        { "2001" "114a026231", NGX_OK, 1, "b1" },
        { "1140" "214a026231", NGX_OK, 1, "b1" },
        { "2008", NGX_OK, 8, NULL },
        { "1008", NGX_OK, 8, NULL },
        { "", NGX_DECLINED, 0, NULL },
        { "12826231" "22826231", NGX_DECLINED, 0, NULL },
        { "1225" "22826231", NGX_OK, 0, NULL },
        { "228162" "2225", NGX_DECLINED, 0, NULL },
        { "20ffffffffffffffffff01" "128161", NGX_OK, UINT64_MAX, "a" },
    };

    lib_arena_init(&arena);

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(native_parse_iotmp(&message, NGX_IOT_IOTMP_RUN, 0,
                                            cases[i].hex, &arena),
                         NGX_OK);

        target = NULL;
        rc = ngx_iot_iotmp_call(&message, &number, &target);

        /* a negative integer is no number of a call */

        if (strncmp(cases[i].hex, "1225", 4) == 0) {
            assert_int_equal(rc, NGX_DECLINED);
            continue;
        }

        assert_int_equal(rc, cases[i].rc);

        if (rc != NGX_OK) {
            continue;
        }

        assert_true(number == cases[i].number);

        if (cases[i].target == NULL) {
            assert_null(target);
            continue;
        }

        assert_int_equal(ngx_iot_iotmp_get_text(target, &text), NGX_OK);
        assert_true(native_text_is(&text, cases[i].target));
    }

    lib_arena_done(&arena);
}


static void
test_iotmp_fields(void **state)
{
    uint64_t                  number;
    ngx_str_t                 text;
    lib_arena_t               arena;
    ngx_iot_tree_t           *tree;
    ngx_iot_iotmp_message_t   message;

    lib_arena_init(&arena);

    /* the last of equal fields, in the place of the first; unknown ones */

    assert_int_equal(native_parse_iotmp(&message, NGX_IOT_IOTMP_RUN, 0,
                                        "0805" "1a07" "320a" "318001" "300a"
                                        "0806" "1a8161" "fa0160", &arena),
                     NGX_DECLINED);
    assert_int_equal(native_parse_iotmp(&message, NGX_IOT_IOTMP_RUN, 0,
                                        "0805" "1a07" "320a" "3140" "300a"
                                        "0806" "1a8161" "fa0160", &arena),
                     NGX_OK);
    assert_int_equal(message.nfields, 2);
    assert_int_equal(message.stream_id, 6);
    assert_int_equal(message.fields[0].id, NGX_IOT_IOTMP_STREAM_ID);
    assert_int_equal(ngx_iot_iotmp_get_text(ngx_iot_iotmp_payload(&message),
                                            &text),
                     NGX_OK);
    assert_true(native_text_is(&text, "a"));
    assert_null(ngx_iot_iotmp_field(&message, 6));

    /* what is not there is of no type */

    assert_int_equal(ngx_iot_iotmp_get_text(NULL, &text), NGX_DECLINED);
    assert_int_equal(ngx_iot_iotmp_get_number(NULL, &number), NGX_DECLINED);
    assert_int_equal(ngx_iot_iotmp_get_tree(NULL, &tree, NULL, &arena.alloc),
                     NGX_DECLINED);

    /* a bare number is a value like others */

    assert_int_equal(native_parse_iotmp(&message, NGX_IOT_IOTMP_RUN, 0,
                                        "182a", &arena),
                     NGX_OK);
    assert_int_equal(ngx_iot_iotmp_get_tree(ngx_iot_iotmp_payload(&message),
                                            &tree, NULL, &arena.alloc),
                     NGX_OK);
    assert_int_equal(tree->type, NGX_IOT_TREE_INT);
    assert_int_equal(tree->u.i, 42);

    arena.max = arena.n;
    assert_int_equal(ngx_iot_iotmp_get_tree(ngx_iot_iotmp_payload(&message),
                                            &tree, NULL, &arena.alloc),
                     NGX_ERROR);

    lib_arena_done(&arena);
}


static void
test_iotmp_build(void **state)
{
    ngx_str_t                 text, key, pson;
    lib_arena_t               arena;
    ngx_iot_tree_t           *tree;
    ngx_iot_iotmp_message_t   message;

    lib_arena_init(&arena);

    tree = ngx_iot_tree_new(&arena.alloc, NGX_IOT_TREE_OBJECT);
    key = lib_str("interval");
    ngx_iot_tree_put(tree, &key, ngx_iot_tree_int(&arena.alloc, 1000));

    text = lib_str("sum");

    ngx_iot_iotmp_init(&message, NGX_IOT_IOTMP_START_STREAM, 1, 210);
    assert_int_equal(ngx_iot_iotmp_set_tree(&message,
                                            NGX_IOT_IOTMP_PARAMETERS, tree),
                     NGX_OK);
    assert_int_equal(ngx_iot_iotmp_set_resource(&message, &text), NGX_OK);
    native_expect_iotmp(&message, "0818" "08d201"
                        "116a0c08696e74657276616c08e807" "194a0373756d",
                        &arena);

    ngx_iot_iotmp_init(&message, NGX_IOT_IOTMP_START_STREAM, 2, 210);
    assert_int_equal(ngx_iot_iotmp_set_tree(&message,
                                            NGX_IOT_IOTMP_PARAMETERS, tree),
                     NGX_OK);
    assert_int_equal(ngx_iot_iotmp_set_resource(&message, &text), NGX_OK);
    native_expect_iotmp(&message, "0816" "08d201"
                        "12c188696e74657276616c1fe807" "228373756d",
                        &arena);

    /* integers go as PSON too; a field is set once */

    ngx_iot_iotmp_init(&message, NGX_IOT_IOTMP_ERROR, 2, 17767);
    assert_int_equal(ngx_iot_iotmp_set_text(&message,
                                            NGX_IOT_IOTMP_PARAMETERS, &text),
                     NGX_OK);
    assert_int_equal(ngx_iot_iotmp_set_tree(&message,
                                         NGX_IOT_IOTMP_PARAMETERS,
                                         ngx_iot_tree_int(&arena.alloc, 2)),
                     NGX_OK);
    native_expect_iotmp(&message, "020608e78a011202", &arena);

    pson = lib_unhex(&arena, "a162");
    ngx_iot_iotmp_init(&message, NGX_IOT_IOTMP_STREAM_DATA, 2, 303);
    assert_int_equal(ngx_iot_iotmp_set_pson(&message, NGX_IOT_IOTMP_PAYLOAD,
                                            &pson),
                     NGX_OK);
    native_expect_iotmp(&message, "0a0608af021aa162", &arena);

    ngx_iot_iotmp_init(&message, NGX_IOT_IOTMP_OK, 2, 0);
    native_expect_iotmp(&message, "0100", &arena);

    text.len = 0;
    assert_int_equal(ngx_iot_iotmp_set_text(&message, NGX_IOT_IOTMP_PAYLOAD,
                                            &text),
                     NGX_OK);
    native_expect_iotmp(&message, "01021a80", &arena);

    /* ids that do not exist, a length that no frame can have */

    assert_int_equal(ngx_iot_iotmp_set_text(&message, 0, &text),
                     NGX_DECLINED);
    assert_int_equal(ngx_iot_iotmp_set_tree(&message, 6, tree),
                     NGX_DECLINED);
    assert_int_equal(ngx_iot_iotmp_set_pson(&message, 7, &pson),
                     NGX_DECLINED);

    text.len = (size_t) UINT32_MAX + 1;
    assert_int_equal(ngx_iot_iotmp_set_text(&message, NGX_IOT_IOTMP_PAYLOAD,
                                            &text),
                     NGX_OK);
    assert_int_equal(ngx_iot_iotmp_size(&message), 0);

    lib_arena_done(&arena);
}


static void
test_keep_alive(void **state)
{
    u_char  bytes[2];

    assert_ptr_equal(ngx_iot_native_keep_alive(bytes, NGX_IOT_DETECT_NATIVE),
                     bytes + 2);
    assert_memory_equal(bytes, "\x02\x00", 2);

    assert_ptr_equal(ngx_iot_native_keep_alive(bytes, NGX_IOT_DETECT_IOTMP),
                     bytes + 2);
    assert_memory_equal(bytes, "\x05\x00", 2);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_frame),
        cmocka_unit_test(test_detect),
        cmocka_unit_test(test_detect_decides),
        cmocka_unit_test(test_native_refused),
        cmocka_unit_test(test_native_lenient),
        cmocka_unit_test(test_native_limits),
        cmocka_unit_test(test_native_build),
        cmocka_unit_test(test_iotmp_refused),
        cmocka_unit_test(test_iotmp_versions),
        cmocka_unit_test(test_iotmp_call),
        cmocka_unit_test(test_iotmp_fields),
        cmocka_unit_test(test_iotmp_build),
        cmocka_unit_test(test_keep_alive),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);

    return cmocka_run_group_tests(tests, NULL, NULL);
}
