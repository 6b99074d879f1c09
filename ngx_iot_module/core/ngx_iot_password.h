
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_IOT_PASSWORD_H_INCLUDED_
#define _NGX_IOT_PASSWORD_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/*
 * Passwords are hashed with argon2id (RFC 9106), which takes a tenth of a
 * second and 64 megabytes: in threads, a few at a time, the others in order
 * behind them.
 */

#define NGX_IOT_PASSWORD_MAX  72      /* bytes */


typedef struct ngx_iot_password_s  ngx_iot_password_t;

/*
 * rc of a verification: NGX_OK, NGX_DECLINED (it is another one), NGX_ERROR
 * (no memory); of a hash: NGX_OK or NGX_ERROR.  hash is the new one, or after
 * a verification one of present cost to replace the old, or empty; it is
 * gone after the call.
 */
typedef void (*ngx_iot_password_done_pt)(void *data, ngx_int_t rc,
    ngx_str_t *hash);


/*
 * Both copy what they are given.  hash NULL: there is no such user; takes as
 * long as if there were, and is declined.  Return NGX_OK: done() will be
 * called, not from within, unless *job is abandoned; NGX_BUSY: too many are
 * waiting, answer 503; NGX_ERROR: no memory.
 */
ngx_int_t ngx_iot_password_verify(ngx_str_t *password, ngx_str_t *hash,
    ngx_iot_password_done_pt done, void *data, ngx_iot_password_t **job);
ngx_int_t ngx_iot_password_hash(ngx_str_t *password,
    ngx_iot_password_done_pt done, void *data, ngx_iot_password_t **job);

void ngx_iot_password_abandon(ngx_iot_password_t *job);


ngx_int_t ngx_iot_password_init_process(ngx_cycle_t *cycle);
void ngx_iot_password_exit_process(ngx_cycle_t *cycle);


#endif /* _NGX_IOT_PASSWORD_H_INCLUDED_ */
