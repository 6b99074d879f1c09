
/*
 * Copyright (C) the ngx_iot authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_iot_module.h"
#include "ngx_iot_sealer.h"


static void *ngx_iot_sealer_alloc(void *data, size_t size);


ngx_int_t
ngx_iot_seal(ngx_pool_t *pool, ngx_iot_seal_kind_e kind,
    const ngx_str_t *plain, ngx_str_t *out)
{
    ngx_iot_alloc_t  alloc;

    alloc.alloc = ngx_iot_sealer_alloc;
    alloc.data = pool;

    return ngx_iot_seal_make(&ngx_iot_conf()->seal_keys, kind, plain, &alloc,
                             out);
}


ngx_int_t
ngx_iot_seal_open(ngx_pool_t *pool, const ngx_str_t *sealed, ngx_str_t *plain)
{
    ngx_iot_alloc_t  alloc;

    alloc.alloc = ngx_iot_sealer_alloc;
    alloc.data = pool;

    return ngx_iot_seal_read(&ngx_iot_conf()->seal_keys, sealed, &alloc,
                             plain);
}


static void *
ngx_iot_sealer_alloc(void *data, size_t size)
{
    return ngx_pnalloc(data, size);
}


ngx_int_t
ngx_iot_key_file(ngx_conf_t *cf, const ngx_str_t *directive, ngx_str_t *name,
    u_char key[NGX_IOT_SEAL_KEY_SIZE])
{
    u_char     text[128];
    ssize_t    n;
    ngx_fd_t   fd;
    ngx_int_t  rc;

    if (ngx_conf_full_name(cf->cycle, name, 1) != NGX_OK) {
        return NGX_ERROR;
    }

    fd = ngx_open_file(name->data, NGX_FILE_RDONLY, NGX_FILE_OPEN, 0);

    if (fd == NGX_INVALID_FILE) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           "cannot open \"%V\" \"%V\": \"iotctl init\" "
                           "makes it", directive, name);
        return NGX_ERROR;
    }

    n = ngx_read_fd(fd, text, sizeof(text));

    (void) ngx_close_file(fd);

    rc = (n > 0) ? ngx_iot_seal_parse_key(text, n, key) : NGX_ERROR;

    ngx_memzero(text, sizeof(text));

    if (rc != NGX_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" \"%V\" must hold 32 bytes in base64",
                           directive, name);
    }

    return rc;
}
