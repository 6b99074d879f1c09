
/*
 * Copyright (C) the ngx_iot authors
 */


#include "ngx_iot_text.h"


ngx_uint_t
ngx_iot_text_char(u_char *p, u_char *last)
{
    u_char      c, low, high;
    ngx_uint_t  i, n;

    if (p == last) {
        return 0;
    }

    c = *p;
    low = 0x80;
    high = 0xbf;

    if (c < 0xc2) {
        return 0;
    }

    if (c < 0xe0) {
        n = 2;

    } else if (c < 0xf0) {
        n = 3;

        if (c == 0xe0) {
            low = 0xa0;

        } else if (c == 0xed) {
            high = 0x9f;
        }

    } else if (c < 0xf5) {
        n = 4;

        if (c == 0xf0) {
            low = 0x90;

        } else if (c == 0xf4) {
            high = 0x8f;
        }

    } else {
        return 0;
    }

    if ((size_t) (last - p) < n || p[1] < low || p[1] > high) {
        return 0;
    }

    for (i = 2; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
    }

    return n;
}


ngx_int_t
ngx_iot_text_check(u_char *p, size_t len)
{
    u_char      *last;
    uint64_t     word;
    ngx_uint_t   n;

    last = p + len;

    while (p < last) {

        if (last - p >= 8) {
            ngx_memcpy(&word, p, 8);

            if ((word & 0x8080808080808080) == 0) {
                p += 8;
                continue;
            }
        }

        if (*p < 0x80) {
            p++;
            continue;
        }

        n = ngx_iot_text_char(p, last);

        if (n == 0) {
            return NGX_DECLINED;
        }

        p += n;
    }

    return NGX_OK;
}


size_t
ngx_iot_text_count(u_char *p, size_t len)
{
    size_t  i, n;

    n = 0;

    for (i = 0; i < len; i++) {
        n += ((p[i] & 0xc0) != 0x80);
    }

    return n;
}


size_t
ngx_iot_text_cut(u_char *p, size_t len, size_t max)
{
    if (len <= max) {
        return len;
    }

    while (max > 0 && (p[max] & 0xc0) == 0x80) {
        max--;
    }

    return max;
}
