
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_HTTP_IOT_BLOB_H_INCLUDED_
#define _NGX_HTTP_IOT_BLOB_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "../core/ngx_iot_db.h"


typedef struct ngx_http_iot_blob_s  ngx_http_iot_blob_t;

/* takes what ngx_http_finalize_request() takes; called from an event */
typedef void (*ngx_http_iot_blob_done_pt)(ngx_http_iot_blob_t *blob,
    ngx_int_t rc);


/*
 * Bytes of a package on their way to a client: a piece is read when the one
 * before it has been written, so that no more than that is in memory.
 */

struct ngx_http_iot_blob_s {
    /* set by the caller, in the pool of the request */
    ngx_http_request_t         *request;
    u_char                      tenant[36];
    u_char                      package[36];
    ngx_str_t                   name;          /* of the file, UTF-8 */
    ngx_str_t                   type;
    off_t                       pos;
    off_t                       end;
    ngx_http_iot_blob_done_pt   done;
    void                       *data;

    ngx_iot_db_call_t          *call;
    ngx_chain_t                 out;
    ngx_buf_t                   buf;
};


/*
 * Send status 200, the headers, and the bytes from pos to end.  NGX_AGAIN:
 * done() will be called; else what it would have got.
 */
ngx_int_t ngx_http_iot_blob_send(ngx_http_iot_blob_t *blob);


#endif /* _NGX_HTTP_IOT_BLOB_H_INCLUDED_ */
