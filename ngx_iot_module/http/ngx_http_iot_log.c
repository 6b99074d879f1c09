
/*
 * Copyright (C) the ngx_iot authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_iot_module.h"


/*
 * nginx ends its error log lines with the first line of the request, and the
 * path of a device holds its access token.  Below the locations of the device
 * API the token is left out, from the moment the header has been read.
 */


static ngx_int_t ngx_http_iot_log_request(ngx_http_request_t *r);
static u_char *ngx_http_iot_log_handler(ngx_http_request_t *r,
    ngx_http_request_t *sr, u_char *buf, size_t len);
static ngx_str_t *ngx_http_iot_log_location(ngx_http_request_t *r);


/* nginx's own, the same for all requests */
static ngx_http_log_handler_pt  ngx_http_iot_log_nginx;


ngx_int_t
ngx_http_iot_log_init(ngx_conf_t *cf)
{
    ngx_http_handler_pt        *h;
    ngx_http_core_main_conf_t  *cmcf;

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    h = ngx_array_push(&cmcf->phases[NGX_HTTP_POST_READ_PHASE].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = ngx_http_iot_log_request;

    return NGX_OK;
}


ngx_int_t
ngx_http_iot_log_add_location(ngx_conf_t *cf, ngx_str_t *name)
{
    ngx_str_t                 *location;
    ngx_http_iot_main_conf_t  *imcf;

    imcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_iot_module);

    if (imcf->device_locations == NULL) {
        imcf->device_locations = ngx_array_create(cf->pool, 2,
                                                  sizeof(ngx_str_t));
        if (imcf->device_locations == NULL) {
            return NGX_ERROR;
        }
    }

    location = ngx_array_push(imcf->device_locations);
    if (location == NULL) {
        return NGX_ERROR;
    }

    *location = *name;

    return NGX_OK;
}


static ngx_int_t
ngx_http_iot_log_request(ngx_http_request_t *r)
{
    if (r->log_handler != ngx_http_iot_log_handler
        && ngx_http_iot_log_location(r))
    {
        ngx_http_iot_log_nginx = r->log_handler;
        r->log_handler = ngx_http_iot_log_handler;
    }

    return NGX_DECLINED;
}


static u_char *
ngx_http_iot_log_handler(ngx_http_request_t *r, ngx_http_request_t *sr,
    u_char *buf, size_t len)
{
    u_char                    *p, *path, *last;
    ngx_str_t                 *location;
    ngx_http_iot_ctx_t        *ctx;
    ngx_http_core_srv_conf_t  *cscf;

    location = ngx_http_iot_log_location(r);

    if (location == NULL) {
        return ngx_http_iot_log_nginx(r, sr, buf, len);
    }

    path = r->uri.data + location->len;
    last = r->uri.data + r->uri.len;

    while (path < last && *path != '/') {
        path++;
    }

    cscf = ngx_http_get_module_srv_conf(r, ngx_http_core_module);

    p = ngx_snprintf(buf, len, ", server: %V, request: \"%V %V*%*s\"",
                     &cscf->server_name, &r->method_name, location,
                     (size_t) (last - path), path);

    ctx = ngx_http_get_module_ctx(r, ngx_http_iot_module);

    if (ctx && ctx->device.len) {
        p = ngx_snprintf(p, len - (p - buf), ", tenant: %V, device: %V",
                         &ctx->tenant, &ctx->device);
    }

    return p;
}


/* the location of the device API that the path lies below, or NULL */

static ngx_str_t *
ngx_http_iot_log_location(ngx_http_request_t *r)
{
    ngx_str_t                 *location;
    ngx_uint_t                 i;
    ngx_http_iot_main_conf_t  *imcf;

    imcf = ngx_http_get_module_main_conf(r, ngx_http_iot_module);

    if (imcf->device_locations == NULL) {
        return NULL;
    }

    location = imcf->device_locations->elts;

    for (i = 0; i < imcf->device_locations->nelts; i++) {

        if (r->uri.len >= location[i].len
            && ngx_strncmp(r->uri.data, location[i].data, location[i].len)
               == 0)
        {
            return &location[i];
        }
    }

    return NULL;
}
