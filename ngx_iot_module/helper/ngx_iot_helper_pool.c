
/*
 * Copyright (C) the ngx_iot authors
 */


#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>

#include "ngx_iot_helper_pool.h"


#define NGX_IOT_HELPER_CHUNK  4096


struct ngx_iot_helper_chunk_s {
    ngx_iot_helper_chunk_t  *next;
    size_t                   size;
    size_t                   used;
    max_align_t              data[];
};


void *
ngx_iot_helper_alloc(void *data, size_t size)
{
    ngx_iot_helper_pool_t *pool = data;

    char                    *p;
    size_t                   room;
    ngx_iot_helper_chunk_t  *chunk;

    if (size > SIZE_MAX / 2) {
        return NULL;
    }

    size = (size + sizeof(max_align_t) - 1) & ~(sizeof(max_align_t) - 1);
    chunk = pool->chunks;

    if (chunk == NULL || chunk->size - chunk->used < size) {
        room = (size > NGX_IOT_HELPER_CHUNK) ? size : NGX_IOT_HELPER_CHUNK;

        chunk = malloc(sizeof(ngx_iot_helper_chunk_t) + room);
        if (chunk == NULL) {
            return NULL;
        }

        chunk->next = pool->chunks;
        chunk->size = room;
        chunk->used = 0;
        pool->chunks = chunk;
    }

    p = (char *) chunk->data + chunk->used;
    chunk->used += size;

    return p;
}


char *
ngx_iot_helper_strdup(ngx_iot_helper_pool_t *pool, const char *text)
{
    char    *p;
    size_t   len;

    len = strlen(text) + 1;
    p = ngx_iot_helper_alloc(pool, len);

    return (p == NULL) ? NULL : memcpy(p, text, len);
}


void
ngx_iot_helper_pool_free(ngx_iot_helper_pool_t *pool)
{
    ngx_iot_helper_chunk_t  *chunk, *next;

    for (chunk = pool->chunks; chunk; chunk = next) {
        next = chunk->next;
        sodium_memzero(chunk->data, chunk->used);
        free(chunk);
    }

    pool->chunks = NULL;
}


void
ngx_iot_helper_buf_init(ngx_iot_helper_buf_t *buf,
    ngx_iot_helper_pool_t *pool, size_t max)
{
    ngx_memzero(buf, sizeof(ngx_iot_helper_buf_t));

    buf->pool = pool;
    buf->max = max;
}


void
ngx_iot_helper_add(ngx_iot_helper_buf_t *buf, const char *p, size_t len)
{
    char    *data;
    size_t   size;

    if (buf->failed || (buf->max && len > buf->max - buf->len)) {
        buf->failed = 1;
        return;
    }

    if (len >= buf->size - buf->len) {
        size = 2 * (buf->len + len) + 256;

        data = ngx_iot_helper_alloc(buf->pool, size);
        if (data == NULL) {
            buf->failed = 1;
            return;
        }

        if (buf->len) {
            ngx_memcpy(data, buf->data, buf->len);
        }

        buf->data = data;
        buf->size = size;
    }

    if (len) {
        ngx_memcpy(buf->data + buf->len, p, len);
    }

    buf->len += len;
    buf->data[buf->len] = '\0';
}


void
ngx_iot_helper_text(ngx_iot_helper_buf_t *buf, const char *text)
{
    ngx_iot_helper_add(buf, text, strlen(text));
}


void
ngx_iot_helper_printf(ngx_iot_helper_buf_t *buf, const char *fmt, ...)
{
    int      n;
    char    *text;
    va_list  args;

    va_start(args, fmt);
    n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);

    text = (n < 0) ? NULL : ngx_iot_helper_alloc(buf->pool, n + 1);

    if (text == NULL) {
        buf->failed = 1;
        return;
    }

    va_start(args, fmt);
    (void) vsnprintf(text, n + 1, fmt, args);
    va_end(args);

    ngx_iot_helper_add(buf, text, n);
}
