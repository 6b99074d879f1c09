
/*
 * Copyright (C) the ngx_iot authors
 */


#include <math.h>
#include "ngx_iot_cbor_read.h"
#include "ngx_iot_id.h"
#include "ngx_iot_json.h"
#include "ngx_iot_number.h"
#include "ngx_iot_text.h"


static ngx_int_t ngx_iot_cbor_head(ngx_iot_cbor_t *cbor,
    ngx_iot_cbor_item_t *item);
static ngx_int_t ngx_iot_cbor_string(ngx_iot_cbor_t *cbor,
    ngx_iot_cbor_item_t *item);
static ngx_int_t ngx_iot_cbor_chunks(ngx_iot_cbor_t *cbor, ngx_uint_t type,
    u_char *dst, size_t *size, ngx_str_t *first);
static ngx_int_t ngx_iot_cbor_tagged(ngx_iot_cbor_t *cbor,
    ngx_iot_cbor_node_t *node);
static void ngx_iot_cbor_bignum(ngx_iot_cbor_node_t *node);
static void ngx_iot_cbor_integer(ngx_iot_cbor_node_t *node);
static ngx_int_t ngx_iot_cbor_add_key(ngx_iot_cbor_t *cbor,
    ngx_iot_cbor_level_t *level, ngx_str_t *key);
static ngx_int_t ngx_iot_cbor_json_level(ngx_iot_cbor_t *cbor,
    ngx_iot_cbor_node_t *node, u_char **dst, size_t *size);
static void ngx_iot_cbor_json_text(ngx_str_t *text, u_char **dst,
    size_t *size);
static void ngx_iot_cbor_json_put(const char *text, size_t len, u_char **dst,
    size_t *size);
static ngx_int_t ngx_iot_cbor_json_bytes(ngx_iot_cbor_node_t *node,
    u_char **dst, size_t *size);
static size_t ngx_iot_cbor_bytes_len(ngx_iot_cbor_node_t *node);
static u_char *ngx_iot_cbor_bytes_write(u_char *dst,
    ngx_iot_cbor_node_t *node);


void
ngx_iot_cbor_begin(ngx_iot_cbor_t *cbor, ngx_str_t *body,
    ngx_iot_alloc_t *alloc)
{
    ngx_memzero(cbor, sizeof(ngx_iot_cbor_t));

    cbor->pos = body->data;
    cbor->last = body->data + body->len;
    cbor->alloc = alloc;
}


ngx_int_t
ngx_iot_cbor_bad(ngx_iot_cbor_t *cbor, ngx_uint_t error)
{
    cbor->error = error;

    return NGX_DECLINED;
}


ngx_int_t
ngx_iot_cbor_first(ngx_iot_cbor_t *cbor, ngx_iot_cbor_node_t *node)
{
    if (cbor->pos == cbor->last) {
        return ngx_iot_cbor_bad(cbor, NGX_IOT_CBOR_E_EMPTY);
    }

    if (cbor->last - cbor->pos >= 3
        && ngx_memcmp(cbor->pos, "\xd9\xd9\xf7", 3) == 0)
    {
        cbor->pos += 3;
    }

    return ngx_iot_cbor_node(cbor, node);
}


ngx_int_t
ngx_iot_cbor_node(ngx_iot_cbor_t *cbor, ngx_iot_cbor_node_t *node)
{
    ngx_int_t             rc;
    ngx_iot_cbor_item_t  *item;

    item = &node->item;

    node->tag = NGX_IOT_CBOR_NO_TAG;
    node->range = 0;

    rc = ngx_iot_cbor_head(cbor, item);

    if (rc != NGX_OK) {
        return rc;
    }

    if (item->type == NGX_IOT_CBOR_TAG) {

        node->tag = item->n;

        rc = ngx_iot_cbor_tagged(cbor, node);

        if (rc != NGX_OK) {
            return rc;
        }
    }

    switch (item->type) {

    case NGX_IOT_CBOR_UINT:
    case NGX_IOT_CBOR_NINT:
        ngx_iot_cbor_integer(node);
        return NGX_OK;

    case NGX_IOT_CBOR_FLOAT:
        node->range = !isfinite(item->d);
        return NGX_OK;

    case NGX_IOT_CBOR_TEXT:
        rc = ngx_iot_cbor_string(cbor, item);

        if (rc == NGX_OK && item->s.len != 0) {
            node->range = (memchr(item->s.data, '\0', item->s.len) != NULL);
        }

        return rc;

    case NGX_IOT_CBOR_BYTES:
        rc = ngx_iot_cbor_string(cbor, item);

        if (rc == NGX_OK
            && (node->tag == NGX_IOT_CBOR_TAG_BIGNUM
                || node->tag == NGX_IOT_CBOR_TAG_NBIGNUM))
        {
            ngx_iot_cbor_bignum(node);
        }

        return rc;

    case NGX_IOT_CBOR_BREAK:
        return ngx_iot_cbor_bad(cbor, NGX_IOT_CBOR_E_MALFORMED);

    default:
        return NGX_OK;
    }
}


static ngx_int_t
ngx_iot_cbor_head(ngx_iot_cbor_t *cbor, ngx_iot_cbor_item_t *item)
{
    switch (ngx_iot_cbor_item(item, &cbor->pos, cbor->last)) {

    case NGX_OK:
        return NGX_OK;

    case NGX_AGAIN:
        return ngx_iot_cbor_bad(cbor, NGX_IOT_CBOR_E_TRUNCATED);

    default: /* NGX_DECLINED */
        return ngx_iot_cbor_bad(cbor, NGX_IOT_CBOR_E_MALFORMED);
    }
}


static ngx_int_t
ngx_iot_cbor_string(ngx_iot_cbor_t *cbor, ngx_iot_cbor_item_t *item)
{
    u_char     *start;
    size_t      size;
    ngx_int_t   rc;

    if (!item->indefinite) {

        if (item->type == NGX_IOT_CBOR_TEXT
            && ngx_iot_text_check(item->s.data, item->s.len) != NGX_OK)
        {
            return ngx_iot_cbor_bad(cbor, NGX_IOT_CBOR_E_MALFORMED);
        }

        return NGX_OK;
    }

    start = cbor->pos;

    rc = ngx_iot_cbor_chunks(cbor, item->type, NULL, &size, &item->s);

    if (rc != NGX_OK || size == item->s.len) {
        return rc;
    }

    item->s.data = ngx_iot_alloc(cbor->alloc, size);

    if (item->s.data == NULL) {
        return NGX_ERROR;
    }

    item->s.len = size;
    cbor->pos = start;

    return ngx_iot_cbor_chunks(cbor, item->type, item->s.data, &size, NULL);
}


/* no chunk may be a string of chunks, nor cut a character (section 3.2.3) */

static ngx_int_t
ngx_iot_cbor_chunks(ngx_iot_cbor_t *cbor, ngx_uint_t type, u_char *dst,
    size_t *size, ngx_str_t *first)
{
    ngx_int_t            rc;
    ngx_iot_cbor_item_t  item;

    *size = 0;

    if (first != NULL) {
        first->data = cbor->pos;
        first->len = 0;
    }

    for ( ;; ) {

        rc = ngx_iot_cbor_head(cbor, &item);

        if (rc != NGX_OK) {
            return rc;
        }

        if (item.type == NGX_IOT_CBOR_BREAK) {
            return NGX_OK;
        }

        if (item.type != type
            || item.indefinite
            || (type == NGX_IOT_CBOR_TEXT
                && ngx_iot_text_check(item.s.data, item.s.len) != NGX_OK))
        {
            return ngx_iot_cbor_bad(cbor, NGX_IOT_CBOR_E_MALFORMED);
        }

        if (item.s.len == 0) {
            continue;
        }

        if (dst != NULL) {
            ngx_memcpy(dst + *size, item.s.data, item.s.len);

        } else if (*size == 0 && first != NULL) {
            *first = item.s;
        }

        *size += item.s.len;
    }
}


static ngx_int_t
ngx_iot_cbor_tagged(ngx_iot_cbor_t *cbor, ngx_iot_cbor_node_t *node)
{
    ngx_int_t   rc;
    ngx_uint_t  bad, type;

    switch (node->tag) {

    case NGX_IOT_CBOR_TAG_DATE:
    case NGX_IOT_CBOR_TAG_EPOCH:
    case NGX_IOT_CBOR_TAG_BIGNUM:
    case NGX_IOT_CBOR_TAG_NBIGNUM:
    case NGX_IOT_CBOR_TAG_BASE64U:
    case NGX_IOT_CBOR_TAG_BASE64:
    case NGX_IOT_CBOR_TAG_BASE16:
        break;

    default:
        return ngx_iot_cbor_bad(cbor, NGX_IOT_CBOR_E_TAG);
    }

    rc = ngx_iot_cbor_head(cbor, &node->item);

    if (rc != NGX_OK) {
        return rc;
    }

    type = node->item.type;

    if (type == NGX_IOT_CBOR_BREAK) {
        return ngx_iot_cbor_bad(cbor, NGX_IOT_CBOR_E_MALFORMED);
    }

    switch (node->tag) {

    case NGX_IOT_CBOR_TAG_DATE:
        bad = (type != NGX_IOT_CBOR_TEXT);
        break;

    case NGX_IOT_CBOR_TAG_EPOCH:
        bad = (type != NGX_IOT_CBOR_UINT
               && type != NGX_IOT_CBOR_NINT
               && type != NGX_IOT_CBOR_FLOAT);
        break;

    default:
        bad = (type != NGX_IOT_CBOR_BYTES);
    }

    if (bad) {
        return ngx_iot_cbor_bad(cbor, NGX_IOT_CBOR_E_TAG);
    }

    return NGX_OK;
}


static void
ngx_iot_cbor_bignum(ngx_iot_cbor_node_t *node)
{
    u_char               *p, *last;
    ngx_iot_cbor_item_t  *item;

    item = &node->item;
    p = item->s.data;
    last = p + item->s.len;

    while (p < last && *p == 0) {
        p++;
    }

    item->type = (node->tag == NGX_IOT_CBOR_TAG_BIGNUM) ? NGX_IOT_CBOR_UINT
                                                        : NGX_IOT_CBOR_NINT;

    if (last - p > 8) {
        node->l = 0;
        node->range = 1;
        return;
    }

    for (item->n = 0; p < last; p++) {
        item->n = item->n << 8 | *p;
    }

    ngx_iot_cbor_integer(node);
}


static void
ngx_iot_cbor_integer(ngx_iot_cbor_node_t *node)
{
    if (node->item.n > INT64_MAX) {
        node->l = 0;
        node->range = 1;
        return;
    }

    node->l = (int64_t) node->item.n;

    if (node->item.type == NGX_IOT_CBOR_NINT) {
        node->l = -1 - node->l;
    }
}


ngx_int_t
ngx_iot_cbor_open(ngx_iot_cbor_t *cbor, ngx_iot_cbor_level_t *level,
    ngx_iot_cbor_node_t *node)
{
    uint64_t  bytes;

    if (cbor->depth == NGX_IOT_CBOR_MAX_DEPTH) {
        return ngx_iot_cbor_bad(cbor, NGX_IOT_CBOR_E_DEPTH);
    }

    /* every element takes a byte at least */

    bytes = cbor->last - cbor->pos;

    if (node->item.type == NGX_IOT_CBOR_MAP) {
        bytes /= 2;
    }

    if (!node->item.indefinite && node->item.n > bytes) {
        return ngx_iot_cbor_bad(cbor, NGX_IOT_CBOR_E_TRUNCATED);
    }

    cbor->depth++;

    level->left = node->item.n;
    level->indefinite = node->item.indefinite;
    level->base = cbor->nkeys;

    ngx_iot_keyset_init(&level->keys);

    return NGX_OK;
}


ngx_int_t
ngx_iot_cbor_more(ngx_iot_cbor_t *cbor, ngx_iot_cbor_level_t *level)
{
    if (level->indefinite) {

        if (cbor->pos == cbor->last) {
            return ngx_iot_cbor_bad(cbor, NGX_IOT_CBOR_E_TRUNCATED);
        }

        if (*cbor->pos != 0xff) {
            return NGX_OK;
        }

        cbor->pos++;

    } else if (level->left != 0) {
        level->left--;
        return NGX_OK;
    }

    cbor->depth--;
    cbor->nkeys = level->base;

    return NGX_DONE;
}


ngx_int_t
ngx_iot_cbor_key(ngx_iot_cbor_t *cbor, ngx_iot_cbor_level_t *level,
    ngx_str_t *key)
{
    ngx_int_t            rc;
    ngx_iot_cbor_item_t  item;

    rc = ngx_iot_cbor_more(cbor, level);

    if (rc != NGX_OK) {
        return rc;
    }

    rc = ngx_iot_cbor_head(cbor, &item);

    if (rc != NGX_OK) {
        return rc;
    }

    if (item.type == NGX_IOT_CBOR_BREAK) {
        return ngx_iot_cbor_bad(cbor, NGX_IOT_CBOR_E_MALFORMED);
    }

    if (item.type != NGX_IOT_CBOR_TEXT) {
        return ngx_iot_cbor_bad(cbor, NGX_IOT_CBOR_E_KEY);
    }

    rc = ngx_iot_cbor_string(cbor, &item);

    if (rc != NGX_OK) {
        return rc;
    }

    *key = item.s;

    if (key->len == 0
        || key->len > NGX_IOT_CBOR_MAX_KEY
        || memchr(key->data, '\0', key->len) != NULL)
    {
        return ngx_iot_cbor_bad(cbor, NGX_IOT_CBOR_E_KEY);
    }

    if (cbor->again) {
        return NGX_OK;
    }

    return ngx_iot_cbor_add_key(cbor, level, key);
}


/*
 * The keys of an inner map are gone when the outer one goes on, so those of
 * each map that is open lie together.
 */

static ngx_int_t
ngx_iot_cbor_add_key(ngx_iot_cbor_t *cbor, ngx_iot_cbor_level_t *level,
    ngx_str_t *key)
{
    ngx_str_t   *keys;
    ngx_uint_t   n;

    if (level->keys.n != 0
        && ngx_iot_keyset_find(&level->keys, &cbor->keys[level->base],
                               sizeof(ngx_str_t), key)
           != NGX_IOT_KEYSET_NONE)
    {
        return ngx_iot_cbor_bad(cbor, NGX_IOT_CBOR_E_DUPKEY);
    }

    if (cbor->nkeys == cbor->nalloc) {

        n = (cbor->nalloc == 0) ? 16 : cbor->nalloc * 2;

        keys = ngx_iot_alloc(cbor->alloc, n * sizeof(ngx_str_t));

        if (keys == NULL) {
            return NGX_ERROR;
        }

        if (cbor->nkeys != 0) {
            ngx_memcpy(keys, cbor->keys, cbor->nkeys * sizeof(ngx_str_t));
        }

        cbor->keys = keys;
        cbor->nalloc = n;
    }

    cbor->keys[cbor->nkeys++] = *key;

    return ngx_iot_keyset_add(&level->keys, &cbor->keys[level->base],
                              sizeof(ngx_str_t), cbor->alloc);
}


ngx_int_t
ngx_iot_cbor_json(ngx_iot_cbor_t *cbor, ngx_iot_cbor_node_t *node,
    u_char **dst, size_t *size)
{
    u_char  buf[NGX_IOT_DOUBLE_LEN], *p;

    if (node->range) {
        return ngx_iot_cbor_bad(cbor, NGX_IOT_CBOR_E_RANGE);
    }

    switch (node->item.type) {

    case NGX_IOT_CBOR_UINT:
    case NGX_IOT_CBOR_NINT:
        p = ngx_iot_long_text(buf, node->l);
        ngx_iot_cbor_json_put((char *) buf, p - buf, dst, size);
        return NGX_OK;

    case NGX_IOT_CBOR_FLOAT:
        p = ngx_iot_double_text(buf, node->item.d);
        ngx_iot_cbor_json_put((char *) buf, p - buf, dst, size);
        return NGX_OK;

    case NGX_IOT_CBOR_TEXT:
        ngx_iot_cbor_json_text(&node->item.s, dst, size);
        return NGX_OK;

    case NGX_IOT_CBOR_BYTES:
        return ngx_iot_cbor_json_bytes(node, dst, size);

    case NGX_IOT_CBOR_BOOL:

        if (node->item.n) {
            ngx_iot_cbor_json_put("true", 4, dst, size);

        } else {
            ngx_iot_cbor_json_put("false", 5, dst, size);
        }

        return NGX_OK;

    case NGX_IOT_CBOR_NULL:
        ngx_iot_cbor_json_put("null", 4, dst, size);
        return NGX_OK;

    default: /* NGX_IOT_CBOR_ARRAY, NGX_IOT_CBOR_MAP */
        return ngx_iot_cbor_json_level(cbor, node, dst, size);
    }
}


/* the recursion is as deep as NGX_IOT_CBOR_MAX_DEPTH */

static ngx_int_t
ngx_iot_cbor_json_level(ngx_iot_cbor_t *cbor, ngx_iot_cbor_node_t *node,
    u_char **dst, size_t *size)
{
    ngx_int_t             rc;
    ngx_str_t             key;
    ngx_uint_t            map, n;
    ngx_iot_cbor_node_t   inner;
    ngx_iot_cbor_level_t  level;

    map = (node->item.type == NGX_IOT_CBOR_MAP);

    rc = ngx_iot_cbor_open(cbor, &level, node);

    if (rc != NGX_OK) {
        return rc;
    }

    ngx_iot_cbor_json_put(map ? "{" : "[", 1, dst, size);

    for (n = 0; /* void */ ; n++) {

        rc = map ? ngx_iot_cbor_key(cbor, &level, &key)
                 : ngx_iot_cbor_more(cbor, &level);

        if (rc == NGX_DONE) {
            break;
        }

        if (rc != NGX_OK) {
            return rc;
        }

        if (n != 0) {
            ngx_iot_cbor_json_put(",", 1, dst, size);
        }

        if (map) {
            ngx_iot_cbor_json_text(&key, dst, size);
            ngx_iot_cbor_json_put(":", 1, dst, size);
        }

        rc = ngx_iot_cbor_node(cbor, &inner);

        if (rc != NGX_OK) {
            return rc;
        }

        rc = ngx_iot_cbor_json(cbor, &inner, dst, size);

        if (rc != NGX_OK) {
            return rc;
        }
    }

    ngx_iot_cbor_json_put(map ? "}" : "]", 1, dst, size);

    return NGX_OK;
}


static void
ngx_iot_cbor_json_text(ngx_str_t *text, u_char **dst, size_t *size)
{
    u_char  *p;

    if (dst == NULL) {
        *size += ngx_iot_json_escape_size(text->data, text->len) + 2;
        return;
    }

    p = *dst;

    *p++ = '"';
    p = ngx_iot_json_escape(p, text->data, text->len);
    *p++ = '"';

    *dst = p;
}


static void
ngx_iot_cbor_json_put(const char *text, size_t len, u_char **dst, size_t *size)
{
    if (dst == NULL) {
        *size += len;
        return;
    }

    *dst = ngx_cpymem(*dst, text, len);
}


static ngx_int_t
ngx_iot_cbor_json_bytes(ngx_iot_cbor_node_t *node, u_char **dst, size_t *size)
{
    u_char  *p;

    if (dst == NULL) {
        *size += ngx_iot_cbor_bytes_len(node) + 2;
        return NGX_OK;
    }

    p = *dst;

    *p++ = '"';
    p = ngx_iot_cbor_bytes_write(p, node);
    *p++ = '"';

    *dst = p;

    return NGX_OK;
}


ngx_int_t
ngx_iot_cbor_bytes_text(ngx_iot_cbor_t *cbor, ngx_iot_cbor_node_t *node,
    ngx_str_t *text)
{
    size_t  len;

    len = ngx_iot_cbor_bytes_len(node);

    text->data = ngx_iot_alloc(cbor->alloc, len + 1);

    if (text->data == NULL) {
        return NGX_ERROR;
    }

    text->len = ngx_iot_cbor_bytes_write(text->data, node) - text->data;

    return NGX_OK;
}


static size_t
ngx_iot_cbor_bytes_len(ngx_iot_cbor_node_t *node)
{
    size_t  len;

    len = node->item.s.len;

    switch (node->tag) {

    case NGX_IOT_CBOR_TAG_BASE64:
        return ngx_iot_base64_len(len);

    case NGX_IOT_CBOR_TAG_BASE16:
        return len * 2;

    default:
        return ngx_iot_base64url_len(len);
    }
}


static u_char *
ngx_iot_cbor_bytes_write(u_char *dst, ngx_iot_cbor_node_t *node)
{
    u_char     *p;
    ngx_str_t  *s;

    s = &node->item.s;

    switch (node->tag) {

    case NGX_IOT_CBOR_TAG_BASE64:
        return ngx_iot_base64(dst, s->data, s->len);

    case NGX_IOT_CBOR_TAG_BASE16:
        p = ngx_iot_hex(dst, s->data, s->len);

        /* RFC 8949 section 3.4.5.2 wants upper case */

        for ( /* void */ ; dst < p; dst++) {
            if (*dst >= 'a') {
                *dst -= 'a' - 'A';
            }
        }

        return p;

    default:
        return ngx_iot_base64url(dst, s->data, s->len);
    }
}
