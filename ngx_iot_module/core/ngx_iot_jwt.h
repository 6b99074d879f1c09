
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_IOT_JWT_H_INCLUDED_
#define _NGX_IOT_JWT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "../codec/ngx_iot_id.h"


/*
 * The tokens that this instance signs and takes: JWT (RFC 7519) of one form,
 * compact JWS with HS512 (RFC 7515, RFC 7518 section 3.2).  Each generation
 * has a key of its own: one that was given, or one made from the secret key
 * of the instance.
 */

#define NGX_IOT_JWT_MAX      8192
#define NGX_IOT_JWT_KEY_MIN  64         /* bytes of a key that is given */
#define NGX_IOT_JWT_KEY_MAX  1024

typedef struct {
    u_char           session[NGX_IOT_UUID_LEN];
    u_char           user[NGX_IOT_UUID_LEN];   /* unless is_public */
    int64_t          issued;                   /* seconds */
    int64_t          expires;
    unsigned         is_public:1;
    unsigned         refresh:1;
} ngx_iot_jwt_t;


/*
 * Sign with the key of that generation from now on; key is the one that was
 * given (64..1024 bytes), or empty.
 */
void ngx_iot_jwt_use(ngx_uint_t generation, ngx_str_t *key);

/*
 * Check signature and time and take the claims apart.  NGX_OK; NGX_DECLINED:
 * this is no JWT of ours; NGX_ABORT: the signature is wrong, or it has
 * expired.
 */
ngx_int_t ngx_iot_jwt_verify(ngx_str_t *token, ngx_iot_jwt_t *jwt);

/* Sign claims, the JSON text of an object; token is allocated in pool. */
ngx_int_t ngx_iot_jwt_make(ngx_str_t *claims, ngx_str_t *token,
    ngx_pool_t *pool);


#endif /* _NGX_IOT_JWT_H_INCLUDED_ */
