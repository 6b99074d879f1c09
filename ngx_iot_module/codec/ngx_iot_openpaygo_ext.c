
/*
 * Copyright (C) the ngx_iot authors
 */


#include "ngx_iot_keycode.h"


#define NGX_IOT_OPENPAYGO_EXT_BASE   1000000
#define NGX_IOT_OPENPAYGO_EXT_JUMP   64
#define NGX_IOT_OPENPAYGO_EXT_LAST   UINT64_C(999999999999)
#define NGX_IOT_OPENPAYGO_EXT_WRAP   UINT64_C(99511627777)


uint64_t
ngx_iot_openpaygo_ext_reduce(uint64_t hash)
{
    hash >>= 24;

    return (hash > NGX_IOT_OPENPAYGO_EXT_LAST)
           ? hash - NGX_IOT_OPENPAYGO_EXT_WRAP : hash;
}


uint64_t
ngx_iot_openpaygo_ext_next(uint64_t code,
    const u_char key[NGX_IOT_KEYCODE_SECRET])
{
    u_char  data[8];

    ngx_iot_keycode_be32(data, (uint32_t) (code >> 32));
    ngx_iot_keycode_be32(data + 4, (uint32_t) (code & 0xffffffff));

    return ngx_iot_openpaygo_ext_reduce(
                              ngx_iot_keycode_hash(data, sizeof(data), key));
}


uint64_t
ngx_iot_openpaygo_ext_token(uint32_t start, uint32_t value, uint32_t count,
    const u_char key[NGX_IOT_KEYCODE_SECRET])
{
    uint32_t  base;
    uint64_t  code;

    base = (start + value) % NGX_IOT_OPENPAYGO_EXT_BASE;
    code = start - start % NGX_IOT_OPENPAYGO_EXT_BASE + base;

    while (count--) {
        code = ngx_iot_openpaygo_ext_next(code, key);
    }

    return code - code % NGX_IOT_OPENPAYGO_EXT_BASE + base;
}


/*
 * Twelve digits know neither DISABLE_PAYG nor COUNTER_SYNC: 998 and 999 are
 * amounts like others.
 */

void
ngx_iot_openpaygo_ext_find(uint64_t number, uint32_t start,
    const u_char key[NGX_IOT_KEYCODE_SECRET],
    const ngx_iot_openpaygo_device_t *d, ngx_iot_openpaygo_token_t *token)
{
    int64_t   count, last;
    uint32_t  base;
    uint64_t  code;

    base = (uint32_t) (number % NGX_IOT_OPENPAYGO_EXT_BASE);
    code = start - start % NGX_IOT_OPENPAYGO_EXT_BASE + base;

    last = ngx_min(d->count + NGX_IOT_OPENPAYGO_EXT_JUMP,
                   NGX_IOT_OPENPAYGO_COUNT_MAX);

    for (count = 0; count <= last; count++) {

        if (code - code % NGX_IOT_OPENPAYGO_EXT_BASE + base == number) {

            if (ngx_iot_openpaygo_acceptable(d, count, 0)) {

                token->type = (count & 1) ? NGX_IOT_OPENPAYGO_SET_TIME
                                          : NGX_IOT_OPENPAYGO_ADD_TIME;
                token->count = count;
                token->value = (base + NGX_IOT_OPENPAYGO_EXT_BASE
                                - start % NGX_IOT_OPENPAYGO_EXT_BASE)
                               % NGX_IOT_OPENPAYGO_EXT_BASE;

                return;
            }

            token->type = NGX_IOT_OPENPAYGO_ALREADY_USED;
        }

        code = ngx_iot_openpaygo_ext_next(code, key);
    }
}
