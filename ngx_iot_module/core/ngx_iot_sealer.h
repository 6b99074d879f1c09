
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_IOT_SEALER_H_INCLUDED_
#define _NGX_IOT_SEALER_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "../codec/ngx_iot_seal.h"


/*
 * Sealing by the keys of the configuration; the text forms and the return
 * codes are those of ngx_iot_seal.h.  What is sealed for the helpers cannot
 * be opened here: NGX_DECLINED.
 */

ngx_int_t ngx_iot_seal(ngx_pool_t *pool, ngx_iot_seal_kind_e kind,
    const ngx_str_t *plain, ngx_str_t *out);
ngx_int_t ngx_iot_seal_open(ngx_pool_t *pool, const ngx_str_t *sealed,
    ngx_str_t *plain);

/*
 * Reads 32 bytes in base64 from a file whose name, made absolute, stays in
 * *name.  The master does it, which may be root: the workers have the key in
 * memory and cannot read the file.
 */

ngx_int_t ngx_iot_key_file(ngx_conf_t *cf, const ngx_str_t *directive,
    ngx_str_t *name, u_char key[NGX_IOT_SEAL_KEY_SIZE]);


#endif /* _NGX_IOT_SEALER_H_INCLUDED_ */
