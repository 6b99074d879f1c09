
/*
 * Copyright (C) the ngx_iot authors
 */


#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ngx_iot_codec.h"
#include "ngx_iot_utf8.h"
#include "ngx_iot_ws_frame.h"


#define check(condition)                                                      \
    do {                                                                      \
        if (!(condition)) {                                                   \
            abort();                                                          \
        }                                                                     \
    } while (0)


typedef struct {
    u_char         *log;            /* what came, without where it was cut */
    size_t          len;
    ngx_int_t       rc;
    ngx_uint_t      error;
} fuzz_run_t;


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


static void fuzz_play(fuzz_run_t *run, ngx_uint_t flags, const uint8_t *data,
    size_t size, size_t step);
static void fuzz_event(fuzz_run_t *run, const ngx_iot_ws_event_t *event);
static void fuzz_key(const uint8_t *data, size_t size);


/* the first byte sets the reader up; the rest comes whole and in pieces */

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_run_t  whole, pieces;

    if (size < 2) {
        return 0;
    }

    fuzz_key(data, size);

    fuzz_play(&whole, data[0], data + 1, size - 1, size);
    fuzz_play(&pieces, data[0], data + 1, size - 1, 1 + data[0] / 16);

    check(whole.rc == pieces.rc);
    check(whole.error == pieces.error);

    /* of a text that ends in bad UTF-8 the good beginning may have gone out */

    if (whole.error != NGX_IOT_WS_CLOSE_BAD_DATA) {
        check(whole.len == pieces.len);
        check(memcmp(whole.log, pieces.log, whole.len) == 0);
    }

    free(whole.log);
    free(pieces.log);

    return 0;
}


static void
fuzz_play(fuzz_run_t *run, ngx_uint_t flags, const uint8_t *data, size_t size,
    size_t step)
{
    size_t                n, len;
    u_char               *part, *pos, *end;
    ngx_iot_ws_event_t    event;
    ngx_iot_ws_reader_t   rd;

    memset(&rd, 0, sizeof(rd));

    rd.server = flags & 1;
    rd.binary_only = flags >> 1 & 1;
    rd.max_frame = (flags & 4) ? 100 : 0;
    rd.max_message = (flags & 8) ? 150 : 0;

    /* a frame has two bytes at least, an event adds no more than ten */

    run->log = malloc(size * 12);
    check(run->log != NULL);

    run->len = 0;
    run->rc = NGX_AGAIN;

    for (n = 0; n < size && run->rc == NGX_AGAIN; n += len) {
        len = (size - n < step) ? size - n : step;

        part = malloc(len);
        check(part != NULL);

        memcpy(part, data + n, len);

        pos = part;
        end = part + len;

        do {
            run->rc = ngx_iot_ws_read(&rd, &pos, end, &event);
            check(pos >= part && pos <= end);

            if (run->rc == NGX_OK) {
                fuzz_event(run, &event);
            }

        } while (run->rc == NGX_OK);

        check(run->rc == NGX_ERROR || pos == end);

        free(part);
    }

    run->error = rd.error;

    check((run->rc == NGX_ERROR) == (rd.error != 0));
    check(rd.max_message == 0 || run->rc == NGX_ERROR
          || rd.total <= rd.max_message);
}


static void
fuzz_event(fuzz_run_t *run, const ngx_iot_ws_event_t *event)
{
    u_char  *p;

    p = run->log + run->len;

    if (event->opcode >= NGX_IOT_WS_CLOSE) {
        check(event->data.len <= NGX_IOT_WS_CONTROL_MAX);
        *p++ = (u_char) event->opcode;
        *p++ = (u_char) (event->code >> 8);
        *p++ = (u_char) event->code;

    } else if (event->first) {
        *p++ = (u_char) event->opcode;
    }

    if (event->data.len) {
        memcpy(p, event->data.data, event->data.len);
        p += event->data.len;
    }

    if (event->last) {
        *p++ = 0xff;
    }

    run->len = p - run->log;
}


static void
fuzz_key(const uint8_t *data, size_t size)
{
    u_char      accept[NGX_IOT_WS_ACCEPT_LEN], frame[2 + 125], *end;
    ngx_int_t   rc;
    ngx_str_t   key;

    key.len = (size < 24) ? size : 24;
    key.data = malloc(key.len);
    check(key.data != NULL);

    memcpy(key.data, data, key.len);

    rc = ngx_iot_ws_accept(&key, accept);
    check(rc == NGX_DECLINED || (rc == NGX_OK && key.data[23] == '='));

    free(key.data);

    key.len = size;
    key.data = (u_char *) data;

    end = ngx_iot_ws_close(frame, NGX_IOT_WS_CLOSE_NORMAL, &key);
    check(end >= frame + 4 && end <= frame + sizeof(frame));
    check(end - frame == 2 + frame[1]);
}
