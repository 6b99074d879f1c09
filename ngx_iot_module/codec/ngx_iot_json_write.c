
/*
 * Copyright (C) the ngx_iot authors
 */


#include "ngx_iot_json.h"


size_t
ngx_iot_json_escape_size(u_char *src, size_t len)
{
    size_t  i, n;

    n = len;

    for (i = 0; i < len; i++) {

        switch (src[i]) {

        case '"':
        case '\\':
        case '\b':
        case '\f':
        case '\n':
        case '\r':
        case '\t':
            n++;
            break;

        default:
            if (src[i] < ' ') {
                n += 5;
            }
        }
    }

    return n;
}


u_char *
ngx_iot_json_escape(u_char *dst, u_char *src, size_t len)
{
    u_char  c, *last;

    static u_char  hex[] = "0123456789abcdef";

    /* what stands for a control character in the short escapes */

    static u_char  names[] = "uuuuuuuubtnufruuuuuuuuuuuuuuuuuu";

    for (last = src + len; src < last; src++) {
        c = *src;

        if (c >= ' ') {

            if (c == '"' || c == '\\') {
                *dst++ = '\\';
            }

            *dst++ = c;
            continue;
        }

        *dst++ = '\\';
        *dst++ = names[c];

        if (names[c] == 'u') {
            *dst++ = '0';
            *dst++ = '0';
            *dst++ = hex[c >> 4];
            *dst++ = hex[c & 0xf];
        }
    }

    return dst;
}


u_char *
ngx_iot_json_compact(u_char *dst, u_char *src, size_t len)
{
    u_char      c, *last;
    ngx_uint_t  string;

    string = 0;

    for (last = src + len; src < last; /* void */ ) {
        c = *src++;

        if (string) {
            *dst++ = c;

            if (c == '\\' && src < last) {
                *dst++ = *src++;

            } else if (c == '"') {
                string = 0;
            }

            continue;
        }

        if (c == ' ' || c == '\n' || c == '\r' || c == '\t') {
            continue;
        }

        if (c == '"') {
            string = 1;
        }

        *dst++ = c;
    }

    return dst;
}
