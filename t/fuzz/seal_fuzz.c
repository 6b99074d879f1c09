
/*
 * Copyright (C) the ngx_iot authors
 */


#include "ngx_iot_seal.h"

#include <sodium.h>


/* sealed text from the database may be anything; nobody forges one */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void *fuzz_alloc(void *data, size_t size);


static u_char  fuzz_secret[NGX_IOT_SEAL_KEY_SIZE] = { 1, 2, 3, 4 };

static u_char  fuzz_room[4 * NGX_IOT_SEAL_MAX];


static void *
fuzz_alloc(void *data, size_t size)
{
    void    *p;
    size_t  *used;

    used = data;

    if (size > sizeof(fuzz_room) - *used) {
        return NULL;
    }

    p = fuzz_room + *used;
    *used += size;

    return p;
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t               used;
    u_char               key[NGX_IOT_SEAL_KEY_SIZE];
    ngx_str_t            back, plain, sealed;
    ngx_iot_alloc_t      alloc;
    ngx_iot_seal_keys_t  keys;

    if (sodium_init() < 0) {
        abort();
    }

    used = 0;
    alloc.alloc = fuzz_alloc;
    alloc.data = &used;

    memset(&keys, 0, sizeof(keys));
    ngx_iot_seal_worker_key(&keys, fuzz_secret);

    if (ngx_iot_seal_secret_key(&keys, fuzz_secret) != NGX_OK) {
        abort();
    }

    sealed.data = (u_char *) data;
    sealed.len = size;

    (void) ngx_iot_seal_parse_key(data, size, key);
    (void) ngx_iot_seal_read(&keys, &sealed, &alloc, &back);

    if (size == 0 || size > 4096) {
        return 0;
    }

    plain.data = (u_char *) data;
    plain.len = size;

    used = 0;

    if (ngx_iot_seal_make(&keys, (data[0] & 1) ? NGX_IOT_SEAL_WORKER
                                               : NGX_IOT_SEAL_HELPER,
                          &plain, &alloc, &sealed)
        != NGX_OK
        || ngx_iot_seal_read(&keys, &sealed, &alloc, &back) != NGX_OK
        || back.len != size
        || memcmp(back.data, data, size) != 0)
    {
        abort();
    }

    return 0;
}
