
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_IOT_TEXT_H_INCLUDED_
#define _NGX_IOT_TEXT_H_INCLUDED_


#include "ngx_iot_codec.h"


/*
 * Texts in UTF-8 that are wholly in memory.
 *
 * One character at p that is not ASCII: its length, 2 to 4, or 0 when the
 * bytes are no well-formed UTF-8 (RFC 3629: no overlong forms, no surrogates,
 * nothing above U+10FFFF) or are cut off.
 */
ngx_uint_t ngx_iot_text_char(u_char *p, u_char *last);

/* NGX_OK, NGX_DECLINED: not UTF-8; U+0000 is a character like others here */
ngx_int_t ngx_iot_text_check(u_char *p, size_t len);

/* the number of characters of a text that is known to be UTF-8 */
size_t ngx_iot_text_count(u_char *p, size_t len);

/* the greatest n <= max such that the first n bytes cut no character */
size_t ngx_iot_text_cut(u_char *p, size_t len, size_t max);


#endif /* _NGX_IOT_TEXT_H_INCLUDED_ */
