
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_IOT_CLAIM_H_INCLUDED_
#define _NGX_IOT_CLAIM_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "../codec/ngx_iot_codec.h"
#include "../core/ngx_iot_db.h"
#include "ngx_iot_device.h"


#define NGX_IOT_CLAIM_MAX_SECRET  255         /* bytes */


/* A device says that whoever knows the secret may have it, for a while. */

typedef struct {
    u_char                   *device;         /* its id in text */
    ngx_str_t                 secret;         /* may be empty */
    int64_t                   duration;       /* ms; 0: that of the server */
} ngx_iot_claim_t;


/*
 * {"secretKey":"...","durationMs":n}, both may be absent; or nothing.  NGX_OK;
 * NGX_DECLINED: something else; NGX_ERROR: no memory.
 */
ngx_int_t ngx_iot_claim_parse(ngx_iot_claim_t *claim, ngx_str_t *body,
    ngx_iot_alloc_t *alloc);

/*
 * Store the claims of devices of a tenant by one call.  Those that are refused
 * are skipped and logged.  Returns the call after which done() comes; NULL:
 * the database is away.
 */
ngx_iot_db_call_t *ngx_iot_claim_offer(u_char *tenant,
    ngx_iot_claim_t *claims, ngx_uint_t n, ngx_iot_db_done_pt done,
    void *data);

/* When that is done: note how many were refused. */
void ngx_iot_claim_log(ngx_iot_db_call_t *call, u_char *tenant);


#endif /* _NGX_IOT_CLAIM_H_INCLUDED_ */
