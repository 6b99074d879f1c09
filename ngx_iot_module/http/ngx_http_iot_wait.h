
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_HTTP_IOT_WAIT_H_INCLUDED_
#define _NGX_HTTP_IOT_WAIT_H_INCLUDED_


#include "ngx_http_iot_call.h"


/*
 * A call that waits for a helper.  An endpoint that has made a job answers
 * with these headers instead of an answer:
 *
 *     {"@wait": "<job>", "@then": "tb.fn_after", "@timeout": "10000"}
 *
 * When the job is over, or after so many milliseconds, fn_after is called
 * with the same caller, path and query, and {"body": ..., "job": {"id",
 * "state": "done"|"failed"|"timeout", "result", "error"}}.  Without a helper
 * that lives the job is taken back and the answer is 503.
 *
 * NGX_OK: it waits, and the result is cleared; NGX_DECLINED: it is an answer
 * like others; NGX_DONE: it could not wait, and has been answered.
 */

ngx_int_t ngx_http_iot_wait(ngx_http_iot_call_t *call, PGresult *res);


#endif /* _NGX_HTTP_IOT_WAIT_H_INCLUDED_ */
