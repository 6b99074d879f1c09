
/*
 * Copyright (C) the ngx_iot authors
 */


#include "ngx_iot_cbor_read.h"


typedef struct {
    ngx_int_t         year;
    ngx_int_t         month;
    ngx_int_t         day;
    ngx_int_t         hour;
    ngx_int_t         minute;
    ngx_int_t         second;
    ngx_int_t         ms;
    ngx_int_t         offset;         /* minutes east of Greenwich */
} ngx_iot_cbor_time_t;


static ngx_int_t ngx_iot_cbor_digits(u_char **pos, u_char *last, ngx_uint_t n,
    ngx_int_t min, ngx_int_t max, ngx_int_t *value);
static ngx_int_t ngx_iot_cbor_literal(u_char **pos, u_char *last, u_char c);
static ngx_int_t ngx_iot_cbor_fraction(u_char **pos, u_char *last,
    ngx_int_t *ms);
static ngx_int_t ngx_iot_cbor_zone(u_char **pos, u_char *last,
    ngx_int_t *offset);
static ngx_int_t ngx_iot_cbor_month_days(ngx_int_t year, ngx_int_t month);


ngx_int_t
ngx_iot_cbor_date(ngx_str_t *text, int64_t *ms)
{
    u_char               *last, *p;
    int64_t               days, year;
    ngx_iot_cbor_time_t   t;

    p = text->data;
    last = p + text->len;

    if (ngx_iot_cbor_digits(&p, last, 4, 0, 9999, &t.year) != NGX_OK
        || ngx_iot_cbor_literal(&p, last, '-') != NGX_OK
        || ngx_iot_cbor_digits(&p, last, 2, 1, 12, &t.month) != NGX_OK
        || ngx_iot_cbor_literal(&p, last, '-') != NGX_OK
        || ngx_iot_cbor_digits(&p, last, 2, 1,
                               ngx_iot_cbor_month_days(t.year, t.month),
                               &t.day)
           != NGX_OK
        || ngx_iot_cbor_literal(&p, last, 't') != NGX_OK
        || ngx_iot_cbor_digits(&p, last, 2, 0, 23, &t.hour) != NGX_OK
        || ngx_iot_cbor_literal(&p, last, ':') != NGX_OK
        || ngx_iot_cbor_digits(&p, last, 2, 0, 59, &t.minute) != NGX_OK
        || ngx_iot_cbor_literal(&p, last, ':') != NGX_OK
        || ngx_iot_cbor_digits(&p, last, 2, 0, 60, &t.second) != NGX_OK
        || ngx_iot_cbor_fraction(&p, last, &t.ms) != NGX_OK
        || ngx_iot_cbor_zone(&p, last, &t.offset) != NGX_OK
        || p != last)
    {
        return NGX_DECLINED;
    }

    /* years that begin in March put the odd day last */

    year = t.year;

    if (t.month <= 2) {
        year--;
        t.month += 12;
    }

    days = year * 365 + (year + 400) / 4 - (year + 400) / 100
           + (year + 400) / 400 - 97
           + (153 * (t.month - 3) + 2) / 5 + t.day - 1 - 719468;

    *ms = (((days * 24 + t.hour) * 60 + t.minute - t.offset) * 60 + t.second)
          * 1000 + t.ms;

    return NGX_OK;
}


static ngx_int_t
ngx_iot_cbor_digits(u_char **pos, u_char *last, ngx_uint_t n, ngx_int_t min,
    ngx_int_t max, ngx_int_t *value)
{
    u_char     *p;
    ngx_int_t   v;

    p = *pos;

    if ((size_t) (last - p) < n) {
        return NGX_DECLINED;
    }

    v = 0;

    while (n-- > 0) {

        if (*p < '0' || *p > '9') {
            return NGX_DECLINED;
        }

        v = v * 10 + (*p++ - '0');
    }

    if (v < min || v > max) {
        return NGX_DECLINED;
    }

    *value = v;
    *pos = p;

    return NGX_OK;
}


/* letters, which RFC 3339 allows in either case, are asked for in lower case */

static ngx_int_t
ngx_iot_cbor_literal(u_char **pos, u_char *last, u_char c)
{
    u_char  *p;

    p = *pos;

    if (p == last) {
        return NGX_DECLINED;
    }

    if (*p != c && !(c >= 'a' && *p == c - ('a' - 'A'))) {
        return NGX_DECLINED;
    }

    *pos = p + 1;

    return NGX_OK;
}


static ngx_int_t
ngx_iot_cbor_fraction(u_char **pos, u_char *last, ngx_int_t *ms)
{
    u_char     *p;
    ngx_int_t   unit;

    p = *pos;
    *ms = 0;

    if (p == last || *p != '.') {
        return NGX_OK;
    }

    p++;

    if (p == last || *p < '0' || *p > '9') {
        return NGX_DECLINED;
    }

    for (unit = 100; p < last && *p >= '0' && *p <= '9'; p++) {
        *ms += (*p - '0') * unit;
        unit /= 10;
    }

    *pos = p;

    return NGX_OK;
}


static ngx_int_t
ngx_iot_cbor_zone(u_char **pos, u_char *last, ngx_int_t *offset)
{
    u_char     *p;
    ngx_int_t   hours, minutes, sign;

    p = *pos;
    *offset = 0;

    if (ngx_iot_cbor_literal(pos, last, 'z') == NGX_OK) {
        return NGX_OK;
    }

    if (p == last || (*p != '+' && *p != '-')) {
        return NGX_DECLINED;
    }

    sign = (*p++ == '+') ? 1 : -1;

    if (ngx_iot_cbor_digits(&p, last, 2, 0, 23, &hours) != NGX_OK
        || ngx_iot_cbor_literal(&p, last, ':') != NGX_OK
        || ngx_iot_cbor_digits(&p, last, 2, 0, 59, &minutes) != NGX_OK)
    {
        return NGX_DECLINED;
    }

    *offset = sign * (hours * 60 + minutes);
    *pos = p;

    return NGX_OK;
}


static ngx_int_t
ngx_iot_cbor_month_days(ngx_int_t year, ngx_int_t month)
{
    static ngx_int_t  days[] = {
        31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31
    };

    if (month == 2
        && (year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)))
    {
        return 29;
    }

    return days[month - 1];
}
