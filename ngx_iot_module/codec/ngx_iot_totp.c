
/*
 * Copyright (C) the ngx_iot authors
 */


#include "ngx_iot_totp.h"

#include <liboath/oath.h>
#include <sodium.h>
#include <time.h>


/* keeps step times period far from the end of time_t and of int64_t */

#define NGX_IOT_TOTP_TIME_MAX  INT64_C(253402300799)


static ngx_int_t ngx_iot_totp_check(const ngx_iot_totp_conf_t *conf,
    const ngx_str_t *secret, int64_t now);
static ngx_int_t ngx_iot_totp_step(const ngx_iot_totp_conf_t *conf,
    const ngx_str_t *secret, int64_t step,
    u_char code[NGX_IOT_TOTP_DIGITS_MAX + 1]);


static const int  ngx_iot_totp_flags[] = {
    0,
    OATH_TOTP_HMAC_SHA256,
    OATH_TOTP_HMAC_SHA512
};


void
ngx_iot_totp_defaults(ngx_iot_totp_conf_t *conf)
{
    conf->period = 30;
    conf->digits = NGX_IOT_TOTP_DIGITS_MIN;
    conf->back = 1;
    conf->ahead = 1;
    conf->hash = NGX_IOT_TOTP_SHA1;
}


ngx_int_t
ngx_iot_totp_make(const ngx_iot_totp_conf_t *conf, const ngx_str_t *secret,
    int64_t now, u_char code[NGX_IOT_TOTP_DIGITS_MAX + 1])
{
    if (ngx_iot_totp_check(conf, secret, now) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_iot_totp_step(conf, secret, now / (int64_t) conf->period, code);
}


ngx_int_t
ngx_iot_totp_verify(const ngx_iot_totp_conf_t *conf, const ngx_str_t *secret,
    const u_char *code, size_t len, int64_t now, int64_t last_step,
    int64_t *step)
{
    u_char      expected[NGX_IOT_TOTP_DIGITS_MAX + 1];
    int64_t     current, n;
    ngx_int_t   rc;
    ngx_uint_t  same;

    if (ngx_iot_totp_check(conf, secret, now) != NGX_OK) {
        return NGX_ERROR;
    }

    if (code == NULL || len != conf->digits) {
        return NGX_DECLINED;
    }

    rc = NGX_DECLINED;
    current = now / (int64_t) conf->period;

    for (n = ngx_max(0, current - (int64_t) conf->back);
         n <= current + (int64_t) conf->ahead;
         n++)
    {
        if (ngx_iot_totp_step(conf, secret, n, expected) != NGX_OK) {
            rc = NGX_ERROR;
            break;
        }

        same = (sodium_memcmp(expected, code, len) == 0);

        if (!same || rc == NGX_OK) {
            continue;
        }

        rc = (n > last_step) ? NGX_OK : NGX_BUSY;
        *step = n;
    }

    sodium_memzero(expected, sizeof(expected));

    return rc;
}


static ngx_int_t
ngx_iot_totp_check(const ngx_iot_totp_conf_t *conf, const ngx_str_t *secret,
    int64_t now)
{
    if (conf == NULL
        || conf->period < 1
        || conf->period > NGX_IOT_TOTP_PERIOD_MAX
        || conf->digits < NGX_IOT_TOTP_DIGITS_MIN
        || conf->digits > NGX_IOT_TOTP_DIGITS_MAX
        || conf->back > NGX_IOT_TOTP_WINDOW_MAX
        || conf->ahead > NGX_IOT_TOTP_WINDOW_MAX
        || (ngx_uint_t) conf->hash >= NGX_IOT_TOTP_HASHES)
    {
        return NGX_ERROR;
    }

    if (secret == NULL
        || secret->data == NULL
        || secret->len < NGX_IOT_TOTP_SECRET_MIN
        || secret->len > NGX_IOT_TOTP_SECRET_MAX)
    {
        return NGX_ERROR;
    }

    if (now < 0 || now > NGX_IOT_TOTP_TIME_MAX) {
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_iot_totp_step(const ngx_iot_totp_conf_t *conf, const ngx_str_t *secret,
    int64_t step, u_char code[NGX_IOT_TOTP_DIGITS_MAX + 1])
{
    int  rc;

    rc = oath_totp_generate2((const char *) secret->data, secret->len,
                             (time_t) (step * (int64_t) conf->period),
                             (unsigned) conf->period,
                             OATH_TOTP_DEFAULT_START_TIME,
                             (unsigned) conf->digits,
                             ngx_iot_totp_flags[conf->hash], (char *) code);

    return (rc == OATH_OK) ? NGX_OK : NGX_ERROR;
}


ngx_int_t
ngx_iot_totp_generate(size_t n, u_char text[NGX_IOT_TOTP_TEXT_MAX + 1],
    size_t *len)
{
    u_char     raw[NGX_IOT_TOTP_SECRET_MAX];
    ngx_int_t  rc;
    ngx_str_t  secret;

    if (n < NGX_IOT_TOTP_SECRET_MIN || n > NGX_IOT_TOTP_SECRET_MAX) {
        return NGX_ERROR;
    }

    randombytes_buf(raw, n);

    secret.len = n;
    secret.data = raw;

    rc = ngx_iot_totp_encode(&secret, text, len);

    sodium_memzero(raw, sizeof(raw));

    return rc;
}


ngx_int_t
ngx_iot_totp_encode(const ngx_str_t *secret,
    u_char text[NGX_IOT_TOTP_TEXT_MAX + 1], size_t *len)
{
    char    *out;
    size_t   n, size;

    if (secret == NULL
        || secret->data == NULL
        || secret->len == 0
        || secret->len > NGX_IOT_TOTP_SECRET_MAX)
    {
        return NGX_ERROR;
    }

    if (oath_base32_encode((const char *) secret->data, secret->len, &out,
                           &size)
        != OATH_OK)
    {
        return NGX_ERROR;
    }

    for (n = size; n > 0 && out[n - 1] == '='; n--) {
        /* void */
    }

    ngx_memcpy(text, out, n);
    text[n] = '\0';
    *len = n;

    sodium_memzero(out, size);
    free(out);

    return NGX_OK;
}


ngx_int_t
ngx_iot_totp_decode(const u_char *p, size_t len, ngx_str_t *secret)
{
    char        *out, text[NGX_IOT_TOTP_TEXT_MAX];
    u_char       again[NGX_IOT_TOTP_TEXT_MAX + 1];
    size_t       i, n, size;
    ngx_int_t    rc;
    ngx_str_t    bytes;
    ngx_uint_t   padded;

    if (p == NULL) {
        return NGX_ERROR;
    }

    n = 0;
    padded = 0;
    rc = NGX_ERROR;

    for (i = 0; i < len; i++) {

        if (p[i] == ' ' || p[i] == '-') {
            continue;
        }

        if (p[i] == '=') {
            padded = 1;
            continue;
        }

        if (padded || n == NGX_IOT_TOTP_TEXT_MAX) {
            goto done;
        }

        text[n++] = (p[i] >= 'a' && p[i] <= 'z') ? (char) (p[i] - 0x20)
                                                 : (char) p[i];
    }

    /* the library forgives what is no base32, so the way back is compared */

    if (n == 0 || oath_base32_decode(text, n, &out, &size) != OATH_OK) {
        goto done;
    }

    bytes.len = size;
    bytes.data = (u_char *) out;

    if (size >= NGX_IOT_TOTP_SECRET_MIN
        && size <= NGX_IOT_TOTP_SECRET_MAX
        && ngx_iot_totp_encode(&bytes, again, &i) == NGX_OK
        && i == n
        && sodium_memcmp(again, text, n) == 0)
    {
        ngx_memcpy(secret->data, out, size);
        secret->len = size;
        rc = NGX_OK;
    }

    sodium_memzero(again, sizeof(again));
    sodium_memzero(out, size);
    free(out);

done:

    sodium_memzero(text, sizeof(text));

    return rc;
}
