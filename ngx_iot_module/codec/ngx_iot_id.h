
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_IOT_ID_H_INCLUDED_
#define _NGX_IOT_ID_H_INCLUDED_


#include "ngx_iot_codec.h"


#define NGX_IOT_UUID_SIZE    16
#define NGX_IOT_UUID_LEN     36
#define NGX_IOT_SHA3_LEN     64

#define ngx_iot_base64_len(n)     (((n) + 2) / 3 * 4)
#define ngx_iot_base64url_len(n)  (((n) * 4 + 2) / 3)


/*
 * "8-4-4-4-12" hexadecimal digits of either case (RFC 9562 section 4), nothing
 * around them.  uuid gets NGX_IOT_UUID_SIZE bytes.  NGX_OK or NGX_DECLINED.
 */
ngx_int_t ngx_iot_uuid_parse(u_char *uuid, u_char *text, size_t len);

/* writes NGX_IOT_UUID_LEN bytes in lower case, returns the end */
u_char *ngx_iot_uuid_text(u_char *dst, u_char *uuid);

/* a random one, version 4 */
void ngx_iot_uuid_random(u_char *uuid);

/* 2 * len bytes in lower case, returns the end */
u_char *ngx_iot_hex(u_char *dst, u_char *src, size_t len);

/* an even number of digits of either case, len / 2 bytes; or NGX_DECLINED */
ngx_int_t ngx_iot_unhex(u_char *dst, u_char *src, size_t len);

/*
 * RFC 4648 sections 4 (with padding) and 5 (without); both return the end of
 * what was written.
 */
u_char *ngx_iot_base64(u_char *dst, u_char *src, size_t len);
u_char *ngx_iot_base64url(u_char *dst, u_char *src, size_t len);

/*
 * Strict: no blanks, padding exactly where the form has it, unused bits zero.
 * dst->data holds at least len / 4 * 3 + 2 bytes, dst->len is set.  NGX_OK or
 * NGX_DECLINED.
 */
ngx_int_t ngx_iot_unbase64(ngx_str_t *dst, u_char *src, size_t len);
ngx_int_t ngx_iot_unbase64url(ngx_str_t *dst, u_char *src, size_t len);

/* len letters and digits, each of the 62 equally likely */
void ngx_iot_token(u_char *dst, size_t len);

/* 1 when equal; the time depends on the lengths only */
ngx_uint_t ngx_iot_secret_equal(u_char *a, size_t alen, u_char *b,
    size_t blen);

/*
 * SHA3-256 of the bytes in lower-case hexadecimal, NGX_IOT_SHA3_LEN bytes to
 * dst.  NGX_OK or NGX_ERROR (the library failed).
 */
ngx_int_t ngx_iot_sha3(u_char *dst, u_char *src, size_t len);


#endif /* _NGX_IOT_ID_H_INCLUDED_ */
