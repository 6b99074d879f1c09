
/*
 * Copyright (C) the ngx_iot authors
 */


#include <float.h>

#include "ngx_iot_pson_wire.h"


#define ngx_iot_pson1_tag(type, wire)  (NGX_IOT_PSON1_##type << 3 | (wire))
#define ngx_iot_pson1_length(type)                                            \
    ngx_iot_pson1_tag(type, NGX_IOT_PSON1_WIRE_LENGTH)


typedef enum {
    NGX_IOT_PSON_UNSIGNED = 0,
    NGX_IOT_PSON_NEGATIVE,
    NGX_IOT_PSON_FLOAT,
    NGX_IOT_PSON_DOUBLE
} ngx_iot_pson_number_e;


typedef struct {
    ngx_iot_pson_number_e  kind;
    uint64_t               n;
    double                 d;
} ngx_iot_pson_number_t;


static void ngx_iot_pson_number(ngx_iot_pson_number_t *number,
    ngx_uint_t version, ngx_iot_tree_t *node);
static size_t ngx_iot_pson_measure(ngx_uint_t version, ngx_iot_tree_t *node,
    ngx_uint_t depth);
static size_t ngx_iot_pson1_measure(ngx_uint_t version, ngx_iot_tree_t *node);
static size_t ngx_iot_pson2_measure(ngx_uint_t version, ngx_iot_tree_t *node);
static u_char *ngx_iot_pson1_write(u_char *p, ngx_uint_t version,
    ngx_iot_tree_t *node);
static u_char *ngx_iot_pson1_write_number(u_char *p, ngx_uint_t version,
    ngx_iot_tree_t *node);
static u_char *ngx_iot_pson2_write(u_char *p, ngx_uint_t version,
    ngx_iot_tree_t *node);
static u_char *ngx_iot_pson2_write_number(u_char *p, ngx_uint_t version,
    ngx_iot_tree_t *node);
static size_t ngx_iot_pson2_tag_size(uint64_t number);
static u_char *ngx_iot_pson2_write_tag(u_char *p, ngx_uint_t type,
    uint64_t number);
static u_char *ngx_iot_pson_write_bits(u_char *p, double d, ngx_uint_t wide);


size_t
ngx_iot_pson_size(ngx_uint_t version, ngx_iot_tree_t *tree)
{
    return ngx_iot_pson_measure(version, tree, 0);
}


u_char *
ngx_iot_pson_write(u_char *p, ngx_uint_t version, ngx_iot_tree_t *tree)
{
    return ((version & NGX_IOT_PSON_VERSION) == NGX_IOT_PSON_V1)
           ? ngx_iot_pson1_write(p, version, tree)
           : ngx_iot_pson2_write(p, version, tree);
}


size_t
ngx_iot_pson_text_size(ngx_uint_t version, size_t len)
{
    if (len > UINT32_MAX) {
        return 0;
    }

    if ((version & NGX_IOT_PSON_VERSION) == NGX_IOT_PSON_V2) {
        return ngx_iot_pson2_tag_size(len) + len;
    }

    return (len == 0) ? 1 : 1 + ngx_iot_varint_size(len) + len;
}


u_char *
ngx_iot_pson_text_write(u_char *p, ngx_uint_t version, ngx_str_t *text)
{
    if ((version & NGX_IOT_PSON_VERSION) == NGX_IOT_PSON_V2) {
        p = ngx_iot_pson2_write_tag(p, NGX_IOT_PSON2_TEXT, text->len);

    } else {

        if (text->len == 0) {
            *p++ = ngx_iot_pson1_tag(EMPTY_TEXT, 0);
            return p;
        }

        *p++ = ngx_iot_pson1_length(TEXT);
        p = ngx_iot_varint_write(p, text->len);
    }

    if (text->len == 0) {
        return p;
    }

    return ngx_cpymem(p, text->data, text->len);
}


/* whole numbers shrink to integers; so does the negative zero */

static void
ngx_iot_pson_number(ngx_iot_pson_number_t *number, ngx_uint_t version,
    ngx_iot_tree_t *node)
{
    double  d, diff;

    if (node->type == NGX_IOT_TREE_INT || node->type == NGX_IOT_TREE_UINT) {

        if (node->type == NGX_IOT_TREE_INT && node->u.i < 0) {
            number->kind = NGX_IOT_PSON_NEGATIVE;
            number->n = 0 - (uint64_t) node->u.i;
            return;
        }

        number->kind = NGX_IOT_PSON_UNSIGNED;
        number->n = node->u.n;
        return;
    }

    d = node->u.d;

    if (d >= -9223372036854775808.0 && d < 18446744073709551616.0) {

        if (d < 0 && (double) (int64_t) d == d) {
            number->kind = NGX_IOT_PSON_NEGATIVE;
            number->n = 0 - (uint64_t) (int64_t) d;
            return;
        }

        if (d >= 0 && (double) (uint64_t) d == d) {
            number->kind = NGX_IOT_PSON_UNSIGNED;
            number->n = (uint64_t) d;
            return;
        }
    }

    number->d = d;

    if (node->type == NGX_IOT_TREE_FLOAT) {
        number->kind = NGX_IOT_PSON_FLOAT;
        return;
    }

    number->kind = NGX_IOT_PSON_DOUBLE;

    if (d != d || d > FLT_MAX || d < -FLT_MAX) {
        return;
    }

    diff = d - (double) (float) d;

    if (diff == 0
        || (version == NGX_IOT_PSON_V1 && diff <= 1e-5 && diff >= -1e-5))
    {
        number->kind = NGX_IOT_PSON_FLOAT;
    }
}


static size_t
ngx_iot_pson_measure(ngx_uint_t version, ngx_iot_tree_t *node,
    ngx_uint_t depth)
{
    size_t           size, n;
    ngx_iot_tree_t  *item;

    if (ngx_iot_tree_is_list(node)) {

        if (depth == NGX_IOT_TREE_MAX_DEPTH) {
            return 0;
        }

        size = 0;

        for (item = node->u.list.first; item; item = item->next) {

            if (node->type == NGX_IOT_TREE_OBJECT) {

                /* a key of version 1 has a length but no tag */

                if (item->key.len > UINT32_MAX) {
                    return 0;
                }

                size += ((version & NGX_IOT_PSON_VERSION) == NGX_IOT_PSON_V1)
                        ? ngx_iot_varint_size(item->key.len) + item->key.len
                        : ngx_iot_pson_text_size(version, item->key.len);
            }

            n = ngx_iot_pson_measure(version, item, depth + 1);
            if (n == 0) {
                return 0;
            }

            size += n;

            if (size > UINT32_MAX) {
                return 0;
            }
        }

        node->u.list.size = size;
    }

    return ((version & NGX_IOT_PSON_VERSION) == NGX_IOT_PSON_V1)
           ? ngx_iot_pson1_measure(version, node)
           : ngx_iot_pson2_measure(version, node);
}


static size_t
ngx_iot_pson1_measure(ngx_uint_t version, ngx_iot_tree_t *node)
{
    ngx_iot_pson_number_t  number;

    switch (node->type) {

    case NGX_IOT_TREE_INT:
    case NGX_IOT_TREE_UINT:
    case NGX_IOT_TREE_FLOAT:
    case NGX_IOT_TREE_DOUBLE:

        ngx_iot_pson_number(&number, version, node);

        switch (number.kind) {

        case NGX_IOT_PSON_FLOAT:
            return 1 + 4;

        case NGX_IOT_PSON_DOUBLE:
            return 1 + 8;

        case NGX_IOT_PSON_NEGATIVE:
            return 1 + ngx_iot_varint_size(number.n);

        default:
            return (number.n <= 1) ? 1 : 1 + ngx_iot_varint_size(number.n);
        }

    case NGX_IOT_TREE_TEXT:
    case NGX_IOT_TREE_BYTES:
        return ngx_iot_pson_text_size(version, node->u.s.len);

    case NGX_IOT_TREE_ARRAY:
    case NGX_IOT_TREE_OBJECT:
        return 1 + ngx_iot_varint_size(node->u.list.size)
               + node->u.list.size;

    default:
        return 1;
    }
}


static size_t
ngx_iot_pson2_measure(ngx_uint_t version, ngx_iot_tree_t *node)
{
    ngx_iot_pson_number_t  number;

    switch (node->type) {

    case NGX_IOT_TREE_INT:
    case NGX_IOT_TREE_UINT:
    case NGX_IOT_TREE_FLOAT:
    case NGX_IOT_TREE_DOUBLE:

        ngx_iot_pson_number(&number, version, node);

        switch (number.kind) {

        case NGX_IOT_PSON_FLOAT:
            return 1 + 4;

        case NGX_IOT_PSON_DOUBLE:
            return 1 + 8;

        default:
            return ngx_iot_pson2_tag_size(number.n);
        }

    case NGX_IOT_TREE_TEXT:
    case NGX_IOT_TREE_BYTES:
        return ngx_iot_pson_text_size(version, node->u.s.len);

    case NGX_IOT_TREE_ARRAY:
    case NGX_IOT_TREE_OBJECT:
        return ngx_iot_pson2_tag_size(node->u.list.n) + node->u.list.size;

    default:
        return 1;
    }
}


static u_char *
ngx_iot_pson1_write(u_char *p, ngx_uint_t version, ngx_iot_tree_t *node)
{
    ngx_iot_tree_t  *item;

    switch (node->type) {

    case NGX_IOT_TREE_NULL:
        *p++ = ngx_iot_pson1_tag(NULL, 0);
        return p;

    case NGX_IOT_TREE_EMPTY:
        *p++ = ngx_iot_pson1_tag(EMPTY, 0);
        return p;

    case NGX_IOT_TREE_BOOL:
        *p++ = node->u.i ? ngx_iot_pson1_tag(TRUE, 0)
                         : ngx_iot_pson1_tag(FALSE, 0);
        return p;

    case NGX_IOT_TREE_TEXT:
        return ngx_iot_pson_text_write(p, version, &node->u.s);

    case NGX_IOT_TREE_BYTES:

        if (node->u.s.len == 0) {
            *p++ = ngx_iot_pson1_tag(EMPTY_BYTES, 0);
            return p;
        }

        *p++ = ngx_iot_pson1_length(BYTES);
        p = ngx_iot_varint_write(p, node->u.s.len);

        return ngx_cpymem(p, node->u.s.data, node->u.s.len);

    case NGX_IOT_TREE_ARRAY:
    case NGX_IOT_TREE_OBJECT:

        *p++ = (node->type == NGX_IOT_TREE_OBJECT)
               ? ngx_iot_pson1_length(OBJECT)
               : ngx_iot_pson1_length(ARRAY);

        p = ngx_iot_varint_write(p, node->u.list.size);

        for (item = node->u.list.first; item; item = item->next) {

            if (node->type == NGX_IOT_TREE_OBJECT) {
                p = ngx_iot_varint_write(p, item->key.len);

                if (item->key.len) {
                    p = ngx_cpymem(p, item->key.data, item->key.len);
                }
            }

            p = ngx_iot_pson1_write(p, version, item);
        }

        return p;

    default:
        return ngx_iot_pson1_write_number(p, version, node);
    }
}


static u_char *
ngx_iot_pson1_write_number(u_char *p, ngx_uint_t version,
    ngx_iot_tree_t *node)
{
    ngx_iot_pson_number_t  number;

    ngx_iot_pson_number(&number, version, node);

    switch (number.kind) {

    case NGX_IOT_PSON_FLOAT:
        *p++ = ngx_iot_pson1_tag(FLOAT, NGX_IOT_PSON1_WIRE_32);
        return ngx_iot_pson_write_bits(p, number.d, 0);

    case NGX_IOT_PSON_DOUBLE:
        *p++ = ngx_iot_pson1_tag(DOUBLE, NGX_IOT_PSON1_WIRE_64);
        return ngx_iot_pson_write_bits(p, number.d, 1);

    case NGX_IOT_PSON_NEGATIVE:
        *p++ = ngx_iot_pson1_tag(NEGATIVE, 0);
        return ngx_iot_varint_write(p, number.n);

    default:
        break;
    }

    if (number.n <= 1) {
        *p++ = number.n ? ngx_iot_pson1_tag(ONE, 0)
                        : ngx_iot_pson1_tag(ZERO, 0);
        return p;
    }

    *p++ = ngx_iot_pson1_tag(POSITIVE, 0);

    return ngx_iot_varint_write(p, number.n);
}


static u_char *
ngx_iot_pson2_write(u_char *p, ngx_uint_t version, ngx_iot_tree_t *node)
{
    ngx_iot_tree_t  *item;

    switch (node->type) {

    case NGX_IOT_TREE_NULL:
    case NGX_IOT_TREE_EMPTY:
        return ngx_iot_pson2_write_tag(p, NGX_IOT_PSON2_DISCRETE,
                                       NGX_IOT_PSON2_NULL);

    case NGX_IOT_TREE_BOOL:
        return ngx_iot_pson2_write_tag(p, NGX_IOT_PSON2_DISCRETE,
                                       node->u.i ? NGX_IOT_PSON2_TRUE
                                                 : NGX_IOT_PSON2_FALSE);

    case NGX_IOT_TREE_TEXT:
        return ngx_iot_pson_text_write(p, version, &node->u.s);

    case NGX_IOT_TREE_BYTES:

        p = ngx_iot_pson2_write_tag(p, NGX_IOT_PSON2_BYTES, node->u.s.len);

        if (node->u.s.len == 0) {
            return p;
        }

        return ngx_cpymem(p, node->u.s.data, node->u.s.len);

    case NGX_IOT_TREE_ARRAY:
    case NGX_IOT_TREE_OBJECT:

        p = ngx_iot_pson2_write_tag(p, node->type == NGX_IOT_TREE_OBJECT
                                       ? NGX_IOT_PSON2_OBJECT
                                       : NGX_IOT_PSON2_ARRAY,
                                    node->u.list.n);

        for (item = node->u.list.first; item; item = item->next) {

            if (node->type == NGX_IOT_TREE_OBJECT) {
                p = ngx_iot_pson_text_write(p, version, &item->key);
            }

            p = ngx_iot_pson2_write(p, version, item);
        }

        return p;

    default:
        return ngx_iot_pson2_write_number(p, version, node);
    }
}


static u_char *
ngx_iot_pson2_write_number(u_char *p, ngx_uint_t version,
    ngx_iot_tree_t *node)
{
    ngx_iot_pson_number_t  number;

    ngx_iot_pson_number(&number, version, node);

    switch (number.kind) {

    case NGX_IOT_PSON_FLOAT:
        p = ngx_iot_pson2_write_tag(p, NGX_IOT_PSON2_FLOATING,
                                    NGX_IOT_PSON2_FLOAT);
        return ngx_iot_pson_write_bits(p, number.d, 0);

    case NGX_IOT_PSON_DOUBLE:
        p = ngx_iot_pson2_write_tag(p, NGX_IOT_PSON2_FLOATING,
                                    NGX_IOT_PSON2_DOUBLE);
        return ngx_iot_pson_write_bits(p, number.d, 1);

    case NGX_IOT_PSON_NEGATIVE:
        return ngx_iot_pson2_write_tag(p, NGX_IOT_PSON2_NEGATIVE, number.n);

    default:
        return ngx_iot_pson2_write_tag(p, NGX_IOT_PSON2_UNSIGNED, number.n);
    }
}


static size_t
ngx_iot_pson2_tag_size(uint64_t number)
{
    return (number < NGX_IOT_PSON2_FOLLOWS)
           ? 1 : 1 + ngx_iot_varint_size(number);
}


static u_char *
ngx_iot_pson2_write_tag(u_char *p, ngx_uint_t type, uint64_t number)
{
    if (number < NGX_IOT_PSON2_FOLLOWS) {
        *p++ = (u_char) (type << 5 | number);
        return p;
    }

    *p++ = (u_char) (type << 5 | NGX_IOT_PSON2_FOLLOWS);

    return ngx_iot_varint_write(p, number);
}


static u_char *
ngx_iot_pson_write_bits(u_char *p, double d, ngx_uint_t wide)
{
    float       f;
    uint32_t    narrow;
    uint64_t    bits;
    ngx_uint_t  i;

    if (wide) {
        ngx_memcpy(&bits, &d, sizeof(double));

    } else {
        f = (float) d;
        ngx_memcpy(&narrow, &f, sizeof(float));
        bits = narrow;
    }

    for (i = 0; i < (wide ? 8 : 4); i++) {
        *p++ = (u_char) (bits >> (8 * i));
    }

    return p;
}
