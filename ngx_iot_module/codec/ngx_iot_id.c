
/*
 * Copyright (C) the ngx_iot authors
 */


#include <sodium.h>
#include <openssl/evp.h>
#include "ngx_iot_id.h"


static ngx_int_t ngx_iot_hex_digit(u_char c);
static u_char *ngx_iot_base64_encode(u_char *dst, u_char *src, size_t len,
    const u_char *alphabet, ngx_uint_t padding);
static ngx_int_t ngx_iot_base64_decode(ngx_str_t *dst, u_char *src,
    size_t len, u_char c62, u_char c63);
static ngx_int_t ngx_iot_base64_digit(u_char c, u_char c62, u_char c63);


static const u_char  ngx_iot_hex_digits[] = "0123456789abcdef";

static const u_char  ngx_iot_base64_alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static const u_char  ngx_iot_base64url_alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";


ngx_int_t
ngx_iot_uuid_parse(u_char *uuid, u_char *text, size_t len)
{
    ngx_int_t   high, low;
    ngx_uint_t  i;

    if (len != NGX_IOT_UUID_LEN) {
        return NGX_DECLINED;
    }

    for (i = 0; i < NGX_IOT_UUID_SIZE; i++) {

        if (i == 4 || i == 6 || i == 8 || i == 10) {
            if (*text++ != '-') {
                return NGX_DECLINED;
            }
        }

        high = ngx_iot_hex_digit(*text++);
        low = ngx_iot_hex_digit(*text++);

        if (high < 0 || low < 0) {
            return NGX_DECLINED;
        }

        uuid[i] = (u_char) (high << 4 | low);
    }

    return NGX_OK;
}


u_char *
ngx_iot_uuid_text(u_char *dst, u_char *uuid)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_IOT_UUID_SIZE; i++) {

        if (i == 4 || i == 6 || i == 8 || i == 10) {
            *dst++ = '-';
        }

        *dst++ = ngx_iot_hex_digits[uuid[i] >> 4];
        *dst++ = ngx_iot_hex_digits[uuid[i] & 0xf];
    }

    return dst;
}


void
ngx_iot_uuid_random(u_char *uuid)
{
    randombytes_buf(uuid, NGX_IOT_UUID_SIZE);

    uuid[6] = (u_char) ((uuid[6] & 0x0f) | 0x40);
    uuid[8] = (u_char) ((uuid[8] & 0x3f) | 0x80);
}


u_char *
ngx_iot_hex(u_char *dst, u_char *src, size_t len)
{
    size_t  i;

    for (i = 0; i < len; i++) {
        *dst++ = ngx_iot_hex_digits[src[i] >> 4];
        *dst++ = ngx_iot_hex_digits[src[i] & 0xf];
    }

    return dst;
}


ngx_int_t
ngx_iot_unhex(u_char *dst, u_char *src, size_t len)
{
    size_t     i;
    ngx_int_t  high, low;

    if (len % 2 != 0) {
        return NGX_DECLINED;
    }

    for (i = 0; i < len; i += 2) {
        high = ngx_iot_hex_digit(src[i]);
        low = ngx_iot_hex_digit(src[i + 1]);

        if (high < 0 || low < 0) {
            return NGX_DECLINED;
        }

        *dst++ = (u_char) (high << 4 | low);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_iot_hex_digit(u_char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }

    c |= 0x20;

    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }

    return NGX_ERROR;
}


u_char *
ngx_iot_base64(u_char *dst, u_char *src, size_t len)
{
    return ngx_iot_base64_encode(dst, src, len, ngx_iot_base64_alphabet, 1);
}


u_char *
ngx_iot_base64url(u_char *dst, u_char *src, size_t len)
{
    return ngx_iot_base64_encode(dst, src, len, ngx_iot_base64url_alphabet, 0);
}


static u_char *
ngx_iot_base64_encode(u_char *dst, u_char *src, size_t len,
    const u_char *alphabet, ngx_uint_t padding)
{
    while (len >= 3) {
        *dst++ = alphabet[src[0] >> 2];
        *dst++ = alphabet[(src[0] & 0x03) << 4 | src[1] >> 4];
        *dst++ = alphabet[(src[1] & 0x0f) << 2 | src[2] >> 6];
        *dst++ = alphabet[src[2] & 0x3f];

        src += 3;
        len -= 3;
    }

    if (len == 0) {
        return dst;
    }

    *dst++ = alphabet[src[0] >> 2];

    if (len == 2) {
        *dst++ = alphabet[(src[0] & 0x03) << 4 | src[1] >> 4];
        *dst++ = alphabet[(src[1] & 0x0f) << 2];

    } else {
        *dst++ = alphabet[(src[0] & 0x03) << 4];

        if (padding) {
            *dst++ = '=';
        }
    }

    if (padding) {
        *dst++ = '=';
    }

    return dst;
}


ngx_int_t
ngx_iot_unbase64(ngx_str_t *dst, u_char *src, size_t len)
{
    if (len % 4 != 0) {
        return NGX_DECLINED;
    }

    if (len != 0 && src[len - 1] == '=') {
        len -= (src[len - 2] == '=') ? 2 : 1;
    }

    return ngx_iot_base64_decode(dst, src, len, '+', '/');
}


ngx_int_t
ngx_iot_unbase64url(ngx_str_t *dst, u_char *src, size_t len)
{
    return ngx_iot_base64_decode(dst, src, len, '-', '_');
}


/*
 * The decoder of libsodium 1.0.18 takes some bytes over 0x7f for digits, which
 * would give a token more than one spelling.
 */

static ngx_int_t
ngx_iot_base64_decode(ngx_str_t *dst, u_char *src, size_t len, u_char c62,
    u_char c63)
{
    u_char     *p;
    size_t      i;
    uint32_t    bits;
    ngx_int_t   digit;
    ngx_uint_t  n;

    p = dst->data;
    bits = 0;
    n = 0;

    for (i = 0; i < len; i++) {

        digit = ngx_iot_base64_digit(src[i], c62, c63);

        if (digit < 0) {
            return NGX_DECLINED;
        }

        bits = (bits << 6 | (uint32_t) digit) & 0xffff;
        n += 6;

        if (n >= 8) {
            n -= 8;
            *p++ = (u_char) (bits >> n);
        }
    }

    /* a whole digit over is no byte, and a rest must be zero */

    if (n >= 6 || (bits & ((1u << n) - 1)) != 0) {
        return NGX_DECLINED;
    }

    dst->len = p - dst->data;

    return NGX_OK;
}


static ngx_int_t
ngx_iot_base64_digit(u_char c, u_char c62, u_char c63)
{
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }

    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }

    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }

    if (c == c62) {
        return 62;
    }

    return (c == c63) ? 63 : NGX_ERROR;
}


void
ngx_iot_token(u_char *dst, size_t len)
{
    size_t  i;
    u_char  buf[32];

    static const u_char  alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

    while (len > 0) {
        randombytes_buf(buf, sizeof(buf));

        for (i = 0; i < sizeof(buf) && len > 0; i++) {

            /* 248 is the last multiple of 62: the rest would favor a few */

            if (buf[i] < 248) {
                *dst++ = alphabet[buf[i] % 62];
                len--;
            }
        }
    }

    sodium_memzero(buf, sizeof(buf));
}


ngx_uint_t
ngx_iot_secret_equal(u_char *a, size_t alen, u_char *b, size_t blen)
{
    if (alen != blen) {
        return 0;
    }

    return alen == 0 || sodium_memcmp(a, b, alen) == 0;
}


ngx_int_t
ngx_iot_sha3(u_char *dst, u_char *src, size_t len)
{
    u_char        hash[EVP_MAX_MD_SIZE];
    unsigned int  n;

    if (EVP_Digest(src, len, hash, &n, EVP_sha3_256(), NULL) != 1
        || n * 2 != NGX_IOT_SHA3_LEN)
    {
        return NGX_ERROR;
    }

    (void) ngx_iot_hex(dst, hash, n);

    return NGX_OK;
}
