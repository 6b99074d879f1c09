
/*
 * Copyright (C) the ngx_iot authors
 */


#include <math.h>
#include <stdio.h>
#include "ngx_iot_number.h"


/* no exponent that is written out can reach it, sums of two do not overflow */
#define NGX_IOT_DECIMAL_MAX_EXP  1000000000000

/*
 * The boundary between two neighboring doubles has at most 767 significant
 * digits: of what follows these, only whether it is all zeros matters.
 */
#define NGX_IOT_DECIMAL_DIGITS   768


static void ngx_iot_decimal_digit(ngx_iot_decimal_t *dec, u_char *p);
static u_char *ngx_iot_double_short(u_char *dst, double value);
static u_char *ngx_iot_double_digits(u_char *dst, double value);


static double  ngx_iot_pow10[] = {
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
    1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22
};


ngx_int_t
ngx_iot_decimal_parse(ngx_iot_decimal_t *dec, u_char *p, size_t len)
{
    u_char      *last;
    int64_t      exponent;
    ngx_uint_t   minus;

    ngx_memzero(dec, sizeof(ngx_iot_decimal_t));

    last = p + len;

    if (p < last && *p == '-') {
        dec->negative = 1;
        p++;
    }

    if (p == last || *p < '0' || *p > '9') {
        return NGX_DECLINED;
    }

    dec->first = p;

    for ( /* void */ ; p < last && *p >= '0' && *p <= '9'; p++) {
        ngx_iot_decimal_digit(dec, p);
    }

    if (p < last && *p == '.') {
        dec->point = p++;

        if (p == last || *p < '0' || *p > '9') {
            return NGX_DECLINED;
        }

        for ( /* void */ ; p < last && *p >= '0' && *p <= '9'; p++) {
            ngx_iot_decimal_digit(dec, p);
            dec->scale++;
        }
    }

    dec->last = p;

    if (p == last) {
        dec->simple = (dec->point != NULL);
        return NGX_OK;
    }

    if (*p != 'e' && *p != 'E') {
        return NGX_DECLINED;
    }

    dec->exponent = 1;
    p++;
    minus = 0;

    if (p < last && (*p == '+' || *p == '-')) {
        minus = (*p == '-');
        p++;
    }

    if (p == last) {
        return NGX_DECLINED;
    }

    exponent = 0;

    for ( /* void */ ; p < last; p++) {

        if (*p < '0' || *p > '9') {
            return NGX_DECLINED;
        }

        if (exponent < NGX_IOT_DECIMAL_MAX_EXP) {
            exponent = exponent * 10 + (*p - '0');
        }
    }

    dec->scale += minus ? exponent : -exponent;

    return NGX_OK;
}


static void
ngx_iot_decimal_digit(ngx_iot_decimal_t *dec, u_char *p)
{
    if (dec->ndigits == 0) {

        dec->first = p;

        if (*p == '0') {
            return;
        }
    }

    dec->ndigits++;

    if (*p == '0') {
        dec->zeros++;

    } else {
        dec->zeros = 0;
    }

    if (dec->ndigits <= 19) {
        dec->mantissa = dec->mantissa * 10 + (*p - '0');
    }
}


ngx_int_t
ngx_iot_decimal_integral(ngx_iot_decimal_t *dec)
{
    return dec->ndigits == 0 || dec->scale <= (int64_t) dec->zeros;
}


ngx_int_t
ngx_iot_decimal_long(ngx_iot_decimal_t *dec, int64_t *value)
{
    u_char    *p;
    int64_t    n;
    uint64_t   limit, u;

    if (dec->ndigits == 0) {
        *value = 0;
        return NGX_OK;
    }

    n = (int64_t) dec->ndigits - dec->scale;

    if (n <= 0) {
        *value = 0;
        return NGX_OK;
    }

    if (n > 19) {
        return NGX_DECLINED;
    }

    if (dec->scale == 0) {
        u = dec->mantissa;

    } else {
        u = 0;

        for (p = dec->first; p < dec->last && n > 0; p++) {
            if (p != dec->point) {
                u = u * 10 + (*p - '0');
                n--;
            }
        }

        while (n > 0) {
            u *= 10;
            n--;
        }
    }

    limit = (uint64_t) INT64_MAX + dec->negative;

    if (u > limit) {
        return NGX_DECLINED;
    }

    *value = dec->negative ? (int64_t) (0 - u) : (int64_t) u;

    return NGX_OK;
}


ngx_int_t
ngx_iot_decimal_double(ngx_iot_decimal_t *dec, double *value)
{
    char        text[NGX_IOT_DECIMAL_DIGITS + 32];
    double      d;
    u_char     *p;
    int64_t     exponent;
    ngx_uint_t  n, rest;

    if (dec->ndigits == 0) {
        *value = dec->negative ? -0.0 : 0.0;
        return NGX_OK;
    }

    /* both operands are exact, so the one rounding is the right one */

    if (dec->ndigits <= 19
        && dec->mantissa <= (uint64_t) 1 << 53
        && dec->scale >= -22 && dec->scale <= 22)
    {
        d = (double) dec->mantissa;

        if (dec->scale < 0) {
            d *= ngx_iot_pow10[-dec->scale];

        } else {
            d /= ngx_iot_pow10[dec->scale];
        }

        *value = dec->negative ? -d : d;
        return NGX_OK;
    }

    n = 0;
    rest = 0;

    for (p = dec->first; p < dec->last; p++) {

        if (p == dec->point) {
            continue;
        }

        if (n < NGX_IOT_DECIMAL_DIGITS) {
            text[n++] = *p;

        } else if (*p != '0') {
            rest = 1;
        }
    }

    exponent = (int64_t) dec->ndigits - (int64_t) n - dec->scale;

    if (rest) {
        text[n++] = '1';
        exponent--;
    }

    /* strtod() takes what an int holds; there all is zero or infinite */

    exponent = ngx_min(exponent, 100000);
    exponent = ngx_max(exponent, -100000);

    (void) snprintf(&text[n], sizeof(text) - n, "e%d", (int) exponent);

    /* nobody calls setlocale() in nginx: the point would be a point anyway */

    d = strtod(text, NULL);

    if (!isfinite(d)) {
        return NGX_DECLINED;
    }

    *value = dec->negative ? -d : d;

    return NGX_OK;
}


size_t
ngx_iot_decimal_plain_size(ngx_iot_decimal_t *dec)
{
    uint64_t  n;

    n = ngx_max(dec->ndigits, 1);

    if (dec->scale <= 0) {

        if (dec->ndigits != 0) {
            n += (uint64_t) -dec->scale;
        }

    } else if ((uint64_t) dec->scale >= n) {
        n = (uint64_t) dec->scale + 2;

    } else {
        n++;
    }

    n += dec->negative;

    return (n > SIZE_MAX / 2) ? SIZE_MAX / 2 : (size_t) n;
}


u_char *
ngx_iot_decimal_plain(u_char *dst, ngx_iot_decimal_t *dec)
{
    u_char   *p;
    int64_t   i, whole;

    if (dec->negative && dec->ndigits != 0) {
        *dst++ = '-';
    }

    /* the number of digits before the point, zeros before the first if < 0 */

    whole = (int64_t) dec->ndigits - dec->scale;

    if (dec->ndigits == 0) {
        whole = (dec->scale > 0) ? -dec->scale : 0;
    }

    if (whole <= 0) {
        *dst++ = '0';

        if (whole < 0 || dec->ndigits != 0) {
            *dst++ = '.';
        }

        for (i = whole; i < 0; i++) {
            *dst++ = '0';
        }
    }

    if (dec->ndigits == 0) {
        return dst;
    }

    for (p = dec->first; p < dec->last; p++) {

        if (p == dec->point) {
            continue;
        }

        *dst++ = *p;

        if (--whole == 0 && dec->scale > 0) {
            *dst++ = '.';
        }
    }

    while (whole > 0) {
        *dst++ = '0';
        whole--;
    }

    return dst;
}


u_char *
ngx_iot_long_text(u_char *dst, int64_t value)
{
    u_char     buf[NGX_IOT_LONG_LEN], *p;
    uint64_t   u;

    u = (uint64_t) value;

    if (value < 0) {
        *dst++ = '-';
        u = 0 - u;
    }

    p = buf + NGX_IOT_LONG_LEN;

    do {
        *--p = (u_char) ('0' + u % 10);
        u /= 10;
    } while (u != 0);

    return ngx_cpymem(dst, p, buf + NGX_IOT_LONG_LEN - p);
}


u_char *
ngx_iot_double_text(u_char *dst, double value)
{
    u_char  *p;

    if (signbit(value)) {
        *dst++ = '-';
        value = -value;
    }

    if (value == 0) {
        return ngx_cpymem(dst, "0.0", 3);
    }

    if (value >= 1e-3 && value < 1e7) {
        p = ngx_iot_double_short(dst, value);

        if (p != NULL) {
            return p;
        }
    }

    return ngx_iot_double_digits(dst, value);
}


/*
 * What people measure has a few decimal places.  m / 10^k is rounded once, so
 * when it gives the value then the decimal text does too, and with the least
 * such k it is the shortest.
 */

static u_char *
ngx_iot_double_short(u_char *dst, double value)
{
    u_char      buf[8], *p;
    int64_t     m, unit;
    ngx_uint_t  i, k;

    unit = 10;

    for (k = 1; k <= 6; k++) {

        m = (int64_t) llrint(value * (double) unit);

        if ((double) m / (double) unit == value) {

            dst = ngx_iot_long_text(dst, m / unit);
            *dst++ = '.';

            m %= unit;
            p = buf + k;

            for (i = 0; i < k; i++) {
                *--p = (u_char) ('0' + m % 10);
                m /= 10;
            }

            return ngx_cpymem(dst, buf, k);
        }

        unit *= 10;
    }

    return NULL;
}


static u_char *
ngx_iot_double_digits(u_char *dst, double value)
{
    char       *e, text[40];
    int         exponent, i, n, precision;
    u_char      digits[20];

    /* fewer digits than 15 do better only where doubles are sparse */

    precision = (value < 2.2250738585072014e-308) ? 1 : 14;

    for ( /* void */ ; precision < 17; precision++) {
        (void) snprintf(text, sizeof(text), "%.*e", precision, value);

        if (strtod(text, NULL) == value) {
            break;
        }
    }

    n = 0;

    for (e = text; *e != 'e'; e++) {
        if (*e >= '0' && *e <= '9') {
            digits[n++] = (u_char) *e;
        }
    }

    exponent = (int) strtol(e + 1, NULL, 10);

    while (n > 1 && digits[n - 1] == '0') {
        n--;
    }

    if (exponent >= -3 && exponent < 7) {

        if (exponent < 0) {
            *dst++ = '0';
            *dst++ = '.';

            for (i = exponent + 1; i < 0; i++) {
                *dst++ = '0';
            }

            return ngx_cpymem(dst, digits, n);
        }

        for (i = 0; i <= exponent; i++) {
            *dst++ = (i < n) ? digits[i] : '0';
        }

        *dst++ = '.';

        if (n <= exponent + 1) {
            *dst++ = '0';
            return dst;
        }

        return ngx_cpymem(dst, &digits[exponent + 1], n - exponent - 1);
    }

    *dst++ = digits[0];
    *dst++ = '.';

    if (n == 1) {
        *dst++ = '0';

    } else {
        dst = ngx_cpymem(dst, &digits[1], n - 1);
    }

    *dst++ = 'E';

    return ngx_iot_long_text(dst, exponent);
}
