
/*
 * Copyright (C) the ngx_iot authors
 */


#include <float.h>
#include <stdio.h>

#include "ngx_iot_id.h"
#include "ngx_iot_json.h"
#include "ngx_iot_number.h"
#include "ngx_iot_text.h"
#include "ngx_iot_tree.h"


/* -2.2250738585072014e-308 and the zero that snprintf() adds */

#define NGX_IOT_TREE_NUMBER_LEN  32


typedef struct {
    ngx_iot_json_t         json;
    ngx_iot_alloc_t       *alloc;
    ngx_iot_tree_limit_t   limit;
    ngx_uint_t             nodes;

    ngx_iot_tree_t        *open[NGX_IOT_JSON_MAX_DEPTH];
    ngx_uint_t             depth;
    ngx_str_t              key;
} ngx_iot_tree_reader_t;


static size_t ngx_iot_tree_json_text_size(ngx_str_t *text);
static u_char *ngx_iot_tree_json_text(u_char *p, ngx_str_t *text);
static u_char *ngx_iot_tree_json_byte(u_char *p, u_char ch);
static size_t ngx_iot_tree_json_utf8(u_char *p, u_char *end);
static u_char *ngx_iot_tree_json_list(u_char *p, ngx_iot_tree_t *tree);
static u_char *ngx_iot_tree_json_uint(u_char *p, uint64_t n);
static u_char *ngx_iot_tree_json_double(u_char *p, double d,
    ngx_uint_t type);
static ngx_int_t ngx_iot_tree_json_place(ngx_iot_tree_reader_t *reader,
    ngx_iot_tree_t *node);
static ngx_int_t ngx_iot_tree_json_value(ngx_iot_tree_reader_t *reader,
    ngx_uint_t token, ngx_iot_tree_t **out);
static ngx_int_t ngx_iot_tree_json_number(ngx_iot_tree_t *node,
    ngx_iot_json_t *json);
static ngx_int_t ngx_iot_tree_json_unsigned(ngx_str_t *text,
    uint64_t *value);


size_t
ngx_iot_tree_json_size(ngx_iot_tree_t *tree)
{
    size_t           size;
    ngx_iot_tree_t  *item;

    switch (tree->type) {

    case NGX_IOT_TREE_NULL:
    case NGX_IOT_TREE_EMPTY:
    case NGX_IOT_TREE_BOOL:
        return sizeof("false") - 1;

    case NGX_IOT_TREE_TEXT:
        return ngx_iot_tree_json_text_size(&tree->u.s);

    case NGX_IOT_TREE_BYTES:
        return 2 + ngx_iot_base64_len(tree->u.s.len);

    case NGX_IOT_TREE_ARRAY:
    case NGX_IOT_TREE_OBJECT:

        size = 2;

        for (item = tree->u.list.first; item; item = item->next) {
            size += 1 + ngx_iot_tree_json_size(item);

            if (tree->type == NGX_IOT_TREE_OBJECT) {
                size += 1 + ngx_iot_tree_json_text_size(&item->key);
            }
        }

        return size;

    default:
        return NGX_IOT_TREE_NUMBER_LEN;
    }
}


u_char *
ngx_iot_tree_json_write(u_char *p, ngx_iot_tree_t *tree)
{
    switch (tree->type) {

    case NGX_IOT_TREE_NULL:
    case NGX_IOT_TREE_EMPTY:
        return ngx_cpymem(p, "null", 4);

    case NGX_IOT_TREE_BOOL:

        if (tree->u.i) {
            return ngx_cpymem(p, "true", 4);
        }

        return ngx_cpymem(p, "false", 5);

    case NGX_IOT_TREE_INT:

        if (tree->u.i >= 0) {
            return ngx_iot_tree_json_uint(p, tree->u.n);
        }

        *p++ = '-';

        return ngx_iot_tree_json_uint(p, 0 - tree->u.n);

    case NGX_IOT_TREE_UINT:
        return ngx_iot_tree_json_uint(p, tree->u.n);

    case NGX_IOT_TREE_FLOAT:
    case NGX_IOT_TREE_DOUBLE:
        return ngx_iot_tree_json_double(p, tree->u.d, tree->type);

    case NGX_IOT_TREE_TEXT:
        return ngx_iot_tree_json_text(p, &tree->u.s);

    case NGX_IOT_TREE_BYTES:

        *p++ = '"';

        if (tree->u.s.len) {
            p = ngx_iot_base64(p, tree->u.s.data, tree->u.s.len);
        }

        *p++ = '"';

        return p;

    default:
        return ngx_iot_tree_json_list(p, tree);
    }
}


static u_char *
ngx_iot_tree_json_list(u_char *p, ngx_iot_tree_t *tree)
{
    ngx_iot_tree_t  *item;

    *p++ = (tree->type == NGX_IOT_TREE_OBJECT) ? '{' : '[';

    for (item = tree->u.list.first; item; item = item->next) {

        if (tree->type == NGX_IOT_TREE_OBJECT) {
            p = ngx_iot_tree_json_text(p, &item->key);
            *p++ = ':';
        }

        p = ngx_iot_tree_json_write(p, item);

        if (item->next) {
            *p++ = ',';
        }
    }

    *p++ = (tree->type == NGX_IOT_TREE_OBJECT) ? '}' : ']';

    return p;
}


static size_t
ngx_iot_tree_json_text_size(ngx_str_t *text)
{
    size_t   n, size;
    u_char  *p, *end;

    size = 2;

    if (text->len == 0) {
        return size;
    }

    p = text->data;
    end = p + text->len;

    while (p < end) {

        n = ngx_iot_tree_json_utf8(p, end);

        if (n == 0) {
            size += sizeof("\xef\xbf\xbd") - 1;
            p++;
            continue;
        }

        size += (n > 1) ? n : sizeof("\\u0000") - 1;
        p += n;
    }

    return size;
}


static u_char *
ngx_iot_tree_json_text(u_char *p, ngx_str_t *text)
{
    size_t   n;
    u_char  *src, *end;

    *p++ = '"';

    if (text->len == 0) {
        *p++ = '"';
        return p;
    }

    src = text->data;
    end = src + text->len;

    while (src < end) {

        n = ngx_iot_tree_json_utf8(src, end);

        if (n == 0) {
            p = ngx_cpymem(p, "\xef\xbf\xbd", 3);
            src++;

        } else if (n == 1) {
            p = ngx_iot_tree_json_byte(p, *src++);

        } else {
            p = ngx_cpymem(p, src, n);
            src += n;
        }
    }

    *p++ = '"';

    return p;
}


static u_char *
ngx_iot_tree_json_byte(u_char *p, u_char ch)
{
    static u_char  hex[] = "0123456789abcdef";

    if (ch == '"' || ch == '\\') {
        *p++ = '\\';
        *p++ = ch;
        return p;
    }

    if (ch >= 0x20) {
        *p++ = ch;
        return p;
    }

    *p++ = '\\';

    switch (ch) {

    case '\n':
        *p++ = 'n';
        return p;

    case '\r':
        *p++ = 'r';
        return p;

    case '\t':
        *p++ = 't';
        return p;

    default:
        p = ngx_cpymem(p, "u00", 3);
        *p++ = hex[ch >> 4];
        *p++ = hex[ch & 0xf];
        return p;
    }
}


/*
 * Bytes of the character at p; 0 for none, and for U+0000, which is to be
 * replaced like a byte that makes none.
 */

static size_t
ngx_iot_tree_json_utf8(u_char *p, u_char *end)
{
    return (*p < 0x80) ? (*p != 0) : ngx_iot_text_char(p, end);
}


static u_char *
ngx_iot_tree_json_uint(u_char *p, uint64_t n)
{
    u_char  *q, digits[20];

    q = digits + sizeof(digits);

    do {
        *--q = (u_char) ('0' + n % 10);
        n /= 10;
    } while (n);

    return ngx_cpymem(p, q, digits + sizeof(digits) - q);
}


/* the digits that surely survive are tried first, then one more each time */

static u_char *
ngx_iot_tree_json_double(u_char *p, double d, ngx_uint_t type)
{
    int   precision, last, len;
    char  text[NGX_IOT_TREE_NUMBER_LEN];

    if (d != d || d > DBL_MAX || d < -DBL_MAX) {
        return ngx_cpymem(p, "null", 4);
    }

    precision = (type == NGX_IOT_TREE_FLOAT) ? FLT_DIG : DBL_DIG;
    last = (type == NGX_IOT_TREE_FLOAT) ? FLT_DIG + 3 : DBL_DIG + 2;

    for ( ;; ) {

        len = snprintf(text, sizeof(text), "%.*g", precision, d);

        if (len <= 0 || len >= (int) sizeof(text)) {
            return ngx_cpymem(p, "null", 4);
        }

        if (precision == last) {
            break;
        }

        if (type == NGX_IOT_TREE_FLOAT) {
            if (strtof(text, NULL) == (float) d) {
                break;
            }

        } else if (strtod(text, NULL) == d) {
            break;
        }

        precision++;
    }

    return ngx_cpymem(p, text, len);
}


ngx_int_t
ngx_iot_tree_json_read(ngx_iot_tree_t **out, ngx_str_t *text,
    ngx_iot_tree_limit_t *limit, ngx_iot_alloc_t *alloc)
{
    ngx_int_t               rc;
    ngx_uint_t              token;
    ngx_iot_tree_t         *root, *list, *node;
    ngx_iot_tree_reader_t   reader;

    reader.alloc = alloc;
    reader.nodes = 0;
    reader.depth = 0;

    ngx_iot_tree_limit(&reader.limit, limit);

    reader.limit.depth = ngx_min(reader.limit.depth, NGX_IOT_JSON_MAX_DEPTH);

    ngx_iot_json_init(&reader.json, text, alloc, NGX_IOT_JSON_MAX_DEPTH);

    root = NULL;

    for ( ;; ) {

        token = ngx_iot_json_next(&reader.json);

        switch (token) {

        case NGX_IOT_JSON_BAD:

            if (reader.json.nomem) {
                return NGX_ERROR;
            }

            /* the reader counts containers too, and gets there first */

            return (reader.depth == NGX_IOT_JSON_MAX_DEPTH) ? NGX_BUSY
                                                            : NGX_DECLINED;

        case NGX_IOT_JSON_END:
            *out = root;
            return NGX_OK;

        case NGX_IOT_JSON_KEY:

            if (reader.json.text.len > reader.limit.size) {
                return NGX_BUSY;
            }

            reader.key = reader.json.text;
            continue;

        case NGX_IOT_JSON_OBJECT_END:

            list = reader.open[--reader.depth];

            if (ngx_iot_tree_unique(list, alloc) != NGX_OK) {
                return NGX_ERROR;
            }

            continue;

        case NGX_IOT_JSON_ARRAY_END:
            reader.depth--;
            continue;

        default:
            break;
        }

        rc = ngx_iot_tree_json_value(&reader, token, &node);
        if (rc != NGX_OK) {
            return rc;
        }

        if (reader.depth == 0) {
            root = node;
        }

        if (ngx_iot_tree_json_place(&reader, node) != NGX_OK) {
            return NGX_BUSY;
        }
    }
}


/* into the innermost open container; and a container becomes that one */

static ngx_int_t
ngx_iot_tree_json_place(ngx_iot_tree_reader_t *reader, ngx_iot_tree_t *node)
{
    ngx_iot_tree_t  *list;

    if (reader->depth) {
        list = reader->open[reader->depth - 1];

        if (list->type == NGX_IOT_TREE_OBJECT) {
            ngx_iot_tree_put(list, &reader->key, node);

        } else {
            ngx_iot_tree_add(list, node);
        }
    }

    if (ngx_iot_tree_is_list(node)) {

        if (reader->depth == reader->limit.depth) {
            return NGX_BUSY;
        }

        reader->open[reader->depth++] = node;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_iot_tree_json_value(ngx_iot_tree_reader_t *reader, ngx_uint_t token,
    ngx_iot_tree_t **out)
{
    ngx_iot_tree_t  *node;

    if (reader->nodes == reader->limit.nodes) {
        return NGX_BUSY;
    }

    reader->nodes++;

    node = ngx_iot_tree_new(reader->alloc, NGX_IOT_TREE_NULL);
    if (node == NULL) {
        return NGX_ERROR;
    }

    *out = node;

    switch (token) {

    case NGX_IOT_JSON_OBJECT:
        node->type = NGX_IOT_TREE_OBJECT;
        return NGX_OK;

    case NGX_IOT_JSON_ARRAY:
        node->type = NGX_IOT_TREE_ARRAY;
        return NGX_OK;

    case NGX_IOT_JSON_STRING:

        if (reader->json.text.len > reader->limit.size) {
            return NGX_BUSY;
        }

        node->type = NGX_IOT_TREE_TEXT;
        node->u.s = reader->json.text;
        return NGX_OK;

    case NGX_IOT_JSON_TRUE:
    case NGX_IOT_JSON_FALSE:
        node->type = NGX_IOT_TREE_BOOL;
        node->u.i = (token == NGX_IOT_JSON_TRUE);
        return NGX_OK;

    case NGX_IOT_JSON_NUMBER:
        return ngx_iot_tree_json_number(node, &reader->json);

    default: /* NGX_IOT_JSON_NULL */
        return NGX_OK;
    }
}


static ngx_int_t
ngx_iot_tree_json_number(ngx_iot_tree_t *node, ngx_iot_json_t *json)
{
    ngx_iot_decimal_t  dec;

    if (ngx_iot_decimal_parse(&dec, json->text.data, json->text.len)
        != NGX_OK)
    {
        return NGX_DECLINED;
    }

    if (!json->fraction && !json->exponent && dec.ndigits <= 20) {

        if (ngx_iot_decimal_long(&dec, &node->u.i) == NGX_OK) {
            node->type = NGX_IOT_TREE_INT;
            return NGX_OK;
        }

        if (!dec.negative
            && ngx_iot_tree_json_unsigned(&json->text, &node->u.n) == NGX_OK)
        {
            node->type = NGX_IOT_TREE_UINT;
            return NGX_OK;
        }
    }

    node->type = NGX_IOT_TREE_DOUBLE;

    return ngx_iot_decimal_double(&dec, &node->u.d);
}


static ngx_int_t
ngx_iot_tree_json_unsigned(ngx_str_t *text, uint64_t *value)
{
    u_char    *p, *end, digit;
    uint64_t   n;

    n = 0;
    end = text->data + text->len;

    for (p = text->data; p < end; p++) {

        digit = *p - '0';

        if (n > (UINT64_MAX - digit) / 10) {
            return NGX_DECLINED;
        }

        n = n * 10 + digit;
    }

    *value = n;

    return NGX_OK;
}
