
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_IOT_HELPER_MIME_H_INCLUDED_
#define _NGX_IOT_HELPER_MIME_H_INCLUDED_


#include "ngx_iot_helper_template.h"


/* "Name <address>" or "address", taken apart; name may be NULL */

typedef struct {
    char           *name;
    char           *address;
} ngx_iot_helper_from_t;


/* NGX_ERROR: it is neither, or no memory */
ngx_int_t ngx_iot_helper_from(ngx_iot_helper_pool_t *pool, const char *text,
    ngx_iot_helper_from_t *from);

/*
 * The mail as RFC 5322 and RFC 2045 to 2047 have it, with CRLF: both parts as
 * multipart/alternative in UTF-8 and quoted-printable.  Message-ID, Date and
 * boundary are made from the id and the time of the job, so that a second try
 * sends the same bytes.
 */
ngx_int_t ngx_iot_helper_mime(ngx_iot_helper_buf_t *buf, const char *id,
    time_t when, const ngx_iot_helper_from_t *from, const char *to,
    const ngx_iot_helper_mail_t *mail);


#endif /* _NGX_IOT_HELPER_MIME_H_INCLUDED_ */
