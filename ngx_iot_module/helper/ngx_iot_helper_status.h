
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_IOT_HELPER_STATUS_H_INCLUDED_
#define _NGX_IOT_HELPER_STATUS_H_INCLUDED_


#include "ngx_iot_helper.h"


/*
 * GET /metrics (Prometheus text) and GET /healthz (200, or 503 while the
 * database is away) by HTTP on a Unix socket, which nginx passes on.
 */

ngx_int_t ngx_iot_helper_listen(ngx_iot_helper_t *helper);
void ngx_iot_helper_unlisten(ngx_iot_helper_t *helper);

/* fills in what to wait for, at most 1 + NGX_IOT_HELPER_CLIENTS */
unsigned ngx_iot_helper_status_fds(ngx_iot_helper_t *helper,
    struct curl_waitfd *fds);

void ngx_iot_helper_status(ngx_iot_helper_t *helper);


#endif /* _NGX_IOT_HELPER_STATUS_H_INCLUDED_ */
