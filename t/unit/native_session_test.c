
/*
 * Copyright (C) the ngx_iot authors
 */


#include "tree_lib.h"
#include "ngx_iot_native.h"


typedef struct {
    ngx_iot_tree_t  *sessions;
    ngx_iot_tree_t  *session;
    ngx_iot_tree_t  *frame;
    ngx_uint_t       protocol;
    ngx_uint_t       version;
    ngx_str_t        bytes;
    ngx_iot_tree_t  *decoded;
} native_record_t;


static ngx_uint_t native_next(native_record_t *record, lib_arena_t *arena);
static ngx_uint_t native_index(const char **names, const char *name);
static u_char *native_body(native_record_t *record, ngx_uint_t *type);
static void native_check(native_record_t *record, lib_arena_t *arena);
static void native_check_iotmp(native_record_t *record, ngx_uint_t type,
    lib_arena_t *arena);
static void native_check_value(ngx_iot_tree_t *expected,
    ngx_iot_iotmp_field_t *field, lib_arena_t *arena);
static ngx_uint_t native_text_is(ngx_str_t *text, const char *expected);


static const char  *native_types[] = { "", "MESSAGE", "KEEP_ALIVE", NULL };

static const char  *native_signals[] = {
    "RUN", "OK", "ERROR", "START_STREAM", "STOP_STREAM", "AUTH",
    "STREAM_EVENT", "STREAM_SAMPLE", "CALL_ENDPOINT", "CALL_DEVICE",
    "BUCKET_DATA", "GET_PROPERTY", "SET_PROPERTY", NULL
};

static const char  *native_iotmp_types[] = {
    "", "OK", "ERROR", "CONNECT", "DISCONNECT", "KEEP_ALIVE", "RUN",
    "DESCRIBE", "START_STREAM", "STOP_STREAM", "STREAM_DATA", NULL
};


/* the recorded frames, one after the other; the file is loaded at first */

static ngx_uint_t
native_next(native_record_t *record, lib_arena_t *arena)
{
    const char      *name;
    ngx_iot_tree_t  *hex;

    if (record->sessions == NULL) {
        record->sessions = lib_get(lib_load("t/data/thinger_native.json",
                                            arena),
                                   "sessions");
        assert_non_null(record->sessions);
    }

    for ( ;; ) {

        if (record->frame) {
            record->frame = record->frame->next;
        }

        while (record->frame == NULL) {
            record->session = record->session
                              ? record->session->next
                              : record->sessions->u.list.first;

            if (record->session == NULL) {
                return 0;
            }

            record->frame = lib_get(record->session,
                                    "frames")->u.list.first;
            name = lib_text(record->session, "protocol", arena);

            record->protocol = strcmp(name, "native") == 0
                               ? NGX_IOT_DETECT_NATIVE
                               : NGX_IOT_DETECT_IOTMP;
            record->version = strstr(name, "v1") ? 1 : 2;

            if (record->protocol == NGX_IOT_DETECT_NATIVE) {
                record->version = 1;
            }
        }

        /* some stand for the end of the connection, or are HTTP */

        hex = lib_get(record->frame, "hex");

        if (hex && hex->u.s.len) {
            record->bytes = lib_unhex(arena, lib_text(record->frame, "hex",
                                                      arena));
            record->decoded = lib_get(record->frame, "decoded");
            return 1;
        }
    }
}


static ngx_uint_t
native_index(const char **names, const char *name)
{
    ngx_uint_t  i;

    for (i = 0; names[i]; i++) {
        if (strcmp(names[i], name) == 0) {
            return i;
        }
    }

    fail_msg("unknown name %s", name);

    return 0;
}


static u_char *
native_body(native_record_t *record, ngx_uint_t *type)
{
    u_char                  *pos, *end;
    ngx_iot_native_frame_t   frame;

    pos = record->bytes.data;
    end = pos + record->bytes.len;

    assert_int_equal(ngx_iot_native_frame(&frame, record->protocol, &pos,
                                          end, NGX_IOT_NATIVE_MAX_SIZE),
                     NGX_OK);
    assert_int_equal(frame.size, end - pos);

    *type = frame.type;

    return pos;
}


static ngx_uint_t
native_text_is(ngx_str_t *text, const char *expected)
{
    return text->len == strlen(expected)
           && memcmp(text->data, expected, text->len) == 0;
}


/* every recorded frame reads as the recording says */

static void
test_sessions_parse(void **state)
{
    ngx_uint_t        type, n;
    lib_arena_t       arena;
    native_record_t   record;

    lib_arena_init(&arena);
    memset(&record, 0, sizeof(record));

    for (n = 0; native_next(&record, &arena); n++) {

        (void) native_body(&record, &type);

        assert_int_equal(native_index(record.protocol
                                      == NGX_IOT_DETECT_NATIVE
                                      ? native_types : native_iotmp_types,
                                      lib_text(record.decoded, "type",
                                               &arena)),
                         type);

        if (record.protocol == NGX_IOT_DETECT_IOTMP) {
            native_check_iotmp(&record, type, &arena);

        } else if (type == NGX_IOT_NATIVE_MESSAGE) {
            native_check(&record, &arena);
        }
    }

    assert_true(n > 300);

    lib_arena_done(&arena);
}


static void
native_check(native_record_t *record, lib_arena_t *arena)
{
    u_char                    *body, *pos;
    ngx_uint_t                 type, i;
    const char                *text;
    ngx_iot_tree_t            *item, *tree;
    ngx_iot_native_message_t   message;

    body = native_body(record, &type);

    assert_int_equal(ngx_iot_native_parse(&message, body,
                                          record->bytes.data
                                          + record->bytes.len, NULL),
                     NGX_OK);

    assert_int_equal(message.signal,
                     native_index(native_signals,
                                  lib_text(record->decoded, "signal_flag",
                                           arena)));

    item = lib_get(record->decoded, "stream_id");
    assert_int_equal(message.stream_id, item ? item->u.i : 0);

    text = lib_text(record->decoded, "identifier", arena);
    assert_int_equal(message.has_identifier, text != NULL);
    assert_true(text == NULL || native_text_is(&message.identifier, text));

    item = lib_get(record->decoded, "resource");
    assert_int_equal(message.has_resource, item != NULL);

    if (item) {
        assert_int_equal(message.npath, item->u.list.n);
        item = item->u.list.first;

        for (i = 0; i < message.npath; i++, item = item->next) {
            assert_int_equal(item->u.s.len, message.path[i].len);
            assert_memory_equal(item->u.s.data, message.path[i].data,
                                item->u.s.len);
        }
    }

    item = lib_get(record->decoded, "payload");
    assert_int_equal(message.payload.data != NULL, item != NULL);

    if (item) {
        pos = message.payload.data;
        assert_int_equal(ngx_iot_pson_decode(&tree, 1, &pos,
                                             pos + message.payload.len, NULL,
                                             &arena->alloc),
                         NGX_OK);
        assert_ptr_equal(pos, message.payload.data + message.payload.len);
        assert_true(ngx_iot_tree_equal(tree, lib_value(item, arena)));
    }
}


static void
native_check_iotmp(native_record_t *record, ngx_uint_t type,
    lib_arena_t *arena)
{
    u_char                   *body;
    ngx_iot_tree_t           *item;
    ngx_iot_iotmp_message_t   message;

    body = native_body(record, &type);

    assert_int_equal(ngx_iot_iotmp_parse(&message, type, record->version,
                                         body,
                                         record->bytes.data
                                         + record->bytes.len, NULL),
                     NGX_OK);
    assert_int_equal(message.version, record->version);

    item = lib_get(record->decoded, "stream_id");
    assert_int_equal(message.stream_id, item ? item->u.i : 0);

    native_check_value(lib_get(record->decoded, "parameters"),
                       ngx_iot_iotmp_field(&message,
                                           NGX_IOT_IOTMP_PARAMETERS),
                       arena);
    native_check_value(lib_get(record->decoded, "payload"),
                       ngx_iot_iotmp_payload(&message), arena);
    native_check_value(lib_get(record->decoded, "resource"),
                       ngx_iot_iotmp_resource(&message), arena);
}


static void
native_check_value(ngx_iot_tree_t *expected, ngx_iot_iotmp_field_t *field,
    lib_arena_t *arena)
{
    ngx_str_t        text;
    uint64_t         number;
    ngx_iot_tree_t  *tree;

    if (expected == NULL) {
        assert_null(field);
        return;
    }

    assert_non_null(field);

    assert_int_equal(ngx_iot_iotmp_get_tree(field, &tree, NULL,
                                            &arena->alloc),
                     NGX_OK);
    assert_true(ngx_iot_tree_equal(tree, lib_value(expected, arena)));

    assert_int_equal(ngx_iot_iotmp_get_text(field, &text),
                     expected->type == NGX_IOT_TREE_TEXT ? NGX_OK
                                                         : NGX_DECLINED);
    assert_int_equal(ngx_iot_iotmp_get_number(field, &number),
                     expected->type == NGX_IOT_TREE_INT
                     && expected->u.i >= 0 ? NGX_OK : NGX_DECLINED);
}


/*
 * Every recorded frame is built again byte for byte: out of what was parsed,
 * and once more with all PSON decoded and encoded.
 */

static void
test_sessions_rebuild(void **state)
{
    u_char                    *body, *end, *p, *pos;
    ngx_uint_t                 type, n, i;
    ngx_str_t                  text;
    lib_arena_t                arena;
    ngx_iot_tree_t            *tree;
    native_record_t            record;
    ngx_iot_iotmp_field_t     *field;
    ngx_iot_iotmp_message_t    iotmp;
    ngx_iot_native_message_t   message;

    lib_arena_init(&arena);
    memset(&record, 0, sizeof(record));

    for (n = 0; native_next(&record, &arena); n++) {

        body = native_body(&record, &type);
        end = record.bytes.data + record.bytes.len;
        p = lib_alloc(&arena, record.bytes.len);

        if (record.protocol == NGX_IOT_DETECT_IOTMP) {

            assert_int_equal(ngx_iot_iotmp_parse(&iotmp, type,
                                                 record.version, body, end,
                                                 NULL),
                             NGX_OK);

            assert_int_equal(ngx_iot_iotmp_size(&iotmp), record.bytes.len);
            assert_ptr_equal(ngx_iot_iotmp_write(p, &iotmp),
                             p + record.bytes.len);
            assert_memory_equal(p, record.bytes.data, record.bytes.len);

            for (i = 0; i < iotmp.nfields; i++) {
                field = &iotmp.fields[i];

                if (field->wire == NGX_IOT_IOTMP_WIRE_NUMBER) {
                    continue;
                }

                if (ngx_iot_iotmp_get_text(field, &text) == NGX_OK) {
                    assert_int_equal(ngx_iot_iotmp_set_text(&iotmp,
                                                            field->id, &text),
                                     NGX_OK);
                    continue;
                }

                assert_int_equal(ngx_iot_iotmp_get_tree(field, &tree, NULL,
                                                        &arena.alloc),
                                 NGX_OK);
                assert_int_equal(ngx_iot_iotmp_set_tree(&iotmp, field->id,
                                                        tree),
                                 NGX_OK);
            }

            memset(p, 0, record.bytes.len);
            assert_int_equal(ngx_iot_iotmp_size(&iotmp), record.bytes.len);
            assert_ptr_equal(ngx_iot_iotmp_write(p, &iotmp),
                             p + record.bytes.len);
            assert_memory_equal(p, record.bytes.data, record.bytes.len);

            continue;
        }

        if (type == NGX_IOT_NATIVE_KEEP_ALIVE) {
            assert_ptr_equal(ngx_iot_native_keep_alive(p, record.protocol),
                             p + record.bytes.len);
            assert_memory_equal(p, record.bytes.data, record.bytes.len);
            continue;
        }

        assert_int_equal(ngx_iot_native_parse(&message, body, end, NULL),
                         NGX_OK);

        assert_int_equal(ngx_iot_native_size(&message), record.bytes.len);
        assert_ptr_equal(ngx_iot_native_write(p, &message),
                         p + record.bytes.len);
        assert_memory_equal(p, record.bytes.data, record.bytes.len);

        if (message.payload.data) {
            pos = message.payload.data;
            assert_int_equal(ngx_iot_pson_decode(&message.tree, 1, &pos,
                                                 pos + message.payload.len,
                                                 NULL, &arena.alloc),
                             NGX_OK);
        }

        memset(p, 0, record.bytes.len);
        assert_int_equal(ngx_iot_native_size(&message), record.bytes.len);
        assert_ptr_equal(ngx_iot_native_write(p, &message),
                         p + record.bytes.len);
        assert_memory_equal(p, record.bytes.data, record.bytes.len);
    }

    assert_true(n > 300);

    lib_arena_done(&arena);
}


/* byte by byte: the header is ready with its last byte and not before */

static void
test_sessions_split(void **state)
{
    size_t                   len, header;
    u_char                  *pos, *body;
    ngx_str_t                cut;
    ngx_uint_t               type;
    lib_arena_t              arena, small;
    native_record_t          record;
    ngx_iot_native_frame_t   frame;

    lib_arena_init(&arena);
    lib_arena_init(&small);
    memset(&record, 0, sizeof(record));

    while (native_next(&record, &arena)) {

        body = native_body(&record, &type);
        header = body - record.bytes.data;

        for (len = 0; len < header; len++) {
            cut = lib_cut(&small, &record.bytes, len);
            pos = cut.data;

            assert_int_equal(ngx_iot_native_frame(&frame, record.protocol,
                                                  &pos, pos + len, 1 << 20),
                             NGX_AGAIN);
            assert_ptr_equal(pos, cut.data);
        }

        cut = lib_cut(&small, &record.bytes, header);
        pos = cut.data;

        assert_int_equal(ngx_iot_native_frame(&frame, record.protocol, &pos,
                                              pos + header, 1 << 20),
                         NGX_OK);
        assert_int_equal(frame.size, record.bytes.len - header);
        assert_int_equal(frame.type, type);

        lib_arena_done(&small);
    }

    lib_arena_done(&arena);
}


/*
 * A body cut short is malformed, unless it is cut between two fields; then
 * what is left says the same again when it is built.
 */

static void
test_sessions_truncated(void **state)
{
    size_t                     len, size, whole;
    u_char                    *body, *p;
    ngx_int_t                  rc;
    ngx_str_t                  from, cut;
    ngx_uint_t                 type;
    lib_arena_t                arena, small;
    native_record_t            record;
    ngx_iot_iotmp_message_t    iotmp;
    ngx_iot_native_message_t   message;

    lib_arena_init(&arena);
    lib_arena_init(&small);
    memset(&record, 0, sizeof(record));

    whole = 0;

    while (native_next(&record, &arena)) {

        body = native_body(&record, &type);
        from.data = body;
        from.len = record.bytes.data + record.bytes.len - body;

        for (len = 0; len < from.len; len++) {
            cut = lib_cut(&small, &from, len);
            p = lib_alloc(&small, len + 8);

            if (record.protocol == NGX_IOT_DETECT_IOTMP) {
                rc = ngx_iot_iotmp_parse(&iotmp, type, record.version,
                                         cut.data, cut.data + len, NULL);

                if (rc == NGX_OK) {
                    size = ngx_iot_iotmp_size(&iotmp);
                    assert_in_range(size, len + 2, len + 8);
                    assert_ptr_equal(ngx_iot_iotmp_write(p, &iotmp),
                                     p + size);
                }

            } else {
                rc = ngx_iot_native_parse(&message, cut.data, cut.data + len,
                                          NULL);

                if (rc == NGX_OK) {
                    size = ngx_iot_native_size(&message);
                    assert_in_range(size, len + 2, len + 8);
                    assert_ptr_equal(ngx_iot_native_write(p, &message),
                                     p + size);
                }
            }

            if (rc == NGX_OK) {
                assert_memory_equal(p + size - len, cut.data, len);
                whole++;

            } else {
                assert_int_equal(rc, NGX_DECLINED);
            }

            lib_arena_done(&small);
        }
    }

    assert_true(whole > 300);

    lib_arena_done(&arena);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_sessions_parse),
        cmocka_unit_test(test_sessions_rebuild),
        cmocka_unit_test(test_sessions_split),
        cmocka_unit_test(test_sessions_truncated),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);

    return cmocka_run_group_tests(tests, NULL, NULL);
}
