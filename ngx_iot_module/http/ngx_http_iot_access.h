
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_HTTP_IOT_ACCESS_H_INCLUDED_
#define _NGX_HTTP_IOT_ACCESS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "../core/ngx_iot_auth.h"
#include "../core/ngx_iot_db.h"
#include "../device/ngx_iot_device.h"


/*
 * The gatekeeper: a location demands the identity of a user or a device
 * before whatever it does, and hands it on in variables.
 */

#define NGX_HTTP_IOT_GATE_USER    0x0001
#define NGX_HTTP_IOT_GATE_DEVICE  0x0002
#define NGX_HTTP_IOT_GATE_KEY     0x0004      /* a user's API key */


typedef struct {
    ngx_str_t               entity_type;
    ngx_str_t               operation;
} ngx_http_iot_permission_t;


/* of "iot_gate" */

typedef struct {
    ngx_uint_t              who;          /* NGX_HTTP_IOT_GATE_... */
    ngx_uint_t              roles;        /* as in ngx_iot_auth.h; 0: any */
    ngx_str_t               tenant;       /* UUID in lower case, or empty */
    ngx_str_t               customer;
    ngx_array_t            *permissions;  /* ngx_http_iot_permission_t */
    unsigned                is_public:1;  /* the public may enter too */
} ngx_http_iot_gate_conf_t;


/* of "iot_gate_cookie" */

typedef struct {
    ngx_str_t               name;
    ngx_str_t               attributes;   /* what follows the value */
} ngx_http_iot_cookie_conf_t;


typedef enum {
    ngx_http_iot_no_credential = 0,
    ngx_http_iot_bearer_credential,
    ngx_http_iot_key_credential,
    ngx_http_iot_basic_credential,
    ngx_http_iot_bad_credential           /* nothing that we understand */
} ngx_http_iot_credential_e;


typedef struct {
    ngx_uint_t              kind;
    ngx_str_t               token;        /* or the user of Basic */
    ngx_str_t               password;
    unsigned                cookie:1;
} ngx_http_iot_credential_t;


typedef struct ngx_http_iot_gate_s  ngx_http_iot_gate_t;

struct ngx_http_iot_gate_s {
    ngx_http_request_t         *request;
    ngx_http_iot_gate_conf_t   *conf;
    ngx_http_iot_credential_t   credential;
    ngx_iot_principal_t         principal;

    void                       *bearer;   /* pending */
    void                       *basic;
    ngx_iot_db_call_t          *db;
    ngx_iot_device_wait_t       wait;
    ngx_str_t                   network;
    ngx_uint_t                  permission;

    ngx_int_t                   rc;       /* NGX_OK or an HTTP status */
    ngx_uint_t                  retry_after;
    unsigned                    done:1;
    unsigned                    endpoint:1;
};


/* the handler of the access phase */
ngx_int_t ngx_http_iot_access_handler(ngx_http_request_t *r);

/* content handlers */
ngx_int_t ngx_http_iot_gate_endpoint_handler(ngx_http_request_t *r);
ngx_int_t ngx_http_iot_gate_logout_handler(ngx_http_request_t *r);


/*
 * What the request brings: NGX_OK, or NGX_ERROR without memory.  cookie: the
 * name of the cookie of a session, or NULL.
 */
ngx_int_t ngx_http_iot_credential(ngx_http_request_t *r, ngx_str_t *cookie,
    ngx_http_iot_credential_t *credential);

/*
 * Would a browser send that request only for a page of this very host?
 * Browsers tell; strict: who tells nothing is refused.
 */
ngx_uint_t ngx_http_iot_same_origin(ngx_http_request_t *r, ngx_uint_t strict);

/* Does the method, or a change of protocols, have effects? */
ngx_uint_t ngx_http_iot_unsafe(ngx_http_request_t *r);

/* The header Cookie without that of the session; empty: nothing else. */
ngx_int_t ngx_http_iot_other_cookies(ngx_http_request_t *r, ngx_str_t *name,
    ngx_str_t *out);

/* What the failures of a client's network count for: 64 bits of IPv6. */
void ngx_http_iot_network(ngx_http_request_t *r, ngx_str_t *key);


/*
 * Give the browser the cookie of a session, or take it away (token NULL);
 * nothing where the location has none.
 */
ngx_int_t ngx_http_iot_cookie_set(ngx_http_request_t *r, ngx_str_t *token);

/* Is the cookie of a session to be set in the answer to this request? */
ngx_uint_t ngx_http_iot_cookie_wanted(ngx_http_request_t *r);


/* directives */
char *ngx_http_iot_gate(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_iot_gate_cookie(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_iot_gate_realm(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);


#endif /* _NGX_HTTP_IOT_ACCESS_H_INCLUDED_ */
