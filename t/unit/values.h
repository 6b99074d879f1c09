
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _VALUES_H_INCLUDED_
#define _VALUES_H_INCLUDED_


#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>

#include "ngx_iot_value.h"


/*
 * Memory of its own for each allocation, so that the sanitizers see every
 * byte written beyond one; values_left counts down to a failure.
 */

#define VALUES_MAX_BLOCKS  100000


static void *values_alloc(void *data, size_t size);
static int values_free(void **state);


static void        *values_blocks[VALUES_MAX_BLOCKS];
static ngx_uint_t   values_nblocks;
static ngx_int_t    values_left = -1;


static void *
values_alloc(void *data, size_t size)
{
    void  *p;

    if (values_left == 0 || values_nblocks == VALUES_MAX_BLOCKS) {
        return NULL;
    }

    if (values_left > 0) {
        values_left--;
    }

    p = malloc(size);
    values_blocks[values_nblocks++] = p;

    return p;
}


static int
values_free(void **state)
{
    while (values_nblocks > 0) {
        free(values_blocks[--values_nblocks]);
    }

    values_left = -1;

    return 0;
}


static ngx_iot_alloc_t  values_pool = { values_alloc, NULL };


/* a copy without a byte to spare: reading on is seen by the sanitizers */

static inline ngx_str_t
values_str(const char *text, size_t len)
{
    ngx_str_t  s;

    s.len = len;
    s.data = ngx_iot_alloc(&values_pool, len);

    assert_true(len == 0 || s.data != NULL);

    memcpy(s.data, text, len);

    return s;
}


#define values_text(text)  values_str(text, strlen(text))

#define assert_str(s, text)                                                   \
    do {                                                                      \
        assert_int_equal((s)->len, strlen(text));                             \
        assert_memory_equal((s)->data, text, strlen(text));                   \
    } while (0)


#endif /* _VALUES_H_INCLUDED_ */
