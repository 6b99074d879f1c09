
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_IOT_AUTH_H_INCLUDED_
#define _NGX_IOT_AUTH_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_iot_error.h"
#include "ngx_iot_limit.h"


/*
 * Who asks.  Found once per credential, kept in a cache of the worker, and
 * handed to every SQL function as its first parameter (iot.principal).
 */

/* roles, also the "who may" bits of a route */
#define NGX_IOT_PUBLIC    0x0001      /* nobody in particular */
#define NGX_IOT_SYSTEM    0x0002      /* SYS_ADMIN */
#define NGX_IOT_TENANT    0x0004      /* TENANT_ADMIN */
#define NGX_IOT_CUSTOMER  0x0008      /* CUSTOMER_USER */
#define NGX_IOT_DEVICE    0x0010
#define NGX_IOT_REFRESH   0x0020      /* the holder of a refresh token */
#define NGX_IOT_SECOND    0x0040      /* a login that lacks its second factor */
#define NGX_IOT_ENROLL    0x0080      /* one that must set up a second */

#define NGX_IOT_ANY_USER                                                      \
    (NGX_IOT_SYSTEM|NGX_IOT_TENANT|NGX_IOT_CUSTOMER)


#define NGX_IOT_API_KEY_LEN  43       /* "tb_" and 40 letters and digits */


typedef struct {
    ngx_uint_t       role;            /* one of the bits above */
    u_char           tenant[36];      /* UUIDs in text; zeros: none */
    u_char           customer[36];
    u_char           user[36];
    u_char           device[36];
    u_char           session[36];
    u_char           key[36];         /* the API key that was shown */
    ngx_iot_limit_t  plan;            /* what that key may do */
    ngx_str_t        name;            /* e-mail of a user, name of a device */
    unsigned         is_public:1;     /* read-only token of a public customer */
    unsigned         has_tenant:1;
    unsigned         has_customer:1;
    unsigned         has_user:1;
    unsigned         has_device:1;
    unsigned         has_session:1;
    unsigned         has_key:1;
} ngx_iot_principal_t;


/*
 * Call-back of an authentication.  rc NGX_OK: principal is set, valid during
 * the call (copy what you keep).  NGX_ERROR: err says why.
 */
typedef void (*ngx_iot_auth_done_pt)(void *data, ngx_int_t rc,
    ngx_iot_principal_t *principal, ngx_iot_error_t *err);


/*
 * Authenticate the text of a bearer token (a JWT) or of an API key; they are
 * told apart by their form.  NGX_OK: answered from the
 * cache, *principal filled, its name good until the next event: copy it;
 * NGX_AGAIN: done() will be called, never from within, unless *pending is
 * abandoned by ngx_iot_auth_abandon(); NGX_ERROR: *err filled.
 */
ngx_int_t ngx_iot_auth_bearer(ngx_str_t *token, ngx_iot_principal_t *principal,
    ngx_iot_error_t *err, ngx_iot_auth_done_pt done, void *data,
    void **pending, ngx_log_t *log);

void ngx_iot_auth_abandon(void *pending);

/* Has the text the form of an API key? */
ngx_uint_t ngx_iot_auth_is_key(ngx_str_t *token);

/* The row literal of iot.principal, zero-terminated, in pool. */
ngx_int_t ngx_iot_principal_text(ngx_iot_principal_t *principal,
    ngx_str_t *address, ngx_str_t *out, ngx_pool_t *pool);


ngx_int_t ngx_iot_auth_init_process(ngx_cycle_t *cycle);
void ngx_iot_auth_exit_process(ngx_cycle_t *cycle);


#endif /* _NGX_IOT_AUTH_H_INCLUDED_ */
