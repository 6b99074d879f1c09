
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _VALUES_H_INCLUDED_
#define _VALUES_H_INCLUDED_


#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ngx_iot_value.h"


/* blocks of their own, so that a byte beyond one is seen */

#define VALUES_MAX_BLOCKS  65536


static void *values_alloc(void *data, size_t size);


static void        *values_blocks[VALUES_MAX_BLOCKS];
static ngx_uint_t   values_nblocks;


static void *
values_alloc(void *data, size_t size)
{
    void  *p;

    if (values_nblocks == VALUES_MAX_BLOCKS) {
        return NULL;
    }

    p = malloc(size);
    values_blocks[values_nblocks++] = p;

    return p;
}


static ngx_iot_alloc_t  values_pool = { values_alloc, NULL };


static inline void
values_free(void)
{
    while (values_nblocks > 0) {
        free(values_blocks[--values_nblocks]);
    }
}


static inline ngx_str_t
values_str(const uint8_t *data, size_t size)
{
    ngx_str_t  s;

    s.len = size;
    s.data = ngx_iot_alloc(&values_pool, size);

    if (size != 0) {
        memcpy(s.data, data, size);
    }

    return s;
}


#define values_check(expr)                                                    \
    do {                                                                      \
        if (!(expr)) {                                                        \
            abort();                                                          \
        }                                                                     \
    } while (0)


#endif /* _VALUES_H_INCLUDED_ */
