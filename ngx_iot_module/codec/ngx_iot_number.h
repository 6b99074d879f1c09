
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_IOT_NUMBER_H_INCLUDED_
#define _NGX_IOT_NUMBER_H_INCLUDED_


#include "ngx_iot_codec.h"


/*
 * A decimal number taken apart: value = digits * 10 ^ -scale.  The digits are
 * still where they were read, with at most one point among them; leading
 * zeros do not count.
 */

typedef struct {
    u_char           *first;          /* first digit that counts, or the last */
    u_char           *last;
    u_char           *point;          /* NULL or inside first .. last */
    ngx_uint_t        ndigits;        /* 0: the number is zero */
    ngx_uint_t        zeros;          /* trailing ones among ndigits */
    int64_t           scale;          /* saturates far beyond any use */
    uint64_t          mantissa;       /* exact while ndigits <= 19 */

    unsigned          negative:1;
    unsigned          exponent:1;
    unsigned          simple:1;       /* a point and no exponent */
} ngx_iot_decimal_t;


/*
 * Decimal text to its parts: [-] digits [. digits] [(e|E) [+|-] digits], where
 * leading zeros are allowed.  NGX_OK or NGX_DECLINED.
 */
ngx_int_t ngx_iot_decimal_parse(ngx_iot_decimal_t *dec, u_char *p, size_t len);

/* has the number no fraction? 1.0 and 1.5e1 have none */
ngx_int_t ngx_iot_decimal_integral(ngx_iot_decimal_t *dec);

/*
 * Towards zero.  NGX_OK, NGX_DECLINED: beyond int64.
 */
ngx_int_t ngx_iot_decimal_long(ngx_iot_decimal_t *dec, int64_t *value);

/*
 * Correctly rounded, of any number of digits.  NGX_OK, NGX_DECLINED: beyond
 * the finite doubles.
 */
ngx_int_t ngx_iot_decimal_double(ngx_iot_decimal_t *dec, double *value);

/*
 * The text without exponent, keeping the zeros that were written.  The size
 * may be huge: it is the caller who must bound it; SIZE_MAX / 2 stands for
 * everything beyond.
 */
size_t ngx_iot_decimal_plain_size(ngx_iot_decimal_t *dec);
u_char *ngx_iot_decimal_plain(u_char *dst, ngx_iot_decimal_t *dec);


#define NGX_IOT_LONG_LEN    20        /* -9223372036854775808 */
#define NGX_IOT_DOUBLE_LEN  26        /* -2.2250738585072014E-308 */


u_char *ngx_iot_long_text(u_char *dst, int64_t value);

/*
 * Shortest text that reads back to the same bits, as Java writes it: 21.0,
 * 0.001, 1.0E-4, 9999999.0, 1.0E7, -0.0.  The value is finite.
 */
u_char *ngx_iot_double_text(u_char *dst, double value);


#endif /* _NGX_IOT_NUMBER_H_INCLUDED_ */
