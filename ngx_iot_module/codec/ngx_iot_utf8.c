
/*
 * Copyright (C) the ngx_iot authors
 */


#include "ngx_iot_codec.h"
#include "ngx_iot_utf8.h"


#define NGX_IOT_UTF8_HIGH_BITS  0x8080808080808080ULL
#define NGX_IOT_UTF8_SPACES     0x2020202020202020ULL
#define NGX_IOT_UTF8_DELETES    0x7f7f7f7f7f7f7f7fULL
#define NGX_IOT_UTF8_ONES       0x0101010101010101ULL


static ngx_uint_t ngx_iot_utf8_start(ngx_iot_utf8_t *u, u_char c);
static const u_char *ngx_iot_utf8_skip_plain(const u_char *p,
    const u_char *end);
static ngx_uint_t ngx_iot_utf8_refused(uint32_t code);


/* table 3-7 of the Unicode standard, which is the ABNF of RFC 3629 */

static ngx_uint_t
ngx_iot_utf8_start(ngx_iot_utf8_t *u, u_char c)
{
    u->low = 0x80;
    u->high = 0xbf;

    if (c < 0xc2 || c > 0xf4) {
        return 0;
    }

    if (c < 0xe0) {
        u->need = 1;
        return 1;
    }

    if (c < 0xf0) {
        u->need = 2;

        if (c == 0xe0) {
            u->low = 0xa0;

        } else if (c == 0xed) {
            u->high = 0x9f;
        }

        return 1;
    }

    u->need = 3;

    if (c == 0xf0) {
        u->low = 0x90;

    } else if (c == 0xf4) {
        u->high = 0x8f;
    }

    return 1;
}


ngx_int_t
ngx_iot_utf8_update(ngx_iot_utf8_t *u, const u_char *p, const u_char *end)
{
    uint64_t  word;

    while (p < end) {

        if (u->need) {
            if (*p < u->low || *p > u->high) {
                return NGX_ERROR;
            }

            u->low = 0x80;
            u->high = 0xbf;
            u->need--;
            p++;

            continue;
        }

        if (*p < 0x80) {
            p++;

            while (end - p >= 8) {
                ngx_memcpy(&word, p, 8);

                if (word & NGX_IOT_UTF8_HIGH_BITS) {
                    break;
                }

                p += 8;
            }

            continue;
        }

        if (!ngx_iot_utf8_start(u, *p++)) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


ngx_int_t
ngx_iot_utf8_check(const u_char *p, size_t len)
{
    ngx_iot_utf8_t  u;

    if (len == 0) {
        return NGX_OK;
    }

    ngx_memzero(&u, sizeof(ngx_iot_utf8_t));

    if (ngx_iot_utf8_update(&u, p, p + len) != NGX_OK || u.need) {
        return NGX_ERROR;
    }

    return NGX_OK;
}


/*
 * Each term has the high bit of a byte set if the byte is not ASCII, under
 * 0x20 or 0x7f; a borrow may set one too many, which only costs a closer look.
 */

static const u_char *
ngx_iot_utf8_skip_plain(const u_char *p, const u_char *end)
{
    uint64_t  word;

    while (end - p >= 8) {
        ngx_memcpy(&word, p, 8);

        if ((word
             | (word - NGX_IOT_UTF8_SPACES)
             | ((word ^ NGX_IOT_UTF8_DELETES) - NGX_IOT_UTF8_ONES))
            & NGX_IOT_UTF8_HIGH_BITS)
        {
            break;
        }

        p += 8;
    }

    while (p < end && *p >= 0x20 && *p < 0x7f) {
        p++;
    }

    return p;
}


static ngx_uint_t
ngx_iot_utf8_refused(uint32_t code)
{
    return code < 0xa0
           || (code >= 0xfdd0 && code <= 0xfdef)
           || (code & 0xfffe) == 0xfffe;
}


ngx_int_t
ngx_iot_utf8_check_mqtt(const u_char *p, size_t len)
{
    uint32_t        code;
    const u_char   *end;
    ngx_iot_utf8_t  u;

    if (len == 0) {
        return NGX_OK;
    }

    end = p + len;

    for ( ;; ) {
        p = ngx_iot_utf8_skip_plain(p, end);

        if (p == end) {
            return NGX_OK;
        }

        if (!ngx_iot_utf8_start(&u, *p)) {
            return NGX_ERROR;
        }

        /* the lead byte has 5, 4 or 3 bits of the code */

        code = *p++ & (0x3f >> u.need);

        while (u.need) {
            if (p == end || *p < u.low || *p > u.high) {
                return NGX_ERROR;
            }

            code = (code << 6) | (*p++ & 0x3f);

            u.low = 0x80;
            u.high = 0xbf;
            u.need--;
        }

        if (ngx_iot_utf8_refused(code)) {
            return NGX_ERROR;
        }
    }
}
