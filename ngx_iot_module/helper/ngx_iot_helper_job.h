
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_IOT_HELPER_JOB_H_INCLUDED_
#define _NGX_IOT_HELPER_JOB_H_INCLUDED_


#include "ngx_iot_helper.h"


/* takes as many jobs as there is room for */
void ngx_iot_helper_claim(ngx_iot_helper_t *helper);

/* moves transfers, and tells the database what is over */
void ngx_iot_helper_jobs(ngx_iot_helper_t *helper);

/* gives back what is not over; at the end of a drain */
void ngx_iot_helper_give_back(ngx_iot_helper_t *helper);


/* what a kind says about a job; printf(3) for job->error */
void ngx_iot_helper_end(ngx_iot_helper_job_t *job,
    ngx_iot_helper_outcome_e outcome, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* the text of a member of the payload, or NULL */
const char *ngx_iot_helper_arg(ngx_iot_helper_job_t *job, const char *name);

/*
 * Opens what may be sealed: text itself when it is not.  NULL: it was sealed
 * for somebody else, or is damaged; the job has been ended.
 */
const char *ngx_iot_helper_open(ngx_iot_helper_job_t *job, const char *text,
    const char *what);


extern const ngx_iot_helper_kind_t  ngx_iot_helper_mail_kind;
extern const ngx_iot_helper_kind_t  ngx_iot_helper_http_kind;
extern const ngx_iot_helper_kind_t  ngx_iot_helper_webhook_kind;
extern const ngx_iot_helper_kind_t  ngx_iot_helper_keycode_kind;


#endif /* _NGX_IOT_HELPER_JOB_H_INCLUDED_ */
