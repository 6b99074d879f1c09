
/*
 * Copyright (C) the ngx_iot authors
 */


#include "mqtt_lib.h"
#include "ngx_iot_ws_frame.h"


#define SERVER       0x01
#define BINARY_ONLY  0x02
#define TEXT_ONLY    0x04


typedef struct {
    const char   *name;
    ngx_uint_t    flags;
    const char   *bytes;
    ngx_uint_t    code;
    size_t        found;            /* after this many bytes */
} bad_t;


/* what a run over some bytes gave, all messages and events in one line */

typedef struct {
    char          line[4096];
    size_t        len;
    ngx_int_t     rc;
    ngx_uint_t    error;
    size_t        used;
} run_t;


/* RFC 6455; frames of a server unless the flag says that we are one */

static const bad_t  bad[] = {
    { "RSV1", 0, "c100", 1002, 1 },
    { "RSV2", 0, "a1", 1002, 1 },
    { "RSV3", 0, "91", 1002, 1 },
    { "opcode 3", 0, "83", 1002, 1 },
    { "opcode 7", 0, "87", 1002, 1 },
    { "opcode 11", 0, "8b", 1002, 1 },
    { "opcode 15", 0, "8f", 1002, 1 },
    { "continuation first", 0, "80", 1002, 1 },
    { "continuation first, not last", 0, "00", 1002, 1 },
    { "continuation after a message", 0, "820080", 1002, 3 },
    { "message inside a message", 0, "010082", 1002, 3 },
    { "text inside a text", 0, "0101'a'01", 1002, 4 },
    { "ping in fragments", 0, "09", 1002, 1 },
    { "close in fragments", 0, "08", 1002, 1 },
    { "long ping", 0, "897e", 1002, 2 },
    { "longest ping", 0, "897f", 1002, 2 },
    { "long close", 0, "887e", 1002, 2 },
    { "not masked", SERVER, "8200", 1002, 2 },
    { "ping not masked", SERVER, "8901", 1002, 2 },
    { "masked by a server", 0, "8280", 1002, 2 },
    { "16 bit length of 125", 0, "827e007d", 1002, 4 },
    { "64 bit length of 65535", 0, "827f000000000000ffff", 1002, 10 },
    { "64 bit length of 0", 0, "827f0000000000000000", 1002, 10 },
    { "negative length", 0, "827f8000000000000000", 1002, 10 },
    { "text to a binary reader", BINARY_ONLY, "81", 1003, 1 },
    { "binary to a text reader", TEXT_ONLY, "02", 1003, 1 },
    { "frame too long", 0, "827e03e9", 1009, 4 },
    { "frame of 2^63 - 1", 0, "827f7fffffffffffffff", 1009, 10 },
    { "frame too long, masked", SERVER, "82fe03e900000000", 1009, 8 },
    { "bad UTF-8", 0, "8101 ff", 1007, 3 },
    { "overlong UTF-8", 0, "8102 c080", 1007, 3 },
    { "surrogate", 0, "8103 eda080", 1007, 4 },
    { "cut in a character", 0, "8102 e282", 1007, 4 },
    { "cut in a character, in two frames", 0, "0101 e2 8001 82", 1007, 6 },
    { "bad UTF-8 in the second frame", 0, "0101 e2 8001 28", 1007, 6 },
    { "cut in a character, empty end", 0, "0101 c3 8000", 1007, 5 },
    { "close of one byte", 0, "880103", 1002, 3 },
    { "close code 999", 0, "8802 03e7", 1002, 4 },
    { "close code 1004", 0, "8802 03ec", 1002, 4 },
    { "close code 1005", 0, "8802 03ed", 1002, 4 },
    { "close code 1006", 0, "8802 03ee", 1002, 4 },
    { "close code 1015", 0, "8802 03f7", 1002, 4 },
    { "close code 2999", 0, "8802 0bb7", 1002, 4 },
    { "close code 5000", 0, "8802 1388", 1002, 4 },
    { "close reason of bad UTF-8", 0, "8803 03e8 ff", 1007, 5 }
};


static void
note(run_t *run, const char *text, const u_char *data, size_t len)
{
    assert_true(run->len + strlen(text) + len < sizeof(run->line));

    memcpy(run->line + run->len, text, strlen(text));
    run->len += strlen(text);

    if (len) {
        memcpy(run->line + run->len, data, len);
        run->len += len;
    }

    run->line[run->len] = '\0';
}


static void
note_event(run_t *run, const ngx_iot_ws_event_t *event)
{
    char  text[16];

    switch (event->opcode) {

    case NGX_IOT_WS_TEXT:
    case NGX_IOT_WS_BINARY:
        assert_true(event->data.len || event->last);
        note(run, event->first ? (event->opcode == NGX_IOT_WS_TEXT ? "T:"
                                                                   : "B:")
                               : "",
             event->data.data, event->data.len);
        note(run, event->last ? ";" : "", NULL, 0);
        break;

    case NGX_IOT_WS_PING:
        note(run, "<ping ", event->data.data, event->data.len);
        note(run, ">", NULL, 0);
        break;

    case NGX_IOT_WS_PONG:
        note(run, "<pong ", event->data.data, event->data.len);
        note(run, ">", NULL, 0);
        break;

    case NGX_IOT_WS_CLOSE:
        (void) snprintf(text, sizeof(text), "<close %u ",
                        (unsigned) event->code);
        note(run, text, event->data.data, event->data.len);
        note(run, ">", NULL, 0);
        break;

    default:
        fail_msg("event %lu", (unsigned long) event->opcode);
    }
}


/* in reads of "step" bytes, each in memory of its own */

static void
play(run_t *run, ngx_uint_t flags, const ngx_str_t *bytes, size_t step)
{
    size_t                n, len;
    u_char               *pos, *end;
    ngx_str_t             part;
    ngx_iot_ws_event_t    event;
    ngx_iot_ws_reader_t   rd;

    memset(&rd, 0, sizeof(rd));
    memset(run, 0, sizeof(run_t));

    rd.max_frame = 1000;
    rd.max_message = 1500;
    rd.server = (flags & SERVER) ? 1 : 0;
    rd.binary_only = (flags & BINARY_ONLY) ? 1 : 0;
    rd.text_only = (flags & TEXT_ONLY) ? 1 : 0;

    run->rc = NGX_AGAIN;

    for (n = 0; n < bytes->len && run->rc == NGX_AGAIN; n += len) {
        len = ngx_min(step, bytes->len - n);
        part = lib_copy(bytes->data + n, len);

        pos = part.data;
        end = pos + len;

        do {
            run->rc = ngx_iot_ws_read(&rd, &pos, end, &event);

            assert_true(pos <= end);

            if (run->rc == NGX_OK) {
                note_event(run, &event);
            }

        } while (run->rc == NGX_OK);

        if (run->rc != NGX_ERROR) {
            assert_ptr_equal(pos, end);
        }

        run->used = n + (pos - part.data);

        free(part.data);
    }

    run->error = rd.error;

    if (run->rc == NGX_ERROR) {
        assert_non_null(rd.detail);
        pos = NULL;
        assert_int_equal(ngx_iot_ws_read(&rd, &pos, pos, &event), NGX_ERROR);
    }
}


static void
test_bad(void **state)
{
    size_t      i;
    run_t       run;
    ngx_str_t   bytes;

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        bytes = lib_bytes(bad[i].bytes);

        play(&run, bad[i].flags, &bytes, bytes.len);

        if (run.rc != NGX_ERROR || run.error != bad[i].code) {
            fail_msg("%s: %ld, %lu", bad[i].name, (long) run.rc,
                     (unsigned long) run.error);
        }

        play(&run, bad[i].flags, &bytes, 1);

        if (run.rc != NGX_ERROR || run.error != bad[i].code
            || run.used != bad[i].found)
        {
            fail_msg("%s: %ld, %lu, after %lu", bad[i].name, (long) run.rc,
                     (unsigned long) run.error, (unsigned long) run.used);
        }

        free(bytes.data);
    }
}


/* the same events however the bytes are cut */

static void
check_events(ngx_uint_t flags, const char *text, ngx_int_t rc,
    const char *line)
{
    run_t       run;
    size_t      step;
    ngx_str_t   bytes;

    bytes = lib_bytes(text);

    for (step = 1; step <= bytes.len; step++) {
        play(&run, flags, &bytes, step);

        assert_int_equal(run.rc, rc);
        assert_string_equal(run.line, line);
    }

    free(bytes.data);
}


static void
test_events(void **state)
{
    /* the examples of section 5.7 */

    check_events(0, "8105'Hello'", NGX_AGAIN, "T:Hello;");
    check_events(SERVER, "8185 37fa213d 7f9f4d5158", NGX_AGAIN, "T:Hello;");
    check_events(0, "0103'Hel'8002'lo'", NGX_AGAIN, "T:Hello;");
    check_events(0, "8905'Hello'", NGX_AGAIN, "<ping Hello>");
    check_events(SERVER, "8a85 37fa213d 7f9f4d5158", NGX_AGAIN,
                 "<pong Hello>");

    /* control frames between fragments, empty fragments and messages */

    check_events(0, "0103'Hel'8900 0000 8a01'x' 8002'lo' 8200 8101'!'",
                 NGX_AGAIN, "T:Hel<ping ><pong x>lo;B:;T:!;");
    check_events(SERVER, "0280 00000000 0083 01010101 606362"
                         " 0080 ffffffff 8080 12345678",
                 NGX_AGAIN, "B:abc;");
    check_events(0, "0102 e282 8001 ac", NGX_AGAIN, "T:\xe2\x82\xac;");
    check_events(0, "8204 000000 ff", NGX_AGAIN, "B:");

    /* nothing after a close */

    check_events(0, "8800", NGX_DONE, "<close 1005 >");
    check_events(0, "8802 03e8", NGX_DONE, "<close 1000 >");
    check_events(0, "8806 0fa0 'bye!'", NGX_DONE, "<close 4000 bye!>");
}


static void
test_after_close(void **state)
{
    u_char               *pos, *end;
    ngx_str_t             bytes;
    ngx_iot_ws_event_t    event;
    ngx_iot_ws_reader_t   rd;

    bytes = lib_bytes("8802 03e8 ffffff");
    memset(&rd, 0, sizeof(rd));

    pos = bytes.data;
    end = pos + bytes.len;

    assert_int_equal(ngx_iot_ws_read(&rd, &pos, end, &event), NGX_OK);
    assert_int_equal(event.opcode, NGX_IOT_WS_CLOSE);
    assert_ptr_equal(pos, bytes.data + 4);
    assert_int_equal(ngx_iot_ws_read(&rd, &pos, end, &event), NGX_DONE);
    assert_ptr_equal(pos, end);

    free(bytes.data);
}


static void
test_message_limit(void **state)
{
    u_char               *p, *pos, *end, *frames;
    ngx_int_t             rc;
    ngx_iot_ws_event_t    event;
    ngx_iot_ws_reader_t   rd;

    memset(&rd, 0, sizeof(rd));
    rd.max_message = 1500;

    frames = calloc(1, 4096);
    assert_non_null(frames);

    /* 1000 and 500 bytes fit, and so does the next message */

    p = ngx_iot_ws_header(frames, NGX_IOT_WS_BINARY, 0, 1000, NULL) + 1000;
    p = ngx_iot_ws_header(p, NGX_IOT_WS_CONTINUATION, 1, 500, NULL) + 500;
    end = ngx_iot_ws_header(p, NGX_IOT_WS_BINARY, 0, 1000, NULL) + 1000;

    pos = frames;

    while ((rc = ngx_iot_ws_read(&rd, &pos, end, &event)) == NGX_OK) {
        assert_int_equal(event.data.data[0], 0);
    }

    assert_int_equal(rc, NGX_AGAIN);

    /* one byte too many is refused with its header */

    pos = frames;
    end = ngx_iot_ws_header(frames, NGX_IOT_WS_CONTINUATION, 1, 501, NULL);

    assert_int_equal(ngx_iot_ws_read(&rd, &pos, end, &event), NGX_ERROR);
    assert_int_equal(rd.error, NGX_IOT_WS_CLOSE_TOO_BIG);

    free(frames);
}


static void
check_header(uint64_t len, const u_char *mask, const char *expected)
{
    u_char      buf[NGX_IOT_WS_HEADER_MAX], *end;
    ngx_str_t   bytes;

    bytes = lib_bytes(expected);
    end = ngx_iot_ws_header(buf, NGX_IOT_WS_BINARY, 1, len, mask);

    assert_int_equal(end - buf, bytes.len);
    assert_memory_equal(buf, bytes.data, bytes.len);

    free(bytes.data);
}


static void
test_header(void **state)
{
    check_header(0, NULL, "8200");
    check_header(125, NULL, "827d");
    check_header(126, NULL, "827e007e");
    check_header(65535, NULL, "827effff");
    check_header(65536, NULL, "827f0000000000010000");
    check_header(0x0102030405060708ULL, NULL, "827f0102030405060708");
    check_header(5, (u_char *) "\1\2\3\4", "828501020304");
    check_header(65536, (u_char *) "\1\2\3\4", "82ff000000000001000001020304");
}


/* what is written is what is read, for all lengths around the steps */

static void
test_round_trip(void **state)
{
    size_t                len, n, got;
    u_char               *frame, *payload, *pos, *end;
    ngx_uint_t            last;
    ngx_iot_ws_event_t    event;
    ngx_iot_ws_reader_t   rd;

    static const u_char  mask[4] = { 0x9a, 0x00, 0xff, 0x31 };

    frame = malloc(66000);
    payload = malloc(66000);

    assert_non_null(frame);
    assert_non_null(payload);

    for (n = 0; n < 66000; n++) {
        payload[n] = (u_char) (n * 7 + n / 256);
    }

    memset(&rd, 0, sizeof(rd));
    rd.server = 1;

    for (len = 0; len < 66000 - 20; len += (len < 300) ? 1 : 5039) {
        pos = ngx_iot_ws_header(frame, NGX_IOT_WS_BINARY, 1, len, mask);

        memcpy(pos, payload, len);
        assert_int_equal(ngx_iot_ws_mask(pos, len, mask, 0), len & 3);

        end = pos + len;
        pos = frame;
        got = 0;
        last = 0;

        while (!last) {
            n = ngx_min((size_t) (end - pos), 1000);

            if (ngx_iot_ws_read(&rd, &pos, pos + n, &event) != NGX_OK) {
                assert_true(pos < end);
                continue;
            }

            assert_true(got + event.data.len <= len);
            assert_memory_equal(event.data.data, payload + got,
                                event.data.len);
            got += event.data.len;
            last = event.last;
        }

        assert_int_equal(got, len);
        assert_ptr_equal(pos, end);
    }

    free(frame);
    free(payload);
}


/* the fast way against the definition, at all phases and alignments */

static void
test_mask(void **state)
{
    size_t      len, i, shift;
    u_char      buf[64], key[4] = { 0x12, 0x34, 0x56, 0x78 };
    ngx_uint_t  phase;

    for (shift = 0; shift < 8; shift++) {
        for (phase = 0; phase < 4; phase++) {
            for (len = 0; len < 40; len++) {

                for (i = 0; i < sizeof(buf); i++) {
                    buf[i] = (u_char) i;
                }

                assert_int_equal(ngx_iot_ws_mask(buf + shift, len, key, phase),
                                 (phase + len) & 3);

                for (i = 0; i < sizeof(buf); i++) {
                    assert_int_equal(buf[i],
                                     (i < shift || i >= shift + len)
                                     ? i : i ^ key[(phase + i - shift) & 3]);
                }
            }
        }
    }
}


static void
test_close(void **state)
{
    u_char      buf[2 + NGX_IOT_WS_CONTROL_MAX], *end;
    char        text[200];
    ngx_str_t   reason;

    end = ngx_iot_ws_close(buf, NGX_IOT_WS_CLOSE_NO_STATUS, NULL);
    assert_int_equal(end - buf, 2);
    assert_memory_equal(buf, "\x88\0", 2);

    end = ngx_iot_ws_close(buf, NGX_IOT_WS_CLOSE_NORMAL, NULL);
    assert_int_equal(end - buf, 4);
    assert_memory_equal(buf, "\x88\2\x03\xe8", 4);

    reason = lib_str("bye");
    end = ngx_iot_ws_close(buf, NGX_IOT_WS_CLOSE_TOO_BIG, &reason);
    assert_int_equal(end - buf, 7);
    assert_memory_equal(buf, "\x88\5\x03\xf1" "bye", 7);

    /* 122 letters and the two bytes of a character that does not fit */

    memset(text, 'a', sizeof(text));
    text[122] = (char) 0xc3;
    text[123] = (char) 0xa9;

    reason.data = (u_char *) text;
    reason.len = 124;
    end = ngx_iot_ws_close(buf, NGX_IOT_WS_CLOSE_POLICY, &reason);
    assert_int_equal(end - buf, 4 + 122);
    assert_int_equal(buf[1], 124);

    memset(text, 'a', sizeof(text));
    reason.len = 123;
    end = ngx_iot_ws_close(buf, NGX_IOT_WS_CLOSE_POLICY, &reason);
    assert_int_equal(end - buf, 127);

    reason.len = 200;
    end = ngx_iot_ws_close(buf, NGX_IOT_WS_CLOSE_POLICY, &reason);
    assert_int_equal(end - buf, 127);
}


static void
test_accept(void **state)
{
    u_char      accept[NGX_IOT_WS_ACCEPT_LEN];
    size_t      i;
    ngx_str_t   key;

    static const char *const  refused[] = {
        "",
        "dGhlIHNhbXBsZSBub25jZQ=",
        "dGhlIHNhbXBsZSBub25jZQ==x",
        "dGhlIHNhbXBsZSBub25jZR==",
        "dGhlIHNhbXBsZSBub25jZQ=A",
        "dGhlIHNhbXBsZSBub25jZQAA",
        "dGhlIHNhbXBsZSBub25jZQA=",
        "dGhlIHNhbXBsZSBub25j Q==",
        " GhlIHNhbXBsZSBub25jZQ==",
        "dGhlIHNhbXBsZSBub25jZ!==",
        "========================",
        "dGhlIHNhbXBsZSBub25j\xffQ=="
    };

    /* section 1.3 */

    key = lib_bytes("'dGhlIHNhbXBsZSBub25jZQ=='");
    assert_int_equal(ngx_iot_ws_accept(&key, accept), NGX_OK);
    assert_memory_equal(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", 28);
    free(key.data);

    for (i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        key = lib_copy((const u_char *) refused[i], strlen(refused[i]));

        if (ngx_iot_ws_accept(&key, accept) != NGX_DECLINED) {
            fail_msg("key \"%s\"", refused[i]);
        }

        free(key.data);
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_events),
        cmocka_unit_test(test_after_close),
        cmocka_unit_test(test_message_limit),
        cmocka_unit_test(test_header),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_mask),
        cmocka_unit_test(test_close),
        cmocka_unit_test(test_accept)
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);

    return cmocka_run_group_tests(tests, NULL, NULL);
}
