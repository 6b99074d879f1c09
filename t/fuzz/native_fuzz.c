
/*
 * Copyright (C) the ngx_iot authors
 */


/*
 * First byte: the protocol, and the version of PSON of the connection.  The
 * rest is a stream of frames; every message that parses must build into one
 * that parses to the same and builds to the same bytes.
 */


#include <stdio.h>

#include "ngx_iot_native.h"


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_expect(int truth, const char *text);
static void *fuzz_alloc(void *data, size_t size);
static u_char *fuzz_body(ngx_uint_t protocol, u_char *pos, size_t size);
static void fuzz_native(u_char *pos, u_char *end);
static void fuzz_iotmp(ngx_uint_t type, ngx_uint_t *version, u_char *pos,
    u_char *end);
static void fuzz_values(ngx_iot_iotmp_message_t *message);


static void
fuzz_expect(int truth, const char *text)
{
    if (!truth) {
        fprintf(stderr, "broken: %s\n", text);
        abort();
    }
}


/* room for the few values that are decoded here; then there is none */

static void *
fuzz_alloc(void *data, size_t size)
{
    size_t  *used, at;

    static max_align_t  room[4096];

    used = data;
    size = (size + sizeof(max_align_t) - 1) / sizeof(max_align_t);
    at = *used;

    if (size > sizeof(room) / sizeof(room[0]) - at) {
        return NULL;
    }

    *used += size;

    return &room[at];
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    u_char                  *pos, *end;
    ngx_int_t                rc;
    ngx_uint_t               protocol, version, guess;
    ngx_iot_native_frame_t   frame;

    if (size == 0) {
        return 0;
    }

    protocol = (data[0] & 1) ? NGX_IOT_DETECT_IOTMP : NGX_IOT_DETECT_NATIVE;
    version = (data[0] >> 1) % 3;

    pos = (u_char *) data + 1;
    end = (u_char *) data + size;

    rc = ngx_iot_native_detect(&guess, pos, end);
    fuzz_expect(rc != NGX_AGAIN || size < 17, "sixteen bytes decide");

    for ( ;; ) {

        rc = ngx_iot_native_frame(&frame, protocol, &pos, end, 4096);

        if (rc != NGX_OK || frame.size > (size_t) (end - pos)) {
            break;
        }

        fuzz_expect(frame.size <= 4096, "frames are bounded");

        if (protocol == NGX_IOT_DETECT_IOTMP) {
            fuzz_iotmp(frame.type, &version, pos, pos + frame.size);

        } else {
            fuzz_native(pos, pos + frame.size);
        }

        pos += frame.size;
    }

    return 0;
}


/* the body of a frame that was just built */

static u_char *
fuzz_body(ngx_uint_t protocol, u_char *pos, size_t size)
{
    u_char                  *end;
    ngx_iot_native_frame_t   frame;

    end = pos + size;

    fuzz_expect(ngx_iot_native_frame(&frame, protocol, &pos, end, size)
                == NGX_OK,
                "what was built is a frame");
    fuzz_expect(frame.size == (size_t) (end - pos),
                "what was built is one frame");

    return pos;
}


static void
fuzz_native(u_char *pos, u_char *end)
{
    size_t                     size;
    u_char                    *first, *second;
    ngx_iot_native_message_t   message, again;

    if (ngx_iot_native_parse(&message, pos, end, NULL) != NGX_OK) {
        return;
    }

    size = ngx_iot_native_size(&message);
    fuzz_expect(size >= 2, "what was parsed can be built");

    first = malloc(size);
    second = malloc(size);

    fuzz_expect(ngx_iot_native_write(first, &message) == first + size,
                "the size is exact");
    fuzz_expect(ngx_iot_native_parse(&again,
                                     fuzz_body(NGX_IOT_DETECT_NATIVE, first,
                                               size),
                                     first + size, NULL)
                == NGX_OK,
                "what was built parses");

    fuzz_expect(again.signal == message.signal
                && again.stream_id == message.stream_id
                && again.npath == message.npath
                && again.has_identifier == message.has_identifier
                && again.has_resource == message.has_resource
                && again.identifier.len == message.identifier.len
                && again.payload.len == message.payload.len,
                "it says the same");

    fuzz_expect(ngx_iot_native_size(&again) == size,
                "the size is the same again");
    (void) ngx_iot_native_write(second, &again);
    fuzz_expect(memcmp(first, second, size) == 0,
                "the bytes are the same again");

    free(first);
    free(second);
}


static void
fuzz_iotmp(ngx_uint_t type, ngx_uint_t *version, u_char *pos, u_char *end)
{
    size_t                    size;
    u_char                   *first, *second;
    ngx_iot_iotmp_message_t   message, again;

    if (ngx_iot_iotmp_parse(&message, type, *version, pos, end, NULL)
        != NGX_OK)
    {
        return;
    }

    fuzz_expect(*version == 0 || message.version == *version,
                "the version stays");

    *version = message.version;

    size = ngx_iot_iotmp_size(&message);
    fuzz_expect(size >= 2, "what was parsed can be built");

    first = malloc(size);
    second = malloc(size);

    fuzz_expect(ngx_iot_iotmp_write(first, &message) == first + size,
                "the size is exact");
    fuzz_expect(ngx_iot_iotmp_parse(&again, type, *version,
                                    fuzz_body(NGX_IOT_DETECT_IOTMP, first,
                                              size),
                                    first + size, NULL)
                == NGX_OK,
                "what was built parses");

    fuzz_expect(again.stream_id == message.stream_id
                && again.nfields == message.nfields,
                "it says the same");

    fuzz_expect(ngx_iot_iotmp_size(&again) == size,
                "the size is the same again");
    (void) ngx_iot_iotmp_write(second, &again);
    fuzz_expect(memcmp(first, second, size) == 0,
                "the bytes are the same again");

    fuzz_values(&again);

    free(first);
    free(second);
}


static void
fuzz_values(ngx_iot_iotmp_message_t *message)
{
    size_t                  used;
    uint64_t                number;
    ngx_int_t               rc;
    ngx_str_t               text;
    ngx_uint_t              i;
    ngx_iot_tree_t         *tree;
    ngx_iot_alloc_t         alloc;
    ngx_iot_iotmp_field_t  *field, *target;

    alloc.alloc = fuzz_alloc;
    alloc.data = &used;

    for (i = 0; i < message->nfields; i++) {
        field = &message->fields[i];
        used = 0;

        rc = ngx_iot_iotmp_get_tree(field, &tree, NULL, &alloc);
        fuzz_expect(rc == NGX_OK || rc == NGX_ERROR,
                    "a checked value decodes");

        if (rc == NGX_OK) {
            fuzz_expect((ngx_iot_iotmp_get_text(field, &text) == NGX_OK)
                        == (tree->type == NGX_IOT_TREE_TEXT),
                        "a text is a text");
            fuzz_expect((ngx_iot_iotmp_get_number(field, &number) == NGX_OK)
                        == (tree->type == NGX_IOT_TREE_UINT
                            || (tree->type == NGX_IOT_TREE_INT
                                && tree->u.i >= 0)),
                        "a number is a number");
        }
    }

    (void) ngx_iot_iotmp_call(message, &number, &target);
    (void) ngx_iot_iotmp_resource(message);
    (void) ngx_iot_iotmp_payload(message);
}
