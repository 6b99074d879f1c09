
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_IOT_TOTP_H_INCLUDED_
#define _NGX_IOT_TOTP_H_INCLUDED_


#include "ngx_iot_codec.h"


/*
 * Time-based one-time passwords, RFC 6238, and the base32 of RFC 4648 section
 * 6 in which people and authenticators exchange the secret.
 */

#define NGX_IOT_TOTP_SECRET_MIN  10         /* bytes: 16 characters */
#define NGX_IOT_TOTP_SECRET_MAX  64
#define NGX_IOT_TOTP_TEXT_MAX    104        /* of base32, without the zero */
#define NGX_IOT_TOTP_DIGITS_MIN  6
#define NGX_IOT_TOTP_DIGITS_MAX  8
#define NGX_IOT_TOTP_PERIOD_MAX  3600
#define NGX_IOT_TOTP_WINDOW_MAX  10


typedef enum {
    NGX_IOT_TOTP_SHA1 = 0,
    NGX_IOT_TOTP_SHA256,
    NGX_IOT_TOTP_SHA512,
    NGX_IOT_TOTP_HASHES
} ngx_iot_totp_hash_e;


typedef struct {
    ngx_uint_t                period;       /* seconds, 1..3600 */
    ngx_uint_t                digits;       /* 6..8 */
    ngx_uint_t                back;         /* steps that may be late, 0..10 */
    ngx_uint_t                ahead;        /* or early */
    ngx_iot_totp_hash_e       hash;
} ngx_iot_totp_conf_t;


/* 30 seconds, 6 digits, SHA-1, one step either way: what all phones know */

void ngx_iot_totp_defaults(ngx_iot_totp_conf_t *conf);

/*
 * The password of the step that now (seconds since 1970) is in, zero
 * terminated.
 *
 * NGX_ERROR: a secret that is NULL or of other than 10..64 bytes, a negative
 * time, or a configuration out of range.
 */

ngx_int_t ngx_iot_totp_make(const ngx_iot_totp_conf_t *conf,
    const ngx_str_t *secret, int64_t now,
    u_char code[NGX_IOT_TOTP_DIGITS_MAX + 1]);

/*
 * NGX_OK: the code is that of a step of the window and above last_step, the
 * step accepted last (-1 if there was none); *step is to be stored as the
 * next last_step before anything is granted.  NGX_BUSY: right, but used or
 * overtaken already; *step is set, too.  NGX_DECLINED: wrong, or not of the
 * right number of digits.  NGX_ERROR: as above.
 *
 * All steps of the window are tried and compared in constant time.
 */

ngx_int_t ngx_iot_totp_verify(const ngx_iot_totp_conf_t *conf,
    const ngx_str_t *secret, const u_char *code, size_t len, int64_t now,
    int64_t last_step, int64_t *step);

/*
 * A random secret of n bytes (10..64) as base32 without padding; its length
 * to len.  NGX_ERROR: n out of range, or no memory.
 */

ngx_int_t ngx_iot_totp_generate(size_t n,
    u_char text[NGX_IOT_TOTP_TEXT_MAX + 1], size_t *len);

/*
 * Bytes to base32 without padding, upper case, zero terminated; 1..64 bytes.
 */

ngx_int_t ngx_iot_totp_encode(const ngx_str_t *secret,
    u_char text[NGX_IOT_TOTP_TEXT_MAX + 1], size_t *len);

/*
 * And back: either case, blanks and hyphens between the characters and "="
 * at the end are ignored.  secret->data has room for NGX_IOT_TOTP_SECRET_MAX
 * bytes; secret->len is set.  NGX_ERROR: other characters, an impossible
 * length, bits left over that are not zero, less than 10 or more than 64
 * bytes.  The caller wipes the bytes with sodium_memzero().
 */

ngx_int_t ngx_iot_totp_decode(const u_char *p, size_t len, ngx_str_t *secret);


#endif /* _NGX_IOT_TOTP_H_INCLUDED_ */
