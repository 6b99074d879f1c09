
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _MQTT_LIB_H_INCLUDED_
#define _MQTT_LIB_H_INCLUDED_


#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "ngx_iot_codec.h"
#include "ngx_iot_mqtt_packet.h"


/*
 * Bytes as the tests write them: hex digits, 'text', * for the variable byte
 * integer that counts all that follows it, and [...] for one that counts what
 * is in the brackets, followed by that.
 */


static inline size_t
lib_bytes_scan(const char *text, u_char *dst, const char **stop)
{
    char         digits[3];
    size_t       n, rest;
    const char  *close;

    n = 0;
    digits[2] = '\0';

    while (*text && *text != ']') {

        if (*text == ' ') {
            text++;
            continue;
        }

        if (*text == '\'') {
            for (text++; *text != '\''; text++, n++) {
                if (dst) {
                    dst[n] = (u_char) *text;
                }
            }

            text++;
            continue;
        }

        if (*text == '*' || *text == '[') {
            rest = lib_bytes_scan(text + 1, NULL, &close);

            if (dst) {
                (void) ngx_iot_mqtt_varint_write(dst + n, rest);
            }

            n += ngx_iot_mqtt_varint_size(rest);

            if (*text++ == '[') {
                (void) lib_bytes_scan(text, dst ? dst + n : NULL, &close);
                n += rest;
                text = close + 1;
            }

            continue;
        }

        digits[0] = text[0];
        digits[1] = text[1];

        if (dst) {
            dst[n] = (u_char) strtoul(digits, NULL, 16);
        }

        n++;
        text += 2;
    }

    *stop = text;

    return n;
}


/* memory of the exact size, so that a byte too far is found */

static inline ngx_str_t
lib_bytes(const char *text)
{
    ngx_str_t    s;
    const char  *stop;

    s.len = lib_bytes_scan(text, NULL, &stop);
    s.data = malloc(s.len + !s.len);

    assert_non_null(s.data);

    (void) lib_bytes_scan(text, s.data, &stop);

    return s;
}


static inline ngx_str_t
lib_copy(const u_char *p, size_t len)
{
    ngx_str_t  s;

    s.len = len;
    s.data = malloc(len + !len);

    assert_non_null(s.data);

    if (len) {
        memcpy(s.data, p, len);
    }

    return s;
}


static inline ngx_str_t
lib_str(const char *text)
{
    ngx_str_t  s;

    s.len = strlen(text);
    s.data = (u_char *) text;

    return s;
}


#define lib_assert_str(s, text)                                               \
    do {                                                                      \
        assert_int_equal((s).len, strlen(text));                              \
        if ((s).len) {                                                        \
            assert_memory_equal((s).data, text, (s).len);                     \
        }                                                                     \
    } while (0)


#endif /* _MQTT_LIB_H_INCLUDED_ */
