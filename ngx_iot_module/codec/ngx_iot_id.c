
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
    size_t len, int variant);


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
    return ngx_iot_base64_decode(dst, src, len,
                                 sodium_base64_VARIANT_ORIGINAL);
}


ngx_int_t
ngx_iot_unbase64url(ngx_str_t *dst, u_char *src, size_t len)
{
    return ngx_iot_base64_decode(dst, src, len,
                                 sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}


static ngx_int_t
ngx_iot_base64_decode(ngx_str_t *dst, u_char *src, size_t len, int variant)
{
    size_t       n;
    const char  *end;

    n = 0;
    end = NULL;

    if (len != 0
        && (sodium_base642bin(dst->data, len / 4 * 3 + 2, (const char *) src,
                              len, NULL, &n, &end, variant)
            != 0
            || end != (const char *) src + len))
    {
        return NGX_DECLINED;
    }

    dst->len = n;

    return NGX_OK;
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
