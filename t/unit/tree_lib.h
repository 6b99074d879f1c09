
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _TREE_LIB_H_INCLUDED_
#define _TREE_LIB_H_INCLUDED_


#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "ngx_iot_tree.h"


/*
 * Memory that is counted, may run out on purpose and is given back at the
 * end; each piece is a malloc() of its own, so that sanitizers see its edges.
 */

typedef struct lib_piece_s  lib_piece_t;

struct lib_piece_s {
    lib_piece_t      *next;
    max_align_t       data[];
};

typedef struct {
    ngx_iot_alloc_t   alloc;
    lib_piece_t      *pieces;
    ngx_uint_t        n;
    ngx_uint_t        max;          /* pieces to give out; 0: any number */
} lib_arena_t;


static void *
lib_alloc(void *data, size_t size)
{
    lib_arena_t  *arena = data;
    lib_piece_t  *piece;

    if (arena->max && arena->n == arena->max) {
        return NULL;
    }

    piece = malloc(sizeof(lib_piece_t) + size);
    assert_non_null(piece);

    memset(piece->data, 0xa5, size);

    piece->next = arena->pieces;
    arena->pieces = piece;
    arena->n++;

    return piece->data;
}


static void
lib_arena_init(lib_arena_t *arena)
{
    memset(arena, 0, sizeof(lib_arena_t));

    arena->alloc.alloc = lib_alloc;
    arena->alloc.data = arena;
}


static void
lib_arena_done(lib_arena_t *arena)
{
    lib_piece_t  *piece;

    while (arena->pieces) {
        piece = arena->pieces;
        arena->pieces = piece->next;
        free(piece);
    }

    arena->n = 0;
}


static ngx_inline ngx_str_t
lib_str(const char *text)
{
    ngx_str_t  s;

    s.len = strlen(text);
    s.data = (u_char *) text;

    return s;
}


static ngx_inline ngx_iot_tree_t *
lib_get(ngx_iot_tree_t *object, const char *key)
{
    ngx_str_t  s;

    s = lib_str(key);

    return ngx_iot_tree_get(object, &s);
}


/* a member that has to be a text */

static ngx_inline const char *
lib_text(ngx_iot_tree_t *object, const char *key, lib_arena_t *arena)
{
    char            *text;
    ngx_iot_tree_t  *item;

    item = lib_get(object, key);

    if (item == NULL) {
        return NULL;
    }

    assert_int_equal(item->type, NGX_IOT_TREE_TEXT);

    text = lib_alloc(arena, item->u.s.len + 1);
    memcpy(text, item->u.s.data, item->u.s.len);
    text[item->u.s.len] = '\0';

    return text;
}


static ngx_inline ngx_str_t
lib_unhex(lib_arena_t *arena, const char *hex)
{
    size_t        i;
    unsigned int  byte;
    ngx_str_t     s;

    assert_int_equal(strlen(hex) % 2, 0);

    s.len = strlen(hex) / 2;
    s.data = lib_alloc(arena, s.len);

    for (i = 0; i < s.len; i++) {
        assert_int_equal(sscanf(hex + 2 * i, "%2x", &byte), 1);
        s.data[i] = (u_char) byte;
    }

    return s;
}


/* a copy that ends where the memory ends */

static ngx_inline ngx_str_t
lib_cut(lib_arena_t *arena, ngx_str_t *from, size_t len)
{
    ngx_str_t  s;

    s.len = len;
    s.data = lib_alloc(arena, len);

    if (len) {
        memcpy(s.data, from->data, len);
    }

    return s;
}


static ngx_inline ngx_iot_tree_t *
lib_load(const char *path, lib_arena_t *arena)
{
    long             size;
    FILE            *file;
    ngx_str_t        text;
    ngx_iot_tree_t  *tree;

    file = fopen(path, "rb");
    assert_non_null(file);

    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    size = ftell(file);
    assert_true(size > 0);
    rewind(file);

    text.len = size;
    text.data = lib_alloc(arena, size);
    assert_int_equal(fread(text.data, 1, size, file), size);
    fclose(file);

    assert_int_equal(ngx_iot_tree_json_read(&tree, &text, NULL,
                                            &arena->alloc),
                     NGX_OK);
    return tree;
}


/*
 * What the vectors write for values that JSON does not have: {"$bytes": hex},
 * {"$f32": number or text}, {"$f64": ..}, {"$i64": text}, {"$u64": text},
 * {"$empty": 1}.
 */

static ngx_inline ngx_iot_tree_t *
lib_value(ngx_iot_tree_t *json, lib_arena_t *arena)
{
    const char      *text;
    ngx_str_t        s;
    ngx_iot_tree_t  *item, *value, *tree;

    if (!ngx_iot_tree_is_list(json)) {
        return ngx_iot_tree_copy(json, &arena->alloc);
    }

    if (lib_get(json, "$bytes")) {
        s = lib_unhex(arena, lib_text(json, "$bytes", arena));
        return ngx_iot_tree_bytes(&arena->alloc, &s);
    }

    if (lib_get(json, "$empty")) {
        return ngx_iot_tree_new(&arena->alloc, NGX_IOT_TREE_EMPTY);
    }

    if (lib_get(json, "$i64")) {
        return ngx_iot_tree_int(&arena->alloc,
                         strtoll(lib_text(json, "$i64", arena), NULL, 10));
    }

    if (lib_get(json, "$u64")) {
        return ngx_iot_tree_uint(&arena->alloc,
                         strtoull(lib_text(json, "$u64", arena), NULL, 10));
    }

    text = lib_get(json, "$f32") ? "$f32" : "$f64";
    item = lib_get(json, text);

    if (item) {
        value = ngx_iot_tree_double(&arena->alloc, 0);

        if (item->type == NGX_IOT_TREE_TEXT) {
            value->u.d = strtod(lib_text(json, text, arena), NULL);

        } else if (item->type == NGX_IOT_TREE_INT) {
            value->u.d = (double) item->u.i;

        } else {
            value->u.d = item->u.d;
        }

        if (text[2] == '3') {
            value->type = NGX_IOT_TREE_FLOAT;
            value->u.d = (float) value->u.d;
        }

        return value;
    }

    tree = ngx_iot_tree_new(&arena->alloc, json->type);

    for (item = json->u.list.first; item; item = item->next) {

        value = lib_value(item, arena);
        assert_non_null(value);

        if (json->type == NGX_IOT_TREE_OBJECT) {
            ngx_iot_tree_put(tree, &item->key, value);

        } else {
            ngx_iot_tree_add(tree, value);
        }
    }

    return tree;
}


#endif /* _TREE_LIB_H_INCLUDED_ */
