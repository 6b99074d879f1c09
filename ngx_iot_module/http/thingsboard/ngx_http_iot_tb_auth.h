
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_HTTP_IOT_TB_AUTH_H_INCLUDED_
#define _NGX_HTTP_IOT_TB_AUTH_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "../../codec/ngx_iot_json.h"
#include "../../core/ngx_iot_jwt.h"
#include "../../core/ngx_iot_password.h"
#include "../../core/ngx_iot_settings.h"
#include "ngx_http_iot_tb.h"


#define ngx_http_iot_tb_field(name)                                           \
    { ngx_string(name), 0, ngx_null_string, ngx_null_string }


typedef ngx_int_t (*ngx_http_iot_tb_step_pt)(ngx_http_iot_call_t *call);


/* what a login or a change of password knows between its events */

typedef struct {
    ngx_iot_settings_wait_t    settings;
    ngx_iot_password_t        *job;

    ngx_http_iot_tb_step_pt    ready;        /* after the settings */
    void                     (*hashed)(ngx_http_iot_call_t *call,
                                       ngx_int_t rc, ngx_str_t *hash);

    ngx_str_t                  email;
    ngx_str_t                  password;
    ngx_str_t                  new_password;
    ngx_str_t                  user;
    ngx_str_t                  key;          /* of the limit, or a token */
    ngx_str_t                  hash;         /* of the new password */
    ngx_array_t               *former;       /* hashes of those before */
    ngx_uint_t                 compared;
    ngx_int_t                  days;         /* for so many they are barred */
    ngx_http_iot_tb_step_pt    chosen;       /* when ctx->hash is known */
    ngx_iot_jwt_t              jwt;

    ngx_uint_t                 generation;   /* of the key to sign with */

    unsigned                   enabled:1;
    unsigned                   activated:1;
    unsigned                   locked:1;
    unsigned                   expired:1;
    unsigned                   familiar:1;
    unsigned                   counted:1;    /* against the account, too */
} ngx_http_iot_tb_auth_t;


/*
 * Steps that the handlers of sessions share.  Those that return a value end
 * with an answer or wait for an event, and return NGX_DONE.
 */

/* call->ctx; NULL: no memory */
ngx_http_iot_tb_auth_t *ngx_http_iot_tb_auth_create(
    ngx_http_iot_call_t *call);

/*
 * The members asked for must be strings that are not empty: else NGX_DECLINED,
 * or NGX_ERROR without memory.
 */
ngx_int_t ngx_http_iot_tb_auth_body(ngx_http_iot_call_t *call,
    ngx_iot_json_field_t *fields, ngx_uint_t n);

/* Tokens can be made and read when the settings are known. */
ngx_int_t ngx_http_iot_tb_auth_begin(ngx_http_iot_call_t *call,
    ngx_http_iot_tb_step_pt ready);

/*
 * Give ngx_http_iot_tb_auth_hashed() to ngx_iot_password_verify() and _hash(),
 * and what they return to _hashing(); ctx->hashed is called.
 */
void ngx_http_iot_tb_auth_hashed(void *data, ngx_int_t rc, ngx_str_t *hash);
ngx_int_t ngx_http_iot_tb_auth_hashing(ngx_http_iot_call_t *call,
    ngx_int_t rc);

/* Ask the database, with text parameters (NULL: SQL NULL). */
ngx_int_t ngx_http_iot_tb_auth_send(ngx_http_iot_call_t *call,
    ngx_iot_db_stmt_t *stmt, ngx_str_t **params, ngx_uint_t n,
    ngx_http_iot_call_pt next);

/* The last step of all that begin or renew a session: answer with tokens. */
void ngx_http_iot_tb_auth_pair(ngx_http_iot_call_t *call);

/*
 * Take ctx->new_password, which must be none of those kept before by the
 * result of iot.password_former() or its kin (columns hash and days, the first
 * is the present one).  chosen() is called when ctx->hash is made.
 */
ngx_int_t ngx_http_iot_tb_former_keep(ngx_http_iot_call_t *call,
    PGresult *res);
void ngx_http_iot_tb_new_password(ngx_http_iot_call_t *call,
    ngx_http_iot_tb_step_pt chosen);

/*
 * Put the URL by which the request came among the query parameters of the
 * function, as "@base", the last one.
 */
ngx_int_t ngx_http_iot_tb_base(ngx_http_iot_call_t *call);

/* What limits go by: who has one IPv6 address has its whole network. */
void ngx_http_iot_tb_address_key(ngx_http_iot_call_t *call, ngx_str_t *key);

/*
 * Each attempt with a password is counted as a failure before anything is done
 * for it, and forgiven when it succeeds: attempts at the same time cannot slip
 * through.  NGX_OK, or NGX_DONE: answered.
 */
ngx_int_t ngx_http_iot_tb_login_admit(ngx_http_iot_call_t *call);
ngx_int_t ngx_http_iot_tb_login_admit_stranger(ngx_http_iot_call_t *call);
void ngx_http_iot_tb_login_forgive(ngx_http_iot_call_t *call);

/* User-Agent, NULL unless it is text that the database takes */
ngx_str_t *ngx_http_iot_tb_agent(ngx_http_iot_call_t *call);

ngx_int_t ngx_http_iot_tb_no_memory(ngx_http_iot_call_t *call);
ngx_int_t ngx_http_iot_tb_unauthorized(ngx_http_iot_call_t *call,
    char *message);


#endif /* _NGX_HTTP_IOT_TB_AUTH_H_INCLUDED_ */
