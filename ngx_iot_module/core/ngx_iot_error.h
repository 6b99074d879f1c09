
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_IOT_ERROR_H_INCLUDED_
#define _NGX_IOT_ERROR_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <libpq-fe.h>


/*
 * An error on its way to whoever can act on it.  Raised once, by SQL or by C;
 * each dialect renders its own envelope from it.
 */

typedef struct {
    ngx_uint_t     status;       /* HTTP status, 400 to 504 */
    ngx_str_t      code;         /* stable, e.g. "not_found" */
    ngx_str_t      message;      /* for people, the text clients match */
    ngx_str_t      fields;       /* JSON object with the rest, or empty */
    ngx_uint_t     retry_after;  /* seconds, 0: no header */
    u_char         sqlstate[6];
} ngx_iot_error_t;


/*
 * Fill err from a failed result.  SQL functions raise class "IO" with the HTTP
 * status as the last three characters, the text as the message, and in DETAIL
 * a JSON object whose member "code" is the stable code.  All other classes go
 * by a table: 22 is the caller's value (400), 23505 a conflict (409) ...
 * An unknown error is 500; its text goes to the log only.
 * Strings are allocated in pool.
 */
ngx_int_t ngx_iot_error_from_result(ngx_iot_error_t *err, PGresult *res,
    ngx_pool_t *pool, ngx_log_t *log);

/*
 * Fill err from C.  code and message must outlive err (string literals).
 */
void ngx_iot_error_set(ngx_iot_error_t *err, ngx_uint_t status, char *code,
    char *message);


#endif /* _NGX_IOT_ERROR_H_INCLUDED_ */
