
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_IOT_HELPER_TRANSPORT_H_INCLUDED_
#define _NGX_IOT_HELPER_TRANSPORT_H_INCLUDED_


#include "ngx_iot_helper_mime.h"


/* a mail on its way */

typedef struct {
    json_t                     *settings;   /* iot.mail_settings() */
    const char                 *to;
    ngx_iot_helper_from_t       from;
    ngx_iot_helper_mail_t       mail;
    ngx_iot_helper_buf_t        mime;
} ngx_iot_helper_letter_t;


/* return codes are those of start() of a kind */

ngx_int_t ngx_iot_helper_smtp(ngx_iot_helper_job_t *job,
    ngx_iot_helper_letter_t *letter);
ngx_int_t ngx_iot_helper_ses(ngx_iot_helper_job_t *job,
    ngx_iot_helper_letter_t *letter);
ngx_int_t ngx_iot_helper_sendgrid(ngx_iot_helper_job_t *job,
    ngx_iot_helper_letter_t *letter);
ngx_int_t ngx_iot_helper_dir(ngx_iot_helper_job_t *job,
    ngx_iot_helper_letter_t *letter);

/* how a conversation by SMTP has ended */
void ngx_iot_helper_smtp_done(ngx_iot_helper_job_t *job, CURLcode code);

/* how a request to somebody who takes mail by HTTP has ended */
void ngx_iot_helper_post_done(ngx_iot_helper_job_t *job, CURLcode code);


#endif /* _NGX_IOT_HELPER_TRANSPORT_H_INCLUDED_ */
