
/*
 * Copyright (C) the ngx_iot authors
 */


#include "ngx_iot_tree.h"


/* marks a member that is about to leave its object */

#define NGX_IOT_TREE_DEAD   255

/* up to here comparing all with all is cheaper than sorting */

#define NGX_IOT_TREE_FEW    8


static ngx_iot_tree_t *ngx_iot_tree_string(ngx_iot_alloc_t *alloc,
    ngx_uint_t type, ngx_str_t *value);
static ngx_int_t ngx_iot_tree_compare(ngx_str_t *a, ngx_str_t *b);
static void ngx_iot_tree_mark_few(ngx_iot_tree_t *object);
static ngx_int_t ngx_iot_tree_mark_many(ngx_iot_tree_t *object,
    ngx_iot_alloc_t *alloc);
static void ngx_iot_tree_merge(ngx_iot_tree_t **dst, ngx_iot_tree_t **src,
    ngx_uint_t start, ngx_uint_t middle, ngx_uint_t end);
static void ngx_iot_tree_sweep(ngx_iot_tree_t *object);
static ngx_int_t ngx_iot_tree_copy_string(ngx_str_t *dst, ngx_str_t *src,
    ngx_iot_alloc_t *alloc);


ngx_iot_tree_t *
ngx_iot_tree_new(ngx_iot_alloc_t *alloc, ngx_uint_t type)
{
    ngx_iot_tree_t  *tree;

    tree = ngx_iot_alloc(alloc, sizeof(ngx_iot_tree_t));
    if (tree == NULL) {
        return NULL;
    }

    ngx_memzero(tree, sizeof(ngx_iot_tree_t));

    tree->type = type;

    return tree;
}


ngx_iot_tree_t *
ngx_iot_tree_bool(ngx_iot_alloc_t *alloc, ngx_uint_t value)
{
    ngx_iot_tree_t  *tree;

    tree = ngx_iot_tree_new(alloc, NGX_IOT_TREE_BOOL);

    if (tree) {
        tree->u.i = (value != 0);
    }

    return tree;
}


ngx_iot_tree_t *
ngx_iot_tree_int(ngx_iot_alloc_t *alloc, int64_t value)
{
    ngx_iot_tree_t  *tree;

    tree = ngx_iot_tree_new(alloc, NGX_IOT_TREE_INT);

    if (tree) {
        tree->u.i = value;
    }

    return tree;
}


ngx_iot_tree_t *
ngx_iot_tree_uint(ngx_iot_alloc_t *alloc, uint64_t value)
{
    ngx_iot_tree_t  *tree;

    tree = ngx_iot_tree_new(alloc, value > INT64_MAX ? NGX_IOT_TREE_UINT
                                                     : NGX_IOT_TREE_INT);

    if (tree) {
        tree->u.n = value;
    }

    return tree;
}


ngx_iot_tree_t *
ngx_iot_tree_double(ngx_iot_alloc_t *alloc, double value)
{
    ngx_iot_tree_t  *tree;

    tree = ngx_iot_tree_new(alloc, NGX_IOT_TREE_DOUBLE);

    if (tree) {
        tree->u.d = value;
    }

    return tree;
}


ngx_iot_tree_t *
ngx_iot_tree_text(ngx_iot_alloc_t *alloc, ngx_str_t *value)
{
    return ngx_iot_tree_string(alloc, NGX_IOT_TREE_TEXT, value);
}


ngx_iot_tree_t *
ngx_iot_tree_bytes(ngx_iot_alloc_t *alloc, ngx_str_t *value)
{
    return ngx_iot_tree_string(alloc, NGX_IOT_TREE_BYTES, value);
}


static ngx_iot_tree_t *
ngx_iot_tree_string(ngx_iot_alloc_t *alloc, ngx_uint_t type,
    ngx_str_t *value)
{
    ngx_iot_tree_t  *tree;

    tree = ngx_iot_tree_new(alloc, type);

    if (tree) {
        tree->u.s = *value;
    }

    return tree;
}


void
ngx_iot_tree_add(ngx_iot_tree_t *array, ngx_iot_tree_t *item)
{
    item->next = NULL;

    if (array->u.list.last) {
        array->u.list.last->next = item;

    } else {
        array->u.list.first = item;
    }

    array->u.list.last = item;
    array->u.list.n++;
}


void
ngx_iot_tree_put(ngx_iot_tree_t *object, ngx_str_t *key,
    ngx_iot_tree_t *item)
{
    item->key = *key;

    ngx_iot_tree_add(object, item);
}


ngx_iot_tree_t *
ngx_iot_tree_get(ngx_iot_tree_t *object, ngx_str_t *key)
{
    ngx_iot_tree_t  *item, *found;

    if (object == NULL || object->type != NGX_IOT_TREE_OBJECT) {
        return NULL;
    }

    found = NULL;

    for (item = object->u.list.first; item; item = item->next) {
        if (ngx_iot_tree_compare(&item->key, key) == 0) {
            found = item;
        }
    }

    return found;
}


static ngx_int_t
ngx_iot_tree_compare(ngx_str_t *a, ngx_str_t *b)
{
    size_t     len;
    ngx_int_t  rc;

    len = ngx_min(a->len, b->len);

    if (len) {
        rc = ngx_memcmp(a->data, b->data, len);
        if (rc != 0) {
            return rc;
        }
    }

    if (a->len == b->len) {
        return 0;
    }

    return (a->len < b->len) ? -1 : 1;
}


ngx_int_t
ngx_iot_tree_unique(ngx_iot_tree_t *object, ngx_iot_alloc_t *alloc)
{
    ngx_iot_tree_t  *item;

    if (object->u.list.n < 2) {
        return NGX_OK;
    }

    /* some clients send their keys sorted */

    for (item = object->u.list.first; item->next; item = item->next) {
        if (ngx_iot_tree_compare(&item->key, &item->next->key) >= 0) {
            break;
        }
    }

    if (item->next == NULL) {
        return NGX_OK;
    }

    if (object->u.list.n <= NGX_IOT_TREE_FEW) {
        ngx_iot_tree_mark_few(object);

    } else if (ngx_iot_tree_mark_many(object, alloc) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_iot_tree_sweep(object);

    return NGX_OK;
}


static void
ngx_iot_tree_mark_few(ngx_iot_tree_t *object)
{
    ngx_iot_tree_t  *item, *later;

    for (item = object->u.list.first; item; item = item->next) {

        for (later = item->next; later; later = later->next) {

            if (ngx_iot_tree_compare(&item->key, &later->key) == 0) {
                item->type = NGX_IOT_TREE_DEAD;
                break;
            }
        }
    }
}


/* a stable merge sort: the last of equal keys stays the last */

static ngx_int_t
ngx_iot_tree_mark_many(ngx_iot_tree_t *object, ngx_iot_alloc_t *alloc)
{
    ngx_uint_t        i, n, width;
    ngx_iot_tree_t   *item, **src, **dst, **swap;

    n = object->u.list.n;

    src = ngx_iot_alloc(alloc, 2 * n * sizeof(ngx_iot_tree_t *));
    if (src == NULL) {
        return NGX_ERROR;
    }

    dst = src + n;
    i = 0;

    for (item = object->u.list.first; item; item = item->next) {
        src[i++] = item;
    }

    for (width = 1; width < n; width *= 2) {

        for (i = 0; i < n; i += 2 * width) {
            ngx_iot_tree_merge(dst, src, i, ngx_min(i + width, n),
                               ngx_min(i + 2 * width, n));
        }

        swap = src;
        src = dst;
        dst = swap;
    }

    for (i = 0; i < n - 1; i++) {
        if (ngx_iot_tree_compare(&src[i]->key, &src[i + 1]->key) == 0) {
            src[i]->type = NGX_IOT_TREE_DEAD;
        }
    }

    return NGX_OK;
}


static void
ngx_iot_tree_merge(ngx_iot_tree_t **dst, ngx_iot_tree_t **src,
    ngx_uint_t start, ngx_uint_t middle, ngx_uint_t end)
{
    ngx_uint_t  i, j, k;

    i = start;
    j = middle;

    for (k = start; k < end; k++) {

        if (i < middle
            && (j == end
                || ngx_iot_tree_compare(&src[i]->key, &src[j]->key) <= 0))
        {
            dst[k] = src[i++];

        } else {
            dst[k] = src[j++];
        }
    }
}


static void
ngx_iot_tree_sweep(ngx_iot_tree_t *object)
{
    ngx_iot_tree_t  *item, *next;

    item = object->u.list.first;

    object->u.list.first = NULL;
    object->u.list.last = NULL;
    object->u.list.n = 0;

    for ( /* void */ ; item; item = next) {
        next = item->next;

        if (item->type != NGX_IOT_TREE_DEAD) {
            ngx_iot_tree_add(object, item);
        }
    }
}


ngx_iot_tree_t *
ngx_iot_tree_copy(ngx_iot_tree_t *tree, ngx_iot_alloc_t *alloc)
{
    ngx_iot_tree_t  *copy, *item, *child;

    copy = ngx_iot_tree_new(alloc, tree->type);
    if (copy == NULL) {
        return NULL;
    }

    if (ngx_iot_tree_copy_string(&copy->key, &tree->key, alloc) != NGX_OK) {
        return NULL;
    }

    switch (tree->type) {

    case NGX_IOT_TREE_TEXT:
    case NGX_IOT_TREE_BYTES:

        if (ngx_iot_tree_copy_string(&copy->u.s, &tree->u.s, alloc)
            != NGX_OK)
        {
            return NULL;
        }

        return copy;

    case NGX_IOT_TREE_ARRAY:
    case NGX_IOT_TREE_OBJECT:

        for (item = tree->u.list.first; item; item = item->next) {
            child = ngx_iot_tree_copy(item, alloc);
            if (child == NULL) {
                return NULL;
            }

            ngx_iot_tree_add(copy, child);
        }

        return copy;

    default:
        copy->u = tree->u;
        return copy;
    }
}


static ngx_int_t
ngx_iot_tree_copy_string(ngx_str_t *dst, ngx_str_t *src,
    ngx_iot_alloc_t *alloc)
{
    if (src->len == 0) {
        dst->len = 0;
        dst->data = NULL;
        return NGX_OK;
    }

    dst->data = ngx_iot_alloc(alloc, src->len);
    if (dst->data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(dst->data, src->data, src->len);
    dst->len = src->len;

    return NGX_OK;
}


ngx_uint_t
ngx_iot_tree_equal(ngx_iot_tree_t *a, ngx_iot_tree_t *b)
{
    ngx_iot_tree_t  *x, *y;

    if ((a->type == NGX_IOT_TREE_FLOAT || a->type == NGX_IOT_TREE_DOUBLE)
        && (b->type == NGX_IOT_TREE_FLOAT || b->type == NGX_IOT_TREE_DOUBLE))
    {
        return a->u.d == b->u.d
               || (a->u.d != a->u.d && b->u.d != b->u.d);
    }

    if (a->type != b->type) {
        return 0;
    }

    switch (a->type) {

    case NGX_IOT_TREE_NULL:
    case NGX_IOT_TREE_EMPTY:
        return 1;

    case NGX_IOT_TREE_TEXT:
    case NGX_IOT_TREE_BYTES:
        return ngx_iot_tree_compare(&a->u.s, &b->u.s) == 0;

    case NGX_IOT_TREE_ARRAY:
    case NGX_IOT_TREE_OBJECT:
        break;

    default:
        return a->u.n == b->u.n;
    }

    if (a->u.list.n != b->u.list.n) {
        return 0;
    }

    x = a->u.list.first;
    y = b->u.list.first;

    for ( /* void */ ; x; x = x->next, y = y->next) {

        if (a->type == NGX_IOT_TREE_OBJECT
            && ngx_iot_tree_compare(&x->key, &y->key) != 0)
        {
            return 0;
        }

        if (!ngx_iot_tree_equal(x, y)) {
            return 0;
        }
    }

    return 1;
}


ngx_int_t
ngx_iot_tree_integer(ngx_iot_tree_t *tree, int64_t *value)
{
    double  d;

    switch (tree->type) {

    case NGX_IOT_TREE_INT:
        *value = tree->u.i;
        return NGX_OK;

    case NGX_IOT_TREE_FLOAT:
    case NGX_IOT_TREE_DOUBLE:

        d = tree->u.d;

        if (d >= -9223372036854775808.0 && d < 9223372036854775808.0
            && (double) (int64_t) d == d)
        {
            *value = (int64_t) d;
            return NGX_OK;
        }

        return NGX_DECLINED;

    default:
        return NGX_DECLINED;
    }
}


void
ngx_iot_tree_limit(ngx_iot_tree_limit_t *out, ngx_iot_tree_limit_t *limit)
{
    if (limit) {
        *out = *limit;

    } else {
        ngx_memzero(out, sizeof(ngx_iot_tree_limit_t));
    }

    if (out->depth == 0) {
        out->depth = NGX_IOT_TREE_DEPTH;
    }

    if (out->nodes == 0) {
        out->nodes = NGX_IOT_TREE_NODES;
    }

    if (out->size == 0) {
        out->size = NGX_IOT_TREE_SIZE;
    }

    out->depth = ngx_min(out->depth, NGX_IOT_TREE_MAX_DEPTH);
}
