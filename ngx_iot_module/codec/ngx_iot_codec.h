
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_IOT_CODEC_H_INCLUDED_
#define _NGX_IOT_CODEC_H_INCLUDED_


/*
 * The floor under all codecs: the handful of names of nginx that they need.
 * Inside nginx they are nginx's own; the helper, the unit tests and the fuzz
 * targets compile the same files with -DNGX_IOT_STANDALONE=1 and get them
 * from libc.  A codec includes this header and its own, and nothing of nginx
 * or PostgreSQL.
 */

#if (NGX_IOT_STANDALONE)

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

typedef intptr_t   ngx_int_t;
typedef uintptr_t  ngx_uint_t;

typedef struct {
    size_t      len;
    u_char     *data;
} ngx_str_t;

#define NGX_OK        0
#define NGX_ERROR    -1
#define NGX_AGAIN    -2
#define NGX_BUSY     -3
#define NGX_DONE     -4
#define NGX_DECLINED -5
#define NGX_ABORT    -6

#define ngx_inline          inline
#define ngx_string(str)     { sizeof(str) - 1, (u_char *) str }
#define ngx_null_string     { 0, NULL }
#define ngx_str_set(str, text)                                                \
    (str)->len = sizeof(text) - 1; (str)->data = (u_char *) text
#define ngx_memcmp(a, b, n)    memcmp(a, b, n)
#define ngx_memcpy(d, s, n)    (void) memcpy(d, s, n)
#define ngx_cpymem(d, s, n)    (((u_char *) memcpy(d, s, n)) + (n))
#define ngx_memmove(d, s, n)   (void) memmove(d, s, n)
#define ngx_memset(b, c, n)    (void) memset(b, c, n)
#define ngx_memzero(b, n)      (void) memset(b, 0, n)
#define ngx_min(a, b)          ((a > b) ? (b) : (a))
#define ngx_max(a, b)          ((a < b) ? (b) : (a))

#else

#include <ngx_config.h>
#include <ngx_core.h>

#endif


/*
 * Where a codec gets memory that outlives the call: a pool inside nginx
 * (alloc = ngx_palloc, data = pool), an arena elsewhere.  Never freed piece
 * by piece.  Returns NULL when there is none.
 */

typedef void *(*ngx_iot_alloc_pt)(void *data, size_t size);

typedef struct {
    ngx_iot_alloc_pt   alloc;
    void              *data;
} ngx_iot_alloc_t;


#define ngx_iot_alloc(a, size)  (a)->alloc((a)->data, size)


#endif /* _NGX_IOT_CODEC_H_INCLUDED_ */
