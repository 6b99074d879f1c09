
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_IOT_SETTINGS_H_INCLUDED_
#define _NGX_IOT_SETTINGS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_iot_limit.h"


/*
 * The settings of the instance that workers act on, read from the database at
 * the start and again whenever one is changed.  Until they were read once the
 * defaults are in place, and nobody may be let in by them: see loaded.
 */

#define NGX_IOT_ISSUER_LEN  255
#define NGX_IOT_CORS_LEN    4096

typedef struct {
    ngx_uint_t          generation;         /* of the key of tokens */
    ngx_str_t           issuer;             /* inside of a JSON string */
    u_char              issuer_buf[NGX_IOT_ISSUER_LEN];
    int64_t             expiration;         /* of access tokens, seconds */
    int64_t             refresh;            /* of refresh tokens */

    /* passwords; lengths and counts in characters, 0: no such rule */
    ngx_uint_t          min_length;
    ngx_uint_t          max_length;
    ngx_uint_t          min_upper;
    ngx_uint_t          min_lower;
    ngx_uint_t          min_digits;
    ngx_uint_t          min_special;

    ngx_iot_limit_t     login;              /* failures of address, account */
    ngx_iot_limit_t     login_address;      /* failures of an address */
    ngx_iot_limit_t     login_account;      /* failures of an account, from
                                               where its user never was */
    ngx_iot_limit_t     login_public;       /* public logins of an address */

    /* whose pages may call the API: origins with blanks between them */
    ngx_str_t           cors;
    u_char              cors_buf[NGX_IOT_CORS_LEN];

    unsigned            allow_blanks:1;
    unsigned            force_policy:1;     /* at login too */
    unsigned            loaded:1;
} ngx_iot_settings_t;


extern ngx_iot_settings_t  ngx_iot_settings;


/*
 * Wait until they were read: ready() gets NGX_OK, or NGX_ERROR when the
 * database is away.  It is never called from within this function.
 */

typedef struct ngx_iot_settings_wait_s  ngx_iot_settings_wait_t;

struct ngx_iot_settings_wait_s {
    ngx_queue_t         queue;
    void              (*ready)(ngx_iot_settings_wait_t *wait, ngx_int_t rc);
    void               *data;
    unsigned            active:1;
};

void ngx_iot_settings_wait(ngx_iot_settings_wait_t *wait);
/*
 * Read them again; those who wait are told when what they get has been read
 * after this call.
 */
void ngx_iot_settings_refresh(void);

void ngx_iot_settings_unwait(ngx_iot_settings_wait_t *wait);


ngx_int_t ngx_iot_settings_init_process(ngx_cycle_t *cycle);
void ngx_iot_settings_exit_process(ngx_cycle_t *cycle);


#endif /* _NGX_IOT_SETTINGS_H_INCLUDED_ */
