
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_IOT_UTF8_H_INCLUDED_
#define _NGX_IOT_UTF8_H_INCLUDED_


#include "ngx_iot_codec.h"


/*
 * State of a check that goes on over several buffers, all zero at the start.
 * The text is whole when "need" is 0.
 */

typedef struct {
    u_char      need;               /* continuation bytes still to come */
    u_char      low;                /* bounds of the next of them */
    u_char      high;
} ngx_iot_utf8_t;


/*
 * RFC 3629: NGX_OK or NGX_ERROR.  No overlong forms, no surrogates, nothing
 * over U+10FFFF; an error is found at the first byte that cannot belong.
 */

ngx_int_t ngx_iot_utf8_update(ngx_iot_utf8_t *u, const u_char *p,
    const u_char *end);
ngx_int_t ngx_iot_utf8_check(const u_char *p, size_t len);

/*
 * The strings of MQTT (5.0, section 1.5.4): also no U+0000, and none of what
 * a receiver may refuse: control characters U+0001..001F and U+007F..009F,
 * noncharacters.
 */

ngx_int_t ngx_iot_utf8_check_mqtt(const u_char *p, size_t len);


#endif /* _NGX_IOT_UTF8_H_INCLUDED_ */
