
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_IOT_HELPER_CURL_H_INCLUDED_
#define _NGX_IOT_HELPER_CURL_H_INCLUDED_


#include "ngx_iot_helper.h"


/*
 * A transfer of a job: job->body is what will be sent (PUT by reading, or
 * POST), job->answer, at most max bytes, and job->line what came.  Redirects
 * are not followed, .netrc and proxies of the environment not used.
 * NGX_ERROR: no memory, or the URL is not one; the job has been ended.
 */
ngx_int_t ngx_iot_helper_curl(ngx_iot_helper_job_t *job, const char *url,
    const char *schemes, long timeout, size_t max);

/* one more header; NGX_ERROR: no memory, or an end of line in it */
ngx_int_t ngx_iot_helper_header(ngx_iot_helper_job_t *job, const char *name,
    const char *value);

/* what went wrong, for people */
const char *ngx_iot_helper_curl_error(ngx_iot_helper_job_t *job,
    CURLcode code);


#endif /* _NGX_IOT_HELPER_CURL_H_INCLUDED_ */
