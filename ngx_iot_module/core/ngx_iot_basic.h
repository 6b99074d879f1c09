
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_IOT_BASIC_H_INCLUDED_
#define _NGX_IOT_BASIC_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_iot_auth.h"


/*
 * Users who give name and password with each request (RFC 7617).  A password
 * is hashed in a thread, once for all requests that bring it at the same
 * time; who was found is kept for some minutes, or until anything happens to
 * the user.  Failures count as those of logins do.
 */

typedef struct {
    ngx_str_t    user;
    ngx_str_t    password;
    ngx_str_t    address;           /* of the client, as text */
    ngx_str_t    network;           /* what failures of an address count for */
    ngx_str_t    agent;             /* may be empty */
} ngx_iot_basic_t;


/* As ngx_iot_auth_bearer(). */
ngx_int_t ngx_iot_basic_auth(ngx_iot_basic_t *basic,
    ngx_iot_principal_t *principal, ngx_iot_error_t *err,
    ngx_iot_auth_done_pt done, void *data, void **pending);

void ngx_iot_basic_abandon(void *pending);


ngx_int_t ngx_iot_basic_init_process(ngx_cycle_t *cycle);
void ngx_iot_basic_exit_process(ngx_cycle_t *cycle);


#endif /* _NGX_IOT_BASIC_H_INCLUDED_ */
